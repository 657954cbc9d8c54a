"""Directors, committees, residents and hall terminals: what each is shown and may do, and who is refused beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from edge.credentials import token_of
from kaimen.clock import ManualClock
from tests.integration.console_world import ROLES, World, add_events, build_world

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.one_store]


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def kiosk_of(world: World, place: str = "3 栋大堂") -> str:
    """Register a terminal as the administrator does and return its path."""
    answer = world.post(world.browser("admin"), "/admin/kiosks", place=place, community="wenchang")
    found = re.search(r"/kiosk/[\w-]{43}", answer.text)
    assert answer.status_code == 200 and found
    return found[0]


def press(client: httpx.Client, path: str, step: str, **fields: str) -> httpx.Response:
    page = client.get(f"{path}/{step}")
    csrf = re.search(r'name="csrf" value="(\w+)"', page.text)
    assert csrf, page.text[:500]
    return client.post(f"{path}/{step}", data={"csrf": csrf[1], **fields})


def code_of(world: World, who: str = "resident") -> str:
    answer = world.post(world.browser(who), "/resident/code")
    found = re.search(r'class="code">(\d{8})<', answer.text)
    assert answer.status_code == 200 and found
    return found[1]


def words_of(world: World) -> list[dict[str, object]]:
    return world.rows("SELECT household_id, how, witness FROM verified_contacts ORDER BY id")


# --- Directors, the desk of several communities, the committee ---------------------------------------------------


def test_a_director_sees_all_her_communities_in_numbers_and_nobody_in_them(world: World) -> None:
    page = world.browser("director").get("/portfolio").text
    assert "文昌花园" in page and "滨河苑" in page
    for word in ("王", "秀英", "3-1-1201", "h-wang", "13812341234"):
        assert word not in page, word
    # What it costs: minutes from taking a task up to its result, at her own rate, which is kept nowhere.
    world.write(
        "UPDATE tasks SET state = 'done', claimed_at = %s, done_at = %s WHERE id = %s",
        world.now - timedelta(minutes=90), world.now, world.task_ids["zhao"],
    )  # fmt: skip
    costs = world.browser("director").get("/portfolio?rate=40").text
    assert "1.5 小时" in costs and "约 60 元" in costs
    for wrong in ("viel", "-1", "nan", "1e99"):
        refused = world.browser("director").get("/portfolio", params={"rate": wrong})
        assert (refused.status_code, "请填 0 到" in refused.text) == (422, True), wrong
    world.write("DELETE FROM user_communities WHERE community_id = 'binhe'")
    assert "滨河苑" not in world.browser("director").get("/portfolio").text
    for path in ("/alarms", "/households/h-wang", f"/cases/{world.case_ids['wang']}", "/looked"):
        assert world.browser("director").get(path).status_code in (403, 404), path
    assert world.browser("director").get(f"/api/cases/{world.case_ids['wang']}").status_code in (403, 404)


def body(page: str) -> str:
    found = re.search(r"<tbody>.*?</tbody>", page, flags=re.S)
    assert found
    return found[0]


@pytest.mark.parametrize(("who", "path"), [("director", "/portfolio"), ("committee", "/committee")])
def test_no_number_tells_that_somebody_went_away(world: World, who: str, path: str) -> None:
    before = body(world.browser(who).get(path).text)
    for household in ("h-wang", "h-li"):  # one that is seen, one that is not
        world.write(
            "UPDATE household_states SET absent_until = %s WHERE household_id = %s",
            world.now + timedelta(days=3), household,
        )  # fmt: skip
        assert body(world.browser(who).get(path).text) == before, household


def test_the_committee_sees_its_own_grids_and_no_door(world: World) -> None:
    world.write("UPDATE households SET grid = '9' WHERE id = 'h-other'")
    world.write("UPDATE persons SET category = 'living_alone' WHERE household_id IN ('h-sun', 'h-li')")
    world.write("UPDATE consents SET withdrawn_at = %s WHERE household_id = 'h-sun'", world.now)
    world.write("DELETE FROM consents WHERE household_id = 'h-li'")
    page = world.browser("committee").get("/committee").text
    table = body(page)
    assert "第 4 网格" in table or "4" in table
    assert "少于 300 户" in table and "缺 1 户" in table and "撤回 1 户" in table
    assert "第 9 网格" not in table and "3-1-1201" not in page and "秀英" not in page
    for path in ("/portfolio", "/households", "/access-log", "/households/h-wang/consents"):
        assert world.browser("committee").get(path).status_code == 403, path


def test_a_clerk_of_two_communities_works_for_one_at_a_time_and_says_so(world: World) -> None:
    clerk = world.browser("clerk")
    assert world.post(clerk, "/place", community="binhe").status_code == 404
    world.write("INSERT INTO user_communities VALUES (%s, 'binhe')", world.user_ids["clerk"])
    assert "当前小区" in clerk.get("/alarms").text
    assert clerk.get("/households/h-other").status_code == 404
    assert world.post(clerk, "/place", community="binhe").status_code == 303
    assert clerk.get("/households/h-other").status_code == 200
    assert clerk.get("/households/h-wang").status_code == 404
    # Another browser of hers stays where it was, and what is taken away is gone at once.
    assert world.browser("clerk").get("/households/h-wang").status_code == 200
    world.write("DELETE FROM user_communities WHERE user_id = %s", world.user_ids["clerk"])
    assert clerk.get("/households/h-other").status_code == 404
    assert world.post(world.browser("family"), "/place", community="binhe").status_code == 404
    assert len(world.rows("SELECT 1 FROM audit_entries WHERE action = 'place_chosen'")) == 1


# --- Residents ---------------------------------------------------------------------------------------------------

FORMS = {
    "/resident/well": {},
    "/resident/away": {"reason": "travel", "to": "2099-01-01T12:00"},
    "/resident/away/1/end": {},
    "/resident/code": {},
    "/resident/passes": {"lasts": "day"},
    "/resident/cards/0000000000000000/lost": {},
    "/resident/cards/0000000000000000/end": {},
    "/resident/consents/watch/withdraw": {},
    "/resident/consents/watch/give": {},
    "/resident/relatives/1/block": {},
    "/resident/relatives/1/unblock": {},
    "/resident/export": {},
    "/resident/ask-deletion": {},
    "/resident/ask-correction": {},
}


def test_a_residents_forms_are_for_residents_alone(world: World) -> None:
    for name in ROLES:
        if ROLES[name][0] == "resident":
            continue
        client = world.browser(name)
        for path, fields in FORMS.items():
            assert world.post(client, path, **fields).status_code == 403, (name, path)
        if name not in ("clerk", "clerk-b"):
            assert world.post(client, "/desk-notes/1/done", result="called").status_code == 403, name
        if name != "admin":
            assert world.post(client, "/admin/kiosks", place="x", community="binhe").status_code == 403, name
            assert world.post(client, "/admin/kiosks/1/revoke").status_code == 403, name
    assert words_of(world) == []


def test_a_resident_sees_her_own_home_and_no_other(world: World) -> None:
    page = world.browser("resident").get("/resident").text
    assert "三天以上没有开过" in page and "要有人上门看您" in page and "3 栋 1 单元 1201" in page
    client = world.browser("resident")
    assert client.get("/api/households/h-zhao").status_code == 404
    for path in ("/households/h-wang", "/alarms", "/family", f"/cases/{world.case_ids['wang']}"):
        assert client.get(path).status_code in (403, 404), path


def test_a_door_that_is_heard_and_not_believed_is_not_called_silent_to_her_or_her_family(
    world: World,
) -> None:
    for in_fault, said in ((True, "有信号"), (False, "没有回音")):
        world.write(
            "UPDATE household_states SET stage = 0, known = false, in_fault = %s WHERE household_id = 'h-wang'",
            in_fault,
        )
        for who in ("resident", "family"):
            page = world.browser(who).get(f"/{who}").text
            assert said in page and ("没有回音" in page) is not in_fault, who


def test_her_own_word_counts_and_not_often_in_succession(world: World) -> None:
    client = world.browser("resident")
    answers = [world.post(client, "/resident/well") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 409]
    assert "让人听到您的声音" in answers[-1].text and "远程" not in answers[-1].text
    rows = words_of(world)
    assert [(row["household_id"], row["how"]) for row in rows] == [("h-wang", "button")] * 2
    assert world.rows("SELECT 1 FROM audit_entries WHERE action = 'resident_well' AND object_id = 'h-wang'")


@pytest.mark.one_store
def test_she_reads_what_was_written_down_of_her_own_door(world: World) -> None:
    assert "没有记下开门" in world.browser("resident").get("/resident").text
    add_events(world, "d-h-wang", 3, credential="c-h-wang")
    page = world.browser("resident").get("/resident").text
    assert "最后的 3 次" in page and page.count("<small>本人卡</small>") == 3
    assert "没有记下开门" in world.browser("resident-b").get("/resident").text, "another home's"
    # Whose card it was is not told to one of several who live there.
    world.write(
        "INSERT INTO persons (id, household_id, relation, category) VALUES ('p-second', 'h-wang', 'resident', '老年人')"
    )
    page = world.browser("resident").get("/resident").text
    assert "本人卡" not in page and page.count("<small>门磁</small>") == 3
    world.write("UPDATE consents SET withdrawn_at = %s WHERE purpose = 'watch'", world.now)
    assert "系统记下的开门" not in world.browser("resident").get("/resident").text


def test_she_declares_and_ends_her_absence_and_nobody_elses(world: World) -> None:
    client = world.browser("resident")
    until = f"{world.now + timedelta(days=3, hours=8):%Y-%m-%dT%H:%M}"
    assert world.post(client, "/resident/away", reason="travel", to="").status_code == 422
    assert world.post(client, "/resident/away", reason="travel", to=until).status_code == 303
    (absence,) = world.rows("SELECT id FROM absences WHERE household_id = 'h-wang'")
    path = f"/resident/away/{absence['id']}/end"
    assert world.post(world.browser("resident-b"), path).status_code == 404
    assert "报备的人" not in client.get("/resident").text
    assert world.post(client, path).status_code == 303
    assert world.post(client, path).status_code == 404


@pytest.mark.one_store
@pytest.mark.parametrize(("who", "by"), [("family", "family display"), ("clerk", "物业或社区")])
def test_she_reads_who_declared_her_away_and_ends_what_has_begun(world: World, who: str, by: str) -> None:
    until = f"{world.now + timedelta(days=3, hours=8):%Y-%m-%dT%H:%M}"
    path = "/family/h-wang/away" if who == "family" else "/households/h-wang/absences"
    assert world.post(world.browser(who), path, reason="travel", to=until).status_code == 303
    page = world.browser("resident").get("/resident").text
    assert f"报备的人：{by}" in page and "clerk display" not in page
    # What has begun is ended, though the detector has not heard of it yet.
    assert "我回来了" in page and "我不去了" not in page
    assert "妈妈回来了" in world.browser("family").get("/family").text


def test_a_lost_card_counts_no_more_until_the_desk_has_it_back(world: World) -> None:
    client = world.browser("resident")
    found = re.search(r"/resident/cards/[0-9a-f]{16}", client.get("/resident/cards").text)
    assert found
    assert world.post(world.browser("resident-b"), f"{found[0]}/lost").status_code == 404
    assert world.post(client, f"{found[0]}/lost").status_code == 303
    (card,) = world.rows("SELECT valid_to, lost_at FROM credentials WHERE token = 'c-h-wang'")
    assert card["valid_to"] == card["lost_at"] == world.now
    clerk = world.browser("clerk")
    page = clerk.get("/desk-notes").text
    form = re.search(r"/desk-notes/(\d+)/done", page)
    assert form and "门卡报失" in page
    assert world.post(world.browser("clerk-b"), form[0], result="found").status_code == 404
    assert world.post(clerk, form[0], result="called").status_code == 404, "another kind's result"
    assert world.post(clerk, form[0], result="nonsense").status_code == 422
    assert world.post(clerk, form[0], result="found").status_code == 303
    (card,) = world.rows("SELECT valid_to, lost_at FROM credentials WHERE token = 'c-h-wang'")
    assert card == {"valid_to": None, "lost_at": None}


def test_a_pass_is_shown_once_is_a_visitors_and_can_be_taken_back(world: World) -> None:
    client = world.browser("resident")
    answer = world.post(client, "/resident/passes", lasts="day")
    shown = re.search(r'class="code">(\w+)<', answer.text)
    assert answer.status_code == 200 and shown and "<svg" in answer.text
    (row,) = world.rows("SELECT * FROM credentials WHERE issued_at IS NOT NULL")
    assert (row["class"], row["household_id"], row["valid_to"]) == (
        "visitor",
        "h-wang",
        world.now + timedelta(days=1),
    )
    page = client.get("/resident/cards").text
    assert shown[1] not in page
    assert world.post(client, "/resident/passes", lasts="year").status_code == 422
    codes = [world.post(client, "/resident/passes", lasts="day").status_code for _ in range(10)]
    assert codes == [200] * 9 + [409]
    end = re.search(r"/resident/cards/[0-9a-f]{16}/end", page)
    assert end
    assert world.post(world.browser("resident-b"), end[0]).status_code == 404
    assert world.post(client, end[0]).status_code == 303
    assert world.post(client, end[0]).status_code == 404


def test_with_the_edges_key_a_pass_is_a_number_and_a_card_is_known_at_the_terminal(world: World) -> None:
    services = world.app.state.services
    keyed = services.settings.model_copy(update={"edge_credential_key": SecretStr("k")})
    world.app.state.services = replace(services, settings=keyed)
    answer = world.post(world.browser("resident"), "/resident/passes", lasts="hours2")
    shown = re.search(r'class="code">(\d{8})<', answer.text)
    assert shown
    (row,) = world.rows("SELECT token FROM credentials WHERE issued_at IS NOT NULL")
    assert row["token"] == token_of("k", "site-wenchang", shown[1]), "what the edge makes of the number"
    world.write(
        "INSERT INTO credentials (token, class, household_id) VALUES (%s, 'resident', 'h-sun')",
        token_of("k", "site-wenchang", "04a1b2"),
    )
    path, hall = kiosk_of(world), world.browser()
    assert press(hall, path, "well", code=shown[1]).status_code == 422, "a visitor is not the resident"
    assert press(hall, path, "well", code="04A1B2").status_code == 303
    assert [row["household_id"] for row in words_of(world)] == ["h-sun"]


def test_she_withdraws_and_gives_a_consent_herself(world: World) -> None:
    client = world.browser("resident")
    assert world.post(client, "/resident/consents/watch/withdraw").status_code == 303
    standing = (
        "SELECT given_by FROM consents WHERE household_id = %s AND purpose = 'watch' AND withdrawn_at IS NULL"
    )
    assert world.rows(standing, "h-wang") == []
    assert "没有人在留意" in client.get("/resident").text
    assert world.post(client, "/resident/well").status_code == 404
    assert world.post(client, "/resident/consents/watch/give").status_code == 303
    assert world.rows(standing, "h-wang") == [{"given_by": "resident"}]
    assert world.rows(standing, "h-other"), "nobody else's"
    assert world.post(client, "/resident/consents/selling/give").status_code == 404


def test_a_blocked_relative_sees_nothing_of_the_real_day_and_is_not_told(world: World) -> None:
    relative, resident = world.browser("family"), world.browser("resident")
    seen = relative.get("/family").text
    api = f"/api/cases/{world.case_ids['wang']}"
    assert "三天" in seen and relative.get(api).status_code == 200
    path = f"/resident/relatives/{world.user_ids['family']}/block"
    assert world.post(world.browser("resident-b"), path).status_code == 404
    assert world.post(resident, path).status_code == 303
    quiet = relative.get("/family").text
    assert (
        "三天" not in quiet and "没有人在留意" not in quiet
    )  # test_rights_seen compares it with a quiet day's
    assert relative.get("/api/households/h-wang").json()["stage"] in ("normal", None)
    assert relative.get(api).status_code in (403, 404)
    # His word is nobody's word now, and no answer tells him so.
    assert world.post(relative, "/family/h-wang/spoke", contacted="saw").status_code == 303
    assert words_of(world) == []
    assert world.post(resident, path.replace("/block", "/unblock")).status_code == 303
    again = relative.get("/family").text
    assert "三天" in again
    for word in ("更改了告诉谁", "屏蔽"):
        assert word not in again


def test_she_reads_who_looked_by_role_and_not_what_she_did_herself(world: World) -> None:
    world.browser("clerk").get("/households/h-wang")
    resident = world.browser("resident")
    world.post(resident, "/resident/well")
    page = resident.get("/resident/looked").text
    assert "物业" in page and "clerk display" not in page and "居民按了" not in page
    assert "物业" not in body_of(world.browser("resident-b").get("/resident/looked").text)


def body_of(page: str) -> str:
    return page.partition("<main")[2].partition("</main>")[0]


# --- Terminals ---------------------------------------------------------------------------------------------------


def test_a_terminal_takes_her_word_with_a_code_or_her_card_and_shows_nothing(world: World) -> None:
    path, code = kiosk_of(world), code_of(world)
    hall = world.browser()
    for shown in (code, f" {code[:4]} {code[4:]} ", "c-h-sun"):
        answer = press(hall, path, "well", code=shown)
        assert answer.status_code == 303 and answer.headers["location"].startswith(f"{path}/taken")
        page = hall.get(answer.headers["location"]).text
        for word in ("王", "孙", "1201", "0601", "h-wang", code):
            assert word not in body_of(page), word
        assert 'http-equiv="refresh" content="20; url=' in page and 'data-forget-s="20"' in page
    assert [row["household_id"] for row in words_of(world)] == ["h-wang", "h-wang", "h-sun"]
    # The third in a row is no word any more; the terminal says only that somebody will ring.
    answer = press(hall, path, "well", code=code)
    assert answer.headers["location"].startswith(f"{path}/noted")
    (note,) = world.rows("SELECT kind, household_id, said FROM desk_notes")
    assert note == {"kind": "call_back", "household_id": "h-wang", "said": "well"}


def test_away_at_the_terminal_is_an_absence_and_a_second_one_a_note(world: World) -> None:
    path, code, hall = kiosk_of(world), code_of(world), world.browser()
    assert press(hall, path, "away", code=code).status_code == 422
    assert press(hall, path, "away", code=code, days="3").headers["location"].startswith(f"{path}/taken")
    (row,) = world.rows("SELECT household_id, from_at, to_at, declared_by FROM absences")
    assert row["household_id"] == "h-wang" and row["to_at"] - row["from_at"] == timedelta(days=3)
    assert press(hall, path, "away", code=code, days="7").headers["location"].startswith(f"{path}/noted")


def test_without_a_code_it_is_only_a_note_for_a_call_back(world: World) -> None:
    path, hall = kiosk_of(world), world.browser()
    answer = press(hall, path, "well", code="12345678", door="9-2-0303")
    assert answer.status_code == 422 and "12345678" not in answer.text and "9-2-0303" not in answer.text
    assert press(hall, path, "well", way="note", door=" ").status_code == 422
    for _ in range(2):  # asked for twice, noted once
        answer = press(hall, path, "well", way="note", door="9-2-0303")
        assert answer.headers["location"].startswith(f"{path}/noted")
    assert words_of(world) == [] and world.rows("SELECT 1 FROM absences") == []
    (note,) = world.rows("SELECT household_id, door, said FROM desk_notes")
    assert note == {"household_id": None, "door": "9-2-0303", "said": "well"}
    assert "未核实" in world.browser("clerk").get("/desk-notes").text


def test_codes_and_cards_of_elsewhere_lost_or_replaced_are_not_known(world: World) -> None:
    path, hall = kiosk_of(world), world.browser()
    elsewhere, old = code_of(world, "resident-b"), code_of(world)
    new = code_of(world)
    world.write("UPDATE credentials SET lost_at = %s WHERE token = 'c-h-sun'", world.now)
    world.write("UPDATE credentials SET valid_to = %s WHERE token = 'c-h-zhao'", world.now)
    for typed in (elsewhere, old, "c-h-sun", "c-h-zhao", "c-h-other", "%", "h-wang"):
        assert press(hall, path, "well", code=typed).status_code == 422, typed
    assert words_of(world) == []
    assert press(hall, path, "well", code=new).status_code == 303


def test_guessing_stops_a_terminal_for_a_while_and_nothing_is_taken(world: World) -> None:
    path, code, hall = kiosk_of(world), code_of(world), world.browser()
    world.write(
        "INSERT INTO duty_lines VALUES ('wenchang', '0571-8800 1234', '24 小时', %s, 'test')", world.now
    )
    wrong = [press(hall, path, "well", code=f"{number:08}").status_code for number in range(11)]
    assert wrong == [422] * 10 + [429]
    stopped = press(hall, path, "well", code=code)
    assert stopped.status_code == 429 and "0571-8800 1234" in stopped.text, "who waits here can still ring"
    assert "0571-8800 1234" in hall.get(f"{path}/noted").text
    assert words_of(world) == []
    other = kiosk_of(world, "7 栋大堂")
    assert press(hall, other, "well", code=code).status_code == 303, "another terminal is not stopped"
    world.wall.advance_to(world.wall.now_ms() + 11 * 60_000)
    assert press(hall, path, "well", code=code).status_code == 303


def test_a_revoked_or_unknown_terminal_is_gone_and_so_is_a_foreign_form(world: World) -> None:
    path, hall = kiosk_of(world), world.browser()
    page = hall.get(f"{path}/well").text
    assert hall.post(f"{path}/well", data={"csrf": "0" * 64, "code": "1"}).status_code == 404
    answer = hall.post(f"{path}/well", data={"code": "1"}, headers={"origin": "https://evil.test"})
    assert answer.status_code == 403 and "报个平安" not in page
    admin = world.browser("admin")
    assert "/kiosk/" not in body_of(admin.get("/admin/kiosks").text), "its address is said once"
    revoke = re.search(r"/admin/kiosks/\d+/revoke", admin.get("/admin/kiosks").text)
    assert revoke
    assert world.post(admin, revoke[0]).status_code == 303
    assert world.post(admin, revoke[0]).status_code == 404
    assert hall.get(path).status_code == 404
    assert hall.get("/kiosk/" + "x" * 43).status_code == 404


def test_buildings_stand_on_the_map_where_the_books_place_them_and_one_is_drawn_alone(world: World) -> None:
    clerk = world.browser("clerk")
    assert "还没有楼栋位置" in clerk.get("/buildings").text
    world.write("INSERT INTO buildings (site_id, name, x_m, y_m) VALUES ('site-wenchang', '3', 0, 0)")
    world.write("INSERT INTO buildings (site_id, name, x_m, y_m) VALUES ('site-binhe', '3', 900, 900)")
    page = clerk.get("/buildings").text
    assert page.count("mp-building") == 1
    assert 'href="/buildings?building=3"' in page
    one = clerk.get("/buildings?building=7").text
    assert (one.count('id="b-7"'), one.count('id="b-3"')) == (1, 0)
    assert clerk.get("/buildings?home=h-wang").text.count('id="b-3"') == 1
    for path in ("/buildings?building=99", "/buildings?home=h-other"):
        assert clerk.get(path).status_code == 404
    assert world.browser("watcher").get("/buildings").status_code == 403
