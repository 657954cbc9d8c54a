"""Legal holds: an authority's paper and two people enter; what may not be deleted until when leaves.

A hold binds from the moment one person asks for it, for seven days; a second one confirms it for as long as the paper
says. It ends with its day, or before by the word of two again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kaimen.database import Connection, queries

_SQL = queries("console", "rights/rights.sql")
UNCONFIRMED_FOR = timedelta(days=7)
LONGEST = timedelta(days=3650)


class HoldRefusal(StrEnum):
    """Why a hold is not placed, confirmed or ended; the words stand below ``error.``."""

    NO_PERSON = "person_unknown"
    NO_AUTHORITY = "authority_missing"
    NO_DOCUMENT = "case_number_missing"
    NOT_AHEAD = "hold_until"
    SAME_PERSON = "second_person"
    NOT_STANDING = "hold_over"


class HoldRefusedError(ValueError):
    """The act is not done; ``reason`` says why."""

    def __init__(self, reason: HoldRefusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold with its state at an instant."""

    id: int
    person_id: str
    household_id: str | None
    authority: str
    document: str
    until_at: datetime
    asked_by: str
    asked_at: datetime
    confirmed_by: str | None
    end_asked_by: str | None
    ended_at: datetime | None
    standing: bool


def _hold_of(row: dict[str, Any]) -> Hold:
    return Hold(**{name: row[name] for name in Hold.__slots__})


def load_holds(
    connection: Connection, *, person_id: str = "", household_id: str | None, now: datetime
) -> list[Hold]:
    """Return every hold that ever was on a person or her household, newest first."""
    values = {"person_id": person_id, "household_id": household_id, "now": now}
    return [_hold_of(row) for row in connection.execute(_SQL["holds_of"], values)]


def standing_hold(
    connection: Connection, *, person_id: str, household_id: str | None, now: datetime
) -> str | None:
    """Return the document of a hold that blocks deletion now, or None."""
    values = {"person_id": person_id, "household_id": household_id, "now": now}
    row = connection.execute(_SQL["hold_stands"], values).fetchone()
    return None if row is None else str(row["document"])


def place_hold(
    connection: Connection, *, person_id: str, authority: str, document: str, until_at: datetime, by: str,
    now: datetime,
) -> int:  # fmt: skip
    """Place a hold; it binds at once, and for longer than seven days when a second person confirms it.

    Raises
    ------
    HoldRefusedError
    """
    person = connection.execute(_SQL["person"], {"person_id": person_id}).fetchone()
    if person is None:
        raise HoldRefusedError(HoldRefusal.NO_PERSON)
    if not 1 <= len(authority.strip()) <= 80:
        raise HoldRefusedError(HoldRefusal.NO_AUTHORITY)
    if not 4 <= len(document.strip()) <= 80 or not any(letter.isdigit() for letter in document):
        raise HoldRefusedError(HoldRefusal.NO_DOCUMENT)
    if not now < until_at <= now + LONGEST:
        raise HoldRefusedError(HoldRefusal.NOT_AHEAD)
    row = connection.execute(
        _SQL["hold_add"],
        {
            "person_id": person_id, "household_id": person["household_id"], "authority": authority.strip(),
            "document": document.strip(), "until_at": until_at, "by": by, "now": now,
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row["id"])


def load_hold(connection: Connection, hold_id: int, *, now: datetime) -> tuple[Hold, str | None] | None:
    """Return a hold, locked, with the community it lies in."""
    row = connection.execute(_SQL["hold"], {"id": hold_id, "now": now}).fetchone()
    return None if row is None else (_hold_of(row), row["community_id"])


def confirm_hold(connection: Connection, hold: Hold, *, by: str, now: datetime) -> None:
    """Confirm what another asked for.

    Raises
    ------
    HoldRefusedError
    """
    if not hold.standing or hold.confirmed_by is not None:
        raise HoldRefusedError(HoldRefusal.NOT_STANDING)
    if hold.asked_by == by:
        raise HoldRefusedError(HoldRefusal.SAME_PERSON)
    connection.execute(_SQL["hold_confirm"], {"id": hold.id, "by": by, "now": now})


def end_hold(connection: Connection, hold: Hold, *, by: str, now: datetime) -> bool:
    """Ask for the end of a hold, or end it where another has asked; say whether it ended.

    Raises
    ------
    HoldRefusedError
    """
    if not hold.standing:
        raise HoldRefusedError(HoldRefusal.NOT_STANDING)
    if hold.end_asked_by is None:
        connection.execute(_SQL["hold_ask_end"], {"id": hold.id, "by": by, "now": now})
        return False
    if hold.end_asked_by == by:
        raise HoldRefusedError(HoldRefusal.SAME_PERSON)
    connection.execute(_SQL["hold_end"], {"id": hold.id, "by": by, "now": now})
    return True
