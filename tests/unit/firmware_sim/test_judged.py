"""A played street enters the independent judge of the wire page; its verdict is what the people really did."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

from firmware_sim import faults
from firmware_sim.community import make_community
from firmware_sim.drift import DriftLevel
from firmware_sim.people import Household
from firmware_sim.residents import DAY_MS, ActKind, acts
from firmware_sim.street import history
from tests.oracle import wire_oracle

START_MS = 1_761_955_200_000
END_MS = START_MS + 14 * DAY_MS
COMMUNITY = make_community(5, 48, 16, "baihe", START_MS)
SHOWS_LIFE = {ActKind.GO_OUT, ActKind.COME_IN, ActKind.CALLER, ActKind.FAMILY_IN}


def _judge(rates: faults.FaultRates, drift: DriftLevel) -> tuple[Counter[int], list[Any], dict[str, int]]:
    doors = {door for home in COMMUNITY.watched for door in (home.door_id, home.shared_door_id)}
    registry = COMMUNITY.to_registry()
    sites = {device["id"]: device["site"] for device in registry["devices"]}
    read = [
        copy
        for received_ms, topic, payload in history(COMMUNITY, START_MS, END_MS, rates=rates, drift=drift)
        if topic.split("/")[5] in doors
        for copy in wire_oracle.read_line(
            {"received_at": received_ms, "topic": topic, "payload": json.loads(payload)}, sites
        )
    ]
    stream = wire_oracle.Stream([copy for copy in read if copy is not None], registry)
    stages: Counter[int] = Counter()
    checks: list[Any] = []
    for entry in registry["households"]:
        if entry["consent"]:
            view = stream.view(wire_oracle.house_of(entry), wire_oracle.FOREVER)
            crossings, due = wire_oracle.history(view, END_MS)
            stages.update(crossing["stage"] for crossing in crossings)
            checks += due
    return stages, checks, wire_oracle.count_admission(read)


def _days_without_life(household: Household) -> list[int]:
    """Return the whole days of each silence that no declared absence touches."""
    away = [
        (item.from_ms, item.to_ms)
        for item in COMMUNITY.absences
        if item.household_id == household.household_id
    ]
    lived = [act.at_ms for act in acts(household, START_MS, END_MS) if act.kind in SHOWS_LIFE]
    return [
        (right - left) // DAY_MS
        for left, right in pairwise([START_MS, *lived, END_MS])
        if not any(begin < right and left < end for begin, end in away)
    ]


def test_a_calm_street_is_judged_as_its_people_lived() -> None:
    stages, checks, admission = _judge(faults.NONE, DriftLevel.NONE)
    lived = [days for household in COMMUNITY.watched for days in _days_without_life(household)]
    assert stages == {n: count for n in (1, 2, 3) if (count := sum(days >= n for days in lived))}
    assert stages[1] > 10
    assert checks == []
    assert admission["duplicate"] == admission["late"] == 0


def test_a_harsh_street_sends_nothing_that_cannot_be_taken() -> None:
    _stages, _checks, admission = _judge(faults.HARSH, DriftLevel.HARSH)
    assert admission["implausible"] == admission["quarantined"] == 0
    assert admission["duplicate"] > 100 and admission["late"] > 100
