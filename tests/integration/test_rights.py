"""Rights of a person: her data leave in one package or are deleted in one act, and a restored backup catches up."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.audit import chain as audit
from console.audit import sealing
from console.rights import holds
from console.rights.deletion import (
    MARK,
    Author,
    Deleted,
    DeletionRefusal,
    DeletionRefusedError,
    delete_person,
    hash_certificate,
    read_review,
    settle_review,
)
from console.rights.export import export_person, seal_certificate
from console.rights.ledger import LedgerError, load_lines, read_file, reapply_deletions, sync_file
from kaimen.clock import ManualClock
from kaimen.database import Connection, transaction
from tests.integration.console_world import World, add_events, build_world

pytestmark = [pytest.mark.slow, pytest.mark.integration]

NAME, PHONE = "孙兰芳", "13655556666"
KEY = b"a key of tests"


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    furnish(built)
    yield built
    built.close()


def furnish(world: World) -> None:
    """Give h-sun, a warning's home, everything that can be stored of her, in words that name her."""
    now = world.now
    case = world.case_ids["sun"]
    world.write("UPDATE person_identities SET name = %s, phone = %s WHERE person_id = 'p-h-sun'", NAME, PHONE)
    add_events(world, "d-h-sun", 3, credential="c-h-sun")
    world.write("UPDATE door_events SET household_no = (SELECT no FROM households WHERE id = 'h-sun')")
    with transaction(world.pool) as connection:
        old = now - timedelta(days=95)
        connection.execute("SELECT ensure_event_partitions(%s, %s)", (old, old))
        connection.execute(
            "INSERT INTO door_events SELECT %s, %s, %s, device_no, household_no, 6, seq, ts_ms, up_ms, clock_quality,"
            " replayed, type, state, direction, method, credential, opens, reason, door, plausible, batch"
            " FROM door_events",
            (old, old, old),
        )
    world.write("INSERT INTO persons (id, relation) VALUES ('p-niece', 'family')")
    world.write("INSERT INTO person_identities VALUES ('p-niece', '孙小侄', '13877778888')")
    world.write("INSERT INTO household_contacts VALUES ('h-sun', 'p-niece', 'family', 1, '侄女')")
    world.write("UPDATE case_entries SET note = %s WHERE case_id = %s", f"{NAME}说她很好", case)
    world.write(
        "INSERT INTO tasks (case_id, household_id, kind, role, state, created_at, start_at, due_at, witness, note)"
        " VALUES (%s, 'h-sun', 'call', 'property_clerk', 'done', %s, %s, %s, %s, %s)",
        case, now, now, now, NAME, f"打 {PHONE}",
    )  # fmt: skip
    world.write(
        "INSERT INTO outbox (case_id, step, person, channel, idempotency_key, template, args, state, created_at,"
        " not_before) VALUES (%s, 'warning', 'person:p-niece', 'sms', 'k-1', 'case', %s, 'planned', %s, %s)",
        case, json.dumps({"who": NAME}), now, now,
    )  # fmt: skip
    world.write(
        "INSERT INTO verified_contacts (household_id, at, how, witness, recorded_at) VALUES ('h-sun', %s, 'saw', %s, %s)",
        now - timedelta(days=3), NAME, now,
    )  # fmt: skip
    world.write(
        "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
        " VALUES ('h-sun', %s, %s, 'travel', %s, %s)",
        now - timedelta(days=9), now - timedelta(days=8), NAME, now - timedelta(days=9),
    )  # fmt: skip
    world.write(
        "INSERT INTO quarantine (received_at, topic, channel, payload, payload_bytes, payload_sha256, reason, detail)"
        " VALUES (%s, 'kaimen/v1/0/0/site-wenchang/x/evt', 'evt', %s, 9, 'x', 'malformed_json', '')",
        now, f'{{"owner": "{NAME}"}}'.encode(),
    )  # fmt: skip
    world.write(
        "INSERT INTO voice_recordings VALUES ('wenchang', 'greeting', 'zh', 'sound', %s, %s, %s)",
        NAME, world.user_ids["clerk"], now,
    )  # fmt: skip
    for home in ("h-sun", "h-wang"):
        world.write(
            "INSERT INTO home_voices VALUES (%s, 'elder.greeting', 'zh', %s, true, '', 'sound', %s, %s, %s)",
            home, world.user_ids["clerk"], NAME, now, now,
        )  # fmt: skip
    # Somebody else's case speaks of her too.
    world.write(
        "UPDATE case_entries SET note = %s WHERE case_id = %s",
        f"邻居{NAME}有钥匙", world.case_ids["zhao"],
    )  # fmt: skip
    world.write(
        "INSERT INTO phone_changes (person_id, old_phone, new_phone, settled) VALUES ('p-h-sun', %s, NULL, true)",
        PHONE,
    )


