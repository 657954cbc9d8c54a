"""What doors and sensors inside said of one home enters; presumed in, out or unsure, and who came home, leave. Pure.

A function of the set of signs: neither their order nor their number changes it, so late events date everything
anew. "Out" is never concluded from silence alone: it takes a passage outwards, a declared absence, or a door that
moved and a sensor that was heard saying nothing ever since.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np

from ingest.detector.packed import Ints, PackedEvents
from ingest.detector.state import AWAKE_MAX
from ingest.signs import ACTIVE_MINUTES_MAX, SIGNS_MAX, HomeSigns, KeptSigns, Move, Sign
from kaimen import wire
from kaimen.policy import ATTRIBUTION_AFTER_GRANT_MS, ATTRIBUTION_FORCED_MS, DAY_MS, MINUTE_MS
from kaimen.vocabulary import (
    Absence,
    Credential,
    CredentialClass,
    DoorBinding,
    DoorRole,
    EventType,
    PresenceState,
)

#: What is older than this says nothing about where somebody is now.
MEMORY_MS = 7 * DAY_MS
#: A door that moved with activity so shortly before, and none for so long after, was somebody leaving.
WARM_BEFORE_MS = 60 * MINUTE_MS
QUIET_AFTER_MS = 90 * MINUTE_MS
#: A sensor near the door still fires while somebody leaves.
SETTLE_MS = 2 * MINUTE_MS
#: The door of the house and the door of the home are one coming home.
ONE_HOMECOMING_MS = 30 * MINUTE_MS
REMOTE_OFFICE = "remote_office"

_INSIDE = frozenset(
    {EventType.MOTION.value, EventType.OCCUPANCY.value, EventType.WATER_USE.value, EventType.POWER_USE.value}
)
_STATE = EventType.DOOR_PHYSICAL_STATE.value
_ACCESS = frozenset({EventType.ACCESS_TAKEN.value, EventType.ACCESS_GRANTED.value})
#: Types of events this module looks at; a reader of stored events asks for no others.
TYPES = tuple(
    sorted(
        _INSIDE
        | _ACCESS
        | {
            EventType.DOOR_PHYSICAL_STATE.value, EventType.DOOR_FORCED_OPEN.value, EventType.EXIT.value,
            EventType.ACCESS_NOT_TAKEN.value,
        }
    )
)  # fmt: skip


class Reason(StrEnum):
    """On what a presence rests."""

    NOTHING_HEARD = "nothing_heard"
    DOOR_NOT_KNOWN = "door_not_known"
    ABSENCE_DECLARED = "absence_declared"
    OWN_CREDENTIAL = "own_credential"
    DIRECTION = "direction"
    ACTIVITY_AFTER = "activity_after"
    OPENING_AFTER_OUT = "opening_after_out"
    QUIET_AFTER_DOOR = "quiet_after_door"
    OPENED_SINCE = "opened_since"
    OTHERS_MAY_BE_IN = "others_may_be_in"
    GUEST_MAY_HAVE_LEFT = "guest_may_have_left"


@dataclass(frozen=True, slots=True)
class Home:
    """What the registry says of a home; ``tells``: somebody consented to be told, so homecomings are kept."""

    household_id: str
    doors: tuple[DoorBinding, ...] = ()
    sensors: frozenset[str] = frozenset()
    residents: int = 1
    absences: tuple[Absence, ...] = ()
    tells: bool = False


class Presence(msgspec.Struct, frozen=True, gc=False):
    """Where somebody of a home is presumed to be, why, and since when (None: nothing was ever heard)."""

    state: PresenceState
    reason: Reason
    since_ms: int | None = None
    sign: Sign | None = None

    def ground(self) -> dict[str, Any]:
        found: dict[str, Any] = {"reason": self.reason.value}
        return found if self.sign is None else found | self.sign.ground()


UNHEARD = Presence(PresenceState.UNSURE, Reason.NOTHING_HEARD)


@dataclass(frozen=True, slots=True)
class Homecoming:
    household_id: str
    sign: Sign
    reason: Reason

    @property
    def key(self) -> str:
        return f"{self.household_id}:{self.sign.device_id}:{self.sign.boot}:{self.sign.seq}"


def decide_move(
    event: wire.Event, role: DoorRole, household_id: str, credential: Credential | None
) -> Move | None:
    """Say what an event at one of a household's doors tells about its people; None: nothing."""
    if event.type in _ACCESS:
        return _access_move(event, role, household_id, credential)
    if event.type == EventType.ACCESS_NOT_TAKEN:
        return Move.NOT_TAKEN
    if role is DoorRole.SHARED:
        return None  # of a door that many use only a credential says who
    if event.type == EventType.EXIT:
        return Move.OUTWARD
    if event.type == EventType.DOOR_FORCED_OPEN:
        return Move.OTHER
    if event.is_open_edge:
        return {"in": Move.OPENED_IN, "out": Move.OPENED_OUT}.get(event.dir or "", Move.OPENED)
    return None


