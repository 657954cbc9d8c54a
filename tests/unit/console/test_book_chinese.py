"""Every sentence about a book is said in Chinese too, with the place a sheet shows it in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from console import books
from console.books.chinese import say_chinese, translate
from console.books.faults import Fault, Origin
from console.books.files import read_books, with_cells
from console.books.letters import CJK

_MODULES = ("checks", "rows", "files", "workbook", "shape", "letters", "sheets", "guards", "roll")
_SAYS = re.compile(
    r"(is|holds|has|names|stands|belongs|overlaps|lies|looks|cannot|does|goes|and the|brings|unpacks|says|counts|with|puts"
    r"|was|write|save|give|leave|end|correct|enter|renew|withdraw|name|choose|see|call|format|take|show|open|turn|delete"
    r"|move|export|put|import|if the|a door|the columns|the books|column) .*[^ .;]"
)


def sentences(module: str) -> Iterator[str]:
    tree = ast.parse((Path(books.__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(said(part, module) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def said(part: ast.expr, module: str) -> str:
    """Return a part of a sentence: what stands in it, a sentence of the module's own, or any number."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    name = part.value.id if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name) else ""
    own = getattr(import_module(f"console.books.{module}"), name, 7)
    return own if isinstance(own, str) else "7"


@pytest.mark.parametrize("module", _MODULES)
def test_every_sentence_of_the_books_is_said_in_chinese(module: str) -> None:
    # Column 7 (7) is how a place in a header is written.
    found = [text for text in sentences(module) if _SAYS.fullmatch(text) and text != "column 7 (7)"]
    assert found
    assert [text for text in found if not CJK.search(translate(text)) or translate(text) == text] == []


def test_a_fault_says_sheet_row_and_cell_as_the_office_sees_them(tmp_path: Path) -> None:
    path = tmp_path / "人员.csv"
    path.write_text("序号,编号,人员类型,出生年份\n1,p1,住户,1944\n", encoding="utf-8")
    found, _, _ = read_books([str(path)], encoding="utf-8")
    fault = Fault(
        Origin("人员.csv", "persons", 2), "birth_year", "is out of range", "write the year, such as 1944"
    )
    (placed,) = with_cells(found, [fault])
    assert say_chinese(placed) == "人员.csv 第 2 行 D2（出生年份）：超出范围；请写年份，如 1944"
    assert str(placed).startswith("人员.csv:2:birth_year: cell D2 is out of range; ")
    offered = "write one of 'dwelling' (入户门), 'shared' (单元门)"
    door = Fault(
        Origin("花园.xlsx", "household_doors", 7), "role", "is none of the words that may stand here", offered
    )
    assert (
        say_chinese(door)
        == "花园.xlsx “门”表 第 7 行（用途）：不是这里可以写的词；请写其中一个：入户门、单元门"
    )
    assert (
        translate("names no row of sites, neither in the files nor in the database")
        == "在小区表和系统里都找不到"
    )
    assert translate("column 3 (C) is none of this book") == "第 3 列（C 列）不是这张表的列"
    # A column is called after its book: a person has 姓名, a community 名称.
    assert translate("the columns are id, name", "persons") == "可用的列：编号、姓名"
    assert translate("the columns are id, name", "communities") == "可用的列：编号、名称"
    sheets = (
        "call it persons (人员), contacts (联系人), or delete it; a list of homes and people in one sheet has the"
        " columns name and room"
    )
    assert translate(sheets).startswith("请改名为 人员、联系人 之一，或删去；房屋和人写在同一张表里的")
    ended = "with the other files would end the watch over 3 of the 6 watched homes of garden"
    assert translate(ended) == "会结束 3 户的看护（社区 garden 共看护 6 户）"
