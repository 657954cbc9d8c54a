"""Receipts of live heartbeats enter; whether our own clock can be believed leaves. Pure.

Our clock is an input like any other: when most synchronised devices disagree with it by more than a minute, it is
ours that is wrong, and every date ingest would write with it.
"""

from __future__ import annotations

from statistics import median

from kaimen import wire

DISAGREEMENT_MAX_MS = 60_000
#: As few devices as may outvote our own clock; below that each is taken for its own fault.
DEVICES_MIN = 5


class OwnClock:
    """What synchronised devices said lately of the difference to our clock."""

    def __init__(self) -> None:
        self._skew_ms: dict[str, int] = {}

    def observe(self, device_id: str, heartbeat: wire.Heartbeat, received_ms: int) -> None:
        """Note one heartbeat; only a synchronised one that came straight to us says anything."""
        if heartbeat.clk == "ntp" and heartbeat.rx is None:
            self._skew_ms[device_id] = received_ms - heartbeat.ts

    def forget(self) -> None:
        """Begin anew: after a while, or after the clock was put right."""
        self._skew_ms.clear()

    def skew_ms(self) -> int | None:
        """Return by how much our clock is ahead of most devices; None while too few were heard."""
        if len(self._skew_ms) < DEVICES_MIN:
            return None
        return int(median(self._skew_ms.values()))

    def is_wrong(self) -> bool:
        """Say whether most devices disagree with us."""
        skew_ms = self.skew_ms()
        return skew_ms is not None and abs(skew_ms) > DISAGREEMENT_MAX_MS

    def is_confirmed(self) -> bool:
        """Say whether most devices agree with us."""
        skew_ms = self.skew_ms()
        return skew_ms is not None and abs(skew_ms) <= DISAGREEMENT_MAX_MS
