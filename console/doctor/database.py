"""The doctor at the database: its address enters; lines about it, leases, progress, clocks and channels leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from alerts.duty.readiness import unknown_years
from alerts.duty.store import load_duty, load_gaps
from console.app import FRESH_WITHIN_MS, FRESH_WITHIN_S
from console.commands.channels import channel_lines
from console.doctor.lines import Line, attention, ok, wrong
from kaimen.clock import Clock, SystemClock, as_datetime
from kaimen.database import Connection, connect, queries
from kaimen.rights import ROLES
from kaimen.schema import list_migrations, schema_version

_SQL = queries("console", "doctor.sql")
_CONSOLE = queries("console")
#: Clocks that differ by more than this date evidence wrongly.
CLOCKS_AGREE_WITHIN = timedelta(minutes=1)
#: So far back cards are compared with the doors they opened.
CROSSED_WITHIN = timedelta(days=7)
_START = "start it (`kaimen up`, or `kaimen {service}`), and look into its log"


@dataclass(slots=True)
class Found:
    """What was seen; ``serving`` are the groups whose lease a worker holds, ``groups`` how many there are."""

    lines: list[Line] = field(default_factory=list)
    serving: frozenset[int] = frozenset()
    groups: int = 0


def look_at_database(url: str, *, clock: Clock, scaled: bool, groups: int) -> Found:
    """Look at the database and at what the services wrote into it."""
    found = Found()
    try:
        version = schema_version(url)
        with connect(url, service="doctor", autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = on")
            _look(connection, found, version, clock=clock, scaled=scaled, groups=groups)
    except psycopg.OperationalError as error:
        words = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        found.lines.append(
            wrong(
                "database", f"does not answer: {words}",
                "start it, and check address and password (KAIMEN_DATABASE_URL, or secrets.json in --dir)",
            )
        )  # fmt: skip
    except psycopg.Error as error:
        found.lines.append(
            wrong("database", f"could not be read: {type(error).__name__}: {error}", "run kaimen db migrate")
        )
    return found


def _look(
    connection: Connection, found: Found, version: int, *, clock: Clock, scaled: bool, groups: int
) -> None:
    wall = as_datetime(SystemClock().now_ms())
    server = connection.execute(_SQL["server"]).fetchone()
    assert server is not None
    found.lines.append(ok("database", f"PostgreSQL {server['version']} answers"))
    newest = max(migration.version for migration in list_migrations())
    found.lines.append(judge_schema(version, newest))
    if version != newest:
        return
    if server["role"] in ROLES:
        found.lines.append(
            attention(
                "role", f"{server['role']} may read its own part only, so nothing else was looked at",
                "ask with the owner's address, or with --dir",
            )
        )  # fmt: skip
        return
    found.lines += [*_look_at_server(connection, server), *_look_at_rights(connection)]
    found.lines.append(judge_clocks("clock of the database", server["at"], wall))
    leases = connection.execute(_SQL["leases"]).fetchall()
    found.groups = leases[0]["groups"] if leases else 0
    found.serving = frozenset(
        row["group_no"]
        for row in leases
        if row["expires_at"] is not None and row["expires_at"] > server["at"]
    )
    found.lines += _look_at_leases(leases, found, clock, server["at"], scaled=scaled, groups=groups)
    found.lines += _look_at_progress(connection, clock, scaled=scaled)
    found.lines += _look_at_hold(connection)
    found.lines += _look_at_channels(connection, as_datetime(clock.now_ms()))
    found.lines += _look_at_doors(connection, as_datetime(clock.now_ms()))
    found.lines += _look_at_duty(connection, as_datetime(clock.now_ms()))
    found.lines += _look_at_holidays(connection, as_datetime(clock.now_ms()))


def _look_at_duty(connection: Connection, now: datetime) -> Iterator[Line]:
    """Say where a home is watched and nobody is there to be told, now or in the days ahead."""
    for row in connection.execute(queries("console", "duty.sql")["answering_communities"]).fetchall():
        gaps = load_gaps(connection, row["id"], now=now)
        if not gaps:
            continue
        since = "now" if gaps[0].from_at <= now else f"from {gaps[0].from_at:%Y-%m-%d %H:%M} UTC"
        judge = wrong if gaps[0].from_at <= now else attention
        yield judge(
            f"duty of {row['id']}", f"{since} nobody can be reached for a {gaps[0].need.value}: {gaps[0].reason.value}",
            f"kaimen user add, or put somebody on duty; kaimen duty check --community {row['id']} shows each gap",
        )  # fmt: skip


def _look_at_doors(connection: Connection, now: datetime) -> Iterator[Line]:
    """Say of which doors it looks as if they were taken for one another: the wrong home would be thought well."""
    try:
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = '10s'")
            rows = connection.execute(_SQL["crossed_doors"], {"since": now - CROSSED_WITHIN}).fetchall()
    except psycopg.errors.QueryCanceled:
        return  # more doors than can be looked at here: whoever put them up looked
    for row in rows:
        yield wrong(
            f"door {row['device_id']}",
            f"in the books it is {row['label']}'s, and on {row['days']} days only cards of {row['by_label']} opened it",
            "open it and see which line of Devices moves; two swapped doors: exchange them in household_doors (docs/devices.md)",
        )  # fmt: skip


def _look_at_holidays(connection: Connection, now: datetime) -> Iterator[Line]:
    """Say which year's public holidays are missing where duty is planned by workdays."""
    years: set[int] = set()
    for row in connection.execute(_SQL["duty_communities"]).fetchall():
        duty = load_duty(connection, row["community_id"])
        years |= set(unknown_years(duty, now=now)) if duty is not None else set()
    for year in sorted(years):
        yield attention(
            "holidays", f"nobody has entered the public holidays of {year}: its weeks count as plain ones",
            "enter them on Duty, or with kaimen duty holidays FILE, as soon as they are announced",
        )  # fmt: skip


