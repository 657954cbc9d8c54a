"""The chain in a real database: whatever is done to any of its rows, `kaimen audit verify` says where."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString, cast

import pytest
from click.testing import CliRunner, Result

from console.audit.chain import Entry, Fault, Verdict, append, verify
from console.cli import main
from kaimen.database import connect

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

KEY = b"a key of a test"
COUNT = 7
AT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "console.key"
    path.write_bytes(KEY + b"\n")
    return path


def _append(url: str, number: int, key: bytes = KEY) -> None:
    with connect(url, service="test") as connection:
        entry = Entry(
            AT + timedelta(minutes=number), f"user:{number}", "police_officer", "look_up", "rescue", "access_log",
            f"L-{number}", {"rows": number},
        )  # fmt: skip
        append(connection, entry, key=key)


@pytest.fixture
def chain(database_url: str) -> str:
    for number in range(1, COUNT + 1):
        _append(database_url, number)
    return database_url


@pytest.fixture
def run(chain: str, key_file: Path) -> Callable[..., Result]:
    def run(*words: str) -> Result:
        options = ["--database-url", chain, "--audit-key-file", str(key_file)]
        result = CliRunner().invoke(main, ["audit", words[0], *options, *words[1:]])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def tamper(url: str, statement: str) -> None:
    """What somebody with the database's own rights can do: the triggers do not hold him."""
    with connect(url, service="test") as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(cast(LiteralString, statement))


def test_a_whole_chain_is_sound(run: Callable[..., Result]) -> None:
    result = run("verify")
    assert result.exit_code == 0, result.output
    assert f"sound: {COUNT} entries" in result.output
    assert "no checkpoints given" in result.output


def verdict_after(url: str, statement: str) -> Verdict:
    """Tamper with all the rights of the database's owner, look, and undo it."""
    with connect(url, service="test") as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(cast(LiteralString, statement))
        found = verify(connection, key=KEY)
        connection.rollback()
    return found


CHANGES = ("detail = '{\"rows\": 99}'", "actor = 'x'", "at = at + interval '1 s'", "hash = previous_hash")


def test_any_row_that_was_changed_is_named(chain: str) -> None:
    for row in range(1, COUNT + 1):
        for change in CHANGES:
            found = verdict_after(chain, f"UPDATE audit_entries SET {change} WHERE id = {row}")
            assert (found.broken_id, found.fault, found.count) == (row, Fault.CHANGED, row - 1), (row, change)


def test_any_row_taken_out_is_missed_at_the_one_behind_it(chain: str) -> None:
    for row in range(1, COUNT):
        found = verdict_after(chain, f"DELETE FROM audit_entries WHERE id = {row}")
        assert (found.broken_id, found.fault) == (row + 1, Fault.OUT_OF_PLACE), row


def test_any_rows_that_changed_places_are_named(chain: str) -> None:
    for row in range(1, COUNT):
        swap = (
            "ALTER TABLE audit_entries ALTER id DROP IDENTITY;"
            f" UPDATE audit_entries SET id = -1 WHERE id = {row};"
            f" UPDATE audit_entries SET id = {row} WHERE id = {row + 1};"
            f" UPDATE audit_entries SET id = {row + 1} WHERE id = -1"
        )
        found = verdict_after(chain, swap)
        assert (found.broken_id, found.fault) == (row, Fault.OUT_OF_PLACE), row


def test_the_command_names_the_broken_row_and_ends_with_one(chain: str, run: Callable[..., Result]) -> None:
    tamper(chain, "UPDATE audit_entries SET actor = 'x' WHERE id = 3")
    result = run("verify")
    assert result.exit_code == 1
    assert "BROKEN at entry 3:" in result.output
    body = json.loads(run("verify", "--json").output)
    assert (body["sound"], body["broken_id"], body["fault"]) == (False, 3, "changed")


@pytest.mark.parametrize("left", [0, COUNT - 1])
def test_an_end_that_was_cut_off_is_noticed_with_a_checkpoint_kept_elsewhere(
    chain: str, run: Callable[..., Result], tmp_path: Path, left: int
) -> None:
    file = tmp_path / "ends.jsonl"
    assert run("checkpoint", str(file)).exit_code == 0
    assert run("verify", "--checkpoints", str(file)).exit_code == 0
    tamper(chain, f"DELETE FROM audit_entries WHERE id > {left}")
    assert run("verify").exit_code == 0  # without one nobody can know: the command says so
    result = run("verify", "--checkpoints", str(file))
    assert result.exit_code == 1
    assert f"LOST: entry {COUNT}" in result.output
    again = run("checkpoint", str(file))
    assert again.exit_code == 1


def test_an_end_written_anew_with_the_key_is_noticed_with_a_checkpoint(
    chain: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "ends.jsonl"
    run("checkpoint", str(file))
    tamper(chain, f"DELETE FROM audit_entries WHERE id = {COUNT}")
    _append(chain, 99)
    assert run("verify").exit_code == 0
    assert run("verify", "--checkpoints", str(file)).exit_code == 1


def test_a_row_written_without_the_key_is_named(chain: str, run: Callable[..., Result]) -> None:
    _append(chain, 8, key=b"")
    body = json.loads(run("verify", "--json").output)
    assert (body["broken_id"], body["fault"]) == (8, "changed")


def test_a_changed_checkpoint_is_not_believed(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "ends.jsonl"
    run("checkpoint", str(file))
    text = file.read_text()
    for old, new in (('"count": 7', '"count": 6'), ('"entry_id": 7', '"entry_id": 3'), ("{", "")):
        file.write_text(text.replace(old, new, 1))
        result = run("verify", "--checkpoints", str(file))
        assert result.exit_code == 1
        assert "line 1" in result.output


def test_a_reading_made_past_the_console_is_named(chain: str, run: Callable[..., Result]) -> None:
    with connect(chain, service="test") as connection:
        connection.execute(
            "SELECT * FROM look_up_events(NULL, NULL, %s, %s, NULL, NULL, NULL, NULL, NULL, 9)", (AT, AT)
        )
    result = run("verify")
    assert result.exit_code == 1
    assert "OUTSIDE: reading 1" in result.output
