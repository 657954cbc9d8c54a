"""The queue on disk: what was committed is there after kill -9, and a full one says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.spool import UNLISTED_SOURCES_MAX, Spool, SpoolFullError
from edge.tracker import DeviceState

_KEEPER = """
import sys
from pathlib import Path
from edge.spool import Spool
spool = Spool(Path(sys.argv[1]), bytes_max=10**9, days_max=45)
number = 0
while True:
    with spool.transaction():
        for _ in range(3):
            number += 1
            spool.append(topic="t/evt", device="d", boot="b", seq=number, payload=b"x" * 50, created_ms=number)
    print(number, flush=True)
"""


def put(spool: Spool, seq: int, *, vital: bool = False, payload: bytes = b"x" * 100) -> int:
    with spool.transaction():
        return spool.append(
            topic="t/evt", device="d", boot="b", seq=seq, payload=payload, created_ms=seq, vital=vital
        )


def spool_of(path: Path | str = ":memory:", bytes_max: int = 10_000) -> Spool:
    return Spool(path, bytes_max=bytes_max, days_max=45)


def test_every_commit_that_was_told_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", _KEEPER, str(path)], stdout=subprocess.PIPE, text=True
    ) as keeper:
        assert keeper.stdout is not None
        told = 0
        for line in keeper.stdout:
            told = int(line)
            if told >= 90:
                keeper.send_signal(signal.SIGKILL)
                break
        rest = [int(line) for line in keeper.stdout if line.strip().isdigit()]
    told = max([told, *rest])
    spool = spool_of(path, bytes_max=10**9)
    kept = [message.seq for message in spool.after(0)]
    assert kept == list(range(1, len(kept) + 1)), "in order, without a hole"
    assert len(kept) >= told and len(kept) % 3 == 0, "a transaction is there as a whole"
    assert spool.message_count == len(kept)
    spool.close()


def test_the_spool_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "spool.sqlite"
    spool_of(path).close()
    assert path.stat().st_mode & 0o077 == 0


def test_what_was_acknowledged_goes_and_the_rest_stays_in_order() -> None:
    spool = spool_of()
    for seq in (1, 2, 3):
        put(spool, seq)
    first = spool.after(0)[0]
    with spool.transaction():
        assert spool.delete([first.id, first.id]) == 1
    assert [message.seq for message in spool.after(0)] == [2, 3]
    assert spool.oldest_seq("d", "b") == 2
    assert spool.oldest_seq("d", "other") is None
    spool.close()


def test_a_full_spool_gives_up_vitals_but_never_an_event() -> None:
    spool = spool_of(bytes_max=1_000)
    for seq in range(1, 6):
        put(spool, seq, vital=seq in (2, 4))
    assert put(spool, 6) == 2, "both vitals made room"
    assert [message.seq for message in spool.after(0)] == [1, 3, 5, 6]
    put(spool, 7)
    before = spool.bytes_used
    with pytest.raises(SpoolFullError):
        put(spool, 8)
    assert [message.seq for message in spool.after(0)] == [1, 3, 5, 6, 7]
    assert (spool.bytes_used, spool.has_room()) == (before, False)
    with spool.transaction():
        spool.delete([message.id for message in spool.after(0)])
    assert (spool.bytes_used, spool.has_room()) == (0, True)
    spool.close()


def test_what_is_too_old_to_prove_anything_is_counted_out() -> None:
    spool = spool_of()
    put(spool, 1)
    put(spool, 50 * 86_400_000)
    with spool.transaction():
        assert spool.expire(50 * 86_400_000) == 1
    assert spool.message_count == 1
    spool.close()


def test_a_failed_turn_leaves_nothing() -> None:
    spool = spool_of()
    with pytest.raises(RuntimeError), spool.transaction():
        spool.append(topic="t", device="d", boot="b", seq=1, payload=b"x", created_ms=0)
        raise RuntimeError("in the middle")
    assert (spool.message_count, spool.bytes_used, spool.after(0)) == (0, 0, [])
    spool.close()


def test_a_devices_state_and_facts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    state = DeviceState(
        site="s", device="d", boot="a" * 16, seq=7, started_uptime_ms=1, started_ms=2, machine_boot="m",
        contact="Closed", opens=5, flags={"Motion": True}, keys=("button:packet:1",),
    )  # fmt: skip
    spool = spool_of(path)
    with spool.transaction():
        spool.store_state(state)
        spool.store_fact("source_alive_s", "5")
    spool.close()
    spool = spool_of(path)
    assert spool.load_state("d") == state
    assert spool.load_state("other") is None
    assert spool.load_fact("source_alive_s") == "5"
    spool.close()


def test_unlisted_sources_are_kept_within_bounds() -> None:
    spool = spool_of()
    with spool.transaction():
        for number in range(UNLISTED_SOURCES_MAX + 5):
            kept = spool.note_unlisted(f"s{number}", "door_open", b"{}", number)
            assert kept == (number < UNLISTED_SOURCES_MAX)
        spool.note_unlisted("s0", "door_closed", b"[]", 10_000)
    assert spool.unlisted_count() == UNLISTED_SOURCES_MAX
    first = spool.unlisted()[0]
    assert (first.source, first.kind, first.frames) == ("s0", "door_closed", 2)
    assert spool.peek_unlisted("s0") == b"[]"
    with spool.transaction():
        assert spool.take_unlisted("s0") == [(0, b"{}"), (10_000, b"[]")]
    assert spool.unlisted_count() == UNLISTED_SOURCES_MAX - 1
    spool.close()