def judge_schema(version: int, newest: int) -> Line:
    """Say whether the database is of this program's version."""
    if version == newest:
        return ok("schema", f"version {version}")
    if version < newest:
        return wrong("schema", f"version {version}, this program needs {newest}", "run kaimen db migrate")
    return wrong("schema", f"version {version}, this program knows {newest}", "start the newer program")


def judge_clocks(part: str, theirs: datetime, ours: datetime) -> Line:
    """Say whether a clock agrees with this machine's."""
    apart = theirs - ours
    words = f"{abs(apart.total_seconds()):.1f} s {'ahead of' if apart > timedelta(0) else 'behind'} this machine's"
    if abs(apart) <= CLOCKS_AGREE_WITHIN:
        return ok(part, words)
    return wrong(part, words, "let every machine take its time from NTP")


def _look_at_server(connection: Connection, server: Mapping[str, Any]) -> Iterator[Line]:
    tier = connection.execute(_SQL["tier"]).fetchone()
    assert tier is not None
    if tier["tier"] == "timescale" and not tier["has_timescale"]:
        yield wrong("tier", "made with TimescaleDB, which is gone", "install the extension in this database")
    else:
        yield ok("tier", f"{tier['tier']}")
    missing = [row["name"] for row in connection.execute(_SQL["tables_not_ours"])]
    if missing:
        yield wrong(
            "role", f"{server['role']} may not write {', '.join(missing)}",
            "give the tables to this role, or connect as their owner",
        )  # fmt: skip
    elif server["is_superuser"]:
        yield attention(
            "role", f"{server['role']} is a superuser", "let the services use a role of their own"
        )
    else:
        yield ok("role", server["role"])
    if server["fsync"] != "on" or server["synchronous_commit"] == "off":
        yield attention(
            "durability", f"fsync {server['fsync']}, synchronous_commit {server['synchronous_commit']}",
            "set both to on: what was acknowledged would be lost with the power",
        )  # fmt: skip


def _look_at_rights(connection: Connection) -> Iterator[Line]:
    row = connection.execute(_SQL["rights"]).fetchone()
    assert row is not None
    if not row["applied"]:
        yield attention(
            "rights", "the services' logins are missing: everything connects as the owner, and sees everything",
            "run kaimen db migrate --admin-url with a superuser's address, then give each service its own login",
        )  # fmt: skip
        return
    owners = [found["service"] for found in connection.execute(_SQL["as_owner"])]
    if owners:
        yield attention(
            "rights", f"{', '.join(owners)} connects as the owner, whom row-level security shows everything",
            "give each its own login in KAIMEN_DATABASE_URL: kaimen_console, kaimen_ingest, kaimen_alerts, kaimen_watchdog",
        )  # fmt: skip
    elif not row["introduced"]:
        yield attention(
            "rights", "no console was introduced, so none is let in",
            "run kaimen db migrate with --console-secret-file, the same as the console's",
        )  # fmt: skip
    else:
        yield ok("rights", "each service has its own login, and row-level security is forced")


