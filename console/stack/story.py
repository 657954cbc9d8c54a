"""Which street the demo shows: today enters; a seed and a morning at which something is going on leave.

Nothing is put into the street by hand. Many streets are looked at, and one is taken where at that morning a door has
been shut for three days, another for two, some for one, somebody has said that she is away, and a gateway fell
silent for hours not long ago.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from console.stack.folder import StackFolder, read_json, write_json
from firmware_sim.community import make_community
from firmware_sim.faults import USUAL, FaultKind, faults_of_day
from firmware_sim.people import Community, Household
from firmware_sim.residents import DAY_MS, HOUR_MS, ActKind, acts, day_of, episodes
from kaimen.clock import as_ms

HOUSEHOLDS = 300
WATCHED = 40
HISTORY_DAYS = 30
HEARTBEAT_S = 3_600
SITE = "baihe"
NAME = "百禾里"
NAME_ZONE = "Asia/Shanghai"
MORNING = time(7, 40)
SEEDS_MAX = 120
DAYS_BACK_MAX = 14
OPEN_CASES_MAX = 8
_LOOK_BACK_MS = 9 * DAY_MS
_OPENS = frozenset({ActKind.GO_OUT, ActKind.COME_IN, ActKind.CALLER, ActKind.FAMILY_IN, ActKind.VISITOR_IN})


@dataclass(frozen=True, slots=True)
class StreetChoice:
    """One street at one morning; history begins ``HISTORY_DAYS`` before ``now_ms``."""

    seed: int
    now_ms: int
    households: int = HOUSEHOLDS
    watched: int = WATCHED

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
            "watched": choice.watched,
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
    """What goes on at one morning: days for which doors of those not away have been shut, and who is away."""

    shut_days: tuple[float, ...]
    away: int
    outage: bool

    @property
    def score(self) -> int:
        """How much of what a visitor should find is there; 5 is everything."""
        visits = sum(3.15 <= days < 5.5 for days in self.shut_days)
        calls = sum(2.1 <= days < 2.9 for days in self.shut_days)
        warnings = sum(1.05 <= days < 1.95 for days in self.shut_days)
        if sum(days >= 1 for days in self.shut_days) > OPEN_CASES_MAX or visits > 2:
            return 0
        return (visits > 0) + (calls > 0) + (warnings > 0) + (self.away > 0) + self.outage


def choose_street(wall_ms: int, *, seeds_max: int = SEEDS_MAX) -> StreetChoice:
    """Look at streets until one shows everything; the best one seen where none does."""
    best: tuple[int, StreetChoice] | None = None
    for choice in _choices(latest_morning(wall_ms), seeds_max):
        community = _community_of(choice)
        if not _promises(community, choice.now_ms):
            continue
        score = look_at(community, choice.now_ms).score
        if best is None or score > best[0]:
            best = (score, choice)
        if score == 5:
            break
    return best[1] if best is not None else StreetChoice(1, latest_morning(wall_ms))


def _choices(morning_ms: int, seeds_max: int) -> Iterator[StreetChoice]:
    for seed in range(1, seeds_max + 1):
        for days_back in range(DAYS_BACK_MAX):
            yield StreetChoice(seed, morning_ms - days_back * DAY_MS)


_made: dict[int, Community] = {}


def _community_of(choice: StreetChoice) -> Community:
    """People and their days depend on the seed alone, not on when watching begins."""
    if choice.seed not in _made:
        _made.clear()
        _made[choice.seed] = choice.make()
    return _made[choice.seed]


def _promises(community: Community, now_ms: int) -> bool:
    """Say quickly whether a door may have been shut for three days, and another for two."""
    spans = [
        (now_ms - span.from_ms) / DAY_MS
        for household in community.watched
        for span in episodes(household, now_ms - HOUR_MS, now_ms)
        if not span.declared
    ]
    return any(3.15 <= days < 5.5 for days in spans) and any(2.1 <= days < 2.9 for days in spans)


def look_at(community: Community, now_ms: int) -> Scene:
    """Say what goes on in a street at an instant."""
    away = {item.household_id for item in community.absences if item.from_ms <= now_ms < item.to_ms}
    shut = [
        _shut_days(household, now_ms) for household in community.watched if household.household_id not in away
    ]
    return Scene(tuple(shut), len(away), _outage_lately(community, now_ms))


def look_at_homes(community: Community, now_ms: int) -> list[str]:
    """Return the homes whose door has been shut for a day and more though nobody said so, the longest first."""
    away = {item.household_id for item in community.absences if item.from_ms <= now_ms < item.to_ms}
    days = {
        home.household_id: _shut_days(home, now_ms)
        for home in community.watched
        if home.household_id not in away
    }
    return sorted((home for home, shut in days.items() if shut >= 1), key=lambda home: -days[home])


def _shut_days(household: Household, now_ms: int) -> float:
    opened = [act.at_ms for act in acts(household, now_ms - _LOOK_BACK_MS, now_ms) if act.kind in _OPENS]
    return (now_ms - max(opened, default=now_ms - _LOOK_BACK_MS)) / DAY_MS


def _outage_lately(community: Community, now_ms: int) -> bool:
    return any(
        fault.kind is FaultKind.GATEWAY_OUTAGE
        and fault.to_ms - fault.from_ms > 3.5 * HOUR_MS
        and fault.to_ms < now_ms
        for day in range(day_of(now_ms) - 12, day_of(now_ms) + 1)
        for fault in faults_of_day(community, day, USUAL)
    )
