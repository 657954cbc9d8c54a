"""In, out or unsure: days at Mrs Wang's door."""

from __future__ import annotations

import random

import pytest

from ingest.presence import (
    Home,
    Reason,
    _last_of_two_openings,
    decide_presence,
    judge_home,
    next_look_ms,
)
from ingest.signs import SIGNS_MAX, HomeSigns, Move, Sign, pack, unpack
from kaimen.policy import DAY_MS
from kaimen.vocabulary import Absence, PresenceState
from tests.unit.ingest.presence_story import Story, at

IN, OUT, UNSURE = PresenceState.IN, PresenceState.OUT, PresenceState.UNSURE


def test_a_home_that_was_never_heard_is_unsure() -> None:
    told = Story().presence(at(day=1))
    assert (told.state, told.reason, told.since_ms) == (UNSURE, Reason.NOTHING_HEARD, None)


def test_she_comes_in_with_her_own_card() -> None:
    story = Story()
    story.card(at(hour=9))
    told = story.presence(at(hour=20))
    assert (told.state, told.reason) == (IN, Reason.OWN_CREDENTIAL)
    assert told.since_ms == at(hour=9) + 1_300
    assert told.ground()["device"] == "door"
    (coming,) = story.homecomings(at(hour=20))
    assert (coming.household_id, coming.sign.at_ms) == ("h-wang", at(hour=9) + 1_300)


def test_she_goes_out_and_is_out_until_she_comes_back() -> None:
    story = Story()
    story.door(at(hour=9), dir="out")
    told = story.presence(at(hour=10))
    assert (told.state, told.reason, told.since_ms) == (OUT, Reason.DIRECTION, at(hour=9))
    story.card(at(hour=11))
    assert story.presence(at(hour=12)).state is IN
    assert len(story.homecomings(at(hour=12))) == 1


def test_the_button_inside_is_somebody_leaving() -> None:
    story = Story()
    story.door(at(hour=9), "Exit", method="exit_button")
    story.door(at(hour=9, second=2))
    assert story.presence(at(hour=10)).state is OUT


def test_of_two_who_live_there_one_leaving_does_not_empty_the_home() -> None:
    story = Story(residents=2)
    story.door(at(hour=9), dir="out")
    told = story.presence(at(hour=10))
    assert (told.state, told.reason) == (UNSURE, Reason.OTHERS_MAY_BE_IN)


def test_silence_alone_is_never_out() -> None:
    story = Story(sensors=frozenset({"sensor"}), sensor_heard_ms=at(day=3))
    story.card(at(hour=9))
    assert story.presence(at(day=3)).state is IN
    story = Story()
    story.door(at(hour=9))
    assert story.presence(at(day=3)).state is UNSURE


def test_the_door_moved_while_she_was_up_and_then_a_sensor_that_was_heard_said_nothing() -> None:
    story = Story(sensors=frozenset({"sensor"}))
    story.inside(at(hour=8, minute=50))
    story.door(at(hour=9))
    assert story.presence(at(hour=12)).state is UNSURE, "the sensor may be dead"
    story.sensor_heard_ms = at(hour=10)
    assert story.presence(at(hour=12)).state is UNSURE, "nobody heard it since long enough after the door"
    story.sensor_heard_ms = at(hour=11)
    assert story.presence(at(hour=10)).state is UNSURE, "not quiet for long enough"
    told = story.presence(at(hour=12))
    assert (told.state, told.reason, told.since_ms) == (OUT, Reason.QUIET_AFTER_DOOR, at(hour=9))
    assert next_look_ms(story.home(), story.homes().signs_of("h-wang"), at(hour=9)) == at(hour=10, minute=30)


def test_an_opening_after_presumed_out_is_somebody_coming_home() -> None:
    story = Story(sensors=frozenset({"sensor"}), sensor_heard_ms=at(hour=14))
    story.inside(at(hour=8, minute=50))
    story.door(at(hour=9))
    story.door(at(hour=13))
    told = story.presence(at(hour=14))
    assert (told.state, told.reason, told.since_ms) == (IN, Reason.OPENING_AFTER_OUT, at(hour=13))
    assert [coming.sign.at_ms for coming in story.homecomings(at(hour=14))] == [at(hour=13)]


