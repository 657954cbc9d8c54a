"""Pages of a look-up, forth and back, are what a list of all events says, whatever the ticket asks for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kaimen.database import Connection, connect

pytestmark = [pytest.mark.integration, pytest.mark.one_store]
UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
DAYS, DOORS, LIMIT = 150, 6, 7
_LAY_OUT = (
    "INSERT INTO communities (id, name) VALUES ('ours', ''), ('theirs', '')",
    "INSERT INTO sites (id, community_id, name) VALUES ('ours', 'ours', ''), ('theirs', 'theirs', '')",
    "INSERT INTO devices (no, id, site_id, kind, registered_at) OVERRIDING SYSTEM VALUE"
    " SELECT n, 'd-' || n, CASE WHEN n = 6 THEN 'theirs' ELSE 'ours' END, 'controller', now() FROM generate_series(1, 6) AS n",
    "INSERT INTO households (id, site_id, label, building, unit, floor, room)"
    " SELECT 'h-' || n, CASE WHEN n = 6 THEN 'theirs' ELSE 'ours' END, n::text, (n / 3)::text, '1', 1, n::text"
    " FROM generate_series(1, 6) AS n",
    "INSERT INTO household_doors (household_id, device_id, role) SELECT 'h-' || n, 'd-' || n, 'dwelling' FROM generate_series(1, 6) AS n",
    "INSERT INTO persons (id, household_id, relation, birth_year) VALUES ('wang', 'h-1', 'resident', 1940), ('child', 'h-1', 'family', 2020)",
    "INSERT INTO person_identities (person_id, name) VALUES ('wang', 'Wang'), ('child', 'Wang')",
    "INSERT INTO credentials (token, class, household_id, person_id) VALUES ('w1', 'resident', 'h-1', 'wang'),"
    " ('w2', 'resident', 'h-1', 'wang'), ('kid', 'family', 'h-1', 'child'), ('x', 'resident', 'h-2', NULL)",
    "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at, trained_until) VALUES"
    " ('a', '', '', 'police_officer', 'ours', now(), '2099-01-01'), ('b', '', '', 'police_officer', 'ours', now(), '2099-01-01')",
)
_ADD = """
  INSERT INTO door_events (
    occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms, clock_quality, replayed, type, credential,
    plausible, batch
  ) VALUES (%(at)s, %(at)s, %(at)s, %(no)s, 7, %(seq)s, 0, 0, 'ntp', false, 'AccessTaken', %(card)s, true, 1)
"""
_TICKET = """
  INSERT INTO look_up_tickets (
    community_id, asked_by, asked_at, purpose, document_number, basis, door, buildings, subject, from_at, to_at, state,
    granted_wall, decided_by, decided_role, decided_at
  ) SELECT 'ours', a.id, %(until)s, 'missing_person', '1234', 'case_file', %(door)s, %(buildings)s, %(subject)s, %(from)s,
    %(to)s, 'granted', %(until)s, b.id, 'police_officer', %(until)s
  FROM users a, users b WHERE a.name = 'a' AND b.name = 'b' RETURNING id
"""
_ASK = """
  SELECT occurred_at, device_no, boot, seq, household_id FROM look_up_events(
    %(ticket)s, (SELECT id FROM users WHERE name = 'a'), %(until)s, %(until)s, %(older)s, %(newer)s, %(no)s, %(boot)s,
    %(seq)s, %(limit)s)
"""


@dataclass(frozen=True, slots=True, order=True)
class Stored:
    at: datetime
    no: int
    boot: int
    seq: int


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with connect(database_url, service="test", autocommit=True) as opened:
        for statement in _LAY_OUT:
            opened.execute(statement)
        opened.execute("SELECT ensure_event_partitions(%s, %s)", (UNTIL - timedelta(days=DAYS), UNTIL))
        yield opened


def _store(connection: Connection, chance: random.Random) -> dict[Stored, str | None]:
    """Events of a hundred and fifty days, most of the last ones, and some of one instant."""
    found: dict[Stored, str | None] = {}
    with connection.transaction():
        for seq in range(1, 241):
            back = timedelta(hours=round(DAYS * 24 * chance.random() ** 3))
            event = Stored(UNTIL - back - timedelta(minutes=1), chance.randint(1, DOORS), 7, seq)
            found[event] = chance.choice([None, "w1", "w2", "kid", "x"])
            connection.execute(_ADD, {"at": event.at, "no": event.no, "seq": event.seq, "card": found[event]})
    return found


def _page(connection: Connection, ticket: int, place: Stored | None, *, is_older: bool) -> list[Stored]:
    values: dict[str, Any] = {"ticket": ticket, "until": UNTIL, "limit": LIMIT}
    at, other = (None, None) if place is None else (place.at, None)
    values |= {"older": at if is_older else other, "newer": other if is_older else at}
    values |= {"no": place and place.no, "boot": place and place.boot, "seq": place and place.seq}
    rows = connection.execute(_ASK, values).fetchall()
    assert all(row["household_id"] == f"h-{row['device_no']}" for row in rows)
    return [Stored(row["occurred_at"], row["device_no"], row["boot"], row["seq"]) for row in rows]


@pytest.mark.parametrize("seed", range(3))
def test_pages_of_a_ticket_are_those_of_the_list_of_all_events(connection: Connection, seed: int) -> None:
    chance = random.Random(seed)
    stored = _store(connection, chance)
    for asked in (
        {"subject": "Wang"},
        {"subject": "Nobody"},
        {"door": "d-2"},
        {"buildings": ["0", "9"]},
        {"subject": "Wang", "buildings": ["1"]},
    ):
        span = {"from": UNTIL - timedelta(days=chance.choice([1, 30, 149])), "to": UNTIL - timedelta(hours=5)}
        given = {"door": "", "buildings": [], "subject": "", "until": UNTIL} | span | asked
        row = connection.execute(_TICKET, given).fetchone()
        assert row is not None
        wanted = sorted(
            event
            for event, card in stored.items()
            if span["from"] <= event.at < span["to"] and event.no != DOORS and card != "kid"
            and (given["door"] in ("", f"d-{event.no}"))
            and (not given["buildings"] or str(event.no // 3) in given["buildings"])
            and (not given["subject"] or (card in ("w1", "w2") and given["subject"] == "Wang"))
        )  # fmt: skip
        found: list[Stored] = []
        while page := _page(connection, row["id"], found[-1] if found else None, is_older=True):
            found += page
        assert found == wanted[::-1], (seed, asked)
        back = found[-1:]
        while (
            page := _page(connection, row["id"], back[-1] if back else None, is_older=False) if back else []
        ):
            back += page
        assert back == wanted, (seed, asked)
