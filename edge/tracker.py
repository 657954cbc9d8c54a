"""What a device's readings mean in time: the device's state and a frame's readings enter, the new state, the
canonical events and the check-in heartbeat leave; pure.

- An opening is a Closed→Open transition of the contact state that is kept on disk. The first report after an
  unknown state is no edge unless the device itself says that it is one; a repeat is nothing but a check-in.
- A frame that the broker kept retained says nothing about now: it is no check-in, and moves the state only where
  it carries its own time.
- A report that brokers redelivered out of order is put, by the device's own time, where it belongs.
- A device's own counter of openings tells of frames that were lost: each lost opening takes a sequence number that
  never comes, so the coverage rule sees the gap and dates the opening, and no fault is charged to the device.
- A device without such a counter that was silent for much longer than it uses to be begins a new boot: what it sent
  meanwhile may be lost, so that time is blind, whatever it says of its contact now.
- A stored record, and anything older than this boot, gets a boot of its own with exactly one event: it is evidence
  at its instant and covers nothing. The boot id is made of the record, so a copy of it is the same event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge.device_table import DeviceEntry
from edge.reading import Kind, Nature, Reading
from kaimen.vocabulary import EventType
from kaimen.wire import Event, Heartbeat

FUTURE_MAX_MS = 5_000
PAST_MAX_MS = 45 * 86_400_000
#: A device time may lie this far before the latest event of the boot and still be of it.
DISORDER_MAX_MS = 60_000
#: A step of the machine's clock beyond this begins a new boot: one boot has one base.
CLOCK_STEP_MAX_MS = 60_000
#: A one-way sensor sends one opening several times within this.
ONE_WAY_REPEAT_MS = 5_000
#: Nobody numbers what a device without a counter sends: a silence of more than so many of its usual ones, and of more
#: than the least, may have swallowed an opening, and begins a new boot. Nothing is watched between two boots.
SILENCE_PACES = 3
SILENCE_MIN_MS = 2 * 3_600_000
#: What is taken for usual until a device has shown it; the longest silence is forgotten by half in so long.
PACE_FIRST_MS = 8 * 3_600_000
PACE_HALVES_MS = 2 * 86_400_000
KEYS_KEPT_MAX = 16
#: Latest reports of the contact, by the device's own time: a redelivered report is put where it belongs.
SAMPLES_KEPT_MAX = 32


@dataclass(frozen=True, slots=True)
class Receipt:
    """When and how a frame came: community time, uptime, retained flag, QoS."""

    now_ms: int
    uptime_ms: int
    retained: bool = False
    qos: int = 1


@dataclass(frozen=True, slots=True)
class DeviceState:
    """All that is kept of one device over restarts; instants in milliseconds, ``flags`` by fact."""

    site: str
    device: str
    boot: str
    seq: int
    started_uptime_ms: int
    started_ms: int
    machine_boot: str
    last_up_ms: int = 0
    contact: str | None = None
    opens: int | None = None
    qos_kept: bool = True
    flags: Mapping[str, bool] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    last_open_ms: int | None = None
    samples: tuple[tuple[int, str], ...] = ()
    history_ms: int = 0
    history_contact: str | None = None
    heard_ms: int | None = None
    pace_ms: int = PACE_FIRST_MS


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one frame of one device."""

    state: DeviceState
    events: tuple[Event, ...]
    heartbeat: Heartbeat | None
    lost_openings: int = 0


def begin_boot(
    state: DeviceState | None,
    entry: DeviceEntry,
    receipt: Receipt,
    *,
    boot: str,
    machine_boot: str,
    lag_ms: int = 0,
) -> DeviceState:
    """Begin a new boot for a device; what is known of its contact and its counter stays."""
    lag_ms = max(0, min(lag_ms, DISORDER_MAX_MS))
    fresh = DeviceState(
        site=entry.site, device=entry.device, boot=boot, seq=0, started_uptime_ms=receipt.uptime_ms - lag_ms,
        started_ms=receipt.now_ms - lag_ms, machine_boot=machine_boot, qos_kept=receipt.qos >= 1,
    )  # fmt: skip
    if state is None:
        return fresh
    return replace(
        fresh, contact=state.contact, opens=state.opens, flags=state.flags, keys=state.keys,
        last_open_ms=state.last_open_ms, samples=state.samples, history_ms=state.history_ms, history_contact=state.history_contact,
        heard_ms=state.heard_ms, pace_ms=state.pace_ms,
    )  # fmt: skip


