"""Alarm panels, house automation, buses and small makers' controllers: what each says of a door, and the traps in it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.device_table import DeviceEntry
from edge.dialects import DIALECTS, decode
from edge.dialects.frame import Frame, make_frame
from edge.dialects.hikvision import code_of
from edge.dialects.lorawan import decode_uplink
from edge.reading import Kind, Nature, Reading, summarise
from edge.tracker import DeviceState, Receipt, advance, begin_boot
from kaimen.vocabulary import EventType

_SHARED = Path(os.environ.get("KAIMEN_SHARED", Path(__file__).resolve().parents[4] / "shared"))
_PAYLOADS = sorted((_SHARED / "payloads").glob("*.jsonl"))
_NEW = (
    "panel", "esprfid", "akuvox", "openhab", "homekit", "ewelink", "matter", "zha", "knx", "rflink", "rfxcom", "wmbus",
    "iobroker", "thing", "smartthings", "ring",
)  # fmt: skip


def said(topic: str, payload: Any) -> tuple[str, bool | None]:
    found = summarise(decode(topic, payload))
    return str(found.kind), found.opening


def one(topic: str, payload: Any) -> Reading:
    (found,) = decode(topic, payload)
    return found


# -- alarm panels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        # "Opening" and "closing" of a panel are disarming and arming.
        ('"SIA-DCS"0001L0#1234[#1234|Nri1OP]', ("none", False)),
        ('"SIA-DCS"0001L0#1234[#1234|Nri1/CL]', ("none", False)),
        ('"ADM-CID"0001L0#1234[#1234|1401 01 002]', ("none", False)),
        ('"ADM-CID"0001L0#1234[#1234|3401 01 002]', ("none", False)),
        # A burglar alarm is of a zone that may hear motion, its restore no door that shut, and a tamper's no opening.
        ('5A3B002E"SIA-DCS"0001L0#1234[#1234|Nri1/BA003]_10:00:00,01-02-2026', ("alarm", None)),
        ('"SIA-DCS"0001L0#1234[#1234|Nri1/BR003]', ("alarm_end", False)),
        ('"SIA-DCS"0001L0#1234[#1234|Nri1/TA003]', ("tamper", False)),
        ('"SIA-DCS"0001L0#1234[#1234|Nri1/TR003]', ("alarm_end", False)),
        ('"ADM-CID"0001L0#1234[#1234|1130 01 003]', ("alarm", None)),
        ("[#1234|3130 01 003]", ("alarm_end", False)),
        ("[#1234|1101 01 003]", ("sos", False)),
        ("[#1234|1111 01 003]", ("smoke", False)),
        ("[#1234|3111 01 003]", ("smoke_ok", False)),
        ("[#1234|1423 01 003]", ("alarm", None)),
        ("[#1234|1426 01 003]", ("door_held_open", None)),
        ("[#1234|1602 00 000]", ("heartbeat", False)),
        ('"SIA-DCS"0001L0#1234[#1234|Nri1/DG012]', ("access_granted", None)),
        ('"SIA-DCS"0001L0#1234[#1234|Nri1/DO012]', ("door_unlocked", None)),  # the access point, not the contact
        ('"SIA-DCS"0001L0#1234[#1234|NQA]', ("sos", False)),
        ('"NULL"0000L0#1234[]', ("heartbeat", False)),
        ('"*SIA-DCS"0001L0#1234[9f3a77c2]', ("unknown", None)),
    ],
)  # fmt: skip
def test_a_panels_report_is_of_a_zone_and_its_opening_is_no_door(
    report: str, expected: tuple[str, bool | None]
) -> None:
    assert said("alarms/house", report) == expected


def test_a_panels_report_names_its_zone_its_instant_and_its_code_for_the_device_table() -> None:
    found = one("alarms/house", '"ADM-CID"0001L0#1234[#1234|1131 01 003]_10:00:00,01-02-2026')
    assert (found.source, found.raw, found.occurred_ms) == ("alarms/house/3", "1131", 1767348000000)
    assert one("alarms/house", "[#1234|6130 01 003]").nature is Nature.STATE
    forced = one("sia", {"account": "1234", "code": "DF", "zone": "4"})
    assert (forced.event_type, forced.source) == (EventType.DOOR_FORCED_OPEN, "sia/4")


def test_sixteen_digits_are_a_report_only_on_a_panels_topic_and_where_they_add_up() -> None:
    assert said("alarm/line", "1234181131010158") == ("alarm", None)
    assert said("alarm/line", "1234181131010159") == ("unknown", None)
    assert said("gate/reader", "1234181131010158") == ("unknown", None)


# -- house automation and buses ------------------------------------------------------------------------------------


def openhab(name: str, sort: str, value: str, before: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"type": sort, "value": value}
    if before is not None:
        body |= {"oldType": sort, "oldValue": before}
    topic = f"openhab/items/{name}/statechanged"
    return {
        "topic": topic,
        "payload": msgspec.json.encode(body).decode(),
        "type": "ItemStateChangedEvent" if before else "ItemStateEvent",
    }


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (openhab("Hall", "OpenClosed", "OPEN", "CLOSED"), ("door_open", True)),
        (openhab("Hall", "OpenClosed", "OPEN", "NULL"), ("door_open", None)),  # seen first
        (openhab("Hall", "OpenClosed", "OPEN"), ("door_open", None)),
        (openhab("Hall", "OpenClosed", "CLOSED", "OPEN"), ("door_closed", None)),
        (openhab("FrontDoor_Light", "OnOff", "ON", "OFF"), ("telemetry", False)),
        (openhab("FrontDoor", "OnOff", "ON", "OFF"), ("door_state_unknown", None)),
        ({"topic": "openhab/items/Lock/command", "payload": "{}", "type": "ItemCommandEvent"}, ("none", False)),
        ({"characteristic": "ContactSensorState", "value": 1, "name": "Hall"}, ("door_open", None)),
        ({"characteristic": "LeakDetected", "value": 1, "name": "Bath"}, ("water_leak", False)),
        # One of eWeLink's switches is a door only on its door sensors.
        ({"deviceid": "a", "params": {"switch": "on", "battery": 3}, "extra": {"uiid": 102}}, ("door_open", None)),
        ({"deviceid": "a", "params": {"lock": 0, "battery": 3}, "extra": {"uiid": 3026}}, ("door_closed", None)),
        ({"deviceid": "a", "params": {"lock": 1, "trigTime": "1767348000000"}}, ("door_state_unknown", None)),
        ({"deviceid": "a", "params": {"switch": "on"}}, ("telemetry", False)),
        ({"deviceid": "a", "params": {"online": False}}, ("device_offline", False)),
        # True of Matter's boolean state is a shut contact or a wet floor.
        ({"event": "attribute_updated", "data": [5, "1/69/0", True]}, ("door_state_unknown", None)),
        ({"event": "attribute_updated", "data": [5, "1/257/3", 5]}, ("door_open", None)),
        ({"event": "attribute_updated", "data": [5, "1/257/0", 1]}, ("door_locked", False)),
        ({"event": "attribute_updated", "data": [5, "1/1030/0", 1]}, ("occupied", False)),
        ({"device_ieee": "00:0d", "endpoint_id": 1, "command": "status_change_notification", "args": [1, 0, 0, 0]}, ("door_state_unknown", None)),
        ({"device_ieee": "00:0d", "endpoint_id": 1, "command": "toggle", "args": []}, ("button", False)),
        # The two door types of KNX have opposite polarity, and a read is nobody's door.
        ({"destination": "1/2/3", "telegramtype": "GroupValueWrite", "dpt": "1.019", "value": True}, ("door_open", None)),
        ({"destination": "1/2/3", "telegramtype": "GroupValueWrite", "dpt": "DPST-1-9", "value": 1}, ("door_closed", None)),
        ({"destination": "1/2/3", "telegramtype": "GroupValueWrite", "value": True}, ("door_state_unknown", None)),
        ({"destination": "1/2/3", "telegramtype": "GroupValueRead"}, ("none", False)),
        ({"_msgid": "1a", "topic": "hall/door", "payload": "open"}, ("door_open", None)),
        ({"_msgid": "1a", "topic": "", "payload": {"_msgid": "2b", "payload": {"contact": "closed"}}}, ("door_closed", None)),
    ],
)  # fmt: skip
def test_a_platform_says_what_its_own_types_mean_and_no_more(
    payload: dict[str, Any], expected: tuple[str, bool | None]
) -> None:
    assert said("house/events", payload) == expected


def test_a_value_asked_for_is_no_state_and_a_contact_of_homematic_is_open_at_one() -> None:
    value = {"val": True, "ts": 1767348000000, "lc": 1767348000000}
    assert said("iobroker/zigbee/0/a/opened", {**value, "ack": True}) == ("door_open", None)
    assert said("iobroker/zigbee/0/a/opened", {**value, "ack": False}) == ("none", False)
    assert said("iobroker/x/0/lamp", {**value, "ack": True}) == ("unknown", None)
    sort = {"hm": {"deviceType": "HM-Sec-SC"}}
    assert said("hm/status/Hall/STATE", {**value, **sort, "val": 0}) == ("door_closed", None)
    assert said("hm/status/Hall/LOWBAT", {**value, **sort, "val": 0})[0] != "door_closed"


def test_a_topic_named_after_its_true_state_says_it_of_doors_alone() -> None:
    assert said("homie/homey/hall-door/alarm-contact", "true") == ("door_open", None)
    assert said("paradox/states/zones/Front_door/open", "False") == ("door_closed", None)
    assert said("paradox/states/zones/Hall_motion/open", "True") == ("unknown", None)
    assert said("house/front door lock/open", "true") == ("unknown", None)
    assert said("homie/x/door/contact", "true") == ("unknown", None)  # of which nobody knows what true is


# -- receivers and controllers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("20;2D;EV1527;ID=0a1b2c;SWITCH=0e;CMD=ON;", ("unknown", None)),  # a learned code
        ("20;2D;X10Secure;ID=01;PIR=ON;", ("motion", False)),
        ("20;2D;Byron;ID=01;CHIME=01;", ("call", False)),
        ({"type": "security1", "subtype": "X10 security door/window sensor", "id": "1", "deviceStatus": 2}, ("door_open", None)),
        ({"type": "security1", "subtype": "X10 security door/window sensor", "id": "1", "deviceStatus": 128}, ("door_closed", None)),
        ({"type": "security1", "subtype": "X10 security motion sensor", "id": "1", "deviceStatus": 2}, ("motion", False)),
        ({"type": "security1", "subtype": "KR18", "id": "1", "deviceStatus": "Panic"}, ("sos", False)),
        ({"media": "other", "meter": "lansendw", "name": "hall", "id": "7", "status": "OPEN"}, ("door_open", None)),
        ({"media": "water", "meter": "iperl", "name": "bath", "id": "8", "status": "OPEN"}, ("telemetry", False)),
        ({"type": "access", "time": 1767348000, "isKnown": "true", "access": "Always", "uid": "77"}, ("access_granted", None)),
        ({"type": "access", "time": 1767348000, "isKnown": "true", "access": "Expired", "uid": "77"}, ("access_denied", False)),
        ({"type": "access", "time": 1767348000, "isKnown": "false", "access": "Denied", "uid": "77"}, ("access_denied", False)),
        ({"type": "INFO", "src": "door", "desc": "Door Open", "time": 1767348000}, ("door_open", None)),
        ({"type": "INFO", "src": "mqtt", "desc": "Connection opened", "time": 1767348000}, ("none", False)),
        ("mac=0C1105000000:ip=192.0.2.1:model=R20A:firmware=320:relay1status=1", ("door_unlocked", None)),
        ({"mac": "0C1105000000", "firmware": "320", "input2status": "1"}, ("door_state_unknown", None)),
    ],
)  # fmt: skip
def test_receivers_and_controllers_are_read_and_a_relay_is_no_door(
    payload: Any, expected: tuple[str, bool | None]
) -> None:
    assert said("hall/receiver", payload) == expected


def uplink(vendor: str, model: str, port: int, data: str) -> list[tuple[str, str, str | None, Nature]]:
    found = decode_uplink(vendor, model, port, bytes.fromhex(data), "x")
    return [(str(item.kind), item.source, item.raw, item.nature) for item in found]


def test_an_opening_sensor_of_watteco_tells_its_door_and_its_housing_apart() -> None:
    assert uplink("watteco", "Clos'O", 125, "310a000f00551001") == [("door_open", "x", None, Nature.STATE)]
    assert uplink("nke-watteco", "CLOS_O", 125, "310a000f00551000")[0][0] == "door_closed"
    assert uplink("watteco", "Clos'O", 125, "110a000f00551001")[0][0] == "tamper"
    assert (
        uplink("watteco", "Clos'O", 125, "110a000f00551000")[0][0] == "telemetry"
    )  # restored, nothing opened
    assert uplink("watteco", "In'O", 125, "310a000f00551001") == [("door_state_unknown", "x/2", "ON", Nature.STATE)]  # fmt: skip
    assert uplink("watteco", "In'O", 125, "3101000f0055001001")[0][2] == "ON"
    assert uplink("watteco", "Clos'O", 125, "110a00500006410503040e6804")[0][0] == "telemetry"
    assert uplink("watteco", "Clos'O", 125, "30ff")[0][0] == "unknown"


def test_a_guarded_input_of_vega_waits_for_its_words_and_a_counting_one_is_no_door() -> None:
    tail = "00008265" + "19" + "01000000" + "2c010000" + "00000000" + "00000000"
    assert uplink("vega", "SI-11", 2, f"0164{tail}10") == [("door_state_unknown", "x", "ON", Nature.EDGE)]
    assert uplink("vega", "SI-11", 2, f"0064{tail}40") == [("door_state_unknown", "x/3", "OFF", Nature.STATE)]
    assert uplink("vega", "SI-11", 2, f"0064{tail}00")[0][0] == "telemetry"
    assert uplink("vega", "Smart-MS0101", 2, "016400190001008265" + "65")[0][0] == "door_state_unknown"
    assert uplink("vega", "Smart-MS0101", 2, "016400190000008265" + "65")[0][0] == "telemetry"
    assert uplink("vega", "Smart-MS0101", 2, "01")[0][0] == "unknown"


def test_what_hikvision_says_of_its_own_firmware_and_payments_is_nobody_refused() -> None:
    kinds = {minor: code_of(5, minor).kind for minor in (0x8E, 0xAC, 0xAD, 0xAF, 0xB1, 0xB6, 0xBA)}
    assert set(kinds.values()) == {Kind.ERROR, Kind.CONFIG, Kind.NONE}


# -- a birth -------------------------------------------------------------------------------------------------------

_DOOR = DeviceEntry(source="g/n/d/Front Door/Open", site="garden", device="s-1", door="3-1-1201")


def _metric(name: str, value: bool) -> dict[str, Any]:
    return {"timestamp": 1767322000000, "metrics": [{"name": "Front Door/Open", "dataType": "Boolean", "value": value}, {"name": "SOS", "value": value}]}  # fmt: skip


def _fold(state: DeviceState, topic: str, value: bool, now_ms: int) -> tuple[DeviceState, list[str | None]]:
    found = [item for item in decode(topic, _metric(topic, value)) if item.source == _DOOR.source]
    receipt = Receipt(now_ms=now_ms, uptime_ms=now_ms - 1767321000000)
    decision = advance(state, _DOOR, found, receipt, [None] * len(found))
    return decision.state, [event.state for event in decision.events]


def test_a_birth_of_sparkplug_tells_how_the_door_stands_and_is_no_opening() -> None:
    born = decode("spBv1.0/g/DBIRTH/n/d", _metric("", True))
    assert [item.kind for item in born] == [Kind.DEVICE_ONLINE, Kind.DOOR_OPEN]  # and no help was called for
    assert said("spBv1.0/g/DBIRTH/n/d", _metric("", True)) == ("device_online", False)
    receipt = Receipt(now_ms=1767322000000, uptime_ms=1_000_000)
    state = begin_boot(None, _DOOR, receipt, boot="b", machine_boot="m")
    state, events = _fold(state, "spBv1.0/g/DBIRTH/n/d", False, 1767322000000)
    assert events == []
    # What it said of the door makes the very next change an opening, which alone would have been a state seen first.
    _, events = _fold(state, "spBv1.0/g/DDATA/n/d", True, 1767322060000)
    assert events == ["Open"]


# -- nothing of another family is taken, and nothing ends a frame ---------------------------------------------------


@pytest.mark.skipif(not _PAYLOADS, reason="the shared recordings are not on this machine (KAIMEN_SHARED)")
def test_none_of_these_families_takes_a_message_of_another() -> None:
    samples = [msgspec.json.decode(line) for path in _PAYLOADS for line in path.read_bytes().splitlines()]
    taken = [
        (name, sample["id"])
        for sample in samples
        for name in _NEW
        if DIALECTS[name](make_frame(sample["topic"], sample["payload"])) is not None
    ]
    assert taken == []


_NAMES = (
    "type", "topic", "payload", "value", "oldValue", "val", "ts", "lc", "ack", "hm", "deviceType", "characteristic", "deviceid",
    "params", "switch", "lock", "extra", "uiid", "event", "data", "device_ieee", "command", "args", "zone_status", "destination",
    "telegramtype", "dpt", "dpt_main", "dpt_sub", "_msgid", "NAME", "ID", "CMD", "deviceStatus", "subtype", "meter", "id", "media",
    "status", "isKnown", "access", "time", "src", "desc", "mac", "relay1status", "input1status", "account", "code", "zone",
    "properties", "services", "devices", "notify_data", "body", "header", "items", "productKey", "deviceName", "messageType",
    "identifier", "subDevices", "identity", "events", "eventCode", "outputParams", "attribute", "capability", "LwReceived",
)  # fmt: skip
_VALUES = (
    None, True, 0, 2, 10**30, -1, 1.5, "", "on", "OPEN", "{}", "[", '{"type":"OpenClosed","value":"OPEN"}', "BA", "1130", "1/2/3", "1.019",
    "GroupValueWrite", "attribute_updated", "status_change_notification", "ItemStateEvent", "openhab/items/a/b", "1/69/0", "lansendw",
    "security1", "access", "INFO", "²", "٣", "2e400", 1767322000000,
)  # fmt: skip
_TEXTS = (
    '"ADM-CID"0001L0#1234[#1234|1131 01 003]_10:00:00,01-02-2026', '"SIA-DCS"0001L0#1234[#1234|Nri1/BA003]', "1234181131010159",
    "20;2D;EV1527;ID=0a1b2c;SWITCH=0e;CMD=ON;", "mac=0C:relay1status=1",
)  # fmt: skip


_TOPICS = (
    "x", "rflink/a", "alarm/x", "a/door/open", None, "/sys/a/b/thing", "/sys/a/b/thing/event/property/pack/post",
    "/sys/a/b/thing/event/property/history/post", "$sys/a/b/thing/event/post", "$oc/devices/d/sys/properties/report",
    "$thing/up/event/a/b", "tylink/d/thing/property/report", "/a/b/properties/report", "ring/a/b/c/contact/state",
)  # fmt: skip


def _junk(chance: random.Random, depth: int = 0) -> Any:
    drawn = chance.random()
    if depth < 4 and drawn < (0.35 if depth else 0.85):
        return {chance.choice(_NAMES): _junk(chance, depth + 1) for _ in range(chance.randint(1, 8))}
    if drawn < 0.5:
        return [_junk(chance, depth + 1) for _ in range(chance.randint(0, 4))] if depth < 4 else []
    if depth == 0:
        text = chance.choice(_TEXTS)
        place = chance.randrange(len(text))
        return text[:place] + chance.choice("\0\n;=#[]|²9Z") + text[place + chance.randrange(3) :]
    return chance.choice(_VALUES)


def test_no_mixture_of_their_names_and_values_makes_one_of_them_fail() -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    named: list[Callable[[Frame], Any]] = [DIALECTS[name] for name in _NEW]
    for _ in range(2000):
        topic, payload = chance.choice(_TOPICS), _junk(chance)
        try:
            found = [*decode(topic, payload)]
            for dialect in named:
                found += dialect(make_frame(topic, payload)) or []
        except Exception as error:
            pytest.fail(f"seed {seed}: {error!r} of {topic} {payload}")
        assert all(item.why and item.source is not None for item in found), (seed, topic, payload)
