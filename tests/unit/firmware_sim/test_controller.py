"""Signals and commands enter one controller; what it says follows the wire page."""

from __future__ import annotations

import dataclasses

from firmware_sim.community import make_community
from firmware_sim.controller import Controller, Signal, signals_of
from firmware_sim.drift import Drift, DriftKind
from firmware_sim.people import DeviceKind, StreetDevice
from firmware_sim.residents import Act, ActKind
from kaimen import wire

START_MS = 1_761_955_200_000
COMMUNITY = make_community(7, 24, 4, "baihe", START_MS)
DEVICE = next(item for item in COMMUNITY.devices if item.kind is DeviceKind.DWELLING_DOOR)


def _controller(*, capacity: int = 100, drift: Drift | None = None) -> Controller:
    device: StreetDevice = dataclasses.replace(DEVICE, capacity=capacity)
    return Controller(device, 7, drift or Drift())


def _swing(at_ms: int, state: str) -> Signal:
    return Signal(at_ms, DEVICE.device_id, 0, 0, "DoorPhysicalState", state)


def _open_and_close(controller: Controller, at_ms: int) -> list[wire.Event]:
    return controller.sense(_swing(at_ms, "Open")) + controller.sense(_swing(at_ms + 5_000, "Closed"))


def test_events_are_numbered_from_one_and_the_counter_counts_openings_for_life() -> None:
    controller = _controller()
    controller.start(START_MS)
    before = controller.memory.opens
    events = _open_and_close(controller, START_MS + 1_000) + _open_and_close(controller, START_MS + 9_000)
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert [event.opens for event in events] == [before + 1, before + 1, before + 2, before + 2]
    assert [event.up for event in events] == [1_000, 6_000, 9_000, 14_000]


def test_only_edges_are_told() -> None:
    controller = _controller()
    controller.start(START_MS)
    first = controller.sense(_swing(START_MS + 1, "Open"))
    again = controller.sense(_swing(START_MS + 2, "Open"))
    one_leaves = controller.sense(_swing(START_MS + 3, "Closed"))
    last = controller.sense(_swing(START_MS + 4, "Closed"))
    assert [len(first), len(again), len(one_leaves), len(last)] == [1, 0, 0, 1]


def test_a_new_boot_begins_at_one_and_keeps_counter_and_what_was_not_sent() -> None:
    controller = _controller()
    controller.start(START_MS)
    first = _open_and_close(controller, START_MS + 1_000)
    controller.stop()
    assert _open_and_close(controller, START_MS + 20_000) == []
    controller.start(START_MS + 60_000)
    second = _open_and_close(controller, START_MS + 70_000)
    assert second[0].boot != first[0].boot
    assert second[0].seq == 1
    assert second[0].opens == (first[0].opens or 0) + 1
    batches = list(controller.batches(set()))
    assert [[event.boot for event in batch] for batch in batches] == [
        [first[0].boot] * 2,
        [second[0].boot] * 2,
    ]
    assert all(event.hist for batch in batches for event in batch)
    assert [event.content() for event in batches[0]] == [event.content() for event in first]


def test_a_full_memory_forgets_the_oldest_and_says_so() -> None:
    controller = _controller(capacity=3)
    controller.start(START_MS)
    for turn in range(3):
        _open_and_close(controller, START_MS + 1_000 + turn * 10_000)
    heartbeat = controller.heartbeat(START_MS + 60_000)
    assert (heartbeat.seq_last, heartbeat.unsent, heartbeat.first_seq) == (6, 3, 4)
    assert [event.seq for batch in controller.batches(set()) for event in batch] == [4, 5, 6]


def test_an_acknowledged_event_is_forgotten_and_one_under_way_is_not_sent_again() -> None:
    controller = _controller()
    controller.start(START_MS)
    events = _open_and_close(controller, START_MS + 1_000)
    keys = [(event.boot, event.seq) for event in events]
    assert list(controller.batches(set(keys))) == []
    controller.acknowledge(keys[:1])
    controller.acknowledge(keys[:1])
    assert [event.seq for batch in controller.batches(set()) for event in batch] == [2]


