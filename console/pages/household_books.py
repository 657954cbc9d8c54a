"""The books of one home: who lives there, whom to ask, which doors are its own; forms enter, rows with their trace leave.

A form says what a row of an import may say and is checked like it (console/books). What the desk enters itself is
written by a login that reaches every row, so everything it touches is looked at first: it is of this home, or new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from console.books.checks import Ledger
from console.books.faults import ImportRefusedError
from console.books.forms import (
    FormRefusedError,
    Rows,
    door_rows,
    ended,
    mark_of,
    new_id,
    parse_rows,
    words_between,
)
from console.books.rows import CLEAR
from console.books.store import forget_contact
from console.books.taking import take_in
from console.books.template import make_template
from console.loaders.cases import load_case
from console.loaders.household_books import (
    SQL,
    find_labelled,
    is_closed_by_death,
    load_books,
    load_sites,
    load_still_there,
)
from console.pages.household import Guard, HouseholdId, load_one
from console.scope import Section
from console.seat import CheckedForm, Seat, not_here
from console.views.household_books import NewHomePage
from console.views.parts import Form as FormView
from console.words import load_words
from kaimen.database import Connection, queries
from kaimen.vocabulary import Outcome

router = APIRouter()
Text = Annotated[str, Form(max_length=400)]
PathId = Annotated[str, Path(max_length=100)]
_CHANGED = "changed_meanwhile"
_DEVICE_ID = re.compile(r"[a-z0-9-]{1,64}")
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HOME_FIELDS = ("label", "building", "unit", "floor", "room", "grid", "tenure")
ROLES = ("family", "neighbour_watcher", "stairwell_liaison", "safety_guardian", "grid_worker")


# --- A home that is new ---------------------------------------------------------------------------------------------


@router.get("/households/new")
def new_home(seat: Guard) -> Response:
    with seat.transaction() as connection:
        return _show_new(connection, seat, new_id("h"), FormView())


@router.get("/households/new/books.xlsx")
def books_template(seat: Guard) -> Response:
    """The empty workbook for many homes at once; it holds nothing of anybody."""
    words = load_words(seat.language, "Asia/Shanghai", seat.now)
    headers = {"Content-Disposition": 'attachment; filename="kaimen-books.xlsx"'}
    return Response(make_template(words), media_type=WORKBOOK, headers=headers)


def _show_new(
    connection: Connection,
    seat: Seat,
    home_id: str,
    form: FormView,
    *,
    same_label: str = "",
    status: int = 200,
) -> Response:
    page = NewHomePage(home_id, load_sites(connection, seat), form, same_label)
    return seat.answer(
        connection, "household_new.html", page, section=Section.HOUSEHOLDS, status=status,
        path="/households/new", live=False,
    )  # fmt: skip


@router.post("/households/new", dependencies=[CheckedForm])
def add_home(
    seat: Guard, id_: Annotated[str, Form(alias="id", max_length=64)] = "", site: Text = "", label: Text = "",
    building: Text = "", unit: Text = "", floor: Text = "", room: Text = "", grid: Text = "", tenure: Text = "",
    name: Text = "", birth_year: Text = "", phone: Text = "", hearing: Text = "", language: Text = "",
) -> Response:  # fmt: skip
    """Register a home and who lives in it. Nobody is watched by it: that needs a door, and her agreement."""
    home = {"building": building, "unit": unit, "floor": floor, "room": room, "grid": grid, "tenure": tenure}
    said = {key: text.strip() for key, text in home.items()}
    said["label"] = label.strip() or "-".join(said[key] for key in ("building", "unit", "room"))
    person = _person(name=name, birth_year=birth_year, phone=phone, hearing=hearing, language=language)
    typed = {**said, "label": label.strip(), "site": site, **person, "hearing": hearing}
    with seat.transaction() as connection:
        sites = {choice.value for choice in load_sites(connection, seat)}
        chosen = site or (min(sites) if len(sites) == 1 else "")
        known = connection.execute(SQL["home"], {"household_id": id_}).fetchone()
    if known is not None:
        return seat.go(f"/households/{id_}/books")  # the same form once more
    rows: Rows = {
        "households": [{"id": id_, "site_id": chosen, **said}],
        "persons": [{"id": f"p-{id_}", "household_id": id_, "relation": "resident", **person}],
    }
    wrong = {
        name: word
        for name, word, is_right in (
            ("", "not_valid", id_.startswith("h-")), ("site", "required", chosen in sites),
            ("name", "required", person["name"]), *((key, "required", said[key]) for key in ("building", "unit", "room")),
        )
        if not is_right
    }  # fmt: skip
    try:
        _write(seat, id_, rows, action="household_registered", sites=sites, wrong=wrong)
    except FormRefusedError as refusal:
        with seat.transaction() as connection:
            form = FormView(typed, refusal.errors)
            known_as = find_labelled(connection, form, site_id=chosen, label=said["label"])
            return _show_new(connection, seat, id_ or new_id("h"), form, same_label=known_as, status=422)
    return seat.go(f"/households/{id_}/books", "notice.household_registered")


def _person(**typed: str) -> dict[str, str]:
    """Return the cells of somebody as the import reads them."""
    cells = {name: text.strip() for name, text in typed.items()}
    hearing = cells.pop("hearing", "")
    return cells | ({"hard_of_hearing": "true" if hearing == "yes" else "false"} if hearing else {})


# --- Writing --------------------------------------------------------------------------------------------------------


def _write(
    seat: Seat, household_id: str, rows: Rows, *, action: str, sites: set[str],
    was: tuple[str, tuple[Any, ...], str] | None = None, people: frozenset[str] = frozenset(),
    wrong: Mapping[str, str] | None = None, check: Callable[[Ledger], None] = lambda _: None, **detail: Any,
) -> None:  # fmt: skip
    """Write rows of one home with their trace.

    ``sites`` are those of this desk's community, ``people`` persons it may change beside new ones. ``was`` is the
    book, key and mark of the row a form was filled in from, ``wrong`` what its page found already; ``check`` sees what
    is stored before anything is written, and may refuse it.

    Raises
    ------
    FormRefusedError
        With the word of each field that is wrong; nothing was written.
    """
    entries = parse_rows(rows, wrong=wrong)

    def look(ledger: Ledger) -> None:
        if was is not None:
            book, key, mark = was
            line = ledger.books[book].get(key)
            if line is None or mark_of(line.stored) != mark:
                raise FormRefusedError({"": _CHANGED})
        if any(line.stored and line.stored["site_id"] not in sites for line, _ in ledger.of_files("devices")):
            raise FormRefusedError({"device_id": "device_elsewhere"})
        check(ledger)
        if not _is_own(ledger, household_id, sites, people):
            raise not_here()

    try:
        with seat.rights_transaction() as connection:
            taken = take_in(connection, entries, now=seat.now, reason="desk", look=look)
            ended = {"ended": taken.ended[household_id]} if household_id in taken.ended else {}
            seat.audit(
                connection, action, purpose="administration", object_kind="household", object_id=household_id,
                **detail, **ended,
            )  # fmt: skip
    except ImportRefusedError as refusal:
        raise FormRefusedError(words_between(refusal)) from refusal
    except psycopg.IntegrityError as error:
        # Somebody else's form took the label or the id between the look and the writing.
        raise FormRefusedError({"": _CHANGED}) from error


def _is_own(ledger: Ledger, household_id: str, sites: set[str], people: frozenset[str]) -> bool:
    """Say whether every row is this home's or new, and nothing stored outside this community is touched."""
    places = [*ledger.of_files("households"), *ledger.of_files("devices")]
    lines = [line for line, _ in places]
    homes = [
        line.row["household_id"]
        for book in ("household_doors", "contacts", "credentials", "leases")
        for line, _ in ledger.of_files(book)
    ]
    # A lease is called by its number alone: another home's stays that home's.
    homes += [line.stored["household_id"] for line, _ in ledger.of_files("leases") if line.stored]
    return (
        all(row["site_id"] in sites for line in lines for row in (line.row, line.stored or line.row))
        and all(line.row["id"] == household_id for line, _ in ledger.of_files("households"))
        and all(home == household_id for home in homes)
        and all(line.is_new or line.row["id"] in people for line, _ in ledger.of_files("persons"))
        # A relative may live in another home, and goes on living there.
        and all(
            line.row["household_id"] in (household_id, None, (line.stored or {}).get("household_id"))
            for line, _ in ledger.of_files("persons")
        )
    )


