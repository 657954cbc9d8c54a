"""Cases of other causes, declared absences, words of a resident and questions of the past, on pages and in the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from alerts.case_rows import load_open_case
from alerts.keys import Key
from alerts.rules.happenings import OpenedWhileAway, Signal
from alerts.rules.ladder import decide
from alerts.rules.signals import CAUSE_OF_SIGNAL, subject_of
from alerts.saving import save
from alerts.surroundings import load_surroundings
from kaimen.clock import ManualClock
from kaimen.database import transaction
from kaimen.vocabulary import CaseCause, SignalKind
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def happens(world: World, happening: Signal | OpenedWhileAway, *, household: str | None) -> int:
    """Let alerts decide, as its worker would, and return the case."""
    cause = happening.cause if isinstance(happening, Signal) else CaseCause.ABSENCE
    key = Key("wenchang", household_id=household, cause_key=happening.subject, signal=cause)
    with transaction(world.pool) as connection:
        case = load_open_case(connection, key)
        around = load_surroundings(connection, key, now=world.now, outside_channels=())
        decision = decide(case, happening, world.now, around.policy, around.around)
        written = save(connection, case, decision, around, now=world.now)
    assert written.case_id is not None
    return written.case_id


_numbers = iter(range(1, 10_000))


def signalled(world: World, kind: SignalKind, household: str | None = "h-wang") -> int:
    cause = CAUSE_OF_SIGNAL[kind]
    device = f"d-{household or 'h-wang'}"
    evidence = {"device": device, "signal": kind.value}
    subject = subject_of(cause, household, device)
    fact = Signal(next(_numbers), cause, kind.value, subject, world.now, evidence)
    return happens(world, fact, household=household)


def away(world: World, household: str = "h-wang") -> int:
    world.write(
        "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
        " VALUES (%s, %s, %s, 'travel', 'x', %s)",
        household, world.now - timedelta(days=1), world.now + timedelta(days=9), world.now - timedelta(days=1),
    )  # fmt: skip
    row = world.rows("SELECT max(id) AS id FROM absences")[0]
    evidence_at = world.now - timedelta(minutes=5)
    fact = OpenedWhileAway(row["id"], f"absence:{row['id']}", evidence_at, {"kind": "opening"}, False)
    return happens(world, fact, household=household)


def local(world: World, **span: float) -> str:
    return (world.now + timedelta(**span)).astimezone(ZONE).strftime("%Y-%m-%dT%H:%M")


def actions(world: World, action: str) -> list[dict[str, Any]]:
    return world.rows("SELECT * FROM audit_entries WHERE action = %s ORDER BY id", action)


# --- the alarm console -------------------------------------------------------------------------------------------


def test_the_console_lists_every_cause_by_priority_who_calls_for_help_and_people_first_then_oldest(
    world: World,
) -> None:
    held = signalled(world, SignalKind.DOOR_HELD, "h-li")
    world.write("UPDATE cases SET stage_at = stage_at - interval '9 hours' WHERE id = %s", held)
    sos = signalled(world, SignalKind.SOS, "h-sun")
    forced = signalled(world, SignalKind.DOOR_FORCED, "h-li")
    page = world.browser("clerk").get("/alarms").text
    order = [int(found) for found in re.findall(r'data-row="case-(\d+)"', page)]
    wang, zhao, sun = (world.case_ids[key] for key in ("wang", "zhao", "sun"))
    assert [item for item in order if item in (held, sos, forced, wang, zhao, sun)] == [
        sos, wang, zhao, forced, sun, held,
    ]  # fmt: skip
    assert "求助" in page and "门被强行打开" in page
    # A visit long overdue stands behind it on the list of work and on the list for when nothing else works, too.
    world.write("UPDATE tasks SET due_at = due_at - interval '6 days' WHERE id = %s", world.task_ids["wang"])
    (asked,) = world.rows("SELECT id FROM tasks WHERE case_id = %s", sos)
    tasks = world.browser("clerk").get("/tasks").text
    assert 0 < tasks.find(f"/tasks/{asked['id']}") < tasks.find(f"/tasks/{world.task_ids['wang']}")
    calls = world.browser("clerk").get("/watchdog/call-list").text
    assert 0 < calls.find("孙兰") < calls.find("王秀英")


def test_a_flood_of_calls_for_help_counts_in_the_hour_and_hides_no_work_in_silence(world: World) -> None:
    def hour() -> int:
        found = re.search(r"本小时 (\d+) 条", world.browser("clerk").get("/tasks").text)
        assert found
        return int(found[1])

    before = hour()
    sos = signalled(world, SignalKind.SOS, "h-sun")
    signalled(world, SignalKind.DOOR_HELD, "h-li")
    assert hour() == before + 1, "a door held open calls nobody"
    world.write(
        "INSERT INTO tasks (case_id, kind, role, start_at, due_at, state, created_at)"
        " SELECT %s, 'respond', 'property_clerk', %s, %s, 'open', %s FROM generate_series(1, 200)",
        sos, world.now, world.now, world.now,
    )  # fmt: skip
    assert re.search(r"还有 \d+ 项没有列出", world.browser("clerk").get("/tasks").text)
    results = world.browser("clerk").get("/visits/results").text
    assert f'action="/visits/results/{world.task_ids["wang"]}"' in results, "the visits are not pushed out"
    (task,) = world.rows("SELECT min(id) AS id FROM tasks WHERE case_id = %s", sos)
    ended = world.post(
        world.browser("clerk"), f"/tasks/{task['id']}/outcome", outcome="false_alarm", note="试按"
    )
    assert ended.status_code == 303
    assert hour() == before + 1, "what is over called somebody all the same"


def test_a_guard_at_night_takes_a_call_for_help_and_says_what_she_found(world: World) -> None:
    world.write(
        "UPDATE users SET role = 'guard', display_name = '夜班' WHERE id = %s", world.user_ids["watcher"]
    )
    for role, people in (("property_clerk", []), ("guard", [world.user_ids["watcher"]])):
        world.write("INSERT INTO duty_rosters VALUES ('wenchang', %s, 1, %s, 'test')", role, world.now)
        for person in people:
            world.write(
                "INSERT INTO duty_shifts (community_id, role, user_id, from_at, to_at, made_at, made_by)"
                " VALUES ('wenchang', %s, %s, %s, %s, %s, 'test')",
                role, person, world.now - timedelta(hours=1), world.now + timedelta(hours=8), world.now,
            )  # fmt: skip
    case_id = signalled(world, SignalKind.SOS, "h-sun")
    (task,) = world.rows("SELECT id, kind, role FROM tasks WHERE case_id = %s", case_id)
    assert (task["kind"], task["role"]) == ("respond", "guard")
    guard = world.browser("watcher")
    assert "孙" not in guard.get("/tasks").text, "the name comes with the task"
    before = guard.get(f"/tasks/{task['id']}").text
    assert "我来处理" in before and "孙兰" not in before
    assert world.post(guard, f"/tasks/{task['id']}/take").status_code == 303
    page = guard.get(f"/tasks/{task['id']}").text
    assert "helped" in page and "孙兰" in page and "我来处理" not in page
    assert world.rows("SELECT assignee_id FROM tasks WHERE id = %s", task["id"]) == [
        {"assignee_id": world.user_ids["watcher"]}
    ]
    late = world.post(world.browser("clerk"), f"/tasks/{task['id']}/take")
    assert late.status_code == 409, "two do not run for one another"
    done = world.post(
        guard,
        f"/tasks/{task['id']}/outcome",
        outcome="helped",
        contacted="saw",
        witness="120 医生",
        note="扶起来了",
    )
    assert done.status_code == 303
    assert world.rows("SELECT state, outcome FROM cases WHERE id = %s", case_id) == [
        {"state": "closed", "outcome": "helped"}
    ]


def test_who_holds_one_case_of_a_home_is_shown_the_other(world: World) -> None:
    sos = signalled(world, SignalKind.SOS)
    clerk = world.browser("clerk")
    assert f'href="/cases/{sos}"' in clerk.get(f"/cases/{world.case_ids['wang']}").text
    assert f'href="/cases/{world.case_ids["wang"]}"' in clerk.get(f"/cases/{sos}").text
    assert "同时未结" not in clerk.get(f"/cases/{world.case_ids['zhao']}").text
    beside = clerk.get(f"/api/cases/{sos}").json()["beside"]
    assert [item["cause"] for item in beside] == ["inactivity"]


def test_duress_is_for_desk_and_police_alone(world: World) -> None:
    duress = signalled(world, SignalKind.DURESS)
    page = world.browser("clerk").get(f"/cases/{duress}").text
    assert "不得在该门口" in page
    assert world.browser("police").get(f"/cases/{duress}").status_code == 200
    for name in ("family", "watcher", "admin", "clerk-b", "police-b"):
        client = world.browser(name)
        assert client.get(f"/cases/{duress}").status_code in (403, 404), name
        assert client.get(f"/api/cases/{duress}").status_code == 404, name
        listed = client.get("/api/cases").json()["items"]
        assert duress not in [item["id"] for item in listed], name


def test_police_learn_of_a_call_for_help_once_they_were_told(world: World) -> None:
    sos = signalled(world, SignalKind.SOS)
    police = world.browser("police")
    assert police.get(f"/cases/{sos}").status_code == 404
    world.write(
        "UPDATE outbox SET person = 'community:wenchang/police_officer' WHERE case_id = %s AND channel = 'console'"
        " AND person LIKE 'community:%%'",
        sos,
    )
    assert police.get(f"/cases/{sos}").status_code == 200
    assert f"/cases/{sos}" in police.get("/police").text


def test_the_family_sees_a_call_for_help_and_no_stranger_at_the_door(world: World) -> None:
    sos = signalled(world, SignalKind.SOS)
    stranger = signalled(world, SignalKind.STRANGER_DENIALS)
    family = world.browser("family")
    ids = [item["id"] for item in family.get("/api/cases").json()["items"]]
    assert sos in ids and stranger not in ids
    other = [item["id"] for item in world.browser("family-b").get("/api/cases").json()["items"]]
    assert sos not in other


def test_the_family_page_says_first_that_help_was_called_for(world: World) -> None:
    family = world.browser("family")

    def headline() -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", family.get("/family").text)
        assert found is not None
        return found[1].replace("\u200b", "")

    assert headline() == "妈妈家的门三天以上没有开过。"
    sos = signalled(world, SignalKind.SOS)
    assert headline() == "妈妈家里有人求助。"
    page = family.get("/family").text
    assert "还没有人接手" in world.browser("resident").get("/resident").text
    assert "还没有人接手" in page and "请马上给妈妈打电话" in page
    clerk = world.browser("clerk")
    assert world.post(clerk, f"/cases/{sos}/claim").status_code == 303
    assert "clerk display已接手，要去看或打电话" in family.get("/family").text
    assert "clerk display已接手" in world.browser("resident").get("/resident").text
    # Without the watch of the door, which the button does not need.
    world.write("DELETE FROM consents WHERE purpose = 'watch'")
    assert headline() == "妈妈家里有人求助。"
    user = world.user_ids["family"]
    world.write("UPDATE user_households SET blocked_at = %s WHERE user_id = %s", world.now, user)
    assert "求助" not in family.get("/family").text
    world.write("UPDATE user_households SET blocked_at = NULL")
    (task,) = world.rows("SELECT id FROM tasks WHERE case_id = %s", sos)
    assert world.post(clerk, f"/tasks/{task['id']}/outcome", outcome="false_alarm").status_code == 303
    assert headline() == "没有看护妈妈家的门。"


def test_a_task_says_what_it_is_about_and_whom_to_ring(world: World) -> None:
    """Her own number comes first, the family is behind it; a home under duress is rung by nobody."""
    clerk = world.browser("clerk")

    def taken(kind: SignalKind) -> str:
        case_id = signalled(world, kind)
        (task,) = world.rows("SELECT id FROM tasks WHERE case_id = %s", case_id)
        assert world.post(clerk, f"/cases/{case_id}/claim").status_code == 303
        return str(clerk.get(f"/tasks/{task['id']}").text)

    tasks = {}
    for kind, words in ((SignalKind.SOS, "求助"), (SignalKind.EARLY_WATCH, "室内异常安静")):
        page = taken(kind)
        assert words in page
        tasks[kind] = page.split('id="outcome-')[1].split('"')[0]
        ringing = [page.find(f'href="tel:{number}"') for number in ("13812341234", "13900001111")]
        assert 0 < ringing[0] < ringing[1], kind
    assert "求助" in clerk.get("/tasks").text
    world.write("UPDATE person_identities SET phone = NULL WHERE person_id = 'p-h-wang'")
    done = f"/tasks/{tasks[SignalKind.EARLY_WATCH]}/outcome"
    assert world.post(clerk, done, outcome="false_alarm").status_code == 303
    assert 'href="tel:13900001111"' in taken(SignalKind.EARLY_WATCH), "hers is not known: her son's is"
    page = taken(SignalKind.DURESS)
    assert "胁迫" in page and "不得在该门口" in page and 'href="tel:110"' in page
    for betrays in ("tel:139", "tel:138", "王小明", "/visit", "/entry"):
        assert betrays not in page, betrays
    duress = world.rows("SELECT id FROM cases WHERE cause = 'duress'")[0]["id"]
    assert "王*明" not in clerk.get(f"/cases/{duress}").text


def test_a_tampered_device_and_an_open_door_of_a_home_say_what_to_do(world: World) -> None:
    held = signalled(world, SignalKind.DOOR_HELD)
    fault = signalled(world, SignalKind.DEVICE_FAULT)
    clerk = world.browser("clerk")
    assert "先朝里喊一声" in clerk.get(f"/cases/{held}").text
    assert "设备故障" in clerk.get(f"/cases/{fault}").text
    assert "迟到的消息" not in clerk.get(f"/cases/{fault}").text
    world.write(
        """UPDATE cases SET evidence = evidence || '{"type": "DoorTamper", "late": true}' WHERE id = %s""",
        fault,
    )
    page = clerk.get(f"/cases/{fault}").text
    assert "迟到的消息" in page
    assert "设备被打开或移动" in page and "顺便问问家里是否平安" in page


def test_a_low_battery_is_a_case_for_the_round_and_its_device_says_so(world: World) -> None:
    def write(key: str) -> None:
        world.write(
            "INSERT INTO signals (key, kind, household_id, device_id, site_id, community_id, at, noticed_at, evidence)"
            " SELECT %s, 'battery_low', 'h-wang', id, site_id, 'wenchang', %s, %s, '{\"percent\": 9.4}' FROM devices"
            " WHERE id = 'd-h-wang'",
            key, world.now, world.now,
        )  # fmt: skip

    clerk = world.browser("clerk")
    assert "没有电量低的电池" in clerk.get("/devices?only=battery").text
    write("one")
    case_id = signalled(world, SignalKind.BATTERY_LOW)
    world.write("UPDATE cases SET evidence = evidence || '{\"percent\": 9.4}' WHERE id = %s", case_id)
    case = clerk.get(f"/cases/{case_id}").text
    assert "电池电量低" in case and "电量 9%" in case and "更换电池" in case
    listed = clerk.get("/devices?only=battery").text
    assert "d-h-wang" in listed and "起电量低" in listed and "d-h-li" not in listed
    assert "起电量低" in clerk.get("/households/h-wang").text
    assert "电池电量低" in clerk.get("/signals").text
    assert "电池电量低" not in world.browser("police").get("/signals").text, "nothing for the police"
    (task,) = world.rows("SELECT id, start_at FROM tasks WHERE case_id = %s", case_id)
    assert task["start_at"] > world.now, "with the next list, and nobody is rung"
    assert world.post(clerk, f"/tasks/{task['id']}/outcome", outcome="restored").status_code == 303
    assert world.rows("SELECT state, outcome FROM cases WHERE id = %s", case_id) == [
        {"state": "closed", "outcome": "restored"}
    ]


def test_an_outcome_form_offers_what_the_ladder_of_the_cause_has(world: World) -> None:
    signalled(world, SignalKind.STRANGER_DENIALS)
    task = world.rows("SELECT id FROM tasks WHERE kind = 'look_into'")[0]["id"]
    clerk = world.browser("clerk")
    page = clerk.get(f"/tasks/{task}").text
    values = re.findall(r'name="outcome" value="(\w+)"', page)
    assert values == ["handled", "false_alarm", "other"]
    assert 'name="witness"' not in page and 'name="absence_until"' not in page
    assert world.post(clerk, f"/tasks/{task}/outcome", outcome="well").status_code == 409
    assert world.post(clerk, f"/tasks/{task}/outcome", outcome="other").status_code == 409
    assert world.post(clerk, f"/tasks/{task}/outcome", outcome="handled").status_code == 303


def test_the_case_carries_what_was_known_in_sentences(world: World) -> None:
    opened_at = world.now - timedelta(hours=50)
    world.write(
        "UPDATE cases SET grade = 'high', grounds = %s WHERE id = %s",
        Jsonb(
            {
                "as_of": world.now.isoformat(),
                "presumed": "out",
                "presumed_by": "direction",
                "usual_gap": {"median_ms": 5 * 3_600_000, "p95_ms": 15 * 3_600_000, "days": 60},
                "door_open_since": opened_at.isoformat(),
                "unlocked_since": opened_at.isoformat(),
            }
        ),
        world.case_ids["wang"],
    )
    page = world.browser("clerk").get(f"/cases/{world.case_ids['wang']}").text
    for words in (
        "室内无动静",
        "推断外出",
        "一般相隔 5 小时",
        "不超过 15 小时",
        "一直开着",
        "未上锁",
        "走失",
    ):
        assert words in page, words
    detail = world.browser("clerk").get(f"/api/cases/{world.case_ids['wang']}").json()
    assert detail["grade"] == "high" and detail["grounds"]["presumed"] == "out"


# --- is she back? ------------------------------------------------------------------------------------------------


def test_no_list_says_which_home_is_declared_empty(world: World) -> None:
    world.write(
        "UPDATE cases SET state = 'closed', outcome = 'restored', closed_at = %s WHERE cause = 'technical'",
        world.now - timedelta(days=2),
    )
    world.write("UPDATE tasks SET state = 'superseded' WHERE kind = 'device_check'")
    case = away(world, "h-li")
    clerk = world.browser("clerk")
    for path in ("/alarms", "/tasks"):
        page = clerk.get(path).text
        assert "是否已回家" in page or "询问是否回家" in page
        assert "5-4-0201" not in page and "李*妹" not in page, path
    assert "李*妹" in clerk.get(f"/cases/{case}").text
    read = actions(world, "case_read")
    assert [entry["object_id"] for entry in read] == [str(case)], "whoever learns it leaves a trace"


@pytest.mark.parametrize(("answer", "outcome"), [("yes", "back"), ("no", "not_back")])
def test_the_family_answers_whether_she_is_back(world: World, answer: str, outcome: str) -> None:
    case = away(world)
    family = world.browser("family")
    world.write(
        "UPDATE household_states SET stage = 0, known = true WHERE household_id IN ('h-li', 'h-wang')"
    )
    world.write(
        "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES ('h-li', 'notify_family', '本人', %s)",
        world.now,
    )
    world.write("INSERT INTO user_households VALUES (%s, 'h-li', '婆婆')", world.user_ids["family"])
    page = family.get("/family").text
    assert page.index("/family/h-wang/back") < page.index("/family/h-li/"), "what waits for her answer first"
    assert world.post(world.browser("family-b"), "/family/h-wang/back", back=answer).status_code == 404
    assert world.post(family, "/family/h-wang/back", back="maybe").status_code == 422
    assert world.post(family, "/family/h-wang/back", back=answer).status_code == 303
    row = world.rows("SELECT state, outcome, closed_by FROM cases WHERE id = %s", case)[0]
    assert (row["state"], row["outcome"]) == ("closed", outcome)
    assert len(world.rows("SELECT 1 FROM absences WHERE to_at > %s", world.now)) == (answer == "no")
    assert world.post(family, "/family/h-wang/back", back=answer).status_code == 404
    assert "/family/h-wang/back" not in family.get("/family").text


def test_a_family_settles_nothing_of_a_case_but_whether_she_is_back(world: World) -> None:
    family = world.browser("family")
    task = world.task_ids["wang"]
    assert world.post(family, f"/tasks/{task}/outcome", outcome="well").status_code in (403, 404)
    api = family.post(
        f"/api/tasks/{task}/outcome", json={"outcome": "well"}, headers={"x-csrf-token": world.csrf(family)}
    )
    assert api.status_code in (403, 404)


# --- absences ----------------------------------------------------------------------------------------------------


def test_an_absence_is_not_dated_back(world: World) -> None:
    clerk = world.browser("clerk")
    path = "/households/h-li/absences"
    fields = {"reason": "travel", "to": local(world, days=5)}
    refused = world.post(clerk, path, **fields, **{"from": local(world, hours=-1)})
    assert refused.status_code == 422 and "外出不能补报" in refused.text
    family = world.post(
        world.browser("family"), "/family/h-wang/away", **fields, **{"from": local(world, days=-2)}
    )
    assert family.status_code == 422 and "外出不能补报" in family.text
    assert world.rows("SELECT 1 FROM absences") == []
    # Whoever opened the form a minute ago meant now.
    assert world.post(clerk, path, **fields, **{"from": local(world, minutes=-1)}).status_code == 303
    assert world.rows("SELECT from_at FROM absences")[0]["from_at"] == world.now


def test_an_absence_is_prolonged_by_a_person_to_thirty_days_from_now_and_ninety_in_all(world: World) -> None:
    clerk = world.browser("clerk")
    world.post(clerk, "/households/h-li/absences", reason="travel", to=local(world, days=29))
    absence = world.rows("SELECT * FROM absences")[0]
    path = f"/households/h-li/absences/{absence['id']}/renew"
    assert world.post(clerk, path, to=local(world, days=31)).status_code == 422
    assert world.post(clerk, path, to=local(world, days=20)).status_code == 422, "a renewal never shortens"
    assert world.post(clerk, path, to="").status_code == 422
    assert world.post(world.browser("clerk-b"), path, to=local(world, days=30)).status_code == 404
    for _ in range(3):
        world.clock.advance_to(world.clock.now_ms() + 28 * 86_400_000)
        world.post(clerk, path, to=local(world, days=29))
    renewed = world.rows("SELECT * FROM absences")[0]
    assert renewed["to_at"] - renewed["from_at"] <= timedelta(days=90)
    assert renewed["renewed_by"] == "clerk display"
    assert len(actions(world, "absence_renewed")) == 2, "the third would have made more than ninety days"


# --- words of her ------------------------------------------------------------------------------------------------


def test_a_meal_an_order_and_a_button_are_recorded_with_who_and_how(world: World) -> None:
    clerk = world.browser("clerk")
    path = "/households/h-li/evidence"
    assert world.post(clerk, path, source="meal", who=" ").status_code == 422
    assert world.post(clerk, path, source="rumour", who="x").status_code == 422
    assert world.post(clerk, path, source="meal", who="赵厨师", at=local(world, hours=1)).status_code == 422
    assert world.post(clerk, path, source="meal", who="赵厨师", at=local(world, hours=-1)).status_code == 303
    assert world.post(clerk, path, source="button", who="床头按钮").status_code == 303
    assert world.post(clerk, path, source="order", who="电话订餐").status_code == 303
    refused = world.post(clerk, path, source="button", who="床头按钮")
    assert refused.status_code == 422
    rows = world.rows("SELECT * FROM verified_contacts ORDER BY id")
    assert [(row["how"], row["is_remote"], row["witness"]) for row in rows] == [
        ("meal", False, "赵厨师"), ("button", True, "床头按钮"), ("order", True, "电话订餐"),
    ]  # fmt: skip
    assert rows[0]["at"] == (world.now - timedelta(hours=1)).replace(second=0, microsecond=0)
    assert {entry["purpose"] for entry in actions(world, "evidence_recorded")} == {"meal", "button", "order"}
    for name in ("family", "police", "admin", "watcher", "clerk-b"):
        answer = world.post(world.browser(name), path, source="meal", who="x")
        assert answer.status_code in (403, 404), name
    assert len(world.rows("SELECT 1 FROM verified_contacts")) == 3


def test_another_system_sends_a_word_by_the_api(world: World) -> None:
    clerk = world.browser("clerk")
    headers = {"x-csrf-token": world.csrf(clerk)}
    path = "/api/households/h-li/evidence"
    sent = clerk.post(path, json={"source": "meal", "who": "kitchen 3, Ms Zhao"}, headers=headers)
    assert sent.status_code == 201
    assert clerk.post(path, json={"source": "meal", "who": ""}, headers=headers).status_code == 422
    assert (
        clerk.post(
            "/api/households/h-other/evidence", json={"source": "meal", "who": "x"}, headers=headers
        ).status_code
        == 404
    )
    family = world.browser("family")
    assert (
        family.post(
            path, json={"source": "meal", "who": "x"}, headers={"x-csrf-token": world.csrf(family)}
        ).status_code
        == 403
    )


# --- why did we think she is fine? ---------------------------------------------------------------------------------


def opens(
    world: World, household: str, at: datetime, *, received_at: datetime | None = None, seq: int
) -> None:
    world.write(
        "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
        " clock_quality, replayed, type, state, plausible, batch)"
        " SELECT %s, %s, %s, no, 1, %s, (extract(epoch FROM %s::timestamptz) * 1000)::bigint,"
        " (extract(epoch FROM %s::timestamptz - %s::timestamptz) * 1000)::bigint, 'ntp', false,"
        " 'DoorPhysicalState', 'Open', true, 1 FROM devices WHERE id = %s",
        at, received_at or at, received_at or at, seq, at, at, world.now - timedelta(days=20), f"d-{household}",
    )  # fmt: skip


def boot(world: World, household: str) -> None:
    begin = world.now - timedelta(days=20)
    begin_ms = int(begin.timestamp() * 1000)
    world.write(
        "INSERT INTO boots (device_no, boot, ntp_up_ms, ntp_ts_ms, ntp_base_min_ms, ntp_base_max_ms, newest_received_ms)"
        " SELECT no, 1, 0, %s, %s, %s, %s FROM devices WHERE id = %s",
        begin_ms, begin_ms, begin_ms, begin_ms, f"d-{household}",
    )  # fmt: skip


def why(world: World, at: datetime, household: str = "h-li") -> dict[str, Any]:
    answer = world.browser("clerk").get(f"/api/households/{household}/why", params={"at": at.isoformat()})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_any_instant_of_the_past_says_why_she_was_thought_well(world: World) -> None:
    boot(world, "h-li")
    first, second = world.now - timedelta(days=6), world.now - timedelta(days=3)
    opens(world, "h-li", first, seq=1)
    # Late: it happened on the third day before, and was heard of a day later.
    opens(world, "h-li", second, received_at=second + timedelta(days=1), seq=2)
    early = why(world, first + timedelta(hours=5))
    assert early["watched"] and early["evidence"]["kind"] == "opening"
    assert early["evidence"]["at"].startswith(first.strftime("%Y-%m-%dT%H:%M"))
    assert early["evidence"]["device"] == "d-h-li"
    assert (early["inactive_s"], early["stage"]) == (5 * 3600, "normal")
    before_it_arrived = why(world, second + timedelta(hours=12))
    assert before_it_arrived["evidence"]["at"] == early["evidence"]["at"], (
        "what came later was not known then"
    )
    assert before_it_arrived["stage"] == "visit"
    after = why(world, second + timedelta(days=1, hours=1))
    assert after["evidence"]["at"].startswith(second.strftime("%Y-%m-%dT%H:%M"))
    assert after["stage"] == "warning"
    assert next(item["at"] for item in after["before"]) == early["evidence"]["at"]
    assert why(world, world.now - timedelta(days=61))["watched"] is False


def test_a_word_is_named_with_its_witness_and_an_outage_was_not_watching(world: World) -> None:
    boot(world, "h-li")
    opened = world.now - timedelta(days=6)
    opens(world, "h-li", opened, seq=1)
    said = world.now - timedelta(days=5)
    world.write(
        "INSERT INTO verified_contacts (household_id, at, how, witness, recorded_at) VALUES ('h-li', %s, 'spoke', '李护士', %s)",
        said, said,
    )  # fmt: skip
    heard = world.now - timedelta(days=4)
    world.write(
        "INSERT INTO outages (device_id, cause, cause_id, began_at, heard_at) VALUES ('d-h-li', 'device', 'd-h-li', %s, %s)",
        heard + timedelta(minutes=3), heard,
    )  # fmt: skip
    known = why(world, said + timedelta(hours=1))
    assert known["evidence"]["witness"] == "李护士" and known["evidence"]["kind"] == "verified"
    assert known["known"] is True
    blind = why(world, heard + timedelta(hours=10))
    assert blind["known"] is False
    assert blind["inactive_s"] < blind["elapsed_s"]


def test_the_question_of_the_past_is_on_a_page_is_written_down_and_is_the_desks_alone(world: World) -> None:
    boot(world, "h-li")
    opens(world, "h-li", world.now - timedelta(days=2), seq=1)
    clerk = world.browser("clerk")
    assert "/households/h-li/why" in clerk.get("/households/h-li").text
    assert clerk.get("/households/h-li/why").status_code == 200
    assert actions(world, "why_read") == []
    page = clerk.get("/households/h-li/why", params={"at": local(world, days=-1)})
    assert page.status_code == 200
    assert "5-4-0201" in page.text.split("最近依据")[1], "the door as people call it"
    assert "当时" in page.text.split("最近依据")[0], "a sentence stands before the facts"
    assert clerk.get("/households/h-li/why", params={"at": "yesterday"}).status_code == 422
    tomorrow = clerk.get("/households/h-li/why", params={"at": local(world, days=1)})
    assert tomorrow.status_code == 422
    assert "这个时间还没有到" in tomorrow.text
    read = actions(world, "why_read")
    assert len(read) == 1 and read[0]["object_id"] == "h-li" and read[0]["detail"]["asked_at"]
    for name in ("family", "police", "admin", "watcher", "clerk-b"):
        other = world.browser(name)
        assert other.get("/households/h-li/why", params={"at": local(world, days=-1)}).status_code in (
            403,
            404,
        )
        assert other.get("/api/households/h-li/why", params={"at": world.now.isoformat()}).status_code in (
            403,
            404,
        ), name
    assert len(actions(world, "why_read")) == 1
