"""``kaimen doctor``: an installation enters; a line for each part leaves: ok, attention or wrong, and how to mend it.

It looks and changes nothing: it takes no session from ingest, sends the broker one message that it fetches itself, and
asks the broker of ``kaimen up`` over a user of its own that may read which sessions there are and no message.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from console.books.place import find_place
from console.doctor.broker import Broker, broker_of_directory, broker_of_settings, look_at_broker
from console.doctor.database import look_at_database
from console.doctor.lines import Line, attention, ok, wrong
from console.doctor.sign_ins import look_at_sign_ins
from console.stack.folder import StackFolder, read_json
from kaimen.clock import Clock, SystemClock, as_datetime, open_clock
from kaimen.settings import IngestSettings

#: Less room than this: soon, or now, nothing can be written any more.
_FREE_SHARE_LOW, _FREE_BYTES_LOW = 0.10, 2 * 2**30
_FREE_SHARE_NONE, _FREE_BYTES_NONE = 0.02, 200 * 2**20

_MARKS = {"ok": "ok       ", "attention": "ATTENTION", "wrong": "WRONG    "}


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at: the database's address or why there is none, the broker, the clock and where data lie."""

    database_url: str
    no_database: str
    broker: Broker
    clock: Clock
    clock_kind: Literal["system", "scaled"]
    groups: int
    folders: tuple[Path, ...]
    stack: StackFolder | None = None  # of a real ``kaimen up``, whose devices sign in each by itself


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The directory of `kaimen up`; without it the KAIMEN_* settings say what to look at.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="The report as JSON on standard output, and nothing else."
)
def command(directory: Path | None, as_json: bool) -> None:
    """Look at database, broker, sessions, leases, clocks, disk and channels; ends with 1 where something is wrong."""
    patient = _in_directory(directory.resolve()) if directory is not None else _by_settings()
    lines = list(examine(patient))
    healthy = all(line.state != "wrong" for line in lines)
    if as_json:
        report = {"healthy": healthy, "lines": [asdict(line) for line in lines]}
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(_words_of(line) for line in lines))
    sys.exit(0 if healthy else 1)


def _words_of(line: Line) -> str:
    mend = f"\n          mend: {line.mend}" if line.mend else ""
    return f"{_MARKS[line.state]} {line.part}: {line.words}{mend}"


def examine(patient: Patient) -> Iterator[Line]:
    """Look at every part once; a part that cannot be looked at is a line too."""
    serving: frozenset[int] = frozenset()
    groups = patient.groups
    if patient.database_url:
        found = look_at_database(
            patient.database_url, clock=patient.clock, scaled=patient.clock_kind == "scaled", groups=groups
        )
        yield from found.lines
        serving, groups = found.serving, found.groups or groups
    else:
        yield wrong("database", patient.no_database, "start `kaimen up --dir` there, and look into its log/")
    yield from look_at_broker(patient.broker, groups=groups, serving=serving)
    if patient.stack is not None and patient.database_url:
        yield from look_at_sign_ins(patient.stack, patient.database_url, as_datetime(SystemClock().now_ms()))
    yield from (look_at_room(folder) for folder in patient.folders)


def look_at_room(folder: Path) -> Line:
    """Say how much room the disk of a folder has."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return wrong(f"disk of {folder}", str(error), "make the folder, or name the right one")
    return judge_room(str(folder), usage.free, usage.total)


def judge_room(folder: str, free_bytes: int, total_bytes: int) -> Line:
    """Say whether so much room is enough: a share of the disk, and never less than what a night writes."""
    part = f"disk of {folder}"
    words = f"{free_bytes / 2**30:.1f} GiB of {total_bytes / 2**30:.1f} free"
    share = free_bytes / max(total_bytes, 1)
    if free_bytes < _FREE_BYTES_NONE or (share < _FREE_SHARE_NONE and free_bytes < _FREE_BYTES_LOW):
        return wrong(part, words, "make room now: without it the database and the broker take nothing more")
    if free_bytes < _FREE_BYTES_LOW or (share < _FREE_SHARE_LOW and free_bytes < 10 * _FREE_BYTES_LOW):
        return attention(part, words, "make room, or move the data to a larger disk")
    return ok(part, words)


def _by_settings() -> Patient:
    settings = IngestSettings()
    return Patient(
        settings.database_url, "", broker_of_settings(settings), open_clock(settings.clock),
        "system" if settings.clock == "system" else "scaled", settings.ingest_groups, (Path.cwd(),),
    )  # fmt: skip


def _in_directory(root: Path) -> Patient:
    folder = StackFolder(root)
    marker = read_json(folder.marker)
    if not isinstance(marker, dict):
        raise click.ClickException(
            f"{root} is no directory of kaimen up: it has no readable installation.json"
        )
    url, why = "", ""
    try:
        url = find_place(None, root, None).url
    except click.ClickException as error:
        why = error.message
    scaled = marker.get("kind") == "demo" and folder.clock.exists()
    return Patient(
        url, why, broker_of_directory(folder),
        open_clock(f"file:{folder.clock}") if scaled else SystemClock(),
        "scaled" if scaled else "system", 1, (root,), None if marker.get("kind") == "demo" else folder,
    )  # fmt: skip
