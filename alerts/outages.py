"""Happenings of outages of one cause enter; the technical case of that cause, and of causes left, is written.

Ten thousand doors that fall silent together are ten thousand happenings and one case: they are decided one after
the other and written together, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alerts import metrics
from alerts.case_rows import load_open_case
from alerts.keys import Key, key_before, try_lock
from alerts.rules.actions import Action, Decision
from alerts.rules.case import CaseFacts
from alerts.rules.happenings import Happening, OutageLeft, OutageMoved
from alerts.rules.ladder import decide
from alerts.rules.reasons import Reason
from alerts.saving import save
from alerts.surroundings import Surroundings, load_surroundings
from alerts.waiting import HappeningRow, OutageTale, load_outage_facts, mark_handled
from kaimen.database import Connection


class OtherCauseBusyError(RuntimeError):
    """Another worker has the cause an outage leaves: it is tried again."""


@dataclass(slots=True)
class _Desk:
    """One cause's case as it becomes while facts are decided."""

    key: Key
    surroundings: Surroundings
    now: datetime
    read: CaseFacts | None
    case: CaseFacts | None
    actions: list[Action] = field(default_factory=list)
    reason: Reason = Reason.NOTHING_OPEN
    messages: int = 0

    def take(self, connection: Connection, happening: Happening, fact_name: str) -> None:
        """Decide on one happening; a case that ends is written at once, since the next may open another."""
        decision = decide(self.case, happening, self.now, self.surroundings.policy, self.surroundings.around)
        metrics.count_decision(decision, self.key.community_id)
        self.reason = decision.reason
        if decision.case is None:
            return
        self.case = decision.case
        self.actions += decision.actions
        if not self.case.is_open:
            self.write(connection, fact_name)

    def write(self, connection: Connection, fact_name: str) -> None:
        """Write what was decided since the last time."""
        if self.case is not None and (self.case != self.read or self.actions):
            decision = Decision(self.reason, self.case, tuple(self.actions))
            written = save(connection, self.read, decision, self.surroundings, now=self.now, fact=fact_name)
            self.messages += written.messages
        self.read = self.case = None
        self.actions = []


@dataclass(frozen=True, slots=True)
class OutageDesk:
    """Handles happenings of outages; ``outside_channels`` as the worker's."""

    outside_channels: tuple[str, ...] = ()

    def handle(
        self,
        connection: Connection,
        key: Key,
        happenings: Sequence[HappeningRow],
        now: datetime,
    ) -> int:
        """Handle happenings of one cause, oldest first; return how many messages were planned.

        Raises
        ------
        OtherCauseBusyError
            If an outage moved here from a cause that another worker works on.
        LookupError
            If a happening tells of what is not there.
        """
        if not happenings:
            return 0
        tales = load_outage_facts(connection, happenings)
        before = self._lock_left(connection, key, tales)
        desk = self._open(connection, key, now)
        for tale in tales:
            desk.take(connection, tale.fact, _name_of(tale))
        desk.write(connection, _name_of(tales[-1]))
        others = {left.cause_key: self._open(connection, left, now) for left in before.values()}
        for tale in tales:
            if isinstance(tale.fact, OutageMoved):
                other = others[before[tale.happening.id].cause_key]
                other.take(connection, _left(tale.fact), _name_of(tale) + ":left")
        for other in others.values():
            other.write(connection, _name_of(tales[-1]) + ":left")
        mark_handled(connection, [tale.happening.id for tale in tales], now)
        return desk.messages + sum(other.messages for other in others.values())

    def _lock_left(self, connection: Connection, key: Key, tales: Sequence[OutageTale]) -> dict[int, Key]:
        """Lock the causes that outages leave; return each by the happening that says so."""
        before = {
            tale.happening.id: key_before(tale.fact, key.community_id)
            for tale in tales
            if isinstance(tale.fact, OutageMoved)
        }
        for left in sorted({left.cause_key: left for left in before.values()}.values(), key=lambda k: k.lock):
            if not try_lock(connection, left):
                raise OtherCauseBusyError(left.cause_key)
        return before

    def _open(self, connection: Connection, key: Key, now: datetime) -> _Desk:
        surroundings = load_surroundings(connection, key, now=now, outside_channels=self.outside_channels)
        case = load_open_case(connection, key)
        return _Desk(key, surroundings, now, case, case)


def _name_of(tale: OutageTale) -> str:
    return f"{tale.happening.kind.value}:{tale.happening.fact_id}"


def _left(moved: OutageMoved) -> OutageLeft:
    return OutageLeft(
        moved.outage_id, moved.device_id, moved.from_cause, moved.cause, moved.cause_id, moved.moved_at
    )
