"""A clock, a publisher and orders enter; the street goes on where it ended and never runs ahead of the clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import pytest

from firmware_sim import faults
from firmware_sim.community import make_community
from firmware_sim.control import order
from firmware_sim.drift import DriftLevel
from firmware_sim.live import Live, open_street
from firmware_sim.publish import FilePublisher, ListPublisher, Publisher
from firmware_sim.residents import DAY_MS
from firmware_sim.state import save
from firmware_sim.street import Outgoing, Street
from kaimen import wire
from kaimen.clock import ManualClock

START_MS = 1_761_955_200_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
COMMUNITY = make_community(5, 24, 8, "baihe", START_MS)
HOME = COMMUNITY.watched[0]


def _street(*, real_link: bool = True, rates: faults.FaultRates = faults.NONE) -> Street:
    return Street(COMMUNITY, START_MS, rates=rates, drift=DriftLevel.GENTLE, real_link=real_link)


@contextmanager
def _live(
    folder: Path, clock: ManualClock, publisher: Publisher, rates: faults.FaultRates = faults.NONE
) -> Iterator[tuple[Live, Street]]:
    street = _street(rates=rates)
    state = open_street(street, folder / "sim.sqlite")
    try:
        yield Live(street, clock, publisher, state, folder / "control"), street
    finally:
        state.close()


def _play(live: Live, clock: ManualClock, to_ms: int, step_ms: int = 30 * MINUTE_MS) -> None:
    while clock.now_ms() < to_ms:
        clock.advance_to(min(to_ms, clock.now_ms() + step_ms))
        while not live.turn():
            pass


def _events(messages: list[Outgoing]) -> list[tuple[str, wire.Event]]:
    found = []
    for message in messages:
        address = wire.parse_topic(message.topic)
        if address.channel == "evt":
            found.append((address.device_id, wire.parse_event(message.payload)))
        elif address.channel == "evb":
            batch = wire.parse_batch(message.payload)
            found += [(address.device_id, event) for event in batch if isinstance(event, wire.Event)]
    return found


def _keys(told: list[tuple[str, wire.Event]]) -> dict[tuple[str, str, int], tuple[object, ...]]:
    found: dict[tuple[str, str, int], tuple[object, ...]] = {}
    for device_id, event in told:
        key = (device_id, event.boot, event.seq)
        assert found.setdefault(key, event.content()) == event.content(), f"{key} was used twice"
    return found


def _expected(to_ms: int, rates: faults.FaultRates = faults.NONE) -> dict[tuple[str, str, int], int]:
    """Return opens by key as an unbroken simulated street tells them."""
    found = {}
    for received_ms, topic, payload in _street(real_link=False, rates=rates).run(to_ms + MINUTE_MS):
        address = wire.parse_topic(topic)
        told = (
            [wire.parse_event(payload)]
            if address.channel == "evt"
            else wire.parse_batch(payload)
            if address.channel == "evb"
            else []
        )
        for event in told:
            assert isinstance(event, wire.Event)
            if received_ms <= to_ms:
                found[address.device_id, event.boot, event.seq] = event.opens or 0
    return found


def test_live_goes_on_where_history_ended(tmp_path: Path) -> None:
    middle_ms, end_ms = START_MS + 2 * DAY_MS, START_MS + 4 * DAY_MS
    past = _street(real_link=False)
    told_past = {
        (wire.parse_topic(topic).device_id, event.boot, event.seq)
        for _at, topic, payload in past.run(middle_ms)
        if topic.endswith("/evt")
        for event in [wire.parse_event(payload)]
    }
    save(past, tmp_path / "sim.sqlite")
    clock, publisher = ManualClock(middle_ms), ListPublisher()
    with _live(tmp_path, clock, publisher) as (live, _):
        live.turn()
        _play(live, clock, end_ms)
    told_live = _keys(_events(publisher.sent))
    assert not told_past & set(told_live)
    assert told_past | set(told_live) >= set(_expected(end_ms))


def test_nothing_is_dated_after_the_clock_nor_told_while_it_stands(tmp_path: Path) -> None:
    clock, publisher = ManualClock(START_MS), ListPublisher()
    with _live(tmp_path, clock, publisher, faults.USUAL) as (live, _):
        live.turn()
        for turn in range(100):
            clock.advance_to(START_MS + turn * 15 * MINUTE_MS)
            before = len(publisher.sent)
            while not live.turn():
                pass
            for _device, event in _events(publisher.sent[before:]):
                assert event.ts <= clock.now_ms()
            quiet = len(publisher.sent)
            for _ in range(3):
                live.turn()
            # Only answers to notices may follow: births of gateways that have just connected.
            assert all(message.channel == "state" for message in publisher.sent[quiet:])


def test_a_kill_before_the_broker_answered_resends_the_same_events(tmp_path: Path) -> None:
    clock = ManualClock(START_MS)
    deaf = ListPublisher(acknowledges=False)
    with _live(tmp_path, clock, deaf) as (live, _):
        live.turn()
        _play(live, clock, START_MS + DAY_MS)
    first = _keys(_events(deaf.sent))
    assert first
    # The process dies here: nothing was settled. The next one has only the file.
    hearing = ListPublisher()
    with _live(tmp_path, clock, hearing) as (live, street):
        live.turn()
        _play(live, clock, START_MS + 2 * DAY_MS)
        live.turn()
        assert not any(controller.memory.unsent for controller in street.controllers)
    told = _events(hearing.sent)
    assert all(event.hist for device, event in told if (device, event.boot, event.seq) in first)
    assert first.keys() <= _keys(told).keys()
    _keys(_events(deaf.sent) + told)


def test_what_happened_while_the_simulator_was_down_is_told_as_history(tmp_path: Path) -> None:
    clock, publisher = ManualClock(START_MS), ListPublisher()
    with _live(tmp_path, clock, publisher) as (live, _):
        live.turn()
        _play(live, clock, START_MS + HOUR_MS)
    down_until_ms = START_MS + DAY_MS
    late = ListPublisher()
    clock.advance_to(down_until_ms)
    with _live(tmp_path, clock, late) as (live, _):
        while not live.turn():
            pass
        _play(live, clock, down_until_ms + HOUR_MS)
    found = _keys(_events(publisher.sent) + _events(late.sent))
    assert set(found) >= set(_expected(down_until_ms + HOUR_MS))


def test_commands_are_obeyed_kept_and_answered(tmp_path: Path) -> None:
    clock, publisher = ManualClock(START_MS), ListPublisher()
    control = tmp_path / "control"
    with _live(tmp_path, clock, publisher) as (live, _):
        live.turn()
        _play(live, clock, START_MS + HOUR_MS)
        before = len(publisher.sent)
        answer = order(control, do="open_door", household=HOME.household_id)
        live.turn()
        said = json.loads(answer.read_text())
        assert said["ok"] and said["result"]["at_ms"] == clock.now_ms()
        opened = [event for device, event in _events(publisher.sent[before:]) if device == HOME.door_id]
        assert [event.state for event in opened] == ["Open"]
        assert opened[0].up > 0
        shut = order(control, do="keep_shut", household=HOME.household_id)
        live.turn()
        assert json.loads(shut.read_text())["ok"]
        assert not list(control.glob("*.json")) and not list(control.glob("*.taken"))
    # A new process still keeps the door shut.
    clock_later = ManualClock(clock.now_ms())
    later = ListPublisher()
    with _live(tmp_path, clock_later, later) as (live, _):
        live.turn()
        _play(live, clock_later, START_MS + 3 * DAY_MS)
        assert [e.state for d, e in _events(later.sent) if d == HOME.door_id] == ["Closed"]
        order(control, do="release", household=HOME.household_id)
        _play(live, clock_later, START_MS + 6 * DAY_MS)
        assert any(e.is_open_edge for d, e in _events(later.sent) if d == HOME.door_id)


def test_a_command_half_done_by_a_dead_simulator_is_applied_again(tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.mkdir()
    (control / "a.taken").write_text(json.dumps({"do": "keep_shut", "household": HOME.household_id}))
    clock = ManualClock(START_MS)
    with _live(tmp_path, clock, ListPublisher()) as (live, street):
        live.turn()
        assert street.shut == {HOME.household_id}
    assert json.loads((control / "a.done").read_text())["ok"]


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"do": "dance"}',
        '{"do": "open_door"}',
        '{"do": "open_door", "household": "nobody"}',
        '{"do": "unplug_gateway", "gateway": 7}',
    ],
)
def test_a_command_that_cannot_be_obeyed_is_answered_with_why(tmp_path: Path, text: str) -> None:
    control = tmp_path / "control"
    control.mkdir()
    (control / "a.json").write_text(text)
    with _live(tmp_path, ManualClock(START_MS), ListPublisher()) as (live, _):
        live.turn()
    said = json.loads((control / "a.done").read_text())
    assert said["ok"] is False and said["error"]


def test_an_unplugged_gateway_loses_its_session_and_sends_all_when_plugged(tmp_path: Path) -> None:
    clock, publisher = ManualClock(START_MS), ListPublisher()
    gateway_id = HOME.gateway_id
    members = {item.device_id for item in COMMUNITY.devices if item.gateway_id == gateway_id}
    control = tmp_path / "control"
    with _live(tmp_path, clock, publisher) as (live, _):
        live.turn()
        _play(live, clock, START_MS + HOUR_MS)
        order(control, do="unplug_gateway", gateway=gateway_id)
        live.turn()
        live.turn()
        before = len(publisher.sent)
        _play(live, clock, START_MS + 2 * DAY_MS)
        assert not members & {device for device, _event in _events(publisher.sent[before:])}
        order(control, do="plug_gateway", gateway=gateway_id)
        _play(live, clock, START_MS + 2 * DAY_MS + HOUR_MS)
    found = _keys(_events(publisher.sent))
    assert set(found) >= set(_expected(START_MS + 2 * DAY_MS))


def test_a_power_cut_by_command_begins_a_new_boot(tmp_path: Path) -> None:
    clock, publisher = ManualClock(START_MS), ListPublisher()
    with _live(tmp_path, clock, publisher) as (live, street):
        live.turn()
        _play(live, clock, START_MS + HOUR_MS)
        memory = street.controllers[COMMUNITY.device_by_id[HOME.door_id].index].memory
        boot = memory.boot
        order(tmp_path / "control", do="power_cut", device=HOME.door_id)
        _play(live, clock, START_MS + 2 * HOUR_MS)
        assert memory.boot != boot and memory.powered


def test_an_emergency_button_and_a_stranger_can_be_played(tmp_path: Path) -> None:
    clock, publisher = ManualClock(START_MS), ListPublisher()
    home = next(item for item in COMMUNITY.households if item.has_reader)
    with _live(tmp_path, clock, publisher) as (live, _):
        live.turn()
        _play(live, clock, START_MS + HOUR_MS)
        before = len(publisher.sent)
        order(tmp_path / "control", do="sos", household=home.household_id)
        order(tmp_path / "control", do="stranger", household=home.household_id)
        live.turn()
        _play(live, clock, START_MS + HOUR_MS + 10 * MINUTE_MS)
        types = [event.type for device, event in _events(publisher.sent[before:]) if device == home.door_id]
        assert types.count("Sos") == 1 and types.count("Denied") == 3


def test_run_ends_at_its_hour_or_when_told(tmp_path: Path) -> None:
    clock = ManualClock(START_MS + HOUR_MS)
    publisher = FilePublisher(tmp_path / "out.jsonl")
    with closing(publisher), _live(tmp_path, clock, publisher) as (live, street):
        live.run(Event(), until_ms=START_MS + HOUR_MS)
        assert street.now_ms == START_MS + HOUR_MS
        told = Event()
        told.set()
        live.run(told)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert all(set(line) == {"received_at", "topic", "payload"} for line in lines)
