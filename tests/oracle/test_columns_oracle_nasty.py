"""The small nasty streams the detector is tested with enter; the two judges must say the same of them.

A street says many ordinary things; these say few, with exact ties, rubbish, relayed receipts and turned clocks.
What columns cannot hold is made plain first: every door is a dwelling door for all time.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tests.oracle import wire_oracle
from tests.oracle.columns_oracle import NEVER, judge_columns
from tests.oracle.columns_shape import (
    CLOSED,
    EVENT,
    FAULT,
    FORCED,
    GRANTED,
    HEARTBEAT,
    NO_COUNTER,
    NOBODY,
    NOT_TAKEN,
    OPEN,
    OTHER,
    STAFF,
    TAKEN,
    TAMPER,
    Columns,
    Households,
    columns_of,
)
from tests.property.strategies_wire import random_case

CLOCKS = {"ntp": 0, "rtc": 1, "unsynced": 2}
TYPES = {
    "AccessGranted": GRANTED,
    "AccessTaken": TAKEN,
    "AccessNotTaken": NOT_TAKEN,
    "DoorForcedOpen": FORCED,
    "DoorTamper": TAMPER,
    "DoorFault": FAULT,
}
NO_THRESHOLD = 1 << 42


def plain_registry(registry: dict[str, Any]) -> dict[str, Any]:
    homes = []
    for home in registry["households"]:
        doors = [door if isinstance(door, str) else door["device"] for door in home["doors"]]
        homes.append({**home, "doors": sorted(set(doors)), "verified": []})
    return {**registry, "households": [home for home in homes if home.get("consent", True)]}


def type_of(body: dict[str, Any]) -> int:
    if body.get("type") == "DoorPhysicalState":
        return OPEN if body.get("state") == "Open" else CLOSED
    return TYPES.get(body.get("type", ""), OTHER)


def columns_from(copies: list[wire_oracle.Copy], numbers: dict[str, int], creds: Any) -> Columns:
    bodies = [copy.body for copy in copies]
    hers = wire_oracle.Creds([one for one in creds if one["class"] in wire_oracle.NOT_HERS])
    not_hers = [hers.is_not_hers({**body, "method": None}) for body in bodies]
    return columns_of(
        device=[numbers[copy.device] for copy in copies],
        boot=[int(body["boot"], 16) for body in bodies],
        kind=[EVENT if copy.kind == "event" else HEARTBEAT for copy in copies],
        seq=[
            body["seq"] if copy.kind == "event" else body["seq_last"]
            for copy, body in zip(copies, bodies, strict=True)
        ],
        up=[body["up"] for body in bodies],
        ts=[body["ts"] for body in bodies],
        clk=[CLOCKS[body["clk"]] for body in bodies],
        type=[type_of(body) for body in bodies],
        cls=[STAFF if other else NOBODY for other in not_hers],
        remote=[body.get("method") == "remote_office" for body in bodies],
        opens=[NO_COUNTER if body.get("opens") is None else body["opens"] for body in bodies],
        received=[copy.received_at for copy in copies],
    )


def households_from(
    houses: list[wire_oracle.House], numbers: dict[str, int], supervision: dict[str, int]
) -> Households:
    doors = [[numbers[door.device] for door in house.doors] for house in houses]
    absences = [(number, a, b) for number, house in enumerate(houses) for a, b in house.absences]
    return Households(
        door_begin=np.concatenate([[0], np.cumsum([len(some) for some in doors])]).astype(np.int64),
        doors=np.array([door for some in doors for door in some], np.int32),
        supervision_ms=np.array([supervision.get(device, 0) for device in numbers], np.int64),
        watched_from=np.array([house.watched_from for house in houses], np.int64),
        thresholds=np.array(
            [(house.thresholds + [NO_THRESHOLD] * 3)[:3] for house in houses], np.int64
        ).reshape(-1, 3),
        absence_household=np.array([number for number, _, _ in absences], np.int32),
        absence_from=np.array([a for _, a, _ in absences], np.int64),
        absence_to=np.array([b for _, _, b in absences], np.int64),
    )


def both_say(seed: int, scale: str) -> tuple[tuple[set[Any], set[Any]], tuple[set[Any], set[Any]]]:
    messages, registry, until_ms = random_case(seed, scale)
    registry = plain_registry(registry)
    site_by_device = {device["id"]: device["site"] for device in registry["devices"]}
    read = [copy for line in messages for copy in wire_oracle.read_line(line, site_by_device)]
    copies = [copy for copy in read if copy is not None]
    stream = wire_oracle.Stream(copies, registry)
    houses = [wire_oracle.house_of(entry) for entry in registry["households"]]
    crossings, checks = set(), set()
    for house in houses:
        effective, due = wire_oracle.history(stream.view(house, wire_oracle.FOREVER), until_ms)
        crossings |= {(one["household"], one["stage"], one["at"]) for one in effective}
        checks |= {(one["household"], one["step"], one["at"], one["ended_at"]) for one in due}

    named = [*site_by_device, *(door.device for house in houses for door in house.doors)]
    numbers = {device: number for number, device in enumerate(dict.fromkeys(named))}
    history = judge_columns(
        columns_from(copies, numbers, registry.get("creds") or []),
        households_from(houses, numbers, stream.supervision),
        until_ms,
    )
    mine = {(houses[home].id, stage, at) for home, stage, at in history.crossings.tolist()}
    mine_due = {
        (houses[home].id, step, at, None if ended_at == NEVER else ended_at)
        for home, step, at, ended_at in history.checks.tolist()
    }
    return (crossings, checks), (mine, mine_due)


@pytest.mark.parametrize("scale", ["minutes", "days"])
def test_both_judges_say_the_same_of_small_nasty_streams(scale: str) -> None:
    told = 0
    for seed in range(60):
        plain, columns = both_say(seed, scale)
        assert plain == columns, f"seed {seed}"
        told += sum(len(some) for some in plain)
    assert told > 200


@pytest.mark.simulation
@pytest.mark.parametrize("scale", ["minutes", "days"])
def test_both_judges_say_the_same_of_hundreds_of_fresh_nasty_streams(scale: str) -> None:
    first = random.SystemRandom().randrange(10**9)
    print(f"first seed {first}")
    for seed in range(first, first + 800):
        plain, columns = both_say(seed, scale)
        assert plain == columns, f"seed {seed}"
