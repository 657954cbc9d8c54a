"""Devices on test: what is asked and what runs; a device enters, a request that somebody else agrees to leaves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query
from starlette.responses import Response

from console import agreements
from console.agreements import At, Kind
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views import parts as view_parts
from console.views.agreements import DeviceTestsPage, RunningTest, Waiting
from kaimen.database import Connection

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.DEVICES))]
AgreementId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Word = Annotated[str, Form(max_length=200)]
_FIELDS = {
    "reason_missing": "reason",
    "test_hours": "hours",
    "no_such_device": "device",
    "test_taken": "device",
}


def at_of(seat: Seat) -> At:
    """Both instants of this turn."""
    return At(seat.now, seat.services.wall_now())


@router.get("/devices/tests")
def device_tests(seat: Guard, device: Annotated[str, Query(max_length=64)] = "") -> Response:
    with seat.transaction() as connection:
        return _show(connection, seat, view_parts.Form({"device": device}))


def _show(connection: Connection, seat: Seat, form: view_parts.Form, *, status: int = 200) -> Response:
    at, community_id = at_of(seat), seat.viewer.community_id
    waiting = agreements.load_open(connection, Kind.DEVICE_TEST, community_id=community_id, at=at)
    running = agreements.load_running(connection, community_id=community_id, at=at)
    page = DeviceTestsPage(
        tuple(
            Waiting(
                row["id"], f"/devices/tests/{row['id']}", row["reason"], row["asker"], row["asked_at"],
                row["expires_at"], row["asked_by"] == seat.viewer.user_id, row["device_id"], row["place"] or "",
                row["until_at"],
            )
            for row in waiting
        ),
        tuple(
            RunningTest(
                row["id"], f"/devices/tests/{row['id']}", row["device_id"], row["place"] or "", row["reason"],
                row["asker"], row["decider"], row["until_at"],
            )
            for row in running
        ),
        agreements.TEST_HOURS,
        at.wall_now,
        form,
    )  # fmt: skip
    return seat.answer(
        connection, "device_tests.html", page, section=Section.DEVICES, status=status, path="/devices/tests",
        live=False,
    )  # fmt: skip


@router.post("/devices/tests", dependencies=[CheckedForm])
def ask(seat: Guard, device: Word = "", hours: Word = "", reason: Word = "") -> Response:
    """Ask that a device be on test for some hours; nothing changes until a second person agrees."""
    device, reason = device.strip(), reason.strip()
    with seat.transaction() as connection:
        asked = agreements.ask_test(
            connection, device_id=device, hours=int(hours) if hours in ("1", "2", "4", "8") else 0, reason=reason,
            community_id=seat.viewer.community_id, by=seat.viewer.user_id, at=at_of(seat),
        )  # fmt: skip
        if isinstance(asked, agreements.AskRefusal):
            typed = {"device": device, "hours": hours, "reason": reason}
            return _show(
                connection, seat, view_parts.Form(typed, {_FIELDS[asked.value]: asked.value}), status=422
            )
        _note(connection, seat, "device_test_asked", device, request=asked, hours=hours)
    return seat.go("/devices/tests", "notice.agreement_waits")


def _note(connection: Connection, seat: Seat, action: str, device: str, **detail: object) -> None:
    seat.audit(connection, action, purpose="administration", object_kind="device", object_id=device, **detail)


def _decide(seat: Seat, agreement_id: int, *, agreed: bool) -> Response:
    word = "agreed" if agreed else "refused"
    with seat.transaction() as connection:
        row = agreements.decide(
            connection, agreement_id, Kind.DEVICE_TEST, agreed=agreed, community_id=seat.viewer.community_id,
            by=seat.viewer.user_id, at=at_of(seat),
        )  # fmt: skip
        if row is None:
            raise not_here()
        _note(
            connection, seat, f"device_test_{word}", row["device_id"], request=agreement_id,
            asked_by=row["asked_by"], until=row["until_at"].isoformat(),
        )  # fmt: skip
    return seat.go("/devices/tests", f"notice.request_{word}")


@router.post("/devices/tests/{agreement_id}/agree", dependencies=[CheckedForm])
def agree(seat: Guard, agreement_id: AgreementId) -> Response:
    return _decide(seat, agreement_id, agreed=True)


@router.post("/devices/tests/{agreement_id}/refuse", dependencies=[CheckedForm])
def refuse(seat: Guard, agreement_id: AgreementId) -> Response:
    """Refuse, or take back what one asked oneself."""
    return _decide(seat, agreement_id, agreed=False)


@router.post("/devices/tests/{agreement_id}/end", dependencies=[CheckedForm])
def end(seat: Guard, agreement_id: AgreementId) -> Response:
    with seat.transaction() as connection:
        device = agreements.end_test(
            connection, agreement_id, community_id=seat.viewer.community_id, at=at_of(seat)
        )
        if device is None:
            raise not_here()
        _note(connection, seat, "device_test_ended", device, request=agreement_id)
    return seat.go("/devices/tests", "notice.test_ended")
