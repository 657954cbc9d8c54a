"""What happened in a case: its entries enter; the timeline leaves, newest first, repeats told once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from console.loaders.cases import LoadedCase, role_of
from console.views.case import TimelineEntry
from console.views.parts import Phrase
from kaimen.database import Connection, queries

#: An opening that leaves three stages at once is one opening: its words name none of them.
_UNSAID = {"evidence_during_visit": frozenset({"stage"})}


def load_timeline(connection: Connection, case: LoadedCase) -> tuple[TimelineEntry, ...]:
    rows = connection.execute(queries("console")["case_entries"], {"case_id": case.id}).fetchall()
    return fold_entries(
        TimelineEntry(
            row["at"],
            Phrase(row["words"], _args(row["words"], row["args"])),
            row["who"],
            role_of(row["who_role"]),
            row["note"],
        )
        for row in rows
    )


def fold_entries(entries: Iterable[TimelineEntry]) -> tuple[TimelineEntry, ...]:
    """Tell once what happened many times in a row (a reminder every half hour), or is written twice of one instant;
    newest first, as it came.
    """
    folded: list[TimelineEntry] = []
    for entry in entries:
        last = folded[-1] if folded else None
        if last is not None and _same(last, entry):
            if entry.at != (last.first_at or last.at):
                folded[-1] = replace(last, count=last.count + 1, first_at=entry.at)
        else:
            folded.append(entry)
    return tuple(folded)


def _same(left: TimelineEntry, right: TimelineEntry) -> bool:
    # What a person did or wrote is told each time.
    by_nobody = not (left.who or right.who or left.note or right.note)
    return by_nobody and left.phrase == right.phrase


def _args(words: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an entry for its words; an instant is one again, whatever its name ends in."""
    unsaid = _UNSAID.get(words, frozenset())
    return {
        key: instant_in(value) if isinstance(value, str) else value
        for key, value in args.items()
        if key not in unsaid
    }


def instant_in(text: str) -> datetime | str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return at if at.tzinfo is not None else text
