"""The hot state must take only what may go past a track, keep every bit over growth and snapshots, and hand back the rest."""

from __future__ import annotations

import mmap
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from ingest.detector.applying import ARMED, BASE, LIVES, UNCOUNTED
from ingest.detector.arrays import HotState, SnapshotError
from ingest.detector.columns import (
    CLOSED,
    EVENT,
    FORCED,
    GRANTED,
    GUARD,
    HEARTBEAT,
    NOT_TAKEN,
    NTP,
    OPEN,
    OTHER,
    RTC,
    TAKEN,
    TAMPER,
    Columns,
)
from ingest.detector.state import BLOCK, PLAIN
from kaimen.policy import DAY_MS, FUTURE_MAX_MS, PAST_MAX_MS, STEP_MAX_MS
from tests.seeds import slow_seeds

BEGIN = 1_763_712_000_000
BOOT = 0xF00D_0000_0000_0001
UP = 500_000


def armed(devices: int = 1, *, lives: bool = True, by_heartbeat: bool = True, opens: int = 40) -> HotState:
    state = HotState(devices, devices)
    for device in range(devices):
        assert state.arm(
            device, boot=BOOT, base_ms=BEGIN - UP, instant_ms=BEGIN, up_ms=UP, seq=7, opens=opens,
            by_heartbeat=by_heartbeat, lives=lives,
        )  # fmt: skip
    return state


def rows(*messages: dict[str, Any]) -> Columns:
    """Sound heartbeats a minute after the point each device was armed at, but for what each message says."""
    sound = {
        "device": 0, "boot": BOOT, "kind": HEARTBEAT, "seq": 7, "up": UP + 60_000, "ts": BEGIN + 60_000, "clk": NTP,
        "type": OTHER, "cls": 0, "remote": False, "opens": 40, "received": BEGIN + 60_300,
    }  # fmt: skip
    return Columns.of({name: [(sound | one)[name] for one in messages] for name in sound})


def event(what: int, **said: Any) -> dict[str, Any]:
    return {"kind": EVENT, "seq": 8, "type": what, "opens": 41 if what == OPEN else 40} | said


SOUND = [
    {},
    {"up": UP + 1_000},
    {"up": UP + 60_000 + STEP_MAX_MS},
    {"ts": BEGIN, "up": UP + 1},
    {"received": BEGIN + 60_000 + PAST_MAX_MS},
    {"received": BEGIN + 59_001},
    event(OPEN),
    event(CLOSED),
    event(TAKEN, cls=1),
    event(GRANTED, cls=2),
    event(NOT_TAKEN, cls=5),
    event(OTHER),
    event(OPEN, ts=BEGIN, up=UP),
]
NOT_SOUND = [
    {"boot": BOOT + 1},
    {"boot": BOOT ^ (1 << 63)},
    {"seq": 8},
    {"seq": 6},
    {"opens": 41},
    {"opens": -1},
    {"clk": RTC},
    {"ts": BEGIN - 1, "up": UP + 1},
    {"up": UP},
    {"up": UP - 1},
    {"up": UP + 60_000 + STEP_MAX_MS + 1},
    {"received": BEGIN + 60_001 + PAST_MAX_MS},
    {"received": BEGIN + 59_000},
    {"ts": BEGIN + 60_000 + FUTURE_MAX_MS + 400, "up": UP + 60_000 + FUTURE_MAX_MS + 400},
    event(OPEN, opens=40),
    event(OPEN, seq=9),
    event(CLOSED, opens=41),
    event(TAKEN, cls=GUARD),
    event(GRANTED, remote=True),
    event(FORCED),
    event(TAMPER),
    event(OPEN, ts=BEGIN - 1, up=UP),
]


@pytest.mark.parametrize("message", SOUND)
def test_what_only_goes_on_is_taken(message: dict[str, Any]) -> None:
    state = armed()
    assert state.apply(rows(message)).tolist() == []
    assert state.is_armed(0)
    assert state.heard_ms(0) == message.get("ts", BEGIN + 60_000)


