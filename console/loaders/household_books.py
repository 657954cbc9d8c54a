"""What the books of one home hold, as the desk's forms show it: a home enters, the page leaves; names are masked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from console.books.forms import mark_of, new_id
from console.books.rows import BOOKS
from console.loaders import Reader
from console.loaders.cases import LoadedCase
from console.loaders.households import LoadedHousehold
from console.residents import handle_of
from console.scope import Section, mask_name, mask_phone, may_enter
from console.seat import Seat
from console.views.household_books import BookCard, BookDoor, BookLease, BookPerson, BooksPage
from console.views.parts import Choice, Form
from kaimen.database import Connection, queries
from kaimen.vocabulary import CaseState, Outcome

SQL = queries("console", "household_books.sql")


def load_sites(connection: Connection, seat: Seat) -> tuple[Choice, ...]:
    """Return where a home of this desk's community can stand."""
    rows = connection.execute(SQL["sites"], {"community_id": seat.viewer.community_id}).fetchall()
    return tuple(Choice(row["id"], row["name"]) for row in rows)


def find_labelled(connection: Connection, form: Form, *, site_id: str, label: str) -> str:
    """Return the home that has a label a form was refused for; empty where it was refused for anything else."""
    if form.errors.get("label") != "label_taken":
        return ""
    row = connection.execute(SQL["labelled"], {"site_id": site_id, "label": label}).fetchone()
    return row["id"] if row else ""


def load_still_there(connection: Connection, reader: Reader, case: LoadedCase) -> tuple[BookPerson, ...]:
    """Return who still stands in the books of a home of which a case was closed because somebody died.

    Nobody, where this reader does not keep them, and once somebody was taken out of them since.
    """
    closed_at, household_id = case.row["closed_at"], case.row["household_id"]
    if not may_enter(reader.viewer, Section.HOUSEHOLDS) or not is_closed_by_death(case):
        return ()
    values = {"household_id": household_id, "since": closed_at}
    if connection.execute(SQL["changed_since"], values).fetchone() is not None:
        return ()
    return tuple(_resident(row, Form()) for row in connection.execute(SQL["people"], values))


def is_closed_by_death(case: LoadedCase) -> bool:
    """Say whether a second person confirmed that somebody of the home died."""
    is_closed = case.facts.state is CaseState.CLOSED and case.row["household_id"] is not None
    return is_closed and case.row["outcome"] == Outcome.DECEASED.value


def load_books(
    connection: Connection, seat: Seat, home: LoadedHousehold, *, part: str = "", form: Form | None = None
) -> BooksPage:
    """Return the page; ``form`` is what was typed into one ``part`` of it and refused."""
    values: dict[str, Any] = {
        "household_id": home.name.id, "community_id": seat.viewer.community_id, "now": seat.now,
    }  # fmt: skip
    row = connection.execute(SQL["home"], values).fetchone()
    assert row is not None
    values |= {"site_id": row["site_id"], "building": row["building"]}
    stored = {
        name: str(row[name]) for name in ("label", "building", "unit", "floor", "room", "grid", "tenure")
    }
    people = connection.execute(SQL["people"], values).fetchall()
    contacts = connection.execute(SQL["contacts"], values).fetchall()
    doors = connection.execute(SQL["doors"], values).fetchall()
    cards = connection.execute(SQL["cards"], values).fetchall()

    zone = ZoneInfo(seat.reader(connection).zone)

    def typed(name: str) -> Form:
        return form if form is not None and part == name else Form()

    changed = typed("home")
    position = max((item["position"] for item in contacts), default=0) + 1
    return BooksPage(
        household=home.name,
        home=changed if changed.values else Form(stored),
        home_mark=mark_of(row),
        stored={
            name: text
            for name, text in stored.items()
            if changed.errors.get("") and changed.values.get(name) != text
        },
        people=tuple(_resident(item, typed(f"person:{item['id']}")) for item in people),
        new_person=typed("new_person"),
        new_person_id=new_id("p"),
        contacts=tuple(
            _contact(item, typed(f"contact:{item['role']}:{item['person_id']}")) for item in contacts
        ),
        new_contact=typed("new_contact") if part == "new_contact" else Form({"position": str(position)}),
        new_contact_id=new_id("p"),
        helpers=tuple(
            Choice(f"{item['role']}:{item['person_id']}", f"{item['name']}|{item['role']}")
            for item in connection.execute(SQL["helpers"], values)
        ),
        doors=tuple(
            BookDoor(item["device_id"], item["place"], item["role"], item["from_at"]) for item in doors
        ),
        new_door=typed("new_door"),
        free_devices=_choices(connection, "free_devices", values),
        gateways=_choices(connection, "gateways", values),
        missing=_missing(connection, values, row, people, contacts, doors),
        then=_then(connection, values, contacts, doors, cards),
        cards=tuple(_card(item, home.name.id) for item in cards),
        holders=tuple(
            Choice(item["id"], f"{mask_name(item['name'] or '')}|{item['class']}")
            for item in connection.execute(SQL["holders"], values)
        ),
        new_card=typed("new_card"),
        leases=tuple(
            _lease(item, zone, typed(f"lease:{item['id']}"))
            for item in connection.execute(SQL["leases"], values)
        ),
        new_lease=typed("new_lease"),
        new_lease_id=new_id("l"),
        exchange=typed("exchange"),
        others=_choices(connection, "neighbours_devices", values),
        same_label=find_labelled(
            connection, changed, site_id=row["site_id"], label=changed.values.get("label", "")
        ),
    )


