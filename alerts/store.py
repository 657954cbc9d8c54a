"""Rows and facts: a connection enters, cases, happenings and circumstances leave; decisions enter, rows leave.

Everything here runs inside the caller's transaction. Work on one household or one technical cause is serialised by
an advisory lock that lives as long as the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from alerts.case import (
    OWN_RULES,
    Action,
    Annunciate,
    AskReview,
    CaseFacts,
    CheckDue,
    CheckEnded,
    Circumstances,
    ConfirmMessages,
    Crossing,
    Decision,
    DeclareAbsence,
    DoubtWord,
    EndAbsence,
    EndWatch,
    Entry,
    Fact,
    FoldHousehold,
    JoinSignal,
    LeaveSignal,
    OpenedWhileAway,
    OutageBegan,
    OutageEnded,
    OutageMoved,
    Reason,
    RecordVerified,
    RemoteOnly,
    ReportSensorFault,
    RestoreAbsence,
    Signal,
    SignalEnded,
    StandsUnanswered,
    SupersedeMessages,
    TaskFacts,
    UnfoldHousehold,
    WellToReview,
    Withdrawal,
    stage_of,
)
from alerts.checks import Resident, Unseen, frailty_of, places
from alerts.grading import format_grounds, parse_grounds
from alerts.outbox import load_roster, supersede_messages, write_messages
from alerts.policies import format_policy, parse_policy, policy_values
from alerts.recipients import HELPER_ORDER, Roster
from alerts.roster_store import load_duty
from alerts.signals import CAUSE_OF_SIGNAL, decide_review, subject_of
from alerts.technical import (
    QUARANTINE_CAUSE,
    SET_ASIDE_CAUSE,
    UNKNOWN_SITE,
    asked_to_check_device,
    cause_key,
    new_technical_case,
)
from kaimen.database import Connection, notify, queries
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    HappeningKind,
    Outcome,
    SignalKind,
    Stage,
    TaskKind,
    TaskState,
)

_SQL = queries("alerts")
_OUTBOX = queries("alerts", "outbox.sql")
FAILURE_LENGTH_MAX = 500
#: Nobody spoke with her and nobody saw her: as ``verified_contacts.is_remote`` has it.
REMOTE_WORDS = frozenset({"remote", "order", "button"})
#: Happenings of outages taken in one turn: a cause is decided and written once, however many devices it has.
OUTAGES_AT_ONCE_MAX = 2_000
#: After so long without an opening, a word or a sight of her, somebody goes and looks, whatever anyone pressed.
REMOTE_ONLY_MAX = timedelta(days=5)


class CaseChangedError(RuntimeError):
    """A case was changed by somebody who does not take its lock: the turn is to be done again."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is worked on by one transaction at a time: a household, or a technical cause in a community.

    ``signal`` is the case's cause where that is neither inactivity nor technical; ``cause_key`` is then its subject.
    """

    community_id: str
    household_id: str | None = None
    cause: str = ""
    cause_id: str = ""
    cause_key: str = ""
    signal: CaseCause | None = None

    @property
    def lock(self) -> str:
        if self.household_id:
            return f"household:{self.household_id}"
        return f"cause:{self.cause_key}" if self.signal is None else f"{self.signal}:{self.cause_key}"

    @property
    def is_technical(self) -> bool:
        return self.household_id is None and self.signal is None

    @property
    def is_of_inactivity(self) -> bool:
        return self.household_id is not None and self.signal is None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The unhandled happenings of one key, oldest first."""

    key: Key
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HappeningRow:
    id: int
    kind: HappeningKind
    fact_id: int


