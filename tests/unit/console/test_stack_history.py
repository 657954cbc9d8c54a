"""The demo's past and its street: thinned without losing a proof, translated as a bridge would say it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from console.stack.folder import StackFolder
from console.stack.history import as_foreign, play, read_frames, thinned, write_frames
from console.stack.prepare import write_edge_devices
from console.stack.registers import foreign_homes
from console.stack.story import StreetChoice, choose_street, latest_morning, look_at, look_at_homes
from console.stack.street import BridgePublisher
from edge.device_table import parse_table
from edge.dialects import decode
from firmware_sim.community import make_community
from firmware_sim.people import Community
from firmware_sim.publish import ListPublisher
from firmware_sim.residents import DAY_MS, HOUR_MS
from firmware_sim.state import kept_start_ms
from firmware_sim.street import Delivery, Outgoing, Street

NOW_MS = 1_790_000_000_000
START_MS = NOW_MS - 3 * DAY_MS
SUPERVISION_MS = 3 * HOUR_MS


@pytest.fixture(scope="module")
def community() -> Community:
    return make_community(5, 60, 20, "baihe", START_MS, heartbeat_s=3600)


@pytest.fixture(scope="module")
def whole(community: Community) -> Sequence[Delivery]:
    return list(Street(community, START_MS).run(NOW_MS))


def heard_by_device(deliveries: Sequence[Delivery]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for at_ms, topic, _payload in deliveries:
        found.setdefault(topic.split("/")[5], []).append(at_ms)
    return found


def silences(deliveries: Sequence[Delivery]) -> dict[str, int]:
    """How often each device was silent for longer than its supervision time."""
    return {
        device: sum(later - earlier > SUPERVISION_MS for earlier, later in pairwise(at))
        for device, at in heard_by_device(deliveries).items()
    }


def test_thinning_leaves_out_heartbeats_alone_and_keeps_the_order(whole: Sequence[Delivery]) -> None:
    kept = list(thinned(whole, all_from_ms=NOW_MS))
    assert [item for item in whole if not item[1].endswith("/hb")] == [
        item for item in kept if not item[1].endswith("/hb")
    ]
    assert [item[0] for item in kept] == sorted(item[0] for item in kept)
    assert len(kept) < 0.85 * len(whole)


def test_thinning_makes_no_device_look_silent_that_was_not(whole: Sequence[Delivery]) -> None:
    assert silences(list(thinned(whole, all_from_ms=NOW_MS))) == silences(whole)


def test_the_last_hours_are_not_thinned(whole: Sequence[Delivery]) -> None:
    from_ms = NOW_MS - 4 * HOUR_MS
    kept = list(thinned(whole, all_from_ms=from_ms))
    assert [item for item in kept if item[0] >= from_ms] == [item for item in whole if item[0] >= from_ms]


def test_frames_come_back_as_they_were(whole: Sequence[Delivery]) -> None:
    stream = io.BytesIO()
    write_frames(stream, whole)
    stream.seek(0)
    assert list(read_frames(stream)) == list(whole)


def test_a_history_that_was_cut_off_is_never_taken_for_a_whole_one(whole: Sequence[Delivery]) -> None:
    stream = io.BytesIO()
    write_frames(stream, whole[:5_000])
    for length in (stream.tell() - 4, stream.tell() // 2, 0):
        with pytest.raises(EOFError):
            list(read_frames(io.BytesIO(stream.getvalue()[:length])))


def test_the_edge_is_told_how_long_a_door_of_another_maker_may_be_silent(
    community: Community, tmp_path: Path
) -> None:
    folder = StackFolder(tmp_path)
    write_edge_devices(folder, community)
    entries = parse_table(folder.edge_devices.read_bytes()).by_source.values()
    assert {entry.supervision_s for entry in entries} == {SUPERVISION_MS // 1000}


def test_doors_of_another_maker_have_no_counter_and_check_in(
    community: Community, whole: Sequence[Delivery]
) -> None:
    doors = frozenset(home.door_id for home in foreign_homes(community))
    assert doors
    for _at_ms, topic, payload in as_foreign(whole, doors):
        value = msgspec.json.decode(payload)
        device, channel = topic.split("/")[5:7]
        if device in doors:
            items = value if isinstance(value, list) else [value]
            assert all(item["opens"] is None for item in items)
            assert channel != "hb" or value["basis"] == "check_in"


def test_the_past_ends_with_devices_that_can_go_on(community: Community, tmp_path: Path) -> None:
    path = tmp_path / "devices.sqlite"
    assert sum(1 for _ in play(community, NOW_MS, path)) > 1_000
    assert kept_start_ms(path) == START_MS


def outgoing(topic: str, payload: object, channel: str, ticket: int = 0) -> Outgoing:
    return Outgoing(NOW_MS, "baihe-g001", channel, topic, json.dumps(payload).encode(), ticket)


def said(messages: Sequence[Outgoing]) -> list[Outgoing]:
    inner = ListPublisher()
    BridgePublisher(inner, {"baihe-d0007": "1-1-301"}, lambda: None).send(messages)
    return inner.sent


def test_a_bridge_says_contact_false_for_an_open_door_and_repeats_it() -> None:
    topic = "kaimen/v1/a/b/baihe/baihe-d0007/"
    event = {"type": "DoorPhysicalState", "state": "Open"}
    sent = said(
        [
            outgoing(topic + "hb", {}, "hb"),
            outgoing(topic + "evt", event, "evt", 7),
            outgoing(topic + "hb", {}, "hb"),
            outgoing(topic + "evb", [event, {"type": "DoorPhysicalState", "state": "Closed"}], "evb", 8),
            outgoing(topic + "state", {"status": "online"}, "state"),
        ]
    )
    assert [json.loads(message.payload)["contact"] for message in sent] == [True, False, False, True]
    assert {message.topic for message in sent} == {"zigbee2mqtt/1-1-301"}
    assert [message.ticket for message in sent] == [0, 7, 0, 8]
    assert all(message.qos == 1 for message in sent)


def test_the_edge_reads_what_the_bridge_says() -> None:
    sent = said(
        [
            outgoing(
                "kaimen/v1/a/b/baihe/baihe-d0007/evt", {"type": "DoorPhysicalState", "state": "Open"}, "evt"
            )
        ]
    )
    readings = decode(sent[0].topic, sent[0].payload)
    assert any(reading.state == "Open" for reading in readings)


def test_other_doors_speak_for_themselves() -> None:
    message = outgoing("kaimen/v1/a/b/baihe/baihe-d0001/evt", {"type": "Sos"}, "evt", 3)
    assert said([message]) == [message]


def test_a_street_is_taken_at_which_something_is_going_on() -> None:
    choice = choose_street(NOW_MS - 140 * DAY_MS)
    community = choice.make()
    scene = look_at(community, choice.now_ms)
    assert scene.score == 5
    assert sum(3 <= days < 3.05 for days in scene.shut_days) == 1
    assert sum(2 <= days < 2.2 for days in scene.shut_days) >= 1
    assert scene.away >= 1
    assert choice.unplugged in community.gateway_ids
    assert look_at_homes(community, choice.now_ms)
    assert len(community.households) == 300
    assert sum(home.consent for home in community.households) == 40

    assert 7 * HOUR_MS < (choice.now_ms + 8 * HOUR_MS) % DAY_MS < 12 * HOUR_MS


def test_the_demo_begins_in_the_morning_and_not_in_the_future() -> None:
    morning_ms = latest_morning(NOW_MS)
    assert NOW_MS - DAY_MS < morning_ms <= NOW_MS
    assert (morning_ms + 8 * HOUR_MS) % DAY_MS == 7 * HOUR_MS + 40 * 60_000


def test_a_choice_makes_the_same_community_every_time() -> None:
    choice = StreetChoice(3, NOW_MS, 40, 10)
    assert choice.make() == choice.make()
