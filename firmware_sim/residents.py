"""Habits, holidays, illness, falls: a household and a span of time enter, what happens at its door leaves.

Every day is drawn by itself from the household's seed, and every longer episode (travel, hospital, illness, a fall)
from the seed of its fortnight, so any span can be asked for in any order. A day of habit begins at four in the
morning: nobody's outing is cut in two. Rates were fitted to public recordings: two to eight passages a day, a median
gap of one and a half to five hours, more than a day without an opening several times a year for some.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from random import Random

from firmware_sim.chance import dice, fraction, text_bits
from firmware_sim.people import Dweller, Household, HouseholdKind, Irregularity, StreetAbsence

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
ZONE_MS = 8 * HOUR_MS  # Asia/Shanghai has had no summer time since 1991
DAY_BEGINS_MIN = 4 * 60
DAY_ENDS_MIN = 28 * 60 - 10
EPISODE_DAYS = 16
#: Presses of the button for help per watched elder's home and day: about one in twelve days among forty homes.
HELP_PER_DAY = 1 / 480

# First day of the lunar new year; the holiday runs from its eve for a week.
_SPRING_FESTIVAL = {
    2024: (2, 10), 2025: (1, 29), 2026: (2, 17), 2027: (2, 6), 2028: (1, 26),
    2029: (2, 13), 2030: (2, 3), 2031: (1, 23), 2032: (2, 11), 2033: (1, 31),
}  # fmt: skip


class ActKind(StrEnum):
    """What somebody does; the controller turns it into signals."""

    GO_OUT = "go_out"
    COME_IN = "come_in"
    CALLER = "caller"
    FAMILY_IN = "family_in"
    HELPER_IN = "helper_in"
    VISITOR_IN = "visitor_in"
    TURNED_BACK = "turned_back"
    STRANGER = "stranger"
    REFUSED = "refused"
    OFFICE_UNLOCK = "office_unlock"
    MOTION = "motion"
    WATER = "water"
    SOS = "sos"


class EpisodeKind(StrEnum):
    TRAVEL = "travel"
    OVERNIGHT = "overnight"
    HOSPITAL = "hospital"
    ILLNESS = "illness"
    FALL = "fall"


@dataclass(frozen=True, slots=True)
class Act:
    """One act, beginning at ``at_ms``; the door stands open for ``hold_ms``; ``lift_ms`` from unit door to home."""

    at_ms: int
    household_index: int
    kind: ActKind
    token: str | None = None
    method: str | None = None
    hold_ms: int = 6_000
    lift_ms: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """A span in which habits do not hold, ``[from_ms, to_ms)``; who fell is found at ``found_ms``, and taken away."""

    kind: EpisodeKind
    from_ms: int
    to_ms: int
    declared: bool
    found_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Errand:
    chance: float
    leave_min: float
    leave_spread: float
    stay_min: float
    stay_spread: float
    weekdays: frozenset[int] | None = None
    is_stroll: bool = True


@dataclass(frozen=True, slots=True)
class _Habits:
    errands: tuple[tuple[_Errand, ...], ...]
    stays_home: float
    late_min: int
    wakes_min: float
    sleeps_min: float
    callers: float
    meals: bool
    helper_weekday: int
    child_visits: float


@dataclass(frozen=True, slots=True)
class _Outing:
    dweller: Dweller
    out_ms: int
    in_ms: int


def day_of(at_ms: int) -> int:
    """Return the number of the day of habit (04:00 to 04:00 local) that contains an instant."""
    return (at_ms + ZONE_MS - DAY_BEGINS_MIN * MINUTE_MS) // DAY_MS


def start_of(day: int) -> int:
    """Return the first instant of a day of habit."""
    return _at(day, DAY_BEGINS_MIN)


def _at(day: int, minute: float) -> int:
    return day * DAY_MS - ZONE_MS + int(minute * MINUTE_MS)


def weekday_of(day: int) -> int:
    """Return 0 for Monday; 1 January 1970 was a Thursday."""
    return (day + 3) % 7


def acts(household: Household, from_ms: int, to_ms: int) -> Iterator[Act]:
    """Yield what happens at a household's door in ``[from_ms, to_ms)``, in order of time."""
    for day in range(day_of(from_ms), day_of(to_ms - 1) + 1):
        for act in day_acts(household, day):
            if from_ms <= act.at_ms < to_ms:
                yield act


