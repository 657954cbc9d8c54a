"""Files of messages in unusual but legal forms, and in broken ones, enter; the same report leaves, and each bad line by name."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from console.cli import main
from ingest.judging import judge_wire
from ingest.recording_file import RecordingError, Unreadable
from ingest.registry_file import parse_registry, read_registry
from ingest.wire_file import WireMessages

BEGIN = 1_763_712_000_000
HOUR = 3_600_000
UNTIL = BEGIN + 30 * HOUR
DIGITS = hashlib.sha256(b"site-1").hexdigest()
REGISTRY: dict[str, Any] = {
    "devices": [{"id": "d-1", "site": "site-1", "supervision_s": 10_800}],
    "households": [{"id": "h-1", "site": "site-1", "doors": ["d-1"], "watched_from": BEGIN}],
}


def message(hour: float, channel: str, **payload: Any) -> dict[str, Any]:
    up = round(hour * HOUR)
    body = {"v": 1, "boot": "00000000000000ab", "ts": BEGIN + up, "up": up, "clk": "ntp", **payload}
    return {
        "received_at": BEGIN + up,
        "topic": f"kaimen/v1/{DIGITS[0]}/{DIGITS[1]}/site-1/d-1/{channel}",
        "payload": body,
    }


def plain() -> list[dict[str, Any]]:
    opened = message(1, "evt", seq=1, type="DoorPhysicalState", state="Open", opens=1)
    return [opened, *(message(hour, "hb", seq_last=1, opens=1) for hour in range(2, 30))]


def write(path: Path, messages: list[dict[str, Any]], **changes: Any) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in messages), encoding="utf-8", **changes)
    return path


def report(path: Path, tmp_path: Path, registry: dict[str, Any] = REGISTRY) -> dict[str, Any]:
    registry_file = tmp_path / "registry.json"
    registry_file.write_text(json.dumps(registry), encoding="utf-8")
    return judge_wire(WireMessages(path), read_registry(registry_file), UNTIL)


def test_unusual_but_legal_forms_give_the_same_report(tmp_path: Path) -> None:
    expected = report(write(tmp_path / "plain.jsonl", plain()), tmp_path)
    assert [row["stage"] for row in expected["effective"]] == [1]
    lines = [json.dumps(item) for item in plain()]
    forms = {
        "crlf": "\r\n".join(lines).encode(),
        "mark": b"\xef\xbb\xbf" + "\n".join(lines).encode(),
        "blank": "\n\n  \n".join(lines).encode(),
        "reversed": "\n".join(
            json.dumps({**dict(reversed(item.items())), "payload": dict(reversed(item["payload"].items()))}) for item in plain()
        ).encode(),
        "floats": "\n".join(json.dumps({**item, "received_at": float(item["received_at"])}) for item in plain()).encode(),
        "extra": "\n".join(
            json.dumps({**item, "qos": 1, "payload": {**item["payload"], "door": None, "later": [1, {"x": 2}]}}) for item in plain()
        ).encode(),
        "spaces": "\n".join(f"  {line}\t" for line in lines).encode(),
        "huge": "\n".join(json.dumps({**item, "note": "x" * 200_000}) for item in plain()[:3]).encode()
        + b"\n" + "\n".join(lines[3:]).encode(),
    }  # fmt: skip
    for name, content in forms.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(content)
        assert report(path, tmp_path) == expected, name
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(
            gzip.compress(content[: len(content) // 2]) + gzip.compress(content[len(content) // 2 :])
        )
        assert report(packed, tmp_path) == expected, f"{name}, packed in two pieces"


def test_an_empty_file_is_a_report_of_nothing_heard(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    found = report(tmp_path / "empty.jsonl", tmp_path)
    assert found["effective"] == [] and found["not_known"] and not any(found["admission"].values())


def test_each_line_that_is_no_message_is_named_and_the_others_count(tmp_path: Path) -> None:
    bad = [
        b"not json", b"[1, 2]", b'{"topic": "x"}', b'{"received_at": true}', b'{"received_at": 1e300}', b"\xff\xfe{}",
        b'{"received_at": -5}', b'{"received_at": 1763712000000.5}', b"[" * 100_000, b'{"received_at": 17637',
    ]  # fmt: skip
    good = [json.dumps(item).encode() for item in plain()]
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"\n".join([*good[:5], *bad, *good[5:]]))
    expected = report(write(tmp_path / "plain.jsonl", plain()), tmp_path)
    unreadable: list[Unreadable] = []
    registry = read_registry(tmp_path / "registry.json")
    assert judge_wire(WireMessages(path, unreadable), registry, UNTIL) == expected
    assert [item.line for item in unreadable] == list(range(6, 6 + len(bad)))
    with pytest.raises(RecordingError, match=r"bad\.jsonl, line 6: not a JSON object"):
        list(WireMessages(path))
    asked = [
        "replay",
        "--wire",
        str(path),
        "--registry",
        str(tmp_path / "registry.json"),
        "--until",
        str(UNTIL),
        "--json",
    ]
    ran = CliRunner().invoke(main, asked)
    assert ran.exit_code == 0 and "bad.jsonl, line 6" in ran.stderr
    told = json.loads(ran.stdout)
    assert told.pop("unreadable")[0]["line"] == 6 and told == expected


def test_payloads_that_are_no_events_are_quarantined_one_by_one(tmp_path: Path) -> None:
    odd: list[Any] = [None, 5, "{}", {}, [], True, {"v": 2}, [{"v": 1}, "x"], 1 << 70, {"seq": 1 << 80}]
    messages = [
        *plain(),
        *({**message(29.5, "evb"), "payload": item} for item in odd),
        {"received_at": BEGIN},
    ]
    found = report(write(tmp_path / "odd.jsonl", messages), tmp_path)
    assert found["effective"] == report(write(tmp_path / "plain.jsonl", plain()), tmp_path)["effective"]
    assert found["admission"]["accepted"] == 1 and found["admission"]["quarantined"] >= len(odd)


@pytest.mark.parametrize("packed", [False, True])
def test_messages_and_registry_may_come_through_a_pipe(tmp_path: Path, packed: bool) -> None:
    lines = "".join(json.dumps(item) + "\n" for item in plain()).encode()
    write(tmp_path / "plain.jsonl", plain())
    expected = report(tmp_path / "plain.jsonl", tmp_path)
    read_end, write_end = os.pipe()
    os.write(write_end, gzip.compress(lines) if packed else lines)
    os.close(write_end)
    try:
        found = WireMessages(Path(f"/dev/fd/{read_end}"))
        assert judge_wire(found, read_registry(tmp_path / "registry.json"), UNTIL) == expected
    finally:
        os.close(read_end)


def test_a_pipe_that_is_not_in_order_of_receipt_is_an_error_that_says_how_to_mend_it(tmp_path: Path) -> None:
    report(write(tmp_path / "plain.jsonl", plain()), tmp_path)
    read_end, write_end = os.pipe()
    os.write(write_end, "".join(json.dumps(item) + "\n" for item in reversed(plain())).encode())
    os.close(write_end)
    try:
        with pytest.raises(RecordingError, match="sort them by received_at"):
            judge_wire(
                WireMessages(Path(f"/dev/fd/{read_end}")), read_registry(tmp_path / "registry.json"), UNTIL
            )
    finally:
        os.close(read_end)


def test_lines_in_any_order_give_the_same_report_and_each_bad_line_once(tmp_path: Path) -> None:
    expected = report(write(tmp_path / "plain.jsonl", plain()), tmp_path)
    path = write(tmp_path / "any.jsonl", list(reversed(plain())))
    path.write_bytes(b"no message\n" + path.read_bytes())
    unreadable: list[Unreadable] = []
    found = judge_wire(WireMessages(path, unreadable), read_registry(tmp_path / "registry.json"), UNTIL)
    assert found == expected and [item.line for item in unreadable] == [1]


def test_standard_input_is_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = report(write(tmp_path / "plain.jsonl", plain()), tmp_path)
    registry = read_registry(tmp_path / "registry.json")
    with (tmp_path / "plain.jsonl").open(encoding="utf-8") as messages:
        monkeypatch.setattr("sys.stdin", messages)
        assert judge_wire(WireMessages(Path("-")), registry, UNTIL) == expected


def test_a_first_receipt_before_all_time_is_a_receipt(tmp_path: Path) -> None:
    odd = message(29.5, "evt", seq=2, type="Motion", rx=-(2**63))
    odd["payload"] |= {"clk": "rtc", "boot": "00000000000000ac"}
    found = report(write(tmp_path / "odd.jsonl", [*plain(), odd]), tmp_path)
    assert found["admission"] == {
        "accepted": 2,
        "duplicate": 0,
        "late": 0,
        "implausible": 0,
        "quarantined": 0,
    }


def test_an_archive_cut_short_is_an_error_with_its_place(tmp_path: Path) -> None:
    whole = gzip.compress("".join(json.dumps(item) + "\n" for item in plain() * 50).encode(), 1)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) - 40])
    with pytest.raises(RecordingError, match=r"cut\.jsonl\.gz: cannot be read after line \d+"):
        list(WireMessages(tmp_path / "cut.jsonl.gz", []))


def test_a_registry_may_have_a_mark_and_whole_floats_and_says_what_does_not_fit(tmp_path: Path) -> None:
    expected = report(write(tmp_path / "plain.jsonl", plain()), tmp_path)
    household = {
        **REGISTRY["households"][0], "watched_from": float(BEGIN), "absences": None,
        "doors": [{"device": "d-1", "role": None, "from": None}],
    }  # fmt: skip
    document = {**REGISTRY, "creds": None, "households": [household]}
    (tmp_path / "marked.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(document).encode())
    registry = read_registry(tmp_path / "marked.json")
    assert judge_wire(WireMessages(tmp_path / "plain.jsonl"), registry, UNTIL) == expected
    for wrong in (BEGIN + 0.5, "today", True, float("inf"), None):
        document = {**REGISTRY, "households": [{**household, "watched_from": wrong}]}
        (tmp_path / "wrong.json").write_text(json.dumps(document), encoding="utf-8")
        with pytest.raises(RecordingError, match=r"wrong\.json"):
            read_registry(tmp_path / "wrong.json")


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("households", {"thresholds_s": [0]}, r"households, entry 1 \(h-1\): thresholds_s"),
        ("households", {"thresholds_s": [*range(1, 10)]}, r"households, entry 1 \(h-1\): thresholds_s"),
        ("households", {"thresholds_s": ["1"]}, r"\(h-1\): thresholds_s"),
        ("households", {"doors": None}, r"\(h-1\): doors None is no array"),
        ("households", {"doors": [{"role": "dwelling"}]}, r"\(h-1\): a door is a device id or an object"),
        (
            "households",
            {"doors": [{"device": "d-1", "role": "garage"}]},
            "role 'garage' is none of dwelling, shared",
        ),
        ("households", {"absences": [{"from": BEGIN}]}, r"\(h-1\): the field 'to' is missing"),
        ("households", {"consent": "no"}, r"\(h-1\): consent 'no' is neither true nor false"),
        ("devices", {"supervision_s": -1}, r"devices, entry 1 \(d-1\): supervision_s"),
        ("devices", {"supervision_s": float("nan")}, r"\(d-1\): supervision_s"),
        ("devices", {"id": 5}, "id 5 is no text"),
    ],
)
def test_a_registry_says_which_entry_does_not_fit(part: str, change: dict[str, Any], words: str) -> None:
    document = {**REGISTRY, part: [{**REGISTRY[part][0], **change}]}
    with pytest.raises(RecordingError, match=words):
        parse_registry(document)
    with pytest.raises(RecordingError, match="stands there twice"):
        parse_registry({**REGISTRY, part: REGISTRY[part] * 2})
