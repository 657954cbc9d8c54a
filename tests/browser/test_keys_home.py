"""The journeys at home, at the door and from outside, by keyboard alone: daughter, resident, elder, grid worker, outsider.

Each from the first page to what they came for, and done; wide and narrow, in Chinese and in English. One console
and one street serve the whole file: each journey is about a home of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.browser.keys import Sit, Street, look, open_street, sit
from tests.fix_database import DatabaseServer
from tests.integration.console_world import World

__all__ = ["look", "sit"]
NAMES = ("王秀英", "赵建国", "孙兰", "李四妹", "3-1-1201")


def _furnish(world: World) -> dict[str, str]:
    """A daughter of the home of Sun, a resident of Zhao's with a relative, an elder in Li's, a visit at Wang's."""
    world.write(
        "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
        " SELECT n.name, n.name, password_hash, n.role, n.place, created_at FROM users,"
        " (VALUES ('daughter', 'family', NULL), ('elder', 'resident', 'wenchang')) AS n (name, role, place)"
        " WHERE users.name = 'clerk'"
    )
    world.write(
        "INSERT INTO user_households SELECT id, CASE name WHEN 'daughter' THEN 'h-sun' ELSE 'h-li' END, '妈妈'"
        " FROM users WHERE name IN ('daughter', 'elder')"
    )
    world.write(
        "UPDATE user_households SET household_id = 'h-zhao' WHERE user_id IN"
        " (SELECT id FROM users WHERE name IN ('resident', 'family'))"
    )
    world.write(
        "INSERT INTO consents (household_id, purpose, given_by, given_at)"
        " SELECT h, 'notify_family', '本人', %s FROM unnest(ARRAY['h-sun', 'h-zhao']) AS h",
        world.now - timedelta(days=60),
    )
    # Somebody began it yesterday and let it go: the next one can begin, and is told the name then.
    world.write(
        "UPDATE tasks SET role = 'grid_worker', begun_at = %s WHERE id = %s",
        world.now - timedelta(days=1),
        world.task_ids["wang"],
    )
    looked = world.post(
        world.browser("clerk"), f"/cases/{world.case_ids['zhao']}/reveal", purpose="call_back"
    )
    assert looked.status_code == 200
    shown = world.post(world.browser("elder"), "/resident/code")
    code = re.search(r'class="code">([^<]+)<', shown.text)
    made = world.post(world.browser("admin"), "/admin/kiosks", place="3 栋大堂", community="wenchang")
    path = re.search(r"/kiosk/[\w-]{43}", made.text)
    assert code and path, (shown.text, made.text)
    return {"code": code[1], "path": path[0]}


@pytest.fixture(scope="module")
def street(
    database_server: DatabaseServer, _database_template: str, look: tuple[int, str]
) -> Iterator[Street]:
    with open_street(database_server, _database_template, look, _furnish) as opened:
        yield opened


def test_a_daughter_sees_how_her_mother_is_and_says_that_she_goes_away(street: Street, sit: Sit) -> None:
    world, hands = street.world, sit()
    hands.sign_in("daughter", then="/family")
    asked = {"zh": ("妈妈", "1 天"), "en": ("Mum", "a day")}[street.language]
    assert asked[0] in hands.page.inner_text("h1")
    hands.is_sound(60)
    hands.open("/family/h-sun/away")
    hands.pick("reason", "relatives")
    # Sent without an end: it is asked for where it is missing.
    hands.to(tag="button", action="/family/h-sun/away")
    hands.enter("/family/h-sun/away")
    assert hands.at()["name"] == "to", hands.at()
    hands.press("Shift+Tab")
    hands.date("to", street.local(days=5))
    hands.to(tag="button", action="/family/h-sun/away")
    hands.send("/family*")
    absences = world.rows("SELECT to_at FROM absences WHERE household_id = 'h-sun'")
    assert [row["to_at"] for row in absences] == [world.now + timedelta(days=5)]
    hands.open("/family/h-sun/spoke")
    hands.choose("contacted", "spoke")
    hands.to(tag="button", action="/family/h-sun/spoke")
    hands.send("/family*")
    assert len(world.rows("SELECT 1 FROM audit_entries WHERE action = 'family_word'")) == 1
    hands.leave()


def test_a_resident_is_well_gives_a_pass_sees_who_looked_and_blocks_a_relative(
    street: Street, sit: Sit
) -> None:
    world, hands = street.world, sit()
    hands.sign_in("resident", then="/resident")
    hands.is_sound(60)
    hands.to(tag="button", action="/resident/well")
    hands.send("/resident")
    assert len(world.rows("SELECT 1 FROM verified_contacts WHERE how = 'button' AND household_id = 'h-zhao'"))
    hands.follow("/resident/cards", href="/resident/cards")
    hands.choose("lasts", "day")
    hands.to(tag="button", action="/resident/passes")
    hands.send("/resident/*")
    assert hands.page.locator("main .qr").is_visible() and hands.page.inner_text(".code")
    hands.is_sound(60)
    assert (
        len(world.rows("SELECT 1 FROM credentials WHERE class = 'visitor' AND household_id = 'h-zhao'")) == 1
    )
    hands.follow("/resident/looked", href="/resident/looked")
    assert {"zh": "查看全名", "en": "Read a full name"}[street.language] in hands.main()
    hands.follow("/resident/consents", href="/resident/consents")
    relative = world.user_ids["family"]
    for act in ("block", "unblock"):
        hands.to(tag="button", action=f"/resident/relatives/{relative}/{act}")
        hands.send("/resident/consents")
    hands.is_sound(60)
    hands.leave()


