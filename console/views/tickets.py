"""What the pages about look-ups, their audit and the public's figures show: frozen view-models, read by templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from console.views.registry import TEMPLATES

if TYPE_CHECKING:
    from console.views.log import LogRow
    from console.views.parts import Choice, Form


@dataclass(frozen=True, slots=True)
class TicketView:
    """A look-up as police see it; ``subject`` is whole for who asked and who decides, masked for others."""

    id: int
    number: str
    at: datetime
    asker: str
    state: str  # asked, granted, refused, withdrawn, over
    purpose: str
    document_number: str
    basis: str
    door: str
    buildings: tuple[str, ...]
    unit: str
    subject: str
    from_at: datetime
    to_at: datetime
    limits: tuple[str, ...] = ()
    emergency: bool = False
    reason: str = ""
    decider: str = ""
    decided_at: datetime | None = None
    decision_reason: str = ""
    review_due_at: datetime | None = None
    review_overdue: bool = False
    reviewer: str = ""
    reviewed_at: datetime | None = None
    review: str = ""
    review_reason: str = ""
    delayed_until: datetime | None = None
    readings: int = 0


@dataclass(frozen=True, slots=True)
class LookUpPage:
    """The form, or the rows of a ticket under a watermark; ``refused`` says why nothing is asked or shown."""

    form: Form
    purposes: tuple[str, ...]
    bases: tuple[str, ...]
    doors: tuple[Choice, ...] = ()
    buildings: tuple[Choice, ...] = ()
    chosen_buildings: tuple[str, ...] = ()
    units: tuple[Choice, ...] = ()
    left_today: int = 0
    refused: str = ""
    ticket: TicketView | None = None
    rows: tuple[LogRow, ...] = ()
    watermark: str = ""
    older_url: str | None = None
    newer_url: str | None = None


@dataclass(frozen=True, slots=True)
class TicketsPage:
    """``mine`` of an officer; ``waiting`` for somebody else's word; ``reviews`` owed of emergencies."""

    mine: tuple[TicketView, ...]
    waiting: tuple[TicketView, ...]
    reviews: tuple[TicketView, ...]
    overdue: int = 0
    asks: bool = True
    recent: tuple[TicketView, ...] = ()  # of everybody, for a supervisor


@dataclass(frozen=True, slots=True)
class ReadingRow:
    at: datetime
    reader: str
    result: str
    row_count: int


@dataclass(frozen=True, slots=True)
class TicketPage:
    """One ticket with what this reader may do to it."""

    ticket: TicketView
    readings: tuple[ReadingRow, ...] = ()
    form: Form | None = None
    may_answer: bool = False
    may_grant: bool = False
    may_review: bool = False
    may_withdraw: bool = False
    may_read: bool = False


@dataclass(frozen=True, slots=True)
class DrawnLook:
    """One look an auditor is asked about."""

    id: int
    at: datetime
    who: str
    role: str
    action: str
    purpose: str
    subject: str = ""
    ticket: str = ""
    document_number: str = ""
    row_count: int | None = None
    noted: bool = False
    mark: str = ""
    reason: str = ""
    marker: str = ""
    marked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PeerRow:
    who: str
    role: str
    count: int
    peers: float


@dataclass(frozen=True, slots=True)
class HomeRow:
    label: str
    people: int
    looks: int


@dataclass(frozen=True, slots=True)
class QuickRow:
    number: str
    at: datetime
    who: str
    role: str
    within_s: int


@dataclass(frozen=True, slots=True)
class OutsideRow:
    at: datetime
    ticket: str
    database_user: str
    row_count: int


@dataclass(frozen=True, slots=True)
class ChainStanding:
    """The chain of the audit as a walk along it just found it; ``sound`` is None where it is too long to walk here."""

    count: int
    sound: bool | None
    broken_id: int | None
    head: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AuditPage:
    """The auditor's page: looks drawn at random and what stands out; ``form`` belongs to ``form_id``."""

    looks: tuple[DrawnLook, ...]
    share: float
    above: tuple[PeerRow, ...] = ()
    homes: tuple[HomeRow, ...] = ()
    quick: tuple[QuickRow, ...] = ()
    outside: tuple[OutsideRow, ...] = ()
    reviews: tuple[TicketView, ...] = ()
    overdue: int = 0
    form: Form | None = None
    form_id: int = 0
    chain: ChainStanding | None = None


@dataclass(frozen=True, slots=True)
class PublicMonth:
    """Counts of one month; None: fewer than five, nought included."""

    month: str
    by_purpose: tuple[tuple[str, int | None], ...]
    refused: int | None
    emergencies: int | None
    delayed: int | None


@dataclass(frozen=True, slots=True)
class TransparencyPage:
    """Figures for everybody; ``communities`` to choose from where none is chosen."""

    community: str = ""
    purposes: tuple[str, ...] = ()
    months: tuple[PublicMonth, ...] = ()
    overdue: int | None = None
    communities: tuple[Choice, ...] = ()


TEMPLATES["look_up.html"] = (LookUpPage, "/police/look-up")  # ?ticket= ?place=
TEMPLATES["tickets.html"] = (TicketsPage, "/police/tickets")
TEMPLATES["ticket.html"] = (TicketPage, "/police/tickets/{id}")
TEMPLATES["audit.html"] = (AuditPage, "/audit")
TEMPLATES["transparency.html"] = (TransparencyPage, "/transparency")  # ?community=; nobody need be signed in