def day_acts(household: Household, day: int) -> list[Act]:
    """Return the acts of one day of habit, in order of time."""
    chance = dice(household.seed, 1, day)
    found = (
        _vacant_day(household, day, chance) if not household.dwellers else _lived_day(household, day, chance)
    )
    first_ms, last_ms = start_of(day), start_of(day + 1) - 1
    return sorted((act for act in found if first_ms <= act.at_ms <= last_ms), key=_order)


def _order(act: Act) -> tuple[int, str, str]:
    return act.at_ms, act.kind, act.token or ""


def _lived_day(household: Household, day: int, chance: Random) -> list[Act]:
    habits = habits_of(household)
    spans = episodes(household, start_of(day), start_of(day + 1))
    outings = [
        outing
        for index, dweller in enumerate(household.dwellers)
        for outing in _outings(household, habits, index, dweller, day, chance)
    ]
    ill = any(span.kind is EpisodeKind.ILLNESS for span in spans)
    outings = [outing for outing in outings if not any(_disturbs(span, outing) for span in spans)]
    found = [act for outing in outings for act in _passages(household, outing, chance)]
    found += _callers(household, habits, day, chance, ill=ill)
    found += _help(household, day)
    found += _indoors(household, habits, day, outings, chance)
    quiet = [span for span in spans if span.kind is not EpisodeKind.ILLNESS]
    found = [act for act in found if not any(span.from_ms <= act.at_ms < span.to_ms for span in quiet)]
    for span in spans:
        found += _edges_of(household, span, chance)
    return found + _strangers(household, day, chance)


def _help(household: Household, day: int) -> list[Act]:
    """Now and then an elder who is watched presses the button for help; drawn apart, so that no other habit shifts."""
    elder = household.watched and any(dweller.is_elder for dweller in household.dwellers)
    if not elder or fraction(household.seed, 21, day) >= HELP_PER_DAY:
        return []
    minute = (8 + 13 * fraction(household.seed, 22, day)) * 60
    return [Act(_at(day, minute), household.index, ActKind.SOS)]


def _disturbs(span: Episode, outing: _Outing) -> bool:
    return outing.out_ms < span.to_ms and span.from_ms < outing.in_ms


def _passages(household: Household, outing: _Outing, chance: Random) -> Iterator[Act]:
    yield _go_out(household, outing.out_ms, outing.dweller, chance)
    if chance.random() < 0.012 and household.has_reader:
        # A card is shown and the door is not opened: something was forgotten downstairs.
        early_ms = outing.in_ms - int(chance.uniform(1.5, 5) * MINUTE_MS)
        if early_ms > outing.out_ms + MINUTE_MS:
            yield Act(
                early_ms, household.index, ActKind.TURNED_BACK, outing.dweller.token, outing.dweller.method
            )
    yield _come_in(household, outing.in_ms, outing.dweller, chance)


def _go_out(household: Household, at_ms: int, dweller: Dweller, chance: Random) -> Act:
    return Act(
        at_ms,
        household.index,
        ActKind.GO_OUT,
        dweller.token,
        hold_ms=_hold(chance),
        lift_ms=_lift(household, chance),
    )


def _come_in(household: Household, at_ms: int, dweller: Dweller, chance: Random) -> Act:
    return Act(
        at_ms,
        household.index,
        ActKind.COME_IN,
        dweller.token,
        dweller.method,
        _hold(chance),
        _lift(household, chance),
    )


