"""A directory of the version before: upgraded by ``kaimen up``, backed up while it runs, restored into a new one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.backups.directory import running
from console.cli import main
from console.stack.folder import StackFolder, write_private
from console.stack.postgres import Postgres, open_postgres
from console.stack.services import free_port
from kaimen.database import connect
from kaimen.schema import list_migrations, migrate, schema_version
from tests.fix_servers import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
#: The last schema before migrations were numbered with care for running services.
OLD_SCHEMA = 15
NEWEST = max(step.version for step in list_migrations())


def make_old_directory(root: Path) -> None:
    """A production directory as the version before left it: schema, one household, one administrator."""
    folder = StackFolder(root)
    folder.prepare()
    folder.claim_kind("production")
    postgres = open_postgres(folder, folder.load_secrets(), free_port())
    with running(postgres):
        postgres.ensure_database()
        migrate(postgres.url, migrations=[step for step in list_migrations() if step.version <= OLD_SCHEMA])
        with connect(postgres.url, service="test") as connection:
            connection.execute("INSERT INTO installation VALUES (DEFAULT, 'production', '2026-03-01+00')")
            connection.execute("INSERT INTO communities (id, name) VALUES ('garden', 'Garden')")
            connection.execute("INSERT INTO sites VALUES ('south', 'garden', 'South')")
            connection.execute(
                "INSERT INTO users (name, display_name, password_hash, role, created_at)"
                " VALUES ('admin', 'admin', 'x', 'admin', '2026-03-01+00')"
            )
    write_private(folder.edge_devices, "[]\n")
    folder.note_prepared("production")


@contextmanager
def up(root: Path) -> Iterator[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
    output = root.with_name(f"{root.name}.out")
    line = [sys.executable, "-m", "console.cli", "up", "--dir", str(root), "--port", "0", "--mqtt-port", "0"]
    with output.open("wb") as out:
        process = subprocess.Popen(
            line,
            cwd=REPOSITORY,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )

    def said() -> bool:
        assert process.poll() is None, output.read_text()[-4_000:]
        return "Kaimen is at" in output.read_text()

    try:
        wait_until(said, "the stack is up", within_s=420, poll_s=0.2)
        found = re.search(r"http://127\.0\.0\.1:\d+", output.read_text())
        assert found is not None
        yield found.group(0)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=20) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output.strip()


def opened(root: Path) -> Postgres:
    folder = StackFolder(root)
    return open_postgres(folder, folder.load_secrets(), free_port())


def test_an_old_directory_is_upgraded_backed_up_and_restored_elsewhere(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    make_old_directory(old)
    key = tmp_path / "key"
    recipient = run("backup", "--new-key", key)
    file, settings, since = tmp_path / "a.backup", tmp_path / "settings", tmp_path / "since"
    with up(old) as url:
        wait_until(lambda: is_ready(url), "every service has turned", within_s=300, poll_s=0.2)
        run(
            "backup",
            "--dir",
            old,
            "--out",
            file,
            "--settings-out",
            settings,
            "--since-out",
            since,
            "--recipient",
            recipient,
        )
    secret = (old / "secrets.json").read_bytes()
    assert secret not in settings.read_bytes()

    told = run("restore", file, "--key", key, "--dir", new, "--settings", settings, "--since", since)
    assert "every table has its rows" in told and "people deleted since then are in it again" in told
    assert (new / "secrets.json").read_bytes() == secret
    assert (new / "console.key").read_bytes() == (old / "console.key").read_bytes()
    postgres = opened(new)
    with running(postgres):
        assert schema_version(postgres.superuser_url) == NEWEST
        with connect(postgres.superuser_url, service="test") as connection:
            edge = connection.execute("SELECT site_id FROM devices WHERE id = 'edge'").fetchone()
            held = connection.execute("SELECT reason FROM outbox_holds WHERE ended_at IS NULL").fetchone()
            owner = connection.execute(
                "SELECT tableowner FROM pg_tables WHERE tablename = 'cases'"
            ).fetchone()
        assert (edge, held, owner) == ({"site_id": "south"}, {"reason": "restored"}, {"tableowner": "kaimen"})

    again = CliRunner().invoke(main, ["restore", str(file), "--key", str(key), "--dir", str(new)])
    assert again.exit_code == 1 and "not empty" in again.output
