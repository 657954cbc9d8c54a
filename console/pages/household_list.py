"""The desk checks a list it filled in: files enter, what is wrong in them leaves; nothing is read, written or kept."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, File, Form, UploadFile
from starlette.responses import Response

from console.books.chinese import parts_of, place_of, title_of
from console.books.faults import Alike, Origin, put_together
from console.books.files import SAY_GB18030, SAY_UTF8, SAY_UTF8_OR_ASK
from console.books.report import said_of_others
from console.books.trial import Trial, try_list
from console.pages.household import Guard
from console.scope import Section
from console.seat import CheckedForm, Seat
from console.views.household_list import ListFault, ListPage
from console.views.parts import Form as FormView
from console.words import Words, load_words

router = APIRouter()
FAULTS_SHOWN_MAX = 200
_PLACES_SHOWN_MAX = 20
#: What the command's options mend is mended on the page itself: as a word of the catalogue.
_MENDS = {
    SAY_GB18030: "list_check.mend_old",
    SAY_UTF8: "list_check.mend_new",
    SAY_UTF8_OR_ASK: "list_check.mend_new",
}
#: As many as there are books.
_FILES_MAX = 12


@router.get("/households/new/check")
def check_form(seat: Guard) -> Response:
    return _show(seat, ListPage(FormView()))


@router.post("/households/new/check", dependencies=[CheckedForm])
def check_list(
    seat: Guard, files: Annotated[list[UploadFile], File(max_length=_FILES_MAX)] = [],  # noqa: B006 - never changed
    old: Annotated[str, Form(max_length=3)] = "",
) -> Response:  # fmt: skip
    """Say what is wrong in a list; ``old``: its CSV files are in the code page of old systems."""
    typed = {"old": old}
    # A browser sends an empty part where no file was chosen.
    sent = [(file.filename, file.file.read()) for file in files if file.filename]
    if not sent:
        return _show(seat, ListPage(FormView(typed, {"files": "no_list"})), status=422)
    with seat.transaction() as connection:
        zone = ZoneInfo(seat.reader(connection).zone)
    trial = try_list(sent, encoding="gb18030" if old == "yes" else "utf-8", zone=zone, now=seat.now)
    return _show(seat, _page(trial, FormView(typed), load_words(seat.language, zone.key, seat.now)))


def _show(seat: Seat, page: ListPage, *, status: int = 200) -> Response:
    with seat.transaction() as connection:
        return seat.answer(
            connection, "household_list.html", page, section=Section.HOUSEHOLDS, status=status,
            path="/households/new/check", live=False,
        )  # fmt: skip


def _page(trial: Trial, form: FormView, words: Words) -> ListPage:
    is_chinese = words.language == "zh"
    join = words.say("import.join").join

    def place(origin: Origin) -> str:
        return place_of(origin) if is_chinese else f"{origin.file} {origin.table}".strip()

    places = [
        f"{place(origin)}:{origin.row}" if not is_chinese else place(origin) for origin in trial.passed_over
    ]
    told = put_together(trial.faults)
    return ListPage(
        form, checked=True,
        rows=tuple((title_of(name) if is_chinese else name, count) for name, count in trial.rows.items()),
        faults=tuple(_fault(one, words) for one in told[:FAULTS_SHOWN_MAX]),
        fault_count=len(trial.faults), more_count=max(0, len(told) - FAULTS_SHOWN_MAX),
        passed_over=join(places[:_PLACES_SHOWN_MAX]),
        unread=tuple((place(origin), join(letters)) for origin, letters in trial.unread),
    )  # fmt: skip


def _fault(one: Alike, words: Words) -> ListFault:
    fault, others = one.fault, said_of_others(one, words)
    word = _MENDS.get(fault.mend, "")
    if words.language == "zh":
        where, what, mend = parts_of(fault)
        return ListFault(where + others, what, mend, word)
    column = fault.column if fault.column != "?" else ""
    where = " ".join(filter(None, (str(fault.origin), fault.cell, column)))
    return ListFault(where + others, fault.what, fault.mend, word)
