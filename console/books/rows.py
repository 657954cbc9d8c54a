"""What one row of a book may hold: texts of a file enter, a typed row or the faults of its columns leave; pure.

Columns are those of ``kaimen/migrations/0001_people_and_doors.sql``. A cell left empty says nothing: a new row gets
the default, a stored value stays. A single ``-`` empties an optional value. That a consent was withdrawn or an
absence revoked is never taken back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from console.books.faults import Fault, Origin
from console.books.vocabulary import offered

CLEAR = "-"
_DAY_S = 86_400
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})", re.ASCII)
_NO_YEAR = re.compile(r"\d{1,2}(月\d{1,2}[日号]?|[-/.]\d{1,2})", re.ASCII)
_CITIZEN_NUMBER = re.compile(r"\d{17}[\dXx]", re.ASCII)
_MOBILE_NUMBER = re.compile(r"1[3-9]\d{9}", re.ASCII)
_YEARS = range(1990, 2101)


def _pseudonymous(value: str) -> str:
    if _CITIZEN_NUMBER.fullmatch(value) or _MOBILE_NUMBER.fullmatch(value):
        raise ValueError("looks like a citizen's or a telephone number")
    return value


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):  # unknown, a folder, a path
        raise ValueError("is no known time zone") from None
    return value


def _parse_instant(value: object) -> object:
    if isinstance(value, str) and _NO_YEAR.fullmatch(value.strip()):
        raise ValueError("is a date without its year")
    if not isinstance(value, str) or not _INSTANT.fullmatch(value.strip()):
        raise ValueError("is neither a date nor a time with a zone")
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("is no time there is") from None
    if at.year not in _YEARS:
        raise ValueError("lies outside the years 1990 to 2100")
    return at


#: What a spreadsheet makes of "3-1" or "12/1" that was typed into a cell not formatted as text, and of a number.
_MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SHEET_DATE = re.compile(
    r"\d{1,2}月\d{1,2}日|(19|20)\d\d[-/年]\d{1,2}[-/月]\d{1,2}日?|(19|20)\d\d年\d{1,2}月"
    rf"|\d{{1,2}}-{_MONTH}|{_MONTH}-\d{{2}}"
)
_SHEET_NUMBER = re.compile(r"\d+\.0|\d(\.\d+)?E\+\d+")
#: What stands in a name in place of a letter that an old code page does not have.
_LOST_LETTERS = frozenset("?？□▯〓")
#: What stands between names, and a comma between Chinese letters: "Li, Anna" is one person.
_SEVERAL = re.compile(r"[、，；;/／＋+&＆]|(?<=[\u3400-\u9fff])\s*,")
_SEVERAL_NUMBERS = re.compile(r"\d{7,}[^\d]+\d{7,}")
_DIGITS_MAX = 15


def _typed(value: str) -> str:
    if _SHEET_DATE.fullmatch(value):
        raise ValueError("is a date, which a spreadsheet made of a number like 3-1")
    if _SHEET_NUMBER.fullmatch(value):
        raise ValueError("is a number a spreadsheet rounded or pointed")
    return value


def whole_name(value: str) -> str:
    if set(value) & _LOST_LETTERS:
        raise ValueError("holds a sign where a letter was lost")
    if _SEVERAL.search(value):
        raise ValueError("names several people")
    if not any(letter.isalpha() for letter in value):
        # A dash says "none" in the lists of offices.
        raise ValueError("holds no letter of a name")
    return value


def _whole_number(value: object) -> object:
    if isinstance(value, str) and _SEVERAL_NUMBERS.search(value):
        raise ValueError("holds several numbers")
    return value


def _one_number(value: str) -> str:
    if sum(letter.isdigit() for letter in value) > _DIGITS_MAX:
        raise ValueError("has more digits than a telephone number")
    return value


_CLOCK = "write the community's time, such as 07:30, both or neither"
_PLAIN_ID = "write lower-case letters, digits and hyphens, 1 to 64, the same id everywhere"
_ID = "write letters, digits, dots, hyphens and underscores, 1 to 64; never a person's own number"
_TIME = "write a date such as 2025-11-21 or 2025年11月21日, or a time with its zone, such as 2025-11-21T08:00:00+08:00"


def _parse_clock(value: object) -> object:
    if isinstance(value, time):
        return value
    try:
        at = time.fromisoformat(str(value).strip())
    except ValueError:
        raise ValueError("is no time of a day") from None
    if at.tzinfo is not None:
        raise ValueError("is a time with a zone")
    return at


LocalTime = Annotated[time, BeforeValidator(_parse_clock)]
PlainId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$", description=_PLAIN_ID)]
Id = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description=_ID), AfterValidator(_pseudonymous)
]
Name = Annotated[str, Field(min_length=1, max_length=100, description="write 1 to 100 characters")]
_PLACE = "write it as it is called, 1 to 100 characters; format the sheet's column as text before"
Place = Annotated[str, Field(min_length=1, max_length=100, description=_PLACE), AfterValidator(_typed)]
Words = Annotated[str, Field(max_length=200, description="write at most 200 characters")]
Instant = Annotated[datetime, BeforeValidator(_parse_instant), Field(description=_TIME)]
Seconds = Annotated[int, Field(ge=1, le=7 * _DAY_S, description="write whole seconds, at most 604800")]
Phone = Annotated[
    str,
    Field(
        pattern=r"^\+?[0-9][0-9 -]{2,30}$", description="write digits, as text, not as a number of a sheet"
    ),
    BeforeValidator(_whole_number),
    AfterValidator(_one_number),
]
Zone = Annotated[
    str, Field(max_length=64, description="write a name such as Asia/Shanghai"), AfterValidator(_known_zone)
]


class Row(BaseModel):
    """A row of any book; ``key`` says which columns make two rows the same one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, str_strip_whitespace=True
    )
    key: ClassVar[tuple[str, ...]] = ("id",)
    #: Where one of these is stored and the file says nothing, what is stored stands.
    ends: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def columns(cls) -> dict[str, str]:
        """Return column name to how it is written."""
        return {
            field.alias or name: field.description or _described(field.metadata)
            for name, field in cls.model_fields.items()
        }

    @classmethod
    def required(cls) -> frozenset[str]:
        return frozenset(f.alias or name for name, f in cls.model_fields.items() if f.is_required())

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        return {f.alias or name: f.default for name, f in cls.model_fields.items() if not f.is_required()}

    def said(self) -> dict[str, Any]:
        """Return the columns the file says something about, with their values."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def _described(metadata: list[Any]) -> str:
    return next((item.description for item in metadata if getattr(item, "description", None)), "")


class CommunityRow(Row):
    id: Id
    name: Name
    zone: Zone = "Asia/Shanghai"
    commissioning_s: Seconds = 2 * _DAY_S


class SiteRow(Row):
    id: PlainId
    community_id: Id
    name: Name


_METRES = "write whole metres on the site plan, -20000 to 20000"
Metres = Annotated[int, Field(ge=-20_000, le=20_000, description=_METRES)]


class BuildingRow(Row):
    key: ClassVar[tuple[str, ...]] = ("site_id", "name")
    site_id: PlainId
    name: Place
    x_m: Metres
    y_m: Metres
    width_m: int = Field(40, ge=3, le=1_000, description="write whole metres, 3 to 1000")
    depth_m: int = Field(14, ge=3, le=1_000, description="write whole metres, 3 to 1000")
    turn_deg: int = Field(0, ge=-180, le=180, description="write whole degrees clockwise, -180 to 180")


class DeviceRow(Row):
    id: PlainId
    site_id: PlainId
    kind: Literal["controller", "contact", "motion", "water", "gateway", "other"]
    model: Words = ""
    place: Words = ""
    gateway_id: PlainId | None = Field(None, description=_PLAIN_ID)
    heartbeat_s: Seconds = 60
    supervision_s: Seconds = 180
    registered_at: Instant | None = Field(None, description=_TIME)
    retired_at: Instant | None = Field(None, description=_TIME)


class HouseholdRow(Row):
    id: Id
    site_id: PlainId
    label: Place
    building: Place
    unit: Place
    floor: int = Field(ge=-20, le=300, description="write a whole number, -20 to 300")
    room: Place
    grid: Words = ""
    tenure: Literal["owner", "rented", "vacant", "collective"] = "owner"
    policy_id: Id = "mandated"
    watched_from: Instant | None = Field(None, description=_TIME)


class DoorRow(Row):
    key: ClassVar[tuple[str, ...]] = ("household_id", "device_id", "from_at")
    household_id: Id
    device_id: PlainId
    role: Literal["dwelling", "shared"]
    from_at: Instant | None = Field(None, description=_TIME)
    to_at: Instant | None = Field(None, description=_TIME)


class PersonRow(Row):
    id: Id
    household_id: Id | None = Field(None, description=_ID)
    relation: Literal["resident", "family", "helper", "staff"]
    category: Words | None = Field(None, description="write at most 200 characters")
    birth_year: int | None = Field(None, ge=1890, le=2100, description="write the year, such as 1944")
    hard_of_hearing: bool = Field(False, description="write true or false")
    language: Literal["zh", "en"] = "zh"
    name: Annotated[Name, AfterValidator(whole_name)] | None = Field(
        None, description="write 1 to 100 characters, every letter of it"
    )
    phone: Phone | None = Field(None, description="write digits, as text, not as a number of a sheet")


class ContactRow(Row):
    key: ClassVar[tuple[str, ...]] = ("household_id", "person_id", "role")
    household_id: Id
    person_id: Id
    role: Literal["family", "neighbour_watcher", "stairwell_liaison", "safety_guardian", "grid_worker"]
    position: int = Field(ge=1, le=1000, description="write 1 for whom to ask first, 2 for the next")
    relation_words: Words = ""
    available_from: LocalTime | None = Field(None, description=_CLOCK)
    available_until: LocalTime | None = Field(None, description=_CLOCK)
    answer_within_s: int | None = Field(None, ge=60, le=86_400, description="write 60 to 86400 seconds")


class CredentialRow(Row):
    key: ClassVar[tuple[str, ...]] = ("token",)
    token: Annotated[str, AfterValidator(_pseudonymous)] = Field(
        pattern=r"^[!-~]{1,128}$",
        description="write the token devices report, never a name or a citizen's number",
    )
    klass: Literal["resident", "family", "staff", "guard", "visitor"] = Field(alias="class")
    household_id: Id | None = Field(None, description=_ID)
    person_id: Id | None = Field(None, description=_ID)
    valid_from: Instant | None = Field(None, description=_TIME)
    valid_to: Instant | None = Field(None, description=_TIME)


class ConsentRow(Row):
    key: ClassVar[tuple[str, ...]] = ("household_id", "purpose", "given_at")
    ends: ClassVar[tuple[str, ...]] = ("withdrawn_at",)
    household_id: Id
    purpose: Literal[
        "watch", "notify_family", "share_with_police", "exact_times", "early_watch", "visit_photo"
    ]
    given_by: Name
    given_at: Instant
    withdrawn_at: Instant | None = Field(None, description=_TIME)


class AbsenceRow(Row):
    key: ClassVar[tuple[str, ...]] = ("household_id", "from_at")
    ends: ClassVar[tuple[str, ...]] = ("revoked_at",)
    household_id: Id
    from_at: Instant
    to_at: Instant
    reason: Literal["travel", "hospital", "relatives", "other"]
    declared_by: Name
    declared_at: Instant | None = Field(None, description=_TIME)
    revoked_at: Instant | None = Field(None, description=_TIME)


class LeaseRow(Row):
    id: Id
    household_id: Id
    from_at: Instant
    to_at: Instant | None = Field(None, description=_TIME)
    occupants: int | None = Field(None, ge=0, le=1000, description="write how many people are registered")
    registration: Words = ""
    recorded_at: Instant | None = Field(None, description=_TIME)


#: Every book by the name of its file, in the order in which rows may refer to one another.
BOOKS: dict[str, type[Row]] = {
    "communities": CommunityRow,
    "sites": SiteRow,
    "buildings": BuildingRow,
    "devices": DeviceRow,
    "households": HouseholdRow,
    "household_doors": DoorRow,
    "persons": PersonRow,
    "contacts": ContactRow,
    "credentials": CredentialRow,
    "consents": ConsentRow,
    "absences": AbsenceRow,
    "leases": LeaseRow,
}
#: What the database demands and the file may leave out: then it is the moment of the import.
STAMPED = {"devices": "registered_at", "absences": "declared_at", "leases": "recorded_at"}
_NEVER_CLEARED = {"registered_at", "declared_at", "recorded_at", "name"}

_WHAT = {
    "missing": "is missing",
    "literal_error": "is none of the words that may stand here",
    "string_pattern_mismatch": "does not have the form it must have",
    "string_too_long": "is too long",
    "string_too_short": "is empty",
    "string_type": "is no text",
    "int_parsing": "is no whole number",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "int_parsing_size": "is out of range",
    "bool_parsing": "is neither true nor false",
    "bool_type": "is neither true nor false",
    "greater_than_equal": "is out of range",
    "less_than_equal": "is out of range",
    "extra_forbidden": "is no column of this book",
}


#: How to mend what the column's own words do not say.
_MENDS = {
    "names several people": "write a row for each person, with an id of its own",
    "holds no letter of a name": "write the name, or leave it empty",
    "holds several numbers": "write the one that is answered",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One right row and where it came from."""

    origin: Origin
    said: Mapping[str, Any]

    def key(self, book: str) -> tuple[Any, ...]:
        return key_of(book, self.said)


