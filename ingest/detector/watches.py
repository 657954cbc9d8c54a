"""A household's judgement at a pulse enters; what begins or ends with it, as facts, leaves. Pure.

``Watch`` is what the detector remembers of one household beside the arrays: what stands announced and due.
"""

from __future__ import annotations

from ingest.detector.facts import CheckDue, CheckEnded, Crossing, Evidence, Fact, HouseholdView, Withdrawal
from ingest.detector.rule import HouseholdRule, Judgement
from ingest.detector.state import PULSE_MS
from kaimen.vocabulary import EvidenceKind


class Watch:
    """What the detector remembers of one household beside the arrays."""

    __slots__ = (
        "checks", "household_id", "index", "judgement", "not_known_runs", "not_known_since", "rule", "standing",
    )  # fmt: skip

    def __init__(self, index: int, rule: HouseholdRule) -> None:
        self.index = index
        self.rule = rule
        self.household_id = rule.household.household_id
        self.standing: dict[int, Crossing] = {}
        self.checks: dict[int, CheckDue] = {}
        self.judgement: Judgement | None = None
        self.not_known_since: int | None = None
        self.not_known_runs: list[tuple[int, int]] = []


def withdraw(watch: Watch, judgement: Judgement, facts: list[Fact]) -> None:
    """End each announced stage that newer evidence or an absence took away."""
    evidence = judgement.evidence
    for stage, crossing in list(watch.standing.items()):
        newer = judgement.absent_until_ms is not None or evidence.instant_ms > crossing.evidence_ms
        if newer and judgement.stage < stage:
            del watch.standing[stage]
            instant, cause = evidence.instant_ms, evidence.as_dict()
            if judgement.absent_until_ms is not None:
                instant, cause = judgement.pulse_ms, {"kind": "absence"}
            facts.append(withdrawal(crossing, judgement.pulse_ms, instant, cause))


def announce(watch: Watch, judgement: Judgement, facts: list[Fact]) -> None:
    """Announce each stage that is reached and does not stand, with the instant known now."""
    household = watch.rule.household
    since = judgement.evidence.instant_ms
    for stage in range(1, judgement.stage + 1):
        if stage in watch.standing:
            continue
        threshold = household.thresholds_ms[stage - 1]
        at = watch.rule.crossing_ms(since, judgement.pulse_ms, judgement.pulse_ms, threshold)
        assert at is not None, "the stage was counted from the same coverage"
        crossing = Crossing(
            household.household_id,
            stage,
            at,
            judgement.pulse_ms,
            since,
            judgement.evidence.as_dict(),
            judgement.inactive_ms,
            judgement.pulse_ms - since,
            household.thresholds_ms,
        )
        watch.standing[stage] = crossing
        facts.append(crossing)


def note_checks(watch: Watch, judgement: Judgement, facts: list[Fact]) -> None:
    """End the checks that newer evidence or an absence settled, and make one for each threshold that only time nobody
    saw keeps from being a stage.
    """
    evidence = judgement.evidence
    for step, standing in list(watch.checks.items()):
        if judgement.absent_until_ms is not None or evidence.instant_ms > standing.evidence_ms:
            del watch.checks[step]
            instant, cause = evidence.instant_ms, evidence.as_dict()
            if judgement.absent_until_ms is not None:
                instant, cause = judgement.pulse_ms, {"kind": "absence"}
            facts.append(check_ended(standing, judgement.pulse_ms, instant, cause))
    if judgement.absent_until_ms is not None:
        return
    for step, threshold in enumerate(watch.rule.household.thresholds_ms, start=1):
        at = evidence.instant_ms + threshold
        if at > judgement.pulse_ms:
            return
        if step in watch.checks:
            continue
        inactive = watch.rule.inactive_ms(evidence.instant_ms, at, judgement.pulse_ms)
        if inactive < threshold:
            due = CheckDue(
                watch.rule.household.household_id,
                step,
                at,
                judgement.pulse_ms,
                evidence.instant_ms,
                evidence.as_dict(),
                inactive,
            )
            watch.checks[step] = due
            facts.append(due)


def note_known(watch: Watch, judgement: Judgement) -> None:
    """Begin or end a run of pulses at which nobody could know."""
    pulse_ms = judgement.pulse_ms
    if not judgement.known and watch.not_known_since is None:
        watch.not_known_since = pulse_ms
    elif judgement.known and watch.not_known_since is not None:
        watch.not_known_runs.append((watch.not_known_since, pulse_ms - PULSE_MS))
        watch.not_known_since = None


def view_of(watch: Watch) -> HouseholdView | None:
    """Return a household as it was last judged, None before that."""
    judgement = watch.judgement
    if judgement is None:
        return None
    opened = [track.door_open_since() for _, track in watch.rule.dwelling]
    return HouseholdView(
        household_id=watch.rule.household.household_id,
        as_of_ms=judgement.pulse_ms,
        known=judgement.known and (judgement.grows or judgement.absent_until_ms is not None),
        not_known_since_ms=watch.not_known_since,
        stage=max(watch.standing, default=0),
        check_step=max(watch.checks, default=0),
        evidence_ms=judgement.evidence.instant_ms,
        evidence=judgement.evidence.as_dict(),
        base_ms=judgement.inactive_ms,
        anchor_ms=judgement.pulse_ms,
        settled_ms=judgement.inactive_ms,
        absent_until_ms=judgement.absent_until_ms,
        door_open_since_ms=min((at for at in opened if at is not None), default=None),
        in_fault=any(track.in_fault() for _, track in watch.rule.dwelling),
    )


def withdrawal(crossing: Crossing, pulse_ms: int, evidence_ms: int, evidence: Evidence) -> Withdrawal:
    late = evidence.get("kind") != "absence" and evidence_ms < crossing.announced_ms
    return Withdrawal(
        crossing.household_id,
        crossing.stage,
        crossing.evidence_ms,
        crossing.announced_ms,
        pulse_ms,
        evidence_ms,
        evidence,
        late and evidence.get("kind") != EvidenceKind.VERIFIED.value,
    )


def check_ended(check: CheckDue, pulse_ms: int, evidence_ms: int, evidence: Evidence) -> CheckEnded:
    return CheckEnded(check.household_id, check.step, check.evidence_ms, pulse_ms, evidence_ms, evidence)