@pytest.mark.parametrize("message", NOT_SOUND)
def test_whatever_says_more_is_left_over_with_all_that_follows(message: dict[str, Any]) -> None:
    state = armed(2)
    batch = rows(
        {"device": 1}, message, {"up": UP + 90_000, "ts": BEGIN + 90_000, "received": BEGIN + 90_100}
    )
    assert state.apply(batch).tolist() == [1, 2]
    assert not state.is_armed(0) and state.is_armed(1)
    assert state.heard_ms(0) == BEGIN


@pytest.mark.parametrize("what", [OPEN, CLOSED, TAKEN, GRANTED])
def test_where_others_have_a_say_only_heartbeats_and_idle_events_are_taken(what: int) -> None:
    assert armed(lives=False).apply(rows(event(what))).tolist() == [0]
    assert armed(lives=False).apply(rows(event(OTHER))).tolist() == []


def test_doors_without_a_counter_go_on_without_one() -> None:
    state = armed(opens=-1)
    assert state.apply(rows({"opens": -1}, event(OPEN, opens=-1))).tolist() == []
    assert state.apply(rows(event(CLOSED, seq=9, opens=41))).tolist() == [0]


def test_a_heartbeat_may_follow_an_event_of_the_same_instant_but_not_itself() -> None:
    batch = rows({"ts": BEGIN, "up": UP})
    assert armed(by_heartbeat=False).apply(batch).tolist() == []
    assert armed(by_heartbeat=True).apply(batch).tolist() == [0]


@pytest.mark.parametrize(
    "point",
    [
        {"seq": 1 << 31},
        {"opens": UNCOUNTED},
        {"base_ms": -1},
        {"instant_ms": 1 << 42},
        {"up_ms": UP - STEP_MAX_MS - 1},
    ],
)
def test_a_point_that_does_not_fit_a_row_is_not_armed(point: dict[str, int]) -> None:
    state = armed()
    said: dict[str, Any] = {
        "boot": BOOT, "base_ms": BEGIN - UP, "instant_ms": BEGIN, "up_ms": UP, "seq": 7, "opens": 40,
        "by_heartbeat": True, "lives": True,
    }  # fmt: skip
    assert not state.arm(0, **(said | point))
    assert not state.is_armed(0)


def test_a_due_household_whose_door_was_heard_is_armed_again_and_one_not_heard_is_found() -> None:
    state = armed(2)
    for household in range(2):
        state.watch.set_thresholds(household, (DAY_MS,))
        state.watch.level[household] = 0
        state.watch.evidence_ms[household] = state.watch.origin_ms[household] = BEGIN
        state.watch.set_known_until(household, BEGIN + 180_000)
        state.watch.set_due(household, BEGIN + 180_001)
        state.device_of[household] = household
        state.supervision_ms[household] = 180_000
    state.apply(rows(event(OPEN)))
    assert state.pulse(BEGIN + 180_000).tolist() == []
    assert state.pulse(BEGIN + 181_000).tolist() == [1]
    assert state.watch.due_pulse_ms(0) == BEGIN + 60_000 + DAY_MS
    assert state.pulse(BEGIN + 240_000).tolist() == [1]
    assert state.pulse(BEGIN + 241_000).tolist() == [0, 1]
    assert state.watch.evidence_ms[:2].tolist() == [BEGIN + 60_000, BEGIN]


def stage_of(state: HotState, household: int, pulse_ms: int) -> int:
    opened = max(int(state.opened_ms[household]), BEGIN)
    return sum(pulse_ms - opened >= limit for limit in LIMITS)


def looked_at_by_the_rule(state: HotState, pulse_ms: int, level: list[int]) -> list[int]:
    """Say by the plain rule who must be looked at: who fell silent, or stands at another stage than was announced."""
    found = []
    for household in range(state.households):
        silent = pulse_ms > state.heard_ms(household) + int(state.supervision_ms[household])
        if level[household] != PLAIN and (silent or stage_of(state, household, pulse_ms) != level[household]):
            found.append(household)
    return found


LIMITS = (400_000, 700_000)


