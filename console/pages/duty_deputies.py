"""Acting for: whoever is away names on the duty page who stands in for her, and is back before; a row leaves.

The director names deputies of others on the roster's page (console/pages/duty_rosters.py).
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from alerts.duty.roster import Deputy
from alerts.duty.store import RosterRefusedError, RosterWordsError, add_deputy, end_own_deputy
from console.duty.forms import parse_span
from console.pages.duty import Guard, Number, RowId, Text, load_for, make_change, own_community, show
from console.seat import CheckedForm, Seat, not_here
from console.views.parts import Form as FormView
from kaimen.database import Connection

router = APIRouter()


@router.post("/duty/deputy", dependencies=[CheckedForm])
def name_deputy(
    seat: Guard, deputy: Number, deputy_from: Text = "", deputy_to: Text = "", deputy_reason: Text = ""
) -> Response:
    """Let a colleague of one's own position stand in for oneself from and to an instant."""
    community_id = own_community(seat)
    typed = {"deputy_from": deputy_from, "deputy_to": deputy_to, "deputy_reason": deputy_reason}
    try:
        with seat.transaction() as connection:
            span = parse_span(deputy_from, deputy_to, load_for(connection, community_id).zone)
            if span is None:
                form = FormView(typed, {"deputy_from": "not_a_time"})
                return show(connection, seat, community_id, form=form, status=422)
            wanted = Deputy(*span, seat.viewer.user_id, deputy)
            change = make_change(connection, seat, community_id)
            made = add_deputy(change, wanted, reason=deputy_reason.strip()[:200])
            _audit(connection, seat, "duty_deputy_made", made)
    except RosterWordsError as error:
        with seat.transaction() as connection:
            form = FormView(typed, {"deputy_from": f"duty.{error}"})
            return show(connection, seat, community_id, form=form, status=422)
    except RosterRefusedError as error:
        with seat.transaction() as connection:
            return show(
                connection, seat, community_id, form=FormView(typed), refusal=error.gaps[0], status=409
            )
    return seat.go("/duty", "notice.duty_saved")


@router.post("/duty/deputy/{deputy_id}/end", dependencies=[CheckedForm])
def back(seat: Guard, deputy_id: RowId) -> Response:
    """Be back before the deputy's time is over."""
    community_id = own_community(seat)
    try:
        with seat.transaction() as connection:
            change = make_change(connection, seat, community_id)
            if not end_own_deputy(change, deputy_id, user_id=seat.viewer.user_id):
                raise not_here()
            _audit(connection, seat, "duty_deputy_ended", deputy_id)
    except RosterRefusedError as error:
        with seat.transaction() as connection:
            return show(connection, seat, community_id, refusal=error.gaps[0], status=409)
    return seat.go("/duty", "notice.duty_saved")


def _audit(connection: Connection, seat: Seat, action: str, object_id: int) -> None:
    seat.audit(connection, action, purpose="duty", object_kind="duty", object_id=str(object_id))
