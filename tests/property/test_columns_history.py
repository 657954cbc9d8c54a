"""Generated streams enter as columns; the compiled history must be the plain detector's, in every way of compiling."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ingest.detector.columns import Columns, ColumnsError, Homes
from ingest.detector.history import NOT_ENDED, History, history_of_columns
from ingest.judging import judge_wire
from ingest.registry_file import parse_registry
from tests.property.strategies_wire import Case, plain_streams, random_case
from tests.property.wire_columns import columns_of_case

Found = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]


def as_found(history: History) -> Found:
    return list(map(tuple, history.crossings.tolist())), list(map(tuple, history.checks.tolist()))


def compiled_history(columns: Columns, homes: Homes, until_ms: int) -> Found:
    return as_found(history_of_columns(columns, homes, until_ms))


def plain_history(case: Case, names: list[str]) -> Found:
    messages, document, until_ms = case
    report = judge_wire(messages, parse_registry(document), until_ms)
    index = {name: number for number, name in enumerate(names)}
    crossings = [
        (index[row["household"]], row["stage"], row["at"])
        for row in report["effective"]
        if row["household"] in index
    ]
    checks = [
        (
            index[row["household"]],
            row["step"],
            row["at"],
            NOT_ENDED if row["ended_at"] is None else row["ended_at"],
        )
        for row in report["checks"]
        if row["household"] in index
    ]

    def in_order(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        return sorted(rows, key=lambda row: (row[2], row[0], row[1]))

    return in_order(crossings), in_order(checks)


def assert_same(case: Case) -> None:
    found = columns_of_case(case)
    if found is not None:
        columns, homes, names = found
        assert compiled_history(columns, homes, case[2]) == plain_history(case, names)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(plain_streams())
def test_one_door_in_columns_has_the_plain_history(case: Case) -> None:
    assert_same(case)


@pytest.mark.parametrize("seed", [*range(4), 166, 364, 526, 663, 1349])
def test_seeded_streams_in_columns_have_the_plain_history(seed: int) -> None:
    assert_same(random_case(seed))


@pytest.mark.parametrize("seed", range(5))
def test_order_number_and_threads_change_no_history(seed: int) -> None:
    case = random_case(seed)
    found = columns_of_case(case)
    if found is None:
        return
    columns, homes, _ = found
    rows = [*range(len(columns)), *random.Random(seed).choices(range(len(columns)), k=len(columns) // 3)]
    random.Random(seed).shuffle(rows)
    shuffled = Columns(*(column[np.asarray(rows, np.int64)] for column in columns.arrays()))
    straight = compiled_history(columns, homes, case[2])
    assert compiled_history(shuffled, homes, case[2]) == straight
    assert as_found(history_of_columns(columns, homes, case[2], workers=3)) == straight


def test_columns_outside_the_layout_are_refused_by_name() -> None:
    found = columns_of_case(random_case(3))
    assert found is not None
    columns, homes, _ = found
    rows = {name: getattr(columns, name) for name in Columns.__dataclass_fields__}
    with pytest.raises(ColumnsError, match="column up is missing"):
        history_of_columns({name: rows[name] for name in rows if name != "up"}, homes, 0)
    with pytest.raises(ColumnsError, match="column opens must have"):
        history_of_columns({**rows, "opens": rows["opens"][1:]}, homes, 0)
    with pytest.raises(ColumnsError, match="column clk, row 0"):
        history_of_columns({**rows, "clk": np.full(len(columns), 3)}, homes, 0)
    with pytest.raises(ColumnsError, match="column device"):
        history_of_columns({**rows, "device": np.full(len(columns), 99)}, homes, 0)
    with pytest.raises(ColumnsError, match="column ts, row 0"):
        history_of_columns({**rows, "ts": np.full(len(columns), 1 << 61)}, homes, 0)


@pytest.mark.parametrize(
    "flag", [pytest.param("NUMBA_BOUNDSCHECK", marks=pytest.mark.slow), "NUMBA_DISABLE_JIT"]
)
def test_columns_are_judged_alike_with_bounds_checked_and_uncompiled(flag: str) -> None:
    program = (
        "from tests.property.test_columns_history import assert_same\n"
        "from tests.property.strategies_wire import random_case\n"
        "for seed in range(3, 12): assert_same(random_case(seed, 'minutes'))\n"
    )
    environment = {**os.environ, flag: "1", "KAIMEN_KERNEL_CACHE": "0"}
    folder = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
