"""``kaimen up``: a directory enters; a whole installation, or a demo of one, runs until Ctrl-C."""

from __future__ import annotations

import json
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from console.opening import console_key
from console.stack.folder import Kind, StackError, StackFolder
from console.stack.nats import open_nats
from console.stack.own_edge import OwnEdge, own_edge_site
from console.stack.postgres import Postgres, open_postgres
from console.stack.services import EDGE_ID, Stack, free_port, is_free
from console.stack.steering import NOTED_EVERY_S, SPEED_MAX, Steering
from console.stack.story import SITE
from console.stack.supervisor import Program, StopAskedError, Supervisor, python_module
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import connect
from kaimen.logs import get_logger, set_up_logs
from kaimen.rights import introduce_console
from kaimen.schema import SchemaError, migrate
from kaimen.vocabulary import Role

PORT_DEFAULT = 8_000
MQTT_PORT_DEFAULT = 1_883
#: The demo looks this far above the default port for one that is free.
PORTS_TRIED = 50
SERVICES = ("edge", "ingest", "alerts", "watchdog")
METRICS_PORT_DEFAULT = 9464
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

log = get_logger()


@click.command(name="up", context_settings={"show_default": True})
@click.option("--demo", is_flag=True, help="A simulated community on a scaled clock; never a real one.")
@click.option(
    "--dir", "directory", type=click.Path(file_okay=False, path_type=Path), default=None,
    help="Where all data lie [kaimen-demo with --demo, else kaimen-data].",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=None,
    help=f"Port of the console, 0 for any free one  [default: {PORT_DEFAULT}]", show_default=False,
)  # fmt: skip
@click.option("--host", default="127.0.0.1", help="Address of the console's listener; loopback in the demo.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True, max=SPEED_MAX), default=None,
    help="Demo: community seconds per second, also while a case is open  [default: 1440, a day per minute]",
    show_default=False,
)  # fmt: skip
@click.option(
    "--mqtt-port",
    type=click.IntRange(0, 65_535),
    default=None,
    help="Port of the broker  [default: 1883; any in the demo]",
    show_default=False,
)
@click.option(
    "--mqtt-host", default="127.0.0.1", help="Address of the broker's listener; beyond loopback with TLS."
)
@click.option(
    "--mqtt-certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TLS certificate (PEM).",
)
@click.option(
    "--mqtt-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key (PEM)."
)
@click.option(
    "--postgres-port",
    type=click.IntRange(0, 65_535),
    default=0,
    help="Port of PostgreSQL on loopback; 0: any.",
)
@click.option(
    "--public-url", default=None, help="Address people use, where a proxy stands before the console."
)
@click.option("--verbose", is_flag=True, help="Say everything the services say, not only what is grave.")
def command(
    demo: bool,
    directory: Path | None,
    port: int | None,
    host: str,
    speed: float | None,
    mqtt_port: int | None,
    mqtt_host: str,
    mqtt_certificate: Path | None,
    mqtt_key: Path | None,
    postgres_port: int,
    public_url: str | None,
    verbose: bool,
) -> None:
    """Start the whole stack in one directory: database, broker, edge, ingest, alerts and console.

    Ctrl-C stops everything; the next start goes on with the same data. --demo adds a community of 300 invented
    households with thirty days behind them, and prints how to sign in.
    """
    if (mqtt_certificate is None) != (mqtt_key is None):
        raise click.UsageError("--mqtt-certificate and --mqtt-key go together")
    certificate = (mqtt_certificate.resolve(), mqtt_key.resolve()) if mqtt_certificate and mqtt_key else None
    if speed is not None and not demo:
        raise click.UsageError("--speed is the demo's: an installation lives by the machine's clock")
    _refuse_open_doors(
        demo=demo, host=host, mqtt_host=mqtt_host, certificate=certificate, public_url=public_url
    )
    set_up_logs("up")
    root = directory or Path("kaimen-demo" if demo else "kaimen-data")
    folder = StackFolder(root.resolve())
    started = time.monotonic()
    try:
        folder.prepare()
        with folder.locked():
            prepared = folder.claim_kind("demo" if demo else "production")
            stack = _open_stack(
                folder,
                demo=demo,
                host=host,
                port=port,
                mqtt_host=mqtt_host,
                mqtt_port=mqtt_port,
                postgres_port=postgres_port,
                certificate=certificate,
                public_url=public_url,
            )
            supervisor = Supervisor(
                folder.run, folder.logs, quiet=not verbose and (demo or sys.stderr.isatty())
            )
            _run(stack, supervisor, prepared=prepared, speed=speed, started=started)
    except (StackError, SchemaError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _refuse_open_doors(
    *, demo: bool, host: str, mqtt_host: str, certificate: tuple[Path, Path] | None, public_url: str | None
) -> None:
    if demo and (host not in _LOOPBACK or mqtt_host not in _LOOPBACK or public_url is not None):
        raise click.UsageError(
            "a demo is reached from this machine alone: leave out --host, --mqtt-host and --public-url"
        )
    if mqtt_host not in _LOOPBACK and certificate is None:
        raise click.UsageError(
            "beyond loopback the broker speaks TLS: give --mqtt-certificate and --mqtt-key"
        )


def _open_stack(
    folder: StackFolder,
    *,
    demo: bool,
    host: str,
    port: int | None,
    mqtt_host: str,
    mqtt_port: int | None,
    postgres_port: int,
    certificate: tuple[Path, Path] | None,
    public_url: str | None,
) -> Stack:
    secret_words = folder.load_secrets()
    console_port = _console_port(host, port, search=demo and port is None)
    broker_port = _broker_port(mqtt_host, mqtt_port, demo=demo)
    if certificate is not None:
        mqtt_host = mqtt_host if mqtt_host not in _LOOPBACK else "127.0.0.1"
    nats = open_nats(
        folder, secret_words, mqtt_host=mqtt_host, mqtt_port=broker_port, client_port=free_port(),
        site_id=SITE if demo else None, certificate=certificate,
    )  # fmt: skip
    return Stack(
        folder=folder,
        secrets=secret_words,
        postgres=open_postgres(folder, secret_words, postgres_port or free_port()),
        nats=nats,
        demo=demo,
        site_id=SITE if demo else "site",
        host=host,
        port=console_port,
        public_url=public_url
        or f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{console_port}",  # noqa: S104
        metrics_ports=_metrics_ports(demo=demo),
    )


def _metrics_ports(*, demo: bool) -> dict[str, int]:
    """Return each service's loopback port of metrics: the same at every start of an installation, where it is free."""
    ports = {}
    for number, name in enumerate(SERVICES):
        usual = METRICS_PORT_DEFAULT + number
        ports[name] = free_port() if demo or not is_free("127.0.0.1", usual) else usual
        log.info("metrics", name=name, port=ports[name])
    return ports


def _console_port(host: str, port: int | None, *, search: bool) -> int:
    if port == 0:
        return free_port()
    wanted = PORT_DEFAULT if port is None else port
    for candidate in range(wanted, wanted + (PORTS_TRIED if search else 1)):
        if is_free(host, candidate):
            return candidate
    raise StackError(f"port {wanted} is in use: name another --port, or --port 0 for any free one")


def _broker_port(host: str, port: int | None, *, demo: bool) -> int:
    if port == 0 or (demo and port is None):
        return free_port()
    wanted = MQTT_PORT_DEFAULT if port is None else port
    if not is_free(host, wanted):
        raise StackError(f"port {wanted} is in use: name another --mqtt-port")
    return wanted


def _run(
    stack: Stack, supervisor: Supervisor, *, prepared: bool, speed: float | None, started: float
) -> None:
    supervisor.listen_to_signals()
    supervisor.stop_leftovers()
    try:
        stack = _start(stack, supervisor, prepared=prepared, speed=speed)
        _say_ready(stack, took_s=time.monotonic() - started)
        if stack.demo:
            _watch_demo(stack, supervisor)
        else:
            supervisor.watch(_own_edge(stack, supervisor).look)
    except StopAskedError:
        log.info("stopped while starting")
    finally:
        if stack.demo and stack.folder.clock.exists():
            Steering(stack.folder).end()
        supervisor.stop()


def _start(stack: Stack, supervisor: Supervisor, *, prepared: bool, speed: float | None) -> Stack:
    kind: Kind = "demo" if stack.demo else "production"
    supervisor.start(stack.postgres_program(), stack.nats_program())
    stack.nats.provision_sessions()
    stack.postgres.ensure_database(empty=stack.demo and not prepared)
    migrate(stack.postgres.url)
    _introduce_console(stack)
    _claim_database(stack.postgres, kind)
    if not prepared:
        _prepare(stack, supervisor)
        stack.folder.note_prepared(kind)
    steering = Steering(stack.folder) if stack.demo else None
    if steering is not None:
        steering.begin(speed)
    if steering is None:
        stack = replace(stack, site_id=own_edge_site(stack.postgres.url) or stack.site_id)
    supervisor.start(*stack.phone_programs())
    # Ingest before the street: what devices say has to be heard from its first word on.
    supervisor.start(
        stack.edge_program(), stack.ingest_program(), stack.alerts_program(), stack.console_program(),
        stack.watchdog_program(),
    )  # fmt: skip
    if steering is not None:
        supervisor.start(stack.street_program())
        steering.play()
    return stack


def _introduce_console(stack: Stack) -> None:
    """Let the database know the console by the key in the directory."""
    with connect(stack.postgres.url, service="up") as connection:
        introduce_console(connection, console_key(stack.folder.console_secret.read_bytes().strip()))


def _claim_database(postgres: Postgres, kind: Kind) -> None:
    """Write once what this database is; a copied directory cannot pretend."""
    with connect(postgres.url, service="up") as connection:
        connection.execute(
            "INSERT INTO installation (kind, created_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (kind, as_datetime(SystemClock().now_ms())),
        )
        row = connection.execute("SELECT kind FROM installation").fetchone()
    if row is None or row["kind"] != kind:
        raise StackError("the database in this directory is of the other kind, and stays so")


def _prepare(stack: Stack, supervisor: Supervisor) -> None:
    if stack.demo:
        supervisor.run_to_end(
            Program("prepare", python_module("console.stack.prepare"), stack.database_environment()),
            own_output=True,
        )
        return
    if not stack.folder.edge_devices.exists():
        stack.folder.edge_devices.write_text("[]\n")
    _add_first_admin(stack.postgres)


def _add_first_admin(postgres: Postgres) -> None:
    """Let somebody in: one administrator, whose password is said once and stored nowhere."""
    from console.identity import sessions as identity

    password = secrets.token_urlsafe(15)
    with connect(postgres.url, service="up") as connection:
        if connection.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None:
            return
        identity.add_user(
            connection, name="admin", display_name="admin", password=password, role=Role.ADMIN,
            community_id=None, now=as_datetime(SystemClock().now_ms()),
        )  # fmt: skip
    click.echo(f"first sign-in, said only now:  admin  {password}")


def _own_edge(stack: Stack, supervisor: Supervisor) -> OwnEdge:
    return OwnEdge(
        stack.postgres.url, supervisor, lambda site_id: replace(stack, site_id=site_id).edge_program(),
        site_id=stack.site_id,
    )  # fmt: skip


def _say_ready(stack: Stack, *, took_s: float) -> None:
    log.info("the stack is up", duration_ms=int(took_s * 1000), port=stack.port)
    if not stack.demo:
        click.echo(
            f"Kaimen is at {stack.public_url}; the broker is at {stack.nats.url} (users: secrets.json)"
        )
        return
    sign_ins = json.loads(stack.folder.sign_ins.read_text(encoding="utf-8"))
    width = max(len(role) for role in sign_ins)
    lines = [f"  {role:<{width}}  {found['user']:<9} {found['password']}" for role, found in sign_ins.items()]
    click.echo(f"\n演示 / demo: {stack.public_url}   ({took_s:.0f} s)\n")
    click.echo("\n".join(lines))
    click.echo(f"\n  also in {stack.folder.sign_ins}, with tokens for the JSON API")
    click.echo(f"  break it: {stack.public_url}/demo      stop it: Ctrl-C\n")
    sys.stdout.flush()


def _watch_demo(stack: Stack, supervisor: Supervisor) -> None:
    steering = Steering(stack.folder)
    noted_at = 0.0

    def on_turn() -> None:
        nonlocal noted_at
        steering.look()
        if time.monotonic() - noted_at >= NOTED_EVERY_S:
            noted_at = time.monotonic()
            steering.note()

    supervisor.watch(on_turn)


__all__ = ["EDGE_ID", "command"]
