"""What a worker of several groups says of itself."""

from __future__ import annotations

from ingest.__main__ import summarise
from ingest.pulse import Health

_SERVING = Health("listening", good=True)
_WAITING = Health("standing by: another worker serves this group", good=True)
_AWAY = Health("the database is away: OperationalError")


def test_groups_that_say_the_same_are_told_once() -> None:
    assert summarise([_SERVING] * 3) == (True, "listening")
    assert summarise([_AWAY]) == (False, _AWAY.words)


def test_each_groups_own_word_is_told_with_its_number_and_what_is_not_well_first() -> None:
    assert summarise([_SERVING, _WAITING, _SERVING]) == (
        True,
        f"listening (groups 0, 2); {_WAITING.words} (group 1)",
    )
    assert summarise([_SERVING, _AWAY]) == (False, f"{_AWAY.words} (group 1); listening (group 0)")
