"""The people who sign in: added, moved, reset and let go by an administrator, with a second one where it matters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world
from tests.integration.test_second_factor import enrol, form_token, pass_time, sign_in

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    for name, community in (("admin-two", None), ("admin-binhe", "binhe")):
        built.write(
            "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
            " VALUES (%s, %s, 'x', 'admin', %s, %s)",
            name, name, community, built.now,
        )  # fmt: skip
    yield built
    built.close()


def _shown_password(answer: httpx.Response) -> str:
    found = re.search(r'class="code"><code>([^<]+)</code>', answer.text)
    assert answer.status_code == 200 and found is not None, answer.status_code
    return found[1]


def _request_id(world: World) -> int:
    return int(world.rows("SELECT max(id) AS id FROM people_requests WHERE state = 'asked'")[0]["id"])


def _own_password(client: httpx.Client, old: str) -> None:
    page = client.get("/account/password")
    new = "a password of my own"
    fields = {"csrf": form_token(page.text), "old": old, "new": new, "again": new}
    assert client.post("/account/password", data=fields).status_code == 303


def test_a_clerk_is_added_with_a_password_that_she_changes_before_she_sees_anything(world: World) -> None:
    admin = world.browser("admin")
    added = world.post(
        admin,
        "/admin/people/new",
        name="new-clerk",
        display_name="新人",
        role="property_clerk",
        community="wenchang",
    )
    password = _shown_password(added)
    assert password not in admin.get("/admin/people/new-clerk").text
    client = world.browser()
    assert sign_in(client, "new-clerk", password).status_code == 303
    assert client.get("/alarms").headers["location"] == "/account/password"
    assert client.get("/api/cases").json()["error"]["code"] == "password_due"
    _own_password(client, password)
    assert client.get("/alarms").status_code == 200


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"name": "clerk"}, "name_taken"), ({"name": "two words"}, "name_form"), ({"display_name": ""}, "required"),
        ({"role": "family"}, "no_such_role"), ({"community": ""}, "place_needed"), ({"community": "x"}, "place_needed"),
    ],
)  # fmt: skip
def test_nobody_is_added_by_a_form_that_is_wrong(world: World, changed: dict[str, str], word: str) -> None:
    fields = {"name": "new", "display_name": "新人", "role": "property_clerk", "community": "wenchang"}
    fields = {**fields, "name": "newcomer", **changed}
    answer = world.post(world.browser("admin"), "/admin/people/new", **fields)
    assert answer.status_code == 422 and "field-error" in answer.text, word
    assert world.rows("SELECT 1 FROM users WHERE name = 'newcomer'") == []


def test_police_come_in_only_after_a_second_administrator_agreed_who_is_neither_asker_nor_subject(
    world: World,
) -> None:
    asker, second = world.browser("admin"), world.browser("admin-two")
    fields = {"name": "zhao", "display_name": "赵", "role": "police_officer", "community": "wenchang"}
    password = _shown_password(world.post(asker, "/admin/people/new", **fields))
    request = _request_id(world)
    assert sign_in(world.browser(), "zhao", password).status_code == 401
    assert world.post(asker, f"/admin/people/requests/{request}/agree").status_code == 404
    assert world.post(asker, "/admin/users/zhao/enable").status_code == 404
    assert (
        world.post(world.browser("admin-binhe"), f"/admin/people/requests/{request}/agree").status_code == 404
    )
    assert sign_in(world.browser(), "zhao", password).status_code == 401
    assert "赵" in second.get("/admin/people").text
    assert world.post(second, f"/admin/people/requests/{request}/agree").status_code == 303
    assert world.post(second, f"/admin/people/requests/{request}/agree").status_code == 404
    assert sign_in(world.browser(), "zhao", password).status_code == 303
    seen = world.rows(
        "SELECT action FROM audit_entries WHERE action IN ('user_added', 'request_agreed') ORDER BY id"
    )
    assert [row["action"] for row in seen] == ["user_added", "request_agreed"]


def test_a_clerk_becomes_an_officer_by_two_and_a_refusal_or_too_long_a_wait_changes_nothing(
    world: World,
) -> None:
    asker, second = world.browser("admin"), world.browser("admin-two")
    at_work = world.browser("clerk")
    for answer in ("refuse", "late"):
        world.post(asker, "/admin/people/clerk/role", role="police_officer", community="wenchang")
        request = _request_id(world)
        if answer == "late":
            pass_time(world, timedelta(days=7, seconds=1))
            asker, second, at_work = (
                world.browser("admin"),
                world.browser("admin-two"),
                world.browser("clerk"),
            )
            assert world.post(second, f"/admin/people/requests/{request}/agree").status_code == 404
        else:
            assert world.post(second, f"/admin/people/requests/{request}/refuse").status_code == 303
        assert at_work.get("/alarms").status_code == 200
    world.post(asker, "/admin/people/clerk/role", role="police_officer", community="wenchang")
    assert at_work.get("/alarms").status_code == 200
    assert world.post(second, f"/admin/people/requests/{_request_id(world)}/agree").status_code == 303
    assert at_work.get("/alarms").status_code == 303
    now_police = world.browser("clerk")
    assert now_police.get("/police").status_code == 200 and now_police.get("/alarms").status_code == 403


def test_a_lost_factor_is_reset_at_once_for_a_clerk_and_by_two_for_an_auditor(world: World) -> None:
    admin, second = world.browser("admin"), world.browser("admin-two")
    for name in ("clerk", "auditor"):
        enrol(world, name)
    clerk = world.browser("clerk")
    assert world.post(admin, "/admin/people/clerk/factor").status_code == 303
    assert clerk.get("/alarms").status_code == 303
    assert sign_in(world.browser(), "clerk").headers["location"] == "/alarms"
    auditor = world.browser("auditor")
    assert world.post(admin, "/admin/people/auditor/factor").status_code == 303
    assert auditor.get("/audit").status_code == 200
    assert "/sign-in/code" in sign_in(world.browser(), "auditor").headers["location"]
    assert world.post(second, f"/admin/people/requests/{_request_id(world)}/agree").status_code == 303
    assert auditor.get("/audit").status_code == 303
    client = world.browser()
    sign_in(client, "auditor")
    # No grace after a reset: the factor is set up before anything is seen.
    assert client.get("/audit").headers["location"] == "/account/second-factor"


def test_a_password_reset_is_shown_to_who_agreed_and_ends_every_session(world: World) -> None:
    asker, second = world.browser("admin"), world.browser("admin-two")
    officer = world.browser("police")
    assert world.post(asker, "/admin/people/police/password").status_code == 303
    password = _shown_password(world.post(second, f"/admin/people/requests/{_request_id(world)}/agree"))
    assert officer.get("/police").status_code == 303
    client = world.browser()
    assert sign_in(client, "police", password).status_code == 303
    assert client.get("/police").headers["location"] == "/account/password"
    stored = str(world.rows("SELECT * FROM audit_entries")) + str(world.rows("SELECT * FROM people_requests"))
    assert password not in stored


def test_one_position_is_active_at_a_time_shown_on_every_page_and_ended_at_once(world: World) -> None:
    admin, clerk = world.browser("admin"), world.browser("clerk")
    assert (
        world.post(admin, "/admin/people/clerk/positions", role="guard", community="binhe").status_code == 303
    )
    position = world.rows("SELECT id FROM user_positions")[0]["id"]
    assert "/position" in clerk.get("/alarms").text
    assert clerk.get("/tasks").status_code == 200
    assert world.post(world.browser("police"), "/position", position=str(position)).status_code == 404
    assert world.post(clerk, "/position", position="x").status_code == 404
    moved = world.post(clerk, "/position", position=str(position))
    assert (moved.status_code, moved.headers["location"]) == (303, "/tasks")
    assert clerk.get("/alarms").status_code == 403
    page = clerk.get("/tasks").text
    assert re.search(r'aria-pressed="true"><span>[^<]*滨河苑', page)
    assert clerk.get("/api/me").json()["community"] == "binhe"
    # Her other browser goes on in the first position.
    other = world.browser("clerk")
    assert other.get("/alarms").status_code == 200
    assert world.post(clerk, "/position", position="").headers["location"] == "/alarms"
    world.post(clerk, "/position", position=str(position))
    assert world.post(admin, f"/admin/people/clerk/positions/{position}/end").status_code == 303
    assert clerk.get("/tasks").status_code == 303 and other.get("/alarms").status_code == 200


@pytest.mark.parametrize(
    ("name", "role"),
    [("clerk", "auditor"), ("clerk", "police_officer"), ("auditor", "guard"), ("supervisor", "guard")],
)
def test_who_judges_looks_and_who_looks_hold_no_second_position(world: World, name: str, role: str) -> None:
    answer = world.post(
        world.browser("admin"), f"/admin/people/{name}/positions", role=role, community="wenchang"
    )
    assert answer.status_code == 422
    assert world.rows("SELECT 1 FROM user_positions") == world.rows("SELECT 1 FROM people_requests") == []


def test_training_is_written_down_for_officers_alone_and_opens_and_closes_the_look_up(world: World) -> None:
    admin = world.browser("admin")
    assert world.post(admin, "/admin/people/clerk/training", until="2030-01-01").status_code == 404
    assert world.post(admin, "/admin/people/police/training", until="soon").status_code == 422
    assert world.post(admin, "/admin/people/police/training", until="").status_code == 303
    refused = world.browser("police").get("/police/look-up").text
    assert world.post(admin, "/admin/people/police/training", until="2030-01-01").status_code == 303
    allowed = world.browser("police").get("/police/look-up").text
    assert "培训" in refused and len(allowed) != len(refused)
    assert world.rows("SELECT trained_until::text AS day FROM users WHERE name = 'police'") == [
        {"day": "2030-01-01"}
    ]


def test_an_administrator_of_one_community_reaches_its_people_alone_and_nobody_herself(world: World) -> None:
    local, admin = world.browser("admin-binhe"), world.browser("admin")
    assert local.get("/admin/people/clerk-b").status_code == 200
    page = local.get("/admin/people").text
    assert "clerk-b display" in page and "clerk display" not in page
    for path in ("password", "factor", "sessions", "role", "positions", "training"):
        assert world.post(local, f"/admin/people/clerk/{path}").status_code == 404
        assert world.post(admin, f"/admin/people/admin/{path}").status_code == 404
    for community in ("wenchang", ""):
        given = world.post(local, "/admin/people/clerk-b/positions", role="admin", community=community)
        assert given.status_code == 422
    assert world.post(world.browser("clerk"), "/admin/people/clerk-b/password").status_code == 403


def test_leaving_ends_everything_by_which_she_could_come_back(world: World) -> None:
    enrol(world, "clerk")
    admin, clerk = world.browser("admin"), world.browser("clerk")
    world.post(admin, "/admin/people/clerk/positions", role="guard", community="wenchang")
    world.post(clerk, "/account/tokens", name="x", days="7", scopes="read:cases")
    assert world.post(clerk, "/duty/feed").status_code == 200
    assert world.post(clerk, f"/cases/{world.case_ids['zhao']}/claim").status_code == 303
    world.post(clerk, "/devices/tests", device="d-h-li", hours="2", reason="换电池")
    for absent, deputy in (("grid", "clerk"), ("clerk", "grid")):
        world.write(
            "INSERT INTO duty_deputies (community_id, user_id, deputy_id, from_at, to_at, made_at, made_by)"
            " VALUES ('wenchang', %s, %s, %s, %s::timestamptz + interval '7 days', %s, 'test')",
            world.user_ids[absent], world.user_ids[deputy], world.now, world.now, world.now,
        )  # fmt: skip
    assert world.post(admin, "/admin/users/clerk/leave").status_code == 200
    assert clerk.get("/alarms").status_code == 303
    for table in (
        "sessions",
        "api_tokens",
        "second_factors",
        "recovery_codes",
        "user_positions",
        "known_devices",
    ):
        assert world.rows(f"SELECT 1 FROM {table} WHERE user_id = %s", world.user_ids["clerk"]) == [], table
    clerk_id = world.user_ids["clerk"]
    assert world.rows("SELECT 1 FROM duty_feeds WHERE revoked_at IS NULL") == []
    assert world.rows("SELECT 1 FROM cases WHERE holder_id = %s", clerk_id) == []
    assert world.rows("SELECT state FROM agreements") == [{"state": "ended"}]
    # She stands in for nobody; who stands in for her goes on doing so.
    assert world.rows("SELECT user_id FROM duty_deputies WHERE ended_at IS NULL") == [{"user_id": clerk_id}]
    assert sign_in(world.browser(), "clerk").status_code == 401
    assert world.rows("SELECT count(*) FROM audit_entries WHERE action = 'user_left'")[0]["count"] == 1
