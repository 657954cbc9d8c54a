"""Whatever doors say, memory has a bound: near it what is stored is let go of, at it nothing more is taken."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ingest.admission import Message
from ingest.causes import Causes
from ingest.detector import Detector, Registry
from ingest.detector.cold import Stored
from ingest.groups import memory_limit
from ingest.groups.group_state import GroupState
from ingest.groups.memory_limit import MemoryLimit, Shortage
from ingest.restart.relief import (
    ARRAYS_BYTES_LEAST,
    ARRAYS_BYTES_SHORT,
    LADEN_FROM_EVENTS,
    MESSAGES_LEAST,
    MESSAGES_SHORT,
    Relief,
)
from ingest.rows.book import Book
from ingest.rows.event_columns import pack_events
from ingest.rows.unsaved import Coverage
from kaimen import wire
from kaimen.vocabulary import (
    Admission,
    Credential,
    CredentialClass,
    Device,
    DoorBinding,
    DoorRole,
    Household,
)

BEGIN = 1_763_712_000_000
SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
SITE, GATE, BOOT = "west-gate", "gate", "00000000000000ab"
DOORS = ["door-1", "door-2"]
LIMIT = 1_000


class Rows:
    """What was committed, and how often a door's was read again."""

    def __init__(self) -> None:
        self.events: list[tuple[str, wire.Event, int]] = []
        self.number_of: dict[str, int] = {}
        self.read = 0

    def load(self, device_id: str) -> Stored:
        self.read += 1
        packed, rest = pack_events(item for item in self.events if item[0] == device_id)
        return Stored(packed.get(device_id, {}), [item[1:] for item in rest], [])


class Group:
    """A group's turns, each committed at once; ``held`` is what the process is said to hold."""

    def __init__(self) -> None:
        devices = {door: Device(door, SITE, 4 * DAY) for door in (*DOORS, GATE)}
        households = {
            f"h-{door}": Household(
                household_id=f"h-{door}",
                site_id=SITE,
                doors=(DoorBinding(door), DoorBinding(GATE, DoorRole.SHARED)),
                watched_from_ms=BEGIN,
                thresholds_ms=(DAY, 2 * DAY, 3 * DAY),
                consent=True,
            )
            for door in DOORS
        }
        cards = {
            f"c-{door}": Credential(f"c-{door}", CredentialClass.RESIDENT, f"h-{door}") for door in DOORS
        }
        book = Book(Registry(devices, households, cards), dict.fromkeys(devices, 0), {}, ())
        self.rows, self.held = Rows(), 0
        self.detector = Detector(book.registry, now_ms=BEGIN)
        self.state = GroupState(
            book, self.detector, Causes((), now_ms=BEGIN), Coverage(HOUR), pulse_ms=BEGIN, loader=self.rows
        )
        self.relief = Relief(MemoryLimit(LIMIT, resident=lambda: self.held), group="0")
        self.seq = dict.fromkeys(devices, 0)

    def event(self, door: str, at_ms: int, cred: str | None = None) -> wire.Event:
        self.seq[door] += 1
        type_ = "AccessTaken" if cred else "DoorPhysicalState"
        return wire.Event(
            v=1, boot=BOOT, seq=self.seq[door], ts=at_ms, up=at_ms - BEGIN, clk="ntp", type=type_, cred=cred,
            state=None if cred else "Open",
        )  # fmt: skip

    def say(self, door: str, event: wire.Event) -> Message:
        topic = wire.format_topic(SITE, door, "evt")
        return Message(topic, wire.format_event(event), event.ts)

    def turn(self, messages: list[Message], now_ms: int) -> None:
        self.relief.look()
        self.state.apply(messages, now_ms)
        turn = self.state.draft(now_ms)
        self.relief.draft(self.state, turn)
        for stored in turn.all_events():
            admitted = stored.admitted
            self.rows.events.append((admitted.device_id, admitted.event, admitted.received_ms))
        self.state.confirm(turn)
        self.relief.confirm(self.state, turn)

    def held_count(self, door: str) -> int:
        return self.detector._tracks[door].held_count()


def test_the_lines_of_the_limit() -> None:
    limit = MemoryLimit(LIMIT, resident=lambda: 0)
    found = [limit.shortage_at(part) for part in (699, 700, 849, 850, 949, 950, 5_000)]
    assert found == [
        Shortage.NONE, Shortage.TIGHT, Shortage.TIGHT, Shortage.SHORT, Shortage.SHORT, Shortage.FULL, Shortage.FULL,
    ]  # fmt: skip


def test_without_a_setting_half_of_the_narrowest_container_is_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = tmp_path / "system.slice" / "kaimen.service"
    service.mkdir(parents=True)
    (service / "memory.max").write_text("max\n")
    (service.parent / "memory.max").write_text("800000000\n")
    (tmp_path / "memory.max").write_text("900000000\n")
    (tmp_path / "own").write_text("0::/system.slice/kaimen.service\n")
    monkeypatch.setattr(memory_limit, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory_limit, "_OWN_CGROUP", tmp_path / "own")
    assert MemoryLimit.of(0).limit_bytes == 400_000_000
    assert MemoryLimit.of(64).limit_bytes == 64 << 20
    assert 10 << 20 < memory_limit.resident_bytes() < 1 << 40


