"""Cells as offices really send them: what a code page or a spreadsheet did to them is put right or named, never kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.books.faults import Origin
from console.books.files import Encoding, read_books
from console.books.letters import find_lost
from console.books.rows import Entry, parse_row

PERSONS = "id,household_id,relation,name,phone"


def persons(folder: Path, name: bytes, *, encoding: Encoding = "utf-8") -> tuple[list[str], list[str]]:
    """Return the names that were read of a book of one person, and the faults."""
    path = folder / "persons.csv"
    path.write_bytes(PERSONS.encode() + b"\np-1,h-1,resident," + name + b",13800000000\n")
    books, _, faults = read_books([str(path)], encoding=encoding)
    return [cells["name"] for book in books for _, cells in book.rows], [fault.what for fault in faults]


def wrong(book: str, **cells: str) -> dict[str, str]:
    """Return what is wrong with a row, by column."""
    found = parse_row(book, Origin(f"{book}.csv", book, 2), cells)
    return {} if isinstance(found, Entry) else {fault.column: fault.what for fault in found}


@pytest.mark.parametrize(
    "name",
    [
        "𠀀文",
        "邝𪻐",
        "买买提·吐尔逊",
        "阿依古丽•买买提",
        "斯琴．高娃",
        "欧阳　娜娜",
        "José Ñúñez",
        "龱\U000e0100",
        "Nǎi\u200dmù",
    ],
)
def test_a_rare_name_is_read_as_it_is_written(tmp_path: Path, name: str) -> None:
    assert persons(tmp_path, name.encode()) == ([name], [])


@pytest.mark.parametrize(
    ("raw", "name"),
    [(b"\xcd\xf5\xfe\x51", "王𠂇"), (b"\xcd\xf5\xfe\x59", "王龴"), (b"\xd5\xc5\xfe\x9f", "张䶮")],
)
def test_a_letter_an_old_table_kept_apart_comes_to_its_own_place(
    tmp_path: Path, raw: bytes, name: str
) -> None:
    assert persons(tmp_path, raw, encoding="gb18030") == ([name], [])
    if name != "张䶮":
        as_windows_converts_it = raw.decode("gb18030")
        assert as_windows_converts_it != name
        assert persons(tmp_path, as_windows_converts_it.encode()) == ([name], [])


def test_signs_nobody_sees_and_signs_of_one_machine_are_refused() -> None:
    assert find_lost("3-1-1201\u200b") == "holds an invisible character"
    assert find_lost("\u202d13800000000\u202c") == "holds an invisible character"
    assert "one machine" in (find_lost("王\ue000") or "")


@pytest.mark.parametrize("name", ["王?", "王？", "王□", "〓三"])
def test_a_name_with_a_sign_for_a_letter_is_not_somebodys_name(name: str) -> None:
    assert "a letter was lost" in wrong("persons", id="p", relation="family", name=name)["name"]


@pytest.mark.parametrize(
    "label", ["3月1日", "2003/1/12", "2003-1-12", "2003年1月", "1-Mar", "Mar-01", "1201.0", "1.2E+11"]
)
def test_a_label_that_a_spreadsheet_made_a_date_or_a_number_is_refused(label: str) -> None:
    home = {"id": "h", "site_id": "s", "building": "3", "unit": "1", "floor": "12", "room": "1201"}
    assert "spreadsheet" in wrong("households", label=label, **home)["label"]
    assert "spreadsheet" in wrong("households", label="x", **{**home, "room": label})["room"]


@pytest.mark.parametrize(
    "label", ["3-1-1201", "3栋1单元1201室", "3#1-1201", "三月里1号", "A-Mar", "12.5", "Bld-12", "2003-1-1201"]
)
def test_a_label_in_any_form_of_a_place_is_taken(label: str) -> None:
    home = {"id": "h", "site_id": "s", "building": "3栋", "unit": "1单元", "floor": "12", "room": "1201室"}
    assert wrong("households", label=label, **home) == {}


@pytest.mark.parametrize("phone", ["13800000000.0", "1.38E+10", "'13800000000", "1380000000013900000000"])
def test_a_telephone_a_spreadsheet_spoilt_is_refused(phone: str) -> None:
    assert "phone" in wrong("persons", id="p", relation="family", name="王五", phone=phone)


def test_a_book_that_lies_in_the_folder_as_a_spreadsheet_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "communities.csv").write_text("id,name\ngarden,花园\n", encoding="utf-8")
    (tmp_path / "persons.ods").write_bytes(b"PK\x03\x04")
    (tmp_path / "notes.ods").write_bytes(b"PK\x03\x04")
    _, unread, faults = read_books([str(tmp_path)], encoding="utf-8")
    assert [(fault.origin.file, fault.mend) for fault in faults] == [
        ("persons.ods", "save it as an Excel workbook (.xlsx) or as CSV UTF-8")
    ]
    assert "persons" in unread
