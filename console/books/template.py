"""Makes the workbook an office fills in: a language enters, the bytes of an ``.xlsx`` with a sheet for each book leave.

Each sheet has its header in row 1 and nothing below; what belongs where stands on a sheet of its own that an import
passes over, and beside the cell as it is chosen. Columns are typed before anybody writes: text where zeros count,
dates where days stand, and lists where only certain words may.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from enum import IntEnum
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from console.books.cells import leaf_of
from console.books.rows import BOOKS
from console.books.shape import letter_of
from console.books.titles import NOTES, SHEETS, TITLES
from console.books.vocabulary import OPEN, WORDS
from console.words import Words

#: How far down lists and hints reach.
ROWS_MAX = 10_000
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_PARTS = "application/vnd.openxmlformats-officedocument.spreadsheetml"
#: What a spreadsheet program shows of a hint.
_PROMPT_MAX, _TITLE_MAX = 255, 32
_DECLARED = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
#: Books whose ids and sites are lower-case letters, digits and hyphens only.
_PLAIN_IDS = frozenset({("sites", "id"), ("devices", "id")})
_EXAMPLES = {
    "communities.id": "huayuan", "communities.name": "花园社区", "zone": "Asia/Shanghai", "commissioning_s": "172800",
    "sites.id": "huayuan-1", "sites.name": "花园小区", "buildings.name": "3", "community_id": "huayuan",
    "site_id": "huayuan-1", "household_id": "h-3-1-1201", "device_id": "door-3-1-1201", "person_id": "p-0001",
    "gateway_id": "gw-3-1", "x_m": "120", "y_m": "-40", "width_m": "40", "depth_m": "14", "turn_deg": "0",
    "devices.id": "door-3-1-1201", "model": "SNZB-04", "place": "3-1-1201", "heartbeat_s": "60", "supervision_s": "180",
    "households.id": "h-3-1-1201", "label": "3-1-1201", "building": "3", "unit": "1", "floor": "12", "room": "1201",
    "grid": "1", "policy_id": "mandated", "persons.id": "p-0001", "persons.name": "王某某", "birth_year": "1944",
    "phone": "13800000000", "position": "1", "relation_words": "女儿", "available_from": "07:30",
    "available_until": "21:00", "answer_within_s": "600", "token": "c_7Qm2", "given_by": "本人", "declared_by": "女儿",
    "leases.id": "2026-017", "occupants": "2", "registration": "R-0017",
}  # fmt: skip


class _Style(IntEnum):
    """The cell styles by their index in the workbook."""

    PLAIN = 0
    TEXT = 1
    DATE = 2
    CLOCK = 3
    TITLE = 4
    TITLE_MUST = 5
    NOTE = 6


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of a sheet: what it is called, how it is typed, and what a reader is told of it."""

    title: str
    style: _Style
    must: bool
    offer: tuple[str, ...]
    is_open: bool
    hint: str
    example: str


def make_template(words: Words) -> bytes:
    """Return the workbook in the language of ``words``."""
    sheets = [(NOTES[0] if words.language == "zh" else NOTES[1], _notes_sheet(words))]
    sheets += [
        (SHEETS[book] if words.language == "zh" else book, _book_sheet(_columns(book, words), words))
        for book in BOOKS
    ]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        for name, content in _parts(sheets):
            # The same template is the same bytes on every day.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, _DECLARED + content)
    return package.getvalue()


# What stands where --------------------------------------------------------------------------------------------------


def _columns(book: str, words: Words) -> list[_Column]:
    model = BOOKS[book]
    found = []
    for column in model.columns():
        stored = WORDS.get((book, column), {})
        offer = tuple(others[0] if words.language == "zh" else word for word, others in stored.items())
        specific = f"books.note.{book}.{column}"
        note = words.say(specific if words.has(specific) else f"books.note.{column}")
        example = _EXAMPLES.get(f"{book}.{column}", _EXAMPLES.get(column, ""))
        leaf = leaf_of(book, column)
        found.append(
            _Column(
                TITLES[column][_title_of(book, column)] if words.language == "zh" else column,
                _style_of(leaf),
                column in model.required(),
                offer,
                (book, column) in OPEN,
                f"{note} {_form(book, column, leaf, offer, words)}".strip(),
                offer[0] if offer else "2026-03-01" if leaf is datetime else example,
            )
        )
    return found


