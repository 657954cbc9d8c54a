"""A page of the access log, looked for in ever wider windows: events at all distances enter; every page leaves whole."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from kaimen.clock import ManualClock, as_datetime

_LOG = """SELECT * FROM read_log('c1', %(now)s, %(from_at)s, %(to_at)s, %(door)s, '', '', '', %(type)s, '', '',
          %(older)s, %(newer)s, %(device_no)s, %(boot)s, %(seq)s, %(limit)s)"""
#: Minutes before now, some at the same instant, some just where a window ends, some far behind the widest of them.
_MINUTES = (0, 1, 1, 14, 15, 15, 16, 60, 61, 200, 960, 961, 5_000, 40_000, 80_000, 200_000)


@pytest.fixture
def log(database_url: str, manual_clock: ManualClock) -> Any:
    now = as_datetime(manual_clock.now_ms())
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        connection.execute("INSERT INTO communities (id, name) VALUES ('c1', 'c1')")
        connection.execute("INSERT INTO sites (id, community_id, name) VALUES ('s1', 'c1', 's1')")
        connection.execute(
            "INSERT INTO devices (id, site_id, kind, place, registered_at) SELECT 'd' || n, 's1', 'controller', 'door', %s"
            " FROM generate_series(1, 2) n",
            (now - timedelta(days=400),),
        )
        for seq, minutes in enumerate(_MINUTES):
            at = now - timedelta(minutes=minutes)
            connection.execute("SELECT ensure_event_partitions(%s, %s)", (at, at))
            connection.execute(
                "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
                " clock_quality, replayed, type, plausible, batch)"
                " SELECT %s, %s, %s, no, 7, %s, 0, 0, 'ntp', false, %s, true, 1 FROM devices",
                (at, at, at, seq, "Denied" if seq == 13 else "DoorPhysicalState"),
            )
        yield connection, now


def _page(
    log: tuple[Any, datetime], limit: int, *, place: Any = None, newer: bool = False, **asked: Any
) -> Any:
    connection, now = log
    values: dict[str, Any] = {
        "now": now, "from_at": now - timedelta(days=300), "to_at": now + timedelta(seconds=1), "door": "", "type": "",
        "older": None, "newer": None, "device_no": None, "boot": None, "seq": None, "limit": limit, **asked,
    }  # fmt: skip
    if place is not None:
        at, values["device_no"], values["boot"], values["seq"] = place
        values["newer" if newer else "older"] = at
    rows = connection.execute(_LOG, values).fetchall()
    return [(row["occurred_at"], row["device_no"], row["boot"], row["seq"]) for row in rows]


def test_pages_older_and_newer_are_those_of_the_whole_log_whatever_their_length(log: Any) -> None:
    connection, now = log
    stored = connection.execute("SELECT occurred_at, device_no, boot, seq FROM door_events").fetchall()
    whole = sorted((tuple(row.values()) for row in stored), reverse=True)
    assert len(whole) == 2 * len(_MINUTES)
    for limit in (1, 3, 7, 100):
        walked: list[Any] = []
        while page := _page(log, limit, place=walked[-1] if walked else None):
            walked += page
        assert walked == whole, limit
        back: list[Any] = [whole[-1]]
        while page := _page(log, limit, place=back[-1], newer=True):
            back += page
        assert back == whole[::-1], limit
    forever = {"from_at": "-infinity", "to_at": "infinity"}
    assert _page(log, 100, **forever) == whole
    assert _page(log, 100, place=whole[-1], newer=True, **forever) == whole[-2::-1]
    begun, ended = now - timedelta(minutes=961), now - timedelta(minutes=15)
    between = [row for row in whole if begun <= row[0] < ended]
    assert between and _page(log, 100, from_at=begun, to_at=ended) == between
    assert [row[3] for row in _page(log, 5, type="Denied")] == [13, 13]
    assert [row[1] for row in _page(log, 100, door="d2")] == [whole[0][1]] * len(_MINUTES)
    assert _page(log, 5, to_at=begun, from_at=ended) == []