# --- The page of a home's books -------------------------------------------------------------------------------------


@router.get("/households/{household_id}/books")
def books(seat: Guard, household_id: HouseholdId) -> Response:
    with seat.transaction() as connection:
        load_one(connection, seat.reader(connection), household_id)
        seat.audit(
            connection,
            "books_read",
            purpose="administration",
            object_kind="household",
            object_id=household_id,
        )
        return _show(connection, seat, household_id)


def _show(
    connection: Connection, seat: Seat, household_id: str, *, part: str = "", form: FormView | None = None
) -> Response:
    home = load_one(connection, seat.reader(connection), household_id)
    page = load_books(connection, seat, home, part=part, form=form)
    conflict = form is not None and form.errors.get("") == _CHANGED
    return seat.answer(
        connection, "household_books.html", page, section=Section.HOUSEHOLDS,
        status=200 if form is None else 409 if conflict else 422, path=f"/households/{household_id}/books", live=False,
    )  # fmt: skip


def change(
    seat: Seat, household_id: str, part: str, typed: Mapping[str, str], make: Callable[[Connection], dict[str, Any]],
    *, action: str, notice: str,
) -> Response:  # fmt: skip
    """Let ``make`` say from what is stored which rows a form means, write them, and show the page again.

    ``make`` works in the reader's own scope and returns what ``_write`` is given.
    """
    with seat.transaction() as connection:
        load_one(connection, seat.reader(connection), household_id)
        sites = {choice.value for choice in load_sites(connection, seat)}
        try:
            wanted = make(connection)
        except FormRefusedError as refusal:
            return _show(connection, seat, household_id, part=part, form=FormView(typed, refusal.errors))
    try:
        _write(seat, household_id, action=action, sites=sites, **wanted)
    except FormRefusedError as refusal:
        return refuse(seat, household_id, part, typed, refusal.errors)
    return seat.go(f"/households/{household_id}/books", notice)


