"""The events of one device enter; what they mean beside inactivity, as episodes with begin and end, leaves. Pure.

A function of the set of events: sorted here, each once. What was told before and what the set shows now are
brought together by ``reconcile``: nothing told is told again, whatever came late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from kaimen.policy import MINUTE_MS
from kaimen.vocabulary import CredentialClass, EventType, SignalKind

#: Three unknown cards at one door within ten minutes are one stranger to look after.
STRANGER_DENIALS_MIN = 3
STRANGER_WINDOW_MS = 10 * MINUTE_MS
#: One person tries a card that is over several times.
CARD_GAP_MS = 10 * MINUTE_MS
#: A held button, or one pressed in fear, sends several reports.
PRESS_GAP_MS = MINUTE_MS
#: A door that is aired, or at which people talk, is no matter; one that stands open for so long after its report is.
HELD_FOR_MS = 5 * MINUTE_MS
#: Events named in the evidence of a fact.
EVENTS_NAMED_MAX = 10

_OVER = frozenset(
    {"expired", "disabled", "cancelled", "canceled", "revoked", "lost", "credentialnotenabled",
     "credentialnotactive", "credentialexpired"}
)  # fmt: skip
#: Reasons a door gives for refusing somebody whom it knows.
_KNOWN_BUT_NOT_NOW = frozenset({"schedule", "passback", "antipassback", "lockout", "occupancy"})
_PRESSES = {EventType.SOS.value: SignalKind.SOS, EventType.DURESS.value: SignalKind.DURESS}
_LATCHED = {
    EventType.DOOR_FORCED_OPEN.value: SignalKind.DOOR_FORCED,
    EventType.DOOR_OPEN_TOO_LONG.value: SignalKind.DOOR_HELD,
    EventType.DOOR_TAMPER.value: SignalKind.DEVICE_FAULT,
    EventType.DOOR_FAULT.value: SignalKind.DEVICE_FAULT,
}
_ACCESS = frozenset({EventType.ACCESS_GRANTED.value, EventType.ACCESS_TAKEN.value, EventType.DENIED.value})

#: Types that begin an episode by themselves, and those that may end one.
BEGINNING_TYPES = tuple(sorted({*_PRESSES, *_LATCHED, EventType.DENIED.value}))
TYPES = tuple(sorted({*_PRESSES, *_LATCHED, *_ACCESS, EventType.DOOR_PHYSICAL_STATE.value}))


class DeviceEvent(NamedTuple):
    """An event of one device; the first fields order events of one instant."""

    at_ms: int
    boot: str
    seq: int
    type: str
    state: str | None = None
    credential: str | None = None
    reason: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """What the register says of a credential; ``valid_to_ms`` None has no end."""

    klass: CredentialClass
    household_id: str | None = None
    valid_to_ms: int | None = None


class EndReason(StrEnum):
    DOOR_CLOSED = "door_closed"
    DEVICE_SPEAKS = "device_speaks"
    MERGED = "merged"  # late events showed that it was part of an earlier one
    SAID_AGAIN = "said_again"  # it stands on, and is told anew
    RENEWED = "renewed"  # a new battery is in
    REGISTERED = "registered"  # the books were put right
    CEASED = "ceased"


@dataclass(frozen=True, slots=True)
class Episode:
    """One thing that happened at a door: its events in order, and the one that ended it."""

    kind: SignalKind
    events: tuple[DeviceEvent, ...]
    ended_by: DeviceEvent | None = None
    household_id: str | None = None  # whose credential it was

    @property
    def at_ms(self) -> int:
        """When it was the case: of strangers with the third card, of a held door once it stood open for long."""
        if self.kind is SignalKind.DOOR_HELD:
            return self.events[0].at_ms + HELD_FOR_MS
        if self.kind is SignalKind.STRANGER_DENIALS:
            return self.events[next(_close_triples(self.events)) + STRANGER_DENIALS_MIN - 1].at_ms
        return self.events[0].at_ms

    @property
    def is_fact(self) -> bool:
        """Say whether it is one at all: a held door that closed soon after its report is none."""
        return self.ended_by is None or self.ended_by.at_ms >= self.at_ms

    def keys(self, device_id: str) -> list[str]:
        """Return the keys it may have been told under; under the first if it is told now."""
        return [key_of(self.kind, device_id, event) for event in self.events]

    def evidence(self) -> dict[str, Any]:
        last = self.events[-1]
        found: dict[str, Any] = {
            "events": [[event.boot, event.seq] for event in self.events[:EVENTS_NAMED_MAX]],
            "count": len(self.events),
            "last_at_ms": last.at_ms,
            "type": self.events[0].type,
        }
        if self.kind in (SignalKind.EXPIRED_PASS, SignalKind.CANCELLED_CARD):
            found["credential"] = self.events[0].credential
            found["accepted"] = any(event.type != EventType.DENIED for event in self.events)
        return found


def key_of(kind: SignalKind, device_id: str, event: DeviceEvent) -> str:
    return f"{kind.value}:{device_id}:{event.boot}:{event.seq}"


def find_episodes(events: Iterable[DeviceEvent], passes: Mapping[str, Pass]) -> list[Episode]:
    """Return what happened at one device, sorted by begin; events in any order, copies allowed."""
    ordered = sorted({(event.boot, event.seq): event for event in sorted(events)}.values())
    found = [
        *_presses(ordered),
        *_latched(ordered),
        *_strangers(ordered, passes),
        *_cards(ordered, passes),
    ]
    return sorted(found, key=lambda episode: (episode.events[0], episode.kind))


def _presses(events: Sequence[DeviceEvent]) -> Iterator[Episode]:
    for word, kind in _PRESSES.items():
        for run in _runs([event for event in events if event.type == word], PRESS_GAP_MS):
            yield Episode(kind, run)


def _runs(events: Sequence[DeviceEvent], gap_ms: int) -> Iterator[tuple[DeviceEvent, ...]]:
    """Cut ordered events where more than ``gap_ms`` lies between two."""
    run: list[DeviceEvent] = []
    for event in events:
        if run and event.at_ms - run[-1].at_ms > gap_ms:
            yield tuple(run)
            run = []
        run.append(event)
    if run:
        yield tuple(run)


def _latched(events: Sequence[DeviceEvent]) -> Iterator[Episode]:
    """What stands until the door, or the device, says otherwise."""
    for kind in (SignalKind.DOOR_FORCED, SignalKind.DOOR_HELD, SignalKind.DEVICE_FAULT):
        run: list[DeviceEvent] = []
        for event in events:
            if _LATCHED.get(event.type) is kind:
                run.append(event)
            elif run and _ends(kind, event):
                yield Episode(kind, tuple(run), event)
                run = []
        if run:
            yield Episode(kind, tuple(run))


def _ends(kind: SignalKind, event: DeviceEvent) -> bool:
    if event.type != EventType.DOOR_PHYSICAL_STATE:
        return False
    # A device that was tampered with is trusted again from its next word about the door on.
    return kind is SignalKind.DEVICE_FAULT or event.state == "Closed"


def _strangers(events: Sequence[DeviceEvent], passes: Mapping[str, Pass]) -> Iterator[Episode]:
    unknown = [event for event in events if is_unknown_denial(event, passes)]
    run: range | None = None
    for index in _close_triples(unknown):
        triple = range(index, index + STRANGER_DENIALS_MIN)
        if run is not None and index >= run.stop:
            yield Episode(SignalKind.STRANGER_DENIALS, tuple(unknown[run.start : run.stop]))
            run = None
        run = triple if run is None else range(run.start, triple.stop)
    if run is not None:
        yield Episode(SignalKind.STRANGER_DENIALS, tuple(unknown[run.start : run.stop]))


def _close_triples(events: Sequence[DeviceEvent]) -> Iterator[int]:
    """Return where three successive events begin that lie within the window."""
    for index in range(len(events) - STRANGER_DENIALS_MIN + 1):
        last = events[index + STRANGER_DENIALS_MIN - 1]
        if last.at_ms - events[index].at_ms <= STRANGER_WINDOW_MS:
            yield index


def is_unknown_denial(event: DeviceEvent, passes: Mapping[str, Pass]) -> bool:
    """Say whether a door refused somebody nobody knows."""
    if event.type != EventType.DENIED or (event.credential is not None and event.credential in passes):
        return False
    reason = _plain(event.reason)
    return reason not in _OVER and reason not in _KNOWN_BUT_NOT_NOW


def _plain(reason: str | None) -> str:
    return "".join(letter for letter in (reason or "").lower() if letter.isalnum())


def _cards(events: Sequence[DeviceEvent], passes: Mapping[str, Pass]) -> Iterator[Episode]:
    """Passes and cards that are over and were used all the same, refused or not; one fact per card and occasion."""
    used: dict[tuple[SignalKind, str], list[DeviceEvent]] = {}
    for event in events:
        kind = decide_card(event, passes)
        if kind is not None:
            used.setdefault((kind, event.credential or ""), []).append(event)
    for (kind, token), tries in used.items():
        found = passes.get(token)
        for run in _runs(tries, CARD_GAP_MS):
            yield Episode(kind, run, household_id=found.household_id if found else None)


def decide_card(event: DeviceEvent, passes: Mapping[str, Pass]) -> SignalKind | None:
    """Say whether a credential that is over was used: a visitor's pass, or anybody's card; None: it was not."""
    if event.type not in _ACCESS:
        return None
    known = passes.get(event.credential) if event.credential is not None else None
    over = known is not None and known.valid_to_ms is not None and known.valid_to_ms <= event.at_ms
    if not over and not (event.type == EventType.DENIED and _plain(event.reason) in _OVER):
        return None
    is_visitor = known.klass is CredentialClass.VISITOR if known else event.method in ("qr", "visitor")
    return SignalKind.EXPIRED_PASS if is_visitor else SignalKind.CANCELLED_CARD


# -- what was told and what is to be told ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A fact that stands in the database."""

    key: str
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    key: str
    episode: Episode


