"""Frames of the field that no sample shows: what must not pass for an opening, and what must be read."""

from __future__ import annotations

from typing import Any

import pytest

from edge.device_table import configure, parse_table
from edge.dialects import decode
from edge.reading import Kind, Nature, summarise


def kind_of(topic: str | None, payload: Any) -> str:
    return str(summarise(decode(topic, payload)).kind)


@pytest.mark.parametrize(
    "topic",
    [
        "home/door_curtain/state",
        "home/gate_valve/state",
        "home/window_blind/state",
        "home/door/hours",
        "home/door/lock/state",
        "house/cover/front_door_curtain/state",
        "home/door/target/state",
    ],
)
def test_what_hangs_at_a_door_opens_without_it(topic: str) -> None:
    assert kind_of(topic, "open") != "door_open"
    assert kind_of("home/door/state", "open") == "door_open"


def test_a_valve_that_is_one_percent_open_is_no_door() -> None:
    assert kind_of("zigbee2mqtt/radiator", {"opening": 1, "linkquality": 3}) != "door_open"
    assert kind_of("zigbee2mqtt/radiator", {"window": "open", "system_mode": "heat"}) != "door_open"
    assert kind_of("zigbee2mqtt/front", {"opening": True, "linkquality": 3}) == "door_open"


def test_the_hourly_heartbeat_of_a_one_way_sensor_at_an_open_door_opens_nothing() -> None:
    line = {
        "model": "Honeywell-Security",
        "id": 12,
        "event": 132,
        "state": "open",
        "heartbeat": 1,
        "mic": "CRC",
    }
    (told, _) = decode("rtl_433/x/events", line)
    assert (told.kind, told.nature, told.opening) == (Kind.DOOR_OPEN, Nature.STATE, None)
    (told,) = decode("rtl_433/x/events", {**line, "heartbeat": 0})
    assert told.opening is True
    simple = {"model": "SimpliSafe-Sensor", "id": "a", "state": 1, "extradata": "Contact Open", "mic": "SUM"}
    assert [(item.kind, item.opening) for item in decode("rtl_433/x/events", simple)] == [
        (Kind.DOOR_OPEN, None)
    ]


def stack(**more: Any) -> dict[str, Any]:
    uplink = {"f_port": 2, "frm_payload": "AA==", **more.pop("uplink", {})}
    return {
        "end_device_ids": {"device_id": "d", "dev_eui": "0011223344556677"},
        "uplink_message": uplink,
        **more,
    }


def test_an_uplink_that_somebody_typed_into_a_console_is_no_sign_of_life() -> None:
    decoded = {"decoded_payload": {"contact": "open"}}
    topic = "v3/app@ttn/devices/d/up"
    assert kind_of(topic, stack(uplink=decoded)) == "door_open"
    (reading,) = decode(topic, stack(uplink=decoded, simulated=True))
    assert (reading.kind, reading.heard) == (Kind.NONE, False)


@pytest.mark.parametrize(
    ("uplink", "kind"),
    [
        ({"decoded_payload": {"door": {"value": "open"}}}, "door_open"),
        ({"decoded_payload": {"data": {"door": "closed", "battery": 3}}}, "door_closed"),
        ({"normalized_payload": [{"action": {"contactState": "open"}, "battery": 3.1}]}, "door_open"),
        ({"decoded_payload": {"valve": {"state": "open"}}}, "uplink"),
    ],
)
def test_a_decoded_object_is_read_through_its_wrappings(uplink: dict[str, Any], kind: str) -> None:
    assert kind_of("v3/app@ttn/devices/d/up", stack(uplink=uplink)) == kind


