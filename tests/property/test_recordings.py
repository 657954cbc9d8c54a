"""Real recordings enter; the crossings must be those of the definition, computed here from the raw file alone."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.commands.replay import command
from ingest.recording import crossings_of, read_recording

SHARED = Path(os.environ.get("KAIMEN_SHARED", Path(__file__).parents[3] / "shared"))
RECORDINGS = sorted((SHARED / "data").glob("*.csv.gz"))
needs_recordings = pytest.mark.skipif(
    not RECORDINGS, reason="no real recordings on this machine (KAIMEN_SHARED)"
)


def front_door_by_hand(path: Path) -> tuple[datetime, datetime, list[datetime]]:
    """First row, last row, Closed→Open edges: the file read a second time, in another way."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = [(datetime.fromisoformat(row["time"]), row) for row in csv.DictReader(stream)]
    edges, before = [], {}
    for at, row in rows:
        if row["kind"] != "front_door":
            continue
        if row["state"] == "on" and before.get(row["sensor"], "off") == "off":
            edges.append(at)
        before[row["sensor"]] = row["state"]
    return rows[0][0], rows[-1][0], edges


def crossings_by_definition(path: Path) -> list[tuple[int, datetime]]:
    """Each stretch between two openings (or the first row) passes the days that lie before its end."""
    first, last, edges = front_door_by_hand(path)
    found = []
    for start, end in zip([first, *edges], [*edges, None], strict=True):
        for stage in (1, 2, 3):
            due = start + timedelta(days=stage)
            passed_before_the_next = end is None or due < end
            if passed_before_the_next and due <= last:
                found.append((stage, due))
    return sorted(found, key=lambda item: (item[1], item[0]))


@needs_recordings
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_crossings_are_those_of_the_definition(path: Path) -> None:
    (recording,) = read_recording(path)
    ours = [
        (stage, datetime.fromtimestamp(at / 1000, UTC).replace(tzinfo=None))
        for stage, at in crossings_of(recording)
    ]
    assert ours == crossings_by_definition(path)


@needs_recordings
def test_the_report_counts_what_the_definition_counts() -> None:
    result = CliRunner().invoke(command, [*map(str, RECORDINGS), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [home["home"] for home in report["homes"]] == [
        path.name.removesuffix(".csv.gz") for path in RECORDINGS
    ]
    for path, home in zip(RECORDINGS, report["homes"], strict=True):
        counts = Counter(stage for stage, _ in crossings_by_definition(path))
        assert home["crossings"] == {"warning": counts[1], "call": counts[2], "visit": counts[3]}
        assert home["openings"] == len(front_door_by_hand(path)[2])
