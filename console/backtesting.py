"""``kaimen backtest``: an installation's past and policies enter; what each would have made leaves, day by day.

Only numbers leave, never a household. Nothing is written to the database.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
import psycopg
from tqdm import tqdm

from console.books.place import Place, find_place, place_options
from kaimen.clock import as_ms
from kaimen.database import Connection, connect
from kaimen.policy import DAY_MS, HOUR_MS, MINUTE_MS
from kaimen.schema import list_migrations, schema_version

if TYPE_CHECKING:
    from ingest.backtest import Outcome, Past
    from ingest.past import StoredCrossing

IN_FORCE = "in force"
DAYS_USUAL = 30
DAYS_MAX = 400
POLICIES_MAX = 20
STAGES_MAX = 8
THRESHOLD_MIN_MS = 10 * MINUTE_MS
#: Not longer than what is read before the period, or a stage could be missed.
THRESHOLD_MAX_MS = 30 * DAY_MS

_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_THRESHOLD = re.compile(r"(\d{1,6})([mhd])")


def parse_thresholds(text: str) -> tuple[int, ...]:
    """Return ascending thresholds in milliseconds.

    Raises
    ------
    ValueError
        Saying which part does not fit, and how it is written.
    """
    found: list[int] = []
    for part in text.split(","):
        match = _THRESHOLD.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                f"{part.strip()!r} in {text!r} is no span of time: write 24h,48h,72h (m, h or d)"
            )
        ms = int(match[1]) * _UNITS[match[2]]
        if not THRESHOLD_MIN_MS <= ms <= THRESHOLD_MAX_MS:
            raise ValueError(f"{part.strip()!r} in {text!r} is outside 10m to 30d")
        if found and ms <= found[-1]:
            raise ValueError(
                f"{text!r} does not rise: each stage comes after the one before, as in 24h,48h,72h"
            )
        found.append(ms)
    if len(found) > STAGES_MAX:
        raise ValueError(f"{text!r} has {len(found)} stages; at most {STAGES_MAX}")
    return tuple(found)


def format_thresholds(thresholds_ms: tuple[int, ...]) -> str:
    """Return thresholds as they are written on the command line, in hours where they are whole hours."""
    return ",".join(
        f"{ms // HOUR_MS}h" if ms % HOUR_MS == 0 else f"{ms // MINUTE_MS}m" for ms in thresholds_ms
    )


@dataclass(frozen=True, slots=True)
class Period:
    """Whole local days, both ends included; ``until`` is how far of them anything is known."""

    first: date
    last: date
    zone: ZoneInfo
    until: datetime

    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def edges_ms(self) -> list[int]:
        """Return the begin of each day and the end of the last: a day has 23 to 25 hours."""
        dates = [*self.days(), self.last + timedelta(days=1)]
        return [as_ms(datetime.combine(day, time(0), tzinfo=self.zone).astimezone(UTC)) for day in dates]


def choose_period(first: date | None, last: date | None, zone: str, reached: datetime) -> Period:
    """Return the days to look at: the last thirty up to what ingest has reached, where none are named.

    Raises
    ------
    ValueError
        If the days are in the wrong order, too many, or not here yet.
    """
    place = ZoneInfo(zone)
    today = reached.astimezone(place).date()
    chosen = min(last or today, today)
    begin = first or chosen - timedelta(days=DAYS_USUAL - 1)
    if begin > today:
        raise ValueError(f"--from {begin} is after {today}, up to which ingest has worked")
    if begin > chosen:
        raise ValueError(f"--from {begin} is after --to {chosen}")
    if (chosen - begin).days >= DAYS_MAX:
        raise ValueError(f"{(chosen - begin).days + 1} days; at most {DAYS_MAX}")
    return Period(begin, chosen, place, reached)


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
            report = look_back(
                connection,
                thresholds=[parse_thresholds(text) for text in sets],
                policies=names,
                community=community,
                first=first.date() if first else None,
                last=last.date() if last else None,
                quiet=as_json,
            )
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if plot is not None:
        from console.drawing_backtest import backtest_file

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
    try:
        version = max(migration.version for migration in list_migrations())
        if schema_version(place.url) != version:
            raise click.ClickException("the database is not of this version: run kaimen db migrate first")
        with connect(place.url, service="backtest") as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection
    except psycopg.OperationalError as error:
        raise click.ClickException(f"the database does not answer: {str(error).strip()}") from error


def look_back(
    connection: Connection,
    *,
    thresholds: list[tuple[int, ...]],
    policies: tuple[str, ...] = (),
    community: str | None = None,
    first: date | None = None,
    last: date | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Return the report of ``--json``.

    Raises
    ------
    ValueError
        If a name, a day or a policy does not fit; the text says what and what there is.
    """
    from ingest import past as stored
    from ingest.backtest import Past, Policy

    zone = stored.load_zone(connection, community)
    period = choose_period(first, last, zone, stored.load_reached(connection))
    tried = [Policy(format_thresholds(found), found) for found in thresholds]
    tried += [Policy(*stored.load_policy(connection, *_split_policy(name))) for name in policies]
    edges_ms = period.edges_ms()
    span = (edges_ms[0], edges_ms[-1])
    with tqdm(unit=" households", disable=quiet or not sys.stderr.isatty(), file=sys.stderr) as bar:

        def advance(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        households = stored.load_past(
            connection, community=community, from_ms=span[0], before_ms=span[1], now_ms=as_ms(period.until),
            progress=advance,
        )  # fmt: skip
    past = Past(households, edges_ms)
    outcomes = past.judge([Policy(IN_FORCE), *tried])
    announced = stored.load_stored_crossings(connection, community, *span)
    report = _report(past, outcomes, period, community)
    report["stored"] = _compare(announced, outcomes[0])
    report["notes"] = _notes(stored.count_policies_begun(connection, *span), households, report)
    return report


def _split_policy(text: str) -> tuple[str, int | None]:
    name, separator, version = text.partition("@")
    if separator and not version.isdecimal():
        raise ValueError(f"{text!r}: after @ comes a version number, as in mandated@2")
    return name, int(version) if version else None


def _stage_names(width: int) -> list[str]:
    from ingest.backtest import STAGES

    return [*STAGES, *(f"stage_{number}" for number in range(len(STAGES) + 1, width + 1))]


def _report(past: Past, outcomes: list[Outcome], period: Period, community: str | None) -> dict[str, Any]:
    seen = past.seen
    base = outcomes[0]
    return {
        "community": community,
        "zone": str(period.zone),
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "until": period.until.isoformat(),
        "households": len(past.households),
        "household_days": {
            "all": _days(seen.watchable_ms.sum()),
            "watched": _days(seen.watched_ms.sum()),
            "absent": _days(seen.absent_ms.sum()),
            "unseen": _days(seen.unseen_ms.sum()),
        },
        "unseen_by_day": [_days(ms) for ms in seen.unseen_ms],
        "watched_by_day": [_days(ms) for ms in seen.watched_ms],
        "days": [day.isoformat() for day in period.days()],
        "policies": [_policy(outcome, base, past) for outcome in outcomes],
    }


def _days(ms: Any) -> float:
    return round(int(ms) / DAY_MS, 2)


def _policy(outcome: Outcome, base: Outcome, past: Past) -> dict[str, Any]:
    days = len(outcome.stages)
    names = _stage_names(outcome.stages.shape[1])
    totals = [int(n) for n in outcome.stages.sum(axis=0)]
    before = [int(n) for n in base.stages.sum(axis=0)] + [0] * len(names)
    own = {outcome.policy.thresholds_ms or item.thresholds_ms for item in past.households}
    return {
        "name": outcome.policy.name,
        "thresholds_s": [ms // 1000 for ms in next(iter(own))] if len(own) == 1 else None,
        "total": dict(zip(names, totals, strict=True)),
        "a_day": {name: round(total / days, 2) for name, total in zip(names, totals, strict=True)},
        "difference": {name: n - before[at] for at, (name, n) in enumerate(zip(names, totals, strict=True))},
        "checks": dict(zip(names, (int(n) for n in outcome.checks.sum(axis=0)), strict=True)),
        "households": outcome.household_count,
        "by_day": {name: outcome.stages[:, at].tolist() for at, name in enumerate(names)},
        "checks_by_day": {name: outcome.checks[:, at].tolist() for at, name in enumerate(names)},
    }


def _compare(announced: list[StoredCrossing], in_force: Outcome) -> dict[str, Any]:
    """Put what was announced beside what the same policy makes of it afterwards."""
    said = {(item.household_id, item.stage, item.at_ms) for item in announced}
    stood = {(item.household_id, item.stage, item.at_ms) for item in announced if not item.late}
    found = set(in_force.crossings)
    names = _stage_names(max((item.stage for item in announced), default=0))
    return {
        "total": {name: sum(item.stage == at for item in announced) for at, name in enumerate(names, 1)},
        "withdrawn_by_late_evidence": sum(item.late for item in announced),
        "same_instant": len(said & found),
        "announced_only": len(stood - found),
        "backtest_only": len(found - said),
    }


def _notes(policies_begun: int, households: Any, report: dict[str, Any]) -> list[str]:
    notes = ["the registry is taken as it is now: doors, consents, absences and witnesses' words"]
    if policies_begun:
        notes.append("another policy began within these days: 'in force' is the one of now, for all of them")
    if len({item.thresholds_ms for item in households}) > 1:
        notes.append("households have several policies: 'in force' is each one's own")
    if report["stored"]["announced_only"] or report["stored"]["backtest_only"]:
        notes.append(
            "announced and found differ where evidence, heartbeats or the registry came or changed later"
        )
    return notes


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