def _access_move(
    event: wire.Event, role: DoorRole, household_id: str, credential: Credential | None
) -> Move | None:
    own = (
        credential is not None
        and credential.klass is CredentialClass.RESIDENT
        and credential.household_id == household_id
    )
    if role is DoorRole.SHARED:
        # At the stairwell's door a card without a direction says only that she is about.
        return {"in": Move.INWARD, "out": Move.OUTWARD}.get(event.dir or "") if own else None
    if event.method == REMOTE_OFFICE or (credential is not None and not own):
        return Move.OTHER
    if not own and event.cred is None:
        return {"in": Move.OPENED_IN, "out": Move.OPENED_OUT}.get(event.dir or "", Move.OPENED)
    # Readers stand outside: without a direction her card at her own door is her coming in.
    return Move.OUTWARD if event.dir == "out" else Move.INWARD


def is_inside_activity(event: wire.Event) -> bool:
    """Say whether a sensor's report shows somebody at home; "vacant" and "off" are the sensor's own doing."""
    return event.type in _INSIDE and (event.state or "").lower() not in ("vacant", "off", "clear", "none")


# -- the decision -----------------------------------------------------------------------------------------------


def decide_presence(home: Home, kept: HomeSigns, *, known: bool, now_ms: int) -> Presence:
    """Say where somebody of a home is presumed to be at ``now_ms``."""
    return _Walk(home, kept, now_ms).presence(known=known)


def judge_home(home: Home, kept: HomeSigns, *, known: bool, now_ms: int) -> tuple[Presence, list[Homecoming]]:
    """Return ``decide_presence`` and ``find_homecomings`` of one walk through the signs.

    Of a home that tells nobody no homecomings are asked, and none may be found.
    """
    opened = _last_of_two_openings(home, kept, now_ms)
    if opened is not None:
        reason = Reason.OPENED_SINCE if known else Reason.DOOR_NOT_KNOWN
        return Presence(PresenceState.UNSURE, reason, opened.at_ms, opened), []
    walk = _Walk(home, kept, now_ms)
    return walk.presence(known=known), walk.homecomings


def _last_of_two_openings(home: Home, kept: HomeSigns, now_ms: int) -> Sign | None:
    """Return the newest sign where it and the one before are openings of which nobody says who it was; else None.

    Whatever was before, then nobody is presumed out after the first, and nothing is known after the second: no walk
    through all that is kept has to find it.
    """
    signs = kept.signs
    if len(signs) < 2 or home.tells or home.absences or home.sensors or kept.minutes:
        return None
    before, last = signs[-2], signs[-1]
    if before.at_ms < now_ms - MEMORY_MS or last.at_ms > now_ms:
        return None
    for sign in reversed(signs):
        if sign.at_ms < before.at_ms - ATTRIBUTION_AFTER_GRANT_MS:
            break
        if sign.move not in _EDGES:
            return None  # it may explain one of them
    return last if before.move is last.move is Move.OPENED else None


