"""The access log: a filter and a place in it enter, one page of door events leaves.

Pages are cut by position (instant, device, boot, sequence number), so that events which arrive meanwhile neither
repeat nor hide a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.loaders import Reader
from console.scope import mask_name
from console.views.log import LogRow
from console.views.parts import Choice, HouseholdName
from kaimen.database import Connection, queries
from kaimen.vocabulary import EventType

PAGE = 100
METHODS = (
    "card", "face", "pin", "qr", "ble", "phone", "remote_indoor", "remote_office", "exit_button", "key", "id_card",
    "visitor",
)  # fmt: skip
TYPES = tuple(item.value for item in EventType)
_OTHERS = ("staff", "guard", "visitor")
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the log; ``newer`` reads towards the present."""

    occurred_at: datetime
    device_no: int
    boot: int
    seq: int
    newer: bool = False

    def format(self) -> str:
        text = f"{self.occurred_at.isoformat()}_{self.device_no}_{self.boot}_{self.seq}"
        return ("n_" if self.newer else "o_") + text


def parse_place(text: str) -> Place | None:
    """Read a position from an address; None where it is not one."""
    parts = text.split("_")
    if len(parts) != 5 or parts[0] not in ("n", "o"):
        return None
    try:
        at = datetime.fromisoformat(parts[1])
        numbers = [int(part) for part in parts[2:]]
    except ValueError:
        return None
    if at.tzinfo is None or any(abs(number) >= 1 << 63 for number in numbers) or numbers[0] >= 1 << 31:
        return None
    return Place(at, numbers[0], numbers[1], numbers[2], parts[0] == "n")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What is asked of the log; empty words ask for everything."""

    from_at: datetime
    to_at: datetime
    door: str = ""
    building: str = ""
    unit: str = ""
    household_id: str = ""
    type: str = ""
    method: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Rows newest first, with the places where the neighbouring pages begin."""

    rows: tuple[LogRow, ...]
    newer: Place | None = None
    older: Place | None = None
    households: frozenset[str] = field(default_factory=frozenset)


def position_values(place: Place | None) -> dict[str, Any]:
    """Return a position as the values of a query: what is older, or what is newer."""
    return {
        "older": place.occurred_at if place and not place.newer else None,
        "newer": place.occurred_at if place and place.newer else None,
        "device_no": place.device_no if place else None,
        "boot": place.boot if place else None,
        "seq": place.seq if place else None,
    }


def load_log(
    connection: Connection, reader: Reader, query: LogQuery, place: Place | None, *, size: int = PAGE
) -> LogPage:
    """Return one page; whose credential it was is told only under a ticket, which has another way here."""
    rows = connection.execute(
        queries("console")["log_rows"],
        {
            "community_id": reader.viewer.community_id,
            "now": reader.now,
            "from_at": query.from_at,
            "to_at": query.to_at,
            "door": query.door,
            "building": query.building,
            "unit": query.unit,
            "household_id": query.household_id,
            "type": query.type,
            "method": query.method,
            "origin": query.origin,
            "limit": size + 1,
            **position_values(place),
        },
    ).fetchall()
    return cut_page(connection, rows, place, size=size)


def cut_page(
    connection: Connection,
    rows: list[dict[str, Any]],
    place: Place | None,
    *,
    with_holders: bool = False,
    size: int = PAGE,
) -> LogPage:
    """Make a page of ``size + 1`` rows asked for; ``with_holders`` tells whose credential it was."""
    further, rows = len(rows) > size, rows[:size]
    towards_now = place is not None and place.newer
    if towards_now:
        rows = rows[::-1]
    holders = _load_holders(connection, rows) if with_holders else {}
    has_newer = further if towards_now else place is not None
    has_older = True if towards_now else further
    return LogPage(
        rows=tuple(_log_row(row, holders, with_holders=with_holders) for row in rows),
        newer=_place_of(rows[0], newer=True) if rows and has_newer else None,
        older=_place_of(rows[-1], newer=False) if rows and has_older else None,
        households=frozenset(row["household_id"] for row in rows if row["household_id"]),
    )


def _place_of(row: Mapping[str, Any], *, newer: bool) -> Place:
    return Place(row["occurred_at"], row["device_no"], row["boot"], row["seq"], newer)


def _load_holders(connection: Connection, rows: list[dict[str, Any]]) -> dict[str, str]:
    ids = list({row["credential_person"] for row in rows if row["credential_person"]})
    found = connection.execute(queries("console")["person_names"], {"ids": ids}).fetchall() if ids else []
    return {row["person_id"]: row["name"] for row in found}


def _log_row(row: Mapping[str, Any], holders: Mapping[str, str], *, with_holders: bool) -> LogRow:
    # Without a ticket a passage is a passage of a door: who passed is told only where a case is open about her,
    # or where it was somebody at work.
    told = with_holders or row["whose"] in _OTHERS or row["has_case"]
    holder = holders.get(row["credential_person"]) if row["credential_person"] else None
    return LogRow(
        occurred_at=row["occurred_at"],
        received_at=row["received_at"],
        door=row["place"] or row["device_id"],
        type=row["type"],
        device_id=row["device_id"],
        household=_household(row, holder),
        state=row["state"],
        direction=row["direction"],
        method=row["method"],
        whose=row["whose"] if told else None,
        credential=row["credential"] if with_holders else None,
        reason=row["reason"],
        replayed=row["replayed"],
        late=row["late"],
        clock=row["clock_quality"],
    )


def _household(row: Mapping[str, Any], holder: str | None) -> HouseholdName | None:
    if row["household_id"] is None:
        return None
    return HouseholdName(
        id=row["household_id"], label=row["label"], building=row["building"], unit=row["unit"], room=row["room"],
        name=mask_name(holder) if holder else "",
    )  # fmt: skip


def _as_numbered(place: str) -> tuple[str | int, ...]:
    """Order places as doors are numbered: 3-1-1001 comes behind 3-1-901."""
    return tuple(int(part) if part.isdecimal() else part for part in _NUMBERS.split(place))


def load_choices(
    connection: Connection, reader: Reader
) -> tuple[tuple[Choice, ...], tuple[Choice, ...], tuple[Choice, ...]]:
    """Return what the filter offers: doors, buildings, units."""
    scope = {"community_id": reader.viewer.community_id}
    doors = connection.execute(queries("console")["log_doors"], scope).fetchall()
    places = connection.execute(queries("console")["buildings"], scope).fetchall()
    doors.sort(key=lambda row: _as_numbered(row["place"] or row["id"]))
    return (
        tuple(Choice(row["id"], row["place"] or row["id"]) for row in doors),
        tuple(Choice(name, name) for name in dict.fromkeys(row["building"] for row in places)),
        tuple(Choice(name, name) for name in dict.fromkeys(row["unit"] for row in places)),
    )
