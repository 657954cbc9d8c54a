"""The page of technical causes: who sees what, in which order, and that quarantine can be answered."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from console.words import load_words
from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

pytest.importorskip("fastapi")


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def unseen(world: World, household_id: str, step: int, hours: int) -> None:
    at = world.now - timedelta(hours=hours)
    world.write(
        "INSERT INTO checks_due (household_id, step, at, noticed_at, evidence_at, evidence, inactive_ms)"
        " VALUES (%s, %s, %s, %s, %s, %s, 0)",
        household_id, step, world.now, world.now, at, json.dumps({"kind": "opening"}),
    )  # fmt: skip


def test_a_cause_says_since_when_for_how_many_and_what_to_do(world: World) -> None:
    text = world.browser("clerk").get("/technical").text
    assert "2025-1121-tech" in text
    assert 'data-row="cause-2025-1121-tech"' in text
    assert f'href="/cases/{world.case_ids["technical"]}"' in text
    client = world.browser("clerk")
    client.cookies.set("kaimen_language", "en", domain="console.test")
    english = client.get("/technical").text
    assert "Go to the door: battery, power, how it is mounted" in english
    assert "1 open cause" in english


def test_gateways_that_fell_silent_together_are_one_cut_with_its_cases_and_its_homes_once(
    world: World,
) -> None:
    for n in range(4):
        world.write(
            "INSERT INTO devices (id, site_id, kind, place, registered_at) VALUES (%s, 'site-wenchang', 'gateway', %s, %s)",
            f"gw-{n}", f"{n} 栋", world.now,
        )  # fmt: skip
        world.write(
            "WITH c AS (INSERT INTO cases (number, community_id, cause, cause_key, stage, state, opened_at, stage_at,"
            " next_action, next_action_at, policy) VALUES (%s, 'wenchang', 'technical', %s, 0, 'notified', %s, %s,"
            " 'device_check_due', %s, '{}') RETURNING id)"
            " INSERT INTO case_households SELECT id, 'h-li', %s FROM c",
            f"2025-1121-g{n}", f"gateway:gw-{n}", world.now, world.now - timedelta(hours=3 if n == 3 else 0),
            world.now, world.now,
        )  # fmt: skip
    text = world.browser("clerk").get("/technical").text
    assert 'data-row="cut-2"' not in text, "the one that fell silent hours before stands alone"
    cut = text.split('data-row="cut-1"', 1)[1].split("</details>", 1)[0]
    assert "3 个网关同时无响应 · 1 户" in cut, "a home behind three gateways is one home"
    said = cut.split("<details>", 1)[0]
    assert load_words("zh", "UTC", world.now).say("technical.mutes_help") in said, (
        "no help button there is heard: said before it is opened out"
    )
    assert [f"2025-1121-g{n}" in cut for n in range(4)] == [True, True, True, False]
    assert 'data-row="cause-2025-1121-g3"' in text and "5 个未结原因" in text

    rows = re.findall(r'data-row="(\w+)-', world.browser("clerk").get("/alarms").text)
    assert rows.count("cut") == 1, (
        "on the alarm list it is one line, which the people before it are not buried by"
    )
    mine = world.rows(
        "SELECT count(*) AS n FROM cases WHERE community_id = 'wenchang' AND state <> 'closed'"
    )[0]["n"]
    assert rows.count("case") == mine - 3
    world.write(
        "UPDATE cases SET holder_id = %s, state = 'owned' WHERE number LIKE '2025-1121-g%%'",
        world.user_ids["clerk"],
    )
    worked = world.browser("clerk").get("/alarms?tab=working").text
    assert 'data-row="cut-' not in worked, "who works on some sees each"


def silent_gateway(world: World, n: int) -> None:
    """A gateway of Wenchang fell silent this minute, of which there is an unclaimed case."""
    world.write(
        "INSERT INTO devices (id, site_id, kind, place, registered_at) VALUES (%s, 'site-wenchang', 'gateway', %s, %s)",
        f"gw-{n}", f"{n} 栋", world.now,
    )  # fmt: skip
    world.write(
        "INSERT INTO cases (number, community_id, cause, cause_key, stage, state, opened_at, stage_at, next_action,"
        " next_action_at, policy) VALUES (%s, 'wenchang', 'technical', %s, 0, 'notified', %s, %s, 'device_check_due', %s, '{}')",
        f"2025-1121-g{n}", f"gateway:gw-{n}", world.now, world.now + timedelta(seconds=n), world.now,
    )  # fmt: skip


def test_a_cut_of_more_gateways_than_a_page_is_one_line_of_the_whole_list_and_buries_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(12):
        silent_gateway(world, n)
    monkeypatch.setattr("console.loaders.cases.CASES_PAGE", 2)
    browser, path, rows, ends = world.browser("clerk"), "/alarms", [], []
    for _ in range(20):
        text = browser.get(path).text
        assert '<div class="empty' not in text.split("data-rows", 1)[1].split("</section>", 1)[0]
        rows += re.findall(r'data-row="(\w+-\d+)"', text)
        more = re.search(r'href="(/alarms[^"]*after=(\d+))"', text)
        if more is None:
            break
        path = html.unescape(more[1])
        ends.append((path, int(more[2])))
    total = world.rows(
        "SELECT count(*) AS n FROM cases WHERE community_id = 'wenchang' AND state <> 'closed'"
    )
    assert sum(row.startswith("cut-") for row in rows) == 1
    assert len(rows) == len(set(rows)) == total[0]["n"] - 12 + 1, (
        "each page is full, each case is on one of them"
    )

    path, last = ends[0]
    before = re.findall(r'data-row="(\w+-\d+)"', browser.get(path).text)
    world.write(
        "UPDATE cases SET state = 'closed', closed_at = %s, outcome = 'well', next_action = '', next_action_at = NULL WHERE id = %s",
        world.now,
        last,
    )
    after = re.findall(r'data-row="(\w+-\d+)"', browser.get(path).text)
    assert after == before != [], "a page is not empty because the case before it was closed"


def test_people_stand_longest_unseen_first_masked_with_owner_and_due_time(world: World) -> None:
    unseen(world, "h-zhao", 2, 50)
    unseen(world, "h-wang", 3, 80)
    unseen(world, "h-li", 2, 60)
    world.write("UPDATE persons SET category = 'disabled' WHERE household_id = 'h-zhao'")
    client = world.browser("clerk")
    client.cookies.set("kaimen_language", "en", domain="console.test")
    text = client.get("/technical").text
    rows = [text.index(f'data-row="unseen-{name}"') for name in ("h-wang", "h-zhao", "h-li")]
    # As many days unseen as Li, and the frailer one.
    assert rows == sorted(rows)
    assert "王秀英" not in text
    assert "王*英" in text
    assert "listed 0 · to be called 2 · to be visited 1" in text
    wang = text[rows[0] : rows[1]]
    assert "a visit" in wang
    assert "Neighbour" in wang
    assert "the cause is over, the check stays" in wang
    assert "cause is over" not in text[rows[2] : text.index("</tr>", rows[2])], "her device is still silent"


def test_the_administrator_counts_people_and_sees_nobody(world: World) -> None:
    unseen(world, "h-wang", 3, 80)
    client = world.browser("admin")
    client.cookies.set("kaimen_language", "en", domain="console.test")
    text = client.get("/technical").text
    assert "to be visited 1" in text
    assert "You are shown the numbers only." in text
    for hidden in ("王*英", "3-1-1201</a>", 'data-row="unseen-'):
        assert hidden not in text


def test_another_communitys_clerk_sees_neither_cause_nor_people(world: World) -> None:
    unseen(world, "h-wang", 3, 80)
    text = world.browser("clerk-b").get("/technical").text
    assert "2025-1121-tech" not in text
    assert 'data-row="unseen-' not in text
    assert 'data-row="awaited-d-h-wang"' not in text
    assert 'data-row="awaited-d-h-other"' in text


def test_checks_that_wait_for_devices_to_speak_are_said_to_wait(world: World) -> None:
    world.write(
        "INSERT INTO checks_held (household_id, step, at, noticed_at, evidence_at, evidence, inactive_ms, cause,"
        " held_until) VALUES ('h-sun', 1, %s, %s, %s, '{}', 0, 'own', %s)",
        world.now, world.now, world.now - timedelta(days=1), world.now + timedelta(minutes=3),
    )  # fmt: skip
    client = world.browser("clerk")
    client.cookies.set("kaimen_language", "en", domain="console.test")
    assert "1 check waits until devices had time to speak" in client.get("/technical").text


def test_devices_never_heard_stand_with_their_deadline_until_they_are_heard(world: World) -> None:
    text = world.browser("clerk").get("/technical").text
    assert 'data-row="awaited-d-h-wang"' in text
    world.write("INSERT INTO device_commissionings VALUES ('d-h-wang', %s)", world.now)
    world.write(
        "INSERT INTO boot_losses SELECT no, 1, 9, 4, %s FROM devices WHERE id = 'd-h-wang'", world.now
    )
    world.write("INSERT INTO device_tallies VALUES ('d-h-wang', 7)")
    assert 'data-row="awaited-d-h-wang"' not in world.browser("clerk").get("/technical").text
    client = world.browser("clerk")
    client.cookies.set("kaimen_language", "en", domain="console.test")
    devices = client.get("/devices").text
    assert "first heard" in devices
    assert "4 lost for good" in devices
    assert "7 heartbeats with an impossible time" in devices
    assert "Compare the id; power; gateway and network" in devices


@pytest.mark.one_store
def test_whoever_puts_a_door_up_sees_that_this_very_door_moved_and_later_nobody_does(world: World) -> None:
    client = world.browser("clerk")
    client.cookies.set("kaimen_language", "en", domain="console.test")
    world.write("INSERT INTO device_commissionings VALUES ('d-h-wang', %s)", world.now - timedelta(hours=1))
    heard_ms = round((world.now - timedelta(minutes=20)).timestamp() * 1000)
    point = (
        "INSERT INTO coverage_points SELECT no, 1, %s, 1, 0, 0, %s, 'ntp', 0, 0, %s, 'ntp' FROM devices"
        " WHERE id = 'd-h-wang'"
    )
    world.write(point, 0, heard_ms, heard_ms)
    # Nobody's outage says so where no watched home depends on it: it is not online all the same.
    assert ">1 not heard" in client.get("/devices").text
    world.write("UPDATE coverage_points SET last_received_ms = %s", heard_ms + 500_000)
    assert ">0 not heard" in client.get("/devices").text
    assert "New here" not in client.get("/devices").text, "when a door moves is its people's own"
    world.write(
        "UPDATE household_doors SET from_at = %s WHERE device_id = 'd-h-wang'", world.now - timedelta(hours=1)
    )
    assert "Has not moved yet" in client.get("/devices").text
    world.write(point, 1, heard_ms + 600_000, heard_ms + 600_000)
    assert "Moved 10 min ago" in client.get("/devices").text


@pytest.mark.one_store
def test_five_thousand_of_one_cause_are_taken_again_at_once_by_who_may(world: World) -> None:
    world.write(
        "INSERT INTO quarantine (received_at, topic, channel, device_id, payload, payload_bytes, payload_sha256, reason, detail)"
        " SELECT %s, 'kaimen/v1/0/0/site-' || place || '/d-new/evt', 'evt', 'd-new', 'x', 1, sha256((place || n)::bytea),"
        " 'wrong_site', '' FROM generate_series(1, 5000) n, unnest(%s::text[]) place",
        world.now, ["wenchang", "binhe"],
    )  # fmt: skip
    clerk = world.browser("clerk")
    assert "d-new" in clerk.get("/quarantine").text
    (last,) = world.rows("SELECT max(id) AS id FROM quarantine")
    group = {"reason": "wrong_site", "device_id": "d-new", "last_id": str(last["id"])}
    asked = "SELECT count(*) AS n FROM quarantine WHERE replay_asked"
    for name in ("police", "family", "watcher"):
        assert world.post(world.browser(name), "/quarantine/all/replay", **group).status_code == 403
    assert world.post(clerk, "/quarantine/all/replay", **group | {"reason": "no_reason"}).status_code == 422
    assert world.rows(asked) == [{"n": 0}]
    assert world.post(clerk, "/quarantine/all/replay", **group).status_code == 303
    assert world.rows(asked) == [{"n": 5000}], "the other community's are its own"
    (trace,) = world.rows("SELECT detail FROM audit_entries WHERE action = 'quarantine_replayed'")
    assert (trace["detail"]["count"], trace["detail"]["device"]) == (5000, "d-new")
    assert world.post(world.browser("clerk-b"), "/quarantine/all/answer", **group).status_code == 303
    answered = world.rows(
        "SELECT split_part(topic, '/', 5) AS site FROM quarantine WHERE answered_at IS NOT NULL"
    )
    assert {row["site"] for row in answered} == {"site-binhe"}
    assert len(answered) == 5000


def test_an_answered_message_asks_for_nobody_and_leaves_a_trace(world: World) -> None:
    (row,) = (
        found["id"]
        for found in world.rows("SELECT id FROM quarantine WHERE split_part(topic, '/', 5) = 'site-wenchang'")
    )
    assert world.post(world.browser("police"), f"/quarantine/{row}/answer").status_code == 403
    assert world.post(world.browser("clerk-b"), f"/quarantine/{row}/answer").status_code == 404
    assert world.rows("SELECT 1 FROM quarantine WHERE answered_at IS NOT NULL") == []
    assert world.post(world.browser("clerk"), f"/quarantine/{row}/answer").status_code == 303
    stored = world.rows("SELECT answered_at, answered_by FROM quarantine WHERE id = %s", row)[0]
    assert stored["answered_at"] == world.now
    assert stored["answered_by"].startswith("user:")
    trace = world.rows("SELECT object_id FROM audit_entries WHERE action = 'quarantine_answered'")
    assert trace == [{"object_id": str(row)}]


def city(world: World) -> None:
    """Eleven communities more, each with a device and an open case about it; of one more devices."""
    world.write(
        "INSERT INTO communities (id, name) SELECT 'town-' || n, '小区 ' || n FROM generate_series(1, 11) AS n"
    )
    world.write(
        "INSERT INTO sites (id, community_id, name) SELECT 'site-' || n, 'town-' || n, '' FROM generate_series(1, 11) AS n"
    )
    world.write(
        "INSERT INTO devices (id, site_id, kind, place, registered_at)"
        " SELECT 'far-' || n, 'site-' || least(n, 11), 'controller', n::text, %s FROM generate_series(1, 3000) AS n",
        world.now,
    )
    world.write(
        "INSERT INTO cases (number, community_id, cause, cause_key, state, opened_at, stage_at, next_action,"
        " next_action_at, policy) SELECT 'T' || n, 'town-' || n, 'technical', 'device:far-' || n, 'notified', %s, %s,"
        " 'device_check_due', %s, '{}' FROM generate_series(1, 5) AS n",
        world.now, world.now, world.now,
    )  # fmt: skip
    world.write("ANALYZE devices")


def test_whoever_sees_a_whole_city_chooses_a_community_or_a_device_first(world: World) -> None:
    admin = world.browser("admin")
    assert "请先选一个" not in admin.get("/devices").text, "of a few communities everything is one list"
    city(world)
    for path in ("/devices", "/technical"):
        choice = admin.get(path).text
        assert "请先选一个" in choice and "far-7" not in choice
        assert choice.index("place=town-1") < choice.index("place=town-9"), "who has most open cases first"
        assert "place=town-9" in admin.get(path, params={"name": "小区 9"}).text
        assert "没有这个名称" in admin.get(path, params={"name": "小区 12"}).text
        assert admin.get(path, params={"place": "nowhere"}).status_code == 404
    listed = admin.get("/devices?place=town-7&only=troubled").text
    assert "far-7" in listed and "far-6" not in listed and 'href="/devices?place=town-7"' in listed
    assert (
        "T3" in admin.get("/technical?place=town-3").text
        and "T4" not in admin.get("/technical?place=town-3").text
    )
    found = admin.get("/devices", params={"query": "far-8"})
    assert found.headers["location"] == "/devices?place=town-8&query=far-8"
    # Nobody reaches another's community by its id.
    clerk = world.browser("clerk")
    assert clerk.get("/devices?place=town-7").status_code == 404
    assert clerk.get("/devices?place=wenchang").status_code == 200


def test_a_page_asks_of_the_devices_of_others_nothing_at_all(world: World) -> None:
    """Of each device elsewhere the policy asks whether it is tied to a home of hers: of a city's that is ten seconds."""
    city(world)
    (found,) = world.rows("SELECT pg_get_functiondef('is_linked_device'::regproc) AS words")
    assert "COST 10000" in found["words"]
    world.write("CREATE SEQUENCE asked")
    world.write(
        found["words"].replace("BEGIN", "BEGIN PERFORM nextval('public.asked');", 1).replace("%", "%%")
    )
    clerk, before = world.browser("clerk"), 0
    for path in (
        "/alarms",
        "/morning",
        "/technical",
        "/devices",
        "/households",
        "/signals",
        "/tasks",
        "/buildings",
    ):
        assert clerk.get(path).status_code == 200
        (row,) = world.rows("SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS n FROM asked")
        assert row["n"] - before < 300, f"{path} asked {row['n'] - before} times"
        before = row["n"]