@dataclass(frozen=True, slots=True)
class OutageTale:
    """A happening of an outage with what it tells of."""

    happening: HappeningRow
    fact: Fact


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules and the recipients need beside the case."""

    around: Circumstances
    policy: LadderPolicy
    roster: Roster


# --- happenings --------------------------------------------------------------------------------------------------


def load_waiting(connection: Connection, *, now: datetime, limit: int) -> list[Waiting]:
    """Return the oldest unhandled happenings by key, sorted so that two workers lock in the same order."""
    args = {"now": now, "limit": limit}
    rows = connection.execute(_SQL["waiting_happenings"], args).fetchall()
    args = {"now": now, "limit": OUTAGES_AT_ONCE_MAX}
    rows += connection.execute(_SQL["waiting_outages"], args).fetchall()
    grouped: dict[Key, list[int]] = {}
    for row in rows:
        grouped.setdefault(_key_of_happening(row), []).append(row["id"])
    waiting = [Waiting(key, tuple(ids)) for key, ids in grouped.items()]
    return sorted(waiting, key=lambda item: (item.key.community_id, item.key.lock))


def _key_of_happening(row: Mapping[str, Any]) -> Key:
    community_id = row["community_id"] or ""
    if row["signal_kind"] is not None:
        return _key_of_signal(row, community_id)
    if row["cause"] is None:
        return Key(community_id, household_id=row["household_id"])
    key = cause_key(row["cause"], row["cause_id"], community_id)
    return Key(community_id, cause=row["cause"], cause_id=row["cause_id"], cause_key=key)


def _key_of_signal(row: Mapping[str, Any], community_id: str) -> Key:
    cause = CAUSE_OF_SIGNAL[SignalKind(row["signal_kind"])]
    subject = subject_of(cause, row["household_id"], row["signal_device_id"])
    return Key(community_id, household_id=row["household_id"], cause_key=subject, signal=cause)


def set_aside_key(community_id: str) -> Key:
    """Return the key of the case that stands for what was set aside in a community."""
    key = cause_key("own", SET_ASIDE_CAUSE, community_id)
    return Key(community_id, cause="own", cause_id=SET_ASIDE_CAUSE, cause_key=key)


def quarantine_key(community_id: str, site_id: str) -> Key:
    """Return the key of the case that stands for a site's unanswered messages."""
    key = cause_key(QUARANTINE_CAUSE, site_id, community_id)
    return Key(community_id, cause=QUARANTINE_CAUSE, cause_id=site_id, cause_key=key)


def key_before(moved: OutageMoved, community_id: str) -> Key:
    """Return the key of the cause an outage was told under before it moved."""
    key = cause_key(moved.from_cause, moved.from_cause_id, community_id)
    return Key(community_id, cause=moved.from_cause, cause_id=moved.from_cause_id, cause_key=key)


def try_lock(connection: Connection, key: Key) -> bool:
    """Say whether this transaction may work on ``key``; held until it ends."""
    row = connection.execute(_SQL["try_lock"], {"key": key.lock}).fetchone()
    return bool(row and row["locked"])


def lock(connection: Connection, key: Key) -> None:
    """Wait until this transaction may work on ``key``; held until it ends."""
    connection.execute(_SQL["lock"], {"key": key.lock})


def claim_happenings(connection: Connection, ids: Sequence[int]) -> list[HappeningRow]:
    """Return those of ``ids`` that nobody has handled, oldest first, locked."""
    rows = connection.execute(_SQL["claim_happenings"], {"ids": list(ids)}).fetchall()
    return [HappeningRow(row["id"], HappeningKind(row["kind"]), row["fact_id"]) for row in rows]


def mark_handled(connection: Connection, happening_ids: Sequence[int], now: datetime) -> None:
    connection.execute(_SQL["happening_done"], {"ids": list(happening_ids), "now": now})


def set_aside(connection: Connection, happening_id: int, *, failure: str, retry_at: datetime) -> None:
    """Keep a happening that could not be handled for later, with the reason."""
    connection.execute(
        _SQL["happening_set_aside"],
        {"id": happening_id, "failure": failure[:FAILURE_LENGTH_MAX], "retry_at": retry_at},
    )


_FACT: dict[HappeningKind, Callable[[dict[str, Any]], Fact]] = {
    HappeningKind.CROSSING: lambda row: Crossing(**row),
    HappeningKind.WITHDRAWAL: lambda row: Withdrawal(**row),
    HappeningKind.CHECK_DUE: lambda row: CheckDue(**row),
    HappeningKind.CHECK_ENDED: lambda row: CheckEnded(**row),
    HappeningKind.OUTAGE_BEGAN: lambda row: OutageBegan(**row),
    HappeningKind.OUTAGE_MOVED: lambda row: OutageMoved(**row),
    HappeningKind.OUTAGE_ENDED: lambda row: OutageEnded(**row),
    HappeningKind.SIGNAL: lambda row: _signal_of(row),
    HappeningKind.SIGNAL_ENDED: lambda row: SignalEnded(**row),
}


