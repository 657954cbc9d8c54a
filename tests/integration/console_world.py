"""A migrated database enters; two communities with people, doors, cases and one of every role who signs in leave.

The console connects as in service, with the login that owns nothing; the tests write and look as the owner.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, LiteralString, cast
from urllib.parse import urlsplit, urlunsplit

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr

from console.app import create_app
from console.identity import sessions as identity
from console.opening import console_key
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import Connection, Pool, open_pool, transaction
from kaimen.rights import introduce_console
from kaimen.settings import ConsoleSettings
from kaimen.vocabulary import Role

PASSWORD = "correct horse battery"
PROBE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
HOST = "https://console.test"

ROLES = {
    "clerk": (Role.PROPERTY_CLERK, "wenchang"),
    "police": (Role.POLICE_OFFICER, "wenchang"),
    "family": (Role.FAMILY, None),
    "admin": (Role.ADMIN, None),
    "watcher": (Role.NEIGHBOUR_WATCHER, "wenchang"),
    "grid": (Role.GRID_WORKER, "wenchang"),
    "director": (Role.PROPERTY_DIRECTOR, None),
    "committee": (Role.COMMUNITY_COMMITTEE, "wenchang"),
    "resident": (Role.RESIDENT, "wenchang"),
    "resident-b": (Role.RESIDENT, "binhe"),
    "clerk-b": (Role.PROPERTY_CLERK, "binhe"),
    "police-b": (Role.POLICE_OFFICER, "binhe"),
    "watcher-b": (Role.NEIGHBOUR_WATCHER, "binhe"),
    "family-b": (Role.FAMILY, None),
    "supervisor": (Role.POLICE_SUPERVISOR, "wenchang"),
    "auditor": (Role.AUDITOR, "wenchang"),
}


class AppTransport(httpx.BaseTransport):
    """The application without a socket; every request is one run of an event loop, or goes to the one that runs."""

    def __init__(
        self, app: FastAPI, address: str = "192.0.2.7", loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._app = app
        self._address = address
        self._loop = loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(
                app=self._app, client=(self._address, 5000), raise_app_exceptions=False
            )
            content = request.read()
            sent = httpx.Request(request.method, request.url, headers=request.headers, content=content)
            answer = await transport.handle_async_request(sent)
            body = b"".join([part async for part in answer.aiter_raw()])
            return httpx.Response(answer.status_code, headers=answer.headers, content=body)

        if self._loop is None:
            return asyncio.run(ask())
        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(60)


@dataclass
class World:
    """The console over a small population; ``clients`` keeps one browser per name."""

    url: str
    clock: ManualClock
    wall: ManualClock
    pool: Pool
    app_pool: Pool
    app: FastAPI
    user_ids: dict[str, int] = field(default_factory=dict)
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    case_ids: dict[str, int] = field(default_factory=dict)
    task_ids: dict[str, int] = field(default_factory=dict)
    loop: asyncio.AbstractEventLoop | None = None

    def close(self) -> None:
        self.app_pool.close()
        self.pool.close()

    @property
    def now(self) -> datetime:
        return as_datetime(self.clock.now_ms())

    def browser(self, name: str | None = None, *, address: str = "192.0.2.7") -> httpx.Client:
        """A browser; signed in where a name is given, without the cost of hashing the password each time."""
        client = httpx.Client(transport=AppTransport(self.app, address, self.loop), base_url=HOST)
        if name is not None:
            with transaction(self.pool) as connection:
                user = connection.execute("SELECT * FROM users WHERE name = %s", (name,)).fetchone()
                assert user is not None
                viewer = identity.viewer_of(connection, user)
                token = identity.open_session(
                    connection, viewer=viewer, agent="test", now=as_datetime(self.wall.now_ms())
                )
            client.cookies.set("__Host-kaimen_session", token, domain="console.test")
            client.headers["x-test-csrf"] = identity.csrf_of(token)
        return client

    def csrf(self, client: httpx.Client) -> str:
        return client.headers["x-test-csrf"]

    def post(self, client: httpx.Client, path: str, **fields: str) -> Any:
        return client.post(path, data={"csrf": self.csrf(client), **fields})

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with transaction(self.pool) as connection:
            return connection.execute(cast(LiteralString, sql), values).fetchall()

    def write(self, sql: str, *values: object) -> None:
        with transaction(self.pool) as connection:
            connection.execute(cast(LiteralString, sql), values)


def as_console(url: str) -> str:
    """Return the address with the console's own login."""
    return as_login(url, "kaimen_console")


