"""What the kills at each place did enters as counts; one table leaves, and whether it may be published as good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class FoundAt:
    """The kills at one place; those who kill add counts of their own, and say which of them must stay nothing."""

    #: Heading and field of each column of the table, in order.
    COLUMNS: ClassVar[tuple[tuple[str, str], ...]] = ()
    NOTHING: ClassVar[tuple[str, ...]] = ("lost",)

    place: str
    kills: int = 0
    lost: int = 0
    different: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.different and not any(getattr(self, name) for name in self.NOTHING)


def format_table(results: Sequence[FoundAt]) -> str:
    """Return the table of all places; every line ends with how many other rows differed."""
    columns = (*type(results[0]).COLUMNS, ("other rows", "different"))
    lines = [f"{'place':<22}" + "".join(f"{heading:>13}" for heading, _ in columns)]
    for found in results:
        values = (getattr(found, name) for _, name in columns)
        numbers = (len(value) if isinstance(value, list) else value for value in values)
        lines.append(f"{found.place:<22}" + "".join(f"{number:>13}" for number in numbers))
    return "\n".join(lines)
