"""A door controller: signals of its door and commands enter, events and heartbeats of the wire protocol leave.

It numbers an event and keeps it before anything is sent, counts every Closed to Open edge for life, keeps what was
not acknowledged through a power cut, and forgets the oldest when its memory is full. It never reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from firmware_sim.chance import mix
from firmware_sim.drift import Drift
from firmware_sim.people import DeviceKind, Household, StreetDevice
from firmware_sim.residents import Act, ActKind
from kaimen import wire

HELD_OPEN_MS = 60_000
BATCH_EVENTS = 150  # of at most about 300 bytes: well inside 64 KiB
UNSYNCED_MS = 40_000

EventKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Signal:
    """Something a device senses at an instant; ``step`` orders signals of one act at one instant."""

    at_ms: int
    device_id: str
    household_index: int
    step: int
    type: str
    state: str | None = None
    dir: str | None = None
    method: str | None = None
    cred: str | None = None
    reason: str | None = None


class Memory(msgspec.Struct):
    """What a device holds; ``unsent`` and the counters survive a power cut, as in flash."""

    starts: int = 0
    boot: str = ""
    booted_ms: int = 0
    powered: bool = False
    seq: int = 0
    opens: int = 0
    overwritten_seq: int = 0
    unsent: list[wire.Event] = []
    synced_ms: int | None = None
    holds: int = 0
    contact_open: bool = False
    stuck: bool = False
    sent_count: int = 0
    link_faults: int = 0
    power_faults: int = 0
    link_changes: int = 0


class Controller:
    """One device: its memory and the rules by which it speaks."""

    def __init__(self, device: StreetDevice, seed: int, drift: Drift, memory: Memory | None = None) -> None:
        self.device = device
        self.drift = drift
        self.memory = memory if memory is not None else Memory(opens=device.opens_at_start)
        self._seed = seed
        self._counts = device.kind in (DeviceKind.DWELLING_DOOR, DeviceKind.UNIT_DOOR)
        self._door = device.label if device.kind is not DeviceKind.GATEWAY else None

    # Life

    def start(self, now_ms: int) -> None:
        """Begin a new boot; what the contact shows at the start is a state, not an edge."""
        memory = self.memory
        memory.starts += 1
        memory.boot = f"{mix(self._seed, 40, self.device.index, memory.starts):016x}"
        memory.booted_ms = now_ms
        memory.powered = True
        memory.seq = 0
        memory.overwritten_seq = 0
        memory.synced_ms = None
        if not memory.stuck:
            memory.contact_open = memory.holds > 0

    def stop(self) -> None:
        self.memory.powered = False

    def hear_time_server(self, now_ms: int) -> None:
        """The network is there: the calendar is right from a little later on, and stays right until a restart."""
        if self.memory.synced_ms is None:
            self.memory.synced_ms = now_ms + UNSYNCED_MS

    # Speaking

    def sense(self, signal: Signal) -> list[wire.Event]:
        """Take a signal; return the events it makes, numbered and kept."""
        memory = self.memory
        if signal.type == "DoorPhysicalState":
            return self._swing(signal)
        if not memory.powered:
            return []
        if signal.type == "DoorOpenTooLong" and not memory.contact_open:
            return []
        return [self._keep(signal)]

    def _swing(self, signal: Signal) -> list[wire.Event]:
        memory = self.memory
        memory.holds = max(0, memory.holds + (1 if signal.state == "Open" else -1))
        is_open = memory.holds > 0
        if not memory.powered or memory.stuck or is_open == memory.contact_open:
            return []
        memory.contact_open = is_open
        memory.opens += is_open
        return [self._keep(signal)]

    def free_contact(self, now_ms: int) -> list[wire.Event]:
        """Mend a stuck contact; it now shows what the door does, and a change is an edge like any other."""
        memory = self.memory
        memory.stuck = False
        is_open = memory.holds > 0
        if not memory.powered or is_open == memory.contact_open:
            return []
        memory.contact_open = is_open
        memory.opens += is_open
        state = "Open" if is_open else "Closed"
        return [self._keep(Signal(now_ms, self.device.device_id, -1, 0, "DoorPhysicalState", state))]

    def _keep(self, signal: Signal) -> wire.Event:
        memory = self.memory
        memory.seq += 1
        ts, up, clk = self._read_clock(signal.at_ms)
        event = wire.Event(
            v=1,
            boot=memory.boot,
            seq=memory.seq,
            ts=ts,
            up=up,
            clk=clk,
            type=signal.type,
            door=self._door,
            state=signal.state,
            dir=signal.dir,
            method=signal.method,
            cred=signal.cred,
            opens=memory.opens if self._counts else None,
            reason=signal.reason,
        )
        memory.unsent.append(event)
        if len(memory.unsent) > self.device.capacity:
            self._overwrite(memory.unsent.pop(0))
        return event

    def _overwrite(self, event: wire.Event) -> None:
        if event.boot == self.memory.boot:
            self.memory.overwritten_seq = event.seq

    def _read_clock(self, now_ms: int) -> tuple[int, int, wire.ClockQuality]:
        memory = self.memory
        up = self.drift.up_ms(now_ms, memory.booted_ms)
        if self.drift.quality == "rtc":
            return self.drift.calendar_ms(now_ms, memory.booted_ms), up, "rtc"
        if memory.synced_ms is None or now_ms < memory.synced_ms:
            return up, up, "unsynced"
        return self.drift.calendar_ms(now_ms, memory.booted_ms), up, "ntp"

    def heartbeat(self, now_ms: int) -> wire.Heartbeat:
        """Return the proof of life at an instant; nothing is stored."""
        memory = self.memory
        ts, up, clk = self._read_clock(now_ms)
        has_battery = self.device.has_battery
        return wire.Heartbeat(
            v=1,
            boot=memory.boot,
            ts=ts,
            up=up,
            clk=clk,
            seq_last=memory.seq,
            opens=memory.opens if self._counts else None,
            unsent=len(memory.unsent),
            first_seq=memory.overwritten_seq + 1,
            batt=_battery_percent(self.device.index) if has_battery else None,
            rssi=-48 - self.device.index % 30 - now_ms // 1_000_003 % 7 if has_battery else None,
            fw=self.device.firmware,
        )

    def birth(self) -> wire.State:
        return wire.State(v=1, status="online", boot=self.memory.boot, fw=self.device.firmware)

    def will(self) -> wire.State:
        return wire.State(v=1, status="offline", boot=self.memory.boot)

    # Delivering

    def acknowledge(self, keys: Iterable[EventKey]) -> None:
        """Forget what the broker has; unknown keys are fine, an acknowledgement may come twice."""
        memory = self.memory
        for key in keys:
            last = memory.unsent[-1] if memory.unsent else None
            if last is not None and (last.boot, last.seq) == key:
                memory.unsent.pop()
            else:
                memory.unsent = [event for event in memory.unsent if (event.boot, event.seq) != key]

    def batches(self, sending: set[EventKey]) -> Iterator[list[wire.Event]]:
        """Yield what waits and is not under way, as arrays of one boot in ascending order, marked as stored."""
        waiting = [event for event in self.memory.unsent if (event.boot, event.seq) not in sending]
        batch: list[wire.Event] = []
        for event in waiting:
            if batch and (batch[-1].boot != event.boot or len(batch) == BATCH_EVENTS):
                yield batch
                batch = []
            batch.append(msgspec.structs.replace(event, hist=True))
        if batch:
            yield batch


# Acts into signals ------------------------------------------------------------------------------------------------


def _battery_percent(index: int) -> int:
    """Return how full a battery is: of some devices it is nearly empty."""
    return 9 if index % 60 == 23 else 98 - index % 40


def signals_of(act: Act, household: Household) -> list[Signal]:
    """Return what an act makes the devices of a home and its stairwell sense, in order of time."""
    if act.kind in (ActKind.MOTION, ActKind.WATER):
        return _indoor_signals(act, household)
    if act.kind is ActKind.SOS:
        return [_signal(act, household.door_id, act.at_ms, 0, "Sos")]
    if act.kind is ActKind.GO_OUT:
        found = _passage(act, household.door_id, act.at_ms, "out")
        return found + _unit_door_out(act, household, act.at_ms + act.lift_ms)
    if act.kind in (ActKind.COME_IN, ActKind.FAMILY_IN, ActKind.HELPER_IN, ActKind.VISITOR_IN):
        return _unit_door_in(act, household) + _entry(act, household)
    if act.kind is ActKind.CALLER:
        bell = _signal(act, household.door_id, act.at_ms, 0, "Bell")
        opening = _passage(act, household.door_id, act.at_ms + 21_000, None)
        return [bell, *opening] if household.has_reader else opening
    if act.kind is ActKind.OFFICE_UNLOCK:
        return _granted_entry(act, household.door_id, act.at_ms)
    if act.kind is ActKind.TURNED_BACK:
        return [
            _access(act, household.door_id, act.at_ms, 0, "AccessGranted"),
            _access(act, household.door_id, act.at_ms + 7_000, 1, "AccessNotTaken"),
        ]
    assert act.kind in (ActKind.STRANGER, ActKind.REFUSED), act.kind
    return [_access(act, household.door_id, act.at_ms, 0, "Denied")]


def _signal(
    act: Act,
    device_id: str,
    at_ms: int,
    step: int,
    type_: str,
    state: str | None = None,
    dir_: str | None = None,
) -> Signal:
    return Signal(at_ms, device_id, act.household_index, step, type_, state, dir_)


def _access(act: Act, device_id: str, at_ms: int, step: int, type_: str) -> Signal:
    return Signal(
        at_ms,
        device_id,
        act.household_index,
        step,
        type_,
        dir="in",
        method=act.method,
        cred=act.token,
        reason=act.reason,
    )


def _passage(act: Act, device_id: str, at_ms: int, dir_: str | None) -> list[Signal]:
    found = [_signal(act, device_id, at_ms, 2, "DoorPhysicalState", "Open", dir_)]
    if act.hold_ms > HELD_OPEN_MS:
        found.append(_signal(act, device_id, at_ms + HELD_OPEN_MS, 4, "DoorOpenTooLong"))
    found.append(_signal(act, device_id, at_ms + act.hold_ms, 5, "DoorPhysicalState", "Closed"))
    return found


def _granted_entry(act: Act, device_id: str, at_ms: int) -> list[Signal]:
    opened_ms = at_ms + 1_300
    passage = _passage(act, device_id, opened_ms, "in")
    return [
        _access(act, device_id, at_ms, 1, "AccessGranted"),
        passage[0],
        _access(act, device_id, opened_ms, 3, "AccessTaken"),
        *passage[1:],
    ]


def _entry(act: Act, household: Household) -> list[Signal]:
    at_ms = act.at_ms + (act.lift_ms if household.shared_door_id else 0)
    if household.has_reader:
        return _granted_entry(act, household.door_id, at_ms)
    return _passage(act, household.door_id, at_ms, None)


def _unit_door_in(act: Act, household: Household) -> list[Signal]:
    if household.shared_door_id is None:
        return []
    at_unit = Act(
        act.at_ms, act.household_index, act.kind, act.token, _unit_method(act.method), hold_ms=5_000
    )
    return _granted_entry(at_unit, household.shared_door_id, act.at_ms)


def _unit_method(method: str | None) -> str | None:
    # Who opens his home with a key still holds a card against the reader downstairs.
    return "card" if method == "key" else method


def _unit_door_out(act: Act, household: Household, at_ms: int) -> list[Signal]:
    if household.shared_door_id is None:
        return []
    at_unit = Act(at_ms, act.household_index, act.kind, hold_ms=5_000)
    pressed = Signal(
        at_ms, household.shared_door_id, act.household_index, 0, "Exit", dir="out", method="exit_button"
    )
    return [pressed, *_passage(at_unit, household.shared_door_id, at_ms + 900, "out")]


def _indoor_signals(act: Act, household: Household) -> list[Signal]:
    is_motion = act.kind is ActKind.MOTION
    device_id = household.motion_id if is_motion else household.water_id
    if device_id is None:
        return []
    return [_signal(act, device_id, act.at_ms, 0, "Motion" if is_motion else "WaterUse")]
