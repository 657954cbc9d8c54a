"""A recording's file (CSV, plain or gzip) enters, its rows leave: by home, in order, each bad line by its number."""

from __future__ import annotations

import csv
import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader, FileIO, TextIOWrapper
from itertools import groupby
from pathlib import Path
from typing import IO, TextIO, cast

from ingest.early.signals import FRONT_DOOR_KIND
from ingest.other_forms import remedy_of
from ingest.raw_recording import cells_of, is_raw

#: Instant in milliseconds, sensor, kind, whether it is on.
Row = tuple[int, str, str, bool]
_COLUMNS = ("home", "time", "sensor", "kind", "state")
_DELIMITERS = (",", ";", "\t")
_OPEN_WORDS = {
    **dict.fromkeys(("on", "open", "opened", "1", "true"), True),
    **dict.fromkeys(("off", "close", "closed", "0", "false"), False),
}


class RecordingError(ValueError):
    """A file that cannot be read as what it should be; the text says which, where and how to mend it."""


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text file that may be gzip."""
    with open_bytes(path) as stream, TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        yield text


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file or a pipe that may be gzip, for reading line by line as it is; ``-`` is standard input.

    Whether it is gzip is told by its first bytes, which stay to be read: a pipe says them but once.
    """
    with _open_plain(path) as stream:
        if stream.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield cast(IO[bytes], unpacked)
        else:
            yield stream


