"""Homes that everybody left: a ledger that was written enters; what was agreed to and shared by those who lived there ends.

An agreement is a person's own. Nobody who moves in later is watched, told of or shown because of who lived there before,
and no helper is sent to the door of a home in which nobody lives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts import acts
from console.books.checks import Ledger
from kaimen.database import Connection, queries

_SQL = queries("console", "rights/left.sql")
#: What ends beside the agreements, in the order the keys between tables ask for.
_STEPS = (
    "tell_nobody", "sessions", "tokens", "codes", "notices", "expectations", "late", "voices", "ties", "contacts",
    "absences", "presence", "early", "watch",
)  # fmt: skip


def settle_left(connection: Connection, ledger: Ledger, *, now: datetime) -> Mapping[str, Sequence[str]]:
    """End what was of those who lived in homes that all of them left by these rows.

    What the same rows say of the next ones stands. Returned are the purposes that ended, by home; a home nobody lived
    in by the books before is not among them.
    """
    losing = {
        str(line.stored["household_id"])
        for line, _ in ledger.of_files("persons")
        if line.stored is not None
        and line.stored["relation"] == "resident"
        and line.stored["household_id"] is not None
        and (line.row["household_id"], line.row["relation"]) != (line.stored["household_id"], "resident")
    }
    if not losing:
        return {}
    coming = [
        str(line.row["id"]) for line, _ in ledger.of_files("persons") if _moves_in(line.row, line.stored)
    ]
    rows = connection.execute(_SQL["left"], {"ids": sorted(losing), "coming": coming}).fetchall()
    return {row["id"]: _end(connection, row["id"], ledger, now) for row in rows}


def _moves_in(row: Mapping[str, object], stored: Mapping[str, object] | None) -> bool:
    return stored is None or stored["household_id"] != row["household_id"] or stored["relation"] != "resident"


def _end(connection: Connection, household_id: str, ledger: Ledger, now: datetime) -> list[str]:
    def said(book: str, column: str) -> list[Any]:
        rows = [line.row for line, _ in ledger.of_files(book)]
        return [row[column] for row in rows if row["household_id"] == household_id]

    home = ledger.find("households", household_id)
    values = {
        "household_id": household_id, "now": now, "agreed": said("consents", "purpose"),
        "named": said("contacts", "person_id"), "away": said("absences", "from_at"),
        "policy": home is not None and "policy_id" in home.said,
    }  # fmt: skip
    ended = connection.execute(_SQL["agreements"], values).fetchall()
    for step in _STEPS:
        connection.execute(_SQL[step], values)
    acts.settle_consent_withdrawn(connection, household_id=household_id, now=now)
    return sorted(row["purpose"] for row in ended)
