"""What a form of the books says: typed fields enter, the rows a file would bring or words for what is wrong leave; pure.

The rows are a file's: an empty cell says nothing, a single ``-`` empties an optional one. To whoever fills a form in, what a
field shows is what is kept, and one that was emptied is emptied: pages write the ``-``. Only a name and a number,
which no page shows whole, stay where their field is left empty.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from console.books.faults import Fault, ImportRefusedError, Origin
from console.books.rows import Entry, parse_row

Rows = Mapping[str, list[Mapping[str, Any]]]
#: What does not fit what is stored: the column a check blames -> the field of the form, and its word.
_BETWEEN = {
    ("households", "label"): ("label", "label_taken"),
    ("household_doors", "device_id"): ("device_id", "door_of_another"),
    ("household_doors", "from_at"): ("device_id", "door_is_here"),
    ("devices", "gateway_id"): ("gateway_id", "no_gateway"),
    ("devices", "site_id"): ("device_id", "device_elsewhere"),
    ("devices", "kind"): ("device_id", "no_door_device"),
    ("persons", "name"): ("name", "name_with_number"),
}
_WRONG = {
    "label": "place_form", "building": "place_form", "unit": "place_form", "room": "place_form",
    "floor": "floor_form", "name": "whole_name", "phone": "no_phone_number", "birth_year": "birth_year_form",
    "device_id": "device_form", "id": "device_form", "kind": "required", "gateway_id": "no_gateway",
    "position": "position_form", "from_at": "not_a_day", "to_at": "not_a_day", "occupants": "people_form",
    "relation_words": "too_long", "grid": "too_long", "place": "too_long",
}  # fmt: skip


class FormRefusedError(Exception):
    """Nothing was written; ``errors`` says by field which word below ``error.`` in the catalogues tells why."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(", ".join(f"{name}: {word}" for name, word in errors.items()))
        self.errors = dict(errors)


def new_id(kind: str) -> str:
    """Return an id of the office's own for what a form registers: pseudonymous, never used twice."""
    return f"{kind}-{secrets.token_hex(6)}"


def mark_of(row: Mapping[str, Any] | None) -> str:
    """Return what tells whether a stored row is still the one a form was filled in from."""
    if row is None:
        return ""
    said = "\x1f".join(f"{name}={row[name]}" for name in sorted(row))
    return sha256(said.encode()).hexdigest()[:20]


def parse_rows(rows: Rows, *, wrong: Mapping[str, str] | None = None) -> dict[str, list[Entry]]:
    """Turn what a form says into typed rows; ``wrong`` is what its page found already, told with the rest.

    Raises
    ------
    FormRefusedError
        If a field does not have the form it must have.
    """
    entries: dict[str, list[Entry]] = {}
    faults: list[Fault] = []
    for book, cells_of in rows.items():
        for number, cells in enumerate(cells_of, 1):
            found = parse_row(book, Origin("form", book, number), cells)
            if isinstance(found, list):
                faults += found
            else:
                entries.setdefault(book, []).append(found)
    errors = words_for(faults) | dict(wrong or {})
    if errors:
        raise FormRefusedError(errors)
    return entries


def words_for(faults: Iterable[Fault]) -> dict[str, str]:
    """Return the word of each field that is wrong by itself."""
    errors: dict[str, str] = {}
    for fault in faults:
        word = "required" if fault.what == "is missing" else _WRONG.get(fault.column, "not_valid")
        errors.setdefault("device_id" if fault.column == "id" else fault.column, word)
    return errors


def words_between(refusal: ImportRefusedError) -> dict[str, str]:
    """Return the word of each field that does not fit what is stored."""
    errors: dict[str, str] = {}
    for fault in refusal.faults:
        field, word = _BETWEEN.get((fault.origin.table, fault.column), ("", "not_valid"))
        errors.setdefault(field, word)
    return errors


def door_rows(
    typed: Mapping[str, str],
    *,
    household_id: str,
    site_id: str,
    is_known: bool,
    now: datetime,
    replaced: Mapping[str, Any] | None,
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the rows of a door that begins now and, where it takes another's place, of the end of that one.

    ``is_known``: the device stands in the books, and what was typed about it is not looked at. ``replaced`` is the
    stored row of the window that ends; its device is out of use from now on where ``retire`` was chosen.
    """
    at = now.isoformat()
    rows: dict[str, list[Mapping[str, Any]]] = {"household_doors": []}
    device = typed["device_id"]
    if not is_known:
        rows["devices"] = [
            {
                "id": device,
                "site_id": site_id,
                **{name: typed[name] for name in ("kind", "gateway_id", "place")},
            }
        ]
    if replaced is not None:
        rows["household_doors"].append(ended(replaced, at))
        if typed.get("retire") == "yes":
            old = {
                "id": replaced["device_id"],
                "site_id": site_id,
                "kind": replaced["kind"],
                "retired_at": at,
            }
            rows.setdefault("devices", []).append(old)
    rows["household_doors"].append(
        {"household_id": household_id, "device_id": device, "role": typed["role"], "from_at": at}
    )
    return rows


def ended(window: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Return the row that ends a stored window of a door."""
    begun = {} if window["from_at"] is None else {"from_at": window["from_at"].isoformat()}
    return {name: window[name] for name in ("household_id", "device_id", "role")} | begun | {"to_at": at}
