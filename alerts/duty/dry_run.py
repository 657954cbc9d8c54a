"""If she is silent from an instant on, who is called when? A connection and the question enter, a table leaves.

Nothing is written and nothing decided here: stages are crossed at the policy's thresholds, every timer is taken at its
own instant, nobody ever answers, and each turn asks the engine's own rules with what holds at that instant in the
registry (helpers' hours, rosters, holidays, addresses, consents). Blind time, evidence and absences are what the
detector adds; a dry run has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from alerts.duty.roster import Ground
from alerts.duty.store import load_duty
from alerts.keys import Key
from alerts.rules.actions import Annunciate, Decision, Entry, SupersedeMessages
from alerts.rules.case import CaseFacts, Circumstances, TaskFacts, after
from alerts.rules.happenings import Crossing, Happening, TimerDue
from alerts.rules.ladder import decide
from alerts.rules.policies import parse_policy
from alerts.rules.reasons import Reason
from alerts.sending.outbox import load_roster
from alerts.sending.recipients import VOICE, Told, decide_told, plan_messages
from alerts.surroundings import Surroundings, load_surroundings
from alerts.voice.planning_rows import find_calls
from kaimen.database import Connection, queries
from kaimen.policy import LadderPolicy

_SQL = queries("alerts.duty", "roster.sql")
#: A case nobody answers repeats for ever; so many lines are the table's bound, and it says when it is hit.
LINES_MAX = 400
TURNS_MAX = 2_000
HOURS_AFTER_VISIT_DEFAULT = 12
HOURS_AFTER_VISIT_MAX = 24 * 14


class DryRunError(ValueError):
    """The question names something that is not there; the message says what."""


@dataclass(frozen=True, slots=True)
class Question:
    """Of a household, or of a policy of a community as if somebody without helpers lived under it."""

    silent_from: datetime
    household_id: str | None = None
    community_id: str | None = None
    policy_id: str | None = None
    hours_after_visit: int = HOURS_AFTER_VISIT_DEFAULT


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that would happen: a stage, a task or a message, why, and by which ground of a roster."""

    at: datetime
    kind: str  # stage, task, message
    step: str
    why: Reason
    who: str = ""  # user:…, person:…, community:…/role
    role: str = ""
    channel: str = ""
    act: str = ""
    due_at: datetime | None = None
    people: tuple[int, ...] = ()
    ground: Ground | None = None
    chained: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The table in order of time; ``cut`` where its bound was hit."""

    question: Question
    zone: str
    policy: LadderPolicy
    until: datetime
    lines: tuple[Line, ...]
    names: Mapping[int, str]
    cut: bool


@dataclass(slots=True)
class _Course:
    """One dry run: the case as it is, and what was planned so far."""

    connection: Connection
    question: Question
    case: CaseFacts | None = None
    lines: list[Line] = field(default_factory=list)

    def surroundings(self, now: datetime) -> Surroundings:
        if self.question.household_id is not None:
            key = Key("", household_id=self.question.household_id)
            found = load_surroundings(self.connection, key, now=now, outside_channels=())
            # What stands around her today is not what the question is about.
            around = replace(found.around, answered_at=None, folded=False, remote_well_count=0)
            if self.question.policy_id is None:
                return replace(found, around=around)
            return replace(found, around=around, policy=self._policy(now, found.policy.zone))
        community_id = self.question.community_id or ""
        duty = load_duty(self.connection, community_id)
        if duty is None:
            raise DryRunError(f"there is no community {community_id}")
        around = Circumstances(community_id=community_id, household_id="", duty=duty)
        roster = load_roster(self.connection, community_id, None, (), ())
        return Surroundings(around, self._policy(now, duty.zone), replace(roster, duty=duty))

    def _policy(self, now: datetime, zone: str) -> LadderPolicy:
        policy_id = self.question.policy_id or "mandated"
        values = {"policy_id": policy_id, "now": now}
        row = self.connection.execute(_SQL["policy_in_force"], values).fetchone()
        if row is None and policy_id != "mandated":
            raise DryRunError(f"there is no policy {policy_id} in force at {now.isoformat()}")
        return parse_policy({**(row or {}), "zone": zone})

    def happens(self, happening: Happening, now: datetime) -> None:
        found = self.surroundings(now)
        before = self.case
        decision = decide(before, happening, now, found.policy, found.around)
        self.case = decision.case
        self._note_stage(before, decision, now)
        self._note_tasks(before, decision)
        self._note_messages(decision, found, now)

    def _note_stage(self, before: CaseFacts | None, decision: Decision, now: datetime) -> None:
        new = decision.case
        if new is not None and (before is None or new.stage > before.stage):
            self.lines.append(Line(now, "stage", new.stage.api_name, decision.reason))

    def _note_tasks(self, before: CaseFacts | None, decision: Decision) -> None:
        known = () if before is None else before.tasks
        for task in () if decision.case is None else decision.case.tasks[len(known) :]:
            self.lines.append(_task_line(task, decision))

    def _note_messages(self, decision: Decision, found: Surroundings, now: datetime) -> None:
        # As when they are written: what is planned and not sent goes to nobody, but chains of the same step go on.
        keep_step = next(
            (item.step for item in decision.actions if isinstance(item, Annunciate) and not item.family), ""
        )
        for action in decision.actions:
            if isinstance(action, SupersedeMessages):
                self.lines = [
                    line
                    for line in self.lines
                    if line.kind != "message" or line.at <= now or (line.chained and line.step == keep_step)
                ]
            elif isinstance(action, Annunciate):
                self.lines += self._messages(action, decision, found, now)

    def _messages(
        self, wanted: Annunciate, decision: Decision, found: Surroundings, now: datetime
    ) -> Iterator[Line]:
        why = next((item.words for item in decision.actions if isinstance(item, Entry)), decision.reason)
        told = {item.role: item for item in decide_told(wanted, found.roster)}
        roles = {f"user:{person}": item for item in told.values() for person in item.people}
        for message in plan_messages(wanted, found.roster):
            at = message.not_before or wanted.not_before
            role = _role_of(message.person)
            of_role = told.get(role) or roles.get(message.person)
            yield _message_line(
                at, wanted.step, why, message.person, message.channel, of_role, message.address_id is not None
            )
        if VOICE in found.roster.outside_channels:
            for call in find_calls(self.connection, self.question.household_id, wanted, found.roster, now):
                yield _message_line(
                    call.not_before,
                    wanted.step,
                    why,
                    call.person,
                    VOICE,
                    roles.get(call.person),
                    chained=False,
                )


def _role_of(person: str) -> str:
    return person.partition("/")[2]


def _message_line(
    at: datetime, step: str, why: Reason, person: str, channel: str, told: Told | None, chained: bool
) -> Line:
    return Line(
        at, "message", step, why, person, told.role if told else _role_of(person), channel,
        people=told.people if told and _role_of(person) else (), ground=told.ground if told else None,
        chained=chained,
    )  # fmt: skip


def _task_line(task: TaskFacts, decision: Decision) -> Line:
    assert decision.case is not None
    step = decision.case.stage.api_name
    return Line(task.start_at, "task", step, decision.reason, "", task.role, "", task.kind.value, task.due_at)


def answer(connection: Connection, question: Question) -> Answer:
    """Return who is told and asked, when and why, if nothing is heard of her and nobody answers.

    Raises
    ------
    DryRunError
        If the household, the community or the policy is not there, or the hours are out of bounds.
    """
    if not 0 <= question.hours_after_visit <= HOURS_AFTER_VISIT_MAX:
        raise DryRunError(f"hours after the last stage: 0 to {HOURS_AFTER_VISIT_MAX}")
    course = _Course(connection, question)
    try:
        first = course.surroundings(question.silent_from)
    except LookupError as error:
        raise DryRunError(f"there is no household {question.household_id}") from error
    thresholds = first.policy.thresholds_ms
    crossings = [(after(question.silent_from, ms), stage, ms) for stage, ms in enumerate(thresholds, 1)]
    until = crossings[-1][0] + timedelta(hours=question.hours_after_visit)
    cut = not _run(course, crossings, until)
    order = {"stage": 0, "task": 1, "message": 2}
    lines = sorted(
        (line for line in course.lines if line.at <= until), key=lambda line: (line.at, order[line.kind])
    )
    names = (
        {}
        if first.around.duty is None
        else {item.id: item.name for item in first.around.duty.people.values()}
    )
    return Answer(
        question, first.policy.zone, first.policy, until, tuple(lines[:LINES_MAX]), names,
        cut or len(lines) > LINES_MAX,
    )  # fmt: skip


def _run(course: _Course, crossings: list[tuple[datetime, int, int]], until: datetime) -> bool:
    """Take crossings and timers in order of time up to ``until``; say whether that was all."""
    waiting = list(crossings)
    for _ in range(TURNS_MAX):
        timer_at = None if course.case is None else course.case.next_action_at
        if waiting and (timer_at is None or waiting[0][0] <= timer_at):
            at, stage, ms = waiting.pop(0)
            course.happens(_crossing(course.question.silent_from, at, stage, ms), at)
        elif timer_at is not None and timer_at <= until:
            course.happens(TimerDue(), timer_at)
        else:
            return True
    return False


def _crossing(silent_from: datetime, at: datetime, stage: int, ms: int) -> Crossing:
    return Crossing(stage, at, at, silent_from, {"kind": "dry_run"}, ms, ms)


def as_json(found: Answer, *, named: bool) -> dict[str, Any]:
    """Return the table as the command line and the API give it; names of staff where the reader may have them."""
    question = found.question

    def of(line: Line) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "at": line.at.isoformat(), "kind": line.kind, "step": line.step, "why": line.why.value,
            "who": line.who or None, "role": line.role or None, "channel": line.channel or None,
            "act": line.act or None, "due_at": line.due_at.isoformat() if line.due_at else None,
            "on_duty": [f"user:{person}" for person in line.people],
            "ground": line.ground.value if line.ground else None,
        }  # fmt: skip
        if named:
            ids = line.people or ((int(line.who[5:]),) if line.who.startswith("user:") else ())
            shown["names"] = [found.names[person] for person in ids if person in found.names]
        return shown

    return {
        "household": question.household_id, "community": question.community_id, "policy": question.policy_id,
        "policy_version": found.policy.version, "silent_from": question.silent_from.isoformat(),
        "until": found.until.isoformat(), "zone": found.zone, "cut": found.cut,
        "lines": [of(line) for line in found.lines],
    }  # fmt: skip
