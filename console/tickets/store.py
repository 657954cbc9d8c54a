"""Tickets in the database: what was asked, decided and read enters, facts and rows leave, each act with its trace.

Rows of the log under a ticket come from the database's own ``look_up_events``, which writes down every try.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from console.loaders.log import LogPage, Place, cut_page, position_values
from console.scope import LookUp
from console.seat import Seat, not_here
from console.tickets.rules import (
    EMERGENCIES_NOTED_FROM,
    REVIEW_WITHIN,
    Answer,
    Asking,
    Review,
    TicketFacts,
    TicketState,
    limits_of,
    may_see_ticket,
)
from kaimen.database import Connection, queries

_SQL = queries("console", "tickets.sql")
PAGE = 100
EXPORT_ROWS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Ticket:
    """A stored ticket: its row, with what decides about it."""

    row: dict[str, Any]
    facts: TicketFacts

    @property
    def id(self) -> int:
        return int(self.row["id"])

    @property
    def number(self) -> str:
        return f"L-{self.id}"

    @property
    def place(self) -> str:
        """Where, without a name: it goes into the audit chain too."""
        row = self.row
        words = [row["door"], *row["buildings"], row["unit"], "*" if row["subject"] else ""]
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Officer:
    """What decides whether somebody may ask today."""

    trained_until: Any
    asked: int
    emergencies: int


def facts_of(row: dict[str, Any]) -> TicketFacts:
    return TicketFacts(
        community_id=row["community_id"], asked_by=row["asked_by"], state=TicketState(row["state"]),
        emergency=row["emergency"], limits=tuple(row["limits"]), granted_wall=row["granted_wall"],
        review_due_at=row["review_due_at"], reviewed_at=row["reviewed_at"],
    )  # fmt: skip


def load_officer(connection: Connection, seat: Seat, zone: str) -> Officer:
    """Lock the officer's row and say what she may still ask today; one asking at a time counts."""
    user = {"user_id": seat.viewer.user_id}
    connection.execute(_SQL["ticket_lock_officer"], user)
    begin = seat.now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    row = connection.execute(_SQL["ticket_officer"], {**user, "since": begin}).fetchone()
    assert row is not None
    return Officer(row["trained_until"], row["asked"], row["emergencies"])


def count_buildings(connection: Connection, seat: Seat, door: str, buildings: tuple[str, ...]) -> int:
    """Say how many buildings a place has; a gate that belongs to no home has all of them, said as two."""
    if buildings:
        return len(buildings)
    if not door:
        return 0
    row = connection.execute(
        _SQL["ticket_door"], {"door": door, "community_id": seat.viewer.community_id}
    ).fetchone()
    return (row["buildings"] if row else 0) or 2


@dataclass(frozen=True, slots=True)
class AskedPlace:
    door: str = ""
    buildings: tuple[str, ...] = ()
    unit: str = ""


