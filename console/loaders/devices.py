"""Devices: a reader enters, rows with what each device last said leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.loaders import Reader
from console.views.household import DeviceRow
from kaimen.database import Connection, queries

PAGE = 100


@dataclass(frozen=True, slots=True)
class LoadedDevices:
    rows: tuple[DeviceRow, ...]
    total: int


def load_devices(
    connection: Connection,
    reader: Reader,
    *,
    ids: Sequence[str] | None = None,
    troubled: bool = False,
    low_battery: bool = False,
    query: str = "",
    offset: int = 0,
) -> LoadedDevices:
    """Return devices of the reader's community, troubled first; with a query those whose door, id or gateway holds it."""
    sql = queries("console")
    values = {
        "community_id": reader.viewer.community_id,
        "ids": None if ids is None else list(ids),
        "troubled": troubled,
        "low_battery": low_battery,
        "query": query,
        "now": reader.now,
        "limit": PAGE,
        "offset": offset,
    }
    # For a few devices the plan would be made each time, and that takes ten times as long as carrying it out.
    connection.execute(sql["plan"], {"mode": "auto" if ids is None else "force_generic_plan"})
    rows = connection.execute(sql["device_rows"], values).fetchall()
    connection.execute(sql["plan"], {"mode": "auto"})
    return LoadedDevices(tuple(_device(row) for row in rows), rows[0]["total"] if rows else 0)


def _device(row: Mapping[str, Any]) -> DeviceRow:
    facts = row["facts"] or {}
    return DeviceRow(
        id=row["id"],
        kind=row["kind"],
        model=row["model"],
        place=row["place"],
        known=row["unknown_since"] is None and not row["never_heard"] and not row["overdue"],
        heard_at=row["heard_at"],
        supervision_ms=row["supervision_s"] * 1000,
        gateway=row["gateway_id"],
        unknown_since=row["unknown_since"],
        cause=row["cause"],
        battery_percent=_number(facts, "battery", "batt"),
        battery_low_since=row["battery_low_since"],
        signal_dbm=_number(facts, "signal", "rssi"),
        firmware=_text(facts, "firmware", "fw"),
        unsent=_number(facts, "unsent") or 0,
        lost=row["lost"] or 0,
        implausible=row["implausible_heartbeats"] or 0,
        first_heard_at=row["first_heard_at"],
        expected_at=row["expected_at"] if row["first_heard_at"] is None and row["never_heard"] else None,
        fault=bool(facts.get("fault")) or row["in_fault"],
        clock=row["clock"],
        household_count=row["household_count"],
        retired_at=row["retired_at"],
        on_trial=bool(row["on_trial"]),
        # For as long as it is tried, and no longer: when a door moves is its people's own.
        moved_at=row["moved_at"] if row["on_trial"] else None,
        test_until=row["test_until"],
    )


def _number(facts: Mapping[str, Any], *names: str) -> int | None:
    found = next((facts[name] for name in names if isinstance(facts.get(name), int | float)), None)
    return None if found is None else round(found)


def _text(facts: Mapping[str, Any], *names: str) -> str | None:
    return next((str(facts[name]) for name in names if facts.get(name)), None)
