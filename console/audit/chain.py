"""The record of who looked and who acted: an entry enters inside the transaction of the act, a chain leaves.

Each entry's hash covers the one before it and, with the installation's key (kept outside the database), cannot be
made again by somebody who can only write to the database. A chain alone does not show that its end was cut off:
checkpoints kept elsewhere do.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from kaimen.database import Connection, queries

_LOCK = 7_241_003
#: Walking the whole chain at every visit of a page must stay quick; a longer one is for the command line.
CHAIN_CHECKED_MAX = 20_000
GENESIS = hashlib.sha256(b"kaimen audit chain 1").digest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One look or one act; ``actor`` is ``user:ID`` or ``service:NAME``, ``detail`` holds no personal data."""

    at: datetime
    actor: str
    role: str
    action: str
    purpose: str
    object_kind: str
    object_id: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The end of the chain at one moment, to be kept where nobody can change it."""

    entry_id: int
    hash: str


class Fault(StrEnum):
    """What is wrong at the first row that does not follow."""

    CHANGED = "changed"  # its words are not those it was written with, or it was written without the key
    OUT_OF_PLACE = "out_of_place"  # it does not follow the row before: one was taken out, put in or moved


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along the chain found; ``broken_id`` is the first entry that does not follow.

    ``lost`` are checkpoints whose entry the chain no longer has: its end was cut off, or it was written anew.
    """

    count: int
    broken_id: int | None
    lost: tuple[Checkpoint, ...]
    head: Checkpoint | None
    fault: Fault | None = None

    @property
    def truncated(self) -> bool:
        return bool(self.lost)

    @property
    def sound(self) -> bool:
        return self.broken_id is None and not self.lost


def hash_entry(entry: Entry, previous: bytes, key: bytes) -> bytes:
    """Return the entry's hash; with an empty key anybody can check it, with a key only its holder can make it."""
    words = [
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor, entry.role, entry.action, entry.purpose, entry.object_kind, entry.object_id, entry.detail,
    ]  # fmt: skip
    text = json.dumps(words, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key or b"kaimen", previous + text.encode(), "sha256")


def append(connection: Connection, entry: Entry, *, key: bytes) -> int:
    """Write the entry at the end of the chain in the caller's transaction; return its id.

    Writers wait for one another until they commit, so call it last.
    """
    sql = queries("console")
    connection.execute(sql["audit_lock"], {"lock": _LOCK})
    last = connection.execute(sql["audit_last"]).fetchone()
    previous = bytes(last["hash"]) if last else GENESIS
    row = connection.execute(
        sql["audit_append"],
        {
            "at": entry.at,
            "actor": entry.actor,
            "role": entry.role,
            "action": entry.action,
            "purpose": entry.purpose,
            "object_kind": entry.object_kind,
            "object_id": entry.object_id,
            "detail": json.dumps(entry.detail, ensure_ascii=False, sort_keys=True),
            "previous_hash": previous,
            "hash": hash_entry(entry, previous, key),
        },
    ).fetchone()
    assert row is not None
    return int(row["id"])


def verify(connection: Connection, *, key: bytes, checkpoints: Sequence[Checkpoint] = ()) -> Verdict:
    """Walk the whole chain and say whether every entry follows from the one before.

    Runs in a transaction of its own (a server-side cursor); with ``checkpoints`` it also says which of the ends that
    were noted then are no longer there. A walk that ends at a broken row has met none of the checkpoints behind it:
    they are not called lost, nobody knows.
    """
    count, previous, head = 0, GENESIS, None
    wanted = {checkpoint.entry_id: checkpoint for checkpoint in checkpoints}
    lost: list[Checkpoint] = []
    with connection.transaction(), connection.cursor(name="audit_walk") as cursor:
        cursor.execute(queries("console")["audit_walk"])
        for row in cursor:
            entry = Entry(
                row["at"], row["actor"], row["role"], row["action"], row["purpose"],
                row["object_kind"], row["object_id"], row["detail"],
            )  # fmt: skip
            expected = hash_entry(entry, previous, key)
            fault = _fault(row, previous, expected)
            if fault is not None:
                return Verdict(count, int(row["id"]), tuple(lost), head, fault)
            count, previous = count + 1, expected
            head = Checkpoint(int(row["id"]), expected.hex())
            noted = wanted.pop(head.entry_id, head)
            if noted.hash != head.hash:
                lost.append(noted)
    lost += wanted.values()
    return Verdict(count, None, tuple(sorted(lost, key=lambda item: item.entry_id)), head)


def _fault(row: dict[str, Any], previous: bytes, expected: bytes) -> Fault | None:
    if bytes(row["previous_hash"]) != previous:
        return Fault.OUT_OF_PLACE
    return None if hmac.compare_digest(bytes(row["hash"]), expected) else Fault.CHANGED
