"""The journeys of those who work here, by keyboard alone: desk, director, committee, installer, police, auditor.

Each from the sign-in page to what they came for, and done; wide and narrow, in Chinese and in English. One console
and one street serve the whole file: each journey is about a home of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from ingest.look_back.reader import Reader
from kaimen.database import connect
from tests.browser.keys import Sit, Street, look, open_street, sit
from tests.fix_database import DatabaseServer
from tests.integration.console_world import World, add_events

__all__ = ["look", "sit"]
QUICK = "2025-1121-quick"


def _furnish(world: World) -> dict[str, str]:
    """What the journeys of this file find: an emergency to review, a test to agree to, looks, and a quick closing."""
    now = world.now
    add_events(world, "d-h-wang", 3, credential="c-h-wang")
    world.write(
        "INSERT INTO service_progress (service, at, turn) VALUES ('ingest', %s, 1)"
        " ON CONFLICT (service) DO UPDATE SET at = excluded.at",
        now,
    )
    world.write(
        "INSERT INTO devices (id, site_id, kind, place, registered_at)"
        " VALUES ('d-new', 'site-wenchang', 'controller', '5-4-0202 户门', %s)",
        now - timedelta(days=2),
    )
    clerk, police = world.browser("clerk"), world.browser("police")
    asked = world.post(clerk, "/devices/tests", device="d-h-sun", hours="1", reason="换电池")
    assert asked.status_code == 303, asked.text
    revealed = world.post(clerk, f"/cases/{world.case_ids['wang']}/reveal", purpose="call_back")
    assert revealed.status_code == 200
    window = {
        "from": f"{now + timedelta(hours=4):%Y-%m-%dT%H:%M}",
        "to": f"{now + timedelta(hours=8):%Y-%m-%dT%H:%M}",
    }
    urgent = world.post(
        police, "/police/look-up", purpose="life_risk", case_number="110-2025-77", basis="emergency",
        door="d-h-zhao", reason="有人呼救", **window,
    )  # fmt: skip
    assert urgent.status_code == 303, urgent.text
    world.write(
        "INSERT INTO cases (number, community_id, household_id, cause, stage, priority, state, opened_at, stage_at,"
        " closed_at, outcome, next_action, policy)"
        " VALUES (%s, 'wenchang', 'h-li', 'inactivity', 2, 2, 'closed', %s, %s, %s, 'well', 'none', '{}')",
        QUICK, now - timedelta(seconds=7), now - timedelta(seconds=7), now,
    )  # fmt: skip
    world.write(
        "INSERT INTO tasks (case_id, household_id, kind, role, state, created_at, start_at, due_at, done_at, done_by,"
        " outcome) SELECT id, household_id, 'call', 'property_clerk', 'done', opened_at, opened_at, opened_at, closed_at,"
        " %s, 'well' FROM cases WHERE number = %s",
        world.user_ids["clerk"], QUICK,
    )  # fmt: skip
    _draw_a_well(world)
    return {}


def _draw_a_well(world: World) -> None:
    """Let the clerk's word of a home be drawn for a second look: two desks, and a share of all."""
    world.write(
        "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
        " SELECT 'second', '周洁', password_hash, role, community_id, created_at FROM users WHERE name = 'clerk'"
    )
    (case,) = world.rows(
        "INSERT INTO cases (number, community_id, household_id, cause, stage, priority, state, opened_at, stage_at,"
        " evidence_at, next_action, next_action_at, policy) SELECT '2025-1121-drawn', 'wenchang', 'h-li', 'inactivity', 2,"
        " 2, 'notified', %s, %s, %s, 'call_due', %s, '{\"reviewed_share\": 2}' RETURNING id",
        world.now, world.now, world.now - timedelta(hours=50), world.now + timedelta(hours=1),
    )  # fmt: skip
    (task,) = world.rows(
        "INSERT INTO tasks (case_id, household_id, kind, role, state, created_at, start_at, due_at)"
        " VALUES (%s, 'h-li', 'call', 'property_clerk', 'open', %s, %s, %s) RETURNING id",
        case["id"], world.now, world.now, world.now + timedelta(hours=1),
    )  # fmt: skip
    clerk = world.browser("clerk")
    said = {"outcome": "well", "contacted": "spoke", "witness": "李四妹本人"}
    answered = world.post(clerk, f"/tasks/{task['id']}/outcome", **said)
    assert answered.status_code == 303, answered.text
    # Whoever recorded it is asked nothing: it is said to her that somebody else is.
    (drawn,) = world.rows("SELECT id, case_id FROM tasks WHERE kind = 'review'")
    own = clerk.get(f"/cases/{drawn['case_id']}").text
    assert ("这是您自己登记的" in own, f"/tasks/{drawn['id']}/outcome" in own) == (True, False)
    claimed = world.post(clerk, f"/cases/{drawn['case_id']}/claim")
    assert (claimed.status_code, "要由另一个人确认" in claimed.text) == (409, True)


