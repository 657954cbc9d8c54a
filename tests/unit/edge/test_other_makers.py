"""Models that no recording at hand shows: what their makers publish of their bytes and words, and the traps in it."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.dialects import decode, interpret
from edge.dialects.lorawan import decode_uplink
from edge.reading import MEANINGS, Kind, Nature, summarise

_SHARED = Path(os.environ.get("KAIMEN_SHARED", Path(__file__).resolve().parents[4] / "shared"))
_PAYLOADS = sorted((_SHARED / "payloads").glob("*.jsonl"))


def uplink(vendor: str, model: str, port: int, data: str) -> list[tuple[str, str, bool | None]]:
    found = decode_uplink(vendor, model, port, bytes.fromhex(data), "x")
    return [(str(item.kind), item.source, item.opening) for item in found]


def kinds(topic: str, payload: Any) -> list[str]:
    return [str(item.kind) for item in decode(topic, payload)]


# -- Netvox ------------------------------------------------------------------------------------------------------


def test_a_fire_alarm_of_netvox_is_no_door() -> None:
    assert uplink("netvox", "RA02A", 6, "010a0124010000e6000000") == [("smoke", "x", False)]
    assert uplink("netvox", "RA02A", 6, "010a0124000000e6000000") == [("smoke_ok", "x", False)]
    assert uplink("netvox", "RA02C", 6, "0111012401000000000000")[0][0] == "alarm"


def test_an_accelerometer_of_netvox_is_nobody_at_home() -> None:
    assert uplink("netvox", "R718E", 6, "011c0124a53e643f0a4000") == [("telemetry", "x", False)]
    assert uplink("netvox", "RB11E", 6, "01030124099a00640100") == [("occupied", "x", False)]
    assert [kind for kind, _, _ in uplink("netvox", "RB11E", 6, "01030124099a00640001")] == [
        "vacant",
        "tamper",
    ]


def test_doors_of_netvox_are_one_or_two_and_say_when_the_battery_is_low() -> None:
    for model, kind in (("R311A", "02"), ("R718F", "1d"), ("R730F", "7d")):
        assert uplink("netvox", model, 6, f"01{kind}01240100000000") == [("door_open", "x", None)]
        assert uplink("netvox", model, 6, f"01{kind}01240000000000") == [("door_closed", "x", None)]
    both = uplink("netvox", "R718F2", 6, "013e01a40100000000")
    assert [item[:2] for item in both] == [("door_open", "x"), ("door_closed", "x/2"), ("battery_low", "x")]


def test_the_type_byte_of_netvox_tells_the_model_where_the_name_does_not() -> None:
    assert uplink("netvox", "", 6, "010201240100000000") == [("door_open", "x", None)]
    assert uplink("netvox", "", 6, "01fe01240100000000")[0][0] == "unknown"
    assert (
        uplink("netvox", "R311A", 6, "0102000a0020230101")[0][0] == "telemetry"
    )  # its version, not its state
    assert uplink("netvox", "R311A", 7, "8102000000000000000000")[0][0] == "config"
    assert uplink("netvox", "R311A", 42, "01")[0][0] == "error"


def test_buttons_bells_and_help_of_netvox_are_told_apart() -> None:
    assert uplink("netvox", "R312A", 6, "014d01240100000000")[0][0] == "sos"
    assert uplink("netvox", "R312", 6, "015501240100000000")[0][0] == "call"
    assert uplink("netvox", "R718T", 6, "013101240100000000")[0][0] == "button"
    assert [item[0] for item in uplink("netvox", "R311W", 6, "010601240001000000")] == [
        "water_ok",
        "water_leak",
    ]
    (dry,) = decode_uplink("netvox", "R718J", 6, bytes.fromhex("012101240100000000"), "x")
    assert (dry.kind, dry.raw) == (Kind.DOOR_STATE_UNKNOWN, "ON")


# -- other makers of radio sensors -------------------------------------------------------------------------------


def test_a_door_of_sensative_stays_open_until_the_table_names_its_words() -> None:
    (reading,) = decode_uplink("sensative", "Strips", 1, bytes.fromhex("ffff01500901"), "x")
    assert (reading.kind, reading.raw, reading.battery_percent) == (Kind.DOOR_STATE_UNKNOWN, "ON", 80.0)
    (stored,) = decode_uplink("sensative", "Strips", 2, bytes.fromhex("0001000000100900"), "x")
    assert (stored.nature, stored.raw) == (Nature.HISTORY, "OFF")
    assert uplink("sensative", "Strips", 1, "ffff01500200ea03000d000e001000")[0][0] == "water_ok"
    assert uplink("sensative", "Strips", 1, "ffff0c01")[0][0] == "tamper"
    assert uplink("sensative", "Strips", 1, "ff")[0][0] == "unknown"


def test_a_room_sensor_of_tektelic_moves_leaks_and_has_a_reed_of_either_polarity() -> None:
    (reading,) = decode_uplink("tektelic", "home sensor", 10, bytes.fromhex("0100ff"), "x")
    assert (reading.kind, reading.raw, reading.opening) == (Kind.DOOR_STATE_UNKNOWN, "ON", None)
    assert uplink("tektelic", "home sensor", 10, "036700d604685a0a00ff")[0][0] == "motion"
    assert uplink("tektelic", "home sensor", 10, "0900ff")[0][0] == "water_leak"
    assert uplink("tektelic", "home sensor", 10, "036700d6")[0][0] == "telemetry"
    assert uplink("tektelic", "home sensor", 100, "2a01")[0][0] == "config"


def test_a_supervisory_message_of_radio_bridge_may_carry_a_low_battery() -> None:
    assert [item[0] for item in uplink("radiobridge", "RBS301-DWS", 2, "1501020130")] == [
        "heartbeat",
        "battery_low",
    ]
    assert uplink("radiobridge", "RBS301-DWS", 2, "1501000130") == [("heartbeat", "x", False)]
    assert uplink("radiobridge", "RBS301-ABM", 2, "150e00")[0][0] == "vibration"


def test_a_door_of_mclimate_reports_and_tells_each_move_and_its_buttons_and_rooms_are_read() -> None:
    assert uplink("mclimate", "open-close", 2, "01ab00d91b5cae01") == [("door_open", "x", None)]
    (door,) = decode_uplink("mclimate", "open-close", 2, bytes.fromhex("120a01ab00d91b5cae00"), "x")
    assert (door.kind, door.raw, door.nature) == (Kind.DOOR_CLOSED, "OFF", Nature.STATE)
    (moved,) = decode_uplink("mclimate", "open-close", 2, bytes.fromhex("20ab00d91b5caf01"), "x")
    assert (moved.kind, moved.nature) == (Kind.DOOR_OPEN, Nature.EDGE)
    pressed = uplink("mclimate", "open-close", 2, "21ab00d91b5caf00")
    assert pressed == [("door_closed", "x", None), ("button", "x", False)]
    assert uplink("mclimate", "mc-button", 2, "01ab029b03") == [("button", "x", False)]
    assert uplink("mclimate", "mc-button", 2, "01ab029b00") == [("telemetry", "x", False)]
    assert uplink("mclimate", "pir-mini", 2, "0102888002f1c80101af") == [("occupied", "x", False)]
    assert uplink("mclimate", "pir-mini", 2, "3b0102809903e1cc000012") == [("vacant", "x", False)]
    assert uplink("mclimate", "pir-mini", 2, "0102")[0][0] == "unknown"
    assert uplink("mclimate", "vicki", 2, "011d5a78fa2c01f080")[0][0] == "unknown"


def test_a_flood_sensor_of_mclimate_tells_water_its_test_and_its_housing_apart() -> None:
    assert uplink("mclimate", "flood-sensor", 2, "08c9") == [("water_ok", "x", False), ("tamper", "x", False)]
    assert uplink("mclimate", "flood-sensor", 2, "42c9") == [("water_leak", "x", False)]
    assert uplink("mclimate", "flood-sensor", 2, "20c9") == [("water_ok", "x", False), ("button", "x", False)]


def test_the_four_contacts_of_adeunis_are_four_doors_of_unknown_polarity() -> None:
    found = decode_uplink("adeunis", "dry-contacts-2", 1, bytes.fromhex("40c20001000200030004a5"), "x")
    assert [(item.source, item.raw) for item in found[:4]] == [
        ("x", "ON"), ("x/2", "ON"), ("x/3", "OFF"), ("x/4", "OFF"),
    ]  # fmt: skip
    assert [item.kind for item in found] == [Kind.DOOR_STATE_UNKNOWN] * 4 + [Kind.BATTERY_LOW]
    kept = decode_uplink("adeunis", "dry-contacts-2", 1, bytes.fromhex("30c0000100020003000405"), "x")
    assert [item.raw for item in kept] == ["ON", "OFF", "ON", "OFF"]
    assert uplink("adeunis", "motion", 1, "5c80011e320020") == [("occupied", "x", False)]
    assert uplink("adeunis", "motion", 1, "5c800000320020") == [("vacant", "x", False)]


def test_a_smoke_detector_of_yobiiq_tells_a_test_from_a_fire() -> None:
    fire, test = "01005f020001030000040000050001060000070000", "01005f020001030000040000050001060000070001"
    for data, kind in ((fire, Kind.SMOKE), (test, Kind.SMOKE_TEST)):
        assert summarise(decode_uplink("yobiiq", "sd1001", 8, bytes.fromhex(data), "x")).kind is kind
    assert uplink("yobiiq", "sd1001", 8, "00") == [("config", "x", False)]
    assert uplink("yobiiq", "em2101", 11, "010101020200")[0][0] == "unknown"


def test_a_membrane_of_milesight_is_read_on_the_channel_of_its_table_and_of_its_sample() -> None:
    for channel in ("05", "06"):
        assert ("water_leak", "x", False) in uplink("milesight", "EM300-MLD", 85, f"01755c{channel}0001")


# -- gateways and door stations ----------------------------------------------------------------------------------


def test_a_curtain_is_neither_a_door_nor_somebody_who_moves() -> None:
    curtain = {
        "id": "AA:BB:CC:DD:EE:FF",
        "model_id": "W070160X",
        "type": "WCVR",
        "open": 0,
        "motion": True,
        "batt": 90,
    }
    assert kinds("home/x/BTtoMQTT/AABBCCDDEEFF", curtain) == ["telemetry"]
    contact = {
        "id": "AA:BB:CC:DD:EE:FF",
        "model_id": "W120150X",
        "type": "CTMO",
        "contact": "open",
        "motion": True,
    }
    assert kinds("home/x/BTtoMQTT/AABBCCDDEEFF", contact) == ["door_open", "motion"]


def test_a_refused_finger_is_no_button_and_a_bell_is_a_call() -> None:
    assert kinds("zigbee2mqtt/lock", {"action": "finger_not_match", "linkquality": 9}) == ["access_denied"]
    assert kinds("zigbee2mqtt/gate", {"garage_door_contact": False, "linkquality": 9}) == ["door_open"]
    assert kinds("zigbee2mqtt/bell", {"doorbell": True, "linkquality": 9}) == ["call"]


def test_gas_and_joins_are_told_by_their_own_words() -> None:
    assert kinds("shellies/shellygas-1/sensor/gas", "mild") == ["alarm"]
    assert kinds("shellies/shellygas-1/sensor/gas", "none") == ["alarm_end"]
    assert kinds("x", {"DevEUI_join": {"DevEUI": "0102030405060708"}}) == ["device_boot"]
    assert kinds("x", {"DevEUI_downlink_Sent": {"DevEUI": "0102030405060708"}}) == ["none"]


def test_the_relay_of_a_station_is_not_its_contact() -> None:
    event = {"Action": "Pulse", "serialNumber": "S"}
    for data, kind, opening in (
        ({"Status": "Open"}, "door_open", True),
        ({"Status": "Open", "Relay": True}, "door_unlocked", None),
        ({"Status": "Close", "Relay": True}, "door_locked", False),
    ):
        found = interpret("DahuaVTO/DoorStatus/Event", {**event, "Data": data})
        assert (found.kind, found.opening) == (kind, opening)


def test_the_event_stream_of_a_station_reads_as_the_objects_of_its_bridge() -> None:
    text = (
        "--b\r\nContent-Type: text/plain\r\n\r\nCode=DoorStatus;action=Pulse;index=0;data={\n"
        '   "Status" : "Open",\n   "UTC" : 1583180648\n}\n--b\r\nCode=VideoMotion;action=Stop;index=0\r\n'
    )
    door, motion = decode("foreign/dahua/gate", text)
    assert (door.kind, door.opening, door.occurred_ms) == (Kind.DOOR_OPEN, True, 1_583_180_648_000)
    assert motion.kind is Kind.NO_MOTION
    assert kinds("foreign/dahua/gate", "Code=;action=;index=") == ["unknown"]


def test_a_polled_call_of_a_station_rings_or_does_not() -> None:
    assert kinds("foreign/hikvision/gate", {"CallStatus": {"status": "ring"}}) == ["call"]
    assert kinds("foreign/hikvision/gate", {"CallStatus": {"status": "idle"}}) == ["none"]
    assert kinds("foreign/hikvision/gate", {"CallStatus": {"status": "?"}}) == ["unknown"]


# -- damaged recordings ------------------------------------------------------------------------------------------


def _damaged(value: Any, chance: random.Random) -> Any:
    if chance.random() < 0.1:
        return chance.choice([None, True, -1, 2**70, 1e308, "", "open", "\0", [], {}, [[]], "9" * 30])
    if isinstance(value, dict):
        kept = {name: _damaged(inner, chance) for name, inner in value.items() if chance.random() > 0.08}
        return {name.upper() if chance.random() < 0.05 else name: inner for name, inner in kept.items()}
    if isinstance(value, list):
        return [_damaged(inner, chance) for inner in value for _ in range(chance.choice([0, 1, 1, 2]))]
    if isinstance(value, str) and value and chance.random() < 0.2:
        place = chance.randrange(len(value))
        return value[:place] + chance.choice("\0\t\n;={}[]<>Z0") + value[place + chance.randrange(3) :]
    return value


@pytest.mark.skipif(not _PAYLOADS, reason="the shared recordings are not on this machine (KAIMEN_SHARED)")
def test_a_damaged_recording_makes_no_dialect_fail_and_always_has_a_reason() -> None:
    samples = [msgspec.json.decode(line) for path in _PAYLOADS for line in path.read_bytes().splitlines()]
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    for _ in range(int(os.environ.get("KAIMEN_TEST_DAMAGED", "1000"))):
        sample = chance.choice(samples)
        payload = _damaged(sample["payload"], chance)
        found = decode(sample["topic"], payload, sample["encoding"])
        assert found, (seed, sample["id"], payload)
        assert all(item.why and item.source for item in found), (seed, sample["id"], payload)
        assert summarise(found).kind in MEANINGS
