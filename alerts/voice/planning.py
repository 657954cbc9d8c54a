"""Whom a machine rings for an annunciation, and when: a step and who agreed to be rung enter, calls leave; pure.

A person's call is the rule. The elder is rung by a machine only where she has agreed to it, once; her family after
her, when she had time to answer; helpers and the desk when somebody has to go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.voice.keypad import Audience

#: Steps at which she is asked how she is, and steps at which somebody has to come at once.
ASKING = frozenset({"call", "not_seen_2"})
URGENT = frozenset({"visit", "not_seen_3", "sos", "duress", "door_forced"})

#: Her own call and all its repetitions are over by then.
FAMILY_AFTER_ELDER = timedelta(minutes=45)
FAMILY_APART = timedelta(minutes=10)
STAFF_APART = timedelta(minutes=3)
#: How many annunciations of one step ring the desk again; beyond it the ladder itself has gone on.
REPEATS_MAX = 4
CALLEES_MAX = 8


@dataclass(frozen=True, slots=True)
class Callee:
    """Somebody who agreed to be rung by a machine."""

    person: str
    audience: Audience


@dataclass(frozen=True, slots=True)
class PlannedCall:
    person: str
    audience: Audience
    not_before: datetime


def plan_calls(
    step: str, repetition: int, not_before: datetime, callees: Sequence[Callee]
) -> tuple[PlannedCall, ...]:
    """Return the calls of one annunciation; ``callees`` in the order in which they are to be rung."""
    if step in ASKING and repetition == 0:
        asked = _asking(not_before, callees)
    elif step in URGENT and repetition < REPEATS_MAX:
        asked = _urgent(repetition, not_before, callees)
    else:
        asked = []
    return tuple(asked[:CALLEES_MAX])


def _asking(not_before: datetime, callees: Sequence[Callee]) -> list[PlannedCall]:
    elders = [PlannedCall(one.person, one.audience, not_before) for one in _of(Audience.ELDER, callees)]
    # Where no machine may ask her, no machine asks her family either: a person phones.
    after = not_before + FAMILY_AFTER_ELDER
    return elders and [*elders, *_apart(_of(Audience.FAMILY, callees), after, FAMILY_APART)]


def _urgent(repetition: int, not_before: datetime, callees: Sequence[Callee]) -> list[PlannedCall]:
    staff = _apart(_of(Audience.STAFF, callees), not_before, STAFF_APART)
    # She is not rung when somebody is on the way, and her family hears of it once.
    family = _apart(_of(Audience.FAMILY, callees), not_before, FAMILY_APART) if repetition == 0 else []
    return sorted((*staff, *family), key=lambda call: call.not_before)


def _of(audience: Audience, callees: Sequence[Callee]) -> list[Callee]:
    return [one for one in callees if one.audience is audience]


def _apart(callees: Sequence[Callee], first: datetime, apart: timedelta) -> list[PlannedCall]:
    return [PlannedCall(one.person, one.audience, first + index * apart) for index, one in enumerate(callees)]
