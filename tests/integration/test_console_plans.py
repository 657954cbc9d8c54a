"""A filled database enters; how the console's login reaches the rows of its pages in it is looked at, not timed.

A small database is read whole whatever its indexes are. With every other way made dear, a table is still read whole only
where nothing else is possible: where the rows of all communities would be, too, and each be asked its own policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, LiteralString, cast

import psycopg
import pytest

from console.identity import sessions as identity
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import queries, transaction
from tests.integration.console_world import World, as_console, build_world

_DEAR = ("seqscan", "hashjoin", "mergejoin", "material")
_TABLES = {"devices", "consents"}
#: What bounds the rows that are read of a table at all; a filter is asked of those that were read.
_BOUNDS = {"Index Cond", "Recheck Cond"}


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


@pytest.mark.one_store
def test_no_page_reads_the_devices_or_consents_of_all_communities(world: World) -> None:
    with transaction(world.pool) as sessions:
        user = sessions.execute("SELECT * FROM users WHERE name = 'clerk'").fetchone()
        assert user is not None
        wall = as_datetime(world.wall.now_ms())
        token = identity.open_session(
            sessions, viewer=identity.viewer_of(sessions, user), agent="test", now=wall
        )
    now = world.now
    asked: dict[str, dict[str, Any]] = {
        "shell_counts": {"community_id": "wenchang", "now": now, "hour_ago": now - timedelta(hours=1)},
        "household_lines": {"ids": ["h-wang"], "now": now},
        "cases_by_id": {"ids": [1], "now": now},
        "grids": {"community_id": "wenchang", "month_begin": now - timedelta(days=20), "now": now},
    }
    statements = {**queries("console"), "grids": queries("console", "overview.sql")["grids"]}
    read_whole = []
    with psycopg.connect(as_console(world.url), cursor_factory=psycopg.ClientCursor) as connection:
        for way in _DEAR:
            connection.execute(cast(LiteralString, f"SET enable_{way} = off"))
        connection.execute("SELECT open_scope(%s, %s)", (identity.hash_token(token), wall))
        for name, values in asked.items():
            row = connection.execute("EXPLAIN (FORMAT JSON) " + statements[name], values).fetchone()
            assert row is not None
            scans = [node for node in _nodes(row[0][0]["Plan"]) if node.get("Relation Name") in _TABLES]
            assert scans, name
            read_whole += [(name, node["Alias"]) for node in scans if not node.keys() & _BOUNDS]
    assert read_whole == []


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