def clock_stepped(state: DeviceState, receipt: Receipt) -> bool:
    """Say whether the machine's clock moved against its uptime since the boot began."""
    base_then = state.started_ms - state.started_uptime_ms
    return abs((receipt.now_ms - receipt.uptime_ms) - base_then) > CLOCK_STEP_MAX_MS


def plausible(occurred_ms: int | None, now_ms: int) -> int | None:
    """Keep a device's time only where it can be true."""
    if occurred_ms is None or not now_ms - PAST_MAX_MS <= occurred_ms <= now_ms + FUTURE_MAX_MS:
        return None
    return occurred_ms


def counter_restarted(state: DeviceState, readings: Sequence[Reading]) -> bool:
    """Say whether the device's lifetime counter fell: it was reset, and counts from before mean nothing now."""
    counts = [reading.opens for reading in readings if reading.opens is not None]
    return bool(counts) and state.opens is not None and counts[0] < state.opens - 1


def is_heard(readings: Sequence[Reading], receipt: Receipt) -> bool:
    """Say whether the device itself spoke now."""
    return not receipt.retained and any(reading.heard for reading in readings)


def was_silent(state: DeviceState, entry: DeviceEntry, readings: Sequence[Reading], receipt: Receipt) -> bool:
    """Say whether a device that does not count its openings comes back from a silence in which one may be lost."""
    if state.heard_ms is None or state.opens is not None or not is_heard(readings, receipt):
        return False
    longest_ms = max(SILENCE_MIN_MS, SILENCE_PACES * state.pace_ms)
    if entry.supervision_s is not None:
        longest_ms = entry.supervision_s * 1000
    return receipt.now_ms - state.heard_ms > longest_ms


def _hear(state: DeviceState, now_ms: int) -> DeviceState:
    """Note that the device spoke, and how long it was silent; one outage does not make its length usual."""
    if state.heard_ms is None:
        return replace(state, heard_ms=now_ms)
    silent_ms = max(0, now_ms - state.heard_ms)
    faded_ms = round(state.pace_ms * 0.5 ** (silent_ms / PACE_HALVES_MS))
    return replace(state, heard_ms=now_ms, pace_ms=max(faded_ms, min(silent_ms, 2 * state.pace_ms)))


class _Turn:
    """One frame of one device while it is being folded."""

    def __init__(self, state: DeviceState, entry: DeviceEntry, receipt: Receipt) -> None:
        self.state = state
        self.entry = entry
        self.receipt = receipt
        self.events: list[Event] = []
        self.lost = 0

    def flag(self, name: str) -> bool:
        return self.state.flags.get(name, False)

    def set_flag(self, name: str, value: bool) -> bool:
        """Set a fact; return whether it rose."""
        rose = value and not self.flag(name)
        if value != self.flag(name):
            self.state = replace(self.state, flags={**self.state.flags, name: value})
        return rose

    def _up(self, at_ms: int) -> int:
        lag_ms = self.receipt.now_ms - at_ms
        return self.receipt.uptime_ms - self.state.started_uptime_ms - lag_ms

    def emit(self, reading: Reading, event_type: str, state: str | None, token: str | None) -> None:
        """Append an event: in the boot where it fits, else with a boot of its own."""
        own_ms = plausible(reading.occurred_ms, self.receipt.now_ms)
        at_ms = self.receipt.now_ms if own_ms is None else own_ms
        up = self._up(at_ms)
        stored = (
            reading.nature is Nature.HISTORY
            or up < self.state.last_up_ms - DISORDER_MAX_MS
            or up < -DISORDER_MAX_MS
        )
        if stored:
            self.events.append(self._stored(reading, event_type, state, token, at_ms, own_ms is not None))
            return
        up = max(up, self.state.last_up_ms, 0)
        counted = event_type == EventType.DOOR_PHYSICAL_STATE and self.state.opens is not None
        self.state = replace(self.state, seq=self.state.seq + 1, last_up_ms=up)
        self.events.append(
            Event(
                v=1, boot=self.state.boot, seq=self.state.seq, ts=at_ms, up=up,
                clk="ntp" if own_ms is None or reading.clock == "ntp" else "rtc",
                type=event_type, state=state, door=self.entry.door, dir=reading.direction, method=reading.method,
                cred=token, opens=self.state.opens if counted else None, reason=_short(reading.reason),
                rx=self.receipt.now_ms,
            )
        )  # fmt: skip

    def _stored(
        self, reading: Reading, event_type: str, state: str | None, token: str | None, at_ms: int, timed: bool
    ) -> Event:
        text = f"{self.entry.site}/{self.entry.device}/{at_ms}/{event_type}/{state}/{reading.key}"
        boot = hashlib.sha256(text.encode()).hexdigest()[:16]
        return Event(
            v=1, boot=boot, seq=1, ts=at_ms, up=0, clk="ntp" if not timed or reading.clock == "ntp" else "rtc",
            type=event_type, state=state, door=self.entry.door, dir=reading.direction, method=reading.method,
            cred=token, reason=_short(reading.reason), hist=True, rx=self.receipt.now_ms,
        )  # fmt: skip


