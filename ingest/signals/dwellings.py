"""What the books and the doors say of a dwelling enters; what does not fit together leaves. Pure.

Only tenancies, tenure and credentials are asked: nobody's category, and never where somebody went. A dwelling of a
person under community correction is not among those handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.signals.episodes import EndReason
from kaimen.policy import DAY_MS
from kaimen.vocabulary import SignalKind

#: After the end of a lease, time to hand in the cards.
LEASE_GRACE_MS = DAY_MS
#: Credentials in use are counted over so long, and an empty home has to be quiet for so long to count as empty.
IN_USE_MS = 14 * DAY_MS


#: The owner looks in now and then, with a key like anybody's: an empty home is lived in where it opens on more days.
VACANT_DAYS_MIN = 2


@dataclass(frozen=True, slots=True)
class Lease:
    lease_id: str
    from_ms: int
    to_ms: int | None = None
    occupants: int | None = None

    def holds_at(self, at_ms: int) -> bool:
        return self.from_ms <= at_ms and (self.to_ms is None or at_ms < self.to_ms)


@dataclass(frozen=True, slots=True)
class Dwelling:
    """``live_tokens``: residents' credentials valid now; ``used_tokens``: those that opened within ``IN_USE_MS``;
    ``opened_ms``: first opening in that time by anybody but staff, on a day without a card of the owner's family,
    with its device; ``opened_days``: on how many such days."""

    household_id: str
    tenure: str
    leases: tuple[Lease, ...] = ()
    live_tokens: int = 0
    used_tokens: int = 0
    opened_ms: int | None = None
    opened_device: str | None = None
    opened_days: int = 0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A dwelling whose books and doors do not agree; ``key`` is the same for as long as the ground is."""

    kind: SignalKind
    key: str
    household_id: str
    at_ms: int
    evidence: dict[str, Any]
    device_id: str | None = None


def find_mismatches(dwelling: Dwelling, now_ms: int) -> list[Mismatch]:
    """Return what does not fit at ``now_ms``; a dwelling is in at most one of each kind."""
    return [*_vacant_opened(dwelling), *_lease_ended(dwelling, now_ms), *_more_credentials(dwelling, now_ms)]


def _vacant_opened(dwelling: Dwelling) -> Iterator[Mismatch]:
    if dwelling.tenure != "vacant" or dwelling.opened_ms is None:
        return
    if dwelling.opened_days >= VACANT_DAYS_MIN:
        yield Mismatch(
            SignalKind.VACANT_OPENED,
            f"{SignalKind.VACANT_OPENED.value}:{dwelling.household_id}:{dwelling.opened_ms}",
            dwelling.household_id,
            dwelling.opened_ms,
            {"days": dwelling.opened_days},
            dwelling.opened_device,
        )


def _lease_ended(dwelling: Dwelling, now_ms: int) -> Iterator[Mismatch]:
    if dwelling.tenure != "rented" or not dwelling.live_tokens:
        return
    if any(lease.holds_at(now_ms) for lease in dwelling.leases):
        return
    past = [lease for lease in dwelling.leases if lease.to_ms is not None and lease.to_ms <= now_ms]
    if not past:
        return
    last = max(past, key=lambda lease: lease.to_ms or 0)
    at_ms = (last.to_ms or 0) + LEASE_GRACE_MS
    if at_ms <= now_ms:
        yield Mismatch(
            SignalKind.LEASE_ENDED_CREDENTIAL,
            f"{SignalKind.LEASE_ENDED_CREDENTIAL.value}:{dwelling.household_id}:{last.lease_id}:{now_ms // DAY_MS}",
            dwelling.household_id,
            at_ms,
            {"lease": last.lease_id, "credentials": dwelling.live_tokens},
        )


def _more_credentials(dwelling: Dwelling, now_ms: int) -> Iterator[Mismatch]:
    holding = [lease for lease in dwelling.leases if lease.holds_at(now_ms)]
    counted = [lease.occupants for lease in holding if lease.occupants is not None]
    if not counted or len(counted) < len(holding) or dwelling.used_tokens <= sum(counted):
        return
    leases = sorted(lease.lease_id for lease in holding)
    yield Mismatch(
        SignalKind.MORE_CREDENTIALS,
        f"{SignalKind.MORE_CREDENTIALS.value}:{dwelling.household_id}:{now_ms // DAY_MS}",
        dwelling.household_id,
        now_ms,
        {"leases": leases, "in_use": dwelling.used_tokens, "registered": sum(counted)},
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """A dwelling's fact without its end."""

    key: str
    kind: SignalKind
    household_id: str


@dataclass(frozen=True, slots=True)
class Over:
    key: str
    reason: EndReason


def compare(
    found: Iterable[Mismatch], standing: Sequence[Standing], tenure_by_household: dict[str, str]
) -> tuple[list[Mismatch], list[Over]]:
    """Say which mismatches are new and which facts are over; one fact per dwelling and kind stands at a time."""
    now = {(item.household_id, item.kind): item for item in found}
    stands = {(item.household_id, item.kind) for item in standing}
    new = [item for key, item in now.items() if key not in stands]
    over = [
        Over(item.key, _why_over(item, tenure_by_household))
        for item in standing
        if (item.household_id, item.kind) not in now
    ]
    return new, over


def _why_over(item: Standing, tenure_by_household: dict[str, str]) -> EndReason:
    if item.kind is SignalKind.VACANT_OPENED and tenure_by_household.get(item.household_id) == "vacant":
        return EndReason.CEASED
    return EndReason.CEASED if item.kind is SignalKind.MORE_CREDENTIALS else EndReason.REGISTERED
