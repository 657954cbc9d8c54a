"""``kaimen user``: an operator's words enter; people who may sign in, their passwords and the audit of it leave.

A password comes from a prompt or a file and is never printed, except one made here on request, once. This is also
how an installation of containers gets its first administrator.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from console.audit.chain import Entry
from console.books.place import Place, entering, find_place, note, place_options
from console.identity import people, tokens
from console.identity import sessions as identity
from console.scope import HELPER_ROLES
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

_SQL = queries("console")
_IDENTITY_SQL = queries("console", "identity.sql")
_OWN_SQL = queries("console.books")
_NAME = re.compile(r"[^\s/]{1,64}")
_NOBODY = {"user_id": 0, "community_id": None}
#: Roles that see one community and would see nothing, or anything, without one.
_PLACED = HELPER_ROLES | {
    Role.PROPERTY_CLERK,
    Role.POLICE_OFFICER,
    Role.POLICE_SUPERVISOR,
    Role.AUDITOR,
    Role.COMMUNITY_COMMITTEE,
}


@click.group()
def command() -> None:
    """Look after the people who sign in."""


def _placed(function: Callable[..., None]) -> Callable[..., None]:
    """Hand a command its installation instead of the options that name it."""

    @wraps(function)
    def run(
        database_url: str | None, directory: Path | None, audit_key_file: Path | None, **options: Any
    ) -> None:
        function(find_place(database_url, directory, audit_key_file), **options)

    return place_options(run)


def _password_options(function: Callable[..., None]) -> Callable[..., None]:
    file_option = click.option(
        "--password-file",
        type=click.File("r", encoding="utf-8"),
        help="Its first line is the password; - is standard input.",
    )
    generate = click.option(
        "--generate", is_flag=True, help="Make a random password and print it, this once."
    )
    return file_option(generate(function))


def _choose_password(password_file: Any, *, generate: bool) -> str:
    if generate and password_file is not None:
        raise click.UsageError("--generate makes a password: leave --password-file away")
    if generate:
        return secrets.token_urlsafe(15)
    if password_file is not None:
        return str(password_file.readline()).rstrip("\r\n")
    return str(click.prompt("password", hide_input=True, confirmation_prompt=True, err=True))


def _now() -> datetime:
    return as_datetime(SystemClock().now_ms())


def _note(
    connection: Connection, place: Place, action: str, user_id: int, now: datetime, **detail: Any
) -> None:
    entry = Entry(now, "command-line", "system", action, "administration", "user", str(user_id), detail)
    note(connection, place, entry)


@command.command("add")
@click.argument("name")
@click.option(
    "--role", required=True, type=click.Choice([role.value for role in Role]), help="What the person is here."
)
@click.option("--display-name", help="How the person is called on pages; the name, where it is left out.")
@click.option("--community", help="The community the person works in; an admin without one has all of them.")
@click.option(
    "--household", "households", multiple=True, metavar="ID[=WORDS]",
    help="A household the person is tied to, and what its resident is to them (h-1=母亲); may be repeated.",
)  # fmt: skip
@click.option("--language", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
@click.option("--token", "with_token", is_flag=True, help="Also print a token for the JSON API, this once.")
@_password_options
@_placed
def add(
    place: Place,
    name: str,
    role: str,
    display_name: str | None,
    community: str | None,
    households: tuple[str, ...],
    language: str,
    with_token: bool,
    password_file: Any,
    generate: bool,
) -> None:
    """Add a person who signs in."""
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise click.ClickException("a name to sign in with has 1 to 64 characters, no spaces and no slash")
    shown = (display_name or name).strip()
    if not 1 <= len(shown) <= 100 or not shown.isprintable():
        raise click.ClickException("a display name has 1 to 100 characters")
    tied = {id_: words for id_, _, words in (item.partition("=") for item in households)}
    password = _choose_password(password_file, generate=generate)
    now = _now()
    token = None
    with entering(place, service="user") as connection:
        community = _check_place(connection, Role(role), community, tied)
        try:
            user_id = identity.add_user(
                connection, name=name, display_name=shown, password=password, role=Role(role),
                community_id=community, now=now, language=language, households=tied,
            )  # fmt: skip
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        if with_token:
            token = tokens.make_token(connection, user_id=user_id, name="command line", now=now)
        detail = {"role": role, "community": community, "households": sorted(tied), "token": with_token}
        _note(connection, place, "user_added", user_id, now, **detail)
    click.echo(f"{name} may sign in as {role}")
    if generate:
        click.echo(f"password, said only now:  {password}")
    if token is not None:
        click.echo(f"token, said only now:  {token}")


def _check_place(
    connection: Connection, role: Role, community: str | None, tied: dict[str, str]
) -> str | None:
    """Return the community the person belongs to; a relative belongs to her household's."""
    rows = connection.execute(_OWN_SQL["household_communities"], {"households": list(tied)}).fetchall()
    places = {row["id"]: str(row["community_id"]) for row in rows}
    unknown = sorted(set(tied) - set(places))
    if unknown:
        raise click.ClickException(f"there is no household {', '.join(unknown)}: import it first")
    if role is Role.FAMILY and not tied:
        raise click.ClickException("a relative sees the households named: give at least one --household")
    if role is Role.RESIDENT and len(tied) != 1:
        raise click.ClickException("a resident sees their own home: give exactly one --household")
    if role not in HELPER_ROLES and role not in (Role.FAMILY, Role.RESIDENT) and tied:
        raise click.ClickException(f"{role.value} is tied to no household: leave --household away")
    if community is None and role in (Role.FAMILY, Role.RESIDENT) and len(set(places.values())) == 1:
        return next(iter(places.values()))
    if community is None:
        if role in _PLACED:
            raise click.ClickException(f"{role.value} works in one community: give --community")
        return None
    known = connection.execute(_OWN_SQL["stored_communities"], {"communities": [community]}).fetchone()
    if known is None:
        raise click.ClickException("there is no such community: import it first")
    if any(place != community for place in places.values()):
        raise click.ClickException("a household named is of another community")
    return community


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output, and nothing else.")
@_placed
def show(place: Place, as_json: bool) -> None:
    """List who may sign in, and when each was last here."""
    with entering(place, service="user") as connection:
        rows = connection.execute(_OWN_SQL["every_user"]).fetchall()
    lines = [
        {
            "name": row["name"], "role": row["role"], "community": row["community_id"],
            "seen_at": row["seen_at"].isoformat(timespec="seconds") if row["seen_at"] else None,
            "disabled": row["disabled_at"] is not None,
        }
        for row in rows
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"users": lines}, ensure_ascii=False, indent=2))
        return
    for line in lines:
        state = (
            "disabled" if line["disabled"] else f"seen {line['seen_at']}" if line["seen_at"] else "never here"
        )
        click.echo(f"{line['name']:<24} {line['role']:<18} {line['community'] or '*':<20} {state}")


