"""After our clock was set, timers wait until ingest, which hears devices, goes by the same time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from alerts import clock_trust
from alerts.clock_trust import ClockTrust
from kaimen.clock import JumpGuard, as_datetime

HOUR_MS = 3_600_000


@dataclass
class SetClock:
    """A clock that somebody may set; its uptime nobody can."""

    uptime: int = 1_000
    offset: int = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.uptime + self.offset

    def uptime_ms(self) -> int:
        return self.uptime

    def wall_seconds(self, span_ms: int) -> float:
        return span_ms / 1000


@pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS])
def test_a_clock_that_was_set_is_noticed_once(step_ms: int) -> None:
    clock = SetClock()
    guard = JumpGuard(clock)
    assert guard.take_jump_ms() == 0
    clock.uptime += 5 * HOUR_MS  # a long sleep is no jump
    assert guard.take_jump_ms() == 0
    clock.offset += 900  # nor is what a time server corrects
    assert guard.take_jump_ms() == 0
    clock.offset += step_ms
    assert guard.take_jump_ms() == step_ms
    assert guard.take_jump_ms() == 0


@pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS])
def test_timers_wait_until_ingest_goes_by_the_same_clock(step_ms: int) -> None:
    clock = SetClock()
    trust = ClockTrust(clock)
    ingest_ms = clock.now_ms()
    assert trust.may_turn(lambda: pytest.fail("nobody is asked without a doubt"))
    clock.offset += step_ms
    for _ in range(3):
        clock.uptime += 1_000
        assert not trust.may_turn(lambda: as_datetime(ingest_ms))
        assert not trust.may_turn(lambda: None)
    assert trust.may_turn(lambda: as_datetime(clock.now_ms() - 1_000))
    assert trust.may_turn(lambda: pytest.fail("the doubt is over"))


def test_where_nobody_confirms_it_timers_go_on_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_trust, "PATIENCE_S", 0.0)
    clock = SetClock()
    trust = ClockTrust(clock)
    assert trust.may_turn(lambda: None)
    clock.offset += HOUR_MS
    assert trust.may_turn(lambda: None)
