"""Strangers, cards that are over, forced and held doors, calls for help: what a device's events mean, told once."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from ingest.signals.dwellings import Dwelling, Lease, Standing, compare, find_mismatches
from ingest.signals.episodes import (
    Begin,
    DeviceEvent,
    End,
    EndReason,
    Pass,
    Told,
    find_episodes,
    reconcile,
)
from kaimen.policy import HOUR_MS, MINUTE_MS
from kaimen.vocabulary import CredentialClass, SignalKind
from tests.unit.ingest.presence_story import BOOT, MONDAY_MS, at

PASSES = {
    "c-wang": Pass(CredentialClass.RESIDENT, "h-wang"),
    "c-left": Pass(CredentialClass.RESIDENT, "h-left", at(hour=8)),
    "c-plumber": Pass(CredentialClass.VISITOR, "h-wang", at(hour=8)),
}


class Door:
    """A door that says things in order; ``seq`` as a device counts."""

    def __init__(self) -> None:
        self.events: list[DeviceEvent] = []

    def says(self, at_ms: int, type_: str, **fields: str | None) -> DeviceEvent:
        event = DeviceEvent(at_ms, BOOT, len(self.events) + 1, type_, **fields)
        self.events.append(event)
        return event

    def refuses(self, at_ms: int, credential: str | None = "x-1", reason: str | None = None) -> DeviceEvent:
        return self.says(at_ms, "Denied", credential=credential, reason=reason, method="card")

    def kinds(self) -> list[SignalKind]:
        return [episode.kind for episode in find_episodes(self.events, PASSES)]


def test_three_unknown_cards_in_ten_minutes_are_one_stranger() -> None:
    door = Door()
    for minute in (0, 3, 9):
        door.refuses(at(hour=9, minute=minute))
    (episode,) = find_episodes(door.events, PASSES)
    assert episode.kind is SignalKind.STRANGER_DENIALS
    assert episode.at_ms == at(hour=9, minute=9), "it is a stranger to look after with the third card"
    assert episode.evidence()["count"] == 3


def test_two_unknown_cards_and_three_within_an_hour_are_none() -> None:
    door = Door()
    for minute in (0, 3, 11, 20):
        door.refuses(at(hour=9, minute=minute))
    assert door.kinds() == []


def test_a_fourth_and_fifth_card_are_the_same_stranger_and_the_evening_another() -> None:
    door = Door()
    for minute in (0, 2, 4, 6, 12):
        door.refuses(at(hour=9, minute=minute))
    for minute in (0, 2, 4):
        door.refuses(at(hour=19, minute=minute))
    assert door.kinds() == [SignalKind.STRANGER_DENIALS] * 2


def test_a_resident_at_the_wrong_hour_is_no_stranger() -> None:
    door = Door()
    for minute in (0, 1, 2):
        door.refuses(at(hour=9, minute=minute), "c-wang", "schedule")
        door.refuses(at(hour=9, minute=minute), "x-1", "anti-passback")
    assert door.kinds() == []


def test_a_pass_and_a_card_that_are_over_are_facts_also_where_the_door_opened() -> None:
    door = Door()
    door.refuses(at(hour=9), "c-plumber", "expired")
    door.refuses(at(hour=9, minute=1), "c-plumber", "expired")
    door.says(at(hour=10), "AccessGranted", credential="c-left")
    door.says(at(hour=10, second=2), "AccessTaken", credential="c-left")
    expired, cancelled = find_episodes(door.events, PASSES)
    assert (expired.kind, expired.evidence()["accepted"]) == (SignalKind.EXPIRED_PASS, False)
    assert (cancelled.kind, cancelled.evidence()["accepted"]) == (SignalKind.CANCELLED_CARD, True)
    assert cancelled.household_id == "h-left"


def test_a_card_used_before_it_ended_is_no_fact() -> None:
    door = Door()
    door.says(at(hour=7), "AccessTaken", credential="c-left")
    door.says(at(hour=7), "AccessTaken", credential="c-wang")
    assert door.kinds() == []


def test_a_door_that_says_expired_of_a_card_not_in_the_books_is_believed() -> None:
    door = Door()
    door.says(at(hour=9), "Denied", credential="x-2", reason="Expired", method="qr")
    assert door.kinds() == [SignalKind.EXPIRED_PASS]


def test_people_who_talk_in_a_doorway_are_no_fact() -> None:
    door = Door()
    door.says(at(hour=9), "DoorOpenTooLong")
    closed = door.says(at(hour=9, minute=4), "DoorPhysicalState", state="Closed")
    episodes = find_episodes(door.events, PASSES)
    assert reconcile("door", episodes, []) == []
    # Told before the word that it closed had arrived: then it is over.
    (end,) = reconcile("door", episodes, [Told(episodes[0].keys("door")[0])])
    assert isinstance(end, End)
    assert end.at_ms == closed.at_ms


def test_a_held_door_stands_until_it_closes() -> None:
    door = Door()
    door.says(at(hour=9), "DoorPhysicalState", state="Open")
    door.says(at(hour=9, minute=5), "DoorOpenTooLong")
    door.says(at(hour=9, minute=10), "DoorOpenTooLong")
    (standing,) = find_episodes(door.events, PASSES)
    assert (standing.kind, standing.ended_by, len(standing.events)) == (SignalKind.DOOR_HELD, None, 2)
    assert standing.at_ms == at(hour=9, minute=10), "five minutes after the report it is one to look after"
    closed = door.says(at(hour=9, minute=20), "DoorPhysicalState", state="Closed")
    (ended,) = find_episodes(door.events, PASSES)
    assert ended.ended_by == closed


def test_a_device_in_fault_is_trusted_again_from_its_next_word_about_the_door() -> None:
    door = Door()
    door.says(at(hour=9), "DoorTamper")
    door.says(at(hour=10), "DoorPhysicalState", state="Open")
    (episode,) = find_episodes(door.events, PASSES)
    (begin, end) = reconcile("door", [episode], [])
    assert isinstance(begin, Begin)
    assert isinstance(end, End)
    assert end.reason is EndReason.DEVICE_SPEAKS


def test_a_held_button_is_one_call_for_help_and_another_hour_another() -> None:
    door = Door()
    for second in (0, 20, 50):
        door.says(at(hour=9, second=second), "Sos")
    door.says(at(hour=11), "Sos")
    door.says(at(hour=12), "Duress", credential="c-wang")
    assert door.kinds() == [SignalKind.SOS, SignalKind.SOS, SignalKind.DURESS]


def test_what_was_told_is_not_told_again_and_late_events_join_it() -> None:
    door = Door()
    for minute in (10, 12, 14):
        door.refuses(at(hour=9, minute=minute))
    (first,) = reconcile("door", find_episodes(door.events, PASSES), [])
    assert isinstance(first, Begin)
    told = [Told(first.key)]
    assert reconcile("door", find_episodes(door.events, PASSES), told) == []
    door.refuses(at(hour=9, minute=5))
    assert reconcile("door", find_episodes(door.events, PASSES), told) == []


def test_two_strangers_whom_late_events_join_end_as_one() -> None:
    door = Door()
    for minute in (0, 1, 2, 20, 21, 22):
        door.refuses(at(hour=9, minute=minute))
    told = [
        Told(item.key)
        for item in reconcile("door", find_episodes(door.events, PASSES), [])
        if isinstance(item, Begin)
    ]
    assert len(told) == 2
    for minute in (6, 10, 14, 18):
        door.refuses(at(hour=9, minute=minute))
    (merged,) = reconcile("door", find_episodes(door.events, PASSES), told)
    assert isinstance(merged, End)
    assert (merged.key, merged.reason, merged.evidence) == (
        told[1].key,
        EndReason.MERGED,
        {"into": told[0].key},
    )


def _any_events(chance: random.Random) -> list[DeviceEvent]:
    door = Door()
    now = MONDAY_MS
    for _ in range(chance.randint(5, 60)):
        now += chance.choice([5_000, 90_000, 4 * MINUTE_MS, HOUR_MS])
        type_ = chance.choice(
            ["Denied", "Denied", "Denied", "DoorOpenTooLong", "DoorForcedOpen", "DoorPhysicalState", "Sos",
             "DoorTamper", "AccessTaken"]
        )  # fmt: skip
        door.says(
            now,
            type_,
            state=chance.choice(["Open", "Closed"]) if type_ == "DoorPhysicalState" else None,
            credential=chance.choice([None, "x-1", "c-left", "c-plumber", "c-wang"]),
            reason=chance.choice([None, "expired", "schedule"]) if type_ == "Denied" else None,
        )
    return door.events


@pytest.mark.parametrize("seed", range(60))
def test_in_any_order_and_number_each_episode_stands_as_one_fact(seed: int) -> None:
    chance = random.Random(seed)
    events = _any_events(chance)
    episodes = find_episodes(events, PASSES)
    shuffled = events * 2
    chance.shuffle(shuffled)
    assert find_episodes(shuffled, PASSES) == episodes

    told: dict[str, Told] = {}
    arrived: list[DeviceEvent] = []
    while shuffled:
        cut = chance.randint(1, 9)
        arrived += shuffled[:cut]
        shuffled = shuffled[cut:]
        for item in reconcile("door", find_episodes(arrived, PASSES), list(told.values())):
            if isinstance(item, Begin):
                assert item.key not in told
                told[item.key] = Told(item.key)
            else:
                assert not told[item.key].ended
                told[item.key] = Told(item.key, ended=True)
    for episode in episodes:
        mine = [told[key] for key in episode.keys("door") if key in told]
        assert mine or not episode.is_fact, episode
        assert sum(not fact.ended for fact in mine) <= 1
        assert episode.ended_by is None or not mine or mine[0].ended
    assert reconcile("door", episodes, list(told.values())) == []


def test_strangers_are_found_as_a_brute_force_finds_them() -> None:
    for seed in range(60):
        events = _any_events(random.Random(seed))
        unknown = sorted(
            event
            for event in events
            if event.type == "Denied" and event.credential in (None, "x-1") and event.reason is None
        )
        close = {
            event
            for left in unknown
            for event in unknown
            if left.at_ms <= event.at_ms <= left.at_ms + 10 * MINUTE_MS
            and sum(left.at_ms <= other.at_ms <= left.at_ms + 10 * MINUTE_MS for other in unknown) >= 3
        }
        found = [e for e in find_episodes(events, PASSES) if e.kind is SignalKind.STRANGER_DENIALS]
        assert {event for episode in found for event in episode.events} == close
        assert all(left.events[-1] < right.events[0] for left, right in pairwise(found))


# -- dwellings ------------------------------------------------------------------------------------------------


def kinds(dwelling: Dwelling, now_ms: int) -> list[SignalKind]:
    return [item.kind for item in find_mismatches(dwelling, now_ms)]


def test_an_empty_home_that_was_opened_does_not_fit() -> None:
    lived_in = Dwelling("h", "vacant", opened_ms=at(), opened_device="door", opened_days=2)
    assert kinds(lived_in, at(day=1)) == [SignalKind.VACANT_OPENED]
    looked_into = Dwelling("h", "vacant", opened_ms=at(), opened_device="door", opened_days=1)
    assert kinds(looked_into, at(day=1)) == [], "the owner looks in"
    assert kinds(Dwelling("h", "vacant"), at(day=1)) == []
    assert kinds(Dwelling("h", "owner", opened_ms=at(), opened_days=9), at(day=1)) == []


def test_cards_that_live_on_after_the_lease_do_not_fit_once_there_was_time_to_hand_them_in() -> None:
    over = Dwelling("h", "rented", (Lease("l-1", 0, at()),), live_tokens=2)
    assert kinds(over, at(hour=23)) == []
    (found,) = find_mismatches(over, at(day=1))
    assert (found.kind, found.at_ms) == (SignalKind.LEASE_ENDED_CREDENTIAL, at(day=1))
    renewed = Dwelling("h", "rented", (Lease("l-1", 0, at()), Lease("l-2", at())), live_tokens=2)
    assert kinds(renewed, at(day=1)) == []
    assert kinds(Dwelling("h", "rented", (Lease("l-1", 0, at()),)), at(day=1)) == [], (
        "all cards were handed in"
    )
    assert kinds(Dwelling("h", "rented", (), live_tokens=2), at(day=1)) == [], "no lease was ever registered"


def test_more_cards_in_use_than_people_registered_do_not_fit() -> None:
    let = (Lease("l-1", 0, None, occupants=2),)
    assert kinds(Dwelling("h", "rented", let, used_tokens=2), at()) == []
    assert kinds(Dwelling("h", "rented", let, used_tokens=3), at()) == [SignalKind.MORE_CREDENTIALS]
    uncounted = (*let, Lease("l-2", 0, None))
    assert kinds(Dwelling("h", "rented", uncounted, used_tokens=9), at()) == [], "somebody was not counted"


def test_one_fact_stands_per_home_and_kind_and_ends_when_the_books_fit() -> None:
    lived_in = Dwelling("h", "vacant", opened_ms=at(), opened_device="door", opened_days=3)
    found = find_mismatches(lived_in, at(day=1))
    new, over = compare(found, [], {"h": "vacant"})
    assert (len(new), over) == (1, [])
    standing = [Standing(new[0].key, new[0].kind, "h")]
    assert compare(found, standing, {"h": "vacant"}) == ([], [])
    _, over = compare([], standing, {"h": "owner"})
    assert [item.reason for item in over] == [EndReason.REGISTERED]
    _, over = compare([], standing, {"h": "vacant"})
    assert [item.reason for item in over] == [EndReason.CEASED]
