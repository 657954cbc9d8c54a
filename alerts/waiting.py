"""Happenings that wait and the facts they tell of: a connection enters, typed facts leave; handled ones are marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.keys import Key
from alerts.rules.happenings import (
    CheckDue,
    CheckEnded,
    Crossing,
    Fact,
    OutageBegan,
    OutageEnded,
    OutageMoved,
    Signal,
    SignalEnded,
    Withdrawal,
)
from alerts.rules.signals import CAUSE_OF_SIGNAL, subject_of
from alerts.rules.technical import cause_key
from kaimen.database import Connection, queries
from kaimen.vocabulary import HappeningKind, SignalKind

_SQL = queries("alerts")


FAILURE_LENGTH_MAX = 500


#: Happenings of outages taken in one turn: a cause is decided and written once, however many devices it has.
OUTAGES_AT_ONCE_MAX = 2_000


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
