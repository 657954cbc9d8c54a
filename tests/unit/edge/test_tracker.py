"""When readings become openings, and when they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.credentials import token_of
from edge.device_table import DeviceEntry
from edge.reading import Kind, Nature, Reading, read
from edge.tracker import (
    Decision,
    DeviceState,
    Receipt,
    advance,
    begin_boot,
    clock_stepped,
    counter_restarted,
    was_silent,
)

NOW = 1_763_712_000_000
ENTRY = DeviceEntry(source="z/front", site="garden", device="z-1201", door="3-1-1201")


def state(**given: Any) -> DeviceState:
    fresh = begin_boot(None, ENTRY, Receipt(NOW, 5_000), boot="a" * 16, machine_boot="m")
    return replace(fresh, **given)


def fold(before: DeviceState, *readings: Reading, after_ms: int = 0, retained: bool = False, qos: int = 1,
         entry: DeviceEntry = ENTRY) -> Decision:  # fmt: skip
    receipt = Receipt(NOW + after_ms, 5_000 + after_ms, retained=retained, qos=qos)
    return advance(before, entry, readings, receipt, [None] * len(readings))


def contact(is_open: bool, **given: Any) -> Reading:
    return read("z/front", Kind.DOOR_OPEN if is_open else Kind.DOOR_CLOSED, "", **given)


def told(decision: Decision) -> list[tuple[str, str | None]]:
    return [(event.type, event.state) for event in decision.events]


def test_the_first_report_is_no_edge_and_a_check_in() -> None:
    decision = fold(state(), contact(True))
    assert told(decision) == []
    assert decision.heartbeat is not None
    assert (decision.heartbeat.basis, decision.heartbeat.seq_last, decision.heartbeat.opens) == (
        "check_in",
        0,
        None,
    )


def test_closed_then_open_is_one_opening_however_often_it_is_repeated() -> None:
    current = state()
    events = []
    for step, is_open in enumerate((False, True, True, True, False, False, True)):
        decision = fold(current, contact(is_open), after_ms=step * 1_000)
        current = decision.state
        events += told(decision)
        assert (decision.heartbeat is None) == bool(decision.events)
    assert events == [
        ("DoorPhysicalState", "Open"), ("DoorPhysicalState", "Closed"), ("DoorPhysicalState", "Open"),
    ]  # fmt: skip


def test_a_closed_state_kept_over_a_restart_makes_the_next_open_an_edge() -> None:
    kept = state(contact="Closed", seq=4)
    renewed = begin_boot(kept, ENTRY, Receipt(NOW, 9), boot="b" * 16, machine_boot="m")
    assert (renewed.seq, renewed.contact) == (0, "Closed")
    decision = fold(renewed, contact(True))
    assert told(decision) == [("DoorPhysicalState", "Open")]
    assert decision.events[0].seq == 1


def test_a_retained_replay_without_a_time_says_nothing() -> None:
    decision = fold(state(contact="Closed"), contact(True), retained=True)
    assert (told(decision), decision.heartbeat, decision.state.contact) == ([], None, "Closed")


def test_a_last_will_is_not_a_check_in() -> None:
    decision = fold(state(), read("z/front", Kind.DEVICE_OFFLINE, "", heard=False))
    assert decision.heartbeat is None


def test_the_devices_time_dates_the_event_and_its_uptime_agrees() -> None:
    decision = fold(state(contact="Closed"), contact(True, occurred_ms=NOW + 100_000), after_ms=103_000)
    (event,) = decision.events
    assert (event.ts, event.up, event.rx, event.clk) == (NOW + 100_000, 100_000, NOW + 103_000, "ntp")


def test_a_time_in_the_future_or_the_far_past_is_not_taken() -> None:
    for wrong_ms in (NOW + 60_000, NOW - 60 * 86_400_000):
        (event,) = fold(state(contact="Closed"), contact(True, occurred_ms=wrong_ms)).events
        assert event.ts == NOW


def test_a_report_that_comes_out_of_order_is_put_where_it_belongs() -> None:
    current, found = state(), []
    for after_ms, is_open in (
        (0, False),
        (11_000, False),
        (12_000, True),
        (13_000, False),
        (10_000, True),
        (10_000, True),
    ):
        reading = contact(is_open, occurred_ms=NOW + after_ms)
        decision = fold(current, reading, after_ms=20_000)
        current = decision.state
        found += [(event.ts - NOW, event.state) for event in decision.events]
    assert found == [(12_000, "Open"), (13_000, "Closed"), (10_000, "Open"), (11_000, "Closed")]
    assert current.contact == "Closed"


@given(order=st.permutations(range(8)))
def test_no_order_of_delivery_loses_a_timed_opening(order: list[int]) -> None:
    current, found = fold(state(), contact(False, occurred_ms=NOW), after_ms=0).state, set()
    for step in order:
        reading = contact(step % 2 == 0, occurred_ms=NOW + 1_000 * (step + 1))
        decision = fold(current, reading, after_ms=20_000)
        current = decision.state
        found |= {event.ts - NOW for event in decision.events if event.state == "Open"}
    assert found == {1_000, 3_000, 5_000, 7_000}
    assert current.contact == "Closed"


def test_stored_records_are_samples_and_only_a_transition_is_an_opening() -> None:
    records = [
        contact(is_open, nature=Nature.HISTORY, occurred_ms=NOW - 3_600_000 + step * 600_000)
        for step, is_open in enumerate((False, True, True, False))
    ]
    decision = fold(state(contact="Closed"), *records)
    assert told(decision) == [("DoorPhysicalState", "Open"), ("DoorPhysicalState", "Closed")]
    opening, closing = decision.events
    assert opening.ts == NOW - 3_000_000
    assert opening.hist and opening.up == 0 and opening.seq == 1
    assert len({opening.boot, closing.boot, decision.state.boot}) == 3
    again = fold(decision.state, *records)
    assert told(again) == []
    assert decision.heartbeat is not None, "the device itself was heard now"


def test_an_event_older_than_the_boot_covers_nothing_of_it() -> None:
    old = read("z/front", Kind.ACCESS_GRANTED, "", occurred_ms=NOW - 3_600_000)
    (event,) = fold(state(), old).events
    assert event.boot != "a" * 16 and event.ts == NOW - 3_600_000 and event.hist
    (same,) = fold(state(), old).events
    assert same.boot == event.boot, "a copy of the record is the same event"


def test_the_counter_tells_of_a_lost_opening_and_charges_no_fault() -> None:
    counted = fold(state(contact="Closed"), contact(False, opens=10)).state
    decision = fold(counted, contact(False, opens=12), after_ms=60_000)
    assert decision.lost_openings == 2
    assert decision.heartbeat is not None
    # The coverage rule sees two events missing and the counter risen by two.
    assert (decision.heartbeat.seq_last, decision.heartbeat.opens) == (2, 12)


def test_an_opening_that_was_seen_is_not_lost_whenever_the_device_counts_it() -> None:
    for while_open, after_close in ((11, 11), (10, 11)):
        before = fold(state(contact="Closed"), contact(False, opens=10)).state
        opened = fold(before, contact(True, opens=while_open), after_ms=1_000)
        closed = fold(opened.state, contact(False, opens=after_close), after_ms=2_000)
        assert [event.opens for event in opened.events + closed.events] == [11, 11]
        assert (opened.lost_openings, closed.lost_openings) == (0, 0)
        assert [event.seq for event in opened.events + closed.events] == [1, 2]


def test_a_counter_that_fell_is_a_restarted_device() -> None:
    assert counter_restarted(state(opens=10), [contact(False, opens=0)])
    assert not counter_restarted(state(opens=10), [contact(False, opens=10)])


def test_a_step_of_the_machines_clock_ends_the_boot() -> None:
    assert not clock_stepped(state(), Receipt(NOW + 50_000, 5_000))
    assert clock_stepped(state(), Receipt(NOW + 3_600_000, 5_000))


def test_a_one_way_sensor_opens_again_but_not_by_its_own_repeats() -> None:
    one_way = replace(ENTRY, one_way=True)
    signal = contact(True, nature=Nature.EDGE, opening=True)
    current, count = state(), 0
    for after_ms in (0, 200, 400, 60_000, 60_200):
        decision = fold(current, signal, after_ms=after_ms, entry=one_way)
        current, count = decision.state, count + len(decision.events)
    assert count == 2


def test_the_same_message_from_two_gateways_counts_once() -> None:
    press = read("b", Kind.SOS, "", key="packet:9")
    first = fold(state(), press)
    second = fold(first.state, press, after_ms=300)
    assert (len(first.events), len(second.events)) == (1, 0)


def test_motion_is_told_when_it_begins() -> None:
    current, count = state(), 0
    for step, kind in enumerate((Kind.MOTION, Kind.MOTION, Kind.NO_MOTION, Kind.MOTION)):
        decision = fold(current, read("z/front", kind, ""), after_ms=step)
        current, count = decision.state, count + len(decision.events)
    assert count == 2


def test_tamper_is_told_once_until_a_frame_says_that_it_is_over() -> None:
    tamper = read("z/front", Kind.TAMPER, "")
    first = fold(state(contact="Closed"), contact(False), tamper)
    second = fold(first.state, contact(False), tamper, after_ms=1)
    over = fold(second.state, contact(False), after_ms=2)
    third = fold(over.state, contact(False), tamper, after_ms=3)
    assert [len(decision.events) for decision in (first, second, over, third)] == [1, 0, 0, 1]


def test_a_frame_without_guarantee_ends_what_may_continue() -> None:
    assert fold(state(), contact(False), qos=0).state.qos_kept is False


def test_a_token_names_nobody_and_is_the_same_every_time() -> None:
    token = token_of("key", "garden", "0011223344")
    assert token == token_of("key", "garden", " 0011223344 ")
    assert token is not None and token.startswith("c_") and "0011223344" not in token
    assert token != token_of("key", "other", "0011223344")
    assert token_of(None, "garden", "0011223344") is None


# --- Silences --------------------------------------------------------------------------------------------------------

HOUR_MS = 3_600_000


def heard_every(hours: float, times: int, **given: Any) -> DeviceState:
    """A device that reported its closed contact so often, at such a pace; the last time at ``NOW`` + all of it."""
    current = state(contact="Closed", **given)
    for step in range(times):
        current = fold(current, contact(False), after_ms=round(step * hours * HOUR_MS)).state
    return current


def back_after(current: DeviceState, hours: float, entry: DeviceEntry = ENTRY, **given: Any) -> bool:
    assert current.heard_ms is not None
    receipt = Receipt(current.heard_ms + round(hours * HOUR_MS), 1, retained=given.pop("retained", False))
    return was_silent(current, entry, [contact(False, **given)], receipt)


def test_a_sensor_back_after_days_begins_anew_though_its_contact_is_as_it_was() -> None:
    hourly = heard_every(1, 24 * 8)
    assert not back_after(hourly, 2.5)
    assert back_after(hourly, 73), "three days behind a dead gateway are not three days without an opening"
    assert not back_after(hourly, 73, retained=True), "what a broker kept says nothing about now"
    assert not back_after(replace(hourly, opens=7), 73, opens=7), (
        "its own counter proves that it did not open"
    )


def test_a_sensor_that_reports_twice_a_day_is_not_silent_between() -> None:
    slow = heard_every(12, 40)
    assert not back_after(slow, 12.5) and back_after(slow, 40)
    fresh = state(contact="Closed", heard_ms=NOW)
    assert not back_after(fresh, 12.5) and back_after(fresh, 25), "before its pace is known"
    seldom = replace(ENTRY, supervision_s=72 * 3600)
    assert not back_after(slow, 70, seldom) and back_after(slow, 73, seldom), "what the installer wrote holds"


def test_an_outage_does_not_become_usual() -> None:
    hourly = heard_every(1, 24 * 8)
    receipt = Receipt(hourly.heard_ms + 73 * HOUR_MS, 1)
    renewed = begin_boot(hourly, ENTRY, receipt, boot="b" * 16, machine_boot="m")
    after = advance(renewed, ENTRY, [contact(False)], receipt, [None]).state
    assert after.heard_ms == receipt.now_ms
    assert back_after(after, 8)
