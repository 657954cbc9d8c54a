"""Lays typed rows over what is stored and writes what they change: rows enter; the ledger, or every fault, leaves.

The command and the console's forms come through here: what a file may say, a form may, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.agreements import At
from console.agreements_homes import Move, ask_all, load_categories
from console.books import checks, store
from console.books.checks import Ledger
from console.books.faults import Fault, ImportRefusedError
from console.books.left import settle_left
from console.books.moves import hold_back
from console.books.rows import Entry
from kaimen.database import Connection


@dataclass(frozen=True, slots=True)
class Taken:
    """What was written; ``moves`` are held back until a second person agrees, ``asked`` those she was newly asked for,
    ``ended`` the agreements that ended in homes that everybody left, by home."""

    ledger: Ledger
    moves: Sequence[Move]
    asked: Sequence[tuple[int, Move]]
    ended: Mapping[str, Sequence[str]]


def take_in(
    connection: Connection,
    entries: Mapping[str, list[Entry]],
    *,
    now: datetime,
    reason: str,
    named: Mapping[str, frozenset[str]] | None = None,
    unread: frozenset[str] = frozenset(),
    faults: Sequence[Fault] = (),
    look: Callable[[Ledger], None] = lambda _: None,
) -> Taken:
    """Check rows between one another and with what is stored, and write them into this transaction.

    ``named`` are ids by book of rows that were read, wrong ones too, ``unread`` books nobody could read, ``faults``
    what is wrong already. ``look`` sees the ledger before anything is written and may refuse it.

    Raises
    ------
    ImportRefusedError
        With everything that is wrong; nothing was written.
    """
    store.lock_imports(connection)
    ledger, between = checks.build_ledger(
        entries, store.load_stored(connection, entries), named=named or {},
        policies=store.load_policies(connection), unread=unread, now=now,
    )  # fmt: skip
    look(ledger)
    found = [*faults, *between, *checks.find_faults(ledger, now=now)]
    if found:
        raise ImportRefusedError(found)
    ledger, moves = hold_back(
        ledger, categories=load_categories(connection), communities=store.load_communities(connection, ledger)
    )
    store.write(connection, ledger)
    ended = settle_left(connection, ledger, now=now)
    return Taken(ledger, moves, ask_all(connection, moves, reason=reason, at=At(now, now)), ended)
