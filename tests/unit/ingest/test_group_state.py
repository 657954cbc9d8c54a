"""A turn's messages applied together must leave what they leave one by one: the same rows, in the same order."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ingest.admission import Message
from ingest.causes import Causes
from ingest.detector import Detector, Registry
from ingest.groups.group_state import GroupState
from ingest.rows.book import Book
from ingest.rows.unsaved import Coverage
from ingest.store import Turn
from kaimen import wire
from kaimen.vocabulary import Device, DoorBinding, Household

BEGIN = 1_763_712_000_000
SECOND, HOUR = 1_000, 3_600_000
SITE = "west-gate"
DOORS = [f"door-{number}" for number in range(4)]


def new_state() -> GroupState:
    devices = {door: Device(door, SITE, 180_000) for door in DOORS}
    households = {
        f"h-{door}": Household(
            household_id=f"h-{door}",
            site_id=SITE,
            doors=(DoorBinding(door),),
            watched_from_ms=BEGIN,
            thresholds_ms=(HOUR, 2 * HOUR, 3 * HOUR),
            consent=True,
        )
        for door in DOORS
    }
    book = Book(
        Registry(devices, households, {}),
        {door: number for number, door in enumerate(devices)},
        {household: number for number, household in enumerate(households)},
        (),
    )
    detector = Detector(book.registry, now_ms=BEGIN)
    return GroupState(book, detector, Causes((), now_ms=BEGIN), Coverage(600_000), pulse_ms=BEGIN)


def story(seed: int) -> list[list[Message]]:
    """Batches of live events, heartbeats, arrays from storage, copies, gaps and rubbish."""
    chance = random.Random(seed)
    seqs, opens = dict.fromkeys(DOORS, 0), dict.fromkeys(DOORS, 0)
    batches: list[list[Message]] = []
    now = BEGIN + SECOND
    sent: list[Message] = []
    for _ in range(60):
        batch: list[Message] = []
        for _ in range(chance.randint(1, 12)):
            door = chance.choice(DOORS)
            common: dict[str, Any] = {"v": 1, "boot": f"{DOORS.index(door):016x}", "clk": "ntp"}
            topic = wire.format_topic(SITE, door, "hb")
            dice = chance.random()
            if dice < 0.4:
                beat = wire.Heartbeat(
                    ts=now, up=now - BEGIN, seq_last=seqs[door], opens=opens[door], **common
                )
                payload = wire.format_heartbeat(beat)
            elif dice < 0.9:
                found = []
                for step in range(1 if dice < 0.7 else chance.randint(2, 20)):
                    seqs[door] += 2 if chance.random() < 0.02 else 1
                    opens[door] += seqs[door] % 2
                    at = now - 60 + step
                    found.append(
                        wire.Event(
                            seq=seqs[door], ts=at, up=at - BEGIN, type="DoorPhysicalState",
                            state="Open" if seqs[door] % 2 else "Closed", opens=opens[door], **common,
                        )
                    )  # fmt: skip
                channel = "evt" if len(found) == 1 else "evb"
                topic = wire.format_topic(SITE, door, channel)
                payload = wire.format_event(found[0]) if len(found) == 1 else wire.format_batch(found)
            elif dice < 0.96 and sent:
                topic, payload = (chosen := chance.choice(sent)).topic, chosen.payload
            else:
                topic, payload = wire.format_topic(SITE, door, "evt"), b'{"v": 1}'
            batch.append(Message(topic, payload, now))
            now += chance.choice([1, 5, 300, 1_500])
        sent += batch
        batches.append(batch)
        now += chance.choice([SECOND, 20 * SECOND, HOUR // 4])
    return batches


def play(batches: list[list[Message]], *, together: bool) -> list[Turn]:
    state = new_state()
    turns = []
    for batch in batches:
        now_ms = batch[-1].received_ms
        if together:
            state.apply(batch, now_ms)
        else:
            for message in batch:
                state.apply([message], message.received_ms - 1)
            state.apply([], now_ms)
        turn = state.draft(now_ms)
        turns.append(turn)
        state.confirm(turn)
    return turns


@pytest.mark.parametrize("seed", range(4))
def test_together_and_one_by_one_write_the_same(seed: int) -> None:
    batches = story(seed)
    together, alone = play(batches, together=True), play(batches, together=False)
    assert sum(len(turn.events) for turn in together) > 100
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.events == theirs.events
        assert ours.facts == theirs.facts
        assert ours.refusals == theirs.refusals
        assert {base.device_id: base for base in ours.boots} == {
            base.device_id: base for base in theirs.boots
        }
        assert sorted(ours.views, key=lambda view: view.household_id) == sorted(
            theirs.views, key=lambda view: view.household_id
        )


def test_nobody_is_said_to_be_judged_up_to_a_pulse_while_one_who_waits_may_have_to_be_told_of() -> None:
    state = new_state()
    state._detector.put_off(1, {f"h-{DOORS[0]}": (BEGIN + 3 * HOUR, 0)})
    now_ms = BEGIN + HOUR + SECOND
    told = []
    for _ in DOORS:
        state.apply((), now_ms)
        turn = state.draft(now_ms)
        told.append((turn.pulse_ms, sorted(view.household_id for view in turn.views), state.is_behind))
        state.confirm(turn)
    first, second, third, last = told
    assert [pulse_ms for pulse_ms, _, _ in told] == [None, None, now_ms, now_ms]
    assert last == (now_ms, [f"h-{DOORS[0]}"], False), "who need not be told of for hours comes last"
    assert sorted([*first[1], *second[1], *third[1]]) == [f"h-{door}" for door in DOORS[1:]]
    assert third[2], "it is judged all the same, and holds up nobody"
