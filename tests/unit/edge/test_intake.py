"""The parts of the gateway that decide: batching, receipt marks, the inbox, addresses."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.device_table import DeviceEntry, DeviceTable
from edge.intake import Intake, add_receipt
from edge.link import Frame, Inbox, Published
from edge.sending import group_messages, join_messages
from edge.spool import Message, Spool
from edge.tracker import Receipt
from edge.vitals import GatewayVitals, new_boot
from kaimen.settings import EdgeSettings
from kaimen.wire import EVENTS_MAX, parse_heartbeat, parse_state


def message(
    number: int, *, topic: str = "k/evt", boot: str = "b", size: int = 10, joinable: bool = True
) -> Message:
    return Message(number, topic, "d", boot, number, b"1" * size, joinable, False)


def test_events_of_one_boot_share_an_array_within_the_bounds() -> None:
    groups = group_messages([message(number) for number in range(1, EVENTS_MAX + 3)])
    assert [len(group) for group in groups] == [EVENTS_MAX, 2]
    groups = group_messages([message(number, size=30_000) for number in range(1, 6)])
    assert [len(group) for group in groups] == [2, 2, 1]
    assert all(len(join_messages(group)[1]) <= 64 * 1024 for group in groups)


def test_devices_that_take_turns_still_travel_together() -> None:
    mixed = [message(number, topic=f"k{number % 2}/evt") for number in range(1, 7)]
    groups = group_messages(mixed)
    assert [[item.id for item in group] for group in groups] == [[1, 3, 5], [2, 4, 6]]


def test_two_boots_never_share_an_array_and_forwarded_bytes_travel_alone() -> None:
    groups = group_messages([message(1), message(2, boot="c"), message(3, joinable=False), message(4)])
    assert [[item.id for item in group] for group in groups] == [[1], [2], [3], [4]]


def test_an_array_goes_to_the_batch_channel_and_a_single_event_does_not() -> None:
    assert join_messages([message(1)]) == ("k/evt", b"1" * 10)
    topic, payload = join_messages([message(1, size=1), message(2, size=1)])
    assert (topic, msgspec.json.decode(payload)) == ("k/evb", [1, 1])


def test_the_first_of_our_processes_stamps_the_receipt() -> None:
    stamped = msgspec.json.decode(add_receipt(b'{"seq":1,"new":true}', 7))
    assert stamped == {"seq": 1, "new": True, "rx": 7}
    assert add_receipt(b'{"seq":1,"rx":3}', 7) == b'{"seq":1,"rx":3}'
    assert msgspec.json.decode(add_receipt(b'[{"seq":1,"rx":3},{"seq":2}]', 7)) == [
        {"seq": 1, "rx": 3}, {"seq": 2, "rx": 7},
    ]  # fmt: skip
    assert add_receipt(b"\xff not json", 7) == b"\xff not json"


def test_only_frames_count_towards_the_bound_of_the_inbox() -> None:
    inbox = Inbox(frames_max=1)
    frame = Frame("source", 1, 1, "t", b"", 1, False)
    assert inbox.put(frame)
    assert not inbox.put(frame)
    assert inbox.put(Published("central", 1, 1))
    assert len(inbox.take(items_max=10, wait_s=0)) == 2
    assert inbox.put(frame)


def test_the_gateway_speaks_for_itself_alone() -> None:
    vitals = GatewayVitals(site="garden", device="edge-1", boot=new_boot(), started_uptime_ms=100)
    beat = parse_heartbeat(vitals.heartbeat(now_ms=1_763_712_000_000, uptime_ms=700, unsent=3))
    assert (beat.up, beat.seq_last, beat.unsent, beat.basis) == (600, 0, 3, None)
    assert parse_state(vitals.birth()).status == "online"
    assert parse_state(vitals.will()).status == "offline"
    assert vitals.heartbeat_topic.endswith("/garden/edge-1/hb")


def test_frames_that_came_together_before_somebody_listed_their_source_are_taken_in_one_after_the_other(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path / "spool.db", bytes_max=1_000_000, days_max=30)
    settings = EdgeSettings(edge_id="edge-1", edge_site="garden", edge_spool=tmp_path / "spool.db")
    intake = Intake(settings, spool, machine_boot="m", forwards=False)
    receipt = Receipt(1_763_712_000_000, 5_000)
    with spool.transaction():
        for contact in (b"true", b"false"):
            frame = Frame("source", 1, 1, "zigbee2mqtt/front", b'{"contact":%s}' % contact, 1, False)
            assert intake.take(frame, receipt) == []
    entry = DeviceEntry(source="zigbee2mqtt/front", site="garden", device="z-1", door="1-1")
    intake.table = DeviceTable({entry.source: entry})
    intake.adopt(receipt)
    assert spool.message_count == 1, "the opening, though both came at one instant"
    spool.close()