def find_homecomings(home: Home, kept: HomeSigns, *, now_ms: int) -> list[Homecoming]:
    """Return who came home, oldest first: her own credential inwards, or an opening after she was presumed out."""
    return _Walk(home, kept, now_ms).homecomings


def next_look_ms(home: Home, kept: HomeSigns, now_ms: int) -> int | None:
    """Return when the presence may change without any message; None: not at all."""
    dues = [absence.from_ms for absence in home.absences] + [absence.to_ms for absence in home.absences]
    if kept.signs and home.sensors:
        dues.append(kept.signs[-1].at_ms + QUIET_AFTER_MS)
    oldest = [sign.at_ms + MEMORY_MS + 1 for sign in kept.signs[-1:]]
    return min((due for due in [*dues, *oldest] if due > now_ms), default=None)


def passages(signs: Sequence[Sign]) -> list[Sign]:
    """Return one sign per passage: an edge that a credential explains is no passage of its own.

    What was only granted becomes a passage with the edge that follows it, and nothing without one. The signs ascend:
    only what stands near one can explain it.
    """
    if all(sign.move in _EDGES for sign in signs):
        return list(signs)  # nobody said who: each is a passage
    found: list[Sign] = []
    for index, sign in enumerate(signs):
        if sign.move is Move.NOT_TAKEN:
            continue
        if sign.granted and not _was_used(signs, index):
            continue
        if sign.move in _EDGES and _is_explained(signs, index):
            continue
        found.append(sign)
    return found


_EDGES = frozenset({Move.OPENED, Move.OPENED_IN, Move.OPENED_OUT})


def _near(signs: Sequence[Sign], index: int, from_ms: int, until_ms: int) -> Iterator[Sign]:
    """Yield the signs of one sign's door in a span around it, itself among them."""
    first = last = index
    while first > 0 and signs[first - 1].at_ms >= from_ms:
        first -= 1
    while last + 1 < len(signs) and signs[last + 1].at_ms <= until_ms:
        last += 1
    device_id = signs[index].device_id
    for near in range(first, last + 1):
        if signs[near].device_id == device_id:
            yield signs[near]


def _was_used(signs: Sequence[Sign], index: int) -> bool:
    granted = signs[index]
    moved = False
    for sign in _near(signs, index, granted.at_ms, granted.at_ms + ATTRIBUTION_AFTER_GRANT_MS):
        if sign.move is Move.NOT_TAKEN or (sign.move is granted.move and not sign.granted):
            return False
        moved = moved or sign.move in _EDGES
    return moved


def _is_explained(signs: Sequence[Sign], index: int) -> bool:
    at_ms = signs[index].at_ms
    return any(
        sign.move not in _EDGES and sign.move is not Move.NOT_TAKEN
        for sign in _near(signs, index, at_ms - ATTRIBUTION_AFTER_GRANT_MS, at_ms + ATTRIBUTION_FORCED_MS)
    )


