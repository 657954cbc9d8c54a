"""The rule for one household in plain Python: its devices' coverage and evidence enter, stages leave. Pure.

This is the reference. The compiled kernel decides the common case faster and is tested to decide the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ingest.detector.coverage import DeviceTrack, Interval, Opening, instant_of
from kaimen.policy import ABSENCE_MAX_MS, ATTRIBUTION_AFTER_GRANT_MS, ATTRIBUTION_FORCED_MS
from kaimen.vocabulary import Credential, CredentialClass, DoorBinding, DoorRole, EvidenceKind, Household

_OTHERS = frozenset({CredentialClass.STAFF, CredentialClass.GUARD, CredentialClass.VISITOR})
REMOTE_OFFICE = "remote_office"
FAR_MS = 1 << 62
_WORDS = {kind: kind.value for kind in EvidenceKind}


class EvidenceAt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Evidence of life at an instant, with where it came from."""

    instant_ms: int
    kind: EvidenceKind
    device_id: str | None = None
    boot: str | None = None
    seq: int | None = None
    method: str | None = None
    source: str | None = None

    def as_dict(self) -> dict[str, Any]:
        pairs: dict[str, Any] = {"kind": _WORDS[self.kind]}
        if self.device_id is not None:
            pairs["device"] = self.device_id
        if self.boot is not None:
            pairs["boot"] = self.boot
        if self.seq is not None:
            pairs["seq"] = self.seq
        if self.method is not None:
            pairs["method"] = self.method
        if self.source is not None:
            pairs["source"] = self.source
        return pairs


class Judgement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A household at one pulse, with what had been received by then.

    ``inactive(now) = base_ms + now - anchor_ms`` for as long as it ``grows``; ``due_ms`` is the next instant at
    which anything may change, on the ground that nothing more is received.
    """

    pulse_ms: int
    evidence: EvidenceAt
    absent_until_ms: int | None
    known: bool
    inactive_ms: int
    stage: int
    grows: bool
    due_ms: int


@dataclass(frozen=True, slots=True)
class HistoryCrossing:
    stage: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class HistoryCheck:
    step: int
    at_ms: int
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class History:
    """What the whole set of messages shows at one instant: times in UTC milliseconds, all lists ascending."""

    watched: list[Interval]
    evidence: list[EvidenceAt]
    crossings: list[HistoryCrossing]
    checks: list[HistoryCheck]
    absences: list[Interval]
    tampered: list[Interval]


def tokens_by_household(credentials: Mapping[str, Credential]) -> dict[str, list[str]]:
    """Return the residents' credentials of each household."""
    tokens: dict[str, list[str]] = {}
    for credential in credentials.values():
        if credential.household_id is not None and credential.klass == CredentialClass.RESIDENT:
            tokens.setdefault(credential.household_id, []).append(credential.token)
    return tokens


def is_of_others(credential: Credential | None) -> bool:
    """Say whether who shows a credential is known to be nobody of the home: staff, a guard or a visitor."""
    return credential is not None and credential.klass in _OTHERS


