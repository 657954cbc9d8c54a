"""Everything stored about one person as one sealed package: her id enters, the bytes of a zip leave.

JSON for machines, a page that prints for people, sounds as files beside them, all with their hashes, the place in the audit chain and a seal that
`kaimen audit verify` checks without a network. Staff and helpers stand in it by role: their names are theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from console.audit import sealing
from console.audit.chain import Entry, append
from console.rendering import environment
from console.rights import reading
from console.rights.attachments import gather_files
from console.rights.deletion import Author
from console.rights.holds import load_holds
from console.words import load_words
from kaimen.database import Connection, queries

_SQL = queries("console", "rights/rights.sql")
FORMAT = "kaimen-person-1"
#: More openings than a home makes in three years; beyond it the package says so.
EVENTS_MAX = 200_000
#: Sections of the package in the order of the page; each is a statement ``export_NAME``.
SECTIONS = (
    "consents", "contacts", "cards", "channels", "absences", "words", "cases", "entries", "tasks", "visits", "messages",
    "calls", "telephone", "leases", "signals", "crossings", "state", "notes", "looks", "events",
)  # fmt: skip
#: Of a home others live in too, only what is of the person alone leaves with her.
_OF_HER_ALONE = frozenset({"cards", "channels", "calls", "events", "looks", "messages", "telephone"})


class NoSuchPersonError(LookupError):
    """Nobody is stored under this id."""


@dataclass(frozen=True, slots=True)
class Package:
    """A sealed package and the entry of the chain it bears."""

    data: bytes
    entry_id: int
    rows: int


def export_person(
    connection: Connection, person_id: str, *, author: Author, now: datetime, language: str, zone: str
) -> Package:
    """Return everything stored about a person, sealed, and write into the chain that it was taken.

    Raises
    ------
    NoSuchPersonError
    """
    person = connection.execute(_SQL["person"], {"person_id": person_id}).fetchone()
    if person is None:
        raise NoSuchPersonError(person_id)
    sections = gather(connection, person, now=now)
    enclosed, attachments = gather_files(connection, person, community_id=author.community_id)
    sections.update({name: [_row(row) for row in rows] for name, rows in enclosed.items()})
    body = {
        "format": FORMAT, "taken_at": now.isoformat(),
        "person": {key: person[key] for key in (
            "id", "household_id", "label", "relation", "category", "birth_year", "hard_of_hearing", "language", "name",
            "phone",
        )},
        "sections": sections,
    }  # fmt: skip
    words = load_words(language, zone, now)
    page = environment().get_template("person_package.html").render(
        words=words, t=words.say, tn=words.count, person=person, sections=sections, taken_at=now, reading=reading,
    )  # fmt: skip
    files = {
        "person.json": json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True).encode(),
        "person.html": page.encode(), "print.css": sealing.PRINT_STYLE, "README.txt": words.say("rights.package_read").encode() + b"\n\n" + sealing.HOW_TO_CHECK,
        **attachments,
    }  # fmt: skip
    rows = sum(len(found) for found in sections.values())
    entry = Entry(
        now, author.actor, author.role, "person_exported", "rights", "person", person_id,
        {
            "community": author.community_id or person["community_id"], "household": person["household_id"],
            "rows": rows, "sha256": {name: sealing.digest(data) for name, data in files.items()},
        },
    )  # fmt: skip
    entry_id = append(connection, entry, key=author.audit_key)
    place = connection.execute(_SQL["chain_place"], {"id": entry_id}).fetchone()
    assert place is not None
    facts = {
        "person": person_id, "taken_at": now.isoformat(), "rows": rows,
        "chain": {"entry_id": place["id"], "hash": place["hash"]},
    }  # fmt: skip
    return Package(sealing.seal(files, facts, author.audit_key), entry_id, rows)


def gather(
    connection: Connection, person: Mapping[str, Any], *, now: datetime
) -> dict[str, list[dict[str, Any]]]:
    """Return every section's rows with words and instants as text."""
    values = {
        "person_id": person["id"], "household_id": person["household_id"], "alone": person["alone"], "now": now,
        "household_no": person["household_no"] if person["alone"] else None, "limit": EVENTS_MAX,
    }  # fmt: skip
    cards = connection.execute(_SQL["export_cards"], values).fetchall()
    values["tokens"] = [row["token"] for row in cards]
    lives_there = person["relation"] == "resident"
    found: dict[str, list[dict[str, Any]]] = {}
    for name in SECTIONS:
        if name not in _OF_HER_ALONE and not lives_there:
            continue
        asked = {**values, "household_id": values["household_id"] if lives_there else None}
        rows = connection.execute(_SQL[f"export_{name}"], asked).fetchall()
        found[name] = [_row(row) for row in rows]
    holds = load_holds(connection, person_id=person["id"], household_id=person["household_id"], now=now)
    found["holds"] = [
        {"authority": hold.authority, "document": hold.document, "until": hold.until_at.isoformat()}
        for hold in holds
        if hold.standing
    ]
    return found


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in row.items()}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime | date) else value


def seal_certificate(
    certificate: Mapping[str, Any], *, language: str, zone: str, now: datetime, key: bytes
) -> bytes:
    """Return a deletion's certificate as a sealed package: JSON and a page that prints."""
    words = load_words(language, zone, now)
    page = environment().get_template("certificate.html").render(
        words=words, t=words.say, tn=words.count, certificate=certificate
    )  # fmt: skip
    files = {
        "certificate.json": json.dumps(certificate, ensure_ascii=False, indent=1, sort_keys=True).encode(),
        "certificate.html": page.encode(), "print.css": sealing.PRINT_STYLE, "README.txt": sealing.HOW_TO_CHECK,
    }  # fmt: skip
    return sealing.seal(files, {"chain": certificate["chain"], "person": certificate["person"]}, key)
