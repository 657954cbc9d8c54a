"""``kaimen duty``: a community enters, who is on duty, its gaps and its duty line leave; files of shifts and holidays enter."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from alerts.duty.holidays import HolidayTableError, parse_years
from alerts.duty.readiness import find_gaps, unknown_years
from alerts.duty.roster import DUTY_ROLES, stretches
from alerts.duty.store import (
    Change,
    RosterRefusedError,
    RosterWordsError,
    load_duty,
    load_reach,
    save_holidays,
    save_shifts,
)
from console.audit.chain import Entry
from console.books.place import Place, entering, find_place, note, place_options
from console.duty.calendar import CalendarError, read_shifts
from console.duty.line import check_duty_line, end_duty_line, load_duty_line, save_duty_line
from console.views.parts import DutyLine
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection, queries

_SQL = queries("console", "duty.sql")
_BY = "command-line"
_LINE_WRONG = {
    "no_phone_number": "--phone is no telephone number: 3 to 15 digits",
    "duty.line_personal": "--phone is the own mobile number of somebody on the staff: give the office's line",
    "duty.line_hours": "--hours says when somebody answers it, in at most 40 characters",
}


@click.group()
def command() -> None:
    """Look after who is on duty."""


def _placed(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def run(
        database_url: str | None, directory: Path | None, audit_key_file: Path | None, **options: Any
    ) -> None:
        function(find_place(database_url, directory, audit_key_file), **options)

    return place_options(run)


def _now() -> datetime:
    return as_datetime(SystemClock().now_ms())


@command.command("check")
@click.option("--community", required=True, help="Its id.")
@click.option("--days", type=click.IntRange(1, 60), default=14, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output, and nothing else.")
@_placed
def check(place: Place, community: str, days: int, as_json: bool) -> None:
    """Say who is on duty in the days ahead, and which minutes nobody can be reached; ends with 1 where there are any."""
    now, ahead = _now(), timedelta(days=days)
    with entering(place, service="duty") as connection:
        duty = load_duty(connection, community)
        if duty is None:
            raise click.ClickException(f"there is no community {community}")
        duty = load_reach(connection, duty)
    gaps = find_gaps(duty, now=now, ahead=ahead)
    years = unknown_years(duty, now=now, ahead=ahead)
    zone = ZoneInfo(duty.zone)
    report = {
        "community": community,
        "days": days,
        "gaps": [
            {"need": g.need.value, "from": g.from_at.isoformat(), "to": g.to_at.isoformat(), "reason": g.reason.value}
            for g in gaps
        ],
        "years_without_holidays": years,
        "on_duty": {
            role.value: [
                {
                    "from": item.from_at.isoformat(), "to": item.to_at.isoformat(),
                    "people": [f"user:{person}" for person in item.on_duty.people],
                    "ground": item.on_duty.ground.value,
                }
                for item in stretches(duty, role, now, now + ahead)
            ]
            for role in DUTY_ROLES
            if duty.has_roster(role)
        },
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        for role in DUTY_ROLES:
            for item in stretches(duty, role, now, now + ahead) if duty.has_roster(role) else ():
                names = "、".join(duty.people[person].name for person in item.on_duty.people) or "-"
                click.echo(f"{item.from_at.astimezone(zone):%a %m-%d %H:%M}  {role.value:<15} {names}")
        for year in years:
            click.echo(f"the holidays of {year} are not known: kaimen duty holidays FILE")
        for gap in gaps:
            click.echo(
                f"nobody for {gap.need.value} from {gap.from_at.astimezone(zone):%a %m-%d %H:%M} to {gap.to_at.astimezone(zone):%a %m-%d %H:%M} ({gap.reason.value})"
            )
        if not gaps:
            click.echo("somebody can be reached at every minute")
    if gaps:
        raise SystemExit(1)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--community", required=True, help="Its id.")
@click.option("--role", required=True, type=click.Choice([role.value for role in DUTY_ROLES]))
@_placed
def import_(place: Place, file: Path, community: str, role: str) -> None:
    """Take the shifts of an iCalendar FILE in place of those of the role that have not begun."""
    now = _now()
    with entering(place, service="duty") as connection:
        duty = load_duty(connection, community)
        if duty is None:
            raise click.ClickException(f"there is no community {community}")
        try:
            shifts = read_shifts(
                file.read_bytes(), known_names(connection, community, role), zone=duty.zone, now=now
            )
            save_shifts(Change(connection, community, _BY, now), role, shifts)
        except (CalendarError, RosterWordsError) as error:
            raise click.ClickException(f"{file}: {error}") from error
        except RosterRefusedError as error:
            gap = error.gaps[0]
            raise click.ClickException(
                f"nothing was saved: nobody could be reached for {gap.need.value} from {gap.from_at.isoformat()} to"
                f" {gap.to_at.isoformat()} ({gap.reason.value}); put somebody on duty there first"
            ) from error
        detail = {"community": community, "role": role, "shifts": len(shifts)}
        note(
            connection,
            place,
            Entry(now, _BY, "system", "duty_imported", "administration", "roster", role, detail),
        )
    click.echo(f"{len(shifts)} shifts of {role}")


def known_names(connection: Connection, community_id: str, role: str) -> dict[str, int]:
    """Return the names by which people of a role are known; one that two people share is nobody's."""
    found: dict[str, set[int]] = {}
    args = {"community_id": community_id, "role": role}
    for row in connection.execute(_SQL["staff_names"], args):
        for name in (row["name"], row["display_name"]):
            found.setdefault(name, set()).add(row["id"])
    return {name: next(iter(ids)) for name, ids in found.items() if len(ids) == 1}


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_placed
def holidays(place: Place, file: Path) -> None:
    """Enter the public holidays and make-up workdays of a year from a TOML FILE."""
    now = _now()
    try:
        table = parse_years(file.read_text(encoding="utf-8"))
    except (HolidayTableError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: {error}") from error
    with entering(place, service="duty") as connection:
        save_holidays(connection, table, by=_BY, now=now)
        for year in sorted(table.years):
            entry = Entry(now, _BY, "system", "holidays_entered", "administration", "year", str(year), {})
            note(connection, place, entry)
    click.echo(f"holidays known: {', '.join(map(str, sorted(table.years)))}")


@command.command("line")
@click.option("--community", required=True, help="Its id.")
@click.option("--phone", default="", help="The office's own number, never anybody's mobile.")
@click.option(
    "--hours", default="", help="When somebody answers it, in the office's words, such as '24 小时'."
)
@click.option("--hours-en", default="", help="The same for who reads the pages in English.")
@click.option("--end", is_flag=True, help="Show no number any more.")
@_placed
def duty_line(place: Place, community: str, phone: str, hours: str, hours_en: str, end: bool) -> None:
    """Show a community's duty line; with --phone and --hours put one in its place, with --end take it away."""
    typed = DutyLine(phone.strip(), hours.strip(), hours_en.strip())
    given = any((typed.phone, typed.hours, typed.hours_en))
    if end and given:
        raise click.UsageError("either --end, or --phone and --hours")
    now = _now()
    with entering(place, service="duty") as connection:
        if load_duty(connection, community) is None:
            raise click.ClickException(f"there is no community {community}")
        if given:
            wrong = check_duty_line(connection, typed)
            if wrong:
                raise click.ClickException("; ".join(_LINE_WRONG[word] for word in wrong.values()))
            save_duty_line(connection, community, typed, by=_BY, now=now)
        elif end:
            end_duty_line(connection, community)
        line = load_duty_line(connection, community_id=community)
        if given or end:
            done, detail = "end" if end else "set", {"community": community}
            entry = Entry(now, _BY, "system", "duty_line", "administration", "roster", done, detail)
            note(connection, place, entry)
    said = () if line is None else (line.phone, f"answered: {line.hours}", line.hours_en)
    click.echo("no duty line: pages show none" if line is None else ", ".join(filter(None, said)))
