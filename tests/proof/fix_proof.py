"""One world for all that asks the application thousands of times; what a request writes is rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from console.app import create_app
from kaimen.clock import ManualClock
from kaimen.schema import migrate
from kaimen.settings import ConsoleSettings
from tests.fix_database import DatabaseServer
from tests.integration.console_world import HOST, World, build_world
from tests.proof.asking import Asker, RolledBackPool, sign_in_all
from tests.proof.objects import Values, add_objects

BEGIN_MS = round(datetime(2025, 11, 21, tzinfo=UTC).timestamp() * 1000)


@dataclass(frozen=True)
class Place:
    """A world, who asks it, and what its addresses may name."""

    world: World
    asker: Asker
    values: dict[str, Values]


def proof_settings(url: str) -> ConsoleSettings:
    return ConsoleSettings(database_url=url, public_url=HOST)


@pytest.fixture(scope="session")
def place(embedded_postgres_url: str) -> Iterator[Place]:
    """A small population on the embedded PostgreSQL, an application over it, a session for everybody."""
    server = DatabaseServer("plain", embedded_postgres_url)
    url = server.create("kaimen_proof")
    migrate(url)
    world = build_world(url, ManualClock(BEGIN_MS))
    values = add_objects(world)
    pool = RolledBackPool(url)
    asker = Asker(create_app(proof_settings(url), world.clock, pool, wall=world.wall), pool)  # type: ignore[arg-type]
    sign_in_all(world, asker)
    yield Place(world, asker, values)
    asker.close()
    world.close()
    server.drop("kaimen_proof")
