"""The installer's table: what it says, what it refuses, and what a broken one does not do."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.device_table import DeviceTableError, WatchedTable, configure, parse_table
from edge.dialects import decode
from edge.reading import Kind

ROW = {
    "source": "zigbee2mqtt/front-1201",
    "dialect": "zigbee2mqtt",
    "site": "garden",
    "device": "z-1201",
    "door": "3",
}


def table_of(*rows: dict[str, object]) -> bytes:
    return msgspec.json.encode(list(rows))


def test_a_source_is_found_by_any_of_its_names_in_any_case() -> None:
    table = parse_table(table_of(ROW))
    entry = table.find(["nobody", "ZIGBEE2MQTT/FRONT-1201"])
    assert entry is not None and entry.device == "z-1201"
    assert table.find(["zigbee2mqtt/other"]) is None
    assert table.first_levels() == {"zigbee2mqtt"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "no JSON"),
        (b"{}", "must be a list"),
        (table_of({"source": "a"}), "row 1"),
        (table_of({**ROW, "site": "Garden 1"}), "a-z"),
        (table_of({**ROW, "dialect": "morse"}), "dialect"),
        (table_of(ROW, ROW), "row 2: the source is listed twice"),
        (table_of(ROW, {**ROW, "source": "b", "site": "other"}), "two sites"),
        (table_of({**ROW, "button": "Party"}), "button"),
    ],
)
def test_a_table_that_is_wrong_says_where(text: bytes, words: str) -> None:
    with pytest.raises(DeviceTableError, match=words):
        parse_table(text)


def test_a_broken_file_never_replaces_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    watched = WatchedTable(path)
    assert watched.refresh() is False
    path.write_bytes(table_of(ROW))
    assert watched.refresh() is True
    assert watched.refresh() is False
    path.write_bytes(b"[{]")
    with pytest.raises(DeviceTableError):
        watched.refresh()
    assert watched.refresh() is False, "the same broken file is not reported again"
    assert len(watched.table.by_source) == 1
    path.unlink()
    with pytest.raises(DeviceTableError, match="gone"):
        watched.refresh()
    assert len(watched.table.by_source) == 1


def test_the_table_says_which_code_is_open_and_which_input_is_the_door() -> None:
    entry = parse_table(table_of({**ROW, "open": ["81FEE7", "on"], "closed": "81FEEE"})).find([ROW["source"]])
    assert entry is not None
    (code,) = decode("tele/rf/RESULT", {"RfReceived": {"Data": "81FEE7", "RfKey": 3}})
    (meant,) = configure(code, entry)
    assert (meant.kind, meant.opening) == (Kind.DOOR_OPEN, True)
    (switch,) = decode("tele/node/SENSOR", {"Switch1": "ON"})
    (meant,) = configure(switch, entry)
    assert (meant.kind, meant.opening) == (Kind.DOOR_OPEN, None), "a state stays a state"


def test_the_table_turns_a_contact_round_and_names_a_button() -> None:
    entry = parse_table(table_of({**ROW, "inverted": True, "button": "Sos"})).find([ROW["source"]])
    assert entry is not None
    (reading,) = decode("zigbee2mqtt/front-1201", {"contact": True, "linkquality": 1})
    assert configure(reading, entry)[0].kind is Kind.DOOR_OPEN
    (press,) = decode("zigbee2mqtt/front-1201", {"action": "single", "linkquality": 1})
    assert (configure(press, entry)[0].kind, configure(press, entry)[0].event_type) == (Kind.SOS, "Sos")


def test_the_table_names_the_model_of_an_uplink() -> None:
    row = {
        "source": "0101010101010101",
        "site": "garden",
        "device": "l-1",
        "vendor": "dragino",
        "model": "LDS02",
    }
    entry = parse_table(table_of(row)).find(["0101010101010101"])
    assert entry is not None
    body = {
        "time": "2026-01-05T08:00:00Z",
        "fPort": 10,
        "data": "C4gBABuzAAAAAA==",
        "deviceInfo": {"devEui": "0101010101010101"},
    }
    (uplink,) = decode("application/a/device/0101010101010101/event/up", body)
    (reading,) = configure(uplink, entry)
    assert (reading.kind, reading.opens, reading.occurred_ms) == (Kind.DOOR_CLOSED, 7091, 1_767_600_000_000)
