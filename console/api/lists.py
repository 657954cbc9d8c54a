"""The list of cases as JSON text: a viewer and filters enter; a page with its version leaves, made in the database.

Whoever asks is looked up, her scope is opened and the list is read in one statement, which tells of each case the stamp
of its row: another stamp is another row. What was made of the same rows before is not made again, so a list in which
nothing changed costs that statement, and one in which a case changed the JSON of that case. Nothing is ever told from
here that this statement did not list for this viewer in this transaction.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

from psycopg.rows import tuple_row
from starlette.responses import Response

from console.lane import prepared, words
from console.packing import pack_kept, takes_packed
from console.scope import Viewer, causes_of
from kaimen.database import Connection, queries
from kaimen.vocabulary import CaseCause, Role, Stage

PAGES_MAX, DOORS_MAX, ITEMS_MAX = 256, 2_000, 20_000
#: A stamp comes round again after four thousand million transactions: what is kept lives no longer than this.
KEPT_S = 600.0
_SQL = queries("console", "api.sql")
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

#: For these roles the list itself decides who sees what, and whoever sees a case sees its household.
LISTED_IS_SEEN = frozenset({Role.PROPERTY_CLERK, Role.ADMIN, Role.FAMILY})


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page of the list is asked for."""

    limit: int
    after: int | None = None
    stage: str | None = None
    states: tuple[str, ...] | None = None
    household: str | None = None
    cause: CaseCause | None = None

    def filters(self, viewer: Viewer) -> dict[str, Any]:
        """Return what every statement of the list is cut to, with one row more than asked for: whether more follow."""
        return {
            "after": self.after,
            "community_id": community_of(viewer),
            "household_id": self.household,
            "stage": None if self.stage is None else Stage[self.stage.upper()].value,
            "states": None if self.states is None else list(self.states),
            "cause": None if self.cause is None else self.cause.value,
            "limit": self.limit + 1,
        }


@dataclass(slots=True)
class Page:
    """The body of an answer, the stamps of what it was made from, and its name for whoever has it already.

    It is kept packed as well, from the first time somebody takes it so. Packing tells an eavesdropper nothing here that
    the length of a text does not: no word of a request and no secret of a session is in the body.
    """

    stamps: str
    body: bytes
    etag: str
    packed: bytes | None = None
    raw_stamps: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.raw_stamps = self.stamps.encode()

    def answer(self, known: str | None, taken: str | None) -> Response:
        """Send the body as ``taken`` (Accept-Encoding) says, or say that ``known`` (If-None-Match) is it."""
        is_packed = takes_packed(taken)
        etag = f'{self.etag[:-1]}-gzip"' if is_packed else self.etag
        headers = {"ETag": etag, "Vary": "Accept-Encoding"}
        if known is not None and _is_among((self.etag, f'{self.etag[:-1]}-gzip"'), known):
            return Response(status_code=304, headers=headers)
        body = self.body
        if is_packed:
            headers["Content-Encoding"] = "gzip"
            if self.packed is None:
                self.packed = pack_kept(body)
            body = self.packed
        return Response(body, media_type="application/json", headers=headers)


def _is_among(etags: Sequence[str], known: str) -> bool:
    names = [name.strip().removeprefix("W/") for name in known.split(",")]
    return "*" in names or any(etag in names for etag in etags)


@dataclass(frozen=True, slots=True)
class Door:
    """Who asked for what in words that were checked then: the same words of the same viewer need no second check.

    Until ``same_until`` of the machine's clock a row of her session that reads like ``seat`` says the same of it;
    ``question`` is what the database is asked with, before and after the instant.
    """

    viewer: Viewer
    asked: Asked
    seat: bytes = b""
    same_until: datetime | None = None
    question: tuple[bytes, bytes] = (b"", b"")

    def question_at(self, wall: datetime) -> bytes:
        """Return the statement that asks the prepared one at an instant of the machine's clock."""
        before, after = self.question
        return b"%b'%b'%b" % (before, wall.isoformat().encode(), after)


#: The order of the values of the prepared statement; the instant of the machine's clock stands second.
_VALUES = (
    "token_hash", "wall", "timeout", "after", "community_id", "households", "household_id", "stage", "states", "cause",
    "causes", "limit",
)  # fmt: skip
_PREPARED_NAME = "case_list"


def prepare_list() -> bytes:
    """Return what prepares the reading of the list, for ``question_at``."""
    return prepared(_PREPARED_NAME, _SQL["enter_case_list"], _VALUES)


def list_question(
    connection: Connection, viewer: Viewer, asked: Asked, *, token_hash: bytes, timeout: str
) -> tuple[bytes, bytes]:
    """Return the parts of the statement that reads this list, before and after the instant."""
    values = {**_filters(viewer, asked), "token_hash": token_hash, "timeout": timeout}
    rest = words(connection, [values[name] for name in _VALUES[2:]])
    hashed = words(connection, [token_hash])
    return f"EXECUTE {_PREPARED_NAME}(".encode() + hashed + b", ", b", " + rest + b")"


