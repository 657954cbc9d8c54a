"""What leaves as a table: no cell is a formula to a spreadsheet, and there is one writer of tables."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import console
from console.audit.sealing import write_csv


@pytest.mark.parametrize(
    "begin", ["=", "+", "-", "@", "\t", "\r", "\t=", " =", "\u3000=", "\ufeff@", "＝", "＋", "－", "＠"]
)
def test_a_cell_that_would_be_run_is_text(begin: str) -> None:
    table = write_csv(("a", "b"), [(f"{begin}cmd|' /C calc'!A0", "plain")])
    row = list(csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")))[1]
    assert row == [f"'{begin}cmd|' /C calc'!A0", "plain"]


def test_ordinary_cells_stay_as_they_are() -> None:
    table = write_csv(("a", "b", "c"), [("3-1-1201", "王=秀英", ""), ("a,b", 'say "x"', "1.50")])
    rows = list(csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")))
    assert rows[1:] == [["3-1-1201", "王=秀英", ""], ["a,b", 'say "x"', "1.50"]]


def test_nothing_else_writes_tables_for_people() -> None:
    folder = Path(console.__file__).parent
    writers = [path.name for path in folder.rglob("*.py") if "csv.writer" in path.read_text(encoding="utf-8")]
    assert writers == ["sealing.py"]
