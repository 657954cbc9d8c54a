"""What a turn may ask of the compiler is asked for before there is a lease."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.arrays import rows
from ingest.arrays.reader import ArrayReader
from ingest.detector import following, kernel
from ingest.rehearsal import rehearse
from ingest.session import frames
from tests.unit.ingest.test_arrays import Street, new_state


def compiled_functions() -> dict[str, Any]:
    from ingest.arrays import scan

    return {
        function.py_func.__name__: function
        for function in (frames.scan, scan.scan_array, following.follow, rows.write_rows, kernel.take_due)
    }


def test_all_that_a_turn_runs_was_compiled_by_the_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    rehearse()
    before = {name: list(function.signatures) for name, function in compiled_functions().items()}
    assert all(before.values()), before
    street, state = Street(7), new_state(columns=True)
    read = 0
    take = ArrayReader.read

    def counted(*args: Any) -> Any:
        nonlocal read
        found = take(*args)
        read += found is not None
        return found

    monkeypatch.setattr(ArrayReader, "read", counted)
    for messages in street.batches(60):
        state.apply(messages, street.now)
        turn = state.draft(street.now)
        if turn.arrays:
            rows.rows_bytes(state.book, turn.arrays, recorded_ms=street.now, batch=1)
        state.confirm(turn)
    assert read, "no array went the compiled way"
    assert {name: list(function.signatures) for name, function in compiled_functions().items()} == before