@pytest.mark.parametrize("seed", [0, *slow_seeds(range(1, 6))])
def test_pulses_find_who_fell_silent_or_reached_a_stage_and_nobody_else(seed: int) -> None:
    """Some messages come late, pulses now and then too; the state grows and comes out of snapshots on the way."""
    chance = Random(seed)
    count = 2 * BLOCK + 7
    state = armed(count)
    level = [0] * count
    seq, opens = np.full(count, 7), np.full(count, 40)
    for household in range(count):
        state.watch.set_thresholds(household, LIMITS)
        state.watch.evidence_ms[household] = state.watch.origin_ms[household] = BEGIN
        state.device_of[household] = household
        state.supervision_ms[household] = chance.choice([9_500, 90_000, 180_000, 500_000])
        state.watch.set_known_until(household, BEGIN + int(state.supervision_ms[household]))
        state.watch.level[household] = 0
        state.watch.set_due(
            household, BEGIN + min(1000 * chance.randrange(1, 90), int(state.supervision_ms[household]) + 1)
        )
    pulse_ms, seen, back, spared = BEGIN, 0, 0, 0
    while pulse_ms < BEGIN + 900_000:
        pulse_ms += chance.choice([1, 1, 1, 7, 40]) * 1000
        said = []
        for device in sorted(chance.sample(range(count), k=chance.choice([0, 30, count // 4]))):
            opening = level[device] == 0 and chance.random() < 0.2  # else the plain rule takes it
            at = pulse_ms - (
                chance.randrange(1, 900) if chance.random() < 0.9 else chance.randrange(1, 60_000)
            )
            if at <= state.heard_ms(device):
                continue
            seq[device] += opening
            opens[device] += opening
            said.append(
                {"device": device, "seq": int(seq[device]), "opens": int(opens[device]), "ts": at,
                 "up": UP + at - BEGIN, "received": pulse_ms, "kind": EVENT if opening else HEARTBEAT,
                 "type": OPEN if opening else OTHER}
            )  # fmt: skip
            if level[device] == PLAIN:  # what the plain rule would do with the first that is heard again
                level[device] = stage_of(state, device, pulse_ms)
                state.watch.level[device] = level[device]
                state.watch.set_due(device, pulse_ms)
                back += 1
        if said:
            assert len(state.apply(rows(*said))) == 0
        expected = looked_at_by_the_rule(state, pulse_ms, level)
        assert state.next_due_s() <= pulse_ms // 1000 or not expected
        assert state.pulse(pulse_ms).tolist() == expected
        seen += len(expected)
        spared += int(np.bitwise_count(state.silence.watched).sum())
        for household in expected:  # what the plain rule would do, in short
            silent = pulse_ms > state.heard_ms(household) + int(state.supervision_ms[household])
            level[household] = PLAIN if silent else stage_of(state, household, pulse_ms)
            state.watch.level[household] = level[household]
            state.watch.set_due(household, 1 << 60 if silent else pulse_ms + 1000)
        if chance.random() < 0.02:
            state = HotState.from_snapshot(state.snapshot())
        if chance.random() < 0.02:
            state.grow(state.devices + 700, count)
    assert seen > 100 and back > 100, "nobody to be found proves nothing"
    assert spared > 50 * BLOCK, "nobody was left to the bits"


def test_a_door_whose_last_word_came_late_falls_silent_by_when_it_spoke() -> None:
    state = armed()
    state.watch.set_thresholds(0, (DAY_MS,))
    state.watch.level[0], state.device_of[0], state.supervision_ms[0] = 0, 0, 180_000
    state.watch.evidence_ms[0] = state.watch.origin_ms[0] = BEGIN
    state.watch.set_due(0, BEGIN + 1_000)
    spoken_s = {60: 60, 120: 120, 180: 180, 300: 230}  # received at: spoken at
    found_s = []
    for second in range(1, 500):
        if second in spoken_s:
            at_ms = spoken_s[second] * 1_000
            word = {"ts": BEGIN + at_ms, "up": UP + at_ms, "received": BEGIN + second * 1_000}
            assert state.apply(rows(word)).tolist() == []
        if state.pulse(BEGIN + second * 1_000).tolist():
            found_s.append(second)
    assert found_s == list(range(411, 500))


def filled() -> HotState:
    state = armed(3)
    for household in range(3):
        state.watch.set_thresholds(household, (DAY_MS, (household + 2) * DAY_MS))
        state.watch.set_due(household, BEGIN + household * 1000)
        state.device_of[household] = household
    state.disarm(2)
    state.apply(rows(event(OPEN)))
    state.pulse_ms, state.position = BEGIN, 4711
    return state


def assert_alike(one: HotState, other: HotState) -> None:
    for ours, theirs in zip(one._arrays(), other._arrays(), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert (one.devices, one.households) == (other.devices, other.households)
    assert (one.pulse_ms, one.position) == (other.pulse_ms, other.position)


def test_a_snapshot_gives_the_state_back_and_it_goes_on_alike() -> None:
    state = filled()
    again = HotState.from_snapshot(state.snapshot())
    assert_alike(again, state)
    tail = rows(
        {"device": 1}, event(CLOSED, seq=9, opens=41, up=UP + 61_000, ts=BEGIN + 61_000), {"device": 2}
    )
    assert again.apply(tail).tolist() == state.apply(tail).tolist() == [2]
    again.watch.set_thresholds(2, (DAY_MS, 4 * DAY_MS))
    state.watch.set_thresholds(2, (DAY_MS, 4 * DAY_MS))
    assert_alike(again, state)


def test_a_snapshot_may_be_used_where_a_file_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "hot.snapshot"
    with path.open("wb") as stream:
        for part in filled().snapshot_parts():
            stream.write(part.tobytes())
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        again = HotState.from_snapshot(mapped, copy=False)
        assert_alike(again, filled())
        assert again.apply(rows({"device": 1})).tolist() == []
        del again
    assert path.read_bytes() == filled().snapshot()
    stored = bytearray(filled().snapshot())
    again = HotState.from_snapshot(stored, copy=False, copy_rows=True)
    assert again.apply(rows({"device": 1})).tolist() == []
    assert_alike(HotState.from_snapshot(stored), filled())


def test_what_is_no_whole_snapshot_is_refused() -> None:
    stored = filled().snapshot()
    with pytest.raises(SnapshotError, match="no snapshot"):
        HotState.from_snapshot(b"something else".ljust(200))
    with pytest.raises(SnapshotError, match="cut short"):
        HotState.from_snapshot(stored[:-8])
    changed = bytearray(stored)
    changed[300] ^= 1
    with pytest.raises(SnapshotError, match="changed"):
        HotState.from_snapshot(bytes(changed))
    with pytest.raises(SnapshotError, match="another form"):
        HotState.from_snapshot(
            np.concatenate(
                [np.frombuffer(stored, np.int64)[:1], [3, 9000], np.frombuffer(stored, np.int64)[3:]]
            )
        )


def test_room_grows_without_touching_what_is_there() -> None:
    state = filled()
    before = [array.copy() for array in state._arrays()]
    state.grow(2_000, 3_000)
    assert (state.devices, state.households) == (2_000, 3_000)
    for old, new in zip(before, state._arrays(), strict=True):
        np.testing.assert_array_equal(new[tuple(slice(length) for length in old.shape)], old)
    assert state.watch.due_pulse_ms(2_999) > 1 << 60
    assert not state.is_armed(1_999)
    assert state.device_of[2_999] == -1
    assert state.apply(rows({"device": 1}, {"device": 1_999})).tolist() == [1]
    assert state.pulse(BEGIN + 5_000).tolist() == [0, 1, 2]


def test_a_device_takes_thirty_two_bytes_in_one_cache_line() -> None:
    for devices in (1, 3, 1_000, 100_000):
        state = HotState(devices, 0)
        assert state.rows[0].nbytes == 32
        assert state.rows.ctypes.data % 64 == 0
    assert armed().rows[0, BASE] & (ARMED | LIVES) == ARMED | LIVES
