"""The list of cases asked again and again: what changed in between enters; the list as it is now leaves, never another."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from console.api.lists import KeptLists
from console.lane import Lane
from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = pytest.mark.one_store


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    """The console in a loop that runs on, as it is served, so that the loop asks for lists itself."""
    built = build_world(database_url, manual_clock)
    built.loop = asyncio.new_event_loop()
    thread = threading.Thread(target=built.loop.run_forever)
    thread.start()
    kept_open = asyncio.run_coroutine_threadsafe(_lane(built).keep_open(), built.loop)
    _until(lambda: _lane(built).is_open)
    yield built
    kept_open.cancel()
    asyncio.run_coroutine_threadsafe(_all_ended(), built.loop).result(60)
    built.loop.call_soon_threadsafe(built.loop.stop)
    thread.join(60)
    built.loop.close()
    built.close()


async def _all_ended() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


def _lane(world: World) -> Lane:
    lane: Lane = world.app.state.services.lane
    return lane


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def lane_answers(world: World, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each question to the lane was answered, in their order."""
    answers: list[bool] = []
    lane, ask = _lane(world), _lane(world).ask

    async def noted(statement: bytes) -> tuple[bytes | None, ...] | None:
        row = await ask(statement)
        answers.append(row is not None)
        return row

    monkeypatch.setattr(lane, "ask", noted)
    return answers


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
    assert held[wang]["holder"] and held[wang]["holder_id"] == world.user_ids["clerk"]
    assert held[wang] == {**before[wang], **{name: held[wang][name] for name in ("holder", "holder_id")}}
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


def test_the_loop_asks_for_a_kept_list_itself_a_thread_where_it_cannot_and_it_comes_packed(
    world: World, lane_answers: list[bool]
) -> None:
    client = world.browser("clerk")
    before = _asked_twice(client)
    assert lane_answers == [True]
    ended = world.rows(
        "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity"
        " WHERE application_name = 'kaimen console lists' AND datname = current_database()"
    )
    assert [row["ended"] for row in ended] == [True]
    _until(lambda: not _lane(world).is_open)
    assert client.get("/api/cases").json()["items"] == before
    assert lane_answers == [True, False]
    _until(lambda: _lane(world).is_open)
    assert client.get("/api/cases").json()["items"] == before
    assert lane_answers == [True, False, True]
    # A statement that fails is nobody's answer, nor is the next one's harmed by it.
    assert world.loop is not None
    for statement, answer in ((b"SELECT 1/0", None), (b"SELECT 'a', NULL", (b"a", None))):
        row = asyncio.run_coroutine_threadsafe(_lane(world).ask(statement), world.loop).result(60)
        assert row == answer
    _is_sent_packed_under_a_name_of_its_own_to_who_takes_it_so(world, client)


def _is_sent_packed_under_a_name_of_its_own_to_who_takes_it_so(world: World, client: httpx.Client) -> None:
    plain = client.get("/api/cases", headers={"accept-encoding": "identity"})
    packed = client.get("/api/cases", headers={"accept-encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.json() == plain.json() and packed.headers["etag"] != plain.headers["etag"]
    assert {answer.headers["vary"] for answer in (plain, packed)} == {"Accept-Encoding"}
    for taken in ("identity", "gzip"):
        for answer in (plain, packed):
            known = {"accept-encoding": taken, "if-none-match": answer.headers["etag"]}
            assert client.get("/api/cases", headers=known).status_code == 304
    kept = next(iter(_lists(world).pages.values()))
    assert kept.packed is not None and gzip.decompress(kept.packed) == kept.body
