"""The list of cases as JSON text: a scope and filters enter, the body of the answer leaves, made in the database.

A body is kept for as long as the line of notifications stands and says nothing of any case, and never longer than
``KEPT_S``: whoever asks again meanwhile costs one look at her session. A key holds all that decides what is in it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock

from kaimen.database import Connection, queries

KEPT_S = 2.0
KEPT_MAX = 256
_SQL = queries("console", "api.sql")


def case_items(connection: Connection, ids: list[int]) -> str:
    """Return the items of these cases as JSON, newest first; whether they may be seen is the caller's business."""
    row = connection.execute(_SQL["case_items"], {"ids": ids}).fetchone()
    assert row is not None
    return str(row["items"])


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    until_s: float
    body: bytes


@dataclass(slots=True)
class KeptBodies:
    """Bodies by key, each with the version of the cases it was made from; the oldest make room."""

    bodies: OrderedDict[Hashable, _Kept] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def get(self, key: Hashable, version: int | None, make: Callable[[], bytes]) -> bytes:
        """Return the body of ``key``; ``version`` None says that nobody would hear of a change: it is made anew."""
        if version is None:
            return make()
        with self.lock:
            kept = self.bodies.get(key)
        if kept is not None and kept.version == version and time.monotonic() < kept.until_s:
            return kept.body
        # The version was read before the rows: what changes meanwhile makes this body old at once.
        body = make()
        with self.lock:
            self.bodies[key] = _Kept(version, time.monotonic() + KEPT_S, body)
            self.bodies.move_to_end(key)
            while len(self.bodies) > KEPT_MAX:
                self.bodies.popitem(last=False)
        return body
