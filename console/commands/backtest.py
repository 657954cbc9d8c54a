"""``kaimen backtest``: an installation's past and policies enter; what each would have made leaves, day by day.

Only numbers leave, never a household. Nothing is written to the database.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from console.books.place import Place, find_place, place_options
from ingest.look_back.report import IN_FORCE, POLICIES_MAX, format_thresholds, look_back, parse_thresholds
from kaimen.database import Connection, connect
from kaimen.schema import list_migrations, schema_version

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@place_options
@click.option(
    "--thresholds", "sets", multiple=True, metavar="24h,48h,72h", help="A policy to try; may be repeated."
)
@click.option(
    "--policy",
    "names",
    multiple=True,
    metavar="ID[@VERSION]",
    help="A stored policy to try; may be repeated.",
)
@click.option("--community", help="Its id; without it, all.")
@click.option("--from", "first", type=_DAY, help="First day, local; 30 days before the last where not named.")
@click.option("--to", "last", type=_DAY, help="Last day, local; the newest where not named.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw the days into this SVG file.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="The report as JSON on standard output, and nothing else."
)
def command(
    database_url: str | None,
    directory: Path | None,
    audit_key_file: Path | None,
    sets: tuple[str, ...],
    names: tuple[str, ...],
    community: str | None,
    first: datetime | None,
    last: datetime | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Say how many warnings, calls and visits a day another policy would have made of what is stored.

    Blind time is never counted: nobody comes nearer to a stage while the door could not be heard. How much that was
    is part of the report. The policy in force stands first, beside what was really announced.
    """
    place = find_place(database_url, directory, audit_key_file)
    if len(sets) + len(names) > POLICIES_MAX:
        raise click.UsageError(f"{len(sets) + len(names)} policies; at most {POLICIES_MAX} at once")
    try:
        with _reading(place) as connection:
            report = _look_back(
                connection,
                quiet=as_json,
                thresholds=[parse_thresholds(text) for text in sets],
                policies=names,
                community=community,
                first=first.date() if first else None,
                last=last.date() if last else None,
            )
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if plot is not None:
        from console.drawing.backtest import backtest_file

        try:
            plot.write_text(backtest_file(report), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{plot}: {error.strerror}") from error
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    click.echo(format_report(report))
    if plot is not None:
        click.echo(f"Drawn: {plot}")


@contextmanager
def _reading(place: Place) -> Iterator[Connection]:
    """One state of a database of this version, for reading."""
    version = max(migration.version for migration in list_migrations())
    if schema_version(place.url) != version:
        raise click.ClickException("the database is not of this version: run kaimen db migrate first")
    with connect(place.url, service="backtest") as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection


def _look_back(connection: Connection, *, quiet: bool, **asked: Any) -> dict[str, Any]:
    with tqdm(unit=" households", disable=quiet or not sys.stderr.isatty(), file=sys.stderr) as bar:

        def advance(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        return look_back(connection, **asked, progress=advance)


# -- for people -------------------------------------------------------------------------------------------------


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines of text."""
    days = report["household_days"]
    lines = [
        f"{report['community'] or 'All communities'}, {report['from']} to {report['to']} ({report['zone']}): "
        f"{report['households']:,} households, {days['all']:,} household-days",
        f"Blind time is not counted: {days['unseen']:,} household-days were unseen, {days['absent']:,} were absences.",
        "",
        *_table(report),
        "",
        *_by_day(report),
        "",
        _stored_line(report["stored"]),
        *(f"Note: {note}." for note in report["notes"]),
    ]
    return "\n".join(lines)


def _name(policy: dict[str, Any]) -> str:
    if policy["name"] != IN_FORCE or policy["thresholds_s"] is None:
        return str(policy["name"])
    return f"{IN_FORCE} ({format_thresholds(tuple(1000 * s for s in policy['thresholds_s']))})"


def _table(report: dict[str, Any]) -> Iterator[str]:
    width = max(22, *(len(_name(policy)) + 2 for policy in report["policies"]))
    yield f"{'a day':<{width}}{'warnings':>18}{'calls':>18}{'visits':>18}{'checks':>10}{'households':>12}"
    day_count = len(report["days"])
    for number, policy in enumerate(report["policies"]):
        cells = []
        for stage in ("warning", "call", "visit"):
            change = policy["difference"][stage] / day_count
            cells.append(f"{policy['a_day'][stage]:.2f}" + (f" ({change:+.2f})" if number else ""))
        checks = sum(policy["checks"].values()) / day_count
        yield (
            f"{_name(policy):<{width}}"
            + "".join(f"{cell:>18}" for cell in cells)
            + (f"{checks:>10.2f}{policy['households']:>12,}")
        )


def _by_day(report: dict[str, Any]) -> Iterator[str]:
    widths = [max(14, len(_name(policy)) + 2) for policy in report["policies"]]
    heads = (f"{_name(policy):>{width}}" for policy, width in zip(report["policies"], widths, strict=True))
    yield f"{'warning/call/visit':<20}" + "".join(heads) + f"{'unseen':>10}"
    for number, day in enumerate(report["days"]):
        cells = []
        for policy, width in zip(report["policies"], widths, strict=True):
            by_day = policy["by_day"]
            cells.append(f"{'/'.join(str(by_day[s][number]) for s in ('warning', 'call', 'visit')):>{width}}")
        yield f"{day:<20}" + "".join(cells) + f"{report['unseen_by_day'][number]:>10.2f}"


def _stored_line(stored: dict[str, Any]) -> str:
    total = stored["total"]
    return (
        f"Really announced: {total['warning']} warnings, {total['call']} calls, {total['visit']} visits; "
        f"{stored['withdrawn_by_late_evidence']} of them withdrawn by evidence that came late. "
        f"{stored['same_instant']} are found again at the same instant, {stored['announced_only']} are not, "
        f"and {stored['backtest_only']} are found that were not announced."
    )