def _title_of(book: str, column: str) -> int:
    """Return which of a column's titles a book uses: people have another word for a name, contacts for a role."""
    return int((book, column) in {("persons", "name"), ("contacts", "role")})


def _style_of(leaf: type | None) -> _Style:
    styles: dict[type | None, _Style] = {int: _Style.PLAIN, datetime: _Style.DATE, time: _Style.CLOCK}
    return styles.get(leaf, _Style.TEXT)


def _form(book: str, column: str, leaf: type | None, offer: tuple[str, ...], words: Words) -> str:
    """Say how a cell is written."""
    if offer:
        return words.say("books.form.words", words=words.say("books.form.between").join(offer))
    if leaf is int:
        least, most = _bounds(book, column)
        return words.say("books.form.number", least=least, most=most)
    if leaf in (datetime, time):
        return words.say("books.form.date" if leaf is datetime else "books.form.clock")
    if column == "id" or column.endswith("_id"):
        plain = (book, column) in _PLAIN_IDS or column in ("site_id", "device_id", "gateway_id")
        return words.say("books.form.plain_id" if plain else "books.form.id")
    return words.say("books.form.phone") if column == "phone" else ""


def _bounds(book: str, column: str) -> tuple[Any, Any]:
    field = BOOKS[book].model_fields[column]
    found = [*field.metadata, *(item for item in getattr(field.annotation, "__metadata__", ()))]
    flat = [part for item in found for part in (item, *getattr(item, "metadata", ()))]
    return (
        next(part.ge for part in flat if getattr(part, "ge", None) is not None),
        next(part.le for part in flat if getattr(part, "le", None) is not None),
    )


# Sheets -------------------------------------------------------------------------------------------------------------


def _cell(column: int, row: int, text: str, style: _Style) -> str:
    if not text:
        return ""
    place = f"{letter_of(column)}{row}"
    return f'<c r="{place}" s="{style:d}" t="inlineStr"><is><t>{escape(text)}</t></is></c>'


def _row(number: int, cells: Iterator[str]) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def _book_sheet(columns: list[_Column], words: Words) -> str:
    header = _row(
        1,
        (
            _cell(at, 1, column.title, _Style.TITLE_MUST if column.must else _Style.TITLE)
            for at, column in enumerate(columns)
        ),
    )
    widths = "".join(
        f'<col min="{at}" max="{at}" width="{max(14, 2 * len(column.title) + 4)}" style="{column.style:d}"'
        ' customWidth="1"/>'
        for at, column in enumerate(columns, 1)
    )
    hints = "".join(_validation(at, column, words) for at, column in enumerate(columns))
    return _sheet(header, widths, f'<dataValidations count="{len(columns)}">{hints}</dataValidations>')


def _validation(at: int, column: _Column, words: Words) -> str:
    letter = letter_of(at)
    title = f"{column.title} {words.say('books.must.yes')}" if column.must else column.title
    attributes = (
        f'allowBlank="1" showInputMessage="1" promptTitle={quoteattr(title[:_TITLE_MAX])}'
        f' prompt={quoteattr(column.hint[:_PROMPT_MAX])} sqref="{letter}2:{letter}{ROWS_MAX}"'
    )
    if not column.offer:
        return f"<dataValidation {attributes}/>"
    strict = "" if column.is_open else ' showErrorMessage="1"'
    offer = escape(",".join(column.offer))
    return f'<dataValidation type="list"{strict} {attributes}><formula1>"{offer}"</formula1></dataValidation>'


