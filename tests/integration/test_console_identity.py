"""Signing in and out: passwords, sessions, lock-out and the forms in front of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from console.identity import sessions as identity
from kaimen.clock import ManualClock
from kaimen.database import transaction
from kaimen.vocabulary import Role
from tests.integration.console_world import PASSWORD, World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

_COOKIE = "__Host-kaimen_session"


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def _sign_in(client: httpx.Client, name: str, password: str, after: str = "/") -> httpx.Response:
    page = client.get("/sign-in").text
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert token is not None
    return client.post("/sign-in", data={"csrf": token[1], "name": name, "password": password, "next": after})


@pytest.mark.slow
def test_each_role_arrives_where_it_works(world: World) -> None:
    for name, path in (
        ("clerk", "/alarms"), ("police", "/police"), ("family", "/family"), ("admin", "/admin"), ("watcher", "/tasks"),
    ):  # fmt: skip
        client = world.browser()
        answer = _sign_in(client, name, PASSWORD)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        assert client.get(path).status_code == 200
        assert client.get("/").headers["location"] == path


def test_the_cookie_is_bound_to_the_host_and_hidden_from_scripts_and_its_token_is_not_stored(
    world: World,
) -> None:
    client = world.browser()
    answer = _sign_in(client, "clerk", PASSWORD)
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith(_COOKIE))
    assert "HttpOnly" in cookie and "Secure" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
    token = client.cookies[_COOKIE]
    stored = world.rows("SELECT * FROM sessions")
    assert stored[0]["token_hash"] == identity.hash_token(token)
    assert token not in str(stored)


def test_one_is_led_back_to_the_page_one_came_for_and_never_to_another_site(world: World) -> None:
    assert _sign_in(world.browser(), "clerk", PASSWORD, "/devices").headers["location"] == "/devices"
    assert _sign_in(world.browser(), "clerk", PASSWORD, "//evil.example/x").headers["location"] == "/alarms"


def test_an_unknown_name_and_a_wrong_password_are_one_answer(world: World) -> None:
    wrong = _sign_in(world.browser(), "clerk", "wrong password")
    unknown = _sign_in(world.browser(), "nobody", "wrong password")
    world.write("UPDATE users SET disabled_at = %s WHERE name = 'police'", world.now)
    disabled = _sign_in(world.browser(), "police", PASSWORD)
    assert wrong.status_code == unknown.status_code == disabled.status_code == 401
    bodies = {re.sub(r'value="[^"]*"', "", answer.text) for answer in (wrong, unknown, disabled)}
    assert len(bodies) == 1


@pytest.mark.slow
def test_five_failures_lock_the_name_for_that_address_and_for_no_other(world: World) -> None:
    attacker = world.browser(address="198.51.100.9")
    for _ in range(5):
        assert _sign_in(attacker, "clerk", "wrong password").status_code == 401
    assert _sign_in(attacker, "clerk", PASSWORD).status_code == 429
    assert _sign_in(attacker, "admin", PASSWORD).status_code == 303
    assert _sign_in(world.browser(address="203.0.113.5"), "clerk", PASSWORD).status_code == 303
    world.wall.advance_to(world.wall.now_ms() + 16 * 60_000)
    assert _sign_in(world.browser(address="198.51.100.9"), "clerk", PASSWORD).status_code == 303


@pytest.mark.slow
def test_success_forgets_the_failures_before_it(world: World) -> None:
    for _ in range(2):
        client = world.browser()
        for _ in range(4):
            assert _sign_in(client, "clerk", "wrong password").status_code == 401
        assert _sign_in(client, "clerk", PASSWORD).status_code == 303


def test_the_form_is_refused_without_its_token_or_from_elsewhere(world: World) -> None:
    client = world.browser()
    fields = {"name": "clerk", "password": PASSWORD, "csrf": "0" * 64}
    assert client.post("/sign-in", data=fields).status_code == 403
    client.get("/sign-in")
    assert client.post("/sign-in", data=fields).status_code == 403
    assert client.post("/sign-in", data=fields, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post("/sign-in", data=fields, headers={"origin": "null"}).status_code == 403
    assert client.post("/sign-in", data=fields, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert world.rows("SELECT 1 FROM sessions") == []


def test_signing_out_ends_the_session_everywhere_it_could_be_used(world: World) -> None:
    client = world.browser("clerk")
    copied = world.browser()
    copied.cookies.set(_COOKIE, client.cookies[_COOKIE], domain="console.test")
    assert copied.get("/alarms").status_code == 200
    answer = world.post(client, "/sign-out")
    assert answer.status_code == 303 and answer.headers["location"] == "/sign-in"
    assert copied.get("/alarms").status_code == 303


@pytest.mark.parametrize(("name", "idle_h", "absolute_h"), [("clerk", 24, 7 * 24), ("police", 0.5, 12)])
def test_a_session_ends_when_it_is_not_used_and_ends_at_last(
    world: World, name: str, idle_h: float, absolute_h: float
) -> None:
    idle_ms = int(idle_h * 3_600_000)
    resting, working = world.browser(name), world.browser(name)
    begun = world.wall.now_ms()
    world.wall.advance_to(begun + idle_ms - 60_000)
    assert working.get("/api/me").status_code == 200
    world.wall.advance_to(begun + idle_ms + 60_000)
    assert resting.get("/api/me").status_code == 401
    while world.wall.now_ms() + idle_ms // 2 < begun + absolute_h * 3_600_000:
        assert working.get("/api/me").status_code == 200
        world.wall.advance_to(world.wall.now_ms() + idle_ms // 2)
    world.wall.advance_to(int(begun + absolute_h * 3_600_000))
    assert working.get("/api/me").status_code == 401


def test_a_page_that_refreshes_itself_keeps_no_session_alive(world: World) -> None:
    client = world.browser("police")
    for _ in range(4):
        assert client.get("/police?fragment=list").status_code == 200
        world.wall.advance_to(world.wall.now_ms() + 9 * 60_000)
    assert client.get("/police?fragment=list").status_code == 401


def test_a_session_lives_by_the_wall_not_by_the_communitys_clock(world: World) -> None:
    client = world.browser("clerk")
    world.clock.advance_to(world.clock.now_ms() + 400 * 86_400_000)
    assert client.get("/alarms").status_code == 200


def test_own_sessions_are_listed_and_ended_and_nobody_elses(world: World) -> None:
    first, second, other = world.browser("clerk"), world.browser("clerk"), world.browser("police")
    items = first.get("/api/sessions").json()["items"]
    assert len(items) == 2 and [item["current"] for item in items].count(True) == 1
    away = next(item["id"] for item in items if not item["current"])
    headers = {"x-csrf-token": world.csrf(first)}
    foreign = other.get("/api/sessions").json()["items"][0]["id"]
    assert first.delete(f"/api/sessions/{foreign}", headers=headers).status_code == 404
    assert first.delete(f"/api/sessions/{away}").status_code == 403
    assert first.delete(f"/api/sessions/{away}", headers=headers).status_code == 204
    assert second.get("/alarms").status_code == 303
    assert other.get("/police").status_code == 200


def test_a_disabled_person_is_out_at_once_and_nobody_disables_herself(world: World) -> None:
    clerk, admin = world.browser("clerk"), world.browser("admin")
    assert world.post(admin, "/admin/users/clerk/disable").status_code == 303
    assert clerk.get("/alarms").status_code == 303
    assert world.post(admin, "/admin/users/admin/disable").status_code == 404
    assert world.post(admin, "/admin/users/clerk/enable").status_code == 303
    assert world.post(world.browser("clerk"), "/admin/users/police/disable").status_code == 403


def test_passwords_are_argon2id_and_neither_too_short_nor_too_long(world: World) -> None:
    assert identity.hash_password("long enough, this").startswith("$argon2id$")
    for password in ("short", "x" * 257):
        with pytest.raises(ValueError, match="characters"):
            identity.hash_password(password)
    with transaction(world.pool) as connection, pytest.raises(ValueError, match="already"):
        identity.add_user(
            connection, name="clerk", display_name="x", password=PASSWORD, role=Role.ADMIN, community_id=None,
            now=world.now,
        )  # fmt: skip


def test_expired_sessions_and_old_failures_are_forgotten(world: World) -> None:
    world.browser("clerk")
    _sign_in(world.browser(), "clerk", "wrong password")
    later = world.now.replace(year=world.now.year + 1)
    with transaction(world.pool) as connection:
        identity.forget_expired(connection, now=later)
    assert world.rows("SELECT 1 FROM sessions") == [] and world.rows("SELECT 1 FROM sign_in_failures") == []


def test_people_see_and_end_their_own_sessions_and_nobody_elses(world: World) -> None:
    here, there, other = world.browser("clerk"), world.browser("clerk"), world.browser("police")
    page = here.get("/sessions").text
    ends = re.findall(r"/sessions/([0-9a-f]{16})/end", page)
    assert len(ends) == 2
    assert other.get("/sessions").text.count("/end") == 1
    assert "/account/tokens" in page
    assert "/account/tokens" not in world.browser("auditor").get("/sessions").text, (
        "that role may give a program nothing"
    )
    own = identity.hash_token(there.cookies["__Host-kaimen_session"]).hex()[:16]
    assert own in ends
    assert world.post(other, f"/sessions/{own}/end").status_code == 404
    assert there.get("/alarms").status_code == 200
    assert world.post(here, f"/sessions/{own}/end").status_code == 303
    assert there.get("/alarms").status_code == 303
    this = next(end for end in ends if end != own)
    signed_out = world.post(here, f"/sessions/{this}/end")
    assert signed_out.headers["location"] == "/sign-in"
    assert here.get("/alarms").status_code == 303


def test_the_administrator_is_offered_what_she_may_do_to_others_and_nothing_to_herself(world: World) -> None:
    page = world.browser("admin").get("/admin").text
    assert "/admin/users/clerk/disable" in page and "/admin/users/admin/disable" not in page
