"""The installer's device table: a JSON file enters, which source is which door leaves; re-read when it changes.

A row names the source as its dialect does (``docs/devices.md``), the site, the device and the door, and where a
family leaves it open, what its values mean. A broken file never replaces a good one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from edge.dialects import DIALECTS
from edge.dialects.lorawan import decode_uplink
from edge.dialects.values import as_list, as_mapping, as_text
from edge.reading import Kind, Nature, Reading, read
from kaimen.wire import is_name

ENTRIES_MAX = 20_000
_BUTTONS = {"Sos": Kind.SOS, "Bell": Kind.CALL, "Exit": Kind.BUTTON}


class DeviceTableError(ValueError):
    """The file is not a device table; the text says which row and how to mend it."""


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """One source and the door it speaks for.

    ``open_values``/``closed_values`` name the raw values of a switch, input or learned code; ``inverted`` swaps
    open and closed; ``one_way`` is a sensor that never reports a closing; ``button`` says what a press means.
    """

    source: str
    site: str
    device: str
    door: str | None = None
    dialect: str | None = None
    open_values: frozenset[str] = frozenset()
    closed_values: frozenset[str] = frozenset()
    inverted: bool = False
    one_way: bool = False
    button: str | None = None
    vendor: str = ""
    model: str = ""
    supervision_s: int | None = None  # None: the edge goes by how often the device uses to be heard


@dataclass(frozen=True, slots=True)
class DeviceTable:
    """All entries by the lower-case name of their source."""

    by_source: dict[str, DeviceEntry] = field(default_factory=dict)

    def find(self, names: Iterable[str]) -> DeviceEntry | None:
        for name in names:
            entry = self.by_source.get(name.lower())
            if entry is not None:
                return entry
        return None

    def first_levels(self) -> set[str]:
        """Return the first topic levels of all sources, for subscriptions."""
        return {entry.source.partition("/")[0] for entry in self.by_source.values()}


def _values(row: dict[str, Any], name: str) -> frozenset[str]:
    given = row.get(name)
    items = given if isinstance(given, list) else [given] if given is not None else []
    return frozenset(str(item).upper() for item in as_list(items))


def _entry(number: int, value: Any) -> DeviceEntry:
    row = dict(as_mapping(value))
    source, site, device = (as_text(row.get(name)) for name in ("source", "site", "device"))
    if source is None or site is None or device is None:
        raise DeviceTableError(f"row {number}: 'source', 'site' and 'device' must be given")
    if not is_name(site) or not is_name(device):
        raise DeviceTableError(f"row {number}: 'site' and 'device' are 1 to 64 of a-z, 0-9 and '-'")
    dialect = as_text(row.get("dialect"))
    if dialect is not None and dialect not in DIALECTS:
        raise DeviceTableError(f"row {number}: dialect {dialect!r} is none of {', '.join(sorted(DIALECTS))}")
    supervision_s = row.get("supervision_s")
    if supervision_s is not None and not (isinstance(supervision_s, int) and supervision_s > 0):
        raise DeviceTableError(f"row {number}: 'supervision_s' is a number of seconds")
    button = as_text(row.get("button"))
    if button is not None and button not in _BUTTONS:
        raise DeviceTableError(f"row {number}: 'button' is one of {', '.join(_BUTTONS)}")
    return DeviceEntry(
        source=source,
        site=site,
        device=device,
        door=as_text(row.get("door")),
        dialect=dialect,
        open_values=_values(row, "open"),
        closed_values=_values(row, "closed"),
        inverted=row.get("inverted") is True,
        one_way=row.get("one_way") is True,
        button=button,
        vendor=as_text(row.get("vendor")) or "",
        model=as_text(row.get("model")) or "",
        supervision_s=supervision_s,
    )


def parse_table(text: bytes | str) -> DeviceTable:
    """Read a device table.

    Raises
    ------
    DeviceTableError
        With the row and how to mend it; two rows for one source, or one device at two sites, are errors too.
    """
    try:
        rows = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise DeviceTableError(f"the file is no JSON: {error}") from error
    if not isinstance(rows, list) or len(rows) > ENTRIES_MAX:
        raise DeviceTableError(f"the file must be a list of at most {ENTRIES_MAX} rows")
    table: dict[str, DeviceEntry] = {}
    sites: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        entry = _entry(number, row)
        if entry.source.lower() in table:
            raise DeviceTableError(f"row {number}: the source is listed twice")
        if sites.setdefault(entry.device, entry.site) != entry.site:
            raise DeviceTableError(f"row {number}: device {entry.device} stands at two sites")
        table[entry.source.lower()] = entry
    return DeviceTable(table)


class WatchedTable:
    """The device table of a file, re-read when the file changes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self.table = DeviceTable()

    def refresh(self) -> bool:
        """Read the file again if it changed; return whether the table did.

        Raises
        ------
        DeviceTableError
            If the new file is broken; the table stays, and the same broken file is not reported again.
        """
        if self._path is None:
            return False
        try:
            stat = self._path.stat()
        except OSError:
            if self._stamp is None:
                return False
            self._stamp = None
            raise DeviceTableError("the file is gone; the table that was read stays") from None
        stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        fresh = parse_table(self._path.read_bytes())
        changed = fresh != self.table
        self.table = fresh
        return changed


def configure(reading: Reading, entry: DeviceEntry) -> list[Reading]:
    """Say what a reading means at this door, where the family leaves it to configuration."""
    if reading.uplink is not None and entry.model:
        decoded = decode_uplink(
            entry.vendor, entry.model, reading.uplink.port, reading.uplink.data, reading.source
        )
        return [
            _at_door(
                replace(
                    item,
                    aliases=reading.aliases,
                    occurred_ms=item.occurred_ms or reading.occurred_ms,
                    key=reading.key,
                ),
                entry,
            )
            for item in decoded
        ]
    return [_at_door(reading, entry)]


def _at_door(reading: Reading, entry: DeviceEntry) -> Reading:
    raw = None if reading.raw is None else reading.raw.upper()
    if raw is not None and raw in entry.open_values | entry.closed_values:
        kind = Kind.DOOR_OPEN if raw in entry.open_values else Kind.DOOR_CLOSED
        return _as_kind(reading, kind, "value named in the device table")
    if entry.inverted and reading.kind in (Kind.DOOR_OPEN, Kind.DOOR_CLOSED):
        kind = Kind.DOOR_CLOSED if reading.kind is Kind.DOOR_OPEN else Kind.DOOR_OPEN
        return _as_kind(reading, kind, "inverted by the device table")
    if reading.kind is Kind.BUTTON and entry.button is not None:
        return _as_kind(
            reading, _BUTTONS[entry.button], "button named in the device table", event_type=entry.button
        )
    return reading


def _as_kind(reading: Reading, kind: Kind, why: str, *, event_type: str | None = None) -> Reading:
    plain = read(reading.source, kind, why)
    edge = reading.nature is Nature.EDGE
    proves = kind is Kind.DOOR_OPEN if edge and kind in (Kind.DOOR_OPEN, Kind.DOOR_CLOSED) else plain.opening
    return replace(
        reading,
        kind=kind,
        why=why,
        opening=proves,
        event_type=event_type or plain.event_type,
        state=plain.state,
    )