@pytest.fixture(scope="module")
def street(
    database_server: DatabaseServer, _database_template: str, look: tuple[int, str]
) -> Iterator[Street]:
    with open_street(database_server, _database_template, look, _furnish) as opened:
        yield opened


def test_a_clerk_takes_a_case_notes_the_call_and_hands_over(street: Street, sit: Sit) -> None:
    world, hands = street.world, sit()
    case, task = world.case_ids["zhao"], world.task_ids["zhao"]
    hands.sign_in("clerk", then="/alarms")
    hands.page.wait_for_selector("body.is-live")
    hands.go_to_row(f"case-{case}")
    claim = f"form[action='/cases/{case}/claim']"
    if street.width > 1080:
        hands.page.wait_for_selector(f".aside {claim}")
    else:
        hands.enter(f"/cases/{case}")
    hands.hear("a")
    hands.page.wait_for_selector("[role=status]")
    assert (
        world.rows("SELECT holder_id FROM cases WHERE id = %s", case)[0]["holder_id"]
        == (world.user_ids["clerk"])
    )
    # The focus is before the case's first control: what comes next is a few keys away.
    hands.stops = 0
    hands.follow(f"/tasks/{task}", href=f"/tasks/{task}")
    assert hands.stops < 40
    assert "赵建国" in hands.page.inner_text("h1")
    outcomes = hands.page.eval_on_selector_all(
        "form.outcome [name=outcome]", "all => all.map(one => one.value)"
    )
    hands.press(str(outcomes.index("no_answer") + 1))
    assert (hands.at()["name"], hands.at()["value"]) == ("outcome", "no_answer") and hands.at()["lit"]
    hands.write("响了很久", name="note", tag="textarea")
    hands.to(tag="button", action=f"/tasks/{task}/outcome")
    hands.send("/tasks")
    done = world.rows("SELECT outcome, note FROM tasks WHERE id = %s", task)
    assert done == [{"outcome": "no_answer", "note": "响了很久"}]
    hands.follow("/alarms", href="/alarms")
    hands.go_to_row(f"case-{case}")
    hands.enter(f"/cases/{case}")
    hands.open(f"/cases/{case}/hand-over")
    hands.pick("to_role", "grid_worker")
    hands.write("打了两次没人接", name="note", action="/hand-over")
    hands.to(tag="button", action="/hand-over")
    hands.send("*")
    handed = world.rows("SELECT role FROM tasks WHERE case_id = %s AND role = 'grid_worker'", case)
    assert len(handed) == 1
    hands.leave()


def test_another_clerk_calls_again_where_a_well_was_drawn(street: Street, sit: Sit) -> None:
    world, hands = street.world, sit()
    (task,) = world.rows("SELECT id FROM tasks WHERE kind = 'review'")
    hands.sign_in("second", then="/alarms")
    hands.menu()
    hands.follow("/tasks", href="/tasks")
    hands.go_to_row(f"task-{task['id']}")
    hands.enter(f"/tasks/{task['id']}")
    # Whose word it was, how it was heard and by whom; with the task come her name and her number.
    assert "clerk display" in hands.main() and "李四妹本人" in hands.main()
    hands.to(tag="button", action=f"/tasks/{task['id']}/take")
    hands.send(f"/tasks/{task['id']}")
    hands.to(href="tel:13812341234")
    hands.is_sound()
    hands.choose("outcome", "doubted")
    hands.write("本人说今天没有接过电话", name="note", tag="textarea")
    hands.to(tag="button", action=f"/tasks/{task['id']}/outcome")
    hands.send("/tasks")
    taken_back = world.rows("SELECT doubted_by FROM verified_contacts WHERE household_id = 'h-li'")
    (second,) = world.rows("SELECT id FROM users WHERE name = 'second'")
    assert taken_back == [{"doubted_by": f"user:{second['id']}"}]
    hands.leave()


