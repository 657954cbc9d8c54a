"""The lines of a recording's file enter; which of the known forms it is, and its rows one after another, leave."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TextIO

import msgspec

from ingest import recorded_forms as forms
from ingest.other_forms import remedy_of
from ingest.raw_recording import cells_of, is_raw
from ingest.recorded_times import NOBODY_CAN_TELL, Order, order_of

COLUMNS = ("home", "time", "sensor", "kind", "state")
_DELIMITERS = (",", ";", "\t")
#: Lines above the first interval of a list.
_HEADINGS_MAX = 6
#: Lines from whose dates the order of day and month is told.
_AHEAD_MAX = 20_000
_YEAR_LAST = re.compile(r"\s*\[?(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?=[T ,\t])")
#: A JSON file that is not a line for each object is read as a whole.
_WHOLE_BYTES_MAX = 1 << 28


class SourceError(ValueError):
    """A file of no form that is read; the text says what it is and how to make a recording of it."""


class RowError(ValueError):
    """A row that does not fit; the text says what of it."""


class Lines:
    """Lines of a text, with those remembered that belong to the row being read."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.number = 0
        self.of_row: list[str] = []
        self.delimiter = ","
        self._pushed: deque[str] = deque()

    def peek(self) -> str:
        """Return the first line that holds anything, which stays to be read; blank ones before it are passed over."""
        for line in self:
            if line.strip():
                self.number -= 1
                self._pushed.appendleft(line)
                return line
        return ""

    def ahead(self) -> list[str]:
        """Return many of the lines to come, which stay to be read."""
        self._pushed.extend(islice(self._stream, max(0, _AHEAD_MAX - len(self._pushed))))
        return list(self._pushed)

    def rest(self) -> str:
        """Return all that is left, in one text.

        Raises
        ------
        SourceError
            If it is more than is read at once.
        """
        text = "".join(self._pushed)
        self._pushed.clear()
        text += self._stream.read(_WHOLE_BYTES_MAX)
        if self._stream.read(1):
            raise SourceError("it is one JSON value of more than 256 MB: write a line for each object")
        return text

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._pushed.popleft() if self._pushed else next(self._stream)
        self.number += 1
        self.of_row.append(line)
        return line


#: One line's, row's or object's cells -> rows of a recording.
Convert = Callable[[Any], list[list[str]]]


class Source:
    """The rows of a file: ``reader`` yields what stands in it, ``convert`` says what rows that is.

    ``order`` is the order of day and month in it; ``name`` is of the form.
    """

    def __init__(self, reader: Iterator[Any], convert: Convert, order: Order | None, name: str) -> None:
        self.reader, self.convert, self.order, self.name = reader, convert, order, name


def _by_line(lines: Lines) -> Iterator[str]:
    while True:
        lines.of_row.clear()
        line = next(lines, None)
        if line is None:
            return
        yield line if line.strip() else ""


def _over_lines(rows: Callable[[str, str, frozenset[str]], list[list[str]]], home: str, front_doors: frozenset[str]) -> Convert:  # fmt: skip
    return lambda line: rows(line, home, front_doors)


def source_of(lines: Lines, home: str, front_doors: frozenset[str]) -> Source:
    """Find the form of a file by its first lines.

    Raises
    ------
    SourceError
        If it is none of those that are read, or its dates can be read in two ways.
    """
    first = lines.peek()
    while first.lstrip().startswith("# "):  # what the publisher of a raw log remarked above it
        next(lines)
        first = lines.peek()
    if first.lstrip()[:1] in ("{", "["):
        found = _json(lines, first, home, front_doors)
        if found is not None:
            return found
    ahead = lines.ahead()
    order = order_of(ahead)
    if forms.is_heading_of_intervals(first) and any(
        forms.is_interval(line) for line in ahead[1:_HEADINGS_MAX]
    ):
        return Source(
            _by_line(lines), _over_lines(forms.rows_of_interval, home, front_doors), order, "intervals"
        )
    whole = _headless(first, home, front_doors, order)
    if whole is not None:
        convert, name = whole
        if _YEAR_LAST.match(first) and order is None:
            raise SourceError(
                f"line {lines.number + 1}: {NOBODY_CAN_TELL}; the header is {','.join(COLUMNS)}"
            )
        return Source(_by_line(lines), convert, order, name)
    return _table(lines, home, front_doors, order)


def _headless(
    first: str, home: str, front_doors: frozenset[str], order: Order | None
) -> tuple[Convert, str] | None:
    """Return how to read a log without a header, and what it is called."""
    if forms.is_interval(first):
        return _over_lines(forms.rows_of_interval, home, front_doors), "intervals"
    raw = is_raw(_year_first(first, order or Order.DAY))
    if forms.is_message(first) and not (raw and "{" not in first and "MQTT" not in first):
        return _over_lines(forms.rows_of_message, home, front_doors), "messages"
    if raw:
        return lambda line: _raw(_year_first(line, order), home, front_doors), "raw"
    if forms.is_line_protocol(first):
        return _over_lines(forms.rows_of_line_protocol, home, front_doors), "line protocol"
    return None


