"""Reads what is stored beside the books and writes what they change: rows enter and leave one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from console.books.checks import Key, Ledger, Line
from console.books.guards import Belonging
from console.books.roll import Known, Person
from console.books.rows import BOOKS, Entry, key_of
from kaimen.database import Connection, queries

_SQL = queries("console.books")
_LOCK = 7_241_004
#: The table of a book where it is not called like it.
_TABLES = {"contacts": "household_contacts"}
#: What a stored row is found by where the columns of its key may not be unique.
_FOUND_BY = {"consents": ("id",), "absences": ("id",)}
_IDENTITY_COLUMNS = ("name", "phone")


def lock_imports(connection: Connection) -> None:
    """Let one import at a time look and write."""
    connection.execute(_SQL["one_at_a_time"], {"lock": _LOCK})


def load_stored(
    connection: Connection, entries: Mapping[str, list[Entry]]
) -> dict[str, dict[Key, Mapping[str, Any]]]:
    """Return the stored rows that the entries are, name, or may clash with, by book and key."""
    asked = _asked(entries)
    found: dict[str, dict[Key, Mapping[str, Any]]] = {}
    for book in BOOKS:
        rows = connection.execute(_SQL[f"stored_{book}"], asked).fetchall()
        found[book] = {key_of(book, row): row for row in rows}
        if book == "household_doors":
            # Doors that are stored bring in households and devices of which no file speaks.
            asked["households"] = _sorted({*asked["households"], *(row["household_id"] for row in rows)})
            asked["devices"] = _sorted({*asked["devices"], *(row["device_id"] for row in rows)})
    for book in ("households", "devices"):
        rows = connection.execute(_SQL[f"stored_{book}"], asked).fetchall()
        found[book] = {key_of(book, row): row for row in rows}
    return found


def _asked(entries: Mapping[str, list[Entry]]) -> dict[str, list[str]]:
    def said(column: str, *books: str) -> set[str]:
        every = (entry.said.get(column) for book in books for entry in entries.get(book, ()))
        return {value for value in every if value is not None}

    of_homes = ("household_doors", "persons", "contacts", "credentials", "consents", "absences", "leases")
    own_homes = said("id", "households")
    own_devices = said("id", "devices")
    return {
        name: _sorted(values)
        for name, values in {
            "communities": said("id", "communities") | said("community_id", "sites"),
            "sites": said("id", "sites") | said("site_id", "buildings", "devices", "households"),
            "buildings": said("site_id", "buildings"),
            "devices": own_devices | said("gateway_id", "devices") | said("device_id", "household_doors"),
            "households": own_homes | said("household_id", *of_homes),
            "labelled_sites": said("site_id", "households"),
            "persons": said("id", "persons") | said("person_id", "contacts", "credentials"),
            "tokens": said("token", "credentials"),
            "leases": said("id", "leases"),
            "own_households": own_homes
            | said("household_id", "household_doors", "contacts", "consents", "absences"),
            "own_devices": own_devices | said("device_id", "household_doors"),
        }.items()
    }


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def load_policies(connection: Connection) -> frozenset[str]:
    return frozenset(row["id"] for row in connection.execute(_SQL["policies"]).fetchall())


def load_communities(connection: Connection, ledger: Ledger) -> dict[str, str]:
    """Return the community of each household that files speak of and that is stored."""
    named = {line.row["id"] for line, _ in ledger.of_files("households")}
    named |= {
        line.stored["household_id"] for line, _ in ledger.of_files("persons") if line.stored is not None
    }
    rows = connection.execute(_SQL["household_communities"], {"households": sorted(named - {None})})
    return {row["id"]: row["community_id"] for row in rows}


def load_belonging(connection: Connection, ledger: Ledger) -> Belonging:
    """Return which community everything belongs to that files speak of and that is stored."""
    lines = [(book, line) for book in BOOKS for line, _ in ledger.of_files(book) if line.stored is not None]
    stored = [line.stored for _, line in lines if line.stored is not None]
    homes = {row["household_id"] for row in stored if row.get("household_id")}
    rows = connection.execute(_SQL["household_communities"], {"households": sorted(homes)}).fetchall()
    persons: dict[str, set[str]] = {}
    named = sorted(line.row["id"] for book, line in lines if book == "persons")
    for row in connection.execute(_SQL["person_communities"], {"persons": named}).fetchall():
        persons.setdefault(row["id"], set()).add(row["community_id"])
    sites = connection.execute(_SQL["site_communities"]).fetchall()
    return Belonging(
        {row["id"]: row["community_id"] for row in sites},
        {row["id"]: row["community_id"] for row in rows},
        persons,
    )


def load_watched(connection: Connection, communities: Iterable[str], now: datetime) -> dict[str, str]:
    """Return the community of each home in ``communities`` over which somebody watches at ``now``."""
    values = {"communities": _sorted(communities), "now": now}
    return {row["id"]: row["community_id"] for row in connection.execute(_SQL["watched_homes"], values)}


def spoken_of(connection: Connection, entries: Mapping[str, list[Entry]]) -> list[str]:
    """Return the communities that the rows of the files belong to, as things stand in this transaction."""
    asked = _asked(entries)
    rows = connection.execute(_SQL["communities_spoken_of"], asked).fetchall()
    return _sorted({*asked["communities"], *(row["community_id"] for row in rows)})


def load_known(connection: Connection, community_id: str | None) -> Known:
    """Return what a list of homes and people is laid over: the sites it may be of, with who lives there and whom to ask."""
    sites = {
        row["id"]: row["name"] for row in connection.execute(_SQL["roll_sites"], {"community": community_id})
    }
    where = {"sites": list(sites)}
    people: list[dict[str, list[Person]]] = []
    for name in ("roll_residents", "roll_relatives"):
        of_home: dict[str, list[Person]] = {}
        for row in connection.execute(_SQL[name], where):
            person = Person(row["id"], row["name"], row.get("position", 0))
            of_home.setdefault(row["household_id"], []).append(person)
        people.append(of_home)
    homes = connection.execute(_SQL["roll_homes"], where).fetchall()
    ids = frozenset(row["id"] for row in connection.execute(_SQL["roll_ids"]))
    return Known(sites, homes, people[0], people[1], ids)


# Writing ------------------------------------------------------------------------------------------------------------


def write(connection: Connection, ledger: Ledger) -> None:
    """Insert what is new and update what is changed, one statement each per table; nothing is deleted."""
    for book in BOOKS:
        lines = [line for line, _ in ledger.of_files(book)]
        new = [line for line in lines if line.is_new]
        changed = [line for line in lines if line.is_changed]
        if book == "devices":
            # A gateway has to be there before a device moves behind it.
            _insert(connection, book, new)
            _update(connection, book, changed)
        else:
            # A consent has to end before the next one stands.
            _update(connection, book, changed)
            _insert(connection, book, new)
        if book == "persons" and (new or changed):
            rows = [
                {name: line.row[name] for name in ("id", *_IDENTITY_COLUMNS)} for line in (*new, *changed)
            ]
            connection.execute(_SQL["identities"], {"rows": _json(rows)})


def forget_contact(connection: Connection, household_id: str, person_id: str, role: str) -> bool:
    """Ask somebody no more about a home; return whether she was asked. No file can say that."""
    values = {"household_id": household_id, "person_id": person_id, "role": role}
    return bool(connection.execute(_SQL["forget_contact"], values).rowcount)


def _columns(book: str) -> list[str]:
    names = BOOKS[book].columns()
    return [name for name in names if book != "persons" or name not in _IDENTITY_COLUMNS]


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False, default=lambda at: at.isoformat())


def _insert(connection: Connection, book: str, lines: Sequence[Line]) -> None:
    if not lines:
        return
    names = _columns(book)
    statement = sql.SQL(
        "INSERT INTO {0} ({1}) SELECT {1} FROM jsonb_populate_recordset(NULL::{0}, %s)"
    ).format(sql.Identifier(_TABLES.get(book, book)), sql.SQL(", ").join(map(sql.Identifier, names)))
    connection.execute(statement, (_json([{name: line.row[name] for name in names} for line in lines]),))


def _update(connection: Connection, book: str, lines: Sequence[Line]) -> None:
    if not lines:
        return
    found_by = _FOUND_BY.get(book, BOOKS[book].key)
    names = [name for name in _columns(book) if name not in found_by]
    same = sql.SQL("t.{0} IS NOT DISTINCT FROM n.{0}")
    equal = sql.SQL("t.{0} = n.{0}")
    statement = sql.SQL(
        "UPDATE {0} t SET ({1}) = ROW ({2}) FROM jsonb_populate_recordset(NULL::{0}, %s) n WHERE {3}"
    ).format(
        sql.Identifier(_TABLES.get(book, book)),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(sql.SQL("n.{}").format(sql.Identifier(name)) for name in names),
        sql.SQL(" AND ").join(
            (same if name == "from_at" else equal).format(sql.Identifier(name)) for name in found_by
        ),
    )
    rows = [{name: line.row[name] for name in (*found_by, *names)} for line in lines]
    connection.execute(statement, (_json(rows),))


# Reporting ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Around:
    """What stands in the database beside the files, in the communities they speak of."""

    communities: list[str]
    missing: dict[str, list[Key]]
    not_watched: list[str]


def look_around(
    connection: Connection, entries: Mapping[str, list[Entry]], ledger: Ledger, *, now: datetime
) -> Around:
    """Say after writing which rows in force the files do not have, and who is not watched though she consents."""
    communities = spoken_of(connection, entries)
    where = {"communities": communities, "now": now}
    missing: dict[str, list[Key]] = {}
    for book in entries:
        of_files = {tuple(line.row[name] for name in BOOKS[book].key) for line, _ in ledger.of_files(book)}
        stored = connection.execute(_SQL[f"missing_{book}"], where).fetchall()
        keys = (key_of(book, row) for row in stored)
        missing[book] = [key for key in keys if key not in of_files]
    quiet = connection.execute(_SQL["not_watched"], where).fetchall()
    return Around(communities, missing, [row["id"] for row in quiet])
