"""The desk enters and corrects a home's books by forms: what is written, what is refused, and that it leaves a trace."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from console.cli import main
from console.residents import handle_of
from console.words import load_catalogue
from edge.credentials import token_of
from kaimen.clock import ManualClock, SystemClock, as_datetime
from tests.integration.console_world import World, add_events, build_world
from tests.workbooks import row, write

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.one_store]
WANG = "/households/h-wang/books"
NEW = {
    "building": "9", "unit": "2", "floor": "5", "room": "501", "tenure": "owner", "name": "赵桂兰", "birth_year": "1943",
    "phone": "13512349876", "hearing": "yes", "language": "zh",
}  # fmt: skip


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def zh(word: str) -> str:
    return load_catalogue("zh")[word][0]


def hidden(client: httpx.Client, path: str, action: str, name: str) -> str:
    """What a form of a page carries that nobody types."""
    form = client.get(path).text.split(f'action="{action}"', 1)[1].split("</form>", 1)[0]
    found = re.search(rf'name="{name}" value="([^"]*)"', form)
    assert found is not None, (action, name)
    return found.group(1)


def test_a_home_is_registered_with_who_lives_there_and_is_led_to_what_is_missing(world: World) -> None:
    clerk = world.browser("clerk")
    fresh = hidden(clerk, "/households/new", "/households/new", "id")
    sheet = clerk.get("/households/new/books.xlsx")
    assert sheet.content.startswith(b"PK") and "books.xlsx" in sheet.headers["content-disposition"]
    assert "/households/new/books.xlsx" in clerk.get("/households/new").text
    wrong = world.post(
        clerk, "/households/new", **NEW | {"id": fresh, "floor": "five", "name": " ", "phone": "1.38E+10"}
    )
    assert wrong.status_code == 422
    assert {"error-floor", "error-phone"} <= set(re.findall(r'id="(error-\w+)"', wrong.text))
    assert 'value="501"' in wrong.text, "what was typed stays"
    for _ in range(2):  # a double tap is one home
        done = world.post(clerk, "/households/new", **NEW | {"id": fresh})
        assert done.headers["location"] == f"/households/{fresh}/books"
    home = world.rows("SELECT label, floor, watched_from FROM households WHERE id = %s", fresh)
    assert home == [{"label": "9-2-501", "floor": 5, "watched_from": None}]
    person = world.rows(
        "SELECT p.birth_year, p.hard_of_hearing, i.name, i.phone FROM persons p"
        " JOIN person_identities i ON i.person_id = p.id WHERE p.household_id = %s", fresh,
    )  # fmt: skip
    assert person == [{"birth_year": 1943, "hard_of_hearing": True, "name": "赵桂兰", "phone": "13512349876"}]
    page = clerk.get(f"/households/{fresh}/books").text
    assert "赵桂兰" not in page and "13512349876" not in page, "masked"
    for step in ("#contact", "#door", f"/households/{fresh}/consents"):
        assert f'href="{step}"' in page, "what is still to be done"
    trace = world.rows("SELECT action FROM audit_entries WHERE object_id = %s ORDER BY id", fresh)
    assert [row["action"] for row in trace] == ["household_registered", "books_read"]
    taken = world.post(clerk, "/households/new", **NEW | {"id": "h-another"})
    assert taken.status_code == 422 and "error-label" in taken.text


def test_a_label_that_another_home_has_leads_to_that_home(world: World) -> None:
    clerk = world.browser("clerk")
    leads = f'<a href="{WANG}">{zh("enter.same_label")}</a>'
    # The label that nobody typed is made of building, unit and room: 3-1-1201 is hers.
    place = {"building": "3", "unit": "1", "floor": "12", "room": "1201"}
    fresh = hidden(clerk, "/households/new", "/households/new", "id")
    refused = world.post(clerk, "/households/new", **NEW | place | {"id": fresh})
    assert refused.status_code == 422 and zh("error.label_taken") in refused.text and leads in refused.text
    sun = "/households/h-sun/books"
    mark = hidden(clerk, sun, f"{sun}/home", "mark")
    moved = world.post(clerk, f"{sun}/home", **place, label="3-1-1201", tenure="owner", mark=mark)
    assert moved.status_code == 422 and leads in moved.text
    # Another thing that is wrong leads nowhere, and another community's home of the same label is no obstacle.
    for page in (
        world.post(clerk, "/households/new", **NEW | {"id": fresh, "floor": "x"}),
        world.post(clerk, f"{sun}/home", **place | {"floor": "x"}, label="3-1-1201", mark=mark),
    ):
        assert page.status_code == 422 and zh("enter.same_label") not in page.text
    there = world.browser("clerk-b")
    taken = world.post(
        there, "/households/new", **NEW | place | {"id": "h-b", "unit": "2", "label": "3-1-1201"}
    )
    assert taken.status_code == 422 and 'href="/households/h-other/books"' in taken.text, "its own home"
    assert leads not in taken.text


def test_a_list_is_checked_row_by_row_in_the_readers_language_and_nothing_of_it_is_kept(
    world: World, tmp_path: Path
) -> None:
    clerk, there = world.browser("clerk"), "/households/new/check"
    assert f'href="{there}"' in clerk.get("/households/new").text and clerk.get(there).status_code == 200
    rows = (
        row(1, "花园社区老人名单") + row(2, "编号", "人员类型", "住户姓名", "联系电话", "备注")
        + row(3, "p1", "住户", "张三、李四", "138 1234 1234") + row(4, "p2", "住户", "王五", "", "独居")
        + row(5, "p2", "住户", "赵六")
    )  # fmt: skip
    wrong = Path(write(tmp_path / "人员.xlsx", ("Sheet1", rows)))
    old = "编号,名称\r\ngarden,花园社区\r\n".encode("gb18030")

    def check(who: httpx.Client, *files: tuple[str, bytes], **fields: str) -> httpx.Response:
        sent = [("files", file) for file in files]
        return who.post(there, data={"csrf": world.csrf(who), **fields}, files=sent or None)

    before = world.rows("SELECT count(*) AS count FROM audit_entries")
    page = check(clerk, (wrong.name, wrong.read_bytes()), ("社区.csv", old), old="yes").text
    for said in (
        "有 2 处要改", "人员.xlsx “人员”表 第 3 行 C3（姓名）", "一格里写了几个人", "请每人一行，各有各的编号",
        "与第 4 行重复", "社区 1 行、人员 2 行", "E 列是系统不保存的内容，没有读",
    ):  # fmt: skip
        assert said in page
    assert not any(name in page for name in ("张三", "王五", "独居", "garden")), "no cell is repeated"
    # What the command has an option for, the page has a box for.
    unread, modern = check(clerk, ("社区.csv", old)).text, "编号,名称\ngarden,花园社区\n".encode()
    assert zh("list_check.mend_old") in unread and "--encoding" not in unread
    ticked = check(clerk, ("社区.csv", modern), old="yes").text
    assert zh("list_check.mend_new") in ticked and "--encoding" not in ticked
    assert zh("list_check.right") in check(clerk, ("社区.csv", old), old="yes").text
    assert check(clerk).status_code == 422
    english = world.browser("clerk-b")
    world.write("UPDATE users SET language = 'en' WHERE name = 'clerk-b'")
    page = check(english, (wrong.name, wrong.read_bytes())).text
    assert (
        "人员.xlsx#persons:3 C3 name" in page
        and "names several people" in page
        and "2 things to mend" in page
    )
    assert check(world.browser("watcher"), ("社区.csv", old)).status_code == 403
    assert world.rows("SELECT count(*) AS count FROM audit_entries") == before
    assert world.rows("SELECT 1 FROM persons WHERE id IN ('p1', 'p2')") == []


def test_somebody_moves_in_is_corrected_and_moves_out(world: World) -> None:
    clerk = world.browser("clerk")
    id_ = hidden(clerk, WANG, f"{WANG}/people", "id")
    for _ in range(2):
        added = world.post(
            clerk, f"{WANG}/people", id=id_, name="李建国", birth_year="1941", phone="", hearing="no"
        )
        assert added.status_code == 303
    assert len(world.rows("SELECT 1 FROM persons WHERE id = %s AND household_id = 'h-wang'", id_)) == 1
    mark = hidden(clerk, WANG, f"{WANG}/people/{id_}", "mark")
    change = {"mark": mark, "birth_year": "1942", "phone": "13900005678", "hearing": "yes"}
    assert world.post(clerk, f"{WANG}/people/{id_}", **change).status_code == 303
    again = world.post(clerk, f"{WANG}/people/{id_}", **change | {"birth_year": "1950"})
    assert again.status_code == 409, "somebody changed it since this page was opened"
    row = world.rows(
        "SELECT p.birth_year, p.hard_of_hearing, i.name FROM persons p JOIN person_identities i ON i.person_id = p.id"
        " WHERE p.id = %s", id_,
    )  # fmt: skip
    assert row == [{"birth_year": 1942, "hard_of_hearing": True, "name": "李建国"}]
    cards = (
        ("c_hers", id_, None),
        ("c_later", id_, world.now + timedelta(days=1)),
        ("c_wangs", "p-h-wang", None),
    )
    for token, person, begins in cards:
        world.write(
            "INSERT INTO credentials (token, class, household_id, person_id, valid_from)"
            " VALUES (%s, 'resident', 'h-wang', %s, %s)", token, person, begins,
        )  # fmt: skip
    assert world.post(clerk, f"{WANG}/people/{id_}/leave").status_code == 303
    holding = "SELECT token FROM credentials WHERE token = ANY(%s) AND (valid_to IS NULL OR valid_to > %s)"
    tokens, later = [token for token, _, _ in cards], world.now + timedelta(days=2)
    assert [row["token"] for row in world.rows(holding, tokens, later)] == ["c_wangs"]
    assert world.rows("SELECT household_id FROM persons WHERE id = %s", id_) == [{"household_id": None}]
    assert world.post(clerk, f"{WANG}/people/{id_}/leave").status_code == 404


def test_what_a_field_shows_is_what_is_kept_and_only_what_is_not_shown_stays_where_left_empty(
    world: World,
) -> None:
    clerk = world.browser("clerk")
    assert zh("enter.change_words") in clerk.get(WANG).text
    kept = (
        "SELECT p.birth_year, i.name, i.phone, k.relation_words FROM persons p"
        " JOIN person_identities i ON i.person_id = p.id LEFT JOIN household_contacts k ON k.person_id = p.id"
        " WHERE p.id = %s"
    )

    def save(part: str, **fields: str) -> int:
        mark = hidden(clerk, WANG, f"{WANG}/{part}", "mark")
        return int(world.post(clerk, f"{WANG}/{part}", mark=mark, **fields).status_code)

    assert save("people/p-h-wang", name="", phone="", birth_year="", hearing="no") == 303
    assert save("contacts/p-son", role="family", position="1", relation_words="", name="", phone="") == 303
    hers = {"birth_year": None, "name": "王秀英", "phone": "13812341234", "relation_words": None}
    his = {"birth_year": None, "name": "王小明", "phone": "13900001111", "relation_words": ""}
    assert [world.rows(kept, who) for who in ("p-h-wang", "p-son")] == [[hers], [his]]
    assert save("people/p-h-wang", name="-", hearing="no") == 422, "nobody is called a dash"
    assert save("people/p-h-wang", phone="-", hearing="no") == 303
    assert world.rows(kept, "p-h-wang") == [hers | {"phone": None}]
    # What must be there cannot be emptied.
    assert (
        save("home", label="3-1-1201", building="", unit="1", floor="12", room="1201", tenure="owner") == 422
    )


def test_a_changed_number_waits_for_a_second_person(world: World) -> None:
    clerk = world.browser("clerk")
    mark = hidden(clerk, WANG, f"{WANG}/people/p-h-wang", "mark")
    assert world.post(clerk, f"{WANG}/people/p-h-wang", mark=mark, phone="13900009999").status_code == 303
    changes = world.rows(
        "SELECT new_phone, trusted_from FROM phone_changes WHERE person_id = 'p-h-wang' AND NOT settled"
    )
    assert changes == [{"new_phone": "13900009999", "trusted_from": None}]


def test_whom_to_ask_is_named_put_in_order_and_asked_no_more(world: World) -> None:
    clerk = world.browser("clerk")
    id_ = hidden(clerk, WANG, f"{WANG}/contacts", "id")
    said = {
        "id": id_,
        "role": "family",
        "name": "王芳",
        "phone": "13700001111",
        "relation_words": "女儿",
        "position": "7",
    }
    nameless = world.post(clerk, f"{WANG}/contacts", **said | {"name": ""})
    assert nameless.status_code == 422 and "error-name" in nameless.text
    assert world.post(clerk, f"{WANG}/contacts", **said).status_code == 303
    mark = hidden(clerk, WANG, f"{WANG}/contacts/{id_}", "mark")
    moved = world.post(
        clerk, f"{WANG}/contacts/{id_}", mark=mark, role="family", position="1", relation_words=""
    )
    assert moved.status_code == 303
    rows = world.rows("SELECT position, relation_words FROM household_contacts WHERE person_id = %s", id_)
    assert rows == [{"position": 1, "relation_words": ""}]
    assert world.post(clerk, f"{WANG}/contacts/{id_}/leave", role="family").status_code == 303
    assert not world.rows("SELECT 1 FROM household_contacts WHERE person_id = %s", id_)


def test_a_broken_sensor_is_replaced_in_one_step_and_nothing_overlaps(world: World) -> None:
    clerk = world.browser("clerk")
    old = world.rows(
        "SELECT device_id FROM household_doors WHERE household_id = 'h-wang' AND role = 'dwelling' AND to_at IS NULL"
    )[0]["device_id"]
    said = {"device_id": "Wc-New-1", "role": "dwelling", "kind": "contact", "replaces": old, "retire": "yes"}
    unknown = world.post(clerk, f"{WANG}/doors", **said)
    assert unknown.status_code == 422 and zh("error.device_unknown") in unknown.text, (
        "a digit wrong is no new device"
    )
    assert world.rows("SELECT 1 FROM devices WHERE id = 'wc-new-1'") == []
    assert world.post(clerk, f"{WANG}/doors", **said, fresh="yes").status_code == 303
    doors = world.rows(
        "SELECT device_id, from_at, to_at FROM household_doors WHERE household_id = 'h-wang' ORDER BY to_at"
    )
    assert [(row["device_id"], row["to_at"]) for row in doors if row["device_id"] in (old, "wc-new-1")] == [
        (old, world.now), ("wc-new-1", None),
    ]  # fmt: skip
    assert world.rows("SELECT retired_at FROM devices WHERE id = %s", old) == [{"retired_at": world.now}]
    world.clock.advance_to(world.clock.now_ms() + 1_000)
    for device, word in (("wc-new-1", "door_is_here"), (old, "device_retired"), ("装", "device_form")):
        refused = world.post(clerk, f"{WANG}/doors", device_id=device, role="dwelling", kind="contact")
        assert refused.status_code == 422, word
        assert zh(f"error.{word}") in refused.text
    foreign = world.rows(
        "SELECT d.id FROM devices d JOIN sites s ON s.id = d.site_id WHERE s.community_id = 'binhe' LIMIT 1"
    )
    elsewhere = world.post(
        clerk, f"{WANG}/doors", device_id=foreign[0]["id"], role="dwelling", kind="contact", fresh="yes"
    )
    assert elsewhere.status_code == 422 and zh("error.device_elsewhere") in elsewhere.text


def test_two_clerks_at_one_home_the_second_is_told_what_it_is_now(world: World) -> None:
    clerk = world.browser("clerk")
    mark = hidden(clerk, WANG, f"{WANG}/home", "mark")
    row = world.rows("SELECT label, building, unit, floor, room, tenure FROM households WHERE id = 'h-wang'")[
        0
    ]
    fields = {name: str(value) for name, value in row.items()} | {"grid": "7", "mark": mark}
    assert world.post(clerk, f"{WANG}/home", **fields).status_code == 303
    late = world.post(clerk, f"{WANG}/home", **fields | {"grid": "8"})
    assert late.status_code == 409 and "已被改为：7" in late.text and 'value="8"' in late.text
    assert world.rows("SELECT grid FROM households WHERE id = 'h-wang'") == [{"grid": "7"}]


def test_a_card_is_given_out_lost_and_taken_back_and_its_number_is_kept_nowhere(
    database_url: str, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAIMEN_EDGE_CREDENTIAL_KEY", "a key of this edge")
    world = build_world(database_url, manual_clock)
    clerk = world.browser("clerk")
    number = "04AB77120099"
    said = {"card": number, "whose": "p-h-wang"}
    for wrong, word in (
        ({"card": ""}, "required"),
        ({"card": "04 AB"}, "card_form"),
        ({"whose": "p-h-sun"}, "required"),
    ):
        refused = world.post(clerk, f"{WANG}/cards", **said | wrong)
        assert refused.status_code == 422 and zh(f"error.{word}") in refused.text
        assert number not in refused.text, "it stands on no answer"
    begun = world.now
    for _ in range(2):  # a double tap is one card, and counts since the first
        assert world.post(clerk, f"{WANG}/cards", **said).status_code == 303
        world.clock.advance_to(world.clock.now_ms() + 1_000)
    site = world.rows("SELECT site_id FROM households WHERE id = 'h-wang'")[0]["site_id"]
    token = token_of("a key of this edge", site, number)
    kept = "SELECT class, household_id, person_id, valid_from, valid_to FROM credentials WHERE token = %s"
    card = {"class": "resident", "household_id": "h-wang", "person_id": "p-h-wang", "valid_from": begun}
    assert world.rows(kept, token) == [card | {"valid_to": None}]
    sun = "/households/h-sun/books"
    other = world.post(clerk, f"{sun}/cards", card=number, whose="p-h-sun")
    assert other.status_code == 422 and zh("error.card_taken") in other.text
    handle = handle_of(str(token))
    assert world.post(clerk, f"{sun}/cards/{handle}/lost").status_code == 404, "another home's"
    assert f"{WANG}/cards/{handle}/end" in clerk.get(WANG).text
    ended = world.now
    for _ in range(2):
        assert world.post(clerk, f"{WANG}/cards/{handle}/end").status_code == 303
        world.clock.advance_to(world.clock.now_ms() + 1_000)
    assert world.rows(kept, token) == [card | {"valid_to": ended}]
    again = world.post(clerk, f"{WANG}/cards", **said)
    assert again.status_code == 422 and zh("error.card_taken") in again.text, "what it opened stays hers"
    assert world.post(clerk, f"{WANG}/cards", card="04AB77120100", whose="p-h-wang").status_code == 303
    second = handle_of(str(token_of("a key of this edge", site, "04ab77120100")))
    for _ in range(2):
        assert world.post(clerk, f"{WANG}/cards/{second}/lost").status_code == 303
    notes = world.rows("SELECT kind FROM desk_notes WHERE household_id = 'h-wang'")
    assert notes == [{"kind": "card_lost"}], "somebody still has to block it at the doors"
    trace = world.rows(
        "SELECT action, detail::text AS told FROM audit_entries WHERE object_id = 'h-wang' ORDER BY id"
    )
    assert [row["action"] for row in trace if row["action"].startswith("card_")] == [
        "card_entered", "card_entered", "card_returned", "card_entered", "card_lost",
    ]  # fmt: skip
    assert not [row for row in trace if "04AB7712" in row["told"]]
    for stranger in ("watcher", "clerk-b"):
        assert world.post(world.browser(stranger), f"{WANG}/cards", **said).status_code in (403, 404)
    world.close()


def test_a_lease_is_entered_corrected_and_ended_by_its_last_day(world: World) -> None:
    clerk = world.browser("clerk")
    said = {
        "id": "l-0a",
        "from_at": "2025-12-01",
        "to_at": "2026-11-30",
        "occupants": "2",
        "registration": "B-17",
    }
    for wrong, word in (
        ({"from_at": ""}, "required"),
        ({"from_at": "soon"}, "not_a_day"),
        ({"to_at": "2025-11-30"}, "lease_order"),
        ({"to_at": "2025年11月30日"}, "lease_order"),
        ({"occupants": "a few"}, "people_form"),
    ):
        refused = world.post(clerk, f"{WANG}/leases", **said | wrong)
        assert refused.status_code == 422 and zh(f"error.{word}") in refused.text
        assert 'value="B-17"' in refused.text, "what was typed stays"
    for _ in range(2):
        assert world.post(clerk, f"{WANG}/leases", **said).status_code == 303
    kept = (
        "SELECT id, from_at AT TIME ZONE 'Asia/Shanghai' AS from_at, to_at AT TIME ZONE 'Asia/Shanghai' AS to_at,"
        " occupants, registration FROM leases WHERE household_id = 'h-wang' ORDER BY id"
    )
    whole = {
        "id": "l-0a",
        "from_at": datetime(2025, 12, 1),
        "to_at": datetime(2026, 12, 1),
        "occupants": 2,
        "registration": "B-17",
    }
    assert world.rows(kept) == [whole], "its last day counts, and sent twice it is one"
    page = clerk.get(WANG).text
    assert 'value="2026-11-30"' in page
    mark = re.search(rf'{WANG}/leases/l-0a".*?name="mark" value="(\w+)"', page, re.DOTALL)
    assert mark is not None
    change = said | {"mark": mark[1], "to_at": "", "occupants": "", "registration": ""}
    assert world.post(clerk, f"{WANG}/leases/l-0a", **change).status_code == 303
    assert world.rows(kept) == [whole | {"to_at": None, "occupants": None, "registration": ""}]
    assert world.post(clerk, f"{WANG}/leases/l-0a", **change).status_code == 409, (
        "somebody changed it meanwhile"
    )
    sun = "/households/h-sun/books"
    assert world.post(clerk, f"{sun}/leases/l-0a", **change).status_code == 404
    assert world.post(clerk, f"{sun}/leases", **said).status_code == 404, "another home's, by its number"
    for stranger in ("watcher", "clerk-b"):
        assert world.post(world.browser(stranger), f"{WANG}/leases", **said).status_code in (403, 404)
    trace = world.rows("SELECT action FROM audit_entries WHERE action LIKE 'lease%%' ORDER BY id")
    assert [row["action"] for row in trace] == ["lease_entered", "lease_entered", "lease_corrected"]


def test_without_the_key_of_the_edge_a_card_number_is_not_taken_in(world: World) -> None:
    clerk = world.browser("clerk")
    refused = world.post(clerk, f"{WANG}/cards", card="04AB77120099", whose="p-h-wang")
    assert refused.status_code == 422 and zh("error.no_card_key") in refused.text
    assert not world.rows("SELECT 1 FROM credentials WHERE token LIKE '%%04AB7712%%'")


STANDING = (
    "SELECT purpose FROM consents WHERE household_id = 'h-wang' AND withdrawn_at IS NULL ORDER BY purpose"
)
AGREED = ["exact_times", "notify_family", "watch"]


def lay_out_everything_of_hers(world: World) -> tuple[httpx.Client, httpx.Client]:
    """Let her agree, be away, have hours of her own and a helper; return the browsers of her family and of herself."""
    now = world.now
    for purpose in ("watch", "exact_times"):
        world.write(
            "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES ('h-wang', %s, '本人', %s)"
            " ON CONFLICT DO NOTHING",
            purpose, now,
        )  # fmt: skip
    world.write(
        "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
        " VALUES ('h-wang', %s, %s, 'travel', 'she', %s)",
        now - timedelta(days=1), now + timedelta(days=9), now,
    )  # fmt: skip
    world.write(
        "INSERT INTO household_contacts SELECT 'h-wang', id, 'neighbour_watcher', 2, '' FROM persons WHERE id = 'p-h-li'"
    )
    world.write("INSERT INTO policies VALUES ('frail', 1, %s, '{}', %s)", [28_800, 57_600, 86_400], world.now)
    world.write("UPDATE households SET policy_id = 'frail' WHERE id = 'h-wang'")
    family, resident = world.browser("family"), world.browser("resident")
    assert family.get("/family").status_code == resident.get("/resident").status_code == 200
    return family, resident


def assert_everything_of_hers_ended(world: World, family: httpx.Client, resident: httpx.Client) -> None:
    assert world.rows(STANDING) == []
    assert world.rows("SELECT role FROM household_contacts WHERE household_id = 'h-wang'") == [
        {"role": "neighbour_watcher"}
    ]
    assert world.rows("SELECT 1 FROM user_households WHERE household_id = 'h-wang'") == []
    (away,) = world.rows("SELECT to_at FROM absences WHERE household_id = 'h-wang'")
    assert away["to_at"] <= as_datetime(SystemClock().now_ms()), "nobody who moves in is away"
    assert world.rows("SELECT policy_id FROM households WHERE id = 'h-wang'") == [{"policy_id": "mandated"}]
    assert resident.get("/resident").status_code != 200, "her sign-in ended"
    assert "h-wang" not in family.get("/family").text
    # Of her third day a person decides; nobody goes to the door of an empty home for a new crossing.
    (case,) = world.rows("SELECT state, proposal FROM cases WHERE id = %s", world.case_ids["wang"])
    assert case["state"] == "closed" or case["proposal"] is not None


def test_with_the_last_who_lived_there_everything_of_hers_ends_and_who_moves_in_inherits_nothing(
    world: World,
) -> None:
    clerk = world.browser("clerk")
    family, resident = lay_out_everything_of_hers(world)
    assert zh("enter.leaves_last") in clerk.get(WANG).text
    other = hidden(clerk, WANG, f"{WANG}/people", "id")
    assert world.post(clerk, f"{WANG}/people", id=other, name="王建国").status_code == 303
    # While somebody of the home stays, what they agreed to stands.
    assert zh("enter.leaves_last") not in clerk.get(WANG).text
    assert world.post(clerk, f"{WANG}/people/{other}/leave").status_code == 303
    assert [row["purpose"] for row in world.rows(STANDING)] == AGREED

    assert world.post(clerk, f"{WANG}/people/p-h-wang/leave").status_code == 303
    assert_everything_of_hers_ended(world, family, resident)
    assert world.rows("SELECT to_at FROM absences WHERE household_id = 'h-wang'") == [{"to_at": world.now}]
    (left,) = world.rows(
        "SELECT detail FROM audit_entries WHERE action = 'resident_left' ORDER BY id DESC LIMIT 1"
    )
    assert left["detail"]["ended"] == AGREED
    # Who moves in is asked anew.
    page = clerk.get(WANG).text
    assert zh("enter.missing.resident") in page and zh("enter.missing.consent") in page


@pytest.mark.parametrize("moves", ["-", "h-sun"], ids=["to nowhere", "to another home"])
def test_an_import_that_moves_the_last_one_out_ends_what_the_form_ends_and_its_dry_run_says_so(
    world: World, tmp_path: Path, moves: str
) -> None:
    family, resident = lay_out_everything_of_hers(world)
    persons = tmp_path / "人员.csv"
    persons.write_text(f"编号,住户编号,人员类型\np-h-wang,{moves},住户\n", encoding="utf-8")
    run = ["import", "--database-url", world.url, "--lang", "zh", str(persons)]
    tried = CliRunner().invoke(main, [*run, "--dry-run"])
    assert "1 户的人全部搬出，看护和各项同意、家属登录、外出报备等随之终止：h-wang" in tried.stdout
    assert [row["purpose"] for row in world.rows(STANDING)] == AGREED, "a dry run ends nothing"
    assert world.rows("SELECT policy_id FROM households WHERE id = 'h-wang'") == [{"policy_id": "frail"}]

    done = CliRunner().invoke(main, [*run, "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["everybody_left"] == ["h-wang"]
    assert_everything_of_hers_ended(world, family, resident)
    withdrawn = world.rows("SELECT detail FROM audit_entries WHERE action = 'consent_withdrawn' ORDER BY id")
    assert [row["detail"] for row in withdrawn] == [
        {"consent": purpose, "because": "everybody left"} for purpose in AGREED
    ]


def test_openings_from_before_the_watch_are_nobodys_to_see_on_the_homes_page(world: World) -> None:
    clerk = world.browser("clerk")
    add_events(world, "d-h-li", 6)

    def shown() -> int | None:
        page = clerk.get("/households/h-li").text
        if zh("household.openings") not in page:
            return None
        section = page.split(zh("household.openings"), 1)[1].split("</section>", 1)[0]
        return section.count("<li>")

    assert shown() == 6
    # Somebody else lives there since, and agreed three minutes ago.
    world.write("UPDATE households SET watched_from = %s WHERE id = 'h-li'", world.now - timedelta(minutes=3))
    assert shown() == 2, "the one at the very instant counts for the watch, and is no opening of hers"
    world.write(
        "UPDATE consents SET withdrawn_at = %s WHERE household_id = 'h-li' AND purpose = 'watch'", world.now
    )
    assert shown() is None
