"""The ladder told as days: crossings, waiting and acts enter one after another, the case and what was told leave.

Nothing is read or written: the story applies each decision to the case in memory, as the store does with rows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alerts.rules.actions import (
    Action,
    Annunciate,
    Decision,
    DeclareAbsence,
    Entry,
    RecordVerified,
    SupersedeMessages,
)
from alerts.rules.case import CaseFacts, Circumstances
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
    OutageBegan,
    OutageEnded,
    RecordOutcome,
    Release,
    RemoteWell,
    TimerDue,
    Withdrawal,
)
from alerts.rules.ladder import decide
from alerts.rules.reasons import Reason
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import Contacted, Outcome, Role, TaskKind

#: Monday, 09:00 in Shanghai.
MONDAY = datetime(2025, 11, 17, 1, 0, tzinfo=UTC)
CLERK, SECOND, WATCHER, OFFICER = 1, 2, 3, 4
_ROLE = {
    CLERK: Role.PROPERTY_CLERK,
    SECOND: Role.PROPERTY_CLERK,
    WATCHER: Role.NEIGHBOUR_WATCHER,
    OFFICER: Role.POLICE_OFFICER,
}


def at(*, day: int = 0, hour: int = 9, minute: int = 0) -> datetime:
    """An instant by the wall clock of Shanghai; day 0 is Monday."""
    return MONDAY + timedelta(days=day, hours=hour - 9, minutes=minute)


class Story:
    """One household (or one technical cause) from nothing to wherever the test takes it."""

    def __init__(self, *helpers: Role, household_id: str | None = "h1", **around: object) -> None:
        self.now = MONDAY
        self.policy = LadderPolicy()
        self.around = Circumstances(community_id="c1", household_id=household_id, helpers=helpers)
        self.around = replace(self.around, **around)
        self.case: CaseFacts | None = None
        self.closed: list[CaseFacts] = []
        self.reasons: list[Reason] = []
        self.actions: list[Action] = []
        self.planned: list[Annunciate] = []
        self.sent: list[Annunciate] = []
        self._task_count = 0
        self._facts = 0
        self.standing: set[int] = set()
        self.checks: set[int] = set()

    # --- what happens --------------------------------------------------------------------------------------------

    def happens(self, happening: Happening) -> Decision:
        self._send_due()
        decision = decide(self.case, happening, self.now, self.policy, self.around)
        self.reasons.append(decision.reason)
        for action in decision.actions:
            self._apply(action)
        self._take(decision.case)
        self._send_due()
        return decision

    def _take(self, case: CaseFacts | None) -> None:
        if case is None:
            self.case = None
            return
        tasks = []
        for task in case.tasks:
            if task.id is None:
                self._task_count += 1
                task = replace(task, id=self._task_count)
            tasks.append(task)
        # The store derives these from the facts; a new case in memory has them from here.
        standing = frozenset(self.standing) if case.household_id else case.standing
        checks = frozenset(self.checks) if case.household_id else case.checks
        case = replace(case, id=case.id or 1, tasks=tuple(tasks), standing=standing, checks=checks)
        if case.is_open:
            self.case = case
        else:
            self.closed.append(case)
            self.case = None

    def _apply(self, action: Action) -> None:
        self.actions.append(action)
        match action:
            case SupersedeMessages():
                self.planned.clear()
            case Annunciate():
                self.planned.append(action)
            case _:
                return

    def _send_due(self) -> None:
        due = [message for message in self.planned if message.not_before <= self.now]
        self.planned = [message for message in self.planned if message.not_before > self.now]
        self.sent += due

    def until(self, now: datetime) -> Story:
        """Let time pass, taking every timer at its own instant."""
        for _ in range(10_000):
            if self.case is None or self.case.next_action_at is None or self.case.next_action_at > now:
                break
            self.now = max(self.now, self.case.next_action_at)
            self.happens(TimerDue())
        else:
            raise AssertionError("a case never comes to rest")
        self.now = max(self.now, now)
        self._send_due()
        return self

    # --- what ingest tells ---------------------------------------------------------------------------------------

    def crosses(self, stage: int, *, gone: bool = False, evidence_at: datetime | None = None) -> Decision:
        self.standing.add(int(stage))
        since = evidence_at or self.now - timedelta(days=int(stage))
        ms = int(stage) * 86_400_000
        return self.happens(Crossing(stage, self.now, self.now, since, {"kind": "opening"}, ms, ms, gone))

    def opens_the_door(self, *, late: bool = False, kind: str = "opening") -> None:
        """Evidence: everything announced and due ends at this instant, one fact each."""
        for stage in sorted(self.standing, reverse=True):
            self.withdraws(stage, late=late, kind=kind)
        for step in sorted(self.checks):
            self.check_ends(step, late=late, kind=kind)

    def withdraws(self, stage: int, *, late: bool = False, kind: str = "opening") -> Decision:
        self.standing.discard(int(stage))
        return self.happens(Withdrawal(stage, self.now, self.now, {"kind": kind}, late))

    def check_due(self, step: int, *, evidence_at: datetime | None = None) -> Decision:
        self.checks.add(step)
        since = evidence_at or self.now - timedelta(days=step)
        return self.happens(CheckDue(step, self.now, self.now, since, {"kind": "opening"}, 0))

    def check_ends(self, step: int, *, late: bool = False, kind: str = "opening") -> Decision:
        self.checks.discard(step)
        return self.happens(CheckEnded(step, self.now, self.now, {"kind": kind}, late))

    def goes_out(self, outage_id: int, *, cause: str = "gateway", cause_id: str = "gw-1") -> Decision:
        return self.happens(OutageBegan(outage_id, f"door-{outage_id}", cause, cause_id, self.now, None))

    def is_heard(self, outage_id: int) -> Decision:
        return self.happens(OutageEnded(outage_id, f"door-{outage_id}", self.now))

    def withdraws_consent(self) -> Decision:
        return self.happens(ConsentWithdrawn())

    # --- what people do ------------------------------------------------------------------------------------------

    def claims(self, user: int = CLERK) -> Decision:
        return self.happens(Claim(user, _ROLE[user]))

    def releases(self, user: int = CLERK) -> Decision:
        return self.happens(Release(user))

    def notes(self, words: str, user: int = CLERK) -> Decision:
        return self.happens(AddNote(user, words))

    def begins_visit(self, user: int = WATCHER) -> Decision:
        return self.happens(BeginVisit(user, self.task_id(TaskKind.VISIT)))

    def reports(
        self,
        outcome: Outcome,
        *,
        task: TaskKind = TaskKind.CALL,
        user: int = CLERK,
        contacted: Contacted | None = None,
        witness: str | None = None,
        until: datetime | None = None,
        note: str = "",
        instead_of: int | None = None,
    ) -> Decision:
        act = RecordOutcome(user, self.task_id(task), outcome, contacted, witness, note, until, instead_of)
        return self.happens(act)

    def says_she_is_well(self, task: TaskKind = TaskKind.CALL, user: int = CLERK) -> Decision:
        return self.reports(
            Outcome.WELL, task=task, user=user, contacted=Contacted.SPOKE, witness="Ms Li, property desk"
        )

    def confirms(self, confirmed: bool = True, user: int = CLERK) -> Decision:
        return self.happens(ConfirmClosing(user, confirmed))

    def holds(self, reason: str, until: datetime, user: int = CLERK) -> Decision:
        return self.happens(Hold(user, reason, until))

    def hands_over(self, to_role: Role, user: int = CLERK, note: str = "") -> Decision:
        return self.happens(HandOver(user, to_role, note))

    def presses_the_key(self) -> Decision:
        return self.happens(RemoteWell("key"))

    # --- what one asks about -------------------------------------------------------------------------------------

    def task_id(self, kind: TaskKind) -> int:
        assert self.case is not None, "there is no open case"
        found = [task.id for task in self.case.open_tasks if task.kind is kind]
        assert found and found[0] is not None, f"no open {kind} task"
        return found[0]

    def open_tasks(self) -> list[tuple[TaskKind, str]]:
        return [] if self.case is None else [(task.kind, task.role) for task in self.case.open_tasks]

    def roles_told(self) -> list[tuple[Role, ...]]:
        return [message.roles for message in self.sent]

    def steps_told(self) -> list[str]:
        return [message.step for message in self.sent]

    def of_kind(self, kind: type[RecordVerified] | type[DeclareAbsence] | type[Entry]) -> list[Action]:
        return [action for action in self.actions if isinstance(action, kind)]

    @property
    def outcome(self) -> Outcome | None:
        return self.closed[-1].outcome if self.closed and self.case is None else None

    @property
    def open_case(self) -> CaseFacts:
        assert self.case is not None, "there is no open case"
        return self.case


def technical() -> Story:
    """The story of a technical cause: no household of its own."""
    return Story(household_id=None)