def _signal_of(row: Mapping[str, Any]) -> Signal:
    cause = CAUSE_OF_SIGNAL[SignalKind(row["kind"])]
    subject = subject_of(cause, row["household_id"], row["device_id"])
    evidence = {**row["evidence"], "signal": row["kind"]}
    if row["device_id"] is not None:
        evidence["device"] = row["device_id"]
    return Signal(row["id"], cause, row["kind"], subject, row["at"], evidence, row["gone"])


def load_outage_facts(connection: Connection, happenings: Sequence[HappeningRow]) -> list[OutageTale]:
    """Return the facts that happenings of outages tell of, in their order.

    Raises
    ------
    LookupError
        If one is not there.
    """
    ids = [happening.id for happening in happenings]
    found: dict[int, Fact] = {}
    for kind in (HappeningKind.OUTAGE_BEGAN, HappeningKind.OUTAGE_MOVED, HappeningKind.OUTAGE_ENDED):
        for row in connection.execute(_SQL[f"fact_{kind.value}"], {"ids": ids}).fetchall():
            values = dict(row)
            happening_id = values.pop("happening_id")
            found[happening_id] = _FACT[kind](values)
    missing = [happening.id for happening in happenings if happening.id not in found]
    if missing:
        raise LookupError(f"happening {missing[0]} tells of an outage that is not there")
    return [OutageTale(happening, found[happening.id]) for happening in happenings]


def load_fact(connection: Connection, happening: HappeningRow) -> Fact:
    """Return the fact a household's happening tells of.

    Raises
    ------
    LookupError
        If there is none: ingest and alerts disagree, the happening is set aside.
    """
    row = connection.execute(_SQL[f"fact_{happening.kind.value}"], {"fact_id": happening.fact_id}).fetchone()
    if row is None:
        raise LookupError(f"happening {happening.id} tells of {happening.kind.value} that is not there")
    return _FACT[happening.kind](dict(row))


# --- surroundings ------------------------------------------------------------------------------------------------


def load_surroundings(
    connection: Connection, key: Key, *, now: datetime, outside_channels: tuple[str, ...]
) -> Surroundings:
    """Return what holds around a household or a technical cause at ``now``."""
    if key.household_id is None:
        row = connection.execute(_SQL["community"], {"community_id": key.community_id, "now": now}).fetchone()
        if row is None:
            raise LookupError("a device without a community")
        duty = load_duty(connection, key.community_id)
        around = Circumstances(community_id=key.community_id, duty=duty)
        roster = load_roster(connection, key.community_id, None, (), outside_channels)
        return Surroundings(around, parse_policy(row), replace(roster, duty=duty))
    row = connection.execute(
        _SQL["household_circumstances"], {"household_id": key.household_id, "now": now}
    ).fetchone()
    if row is None:
        raise LookupError("a household that is not registered")
    policy = parse_policy(row)
    duty = load_duty(connection, row["community_id"])
    around = Circumstances(
        community_id=row["community_id"],
        household_id=key.household_id,
        helpers=tuple(role for role in HELPER_ORDER if role in row["helpers"]),
        answered_at=row["answered_at"],
        folded=row["folded"],
        remote_well_count=row["remote_well_count"],
        remote_well_max=policy.remote_well_max,
        real_evidence_at=row["real_evidence_at"],
        cannot_phone=row["cannot_phone"],
        helper_waits_ms={role: seconds * 1000 for role, seconds in (row["helper_waits"] or {}).items()},
        duty=duty,
    )
    family_user_ids = tuple(row["family_user_ids"])
    roster = load_roster(connection, row["community_id"], key.household_id, family_user_ids, outside_channels)
    return Surroundings(around, policy, replace(roster, duty=duty))


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """In which order the people of a community are asked after, and by how many."""

    places: Mapping[str, int]
    staff: int

    def paced(self, around: Circumstances) -> Circumstances:
        """Return the circumstances with her place in the order; only checks are paced by it."""
        place = self.places.get(around.household_id or "", len(self.places))
        return replace(around, queue=place, staff=self.staff)


def load_check_order(connection: Connection, community_id: str, *, now: datetime) -> CheckOrder:
    """Return whom a community asks after, longest unseen and frailest first."""
    args = {"community_id": community_id}
    rows = connection.execute(_SQL["unseen"], args).fetchall()
    staff = connection.execute(_SQL["count_staff"], args).fetchone()
    people = [
        Unseen(row["household_id"], row["step"], row["evidence_at"], _frailty_of(row, now)) for row in rows
    ]
    return CheckOrder(places(people), staff["staff"] if staff else 0)


