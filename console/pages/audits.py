"""The auditor's page: looks drawn at random to be judged, and what stands out; her word leaves with its own trace."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from console.audit import signals
from console.audit.chain import CHAIN_CHECKED_MAX, verify
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.tickets import store
from console.tickets.rules import Review, TicketRefusal, is_reason
from console.tickets.shown import view_ticket
from console.views import parts as view_parts
from console.views import tickets as tickets_views
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.AUDIT))]
EntryId = Annotated[int, Path(ge=1, le=2**63 - 1)]
_SQL = queries("console", "tickets.sql")
#: What counts as looking at somebody: drawn, compared with peers, counted per home.
LOOKS = ("look_up", "look_up_exported", "name_revealed", "presence_revealed", "why_read")
DRAWN_SHOWN = 100
OUTSIDE_SHOWN = 20


@router.get("/audit")
def audit_page(seat: Guard) -> Response:
    chain = _walk_chain(seat)
    with seat.transaction() as connection:
        return _answer(connection, seat, chain=chain)


def _walk_chain(seat: Seat) -> tickets_views.ChainStanding:
    """Walk the chain for the auditor: she sees entries of her own community, and whether none anywhere is missing."""
    with seat.services.transaction() as connection:
        summary = connection.execute(queries("console")["audit_summary"]).fetchone()
        assert summary is not None
        if summary["count"] > CHAIN_CHECKED_MAX:
            return tickets_views.ChainStanding(summary["count"], None, None, "", seat.now)
        verdict = verify(connection, key=seat.services.audit_key)
    head = f"{verdict.head.entry_id} · {verdict.head.hash[:16]}" if verdict.head else ""
    return tickets_views.ChainStanding(summary["count"], verdict.sound, verdict.broken_id, head, seat.now)


def _answer(
    connection: Connection,
    seat: Seat,
    *,
    form: view_parts.Form | None = None,
    form_id: int = 0,
    chain: tickets_views.ChainStanding | None = None,
    status: int = 200,
) -> Response:
    community, wall = seat.viewer.community_id, seat.services.wall_now()
    outside = connection.execute(_SQL["reads_outside_chain"], {"limit": OUTSIDE_SHOWN}).fetchall()
    owed = store.load_tickets(connection, seat, unreviewed=True)
    page = tickets_views.AuditPage(
        looks=tuple(_drawn(row) for row in _load_drawn(connection, seat)),
        share=seat.services.settings.console_audited_share,
        above=_load_above(connection, seat),
        homes=_load_homes(connection, seat),
        quick=_load_quick(connection, seat),
        outside=tuple(
            tickets_views.OutsideRow(
                row["at"], f"L-{row['ticket_id']}" if row["ticket_id"] else "", row["database_user"], row["row_count"]
            )
            for row in outside
        ),
        reviews=tuple(
            view for ticket in owed if (view := view_ticket(ticket, seat.viewer, seat.now, wall)).review_overdue
        ),
        overdue=store.count_overdue(connection, community, seat.now),
        form=form or view_parts.Form(),
        form_id=form_id,
        chain=chain,
    )  # fmt: skip
    return seat.answer(connection, "audit.html", page, section=Section.AUDIT, status=status, path="/audit")


def _load_drawn(connection: Connection, seat: Seat, entry_id: int | None = None) -> list[dict[str, Any]]:
    return connection.execute(
        _SQL["audit_drawn"],
        {
            "actions": [*LOOKS, "ticket_opened"],
            "community_id": seat.viewer.community_id, "share": seat.services.settings.console_audited_share,
            "id": entry_id, "limit": DRAWN_SHOWN,
        },
    ).fetchall()  # fmt: skip


def _drawn(row: dict[str, Any]) -> tickets_views.DrawnLook:
    detail = row["detail"]
    return tickets_views.DrawnLook(
        id=row["id"],
        at=row["at"],
        who=row["who"],
        role=row["role"],
        action=row["action"],
        purpose=row["purpose"],
        subject=row["household_label"] or str(detail.get("place", "")),
        ticket=str(detail.get("ticket", "")),
        document_number=str(detail.get("case_number", "")),
        row_count=detail.get("rows"),
        noted="noted" in detail,
        mark=row["mark"] or "",
        reason=row["reason"] or "",
        marker=row["marker"] or "",
        marked_at=row["marked_at"],
    )


def _since(seat: Seat) -> dict[str, Any]:
    return {"community_id": seat.viewer.community_id, "since": seat.now - signals.SIGNALS_WINDOW}


def _load_above(connection: Connection, seat: Seat) -> tuple[tickets_views.PeerRow, ...]:
    rows = connection.execute(
        _SQL["audit_looks_by_person"], {**_since(seat), "actions": list(LOOKS)}
    ).fetchall()
    looks = [signals.Looks(row["actor"], row["who"], row["role"], row["looks"]) for row in rows]
    known = {item.actor for item in looks}
    peers = connection.execute(_SQL["audit_peers"], {"community_id": seat.viewer.community_id}).fetchall()
    looks += [
        signals.Looks(row["actor"], row["who"], row["role"], 0) for row in peers if row["actor"] not in known
    ]
    return tuple(
        tickets_views.PeerRow(item.looks.who, item.looks.role, item.looks.count, item.peers)
        for item in signals.far_above_peers(looks)
    )


def _load_homes(connection: Connection, seat: Seat) -> tuple[tickets_views.HomeRow, ...]:
    rows = connection.execute(
        _SQL["audit_watched_homes"],
        {**_since(seat), "actions": list(LOOKS), "people_min": signals.PEOPLE_MIN},
    ).fetchall()
    return tuple(tickets_views.HomeRow(row["label"], row["people"], row["looks"]) for row in rows)


def _load_quick(connection: Connection, seat: Seat) -> tuple[tickets_views.QuickRow, ...]:
    rows = connection.execute(_SQL["audit_quick_closings"], _since(seat)).fetchall()
    closings = (
        signals.Closing(
            row["id"],
            row["number"],
            row["at"],
            row["who"],
            row["role"],
            row["since_opened_s"],
            row["since_seen_s"],
        )
        for row in rows
    )
    return tuple(
        tickets_views.QuickRow(item.number, item.at, item.who, item.role, int(item.within_s))
        for item in signals.quick_closings(closings)
    )


@router.post("/audit/{entry_id}/mark", dependencies=[CheckedForm])
def mark(
    seat: Guard,
    entry_id: EntryId,
    mark: Annotated[str, Form(max_length=20)] = "",
    reason: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Say once and for all whether a look was justified, and why."""
    with seat.transaction() as connection:
        found = _load_drawn(connection, seat, entry_id)
        if not found:
            raise not_here()
        errors = {}
        if mark not in {item.value for item in Review}:
            errors["mark"] = TicketRefusal.NOT_AN_ANSWER.value
        if not is_reason(reason):
            errors["reason"] = TicketRefusal.NO_REASON.value
        if errors:
            form = view_parts.Form({"mark": mark, "reason": reason}, errors)
            return _answer(connection, seat, form=form, form_id=entry_id, status=422)
        written = connection.execute(
            _SQL["audit_mark"],
            {
                "id": entry_id, "mark": mark, "reason": reason.strip(), "user_id": seat.viewer.user_id,
                "now": seat.now,
            },
        ).fetchone()  # fmt: skip
        if written is None:
            form = view_parts.Form({}, {"": TicketRefusal.DECIDED_ALREADY.value})
            return _answer(connection, seat, form=form, form_id=entry_id, status=409)
        detail = found[0]["detail"]
        about = {key: detail[key] for key in ("ticket_id", "ticket") if key in detail}
        seat.audit(
            connection, "look_marked", purpose="audit", object_kind="audit_entry", object_id=str(entry_id),
            mark=mark, **about,
        )  # fmt: skip
    return seat.go("/audit", "notice.look_marked")
