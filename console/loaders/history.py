"""The past of one household by the detector's own rule: a household id enters; watched spans and evidence leave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from console.views import Span
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection

BLIND_SHOWN_MIN_MS = 60_000


@dataclass(frozen=True, slots=True)
class HouseholdPast:
    """Times are UTC milliseconds; spans ``[from, to)`` ascending."""

    watched: tuple[tuple[int, int], ...]
    evidence: tuple[Any, ...]
    crossings: tuple[Any, ...]
    absences: tuple[tuple[int, int], ...]


def load_past(connection: Connection, household_id: str, until: datetime) -> HouseholdPast | None:
    """Return a household's past up to ``until``; None where it has none."""
    # Imported when first needed: the console starts without the detector's weight.
    from ingest.replay import load_household_history

    history = load_household_history(connection, household_id, as_ms(until))
    if history is None:
        return None
    return HouseholdPast(
        tuple((int(begin), int(end)) for begin, end in history.watched),
        tuple(history.evidence),
        tuple(history.crossings),
        tuple((int(span[0]), int(span[1])) for span in history.absences),
    )


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
