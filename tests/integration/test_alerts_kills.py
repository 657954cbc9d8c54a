"""Alerts killed at every place that has a name, and at random: no step is lost, one copy at most, the same rows at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kaimen.clock import as_ms
from tests.kills.crowd import kill_in_the_crowd, settle_many
from tests.kills.killing import POINTS, format_table, killing
from tests.kills.life import share, start
from tests.unit.alerts.town import Town, build_town

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.one_store]

_DELIVERIES = """
SELECT c.household_id, o.step, o.person, o.channel, o.repetition, o.state, d.attempt, d.result
FROM outbox o JOIN cases c ON c.id = o.case_id LEFT JOIN deliveries d ON d.outbox_id = o.id
ORDER BY 1, 2, 3, 4, 5, 7
"""


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


def test_killed_at_any_place_it_ends_as_if_it_had_lived(town: Town, tmp_path: Path) -> None:
    assert len(POINTS) >= 12
    with killing(town, tmp_path) as made:
        results = [made.kill_at(place, rounds=3) for place in POINTS]
    assert all(found.good for found in results), (
        format_table(results) + "\n" + "\n".join(line for found in results for line in found.different[:5])
    )
    assert all(found.kills >= found.rounds for found in results)
    doubled = {found.place: found.doubled for found in results}
    # Between the sending and its record nobody can know: there the copies are, and with a provider that can be
    # asked there are none.
    assert doubled["courier_sent"] == doubled["courier_recording"] == 1
    assert doubled["courier_asked"] == doubled["courier_before_send"] == doubled["courier_recorded"] == 0


def test_the_comparison_sees_a_message_that_is_missing_and_one_too_many(town: Town, tmp_path: Path) -> None:
    with killing(town, tmp_path) as made:
        missing = next(iter(made.expected_sent))
        made.expected_sent[missing + " of nobody"] = 1
        made.expected_sent[missing] -= 1
        made.expected["cases"].append("one more")
        found = made.kill_at("courier_start", rounds=1)
    assert (found.lost, found.doubled, found.good) == (1, 1, False)
    assert found.different == ["cases: one more (+1)"]


def test_workers_killed_at_random_under_a_thousand_cases_lose_nothing(town: Town, tmp_path: Path) -> None:
    tally = kill_in_the_crowd(town, tmp_path, many=1_000, seconds=9)
    assert (tally.lost, tally.unplanned, tally.beyond, tally.unfinished) == (0, 0, 0, 0), tally
    assert tally.kills >= 5
    assert tally.tellings >= 2, tally


def test_one_worker_and_three_deliver_the_same(town: Town) -> None:
    settle_many(town, 60)
    found = []
    for workers in (1, 3):
        town.rows(
            "TRUNCATE cases, case_numbers, case_entries, tasks, outbox, deliveries, service_progress CASCADE"
        )
        town.rows("UPDATE happenings SET handled_at = NULL")
        processes = [start(share, town.url, as_ms(town.now), f"w{number}") for number in range(workers)]
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
        numbers = {row["number"] for row in town.rows("SELECT number FROM cases")}
        found.append((town.rows(_DELIVERIES), numbers))
    assert len(found[0][0]) == 60
    assert found[0] == found[1]