def _year_first(line: str, order: Order | None) -> str:
    """Write a date at the begin of a line year first."""
    found = _YEAR_LAST.match(line)
    if found is None or order is None:
        return line
    day, month = (found[1], found[3]) if order is Order.DAY else (found[3], found[1])
    return f"{found[4]}-{month}-{day}{line[found.end() :]}"


def _raw(line: str, home: str, front_doors: frozenset[str]) -> list[list[str]]:
    try:
        cells = cells_of(line, home, front_doors)
    except ValueError as error:
        raise RowError(str(error)) from error
    return [] if cells is None else [cells]


def _table(lines: Lines, home: str, front_doors: frozenset[str], order: Order | None) -> Source:
    """Find the columns in the header line, and what stands between them: a spreadsheet writes what its country does."""
    first = lines.peek()
    annotated = first.lstrip().lower().startswith(("#group", "#datatype", "#default", ",result,table"))
    while annotated and lines.peek().startswith("#"):
        next(lines)
    line = next(lines, "")
    if not line:
        raise SourceError(f"it is empty; it begins with the header {','.join(COLUMNS)}")
    lines.delimiter = max(_DELIMITERS, key=line.count)
    cells = next(csv.reader([line], delimiter=lines.delimiter), [])
    header = [name.strip().lower() for name in cells]
    rows = csv.reader(lines, delimiter=lines.delimiter)
    if not (missing := sorted(set(COLUMNS) - set(header))):
        places = [header.index(name) for name in COLUMNS]
        return Source(rows, lambda found: [_placed(found, places)], order, "recording")
    table = forms.Table(cells, home, front_doors)
    if table.is_known and len(missing) > 1:  # what lacks one column alone was meant to be a recording
        return Source(rows, _repeated(table, header, home, front_doors), order, "table")
    if remedy := remedy_of(line):
        raise SourceError(f"line {lines.number}: {remedy}; the header is {','.join(COLUMNS)}")
    raise SourceError(
        f"line {lines.number}: the header lacks {', '.join(missing)}; it is {','.join(COLUMNS)}, "
        "between commas, semicolons or tabs, in any order"
    )


def _placed(cells: list[str], places: list[int]) -> list[str]:
    try:
        return [cells[place].strip() for place in places]
    except IndexError as error:
        raise RowError(f"{len(cells)} columns where the header has more") from error


def _repeated(table: forms.Table, header: list[str], home: str, front_doors: frozenset[str]) -> Convert:
    """Read rows under a heading that may come again, as in an export of several tables; lines of remarks are none."""
    current = [table, header]

    def convert(cells: list[str]) -> list[list[str]]:
        if cells[0].startswith("#"):
            return []
        plain = [name.strip().lower() for name in cells]
        if plain[:3] == ["", "result", "table"] or plain == current[1]:
            current[:] = [forms.Table(cells, home, front_doors), plain]
            return []
        return current[0].convert(cells)  # type: ignore[attr-defined, no-any-return]

    return convert


def _json(lines: Lines, first: str, home: str, front_doors: frozenset[str]) -> Source | None:
    """Return a source of JSON, a line for each object or the whole; None where it is none of a recording's."""
    value = _decoded(first)
    items: Iterator[Any]
    if isinstance(value, dict):
        items, sample = _by_line(lines), value
    else:
        if value is None and forms.is_message(first):
            return None  # a log begins its lines with a bracket
        text = lines.rest()
        whole = _decoded(text)
        if whole is None:
            raise SourceError(
                "it is no JSON: it was cut off, or holds more than one value without a line for each"
            )
        flat = list(_flattened(whole))
        items, sample = iter(flat), flat[0] if flat else {}
        lines.number = 0
    if not isinstance(sample, dict) or "v" in sample:
        raise SourceError(f"line 1: {remedy_of('{')}; the header is {','.join(COLUMNS)}")

    def convert(item: Any) -> list[list[str]]:
        found = _decoded(item) if isinstance(item, str) else item
        return forms.rows_of_object(found, home, front_doors)

    return Source(items, convert, None, "JSON")


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _flattened(value: Any) -> Iterator[Any]:
    """Yield the objects of a list, of lists in it and of what carries them; a later one is of the entity of the first."""
    if isinstance(value, dict):
        inner = next((value[name] for name in ("data", "states", "history", "results", "rows") if isinstance(value.get(name), list | dict)), None)  # fmt: skip
        if inner is None or "state" in value or "value" in value:
            yield value
        elif isinstance(inner, dict):
            for items in inner.values():
                yield from _flattened(items)
        else:
            yield from _flattened(inner)
        return
    entity: dict[str, Any] = {}
    for item in value if isinstance(value, list) else []:
        if isinstance(item, list):
            yield from _flattened(item)
        elif isinstance(item, dict):
            entity = {name: item[name] for name in ("entity_id", "attributes") if name in item} or entity
            yield {**entity, **item}
