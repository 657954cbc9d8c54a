"""Migrations on real servers: each once, in the form the server offers, and final where they must be."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from kaimen.schema import Migration, SchemaError, list_migrations, migrate, schema_version
from tests.fix_database import DatabaseServer

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_event_table_has_the_form_the_server_offers(
    database_url: str, database_server: DatabaseServer
) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT relkind FROM pg_class WHERE relname = 'door_events'").fetchone()
        tier = connection.execute("SELECT DISTINCT tier FROM schema_migrations").fetchone()
        made = connection.execute("SELECT ensure_event_partitions(%s, %s)", (NOW, NOW)).fetchone()
    assert tier == (database_server.kind,)
    assert row is not None
    assert row[0] in (("p", b"p") if database_server.kind == "plain" else ("r", b"r"))
    assert made == (1 if database_server.kind == "plain" else 0,)


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    newest = max(migration.version for migration in list_migrations())
    assert schema_version(database_url) == newest
    assert migrate(database_url) == newest


def test_a_database_of_a_newer_program_is_refused_in_words(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (9999, 'later', 'plain', %s)", (NOW,))
    with pytest.raises(SchemaError, match="start the newer program"):
        migrate(database_url)


def test_a_step_that_fails_half_way_leaves_nothing_and_is_named(database_url: str) -> None:
    newest = max(migration.version for migration in list_migrations())
    halves = [
        Migration(newest + 1, "good", None, "CREATE TABLE of_the_good_step ()"),
        Migration(newest + 2, "bad", None, "CREATE TABLE of_the_bad_step (); SELECT 1 / 0"),
    ]
    with pytest.raises(SchemaError, match=rf"step {newest + 2} \(bad\) .* whole at schema {newest + 1}\b"):
        migrate(database_url, migrations=[*list_migrations(), *halves])
    assert schema_version(database_url) == newest + 1
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT to_regclass('of_the_good_step') IS NULL, to_regclass('of_the_bad_step') IS NULL"
        )
        assert found.fetchone() == (False, True)


def test_a_demo_never_becomes_production(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO installation (kind, created_at) VALUES ('demo', %s)", (NOW,))
    for statement in ("UPDATE installation SET kind = 'production'", "DELETE FROM installation"):
        with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement)


def test_an_audit_entry_can_neither_be_changed_nor_removed(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO audit_entries (at, actor, role, action, purpose, object_kind, object_id, previous_hash, hash)"
            " VALUES (%s, 'a', 'admin', 'b', 'c', 'd', 'e', '', '')",
            (NOW,),
        )
    for statement in ("UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries"):
        with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement)


def test_two_open_cases_of_one_household_are_impossible(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO communities (id, name) VALUES ('c', 'C')")
        connection.execute("INSERT INTO sites (id, community_id, name) VALUES ('s', 'c', 'S')")
        connection.execute(
            "INSERT INTO households (id, site_id, label, building, unit, floor, room)"
            " VALUES ('h', 's', '1-1-101', '1', '1', 1, '101')"
        )
    insert = (
        "INSERT INTO cases (number, community_id, household_id, cause, state, opened_at, stage_at, next_action_at, policy)"
        " VALUES (%s, 'c', 'h', 'inactivity', 'open', %s, %s, %s, '{}')"
    )
    with psycopg.connect(database_url) as connection:
        connection.execute(insert, ("1", NOW, NOW, NOW))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(insert, ("2", NOW, NOW, NOW))
