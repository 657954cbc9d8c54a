"""The morning list: a reader and a grid enter; columns of homes with what is open about them, and results, leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from console.loaders import Reader
from console.loaders.households import LoadedHousehold, load_households
from console.views.morning import (
    QUICK_RESULTS,
    EarlyKeys,
    MorningCard,
    MorningColumn,
    MorningKind,
    MorningResult,
    MorningTask,
)
from console.views.parts import Choice
from kaimen.database import Connection, queries
from kaimen.vocabulary import Contacted, Outcome, TaskKind

CARDS_MAX = 60
RESULTS_MAX = 60
#: The order in which the board is worked: the gravest column first, each from its top.
WITH_CARDS = (MorningKind.VISIT, MorningKind.CALL, MorningKind.WARNING, MorningKind.UNKNOWN)
_SQL = queries("console", "morning.sql")


def load_ids(connection: Connection, reader: Reader, grid: str) -> dict[MorningKind, list[str]]:
    """Return the homes of each column, longest silent first."""
    ids: dict[MorningKind, list[str]] = {kind: [] for kind in MorningKind}
    values = {"community_id": reader.viewer.community_id, "grid": grid}
    for row in connection.execute(_SQL["morning_states"], values).fetchall():
        ids[kind_of(row)].append(row["id"])
    return ids


def kind_of(row: Mapping[str, Any]) -> MorningKind:
    """Say in which column a state stands; away comes before everything, so that no stage tells that it is."""
    stage = int(row["stage"])
    if row["absent_until"] is not None:
        return MorningKind.AWAY
    if stage:
        return (MorningKind.WARNING, MorningKind.CALL, MorningKind.VISIT)[min(stage, 3) - 1]
    return MorningKind.NORMAL if row["known"] and not row["check_step"] else MorningKind.UNKNOWN


def load_grids(connection: Connection, reader: Reader) -> tuple[Choice, ...]:
    rows = connection.execute(_SQL["grids"], {"community_id": reader.viewer.community_id}).fetchall()
    return tuple(Choice(row["grid"], row["grid"]) for row in rows)


def load_board(
    connection: Connection,
    reader: Reader,
    grid: str,
    *,
    after_task: int | None = None,
    after_home: str | None = None,
) -> tuple[tuple[MorningColumn, ...], tuple[MorningResult, ...]]:
    """Return the columns and what was found today; the keys stand behind the task, or home, answered just now."""
    ids = load_ids(connection, reader, grid)
    shown = [key for kind in WITH_CARDS for key in ids[kind][:CARDS_MAX]]
    found = _load_results(connection, reader, grid)
    households = load_households(connection, reader, [*shown, *{row["household_id"] for row in found}])
    results = tuple(
        _result(row, households[row["household_id"]]) for row in found if row["household_id"] in households
    )
    tasks = _load_tasks(connection, reader, shown)
    early = load_early(connection, reader, ids[MorningKind.WARNING][:CARDS_MAX])
    last = {result.household.id: result for result in reversed(results)}
    answered = after_home or next((row["household_id"] for row in found if row["id"] == after_task), None)
    going_on = after_home is not None or after_task is not None
    following = _next_up(shown, tasks.keys() | early.keys(), answered) if going_on else None
    columns = tuple(
        MorningColumn(
            kind,
            len(keys),
            tuple(
                MorningCard(
                    households[key].in_list(),
                    tasks.get(key),
                    early.get(key),
                    last.get(key),
                    next_up=key == following,
                )
                for key in (keys[:CARDS_MAX] if kind in WITH_CARDS else ())
                if key in households
            ),
        )
        for kind, keys in ids.items()
    )
    return columns, results


def load_early(connection: Connection, reader: Reader, ids: Sequence[str]) -> dict[str, EarlyKeys]:
    """Return of some homes of the first day those that may be answered before anybody was asked."""
    values = {"community_id": reader.viewer.community_id, "ids": list(ids)}
    rows = connection.execute(_SQL["morning_early"], values).fetchall()
    return {row["household_id"]: EarlyKeys(row["household_id"], row["id"]) for row in rows}


def _next_up(shown: Sequence[str], tasks: Set[str], answered: str | None) -> str | None:
    """The next home with something to answer behind the answered one; at the end from the top again."""
    begin = shown.index(answered) + 1 if answered in shown else 0
    return next((key for key in (*shown[begin:], *shown[:begin]) if key in tasks), None)


def _load_tasks(connection: Connection, reader: Reader, ids: Sequence[str]) -> dict[str, MorningTask]:
    values = {"community_id": reader.viewer.community_id, "ids": list(ids)}
    rows = connection.execute(_SQL["morning_tasks"], values).fetchall()
    return {
        row["household_id"]: MorningTask(
            row["id"], TaskKind(row["kind"]), row["due_at"], row["assignee"] or "", QUICK_RESULTS[TaskKind(row["kind"])]
        )
        for row in rows
    }  # fmt: skip


def _load_results(connection: Connection, reader: Reader, grid: str) -> list[dict[str, Any]]:
    values = {
        "community_id": reader.viewer.community_id, "since": reader.day_begin, "grid": grid, "limit": RESULTS_MAX,
    }  # fmt: skip
    return connection.execute(_SQL["morning_results"], values).fetchall()


def _result(row: Mapping[str, Any], household: LoadedHousehold) -> MorningResult:
    contacted = row["contacted"]
    # Where an outcome is that she is away, nobody learns it from a list: the case's own page says it.
    hidden = row["outcome"] in (Outcome.AWAY, Outcome.HOSPITAL)
    result = MorningResult(
        household.name, TaskKind(row["kind"]), Outcome(row["outcome"]), row["done_at"], f"/tasks/{row['id']}",
        contacted=Contacted(contacted) if contacted in set(Contacted) else None,
        witness=row["witness"] or "", by=row["done_by"] or "",
    )  # fmt: skip
    return replace(result, outcome=Outcome.OTHER, contacted=None, witness="") if hidden else result