def test_activity_inside_after_the_door_is_somebody_at_home() -> None:
    story = Story(sensors=frozenset({"sensor"}))
    story.door(at(hour=9), dir="out")
    story.inside(at(hour=9, minute=1))
    assert story.presence(at(hour=10)).state is OUT, "the sensor saw her leave"
    story.inside(at(hour=9, minute=40), "WaterUse")
    told = story.presence(at(hour=10))
    assert (told.state, told.reason, told.since_ms) == (IN, Reason.ACTIVITY_AFTER, at(hour=9, minute=40))


def test_a_sensor_that_reports_vacant_shows_nobody() -> None:
    story = Story(sensors=frozenset({"sensor"}))
    story.inside(at(hour=9), "Occupancy", state="Vacant")
    assert story.presence(at(hour=10)).state is UNSURE


def test_an_opening_after_she_came_in_makes_it_unsure_where_nothing_tells_the_direction() -> None:
    story = Story()
    story.card(at(hour=9))
    story.door(at(hour=15))
    told = story.presence(at(hour=16))
    assert (told.state, told.reason) == (UNSURE, Reason.OPENED_SINCE)


@pytest.mark.parametrize("token", ["c-guard", "c-guest", "c-son"])
def test_others_who_come_in_say_nothing_of_her(token: str) -> None:
    story = Story()
    story.card(at(hour=9))
    story.card(at(hour=15), token)
    assert (story.presence(at(hour=16)).state, len(story.homecomings(at(hour=16)))) == (IN, 1)
    story.door(at(hour=17), dir="out")
    told = story.presence(at(hour=18))
    assert (told.state, told.reason) == (UNSURE, Reason.GUEST_MAY_HAVE_LEFT)


def test_an_unlock_by_the_office_and_a_forced_door_say_nothing_of_her() -> None:
    story = Story()
    story.card(at(hour=9))
    story.door(at(hour=12), "AccessGranted", method="remote_office")
    story.door(at(hour=12, second=5))
    story.door(at(hour=14, second=4))
    story.door(at(hour=14, second=9), "DoorForcedOpen")
    assert story.presence(at(hour=16)).state is IN


def test_a_grant_that_was_not_used_is_no_coming_home() -> None:
    story = Story()
    story.door(at(hour=9), "AccessGranted", cred="c-wang")
    story.door(at(hour=9, second=7), "AccessNotTaken", cred="c-wang")
    assert story.presence(at(hour=10)).state is UNSURE
    assert not story.homecomings(at(hour=10))


def test_a_controller_that_reports_only_grants_tells_by_the_edge_that_follows() -> None:
    story = Story()
    story.door(at(hour=9), "AccessGranted", cred="c-wang")
    story.door(at(hour=9, second=4))
    assert story.presence(at(hour=10)).reason is Reason.OWN_CREDENTIAL


def test_the_stairwell_and_the_home_are_one_coming_home() -> None:
    story = Story()
    story.stairwell(at(hour=9), cred="c-wang", dir="in")
    story.card(at(hour=9, minute=3))
    assert len(story.homecomings(at(hour=10))) == 1


def test_a_neighbours_card_at_the_stairwell_is_not_hers() -> None:
    story = Story()
    story.stairwell(at(hour=9), cred="c-li", dir="in")
    story.stairwell(at(hour=9), "DoorPhysicalState", state="Open")
    assert story.presence(at(hour=10)).state is UNSURE


def test_a_door_that_is_not_heard_makes_everything_unsure() -> None:
    story = Story()
    story.card(at(hour=9))
    told = story.presence(at(hour=10), known=False)
    assert (told.state, told.reason) == (UNSURE, Reason.DOOR_NOT_KNOWN)


