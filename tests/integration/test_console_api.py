"""The JSON API: its shapes, its scopes, its errors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx
import pytest

from console.identity import tokens
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import transaction
from tests.integration.console_world import World, build_world


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def _bearer(world: World, name: str, *, lives: timedelta | None = None) -> httpx.Client:
    wall = as_datetime(world.wall.now_ms())
    with transaction(world.pool) as connection:
        token = tokens.make_token(
            connection, user_id=world.user_ids[name], name="test", now=wall,
            expires_at=None if lives is None else wall + lives,
        )  # fmt: skip
    client = world.browser()
    client.headers["authorization"] = f"Bearer {token}"
    return client


def _cases(client: httpx.Client, query: str = "") -> list[dict[str, object]]:
    answer = client.get(f"/api/cases{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, object]] = answer.json()["items"]
    return items


def test_a_case_has_the_promised_shape(world: World) -> None:
    item = next(item for item in _cases(world.browser("clerk")) if item["id"] == world.case_ids["wang"])
    assert {
        "id", "household", "stage", "state", "cause", "opened_at", "deadline_at", "last_evidence_at", "holder",
        "next_action_at",
    } <= set(item)  # fmt: skip
    assert (item["household"], item["stage"], item["state"], item["cause"]) == (
        "h-wang", "visit", "notified", "inactivity",
    )  # fmt: skip
    for name in ("opened_at", "deadline_at", "last_evidence_at", "next_action_at"):
        text = str(item[name])
        assert text.endswith("Z") and datetime.fromisoformat(text).tzinfo is not None


def test_a_household_has_the_promised_shape(world: World) -> None:
    client = world.browser("clerk")
    item = client.get("/api/households/h-wang").json()
    assert item["known"] is True and item["stage"] == "visit" and item["inactive_s"] == 75 * 3600
    assert datetime.fromisoformat(item["last_evidence"]) == world.now - timedelta(hours=75)
    unknown = client.get("/api/households/h-li").json()
    assert unknown["known"] is False and unknown["stage"] == "normal" and unknown["inactive_s"] == 2 * 3600
    ids = [item["id"] for item in client.get("/api/households").json()["items"]]
    assert ids == ["h-li", "h-sun", "h-wang", "h-zhao"]


def test_lists_are_paged_and_filtered(world: World) -> None:
    client = world.browser("clerk")
    seen, after = [], ""
    while True:
        answer = client.get(f"/api/cases?limit=1{after}").json()
        seen += [item["id"] for item in answer["items"]]
        if answer["next"] is None:
            break
        after = f"&after={answer['next']}"
    assert seen == sorted((world.case_ids[key] for key in ("wang", "zhao", "sun", "technical")), reverse=True)
    assert [item["household"] for item in _cases(client, "?stage=call")] == ["h-zhao"]
    assert [item["household"] for item in _cases(client, "?household=h-sun")] == ["h-sun"]
    assert _cases(client, "?state=closed") == []
    assert len(_cases(client, "?state=notified&state=open")) == 4
    assert [item["stage"] for item in _cases(client, "?cause=technical")] == [None]
    page = client.get("/api/households?limit=3").json()
    assert page["next"] == "h-wang"
    assert [item["id"] for item in client.get("/api/households?after=h-wang").json()["items"]] == ["h-zhao"]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("clerk", {"wang", "zhao", "sun", "technical"}),
        ("clerk-b", {"other"}),
        ("police", {"wang"}),
        ("police-b", {"other"}),
        ("family", {"wang"}),
        ("admin", {"technical"}),
        ("watcher", {"wang"}),
        ("grid", set()),
    ],
)
def test_each_role_lists_the_cases_of_its_scope_by_session_and_by_token(
    world: World, name: str, keys: set[str]
) -> None:
    for client in (world.browser(name), _bearer(world, name)):
        assert {item["id"] for item in _cases(client)} == {world.case_ids[key] for key in keys}
        for key, case_id in world.case_ids.items():
            answer = client.get(f"/api/cases/{case_id}")
            assert answer.status_code == (200 if key in keys else 404), (name, key)
        missing = client.get("/api/cases/987654321")
        if keys != set(world.case_ids):
            hidden = next(value for key, value in world.case_ids.items() if key not in keys)
            assert client.get(f"/api/cases/{hidden}").json() == missing.json()


def test_a_helper_learns_the_household_only_once_the_visit_is_hers(world: World) -> None:
    client = world.browser("watcher")
    assert _cases(client)[0]["household"] is None
    headers = {"x-csrf-token": world.csrf(client)}
    assert client.post(f"/api/tasks/{world.task_ids['wang']}/begin", headers=headers).status_code == 200
    assert _cases(client)[0]["household"] == "h-wang"


def test_households_and_quarantine_are_cut_to_the_scope(world: World) -> None:
    assert [item["id"] for item in world.browser("family").get("/api/households").json()["items"]] == [
        "h-wang"
    ]
    assert world.browser("police").get("/api/households").status_code == 403
    assert world.browser("police").get("/api/households/h-wang").status_code == 404
    assert world.browser("admin").get("/api/households").status_code == 403
    assert len(world.browser("admin").get("/api/quarantine").json()["items"]) == 2
    assert len(world.browser("clerk").get("/api/quarantine?waiting=true").json()["items"]) == 1
    assert world.browser("family").get("/api/quarantine").status_code == 403


def test_acts_answer_with_the_case_as_it_is_then(world: World) -> None:
    client = _bearer(world, "clerk")
    base = f"/api/cases/{world.case_ids['zhao']}"
    claimed = client.post(f"{base}/claim").json()
    assert claimed["state"] == "owned" and claimed["holder"] == "clerk display"
    assert client.post(f"{base}/note", json={"note": "called"}).json()["timeline"][0]["note"] == "called"
    task = f"/api/tasks/{world.task_ids['zhao']}/outcome"
    refused = client.post(task, json={"outcome": "well"})
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "how_is_missing"
    done = client.post(task, json={"outcome": "well", "contacted": "spoke", "witness": "李敏"}).json()
    assert done["state"] == "closed" and done["outcome"] == "well"
    assert client.post(f"{base}/claim").json()["error"]["code"] == "case_closed"


def test_a_browser_writes_only_with_its_token_a_program_with_its_bearer(world: World) -> None:
    path = f"/api/cases/{world.case_ids['zhao']}/claim"
    client = world.browser("clerk")
    assert client.post(path).json()["error"]["code"] == "stale_form"
    token = client.get("/api/me").json()["csrf"]
    evil = {"x-csrf-token": token, "origin": "https://evil.example"}
    assert client.post(path, headers=evil).status_code == 403
    assert client.post(path, headers={"x-csrf-token": token}).status_code == 200
    assert _bearer(world, "clerk").post(path).status_code == 200


def test_tokens_end(world: World) -> None:
    client = _bearer(world, "clerk", lives=timedelta(hours=1))
    assert client.get("/api/me").json()["role"] == "property_clerk"
    world.wall.advance_to(world.wall.now_ms() + 3_600_001)
    answer = client.get("/api/me")
    assert answer.status_code == 401 and "bearer" in answer.headers["www-authenticate"].lower()
    for header in ("Bearer nonsense", "Basic abc", "Bearer ", "nonsense"):
        client.headers["authorization"] = header
        assert client.get("/api/me").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/cases?limit=0", 422),
        ("GET", "/api/cases?limit=201", 422),
        ("GET", "/api/cases?after=x", 422),
        ("GET", "/api/cases?stage=emergency", 422),
        ("GET", "/api/cases?state=nonsense", 422),
        ("GET", "/api/cases/x", 422),
        ("GET", "/api/households/%00", 422),
        ("GET", "/api/households/none", 404),
        ("GET", "/api/nothing", 404),
        ("DELETE", "/api/cases", 405),
        ("POST", "/api/cases/1/note", 422),
        ("POST", "/api/cases/1/hold", 422),
    ],
)
def test_every_error_has_the_one_shape_and_says_how_to_mend_it(
    world: World, method: str, path: str, status: int
) -> None:
    answer = _bearer(world, "clerk").request(method, path)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "detail", "mend"} and all(error.values())
    assert "Traceback" not in answer.text and "psycopg" not in answer.text
    assert world.browser().request("GET", "/api/cases").status_code == 401


def test_a_body_of_another_kind_is_refused_by_field(world: World) -> None:
    client = _bearer(world, "clerk")
    path = f"/api/cases/{world.case_ids['zhao']}"
    for act, body in (
        ("note", {"note": 7}),
        ("note", {"note": "x", "extra": 1}),
        ("note", {"note": "x" * 2001}),
        ("note", {"note": "a\x00b"}),
        ("hold", {"reason": "x", "until": "soon"}),
        ("hold", {"reason": "x", "until": "2025-11-21T10:00:00"}),
        ("hand-over", {"to_role": "emperor"}),
        ("confirm-closing", {"confirmed": "perhaps"}),
    ):
        answer = client.post(f"{path}/{act}", json=body)
        assert answer.status_code == 422, (act, body, answer.text)
    assert client.post(f"{path}/note", content=b"{nonsense").status_code == 422
    assert client.post(f"{path}/note", content=b"\xff\xfe").status_code in (400, 422)
