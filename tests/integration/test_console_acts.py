"""What people do: acts on cases and tasks, each in one transaction with its entry in the audit chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from psycopg.types.json import Jsonb

from console.audit import chain as audit
from console.audit.checkpoints import read_checkpoints
from console.audit.noting import note_end
from console.words import load_catalogue
from kaimen.clock import ManualClock
from kaimen.database import transaction
from tests.integration.console_world import World, add_events, build_world
from tests.integration.tickets_world import granted, read


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def _state(world: World, key: str) -> dict[str, object]:
    return world.rows("SELECT * FROM cases WHERE id = %s", world.case_ids[key])[0]


def _actions(world: World) -> list[str]:
    return [row["action"] for row in world.rows("SELECT action FROM audit_entries ORDER BY id")]


def test_a_page_fetched_to_be_kept_leaves_what_was_done_to_the_page_she_reads(world: World) -> None:
    clerk, path = world.browser("clerk"), f"/cases/{world.case_ids['wang']}"
    assert world.post(clerk, f"{path}/claim").status_code == 303
    assert "strip-notice" not in clerk.get(path, headers={"x-kaimen-keeping": "yes"}).text
    assert "strip-notice" in clerk.get(path).text
    assert "strip-notice" not in clerk.get(path).text


def test_a_case_is_claimed_once_and_the_second_is_told_who_has_it(world: World) -> None:
    world.write(
        "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
        " SELECT 'clerk-2', 'clerk-2', 'x', role, community_id, created_at FROM users WHERE name = 'clerk'"
    )
    first, second = world.browser("clerk"), world.browser("clerk-2")
    path = f"/cases/{world.case_ids['zhao']}/claim"
    answer = world.post(first, path)
    assert answer.status_code == 303 and answer.headers["location"] == path.removesuffix("/claim")
    assert _state(world, "zhao")["holder_id"] == world.user_ids["clerk"]
    refused = world.post(second, path)
    assert refused.status_code == 409
    assert "error.held_by_another" not in refused.text
    assert _state(world, "zhao")["holder_id"] == world.user_ids["clerk"]
    # Pressed twice by the same hand: the lease is renewed, nothing is done twice.
    assert world.post(first, path).status_code == 303
    assert _actions(world).count("claim") == 2


def test_an_act_from_the_aside_returns_to_the_list(world: World) -> None:
    clerk = world.browser("clerk")
    case_id = world.case_ids["zhao"]
    clerk.headers["referer"] = f"https://console.test/alarms?tab=all&case={case_id}"
    answer = world.post(clerk, f"/cases/{case_id}/claim")
    assert answer.headers["location"] == f"/alarms?tab=all&case={case_id}"


def test_release_note_hold_and_hand_over_change_the_case_and_leave_a_trace(world: World) -> None:
    clerk = world.browser("clerk")
    base = f"/cases/{world.case_ids['zhao']}"
    assert world.post(clerk, f"{base}/claim").status_code == 303
    assert world.post(clerk, f"{base}/note", note="女儿说她在家").status_code == 303
    until = (world.now + timedelta(hours=8, minutes=30)).strftime("%Y-%m-%dT%H:%M")
    assert world.post(clerk, f"{base}/hold", reason="等女儿回电", until=until).status_code == 303
    assert _state(world, "zhao")["held_until"] == world.now + timedelta(minutes=30)
    assert world.post(clerk, f"{base}/hand-over", to_role="grid_worker", note="请去看看").status_code == 303
    assert world.post(clerk, f"{base}/claim").status_code == 303
    assert world.post(clerk, f"{base}/release").status_code == 303
    assert _actions(world) == ["claim", "note", "hold", "hand_over", "claim", "release"]
    task = world.rows("SELECT role FROM tasks WHERE case_id = %s ORDER BY id DESC", world.case_ids["zhao"])[0]
    assert task["role"] == "grid_worker"
    assert "女儿说她在家" in clerk.get(base).text


@pytest.mark.parametrize(
    ("act", "fields", "status"),
    [
        ("note", {"note": "   "}, 409),
        ("hold", {"reason": "x", "until": "nonsense"}, 422),
        ("hold", {"reason": "", "until": "2030-01-01T00:00"}, 409),
        ("hand-over", {"to_role": "emperor"}, 409),
        ("confirm-closing", {"confirmed": "maybe"}, 422),
        ("confirm-closing", {"confirmed": "yes"}, 409),
        ("release", {}, 409),
        ("note", {"note": "a\x00b"}, 422),
    ],
)
def test_an_act_that_is_not_possible_is_refused_in_words_and_changes_nothing(
    world: World, act: str, fields: dict[str, str], status: int
) -> None:
    clerk = world.browser("clerk")
    before = _state(world, "wang")
    answer = world.post(clerk, f"/cases/{world.case_ids['wang']}/{act}", **fields)
    assert answer.status_code == status
    assert "Traceback" not in answer.text and "<html" in answer.text
    assert _state(world, "wang") == before
    assert _actions(world) == []


def test_police_hand_over_shows_the_case_to_the_officer_and_lets_her_record_the_visit(world: World) -> None:
    clerk, police = world.browser("clerk"), world.browser("police")
    case_id = world.case_ids["zhao"]
    assert police.get(f"/cases/{case_id}").status_code == 404
    assert world.post(clerk, f"/cases/{case_id}/hand-over", to_role="police_officer").status_code == 303
    assert police.get(f"/cases/{case_id}").status_code == 200
    assert world.post(police, f"/cases/{case_id}/note", note="已联系").status_code == 303
    assert (
        world.post(police, f"/cases/{case_id}/hold", reason="x", until="2026-01-01T00:00").status_code == 403
    )


def test_a_visit_is_begun_and_its_outcome_closes_the_case_with_a_named_witness(world: World) -> None:
    watcher = world.browser("watcher")
    base = f"/tasks/{world.task_ids['wang']}"
    assert world.post(watcher, f"{base}/begin").headers["location"] == base
    missing = world.post(watcher, f"{base}/outcome", outcome="well", note="见到了")
    assert missing.status_code == 409 and "见到了" in missing.text
    assert world.post(watcher, f"{base}/outcome", outcome="nonsense").status_code == 422
    done = world.post(watcher, f"{base}/outcome", outcome="well", contacted="saw", witness="陈伟")
    assert done.status_code == 303
    assert _state(world, "wang")["state"] == "closed"
    verified = world.rows("SELECT how, witness FROM verified_contacts")
    assert verified == [{"how": "saw", "witness": "陈伟"}]
    again = world.post(watcher, f"{base}/outcome", outcome="well", contacted="saw", witness="陈伟")
    assert again.status_code == 303  # a form sent twice is no mistake of hers, and acts once
    assert len(world.rows("SELECT 1 FROM verified_contacts")) == 1
    other = world.post(watcher, f"{base}/outcome", outcome="helped", contacted="saw", witness="陈伟")
    assert other.status_code in (404, 409)


def test_a_helper_of_another_role_or_community_can_do_nothing(world: World) -> None:
    for name in ("grid", "watcher-b", "police", "family", "admin"):
        client = world.browser(name)
        for path in (f"/tasks/{world.task_ids['wang']}/begin", f"/cases/{world.case_ids['wang']}/claim"):
            answer = world.post(client, path)
            assert answer.status_code in (403, 404), (name, path)
    assert _state(world, "wang")["holder_id"] is None


def test_the_full_name_is_shown_once_to_whoever_says_why(world: World) -> None:
    clerk = world.browser("clerk")
    path = f"/cases/{world.case_ids['wang']}/reveal"
    assert world.post(clerk, path, purpose="curiosity").status_code == 422
    assert "王秀英" in world.post(clerk, path, purpose="call_back").text
    assert "王秀英" not in clerk.get(f"/cases/{world.case_ids['wang']}").text
    entry = world.rows("SELECT * FROM audit_entries WHERE action = 'name_revealed'")[0]
    assert (entry["purpose"], entry["detail"]["household"]) == ("call_back", "h-wang")
    assert "王秀英" not in str(entry)


def test_an_absence_is_declared_bounded_and_ended(world: World) -> None:
    clerk = world.browser("clerk")
    path = "/households/h-li/absences"
    for fields in (
        {"reason": "travel", "to": ""},
        {"reason": "", "to": "2025-11-25T10:00"},
        {"reason": "travel", "to": "2025-12-31T10:00"},
        {"reason": "travel", "to": "2025-11-20T10:00"},
    ):
        assert world.post(clerk, path, **fields).status_code == 422
    assert world.post(clerk, path, reason="travel", to="2025-11-25T10:00").status_code == 303
    overlapping = world.post(clerk, path, reason="hospital", to="2025-11-24T10:00")
    assert overlapping.status_code == 422
    row = world.rows("SELECT * FROM absences")[0]
    world.clock.advance_to(world.clock.now_ms() + 3_600_000)
    assert world.post(clerk, f"{path}/{row['id']}/end").status_code == 303
    ended = world.rows("SELECT * FROM absences")[0]
    assert ended["to_at"] == world.now and ended["revoked_at"] is None
    assert (
        world.post(world.browser("clerk-b"), path, reason="travel", to="2025-11-26T10:00").status_code == 404
    )


def test_family_says_she_spoke_with_her_but_not_for_ever(world: World) -> None:
    family = world.browser("family")
    assert world.post(family, "/family/h-wang/spoke").status_code == 422
    assert world.post(family, "/family/h-other/spoke", contacted="spoke").status_code == 404
    answers = [world.post(family, "/family/h-wang/spoke", contacted="spoke") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 409]
    # She did speak with her: she is told why it is not enough, and what is.
    assert "要有人当面见到老人" in answers[-1].text
    assert world.post(family, "/family/h-wang/spoke", contacted="saw").status_code == 303
    assert world.post(family, "/family/h-wang/look", note="请去看看妈妈").status_code == 303
    assert "请去看看妈妈" in world.browser("clerk").get(f"/cases/{world.case_ids['wang']}").text
    assert (
        world.post(family, "/family/h-wang/away", reason="relatives", to="2025-11-25T10:00").status_code
        == 303
    )
    assert "/family/h-wang/away/end" in family.get("/family").text, "and takes back what she declared"
    assert world.post(family, "/family/h-other/away/end").status_code == 404
    assert world.post(world.browser("watcher"), "/family/h-wang/away/end").status_code == 403
    assert world.post(family, "/family/h-wang/away/end").status_code == 303
    assert "/family/h-wang/away/end" not in family.get("/family").text
    assert len(world.rows("SELECT 1 FROM audit_entries WHERE action = 'absence_ended'")) == 1


@pytest.mark.one_store
@pytest.mark.parametrize(
    ("path", "said", "heard"),
    [("/resident/well", "家按了", False), ("/family/h-wang/spoke", "和妈妈通过话", True)],
)
def test_a_relative_is_told_what_the_word_was_that_her_state_rests_on(
    world: World, path: str, said: str, heard: bool
) -> None:
    by = world.browser("resident" if path == "/resident/well" else "family")
    assert world.post(by, path, contacted="spoke").status_code == 303
    (word,) = world.rows("SELECT id FROM verified_contacts")
    # As the detector writes it: it knows a word by its row alone.
    evidence = Jsonb({"kind": "verified", "source": f"verified_contacts:{word['id']}"})
    world.write(
        "UPDATE household_states SET stage = 0, evidence_at = %s, evidence = %s WHERE household_id = 'h-wang'",
        world.now,
        evidence,
    )
    text = world.browser("family").get("/family").text.replace("\u200b", "")
    assert said in text and ("没有人听到或见到" in text) is not heard


def test_family_is_told_no_more_than_she_consents_to(world: World) -> None:
    family = world.browser("family")
    text = family.get("/family").text
    assert "<svg" not in text
    item = family.get("/api/households/h-wang").json()
    assert item["inactive_s"] % 21_600 == 0 and item["last_evidence"].endswith(":00:00.000Z")
    world.write(
        "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES ('h-wang', 'exact_times', '本人', %s)",
        world.now,
    )
    assert "<svg" in family.get("/family").text
    world.write("UPDATE consents SET withdrawn_at = %s WHERE purpose = 'notify_family'", world.now)
    item = family.get("/api/households/h-wang").json()
    assert item["inactive_s"] is None and item["stage"] is None
    text = family.get("/family").text.replace("\u200b", "")
    # She is watched all the same: who is told nothing is not told that nobody watches.
    assert "这里看不到妈妈家的情况" in text and "没有看护" not in text


def test_replay_is_asked_of_ingest_and_only_by_whom_it_concerns(world: World) -> None:
    rows = world.rows("SELECT id, topic FROM quarantine ORDER BY id")
    mine, theirs = (row["id"] for row in rows)
    clerk = world.browser("clerk")
    assert world.post(clerk, f"/quarantine/{mine}/replay").status_code == 303
    assert world.rows("SELECT replay_asked FROM quarantine WHERE id = %s", mine)[0]["replay_asked"]
    assert world.post(clerk, f"/quarantine/{theirs}/replay").status_code == 404


# --- Look-ups ----------------------------------------------------------------------------------------------------

GOOD = {
    "purpose": "missing_person", "case_number": "京公 2025-00123", "basis": "case_file", "door": "d-h-wang",
    "from": "2025-11-20T00:00", "to": "2025-11-22T00:00",
}  # fmt: skip


def _look_up(world: World, client: httpx.Client, **changes: str) -> httpx.Response:
    answer: httpx.Response = world.post(client, "/police/look-up", **{**GOOD, **changes})
    return answer


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": ""}, {"purpose": "just because"}, {"case_number": ""}, {"case_number": "none"}, {"basis": ""},
        {"door": ""}, {"to": ""}, {"to": "2025-11-19T00:00"}, {"from": "2025-11-01T00:00"},
        {"from": "2027-01-01T00:00", "to": "2027-01-02T00:00"},
    ],
)  # fmt: skip
def test_no_look_up_without_a_purpose_a_number_and_a_short_window(
    world: World, changes: dict[str, str]
) -> None:
    add_events(world, "d-h-wang", 3, credential="c-h-wang")
    answer = _look_up(world, world.browser("police"), **changes)
    assert answer.status_code == 422
    assert "c-h-wang" not in answer.text
    assert _actions(world) == []


def test_a_look_up_ends_at_the_border_of_the_beat(world: World) -> None:
    add_events(world, "d-h-other", 3, credential="c-h-other")
    ticket = granted(world, door="d-h-other")
    answer = read(world, ticket)
    assert answer.status_code == 200
    assert "c-h-other" not in answer.text


def test_the_access_log_of_the_desk_names_no_holder(world: World) -> None:
    add_events(world, "d-h-wang", 3, credential="c-h-wang")
    text = world.browser("clerk").get("/access-log").text
    assert "c-h-wang" not in text and "王秀英" not in text
    assert "3-1-1201" in text
    asked = "/access-log?building=3&type=Denied&from=2025-11-01T08:00&to=2025-11-21T09:30"
    paper = world.browser("clerk").get(asked).text.split("print-only", 1)[1].split("</dl>", 1)[0]
    for said in (
        "11 月 1 日 08:00",
        "11 月 21 日 09:30",
        "<dd>3</dd>",
        *(load_catalogue("zh")[word][0] for word in ("event.Denied", "audit_purpose.care")),
    ):
        assert said in paper, "whoever holds the paper reads what it answers"


def test_the_access_log_pages_without_losing_or_repeating_a_row(world: World) -> None:
    add_events(world, "d-h-wang", 250)
    clerk = world.browser("clerk")
    from console.loaders import Reader
    from console.loaders.log import LogQuery, load_log, parse_place
    from console.scope import Viewer
    from kaimen.vocabulary import Role

    assert clerk.get("/access-log").text.count("d-h-wang</small>") == 100
    viewer = Viewer(1, "clerk", "clerk", Role.PROPERTY_CLERK, "wenchang")
    reader = Reader(viewer, world.now, world.now)
    query = LogQuery(world.now - timedelta(days=1), world.now)
    seen, place = [], None
    with transaction(world.pool) as connection:
        for _ in range(4):
            page = load_log(connection, reader, query, place)
            seen += [row.occurred_at for row in page.rows]
            if page.older is None:
                break
            place = parse_place(page.older.format())
            add_events_late = len(seen) == 100
            if add_events_late:
                # What arrives meanwhile neither repeats nor hides a row.
                add_events(world, "d-h-zhao", 5)
        assert len(seen) == 250 and len(set(seen)) == 250 and seen == sorted(seen, reverse=True)
        back = load_log(connection, reader, query, page.newer)
        assert [row.occurred_at for row in back.rows if row.device_id == "d-h-wang"] == seen[100:200]
    assert page.newer is not None


# --- The chain ---------------------------------------------------------------------------------------------------


def _entry(world: World, number: int) -> audit.Entry:
    return audit.Entry(
        world.now, "user:1", "admin", "test", "test", "case", str(number), {"n": number, "名": "值"}
    )


def test_the_chain_names_the_first_broken_entry_and_notices_a_missing_end(world: World) -> None:
    with transaction(world.pool) as connection:
        ids = [audit.append(connection, _entry(world, number), key=b"k") for number in range(5)]
    with world.pool.connection() as connection:
        whole = audit.verify(connection, key=b"k")
        assert whole.sound and whole.count == 5 and whole.head is not None
        assert audit.verify(connection, key=b"other").broken_id == ids[0]
    with pytest.raises(Exception, match="written once"):
        world.write("UPDATE audit_entries SET purpose = 'none' WHERE id = %s", ids[2])
    with transaction(world.pool) as connection:
        connection.execute("ALTER TABLE audit_entries DISABLE TRIGGER audit_is_append_only")
        connection.execute("UPDATE audit_entries SET purpose = 'none' WHERE id = %s", (ids[2],))
    with world.pool.connection() as connection:
        assert audit.verify(connection, key=b"k").broken_id == ids[2]
    with transaction(world.pool) as connection:
        connection.execute("UPDATE audit_entries SET purpose = 'test' WHERE id = %s", (ids[2],))
        connection.execute("DELETE FROM audit_entries WHERE id = %s", (ids[4],))
    with world.pool.connection() as connection:
        assert audit.verify(connection, key=b"k").sound
        assert audit.verify(connection, key=b"k", checkpoints=[whole.head]).truncated


def test_writers_of_the_chain_wait_for_one_another(world: World) -> None:
    import threading

    def write(number: int) -> None:
        for step in range(10):
            with transaction(world.pool) as connection:
                audit.append(connection, _entry(world, number * 100 + step), key=b"")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with world.pool.connection() as connection:
        verdict = audit.verify(connection, key=b"")
    assert verdict.sound and verdict.count == 40


def test_who_looked_is_shown_by_household_to_the_desk_and_without_subject_to_the_administrator(
    world: World,
) -> None:
    clerk = world.browser("clerk")
    world.post(clerk, f"/cases/{world.case_ids['wang']}/reveal", purpose="visit")
    assert "<td" in clerk.get("/looked?household=h-wang").text
    assert "<td" not in clerk.get("/looked?household=h-zhao").text
    assert "3-1-1201" in clerk.get("/looked").text
    admin = world.browser("admin").get("/looked").text
    assert "clerk display" in admin and "3-1-1201" not in admin
    assert world.browser("clerk-b").get("/looked?household=h-wang").status_code == 404
    assert "<td" not in world.browser("clerk-b").get("/looked").text


def test_an_absence_heard_on_the_telephone_ends_within_thirty_days(world: World) -> None:
    clerk = world.browser("clerk")
    path = f"/tasks/{world.task_ids['zhao']}/outcome"

    def until(days: float) -> str:
        return (world.now + timedelta(hours=8, days=days)).strftime("%Y-%m-%dT%H:%M")

    for days in (31, -1):
        refused = world.post(clerk, path, outcome="away", absence_until=until(days))
        assert refused.status_code == 422 and 'id="error-absence_until"' in refused.text
    assert world.rows("SELECT 1 FROM absences") == []
    assert world.post(clerk, path, outcome="away", absence_until=until(29)).status_code == 303
    assert len(world.rows("SELECT 1 FROM absences")) == 1


def test_one_press_records_a_call_that_reached_nobody(world: World) -> None:
    clerk = world.browser("clerk")
    case_id, task_id = world.case_ids["zhao"], world.task_ids["zhao"]
    world.post(clerk, f"/cases/{case_id}/claim")
    page = clerk.get(f"/tasks/{task_id}").text
    assert 'href="tel:' in page
    assert page.count('name="note" value=') == 6
    assert world.post(
        world.browser("watcher"), f"/tasks/{task_id}/outcome", outcome="no_answer"
    ).status_code in (403, 404)
    assert world.post(clerk, f"/tasks/{task_id}/outcome", outcome="no_answer", note="占线").status_code == 303
    (task,) = world.rows("SELECT outcome, note FROM tasks WHERE id = %s", task_id)
    assert (task["outcome"], task["note"]) == ("no_answer", "占线")
    assert world.rows("SELECT 1 FROM verified_contacts") == []


def test_no_list_of_the_desk_tells_which_home_is_empty(world: World) -> None:
    clerk = world.browser("clerk")
    world.write(
        "UPDATE cases SET state = 'closed', closed_at = %s, outcome = 'resumed', next_action = '',"
        " next_action_at = NULL WHERE household_id = 'h-sun'",
        world.now,
    )
    for change in (
        "UPDATE household_states SET stage = 0, absent_until = as_of + interval '9 days' WHERE household_id = 'h-sun'",
        "UPDATE consents SET withdrawn_at = given_at WHERE household_id = 'h-sun'",
    ):
        world.write(change)
        rows = clerk.get("/households?query=1-3-0601").text.split('data-row="home-h-sun"')[1].split("</a>")[0]
        # Away and not watched look the same.
        assert "现在没有看护" in rows and "<svg" not in rows
        assert "away" not in clerk.get("/buildings").text.split("<main")[1].split("state-legend")[1]
    # Asking the list for the empty ones asks for nothing at all.
    assert clerk.get("/households?state=away").text.count('data-row="home-') == 4


def test_a_home_says_what_the_books_hold_of_it_masked(world: World) -> None:
    now = world.now
    world.write("UPDATE households SET tenure = 'rented' WHERE id = 'h-wang'")
    world.write("UPDATE persons SET category = '独居' WHERE id = 'p-h-wang'")
    ended, clerk = now - timedelta(days=3), world.browser("clerk")
    assert "没有登记租约" in clerk.get("/households/h-wang").text
    world.write(
        "INSERT INTO leases (id, household_id, from_at, to_at, occupants, registration, recorded_at)"
        " VALUES ('l-1', 'h-wang', %s, %s, 2, '苏备77号', %s)",
        now - timedelta(days=300), ended, now - timedelta(days=300),
    )  # fmt: skip
    world.write(
        "UPDATE credentials SET lost_at = %s, valid_to = %s WHERE household_id = 'h-wang'", ended, ended
    )
    page = clerk.get("/households/h-wang").text
    for told in ("1943", "独居", "苏备77号", "目前不在租期内", "登记居住 2 人", "挂失", "缺：", "邻里互望员"):
        assert told in page, told
    assert "王秀英" not in page and "c-h-wang" not in page
    assert "苏备77号" not in world.browser("family").get("/family").text


def test_reading_a_household_is_written_down_and_its_live_part_is_not(world: World) -> None:
    clerk = world.browser("clerk")
    clerk.get("/households/h-sun")
    clerk.get("/households/h-sun?fragment=household")
    assert _actions(world) == ["household_read"]
    clerk.get("/api/households/h-sun")
    world.browser("family").get("/api/households/h-wang")
    assert _actions(world) == ["household_read"] * 2


def test_the_access_log_is_taken_out_for_a_purpose_and_whose_door_is_in_it_learns_of_it(world: World) -> None:
    add_events(world, "d-h-wang", 3, credential="c-h-wang")
    clerk = world.browser("clerk")
    path = "/access-log/export"
    for name in ("police", "family", "admin", "director", "watcher", "resident"):
        assert world.post(world.browser(name), path, purpose="visit").status_code == 403, name
    no_purpose = world.post(clerk, path, door="d-h-wang")
    assert (no_purpose.status_code, "请选择查询目的" in no_purpose.text) == (422, True)
    assert "access_log_exported" not in _actions(world)
    taken = world.post(clerk, path, purpose="visit", door="d-h-wang")
    assert taken.headers["content-type"].startswith("text/csv")
    lines = taken.text.lstrip("\ufeff").splitlines()
    assert lines[0].startswith("occurred_at,") and len(lines) == 4
    assert "c-h-wang" not in taken.text and "秀英" not in taken.text, "whose card it was needs a ticket"
    other = world.post(world.browser("clerk-b"), path, purpose="visit", door="d-h-wang").text
    assert len(other.splitlines()) == 1, "another community's doors are not there"
    (row,) = world.rows(
        "SELECT purpose, detail FROM audit_entries WHERE action = 'access_log_exported' AND detail->>'rows' = '3'"
    )
    assert (row["purpose"], row["detail"]["households"]) == ("visit", ["h-wang"])
    assert "导出通行记录" in world.browser("resident").get("/resident/looked").text


def test_reading_the_access_log_is_written_down_with_what_was_asked_of_it(world: World) -> None:
    clerk = world.browser("clerk")
    clerk.get("/access-log?door=d-h-wang&from=nonsense")
    assert _actions(world) == []
    clerk.get("/access-log?door=d-h-wang")
    assert _actions(world) == ["access_log_read"]
    (row,) = world.rows("SELECT object_id, detail FROM audit_entries WHERE action = 'access_log_read'")
    assert row["object_id"] == "wenchang" and row["detail"]["door"] == "d-h-wang"
    asked = row["detail"]["since"], row["detail"]["until"]
    assert datetime.fromisoformat(asked[0]) + timedelta(days=1) == datetime.fromisoformat(asked[1])
    assert "查看通行记录" in clerk.get("/looked").text


def test_a_death_is_confirmed_in_its_own_words_by_a_second_person(world: World) -> None:
    clerk = world.browser("clerk")
    path = f"/tasks/{world.task_ids['wang']}"
    world.post(clerk, f"{path}/begin")
    world.post(clerk, f"{path}/outcome", outcome="deceased", note="家属在场")
    page = clerk.get(f"/cases/{world.case_ids['wang']}").text
    assert "登记为去世" in page and "门开过，可以结案吗" not in page
    refused = world.post(clerk, f"/cases/{world.case_ids['wang']}/confirm-closing", confirmed="yes")
    assert refused.status_code == 409
    assert _state(world, "wang")["state"] != "closed"
    family = world.browser("family")
    assert "tel:13812341234" in family.get("/family").text
    world.write("UPDATE users SET community_id = 'wenchang' WHERE name = 'clerk-b'")
    world.post(world.browser("clerk-b"), f"/cases/{world.case_ids['wang']}/confirm-closing", confirmed="yes")
    assert _state(world, "wang")["outcome"] == "deceased"
    page = family.get("/family").text.replace("\u200b", "")
    assert "妈妈家的看护已经结束。" in page and "开过" not in page and "tel:13812341234" not in page
    world.write("UPDATE user_households SET blocked_at = %s", world.now)
    assert (
        "已经结束。" not in family.get("/family").text.replace("\u200b", "").split("<h1")[1].split("</h1>")[0]
    )


def test_whoever_closed_a_case_by_a_death_is_offered_to_take_her_out_of_the_books_and_nothing_does_so_alone(
    world: World,
) -> None:
    clerk, case = world.browser("clerk"), f"/cases/{world.case_ids['wang']}"
    world.write("INSERT INTO persons (id, household_id, relation) VALUES ('p-he', 'h-wang', 'resident')")
    world.write("INSERT INTO person_identities VALUES ('p-he', '王建国', NULL)")
    world.post(clerk, f"/tasks/{world.task_ids['wang']}/begin")
    world.post(clerk, f"/tasks/{world.task_ids['wang']}/outcome", outcome="deceased", note="家属在场")
    offer = {who: f'action="/households/h-wang/books/people/{who}/leave"' for who in ("p-h-wang", "p-he")}
    page = clerk.get(case).text
    assert 'name="stay" value="yes"' in page and not any(form in page for form in offer.values()), (
        "not closed"
    )
    early = world.post(clerk, "/households/h-wang/books/people/p-h-wang/leave", case=case.rsplit("/", 1)[1])
    assert early.status_code == 404, "nobody has confirmed it"

    world.write("UPDATE users SET community_id = 'wenchang' WHERE name = 'clerk-b'")
    second = world.browser("clerk-b")
    second.headers["referer"] = "https://console.test/alarms"
    confirmed = world.post(second, f"{case}/confirm-closing", confirmed="yes", stay="yes")
    assert confirmed.headers["location"].startswith(case), "where it is offered"
    page = second.get(case).text
    assert all(form in page for form in offer.values()) and "秀英" not in page, "whom, masked"
    assert not any(form in world.browser("watcher").get(case).text for form in offer.values())
    living = "SELECT id FROM persons WHERE household_id = 'h-wang' AND relation = 'resident' ORDER BY id"
    assert [row["id"] for row in world.rows(living)] == ["p-h-wang", "p-he"], "nothing by itself"

    leave = "/households/h-wang/books/people/{}/leave"
    before = world.rows("SELECT * FROM case_entries WHERE case_id = %s ORDER BY id", world.case_ids["wang"])
    other = world.case_ids["zhao"]
    assert world.post(second, leave.format("p-h-wang"), case=str(other)).status_code == 404
    assert world.post(second, leave.format("p-h-wang"), case=case.rsplit("/", 1)[1]).status_code == 303
    assert [row["id"] for row in world.rows(living)] == ["p-he"]
    (trace,) = world.rows("SELECT detail FROM audit_entries WHERE action = 'resident_left'")
    assert (trace["detail"]["case"], trace["detail"]["because"]) == (world.case_ids["wang"], "deceased")
    assert _state(world, "wang")["outcome"] == "deceased"
    now = world.rows("SELECT * FROM case_entries WHERE case_id = %s ORDER BY id", world.case_ids["wang"])
    assert now == before and before, "what was done stays as it was written"
    # Who lives there from now on is not whom this case is about.
    assert not any(form in second.get(case).text for form in offer.values())
    again = world.post(second, leave.format("p-he"), case=case.rsplit("/", 1)[1])
    assert again.status_code == 409 and [row["id"] for row in world.rows(living)] == ["p-he"]


@pytest.mark.one_store
def test_her_family_is_told_that_she_was_taken_to_hospital(world: World) -> None:
    clerk = world.browser("clerk")
    task = f"/tasks/{world.task_ids['wang']}"
    until = f"{world.now + timedelta(days=3):%Y-%m-%dT%H:%M}"
    world.post(clerk, f"{task}/begin")
    assert world.post(clerk, f"{task}/outcome", outcome="hospital", absence_until=until).status_code == 303
    page = clerk.get("/tasks").text
    assert "strip-notice" in page and "（）" not in page
    world.write(
        "UPDATE household_states SET absent_until = %s WHERE household_id = 'h-wang'",
        world.now + timedelta(days=3),
    )
    text = world.browser("family").get("/family").text.replace("\u200b", "")
    assert (
        "妈妈登记为住院。" in text
        and "已登记住院：" in text
        and "报备" not in text.split("<h1")[1].split("</h1>")[0]
    )


def test_the_end_of_the_chain_is_noted_outside_the_database_once_a_day(world: World, tmp_path: Path) -> None:
    services, file = world.app.state.services, tmp_path / "ends.jsonl"
    now = services.wall_now()

    def note(after: timedelta) -> bool:
        with services.transaction() as connection:
            return note_end(connection, file, services.audit_key, now=now + after)

    assert not note(timedelta()) and not file.exists(), "there is no entry yet"
    world.browser("clerk").get("/households/h-sun")
    assert note(timedelta())
    world.browser("clerk").get("/households/h-wang")
    assert not note(timedelta(hours=23))
    file.write_text(file.read_text() + "{\n")
    assert note(timedelta(hours=23)), "a damaged line ends no noting"
    lines = file.read_text().splitlines()
    assert [json.loads(lines[index])["count"] for index in (0, 2)] == [1, 2]
    file.write_text("\n".join((lines[0], lines[2])) + "\n")
    with services.transaction() as connection:
        ends = read_checkpoints(file, services.audit_key)
        assert audit.verify(connection, key=services.audit_key, checkpoints=ends).sound
