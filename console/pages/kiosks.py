"""Terminals in entrance halls, for the administrator: a place enters, an address shown once leaves; and it is revoked."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from console.identity import sessions as identity
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views.parts import Form as FormView
from console.views.screens import KioskRow, KiosksPage
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.KIOSKS))]
PLACE_LENGTH_MAX = 60
_SQL = queries("console", "residents.sql")


@router.get("/admin/kiosks")
def kiosks(seat: Guard) -> Response:
    with seat.transaction() as connection:
        return _answer(connection, seat)


def _answer(
    connection: Connection,
    seat: Seat,
    *,
    form: FormView | None = None,
    url: str | None = None,
    status: int = 200,
) -> Response:
    mine = {"community_id": seat.viewer.community_id}
    page = KiosksPage(
        rows=tuple(
            KioskRow(
                row["id"], row["place"], row["community"], row["made_at"], row["seen_at"], row["revoked_at"]
            )
            for row in connection.execute(_SQL["kiosks"], mine).fetchall()
        ),
        communities=tuple(
            (row["id"], row["name"]) for row in connection.execute(_SQL["kiosk_communities"], mine).fetchall()
        ),
        form=form or FormView(),
        shown_url=url,
    )
    return seat.answer(
        connection,
        "kiosks.html",
        page,
        section=Section.KIOSKS,
        status=status,
        path="/admin/kiosks",
        live=False,
    )


@router.post("/admin/kiosks", dependencies=[CheckedForm])
def add(
    seat: Guard,
    place: Annotated[str, Form(max_length=200)] = "",
    community: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Register a terminal; its address is on this answer and nowhere else."""
    name = " ".join(place.split())
    values = {"place": place, "community": community}
    with seat.transaction() as connection:
        mine = connection.execute(
            _SQL["kiosk_communities"], {"community_id": seat.viewer.community_id}
        ).fetchall()
        errors = {}
        if not name or len(name) > PLACE_LENGTH_MAX or not name.isprintable():
            errors["place"] = "place_missing"
        if community not in {row["id"] for row in mine}:
            errors["community"] = "required"
        if errors:
            return _answer(connection, seat, form=FormView(values, errors), status=422)
        token = secrets.token_urlsafe(32)
        row = connection.execute(
            _SQL["kiosk_add"],
            {
                "community_id": community, "place": name, "token_hash": identity.hash_token(token),
                "now": seat.services.wall_now(), "user_id": seat.viewer.user_id,
            },
        ).fetchone()  # fmt: skip
        assert row is not None
        url = f"{seat.services.settings.public_url.rstrip('/')}/kiosk/{token}"
        response = _answer(connection, seat, url=url)
        seat.audit(
            connection, "kiosk_added", purpose="administration", object_kind="kiosk", object_id=str(row["id"])
        )
        return response


@router.post("/admin/kiosks/{kiosk_id}/revoke", dependencies=[CheckedForm])
def revoke(seat: Guard, kiosk_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    with seat.transaction() as connection:
        values = {"id": kiosk_id, "community_id": seat.viewer.community_id, "now": seat.services.wall_now()}
        if connection.execute(_SQL["kiosk_revoke"], values).fetchone() is None:
            raise not_here()
        seat.audit(
            connection,
            "kiosk_revoked",
            purpose="administration",
            object_kind="kiosk",
            object_id=str(kiosk_id),
        )
    return seat.go("/admin/kiosks", "notice.kiosk_revoked")
