"""Writes workbooks as spreadsheet programs write them: cells and rows enter, an ``.xlsx`` leaves."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
#: Cell styles by index: plain, text, date, time of day, four digits, a date of a custom format.
FORMATS = (0, 49, 14, 20, 164, 165)
STYLES = (
    '<numFmts count="2"><numFmt numFmtId="164" formatCode="0000"/>'
    '<numFmt numFmtId="165" formatCode="[$-804]yyyy&quot;年&quot;m&quot;月&quot;"/></numFmts><cellXfs>'
    + "".join(f'<xf numFmtId="{format_}"/>' for format_ in FORMATS)
    + "</cellXfs>"
)


def text(words: str) -> str:
    return f't="inlineStr"><is><t>{escape(words)}</t></is>'


def number(value: str, style: int = 0) -> str:
    return f's="{style}"><v>{value}</v>'


def row(place: int, *cells: str, more: str = "") -> str:
    inside = "".join(
        f'<c r="{chr(65 + at)}{place}" {cell if cell.count(">") else text(cell)}</c>' if cell else ""
        for at, cell in enumerate(cells)
    )
    return f'<row r="{place}" {more}>{inside}</row>'


def write(path: Path, *named: tuple[str, str], shared: str = "") -> str:
    """Write a workbook of sheets: (title, rows), where what follows ``|`` stands after the rows."""
    links = [
        f'<Relationship Id="r{at}" Type="{OFFICE}/worksheet" Target="worksheets/{at}.xml"/>'
        for at in range(len(named))
    ]
    links.append(f'<Relationship Id="s" Type="{OFFICE}/styles" Target="/xl/styles.xml"/>')
    links.append(f'<Relationship Id="t" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>')
    titles = "".join(
        f'<sheet name="{title}" sheetId="{at + 1}" r:id="r{at}"/>' for at, (title, _) in enumerate(named)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        first = f'<Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        package.writestr("_rels/.rels", f'<Relationships xmlns="{LINKS}">{first}</Relationships>')
        package.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{LINKS}">{"".join(links)}</Relationships>'
        )
        package.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{titles}</sheets></workbook>',
        )
        package.writestr("xl/styles.xml", f'<styleSheet xmlns="{MAIN}">{STYLES}</styleSheet>')
        package.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{shared}</sst>')
        for at, (_, content) in enumerate(named):
            rows, _, after = content.partition("|")
            package.writestr(
                f"xl/worksheets/{at}.xml",
                f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>{after}</worksheet>',
            )
    return str(path)