def author(world: World) -> Author:
    return Author(f"user:{world.user_ids['clerk']}", "property_clerk", KEY, "wenchang")


def delete(world: World, person_id: str = "p-h-sun", **words: Any) -> Deleted:
    with transaction(world.pool) as connection:
        return delete_person(
            connection, person_id, **{"asked_by": "self", "author": author(world), "now": world.now, **words}
        )


def places_of(world: World, *words: str) -> set[tuple[str, str]]:
    rows = world.rows("SELECT in_table, in_column FROM find_words(%s)", list(words))
    return {(row["in_table"], row["in_column"]) for row in rows}


def test_deleting_takes_her_name_from_every_table_and_leaves_what_others_need_without_her(
    world: World,
) -> None:
    before = places_of(world, NAME, PHONE, "孙小侄", "13877778888")
    assert {table for table, _ in before} >= {
        "person_identities", "case_entries", "tasks", "outbox", "verified_contacts", "absences", "quarantine",
        "voice_recordings", "home_voices", "phone_changes",
    }  # fmt: skip
    done = delete(world)
    assert places_of(world, NAME, PHONE, "孙小侄", "13877778888") == set()
    assert world.rows("SELECT 1 FROM persons WHERE id IN ('p-h-sun', 'p-niece')") == []
    assert done.certificate["removed"]["relatives"] == 1
    assert done.certificate["removed"]["openings_deleted"] == 3
    assert done.certificate["removed"]["openings_stripped"] >= 3
    assert {item["what"] for item in done.certificate["kept"]} == {
        "ledger", "audit", "look_ups", "cases", "door_events", "consents",
    }  # fmt: skip
    # What others need stays without her.
    case = world.rows("SELECT state, outcome, closed_by FROM cases WHERE household_id = 'h-sun'")
    assert case == [{"state": "closed", "outcome": "consent_withdrawn", "closed_by": "consent"}]
    events = world.rows("SELECT household_no, credential, seq FROM door_events ORDER BY seq")
    assert [row["seq"] for row in events] == [1, 2, 3]  # a device's count has no hole the detector would see
    assert all(row["household_no"] is None and row["credential"] is None for row in events)
    assert world.rows("SELECT watched_from FROM households WHERE id = 'h-sun'") == [{"watched_from": None}]
    assert world.rows("SELECT name FROM person_identities WHERE person_id = 'p-h-wang'") == [
        {"name": "王秀英"}
    ]
    assert world.rows("SELECT 1 FROM outbox WHERE state = 'planned' AND idempotency_key = 'k-1'") == []
    # Words elsewhere are marked, and wait for somebody to read them.
    assert done.certificate["flagged_for_review"] == 1
    review = world.rows("SELECT * FROM note_reviews")[0]
    with transaction(world.pool) as connection:
        assert read_review(connection, review) == f"邻居{MARK}有钥匙"
        settled = settle_review(
            connection, review["id"], community_id="binhe", erase=True, by="user:1", now=world.now
        )
        assert settled is None  # another community's
        assert settle_review(
            connection, review["id"], community_id="wenchang", erase=True, by="user:1", now=world.now
        )
        assert read_review(connection, review) == ""


