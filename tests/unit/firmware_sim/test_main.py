"""Options enter; files of messages leave, and wrong options are refused with a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from firmware_sim.__main__ import ScaledClock, command
from kaimen import wire
from kaimen.clock import ManualClock, set_clock
from tests.fix_servers import wait_until

START_MS = 1_761_955_200_000


def _sim(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(arguments))
    return result.exit_code, result.output


def test_a_day_at_once_goes_to_a_file_with_its_registry(tmp_path: Path) -> None:
    out, registry = tmp_path / "messages.jsonl", tmp_path / "registry.json"
    arguments = ["--households", "24", "--watched", "6", "--days", "1", "--start", str(START_MS)]
    status, said = _sim(*arguments, "--out", str(out), "--registry", str(registry))
    assert status == 0, said
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines and all(line["received_at"] <= START_MS + 86_400_000 for line in lines)
    known = {item["id"] for item in json.loads(registry.read_text())["devices"]}
    assert {wire.parse_topic(line["topic"]).device_id for line in lines} <= known
    again = tmp_path / "again.jsonl"
    assert _sim(*arguments, "--out", str(again), "--seed", "42")[0] == 0
    assert again.read_bytes() == out.read_bytes()


def test_a_street_at_speed_catches_up_with_now_and_keeps_its_state(tmp_path: Path) -> None:
    out, state = tmp_path / "messages.jsonl", tmp_path / "sim.sqlite"
    status, said = _sim(
        *("--households", "12", "--days", "0.5", "--speed", "1000000"),
        *("--out", str(out), "--state", str(state)),
    )
    assert status == 0, said
    assert state.exists() and out.stat().st_size > 0


def test_live_goes_on_from_the_state_that_history_left(tmp_path: Path) -> None:
    state = tmp_path / "sim.sqlite"
    common = ["--households", "12", "--state", str(state), "--out"]
    assert _sim(*common, str(tmp_path / "past.jsonl"), "--days", "1")[0] == 0
    status, said = _sim(*common, str(tmp_path / "live.jsonl"), "--speed", "real", "--days", "0.00001")
    assert status == 0, said

    def boots(path: Path) -> set[str]:
        return {
            json.loads(line)["payload"]["boot"]
            for line in path.read_text().splitlines()
            if "/hb" in line or "/state" in line
        }

    assert boots(tmp_path / "live.jsonl") <= boots(tmp_path / "past.jsonl")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--out", "a", "--broker", "mqtt://b"],
        ["--out", "a", "--speed", "fast"],
        ["--out", "a", "--speed", "-1"],
        ["--broker", "http://b", "--households", "3", "--days", "0.01"],
        ["--out", "a", "--households", "3", "--watched", "4"],
    ],
)
def test_wrong_options_are_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code != 0
    assert "Traceback" not in result.output and "Error" in result.output


def _events(path: Path) -> list[tuple[str, wire.Event]]:
    found = []
    for line in path.read_bytes().splitlines():
        message = json.loads(line)
        address = wire.parse_topic(message["topic"])
        if address.channel in ("evt", "evb"):
            payload = message["payload"] if address.channel == "evb" else [message["payload"]]
            for event in wire.parse_batch(wire.encode_payload(payload)):
                assert isinstance(event, wire.Event)
                found.append((address.device_id, event))
    return found


def test_a_simulator_killed_again_and_again_reuses_no_number_and_loses_no_event(tmp_path: Path) -> None:
    clock, out = tmp_path / "clock.json", tmp_path / "live.jsonl"
    set_clock(clock, speed=20_000, now_ms=START_MS)
    arguments = [sys.executable, "-m", "firmware_sim", "--households", "24", "--faults", "none", "--quiet"]
    arguments += ["--start", str(START_MS), "--speed", "real", "--clock", f"file:{clock}", "--out", str(out)]
    arguments += ["--state", str(tmp_path / "sim.sqlite"), "--days", "365"]
    for turn in range(1, 5):
        before = out.stat().st_size if out.exists() else 0
        with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
            wait_until(lambda size=before: out.exists() and out.stat().st_size > size + 60_000, f"run {turn}")
            process.kill()
    boots: dict[str, set[str]] = {}
    seqs: dict[str, dict[int, tuple[object, ...]]] = {}
    for device_id, event in _events(out):
        boots.setdefault(device_id, set()).add(event.boot)
        told = seqs.setdefault(device_id, {})
        assert told.setdefault(event.seq, event.content()) == event.content()
    assert boots and all(len(found) == 1 for found in boots.values())
    # Only the last run's last turn may have been cut off.
    for told in seqs.values():
        assert set(told) == set(range(1, max(told) + 1))


def test_a_scaled_clock_runs_faster_and_stops_at_now() -> None:
    base = ManualClock(1_000_000)
    clock = ScaledClock(base, base.now_ms(), 400_000, 10)
    assert clock.now_ms() == 400_000
    base.advance_to(1_010_000)
    assert clock.now_ms() == 500_000
    base.advance_to(1_900_000)
    assert clock.now_ms() == 1_900_000
