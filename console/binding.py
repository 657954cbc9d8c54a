"""How addresses of people come and go: codes and typed addresses enter, bound addresses leave, each with its proof.

An address somebody typed is used when the code that was sent to it came back; an openid is bound by the scan itself.
Codes are stored as hashes, hold for a while of wall time and for a few guesses.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alerts.sending.addresses import AddressBook
from alerts.sending.outbox import make_token, write_single
from alerts.sending.recipients import Address
from kaimen.database import Connection, queries

_SQL = queries("console", "channels.sql")

ADDRESSES_MAX = 10
PAGE_LIVES = timedelta(days=3)
SCENE_LIVES = timedelta(minutes=30)
PROOF_LIVES = timedelta(minutes=10)
_TRIES_MAX = 5
_OWN_MESSAGES_MAX = 5
_OWN_MESSAGES_WINDOW = timedelta(hours=1)
LANGUAGES = ("", "zh-CN", "en")

_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{3,24}[0-9]", re.ASCII)
_MAIL = re.compile(r"[^@\s<>\"',;]{1,64}@[A-Za-z0-9.-]{1,180}\.[A-Za-z]{2,}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.@-]{2,64}", re.ASCII)
_TOPIC = re.compile(r"[A-Za-z0-9_-]{12,64}", re.ASCII)


class BindingError(ValueError):
    """What was typed is refused; ``word`` stands below ``error.`` in the catalogues."""

    def __init__(self, field: str, word: str) -> None:
        super().__init__(word)
        self.field = field
        self.word = word


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose addresses they are: a contact, somebody who signs in, or a community's group."""

    person_id: str | None = None
    user_id: int | None = None
    community_id: str | None = None

    @property
    def recipient(self) -> str:
        if self.community_id is not None:
            return f"community:{self.community_id}"
        return f"person:{self.person_id}" if self.person_id is not None else f"user:{self.user_id}"

    def columns(self) -> dict[str, Any]:
        return {
            "person_id": self.person_id,
            "user_id": self.user_id,
            "community_id": self.community_id,
            "recipient": self.recipient,
        }


@dataclass(frozen=True, slots=True)
class Preferences:
    """How somebody wants to be told on one address."""

    language: str = ""
    zone: str = "Asia/Shanghai"
    quiet_from: time | None = None
    quiet_until: time | None = None
    digest: bool = False
    position: int = 1


def check_address(channel: str, address: str) -> str:
    """Return an address as it is stored.

    Raises
    ------
    BindingError
        If it is not one of this channel.
    """
    address = address.strip()
    if channel.startswith(("sms_", "voice")):
        pattern, word = _PHONE, "not_a_phone"
    elif channel == "email":
        pattern, word = _MAIL, "not_a_mail_address"
    elif channel == "ntfy":
        pattern, word = _TOPIC, "not_a_topic"
    else:
        pattern, word = _WORD, "not_an_address"
    if not pattern.fullmatch(address):
        raise BindingError("address", word)
    return address


def parse_preferences(form: Mapping[str, str]) -> Preferences:
    """Read a form.

    Raises
    ------
    BindingError
        If a language, a zone, a time or a place in the order is none.
    """
    language, zone = form.get("language", ""), form.get("zone", "") or "Asia/Shanghai"
    if language not in LANGUAGES:
        raise BindingError("language", "not_valid")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise BindingError("zone", "not_a_zone") from None
    begin, end = _time(form, "quiet_from"), _time(form, "quiet_until")
    if (begin is None) != (end is None):
        raise BindingError("quiet_until" if end is None else "quiet_from", "both_or_neither")
    position = form.get("position", "") or "1"
    if not position.isdecimal() or not 1 <= int(position) <= ADDRESSES_MAX:
        raise BindingError("position", "not_valid")
    return Preferences(language, zone, begin, end, form.get("digest") == "yes", int(position))


def _time(form: Mapping[str, str], name: str) -> time | None:
    text = form.get(name, "").strip()
    try:
        return time.fromisoformat(text).replace(second=0, microsecond=0, tzinfo=None) if text else None
    except ValueError:
        raise BindingError(name, "not_a_time") from None