def test_a_name_somebody_else_bears_is_flagged_and_left_to_who_reads_it(world: World) -> None:
    world.write("UPDATE person_identities SET name = %s WHERE person_id = 'p-h-li'", NAME)
    done = delete(world)
    assert ("case_entries", "note") in places_of(world, NAME)
    assert done.certificate["flagged_for_review"] >= 1
    assert world.rows("SELECT name FROM person_identities WHERE person_id = 'p-h-li'") == [{"name": NAME}]


def test_twice_is_once_and_the_chain_stays_whole(world: World) -> None:
    with transaction(world.pool) as connection:
        export_person(
            connection, "p-h-sun", author=author(world), now=world.now, language="zh", zone="Asia/Shanghai"
        )
    first = delete(world)
    second = delete(world)
    assert (first.already, second.already) == (False, True)
    assert second.certificate == first.certificate
    assert first.certificate["hash"] == hash_certificate(first.certificate)
    entries = world.rows("SELECT object_id, detail FROM audit_entries WHERE action = 'person_deleted'")
    assert len(entries) == 1
    assert entries[0]["detail"]["certificate"] == first.certificate["hash"]
    assert NAME not in str(world.rows("SELECT * FROM audit_entries"))
    with transaction(world.pool) as connection:
        assert audit.verify(connection, key=KEY).sound
    package = seal_certificate(first.certificate, language="en", zone="Asia/Shanghai", now=world.now, key=KEY)
    assert sealing.check(package, KEY).sound


def test_a_case_a_person_must_settle_stops_a_deletion_and_nothing_is_changed(world: World) -> None:
    with pytest.raises(DeletionRefusedError) as refused:
        delete(world, "p-h-wang")  # the third day: a visit is asked for
    assert refused.value.reason is DeletionRefusal.CASE_OPEN
    standing = world.rows("SELECT 1 FROM consents WHERE household_id = 'h-wang' AND withdrawn_at IS NULL")
    assert len(standing) == 2
    assert world.rows("SELECT name FROM person_identities WHERE person_id = 'p-h-wang'")
    # Of a restored backup the case is of the old days, and does not bring her back.
    with transaction(world.pool) as connection:
        done = delete_person(
            connection, "p-h-wang", asked_by="restored", author=author(world), now=world.now,
            deleted_at=world.now - timedelta(days=1),
        )  # fmt: skip
    assert done.certificate["asked_by"] == "restored"
    assert world.rows("SELECT 1 FROM cases WHERE household_id = 'h-wang' AND state <> 'closed'") == []
    assert (
        world.rows("SELECT 1 FROM tasks WHERE household_id = 'h-wang' AND state IN ('open', 'claimed')") == []
    )


def test_who_lives_with_others_goes_alone(world: World) -> None:
    world.write("INSERT INTO persons (id, household_id, relation) VALUES ('p-zhou', 'h-sun', 'resident')")
    done = delete(world)
    assert not done.certificate["whole_household"]
    assert places_of(world, NAME) == set()
    assert world.rows("SELECT 1 FROM consents WHERE household_id = 'h-sun' AND withdrawn_at IS NULL")
    events = world.rows("SELECT household_no, credential FROM door_events")
    assert len(events) == 6
    assert all(row["household_no"] is not None and row["credential"] is None for row in events)


# --- Holds --------------------------------------------------------------------------------------------------------


def place(connection: Connection, now: datetime, by: str = "user:1") -> int:
    return holds.place_hold(
        connection, person_id="p-h-sun", authority="区法院", document="(2025)民初12号",
        until_at=now + timedelta(days=60), by=by, now=now,
    )  # fmt: skip


