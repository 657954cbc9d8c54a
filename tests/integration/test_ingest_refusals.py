"""Wrong input ends in quarantine with its reason, and good messages around it go through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest.detector import stretches
from ingest.groups import group_state
from ingest.store import replay_quarantined
from kaimen import wire
from kaimen.clock import as_datetime
from kaimen.database import connect
from tests.integration.ingest_street import (
    BEGIN_MS,
    HOUR,
    MINUTE,
    SECOND,
    SITE,
    Door,
    count,
    lay_out,
    publishing,
    roomy_broker,
    rows,
    street,
)

GOOD: dict[str, Any] = {
    "v": 1, "boot": "00000000000000aa", "seq": 1, "ts": BEGIN_MS, "up": 1000, "clk": "ntp",
    "type": "DoorPhysicalState", "state": "Open",
}  # fmt: skip


def changed(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def nested() -> bytes:
    """An event with an unknown field that is nested as deep as 60 KB can be."""
    return changed(more=0).replace(b'"more": 0', b'"more": ' + b"[" * 30_000 + b"]" * 30_000)


TOPIC = wire.format_topic(SITE, "door-1", "evt")
ARRAY = wire.format_topic(SITE, "door-1", "evb")

#: reason, topic, payload
WRONG = [
    ("malformed_json", TOPIC, b'{"v":1,'),
    ("malformed_json", TOPIC, b""),
    ("malformed_json", TOPIC, changed(type="A").replace(b'"A"', b'"\\ud800"')),
    ("not_utf8", TOPIC, changed(type="Bell").replace(b"Bell", b"B\xff\xfe")),
    ("not_utf8", TOPIC, b"\xff\xfe\x00\x01"),
    ("wrong_type", TOPIC, changed(seq="seventeen")),
    ("wrong_type", TOPIC, changed(seq=0)),
    ("wrong_type", TOPIC, changed(up=-1)),
    ("wrong_type", TOPIC, changed(ts=2**63)),
    ("wrong_type", TOPIC, changed(boot="xyz")),
    ("wrong_type", TOPIC, changed(clk="sundial")),
    ("wrong_type", TOPIC, changed(type="Be\x00ll")),
    ("wrong_type", TOPIC, b"[]"),
    ("wrong_type", TOPIC, b"17"),
    ("wrong_type", TOPIC, changed(opens=0).replace(b'"opens": 0', b'"opens": 1e400')),
    ("malformed_json", TOPIC, changed(opens=0).replace(b'"opens": 0', b'"opens": NaN')),
    ("malformed_json", TOPIC, nested()),
    ("malformed_json", ARRAY, b"[" + nested() + b"]"),
    ("malformed_json", wire.format_topic(SITE, "door-1", "hb"), nested()),
    ("malformed_json", wire.format_topic(SITE, "door-1", "state"), nested()),
    ("wrong_version", TOPIC, changed(v=2)),
    ("too_large", TOPIC, changed(reason="x" * 70_000)),
    ("too_large", TOPIC, b"[" + b"1," * 5_000_000 + b"1]"),
    ("too_many_events", ARRAY, b"[" + b",".join([b"1"] * 501) + b"]"),
    ("mixed_boots", ARRAY, b"[" + changed() + b"," + changed(boot="00000000000000ab", seq=2) + b"]"),
    ("seq_not_ascending", ARRAY, b"[" + changed(seq=3) + b"," + changed(seq=2) + b"]"),
    ("wrong_type", wire.format_topic(SITE, "door-1", "hb"), b'{"v":1,"boot":"00000000000000aa"}'),
    ("malformed_json", wire.format_topic(SITE, "door-1", "state"), b"online"),
    ("unknown_device", wire.format_topic(SITE, "door-99", "evt"), changed()),
    ("wrong_site", wire.format_topic("elsewhere", "door-1", "evt"), changed()),
    ("wrong_shard", f"kaimen/v1/{'0/0' if wire.shard_of(SITE) else '1/1'}/{SITE}/door-1/evt", changed()),
    ("bad_topic", wire.format_topic(SITE, "door-1", "evt").replace("door-1", "Door-1"), changed()),
    ("implausible_time", TOPIC, changed(seq=70, ts=0, boot="0000000000001970")),
    ("implausible_time", TOPIC, changed(seq=72, boot="0000000000000292", rx=-(2**63))),
    ("implausible_time", TOPIC, changed(seq=73, boot="0000000000000293", ts=-(2**63))),
    ("implausible_time", TOPIC, changed(seq=71, ts=4_070_908_800_000, boot="0000000000002099")),
]  # fmt: skip
#: Strange and right: each is an event. Payload, QoS, retained.
STRANGE = [
    (changed(boot="00000000000000b1", more={"a": ["\0", 1e308]}), 1, False),
    (changed(boot="00000000000000b2", cred="\U00020000·\u2028", reason="\U0001f6aa"), 1, False),
    (changed(boot="00000000000000b3").replace(b'"seq": 1', b'"seq": 7, "seq": 1'), 1, False),
    (changed(boot="00000000000000b4", rx=2**63 - 1) + b"\r\n", 1, False),
    (changed(boot="00000000000000b5"), 2, False),
    (changed(boot="00000000000000b6"), 1, True),
    (changed(boot="00000000000000b7"), 0, False),
]


def test_wrong_input_is_set_aside_by_reason_and_good_messages_go_through(
    database_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with (
        roomy_broker() as broker_url,
        street(database_url, broker_url, tmp_path) as made,
        publishing(broker_url) as publisher,
    ):
        made.start()
        made.move_clock(BEGIN_MS + HOUR)
        for number, (_, topic, payload) in enumerate(WRONG):
            publisher.send(topic, payload)
            publisher.send(*door.opening(BEGIN_MS + number * SECOND))
        for payload, qos, retained in STRANGE:
            publisher.send(TOPIC, payload, qos=qos, retain=retained)
        made.wait_for("door_events", len(WRONG) + len(STRANGE), "plausible")
        made.wait_for("quarantine", len(WRONG))
        made.move_clock(BEGIN_MS + 2 * HOUR)

    found = rows(
        database_url, "SELECT reason, topic, payload, payload_bytes, detail FROM quarantine ORDER BY id"
    )
    # Arrays may be taken after what is said now: nothing is concluded from the order.
    said = sorted((row["reason"], row["topic"]) for row in found)
    assert said == sorted((reason, topic) for reason, topic, _ in WRONG)
    assert all(row["detail"] for row in found)
    assert max(row["payload_bytes"] for row in found) > 10_000_000
    assert max(len(row["payload"]) for row in found) == 64 * 1024
    # Impossible times are shown, and count as nothing.
    assert count(database_url, "door_events", "NOT plausible") == 4
    assert count(database_url, "door_events", "plausible") == len(WRONG) + len(STRANGE)


def test_what_the_database_refuses_for_one_message_is_not_charged_to_those_after_it(
    database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before a boot's base was cut to what a column holds: its row, not the event's, was refused."""
    monkeypatch.setattr(stretches, "BASE_KEPT_MAX_MS", 1 << 70)
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        made.move_clock(BEGIN_MS + MINUTE)
        publisher.send(TOPIC, changed(ts=-(2**63)))
        made.wait_for("quarantine", 1, "reason = 'store_refused'")
        for number in range(3):
            publisher.send(*door.opening(BEGIN_MS + number * SECOND))
        made.wait_for("door_events", 3)
    assert count(database_url, "quarantine") == 1


