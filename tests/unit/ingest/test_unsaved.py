"""What changes often and is written seldom: at once when new, else after a while, never lost before a commit."""

from __future__ import annotations

from ingest.rows.book import is_of_group
from ingest.rows.event_rows import boot_number, boot_text
from ingest.rows.unsaved import Unsaved
from ingest.subscriber import client_id_of, subscriptions_of
from kaimen.wire import shard_of


def test_what_is_new_is_due_at_once_and_what_repeats_waits_its_time() -> None:
    unsaved: Unsaved[str, int] = Unsaved(600)
    unsaved.offer("a", 1, 0, urgent=True)
    assert unsaved.due(0) == [1]
    unsaved.confirm([("a", 1)])
    unsaved.offer("a", 2, 10, urgent=False)
    unsaved.offer("a", 3, 500, urgent=False)
    assert unsaved.due(609) == []
    assert unsaved.due(610) == [3]


def test_what_was_heard_during_the_commit_is_still_to_be_written() -> None:
    unsaved: Unsaved[str, int] = Unsaved(600)
    unsaved.offer("a", 1, 0, urgent=True)
    unsaved.offer("a", 2, 1, urgent=False)
    unsaved.confirm([("a", 1)])
    assert unsaved.due(2) == [2]


def test_a_commit_that_failed_loses_nothing() -> None:
    unsaved: Unsaved[str, int] = Unsaved(600)
    unsaved.offer("a", 1, 0, urgent=True)
    assert unsaved.due(0) == unsaved.due(0) == unsaved.everything() == [1]


def test_early_rows_are_bounded() -> None:
    unsaved: Unsaved[int, int] = Unsaved(600)
    for key in range(10):
        unsaved.offer(key, key, key, urgent=False)
    assert unsaved.due(100, within_ms=60, rows_max=3) == [0, 1, 2]


def test_a_boot_survives_the_signed_column() -> None:
    for boot in ("0000000000000000", "7fffffffffffffff", "8000000000000000", "ffffffffffffffff"):
        assert -(2**63) <= boot_number(boot) < 2**63
        assert boot_text(boot_number(boot)) == boot


def test_every_shard_belongs_to_exactly_one_group_and_its_session_subscribes_it() -> None:
    for groups in (1, 2, 4, 8, 16):
        for site in ("west-gate", "east-gate", "a", "b", "c", "d", "tower-7"):
            owners = [group for group in range(groups) if is_of_group(site, group, groups)]
            assert len(owners) == 1
            digit = "+" if groups == 1 else f"{shard_of(site) >> 4:x}"
            assert (f"kaimen/v1/{digit}/+/+/+/evt", 1) in subscriptions_of(owners[0], groups)
        digits = [topic for group in range(groups) for topic, _ in subscriptions_of(group, groups)]
        assert len(digits) == len(set(digits))
    assert client_id_of(0, 1) == "kaimen-ingest-g0of1"


def test_heartbeats_have_a_subscription_of_their_own_at_quality_zero() -> None:
    assert {topic.rpartition("/")[2]: qos for topic, qos in subscriptions_of(0, 1)} == {
        "evt": 1, "evb": 1, "state": 1, "hb": 0,
    }  # fmt: skip
