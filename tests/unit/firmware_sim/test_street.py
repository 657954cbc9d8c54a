"""A community is played; the messages that leave keep the laws of the wire page whatever goes wrong."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path

import pytest

from firmware_sim import faults
from firmware_sim.community import make_community
from firmware_sim.controller import Memory, signals_of
from firmware_sim.drift import DriftLevel
from firmware_sim.people import Community
from firmware_sim.residents import DAY_MS, acts
from firmware_sim.state import StateError, StateFile, save
from firmware_sim.street import CommandError, Delivery, Snapshot, Street, history
from kaimen import wire

START_MS = 1_761_955_200_000
HOUR_MS = 3_600_000
DAYS = 6
COMMUNITY = make_community(5, 24, 8, "baihe", START_MS)


def _played(
    community: Community, days: float, rates: faults.FaultRates, drift: DriftLevel = DriftLevel.GENTLE
) -> list[Delivery]:
    end_ms = START_MS + int(days * DAY_MS)
    return list(history(community, START_MS, end_ms, rates=rates, drift=drift))


@pytest.fixture(scope="module")
def harsh() -> list[Delivery]:
    return _played(COMMUNITY, DAYS, faults.HARSH, DriftLevel.HARSH)


@pytest.fixture(scope="module")
def calm() -> list[Delivery]:
    return _played(COMMUNITY, DAYS, faults.NONE, DriftLevel.NONE)


def _events(deliveries: list[Delivery]) -> list[tuple[str, wire.Event, int]]:
    found = []
    for received_ms, topic, payload in deliveries:
        address = wire.parse_topic(topic)
        if address.channel == "evt":
            found.append((address.device_id, wire.parse_event(payload), received_ms))
        elif address.channel == "evb":
            for event in wire.parse_batch(payload):
                assert isinstance(event, wire.Event)
                found.append((address.device_id, event, received_ms))
    return found


def test_every_message_is_of_the_protocol(harsh: list[Delivery]) -> None:
    channels = set()
    for _received_ms, topic, payload in harsh:
        address = wire.parse_topic(topic)
        channels.add(address.channel)
        assert address.site_id == "baihe" and address.device_id in COMMUNITY.device_by_id
        if address.channel == "evt":
            assert not wire.parse_event(payload).hist
        elif address.channel == "evb":
            assert all(isinstance(event, wire.Event) and event.hist for event in wire.parse_batch(payload))
        elif address.channel == "hb":
            wire.parse_heartbeat(payload)
        else:
            wire.parse_state(payload)
    assert channels == {"evt", "evb", "hb", "state"}


def test_messages_come_in_order_of_receipt_and_inside_the_span(harsh: list[Delivery]) -> None:
    times = [received_ms for received_ms, _topic, _payload in harsh]
    assert times == sorted(times)
    assert times[0] >= START_MS and times[-1] <= START_MS + DAYS * DAY_MS


def test_the_same_seed_plays_the_same_street(harsh: list[Delivery]) -> None:
    again = make_community(5, 24, 8, "baihe", START_MS)
    assert _played(again, DAYS, faults.HARSH, DriftLevel.HARSH) == harsh
    other = make_community(6, 24, 8, "baihe", START_MS)
    assert _played(other, 1, faults.NONE) != _played(COMMUNITY, 1, faults.NONE)


@pytest.mark.parametrize("street", ["calm", "harsh"])
def test_a_number_is_given_once_and_a_copy_is_equal(street: str, request: pytest.FixtureRequest) -> None:
    contents: dict[tuple[str, str, int], tuple[object, ...]] = {}
    for device_id, event, _received_ms in _events(request.getfixturevalue(street)):
        key = (device_id, event.boot, event.seq)
        assert contents.setdefault(key, event.content()) == event.content()


@pytest.mark.parametrize("street", ["calm", "harsh"])
def test_numbers_counter_and_stopwatch_agree_within_a_boot(
    street: str, request: pytest.FixtureRequest
) -> None:
    by_boot: dict[tuple[str, str], dict[int, wire.Event]] = defaultdict(dict)
    for device_id, event, _received_ms in _events(request.getfixturevalue(street)):
        by_boot[device_id, event.boot][event.seq] = event
    for events in by_boot.values():
        for left, right in itertools.pairwise(events[seq] for seq in sorted(events)):
            assert left.up <= right.up
            if left.opens is None or right.opens is None:
                assert left.opens is None and right.opens is None
                continue
            rise = right.opens - left.opens
            missing = right.seq - left.seq - 1
            assert int(right.is_open_edge) <= rise <= missing + int(right.is_open_edge)


def test_the_counter_never_falls_over_all_boots(harsh: list[Delivery]) -> None:
    by_device: dict[str, list[tuple[int, wire.Event]]] = defaultdict(list)
    order: dict[tuple[str, str], int] = {}
    for received_ms, topic, payload in harsh:
        address = wire.parse_topic(topic)
        if address.channel == "state":
            order.setdefault((address.device_id, wire.parse_state(payload).boot), received_ms)
    for device_id, event, received_ms in _events(harsh):
        by_device[device_id].append((order.get((device_id, event.boot), received_ms), event))
    for told in by_device.values():
        counters = [
            event.opens
            for _first, event in sorted(told, key=lambda item: (item[0], item[1].seq))
            if event.opens is not None
        ]
        assert counters == sorted(counters)


def test_without_faults_every_opening_of_every_door_arrives(calm: list[Delivery]) -> None:
    told: dict[str, int] = defaultdict(int)
    for device_id, event, _received_ms in _events(calm):
        told[device_id] += event.is_open_edge
    for household in COMMUNITY.households:
        swings = sorted(
            (signal.at_ms, signal.state == "Open")
            for act in acts(household, START_MS, START_MS + DAYS * DAY_MS)
            for signal in signals_of(act, household)
            if signal.device_id == household.door_id and signal.type == "DoorPhysicalState"
        )
        # Two people passing a door that stands open are one edge.
        inside, edges = 0, 0
        for _at_ms, opens in swings:
            edges += opens and inside == 0
            inside += 1 if opens else -1
        # The last one may still be on its way.
        assert edges - 1 <= told[household.door_id] <= edges


def test_without_faults_sequence_and_heartbeats_prove_every_hour_watched(calm: list[Delivery]) -> None:
    beats: dict[str, list[wire.Heartbeat]] = defaultdict(list)
    highest: dict[str, int] = defaultdict(int)
    for _received_ms, topic, payload in calm:
        address = wire.parse_topic(topic)
        if address.channel == "hb":
            heartbeat = wire.parse_heartbeat(payload)
            # Alone in its hour or not, a heartbeat never claims events that are not here.
            assert heartbeat.seq_last == highest[address.device_id]
            beats[address.device_id].append(heartbeat)
        elif address.channel == "evt":
            highest[address.device_id] = max(highest[address.device_id], wire.parse_event(payload).seq)
        elif address.channel == "evb":
            told_last = wire.parse_batch(payload)[-1]
            assert isinstance(told_last, wire.Event)
            highest[address.device_id] = told_last.seq
    assert set(beats) == set(COMMUNITY.device_by_id)
    for told in beats.values():
        assert len({heartbeat.boot for heartbeat in told}) == 1
        assert all(right.up - left.up <= HOUR_MS for left, right in itertools.pairwise(told))


def test_what_a_silent_gateway_missed_arrives_afterwards_whole() -> None:
    gateway_id = COMMUNITY.gateway_ids[0]
    calm = Street(COMMUNITY, START_MS, rates=faults.NONE, drift=DriftLevel.NONE)
    cut = Street(COMMUNITY, START_MS, rates=faults.NONE, drift=DriftLevel.NONE)
    end_ms = START_MS + 4 * DAY_MS
    expected = _events(list(calm.run(end_ms)))
    told = list(cut.run(START_MS + DAY_MS))
    cut.unplug_gateway(gateway_id)
    dark = list(cut.run(START_MS + 3 * DAY_MS))
    cut.plug_gateway(gateway_id)
    told_after = list(cut.run(end_ms))
    silent = {item.device_id for item in COMMUNITY.devices if item.gateway_id == gateway_id}
    heard_dark = {
        wire.parse_topic(topic).device_id
        for received_ms, topic, _payload in dark
        if received_ms > START_MS + DAY_MS + 120_000
    }
    assert not heard_dark & silent
    stored = [(device, event) for device, event, _at in _events(told_after) if event.hist]
    assert stored and {device for device, _event in stored} <= silent
    found = _events(told + dark + told_after)
    assert {(d, e.boot, e.seq, e.content()) for d, e, _at in found} == {
        (d, e.boot, e.seq, e.content()) for d, e, _at in expected
    }


def test_an_unplugged_gateway_leaves_its_last_will() -> None:
    street = Street(COMMUNITY, START_MS, rates=faults.NONE)
    list(street.run(START_MS + HOUR_MS))
    street.unplug_gateway(COMMUNITY.gateway_ids[0])
    told = list(street.run(START_MS + 2 * HOUR_MS))
    offline = {
        wire.parse_topic(topic).device_id
        for _at, topic, payload in told
        if topic.endswith("/state") and wire.parse_state(payload).status == "offline"
    }
    assert offline == {COMMUNITY.gateway_ids[0]}


def test_a_power_cut_makes_a_new_boot_and_an_overfull_memory_says_what_is_lost() -> None:
    household = COMMUNITY.watched[0]
    street = Street(COMMUNITY, START_MS, rates=faults.NONE)
    list(street.run(START_MS + DAY_MS))
    boot = street.controllers[COMMUNITY.device_by_id[household.door_id].index].memory.boot
    street.cut_power(household.door_id)
    told = list(street.run(START_MS + 2 * DAY_MS))
    births = [
        wire.parse_state(payload)
        for _at, topic, payload in told
        if topic.endswith(f"/{household.door_id}/state")
    ]
    assert [birth.status for birth in births] == ["online"]
    assert births[0].boot != boot


def test_a_door_kept_shut_stays_shut_until_released() -> None:
    household = COMMUNITY.watched[0]
    street = Street(COMMUNITY, START_MS, rates=faults.NONE)
    list(street.run(START_MS + DAY_MS))
    street.keep_shut(household.household_id)
    dark = list(street.run(START_MS + 5 * DAY_MS))
    topics = {topic for _at, topic, _payload in dark if f"/{household.door_id}/" in topic}
    assert {topic.rsplit("/", 1)[1] for topic in topics} == {"hb"}
    street.open_door(household.household_id)
    opened = _events(list(street.run(START_MS + 5 * DAY_MS + HOUR_MS)))
    assert [e.state for d, e, _at in opened if d == household.door_id] == ["Open", "Closed"]
    assert street.release(household.household_id)["was_shut"]
    assert not street.release(household.household_id)["was_shut"]
    after = _events(list(street.run(START_MS + 9 * DAY_MS)))
    assert any(device == household.door_id for device, _event, _at in after)


def test_keeping_shut_in_the_midst_of_a_passage_leaves_no_door_standing_open() -> None:
    household = COMMUNITY.watched[1]
    device = COMMUNITY.device_by_id[household.door_id].index
    street = Street(COMMUNITY, START_MS, rates=faults.NONE)
    list(street.run(START_MS + HOUR_MS))
    street.open_door(household.household_id)
    list(street.run(street.now_ms + 1))
    assert street.controllers[device].memory.contact_open
    street.keep_shut(household.household_id)
    list(street.run(street.now_ms + 600_000))
    assert not street.controllers[device].memory.contact_open
    assert street.controllers[device].memory.holds == 0


def test_commands_about_nobody_are_refused() -> None:
    street = Street(COMMUNITY, START_MS)
    for act in (street.open_door, street.keep_shut, street.release, street.unplug_gateway, street.cut_power):
        with pytest.raises(CommandError):
            act("nobody")


@pytest.mark.parametrize("cuts_h", [[1], [3, 30, 31, 70]])
def test_a_run_that_was_kept_and_taken_up_again_is_one_piece(cuts_h: list[int], tmp_path: Path) -> None:
    end_ms = START_MS + 4 * DAY_MS
    whole = list(Street(COMMUNITY, START_MS, rates=faults.HARSH, drift=DriftLevel.HARSH).run(end_ms))
    pieces: list[Delivery] = []
    for number, until_ms in enumerate([*(START_MS + cut * HOUR_MS + 777 for cut in cuts_h), end_ms]):
        street = Street(COMMUNITY, START_MS, rates=faults.HARSH, drift=DriftLevel.HARSH)
        if number:
            state = StateFile(tmp_path / "state.sqlite", COMMUNITY)
            assert state.restore_into(street)
            state.close()
        pieces += street.run(until_ms)
        save(street, tmp_path / "state.sqlite")
    assert pieces == whole


def test_the_state_of_another_street_is_refused(tmp_path: Path) -> None:
    save(Street(COMMUNITY, START_MS), tmp_path / "state.sqlite")
    with pytest.raises(StateError):
        StateFile(tmp_path / "state.sqlite", make_community(6, 24, 8, "baihe", START_MS))


def test_a_device_new_to_a_kept_street_is_switched_on() -> None:
    street = Street(COMMUNITY, START_MS, rates=faults.NONE)
    list(street.run(START_MS + HOUR_MS))
    kept: Snapshot = street.snapshot()
    memories: dict[str, Memory] = {
        controller.device.device_id: controller.memory for controller in street.controllers[1:]
    }
    again = Street(COMMUNITY, START_MS, rates=faults.NONE)
    again.restore(kept, memories)
    list(again.run(START_MS + 2 * HOUR_MS))
    assert again.controllers[0].memory.powered


def test_clocks_of_a_gentle_street_never_run_ahead() -> None:
    for device_id, event, received_ms in _events(_played(COMMUNITY, 3, faults.USUAL)):
        assert event.ts <= received_ms, device_id


def test_a_few_hundred_homes_for_a_day_are_played_at_once() -> None:
    community = make_community(9, 400, 50, "big", START_MS)
    count = sum(1 for _ in history(community, START_MS, START_MS + DAY_MS))
    assert count > 15_000
