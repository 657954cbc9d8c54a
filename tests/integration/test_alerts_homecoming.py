"""Somebody came home, or was not home by then: told once, to those who chose it and may be told, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from alerts.channels.console import ConsoleChannel
from alerts.sending.courier import Courier
from alerts.sending.homecoming import HomeNotices
from tests.unit.alerts.killed import webhook
from tests.unit.alerts.receiver import run_receiver
from tests.unit.alerts.town import HOUR, MINUTE, MORNING, Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        town.at(MORNING)
        town.household("h1", family=["daughter"])
        yield town


def wants(town: Town, *, came_home: bool = True, not_home: bool = False) -> None:
    town.rows(
        "INSERT INTO home_notices (household_id, user_id, came_home, not_home, changed_at) VALUES ('h1', %s, %s, %s, %s)",
        town.users["daughter"], came_home, not_home, town.now,
    )  # fmt: skip


def comes_home(town: Town, key: str = "k1") -> None:
    town.rows(
        "INSERT INTO homecomings (key, household_id, at, noticed_at, ground) VALUES (%s, 'h1', %s, %s, '{}')",
        key, town.now, town.now,
    )  # fmt: skip


def notices(town: Town) -> HomeNotices:
    return HomeNotices(town.pool, town.clock)


def test_the_daughter_who_chose_it_is_told_once_with_a_link(town: Town) -> None:
    wants(town)
    comes_home(town)
    assert notices(town).turn() == 1
    assert notices(town).turn() == 0
    message = town.row("SELECT * FROM outbox")
    assert (message["case_id"], message["path"], message["template"]) == (None, "/family", "coming_home")
    assert message["person"] == f"user:{town.users['daughter']}"
    assert message["args"] == {}
    assert "h1" not in message["idempotency_key"]


def test_who_did_not_choose_it_is_not_told(town: Town) -> None:
    wants(town, came_home=False, not_home=True)
    comes_home(town)
    assert notices(town).turn() == 0


@pytest.mark.parametrize(
    "refusal",
    [
        "UPDATE consents SET withdrawn_at = given_at WHERE purpose = 'notify_family'",
        "UPDATE users SET disabled_at = created_at WHERE name = 'daughter'",
        "DELETE FROM user_households",
    ],
)
def test_who_may_not_be_told_any_more_is_not_told_though_she_chose_it(town: Town, refusal: str) -> None:
    wants(town)
    town.rows(refusal)
    comes_home(town)
    assert notices(town).turn() == 0
    assert town.row("SELECT handled_at FROM homecomings")["handled_at"] == town.now


def test_a_homecoming_that_was_heard_of_late_is_kept_and_told_to_nobody(town: Town) -> None:
    wants(town)
    comes_home(town)
    town.at(MORNING + 3 * HOUR)
    assert notices(town).turn() == 0
    assert town.row("SELECT handled_at FROM homecomings")["handled_at"] == town.now


def expected_by_five(town: Town, state: str, reason: str = "direction") -> None:
    wants(town, not_home=True)
    town.rows(
        "INSERT INTO home_expectations (household_id, by_time, set_by, set_at) VALUES ('h1', '17:00', 'her', %s)",
        town.now,
    )
    town.rows(
        "INSERT INTO household_presence (household_id, state, ground, as_of) VALUES ('h1', %s, %s, %s)",
        state, f'{{"reason": "{reason}"}}', town.now,
    )  # fmt: skip
    town.rows("INSERT INTO service_progress (service, at) VALUES ('ingest', %s)", MORNING + 8 * HOUR + MINUTE)


@pytest.mark.parametrize(
    ("state", "reason", "known"),
    [("out", "direction", True), ("unsure", "door_not_known", False), ("unsure", "opened_since", False)],
)
def test_who_is_not_home_by_five_is_a_notice_and_no_case(
    town: Town, state: str, reason: str, known: bool
) -> None:
    expected_by_five(town, state, reason)
    town.at(MORNING + 8 * HOUR - MINUTE)
    assert notices(town).turn() == 0
    town.at(MORNING + 8 * HOUR + MINUTE)
    assert notices(town).turn() == 1
    assert notices(town).turn() == 0
    late = town.row("SELECT * FROM home_late")
    assert (late["by_at"], late["known"], late["reason"]) == (MORNING + 8 * HOUR, known, reason)
    assert town.row("SELECT step FROM outbox")["step"] == "not_home"
    assert not town.rows("SELECT 1 FROM cases")


def test_who_is_home_is_not_missed(town: Town) -> None:
    expected_by_five(town, "in")
    town.at(MORNING + 8 * HOUR + MINUTE)
    assert notices(town).turn() == 0


def test_nobody_is_missed_while_an_absence_is_declared(town: Town) -> None:
    expected_by_five(town, "out", "absence_declared")
    town.at(MORNING + 8 * HOUR + MINUTE)
    assert notices(town).turn() == 0
    assert not town.rows("SELECT 1 FROM home_late")


def test_who_was_told_that_nobody_is_home_is_told_of_the_first_who_comes(town: Town) -> None:
    expected_by_five(town, "out")
    wants_only_the_missing = "UPDATE home_notices SET came_home = false"
    town.rows(wants_only_the_missing)
    comes_home(town, "before anybody was missed")
    town.at(MORNING + 8 * HOUR + MINUTE)
    assert notices(town).turn() == 1
    for minutes, key in ((20, "first"), (40, "second")):
        town.at(MORNING + 8 * HOUR + minutes * MINUTE)
        comes_home(town, key)
        notices(town).turn()
    assert [row["step"] for row in town.rows("SELECT step FROM outbox ORDER BY id")] == [
        "not_home",
        "came_home",
    ]


def test_nobody_is_missed_at_an_hour_the_doors_were_not_looked_at_yet(town: Town) -> None:
    expected_by_five(town, "out")
    town.rows("UPDATE service_progress SET at = %s", MORNING + 7 * HOUR)
    town.at(MORNING + 8 * HOUR + 5 * MINUTE)
    assert notices(town).turn() == 0


def test_a_message_of_no_case_goes_the_way_of_every_message(town: Town) -> None:
    wants(town)
    comes_home(town)
    notices(town).turn()
    with run_receiver() as receiver:
        town.rows("UPDATE outbox SET channel = 'webhook'")
        channels = {"console": ConsoleChannel(), "webhook": webhook(receiver.url)}
        courier = Courier(town.pool, town.clock, channels, "k1", "https://kaimen.example/")
        assert courier.send_one()
        assert not courier.send_one()
        assert b"https://kaimen.example/family" in receiver.received[0][1]
        assert b"h1" not in receiver.received[0][1]
    assert town.row("SELECT state FROM outbox")["state"] == "accepted"
    assert town.row("SELECT count(*) AS n FROM deliveries")["n"] == 1


def test_a_late_look_at_yesterday_tells_nobody(town: Town) -> None:
    expected_by_five(town, "out")
    town.rows("UPDATE service_progress SET at = %s", MORNING + timedelta(days=1))
    town.at(MORNING + timedelta(hours=12))
    assert notices(town).turn() == 0
