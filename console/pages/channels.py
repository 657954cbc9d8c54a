"""People's addresses: forms of whoever they belong to enter, bound addresses leave; the desk invites and sees none.

Three doors to the same page: one's own account, a link the desk gave a contact, and for administrators the state of
every provider without anybody's address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from alerts.channels import ChannelSettingsError, DeliveryError
from alerts.channels import wechat as wechat_channel
from alerts.sending.addresses import AddressBook, AddressKeyError, mask_address, open_address_book
from console import binding, inbound_paths, refusal_words
from console.audit import chain as audit
from console.binding import BindingError, Owner
from console.identity import sent_codes
from console.loaders.households import load_households
from console.rendering import render
from console.scope import Section
from console.seat import (
    CheckedForm,
    Seat,
    SignedIn,
    check_origin,
    entering,
    not_here,
    outer_shell,
)
from console.services import Services, services_of
from console.views import channels as channels_views
from console.views import parts as view_parts
from kaimen.database import Connection, queries
from kaimen.logs import get_logger
from kaimen.settings import AlertsSettings

router = APIRouter()
log = get_logger()

_SQL = queries("console", "channels.sql")
_OUTBOX = queries("alerts.sending", "outbox.sql")

AdminGuard = Annotated[Seat, Depends(entering(Section.ADMIN))]
DeskGuard = Annotated[Seat, Depends(entering(Section.HOUSEHOLDS))]
AddressId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Code = Annotated[str, Path(pattern="^[a-z2-7]{16}$")]
Text = Annotated[str, Form(max_length=300)]


def book_of(services: Services) -> AddressBook:
    return open_address_book(services.settings.address_key_file)


# --- the state of providers --------------------------------------------------------------------------------------


@router.get("/admin/channels")
def channels(seat: AdminGuard) -> Response:
    with seat.transaction() as connection:
        return _channels(connection, seat)


def _channels(connection: Connection, seat: Seat, *, shown_url: str | None = None) -> Response:
    wall = seat.services.wall_now()
    rows = tuple(channel_row(row, wall) for row in load_overview(connection, now=seat.now))
    inbound = tuple(
        channels_views.InboundRow(one.provider, one.made_at, one.used_at, one.older_until)
        for one in inbound_paths.load_states(connection, wall=wall)
    )
    sealed = seat.services.settings.address_key_file is not None
    page = channels_views.ChannelsPage(rows, sealed, inbound, shown_url)
    return seat.answer(connection, "channels.html", page, section=Section.ADMIN, path="/admin/channels")


@router.post("/admin/channels/{provider}/address", dependencies=[CheckedForm])
def new_address(seat: AdminGuard, provider: Annotated[str, Path(max_length=40)]) -> Response:
    """Make the address a provider's receipts come to; it is on this answer and nowhere else."""
    if provider not in inbound_paths.PROVIDERS:
        raise not_here()
    with seat.transaction() as connection:
        path = inbound_paths.make_path(
            connection, provider, by=f"user:{seat.viewer.user_id}", wall=seat.services.wall_now()
        )
        seat.audit(
            connection,
            "inbound_path_made",
            purpose="administration",
            object_kind="channel",
            object_id=provider,
        )
        return _channels(connection, seat, shown_url=f"{seat.services.settings.public_url.rstrip('/')}{path}")


