"""Generated streams enter twice, message by message and in batches; facts and what is written down must be equal."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ingest import judging
from ingest.detector import Detector, Registry
from ingest.detector.batches import Batch
from ingest.detector.engine import pulse_at_or_after
from ingest.detector.facts import Fact, Taken
from ingest.detector.rows import Rows
from ingest.detector.state import PULSE_MS
from ingest.judging import _Line
from ingest.registry_file import parse_registry
from kaimen import wire
from kaimen.vocabulary import Absence
from tests.property.strategies_wire import Case, plain_streams, random_case
from tests.property.test_detector_restore import Stored, feed, key, lines_of
from tests.seeds import slow_seeds

Message = tuple[str, wire.Event | wire.Heartbeat, int]


class Player:
    """A service's turns: a batch, then the pulse that first sees it."""

    def __init__(
        self, case: Case, *, in_batches: bool, seed: int, changes: bool, stops: bool, in_runs: bool = False
    ) -> None:
        messages, document, until_ms = case
        self.registry = parse_registry(document)
        self.lines = [line for line in lines_of(messages, self.registry) if line.received_ms <= until_ms]
        self.until_ms = until_ms
        self.in_batches, self.in_runs = in_batches, in_runs
        self.said: list[Taken] = []
        self.chance = random.Random(seed)
        self.changes, self.stops = changes, stops
        self.stored = Stored()
        self.facts: list[Fact] = []
        self.views: list[Any] = []
        self.reached = pulse_at_or_after(
            min(item.watched_from_ms for item in self.registry.households.values())
        )
        self.detector = Detector(self.registry, now_ms=self.reached)
        self.left_over = 0
        self.taken = 0

    def pulse(self, at_ms: int) -> None:
        facts = self.detector.pulse(at_ms)
        self.facts.extend(facts)
        self.stored.take(self.detector, facts)

    def run(self) -> Player:
        waiting: list[_Line] = []
        for line in self.lines:
            second = pulse_at_or_after(line.received_ms)
            if second > self.reached:
                self.turn(waiting)
                waiting = []
                self.pulse(self.reached)
                self.pulse(second - PULSE_MS)
                self.reached = second
                self.happen()
            waiting.append(line)
        self.turn(waiting)
        self.pulse(max(self.reached, self.until_ms // PULSE_MS * PULSE_MS))
        return self

    def happen(self) -> None:
        """Now and then the registry changes, or the service starts again."""
        dice = self.chance.random()
        if self.changes and dice < 0.03:
            self.registry = changed(self.registry, self.reached)
            self.detector.replace_registry(self.registry)
        elif self.stops and dice > 0.97:
            self.detector = self.stored.build(self.registry, self.reached - PULSE_MS)
            self.pulse(self.reached - PULSE_MS)

    def turn(self, lines: list[_Line]) -> None:
        if self.in_runs:
            self.said += feed_runs(self.detector, lines, self.stored)
            return
        if not self.in_batches:
            for line in lines:
                self.said += feed(self.detector, line, self.stored)
            return
        index = {device_id: number for number, device_id in enumerate(self.registry.devices)}
        rows, messages = Rows(self.registry.credentials), []
        for line in lines:
            device = index[line.address.device_id]
            if line.heartbeat is not None:
                rows.add_heartbeat(device, line.heartbeat, line.received_ms)
                messages.append(line.heartbeat)
            for event in line.events:
                rows.add_event(device, event, line.received_ms)
                messages.append(event)
                self.stored.events.append((line.address.device_id, event, line.received_ms))
        batch = Batch(rows.take(), messages)
        while batch.reached < len(messages):
            self.left_over += self.detector.take_batch(batch) is not None
        self.taken += len(messages)


def feed_runs(detector: Detector, lines: list[_Line], stored: Stored) -> list[Taken]:
    """Give the detector what one device says without another between as one run."""
    said: list[Taken] = []
    for (device_id, is_heartbeat), group in itertools.groupby(
        lines, key=lambda line: (line.address.device_id, line.heartbeat is not None)
    ):
        if is_heartbeat:
            for line in group:
                feed(detector, line, stored)
            continue
        run = [(event, line.received_ms) for line in group for event in line.events]
        said += detector.take_run(device_id, [event for event, _ in run], [at for _, at in run])
        stored.events += [(device_id, event, received_ms) for event, received_ms in run]
    return said


def kept_of(detector: Detector) -> list[Any]:
    """Return what is kept of every device, to the last list."""
    return [
        (
            track.device_id, track.watched(), track.heard_ms(), track.openings, track.taken, track.passages,
            track.forced, track.edges, track.tampers, track.counter_openings, track.in_fault(),
            [(boot.boot, boot.events, boot.folded, boot.runs(), boot.last_point()) for boot in track.boots.values()],
        )
        for track in detector._tracks.values()
    ]  # fmt: skip


def assert_runs_same(case: Case, seed: int = 0, *, changes: bool = False, stops: bool = False) -> Player:
    one = Player(case, in_batches=False, seed=seed, changes=changes, stops=stops).run()
    other = Player(case, in_batches=False, in_runs=True, seed=seed, changes=changes, stops=stops).run()
    assert other.said == one.said
    assert other.facts == one.facts
    assert other.stored.points == one.stored.points
    assert other.stored.boots == one.stored.boots
    assert other.detector.take_changed_views() == one.detector.take_changed_views()
    assert kept_of(other.detector) == kept_of(one.detector)
    return other


def changed(registry: Registry, now_ms: int) -> Registry:
    """Give the first household other thresholds and an absence in a minute."""
    first = next(iter(registry.households.values()))
    other = dataclasses.replace(
        first,
        thresholds_ms=tuple(limit + 7_000 for limit in first.thresholds_ms),
        absences=(*first.absences, Absence(now_ms + 60_500, now_ms + 200_000)),
    )
    return dataclasses.replace(registry, households={**registry.households, first.household_id: other})


def assert_same(case: Case, seed: int = 0, *, changes: bool = False, stops: bool = False) -> Player:
    one = Player(case, in_batches=False, seed=seed, changes=changes, stops=stops).run()
    other = Player(case, in_batches=True, seed=seed, changes=changes, stops=stops).run()
    assert sorted(map(key, other.facts)) == sorted(map(key, one.facts))
    if not stops:  # a stretch begun anew after a start depends on when that was
        assert other.stored.points == one.stored.points
    assert other.stored.boots == one.stored.boots
    for household_id in one.detector.watched_households():
        theirs, ours = one.detector.rule_of(household_id), other.detector.rule_of(household_id)
        assert ours.history(case[2]) == theirs.history(case[2])
    return other


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(plain_streams())
def test_one_door_in_batches_says_what_it_says_message_by_message(case: Case) -> None:
    assert_same(case)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(plain_streams())
def test_one_door_in_runs_says_what_it_says_event_by_event(case: Case) -> None:
    assert_runs_same(case)


@pytest.mark.parametrize("seed", [*range(6), *slow_seeds(range(6, 24))])
def test_nasty_streams_in_runs_say_what_they_say_event_by_event(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if every track were brought up to date for the shortest run, or only for long ones.
    monkeypatch.setattr("ingest.detector.going_on._REFRESHED_FOR_EVENTS", 1 + seed % 2 * 7)
    assert_runs_same(random_case(seed), seed, changes=seed % 2 == 0, stops=seed % 3 == 0)


@pytest.mark.parametrize("seed", range(12))
def test_nasty_streams_in_batches_say_what_they_say_message_by_message(seed: int) -> None:
    assert_same(random_case(seed), seed, changes=seed % 2 == 0)


@pytest.mark.parametrize("seed", range(3, 11))
def test_a_restart_between_batches_changes_no_fact(seed: int) -> None:
    assert_same(random_case(seed, very_late=False), seed, changes=seed % 2 == 1, stops=True)


def quiet_street(seed: int, devices: int = 6, hours: int = 60) -> Case:
    """Doors that mostly say nothing, rarely lose a message or start anew; one household each, one without."""
    chance = random.Random(seed)
    begin = 1_763_712_000_000
    messages = []
    for number in range(devices):
        boot, start, seq, opens = chance.getrandbits(64), begin - chance.randrange(10**8), 7, 40
        at, opening = begin, begin + chance.randrange(40_000_000)
        while at < begin + hours * 3_600_000:
            at += 600_000
            said: list[tuple[int, str, dict[str, Any]]] = []
            while opening < at:
                opens += 1
                for state in ("Open", "Closed"):
                    seq += 1
                    body = {
                        "seq": seq,
                        "type": "DoorPhysicalState",
                        "state": state,
                        "door": "x",
                        "hist": False,
                    }
                    said.append((opening, "evt", body | {"opens": opens}))
                    opening += 9_000
                opening += int(chance.expovariate(1 / 20_000_000))
            said.append((at, "hb", {"seq_last": seq, "opens": opens}))
            for when, channel, body in said:
                head = {"v": 1, "boot": f"{boot:016x}", "ts": when, "up": when - start, "clk": "ntp"}
                if chance.random() < 0.995:
                    messages.append(message(number, channel, head | body, when + chance.randrange(900)))
            if chance.random() < 0.004:
                boot, start, seq = chance.getrandbits(64), at + 1_000, 0
    messages.sort(key=lambda line: line["received_at"])
    names = [f"d-{number}" for number in range(devices)]
    document = {
        "devices": [{"id": name, "site": "north", "supervision_s": 1_800} for name in names],
        "households": [
            {"id": f"h-{name}", "site": "north", "doors": [name], "watched_from": begin} for name in names[1:]
        ],
    }
    return messages, document, begin + hours * 3_600_000


def message(number: int, channel: str, payload: dict[str, Any], received_ms: int) -> dict[str, Any]:
    topic = wire.format_topic("north", f"d-{number}", channel)
    return {"received_at": received_ms, "topic": topic, "payload": payload}


def test_on_a_quiet_street_nearly_everything_goes_past_the_tracks() -> None:
    player = assert_same(quiet_street(1))
    assert player.left_over < 0.05 * player.taken, (player.left_over, player.taken)


def test_a_batch_must_have_a_message_for_each_row() -> None:
    with pytest.raises(AssertionError):
        Batch(Rows({}).take(), [wire.Heartbeat(v=1, boot="0" * 16, ts=0, up=0, clk="ntp", seq_last=0)])


@pytest.mark.parametrize(
    "flag", [pytest.param("NUMBA_BOUNDSCHECK", marks=pytest.mark.slow), "NUMBA_DISABLE_JIT"]
)
def test_batches_say_the_same_with_bounds_checked_and_uncompiled(flag: str) -> None:
    program = (
        "from tests.property.test_batches import assert_same, quiet_street\n"
        "from tests.property.strategies_wire import random_case\n"
        "from tests.unit.ingest import test_hot_state as hot\n"
        f"if {flag!r} == 'NUMBA_BOUNDSCHECK':\n"
        "    hot.test_pulses_find_who_fell_silent_or_reached_a_stage_and_nobody_else(0)\n"
        "for seed in range(3, 7): assert_same(random_case(seed, 'minutes'), seed)\n"
        "assert_same(quiet_street(3, devices=2, hours=26))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, flag: "1", "KAIMEN_KERNEL_CACHE": "0"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("seed", range(5))
def test_the_report_of_a_recording_does_not_depend_on_its_pieces(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages, document, until_ms = random_case(seed)
    whole = judging.judge_wire(messages, parse_registry(document), until_ms)
    monkeypatch.setattr(judging, "_MESSAGES_AT_ONCE", 1 + seed)
    monkeypatch.setattr(judging, "_PIECES_KEPT", 1 + seed % 3)
    assert judging.judge_wire(messages, parse_registry(document), until_ms) == whole
