"""Streets from seeds enter; the two judges must say the same of every one, and keep their word when order changes."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.oracle import wire_oracle
from tests.oracle.columns_oracle import NEVER, History, judge_columns
from tests.oracle.columns_shape import (
    DAY,
    EVENT,
    FAULT,
    FORCED,
    GRANTED,
    GUARD,
    HEARTBEAT,
    HOUR,
    MINUTE,
    NO_COUNTER,
    NOBODY,
    NTP,
    OPEN,
    OTHER,
    RTC,
    STAFF,
    TAKEN,
    TAMPER,
    UNSYNCED,
    VISITOR,
    Columns,
    Households,
    columns_of,
)
from tests.oracle.columns_street import START_MS, Street, make_street
from tests.oracle.columns_wire import device_id, household_id, lines_of, registry_of

Row = tuple[Any, ...]


def rows_of(history: History) -> tuple[set[Row], set[Row]]:
    crossings = {(household_id(home), stage, at) for home, stage, at in history.crossings.tolist()}
    checks = {
        (household_id(home), step, at, None if ended_at == NEVER else ended_at)
        for home, step, at, ended_at in history.checks.tolist()
    }
    assert (len(crossings), len(checks)) == (len(history.crossings), len(history.checks))
    return crossings, checks


def said_by_columns(columns: Columns, homes: Households, until_ms: int) -> tuple[set[Row], set[Row]]:
    return rows_of(judge_columns(columns, homes, until_ms))


def said_by_lines(columns: Columns, homes: Households, until_ms: int) -> tuple[set[Row], set[Row]]:
    """What the plain judge says of the same messages as lines of the wire."""
    chosen = list(range(len(homes)))
    registry = registry_of(homes, chosen)
    site_by_device = {device["id"]: device["site"] for device in registry["devices"]}
    read = [
        copy
        for line in lines_of(columns, homes, chosen)
        for copy in wire_oracle.read_line(line, site_by_device)
    ]
    assert None not in read, "the street says something the wire does not allow"
    stream = wire_oracle.Stream([copy for copy in read if copy is not None], registry)
    crossings, checks = set(), set()
    for entry in registry["households"]:
        view = stream.view(wire_oracle.house_of(entry), wire_oracle.FOREVER)
        effective, due = wire_oracle.history(view, until_ms)
        crossings |= {(one["household"], one["stage"], one["at"]) for one in effective}
        checks |= {(one["household"], one["step"], one["at"], one["ended_at"]) for one in due}
    return crossings, checks


def assert_judges_agree(street: Street) -> None:
    some = said_by_columns(street.columns, street.households, street.until_ms)
    others = said_by_lines(street.columns, street.households, street.until_ms)
    for name, mine, theirs in zip(("crossings", "checks"), some, others, strict=True):
        assert mine == theirs, f"{name} {sorted(mine ^ theirs, key=str)[:5]}"
    assert all(some), "a street without a crossing or a check proves nothing"


# --- Streets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "days", "heartbeat_ms", "trouble"),
    [(1, 8, 4 * HOUR, 1.0), (2, 12, 4 * HOUR, 6.0), (3, 6, HOUR, 3.0), (4, 9, 8 * HOUR, 0.0)],
)
def test_both_judges_say_the_same_of_a_street(
    seed: int, days: int, heartbeat_ms: int, trouble: float
) -> None:
    assert_judges_agree(
        make_street(seed, households=50, days=days, heartbeat_ms=heartbeat_ms, trouble=trouble)
    )


@pytest.mark.simulation
@pytest.mark.parametrize("trouble", [0.3, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("heartbeat_ms", [HOUR, 4 * HOUR])
def test_both_judges_say_the_same_of_a_fresh_street_for_weeks(heartbeat_ms: int, trouble: float) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    assert_judges_agree(
        make_street(seed, households=120, days=18, heartbeat_ms=heartbeat_ms, trouble=trouble)
    )


def test_the_same_seed_gives_the_same_street() -> None:
    one, other = (make_street(5, households=20, days=3) for _ in range(2))
    for name in vars(one.columns):
        assert np.array_equal(getattr(one.columns, name), getattr(other.columns, name)), name


def test_messages_come_in_order_of_receipt_and_not_after_the_end() -> None:
    street = make_street(6, households=40, days=5, trouble=4.0)
    received = street.columns.received
    assert (np.diff(received) >= 0).all()
    assert received[-1] <= street.until_ms


def test_the_history_does_not_depend_on_the_order_of_the_rows() -> None:
    street = make_street(7, households=60, days=8, trouble=4.0)
    shuffled = street.columns.take(np.random.default_rng(7).permutation(len(street.columns)))
    told = said_by_columns(street.columns, street.households, street.until_ms)
    assert said_by_columns(shuffled, street.households, street.until_ms) == told


def test_a_copy_received_later_changes_nothing() -> None:
    street = make_street(8, households=60, days=8)
    columns = street.columns
    copies = columns.take(np.arange(0, len(columns), 3))
    later = replace(copies, received=copies.received + HOUR)
    both = columns_of(
        **{name: np.concatenate([getattr(columns, name), getattr(later, name)]) for name in vars(columns)}
    )
    told = said_by_columns(columns, street.households, street.until_ms)
    assert said_by_columns(both, street.households, street.until_ms) == told


# --- What a street has to have in it ---------------------------------------------------------------


@pytest.fixture(scope="module")
def troubled() -> Street:
    return make_street(9, households=600, days=14, trouble=2.0)


def without_values(columns: Columns, name: str, old: int | bool, new: int | bool) -> Columns:
    values = getattr(columns, name)
    return replace(columns, **{name: np.where(values == old, new, values).astype(values.dtype)})


def differs(street: Street, columns: Columns, homes: Households | None = None) -> bool:
    told = said_by_columns(street.columns, street.households, street.until_ms)
    return said_by_columns(columns, homes or street.households, street.until_ms) != told


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("cls", STAFF, NOBODY),
        ("cls", GUARD, NOBODY),
        ("cls", VISITOR, NOBODY),
        ("remote", True, False),
        ("type", GRANTED, OTHER),
        ("type", TAKEN, OTHER),
        ("type", FORCED, OTHER),
        ("type", TAMPER, OTHER),
        ("type", FAULT, OTHER),
        ("clk", RTC, UNSYNCED),
        ("clk", UNSYNCED, NTP),
    ],
)
def test_a_judge_blind_to_a_value_would_be_caught_by_a_street(
    troubled: Street, name: str, old: int | bool, new: int | bool
) -> None:
    assert differs(troubled, without_values(troubled.columns, name, old, new))


def test_a_judge_blind_to_counters_would_be_caught_by_a_street(troubled: Street) -> None:
    columns = troubled.columns
    assert differs(troubled, replace(columns, opens=np.full(len(columns), NO_COUNTER)))


def test_a_judge_blind_to_absences_would_be_caught_by_a_street(troubled: Street) -> None:
    homes, nothing = troubled.households, np.empty(0, np.int64)
    at_home = replace(
        homes, absence_household=nothing.astype(np.int32), absence_from=nothing, absence_to=nothing
    )
    assert differs(troubled, troubled.columns, at_home)


def test_a_judge_that_takes_one_content_for_each_number_would_be_caught_by_a_street(troubled: Street) -> None:
    columns = troubled.columns
    number = np.column_stack(
        [
            columns.device,
            columns.boot.view(np.int64),
            columns.seq,
            columns.kind,
            columns.up * (columns.kind == 0),
        ]
    )
    _, first = np.unique(number, axis=0, return_index=True)
    assert differs(troubled, columns.take(np.sort(first)))


# --- By hand -------------------------------------------------------------------------------------


def homes_with(*doors: list[int], watched_from: int = START_MS) -> Households:
    devices = 1 + max((door for some in doors for door in some), default=0)
    nothing = np.empty(0, np.int64)
    return Households(
        door_begin=np.concatenate([[0], np.cumsum([len(some) for some in doors])]).astype(np.int64),
        doors=np.array([door for some in doors for door in some], np.int32),
        supervision_ms=np.full(devices, HOUR),
        watched_from=np.full(len(doors), watched_from),
        thresholds=np.tile([DAY, 2 * DAY, 3 * DAY], (len(doors), 1)),
        absence_household=nothing.astype(np.int32),
        absence_from=nothing,
        absence_to=nothing,
    )


def row(device: int, at: int, seq: int, kind: int = HEARTBEAT, type_: int = OTHER) -> dict[str, Any]:
    """A message at `at` ms after the beginning, of a device that started a minute before it."""
    instant = START_MS + at
    return {
        "device": device,
        "boot": 1 + device,
        "kind": kind,
        "seq": seq,
        "up": at + MINUTE,
        "ts": instant,
        "clk": NTP,
        "type": type_,
        "cls": NOBODY,
        "remote": False,
        "opens": NO_COUNTER,
        "received": instant,
    }


def stream(*rows: dict[str, Any]) -> Columns:
    return columns_of(**{name: [one[name] for one in rows] for name in row(0, 0, 0)})


def beats(device: int, last: int, seq: int = 0) -> list[dict[str, Any]]:
    return [row(device, at, seq) for at in range(HOUR, last + 1, HOUR)]


def judged(columns: Columns, homes: Households, until: int) -> tuple[set[Row], set[Row]]:
    crossings, checks = said_by_columns(columns, homes, START_MS + until)
    assert (crossings, checks) == said_by_lines(columns, homes, START_MS + until)
    since_start = {(home, stage, at - START_MS) for home, stage, at in crossings}
    return since_start, {(home, step, at - START_MS) for home, step, at, _ in checks}


def test_a_door_that_stays_shut_crosses_at_the_threshold() -> None:
    crossings, checks = judged(stream(*beats(0, 2 * DAY)), homes_with([0]), 2 * DAY + 1)
    assert crossings == {(household_id(0), 1, DAY), (household_id(0), 2, 2 * DAY)}
    assert not checks


def test_a_door_never_heard_makes_a_check_and_no_crossing() -> None:
    crossings, checks = judged(stream(*beats(1, DAY)), homes_with([0], [1]), DAY)
    assert crossings == {(household_id(1), 1, DAY)}
    assert checks == {(household_id(0), 1, DAY)}


def test_a_street_nobody_heard_from_has_only_checks() -> None:
    crossings, checks = judged(stream(), homes_with([0], [1, 2]), 2 * DAY)
    assert not crossings
    assert checks == {(household_id(home), step, step * DAY) for home in (0, 1) for step in (1, 2)}


def test_a_household_without_a_door_is_never_watched() -> None:
    crossings, checks = judged(stream(*beats(0, DAY)), homes_with([], [0]), DAY)
    assert crossings == {(household_id(1), 1, DAY)}
    assert checks == {(household_id(0), 1, DAY)}


def test_an_opening_of_a_door_two_households_live_behind_is_evidence_for_both() -> None:
    rows = [*beats(0, HOUR), row(0, 90 * MINUTE, 1, EVENT, OPEN)]
    rows += [row(0, at, 1) for at in range(2 * HOUR, DAY + 2 * HOUR, HOUR)]
    rows += beats(1, DAY + 2 * HOUR)
    crossings, checks = judged(stream(*rows), homes_with([0], [0, 1], [1]), DAY + 100 * MINUTE)
    later = DAY + 90 * MINUTE
    assert crossings == {(household_id(0), 1, later), (household_id(1), 1, later), (household_id(2), 1, DAY)}
    assert not checks


def test_three_doors_are_watched_where_all_three_are() -> None:
    rows = [*beats(0, 2 * DAY), *beats(1, 2 * DAY), *beats(2, 2 * DAY)]
    rows = [one for one in rows if one["device"] != 2 or one["up"] >= 10 * HOUR]
    # Without its first messages the third door still proves its whole boot: nothing is missing in it.
    crossings, _ = judged(stream(*rows), homes_with([0, 1, 2]), DAY)
    assert crossings == {(household_id(0), 1, DAY)}
    rows = [{**one, "seq": 1} if one["device"] == 2 else one for one in rows]
    crossings, checks = judged(stream(*rows), homes_with([0, 1, 2]), 2 * DAY)
    first_known = 10 * HOUR
    assert crossings == {(household_id(0), 1, first_known + DAY)}
    assert checks == {(household_id(0), 1, DAY), (household_id(0), 2, 2 * DAY)}


def test_a_boot_id_used_twice_covers_nothing_not_even_the_time_after_its_newest_event() -> None:
    rows = beats(0, 23 * HOUR)
    reused = {**row(0, 23 * HOUR + 10 * MINUTE, 1, EVENT), "boot": 99, "up": MINUTE}
    again = {**row(0, 23 * HOUR + 30 * MINUTE, 2, EVENT), "boot": 99, "up": 21 * MINUTE}
    until = DAY + 20 * MINUTE
    crossings, checks = judged(stream(*rows, reused, again), homes_with([0]), until)
    assert (crossings, checks) == ({(household_id(0), 1, DAY + 9 * MINUTE)}, {(household_id(0), 1, DAY)})
    again["up"] = 21 * MINUTE + 2 * HOUR
    crossings, checks = judged(stream(*rows, reused, again), homes_with([0]), until)
    assert (crossings, checks) == (set(), {(household_id(0), 1, DAY)})


def test_lines_name_their_device_and_registry_its_doors() -> None:
    homes = homes_with([0], [1, 2])
    lines = lines_of(stream(*beats(0, HOUR), *beats(2, HOUR)), homes, [1])
    assert [line["topic"].split("/")[-2:] for line in lines] == [[device_id(2), "hb"]]
    assert registry_of(homes, [1])["households"][0]["doors"] == [device_id(1), device_id(2)]
