"""Once an hour the books enter, with fourteen days of doors; facts of dwellings and batteries that changed with them leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.signals.batteries import Batteries, BatteryFact
from ingest.signals.dwellings import (
    IN_USE_MS,
    Dwelling,
    Lease,
    Standing,
    compare,
    find_mismatches,
)
from ingest.signals.facts import end_battery, write_mismatch, write_over
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.vocabulary import SignalKind

_SQL = queries("ingest.signals")


def sweep_dwellings(
    connection: Connection, household_no: Mapping[str, int], *, sites: list[str] | None, now_ms: int
) -> int:
    """Compare books and doors of the shard group's dwellings at its sites (None: all); return how many facts were written."""
    dwellings = load_dwellings(connection, household_no, sites=sites, now_ms=now_ms)
    found = [item for dwelling in dwellings for item in find_mismatches(dwelling, now_ms)]
    standing = [
        Standing(row["key"], SignalKind(row["kind"]), row["household_id"])
        for row in connection.execute(_SQL["standing_dwelling_signals"], {"sites": sites}).fetchall()
        if row["household_id"] in household_no
    ]
    new, over = compare(found, standing, {item.household_id: item.tenure for item in dwellings})
    for item in new:
        write_mismatch(connection, item, now_ms=now_ms)
    for end in over:
        write_over(connection, end, now_ms=now_ms)
    return len(new) + len(over)


def load_dwellings(
    connection: Connection, household_no: Mapping[str, int], *, sites: list[str] | None, now_ms: int
) -> list[Dwelling]:
    """Read the dwellings that are let or empty, with what is registered and what their doors tell."""
    span = {"now": as_datetime(now_ms), "since": as_datetime(now_ms - IN_USE_MS), "sites": sites}
    rows = [
        row
        for row in connection.execute(_SQL["load_dwellings"], span).fetchall()
        if row["id"] in household_no
    ]
    leases: dict[str, list[Lease]] = {}
    for row in connection.execute(_SQL["load_leases"], {"sites": sites}).fetchall():
        to_ms = None if row["to_at"] is None else as_ms(row["to_at"])
        lease = Lease(row["id"], as_ms(row["from_at"]), to_ms, row["occupants"])
        leases.setdefault(row["household_id"], []).append(lease)
    counted = [key for key, held in leases.items() if any(item.occupants is not None for item in held)]
    used = {
        row["household_id"]: row["used"]
        for row in connection.execute(_SQL["count_used_tokens"], {"ids": counted, **span}).fetchall()
    }
    empty = [row["id"] for row in rows if row["tenure"] == "vacant"]
    opened: dict[str, Any] = {
        row["household_id"]: row
        for row in connection.execute(_SQL["openings_of_empty"], {"ids": empty, **span}).fetchall()
    }
    return [
        Dwelling(
            row["id"],
            row["tenure"],
            tuple(leases.get(row["id"], ())),
            row["live_tokens"],
            used.get(row["id"], 0),
            as_ms(opened[row["id"]]["occurred_at"]) if row["id"] in opened else None,
            opened[row["id"]]["device_id"] if row["id"] in opened else None,
            opened[row["id"]]["days"] if row["id"] in opened else 0,
        )
        for row in rows
    ]


def sweep_batteries(
    connection: Connection, batteries: Batteries, *, sites: list[str] | None, now_ms: int
) -> int:
    """Take over the facts that stand, and end those of devices that are out of use; return how many ended."""
    found = connection.execute(_SQL["standing_batteries"], {"sites": sites}).fetchall()
    batteries.standing = {
        row["device_id"]: BatteryFact(row["key"], as_ms(row["at"]), row["own_word"]) for row in found
    }
    gone = batteries.forget(row["device_id"] for row in found if row["retired"])
    for fact in gone:
        end_battery(connection, fact, now_ms=now_ms)
    return len(gone)
