"""What an office writes is read alike from CSV and from a workbook: rows, faults, and what was passed over."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from console.books.cells import read_row
from console.books.files import Book, read_books
from console.books.rows import parse_row
from tests.workbooks import row, text, write

HEADER = ["序号", "编号", "人员类型", "姓名", "手机号", "出生年份", "听力障碍", "住户编号"]
ZONE = ZoneInfo("Asia/Shanghai")
CELLS = st.tuples(
    st.sampled_from(["1", "", "合计", "２"]),
    st.sampled_from(["p1", "p2", "0003", "", "Ｐ４", "合计", "备注：无", "13812341234"]),
    st.sampled_from(["住户", "女儿", "staff", "", "业主", " 家属 ", "Helper"]),
    st.sampled_from(["张　三", "李 四", "", "王?", "Anna Li", "欧阳 娜娜", "110101194403070013"]),
    st.sampled_from(
        ["138 1234 1234", "008613812341234", "（010）62345678", "", "１３８12341234", "1.38E+10"]
    ),
    st.sampled_from(["1944", "1944年", "", "四四", "44"]),
    st.sampled_from(["√", "是", "否", "", "?", "TRUE"]),
    st.sampled_from(["h-1", "", "－"]),
)
TITLE = st.lists(st.sampled_from([["花园社区人员登记表"], ["填表人", "小李"], []]), max_size=2)


def meaning(books: list[Book]) -> list[Any]:
    said: list[Any] = []
    for book in books:
        for number, cells in book.rows:
            entry = parse_row(book.name, book.origin(number), read_row(book.name, cells, ZONE))
            faults = entry if isinstance(entry, list) else []
            said.append(
                (number, [(f.column, f.what) for f in faults] if isinstance(entry, list) else entry.said)
            )
        said.append((book.name, book.named, book.passed_over))
    return said


@settings(max_examples=60)
@given(titles=TITLE, rows=st.lists(CELLS, max_size=5), trailing=st.integers(0, 2))
def test_a_workbook_and_a_csv_of_the_same_cells_are_the_same_books(
    titles: list[list[str]], rows: list[tuple[str, ...]], trailing: int
) -> None:
    lines = [*titles, HEADER, *map(list, rows), *([[""] * 8] * trailing)]
    with TemporaryDirectory() as folder:
        plain = Path(folder) / "persons.csv"
        out = io.StringIO(newline="")
        csv.writer(out).writerows([*cells, *[""] * (8 - len(cells)), *[""] * trailing] for cells in lines)
        plain.write_text(out.getvalue(), encoding="utf-8")
        sheet = "".join(row(at, *map(text_or_nothing, cells)) for at, cells in enumerate(lines, 1))
        path = write(Path(folder) / "persons.xlsx", ("人员", sheet))
        from_csv, _, faults = read_books([str(plain)], encoding="utf-8")
        from_sheet, _, others = read_books([path], encoding="utf-8")
    # A workbook's sheet without a row is one nobody needed; a file of its own says that the book is empty.
    if rows and from_sheet:
        assert meaning(from_sheet) == meaning(from_csv)
        assert [(f.origin.row, f.column, f.what) for f in others] == [
            (f.origin.row, f.column, f.what) for f in faults
        ]


def text_or_nothing(cell: str) -> str:
    return text(cell) if cell else ""