class HouseholdRule:
    """One household, its devices' tracks and the credentials, asked at instants."""

    __slots__ = (
        "_always", "absences", "bounds", "credentials", "doors", "dwelling", "household", "own_tokens", "verified",
    )  # fmt: skip

    def __init__(
        self,
        household: Household,
        tracks: Mapping[str, DeviceTrack],
        credentials: Mapping[str, Credential],
        own_tokens: Sequence[str] | None = None,
    ) -> None:
        self.household = household
        self.credentials = credentials
        #: Resident's credentials of this household: at a shared door nothing else counts.
        self.own_tokens = (
            tokens_by_household(credentials).get(household.household_id, ())
            if own_tokens is None
            else own_tokens
        )
        self.doors = [
            (binding, tracks[binding.device_id]) for binding in household.doors if binding.device_id in tracks
        ]
        self.dwelling = [
            (binding, track) for binding, track in self.doors if binding.role == DoorRole.DWELLING
        ]
        self.bounds = sorted(
            {
                bound
                for binding, _ in self.dwelling
                for bound in (binding.from_ms, binding.to_ms)
                if bound is not None
            }
        )
        #: The dwelling doors' devices, where none is bound for a time only.
        self._always = None if self.bounds else {track.device_id: track for _, track in self.dwelling}
        self.absences = sorted(
            (absence.from_ms, absence.to_ms)
            for absence in household.absences
            if absence.from_ms < absence.to_ms <= absence.from_ms + ABSENCE_MAX_MS
        )
        self.verified = sorted(household.verified, key=lambda item: item.instant_ms)

    # -- evidence -------------------------------------------------------------------------------------------

    def _class_of(self, credential: str | None, role: DoorRole) -> tuple[CredentialClass | None, str | None]:
        """Return the class and household of a credential; an unlisted one is the resident's at her own door."""
        known = self.credentials.get(credential) if credential else None
        if known is not None:
            return known.klass, known.household_id
        return (CredentialClass.RESIDENT if role == DoorRole.DWELLING else None), None

    def _is_of_others(self, credential: str, method: str, role: DoorRole) -> bool:
        return method == REMOTE_OFFICE or (
            bool(credential) and self._class_of(credential, role)[0] in _OTHERS
        )

    def others_passed(self, track: DeviceTrack, from_ms: int) -> bool:
        """Say whether staff, a guard, a visitor or the office passed a dwelling door at or after an instant."""
        track.reach(from_ms)
        first = bisect_left(track.passages, (from_ms, "", ""))
        return any(
            self._is_of_others(credential, method, DoorRole.DWELLING)
            for _, credential, method in track.passages[first:]
        )

    def _attributed(self, track: DeviceTrack, instant_ms: int, role: DoorRole) -> bool:
        """Say whether an Open edge was made by staff, guard, visitor, the office or by force."""
        track.reach(instant_ms - max(ATTRIBUTION_FORCED_MS, ATTRIBUTION_AFTER_GRANT_MS))
        low = bisect_left(track.forced, instant_ms - ATTRIBUTION_FORCED_MS)
        if low < len(track.forced) and track.forced[low] <= instant_ms + ATTRIBUTION_FORCED_MS:
            return True
        first = bisect_left(track.passages, (instant_ms - ATTRIBUTION_AFTER_GRANT_MS, "", ""))
        for at, credential, method in track.passages[first:]:
            if at > instant_ms:
                return False
            if self._is_of_others(credential, method, role):
                return True
        return False

    def shows_life(self, track: DeviceTrack, opening: Opening, role: DoorRole) -> EvidenceKind | None:
        """Say what kind of evidence an opening is for this household, None if none."""
        if opening.edge:
            if role == DoorRole.SHARED or self._attributed(track, opening.instant_ms, role):
                return None
            return EvidenceKind.OPENING
        klass, owner = self._class_of(opening.credential, role)
        if opening.method == REMOTE_OFFICE or klass in _OTHERS:
            return None
        if role == DoorRole.SHARED:
            if klass != CredentialClass.RESIDENT or owner != self.household.household_id:
                return None
            return EvidenceKind.OWN_CREDENTIAL
        own = klass == CredentialClass.RESIDENT and owner == self.household.household_id
        return EvidenceKind.OWN_CREDENTIAL if own else EvidenceKind.OPENING

    def _as_evidence(self, track: DeviceTrack, opening: Opening, kind: EvidenceKind) -> EvidenceAt:
        return EvidenceAt(
            opening.instant_ms, kind, track.device_id, opening.boot, opening.seq, opening.method
        )

    def _candidates(self, binding: DoorBinding, track: DeviceTrack) -> Iterator[list[Opening]]:
        """Yield ascending lists of the openings of one door that may be evidence here."""
        if binding.role == DoorRole.DWELLING:
            yield track.openings
            return
        for token in self.own_tokens:
            if token in track.taken:
                yield track.taken[token]

    def _newest_opening(self, pulse_ms: int, least_ms: int) -> EvidenceAt | None:
        """Return the newest opening that is evidence, from ``least_ms`` on; of older ones nobody asks."""
        newest: EvidenceAt | None = None
        for binding, track in self.doors:
            found = self._newest_of_door(binding, track, pulse_ms, newest, least_ms)
            if track.cold is not None:
                known_ms = least_ms if found is None else max(least_ms, found.instant_ms)
                if known_ms < track.cold.floor_ms and not self._has_newest(binding, track, pulse_ms):
                    track.thaw()
                    found = self._newest_of_door(binding, track, pulse_ms, newest, least_ms)
            newest = found
        return newest

    def _has_newest(self, binding: DoorBinding, track: DeviceTrack, pulse_ms: int) -> bool:
        """Say whether what lies elsewhere of a shared door is older than what each of her cards is known to have shown."""
        cold = track.cold
        if binding.role != DoorRole.SHARED or cold is None or not cold.has_newest:
            return False
        for openings in self._candidates(binding, track):
            place = bisect_left(openings, cold.floor_ms, key=instant_of)
            if not place:
                continue  # nothing of this card lies elsewhere
            newest = openings[place - 1]
            if newest.instant_ms > pulse_ms or not binding.holds_at(newest.instant_ms):
                return False
            if self.shows_life(track, newest, binding.role) is None:
                return False
        return True

    def _newest_of_door(
        self,
        binding: DoorBinding,
        track: DeviceTrack,
        pulse_ms: int,
        newest: EvidenceAt | None,
        least_ms: int,
    ) -> EvidenceAt | None:
        """Return the newest evidence of a door where it is newer than ``newest``, else that."""
        for openings in self._candidates(binding, track):
            index = len(openings)
            if openings and openings[-1].instant_ms > pulse_ms:
                index = bisect_right(openings, pulse_ms, key=instant_of)
            for position in range(index - 1, -1, -1):
                opening = openings[position]
                if opening.instant_ms < least_ms:
                    break
                if newest is not None and opening.instant_ms <= newest.instant_ms:
                    break
                if not binding.holds_at(opening.instant_ms):
                    continue
                kind = self.shows_life(track, opening, binding.role)
                if kind is not None:
                    newest = self._as_evidence(track, opening, kind)
                    break
        return newest

    def _newest_counted(self, pulse_ms: int) -> EvidenceAt | None:
        newest: EvidenceAt | None = None
        for binding, track in self.dwelling:
            track.watched()
            if not track.counter_openings:
                continue
            index = bisect_right(track.counter_openings, pulse_ms)
            for number in range(index - 1, -1, -1):
                instant = track.counter_openings[number]
                if newest is not None and instant <= newest.instant_ms:
                    break
                if binding.holds_at(instant):
                    newest = EvidenceAt(instant, EvidenceKind.OPENING_BY_COUNTER, track.device_id)
                    break
        return newest

    def real_evidence_after(self, from_ms: int, before_ms: int) -> int | None:
        """Return the first evidence instant in ``[from_ms, before_ms)``, ends of absences left out."""
        found: list[int] = []
        if from_ms <= self.household.watched_from_ms < before_ms:
            found.append(self.household.watched_from_ms)
        for verified in self.verified:
            if from_ms <= verified.instant_ms < before_ms:
                found.append(verified.instant_ms)
                break
        for binding, track in self.doors:
            track.reach(from_ms)
            for openings in self._candidates(binding, track):
                if not openings or openings[-1].instant_ms < from_ms:
                    continue
                for position in range(bisect_left(openings, from_ms, key=instant_of), len(openings)):
                    opening = openings[position]
                    if opening.instant_ms >= before_ms:
                        break
                    if binding.holds_at(opening.instant_ms) and self.shows_life(track, opening, binding.role):
                        found.append(opening.instant_ms)
                        break
        for binding, track in self.dwelling:
            track.watched()
            if not track.counter_openings:
                continue
            index = bisect_left(track.counter_openings, from_ms)
            for instant in track.counter_openings[index:]:
                if instant >= before_ms:
                    break
                if binding.holds_at(instant):
                    found.append(instant)
                    break
        return min(found, default=None)

    def suspensions(self, since_ms: int = -FAR_MS) -> list[Interval]:
        """Return each absence that lasts beyond ``since_ms`` as ``[from, end)``: its end, or the first evidence inside."""
        spans = []
        for from_ms, to_ms in self.absences:
            if to_ms < since_ms:
                continue
            inside = self.real_evidence_after(from_ms, to_ms)
            spans.append((from_ms, to_ms if inside is None else inside))
        return spans

    def latest_evidence(self, pulse_ms: int, suspensions: list[Interval]) -> EvidenceAt:
        """Return ``E``: the latest evidence, or end of an absence, at or before ``pulse_ms``."""
        newest = EvidenceAt(self.household.watched_from_ms, EvidenceKind.WATCHED_FROM)
        for _, end_ms in suspensions:
            if newest.instant_ms < end_ms <= pulse_ms:
                newest = EvidenceAt(end_ms, EvidenceKind.ABSENCE_ENDED)
        index = bisect_right(self.verified, pulse_ms, key=lambda item: item.instant_ms)
        if index and self.verified[index - 1].instant_ms >= newest.instant_ms:
            word = self.verified[index - 1]
            newest = EvidenceAt(word.instant_ms, EvidenceKind.VERIFIED, source=word.source)
        counted = self._newest_counted(pulse_ms)
        if counted is not None and counted.instant_ms >= newest.instant_ms:
            newest = counted
        opening = self._newest_opening(pulse_ms, newest.instant_ms)
        return newest if opening is None else opening

    # -- coverage -------------------------------------------------------------------------------------------

    def required_at(self, instant_ms: int) -> dict[str, DeviceTrack]:
        """Return the dwelling doors' devices that are required at an instant."""
        if self._always is not None:
            return self._always
        return {track.device_id: track for binding, track in self.dwelling if binding.holds_at(instant_ms)}

    def pieces(self, from_ms: int, to_ms: int, pulse_ms: int) -> Iterator[Interval]:
        """Yield ``C`` within ``(from_ms, to_ms]`` as known at ``pulse_ms``: disjoint, ascending."""
        if len(self.dwelling) == 1 and not self.bounds:
            if to_ms > from_ms:
                yield from self.dwelling[0][1].pieces(from_ms, to_ms, pulse_ms)
            return
        low = from_ms
        first = bisect_right(self.bounds, from_ms)
        for bound in [*self.bounds[first:], to_ms]:
            high = min(bound, to_ms)
            if high > low:
                tracks = list(self.required_at(low).values())
                if tracks:
                    yield from _intersection([track.pieces(low, high, pulse_ms) for track in tracks])
                low = high
            if bound >= to_ms:
                return

    def inactive_ms(self, from_ms: int, to_ms: int, pulse_ms: int) -> int:
        """Return the measure of ``C`` within ``(from_ms, to_ms]``, in milliseconds."""
        return sum(high - low for low, high in self.pieces(from_ms, to_ms, pulse_ms))

    def crossing_ms(self, from_ms: int, to_ms: int, pulse_ms: int, threshold_ms: int) -> int | None:
        """Return the first instant at which inactivity since ``from_ms`` reaches the threshold, if by ``to_ms``."""
        seen = 0
        for low, high in self.pieces(from_ms, to_ms, pulse_ms):
            if seen + high - low >= threshold_ms:
                return low + threshold_ms - seen
            seen += high - low
        return None

    def known_at(self, pulse_ms: int) -> bool:
        """Say whether every required device was heard within its supervision time."""
        for track in self.required_at(pulse_ms).values():
            until = track.known_until()
            if until is None or pulse_ms > until:
                return False
        return True

    # -- live -----------------------------------------------------------------------------------------------

    def judge(self, pulse_ms: int) -> Judgement:
        """Judge the household at a pulse; ``pulse_ms`` must not be before ``watched_from_ms``."""
        suspensions: list[Interval] = []
        evidence = self.latest_evidence(pulse_ms, suspensions)
        if self.absences:
            # One that was over before decides nothing any more.
            suspensions = self.suspensions(evidence.instant_ms)
            evidence = self.latest_evidence(pulse_ms, suspensions)
        absent = max((end for from_ms, end in suspensions if from_ms <= pulse_ms < end), default=None)
        known = self.known_at(pulse_ms)
        inactive = 0
        if absent is None:
            inactive = self.inactive_ms(evidence.instant_ms, pulse_ms, pulse_ms)
        grows = absent is None and self._grows(pulse_ms, known)
        stage = sum(1 for threshold in self.household.thresholds_ms if threshold <= inactive)
        due = self._due_ms(pulse_ms, evidence, suspensions, known, inactive if grows else None, absent)
        return Judgement(pulse_ms, evidence, absent, known, inactive, stage, grows, due)

    def _grows(self, pulse_ms: int, known: bool) -> bool:
        tracks = self.required_at(pulse_ms).values()
        if not tracks or not known:
            return False
        return all(track.grows_at(pulse_ms) for track in tracks)

    def _due_ms(
        self,
        pulse_ms: int,
        evidence: EvidenceAt,
        suspensions: list[Interval],
        known: bool,
        growing_from_ms: int | None,
        absent_until_ms: int | None,
    ) -> int:
        """Return the next instant, after ``pulse_ms``, at which the judgement may change by itself."""
        ahead: list[int] = [bound for bound in self.bounds if bound > pulse_ms][:1]
        for from_ms, end_ms in suspensions:
            ahead.extend(bound for bound in (from_ms, end_ms) if bound > pulse_ms)
        later = self.real_evidence_after(pulse_ms + 1, pulse_ms + 400_000_000)
        if later is not None:
            ahead.append(later)
        for (
            _,
            track,
        ) in (
            self.dwelling
        ):  # also one required no longer: its tail within its window goes when it falls silent
            until = track.known_until()
            if until is not None and until >= pulse_ms:
                ahead.append(until + 1)
                if until - track.supervision_ms > pulse_ms:
                    ahead.append(until - track.supervision_ms)
            watched = track.watched()
            if watched and watched[-1][1] > pulse_ms:
                ahead.extend(bound for interval in watched for bound in interval if bound > pulse_ms)
        if absent_until_ms is None:
            for threshold in self.household.thresholds_ms:
                if growing_from_ms is not None and threshold > growing_from_ms:
                    ahead.append(pulse_ms + threshold - growing_from_ms)
                if evidence.instant_ms + threshold > pulse_ms:
                    ahead.append(evidence.instant_ms + threshold)
        return min(ahead, default=1 << 62)

    # -- history --------------------------------------------------------------------------------------------

    def all_evidence(self, until_ms: int) -> list[EvidenceAt]:
        """Return all evidence from ``watched_from`` to ``until_ms``, ends of absences left out, ascending."""
        found = [EvidenceAt(self.household.watched_from_ms, EvidenceKind.WATCHED_FROM)]
        found.extend(
            EvidenceAt(word.instant_ms, EvidenceKind.VERIFIED, source=word.source) for word in self.verified
        )
        for binding, track in self.doors:
            track.reach(-FAR_MS)
            for opening in (one for openings in self._candidates(binding, track) for one in openings):
                if binding.holds_at(opening.instant_ms):
                    kind = self.shows_life(track, opening, binding.role)
                    if kind is not None:
                        found.append(self._as_evidence(track, opening, kind))
        for binding, track in self.dwelling:
            track.watched()
            found.extend(
                EvidenceAt(instant, EvidenceKind.OPENING_BY_COUNTER, track.device_id)
                for instant in track.counter_openings
                if binding.holds_at(instant)
            )
        low = self.household.watched_from_ms
        return sorted(
            (item for item in found if low <= item.instant_ms <= until_ms), key=lambda item: item.instant_ms
        )

    def history(self, until_ms: int) -> History:
        """Return crossings and checks as the whole set of messages shows them at ``until_ms``."""
        evidence = self.all_evidence(until_ms)
        spans = [(low, high) for low, high in self.suspensions() if low < high]
        starts = {item.instant_ms for item in evidence}
        starts |= {high for _, high in spans if self.household.watched_from_ms <= high <= until_ms}
        crossings: list[HistoryCrossing] = []
        checks: list[HistoryCheck] = []
        ordered = sorted(starts)
        for index, start in enumerate(ordered):
            if any(low <= start < high for low, high in spans):
                continue
            ends = [low for low, _ in spans if low > start and low <= until_ms]
            if index + 1 < len(ordered):
                ends.append(ordered[index + 1])
            self._judge_episode(start, min(ends, default=None), until_ms, crossings, checks)
        return History(
            watched=list(self.pieces(self.household.watched_from_ms, until_ms, until_ms)),
            evidence=evidence,
            crossings=crossings,
            checks=checks,
            absences=spans,
            tampered=sorted(span for _, track in self.dwelling for span in track.tampered_spans()),
        )

    def _judge_episode(
        self,
        start_ms: int,
        end_ms: int | None,
        until_ms: int,
        crossings: list[HistoryCrossing],
        checks: list[HistoryCheck],
    ) -> None:
        last_ms = until_ms if end_ms is None else end_ms - 1
        for number, threshold in enumerate(self.household.thresholds_ms, start=1):
            due = start_ms + threshold
            if due > last_ms:
                return
            at = self.crossing_ms(start_ms, last_ms, until_ms, threshold)
            if at is not None:
                crossings.append(HistoryCrossing(number, at))
            if at is None or at > due:
                checks.append(HistoryCheck(number, due, end_ms))


def _intersection(sources: list[Iterator[Interval]]) -> Iterator[Interval]:
    """Yield the intersection of ascending disjoint interval streams."""
    if len(sources) == 1:
        yield from sources[0]
        return
    left: Iterator[Interval] = sources[0]
    for right in sources[1:]:
        left = _both(left, right)
    yield from left


def _both(left: Iterator[Interval], right: Iterator[Interval]) -> Iterator[Interval]:
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        low, high = max(a[0], b[0]), min(a[1], b[1])
        if low < high:
            yield low, high
        if a[1] <= b[1]:
            a = next(left, None)
        else:
            b = next(right, None)