def test_a_hold_stops_deletion_until_two_people_end_it(world: World) -> None:
    now = world.now
    with transaction(world.pool) as connection:
        hold_id = place(connection, now)
    with pytest.raises(DeletionRefusedError) as refused:
        delete(world)
    assert (refused.value.reason, refused.value.detail) == (DeletionRefusal.HELD, "(2025)民初12号")
    with transaction(world.pool) as connection:
        hold = holds.load_hold(connection, hold_id, now=now)
        assert hold is not None
        with pytest.raises(holds.HoldRefusedError):
            holds.confirm_hold(connection, hold[0], by="user:1", now=now)
        holds.confirm_hold(connection, hold[0], by="user:2", now=now)
        assert not holds.end_hold(connection, hold[0], by="user:2", now=now)
    with transaction(world.pool) as connection:
        again = holds.load_hold(connection, hold_id, now=now)
        assert again is not None
        with pytest.raises(holds.HoldRefusedError):
            holds.end_hold(connection, again[0], by="user:2", now=now)
        assert holds.end_hold(connection, again[0], by="user:1", now=now)
    assert not delete(world).already


def test_a_hold_nobody_confirms_lapses_and_every_hold_ends_with_its_day(world: World) -> None:
    now = world.now

    def stands(connection: Connection, days: int) -> bool:
        later = now + timedelta(days=days)
        held = holds.standing_hold(connection, person_id="p-h-sun", household_id="h-sun", now=later)
        return held is not None

    with transaction(world.pool) as connection:
        hold_id = place(connection, now)
        assert [stands(connection, days) for days in (6, 8)] == [True, False]
        found = holds.load_hold(connection, hold_id, now=now)
        assert found is not None
        holds.confirm_hold(connection, found[0], by="user:2", now=now)
        assert [stands(connection, days) for days in (6, 8, 59, 61)] == [True, True, True, False]
    with transaction(world.pool) as connection:
        package = export_person(
            connection, "p-niece", author=author(world), now=now, language="en", zone="Asia/Shanghai"
        )
    with zipfile.ZipFile(io.BytesIO(package.data)) as files:
        text = files.read("person.json").decode()
    assert "孙小侄" in text  # a relative's package tells nothing of the elder
    assert NAME not in text
    assert json.loads(text)["sections"]["events"] == []
    assert json.loads(text)["sections"]["voices"] == []  # nor lets a relative hear what others spoke


# --- Export -------------------------------------------------------------------------------------------------------


def test_a_package_holds_everything_of_her_and_is_checked_without_the_database(world: World) -> None:
    with transaction(world.pool) as connection:
        package = export_person(
            connection, "p-h-sun", author=author(world), now=world.now, language="zh", zone="Asia/Shanghai"
        )
    report = sealing.check(package.data, KEY)
    assert report.sound
    assert report.facts["chain"]["entry_id"] == package.entry_id
    with zipfile.ZipFile(io.BytesIO(package.data)) as files:
        body = json.loads(files.read("person.json"))
        page = files.read("person.html").decode()
        (voice, of_all) = body["sections"]["voices"]  # heard at her home, and spoken by her for the community
        assert (voice["heard_at"], of_all["heard_at"]) == ("home", "community")
        assert [files.read(row["file"]) for row in (voice, of_all)] == [b"sound", b"sound"]
    assert body["person"]["name"] == NAME
    assert len(body["sections"]["events"]) == 6
    assert {"consents", "cases", "entries", "words", "absences", "looks"} <= body["sections"].keys()
    assert PHONE in {row["old_phone"] for row in body["sections"]["telephone"]}
    assert f"{NAME}说她很好" in page
    # Whoever it is about reads her own words and her own clock; what is stored stays in the JSON.
    assert re.findall(r"<th>([a-z_]+)</th>", page) == []
    assert re.findall(r"<td[^>]*>(\d{4}-\d\d-\d\dT[^<]*)</td>", page) == []
    assert 'name="viewport"' in page and "留意我家的门" in page and ">watch</td>" not in page
    assert "王秀英" not in page
    entry = world.rows("SELECT detail FROM audit_entries WHERE action = 'person_exported'")[0]["detail"]
    assert entry["household"] == "h-sun"  # so her own page of who looked has it


# --- The ledger and a restored backup -----------------------------------------------------------------------------


