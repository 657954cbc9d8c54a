"""How the people of a home are spoken to by telephone, as frozen dataclasses for the page of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.parts import Form, HouseholdName
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class PhonePerson:
    """One resident or contact; name and number are masked. ``rung_from``: a machine may ring her since then."""

    id: str
    url: str  # what ends in /profile, /agree or /withdraw is posted here
    name: str
    relation: str
    phone: str
    lives_here: bool
    has_phone: bool
    hard_of_hearing: bool
    rung_from: datetime | None
    agreed_by: str
    shown_number: str
    number_changed: bool
    form: Form


@dataclass(frozen=True, slots=True)
class HomePhonePage:
    household: HouseholdName
    people: tuple[PhonePerson, ...]


TEMPLATES["home_phone.html"] = (HomePhonePage, "/households/{id}/phone")
