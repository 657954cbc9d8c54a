"""The list of cases asked again and again: what changed in between enters; the list as it is now leaves, never another."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from console.api.lists import KeptLists
from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = pytest.mark.one_store


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def _asked_twice(client: httpx.Client, query: str = "") -> list[dict[str, object]]:
    """Ask until the same words of the same session were checked once: from then on they need no second check."""
    first, again = client.get(f"/api/cases{query}"), client.get(f"/api/cases{query}")
    assert first.status_code == again.status_code == 200
    assert first.content == again.content and first.headers["etag"] == again.headers["etag"]
    items: list[dict[str, object]] = again.json()["items"]
    return items


def _lists(world: World) -> KeptLists:
    lists: KeptLists = world.app.state.services.lists
    return lists


def _is_kept(world: World) -> bool:
    return bool(_lists(world).doors)


def test_a_list_asked_again_says_what_changed_and_nothing_to_who_has_it(world: World) -> None:
    client = world.browser("clerk")
    etag = client.get("/api/cases").headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        same = client.get("/api/cases", headers={"if-none-match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        assert same.headers["cache-control"] == "no-store"
    wang = world.case_ids["wang"]
    before = {item["id"]: item for item in _asked_twice(client)}
    assert _is_kept(world)
    world.write("UPDATE cases SET holder_id = %s WHERE id = %s", world.user_ids["clerk"], wang)
    changed = client.get("/api/cases", headers={"if-none-match": etag})
    assert changed.status_code == 200 and changed.headers["etag"] != etag
    held = {item["id"]: item for item in _asked_twice(client)}
    assert held[wang]["holder"] and held[wang] == {**before[wang], "holder": held[wang]["holder"]}
    assert {**held, wang: before[wang]} == before
    world.write("UPDATE users SET display_name = '别的名字' WHERE id = %s", world.user_ids["clerk"])
    assert {item["id"]: item["holder"] for item in _asked_twice(client)}[wang] == "别的名字"
    world.write("UPDATE cases SET community_id = 'binhe' WHERE id = %s", wang)
    assert {item["id"] for item in _asked_twice(client)} == set(before) - {wang}


ENDINGS = {
    "session": "DELETE FROM sessions WHERE user_id = %s",
    "session run out": "UPDATE sessions SET expires_at = created_at WHERE user_id = %s",
    "idle": "UPDATE sessions SET seen_at = seen_at - interval '2 days' WHERE user_id = %s",
    "person": "UPDATE users SET disabled_at = created_at WHERE id = %s",
}


def test_a_list_asked_before_is_refused_as_soon_as_the_session_ends(world: World) -> None:
    for ending, statement in ENDINGS.items():
        client = world.browser("clerk")
        assert _asked_twice(client) and _is_kept(world)
        world.write(statement, world.user_ids["clerk"])
        assert client.get("/api/cases").status_code == 401, ending
        world.write("UPDATE users SET disabled_at = NULL WHERE id = %s", world.user_ids["clerk"])


def test_another_place_role_or_duty_is_felt_at_once(world: World) -> None:
    client, clerk = world.browser("clerk"), world.user_ids["clerk"]
    own = {item["id"] for item in _asked_twice(client)}
    world.write("UPDATE users SET community_id = 'binhe' WHERE id = %s", clerk)
    there = {item["id"] for item in _asked_twice(client)}
    assert there and not there & own
    world.write("UPDATE users SET role = 'property_director' WHERE id = %s", clerk)
    assert client.get("/api/cases").json()["items"] == []
    world.write("UPDATE users SET role = 'property_clerk', community_id = 'wenchang' WHERE id = %s", clerk)
    assert {item["id"] for item in _asked_twice(client)} == own
    world.write("UPDATE users SET password_due = true WHERE id = %s", clerk)
    assert client.get("/api/cases").json()["code"] == "password_due"


def test_what_is_kept_for_one_is_never_told_to_another(world: World) -> None:
    names = sorted(world.user_ids)
    alone = {}
    for name in names:
        alone[name] = world.browser(name).get("/api/cases").json()
        for store in (_lists(world).pages, _lists(world).items, _lists(world).doors):
            store.clear()  # type: ignore[attr-defined]  # as if nobody had asked
    browsers = {name: world.browser(name) for name in names}
    for _ in range(3):
        for name, client in browsers.items():
            assert client.get("/api/cases").json() == alone[name], name
