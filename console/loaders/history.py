"""The past of one household by the detector's own rule: a household id enters; watched spans and evidence leave.

The rule for one household is plain Python and needs no compiler; it is given the stored events, the folded
heartbeats and the boots of this household's own doors, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from console.views.parts import Span
from ingest.detector.coverage import Beat, DeviceTrack
from ingest.detector.facts import BootBase
from ingest.detector.rule import EvidenceAt, HistoryCrossing, HouseholdRule
from kaimen import wire
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.policy import DAY_MS, THRESHOLDS_DEFAULT_MS
from kaimen.vocabulary import Absence, Credential, CredentialClass, DoorBinding, DoorRole, Household, Verified

BLIND_SHOWN_MIN_MS = 60_000
#: A little more than the chart shows and the usual rhythm is counted over.
PAST_SHOWN = timedelta(days=30)
EVENTS_MAX = 20_000
EVER = datetime(9999, 1, 1, tzinfo=UTC)
HEARD_UP_TO_NOW_MS = 365 * DAY_MS

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HouseholdPast:
    """Times are UTC milliseconds; spans ``(from, to]`` ascending."""

    watched: tuple[tuple[int, int], ...]
    evidence: tuple[EvidenceAt, ...]
    crossings: tuple[HistoryCrossing, ...]
    absences: tuple[tuple[int, int], ...]


def load_past(connection: Connection, household_id: str, until: datetime) -> HouseholdPast | None:
    """Return a household's past up to ``until``; None where nobody watches it."""
    rule = load_rule(connection, household_id, until)
    if rule is None:
        return None
    history = rule.history(as_ms(until))
    return HouseholdPast(
        tuple(history.watched), tuple(history.evidence), tuple(history.crossings), tuple(history.absences)
    )


def load_rule(
    connection: Connection, household_id: str, until: datetime, *, known_at: datetime | None = None
) -> HouseholdRule | None:
    """Return the rule for one household with what happened up to ``until``; None where nobody watched it then.

    ``known_at`` cuts it to what had arrived, or had been declared, by that instant.
    """
    sql, since = queries("console"), until - PAST_SHOWN
    values = {
        "household_id": household_id,
        "since": since,
        "until": until,
        "limit": EVENTS_MAX,
        "known_at": known_at or EVER,
    }
    row = connection.execute(sql["past_household"], values).fetchone()
    if row is None or row["watched_from"] is None or row["watched_from"] > until:
        return None
    doors = connection.execute(sql["past_doors"], values).fetchall()
    silent = {}
    if known_at is not None:
        rows = connection.execute(sql["past_outages"], values).fetchall()
        silent = {item["device_id"]: item["heard_at"] or item["began_at"] for item in rows}
    known = bool(row["known"]) if known_at is None else None
    tracks = _load_tracks(connection, doors, values, known=known, silent=silent)
    household = Household(
        household_id=household_id,
        site_id=row["site_id"],
        doors=tuple(
            DoorBinding(item["device_id"], DoorRole(item["role"]), _ms(item["from_at"]), _ms(item["to_at"]))
            for item in doors
        ),
        # What lies before the window is not loaded and is not judged.
        watched_from_ms=max(as_ms(row["watched_from"]), as_ms(since)),
        thresholds_ms=tuple(1000 * s for s in row["thresholds_s"])
        if row["thresholds_s"]
        else THRESHOLDS_DEFAULT_MS,
        absences=tuple(
            Absence(as_ms(item["from_at"]), as_ms(item["to_at"]))
            for item in connection.execute(sql["past_absences"], values).fetchall()
        ),
        verified=tuple(
            Verified(as_ms(item["at"]), f"verified:{item['id']}")
            for item in connection.execute(sql["past_verified"], values).fetchall()
        ),
    )
    credentials = {
        item["token"]: Credential(item["token"], CredentialClass(item["class"]), item["household_id"])
        for item in connection.execute(sql["past_credentials"], values).fetchall()
    }
    return HouseholdRule(household, tracks, credentials)


