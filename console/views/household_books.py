"""The books of one home as the desk enters and corrects them, as frozen dataclasses for the pages of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from console.views.parts import Choice, Form, HouseholdName
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class NewHomePage:
    """``id`` is the home's own from the first look at the form on: sent twice, it is one home.

    ``same_label`` is the home that has the label already, empty where none has.
    """

    id: str
    sites: tuple[Choice, ...]
    form: Form
    same_label: str = ""


@dataclass(frozen=True, slots=True)
class BookPerson:
    """Somebody who lives there or is asked about the home; name and number are masked."""

    id: str
    name: str
    phone: str
    mark: str  # what tells whether the stored row changed since
    birth_year: int | None = None
    hard_of_hearing: bool = False
    language: str = "zh"
    role: str = ""
    position: int = 0
    relation: str = ""
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class BookDoor:
    device_id: str
    place: str
    role: str
    from_at: datetime | None


@dataclass(frozen=True, slots=True)
class BookCard:
    """A card somebody of the home carries or carried; ``url`` is where it is ended, None where it is."""

    ending: str  # of its token: the number is nowhere
    kind: str
    name: str  # masked
    valid_to: datetime | None = None
    lost_at: datetime | None = None
    holds: bool = True
    url: str | None = None


@dataclass(frozen=True, slots=True)
class BookLease:
    """A lease of the home; ``form`` holds its days as a form has them, the last one included."""

    id: str
    mark: str
    from_at: datetime
    until: datetime | None  # within its last day
    occupants: int | None
    registration: str
    form: Form


@dataclass(frozen=True, slots=True)
class BooksPage:
    """One home's books; ``missing`` are the steps without which nobody watches it, in the order in which they are done.

    ``then`` are those that follow where the home wants them. ``stored`` is what stands now in fields that somebody else
    changed meanwhile, ``same_label`` another home that has the label that was typed.
    """

    household: HouseholdName
    home: Form
    home_mark: str
    stored: Mapping[str, str]
    people: tuple[BookPerson, ...]
    new_person: Form
    new_person_id: str
    contacts: tuple[BookPerson, ...]
    new_contact: Form
    new_contact_id: str
    helpers: tuple[Choice, ...]
    doors: tuple[BookDoor, ...]
    new_door: Form
    free_devices: tuple[Choice, ...]
    gateways: tuple[Choice, ...]
    missing: tuple[str, ...]
    then: tuple[str, ...] = ()
    cards: tuple[BookCard, ...] = ()
    holders: tuple[Choice, ...] = ()
    new_card: Form = field(default_factory=Form)
    exchange: Form = field(default_factory=Form)
    leases: tuple[BookLease, ...] = ()
    new_lease: Form = field(default_factory=Form)
    new_lease_id: str = ""
    others: tuple[Choice, ...] = ()  # devices at other homes' own doors
    same_label: str = ""


TEMPLATES["household_new.html"] = (NewHomePage, "/households/new")
TEMPLATES["household_books.html"] = (BooksPage, "/households/{id}/books")