@command.command()
@click.argument("name")
@click.argument("community")
@click.option("--remove", is_flag=True, help="They work for it no more.")
@_placed
def place(place: Place, name: str, community: str, remove: bool) -> None:
    """Let NAME work for COMMUNITY too: a director, or property staff who keep the desk of several at night."""
    now = _now()
    with entering(place, service="user") as connection:
        user = connection.execute(_SQL["user_by_name"], {"name": name}).fetchone()
        if user is None:
            raise click.ClickException("nobody signs in by this name")
        if user["role"] not in (Role.PROPERTY_CLERK, Role.PROPERTY_DIRECTOR):
            raise click.ClickException(f"{user['role']} works for one community at most")
        if (
            connection.execute(_OWN_SQL["stored_communities"], {"communities": [community]}).fetchone()
            is None
        ):
            raise click.ClickException("there is no such community: import it first")
        values = {"user_id": user["id"], "community_id": community}
        statement = "user_place_remove" if remove else "user_place_add"
        changed = connection.execute(_SQL[statement], values).rowcount
        if changed:
            _note(connection, place, "user_placed", user["id"], now, community=community, removed=remove)
    word = "works no more for" if remove else "works for"
    click.echo(f"{name} {word} {community}" + ("" if changed else " already"))


@command.command()
@click.argument("name")
@_placed
def disable(place: Place, name: str) -> None:
    """Let NAME sign in no more, and end the sessions there are; tokens stop too."""
    _switch(place, name, "disable")


@command.command()
@click.argument("name")
@_placed
def enable(place: Place, name: str) -> None:
    """Let NAME sign in again."""
    _switch(place, name, "enable")


@command.command("leave")
@click.argument("name")
@_placed
def leave_command(place: Place, name: str) -> None:
    """NAME leaves: sign-in, sessions, tokens, calendar, addresses and telephone end, held cases are given back.

    What her going leaves uncovered in the rosters is listed; it is not a reason to keep her.
    """
    from console.identity.leaving import NotHereError, leave

    now = _now()
    with entering(place, service="user") as connection:
        try:
            left = leave(connection, name=name, community_id=None, by="command-line", now=now, wall_now=now)
        except NotHereError as error:
            raise click.ClickException("nobody of the staff signs in by this name") from error
        _note(connection, place, "user_left", left.user_id, now, cases=len(left.given_back))
    click.echo(
        f"{name} has left: {left.sessions} sessions, {left.tokens} tokens, {left.feeds} calendars ended"
    )
    if left.given_back:
        click.echo(f"given back and told again: {', '.join(left.given_back)}")
    if left.rules:
        click.echo(
            f"still stands in {left.rules} rules and shifts, which nobody works now: change the rosters"
        )
    for gap in left.gaps:
        click.echo(
            f"nobody reachable for {gap.need.value} from {gap.from_at.isoformat()} to {gap.to_at.isoformat()}"
        )


