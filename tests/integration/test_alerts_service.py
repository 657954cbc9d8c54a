"""Workers that die, share and stop: the same rows come out, whatever happens to the processes."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.sweeps import find_cases_without_future
from kaimen.clock import as_ms, set_clock
from kaimen.database import transaction
from tests.fix_servers import free_port, wait_until
from tests.unit.alerts.town import DAY, HOUR, MORNING, Town, build_town

ROOT = Path(__file__).parents[2]

_CASES = """
SELECT c.household_id, c.stage, c.state, c.outcome, c.stage_at, c.deadline_at, c.next_action, c.next_action_at,
  c.check_step, c.version FROM cases c ORDER BY c.household_id, c.opened_at
"""
_TASKS = (
    "SELECT household_id, kind, role, state, start_at, due_at FROM tasks ORDER BY household_id, due_at, kind"
)
_ENTRIES = """
SELECT c.household_id, e.words, e.at, e.fact FROM case_entries e JOIN cases c ON c.id = e.case_id ORDER BY 4, 1, 2
"""
_MESSAGES = """
SELECT c.household_id, o.step, o.person, o.channel, o.repetition, o.state, o.not_before
FROM outbox o JOIN cases c ON c.id = o.case_id ORDER BY 1, 2, 3, 4, 5
"""


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


def tell_a_story(town: Town) -> None:
    town.household("h1", helpers=["neighbour_watcher"])
    town.household("h2", family=["daughter"])
    crossings = [town.crosses("h1", stage) for stage in (1, 2, 3)]
    town.withdraws(crossings[1])
    town.withdraws(town.crosses("h2", 1))
    town.check_due("h2", 2)
    town.goes_out("door-h1")


def all_rows(town: Town) -> list[str]:
    rows = [row for query in (_CASES, _TASKS, _ENTRIES, _MESSAGES) for row in town.rows(query)]
    return sorted(" ".join(f"{name}={value}" for name, value in row.items()) for row in rows)


def run_killed(town: Town, statement: int) -> int:
    return subprocess.run(
        [sys.executable, "-m", "tests.unit.alerts.killed", "worker", town.url,
         str(town.clock.now_ms()), str(statement)],
        cwd=ROOT, check=False, timeout=60,
    ).returncode  # fmt: skip


@pytest.mark.slow
@pytest.mark.one_store
def test_a_worker_killed_at_any_statement_leaves_the_rows_of_one_that_lived(town: Town) -> None:
    tell_a_story(town)
    town.settle(town.worker(outside_channels=("webhook",)))
    expected = all_rows(town)
    killed = 0
    for statement in range(3, 120, 13):
        _forget(town)
        status = run_killed(town, statement)
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
        town.settle(town.worker(outside_channels=("webhook",)))
        found = all_rows(town)
        assert set(found) ^ set(expected) == set(), f"killed before statement {statement}"
        assert found == expected
    assert killed >= 5


def _forget(town: Town) -> None:
    """Take back everything alerts wrote; the facts stay as ingest left them."""
    town.rows(
        "TRUNCATE cases, case_numbers, case_entries, case_households, tasks, outbox, deliveries, service_progress"
        " RESTART IDENTITY CASCADE"
    )
    town.rows("UPDATE happenings SET handled_at = NULL")


def test_two_workers_share_the_households_and_keep_each_ones_order(town: Town) -> None:
    households = [town.household(f"h{number}", site="s1" if number % 2 else "s2") for number in range(24)]
    for household in households:
        for crossing in [town.crosses(household, stage) for stage in (1, 2)][::-1]:
            town.withdraws(crossing)
        town.crosses(household, 1, evidence_at=town.now - HOUR)
    workers = [town.worker(f"w{number}", claim_max=7) for number in range(2)]
    handled = [0, 0]

    def work(number: int) -> None:
        idle = 0
        while idle < 3:
            report = workers[number].turn()
            handled[number] += report.handled
            idle = 0 if report.handled else idle + 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    town.settle()
    assert sum(handled) == 24 * 5
    assert min(handled) > 0
    cases = town.rows("SELECT household_id, state, outcome, stage FROM cases ORDER BY household_id, id")
    assert len(cases) == 48
    assert [case["state"] == "closed" for case in cases] == [True, False] * 24
    numbers = town.rows("SELECT DISTINCT community_id, number FROM cases")
    assert len(numbers) == 48


def test_no_open_case_is_without_a_future_after_days_of_neglect(town: Town) -> None:
    tell_a_story(town)
    worker = town.worker()
    for hours in range(0, 96, 3):
        town.at(MORNING + hours * HOUR)
        town.settle(worker)
        with transaction(town.pool) as connection:
            assert find_cases_without_future(connection, town.now) == []
    assert town.row("SELECT at FROM service_progress WHERE service = 'alerts'")["at"] == town.now


@pytest.mark.slow
@pytest.mark.one_store
def test_the_service_follows_the_clock_of_the_file_and_stops_when_asked(town: Town, tmp_path: Path) -> None:
    clock = tmp_path / "clock.json"
    set_clock(clock, speed=0, now_ms=as_ms(MORNING))
    port = free_port()
    environment = {
        **os.environ,
        "KAIMEN_DATABASE_URL": town.url,
        "KAIMEN_CLOCK": f"file:{clock}",
        "KAIMEN_METRICS_PORT": str(port),
        "KAIMEN_LOG_FORMAT": "json",
    }
    town.household("h1")
    with (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen(
            [sys.executable, "-m", "alerts"], cwd=ROOT, env=environment, stderr=log, stdout=log
        )
    try:
        wait_until(lambda: _progress(town) == MORNING, "the first turn", within_s=20)
        town.crosses("h1", 2)
        wait_until(lambda: bool(town.rows("SELECT 1 FROM cases")), "the case", within_s=5)
        wait_until(lambda: _states(town) == {"delivered"}, "the annunciation", within_s=5)
        later = MORNING + DAY + timedelta(minutes=1)
        set_clock(clock, speed=0, now_ms=as_ms(later))
        wait_until(lambda: _progress(town) == later, "the turn of the next day", within_s=5)
        assert _get(port, "/healthz")[0] == 200
        wait_until(
            lambda: b'kaimen_alerts_open_cases{cause="inactivity"' in _get(port, "/metrics")[1], "the gauges"
        )
        assert b"kaimen_alerts_cases_without_future 0.0" in _get(port, "/metrics")[1]
    finally:
        service.send_signal(signal.SIGTERM)
        status = service.wait(10)
    assert status == 0, (tmp_path / "log").read_text()


def _progress(town: Town) -> object:
    rows = town.rows("SELECT at FROM service_progress WHERE service = 'alerts'")
    return rows[0]["at"] if rows else None


def _states(town: Town) -> set[str]:
    return {row["state"] for row in town.rows("SELECT state FROM outbox")}


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