def refuse(
    seat: Seat, household_id: str, part: str, typed: Mapping[str, str], errors: Mapping[str, str]
) -> Response:
    """Show the page again with what was typed into one part of it, and what is wrong with that."""
    with seat.transaction() as connection:
        return _show(connection, seat, household_id, part=part, form=FormView(typed, errors))


@router.post("/households/{household_id}/books/home", dependencies=[CheckedForm])
def change_home(
    seat: Guard, household_id: HouseholdId, mark: Text = "", label: Text = "", building: Text = "", unit: Text = "",
    floor: Text = "", room: Text = "", grid: Text = "", tenure: Text = "",
) -> Response:  # fmt: skip
    """Correct what a home is called, where it is, and how it is held."""
    fields = {
        "label": label,
        "building": building,
        "unit": unit,
        "floor": floor,
        "room": room,
        "tenure": tenure,
    }
    typed = {key: text.strip() for key, text in (*fields.items(), ("grid", grid))}

    def make(connection: Connection) -> dict[str, Any]:
        row = connection.execute(SQL["home"], {"household_id": household_id}).fetchone()
        if row is None:
            raise not_here()
        cells = {"id": household_id, "site_id": row["site_id"], **typed, "grid": typed["grid"] or CLEAR}
        return {"rows": {"households": [cells]}, "was": ("households", (household_id,), mark)}

    return change(
        seat, household_id, "home", typed, make, action="household_corrected", notice="notice.books_changed"
    )


# --- Who lives there ------------------------------------------------------------------------------------------------


