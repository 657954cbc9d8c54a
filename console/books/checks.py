"""Compares the rows of an import with one another and with what is stored: rows enter, faults leave; pure.

``Ledger`` is how the books would stand after the import. Only rows of the files are blamed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.books.faults import Fault, Origin
from console.books.rows import BOOKS, STAMPED, Entry

ABSENCE_MAX = timedelta(days=90)
#: Devices that hang on a door and can say that it opened.
_DOOR_KINDS = ("controller", "contact", "other")
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A row as it will stand; ``stored`` is the row before, ``origin`` is None where no file speaks of it."""

    row: Mapping[str, Any]
    stored: Mapping[str, Any] | None
    origin: Origin | None
    said: frozenset[str] = frozenset()

    @property
    def is_new(self) -> bool:
        return self.stored is None

    @property
    def is_changed(self) -> bool:
        return self.stored is not None and any(self.stored[name] != value for name, value in self.row.items())


@dataclass(frozen=True, slots=True)
class Ledger:
    """All lines by book and key; ``named`` are ids that stand in the files, whether their rows are right or not."""

    books: Mapping[str, Mapping[Key, Line]]
    named: Mapping[str, frozenset[str]]
    policies: frozenset[str]
    unread: frozenset[str]

    def find(self, book: str, id_: str) -> Line | None:
        return self.books[book].get((id_,))

    def of_files(self, book: str) -> Iterator[tuple[Line, Origin]]:
        for line in self.books[book].values():
            if line.origin is not None:
                yield line, line.origin


def build_ledger(
    entries: Mapping[str, list[Entry]],
    stored: Mapping[str, Mapping[Key, Mapping[str, Any]]],
    *,
    named: Mapping[str, frozenset[str]],
    policies: frozenset[str],
    unread: frozenset[str],
    now: datetime,
) -> tuple[Ledger, list[Fault]]:
    """Lay the rows of the files over what is stored; a row that stands in them twice is a fault."""
    faults: list[Fault] = []
    books: dict[str, dict[Key, Line]] = {}
    for book, model in BOOKS.items():
        lines = {key: Line(row, row, None) for key, row in stored[book].items()}
        defaults = model.defaults() | ({STAMPED[book]: now} if book in STAMPED else {})
        for entry in entries.get(book, ()):
            key = entry.key(book)
            known = lines.get(key)
            if known is not None and known.origin is not None:
                mend = "leave one of them away"
                what = f"is row {known.origin.row} once more"
                faults.append(Fault(entry.origin, model.key[0], what, mend))
                continue
            before = None if known is None else known.stored
            lines[key] = Line(
                {**defaults, **(before or {}), **entry.said}, before, entry.origin, frozenset(entry.said)
            )
        books[book] = lines
    return Ledger(books, named, policies, unread), faults


def find_faults(ledger: Ledger, *, now: datetime) -> list[Fault]:
    """Return everything that is wrong between rows."""
    faults: list[Fault] = []
    for check in (_references, _devices, _households, _persons, _contacts, _doors, _credentials):
        faults += check(ledger)
    return [*faults, *_consents(ledger, now), *_absences(ledger, now), *_leases(ledger)]


_REFERENCES: dict[str, tuple[tuple[str, str], ...]] = {
    "sites": (("community_id", "communities"),),
    "buildings": (("site_id", "sites"),),
    "devices": (("site_id", "sites"), ("gateway_id", "devices")),
    "households": (("site_id", "sites"),),
    "household_doors": (("household_id", "households"), ("device_id", "devices")),
    "persons": (("household_id", "households"),),
    "contacts": (("household_id", "households"), ("person_id", "persons")),
    "credentials": (("household_id", "households"), ("person_id", "persons")),
    "consents": (("household_id", "households"),),
    "absences": (("household_id", "households"),),
    "leases": (("household_id", "households"),),
}


def _references(ledger: Ledger) -> Iterator[Fault]:
    for book, columns in _REFERENCES.items():
        for line, origin in ledger.of_files(book):
            for column, target in columns:
                value = line.row[column]
                known = value is None or value in ledger.named.get(target, ()) or ledger.find(target, value)
                if not known and target not in ledger.unread:
                    what = f"names no row of {target}, neither in the files nor in the database"
                    yield Fault(origin, column, what, f"correct the id, or add the row to {target}")


