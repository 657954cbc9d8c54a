"""Signs of many homes in any order: at hand or packed, they are what they would be if all were at hand."""

from __future__ import annotations

import random

import pytest

from ingest.signals.dues import Dues
from ingest.signs import ACTIVE_MINUTES_MAX, SIGNS_MAX, HomeSigns, KeptSigns, Move, Sign, pack, unpack

BEGIN_MS = 1_790_000_000_000


def random_sign(chance: random.Random) -> Sign:
    at_ms = BEGIN_MS + chance.randrange(7 * 86_400_000)
    device, boot = chance.choice(["door", "side", "门"]), f"{chance.choice([0, 7, 2**64 - 1]):016x}"
    return Sign(
        at_ms, device, boot, chance.randrange(2**53), chance.choice(list(Move)), chance.random() < 0.2
    )


@pytest.mark.parametrize("seed", range(10))
def test_packed_homes_are_what_they_would_be_at_hand(seed: int) -> None:
    chance = random.Random(seed)
    kept, expected = KeptSigns(awake_max=3), dict[str, HomeSigns]()
    for _ in range(1_500):
        home = f"h-{chance.randrange(12)}"
        ours, theirs = kept.of(home), expected.setdefault(home, HomeSigns())
        at_ms = BEGIN_MS + chance.randrange(7 * 86_400_000)
        dice = chance.random()
        if dice < 0.6:
            sign = random_sign(chance)
            assert ours.add_sign(sign) == theirs.add_sign(sign)
        elif dice < 0.9:
            assert ours.add_activity(at_ms) == theirs.add_activity(at_ms)
        elif dice < 0.98:
            assert ours.hear_sensor(at_ms) == theirs.hear_sensor(at_ms)
        else:
            kept.drop(home)
            del expected[home]
        if chance.random() < 0.3:
            kept.rest()
            assert kept.awake_count <= 3
    assert dict(kept) == expected


def test_a_packed_home_is_a_tenth_of_one_at_hand() -> None:
    kept = HomeSigns(
        [Sign(BEGIN_MS + n * 9_000_000, "door-1-2-1201", "9f2c41d07be3a856", n, Move.OPENED) for n in range(SIGNS_MAX)],
        list(range(ACTIVE_MINUTES_MAX)),
    )  # fmt: skip
    assert unpack(pack(kept)) == kept
    kept.minutes = []
    assert len(pack(kept)) < 450
    assert unpack(pack(HomeSigns())) == HomeSigns()


@pytest.mark.parametrize("seed", range(10))
def test_each_home_is_looked_at_when_it_was_last_wanted_and_waits_in_one_place(seed: int) -> None:
    chance = random.Random(seed)
    dues, expected, now_ms = Dues(), dict[str, int](), 0
    for _ in range(2_000):
        now_ms += chance.randrange(20)
        home = f"h-{chance.randrange(10)}"
        due_ms = None if chance.random() < 0.1 else now_ms + chance.randrange(1, 300)
        dues.note(home, due_ms)
        if due_ms is None:
            expected.pop(home, None)
        else:
            expected[home] = due_ms
        if chance.random() < 0.4:
            over = sorted(home for home, due_ms in expected.items() if due_ms <= now_ms)
            assert sorted(dues.take(now_ms)) == over
            expected = {home: due_ms for home, due_ms in expected.items() if due_ms > now_ms}
    for later in range(1_000):
        dues.note("h-1", now_ms + 600_000 + later)  # each opening moves it by as much
    assert len(dues) < 50
