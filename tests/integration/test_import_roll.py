"""The one list of homes and people that an office keeps goes into the books, and the same list again changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.integration.test_import import (
    BOOK_LINES,
    count_all,
    key_file,
    read,
    report_of,
    run,
    write_folder,
)
from tests.integration.test_import import write as change
from tests.workbooks import number, row
from tests.workbooks import write as write_workbook

__all__ = ["key_file", "run"]
pytestmark = [pytest.mark.slow, pytest.mark.one_store]

HEADER = (
    "序号",
    "楼栋",
    "单元",
    "房号",
    "姓名",
    "性别",
    "联系电话",
    "是否独居",
    "家属姓名",
    "关系",
    "家属电话",
    "健康状况",
)
ZHANG = (
    "1",
    "5栋",
    "2",
    "0501",
    "张　三",
    "女",
    "138 0000 0001",
    "是",
    "张红",
    "女儿",
    "139 0000 0001",
    "好",
)
LI = ("2", "5栋", "2", "1203", "李四", "男", "13800000002", "否", "", "儿子", "13900000002", "")
WU = ("3", "5栋", "2", "1203", "吴芳", "女", "", "", "", "", "", "")


def roll(tmp_path: Path, *lines: tuple[str, ...], more: str = "", header: tuple[str, ...] = HEADER) -> str:
    rows = row(1, "花园小区独居老人登记表") + row(2, *header)
    rows += "".join(row(at, *line) for at, line in enumerate(lines, 3))
    return write_workbook(tmp_path / "花园.xlsx", ("1号楼", rows + more))


@pytest.fixture
def house(run: Callable[..., Result], tmp_path: Path) -> None:
    """A community with its site, and the homes of another building."""
    books = {name: BOOK_LINES[name] for name in ("communities", "sites")}
    folder = tmp_path / "house"
    folder.mkdir()
    for name, lines in books.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert run(folder).exit_code == 0


@pytest.mark.usefixtures("house")
def test_a_list_in_one_sheet_goes_in_and_again_is_nothing(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    path = roll(tmp_path, ZHANG, LI, WU)
    result = run(path, "--json")
    assert result.exit_code == 0, result.output
    report = report_of(result)
    assert report["homes_of_lists"] == 2 and report["passed_over"][0]["row"] == 1
    assert report["columns_not_read"] == [{"file": "花园.xlsx", "table": "roll 1", "columns": ["F", "L"]}]
    homes = read(database_url, "SELECT id, label, building, unit, floor, room FROM households ORDER BY label")
    assert [tuple(home.values()) for home in homes] == [
        ("site.5-2-0501", "5-2-0501", "5栋", "2", 5, "0501"),
        ("site.5-2-1203", "5-2-1203", "5栋", "2", 12, "1203"),
    ]
    people = read(
        database_url,
        "SELECT p.id, p.household_id, p.relation, p.category, i.name, i.phone FROM persons p"
        " LEFT JOIN person_identities i ON i.person_id = p.id ORDER BY p.id",
    )
    assert [tuple(person.values()) for person in people] == [
        ("site.5-2-0501.f1", None, "family", None, "张红", "139 0000 0001"),
        ("site.5-2-0501.r1", "site.5-2-0501", "resident", "living_alone", "张三", "138 0000 0001"),
        ("site.5-2-1203.f1", None, "family", None, "儿子", "13900000002"),
        ("site.5-2-1203.r1", "site.5-2-1203", "resident", None, "李四", "13800000002"),
        ("site.5-2-1203.r2", "site.5-2-1203", "resident", None, "吴芳", None),
    ]
    asked = read(
        database_url, "SELECT person_id, position, relation_words FROM household_contacts ORDER BY 1"
    )
    assert [tuple(one.values()) for one in asked] == [
        ("site.5-2-0501.f1", 1, "女儿"), ("site.5-2-1203.f1", 1, "儿子"),
    ]  # fmt: skip
    assert read(database_url, "SELECT 1 FROM consents") == [], "nobody agreed by standing in a list"
    (entry,) = read(
        database_url, "SELECT detail FROM audit_entries WHERE object_kind = 'import' ORDER BY id DESC LIMIT 1"
    )
    assert entry["detail"]["books"]["persons"] == {"new": 5, "changed": 0}
    before = count_all(database_url)
    again = run(path, "--json")
    assert again.exit_code == 0 and count_all(database_url) == before
    assert {(table["new"], table["changed"]) for table in report_of(again)["tables"].values()} == {(0, 0)}


@pytest.mark.usefixtures("house")
def test_a_newer_list_changes_a_number_and_adds_who_moved_in(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert run(roll(tmp_path, ZHANG, LI)).exit_code == 0
    # Somebody else's hand: the building without its word, the room without its zero, another number.
    moved = ("1", "5", "2单元", "501室", "张三", "女", "138 0000 0009", "", "张红", "女儿", "", "")
    new = ("4", "5号楼", "2", "601", "赵六", "男", "", "", "无", "", "-", "")
    result = run(roll(tmp_path, moved, LI, WU, new), "--json")
    assert result.exit_code == 0, result.output
    assert read(database_url, "SELECT phone FROM person_identities WHERE person_id = 'site.5-2-0501.r1'") == [
        {"phone": "138 0000 0009"}
    ]
    assert {row["building"] for row in read(database_url, "SELECT building FROM households")} == {"5栋"}
    tables = report_of(result)["tables"]
    assert tables["households"]["new_keys"] == ["site.5-2-601"]
    assert tables["persons"]["new_keys"] == ["site.5-2-1203.r2", "site.5-2-601.r1"]


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            ("1", "5栋", "2", "0501", "章三", *ZHANG[5:]),
            "花园.xlsx 第 1 张表 第 3 行 E3（姓名）：不是这一户登记的人",
        ),
        ((*ZHANG[:8], "张虹", *ZHANG[9:]), "I3（姓名）：不是这一户登记的人"),
        ((*ZHANG[:3], "", *ZHANG[4:]), "D3（房号）：没有填"),
        ((*ZHANG[:3], "东", *ZHANG[4:]), "（楼层）：没有填，从房号也看不出来"),
        ((*ZHANG[:6], "13800000001/13900000001", *ZHANG[7:]), "G3（电话）：一格里写了几个号码"),
        ((*ZHANG[:10], "13800000001/13900000001", ZHANG[11]), "K3（电话）：一格里写了几个号码"),
    ],
)
def test_what_is_not_plain_is_refused_with_the_cell_the_office_typed_it_in(
    database_url: str, run: Callable[..., Result], tmp_path: Path, line: tuple[str, ...], words: str
) -> None:
    assert run(roll(tmp_path, ZHANG, LI)).exit_code == 0
    before = count_all(database_url)
    result = run(roll(tmp_path, line, LI), "--lang", "zh")
    assert result.exit_code == 1 and words in result.stderr, result.output
    assert "张" not in result.stderr.replace("张表", "") and count_all(database_url) == before


@pytest.mark.usefixtures("house")
def test_two_lines_of_one_home_agree_and_two_of_one_name_are_told_apart(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    other = (*WU[:10], "13900000003", "")
    result = run(roll(tmp_path, LI, (*other[:9], "儿子", *other[10:])))
    assert "says something else of this relative than row 3" in result.stderr
    result = run(roll(tmp_path, LI, (*WU[:4], "李四", *WU[5:])))
    assert "is the name of two people of this home" in result.stderr
    rows = row(1, *HEADER) + row(2, *LI)
    path = write_workbook(tmp_path / "两张.xlsx", ("1号楼", rows), ("2号楼", rows))
    assert "两张.xlsx#roll 2:2:room: cell D2 is a home of another sheet too" in run(path).stderr


@pytest.mark.usefixtures("house")
def test_a_column_that_may_be_somebodys_number_is_not_passed_over(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run(roll(tmp_path, ZHANG, header=(*HEADER[:11], "备用手机")))
    assert result.exit_code == 1 and "column 12 (L) is none of this book" in result.stderr


def test_where_there_are_two_sites_somebody_says_which(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert run(write_folder(tmp_path / "books")).exit_code == 0
    change(database_url, "INSERT INTO sites VALUES ('lake', 'garden', '湖畔苑')")
    path = roll(tmp_path, ZHANG)
    assert "does not say at which site the home is" in run(path).stderr
    assert run(path, "--site", "湖畔苑").exit_code == 0
    assert read(database_url, "SELECT site_id FROM households WHERE label = '5-2-0501'") == [
        {"site_id": "lake"}
    ]
    named = roll(tmp_path, (*LI[:11], "花园小区"), header=(*HEADER[:11], "小区"))
    assert run(named).exit_code == 0
    assert read(database_url, "SELECT site_id FROM households WHERE label = '5-2-1203'") == [
        {"site_id": "site"}
    ]


@pytest.mark.usefixtures("house")
def test_a_whole_address_in_one_cell_is_read_and_merged_rooms_are_of_each_line(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    header = ("房号", "姓名", "手机")
    lines = [("3栋2单元501室", "张三", number("13800000001")), ("", "王五", "")]
    merged = '|<mergeCells><mergeCell ref="A3:A4"/></mergeCells>'
    result = run(roll(tmp_path, *lines, more=merged, header=header))
    assert result.exit_code == 0, result.output
    assert read(database_url, "SELECT label, building, unit, room, floor FROM households") == [
        {"label": "3-2-501", "building": "3", "unit": "2", "room": "501", "floor": 5}
    ]
    assert len(read(database_url, "SELECT 1 FROM persons")) == 2


@pytest.mark.usefixtures("house")
def test_an_id_somebody_had_who_moved_away_is_never_given_again(
    database_url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert run(roll(tmp_path, ZHANG)).exit_code == 0
    change(database_url, "UPDATE persons SET household_id = NULL WHERE id = 'site.5-2-0501.r1'")
    assert run(roll(tmp_path, (*ZHANG[:4], "钱七", *ZHANG[5:]))).exit_code == 0
    names = read(
        database_url, "SELECT person_id, name FROM person_identities WHERE person_id LIKE '%%.r_' ORDER BY 1"
    )
    assert [tuple(row.values()) for row in names] == [
        ("site.5-2-0501.r1", "张三"),
        ("site.5-2-0501.r2", "钱七"),
    ]
