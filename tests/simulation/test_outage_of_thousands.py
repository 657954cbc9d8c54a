"""The same outages with ten thousand homes: one technical case each, and no elder's; prints what it took."""

from __future__ import annotations

import time

import pytest

from tests.integration.many_homes import many_homes, play_a_dead_gateway, play_our_own_outage

pytestmark = pytest.mark.simulation

HOMES, BEHIND = 10_000, 300


def test_our_own_outage_of_a_day_with_ten_thousand_homes(database_url: str) -> None:
    begun = time.monotonic()
    with many_homes(database_url, HOMES) as community:
        play_our_own_outage(community, HOMES)
    print(f"{HOMES} homes, own outage of 24 h: {time.monotonic() - begun:.0f} s")


def test_a_dead_gateway_of_three_hundred_homes_among_ten_thousand(database_url: str) -> None:
    begun = time.monotonic()
    with many_homes(database_url, HOMES, behind_gateway=BEHIND) as community:
        community.start_ingest()
        play_a_dead_gateway(community, BEHIND)
    print(f"{BEHIND} of {HOMES} homes behind a dead gateway: {time.monotonic() - begun:.0f} s")