def _open_plain(path: Path) -> BufferedReader:
    if str(path) == "-":
        return BufferedReader(FileIO(sys.stdin.fileno(), closefd=False))
    return path.open("rb")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is not what it should be: where it stands and what is wrong with it."""

    line: int
    reason: str


def read_rows(
    path: Path, unreadable: list[Unreadable] | None, front_doors: frozenset[str] = frozenset()
) -> dict[str, list[Row]]:
    """Read the rows of each home, in order of time; raises ``RecordingError`` as ``recording.read_recording`` says."""
    rows: dict[str, list[Row]] = {}
    zones: dict[str, _Zones] = {}
    bad: list[Unreadable] = []

    def take(line: int, cells: list[str], places: list[int]) -> None:
        home, row, offset_ms = _parse_row(cells, places)
        if row[1] in front_doors:
            row = (row[0], row[1], FRONT_DOOR_KIND, row[3])
        if home not in rows:
            rows[home], zones[home] = [], _Zones(path)
        zones[home].see(line, row[0], offset_ms)
        rows[home].append(row)

    try:
        with open_text(path) as stream:
            lines = _Lines(stream)
            first = lines.peek()
            while first.lstrip().startswith("# "):  # what the publisher of a raw log remarked above it
                next(lines)
                first = lines.peek()
            raw = is_raw(first) and remedy_of(first) is None
            if raw:
                places = list(range(len(_COLUMNS)))
                reader: Iterator[list[str]] = _RawCells(lines, path.name.partition(".")[0], front_doors)
            else:
                places = _places_of(path, lines)
                reader = csv.reader(lines, delimiter=lines.delimiter)
            while _take_row(lines, reader, places, take, bad):
                if bad and unreadable is None:
                    raise RecordingError(f"{path.name}, line {bad[0].line}: {bad[0].reason}")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        told = _remedy(error)
        raise RecordingError(f"{path.name}: cannot be read: {error}{told}") from error
    if bad and not rows:
        raise RecordingError(f"{path.name}, line {bad[0].line}: {bad[0].reason}; no row of the file fits")
    if raw and not rows:
        raise RecordingError(
            f"{path.name}: no line of this log says ON, OFF, OPEN, CLOSE, PRESENT or ABSENT behind its sensor; "
            f"write it as CSV with the header {','.join(_COLUMNS)}"
        )
    if unreadable is not None:
        unreadable.extend(bad)
    return {home: _in_order(zones[home].on_wall_clock(found)) for home, found in rows.items()}


class _RawCells:
    """Rows of a raw log; a line that says a measure is passed over, one that is none of it goes on to the next."""

    def __init__(self, lines: _Lines, home: str, front_doors: frozenset[str]) -> None:
        self._lines, self._home, self._front_doors = lines, home, front_doors

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self._lines.of_row.clear()
        line = next(self._lines)
        if not line.strip():
            return []
        try:
            return cells_of(line, self._home, self._front_doors) or []
        except ValueError as error:
            raise _RowError(str(error)) from error


def _places_of(path: Path, lines: _Lines) -> list[int]:
    """Find the columns in the header line, and what stands between them: a spreadsheet writes what its country does."""
    line = next(lines, "")
    if not line:
        raise RecordingError(f"{path.name}: it is empty; it begins with the header {','.join(_COLUMNS)}")
    lines.delimiter = max(_DELIMITERS, key=line.count)
    cells = next(csv.reader([line], delimiter=lines.delimiter), [])
    header = [name.strip().lower() for name in cells]
    if missing := sorted(set(_COLUMNS) - set(header)):
        if remedy := remedy_of(line):
            raise RecordingError(
                f"{path.name}, line {lines.number}: {remedy}; the header is {','.join(_COLUMNS)}"
            )
        raise RecordingError(
            f"{path.name}, line {lines.number}: the header lacks {', '.join(missing)}; it is {','.join(_COLUMNS)}, "
            "between commas, semicolons or tabs, in any order"
        )
    return [header.index(name) for name in _COLUMNS]


#: How files begin that are no text: what each is, and what to do with it.
_NO_TEXT = {
    b"PK": "it is a ZIP file or a spreadsheet: take the table out of it as CSV UTF-8",
    b"BZh": "it is packed by bzip2: unpack it, or pack it by gzip",
    b"\xfd7zXZ": "it is packed by xz: unpack it, or pack it by gzip",
    b"\x28\xb5\x2f\xfd": "it is packed by Zstandard: unpack it, or pack it by gzip",
    b"7z\xbc\xaf": "it is a 7z archive: take the file out of it",
    b"\x1f\x8b": "it is packed by gzip twice: unpack it once",
    b"\xff\xfe": "it is UTF-16: save it as CSV UTF-8",
    b"\xfe\xff": "it is UTF-16: save it as CSV UTF-8",
}


def _remedy(error: Exception) -> str:
    """Say how to mend a file that is no text, or not all of it."""
    if isinstance(error, EOFError | zlib.error):
        return "; it was cut off or damaged on its way: copy it again"
    if not isinstance(error, UnicodeDecodeError):
        return ""
    # What was being decoded when it failed begins with the file's first bytes only if nothing was read before.
    begin = bytes(error.object[:6])
    what = next((what for mark, what in _NO_TEXT.items() if begin.startswith(mark)), None)
    return f"; {what or 'save it as UTF-8 (in a spreadsheet: CSV UTF-8)'}"


class _Lines:
    """Lines of a text, with those remembered that belong to the row being read."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.number = 0
        self.of_row: list[str] = []
        self.delimiter = ","
        self._pushed: list[str] = []

    def peek(self) -> str:
        """Return the first line that holds anything, which stays to be read; blank ones before it are passed over."""
        for line in self:
            if line.strip():
                self.number -= 1
                self._pushed.append(line)
                return line
        return ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._pushed.pop() if self._pushed else next(self._stream)
        self.number += 1
        self.of_row.append(line)
        return line


_Take = Callable[[int, list[str], list[int]], None]


