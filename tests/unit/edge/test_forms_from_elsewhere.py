"""Forms that devices and gateways really send and no recording at hand shows: what was misread, and what was lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge.dialects import decode, interpret


def kinds(topic: str, payload: Any) -> list[str]:
    return [str(item.kind) for item in decode(topic, payload)]


# -- ESPHome: an object id is words, not letters ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "outdoor_light", "indoor_humidity_high", "gateway_online", "entrance_light", "wiring_fault", "clock_synced",
        "blocked", "water_heater", "entrance_light_on", "battery_charging", "fireplace", "monitoring", "front_door_locked",
    ],
)  # fmt: skip
def test_an_object_that_only_sounds_like_a_door_is_left_to_the_device_table(name: str) -> None:
    assert kinds(f"hall/binary_sensor/{name}/state", "ON") == ["door_state_unknown"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("front_door", "door_open"), ("door2", "door_open"), ("frontdoor", "door_open"), ("spring_door", "door_open"),
        ("door_contact_string", "door_open"), ("door_bell", "call"), ("front_door_lock", "door_unlocked"),
        ("hall_motion_1", "motion"), ("heating_room_door", "door_open"), ("water_valve_leak", "water_leak"), ("door-sensor-battery-low", "battery_low"),
    ],
)  # fmt: skip
def test_an_object_named_after_its_class_is_read(name: str, kind: str) -> None:
    assert kinds(f"hall/binary_sensor/{name}/state", "ON") == [kind]


def test_a_blind_is_no_door_and_a_garage_is_one() -> None:
    assert kinds("n/cover/living_room_blind/state", "open") == ["telemetry"]
    assert kinds("n/cover/garage_door/state", "open") == ["door_open"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Water Heater", "door_state_unknown"), ("Inputs/Lane Blocked", "door_state_unknown"),
        ("Fireplace", "door_state_unknown"), ("Kitchen/WaterLeak2", "water_leak"), ("Battery Low", "battery_low"),
        ("Hall/PIR", "motion"), ("Doors/A/IsOpen", "door_open"),
    ],
)  # fmt: skip
def test_a_metric_of_sparkplug_is_read_by_its_words(name: str, kind: str) -> None:
    metrics = [{"name": name, "timestamp": 1486144502122, "dataType": "Boolean", "value": True}]
    assert kinds("spBv1.0/site/DDATA/node/device", {"timestamp": 1486144502122, "metrics": metrics}) == [kind]


# -- Zigbee2MQTT ---------------------------------------------------------------------------------------------------


def test_a_radiator_that_concludes_an_open_window_has_no_contact() -> None:
    radiator = {"window": "OPEN", "window_open": True, "current_heating_setpoint": 20, "linkquality": 80}
    assert kinds("zigbee2mqtt/radiator", radiator) == ["telemetry"]


def test_leaving_a_part_of_the_room_is_no_press_of_a_button() -> None:
    said = {"presence": False, "action": "region_1_leave", "linkquality": 100}
    assert kinds("zigbee2mqtt/fp1", said) == ["none", "vacant"]


def test_a_press_of_an_older_version_is_a_press() -> None:
    assert kinds("zigbee2mqtt/bell push", {"click": "single", "linkquality": 40}) == ["button"]


def test_an_attribute_that_is_a_bare_word_is_read_as_it_is_in_an_object() -> None:
    assert kinds("zigbee2mqtt/lock/lock_state", "unlocked") == ["door_unlocked"]
    assert kinds("zigbee2mqtt/door/last_seen", "2024-01-01T10:00:00+08:00") == ["telemetry"]


# -- Terminals that push over HTTP ---------------------------------------------------------------------------------


def hikvision(minor: int, **more: Any) -> bytes:
    return msgspec.json.encode(
        {
            "macAddress": "02:00:00:00:00:01", "dateTime": "2026-09-08T07:42:18+08:00", "eventType": "AccessControllerEvent",
            "AccessControllerEvent": {"majorEventType": 5, "subEventType": minor, "doorNo": 1, **more},
        }
    )  # fmt: skip


def multipart(*bodies: tuple[bytes, bytes]) -> bytes:
    parts = [b"--MIME_boundary\r\nContent-Type: %b\r\n\r\n%b\r\n" % (kind, body) for kind, body in bodies]
    return b"".join(parts) + b"--MIME_boundary--\r\n"


def test_a_picture_behind_the_event_does_not_hide_it() -> None:
    picture = b"\xff\xd8\xff\xe0{JFIF}\x00}\x9b{\xff\xd9"
    body = multipart((b"application/json", hikvision(75)), (b"image/jpeg", picture))
    assert kinds("foreign/hikvision/gate", body) == ["access_granted"]


def test_every_event_of_a_body_is_read() -> None:
    body = multipart((b"application/json", hikvision(25)), (b"application/json", hikvision(26)))
    assert kinds("foreign/hikvision/gate", body) == ["door_open", "door_closed"]


def test_a_notification_in_xml_may_be_a_part_too() -> None:
    xml = (
        b"<EventNotificationAlert><dateTime>2024-01-01T10:00:00+08:00</dateTime><eventType>AccessControllerEvent"
        b"</eventType><AccessControllerEvent><majorEventType>5</majorEventType><subEventType>25</subEventType>"
        b"</AccessControllerEvent></EventNotificationAlert>"
    )
    found = interpret("foreign/hikvision/gate", multipart((b"application/xml", xml), (b"image/jpeg", b"}{")))
    assert (found.kind, found.opening) == ("door_open", True)


def test_a_list_of_events_of_a_dahua_controller_and_its_heartbeat() -> None:
    item = {
        "Action": "Pulse",
        "Code": "DoorStatus",
        "Data": {"Status": "Open", "UTC": 1583173448},
        "Index": 0,
    }
    assert kinds("foreign/dahua/gate", {"Events": [item, item]}) == ["door_open", "door_open"]
    beat = b"--myboundary\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nHeartbeat\r\n"
    assert kinds("foreign/dahua/gate", beat) == ["heartbeat"]


def test_a_window_of_433_mhz_that_names_its_door_opens_it() -> None:
    line = {"time": "2024-01-01 00:00:00", "model": "GE-Choice", "id": 1, "door": "open", "sequence": 1}
    assert kinds("rtl_433/hall/events", line) == ["door_open"]


# -- Gateways and platforms ----------------------------------------------------------------------------------------


def verdict(topic: str, payload: Any) -> tuple[str, bool | None]:
    found = interpret(topic, payload)
    return str(found.kind), found.opening


def test_a_contact_in_a_cloud_message_of_tuya_is_a_state_and_its_lock_tells_who_unlocked() -> None:
    def message(code: str, value: Any) -> dict[str, Any]:
        return {
            "devId": "6c0e",
            "productKey": "p",
            "status": [{"code": code, "value": value, "t": 1718000000000}],
        }

    assert verdict("foreign/tuya/cloud", message("doorcontact_state", True)) == ("door_open", None)
    assert verdict("foreign/tuya/cloud", message("doorcontact_state", False)) == ("door_closed", None)
    assert verdict("foreign/tuya/cloud", message("closed_opened", "unknown")) == ("door_state_unknown", None)
    assert kinds("foreign/tuya/cloud", message("battery_percentage", 90)) == ["telemetry"]
    (unlocked,) = decode("foreign/tuya/cloud", message("unlock_card", 7))
    assert (unlocked.kind, unlocked.method, unlocked.credential) == ("door_unlocked", "card", "7")
    (away,) = decode("foreign/tuya/cloud", {"bizCode": "offline", "bizData": {"devId": "6c0e", "time": 1}})
    assert (away.kind, away.heard) == ("device_offline", False)


def test_a_report_of_an_aqara_gateway_is_an_event_and_its_heartbeat_a_state() -> None:
    def message(command: str, data: str) -> dict[str, Any]:
        return {"cmd": command, "model": "sensor_magnet.aq2", "sid": "158d0001", "short_id": 1, "data": data}

    assert verdict("foreign/aqara/gw", message("report", '{"status":"open"}')) == ("door_open", True)
    assert verdict("foreign/aqara/gw", message("report", '{"status":"close"}')) == ("door_closed", False)
    beat = message("heartbeat", '{"voltage":3000,"status":"open"}')
    assert verdict("foreign/aqara/gw", beat) == ("door_open", None)
    assert decode("foreign/aqara/gw", beat)[0].battery_percent == 100
    assert verdict("foreign/aqara/gw", message("report", '{"no_close":"60"}'))[0] == "door_held_open"
    listed = {"cmd": "report", "model": "magnet", "sid": "1", "params": [{"window_status": "open"}]}
    assert verdict("foreign/aqara/gw", listed) == ("door_open", True)
    assert kinds("foreign/aqara/gw", message("report", "{")) == ["telemetry"]


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        ("zwave/hall/113/0/Access_Control/Door_state", {"time": 1718000000000, "value": 22}, "door_open"),
        ("zwave/hall/113/0/Access_Control/Door_state", b"23", "door_closed"),
        ("zwave/hall/113/0/Access_Control/Door_state", b"0", "door_state_unknown"),
        (
            "house/up/hall/notification/endpoint_0/Access_Control/Door_state_simple",
            {"value": 22},
            "door_open",
        ),
        ("zwave/hall/113/0/Home_Security/Cover_status", {"value": 3}, "tamper"),
        ("zwave/hall/48/0/Any", b"true", "door_state_unknown"),
        ("zwave/hall/sensor_binary/endpoint_0/Door-Window", b"true", "door_open"),
        ("zwave/hall/128/0/isLow", {"value": True}, "battery_low"),
        ("zwave/hall/113/0/Access_Control/Door_state/set", b"22", "none"),
        ("zwave/hall/status", {"value": True, "status": "Alive"}, "device_online"),
        ("zwave/hall/lastActive", {"value": 1718000000000}, "heartbeat"),
    ],
)
def test_a_value_of_z_wave_is_read_by_its_class(topic: str, payload: Any, kind: str) -> None:
    assert kinds(topic, payload) == [kind]


def test_an_open_contact_of_deconz_carries_its_time_in_utc() -> None:
    state = {"open": True, "lastupdated": "2024-03-01T12:00:00.000"}
    event = {
        "e": "changed",
        "id": "5",
        "r": "sensors",
        "t": "event",
        "state": state,
        "uniqueid": "00:15-01-0006",
    }
    (found,) = decode("foreign/deconz/hub", event)
    assert (found.kind, found.opening, found.occurred_ms) == ("door_open", None, 1_709_294_400_000)


def test_a_reading_of_edgex_says_what_its_name_says_and_no_more() -> None:
    def event(name: str) -> dict[str, Any]:
        value = {"resourceName": name, "valueType": "Bool", "value": "true", "origin": 1718000000000000000}
        return {"apiVersion": "v3", "event": {"deviceName": "door-1", "readings": [value]}}

    assert verdict("edgex/events/device/s/p/door-1/r", event("DoorOpen")) == ("door_open", None)
    (found,) = decode("edgex/events/device/s/p/door-1/r", event("Contact"))
    assert (found.kind, found.raw, found.source) == ("door_state_unknown", "TRUE", "door-1/Contact")


@pytest.mark.parametrize(
    "topic", ["homie/door1/reed/contact", "openhab/out/FrontDoor/state", "st/Front Door/contact"]
)
def test_a_word_on_a_topic_named_after_a_door_is_its_state(topic: str) -> None:
    assert verdict(topic, "open") == ("door_open", None)
    assert verdict(topic, b"CLOSED") == ("door_closed", None)
    assert verdict(f"{topic}/set", "open")[0] == "unknown"


def test_a_word_on_any_other_topic_stays_unknown() -> None:
    assert verdict("garden/valve/state", "open")[0] == "unknown"
    assert verdict("house/outdoor/awning", "open")[0] == "unknown"
