"""Ingest and the edge killed at every place that has a name: each event is stored once, and people are warned alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.faults import POINTS as EDGE_POINTS
from ingest.faults import POINTS as INGEST_POINTS
from tests.fix_database import DatabaseServer
from tests.kills.ingest_matrix import Found, Matrix, every_cut, format_table, matrix
from tests.kills.whole import Results

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture(scope="module")
def made(database_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with matrix(database_server, tmp_path_factory.mktemp("kills")) as built:
        yield built


@pytest.mark.parametrize("service", ["ingest", "edge"])
def test_killed_at_every_place_in_turn_it_stores_each_event_once(made: Matrix, service: str) -> None:
    points = INGEST_POINTS if service == "ingest" else EDGE_POINTS
    assert len(INGEST_POINTS) >= 12
    found = Found(service)
    cuts = every_cut(points)
    died = made.live(found, cuts, through_edge=service == "edge")
    assert set(died) == set(cuts)
    assert (found.lost, found.twice, found.different) == (0, 0, []), format_table([found])


def test_the_comparison_sees_what_is_missing_and_what_is_there_twice(made: Matrix) -> None:
    expected = made.expected(through_edge=False)
    rows = {table: list(lines) for table, lines in expected.items()}
    rows["events"].append(rows["events"].pop(0))
    found = Found("none")
    made.compare(found, rows, expected)
    assert (found.lost, found.twice, found.different) == (0, 0, [])
    rows["events"][0] = rows["events"][1]
    made.compare(found, rows, expected)
    assert (found.lost, found.twice, len(found.different), found.good) == (1, 1, 2, False)
    assert {line.split(":")[0] for line in expected["crossings"]}, "somebody is warned in these days"


def test_a_stopped_run_goes_on_from_its_file_and_never_with_results_of_other_code(tmp_path: Path) -> None:
    file, places = tmp_path / "kills.jsonl", ("mid_copy", "acked")
    before = Results(places, file)
    before.note(Found("mid_copy", kills=10, streets=1, sent=96))
    before.note(Found("mid_copy", kills=9, streets=1, sent=96, lost=1, different=["events: one (-)"]))
    file.write_text(file.read_text() + '{"version": "cut')
    found = Results(places, file).found
    assert found["mid_copy"] == Found(
        "mid_copy", kills=19, streets=2, sent=192, lost=1, different=["events: one (-)"]
    )
    assert found["acked"] == Found("acked")
    file.write_text('{"version": "another", "place": "acked"}\n')
    with pytest.raises(SystemExit, match="holds results of another"):
        Results(places, file)
