"""The watchdog's memory: what it suspects becomes a finding by lasting, and is told ever more seldom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.watchdog.channel import Told
from alerts.watchdog.rules import TELL_AGAIN_S, Check, Finding, Suspicion, due_to_tell, fold, next_tell_at
from alerts.watchdog.words import mend, title

NOW = datetime(2025, 11, 21, 8, tzinfo=UTC)
WAITS = Suspicion(Check.HAPPENING_WAITS, "", 120.0, "7", {"count": 3})


def row(**changes: object) -> Finding:
    values: dict[str, object] = {
        "id": 1, "check": Check.HAPPENING_WAITS, "subject": "", "mark": "7", "suspected_at": NOW,
    }  # fmt: skip
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


def test_a_first_sight_is_a_suspicion_and_nobody_is_told() -> None:
    changes = fold([], [WAITS], NOW)
    assert changes.new == (WAITS,)
    assert changes.found == ()


def test_what_lasts_its_patience_is_found() -> None:
    assert fold([row()], [WAITS], NOW + timedelta(seconds=119)).found == ()
    assert fold([row()], [WAITS], NOW + timedelta(seconds=120)).found == (1,)


def test_work_that_went_on_meanwhile_is_another_thing() -> None:
    other = Suspicion(Check.HAPPENING_WAITS, "", 120.0, "8")
    changes = fold([row()], [other], NOW + timedelta(hours=1))
    assert changes.found == ()
    assert changes.forgotten == (1,)
    assert changes.new == (other,)


def test_a_finding_ends_and_a_suspicion_is_forgotten() -> None:
    changes = fold([row(found_at=NOW), row(id=2, subject="x")], [], NOW)
    assert (changes.ended, changes.forgotten) == ((1,), (2,))


def test_distances_grow_and_never_become_silence() -> None:
    told = [next_tell_at(count, NOW) - NOW for count in range(1, 12)]
    assert told == sorted(told)
    assert told[0] == timedelta(seconds=TELL_AGAIN_S[0])
    assert told[-1] == timedelta(seconds=TELL_AGAIN_S[-1])


def test_only_what_is_found_and_due_is_told() -> None:
    late = row(id=3, found_at=NOW, tell_at=NOW + timedelta(seconds=1))
    assert due_to_tell([row(), row(id=2, found_at=NOW), late], NOW) == (row(id=2, found_at=NOW),)


@pytest.mark.parametrize("check", Check)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_check_says_what_is_the_matter_and_how_it_is_mended(check: Check, language: str) -> None:
    assert title(check, language) and mend(check, language)
    assert title(check, language) in Told((row(check=check),)).body(NOW).decode()