def load_overview(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    """Return how every channel has fared in the last day of community time."""
    args = {"now": now, "since": now - timedelta(days=1)}
    return connection.execute(_OUTBOX["channel_overview"], args).fetchall()


def channel_row(row: Mapping[str, Any], wall: datetime) -> channels_views.ChannelRow:
    """Return a row with its state in one word."""
    if row["opened_at"] is None:
        state = "gone"
    elif row["paused_until"] is not None and row["paused_until"] > wall:
        state = "paused"
    elif row["failures_in_row"]:
        state = "refused"
    else:
        state = "ok" if row["last_ok_at"] is not None else "never"
    names = (
        "personal", "last_ok_at", "last_refusal_at", "last_refusal", "failures_in_row", "paused_until", "waiting",
        "waiting_since", "uncertain", "failed", "addresses",
    )  # fmt: skip
    word = refusal_words.word_of(row["last_refusal"] or "")
    return channels_views.ChannelRow(
        row["channel"], state, refusal_word=word, **{name: row[name] for name in names}
    )


# --- one's own addresses -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Desk:
    """Whoever looks after her own addresses, signed in or by a link."""

    request: Request
    services: Services
    owner: Owner
    base: str
    seat: Seat | None

    @property
    def now(self) -> datetime:
        return self.services.now()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self.seat.transaction() if self.seat else self.services.transaction() as connection:
            yield connection

    def note(self, connection: Connection, action: str, address_id: int, channel: str) -> None:
        """Write down what was done; never the address."""
        actor, role = self.owner.recipient, "family"
        if self.seat is not None:
            actor, role = f"user:{self.seat.viewer.user_id}", self.seat.viewer.role.value
        community = self.seat.viewer.community_id if self.seat else None
        entry = audit.Entry(
            self.now, actor, role, action, "administration", "address", str(address_id),
            {"channel": channel, "community": community},
        )  # fmt: skip
        audit.append(connection, entry, key=self.services.audit_key)

    def answer(
        self, connection: Connection, page: channels_views.MyChannelsPage, status: int = 200
    ) -> Response:
        if self.seat is not None:
            return self.seat.answer(connection, "my_channels.html", page, status=status, path=self.base)
        shell = outer_shell(self.request)
        return HTMLResponse(render("my_channels.html", shell=shell, page=page), status)

    def go(self, notice: str) -> Response:
        if self.seat is not None:
            return self.seat.go(self.base, notice)
        return RedirectResponse(self.base, 303)


def own_desk(request: Request, seat: SignedIn) -> Desk:
    return Desk(request, seat.services, Owner(user_id=seat.viewer.user_id), "/my/channels", seat)


def linked_desk(request: Request, code: Code) -> Desk:
    services = services_of(request)
    if request.method != "GET":
        check_origin(request, services)
    with services.transaction() as connection:
        owner = binding.find_owner(connection, code, "page", wall=services.wall_now(), use=False)
    if owner is None:
        raise not_here()
    return Desk(request, services, owner, f"/bind/{code}", None)


OwnDesk = Annotated[Desk, Depends(own_desk)]
LinkedDesk = Annotated[Desk, Depends(linked_desk)]


def _page(
    connection: Connection,
    desk: Desk,
    form: view_parts.Form | None = None,
    refused: tuple[int, view_parts.Form] | None = None,
) -> channels_views.MyChannelsPage:
    """Make the page; ``form`` is the refused one of a new address, ``refused`` that of one there is."""
    book = book_of(desk.services)
    rows = connection.execute(_SQL["addresses_of"], desk.owner.columns()).fetchall()
    names = [row["channel"] for row in connection.execute(_OUTBOX["open_channels"]) if row["personal"]]
    typed = tuple(name for name in names if name != "wechat")
    code = scan = ""
    if "wechat" in names and not any(row["channel"] == "wechat" for row in rows):
        wall = desk.services.wall_now()
        code = binding.make_code(connection, desk.owner, "scene", wall=wall, made_by=desk.owner.recipient)
        scan = make_scan(desk.services, code)
    shown = tuple(
        _address_row(book, row, refused[1] if refused and refused[0] == row["id"] else None) for row in rows
    )
    return channels_views.MyChannelsPage(desk.base, shown, typed, form or view_parts.Form(), code, scan)


def _address_row(
    book: AddressBook, row: Mapping[str, Any], refused: view_parts.Form | None
) -> channels_views.AddressRow:
    try:
        masked = mask_address(book.open(row["channel"], row["address"]))
    except AddressKeyError:
        masked = "•••"
    values = {
        "language": row["language"],
        "zone": row["zone"],
        "quiet_from": f"{row['quiet_from']:%H:%M}" if row["quiet_from"] else "",
        "quiet_until": f"{row['quiet_until']:%H:%M}" if row["quiet_until"] else "",
        "position": str(row["position"]),
    }
    return channels_views.AddressRow(
        row["id"], row["channel"], masked, row["confirmed_at"] is not None, row["added_by"] == "import",
        view_parts.Form({**values, **refused.values}, refused.errors) if refused else view_parts.Form(values),
        refused.values["digest"] == "yes" if refused and "digest" in refused.values else row["digest"],
    )  # fmt: skip


def make_scan(services: Services, code: str) -> str:
    """Return what the account's QR code holds, empty where the platform does not give one now.

    The console asks the platform itself, with the same settings the alerts service has.
    """
    try:
        channel = wechat_channel.open_channel(AlertsSettings())
        if not isinstance(channel, wechat_channel.WechatChannel) or (
            services.settings.demo and channel.is_real
        ):
            return ""
        wall_s = int(services.wall_now().timestamp())
        return channel.make_scene(code, lives_s=int(binding.SCENE_LIVES.total_seconds()), now_s=wall_s)
    except (DeliveryError, ChannelSettingsError) as error:
        log.warning("no code of the account", error=type(error).__name__)
        return ""


def show(desk: Desk) -> Response:
    with desk.transaction() as connection:
        return desk.answer(connection, _page(connection, desk))


def add(desk: Desk, channel: str, address: str) -> Response:
    """Bind a typed address and send it the code that proves it."""
    with desk.transaction() as connection:
        page = _page(connection, desk)
        try:
            with connection.transaction():
                if channel not in page.channels:
                    raise BindingError("channel", "not_valid")
                _add(connection, desk, channel, binding.check_address(channel, address))
        except BindingError as error:
            form = view_parts.Form({"channel": channel, "address": address}, {error.field: error.word})
            return desk.answer(connection, _page(connection, desk, form), 422)
    return desk.go("notice.code_sent")


def _add(connection: Connection, desk: Desk, channel: str, address: str) -> None:
    address_id, is_new = binding.add_address(
        connection, book_of(desk.services), desk.owner, channel, address, now=desk.now, added_by="self",
        is_proven=False,
    )  # fmt: skip
    _send_code(connection, desk, address_id, channel)
    if is_new:
        desk.note(connection, "address_added", address_id, channel)


def _send_code(connection: Connection, desk: Desk, address_id: int, channel: str) -> None:
    code = binding.make_code(
        connection, desk.owner, "proof", wall=desk.services.wall_now(), made_by=desk.owner.recipient,
        channel_id=address_id,
    )  # fmt: skip
    binding.send_own(connection, desk.owner, address_id, channel, "proof", now=desk.now, number=code)


def change(desk: Desk, address_id: int, act: str, form: Mapping[str, str]) -> Response:
    """Prove, prefer, test or end one of one's own addresses, or have its code sent once more."""
    with desk.transaction() as connection:
        args = {"id": address_id, **desk.owner.columns()}
        row = connection.execute(_SQL["address_by_id"], args).fetchone()
        if row is None or act not in _ACTS:
            raise not_here()
        try:
            with connection.transaction():
                _ACTS[act](connection, desk, row, form)
        except BindingError as error:
            # What was typed of her wishes stays; a code is typed anew.
            typed = {} if act == "prove" else {name: form.get(name, "") for name in _WISHES}
            refused = view_parts.Form(typed, {error.field: error.word})
            # Outside of the savepoint: a wrong guess has to be counted.
            if act == "prove":
                binding.prove(
                    connection, desk.owner, address_id, "", now=desk.now, wall=desk.services.wall_now()
                )
            return desk.answer(connection, _page(connection, desk, refused=(address_id, refused)), 422)
    return desk.go("notice.code_sent" if act == "code" else f"notice.address_{act}")


def _prove(connection: Connection, desk: Desk, row: Mapping[str, Any], form: Mapping[str, str]) -> None:
    wall = desk.services.wall_now()
    if not binding.prove(connection, desk.owner, row["id"], form.get("proof", ""), now=desk.now, wall=wall):
        raise BindingError("proof", "wrong_code")
    desk.note(connection, "address_confirmed", row["id"], row["channel"])


def _code(connection: Connection, desk: Desk, row: Mapping[str, Any], _form: Mapping[str, str]) -> None:
    """Send a code to an address that waits for one: the office entered it, or the last one is too old."""
    if row["confirmed_at"] is not None:
        raise not_here()
    _send_code(connection, desk, row["id"], row["channel"])


def _prefer(connection: Connection, desk: Desk, row: Mapping[str, Any], form: Mapping[str, str]) -> None:
    chosen = binding.parse_preferences(form)
    values = {
        "language": chosen.language, "zone": chosen.zone, "quiet_from": chosen.quiet_from,
        "quiet_until": chosen.quiet_until, "digest": chosen.digest, "position": chosen.position,
    }  # fmt: skip
    connection.execute(_SQL["prefer_address"], {**values, "id": row["id"], **desk.owner.columns()})


def _test(connection: Connection, desk: Desk, row: Mapping[str, Any], _form: Mapping[str, str]) -> None:
    binding.send_own(connection, desk.owner, row["id"], row["channel"], "test", now=desk.now)


def _end(connection: Connection, desk: Desk, row: Mapping[str, Any], _form: Mapping[str, str]) -> None:
    args = {"id": row["id"], "now": desk.now, "by": "self", **desk.owner.columns()}
    connection.execute(_SQL["end_address"], args)
    desk.note(connection, "address_ended", row["id"], row["channel"])


_WISHES = ("position", "language", "quiet_from", "quiet_until", "zone", "digest")
_ACTS = {"prove": _prove, "code": _code, "prefer": _prefer, "test": _test, "end": _end}


def _form(
    proof: Text = "", language: Text = "", zone: Text = "", quiet_from: Text = "", quiet_until: Text = "",
    digest: Text = "", position: Text = "",
) -> dict[str, str]:  # fmt: skip
    return {
        "proof": proof, "language": language, "zone": zone, "quiet_from": quiet_from, "quiet_until": quiet_until,
        "digest": digest, "position": position,
    }  # fmt: skip


TypedForm = Annotated[dict[str, str], Depends(_form)]


@router.get("/my/channels")
def my_channels(desk: OwnDesk) -> Response:
    return show(desk)


@router.post("/my/channels/add", dependencies=[CheckedForm])
def my_add(desk: OwnDesk, channel: Text = "", address: Text = "") -> Response:
    return add(desk, channel, address)


@router.post("/my/channels/{address_id}/{act}", dependencies=[CheckedForm])
def my_change(desk: OwnDesk, address_id: AddressId, act: str, form: TypedForm) -> Response:
    return change(desk, address_id, act, form)


@router.get("/bind/{code}")
def bind(desk: LinkedDesk) -> Response:
    return show(desk)


@router.post("/bind/{code}/add")
def bind_add(desk: LinkedDesk, channel: Text = "", address: Text = "") -> Response:
    return add(desk, channel, address)


@router.post("/bind/{code}/{address_id}/{act}")
def bind_change(desk: LinkedDesk, address_id: AddressId, act: str, form: TypedForm) -> Response:
    return change(desk, address_id, act, form)


# --- the desk invites ----------------------------------------------------------------------------------------------


@router.get("/households/{household_id}/contacts")
def contacts(seat: DeskGuard, household_id: Annotated[str, Path(max_length=100)]) -> Response:
    with seat.transaction() as connection:
        return show_contacts(connection, seat, household_id)


def show_contacts(
    connection: Connection, seat: Seat, household_id: str, *, link: str = "", link_for: str = "",
    opened: channels_views.Opened | None = None, refused: str = "",
) -> Response:  # fmt: skip
    found = load_households(connection, seat.reader(connection), [household_id]).get(household_id)
    if found is None:
        raise not_here()
    of_home = {"household_id": household_id}
    rows = connection.execute(_SQL["contacts_of_household"], of_home).fetchall()
    may_open = bool(sent_codes.load_channels(connection))
    shown = tuple(_contact_row(row, f"/households/{household_id}/contacts", may_open) for row in rows)
    told = connection.execute(_SQL["tells_family"], of_home).fetchone() is not None
    page = channels_views.ContactsPage(found.name, shown, link, link_for, opened, refused, told)
    return seat.answer(
        connection, "contacts.html", page, section=Section.HOUSEHOLDS, status=422 if refused else 200,
        path=f"/households/{household_id}/contacts",
    )  # fmt: skip


def _contact_row(row: Mapping[str, Any], base: str, may_open: bool) -> channels_views.ContactRow:
    sign_in = f"{base}/{row['person_id']}/sign-in"
    return channels_views.ContactRow(
        row["person_id"], _masked_name(row["name"]), row["relation_words"], row["addresses"],
        f"{base}/{row['person_id']}/invite", sign_in if may_open and (row["has_phone"] or row["account"]) else "",
        row["account"] or "", row["is_blocked"],
    )  # fmt: skip


def _masked_name(name: str | None) -> str:
    return f"{name[:1]}*" if name else ""


@router.post("/households/{household_id}/contacts/{person_id}/invite", dependencies=[CheckedForm])
def invite(
    seat: DeskGuard,
    household_id: Annotated[str, Path(max_length=100)],
    person_id: Annotated[str, Path(max_length=100)],
) -> Response:
    """Make the link of a contact's own page and show it once, as a QR code to hold out and as text to send."""
    with seat.transaction() as connection:
        rows = connection.execute(_SQL["contacts_of_household"], {"household_id": household_id}).fetchall()
        found = load_households(connection, seat.reader(connection), [household_id]).get(household_id)
        if found is None or person_id not in {row["person_id"] for row in rows}:
            raise not_here()
        code = binding.make_code(
            connection, Owner(person_id=person_id), "page", wall=seat.services.wall_now(),
            made_by=f"user:{seat.viewer.user_id}",
        )  # fmt: skip
        seat.audit(
            connection, "contact_invited", purpose="administration", object_kind="household", object_id=household_id,
            household=household_id,
        )  # fmt: skip
        link = f"{seat.services.settings.public_url.rstrip('/')}/bind/{code}"
        return show_contacts(connection, seat, household_id, link=link, link_for=person_id)
