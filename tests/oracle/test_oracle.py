"""Hand-computed streams enter, one per sentence of the coverage rule; the oracle's words about them leave.

Instants in the tests are seconds after T0. Unless a test says otherwise there is one device "d" with a
synchronised clock, started at 0 and supervised for 60 s, and one household "h" whose only door it is, watched
from 0 with thresholds of 100, 200 and 300 s.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle import wire_oracle
from tests.oracle.wire_oracle import DeviceView, judge
from tests.property.strategies_wire import plain_streams, random_case, topic_for, wire_cases
from tests.seeds import slow_seeds

T0 = 1_763_712_000_000
S = 1_000
DAY = 86_400
Line = dict[str, Any]

KINDS: dict[str, dict[str, Any]] = {
    "open": {"type": "DoorPhysicalState", "state": "Open"},
    "closed": {"type": "DoorPhysicalState", "state": "Closed"},
    "taken": {"type": "AccessTaken"},
    "granted": {"type": "AccessGranted"},
    "forced": {"type": "DoorForcedOpen"},
    "tamper": {"type": "DoorTamper"},
    "fault": {"type": "DoorFault"},
    "motion": {"type": "Motion"},
}


def ms(at: float) -> int:
    return T0 + round(at * S)


def body(
    at: float, boot: str, start: float, clk: str, ts: float | None, more: dict[str, Any]
) -> dict[str, Any]:
    told = ms(at if ts is None else ts)
    return {"v": 1, "boot": boot * 16, "ts": told, "up": round((at - start) * S), "clk": clk, **more}


def line(payload: Any, received: float, device: str = "d", channel: str = "evt", site: str = "s-1") -> Line:
    return {"received_at": ms(received), "topic": topic_for(site, device, channel), "payload": payload}


def beat(
    at: float,
    seq_last: int,
    *,
    boot: str = "a",
    start: float = 0,
    clk: str = "ntp",
    ts: float | None = None,
    received: float | None = None,
    device: str = "d",
    **more: Any,
) -> Line:
    payload = body(at, boot, start, clk, ts, {"seq_last": seq_last, **more})
    return line(payload, at if received is None else received, device, "hb")


def event(
    at: float,
    seq: int,
    kind: str = "open",
    *,
    boot: str = "a",
    start: float = 0,
    clk: str = "ntp",
    ts: float | None = None,
    received: float | None = None,
    device: str = "d",
    **more: Any,
) -> Line:
    payload = body(at, boot, start, clk, ts, {"seq": seq, **KINDS.get(kind, {"type": kind}), **more})
    return line(payload, at if received is None else received, device, "evt")


def beats(first: int, last: int, seq_last: int = 0, **more: Any) -> list[Line]:
    """Every 30 s."""
    return [beat(at, seq_last, **more) for at in range(first, last + 1, 30)]


def registry_with(creds: list[dict[str, Any]] | None = None, **house: Any) -> dict[str, Any]:
    house = {
        "id": "h",
        "site": "s-1",
        "doors": ["d"],
        "thresholds_s": [100, 200, 300],
        "watched_from": T0,
        "absences": [],
        "consent": True,
        **house,
    }
    devices = [{"id": name, "site": "s-1", "supervision_s": 60} for name in ("d", "e")]
    return {"devices": devices, "creds": creds or [], "households": [house]}


def report(lines: list[Line], until: float, **options: Any) -> dict[str, Any]:
    ordered = sorted(lines, key=lambda one: one["received_at"])
    return judge(ordered, registry_with(**options), ms(until))


def seconds(instant: int | None) -> float | None:
    return None if instant is None else (instant - T0) / S


def effective(*given: Any, **options: Any) -> list[tuple[int, float | None]]:
    return [(one["stage"], seconds(one["at"])) for one in report(*given, **options)["effective"]]


def checks(*given: Any, **options: Any) -> list[tuple[int, float | None, float | None]]:
    found = report(*given, **options)["checks"]
    return [(one["step"], seconds(one["at"]), seconds(one["ended_at"])) for one in found]


def announced(*given: Any, **options: Any) -> list[tuple[int, float | None, float | None, float | None]]:
    return [
        (one["stage"], seconds(one["at"]), seconds(one["announced_at"]), seconds(one["withdrawn_at"]))
        for one in report(*given, **options)["announced"]
    ]


def not_known(*given: Any, **options: Any) -> list[tuple[float | None, float | None]]:
    return [(seconds(one["from"]), seconds(one["to"])) for one in report(*given, **options)["not_known"]]


def admission(*lines: Line, until: float = 10_000) -> dict[str, int]:
    counts = judge(list(lines), registry_with(), ms(until))["admission"]
    return {name: count for name, count in counts.items() if count}


def see(*lines: Line) -> DeviceView:
    copies = [copy for one in lines for copy in wire_oracle.read_line(one, {"d": "s-1"})]
    return wire_oracle.conclude([copy for copy in copies if copy is not None], 60 * S)


def watched(*lines: Line) -> list[tuple[float | None, float | None]]:
    return [(seconds(left), seconds(right)) for left, right in see(*lines).watched]


def openings(*lines: Line) -> list[float | None]:
    return [seconds(instant) for instant in see(*lines).proved_openings]


def instants(*lines: Line) -> list[float | None]:
    return sorted((seconds(one.instant) for one in see(*lines).happenings), key=str)


# --- Instants ------------------------------------------------------------------------------------


def test_up_measures_and_ts_only_places() -> None:
    assert instants(event(10, 1), event(50, 2, ts=130)) == [10.0, 130.0]


def test_the_base_is_that_of_the_ntp_message_with_the_lowest_up() -> None:
    lines = [event(10, 1, ts=15), event(50, 2, ts=400, received=400)]
    assert instants(*lines) == [15.0, 55.0]


def test_equal_lowest_ups_are_decided_by_the_lowest_ts() -> None:
    lines = [event(10, 1, ts=200, received=200), event(10, 2, ts=14), event(20, 3, "motion", clk="rtc")]
    assert 24.0 in instants(*lines)


def test_without_ntp_the_base_is_the_least_of_receipt_and_rtc_time_less_up() -> None:
    assert instants(event(10, 1, clk="rtc", ts=7, received=12), event(20, 2, clk="rtc", received=22)) == [
        17.0,
        7.0,
    ]
    assert instants(event(10, 1, clk="unsynced", ts=-9_000, received=12)) == [12.0]


def test_an_ntp_instant_may_be_120_s_and_a_five_thousandth_of_up_away_from_the_base() -> None:
    at = 5_000
    lines = [event(10, 1), event(at, 2, ts=at + 121, received=at + 121)]
    assert instants(*lines) == [10.0, 5_121.0]
    lines = [event(10, 1), event(at, 2, ts=at + 121.001, received=at + 122)]
    assert instants(*lines) == [10.0, 5_000.0]


def test_the_boot_starts_at_its_base() -> None:
    assert watched(beat(40, 0, start=15)) == [(15.0, 40.0)]


@pytest.mark.parametrize(
    ("received", "accepted"),
    [(0 - 300, True), (0 - 300.001, False), (45 * DAY, True), (45 * DAY + 0.001, False)],
)
def test_an_instant_outside_45_days_and_5_minutes_is_implausible(received: float, accepted: bool) -> None:
    assert bool(see(event(0, 1, start=-5, received=received)).happenings) is accepted


def test_an_implausible_message_is_neither_evidence_nor_coverage() -> None:
    lines = [event(50, 1, received=50 + 46 * DAY), beat(60, 1, received=60 + 46 * DAY)]
    assert watched(*lines) == []
    assert checks(lines, 150) == [(1, 100.0, None)]


def test_a_plausible_copy_of_an_implausible_message_is_still_admitted() -> None:
    early, proper = event(400, 1, received=50), event(400, 1, received=410)
    assert admission(early, proper) == {"implausible": 1, "accepted": 1}
    assert instants(early, proper) == [400.0]


def test_a_boot_whose_ntp_offsets_differ_by_more_than_an_hour_covers_nothing_but_is_evidence() -> None:
    lines = [event(10, 1), event(20, 2, ts=3_620, received=3_620)]
    assert watched(*lines) == [(0.0, 20.0)]
    lines = [event(10, 1, opens=1), event(20, 2, "motion", ts=3_620.001, received=3_621, opens=9)]
    view = see(*lines)
    assert (view.watched, view.heard_at, view.proved_openings) == ([], None, [])
    assert instants(*lines) == [10.0, 20.0]
    assert checks(lines, 120) == [(1, 110.0, None)]


def test_rx_is_the_receipt_unless_it_is_later_than_the_line() -> None:
    lines = [event(10, 1, clk="unsynced", received=500, rx=ms(12))]
    assert instants(*lines) == [12.0]
    lines = [event(10, 1, clk="unsynced", received=500, rx=ms(501))]
    assert instants(*lines) == [500.0]


# --- One device, one boot ------------------------------------------------------------------------


def test_nothing_missing_and_no_counter_is_watched() -> None:
    assert watched(beat(30, 0), event(50, 1), beat(60, 1)) == [(0.0, 60.0)]


def test_missing_events_without_a_counter_are_not_watched() -> None:
    assert watched(beat(30, 0), beat(60, 1), beat(90, 1)) == [(0.0, 30.0), (60.0, 90.0)]
    assert watched(beat(30, 0), event(50, 2), beat(60, 2)) == [(0.0, 30.0), (50.0, 60.0)]


def test_missing_events_with_a_still_counter_are_watched() -> None:
    assert watched(beat(30, 0, opens=5), beat(60, 3, opens=5)) == [(0.0, 60.0)]


def test_the_start_of_a_boot_carries_no_counter() -> None:
    assert watched(beat(30, 2, opens=5), beat(60, 2, opens=5)) == [(30.0, 60.0)]


def test_an_open_edge_takes_one_from_the_rise_of_the_counter() -> None:
    assert watched(beat(30, 0, opens=5), event(50, 1, opens=6)) == [(0.0, 50.0)]
    assert watched(beat(30, 0, opens=5), event(50, 2, opens=6)) == [(0.0, 50.0)]


@pytest.mark.parametrize(
    ("missing", "rise", "proved"),
    [(0, 1, True), (0, 2, False), (1, 1, True), (1, 2, False), (3, 3, True), (3, 4, False), (3, -1, False)],
)
def test_a_rise_the_missing_events_can_hold_is_an_opening_at_the_left_instant(
    missing: int, rise: int, proved: bool
) -> None:
    lines = [beat(30, 0, opens=5), beat(60, missing, opens=5 + rise)]
    assert openings(*lines) == ([30.0] if proved else [])
    assert watched(*lines) == [(0.0, 30.0)]


def test_a_copy_received_again_says_nothing_new() -> None:
    lines = [beat(30, 0, opens=5), event(50, 1, opens=6), event(50, 1, opens=6, received=90, hist=True)]
    assert watched(*lines) == [(0.0, 50.0)]
    assert instants(*lines) == [50.0]


def test_two_contents_of_one_seq_are_both_evidence_and_the_lowest_up_covers() -> None:
    lines = [event(50, 1, opens=6), event(40, 1, opens=6), beat(60, 1, opens=6)]
    assert instants(*lines) == [40.0, 50.0]
    lines = [event(50, 1, opens=7), event(40, 1, opens=6), beat(60, 1, opens=6)]
    assert watched(*lines) == [(0.0, 60.0)]
    lines = [event(50, 1, opens=6), event(40, 1, opens=7), beat(60, 1, opens=6)]
    assert watched(*lines) == [(0.0, 40.0)]


def test_at_one_position_the_event_comes_before_the_heartbeats_and_these_by_up() -> None:
    lines = [beat(90, 1, opens=6), beat(60, 1, opens=6), event(50, 1, opens=6), beat(95, 1, opens=7)]
    assert openings(*lines) == [90.0]
    assert watched(*lines) == [(0.0, 90.0)]


def test_counters_are_never_compared_across_boots_and_the_time_between_is_blind() -> None:
    lines = [beat(30, 0, opens=5), beat(90, 0, boot="b", start=70, opens=6)]
    assert watched(*lines) == [(0.0, 30.0), (70.0, 90.0)]
    assert openings(*lines) == []


@pytest.mark.parametrize("kind", ["tamper", "fault"])
def test_from_tamper_or_fault_until_the_next_door_state_nothing_is_watched(kind: str) -> None:
    lines = [event(20, 1, kind), event(30, 2, "motion"), event(50, 3, "closed"), beat(60, 3)]
    assert watched(*lines) == [(0.0, 20.0), (50.0, 60.0)]
    assert watched(event(10, 1, "closed"), event(20, 2, kind), beat(60, 2)) == [(0.0, 20.0)]


def test_a_tampered_device_covers_no_tail_and_is_heard_only_by_its_events() -> None:
    view = see(event(20, 1, "tamper"), beat(50, 1))
    assert seconds(view.heard_at) == 20.0
    assert view.watched_at(ms(60)) == [(ms(0), ms(20))]


def test_tamper_ends_with_a_door_state_of_another_boot() -> None:
    lines = [
        event(20, 1, "tamper"),
        event(60, 1, "closed", boot="b", start=40),
        beat(80, 1, boot="b", start=40),
    ]
    assert watched(*lines) == [(0.0, 20.0), (60.0, 80.0)]


def test_a_door_left_open_stays_watched() -> None:
    assert watched(event(20, 1, "open"), *beats(30, 300, 1)) == [(0.0, 300.0)]


def test_the_tail_is_watched_while_supervision_lasts() -> None:
    view = see(beat(30, 0))
    assert view.watched_at(ms(90)) == [(ms(0), ms(90))]
    assert view.watched_at(ms(90) + 1) == [(ms(0), ms(30))]


def test_a_heartbeat_that_proves_nothing_is_not_heard_but_an_event_is() -> None:
    assert seconds(see(beat(30, 0), beat(80, 4)).heard_at) == 30.0
    assert seconds(see(beat(30, 0), event(80, 4)).heard_at) == 80.0


# --- Not known -----------------------------------------------------------------------------------


def test_a_device_is_not_known_before_it_is_heard_and_after_its_supervision() -> None:
    assert not_known([beat(30, 0)], 120.5) == [(0.0, 29.0), (91.0, 120.0)]


def test_a_device_never_heard_is_not_known() -> None:
    assert not_known([], 10) == [(0.0, 10.0)]


def test_what_was_not_received_yet_does_not_make_a_pulse_known() -> None:
    assert not_known([beat(30, 0, received=50), beat(60, 0, received=200)], 130) == [
        (0.0, 49.0),
        (91.0, 130.0),
    ]


def test_only_doors_required_at_the_pulse_make_a_household_not_known() -> None:
    door = {"device": "e", "role": "dwelling", "from": ms(50), "to": ms(60)}
    assert not_known(beats(0, 90, start=-1), 90, doors=["d", door]) == [(50.0, 59.0)]
    assert not_known([], 90, doors=[{**door, "role": "shared"}]) == []


def test_pulses_begin_at_the_first_whole_second_of_watching() -> None:
    assert not_known([], 10, watched_from=ms(3.2)) == [(4.0, 10.0)]


def test_an_absence_makes_nothing_known() -> None:
    assert not_known([], 10, absences=[{"from": ms(2), "to": ms(8)}]) == [(0.0, 10.0)]


# --- Household -----------------------------------------------------------------------------------


def test_a_household_is_watched_where_all_its_dwelling_doors_are() -> None:
    lines = [*beats(30, 300), *beats(30, 60, device="e"), *beats(120, 300, device="e", boot="b", start=90)]
    assert effective(lines, 250, doors=["d", "e"]) == [(1, 130.0), (2, 230.0)]
    assert checks(lines, 250, doors=["d", "e"]) == [(1, 100.0, None), (2, 200.0, None)]


def test_a_door_is_required_from_its_beginning_and_before_its_end() -> None:
    door = {"device": "e", "from": ms(50), "to": ms(60)}
    assert effective(beats(30, 120), 120, doors=["d", door]) == [(1, 110.0)]


def test_a_household_without_required_doors_is_not_watched() -> None:
    doors = [{"device": "d", "role": "shared"}]
    assert effective(beats(30, 300), 150, doors=doors) == []
    assert checks(beats(30, 300), 150, doors=doors) == [(1, 100.0, None)]


def resets(*lines: Line, **options: Any) -> bool:
    """Whether anything in the lines is evidence: then nothing, crossing or check, is due at 100."""
    return not effective(list(lines), 100, **options) and not checks(list(lines), 100, **options)


CREDS = [
    {"cred": "own", "class": "resident", "household": "h"},
    {"cred": "next", "class": "resident", "household": "other"},
    {"cred": "staff", "class": "staff"},
    {"cred": "guard", "class": "guard"},
    {"cred": "guest", "class": "visitor", "household": "h"},
]
SHARED = [{"device": "d", "role": "shared"}]


def test_an_open_edge_and_a_taken_access_at_a_dwelling_door_are_evidence() -> None:
    assert resets(event(50, 1, "open"))
    assert resets(event(50, 1, "taken"))
    assert resets(event(50, 1, "taken", cred="unlisted"), creds=CREDS)
    assert resets(event(50, 1, "taken", cred="next"), creds=CREDS)


@pytest.mark.parametrize(
    "kind", ["closed", "granted", "AccessNotTaken", "Denied", "motion", "Whistle", "forced"]
)
def test_nothing_else_at_a_door_is_evidence(kind: str) -> None:
    assert not resets(event(50, 1, kind))


def test_at_a_shared_door_only_a_residents_own_credential_is_evidence() -> None:
    assert resets(event(50, 1, "taken", cred="own"), creds=CREDS, doors=SHARED)
    for kind, cred in [
        ("open", None),
        ("taken", None),
        ("taken", "next"),
        ("taken", "unlisted"),
        ("granted", "own"),
    ]:
        assert not resets(event(50, 1, kind, cred=cred), creds=CREDS, doors=SHARED)


@pytest.mark.parametrize(
    "more", [{"cred": "staff"}, {"cred": "guard"}, {"cred": "guest"}, {"method": "remote_office"}]
)
@pytest.mark.parametrize("kind", ["granted", "taken"])
def test_an_opening_by_others_is_not_evidence_for_30_s(kind: str, more: dict[str, Any]) -> None:
    assert not resets(event(40, 1, kind, **more), creds=CREDS)
    assert not resets(event(40, 1, kind, **more), event(40, 2, "open"), creds=CREDS)
    assert not resets(event(40, 1, kind, **more), event(70, 2, "open"), creds=CREDS)
    assert resets(event(40, 1, kind, **more), event(70.001, 2, "open"), creds=CREDS)
    assert resets(event(40, 1, "open"), event(40.001, 2, kind, **more), creds=CREDS)


def test_access_at_another_device_takes_no_opening_away() -> None:
    lines = [event(40, 1, "taken", device="e", cred="staff"), event(45, 1, "open")]
    assert resets(*lines, creds=CREDS, doors=["d", "e"])


def test_an_opening_within_10_s_of_force_is_not_evidence() -> None:
    assert not resets(event(40, 1, "forced"), event(50, 2, "open"))
    assert not resets(event(40, 1, "open"), event(50, 2, "forced"))
    assert resets(event(40, 1, "forced"), event(50.001, 2, "open"))
    assert resets(event(40, 1, "open"), event(50.001, 2, "forced"))


def test_an_opening_proved_by_a_counter_is_evidence_at_its_left_instant() -> None:
    lines = [beat(30, 0, opens=5), beat(60, 1, opens=6)]
    assert checks(lines, 140) == [(1, 130.0, None)]
    assert not resets(*lines, doors=SHARED)
    assert not resets(*lines, doors=[{"device": "d", "from": ms(31)}])
    assert resets(*lines, doors=[{"device": "d", "from": ms(30), "to": ms(30.001)}])


def test_a_door_is_hers_from_its_beginning_and_before_its_end() -> None:
    assert resets(event(50, 1), doors=[{"device": "d", "from": ms(50)}])
    assert not resets(event(50, 1), doors=[{"device": "d", "to": ms(50)}])


def test_the_beginning_of_watching_and_a_verified_outcome_are_evidence() -> None:
    assert checks([], 150, watched_from=ms(40)) == [(1, 140.0, None)]
    assert checks([], 150, verified=[ms(45)]) == [(1, 145.0, None)]


def test_nothing_is_dated_before_watching_began() -> None:
    lines = [event(20, 1), *beats(30, 420, 1)]
    assert effective(lines, 350, watched_from=ms(150)) == [(1, 250.0), (2, 350.0)]
    assert [one[1] for one in announced(lines, 350, watched_from=ms(150))] == [250.0, 350.0]


def test_without_consent_nothing_is_reported() -> None:
    told = report(beats(30, 300), 300, consent=False)
    assert not any(told[name] for name in ("effective", "checks", "announced", "not_known"))


# --- Absence -------------------------------------------------------------------------------------


def test_an_absence_suspends_the_rule_and_its_end_is_evidence() -> None:
    away = [{"from": ms(90), "to": ms(150)}]
    assert effective(beats(30, 300), 260, absences=away) == [(1, 250.0)]


def test_the_first_evidence_inside_ends_an_absence() -> None:
    away = [{"from": ms(90), "to": ms(290)}]
    lines = [*beats(30, 90), event(110, 1), *beats(120, 300, 1)]
    assert effective(lines, 300, absences=away) == [(1, 210.0)]
    assert effective(lines, 300, absences=[{"from": ms(110), "to": ms(290)}]) == [(1, 100.0), (1, 210.0)]


def test_the_end_of_another_absence_does_not_end_an_absence() -> None:
    away = [{"from": ms(10), "to": ms(50)}, {"from": ms(40), "to": ms(100)}]
    assert effective(beats(30, 300), 210, absences=away) == [(1, 200.0)]


@pytest.mark.parametrize("length", [0, -5, 90 * DAY + 0.001])
def test_an_absence_without_length_or_over_90_days_is_none(length: float) -> None:
    assert effective(beats(30, 150), 150, absences=[{"from": ms(50), "to": ms(50 + length)}]) == [(1, 100.0)]


def test_an_absence_of_90_days_is_one() -> None:
    assert effective(beats(30, 150), 150, absences=[{"from": ms(50), "to": ms(50 + 90 * DAY)}]) == []


# --- Crossings and checks ------------------------------------------------------------------------


def test_with_every_device_heard_the_rule_is_the_mandated_one() -> None:
    assert effective(beats(30, 330), 330) == [(1, 100.0), (2, 200.0), (3, 300.0)]
    assert checks(beats(30, 330), 330) == []


def test_thresholds_are_a_day_two_and_three_where_none_are_given() -> None:
    lines = [beat(3_600 * n, 0, start=-1) for n in range(80)]
    registry = registry_with()
    del registry["households"][0]["thresholds_s"]
    registry["devices"][0]["supervision_s"] = 7_200
    told = judge(lines, registry, ms(79 * 3_600))
    assert [seconds(one["at"]) for one in told["effective"]] == [1.0 * DAY, 2.0 * DAY, 3.0 * DAY]


def test_evidence_at_the_very_instant_forestalls_a_crossing_and_a_check() -> None:
    assert effective([*beats(30, 90), event(100, 1)], 110) == []
    assert checks([event(100, 1, boot="b", start=99)], 110) == []
    assert effective([*beats(30, 90), event(100.001, 1)], 110) == [(1, 100.0)]


def test_blind_time_never_counts_and_is_never_forgotten() -> None:
    lines = [*beats(30, 60), *beats(90, 330, boot="b", start=80)]
    assert effective(lines, 330) == [(1, 120.0), (2, 220.0), (3, 320.0)]
    assert checks(lines, 330) == [(1, 100.0, None), (2, 200.0, None), (3, 300.0, None)]


def test_a_check_is_ended_by_evidence_or_an_absence_only() -> None:
    blind = [*beats(150, 240, boot="b", start=140), event(250, 1, boot="b", start=140)]
    assert checks(blind, 300) == [(1, 100.0, 250.0), (2, 200.0, 250.0)]
    assert checks(blind, 250) == checks(blind, 300)
    assert checks(blind, 249) == [(1, 100.0, None), (2, 200.0, None)]
    assert checks([], 300, absences=[{"from": ms(150), "to": ms(290)}]) == [(1, 100.0, 150.0)]


def test_a_crossing_after_the_end_is_not_reported() -> None:
    assert effective(beats(30, 330), 199) == [(1, 100.0)]
    assert effective(beats(30, 330), 200) == [(1, 100.0), (2, 200.0)]


def test_the_tail_counts_in_the_history_while_supervision_lasts_at_the_end() -> None:
    assert effective(beats(30, 90), 150) == [(1, 100.0)]
    assert effective(beats(30, 90), 151) == []


# --- Live ----------------------------------------------------------------------------------------


def test_a_stage_is_announced_at_its_pulse_and_withdrawn_at_the_pulse_of_newer_evidence() -> None:
    lines = [*beats(30, 210), event(215.5, 1, received=216.2)]
    assert announced(lines, 230) == [(1, 100.0, 100.0, 217.0), (2, 200.0, 200.0, 217.0)]


def test_a_crossing_between_two_pulses_is_announced_at_the_later() -> None:
    lines = [*beats(30, 150)]
    assert announced(lines, 150, watched_from=ms(0.25)) == [(1, 100.25, 101.0, None)]


def test_a_device_falling_silent_withdraws_nothing() -> None:
    assert announced(beats(30, 90), 400) == [(1, 100.0, 100.0, None)]
    assert effective(beats(30, 90), 400) == []


def test_late_evidence_that_leaves_the_stage_neither_mends_nor_withdraws_until_more_comes() -> None:
    lines = [*beats(30, 180), event(20, 1, "taken", device="e", cred="own", received=130)]
    options: dict[str, Any] = {"doors": ["d", {"device": "e", "role": "shared"}], "creds": CREDS}
    assert announced(lines, 180, **options) == [(1, 100.0, 100.0, None)]
    assert effective(lines, 180, **options) == [(1, 120.0)]
    lines.append(event(170, 2, "taken", device="e", cred="own"))
    assert announced(lines, 180, **options) == [(1, 100.0, 100.0, 170.0)]


def test_late_evidence_that_lowers_the_stage_withdraws_at_its_receipt() -> None:
    lines = [*beats(30, 180), event(50, 1, "taken", device="e", cred="own", received=130)]
    options: dict[str, Any] = {"doors": ["d", {"device": "e", "role": "shared"}], "creds": CREDS}
    assert announced(lines, 180, **options) == [(1, 100.0, 100.0, 130.0), (1, 150.0, 150.0, None)]


def test_an_absence_withdraws_at_its_first_pulse() -> None:
    away = [{"from": ms(120.5), "to": ms(140)}]
    assert announced(beats(30, 180), 180, absences=away) == [(1, 100.0, 100.0, 121.0)]


def test_a_crossing_revealed_only_with_its_own_evidence_is_history_and_never_announced() -> None:
    lines = [beat(30, 0), event(250, 1)]
    assert effective(lines, 260) == [(1, 100.0), (2, 200.0)]
    assert announced(lines, 260) == []


# --- Admission -----------------------------------------------------------------------------------


def test_events_are_counted_each_in_one_class_and_heartbeats_in_none() -> None:
    assert admission(event(10, 1), beat(20, 1)) == {"accepted": 1}
    assert admission(event(10, 1, received=3_610)) == {"accepted": 1}
    assert admission(event(10, 1, received=3_610.001)) == {"late": 1}
    assert admission(event(10, 1), event(10, 1, received=9_000, hist=True)) == {"accepted": 1, "duplicate": 1}
    assert admission(event(10, 1, received=9_000), event(10, 1, received=9_001)) == {
        "late": 1,
        "duplicate": 1,
    }
    # A gateway took the copy of the second line at once, and the first line's came two hours later by another way.
    lines = event(10, 1, received=9_000), event(10, 1, received=9_001, rx=ms(12), hist=True)
    assert admission(*lines) == {"accepted": 1, "duplicate": 1}
    assert admission(event(10, 1), event(10, 1, opens=3)) == {"accepted": 2}
    assert admission(event(10, 1), event(10, 1, opens=None)) == {"accepted": 1, "duplicate": 1}
    assert admission(event(10, 1), event(10, 1, received=46 * DAY)) == {"accepted": 1, "implausible": 1}


def test_what_does_not_fit_topic_or_registry_or_form_is_quarantined() -> None:
    good = event(10, 1)
    assert admission(event(10, 1, device="x")) == {"quarantined": 1}
    assert admission({**good, "topic": topic_for("s-2", "d", "evt")}) == {"quarantined": 1}
    digit = good["topic"].split("/")[2]
    for other in ("x", "0" if digit != "0" else "1"):
        assert admission({**good, "topic": good["topic"].replace(f"/{digit}/", f"/{other}/", 1)}) == {
            "quarantined": 1
        }
    for wrong in ({"seq": 0}, {"boot": "9f"}, {"clk": "gps"}, {"ts": "now"}, {"up": -1}, {"type": None}):
        assert admission({**good, "payload": {**good["payload"], **wrong}}) == {"quarantined": 1}
    assert admission({**good, "payload": "text"}, {**beat(20, 1), "payload": 5}) == {"quarantined": 1}


def batch(*events: Line) -> Line:
    return line([one["payload"] if isinstance(one, dict) else one for one in events], 100, channel="evb")


def test_a_bad_element_counts_alone_and_a_bad_array_counts_whole() -> None:
    one, two = event(10, 1), event(20, 2)
    assert admission(batch(one, two)) == {"accepted": 2}
    assert admission(batch(one, {**two, "payload": 7})) == {"accepted": 1, "quarantined": 1}
    assert admission(batch(two, one)) == {"quarantined": 2}
    assert admission(batch(one, one)) == {"quarantined": 2}
    assert admission(batch(one, event(20, 2, boot="b"))) == {"quarantined": 2}
    assert admission(batch(*(event(n, n) for n in range(1, 502)))) == {"quarantined": 501}
    assert admission(batch(one, event(20, 2, reason="x" * 65_536))) == {"quarantined": 2}


# --- The oracle itself ---------------------------------------------------------------------------


def test_spans_agree_with_sets_of_single_instants() -> None:
    rng = Random(1)

    def spans() -> list[tuple[int, int]]:
        return [(a, a + rng.randint(-2, 9)) for a in (rng.randint(0, 30) for _ in range(rng.randint(0, 4)))]

    def points(some: list[tuple[int, int]]) -> set[int]:
        return {x for left, right in some for x in range(left + 1, right + 1)}

    for _ in range(300):
        some, others = wire_oracle.union(spans()), wire_oracle.union(spans())
        assert points(wire_oracle.intersect(some, others)) == points(some) & points(others)
        assert points(wire_oracle.subtract(some, others)) == points(some) - points(others)
        assert wire_oracle.measure(some) == len(points(some))
        for amount in range(1, 12):
            reached = sorted(points(some))[amount - 1 :]
            assert wire_oracle.reach(some, amount) == (reached[0] if reached else None)


@pytest.mark.parametrize("seed", [*range(12), *slow_seeds(range(12, 40))])
def test_chosen_pulses_say_the_same_as_every_second(seed: int) -> None:
    messages, registry, until = random_case(seed, "minutes", lines_after_until=True)
    assert judge(messages, registry, until) == judge(messages, registry, until, pulses="all")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=plain_streams())
def test_chosen_pulses_say_the_same_as_every_second_in_plain_streams(case: Any) -> None:
    messages, registry, until = case
    assert judge(messages, registry, until) == judge(messages, registry, until, pulses="all")


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=wire_cases("days"))
def test_the_order_of_lines_and_their_number_change_nothing_but_the_counts(case: Any) -> None:
    messages, registry, until = case
    told = judge(messages, registry, until)
    jumbled = [*messages, *messages[::3]]
    Random(5).shuffle(jumbled)
    again = judge(jumbled, registry, until)
    assert {**again, "admission": None} == {**told, "admission": None}


def test_random_cases_are_the_same_for_the_same_seed_and_show_every_kind_of_answer() -> None:
    assert random_case(7) == random_case(7)
    seen: set[str] = set()
    for seed in range(30):
        told = judge(*random_case(seed))
        seen |= {name for name in ("effective", "checks", "announced", "not_known") if told[name]}
        seen |= {name for name, count in told["admission"].items() if count}
        seen |= {"withdrawn" for one in told["announced"] if one["withdrawn_at"] is not None}
        seen |= {"ended" for one in told["checks"] if one["ended_at"] is not None}
    expected = "effective checks announced not_known withdrawn ended"
    assert seen >= {*expected.split(), "accepted", "duplicate", "late", "implausible", "quarantined"}