def test_loriot_sends_what_it_decoded_beside_the_bytes() -> None:
    line = {
        "cmd": "rx",
        "EUI": "0011223344556677",
        "port": 85,
        "data": "00",
        "decoded": {"data": {"magnet_status": "open"}},
    }
    assert kind_of("loriot", line) == "door_open"


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        ("nuki/12AB/doorsensorState", "3", "door_open"),
        ("nuki/12AB/doorsensorState", "2", "door_closed"),
        ("nuki/12AB/doorsensorState", "4", "door_state_unknown"),
        ("nuki/12AB/state", "5", "door_unlocked"),
        ("nuki/12AB/state", "1", "door_locked"),
        ("nuki/12AB/connected", "false", "device_offline"),
        ("nuki/12AB/lockAction", "3", "none"),
        ("nuki/12AB/batteryCritical", "true", "battery_low"),
        (None, {"nukiId": 11, "state": 3, "doorsensorState": 3, "batteryCritical": False}, "door_open"),
        ("zwave/lock/98/0/doorStatus", {"time": 1700000000000, "value": "open"}, "door_open"),
        ("zwave/lock/98/0/boltStatus", {"time": 1700000000000, "value": "unlocked"}, "door_unlocked"),
        ("yl/x/report", {"event": "DoorSensor.Alert", "data": {"state": "open"}}, "door_open"),
        ("yl/x/report", {"event": "Manipulator.Alert", "data": {"state": "open"}}, "unknown"),
        (None, {"eventType": "changeReport", "context": {"deviceType": "WoContact", "openState": "close"}}, "door_closed"),
        (None, {"context": {"deviceType": "WoContact", "openState": "timeOutNotClose"}}, "door_held_open"),
        ("x/gate-1", {"门磁": "打开", "电量": 80}, "door_open"),
        ("家/大门/状态", "关闭", "door_closed"),
        ("zigbee2mqtt/front", b'\xef\xbb\xbf{"contact": false}', "door_open"),
    ],
)  # fmt: skip
def test_other_makers_words_are_read(topic: str | None, payload: Any, kind: str) -> None:
    assert kind_of(topic, payload) == kind


@pytest.mark.parametrize(
    ("said", "kind", "event_type"),
    [
        ("Door opened", "door_open", "DoorPhysicalState"),
        ("door closed", "door_closed", "DoorPhysicalState"),
        ("Door forced open", "alarm", "DoorForcedOpen"),
        ("Door left open", "door_held_open", "DoorOpenTooLong"),
        ("Access denied", "access_denied", "Denied"),
        ("Request to exit", "access_granted", "Exit"),
        ("remote open door", "unknown", None),
        ("Door open timeout cleared", "unknown", None),
    ],
)
def test_a_controller_that_says_it_in_words_is_read_by_whole_phrases(
    said: str, kind: str, event_type: str
) -> None:
    message = {"message": {"event": {"door-id": 1, "event-type-text": "door", "event-reason-text": said}}}
    (reading,) = decode("gateway/events/live", message)
    assert (str(reading.kind), reading.event_type) == (kind, event_type)
    assert reading.opening is not True
    assert kind == "unknown" or reading.source == "gateway/events/live/1"


def test_sensors_of_tasmota_are_read_one_level_down_and_without_their_wrapping() -> None:
    (switch,) = decode("stat/hall/STATUS10", {"StatusSNS": {"Time": "2024-01-01T00:00:00", "Switch1": "ON"}})
    assert (switch.source, switch.kind, switch.nature) == (
        "hall/Switch1",
        Kind.DOOR_STATE_UNKNOWN,
        Nature.STATE,
    )
    (contact,) = decode("tele/zb/1234/SENSOR", {"Device": "0x1234", "Name": "Front", "Contact": 0})
    assert contact.kind is Kind.DOOR_CLOSED
    (named,) = decode("tele/zb/SENSOR", {"Front": {"Device": "0x1234", "Name": "Front", "Contact": 1}})
    assert (named.kind, named.opening) == (Kind.DOOR_OPEN, True)


def test_a_topic_that_nobody_knows_can_be_listed_with_its_words_and_says_so() -> None:
    (reading,) = decode("house/place/alarm/12/state", "ON")
    assert reading.kind is Kind.UNKNOWN
    assert "list this topic" in reading.why
    table = parse_table(
        '[{"source":"house/place/alarm/12/state","site":"garden","device":"r-1","open":["ON"],"closed":["OFF"]}]'
    )
    (entry,) = table.by_source.values()
    assert [item.kind for item in configure(reading, entry)] == [Kind.DOOR_OPEN]


@pytest.mark.parametrize("text", ["Wang Li", "0012345678", "4711"])
def test_a_text_that_may_name_somebody_is_not_kept(text: str) -> None:
    assert decode("house/reader/last", text)[0].raw is None
    assert decode("house/door/set", "ON")[0].raw is None


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("house/front/set", {"door": "open"}),
        ("house/front/cmnd", {"type": "door", "state": "open"}),
        ("v1/devices/me/rpc/request/1", {"method": "openDoor", "params": {"door": "open"}}),
        ("stat/zb/RESULT", {"ZbSend": {"Device": "0x1234", "Contact": 1}}),
    ],
)
def test_an_order_to_open_a_door_is_no_opening(topic: str, payload: dict[str, Any]) -> None:
    assert kind_of(topic, payload) not in ("door_open", "door_unlocked")