def as_login(url: str, role: str) -> str:
    """Return the address with a service's own login; the servers of the tests ask nobody for a password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


def empty_world(url: str, clock: ManualClock) -> World:
    """Build the app over a database nobody entered anything into; close the world afterwards."""
    pool = open_pool(url, service="test", size_max=6)
    wall = ManualClock(clock.now_ms() + 1_000_000)
    app_url = as_console(url)
    app_pool = open_pool(app_url, service="console", size_max=6)
    settings = ConsoleSettings(
        database_url=app_url, public_url=HOST, rights_database_url=SecretStr(as_login(url, "kaimen_rights"))
    )
    world = World(url, clock, wall, pool, app_pool, create_app(settings, clock, app_pool, wall=wall))
    with transaction(pool) as connection:
        introduce_console(connection, console_key(b""))
    return world


def build_world(url: str, clock: ManualClock) -> World:
    """Fill the database and build the app; close the world afterwards."""
    world = empty_world(url, clock)
    with transaction(world.pool) as connection:
        _add_places(connection, world.now)
        _add_users(connection, world)
        _add_states(connection, world.now)
        _add_cases(connection, world)
        _add_quarantine(connection, world.now)
    return world


_HOUSEHOLDS = (
    # id, community, building, unit, floor, room, name, birth year
    ("h-wang", "wenchang", "3", "1", 12, "01", "王秀英", 1943),
    ("h-zhao", "wenchang", "7", "2", 3, "02", f"赵建国{PROBE}", 1948),
    ("h-sun", "wenchang", "1", "3", 6, "01", "孙兰", 1940),
    ("h-li", "wenchang", "5", "4", 2, "01", "李四妹", 1950),
    ("h-other", "binhe", "3", "1", 12, "01", "周别处", 1945),
)


def _add_places(connection: Connection, now: datetime) -> None:
    connection.execute("INSERT INTO installation (kind, created_at) VALUES ('production', %s)", (now,))
    for community, name in (("wenchang", "文昌花园"), ("binhe", "滨河苑")):
        connection.execute("INSERT INTO communities (id, name) VALUES (%s, %s)", (community, name))
        connection.execute("INSERT INTO sites VALUES (%s, %s, %s)", (f"site-{community}", community, name))
    connection.execute(
        "INSERT INTO policies VALUES ('mandated', 1, %s, '{}', %s)", ([86_400, 172_800, 259_200], now)
    )
    for household_id, community, building, unit, floor, room, name, born in _HOUSEHOLDS:
        label = f"{building}-{unit}-{floor:02}{room}"
        device = f"d-{household_id}"
        connection.execute(
            "INSERT INTO devices (id, site_id, kind, place, registered_at) VALUES (%s, %s, 'controller', %s, %s)",
            (device, f"site-{community}", f"{label} 户门", now - timedelta(days=60)),
        )
        connection.execute(
            "INSERT INTO households (id, site_id, label, building, unit, floor, room, grid, watched_from)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, '4', %s)",
            (household_id, f"site-{community}", label, building, unit, floor, room, now - timedelta(days=60)),
        )
        connection.execute(
            "INSERT INTO household_doors (household_id, device_id, role) VALUES (%s, %s, 'dwelling')",
            (household_id, device),
        )
        connection.execute(
            "INSERT INTO persons (id, household_id, relation, birth_year) VALUES (%s, %s, 'resident', %s)",
            (f"p-{household_id}", household_id, born),
        )
        connection.execute(
            "INSERT INTO person_identities VALUES (%s, %s, '13812341234')", (f"p-{household_id}", name)
        )
        connection.execute(
            "INSERT INTO credentials (token, class, household_id, person_id) VALUES (%s, 'resident', %s, %s)",
            (f"c-{household_id}", household_id, f"p-{household_id}"),
        )
        connection.execute(
            "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES (%s, 'watch', '本人', %s)",
            (household_id, now - timedelta(days=60)),
        )
    connection.execute(
        "INSERT INTO persons (id, household_id, relation) VALUES ('p-son', 'h-wang', 'family')"
    )
    connection.execute("INSERT INTO person_identities VALUES ('p-son', '王小明', '13900001111')")
    connection.execute("INSERT INTO household_contacts VALUES ('h-wang', 'p-son', 'family', 1, '儿子')")
    connection.execute(
        "INSERT INTO consents (household_id, purpose, given_by, given_at)"
        " VALUES ('h-wang', 'notify_family', '本人', %s)",
        (now - timedelta(days=60),),
    )


def _add_users(connection: Connection, world: World) -> None:
    hashed = _password_hash()
    for name, (role, community) in ROLES.items():
        row = connection.execute(
            "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at, trained_until)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                name, f"{name} display", hashed, role.value, community, world.now,
                (world.now + timedelta(days=200)).date() if role is Role.POLICE_OFFICER else None,
            ),
        ).fetchone()  # fmt: skip
        assert row is not None
        world.user_ids[name] = row["id"]
    for community in ("wenchang", "binhe"):
        connection.execute(
            "INSERT INTO user_communities VALUES (%s, %s)", (world.user_ids["director"], community)
        )
    for name, household_id in (
        ("family", "h-wang"),
        ("family-b", "h-other"),
        ("resident", "h-wang"),
        ("resident-b", "h-other"),
    ):
        connection.execute(
            "INSERT INTO user_households VALUES (%s, %s, '妈妈')", (world.user_ids[name], household_id)
        )


_hash: list[str] = []


def _password_hash() -> str:
    if not _hash:
        # A hash says itself how dear it is: these are made to be checked often.
        _hash.append(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD))
    return _hash[0]


def _add_states(connection: Connection, now: datetime) -> None:
    stages = {"h-wang": (3, 75), "h-zhao": (2, 51), "h-sun": (1, 27), "h-li": (0, 3), "h-other": (3, 80)}
    for household_id, (stage, hours) in stages.items():
        known = household_id != "h-li"
        connection.execute(
            "INSERT INTO household_states (household_id, as_of, known, not_known_since, stage, check_step,"
            " evidence_at, evidence, base_ms, anchor_at, settled_ms)"
            " VALUES (%s, %s, %s, %s, %s, 0, %s, %s, %s, %s, %s)",
            (
                household_id, now, known, None if known else now - timedelta(hours=1), stage,
                now - timedelta(hours=hours), json.dumps({"kind": "opening", "device": f"d-{household_id}"}),
                hours * 3_600_000, now, (hours - (not known)) * 3_600_000,
            ),
        )  # fmt: skip
    for service in ("ingest", "alerts"):
        connection.execute("INSERT INTO service_progress VALUES (%s, %s, 7)", (service, now))


def _add_cases(connection: Connection, world: World) -> None:
    now = world.now
    for key, household_id, community, stage, kind, role in (
        ("wang", "h-wang", "wenchang", 3, "visit", "neighbour_watcher"),
        ("zhao", "h-zhao", "wenchang", 2, "call", "property_clerk"),
        ("sun", "h-sun", "wenchang", 1, None, None),
        ("other", "h-other", "binhe", 3, "visit", "neighbour_watcher"),
    ):
        row = connection.execute(
            "INSERT INTO cases (number, community_id, household_id, cause, stage, priority, state, opened_at, stage_at,"
            " deadline_at, evidence_at, next_action, next_action_at, policy)"
            " VALUES (%s, %s, %s, 'inactivity', %s, %s, 'notified', %s, %s, %s, %s, 'call_due', %s, %s) RETURNING id",
            (
                f"2025-1121-{key}", community, household_id, stage, stage, now - timedelta(hours=2),
                now - timedelta(hours=1), now + timedelta(hours=1), now - timedelta(hours=stage * 25),
                now + timedelta(hours=1), json.dumps({"version": 1}),
            ),
        ).fetchone()  # fmt: skip
        assert row is not None
        world.case_ids[key] = row["id"]
        connection.execute(
            "INSERT INTO case_entries (case_id, at, words, args, note) VALUES (%s, %s, 'opened', '{}', %s)",
            (row["id"], now - timedelta(hours=2), PROBE),
        )
        if kind is not None:
            task = connection.execute(
                "INSERT INTO tasks (case_id, household_id, kind, role, state, created_at, start_at, due_at)"
                " VALUES (%s, %s, %s, %s, 'open', %s, %s, %s) RETURNING id",
                (row["id"], household_id, kind, role, now, now, now + timedelta(hours=1)),
            ).fetchone()
            assert task is not None
            world.task_ids[key] = task["id"]
    row = connection.execute(
        "INSERT INTO cases (number, community_id, cause, cause_key, stage, state, opened_at, stage_at,"
        " next_action, next_action_at, policy) VALUES ('2025-1121-tech', 'wenchang', 'technical', 'device:d-h-li',"
        " 0, 'notified', %s, %s, 'device_check_due', %s, '{}') RETURNING id",
        (now, now, now + timedelta(hours=4)),
    ).fetchone()
    assert row is not None
    world.case_ids["technical"] = row["id"]
    connection.execute("INSERT INTO case_households VALUES (%s, 'h-li', %s)", (row["id"], now))
    task = connection.execute(
        "INSERT INTO tasks (case_id, kind, role, state, created_at, start_at, due_at)"
        " VALUES (%s, 'device_check', 'property_clerk', 'open', %s, %s, %s) RETURNING id",
        (row["id"], now, now, now + timedelta(hours=4)),
    ).fetchone()
    assert task is not None
    world.task_ids["technical"] = task["id"]


def _add_quarantine(connection: Connection, now: datetime) -> None:
    for number, community in enumerate(("wenchang", "binhe")):
        payload = PROBE.encode() + bytes([number, 255])
        connection.execute(
            "INSERT INTO quarantine (received_at, topic, channel, payload, payload_bytes, payload_sha256, reason,"
            " detail) VALUES (%s, %s, 'evt', %s, %s, %s, 'malformed_json', %s)",
            (
                now, f"kaimen/v1/0/0/site-{community}/d-x/evt", payload, len(payload),
                hashlib.sha256(payload).digest(), PROBE,
            ),
        )  # fmt: skip


def add_events(world: World, device: str, count: int, *, credential: str | None = None) -> None:
    """Store ``count`` openings of a device, one a minute, the newest a minute ago."""
    with transaction(world.pool) as connection:
        no = connection.execute("SELECT no FROM devices WHERE id = %s", (device,)).fetchone()
        assert no is not None
        for number in range(count):
            at = world.now - timedelta(minutes=count - number)
            connection.execute(
                "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
                " clock_quality, replayed, type, state, method, credential, plausible, batch)"
                " VALUES (%s, %s, %s, %s, 7, %s, 0, 0, 'ntp', false, %s, %s, %s, %s, true, 1)",
                (
                    at, at, at, no["no"], number + 1, "AccessTaken" if credential else "DoorPhysicalState",
                    None if credential else "Open", "card" if credential else None, credential,
                ),
            )  # fmt: skip