def _frailty_of(row: Mapping[str, Any], now: datetime) -> int:
    residents = zip(row["categories"], row["birth_years"], row["hard_of_hearing"], strict=True)
    return frailty_of(
        (Resident(category, birth_year or None, deaf) for category, birth_year, deaf in residents),
        year=now.year,
    )


# --- cases -------------------------------------------------------------------------------------------------------


def load_open_case(connection: Connection, key: Key) -> CaseFacts | None:
    """Return the open case of a key, locked."""
    if key.signal is not None:
        args = {"cause": key.signal.value, "subject": key.cause_key}
        row = connection.execute(_SQL["open_subject_case"], args).fetchone()
    elif key.household_id is not None:
        row = connection.execute(_SQL["open_inactivity_case"], {"household_id": key.household_id}).fetchone()
    else:
        row = connection.execute(_SQL["open_technical_case"], {"cause_key": key.cause_key}).fetchone()
    return None if row is None else _load_case(connection, row, key)


def load_case(connection: Connection, case_id: int) -> tuple[CaseFacts, Key] | None:
    """Return a case and its key after waiting for the key's lock; None where there is no such case."""
    found = connection.execute(_SQL["case_key"], {"id": case_id}).fetchone()
    if found is None:
        return None
    lock(connection, _bare_key(found))
    row = connection.execute(_SQL["case_by_id"], {"id": case_id}).fetchone()
    assert row is not None, "cases are never deleted"
    key = key_of_case(row)
    return _load_case(connection, row, key), key


def _bare_key(row: Mapping[str, Any]) -> Key:
    return Key(
        "", household_id=row["household_id"], cause_key=row["cause_key"] or "", signal=_signal_cause(row)
    )


def _signal_cause(row: Mapping[str, Any]) -> CaseCause | None:
    cause = CaseCause(row["cause"])
    return None if cause in OWN_RULES else cause


def key_of_case(row: Mapping[str, Any]) -> Key:
    """Return the key of a row of ``cases``."""
    signal = _signal_cause(row)
    if signal is not None:
        return Key(
            row["community_id"],
            household_id=row["household_id"],
            cause_key=row["cause_key"],
            signal=signal,
        )
    if row["household_id"] is not None:
        return Key(row["community_id"], household_id=row["household_id"])
    cause, _, rest = row["cause_key"].partition(":")
    if cause in ("own", "broker"):
        rest = rest.removesuffix(row["community_id"]).removesuffix(":")
    return Key(row["community_id"], cause=cause, cause_id=rest, cause_key=row["cause_key"])


def case_of_task(connection: Connection, task_id: int) -> int | None:
    row = connection.execute(_SQL["case_of_task"], {"id": task_id}).fetchone()
    return None if row is None else int(row["case_id"])


