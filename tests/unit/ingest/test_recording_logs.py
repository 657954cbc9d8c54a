"""Logs as laboratories and home automations write them: read right, or told what they are; and why a home counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.commands.replay import command
from ingest.recording import read_recording
from ingest.recording_file import RecordingError, Unreadable


def log(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("opens", "shuts"),
    [
        ("2012-07-20,10:38:54.512364,FrontDoor,OPEN,Other", "2012-07-20,10:39:54.5,FrontDoor,CLOSE,Other"),
        ("2012/7/20 9:38:54 FrontDoor OPEN", "2012/7/20 9:39:54 FrontDoor CLOSE"),
        ("2012-07-20 10:38 FrontDoor OPEN", "2012-07-20 10:39 FrontDoor CLOSE"),
        ("2012-07-20 10:38:54+02:00 FrontDoor OPEN", "2012-07-20 10:39:54+02:00 FrontDoor CLOSE"),
        ("2012-07-20T10:38:54Z\tFrontDoor\tOPEN\tLeave begin", "2012-07-20T10:39:54Z\tFrontDoor\tCLOSE"),
        (
            "# the flat of one person\n2012-07-20 10:38:54 FrontDoor OPEN",
            "2012-07-20 10:39:54 FrontDoor CLOSE",
        ),
    ],
)
def test_a_raw_log_is_read_in_whatever_way_it_writes_its_times(
    tmp_path: Path, opens: str, shuts: str
) -> None:
    (found,) = read_recording(log(tmp_path / "h.txt", opens, shuts))
    assert len(found.openings_ms) == 1
    assert 55_000 < found.last_ms - found.first_ms < 61_000


def test_a_door_of_a_raw_log_that_says_neither_is_named_and_a_measure_is_not(tmp_path: Path) -> None:
    bad: list[Unreadable] = []
    path = log(
        tmp_path / "h.txt", "2012-07-20 10:00:00 D001 OPEN", "2012-07-20 10:00:01 D001 CLO", "2012-07-20 10:00:02 D001 1",
        "2012-07-20 10:00:03 T001 21.5 On", "2012-07-20 10:00:04 M001 ON", "2012-07-20 10:00:05 FrontDoor 21.5",
        "2012-07-20 10:00:06 Outdoor 0",
    )  # fmt: skip
    (found,) = read_recording(path, bad)
    assert [item.line for item in bad] == [2, 3]
    assert "D001 says 'CLO', which is neither OPEN nor CLOSE" in bad[0].reason
    assert [name for name, _ in found.sensors] == ["D001", "M001"]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("07/08/2012 10:38:54 D001 OPEN", "an order that nobody can tell"),
        ("Toileting,4/1/2003,10:10:00,10:20:00", "lists activities"),
        ("date,sensor,note,state", "header of its own"),
        ("zigbee2mqtt/hall {\"contact\":false}", "messages by their topics"),
    ],
)  # fmt: skip
def test_another_form_is_told_by_its_name_and_how_to_make_a_recording_of_it(
    tmp_path: Path, first: str, said: str
) -> None:
    with pytest.raises(RecordingError, match="line 1: ") as refused:
        read_recording(log(tmp_path / "a.txt", first, first))
    assert said in str(refused.value)


def test_the_report_says_why_a_home_without_a_front_door_counts(tmp_path: Path) -> None:
    path = log(tmp_path / "h.txt", "2012-07-20 10:00:00 D001 OPEN", "2012-07-23 10:00:01 D001 CLOSE")
    report = json.loads(CliRunner().invoke(command, [str(path), "--json"]).stdout)
    (doubt,) = report["homes"][0]["doubts"]
    assert (
        "no row has the kind front_door" in doubt and "its doors are D001: name it by --front-door" in doubt
    )
    assert "counts with all its days" in doubt
    report = json.loads(CliRunner().invoke(command, [str(path), "--front-door", "D001", "--json"]).stdout)
    assert report["homes"][0]["doubts"] == []


def test_a_front_door_is_named_also_where_the_file_has_a_header(tmp_path: Path) -> None:
    path = log(
        tmp_path / "h.csv", "home,time,sensor,kind,state", "h,2012-07-20 10:00:00 UTC,D001,door,on", "h,2012-07-20 11:00:00Z,D001,door,off"
    )  # fmt: skip
    (found,) = read_recording(path, None, frozenset({"D001"}))
    assert len(found.openings_ms) == 1
