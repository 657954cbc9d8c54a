"""Workbooks as books: parts as spreadsheet programs write them enter; the rows, or every change to them, leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.books import sheets
from console.books.files import read_books
from console.books.rows import BOOKS
from console.books.titles import SHEETS, TITLES, book_of, column_of
from tests.workbooks import number, row, text, write


def told(*paths: str) -> list[str]:
    return [str(fault) for fault in read_books(paths, encoding="utf-8")[2]]


def test_a_workbook_says_what_the_same_rows_in_csv_say(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "persons.csv").write_text(
        "id,relation,name,phone,birth_year\np1,family,张三,13800000000,\np2,resident,李四,,1944\n",
        encoding="utf-8",
    )
    runs = "<si><r><t>李</t></r><r><t>四</t></r><rPh sb='0' eb='1'><t>li</t></rPh></si>"
    path = write(
        tmp_path / "人员.xlsx",
        ("Sheet1", row(1, "编号", "人员类型", "姓名", "手机号", "出生年份")
         + row(2, "p1", "family", "张三", number("13800000000"))
         + row(4, "p2", "resident", 't="s"><v>0</v>', "", 's="0"><f>1900+44</f><v>1944</v>')),
        ("Sheet2", ""),
        shared=runs,
    )  # fmt: skip
    (plain,), _, none = read_books([str(tmp_path / "csv")], encoding="utf-8")
    (book,), unread, faults = read_books([path], encoding="utf-8")
    assert [none, faults, unread] == [[], [], frozenset()]
    assert [cells for _, cells in book.rows] == [cells for _, cells in plain.rows]
    assert [number for number, _ in book.rows] == [2, 4] and book.named == plain.named


def test_a_workbook_of_many_sheets_holds_the_books_they_are_called_after(tmp_path: Path) -> None:
    path = write(
        tmp_path / "花园.xlsx",
        ("小区", row(1, "id", "community_id", "name") + row(2, "s1", "c1", "东区")),
        ("communities", row(1, "编号", "名称") + row(2, "c1", "花园")),
    )
    books, _, faults = read_books([path], encoding="utf-8")
    assert [book.name for book in books] == ["sites", "communities"] and not faults
    (fault,) = told(
        write(tmp_path / "persons.xlsx", ("a", row(1, "id")), ("persons", row(1, "id", "relation")))
    )
    assert "sheet 1, which is none of the books" in fault


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("phone", number("2154321000"), "loses the zeros before it"),
        ("phone", number("1.3800000000000001E+20"), "rounded or pointed"),
        ("id", number("12"), "loses the zeros before it"),
        ("household_id", number("12"), "loses the zeros before it"),
        ("name", number("12.5"), "rounded or pointed"),
        ("category", number("7", 4), "loses the zeros before it"),
        ("name", number("45000", 2), "is a date, which a spreadsheet made"),
        ("name", number("45000", 5), "is a date, which a spreadsheet made"),
        ("name", 't="e"><v>#N/A</v>', "is an error of the sheet"),
        ("name", 's="0"><f>A1</f>', "is a formula without a result"),
        ("name", 't="b"><v>1</v>', "is TRUE or FALSE"),
        ("name", text("张\n三"), "a line break"),
    ],
)
def test_what_a_spreadsheet_did_to_a_cell_is_told_with_its_place(
    tmp_path: Path, column: str, cell: str, words: str
) -> None:
    others = [name for name in ("id", "relation", "name", "phone") if name != column]
    right = [{"id": "p", "relation": "family"}.get(name, "") for name in others]
    path = write(tmp_path / "persons.xlsx", ("x", row(1, *others, column) + row(3, *right, cell)))
    (fault,) = told(path)
    assert fault.startswith(f"persons.xlsx#persons:3:{column}: ") and words in fault


def test_a_time_of_day_is_one_and_a_date_is_what_the_sheet_shows(tmp_path: Path) -> None:
    header = row(1, "household_id", "person_id", "role", "position", "available_from")
    path = write(
        tmp_path / "contacts.xlsx",
        ("x", header + row(2, "h", "p", "family", number("1"), number("0.3125", 3))),
    )
    (book,), _, faults = read_books([path], encoding="utf-8")
    assert not faults and book.rows[0][1]["available_from"] == "07:30:00"
    header = row(1, "household_id", "purpose", "given_by", "given_at", "withdrawn_at")
    days = row(2, "h", "watch", "p", number("45000.5", 2), number("45001", 5))
    path = write(tmp_path / "consents.xlsx", ("x", header + days))
    (book,), _, faults = read_books([path], encoding="utf-8")
    assert not faults
    assert [book.rows[0][1][name] for name in ("given_at", "withdrawn_at")] == [
        "2023-03-15 12:00:00",
        "2023-03-16",
    ]
    path = write(tmp_path / "consents.xlsx", ("x", header + row(2, "h", "watch", "p", number("0.5", 2))))
    assert "2:given_at: is a time of a day, or a date out of all years" in told(path)[0]


def test_what_nobody_saw_in_a_sheet_is_told(tmp_path: Path) -> None:
    rows = row(1, "id", "name", "zone") + row(2, "a", "花园", more='hidden="1"') + row(3, "b", "东园", "UTC")
    after = '|<cols><col min="3" max="3" hidden="1"/></cols><mergeCells><mergeCell ref="A3:A4"/></mergeCells>'
    found = told(write(tmp_path / "communities.xlsx", ("x", rows + after)))
    assert [fault.split(";")[0] for fault in found] == [
        "communities.xlsx#communities:3:*: holds merged cells",
        "communities.xlsx#communities:2:*: is hidden",
        "communities.xlsx#communities:1:zone: stands in a hidden column",
    ]


def test_a_file_that_is_no_open_workbook_says_how_to_save_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ole = b"\xd0\xcf\x11\xe0" + bytes(508)
    bad = tmp_path / "persons.xlsx"
    for data, words in (
        (ole, "of Excel 97 to 2003"),
        (ole + "EncryptedPackage".encode("utf-16-le"), "protected with a password"),
        (b"PK\x03\x04", "is damaged"),
        (b"id,name", "is damaged"),
    ):
        bad.write_bytes(data)
        (fault,) = told(str(bad))
        assert words in fault and ("choose File, Save as" if data == ole else "save it") in fault
    write(bad, ("x", row(1, "id", "relation")), shared="<!DOCTYPE a><si/>")
    assert "no spreadsheet program writes" in told(str(bad))[0]
    monkeypatch.setattr(sheets, "PART_BYTES_MAX", 4096)
    write(bad, ("x", row(1, "id", "relation") + row(2, "a" * 5000)))
    assert bad.stat().st_size < 4096 and "unpacks to more than" in told(str(bad))[0]


def test_every_column_and_book_has_a_chinese_title_of_its_own() -> None:
    for book, model in BOOKS.items():
        assert book_of(SHEETS[book]) == book
        for column in model.columns():
            assert [column_of(title) for title in TITLES[column]] == [column] * len(TITLES[column])
    assert column_of(" 失联期限（秒） ") == "supervision_s" and column_of("Phone ") == "phone"
