"""Stored tickets as the pages show them: a ticket and its reader enter, a view-model leaves; pure."""

from __future__ import annotations

from datetime import datetime

from console.scope import Viewer, mask_name
from console.tickets.rules import TicketState, review_overdue, stands
from console.tickets.store import Ticket
from console.views.tickets import TicketView
from kaimen.vocabulary import Role


def view_ticket(ticket: Ticket, viewer: Viewer, now: datetime, wall: datetime) -> TicketView:
    """Return a ticket for a reader; the name asked for is whole only for who asked and who decides."""
    row, facts = ticket.row, ticket.facts
    whole = viewer.user_id == facts.asked_by or viewer.role is Role.POLICE_SUPERVISOR
    over = facts.state is TicketState.GRANTED and not stands(facts, wall)
    return TicketView(
        id=ticket.id,
        number=ticket.number,
        at=row["asked_at"],
        asker=row["asker"],
        state="over" if over else facts.state.value,
        purpose=row["purpose"],
        document_number=row["document_number"],
        basis=row["basis"],
        door=row.get("door_place") or row["door"],
        buildings=tuple(row["buildings"]),
        unit=row["unit"],
        subject=row["subject"] if whole or not row["subject"] else mask_name(row["subject"]),
        from_at=row["from_at"],
        to_at=row["to_at"],
        limits=tuple(row["limits"]),
        emergency=row["emergency"],
        reason=row["reason"],
        decider=row["decider"] or "",
        decided_at=row["decided_at"],
        decision_reason=row["decision_reason"],
        review_due_at=row["review_due_at"],
        review_overdue=review_overdue(facts, now),
        reviewer=row["reviewer"] or "",
        reviewed_at=row["reviewed_at"],
        review=row["review"] or "",
        review_reason=row["review_reason"],
        delayed_until=row["delayed_until"],
        readings=row.get("readings", 0),
    )
