"""Moving a home to other hours: one person, or an import, asks; it waits, and is done once another person agrees.

A home is moved by its policy, or by a care category whose ladder has other hours; whoever could do that alone could let
a silence grow. What is asked is what stood there and what shall: where it became another one meanwhile, nothing is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from console.agreements import REASON_LENGTH_MAX, REQUEST_LIVES, AskRefusal, At, Kind, decide, refuse_reason
from kaimen.database import Connection, queries

_SQL = queries("console", "agreements_homes.sql")
CATEGORY_LENGTH_MAX = 200


class What(StrEnum):
    """What of a home is to be another."""

    POLICY = "policy"
    CATEGORY = "category"


class MoveRefusal(StrEnum):
    """Why a move is not asked for; the words stand below ``error.``."""

    NO_HOME = "no_such_home"
    NO_POLICY = "no_such_policy"
    SEVERAL = "move_several"
    NOBODY = "move_nobody"
    SAME = "move_same"


class StaleMoveError(Exception):
    """The home is no longer as it was when the move was asked for."""


@dataclass(frozen=True, slots=True)
class Move:
    """A home, what of it is to change, from what to what; ``person`` where it is somebody's care category."""

    household_id: str
    community_id: str | None
    what: What
    before: str | None
    after: str | None
    person: str | None = None

    def asked(self) -> dict[str, Any]:
        return {"what": self.what.value, "person": self.person, "from": self.before, "to": self.after}


def find_move(
    connection: Connection,
    *,
    home: str,
    policy: str,
    category: str,
    community_id: str | None,
    at: At,
    person: str = "",
) -> Move | MoveRefusal:
    """Return the move that a form asks for: to a policy or, where that is empty, to a care category.

    The category is ``person``'s; who lives alone need not be named.
    """
    row = connection.execute(_SQL["home_to_move"], {"home": home, "community_id": community_id}).fetchone()
    if row is None:
        return MoveRefusal.NO_HOME
    found = {"household_id": row["id"], "community_id": row["community_id"]}
    if policy:
        values = {"policy": policy, "now": at.now}
        if connection.execute(_SQL["policy_is_there"], values).fetchone() is None:
            return MoveRefusal.NO_POLICY
        move = Move(**found, what=What.POLICY, before=row["policy_id"], after=policy)
    else:
        residents = {item["id"]: item for item in load_residents(connection, row["id"])}
        whose = residents.get(row["person_id"] or person)
        if whose is None:
            return MoveRefusal.SEVERAL if residents else MoveRefusal.NOBODY
        after = category[:CATEGORY_LENGTH_MAX] or None
        move = Move(**found, what=What.CATEGORY, before=whose["category"], after=after, person=whose["id"])
    return MoveRefusal.SAME if move.before == move.after else move


def load_residents(connection: Connection, household_id: str) -> list[dict[str, Any]]:
    """Return who lives in a home, eldest first."""
    return connection.execute(_SQL["home_residents"], {"household_id": household_id}).fetchall()


def residents_of(connection: Connection, home: str, *, community_id: str | None) -> list[dict[str, Any]]:
    """Return who lives in a home that a form names by its id or label; nobody where it is out of reach."""
    row = connection.execute(_SQL["home_to_move"], {"home": home, "community_id": community_id}).fetchone()
    return [] if row is None else load_residents(connection, row["id"])


def load_categories(connection: Connection) -> tuple[str, ...]:
    """Return the care categories that bring hours of their own."""
    return tuple(row["category"] for row in connection.execute(_SQL["care_categories"]).fetchall())


def ask(
    connection: Connection, move: Move, *, reason: str, by: int | None, at: At
) -> AskRefusal | int | None:
    """Ask that a home be moved; returns the request, None where the very same stands already.

    ``by`` None: an import asks. What was asked of the same home before gives way.
    """
    wrong = refuse_reason(reason[:REASON_LENGTH_MAX])
    if wrong is not None:
        return wrong
    values = {
        "household_id": move.household_id, "community_id": move.community_id, "what": move.what.value,
        "person": move.person, "asked": json.dumps(move.asked(), ensure_ascii=False), "by": by, "wall_now": at.wall_now,
        "reason": reason[:REASON_LENGTH_MAX], "expires_at": at.wall_now + REQUEST_LIVES,
    }  # fmt: skip
    standing = connection.execute(_SQL["open_moves"], values).fetchall()
    if any(row["asked"] == move.asked() for row in standing):
        return None
    for row in standing:
        connection.execute(_SQL["move_overtaken"], {**values, "id": row["id"]})
    made = connection.execute(_SQL["move_add"], values).fetchone()
    assert made is not None
    return int(made["id"])


def ask_all(connection: Connection, moves: Iterable[Move], *, reason: str, at: At) -> list[tuple[int, Move]]:
    """Ask for every move of an import; returns those that did not stand already."""
    asked = ((ask(connection, move, reason=reason, by=None, at=at), move) for move in moves)
    return [(request, move) for request, move in asked if isinstance(request, int)]


def decide_move(
    connection: Connection, request_id: int, *, agreed: bool, community_id: str | None, by: int, at: At
) -> dict[str, Any] | None:
    """Agree or refuse, and move the home; None where the request is not there for this person.

    Raises
    ------
    StaleMoveError
        If the home became another one since: roll back.
    """
    row = decide(
        connection, request_id, Kind.HOUSEHOLD, agreed=agreed, community_id=community_id, by=by, at=at
    )
    if row is None or not agreed:
        return row
    values = {**row["asked"], "household_id": row["household_id"]}
    if connection.execute(_SQL[f"move_{What(row['asked']['what']).value}"], values).rowcount != 1:
        raise StaleMoveError(str(request_id))
    return row


def load_numbers(connection: Connection, *, community_id: str | None, at: At) -> list[dict[str, Any]]:
    """Return the changed telephone numbers on which no pressed key counts yet."""
    return connection.execute(
        _SQL["changed_numbers"], {"community_id": community_id, "now": at.now}
    ).fetchall()


def is_number_near(connection: Connection, change_id: int, *, community_id: str | None) -> str | None:
    """Return the home through which somebody is reached whose number changed; None where it is nobody's of here."""
    row = connection.execute(_SQL["number_home"], {"id": change_id, "community_id": community_id}).fetchone()
    return None if row is None else str(row["id"])


def refuse_number(connection: Connection, change_id: int, *, at: At) -> bool:
    """Ring the number before again: she says she never changed it. False where no change waits there for the reader."""
    row = connection.execute(_SQL["refuse_number"], {"id": change_id, "now": at.now}).fetchone()
    return row is not None and row["person"] is not None
