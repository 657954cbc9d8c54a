"""Facts of a pulse and the end of our own deafness enter; the same facts leave, new checks held back. Pure.

After an outage of our own the first pulse finds everybody unseen, before a single device had the chance to speak.
The check is dated as ever; only its row and the work for people wait until the household's devices had one
supervision time to be heard. What shows meanwhile that nobody need ask (an opening, or that the door was watched
all along) ends the wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingest.causes import OutageCause
from ingest.detector import CheckDue, CheckEnded, Crossing, Fact, OutageBegan, OutageEnded, Registry
from kaimen.policy import HOUR_MS
from kaimen.vocabulary import DoorRole

#: However slow a household's devices are: after this long people are told all the same.
CHECK_GRACE_MAX_MS = 3 * HOUR_MS


class HeldEnd(StrEnum):
    """Why a check is held no longer."""

    DUE = "due"  # nobody spoke for her: people are told
    EVIDENCE = "evidence"  # she opened, or is away
    SEEN = "seen"  # the door was watched all along: the stage itself was reached


@dataclass(frozen=True, slots=True)
class CheckHeld:
    """A check whose row waits until ``until_ms``, because of an outage of our own."""

    check: CheckDue
    cause: OutageCause
    until_ms: int


@dataclass(frozen=True, slots=True)
class CheckLetGo:
    """A held check waits no longer."""

    check: CheckDue
    at_ms: int
    why: HeldEnd


HeldFact = CheckHeld | CheckLetGo
_Key = tuple[str, int, int]


def _key(check: CheckDue) -> _Key:
    return check.household_id, check.step, check.evidence_ms


class Grace:
    """Holds new checks of one shard group back; ``held`` are those of before the last start.

    The registry is the detector's own, which brings it up to what changes.
    """

    def __init__(self, registry: Registry, *, held: Iterable[CheckHeld] = ()) -> None:
        self._registry = registry
        self._held: dict[_Key, CheckHeld] = {}
        #: Steps the detector counts and nobody was told of.
        self._steps: dict[str, set[int]] = {}
        #: No wait is over before.
        self._next_ms = 0
        for item in held:
            self._hold(item)
        self._seen: set[_Key] = set()
        self._cause: OutageCause | None = None
        self._returned_ms = 0
        self._listening_ms: int | None = None

    def begin(self, cause: OutageCause, at_ms: int) -> None:
        """Note that we are back, but do not hear anybody yet."""
        self._cause, self._returned_ms, self._listening_ms = cause, at_ms, None

    def listen(self, cause: OutageCause, at_ms: int) -> None:
        """Note that from now on devices can be heard; what is held already waits no longer than it would have."""
        self._cause, self._listening_ms = cause, at_ms
        self._next_ms = 0
        for key, item in self._held.items():
            until_ms = at_ms + self._patience_ms(item.check.household_id)
            if until_ms < item.until_ms:
                self._held[key] = CheckHeld(item.check, item.cause, until_ms)

    def told_step(self, household_id: str, check_step: int) -> int:
        """Return the check step as people were told it: none that waits, and none that was watched after all."""
        hidden = self._steps.get(household_id, ())
        while check_step in hidden:
            check_step -= 1
        return check_step

    def filter(self, facts: Sequence[Fact], pulse_ms: int) -> list[Fact | HeldFact]:
        """Return the facts of a pulse with new checks held back and waits that are over ended, in order."""
        kept: list[Fact | HeldFact] = []
        for fact in facts:
            kept += self._filter_one(fact, pulse_ms)
        if pulse_ms >= self._next_ms:
            for item in [item for item in self._held.values() if item.until_ms <= pulse_ms]:
                kept += [self._let_go(item, pulse_ms, HeldEnd.DUE), item.check]
            self._next_ms = min((item.until_ms for item in self._held.values()), default=1 << 62)
        return kept

    def _filter_one(self, fact: Fact, pulse_ms: int) -> list[Fact | HeldFact]:
        match fact:
            case CheckDue():
                until_ms = self._until_ms(fact)
                if self._cause is None or until_ms <= pulse_ms:
                    return [fact]
                held = CheckHeld(fact, self._cause, until_ms)
                self._hold(held)
                return [held]
            case CheckEnded():
                key = (fact.household_id, fact.step, fact.check_evidence_ms)
                if key in self._held:
                    return [self._let_go(self._held[key], pulse_ms, HeldEnd.EVIDENCE)]
                if key in self._seen:
                    self._seen.discard(key)
                    self._show(fact.household_id, fact.step)
                    return []
            case Crossing():
                key = (fact.household_id, fact.stage, fact.evidence_ms)
                if key in self._held:
                    self._seen.add(key)
                    let_go = self._let_go(self._held[key], pulse_ms, HeldEnd.SEEN)
                    self._steps.setdefault(fact.household_id, set()).add(fact.stage)
                    return [let_go, fact]
            case OutageBegan() | OutageEnded():
                pass
        return [fact]

    def _hold(self, item: CheckHeld) -> None:
        self._held[_key(item.check)] = item
        self._steps.setdefault(item.check.household_id, set()).add(item.check.step)
        self._next_ms = min(self._next_ms, item.until_ms)

    def _let_go(self, item: CheckHeld, at_ms: int, why: HeldEnd) -> CheckLetGo:
        del self._held[_key(item.check)]
        self._show(item.check.household_id, item.check.step)
        return CheckLetGo(item.check, at_ms, why)

    def _show(self, household_id: str, step: int) -> None:
        steps = self._steps[household_id]
        steps.discard(step)
        if not steps:
            del self._steps[household_id]

    def _until_ms(self, check: CheckDue) -> int:
        if self._listening_ms is None:
            return self._returned_ms + CHECK_GRACE_MAX_MS
        return self._listening_ms + self._patience_ms(check.household_id)

    def _patience_ms(self, household_id: str) -> int:
        """One supervision time of the household's slowest door, bounded."""
        household = self._registry.households.get(household_id)
        doors = () if household is None else household.doors
        spans = [
            self._registry.devices[door.device_id].supervision_ms
            for door in doors
            if door.role is DoorRole.DWELLING and door.device_id in self._registry.devices
        ]
        return min(max(spans, default=0) + 1000, CHECK_GRACE_MAX_MS)
