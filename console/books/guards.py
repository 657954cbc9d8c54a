"""What a file must not do by accident: the ledger and what is stored enter, faults leave; the rules are pure.

A second office may use the ids of the first: its file would move the first one's homes, cards and people to its own
community. And one column that slipped may end the watch over most of a community. Both are refused until somebody
says that they are meant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from console.books.checks import Ledger, Line
from console.books.faults import Fault, Origin
from console.books.rows import BOOKS

#: Below this many homes, most of a community are a few, and somebody sees them.
ENDED_HOMES_MIN = 3


@dataclass(frozen=True, slots=True)
class Belonging:
    """Which community what is stored belongs to, before anything is written: by id."""

    sites: Mapping[str, str]
    homes: Mapping[str, str]
    #: People may be asked about homes of several.
    persons: Mapping[str, Set[str]]


def find_strangers(ledger: Ledger, stored: Belonging, *, only: str | None, across: bool) -> list[Fault]:
    """Return rows that would touch another community's: than ``only``, or than their own unless ``across`` is said."""
    lines = [(book, line, origin) for book in BOOKS for line, origin in ledger.of_files(book)]
    of_files = {after for book, line, _ in lines if (after := _after(book, line.row, ledger, stored))}
    faults = []
    for book, line, origin in lines:
        if not (line.is_new or line.is_changed):
            continue
        before, after = _before(book, line, stored), _after(book, line.row, ledger, stored)
        touched = before | ({after} if after else set())
        key = BOOKS[book].key[0]
        if only is not None and touched - {only}:
            what = "belongs to another community than the one named"
            faults.append(Fault(origin, key, what, "leave the row out, or name its community"))
        elif not across and _is_anothers(before, after, of_files):
            what = "is an id of another community's already"
            mend = "choose another id; if the move is meant, say --across-communities"
            faults.append(Fault(origin, key, what, mend))
    return faults


def _is_anothers(before: Set[str], after: str | None, of_files: Set[str]) -> bool:
    if after is not None:
        return bool(before) and after not in before
    # Somebody without a home of her own is known by the homes she is asked about.
    return bool(before) and bool(of_files) and not before & of_files


def _before(book: str, line: Line, stored: Belonging) -> set[str]:
    row = line.stored
    if row is None:
        return set()
    if book in ("communities", "sites"):
        return {row["id" if book == "communities" else "community_id"]}
    if book == "persons":
        return set(stored.persons.get(row["id"], ()))
    found = (
        stored.sites.get(row["site_id"]) if "site_id" in row else stored.homes.get(row["household_id"] or "")
    )
    return set() if found is None else {found}


def _after(book: str, row: Mapping[str, Any], ledger: Ledger, stored: Belonging) -> str | None:
    if book in ("communities", "sites"):
        return str(row["id" if book == "communities" else "community_id"])
    site = row.get("site_id")
    if site is None:
        home = ledger.find("households", row["household_id"] or "")
        site = None if home is None else home.row["site_id"]
    if site is None:
        return None
    line = ledger.find("sites", site)
    return stored.sites.get(site) if line is None else str(line.row["community_id"])


def find_ended(before: Mapping[str, str], after: Mapping[str, str]) -> list[Fault]:
    """Return a fault for each community of which at least half the watched homes are watched no more.

    ``before`` and ``after`` are the community of each watched home by its id.
    """
    homes: dict[str, list[str]] = defaultdict(list)
    for home, community in before.items():
        homes[community].append(home)
    return list(_ended(homes, after))


def _ended(homes: Mapping[str, list[str]], after: Mapping[str, str]) -> Iterator[Fault]:
    for community, watched in homes.items():
        ended = [home for home in watched if home not in after]
        if len(ended) >= ENDED_HOMES_MIN and 2 * len(ended) >= len(watched):
            what = (
                f"with the other files would end the watch over {len(ended)} of the {len(watched)} watched homes"
                f" of {community}"
            )
            mend = "see withdrawn_at, to_at, retired_at, watched_from and absences; if it is meant, say --end-homes"
            yield Fault(Origin("import", "", 0), "", what, mend)
