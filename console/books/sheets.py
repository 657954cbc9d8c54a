"""Reads an Excel workbook: the bytes of an ``.xlsx`` enter, its sheets with what every cell is leave.

A workbook is a ZIP file of XML parts (ECMA-376), of which a book needs five kinds of elements: read here with the
standard library, so that each part is bounded before it is unpacked, and that what a cell was (a number, a date, a
formula nobody calculated) is still known when its column is. Nothing is guessed and nothing is calculated.
"""

from __future__ import annotations

import io
import math
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from xml.etree import ElementTree

PART_BYTES_MAX = 32 * 1024 * 1024
PARTS_MAX = 2_000

_OLE = b"\xd0\xcf\x11\xe0"
#: The stream that holds a workbook under a password, as the old container names it.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_SAVE_AS = "save it as an Excel workbook (.xlsx)"
_SAVE_OLD_AS = "open it in Excel or WPS, choose File, Save as, the type Excel workbook (*.xlsx), and import what you saved"
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
#: Parts of a number format that only stand there: quoted words, escaped letters, colours and locales.
_FORMAT_WORDS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_FORMATS_OF_DATES = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_DAY_S = 86_400
#: Integers above are rounded by the sheet, which keeps fifteen digits.
_WHOLE_MAX = 10**15


class UnreadableError(Exception):
    """The file is no workbook that can be read: ``what`` it is, and how to ``mend`` it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what, self.mend = what, mend


class Kind(Enum):
    """What a cell is to the spreadsheet."""

    TEXT = "text"
    NUMBER = "number"
    #: A number shown with zeros before it, which are not part of it.
    PADDED = "padded"
    DATE = "date"
    TIME = "time"
    FLAG = "flag"
    ERROR = "error"
    #: A formula without the result the program saves beside it.
    UNCALCULATED = "uncalculated"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell that is not empty; a time of a day is written ``HH:MM:SS``, a whole number without a point."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Merged:
    """Cells made one, first and last included: rows from 1, columns by index."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: cells by column index (from 0) by row number (from 1), and what a reader would not see in them."""

    number: int
    title: str
    rows: Mapping[int, Mapping[int, Cell]]
    merged: tuple[Merged, ...]
    hidden_rows: frozenset[int]
    hidden_columns: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Words:
    """What the cells of all sheets refer to: texts by index, and for each style how it shows a number."""

    texts: list[str]
    styles: list[Kind]


def read_workbook(data: bytes) -> list[Sheet]:
    """Return the sheets of a workbook, those without any cell left away.

    Raises
    ------
    UnreadableError
        If it is none, is protected, is of the old format, is damaged, or unpacks to more than is bearable.
    """
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            raise UnreadableError("is protected with a password", "save it without one")
        raise UnreadableError("is a workbook of Excel 97 to 2003, or of WPS", _SAVE_OLD_AS)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_sheets(_Parts(archive))
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError) as error:
        raise UnreadableError("is damaged, or is no Excel workbook", f"open it and {_SAVE_AS}") from error
    except ElementTree.ParseError as error:
        raise UnreadableError("holds a part that is no XML", f"open it and {_SAVE_AS}") from error


