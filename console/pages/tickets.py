"""Tickets of look-ups: who waits for whose word, and the second person's; each act in one transaction with its trace."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from console.scope import Section
from console.seat import CheckedForm, RefusedError, Seat, entering
from console.tickets import store
from console.tickets.rules import (
    Answer,
    Review,
    TicketRefusal,
    TicketState,
    refuse_answer,
    refuse_review,
    stands,
)
from console.tickets.shown import view_ticket
from console.views import parts as view_parts
from console.views import tickets as tickets_views
from console.views.tickets import TicketView
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.TICKETS))]
TicketId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Word = Annotated[str, Form(max_length=20)]
Reason = Annotated[str, Form(max_length=2_000)]
_SQL = queries("console", "tickets.sql")


def _view(seat: Seat, ticket: store.Ticket) -> TicketView:
    return view_ticket(ticket, seat.viewer, seat.now, seat.services.wall_now())


@router.get("/police/tickets")
def tickets(seat: Guard) -> Response:
    """What waits for one's word first, then emergencies whose review is owed, then one's own."""
    me, is_officer = seat.viewer.user_id, seat.viewer.role is Role.POLICE_OFFICER
    with seat.transaction() as connection:
        waiting = store.load_tickets(connection, seat, not_by=me, waiting=True)
        reviews = [] if is_officer else store.load_tickets(connection, seat, not_by=me, unreviewed=True)
        page = tickets_views.TicketsPage(
            mine=tuple(_view(seat, item) for item in store.load_tickets(connection, seat, asked_by=me))
            if is_officer
            else (),
            waiting=tuple(_view(seat, item) for item in waiting),
            reviews=tuple(
                _view(seat, item) for item in sorted(reviews, key=lambda item: item.row["review_due_at"])
            ),
            overdue=store.count_overdue(connection, seat.viewer.community_id, seat.now),
            asks=is_officer,
            recent=()
            if is_officer
            else tuple(_view(seat, item) for item in store.load_tickets(connection, seat)),
        )
        return seat.answer(connection, "tickets.html", page, section=Section.TICKETS)


@router.get("/police/tickets/{ticket_id}")
def ticket_page(seat: Guard, ticket_id: TicketId) -> Response:
    with seat.transaction() as connection:
        return _answer(connection, seat, store.load_ticket(connection, seat, ticket_id))


def _answer(
    connection: Connection,
    seat: Seat,
    ticket: store.Ticket,
    *,
    form: view_parts.Form | None = None,
    status: int = 200,
) -> Response:
    viewer, facts = seat.viewer, ticket.facts
    mine, asked = viewer.user_id == facts.asked_by, facts.state is TicketState.ASKED
    supervises = viewer.role is Role.POLICE_SUPERVISOR
    readings = connection.execute(_SQL["ticket_readings"], {"id": ticket.id}).fetchall()
    page = tickets_views.TicketPage(
        ticket=_view(seat, ticket),
        readings=tuple(
            tickets_views.ReadingRow(row["at"], row["reader"], row["result"], row["row_count"])
            for row in readings
        ),
        form=form or view_parts.Form(),
        may_answer=asked and not mine,
        may_grant=asked and not mine and (supervises or not facts.limits),
        may_review=supervises and not mine and facts.review_owed,
        may_withdraw=asked and mine,
        may_read=mine and stands(facts, seat.services.wall_now()),
    )
    return seat.answer(
        connection, "ticket.html", page, section=Section.TICKETS, status=status,
        path=f"/police/tickets/{ticket.id}",
    )  # fmt: skip


def _refused(
    connection: Connection, seat: Seat, ticket: store.Ticket, refusal: TicketRefusal, values: dict[str, str]
) -> Response:
    if refusal in (TicketRefusal.OWN_TICKET, TicketRefusal.SUPERVISOR_NEEDED):
        raise RefusedError(403, refusal.value)
    name = {TicketRefusal.NO_REASON: "reason", TicketRefusal.NOT_AN_ANSWER: "answer"}.get(refusal, "")
    status = 409 if refusal is TicketRefusal.DECIDED_ALREADY else 422
    return _answer(
        connection, seat, ticket, form=view_parts.Form(values, {name: refusal.value}), status=status
    )


@router.post("/police/tickets/{ticket_id}/answer", dependencies=[CheckedForm])
def answer(
    seat: Guard, ticket_id: TicketId, answer: Word = "", reason: Reason = "", keep_delay: Word = ""
) -> Response:
    """Agree to a look-up or refuse it; beyond the limits only a supervisor's word opens it."""
    word = Answer(answer) if answer in {item.value for item in Answer} else None
    with seat.transaction() as connection:
        ticket = store.load_ticket(connection, seat, ticket_id, lock=True)
        refusal = refuse_answer(seat.viewer, ticket.facts, word, reason)
        if refusal is None and word is not None:
            done = store.decide(connection, seat, ticket, word, reason, keep_delay=keep_delay == "yes")
            refusal = None if done else TicketRefusal.DECIDED_ALREADY
        if refusal is not None:
            return _refused(connection, seat, ticket, refusal, {"answer": answer, "reason": reason})
    return seat.go("/police/tickets", f"notice.ticket_{'granted' if word is Answer.GRANT else 'refused'}")


@router.post("/police/tickets/{ticket_id}/review", dependencies=[CheckedForm])
def review(
    seat: Guard, ticket_id: TicketId, review: Word = "", reason: Reason = "", keep_delay: Word = ""
) -> Response:
    """Say afterwards whether an emergency was one."""
    word = Review(review) if review in {item.value for item in Review} else None
    with seat.transaction() as connection:
        ticket = store.load_ticket(connection, seat, ticket_id, lock=True)
        refusal = refuse_review(seat.viewer, ticket.facts, word, reason)
        if refusal is None and word is not None:
            done = store.review(connection, seat, ticket, word, reason, keep_delay=keep_delay == "yes")
            refusal = None if done else TicketRefusal.DECIDED_ALREADY
        if refusal is not None:
            return _refused(connection, seat, ticket, refusal, {"answer": review, "reason": reason})
    return seat.go("/police/tickets", "notice.ticket_reviewed")


@router.post("/police/tickets/{ticket_id}/withdraw", dependencies=[CheckedForm])
def withdraw(seat: Guard, ticket_id: TicketId) -> Response:
    """Take back what nobody has answered yet."""
    with seat.transaction() as connection:
        ticket = store.load_ticket(connection, seat, ticket_id, lock=True)
        if ticket.facts.asked_by != seat.viewer.user_id:
            raise RefusedError(403)
        if not store.withdraw(connection, seat, ticket):
            return _refused(connection, seat, ticket, TicketRefusal.DECIDED_ALREADY, {})
    return seat.go("/police/tickets", "notice.ticket_withdrawn")