def _load_tracks(
    connection: Connection,
    doors: list[dict[str, Any]],
    values: Mapping[str, Any],
    *,
    known: bool | None,
    silent: Mapping[str, datetime],
) -> dict[str, DeviceTrack]:
    """Return the doors' tracks; ``silent`` names those that were not heard then, and when they last had been.

    ``known`` None asks for the past, where outages say who was heard; else the state does. Heartbeats are written
    every few minutes only.
    """
    sql = queries("console")
    device_by_no = {item["no"]: item["device_id"] for item in doors}
    heard = {
        item["device_id"]: known if known is not None else item["device_id"] not in silent for item in doors
    }
    tracks = {
        item["device_id"]: DeviceTrack(
            item["device_id"],
            HEARD_UP_TO_NOW_MS if heard[item["device_id"]] else item["supervision_s"] * 1000,
        )
        for item in doors
    }
    wanted = {**values, "nos": list(device_by_no)}
    for row in connection.execute(sql["past_boots"], wanted).fetchall():
        device_id = device_by_no[row["device_no"]]
        tracks[device_id].restore_base(_boot_text(row["boot"]), _base_of(device_id, row))
    for row in reversed(connection.execute(sql["past_events"], wanted).fetchall()):
        tracks[device_by_no[row["device_no"]]].take_event(_event_of(row), as_ms(row["received_at"]))
    for row in connection.execute(sql["past_points"], wanted).fetchall():
        device_id = device_by_no[row["device_no"]]
        for beat in _beats_of(row, min(values["known_at"], silent.get(device_id, EVER))):
            tracks[device_id].take_beat(_boot_text(row["boot"]), beat)
    return tracks


def _ms(at: datetime | None) -> int | None:
    return None if at is None else as_ms(at)


def _boot_text(number: int) -> str:
    return f"{number & ((1 << 64) - 1):016x}"


def _base_of(device_id: str, row: Row) -> BootBase:
    return BootBase(
        device_id, _boot_text(row["boot"]), row["ntp_up_ms"], row["ntp_ts_ms"], row["ntp_base_min_ms"],
        row["ntp_base_max_ms"], row["received_base_ms"], row["rtc_base_ms"], row["newest_received_ms"],
    )  # fmt: skip


def _event_of(row: Row) -> wire.Event:
    return wire.Event(
        v=1,
        boot=_boot_text(row["boot"]),
        seq=row["seq"],
        ts=row["ts_ms"],
        up=row["up_ms"],
        clk=row["clock_quality"],
        type=row["type"],
        state=row["state"],
        dir=row["direction"],
        method=row["method"],
        cred=row["credential"],
        opens=row["opens"],
        hist=row["replayed"],
    )


def _beats_of(row: Row, heard_until: datetime) -> Iterator[Beat]:
    """A folded row is its first heartbeat and, where there was another, its last that had been heard by then."""
    cut_ms = row["last_received_ms"] - as_ms(heard_until)
    if cut_ms > 0:
        # All of the run stood at one position: a heartbeat at the cut is as good as the ones that made it.
        row = {
            **row,
            **{
                f"last_{name}_ms": max(row[f"first_{name}_ms"], row[f"last_{name}_ms"] - cut_ms)
                for name in ("up", "ts", "received")
            },
        }
    for end in ("first", "last"):
        if (
            end == "last"
            and row["last_up_ms"] == row["first_up_ms"]
            and row["last_ts_ms"] == row["first_ts_ms"]
        ):
            return
        yield (
            row[f"{end}_up_ms"], row[f"{end}_ts_ms"], row[f"{end}_clock"], row["seq_last"], row["opens"],
            row[f"{end}_received_ms"], row["by_check_in"],
        )  # fmt: skip


def blind_spans(watched: tuple[tuple[int, int], ...], span: Span) -> tuple[Span, ...]:
    """Return what of ``span`` nobody watched, in order; less than a minute is not worth a drawing."""
    begin_ms, end_ms = as_ms(span.from_at), as_ms(span.to_at)
    inside = sorted((max(a, begin_ms), min(b, end_ms)) for a, b in watched if b > begin_ms and a < end_ms)
    edges = [(begin_ms, begin_ms), *inside, (end_ms, end_ms)]
    found, reached = [], begin_ms
    for (_, left_end), (right_begin, _) in pairwise(edges):
        reached = max(reached, left_end)
        if right_begin - reached >= BLIND_SHOWN_MIN_MS:
            found.append(Span(as_datetime(reached), as_datetime(right_begin)))
    return tuple(found)


def load_blind(connection: Connection, household_id: str, span: Span) -> tuple[Span, ...]:
    """Return the blind parts of a span of one household's time."""
    past = load_past(connection, household_id, span.to_at)
    return () if past is None else blind_spans(past.watched, span)