def key_of(book: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in BOOKS[book].key)


def parse_row(book: str, origin: Origin, cells: Mapping[str, Any]) -> Entry | list[Fault]:
    """Turn the cells of one row into a typed row, or say everything that is wrong with it."""
    model = BOOKS[book]
    defaults = model.defaults()
    given: dict[str, Any] = {}
    for column, value in cells.items():
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        clearable = column in defaults and defaults[column] in (None, "") and column not in _NEVER_CLEARED
        if value == CLEAR and clearable and column not in (*model.ends, *model.key):
            given[column] = defaults[column]
        else:
            given[column] = value
    try:
        row = model.model_validate(given)
    except ValidationError as error:
        return [_fault(model, origin, details) for details in error.errors(include_input=False)]
    return Entry(origin, row.said())


def book_name(model: type[Row]) -> str:
    """Return the book whose rows these are."""
    return next(name for name, rows in BOOKS.items() if rows is model)


def safe_column(name: str) -> str:
    """Return a column's name where it looks like one; a row taken for the header must not be repeated."""
    return name if re.fullmatch(r"[a-z_]{1,40}", name) else "?"


def _fault(model: type[Row], origin: Origin, details: Any) -> Fault:
    column = safe_column(str(details["loc"][0])) if details["loc"] else ""
    kind = details["type"]
    words = details.get("ctx", {})
    what = str(words["error"]) if kind == "value_error" else _WHAT.get(kind, "does not fit")
    if what in _MENDS:
        mend = _MENDS[what]
    elif kind == "literal_error":
        offer = offered(book_name(model), column)
        mend = f"write one of {offer or words['expected']}"
    elif kind == "bool_parsing":
        mend = "write true or false (是, 否)"
    elif kind == "extra_forbidden":
        mend = f"the columns are {', '.join(model.columns())}"
    else:
        mend = model.columns().get(column) or "see docs/import.md"
    return Fault(origin, column, what, mend)
