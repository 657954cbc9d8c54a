"""A migrated database of its own for every test, on the embedded PostgreSQL and, where named, on TimescaleDB.

``KAIMEN_TEST_DATABASE_TIMESCALE`` is the address of a superuser on a server with TimescaleDB; with it every test
that asks for a database runs on both servers.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.fix_servers import postgres_server

_TIMESCALE_URL = os.environ.get("KAIMEN_TEST_DATABASE_TIMESCALE", "")
_SERVERS = ["plain", "timescale"] if _TIMESCALE_URL else ["plain"]


@dataclass(frozen=True)
class DatabaseServer:
    """A server tests may create databases on; ``kind`` is ``plain`` or ``timescale``."""

    kind: str
    admin_url: str

    def url(self, database: str) -> str:
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))

    def execute(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    def create(self, database: str, template: str = "template0") -> str:
        # A template is copied file by file, by the file system where it can: four times as quick as by the log.
        strategy = " STRATEGY file_copy" if template != "template0" else ""
        self.execute(
            "SET file_copy_method = clone", f'CREATE DATABASE "{database}" TEMPLATE "{template}"{strategy}'
        )
        return self.url(database)

    def drop(self, database: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


def _fresh_name(purpose: str) -> str:
    return f"kaimen_{purpose}_{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def embedded_postgres_url() -> Iterator[str]:
    """The one embedded PostgreSQL of the session, started when first asked for."""
    with postgres_server() as server:
        yield server.admin_url


@pytest.fixture(scope="session", params=_SERVERS)
def database_server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Each server in turn: ``plain`` always, ``timescale`` where one is named."""
    if request.param == "timescale":
        return DatabaseServer("timescale", _TIMESCALE_URL)
    return DatabaseServer("plain", request.getfixturevalue("embedded_postgres_url"))


@pytest.fixture(scope="session")
def _database_template(database_server: DatabaseServer) -> Iterator[str]:
    from kaimen.schema import migrate

    name = _fresh_name("template")
    url = database_server.create(name)
    try:
        migrate(url)
        # Nobody may be connected to a database that is copied, TimescaleDB's own workers included.
        database_server.execute(
            f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        yield name
    finally:
        database_server.drop(name)


@pytest.fixture
def database_url(database_server: DatabaseServer, _database_template: str) -> Iterator[str]:
    """The address of a fresh, migrated database; dropped after the test."""
    name = _fresh_name("test")
    yield database_server.create(name, _database_template)
    database_server.drop(name)


@pytest.fixture
def empty_database_url(database_server: DatabaseServer) -> Iterator[str]:
    """The address of a fresh database without any table, for tests of the migrations themselves."""
    name = _fresh_name("empty")
    yield database_server.create(name)
    database_server.drop(name)
