"""A list of homes and people in one sheet says what the separate books say: same homes, same people, same order to ask."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from console.books.files import read_sent
from console.books.roll import Known, Person, take_apart
from console.books.trial import parse_books

HEADER = ["楼栋", "单元", "房号", "姓名", "手机号", "家属姓名", "关系", "家属电话", "家属2姓名", "家属2电话"]
PEOPLE = st.tuples(
    st.sampled_from(["张三", "李四", "王秀英", "赵六", "欧阳娜娜", "钱七"]),
    st.sampled_from(["", "13800000001", "138 0000 0002", "010-62345678"]),
)
Line = list[str]
Homes = dict[tuple[int, int, int, int], tuple[list[tuple[str, str]], list[tuple[str, str]]]]


def some(least: int, most: int) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(PEOPLE, min_size=least, max_size=most, unique_by=lambda one: one[0])


HOMES = st.dictionaries(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3)),
    st.tuples(some(1, 3), some(0, 2)),
    max_size=6,
)


def lines_of(homes: Homes) -> list[Line]:
    """Write a line for each resident, the relatives beside each of them."""
    lines = []
    for (building, unit, floor, door), (residents, relatives) in homes.items():
        beside = [
            cell
            for at, (name, phone) in enumerate(relatives)
            for cell in ([name, "女儿", phone] if at == 0 else [name, phone])
        ]
        beside += [""] * (5 - len(beside))
        for name, phone in residents:
            lines.append([f"{building}栋", f"{unit}单元", f"{floor}{door:02}", name, phone, *beside])
    return lines


def taken(lines: list[Line], known: Known) -> dict[str, list[dict[str, Any]]]:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([HEADER, *lines])
    books, _, faults = read_sent([("名册.csv", out.getvalue().encode())], encoding="utf-8")
    books, apart = take_apart(books, known)
    entries, wrong = parse_books(books, None)
    assert [*faults, *apart, *wrong] == []
    return {name: [dict(entry.said) for entry in found] for name, found in entries.items()}


def stored_as(found: dict[str, list[dict[str, Any]]]) -> Known:
    """What a database knows once a list has gone in."""
    people = {person["id"]: person for person in found["persons"]}
    residents: dict[str, list[Person]] = {}
    relatives: dict[str, list[Person]] = {}
    for one in people.values():
        if "household_id" in one:
            residents.setdefault(one["household_id"], []).append(Person(one["id"], one["name"]))
    for one in found.get("contacts", []):
        person = Person(one["person_id"], people[one["person_id"]]["name"], one["position"])
        relatives.setdefault(one["household_id"], []).append(person)
    return Known({"site": "花园小区"}, found["households"], residents, relatives, frozenset(people))


@settings(max_examples=100)
@given(homes=HOMES.filter(bool), order=st.randoms(use_true_random=False))
def test_a_list_says_what_the_books_say_and_laid_over_itself_changes_nothing(
    homes: Homes, order: Any
) -> None:
    lines = lines_of(homes)
    found = taken(lines, Known({"site": "花园小区"}))
    people = {person["id"]: person for person in found["persons"]}
    by_place = {(home["building"], home["unit"], home["room"]): home for home in found["households"]}
    assert len(by_place) == len(homes) == len({home["id"] for home in found["households"]})
    for (building, unit, floor, door), (residents, relatives) in homes.items():
        home = by_place[f"{building}栋", f"{unit}单元", f"{floor}{door:02}"]
        assert (home["floor"], home["label"]) == (floor, f"{building}-{unit}-{floor}{door:02}")
        living = [one for one in people.values() if one.get("household_id") == home["id"]]
        assert {(one["name"], one.get("phone", "")) for one in living} == set(residents)
        asked = [one for one in found.get("contacts", []) if one["household_id"] == home["id"]]
        named = [people[one["person_id"]] for one in sorted(asked, key=lambda one: int(one["position"]))]
        assert [(one["name"], one.get("phone", "")) for one in named] == relatives
    # The same lines in any order, without the words behind the numbers, laid over what is stored now.
    order.shuffle(lines)
    bare = [[*(cell.rstrip("栋单元") for cell in line[:2]), *line[2:]] for line in lines]
    again = taken(bare, stored_as(found))
    for book in found:
        assert sorted(map(str, again[book])) == sorted(map(str, found[book]))
