"""Duty on pages: a roster written and refused, swaps and hand-overs by name, calendars, leaving, and who may not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts.duty.shifts import keep_duty, load_shift_ends
from alerts.duty.store import load_gaps
from console.stack import staff
from kaimen.clock import ManualClock
from kaimen.database import transaction
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.one_store]
ROSTER = "/duty/rosters/property_clerk"
ALL_DAY = {"days-0": "every", "start-0": "00:00", "end-0": "00:00"}


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    with transaction(built.pool) as connection:
        for name, role in (("second", "property_clerk"), ("gate", "guard")):
            row = connection.execute(
                "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
                " VALUES (%s, %s, '', %s, 'wenchang', %s) RETURNING id",
                (name, f"{name} display", role, built.now),
            ).fetchone()
            assert row is not None
            built.user_ids[name] = row["id"]
    yield built
    built.close()


def save(world: World, **fields: str) -> int:
    typed = {"community": "wenchang", **ALL_DAY, "people-0": "clerk", **fields}
    return int(world.post(world.browser("admin"), ROSTER, **typed).status_code)


def test_a_roster_is_written_by_names_and_shown_for_fourteen_days(world: World) -> None:
    assert save(world, **{"people-0": "second display、clerk"}) == 303
    page = world.browser("clerk").get("/duty").text
    assert page.count("second display、clerk display") >= 14
    # The foot of every page of the desk says who is on, not who happens to be signed in.
    assert "second display、clerk display" in world.browser("clerk").get("/alarms").text
    assert "能联系上" in page
    assert world.rows("SELECT action FROM audit_entries WHERE action = 'roster_saved'")


def test_a_roster_with_a_hole_comes_back_as_typed_with_the_first_bare_minute(world: World) -> None:
    world.write("UPDATE users SET disabled_at = %s WHERE role = 'guard'", world.now)
    answer = world.post(
        world.browser("admin"), ROSTER,
        **{"community": "wenchang", "days-0": "every", "start-0": "08:00", "end-0": "17:30", "people-0": "clerk"},
    )  # fmt: skip
    assert answer.status_code == 409
    assert "17:30" in answer.text and "没有保存" in answer.text
    assert world.rows("SELECT 1 FROM duty_rosters") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"start-0": "25:00"}, {"people-0": "nobody"}, {"people-0": ""}, {"days-0": "listed"}, {"days-0": "x"},
        {"first_day-0": "2026-02-30"}, {"first_day-0": "2026-03-01", "last_day-0": "2026-02-01"},
    ],
)  # fmt: skip
def test_a_line_that_is_not_right_says_so_and_nothing_is_saved(world: World, wrong: dict[str, str]) -> None:
    assert save(world, **wrong) == 422
    assert world.rows("SELECT 1 FROM duty_rosters") == []


@pytest.mark.parametrize("who", ["clerk", "police", "family", "watcher", "grid", "gate"])
def test_nobody_but_the_director_writes_rosters_or_lets_people_go(world: World, who: str) -> None:
    client = world.browser(who)
    for path in (ROSTER, f"{ROSTER}/override", f"{ROSTER}/deputy", f"{ROSTER}/import", "/duty/holidays",
                 "/duty/tests/1/reached", "/admin/users/second/leave"):  # fmt: skip
        assert (
            world.post(client, path, community="wenchang", **ALL_DAY, **{"people-0": "clerk"}).status_code
            == 403
        )
    assert world.rows("SELECT 1 FROM users WHERE name = 'second' AND disabled_at IS NULL")


@pytest.mark.one_store
def test_homes_watched_and_nobody_there_to_be_told_are_never_called_covered(world: World) -> None:
    admin = world.browser("admin")
    covered = "每一分钟都有人能联系上"
    world.write(
        "UPDATE users SET disabled_at = now() WHERE role IN ('property_clerk', 'guard', 'grid_worker')"
    )
    page = admin.get("/admin").text
    assert covered not in page
    assert "段时间没有人" in page
    world.write("UPDATE households SET watched_from = NULL")
    page = admin.get("/admin").text
    assert covered not in page
    assert "还没有看护任何住户" in page


def test_another_communitys_duty_is_not_there(world: World) -> None:
    assert world.browser("clerk").get("/duty?community=binhe").status_code == 404
    assert world.browser("admin").get("/duty?community=binhe").status_code == 200
    assert world.browser("admin").get("/duty?community=nowhere").status_code == 404


def test_an_override_and_a_deputy_are_made_and_ended(world: World) -> None:
    assert save(world) == 303
    admin = world.browser("admin")
    span = {"from": "2026-01-01T00:00", "to": "2026-01-02T00:00"}
    day = world.now.strftime("%Y-%m-%d")
    span = {"from": f"{day}T00:00", "to": f"{int(day[:4]) + 1}-01-05T00:00"}
    made = world.post(
        admin, f"{ROSTER}/override", community="wenchang", override_from=span["from"], override_to=span["to"],
        override_people="second",
    )  # fmt: skip
    assert made.status_code == 303
    stood = world.post(
        admin, f"{ROSTER}/deputy", community="wenchang", deputy_from=span["from"], deputy_to=span["to"],
        deputy_of="second", deputy_by="clerk",
    )  # fmt: skip
    assert stood.status_code == 303
    assert "代班" in world.browser("clerk").get("/duty").text
    for kind in ("override", "deputy"):
        row = world.rows(f"SELECT id FROM duty_{'overrides' if kind == 'override' else 'deputies'}")[0]
        ended = world.post(admin, f"{ROSTER}/{kind}/{row['id']}/end", community="wenchang")
        assert ended.status_code == 303
        assert world.post(admin, f"{ROSTER}/{kind}/{row['id']}/end", community="wenchang").status_code == 404


def test_a_swap_is_asked_and_accepted_by_the_one_who_was_asked(world: World) -> None:
    assert save(world) == 303
    year = world.now.year + 1
    typed = {
        "taker": str(world.user_ids["second"]),
        "from_at": f"{year}-01-02T08:00",
        "to_at": f"{year}-01-02T18:00",
    }
    assert world.post(world.browser("clerk"), "/duty/swaps", **typed).status_code == 303
    swap_id = world.rows("SELECT id FROM duty_swaps")[0]["id"]
    assert world.post(world.browser("clerk"), f"/duty/swaps/{swap_id}/accept").status_code == 404
    assert world.post(world.browser("gate"), f"/duty/swaps/{swap_id}/accept").status_code == 404
    assert "接受" in world.browser("second").get("/duty").text
    assert world.post(world.browser("second"), f"/duty/swaps/{swap_id}/accept").status_code == 303
    assert world.rows("SELECT state FROM duty_swaps") == [{"state": "accepted"}]
    wrong = world.post(world.browser("clerk"), "/duty/swaps", **{**typed, "to_at": f"{year}-01-01T18:00"})
    assert wrong.status_code == 422


def test_whoever_is_away_names_a_deputy_and_what_she_holds_goes_to_her_by_name(world: World) -> None:
    clerk, second = world.browser("clerk"), world.browser("second")
    case_id, ids = world.case_ids["zhao"], world.user_ids
    assert world.post(clerk, f"/cases/{case_id}/claim").status_code == 303
    world.clock.advance_to(world.clock.now_ms() + 60_000)
    zone = ZoneInfo("Asia/Shanghai")
    begin, until = (world.now.astimezone(zone) + timedelta(days=days) for days in (0, 7))
    typed = {"deputy_from": f"{begin:%Y-%m-%dT%H:%M}", "deputy_to": f"{until:%Y-%m-%dT%H:%M}"}
    refused = world.post(clerk, "/duty/deputy", deputy=str(ids["gate"]), **typed)
    assert (refused.status_code, "同一" in refused.text or "角色" in refused.text) == (422, True)
    assert world.post(clerk, "/duty/deputy", deputy=str(ids["second"]), **typed).status_code == 303
    circle = world.post(second, "/duty/deputy", deputy=str(ids["clerk"]), **typed)
    assert (circle.status_code, "循环" in circle.text) == (422, True)
    # Pressed twice, or a second one for some of the same hours: said, and nothing is made.
    again = world.post(clerk, "/duty/deputy", deputy=str(ids["second"]), **typed)
    assert (again.status_code, "已有人代班" in again.text) == (422, True)
    (made,) = world.rows("SELECT id, user_id, deputy_id, made_by FROM duty_deputies")
    assert (made["user_id"], made["deputy_id"], made["made_by"]) == (
        ids["clerk"], ids["second"], f"user:{ids['clerk']}",
    )  # fmt: skip
    assert "second display代clerk display" in second.get("/duty").text
    # Nobody has a roster here: what she holds is told again all the same, and the deputy's claim says for whom.
    with transaction(world.pool) as connection:
        (ended,) = load_shift_ends(connection, now=world.now)
    assert (ended[0], ended[2].user_id) == (case_id, ids["clerk"])
    assert world.post(clerk, f"/cases/{case_id}/release").status_code == 303
    assert world.post(second, f"/cases/{case_id}/claim").status_code == 303
    assert "second display代clerk display处理" in second.get(f"/cases/{case_id}").text
    # Also where nobody reads a timeline: the head, the list, the board, the printed list, the hand-over.
    named = "second display代clerk display"
    assert f"{named} 处理中" in second.get(f"/cases/{case_id}").text
    assert f"{named}（" in second.get("/alarms?tab=working&fragment=list").text
    for path in ("/morning", "/morning/print"):
        assert f"{named} 处理中" in second.get(path).text, path
    assert world.post(second, f"/tasks/{world.task_ids['zhao']}/take").status_code == 303
    tasks = second.get("/tasks").text
    assert f"{named} 处理中" in tasks and "您代clerk display值班" in tasks
    assert "您代" not in clerk.get("/tasks").text
    assert "代clerk display接手" in second.get("/duty").text
    # Only she herself is back before; then nobody acts for her any more.
    assert world.post(second, f"/duty/deputy/{made['id']}/end").status_code == 404
    assert world.post(clerk, f"/duty/deputy/{made['id']}/end").status_code == 303
    with transaction(world.pool) as connection:
        assert load_shift_ends(connection, now=world.now) == []
    for path in ("/alarms?tab=working&fragment=list", "/tasks"):
        assert "代clerk display" not in second.get(path).text, "she is back"
    trace = world.rows("SELECT action FROM audit_entries WHERE action LIKE 'duty_deputy_%%' ORDER BY id")
    assert [row["action"] for row in trace] == ["duty_deputy_made", "duty_deputy_ended"]


def test_staff_are_given_the_number_they_are_rung_on_and_lose_it_only_where_nobody_is_left_alone(
    world: World,
) -> None:
    admin, path = world.browser("admin"), "/admin/people/clerk/phone"
    world.write("UPDATE users SET disabled_at = %s WHERE name IN ('gate', 'second')", world.now)
    world.write(
        "INSERT INTO channel_states (channel, opened_at, personal) VALUES ('voice', %s, true)", world.now
    )
    for wrong in (
        {"phone": "call me"},
        {"phone": "8001", "order": "0"},
        {"phone": "8001", "order": "９"},
    ):
        answer = world.post(admin, path, **wrong)
        assert (answer.status_code, "error-" in answer.text) == (422, True), wrong
    assert world.post(admin, "/admin/people/family/phone", phone="8001").status_code == 422
    assert world.post(world.browser("clerk"), path, phone="8001").status_code == 403
    assert world.post(admin, path, phone="0571 8001", order="2").status_code == 303
    assert world.rows("SELECT phone, position, rings FROM staff_phones") == [
        {"phone": "05718001", "position": 2, "rings": True}
    ]
    assert save(world) == 303
    # She alone is on duty, and by her number alone she is reached.
    refused = world.post(admin, path, phone="")
    assert (refused.status_code, "无人可联系" in refused.text) == (409, True)
    world.write("UPDATE users SET disabled_at = NULL WHERE name = 'second'")
    assert world.post(admin, "/admin/people/second/phone", phone="8002").status_code == 303
    assert save(world, **{"people-0": "clerk、second"}) == 303
    assert world.post(admin, path, phone="").status_code == 303
    assert world.rows("SELECT rings FROM staff_phones WHERE phone = '05718001'") == [{"rings": False}]
    trace = world.rows(
        "SELECT detail->>'rings' AS rings FROM audit_entries WHERE action = 'staff_phone' ORDER BY id"
    )
    assert [row["rings"] for row in trace] == ["true", "true", "false"]


def test_a_case_is_handed_over_by_name(world: World) -> None:
    case_id = world.case_ids["zhao"]
    world.post(world.browser("clerk"), f"/cases/{case_id}/claim")
    offered = world.post(
        world.browser("clerk"),
        "/duty/handover",
        case_id=str(case_id),
        to_user_id=str(world.user_ids["second"]),
    )
    assert offered.status_code == 303
    offer_id = world.rows("SELECT id FROM duty_handovers")[0]["id"]
    assert world.post(world.browser("clerk"), f"/duty/handover/{offer_id}/accept").status_code == 404
    assert "我接班" in world.browser("second").get("/duty").text
    assert world.post(world.browser("second"), f"/duty/handover/{offer_id}/accept").status_code == 303
    holder = world.rows("SELECT holder_id FROM cases WHERE id = %s", case_id)
    assert holder == [{"holder_id": world.user_ids["second"]}]


def test_a_calendar_address_is_shown_once_read_without_signing_in_and_ends_when_revoked(world: World) -> None:
    assert save(world) == 303
    clerk = world.browser("clerk")
    page = world.post(clerk, "/duty/feed")
    url = re.search(r"https://console\.test(/duty/feed/[\w-]+\.ics)", page.text)
    assert url is not None
    assert url[1] not in clerk.get("/duty").text
    stranger = world.browser()
    answer = stranger.get(url[1])
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/calendar")
    assert "BEGIN:VEVENT" in answer.text and "display" not in answer.text
    assert stranger.get("/duty/feed/" + "x" * 43 + ".ics").status_code == 404
    assert url[1].split("/")[-1].removesuffix(".ics").encode() not in bytes(
        world.rows("SELECT token_hash FROM duty_feeds")[0]["token_hash"]
    )
    assert world.post(clerk, "/duty/feed/revoke").status_code == 303
    assert stranger.get(url[1]).status_code == 404


def test_shifts_come_in_from_a_calendar_file(world: World) -> None:
    start = f"{world.now.year + 1}0102T080000"
    data = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:second\r\n"
        f"DTSTART:{start}\r\nDURATION:PT10H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    assert save(world) == 303
    admin = world.browser("admin")
    fields = {"csrf": world.csrf(admin), "community": "wenchang"}
    good = admin.post(f"{ROSTER}/import", data=fields, files={"calendar": ("a.ics", data.encode())})
    assert good.status_code == 303, good.text
    assert len(world.rows("SELECT 1 FROM duty_shifts")) == 1
    bad = admin.post(f"{ROSTER}/import", data=fields, files={"calendar": ("a.ics", b"hello")})
    assert bad.status_code == 409 and "日历文件" in bad.text


def test_a_year_of_holidays_is_entered_and_a_wrong_one_is_not(world: World) -> None:
    admin = world.browser("admin")
    table = '[[years]]\nyear = 2030\nsource = "notice"\nholidays = [{ name = "元旦", from = 2030-01-01, to = 2030-01-01 }]\n'
    assert world.post(admin, "/duty/holidays", table=table).status_code == 303
    assert world.rows("SELECT year FROM holiday_years") == [{"year": 2030}]
    assert world.post(admin, "/duty/holidays", table="2031").status_code == 422


def test_somebody_leaves_and_what_that_ended_is_shown(world: World) -> None:
    world.write("UPDATE users SET disabled_at = %s WHERE role = 'guard'", world.now)
    assert save(world, **{"people-0": "second"}) == 303
    second = world.browser("second")
    assert second.get("/duty").status_code == 200
    page = world.post(world.browser("admin"), "/admin/users/second/leave")
    assert page.status_code == 200 and "已离职" in page.text and "因此没有人的时间" in page.text
    assert second.get("/duty", follow_redirects=False).status_code in (303, 302)
    assert world.post(world.browser("admin"), "/admin/users/admin/leave").status_code == 404


def test_a_dry_run_answers_the_desk_for_a_household_and_the_director_for_a_policy(world: World) -> None:
    asked = "/dry-run?from_at=2025-11-21T18:00&household=3-1-1201"
    answer = world.browser("clerk").get(asked)
    assert answer.status_code == 200 and "<td" in answer.text
    assert world.browser("admin").get(asked + "&community=wenchang").status_code == 422
    assert (
        world.browser("clerk-b").get("/dry-run?from_at=2025-11-21T18:00&household=h-wang").status_code == 422
    )
    assert world.browser("clerk").get("/dry-run?from_at=nonsense").status_code == 422
    assert (
        world.rows("SELECT object_id FROM audit_entries WHERE action = 'policy_dry_run'")[0]["object_id"]
        == "h-wang"
    )


def test_the_result_of_a_monthly_test_is_written_down(world: World) -> None:
    world.write(
        "INSERT INTO live_tests (community_id, user_id, month, due_at)"
        " VALUES ('wenchang', %s, date_trunc('month', %s)::date, %s)",
        world.user_ids["clerk"], world.now, world.now,
    )  # fmt: skip
    test_id = world.rows("SELECT id FROM live_tests")[0]["id"]
    admin = world.browser("admin")
    assert world.post(admin, f"/duty/tests/{test_id}/reached", community="binhe").status_code == 404
    assert world.post(admin, f"/duty/tests/{test_id}/not_reached", community="wenchang").status_code == 303
    assert world.rows("SELECT state FROM live_tests") == [{"state": "not_reached"}]
    assert "没有联系上" in admin.get("/duty?community=wenchang").text


def test_a_test_is_sent_to_her_own_address_and_only_her_confirmation_is_reaching(world: World) -> None:
    world.write(
        "INSERT INTO live_tests (community_id, user_id, month, due_at) VALUES ('wenchang', %s, %s, %s)",
        world.user_ids["clerk"], world.now.date().replace(day=1), world.now,
    )  # fmt: skip
    test_id = world.rows("SELECT id FROM live_tests")[0]["id"]
    admin = world.browser("admin")
    none = world.post(admin, f"/duty/tests/{test_id}/send", community="wenchang")
    assert none.status_code == 409 and "没有可用的个人联系方式" in none.text
    world.write(
        "INSERT INTO channel_states (channel, opened_at, personal) VALUES ('ntfy', %s, true)", world.now
    )
    world.write(
        "INSERT INTO contact_channels (user_id, channel, address, address_hash, added_at, added_by)"
        " VALUES (%s, 'ntfy', 'x', 'y', %s, 'test')",
        world.user_ids["clerk"], world.now,
    )  # fmt: skip
    assert world.post(admin, f"/duty/tests/{test_id}/send", community="wenchang").status_code == 303
    sent = world.rows("SELECT id, template, case_id FROM outbox WHERE step = 'test'")
    assert [(row["template"], row["case_id"]) for row in sent] == [("test", None)]
    assert world.rows("SELECT state FROM live_tests") == [{"state": "calling"}]
    world.write("INSERT INTO duty_rosters VALUES ('wenchang', 'property_clerk', 1, %s, 'x')", world.now)
    for state, expected in (("delivered", "calling"), ("confirmed", "reached")):
        world.write("UPDATE outbox SET state = %s WHERE id = %s", state, sent[0]["id"])
        with transaction(world.pool) as connection:
            keep_duty(connection, now=world.now)
        row = world.rows("SELECT state FROM live_tests WHERE id = %s", test_id)
        assert row == [{"state": expected}]


def test_where_she_has_a_telephone_and_there_is_a_gateway_the_test_rings(world: World) -> None:
    world.write(
        "INSERT INTO live_tests (community_id, user_id, month, due_at) VALUES ('wenchang', %s, %s, %s)",
        world.user_ids["clerk"], world.now.date().replace(day=1), world.now,
    )  # fmt: skip
    test_id = world.rows("SELECT id FROM live_tests")[0]["id"]
    world.write("INSERT INTO staff_phones (user_id, phone) VALUES (%s, '100')", world.user_ids["clerk"])
    admin = world.browser("admin")
    assert world.post(admin, f"/duty/tests/{test_id}/send", community="wenchang").status_code == 409
    world.write("INSERT INTO channel_states (channel, opened_at) VALUES ('voice', %s)", world.now)
    assert "现在拨打" in admin.get("/duty?community=wenchang").text
    assert world.post(admin, f"/duty/tests/{test_id}/send", community="wenchang").status_code == 303
    (row,) = world.rows("SELECT channel, person, args, case_id FROM outbox WHERE step = 'test'")
    assert (row["channel"], row["case_id"]) == ("voice", None)
    assert row["person"] == f"user:{world.user_ids['clerk']}"
    assert row["args"]["audience"] == "test"


def test_the_demos_rosters_leave_no_gap_and_the_director_sees_that(world: World) -> None:
    with transaction(world.pool) as connection:
        staff.keep_rosters(connection, "wenchang", now=world.now)
        assert load_gaps(connection, "wenchang", now=world.now) == []
    assert "每一分钟都有人能联系上" in world.browser("admin").get("/admin").text
    world.write("UPDATE users SET disabled_at = %s WHERE name = 'gate'", world.now)
    assert "段时间没有人" in world.browser("admin").get("/admin").text


def test_the_duty_line_stands_where_somebody_has_to_ring_it_and_in_no_other_community(world: World) -> None:
    line = {
        "community": "wenchang",
        "line_phone": "0571-8800 1234",
        "line_hours": "24 小时",
        "line_hours_en": "day and night",
    }
    before = world.browser("watcher").get(f"/tasks/{world.task_ids['wang']}").text
    assert "打给值班室 ·" not in before and "还没有填写值班电话" in world.browser("clerk").get("/duty").text
    assert world.post(world.browser("admin"), "/duty/line", **line).status_code == 303
    task = world.browser("watcher").get(f"/tasks/{world.task_ids['wang']}").text
    assert 'href="tel:057188001234"' in task and "接听时间：24 小时" in task
    watcher = world.browser("watcher")
    assert world.post(watcher, "/language", language="en", next="/tasks").status_code == 303
    english = watcher.get(f"/tasks/{world.task_ids['wang']}")
    assert "Answered: day and night" in english.text and "24 小时" not in english.text
    for name, path in (
        ("watcher", f"/tasks/{world.task_ids['wang']}/entry"), ("watcher", f"/tasks/{world.task_ids['wang']}/visit"),
        ("family", "/family"), ("resident", "/resident"),
    ):  # fmt: skip
        assert "0571-8800 1234" in world.browser(name).get(path).text, path
    assert "0571" not in world.browser("family-b").get("/family").text
    assert world.rows("SELECT action FROM audit_entries WHERE action = 'duty_line'")
    for name in ("clerk", "watcher", "family"):
        assert world.post(world.browser(name), "/duty/line", **line).status_code == 403, name
    assert world.post(world.browser("admin"), "/duty/line/end", community="wenchang").status_code == 303
    assert "0571" not in world.browser("family").get("/family").text


def test_nobodys_own_mobile_becomes_the_duty_line(world: World) -> None:
    world.write(
        "INSERT INTO staff_phones (user_id, phone, position) VALUES (%s, '139 0000 0001', 1)",
        world.user_ids["clerk"],
    )
    for phone, hours in (("+86 13900000001", "24 小时"), ("no number", "24 小时"), ("0571-88001234", " ")):
        typed = {"community": "wenchang", "line_phone": phone, "line_hours": hours}
        answer = world.post(world.browser("admin"), "/duty/line", **typed)
        assert answer.status_code == 422 and "aria-invalid" in answer.text, phone
    assert world.rows("SELECT 1 FROM duty_lines") == []


def test_at_night_nobody_is_said_to_be_at_the_desk_because_somebody_looks(world: World) -> None:
    world.write(
        "UPDATE users SET role = 'guard', display_name = '夜班' WHERE id = %s", world.user_ids["watcher"]
    )
    for role, person, hours in (
        ("property_clerk", world.user_ids["clerk"], 4), ("guard", world.user_ids["watcher"], -1),
    ):  # fmt: skip
        world.write("INSERT INTO duty_rosters VALUES ('wenchang', %s, 1, %s, 'test')", role, world.now)
        world.write(
            "INSERT INTO duty_shifts (community_id, role, user_id, from_at, to_at, made_at, made_by)"
            " VALUES ('wenchang', %s, %s, %s, %s, %s, 'test')",
            role, person, world.now + timedelta(hours=hours), world.now + timedelta(hours=hours + 5), world.now,
        )  # fmt: skip
    page = world.browser("clerk").get("/alarms").text
    assert "物业无人值班" in page and "保安当班 夜班" in page and "当班 李" not in page
