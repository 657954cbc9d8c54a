"""A generated wire case enters; the same as columns and households leave, as far as the layout can say it."""

from __future__ import annotations

import numpy as np

from ingest.detector.columns import Columns, Homes
from ingest.detector.homes import Registry
from ingest.detector.rows import Rows
from ingest.judging import _Admitter, _Counts, _received_by_us
from ingest.registry_file import parse_registry
from kaimen.vocabulary import DoorRole, Household
from tests.property.strategies_wire import Case


def fits(household: Household, registry: Registry) -> bool:
    """The layout knows registered dwelling doors for all time."""
    return household.consent and all(
        door.role is DoorRole.DWELLING
        and door.from_ms is None
        and door.to_ms is None
        and door.device_id in registry.devices
        for door in household.doors
    )


def homes_of(registry: Registry) -> tuple[Homes, list[str]]:
    index = {device_id: number for number, device_id in enumerate(registry.devices)}
    chosen = [item for item in registry.households.values() if fits(item, registry)]
    doors = [[index[door.device_id] for door in item.doors] for item in chosen]
    absences = [(n, a.from_ms, a.to_ms) for n, item in enumerate(chosen) for a in item.absences]
    most = max((len(item.thresholds_ms) for item in chosen), default=1)
    never = 1 << 58
    homes = Homes.of(
        {
            "door_begin": np.cumsum([0, *map(len, doors)]),
            "doors": [door for own in doors for door in own],
            "supervision_ms": [item.supervision_ms for item in registry.devices.values()],
            "watched_from": [item.watched_from_ms for item in chosen],
            "thresholds": np.array(
                [[*item.thresholds_ms, *[never] * (most - len(item.thresholds_ms))] for item in chosen]
            ).reshape(-1, most),
            "absence_household": [item[0] for item in absences],
            "absence_from": [item[1] for item in absences],
            "absence_to": [item[2] for item in absences],
        }
    )
    return homes, [item.household_id for item in chosen]


def columns_of_case(case: Case) -> tuple[Columns, Homes, list[str]] | None:
    """Return columns, households and their ids; None where no household fits the layout."""
    messages, document, _ = case
    registry = parse_registry(document)
    homes, names = homes_of(registry)
    if not names:
        return None
    index = {device_id: number for number, device_id in enumerate(registry.devices)}
    rows = Rows(registry.credentials)
    admitter = _Admitter(registry, _Counts())
    for message in messages:
        line = admitter.admit(message["topic"], message["payload"], message["received_at"])
        if line is None:
            continue
        device = index[line.address.device_id]
        if line.heartbeat is not None:
            rows.add_heartbeat(device, line.heartbeat, _received_by_us(line.heartbeat.rx, line.received_ms))
        for event in line.events:
            rows.add_event(device, event, _received_by_us(event.rx, line.received_ms))
    return rows.take(), homes, names
