"""Coming in with a code that was sent: what somebody typed enters, a code goes to an address of hers, a session leaves.

For relatives and residents, who come once a month and remember no password; nobody else is ever sent one. What was typed
is answered alike whether or not anybody is known by it. A code is good once, for ten minutes, in the browser that asked.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts.sending.addresses import AddressBook, normal_address
from alerts.sending.outbox import make_token, write_single
from alerts.sending.recipients import Address
from console.binding import BindingError, check_address
from console.identity import attempts
from console.identity.second_factor import FactorRule
from console.identity.sessions import (
    Asker,
    CodeAwaited,
    Opened,
    Refused,
    SignInRefusal,
    Transact,
    await_code,
    complete,
    hash_password,
    hash_token,
    place_of,
    viewer_of,
)
from kaimen.database import Connection, queries

_SQL = queries("console", "identity.sql")
_OUTBOX = queries("alerts.sending", "outbox.sql")

CODE_LIVES = timedelta(minutes=10)
TRIES_MAX = 5
#: Whoever asks again so soon in the same browser has the code on its way already.
ASKED_AGAIN = timedelta(minutes=1)
#: To one person: a stranger who knows a number neither guesses nor molests, nor uses up what a provider takes for it (five
#: in an hour, ten in a day), which is there for alarms.
PERSON_HOUR_MAX = 2
PERSON_DAY_MAX = 4
#: From one place; the telephones of a whole network may share one.
PLACE_HOUR_MAX = 60
#: To all together: what a provider takes in an hour is there for alarms first.
ALL_HOUR_MAX = 600
PLACE_WAIT = timedelta(minutes=1)
_LOCK = 7_241_061
#: Channels that take no text of ours, or ring.
_NOT_SENT_BY = ("wechat", "voice")


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asked; the token stands in the cookie of her browser, whether or not a code was sent."""

    token: str


def load_channels(connection: Connection) -> list[str]:
    """Return the channels a code can be sent by here; empty where this way in is not offered."""
    rows = connection.execute(_OUTBOX["open_channels"]).fetchall()
    return [row["channel"] for row in rows if row["personal"] and not row["channel"].startswith(_NOT_SENT_BY)]


def _writings(typed: str) -> list[str]:
    """A telephone number with and without the country: people leave it out, offices do not."""
    digits = "".join(sign for sign in typed if sign not in " -()")
    for prefix in ("+86", "0086"):
        if digits.startswith(prefix):
            return [typed, digits[len(prefix) :], f"+86{digits[len(prefix) :]}"]
    return [typed, f"+86{digits}"] if digits.isdecimal() else [typed]


def _hashes(book: AddressBook, channels: list[str], typed: str) -> list[bytes]:
    found = []
    for channel in channels:
        for writing in _writings(typed):
            try:
                found.append(book.find_hash(channel, check_address(channel, writing)))
            except BindingError:
                continue
    return found


def ask(
    connection: Connection, *, typed: str, token: str, asker: Asker, book: AddressBook, key: bytes,
    now: datetime, community_now: datetime,
) -> Asked | Refused:  # fmt: skip
    """Send a code to whom ``typed`` means: a sign-in name, a telephone number or a mail address.

    ``token`` is that of the browser's last request, or empty; ``now`` is wall time, ``community_now`` the messages'.
    """
    typed = typed.strip()
    place = attempts.address_group(asker.address)
    channels = load_channels(connection)
    values = {"name": typed, "hashes": _hashes(book, channels, typed), "channels": channels}
    readers = connection.execute(_SQL["sent_readers"], values).fetchall()
    # Two people with one telephone: whose page it would be is not guessed.
    reader = readers[0] if len(readers) == 1 else None
    for what in (f"place:{place}", *([f"user:{reader['id']}"] if reader else [])):
        connection.execute(_SQL["sent_lock"], {"lock": _LOCK, "what": what})
    asked_hash = _keyed(f"asked:{normal_address(typed)}", key)
    if token and _stands(connection, token, asked_hash, now):
        return Asked(token)
    counts = _counts(connection, place, reader, now)
    if counts["of_place"] >= PLACE_HOUR_MAX or counts["of_all"] >= ALL_HOUR_MAX:
        return Refused(SignInRefusal.WAIT, PLACE_WAIT)
    token, code = secrets.token_urlsafe(32), f"{secrets.randbelow(10**6):06d}"
    if counts["of_hour"] >= PERSON_HOUR_MAX or counts["of_day"] >= PERSON_DAY_MAX:
        reader = None
    row = {
        "token_hash": hash_token(token), "user_id": reader["id"] if reader else None,
        "address_id": reader["address_id"] if reader else None, "asked_hash": asked_hash,
        "code_hash": _keyed(f"sent code:{token}:{code}", key),
        "place": place, "now": now, "expires_at": now + CODE_LIVES,
    }  # fmt: skip
    connection.execute(_SQL["sent_make"], row)
    if reader is not None:
        _send(connection, reader, code, community_now)
    return Asked(token)