def _hold(chance: Random) -> int:
    # Now and then somebody talks in the doorway.
    return (
        int(chance.uniform(62, 260) * 1000)
        if chance.random() < 0.015
        else int(chance.uniform(2.5, 16) * 1000)
    )


def _lift(household: Household, chance: Random) -> int:
    return int((25 + household.floor * chance.uniform(4, 9)) * 1000)


# Habits -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=65_536)
def habits_of(household: Household) -> _Habits:
    """Return the fixed ways of one household, drawn once from its seed."""
    chance = dice(household.seed, 2)
    late_min = int(chance.uniform(60, 170)) if chance.random() < 0.18 else 0
    return _Habits(
        errands=tuple(
            _errands_of(dweller, household, late_min, chance, is_first=index == 0)
            for index, dweller in enumerate(household.dwellers)
        ),
        stays_home=0.02 + 0.13 * (1 - household.vigour),
        late_min=late_min,
        wakes_min=chance.uniform(5.2 * 60, 6.8 * 60) + late_min,
        sleeps_min=chance.uniform(20.8 * 60, 22.8 * 60),
        callers=chance.uniform(0.12, 0.4),
        meals=household.vigour < 0.42 and chance.random() < 0.6,
        helper_weekday=chance.randrange(5),
        child_visits=chance.choice((0.05, 0.2, 0.35, 0.6)),
    )


def _errands_of(
    dweller: Dweller, household: Household, late_min: int, chance: Random, *, is_first: bool
) -> tuple[_Errand, ...]:
    if dweller.is_elder:
        # Of a couple mostly one goes out alone, or both through the door at once, which opens it once.
        alone = household.kind is HouseholdKind.LIVING_ALONE
        vigour = household.vigour if alone else household.vigour * (0.8 if is_first else 0.35)
        return _elder_errands(vigour, late_min, chance)
    if dweller.is_pupil:
        return _pupil_errands(chance)
    if household.kind in (HouseholdKind.RENTED, HouseholdKind.SINGLE):
        return _young_errands(chance)
    return _worker_errands(dweller, chance)


def _elder_errands(vigour: float, late_min: int, chance: Random) -> tuple[_Errand, ...]:
    return (
        _Errand(0.46 + 0.5 * vigour, chance.uniform(6.7, 9.2) * 60 + late_min, 24, 55, 18),
        _Errand(0.14 + 0.6 * vigour, chance.uniform(13.6, 15.8) * 60, 28, 95, 32),
        _Errand(max(0.0, 0.6 * vigour - 0.06), chance.uniform(18.2, 19.4) * 60, 16, 42, 14),
        _Errand(0.1 + 0.4 * vigour, chance.uniform(9.5, 19.5) * 60, 70, 4, 1.5, is_stroll=False),
        _Errand(0.45, 8.2 * 60 + late_min, 20, 130, 35, frozenset((chance.randrange(5),))),
    )


def _pupil_errands(chance: Random) -> tuple[_Errand, ...]:
    school = frozenset(range(5))
    leave = chance.uniform(7.0, 7.5) * 60
    return (
        _Errand(0.96, leave, 5, (16.8 + chance.uniform(0, 1)) * 60 - leave, 12, school, is_stroll=False),
        _Errand(0.75, chance.uniform(9, 15) * 60, 60, 150, 45, frozenset((5, 6))),
    )


def _worker_errands(dweller: Dweller, chance: Random) -> tuple[_Errand, ...]:
    weekend = frozenset((5, 6))
    evening = _Errand(0.3, chance.uniform(19.2, 20.2) * 60, 18, 40, 12)
    parcels = _Errand(0.3, chance.uniform(19.0, 21) * 60, 40, 5, 2, is_stroll=False)
    if not dweller.works:
        return (
            _Errand(0.8, chance.uniform(8.2, 10.2) * 60, 30, 75, 25),
            _Errand(0.5, chance.uniform(14.5, 16.2) * 60, 30, 80, 25),
            evening,
        )
    leave = chance.uniform(7.3, 8.6) * 60
    back = chance.uniform(17.9, 19.1) * 60
    return (
        _Errand(0.94, leave, 9, back - leave, 26, frozenset(range(5)), is_stroll=False),
        _Errand(0.8, chance.uniform(9.3, 14) * 60, 55, 170, 60, weekend),
        evening,
        parcels,
    )