@router.post("/households/{household_id}/books/people", dependencies=[CheckedForm])
def add_person(
    seat: Guard, household_id: HouseholdId, id_: Annotated[str, Form(alias="id", max_length=64)] = "", name: Text = "",
    birth_year: Text = "", phone: Text = "", hearing: Text = "", language: Text = "",
) -> Response:  # fmt: skip
    """Somebody lives there from now on."""
    person = _person(name=name, birth_year=birth_year, phone=phone, hearing=hearing, language=language)

    def make(_connection: Connection) -> dict[str, Any]:
        cells = {"id": _fresh(id_), "household_id": household_id, "relation": "resident", **person}
        # The form sent twice names somebody who is there already, and says the same of her.
        return {
            "rows": {"persons": [cells]},
            "people": frozenset({id_}),
            "person": id_,
            "wrong": _named(person),
        }

    typed = {**person, "hearing": hearing}
    return change(
        seat, household_id, "new_person", typed, make, action="resident_added", notice="notice.books_changed"
    )


def _named(typed: Mapping[str, str]) -> dict[str, str]:
    return {} if typed["name"] else {"name": "required"}


def _fresh(id_: str) -> str:
    if not id_.startswith("p-"):
        raise FormRefusedError({"": "not_valid"})
    return id_


def resident_of(connection: Connection, household_id: str, person_id: str) -> dict[str, Any]:
    rows = connection.execute(SQL["people"], {"household_id": household_id}).fetchall()
    found = next((row for row in rows if row["id"] == person_id), None)
    if found is None:
        raise not_here()
    return found


@router.post("/households/{household_id}/books/people/{resident_id}", dependencies=[CheckedForm])
def change_person(
    seat: Guard, household_id: HouseholdId, resident_id: PathId, mark: Text = "", name: Text = "", birth_year: Text = "",
    phone: Text = "", hearing: Text = "", language: Text = "",
) -> Response:  # fmt: skip
    """Correct what is stored of somebody who lives there; a changed number waits for a second person."""
    person = _person(name=name, birth_year=birth_year, phone=phone, hearing=hearing, language=language)

    def make(connection: Connection) -> dict[str, Any]:
        resident_of(connection, household_id, resident_id)
        # What the form shows is as it stands there afterwards; name and number it does not show.
        said = person | {"birth_year": person["birth_year"] or CLEAR}
        cells = {"id": resident_id, "household_id": household_id, "relation": "resident", **said}
        return {
            "rows": {"persons": [cells]}, "people": frozenset({resident_id}), "person": resident_id,
            "was": ("persons", (resident_id,), mark),
        }  # fmt: skip

    return change(
        seat, household_id, f"person:{resident_id}", {**person, "hearing": hearing}, make,
        action="resident_corrected", notice="notice.books_changed",
    )  # fmt: skip


@router.post("/households/{household_id}/books/people/{resident_id}/leave", dependencies=[CheckedForm])
def person_left(
    seat: Guard, household_id: HouseholdId, resident_id: PathId,
    case_id: Annotated[int | None, Form(alias="case", ge=1, le=2**63 - 1)] = None,
) -> Response:  # fmt: skip
    """Somebody lives there no more, and what her cards open says nothing of this home from now on.

    While others live there, whether the home is watched is theirs to say. With the last of them it ends. ``case`` is
    the one that was closed because she died; the trace names it.
    """

    def make(connection: Connection) -> dict[str, Any]:
        resident_of(connection, household_id, resident_id)
        of_case = {} if case_id is None else _death(connection, seat, household_id, resident_id, case_id)
        cells = {"id": resident_id, "household_id": CLEAR, "relation": "resident"}
        hers = {"household_id": household_id, "person_id": resident_id, "now": seat.now}
        cards = [
            {
                **row,
                "household_id": household_id,
                "person_id": resident_id,
                "valid_to": row["valid_to"].isoformat(),
            }
            for row in connection.execute(SQL["cards_end_with"], hers).fetchall()
        ]
        return {
            "rows": {"persons": [cells], "credentials": cards},
            "people": frozenset({resident_id}),
            "person": resident_id,
            "cards": len(cards),
            **of_case,
        }

    return change(
        seat,
        household_id,
        f"person:{resident_id}",
        {},
        make,
        action="resident_left",
        notice="notice.books_left",
    )