def _load_case(connection: Connection, row: Mapping[str, Any], key: Key) -> CaseFacts:
    case_id = {"case_id": row["id"]}
    tasks = connection.execute(_SQL["case_tasks"], case_id).fetchall()
    annunciated = connection.execute(_SQL["case_annunciated"], case_id).fetchall()
    values = {name: row[name] for name in _PLAIN}
    return CaseFacts(
        **values,
        cause=CaseCause(row["cause"]),
        stage=Stage(row["stage"]),
        state=CaseState(row["state"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        policy=LadderPolicy(**policy_values(row["policy"])),
        tasks=tuple(_task(task) for task in tasks),
        annunciated={item["step"]: item["count"] for item in annunciated},
        standing=frozenset(item["stage"] for item in load_standing(connection, key)),
        checks=frozenset(item["step"] for item in load_checks(connection, key)),
        outages=_load_outages(connection, key),
        signals=_load_signals(connection, row["id"], key),
        grounds=parse_grounds(row["grade"], row["grounds"]),
    )


_PLAIN = (
    "id", "number", "community_id", "household_id", "cause_key", "check_step", "opened_at", "stage_at",
    "deadline_at", "evidence_at", "evidence", "next_action", "next_action_at", "holder_id", "lease_expires_at",
    "held_until", "held_reason", "visit_begun_at", "proposal", "proposal_at", "remote_well_count", "signal_count",
    "closed_at", "closed_by", "reopened_from", "version",
)  # fmt: skip
_TASK_PLAIN = (
    "id", "role", "created_at", "start_at", "due_at", "assignee_id", "claimed_at", "begun_at", "done_at", "done_by",
    "outcome", "contacted", "witness", "note",
)  # fmt: skip


def _task(row: Mapping[str, Any]) -> TaskFacts:
    values = {name: row[name] for name in _TASK_PLAIN}
    return TaskFacts(kind=TaskKind(row["kind"]), state=TaskState(row["state"]), **values)


def load_standing(connection: Connection, key: Key) -> list[dict[str, Any]]:
    """Return the stages that stand announced for a household, as far as happenings were handled."""
    if not key.is_of_inactivity:
        return []
    return connection.execute(_SQL["standing_stages"], {"household_id": key.household_id}).fetchall()


def load_checks(connection: Connection, key: Key) -> list[dict[str, Any]]:
    """Return the checks that stand due for a household, as far as happenings were handled."""
    if not key.is_of_inactivity:
        return []
    return connection.execute(_SQL["standing_checks"], {"household_id": key.household_id}).fetchall()


def _load_outages(connection: Connection, key: Key) -> frozenset[int]:
    if key.household_id is not None or key.signal is not None:
        return frozenset()
    args = {"cause": key.cause, "cause_id": key.cause_id, "community_id": key.community_id}
    return frozenset(row["id"] for row in connection.execute(_SQL["standing_outages"], args))


def _load_signals(connection: Connection, case_id: int, key: Key) -> frozenset[int]:
    if key.signal is None:
        return frozenset()
    rows = connection.execute(_SQL["standing_signals"], {"case_id": case_id})
    return frozenset(row["signal_id"] for row in rows)


# --- timers and sweeps ---------------------------------------------------------------------------------------------


def load_due(
    connection: Connection, *, now: datetime, limit: int, but: Sequence[int]
) -> list[tuple[int, Key]]:
    """Return open cases whose next action has come, without the ones named, most pressing first."""
    args = {"now": now, "limit": limit, "but": list(but)}
    rows = connection.execute(_SQL["due_cases"], args).fetchall()
    return [(row["id"], key_of_case(row)) for row in rows]


def load_consent_withdrawn(connection: Connection) -> list[tuple[int, Key]]:
    """Return open cases of households that no longer agree to be watched."""
    rows = connection.execute(_SQL["consent_withdrawn_cases"]).fetchall()
    return [(row["id"], key_of_case(row)) for row in rows]


def load_closed_but_standing(
    connection: Connection, *, from_at: datetime, now: datetime
) -> list[tuple[int, Key]]:
    """Return cases a person closed since ``from_at``, their policy's wait ago, after which no other was opened."""
    rows = connection.execute(_SQL["closed_but_standing"], {"from_at": from_at, "now": now}).fetchall()
    return [(row["id"], Key(row["community_id"], household_id=row["household_id"])) for row in rows]


def load_unanswered(
    connection: Connection, case_id: int, key: Key, around: Circumstances
) -> StandsUnanswered | None:
    """Return what stands for a household and was not answered since it was noticed; None where nothing does."""
    stages, checks = (
        [row for row in rows if around.answered_at is None or row["noticed_at"] > around.answered_at]
        for rows in (load_standing(connection, key), load_checks(connection, key))
    )
    if not stages and not checks:
        return None
    newest = (stages or checks)[-1]
    return StandsUnanswered(
        closed_case_id=case_id,
        stage=stage_of(max((row["stage"] for row in stages), default=0)),
        check_step=max((row["step"] for row in checks), default=0),
        at=newest["at"],
        evidence_at=newest["evidence_at"],
        evidence=newest["evidence"],
    )


def load_remote_only(connection: Connection, *, now: datetime) -> list[tuple[Key, RemoteOnly]]:
    """Return households of which, for the days of the policy, nothing was known but pressed keys."""
    rows = connection.execute(_SQL["remote_only"], {"before": now - REMOTE_ONLY_MAX}).fetchall()
    return [
        (Key(row["community_id"], household_id=row["household_id"]), RemoteOnly(row["real_evidence_at"]))
        for row in rows
    ]


def load_opened_while_away(connection: Connection, *, now: datetime) -> list[tuple[Key, OpenedWhileAway]]:
    """Return households that opened inside an absence that is declared and holds."""
    rows = connection.execute(_SQL["opened_while_away"], {"now": now}).fetchall()
    found = []
    for row in rows:
        subject = f"absence:{row['absence_id']}"
        key = Key(
            row["community_id"],
            household_id=row["household_id"],
            cause_key=subject,
            signal=CaseCause.ABSENCE,
        )
        happening = OpenedWhileAway(
            row["absence_id"], subject, row["evidence_at"], row["evidence"], row["certain"]
        )
        found.append((key, happening))
    return found


def load_no_longer_set_aside(connection: Connection) -> list[tuple[int, Key]]:
    """Return open cases for set-aside happenings of communities that have none left."""
    rows = connection.execute(_SQL["no_longer_set_aside"], {"prefix": f"own:{SET_ASIDE_CAUSE}"}).fetchall()
    return [(row["id"], key_of_case(row)) for row in rows]


def load_quarantine(connection: Connection) -> tuple[list[Key], list[tuple[int, Key]]]:
    """Return the keys of sites with unanswered messages, and the open cases of those that have none left."""
    rows = connection.execute(_SQL["quarantine_waits"], {"unknown": UNKNOWN_SITE}).fetchall()
    waiting = [quarantine_key(row["community_id"], row["site_id"]) for row in rows]
    keys = {key.cause_key for key in waiting}
    cases = connection.execute(_SQL["open_quarantine_cases"]).fetchall()
    return waiting, [(row["id"], key_of_case(row)) for row in cases if row["cause_key"] not in keys]


def find_cases_without_future(connection: Connection, now: datetime) -> list[int]:
    """Return the ids of open cases with nothing ahead of them at ``now``; there must never be one for long."""
    return [row["id"] for row in connection.execute(_SQL["cases_without_future"], {"now": now})]


def write_progress(connection: Connection, *, now: datetime, but: Sequence[int]) -> datetime | None:
    """Note up to when all work is done, where it is; return that instant.

    It never runs ahead of ingest: what ingest has not told yet cannot have been handled.
    """
    state = connection.execute(_SQL["turn_state"], {"now": now, "but": list(but)}).fetchone()
    assert state is not None
    if state["waiting"] or state["due"]:
        return None
    at = now if state["ingest_at"] is None else min(now, state["ingest_at"])
    if state["alerts_at"] is None or at > state["alerts_at"]:
        connection.execute(_SQL["progress"], {"at": at})
    return at


# --- writing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """What saving a decision wrote: the case's id and how many messages were planned."""

    case_id: int | None
    messages: int


def save(
    connection: Connection,
    old: CaseFacts | None,
    decision: Decision,
    surroundings: Surroundings,
    *,
    now: datetime,
    fact: str | None = None,
) -> Written:
    """Write a decision: the case, its tasks, and every further action, in the caller's transaction.

    ``fact`` names the happening; the first entry carries it, so that it can be written once only.

    Raises
    ------
    CaseChangedError
        If the case is no longer as it was read.
    """
    new = decision.case
    if new is None:
        _write_without_case(connection, decision, surroundings, now=now)
        return Written(None, 0)
    case_id = new.id
    if case_id is None:
        case_id = _insert_case(connection, new)
    elif new != old:
        _update_case(connection, new)
    _write_tasks(connection, case_id, old, new)
    messages = 0
    # Whom the desk leaves waiting is annunciated again; what the family is being told meanwhile goes on.
    keep_step = next(
        (item.step for item in decision.actions if isinstance(item, Annunciate) and not item.family), ""
    )
    _write_folding(connection, case_id, new, decision.actions)
    for action in decision.actions:
        if isinstance(action, FoldHousehold | UnfoldHousehold):
            continue
        messages += _write_action(
            connection, case_id, new, action, surroundings, now=now, fact=fact, keep_step=keep_step
        )
        if isinstance(action, Entry):
            fact = None
    if new.cause is CaseCause.TECHNICAL and not new.is_open:
        connection.execute(_SQL["end_all_households"], {"case_id": case_id, "at": now})
    notify(connection, "kaimen_cases", str(case_id))
    return Written(case_id, messages)


def _case_values(case: CaseFacts) -> dict[str, Any]:
    return {
        **{name: getattr(case, name) for name in _PLAIN},
        "cause": case.cause.value,
        "stage": int(case.stage),
        "state": case.state.value,
        "outcome": None if case.outcome is None else case.outcome.value,
        "evidence": Jsonb(dict(case.evidence)),
        "proposal": None if case.proposal is None else Jsonb(dict(case.proposal)),
        "policy": Jsonb(format_policy(case.policy, case.cause)),
        "priority": min(case.rank, 3) if case.cause is not CaseCause.TECHNICAL else 0,
        "grade": case.grounds.grade.value,
        "grounds": Jsonb(format_grounds(case.grounds)),
    }


def _insert_case(connection: Connection, case: CaseFacts) -> int:
    day = case.opened_at.astimezone(ZoneInfo(case.policy.zone)).date()
    args = {"community_id": case.community_id, "day": day}
    counted = connection.execute(_SQL["next_case_number"], args).fetchone()
    assert counted is not None
    number = f"{day:%Y-%m%d}-{counted['last']:03d}"
    row = connection.execute(_SQL["insert_case"], {**_case_values(case), "number": number}).fetchone()
    assert row is not None
    return int(row["id"])


def _update_case(connection: Connection, case: CaseFacts) -> None:
    if connection.execute(_SQL["update_case"], _case_values(case)).rowcount != 1:
        raise CaseChangedError(f"case {case.id}")


def _write_tasks(connection: Connection, case_id: int, old: CaseFacts | None, new: CaseFacts) -> None:
    known = {} if old is None else {task.id: task for task in old.tasks}
    for index, task in enumerate(new.tasks):
        values = {name: getattr(task, name) for name in _TASK_PLAIN}
        values |= {"kind": task.kind.value, "state": task.state.value}
        if task.id is None:
            further = {
                "case_id": case_id,
                "household_id": new.household_id,
                "fact": f"case:{case_id}:{index + 1}",
            }
            connection.execute(_SQL["insert_task"], {**values, **further})
        elif known.get(task.id) != task:
            connection.execute(_SQL["update_task"], values)


def _write_without_case(
    connection: Connection, decision: Decision, surroundings: Surroundings, *, now: datetime
) -> None:
    for action in decision.actions:
        match action:
            case RecordVerified():
                _write_verified(connection, None, action, surroundings.around, now)
            case EndAbsence() | RestoreAbsence():
                write_absence_change(connection, action, now)


def write_absence_change(connection: Connection, action: EndAbsence | RestoreAbsence, now: datetime) -> None:
    """End a declared absence at the evidence inside it, or let what was declared hold on as a new row."""
    if isinstance(action, EndAbsence):
        connection.execute(_SQL["end_absence"], asdict(action))
        return
    # The new row first: it takes the end that the old one is about to lose.
    connection.execute(_SQL["restore_absence"], {**asdict(action), "now": now})
    connection.execute(_SQL["end_absence"], {"absence_id": action.absence_id, "at": action.from_at})


def _ask_review(
    connection: Connection, case_id: int, action: AskReview, surroundings: Surroundings, now: datetime
) -> int:
    """Open the case that asks another person; its key is the closed case, so it is opened once."""
    around = surroundings.around
    subject = f"case:{case_id}"
    happening = WellToReview(subject, action.recorded_by, now, {**action.evidence, "case": case_id})
    decision = decide_review(None, happening, now, surroundings.policy, around)
    return save(connection, None, decision, surroundings, now=now).messages


def _write_action(
    connection: Connection,
    case_id: int,
    case: CaseFacts,
    action: Action,
    surroundings: Surroundings,
    *,
    now: datetime,
    fact: str | None,
    keep_step: str = "",
) -> int:
    """Write one action; return how many messages it planned."""
    match action:
        case Entry():
            _write_entry(connection, case_id, action, now, fact)
        case Annunciate():
            return write_messages(connection, case_id, action, surroundings.roster, now)
        case SupersedeMessages():
            supersede_messages(connection, case_id, keep_step=keep_step)
        case ConfirmMessages():
            connection.execute(_OUTBOX["confirm_messages"], {"case_id": case_id, "now": now})
        case RecordVerified():
            _write_verified(connection, case_id, action, surroundings.around, now)
        case DeclareAbsence():
            values = {**asdict(action), "household_id": case.household_id, "now": now}
            connection.execute(_SQL["insert_absence"], values)
        case ReportSensorFault():
            _report_sensor_fault(connection, case, action, surroundings, now)
        case JoinSignal():
            connection.execute(_SQL["join_signal"], {"signal_id": action.signal_id, "case_id": case_id})
        case LeaveSignal():
            connection.execute(_SQL["leave_signal"], asdict(action))
        case EndAbsence() | RestoreAbsence():
            write_absence_change(connection, action, now)
        case DoubtWord():
            connection.execute(_SQL["doubt_word"], {**asdict(action), "now": now})
        case AskReview():
            return _ask_review(connection, case_id, action, surroundings, now)
        case EndWatch():
            connection.execute(_SQL["end_watch"], {"household_id": case.household_id, "now": now})
            connection.execute(_SQL["supersede_household_messages"], {"household_id": case.household_id})
        case FoldHousehold() | UnfoldHousehold():
            raise AssertionError("households are folded together, not one by one")
    return 0


def _write_folding(connection: Connection, case_id: int, case: CaseFacts, actions: Sequence[Action]) -> None:
    """Write whom a technical case stands for after everything that was decided: a device's newest word counts."""
    newest = {a.device_id: a for a in actions if isinstance(a, FoldHousehold | UnfoldHousehold)}
    folded = [action for action in newest.values() if isinstance(action, FoldHousehold)]
    unfolded = [action for action in newest.values() if isinstance(action, UnfoldHousehold)]
    if folded:
        values = {"devices": [a.device_id for a in folded], "ats": [a.from_at for a in folded]}
        connection.execute(_SQL["fold_households"], {"case_id": case_id, **values})
    if unfolded and case.is_open:  # a closed one stands for nobody anyway
        values = {"devices": [a.device_id for a in unfolded], "outages": list(case.outages)}
        at = max(action.to_at for action in unfolded)
        connection.execute(_SQL["unfold_households"], {"case_id": case_id, "at": at, **values})


def _write_entry(connection: Connection, case_id: int, entry: Entry, now: datetime, fact: str | None) -> None:
    connection.execute(
        _SQL["insert_entry"],
        {
            "case_id": case_id,
            "at": now,
            "words": entry.words.value,
            "args": Jsonb(dict(entry.args)),
            "note": entry.note,
            "user_id": entry.user_id,
            "fact": fact,
        },
    )


def _write_verified(
    connection: Connection, case_id: int | None, word: RecordVerified, around: Circumstances, now: datetime
) -> None:
    values = {
        **asdict(word),
        "household_id": around.household_id,
        "case_id": case_id,
        "succession": around.remote_well_count + 1 if word.how in REMOTE_WORDS else 0,
        "now": now,
    }
    connection.execute(_SQL["insert_verified"], values)


def _report_sensor_fault(
    connection: Connection,
    case: CaseFacts,
    report: ReportSensorFault,
    surroundings: Surroundings,
    now: datetime,
) -> None:
    """Open a technical case for each own door of the household that has none."""
    rows = connection.execute(_SQL["dwelling_devices"], {"household_id": case.household_id, "now": now})
    keys = [
        Key(
            row["community_id"],
            cause="device",
            cause_id=row["device_id"],
            cause_key=cause_key("device", row["device_id"], row["community_id"]),
        )
        for row in rows.fetchall()
    ]
    # All locks before the first row: a worker holds such a lock while it waits for a row.
    for key in keys:
        lock(connection, key)
    for key in keys:
        if load_open_case(connection, key) is None:
            _open_device_case(connection, key, report, surroundings, now)


def _open_device_case(
    connection: Connection, key: Key, report: ReportSensorFault, surroundings: Surroundings, now: datetime
) -> None:
    around = replace(surroundings.around, community_id=key.community_id)
    new = new_technical_case(
        around, surroundings.policy, cause=key.cause, cause_id=key.cause_id, opened_at=now
    )
    new, actions = asked_to_check_device(new, now, now, surroundings.around)
    entry = Entry(Reason.SENSOR_FAULT_NOTED, {}, None, report.user_id)
    decision = Decision(Reason.SENSOR_FAULT_NOTED, new, (entry, FoldHousehold(key.cause_id, now), *actions))
    save(connection, None, decision, surroundings, now=now)


def retry_after(now: datetime) -> datetime:
    """Return when a happening that was set aside is tried again."""
    return now + timedelta(minutes=5)
