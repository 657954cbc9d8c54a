"""``kaimen phone``: an operator's words enter; the telephone's program, people's agreements and voices leave.

A changed number is told by one person and confirmed by another, each with his own password.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from alerts.voice import people
from alerts.voice.audio import BYTES_MAX, SoundError
from alerts.voice.gateway import InvalidNumberError
from alerts.voice.keypad import Audience
from alerts.voice.prompts import CannotSpeakError, Prompts
from alerts.voice.sidecar import PhoneSettingsError
from alerts.voice.wording import LANGUAGES, RECORDABLE, language_of, question
from console.audit.chain import Entry
from console.books.place import Place, entering, find_place, note, place_options
from console.identity import sessions as identity
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection, queries
from kaimen.settings import AlertsSettings

_SQL = queries("console")


@click.group()
def command() -> None:
    """Look after the telephone: its line, who may be rung, and whose voice is heard."""


def _placed(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def run(
        database_url: str | None, directory: Path | None, audit_key_file: Path | None, **options: Any
    ) -> None:
        try:
            function(find_place(database_url, directory, audit_key_file), **options)
        except (people.PhoneRefusedError, InvalidNumberError, SoundError) as error:
            raise click.ClickException(str(error)) from error

    return place_options(run)


def _now() -> datetime:
    return as_datetime(SystemClock().now_ms())


def _note(
    connection: Connection, place: Place, action: str, kind: str, object_id: str, **detail: Any
) -> None:
    entry = Entry(_now(), "command-line", "system", action, "administration", kind, object_id, detail)
    note(connection, place, entry)


def _settings() -> AlertsSettings:
    try:
        return AlertsSettings()
    except ValidationError as error:
        raise click.ClickException(f"these settings do not fit: {error.errors()[0]['loc']}") from error


@command.command("run")
def run_line() -> None:
    """Run the SIP line beside the services (settings: KAIMEN_SIP_*)."""
    from alerts.voice import sidecar

    try:
        sys.exit(sidecar.main(_settings()))
    except PhoneSettingsError as error:
        raise click.ClickException(str(error)) from error


@command.command()
def check() -> None:
    """Say whether the telephone could ring somebody now; ends with 1 if it could not."""
    from alerts.voice.checking import check_phone

    lines = check_phone(_settings())
    for line in lines:
        click.echo(f"{'ok  ' if line.is_well else 'MISSING'} {line.words}")
    if not all(line.is_well for line in lines):
        sys.exit(1)


@command.command()
@click.argument("audience", type=click.Choice([audience.value for audience in Audience]))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--language", type=click.Choice(LANGUAGES), default="zh", show_default=True)
@click.option("--community", default="", help="With this community's own recordings.")
@_placed
def prompt(place: Place, audience: str, target: Path, language: str, community: str) -> None:
    """Write what an AUDIENCE hears into a WAV file, to listen to it."""
    from alerts.voice.store import load_recordings

    with entering(place, service="phone") as connection:
        recordings = load_recordings(connection, community)
    try:
        prompts = Prompts(_settings().voice_folder, recordings)
        sound = prompts.sound(question(Audience(audience), "123456"), language_of(language))
    except CannotSpeakError as error:
        raise click.ClickException(str(error)) from error
    target.write_bytes(sound.read_bytes())
    click.echo(str(target))


@command.command()
@click.argument("segment", type=click.Choice(RECORDABLE))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--community", required=True)
@click.option("--language", type=click.Choice(LANGUAGES), default="zh", show_default=True)
@click.option("--spoken-by", required=True, help="Whose voice it is, as the elders know it.")
@click.option("--by", required=True, help="Who signs in and answers for it.")
@_placed
def record(
    place: Place, segment: str, file: Path, community: str, language: str, spoken_by: str, by: str
) -> None:
    """Let a voice the elders know say a SEGMENT: a WAV of 0.3 to 30 seconds, at 8 to 96 kHz."""
    if file.stat().st_size > BYTES_MAX:
        raise click.ClickException("sound_too_large: at most 6 MB")
    with entering(place, service="phone") as connection:
        user_id = _user(connection, by)
        seconds = people.record_segment(
            connection, community_id=community, segment=segment, language=language, sound=file.read_bytes(),
            spoken_by=spoken_by, user_id=user_id, now=_now(),
        )  # fmt: skip
        _note(connection, place, "voice_recorded", "community", community, segment=segment, language=language)
    click.echo(f"{segment} ({language}): {seconds:.1f} s")


def _user(connection: Connection, name: str) -> int:
    row = connection.execute(_SQL["user_by_name"], {"name": name}).fetchone()
    if row is None or row["disabled_at"] is not None:
        raise click.ClickException("nobody signs in by this name")
    return int(row["id"])


@command.command()
@click.argument("person")
@click.option("--agreed-by", required=True, help="Before whom, or on which paper, it was agreed.")
@click.option("--shown-number", default="", help="The number the person was told we ring from.")
@_placed
def agree(place: Place, person: str, agreed_by: str, shown_number: str) -> None:
    """Write that PERSON (as in persons.csv) agreed to be rung by a machine."""
    with entering(place, service="phone") as connection:
        people.agree(connection, person_id=person, agreed_by=agreed_by, shown_number=shown_number, now=_now())
        _note(connection, place, "phone_agreed", "person", person)
    click.echo(f"{person} may be rung by a machine")


@command.command()
@click.argument("person")
@_placed
def withdraw(place: Place, person: str) -> None:
    """Write that PERSON is rung by no machine any more."""
    with entering(place, service="phone") as connection:
        people.withdraw(connection, person_id=person)
        _note(connection, place, "phone_withdrawn", "person", person)
    click.echo(f"{person} is rung by no machine any more")


@command.command("has-phone")
@click.argument("person")
@click.argument("answer", type=click.Choice(["yes", "no"]))
@_placed
def has_phone(place: Place, person: str, answer: str) -> None:
    """Write whether PERSON can be spoken to by telephone; who cannot is visited instead."""
    with entering(place, service="phone") as connection:
        people.set_has_phone(connection, person_id=person, has_phone=answer == "yes")
        _note(connection, place, "phone_profile", "person", person, has_phone=answer)
    click.echo(f"{person}: {answer}")


@command.command()
@click.argument("name")
@click.argument("number", required=False)
@click.option("--position", default=1, show_default=True, help="Who is rung first has 1.")
@_placed
def staff(place: Place, name: str, number: str | None, position: int) -> None:
    """Ring the member of staff who signs in as NAME on NUMBER; without a number, no more."""
    with entering(place, service="phone") as connection:
        people.set_staff_phone(connection, user_name=name, phone=number, position=position)
        _note(connection, place, "staff_phone", "user", name, rings=number is not None)
    click.echo(f"{name} is rung" if number else f"{name} is rung no more")


@command.command()
@_placed
def changes(place: Place) -> None:
    """List changed numbers on which no pressed key counts yet."""
    with entering(place, service="phone") as connection:
        found = people.load_changes(connection)
        _note(connection, place, "number_changes_read", "installation", "")
    for change in found:
        state = (
            f"counts from {change.trusted_from:%Y-%m-%d %H:%M} UTC"
            if change.trusted_from
            else f"old number told {change.told_at:%Y-%m-%d}: to be confirmed by a second person"
            if change.told_at
            else f"old number {change.old_phone or 'none'}: to be told"
        )
        click.echo(f"{change.id:>6}  {change.person_id:<24} {state}")


_PASSWORD = click.option(
    "--password-file", type=click.File("r", encoding="utf-8"), help="- is standard input."
)


@command.command()
@click.argument("change", type=int)
@click.option("--by", required=True, help="Who told the old number; asked for the password.")
@click.option("--how", required=True, help="How it was told: phoned, wrote, met.")
@_PASSWORD
@_placed
def told(place: Place, change: int, by: str, how: str, password_file: Any) -> None:
    """Write that the old number of CHANGE was told."""
    with entering(place, service="phone") as connection:
        user_id = _proved(connection, by, password_file)
        people.told_old_number(connection, change_id=change, user_id=user_id, how=how, now=_now())
        _note(connection, place, "number_change_told", "phone_change", str(change), by=user_id)
    click.echo("noted; now somebody else confirms the new number: kaimen phone confirm")


@command.command()
@click.argument("change", type=int)
@click.option("--by", required=True, help="Who confirms; somebody else than who told the old number.")
@_PASSWORD
@_placed
def confirm(place: Place, change: int, by: str, password_file: Any) -> None:
    """Confirm the new number of CHANGE as the second person; it counts after 72 hours."""
    with entering(place, service="phone") as connection:
        user_id = _proved(connection, by, password_file)
        counts_from = people.confirm_number(connection, change_id=change, user_id=user_id, now=_now())
        _note(connection, place, "number_change_confirmed", "phone_change", str(change), by=user_id)
    click.echo(f"a key pressed there counts from {counts_from:%Y-%m-%d %H:%M} UTC")


def _proved(connection: Connection, name: str, password_file: Any) -> int:
    """Return who that is, once the password has shown it."""
    row = connection.execute(_SQL["user_by_name"], {"name": name}).fetchone()
    text = (
        str(password_file.readline()).rstrip("\r\n")
        if password_file is not None
        else str(click.prompt(f"password of {name}", hide_input=True, err=True))
    )
    stored = row["password_hash"] if row is not None and row["disabled_at"] is None else None
    if not identity.password_fits(stored, text) or row is None:
        raise click.ClickException("this is not the name and the password of somebody who signs in")
    return int(row["id"])


__all__ = ["command"]
