"""Thirty days of many households by the pure engine: random doors, outages, signals and people enter, no one is lost.

The judge beside it knows nothing of the engine's code. It keeps its own books of what stands for each household and
who has answered, and the transitions a case may make, and it holds every decision against them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rules.actions import DeclareAbsence, RecordVerified
from alerts.rules.case import CaseFacts, Circumstances
from alerts.rules.grading import Grounds
from alerts.rules.happenings import (
    AddNote,
    BeginVisit,
    CheckDue,
    CheckEnded,
    Claim,
    ConfirmClosing,
    ConsentWithdrawn,
    Crossing,
    HandOver,
    Happening,
    Hold,
    OpenedWhileAway,
    RecordOutcome,
    Release,
    Signal,
    SignalEnded,
    StandsUnanswered,
    TimerDue,
    Withdrawal,
)
from alerts.rules.ladder import decide
from alerts.rules.reasons import ActRefused
from alerts.rules.signals import CAUSE_OF_SIGNAL, subject_of
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    Contacted,
    Grade,
    Outcome,
    Role,
    SignalKind,
    Stage,
    TaskKind,
)

MONDAY = datetime(2025, 11, 17, 1, 0, tzinfo=UTC)
DAYS = 30
NEVER = datetime.min.replace(tzinfo=UTC)
HOUR = timedelta(hours=1)
REOPEN = 4 * HOUR
SWEEP = timedelta(minutes=5)
HELPERS = (Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN, Role.GRID_WORKER)
CLERKS = (1, 2)
VISITORS = (3, 4)

#: What a case may become; a case never comes back from closed.
TRANSITIONS = {
    CaseState.OPEN: {
        CaseState.OPEN,
        CaseState.NOTIFIED,
        CaseState.OWNED,
        CaseState.WORKING,
        CaseState.CLOSED,
    },
    CaseState.NOTIFIED: {CaseState.NOTIFIED, CaseState.OWNED, CaseState.WORKING, CaseState.CLOSED},
    CaseState.OWNED: {CaseState.NOTIFIED, CaseState.OWNED, CaseState.WORKING, CaseState.CLOSED},
    CaseState.WORKING: {CaseState.NOTIFIED, CaseState.WORKING, CaseState.CLOSED},
    CaseState.CLOSED: set(),
}
#: A person's outcome that answers for her; any other leaves what stands to be opened again.
ANSWERS = {Outcome.WELL, Outcome.HELPED, Outcome.AWAY, Outcome.HOSPITAL, Outcome.DECEASED}


@dataclass
class Books:
    """What the judge knows of one household: the stages and checks that stand, since when, and who answered."""

    stages: dict[int, datetime] = field(default_factory=dict)
    checks: dict[int, datetime] = field(default_factory=dict)
    answered_at: datetime = NEVER
    consents: bool = True
    closed_by_person_at: datetime | None = None

    def owes(self) -> bool:
        """Say whether something stands that nobody has answered since it was noticed."""
        noticed = [*self.stages.values(), *self.checks.values()]
        return self.consents and any(at > self.answered_at for at in noticed)


@dataclass
class Household:
    name: str
    helpers: tuple[Role, ...]
    books: Books = field(default_factory=Books)
    cases: dict[tuple[CaseCause, str], CaseFacts] = field(default_factory=dict)
    signals: dict[int, tuple[CaseCause, str]] = field(default_factory=dict)
    evidence_at: datetime = MONDAY
    absence: int | None = None


class Street:
    """Households whose happenings come from a seed; every decision is held against the judge's books."""

    def __init__(self, seed: int, households: int) -> None:
        self.chance = Random(seed)
        self.now = MONDAY
        self.policy = LadderPolicy()
        self.numbers = count(1)
        self.decisions = 0
        self.refused = 0
        self.opened: dict[CaseCause, int] = {}
        self.queue: list[tuple[datetime, int, Callable[[], None]]] = []
        self.homes = [
            Household(f"h{number}", tuple(self.chance.sample(HELPERS, self.chance.randrange(4))))
            for number in range(households)
        ]

    # --- the run -------------------------------------------------------------------------------------------------

    def at(self, when: datetime, do: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (when, next(self.numbers), do))

    def live(self, days: int = DAYS) -> None:
        for home in self.homes:
            self._plan(home, days)
        for step in range(int(timedelta(days=days) / SWEEP / 3)):
            self.at(MONDAY + step * SWEEP * 3, self._sweep)
        end = MONDAY + timedelta(days=days)
        while self.queue and self.queue[0][0] <= end:
            self.now, _, do = heapq.heappop(self.queue)
            do()

    def _plan(self, home: Household, days: int) -> None:
        moment = MONDAY
        end = MONDAY + timedelta(days=days)
        while moment < end:
            moment += timedelta(minutes=self.chance.expovariate(1 / 700))
            self.at(moment, lambda home=home: self._something(home))

    def _something(self, home: Household) -> None:
        kinds: list[tuple[int, Callable[[Household], None]]] = [
            (30, self._acts), (14, self._crosses), (8, self._opens), (6, self._check_due), (4, self._check_ends),
            (6, self._signals), (4, self._signal_ends), (3, self._opens_while_away), (1, self._consent),
        ]  # fmt: skip
        weights = [weight for weight, _ in kinds]
        self.chance.choices([do for _, do in kinds], weights)[0](home)

    # --- decisions -----------------------------------------------------------------------------------------------

    def _around(self, home: Household) -> Circumstances:
        grade = self.chance.choice(list(Grade))
        return Circumstances(
            community_id="c1",
            household_id=home.name,
            helpers=tuple(home.helpers),
            answered_at=home.books.answered_at if home.books.answered_at > MONDAY else None,
            queue=self.chance.randrange(30),
            folded=self.chance.random() < 0.2,
            grounds=Grounds(grade=grade, as_of=self.now),
            review_drawn=self.chance.random() < 0.05,
        )

    def _decide(self, home: Household, key: tuple[CaseCause, str], happening: Happening) -> None:
        old = home.cases.get(key)
        if key[0] is CaseCause.INACTIVITY and old is not None:
            old = replace(old, standing=frozenset(home.books.stages), checks=frozenset(home.books.checks))
        before = dict(home.cases)
        try:
            decision = decide(old, happening, self.now, self.policy, self._around(home))
        except ActRefused:
            self.refused += 1
            return
        self.decisions += 1
        for action in decision.actions:
            if isinstance(action, RecordVerified | DeclareAbsence):
                answered_at = action.at if isinstance(action, RecordVerified) else action.from_at
                home.books.answered_at = home.evidence_at = max(home.books.answered_at, answered_at)
                # The detector hears of it with its next turn, and takes back what stood until then.
                self.at(self.now + timedelta(seconds=30), partial(self._takes_back, home, answered_at))
        new = decision.case
        if new is None:
            assert old is None, "an open case vanished"
            return
        new = self._numbered(new)
        self._judge(home, key, old, new, happening)
        if new.is_open:
            home.cases[key] = new
            if old is None:
                self.opened[key[0]] = self.opened.get(key[0], 0) + 1
            assert new.next_action_at is not None
            self.at(new.next_action_at, lambda: self._timer(home, key))
        else:
            home.cases.pop(key, None)
        others = {name: case for name, case in home.cases.items() if name != key}
        assert others == {name: case for name, case in before.items() if name != key}, (
            "another case was touched"
        )

    def _numbered(self, case: CaseFacts) -> CaseFacts:
        tasks = tuple(task if task.id else replace(task, id=next(self.numbers)) for task in case.tasks)
        return replace(case, id=case.id or next(self.numbers), tasks=tasks)

    def _timer(self, home: Household, key: tuple[CaseCause, str]) -> None:
        case = home.cases.get(key)
        if case is not None and case.next_action_at is not None and case.next_action_at <= self.now:
            self._decide(home, key, TimerDue())
            if key in home.cases and self.chance.random() < 0.15:
                # Whoever is told again may do something about it.
                self.at(self.now + timedelta(seconds=self.chance.randrange(1, 240)), lambda: self._acts(home))

    # --- the judge -----------------------------------------------------------------------------------------------

    def _judge(
        self,
        home: Household,
        key: tuple[CaseCause, str],
        old: CaseFacts | None,
        new: CaseFacts,
        happening: Happening,
    ) -> None:
        assert (new.cause, new.cause_key or "") == key or new.cause is CaseCause.INACTIVITY
        if old is not None:
            assert new.state in TRANSITIONS[old.state], f"{old.state} became {new.state} by {happening}"
            assert new.policy == old.policy, "an open case keeps its snapshot"
        if new.is_open:
            assert new.next_action_at is not None and new.next_action_at > self.now, "no future"
            assert new.next_action
            held = new.held_until is not None
            assert new.lease_expires_at is None or new.is_owned(self.now) or held
            assert (new.holder_id is None) == (new.lease_expires_at is None)
            return
        assert new.outcome is not None and new.closed_at == self.now
        assert new.open_tasks == () and new.next_action_at is None and new.holder_id is None
        by_person = str(new.closed_by).startswith("user:")
        if key[0] is CaseCause.INACTIVITY:
            self._judge_end_of_inactivity(home, new, by_person)
        elif not by_person:
            assert key[0] not in (CaseCause.SOS, CaseCause.DURESS, CaseCause.DOOR_FORCED, CaseCause.STRANGER)

    def _judge_end_of_inactivity(self, home: Household, new: CaseFacts, by_person: bool) -> None:
        books = home.books
        if by_person:
            books.closed_by_person_at = self.now
            if new.outcome in ANSWERS:
                assert books.answered_at <= self.now
            if new.outcome is Outcome.DECEASED:
                books.consents = False
            return
        assert new.stage is not Stage.VISIT, "closed at the third day without a person"
        assert new.visit_begun_at is None, "closed while somebody was at the door"
        if new.outcome is not Outcome.CONSENT_WITHDRAWN:
            assert not books.stages and not books.checks, "closed though something stands"

    def _sweep(self) -> None:
        """What alerts looks for every few minutes; afterwards nobody is owed anything without a case."""
        key = (CaseCause.INACTIVITY, "")
        for home in self.homes:
            books = home.books
            closed_at = books.closed_by_person_at
            if (
                key not in home.cases
                and books.owes()
                and closed_at is not None
                and self.now - closed_at >= REOPEN
            ):
                stage = Stage(min(max(books.stages, default=0), 3))
                step = max(books.checks, default=0)
                fact = StandsUnanswered(1, stage, step, self.now, home.evidence_at, {"kind": "opening"})
                self._decide(home, key, fact)
            if books.owes() and key not in home.cases:
                assert closed_at is not None and self.now - closed_at < REOPEN, "an elder was lost"
            for case in home.cases.values():
                assert case.next_action_at is not None and case.next_action_at >= self.now, "left behind"

    # --- what ingest tells ---------------------------------------------------------------------------------------

    def _crosses(self, home: Household) -> None:
        stage = max(home.books.stages, default=0) + 1
        if stage > 3 or not home.books.consents:
            return
        home.books.stages[stage] = self.now
        fact = Crossing(stage, self.now, self.now, home.evidence_at, {"kind": "opening"}, 0, 0)
        self._decide(home, (CaseCause.INACTIVITY, ""), fact)

    def _opens(self, home: Household) -> None:
        home.evidence_at = self.now
        for stage in sorted(home.books.stages, reverse=True):
            del home.books.stages[stage]
            fact = Withdrawal(stage, self.now, self.now, {"kind": "opening"}, self.chance.random() < 0.3)
            self._decide(home, (CaseCause.INACTIVITY, ""), fact)
        self._check_ends(home)

    def _takes_back(self, home: Household, answered_at: datetime) -> None:
        key = (CaseCause.INACTIVITY, "")
        for stage in [number for number, at in home.books.stages.items() if at <= answered_at]:
            del home.books.stages[stage]
            self._decide(home, key, Withdrawal(stage, self.now, answered_at, {"kind": "verified"}, False))
        for step in [number for number, at in home.books.checks.items() if at <= answered_at]:
            del home.books.checks[step]
            self._decide(home, key, CheckEnded(step, self.now, answered_at, {"kind": "verified"}, False))

    def _check_due(self, home: Household) -> None:
        step = max(home.books.checks, default=0) + 1
        if step > 3 or not home.books.consents:
            return
        home.books.checks[step] = self.now
        fact = CheckDue(step, self.now, self.now, home.evidence_at, {"kind": "opening"}, 0)
        self._decide(home, (CaseCause.INACTIVITY, ""), fact)

    def _check_ends(self, home: Household) -> None:
        for step in sorted(home.books.checks):
            del home.books.checks[step]
            self._decide(
                home,
                (CaseCause.INACTIVITY, ""),
                CheckEnded(step, self.now, self.now, {"kind": "opening"}, False),
            )

    def _signals(self, home: Household) -> None:
        kind = self.chance.choice(list(SignalKind))
        cause = CAUSE_OF_SIGNAL[kind]
        subject = subject_of(cause, home.name, f"door-{home.name}")
        number = next(self.numbers)
        home.signals[number] = (cause, subject)
        fact = Signal(number, cause, kind.value, subject, self.now, {}, self.chance.random() < 0.1)
        self._decide(home, (cause, subject), fact)

    def _signal_ends(self, home: Household) -> None:
        if home.signals:
            number = self.chance.choice(list(home.signals))
            self._decide(home, home.signals.pop(number), SignalEnded(number, self.now, "closed"))

    def _opens_while_away(self, home: Household) -> None:
        home.absence = home.absence or next(self.numbers)
        key = (CaseCause.ABSENCE, f"absence:{home.absence}")
        fact = OpenedWhileAway(home.absence, key[1], self.now, {}, self.chance.random() < 0.3)
        if fact.certain:
            home.absence = None
        self._decide(home, key, fact)

    def _consent(self, home: Household) -> None:
        key = (CaseCause.INACTIVITY, "")
        if key in home.cases and self.chance.random() < 0.2:
            home.books.consents = False
            self._decide(home, key, ConsentWithdrawn())

    # --- what people do ------------------------------------------------------------------------------------------

    def _acts(self, home: Household) -> None:
        if home.cases:
            key = self.chance.choice(list(home.cases))
            for act in self._some_acts(home.cases[key]):
                if key in home.cases:
                    self._decide(home, key, act)

    def _some_acts(self, case: CaseFacts) -> Iterator[Happening]:
        user = self.chance.choice(CLERKS)
        tasks = [task for task in case.open_tasks if task.id is not None]
        task = self.chance.choice(tasks) if tasks else None
        match self.chance.randrange(8):
            case 0 | 1:
                yield Claim(user, Role.PROPERTY_CLERK)
            case 2:
                yield self.chance.choice([Release(user), AddNote(user, "asked at the desk")])
            case 3:
                yield Hold(
                    user,
                    "her son is on the way",
                    self.now + timedelta(minutes=self.chance.randrange(1, 1500)),
                )
            case 4:
                yield HandOver(user, self.chance.choice(list(Role)))
            case 5:
                yield ConfirmClosing(self.chance.choice(CLERKS), self.chance.random() < 0.7)
            case _ if task is not None and task.id is not None:
                if task.kind is TaskKind.VISIT:
                    yield BeginVisit(self.chance.choice(VISITORS), task.id)
                yield RecordOutcome(
                    user,
                    task.id,
                    self.chance.choice(list(Outcome)),
                    self.chance.choice([Contacted.SPOKE, None]),
                    self.chance.choice(["Ms Li", None]),
                    self.chance.choice(["", "what was found"]),
                    self.now + timedelta(days=self.chance.randrange(-1, 40)),
                )


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_thirty_days_of_four_homes_lose_nobody(seed: int) -> None:
    Street(seed, 4).live()


@pytest.mark.slow
def test_thirty_days_of_a_hundred_homes_lose_nobody() -> None:
    street = Street(20251117, 100)
    street.live()
    assert set(street.opened) == set(CaseCause) - {CaseCause.TECHNICAL, CaseCause.REVIEW}
    assert street.decisions > 50_000
