"""The list of homes and people that most offices keep: one sheet, a line for each home or each person, and no ids.

It is no book: what it says goes into the books ``households``, ``persons`` and ``contacts`` (``console/books/roll.py``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from console.books.rows import BOOKS, Name, Phone, Place, Row, Words, whole_name

ROLL = "roll"

_NAME = "write 1 to 100 characters, every letter of it"
_PHONE = "write digits, as text, not as a number of a sheet"
_OptionalName = Annotated[Name, AfterValidator(whole_name)] | None
_OptionalPhone = Phone | None
_PLACE = "write it as it is called, 1 to 100 characters; format the sheet's column as text before"


class RollRow(Row):
    """A line of the list; where a home has several lines, what they say of the home is the same."""

    key = ("label",)
    site: Words = ""
    label: Place | None = Field(None, description=_PLACE)
    building: Place | None = Field(None, description=_PLACE)
    unit: Place | None = Field(None, description=_PLACE)
    floor: int | None = Field(None, description="write a whole number, -20 to 300")
    room: Place | None = Field(None, description=_PLACE)
    grid: Words = ""
    tenure: Literal["owner", "rented", "vacant", "collective"] = "owner"
    name: _OptionalName = Field(description=_NAME)
    phone: _OptionalPhone = Field(None, description=_PHONE)
    category: Words = ""
    lives_alone: bool = Field(False, description="write true or false")
    birth_year: int | None = Field(None, description="write the year, such as 1944")
    hard_of_hearing: bool = Field(False, description="write true or false")
    relative_name: _OptionalName = Field(None, description=_NAME)
    relation_words: Words = ""
    relative_phone: _OptionalPhone = Field(None, description=_PHONE)
    other_relative_name: _OptionalName = Field(None, description=_NAME)
    other_relation_words: Words = ""
    other_relative_phone: _OptionalPhone = Field(None, description=_PHONE)


def is_roll(table: str) -> bool:
    """Say whether a table is such a list: ``roll`` in a CSV file, with the sheet's number in a workbook."""
    return table.split(",")[0].split()[:1] == [ROLL]


def form_of(table: str) -> type[Row]:
    """Return what a row of a table looks like where it is read: of a book, or of such a list."""
    return RollRow if is_roll(table) else BOOKS[table]