def _stands(connection: Connection, token: str, asked_hash: bytes, now: datetime) -> bool:
    """Say whether the same was asked for in this browser a moment ago; never by whom it means, which would tell it."""
    values = {
        "token_hash": hash_token(token), "asked_hash": asked_hash, "since": now - ASKED_AGAIN, "tries_max": TRIES_MAX,
    }  # fmt: skip
    return connection.execute(_SQL["sent_standing"], values).fetchone() is not None


def _counts(
    connection: Connection, place: str, reader: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    values = {
        "place": place, "user_id": reader["id"] if reader else None, "address_id": reader["address_id"] if reader else None,
        "hour": now - timedelta(hours=1), "day": now - timedelta(days=1),
    }  # fmt: skip
    row = connection.execute(_SQL["sent_counts"], values).fetchone()
    assert row is not None
    return row


def _send(connection: Connection, reader: dict[str, Any], code: str, now: datetime) -> None:
    language = reader["address_language"] or ("en" if reader["language"] == "en" else "zh-CN")
    address = Address(reader["address_id"], f"user:{reader['id']}", reader["channel"], language=language)
    # Never held until morning: she sits before the page.
    write_single(
        connection, step="proof", address=address, key=f"own_{make_token()}", template="proof", now=now,
        args={"number": code},
    )  # fmt: skip


def _keyed(words: str, key: bytes) -> bytes:
    return hmac.digest(key or b"kaimen", words.encode(), "sha256")


def is_awaited(connection: Connection, token: str, *, now: datetime) -> bool:
    """Say whether a code may still be typed in the browser with this token."""
    values = {"token_hash": hash_token(token), "now": now, "tries_max": TRIES_MAX}
    return bool(token) and connection.execute(_SQL["sent_find"], values).fetchone() is not None


def check(
    transact: Transact, *, token: str, code: str, asker: Asker, rule: FactorRule, key: bytes, now: datetime,
    community_now: datetime,
) -> Opened | CodeAwaited | Refused | None:  # fmt: skip
    """Take a code; None where none is awaited in this browser any more.

    A right one proves its address. A first password that somebody handed over ends with it, unused.
    """
    values = {"token_hash": hash_token(token), "now": now, "tries_max": TRIES_MAX}
    typed = "".join(code.split())
    with transact() as connection:
        row = connection.execute(_SQL["sent_try"], values).fetchone()
        if row is None:
            return None
        found = connection.execute(_SQL["sent_reader"], row).fetchone()
        fits = hmac.compare_digest(bytes(row["code_hash"]), _keyed(f"sent code:{token}:{typed}", key))
        if not fits or found is None:
            if found is not None:
                # Never a reason to wait, which would tell that somebody is known: she is told of it when she comes in.
                place, _ = place_of(connection, found["name"], asker, now)
                attempts.begin(
                    connection, name=found["name"], place=f"sent:{place}:{token[:8]}", now=now, shared=False
                )
            return Refused(SignInRefusal.WRONG)
        connection.execute(_SQL["sent_used"], values)
        connection.execute(_SQL["sent_read"], {"address_id": row["address_id"], "code": typed})
    unused = hash_password(secrets.token_urlsafe(32)) if found["password_due"] else None
    with transact() as connection:
        if unused:
            of_her = {"user_id": found["id"], "password_hash": unused, "due": False}
            connection.execute(_SQL["password_change"], of_her)
        connection.execute(_SQL["sent_proves"], {"address_id": row["address_id"], "now": community_now})
        viewer = viewer_of(connection, found)
        if found["has_factor"]:
            return await_code(connection, viewer, now=now)
        return complete(connection, viewer, asker=asker, rule=rule, now=now)