def test_an_elder_at_the_terminal_is_well_by_code_and_away_by_card(street: Street, sit: Sit) -> None:
    world, hands = street.world, sit()
    path = street.found["path"]
    query = "" if street.language == "zh" else "?language=en"
    hands.begin(path)
    if query:
        hands.follow(f"{path}{query}", href=f"{path}{query}")
    hands.is_sound(60)
    hands.follow(f"{path}/well?language={street.language}", href=f"/well?language={street.language}")
    # The field has the focus: whoever has a card holds it to the reader, whoever has a code types it.
    assert hands.at()["name"] == "code"
    hands.type(street.found["code"])
    hands.enter(f"/taken?language={street.language}")
    for name in NAMES:
        assert name not in hands.page.content()
    hands.follow(f"{path}{query}", href=f"{path}{query}")
    hands.follow(f"{path}/away?language={street.language}", href=f"/away?language={street.language}")
    hands.choose("days", "3")
    # A reader types while the focus is still on the days.
    hands.type("c-h-li")
    assert (hands.at()["name"], hands.at()["value"]) == ("code", "c-h-li")
    hands.enter(f"/taken?language={street.language}")
    absences = world.rows("SELECT to_at FROM absences WHERE household_id = 'h-li'")
    assert len(absences) == 1
    assert len(world.rows("SELECT 1 FROM verified_contacts WHERE household_id = 'h-li'")) == 1
    hands.is_sound(60)


def test_a_grid_worker_takes_a_visit_fills_the_form_in_four_parts_and_closes(
    street: Street, sit: Sit
) -> None:
    world, hands = street.world, sit()
    task = world.task_ids["wang"]
    hands.sign_in("grid", then="/tasks")
    assert "王秀英" not in hands.page.content()
    hands.follow(f"/tasks/{task}", href=f"/tasks/{task}")
    assert "王秀英" not in hands.page.content()
    hands.to(tag="button", action=f"/tasks/{task}/begin")
    hands.send(f"/tasks/{task}")
    hands.page.wait_for_selector("h1:has-text('王秀英')")
    hands.follow(f"/tasks/{task}/visit", href=f"/tasks/{task}/visit")
    hands.choose("place", "inside")
    hands.write("楼长张建国", name="second_person")
    for part, found in (("health", "well"), ("economy", "well"), ("safety", "attention"), ("need", "well")):
        hands.choose(part, found)
    hands.write("楼道灯坏了，已报修", name="safety_note", back=True)
    hands.to(tag="button", action=f"/tasks/{task}/visit")
    hands.send(f"/tasks/{task}*")
    forms = world.rows(
        "SELECT action FROM audit_entries WHERE action LIKE 'visit%%' AND object_id = %s", str(task)
    )
    assert forms, world.rows("SELECT action, object_id FROM audit_entries")
    values = hands.page.eval_on_selector_all(
        "form.outcome [name=outcome]", "all => all.map(one => one.value)"
    )
    hands.press(str(values.index("well") + 1))
    hands.choose("contacted", "saw")
    # Who saw her is missing: the page says so beside the field, the field has the focus, and the rest is still there.
    hands.to(tag="button", action=f"/tasks/{task}/outcome")
    hands.enter(f"/tasks/{task}/outcome")
    assert hands.at()["name"] == "witness" and hands.page.locator("#error-witness").is_visible()
    assert hands.page.is_checked("[name=outcome][value=well]")
    hands.type("对门陈伟")
    hands.to(tag="button", action=f"/tasks/{task}/outcome")
    hands.send("/tasks")
    closed = world.rows("SELECT state, outcome FROM cases WHERE id = %s", world.case_ids["wang"])
    assert closed == [{"state": "closed", "outcome": "well"}]
    # What is done is no longer hers to read.
    hands.begin(f"/tasks/{task}")
    assert "王秀英" not in hands.page.content()


def test_an_outsider_is_refused_at_the_page_of_each_and_finds_the_way_back(street: Street, sit: Sit) -> None:
    world, hands = street.world, sit()
    # Not signed in: a link from somebody's message leads to the sign-in, and after it to a refusal.
    hands.sign_in("clerk-b", path="/family", then="/family")
    assert hands.page.locator("main h1").count() == 1
    hands.follow("/alarms", href="/")
    pages = {
        f"/cases/{world.case_ids['wang']}": 404, "/households/h-wang": 404, "/portfolio": 403, "/police": 403,
        "/police/tickets": 403, "/committee": 403, "/resident": 403, f"/tasks/{world.task_ids['wang']}": 404,
        f"/kiosk/{'x' * 43}": 404, "/audit": 403, "/admin": 403,
    }  # fmt: skip
    for path, status in pages.items():
        answer = hands.page.goto(street.url + path)
        assert answer is not None and answer.status == status, path
        assert hands.main().strip(), path
        for name in NAMES:
            assert name not in hands.page.content(), (path, name)
        if "/kiosk/" not in path:
            hands.ready()
            hands.to(href="/")
    hands.enter("/alarms")
