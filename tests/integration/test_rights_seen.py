"""What is not shown: to a blocked relative, to a landlord, of children; what a withdrawal ends at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from alerts.retention import CLASSES, Keeper, change_rule, is_owed, run_retention
from console.quiet import quiet_instant
from kaimen.clock import ManualClock
from kaimen.database import transaction
from tests.integration.console_world import World, add_events, build_world

pytestmark = [pytest.mark.slow, pytest.mark.integration]


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def page_of(client: httpx.Client, path: str = "/family") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return re.sub(r'name="csrf" value="[^"]*"', "", answer.text)


def make_quiet(world: World, household_id: str = "h-wang") -> None:
    """Make the real day a quiet one: known, at no stage, opened when a door opens on a quiet day, in no case."""
    at = quiet_instant(household_id, world.now, "Asia/Shanghai")
    world.write(
        "UPDATE household_states SET stage = 0, known = true, not_known_since = NULL, evidence_at = %s, base_ms = %s,"
        " settled_ms = 0, anchor_at = %s, evidence = '{\"kind\": \"opening\"}' WHERE household_id = %s",
        at, round((world.now - at).total_seconds() * 1000), world.now, household_id,
    )  # fmt: skip
    world.write(
        "UPDATE cases SET state = 'closed', outcome = 'well', closed_at = %s WHERE household_id = %s",
        world.now, household_id,
    )  # fmt: skip


@pytest.mark.parametrize("exact", [False, True])
def test_a_blocked_relatives_page_is_a_quiet_days_page_to_the_byte(world: World, exact: bool) -> None:
    if exact:
        world.write(
            "INSERT INTO consents (household_id, purpose, given_by, given_at)"
            " VALUES ('h-wang', 'exact_times', '本人', %s)", world.now,
        )  # fmt: skip
    real = page_of(world.browser("family"))
    resident = world.browser("resident")
    user = world.user_ids["family"]
    assert world.post(resident, f"/resident/relatives/{user}/block").status_code == 303
    blocked = page_of(world.browser("family"))
    blocked_api = world.browser("family").get("/api/households/h-wang").json()
    assert blocked != real  # the real day is the third without an opening
    make_quiet(world)
    assert world.post(resident, f"/resident/relatives/{user}/unblock").status_code == 303
    relative = world.browser("family")
    assert page_of(relative) == blocked
    assert relative.get("/api/households/h-wang").json() == blocked_api
    actions = [row["action"] for row in world.rows("SELECT action FROM audit_entries ORDER BY id")]
    assert actions.count("relative_blocked") == actions.count("relative_unblocked") == 1


def test_what_a_blocked_relative_says_is_answered_as_ever_and_counts_for_nothing(world: World) -> None:
    world.write(
        "UPDATE user_households SET blocked_at = %s WHERE user_id = %s", world.now, world.user_ids["family"]
    )
    relative = world.browser("family")
    spoke = world.post(relative, "/family/h-wang/spoke", contacted="saw")
    away = world.post(
        relative,
        "/family/h-wang/away",
        reason="travel",
        **{
            "from": f"{world.now + timedelta(days=1):%Y-%m-%dT%H:%M}",
            "to": f"{world.now + timedelta(days=4):%Y-%m-%dT%H:%M}",
        },
    )
    assert spoke.status_code == away.status_code == 303
    assert "notice" in str(spoke.headers["set-cookie"])
    assert world.post(relative, "/family/h-wang/look", note="x").status_code == 404  # as without a case
    assert world.rows("SELECT 1 FROM verified_contacts WHERE household_id = 'h-wang'") == []
    assert world.rows("SELECT 1 FROM absences WHERE household_id = 'h-wang'") == []
    assert [row["detail"]["act"] for row in world.rows(
        "SELECT detail FROM audit_entries WHERE action = 'blocked_word' ORDER BY id")] == ["spoke", "away"]  # fmt: skip


def test_landlords_see_no_opening_and_childrens_ways_are_in_no_log_outside_their_home(world: World) -> None:
    world.write(
        "UPDATE user_households SET relation_words = '房东' WHERE user_id = %s", world.user_ids["family"]
    )
    landlord = world.browser("family")
    page = page_of(landlord)
    assert "3-1-1201" not in page
    assert landlord.get("/api/households").json()["items"] == []
    assert landlord.get("/api/households/h-wang").status_code == 404
    assert landlord.get("/api/cases").json()["items"] == []
    assert world.post(landlord, "/family/h-wang/spoke", contacted="saw").status_code == 404
    # Children.
    add_events(world, "d-h-wang", 2, credential="c-h-wang")
    path = "/access-log?door=d-h-wang"
    world.write("UPDATE persons SET birth_year = %s WHERE id = 'p-h-wang'", world.now.year - 40)
    assert "c-h-wang" in world.rows("SELECT string_agg(credential, ',') AS c FROM door_events")[0]["c"]
    adult = world.browser("clerk").get(path).text
    world.write("UPDATE persons SET birth_year = %s WHERE id = 'p-h-wang'", world.now.year - 14)
    child = world.browser("clerk").get(path).text
    assert adult.count("d-h-wang") > child.count("d-h-wang")
    exported = world.rows("SELECT prosrc FROM pg_proc WHERE proname = 'look_up_events'")[0]["prosrc"]
    assert "may_be_under_14" in exported  # police look-ups read by the same rule


# --- Withdrawal ---------------------------------------------------------------------------------------------------


def test_a_withdrawn_watch_lets_go_of_the_case_at_once_and_not_as_well(world: World) -> None:
    clerk = world.browser("clerk")
    assert world.post(clerk, "/households/h-sun/consents/watch/withdraw").status_code == 303
    assert world.rows("SELECT state, outcome FROM cases WHERE household_id = 'h-sun'") == [
        {"state": "closed", "outcome": "consent_withdrawn"}
    ]
    assert world.rows("SELECT 1 FROM verified_contacts WHERE household_id = 'h-sun'") == []
    board = clerk.get("/morning").text
    assert "1-3-0601" not in board
    # At the third day a person decides, and is asked to.
    assert world.post(clerk, "/households/h-wang/consents/watch/withdraw").status_code == 303
    wang = world.rows("SELECT state, proposal->>'outcome' AS asked FROM cases WHERE household_id = 'h-wang'")
    assert wang[0]["state"] != "closed"
    assert wang[0]["asked"] == "consent_withdrawn"


def test_a_family_no_longer_to_be_told_gets_nothing_more_from_page_api_or_outbox(world: World) -> None:
    user = world.user_ids["family"]
    world.write(
        "INSERT INTO outbox (case_id, step, person, channel, idempotency_key, template, state, created_at, not_before)"
        " VALUES (%s, 'call', %s, 'sms', 'k-f', 'case', 'planned', %s, %s),"
        " (%s, 'call', 'community:wenchang', 'sms', 'k-c', 'case', 'planned', %s, %s)",
        world.case_ids["wang"], f"user:{user}", world.now, world.now, world.case_ids["wang"], world.now, world.now,
    )  # fmt: skip
    resident = world.browser("resident")
    assert world.post(resident, "/resident/consents/notify_family/withdraw").status_code == 303
    states = {row["idempotency_key"]: row["state"] for row in world.rows("SELECT * FROM outbox")}
    assert states == {"k-f": "superseded", "k-c": "planned"}
    relative = world.browser("family")
    assert "h-wang" not in page_of(relative)  # no form of hers
    item = relative.get("/api/households/h-wang").json()
    assert item["last_evidence"] is None
    assert not item["watched"]


# --- Retention ----------------------------------------------------------------------------------------------------


def furnish_old(world: World) -> None:
    """A closed case, its words and openings of three years ago, of Sun's home and of Li's."""
    old = world.now - timedelta(days=1100)
    add_events(world, "d-h-sun", 2, credential="c-h-sun")
    for household_id in ("h-sun", "h-li"):
        with transaction(world.pool) as connection:
            connection.execute("SELECT ensure_event_partitions(%s, %s)", (old, old))
            connection.execute(
                "INSERT INTO door_events SELECT %s, %s, %s, device_no, (SELECT no FROM households WHERE id = %s), 5,"
                " seq, ts_ms, up_ms, clock_quality, replayed, type, state, direction, method, credential, opens,"
                " reason, door, plausible, batch FROM door_events WHERE boot = 7",
                (old, old, old, household_id),
            )
        case = world.rows(
            "INSERT INTO cases (number, community_id, household_id, cause, state, opened_at, stage_at, policy, outcome,"
            " closed_at) VALUES (%s, 'wenchang', %s, 'inactivity', 'closed', %s, %s, '{}', 'well', %s) RETURNING id",
            f"old-{household_id}", household_id, old, old, old,
        )[0]["id"]  # fmt: skip
        world.write("INSERT INTO case_entries (case_id, at, words) VALUES (%s, %s, 'opened')", case, old)
        world.write(
            "INSERT INTO outbox (case_id, step, person, channel, idempotency_key, template, state, created_at,"
            " not_before) VALUES (%s, 'call', 'user:1', 'sms', %s, 'case', 'confirmed', %s, %s)",
            case, f"old-{household_id}", old, old,
        )  # fmt: skip


def test_each_class_goes_when_its_time_is_over_and_a_held_home_is_left_alone(world: World) -> None:
    furnish_old(world)
    world.write(
        "INSERT INTO legal_holds (person_id, household_id, authority, document, until_at, asked_by, asked_at)"
        " VALUES ('p-h-li', 'h-li', '区法院', '2025-12', %s, 'user:1', %s)",
        world.now + timedelta(days=3), world.now,
    )  # fmt: skip
    before = world.rows("SELECT count(*) AS n FROM door_events")[0]["n"]
    counted = run_retention(world.pool, now=world.now, by="test", dry=True)
    assert world.rows("SELECT count(*) AS n FROM door_events")[0]["n"] == before
    assert not any(removed.failure for removed in counted.values())
    assert set(counted) == set(CLASSES)
    assert (counted["door_events"].rows, counted["cases"].rows, counted["messages"].rows) == (2, 1, 1)
    old_note = "INSERT INTO registry_changes (household_id, recorded_at) VALUES ('h-li', '2020-01-01')"
    world.write(old_note)
    world.write(old_note)
    assert Keeper(world.pool, world.clock).turn() is not None
    (note,) = world.rows("SELECT id FROM registry_changes WHERE recorded_at < '2021-01-01'")
    assert world.rows("SELECT max(id) AS id FROM registry_changes") == [note], (
        "by the newest a change is known"
    )
    left = world.rows("SELECT household_id FROM cases WHERE number LIKE 'old-%%'")
    assert [row["household_id"] for row in left] == ["h-li"]
    assert world.rows("SELECT count(*) AS n FROM door_events")[0]["n"] == before - 2
    assert world.rows("SELECT 1 FROM outbox WHERE idempotency_key = 'old-h-li'")
    runs = world.rows("SELECT ran_by, dry, report FROM retention_runs ORDER BY id")
    assert [(run["ran_by"], run["dry"]) for run in runs] == [("test", True), ("service", False)]
    assert runs[1]["report"]["cases"]["rows"] == 1
    assert runs[1]["report"]["cases"]["held"] == 1
    assert Keeper(world.pool, world.clock).turn() is None  # once a night
    assert is_owed(world.now + timedelta(days=1), world.now)
    # The hold over, the rest goes with the next run, and the day's partition as a whole.
    later = world.now + timedelta(days=4)
    run_retention(world.pool, now=later, by="test", dry=False)
    assert world.rows("SELECT 1 FROM cases WHERE number = 'old-h-li'") == []
    day = world.now - timedelta(days=1100)
    assert world.rows("SELECT to_regclass(%s) AS part", f"door_events_{day:%Y%m%d}")[0]["part"] is None


def test_a_period_stays_within_its_bounds_and_every_table_that_hangs_on_a_class_is_in_its_steps(
    world: World,
) -> None:
    with transaction(world.pool) as connection:
        assert not change_rule(connection, "door_events", 30, by="user:1", now=world.now)
        assert change_rule(connection, "door_events", 400, by="user:1", now=world.now)
    admin = world.browser("admin")
    assert world.post(admin, "/admin/retention/period", name="cases", days="1").status_code == 422
    assert world.post(admin, "/admin/retention/period", name="cases", days="800").status_code == 303
    assert world.post(admin, "/admin/retention/dry-run").status_code == 303
    page = admin.get("/admin/retention").text
    assert 'value="800"' in page
    assert 'value="400"' in page
    # Whoever adds a table that points at cases, tasks, messages or signals says there what becomes of its rows.
    from kaimen.database import queries

    steps = " ".join(queries("alerts", "retention.sql").values())
    rows = world.rows(
        "SELECT DISTINCT conrelid::regclass::text AS child FROM pg_constraint WHERE contype = 'f' AND confrelid IN"
        " ('cases'::regclass, 'tasks'::regclass, 'outbox'::regclass, 'signals'::regclass, 'calls'::regclass)"
    )
    assert [row["child"] for row in rows if not re.search(rf"\b{row['child']}\b", steps)] == []


# --- Pages of the desk --------------------------------------------------------------------------------------------


def test_the_desk_deletes_with_its_certificate_and_the_resident_takes_her_copy(world: World) -> None:
    clerk = world.browser("clerk")
    base = "/households/h-sun/rights"
    assert clerk.get(base).status_code == 200
    taken = world.post(clerk, f"{base}/p-h-sun/export")
    assert taken.headers["content-type"] == "application/zip"
    assert world.post(clerk, f"{base}/p-h-sun/delete", asked_by="self").status_code == 422
    assert world.post(clerk, f"{base}/p-h-wang/delete", asked_by="self", sure="yes").status_code == 404
    open_case = world.post(clerk, "/households/h-wang/rights/p-h-wang/delete", asked_by="self", sure="yes")
    assert open_case.status_code == 409
    assert world.post(clerk, f"{base}/p-h-sun/delete", asked_by="self", sure="yes").status_code == 303
    assert world.rows("SELECT 1 FROM persons WHERE id = 'p-h-sun'") == []
    certificate = clerk.get(f"{base}/p-h-sun/certificate")
    assert certificate.headers["content-type"] == "application/zip"
    resident = world.browser("resident")
    own = world.post(resident, "/resident/export")
    assert own.headers["content-type"] == "application/zip"
    assert world.post(resident, "/resident/ask-deletion").status_code == 303
    assert world.post(resident, "/resident/ask-correction").status_code == 303
    notes = clerk.get("/desk-notes").text
    assert "想删除个人信息" in notes and "想更正个人信息" in notes
    # Who looked has the new acts, for the desk and for herself.
    assert "导出个人信息" in clerk.get("/looked?household=h-sun").text
    world.post(clerk, "/households/h-wang/rights/p-h-wang/export")
    assert "导出个人信息" in resident.get("/resident/looked").text
