"""Thirty days of ten thousand homes through the case engine: every transition is the one the oracle says, to the instant.

The oracle (``tests/oracle/case_oracle.py``) has the ladder from DESIGN section 6 and not one line of the engine. CI lives
with fewer homes of one seed; ``KAIMEN_TEST_CASE_HOMES=10000`` takes all of them, from a fresh seed that is printed.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from alerts.rules.actions import Entry
from alerts.rules.case import CaseFacts, Circumstances
from alerts.rules.happenings import (
    Claim,
    ConfirmClosing,
    Crossing,
    Happening,
    RecordOutcome,
    TimerDue,
    Withdrawal,
)
from alerts.rules.ladder import decide
from alerts.rules.reasons import Reason
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import Contacted, Outcome, Role, Stage, TaskKind
from tests.oracle.case_oracle import Home, Input, Transition

pytestmark = pytest.mark.simulation

ALL_HOMES, DAYS = 10_000, 30
_ASKED = os.environ.get("KAIMEN_TEST_CASE_HOMES", "")
HOMES = int(_ASKED or "300")
SEED = 20261122
#: Of processor: living, judging and deciding together, for all homes.
WITHIN_S = 60 * HOMES / ALL_HOMES
START_MS = 1_763_341_200_000  # 2025-11-17T09:00+08:00
CLERK = 1
#: How the visit is asked from one helper to the next, and what else is owed meanwhile, has its own tests; everything
#: else is compared.
LEFT_OUT = {Reason.VISIT_PASSED_ON, Reason.VISIT_OVERDUE}
LEFT_OUT_AT_VISIT = {*LEFT_OUT, Reason.CALL_OVERDUE}


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


class Engine:
    """One home as the engine sees it."""

    def __init__(self, name: str) -> None:
        self.case: CaseFacts | None = None
        self.around = Circumstances(community_id="c1", household_id=name)
        self.policy = LadderPolicy()
        self.transitions: list[Transition] = []
        self.numbers = 0

    def live(self, inputs: list[Input], end_ms: int) -> None:
        for item in inputs:
            self._clock(item.at_ms)
            self._decide(self._happening(item), item.at_ms)
        self._clock(end_ms)

    def _clock(self, until_ms: int) -> None:
        while self.case is not None and self.case.next_action_at is not None:
            due_ms = round(self.case.next_action_at.timestamp() * 1000)
            if due_ms >= until_ms:
                return
            self._decide(TimerDue(), due_ms)

    def _happening(self, item: Input) -> Happening:
        at, evidence_at = _at(item.at_ms), _at(item.evidence_ms)
        if item.kind == "crossing":
            return Crossing(item.stage, at, at, evidence_at, {"kind": "opening"}, 0, 0)
        if item.kind == "withdrawal":
            return Withdrawal(item.stage, at, evidence_at, {"kind": "opening"}, False)
        if item.kind == "claim":
            return Claim(CLERK, Role.PROPERTY_CLERK)
        if item.kind == "confirm":
            return ConfirmClosing(CLERK, True)
        assert self.case is not None
        task = next(task for task in self.case.open_tasks if task.kind in (TaskKind.CALL, TaskKind.VISIT))
        assert task.id is not None
        return RecordOutcome(CLERK, task.id, Outcome.WELL, Contacted.SPOKE, "Ms Li")

    def _decide(self, happening: Happening, at_ms: int) -> None:
        decision = decide(self.case, happening, _at(at_ms), self.policy, self.around)
        at_visit = decision.case is not None and decision.case.stage is Stage.VISIT
        left_out = LEFT_OUT_AT_VISIT if at_visit else LEFT_OUT
        for action in decision.actions:
            if isinstance(action, Entry) and action.words not in left_out:
                more = str(action.args.get("stage", "")) if isinstance(happening, Crossing) else ""
                if decision.case is not None and not decision.case.is_open:
                    more = str(decision.case.outcome)
                self.transitions.append((at_ms, action.words.value, more))
        new = decision.case
        if new is None or not new.is_open:
            self.case = None
            return
        tasks = []
        for task in new.tasks:
            self.numbers += task.id is None
            tasks.append(task if task.id is not None else replace(task, id=self.numbers))
        self.case = replace(new, id=new.id or 1, tasks=tuple(tasks))


def test_every_transition_of_every_case_is_the_oracles() -> None:
    seed = random.SystemRandom().randrange(10**9) if _ASKED else SEED
    print(f"seed {seed}")
    begin, busy = time.monotonic(), time.process_time()
    end_ms = START_MS + DAYS * 24 * 3_600_000
    words: Counter[str] = Counter()
    for number in range(HOMES):
        home = Home(Random(f"{seed} {number}"))
        home.live(START_MS, DAYS)
        engine = Engine(f"h{number}")
        engine.live(home.inputs, end_ms)
        if engine.transitions != home.transitions:
            pairs = zip(engine.transitions, home.transitions, strict=False)
            first = next((index for index, (one, other) in enumerate(pairs) if one != other), None)
            first = first if first is not None else min(len(engine.transitions), len(home.transitions))
            pytest.fail(
                f"seed {seed}, home {number}, transition {first}:\n"
                f"engine {_told(engine.transitions[max(0, first - 4) : first + 2])}\n"
                f"oracle {_told(home.transitions[max(0, first - 4) : first + 2])}"
            )
        words.update(word for _, word, _ in home.transitions)
    used_s = time.process_time() - busy
    print(
        f"{words.total()} transitions in {time.monotonic() - begin:.1f} s, {used_s:.1f} s of processor: {words}"
    )
    assert set(words) >= {
        "opened", "raised", "listed", "call_overdue", "claimed", "lease_expired", "lowered",
        "closed_by_evidence", "closed_by_outcome", "closing_proposed", "not_confirmed",
    }  # fmt: skip
    # A share of a machine says little of a second; the whole is measured where it is asked for.
    assert not _ASKED or used_s < WITHIN_S


def _told(transitions: list[Transition]) -> list[str]:
    return [f"{_at(at) + timedelta(hours=8):%d %H:%M:%S.%f} {word} {more}" for at, word, more in transitions]
