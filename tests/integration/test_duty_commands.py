"""`kaimen duty` and `kaimen user leave` on a real database: gaps as an exit code, files taken whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerts.duty.roster import Rule
from alerts.duty.store import Change, save_rules
from console.cli import main
from console.identity import sessions as identity
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import connect
from kaimen.vocabulary import Role

CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:{who}\r\nDTSTART:{start}\r\n"
    "DURATION:PT10H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture
def url(database_url: str) -> str:
    now = as_datetime(SystemClock().now_ms())
    with connect(database_url, service="test") as connection:
        connection.execute("INSERT INTO communities (id, name) VALUES ('garden', '花园')")
        for name in ("li", "wang"):
            identity.add_user(
                connection, name=name, display_name=name.title(), password="correct horse battery",
                role=Role.PROPERTY_CLERK, community_id="garden", now=now,
            )  # fmt: skip
        people = [row["id"] for row in connection.execute("SELECT id FROM users ORDER BY id")]
        rule = (
            Rule("workdays", time(0), time(0), (people[0],)),
            Rule("rest_days", time(0), time(0), (people[0],)),
        )
        save_rules(Change(connection, "garden", "test", now), Role.PROPERTY_CLERK, rule)
    return database_url


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    def run(*words: str) -> Result:
        result = CliRunner().invoke(main, [*words[:2], "--database-url", url, *words[2:]])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def test_a_covered_community_ends_with_nought_and_one_whose_clerk_left_with_one(
    run: Callable[..., Result],
) -> None:
    covered = run("duty", "check", "--community", "garden", "--json")
    report = json.loads(covered.output)
    assert covered.exit_code == 0 and report["gaps"] == [] and "property_clerk" in report["on_duty"]
    assert "Li" in run("duty", "check", "--community", "garden").output
    left = run("user", "leave", "li")
    assert left.exit_code == 0 and "nobody reachable for call" in left.output
    bare = run("duty", "check", "--community", "garden", "--json")
    assert bare.exit_code == 1 and {gap["need"] for gap in json.loads(bare.output)["gaps"]} == {
        "call",
        "visit",
    }
    assert run("user", "leave", "nobody").exit_code == 1
    assert run("duty", "check", "--community", "nowhere").exit_code == 1


def test_shifts_come_from_a_file_and_a_file_with_a_stranger_changes_nothing(
    run: Callable[..., Result], url: str, tmp_path: Path
) -> None:
    start = (as_datetime(SystemClock().now_ms()) + timedelta(days=2)).strftime("%Y%m%dT080000Z")
    for who, code in (("Somebody", 1), ("Wang", 0)):
        file = tmp_path / f"{who}.ics"
        file.write_text(CALENDAR.format(who=who, start=start), encoding="utf-8")
        assert (
            run("duty", "import", str(file), "--community", "garden", "--role", "property_clerk").exit_code
            == code
        )
    with connect(url, service="test") as connection:
        assert connection.execute("SELECT count(*) AS n FROM duty_shifts").fetchone() == {"n": 1}


def test_a_year_is_entered_from_a_file_and_a_wrong_one_is_named(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(
        '[[years]]\nyear = 2040\nsource = "n"\nholidays = [{ name = "x", from = 2040-01-01 }]\n',
        encoding="utf-8",
    )
    bad.write_text('[[years]]\nyear = 2040\nsource = "n"\nholidays = [{ name = "x", from = 2041-01-01 }]\n')
    assert run("duty", "holidays", str(good)).output == "holidays known: 2040\n"
    refused = run("duty", "holidays", str(bad))
    assert refused.exit_code == 1 and "does not lie in 2040" in refused.output


def test_a_community_without_a_desk_gets_its_duty_line_and_a_clerks_own_mobile_does_not_become_it(
    run: Callable[..., Result], url: str
) -> None:
    line = ("duty", "line", "--community", "garden")
    assert run(*line).output == "no duty line: pages show none\n"
    assert run("phone", "staff", "li", "139 0000 0001").exit_code == 0
    for wrong, named in (
        (("--phone", "13900000001", "--hours", "24 小时"), "own mobile"), (("--phone", "0571-88001234"), "--hours"),
        (("--hours", "24 小时"), "--phone"), (("--phone", "1", "--hours", "x", "--end"), "either"),
    ):  # fmt: skip
        refused = run(*line, *wrong)
        assert refused.exit_code and named in refused.output, wrong
    assert run("duty", "line", "--community", "nowhere").exit_code == 1
    assert run(*line).output == "no duty line: pages show none\n"
    set_ = run(*line, "--phone", "0571-8800 1234", "--hours", "24 小时")
    assert set_.output == run(*line).output == "0571-8800 1234, answered: 24 小时\n"
    assert run(*line, "--end").output == "no duty line: pages show none\n"
    with connect(url, service="test") as connection:
        kept = connection.execute(
            "SELECT object_id FROM audit_entries WHERE action = 'duty_line' ORDER BY id"
        )
        assert [row["object_id"] for row in kept] == ["set", "end"]