def _short(text: str | None) -> str | None:
    return None if text is None else text[:256]


def _contact(turn: _Turn, reading: Reading) -> None:
    wanted = "Open" if reading.kind is Kind.DOOR_OPEN else "Closed"
    own_ms = plausible(reading.occurred_ms, turn.receipt.now_ms)
    samples = turn.state.samples
    if own_ms is not None and samples and own_ms < samples[-1][0]:
        _late_contact(turn, reading, wanted, own_ms)
        return
    sample = (turn.receipt.now_ms if own_ms is None else own_ms, wanted)
    before = turn.state.contact
    itself = reading.nature is Nature.EDGE and reading.opening is not None
    first = before is None and itself and wanted == "Open"
    again = turn.entry.one_way and itself and wanted == "Open" and _one_way_due(turn)
    turn.state = replace(turn.state, contact=wanted, samples=(*samples, sample)[-SAMPLES_KEPT_MAX:])
    if (before is not None and before != wanted) or first or again:
        if wanted == "Open":
            turn.state = replace(turn.state, last_open_ms=turn.receipt.now_ms)
            if turn.state.opens is not None:
                turn.state = replace(turn.state, opens=turn.state.opens + 1)
        turn.emit(reading, EventType.DOOR_PHYSICAL_STATE, wanted, None)


def _late_contact(turn: _Turn, reading: Reading, wanted: str, own_ms: int) -> None:
    """Put a report that brokers redelivered out of order where it belongs; the present state is not its business."""
    samples = turn.state.samples
    if (own_ms, wanted) in samples:
        return
    earlier = [sample for sample in samples if sample[0] <= own_ms]
    kept = sorted((*samples, (own_ms, wanted)))[-SAMPLES_KEPT_MAX:]
    turn.state = replace(turn.state, samples=tuple(kept))
    if not earlier or earlier[-1][1] == wanted:
        return
    turn.emit(reading, EventType.DOOR_PHYSICAL_STATE, wanted, None)
    later_ms, later = next(sample for sample in samples if sample[0] > own_ms)
    if later == earlier[-1][1]:
        # What came after looked like a repeat while this was missing; it was a transition.
        turn.emit(replace(reading, occurred_ms=later_ms), EventType.DOOR_PHYSICAL_STATE, later, None)


def _one_way_due(turn: _Turn) -> bool:
    last = turn.state.last_open_ms
    return last is None or turn.receipt.now_ms - last > ONE_WAY_REPEAT_MS


def _stored_contact(turn: _Turn, reading: Reading) -> None:
    """Fold a stored record: records are samples too, so only a transition between them is an edge."""
    wanted = "Open" if reading.kind is Kind.DOOR_OPEN else "Closed"
    at_ms = plausible(reading.occurred_ms, turn.receipt.now_ms)
    if at_ms is None or at_ms <= turn.state.history_ms:
        return
    before = turn.state.history_contact
    turn.state = replace(turn.state, history_ms=at_ms, history_contact=wanted)
    if reading.opening is True or (before is not None and before != wanted):
        turn.emit(reading, EventType.DOOR_PHYSICAL_STATE, wanted, None)


def _account(turn: _Turn, readings: Sequence[Reading]) -> None:
    """Compare the device's own counter with the openings that were seen; burn a number for each that was lost."""
    counts = [reading.opens for reading in readings if reading.opens is not None]
    if not counts:
        return
    if turn.state.opens is None:
        turn.state = replace(turn.state, opens=counts[0])
        return
    # The transition of this very frame is not lost. Some devices count at the opening, some at the closing.
    opening_here = (
        any(reading.kind is Kind.DOOR_OPEN for reading in readings) and turn.state.contact == "Closed"
    )
    lost = max(0, counts[0] - turn.state.opens - int(opening_here))
    turn.lost = lost
    turn.state = replace(turn.state, opens=turn.state.opens + lost, seq=turn.state.seq + lost)


_CLEARS: dict[Kind, str] = {
    Kind.NO_MOTION: EventType.MOTION,
    Kind.VACANT: EventType.OCCUPANCY,
    Kind.SMOKE_OK: "Smoke",
    Kind.WATER_OK: "WaterLeak",
}
_TIED_TO_CONTACT = (Kind.TAMPER, Kind.BATTERY_LOW)


