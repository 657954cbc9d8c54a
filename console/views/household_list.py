"""The page on which the desk checks a list it filled in, before anybody imports it."""

from __future__ import annotations

from dataclasses import dataclass

from console.views.parts import Form
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class ListFault:
    """One thing that is wrong, in the reader's language; nothing of a cell is repeated.

    ``word`` of the catalogue says how to mend it where the page has a way of its own.
    """

    where: str
    what: str
    mend: str
    word: str = ""


@dataclass(frozen=True, slots=True)
class ListPage:
    """``rows`` are right rows by what their sheet is called; ``fault_count`` counts every row, of the ``faults`` one may be of many."""

    form: Form
    checked: bool = False
    rows: tuple[tuple[str, int], ...] = ()
    faults: tuple[ListFault, ...] = ()
    fault_count: int = 0
    passed_over: str = ""  # titles, totals and notes that were not read
    unread: tuple[tuple[str, str], ...] = ()  # columns no book has: in which table, their letters
    more_count: int = 0  # of what is not shown


TEMPLATES["household_list.html"] = (ListPage, "/households/new/check")