def _young_errands(chance: Random) -> tuple[_Errand, ...]:
    leave = chance.uniform(7.6, 9.8) * 60
    return (
        _Errand(0.94, leave, 14, chance.uniform(9.8, 12.4) * 60, 55, frozenset(range(5)), is_stroll=False),
        _Errand(0.75, chance.uniform(11, 16) * 60, 70, 280, 110, frozenset((4, 5, 6))),
        _Errand(0.35, chance.uniform(20.5, 22.5) * 60, 30, 12, 5, is_stroll=False),
    )


# Days -------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def is_rainy(site_id: str, day: int) -> bool:
    """Say whether it rains on a whole community: elders then stay at home together."""
    return fraction(text_bits(site_id), 3, day) < 0.19


@lru_cache(maxsize=4096)
def is_day_off(day: int) -> bool:
    """Say whether offices and schools are closed."""
    return weekday_of(day) >= 5 or is_long_holiday(day)


@lru_cache(maxsize=4096)
def is_long_holiday(day: int) -> bool:
    """Say whether a day falls in the national holiday of October or in the week of the spring festival."""
    year, month, date = _civil(day)
    if month == 10 and date <= 7:
        return True
    if year not in _SPRING_FESTIVAL:
        return False
    first = _day_number(year, *_SPRING_FESTIVAL[year])
    return first - 1 <= day <= first + 6


def _civil(day: int) -> tuple[int, int, int]:
    found = date(1970, 1, 1) + timedelta(days=day)
    return found.year, found.month, found.day


