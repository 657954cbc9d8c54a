"""Signing in with a real OpenID provider on loopback: who is tied here comes in; forged, stale and foreign answers do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from console.app import create_app
from kaimen.clock import ManualClock
from kaimen.settings import ConsoleSettings
from tests.integration.console_world import HOST, World, build_world
from tests.integration.outer_provider import CLIENT, SECRET, Idp, serve
from tests.integration.test_second_factor import enrol

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def idp() -> Iterator[Idp]:
    made = Idp(back=f"{HOST}/sign-in/outer/back")
    server = serve(made)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock, idp: Idp) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    # The provider's tokens are of this very moment.
    built.wall.advance_to(int(time.time() * 1000))
    built.app = _app(built, idp)
    yield built
    built.close()


def _app(world: World, idp: Idp, **more: Any) -> Any:
    settings = ConsoleSettings(
        database_url=world.url, public_url=HOST, oidc_issuer=idp.url, oidc_client_id=CLIENT,
        oidc_client_secret=SecretStr(SECRET), oidc_name="企业微信", **more,
    )  # fmt: skip
    return create_app(settings, world.clock, world.pool, wall=world.wall)


def _tie(world: World, idp: Idp, name: str) -> None:
    world.write(
        "INSERT INTO outer_identities VALUES (%s, %s, %s, 'test', %s)",
        idp.url, idp.person, world.user_ids[name], world.now,
    )  # fmt: skip


def _go_and_come_back(client: httpx.Client) -> str:
    """Follow the link to the provider; return the address it sends the browser back to."""
    out = client.get("/sign-in/outer?next=/sessions")
    assert out.status_code == 303
    sent = parse_qs(urlsplit(out.headers["location"]).query)
    assert sent["code_challenge_method"] == ["S256"] and len(sent["nonce"][0]) >= 20
    answer = httpx.get(out.headers["location"], follow_redirects=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def test_who_is_tied_comes_in_by_the_providers_word_and_the_answer_counts_once(
    world: World, idp: Idp
) -> None:
    _tie(world, idp, "clerk")
    client = world.browser()
    assert "企业微信" in client.get("/sign-in").text
    back = _go_and_come_back(client)
    answer = client.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sessions")
    assert client.get("/alarms").status_code == 200
    again = world.browser()
    assert again.get(back).status_code == 401 and client.get(back).status_code == 401


def test_who_is_not_tied_or_disabled_comes_not_in_and_no_account_is_made(world: World, idp: Idp) -> None:
    users = world.rows("SELECT count(*) FROM users")
    client = world.browser()
    told = client.get(_go_and_come_back(client))
    assert told.status_code == 403 and "<code>zhao</code>" in told.text
    _tie(world, idp, "clerk")
    world.write("UPDATE users SET disabled_at = %s WHERE name = 'clerk'", world.now)
    assert client.get(_go_and_come_back(client)).status_code == 403
    assert world.rows("SELECT count(*) FROM users") == users and world.rows("SELECT 1 FROM sessions") == []


def test_an_answer_belongs_to_the_browser_that_asked_and_to_its_state(world: World, idp: Idp) -> None:
    _tie(world, idp, "clerk")
    victim, attacker = world.browser(), world.browser()
    stolen = _go_and_come_back(attacker)
    assert victim.get(stolen).status_code == 401
    _go_and_come_back(victim)
    assert victim.get(stolen).status_code == 401
    denied = world.browser()
    _go_and_come_back(denied)
    assert denied.get("/sign-in/outer/back?error=access_denied&state=x").status_code == 401
    assert world.rows("SELECT 1 FROM sessions") == []


@pytest.mark.parametrize(
    "forged",
    [
        {"iss": "https://evil.example"}, {"aud": "another"}, {"nonce": "another"}, {"exp": 1_000_000_000}, {"sub": 7},
        "another key",
    ],
)  # fmt: skip
def test_a_token_that_proves_something_else_proves_nothing(world: World, idp: Idp, forged: Any) -> None:
    _tie(world, idp, "clerk")
    if forged == "another key":
        idp.signing_key = RSAKey.generate_key(2048, {"kid": "one"})
    else:
        idp.claims = forged
    client = world.browser()
    assert client.get(_go_and_come_back(client)).status_code == 401
    assert world.rows("SELECT 1 FROM sessions") == []


def test_the_own_second_factor_is_asked_for_unless_the_provider_is_trusted_with_it(
    world: World, idp: Idp
) -> None:
    _tie(world, idp, "admin")
    enrol(world, "admin")
    client = world.browser()
    assert client.get(_go_and_come_back(client)).headers["location"] == "/sign-in/code?next=/sessions"
    assert client.get("/admin").status_code == 303
    world.app = _app(world, idp, oidc_trusts_second_factor=True)
    trusted = world.browser()
    assert trusted.get(_go_and_come_back(trusted)).headers["location"] == "/sessions"
    assert trusted.get("/admin").status_code == 200


def test_a_provider_that_is_away_leaves_the_password(world: World, idp: Idp) -> None:
    url, idp.url = idp.url, "http://127.0.0.1:9"
    world.app = _app(world, idp)
    answer = world.browser().get("/sign-in/outer")
    assert answer.status_code == 503 and 'name="password"' in answer.text
    idp.url = url