def test_a_director_compares_her_communities_and_asks_for_a_report(street: Street, sit: Sit) -> None:
    hands = sit()
    hands.sign_in("director", then="/portfolio")
    hands.is_sound()
    numbers = hands.main()
    assert "文昌花园" in numbers and "滨河苑" in numbers
    for private in ("秀英", "3-1-1201"):
        assert private not in hands.page.content()
    hands.follow("/look-back", href="/look-back")
    hands.stops = 0
    hands.skip()
    hands.choose("purpose", "report")
    assert hands.stops < 4  # days, purpose: nobody walks through the navigation
    for name, hours in (("warning", "20"), ("call", "40"), ("visit", "60")):
        hands.write(hours, name=name)
    hands.to(tag="button", action="/look-back")
    hands.enter("/look-back?asked=*")
    with connect(street.world.url, service="test", autocommit=True) as connection:
        assert Reader(street.world.url).answer_all(connection) == 1
    hands.page.wait_for_selector(".backtest-chart")
    hands.ready()
    assert "20 · 40 · 60" in hands.main()
    # The drawing is wider than a phone: by keyboard it is reached, and scrolls.
    hands.to(tag="div")


def test_the_committee_reads_the_numbers_of_its_grids(street: Street, sit: Sit) -> None:
    hands = sit()
    hands.sign_in("committee", then="/committee")
    hands.is_sound()
    told = hands.main()
    assert {"zh": "少于 300 户", "en": "fewer than 300"}[street.language] in told
    for private in ("秀英", "3-1-1201", "滨河苑"):
        assert private not in hands.page.content()


def test_an_installer_finds_a_silent_door_asks_for_a_test_and_hears_it(street: Street, sit: Sit) -> None:
    world, hands = street.world, sit()
    hands.sign_in("admin", then="/admin")
    hands.menu()
    hands.follow("/devices", href="/devices")
    hands.follow("/devices?only=troubled", href="/devices?only=troubled")
    row = hands.page.locator("tr:has-text('d-new')")
    assert row.count() == 1
    hands.follow("/devices/tests?device=d-new", href="/devices/tests?device=d-new")
    assert hands.page.input_value("[name=device]") == "d-new"
    # What the desk asked for yesterday waits for a second person: that is her.
    (waiting,) = world.rows("SELECT id FROM agreements WHERE device_id = 'd-h-sun'")
    hands.to(tag="button", action=f"/devices/tests/{waiting['id']}/agree")
    hands.send("/devices/tests")
    agreed = world.rows("SELECT state, decided_by FROM agreements WHERE id = %s", waiting["id"])
    assert agreed == [{"state": "agreed", "decided_by": world.user_ids["admin"]}]
    hands.write("d-new", name="device")
    hands.pick("hours", "2")
    hands.write("新装门磁试听", name="reason")
    hands.to(tag="button", action="/devices/tests")
    hands.send("/devices/tests")
    assert len(world.rows("SELECT 1 FROM agreements WHERE device_id = 'd-new' AND state = 'asked'")) == 1
    # The door speaks: it leaves the list of those that nobody hears.
    world.write("INSERT INTO device_commissionings (device_id, heard_at) VALUES ('d-new', %s)", world.now)
    hands.follow("/devices", href="/devices")
    hands.follow("/devices?only=troubled", href="/devices?only=troubled")
    assert hands.page.locator("tr:has-text('d-new')").count() == 0