def _notes_sheet(words: Words) -> str:
    lines = [
        [words.say(f"books.lead.{name}")] for name in ("order", "must", "dates", "text", "never", "check")
    ]
    lines += [[], [words.say(f"books.head.{name}") for name in ("sheet", "column", "must", "how", "example")]]
    heads = len(lines)
    for book in BOOKS:
        sheet = SHEETS[book] if words.language == "zh" else book
        for column in _columns(book, words):
            must = words.say("books.must.yes") if column.must else ""
            lines.append([sheet, column.title, must, column.hint, column.example])
    rows = "".join(
        _row(
            number,
            (
                _cell(at, number, text, _Style.TITLE if number == heads else _Style.NOTE)
                if number >= heads
                else _cell(at, number, text, _Style.TEXT)
                for at, text in enumerate(line)
            ),
        )
        for number, line in enumerate(lines, 1)
    )
    widths = "".join(
        f'<col min="{at}" max="{at}" width="{width}" customWidth="1"/>'
        for at, width in enumerate((18, 22, 8, 90, 20), 1)
    )
    return _sheet(rows, widths, "", frozen=heads)


def _sheet(rows: str, widths: str, after: str, *, frozen: int = 1) -> str:
    pane = (
        f'<sheetViews><sheetView workbookViewId="0"><pane ySplit="{frozen}" topLeftCell="A{frozen + 1}"'
        ' activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    )
    return f'<worksheet xmlns="{_MAIN}">{pane}<cols>{widths}</cols><sheetData>{rows}</sheetData>{after}</worksheet>'


# The package --------------------------------------------------------------------------------------------------------


def _parts(sheets: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    numbers = range(1, len(sheets) + 1)
    kinds = [("workbook", "sheet.main"), ("styles", "styles")]
    types = "".join(
        f'<Override PartName="/xl/{part}.xml" ContentType="{_PARTS}.{kind}+xml"/>'
        for part, kind in [*kinds, *((f"worksheets/sheet{at}", "worksheet") for at in numbers)]
    )
    defaults = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
    )
    yield "[Content_Types].xml", f'<Types xmlns="{_TYPES}">{defaults}{types}</Types>'
    yield "_rels/.rels", _links([("rId1", "officeDocument", "xl/workbook.xml")])
    named = "".join(
        f'<sheet name={quoteattr(title)} sheetId="{at}" r:id="rId{at}"/>'
        for at, (title, _) in enumerate(sheets, 1)
    )
    yield (
        "xl/workbook.xml",
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{named}</sheets></workbook>',
    )
    links = [(f"rId{at}", "worksheet", f"worksheets/sheet{at}.xml") for at in numbers]
    yield "xl/_rels/workbook.xml.rels", _links([*links, ("rIdStyles", "styles", "styles.xml")])
    yield "xl/styles.xml", _STYLES
    for at, (_, content) in enumerate(sheets, 1):
        yield f"xl/worksheets/sheet{at}.xml", content


def _links(links: list[tuple[str, str, str]]) -> str:
    inside = "".join(
        f'<Relationship Id="{id_}" Type="{_OFFICE}/{kind}" Target="{target}"/>' for id_, kind, target in links
    )
    return f'<Relationships xmlns="{_LINKS}">{inside}</Relationships>'


def _fill(colour: str) -> str:
    return f'<fill><patternFill patternType="solid"><fgColor rgb="FF{colour}"/></patternFill></fill>'


_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="4"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    f'{_fill("E7EEF5")}{_fill("FFE699")}</fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="7">'
    + "".join(
        f'<xf numFmtId="{format_}" fontId="{font}" fillId="{fill}" borderId="0" xfId="0" applyNumberFormat="1"'
        f' applyFont="1" applyFill="1" applyAlignment="1">{alignment}</xf>'
        for format_, font, fill, alignment in (
            (0, 0, 0, ""), (49, 0, 0, ""), (164, 0, 0, ""), (20, 0, 0, ""), (49, 1, 2, ""), (49, 1, 3, ""),
            (49, 0, 0, '<alignment vertical="top" wrapText="1"/>'),
        )
    )
    + "</cellXfs></styleSheet>"
)  # fmt: skip
