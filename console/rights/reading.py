"""Rows of a person's package as she reads them: a section's rows enter, headings and cells in her words leave; pure.

The package's JSON keeps what is stored; its page is for somebody who knows neither the columns nor Greenwich.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from console.words import Words

#: Below which prefix of the catalogue a column's values stand, in any section and in one.
_VALUES = {
    "role": "role", "channel": "channel", "outcome": "outcome", "cause": "cause_name", "grade": "grade",
    "stage": "stage", "class": "card", "type": "event", "method": "method", "given_by": "giver", "presence": "presence",
}  # fmt: skip
_VALUES_OF = {
    ("consents", "purpose"): "resident.purpose", ("absences", "reason"): "absence_reason", ("words", "how"): "rights_how",
    ("entries", "words"): "entry", ("tasks", "kind"): "task", ("signals", "kind"): "signal",
    ("notes", "kind"): "desk_notes", ("notes", "said"): "desk_notes.said", ("notes", "result"): "desk_notes.result",
    ("looks", "action"): "audit", ("looks", "purpose"): "audit_purpose", ("events", "state"): "door_state",
}  # fmt: skip
_EMPTY = re.compile(r"（）|\(\)|“”")
_SPANS = frozenset({"inactive_ms"})


def headings(rows: Sequence[Mapping[str, Any]], words: Words) -> list[str]:
    """Name the columns of a section; one without a word keeps its own name."""
    return [words.named("rights_column", key) for key in rows[0]] if rows else []


def cells(section: str, row: Mapping[str, Any], words: Words) -> list[str]:
    """Put a row into words: instants by the local clock, spans in hours, values by their word."""
    return [_cell(section, column, value, words) for column, value in row.items()]


def _cell(section: str, column: str, value: Any, words: Words) -> str:
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return words.say("rights.yes" if value else "rights.no")
    if column in _SPANS:
        return words.duration(int(value))
    prefix = _VALUES_OF.get((section, column)) or _VALUES.get(column)
    if prefix is not None and words.has(f"{prefix}.{value}"):
        # Of a case's timeline who did it and what it was about are not taken out: what is left must read by itself.
        return _EMPTY.sub("", words.say(f"{prefix}.{value}")).strip(" ，,：:；;")
    instant = _instant(value)
    return str(value) if instant is None else local_instant(instant, words)


def local_instant(at: datetime, words: Words) -> str:
    """An instant by the reader's clock with its year: the package is kept for years."""
    return f"{words.local(at):%Y-%m-%d %H:%M:%S}"


def _instant(value: Any) -> datetime | None:
    """Return an instant that was stored as one; a date alone is none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
