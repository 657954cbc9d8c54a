"""An outage of our own and a dead gateway, with three hundred homes: one technical case each, and no elder's."""

from __future__ import annotations

import pytest

from tests.integration.many_homes import many_homes, play_a_dead_gateway, play_our_own_outage

HOMES, BEHIND = 300, 100


@pytest.mark.slow
@pytest.mark.one_store
def test_our_own_outage_of_a_day_makes_one_technical_case_and_no_elders(database_url: str) -> None:
    with many_homes(database_url, HOMES) as community:
        play_our_own_outage(community, HOMES)


@pytest.mark.slow
@pytest.mark.one_store
def test_a_dead_gateway_makes_one_technical_case_and_no_elders(database_url: str) -> None:
    with many_homes(database_url, HOMES, behind_gateway=BEHIND) as community:
        community.start_ingest()
        play_a_dead_gateway(community, BEHIND)


@pytest.mark.slow
@pytest.mark.one_store
def test_our_own_outage_is_the_same_where_homes_are_judged_some_at_a_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.replay.JUDGED_PER_PULSE", 3)
    with many_homes(database_url, 40) as community:
        play_our_own_outage(community, 40)
