"""Which street the demo shows: today enters; a seed and a morning at which something is going on leave.

People are left to themselves: many streets are looked at, and one is taken where on some morning a door has just been
shut for three days, another for two, some for one, and somebody has said that she is away. One thing is put in by hand:
a gateway whose cable was pulled some hours ago, behind which nothing is known of anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from console.stack.folder import StackFolder, read_json, write_json
from console.stack.registers import is_hard_of_hearing
from firmware_sim.community import make_community
from firmware_sim.people import Community, Household
from firmware_sim.residents import (
    DAY_MS,
    MINUTE_MS,
    ZONE_MS,
    ActKind,
    Episode,
    EpisodeKind,
    acts,
    episodes,
)
from kaimen.clock import as_ms

HOUSEHOLDS = 300
WATCHED = 40
HISTORY_DAYS = 30
HEARTBEAT_S = 3_600
SITE = "baihe"
NAME = "百禾里"
NAME_ZONE = "Asia/Shanghai"
MORNING = time(7, 40)
SEEDS_MAX = 60
DAYS_BACK_MAX = 42
OPEN_CASES_MAX = 6
#: The demo begins so long after the third day of a shut door: somebody has taken the visit, time is left.
VISIT_ASKED_MS = 10 * MINUTE_MS
#: So long after the second day a call is still to be made: the first, or the second after nobody answered.
CALL_ASKED_MS = 180 * MINUTE_MS
#: The cable is pulled so long before: supervision of three hours has ended, the engineer's time has not.
UNPLUGGED_MS = 200 * MINUTE_MS
_BEGINS_MIN, _ENDS_MIN = 7 * 60 + 45, 11 * 60
_LOOK_BACK_MS = 9 * DAY_MS
#: Somebody who was seen at the third day is a case again a day later; the past's detector knows nothing of the seeing.
_SEEN_AGAIN_DAYS = 3.9
_OPENS = frozenset({ActKind.GO_OUT, ActKind.COME_IN, ActKind.CALLER, ActKind.FAMILY_IN, ActKind.VISITOR_IN})


@dataclass(frozen=True, slots=True)
class StreetChoice:
    """One street at one morning; history begins ``HISTORY_DAYS`` before ``now_ms``."""

    seed: int
    now_ms: int
    households: int = HOUSEHOLDS
    watched: int = WATCHED
    unplugged: str | None = None

    @property
    def start_ms(self) -> int:
        return self.now_ms - HISTORY_DAYS * DAY_MS

    def make(self) -> Community:
        """Invent the community; always the same one."""
        return make_community(
            self.seed, self.households, self.watched, SITE, self.start_ms, name=NAME, heartbeat_s=HEARTBEAT_S
        )


def save_choice(folder: StackFolder, choice: StreetChoice) -> None:
    write_json(
        folder.street / "street.json",
        {
            "seed": choice.seed, "now_ms": choice.now_ms, "households": choice.households,
            "watched": choice.watched, "unplugged": choice.unplugged,
        },
    )  # fmt: skip


def load_choice(folder: StackFolder) -> StreetChoice | None:
    """Return the street of a demo's directory; None before the first."""
    found = read_json(folder.street / "street.json")
    return None if found is None else StreetChoice(**found)