def test_a_declared_absence_is_out_until_something_of_hers_is_heard_inside_it() -> None:
    story = Story(absences=(Absence(at(day=1), at(day=5)),))
    story.card(at(hour=9))
    assert story.presence(at(hour=20)).state is IN
    assert story.presence(at(day=2)).reason is Reason.ABSENCE_DECLARED
    story.card(at(day=3))
    assert story.presence(at(day=3, hour=1)).state is IN
    assert story.presence(at(day=6)).state is IN


def test_what_is_a_week_old_says_nothing_any_more() -> None:
    story = Story()
    story.card(at(hour=9))
    assert story.presence(at(day=6)).state is IN
    assert story.presence(at(day=8)).state is UNSURE


def test_a_late_event_dates_everything_anew() -> None:
    story = Story()
    story.card(at(hour=9))
    before = story.presence(at(hour=12))
    story.door(at(hour=11), dir="out")
    assert before.state is IN
    assert story.presence(at(hour=12)).since_ms == at(hour=11)
    story.card(at(hour=10))
    assert story.presence(at(hour=12)).since_ms == at(hour=11)


@pytest.mark.parametrize("seed", range(40))
def test_order_and_repetition_change_nothing(seed: int) -> None:
    chance = random.Random(seed)
    story = Story(
        residents=chance.choice([1, 1, 2]),
        sensors=frozenset({"sensor"}) if chance.random() < 0.6 else frozenset(),
        absences=(Absence(at(day=2), at(day=3)),) if chance.random() < 0.3 else (),
        sensor_heard_ms=at(day=chance.randint(0, 4)),
    )
    for _ in range(chance.randint(1, 2 * SIGNS_MAX)):
        at_ms = at(minute=chance.randrange(4 * 24 * 60), second=chance.randrange(60))
        act = chance.randrange(6)
        if act == 0:
            story.card(at_ms, chance.choice(["c-wang", "c-wang", "c-son", "c-guard", "c-unlisted"]))
        elif act == 1:
            story.door(at_ms, dir=chance.choice(["in", "out", None]))
        elif act == 2 and story.sensors:
            for minute in range(chance.randint(1, 40)):
                story.inside(at_ms + minute * 60_000)
        elif act == 3:
            story.stairwell(at_ms, cred="c-wang", dir=chance.choice(["in", "out"]))
        elif act == 4:
            story.door(at_ms, chance.choice(["Exit", "DoorForcedOpen", "AccessNotTaken"]))
        else:
            story.door(at_ms)
    shuffled = story.heard * 2
    chance.shuffle(shuffled)
    now_ms = at(day=4) + chance.randrange(DAY_MS)
    expected, found = story.homes().signs_of("h-wang"), story.homes(shuffled).signs_of("h-wang")
    assert found == expected == unpack(pack(expected))
    assert story.presence(now_ms) == Story(
        story.residents, story.sensors, story.absences, shuffled, story.sensor_heard_ms
    ).presence(now_ms)
    if story.presence(now_ms).state is OUT:
        # Never from silence alone: something moved outwards, or somebody said so, or a sensor was heard.
        moves = {sign.move.value for sign in expected.signs}
        assert moves & {"outward", "opened_out"} or story.absences or story.sensors


def test_what_is_seen_without_walking_through_all_signs_is_what_the_walk_finds() -> None:
    chance = random.Random(7)
    moves = [Move.OPENED] * 6 + list(Move)
    short = 0
    for _ in range(600):
        at_ms, signs = at(), []
        for seq in range(chance.randint(1, 6)):
            at_ms += chance.choice([5, 20, 60, 7 * 86_400]) * 1_000
            signs.append(Sign(at_ms, chance.choice(["door", "side"]), "ab", seq, chance.choice(moves)))
        kept, now_ms = HomeSigns(signs), at_ms + chance.choice([-1_000, 0, 1_000, 7 * DAY_MS])
        home, known = Home("h-wang", residents=chance.choice([1, 2])), chance.random() < 0.9
        found, _ = judge_home(home, kept, known=known, now_ms=now_ms)
        assert found == decide_presence(home, kept, known=known, now_ms=now_ms)
        short += _last_of_two_openings(home, kept, now_ms) is not None
    assert short > 20
