"""Thing models of the clouds in China, and what other gateways name: what each says of a door, and the traps in it."""

from __future__ import annotations

from typing import Any

import pytest

from edge.dialects import decode
from edge.reading import Kind, Nature, Reading, summarise

_AT = 1_764_000_000_000


def one(topic: str, payload: Any) -> Reading:
    (found,) = decode(topic, payload)
    return found


def said(topic: str, payload: Any) -> tuple[str, bool | None]:
    found = summarise(decode(topic, payload))
    return str(found.kind), found.opening


def test_every_clouds_envelope_gives_the_device_its_value_and_its_instant() -> None:
    value = {"value": "open", "time": _AT}
    for topic, payload in (
        ("/sys/pk/d1/thing/event/property/post", {"id": "1", "params": {"DoorState": value}, "method": "thing.event.property.post"}),
        ("$sys/pid/d1/thing/property/post", {"id": "1", "version": "1.0", "params": {"DoorState": value}}),
        ("forwarded", {"productKey": "pk", "deviceName": "d1", "iotId": "x", "items": {"DoorState": value}}),
        ("forwarded", {"deviceName": "d1", "messageType": "notify", "notifyType": "property", "data": {"params": {"DoorState": value}}}),
        ("forwarded", {"deviceId": "d1", "messageType": "dataReport", "timestamp": _AT, "payload": {"DoorState": "open"}}),
        ("$thing/up/property/pid/d1", {"method": "report", "timestamp": _AT // 1000, "params": {"DoorState": "open"}}),
        ("$oc/devices/d1/sys/properties/report", {"services": [{"service_id": "Door", "properties": {"DoorState": "open"}, "event_time": "20251124T160000Z"}]}),
        ("forwarded", {"resource": "device.property", "notify_data": {"header": {"device_id": "d1"}, "body": {"services": [
            {"service_id": "Door", "properties": {"DoorState": "open"}, "event_time": "20251124T160000Z"}]}}}),
        ("/product/d1/properties/report", {"timestamp": _AT, "properties": {"DoorState": "open"}}),
    ):  # fmt: skip
        found = one(topic, payload)
        assert (found.kind, found.opening, found.source, found.occurred_ms) == (
            Kind.DOOR_OPEN, None, "d1/DoorState", _AT,
        ), payload  # fmt: skip
        assert (found.nature, "d1" in found.aliases) == (Nature.STATE, True)


def test_a_number_of_a_model_is_kept_for_the_device_table_and_never_guessed() -> None:
    for name in ("ContactState", "DoorStatus", "door_contact_1", "门磁", "MagnetState"):
        found = one("$thing/up/property/pid/d1", {"method": "report", "params": {name: 1}})
        assert (found.kind, found.raw, found.source) == (Kind.DOOR_STATE_UNKNOWN, "1", f"d1/{name}")
    for name in ("door_light", "doorLockEnabled", "DoorCommand"):
        assert said("$thing/up/property/pid/d1", {"method": "report", "params": {name: 1}})[0] == "telemetry"


def test_tuya_links_standard_code_has_its_polarity() -> None:
    for value, kind in ((True, "door_open"), (False, "door_closed")):
        payload = {"msgId": "1", "time": _AT, "data": {"doorcontact_state": {"value": value, "time": _AT}}}
        assert said("tylink/d1/thing/property/report", payload) == (kind, None)


def test_values_of_the_past_and_of_devices_behind_a_gateway_are_their_own() -> None:
    payload = {
        "params": [
            {"identity": {"deviceName": "d2"}, "properties": [{"DoorState": {"value": "open", "time": _AT}}]}
        ]
    }
    found = one("/sys/pk/gw/thing/event/property/history/post", payload)
    assert (found.source, found.nature, found.opening) == ("d2/DoorState", Nature.HISTORY, None)
    pack = {
        "params": {
            "properties": {},
            "subDevices": [
                {
                    "identity": {"productKey": "p", "deviceName": "d3"},
                    "properties": {"DoorState": {"value": "close", "time": _AT}},
                }
            ],
        }
    }
    assert [reading.source for reading in decode("/sys/pk/gw/thing/event/property/pack/post", pack)] == [
        "d3/DoorState"
    ]
    report = {
        "devices": [
            {"device_id": "d4", "services": [{"service_id": "s", "properties": {"DoorState": "closed"}}]}
        ]
    }
    found = one("$oc/devices/gw/sys/gateway/sub_devices/properties/report", report)
    assert (found.source, found.kind) == ("d4/DoorState", Kind.DOOR_CLOSED)  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("/sys/pk/d1/thing/service/property/set", {"method": "thing.service.property.set", "params": {"DoorState": "open"}}),
        ("/sys/pk/d1/thing/event/property/post_reply", {"code": 200, "data": {}, "id": "1", "message": "success"}),
        ("$sys/pid/d1/thing/property/set", {"id": "1", "params": {"DoorState": "open"}}),
        ("$thing/down/property/pid/d1", {"method": "control", "params": {"DoorState": "open"}}),
        ("tylink/d1/thing/property/set", {"msgId": "1", "data": {"doorcontact_state": True}}),
    ],
)  # fmt: skip
def test_what_a_cloud_orders_tells_nothing_of_the_door_and_is_no_sign_of_the_device(
    topic: str, payload: Any
) -> None:
    found = one(topic, payload)
    assert (found.kind, found.heard) == (Kind.NONE, False)


