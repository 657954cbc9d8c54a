"""Police look-ups: no row without a ticket, no ticket by one person alone, and every try on record."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from console.audit import chain as audit
from console.cli import main
from kaimen.clock import ManualClock
from kaimen.database import transaction
from tests.integration.console_world import World, add_events, build_world
from tests.integration.tickets_world import (
    URGENT,
    actions,
    add_second_officer,
    agree,
    ask,
    asked,
    granted,
    newest,
    read,
    window,
)

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

DOOR = "c-h-wang"


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    add_second_officer(built)
    add_events(built, "d-h-wang", 3, credential=DOOR)
    yield built
    built.close()


def test_a_look_up_waits_for_a_second_officer_and_then_shows_rows_under_a_watermark(world: World) -> None:
    ticket = asked(world)
    before = read(world, ticket)
    assert before.status_code == 403
    assert DOOR not in before.text
    assert agree(world, ticket, "police").status_code == 403  # not one's own
    assert agree(world, ticket).status_code == 303
    after = read(world, ticket)
    assert after.status_code == 200
    assert DOOR in after.text
    for word in ("police display", f"L-{ticket}", "京公 2025-00123", f"{world.now:%Y-%m-%d %H:%M}"):
        assert word in after.text
    assert actions(world) == ["ticket_opened", "look_up_refused", "ticket_granted", "look_up"]
    entry = world.rows("SELECT detail FROM audit_entries WHERE action = 'look_up'")[0]["detail"]
    assert entry["rows"] == 3
    assert entry["households"] == ["h-wang"]
    with transaction(world.pool) as connection:
        assert audit.verify(connection, key=b"").sound


def test_a_ticket_is_its_askers_alone_and_stands_for_a_day(world: World) -> None:
    ticket = granted(world)
    other = read(world, ticket, "police-2")
    assert other.status_code == 403
    assert DOOR not in other.text
    assert read(world, ticket, "police-b").status_code == 404
    world.wall.advance_to(world.wall.now_ms() + 25 * 3_600_000)
    late = read(world, ticket)
    assert late.status_code == 403
    assert DOOR not in late.text
    results = [row["result"] for row in world.rows("SELECT result FROM look_up_reads ORDER BY id")]
    assert results == ["not_the_asker", "not_the_asker", "over"]


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"hours": "25"}, "long_window"),
        ({"building": ["3", "5"], "door": ""}, "several_buildings"),
        ({"subject": "王秀英"}, "named_person"),
        ({"delay": "2025-12-24T00:00", "reason": "侦查需要，推迟告知"}, "delay"),
    ],
)
def test_beyond_the_limits_only_a_supervisor_agrees_and_says_why(
    world: World, changes: dict[str, object], limit: str
) -> None:
    fields = dict(changes)
    hours = fields.pop("hours", None)
    ticket = asked(world, **fields, **(window(world, float(str(hours))) if hours else {}))
    assert world.rows("SELECT limits FROM look_up_tickets")[0]["limits"] == [limit]
    assert agree(world, ticket).status_code == 403
    assert agree(world, ticket, "supervisor").status_code == 422
    assert agree(world, ticket, "supervisor", reason="核实过案卷").status_code == 303
    assert read(world, ticket).status_code == 200


def test_a_gate_of_no_building_counts_as_all_of_them(world: World) -> None:
    world.write(
        "INSERT INTO devices (id, site_id, kind, place, registered_at)"
        " VALUES ('gate', 'site-wenchang', 'controller', '东门', %s)",
        world.now,
    )
    asked(world, door="gate")
    assert world.rows("SELECT limits FROM look_up_tickets")[0]["limits"] == ["several_buildings"]


def test_a_named_person_shows_her_own_credentials_and_nobody_elses(world: World) -> None:
    world.write("INSERT INTO credentials (token, class, household_id, person_id) VALUES"
                " ('c-son', 'family', 'h-wang', 'p-son')")  # fmt: skip
    world.write("UPDATE door_events SET credential = 'c-son' WHERE seq = 2")
    ticket = granted(world, subject="王小明")
    text = read(world, ticket).text
    assert "c-son" in text
    assert DOOR not in text
    # The name stands in the ticket, for who asked and who decides; nowhere in the chain.
    assert "王小明" not in str(world.rows("SELECT detail FROM audit_entries"))
    assert "王小明" in world.browser("supervisor").get(f"/police/tickets/{ticket}").text
    assert "王小明" not in world.browser("police-2").get(f"/police/tickets/{ticket}").text


def test_two_who_decide_at_once_are_told_apart_and_a_refusal_stands(world: World) -> None:
    ticket = asked(world)
    assert agree(world, ticket, answer="refuse").status_code == 422
    assert agree(world, ticket, answer="refuse", reason="没有案卷").status_code == 303
    assert agree(world, ticket, "supervisor", reason="核实过案卷").status_code == 409
    assert read(world, ticket).status_code == 403


def test_what_nobody_answered_can_be_taken_back_by_its_asker_alone(world: World) -> None:
    ticket = asked(world)
    for name in ("police-2", "supervisor"):
        path = f"/police/tickets/{ticket}/withdraw"
        assert world.post(world.browser(name), path).status_code == 403
    assert world.post(world.browser("police"), f"/police/tickets/{ticket}/withdraw").status_code == 303
    assert agree(world, ticket).status_code == 409


# --- Emergencies -------------------------------------------------------------------------------------------------


def test_where_life_is_at_risk_rows_come_at_once_and_the_review_is_owed_within_a_day(
    world: World, manual_clock: ManualClock
) -> None:
    opened = ask(world, **URGENT)
    assert opened.status_code == 303
    assert DOOR in world.browser("police").get(opened.headers["location"]).text
    supervisor = world.browser("supervisor")
    assert f"L-{newest(world)}" in supervisor.get("/police/tickets").text
    assert "1 件紧急查询复核超时" not in supervisor.get("/police/tickets").text
    manual_clock.advance_to(manual_clock.now_ms() + 25 * 3_600_000)
    for name, path in (
        ("supervisor", "/police/tickets"),
        ("police", "/police/tickets"),
        ("auditor", "/audit"),
    ):
        assert "1 件紧急查询复核超时" in world.browser(name).get(path).text
    # Whoever judges it reads which door it was about, in words and not as a device.
    assert "3-1-1201 户门" in world.browser("supervisor").get(f"/police/tickets/{newest(world)}").text
    path = f"/police/tickets/{newest(world)}/review"
    assert world.post(world.browser("police"), path, review="justified", reason="人已找到").status_code == 403
    assert (
        world.post(world.browser("police-2"), path, review="justified", reason="人已找到").status_code == 403
    )
    assert world.post(supervisor, path, review="justified").status_code == 422
    assert world.post(supervisor, path, review="justified", reason="人已找到").status_code == 303
    assert world.post(supervisor, path, review="justified", reason="人已找到").status_code == 409
    assert "复核超时" not in supervisor.get("/police/tickets").text


@pytest.mark.parametrize("changes", [{"purpose": "public_order"}, {"reason": ""}, {"case_number": ""}])
def test_an_emergency_is_a_risk_to_life_with_a_reason(world: World, changes: dict[str, str]) -> None:
    assert ask(world, **{**URGENT, **changes}).status_code == 422
    assert actions(world) == []


def test_the_day_has_a_limit_that_never_stops_an_emergency(world: World) -> None:
    for _ in range(10):
        asked(world)
    answer = ask(world)
    assert answer.status_code == 422
    assert "今天的查询次数已用完" in answer.text
    for _ in range(3):
        asked(world, **URGENT)
    noted = [row["detail"].get("noted") for row in world.rows(
        "SELECT detail FROM audit_entries WHERE action = 'ticket_opened' ORDER BY id DESC LIMIT 3")]  # fmt: skip
    assert noted == ["emergencies", None, None]


# --- Training ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("until", "word"), [(None, "没有登记查询培训"), (-1, "查询培训已过期")])
def test_without_training_nothing_is_asked_and_nothing_read(
    world: World, until: int | None, word: str
) -> None:
    ticket = granted(world)
    day = None if until is None else (world.now + timedelta(days=until)).date()
    world.write("UPDATE users SET trained_until = %s WHERE name = 'police'", day)
    assert word in world.browser("police").get("/police/look-up").text
    answer = ask(world)
    assert answer.status_code == 422
    assert word in answer.text
    refused = read(world, ticket)
    assert refused.status_code == 403
    assert DOOR not in refused.text
    assert (
        world.rows("SELECT result FROM look_up_reads ORDER BY id DESC LIMIT 1")[0]["result"] == "not_trained"
    )


# --- The database's own guard ------------------------------------------------------------------------------------

_CALL = "SELECT * FROM look_up_events(%s, %s, %s, %s, NULL, NULL, NULL, NULL, NULL, 100)"


def test_without_a_ticket_the_database_gives_nothing_and_writes_the_try_down(world: World) -> None:
    waiting, mine = asked(world), world.user_ids["police"]
    wall = world.now + timedelta(seconds=1000)
    for ticket, reader in ((None, mine), (999, mine), (waiting, mine), (waiting, world.user_ids["clerk"])):
        assert world.rows(_CALL, ticket, reader, world.now, wall) == []
    results = [row["result"] for row in world.rows("SELECT result FROM look_up_reads ORDER BY id")]
    assert results == ["no_ticket", "no_ticket", "not_granted", "not_the_asker"]


def test_reading_past_the_console_is_shown_to_the_auditor(world: World) -> None:
    ticket = granted(world)
    assert read(world, ticket).status_code == 200
    assert "绕过本系统" not in world.browser("auditor").get("/audit").text
    wall = world.rows("SELECT granted_wall FROM look_up_tickets")[0]["granted_wall"]
    rows = world.rows(_CALL, ticket, world.user_ids["police"], world.now, wall)
    assert len(rows) == 3
    assert "绕过本系统" in world.browser("auditor").get("/audit").text


REWRITES = (
    "UPDATE look_up_tickets SET subject = 'x'", "UPDATE look_up_tickets SET to_at = to_at + interval '1 day'",
    "UPDATE look_up_tickets SET granted_wall = granted_wall + interval '1 day'",
    "UPDATE look_up_tickets SET delayed_until = asked_at + interval '1 day'",
    "DELETE FROM look_up_tickets", "UPDATE look_up_reads SET row_count = 0", "DELETE FROM look_up_reads",
    "TRUNCATE look_up_reads", "TRUNCATE look_up_tickets", "TRUNCATE audit_entries CASCADE",
)  # fmt: skip


def test_what_was_asked_and_read_is_not_rewritten(world: World) -> None:
    read(world, granted(world))
    for statement in REWRITES:
        with pytest.raises(psycopg.errors.RestrictViolation):
            world.write(statement)


def test_the_database_stores_no_grant_beyond_the_limits_without_a_supervisors_reason(world: World) -> None:
    ticket = asked(world, subject="王秀英")
    with pytest.raises(psycopg.errors.CheckViolation):
        world.write(
            "UPDATE look_up_tickets SET state = 'granted', granted_wall = now(), decided_by = %s,"
            " decided_role = 'police_officer', decided_at = now(), decision_reason = 'ok' WHERE id = %s",
            world.user_ids["police-2"], ticket,
        )  # fmt: skip


# --- Who may do what ---------------------------------------------------------------------------------------------


def test_another_communitys_ticket_is_not_there(world: World) -> None:
    ticket = asked(world)
    other = world.browser("police-b")
    assert other.get(f"/police/tickets/{ticket}").status_code == 404
    for act in ("answer", "review", "withdraw", "export"):
        assert world.post(other, f"/police/tickets/{ticket}/{act}", answer="grant").status_code == 404


# --- What the elder and the public are told ----------------------------------------------------------------------


def test_the_elder_is_told_at_once_or_from_the_day_a_supervisor_agreed_to(
    world: World, manual_clock: ManualClock
) -> None:
    looked = "/looked?household=h-wang"
    read(world, granted(world))
    assert "police display" in world.browser("clerk").get(looked).text
    ticket = asked(world, delay="2025-12-24T00:00", reason="侦查需要，推迟告知")
    assert agree(world, ticket, "supervisor", reason="核实过案卷", keep_delay="yes").status_code == 303
    read(world, ticket)
    listed = world.browser("clerk").get("/looked").text.count("police display")
    manual_clock.advance_to(manual_clock.now_ms() + 40 * 86_400_000)
    assert world.browser("clerk").get("/looked").text.count("police display") > listed


def test_a_delay_nobody_agreed_to_ends_with_the_decision(world: World) -> None:
    ticket = asked(world, delay="2025-12-24T00:00", reason="侦查需要，推迟告知")
    agree(world, ticket, "supervisor", reason="核实过案卷")
    assert world.rows("SELECT delayed_until FROM look_up_tickets")[0]["delayed_until"] is None


@pytest.mark.parametrize("delay", ["2020-01-01T00:00", "2029-01-01T00:00", "sometime"])
def test_a_delay_ends_within_twelve_months(world: World, delay: str) -> None:
    answer = ask(world, delay=delay, reason="侦查需要，推迟告知")
    assert answer.status_code == 422
    assert 'id="error-delay"' in answer.text


def test_the_family_is_never_told_of_a_look_up_of_police(world: World) -> None:
    read(world, granted(world))
    text = world.browser("family").get("/family").text
    assert "社区民警" not in text.split("<main", 1)[1]


def test_the_public_sees_no_number_below_five_and_needs_no_sign_in(world: World) -> None:
    for _ in range(4):
        granted(world)
    text = world.browser().get("/transparency?community=wenchang").text
    assert "少于 5" in text
    assert not any(f">{n}</td>" in text or f"\n{n}\n" in text for n in range(5))
    granted(world)
    after = world.browser().get("/transparency?community=wenchang").text
    assert after.count("少于 5") == text.count("少于 5") - 1
    assert "王" not in after
    assert "police display" not in after
    assert "滨河苑" in world.browser().get("/transparency").text
    assert world.browser().get("/transparency?community=none").status_code == 404


# --- The auditor -------------------------------------------------------------------------------------------------


def test_an_auditor_judges_what_was_drawn_once_and_with_a_reason(world: World) -> None:
    object.__setattr__(world.app.state.services.settings, "console_audited_share", 1.0)
    read(world, granted(world))
    entry = world.rows("SELECT id FROM audit_entries WHERE action = 'look_up'")[0]["id"]
    auditor = world.browser("auditor")
    assert f'action="/audit/{entry}/mark"' in auditor.get("/audit").text
    assert world.post(auditor, f"/audit/{entry}/mark", mark="justified").status_code == 422
    assert world.post(auditor, f"/audit/{entry}/mark", mark="", reason="一个理由").status_code == 422
    assert (
        world.post(auditor, f"/audit/{entry}/mark", mark="not_justified", reason="没有案卷").status_code
        == 303
    )
    assert (
        world.post(auditor, f"/audit/{entry}/mark", mark="justified", reason="又改了主意").status_code == 409
    )
    assert "没有案卷" in auditor.get("/audit").text
    assert actions(world)[-1] == "look_marked"


def test_what_was_not_drawn_and_what_is_elsewhere_cannot_be_judged(world: World) -> None:
    object.__setattr__(world.app.state.services.settings, "console_audited_share", 0.0)
    read(world, granted(world))
    entry = world.rows("SELECT id FROM audit_entries WHERE action = 'look_up'")[0]["id"]
    answer = world.post(world.browser("auditor"), f"/audit/{entry}/mark", mark="justified", reason="一个理由")
    assert answer.status_code == 404


def test_one_home_many_look_at_and_a_case_ended_in_seconds_stand_out(
    world: World, manual_clock: ManualClock
) -> None:
    add_second_officer(world, "police-3")
    for name in ("police", "police-2", "police-3"):
        ticket = asked(world, name)
        assert agree(world, ticket, "supervisor", reason="核实过案卷").status_code == 303
        assert read(world, ticket, name).status_code == 200
    clerk = world.browser("clerk")
    assert world.post(clerk, f"/cases/{world.case_ids['zhao']}/claim").status_code == 303
    manual_clock.advance_to(manual_clock.now_ms() + 4_000)
    ended = world.post(
        clerk, f"/tasks/{world.task_ids['zhao']}/outcome", outcome="well", contacted="spoke", witness="本人"
    )
    assert ended.status_code == 303, ended.text
    text = world.browser("auditor").get("/audit").text
    assert "3 人，3 次" in text
    assert "4 秒" in text


# --- The sealed package ------------------------------------------------------------------------------------------


def test_rows_leave_as_a_package_that_is_checked_offline_and_says_what_was_changed(
    world: World, tmp_path: Path
) -> None:
    world.write("UPDATE devices SET place = '=HYPERLINK(1)' WHERE id = 'd-h-wang'")
    ticket = granted(world)
    assert world.post(world.browser("police-2"), f"/police/tickets/{ticket}/export").status_code == 403
    answer = world.post(world.browser("police"), f"/police/tickets/{ticket}/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    whole, key = tmp_path / "whole.zip", tmp_path / "key"
    whole.write_bytes(answer.content)
    key.write_bytes(b"")
    with zipfile.ZipFile(whole) as package:
        files = {name: package.read(name) for name in package.namelist()}
    table = files["look-up.csv"].decode("utf-8-sig")
    assert table.count(DOOR) == 3
    assert ",'=HYPERLINK(1)," in table
    assert "police display" in files["look-up.html"].decode()
    facts = json.loads(files["manifest.json"])
    entry = world.rows("SELECT id, encode(hash, 'hex') AS hash FROM audit_entries ORDER BY id DESC LIMIT 1")[
        0
    ]
    assert facts["chain"] == {"entry_id": entry["id"], "hash": entry["hash"]}
    sound = CliRunner().invoke(main, ["audit", "verify", str(whole), "--key-file", str(key)])
    assert sound.exit_code == 0, sound.output
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(changed, "w") as package:
        for name, data in files.items():
            package.writestr(
                name, data.replace(DOOR.encode(), b"c-h-zhao", 1) if name.endswith("csv") else data
            )
    found = CliRunner().invoke(main, ["audit", "verify", str(changed), "--key-file", str(key)])
    assert found.exit_code == 1
    assert "CHANGED: look-up.csv (from line 2" in found.output
