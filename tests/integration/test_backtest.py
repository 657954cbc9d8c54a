"""A simulated month goes through ingest into the database; looking back must find what was announced then."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest
from click.testing import CliRunner

from console.cli import main
from ingest.backfill import backfill
from ingest.look_back.report import choose_period, look_back, parse_thresholds
from kaimen.clock import as_datetime, as_ms
from kaimen.database import connect
from tests.integration.ingest_street import BEGIN_MS, DAY, HOUR, MINUTE, Door, lay_out, rows

pytestmark = pytest.mark.slow

HOMES = 8
DAYS = 16
UNTIL_MS = BEGIN_MS + DAYS * DAY


def lay_out_street(url: str, chance: Random) -> None:
    """Homes with a slow heartbeat; some away for days, some seen by a neighbour, one that also uses a unit door."""
    lay_out(url, homes=HOMES)
    with psycopg.connect(url) as connection:
        run = connection.execute
        run("UPDATE devices SET heartbeat_s = 1800, supervision_s = 5400")
        for number in (1, 2, 3):
            begin = BEGIN_MS + chance.randrange(DAYS * DAY)
            run(
                "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
                " VALUES (%s, %s, %s, 'travel', 'she', %s)",
                (
                    f"h-{number}",
                    as_datetime(begin),
                    as_datetime(begin + chance.randrange(HOUR, 5 * DAY)),
                    as_datetime(BEGIN_MS),
                ),
            )
        for number in (4, 5):
            run(
                "INSERT INTO verified_contacts (household_id, at, how, witness, recorded_at)"
                " VALUES (%s, %s, 'saw', 'neighbour', %s)",
                (f"h-{number}", as_datetime(BEGIN_MS + chance.randrange(DAYS * DAY)), as_datetime(BEGIN_MS)),
            )
        run(
            "INSERT INTO devices (id, site_id, kind, registered_at) VALUES ('door-99', 'west-gate', 'controller', %s)",
            (as_datetime(BEGIN_MS),),
        )
        run("INSERT INTO credentials (token, class, household_id) VALUES ('c-6', 'resident', 'h-6')")
        for number in (6, 7):
            run(
                "INSERT INTO household_doors (household_id, device_id, role) VALUES (%s, 'door-99', 'shared')",
                (f"h-{number}",),
            )


def month(chance: Random) -> list[tuple[int, str, bytes]]:
    """Openings hours to days apart; spans in which a door is deaf lose everything that would have been said."""
    history: list[tuple[int, str, bytes]] = []
    for number in range(1, HOMES + 1):
        door = Door(f"door-{number}", boot=f"{number:016x}")
        deaf = sorted(BEGIN_MS + chance.randrange(DAYS * DAY) for _ in range(chance.randrange(4)))
        spans = [(at, at + chance.randrange(HOUR, 3 * DAY)) for at in deaf]
        moments = [(BEGIN_MS + n * 30 * MINUTE + number, "beat") for n in range(DAYS * 48)]
        at = BEGIN_MS
        while (at := at + round(chance.expovariate(1 / (26 * HOUR)) + 1)) < UNTIL_MS:
            moments.append((at, "open"))
        for moment, what in sorted(moments):
            said = door.opening(moment) if what == "open" else door.heartbeat(moment)
            if not any(low <= moment < high for low, high in spans):
                history.append((moment, *said))
    unit = Door("door-99", boot=f"{99:016x}")
    for number in range(60):
        at = BEGIN_MS + number * 6 * HOUR
        credential = chance.choice(["c-6", "c-7"])
        history.append((at, *unit.opening(at, type="AccessTaken", state=None, cred=credential)))
    return sorted(history)


@pytest.fixture(params=[1, 2, 3])
def street_url(database_url: str, request: pytest.FixtureRequest) -> str:
    chance = Random(request.param)
    lay_out_street(database_url, chance)
    backfill(database_url, month(chance), until_ms=UNTIL_MS)
    return database_url


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["backtest", *arguments])


def test_the_policy_in_force_finds_again_what_was_announced(street_url: str) -> None:
    result = run("--database-url", street_url, "--thresholds", "12h,24h,36h", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    announced = rows(
        street_url,
        "SELECT c.household_id, c.stage, c.at FROM stage_crossings c LEFT JOIN crossing_withdrawals w"
        " ON w.crossing_id = c.id WHERE NOT coalesce(w.late, false)",
    )
    assert len(announced) > 20 and {row["stage"] for row in announced} == {1, 2, 3}
    stored = report["stored"]
    assert stored["announced_only"] == stored["backtest_only"] == 0
    assert stored["same_instant"] >= len(announced)
    in_force, shorter = report["policies"]
    for number, stage in enumerate(("warning", "call", "visit"), start=1):
        by_day = dict(zip(report["days"], in_force["by_day"][stage], strict=True))
        expected = dict.fromkeys(report["days"], 0)
        for row in announced:
            if row["stage"] == number:
                expected[(row["at"] + timedelta(hours=8)).date().isoformat()] += 1
        assert by_day == expected
    # Half the time: never fewer, and the same policy as a list of thresholds makes the same.
    assert all(shorter["total"][stage] >= in_force["total"][stage] for stage in in_force["total"])
    again = json.loads(run("--database-url", street_url, "--thresholds", "24h,48h,72h", "--json").output)
    assert again["policies"][1]["by_day"] == in_force["by_day"]
    assert again["policies"][1]["checks_by_day"] == in_force["checks_by_day"]
    assert report["household_days"]["unseen"] > 0 and report["household_days"]["absent"] > 0


def test_a_shorter_period_finds_the_same_days(street_url: str) -> None:
    """What stood at the begin of the period is known from before it."""
    with connect(street_url, service="test") as connection:
        whole = look_back(connection, thresholds=[])
        first, last = (datetime.fromisoformat(whole["days"][at]).date() for at in (-8, -4))
        part = look_back(connection, thresholds=[], first=first, last=last)
    for stage in ("warning", "call", "visit"):
        assert part["policies"][0]["by_day"][stage] == whole["policies"][0]["by_day"][stage][-8:-3]
    assert part["unseen_by_day"] == whole["unseen_by_day"][-8:-3]


def test_a_stored_policy_a_table_and_a_drawing(database_url: str, tmp_path: Path) -> None:
    chance = Random(4)
    lay_out_street(database_url, chance)
    backfill(database_url, month(chance), until_ms=UNTIL_MS)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO policies (id, version, thresholds_s, valid_from) VALUES ('brisk', 2, '{43200,86400}', %s)",
            (as_datetime(BEGIN_MS + DAY),),
        )
    drawn = tmp_path / "days.svg"
    result = run(
        "--database-url", database_url, "--policy", "brisk@2", "--thresholds", "3d", "--plot", str(drawn)
    )
    assert result.exit_code == 0, result.output
    assert "in force (24h,48h,72h)" in result.output and "brisk@2" in result.output and "72h" in result.output
    assert "household-days were unseen" in result.output
    assert "another policy began within these days" in result.output
    root = ElementTree.fromstring(drawn.read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall(".//{*}polyline")) == 3 * 3
    # Nobody's name, door or id in a drawing or a table of numbers.
    assert "h-1" not in drawn.read_text() + result.output and "door-" not in drawn.read_text() + result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--thresholds", "24x"], "'24x' in '24x' is no span of time: write 24h,48h,72h"),
        (["--thresholds", "48h,24h"], "does not rise"),
        (["--thresholds", "1m"], "outside 10m to 30d"),
        (["--thresholds", "1d,40d"], "outside 10m to 30d"),
        (["--thresholds", "1d,2d,3d,4d,5d,6d,7d,8d,9d"], "at most 8"),
        (["--policy", "nowhere"], "no policy 'nowhere'; there are: "),
        (["--policy", "mandated@x"], "after @ comes a version number"),
        (["--community", "c-9"], "no community 'c-9'; there are: c-1"),
        (["--from", "2031-01-01"], "is after 2025-11-22, up to which ingest has worked"),
        (["--from", "2025-11-21", "--to", "2025-11-20"], "is after --to 2025-11-20"),
        (["--from", "2020-01-01"], "at most 400"),
        (["--plot", "/nowhere/plot.svg"], "/nowhere/plot.svg"),
        (["--thresholds", "1d"] * 21, "21 policies; at most 20"),
    ],
)
def test_what_does_not_fit_is_said(database_url: str, arguments: list[str], said: str) -> None:
    lay_out(database_url)
    backfill(database_url, [], until_ms=BEGIN_MS + DAY)
    result = run("--database-url", database_url, *arguments)
    assert result.exit_code != 0
    assert said in result.output


def test_an_empty_database_says_so(database_url: str) -> None:
    result = run("--database-url", database_url)
    assert result.exit_code == 1 and "no community is registered" in result.output
    lay_out(database_url)
    result = run("--database-url", database_url)
    assert result.exit_code == 1 and "ingest has not worked on this database yet" in result.output


def test_zones_of_several_communities_are_not_mixed(database_url: str) -> None:
    lay_out(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO communities VALUES ('c-2', 'Far', 'Asia/Urumqi')")
    backfill(database_url, [], until_ms=BEGIN_MS + DAY)
    result = run("--database-url", database_url)
    assert result.exit_code == 1 and "communities of several zones: name one of c-1, c-2" in result.output
    assert run("--database-url", database_url, "--community", "c-2").exit_code == 0


def test_a_day_of_another_length_is_a_whole_day() -> None:
    reached = datetime(2026, 4, 1, tzinfo=UTC)
    period = choose_period(
        datetime(2026, 3, 28).date(), datetime(2026, 3, 30).date(), "Europe/Berlin", reached
    )
    edges = period.edges_ms()
    assert [(b - a) // HOUR for a, b in pairwise(edges)] == [24, 23, 24]
    assert edges[0] == as_ms(datetime(2026, 3, 27, 23, tzinfo=UTC))


def test_thresholds_are_read_in_minutes_hours_and_days() -> None:
    assert parse_thresholds("90m, 24h,3d") == (90 * MINUTE, DAY, 3 * DAY)
