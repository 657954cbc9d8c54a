"""The same outages with thousands of homes: one technical case each, and no elder's; prints what it took.

``KAIMEN_TEST_HOMES`` says with how many; without it three hundred have to do (``tests/integration/test_outage_of_many``).
"""

from __future__ import annotations

import os
import time

import pytest

from tests.integration.many_homes import many_homes, play_a_dead_gateway, play_our_own_outage

HOMES, BEHIND = int(os.environ.get("KAIMEN_TEST_HOMES", "0")), 300

pytestmark = [
    pytest.mark.simulation,
    pytest.mark.skipif(HOMES < 1_000, reason="minutes long: KAIMEN_TEST_HOMES=10000 asks for it"),
]


def test_our_own_outage_of_a_day_with_thousands_of_homes(database_url: str) -> None:
    begun = time.monotonic()
    with many_homes(database_url, HOMES) as community:
        play_our_own_outage(community, HOMES)
    print(f"{HOMES} homes, own outage of 24 h: {time.monotonic() - begun:.0f} s")


def test_a_dead_gateway_of_three_hundred_homes_among_thousands(database_url: str) -> None:
    begun = time.monotonic()
    with many_homes(database_url, HOMES, behind_gateway=BEHIND) as community:
        community.start_ingest()
        play_a_dead_gateway(community, BEHIND)
    print(f"{BEHIND} of {HOMES} homes behind a dead gateway: {time.monotonic() - begun:.0f} s")
