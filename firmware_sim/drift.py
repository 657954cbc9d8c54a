"""Clocks of devices: true time and time since the start enter, what the device believes leaves.

Kinds as they are met in the field: a good clock, a constant offset, a crystal that runs slow or fast, one that
follows the day's temperature, one that is set wrongly and set right again. Before a device has heard a time server
its calendar begins in 1970.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from firmware_sim.chance import dice

DAY_MS = 86_400_000
ClockQuality = Literal["ntp", "rtc", "unsynced"]


class DriftKind(StrEnum):
    NONE = "none"
    OFFSET = "offset"
    LINEAR = "linear"
    PERIODIC = "periodic"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Drift:
    """How one device's calendar errs; ``crystal_ppm`` is how its stopwatch errs."""

    kind: DriftKind = DriftKind.NONE
    quality: Literal["ntp", "rtc"] = "ntp"
    offset_ms: int = 0
    rate_ppm: float = 0.0
    amplitude_ms: int = 0
    step_from_day: int = 0
    crystal_ppm: float = 0.0

    def up_ms(self, true_ms: int, booted_ms: int) -> int:
        """Return milliseconds since the start by the device's own crystal."""
        return int((true_ms - booted_ms) * (1 + self.crystal_ppm * 1e-6))

    def calendar_ms(self, true_ms: int, booted_ms: int) -> int:
        """Return the device's idea of UTC at a true instant."""
        return true_ms + self._error_ms(true_ms, booted_ms)

    def _error_ms(self, true_ms: int, booted_ms: int) -> int:
        if self.kind is DriftKind.OFFSET:
            return self.offset_ms
        if self.kind is DriftKind.LINEAR:
            return self.offset_ms + int((true_ms - booted_ms) * self.rate_ppm * 1e-6)
        if self.kind is DriftKind.PERIODIC:
            # The swing hangs below zero by its own height, so that such a clock is late and never early.
            swing = math.sin(2 * math.pi * (true_ms % DAY_MS) / DAY_MS)
            return self.offset_ms + int(self.amplitude_ms * swing)
        if self.kind is DriftKind.STEP:
            return self.offset_ms if true_ms // DAY_MS % 5 == self.step_from_day else 0
        return 0


class DriftLevel(StrEnum):
    """How bad the clocks of a street are; ``GENTLE`` ones err into the past only."""

    NONE = "none"
    GENTLE = "gentle"
    HARSH = "harsh"


GOOD = Drift()


def drift_of(seed: int, device_index: int, level: DriftLevel) -> Drift:
    """Return the clock of one device, fixed by the seed."""
    if level is DriftLevel.NONE:
        return GOOD
    chance = dice(seed, 20, device_index)
    crystal_ppm = chance.uniform(-35, 35)
    bad_share = 0.12 if level is DriftLevel.GENTLE else 0.6
    if chance.random() >= bad_share:
        return Drift(crystal_ppm=crystal_ppm)
    sign = chance.choice((-1, 1)) if level is DriftLevel.HARSH else -1
    kind = chance.choice((DriftKind.OFFSET, DriftKind.LINEAR, DriftKind.PERIODIC, DriftKind.STEP))
    if kind is DriftKind.OFFSET:
        return Drift(kind, offset_ms=sign * chance.randint(500, 50_000), crystal_ppm=crystal_ppm)
    if kind is DriftKind.LINEAR:
        return Drift(kind, "rtc", rate_ppm=sign * chance.uniform(5, 60), crystal_ppm=crystal_ppm)
    if kind is DriftKind.PERIODIC:
        amplitude_ms = chance.randint(300, 4_000)
        offset_ms = -amplitude_ms if level is DriftLevel.GENTLE else 0
        return Drift(kind, offset_ms=offset_ms, amplitude_ms=amplitude_ms, crystal_ppm=crystal_ppm)
    step_ms = sign * chance.randint(20_000, 110_000 if level is DriftLevel.GENTLE else 1_500_000)
    return Drift(kind, offset_ms=step_ms, step_from_day=chance.randrange(5), crystal_ppm=crystal_ppm)
