"""Takes a list of homes and people apart into the books: its lines and what is stored enter, rows of books leave; pure.

Such a list has no ids. A home is found by where it is, people within what is stored of their home by their name, and
where that is not plain the line is refused: nobody's telephone is written over by guessing. It says nothing of
agreements and of doors, so nobody is watched because she stands in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.books.cells import read_row
from console.books.faults import Fault, Origin
from console.books.files import Book
from console.books.roll_row import is_roll

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
#: What stands behind the number of a building, a unit or a room.
_TAIL = re.compile(r"(号?楼栋?|[栋幢座]|号|单元|门|室|房)$")
#: A whole address in one cell: 3-2-501, 3栋2单元501室, 3号楼501.
_WHOLE = re.compile(
    r"(?P<building>[A-Za-z0-9]{1,6})\s*(?:号?楼|[栋幢座号]|-)\s*"
    r"(?:(?P<unit>[A-Za-z0-9]{1,4})\s*(?:单元|门|-)\s*)?(?P<room>\d{3,4}[A-Za-z]?)\s*(?:室|房|号)?"
)
_ROOM = re.compile(r"(?P<floor>\d{1,2})\d{2}[A-Za-z]?")
_OF_HOME = ("floor", "grid", "tenure")
#: What offices write into a cell that has nothing to say.
_NOTHING = frozenset({"-", "--", "—", "——", "－", "/", "／", "无", "没有", "none"})
_SAY_SITE = "add a column site (小区) with its id or its name, or import it with --site"
_ONLY_UNIT = "1"
_Cells = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody stored: of a home, or asked about it at ``position``."""

    id: str
    name: str | None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of the sites a list may be of; ``ids`` are those of people, which are never given again."""

    #: Site id to its name.
    sites: Mapping[str, str] = field(default_factory=dict)
    #: Rows of homes: id, site_id, label, building, unit, floor, room.
    homes: Sequence[Mapping[str, Any]] = ()
    residents: Mapping[str, Sequence[Person]] = field(default_factory=dict)
    relatives: Mapping[str, Sequence[Person]] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Home:
    """A home of the list: its row as ``households`` has it, and the lines that speak of it."""

    id: str
    cells: dict[str, Any]
    row: int
    book: Book
    lines: list[tuple[int, _Cells]] = field(default_factory=list)


def take_apart(
    books: Iterable[Book], known: Known | None, *, site: str | None = None
) -> tuple[list[Book], list[Fault]]:
    """Return the books with each list of homes and people taken apart, and what is wrong with it.

    ``known`` is None where nobody looks at what is stored; ``site`` is where a line is that does not say it.
    """
    rest = [book for book in books if not is_roll(book.name)]
    faults: list[Fault] = []
    places = _Places(known, site)
    people = _People(known or Known())
    for book in (book for book in books if is_roll(book.name)):
        homes = list(_homes(book, places, faults))
        rest += _books_of(book, homes, people, faults)
    return rest, faults


# Homes --------------------------------------------------------------------------------------------------------------


def _bare(words: str) -> str:
    """Return a building, unit or room as it is compared: without what it is called and zeros before it."""
    bare = "".join(words.split())
    while (shorter := _TAIL.sub("", bare)) != bare and shorter:
        bare = shorter
    return bare.lstrip("0").lower() or bare


class _Places:
    """Finds the home a line is of: a stored one, one of an earlier line, or a new one."""

    def __init__(self, known: Known | None, site: str | None) -> None:
        self._known = known or Known()
        self._looks = known is not None
        self._site = site
        self.homes: dict[tuple[str, str, str, str], _Home] = {}
        self._stored: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = {}
        self._ids = {home["id"] for home in self._known.homes}
        self._called: dict[tuple[str, ...], str] = {}
        for home in self._known.homes:
            key = _key(home["site_id"], home)
            self._stored.setdefault(key, []).append(home)
            self._called.setdefault(key[:2], home["building"])
            self._called.setdefault(key[:3], home["unit"])

    def site_of(self, cells: _Cells) -> str | None:
        """Return the site a line names by id or name, else the one that was said, else the only one there is."""
        said = str(cells.get("site") or "").strip() or self._site or ""
        if not self._looks:
            return said or "site"
        if not said:
            return next(iter(self._known.sites)) if len(self._known.sites) == 1 else None
        if said in self._known.sites:
            return said
        named = [id_ for id_, name in self._known.sites.items() if name == said]
        return named[0] if len(named) == 1 else None

    def find(self, site_id: str, cells: dict[str, Any], row: int, book: Book) -> _Home | None:
        """Return the home of a line; None where several stored ones stand there."""
        key = _key(site_id, cells)
        if key not in self.homes:
            stored = self._stored.get(key, [])
            of_label = [home for home in stored if home["label"] == cells["label"]] or stored
            if len(of_label) > 1:
                return None
            row_of_home = self._known_row(of_label[0], cells) if of_label else self._new_row(site_id, cells)
            self.homes[key] = _Home(row_of_home["id"], row_of_home, row, book)
        return self.homes[key]

    def _known_row(self, stored: Mapping[str, Any], cells: dict[str, Any]) -> dict[str, Any]:
        """Return a stored home as the list has it: where it is stands as it was entered."""
        where = {name: stored[name] for name in ("id", "site_id", "label", "building", "unit", "room")}
        return cells | where | {"floor": cells["floor"] if cells["says_floor"] else str(stored["floor"])}

    def _new_row(self, site_id: str, cells: dict[str, Any]) -> dict[str, Any]:
        """Return a new home; its building and unit are called as others of the same number are."""
        building, unit, _ = _key(site_id, cells)[1:]
        called = {
            "building": self._called.setdefault((site_id, building), cells["building"]),
            "unit": self._called.setdefault((site_id, building, unit), cells["unit"]),
        }
        return cells | called | {"id": self._new_id(site_id, cells["label"]), "site_id": site_id}

    def _new_id(self, site_id: str, label: str) -> str:
        digest = hashlib.sha256(f"{site_id}\n{label}".encode()).hexdigest()
        site = site_id if len(site_id) <= 20 else f"{site_id[:10]}-{digest[-8:]}"
        id_ = f"{site}.{label}" if _ID.fullmatch(label) else f"{site}.{digest[:12]}"
        if id_ in self._ids:  # of another home, whose label has changed since
            id_ = f"{site}.{digest[:12]}"
        self._ids.add(id_)
        return id_


def _key(site_id: str, home: Mapping[str, Any]) -> tuple[str, str, str, str]:
    building, unit, room = (_bare(str(home[name])) for name in ("building", "unit", "room"))
    return site_id, building, unit, room


def _homes(book: Book, places: _Places, faults: list[Fault]) -> Iterator[_Home]:
    """Gather the lines of a list by home, in the order in which homes first stand in it."""
    for row, cells in book.rows:
        origin = book.origin(row)
        cells = {
            column: "" if str(cell).strip().lower() in _NOTHING else cell for column, cell in cells.items()
        }
        place = _place_of(origin, cells, book, faults)
        site_id = places.site_of(cells)
        if site_id is None:
            faults.append(Fault(origin, "site", "does not say at which site the home is", _SAY_SITE))
        if place is None or site_id is None:
            continue
        home = places.find(site_id, place, row, book)
        if home is None or home.book is not book:
            what = "may be one of several homes" if home is None else "is a home of another sheet too"
            mend = (
                "write its label as it is registered"
                if home is None
                else "put all lines of a home into one sheet"
            )
            faults.append(Fault(origin, "room", what, mend))
            continue
        home.lines.append((row, cells))
        if len(home.lines) == 1:
            yield home
        else:
            faults += _contradictions(origin, home, place)


def _contradictions(origin: Origin, home: _Home, place: _Cells) -> Iterator[Fault]:
    for column in _OF_HOME:
        said, before = str(place.get(column) or ""), str(home.cells.get(column) or "")
        if said and before and said != before:
            what = f"says something else of this home than row {home.row}"
            yield Fault(origin, column, what, "write the same into each line of a home")


def _place_of(origin: Origin, cells: _Cells, book: Book, faults: list[Fault]) -> dict[str, Any] | None:
    """Return what a line says of its home, as ``households`` has it; None, with the reason, where it does not say where."""
    said = {name: str(cells.get(name) or "").strip() for name in ("label", "building", "unit", "room")}
    column = "room" if said["room"] else "label"
    whole = _WHOLE.fullmatch(said[column])
    if not said["building"] and whole is not None:
        said |= {name: whole[name] or said[name] for name in ("building", "unit", "room")}
    room = _ROOM.fullmatch(_bare(said["room"] or said["label"]))
    said["room"] = said["room"] or said["label"]
    floor = str(cells.get("floor") or "").strip() or (room["floor"] if room else "")
    if not said["unit"] and "unit" not in book.letters:
        said["unit"] = _ONLY_UNIT  # a building nobody divides
    wrong = [
        (name, what)
        for name, what in (
            ("building", "is missing"), ("unit", "is missing"), ("room", "is missing"),
            ("floor", "is missing, and the room's number does not say it"),
        )
        if not (said | {"floor": floor})[name]
    ]  # fmt: skip
    for name, what in wrong:
        faults.append(Fault(origin, name, what, "write it into each line of the home"))
    if wrong:
        return None
    said["label"] = said["label"] or "-".join(
        _bare(said[name]) if name != "room" else _TAIL.sub("", said[name])
        for name in ("building", "unit", "room")
    )
    says_floor = bool(str(cells.get("floor") or "").strip())
    return (
        said
        | {"floor": floor, "says_floor": says_floor}
        | {name: cells.get(name, "") for name in ("grid", "tenure")}
    )


# People -------------------------------------------------------------------------------------------------------------


class _People:
    """Gives people of a home their ids: those stored under the same name theirs, new ones the next that was never given."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._given = set(known.ids)

    def ids_of(
        self, home: _Home, kind: str, stored: Sequence[Person], said: Sequence[tuple[Origin, str]], faults: list[Fault]
    ) -> dict[str, str]:  # fmt: skip
        """Return the id of each name a list says of a home; nobody's, with the reason, where it is not plain whose."""
        names = [name for _, name in said]
        known = [person.name for person in stored]
        for origin, name in said:
            if names.count(name) > 1 or known.count(name) > 1:
                mend = "enter the second on the home's page, or tell them apart by a second name"
                faults.append(Fault(origin, "name", "is the name of two people of this home", mend))
                return {}
        new = [(origin, name) for origin, name in said if name not in known]
        if new and not set(known) <= set(names):
            for origin, _ in new:
                what = "is nobody who is registered with this home, and somebody registered there is not in the list"
                mend = "write the name as it is registered, or correct on the home's page who lives there and whom to ask"
                faults.append(Fault(origin, "name", what, mend))
            return {}
        found = {person.name: person.id for person in stored if person.name}
        return {name: found.get(name) or self._next(home.id, kind) for name in names}

    def _next(self, home_id: str, kind: str) -> str:
        number = 1
        while f"{home_id}.{kind}{number}" in self._given:
            number += 1
        self._given.add(f"{home_id}.{kind}{number}")
        return f"{home_id}.{kind}{number}"


