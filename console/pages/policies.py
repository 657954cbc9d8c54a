"""Policies: thresholds as they hold now; new ones enter as a request, and hold once a second administrator agrees."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.responses import Response

from console import agreements
from console.agreements import Kind
from console.pages.device_tests import AgreementId, at_of
from console.scope import Section
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here
from console.views import parts as view_parts
from console.views.agreements import PoliciesPage, PolicyRow, Waiting
from kaimen.database import Connection

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ADMIN))]
Word = Annotated[str, Form(max_length=200)]
_FIELDS = {"reason_missing": "reason", "policy_form": "policy"}


@router.get("/admin/policies")
def policies(seat: Guard) -> Response:
    with seat.transaction() as connection:
        return _show(connection, seat, view_parts.Form({"policy": agreements.MANDATED}))


def _may_ask(seat: Seat) -> bool:
    """A policy holds in every community: who looks after one asks nothing of the others."""
    return seat.viewer.community_id is None


def _show(connection: Connection, seat: Seat, form: view_parts.Form, *, status: int = 200) -> Response:
    at = at_of(seat)
    waiting = agreements.load_open(connection, Kind.POLICY, community_id=None, at=at)
    page = PoliciesPage(
        tuple(
            PolicyRow(
                row["id"], row["version"], tuple(s / 3600 for s in row["thresholds_s"]), row["valid_from"],
                row["homes"],
            )
            for row in agreements.load_policies(connection, now=at.now)
        ),
        tuple(
            Waiting(
                row["id"], f"/admin/policies/{row['id']}", row["reason"], row["asker"], row["asked_at"],
                row["expires_at"], row["asked_by"] == seat.viewer.user_id, row["policy_id"],
                hours=tuple(row["asked"]["hours"]),
            )
            for row in waiting
        ),
        at.wall_now,
        _may_ask(seat),
        form,
    )  # fmt: skip
    return seat.answer(
        connection, "policies.html", page, section=Section.ADMIN, status=status, path="/admin/policies",
        live=False,
    )  # fmt: skip


def _note(connection: Connection, seat: Seat, action: str, policy: str, **detail: object) -> None:
    seat.audit(connection, action, purpose="administration", object_kind="policy", object_id=policy, **detail)


@router.post("/admin/policies", dependencies=[CheckedForm])
def ask(
    seat: Guard, policy: Word = "", first: Word = "", second: Word = "", third: Word = "", reason: Word = ""
) -> Response:
    """Ask for new thresholds, in hours; cases that are open keep those they were opened with."""
    if not _may_ask(seat):
        raise RefusedError(403)
    policy, reason = policy.strip(), reason.strip()
    hours = [int(word) if word.isascii() and word.isdecimal() else 0 for word in (first, second, third)]
    with seat.transaction() as connection:
        asked = agreements.ask_policy(
            connection, policy_id=policy, hours=hours, reason=reason, by=seat.viewer.user_id, at=at_of(seat)
        )
        if isinstance(asked, agreements.AskRefusal):
            typed = {"policy": policy, "first": first, "second": second, "third": third, "reason": reason}
            wrong = {_FIELDS.get(asked.value, "first"): asked.value}
            return _show(connection, seat, view_parts.Form(typed, wrong), status=422)
        _note(connection, seat, "policy_asked", policy, request=asked, hours=hours)
    return seat.go("/admin/policies", "notice.agreement_waits")


def _decide(seat: Seat, agreement_id: int, *, agreed: bool) -> Response:
    if not _may_ask(seat):
        raise RefusedError(403)
    word = "agreed" if agreed else "refused"
    with seat.transaction() as connection:
        row = agreements.decide(
            connection, agreement_id, Kind.POLICY, agreed=agreed, community_id=None, by=seat.viewer.user_id,
            at=at_of(seat),
        )  # fmt: skip
        if row is None:
            raise not_here()
        _note(
            connection, seat, f"policy_{word}", row["policy_id"], request=agreement_id, asked_by=row["asked_by"],
            hours=row["asked"]["hours"],
        )  # fmt: skip
    return seat.go("/admin/policies", f"notice.request_{word}")


@router.post("/admin/policies/{proposal_id}/agree", dependencies=[CheckedForm])
def agree(seat: Guard, proposal_id: AgreementId) -> Response:
    return _decide(seat, proposal_id, agreed=True)


@router.post("/admin/policies/{proposal_id}/refuse", dependencies=[CheckedForm])
def refuse(seat: Guard, proposal_id: AgreementId) -> Response:
    return _decide(seat, proposal_id, agreed=False)
