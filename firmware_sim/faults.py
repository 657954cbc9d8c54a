"""What goes wrong on a street: a seed, a day and rates enter, dated faults and the fate of each message leave.

Faults with a beginning and an end are commands at instants, the same ones a person can give to the running street;
the fate of a message (lost, doubled, held up) is drawn from its device and its number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from firmware_sim.chance import dice, mix
from firmware_sim.people import Community, DeviceKind
from firmware_sim.residents import DAY_MS, start_of

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


class FaultKind(StrEnum):
    GATEWAY_OUTAGE = "gateway_outage"
    UNIT_POWER_CUT = "unit_power_cut"
    DEVICE_LINK = "device_link"
    DEVICE_POWER_CUT = "device_power_cut"
    STUCK_CONTACT = "stuck_contact"
    TAMPER = "tamper"


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Faults per thousand days of one gateway or one device, and shares of messages."""

    gateway_outages: float = 0.0
    unit_power_cuts: float = 0.0
    device_links: float = 0.0
    device_power_cuts: float = 0.0
    stuck_contacts: float = 0.0
    tampers: float = 0.0
    lost: float = 0.0
    unacknowledged: float = 0.0
    doubled: float = 0.0
    held_up: float = 0.0


NONE = FaultRates()
USUAL = FaultRates(
    gateway_outages=8,
    unit_power_cuts=3,
    device_links=10,
    device_power_cuts=3,
    stuck_contacts=0.25,
    tampers=0.3,
    lost=0.002,
    unacknowledged=0.002,
    doubled=0.003,
    held_up=0.003,
)
HARSH = FaultRates(
    gateway_outages=90,
    unit_power_cuts=40,
    device_links=150,
    device_power_cuts=60,
    stuck_contacts=10,
    tampers=10,
    lost=0.05,
    unacknowledged=0.05,
    doubled=0.05,
    held_up=0.08,
)
LEVELS = {"none": NONE, "usual": USUAL, "harsh": HARSH}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one device or gateway in ``[from_ms, to_ms)``."""

    kind: FaultKind
    device_id: str
    from_ms: int
    to_ms: int


def faults_of_day(community: Community, day: int, rates: FaultRates) -> list[Fault]:
    """Return the faults that begin on one day of habit, in order of time."""
    chance = dice(community.seed, 30, day)
    doors = [item.device_id for item in community.devices if item.kind is DeviceKind.DWELLING_DOOR]
    every = [item.device_id for item in community.devices if item.kind is not DeviceKind.GATEWAY]
    plan = (
        (FaultKind.GATEWAY_OUTAGE, community.gateway_ids, rates.gateway_outages, (2, 420)),
        (FaultKind.UNIT_POWER_CUT, community.gateway_ids, rates.unit_power_cuts, (1, 200)),
        (FaultKind.DEVICE_LINK, every, rates.device_links, (3, 500)),
        (FaultKind.DEVICE_POWER_CUT, every, rates.device_power_cuts, (1, 240)),
        (FaultKind.STUCK_CONTACT, doors, rates.stuck_contacts, (600, 3_600)),
        (FaultKind.TAMPER, doors, rates.tampers, (1, 2)),
    )
    found = [
        _fault(kind, chance.choice(targets), day, minutes, chance)
        for kind, targets, per_thousand, minutes in plan
        for _ in range(_count(len(targets) * per_thousand / 1000, chance) if targets else 0)
    ]
    return sorted(found, key=lambda fault: (fault.from_ms, fault.device_id, fault.kind))


def _count(mean: float, chance: Random) -> int:
    """Draw from a Poisson distribution by waiting times."""
    count, waited = 0, chance.expovariate(1.0)
    while waited < mean:
        count += 1
        waited += chance.expovariate(1.0)
    return count


def _fault(kind: FaultKind, device_id: str, day: int, minutes: tuple[int, int], chance: Random) -> Fault:
    from_ms = start_of(day) + int(chance.random() * DAY_MS)
    # Most are short: the square of an even draw.
    low, high = minutes
    span_min = low + (high - low) * chance.random() ** 2
    return Fault(kind, device_id, from_ms, from_ms + int(span_min * MINUTE_MS))


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one message; ``second_delay_ms`` where it arrives twice."""

    arrives: bool
    acknowledged: bool
    delay_ms: int
    second_delay_ms: int | None


def fate_of(device_bits: int, number: int, rates: FaultRates) -> Fate:
    """Return the fate of the ``number``-th message of a device, fixed by bits that are the device's own."""
    bits = mix(device_bits, number)
    delay_ms = 25 + (bits & 0xFF)
    draw = (bits >> 8 & 0xFFFFFF) / 0x1000000
    if draw < rates.lost:
        return Fate(arrives=False, acknowledged=False, delay_ms=delay_ms, second_delay_ms=None)
    draw -= rates.lost
    if draw < rates.unacknowledged:
        return Fate(arrives=True, acknowledged=False, delay_ms=delay_ms, second_delay_ms=None)
    draw -= rates.unacknowledged
    later_ms = delay_ms + 400 + (bits >> 32 & 0x3FFF)
    if draw < rates.doubled:
        return Fate(arrives=True, acknowledged=True, delay_ms=delay_ms, second_delay_ms=later_ms)
    draw -= rates.doubled
    if draw < rates.held_up:
        return Fate(arrives=True, acknowledged=True, delay_ms=later_ms, second_delay_ms=None)
    return Fate(arrives=True, acknowledged=True, delay_ms=delay_ms, second_delay_ms=None)