def add_ticket(
    connection: Connection, seat: Seat, asking: Asking, place: AskedPlace, *, emergencies_today: int
) -> Ticket:
    """Store what was asked, with its entry in the audit chain; an emergency is granted at once."""
    look_up: LookUp = asking.look_up
    assert look_up.purpose is not None and look_up.basis is not None
    urgent = asking.is_emergency
    row = connection.execute(
        _SQL["ticket_add"],
        {
            "community_id": seat.viewer.community_id, "asked_by": seat.viewer.user_id, "asked_at": seat.now,
            "purpose": look_up.purpose.value, "document_number": look_up.case_number.strip(),
            "basis": look_up.basis.value, "door": place.door, "buildings": list(place.buildings),
            "unit": place.unit, "subject": asking.subject, "from_at": look_up.from_at, "to_at": look_up.to_at,
            "limits": [limit.value for limit in limits_of(asking)], "emergency": urgent,
            "reason": asking.reason.strip(), "state": "granted" if urgent else "asked",
            "granted_wall": seat.services.wall_now() if urgent else None,
            "review_due_at": seat.now + REVIEW_WITHIN if urgent else None, "delayed_until": asking.delayed_until,
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    ticket = read_ticket(connection, int(row["id"]))
    assert ticket is not None
    noted = {"noted": "emergencies"} if urgent and emergencies_today + 1 >= EMERGENCIES_NOTED_FROM else {}
    trace(connection, seat, "ticket_opened", ticket, emergency=urgent, **noted)
    return ticket


def read_ticket(connection: Connection, ticket_id: int) -> Ticket | None:
    row = connection.execute(_SQL["ticket"], {"id": ticket_id}).fetchone()
    return None if row is None else Ticket(row, facts_of(row))


def load_ticket(connection: Connection, seat: Seat, ticket_id: int, *, lock: bool = False) -> Ticket:
    """Return a ticket of this person's police; one that is not hers to see is not there."""
    if lock:
        connection.execute(_SQL["ticket_lock"], {"id": ticket_id})
    ticket = read_ticket(connection, ticket_id)
    if ticket is None or not may_see_ticket(seat.viewer, ticket.facts):
        raise not_here()
    return ticket


def load_tickets(
    connection: Connection,
    seat: Seat,
    *,
    asked_by: int | None = None,
    not_by: int | None = None,
    waiting: bool = False,
    unreviewed: bool = False,
    limit: int = 50,
) -> list[Ticket]:
    rows = connection.execute(
        _SQL["tickets"],
        {
            "community_id": seat.viewer.community_id, "asked_by": asked_by, "not_by": not_by, "waiting": waiting,
            "unreviewed": unreviewed, "limit": limit,
        },
    ).fetchall()  # fmt: skip
    return [Ticket(row, facts_of(row)) for row in rows]


def count_overdue(connection: Connection, community_id: str | None, now: datetime) -> int:
    row = connection.execute(_SQL["tickets_overdue"], {"community_id": community_id, "now": now}).fetchone()
    return int(row["count"]) if row else 0


def decide(
    connection: Connection, seat: Seat, ticket: Ticket, answer: Answer, reason: str, *, keep_delay: bool
) -> bool:
    """Store a second person's word; False where another was quicker."""
    granted = answer is Answer.GRANT
    done = connection.execute(
        _SQL["ticket_decide"],
        {
            "id": ticket.id, "state": "granted" if granted else "refused", "user_id": seat.viewer.user_id,
            "granted_wall": seat.services.wall_now() if granted else None, "role": seat.viewer.role.value,
            "now": seat.now, "reason": reason.strip(), "keep_delay": granted and keep_delay,
        },
    ).fetchone()  # fmt: skip
    if done is not None:
        trace(connection, seat, "ticket_granted" if granted else "ticket_refused", ticket)
    return done is not None


def withdraw(connection: Connection, seat: Seat, ticket: Ticket) -> bool:
    done = connection.execute(
        _SQL["ticket_withdraw"], {"id": ticket.id, "user_id": seat.viewer.user_id}
    ).fetchone()
    if done is not None:
        trace(connection, seat, "ticket_withdrawn", ticket)
    return done is not None


def review(
    connection: Connection, seat: Seat, ticket: Ticket, word: Review, reason: str, *, keep_delay: bool
) -> bool:
    """Store what a supervisor says of an emergency afterwards; a delay stays only where it was justified."""
    done = connection.execute(
        _SQL["ticket_review"],
        {
            "id": ticket.id, "user_id": seat.viewer.user_id, "now": seat.now, "review": word.value,
            "reason": reason.strip(), "keep_delay": keep_delay and word is Review.JUSTIFIED,
        },
    ).fetchone()  # fmt: skip
    if done is not None:
        trace(connection, seat, "ticket_reviewed", ticket, review=word.value)
    return done is not None


def trace(connection: Connection, seat: Seat, action: str, ticket: Ticket, **detail: Any) -> int:
    """Write an act on a ticket to the audit chain; the name asked for is in the ticket, not here."""
    row = ticket.row
    return seat.audit(
        connection, action, purpose=row["purpose"], object_kind="access_log", object_id=ticket.number,
        ticket_id=ticket.id, ticket=ticket.number, case_number=row["document_number"], basis=row["basis"],
        place=ticket.place, **{"from": row["from_at"].isoformat(), "to": row["to_at"].isoformat()}, **detail,
    )  # fmt: skip


# --- Reading ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What one try to read gave: ``result`` is ``read`` or why not, ``id`` its line in the database's own list."""

    id: int
    result: str
    page: LogPage


def read_rows(
    connection: Connection, seat: Seat, ticket_id: int, place: Place | None, *, limit: int = PAGE
) -> Reading:
    """Ask the database for rows under a ticket; whatever it answers, the try is written down there.

    The caller writes the reading to the audit chain in the same transaction.
    """
    rows = connection.execute(
        _SQL["look_up_events"],
        {
            "ticket_id": ticket_id, "reader_id": seat.viewer.user_id, "now": seat.now,
            "wall": seat.services.wall_now(), "limit": limit + 1, **position_values(place),
        },
    ).fetchall()  # fmt: skip
    read = connection.execute(_SQL["look_up_read"]).fetchone()
    assert read is not None
    page = cut_page(connection, rows, place, with_holders=True, size=limit)
    return Reading(int(read["id"]), read["result"], page)


def read_and_trace(
    connection: Connection, seat: Seat, ticket: Ticket, place: Place | None, *, action: str = "look_up",
    limit: int = PAGE, **detail: Any,
) -> Reading:  # fmt: skip
    """Read rows under a ticket and take the reading up into the audit chain, refused ones too."""
    reading = read_rows(connection, seat, ticket.id, place, limit=limit)
    trace(
        connection, seat, action if reading.result == "read" else "look_up_refused", ticket, read_id=reading.id,
        rows=len(reading.page.rows), households=sorted(reading.page.households), result=reading.result, **detail,
    )  # fmt: skip
    return reading
