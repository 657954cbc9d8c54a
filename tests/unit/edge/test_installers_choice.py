"""What installers and integrators put between a door and the edge: platforms, locks, receivers, as their makers tell."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from edge.dialects import decode
from edge.dialects.rf433 import code_of_raw
from edge.reading import Kind, Nature, Reading, summarise
from kaimen.vocabulary import EventType


def said(topic: str, payload: Any) -> tuple[str, bool | None]:
    found = summarise(decode(topic, payload))
    return str(found.kind), found.opening


def one(topic: str, payload: Any) -> Reading:
    (found,) = decode(topic, payload)
    return found


# -- rtl_433 and raw 433 MHz ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        # X10 sends its state again every hour, by the same words: no single one is an opening.
        ("X10-Security", {"event": "DOOR/WINDOW OPEN MIN DELAY"}, ("door_open", None)),
        ("X10-Security", {"event": "DS10A DOOR/WINDOW OPEN"}, ("door_open", None)),
        ("X10-Security", {"event": "DOOR/WINDOW CLOSED MAX DELAY", "battery_ok": 1}, ("door_closed", None)),
        ("X10-Security", {"event": "OPEN", "delay": "MIN"}, ("door_open", None)),
        ("X10-Security", {"event": "KR10A KEY-FOB PANIC"}, ("sos", False)),
        ("X10-Security", {"event": "MS10A NO MOTION"}, ("no_motion", False)),
        ("X10-Security", {"event": "SD90 SMOKE TEST"}, ("smoke_test", False)),
        ("Kerui-Security", {"cmd": 7, "opened": 0}, ("door_closed", False)),
        ("Kerui-Security", {"cmd": 11, "opened": 0, "tamper": 1}, ("tamper", False)),
        ("Visonic-Powercode", {"alarm": 1, "restore": 0, "battery_ok": 1}, ("door_state_unknown", None)),
        ("Chuango-Security", {"cmd": "Normal Zone", "cmd_id": 7}, ("door_state_unknown", None)),
        ("Chuango-Security", {"cmd": "Tamper", "cmd_id": 3}, ("tamper", False)),
        ("Chuango-Security", {"cmd": "Low Battery", "cmd_id": 13}, ("battery_low", False)),
        ("Interlogix-Security", {"subtype": "contact", "battery": "LOW", "switch1": "CLOSED"}, ("door_closed", None)),
        ("Govee-Water", {"event": "Water Leak"}, ("water_leak", False)),
        ("SimpliSafe-Keypad", {"state": 1, "extradata": "Panic Alarm"}, ("sos", False)),
    ],
)  # fmt: skip
def test_what_rtl_433_says_in_words_is_read(
    model: str, fields: dict[str, Any], expected: tuple[str, bool | None]
) -> None:
    assert (
        said("rtl_433/hall/events", {"time": "2026-01-02 03:04:05", "model": model, "id": 7, **fields})
        == expected
    )


def test_a_low_battery_of_an_older_rtl_433_is_not_lost() -> None:
    line = {"time": "2026-01-02 03:04:05", "model": "Interlogix-Security", "id": "a1", "battery": "LOW"}
    assert said("rtl_433/hall/events", line) == ("battery_low", False)


def test_one_value_a_topic_of_rtl_433_is_read_and_two_contacts_of_one_sensor_do_not_quarrel() -> None:
    devices = "rtl_433/hall/devices"
    assert said(f"{devices}/Honeywell-Security/8/77/state", "open") == ("door_open", None)
    assert said(f"{devices}/Honeywell-Security/8/77/contact_open", "0") == ("telemetry", False)
    assert said(f"{devices}/Interlogix-Security/contact/1a2b3c/switch1", "OPEN") == ("door_open", None)
    assert said(f"{devices}/DSC-Security/77/closed", "0") == ("door_open", None)
    assert said(f"{devices}/DSC-Security/77/battery_ok", "0") == ("battery_low", False)
    assert one(f"{devices}/DSC-Security/77/closed", "1").source == "rtl_433/DSC-Security/77"


def test_a_raw_signal_of_an_rf_bridge_is_the_code_it_carries() -> None:
    pulses = "".join("10" if bit == "1" else "01" for bit in f"{0x5A3C1E:024b}")
    for data in (
        f"AA B1 03 0140 03C0 26C0 02{pulses} 55",
        f"AA B1 03 0140 03C0 26C0 {pulses}02 55",
        f"AA B1 03 0140 03C0 26C0 82{pulses.replace('10', '90').replace('01', '81')} 55",
        "AAA426C0014003C05A3C1E55",
        "AAA604015A3C1E55",
    ):
        assert code_of_raw(data) == "5A3C1E", data
    assert code_of_raw("AA B1 03 0140 03C0 26C0 0210 55") is None
    assert code_of_raw("AA B1 FF 55") is None
    assert said("tele/rf/RESULT", {"RfRaw": {"Data": "AAA426C0014003C05A3C1E55"}}) == ("door_open", True)
    assert said("tele/rf/RESULT", {"RfRaw": {"Data": "AA B1 00 55"}}) == ("unknown", None)


# -- home automation platforms ---------------------------------------------------------------------------------------


def domoticz(sort: str, value: int) -> dict[str, Any]:
    return {"idx": 21, "name": "Hall", "nvalue": value, "svalue1": "0", "dtype": "Light/Switch", "switchType": sort,
            "Battery": 40}  # fmt: skip


@pytest.mark.parametrize(
    ("sort", "value", "expected"),
    [
        ("Door Contact", 1, ("door_open", None)), ("Contact", 0, ("door_closed", None)),
        ("Door Lock", 1, ("door_locked", False)), ("Door Lock Inverted", 1, ("door_unlocked", None)),
        ("On/Off", 1, ("door_state_unknown", None)), ("Door Contact", 2, ("door_state_unknown", None)),
        ("Blinds", 1, ("telemetry", False)), ("Motion Sensor", 0, ("no_motion", False)),
    ],
)  # fmt: skip
def test_a_device_of_domoticz_is_what_somebody_made_it_there(sort: str, value: int, expected: Any) -> None:
    assert said("domoticz/out", domoticz(sort, value)) == expected


def test_a_device_of_domoticz_has_its_number_and_a_command_is_none() -> None:
    found = one("domoticz/out/3", domoticz("On/Off", 1))
    assert (found.source, found.aliases[0], found.raw, found.battery_percent) == (
        "domoticz/21",
        "Hall",
        "1",
        40.0,
    )
    assert said("domoticz/in", {"idx": 21, "nvalue": 1, "svalue": ""}) == ("none", False)


def entity(name: str, before: str | None, now: str, **attributes: Any) -> dict[str, Any]:
    new = {
        "entity_id": name,
        "state": now,
        "attributes": attributes,
        "last_changed": "2026-01-02T03:04:05+00:00",
    }
    old = None if before is None else {"entity_id": name, "state": before}
    return {
        "event_type": "state_changed",
        "event_data": {"entity_id": name, "old_state": old, "new_state": new},
    }


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (entity("binary_sensor.a1", "off", "on", device_class="door"), ("door_open", True)),
        (entity("binary_sensor.a1", "unavailable", "on", device_class="door"), ("door_open", None)),
        (entity("binary_sensor.a1", "on", "on", device_class="door"), ("door_open", None)),
        (entity("binary_sensor.a1", None, "on", device_class="opening"), ("door_open", None)),
        (entity("binary_sensor.a1", "on", "off", device_class="door"), ("door_closed", None)),
        (entity("binary_sensor.front_door", "off", "on", device_class="tamper"), ("tamper", None)),
        (entity("binary_sensor.a1", "off", "on", device_class="power"), ("door_state_unknown", None)),
        (entity("cover.a1", "closed", "opening", device_class="garage"), ("door_open", True)),
        (entity("cover.a1", "closed", "open", device_class="blind"), ("telemetry", None)),
        (entity("lock.front", "locked", "unlocked"), ("door_unlocked", None)),
        (entity("binary_sensor.a1", "on", "unavailable", device_class="door"), ("device_offline", None)),
    ],
)  # fmt: skip
def test_an_entity_of_home_assistant_opens_where_it_was_closed_before(payload: Any, expected: Any) -> None:
    assert said("ha/events", payload) == expected


def test_what_home_assistant_remembers_is_nothing_heard() -> None:
    assert not one(
        "ha/events", entity("binary_sensor.a1", "off", "on", device_class="door", restored=True)
    ).heard
    assert not one("homeassistant/binary_sensor/front_door/state", "unavailable").heard
    assert (
        said("homeassistant/binary_sensor/front_door/last_changed", "2026-01-02T03:04:05")[0] == "telemetry"
    )


def test_a_state_that_a_gateway_writes_in_its_own_word_can_be_listed() -> None:
    assert said("n/binary_sensor/front_door/state", "OPEN") == ("door_open", None)
    assert one("n/binary_sensor/front_door/state", "true").raw == "TRUE"
    assert one("device/status/000A1:1/STATE", {"ts": 1767322000000, "v": 1, "s": 100}).raw == "1"
    assert one("knx/1/2/3", {"value": True}).raw == "TRUE"


def test_a_contact_that_is_on_is_not_taken_for_either() -> None:
    assert said("zigbee2mqtt/door", {"contact": "ON", "linkquality": 4}) == ("door_state_unknown", None)
    assert said("zigbee2mqtt/door", {"contact": "false", "linkquality": 4}) == ("door_open", None)


def test_several_messages_in_one_list_are_each_read() -> None:
    tago = [{"variable": "magnet_status", "value": "open"}, {"variable": "battery_low", "value": True}]
    assert [str(item.kind) for item in decode("tago/x", tago)] == ["door_open", "battery_low"]
    up = {
        "end_device_ids": {"device_id": "d1"},
        "uplink_message": {"f_port": 85, "decoded_payload": {"door": "open"}},
    }
    assert said("batch", [up]) == ("door_open", None)
    assert said("batch", [up, 5])[0] == "unknown"
    assert said("zigbee2mqtt/hall", [{"contact": False, "linkquality": 3}]) == ("door_open", None)


def test_a_part_that_is_not_understood_is_not_covered_by_a_battery_and_the_server_may_know_it() -> None:
    new_model = {"vendor": "milesight", "model": "XX900", "fPort": 85, "bytes": "017564030001"}
    assert summarise(decode(None, new_model, "lorawan")).kind is Kind.UNKNOWN
    up = {"end_device_ids": {"device_id": "d1"}, "uplink_message": {"f_port": 85, "frm_payload": "AXVkAwAB",
          "version_ids": {"brand_id": "milesight-iot", "model_id": "xx900"}}}  # fmt: skip
    assert said("v3/a@t/devices/d1/up", up) == ("unknown", None)
    up["uplink_message"]["decoded_payload"] = {"battery": 100, "magnet_status": "open"}  # type: ignore[index]
    assert said("v3/a@t/devices/d1/up", up) == ("door_open", None)
    old_name = {"vendor": "Ursalink", "model": "WS301", "fPort": 85, "bytes": "030001"}
    assert summarise(decode(None, old_name, "lorawan")).kind is Kind.DOOR_OPEN


def test_a_telegram_of_enocean_is_read_by_its_profile() -> None:
    telegram = {"telegram": {"deviceId": "01A2", "functions": [{"key": "contact", "value": "open"}]}}
    assert one("stream/telegram/01A2", telegram).source == "01A2"
    assert said("enoceanmqtt/hall", {"CO": 0, "_RORG_": 213, "_RSSI_": -60}) == ("door_open", None)
    assert said("enoceanmqtt/hall", {"CO": 1, "_RORG_": 213}) == ("door_closed", None)
    assert one("enoceanmqtt/handle", {"WIN": 2, "_RORG_": 246}).raw == "2"


# -- locks and access systems ------------------------------------------------------------------------------------------


def ttlock(number: int, **fields: Any) -> dict[str, Any]:
    return {"lockId": 321, "lockMac": "A1:B2", "recordType": number, "success": 1, "lockDate": 1767322000000,
            "serverDate": 1767322004000, "electricQuantity": 35, **fields}  # fmt: skip


@pytest.mark.parametrize(
    ("number", "fields", "expected"),
    [
        (31, {}, ("door_open", True)), (30, {}, ("door_closed", False)), (7, {}, ("door_unlocked", None)),
        (4, {"success": 0}, ("access_denied", False)), (45, {}, ("door_locked", False)), (44, {}, ("tamper", False)),
        (64, {}, ("door_held_open", None)), (29, {}, ("alarm", None)), (250, {}, ("unknown", None)),
    ],
)  # fmt: skip
def test_a_lock_record_of_ttlock_is_the_magnet_or_the_lock(number: int, fields: Any, expected: Any) -> None:
    assert said("foreign/ttlock/hall", ttlock(number, **fields)) == expected


def test_records_that_a_telephone_brought_hours_later_are_history_and_a_form_is_read() -> None:
    late = one("foreign/ttlock/hall", ttlock(31, serverDate=1767322000000 + 3 * 3_600_000))
    assert (late.nature, late.occurred_ms) == (Nature.HISTORY, 1767322000000)
    form = "lockId=321&notifyType=1&lockMac=A1%3AB2&records=" + json.dumps([ttlock(31), ttlock(30)])
    assert [item.kind for item in decode("foreign/ttlock/hall", form)] == [Kind.DOOR_OPEN, Kind.DOOR_CLOSED]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0x5200, ("door_open", True)), (0x5300, ("door_closed", False)), (0x5000, ("door_unlocked", None)),
        (0x5100, ("door_locked", False)), (0x5500, ("door_held_open", None)), (0x1303, ("access_granted", None)),
        (0x1900, ("access_denied", False)), (0x5400, ("alarm", None)), (0x7000, ("unknown", None)),
    ],
)  # fmt: skip
def test_an_event_of_biostar_is_told_by_its_code(code: int, expected: Any) -> None:
    event = {"index": "9", "datetime": "2026-01-02T03:04:05.00Z", "device_id": {"id": "54"}, "door_id": [{"id": "2"}],
             "event_type_id": {"code": str(code)}}  # fmt: skip
    assert said("foreign/biostar/gate", {"Event": event}) == expected
    (found,) = decode("foreign/biostar/gate", {"EventCollection": {"rows": [event]}})
    assert found.source == "54/2"


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("DoorStateChanged", {"state": "opened"}, ("door_open", True)),
        ("DoorStateChanged", {"state": "closed"}, ("door_closed", False)),
        ("DoorOpenTooLong", {"state": "in"}, ("door_held_open", None)),
        ("DoorOpenTooLong", {"state": "out"}, ("alarm_end", False)),
        ("UnauthorizedDoorOpen", {"state": "in"}, ("alarm", None)),
        ("TamperSwitchActivated", {"state": "in"}, ("tamper", False)),
        ("CardEntered", {"direction": "in", "uid": "8D01", "valid": True}, ("access_granted", None)),
        ("CodeEntered", {"code": "1234", "valid": False}, ("access_denied", False)),
        ("SwitchStateChanged", {"switch": 1, "state": True}, ("door_unlocked", None)),
        ("InputChanged", {"port": "input1", "state": True}, ("door_state_unknown", None)),
    ],
)  # fmt: skip
def test_an_event_of_a_2n_intercom_is_the_contact_the_relay_or_a_reader(
    name: str, params: Any, expected: Any
) -> None:
    event = {"id": 5, "utcTime": 1767322000, "upTime": 8, "event": name, "params": params}
    assert said("foreign/2n/gate", event) == expected
    assert said("foreign/2n/gate", {"success": True, "result": {"events": [event]}}) == expected


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("doorcontact_state", "true", ("door_open", None)), ("doorcontact_state", 0, ("door_closed", None)),
        ("alarm_lock", "pry", ("tamper", False)), ("alarm_lock", "unclosed_time", ("door_held_open", None)),
        ("alarm_lock", "low_battery", ("battery_low", False)), ("alarm_lock", "wrong_card", ("access_denied", False)),
        ("unlock_hand", 2, ("door_unlocked", None)), ("open_inside", False, ("telemetry", False)),
    ],
)  # fmt: skip
def test_a_value_of_tuya_is_read_in_whatever_type_it_comes(code: str, value: Any, expected: Any) -> None:
    assert said("foreign/tuya/x", {"devId": "d", "status": [{"code": code, "value": value}]}) == expected


def test_a_data_point_of_tuya_without_a_code_can_be_listed_by_its_number() -> None:
    for payload in ({"devId": "d", "status": [{"101": True, "t": 1}]}, {"devId": "d", "dps": {"101": True}}):
        found = one("foreign/tuya/x", payload)
        assert (found.source, found.kind, found.raw) == ("d/101", Kind.DOOR_STATE_UNKNOWN, "TRUE")


def test_a_siren_that_sounds_is_said() -> None:
    assert said("zigbee2mqtt/siren", {"alarm": True, "linkquality": 3}) == ("alarm", False)
    assert said("zigbee2mqtt/siren", {"alarm": False, "battery_low": True, "linkquality": 3}) == (
        "battery_low",
        False,
    )


# -- other shapes of families that are known ------------------------------------------------------------------------------


def test_a_form_field_of_a_hikvision_terminal_is_read_as_text_too() -> None:
    inner = {"majorEventType": 5, "subEventType": 25, "doorNo": 1}
    whole = {
        "eventType": "AccessControllerEvent",
        "dateTime": "2026-01-02T03:04:05+08:00",
        "AccessControllerEvent": inner,
    }
    for payload in (
        {"event_log": json.dumps(whole)},
        {"eventType": "AccessControllerEvent", "AccessControllerEvent": json.dumps(inner)},
    ):
        assert said("foreign/hikvision/gate", payload) == ("door_open", True)
    assert said("foreign/hikvision/gate", {"event_log": "{"})[0] == "unknown"
    assert said("foreign/hikvision/gate", {"event_log": json.dumps(inner)}) == ("door_open", True)
    assert said("foreign/hikvision/gate", {"event_log": json.dumps({"event_log": "{}"})})[0] == "unknown"


def test_a_door_that_a_dahua_station_found_broken_open_is_an_alarm() -> None:
    found = one(
        "DahuaVTO/DoorStatus/Event", {"Action": "Pulse", "Data": {"Status": "Break", "UTC": 1767322000}}
    )
    assert (found.kind, found.event_type) == (Kind.ALARM, EventType.DOOR_FORCED_OPEN)
    assert one("DahuaVTO/DoorStatus/Event", {"Action": "Pulse", "Data": {"Status": "Open"}}).opening is True


def test_a_metric_of_sparkplug_has_its_value_by_the_protocols_own_name_too() -> None:
    metrics = [{"name": "Front Door/Open", "booleanValue": True}]
    assert (
        said("spBv1.0/site/DDATA/node/device", {"timestamp": 1767322000000, "metrics": metrics})[0]
        == "door_open"
    )


def test_a_door_of_an_axis_controller_is_read_in_its_own_wrapping() -> None:
    event = {
        "topic": "tns1:Door/State/DoorPhysicalState", "timestamp": 1767322000000, "serial": "ACCC8E000001",
        "message": {"source": {"DoorToken": "d1"}, "key": {}, "data": {"State": "Open"}},
    }  # fmt: skip
    found = one("axis/ACCC8E000001/event/tns1:Door/State/DoorPhysicalState/$source/DoorToken/d1", event)
    assert (found.kind, found.source, found.occurred_ms) == (Kind.DOOR_OPEN, "ACCC8E000001/d1", 1767322000000)
    # A message of somebody else's with a topic of its own is not taken for one.
    other = {"topic": "house/hall", "message": {"lost": 1}, "contact": "open"}
    assert said("log/x", other) == ("door_open", None)


def test_a_door_that_a_script_of_a_shelly_gateway_publishes_is_read_on_any_topic() -> None:
    values = {
        "encryption": False,
        "BTHome_version": 2,
        "pid": 1,
        "battery": 90,
        "window": 1,
        "address": "AA:BB",
    }
    assert said("house/blu/hall", values) == ("door_open", None)
    assert said("house/blu/hall", {**values, "window": 0})[0] == "door_closed"
    assert said("shelly-blu/events", {"event": "shelly-blu", "data": values}) == ("door_open", None)
    assert one("house/blu/hall", values).source == "aa:bb"


# -- no input makes a dialect fail ------------------------------------------------------------------------------------

_NAMES = (
    "event", "params", "utcTime", "Event", "event_type_id", "code", "id", "lockId", "recordType", "lockDate", "records", "idx",
    "nvalue", "dtype", "switchType", "entity_id", "state", "new_state", "attributes", "telegram", "functions", "key", "value",
    "CO", "_RORG_", "variable", "devId", "status", "dps", "model", "time", "cmd", "opened", "RfRaw", "Data", "event_log",
    "AccessControllerEvent", "message", "source", "topic", "BTHome_version", "addr", "Code", "Action", "metrics", "contact",
)  # fmt: skip
_VALUES = (
    None,
    True,
    0,
    2,
    10**30,
    1.5,
    "",
    "on",
    "OPEN",
    "{}",
    '{"event_log":"{}"}',
    "AA B1 FF 55",
    1767322000000,
)
_TOPICS = (
    None, "x", "foreign/ttlock/a", "foreign/biostar/a", "foreign/2n/a", "foreign/hikvision/a", "rtl_433/h/events",
    "rtl_433/h/devices/M/1/state", "domoticz/out", "tele/t/RESULT", "spBv1.0/a/DDATA/b/c", "axis/a/event/x", "shelly/x",
)  # fmt: skip


def _junk(chance: random.Random, depth: int = 0) -> Any:
    drawn = chance.random()
    if depth < 4 and drawn < (0.35 if depth else 0.9):
        return {chance.choice(_NAMES): _junk(chance, depth + 1) for _ in range(chance.randint(1, 8))}
    if depth < 4 and drawn < 0.5:
        return [_junk(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    return chance.choice(_VALUES)


def test_no_mixture_of_their_names_and_values_makes_a_dialect_fail() -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    for _ in range(4000):
        topic, payload = chance.choice(_TOPICS), _junk(chance)
        try:
            decode(topic, payload)
        except Exception as error:
            pytest.fail(f"seed {seed}: {error!r} of {topic} {payload}")