def test_what_is_stored_is_let_go_of_and_is_known_all_the_same() -> None:
    group = Group()
    count = 2 * LADEN_FROM_EVENTS
    said = [group.event("door-1", BEGIN + HOUR + number * SECOND) for number in range(count)]
    now = said[-1].ts
    group.turn([group.say("door-1", event) for event in said], now)
    group.turn([], now + 30 * SECOND)
    assert group.held_count("door-1") == count

    group.held = int(0.75 * LIMIT)
    group.turn([], now + 31 * SECOND)
    assert group.held_count("door-1") == 0
    group.turn([group.say("door-1", group.event("door-1", now + 40 * SECOND))], now + 40 * SECOND)
    assert (group.held_count("door-1"), group.rows.read) == (1, 0)
    again = group.detector.take_event("door-1", said[3], received_ms=now + 41 * SECOND)
    assert (again.admission, group.rows.read) == (Admission.DUPLICATE, 1)


def test_a_gate_lets_go_of_what_one_elder_did_not_see_without_being_read_again_for_her() -> None:
    group = Group()
    group.turn([group.say(GATE, group.event(GATE, BEGIN + HOUR, "c-door-2"))], BEGIN + HOUR)
    said = [group.event(GATE, BEGIN + DAY + number * SECOND, "c-door-1") for number in range(1_000)]
    now = said[-1].ts
    group.turn([group.say(GATE, event) for event in said], now)
    group.turn([], now + 20 * SECOND)

    group.held = int(0.75 * LIMIT)
    group.turn([], now + 21 * SECOND)
    assert group.held_count(GATE) == 0
    silent, seen = (
        group.detector.rule_of(f"h-{door}").judge(now + 22 * SECOND) for door in ("door-2", "door-1")
    )
    assert (silent.evidence.instant_ms, seen.evidence.instant_ms) == (BEGIN + HOUR, now)
    assert group.rows.read == 0


def test_a_gate_is_written_down_with_each_card_where_the_elders_silence_is_too_long() -> None:
    group = Group()
    group.turn([group.say(GATE, group.event(GATE, BEGIN + HOUR, "c-door-2"))], BEGIN + HOUR)
    said = [group.event(GATE, BEGIN + DAY + number * 10 * SECOND, "c-door-1") for number in range(1_000)]
    now = said[-1].ts
    group.turn([group.say(GATE, event) for event in said], now)
    group.turn([], now + 20 * SECOND)
    for later in (30 * SECOND, 40 * SECOND):  # also what is at hand alone is written down again
        hot = group.detector.hot_of(GATE)
        assert hot is not None and len(hot.openings) == 2 + 361, "an hour, and of each card the newest before"
        group.state.cool(hot, now + later)
        assert group.held_count(GATE) == 0
        assert group.detector.rule_of("h-door-2").judge(now + later).evidence.instant_ms == BEGIN + HOUR
        assert group.rows.read == 0


def test_a_card_whose_newest_passage_does_not_count_has_the_gate_read_again() -> None:
    group = Group()
    office = msgspec.structs.replace(
        group.event(GATE, BEGIN + 2 * HOUR, "c-door-2"), method="remote_office", seq=2
    )
    first = group.event(GATE, BEGIN + HOUR, "c-door-2")
    group.turn([group.say(GATE, msgspec.structs.replace(first, seq=1))], BEGIN + HOUR)
    group.turn([group.say(GATE, office)], BEGIN + 2 * HOUR)
    said = [group.event(GATE, BEGIN + DAY + number * SECOND, "c-door-1") for number in range(200)]
    now = said[-1].ts
    group.turn([group.say(GATE, event) for event in said], now)
    group.held = int(0.75 * LIMIT)
    group.turn([], now + 20 * SECOND)
    assert (group.held_count(GATE), group.rows.read) == (0, 0)
    assert group.detector.rule_of("h-door-2").judge(now + 30 * SECOND).evidence.instant_ms == BEGIN + HOUR
    assert group.rows.read == 1


def test_at_the_limit_nothing_is_taken_until_something_was_let_go_of() -> None:
    group = Group()
    said = [group.event("door-1", BEGIN + HOUR + number * SECOND) for number in range(200)]
    now = said[-1].ts
    group.turn([group.say("door-1", event) for event in said], now)
    assert group.relief.bounds(2_000, 1 << 22) == (2_000, 1 << 22)

    group.held = int(0.9 * LIMIT)
    group.relief.look()
    assert group.relief.bounds(2_000, 1 << 22) == (MESSAGES_SHORT, ARRAYS_BYTES_SHORT)
    group.held = LIMIT
    group.relief.look()
    assert group.relief.bounds(2_000, 1 << 22) == (0, 0)
    group.turn([], now + SECOND)
    assert group.held_count("door-1") == 0, "not even the newest are kept"
    assert group.relief.bounds(2_000, 1 << 22) == (0, 0), "there may be more"
    # There is no more: whoever takes nothing watches nobody.
    group.turn([], now + 2 * SECOND)
    assert group.relief.bounds(2_000, 1 << 22) == (MESSAGES_LEAST, ARRAYS_BYTES_LEAST)
    assert "raise KAIMEN_INGEST_MEMORY_MB" in group.relief.words()
    group.held = 0
    group.relief.look()
    assert (group.relief.words(), group.relief.is_too_small) == ("", False)
