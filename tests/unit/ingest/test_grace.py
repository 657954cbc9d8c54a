"""After an outage of our own, new checks wait until devices could speak; nothing else does."""

from __future__ import annotations

from ingest.causes import OutageCause
from ingest.detector import CheckDue, CheckEnded, Crossing, Registry
from ingest.groups.grace import CHECK_GRACE_MAX_MS, CheckHeld, CheckLetGo, Grace, HeldEnd
from kaimen.vocabulary import Device, DoorBinding, Household

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BACK = 10 * DAY
OPENED = BACK - 30 * HOUR
SUPERVISION = 3 * MINUTE


def registry(supervision_ms: int = SUPERVISION) -> Registry:
    return Registry(
        {"d-1": Device("d-1", "west", supervision_ms)},
        {"h-1": Household("h-1", "west", (DoorBinding("d-1"),), watched_from_ms=0)},
        {},
    )


def check(step: int = 1, *, noticed_ms: int = BACK) -> CheckDue:
    return CheckDue("h-1", step, OPENED + step * DAY, noticed_ms, OPENED, {"kind": "opening"}, 0)


def crossing(stage: int = 1) -> Crossing:
    thresholds = (DAY, 2 * DAY, 3 * DAY)
    return Crossing("h-1", stage, OPENED + DAY, BACK, OPENED, {}, 30 * HOUR, 30 * HOUR, thresholds)


def back_again(supervision_ms: int = SUPERVISION) -> Grace:
    grace = Grace(registry(supervision_ms))
    grace.begin(OutageCause.OWN, BACK)
    grace.listen(OutageCause.OWN, BACK)
    return grace


def test_without_an_outage_of_our_own_a_check_waits_for_nobody() -> None:
    assert Grace(registry()).filter([check()], BACK) == [check()]


def test_a_check_waits_one_supervision_time_and_keeps_its_dates() -> None:
    grace = back_again()
    until = BACK + SUPERVISION + 1000
    assert grace.filter([check()], BACK) == [CheckHeld(check(), OutageCause.OWN, until)]
    assert grace.told_step("h-1", 1) == 0
    assert grace.filter([], until - 1000) == []
    assert grace.filter([], until) == [CheckLetGo(check(), until, HeldEnd.DUE), check()]
    assert grace.told_step("h-1", 1) == 1
    assert grace.filter([], until + HOUR) == []


def test_an_opening_that_was_buffered_meanwhile_ends_the_wait_and_nobody_is_asked() -> None:
    grace = back_again()
    grace.filter([check()], BACK)
    ended = CheckEnded("h-1", 1, OPENED, BACK + MINUTE, BACK - HOUR, {})
    assert grace.filter([ended], BACK + MINUTE) == [CheckLetGo(check(), BACK + MINUTE, HeldEnd.EVIDENCE)]
    assert grace.filter([], BACK + HOUR) == []


def test_a_stage_that_was_watched_all_along_takes_the_place_of_the_check() -> None:
    grace = back_again()
    grace.filter([check()], BACK)
    said = grace.filter([crossing()], BACK + MINUTE)
    assert said == [CheckLetGo(check(), BACK + MINUTE, HeldEnd.SEEN), crossing()]
    assert (grace.told_step("h-1", 1), grace.told_step("h-1", 2)) == (0, 2)
    assert grace.filter([], BACK + HOUR) == []
    # The detector ends the check it remembers with the next opening: nobody ever heard of it.
    ended = CheckEnded("h-1", 1, OPENED, BACK + 2 * HOUR, BACK + 2 * HOUR, {})
    assert grace.filter([ended], BACK + 2 * HOUR) == []


def test_a_check_that_falls_due_after_the_grace_is_told_at_once() -> None:
    grace = back_again()
    late = check(noticed_ms=BACK + HOUR)
    assert grace.filter([late], BACK + HOUR) == [late]


def test_slow_devices_are_waited_for_no_longer_than_the_bound() -> None:
    grace = back_again(supervision_ms=3 * DAY)
    (held,) = grace.filter([check()], BACK)
    assert isinstance(held, CheckHeld)
    assert held.until_ms == BACK + CHECK_GRACE_MAX_MS


def test_back_without_a_broker_waits_for_the_bound_and_less_once_it_listens() -> None:
    grace = Grace(registry())
    grace.begin(OutageCause.OWN, BACK)
    (held,) = grace.filter([check()], BACK)
    assert isinstance(held, CheckHeld)
    assert held.until_ms == BACK + CHECK_GRACE_MAX_MS
    grace.listen(OutageCause.OWN, BACK + HOUR)
    until = BACK + HOUR + SUPERVISION + 1000
    assert grace.filter([], until - 1000) == []
    assert grace.filter([], until)[-1] == check()


def test_restarting_again_and_again_does_not_make_anybody_wait_longer() -> None:
    first = back_again()
    (held,) = first.filter([check()], BACK)
    assert isinstance(held, CheckHeld)
    second = Grace(registry(), held=[held])
    second.begin(OutageCause.OWN, BACK + 2 * MINUTE)
    second.listen(OutageCause.OWN, BACK + 2 * MINUTE)
    assert second.filter([], held.until_ms)[-1] == check()