def _switch(place: Place, name: str, act: str) -> None:
    now = _now()
    with entering(place, service="user") as connection:
        _require(connection, name)
        changed = connection.execute(_SQL[f"user_{act}"], {"name": name, "now": now, **_NOBODY}).fetchone()
        if changed is not None:
            connection.execute(_SQL["sessions_of_user_end"], {"user_id": changed["id"]})
            _note(connection, place, f"user_{act}d", changed["id"], now)
    click.echo(f"{name} is {act}d" + ("" if changed else " already"))


def _require(connection: Connection, name: str) -> None:
    if connection.execute(_SQL["user_by_name"], {"name": name}).fetchone() is None:
        raise click.ClickException("nobody signs in by this name")


@command.command()
@click.argument("name")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), required=True,
    help="The last day, of the community's calendar, on which the training counts.",
)  # fmt: skip
@_placed
def train(place: Place, name: str, until: datetime) -> None:
    """Record until when NAME's training for look-ups counts; without it no officer may look up."""
    with entering(place, service="user") as connection:
        _require(connection, name)
        row = connection.execute(_OWN_SQL["user_trained"], {"name": name, "until": until.date()}).fetchone()
        if row is None:
            raise click.ClickException(
                "only an officer of the police looks up: nobody else needs this training"
            )
        _note(connection, place, "user_trained", row["id"], _now(), until=until.date().isoformat())
    click.echo(f"{name} may look up until {until.date().isoformat()}")


@command.command()
@click.argument("name")
@_password_options
@_placed
def password(place: Place, name: str, password_file: Any, generate: bool) -> None:
    """Give NAME another password; every session ends, and waiting after wrong attempts too."""
    chosen = _choose_password(password_file, generate=generate)
    now = _now()
    try:
        stored = identity.hash_password(chosen)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    with entering(place, service="user") as connection:
        _require(connection, name)
        row = connection.execute(
            _OWN_SQL["user_password"], {"name": name, "password_hash": stored}
        ).fetchone()
        assert row is not None
        connection.execute(_SQL["sessions_of_user_end"], {"user_id": row["id"]})
        connection.execute(_OWN_SQL["user_failures_forget"], {"name": name})
        _note(connection, place, "user_password_changed", row["id"], now)
    click.echo(f"{name} has a new password; every session has ended")
    if generate:
        click.echo(f"password, said only now:  {chosen}")


@command.command("requests")
@_placed
def show_requests(place: Place) -> None:
    """List what waits for a second administrator: where there is only one, the operator agrees here."""
    with entering(place, service="user") as connection:
        values = {"community_id": None, "now": _now()}
        rows = connection.execute(_IDENTITY_SQL["requests_open"], values).fetchall()
    for row in rows:
        click.echo(
            f"{row['id']:<6} {row['kind']:<16} {row['name']:<24} {row['role'] or '':<18} asked by {row['asker']}"
        )
    if not rows:
        click.echo("nothing waits")


@command.command()
@click.argument("number", type=click.IntRange(min=1))
@click.option("--refuse", is_flag=True, help="Refuse it instead.")
@_placed
def agree(place: Place, number: int, refuse: bool) -> None:
    """Agree to request NUMBER of an administrator; the operator of the machine is the second person."""
    now = _now()
    with entering(place, service="user") as connection:
        row = people.find_request(connection, number, community_id=None, now=now)
        if row is None:
            raise click.ClickException("there is no such request, or it is over: see `kaimen user requests`")
        made = people.decide(connection, row, agreed=not refuse, decided_by=None, now=now)
        action = "request_refused" if refuse else "request_agreed"
        _note(connection, place, action, row["user_id"], now, kind=row["kind"], asked_by=row["asked_by"])
    click.echo(f"{row['kind']} of {row['name']} is {'refused' if refuse else 'done'}")
    if made:
        click.echo(f"password, said only now:  {made}")


@command.command("reset-factor")
@click.argument("name")
@_placed
def reset_factor(place: Place, name: str) -> None:
    """Take NAME's lost second step away; every session ends, and it is set up anew where the role needs one."""
    now = _now()
    with entering(place, service="user") as connection:
        row = connection.execute(_SQL["user_by_name"], {"name": name}).fetchone()
        if row is None:
            raise click.ClickException("nobody signs in by this name")
        people.carry_out(
            connection, people.Asked(people.Kind.RESET_FACTOR, row["id"]), by="command-line", now=now
        )
        _note(connection, place, "user_reset_factor", row["id"], now)
    click.echo(f"{name} has no second step of signing in now")


__all__ = ["command"]
