"""What devices say of their batteries enters; that one will soon be empty, days before its door falls silent, leaves.

Two things say so: the device's own word (``BatteryLow``), and the percentage of its heartbeats. One fact stands for a
device at a time. Said on for a week, it is told anew: who wrote that the battery was changed may have changed another.
What stands is in the database; what is kept here is disposable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kaimen.policy import DAY_MS, HOUR_MS
from kaimen.vocabulary import SignalKind

#: A battery with so much or less will not last long, in percent. 0 is what mains-powered devices and those that measure
#: nothing say: it counts only after a low value.
LOW_PERCENT = 15.0
#: From here on a battery that measured low was changed, or was only cold.
GOOD_PERCENT = 30.0
#: A device that said so itself is believed until it has a new battery.
NEW_PERCENT = 80.0
#: One value may be the radio's start or a cold night's; two so far apart, with no better one between, are a battery.
SURE_AFTER_MS = HOUR_MS
#: Said on for so long, it is told anew; a word older than this tells nothing of the battery in the device now.
AGAIN_AFTER_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class BatteryFact:
    """A fact that stands: its key, since when, and whether the device itself said so."""

    key: str
    at_ms: int
    own_word: bool


@dataclass(frozen=True, slots=True)
class BatteryLow:
    """A fact to be written, with the fact it comes in the place of, if one stands."""

    device_id: str
    fact: BatteryFact
    percent: float | None
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class BatteryGood:
    """The end of a fact: a heartbeat told of ``percent``."""

    device_id: str
    key: str
    at_ms: int
    percent: float


@dataclass
class Batteries:
    """Batteries of a shard group's devices that are low, or may be; nothing is kept of the others."""

    #: Facts that stand, by device.
    standing: dict[str, BatteryFact] = field(default_factory=dict)
    #: Since when a device without a fact measures low.
    _low_since: dict[str, int] = field(default_factory=dict)

    def measured(self, device_id: str, percent: float, at_ms: int) -> BatteryLow | BatteryGood | None:
        """Take the percentage of a heartbeat received at ``at_ms``; return what is to be written for it."""
        if not 0 <= percent <= 100:
            return None  # millivolts, or what a maker says where nothing is measured
        fact = self.standing.get(device_id)
        if percent > LOW_PERCENT:
            self._low_since.pop(device_id, None)
            if fact is None or percent < (NEW_PERCENT if fact.own_word else GOOD_PERCENT):
                return None
            del self.standing[device_id]
            return BatteryGood(device_id, fact.key, at_ms, percent)
        if fact is not None:
            return self._again(device_id, fact, at_ms, percent)
        since_ms = self._low_since.get(device_id)
        if since_ms is None and percent > 0:
            self._low_since[device_id] = at_ms
        if since_ms is None or at_ms - since_ms < SURE_AFTER_MS:
            return None
        del self._low_since[device_id]
        return self._begin(device_id, at_ms, percent, own_word=False)

    def said(self, device_id: str, at_ms: int, now_ms: int) -> BatteryLow | None:
        """Take a device's own word of an instant; return what is to be written for it."""
        if now_ms - at_ms > AGAIN_AFTER_MS:
            return None
        fact = self.standing.get(device_id)
        if fact is not None:
            return self._again(device_id, fact, at_ms, None)
        self._low_since.pop(device_id, None)
        return self._begin(device_id, at_ms, None, own_word=True)

    def forget(self, device_ids: Iterable[str]) -> list[BatteryFact]:
        """Give up devices that were taken out of use; return their facts, which end with that."""
        gone = []
        for device_id in device_ids:
            self._low_since.pop(device_id, None)
            fact = self.standing.pop(device_id, None)
            if fact is not None:
                gone.append(fact)
        return gone

    def _again(
        self, device_id: str, fact: BatteryFact, at_ms: int, percent: float | None
    ) -> BatteryLow | None:
        if at_ms - fact.at_ms < AGAIN_AFTER_MS:
            return None
        return self._begin(
            device_id, at_ms, percent, own_word=fact.own_word or percent is None, instead_of=fact.key
        )

    def _begin(
        self,
        device_id: str,
        at_ms: int,
        percent: float | None,
        *,
        own_word: bool,
        instead_of: str | None = None,
    ) -> BatteryLow:
        fact = BatteryFact(f"{SignalKind.BATTERY_LOW.value}:{device_id}:{at_ms}", at_ms, own_word)
        self.standing[device_id] = fact
        return BatteryLow(device_id, fact, percent, instead_of)