def _take_row(
    lines: _Lines, reader: Iterator[list[str]], places: list[int], take: _Take, bad: list[Unreadable]
) -> bool:
    """Take the next row, or note what is wrong with it; False at the end.

    A quotation mark that nobody closes makes one row of all lines after it: of such a row the first line is the bad
    one, the others are read each by itself.
    """
    lines.of_row.clear()
    first = lines.number + 1
    try:
        cells = next(reader)
        if cells:
            take(lines.number, cells, places)
    except StopIteration:
        return False
    except (_RowError, csv.Error) as error:
        bad.append(Unreadable(first, str(error)))
        for line, text in enumerate(lines.of_row[1:], start=first + 1):
            try:
                for cells in csv.reader([text], delimiter=lines.delimiter):
                    take(line, cells, places)
            except (_RowError, csv.Error) as other:
                bad.append(Unreadable(line, str(other)))
    return True


class _Zones:
    """How the times of one home are written: with an offset from UTC, or without."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._has_offsets: bool | None = None
        self._first: tuple[int, int] | None = None

    def see(self, line: int, at_ms: int, offset_ms: int | None) -> None:
        """Take the time of one row: its instant, or its wall clock where ``offset_ms`` is None.

        Raises
        ------
        RecordingError
            If this row is written in another way than those before it.
        """
        if self._has_offsets is not None and self._has_offsets is (offset_ms is None):
            raise RecordingError(
                f"{self._path.name}, line {line}: some times of this home carry a zone offset and some do not; "
                "write the offset on all of them, or on none"
            )
        self._has_offsets = offset_ms is not None
        if offset_ms is not None:
            self._first = min(self._first or (at_ms, offset_ms), (at_ms, offset_ms))

    def on_wall_clock(self, rows: list[Row]) -> list[Row]:
        """Move instants onto the wall clock of the earliest; what passes between them stays the same."""
        shift_ms = 0 if self._first is None else self._first[1]
        return (
            [(at + shift_ms, sensor, kind, state) for at, sensor, kind, state in rows] if shift_ms else rows
        )


def _in_order(rows: list[Row]) -> list[Row]:
    """Order rows by time; of an "on" and an "off" of one sensor at one instant the change comes first.

    A door that was shut opened and shut again within the clock's resolution, one that stood open shut and opened:
    each stays as it was, so that its next opening counts.
    """
    is_on: dict[str, bool] = {}
    ordered: list[Row] = []
    for (_, sensor), group in groupby(sorted(rows), key=lambda row: row[:2]):
        found = list(group)
        if len(found) > 1:
            changed = not is_on.get(sensor, False)
            found.sort(key=lambda row: row[3] is not changed)
        is_on[sensor] = found[-1][3]
        ordered += found
    return ordered


class _RowError(ValueError):
    """A row that does not fit; the text says what of it."""


def _parse_row(cells: list[str], places: list[int]) -> tuple[str, Row, int | None]:
    """Return the home, its row at an instant, and the offset it was written with; None for a bare wall clock."""
    try:
        home, time, sensor, kind, word = [cells[place].strip() for place in places]
    except IndexError as error:
        raise _RowError(f"{len(cells)} columns where the header has more") from error
    try:
        at = datetime.fromisoformat(f"{time[:-4]}Z" if time.endswith(" UTC") else time)
        offset = at.utcoffset()
        at_ms = round((at if offset is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise _RowError(f"time {time!r} is not ISO 8601, as 2024-03-01T07:40:00.000") from error
    for name, cell in zip(_COLUMNS, (home, time, sensor, kind), strict=False):
        if not cell:
            raise _RowError(f"{name} is empty; every row names its {name}")
    state = _OPEN_WORDS.get(word.lower())
    if state is None:
        raise _RowError(f"state {word!r} is neither on nor off; it is one of {', '.join(_OPEN_WORDS)}")
    offset_ms = None if offset is None else round(offset.total_seconds() * 1000)
    return home, (at_ms, sensor, _kind_of(kind), state), offset_ms


def _kind_of(kind: str) -> str:
    """Return the kind in small letters; a front door also where it is written with a space or a hyphen."""
    word = kind.lower()
    return FRONT_DOOR_KIND if word.replace(" ", "_").replace("-", "_") == FRONT_DOOR_KIND else word
