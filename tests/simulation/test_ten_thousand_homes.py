"""Ten thousand homes and thirty days from a fresh seed enter; of some the detector must say what the judge says.

Every crossing and every check of the homes picked, to the millisecond. The judge (`tests/oracle/columns_oracle.py`) knows the wire
protocol's text and not one line of the detector.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.judging import judge_wire, parse_registry
from tests.oracle.columns_oracle import NEVER, History, judge_columns
from tests.oracle.columns_street import Street, make_street
from tests.oracle.columns_wire import household_id, lines_of, registry_of

pytestmark = pytest.mark.simulation

HOMES, DAYS = 10_000, 30
LINE_BY_LINE = 400  # homes judged through the wire as well; half of them picked because much happens there

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Judged:
    seed: int
    street: Street
    history: History


def timed(name: str, since: float) -> None:
    load = Path("/proc/loadavg")
    busy = f", load {load.read_text().split()[0]}" if load.exists() else ""
    print(f"{name}: {time.monotonic() - since:.1f} s{busy}")


@pytest.fixture(scope="module")
def judged() -> Iterator[Judged]:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    begin = time.monotonic()
    street = make_street(seed, households=HOMES, days=DAYS)
    timed(f"{len(street.columns)} messages made", begin)
    begin = time.monotonic()
    history = judge_columns(street.columns, street.households, street.until_ms)
    timed(f"{len(history.crossings)} crossings and {len(history.checks)} checks judged", begin)
    yield Judged(seed, street, history)


def rows_about(history: History, homes: list[int]) -> tuple[set[Row], set[Row]]:
    wanted = set(homes)
    crossings = {
        (household_id(home), stage, at) for home, stage, at in history.crossings.tolist() if home in wanted
    }
    checks = {
        (household_id(home), step, at, None if ended_at == NEVER else ended_at)
        for home, step, at, ended_at in history.checks.tolist()
        if home in wanted
    }
    return crossings, checks


def eventful_and_others(judged: Judged) -> list[int]:
    """Homes with the most crossings and checks, and as many picked blindly."""
    rng = np.random.default_rng(judged.seed)
    told = np.concatenate([judged.history.crossings[:, 0], judged.history.checks[:, 0]])
    eventful = np.argsort(-np.bincount(told, minlength=HOMES), kind="stable")[: LINE_BY_LINE // 2]
    return sorted({*eventful.tolist(), *rng.choice(HOMES, LINE_BY_LINE // 2, replace=False).tolist()})


def test_ten_thousand_homes_have_something_of_everything(judged: Judged) -> None:
    columns, history = judged.street.columns, judged.history
    assert 3_000_000 < len(columns) < 6_000_000
    assert set(np.unique(columns.type)) == set(range(9))
    assert set(np.unique(columns.clk)) == {0, 1, 2}
    assert set(np.unique(history.crossings[:, 1])) == set(np.unique(history.checks[:, 1])) == {1, 2, 3}
    assert (history.checks[:, 3] == NEVER).any()
    assert (history.checks[:, 3] != NEVER).any()


def test_the_service_judging_a_file_says_what_the_judge_says(judged: Judged) -> None:
    street, homes = judged.street, eventful_and_others(judged)
    registry = parse_registry(registry_of(street.households, homes))
    begin = time.monotonic()
    report = judge_wire(lines_of(street.columns, street.households, homes), registry, street.until_ms)
    timed(f"{len(homes)} homes line by line", begin)
    crossings, checks = rows_about(judged.history, homes)
    told = {(one["household"], one["stage"], one["at"]) for one in report["effective"]}
    assert told == crossings, sorted(told ^ crossings)[:10]
    due = {(one["household"], one["step"], one["at"], one["ended_at"]) for one in report["checks"]}
    assert due == checks, sorted(due ^ checks, key=str)[:10]