def test_arrays_hold_one_boot_and_fit_the_protocol() -> None:
    controller = _controller(capacity=2_000)
    controller.start(START_MS)
    for turn in range(400):
        _open_and_close(controller, START_MS + 1_000 + turn * 10_000)
    batches = list(controller.batches(set()))
    payloads = [wire.format_batch(batch) for batch in batches]
    assert sum(len(batch) for batch in batches) == 800
    for payload in payloads:
        assert all(isinstance(event, wire.Event) for event in wire.parse_batch(payload))


def test_a_stuck_contact_tells_nothing_and_counts_nothing() -> None:
    controller = _controller()
    controller.start(START_MS)
    before = controller.memory.opens
    controller.memory.stuck = True
    assert _open_and_close(controller, START_MS + 1_000) == []
    assert controller.memory.opens == before
    assert controller.free_contact(START_MS + 9_000) == []
    controller.memory.stuck = True
    controller.sense(_swing(START_MS + 10_000, "Open"))
    freed = controller.free_contact(START_MS + 11_000)
    assert [event.state for event in freed] == ["Open"]
    assert controller.memory.opens == before + 1


def test_before_a_time_server_was_heard_the_calendar_begins_in_1970() -> None:
    controller = _controller()
    controller.start(START_MS)
    first = controller.heartbeat(START_MS + 3_000)
    assert (first.clk, first.ts) == ("unsynced", 3_000)
    controller.hear_time_server(START_MS + 5_000)
    later = controller.heartbeat(START_MS + 120_000)
    assert (later.clk, later.ts, later.up) == ("ntp", START_MS + 120_000, 120_000)


def test_a_clock_of_its_own_says_so_and_drifts() -> None:
    controller = _controller(drift=Drift(DriftKind.LINEAR, "rtc", rate_ppm=-50))
    controller.start(START_MS)
    heartbeat = controller.heartbeat(START_MS + 10_000_000)
    assert (heartbeat.clk, heartbeat.ts) == ("rtc", START_MS + 10_000_000 - 500)


def test_coming_home_with_a_card_is_granted_then_opened_then_taken_then_closed() -> None:
    household = next(item for item in COMMUNITY.households if item.has_reader and not item.shared_door_id)
    act = Act(START_MS, household.index, ActKind.COME_IN, "c_x", "card", hold_ms=4_000)
    told = [(signal.type, signal.state, signal.dir) for signal in signals_of(act, household)]
    assert told == [
        ("AccessGranted", None, "in"),
        ("DoorPhysicalState", "Open", "in"),
        ("AccessTaken", None, "in"),
        ("DoorPhysicalState", "Closed", None),
    ]


def test_who_comes_from_outside_passes_the_unit_door_first() -> None:
    household = next(item for item in COMMUNITY.households if item.has_reader and item.shared_door_id)
    act = Act(START_MS, household.index, ActKind.COME_IN, "c_x", "card", 4_000, 60_000)
    taken = [
        (signal.device_id, signal.at_ms)
        for signal in signals_of(act, household)
        if signal.type == "AccessTaken"
    ]
    assert [device for device, _at in taken] == [household.shared_door_id, household.door_id]
    assert taken[1][1] - taken[0][1] == 60_000


def test_a_card_shown_at_a_door_that_stays_shut_is_not_taken() -> None:
    household = next(item for item in COMMUNITY.households if item.has_reader)
    act = Act(START_MS, household.index, ActKind.TURNED_BACK, "c_x", "card")
    assert [signal.type for signal in signals_of(act, household)] == ["AccessGranted", "AccessNotTaken"]


def test_a_long_talk_in_the_doorway_is_held_open() -> None:
    household = COMMUNITY.households[0]
    act = Act(START_MS, household.index, ActKind.GO_OUT, hold_ms=90_000)
    types = [s.type for s in signals_of(act, household) if s.device_id == household.door_id]
    assert types == ["DoorPhysicalState", "DoorOpenTooLong", "DoorPhysicalState"]