def test_a_locks_event_is_of_the_lock_and_one_that_nobody_listed_is_not_known() -> None:
    topic = "/sys/pk/d1/thing/event/{}/post"
    body = {"method": "thing.event.x.post", "params": {"value": {"KeyID": "3"}, "time": _AT}}
    found = one(topic.format("DoorOpenNotification"), body)
    assert (found.kind, found.opening, found.occurred_ms) == (Kind.DOOR_UNLOCKED, None, _AT)
    assert one(topic.format("HijackingAlarm"), body).event_type == "Duress"
    assert said(topic.format("Something"), body)[0] == "unknown"


def test_a_clouds_word_on_a_connection_is_no_sign_of_the_device() -> None:
    for payload in (
        {"status": "offline", "lastTime": "2025-11-24 16:00:00.000", "productKey": "pk", "deviceName": "d1"},
        {"deviceId": "d1", "messageType": "deviceOnlineOfflineReport", "eventType": 0},
        {"resource": "device.status", "notify_data": {"header": {"device_id": "d1"}, "body": {"status": "OFFLINE"}}},
    ):  # fmt: skip
        found = one("forwarded", payload)
        assert (found.kind, found.source, found.heard) == (Kind.DEVICE_OFFLINE, "d1", False)


def test_a_tasmota_lorawan_bridge_names_what_its_decoder_found() -> None:
    door = {"Name": "hall", "Node": 3, "RSSI": -60, "Device": "MerryIoT DW10", "DoorOpen": True, "BattV": 3.1}
    found = one("tele/bridge/SENSOR", {"LwReceived": {"DW10-1": door}})
    assert (found.kind, found.opening, found.source) == (Kind.DOOR_OPEN, None, "bridge/DW10-1")


def test_smartthings_and_ring_say_open_and_a_repeat_is_no_opening() -> None:
    event = {"deviceId": "x", "capability": "contactSensor", "attribute": "contact", "value": "open"}
    assert said("st", {**event, "stateChange": True}) == ("door_open", True)
    assert said("st", event) == ("door_open", None)
    assert said("st", {**event, "value": "closed", "stateChange": True})[0] == "door_closed"
    assert said("ring/place/alarm/door/contact/state", "ON") == ("door_open", None)
    assert said("ring/place/alarm/door/motion/state", "OFF") == ("no_motion", False)


def test_a_tilted_window_is_open_and_a_z_wave_lock_is_locked_at_255() -> None:
    assert said("zigbee2mqtt/window", {"opening_state": "tilt"}) == ("door_open", None)
    assert said("zwave/lock/98/0/currentMode", {"time": _AT, "value": 255}) == ("door_locked", False)
