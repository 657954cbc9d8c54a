"""What a case carries of her besides the silence: signs inside, presence and habits enter, grounds leave; pure.

Grounds order and hasten. No stage waits for them, none is left out because of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from kaimen.vocabulary import Grade

#: Signs of this long before now are held against the same hours of the days before the last opening.
RECENT = timedelta(hours=12)
USUAL_SIGN_DAYS = 14
USUAL_SIGN_DAYS_MIN = 5
#: Her own rhythm is taken from so many watched days, looked for in so many days back.
GAP_DAYS = 60
GAP_DAYS_BACK = 90
GAPS_MIN = 10
#: As long as the detector lets a grant speak for the edge that follows it: one passage.
ONE_PASSAGE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Signs:
    """Activity inside: ``recent`` counts signs of the last hours, ``usual`` those of the same hours of other days.

    ``heard`` False: the home has no sensor inside, or none that could be heard just now.
    """

    heard: bool = False
    since_opening: int = 0
    recent: int = 0
    usual: tuple[int, ...] = ()
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UsualGap:
    """Between two openings, over ``days`` watched days: a fact told in a sentence, never a threshold."""

    median_ms: int
    p95_ms: int
    days: int


@dataclass(frozen=True, slots=True)
class Grounds:
    """What was known at ``as_of``; ``presumed`` is in, out or unsure, ``presumed_by`` the reason it rests on."""

    grade: Grade = Grade.UNGRADED
    as_of: datetime | None = None
    sign_count: int = 0
    last_sign_at: datetime | None = None
    presumed: str = "unsure"
    presumed_by: str = "not_judged"
    presumed_since: datetime | None = None
    usual_gap: UsualGap | None = None
    door_open_since: datetime | None = None
    unlocked_since: datetime | None = None


UNGRADED = Grounds()


def decide_grade(signs: Signs) -> Grade:
    """Grade what was seen inside since the last opening.

    High: sensors that were heard saw nothing at all. Low: in the last hours at least half of what they usually see
    in these hours. Without a sensor that could be heard nothing is said: silence of what cannot speak is no ground.
    """
    if not signs.heard:
        return Grade.UNGRADED
    if signs.since_opening == 0:
        return Grade.HIGH
    if len(signs.usual) < USUAL_SIGN_DAYS_MIN:
        return Grade.MIDDLE
    usual = median(signs.usual)
    return Grade.LOW if usual > 0 and 2 * signs.recent >= usual else Grade.MIDDLE


def find_usual_gap(
    openings: Sequence[datetime],
    unwatched: Sequence[tuple[datetime, datetime]],
    *,
    until: datetime,
    watched_from: datetime,
    zone: str,
) -> UsualGap | None:
    """Return median and 95th percentile of the gaps between openings of the last 60 watched days.

    A gap counts only if it was watched from end to end: ``unwatched`` are outages and absences. None where there
    are too few gaps to speak of a habit.
    """
    days = _watched_days(unwatched, until=until, watched_from=watched_from, zone=ZoneInfo(zone))
    if not days:
        return None
    begin = datetime.combine(days[-1], datetime.min.time(), tzinfo=ZoneInfo(zone))
    passages = _passages([at for at in openings if begin <= at <= until])
    gaps = sorted(
        _ms(right - left)
        for left, right in pairwise(passages)
        if not any(low < right and high > left for low, high in unwatched)
    )
    if len(gaps) < GAPS_MIN:
        return None
    p95 = gaps[min(len(gaps) - 1, -(-95 * len(gaps) // 100) - 1)]
    return UsualGap(round(median(gaps)), p95, len(days))


def _watched_days(
    unwatched: Sequence[tuple[datetime, datetime]], *, until: datetime, watched_from: datetime, zone: ZoneInfo
) -> list[date]:
    """Return up to 60 whole local days before ``until`` that nothing kept from being watched, newest first."""
    found: list[date] = []
    today = until.astimezone(zone).date()
    for back in range(1, GAP_DAYS_BACK + 1):
        day = today - timedelta(days=back)
        begin = datetime.combine(day, datetime.min.time(), tzinfo=zone)
        end = begin + timedelta(days=1)
        if begin < watched_from or len(found) == GAP_DAYS:
            break
        if not any(low < end and high > begin for low, high in unwatched):
            found.append(day)
    return found


def _passages(openings: Sequence[datetime]) -> list[datetime]:
    """Make one of what one passage told twice, by its card and by its contact."""
    found: list[datetime] = []
    for at in sorted(openings):
        if not found or at - found[-1] > ONE_PASSAGE:
            found.append(at)
    return found


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def format_grounds(grounds: Grounds) -> dict[str, Any]:
    """Return grounds as a case stores them: instants as ISO text, what is not known left out."""
    values = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(grounds).items()
        if value is not None and name != "grade"
    }
    return values if grounds.as_of is not None else {}


_INSTANTS = frozenset({"as_of", "last_sign_at", "presumed_since", "door_open_since", "unlocked_since"})
_NAMES = frozenset(item.name for item in fields(Grounds))


def parse_grounds(grade: str, stored: Mapping[str, Any]) -> Grounds:
    """Return stored grounds; names of a newer program are left out."""
    values: dict[str, Any] = {"grade": Grade(grade)}
    for name, value in stored.items():
        if name in _INSTANTS:
            values[name] = datetime.fromisoformat(value)
        elif name == "usual_gap":
            values[name] = UsualGap(value["median_ms"], value["p95_ms"], value["days"])
        elif name in _NAMES:
            values[name] = value
    return Grounds(**values)