def _devices(ledger: Ledger) -> Iterator[Fault]:
    for line, origin in ledger.of_files("devices"):
        row = line.row
        if row["supervision_s"] < row["heartbeat_s"]:
            what = "is shorter than heartbeat_s, so that the device would be deaf between two heartbeats"
            yield Fault(origin, "supervision_s", what, "write about three heartbeats")
        if row["gateway_id"] is None:
            continue
        gateway = ledger.find("devices", row["gateway_id"])
        if row["gateway_id"] == row["id"]:
            yield Fault(
                origin, "gateway_id", "names the device itself", "leave it empty, or name its gateway"
            )
        elif gateway is not None and gateway.row["kind"] != "gateway":
            yield Fault(origin, "gateway_id", "names a device that is no gateway", "name one of kind gateway")
        elif gateway is not None and row["kind"] == "gateway":
            yield Fault(origin, "gateway_id", "puts a gateway behind a gateway", "leave it empty")
    yield from _doors_of_no_door(ledger)


def _contacts(ledger: Ledger) -> Iterator[Fault]:
    for line, origin in ledger.of_files("contacts"):
        if (line.row["available_from"] is None) != (line.row["available_until"] is None):
            what = "stands without the other end of the hours"
            yield Fault(
                origin, "available_from", what, "write both available_from and available_until, or neither"
            )


def _doors_of_no_door(ledger: Ledger) -> Iterator[Fault]:
    """A device that changes its kind or its site must still fit the households it is a door of."""
    for key, line in ledger.books["household_doors"].items():
        device = ledger.find("devices", key[1])
        home = ledger.find("households", key[0])
        blamed = next((item.origin for item in (line, device, home) if item and item.origin), None)
        if device is None or home is None or blamed is None:
            continue
        if device.row["kind"] not in _DOOR_KINDS and (line.origin or device.origin):
            what = "is not the device of a door"
            column = "device_id" if line.origin else "kind"
            yield Fault(blamed, column, what, f"a door has a device of kind {', '.join(_DOOR_KINDS)}")
        if device.row["site_id"] != home.row["site_id"]:
            what = "and the household stand at two sites"
            yield Fault(blamed, "device_id" if line.origin else "site_id", what, "give both the same site_id")


def _households(ledger: Ledger) -> Iterator[Fault]:
    by_label: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in ledger.books["households"].values():
        by_label[line.row["site_id"], line.row["label"]].append(line)
    for lines in by_label.values():
        for line in lines:
            if len(lines) > 1 and line.origin is not None:
                other = next(one.row["id"] for one in lines if one is not line)
                what = f"is the label of household {other} of this site"
                yield Fault(
                    line.origin, "label", what, "give each household its own label, or use the stored id"
                )
    for line, origin in ledger.of_files("households"):
        if line.row["policy_id"] != "mandated" and line.row["policy_id"] not in ledger.policies:
            yield Fault(
                origin, "policy_id", "names no policy", "leave it empty for the mandated 1, 2 and 3 days"
            )


def _persons(ledger: Ledger) -> Iterator[Fault]:
    for line, origin in ledger.of_files("persons"):
        if line.row["phone"] is not None and line.row["name"] is None:
            yield Fault(origin, "name", "is missing for a person with a telephone", "write the name")
        if line.is_new and line.row["relation"] == "resident" and line.row["household_id"] is None:
            yield Fault(origin, "household_id", "is missing for a resident", "write where the person lives")


def _doors(ledger: Ledger) -> Iterator[Fault]:
    by_device: dict[str, list[Line]] = defaultdict(list)
    for line in ledger.books["household_doors"].values():
        by_device[line.row["device_id"]].append(line)
    for lines in by_device.values():
        own = [line for line in lines if line.row["role"] == "dwelling"]
        by_home: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            by_home[line.row["household_id"]].append(line)
        for line in lines:
            if line.origin is None:
                continue
            yield from _window(line, line.origin, "from_at", "to_at")
            # A gate is shared by thousands: those never clash with one another.
            others = lines if line.row["role"] == "dwelling" else own
            yield from _clashes(line, line.origin, by_home[line.row["household_id"]], others)


