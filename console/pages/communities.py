"""A new community with its first site: a form of the administrator's enters, rows of the books leave."""

from __future__ import annotations

from typing import Annotated

import psycopg
from fastapi import APIRouter, Depends, Form
from starlette.responses import Response

from console.books.checks import Ledger
from console.books.faults import ImportRefusedError
from console.books.forms import FormRefusedError, parse_rows, words_between
from console.books.taking import take_in
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views.communities import CommunityPage
from console.views.parts import Form as FormView

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ADMIN))]
Text = Annotated[str, Form(max_length=100)]
#: What the edge of an installation on one machine calls its place until somebody names it.
_FIRST_SITE = "site"
_PATH = "/admin/communities/new"


def _check_everywhere(seat: Seat) -> None:
    """Only whoever looks after the whole installation adds a community to it."""
    if seat.viewer.community_id is not None:
        raise not_here()


def _show(seat: Seat, form: FormView, status: int = 200) -> Response:
    with seat.transaction() as connection:
        return seat.answer(
            connection, "admin_community.html", CommunityPage(form), section=Section.ADMIN, status=status,
            path=_PATH, live=False,
        )  # fmt: skip


@router.get(_PATH)
def form(seat: Guard) -> Response:
    _check_everywhere(seat)
    return _show(seat, FormView({"id": _FIRST_SITE, "zone": "Asia/Shanghai"}))


@router.post(_PATH, dependencies=[CheckedForm])
def add(
    seat: Guard, name: Text = "", site_name: Text = "", id_: Annotated[str, Form(alias="id", max_length=64)] = "",
    zone: Text = "",
) -> Response:  # fmt: skip
    """Register a community and its site under one id; what stands in the books already is not changed by it."""
    _check_everywhere(seat)
    typed = {"name": name.strip(), "site_name": site_name.strip(), "id": id_.strip(), "zone": zone}
    try:
        _write(seat, typed)
    except FormRefusedError as refusal:
        # Both books have an id and a name; the page has one field for each.
        errors = {_FIELDS.get(field, field): word for field, word in refusal.errors.items()}
        return _show(seat, FormView(typed, errors), 422)
    return seat.go("/admin", "notice.community_registered")


_FIELDS = {"device_id": "id", "community_id": "id", "site_id": "id"}


def _write(seat: Seat, typed: dict[str, str]) -> None:
    wrong = {} if typed["name"] else {"name": "required"}
    entries = parse_rows(
        {
            "sites": [
                {
                    "id": typed["id"],
                    "community_id": typed["id"],
                    "name": typed["site_name"] or typed["name"] or "-",
                }
            ],
            "communities": [{name: typed[name] for name in ("id", "name", "zone")}],
        },
        wrong=wrong,
    )

    def look(ledger: Ledger) -> None:
        lines = [line for book in ("communities", "sites") for line, _ in ledger.of_files(book)]
        if not all(line.is_new for line in lines):
            raise FormRefusedError({"id": "community_taken"})

    try:
        with seat.rights_transaction() as connection:
            take_in(connection, entries, now=seat.now, reason="administration", look=look)
            seat.audit(
                connection, "community_registered", purpose="administration", object_kind="community",
                object_id=typed["id"], community=typed["id"],
            )  # fmt: skip
    except ImportRefusedError as refusal:
        raise FormRefusedError(words_between(refusal)) from refusal
    except psycopg.IntegrityError as error:
        raise FormRefusedError({"id": "community_taken"}) from error
