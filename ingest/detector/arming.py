"""A household that was judged enters; when the compiled kernel shall look again, and what it may settle alone, leave. Pure."""

from __future__ import annotations

from ingest.detector.rule import Judgement
from ingest.detector.state import FOREVER, PLAIN, THRESHOLDS_MAX, WatchState
from ingest.detector.watches import Watch


def arm(state: WatchState, watch: Watch, judgement: Judgement) -> None:
    """Note in the arrays when a household is due, and where nothing but time decides, what the kernel needs for it."""
    index, rule = watch.index, watch.rule
    state.level[index] = PLAIN
    if is_simple(watch, judgement):
        track = rule.dwelling[0][1]
        known_until = track.known_until()
        assert known_until is not None
        state.level[index] = judgement.stage
        state.evidence_ms[index] = judgement.evidence.instant_ms
        state.origin_ms[index] = judgement.pulse_ms - judgement.inactive_ms
        state.set_known_until(index, known_until)
        ahead = (low for low, _ in rule.absences if low > judgement.pulse_ms)
        state.set_other_due(index, min(ahead, default=None))
    state.set_due(index, judgement.due_ms)


def is_simple(watch: Watch, judgement: Judgement) -> bool:
    """Say whether nothing but time, heartbeats and one door decide about the household until a message comes."""
    rule = watch.rule
    if len(rule.dwelling) != 1 or rule.bounds or watch.checks or not judgement.grows:
        return False
    if len(watch.standing) != judgement.stage or len(rule.household.thresholds_ms) > THRESHOLDS_MAX:
        return False
    track = rule.dwelling[0][1]
    heard = track.heard_ms()
    if heard is None or heard > judgement.pulse_ms:
        return False
    pulse_ms = judgement.pulse_ms
    if any(low <= pulse_ms < high for low, high in rule.absences):
        return False
    return rule.real_evidence_after(pulse_ms + 1, FOREVER) is None
