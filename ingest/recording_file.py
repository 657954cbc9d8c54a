"""A recording's file enters, in one of the forms that are read; its rows leave: by home, in order, each bad line by its number."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from ingest.early.signals import FRONT_DOOR_KIND
from ingest.packed_text import ERRORS, open_bytes, open_text, remedy_of_error
from ingest.recorded_forms import FormError
from ingest.recorded_times import Order, TimeError, read_time
from ingest.recorded_words import NOT_HEARD, VOCABULARIES, state_of
from ingest.recording_doubts import Told, doubts_of_rows
from ingest.recording_sources import COLUMNS, Lines, RowError, Source, SourceError, source_of

__all__ = ["HomeRows", "RecordingError", "Row", "Unreadable", "open_bytes", "open_text", "read_rows"]

#: Instant in milliseconds, sensor, kind, whether it is on.
Row = tuple[int, str, str, bool]
#: Logs, whose rows stand in the order in which they were written; those of a table may come in any.
_IN_ORDER = ("raw", "messages", "line protocol")


class RecordingError(ValueError):
    """A file that cannot be read as what it should be; the text says which, where and how to mend it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is not what it should be: where it stands and what is wrong with it."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class HomeRows:
    """Rows of one home in order of time; ``lost`` when a front door was last heard before it was not; ``doubts`` in words."""

    rows: list[Row]
    lost: list[tuple[int, str]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


class _Home:
    """One home while its file is read."""

    def __init__(self, path: Path) -> None:
        self.rows: list[tuple[int, Row]] = []
        self.lost: list[tuple[int, str]] = []
        self.zones = _Zones(path)
        self.told = Told()
        self.is_utc = False

    def take(self, line: int, cells: list[str], order: Order | None, front_doors: frozenset[str]) -> None:
        """Take a row: home, time, sensor, kind and state, as they are written."""
        (at_ms, sensor, kind, state), offset_ms = _parse_row(cells, order, front_doors)
        self.zones.see(line, at_ms, offset_ms)
        self.told.see(line, at_ms, sensor, cells[4])
        bare = cells[1].endswith(("Z", "UTC")) or ":" not in cells[1]
        self.is_utc = self.is_utc or (offset_ms == 0 and bare)
        if state is None:
            self.lost.append((at_ms, sensor))
        else:
            self.rows.append((line, (at_ms, sensor, kind, state)))

    def close(self, bad: list[Unreadable], *, in_order: bool) -> HomeRows:
        """Put the rows in order; those of a clock without its time are noted in ``bad``."""
        gone = self.told.lost_clocks()
        bad.extend(
            Unreadable(line, "its clock had lost its time, so that nobody can tell when it was")
            for line in gone
        )
        shift_ms = self.zones.shift_ms
        rows = [(at + shift_ms, *rest) for line, (at, *rest) in self.rows if line not in gone]
        doubts = [*self.told.doubts(in_order=in_order), *doubts_of_rows(sorted(rows))]  # type: ignore[arg-type]
        if self.is_utc:
            doubts.append("its times are of UTC, so that hours of the day may be others at home")
        lost = sorted((at + shift_ms, sensor) for at, sensor in self.lost if at not in gone.values())
        return HomeRows(_in_order(rows), lost, doubts)  # type: ignore[arg-type]


def read_rows(
    path: Path, unreadable: list[Unreadable] | None, front_doors: frozenset[str] = frozenset()
) -> dict[str, HomeRows]:
    """Read the rows of each home, in order of time; raises ``RecordingError`` as ``recording.read_recording`` says."""
    homes: dict[str, _Home] = {}
    bad: list[Unreadable] = []
    try:
        with open_text(path) as stream:
            lines = Lines(stream)
            source = source_of(lines, path.name.partition(".")[0], front_doors)

            def take(line: int, cells: Any) -> None:
                for row in source.convert(cells):
                    home = homes.get(row[0]) or _Home(path)
                    home.take(line, row, source.order, front_doors)
                    homes[row[0]] = home

            while _take_row(lines, source, take, bad):
                if bad and unreadable is None:
                    raise RecordingError(f"{path.name}, line {bad[0].line}: {bad[0].reason}")
    except SourceError as error:
        said = str(error)
        raise RecordingError(f"{path.name}{', ' if said.startswith('line') else ': '}{said}") from error
    except (*ERRORS, csv.Error) as error:
        raise RecordingError(f"{path.name}: cannot be read: {error}{remedy_of_error(error)}") from error
    _insist_on_rows(path, source, homes, bad)
    found = {home: read.close(bad, in_order=source.name in _IN_ORDER) for home, read in homes.items()}
    if unreadable is not None:
        unreadable.extend(bad)
    return {home: rows for home, rows in found.items() if rows.rows}


def _insist_on_rows(path: Path, source: Source, homes: dict[str, _Home], bad: list[Unreadable]) -> None:
    if bad and not homes:
        raise RecordingError(f"{path.name}, line {bad[0].line}: {bad[0].reason}; no row of the file fits")
    if source.name not in ("recording", "table") and not homes:
        raise RecordingError(
            f"{path.name}: no line of this log says ON, OFF, OPEN, CLOSE, PRESENT or ABSENT behind its sensor; "
            f"write it as CSV with the header {','.join(COLUMNS)}"
        )


def _take_row(lines: Lines, source: Source, take: Callable[[int, Any], None], bad: list[Unreadable]) -> bool:
    """Take the next row, or note what is wrong with it; False at the end.

    A quotation mark that nobody closes makes one row of all lines after it: of such a row the first line is the bad
    one, the others are read each by itself.
    """
    lines.of_row.clear()
    first = lines.number + 1
    try:
        cells = next(source.reader)
        lines.number += source.name == "JSON" and not lines.of_row
        if cells:
            take(lines.number, cells)
    except StopIteration:
        return False
    except (RowError, FormError, TimeError, csv.Error) as error:
        bad.append(Unreadable(first, str(error)))
        for line, text in enumerate(lines.of_row[1:], start=first + 1):
            try:
                for cells in csv.reader([text], delimiter=lines.delimiter):
                    take(line, cells)
            except (RowError, FormError, TimeError, csv.Error) as other:
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

    @property
    def shift_ms(self) -> int:
        """What moves instants onto the wall clock of the earliest; what passes between them stays the same."""
        return 0 if self._first is None else self._first[1]


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


def _parse_row(
    cells: list[str], order: Order | None, front_doors: frozenset[str]
) -> tuple[tuple[int, str, str, bool | None], int | None]:
    """Return a row at an instant, its state None where its front door was not heard, and the offset it was written with.

    That is None for a bare wall clock.
    """
    home, time, sensor, kind, word = cells
    at_ms, offset_ms = read_time(time, order)
    for name, cell in zip(COLUMNS, (home, time, sensor, kind), strict=False):
        if not cell:
            raise RowError(f"{name} is empty; every row names its {name}")
    kind = FRONT_DOOR_KIND if sensor in front_doors else _kind_of(kind)
    state = state_of(word)
    if state is None and not (kind == FRONT_DOOR_KIND and word.lower() in NOT_HEARD):
        words = ", ".join(word for name in list(VOCABULARIES)[:4] for word in VOCABULARIES[name])
        raise RowError(f"state {word!r} is neither on nor off; it is one of {words}")
    return (at_ms, sensor, kind, state), offset_ms


def _kind_of(kind: str) -> str:
    """Return the kind in small letters; a front door also where it is written with a space or a hyphen."""
    word = kind.lower()
    return FRONT_DOOR_KIND if word.replace(" ", "_").replace("-", "_") == FRONT_DOOR_KIND else word
