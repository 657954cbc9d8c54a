"""What the doctor says: a part and words enter, a line with a state and a remedy leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Line:
    """One part looked at; ``mend`` is empty where nothing has to be done."""

    part: str
    state: Literal["ok", "attention", "wrong"]
    words: str
    mend: str = ""


def ok(part: str, words: str) -> Line:
    return Line(part, "ok", words)


def attention(part: str, words: str, mend: str) -> Line:
    return Line(part, "attention", words, mend)


def wrong(part: str, words: str, mend: str) -> Line:
    return Line(part, "wrong", words, mend)
