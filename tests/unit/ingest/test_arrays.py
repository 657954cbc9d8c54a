"""Arrays read into columns must end in what they end in event by event: rows, judgements, refusals, presence."""

from __future__ import annotations

import os
import random
import struct
from typing import Any

import pytest
from prometheus_client import REGISTRY

from ingest.admission import AdmittedEvent, Message, take_array
from ingest.arrays import reader as arrays
from ingest.arrays.reader import PLAIN_BELOW_BYTES, ArrayReader, Columns
from ingest.arrays.rows import rows_bytes
from ingest.causes import Causes
from ingest.detector import Detector, Registry
from ingest.detector.cold import Stored
from ingest.groups.group_state import GroupState
from ingest.groups.losses import Losses
from ingest.presence import Home, Homes
from ingest.rows.book import Book
from ingest.rows.copying import END, HEADER, Copier
from ingest.rows.event_columns import pack_events
from ingest.rows.event_rows import rows_of
from ingest.rows.unsaved import Coverage
from ingest.signals.store import DoorFacts
from ingest.store import Turn, _door_turn
from kaimen import wire
from kaimen.vocabulary import Credential, CredentialClass, Device, DoorBinding, DoorRole, Household
from tests.seeds import slow_seeds

BEGIN = 1_763_712_000_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
SITE = "west-gate"
#: Streets of the long run beside the one that is always walked.
SEEDS = int(os.environ.get("KAIMEN_TEST_SEEDS", "3"))
DOORS = ["door-0", "door-1", "door-2", "stairs", "sensor"]
HOMES = DOORS[:3]
WORDS: list[dict[str, Any]] = [
    {"type": "DoorPhysicalState", "state": "Open", "method": "card", "cred": "c_0"},
    {"type": "DoorPhysicalState", "state": "Closed"},
    {"type": "AccessTaken", "cred": "c_0", "dir": "in", "door": "3-1-1201"},
    {"type": "AccessGranted", "cred": "c_guard", "method": "card"},
    {"type": "Motion", "state": "Occupied"},
    {"type": "Motion", "state": "off"},
    {"type": "Exit", "reason": ""},
    {"type": "Denied", "cred": "c_lost", "dir": "out"},
    {"type": "AccessTaken", "method": "remote_office"},
]
RARE: list[dict[str, Any]] = [
    {"type": "DoorTamper"},
    {"type": "DoorForcedOpen"},
    {"type": "DoorOpenTooLong"},
    {"type": "Bell", "door": "三栋"},
    {"type": "Bell", "reason": 'a "word"'},
]


def the_book() -> Book:
    devices = {door: Device(door, SITE, 180_000) for door in DOORS}
    households = {
        f"h-{door}": Household(
            household_id=f"h-{door}",
            site_id=SITE,
            doors=(DoorBinding(door), DoorBinding("stairs", DoorRole.SHARED)),
            watched_from_ms=BEGIN,
            thresholds_ms=(HOUR, 2 * HOUR, 3 * HOUR),
            consent=True,
        )
        for door in HOMES
    }
    moved = DoorBinding("door-2", DoorRole.DWELLING, BEGIN, BEGIN + 3 * HOUR)
    households["h-door-2"] = Household("h-door-2", SITE, (moved,), BEGIN, consent=True)
    credentials = {
        "c_0": Credential("c_0", CredentialClass.RESIDENT, "h-door-0"),
        "c_guard": Credential("c_guard", CredentialClass.GUARD, None),
    }
    numbers = {door: number for number, door in enumerate(devices)}
    return Book(
        Registry(devices, households, credentials), numbers, {h: no for no, h in enumerate(households)}, ()
    )


def new_state(*, columns: bool) -> GroupState:
    book = the_book()
    detector = Detector(book.registry, now_ms=BEGIN)
    reader = ArrayReader() if columns else None
    losses = Losses({(DOORS[0], f"{1:016x}"): 9})
    return GroupState(
        book,
        detector,
        Causes((), now_ms=BEGIN),
        Coverage(600_000),
        pulse_ms=BEGIN,
        losses=losses,
        reader=reader,
    )


