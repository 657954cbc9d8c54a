"""Why a home was thought well at an instant: its id and the instant enter, what was known then leaves.

Judged by the detector's own rule from what had arrived by that instant; what came later changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.loaders.history import EVER, load_rule
from console.views.household import KnownEvidence
from ingest.detector.rule import EvidenceAt
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.policy import PAST_MAX_MS

EVIDENCE_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Why:
    """What was known of a home at ``at``; spans in milliseconds."""

    at: datetime
    newest: KnownEvidence
    before: tuple[KnownEvidence, ...]
    inactive_ms: int
    elapsed_ms: int
    stage: int
    known: bool
    watched_until: datetime | None
    absent_until: datetime | None
    forgotten: bool


def load_why(connection: Connection, household_id: str, at: datetime, *, now: datetime) -> Why | None:
    """Return what was known at ``at``; None where nobody watched the home then."""
    rule = load_rule(connection, household_id, at, known_at=at)
    at_ms = as_ms(at)
    if rule is None or at_ms < rule.household.watched_from_ms:
        return None
    judged = rule.judge(at_ms)
    evidence_ms = judged.evidence.instant_ms
    pieces = list(rule.pieces(evidence_ms, at_ms, at_ms)) if evidence_ms < at_ms else []
    words = _load_words(connection, household_id, at)
    before = [item for item in rule.all_evidence(at_ms) if item.instant_ms < evidence_ms][-EVIDENCE_SHOWN:]
    places = _load_places(connection, [judged.evidence, *before])
    return Why(
        at=at,
        newest=_known(judged.evidence, words, places),
        before=tuple(_known(item, words, places) for item in reversed(before)),
        inactive_ms=judged.inactive_ms,
        elapsed_ms=at_ms - evidence_ms,
        stage=judged.stage,
        known=judged.known,
        watched_until=as_datetime(pieces[-1][1]) if pieces else None,
        absent_until=None if judged.absent_until_ms is None else as_datetime(judged.absent_until_ms),
        forgotten=as_ms(now) - at_ms > PAST_MAX_MS,
    )


def _load_words(connection: Connection, household_id: str, at: datetime) -> dict[str, str]:
    """Return who vouched for her, by the source the detector names."""
    rows = connection.execute(
        queries("console")["past_verified"],
        {
            "household_id": household_id,
            "since": at - timedelta(days=90),
            "until": at,
            "known_at": min(at, EVER),
        },
    ).fetchall()
    return {f"verified:{row['id']}": row["witness"] for row in rows}


def _load_places(connection: Connection, evidence: Sequence[EvidenceAt]) -> dict[str, str]:
    """Return where the devices of some evidence are."""
    ids = sorted({item.device_id for item in evidence if item.device_id})
    rows = connection.execute(queries("console")["places"], {"ids": ids, "community_id": None}).fetchall()
    return {row["id"]: row["place"] or "" for row in rows}


def _known(item: EvidenceAt, words: dict[str, str], places: dict[str, str]) -> KnownEvidence:
    return KnownEvidence(
        at=as_datetime(item.instant_ms),
        kind=item.kind,
        device=item.device_id,
        witness=words.get(item.source or ""),
        place=places.get(item.device_id or "", ""),
    )
