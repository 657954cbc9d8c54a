"""The outbox on a real PostgreSQL and a real receiver: retries, leases, keys, and senders that die."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts import acts
from alerts.channels.console import ConsoleChannel
from alerts.sending.courier import ATTEMPTS_MAX, LEASE, Courier, back_off
from kaimen.clock import ManualClock, SystemClock
from kaimen.database import transaction
from tests.unit.alerts.killed import webhook
from tests.unit.alerts.receiver import Receiver, run_receiver
from tests.unit.alerts.town import HOUR, MORNING, Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture
def wall() -> ManualClock:
    # Real wall time to begin with: senders in other processes write theirs into the same rows.
    return ManualClock(SystemClock().now_ms())


def courier_of(town: Town, receiver: Receiver, wall: ManualClock, name: str = "k1") -> Courier:
    channels = {"console": ConsoleChannel(), "webhook": webhook(receiver.url)}
    return Courier(town.pool, town.clock, channels, name, "https://kaimen.example/", wall=wall)


def send_all(courier: Courier) -> int:
    sent = 0
    while courier.send_one():
        sent += 1
    return sent


def plan_a_call(town: Town, household: str = "h1") -> None:
    town.household(household)
    town.crosses(household, 2)
    town.settle(town.worker(outside_channels=("webhook",)))


def test_each_recipient_gets_one_message_and_the_webhook_its_key(
    town: Town, receiver: Receiver, wall: ManualClock
) -> None:
    plan_a_call(town)
    assert send_all(courier_of(town, receiver, wall)) == 2
    rows = {row["channel"]: row for row in town.rows("SELECT * FROM outbox")}
    assert (rows["console"]["state"], rows["webhook"]["state"]) == ("delivered", "accepted")
    assert receiver.keys() == [rows["webhook"]["idempotency_key"]]
    assert b"h1" not in receiver.received[0][1]
    case = town.row("SELECT id, number FROM cases")
    assert f"https://kaimen.example/cases/{case['id']}".encode() in receiver.received[0][1]


def test_a_claim_confirms_what_the_console_shows(town: Town, receiver: Receiver, wall: ManualClock) -> None:
    plan_a_call(town)
    send_all(courier_of(town, receiver, wall))
    case_id = town.row("SELECT id FROM cases")["id"]
    with transaction(town.pool) as connection:
        acts.claim(connection, case_id=case_id, user_id=town.users["clerk"], now=town.now)
    states = {row["channel"]: row["state"] for row in town.rows("SELECT channel, state FROM outbox")}
    assert states == {"console": "confirmed", "webhook": "accepted"}


def test_a_warning_waits_for_the_list(town: Town, receiver: Receiver, wall: ManualClock) -> None:
    town.household("h1", family=["daughter"])
    town.crosses("h1", 1)
    town.settle()
    courier = courier_of(town, receiver, wall)
    assert send_all(courier) == 0
    town.at(MORNING + 8 * HOUR)
    assert send_all(courier) == 2
    people = {row["person"] for row in town.rows("SELECT person FROM outbox WHERE state = 'delivered'")}
    assert people == {"community:c1/property_clerk", f"user:{town.users['daughter']}"}


def test_a_receiver_in_trouble_gets_the_same_key_again_until_the_ceiling(
    town: Town, receiver: Receiver, wall: ManualClock
) -> None:
    plan_a_call(town)
    receiver.mode = "500"
    courier = courier_of(town, receiver, wall)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        send_all(courier)
        assert len(receiver.received) == attempt
        assert send_all(courier) == 0, "tried again before the back-off was over"
        wall.advance_to(wall.now_ms() + int(back_off(attempt).total_seconds() * 1000))
    assert send_all(courier) == 0
    assert len(set(receiver.keys())) == 1
    row = town.row("SELECT state, attempts FROM outbox WHERE channel = 'webhook'")
    assert row == {"state": "failed_permanent", "attempts": ATTEMPTS_MAX}
    assert len(town.rows("SELECT 1 FROM deliveries WHERE result = 'failed_temporary'")) == ATTEMPTS_MAX


def test_a_refused_message_is_not_tried_again(town: Town, receiver: Receiver, wall: ManualClock) -> None:
    plan_a_call(town)
    receiver.mode = "401"
    send_all(courier_of(town, receiver, wall))
    wall.advance_to(wall.now_ms() + 86_400_000)
    assert send_all(courier_of(town, receiver, wall)) == 0
    assert town.row("SELECT state FROM outbox WHERE channel = 'webhook'")["state"] == "failed_permanent"


def test_an_answer_that_never_came_is_uncertain_and_asked_again_with_the_same_key(
    town: Town, receiver: Receiver, wall: ManualClock
) -> None:
    plan_a_call(town)
    receiver.mode = "reset"
    courier = courier_of(town, receiver, wall)
    send_all(courier)
    assert town.row("SELECT state FROM outbox WHERE channel = 'webhook'")["state"] == "uncertain"
    receiver.mode = "200"
    wall.advance_to(wall.now_ms() + int(back_off(1).total_seconds() * 1000))
    send_all(courier)
    assert town.row("SELECT state FROM outbox WHERE channel = 'webhook'")["state"] == "accepted"
    assert len(receiver.keys()) == 2
    assert len(set(receiver.keys())) == 1


def test_a_retry_of_a_case_closed_meanwhile_goes_to_nobody(
    town: Town, receiver: Receiver, wall: ManualClock
) -> None:
    town.household("h1")
    crossing = town.crosses("h1", 2)
    town.settle(town.worker(outside_channels=("webhook",)))
    receiver.mode = "500"
    courier = courier_of(town, receiver, wall)
    send_all(courier)
    town.withdraws(crossing)
    town.settle()
    wall.advance_to(wall.now_ms() + 86_400_000)
    assert send_all(courier) == 0
    assert town.row("SELECT state FROM outbox WHERE channel = 'webhook'")["state"] == "superseded"


def test_the_third_day_goes_before_everything_that_waits(
    town: Town, receiver: Receiver, wall: ManualClock
) -> None:
    for number in range(5):
        town.household(f"h{number}")
        town.crosses(f"h{number}", 2)
    town.household("v")
    town.crosses("v", 3)
    town.settle(town.worker(outside_channels=("webhook",)))
    courier = courier_of(town, receiver, wall)
    courier.send_one()
    first = town.row(
        "SELECT c.household_id FROM outbox o JOIN cases c ON c.id = o.case_id WHERE o.attempts > 0"
    )
    assert first["household_id"] == "v"


def test_four_senders_share_the_work_and_send_nothing_twice(
    town: Town, receiver: Receiver, wall: ManualClock
) -> None:
    for number in range(20):
        town.household(f"h{number}")
        town.crosses(f"h{number}", 2)
    town.settle(town.worker(outside_channels=("webhook",)))
    couriers = [courier_of(town, receiver, wall, f"k{number}") for number in range(4)]
    threads = [threading.Thread(target=send_all, args=(courier,)) for courier in couriers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(Counter(receiver.keys()).values()) == {1: 20}


@pytest.mark.parametrize("statement", range(1, 14))
def test_a_sender_killed_anywhere_loses_nothing_and_doubles_at_most_once(
    town: Town, receiver: Receiver, wall: ManualClock, statement: int
) -> None:
    plan_a_call(town)
    town.rows("DELETE FROM outbox WHERE channel = 'console'")
    killed = subprocess.run(
        [sys.executable, "-m", "tests.unit.alerts.killed", "courier", town.url,
         str(town.clock.now_ms()), str(statement), receiver.url],
        cwd=ROOT, check=False, timeout=60,
    )  # fmt: skip
    assert killed.returncode in (0, -signal.SIGKILL)
    wall.advance_to(SystemClock().now_ms() + int(LEASE.total_seconds() * 1000) + 1)
    send_all(courier_of(town, receiver, wall))
    assert town.row("SELECT state FROM outbox")["state"] == "accepted"
    assert 1 <= len(receiver.keys()) <= 2
    assert len(set(receiver.keys())) == 1
