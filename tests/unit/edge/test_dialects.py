"""What foreign frames mean: recordings of other makers' devices, and the traps they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decode import decode_file, main, merge
from edge.dialects import DIALECTS, decode, interpret
from edge.dialects.bthome import decode_service_data
from edge.dialects.lorawan import decode_uplink
from edge.reading import MEANINGS, Kind, Nature, summarise

_SHARED = Path(os.environ.get("KAIMEN_SHARED", Path(__file__).resolve().parents[4] / "shared"))
_PAYLOADS = sorted((_SHARED / "payloads").glob("*.jsonl"))


@pytest.mark.skipif(not _PAYLOADS, reason="the shared recordings are not on this machine (KAIMEN_SHARED)")
def test_no_recording_of_another_maker_is_misread() -> None:
    report = merge([decode_file(path) for path in _PAYLOADS])
    assert report["total"] >= 98
    assert [row for row in report["samples"] if row["verdict"] in ("wrong", "crashed")] == []
    assert report["correct"] >= 93


def test_every_kind_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Kind)


def kind_of(topic: str | None, payload: Any) -> tuple[str, bool | None]:
    found = interpret(topic, payload)
    return str(found.kind), found.opening


# -- polarity ----------------------------------------------------------------------------------------------------


def test_a_false_contact_of_zigbee2mqtt_is_open_and_proves_nothing_by_itself() -> None:
    assert kind_of("zigbee2mqtt/front", {"contact": False, "linkquality": 20}) == ("door_open", None)
    assert kind_of("zigbee2mqtt/front", {"contact": True, "linkquality": 20})[0] == "door_closed"


def test_the_base_topic_of_zigbee2mqtt_may_be_any() -> None:
    assert kind_of("house/Porte entrée", {"contact": False, "linkquality": 20})[0] == "door_open"


def test_a_contact_of_one_behind_a_tasmota_bridge_is_open_and_is_an_event() -> None:
    received = {"ZbReceived": {"0x12": {"Device": "0x12", "Contact": 1}}}
    assert kind_of("tele/bridge/SENSOR", received) == ("door_open", True)
    stored = {"ZbInfo": {"0x12": {"Device": "0x12", "ZoneType": 21, "Contact": 1}}}
    assert kind_of("tele/bridge/SENSOR", stored) == ("door_open", None)


def test_a_boolean_contact_of_nobody_known_is_not_taken_to_mean_anything() -> None:
    assert kind_of("somewhere/else", {"contact": True}) == ("door_state_unknown", None)


def test_a_learned_radio_code_stays_open_until_the_table_names_it() -> None:
    frame = {"RfReceived": {"Data": "81FEE7", "RfKey": 3}}
    assert kind_of("tele/rf/RESULT", frame) == ("unknown", None)
    assert kind_of("tele/rf/RESULT", {"RfReceived": {"Data": "81FEEB", "RfKey": 5}})[0] == "tamper"


def test_a_zone_without_a_type_is_not_taken_for_a_door() -> None:
    received = {"ZbReceived": {"0x12": {"Device": "0x12", "ZoneStatusChange": 1}}}
    assert kind_of("tele/bridge/SENSOR", received)[0] == "door_state_unknown"


# -- presses, repeats, replays -----------------------------------------------------------------------------------


def test_the_empty_action_after_a_press_is_nothing() -> None:
    assert kind_of("zigbee2mqtt/button", {"action": "", "linkquality": 9})[0] == "none"


def test_a_press_on_the_legacy_topic_is_told_but_not_counted_again() -> None:
    (reading,) = decode("zigbee2mqtt/button/action", b"emergency")
    assert reading.kind is Kind.SOS
    assert reading.event_type is None


def test_an_access_decision_is_no_opening() -> None:
    event = {"eventType": "AccessControllerEvent", "dateTime": "2026-01-05T08:00:00+08:00"}
    for minor, kind, opening in (
        (75, "access_granted", None),
        (76, "access_denied", False),
        (21, "door_unlocked", None),
        (22, "door_locked", False),
        (25, "door_open", True),
        (26, "door_closed", False),
        (28, "door_held_open", None),
        (37, "call", False),
        (9999, "unknown", None),
    ):
        inner = {"majorEventType": 5, "subEventType": minor, "doorNo": 1}
        assert kind_of("http-post", event | {"AccessControllerEvent": inner}) == (kind, opening)


def test_a_stored_event_of_a_terminal_is_history_with_its_own_time() -> None:
    (reading,) = decode(
        "foreign/hikvision/gate-1",
        {
            "eventType": "AccessControllerEvent",
            "dateTime": "2026-01-05T08:00:00+08:00",
            "AccessControllerEvent": {
                "majorEventType": 5,
                "subEventType": 1,
                "currentEvent": False,
                "cardNo": "4711",
            },
        },
    )
    assert reading.nature is Nature.HISTORY
    assert reading.occurred_ms == 1_767_571_200_000
    assert reading.source == "gate-1/1"
    assert "4711" not in repr(reading)


def test_a_notification_in_xml_reads_as_the_one_in_json() -> None:
    text = (
        "<EventNotificationAlert><ipAddress>192.0.2.1</ipAddress><dateTime>2026-01-05T08:00:00+08:00</dateTime>"
        "<eventType>AccessControllerEvent</eventType><eventState>active</eventState><AccessControllerEvent>"
        "<majorEventType>5</majorEventType><subEventType>25</subEventType><doorNo>2</doorNo>"
        "</AccessControllerEvent></EventNotificationAlert>"
    )
    assert kind_of("http-post", text) == ("door_open", True)


def test_a_carried_device_may_be_listed_under_its_carriers_name() -> None:
    topic = "foreign/zkteco/gate-1/iclock/cdata?SN=77&table=rtlog"
    (reading,) = decode(topic, "time=2026-07-08 16:00:19\tpin=5\tcardno=0\teventaddr=2\tevent=200")
    assert (reading.source, reading.aliases) == ("77/2", ("77", "gate-1/2", "gate-1"))


def test_an_event_code_that_nobody_wrote_down_is_no_entry() -> None:
    line = "time=2026-07-08 16:00:19\tpin=5\tcardno=0\teventaddr=1\tevent=7777\tinoutstatus=0"
    assert kind_of("POST /iclock/cdata?SN=1&table=rtlog", line)[0] == "unknown"
    assert kind_of("POST /iclock/cdata?SN=1&table=rtlog", line.replace("7777", "200")) == ("door_open", True)
    assert kind_of("POST /iclock/cdata?SN=1&table=rtlog", line.replace("7777", "27"))[0] == "access_denied"


def test_a_local_time_without_zone_is_no_instant() -> None:
    readings = decode("POST /iclock/cdata?SN=1&table=ATTLOG", "11\t2025-08-27 10:57:49\t0\t15\t0")
    assert [(r.occurred_ms, r.method) for r in readings] == [(None, "face")]


def test_a_door_position_webhook_tells_a_change() -> None:
    body = {
        "event": "access.device.dps_status",
        "data": {"location": {"id": "d"}, "object": {"status": "open"}},
    }
    assert kind_of("http-post", body) == ("door_open", True)


def test_a_property_event_of_onvif_is_a_state() -> None:
    topic = "dev/onvif-ej/tns1:Door/State/DoorPhysicalState/&Door_1"
    body = {"UtcTime": "2026-01-10T12:24:57Z", "Source": {"DoorToken": "Door_1"}, "Data": {"State": "Open"}}
    assert kind_of(topic, body) == ("door_open", None)
    taken = "dev/onvif-ej/AccessControl/AccessTaken/Credential/&AP_1"
    assert kind_of(taken, {"Source": {"AccessPointToken": "AP_1"}, "Data": {}}) == ("access_taken", True)


def test_a_clock_that_was_never_set_is_not_read() -> None:
    frame = {"src": "shellyplus1-a", "method": "NotifyEvent", "params": {"ts": 12.5, "events": [
        {"component": "input:0", "event": "single_push", "ts": 12.5}]}}  # fmt: skip
    assert [reading.occurred_ms for reading in decode("shellyplus1-a/events/rpc", frame)] == [None]


# -- bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "model", "port", "data", "kind"),
    [
        ("Milesight", "WS301", 85, "030000", Kind.DOOR_CLOSED),
        ("Milesight", "EM300-MCS", 85, "01755c03673401046865060000", Kind.DOOR_CLOSED),
        ("Milesight", "WS202", 85, "030000040001", Kind.NO_MOTION),
        ("Milesight", "WS303", 85, "017564030001", Kind.WATER_LEAK),
        ("Milesight", "WS203", 85, "01756403673401046865050001", Kind.OCCUPIED),
        ("Milesight", "VS330", 85, "01756402824408038e01", Kind.OCCUPIED),
        ("Milesight", "WS101-SOS", 85, "ff2e01", Kind.SOS),
        ("Milesight", "WS301", 85, "ff0bffff0101ff086412a12345670fff", Kind.DEVICE_BOOT),
        ("Dragino", "LDS02", 10, "8b8801001bb4000000 00", Kind.DOOR_OPEN),
        ("Dragino", "LDS03A", 2, "0100000a000001657b7b00", Kind.DOOR_OPEN),
        ("Dragino", "LWL03A", 2, "0000000a000001657b7b00", Kind.WATER_OK),
        ("Dragino", "DS03A-LB", 5, "1b010001ff0c00", Kind.CONFIG),
        ("Browan", "TBMS100", 102, "00bb340400dc7801", Kind.VACANT),
        ("Browan", "MerryIoT DW10", 120, "010f1a2d0000030000", Kind.DOOR_OPEN),
        ("Radio Bridge", "RBS301-DWS", 2, "1f0301", Kind.DOOR_OPEN),
        ("nobody", "X1", 1, "00", Kind.UNKNOWN),
    ],
)
def test_the_bytes_of_a_makers_line(vendor: str, model: str, port: int, data: str, kind: Kind) -> None:
    assert summarise(decode_uplink(vendor, model, port, bytes.fromhex(data), "x")).kind is kind


def test_a_counter_of_openings_is_read_only_from_a_whole_frame() -> None:
    (whole,) = decode_uplink("Dragino", "LDS02", 10, bytes.fromhex("0b8801001bb300000000"), "x")
    (cut,) = decode_uplink("Dragino", "LDS02", 10, bytes.fromhex("0b880100250001"), "x")
    assert (whole.opens, cut.opens) == (7091, None)


def test_stored_records_of_a_sensor_carry_their_own_time() -> None:
    data = bytes.fromhex("20ce9e74466310015d0120ce9f74466310015d00")
    readings = decode_uplink("Milesight", "EM300-MCS", 85, data, "x")
    assert [(r.kind, r.nature, r.occurred_ms) for r in readings] == [
        (Kind.DOOR_OPEN, Nature.HISTORY, 1_665_561_758_000),
        (Kind.DOOR_CLOSED, Nature.HISTORY, 1_665_561_759_000),
    ]


def test_an_encrypted_advertisement_says_nothing() -> None:
    assert summarise(decode_service_data(bytes.fromhex("4162511158bd25"), "m")).kind is Kind.UNKNOWN
    found = decode_service_data(bytes.fromhex("44005d01642d01"), "m")
    assert summarise(found).kind is Kind.DOOR_OPEN
    assert found[0].key == "packet:93"


def test_an_uplink_names_its_time_and_stays_open_without_a_model() -> None:
    body = {
        "deduplicationId": "a-b", "time": "2026-01-05T08:00:00.123456789+00:00", "fPort": 10, "data": "C4gBABuzAAAAAA==",
        "deviceInfo": {"devEui": "0101010101010101", "deviceName": "front", "deviceProfileName": "Dragino LDS02"},
    }  # fmt: skip
    topic = "application/a/device/0101010101010101/event/up"
    (reading,) = decode(topic, body)
    assert (reading.kind, reading.opens, reading.occurred_ms) == (Kind.DOOR_CLOSED, 7091, 1_767_600_000_123)
    body["deviceInfo"] = {"devEui": "0101010101010101", "deviceProfileName": "profile 7"}
    (reading,) = decode(topic, body)
    assert reading.kind is Kind.UPLINK
    assert reading.uplink is not None and reading.uplink.port == 10


# -- nothing makes a dialect fail --------------------------------------------------------------------------------

_NAMES = st.sampled_from(
    [
        "contact", "action", "state", "ZbReceived", "ZbInfo", "RfReceived", "Switch1", "method", "params", "events",
        "AccessControllerEvent", "majorEventType", "subEventType", "major", "minor", "Data", "Action", "Code", "event",
        "data", "deviceInfo", "devEui", "fPort", "object", "metrics", "value", "name", "end_device_ids",
        "uplink_message", "frm_payload", "decoded_payload", "servicedata", "model_id", "mac", "open", "model", "id",
        "Source", "UtcTime", "header", "body", "type", "openType", "openTime", "pin", "eventNo", "time", "ts",
    ]
)  # fmt: skip
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "ON",
            "Open",
            "NotifyEvent",
            "0b8801001bb300000000",
            "C4gBABuzAAAAAA==",
            "access.door.unlock",
            "ys.alarm",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=20,
)
_TOPICS = st.none() | st.text(max_size=30) | st.sampled_from(
    [
        "zigbee2mqtt/a", "zigbee2mqtt/bridge/event", "zigbee2mqtt/a/action", "tele/a/SENSOR", "stat/a/RESULT",
        "shellies/a/sensor/state", "shellies/a/input_event/0", "shellyplus1-a/events/rpc", "shellyplus1-a/status/input:0",
        "a/binary_sensor/door/state", "a/status", "application/1/device/2/event/up", "gateway/1/event/stats", "v3/a/devices/b/up",
        "home/x/BTtoMQTT/AA", "home/x/433toMQTT", "rtl_433/x/events", "spBv1.0/g/DDATA/n/d", "spBv1.0/STATE/h",
        "d/onvif-ej/Door/State/DoorPhysicalState/&1", "d/onvif-ej/AccessControl/Request/Timeout", "DahuaVTO/AccessControl/Event",
        "POST /iclock/cdata?SN=1&table=rtlog", "POST /iclock/cdata?SN=1&table=rtstate", "POST /iclock/cdata?SN=1&table=ATTLOG",
        "foreign/hikvision/a", "foreign/zkteco/a", "http-post",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(topic=_TOPICS, payload=_VALUES, encoding=st.sampled_from([None, "json", "text", "lorawan"]))
def test_no_value_makes_a_dialect_fail(topic: str | None, payload: Any, encoding: str | None) -> None:
    found = interpret(topic, payload, encoding)
    assert found.kind in MEANINGS


@settings(max_examples=300, deadline=None)
@given(topic=_TOPICS, payload=st.binary(max_size=80))
def test_no_bytes_make_a_dialect_fail(topic: str | None, payload: bytes) -> None:
    assert interpret(topic, payload).kind in MEANINGS


@settings(max_examples=300, deadline=None)
@given(
    vendor=st.sampled_from(
        ["milesight", "dragino", "browan", "elsys", "netvox", "radiobridge", "cayenne", "sensative", "tektelic"]
    ),
    model=st.sampled_from(["WS301", "EM300-MCS", "EM300-DI", "VS373", "AT101", "LDS02", "LDS03A", "DS03A", "CPL01", "LHT65N",
                           "PB01", "TBDW100", "DW10", "R311A", "RB11E", ""]),
    port=st.none() | st.integers(0, 255),
    data=st.binary(max_size=40),
)  # fmt: skip
def test_no_radio_bytes_make_a_codec_fail(vendor: str, model: str, port: int | None, data: bytes) -> None:
    assert decode_uplink(vendor, model, port, data, "x")


@given(data=st.binary(max_size=40), version=st.sampled_from([1, 2]))
def test_no_advertisement_makes_bthome_fail(data: bytes, version: int) -> None:
    assert decode_service_data(data, "x", version=version)


def test_a_payload_nested_without_end_is_no_object() -> None:
    assert interpret("zigbee2mqtt/a", b"[" * 100_000).kind in MEANINGS
    assert interpret("zigbee2mqtt/a", b'{"a":' * 5_000 + b"1" + b"}" * 5_000).kind in MEANINGS


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_named_dialect_that_does_not_know_the_frame_says_so(name: str) -> None:
    readings = decode(f"foreign/{name}/box", b"\x00\x01")
    assert summarise(readings).opening is None


# -- the command -------------------------------------------------------------------------------------------------


def test_the_report_counts_what_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": "1", "topic": "zigbee2mqtt/a", "encoding": "json", "payload": {"contact": False},
         "meaning": {"kind": "door_open", "proves_opening": None}},
        {"id": "2", "topic": "zigbee2mqtt/a", "encoding": "json", "payload": {"contact": False},
         "meaning": {"kind": "door_closed", "proves_opening": None}},
        {"id": "3", "topic": "zigbee2mqtt/a", "encoding": "json", "payload": {"contact": False},
         "meaning": {"kind": "door_open", "proves_opening": True}},
        {"id": "4", "topic": "nobody/knows", "encoding": "text", "payload": "x",
         "meaning": {"kind": "door_open", "proves_opening": True}},
        {"id": "5", "topic": "zigbee2mqtt/a", "encoding": "json", "payload": {"contact": True}},
    ]  # fmt: skip
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows))
    assert main([str(path), "--json"]) == 0
    report = msgspec.json.decode(capsys.readouterr().out)
    counts = {
        name: report[name] for name in ("total", "labelled", "correct", "wrong", "undecided", "crashed")
    }
    assert counts == {"total": 5, "labelled": 4, "correct": 1, "wrong": 1, "undecided": 2, "crashed": 0}
    assert set(report["samples"][0]) == {
        "id",
        "kind",
        "opening",
        "expected_kind",
        "expected_opening",
        "verdict",
        "why",
    }
    assert main([str(path)]) == 0
    assert "door_open" in capsys.readouterr().out
