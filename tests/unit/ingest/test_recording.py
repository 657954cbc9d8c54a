"""Recordings: broken ones name file and line, order within an instant does not matter, reports keep their shape."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from console.commands.replay import command
from ingest.early import LifeSignals, Place
from ingest.recording import (
    Recording,
    choose_sensor,
    read_recording,
    replay_early,
    replay_recordings,
    with_one_sensor,
)
from ingest.recording_file import RecordingError, Unreadable

HEADER = "home,time,sensor,kind,state"
START = datetime(2024, 1, 1)
SHARED = Path(os.environ.get("KAIMEN_SHARED", Path(__file__).parents[4] / "shared"))
REAL = sorted((SHARED / "data").glob("*.csv.gz"))
DETECTORS = ("hazard", "cuddihy", "wilhelm", "floeck", "tail")

Write = Callable[[Iterable[str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def lines(rows: Iterable[str]) -> Path:
        path = tmp_path / "a.csv"
        path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
        return path

    return lines


def row(at: datetime, sensor: str, kind: str, state: str, home: str = "h") -> str:
    return f"{home},{at.isoformat(timespec='milliseconds')},{sensor},{kind},{state}"


def life(days: float, *, home: str = "h", seed: int = 3) -> list[str]:
    """Rows of somebody who is up from seven to ten and out from two to four; several sensors, whole seconds."""
    chance, rows = Random(seed), []
    at = START + timedelta(hours=7)
    while at < START + timedelta(days=days):
        if 7 <= at.hour < 22:
            sensor = chance.choice(("kitchen", "bathroom", "sofa"))
            rows.append(row(at, sensor, "something new", "on", home))
            rows.append(row(at, sensor, "something new", "off", home))
        if at.hour == 14:
            for passage in (at + timedelta(minutes=1), at.replace(hour=16, minute=0)):
                rows.append(row(passage, "front", "front_door", "on", home))
                rows.append(row(passage, "front", "front_door", "off", home))
            at = at.replace(hour=16, minute=2)
        at += timedelta(seconds=chance.randrange(60, 1500))
    return rows


def one(path: Path) -> Recording:
    (recording,) = read_recording(path)
    return recording


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["h,yesterday,s,motion,on"], "a.csv, line 2: time 'yesterday'"),
        (
            ["h,2024-01-01T00:00:00,s,motion,on", "h,2024-01-01T00:00:01,s,motion,maybe"],
            "a.csv, line 3: state",
        ),
        (["h,2024-01-01T00:00:00,s,motion"], "a.csv, line 2: 4 columns"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(write: Write, rows: list[str], said: str) -> None:
    with pytest.raises(RecordingError, match=said):
        read_recording(write(rows))


def test_a_header_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("home,time,sensor,state\n", encoding="utf-8")
    with pytest.raises(RecordingError, match=r"b\.csv, line 1: the header lacks kind"):
        read_recording(path)


def test_an_archive_cut_short_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "c.csv.gz"
    whole = gzip.compress("\n".join([HEADER, *life(5)]).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match=r"c\.csv\.gz: cannot be read"):
        read_recording(path)


def test_bad_rows_are_left_out_by_their_numbers_and_nothing_else_is(write: Write) -> None:
    good = life(2)
    bad = [
        '"never closed', "garbage", "a,b,c,d,e", "h,2024-13-45T00:00:00,s,motion,on", ",2024-01-01T08:00:00,s,motion,on",
        "h,2024-01-01T08:00:00,front,front_door,purple", "\x00", '"', "h,2024-01-01T08:00:00,s,,on",
    ]  # fmt: skip
    rows = good[:3]
    for number, row_text in enumerate(bad):
        rows += [row_text, *good[3 + number : 4 + number]]
    rows += good[3 + len(bad) :]
    unreadable: list[Unreadable] = []
    assert read_recording(write(rows), unreadable) == read_recording(write(good))
    assert [item.line for item in unreadable] == [5 + 2 * number for number in range(len(bad))]
    result = CliRunner().invoke(command, [str(write(rows)), "--json"])
    assert result.exit_code == 0 and "a.csv, line 5: 1 columns" in result.stderr
    told = json.loads(result.stdout)["unreadable"]
    assert [item["line"] for item in told] == [item.line for item in unreadable]


@pytest.mark.parametrize(("on", "off"), [("true", "false"), ("OPENED", "Closed"), ("1", "0")])
def test_heads_kinds_and_states_may_be_written_in_other_ways(tmp_path: Path, on: str, off: str) -> None:
    text = "\n".join(life(2))
    (tmp_path / "a.csv").write_text(f"{HEADER}\n{text}\n", encoding="utf-8")
    other = text.replace(",on", f",{on}").replace(",off", f",{off}").replace("front_door", "Front Door")
    (tmp_path / "b.csv").write_text(f"{HEADER.title()}\n{other}\n", encoding="utf-8")
    assert read_recording(tmp_path / "b.csv") == read_recording(tmp_path / "a.csv")


def test_a_door_that_never_shuts_and_a_file_without_rows_are_told(write: Write, tmp_path: Path) -> None:
    rows = [row(START + timedelta(hours=hour), "front", "front_door", "on") for hour in range(3)]
    result = CliRunner().invoke(command, [str(write(rows))])
    assert (
        result.exit_code == 0 and "front says 3 times that it opens and never that it shuts" in result.stderr
    )
    result = CliRunner().invoke(command, [str(write([]))])
    assert result.exit_code == 0 and "a.csv: holds no row" in result.stderr


def test_the_command_says_what_is_broken_without_a_traceback(write: Write) -> None:
    result = CliRunner().invoke(command, [str(write(["h,never,s,motion,on"])), "--detector", "hazard"])
    assert result.exit_code == 1
    assert "a.csv, line 2" in result.output
    assert "Traceback" not in result.output


def test_an_empty_recording_has_no_homes_and_no_rates(write: Write) -> None:
    assert read_recording(write([])) == []
    for report in (replay_recordings([]), replay_early([], "hazard")):
        assert report["total"]["false_alerts_per_home_year"] is None


@pytest.mark.parametrize("name", ["plain.csv", "packed.csv.gz", "packed_without_suffix.csv"])
def test_plain_and_packed_recordings_read_alike(tmp_path: Path, name: str) -> None:
    text = "\n".join([HEADER, *life(2)]).encode()
    path = tmp_path / name
    path.write_bytes(text if name == "plain.csv" else gzip.compress(text))
    assert one(path).openings_ms
    assert len(one(path).signals) > 50


@pytest.mark.parametrize("detector", DETECTORS)
def test_rows_in_any_order_give_the_same_report(write: Write, detector: str) -> None:
    # Whole seconds with "on" and "off" of one instant: every pair of rows is a tie.
    rows = life(9)
    ordered = replay_early(read_recording(write(rows)), detector)
    Random(5).shuffle(rows)
    assert replay_early(read_recording(write(rows)), detector) == ordered


def test_homes_of_one_file_are_judged_apart(write: Write) -> None:
    first, second = life(9, home="a"), life(10, home="b", seed=8)
    together = replay_early(read_recording(write([*first, *second])), "hazard")["homes"]
    apart = [replay_early(read_recording(write(rows)), "hazard")["homes"][0] for rows in (first, second)]
    assert together == apart


def test_a_home_shorter_than_the_warm_up_has_no_latency_and_counts_with_its_days(write: Write) -> None:
    report = replay_early(read_recording(write(life(5))), "hazard")
    (home,) = report["homes"]
    assert home["latency_hours_mean"] is None
    assert "warm-up" in home["note"]
    assert report["total"]["home_years"] == pytest.approx(home["days"] / 365.25, abs=1e-3)
    assert report["total"]["after_warm_up"]["false_alerts_per_home_year"] is None


def test_a_home_with_a_front_door_alone_is_reported(write: Write) -> None:
    rows = [line for line in life(12) if "front" in line]
    (home,) = replay_early(read_recording(write(rows)), "hazard", one_sensor=True)["homes"]
    assert home["interior_sensor"] is None
    assert home["latency_hours_mean"] is None


def test_a_sensor_stuck_on_and_repeating_itself_shows_no_life() -> None:
    sensors = LifeSignals()
    assert sensors.take(0, "s", "motion", True)
    assert sensors.take(1, "s", "motion", False) is None
    assert sensors.take(2, "s", "motion", True)
    assert [sensors.take(at, "s", "motion", True) for at in range(3, 9)] == [None] * 6


def test_a_sensor_that_never_says_off_speaks_every_time() -> None:
    sensors = LifeSignals()
    assert all(sensors.take(at, "s", "a kind never seen", True) for at in range(5))


def test_leaving_a_bed_shows_life_and_a_lamp_going_off_does_not() -> None:
    sensors = LifeSignals()
    for kind in ("pressure", "light"):
        sensors.take(0, kind, kind, True)
    left = sensors.take(1, "pressure", "pressure", False)
    assert left is not None and left.place is Place.INDOORS
    assert sensors.take(1, "light", "light", False) is None


def test_the_one_sensor_stands_in_bathroom_or_kitchen_if_there_is_one(write: Write) -> None:
    rows = [row(START + timedelta(minutes=m), "hall", "motion", "on") for m in range(50)]
    rows += [row(START + timedelta(minutes=m), "Kitchen/Kettle", "object", "on") for m in range(20)]
    rows += [row(START + timedelta(minutes=m), "tap 7", "water", "on") for m in range(10)]
    rows += [row(START + timedelta(minutes=m), "front", "front_door", "on") for m in range(3)]
    recording = one(write(rows))
    chosen = choose_sensor(recording)
    assert chosen is not None
    assert recording.sensors[chosen][0] == "Kitchen/Kettle"
    heard = with_one_sensor(recording)
    assert {recording.sensors[number][0] for number in heard.signals[:, 2]} == {"Kitchen/Kettle", "front"}


def test_without_bathroom_and_kitchen_the_busiest_sensor_is_the_one(write: Write) -> None:
    rows = [row(START + timedelta(minutes=m), f"room {m % 3 // 2}", "motion", "on") for m in range(30)]
    recording = one(write(rows))
    chosen = choose_sensor(recording)
    assert chosen is not None
    assert recording.sensors[chosen][0] == "room 0"


@pytest.mark.parametrize("detector", ["ladder", *DETECTORS])
def test_the_report_keeps_its_contract(write: Write, detector: str) -> None:
    result = CliRunner().invoke(command, [str(write(life(9))), "--detector", detector, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["detector"] == detector
    (home,) = report["homes"]
    assert {"home", "days", "openings", "crossings", "false_alerts", "latency_hours_mean"} <= home.keys()
    assert home["crossings"].keys() == {"warning", "call", "visit"}
    total = report["total"]
    assert {"home_years", "false_alerts_per_home_year", "ci95", "latency_hours_mean"} <= total.keys()
    low, high = total["ci95"]
    assert low <= total["false_alerts_per_home_year"] <= high


def test_every_detector_says_the_ladders_crossings(write: Write) -> None:
    recordings = read_recording(
        write([*life(8), row(START + timedelta(days=12), "front", "front_door", "on")])
    )
    wanted = [home["crossings"] for home in replay_recordings(recordings)["homes"]]
    for detector in DETECTORS:
        assert [home["crossings"] for home in replay_early(recordings, detector)["homes"]] == wanted


def test_a_table_names_the_sensor_it_hears(write: Write) -> None:
    result = CliRunner().invoke(command, [str(write(life(9))), "--detector", "hazard", "--sensors", "door+1"])
    assert result.exit_code == 0, result.output
    assert "front door and one interior sensor" in result.output
    assert "h: hears " in result.output


@pytest.mark.parametrize("also", [["--through-broker"], ["--wire", "a.csv"]])
def test_early_watch_replays_recordings_alone(write: Write, also: list[str]) -> None:
    path = str(write(life(1)))
    also = [path if word == "a.csv" else word for word in also]
    result = CliRunner().invoke(command, [path, "--detector", "hazard", *also])
    assert result.exit_code == 2


@pytest.mark.skipif(not REAL, reason="no real recordings on this machine (KAIMEN_SHARED)")
@pytest.mark.parametrize(("one_sensor", "latency_h"), [(False, 9.0), (True, 20.0)])
def test_the_default_method_keeps_its_targets_on_real_homes(one_sensor: bool, latency_h: float) -> None:
    recordings = [home for path in REAL for home in read_recording(path)]
    total = replay_early(recordings, "hazard", one_sensor=one_sensor)["total"]
    assert total["false_alerts_per_home_year"] <= 6
    assert total["latency_hours_mean"] <= latency_h


RAW = [
    "2009-02-02 07:15:16.575809\tM035\tON\tNight_Wandering begin",
    "2009-02-02 07:15:21 M035 OFF",
    "2009-02-02 07:20:00.1 D001 OPEN",
    "2009-02-02 07:20:02.1 D001 CLOSE",
    "2009-02-02 07:21:00 T002 21.5",
    "2009-02-02 07:30:00 D002 OPEN",
    "",
    "no line of it",
]


def test_a_raw_log_without_a_header_is_read_once_its_front_door_is_named(tmp_path: Path) -> None:
    path = tmp_path / "aruba.txt"
    path.write_text("\n".join(RAW), encoding="utf-8")
    unreadable: list[Unreadable] = []
    (unnamed,) = read_recording(path, unreadable)
    assert unnamed.openings_ms == []
    assert [item.line for item in unreadable] == [8]
    (named,) = read_recording(path, [], frozenset({"D001"}))
    assert (named.home, len(named.openings_ms), len(named.activity_ms)) == ("aruba", 1, 2)
    result = CliRunner().invoke(command, [str(path), "--front-door", "D001", "--json"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["homes"][0]["openings"]) == (0, 1)


def test_a_raw_log_whose_sensors_are_named_needs_nobody_to_name_its_front_door(tmp_path: Path) -> None:
    path = tmp_path / "h.txt"
    path.write_text(
        "2011-06-15 01:03:00.5 FrontDoor OPEN\n2011-06-15 01:03:02 Fridge_Door OPEN\n", encoding="utf-8"
    )
    (recording,) = read_recording(path)
    assert len(recording.openings_ms) == 1
