"""Clocks that err and faults of a day: fixed by the seed, inside their bounds."""

from __future__ import annotations

from collections import Counter

import pytest

from firmware_sim import faults
from firmware_sim.chance import dice, fraction, mix, text_bits
from firmware_sim.community import make_community
from firmware_sim.drift import Drift, DriftKind, DriftLevel, drift_of
from firmware_sim.people import DeviceKind
from firmware_sim.residents import DAY_MS, day_of, start_of

START_MS = 1_761_955_200_000
COMMUNITY = make_community(5, 60, 20, "baihe", START_MS)


def test_chance_is_a_function_of_its_values_and_their_order() -> None:
    assert mix(1, 2, 3) == mix(1, 2, 3)
    assert len({mix(1, 2), mix(2, 1), mix(1, 2, 0), mix(12)}) == 4
    assert 0 <= mix(-5) < 2**64
    assert dice(4, 5).random() == dice(4, 5).random()
    assert text_bits("baihe") == text_bits("baihe") != text_bits("heting")


def test_fractions_fill_the_unit_evenly() -> None:
    drawn = [fraction(9, number) for number in range(10_000)]
    assert all(0 <= value < 1 for value in drawn)
    tenths = Counter(int(value * 10) for value in drawn)
    assert all(880 < tenths[tenth] < 1_120 for tenth in range(10))


def test_faults_of_a_day_are_repeatable_and_begin_on_that_day() -> None:
    days = range(day_of(START_MS), day_of(START_MS) + 60)
    kinds: Counter[faults.FaultKind] = Counter()
    for day in days:
        found = faults.faults_of_day(COMMUNITY, day, faults.HARSH)
        assert found == faults.faults_of_day(COMMUNITY, day, faults.HARSH)
        assert all(start_of(day) <= fault.from_ms < start_of(day + 1) for fault in found)
        assert all(fault.from_ms < fault.to_ms for fault in found)
        kinds.update(fault.kind for fault in found)
    assert set(kinds) == set(faults.FaultKind)
    assert faults.faults_of_day(COMMUNITY, days[0], faults.NONE) == []


def test_faults_come_as_often_as_their_rate_says() -> None:
    rates = faults.FaultRates(device_links=100)
    count = sum(len(faults.faults_of_day(COMMUNITY, day, rates)) for day in range(20_000, 20_200))
    devices = sum(device.kind is not DeviceKind.GATEWAY for device in COMMUNITY.devices)
    expected = devices * 200 * 100 / 1_000
    assert 0.85 * expected < count < 1.15 * expected


def test_messages_meet_every_fate_in_its_share() -> None:
    fates = [faults.fate_of(77, number, faults.HARSH) for number in range(20_000)]
    assert fates[:50] == [faults.fate_of(77, number, faults.HARSH) for number in range(50)]
    lost = sum(not fate.arrives for fate in fates)
    twice = sum(fate.second_delay_ms is not None for fate in fates)
    unheard = sum(fate.arrives and not fate.acknowledged for fate in fates)
    slow = sum(fate.delay_ms > 400 for fate in fates)
    for count, share in ((lost, 0.05), (twice, 0.05), (unheard, 0.05), (slow, 0.08)):
        assert 0.8 * share < count / 20_000 < 1.2 * share
    assert not any(fate.acknowledged and not fate.arrives for fate in fates)
    calm = [faults.fate_of(77, number, faults.NONE) for number in range(1_000)]
    assert all(fate.arrives and fate.acknowledged and fate.second_delay_ms is None for fate in calm)


def test_a_gentle_clock_errs_into_the_past_only_and_by_less_than_two_minutes() -> None:
    for device in range(2_000):
        drift = drift_of(3, device, DriftLevel.GENTLE)
        assert abs(drift.crystal_ppm) <= 40
        for days in (0.0, 0.25, 0.75, 3.5, 8.1):
            now_ms = START_MS + int(days * DAY_MS)
            error_ms = drift.calendar_ms(now_ms, START_MS) - now_ms
            assert -120_000 <= error_ms <= 0


def test_harsh_clocks_err_both_ways_in_every_kind() -> None:
    drifts = [drift_of(3, device, DriftLevel.HARSH) for device in range(500)]
    assert {drift.kind for drift in drifts} == set(DriftKind)
    assert min(drift.offset_ms for drift in drifts) < 0 < max(drift.offset_ms for drift in drifts)
    assert all(drift_of(3, device, DriftLevel.NONE) == Drift() for device in range(10))


def test_each_kind_of_drift_has_its_shape() -> None:
    noon = START_MS + DAY_MS // 4
    assert Drift(DriftKind.OFFSET, offset_ms=-700).calendar_ms(noon, START_MS) == noon - 700
    assert (
        Drift(DriftKind.LINEAR, rate_ppm=10).calendar_ms(START_MS + 10**9, START_MS)
        == START_MS + 10**9 + 10_000
    )
    swinging = Drift(DriftKind.PERIODIC, amplitude_ms=1_000)
    errors = [swinging.calendar_ms(at, 0) - at for at in range(START_MS, START_MS + DAY_MS, 600_000)]
    assert max(errors) > 990 and min(errors) < -990
    stepping = Drift(DriftKind.STEP, offset_ms=-60_000, step_from_day=2)
    steps = {stepping.calendar_ms(START_MS + day * DAY_MS, 0) - START_MS - day * DAY_MS for day in range(5)}
    assert steps == {0, -60_000}
    assert Drift(crystal_ppm=20).up_ms(START_MS + 10**9, START_MS) == pytest.approx(10**9 + 20_000, abs=1)
