"""Columns and some of their households enter; the same as lines of the wire and a registry leaves."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle.columns_shape import (
    CLOSED,
    EVENT,
    FAMILY,
    FAULT,
    FORCED,
    GRANTED,
    GUARD,
    NOBODY,
    NOT_TAKEN,
    OPEN,
    OTHER,
    RESIDENT,
    SECOND,
    STAFF,
    TAKEN,
    TAMPER,
    VISITOR,
    Columns,
    Households,
)
from tests.property.strategies_wire import topic_for

SITE = "street"
CLOCKS = ("ntp", "rtc", "unsynced")
TYPES: dict[int, dict[str, str]] = {
    OPEN: {"type": "DoorPhysicalState", "state": "Open"},
    CLOSED: {"type": "DoorPhysicalState", "state": "Closed"},
    GRANTED: {"type": "AccessGranted"},
    TAKEN: {"type": "AccessTaken"},
    NOT_TAKEN: {"type": "AccessNotTaken"},
    FORCED: {"type": "DoorForcedOpen"},
    TAMPER: {"type": "DoorTamper"},
    FAULT: {"type": "DoorFault"},
    OTHER: {"type": "Motion"},
}
CLASSES = {
    NOBODY: None,
    RESIDENT: "resident",
    FAMILY: "family",
    STAFF: "staff",
    GUARD: "guard",
    VISITOR: "visitor",
}


def household_id(household: int) -> str:
    return f"h-{household:06d}"


def device_id(device: int) -> str:
    return f"d-{device:06d}"


def registry_of(households: Households, chosen: list[int]) -> dict[str, Any]:
    """The registry of "Judging by file" with these households and their devices."""
    devices = sorted({door for household in chosen for door in households.doors_of(household)})
    return {
        "devices": [
            {
                "id": device_id(device),
                "site": SITE,
                "supervision_s": int(households.supervision_ms[device]) // SECOND,
            }
            for device in devices
        ],
        "creds": [{"cred": f"c_{name}", "class": name} for name in CLASSES.values() if name is not None],
        "households": [_household_entry(households, household) for household in chosen],
    }


def _household_entry(households: Households, household: int) -> dict[str, Any]:
    return {
        "id": household_id(household),
        "site": SITE,
        "doors": [device_id(door) for door in households.doors_of(household)],
        "thresholds_s": [int(threshold) // SECOND for threshold in households.thresholds[household]],
        "watched_from": int(households.watched_from[household]),
        "absences": [{"from": a, "to": b} for a, b in households.absences_of(household)],
        "consent": True,
    }


def lines_of(columns: Columns, households: Households, chosen: list[int]) -> list[dict[str, Any]]:
    """The messages of these households' doors, one line each, in order of receipt."""
    devices = [door for household in chosen for door in households.doors_of(household)]
    mine = columns.take(np.flatnonzero(np.isin(columns.device, devices)))
    topics = {
        (device, kind): topic_for(SITE, device_id(device), "evt" if kind == EVENT else "hb")
        for device in devices
        for kind in (0, 1)
    }
    names = (
        "device",
        "boot",
        "kind",
        "seq",
        "up",
        "ts",
        "clk",
        "type",
        "cls",
        "remote",
        "opens",
        "received",
    )
    rows = zip(*(getattr(mine, name).tolist() for name in names), strict=True)
    return [
        {"received_at": row[-1], "topic": topics[row[0], row[2]], "payload": _payload(*row[1:-1])}
        for row in rows
    ]


def _payload(
    boot: int,
    kind: int,
    seq: int,
    up: int,
    ts: int,
    clk: int,
    type_: int,
    cls: int,
    remote: bool,
    opens: int,
) -> dict[str, Any]:
    payload: dict[str, Any] = {"v": 1, "boot": f"{boot:016x}", "ts": ts, "up": up, "clk": CLOCKS[clk]}
    if opens >= 0:
        payload["opens"] = opens
    if kind != EVENT:
        return {**payload, "seq_last": seq}
    payload |= {"seq": seq, **TYPES[type_]}
    if cls != NOBODY:
        payload["cred"] = f"c_{CLASSES[cls]}"
    if remote:
        payload["method"] = "remote_office"
    return payload
