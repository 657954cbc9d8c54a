"""A recipient's chain of channels on a real PostgreSQL with real providers on loopback: order, silence, doubt, bounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import time, timedelta

import pytest

from alerts import acts
from alerts.__main__ import make_couriers, note_channels
from alerts.channels import Channel, Lane
from alerts.channels.console import ConsoleChannel
from alerts.metrics import measure
from alerts.sending.addresses import AddressBook
from alerts.sending.courier import Courier
from alerts.sending.digest import Digest
from alerts.sending.mirror import Mirror
from alerts.sending.outbox import apply_receipt, find_by_token, take_receipt
from kaimen.clock import ManualClock, SystemClock
from kaimen.database import transaction
from kaimen.settings import AlertsSettings
from tests.integration.providers import Provider, run_http, run_receiver_centre
from tests.integration.test_channels_conformance import SUBJECTS, with_modes
from tests.unit.alerts.town import DAY, HOUR, MINUTE, MORNING, Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

BY_NAME = {subject.name: subject for subject in SUBJECTS}
BOOK = AddressBook(bytes(range(32)))
PUBLIC = "https://kaimen.example"


@dataclass
class World:
    """A town, its channels with their providers, and a wall clock moved by hand."""

    town: Town
    wall: ManualClock
    channels: dict[str, Channel] = field(default_factory=dict)
    providers: dict[str, Provider] = field(default_factory=dict)

    def address(
        self, who: str, channel: str, address: str, *, position: int = 1, quiet: tuple[time, time] | None = None,
        zone: str = "Asia/Shanghai", digest: bool = False, language: str = "",
    ) -> int:  # fmt: skip
        column = "person_id" if who in self.persons() else "user_id"
        owner: object = who if column == "person_id" else self.town.users[who]
        row = self.town.row(
            f"INSERT INTO contact_channels ({column}, channel, address, address_hash, position, language, zone,"
            " quiet_from, quiet_until, digest, added_at, added_by, confirmed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '2025-01-01', 'self', '2025-01-01') RETURNING id",
            owner, channel, BOOK.seal(channel, address), BOOK.find_hash(channel, address), position, language, zone,
            quiet[0] if quiet else None, quiet[1] if quiet else None, digest,
        )  # fmt: skip
        return int(row["id"])

    def persons(self) -> set[str]:
        return {row["id"] for row in self.town.rows("SELECT id FROM persons")}

    def courier(self, *, lane_max: Lane = Lane.DIGEST, name: str = "k1") -> Courier:
        return Courier(
            self.town.pool, self.town.clock, {"console": ConsoleChannel(), **self.channels}, name, PUBLIC,
            wall=self.wall, lane_max=lane_max, addresses=BOOK,
        )  # fmt: skip

    def send(self, courier: Courier | None = None) -> int:
        courier = courier or self.courier()
        sent = 0
        while courier.send_one():
            sent += 1
        return sent

    def later(self, span: timedelta) -> None:
        self.town.at(self.town.now + span)
        self.wall.advance_to(self.wall.now_ms() + int(span.total_seconds() * 1000))

    def states(self) -> dict[str, str]:
        return {
            row["channel"]: row["state"]
            for row in self.town.rows("SELECT channel, state FROM outbox WHERE address_id IS NOT NULL")
        }

    def settle(self) -> None:
        self.town.settle(self.town.worker())

    def asked(self, channel: str) -> int:
        return len(self.providers[channel].asked)

    def entries(self) -> list[str]:
        return [row["words"] for row in self.town.rows("SELECT words FROM case_entries ORDER BY id")]


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with ExitStack() as stack:
        town = stack.enter_context(build_town(database_url))
        world = World(town, ManualClock(SystemClock().now_ms()))
        for name in ("ntfy", "sms_aliyun", "wecom_bot"):
            subject = BY_NAME[name]
            assert subject.answer is not None
            provider = stack.enter_context(run_http(with_modes(subject.answer)))
            channel = subject.open(provider)
            assert channel is not None
            world.channels[name], world.providers[name] = channel, provider
        with transaction(town.pool) as connection:
            note_channels(connection, world.channels)
        yield world


def daughter_of(world: World, household: str = "h1") -> None:
    world.town.household(household, family=["daughter"])


def two_channels(world: World) -> None:
    daughter_of(world)
    world.address("daughter", "ntfy", "topic-of-the-daughter", position=1)
    world.address("daughter", "sms_aliyun", "13900000001", position=2)


def test_the_second_channel_is_used_when_the_first_is_not_answered_in_time(world: World) -> None:
    two_channels(world)
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    assert (world.asked("ntfy"), world.asked("sms_aliyun")) == (1, 0)
    world.later(4 * MINUTE)
    world.send()
    assert world.asked("sms_aliyun") == 0
    world.later(2 * MINUTE)
    world.send()
    assert world.states() == {"ntfy": "accepted", "sms_aliyun": "accepted"}
    assert world.providers["sms_aliyun"].asked[0].query["PhoneNumbers"] == "13900000001"


def test_accepted_delivered_and_answered_do_not_stop_a_chain_and_confirmed_does(world: World) -> None:
    two_channels(world)
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    first = world.town.row("SELECT id, token FROM outbox WHERE channel = 'ntfy'")
    for state in ("delivered", "answered"):
        with transaction(world.town.pool) as connection:
            apply_receipt(connection, first["id"], state=state, now=world.town.now)
        assert world.states()["sms_aliyun"] == "planned"
    with transaction(world.town.pool) as connection:
        found = find_by_token(connection, first["token"])
        assert found is not None
        apply_receipt(connection, found["id"], state="confirmed", now=world.town.now)
    assert world.states() == {"ntfy": "confirmed", "sms_aliyun": "superseded"}
    world.later(HOUR)
    world.send()
    assert world.asked("sms_aliyun") == 0


def test_a_refusal_brings_the_second_channel_forward(world: World) -> None:
    two_channels(world)
    world.providers["ntfy"].mode = "code:40301"
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    assert world.states() == {"ntfy": "failed_permanent", "sms_aliyun": "accepted"}
    assert "delivery_failed" not in world.entries()


def test_when_every_channel_has_refused_the_desk_is_told_once(world: World) -> None:
    two_channels(world)
    world.providers["ntfy"].mode = "code:40301"
    world.providers["sms_aliyun"].mode = "code:isv.MOBILE_NUMBER_ILLEGAL"
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    assert set(world.states().values()) == {"failed_permanent"}
    assert world.entries().count("delivery_failed") == 1


def test_doubt_without_a_way_to_ask_is_marked_told_and_goes_to_the_next_channel(world: World) -> None:
    two_channels(world)
    world.providers["ntfy"].mode = "reset"
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    assert world.states() == {"ntfy": "uncertain", "sms_aliyun": "accepted"}
    assert world.entries().count("delivery_uncertain") == 1
    world.later(HOUR)
    world.send()
    assert world.asked("ntfy") == 1, "nobody is frightened twice"


def test_doubt_on_the_only_channel_is_sent_again_where_a_life_is_at_stake(world: World) -> None:
    daughter_of(world)
    world.address("daughter", "ntfy", "topic")
    world.providers["ntfy"].mode = "reset"
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    world.providers["ntfy"].mode = "ok"
    world.later(MINUTE)
    world.send()
    assert (world.states(), world.asked("ntfy")) == ({"ntfy": "accepted"}, 2)


def test_a_provider_that_can_be_asked_is_asked_before_a_copy_is_sent(world: World) -> None:
    daughter_of(world)
    world.address("daughter", "sms_aliyun", "13900000001")
    world.town.crosses("h1", 3)
    world.settle()
    provider = world.providers["sms_aliyun"]
    provider.mode = "reset"
    world.send()
    assert world.states() == {"sms_aliyun": "uncertain"}
    # It had been taken all the same.
    provider.known.add(provider.asked[0].query["OutId"])
    provider.mode = "ok"
    world.later(2 * MINUTE)
    world.send()
    assert world.states() == {"sms_aliyun": "delivered"}
    assert [asked.headers["x-acs-action"] for asked in provider.asked] == ["SendSms", "QuerySendDetails"]


def test_a_claim_ends_what_the_family_would_still_be_told(world: World) -> None:
    two_channels(world)
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    with transaction(world.town.pool) as connection:
        case_id = world.town.row("SELECT id FROM cases")["id"]
        acts.claim(connection, case_id=case_id, user_id=world.town.users["clerk"], now=world.town.now)
    assert world.states()["sms_aliyun"] == "superseded"


def test_the_desk_s_next_alarm_leaves_the_family_s_chain_alone(world: World) -> None:
    two_channels(world)
    world.town.rows("UPDATE contact_channels SET position = 9 WHERE channel = 'sms_aliyun'")
    for position in range(2, 9):
        world.address("daughter", "ntfy", f"topic-{position}", position=position)
    world.town.crosses("h1", 2)
    world.settle()
    world.send()
    world.later(31 * MINUTE + 2 * HOUR)
    world.settle()
    world.send()
    assert world.states()["sms_aliyun"] == "accepted"


def test_a_contact_without_an_account_is_told_like_the_others(world: World) -> None:
    world.town.household("h1")
    world.town.rows("INSERT INTO persons (id, relation) VALUES ('p-son', 'family')")
    world.town.rows(
        "INSERT INTO household_contacts (household_id, person_id, role, position) VALUES ('h1', 'p-son', 'family', 1)"
    )
    world.address("p-son", "sms_aliyun", "13900000002")
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    assert world.asked("sms_aliyun") == 0, "without her consent nobody of the family is told"
    world.town.rows(
        "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES ('h1', 'notify_family', 'her', '2025-01-01')"
    )
    world.town.household("h2", family=["daughter"])
    world.town.rows(
        "INSERT INTO household_contacts (household_id, person_id, role, position) VALUES ('h2', 'p-son', 'family', 1)"
    )
    world.town.crosses("h2", 3)
    world.settle()
    world.send()
    assert world.asked("sms_aliyun") == 1
    # He is asked to look; the work is the desk's.
    assert world.town.row("SELECT template FROM outbox WHERE address_id IS NOT NULL") == {
        "template": "case_family"
    }


def test_an_address_taken_back_is_sent_nothing_more(world: World) -> None:
    two_channels(world)
    world.town.crosses("h1", 3)
    world.settle()
    world.town.rows(
        "UPDATE contact_channels SET ended_at = '2025-11-17', ended_by = 'self' WHERE channel = 'ntfy'"
    )
    world.send()
    assert world.asked("ntfy") == 0
    assert world.states() == {"ntfy": "failed_permanent", "sms_aliyun": "accepted"}


def test_quiet_hours_are_the_recipient_s_and_a_visit_breaks_them(world: World) -> None:
    # 09:00 in Shanghai is 20:00 in Toronto, the day before.
    daughter_of(world, "h1")
    daughter_of(world, "h2")
    world.address(
        "daughter", "ntfy", "topic", quiet=(time(19, 30), time(7, 0)), zone="America/Toronto", language="en"
    )
    world.town.crosses("h1", 2)
    world.settle()
    row = world.town.row("SELECT not_before, lane FROM outbox WHERE address_id IS NOT NULL")
    assert row["not_before"] - MORNING == 11 * HOUR
    world.town.crosses("h2", 3)
    world.settle()
    world.send()
    assert [asked.json["message"] for asked in world.providers["ntfy"].asked] == [
        world.providers["ntfy"].asked[0].json["message"]
    ]
    assert "开门" not in world.providers["ntfy"].asked[0].json["message"]


@pytest.mark.parametrize(("crossed_at", "told_after"), [(0, 8), (9, 15.5)])
def test_a_warning_is_told_with_the_lists_of_half_past_eight_and_five(
    world: World, crossed_at: float, told_after: float
) -> None:
    two_channels(world)
    world.town.at(MORNING + crossed_at * HOUR)
    world.town.crosses("h1", 1)
    world.settle()
    row = world.town.row("SELECT not_before, lane FROM outbox WHERE channel = 'ntfy'")
    assert (row["not_before"] - MORNING, row["lane"]) == (
        timedelta(hours=told_after if crossed_at == 0 else 23.5),
        Lane.ROUTINE,
    )


# --- bounds and lanes ---------------------------------------------------------------------------------------------


def test_a_provider_s_bound_is_kept_and_the_life_lane_has_a_part_of_its_own(world: World) -> None:
    town = world.town
    for number in range(40):
        town.rows(
            "INSERT INTO outbox (step, person, channel, idempotency_key, template, args, state, created_at, not_before,"
            " lane, path) VALUES ('warning', 'community:c1', 'wecom_bot', %s, 'case', '{\"number\": \"n\"}', 'planned',"
            " '2025-01-01', '2025-01-01', 1, '/alarms')",
            f"routine-{number}",
        )  # fmt: skip
    world.send()
    assert world.asked("wecom_bot") == 15
    town.household("h1")
    town.crosses("h1", 3)
    world.settle()
    world.send()
    assert world.asked("wecom_bot") == 16, "the third day never waits for a list"
    number = town.row("SELECT number FROM cases")["number"]
    assert number in world.providers["wecom_bot"].asked[-1].json["text"]["content"]
    world.later(61 * timedelta(seconds=1))
    world.send()
    assert world.asked("wecom_bot") == 31


def test_a_person_s_bound_holds_back_without_costing_an_attempt(world: World) -> None:
    daughter_of(world, "h1")
    daughter_of(world, "h2")
    world.address("daughter", "sms_aliyun", "13900000001")
    world.town.crosses("h1", 3)
    world.town.crosses("h2", 3)
    world.settle()
    world.send()
    assert world.asked("sms_aliyun") == 1
    attempts = sorted(
        row["attempts"] for row in world.town.rows("SELECT attempts FROM outbox WHERE channel = 'sms_aliyun'")
    )
    assert attempts == [0, 1]
    world.later(61 * timedelta(seconds=1))
    world.send()
    assert world.asked("sms_aliyun") == 2


def test_a_throttled_provider_is_left_alone_until_it_takes_messages_again(world: World) -> None:
    world.town.household("h1")
    world.town.crosses("h1", 3)
    world.settle()
    world.providers["wecom_bot"].mode = "code:45009"
    world.send()
    world.town.household("h2")
    world.town.crosses("h2", 3)
    world.settle()
    world.later(30 * timedelta(seconds=1))
    world.send()
    assert world.asked("wecom_bot") == 1
    world.providers["wecom_bot"].mode = "ok"
    world.later(31 * timedelta(seconds=1))
    world.send()
    assert world.asked("wecom_bot") == 3


def test_a_courier_of_the_life_lane_takes_nothing_else(world: World) -> None:
    two_channels(world)
    world.town.crosses("h1", 1)
    world.settle()
    world.later(DAY)
    assert world.send(world.courier(lane_max=Lane.LIFE)) == 0
    assert world.send() > 0


def test_every_channel_that_goes_outside_has_a_courier_for_life_alone(world: World) -> None:
    channels: dict[str, Channel] = {"console": ConsoleChannel(), **world.channels}
    couriers = make_couriers(AlertsSettings(), world.town.pool, world.town.clock, channels, BOOK)
    lanes = {(next(iter(courier.channels)), courier.lane_max) for courier in couriers}
    assert lanes == {("console", Lane.DIGEST)} | {
        (name, lane) for name in world.channels for lane in (Lane.DIGEST, Lane.LIFE)
    }


# --- receipts, digests, mirrors ------------------------------------------------------------------------------------


def test_receipts_come_in_any_order_and_never_lead_back(world: World) -> None:
    two_channels(world)
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    world.later(6 * MINUTE)
    world.send()
    key = world.town.row("SELECT idempotency_key FROM outbox WHERE channel = 'sms_aliyun'")["idempotency_key"]

    def receive(state: str, *, key: str = key, provider_id: str = "") -> bool:
        with transaction(world.town.pool) as connection:
            return take_receipt(
                connection,
                channel="sms_aliyun",
                key=key,
                provider_id=provider_id,
                state=state,
                now=world.town.now,
            )  # type: ignore[arg-type]

    assert receive("confirmed")
    assert receive("delivered")
    assert receive("failed", key="", provider_id="b1")
    assert receive("failed", key="msg_of_somebody_else") is False
    assert world.states()["sms_aliyun"] == "confirmed"
    assert len(world.town.rows("SELECT 1 FROM receipts")) == 3


def test_a_failure_told_afterwards_brings_the_next_channel_forward(world: World) -> None:
    daughter_of(world)
    world.address("daughter", "sms_aliyun", "13900000001", position=1)
    world.address("daughter", "ntfy", "topic", position=2)
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    with transaction(world.town.pool) as connection:
        take_receipt(
            connection, channel="sms_aliyun", key="", provider_id="b1", state="failed", now=world.town.now
        )
    world.send()
    assert world.states() == {"sms_aliyun": "failed_permanent", "ntfy": "accepted"}


def test_the_daily_word_is_sent_once_in_her_evening_and_only_where_all_is_well(world: World) -> None:
    daughter_of(world)
    world.address("daughter", "ntfy", "topic", digest=True, zone="Europe/London")
    world.town.rows(
        "INSERT INTO household_states (household_id, as_of, known, stage, check_step, evidence_at, evidence, base_ms,"
        " anchor_at, settled_ms) VALUES ('h1', now(), true, 0, 0, now(), '{}', 0, now(), 0)"
    )
    digest = Digest(world.town.pool, world.town.clock, tuple(world.channels))
    assert digest.plan() == 0, "it is one in the night in London"
    world.later(17 * HOUR + MINUTE)
    assert digest.plan() == 1
    assert digest.plan() == 0
    world.send()
    assert world.asked("ntfy") == 1
    world.later(DAY)
    world.town.rows("UPDATE household_states SET known = false")
    assert digest.plan() == 0, "of what is not known nothing is said"


def test_a_receiving_centre_is_told_once_that_activity_resumed(world: World) -> None:
    subject = BY_NAME["sia_dc09"]
    with run_receiver_centre() as provider:
        channel = subject.open(provider)
        assert channel is not None
        world.channels = {"sia_dc09": channel}
        with transaction(world.town.pool) as connection:
            note_channels(connection, world.channels)
        world.town.household("h1")
        crossing = world.town.crosses("h1", 2)
        world.settle()
        world.send()
        world.town.withdraws(crossing)
        world.settle()
        mirror = Mirror(world.town.pool, world.town.clock, world.channels, PUBLIC, wall=world.wall)
        assert (mirror.end(), mirror.end()) == (1, 0)
        world.send()
        assert [b"|NNA0" in frame for frame in provider.asked] == [True, False]
        assert b"|NNS0" in provider.asked[1]


def test_the_channels_are_measured(world: World) -> None:
    from prometheus_client import REGISTRY

    two_channels(world)
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    with transaction(world.town.pool) as connection:
        measure(connection, now=world.town.now, done_up_to=None)
    value = REGISTRY.get_sample_value("kaimen_alerts_channel_ok_timestamp_seconds", {"channel": "ntfy"})
    assert value is not None and value > 0


def test_an_address_in_the_database_cannot_be_read_without_the_key(world: World) -> None:
    two_channels(world)
    stored = world.town.rows("SELECT address FROM contact_channels")
    assert all(
        b"topic" not in bytes(row["address"]) and b"139" not in bytes(row["address"]) for row in stored
    )


def test_an_address_whose_code_never_came_back_is_not_used_and_an_imported_one_is(world: World) -> None:
    two_channels(world)
    world.town.rows("UPDATE contact_channels SET confirmed_at = NULL")
    world.town.rows("UPDATE contact_channels SET added_by = 'import' WHERE channel = 'sms_aliyun'")
    world.town.crosses("h1", 3)
    world.settle()
    world.send()
    assert world.states() == {"sms_aliyun": "accepted"}
