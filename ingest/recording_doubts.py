"""What of a recording's times and words may not be what was meant: rows as they stood in the file enter, sentences leave.

A doubt changes nothing that is read; only rows of a clock that had lost its time are taken out, for no one can tell when
they were.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median_low

from ingest.recorded_words import vocabulary_of
from kaimen.policy import DAY_MS, HOUR_MS, MINUTE_MS

#: Clocks that lost their time begin at 1970, 1980 or 2000; nothing that is read was recorded before 2001.
_LOST_BEFORE_MS = 978_307_200_000
_APART_MS = 366 * DAY_MS
_NEVER_APART_MS = 10 * _APART_MS
#: After the ladder's last stage and a day more, a silence of everything is more than a stay away.
_SILENCE_MS = 96 * HOUR_MS
_SHOWN_MAX = 3
_STEPS_MAX = 4


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=None).isoformat(" ", timespec="minutes")


class Told:
    """What is noticed of one home while its rows are read, in the order in which they stand in the file."""

    def __init__(self) -> None:
        self._at: list[int] = []
        self._lines: list[int] = []
        self._words: dict[str, set[str]] = {}

    def see(self, line: int, at_ms: int, sensor: str, word: str) -> None:
        self._at.append(at_ms)
        self._lines.append(line)
        known = vocabulary_of(word)
        if known is not None:
            self._words.setdefault(sensor, set()).add(known)

    def lost_clocks(self) -> dict[int, int]:
        """Return line and instant of the rows that a clock without its time wrote."""
        if not self._at:
            return {}
        middle = median_low(self._at)
        return {
            line: at
            for line, at in zip(self._lines, self._at, strict=True)
            if (at < _LOST_BEFORE_MS and middle - at > _APART_MS) or abs(middle - at) > _NEVER_APART_MS
        }

    def doubts(self, *, in_order: bool) -> list[str]:
        """Return what is said of the file's order and words; ``in_order`` where its form promises one."""
        lost = set(self.lost_clocks())
        kept = [at for line, at in zip(self._lines, self._at, strict=True) if line not in lost]
        said = _of_order(kept) if in_order else []
        for sensor, words in sorted(self._words.items()):
            if len(words) > 1:
                said.append(
                    f"{sensor} says {' as well as '.join(sorted(words))}: they are read as one, on as open"
                )
        if lost:
            said.append(
                f"{len(lost)} rows are of a clock that had lost its time (1970, 2000 or far ahead); they are left out, and "
                "what they tell of is not known"
            )
        return said


def _of_order(at: list[int]) -> list[str]:
    back = [(earlier, later) for earlier, later in pairwise(at) if later < earlier]
    if not back or len(back) > len(at) // 2:  # an export may begin with the newest
        return []
    hours = [pair for pair in back if 40 * MINUTE_MS <= pair[0] - pair[1] <= 61 * MINUTE_MS]
    if hours and len(back) <= _STEPS_MAX:
        shown = ", ".join(_day(earlier) for earlier, _ in hours[:_SHOWN_MAX])
        return [
            f"the clock went back by about an hour at {shown}: that hour was lived twice and is counted once; write the offset "
            "from UTC on every row"
        ]
    return [f"{len(back)} rows are earlier than the one before them in the file; they were put in order"]


def doubts_of_rows(rows: list[tuple[int, str, str, bool]]) -> list[str]:
    """Return what is said of a home's rows in order: those that stand twice, and silences of every sensor."""
    said = []
    twice = sum(count - 1 for count in Counter(rows).values())
    if twice:
        said.append(f"{twice} rows stand there twice; what they tell of is counted once")
    silent = [(before[0], after[0]) for before, after in pairwise(rows) if after[0] - before[0] > _SILENCE_MS]
    for begin, end in silent[:_SHOWN_MAX]:
        said.append(
            f"nothing says anything from {_day(begin)} to {_day(end)}: nobody was at home, or nobody recorded, which it does "
            "not tell; if nobody recorded, make two recordings of it"
        )
    if len(silent) > _SHOWN_MAX:
        said.append(f"and {len(silent) - _SHOWN_MAX} more such silences")
    return said