@dataclass(frozen=True, slots=True)
class End:
    key: str
    at_ms: int
    reason: EndReason
    evidence: dict[str, Any]


def reconcile(device_id: str, episodes: Sequence[Episode], told: Sequence[Told]) -> list[Begin | End]:
    """Say what is to be written so that each episode stands as one fact, ended where it is over.

    A fact belongs to the episode that holds the event of its key. Of several facts that late events joined into one
    episode the earliest stays.
    """
    by_key = {fact.key: fact for fact in told}
    news: list[Begin | End] = []
    for episode in episodes:
        keys = episode.keys(device_id)
        standing = [by_key[key] for key in keys if key in by_key]
        if not standing and not episode.is_fact:
            continue
        if not standing:
            news.append(Begin(keys[0], episode))
            standing = [Told(keys[0])]
        first = standing[0]
        if episode.ended_by is not None and not first.ended:
            news.append(_end_of(first.key, episode, episode.ended_by))
        news += [
            End(fact.key, episode.at_ms, EndReason.MERGED, {"into": first.key})
            for fact in standing[1:]
            if not fact.ended
        ]
    return news


def _end_of(key: str, episode: Episode, by: DeviceEvent) -> End:
    reason = EndReason.DEVICE_SPEAKS if episode.kind is SignalKind.DEVICE_FAULT else EndReason.DOOR_CLOSED
    return End(key, by.at_ms, reason, {"boot": by.boot, "seq": by.seq})