def _resident_of(cells: _Cells) -> dict[str, Any] | None:
    said = {
        name: cells.get(name, "") for name in ("name", "phone", "birth_year", "hard_of_hearing", "category")
    }
    alone = read_row("persons", {"hard_of_hearing": cells.get("lives_alone", "")}, None)["hard_of_hearing"]
    if alone == "true" and not str(said["category"]).strip():
        said["category"] = "living_alone"
    return (
        said if any(str(value).strip() for name, value in said.items() if name in ("name", "phone")) else None
    )


def _relatives_of(cells: _Cells) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the part of the line, the person, and what she is there; one without a name is called what she is."""
    for part, name, phone, words in (
        ("relative", "relative_name", "relative_phone", "relation_words"),
        ("relative 2", "other_relative_name", "other_relative_phone", "other_relation_words"),
    ):
        said = {"name": str(cells.get(name) or "").strip(), "phone": str(cells.get(phone) or "").strip()}
        kin = str(cells.get(words) or "").strip()
        if said["name"] or said["phone"]:
            said["name"] = said["name"] or kin or "家属"
            yield part, said, kin


def _name_of(cells: _Cells) -> str:
    return str(read_row("persons", {"name": cells["name"]}, None)["name"])


# Books --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Part:
    """Rows of one book that stand in the same columns of a list."""

    name: str
    table: str
    letters: Mapping[str, str]
    rows: list[tuple[int, _Cells]] = field(default_factory=list)


def _books_of(book: Book, homes: list[_Home], people: _People, faults: list[Fault]) -> list[Book]:
    parts = {
        "households": _Part("households", book.name, book.letters),
        "residents": _Part("persons", book.name, book.letters),
    }
    for part, name, phone, words in (
        ("relative", "relative_name", "relative_phone", "relation_words"),
        ("relative 2", "other_relative_name", "other_relative_phone", "other_relation_words"),
    ):
        letters = {"name": name, "phone": phone, "relation_words": words}
        shown = {column: book.letters[own] for column, own in letters.items() if own in book.letters}
        parts[part] = _Part("persons", f"{book.name}, {part}", shown)
        parts[f"{part} asked"] = _Part("contacts", f"{book.name}, {part}", shown)
    for home in homes:
        row = {column: cell for column, cell in home.cells.items() if column != "says_floor"}
        parts["households"].rows.append((home.row, row))
        _add_residents(book, home, people, parts, faults)
        _add_relatives(book, home, people, parts, faults)
    made = [
        Book(part.name, book.source, tuple(part.rows), _named(part), letters=part.letters, table=part.table)
        for part in parts.values()
    ]
    first = made[0]
    made[0] = Book(
        first.name, book.source, first.rows, first.named, book.passed_over, book.unread, first.letters, first.table
    )  # fmt: skip
    return [one for at, one in enumerate(made) if one.rows or at == 0]


def _named(part: _Part) -> frozenset[str]:
    return frozenset(str(cells["id"]) for _, cells in part.rows if "id" in cells)


def _add_residents(
    book: Book, home: _Home, people: _People, parts: Mapping[str, _Part], faults: list[Fault]
) -> None:
    found = [(row, person) for row, cells in home.lines if (person := _resident_of(cells)) is not None]
    said = [(book.origin(row), _name_of(person)) for row, person in found]
    ids = people.ids_of(home, "r", people.known.residents.get(home.id, ()), said, faults)
    for (row, person), (_, name) in zip(found, said, strict=True):
        if name in ids:
            who = {"id": ids[name], "household_id": home.id, "relation": "resident"}
            parts["residents"].rows.append((row, who | person))


def _add_relatives(
    book: Book, home: _Home, people: _People, parts: Mapping[str, _Part], faults: list[Fault]
) -> None:
    stored = people.known.relatives.get(home.id, ())
    found: dict[str, tuple[int, str, dict[str, Any], str]] = {}
    for row, cells in home.lines:
        for part, person, kin in _relatives_of(cells):
            # Two who live together have the same daughter.
            before = found.setdefault(_name_of(person), (row, part, person, kin))
            if before[2] != person:
                origin = Origin(book.source.name, f"{book.name}, {part}", row)
                what = f"says something else of this relative than row {before[0]}"
                faults.append(Fault(origin, "phone", what, "write the same into each line of a home"))
    said = [
        (Origin(book.source.name, f"{book.name}, {part}", row), name)
        for name, (row, part, _, _) in found.items()
    ]
    ids = people.ids_of(home, "f", stored, said, faults)
    positions = {person.id: person.position for person in stored}
    last = max(positions.values(), default=0)
    for name, (row, part, person, kin) in found.items():
        if name not in ids:
            continue
        id_ = ids[name]
        if id_ not in positions:
            last += 1
        parts[part].rows.append((row, {"id": id_, "relation": "family", **person}))
        asked = {
            "household_id": home.id,
            "person_id": id_,
            "role": "family",
            "position": positions.get(id_, last),
        }
        parts[f"{part} asked"].rows.append((row, {**asked, "relation_words": kin}))
