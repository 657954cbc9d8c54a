"""Pools: a connection that the server ended enters; a fresh one leaves, or an error once where it was still trusted."""

from __future__ import annotations

import psycopg
import pytest

from kaimen.database import Pool, open_pool, single, transaction

pytestmark = pytest.mark.one_store


def _end_connection_of(pool: Pool, url: str) -> None:
    with transaction(pool) as connection:
        pid = connection.info.backend_pid
    with psycopg.connect(url, autocommit=True) as other:
        # Ends and waits until it has ended.
        ended = other.execute("SELECT pg_terminate_backend(%s, 30000) AS ended", (pid,)).fetchone()
    assert ended == (True,)


def test_a_trusted_connection_fails_once_and_is_replaced(database_url: str) -> None:
    with open_pool(database_url, service="test", size_max=1, trusted_s=3600) as pool:
        _end_connection_of(pool, database_url)
        with pytest.raises(psycopg.OperationalError), transaction(pool) as connection:
            connection.execute("SELECT 1")
        with transaction(pool) as connection:
            assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_single_statements_commit_themselves_and_leave_the_connection_as_it_was(database_url: str) -> None:
    with open_pool(database_url, service="test", size_max=1) as pool:
        with pytest.raises(psycopg.errors.DivisionByZero), single(pool) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("SELECT 1 / 0")
        with transaction(pool) as connection:
            assert not connection.autocommit
            assert connection.execute("SELECT count(*) AS rows FROM kept").fetchone() == {"rows": 0}
