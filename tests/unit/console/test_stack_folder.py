"""The stack's directory: one supervisor at a time, one kind for life, secrets for its owner alone."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from console.stack.folder import StackError, StackFolder, read_json, write_json
from console.stack.output import BoundedLog, as_structured

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> StackFolder:
    made = StackFolder(tmp_path / "data")
    made.prepare()
    return made


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_two_supervisors_never_share_a_directory(folder: StackFolder) -> None:
    with folder.locked(), pytest.raises(StackError, match="in use by process"), folder.locked():
        raise AssertionError("two of them")
    with folder.locked():
        pass


def test_a_killed_supervisor_leaves_no_lock(folder: StackFolder) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom console.stack.folder import StackFolder\n"
        "with StackFolder(Path(sys.argv[1])).locked():\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder.root)], cwd=REPOSITORY, check=False)
    with folder.locked():
        pass


@pytest.mark.parametrize(("first", "second"), [("demo", "production"), ("production", "demo")])
def test_a_demo_never_becomes_production_and_production_never_a_demo(
    folder: StackFolder, first: str, second: str
) -> None:
    assert folder.claim_kind(first) is False
    folder.note_prepared(first)
    with pytest.raises(StackError, match="stays one"):
        folder.claim_kind(second)
    assert folder.claim_kind(first) is True


def test_a_preparation_that_was_cut_off_is_not_taken_for_a_whole_one(folder: StackFolder) -> None:
    assert folder.claim_kind("demo") is False
    assert folder.claim_kind("demo") is False


def test_a_database_of_unknown_origin_is_not_touched(folder: StackFolder) -> None:
    folder.postgres.mkdir()
    with pytest.raises(StackError, match="not ours"):
        folder.claim_kind("demo")


def test_secrets_are_made_once_and_only_their_owner_reads_them(folder: StackFolder) -> None:
    first = folder.load_secrets()
    assert folder.load_secrets() == first
    assert len(set(first.values())) == len(first)
    assert min(map(len, first.values())) >= 32
    assert mode_of(folder.root / "secrets.json") == 0o600
    assert mode_of(folder.console_secret) == 0o600
    assert mode_of(folder.run) == 0o700


def test_half_a_file_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text('{"half": ')
    assert read_json(path) is None
    write_json(path, {"whole": 1})
    assert read_json(path) == {"whole": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_file_is_bounded(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "one.log", bytes_max=1_000)
    for number in range(200):
        log.write(f"line {number}\n".encode())
    log.close()
    assert (tmp_path / "one.log").stat().st_size <= 1_000
    assert (tmp_path / "one.log.1").stat().st_size <= 1_000
    assert (tmp_path / "one.log").read_text().endswith("line 199\n")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("said", "grave"),
    [
        ('{"event": "all is well", "level": "info"}', False),
        ('{"event": "trouble", "level": "error"}', True),
        ("2026-01-01 00:00:00 UTC [1] LOG:  database system is ready", False),
        ("2026-01-01 00:00:00 UTC [1] FATAL:  no space left", True),
        ("[7] 2026/01/01 00:00:00 [ERR] cannot listen", True),
        ("Traceback (most recent call last):", True),
        ('{"not a log line": 1}', False),
        ("{half", False),
    ],
)
def test_every_line_leaves_as_json(said: str, grave: bool) -> None:
    line, told_grave = as_structured("one", said)
    found = json.loads(line)
    assert isinstance(found, dict)
    assert told_grave is grave
