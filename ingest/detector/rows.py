"""Admitted events and heartbeats enter one by one; columns of the agreed layout leave. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ingest.detector.columns import (
    CLOSED,
    EVENT,
    FAMILY,
    FAULT,
    FORCED,
    GRANTED,
    GUARD,
    HEARTBEAT,
    NO_COUNTER,
    NOT_TAKEN,
    NTP,
    NUMBER_MAX,
    OPEN,
    OTHER,
    RESIDENT,
    RTC,
    STAFF,
    TAKEN,
    TAMPER,
    UNLISTED,
    UNSYNCED,
    VISITOR,
    Columns,
)
from ingest.detector.rule import REMOTE_OFFICE
from kaimen import wire
from kaimen.vocabulary import Credential, CredentialClass, EventType

_CLOCKS = {"ntp": NTP, "rtc": RTC, "unsynced": UNSYNCED}
_TYPES = {
    EventType.DOOR_PHYSICAL_STATE.value: CLOSED,
    EventType.ACCESS_GRANTED.value: GRANTED,
    EventType.ACCESS_TAKEN.value: TAKEN,
    EventType.ACCESS_NOT_TAKEN.value: NOT_TAKEN,
    EventType.DOOR_FORCED_OPEN.value: FORCED,
    EventType.DOOR_TAMPER.value: TAMPER,
    EventType.DOOR_FAULT.value: FAULT,
}
_CLASSES = {
    CredentialClass.RESIDENT: RESIDENT,
    CredentialClass.FAMILY: FAMILY,
    CredentialClass.STAFF: STAFF,
    CredentialClass.GUARD: GUARD,
    CredentialClass.VISITOR: VISITOR,
}

Row = tuple[int, int, int, int, int, int, int, int, int, bool, int, int]


class Rows:
    """Collects messages in order of receipt."""

    def __init__(self, credentials: Mapping[str, Credential]) -> None:
        self._class_by_token = {token: _CLASSES[item.klass] for token, item in credentials.items()}
        self._boots: dict[str, int] = {}
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add_event(self, device: int, event: wire.Event, received_ms: int) -> None:
        """Append one event of the device with this index."""
        kind = OPEN if event.is_open_edge else _TYPES.get(event.type, OTHER)
        klass = self._class_by_token.get(event.cred, UNLISTED) if event.cred else UNLISTED
        self._rows.append(
            (
                device, self._boot(event.boot), EVENT, event.seq, event.up, event.ts, _CLOCKS[event.clk], kind, klass,
                event.method == REMOTE_OFFICE, NO_COUNTER if event.opens is None else event.opens, received_ms,
            )
        )  # fmt: skip

    def add_heartbeat(self, device: int, heartbeat: wire.Heartbeat, received_ms: int) -> None:
        """Append one heartbeat of the device with this index."""
        self._rows.append(
            (
                device, self._boot(heartbeat.boot), HEARTBEAT, heartbeat.seq_last, heartbeat.up, heartbeat.ts,
                _CLOCKS[heartbeat.clk], OTHER, UNLISTED, False,
                NO_COUNTER if heartbeat.opens is None else heartbeat.opens, received_ms,
            )
        )  # fmt: skip

    def _boot(self, boot: str) -> int:
        number = self._boots.get(boot)
        if number is None:
            number = self._boots[boot] = int(boot, 16)
        return number

    def take(self) -> Columns:
        """Return what was collected as columns, and begin anew; numbers beyond ``NUMBER_MAX`` are cut to it."""
        rows, self._rows = self._rows, []
        device, boot, *others = zip(*rows, strict=True) if rows else ((),) * 12
        wide: list[Any] = [np.asarray(device, np.int32), np.asarray(boot, np.uint64)]
        wide += [np.clip(np.asarray(values, np.int64), -NUMBER_MAX, NUMBER_MAX) for values in others]
        names = Columns.__dataclass_fields__
        return Columns.of(dict(zip(names, wide, strict=True)))
