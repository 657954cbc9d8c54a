"""Reads what offices write by hand: the cells of one row enter, the same cells in the form the books have leave; pure.

A cell that can be read in one way only is put into that form; every other is left for the row's own check to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from console.books.roll_row import form_of
from console.books.vocabulary import KIN, stored_word

#: Full-width letters and digits are the same ones written wider; full-width punctuation is the reader's own.
_WIDE = {0xFF10 + at: 0x30 + at for at in range(10)} | {
    first + at: narrow + at for first, narrow in ((0xFF21, 0x41), (0xFF41, 0x61)) for at in range(26)
} | {0x3000: 0x20, 0xA0: 0x20}  # fmt: skip
_SIGNS = _WIDE | {
    ord(wide): narrow for wide, narrow in zip("＋－—–‐（）：／．，", "+----():/.,", strict=True)
}
_CJK = "\u3400-\u9fff\U00020000-\U0003ffff"
_PADDED_NAME = re.compile(rf"(?<=[{_CJK}·])\s+(?=[{_CJK}·])")
_DAY = re.compile(
    r"(?:(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})|(?P<y2>\d{4})/(?P<m2>\d{1,2})/(?P<d2>\d{1,2})"
    r"|(?P<y3>\d{4})\.(?P<m3>\d{1,2})\.(?P<d3>\d{1,2})|(?P<y4>\d{4})年(?P<m4>\d{1,2})月(?P<d4>\d{1,2})[日号]"
    r"|(?P<y5>\d{4})(?P<m5>\d{2})(?P<d5>\d{2}))"
    r"(?:\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?",
    re.ASCII,
)
_COUNTED = {
    "floor": re.compile(r"(?P<below>地下)?(?P<number>-?\d{1,3})\s*(?:层|楼|[Ff])", re.ASCII),
    "birth_year": re.compile(r"(?P<number>\d{4})年(?:生|出生)?", re.ASCII),
    "occupants": re.compile(r"(?P<number>\d{1,3})\s*人", re.ASCII),
}
#: Columns of which a day is the last one that counts; what else ends, ends as its day begins.
_LAST_DAYS = frozenset({("leases", "to_at"), ("credentials", "valid_to")})
_FREE = frozenset({"name", "given_by", "declared_by", "category", "relation_words", "grid", "model", "place"})


def read_row(book: str, cells: Mapping[str, Any], zone: ZoneInfo | None) -> dict[str, Any]:
    """Return the cells of a row as the books have them; ``zone`` is where a date without one was written, if that is known."""
    read = {
        column: _read(book, column, value, zone) if isinstance(value, str) else value
        for column, value in cells.items()
    }
    kin = cells.get("role")
    if book == "contacts" and isinstance(kin, str) and kin.strip() in KIN and not read.get("relation_words"):
        read["relation_words"] = kin.strip()
    return read


def _read(book: str, column: str, text: str, zone: ZoneInfo | None) -> str:
    free = column in _FREE or column == "registration"
    text = text.translate(_WIDE if free else _SIGNS).strip()
    if column == "name" and book == "persons":
        return _PADDED_NAME.sub("", text)
    if column == "phone":
        return _read_phone(text)
    if column in _COUNTED:
        return _read_count(column, text)
    if leaf_of(book, column) is datetime:
        return _read_day(book, column, text, zone)
    return stored_word(book, column, text)


def _read_phone(text: str) -> str:
    bare = re.sub(r"^\((0\d{2,3})\)\s*", r"\1-", text)
    return re.sub(r"^00(?=86)", "+", bare)


def _read_count(column: str, text: str) -> str:
    found = _COUNTED[column].fullmatch(text)
    if found is None:
        return text
    below = column == "floor" and found["below"] is not None
    return f"-{found['number'].lstrip('-')}" if below else found["number"]


def _read_day(book: str, column: str, text: str, zone: ZoneInfo | None) -> str:
    found = _DAY.fullmatch(text)
    if found is None or zone is None:
        return text
    year, month, day = (
        next(int(found[name + part]) for part in ("", "2", "3", "4", "5") if found[name + part] is not None)
        for name in "ymd"
    )
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        if found["hour"] is None and (book, column) in _LAST_DAYS:
            at += timedelta(days=1)
    except (ValueError, OverflowError):
        return text
    return at.isoformat()


def leaf_of(book: str, column: str) -> type | None:
    """Return what a column holds in the end: ``str``, ``int``, ``bool``, ``datetime`` or ``time``."""
    fields = form_of(book).model_fields.items()
    found: Any = next((field.annotation for name, field in fields if column in (name, field.alias)), None)
    while get_args(found):
        found = get_args(found)[0]
    # A choice of words ends in its first word.
    return str if isinstance(found, str) else found
