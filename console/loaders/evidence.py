"""What was seen at one household: a reader and a row enter; openings, the rhythm and the fourteen days leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from console.loaders import Reader
from console.loaders.history import HouseholdPast, blind_spans, load_past
from console.loaders.households import load_signs
from console.views.evidence import EvidenceChart, Opening, OpeningKind, StageMark
from console.views.grounds import Usual
from console.views.parts import LifeSign, Span
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.policy import ATTRIBUTION_AFTER_GRANT_MS
from kaimen.vocabulary import EvidenceKind, Stage

CHART_DAYS = 14
USUAL_DAYS = 28
USUAL_DAYS_MIN = 5
OPENINGS_SHOWN = 12
#: As long as the detector lets a grant speak for the edge that follows it.
ONE_PASSAGE = timedelta(milliseconds=ATTRIBUTION_AFTER_GRANT_MS)
_OPENING_BY_EVIDENCE = {
    EvidenceKind.OWN_CREDENTIAL: OpeningKind.OWN_CREDENTIAL,
    EvidenceKind.VERIFIED: OpeningKind.VERIFIED,
    EvidenceKind.OPENING_BY_COUNTER: OpeningKind.COUNTER,
}
_OTHERS = {"staff": OpeningKind.STAFF, "guard": OpeningKind.STAFF, "visitor": OpeningKind.VISITOR}


def load_openings(
    connection: Connection,
    reader: Reader,
    row: Mapping[str, Any],
    *,
    named: bool,
    limit: int = OPENINGS_SHOWN,
) -> tuple[Opening, ...]:
    """Return the latest openings; whose card it was is told only where a case asks for it.

    None is older than the watch: what was before somebody agreed to it is hers, or another's who lived there.
    """
    begin = reader.ago(days=CHART_DAYS)
    rows = connection.execute(
        queries("console")["household_openings"],
        {
            "household_id": row["id"],
            "since": begin if row["watched_from"] is None else max(begin, row["watched_from"]),
            "now": reader.now,
            "limit": 2 * limit,
        },
    ).fetchall()
    found = [
        Opening(
            item["occurred_at"],
            _kind_of(item, row["id"], named=named),
            item["direction"],
            item["door"] or "",
            item["received_at"],
        )
        for item in rows
    ]
    return tuple(reversed(merge_openings(found[::-1])[-limit:]))


def merge_openings(openings: Sequence[Opening]) -> list[Opening]:
    """Make one of what one passage told twice, by its card and by its contact; in order of time.

    The stronger word stays: a bare contact says only that the door moved.
    """
    merged: list[Opening] = []
    for opening in openings:
        last = merged[-1] if merged else None
        if (
            last is None
            or opening.at - last.at > ONE_PASSAGE
            or OpeningKind.CONTACT not in (opening.kind, last.kind)
        ):
            merged.append(opening)
        elif last.kind is OpeningKind.CONTACT:
            merged[-1] = opening
    return merged


def _kind_of(row: Mapping[str, Any], household_id: str, *, named: bool) -> OpeningKind:
    if row["whose"] in _OTHERS:
        return _OTHERS[row["whose"]]
    if row["method"] == "remote_office":
        return OpeningKind.STAFF
    if row["type"] != "AccessTaken" or not named:
        return OpeningKind.CONTACT
    if row["whose"] == "family":
        return OpeningKind.FAMILY_CREDENTIAL
    own = row["whose"] is None or row["credential_household"] == household_id
    return OpeningKind.OWN_CREDENTIAL if own else OpeningKind.CONTACT


def load_usual(connection: Connection, reader: Reader, row: Mapping[str, Any]) -> Usual | None:
    """Return her own rhythm from watched days alone; None until there are a few.

    The time an open case is about is what is held against the rhythm, and no part of it.
    """
    past = load_past(connection, row["id"], reader.seen_until)
    if past is None:
        return None
    zone = ZoneInfo(reader.zone)
    until = min(reader.day_begin, row["case_evidence_at"] or reader.day_begin)
    last = until.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = last - timedelta(days=USUAL_DAYS)
    seen = [opening.at for opening in _passages(past, begin, named=True) if opening.at <= until]
    counts = Counter(at.astimezone(zone).date() for at in seen)
    days = [
        (begin + timedelta(days=number)).astimezone(zone)
        for number in range(USUAL_DAYS)
        if _lived_and_watched(past, begin + timedelta(days=number), begin + timedelta(days=number + 1))
    ]
    if len(days) < USUAL_DAYS_MIN:
        return None
    per_day = sorted(counts.get(day.date(), 0) for day in days)
    gaps = [
        as_ms(right) - as_ms(left) for left, right in pairwise(seen) if _lived_and_watched(past, left, right)
    ]
    return Usual(
        openings_low=per_day[len(per_day) // 10],
        openings_high=per_day[(len(per_day) * 9) // 10],
        longest_gap_ms=max(gaps, default=0),
    )


def _passages(past: HouseholdPast, begin: datetime, *, named: bool) -> list[Opening]:
    """What showed life at the doors since ``begin``, each passage once."""
    return merge_openings(
        [
            Opening(as_datetime(int(item.instant_ms)), _evidence_opening(item.kind, named=named))
            for item in past.evidence
            if item.instant_ms >= as_ms(begin) and item.kind is not EvidenceKind.WATCHED_FROM
        ]
    )


def _lived_and_watched(past: HouseholdPast, begin: datetime, end: datetime) -> bool:
    """Say whether a span tells of her habits: nobody knew her away, and no door was out of sight."""
    away = any(low < as_ms(end) and high > as_ms(begin) for low, high in past.absences)
    return not away and not blind_spans(past.watched, Span(begin, end))


def load_chart(connection: Connection, reader: Reader, row: Mapping[str, Any]) -> EvidenceChart | None:
    """Return fourteen local days of evidence, blind time and crossings of one household."""
    begin = reader.day_begin - timedelta(days=CHART_DAYS - 1)
    past = load_past(connection, row["id"], reader.seen_until)
    if past is None:
        return None
    named = row["case_id"] is not None
    openings = _passages(past, begin, named=named)
    watched_from: datetime | None = row["watched_from"]
    since = max(begin, watched_from) if watched_from is not None else begin
    return EvidenceChart(
        last_day=reader.now.astimezone(ZoneInfo(reader.zone)).date(),
        now=reader.seen_until,
        openings=(*openings, *_others(connection, reader, row["id"], since)),
        signs=_signs(connection, reader, row["id"], since),
        blind=blind_spans(past.watched, Span(since, reader.seen_until)) if since < reader.seen_until else (),
        absences=tuple(
            Span(as_datetime(low), as_datetime(high)) for low, high in past.absences if high > as_ms(begin)
        ),
        crossings=tuple(
            StageMark(as_datetime(int(item.at_ms)), Stage(min(item.stage, Stage.VISIT)))
            for item in past.crossings
            if item.at_ms >= as_ms(begin)
        ),
        watched_from=watched_from,
        day_count=CHART_DAYS,
    )


def _evidence_opening(kind: EvidenceKind, *, named: bool) -> OpeningKind:
    found = _OPENING_BY_EVIDENCE.get(kind, OpeningKind.CONTACT)
    return found if named or found is not OpeningKind.OWN_CREDENTIAL else OpeningKind.CONTACT


def _others(connection: Connection, reader: Reader, household_id: str, begin: datetime) -> list[Opening]:
    """Openings that were not hers: staff and visitors; shown, and resetting nothing."""
    rows = connection.execute(
        queries("console")["household_openings"],
        {"household_id": household_id, "since": begin, "now": reader.now, "limit": 500},
    ).fetchall()
    found = ((row, _kind_of(row, household_id, named=False)) for row in rows)
    return [
        Opening(row["occurred_at"], kind)
        for row, kind in found
        if kind in (OpeningKind.STAFF, OpeningKind.VISITOR)
    ]


def _signs(
    connection: Connection, reader: Reader, household_id: str, begin: datetime
) -> tuple[LifeSign, ...]:
    return tuple(load_signs(connection, {household_id: begin}, reader.now).get(household_id, ()))
