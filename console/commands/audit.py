"""``kaimen audit``: a chain, a file of its ends or a sealed package enters; whether it is whole, and where not, leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from console.audit import sealing
from console.audit.chain import Checkpoint, Fault, Verdict, verify
from console.audit.checkpoints import CheckpointError, append_checkpoint, format_checkpoint, read_checkpoints
from console.audit.noting import FILE_NAME
from console.books.place import Place, find_place, place_options
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import connect, queries
from kaimen.schema import list_migrations, schema_version

_SQL = queries("console", "tickets.sql")
NAMED_MAX = 20
_FAULTS = {
    Fault.CHANGED: "it is not what was written then, or was written without the key",
    Fault.OUT_OF_PLACE: "it does not follow the entry before it: one was taken out, put in or moved",
}


@click.group()
def command() -> None:
    """Check the record of who looked, keep its end elsewhere, check sealed packages offline."""


@command.command("verify")
@click.argument("package", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For a PACKAGE: the key of the audit chain it was sealed with; needs no database.",
)
@click.option(
    "--checkpoints", "checkpoint_files", multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Ends noted by `kaimen audit checkpoint`; only with them is a chain cut off at its end noticed."
    " Without it, those of --dir.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output, and nothing else.")
@place_options
def verify_command(
    package: Path | None, key_file: Path | None, checkpoint_files: tuple[Path, ...], as_json: bool,
    database_url: str | None, directory: Path | None, audit_key_file: Path | None,
) -> None:  # fmt: skip
    """Check the audit chain, or a sealed PACKAGE; ends with 1 where something is not as it was written."""
    if package is not None:
        if checkpoint_files:
            raise click.UsageError("a package has no checkpoints: leave --checkpoints away")
        key = key_file or audit_key_file
        report = sealing.check(_read_package(package), b"" if key is None else key.read_bytes().strip())
        sys.exit(_say_package(report, as_json=as_json))
    place = find_place(database_url, directory, audit_key_file or key_file)
    own = None if directory is None else directory / FILE_NAME
    if not checkpoint_files and own is not None and own.exists():
        checkpoint_files = (own,)
    checkpoints = _read_all(checkpoint_files, place.audit_key)
    verdict, outside, lost = _walk(place, checkpoints)
    sys.exit(_say_chain(verdict, outside, lost, with_checkpoints=bool(checkpoint_files), as_json=as_json))


def _read_package(path: Path) -> bytes:
    if path.stat().st_size > sealing.BYTES_MAX:
        raise click.ClickException(f"{path}: larger than any package of ours ({sealing.BYTES_MAX} bytes)")
    return path.read_bytes()


def _read_all(files: tuple[Path, ...], key: bytes) -> list[Checkpoint]:
    try:
        return [checkpoint for path in files for checkpoint in read_checkpoints(path, key)]
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error


def _walk(place: Place, checkpoints: list[Checkpoint]) -> tuple[Verdict, list[dict[str, Any]], list[int]]:
    """Return the verdict, readings the chain does not know, and entries whose reading is gone."""
    if schema_version(place.url) != max(migration.version for migration in list_migrations()):
        raise click.ClickException("the database is not of this version: run kaimen db migrate first")
    with connect(place.url, service="audit") as connection:
        outside = connection.execute(_SQL["reads_outside_chain"], {"limit": NAMED_MAX}).fetchall()
        lost = connection.execute(_SQL["reads_lost"], {"limit": NAMED_MAX}).fetchall()
        return (
            verify(connection, key=place.audit_key, checkpoints=checkpoints),
            outside,
            [r["id"] for r in lost],
        )


def _say_chain(
    verdict: Verdict, outside: list[dict[str, Any]], lost: list[int], *, with_checkpoints: bool, as_json: bool
) -> int:
    sound = verdict.sound and not outside and not lost
    if as_json:
        body = {
            "sound": sound, "entries": verdict.count, "broken_id": verdict.broken_id,
            "fault": verdict.fault.value if verdict.fault else None,
            "lost_checkpoints": [item.entry_id for item in verdict.lost],
            "readings_outside_chain": [row["id"] for row in outside], "entries_without_reading": lost,
        }  # fmt: skip
        click.echo(json.dumps(body, indent=2))
        return 0 if sound else 1
    if verdict.broken_id is not None and verdict.fault is not None:
        click.echo(f"BROKEN at entry {verdict.broken_id}: {_FAULTS[verdict.fault]}")
        click.echo(f"the {verdict.count} entries before it are sound")
    for item in verdict.lost:
        click.echo(
            f"LOST: entry {item.entry_id} of a checkpoint is no longer there: the end was cut off or rewritten"
        )
    for row in outside:
        click.echo(
            f"OUTSIDE: reading {row['id']} of {row['at']:%Y-%m-%d %H:%M}Z by {row['database_user']} was made past the"
            f" console ({row['row_count']} rows, {row['result']})"
        )
    for entry_id in lost:
        click.echo(f"LOST: the reading that entry {entry_id} tells of is no longer in look_up_reads")
    if sound:
        click.echo(f"sound: {verdict.count} entries")
    if not with_checkpoints:
        click.echo(
            "no checkpoints given: entries cut off at the end would not be noticed (kaimen audit checkpoint)"
        )
    return 0 if sound else 1


def _say_package(report: sealing.Report, *, as_json: bool) -> int:
    if as_json:
        findings = [{"kind": item.kind, "name": item.name, "detail": item.detail} for item in report.findings]
        facts = {key: value for key, value in report.facts.items() if key not in ("lines",)}
        click.echo(
            json.dumps({"sound": report.sound, "findings": findings, "manifest": facts}, ensure_ascii=False)
        )
        return 0 if report.sound else 1
    for item in report.findings:
        click.echo(f"{item.kind.upper()}: {item.name}" + (f" ({item.detail})" if item.detail else ""))
    if report.sound:
        ticket, chain = report.facts.get("ticket", {}), report.facts.get("chain", {})
        click.echo(
            f"sound: ticket {ticket.get('number')}, {report.facts.get('rows')} rows, taken by"
            f" {report.facts.get('taken_by')} at {report.facts.get('taken_at')}, entry {chain.get('entry_id')}"
        )
    if report.facts and not report.keyed:
        click.echo("sealed without a key: anybody could have made this seal")
    return 0 if report.sound else 1


@command.command("checkpoint")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@place_options
def checkpoint_command(
    file: Path, database_url: str | None, directory: Path | None, audit_key_file: Path | None
) -> None:
    """Check the chain and write its end as one more line of FILE, to be kept where nobody here can write."""
    place = find_place(database_url, directory, audit_key_file)
    before = _read_all((file,), place.audit_key) if file.exists() else []
    verdict, _outside, _lost = _walk(place, before)
    if not verdict.sound:
        _say_chain(verdict, [], [], with_checkpoints=True, as_json=False)
        raise click.ClickException("no checkpoint of a chain that is not sound")
    if verdict.head is None:
        raise click.ClickException("the chain has no entry yet")
    now = as_datetime(SystemClock().now_ms())
    try:
        append_checkpoint(file, format_checkpoint(verdict.head, verdict.count, now, place.audit_key))
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}; name a file that can be written") from error
    click.echo(f"{file}: entry {verdict.head.entry_id}, {verdict.count} entries")


__all__ = ["command"]
