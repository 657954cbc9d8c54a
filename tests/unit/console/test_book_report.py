"""What an import did, would do, or refuses is said in the reader's language: a report enters, lines leave."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from console.books.faults import Fault, Origin
from console.books.report import Counts, Report, format_report, say_faults
from console.importing import _language_of_terminal
from console.words import LANGUAGES, Words, load_words

PERSONS = Origin("花园.xlsx", "persons", 7)
CONSENTS = Origin("consents.csv", "consents", 4)
FAULT = Fault(PERSONS, "birth_year", "is out of range", "write the year, such as 1944", "D7")


def words(language: str) -> Words:
    return load_words(language, "Asia/Shanghai", datetime(2026, 1, 1, tzinfo=UTC))


def report(*, dry_run: bool) -> Report:
    persons = Counts(
        1, 12, 0, (("p-8",),), 0, (("p-1",),), tuple((PERSONS, ("birth_year", "name")) for _ in range(12))
    )
    return Report(
        (), {"persons": persons, "consents": Counts(0, 0, 1, (), 0, (), ())},
        ((CONSENTS, "withdrawn_at"),), ("h-1201",), ("h-1202", "h-1203"), ("h-1204",), (Origin("花园.xlsx", "persons", 1),),
        ((Origin("花园.xlsx", "persons", 0), ("E", "H")),), 0, dry_run,
    )  # fmt: skip


CHINESE = """\
                        新增        更改        不变  文件里没有    其中终止
人员                       1          12           0           1           0
同意                       0           0           1           0           0
新增（人员）：p-1
花园.xlsx “人员”表 第 7 行：更改 出生年份、姓名
“人员”表另有 2 行更改
系统里有、文件里没有，保持原样（人员）：p-8
consents.csv 第 4 行（撤回时间）：系统里已经终止，仍按终止处理
1 户的人全部搬出，看护和各项同意、家属登录、外出报备等随之终止：h-1204
1 户已同意看护，但没有看护：没有填关爱起始时间，或现在没有入户门：h-1201
2 户的关爱时限先不变，要等另一人在“待第二人确认”页同意：h-1202、h-1203
当作标题、合计或备注，没有读入：花园.xlsx “人员”表 第 1 行
花园.xlsx “人员”表：E、H 列是系统不保存的内容，没有读
这是试运行，什么也没有写入；核对无误后去掉 --dry-run 再运行一次"""
ENGLISH = """\
                      new  changed     same  missing    ended
persons                 1       12        0        1        0
consents                0        0        1        0        0
new, persons: p-1
花园.xlsx#persons:7: changes birth_year, name
and 2 more rows of persons change
in the database and not in the files, left as they are, persons: p-8
consents.csv:4:withdrawn_at: ended in the database, and stays so
1 home is left by everybody: the watch, all agreements, relatives' sign-in and absences end: h-1204
1 household consents to the watch and is not watched: no watched_from, or no dwelling door now: h-1201
2 households keep their hours until a second person agrees on the page Waits for a second person: h-1202, h-1203
passed over as titles, totals or notes: 花园.xlsx#persons:1
花园.xlsx#persons:0: columns E, H hold what no book keeps, and were not read
nothing was written: this was a dry run; run it without --dry-run to write"""


@pytest.mark.parametrize(("language", "whole"), [("zh", CHINESE), ("en", ENGLISH)])
def test_a_dry_run_is_told_whole_in_the_readers_language(language: str, whole: str) -> None:
    lines = format_report(report(dry_run=True), words(language)).splitlines()
    changes = [line for line in lines if line == whole.splitlines()[4]]
    assert len(changes) == 10, "of twelve rows that change ten are shown"
    assert list(dict.fromkeys(lines)) == whole.splitlines()


@pytest.mark.parametrize(("language", "last"), [("zh", "已写入"), ("en", "written")])
def test_a_success_says_that_it_was_written(language: str, last: str) -> None:
    lines = format_report(report(dry_run=False), words(language)).splitlines()
    assert lines[-1] == last and not any("p-1" in line for line in lines), "what is in is on the pages"


def test_the_page_a_report_sends_to_is_called_as_it_calls_itself() -> None:
    for language in LANGUAGES:
        said = words(language)
        assert said.say("agreements.title") in said.count("import.waiting", 2, homes="")


@pytest.mark.parametrize(
    ("language", "told", "total"),
    [
        ("zh", "花园.xlsx “人员”表 第 7 行 D7（出生年份）：超出范围；请写年份，如 1944", "共 1 处错误，什么也没有写入"),
        ("en", "花园.xlsx#persons:7:birth_year: cell D7 is out of range; write the year, such as 1944",
         "1 fault; nothing was written"),
    ],
)  # fmt: skip
def test_each_fault_says_where_what_and_how_to_mend_it(
    capsys: pytest.CaptureFixture[str], language: str, told: str, total: str
) -> None:
    say_faults([FAULT], words(language), as_json=False)
    assert capsys.readouterr().err.splitlines() == [told, total]
    say_faults([FAULT], words(language), as_json=True)
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    # Programs go by the words of one language, whatever the reader's is.
    assert (error["said"], error["what"]) == (told, "is out of range")


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "zh",
            "（出生年份）：超出范围；请写年份，如 1944（另有 2,996 行也是：第 9-3002, 3010, 3012 行）",
        ),
        ("en", "is out of range; write the year, such as 1944 (and in 2,996 more rows: 9-3002, 3010, 3012)"),
    ],
)
def test_what_is_wrong_in_every_row_is_told_once_and_hides_nothing(
    capsys: pytest.CaptureFixture[str], language: str, told: str
) -> None:
    everywhere = [
        replace(FAULT, origin=replace(FAULT.origin, row=row), cell=f"D{row}")
        for row in (*range(8, 3003), 3010, 3012)
    ]
    few = [
        replace(FAULT, origin=replace(FAULT.origin, row=row), column="phone", cell=f"E{row}")
        for row in (9, 11)
    ]
    say_faults([*everywhere, *few], words(language), as_json=False)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and "2,999" in lines[3]
    assert "D8" in lines[0] and lines[0].endswith(told)
    assert "E9" in lines[1] and "E11" in lines[2]
    say_faults([*everywhere, *few], words(language), as_json=True)
    assert len(json.loads(capsys.readouterr().out)["errors"]) == 2999


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "en_US"}, "zh"),
        ({"LANG": "de_DE"}, "en"),
        ({}, "en"),
    ],
)
def test_the_report_speaks_as_the_terminals_own_programs_do(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], language: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _language_of_terminal() == language
