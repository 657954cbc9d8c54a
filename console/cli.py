"""The ``kaimen`` command line: words enter, the right package is loaded and does the work.

Every command imports what it needs when it is called, so that ``kaimen edge`` runs with the edge extra alone.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from kaimen import __version__

#: What the client says of an address it cannot read.
_ADDRESS_WORDS = re.compile("connection info|URI|connection option")

_EXTRAS = {"edge": "edge", "ingest": "ingest", "alerts": "alerts", "console": "console"}


class LazyGroup(click.Group):
    """A group that loads a command's module when the command is asked for."""

    def __init__(self, *args: Any, lazy: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a database that does not answer is told in a line, whatever the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            words = _why_no_database(error)
            if words is None:
                raise
            raise click.ClickException(words) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self._lazy.get(cmd_name)
        if target is None:
            return super().get_command(ctx, cmd_name)
        module_name, _, attribute = target.partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] in {
                "console",
                "ingest",
                "edge",
                "alerts",
                "firmware_sim",
                "kaimen",
            }:
                raise
            raise click.ClickException(
                f"kaimen {cmd_name} needs the package {error.name}, which is not installed: "
                "install kaimen[all], or the extra of the service"
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing what they need."""
        rows = []
        for name in self.list_commands(ctx):
            text = _SHORT.get(name, "")
            if not text:
                command = super().get_command(ctx, name)
                text = command.get_short_help_str(100) if command else ""
            rows.append((name, text))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _why_no_database(error: Exception) -> str | None:
    """Return what is wrong with the way to the database and how to mend it, None where the fault is another."""
    # What never imported the client has asked no database, and need not load it.
    client = sys.modules.get("psycopg")
    if client is None:
        return None
    if isinstance(error, client.OperationalError):
        return (
            f"the database does not answer: {str(error).strip()}\nIs it started, and are address, user and"
            " password right (--database-url, KAIMEN_DATABASE_URL or --dir)?"
        )
    # Without a state of a server none was asked: the client could not read the address.
    said = str(error).strip()
    if isinstance(error, client.ProgrammingError) and error.sqlstate is None and _ADDRESS_WORDS.search(said):
        return f"that is no address of a database ({said}): write postgresql://USER@HOST:PORT/NAME"
    return None


_SHORT = {
    "up": "Start the whole stack in one directory; --demo adds a simulated community.",
    "sim": "Play a street of doors from a seed, to a broker or a file.",
    "replay": "Run a recording through the detector and say what it would have done.",
    "backtest": "Say what another policy would have made of what is stored.",
    "bench": "Measure against the machine's limit and the peers, as ratios.",
    "import": "Enter communities, doors, households, people and consents from files.",
    "doctor": "Look at everything an installation needs, and say how to mend what is wrong.",
    "channels": "See how ways to tell people fare, and enter addresses of contacts from a file.",
    "phone": "Look after the telephone: its line, who may be rung, and whose voice is heard.",
    "watchdog": "Look at everything once a minute, as a process of its own (settings: KAIMEN_WATCHDOG_*).",
    "policy": "Say who would be called when, if somebody were silent from an instant on.",
    "duty": "Say who is on duty and which minutes nobody can be reached; enter shifts and holidays.",
    "device-users": "Give each controller and gateway its own sign-in at the broker of kaimen up.",
    "outbox": "List messages held back after a restore, and let them go or drop them.",
    "backup": "Write an encrypted backup of the database, and check one.",
    "restore": "Fill an empty database or a new directory from a backup.",
    "audit": "Check the record of who looked, keep its end elsewhere, check sealed packages offline.",
    "person": "Take out or delete what is stored of one person, hold it, catch up after a restore.",
    "retention": "Remove what has been kept long enough, or say how much would go.",
    "user": "Add, list, disable and enable people who sign in, set passwords and training.",
}


@click.group(
    cls=LazyGroup,
    lazy={
        "up": "console.stack.up:command",
        "sim": "firmware_sim.__main__:command",
        "replay": "console.commands.replay:command",
        "backtest": "console.commands.backtest:command",
        "bench": "console.commands.bench:command",
        "import": "console.importing:command",
        "doctor": "console.doctor.round:command",
        "channels": "console.commands.channels:command",
        "user": "console.commands.users:command",
        "policy": "console.commands.policy:command",
        "duty": "console.commands.duty:command",
        "phone": "console.commands.phone:command",
        "watchdog": "console.commands.watchdog:command",
        "audit": "console.commands.audit:command",
        "person": "console.rights.person_commands:command",
        "retention": "console.rights.person_commands:retention",
        "device-users": "console.commands.devices:command",
        "outbox": "console.commands.outbox:command",
        "backup": "console.backups.commands:backup",
        "restore": "console.backups.commands:restore",
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="kaimen")
def main() -> None:
    """Kaimen 开门 notices the door that should have opened and did not."""


def _load(service: str, settings_name: str) -> tuple[Callable[[Any], int], BaseSettings]:
    try:
        entry = importlib.import_module(f"{service}.__main__").main
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"kaimen {service} needs the package {error.name}: install kaimen[{_EXTRAS[service]}]"
        ) from error
    settings_class: type[BaseSettings] = getattr(importlib.import_module("kaimen.settings"), settings_name)
    try:
        return entry, settings_class()
    except ValidationError as error:
        lines = [
            f"  KAIMEN_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors()
        ]
        raise click.ClickException("these settings do not fit:\n" + "\n".join(lines)) from error


def _run(service: str, settings_name: str) -> None:
    entry, settings = _load(service, settings_name)
    sys.exit(entry(settings))


@main.group(invoke_without_command=True)
@click.pass_context
def edge(context: click.Context) -> None:
    """Translate, spool and forward what door devices say (settings: KAIMEN_EDGE_*, KAIMEN_BROKER_*)."""
    if context.invoked_subcommand is None:
        _run("edge", "EdgeSettings")


@edge.command("decode")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--json", "as_json", is_flag=True, help="The report as JSON on standard output, and nothing else."
)
def edge_decode(files: tuple[Path, ...], as_json: bool) -> None:
    """Run vendor payloads (JSON Lines) through the dialects: kind, opening or not, with a score against labels."""
    from edge.decode import decode_file, format_report, merge

    try:
        report = merge([decode_file(path) for path in files])
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else format_report(report))


@main.command()
def ingest() -> None:
    """Admit, judge and store door events (settings: KAIMEN_INGEST_*, KAIMEN_BROKER_*, KAIMEN_DATABASE_URL)."""
    _run("ingest", "IngestSettings")


@main.command()
def alerts() -> None:
    """Turn stage crossings into cases, tasks and messages (settings: KAIMEN_ALERTS_*, KAIMEN_DATABASE_URL)."""
    _run("alerts", "AlertsSettings")


@main.command()
def console() -> None:
    """Serve the pages and the JSON API (settings: KAIMEN_CONSOLE_*, KAIMEN_DATABASE_URL)."""
    _run("console", "ConsoleSettings")


@main.group()
def db() -> None:
    """Look after the database."""


@db.command("migrate")
@click.option(
    "--database-url", envvar="KAIMEN_DATABASE_URL", required=True, help="postgresql://…, the owner's"
)
@click.option(
    "--console-secret-file",
    envvar="KAIMEN_CONSOLE_SECRET_FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The console's key: the database lets in the console that has it, and no other.",
)
@click.option(
    "--admin-url",
    envvar="KAIMEN_DATABASE_ADMIN_URL",
    help="A superuser's at the same server: makes the services' logins.",
)
@click.option(
    "--admin-password-file",
    envvar="KAIMEN_DATABASE_ADMIN_PASSWORD_FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its password, where the address does not hold it.",
)
def db_migrate(
    database_url: str,
    console_secret_file: Path | None,
    admin_url: str | None,
    admin_password_file: Path | None,
) -> None:
    """Bring the database to this version's schema and rights.

    The services' own logins (kaimen_console, kaimen_ingest, kaimen_alerts, kaimen_watchdog, kaimen_rights) are made
    where this login, or the administrator's, may make roles; each gets the password that
    KAIMEN_DATABASE_PASSWORD_CONSOLE, …_INGEST, …_ALERTS, …_WATCHDOG or …_RIGHTS holds.
    """
    from console.database_roles import RolesError, make_logins, settle_roles
    from kaimen.schema import SchemaError, migrate

    try:
        if admin_url is not None:
            make_logins(admin_url, admin_password_file)
        version = migrate(database_url)
        words = settle_roles(database_url, console_secret_file, sets_passwords=admin_url is None)
    except (SchemaError, RolesError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"schema {version}")
    click.echo(words)


@main.command()
@click.argument("url")
@click.option("--timeout", default=5.0, show_default=True, help="Seconds to wait for an answer.")
@click.option(
    "--store", type=click.Path(file_okay=False, path_type=Path),
    help="Of a nats-server: where its messages lie. With --pid-file, a server whose store refuses for good is ended"
    " once there is room again, for what keeps it running to start it anew.",
)  # fmt: skip
@click.option("--pid-file", type=click.Path(dir_okay=False, path_type=Path), help="Its pid_file.")
def health(url: str, timeout: float, store: Path | None, pid_file: Path | None) -> None:
    """Ask a service's /healthz (or /readyz) and end with 0 if it is well, for health checks."""
    if not url.startswith(("http://", "https://")):
        raise click.ClickException(f"{url!r} is no address: write http://HOST:PORT/healthz")
    if (store is None) != (pid_file is None):
        raise click.UsageError("--store and --pid-file go together")
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - scheme checked above
            click.echo(answer.read().decode())
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        detail = error.read().decode() if isinstance(error, urllib.error.HTTPError) else str(error)
        if store is not None and pid_file is not None:
            detail += _end_if_it_must_start_anew(detail, store, pid_file)
        raise click.ClickException(f"{url}: {detail}") from error


def _end_if_it_must_start_anew(detail: str, store: Path, pid_file: Path) -> str:
    from console.stack.broker_health import end_process_of, why_start_anew

    if not why_start_anew(detail, store):
        return ""
    return (
        "; it was asked to end" if end_process_of(pid_file) else f"; start it anew: no process in {pid_file}"
    )


if __name__ == "__main__":
    main()