def latest_morning(wall_ms: int) -> int:
    """Return the newest local morning that is not after the machine's time."""
    zone = ZoneInfo(NAME_ZONE)
    local = datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone(zone)
    morning = datetime.combine(local.date(), MORNING, tzinfo=zone)
    return as_ms(morning if morning <= local else morning - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Scene:
    """What goes on at one morning: days for which doors of those not away have been shut, and how many are away.

    ``call_days`` are those of people who can be telephoned.
    """

    shut_days: tuple[float, ...]
    call_days: tuple[float, ...]
    away: int

    @property
    def score(self) -> int:
        """How much of what a visitor should find is there; 5 is everything, and nothing left lying."""
        fresh_visit = 3 + 2 * VISIT_ASKED_MS / DAY_MS
        fresh_call = 2 + CALL_ASKED_MS / DAY_MS
        visits = sum(3 <= days < fresh_visit for days in self.shut_days)
        calls = sum(2 < days < fresh_call for days in self.call_days)
        warnings = sum(1 <= days < 2 for days in self.shut_days)
        forgotten = any(days >= _SEEN_AGAIN_DAYS for days in self.shut_days)
        in_order = (
            visits == 1 and not forgotten and sum(days >= 1 for days in self.shut_days) <= OPEN_CASES_MAX
        )
        return (visits > 0) + (calls > 0) + (warnings > 0) + (self.away > 0) + in_order


def choose_street(wall_ms: int, *, seeds_max: int = SEEDS_MAX) -> StreetChoice:
    """Look at streets until one shows everything; the best one seen where none does."""
    newest_ms = latest_morning(wall_ms)
    best: tuple[int, StreetChoice] | None = None
    for seed in range(1, seeds_max + 1):
        community = StreetChoice(seed, newest_ms).make()
        for now_ms in _mornings(community, newest_ms):
            score = look_at(community, now_ms).score
            if best is None or score > best[0]:
                best = (score, StreetChoice(seed, now_ms))
        if best is not None and best[0] == 5:
            break
    chosen = best[1] if best is not None else StreetChoice(1, newest_ms)
    return replace(chosen, unplugged=_gateway_to_pull(chosen.make(), chosen.now_ms))


def _mornings(community: Community, newest_ms: int) -> Iterator[int]:
    """Yield the mornings at which a door became one for a visit a moment ago, as far as its people do not say so."""
    oldest_ms = newest_ms - DAYS_BACK_MAX * DAY_MS
    for home in community.watched:
        for span in episodes(home, oldest_ms - 3 * DAY_MS, newest_ms - 3 * DAY_MS):
            if span.declared or span.to_ms - span.from_ms < 2 * DAY_MS:
                continue
            shut_ms = _last_opened(home, span)
            begins_ms = (shut_ms + 3 * DAY_MS + VISIT_ASKED_MS) // MINUTE_MS * MINUTE_MS
            local_min = (begins_ms + ZONE_MS) % DAY_MS // MINUTE_MS
            if oldest_ms < begins_ms <= newest_ms and _BEGINS_MIN <= local_min <= _ENDS_MIN:
                yield begins_ms


def _last_opened(home: Household, span: Episode) -> int:
    """Return when the door was last opened as an episode began; who leaves opens it."""
    if span.kind not in (EpisodeKind.ILLNESS, EpisodeKind.FALL):
        return span.from_ms
    opened = [
        act.at_ms
        for act in acts(home, span.from_ms - 2 * DAY_MS, span.from_ms + DAY_MS)
        if act.kind in _OPENS
    ]
    return max(opened, default=0)


def look_at(community: Community, now_ms: int) -> Scene:
    """Say what goes on in a street at an instant."""
    away = _away(community, now_ms)
    deaf = {person.household_id for person in community.persons if is_hard_of_hearing(community.seed, person)}
    days = {
        home.household_id: _shut_days(home, now_ms)
        for home in community.watched
        if home.consent and home.household_id not in away
    }
    called = tuple(shut for home, shut in days.items() if home not in deaf)
    return Scene(tuple(days.values()), called, len(away))


def _away(community: Community, now_ms: int) -> set[str]:
    return {item.household_id for item in community.absences if item.from_ms <= now_ms < item.to_ms}


def _gateway_to_pull(community: Community, now_ms: int) -> str | None:
    """Return a gateway with watched homes behind it, none of which asks for anybody; the one with the fewest."""
    away, shut = _away(community, now_ms), set(look_at_homes(community, now_ms))
    behind: dict[str, list[str]] = {}
    for home in community.watched:
        behind.setdefault(home.gateway_id, []).append(home.household_id)
    quiet = [
        (len(homes), gateway)
        for gateway, homes in behind.items()
        if not shut.intersection(homes) and not away.intersection(homes)
    ]
    return min(quiet)[1] if quiet else None


def look_at_homes(community: Community, now_ms: int) -> list[str]:
    """Return the homes whose door has been shut for a day and more though nobody said so, the longest first.

    Who was visited before this morning comes last.
    """
    away = _away(community, now_ms)
    days = {
        home.household_id: _shut_days(home, now_ms)
        for home in community.watched
        if home.consent and home.household_id not in away
    }
    visited_before = 3 + 2 * VISIT_ASKED_MS / DAY_MS
    return sorted(
        (home for home, shut in days.items() if shut >= 1),
        key=lambda home: (days[home] >= visited_before, -days[home]),
    )


def _shut_days(household: Household, now_ms: int) -> float:
    """Return for how long a door has been shut; day by day backwards, for most were opened a moment ago."""
    to_ms = now_ms
    while to_ms > now_ms - _LOOK_BACK_MS:
        opened = [act.at_ms for act in acts(household, to_ms - DAY_MS, to_ms) if act.kind in _OPENS]
        if opened:
            return (now_ms - max(opened)) / DAY_MS
        to_ms -= DAY_MS
    return _LOOK_BACK_MS / DAY_MS