class _Walk:
    """Goes through a home's passages in order of time, with what sensors said between them."""

    def __init__(self, home: Home, kept: HomeSigns, now_ms: int) -> None:
        self._home = home
        self._kept = kept
        self._now_ms = now_ms
        self._where, self._why, self._since_ms, self._sign = (
            UNHEARD.state,
            UNHEARD.reason,
            UNHEARD.since_ms,
            UNHEARD.sign,
        )
        self._guest = False
        self._last: Sign | None = None
        self.homecomings: list[Homecoming] = []
        recent = [sign for sign in kept.signs if now_ms - MEMORY_MS <= sign.at_ms <= now_ms]
        # Where nothing inside was ever heard, there is nothing to look for between two passages.
        heard_inside = bool(kept.minutes or home.sensors)
        for sign in passages(recent):
            if heard_inside:
                self._look_between(sign.at_ms)
            self._take(sign)
            self._last = sign
        if heard_inside:
            self._look_between(now_ms)

    def presence(self, *, known: bool) -> Presence:
        if not known:
            return Presence(PresenceState.UNSURE, Reason.DOOR_NOT_KNOWN, self._since_ms, self._sign)
        return self._absence() or Presence(self._where, self._why, self._since_ms, self._sign)

    def _absence(self) -> Presence | None:
        """A declared absence holds until something hers is heard inside it."""
        for absence in self._home.absences:
            if absence.from_ms <= self._now_ms < absence.to_ms:
                inside = self._last is not None and self._last.at_ms >= absence.from_ms
                inside = inside or self._activity_in(absence.from_ms, self._now_ms) is not None
                if not inside:
                    return Presence(PresenceState.OUT, Reason.ABSENCE_DECLARED, absence.from_ms)
        return None

    def _take(self, sign: Sign) -> None:
        move = sign.move
        if move is Move.OPENED or move is Move.OPENED_IN:
            if self._where is PresenceState.OUT:
                self._come_home(sign, Reason.OPENING_AFTER_OUT)
            elif move is Move.OPENED:
                self._set(PresenceState.UNSURE, Reason.OPENED_SINCE, sign)
            else:
                self._set(PresenceState.IN, Reason.DIRECTION, sign)
        elif move is Move.INWARD:
            self._come_home(sign, Reason.OWN_CREDENTIAL)
            self._guest = False
        elif move is Move.OUTWARD or move is Move.OPENED_OUT:
            self._go_out(sign)
        elif move is Move.OTHER:
            self._guest = True

    def _go_out(self, sign: Sign) -> None:
        if self._guest and sign.move is Move.OPENED_OUT:
            self._guest = False
            if self._where is not PresenceState.OUT:
                self._set(PresenceState.UNSURE, Reason.GUEST_MAY_HAVE_LEFT, sign)
        elif self._home.residents > 1:
            self._set(PresenceState.UNSURE, Reason.OTHERS_MAY_BE_IN, sign)
        else:
            own = sign.move is Move.OUTWARD
            self._set(PresenceState.OUT, Reason.OWN_CREDENTIAL if own else Reason.DIRECTION, sign)

    def _come_home(self, sign: Sign, reason: Reason) -> None:
        self._set(PresenceState.IN, reason, sign)
        last = self.homecomings[-1].sign.at_ms if self.homecomings else None
        if last is None or sign.at_ms - last > ONE_HOMECOMING_MS:
            self.homecomings.append(Homecoming(self._home.household_id, sign, reason))

    def _set(self, state: PresenceState, reason: Reason, sign: Sign) -> None:
        self._where, self._why, self._since_ms, self._sign = state, reason, sign.at_ms, sign

    # What sensors inside said between the last passage and the next.

    def _look_between(self, until_ms: int) -> None:
        from_ms = self._last.at_ms + SETTLE_MS if self._last is not None else until_ms - MEMORY_MS
        active_ms = self._activity_in(from_ms, until_ms)
        if active_ms is not None:
            if self._where is not PresenceState.IN:
                self._where, self._why = PresenceState.IN, Reason.ACTIVITY_AFTER
                self._since_ms, self._sign = active_ms, self._last
        elif self._last is not None and self._went_quiet(self._last, until_ms):
            self._set(PresenceState.OUT, Reason.QUIET_AFTER_DOOR, self._last)

    def _went_quiet(self, last: Sign, until_ms: int) -> bool:
        """The door moved while somebody was up, and then a sensor that was heard said nothing for long."""
        if self._sign != last or self._why not in (
            Reason.OPENED_SINCE,
            Reason.GUEST_MAY_HAVE_LEFT,
        ):
            return False
        quiet_ms = last.at_ms + QUIET_AFTER_MS
        return (
            bool(self._home.sensors)
            and self._home.residents == 1
            and until_ms >= quiet_ms
            and self._kept.sensors_heard_ms >= quiet_ms
            and self._activity_in(last.at_ms - WARM_BEFORE_MS, last.at_ms) is not None
            and self._remembers(last.at_ms - WARM_BEFORE_MS)
        )

    def _activity_in(self, from_ms: int, until_ms: int) -> int | None:
        """Return the newest whole minute with activity in a span, as its beginning; None: there was none."""
        minutes = self._kept.minutes
        index = bisect_right(minutes, (until_ms // MINUTE_MS) - (until_ms % MINUTE_MS == 0)) - 1
        if index < 0 or minutes[index] * MINUTE_MS < from_ms:
            return None
        return minutes[index] * MINUTE_MS

    def _remembers(self, at_ms: int) -> bool:
        """Say whether activity as old as this would still be kept."""
        minutes = self._kept.minutes
        return len(minutes) < ACTIVE_MINUTES_MAX or minutes[0] * MINUTE_MS <= at_ms


# -- many homes -------------------------------------------------------------------------------------------------


class Homes:
    """The homes of one shard group: events enter, households to be decided anew leave; rebuilt at every start."""

    def __init__(
        self, homes: Mapping[str, Home], credentials: Mapping[str, Credential], *, awake_max: int = AWAKE_MAX
    ) -> None:
        self.kept = KeptSigns(awake_max)
        #: Credentials of the next events that are listed for homes of other groups: whose, need not be known.
        self.listed: frozenset[str] = frozenset()
        self.changed: set[str] = set()
        self.replace(homes, credentials)

    def replace(self, homes: Mapping[str, Home], credentials: Mapping[str, Credential]) -> None:
        """Take over a changed registry; who is no longer in it is forgotten."""
        self.homes = dict(homes)
        self.credentials = credentials
        for key in [key for key in self.kept if key not in self.homes]:
            self.kept.drop(key)
        self.changed |= set(self.homes)
        self._doors: dict[str, list[tuple[str, DoorBinding]]] = {}
        self._shared: dict[tuple[str, str], list[DoorBinding]] = {}
        self._sensors: dict[str, str] = {}
        for home in self.homes.values():
            self._place(home)

    def change(self, changed: Mapping[str, Home | None]) -> None:
        """Take over some homes that are others than they were; None: nothing is derived of it any more."""
        for key, home in changed.items():
            before = self.homes.pop(key, None)
            if before is not None:
                self._displace(before)
            if home is None:
                self.kept.drop(key)
                self.changed.discard(key)
            else:
                self.homes[key] = home
                self.changed.add(key)
                self._place(home)

    def home_of_sensor(self, device_id: str) -> str | None:
        """Return the home that a sensor stands in."""
        return self._sensors.get(device_id)

    def _place(self, home: Home) -> None:
        key = home.household_id
        for door in home.doors:
            if door.role is DoorRole.SHARED:
                self._shared.setdefault((door.device_id, key), []).append(door)
            else:
                self._doors.setdefault(door.device_id, []).append((key, door))
        for device_id in home.sensors:
            self._sensors[device_id] = key

    def _displace(self, home: Home) -> None:
        key = home.household_id
        for door in home.doors:
            if door.role is DoorRole.SHARED:
                self._shared.pop((door.device_id, key), None)
            elif door.device_id in self._doors:
                others = [pair for pair in self._doors[door.device_id] if pair[0] != key]
                if others:
                    self._doors[door.device_id] = others
                else:
                    del self._doors[door.device_id]
        for device_id in home.sensors:
            if self._sensors.get(device_id) == key:
                del self._sensors[device_id]

    def _shown(self, token: str | None) -> Credential | None:
        """Return what is listed of a credential that somebody showed; of another group's home's, that it is nobody's here."""
        if token is None:
            return None
        if token in self.listed:
            return self.credentials.get(token) or Credential(token, CredentialClass.VISITOR, None)
        return self.credentials.get(token)

    def take(self, device_id: str, event: wire.Event, at_ms: int) -> None:
        """Note an event at its instant, in any order and any number of times."""
        if event.type == _STATE and event.state != "Open":
            return  # a door that closed says nothing of anybody
        inside = self._sensors.get(device_id)
        if inside is not None:
            if is_inside_activity(event) and self.kept.of(inside).add_activity(at_ms):
                self.changed.add(inside)
            return
        credential = self._shown(event.cred)
        for household_id, door in self._doors.get(device_id, ()):
            self._take_at(household_id, door, event, at_ms, credential)
        if credential is not None and credential.household_id is not None:
            # Of a door that a whole stairwell uses, a card concerns one home and a bare edge none.
            for door in self._shared.get((device_id, credential.household_id), ()):
                self._take_at(credential.household_id, door, event, at_ms, credential)

    def take_array(self, device_id: str, boot: str, events: PackedEvents) -> None:
        """Note events of one device at their ``ts``, which ascend, as ``take`` of each would."""
        inside = self._sensors.get(device_id)
        doors = self._doors.get(device_id, ())
        for number, words in enumerate(events.words):
            # One event stands for all of its words: nothing else is asked of it but when it was, and its name.
            event, _ = events.any_of(number, boot)
            if event.type == _STATE and event.state != "Open":
                continue
            if inside is not None:
                if is_inside_activity(event):
                    self._take_activity(inside, events.ts[events.words_no == number])
                continue
            credential = self._shown(event.cred)
            owned = list(doors)
            if credential is not None and credential.household_id is not None:
                shared = self._shared.get((device_id, credential.household_id), ())
                owned += [(credential.household_id, door) for door in shared]
            for household_id, door in owned:
                move = decide_move(event, door.role, household_id, credential)
                if move is not None:
                    self._take_signs(household_id, door, events, number, boot, move, words[0])

    def _take_activity(self, household_id: str, at_ms: Ints) -> None:
        """Note activity inside at ascending instants: of each minute once, of the newest as many as are kept."""
        signs = self.kept.of(household_id)
        signs.sensors_heard_ms = max(signs.sensors_heard_ms, int(at_ms[-1]))
        minutes = np.unique(at_ms // MINUTE_MS)[-ACTIVE_MINUTES_MAX:]
        kept = sum(signs.add_activity(minute * MINUTE_MS) for minute in minutes.tolist())
        if kept:
            self.changed.add(household_id)

    def _take_signs(
        self,
        household_id: str,
        door: DoorBinding,
        events: PackedEvents,
        number: int,
        boot: str,
        move: Move,
        type_: str,
    ) -> None:
        """Note what the events of one combination of words tell of a home: older ones than are kept tell nothing."""
        rows = np.flatnonzero(events.words_no == number)
        if door.from_ms is not None or door.to_ms is not None:
            rows = rows[[door.holds_at(at_ms) for at_ms in events.ts[rows].tolist()]]
        rows = rows[-SIGNS_MAX:]
        signs, granted = self.kept.of(household_id), type_ == EventType.ACCESS_GRANTED
        told = zip(events.ts[rows].tolist(), events.seq[rows].tolist(), strict=True)
        if signs.add_signs([Sign(ts, door.device_id, boot, seq, move, granted) for ts, seq in told]):
            self.changed.add(household_id)

    def _take_at(
        self,
        household_id: str,
        door: DoorBinding,
        event: wire.Event,
        at_ms: int,
        credential: Credential | None,
    ) -> None:
        move = decide_move(event, door.role, household_id, credential) if door.holds_at(at_ms) else None
        if move is None:
            return
        granted = event.type == EventType.ACCESS_GRANTED
        if self.kept.of(household_id).add_sign(
            Sign(at_ms, door.device_id, event.boot, event.seq, move, granted)
        ):
            self.changed.add(household_id)

    def hear(self, device_id: str, heard_ms: int) -> None:
        """Note that a sensor inside was heard, whatever it said."""
        inside = self._sensors.get(device_id)
        if inside is not None and self.kept.of(inside).hear_sensor(heard_ms):
            self.changed.add(inside)

    def signs_of(self, household_id: str) -> HomeSigns:
        """Return what is kept of a home; nothing where nothing was heard."""
        return self.kept[household_id] if household_id in self.kept else HomeSigns()