def _death(
    connection: Connection, seat: Seat, household_id: str, resident_id: str, case_id: int
) -> dict[str, Any]:
    """Return what the trace says of a case that was closed because somebody of this home died."""
    reader = seat.reader(connection)
    case = load_case(connection, reader, case_id)
    if case is None or case.row["household_id"] != household_id or not is_closed_by_death(case):
        raise not_here()
    if all(person.id != resident_id for person in load_still_there(connection, reader, case)):
        # Somebody was taken out on this case's word already: who lives there now is somebody else.
        raise FormRefusedError({"": _CHANGED})
    return {"case": case_id, "because": Outcome.DECEASED.value}


# --- Whom to ask ----------------------------------------------------------------------------------------------------


@router.post("/households/{household_id}/books/contacts", dependencies=[CheckedForm])
def add_contact(
    seat: Guard, household_id: HouseholdId, id_: Annotated[str, Form(alias="id", max_length=64)] = "",
    role: Text = "", known: Text = "", name: Text = "", phone: Text = "", relation_words: Text = "",
    position: Text = "",
) -> Response:  # fmt: skip
    """Name somebody to ask about the home: a relative, or a helper, who may help elsewhere already."""
    typed = {
        "role": role, "known": known, "name": name.strip(), "phone": phone.strip(),
        "relation_words": relation_words.strip(), "position": position.strip(),
    }  # fmt: skip

    def make(connection: Connection) -> dict[str, Any]:
        who = _helper(connection, seat, household_id, known) if known else None
        asked = role if who is None else who["role"]
        if asked not in ROLES:
            raise FormRefusedError({"role": "required"})
        contact = {
            "household_id": household_id, "person_id": _fresh(id_) if who is None else who["person_id"], "role": asked,
            "position": typed["position"], "relation_words": typed["relation_words"],
        }  # fmt: skip
        rows: dict[str, list[Mapping[str, Any]]] = {"contacts": [contact]}
        if who is None:
            relation = "family" if asked == "family" else "helper"
            cells = {"id": id_, "relation": relation, "name": typed["name"], "phone": typed["phone"]}
            rows["persons"] = [cells]
        return {
            "rows": rows, "people": frozenset({id_}), "person": contact["person_id"], "role": asked,
            "wrong": {} if who else _named(typed),
        }  # fmt: skip

    return change(
        seat, household_id, "new_contact", typed, make, action="contact_added", notice="notice.books_changed"
    )


def _helper(connection: Connection, seat: Seat, household_id: str, known: str) -> dict[str, Any]:
    values = {"household_id": household_id, "community_id": seat.viewer.community_id}
    rows = connection.execute(SQL["helpers"], values).fetchall()
    found = next((row for row in rows if f"{row['role']}:{row['person_id']}" == known), None)
    if found is None:
        raise FormRefusedError({"known": "not_valid"})
    return found


def _contact(connection: Connection, household_id: str, person_id: str, role: str) -> dict[str, Any]:
    rows = connection.execute(SQL["contacts"], {"household_id": household_id}).fetchall()
    found = next((row for row in rows if (row["person_id"], row["role"]) == (person_id, role)), None)
    if found is None:
        raise not_here()
    return found


@router.post("/households/{household_id}/books/contacts/{person_id}", dependencies=[CheckedForm])
def change_contact(
    seat: Guard, household_id: HouseholdId, person_id: PathId, role: Text = "", mark: Text = "", name: Text = "",
    phone: Text = "", relation_words: Text = "", position: Text = "",
) -> Response:  # fmt: skip
    """Correct how somebody is asked: a changed number counts once a second person agreed."""
    typed = {
        "name": name.strip(), "phone": phone.strip(), "relation_words": relation_words.strip(),
        "position": position.strip(),
    }  # fmt: skip

    def make(connection: Connection) -> dict[str, Any]:
        _contact(connection, household_id, person_id, role)
        contact = {
            "household_id": household_id, "person_id": person_id, "role": role, "position": typed["position"],
            "relation_words": typed["relation_words"] or CLEAR,
        }  # fmt: skip
        rows: dict[str, list[Mapping[str, Any]]] = {"contacts": [contact]}
        if typed["name"] or typed["phone"]:
            relation = "family" if role == "family" else "helper"
            rows["persons"] = [
                {"id": person_id, "relation": relation, "name": typed["name"], "phone": typed["phone"]}
            ]
        return {
            "rows": rows, "people": frozenset({person_id}), "person": person_id, "role": role,
            "was": ("contacts", (household_id, person_id, role), mark),
        }  # fmt: skip

    return change(
        seat, household_id, f"contact:{role}:{person_id}", typed, make, action="contact_corrected",
        notice="notice.books_changed",
    )  # fmt: skip


