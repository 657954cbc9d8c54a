"""Figures counted from stored facts, against numbers worked out by hand; who may read them, and as what file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import REGISTRY

from alerts import figures
from alerts.figures import Span, load_figures, spans_until
from console.audit.sealing import neutralise
from console.effort import load_effort
from kaimen.clock import ManualClock
from kaimen.database import transaction
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

SHANGHAI = "Asia/Shanghai"


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def tell(
    world: World, key: str, at: datetime, *, lane: int = 0, pressing: int = 1, state: str = "delivered"
) -> None:
    count = world.rows("SELECT count(*) AS n FROM outbox")[0]["n"]
    world.write(
        "INSERT INTO outbox (case_id, step, person, channel, repetition, idempotency_key, template, state, created_at,"
        " not_before, lane, pressing) VALUES (%s, 'visit', 'community:wenchang', 'console', %s, %s, 'case', %s, %s,"
        " %s, %s, %s)",
        world.case_ids[key], count, f"key-{count}", state, at, at, lane, pressing,
    )  # fmt: skip


def last_day(world: World) -> figures.Figures:
    with transaction(world.pool) as connection:
        spans = [(world.now - timedelta(days=1), world.now)]
        (found,) = load_figures(connection, "wenchang", spans, now=world.now)
    return found


def test_alarms_floods_chattering_and_the_split_are_counted(world: World) -> None:
    begin = world.now - timedelta(hours=5)
    for second in range(11):
        tell(world, "wang", begin + timedelta(seconds=second), pressing=0)
    tell(world, "zhao", begin + timedelta(hours=1))
    tell(world, "sun", begin + timedelta(hours=2), lane=1)
    # Withdrawn before its time, yesterday's, the future's and another community's: none of ours.
    tell(world, "sun", begin, state="superseded")
    tell(world, "sun", world.now - timedelta(hours=25))
    tell(world, "sun", world.now + timedelta(hours=1))
    tell(world, "other", begin)
    found = last_day(world)
    assert (found.annunciated, found.high, found.middle, found.low) == (13, 11, 1, 1)
    assert (found.floods, found.chattering) == (1, 1)
    assert found.per_operator_hour(world.now) == pytest.approx(13 / 24)


def test_ten_in_ten_minutes_are_no_flood(world: World) -> None:
    for second in range(10):
        tell(world, "wang", world.now - timedelta(hours=5, seconds=-second))
    assert last_day(world).floods == 0


def test_times_are_medians_and_visits_are_judged_by_their_due_time(world: World) -> None:
    now = world.now
    for key, minutes in (("wang", 10), ("zhao", 20), ("sun", 60)):
        tell(world, key, now - timedelta(hours=5))
        world.write(
            "INSERT INTO case_entries (case_id, at, words) VALUES (%s, %s, 'claimed')",
            world.case_ids[key], now - timedelta(hours=5) + timedelta(minutes=minutes),
        )  # fmt: skip
    world.write("DELETE FROM tasks WHERE kind = 'visit'")
    for late_minutes, state in ((-5, "done"), (5, "done"), (None, "open"), (-1, "superseded")):
        due = now - timedelta(hours=2)
        done = None if late_minutes is None else due + timedelta(minutes=late_minutes)
        world.write(
            "INSERT INTO tasks (case_id, kind, role, state, created_at, start_at, due_at, done_at, outcome)"
            " VALUES (%s, 'visit', 'grid_worker', %s, %s, %s, %s, %s, %s)",
            world.case_ids["wang"], state, due, due - timedelta(minutes=30), due,
            done if state == "done" else None, "no_answer" if state == "done" else None,
        )  # fmt: skip
    found = last_day(world)
    assert found.acknowledge_s == 20 * 60
    assert found.visit_s == 30 * 60
    assert found.call_s is None
    assert (found.visits_due, found.visits_on_time) == (3, 1)


def test_a_case_that_stood_for_a_day_is_stale(world: World) -> None:
    assert last_day(world).stale == 0
    world.write(
        "UPDATE cases SET opened_at = %s WHERE id = %s", world.now - timedelta(days=2), world.case_ids["wang"]
    )
    assert last_day(world).stale == 1


@pytest.mark.parametrize("span", Span)
def test_spans_follow_one_another_without_a_gap_in_local_time(span: Span) -> None:
    now = datetime(2026, 3, 29, 12, tzinfo=UTC)  # the day Berlin loses an hour
    spans = spans_until(now, span, 14, "Europe/Berlin")
    assert len(spans) == 14
    assert all(first[1] == second[0] for first, second in pairwise(spans))
    assert spans[-1][0] <= now < spans[-1][1]
    assert all(begin.astimezone(ZoneInfo("Europe/Berlin")).hour == 0 for begin, _ in spans)


@pytest.mark.parametrize("span", Span)
def test_an_administrator_reads_them_as_a_page_and_as_a_file(world: World, span: Span) -> None:
    tell(world, "wang", world.now - timedelta(minutes=5))
    world.write("UPDATE communities SET name = '=cmd()' WHERE id = 'wenchang'")
    admin = world.browser("admin")
    assert "服务指标" in admin.get(f"/figures?span={span}&community=wenchang").text
    answer = admin.get(f"/figures.csv?span={span}&community=wenchang")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert rows[0]["annunciated"] == "1"
    assert {row["community"] for row in rows} == {"'=cmd()"}
    assert admin.get("/figures?community=nowhere").status_code == 404


@pytest.mark.parametrize("name", ["clerk", "watcher", "police", "family"])
def test_nobody_else_reads_them(world: World, name: str) -> None:
    client = world.browser(name)
    assert client.get("/figures").status_code == 403
    assert client.get("/figures.csv").status_code == 403


def test_an_administrator_of_one_community_reads_that_one(world: World) -> None:
    world.write("UPDATE users SET community_id = 'binhe' WHERE name = 'admin'")
    admin = world.browser("admin")
    assert admin.get("/figures?community=binhe").status_code == 200
    assert admin.get("/figures?community=wenchang").status_code == 404


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    assert neutralise(text) == f"'{text}"
    assert neutralise(f"a{text}") == f"a{text}"


def test_the_last_day_stands_in_the_metrics(world: World) -> None:
    tell(world, "wang", world.now - timedelta(hours=1), pressing=0)
    with transaction(world.pool) as connection:
        figures.measure(connection, now=world.now)
    labels = {"community": "wenchang", "priority": "high"}
    assert REGISTRY.get_sample_value("kaimen_figures_annunciated", labels) == 1


def test_the_effort_of_a_month_is_counted_from_what_was_recorded(world: World) -> None:
    begin = world.now - timedelta(days=2)
    # A call of six minutes; a visit whose result was recorded a day late counts four hours.
    world.write(
        "UPDATE tasks SET kind = 'call', state = 'done', claimed_at = %s, done_at = %s WHERE id = %s",
        begin, begin + timedelta(minutes=6), world.task_ids["zhao"],
    )  # fmt: skip
    world.write(
        "UPDATE tasks SET kind = 'visit', state = 'done', begun_at = %s, done_at = %s WHERE id = %s",
        begin, begin + timedelta(days=1), world.task_ids["wang"],
    )  # fmt: skip
    # Another community's work is not ours, and a line on the console is no message.
    world.write("UPDATE tasks SET state = 'done', done_at = %s WHERE id = %s", begin, world.task_ids["other"])
    tell(world, "wang", begin)
    with transaction(world.pool) as connection:
        spans = [(world.now - timedelta(days=3), world.now + timedelta(days=1))]
        (row,) = load_effort(connection, "wenchang", spans, now=world.now)
    assert (row.calls, row.visits, row.messages, row.minutes) == (1, 1, 0, 246.0)
    assert row.watched > 0 and row.each(row.calls) == 1 / row.watched