def test_a_restored_backup_forgets_again_what_was_deleted_withdrawn_and_blocked_since(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "rights-ledger.jsonl"
    now = world.now
    backup = _Backup(world)
    delete(world)
    world.write(
        "UPDATE consents SET withdrawn_at = %s WHERE household_id = 'h-li' AND purpose = 'watch'", now
    )
    world.write(
        "UPDATE user_households SET blocked_at = %s WHERE household_id = 'h-wang' AND user_id = %s",
        now, world.user_ids["family"],
    )  # fmt: skip
    # Withdrawn and given again: the last word counts.
    world.write("UPDATE consents SET withdrawn_at = %s WHERE household_id = 'h-zhao'", now)
    world.write(
        "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES ('h-zhao', 'watch', '本人', %s)",
        now + timedelta(minutes=1),
    )
    with transaction(world.pool) as connection:
        assert sync_file(connection, path, KEY) > 0
        assert sync_file(connection, path, KEY) == 0
        known = len(load_lines(connection))
    assert len(read_file(path, KEY)) == known
    text = path.read_text(encoding="utf-8")
    assert NAME not in text
    assert "本人" not in text
    assert path.stat().st_mode & 0o077 == 0

    restored = backup.restore()
    try:
        assert places_of(restored, NAME)
        with transaction(restored.pool) as connection:
            done = reapply_deletions(connection, path, audit_key=KEY, now=restored.now)
        assert (done.deleted, done.withdrawn, done.blocked, done.unknown) == (1, 1, 1, 0)
        assert places_of(restored, NAME, PHONE) == set()
        assert restored.rows("SELECT asked_by, deleted_at FROM person_deletions") == [
            {"asked_by": "restored", "deleted_at": now}
        ]
        watched = restored.rows(
            "SELECT household_id FROM consents WHERE purpose = 'watch' AND withdrawn_at IS NULL ORDER BY 1"
        )
        assert [row["household_id"] for row in watched] == ["h-other", "h-wang", "h-zhao"]
        with transaction(restored.pool) as connection:
            again = reapply_deletions(connection, path, audit_key=KEY, now=restored.now)
            assert again.total == 0
            assert audit.verify(connection, key=KEY).sound
    finally:
        backup.drop(restored)


def test_a_ledger_somebody_changed_is_refused_by_its_line(world: World, tmp_path: Path) -> None:
    path = tmp_path / "rights-ledger.jsonl"
    delete(world)
    with transaction(world.pool) as connection:
        sync_file(connection, path, KEY)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[-1] = lines[-1].replace("p-h-sun", "p-h-wang")
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(LedgerError, match=f"line {len(lines)}"):
        read_file(path, KEY)
    with pytest.raises(LedgerError):
        read_file(tmp_path / "rights-ledger.jsonl", b"another key")
    for statement in (
        "DELETE FROM rights_ledger", "TRUNCATE rights_ledger", "UPDATE rights_ledger SET at = now()",
        "DELETE FROM person_deletions",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.RestrictViolation):
            world.write(statement)


class _Backup:
    """A copy of the world's database, made as it is now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._name = world.url.rsplit("/", 1)[1] + "_copy"
        self._admin = world.url.rsplit("/", 1)[0] + "/postgres"
        world.close()
        with psycopg.connect(self._admin, autocommit=True) as connection:
            source = world.url.rsplit("/", 1)[1]
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (source,)
            )
            connection.execute(f'CREATE DATABASE "{self._name}" TEMPLATE "{source}"')  # type: ignore[arg-type]
        from kaimen.database import open_pool

        world.pool = open_pool(world.url, service="test", size_max=2)

    def restore(self) -> World:
        from kaimen.database import open_pool

        url = self._world.url.rsplit("/", 1)[0] + "/" + self._name
        pool = open_pool(url, service="test", size_max=2)
        return World(url, self._world.clock, self._world.wall, pool, self._world.app_pool, self._world.app)

    def drop(self, restored: World) -> None:
        restored.pool.close()
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{self._name}" WITH (FORCE)')  # type: ignore[arg-type]
