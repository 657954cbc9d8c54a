"""The table of who may call which route (``who_may.txt``) enters as text; rows by (method, path) leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.integration.console_world import ROLES

FILE = Path(__file__).with_name("who_may.txt")
ANYBODY = frozenset({"", *ROLES})
GROUPS = {
    "anybody": ANYBODY,
    "everybody": frozenset(ROLES),
    "nobody": frozenset(),
    **{f"{name}s": frozenset({name, f"{name}-b"}) for name in ("clerk", "police", "watcher", "family", "resident")},
    "helpers": frozenset({"watcher", "watcher-b", "grid"}),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Who is let in: with objects of the own place, and with those of the foreign one where the path names any."""

    own: frozenset[str]
    foreign: frozenset[str] | None


def read_table() -> dict[tuple[str, str], Row]:
    """Read the table; a line twice or a name nobody has is an error."""
    rows: dict[tuple[str, str], Row] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        route, *columns = (part.strip() for part in line.split("|"))
        method, path = route.split()
        assert (method, path) not in rows, line
        rows[method, path] = Row(*(_people(column) for column in columns), *[None] * (2 - len(columns)))  # type: ignore[arg-type]
    return rows


def _people(column: str) -> frozenset[str]:
    people: set[str] = set()
    for word in column.split():
        assert word in GROUPS or word in ROLES, word
        people |= GROUPS.get(word, {word})
    return frozenset(people)