class Street:
    """Devices that send arrays, as they should and as they should not."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = BEGIN + MINUTE
        self.boots = dict.fromkeys(DOORS, 0)
        self.seqs = dict.fromkeys(DOORS, 0)
        self.opens = dict.fromkeys(DOORS, 0)
        self.began = dict.fromkeys(DOORS, BEGIN)
        self.said = dict.fromkeys(DOORS, BEGIN)
        self.sent: list[tuple[str, bytes]] = []

    def _restart(self, door: str) -> None:
        self.boots[door] += 1
        self.seqs[door] = 0
        self.began[door] = self.said[door] = self.now

    def _event(self, door: str, at_ms: int) -> dict[str, Any]:
        chance = self.chance
        self.seqs[door] += 1
        up = max(1, at_ms - self.began[door])
        # Who tells of tampering is taken event by event ever after: one door must do for that.
        rare = chance.random() < 0.002
        words = chance.choice(RARE[0 if door == "door-1" else 1 :]) if rare else chance.choice(WORDS)
        found: dict[str, Any] = {
            "v": 1, "boot": f"{self.boots[door] * 16 + DOORS.index(door) + 1:016x}", "seq": self.seqs[door],
            "ts": at_ms, "up": up, "clk": "ntp", **words,
        }  # fmt: skip
        if words.get("state") == "Open":
            self.opens[door] += 1
        if door != "stairs":
            found["opens"] = self.opens[door]
        if chance.random() < 0.3:
            found["hist"] = chance.choice([True, False, None])
        if chance.random() < 0.3:
            found["rx"] = self.now + (-DAY if chance.random() < 0.005 else chance.choice([-MINUTE, 0, HOUR]))
        return found

    def _spoil(self, events: list[dict[str, Any]]) -> None:
        event = self.chance.choice(events)
        kind = self.chance.randrange(12)
        if kind == 1 and self.chance.random() < 0.7:
            kind = 11  # a boot of two clocks is believed no more
        if kind < 6:
            event |= [
                {"clk": "rtc"}, {"ts": event["ts"] + 3 * HOUR}, {"ts": event["ts"] - 90 * DAY}, {"seq": 0},
                {"v": 2}, {"opens": 99},
            ][kind]  # fmt: skip
        elif kind == 6:
            events.remove(event)
        elif kind == 7:
            event["more"] = {"unknown": [1]}
        elif kind == 8:
            event["up"] = 10 * DAY
        elif kind == 9:
            event["boot"] = "0" * 16
        elif kind == 10:
            event["ts"] = events[0]["ts"]
        else:
            event["seq"] = 1 << 50

    def _array(self, door: str) -> bytes:
        count = self.chance.choice([1, 3, 8, 20, 60])
        upto = self.now + (2 * MINUTE if self.chance.random() < 0.02 else 0)
        last = max(self.said[door], BEGIN)
        step = max(1, (upto - last) // (count + 1))
        step = step if self.chance.random() < 0.9 else 0
        events = [self._event(door, last + number * step) for number in range(1, count + 1)]
        self.said[door] = max(self.said[door], events[-1]["ts"])
        if self.chance.random() < 0.08:
            self._spoil(events)
        if not events:
            return b"[]"
        parts = [wire.encode_payload(event) for event in events]
        space = self.chance.choice([b",", b",", b" ,\n"])
        return b"[" + space.join(parts) + self.chance.choice([b"]", b"]", b"]", b" ]\n", b""])

    def message(self) -> tuple[str, bytes]:
        chance = self.chance
        door = chance.choice(DOORS)
        dice = chance.random()
        if dice < 0.15 and self.sent:
            return chance.choice(self.sent[-30:])
        if dice < 0.3:
            common: dict[str, Any] = {"v": 1, "boot": f"{self.boots[door] * 16 + DOORS.index(door) + 1:016x}"}
            beat = wire.Heartbeat(
                ts=self.now, up=max(1, self.now - self.began[door]), clk="ntp", seq_last=self.seqs[door],
                opens=None if door == "stairs" else self.opens[door], first_seq=chance.choice([None, 5]), **common,
            )  # fmt: skip
            self.said[door] = max(self.said[door], self.now)
            return wire.format_topic(SITE, door, "hb"), wire.format_heartbeat(beat)
        if dice < 0.4:
            self.said[door] = max(self.said[door], self.now)
            event = self._event(door, self.said[door])
            return wire.format_topic(SITE, door, "evt"), wire.encode_payload(event)
        if dice < 0.45:
            self._restart(door)
        sent = wire.format_topic(SITE, door if dice < 0.99 else "nobody", "evb"), self._array(door)
        self.sent.append(sent)
        return sent

    def batches(self, count: int) -> list[list[Message]]:
        found = []
        for _ in range(count):
            batch = []
            for _ in range(self.chance.randint(1, 10)):
                batch.append(Message(*self.message(), self.now))
                self.now += self.chance.choice([0, 5, 300, 1_500])
            found.append(batch)
            self.now += self.chance.choice([SECOND, 20 * SECOND, 5 * MINUTE])
        return found


def rows_in(packed: bytes) -> list[tuple[bytes | None, ...]]:
    """Return the rows of a binary COPY."""
    at, rows = 19, []
    while (fields := struct.unpack_from(">h", packed, at)[0]) >= 0:
        at += 2
        row: list[bytes | None] = []
        for _ in range(fields):
            (length,) = struct.unpack_from(">i", packed, at)
            at += 4
            row.append(None if length < 0 else packed[at : at + length])
            at += max(length, 0)
        rows.append(tuple(row))
    assert at == len(packed) - 2
    return sorted(rows, key=lambda row: [field or b"" for field in row])


def written(book: Book, turn: Turn) -> dict[str, Any]:
    """Return what a turn writes, in an order that does not depend on how it was taken."""
    more = [rows_bytes(book, turn.arrays, recorded_ms=turn.now_ms, batch=7)] if turn.arrays else []
    body = Copier().body(rows_of(book, turn.events), recorded_ms=turn.now_ms, batch=7)
    packed = b"".join([HEADER, body, *more, END])
    return {
        "rows": rows_in(packed),
        "refusals": turn.refusals,
        "facts": turn.facts,
        "points": turn.points,
        "boots": sorted(turn.boots, key=lambda base: (base.device_id, base.boot)),
        "views": sorted(turn.views, key=lambda view: view.household_id),
        "notes": turn.notes,
        "losses": turn.losses,
        "first_heard": turn.first_heard,
        "implausible": turn.implausible,
    }


def presence_of(book: Book) -> Homes:
    homes = {
        key: Home(key, home.doors, frozenset({"sensor"}) if key == "h-door-1" else frozenset())
        for key, home in book.registry.households.items()
    }
    return Homes(homes, book.registry.credentials)


def note_presence(homes: Homes, turn: Turn) -> tuple[set[str], dict[str, Any]]:
    """Tell the homes what a turn heard; return who is to be judged, and which devices' episodes."""
    told, triggers, over = _door_turn(turn), {}, {"c_lost": BEGIN}
    facts: Any = DoorFacts()
    facts._standing = {"door-1": BEGIN}
    homes.changed = set()
    for heard in told.events:
        homes.take(heard.device_id, heard.event, heard.at_ms)
    facts._add_triggers(told.events, over, triggers)
    for array in told.arrays:
        homes.take_array(array.device_id, array.boot, array.events)
        if facts._may_trigger(array, over):
            facts._add_triggers(array.one_by_one(), over, triggers)
    return homes.changed, triggers


