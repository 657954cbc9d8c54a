"""Books as offices bring them: titles, totals, running numbers, Chinese words and dates enter; right rows leave."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from console.books.cells import read_row
from console.books.chinese import say_chinese
from console.books.faults import Origin
from console.books.files import read_books
from console.books.rows import BOOKS, Entry, parse_row
from console.books.template import make_template
from console.books.titles import SHEETS, column_of
from console.books.vocabulary import WORDS, stored_word
from console.words import LANGUAGES, load_words
from tests.workbooks import number, row, write

ZONE = ZoneInfo("Asia/Shanghai")
HEADER = ("序号", "编号*", "人员类型", "姓名", "电话")


def read(book: str, zone: ZoneInfo | None = ZONE, **cells: str) -> dict[str, object] | list[str]:
    found = parse_row(book, Origin(f"{book}.csv", book, 2), read_row(book, cells, zone))
    return (
        dict(found.said) if isinstance(found, Entry) else [f"{fault.what}; {fault.mend}" for fault in found]
    )


def sheet_faults(tmp_path: Path, rows: str, after: str = "") -> list[str]:
    path = write(tmp_path / "花园.xlsx", ("人员", rows + after))
    return [str(fault) for fault in read_books([path], encoding="utf-8")[2]]


def test_a_table_is_found_between_its_title_and_its_total(tmp_path: Path) -> None:
    rows = (
        row(2, "花园社区独居老人登记表") + row(4, *HEADER) + row(5, "1", "p1", "住户", "张　三", "138 1234 1234")
        + row(6, "2", "p2", "女儿", "张红") + row(7, "3") + row(9, "合计", "2") + row(10, "备注：三月核对")
    )  # fmt: skip
    merged = '|<mergeCells><mergeCell ref="A2:E2"/><mergeCell ref="A10:E10"/></mergeCells>'
    path = write(tmp_path / "花园.xlsx", ("说明", row(1, "谁填谁负责")), ("人员", rows + merged))
    (book,), _, faults = read_books([path], encoding="utf-8")
    assert not faults and [number for number, _ in book.rows] == [5, 6]
    assert book.passed_over == (2, 9, 10) and book.named == {"p1", "p2"}
    assert book.rows[1][1] == {"id": "p2", "relation": "女儿", "name": "张红", "phone": ""}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (row(1, "基本信息", "", "联系方式", "其他") + row(2, *HEADER), ":1:*: stands above the header"),
        (row(1, "编号", "人员类型", "其他") + row(2, "", "", "姓名", "电话"), "(C) is none of this book"),
        (row(1, "编号", "人员类型") + row(2, "", "", "姓名", "电话"), ":2:*: goes on with the header"),
        (row(1, *HEADER) + row(2, "合计", "1") + row(3, "1", "p9", "住户"), ":3:*: stands below a total"),
        (row(1, "编号", "人员类型") + row(2, "p1", "staff", "3"), ":2:*: column 3 (C) has no title"),
    ],
)
def test_what_may_be_somebodys_row_is_never_passed_over(tmp_path: Path, rows: str, words: str) -> None:
    assert any(words in fault for fault in sheet_faults(tmp_path, rows))


@pytest.mark.parametrize("title", ["身份证号码", "公民身份号码", "居民身份证", "ID card", "证件号"])
def test_a_column_of_citizens_numbers_is_refused_unread(tmp_path: Path, title: str) -> None:
    # A cell that cannot be read would be told of, were it looked at.
    rows = row(1, "编号", "人员类型", title) + row(2, "p1", "staff", 't="e"><v>#N/A</v>')
    (fault,) = sheet_faults(tmp_path, rows)
    assert "column 3 (C) is for citizens' numbers, which Kaimen never keeps; it was not read" in fault
    (tmp_path / "人员.csv").write_text(
        f"编号,人员类型,{title}\np1,staff,11010119440307001X\n", encoding="utf-8"
    )
    (told,) = read_books([str(tmp_path / "人员.csv")], encoding="utf-8")[2]
    assert "never keeps" in told.what and "1101" not in str(told)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026年3月1日", datetime(2026, 2, 28, 16, tzinfo=UTC)),
        ("2026.3.1", datetime(2026, 2, 28, 16, tzinfo=UTC)),
        ("20260301", datetime(2026, 2, 28, 16, tzinfo=UTC)),
        ("２０２６／３／１", datetime(2026, 2, 28, 16, tzinfo=UTC)),
        ("2026-03-01 08:30", datetime(2026, 3, 1, 0, 30, tzinfo=UTC)),
        ("2026-03-01T00:00:00+00:00", datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_date_is_the_communitys_and_one_way_only(written: str, instant: datetime) -> None:
    said = read("devices", id="d", site_id="s", kind="门磁", registered_at=written)
    assert isinstance(said, dict) and said["registered_at"] == instant


@pytest.mark.parametrize(
    ("written", "zone", "words"),
    [
        ("1月3日", ZONE, "without its year"), ("3/1", ZONE, "without its year"), ("26.3.1", ZONE, "neither a date"),
        ("2026.3", ZONE, "neither a date"), ("2026-02-30", ZONE, "neither a date"),
        ("2026-03-01T08:00:00", ZONE, "neither a date"), ("2026-03-01", None, "neither a date"),
    ],
)  # fmt: skip
def test_a_date_that_may_be_two_is_refused(written: str, zone: ZoneInfo | None, words: str) -> None:
    (told,) = read("devices", zone, id="d", site_id="s", kind="门磁", retired_at=written)
    assert words in told and "2025年11月21日" in told


def test_the_last_day_of_a_lease_and_a_card_counts() -> None:
    lease = read(
        "leases", id="l", household_id="h", from_at="2026.1.1", to_at="2026年12月31日", occupants="2人"
    )
    card = read("credentials", token="c", **{"class": "访客卡"}, valid_to="2026-12-31")
    away = read(
        "absences", household_id="h", from_at="2026-1-1", to_at="2026-1-9", reason="住院", declared_by="女儿"
    )
    assert isinstance(lease, dict) and isinstance(card, dict) and isinstance(away, dict)
    assert (
        lease["to_at"] == card["valid_to"] == datetime(2026, 12, 31, 16, tzinfo=UTC)
        and lease["occupants"] == 2
    )
    assert away["to_at"] == datetime(2026, 1, 8, 16, tzinfo=UTC), "the day of return is watched"


def test_people_are_read_as_offices_write_them() -> None:
    said = read(
        "persons", id="ｐ１", relation="租客", category="独居", hard_of_hearing="√", language="普通话",
        name="欧阳　娜 娜", phone="００８６ 138－1234－1234", birth_year="1944年",
    )  # fmt: skip
    assert said == {
        "id": "p1", "relation": "resident", "category": "living_alone", "hard_of_hearing": True, "language": "zh",
        "name": "欧阳娜娜", "phone": "+86 138-1234-1234", "birth_year": 1944,
    }  # fmt: skip
    line = read("persons", id="p", relation="family", name="Anna  Li", phone="(010) 62345678")
    assert isinstance(line, dict) and (line["name"], line["phone"]) == ("Anna  Li", "010-62345678")
    told = read("contacts", household_id="h", person_id="p", role="女儿", position="1")
    assert isinstance(told, dict) and (told["role"], told["relation_words"]) == ("family", "女儿")
    home = {"id": "h", "site_id": "s", "label": "３－１", "building": "3", "unit": "1", "room": "1"}
    said = read("households", **home, floor="地下1层")
    assert isinstance(said, dict) and (said["floor"], said["label"]) == (-1, "3-1")


def test_a_list_with_titles_merged_places_remarks_and_full_width_digits_is_read(tmp_path: Path) -> None:
    header = row(
        3, "序号", "编号", "小区编号", "门牌号", "栋", "单元", "楼层", "房间号", "关爱起始时间", "备注"
    )
    homes = (
        row(1, "花园小区住户登记表") + header
        + row(4, "1", "h-1", "s1", "３-1-1201", "３", "1单元", "１２层", "1201", "2024.3.5", "张三、李四")
        + row(5, "2", "h-2", "", "3-1-1202", "", "", "", "1202", "2024年3月5日")
        + row(6, "3", "h-3", "s1", "3-1-1301", "", "", "13", "1301", number("20240305"))
    )  # fmt: skip
    # A place may be made one down to the end of the sheet, below the rows too.
    merged = "".join(
        f'<mergeCell ref="{ref}"/>' for ref in ("A1:J1", "C4:C5", "E4:E1048576", "F4:F6", "G4:G5")
    )
    path = write(tmp_path / "花园.xlsx", ("住户", f"{homes}|<mergeCells>{merged}</mergeCells>"))
    (book,), _, faults = read_books([path], encoding="utf-8")
    assert not faults and book.unread == ("J",) and book.passed_over == (1,)
    said = [read("households", **cells) for _, cells in book.rows]
    places = [("s1", "3", "1单元", 12), ("s1", "3", "1单元", 12), ("s1", "3", "1单元", 13)]
    begins = datetime(2024, 3, 4, 16, tzinfo=UTC)
    for home, place in zip(said, places, strict=True):
        assert isinstance(home, dict) and home["watched_from"] == begins
        assert tuple(home[name] for name in ("site_id", "building", "unit", "floor")) == place


@pytest.mark.parametrize(
    "area", ["D2:D3", "A2:A3", "C2:D2", "C2:D3"], ids=["a name", "an id", "beside", "both ways"]
)
def test_what_was_made_one_and_is_not_the_place_of_each_row_is_refused(tmp_path: Path, area: str) -> None:
    rows = (
        row(1, "编号", "人员类型", "住户编号", "姓名")
        + row(2, "p1", "住户", "h-1", "张三")
        + row(3, "p2", "住户")
    )
    (fault,) = sheet_faults(tmp_path, rows, f'|<mergeCells><mergeCell ref="{area}"/></mergeCells>')
    assert ":2:*: holds merged cells" in fault


def test_a_csv_of_the_old_code_page_goes_in_by_its_name_and_is_refused_in_one_line_without(
    tmp_path: Path,
) -> None:
    path = tmp_path / "人员.csv"
    lines = [
        "花园社区老人名单（2024年3月）,,,,,", "填表单位：花园物业,,,,,", "序号,编号,人员类型,住户姓名,联系电话,性别",
        "１,ｐ１,住户,王　五,138 1234 1234,女", "2,p2,家属,王红,\t１３９００００１１１１,女", "合计,2,,,,",
    ]  # fmt: skip
    path.write_bytes("\r\n".join(lines).encode("gb18030"))
    (fault,) = read_books([str(path)], encoding="utf-8")[2]
    assert fault.origin.row == 1 and "--encoding gb18030" in fault.mend
    (book,), _, faults = read_books([str(path)], encoding="gb18030")
    assert not faults and book.passed_over == (1, 2, 6) and book.unread == ("F",)
    assert [read("persons", **cells) for _, cells in book.rows] == [
        {"id": "p1", "relation": "resident", "name": "王五", "phone": "138 1234 1234"},
        {"id": "p2", "relation": "family", "name": "王红", "phone": "13900001111"},
    ]


@pytest.mark.parametrize(
    ("column", "written", "words"),
    [
        *(("name", name, "names several people; write a row for each person")
          for name in ("张三、李四", "张三/李四", "张三；李四", "张三， 李四", "张三,李四")),
        *(("name", name, "holds no letter of a name; write the name, or leave it empty") for name in ("-", "——", "1")),
        *(("phone", phone, "holds several numbers; write the one that is answered")
          for phone in ("13812341234/13900001111", "62345678 13900001111", "13812341234、13900001111")),
    ],
)  # fmt: skip
def test_a_cell_of_several_people_is_nobodys(column: str, written: str, words: str) -> None:
    (told,) = read("persons", id="p", relation="resident", **{"name": "张三", column: written})
    assert str(told).startswith(words)


@pytest.mark.parametrize("name", ["Li, Anna", "买买提·吐尔逊", "欧阳娜娜", "O'Neill-Smith"])
def test_a_comma_or_a_dot_inside_of_one_name_is_taken(name: str) -> None:
    said = read("persons", id="p", relation="family", name=name)
    assert isinstance(said, dict) and said["name"] == name


@pytest.mark.parametrize("name", ["人员.xls", "人员.et", "花园.XLS"])
def test_a_workbook_of_old_is_refused_with_how_to_save_it_and_one_of_today_under_its_name_is_read(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "小区.csv").write_text("编号,社区编号,名称\ns1,c1,东区\n", encoding="utf-8")
    path = tmp_path / name
    path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(508))
    _, unread, (fault,) = read_books([str(tmp_path)], encoding="utf-8")
    assert unread == BOOKS.keys() and fault.what == "is a workbook of Excel 97 to 2003, or of WPS"
    assert say_chinese(fault).endswith("文件类型选“Excel 工作簿（*.xlsx）”，再导入另存的文件")
    write(path, ("人员", row(1, "编号", "人员类型") + row(2, "p1", "住户")))
    books, _, faults = read_books([str(tmp_path)], encoding="utf-8")
    assert not faults and {book.name for book in books} == {"persons", "sites"}


def test_a_word_that_may_mean_two_things_is_refused_with_what_may_stand_there() -> None:
    for book, column, word in (("household_doors", "role", "大门"), ("credentials", "class", "业主卡")):
        assert stored_word(book, column, word) == word
    (told,) = read("household_doors", household_id="h", device_id="d", role="大门")
    assert told.endswith("write one of 'dwelling' (入户门), 'shared' (单元门)")


def test_every_word_of_every_book_has_its_chinese_and_means_one_thing() -> None:
    for book, model in BOOKS.items():
        for name, field in model.model_fields.items():
            choices = (
                set(getattr(field.annotation, "__args__", ())) if "Literal" in str(field.annotation) else ()
            )
            if choices:
                assert set(WORDS[book, field.alias or name]) == choices
    for words in WORDS.values():
        every = [word for stored, others in words.items() for word in (stored, *others)]
        assert len(every) == len(set(every))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_template_is_read_back_as_the_books_and_says_what_belongs_where(
    tmp_path: Path, language: str
) -> None:
    data = make_template(load_words(language, "Asia/Shanghai", datetime(2026, 1, 1, tzinfo=UTC)))
    path = tmp_path / "t.xlsx"
    path.write_bytes(data)
    (fault,) = read_books([str(path)], encoding="utf-8")[2]
    assert fault.what == "has no row in any sheet", "examples are no rows"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = [archive.read(f"xl/worksheets/sheet{at}.xml").decode() for at in range(1, len(SHEETS) + 2)]
    for (book, model), sheet in zip(BOOKS.items(), sheets[1:], strict=True):
        assert [column_of(title) for title in re.findall(r"<t>([^<]+)</t>", sheet)] == list(model.columns())
        styles = dict(zip(model.columns(), re.findall(r'<col [^>]*style="(\d)"', sheet), strict=True))
        exact = {name for name in styles if name in ("id", "label", "phone", "token") or name.endswith("_id")}
        assert {styles[name] for name in exact} == {"1"}
        assert {styles[name] for name in styles if name.endswith("_at")} <= {"2"}
        prompts = re.findall(r' prompt="([^"]*)"', sheet)
        assert len(prompts) == len(styles)
        assert all(0 < len(prompt) < 255 and "books." not in prompt for prompt in prompts)
        offers = re.findall(r'<formula1>"([^"]+)"</formula1>', sheet)
        listed = [stored for (name, _), stored in WORDS.items() if name == book]
        assert len(offers) == len(listed) and all(len(offer) < 255 for offer in offers)
        columns = [column for name, column in WORDS if name == book]
        for column in columns:
            said = {stored_word(book, column, word) for offer in offers for word in offer.split(",")}
            assert set(WORDS[book, column]) <= said