def _window(line: Line, origin: Origin, begin: str, end: str) -> Iterator[Fault]:
    if line.row[begin] is not None and line.row[end] is not None and line.row[begin] >= line.row[end]:
        yield Fault(origin, end, f"is not after {begin}", "correct one of the two times")


def _clashes(line: Line, origin: Origin, same_home: list[Line], others: list[Line]) -> Iterator[Fault]:
    if any(other is not line and _overlap(line.row, other.row) for other in same_home):
        what, mend = "overlaps another window of this door", "end the one before with to_at"
        yield Fault(origin, "from_at", what, mend)
    home = line.row["household_id"]
    if any(other.row["household_id"] != home and _overlap(line.row, other.row) for other in others):
        # What opens at one home's own door would speak for the life of another.
        what = "is the door of another household in the same time, and a dwelling door of one of the two"
        yield Fault(
            origin, "device_id", what, "give it the role shared for both, or end one window with to_at"
        )


def _overlap(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    def begins_before_end(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
        return first["from_at"] is None or second["to_at"] is None or bool(first["from_at"] < second["to_at"])

    return begins_before_end(one, two) and begins_before_end(two, one)


def _credentials(ledger: Ledger) -> Iterator[Fault]:
    for line, origin in ledger.of_files("credentials"):
        yield from _window(line, origin, "valid_from", "valid_to")
        if line.row["class"] in ("resident", "family") and line.row["household_id"] is None:
            what = "is missing for a credential of a resident or a relative"
            yield Fault(origin, "household_id", what, "write whose household it opens")


def _past(line: Line, origin: Origin, now: datetime, *columns: str) -> Iterator[Fault]:
    for column in columns:
        if line.row[column] is not None and line.row[column] > now:
            yield Fault(origin, column, "lies in the future", "enter it when it has happened")


def _consents(ledger: Ledger, now: datetime) -> Iterator[Fault]:
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in ledger.books["consents"].values():
        groups[line.row["household_id"], line.row["purpose"]].append(line)
    for line, origin in ledger.of_files("consents"):
        yield from _past(line, origin, now, "given_at", "withdrawn_at")
        given, withdrawn = line.row["given_at"], line.row["withdrawn_at"]
        if withdrawn is not None:
            if withdrawn < given:
                yield Fault(origin, "withdrawn_at", "is before given_at", "correct one of the two times")
            continue
        for other in groups[line.row["household_id"], line.row["purpose"]]:
            if other is line:
                continue
            if other.row["withdrawn_at"] is None:
                what = "is a second standing consent for this purpose"
                yield Fault(origin, "given_at", what, "withdraw the one before with withdrawn_at")
            elif line.is_new and given < other.row["withdrawn_at"]:
                # A given_at whose seconds a spreadsheet cut off must not bring back a consent that has ended.
                what = "is before a withdrawal of this consent"
                yield Fault(origin, "given_at", what, "write when the new consent was given")


def _absences(ledger: Ledger, now: datetime) -> Iterator[Fault]:
    for line, origin in ledger.of_files("absences"):
        yield from _window(line, origin, "from_at", "to_at")
        yield from _past(line, origin, now, "declared_at", "revoked_at")
        if line.row["to_at"] - line.row["from_at"] > ABSENCE_MAX:
            yield Fault(origin, "to_at", "is more than 90 days after from_at", "renew it when the time comes")


def _leases(ledger: Ledger) -> Iterator[Fault]:
    for line, origin in ledger.of_files("leases"):
        yield from _window(line, origin, "from_at", "to_at")


def ends_that_stand(ledger: Ledger) -> Iterator[tuple[Origin, str]]:
    """Yield rows whose consent or absence has ended in the database while the file says nothing of an end."""
    for book, model in BOOKS.items():
        for column in model.ends:
            for line, origin in ledger.of_files(book):
                if line.stored is not None and line.stored[column] is not None and column not in line.said:
                    yield origin, column