def _other(turn: _Turn, reading: Reading, token: str | None) -> None:
    if reading.kind in _CLEARS:
        turn.set_flag(_CLEARS[reading.kind], False)
        return
    if reading.event_type is None:
        return
    if reading.kind in (Kind.DOOR_LOCKED, Kind.DOOR_UNLOCKED):
        unlocked = reading.kind is Kind.DOOR_UNLOCKED
        known = "lock" in turn.state.flags
        changed = known and turn.flag("lock") != unlocked
        turn.state = replace(turn.state, flags={**turn.state.flags, "lock": unlocked})
        if changed or reading.nature is Nature.EDGE:
            turn.emit(reading, reading.event_type, reading.state, token)
        return
    rose = turn.set_flag(reading.event_type, True) if reading.nature is Nature.STATE else True
    if rose:
        turn.emit(reading, reading.event_type, reading.state, token)


def _clear_faults(turn: _Turn, readings: Sequence[Reading]) -> None:
    """A frame that tells the contact and neither tamper nor low battery says that both are over."""
    kinds = {reading.kind for reading in readings}
    if not kinds & {Kind.DOOR_OPEN, Kind.DOOR_CLOSED}:
        return
    for kind, name in ((Kind.TAMPER, EventType.DOOR_TAMPER), (Kind.BATTERY_LOW, EventType.BATTERY_LOW)):
        if kind not in kinds:
            turn.set_flag(name, False)


def _is_copy(turn: _Turn, reading: Reading) -> bool:
    """Say whether this very message was folded before: BLE copies, redelivery, a second gateway."""
    if reading.key is None:
        return False
    return f"{reading.kind}:{reading.key}" in turn.state.keys


def _remember(turn: _Turn, readings: Sequence[Reading]) -> None:
    fresh = [f"{reading.kind}:{reading.key}" for reading in readings if reading.key is not None]
    keys = [*fresh, *(key for key in turn.state.keys if key not in fresh)]
    turn.state = replace(turn.state, keys=tuple(keys[:KEYS_KEPT_MAX]))


def advance(
    state: DeviceState,
    entry: DeviceEntry,
    readings: Sequence[Reading],
    receipt: Receipt,
    tokens: Sequence[str | None],
) -> Decision:
    """Fold the readings of one frame of one device into its state.

    Parameters
    ----------
    state
        As kept on disk, already of the boot this frame belongs to.
    readings, tokens
        The frame's readings, configured for this door, and the token of each reading's credential.
    """
    turn = _Turn(state, entry, receipt)
    if receipt.qos < 1:
        turn.state = replace(turn.state, qos_kept=False)
    live = [
        (reading, token)
        for reading, token in zip(readings, tokens, strict=True)
        if not (receipt.retained and plausible(reading.occurred_ms, receipt.now_ms) is None)
        and not _is_copy(turn, reading)
    ]
    current = [reading for reading, _ in live if reading.nature is not Nature.HISTORY]
    _account(turn, current)
    _clear_faults(turn, current)
    for reading, token in sorted(live, key=lambda pair: pair[0].occurred_ms or receipt.now_ms):
        if reading.kind in (Kind.DOOR_OPEN, Kind.DOOR_CLOSED):
            (_stored_contact if reading.nature is Nature.HISTORY else _contact)(turn, reading)
        else:
            _other(turn, reading, token)
    _remember(turn, [reading for reading, _ in live])
    if is_heard(readings, receipt):
        turn.state = _hear(turn.state, receipt.now_ms)
    return Decision(turn.state, tuple(turn.events), _check_in(turn, readings), turn.lost)


def _check_in(turn: _Turn, readings: Sequence[Reading]) -> Heartbeat | None:
    """Return the heartbeat that this frame is worth: only the device's own frame, and only if no event tells it."""
    if not is_heard(readings, turn.receipt) or any(event.boot == turn.state.boot for event in turn.events):
        return None
    up = max(turn.receipt.uptime_ms - turn.state.started_uptime_ms, turn.state.last_up_ms)
    battery = next(
        (reading.battery_percent for reading in readings if reading.battery_percent is not None), None
    )
    rssi = next((reading.rssi_dbm for reading in readings if reading.rssi_dbm is not None), None)
    return Heartbeat(
        v=1, boot=turn.state.boot, ts=turn.receipt.now_ms, up=up, clk="ntp", seq_last=turn.state.seq,
        opens=turn.state.opens, batt=battery, rssi=rssi, basis="check_in", rx=turn.receipt.now_ms,
    )  # fmt: skip
