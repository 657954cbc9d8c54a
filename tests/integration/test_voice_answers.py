"""What a pressed key does to the rows, and when a number may be rung: a real database, no telephone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from alerts.channels.voice_call import VoiceChannel
from alerts.sending.courier import Courier
from alerts.voice import people, store
from alerts.voice.answers import Effect, take_digit
from alerts.voice.conversation import Course
from alerts.voice.pacing import ATTEMPTS_MAX, RETRIES_AFTER
from kaimen.database import transaction
from tests.unit.alerts.town import DAY, HOUR, MINUTE, Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

WALL = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


def person(
    town: Town, name: str, *, household: str | None, relation: str, phone: str, agreed: bool = True
) -> str:
    town.rows(
        "INSERT INTO persons (id, household_id, relation) VALUES (%s, %s, %s)", name, household, relation
    )
    town.rows("INSERT INTO person_identities VALUES (%s, 'Somebody', %s)", name, phone)
    if agreed:
        with transaction(town.pool) as connection:
            people.agree(
                connection, person_id=name, agreed_by="the grid worker", shown_number="8001", now=town.now
            )
    return name


def elder_and_family(town: Town, *, agreed: bool = True) -> None:
    town.household("h1", family=["daughter"], helpers=["neighbour_watcher"])
    person(town, "her", household="h1", relation="resident", phone="13800138000", agreed=agreed)
    person(town, "son", household=None, relation="family", phone="13800138001")
    town.rows("INSERT INTO household_contacts VALUES ('h1', 'son', 'family', 1, 'son')")


def crossed(town: Town, stage: int = 2) -> None:
    town.crosses("h1", stage)
    town.settle(town.worker(outside_channels=("voice",)))
    send(town)


def send(town: Town) -> None:
    channel = VoiceChannel(town.url, is_real=False)
    courier = Courier(town.pool, town.clock, {"voice": channel}, "k1", "https://kaimen.example")
    while courier.send_one():
        pass
    town.rows("UPDATE calls SET due_at = %s, created_at = %s WHERE attempts = 0", WALL, WALL)


def lease(town: Town, wall: datetime = WALL) -> store.Work | None:
    return store.lease(town.pool, owner="d1", gateway="sip", now=town.now, wall=wall)


def ends(town: Town, work: store.Work, result: str, wall: datetime) -> None:
    store.finish(town.pool, work, Course(result), provider_id=None, now=town.now, wall=wall)


def press(town: Town, key: str, digit: str, attempt: int | None = None) -> Effect:
    with transaction(town.pool) as connection:
        return take_digit(connection, key=key, digit=digit, attempt=attempt, now=town.now, wall=WALL)


def key_of(town: Town, who: str) -> str:
    return str(
        town.row("SELECT idempotency_key FROM outbox WHERE channel = 'voice' AND person = %s", who)[
            "idempotency_key"
        ]
    )


def test_by_default_a_person_phones_and_no_machine_does(town: Town) -> None:
    elder_and_family(town, agreed=False)
    crossed(town)
    assert not town.rows("SELECT 1 FROM outbox WHERE channel = 'voice'")
    assert town.row("SELECT kind FROM tasks WHERE state = 'open'")["kind"] == "call"


def test_who_agreed_is_rung_first_and_her_family_when_she_had_time(town: Town) -> None:
    elder_and_family(town)
    crossed(town)
    rows = town.rows(
        "SELECT person, not_before - created_at AS after FROM outbox WHERE channel = 'voice' ORDER BY id"
    )
    assert [(row["person"], row["after"]) for row in rows] == [
        ("person:her", timedelta(0)), ("person:son", timedelta(minutes=45)),
    ]  # fmt: skip
    with transaction(town.pool) as connection:
        people.withdraw(connection, person_id="her")
    assert lease(town) is None
    assert {row["state"] for row in town.rows("SELECT state FROM calls")} == {"superseded"}


@pytest.mark.parametrize("why", ["hard_of_hearing", "no_phone", "no_consent"])
def test_whom_a_call_cannot_help_is_not_rung(town: Town, why: str) -> None:
    elder_and_family(town)
    if why == "hard_of_hearing":
        town.rows("UPDATE persons SET hard_of_hearing = true WHERE id = 'her'")
    elif why == "no_phone":
        with transaction(town.pool) as connection:
            people.set_has_phone(connection, person_id="her", has_phone=False)
    else:
        town.rows("UPDATE consents SET withdrawn_at = now() WHERE purpose = 'notify_family'")
    crossed(town)
    # Where a telephone cannot reach her, the neighbour is asked at once, and nobody loses time with a call.
    task = town.row("SELECT kind, role FROM tasks")
    assert task == (
        {"kind": "call", "role": "property_clerk"}
        if why == "no_consent"
        else {"kind": "visit", "role": "neighbour_watcher"}
    )
    rung = {row["person"] for row in town.rows("SELECT person FROM outbox WHERE channel = 'voice'")}
    assert rung == ({"person:her"} if why == "no_consent" else set())


def test_well_is_bounded_and_help_is_not(town: Town) -> None:
    elder_and_family(town)
    crossed(town)
    assert press(town, key_of(town, "person:her"), "1") is Effect.WELL
    assert press(town, key_of(town, "person:her"), "1") is Effect.WELL, (
        "the same key again is the same answer"
    )
    assert len(town.rows("SELECT 1 FROM verified_contacts")) == 1
    # Twice in succession, and then somebody has to speak with her.
    town.rows("UPDATE verified_contacts SET succession = 2")
    town.rows("UPDATE calls SET state = 'planned', meaning = NULL")
    assert press(town, key_of(town, "person:her"), "1") is Effect.WELL_NOT_COUNTED
    assert len(town.rows("SELECT 1 FROM verified_contacts")) == 1
    assert press(town, key_of(town, "person:her"), "2") is Effect.HELP
    assert press(town, key_of(town, "person:her"), "2") is Effect.HELP
    assert len(town.rows("SELECT 1 FROM signals WHERE kind = 'sos'")) == 1


def test_help_opens_a_case_of_its_own_at_once(town: Town) -> None:
    elder_and_family(town)
    crossed(town)
    press(town, key_of(town, "person:her"), "2")
    town.settle()
    case = town.row("SELECT cause, state, next_action_at FROM cases WHERE cause = 'sos'")
    assert case["state"] != "closed"
    assert town.rows("SELECT 1 FROM outbox o JOIN cases c ON c.id = o.case_id WHERE c.cause = 'sos'")
    words = [row["words"] for row in town.rows("SELECT words FROM case_entries WHERE words LIKE 'phone_%%'")]
    assert words == ["phone_help"]


def test_a_changed_number_counts_after_two_people_a_notice_and_three_days(town: Town) -> None:
    elder_and_family(town)
    town.rows("UPDATE person_identities SET phone = '13900139000' WHERE person_id = 'her'")
    crossed(town)
    key = key_of(town, "person:her")
    assert press(town, key, "1") is Effect.NUMBER_NOT_TRUSTED
    assert not town.rows("SELECT 1 FROM verified_contacts")
    clerk, second = town.users["clerk"], town.users["second"]
    with transaction(town.pool) as connection:
        (change,) = people.load_changes(connection)
        assert change.old_phone == "13800138000"
        with pytest.raises(people.PhoneRefusedError):
            people.confirm_number(connection, change_id=change.id, user_id=second, now=town.now)
        people.told_old_number(connection, change_id=change.id, user_id=clerk, how="phoned", now=town.now)
        with pytest.raises(people.PhoneRefusedError):
            people.confirm_number(connection, change_id=change.id, user_id=clerk, now=town.now)
        counts_from = people.confirm_number(connection, change_id=change.id, user_id=second, now=town.now)
    assert counts_from == town.now + 3 * DAY
    assert town.row("SELECT old_phone FROM phone_changes")["old_phone"] is None
    for at, effect in ((counts_from - MINUTE, Effect.NUMBER_NOT_TRUSTED), (counts_from, Effect.WELL)):
        town.at(at)
        town.rows("UPDATE calls SET state = 'planned', meaning = NULL")
        assert press(town, key, "1") is effect


def test_a_number_changed_twice_still_tells_the_one_she_had_first(town: Town) -> None:
    elder_and_family(town)
    for phone in ("13900139000", "13700137000"):
        town.rows("UPDATE person_identities SET phone = %s WHERE person_id = 'her'", phone)
    change = town.row("SELECT old_phone, new_phone FROM phone_changes WHERE NOT settled")
    assert change == {"old_phone": "13800138000", "new_phone": "13700137000"}


def test_the_family_takes_care_or_the_next_one_is_rung_at_once(town: Town) -> None:
    elder_and_family(town)
    person(town, "niece", household=None, relation="family", phone="13800138002")
    town.rows("INSERT INTO household_contacts VALUES ('h1', 'niece', 'family', 2, 'niece')")
    crossed(town)
    town.at(town.now + 46 * MINUTE)
    send(town)
    assert press(town, key_of(town, "person:son"), "2") is Effect.CANNOT
    niece = town.row(
        "SELECT not_before, state FROM outbox WHERE person = 'person:niece' AND channel = 'voice'"
    )
    assert niece["not_before"] == town.now
    send(town)
    assert press(town, key_of(town, "person:niece"), "1") is Effect.TAKES_CARE
    assert not town.rows("SELECT 1 FROM verified_contacts"), (
        "that somebody takes care is no evidence that she is well"
    )
    assert town.row("SELECT state FROM cases")["state"] != "closed"


def test_staff_accept_takes_the_case_and_stops_the_other_calls(town: Town) -> None:
    elder_and_family(town)
    with transaction(town.pool) as connection:
        for position, name in enumerate(("clerk", "second"), start=1):
            people.set_staff_phone(connection, user_name=name, phone=f"800{position}", position=position)
        with pytest.raises(people.PhoneRefusedError):
            people.set_staff_phone(connection, user_name="daughter", phone="8009")
    crossed(town, 3)
    town.at(town.now + HOUR)
    send(town)
    clerk, second = (f"user:{town.users[name]}" for name in ("clerk", "second"))
    assert press(town, key_of(town, clerk), "2") is Effect.WRONG_KEY
    assert press(town, key_of(town, clerk), "1") is Effect.ACCEPTED
    assert town.row("SELECT holder_id FROM cases")["holder_id"] == town.users["clerk"]
    assert press(town, key_of(town, second), "1") is Effect.TAKEN
    assert lease(town) is None, "nobody is rung for a case that somebody has"


def test_nobody_is_reached_after_all_tries_and_each_keeps_to_the_providers_window(town: Town) -> None:
    elder_and_family(town)
    crossed(town)
    wall = WALL
    for attempt in range(1, ATTEMPTS_MAX + 1):
        work = lease(town, wall)
        assert work is not None and work.attempt == attempt
        assert lease(town, wall) is None, "a leased call is rung once"
        wall += timedelta(seconds=30)
        ends(town, work, "no_key" if attempt % 2 else "busy", wall)
        if attempt < ATTEMPTS_MAX:
            assert lease(town, wall + RETRIES_AFTER[attempt - 1] - timedelta(seconds=1)) is None
            wall += RETRIES_AFTER[attempt - 1]
    assert lease(town, wall + DAY) is None
    assert town.row("SELECT state FROM calls")["state"] == "unreached"
    her = town.row("SELECT state FROM outbox WHERE person = 'person:her' AND channel = 'voice'")
    assert her["state"] == "failed_permanent"
    son = town.row("SELECT not_before FROM outbox WHERE person = 'person:son' AND channel = 'voice'")
    assert son["not_before"] == town.now, "who is next need not wait"
    assert town.row("SELECT count(*) AS n FROM case_entries WHERE words = 'phone_unreached'")["n"] == 1
    assert not town.rows("SELECT 1 FROM verified_contacts")


def test_two_people_with_one_number_are_not_rung_at_the_same_time(town: Town) -> None:
    elder_and_family(town)
    town.household("h2")
    person(town, "other", household="h2", relation="resident", phone="138 0013 8000")
    town.crosses("h2", 2)
    crossed(town)
    assert lease(town) is not None
    assert lease(town) is None
    assert lease(town, WALL + timedelta(seconds=61)) is not None


def test_a_dialler_that_dies_leaves_a_call_that_is_taken_up_again(town: Town) -> None:
    elder_and_family(town)
    crossed(town)
    assert lease(town) is not None
    again = lease(town, WALL + store.LEASE + timedelta(seconds=1))
    assert again is not None and again.attempt == 2
    results = [row["result"] for row in town.rows("SELECT result FROM call_attempts ORDER BY attempt")]
    assert results == ["uncertain", "placed"]


def test_a_code_is_outstanding_only_while_its_case_is(town: Town) -> None:
    elder_and_family(town)
    crossed(town)
    code = town.row("SELECT code FROM calls")["code"]
    with transaction(town.pool) as connection:
        found = store.find_by_code(connection, code, WALL)
        assert found is not None and found["person"] == "person:her"
        assert store.find_by_code(connection, code, WALL + store.CODE_VALID) is None
        assert store.find_by_code(connection, "x", WALL) is None
    town.rows("UPDATE cases SET state = 'closed', outcome = 'well', closed_at = now()")
    with transaction(town.pool) as connection:
        assert store.find_by_code(connection, code, WALL) is None
