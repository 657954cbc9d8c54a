"""Recordings as other programs write them: the same two openings of a front door, whatever wrote them down."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ingest.recording import crossings_of, doubts_of, read_recording
from kaimen.policy import DAY_MS, HOUR_MS

BEGIN = datetime(2024, 3, 14, 8, 0, tzinfo=UTC)
#: Hours after the beginning, and whether the door is open then: two openings.
TOLD = ((0, False), (1, True), (1.02, False), (30, True), (30.01, False), (60, False))
ENTITY = "binary_sensor.front_door_contact"


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


def iso(hours: float) -> str:
    return at(hours).isoformat().replace("+00:00", "Z")


def home_assistant_csv() -> str:
    rows = [f"{ENTITY},{'on' if is_open else 'off'},{iso(hours)}" for hours, is_open in TOLD]
    others = [
        f"sensor.front_door_battery,87,{iso(2)}",
        f"light.hall,on,{iso(3)}",
        f"person.anna,home,{iso(4)}",
    ]
    return "\n".join(["entity_id,state,last_changed", *rows, *others]) + "\n"


def home_assistant_json() -> str:
    states = [
        {
            "entity_id": ENTITY, "state": "on" if is_open else "off", "last_changed": iso(hours),
            "attributes": {"device_class": "door", "friendly_name": "Front door"},
        }
        for hours, is_open in TOLD
    ]  # fmt: skip
    return json.dumps([states])


def influx_annotated() -> str:
    head = (
        "#group,false,false,true,true,false,false,true,true,true,true\n"
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string,string\n"
        "#default,_result,,,,,,,,,\n"
        ",result,table,_start,_stop,_time,_value,_field,_measurement,domain,entity_id\n"
    )
    rows = [
        f",,0,2024-01-01T00:00:00Z,2024-12-31T00:00:00Z,{iso(hours)},{int(is_open)},value,state,binary_sensor,front_door"
        for hours, is_open in TOLD
    ]
    return head + "\n".join(rows) + "\n"


def line_protocol() -> str:
    return "".join(
        f"state,domain=binary_sensor,entity_id=front_door value={float(is_open)} {int(at(hours).timestamp()) * 10**9}\n"
        for hours, is_open in TOLD
    )


def zigbee2mqtt_log() -> str:
    lines = ["[2024-03-14 07:59:00] info: \tz2m: Zigbee2MQTT started!"]
    for hours, is_open in TOLD:
        payload = json.dumps({"battery": 97, "contact": not is_open, "linkquality": 120})
        lines.append(
            f"[{at(hours):%Y-%m-%d %H:%M:%S}] info: \tz2m:mqtt: MQTT publish: topic 'zigbee2mqtt/front_door', payload '{payload}'"
        )
    return "\n".join(lines) + "\n"


def mosquitto_sub() -> str:
    return "".join(
        f"{at(hours).timestamp():.3f} zigbee2mqtt/front_door {json.dumps({'contact': not is_open})}\n"
        for hours, is_open in TOLD
    )


def german_table() -> str:
    rows = [
        f"{at(hours):%d.%m.%Y %H:%M:%S};Haustür;{'offen' if is_open else 'geschlossen'}"
        for hours, is_open in TOLD
    ]
    return "Zeitstempel;Sensor;Zustand\n" + "\n".join(rows) + "\n"


def chinese_table() -> str:
    rows = [
        f"{at(hours):%Y/%m/%d %H:%M:%S},入户门,{'打开' if is_open else '关闭'}" for hours, is_open in TOLD
    ]
    return "\ufeff时间,设备名称,状态\n" + "\n".join(rows) + "\n"


def openhab_table() -> str:
    rows = [
        f"{at(hours):%Y-%m-%d %H:%M:%S.000},FrontDoor,{'OPEN' if is_open else 'CLOSED'}"
        for hours, is_open in TOLD
    ]
    return "Time,ItemName,Value\n" + "\n".join(rows) + "\n"


def two_columns_of_time() -> str:
    rows = [
        f"{at(hours):%m/%d/%Y},{at(hours):%I:%M:%S %p},front door,{'ON' if is_open else 'OFF'}"
        for hours, is_open in TOLD
    ]
    return "date,time,sensor,message\n" + "\n".join(rows) + "\n"


FORMS = {
    "home assistant csv": home_assistant_csv, "home assistant json": home_assistant_json, "influx csv": influx_annotated,
    "line protocol": line_protocol, "zigbee2mqtt": zigbee2mqtt_log, "mosquitto_sub": mosquitto_sub, "german": german_table,
    "chinese": chinese_table, "openhab": openhab_table, "casas aruba": two_columns_of_time,
}  # fmt: skip


@pytest.mark.parametrize("form", list(FORMS))
def test_the_same_door_says_the_same_in_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "recording.txt"
    path.write_text(FORMS[form](), "utf-8")
    (home,) = read_recording(path)
    begin_ms = home.first_ms
    assert [round((opened - begin_ms) / HOUR_MS, 2) for opened in home.openings_ms] == [1, 30]
    assert round((home.last_ms - begin_ms) / HOUR_MS, 2) == 60


@pytest.mark.parametrize("form", ["home assistant csv", "home assistant json", "influx csv", "german"])
def test_another_sensor_named_as_the_front_door_is_the_only_one(tmp_path: Path, form: str) -> None:
    path = tmp_path / "recording.txt"
    path.write_text(FORMS[form](), "utf-8")
    (home,) = read_recording(path, front_doors=frozenset({"another"}))
    assert home.openings_ms.size == 0 if hasattr(home.openings_ms, "size") else not home.openings_ms


def test_what_the_recording_says_it_did_not_hear_is_neither_counted_nor_an_opening(tmp_path: Path) -> None:
    words = [
        (0, "off"),
        (1, "on"),
        (1.02, "off"),
        (2, "unavailable"),
        (50, "on"),
        (51, "off"),
        (52, "on"),
        (60, "off"),
    ]
    path = tmp_path / "history.csv"
    path.write_text(
        "entity_id,state,last_changed\n" + "".join(f"{ENTITY},{word},{iso(hours)}\n" for hours, word in words)
    )
    (home,) = read_recording(path)
    begin_ms = home.first_ms
    assert [round((opened - begin_ms) / HOUR_MS, 2) for opened in home.openings_ms] == [1, 52]
    assert [
        (round((low - begin_ms) / HOUR_MS, 1), round((high - begin_ms) / HOUR_MS, 1))
        for low, high in home.unseen
    ] == [(2, 50)]
    assert crossings_of(home) == [], "a day passed, and was not seen"
    assert any("not heard 1 times, 48.0 hours" in doubt for doubt in doubts_of(home))


def test_a_clock_that_lost_its_time_is_taken_out_and_said(tmp_path: Path) -> None:
    rows = [(iso(hours), is_open) for hours, is_open in TOLD] + [
        ("1970-01-01T00:00:09Z", True),
        ("2000-01-01T00:01:00Z", False),
    ]
    path = tmp_path / "history.csv"
    path.write_text(
        "entity_id,state,last_changed\n"
        + "".join(f"{ENTITY},{'on' if o else 'off'},{when}\n" for when, o in rows)
    )
    (home,) = read_recording(path)
    assert home.last_ms - home.first_ms == 60 * HOUR_MS
    assert len(home.openings_ms) == 2 and doubts_of(home), (
        "said, and not counted as half a century of silence"
    )


def test_dates_that_can_be_two_days_are_refused_unless_one_of_them_tells(tmp_path: Path) -> None:
    path = tmp_path / "recording.csv"
    rows = "03/04/2024 08:00,front_door,off\n03/04/2024 09:00,front_door,on\n"
    path.write_text(f"time,sensor,state\n{rows}")
    with pytest.raises(ValueError, match="nobody can tell"):
        read_recording(path)
    path.write_text(f"time,sensor,state\n{rows}25/04/2024 10:00,front_door,off\n")
    (home,) = read_recording(path)
    assert home.last_ms - home.first_ms == 22 * DAY_MS + 2 * HOUR_MS


def test_a_zone_in_every_row_is_the_homes_own_wall_clock(tmp_path: Path) -> None:
    east = timezone(timedelta(hours=8))
    path = tmp_path / "history.csv"
    rows = [
        f"{ENTITY},{'on' if o else 'off'},{at(hours).astimezone(east).isoformat()}\n" for hours, o in TOLD
    ]
    path.write_text("entity_id,state,last_changed\n" + "".join(rows))
    (home,) = read_recording(path)
    assert len(home.openings_ms) == 2 and home.last_ms - home.first_ms == 60 * HOUR_MS
