"""Backup and restore on a real server: everything comes back, nothing is told twice, and no damaged file is taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from console.audit.chain import verify
from console.cli import main
from kaimen.clock import ManualClock
from kaimen.database import connect
from tests.fix_database import DatabaseServer
from tests.integration.console_world import World, build_world

pytestmark = pytest.mark.slow


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def run(*arguments: object, good: bool = True) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert (result.exit_code == 0) is good, result.output
    return result


def make_key(folder: Path, name: str = "key") -> tuple[Path, str]:
    path = folder / name
    return path, run("backup", "--new-key", path).output.strip()


def test_a_restored_database_has_every_row_and_tells_nobody_anything(
    world: World, empty_database_url: str, tmp_path: Path
) -> None:
    key, recipient = make_key(tmp_path)
    case_id = next(iter(world.case_ids.values()))
    world.write(
        "INSERT INTO outbox (case_id, step, person, channel, idempotency_key, template, state, created_at, not_before)"
        " VALUES (%s, 'call', 'community:wenchang', 'webhook', 'old', 'case', 'planned', %s, %s)",
        case_id, world.now, world.now,
    )  # fmt: skip
    world.browser("clerk")
    file, since = tmp_path / "a.backup", tmp_path / "since.jsonl"
    run("backup", "--out", file, "--recipient", recipient, "--database-url", world.url)
    assert "is whole" in run("backup", "--verify", file, "--key", key).output
    assert "王秀英".encode() not in file.read_bytes() and b"13812341234" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0 and key.stat().st_mode & 0o077 == 0

    # After the backup: a consent is withdrawn, a relative blocked, a sign-in ended.
    later = world.now + timedelta(hours=1)
    world.write(
        "UPDATE consents SET withdrawn_at = %s WHERE household_id = 'h-wang' AND purpose = 'watch'", later
    )
    world.write(
        "UPDATE user_households SET blocked_at = %s WHERE user_id = %s", later, world.user_ids["family"]
    )
    world.write("UPDATE users SET disabled_at = %s WHERE name = 'grid'", later)
    chain, ledger = tmp_path / "console.key", tmp_path / "ledger"
    chain.write_bytes(world.app.state.services.audit_key)
    options = ("--database-url", world.url, "--audit-key-file", chain)
    run(
        "person",
        "delete",
        "p-h-sun",
        "--by",
        "admin",
        "--asked-by",
        "self",
        "--yes",
        "--out",
        tmp_path / "gone.zip",
        "--ledger",
        ledger,
        *options,
    )
    run("backup", "--since-out", since, "--ledger-out", ledger, *options)

    to = ("--database-url", empty_database_url, "--audit-key-file", chain)
    told = run("restore", file, "--key", key, "--since", since, "--ledger", ledger, *to).output
    assert "done again: 1 people deleted" in told
    assert "every table has its rows" in told and "messages are held" in told
    with connect(empty_database_url, service="test") as connection:

        def one(statement: str) -> object:
            row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
            assert row is not None
            return next(iter(row.values()))

        assert one("SELECT count(*) FROM person_identities WHERE name LIKE '%孙兰%'") == 0
        assert one("SELECT count(*) FROM sessions") == 0
        assert (
            one("SELECT count(*) FROM consents WHERE household_id = 'h-wang' AND withdrawn_at IS NOT NULL")
            == 1
        )
        assert one("SELECT count(*) FROM user_households WHERE blocked_at IS NOT NULL") >= 1  # type: ignore[operator]
        assert one("SELECT disabled_at IS NOT NULL FROM users WHERE name = 'grid'") is True
        assert one("SELECT count(*) FROM outbox_holds WHERE reason = 'restored' AND ended_at IS NULL") == 1
        assert verify(connection, key=world.app.state.services.audit_key).sound
    assert "old" not in told
    assert "1 messages" in run("outbox", "held", *to).output

    # The same file again, over what is there now: refused.
    refused = run("restore", file, "--key", key, "--database-url", empty_database_url, good=False).output
    assert "not empty" in refused


def test_no_file_that_was_changed_cut_or_written_for_another_is_restored(
    database_url: str, database_server: DatabaseServer, empty_database_url: str, tmp_path: Path
) -> None:
    key, recipient = make_key(tmp_path)
    other, _ = make_key(tmp_path, "other")
    file = tmp_path / "a.backup"
    run("backup", "--out", file, "--recipient", recipient, "--database-url", database_url)
    whole = file.read_bytes()
    damaged = tmp_path / "damaged"
    middle = len(whole) // 2
    for content in (
        whole[:-1],
        whole[:middle],
        whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        whole[:40] + b"x" + whole[41:],
        whole + b"x",
        b"",
    ):
        damaged.write_bytes(content)
        run("backup", "--verify", damaged, "--key", key, good=False)
        run("restore", damaged, "--key", key, "--database-url", empty_database_url, good=False)
    assert "another key" in run("backup", "--verify", file, "--key", other, good=False).output
    with psycopg.connect(empty_database_url) as connection:
        row = connection.execute("SELECT to_regclass('public.schema_migrations')").fetchone()
    assert row == (None,)


def test_a_backup_is_written_with_a_public_key_and_never_over_another(
    database_url: str, tmp_path: Path
) -> None:
    key, recipient = make_key(tmp_path)
    private = key.read_text().splitlines()[-1]
    file = tmp_path / "a.backup"
    said = run(
        "backup", "--out", file, "--recipient", private, "--database-url", database_url, good=False
    ).output
    assert "private key" in said and not file.exists()
    run("backup", "--new-key", key, good=False)
    file.write_text("something else")
    run("backup", "--out", file, "--recipient", recipient, "--database-url", database_url, good=False)
    assert file.read_text() == "something else"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".part")] == []
