"""Two months at one door enter; a detector that packs and forgets says the same as one that keeps all, and stays small."""

from __future__ import annotations

import pytest

from ingest.detector import Detector, Fact, Registry, boots
from ingest.detector.coverage import DeviceTrack
from ingest.detector.packed import PackedEvents, fits
from kaimen import wire
from kaimen.policy import DAY_MS, HOUR_MS, PAST_MAX_MS
from kaimen.vocabulary import Device, DoorBinding, DoorRole, Household

BEGIN_MS = 1_763_712_000_000
DAYS = 60
#: Days in which nobody opens: a warning, and one that goes on to the call.
QUIET = {20, 40, 41}


def registry() -> Registry:
    household = Household(
        household_id="h-1", site_id="s", doors=(DoorBinding("d-1", DoorRole.DWELLING, None, None),),
        watched_from_ms=BEGIN_MS, thresholds_ms=(DAY_MS, 2 * DAY_MS, 3 * DAY_MS), absences=(), verified=(), consent=True,
    )  # fmt: skip
    return Registry({"d-1": Device("d-1", "s", 9 * HOUR_MS)}, {"h-1": household}, {})


def event(seq: int, up: int, boot: str = "0" * 16, **changes: object) -> wire.Event:
    values = {
        "v": 1, "boot": boot, "seq": seq, "ts": BEGIN_MS + up, "up": up, "clk": "ntp", "type": "DoorPhysicalState",
        "state": "Open" if seq % 2 else "Closed", "opens": (seq + 1) // 2, **changes,
    }  # fmt: skip
    return wire.Event(**values)  # type: ignore[arg-type]


def live(*, packs: bool) -> tuple[list[Fact], Detector]:
    detector, facts, seq = Detector(registry(), now_ms=BEGIN_MS), [], 0
    for hour in range(3, DAYS * 24, 3):
        up = hour * HOUR_MS
        if hour // 24 not in QUIET:
            for second in (0, 5_000):
                seq += 1
                detector.take_event("d-1", event(seq, up + second), received_ms=BEGIN_MS + up + second)
        heartbeat = wire.Heartbeat(
            v=1, boot="0" * 16, ts=BEGIN_MS + up + 10_000, up=up + 10_000, clk="ntp", seq_last=seq, opens=(seq + 1) // 2,
        )  # fmt: skip
        detector.take_heartbeat("d-1", heartbeat, received_ms=heartbeat.ts)
        facts += detector.pulse(heartbeat.ts)
        if packs and hour % 6 == 0:
            detector.pack(1, heartbeat.ts - PAST_MAX_MS - DAY_MS)
    return facts, detector


def test_packing_and_forgetting_for_months_changes_no_fact_and_keeps_the_memory_bounded() -> None:
    kept, _ = live(packs=False)
    facts, detector = live(packs=True)
    assert [repr(fact) for fact in facts] == [repr(fact) for fact in kept] and len(facts) >= 4
    (_, track) = detector.rule_of("h-1").doors[0]
    boot = track.boots["0" * 16]
    assert track.unpacked_count() < 100
    assert boot.packed is not None and len(boot.packed) <= 47 * 16
    assert len(boot.folded) <= 47 * 16 and len(track.openings) <= 47 * 8


def test_what_is_packed_comes_out_as_it_was() -> None:
    said = [
        event(3, 70, cred="c-1", method="card", dir="in", reason="x", door="3-1", hist=True),
        event(1, 50, opens=None, clk="rtc"), event(2, 60, type="Whatever", state=None),
    ]  # fmt: skip
    packed = PackedEvents.of((item, 1_000 + item.up) for item in said)
    assert list(packed.items("0" * 16)) == [
        (item, 1_000 + item.up) for item in sorted(said, key=lambda e: e.seq)
    ]
    assert packed.take_out(2, "0" * 16) == (said[2], 1_060)
    assert packed.take_out(2, "0" * 16) is None and packed.take_out(9, "0" * 16) is None
    assert len(packed) == 2


def test_numbers_beyond_all_sense_are_not_packed() -> None:
    assert fits(event(1, 50), 60)
    for wild in (event(1, 50, ts=-1), event(1, 1 << 60), event(1 << 60, 50), event(1, 50, opens=1 << 60)):
        assert not fits(wild, 60)
    assert not fits(event(1, 50), 1 << 60)


def test_what_was_packed_before_and_what_settled_since_lie_together_by_position() -> None:
    old = PackedEvents.of((event(seq, seq * 10, cred=f"c-{seq}"), seq) for seq in (1, 2, 5, 6))
    gone = old.take_out(5, "0" * 16)
    young = PackedEvents.of((event(seq, seq * 10, cred="c-3"), seq) for seq in (3, 5))
    joined = old.joined(young)
    assert gone is not None
    assert [(item.seq, item.cred, at) for item, at in joined.items("0" * 16)] == [
        (1, "c-1", 1), (2, "c-2", 2), (3, "c-3", 3), (5, "c-3", 5), (6, "c-6", 6),
    ]  # fmt: skip
    assert joined.last_seq == 6 and list(joined.joined().items("0" * 16)) == list(joined.items("0" * 16))
    assert {words[4] for words in joined.words} == {"c-1", "c-2", "c-3", "c-6"}, (
        "words nobody uses are let go"
    )


def test_what_comes_is_packed_as_it_comes_and_lies_in_few_parts_however_much_that_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(boots, "PARTS_MAX", 4)
    boot = boots.BootTrack("0" * 16, retain=False)
    most = 0
    for seq in range(1, 2_001):
        boot.take_event(event(seq, seq * 1_000), BEGIN_MS + seq * 1_000)
        if seq % 10 == 0:
            boot.pack_settled()
            most = max(most, len(boot._young))
    assert not boot.events and most <= 4 + 7
    assert boot.marks(777) == [boots.EventMark(event(777, 777_000), [BEGIN_MS + 777_000])]
    # A position that was passed over is packed in its place.
    late = boots.BootTrack("0" * 16, retain=False)
    for seq in (1, 3, 2):
        late.take_event(event(seq, seq * 1_000), BEGIN_MS + seq * 1_000)
        late.pack_settled()
    assert late.packed is not None and late.packed.seq.tolist() == [1, 2, 3]


def test_of_its_edges_a_door_keeps_the_last_until_it_tells_of_tampering_and_then_all() -> None:
    plain, told = DeviceTrack("d-1", 9 * HOUR_MS), DeviceTrack("d-1", 9 * HOUR_MS)
    said = [event(seq, seq * 10_000) for seq in range(1, 21)]
    tamper = event(21, 55_000, type="DoorTamper", state=None)
    for item in said:
        plain.take_event(item, item.ts)
    assert plain.edges == [(said[-1].ts, "Closed")]
    plain.take_event(tamper, BEGIN_MS + 300_000)
    told.take_event(tamper, BEGIN_MS + 300_000)
    for item in said:
        told.take_event(item, item.ts)
    assert plain.edges == told.edges and len(plain.edges) == 20
    assert plain.tampered_spans() == told.tampered_spans() == [(BEGIN_MS + 55_000, BEGIN_MS + 60_000)]
    assert (plain.watched(), plain.in_fault()) == (told.watched(), told.in_fault())