def _choices(connection: Connection, query: str, values: dict[str, Any]) -> tuple[Choice, ...]:
    return tuple(Choice(row["id"], row["place"]) for row in connection.execute(SQL[query], values))


def _resident(row: dict[str, Any], form: Form) -> BookPerson:
    return BookPerson(
        row["id"], mask_name(row["name"] or ""), mask_phone(row["phone"] or ""), mark_of(row),
        birth_year=row["birth_year"], hard_of_hearing=row["hard_of_hearing"], language=row["language"], form=form,
    )  # fmt: skip


def _contact(row: dict[str, Any], form: Form) -> BookPerson:
    stored = {name: row[name] for name in BOOKS["contacts"].columns()}
    return BookPerson(
        row["person_id"], mask_name(row["name"] or ""), mask_phone(row["phone"] or ""), mark_of(stored),
        role=row["role"], position=row["position"], relation=row["relation_words"], form=form,
    )  # fmt: skip


def _missing(
    connection: Connection, values: dict[str, Any], home: dict[str, Any], people: list[Any], contacts: list[Any],
    doors: list[Any],
) -> tuple[str, ...]:  # fmt: skip
    """Return what is still to be done before the home is watched and somebody can be asked."""
    agreed = connection.execute(SQL["agreed"], values).fetchone() is not None
    steps = {
        "resident": bool(people),
        "contact": bool(contacts),
        "door": any(item["role"] == "dwelling" for item in doors),
        "consent": agreed and home["watched_from"] is not None,
    }
    return tuple(step for step, done in steps.items() if not done)


def _then(
    connection: Connection, values: dict[str, Any], contacts: list[Any], doors: list[Any], cards: list[Any]
) -> tuple[str, ...]:
    """Return what can follow: a card for a door that reads cards, and family words where family is named."""
    reads_cards = any(item["kind"] == "controller" for item in doors)
    has_card = any(item["class"] == "resident" and item["holds"] for item in cards)
    has_family = any(item["role"] == "family" for item in contacts)
    steps = {
        "card": has_card or not reads_cards,
        "family": not has_family or connection.execute(SQL["told"], values).fetchone() is not None,
    }
    return tuple(step for step, done in steps.items() if not done)


def _lease(row: dict[str, Any], zone: ZoneInfo, form: Form) -> BookLease:
    until = None if row["to_at"] is None else row["to_at"] - timedelta(microseconds=1)
    stored = {
        "from_at": f"{row['from_at'].astimezone(zone):%Y-%m-%d}",
        "to_at": "" if until is None else f"{until.astimezone(zone):%Y-%m-%d}",
        "occupants": "" if row["occupants"] is None else str(row["occupants"]),
        "registration": row["registration"],
    }
    return BookLease(
        row["id"], mark_of(row), row["from_at"], until, row["occupants"], row["registration"],
        form if form.values else Form(stored),
    )  # fmt: skip


def _card(row: dict[str, Any], household_id: str) -> BookCard:
    return BookCard(
        row["token"][-4:], row["class"], mask_name(row["name"] or ""), row["valid_to"], row["lost_at"], row["holds"],
        f"/households/{household_id}/books/cards/{handle_of(row['token'])}" if row["holds"] else None,
    )  # fmt: skip
