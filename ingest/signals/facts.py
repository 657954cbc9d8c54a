"""Begins and ends of facts enter; rows of ``signals``, ``signal_ends`` and ``happenings`` leave."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from ingest import metrics
from ingest.signals.batteries import BatteryFact, BatteryGood, BatteryLow
from ingest.signals.dwellings import Mismatch, Over
from ingest.signals.episodes import Begin, End, EndReason
from kaimen.clock import as_datetime
from kaimen.database import Connection, queries
from kaimen.policy import LATE_AFTER_MS
from kaimen.vocabulary import SignalKind

_SQL = queries("ingest.signals")


def write_begin(connection: Connection, device_id: str, begin: Begin, *, now_ms: int) -> None:
    """Write what began at a device."""
    episode = begin.episode
    evidence = episode.evidence()
    if now_ms - episode.at_ms > LATE_AFTER_MS:
        evidence["late"] = True
    _write(
        connection, key=begin.key, kind=episode.kind.value, household_id=episode.household_id,
        device_id=device_id, at_ms=episode.at_ms, now_ms=now_ms, evidence=evidence,
    )  # fmt: skip


def write_mismatch(connection: Connection, item: Mismatch, *, now_ms: int) -> None:
    """Write what does not fit at a dwelling."""
    _write(
        connection, key=item.key, kind=item.kind.value, household_id=item.household_id, device_id=item.device_id,
        at_ms=item.at_ms, now_ms=now_ms, evidence=item.evidence,
    )  # fmt: skip


def write_battery(connection: Connection, item: BatteryLow | BatteryGood, *, now_ms: int) -> None:
    """Write that a battery will soon be empty, or that another one is in."""
    if isinstance(item, BatteryGood):
        _end(connection, item.key, item.at_ms, EndReason.RENEWED.value, {"percent": item.percent}, now_ms)
        return
    evidence: dict[str, Any] = {"own_word": item.fact.own_word}
    if item.percent is not None:
        evidence["percent"] = item.percent
    _write(
        connection, key=item.fact.key, kind=SignalKind.BATTERY_LOW.value, household_id=None,
        device_id=item.device_id, at_ms=item.fact.at_ms, now_ms=now_ms, evidence=evidence,
    )  # fmt: skip
    if item.instead_of is not None:
        # After the new one, which joins the open case: a case without a fact closes.
        _end(connection, item.instead_of, item.fact.at_ms, EndReason.SAID_AGAIN.value, {}, now_ms)


def end_battery(connection: Connection, fact: BatteryFact, *, now_ms: int) -> None:
    """Write that a device was taken out of use with its battery."""
    _end(connection, fact.key, now_ms, EndReason.REGISTERED.value, {}, now_ms)


def write_early_watch(
    connection: Connection, *, key: str, household_id: str, at_ms: int, now_ms: int, evidence: dict[str, Any]
) -> None:
    """Write that a home has been silent beyond its own line."""
    _write(
        connection, key=key, kind=SignalKind.EARLY_WATCH.value, household_id=household_id, device_id=None,
        at_ms=at_ms, now_ms=now_ms, evidence=evidence,
    )  # fmt: skip


def end_early_watch(connection: Connection, *, key: str, at_ms: int, heard: bool, now_ms: int) -> None:
    """Write that the silence is over, or that nobody asks about it any more."""
    _end(connection, key, at_ms, "heard_again" if heard else "not_watched", {}, now_ms)


def _write(
    connection: Connection,
    *,
    key: str,
    kind: str,
    household_id: str | None,
    device_id: str | None,
    at_ms: int,
    now_ms: int,
    evidence: dict[str, Any],
) -> None:
    written = connection.execute(
        _SQL["write_signal"],
        {
            "key": key,
            "kind": kind,
            "household_id": household_id,
            "device_id": device_id,
            "at": as_datetime(at_ms),
            "noticed_at": as_datetime(now_ms),
            "evidence": Jsonb(evidence),
        },
    )
    if written.rowcount == 1:
        metrics.SIGNALS.labels(kind).inc()


def write_end(connection: Connection, end: End, *, now_ms: int) -> None:
    """Write that what began is over."""
    _end(connection, end.key, end.at_ms, end.reason.value, end.evidence, now_ms)


def write_over(connection: Connection, item: Over, *, now_ms: int) -> None:
    """Write that a dwelling fits its books again."""
    _end(connection, item.key, now_ms, item.reason.value, {}, now_ms)


def _end(
    connection: Connection, key: str, at_ms: int, reason: str, evidence: dict[str, Any], now_ms: int
) -> None:
    connection.execute(
        _SQL["end_signal"],
        {
            "key": key,
            "at": as_datetime(at_ms),
            "noticed_at": as_datetime(now_ms),
            "reason": reason,
            "evidence": Jsonb(evidence),
        },
    )