def test_good_elements_of_an_array_are_taken_and_the_bad_one_is_set_aside(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        publisher.send(ARRAY, b"[" + changed(seq=1) + b"," + changed(seq="2") + b"," + changed(seq=3) + b"]")
        made.wait_for("door_events", 2)
        made.wait_for("quarantine", 1)
    (refused,) = rows(database_url, "SELECT * FROM quarantine")
    assert refused["reason"] == "wrong_type"
    assert json.loads(bytes(refused["payload"])) == [{**GOOD, "seq": "2"}]


def test_copies_of_a_refusal_are_counted_in_one_row(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    impossible = changed(ts=0)
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        for _ in range(3):
            publisher.send(TOPIC, b"{")
            publisher.send(TOPIC, impossible)
        made.wait_for("quarantine", 2, "copies = 3")
    assert count(database_url, "door_events") == 1


def test_messages_of_an_unknown_device_are_taken_by_themselves_once_it_is_registered(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door("door-2")
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        made.move_clock(BEGIN_MS + MINUTE)
        publisher.send(*door.opening(BEGIN_MS + 30 * SECOND))
        publisher.send(*door.heartbeat(BEGIN_MS + 40 * SECOND), qos=0)
        made.wait_for("quarantine", 2, "reason = 'unknown_device'")
        made.move_clock(BEGIN_MS + HOUR)
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO devices (id, site_id, kind, registered_at) VALUES ('door-2', %s, 'controller', %s)",
                (SITE, as_datetime(BEGIN_MS + HOUR)),
            )
        made.wait_for("quarantine", 2, "replayed_at IS NOT NULL")
    (event,) = rows(database_url, "SELECT * FROM door_events")
    assert event["received_at"] == as_datetime(BEGIN_MS + MINUTE), "the receipt is that of the first time"
    assert count(database_url, "coverage_points") == 1


def test_a_person_can_have_a_refused_message_taken_again(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url, homes=2)
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        publisher.send(wire.format_topic("elsewhere", "door-1", "evt"), changed())
        publisher.send(wire.format_topic(SITE, "door-2", "evt"), b"{")
        made.wait_for("quarantine", 2)
        with connect(database_url, service="test") as connection, connection.transaction():
            connection.execute("INSERT INTO sites (id, community_id, name) VALUES ('elsewhere', 'c-1', 'E')")
            connection.execute("UPDATE devices SET site_id = 'elsewhere' WHERE id = 'door-1'")
            ids = [row["id"] for row in connection.execute("SELECT id FROM quarantine").fetchall()]
            assert replay_quarantined(connection, ids) == 2
        made.wait_for("quarantine", 1, "reason = 'wrong_site' AND replayed_at IS NOT NULL")
        made.wait_for(
            "quarantine", 1, "reason = 'malformed_json' AND replayed_at IS NULL AND NOT replay_asked"
        )
    assert count(database_url, "door_events") == 1


@pytest.mark.parametrize("refused_at", [0, 7, 19])
def test_one_event_the_database_will_not_take_does_not_hold_up_the_others(
    database_url: str, broker_url: str, tmp_path: Path, refused_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_state, "ROWS_AT_ONCE", 4)  # refused while others are still being judged
    lay_out(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE door_events ADD CHECK (reason IS DISTINCT FROM 'poison')")
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        made.move_clock(BEGIN_MS + MINUTE)
        publisher.send_all(
            [
                door.opening(BEGIN_MS + n * SECOND, reason="poison" if n == refused_at else None)
                for n in range(20)
            ]
        )
        made.wait_for("door_events", 19)
        made.wait_for("quarantine", 1, "reason = 'store_refused'")
        publisher.send(*door.opening(BEGIN_MS + 21 * SECOND))
        made.wait_for("door_events", 20)
    assert count(database_url, "quarantine") == 1