def hash_code(code: str) -> bytes:
    return hashlib.sha256(code.strip().lower().encode()).digest()


def make_code(
    connection: Connection,
    owner: Owner,
    kind: str,
    *,
    wall: datetime,
    made_by: str,
    channel_id: int | None = None,
) -> str:
    """Store a new code's hash and return the code, once: of a page, of a scan, or the proof of one address."""
    lives = {"page": PAGE_LIVES, "scene": SCENE_LIVES, "proof": PROOF_LIVES}[kind]
    code = f"{secrets.randbelow(10**6):06d}" if kind == "proof" else make_token()
    if kind == "scene":
        code = base64.b32encode(secrets.token_bytes(5)).decode().lower()
    stored = f"{channel_id}:{code}" if kind == "proof" else code
    values = {
        **owner.columns(), "code_hash": hash_code(stored), "kind": kind, "channel_id": channel_id, "wall": wall,
        "expires_at": wall + lives, "made_by": made_by,
    }  # fmt: skip
    connection.execute(_SQL["add_code"], values)
    return code


def find_owner(connection: Connection, code: str, kind: str, *, wall: datetime, use: bool) -> Owner | None:
    """Return whose code it is; None where it is unknown, used or too old. ``use`` makes it the last time."""
    args = {"code_hash": hash_code(code), "kind": kind, "wall": wall, "tries_max": _TRIES_MAX}
    row = connection.execute(_SQL["find_code"], args).fetchone()
    if row is None or (use and connection.execute(_SQL["use_code"], args).fetchone() is None):
        return None
    return Owner(row["person_id"], row["user_id"])


def add_address(
    connection: Connection,
    book: AddressBook,
    owner: Owner,
    channel: str,
    address: str,
    *,
    now: datetime,
    added_by: str,
    is_proven: bool,
    preferences: Preferences | None = None,
    position: int | None = None,
) -> tuple[int, bool]:
    """Bind an address; return its id and whether it is new.

    Raises
    ------
    BindingError
        If the owner has too many already.
    """
    row = connection.execute(_SQL["count_addresses"], owner.columns()).fetchone()
    if row and row["count"] >= ADDRESSES_MAX:
        raise BindingError("address", "too_many_addresses")
    chosen = preferences or Preferences()
    values = {
        **owner.columns(), "channel": channel, "address": book.seal(channel, address),
        "address_hash": book.find_hash(channel, address), "position": position, "language": chosen.language,
        "zone": chosen.zone, "quiet_from": chosen.quiet_from, "quiet_until": chosen.quiet_until,
        "digest": chosen.digest, "now": now, "added_by": added_by, "confirmed_at": now if is_proven else None,
    }  # fmt: skip
    added = connection.execute(_SQL["add_address"], values).fetchone()
    assert added is not None
    return int(added["id"]), bool(added["is_new"])


def send_own(
    connection: Connection,
    owner: Owner,
    address_id: int,
    channel: str,
    template: str,
    *,
    now: datetime,
    number: str = "",
) -> None:
    """Send a code or a test to one address of the owner's.

    Raises
    ------
    BindingError
        If too many were sent within the hour.
    """
    args = {"id": address_id, "since": now - _OWN_MESSAGES_WINDOW}
    row = connection.execute(_SQL["count_own_messages"], args).fetchone()
    if row and row["count"] >= _OWN_MESSAGES_MAX:
        raise BindingError("", "too_many_attempts")
    write_single(
        connection, step=template, address=Address(address_id, owner.recipient, channel), key=f"own_{make_token()}",
        template=template, now=now, args={"number": number},
    )  # fmt: skip


def prove(
    connection: Connection, owner: Owner, address_id: int, code: str, *, now: datetime, wall: datetime
) -> bool:
    """Take the code that was sent to an address; say whether it was the right one."""
    stored = f"{address_id}:{code.strip()}"
    if find_owner(connection, stored, "proof", wall=wall, use=True) != owner:
        connection.execute(_SQL["wrong_code"], {"channel_id": address_id})
        return False
    connection.execute(_SQL["confirm_address"], {"id": address_id, "now": now})
    return True
