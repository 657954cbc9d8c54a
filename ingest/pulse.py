"""Batches of messages and the clock enter; one transaction per turn and the acknowledgement after it leave.

``GroupLoop`` reads the clock once per turn (with the batch, so that everything received by then is in it), applies,
pulses, writes, and only then answers the broker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import psycopg

from ingest import metrics
from ingest.admission import Message, refuse
from ingest.arrays.reader import Columns
from ingest.causes import Causes, OutageCause
from ingest.detector import Detector
from ingest.faults import pass_point
from ingest.groups import leases
from ingest.groups.clock_trust import ClockTrust, OwnClockWrongError
from ingest.groups.edge_pacing import EdgePacing
from ingest.groups.grace import Grace
from ingest.groups.group_state import PULSE_MS, GroupState
from ingest.groups.holding import Holding
from ingest.groups.leases import Lease, LeaseLostError
from ingest.groups.losses import Losses
from ingest.groups.memory_limit import MemoryLimit
from ingest.groups.settling import Settling
from ingest.groups.sharing import Sharing
from ingest.restart.going_on import Loader
from ingest.restart.relief import Relief
from ingest.restart.rows import Restart
from ingest.restart.snapshots import Snapshots
from ingest.rows.book import is_of_group
from ingest.rows.registry_reader import RegistryReader
from ingest.rows.unsaved import Coverage
from ingest.session.pace import Pace
from ingest.store import (
    DataRefusedError,
    Store,
    Turn,
    Waiting,
    forget_old_coverage,
    implausible_payload,
    load_replayable,
    load_waiting_devices,
)
from kaimen import wire
from kaimen.clock import Clock, FileClock
from kaimen.database import Connection, why_away
from kaimen.logs import get_logger
from kaimen.policy import DAY_MS
from kaimen.settings import IngestSettings
from kaimen.vocabulary import QuarantineReason

log = get_logger()

EARLY_ROWS_PER_S_MAX = 200
#: So many devices are looked at in a second for events of long ago that can be packed or forgotten, one after a turn:
#: whoever opens a door now waits for it. Beside those one for so many messages, so that what waits to be packed stays
#: bounded however many come: packing follows what comes in, and takes a tenth of the time of that at the most.
PACKED_PER_S = 20
PACKED_PER_MESSAGES = 16
#: Quarantined messages taken again in one turn.
REPLAYED_PER_TURN_MAX = 2_000
#: After a start nothing came for so long: what the broker kept for us is in.
SETTLED_AFTER_S = 0.25
PROGRESS_EVERY_S = 1.0
SCALED_PROGRESS_EVERY_S = 0.05
SCALED_WAKE_S = 0.02
REGISTRY_EVERY_S = 60.0
#: After our clock was found wrong: how long to stay away.
CLOCK_RETRY_S = 30.0


class TakenBatch(Protocol):
    """A batch as the loop sees it."""

    @property
    def messages(self) -> Sequence[Message]: ...
    @property
    def now_ms(self) -> int: ...
    @property
    def arrays_bytes(self) -> int: ...


class Source(Protocol):
    """Where batches come from; ``ingest.subscriber`` in the service."""

    @property
    def is_connected(self) -> bool: ...
    @property
    def is_idle(self) -> bool: ...
    @property
    def waited_ms(self) -> int: ...
    def tell(self, topic: str, payload: bytes) -> bool: ...
    def may_connect(self) -> bool: ...
    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def take(self, *, messages_max: int, wait_s: float, gather_s: float, arrays_bytes_max: int) -> Any: ...
    def acknowledge(self, batch: Any) -> None: ...


class RebuiltState(Protocol):
    """What a rebuild gives; ``ingest.replay`` in the service."""

    @property
    def detector(self) -> Detector: ...
    @property
    def causes(self) -> Causes: ...
    @property
    def grace(self) -> Grace: ...
    @property
    def losses(self) -> Losses: ...
    @property
    def pulse_ms(self) -> int | None: ...
    @property
    def event_count(self) -> int: ...
    @property
    def restart(self) -> Restart: ...
    @property
    def loader(self) -> Loader: ...


Rebuild = Callable[..., RebuiltState]


@dataclass(frozen=True, slots=True)
class Health:
    """What the loop says of itself to ``/healthz``."""

    words: str = "starting"
    good: bool = False


class GroupLoop:
    """Serves one shard group for as long as the lease is ours."""

    def __init__(
        self,
        settings: IngestSettings,
        *,
        group_no: int,
        clock: Clock,
        source: Source,
        open_connection: Callable[[], Connection],
        rebuild: Rebuild,
        stop: threading.Event,
        sharing: Sharing | None = None,
    ) -> None:
        self._settings = settings
        self._group_no = group_no
        self._group = str(group_no)
        self._clock = clock
        self._scaled = isinstance(clock, FileClock)
        self.source = source
        self._holding = Holding(
            settings, group_no, open_connection=open_connection, sharing=sharing, say=self._say,
            registry_changed=self._note_registry_change,
        )  # fmt: skip
        self._rebuild = rebuild
        self._stop = stop
        self._store = Store(awake_max=settings.ingest_awake_devices)
        self._reader = Columns.reader() if settings.ingest_arrays == "columns" else None
        self._pace = Pace(settings.ingest_batch_events_max, most=settings.ingest_queue_max)
        self._coverage = Coverage(settings.ingest_coverage_flush_s * 1000)
        self._snapshots = Snapshots(self._group, settings.ingest_snapshot_s)
        self._relief = Relief(MemoryLimit.of(settings.ingest_memory_mb), group=self._group)
        self._state: GroupState | None = None
        self._held: Any = None
        self._refused_events: frozenset[tuple[str, bytes]] = frozenset()
        self._refusals_unexplained = 0
        self._registry = RegistryReader(group_no, settings.ingest_groups)
        self._registry_changed = True
        self._registry_read_at = 0.0
        #: Devices whose messages may wait in quarantine for their registration.
        self._registered: set[str] = set()
        self._written_at = 0.0
        self._progress_at = 0.0
        self._progress_ms = 0
        self._written_ms = 0
        self._settling = Settling(settings.ingest_redelivery_s)
        self._forgot_day = 0
        self._early_rows_left = 0.0
        self._packed_at = 0.0
        self._packs_due = 0.0
        self._heard_until_ms: int | None = None
        self._trust = ClockTrust(clock)
        self._pacing = EdgePacing(source, self._group)
        self.health = Health()

    # -- lease ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop: hold the lease, or wait for it."""
        while not self._stop.is_set():
            lease = self._await_lease()
            if lease is None:
                continue
            metrics.LEASE_HELD.labels(self._group).set(1)
            self._settling.take_over(abandoned=lease.abandoned)
            pass_point("lease_taken")
            try:
                self._serve(lease)
            except LeaseLostError as error:
                log.warning("lease lost", group=self._group_no, reason=str(error))
                metrics.LEASES_LOST.inc()
            finally:
                metrics.LEASE_HELD.labels(self._group).set(0)
                for gauge in (metrics.LAG_SECONDS, metrics.PULSE_AGE_SECONDS, metrics.QUEUE_MESSAGES):
                    gauge.labels(self._group).set(0)
                self.source.disconnect()
                self._throw_away()
                self._let_go()
                self._holding.rest()
        self._holding.leave()

    def _await_lease(self) -> Lease | None:
        lease = self._holding.take_lease()
        if lease is None:
            self._stop.wait(min(1.0, self._settings.ingest_lease_s / 3))
        return lease

    def _say(self, words: str, good: bool) -> None:
        self.health = Health(words, good)

    def _note_registry_change(self) -> None:
        self._registry_changed = True

    # -- serving --------------------------------------------------------------------------------------------

    def _serve(self, lease: Lease) -> None:
        away_since: float | None = None
        failures = 0
        while not self._stop.is_set():
            try:
                if not self._holding.is_open:
                    # Somebody may have taken the group over while the database was away from us.
                    leases.renew(self._holding.connected(), lease)
                self._turn(self._holding.connected(), lease)
                away_since, failures = None, 0
                if self._held is None and self._holding.must_give_back():
                    break
            except OwnClockWrongError as error:
                self._distrust_clock(error)
            except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
                metrics.DATABASE_FAILURES.inc()
                now = time.monotonic()
                away_since = now if away_since is None else away_since
                failures += 1
                self._go_without_database(error, now - away_since)
                self._stop.wait(min(2.0, 0.05 * 2 ** min(failures, 6)))
        self._finish(lease)

    def _go_without_database(self, error: Exception, away_s: float) -> None:
        if away_s == 0:
            log.error("the database is away", error=why_away(error), group=self._group_no)
        self.health = Health(f"the database is away: {type(error).__name__}")
        if self._state is not None:
            self._heard_until_ms = self._state.pulse_ms
        self._holding.close()
        self._throw_away(keeps_heard=True)
        if away_s > self._settings.ingest_database_patience_s and not self.source.is_idle:
            log.error("leaving the broker until the database is back", group=self._group_no)
            self.source.disconnect()
            self._let_go()

    def _throw_away(self, *, keeps_heard: bool = False) -> None:
        """Throw the state away; unless our clock may be wrong, heartbeats that are not written yet are kept (``keeps_heard``)."""
        if keeps_heard and self._state is not None:
            self._state.collect_passed()
        self._state = None

    def _distrust_clock(self, error: OwnClockWrongError) -> None:
        """Stop admitting and answering; a worker with a better clock may take over meanwhile."""
        log.error("our own clock is wrong: nothing is admitted", reason=str(error), group=self._group_no)
        metrics.CLOCK_REFUSALS.inc()
        self.health = Health(str(error))
        self.source.disconnect()
        self._throw_away()
        self._let_go()
        self._stop.wait(CLOCK_RETRY_S)
        self._trust.doubt()

    def _await_proof(self, connection: Connection, lease: Lease, state: GroupState) -> bool:
        """Keep what comes, unanswered, until devices confirm our clock; say whether we may go on."""
        if not self._trust.in_doubt:
            return True
        leases.renew(connection, lease)
        self._trust.keep(self._take_batch(), state.book.registry)
        return False

    def _let_go(self) -> None:
        """Forget what was taken and not answered: the broker brings it again."""
        self._held = None
        self._trust.kept.clear()

    def _take_batch(self) -> Any:
        messages_max, arrays_bytes_max = self._relief.bounds(
            self._pace.messages_max, self._pace.arrays_bytes_max
        )
        return self.source.take(
            messages_max=messages_max,
            wait_s=self._wait_s(),
            gather_s=self._pace.gather_s(self._settings.ingest_batch_wait_ms / 1000),
            arrays_bytes_max=arrays_bytes_max,
        )

    def _finish(self, lease: Lease) -> None:
        """Write what waits, give the lease back."""
        try:
            connection = self._holding.connected()
            if self._state is not None and self._held is None:
                self._state.collect_passed()
                turn = self._state.draft(max(self._state.pulse_ms, self._written_ms))
                self._coverage.fill(turn, everything=True)
                turn.pulse_ms = None
                self._store.write(connection, lease, self._state.book, turn)
                self._state.confirm(turn)
            pass_point("stop_written")
            self.source.disconnect()
            leases.release(connection, lease)
        except (psycopg.Error, DataRefusedError) as error:
            log.warning("could not write everything at the stop", error=type(error).__name__)

    def _turn(self, connection: Connection, lease: Lease) -> None:
        state = self._ready_state(connection, lease)
        self._look_after_session(connection, lease, state)
        self._look_after_registry(connection, lease, state)
        if self._state is None:
            return  # stored events lost something: what we know of them is thrown away too
        self._relief.look()
        if not self._await_proof(connection, lease, state):
            return
        if self._held is None:
            self._held = self._trust.kept.pop(0) if self._trust.kept else self._take_batch()
        batch = self._held
        begun = time.monotonic()
        load = "events" if any(not message.topic.endswith("/hb") for message in batch.messages) else ""
        pass_point("batch_taken", load)
        try:
            turn = self._apply(connection, lease, state, batch, load)
        except DataRefusedError as error:
            self._set_aside(connection, lease, state, error)
            return
        self.source.acknowledge(batch)
        pass_point("acked", load)
        self._pace.note(len(batch.messages), time.monotonic() - begun, arrays_bytes=batch.arrays_bytes)
        self._held = None
        self._refused_events = frozenset()
        self._refusals_unexplained = 0
        self._report(state, batch)
        self._pace_edges(state, turn.event_count if batch.arrays_bytes else 0)
        self._pack(state, len(batch.messages))

    def _apply(
        self, connection: Connection, lease: Lease, state: GroupState, batch: TakenBatch, load: str
    ) -> Turn:
        """Take a batch and write what it means; the database takes the first rows while the last messages are judged.

        All of it is one transaction: what was judged on rows that are not committed is thrown away with them.
        """
        with self._store.begin(connection, lease, state.book, now_ms=batch.now_ms) as writing:
            state.apply(
                batch.messages,
                batch.now_ms,
                may_pulse=self._may_pulse(batch),
                tell=writing.take if state.has_pulsed else None,
            )
            self._trust.check()
            pass_point("batch_decoded", load)
            turn = state.draft(batch.now_ms)
            started = time.monotonic()
            is_wanted = self._must_write(turn, batch)
            if is_wanted:
                self._fill(state, turn, started)
                writing.finish(turn)
        if is_wanted:
            self._confirm(connection, state, turn, started)
        self._holding.close_beside()
        return turn

    def _pace_edges(self, state: GroupState, events: int) -> None:
        if not self._scaled:  # there a wait of a moment is minutes
            now_ms = self._clock.now_ms()
            self._pacing.turn(state.book.wiring, now_s=time.monotonic(), now_ms=now_ms, events=events)

    def _pack(self, state: GroupState, messages: int) -> None:
        now = time.monotonic()
        due = min(PACKED_PER_S, self._packs_due + (now - self._packed_at) * PACKED_PER_S)
        at_once = min(int(due), 1) if messages else int(due)
        self._packed_at, self._packs_due = now, due - at_once
        state.pack(at_once + messages // PACKED_PER_MESSAGES)

    def _ready_state(self, connection: Connection, lease: Lease) -> GroupState:
        if self._state is not None:
            return self._state
        started = time.monotonic()
        now_ms = self._clock.now_ms() if self._held is None else self._held.now_ms
        book = self._registry.read(connection, now_ms=now_ms, alive=lambda: self._holding.renew_beside(lease))
        rebuilt = self._rebuild(
            connection,
            book,
            now_ms=now_ms,
            group_no=self._group_no,
            groups=self._settings.ingest_groups,
            by_snapshot=self._settings.ingest_snapshot_s > 0,
            unsaved=self._coverage.points.everything(),
            awake_max=self._settings.ingest_awake_devices,
            alive=lambda: self._holding.renew_beside(lease),
        )
        pulse_ms = max(now_ms, rebuilt.pulse_ms or 0) // PULSE_MS * PULSE_MS
        state = GroupState(
            book,
            rebuilt.detector,
            rebuilt.causes,
            self._coverage,
            pulse_ms=pulse_ms,
            own_clock=self._trust.votes,
            grace=rebuilt.grace,
            losses=rebuilt.losses,
            loader=rebuilt.loader,
            reader=self._reader,
        )
        rebuilt.loader.reading = self._holding.reading
        state.refused_events = self._refused_events
        deaf_from_ms = self._heard_until_ms or rebuilt.pulse_ms
        if deaf_from_ms is not None:
            state.begin_gap(OutageCause.OWN, deaf_from_ms, restarted=True)
            if self.source.is_connected:
                state.end_gap(now_ms)
        self._heard_until_ms = None
        self._state = state
        self._snapshots.begin(rebuilt.restart, len(book.device_no))
        alive = partial(self._holding.renew_beside, lease)
        self._store.prepare(connection, book, now_ms=now_ms, token=lease.token, alive=alive)
        pass_point("rebuilt")
        self._registry_changed = True  # what waited in quarantine is looked for
        self._registered = {
            device_id for device_id in load_waiting_devices(connection) if device_id in book.device_no
        }
        self._settling.begin(time.monotonic())
        metrics.REBUILDS.inc()
        metrics.REBUILD_SECONDS.labels(self._group).set(time.monotonic() - started)
        log.info(
            "detector rebuilt", events=rebuilt.event_count, group=self._group_no,
            count=len(book.device_no), by_snapshot=rebuilt.restart.devices,
            duration_ms=int((time.monotonic() - started) * 1000),
        )  # fmt: skip
        return state

    def _look_after_session(self, connection: Connection, lease: Lease, state: GroupState) -> None:
        if self.source.is_connected:
            state.end_gap(max(self._clock.now_ms(), state.pulse_ms))
            return
        state.begin_gap(OutageCause.BROKER, state.pulse_ms)
        if self.source.may_connect():
            leases.renew(connection, lease)
            pass_point("connecting")
            self.source.connect()

    def _look_after_registry(self, connection: Connection, lease: Lease, state: GroupState) -> None:
        _read_notifications(connection, self._note_registry_change)
        now = time.monotonic()
        if not self._registry_changed and now - self._registry_read_at < REGISTRY_EVERY_S:
            return
        self._registry_changed = False
        self._registry_read_at = now
        changes = self._registry.read_changes(
            connection,
            state.book,
            now_ms=max(self._clock.now_ms(), state.pulse_ms),
            alive=lambda: self._holding.renew_beside(lease),
        )
        if self._snapshots.is_recalled(connection):
            log.info("stored events were deleted: reading them anew", group=self._group_no)
            self._throw_away(keeps_heard=True)
            return
        if changes:
            state.take_changes(changes)
        if changes.device_no:
            self._snapshots.forget_devices()
            self._registered |= {device_id for device_id, no in changes.device_no.items() if no is not None}
        self._replay_waiting(connection, state)

    def _replay_waiting(self, connection: Connection, state: GroupState) -> None:
        """Take again what waits in quarantine and may be taken now."""
        rows = load_replayable(connection, self._registered, rows_max=REPLAYED_PER_TURN_MAX)
        waiting = [row for row in rows if self._is_ours(row)]
        for row in waiting:
            state.take_again(row)
        if len(rows) < REPLAYED_PER_TURN_MAX:
            self._registered.clear()
        elif waiting:
            self._registry_changed = True

    def _is_ours(self, waiting: Waiting) -> bool:
        try:
            site_id = wire.parse_topic(waiting.topic).site_id
        except wire.WireError:
            return self._group_no == 0
        return is_of_group(site_id, self._group_no, self._settings.ingest_groups)

    def _wait_s(self) -> float:
        if self._state is not None and self._state.is_behind and not self._settling.is_under_way:
            return 0.0  # homes wait to be judged
        if self._relief.is_pressing:
            return 0.0  # what waits has waited long enough
        if self._scaled:
            return SCALED_WAKE_S
        if self._settling.is_under_way:
            return SETTLED_AFTER_S
        return (PULSE_MS - self._clock.now_ms() % PULSE_MS) / 1000 + 0.001

    def _may_pulse(self, batch: TakenBatch) -> bool:
        """After a start, hold the pulse until what the broker kept for us is in."""
        only_heartbeats = all(message.topic.endswith("/hb") for message in batch.messages)
        return self._settling.may_pulse(
            time.monotonic(), connected=self.source.is_connected, quiet=only_heartbeats
        )

    def _must_write(self, turn: Turn, batch: TakenBatch) -> bool:
        if turn.has_news() or self._relief.is_pressing:
            return True
        if any(not message.topic.endswith("/hb") for message in batch.messages):
            return True  # nothing new in it, but the token is checked before the broker is answered
        moved = turn.now_ms // PULSE_MS > self._written_ms // PULSE_MS
        idle_s = time.monotonic() - self._written_at
        return self._owes_progress() or (self._scaled and moved and idle_s >= SCALED_PROGRESS_EVERY_S)

    def _owes_progress(self) -> bool:
        return time.monotonic() - self._progress_at >= PROGRESS_EVERY_S

    def _write(self, connection: Connection, lease: Lease, state: GroupState, turn: Turn) -> None:
        started = time.monotonic()
        self._fill(state, turn, started)
        self._store.write(connection, lease, state.book, turn)
        self._confirm(connection, state, turn, started)

    def _fill(self, state: GroupState, turn: Turn, started: float) -> None:
        """Let a turn take along what there is room for."""
        self._early_rows_left = min(
            EARLY_ROWS_PER_S_MAX,
            self._early_rows_left + (started - self._written_at) * EARLY_ROWS_PER_S_MAX,
        )
        if self._early_rows_left >= 1:
            self._coverage.fill(turn, early_rows=int(self._early_rows_left))
            self._early_rows_left = max(0.0, self._early_rows_left - len(turn.points))
        # Many groups tell in one row, and each would wait for the commit of the one before.
        moved_ms = turn.now_ms - self._progress_ms
        turn.tells_progress = self._scaled or moved_ms >= PROGRESS_EVERY_S * 1000 or self._owes_progress()
        self._snapshots.draft(state, turn)
        self._relief.draft(state, turn)

    def _confirm(self, connection: Connection, state: GroupState, turn: Turn, started: float) -> None:
        """The turn is committed."""
        if turn.tells_progress:
            self._progress_at, self._progress_ms = started, turn.now_ms
        pass_point("after_commit", "events" if turn.event_count else "")
        state.confirm(turn)
        self._snapshots.confirm(state, turn)
        self._relief.confirm(state, turn)
        self._written_at = time.monotonic()
        self._written_ms = turn.now_ms
        metrics.BATCHES.labels(self._group).inc()
        metrics.COMMIT_SECONDS.observe(self._written_at - started)
        day = turn.now_ms // DAY_MS
        if day != self._forgot_day:
            self._forgot_day = day
            forget_old_coverage(connection, now_ms=turn.now_ms)

    def _report(self, state: GroupState, batch: TakenBatch) -> None:
        now_ms = self._clock.now_ms()
        if batch.messages:
            metrics.BATCH_MESSAGES.observe(len(batch.messages))
            metrics.LAG_SECONDS.labels(self._group).set(max(0, now_ms - batch.messages[0].received_ms) / 1000)
        metrics.PULSE_AGE_SECONDS.labels(self._group).set(max(0, now_ms - state.pulse_ms) / 1000)
        if self.source.is_connected:
            self.health = Health(self._relief.words() or "listening", good=not self._relief.is_too_small)
        else:
            self.health = Health("not connected to the broker")

    # -- what the database refuses --------------------------------------------------------------------------

    def _set_aside(
        self, connection: Connection, lease: Lease, state: GroupState, error: DataRefusedError
    ) -> None:
        """Find what the database will not take and refuse it by name; the rest of the batch is taken next turn."""
        log.error("the database refused a value", reason=str(error)[:200], group=self._group_no)
        culprits = self._store.find_refused(connection, state.book, state.turn.all_events())
        self._throw_away()
        if culprits:
            self._refused_events |= {(e.admitted.topic, implausible_payload(e.admitted)) for e in culprits}
            return
        self._refusals_unexplained += 1
        if self._refusals_unexplained <= 1:
            return  # a household may have been deleted under us: the registry is read again, then it is tried again
        self._refuse_one_by_one(connection, lease)

    def _refuse_one_by_one(self, connection: Connection, lease: Lease) -> None:
        """Take each message in a transaction of its own, so that one that cannot be taken stands alone."""
        messages, now_ms = self._held.messages, self._held.now_ms
        for message in messages:
            state = self._ready_state(connection, lease)
            state.take(message)
            turn = state.draft(now_ms)
            try:
                self._write(connection, lease, state, turn)
            except DataRefusedError as error:
                self._throw_away()
                # What it left among the heartbeats to be written would have every message after it refused too.
                self._coverage = Coverage(self._settings.ingest_coverage_flush_s * 1000)
                alone = Turn(now_ms, None)
                device_id = message.topic.split("/")[5] if message.topic.count("/") == 6 else None
                alone.refusals.append(
                    refuse(
                        QuarantineReason.STORE_REFUSED, str(error), message.topic, device_id, message.payload,
                        message.received_ms, event_count=1,
                    )
                )  # fmt: skip
                self._store.write(connection, lease, self._ready_state(connection, lease).book, alone)
        self.source.acknowledge(self._held)
        self._held = None


def _read_notifications(connection: Connection, noted: Callable[[], None]) -> None:
    """Look without waiting whether somebody notified us since the last statement."""
    connection.pgconn.consume_input()
    for _ in _pending(connection):
        noted()


def _pending(connection: Connection) -> Iterator[Any]:
    while (notification := connection.pgconn.notifies()) is not None:
        yield notification
