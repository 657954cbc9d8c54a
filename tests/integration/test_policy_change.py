"""A policy, a consent and a household that change while the service runs: judged anew at once, and nothing taken back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kaimen.clock import as_datetime
from tests.integration.many_homes import BEGIN_MS, DAY, HOUR, MINUTE, SECOND, Community, many_homes
from tests.integration.test_doors_change import change

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def street(database_url: str) -> Iterator[Community]:
    with many_homes(database_url, 2) as community:
        community.start_ingest()
        at = BEGIN_MS + MINUTE
        community.move_to(at, [door.opening(at) for door in community.doors.values()])
        yield community


def stay(street: Community, first: int, last: int) -> None:
    """Nobody opens; every door and the gateway are heard each quarter of an hour."""
    for quarter in range(4 * first, 4 * last):
        at = BEGIN_MS + quarter * 15 * MINUTE + 2 * MINUTE
        street.move_to(at, [door.heartbeat(at) for door in (street.gateway, *street.doors.values())])


def announce(street: Community, policy: str, version: int, *hours: int) -> None:
    now = as_datetime(street.clock.now_ms())
    change(
        street,
        (
            "INSERT INTO policies (id, version, thresholds_s, valid_from) VALUES (%s, %s, %s, %s)",
            (policy, version, [hour * 3600 for hour in hours], now),
        ),
    )


def stages(street: Community, household: str) -> list[tuple[int, int]]:
    rows = street.rows(
        "SELECT household_id, stage, at FROM stage_crossings ORDER BY at, stage",
    )
    found = [row for row in rows if row["household_id"] == household]
    return [(row["stage"], (int(row["at"].timestamp() * 1000) - BEGIN_MS - MINUTE) // HOUR) for row in found]


def test_a_stricter_policy_counts_from_the_last_opening_and_needs_no_restart(street: Community) -> None:
    change(street, ("UPDATE households SET policy_id = 'frail' WHERE id = 'h-1'", ()))
    announce(street, "frail", 1, 24, 48, 72)
    stay(street, 1, 10)
    assert stages(street, "h-1") == []
    announce(street, "frail", 2, 8, 12, 72)
    stay(street, 10, 13)
    assert stages(street, "h-1") == [(1, 8), (2, 12)], "what has passed already is announced at its own hour"
    assert stages(street, "h-2") == [], "the other home has another policy"


def test_a_milder_policy_takes_back_no_stage_that_was_announced(street: Community) -> None:
    change(street, ("UPDATE households SET policy_id = 'frail' WHERE id = 'h-1'", ()))
    announce(street, "frail", 1, 4, 12, 72)
    stay(street, 1, 6)
    assert stages(street, "h-1") == [(1, 4)]
    announce(street, "frail", 2, 24, 48, 72)
    stay(street, 6, 14)
    assert stages(street, "h-1") == [(1, 4)], "the second stage waits for the hours that hold now"
    assert street.rows("SELECT 1 FROM crossing_withdrawals") == []


def test_without_consent_nothing_is_judged_and_with_it_again_everything_is(street: Community) -> None:
    stay(street, 1, 2)
    withdrawn = "UPDATE consents SET withdrawn_at = %s WHERE household_id = 'h-1' AND purpose = 'watch'"
    change(street, (withdrawn, (as_datetime(street.clock.now_ms()),)))
    stay(street, 2, 26)
    assert stages(street, "h-1") == []
    assert stages(street, "h-2") == [(1, 24)]
    change(street, (withdrawn, (None,)))
    stay(street, 26, 27)
    assert stages(street, "h-1") == [(1, 24)], "the door was heard all the while"


def test_a_household_that_moves_in_today_is_watched_from_today(street: Community) -> None:
    change(street, ("UPDATE households SET watched_from = NULL WHERE id = 'h-1'", ()))
    stay(street, 1, 5)
    now_ms = street.clock.now_ms()
    change(street, ("UPDATE households SET watched_from = %s WHERE id = 'h-1'", (as_datetime(now_ms),)))
    street.move_to(now_ms + SECOND)
    stay(street, 6, 28)
    assert stages(street, "h-1") == []
    stay(street, 28, 31)
    (crossing,) = street.rows("SELECT stage, at FROM stage_crossings WHERE household_id = 'h-1'")
    assert crossing == {"stage": 1, "at": as_datetime(now_ms + DAY)}