class Rows:
    """What is committed of each device: what a track that was let go asks for."""

    def __init__(self) -> None:
        self.events: list[tuple[str, wire.Event, int]] = []
        self.points: dict[Any, Any] = {}

    def take(self, state: GroupState, turn: Turn) -> None:
        for stored in turn.all_events():
            admitted = stored.admitted
            self.events.append((admitted.device_id, admitted.event, admitted.received_ms))
        for point in [*turn.points, *state.coverage.points.everything()]:
            self.points[(point.device_id, point.boot, point.seq_last, point.opens, point.first_up_ms)] = point

    def load(self, device_id: str) -> Stored:
        packed, rest = pack_events(item for item in self.events if item[0] == device_id)
        points = [point for point in self.points.values() if point.device_id == device_id]
        return Stored(packed.get(device_id, {}), [item[1:] for item in rest], points)


@pytest.mark.parametrize("seed", [1, *slow_seeds(range(2, 2 + SEEDS))])
def test_columns_and_events_end_in_the_same(seed: int) -> None:
    batches = Street(seed).batches(45)
    columns, events = new_state(columns=True), new_state(columns=False)
    by_columns, by_events = presence_of(columns.book), presence_of(events.book)
    in_columns = cooled = 0
    of_columns, of_events = Rows(), Rows()
    for number, batch in enumerate(batches):
        turns = []
        for state in (columns, events):
            state.apply(batch, batch[-1].received_ms)
            turns.append(state.draft(batch[-1].received_ms))
        ours, theirs = turns
        assert not theirs.arrays
        in_columns += sum(map(len, ours.arrays))
        assert ours.event_count == theirs.event_count == len(ours.all_events())
        assert written(columns.book, ours) == written(events.book, theirs), number
        assert note_presence(by_columns, ours) == note_presence(by_events, theirs), number
        assert dict(by_columns.kept) == dict(by_events.kept)
        for state, turn, stored in ((columns, ours, of_columns), (events, theirs, of_events)):
            stored.take(state, turn)
            hots = [state.hot_of(door) for door in DOORS] if seed % 2 and number % 9 == 8 else []
            state.confirm(turn)
            for hot in hots:
                if hot is not None:
                    cooled += 1
                    state._detector.cool(hot, stored.load, kept_from_ms=turn.now_ms - 10 * MINUTE)
            if number % 7 == 0:
                state.pack(3)
    assert cooled or seed > 1
    assert in_columns or seed > 1, "no array of this street went the short way"
    assert history_of(columns) == history_of(events)


