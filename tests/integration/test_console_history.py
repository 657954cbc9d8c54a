"""What the household page draws is what the detector judged, read back from stored rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.loaders import Reader
from console.loaders.evidence import load_chart, load_usual
from console.loaders.history import blind_spans, load_past
from console.loaders.households import load_households
from console.scope import Viewer
from console.views.parts import Span
from ingest.detector import Detector, Registry
from kaimen import wire
from kaimen.clock import ManualClock, as_datetime, as_ms
from kaimen.database import Connection, transaction
from kaimen.policy import DAY_MS, HOUR_MS
from kaimen.vocabulary import Device, DoorBinding, Household, Role
from tests.integration.console_world import World, build_world

pytestmark = pytest.mark.slow

HEARTBEAT_MS = 600_000
SUPERVISION_MS = 1_800_000
OUT_FROM, OUT_TO = 40 * HOUR_MS, 49 * HOUR_MS
OPENINGS = [number * 9 * HOUR_MS for number in range(1, 40)]
LAST_OPENING = 9 * DAY_MS


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def _play(world: World) -> tuple[Detector, list[tuple[wire.Event, int]], int]:
    """Twelve days at one door: an opening every nine hours, nine hours without power, then three quiet days."""
    now_ms = as_ms(world.now)
    begin_ms = now_ms - 12 * DAY_MS
    device = Device("d-h-wang", "site-wenchang", SUPERVISION_MS)
    household = Household("h-wang", "site-wenchang", (DoorBinding("d-h-wang"),), begin_ms)
    detector = Detector(Registry({"d-h-wang": device}, {"h-wang": household}, {}), now_ms=begin_ms)
    events, seq, boot, boot_ms = [], 0, 1, begin_ms
    openings = [at for at in OPENINGS if at <= LAST_OPENING and not OUT_FROM <= at < OUT_TO]
    for step_ms in range(0, 12 * DAY_MS, HEARTBEAT_MS):
        at_ms = begin_ms + step_ms
        if OUT_FROM <= step_ms < OUT_TO:
            continue
        if step_ms == OUT_TO:
            seq, boot, boot_ms = 0, 2, at_ms
        for opening in [at for at in openings if step_ms - HEARTBEAT_MS < at <= step_ms]:
            seq += 1
            opened_ms = begin_ms + opening
            event = wire.Event(
                v=1, boot=f"{boot:016x}", seq=seq, ts=opened_ms, up=opened_ms - boot_ms, clk="ntp",
                type="DoorPhysicalState", state="Open",
            )  # fmt: skip
            detector.take_event("d-h-wang", event, received_ms=opened_ms + 50)
            events.append((event, opened_ms + 50))
        beat = wire.Heartbeat(v=1, boot=f"{boot:016x}", ts=at_ms, up=at_ms - boot_ms, clk="ntp", seq_last=seq)
        detector.take_heartbeat("d-h-wang", beat, received_ms=at_ms + 50)
    detector.pulse(now_ms)
    return detector, events, now_ms


def _store(
    connection: Connection, world: World, detector: Detector, events: list[tuple[wire.Event, int]]
) -> None:
    row = connection.execute("SELECT no FROM devices WHERE id = 'd-h-wang'").fetchone()
    assert row is not None
    for event, received_ms in events:
        connection.execute(
            "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
            " clock_quality, replayed, type, state, plausible, batch)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, false, %s, %s, true, 1)",
            (
                as_datetime(event.ts), as_datetime(received_ms), as_datetime(received_ms), row["no"],
                int(event.boot, 16), event.seq, event.ts, event.up, event.clk, event.type, event.state,
            ),
        )  # fmt: skip
    for p in detector.take_changed_points():
        connection.execute(
            "INSERT INTO coverage_points VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                row["no"], int(p.boot, 16), p.seq_last, p.opens, p.first_up_ms, p.first_ts_ms, p.first_received_ms,
                p.first_clock, p.last_up_ms, p.last_ts_ms, p.last_received_ms, p.last_clock, p.by_check_in,
            ),
        )  # fmt: skip
    for b in detector.take_changed_boots():
        connection.execute(
            "INSERT INTO boots VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                row["no"], int(b.boot, 16), b.ntp_up_ms, b.ntp_ts_ms, b.ntp_base_min_ms, b.ntp_base_max_ms,
                b.received_base_ms, b.rtc_base_ms, b.newest_received_ms,
            ),
        )  # fmt: skip
    view = next(view for view in detector.take_changed_views() if view.household_id == "h-wang")
    connection.execute(
        "UPDATE households SET watched_from = %s WHERE id = 'h-wang'",
        (as_datetime(as_ms(world.now) - 12 * DAY_MS),),
    )
    connection.execute(
        "UPDATE household_states SET known = %s, stage = %s, evidence_at = %s, base_ms = %s, anchor_at = %s,"
        " settled_ms = %s WHERE household_id = 'h-wang'",
        (
            view.known, view.stage, as_datetime(view.evidence_ms), view.base_ms, as_datetime(view.anchor_ms),
            view.settled_ms,
        ),
    )  # fmt: skip


def _reader(world: World) -> Reader:
    viewer = Viewer(1, "clerk", "clerk", Role.PROPERTY_CLERK, "wenchang")
    return Reader(viewer, world.now, world.now)


def test_the_past_of_a_household_is_the_detectors_own(world: World) -> None:
    detector, events, now_ms = _play(world)
    judged = detector.rule_of("h-wang").history(now_ms)
    with transaction(world.pool) as connection:
        _store(connection, world, detector, events)
        past = load_past(connection, "h-wang", world.now)
    assert past is not None
    assert [item.instant_ms for item in past.evidence] == [item.instant_ms for item in judged.evidence]
    assert list(past.crossings) == judged.crossings
    assert [crossing.stage for crossing in past.crossings][-3:] == [1, 2, 3]
    begin_ms = now_ms - 12 * DAY_MS
    spans = blind_spans(past.watched, Span(as_datetime(begin_ms), world.now))
    assert len(spans) == 1
    # Blind from the last heartbeat before the power went to the first of the new boot.
    assert as_ms(spans[0].from_at) == begin_ms + OUT_FROM - HEARTBEAT_MS
    assert as_ms(spans[0].to_at) == begin_ms + OUT_TO


def test_the_day_line_counts_what_the_detector_counted_and_hatches_the_rest(world: World) -> None:
    detector, events, now_ms = _play(world)
    with transaction(world.pool) as connection:
        _store(connection, world, detector, events)
        line = load_households(connection, _reader(world), ["h-wang"])["h-wang"].line
    assert line is not None and line.known
    assert line.inactive_ms == now_ms - as_ms(line.evidence_at) == line.elapsed_ms
    assert line.blind == () and line.stage == 3


def test_the_chart_shows_fourteen_days_with_their_openings_gaps_and_crossings(world: World) -> None:
    detector, events, _ = _play(world)
    with transaction(world.pool) as connection:
        _store(connection, world, detector, events)
        row = load_households(connection, _reader(world), ["h-wang"])["h-wang"].row
        chart = load_chart(connection, _reader(world), row)
        usual = load_usual(connection, _reader(world), {**row, "case_evidence_at": None})
    assert chart is not None and chart.day_count == 14
    assert len(chart.openings) == len(events)
    assert len(chart.blind) == 1 and [mark.stage for mark in chart.crossings][-3:] == [1, 2, 3]
    assert usual is not None and usual.openings_low <= 2 <= usual.openings_high
    page = world.browser("clerk").get("/households/h-wang")
    assert page.status_code == 200 and "<svg" in page.text


def test_who_has_no_consent_has_no_line(world: World) -> None:
    world.write("UPDATE consents SET withdrawn_at = %s WHERE household_id = 'h-wang'", world.now)
    with transaction(world.pool) as connection:
        found = load_households(connection, _reader(world), ["h-wang"])["h-wang"]
    assert found.line is None and found.grounds is None
    assert world.browser("clerk").get("/households/h-wang").status_code == 200


def test_signs_of_life_inside_are_told_apart_from_having_no_sensor(world: World) -> None:
    with transaction(world.pool) as connection:
        found = load_households(connection, _reader(world), ["h-wang"])["h-wang"]
        assert found.grounds is not None and not found.grounds.has_sensors
        connection.execute(
            "INSERT INTO devices (id, site_id, kind, place, registered_at)"
            " VALUES ('m-1', 'site-wenchang', 'motion', '3-1-1201', %s)",
            (world.now,),
        )
        found = load_households(connection, _reader(world), ["h-wang"])["h-wang"]
        assert found.grounds is not None and found.grounds.has_sensors and found.grounds.last_sign is None
        row = connection.execute("SELECT no FROM devices WHERE id = 'm-1'").fetchone()
        assert row is not None
        at = as_datetime(as_ms(world.now) - 5 * HOUR_MS)
        connection.execute(
            "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
            " clock_quality, replayed, type, plausible, batch)"
            " VALUES (%s, %s, %s, %s, 1, 1, 0, 0, 'ntp', false, 'Motion', true, 1)",
            (at, at, at, row["no"]),
        )
        found = load_households(connection, _reader(world), ["h-wang", "h-zhao"])["h-wang"]
        assert found.grounds is not None and found.grounds.last_sign is not None
        assert (found.grounds.last_sign.at, found.grounds.presumed_by) == (at, "not_judged")
        connection.execute(
            "INSERT INTO household_presence VALUES ('h-wang', 'in', '{\"reason\": \"activity_after\"}', %s, %s)",
            (at, at),
        )
        found = load_households(connection, _reader(world), ["h-wang"])["h-wang"]
        assert found.grounds is not None
        assert (found.grounds.presumed.value, found.grounds.presumed_by) == ("in", "activity_after")
