"""The loop that turns happenings and the clock into cases: facts and due timers enter, one transaction a turn leaves.

A turn reads the clock once, claims happenings household by household, decides, and writes cases, tasks, entries,
messages and progress together; killed anywhere, the next turn finds the same happenings and writes the same rows.
Several workers share the work: each household is one worker's for the length of a transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from alerts import metrics
from alerts.ahead import Ahead, Reads
from alerts.bearings import load_grounds
from alerts.case_rows import load_open_case, questions_of_case
from alerts.clock_trust import ClockTrust, load_ingest_progress
from alerts.duty.shifts import keep_duty, load_shift_ends
from alerts.faults import pass_point
from alerts.keys import Key, set_aside_key, try_lock, try_locks
from alerts.outages import OtherCauseBusyError, OutageDesk
from alerts.rules.case import Circumstances
from alerts.rules.happenings import (
    CheckDue,
    ConsentWithdrawn,
    Crossing,
    Happening,
    QuarantineWaits,
    RemoteOnly,
    StandsUnanswered,
    TimerDue,
    WorkSetAside,
)
from alerts.rules.ladder import decide
from alerts.saving import CaseChangedError, Written, save
from alerts.surroundings import (
    CheckOrder,
    load_check_order,
    load_surroundings,
    questions_of_surroundings,
)
from alerts.sweeps import (
    load_closed_but_standing,
    load_consent_withdrawn,
    load_due,
    load_no_longer_set_aside,
    load_opened_while_away,
    load_quarantine,
    load_remote_only,
    load_unanswered,
    retry_after,
    write_progress,
)
from alerts.waiting import (
    HappeningRow,
    Waiting,
    claim_happenings,
    load_fact,
    load_waiting,
    mark_handled,
    set_aside,
)
from kaimen import fence
from kaimen.clock import Clock, SystemClock, as_datetime
from kaimen.database import Connection, Pool, connect, transaction, why_away
from kaimen.logs import get_logger

log = get_logger()

#: What has no event of its own is looked for this often, in community time.
_SWEEP_EVERY = timedelta(minutes=5)
_REOPEN_LOOK_BACK = timedelta(days=3)
#: With a scaled clock a driver may wait for every turn: look often, a look without work costs little.
_SCALED_TURN_S = 0.03
_PATIENCE_S = 2.0
_WALL = SystemClock()


@dataclass(slots=True)
class TurnReport:
    """What one turn did; ``more`` says that work was left for the next one."""

    handled: int = 0
    timers: int = 0
    messages: int = 0
    failed: int = 0
    more: bool = False
    done_up_to: datetime | None = None


def _with_grounds(
    connection: Connection, around: Circumstances, evidence_at: datetime, now: datetime
) -> Circumstances:
    """Add what is known besides the silence; a stage is never kept waiting by a ground that cannot be read."""
    assert around.household_id is not None
    try:
        with connection.transaction():
            grounds = load_grounds(connection, around.household_id, evidence_at=evidence_at, now=now)
    except psycopg.DataError as error:
        metrics.FAILURES.inc()
        log.error("the grounds of a case could not be read", error=type(error).__name__)
        return around
    return replace(around, grounds=grounds)


@dataclass(slots=True)
class Worker:
    """One alerts worker; ``turn`` may be called by a test, ``run`` is the service."""

    pool: Pool
    clock: Clock
    name: str
    claim_max: int = 100
    outside_channels: tuple[str, ...] = ()
    on_messages: Callable[[], None] = lambda: None
    failing: dict[int, datetime] = field(default_factory=dict)
    swept_at: datetime | None = None
    consent_changed: bool = True
    done_up_to: datetime | None = None
    turned_wall_ms: int | None = None
    _set_aside: set[str] = field(default_factory=set)
    _orders: dict[str, CheckOrder] = field(default_factory=dict)
    _outages: OutageDesk = field(init=False)

    def __post_init__(self) -> None:
        self._outages = OutageDesk(self.outside_channels)

    def turn(self) -> TurnReport:
        """Do what is due now in one transaction; read the clock once."""
        now = as_datetime(self.clock.now_ms())
        report = TurnReport()
        self._orders.clear()
        with transaction(self.pool) as connection:
            fence.enter(connection)
            self._handle_happenings(connection, now, report)
            self._handle_timers(connection, now, report)
            self._tell_set_aside(connection, now, report)
            self._sweep(connection, now, report)
            if not report.more:
                report.done_up_to = write_progress(connection, now=now, but=tuple(self.failing))
                report.more = report.done_up_to is None
            if not (report.handled or report.timers or report.failed):
                # Only progress was noted: losing it costs a look, waiting for the disk costs every turn.
                connection.execute("SET LOCAL synchronous_commit = off")
            else:
                pass_point("turn_before_commit")
        if report.handled or report.timers:
            pass_point("turn_after_commit")
        metrics.TURNS.inc()
        metrics.HANDLED.inc(report.handled)
        metrics.TIMERS.inc(report.timers)
        if report.messages:
            self.on_messages()
        return report

    # --- happenings ---------------------------------------------------------------------------------------------

    def _handle_happenings(self, connection: Connection, now: datetime, report: TurnReport) -> None:
        waiting = load_waiting(connection, now=now, limit=self.claim_max)
        report.more = sum(len(item.ids) for item in waiting) >= self.claim_max
        for item in waiting:
            if not try_lock(connection, item.key):
                continue
            if item.key.is_technical:
                self._handle_outages(connection, item, now, report)
            else:
                for happening in claim_happenings(connection, item.ids):
                    pass_point("turn_claimed")
                    if not self._handle_one(connection, item.key, happening, now, report):
                        break

    def _handle_outages(
        self, connection: Connection, item: Waiting, now: datetime, report: TurnReport
    ) -> None:
        """Handle what is told of one cause together: thousands of doors fall silent, and speak again, at once."""
        happenings = claim_happenings(connection, item.ids)

        def handle_all() -> None:
            report.messages += self._outages.handle(connection, item.key, happenings, now)

        error = self._attempt(connection, handle_all)
        if error is None:
            report.handled += len(happenings)
        if error is None or isinstance(error, OtherCauseBusyError):
            return  # another worker has the cause an outage leaves: it is handled with the next turn
        for happening in happenings:
            if not self._handle_one(connection, item.key, happening, now, report):
                break

    def _handle_one(
        self,
        connection: Connection,
        key: Key,
        happening: HappeningRow,
        now: datetime,
        report: TurnReport,
    ) -> bool:
        """Handle one happening; one that cannot be handled is set aside, so that it stops nobody else's."""

        def handle() -> None:
            if key.is_technical:
                report.messages += self._outages.handle(connection, key, [happening], now)
                return
            fact = load_fact(connection, happening)
            written = self._decide(
                connection, key, fact, now, fact_name=f"{happening.kind.value}:{happening.fact_id}"
            )
            report.messages += written.messages
            pass_point("turn_decided")
            mark_handled(connection, [happening.id], now)

        error = self._attempt(connection, handle)
        if error is None:
            report.handled += 1
            return True
        report.failed += 1
        set_aside(
            connection,
            happening.id,
            failure=f"{type(error).__name__}: {error}",
            retry_at=retry_after(now),
        )
        log.error("a happening was set aside", kind=happening.kind.value, error=type(error).__name__)
        if key.community_id:
            self._set_aside.add(key.community_id)
        return False

    def _attempt(self, connection: Connection, work: Callable[[], None]) -> Exception | None:
        """Do one household's work in a savepoint; return what stopped it, unless the database itself is away."""
        try:
            with connection.transaction():
                work()
        except (psycopg.OperationalError, CaseChangedError):
            raise
        except OtherCauseBusyError as error:
            return error
        except Exception as error:  # noqa: BLE001 - one bad household must not stop the others; it is set aside
            metrics.FAILURES.inc()
            return error
        return None

    def _decide(
        self,
        connection: Connection,
        key: Key,
        happening: Happening,
        now: datetime,
        *,
        fact_name: str | None = None,
        reads: Reads | None = None,
    ) -> Written:
        reads = connection if reads is None else reads
        case = load_open_case(reads, key)
        surroundings = load_surroundings(reads, key, now=now, outside_channels=self.outside_channels)
        around = surroundings.around
        if isinstance(happening, CheckDue) and happening.step > 1:
            around = self._order_of(connection, around.community_id, now).paced(around)
        if isinstance(happening, Crossing | CheckDue | StandsUnanswered | RemoteOnly):
            around = _with_grounds(connection, around, happening.evidence_at, now)
        decision = decide(case, happening, now, surroundings.policy, around)
        metrics.count_decision(decision, around.community_id)
        return save(connection, case, decision, surroundings, now=now, fact=fact_name)

    def _order_of(self, connection: Connection, community_id: str, now: datetime) -> CheckOrder:
        """Whom a community asks after first; read once a turn."""
        if community_id not in self._orders:
            self._orders[community_id] = load_check_order(connection, community_id, now=now)
        return self._orders[community_id]

    # --- the clock ------------------------------------------------------------------------------------------------

    def _handle_timers(self, connection: Connection, now: datetime, report: TurnReport) -> None:
        self.failing = {case_id: until for case_id, until in self.failing.items() if until > now}
        due = load_due(connection, now=now, limit=self.claim_max, but=tuple(self.failing))
        report.more = report.more or len(due) >= self.claim_max
        locked = try_locks(connection, (key for _, key in due)) if due else set()
        mine = [(case_id, key) for case_id, key in due if key.lock in locked]
        # Of one home, or one cause, one case at a time: what is decided of it may change what the next one finds.
        first = {key.household_id or key.lock: (case_id, key) for case_id, key in reversed(mine)}
        together = [item for item in mine if item in first.values()] if len(first) > 1 else []
        handled = self._handle_timers_together(connection, together, now, report)
        for case_id, key in mine:
            if (case_id, key) not in handled:
                self._handle_timer(connection, case_id, key, TimerDue(), now, report)

    def _handle_timers_together(
        self, connection: Connection, due: Sequence[tuple[int, Key]], now: datetime, report: TurnReport
    ) -> Collection[tuple[int, Key]]:
        """Handle timers with few journeys to the database; return those handled: all, or none where one fails."""
        if not due:
            return ()
        messages = 0

        def handle() -> None:
            nonlocal messages
            questions = [question for case_id, key in due for question in questions_of_case(case_id, key)]
            for _, key in due:
                questions += questions_of_surroundings(key, now=now)
            try:
                ahead = Ahead(connection, questions)
                with connection.pipeline():
                    for _, key in due:
                        messages += self._decide(connection, key, TimerDue(), now, reads=ahead).messages
                        pass_point("turn_timer")
            except psycopg.errors.PipelineAborted as error:
                # One statement was refused, and those behind it with it: the database is not away.
                raise RuntimeError("a statement among several was refused") from error

        error = self._attempt(connection, handle)
        if error is not None:
            log.warning("timers are handled one by one", error=type(error).__name__)
            return ()
        report.timers += len(due)
        report.messages += messages
        return set(due)

    def _handle_timer(
        self,
        connection: Connection,
        case_id: int | None,
        key: Key,
        happening: Happening,
        now: datetime,
        report: TurnReport,
    ) -> None:
        def handle() -> None:
            report.messages += self._decide(connection, key, happening, now).messages
            pass_point("turn_timer")

        error = self._attempt(connection, handle)
        if error is None:
            report.timers += 1
            return
        report.failed += 1
        if case_id is not None:
            self.failing[case_id] = retry_after(now)
        log.error("a timer of a case failed", case=case_id, error=type(error).__name__)

    def _tell_set_aside(self, connection: Connection, now: datetime, report: TurnReport) -> None:
        """Open the operator's case where something was set aside, once per community."""
        for community_id in sorted(self._set_aside):
            key = set_aside_key(community_id)
            if try_lock(connection, key):
                self._handle_timer(connection, None, key, WorkSetAside(), now, report)
                self._set_aside.discard(community_id)

    def _sweep(self, connection: Connection, now: datetime, report: TurnReport) -> None:
        """Look for what has no row of its own: consents withdrawn, and closed cases whose ground stands on."""
        due = self.swept_at is None or now - self.swept_at >= _SWEEP_EVERY
        if due or self.consent_changed:
            self.consent_changed = False
            for case_id, key in load_consent_withdrawn(connection):
                if try_lock(connection, key):
                    self._handle_timer(connection, case_id, key, ConsentWithdrawn(), now, report)
        if due:
            self.swept_at = now
            self._reopen_unanswered(connection, now, report)
            for case_id, key in load_no_longer_set_aside(connection):
                if try_lock(connection, key):
                    self._handle_timer(connection, case_id, key, WorkSetAside(over=True), now, report)
            self._look_at_quarantine(connection, now, report)
            keep_duty(connection, now=now)
            for case_id, key, ended in load_shift_ends(connection, now=now):
                if try_lock(connection, key):
                    self._handle_timer(connection, case_id, key, ended, now, report)
            found: list[tuple[Key, Happening]] = [
                *load_remote_only(connection, now=now),
                *load_opened_while_away(connection, now=now),
            ]
            for key, happening in found:
                if try_lock(connection, key):
                    self._handle_timer(connection, None, key, happening, now, report)

    def _look_at_quarantine(self, connection: Connection, now: datetime, report: TurnReport) -> None:
        """One operator's case for each site with messages nobody has answered, until none waits."""
        waiting, over = load_quarantine(connection)
        for key in waiting:
            if try_lock(connection, key):
                self._handle_timer(connection, None, key, QuarantineWaits(key.cause_id), now, report)
        for case_id, key in over:
            if try_lock(connection, key):
                self._handle_timer(
                    connection, case_id, key, QuarantineWaits(key.cause_id, over=True), now, report
                )

    def _reopen_unanswered(self, connection: Connection, now: datetime, report: TurnReport) -> None:
        for case_id, key in load_closed_but_standing(connection, from_at=now - _REOPEN_LOOK_BACK, now=now):
            if not try_lock(connection, key):
                continue
            surroundings = load_surroundings(connection, key, now=now, outside_channels=())
            unanswered = load_unanswered(connection, case_id, key, surroundings.around)
            if unanswered is not None:
                self._handle_timer(connection, case_id, key, unanswered, now, report)

    # --- the service ----------------------------------------------------------------------------------------------

    def run(self, stop: threading.Event, *, database_url: str, turn_s: float, scaled: bool) -> None:
        """Turn until ``stop`` is set, woken by ingest and by the clock; wait out a database that is away."""
        pass_point("worker_start")
        wait_s = _SCALED_TURN_S if scaled else turn_s
        trust = ClockTrust(self.clock)
        while not stop.is_set():
            try:
                with connect(database_url, service=f"alerts {self.name} listen", autocommit=True) as listener:
                    listener.execute("LISTEN kaimen_happenings")
                    listener.execute("LISTEN kaimen_registry")
                    self.swept_at = None
                    self._run_with(listener, stop, wait_s, trust)
            except CaseChangedError as error:
                log.warning("a case changed under the turn", error=type(error).__name__)
            except psycopg.OperationalError as error:
                metrics.DATABASE_AWAY.inc()
                log.warning("the database is away", error=why_away(error))
                stop.wait(_PATIENCE_S)

    def _run_with(
        self, listener: psycopg.Connection[Any], stop: threading.Event, wait_s: float, trust: ClockTrust
    ) -> None:
        while not stop.is_set():
            if not trust.may_turn(lambda: load_ingest_progress(self.pool)):
                # Timers of an hour that was never lived would ring people; health says that nothing turns.
                stop.wait(_PATIENCE_S)
                continue
            report = self.turn()
            self.done_up_to = report.done_up_to or self.done_up_to
            self.turned_wall_ms = _WALL.now_ms()
            metrics.TURN_AT.set(self.turned_wall_ms / 1000)
            if report.more and (report.handled or report.timers):
                continue
            for notice in listener.notifies(timeout=wait_s, stop_after=1):
                self.consent_changed |= notice.channel == "kaimen_registry"
