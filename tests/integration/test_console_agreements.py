"""Acts on the watching itself: one person asks, another agrees; a device on test calls nobody, people are watched as ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = pytest.mark.one_store


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    built.write(
        "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
        " SELECT name || '-2', display_name, password_hash, role, community_id, created_at FROM users"
        " WHERE name IN ('clerk', 'admin')"
    )
    yield built
    built.pool.close()


def _ask(world: World, name: str = "clerk", device: str = "d-h-li", **fields: str) -> int:
    sent = {"device": device, "hours": "2", "reason": "换电池", **fields}
    return int(world.post(world.browser(name), "/devices/tests", **sent).status_code)


def _request(world: World) -> int:
    return int(world.rows("SELECT max(id) AS id FROM agreements")[0]["id"])


def test_a_device_is_on_test_once_a_second_person_agrees_and_its_case_calls_nobody(world: World) -> None:
    clerk, second = world.browser("clerk"), world.browser("clerk-2")
    case = f"case-{world.case_ids['technical']}"
    assert _ask(world) == 303
    request = _request(world)
    assert case in clerk.get("/alarms").text, "asked is not agreed"
    assert world.post(clerk, f"/devices/tests/{request}/agree").status_code == 404, "nobody agrees to her own"
    assert world.post(second, f"/devices/tests/{request}/agree").status_code == 303
    rows = clerk.get("/alarms?fragment=list").text
    assert case not in rows
    for key in ("wang", "zhao", "sun"):
        assert f"case-{world.case_ids[key]}" in rows, "people are watched as ever"
    assert case in clerk.get("/alarms?tab=on_test").text
    assert "测试中，到" in clerk.get("/devices").text
    # It ends by itself.
    world.clock.advance_to(world.clock.now_ms() + 2 * 3_600_000 + 1)
    assert case in clerk.get("/alarms?fragment=list").text
    assert case not in clerk.get("/alarms?tab=on_test&fragment=list").text
    actions = [row["action"] for row in world.rows("SELECT action FROM audit_entries ORDER BY id")]
    assert actions == ["device_test_asked", "device_test_agreed"]


def test_to_watch_again_needs_nobody_and_a_request_can_be_taken_back(world: World) -> None:
    clerk = world.browser("clerk")
    _ask(world)
    assert world.post(clerk, f"/devices/tests/{_request(world)}/refuse").status_code == 303
    assert world.post(world.browser("clerk-2"), f"/devices/tests/{_request(world)}/agree").status_code == 404
    _ask(world)
    world.post(world.browser("admin"), f"/devices/tests/{_request(world)}/agree")
    assert world.post(clerk, f"/devices/tests/{_request(world)}/end").status_code == 303
    assert f"case-{world.case_ids['technical']}" in clerk.get("/alarms?fragment=list").text


def test_what_cannot_be_asked_is_refused_in_words_and_elsewhere_is_not_there(world: World) -> None:
    assert _ask(world, device="d-h-other") == 422
    assert _ask(world, hours="24") == 422
    assert _ask(world, reason="") == 422
    assert _ask(world) == 303
    assert _ask(world) == 422, "a second request for the same device"
    for name in ("clerk-b", "watcher", "police", "family"):
        answer = world.post(world.browser(name), f"/devices/tests/{_request(world)}/agree")
        assert answer.status_code in (403, 404)
    assert world.rows("SELECT state FROM agreements")[0]["state"] == "asked"


def test_a_policy_holds_once_a_second_administrator_agrees_and_is_never_slower_than_mandated(
    world: World,
) -> None:
    admin, second = world.browser("admin"), world.browser("admin-2")

    def ask(*hours: str, policy: str = "mandated", reason: str = "今冬加密") -> int:
        first, middle, third = hours
        return int(
            world.post(
                admin,
                "/admin/policies",
                policy=policy,
                first=first,
                second=middle,
                third=third,
                reason=reason,
            ).status_code
        )

    assert ask("24", "48", "96") == 422
    assert ask("24", "x", "72") == 422
    assert ask("12", "24", "48", reason="") == 422
    assert ask("12", "24", "48") == 303
    request = _request(world)
    assert len(world.rows("SELECT 1 FROM policies")) == 1
    assert world.post(admin, f"/admin/policies/{request}/agree").status_code == 404
    assert world.post(world.browser("clerk"), f"/admin/policies/{request}/agree").status_code == 403
    assert world.post(second, f"/admin/policies/{request}/agree").status_code == 303
    found = world.rows(
        "SELECT version, thresholds_s, valid_from FROM policies ORDER BY version DESC LIMIT 1"
    )[0]
    assert (found["version"], found["thresholds_s"]) == (2, [43_200, 86_400, 172_800])
    assert found["valid_from"] == world.now
    assert "12 / 24 / 48" in admin.get("/admin/policies").text
    assert world.post(second, f"/admin/policies/{request}/agree").status_code == 404, "once"


def test_a_request_does_not_wait_for_ever_and_one_community_asks_nothing_of_the_others(world: World) -> None:
    admin = world.browser("admin")
    world.post(
        admin, "/admin/policies", policy="frail", first="8", second="16", third="24", reason="高龄加密"
    )
    world.wall.advance_to(world.wall.now_ms() + 8 * 86_400_000)
    assert world.post(world.browser("admin-2"), f"/admin/policies/{_request(world)}/agree").status_code == 404
    world.write("UPDATE users SET community_id = 'wenchang' WHERE name = 'admin-2'")
    own = world.browser("admin-2")
    answer = world.post(
        own, "/admin/policies", policy="frail", first="8", second="16", third="24", reason="高龄"
    )
    assert answer.status_code == 403
    assert own.get("/admin/policies").status_code == 200


def test_a_home_is_moved_by_two_people_and_changed_numbers_stand_beside_what_holds_meanwhile(
    world: World,
) -> None:
    clerk, second = world.browser("clerk"), world.browser("clerk-2")
    world.write("INSERT INTO policies (id, version, thresholds_s, ladder, valid_from) VALUES"
                " ('frail', 1, '{28800,57600,86400}', '{}', %s)", world.now)  # fmt: skip

    def ask(**fields: str) -> int:
        sent = {"home": "h-wang", "policy": "frail", "category": "", "reason": "出院回家", **fields}
        return int(world.post(clerk, "/agreements", **sent).status_code)

    def policy_of_wang() -> str:
        return str(world.rows("SELECT policy_id FROM households WHERE id = 'h-wang'")[0]["policy_id"])

    assert [ask(home="h-other"), ask(policy="hasty"), ask(policy="mandated"), ask(reason="")] == [422] * 4
    assert ask() == 303
    request = _request(world)
    assert "mandated → frail" in second.get("/agreements").text
    path = f"/agreements/moves/{request}"
    assert world.post(clerk, f"{path}/agree").status_code == 404, "nobody agrees to her own"
    assert world.post(world.browser("clerk-b"), f"{path}/agree").status_code == 404
    assert world.post(world.browser("family"), f"{path}/agree").status_code == 403
    assert policy_of_wang() == "mandated"
    assert world.post(second, f"{path}/agree").status_code == 303
    assert policy_of_wang() == "frail"
    # Her care category by the same way; what became another one meanwhile is not written over.
    assert ask(policy="", category="高龄独居") == 303
    path = f"/agreements/moves/{_request(world)}"
    world.write("UPDATE persons SET category = 'x' WHERE id = 'p-h-wang'")
    assert world.post(second, f"{path}/agree").status_code == 409
    world.write("UPDATE persons SET category = NULL WHERE id = 'p-h-wang'")
    assert world.post(second, f"{path}/agree").status_code == 303
    assert world.rows("SELECT category FROM persons WHERE id = 'p-h-wang'") == [{"category": "高龄独居"}]
    # Where several live, it is said whose it is; nobody else's may be named.
    world.write(
        "INSERT INTO persons (id, household_id, relation, birth_year) VALUES ('p-two', 'h-wang', 'resident', 1950)"
    )
    several = world.post(clerk, "/agreements", home="h-wang", category="失能", reason="出院回家")
    assert (several.status_code, "p-two" in several.text, "p-son" in several.text) == (422, True, False)
    assert ask(policy="", category="失能", person="p-son") == 422
    assert ask(policy="", category="失能", person="p-two") == 303
    assert "1950" in second.get("/agreements").text
    assert world.post(second, f"/agreements/moves/{_request(world)}/agree").status_code == 303
    assert world.rows("SELECT category FROM persons WHERE id IN ('p-h-wang', 'p-two') ORDER BY id") == [
        {"category": "高龄独居"}, {"category": "失能"},
    ]  # fmt: skip
    world.write("UPDATE persons SET relation = 'family' WHERE household_id = 'h-wang'")
    assert ask(policy="", category="失能") == 422, "nobody lives there"
    actions = [row["action"] for row in world.rows("SELECT action FROM audit_entries ORDER BY id")]
    assert actions == ["household_move_asked", "household_move_agreed"] * 3
    # Changed numbers that do not count yet stand there too, masked, beside what happens meanwhile.
    world.write(
        "UPDATE person_identities SET phone = '13700001111' WHERE person_id IN ('p-h-wang', 'p-h-other')"
    )
    page = clerk.get("/agreements").text
    assert "尚未告知旧号码" in page
    assert "137****1111" in page
    assert "13700001111" not in page
    assert page.count('/told"') == 1  # another community's is not there
    entry = world.rows("SELECT detail FROM audit_entries WHERE action = 'number_changes_read'")[0]["detail"]
    assert entry["households"] == ["h-wang"]


def _changed(world: World, person: str, phone: str) -> int:
    world.write("UPDATE person_identities SET phone = %s WHERE person_id = %s", phone, person)
    rows = world.rows("SELECT id FROM phone_changes WHERE person_id = %s AND NOT settled", person)
    return int(rows[0]["id"])


def test_a_changed_number_counts_by_two_people_and_three_days_and_goes_back_where_nobody_changed_it(
    world: World,
) -> None:
    clerk, second = world.browser("clerk"), world.browser("clerk-2")
    change = _changed(world, "p-h-wang", "13700001111")
    path = f"/agreements/numbers/{change}"

    def post(who: httpx.Client, act: str, **fields: str) -> int:
        return int(world.post(who, f"{path}/{act}", **fields).status_code)

    for name in ("clerk-b", "admin", "family", "watcher", "police", "auditor"):
        for act in ("show", "told", "confirm", "refuse"):
            assert post(world.browser(name), act, how="phoned") in (403, 404), (name, act)
    shown = world.post(clerk, f"{path}/show").text
    assert "13700001111" in shown
    assert "13812341234" in shown
    # Whoever rings her meanwhile is told that somebody else may answer.
    world.write(
        "UPDATE tasks SET kind = 'call', role = 'property_clerk' WHERE id = %s", world.task_ids["wang"]
    )
    assert world.post(clerk, f"/tasks/{world.task_ids['wang']}/take").status_code == 303
    task = f"/tasks/{world.task_ids['wang']}"
    assert "号码有变更" in clerk.get(task).text
    # A voice on it resets nothing, whoever rang; to have seen her does.
    voice = {"outcome": "well", "contacted": "spoke", "witness": "李敏"}
    refused = world.post(clerk, f"{task}/outcome", **voice)
    assert (refused.status_code, 'id="error-contacted"' in refused.text) == (409, True)
    # Nor does it end or hold the case: neither away nor a hospital, nor a wait, nor an absence nobody can vouch for.
    end = {"absence_until": (world.now + timedelta(hours=32)).strftime("%Y-%m-%dT%H:%M")}
    for outcome in ("away", "hospital", "other"):
        said = world.post(clerk, f"{task}/outcome", outcome=outcome, note="电话里说的", **end)
        assert (said.status_code, "电话里说的" in said.text) == (409, True), outcome
    wait = {"reason": "说明天回来", "until": (world.now + timedelta(hours=11)).strftime("%Y-%m-%dT%H:%M")}
    assert world.post(clerk, f"/cases/{world.case_ids['wang']}/hold", **wait).status_code == 409
    absent = {"reason": "travel", "to": end["absence_until"]}
    unsaid = world.post(clerk, "/households/h-wang/absences", **absent)
    assert (unsaid.status_code, 'name="known_by"' in unsaid.text) == (422, True)
    assert world.rows("SELECT 1 FROM absences") == []
    assert world.rows("SELECT 1 FROM verified_contacts") == []
    assert world.post(clerk, "/households/h-wang/absences", **absent, known_by="relative").status_code == 303
    world.write("DELETE FROM absences")
    assert post(clerk, "confirm") == 409, "the old number is told first"
    assert post(clerk, "told", how="<b>") == 422
    assert post(clerk, "told", how="phoned") == 303
    assert [post(clerk, "told", how="phoned"), post(clerk, "confirm")] == [409, 409], "nobody does both"
    assert post(second, "confirm") == 303
    assert post(second, "confirm") == 409
    (row,) = world.rows("SELECT trusted_from, told_how FROM phone_changes WHERE id = %s", change)
    assert row == {"trusted_from": world.now + timedelta(hours=72), "told_how": "phoned"}
    assert world.post(clerk, f"{task}/outcome", **voice).status_code == 409, "confirmed is not three days old"
    # Within the three days she may still say that it is wrong: no number is left, and whoever has none is visited.
    assert post(clerk, "refuse") == 303
    assert world.rows("SELECT phone FROM person_identities WHERE person_id = 'p-h-wang'") == [{"phone": None}]
    # Before anybody confirmed it, the number before comes back and needs nobody's word.
    path = f"/agreements/numbers/{_changed(world, 'p-son', '13700002222')}"
    assert post(clerk, "refuse") == 303
    assert post(second, "refuse") == 409
    assert world.rows("SELECT phone FROM person_identities WHERE person_id = 'p-son'") == [
        {"phone": "13900001111"}
    ]
    assert world.rows("SELECT 1 FROM phone_changes WHERE NOT settled") == []
    trace = world.rows(
        "SELECT actor, action FROM audit_entries WHERE action LIKE 'number_change\\_%%' ORDER BY id"
    )
    mine, hers = (f"user:{world.rows('SELECT id FROM users WHERE name = %s', name)[0]['id']}"
                  for name in ("clerk", "clerk-2"))  # fmt: skip
    assert [(row["actor"], row["action"].removeprefix("number_change_")) for row in trace] == [
        (mine, "shown"), (mine, "told"), (hers, "confirmed"), (mine, "refused"), (mine, "refused"),
    ]  # fmt: skip


@pytest.mark.one_store
def test_where_one_clerk_sits_at_the_desk_committee_or_director_is_the_second_person(world: World) -> None:
    clerk, committee, director = (world.browser(name) for name in ("clerk", "committee", "director"))
    change = _changed(world, "p-h-wang", "13700003333")
    path = f"/second-person/{change}"
    untold = committee.get("/second-person").text
    assert "3-1-1201" in untold and f"{path}/confirm" not in untold
    # Numbers are masked until they are asked for; whose they are is not said at all.
    for secret in ("13700003333", "13812341234", "秀英"):
        assert secret not in untold, secret
    assert world.post(committee, f"{path}/confirm").status_code == 409, "the desk tells the old number first"
    told = world.post(clerk, f"/agreements/numbers/{change}/told", how="phoned")
    assert told.status_code == 303
    assert "<span>1</span>" in committee.get("/committee").text
    shown = world.post(committee, f"{path}/show").text
    assert "tel:13700003333" in shown and f"{path}/confirm" in shown
    assert f"{path}/show" in director.get("/second-person").text
    for name in (
        "clerk",
        "admin",
        "police",
        "supervisor",
        "auditor",
        "family",
        "resident",
        "grid",
        "watcher-b",
    ):
        assert world.post(world.browser(name), f"{path}/confirm").status_code in (403, 404), name
    assert world.post(committee, f"{path}/confirm").status_code == 303
    (row,) = world.rows("SELECT trusted_from, confirmed_by FROM phone_changes WHERE id = %s", change)
    assert row == {
        "trusted_from": world.now + timedelta(hours=72),
        "confirmed_by": world.user_ids["committee"],
    }
    # What is confirmed is the desk's again.
    assert world.post(director, f"{path}/refuse").status_code == 409
    again = _changed(world, "p-h-zhao", "13700004444")
    assert world.post(director, f"/second-person/{again}/refuse").status_code == 303
    assert world.rows("SELECT phone FROM person_identities WHERE person_id = 'p-h-zhao'") == [
        {"phone": "13812341234"}
    ]
    foreign = _changed(world, "p-h-other", "13700005555")
    assert world.post(committee, f"/second-person/{foreign}/refuse").status_code == 404
    assert "3-1-1201" in director.get("/second-person").text, "of all her communities"
    seen = world.rows(
        "SELECT 1 FROM audit_entries WHERE action = 'number_change_shown' AND object_id = 'h-wang'"
    )
    assert len(seen) == 1


def test_whoever_puts_a_door_up_finds_its_line_by_door_or_id_and_a_wrong_id_says_so(world: World) -> None:
    clerk = world.browser("clerk")
    for query in ("D-H-Wang", "3-1-1201"):
        page = clerk.get("/devices", params={"query": f" {query} "}).text
        assert "d-h-wang" in page and "d-h-li" not in page, query
    for unknown in ("d-h-wnag", "%", "d-h-other"):
        page = clerk.get("/devices", params={"query": unknown}).text
        assert "没有找到" in page and "d-h-wang" not in page, unknown