def history_of(state: GroupState) -> dict[str, Any]:
    detector = state._detector
    found: dict[str, Any] = {}
    for household_id in detector.watched_households():
        rule = detector.rule_of(household_id)
        found[household_id] = rule.history(state.pulse_ms)
        for _, track in rule.doors:
            said = (track.openings, track.taken, track.passages, track.forced, track.edges, track.tampers)
            found[track.device_id] = (said, track.watched(), track.heard_ms(), track.in_fault())
    return found


def sound(count: int = 30, **more: Any) -> list[dict[str, Any]]:
    return [
        {"v": 1, "boot": "00ff00ff00ff00ff", "seq": number, "ts": BEGIN + number, "up": number, "clk": "ntp",
         "type": "Bell", "door": f"door {number % 3}", **more}
        for number in range(1, count + 1)
    ]  # fmt: skip


def read(payload: bytes) -> list[tuple[object, ...]] | None:
    message = Message(wire.format_topic(SITE, "door-0", "evb"), payload, BEGIN + DAY)
    found = ArrayReader().read("door-0", message)
    if found is None:
        return None
    plain = [
        (item.event.boot, item.event.seq, item.event.content(), bool(item.event.hist), item.received_ms)
        for item in take_array(message.topic, "door-0", payload, message.received_ms)
        if isinstance(item, AdmittedEvent)
    ]
    assert plain == [
        (found.boot, event.seq, event.content(), event.hist, received_ms)
        for event, received_ms in found.events.items(found.boot)
    ]
    return plain


def test_the_reader_never_reads_what_the_protocol_reads_otherwise() -> None:
    chance = random.Random(20)
    whole = wire.encode_payload(sound(12, opens=5, rx=BEGIN + 5, hist=True, cred="c_1", state=""))
    assert read(whole) is not None
    taken = 0
    for _ in range(1_500):
        spoiled = bytearray(whole)
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(spoiled))
            part = chance.choice(
                [b"", b"0", b"1", b"9", b'"', b" ", b",", b"null", b"-", b"\\", b"e", b"\xff", b"\x7f"]
            )
            spoiled[at : at + chance.randint(0, 2)] = part
        taken += read(bytes(spoiled)) is not None
    assert taken > 50, "hardly anything that is sound was left sound"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ({"ts": -1}, "before 1970"),
        ({"ts": 1 << 48}, "the numbers that are added must not leave 64 bits"),
        ({"clk": "rtc"}, "not synchronised"),
        ({"boot": "00FF00FF00FF00FF"}, "not the digits of the protocol"),
        ({"type": "x" * 65}, "too long"),
        ({"cred": "x" * 257}, "too long"),
        ({"door": "三栋"}, "counted in characters, not in bytes"),
        ({"rx": BEGIN * 1000}, "the receipt of a process with a broken clock"),
        ({"vendor": 1}, "a field nobody knows"),
        ({"seq": 40}, "a gap"),
    ],
)
def test_what_is_not_plain_is_left_to_the_plain_way(spoil: dict[str, Any], why: str) -> None:
    events = sound()
    assert read(wire.encode_payload(events)) is not None
    events[-1] |= spoil
    assert read(wire.encode_payload(events)) is None, why


def test_arrays_beyond_the_bounds_are_left_to_the_plain_way() -> None:
    few, many = wire.encode_payload(sound(2)), wire.encode_payload(sound(501))
    assert len(few) < PLAIN_BELOW_BYTES and read(few) is None
    assert read(many) is None and read(wire.encode_payload(sound(500))) is not None
    distinct = [event | {"cred": f"c_{event['seq']}"} for event in sound(100)]
    assert (
        read(wire.encode_payload(distinct)) is None and read(wire.encode_payload(distinct[:60])) is not None
    )
    assert read(wire.encode_payload(sound(60)).replace(b'"seq":7,', b'"seq":7,"seq":7,')) is None


def test_a_scanner_that_fails_its_proof_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    before = REGISTRY.get_sample_value("kaimen_ingest_arrays_plain_total") or 0.0
    monkeypatch.setattr(Columns, "_sound", None)
    monkeypatch.setattr(arrays, "words_in", lambda tail: ("Bell", None, None, None, None, None, None))
    assert Columns.reader() is None
    assert REGISTRY.get_sample_value("kaimen_ingest_arrays_plain_total") == before + 1
    monkeypatch.undo()
    assert Columns.reader() is not None
