"""``kaimen policy``: a question about a ladder enters; a table of who would be told, when and why leaves.

Names of staff are shown on request only, and that they were is written into the audit.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from alerts.duty.dry_run import (
    HOURS_AFTER_VISIT_DEFAULT,
    HOURS_AFTER_VISIT_MAX,
    Answer,
    DryRunError,
    Line,
    Question,
    answer,
    as_json,
)
from console.audit.chain import Entry
from console.books.place import entering, find_place, note, place_options
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection, queries

_SQL = queries("console", "duty.sql")
_AT = click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.group()
def command() -> None:
    """Ask what a ladder would do."""


@command.command("dry-run")
@place_options
@click.option("--household", help="Its id: its own policy, helpers, hours and family.")
@click.option("--policy", help="A stored policy to ask of; the household's, or the mandated one, without it.")
@click.option("--community", help="Its id, where no household is named.")
@click.option("--from", "silent_from", type=_AT, required=True, metavar="'2026-11-20 18:00'",
              help="Since when nothing is heard, in the community's time.")  # fmt: skip
@click.option("--hours", type=click.IntRange(0, HOURS_AFTER_VISIT_MAX), default=HOURS_AFTER_VISIT_DEFAULT,
              show_default=True, help="How far to go on after the last stage.")  # fmt: skip
@click.option("--names", is_flag=True, help="Show names of staff; that you did is written into the audit.")
@click.option("--json", "as_json_", is_flag=True, help="As JSON on standard output, and nothing else.")
def dry_run(
    database_url: str | None,
    directory: Path | None,
    audit_key_file: Path | None,
    household: str | None,
    policy: str | None,
    community: str | None,
    silent_from: datetime,
    hours: int,
    names: bool,
    as_json_: bool,
) -> None:
    """Say who is called when, if somebody is silent from an instant on and nobody answers.

    Nothing is written to cases and nobody is told. The rules asked are the engine's own.
    """
    if (household is None) == (community is None):
        raise click.UsageError("name either --household or --community")
    place = find_place(database_url, directory, audit_key_file)
    with entering(place, service="policy") as connection:
        zone = _zone(connection, household, community)
        begin = silent_from.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        question = Question(begin, household, community, policy, hours)
        try:
            found = answer(connection, question)
        except DryRunError as error:
            raise click.ClickException(str(error)) from error
        if names:
            now = as_datetime(SystemClock().now_ms())
            kind, about = ("household", household) if household else ("community", community)
            entry = Entry(
                now, "command-line", "system", "policy_dry_run", "administration", str(kind), str(about), {}
            )
            note(connection, place, entry)
    if as_json_:
        click.echo(json.dumps(as_json(found, named=names), ensure_ascii=False, indent=2))
        return
    click.echo(format_answer(found, named=names))


def _zone(connection: Connection, household: str | None, community: str | None) -> str:
    values = {"community": community, "household": household}
    row = connection.execute(_SQL["zone_of"], values).fetchone()
    if row is None:
        raise click.ClickException(
            f"there is no {'household' if household else 'community'} {household or community}"
        )
    return str(row["zone"])


def format_answer(found: Answer, *, named: bool) -> str:
    """Return the table as text: one line for each thing that would happen, in the community's time."""
    zone = ZoneInfo(found.zone)
    lines = [
        f"silent from {found.question.silent_from.astimezone(zone):%a %Y-%m-%d %H:%M} ({found.zone}); nobody answers"
    ]
    lines += [
        f"{line.at.astimezone(zone):%a %m-%d %H:%M}  {line.step:<12} {_what(found, line, named)}"
        for line in found.lines
    ]
    if found.cut:
        lines.append("… there is more than this table holds")
    return "\n".join(lines)


def _what(found: Answer, line: Line, named: bool) -> str:
    why = f"({line.why.value}{', ' + line.ground.value if line.ground else ''})"
    if line.kind == "stage":
        return f"stage reached {why}"
    if line.kind == "task":
        due = line.due_at.astimezone(ZoneInfo(found.zone)).strftime("%H:%M") if line.due_at else ""
        return f"task {line.act} → {line.role}, due {due} {why}"
    people = [found.names.get(person, str(person)) if named else f"user:{person}" for person in line.people]
    who = line.who
    if named and who.startswith("user:"):
        who = found.names.get(int(who[5:]), who)
    on_duty = f" [{', '.join(people)}]" if people else ""
    return f"{line.channel} → {who}{on_duty} {why}"
