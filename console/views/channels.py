"""What the pages about channels show: frozen view-models, filled by the pages, read by templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from console.views.registry import TEMPLATES

if TYPE_CHECKING:
    from console.views.parts import DutyLine, Form, HouseholdName


#: Where families of elders in China live, by their usual zone.
ZONES = (
    "Asia/Shanghai", "Asia/Tokyo", "Asia/Singapore", "Asia/Dubai", "Europe/London", "Europe/Berlin", "America/New_York",
    "America/Chicago", "America/Vancouver", "America/Los_Angeles", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """How one channel has fared; instants are wall time. ``state``: ok, refused, paused, never, gone."""

    name: str
    state: str
    personal: bool
    last_ok_at: datetime | None = None
    last_refusal_at: datetime | None = None
    last_refusal: str = ""
    failures_in_row: int = 0
    paused_until: datetime | None = None
    waiting: int = 0
    waiting_since: datetime | None = None
    uncertain: int = 0
    failed: int = 0
    addresses: int = 0
    refusal_word: str = "other"  # below ``refusal.``


@dataclass(frozen=True, slots=True)
class InboundRow:
    """The address a provider's receipts come to; wall time."""

    provider: str
    made_at: datetime | None
    used_at: datetime | None
    older_until: datetime | None


@dataclass(frozen=True, slots=True)
class ChannelsPage:
    """``sealed``: whether addresses of people lie encrypted; ``shown_url``: a provider's new address, shown once."""

    rows: tuple[ChannelRow, ...]
    sealed: bool
    inbound: tuple[InboundRow, ...] = ()
    shown_url: str | None = None


@dataclass(frozen=True, slots=True)
class AddressRow:
    """One address of the reader's own, masked."""

    id: int
    channel: str
    masked: str
    confirmed: bool
    imported: bool
    form: Form
    digest: bool = False

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones to choose from: those of most families, and her own where it is none of them."""
        own = self.form.values.get("zone", "")
        return ZONES if own in ZONES or not own else (*ZONES, own)


@dataclass(frozen=True, slots=True)
class MyChannelsPage:
    """``base`` is the address forms are sent below; ``scan`` what a QR code of the WeChat account holds."""

    base: str
    rows: tuple[AddressRow, ...]
    channels: tuple[str, ...]
    form: Form
    wechat_code: str = ""
    scan: str = ""


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A contact as the desk sees her: how many addresses, never which."""

    person_id: str
    name: str
    relation: str
    addresses: int
    invite_url: str
    sign_in_url: str = ""  # empty: nothing can be opened or ended
    account: str = ""  # the name she signs in with, where she does
    blocked: bool = False  # the resident shut her out


@dataclass(frozen=True, slots=True)
class Opened:
    """A relative's new sign-in: where she opens it, and the ends of the number her code goes to."""

    name: str
    url: str
    number: str
    account: str


@dataclass(frozen=True, slots=True)
class ContactsPage:
    """``link`` is a contact's new binding page, shown once with its QR code."""

    household: HouseholdName
    rows: tuple[ContactRow, ...]
    link: str = ""
    link_for: str = ""
    opened: Opened | None = None
    refused: str = ""  # a word below ``error.``: why a sign-in was not opened
    told: bool = True  # the resident agreed that the family is told


@dataclass(frozen=True, slots=True)
class SeenPage:
    """A message's own page: ``state`` is ask, thanks or over; nothing about anybody."""

    number: str
    state: str
    token: str
    template: str = "case"
    line: DutyLine | None = None


TEMPLATES["channels.html"] = (ChannelsPage, "/admin/channels")
TEMPLATES["my_channels.html"] = (MyChannelsPage, "/my/channels")
TEMPLATES["contacts.html"] = (ContactsPage, "/households/{id}/contacts")
TEMPLATES["seen.html"] = (SeenPage, "/m/{token}")