def _day_number(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


def _outings(
    household: Household, habits: _Habits, index: int, dweller: Dweller, day: int, chance: Random
) -> list[_Outing]:
    weekday = 6 if is_long_holiday(day) else weekday_of(day)
    rainy = is_rainy(household.site_id, day)
    lazy = habits.stays_home * (2.2 if rainy else 1) if dweller.is_elder else 0.03
    stays = chance.random() < lazy
    late = chance.uniform(40, 190) if chance.random() < 0.07 else 0.0
    free_from = _at(day, DAY_BEGINS_MIN + 20)
    found: list[_Outing] = []
    planned = sorted(
        (chance.gauss(errand.leave_min, errand.leave_spread) + late, number)
        for number, errand in enumerate(habits.errands[index])
        if _happens(errand, weekday, chance, rainy=rainy and dweller.is_elder)
        and not (stays and errand.is_stroll)
    )
    for leave_min, number in planned:
        errand = habits.errands[index][number]
        out_ms = max(_at(day, leave_min), free_from)
        in_ms = out_ms + int(max(1.5, chance.gauss(errand.stay_min, errand.stay_spread)) * MINUTE_MS)
        if in_ms > _at(day, DAY_ENDS_MIN):
            continue
        found.append(_Outing(dweller, out_ms, in_ms))
        free_from = in_ms + int(chance.uniform(6, 40) * MINUTE_MS)
    return found


def _happens(errand: _Errand, weekday: int, chance: Random, *, rainy: bool) -> bool:
    likelihood = errand.chance * (0.55 if rainy and errand.is_stroll else 1)
    return (errand.weekdays is None or weekday in errand.weekdays) and chance.random() < likelihood


def _callers(household: Household, habits: _Habits, day: int, chance: Random, *, ill: bool) -> list[Act]:
    found: list[Act] = []
    somebody_in = ill or any(dweller.is_elder or not dweller.works for dweller in household.dwellers)
    hours = (9.0, 20.0) if somebody_in else (19.0, 21.5)
    if chance.random() < habits.callers + (0.25 if ill else 0):
        found.append(_caller(household, _at(day, chance.uniform(*hours) * 60), chance))
    if habits.meals and weekday_of(day) < 5 and chance.random() < 0.7:
        found.append(_caller(household, _at(day, chance.gauss(11.3 * 60, 10)), chance))
    if household.family_token is not None:
        found += _family_visit(household, habits, day, chance)
    if (
        household.helper_token is not None
        and weekday_of(day) == habits.helper_weekday
        and chance.random() < 0.85
    ):
        found += _helper_visit(household, _at(day, chance.gauss(10 * 60, 25)), chance)
    if household.visitor_token is not None and chance.random() < 0.04:
        at_ms = _at(day, chance.uniform(10, 18) * 60)
        found.append(_entry(household, at_ms, ActKind.VISITOR_IN, household.visitor_token, "qr", chance))
        found.append(_caller(household, at_ms + int(chance.uniform(40, 150) * MINUTE_MS), chance))
    return found


def _caller(household: Household, at_ms: int, chance: Random) -> Act:
    return Act(at_ms, household.index, ActKind.CALLER, hold_ms=_hold(chance))


def _entry(
    household: Household, at_ms: int, kind: ActKind, token: str | None, method: str, chance: Random
) -> Act:
    if not household.has_reader:
        return _caller(household, at_ms, chance)
    return Act(at_ms, household.index, kind, token, method, _hold(chance), _lift(household, chance))


def _family_visit(household: Household, habits: _Habits, day: int, chance: Random) -> list[Act]:
    likelihood = habits.child_visits * (1.0 if is_day_off(day) else 0.12)
    if chance.random() >= likelihood:
        return []
    at_ms = _at(day, chance.gauss(11 * 60, 50))
    leaves_ms = at_ms + int(chance.uniform(100, 380) * MINUTE_MS)
    entry = _entry(household, at_ms, ActKind.FAMILY_IN, household.family_token, "card", chance)
    return [entry, Act(leaves_ms, household.index, ActKind.GO_OUT, None, hold_ms=_hold(chance))]


def _helper_visit(household: Household, at_ms: int, chance: Random) -> list[Act]:
    leaves_ms = at_ms + int(chance.uniform(15, 50) * MINUTE_MS)
    return [
        _entry(household, at_ms, ActKind.HELPER_IN, household.helper_token, "card", chance),
        Act(leaves_ms, household.index, ActKind.GO_OUT, None, hold_ms=_hold(chance)),
    ]


def _strangers(household: Household, day: int, chance: Random) -> list[Act]:
    """Unknown cards, now and then three in a row; cancelled cards; the office unlocking from afar."""
    if not household.has_reader:
        return []
    found: list[Act] = []
    if chance.random() < 0.006:
        at_ms = _at(day, chance.uniform(9, 21) * 60)
        token = f"x_{chance.getrandbits(36):09x}"
        for _ in range(chance.randint(3, 4) if chance.random() < 0.2 else 1):
            found.append(Act(at_ms, household.index, ActKind.STRANGER, token, "card", reason="unknown"))
            at_ms += int(chance.uniform(20, 150) * 1000)
    if household.visitor_token is not None and chance.random() < 0.004:
        at_ms = _at(day, chance.uniform(9, 20) * 60)
        found.append(
            Act(at_ms, household.index, ActKind.REFUSED, household.visitor_token, "qr", reason="expired")
        )
    if chance.random() < 0.001:
        at_ms = _at(day, chance.uniform(9, 17) * 60)
        found.append(Act(at_ms, household.index, ActKind.OFFICE_UNLOCK, None, "remote_office", 9_000))
    return found


def _indoors(
    household: Household, habits: _Habits, day: int, outings: list[_Outing], chance: Random
) -> list[Act]:
    found: list[Act] = []
    if household.motion_id is not None:
        found += _indoor_acts(household, ActKind.MOTION, habits, day, chance, mean_min=24)
    if household.water_id is not None:
        found += _indoor_acts(household, ActKind.WATER, habits, day, chance, mean_min=95)
    if len(household.dwellers) > 1:
        return found
    return [act for act in found if not any(out.out_ms <= act.at_ms < out.in_ms for out in outings)]


def _indoor_acts(
    household: Household, kind: ActKind, habits: _Habits, day: int, chance: Random, *, mean_min: float
) -> list[Act]:
    found: list[Act] = []
    minute = max(DAY_BEGINS_MIN, habits.wakes_min + chance.gauss(0, 20))
    while minute < habits.sleeps_min:
        found.append(Act(_at(day, minute), household.index, kind))
        minute += 2 + chance.expovariate(1 / mean_min)
    if chance.random() < 0.8:
        found.append(Act(_at(day, chance.uniform(24.5, 27.5) * 60), household.index, kind))
    return found


def _vacant_day(household: Household, day: int, chance: Random) -> list[Act]:
    """An empty flat: the owner looks in twice a month; where the books are wrong, somebody lives there."""
    if household.irregularity is Irregularity.VACANT_BUT_OPENED:
        times = [chance.gauss(8.5 * 60, 40), chance.gauss(20 * 60, 60)] if chance.random() < 0.8 else []
        return [
            Act(_at(day, minute), household.index, ActKind.CALLER, hold_ms=_hold(chance)) for minute in times
        ]
    if chance.random() >= 0.06:
        return []
    at_ms = _at(day, chance.uniform(9.5, 17) * 60)
    leaves_ms = at_ms + int(chance.uniform(10, 60) * MINUTE_MS)
    return [
        _entry(household, at_ms, ActKind.FAMILY_IN, household.family_token, "card", chance),
        Act(leaves_ms, household.index, ActKind.GO_OUT, None, hold_ms=_hold(chance)),
    ]


# Episodes ---------------------------------------------------------------------------------------------------------

# Occurrences per year and least and most days, for somebody living alone; vigour scales illness and falls.
_ALONE = (
    (EpisodeKind.TRAVEL, 1.1, 2.0, 11.0),
    (EpisodeKind.OVERNIGHT, 2.2, 0.6, 1.4),
    (EpisodeKind.HOSPITAL, 0.35, 3.0, 12.0),
    (EpisodeKind.ILLNESS, 1.2, 1.2, 3.2),
    (EpisodeKind.FALL, 0.16, 1.1, 3.2),
)
_COUPLE = ((EpisodeKind.TRAVEL, 1.4, 2.0, 12.0), (EpisodeKind.ILLNESS, 0.6, 1.0, 2.5))
_YOUNG = ((EpisodeKind.TRAVEL, 2.0, 1.5, 8.0),)
_DECLARED = {EpisodeKind.TRAVEL: 0.72, EpisodeKind.OVERNIGHT: 0.3, EpisodeKind.HOSPITAL: 0.85}


def episodes(household: Household, from_ms: int, to_ms: int) -> list[Episode]:
    """Return the episodes that touch ``[from_ms, to_ms)``."""
    first = day_of(from_ms) // EPISODE_DAYS
    last = day_of(to_ms - 1) // EPISODE_DAYS
    found = [_episode(household, fortnight) for fortnight in range(first, last + 1)]
    return [span for span in found if span is not None and span.from_ms < to_ms and from_ms < span.to_ms]


def declared_absences(household: Household, from_ms: int, to_ms: int) -> list[StreetAbsence]:
    """Return what the office was told about this household's time away, as it was told."""
    return [
        _declaration(household, span)
        for span in episodes(household, from_ms, to_ms)
        if span.declared and span.from_ms >= from_ms
    ]


def _declaration(household: Household, span: Episode) -> StreetAbsence:
    chance = dice(household.seed, 5, span.from_ms)
    in_hospital = span.kind is EpisodeKind.HOSPITAL
    # Travellers tell beforehand; a hospital stay is told by a neighbour some hours after it began.
    told_ms = span.from_ms + int((chance.uniform(1, 9) if in_hospital else -chance.uniform(3, 60)) * HOUR_MS)
    to_ms = span.to_ms + int(chance.choice((-0.6, 0.0, 0.0, 0.3, 1.0)) * DAY_MS)
    return StreetAbsence(
        household_id=household.household_id,
        from_ms=span.from_ms,
        to_ms=max(to_ms, span.from_ms + 12 * HOUR_MS),
        reason="hospital" if in_hospital else "travel",
        declared_at_ms=told_ms,
    )


@lru_cache(maxsize=262_144)
def _episode(household: Household, fortnight: int) -> Episode | None:
    if not household.dwellers:
        return None
    chance = dice(household.seed, 4, fortnight)
    draw = chance.random() * 365 / EPISODE_DAYS
    for kind, yearly, days_min, days_max in _rates_of(household):
        rate = _scaled(kind, yearly, household.vigour)
        if draw < rate:
            return _place(kind, chance.uniform(days_min, days_max), fortnight, chance)
        draw -= rate
    return None


def _rates_of(household: Household) -> tuple[tuple[EpisodeKind, float, float, float], ...]:
    if household.kind is HouseholdKind.LIVING_ALONE:
        return _ALONE
    if household.kind is HouseholdKind.ELDER_COUPLE:
        return _COUPLE
    return _YOUNG


def _scaled(kind: EpisodeKind, yearly: float, vigour: float) -> float:
    if kind in (EpisodeKind.ILLNESS, EpisodeKind.FALL, EpisodeKind.HOSPITAL):
        return yearly * (1.7 - 1.4 * vigour)
    return yearly * (0.5 + vigour)


def _place(kind: EpisodeKind, days: float, fortnight: int, chance: Random) -> Episode:
    first_day = fortnight * EPISODE_DAYS + chance.randint(0, max(0, EPISODE_DAYS - int(days) - 2))
    from_ms = _at(first_day, chance.uniform(8.5, 18.5) * 60)
    if kind is EpisodeKind.FALL:
        # Falls come at any waking hour, and most often early.
        from_ms = _at(
            first_day, chance.choice((5.2, 6.5, 7.5, 10, 14, 19, 21.5)) * 60 + chance.uniform(0, 40)
        )
    found_ms = from_ms + int(days * DAY_MS)
    in_hospital_days = chance.uniform(3, 8) if kind is EpisodeKind.FALL else 0.0
    # People come home by day.
    to_ms = _at(day_of(found_ms + int(in_hospital_days * DAY_MS)), chance.uniform(10.5, 20.5) * 60)
    declared = chance.random() < _DECLARED.get(kind, 0.0)
    if kind is EpisodeKind.FALL:
        return Episode(kind, from_ms, to_ms, declared, found_ms)
    return Episode(kind, from_ms, max(to_ms, from_ms + 8 * HOUR_MS), declared)


def _edges_of(household: Household, span: Episode, chance: Random) -> list[Act]:
    """Leaving and coming home at the ends of an absence; being found at the end of a fall."""
    if span.kind is EpisodeKind.ILLNESS:
        return []
    if span.found_ms is not None:
        # Two pairs of hands carry her out; the door tells it as staff entering and somebody leaving.
        return [
            *_helper_visit(household, span.found_ms, chance),
            _come_in(household, span.to_ms, household.dwellers[0], chance),
        ]
    dweller = household.dwellers[0]
    return [
        _go_out(household, span.from_ms, dweller, chance),
        _come_in(household, span.to_ms, dweller, chance),
    ]
