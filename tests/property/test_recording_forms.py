"""Every form a recording may be written in, and crossings computed beside it from what was meant, not from the file."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.commands.replay import command
from ingest.recording import Recording, crossings_of, read_recording, replay_recordings
from ingest.recording_file import RecordingError, Unreadable

START = datetime(2023, 11, 3, 6, 30)
COLUMNS = ["home", "time", "sensor", "kind", "state"]
Event = tuple[datetime, str, str, str]


def passages(days: list[float], seconds: list[int]) -> list[Event]:
    """A hall that speaks at both ends, and a front door that opens for so many seconds at each of these days."""
    found = [(START, "hall", "motion", "on")]
    for day, length in zip(days, seconds, strict=True):
        opened = START + timedelta(days=day)
        found += [
            (opened, "front", "front_door", "on"),
            (opened + timedelta(seconds=length), "front", "front_door", "off"),
        ]
    return [*found, (START + timedelta(days=max(days, default=0) + 4), "hall", "motion", "off")]


def crossings_meant(days: list[float]) -> list[tuple[int, datetime]]:
    """Days one, two and three after the first row and after each opening, where the next is not there before."""
    at = [START, *(START + timedelta(days=day) for day in sorted(days))]
    ends = [*at[1:], START + timedelta(days=max(days, default=0) + 4)]
    found = []
    for number, (begin, end) in enumerate(zip(at, ends, strict=True)):
        is_last = number == len(at) - 1
        for stage in (1, 2, 3):
            due = begin + timedelta(days=stage)
            if due < end or (is_last and due == end):
                found.append((stage, due))
    return sorted(found, key=lambda item: (item[1], item[0]))


def text_of(events: list[Event], **form: object) -> str:
    """Write events as CSV; ``form``: zone, seconds (no fraction), columns, quoted, crlf, delimiter, home."""
    zone = form.get("zone")
    stream = io.StringIO()
    columns = list(form.get("columns", COLUMNS))  # type: ignore[call-overload]
    writer = csv.writer(
        stream,
        delimiter=str(form.get("delimiter", ",")),
        quoting=csv.QUOTE_ALL if form.get("quoted") else csv.QUOTE_MINIMAL,
        lineterminator="\r\n" if form.get("crlf") else "\n",
    )
    writer.writerow(columns)
    for at, sensor, kind, state in events:
        written = at if zone is None else at.replace(tzinfo=timezone(timedelta(hours=zone)))  # type: ignore[arg-type]
        time = written.isoformat(timespec="seconds" if form.get("seconds") else "milliseconds")
        row = {"home": form.get("home", "h"), "time": time, "sensor": sensor, "kind": kind, "state": state}
        writer.writerow([row.get(name, "more, and more") for name in columns])
    return stream.getvalue()


def judged(recording: Recording) -> list[tuple[int, datetime]]:
    return [
        (stage, datetime.fromtimestamp(at / 1000, UTC).replace(tzinfo=None))
        for stage, at in crossings_of(recording)
    ]


FORMS = st.fixed_dictionaries(
    {
        "zone": st.none() | st.sampled_from([8, 0, -3.5]),
        "seconds": st.booleans(),
        "columns": st.permutations([*COLUMNS, "battery"]),
        "quoted": st.booleans(),
        "crlf": st.booleans(),
        "delimiter": st.sampled_from([",", ";", "\t"]),
    }
)
#: Openings at whole seconds, each after the one before was shut again.
DAYS = st.lists(
    st.integers(1, 20 * 288).map(lambda step: step * 300 + 7), min_size=1, max_size=8, unique=True
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=DAYS,
    lengths=st.lists(st.sampled_from([0, 1, 240]), min_size=8, max_size=8),
    form=FORMS,
    chance=st.randoms(),
)
def test_a_recording_in_any_form_crosses_where_its_door_stayed_shut(
    tmp_path: Path, seconds: list[int], lengths: list[int], form: dict[str, object], chance: object
) -> None:
    days = [second / 86_400 for second in sorted(seconds)]
    events = passages(days, lengths[: len(days)])
    events += chance.sample(events, len(events) // 2)  # type: ignore[attr-defined]  # said twice
    chance.shuffle(events)  # type: ignore[attr-defined]
    packed = text_of(events, **form).encode()
    if form["quoted"]:
        packed = b"\xef\xbb\xbf" + packed  # as a spreadsheet begins its files
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(packed) if form["crlf"] else packed)
    (recording,) = read_recording(path)
    assert judged(recording) == crossings_meant(days)
    assert len(recording.openings_ms) == len(days)
    # The span ends four days after the last opening; DAYS are whole seconds, which floats of days blur by a microsecond.
    span_days = max(days) + 4
    report = replay_recordings([recording, recording])
    stages = Counter(stage for stage, _ in crossings_meant(days))
    for home in report["homes"]:
        assert home["days"] == pytest.approx(span_days, abs=0.0051)
        assert home["crossings"] == {"warning": stages[1], "call": stages[2], "visit": stages[3]}
        assert home["false_alerts"] == stages[1]
    assert report["total"]["home_years"] == pytest.approx(2 * span_days / 365.25, abs=0.000051)


def test_two_homes_of_one_file_cross_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    first, second = passages([0.5, 3.2], [4, 0]), passages([2.9], [4])
    rows = text_of(first, home="a").splitlines() + text_of(second, home="b").splitlines()[1:]
    path.write_text("\n".join([rows[0], *sorted(rows[1:], key=lambda row: row[2:])]) + "\n", encoding="utf-8")
    found = {recording.home: judged(recording) for recording in read_recording(path)}
    assert found == {"a": crossings_meant([0.5, 3.2]), "b": crossings_meant([2.9])}


def test_a_door_open_for_less_than_the_clock_tells_does_not_hide_the_next_opening(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text_of(passages([0.5, 1.2], [0, 4]), seconds=True), encoding="utf-8")
    (recording,) = read_recording(path)
    assert len(recording.openings_ms) == 2
    assert [state for _, _, state in recording.front_states] == [True, False, True, False]


def test_a_sensor_that_begins_on_opened_then(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    events = [
        (START, "front", "front_door", "on"),
        (START + timedelta(hours=30), "front", "front_door", "off"),
    ]
    path.write_text(text_of(events), encoding="utf-8")
    (recording,) = read_recording(path)
    assert judged(recording) == [(1, START + timedelta(days=1))]


def test_over_a_change_of_the_clock_the_offset_says_how_long_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [
        "h,2024-03-30T12:00:00+01:00,front,front_door,on",
        "h,2024-03-30T12:00:04+01:00,front,front_door,off",
        "h,2024-03-31T12:30:00+02:00,front,front_door,on",  # 23.5 hours later, though the clock says 24.5
        "h,2024-03-31T12:30:04+02:00,front,front_door,off",
    ]
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8")
    (recording,) = read_recording(path)
    assert judged(recording) == []
    assert datetime.fromtimestamp(recording.first_ms / 1000, UTC).hour == 12, "the home's wall clock"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("h,2024-01-01T01:00:00+08:00,s,motion,on", "line 3: some times of this home carry a zone offset"),
        (",2024-01-01T01:00:00,s,motion,on", "line 3: home is empty"),
        ("h,,s,motion,on", "line 3: time '' is not ISO 8601, as 2024-03-01T07:40:00.000"),
        ("h,2024-01-01T01:00:00,,motion,on", "line 3: sensor is empty"),
        ("h,2024-01-01T01:00:00,s,,on", "line 3: kind is empty"),
        ("h,2024-01-01T01:00:00,s,motion,", "line 3: state '' is neither on nor off"),
        ("h,2024-02-30T01:00:00,s,motion,on", "line 3: time '2024-02-30T01:00:00' is not ISO 8601"),
        ("h;2024-01-01T01:00:00;s;motion;on", "line 3: 1 columns where the header has more"),
    ],
)
def test_what_cannot_be_meant_is_named_with_its_line_and_remedy(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{','.join(COLUMNS)}\nh,2024-01-01T00:00:00,s,motion,on\n{row}\n", encoding="utf-8")
    with pytest.raises(RecordingError, match=r"^a\.csv, ") as found:
        read_recording(path)
    assert said in str(found.value)


def zipped(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        lambda text: bz2.compress(text.encode()),
        lambda text: lzma.compress(text.encode()),
        lambda text: zipped({"folder/a.csv": text, "__MACOSX/folder/._a.csv": "x"}),
        lambda text: text.encode("utf-16"),
        lambda text: gzip.compress(b"\xff\xfe" + text.encode("utf-16-le")),
    ],
)
def test_a_packed_file_is_read_by_what_it_is(tmp_path: Path, packed: Callable[[str], bytes]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(packed(text_of(passages([0.5, 3.2], [4, 0]))))
    assert [len(recording.openings_ms) for recording in read_recording(path)] == [2]


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (lambda text: zipped({"a.csv": text, "b.csv": text}), "a ZIP of 2 files (a.csv, b.csv): take out"),
        (
            lambda text: zipped({"[Content_Types].xml": "", "xl/workbook.xml": text}),
            "it is a spreadsheet: save",
        ),
        (lambda text: gzip.compress(gzip.compress(text.encode())), "packed by gzip twice: unpack it once"),
        (lambda text: text.replace("front", "入户门").encode("gb18030"), "save it as UTF-8"),
        (lambda text: gzip.compress(text.encode())[:-12], "cut off or damaged on its way: copy it again"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_what_it_is(
    tmp_path: Path, packed: Callable[[str], bytes], said: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(packed(text_of(passages([0.5, 3.2], [4, 0]))))
    with pytest.raises(RecordingError, match=r"^a\.csv: cannot be read: ") as found:
        read_recording(path)
    assert said in str(found.value)


def test_a_file_that_somebody_unpacked_under_its_old_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_text(text_of(passages([0.5], [4])), encoding="utf-8")
    assert [len(recording.openings_ms) for recording in read_recording(path)] == [1]


def test_a_home_without_a_front_door_is_said_to_have_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        text_of([(START, "Front door", "Door", "on"), (START + timedelta(days=1.5), "x", "Door", "on")])
    )
    result = CliRunner().invoke(command, [str(path)])
    assert result.exit_code == 0, result.output
    assert "h: no row has the kind front_door" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"a\.csv: it is empty"),
        ("entity_id,last_changed,note\n", "history of Home Assistant"),
        ("0 " * 20 + "12 17\n", "one day's matrix"),
        ('{"v":1}\n', "name it by --wire"),
        ("2012-07-20 10:38:54.5 T101 21.5\n", "no line of this log says ON, OFF"),
    ],
)
def test_a_known_form_that_is_no_recording_is_told_how_to_become_one(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordingError, match=said):
        read_recording(path, [])


def test_blank_lines_before_the_header_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n \n" + text_of(passages([0.5], [4])) + "h,never,s,motion,on\n", encoding="utf-8")
    unreadable: list[Unreadable] = []
    (recording,) = read_recording(path, unreadable)
    assert len(recording.openings_ms) == 1
    assert [item.line for item in unreadable] == [8]


def test_a_raw_log_that_names_place_and_sensor_apart_is_read_by_both(tmp_path: Path) -> None:
    path = tmp_path / "al.txt"
    path.write_text(
        "2011-06-15 01:03:39.14962 Bedroom Bedroom ON Sleep\n"
        "2011-06-15 01:03:40.284526 Bedroom Bedroom OFF Sleep\n"
        "2011-06-15 08:00:00.5 OutsideDoor FrontDoor OPEN Leave_Home\n"
        "2011-06-15 08:00:01.5 OutsideDoor Entry ON Leave_Home\n"
        "2011-06-15 08:00:03.5 OutsideDoor FrontDoor CLOSE Leave_Home\n"
        "2011-06-15 08:00:04.5 T101 21.5\n",
        encoding="utf-8",
    )
    (recording,) = read_recording(path)
    assert recording.front_states[0][1] == "OutsideDoor/FrontDoor"
    assert len(recording.openings_ms) == 1
    assert ("OutsideDoor/Entry", "motion") in recording.sensors
    assert ("Bedroom/Bedroom", "motion") in recording.sensors


def test_a_front_door_that_never_opens_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text_of([(START, "front", "front_door", "off")]), encoding="utf-8")
    assert "front never says that it opens" in CliRunner().invoke(command, [str(path)]).stderr
