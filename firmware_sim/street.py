"""The street at work: a community and an instant enter, the messages its devices send up to there leave.

One queue of dated items (acts, signals, heartbeats, faults) is played in order of time. With a simulated link each
message meets its fate here and is yielded when it is received; with a real link messages leave through
``advance`` and stay in the device until ``acknowledge``. What is needed to go on is in ``snapshot``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import msgspec

from firmware_sim import faults
from firmware_sim.chance import mix
from firmware_sim.controller import Controller, EventKey, Memory, Signal, signals_of
from firmware_sim.drift import DriftLevel, drift_of
from firmware_sim.people import Community, DeviceKind, Household
from firmware_sim.residents import Act, ActKind, acts, day_of, start_of
from kaimen import wire

SECOND_MS = 1_000
MINUTE_MS = 60_000
STEP_MS = 600_000
FIRST_HEARTBEAT_MS = 3 * SECOND_MS
REBOOT_MS = 20 * SECOND_MS
NOTICED_MS = 90 * SECOND_MS

# Order of what falls on one instant: faults before people, people before what they make devices say.
_HAPPENING, _ACT, _SIGNAL, _HEARTBEAT, _FLUSH = range(5)

Delivery = tuple[int, str, bytes]


class Pending(msgspec.Struct, frozen=True):
    """A dated item that a snapshot must carry; acts and heartbeats are found again without it."""

    at_ms: int
    code: int
    device: int
    household: int
    step: int
    word: str | None = None
    signal: Signal | None = None


class InFlight(msgspec.Struct, frozen=True, order=True):
    """A message on its way over the simulated link."""

    received_ms: int
    device: int
    number: int
    channel: str
    payload: bytes


class Snapshot(msgspec.Struct):
    """Everything but the devices' memories that a street needs to go on."""

    now_ms: int
    next_day: int
    pending: list[Pending]
    in_flight: list[InFlight]
    shut: list[str]
    unplugged: list[str]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for a real broker; ``ticket`` comes back with its acknowledgement, 0 where none is awaited."""

    sent_ms: int
    gateway_id: str
    channel: str
    topic: str
    payload: bytes
    ticket: int

    @property
    def qos(self) -> int:
        return 0 if self.channel == "hb" else 1

    @property
    def retain(self) -> bool:
        return self.channel == "state"


class CommandError(ValueError):
    """A command that names nobody or nothing; the text says what is known."""


class Street:
    """A community being played; time only goes forward."""

    def __init__(
        self,
        community: Community,
        start_ms: int,
        *,
        rates: faults.FaultRates = faults.USUAL,
        drift: DriftLevel = DriftLevel.GENTLE,
        real_link: bool = False,
    ) -> None:
        self.community = community
        self.now_ms = start_ms
        self.real_link = real_link
        self.shut: set[str] = set()
        self.unplugged: set[str] = set()
        self.touched: set[int] = set()
        self.controllers = [
            Controller(device, community.seed, drift_of(community.seed, device.index, drift))
            for device in community.devices
        ]
        self._rates = rates
        self._fates = [mix(community.seed, 31, device.index) for device in community.devices]
        self._connected: set[str] = set()
        self._members = self._devices_by_gateway()
        self._topics: dict[tuple[int, str], str] = {}
        self._linked = [False] * len(self.controllers)
        self._sending: list[set[EventKey]] = [set() for _ in self.controllers]
        self._tickets: dict[int, tuple[int, tuple[EventKey, ...], InFlight | None]] = {}
        self._ticket = 0
        self._queue: list[tuple[int, int, int, int, int, int, Any]] = []
        self._serial = 0
        self._in_flight: list[InFlight] = []
        self._outbox: list[Outgoing] = []
        self._next_day = day_of(start_ms)
        for device in community.devices:
            self._install(device.index, start_ms)

    def _install(self, device: int, start_ms: int) -> None:
        """Begin with a device that has run for a while, so that its door is watched from the first instant."""
        controller = self.controllers[device]
        bits = mix(self.community.seed, 50, device)
        period_ms = controller.device.heartbeat_s * SECOND_MS
        booted_ms = start_ms - MINUTE_MS - bits % period_ms
        controller.start(booted_ms)
        controller.hear_time_server(booted_ms)
        self._schedule_heartbeat(device, start_ms)
        # Their links come up one after the other, not all in one millisecond.
        controller.memory.link_faults = 1
        self._happen(start_ms + bits % (40 * SECOND_MS), device, "link_returned")

    def _devices_by_gateway(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {gateway_id: [] for gateway_id in self.community.gateway_ids}
        for device in self.community.devices:
            if device.kind is not DeviceKind.GATEWAY:
                found[device.gateway_id].append(device.index)
        return found

    # Playing

    def run(self, to_ms: int) -> Iterator[Delivery]:
        """Play up to ``to_ms`` over the simulated link; yield (received_at, topic, payload) in order of receipt."""
        assert not self.real_link, "a street with a real link is played with advance()"
        while self.now_ms < to_ms:
            self._play(min(to_ms, self.now_ms + STEP_MS))
            while self._in_flight and self._in_flight[0].received_ms <= self.now_ms:
                message = heappop(self._in_flight)
                yield message.received_ms, self._topic(message.device, message.channel), message.payload

    def advance(self, to_ms: int) -> list[Outgoing]:
        """Play up to ``to_ms``; return what the devices send over the real link, in order."""
        assert self.real_link, "a street with a simulated link is played with run()"
        self._play(max(to_ms, self.now_ms))
        self._forward_in_flight()
        outgoing, self._outbox = self._outbox, []
        return outgoing

    def next_due_ms(self) -> int:
        """Return the next instant at which anything happens."""
        next_day_ms = start_of(self._next_day)
        return min(self._queue[0][0], next_day_ms) if self._queue else next_day_ms

    def _play(self, to_ms: int) -> None:
        queue = self._queue
        next_day_ms = start_of(self._next_day)
        while True:
            if next_day_ms <= to_ms and (not queue or next_day_ms <= queue[0][0]):
                self._begin_day()
                next_day_ms = start_of(self._next_day)
                continue
            if not queue or queue[0][0] > to_ms:
                break
            at_ms, code, device, household, _step, _serial, what = heappop(queue)
            self.now_ms = max(at_ms, self.now_ms)
            if code == _SIGNAL:
                self._sense(device, what)
            elif code == _HEARTBEAT:
                self._beat(at_ms, device, what)
            elif code == _ACT:
                self._begin_act(what, self.community.households[household])
            elif code == _FLUSH:
                self._flush(at_ms, device)
            else:
                self._apply_happening(at_ms, device, what)
        self.now_ms = to_ms

    def _push(self, at_ms: int, code: int, device: int, household: int, step: int, what: Any) -> None:
        self._serial += 1
        heappush(self._queue, (at_ms, code, device, household, step, self._serial, what))

    def _happen(self, at_ms: int, device: int, word: str) -> None:
        self._push(at_ms, _HAPPENING, device, -1, 0, word)

    def _begin_day(self) -> None:
        day = self._next_day
        self._next_day = day + 1
        self._load_acts(max(self.now_ms, start_of(day) - 1), start_of(day + 1))
        for fault in faults.faults_of_day(self.community, day, self._rates):
            if fault.from_ms > self.now_ms:
                self._plan(fault)

    def _load_acts(self, after_ms: int, to_ms: int) -> None:
        for household in self.community.households:
            for act in acts(household, after_ms + 1, to_ms):
                self._push(act.at_ms, _ACT, -1, household.index, 0, act)

    # People

    def _begin_act(self, act: Act, household: Household) -> None:
        if household.household_id not in self.shut:
            self._signal_all(signals_of(act, household))

    def _signal_all(self, signals: list[Signal]) -> None:
        for signal in signals:
            device = self.community.device_by_id[signal.device_id].index
            self._push(signal.at_ms, _SIGNAL, device, signal.household_index, signal.step, signal)

    def _sense(self, device: int, signal: Signal) -> None:
        self._send_events(signal.at_ms, device, self.controllers[device].sense(signal))

    def _send_events(self, at_ms: int, device: int, events: list[wire.Event]) -> None:
        self.touched.add(device)
        if not self._linked[device]:
            return
        for event in events:
            self._transmit(at_ms, device, "evt", wire.format_event(event), ((event.boot, event.seq),))

    # Devices

    def _schedule_heartbeat(self, device: int, after_ms: int) -> None:
        """Put the first heartbeat of the running boot after an instant into the queue."""
        memory = self.controllers[device].memory
        period_ms = self.controllers[device].device.heartbeat_s * SECOND_MS
        first_ms = memory.booted_ms + FIRST_HEARTBEAT_MS
        turns = max(0, (after_ms - first_ms) // period_ms + 1)
        self._push(first_ms + turns * period_ms, _HEARTBEAT, device, -1, 0, memory.starts)

    def _beat(self, at_ms: int, device: int, starts: int) -> None:
        controller = self.controllers[device]
        memory = controller.memory
        if not memory.powered or memory.starts != starts:
            return
        self._push(at_ms + controller.device.heartbeat_s * SECOND_MS, _HEARTBEAT, device, -1, 0, starts)
        if self._linked[device]:
            self._send_heartbeat(at_ms, device)
            if memory.unsent:
                self._send_waiting(at_ms, device)

    def _send_heartbeat(self, at_ms: int, device: int) -> None:
        heartbeat = self.controllers[device].heartbeat(at_ms)
        self._transmit(at_ms, device, "hb", wire.format_heartbeat(heartbeat), ())

    def _send_waiting(self, at_ms: int, device: int) -> None:
        for batch in list(self.controllers[device].batches(self._sending[device])):
            keys = tuple((event.boot, event.seq) for event in batch)
            self._transmit(at_ms, device, "evb", wire.format_batch(batch), keys)

    def _flush(self, at_ms: int, device: int) -> None:
        if self._linked[device]:
            self._send_waiting(at_ms, device)
            self._send_heartbeat(at_ms, device)

    def _send_state(self, at_ms: int, device: int, state: wire.State) -> None:
        self._transmit(at_ms, device, "state", wire.format_state(state), ())

    # The link

    def _transmit(
        self, at_ms: int, device: int, channel: str, payload: bytes, keys: tuple[EventKey, ...]
    ) -> None:
        if self.real_link:
            self._hand_over(at_ms, device, channel, payload, keys, None)
            return
        memory = self.controllers[device].memory
        memory.sent_count += 1
        fate = faults.fate_of(self._fates[device], memory.sent_count, self._rates)
        if fate.arrives:
            number = 2 * memory.sent_count
            arrival = InFlight(at_ms + fate.delay_ms, device, number, channel, payload)
            heappush(self._in_flight, arrival)
            if fate.second_delay_ms is not None and channel != "hb":
                again = InFlight(at_ms + fate.second_delay_ms, device, number + 1, channel, payload)
                heappush(self._in_flight, again)
        if fate.acknowledged and keys:
            self.controllers[device].acknowledge(keys)

    def _topic(self, device: int, channel: str) -> str:
        topic = self._topics.get((device, channel))
        if topic is None:
            topic = wire.format_topic(
                self.community.site_id, self.controllers[device].device.device_id, channel
            )
            self._topics[device, channel] = topic
        return topic

    def _hand_over(
        self,
        at_ms: int,
        device: int,
        channel: str,
        payload: bytes,
        keys: tuple[EventKey, ...],
        carried: InFlight | None,
    ) -> None:
        ticket = 0
        if keys or carried is not None:
            self._ticket += 1
            ticket = self._ticket
            self._tickets[ticket] = (device, keys, carried)
            self._sending[device].update(keys)
        gateway_id = self.controllers[device].device.gateway_id
        self._outbox.append(
            Outgoing(at_ms, gateway_id, channel, self._topic(device, channel), payload, ticket)
        )

    def _forward_in_flight(self) -> None:
        """Hand over what the simulated link still carried when a real one took its place."""
        if not self._in_flight:
            return
        carried = {entry[2] for entry in self._tickets.values()}
        for message in sorted(self._in_flight):
            due = message.received_ms <= self.now_ms and message not in carried
            if due and self._linked[message.device]:
                self._hand_over(self.now_ms, message.device, message.channel, message.payload, (), message)

    def acknowledge(self, ticket: int) -> None:
        """Take the broker's word that it has a message; the device may forget its events."""
        entry = self._tickets.pop(ticket, None)
        if entry is None:
            return
        device, keys, carried = entry
        if carried is not None:
            self._in_flight.remove(carried)
        self.controllers[device].acknowledge(keys)
        self._sending[device].difference_update(keys)
        self.touched.add(device)

    def set_connected(self, gateway_id: str, *, connected: bool) -> None:
        """Say whether a gateway's session with the real broker stands."""
        (self._connected.add if connected else self._connected.discard)(gateway_id)
        self._relink_gateway(self.now_ms, gateway_id)

    def wants_link(self, gateway_id: str) -> bool:
        """Say whether a gateway has power and a plugged cable, so that it would hold a session."""
        memory = self.controllers[self.community.device_by_id[gateway_id].index].memory
        return memory.powered and memory.link_faults == 0 and gateway_id not in self.unplugged

    def _is_linked(self, device: int) -> bool:
        controller = self.controllers[device]
        memory = controller.memory
        gateway_id = controller.device.gateway_id
        return (
            memory.powered
            and memory.link_faults == 0
            and self.wants_link(gateway_id)
            and (not self.real_link or gateway_id in self._connected)
        )

    def _relink_gateway(self, at_ms: int, gateway_id: str) -> None:
        self._relink(at_ms, self.community.device_by_id[gateway_id].index)
        for device in self._members[gateway_id]:
            self._relink(at_ms, device)

    def _relink(self, at_ms: int, device: int) -> None:
        linked = self._is_linked(device)
        if linked == self._linked[device]:
            return
        self._linked[device] = linked
        controller = self.controllers[device]
        controller.memory.link_changes += 1
        self.touched.add(device)
        if linked:
            controller.hear_time_server(at_ms)
            self._send_state(at_ms, device, controller.birth())
            jitter_ms = 300 + mix(self.community.seed, 51, device, at_ms) % (9 * SECOND_MS)
            self._push(at_ms + jitter_ms, _FLUSH, device, -1, 0, None)
        else:
            self._lose_link(at_ms, device)

    def _lose_link(self, at_ms: int, device: int) -> None:
        self._sending[device].clear()
        if self.real_link:
            self._tickets = {key: entry for key, entry in self._tickets.items() if entry[0] != device}
        changes = self.controllers[device].memory.link_changes
        self._happen(at_ms + NOTICED_MS, device, f"noticed {changes}")

    def _notice(self, at_ms: int, device: int, changes: int) -> None:
        """Tell a device's silence as its gateway does, or a gateway's as a broker sends out its last will."""
        controller = self.controllers[device]
        if controller.memory.link_changes != changes:
            return
        if controller.device.kind is DeviceKind.GATEWAY:
            if not self.real_link:
                self._send_state(at_ms, device, controller.will())
        elif self._linked[self.community.device_by_id[controller.device.gateway_id].index]:
            self._send_state(at_ms, device, controller.will())

    # Faults

    def _plan(self, fault: faults.Fault) -> None:
        device = self.community.device_by_id[fault.device_id].index
        if fault.kind is faults.FaultKind.TAMPER:
            self._happen(fault.from_ms, device, "tamper")
            return
        if fault.kind is faults.FaultKind.UNIT_POWER_CUT:
            for member in (device, *self._members[fault.device_id]):
                self._plan_pair(fault, member, ("power_lost", "power_returned"))
            return
        words = {
            faults.FaultKind.GATEWAY_OUTAGE: ("link_lost", "link_returned"),
            faults.FaultKind.DEVICE_LINK: ("link_lost", "link_returned"),
            faults.FaultKind.DEVICE_POWER_CUT: ("power_lost", "power_returned"),
            faults.FaultKind.STUCK_CONTACT: ("contact_stuck", "contact_freed"),
        }
        self._plan_pair(fault, device, words[fault.kind])

    def _plan_pair(self, fault: faults.Fault, device: int, words: tuple[str, str]) -> None:
        lag_ms = mix(self.community.seed, 52, device, fault.from_ms) % (15 * SECOND_MS)
        self._happen(fault.from_ms, device, words[0])
        self._happen(fault.to_ms + lag_ms, device, words[1])

    def _apply_happening(self, at_ms: int, device: int, word: str) -> None:
        self.touched.add(device)
        controller = self.controllers[device]
        memory = controller.memory
        if word.startswith("noticed "):
            self._notice(at_ms, device, int(word.removeprefix("noticed ")))
        elif word == "power_on":
            self._power_on(at_ms, device)
        elif word == "power_lost":
            memory.power_faults += 1
            self._power_off(at_ms, device)
        elif word == "power_returned":
            memory.power_faults -= 1
            self._power_on(at_ms, device)
        elif word in ("link_lost", "link_returned"):
            memory.link_faults += 1 if word == "link_lost" else -1
            self._relink_any(at_ms, device)
        elif word == "contact_stuck":
            memory.stuck = True
        elif word == "contact_freed":
            self._send_events(at_ms, device, controller.free_contact(at_ms))
        else:
            assert word == "tamper", word
            tampered = Signal(at_ms, controller.device.device_id, -1, 0, "DoorTamper")
            self._send_events(at_ms, device, controller.sense(tampered))

    def _relink_any(self, at_ms: int, device: int) -> None:
        subject = self.controllers[device].device
        if subject.kind is DeviceKind.GATEWAY:
            self._relink_gateway(at_ms, subject.device_id)
        else:
            self._relink(at_ms, device)

    def _power_off(self, at_ms: int, device: int) -> None:
        self.controllers[device].stop()
        self._relink_any(at_ms, device)

    def _power_on(self, at_ms: int, device: int) -> None:
        controller = self.controllers[device]
        if controller.memory.power_faults > 0 or controller.memory.powered:
            return
        controller.start(at_ms)
        self._schedule_heartbeat(device, at_ms)
        self._relink_any(at_ms, device)

    # Commands of people at the running street

    def open_door(self, household_id: str) -> dict[str, Any]:
        """Let somebody go out now, whatever else holds for this home."""
        return self._do(household_id, ActKind.GO_OUT)

    def come_home(self, household_id: str) -> dict[str, Any]:
        """Let the first of those who live there come in with her own credential."""
        return self._do(household_id, ActKind.COME_IN)

    def press_sos(self, household_id: str) -> dict[str, Any]:
        return self._do(household_id, ActKind.SOS)

    def send_stranger(self, household_id: str) -> dict[str, Any]:
        """Let a stranger try an unknown card three times within two minutes."""
        found: dict[str, Any] = {}
        for turn in range(3):
            found = self._do(household_id, ActKind.STRANGER, at_ms=self.now_ms + turn * 50 * SECOND_MS)
        return found

    def _do(self, household_id: str, kind: ActKind, *, at_ms: int | None = None) -> dict[str, Any]:
        household = self._household(household_id)
        instant_ms = self.now_ms if at_ms is None else at_ms
        dweller = household.dwellers[0] if household.dwellers else None
        act = Act(
            instant_ms,
            household.index,
            kind,
            f"x_{household.index:09x}" if kind is ActKind.STRANGER else dweller.token if dweller else None,
            "card" if kind is ActKind.STRANGER or dweller is None else dweller.method,
            reason="unknown" if kind is ActKind.STRANGER else None,
        )
        self._signal_all(signals_of(act, household))
        return {"household": household_id, "device": household.door_id, "at_ms": instant_ms}

    def keep_shut(self, household_id: str) -> dict[str, Any]:
        """From now on nobody stirs behind this door, and nobody comes to it."""
        household = self._household(household_id)
        self.shut.add(household_id)
        self._break_off(household)
        return {"household": household_id, "device": household.door_id, "at_ms": self.now_ms}

    def release(self, household_id: str) -> dict[str, Any]:
        self._household(household_id)
        was_shut = household_id in self.shut
        self.shut.discard(household_id)
        return {"household": household_id, "was_shut": was_shut, "at_ms": self.now_ms}

    def _break_off(self, household: Household) -> None:
        """Drop what acts under way would still do; only doors that stand open are closed."""
        own = [item for item in self._queue if item[1] == _SIGNAL and item[3] == household.index]
        kept = [item for item in self._queue if not (item[1] == _SIGNAL and item[3] == household.index)]
        swings: dict[int, list[Any]] = {}
        for item in sorted(own, key=lambda entry: entry[:6]):
            if item[6].type == "DoorPhysicalState":
                swings.setdefault(item[2], []).append(item)
        for items in swings.values():
            closings = [item for item in items if item[6].state == "Closed"]
            kept += closings[: len(closings) - sum(item[6].state == "Open" for item in items)]
        self._queue.clear()
        for item in kept:
            heappush(self._queue, item)

    def unplug_gateway(self, gateway_id: str) -> dict[str, Any]:
        self._check_gateway(gateway_id)
        self.unplugged.add(gateway_id)
        self._relink_gateway(self.now_ms, gateway_id)
        return {"gateway": gateway_id, "devices": len(self._members[gateway_id]), "at_ms": self.now_ms}

    def plug_gateway(self, gateway_id: str) -> dict[str, Any]:
        self._check_gateway(gateway_id)
        self.unplugged.discard(gateway_id)
        self._relink_gateway(self.now_ms, gateway_id)
        return {"gateway": gateway_id, "devices": len(self._members[gateway_id]), "at_ms": self.now_ms}

    def cut_power(self, device_id: str, *, off_ms: int = REBOOT_MS) -> dict[str, Any]:
        """Take a device's power away for ``off_ms``; it comes back with a new boot."""
        if device_id not in self.community.device_by_id:
            raise CommandError(f"no device {device_id!r}")
        device = self.community.device_by_id[device_id].index
        self._happen(self.now_ms, device, "power_lost")
        self._happen(self.now_ms + off_ms, device, "power_returned")
        return {"device": device_id, "back_at_ms": self.now_ms + off_ms, "at_ms": self.now_ms}

    def _household(self, household_id: str) -> Household:
        try:
            return self.community.household_by_id[household_id]
        except KeyError:
            raise CommandError(f"no household {household_id!r}") from None

    def _check_gateway(self, gateway_id: str) -> None:
        if gateway_id not in self._members:
            raise CommandError(f"no gateway {gateway_id!r}")

    # Going on later

    def snapshot(self) -> Snapshot:
        """Return what, with the devices' memories, lets another process go on from here."""
        pending = [
            Pending(
                item[0],
                item[1],
                item[2],
                item[3],
                item[4],
                item[6] if item[1] == _HAPPENING else None,
                item[6] if item[1] == _SIGNAL else None,
            )
            for item in sorted(self._queue, key=lambda entry: entry[:6])
            if item[1] in (_HAPPENING, _SIGNAL, _FLUSH)
        ]
        return Snapshot(
            self.now_ms,
            self._next_day,
            pending,
            sorted(self._in_flight),
            sorted(self.shut),
            sorted(self.unplugged),
        )

    def restore(self, snapshot: Snapshot, memories: dict[str, Memory]) -> None:
        """Go on from a snapshot; a device unknown to it is switched on anew, a real link begins unconnected."""
        self.now_ms = snapshot.now_ms
        self._next_day = snapshot.next_day
        self.shut, self.unplugged = set(snapshot.shut), set(snapshot.unplugged)
        self._queue.clear()
        self._in_flight = list(snapshot.in_flight)
        for controller in self.controllers:
            memory = memories.get(controller.device.device_id)
            if memory is None:
                controller.memory = Memory(opens=controller.device.opens_at_start)
                self._happen(self.now_ms + SECOND_MS, controller.device.index, "power_on")
            else:
                controller.memory = memory
        for item in snapshot.pending:
            what = item.signal if item.code == _SIGNAL else item.word
            self._push(item.at_ms, item.code, item.device, item.household, item.step, what)
        self._load_acts(self.now_ms, start_of(self._next_day))
        self._resume_devices()

    def _resume_devices(self) -> None:
        for device, controller in enumerate(self.controllers):
            memory = controller.memory
            if not memory.powered:
                continue
            self._schedule_heartbeat(device, self.now_ms)
            self._linked[device] = self._is_linked(device)


def history(
    community: Community,
    from_ms: int,
    to_ms: int,
    *,
    rates: faults.FaultRates = faults.USUAL,
    drift: DriftLevel = DriftLevel.GENTLE,
) -> Iterator[Delivery]:
    """Yield (received_at_ms, topic, payload) of a span, in order of receipt; devices start at ``from_ms``.

    To go on where it ends, play a ``Street`` with ``run`` and keep it with ``firmware_sim.state.save``.
    """
    return Street(community, from_ms, rates=rates, drift=drift).run(to_ms)