def test_an_officer_asks_a_supervisor_agrees_and_the_officer_takes_the_sealed_export(
    street: Street, sit: Sit
) -> None:
    officer, supervisor = sit(), sit()
    officer.sign_in("police", then="/police")
    assert "王秀英" in officer.main() and "孙" not in officer.page.inner_text("main .rows")
    officer.follow("/police/look-up", href="/police/look-up")
    # Sent too early: what is missing is said beside its field, and the first of them has the focus.
    officer.to(tag="button", action="/police/look-up")
    officer.enter("/police/look-up")
    assert officer.at()["name"] == "purpose", officer.at()
    officer.press("Shift+Tab")
    officer.choose("purpose", "missing_person")
    officer.write("京公(2025)1121号", name="case_number")
    officer.pick("basis", "case_file")
    officer.pick("door", "d-h-wang")
    officer.write("王秀英", name="subject")
    officer.to(tag="button", action="/police/look-up")
    officer.enter("/police/tickets/*")
    ticket = officer.page.url.rpartition("/")[2]

    supervisor.sign_in("supervisor", then="/police/tickets")
    supervisor.follow(f"/police/tickets/{ticket}", href=f"/police/tickets/{ticket}")
    supervisor.write("核实过案卷和家属的报案", name="reason")
    supervisor.to(tag="button", value="grant")
    supervisor.send("*")

    officer.follow("/police/tickets", href="/police/tickets")
    officer.follow(f"/police/tickets/{ticket}", href=f"/police/tickets/{ticket}")
    officer.follow(f"/police/look-up?ticket={ticket}", href=f"/police/look-up?ticket={ticket}")
    assert officer.page.locator(".watermark tbody tr").count() == 3
    officer.to(tag="button", action=f"/police/tickets/{ticket}/export")
    with officer.page.expect_download() as taken:
        officer.press("Enter")
    assert taken.value.suggested_filename == f"kaimen-L-{ticket}.zip"
    officer.leave()


def test_a_supervisor_judges_an_emergency_afterwards(street: Street, sit: Sit) -> None:
    world, hands = street.world, sit()
    (urgent,) = world.rows("SELECT id FROM look_up_tickets WHERE basis = 'emergency'")
    hands.sign_in("supervisor", then="/police/tickets")
    hands.follow(f"/police/tickets/{urgent['id']}", href=f"/police/tickets/{urgent['id']}")
    hands.to(tag="button", value="justified")
    hands.enter("*")
    assert hands.at()["name"] == "reason", hands.at()  # a judgement without a ground is none
    hands.type("救护记录与查询时间相符")
    hands.to(tag="button", value="justified")
    hands.send("*")
    judged = world.rows("SELECT review FROM look_up_tickets WHERE id = %s", urgent["id"])
    assert judged == [{"review": "justified"}]


def test_an_auditor_sees_the_chain_whole_a_closing_too_quick_and_judges_a_look(
    street: Street, sit: Sit
) -> None:
    world, hands = street.world, sit()
    (look_id,) = world.rows("SELECT id FROM audit_entries WHERE action = 'name_revealed' ORDER BY id LIMIT 1")
    hands.sign_in("auditor", then="/audit")
    whole = {"zh": "链完整", "en": "chain intact"}[street.language]
    assert whole in hands.page.inner_text("#chain")
    assert QUICK in hands.main()
    hands.follow("/audit*", tag="button", action="/audit")
    assert whole in hands.page.inner_text("#chain")
    hands.write("案卷和时间相符", name="reason", action=f"/audit/{look_id['id']}/mark")
    hands.to(tag="button", value="justified")
    hands.send("/audit*")
    assert "案卷和时间相符" in hands.main()


def test_a_clerk_corrects_a_home_and_gives_out_a_card(street: Street, sit: Sit) -> None:
    world, hands = street.world, sit()
    hands.sign_in("clerk", then="/alarms")
    books = "/households/h-sun/books"
    hands.begin(books)
    hands.skip()
    hands.write("7", name="grid", action=f"{books}/home")
    hands.to(tag="button", action=f"{books}/home")
    hands.send(books)
    assert world.rows("SELECT grid FROM households WHERE id = 'h-sun'")[0]["grid"].endswith("7")
    hands.open(f"{books}/cards")
    hands.write("04 AB", name="card")
    hands.enter(f"{books}/cards")
    # The error takes the focus to the field, which is empty again: a number stands on no page.
    hands.page.wait_for_function("() => document.activeElement?.name === 'card'")
    assert hands.at()["value"] == ""
    hands.is_sound()
    hands.type("c_abcdefgh234567aa")
    hands.enter(books)
    hands.page.wait_for_selector("[role=status]")
    assert hands.at(), "the focus was lost"
    assert world.rows("SELECT person_id FROM credentials WHERE token = 'c_abcdefgh234567aa'") == [
        {"person_id": "p-h-sun"}
    ]
