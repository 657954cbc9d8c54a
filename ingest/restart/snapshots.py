"""A group's turns enter; now and then what is at hand of a few blocks of devices goes along with one, and is said to be there.

Block after block: each is written every so often, a few in a turn at most and not in every turn, so that nobody who opens
a door waits for them. What a turn learns too late for the tail a start reads (``TAIL_MS``) drops its device's block.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ingest import metrics
from ingest.detector.cold import Hot
from ingest.restart.rows import TAIL_MS, Restart, Snapshot, block_of, load_epoch, pack
from kaimen.database import Connection
from kaimen.logs import get_logger
from kaimen.policy import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from ingest.groups.group_state import GroupState
    from ingest.store import Turn

#: A device whose home's newest evidence is older is read from its rows: a snapshot holds no opening of longer ago.
HOT_SPAN_MS = 7 * DAY_MS
#: Events received so lately stay in memory: copies of them may come yet.
KEPT_MS = HOUR_MS
#: At least so long for each block: of a community of any size no more is written in a second.
BLOCK_EVERY_S = 0.1
#: At most so many in a turn: at night, when hardly a door opens and turns are seldom, all of a large group's are written too.
BLOCKS_PER_TURN_MAX = 16

log = get_logger()


class Snapshots:
    """Which blocks of one shard group are written down, since when, and which is next."""

    def __init__(self, group: str, every_s: float) -> None:
        self._group = group
        self._every_s = every_s
        self._epoch = 0
        self._written_ms: dict[int, int] = {}
        self._size: dict[int, int] = {}
        self._newest_ms = 0
        self._dropped: set[int] = set()
        self._next_at = 0.0
        self._round: list[int] = []
        self._devices_of: Mapping[str, int] = {}
        self._blocks: dict[int, list[str]] = {}

    # -- a start --------------------------------------------------------------------------------------------

    def begin(self, restart: Restart, devices: int) -> None:
        """Note what a start of so many devices found."""
        blocks, unsound = restart.found, restart.unsound
        self._epoch = restart.epoch
        metrics.START_DEVICES.labels(self._group, "snapshot").set(restart.devices)
        metrics.START_DEVICES.labels(self._group, "rows").set(devices - restart.devices)
        self._written_ms = {block.block_no: block.written_ms for block in blocks}
        self._size = {block.block_no: block.size_bytes for block in blocks}
        self._newest_ms = max(self._written_ms.values(), default=0)
        self._dropped = set(unsound) | {-1}  # whatever else is dropped, what another grouping left is too
        self._round = []
        for block_no, reason in unsound.items():
            metrics.SNAPSHOTS_REFUSED.labels(reason.value).inc()
            log.warning(
                "a snapshot of the detector is not used: its devices are read from their rows",
                group=self._group, block=block_no, reason=reason.value,
            )  # fmt: skip

    def is_recalled(self, connection: Connection) -> bool:
        """Say whether stored events lost something since the detector was built."""
        return load_epoch(connection) != self._epoch

    # -- a turn ---------------------------------------------------------------------------------------------

    def draft(self, state: GroupState, turn: Turn) -> None:
        """Let a turn that is about to be written take a block along, if one is due."""
        turn.epoch = self._epoch
        now = time.monotonic()
        if self._every_s and now >= self._next_at:
            self._take_along(state, turn, now)
        dropped = self._dropped | self._late_blocks(state.book.device_no, turn)
        dropped -= {snapshot.block_no for snapshot in turn.snapshots}
        turn.snapshots_dropped = sorted(dropped)

    def _take_along(self, state: GroupState, turn: Turn, now: float) -> None:
        blocks = self._blocks_of(state.book.device_no)
        if not blocks:
            return
        if not self._round:
            # What is not there yet comes first, then what is oldest.
            self._round = sorted(blocks, key=lambda block_no: -self._written_ms.get(block_no, 0))
        step_s = max(BLOCK_EVERY_S, self._every_s / len(blocks))
        due_at = self._next_at or now
        count = min(1 + int((now - due_at) / step_s), BLOCKS_PER_TURN_MAX, len(self._round))
        self._next_at = max(due_at + count * step_s, now)
        for block_no in [self._round.pop() for _ in range(count)]:
            turn.snapshots.append(self._pack(state, turn, block_no, blocks.get(block_no, [])))

    def _pack(self, state: GroupState, turn: Turn, block_no: int, devices: list[str]) -> Snapshot:
        oldest_ms = turn.now_ms - HOT_SPAN_MS
        hots: list[Hot] = []
        state.collect(devices)
        state.coverage.add(turn, frozenset(devices))
        for device_id in devices:
            hot = state.hot_of(device_id)
            if hot is not None and hot.floor_ms >= oldest_ms:
                hots.append(hot)
        return pack(block_no, hots)

    def forget_devices(self) -> None:
        """Note that there are other devices than there were."""
        self._devices_of = {}

    def _blocks_of(self, device_no: Mapping[str, int]) -> dict[int, list[str]]:
        if device_no is not self._devices_of:  # once for each registry
            self._devices_of, self._blocks = device_no, {}
            for device_id, number in device_no.items():
                self._blocks.setdefault(block_of(number), []).append(device_id)
        return self._blocks

    def _late_blocks(self, device_no: Mapping[str, int], turn: Turn) -> set[int]:
        """Return the blocks of which a turn learned something that happened before what a start looks for."""
        if not self._written_ms:
            return set()
        before_ms = max(turn.now_ms, self._newest_ms) - TAIL_MS
        late = {
            stored.admitted.device_id
            for stored in turn.events
            if stored.instant_ms < before_ms and stored.plausible
        }
        # An array may go on from a last word of days ago.
        late |= {array.device_id for array in turn.arrays if int(array.read.events.ts[0]) < before_ms}
        late |= {point.device_id for point in turn.points if point.last_received_ms < before_ms}
        return {block_of(device_no[device_id]) for device_id in late} & self._written_ms.keys()

    def confirm(self, state: GroupState, turn: Turn) -> None:
        """The turn is committed: what lies in the rows need not lie in memory too."""
        for block_no in turn.snapshots_dropped:
            self._written_ms.pop(block_no, None)
            self._size.pop(block_no, None)
        self._dropped.clear()
        for snapshot in turn.snapshots:
            for hot in snapshot.hots:
                state.cool(hot, turn.now_ms - KEPT_MS)
            if turn.snapshots_written:
                self._written_ms[snapshot.block_no] = turn.now_ms
                self._size[snapshot.block_no] = len(snapshot.state)
                self._newest_ms = max(self._newest_ms, turn.now_ms)
        if turn.snapshots_written:
            metrics.SNAPSHOT_BYTES.labels(self._group).set(sum(self._size.values()))
        oldest_ms = min(self._written_ms.values(), default=turn.now_ms)
        metrics.SNAPSHOT_AGE_SECONDS.labels(self._group).set(max(0, turn.now_ms - oldest_ms) / 1000)
