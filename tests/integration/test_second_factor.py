"""The second step of signing in, waiting after failures, one's own password and tokens: who comes in, and who does not."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from console.identity import second_factor, totp
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import transaction
from tests.integration.console_world import PASSWORD, World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def form_token(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD) -> httpx.Response:
    token = form_token(client.get("/sign-in").text)
    return client.post("/sign-in", data={"csrf": token, "name": name, "password": password})


def give_code(client: httpx.Client, code: str) -> httpx.Response:
    page = client.get("/sign-in/code")
    if page.status_code != 200:
        return page
    return client.post("/sign-in/code", data={"csrf": form_token(page.text), "code": code})


def enrol(world: World, name: str) -> tuple[bytes, tuple[str, ...]]:
    """A confirmed factor as its page makes it; the secret and the recovery codes."""
    now = as_datetime(world.wall.now_ms()) - timedelta(minutes=5)
    with transaction(world.pool) as connection:
        user_id = world.user_ids[name]
        secret = second_factor.offer_secret(connection, user_id, key=b"", now=now)
        assert secret is not None
        code = totp.code_of(secret, totp.step_of(now))
        codes = second_factor.confirm(connection, user_id, code, key=b"", now=now)
    assert codes is not None
    return secret, codes


def code_now(world: World, secret: bytes, steps: int = 0) -> str:
    return totp.code_of(secret, totp.step_of(as_datetime(world.wall.now_ms())) + steps)


def pass_time(world: World, length: timedelta) -> None:
    world.wall.advance_to(world.wall.now_ms() + int(length.total_seconds() * 1000))


def test_a_password_alone_opens_nothing_where_there_is_a_second_factor_and_a_code_opens_once(
    world: World,
) -> None:
    secret, _ = enrol(world, "admin")
    client = world.browser()
    answer = sign_in(client, "admin")
    assert answer.headers["location"] == "/sign-in/code?next=/"
    assert client.get("/admin").status_code == 303 and client.get("/api/me").status_code == 401
    assert world.rows("SELECT 1 FROM sessions") == []
    wrong = give_code(client, "000000" if code_now(world, secret) != "000000" else "111111")
    assert wrong.status_code == 401
    code = code_now(world, secret)
    assert give_code(client, f"{code[:3]} {code[3:]}").headers["location"] == "/admin"
    assert client.get("/admin").status_code == 200
    # Whoever read the code over her shoulder comes too late, the password in hand.
    thief = world.browser()
    sign_in(thief, "admin")
    assert give_code(thief, code).status_code == 401
    assert give_code(thief, code_now(world, secret, -1)).status_code == 401
    assert give_code(thief, code_now(world, secret, 2)).status_code == 401


def test_a_step_without_a_password_or_too_long_ago_leads_back_to_the_beginning(world: World) -> None:
    secret, _ = enrol(world, "admin")
    stranger = world.browser()
    assert give_code(stranger, code_now(world, secret)).headers["location"] == "/sign-in"
    stranger.cookies.set("kaimen_step", "x" * 43, domain="console.test", path="/sign-in")
    assert give_code(stranger, code_now(world, secret)).headers["location"] == "/sign-in"
    slow = world.browser()
    sign_in(slow, "admin")
    pass_time(world, timedelta(minutes=11))
    assert give_code(slow, code_now(world, secret)).headers["location"] == "/sign-in"


def test_a_recovery_code_opens_once_and_lies_hashed(world: World) -> None:
    _, codes = enrol(world, "admin")
    stored = str(world.rows("SELECT * FROM recovery_codes"))
    assert all(code not in stored and code.replace("-", "") not in stored for code in codes)
    first, second = world.browser(), world.browser()
    sign_in(first, "admin")
    assert give_code(first, codes[0].lower()).headers["location"] == "/admin"
    sign_in(second, "admin")
    assert give_code(second, codes[0]).status_code == 401
    assert give_code(second, codes[1]).headers["location"] == "/admin"
    assert world.rows("SELECT count(*) FROM recovery_codes WHERE used_at IS NULL")[0]["count"] == 8


def test_wrong_codes_are_waited_for_wherever_they_come_from_but_not_by_a_browser_that_was_here(
    world: World,
) -> None:
    secret, codes = enrol(world, "admin")
    known = world.browser()
    sign_in(known, "admin")
    assert give_code(known, codes[0]).status_code == 303
    for number in range(5):
        thief = world.browser(address=f"198.51.100.{number}")
        sign_in(thief, "admin")
        assert give_code(thief, "12345678").status_code == 401
    late = world.browser(address="203.0.113.77")
    sign_in(late, "admin")
    told = give_code(late, code_now(world, secret))
    assert told.status_code == 429 and int(told.headers["retry-after"]) == 15
    again = world.browser()
    again.cookies.set("kaimen_device", known.cookies["kaimen_device"], domain="console.test", path="/sign-in")
    sign_in(again, "admin")
    assert give_code(again, code_now(world, secret)).headers["location"] == "/admin"


def test_a_role_that_needs_a_factor_has_a_grace_and_then_sees_nothing_else(world: World) -> None:
    client = world.browser()
    assert sign_in(client, "police").status_code == 303
    assert "/account/second-factor" in client.get("/police").text
    pass_time(world, timedelta(days=7, seconds=1))
    client = world.browser()
    sign_in(client, "police")
    for path in ("/police", "/sessions", "/account/tokens", "/police/look-up"):
        assert client.get(path).headers["location"] == "/account/second-factor"
    assert client.get("/api/me").json()["error"]["code"] == "factor_due"
    page = client.get("/account/second-factor").text
    secret_text = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert secret_text is not None and "<svg" in page
    secret = base64.b32decode(secret_text[1])
    fields = {"csrf": form_token(page), "code": "12345"}
    assert client.post("/account/second-factor", data=fields).status_code == 422
    fields["code"] = code_now(world, secret)
    shown = client.post("/account/second-factor", data=fields)
    assert shown.status_code == 200 and len(re.findall(r"<li><code>", shown.text)) == 10
    assert client.get("/police").status_code == 200
    # A confirmed secret is never shown again, nor is it replaced by whoever finds the browser open.
    assert secret_text[1] not in client.get("/account/second-factor").text
    assert client.post("/account/second-factor", data=fields).status_code == 422
    assert secret not in b"".join(
        bytes(row["secret_sealed"]) for row in world.rows("SELECT * FROM second_factors")
    )
    clerk = world.browser()
    sign_in(clerk, "clerk")
    pass_time(world, timedelta(hours=20))
    assert "/account/second-factor" not in clerk.get("/alarms").text


def test_failures_make_wait_longer_and_longer_at_that_place_alone(world: World) -> None:
    attacker = world.browser(address="198.51.100.9")
    for _ in range(5):
        assert sign_in(attacker, "clerk", "wrong password").status_code == 401
    told = sign_in(attacker, "clerk")
    assert told.status_code == 429 and told.headers["retry-after"] == "15"
    assert "15" in told.text
    assert sign_in(world.browser(address="203.0.113.5"), "clerk").status_code == 303
    # What is tried while waiting does not prolong it.
    pass_time(world, timedelta(seconds=14))
    assert sign_in(attacker, "clerk").status_code == 429
    pass_time(world, timedelta(seconds=1))
    assert sign_in(attacker, "clerk", "wrong password").status_code == 401
    assert sign_in(attacker, "clerk").headers["retry-after"] == "30"


def test_a_browser_that_was_here_is_not_locked_out_by_a_stranger_behind_the_same_address(
    world: World,
) -> None:
    known = world.browser()
    assert sign_in(known, "clerk").status_code == 303
    device = known.cookies["kaimen_device"]
    assert device not in str(world.rows("SELECT * FROM known_devices"))
    stranger = world.browser()
    for _ in range(5):
        sign_in(stranger, "clerk", "wrong password")
    assert sign_in(stranger, "clerk").status_code == 429
    back = world.browser()
    back.cookies.set("kaimen_device", device, domain="console.test", path="/sign-in")
    assert sign_in(back, "clerk").status_code == 303
    assert "5" in back.get("/sessions").text
    # It is known for her alone: it makes nobody else's sign-in quicker.
    other = world.browser()
    other.cookies.set("kaimen_device", device, domain="console.test", path="/sign-in")
    for _ in range(5):
        sign_in(stranger, "police", "wrong password")
    assert sign_in(other, "police").status_code == 429


def test_many_names_from_one_place_are_taken_one_by_one(world: World) -> None:
    world.write(
        "INSERT INTO sign_in_failures (name, address, at) SELECT 'n' || g, '198.51.100.9', %s FROM generate_series(1, 60) g",
        as_datetime(world.wall.now_ms()),
    )
    sprayer = world.browser(address="198.51.100.9")
    assert sign_in(sprayer, "clerk", "wrong password").headers["retry-after"] == "5"
    pass_time(world, timedelta(seconds=5))
    assert sign_in(sprayer, "clerk").status_code == 303


def test_a_password_is_changed_against_the_old_one_and_ends_every_other_session(world: World) -> None:
    here, there = world.browser("clerk"), world.browser("clerk")
    new = "another long password"
    for fields in (
        {"old": "not the old one", "new": new, "again": new}, {"old": PASSWORD, "new": "short", "again": "short"},
        {"old": PASSWORD, "new": new, "again": new + "!"}, {"old": PASSWORD, "new": PASSWORD, "again": PASSWORD},
    ):  # fmt: skip
        assert world.post(here, "/account/password", **fields).status_code == 422
    assert there.get("/alarms").status_code == 200
    assert world.post(here, "/account/password", old=PASSWORD, new=new, again=new).status_code == 303
    assert here.get("/alarms").status_code == 200 and there.get("/alarms").status_code == 303
    assert sign_in(world.browser(), "clerk").status_code == 401
    assert sign_in(world.browser(), "clerk", new).status_code == 303
    assert world.rows("SELECT count(*) FROM audit_entries WHERE action = 'password_changed'")[0]["count"] == 1


def test_guessing_at_the_password_inside_an_open_session_waits_too(world: World) -> None:
    client = world.browser("clerk")
    new = "another long password"
    for _ in range(5):
        assert world.post(client, "/account/password", old="guess", new=new, again=new).status_code == 422
    assert world.post(client, "/account/password", old=PASSWORD, new=new, again=new).status_code == 429


def test_all_other_sign_ins_end_at_once_and_nobody_elses(world: World) -> None:
    here, there, other = world.browser("clerk"), world.browser("clerk"), world.browser("police")
    assert world.post(here, "/account/sessions/end-others").status_code == 303
    assert here.get("/sessions").status_code == 200
    assert there.get("/sessions").status_code == 303 and other.get("/sessions").status_code == 200


def test_a_token_does_what_its_scopes_say_until_it_is_revoked(world: World) -> None:
    clerk = world.browser("clerk")
    assert world.post(clerk, "/account/tokens", name="屏", days="30").status_code == 422
    assert (
        world.post(clerk, "/account/tokens", name="屏", days="9999", scopes="read:cases").status_code == 422
    )
    assert (
        world.post(clerk, "/account/tokens", name="屏", days="30", scopes="read:figures").status_code == 422
    )
    shown = world.post(clerk, "/account/tokens", name="屏", days="30", scopes="read:cases").text
    token = re.search(r"kaimen_[\w-]{43}", shown)
    assert token is not None
    assert token[0] not in clerk.get("/account/tokens").text
    assert token[0] not in str(world.rows("SELECT * FROM api_tokens"))
    program = world.browser()
    program.headers["authorization"] = f"Bearer {token[0]}"
    assert program.get("/api/cases").status_code == 200
    for refused in (
        program.get("/api/households"),
        program.post(f"/api/cases/{world.case_ids['wang']}/claim"),
    ):  # fmt: skip
        assert refused.status_code == 403 and refused.json()["error"]["code"] == "scope_missing"
    assert program.get("/api/sessions").status_code == 401
    row = world.rows("SELECT id, seen_at FROM api_tokens")[0]
    assert row["seen_at"] is not None
    assert world.post(world.browser("police"), f"/account/tokens/{row['id']}/revoke").status_code == 404
    assert program.get("/api/cases").status_code == 200
    assert world.post(clerk, f"/account/tokens/{row['id']}/revoke").status_code == 303
    assert program.get("/api/cases").status_code == 401
    assert world.post(world.browser("auditor"), "/account/tokens", name="x", days="7").status_code == 403
