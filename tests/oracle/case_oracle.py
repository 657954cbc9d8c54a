"""A case's days as DESIGN section 6 has them, in plain words of its own: a home's silence and acts enter, transitions leave.

It knows nothing of the engine. One home at a time is lived from a seed: doors open, silence reaches stages, a clerk takes
the case or hears that she is well. What happened leaves as inputs for the engine, and what has to come of it as
transitions: (instant, word, stage or outcome). Instants are milliseconds since the Epoch; people live in Shanghai.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: Nothing is planned sooner than so long after it was decided.
SOONEST = 1_000
ZONE_MS = 8 * HOUR
LISTS = (8 * HOUR + 30 * MINUTE, 17 * HOUR)
CALLS_FROM, CALLS_UNTIL = 7 * HOUR, 22 * HOUR
CALL_SLA, CONFIRM_WITHIN = 2 * HOUR, 30 * MINUTE
LEASE = {1: 4 * HOUR, 2: 30 * MINUTE, 3: 30 * MINUTE}

Transition = tuple[int, str, str]


@dataclass(frozen=True)
class Input:
    """One thing the engine is told: crossing, withdrawal, claim, well or confirm; ``evidence_ms`` of the silence."""

    at_ms: int
    kind: str
    stage: int = 0
    evidence_ms: int = 0


@dataclass
class _Case:
    stage: int
    standing: set[int]
    told: bool = False  # somebody was told, or took it
    list_ms: int | None = None
    due_ms: int = 0  # when the call was owed by
    call_ms: int | None = None  # when an unanswered call is said (again)
    start_ms: int | None = None
    lease_ms: int | None = None
    confirm_ms: int | None = None


@dataclass
class Home:
    """One home: ``inputs`` and ``transitions`` are what its days were."""

    chance: Random
    inputs: list[Input] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    case: _Case | None = None

    def live(self, start_ms: int, days: int) -> None:
        end = start_ms + days * DAY
        evidence = start_ms + int(self.chance.random() * DAY)
        while evidence < end:
            silence = int(self.chance.expovariate(1 / (11 * HOUR))) + MINUTE
            evidence = self._be_silent(evidence, min(evidence + silence, end + 1), end)

    def _be_silent(self, evidence: int, opening: int, end: int) -> int:
        """Live a silence to its end; return the evidence that ended it."""
        moments = [(evidence + stage * DAY, f"cross{stage}") for stage in (1, 2, 3)]
        if self.chance.random() < 0.5:
            moments.append((evidence + int((1 + 2.5 * self.chance.random()) * DAY), "claim"))
        if self.chance.random() < 0.5:
            moments.append((evidence + int((2 + 2.0 * self.chance.random()) * DAY), "well"))
        for at, what in sorted(moments):
            # Acts and crossings never share an instant with a timer but by a chance in a hundred million.
            if at >= opening or at > end:
                break
            self._clock(at)
            if what == "claim":
                self._claim(at)
            elif what == "well":
                if self._well(at):
                    return at
            else:
                self._cross(at, int(what[-1]), evidence)
        if opening <= end:
            self._clock(opening)
            self._open(opening)
        else:
            self._clock(end)
        return opening

    # --- what ingest tells ---------------------------------------------------------------------------------------

    def _cross(self, at: int, stage: int, evidence: int) -> None:
        self.inputs.append(Input(at, "crossing", stage, evidence))
        case = self.case
        if case is None:
            case = self.case = _Case(0, set())
            word = "opened"
        else:
            word = "raised" if stage > case.stage else "crossed_again"
        case.stage = max(case.stage, stage)
        case.standing.add(stage)
        self._says(at, word, str(stage))
        # Whoever held it held another stage; and silence after the evidence that proposed closing spends that.
        case.lease_ms = case.confirm_ms = None
        self._ask(case, at)

    def _ask(self, case: _Case, at: int) -> None:
        """Plan who is told of the stage the case is at, and when."""
        case.list_ms = case.call_ms = case.start_ms = None
        if case.stage == 1:
            case.list_ms = None if case.told else max(_next_list(at), at + SOONEST)
        elif case.stage == 2:
            starts = _call_starts(at)
            case.call_ms = case.due_ms = starts + CALL_SLA
            if starts == at:
                case.told = True
            elif not case.told:
                case.start_ms = max(starts, at + SOONEST)
        else:
            case.told = True

    def _open(self, at: int) -> None:
        case = self.case
        if case is None:
            return
        for stage in sorted(case.standing, reverse=True):
            self.inputs.append(Input(at, "withdrawal", stage, at))
            case.standing.discard(stage)
            if case.stage == 3:
                if case.standing:
                    self._says(at, "evidence_noted")
                else:
                    self._says(at, "closing_proposed")
                    case.confirm_ms = at + CONFIRM_WITHIN
            elif case.standing:
                case.stage, case.lease_ms = max(case.standing), None
                self._says(at, "lowered")
                self._ask(case, at)
            else:
                self._says(at, "closed_by_evidence", "resumed")
                self.case = None

    # --- what people do ------------------------------------------------------------------------------------------

    def _claim(self, at: int) -> None:
        case = self.case
        if case is None or case.confirm_ms is not None:
            return
        self.inputs.append(Input(at, "claim"))
        case.told, case.start_ms, case.lease_ms = True, None, at + LEASE[case.stage]
        self._says(at, "claimed")

    def _well(self, at: int) -> bool:
        case = self.case
        if case is None or case.stage < 2:
            return False
        if case.confirm_ms is not None:
            self.inputs.append(Input(at, "confirm"))
            self._says(at, "closing_confirmed", "resumed")
            self.case = None
            return False
        self.inputs.append(Input(at, "well"))
        self._says(at, "closed_by_outcome", "well")
        self.case = None
        return True

    # --- what the clock says -------------------------------------------------------------------------------------

    def _clock(self, until: int) -> None:
        """Let everything that comes due before ``until`` happen in its order."""
        while self.case is not None:
            due = [(at, word) for at, word in self._due(self.case) if at < until]
            if not due:
                return
            self._happens(self.case, *min(due))

    def _due(self, case: _Case) -> Iterator[tuple[int, str]]:
        if case.lease_ms is not None:
            yield case.lease_ms, "lease_expired"
            return  # whoever holds it is left alone, but for the end of her lease
        if case.confirm_ms is not None:
            yield case.confirm_ms, "not_confirmed"
            return
        for at, word in (
            (case.list_ms, "listed"),
            (case.start_ms, "started"),
            (case.call_ms, "call_overdue"),
        ):
            if at is not None:
                yield at, word

    def _happens(self, case: _Case, at: int, word: str) -> None:
        self._says(at, word)
        case.told = True
        if word == "listed":
            case.list_ms = None
        elif word == "started":
            case.start_ms = None
        elif word == "call_overdue":
            case.call_ms = _call_starts(at) + LEASE[2]
        elif word == "not_confirmed":
            case.confirm_ms = at + LEASE[3]
        else:
            case.lease_ms = None
            case.list_ms = None
            # The end of a lease tells everybody again: from then on it is as long until the next time.
            if case.call_ms is not None and case.due_ms <= at:
                case.call_ms = _call_starts(at) + LEASE[2]

    def _says(self, at: int, word: str, more: str = "") -> None:
        self.transitions.append((at, word, more))


def _local(at: int) -> tuple[int, int]:
    day, clock = divmod(at + ZONE_MS, DAY)
    return day * DAY - ZONE_MS, clock


def _next_list(at: int) -> int:
    midnight, clock = _local(at)
    return midnight + next((when for when in LISTS if when > clock), DAY + LISTS[0])


def _call_starts(at: int) -> int:
    midnight, clock = _local(at)
    if CALLS_FROM <= clock < CALLS_UNTIL:
        return at
    return midnight + CALLS_FROM + (DAY if clock >= CALLS_UNTIL else 0)