def _look_at_leases(
    leases: list[dict[str, Any]], found: Found, clock: Clock, at: datetime, *, scaled: bool, groups: int
) -> Iterator[Line]:
    if not leases:
        yield wrong("ingest", "has never run: nobody watches the doors", _START.format(service="ingest"))
        return
    if len(leases) != found.groups:
        yield wrong(
            "groups", f"{len(leases)} of {found.groups} are there", "see KAIMEN_INGEST_GROUPS in operating"
        )
    elif groups not in (1, found.groups):
        yield attention(
            "groups", f"the database has {found.groups}, these settings say {groups}",
            "set KAIMEN_INGEST_GROUPS to the same everywhere",
        )  # fmt: skip
    for row in leases:
        part = f"group {row['group_no']} of {row['groups']}"
        if row["group_no"] not in found.serving:
            yield wrong(
                part, "no worker holds it: nobody watches these doors", _START.format(service="ingest")
            )
            continue
        if row["pulse_at"] is None or not _is_fresh(clock, row["pulse_at"]):
            yield wrong(
                part, f"held by {row['worker']}, without a recent pulse",
                "look into ingest's log: database or memory may be too slow",
            )  # fmt: skip
            continue
        yield ok(part, f"held by {row['worker']}, its pulse is recent")
        if not scaled:
            yield judge_clocks(f"clock of group {row['group_no']}'s worker", row["pulse_at"], at)


def _look_at_progress(connection: Connection, clock: Clock, *, scaled: bool) -> Iterator[Line]:
    rows = {row["service"]: row["at"] for row in connection.execute(_CONSOLE["progress"])}
    at = rows.get("alerts")
    if at is None or not _is_fresh(clock, at):
        words = "has never done a turn" if at is None else f"is done up to {at:%Y-%m-%d %H:%M:%S} UTC only"
        yield wrong("alerts", words, _START.format(service="alerts"))
    elif not scaled and at - as_datetime(clock.now_ms()) > CLOCKS_AGREE_WITHIN:
        yield judge_clocks("clock of alerts", at, as_datetime(clock.now_ms()))
    else:
        yield ok("alerts", "its last turn is recent")
    lost = connection.execute(_SQL["broker_outages"]).fetchone()
    if lost and lost["count"]:
        yield wrong(
            "ingest at the broker", f"lost it: {lost['count']} devices are not heard", "start the broker"
        )
    aside = connection.execute(_SQL["set_aside"]).fetchone()
    if aside and aside["count"]:
        yield attention(
            "set aside", f"{aside['count']} facts could not be handled and are tried again",
            "look into the log of alerts, and report what it says",
        )  # fmt: skip


def _is_fresh(clock: Clock, at: datetime) -> bool:
    behind_ms = clock.now_ms() - round(at.timestamp() * 1000)
    return behind_ms <= FRESH_WITHIN_MS or clock.wall_seconds(behind_ms) <= FRESH_WITHIN_S


def _look_at_hold(connection: Connection) -> Iterator[Line]:
    """Say that messages are held back: a case is told to nobody outside until somebody ends that."""
    row = connection.execute(_SQL["hold"]).fetchone()
    if row is not None:
        yield wrong(
            "messages", f"held back since {row['begun_at']:%Y-%m-%d %H:%M %Z}: nobody outside is told of anything",
            "kaimen outbox held, then drop or release, then kaimen outbox open",
        )  # fmt: skip


def _look_at_channels(connection: Connection, now: datetime) -> Iterator[Line]:
    found = channel_lines(connection, now=now, wall_ms=SystemClock().now_ms())
    if not any(" channel console:" not in words for _, words in found):
        yield attention(
            "channels", "none beside the console: nobody is told who does not look at it",
            "set one up (docs/channels.md)",
        )  # fmt: skip
    for good, words in found:
        name, _, detail = words.partition("channel ")[2].partition(": ")
        if good:
            yield ok(f"channel {name}", detail)
        else:
            yield wrong(f"channel {name}", detail, "see kaimen channels status, and the provider's own page")
