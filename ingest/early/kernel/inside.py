"""A household's arrays and an event at its door or indoors enter; whether she is presumed in leaves.

A running likelihood ratio of the home's usual rate against strays: silence alone never makes anybody out.
"""

from __future__ import annotations

import math

from ingest.detector.compiled import compiled
from ingest.early.kernel.home import (
    BASE,
    DOOR,
    EVIDENCE,
    EVIDENCE_AT,
    FIRST,
    LAST,
    LAST_WINDOW,
    MINUTE,
    NEVER,
    PLACE,
    WAS,
    WINDOW,
    Home,
    expected_windows,
    learn_activity,
    learn_silence,
)

#: What an event is.
FRONT_DOOR, INDOORS = 0, 1
#: ``PLACE`` and ``WAS``: in, or past the front door and not heard indoors since.
INSIDE, PASSED = 0, 1
#: What is presumed at an instant.
IN, LEFT, CAME_IN = 0, 1, 2

#: The sensor next to the door sees the leaf fall shut.
GUARD = 15_000
HEARD_WITHIN = 5 * MINUTE
#: An empty home is taken to stir at a twentieth of its usual rate.
STRAY_SHARE = 0.05
EVIDENCE_PER_WINDOW = -math.log(STRAY_SHARE)
#: Odds of being in, as natural logarithms: enough to say so, the least they fall to, and where they start.
EVIDENCE_ENOUGH = 1.5
EVIDENCE_LEAST = -3.0
EVIDENCE_OF_RETURN = 0.0


@compiled
def presumed(home: Home, now_ms: int) -> int:
    """Return IN, LEFT or CAME_IN at an instant not before the last event."""
    if home.marks[PLACE] == INSIDE or now_ms - home.marks[DOOR] <= HEARD_WITHIN:
        return IN
    return LEFT if home.marks[WAS] == INSIDE else CAME_IN


@compiled
def take_passage(home: Home, at_ms: int, silent_until_ms: int, in_hours: bool) -> None:
    marks = home.marks
    if marks[PLACE] == INSIDE:
        marks[WAS] = INSIDE
        if marks[LAST] != NEVER:
            learn_silence(home, marks[LAST], silent_until_ms, home.level[BASE], in_hours)
        learn_activity(home, at_ms)
    elif at_ms - marks[DOOR] > HEARD_WITHIN:
        marks[WAS] = PASSED
    marks[PLACE] = PASSED
    marks[DOOR] = at_ms
    marks[EVIDENCE_AT] = at_ms
    home.level[EVIDENCE] = 0.0 if marks[WAS] == INSIDE else EVIDENCE_OF_RETURN


@compiled
def take_indoors(home: Home, at_ms: int, silent_until_ms: int, in_hours: bool) -> None:
    marks = home.marks
    if marks[PLACE] == PASSED:
        since = at_ms - marks[DOOR]
        if since <= GUARD:
            return
        if since > HEARD_WITHIN:
            weigh_stray(home, at_ms)
            if home.level[EVIDENCE] >= EVIDENCE_ENOUGH:
                marks[PLACE] = INSIDE
                learn_activity(home, at_ms)
            return
        marks[PLACE] = INSIDE
    if marks[LAST] != NEVER:
        learn_silence(home, marks[LAST], silent_until_ms, home.level[BASE], in_hours)
    learn_activity(home, at_ms)


@compiled
def weigh_stray(home: Home, at_ms: int) -> None:
    """Weigh what is heard in a home presumed empty: a running likelihood ratio of the usual rate against strays."""
    marks = home.marks
    quiet = (1.0 - STRAY_SHARE) * expected_windows(home, marks[EVIDENCE_AT], at_ms)
    least = EVIDENCE_LEAST if marks[WAS] == INSIDE else EVIDENCE_OF_RETURN
    home.level[EVIDENCE] = max(least, home.level[EVIDENCE] - quiet)
    marks[EVIDENCE_AT] = at_ms
    window = at_ms // WINDOW
    if window != marks[LAST_WINDOW]:
        marks[LAST_WINDOW] = window
        home.level[EVIDENCE] += EVIDENCE_PER_WINDOW


@compiled
def take_place(home: Home, at_ms: int, code: int, silent_until_ms: int, in_hours: bool) -> None:
    """Take one event (FRONT_DOOR or INDOORS), not older than the last one."""
    if home.marks[FIRST] == NEVER:
        home.marks[FIRST] = at_ms
    if code == FRONT_DOOR:
        take_passage(home, at_ms, silent_until_ms, in_hours)
    else:
        take_indoors(home, at_ms, silent_until_ms, in_hours)
    home.marks[LAST] = at_ms
