"""One home told as people tell it, for the tests of presence and signals: hours enter, signs and events leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ingest.presence import Home, Homecoming, Homes, Presence, decide_presence, find_homecomings
from kaimen import wire
from kaimen.policy import DAY_MS, HOUR_MS, MINUTE_MS
from kaimen.vocabulary import Absence, Credential, CredentialClass, DoorBinding, DoorRole

MONDAY_MS = 1_763_308_800_000
BOOT = "9f2c41d07be3a856"
CREDENTIALS = {
    token: Credential(token, klass, household)
    for token, klass, household in (
        ("c-wang", CredentialClass.RESIDENT, "h-wang"),
        ("c-son", CredentialClass.FAMILY, "h-wang"),
        ("c-li", CredentialClass.RESIDENT, "h-li"),
        ("c-guard", CredentialClass.GUARD, None),
        ("c-guest", CredentialClass.VISITOR, "h-wang"),
    )
}


def at(*, day: int = 0, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    return MONDAY_MS + day * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second * 1000


def event(at_ms: int, seq: int, type_: str, **fields: Any) -> wire.Event:
    return wire.Event(v=1, boot=BOOT, seq=seq, ts=at_ms, up=0, clk="ntp", type=type_, **fields)


@dataclass
class Story:
    """Mrs Wang's home: a door of her own, the stairwell's, and perhaps a sensor inside."""

    residents: int = 1
    sensors: frozenset[str] = frozenset()
    absences: tuple[Absence, ...] = ()
    heard: list[tuple[str, wire.Event, int]] = field(default_factory=list)
    sensor_heard_ms: int = 0

    def _say(self, device_id: str, at_ms: int, type_: str, **fields: Any) -> None:
        self.heard.append((device_id, event(at_ms, len(self.heard) + 1, type_, **fields), at_ms))

    def door(self, at_ms: int, type_: str = "DoorPhysicalState", **fields: Any) -> None:
        if type_ == "DoorPhysicalState":
            fields.setdefault("state", "Open")
        self._say("door", at_ms, type_, **fields)

    def stairwell(self, at_ms: int, type_: str = "AccessTaken", **fields: Any) -> None:
        self._say("stairwell", at_ms, type_, **fields)

    def inside(self, at_ms: int, type_: str = "Motion", **fields: Any) -> None:
        self._say("sensor", at_ms, type_, **fields)

    def card(self, at_ms: int, token: str = "c-wang", **fields: Any) -> None:
        """Somebody holds a card against the reader outside and goes in."""
        self.door(at_ms, "AccessGranted", cred=token, method="card", **fields)
        self.door(at_ms + 1_300)
        self.door(at_ms + 1_300, "AccessTaken", cred=token, method="card", **fields)

    def home(self) -> Home:
        doors = (DoorBinding("door"), DoorBinding("stairwell", DoorRole.SHARED))
        return Home("h-wang", doors, self.sensors, self.residents, self.absences, tells=True)

    def homes(self, order: list[tuple[str, wire.Event, int]] | None = None) -> Homes:
        homes = Homes({"h-wang": self.home()}, CREDENTIALS)
        for device_id, said, at_ms in self.heard if order is None else order:
            homes.take(device_id, said, at_ms)
        homes.hear("sensor", self.sensor_heard_ms)
        return homes

    def presence(self, now_ms: int, *, known: bool = True) -> Presence:
        kept = self.homes().signs_of("h-wang")
        return decide_presence(self.home(), kept, known=known, now_ms=now_ms)

    def homecomings(self, now_ms: int) -> list[Homecoming]:
        return find_homecomings(self.home(), self.homes().signs_of("h-wang"), now_ms=now_ms)
