"""What stands on the pages of tests and of policies, as frozen dataclasses: what waits for a second person, and what runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from console.views.parts import Choice, Form
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something asked; ``own``: by the reader, who may take it back and nothing else."""

    id: int
    url: str  # what ends in /agree or /refuse is posted here
    reason: str
    asker: str
    asked_at: datetime
    expires_at: datetime
    own: bool
    subject: str  # a device or a policy
    place: str = ""
    until_at: datetime | None = None
    hours: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RunningTest:
    id: int
    url: str  # what ends in /end is posted here
    device: str
    place: str
    reason: str
    asker: str
    decider: str
    until_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceTestsPage:
    waiting: tuple[Waiting, ...]
    running: tuple[RunningTest, ...]
    hours: tuple[int, ...]
    wall_now: datetime
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    id: str
    version: int
    hours: tuple[float, ...]
    valid_from: datetime | None
    homes: int


@dataclass(frozen=True, slots=True)
class PoliciesPage:
    """``may_ask``: who looks after one community reads them, for a policy is everybody's."""

    rows: tuple[PolicyRow, ...]
    waiting: tuple[Waiting, ...]
    wall_now: datetime
    may_ask: bool = True
    form: Form = field(default_factory=Form)


TEMPLATES["device_tests.html"] = (DeviceTestsPage, "/devices/tests")  # ?device=
TEMPLATES["policies.html"] = (PoliciesPage, "/admin/policies")


@dataclass(frozen=True, slots=True)
class WaitingMove:
    """A home that is to be moved; ``asker`` empty: an import asked. ``what`` is policy or category."""

    id: int
    url: str
    label: str
    home_url: str
    what: str
    before: str
    after: str
    reason: str
    asker: str
    asked_at: datetime
    expires_at: datetime
    own: bool
    person: str = ""  # whose care category, where several live there; masked


@dataclass(frozen=True, slots=True)
class ChangedNumber:
    """A telephone number that was changed and does not count yet; numbers and names are masked but where they were
    asked for (``shown``). ``own``: the reader told the old number, and somebody else confirms.
    """

    id: int
    url: str
    label: str
    home_url: str
    name: str
    new_phone: str
    old_phone: str
    told_at: datetime | None
    teller: str
    confirmed_at: datetime | None
    trusted_from: datetime | None
    own: bool = False
    shown: bool = False
    told_how: str = ""


@dataclass(frozen=True, slots=True)
class SecondPersonPage:
    """Changed numbers before whoever is the second person without being of the desk."""

    numbers: tuple[ChangedNumber, ...]
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class AgreementsPage:
    """What waits for a second person about homes and numbers; ``may_open``: the reader enters homes' own pages."""

    moves: tuple[WaitingMove, ...]
    numbers: tuple[ChangedNumber, ...]
    policies: tuple[str, ...]
    categories: tuple[str, ...]
    may_open: bool
    form: Form = field(default_factory=Form)
    how_told: tuple[str, ...] = ()
    residents: tuple[
        Choice, ...
    ] = ()  # of whom one is to be chosen, where several live in the home asked about


TEMPLATES["second_person.html"] = (SecondPersonPage, "/second-person")
TEMPLATES["agreements.html"] = (AgreementsPage, "/agreements")