@router.post("/households/{household_id}/books/contacts/{person_id}/leave", dependencies=[CheckedForm])
def contact_left(seat: Guard, household_id: HouseholdId, person_id: PathId, role: Text = "") -> Response:
    """Ask somebody no more about this home."""
    with seat.transaction() as connection:
        load_one(connection, seat.reader(connection), household_id)
        _contact(connection, household_id, person_id, role)
    with seat.rights_transaction() as connection:
        if role == "family":
            # Whom nobody asks any more about this home sees it no more either, where the desk had opened it for her.
            values = {"household_id": household_id, "person_id": person_id, "now": seat.now}
            connection.execute(queries("console", "channels.sql")["close_relative"], values)
        if forget_contact(connection, household_id, person_id, role):
            seat.audit(
                connection, "contact_removed", purpose="administration", object_kind="household",
                object_id=household_id, person=person_id, role=role,
            )  # fmt: skip
    return seat.go(f"/households/{household_id}/books", "notice.books_left")


# --- Its doors ------------------------------------------------------------------------------------------------------


@router.post("/households/{household_id}/books/doors", dependencies=[CheckedForm])
def add_door(
    seat: Guard, household_id: HouseholdId, device_id: Text = "", role: Text = "dwelling", kind: Text = "contact",
    gateway_id: Text = "", place: Text = "", replaces: Text = "", retire: Text = "", fresh: Text = "",
) -> Response:  # fmt: skip
    """Hang a device at a door of the home from now on, or in the place of another.

    A number nobody knows is a device only where that is said: one digit wrong would be a door nobody ever hears.
    """
    typed = {
        "device_id": device_id.strip().lower(), "role": role, "kind": kind, "gateway_id": gateway_id.strip(),
        "place": place.strip(), "replaces": replaces, "retire": retire, "fresh": fresh,
    }  # fmt: skip

    def make(connection: Connection) -> dict[str, Any]:
        home = connection.execute(SQL["home"], {"household_id": household_id}).fetchone()
        if home is None:
            raise not_here()
        device = connection.execute(SQL["device"], {"device_id": typed["device_id"]}).fetchone()
        if device is not None and device["site_id"] != home["site_id"]:
            raise FormRefusedError({"device_id": "device_elsewhere"})
        if device is not None and device["retired_at"] is not None:
            raise FormRefusedError({"device_id": "device_retired"})
        if device is None and not fresh and _DEVICE_ID.fullmatch(typed["device_id"]):
            raise FormRefusedError({"device_id": "device_unknown"})
        replaced = _door(connection, seat, household_id, replaces) if replaces else None
        rows = door_rows(
            typed, household_id=household_id, site_id=home["site_id"], is_known=device is not None, now=seat.now,
            replaced=replaced,
        )  # fmt: skip
        return {"rows": rows, "device": typed["device_id"], "replaces": replaces or None}

    return change(
        seat, household_id, "new_door", typed, make, action="door_added", notice="notice.books_door"
    )


def _door(connection: Connection, seat: Seat, household_id: str, device_id: str) -> dict[str, Any]:
    rows = connection.execute(SQL["doors"], {"household_id": household_id, "now": seat.now}).fetchall()
    found = next((row for row in rows if row["device_id"] == device_id), None)
    if found is None:
        raise not_here()
    return found


@router.post("/households/{household_id}/books/doors/{device_id}/end", dependencies=[CheckedForm])
def end_door(seat: Guard, household_id: HouseholdId, device_id: PathId) -> Response:
    """From now on a device speaks for this home no more."""

    def make(connection: Connection) -> dict[str, Any]:
        row = ended(_door(connection, seat, household_id, device_id), seat.now.isoformat())
        return {"rows": {"household_doors": [row]}, "device": device_id}

    return change(seat, household_id, "new_door", {}, make, action="door_ended", notice="notice.books_left")
