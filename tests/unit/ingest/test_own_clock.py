"""Most devices outvote our own clock; a few wrong ones do not."""

from __future__ import annotations

from ingest.groups.own_clock import DEVICES_MIN, OwnClock
from kaimen import wire

NOW = 1_763_712_000_000


def beat(ts: int, *, clk: str = "ntp", rx: int | None = None) -> wire.Heartbeat:
    return wire.Heartbeat(v=1, boot="0" * 16, ts=ts, up=1, clk=clk, seq_last=0, rx=rx)  # type: ignore[arg-type]


def heard(*skews_ms: int) -> OwnClock:
    clock = OwnClock()
    for index, skew_ms in enumerate(skews_ms):
        clock.observe(f"door-{index}", beat(NOW - skew_ms), NOW)
    return clock


def test_too_few_devices_say_nothing() -> None:
    clock = heard(*[90_000] * (DEVICES_MIN - 1))
    assert clock.skew_ms() is None
    assert not clock.is_wrong() and not clock.is_confirmed()


def test_most_devices_outvote_us_in_either_direction() -> None:
    assert heard(*[90_000] * DEVICES_MIN).is_wrong()
    assert heard(*[-90_000] * DEVICES_MIN).is_wrong()
    assert heard(*[60_000] * DEVICES_MIN).is_confirmed()


def test_two_wrong_devices_are_their_own_fault() -> None:
    assert heard(900_000, 900_000, 10, 20, 30).is_confirmed()


def test_unsynchronised_and_forwarded_heartbeats_do_not_vote() -> None:
    clock = OwnClock()
    for index in range(DEVICES_MIN):
        clock.observe(f"a-{index}", beat(NOW - 90_000, clk="rtc"), NOW)
        clock.observe(f"b-{index}", beat(NOW - 90_000, rx=NOW - 5), NOW)
    assert clock.skew_ms() is None


def test_what_was_said_long_ago_is_forgotten() -> None:
    clock = heard(*[90_000] * DEVICES_MIN)
    clock.forget()
    assert not clock.is_wrong()