class _Parts:
    """The parts of the package, each read whole and bounded."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        if len(archive.infolist()) > PARTS_MAX:
            raise UnreadableError(f"has more than {PARTS_MAX} parts", f"open it and {_SAVE_AS}")
        if any(info.flag_bits & 1 for info in archive.infolist()):
            raise UnreadableError("is protected with a password", "save it without one")
        self._archive = archive
        self._left = PART_BYTES_MAX

    def read(self, name: str) -> bytes:
        info = self._archive.getinfo(name)
        # The archive never yields more than it says here, whatever is packed; a part may be named only so often.
        self._left -= info.file_size
        if self._left < 0:
            what = f"unpacks to more than {PART_BYTES_MAX // 1024**2} MiB"
            raise UnreadableError(what, "import one community at a time")
        data = self._archive.read(info)
        # No program writes either into a workbook; both could make a small part a large one.
        if b"<!DOCTYPE" in data or b"\0" in data[:4] or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise UnreadableError("holds a part no spreadsheet program writes", f"open it and {_SAVE_AS}")
        return data

    def elements(self, name: str, *wanted: str) -> Iterator[ElementTree.Element]:
        """Yield the elements wanted as they close; what was yielded is forgotten."""
        above: list[ElementTree.Element] = []
        data = io.BytesIO(self.read(name))
        # Bounded and without entities of its own: ``read`` saw to both.
        for event, element in ElementTree.iterparse(data, events=("start", "end")):  # noqa: S314
            if event == "start":
                above.append(element)
                continue
            above.pop()
            if _local(element.tag) in wanted:
                yield element
                if above:
                    above[-1].clear()

    def links(self, name: str) -> dict[str, tuple[str, str]]:
        """Return what a part refers to: by id, the last word of its type and its name in the package."""
        folder, file = posixpath.split(name)
        found = {}
        for link in self.elements(posixpath.join(folder, "_rels", f"{file}.rels"), "Relationship"):
            target = posixpath.normpath(posixpath.join("/", folder, link.get("Target", ""))).lstrip("/")
            found[link.get("Id", "")] = (link.get("Type", "").rsplit("/", 1)[-1], target)
        return found


def _local(tag: str) -> str:
    # The same words stand in two name spaces, of the transitional and of the strict standard.
    return tag.rsplit("}", 1)[-1]


def _read_sheets(parts: _Parts) -> list[Sheet]:
    workbook = dict(parts.links("").values())["officeDocument"]
    if any(_is_on(found.get("date1904")) for found in parts.elements(workbook, "workbookPr")):
        raise UnreadableError("counts its days from 1904", f"turn that off, see its dates, and {_SAVE_AS}")
    links = parts.links(workbook)
    shared = dict(links.values())
    words = _Words(
        _read_texts(parts, shared["sharedStrings"]) if "sharedStrings" in shared else [],
        _read_styles(parts, shared["styles"]) if "styles" in shared else [],
    )
    found = []
    for number, sheet in enumerate(parts.elements(workbook, "sheet"), 1):
        link = next((value for key, value in sheet.attrib.items() if _local(key) == "id"), "")
        kind, target = links[link]
        # A chart has no cells.
        if kind == "worksheet":
            found.append(_read_sheet(parts, target, number, sheet.get("name", ""), words))
    return [sheet for sheet in found if sheet.rows]


def _read_texts(parts: _Parts, name: str) -> list[str]:
    return [_text(item) for item in parts.elements(name, "si")]


def _text(item: ElementTree.Element) -> str:
    """Join the runs of a text; the reading written small above Chinese and Japanese letters is none of it."""
    runs = (part for part in item if _local(part.tag) in ("t", "r"))
    pieces = (
        piece.text or ""
        for run in runs
        for piece in ([run] if _local(run.tag) == "t" else run)
        if _local(piece.tag) == "t"
    )
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), "".join(pieces))


def _read_styles(parts: _Parts, name: str) -> list[Kind]:
    codes: dict[str, str] = {}
    styles: list[Kind] = []
    for element in parts.elements(name, "numFmt", "cellXfs"):
        if _local(element.tag) == "numFmt":
            codes[element.get("numFmtId", "")] = element.get("formatCode", "")
        else:
            ids = (style.get("numFmtId", "0") for style in element if _local(style.tag) == "xf")
            styles = [_shown_as(int(id_), codes.get(id_)) for id_ in ids]
    return styles


def _shown_as(format_id: int, code: str | None) -> Kind:
    if code is None:
        return Kind.DATE if format_id in _FORMATS_OF_DATES else Kind.NUMBER
    bare = _FORMAT_WORDS.sub("", code.split(";")[0])
    if re.search(r"[dmyhs]", bare, re.IGNORECASE) and "general" not in bare.lower():
        return Kind.DATE
    return Kind.PADDED if re.fullmatch(r"0{2,}", bare) else Kind.NUMBER


def _read_sheet(parts: _Parts, name: str, number: int, title: str, words: _Words) -> Sheet:
    rows: dict[int, dict[int, Cell]] = {}
    merged: list[Merged] = []
    hidden: set[int] = set()
    columns: set[int] = set()
    last = 0
    for element in parts.elements(name, "row", "mergeCell", "col"):
        match _local(element.tag):
            case "row":
                last = int(element.get("r", last + 1))
                if cells := _read_cells(element, words):
                    rows[last] = cells
                if _is_on(element.get("hidden")):
                    hidden.add(last)
            case "mergeCell":
                first, _, end = element.get("ref", "").partition(":")
                (left, top), (right, bottom) = _place(first), _place(end or first)
                merged.append(Merged(top, bottom, left, right))
            case "col" if _is_on(element.get("hidden")):
                # Columns run to the end of the sheet where all after the last are hidden.
                columns |= set(range(int(element.get("min", 1)) - 1, min(int(element.get("max", 1)), 16_384)))
    return Sheet(number, title, rows, tuple(merged), frozenset(hidden), frozenset(columns))


def _is_on(flag: str | None) -> bool:
    return flag in ("1", "true")


def _place(reference: str) -> tuple[int, int]:
    """Turn ``B5`` into column index 1 and row 5."""
    found = re.fullmatch(r"\$?([A-Z]{1,3})\$?(\d{1,7})", reference)
    if found is None:
        raise ValueError(reference)
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1, int(found[2])


def _read_cells(row: ElementTree.Element, words: _Words) -> dict[int, Cell]:
    cells: dict[int, Cell] = {}
    column = -1
    for element in row:
        if _local(element.tag) != "c":
            continue
        reference = element.get("r")
        column = column + 1 if reference is None else _place(reference)[0]
        cell = _read_cell(element, words)
        if cell is not None:
            cells[column] = cell
    return cells


def _read_cell(element: ElementTree.Element, words: _Words) -> Cell | None:
    inside = {_local(part.tag): part for part in element}
    kind = element.get("t", "n")
    if kind == "inlineStr":
        return _written(_text(inside["is"])) if "is" in inside else None
    if "v" not in inside:
        return Cell(Kind.UNCALCULATED, "") if "f" in inside else None
    value = inside["v"].text or ""
    if kind not in _READERS:
        raise ValueError(kind)
    return _READERS[kind](value, element, words)


def _written(text: str) -> Cell | None:
    return Cell(Kind.TEXT, text) if text.strip() else None


def _read_shared(value: str, _: ElementTree.Element, words: _Words) -> Cell | None:
    return _written(_at(words.texts, int(value))) if value.strip() else None


def _at(texts: list[str], index: int) -> str:
    if not 0 <= index < len(texts):
        raise ValueError(index)
    return texts[index]


def _read_number(value: str, element: ElementTree.Element, words: _Words) -> Cell | None:
    if not value.strip():
        return None
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    style = int(element.get("s") or 0)
    kind = words.styles[style] if 0 <= style < len(words.styles) else Kind.NUMBER
    if kind is Kind.DATE and 0 <= number < 1:
        seconds = min(round(number * _DAY_S), _DAY_S - 1)
        return Cell(Kind.TIME, f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}")
    whole = number.is_integer() and abs(number) < _WHOLE_MAX
    return Cell(kind, str(int(number)) if whole else repr(number))


_READERS: Mapping[str, Callable[[str, ElementTree.Element, _Words], Cell | None]] = {
    "s": _read_shared,
    "str": lambda value, *_: _written(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)),
    "n": _read_number,
    "b": lambda value, *_: Cell(Kind.FLAG, "true" if _is_on(value.strip()) else "false"),
    "e": lambda value, *_: Cell(Kind.ERROR, ""),
    "d": lambda value, *_: Cell(Kind.TIME if re.fullmatch(r"\d\d:\d\d.*", value) else Kind.DATE, value),
}
