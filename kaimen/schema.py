"""Applies ``migrations/*.sql`` once each, in order, under a lock: a database URL enters, its schema version leaves.

``NNNN_words.sql`` is for every server; ``NNNN_words.plain.sql`` and ``NNNN_words.timescale.sql`` are the two forms
of one step, chosen by asking the server once and kept for the life of the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import LiteralString, cast

import psycopg

from kaimen.rights import apply_rights

_LOCK = 7_241_001
#: Shared by every transaction that writes (``enter_schema``), taken alone by a fencing migration.
_FENCE_LOCK = 7_241_010
_FENCING = "-- fencing\n"


class SchemaError(RuntimeError):
    """The database is not one this version can work with; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    tier: str | None
    sql: LiteralString

    @property
    def is_fencing(self) -> bool:
        """Whether programs that do not know this step may write no more once it is made."""
        return self.sql.startswith(_FENCING)


def list_migrations() -> list[Migration]:
    """Return the packaged migrations in order; both forms of a step where it has two."""
    found = []
    for entry in sorted(files("kaimen").joinpath("migrations").iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".sql"):
            stem = entry.name.removesuffix(".sql")
            stem, _, tier = stem.partition(".")
            text: LiteralString = entry.read_text(encoding="utf-8")
            found.append(Migration(int(stem[:4]), stem[5:], tier or None, text))
    return found


def ask_tier(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    """Say which form of the event table the server offers: ``timescale`` or ``plain``.

    TimescaleDB counts where it is in this database already, or where it is loaded and this role may add it. Its own
    settings exist only where it is loaded, and unlike the list of libraries every role may ask for them.
    """
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb')"
        " OR (EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb')"
        "     AND coalesce(current_setting('timescaledb.disable_load', true),"
        "                  current_setting('timescaledb.license', true)) IS NOT NULL"
        "     AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))"
    ).fetchone()
    return "timescale" if row and row[0] else "plain"


def migrate(url: str, *, migrations: list[Migration] | None = None) -> int:
    """Bring the database to this version's schema, or through ``migrations``, and its rights; return the version number.

    Services may run meanwhile: each step is one transaction, and a fencing one lets no program write afterwards that
    does not know it.
    Rights need roles: where they are missing and this login may not make them, everything stays the owner's.

    Raises
    ------
    SchemaError
        If the database is newer than this program, or a step does not go through: the steps before it stay.
    """
    with psycopg.connect(url, autocommit=True, application_name="kaimen migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        try:
            version = _apply_missing(connection, migrations)
            apply_rights(connection)
            return version
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _apply_missing(
    connection: psycopg.Connection[tuple[object, ...]], migrations: list[Migration] | None
) -> int:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        " version int PRIMARY KEY, name text NOT NULL, tier text NOT NULL, applied_at timestamptz NOT NULL)"
    )
    rows = connection.execute("SELECT version, tier FROM schema_migrations ORDER BY version").fetchall()
    applied = {cast(int, version) for version, _ in rows}
    tier = cast(str, rows[0][1]) if rows else ask_tier(connection)
    migrations = list_migrations() if migrations is None else migrations
    newest = max(migration.version for migration in migrations)
    if applied and max(applied) > newest:
        raise SchemaError(
            f"the database has schema {max(applied)}, this program knows {newest}: start the newer program"
        )
    if tier == "timescale":
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    for migration in migrations:
        if migration.version in applied or migration.tier not in (None, tier):
            continue
        try:
            _apply(connection, migration, tier)
        except psycopg.Error as error:
            raise SchemaError(
                f"step {migration.version} ({migration.name}) did not go through and nothing of it stays; the database is"
                f" whole at schema {max(applied, default=0)}. Mend the cause and run it again: {error}"
            ) from error
        applied.add(migration.version)
    return newest


def _apply(connection: psycopg.Connection[tuple[object, ...]], migration: Migration, tier: str) -> None:
    with connection.transaction():
        if migration.is_fencing:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_FENCE_LOCK,))
        connection.execute(migration.sql)
        if migration.is_fencing:
            connection.execute("UPDATE schema_fence SET version = %s", (migration.version,))
        # The machine's clock is right here: this row says when an operator upgraded, it decides nothing.
        connection.execute(
            "INSERT INTO schema_migrations VALUES (%s, %s, %s, clock_timestamp())",
            (migration.version, migration.name, tier),
        )


def schema_version(url: str) -> int:
    """Return the database's schema version, 0 for an empty database."""
    with psycopg.connect(url, application_name="kaimen schema") as connection:
        exists = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
        if not exists or not exists[0]:
            return 0
        row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()
        return cast(int, row[0]) if row else 0
