"""The mandated rule as data: a policy enters, deadlines and durations leave; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

THRESHOLDS_DEFAULT_MS = (DAY_MS, 2 * DAY_MS, 3 * DAY_MS)
ABSENCE_MAX_MS = 90 * DAY_MS

#: Coverage and admission windows of the wire protocol.
PAST_MAX_MS = 45 * DAY_MS
FUTURE_MAX_MS = 5 * MINUTE_MS
LATE_AFTER_MS = HOUR_MS
STEP_MAX_MS = 120_000
STEP_DRIFT_DIVISOR = 5_000
CLONE_SPREAD_MS = HOUR_MS
ATTRIBUTION_AFTER_GRANT_MS = 30_000
ATTRIBUTION_FORCED_MS = 10_000


@dataclass(frozen=True, slots=True)
class CauseLadder:
    """How people are brought in for a cause that is neither inactivity nor a silent device; data, not code.

    ``priority`` 3 is annunciated and needs a person now, 1 waits for a hand. ``told`` are the roles told with the
    desk at once, ``then`` the roles told as well once so many milliseconds have passed without an end.
    ``ends_with`` is the outcome written when nobody has answered by the due time; ``""``: it is told again.
    ``ends_by_itself``: the end of what was signalled closes the case. ``hides_place``: nothing of it is shown or
    told to whoever may stand at that door.
    """

    priority: int
    task: str
    lease_ms: int
    sla_ms: int
    outcomes: tuple[str, ...]
    role: str = "property_clerk"
    told: tuple[str, ...] = ()
    then: tuple[tuple[int, str], ...] = ()
    family: bool = False
    outside: bool = True
    with_list: bool = False
    by_day: bool = False
    ends_by_itself: bool = False
    ends_with: str = ""
    hides_place: bool = False


_LOOK = ("handled", "false_alarm", "other")
CAUSE_LADDERS: Mapping[str, CauseLadder] = {
    "sos": CauseLadder(
        3, "respond", 5 * MINUTE_MS, 10 * MINUTE_MS,
        ("helped", "well", "hospital", "no_answer", "false_alarm", "other"),
        then=((10 * MINUTE_MS, "police_officer"),), family=True,
    ),
    "duress": CauseLadder(
        3, "respond", 5 * MINUTE_MS, 10 * MINUTE_MS, ("helped", "false_alarm", "other"),
        told=("police_officer",), hides_place=True,
    ),
    "door_forced": CauseLadder(
        2, "respond", 15 * MINUTE_MS, 30 * MINUTE_MS, _LOOK, then=((30 * MINUTE_MS, "police_officer"),),
    ),
    "door_held": CauseLadder(
        1, "look_into", 2 * HOUR_MS, 4 * HOUR_MS, _LOOK, outside=False, ends_by_itself=True,
    ),
    "stranger": CauseLadder(1, "look_into", 2 * HOUR_MS, 4 * HOUR_MS, _LOOK, outside=False, by_day=True),
    "credential": CauseLadder(1, "look_into", 4 * HOUR_MS, DAY_MS, _LOOK, outside=False, with_list=True),
    "dwelling": CauseLadder(1, "look_into", 4 * HOUR_MS, 3 * DAY_MS, _LOOK, outside=False, with_list=True),
    "device_fault": CauseLadder(
        1, "device_check", 4 * HOUR_MS, DAY_MS, ("restored", "sensor_fault"), outside=False, with_list=True,
        ends_by_itself=True,
    ),
    # Told days before the door falls silent: with the morning's list, on the next round.
    "battery": CauseLadder(
        1, "device_check", DAY_MS, 3 * DAY_MS, ("restored", "sensor_fault"), outside=False, with_list=True,
        ends_by_itself=True,
    ),
    "early_watch": CauseLadder(
        2, "look_into", 30 * MINUTE_MS, 2 * HOUR_MS,
        ("well", "helped", "hospital", "no_answer", "false_alarm", "other"), ends_by_itself=True,
    ),
    "absence": CauseLadder(
        1, "confirm_back", 4 * HOUR_MS, 12 * HOUR_MS, ("back", "not_back"), family=True, outside=False,
        by_day=True, ends_with="back",
    ),
    "review": CauseLadder(
        1, "review", 4 * HOUR_MS, 3 * DAY_MS, ("right", "doubted", "no_answer"), outside=False, with_list=True,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LadderPolicy:
    """How people are brought in, per stage; snapshotted into the case when it opens."""

    version: int = 1
    thresholds_ms: tuple[int, ...] = THRESHOLDS_DEFAULT_MS
    warning_lease_ms: int = 4 * HOUR_MS
    call_lease_ms: int = 30 * MINUTE_MS
    visit_lease_ms: int = 30 * MINUTE_MS
    confirm_within_ms: int = 30 * MINUTE_MS
    reopen_after_ms: int = 4 * HOUR_MS
    call_sla_ms: int = 2 * HOUR_MS
    visit_sla_ms: int = HOUR_MS
    device_sla_ms: int = 4 * HOUR_MS
    remote_well_max: int = 2
    reviewed_share: float = 0.05
    list_times: tuple[time, ...] = (time(8, 30), time(17, 0))
    call_from: time = time(7, 0)
    call_until: time = time(22, 0)
    zone: str = "Asia/Shanghai"
    causes: Mapping[str, CauseLadder] = field(default_factory=lambda: CAUSE_LADDERS)

    def lease_ms(self, stage: int) -> int:
        return (self.warning_lease_ms, self.warning_lease_ms, self.call_lease_ms, self.visit_lease_ms)[stage]

    def sla_ms(self, stage: int) -> int:
        return (self.device_sla_ms, 12 * HOUR_MS, self.call_sla_ms, self.visit_sla_ms)[stage]


def next_list_time(policy: LadderPolicy, now: datetime) -> datetime:
    """Say when the next morning or evening list goes out (aware, in UTC); strictly after ``now``."""
    zone = ZoneInfo(policy.zone)
    local = now.astimezone(zone)
    for day in range(3):
        for at in policy.list_times:
            candidate = datetime.combine(local.date() + timedelta(days=day), at, tzinfo=zone)
            if candidate > local:
                return candidate.astimezone(now.tzinfo)
    raise AssertionError("a policy without list times was stored")


def calls_start_at(policy: LadderPolicy, now: datetime) -> datetime:
    """Say when a telephone call may start: at once by day, at ``call_from`` for a crossing of the night."""
    zone = ZoneInfo(policy.zone)
    local = now.astimezone(zone)
    if policy.call_from <= local.time() < policy.call_until:
        return now
    start = datetime.combine(local.date(), policy.call_from, tzinfo=zone)
    if local.time() >= policy.call_until:
        start = datetime.combine(local.date() + timedelta(days=1), policy.call_from, tzinfo=zone)
    return start.astimezone(now.tzinfo)


#: What a kind of care asks for beside the mandated ladder, as fields of it; thresholds are the household's policy alone.
#: A ladder stored for the category (``care_categories``) and the household's own policy stand over it.
CARE_LADDERS: Mapping[str, Mapping[str, Any]] = {
    "living_alone": {},
    "disabled": {"call_sla_ms": 90 * MINUTE_MS},
    "severely_disabled": {
        "call_sla_ms": HOUR_MS, "visit_sla_ms": 30 * MINUTE_MS, "visit_lease_ms": 20 * MINUTE_MS, "remote_well_max": 1,
    },
    # A child at home without its parents: a pressed key says little, and nobody waits for the third try.
    "left_behind_child": {
        "call_sla_ms": HOUR_MS, "visit_sla_ms": 30 * MINUTE_MS, "visit_lease_ms": 20 * MINUTE_MS, "remote_well_max": 0,
    },
}  # fmt: skip


def care_ladder(categories: Collection[str]) -> dict[str, Any]:
    """Return the fields of the ladder that the residents' kinds of care ask for; of two the more careful."""
    found: dict[str, Any] = {}
    for category in categories:
        for name, value in CARE_LADDERS.get(category, {}).items():
            found[name] = min(found.get(name, value), value)
    return found