def community_of(viewer: Viewer) -> str | None:
    """The community a list is cut to; nobody but an administrator and a family stands outside of one."""
    if viewer.role is Role.FAMILY or (viewer.role is Role.ADMIN and viewer.community_id is None):
        return None
    return viewer.community_id or ""


def enter_list(connection: Connection, viewer: Viewer, asked: Asked, **who: Any) -> dict[str, Any]:
    """Open the scope of ``token_hash`` at ``wall`` and read the list.

    Returns ``open``, the row of the session if it is one, and ``stamps``.
    """
    row = connection.execute(_SQL["enter_case_list"], {**who, **_filters(viewer, asked)}).fetchone()
    assert row is not None
    return row


def _filters(viewer: Viewer, asked: Asked) -> dict[str, Any]:
    causes = causes_of(viewer.role)
    return {
        **asked.filters(viewer),
        "households": sorted(viewer.household_ids) if viewer.role is Role.FAMILY else None,
        "causes": None if causes is None else sorted(cause.value for cause in causes),
    }


def case_items(connection: Connection, ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Return of these cases, as far as the open scope reaches, the stamp of the row and its item as JSON, by id."""
    cursor = connection.cursor(row_factory=tuple_row)
    rows = cursor.execute(_SQL["case_items"], {"ids": list(ids)}).fetchall()
    return {case_id: (stamp, item) for case_id, stamp, item in rows}


@dataclass(slots=True)
class KeptLists:
    """Pages, their items and who came for them; of each so many, the oldest make room, and nothing stays for long."""

    pages: OrderedDict[Hashable, Page] = field(default_factory=OrderedDict)
    items: OrderedDict[str, str] = field(default_factory=OrderedDict)
    doors: OrderedDict[tuple[bytes, bytes], Door] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)
    until_s: float = field(default_factory=lambda: time.monotonic() + KEPT_S)

    def door(self, token_hash: bytes, query: bytes) -> Door | None:
        """Return who asked this before; None: it has to be checked."""
        with self.lock:
            self._forget()
            return self.doors.get((token_hash, query))

    def keep_door(self, token_hash: bytes, query: bytes, door: Door) -> None:
        with self.lock:
            _put(self.doors, (token_hash, query), door, DOORS_MAX)

    def last_page(self, door: Door) -> Page | None:
        """Return the page as it was made last; whether it is still made of these rows is to be asked."""
        with self.lock:
            self._forget()
            return self.pages.get(_key(door))

    def kept_page(self, door: Door, stamps: str | None) -> Page | None:
        """Return the page if it was made of these very rows."""
        page = self.last_page(door)
        return page if page is not None and page.stamps == (stamps or "") else None

    def page(self, connection: Connection, door: Door, stamps: str | None) -> Page:
        """Return the page of these rows; in the open scope only what changed is made."""
        kept = self.kept_page(door, stamps)
        if kept is not None:
            return kept
        limit, lines = door.asked.limit, stamps.split("\n") if stamps else []
        ids = [int(line.partition(":")[0]) for line in lines]
        with self.lock:
            texts = [self.items.get(line) for line in lines[:limit]]
        missing = [case_id for case_id, text in zip(ids, texts, strict=False) if text is None]
        made = case_items(connection, missing) if missing else {}
        for place, case_id in enumerate(ids[:limit]):
            # A row that changed since it was listed is stamped as what was made of it.
            if case_id in made:
                lines[place], texts[place] = made[case_id]
        following = json.dumps(ids[limit - 1] if len(ids) > limit else None)
        items = ",".join(text for text in texts if text is not None)
        body = f'{{"items":[{items}],"next":{following}}}'.encode()
        made_of = "\n".join(lines)
        # Of one address the rows alone decide what is in the body.
        page = Page(made_of, body, f'"{hashlib.sha256(made_of.encode()).hexdigest()[:32]}"')
        with self.lock:
            for stamp, item in made.values():
                _put(self.items, stamp, item, ITEMS_MAX)
            _put(self.pages, _key(door), page, PAGES_MAX)
        return page

    def _forget(self) -> None:
        if time.monotonic() >= self.until_s:
            self.pages.clear()
            self.items.clear()
            self.doors.clear()
            self.until_s = time.monotonic() + KEPT_S


def _key(door: Door) -> Hashable:
    viewer = door.viewer
    return viewer.role, viewer.community_id, viewer.household_ids, door.asked


def _put(store: OrderedDict[_Key, _Value], key: _Key, value: _Value, size_max: int) -> None:
    store[key] = value
    store.move_to_end(key)
    while len(store) > size_max:
        store.popitem(last=False)
