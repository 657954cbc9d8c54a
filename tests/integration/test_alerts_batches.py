"""Messages taken and recorded a hundred at a time: the pressing ones first, bounds as before, and only what is still ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from alerts.channels import Channel, DeliveryError, Limit, Message, Receipt, Traits, traits_of
from alerts.channels.console import ConsoleChannel
from alerts.sending.courier import Courier
from kaimen.clock import ManualClock, SystemClock
from tests.kills.crowd import settle_many
from tests.unit.alerts.town import Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


@dataclass
class Desk:
    """A channel that takes batches and may be told what to refuse; it notes the order in which it was asked."""

    name: str = "console"
    is_real: bool = False
    traits: Traits = field(default_factory=lambda: Traits(takes_at_most_s=0, batch_max=100))
    refused: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def deliver(self, message: Message) -> Receipt:
        self.asked.append(message.number)
        if message.number in self.refused:
            raise DeliveryError("no", permanent=True)
        return Receipt("delivered")


def courier(town: Town, channel: Channel, name: str = "k", wall: ManualClock | None = None) -> Courier:
    wall = wall or ManualClock(SystemClock().now_ms())
    return Courier(town.pool, town.clock, {channel.name: channel}, name, "http://127.0.0.1", wall=wall)


def plan(town: Town, many: int) -> None:
    settle_many(town, many)
    town.settle(town.worker(claim_max=500))


def test_a_list_is_sent_a_hundred_at_a_time_the_life_lane_first(town: Town) -> None:
    plan(town, 120)
    town.rows("UPDATE outbox SET lane = 1 WHERE id <= (SELECT min(id) + 9 FROM outbox)")
    last = [
        row["number"]
        for row in town.rows(
            "SELECT c.number FROM outbox o JOIN cases c ON c.id = o.case_id WHERE o.lane = 1"
        )
    ]
    desk = Desk()
    sender = courier(town, desk)
    assert [sender.send_some() for _ in range(3)] == [100, 20, 0]
    assert set(desk.asked[-10:]) == set(last)
    assert (
        town.row("SELECT count(*) AS n FROM deliveries WHERE result = 'delivered' AND attempt = 1")["n"]
        == 120
    )
    assert {row["state"] for row in town.rows("SELECT state FROM outbox")} == {"delivered"}


def test_each_of_a_batch_ends_in_its_own_way_and_a_failure_stays_visible(town: Town) -> None:
    plan(town, 5)
    numbers = [row["number"] for row in town.rows("SELECT number FROM cases ORDER BY id")]
    assert courier(town, Desk(refused=frozenset({numbers[1], numbers[4]}))).send_some() == 5
    states = town.rows(
        "SELECT c.number, o.state FROM outbox o JOIN cases c ON c.id = o.case_id ORDER BY o.id"
    )
    assert [row["state"] for row in states] == [
        "delivered", "failed_permanent", "delivered", "delivered", "failed_permanent",
    ]  # fmt: skip
    told = town.rows("SELECT case_id FROM case_entries WHERE words = 'delivery_failed'")
    assert len(told) == 2
    state = town.row("SELECT failures_in_row, last_refusal FROM channel_states WHERE channel = 'console'")
    assert state == {"failures_in_row": 1, "last_refusal": "no"}


def test_what_another_took_over_meanwhile_is_not_recorded_over(town: Town) -> None:
    plan(town, 3)
    first = town.rows("SELECT id FROM outbox ORDER BY id")[0]["id"]

    class Slow(Desk):
        def deliver(self, message: Message) -> Receipt:
            # Its lease has run out, somebody else has it.
            town.rows(
                "UPDATE outbox SET fence = fence + 1, lease_owner = 'other' WHERE id = %s AND fence = 1",
                first,
            )
            return super().deliver(message)

    assert courier(town, Slow()).send_some() == 3
    rows = town.rows("SELECT id, state, lease_owner FROM outbox ORDER BY id")
    assert [(row["state"], row["lease_owner"]) for row in rows] == [
        ("leased", "other"), ("delivered", None), ("delivered", None),
    ]  # fmt: skip


def test_a_provider_with_a_bound_is_sent_one_by_one(town: Town) -> None:
    plan(town, 6)
    desk = Desk()
    desk.traits = replace(desk.traits, limits=(Limit(4, 60),))
    sender = courier(town, desk)
    assert [sender.send_some() for _ in range(5)] == [1, 1, 1, 1, 0]


def test_only_what_stays_in_the_house_goes_in_batches() -> None:
    assert traits_of(ConsoleChannel()).batch_max == 500
    assert Traits().batch_max == 1


def test_several_couriers_share_a_list_and_none_sends_what_another_has(town: Town) -> None:
    plan(town, 30)
    desks = [Desk(traits=Traits(takes_at_most_s=0, batch_max=7)) for _ in range(3)]
    senders = [courier(town, desk, f"k{number}") for number, desk in enumerate(desks)]
    while sum(sender.send_some() for sender in senders):
        pass
    asked = [number for desk in desks for number in desk.asked]
    assert len(asked) == len(set(asked)) == 30
    assert all(desk.asked for desk in desks)
