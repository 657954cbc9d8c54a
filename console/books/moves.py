"""Homes that files would move to other hours: a ledger enters; it leaves with what is stored, beside it the moves.

Homes that are new are written as the files have them. What is held back is asked for and waits for a second person
(console/agreements_homes.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from console.agreements_homes import Move, What
from console.books.checks import Ledger, Line


def hold_back(
    ledger: Ledger, *, categories: Collection[str], communities: Mapping[str, str]
) -> tuple[Ledger, list[Move]]:
    """Return the ledger without the moves its files ask for, and the moves.

    ``categories`` are those that bring hours of their own; ``communities`` says where a home is.
    """
    moves: list[Move] = []
    books = {book: dict(lines) for book, lines in ledger.books.items()}
    for line, _ in ledger.of_files("households"):
        before = None if line.stored is None else line.stored["policy_id"]
        if before is not None and before != line.row["policy_id"]:
            id_ = line.row["id"]
            moves.append(Move(id_, communities.get(id_), What.POLICY, before, line.row["policy_id"]))
            books["households"][(id_,)] = _with(line, policy_id=before)
    for line, _ in ledger.of_files("persons"):
        if not _changes_hours(line, categories):
            continue
        assert line.stored is not None
        home, before, after = line.stored["household_id"], line.stored["category"], line.row["category"]
        moves.append(Move(home, communities.get(home), What.CATEGORY, before, after, line.row["id"]))
        books["persons"][(line.row["id"],)] = _with(line, category=before)
    return replace(ledger, books=books), moves


def _with(line: Line, **values: Any) -> Line:
    return replace(line, row={**line.row, **values})


def _changes_hours(line: Line, categories: Collection[str]) -> bool:
    """Say whether somebody who lives in a home that is there gets a care category with hours of its own, or loses it."""
    if line.stored is None or line.stored["relation"] != "resident" or line.stored["household_id"] is None:
        return False
    before, after = line.stored["category"], line.row["category"]
    moves_house = line.row["household_id"] != line.stored["household_id"]
    return before != after and not moves_house and (before in categories or after in categories)
