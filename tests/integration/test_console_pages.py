"""Every page for every role: who is let in, what is shown, and that nothing a person wrote is run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from psycopg.types.json import Jsonb

from kaimen.clock import ManualClock
from tests.integration.console_world import PROBE, ROLES, World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

pytest.importorskip("fastapi")


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


_CLERK = {"clerk", "clerk-b"}
_HELPERS = {"watcher", "grid", "watcher-b"}
_POLICE = {"police", "police-b"}
_RESIDENT = {"resident", "resident-b"}
_FAMILY = {"family", "family-b"}
PAGES = {
    "/alarms": _CLERK,
    "/alarms?tab=closed": _CLERK,
    "/morning": _CLERK,
    "/morning/print": _CLERK,
    "/tasks": _CLERK | _HELPERS,
    "/households": _CLERK,
    "/buildings": _CLERK,
    "/access-log": _CLERK,
    "/signals": _CLERK | _POLICE,
    "/signals?days=7": _CLERK | _POLICE,
    "/rentals": _CLERK | _POLICE,
    "/devices": _CLERK | {"admin"},
    "/quarantine": _CLERK | {"admin"},
    "/technical": _CLERK | {"admin"},
    "/family": _FAMILY,
    "/police": _POLICE,
    "/police/look-up": _POLICE,
    "/police/tickets": _POLICE | {"supervisor"},
    "/audit": {"auditor"},
    "/looked": _CLERK | {"admin"},
    "/admin": {"admin"},
    "/admin/kiosks": {"admin"},
    "/desk-notes": _CLERK,
    "/portfolio": {"director"},
    "/look-back": {"director", "admin"},
    "/committee": {"committee"},
    "/resident": _RESIDENT,
    "/resident/cards": _RESIDENT,
    "/resident/consents": _RESIDENT,
    "/resident/looked": _RESIDENT,
    "/duty": _CLERK | _POLICE | {"admin", "grid"},
    "/duty/rosters/guard?community=wenchang": {"admin"},
    "/dry-run": _CLERK | {"admin"},
    "/dry-run?from_at=2025-11-21T18:00": _CLERK | {"admin"},
}


def test_nobody_signed_in_is_led_to_the_sign_in_page_and_back(world: World) -> None:
    client = world.browser()
    for path in PAGES:
        answer = client.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/sign-in?next=/"), path


@pytest.mark.one_store
def test_who_was_signed_out_meanwhile_is_told_that_what_she_sent_was_not_taken(world: World) -> None:
    client = world.browser("clerk")
    case = f"/cases/{world.case_ids['wang']}"
    form = {"csrf": world.csrf(client), "note": "she phoned"}
    world.write("DELETE FROM sessions")
    answer = client.post(f"{case}/note", data=form, headers={"Referer": f"https://console.test{case}"})
    assert answer.headers["location"] == f"/sign-in?lost=1&next={case}"
    page = client.get(answer.headers["location"]).text
    assert "刚才提交的没有生效" in page
    assert f'value="{case}"' in page
    assert client.post(f"{case}/note", data=form).headers["location"] == "/sign-in?lost=1"
    assert "lost" not in client.post("/sign-out", data=form).headers["location"]


@pytest.mark.one_store
def test_who_can_be_told_in_no_way_is_not_sent_to_a_form_that_is_not_there(world: World) -> None:
    page = world.browser("family").get("/my/channels").text
    assert "请在下方添加" not in page
    assert "还没有开通任何通知方式" in page


@pytest.mark.one_store
def test_a_console_of_the_version_before_takes_nothing_more_and_says_why(world: World) -> None:
    client = world.browser("clerk")
    case = f"/cases/{world.case_ids['wang']}"
    form = {"csrf": world.csrf(client), "note": "she phoned"}
    world.write("UPDATE schema_fence SET version = version + 1")
    answer = client.post(f"{case}/note", data=form)
    assert answer.status_code == 503
    assert "系统正在升级" in answer.text
    assert world.rows("SELECT 1 FROM case_entries WHERE note = 'she phoned'") == []
    assert client.get(case).status_code == 200, "what is there can be read"
    assert client.get("/readyz").json() == {"ready": False, "database": "ok", "schema": "another version"}
    world.write("UPDATE schema_fence SET version = version - 1")
    assert client.post(f"{case}/note", data=form).status_code == 303


@pytest.mark.one_store
def test_an_address_that_takes_only_forms_leads_to_the_page_the_form_stood_on(world: World) -> None:
    client = world.browser("clerk")
    case = f"/cases/{world.case_ids['wang']}"
    # A refused form is answered at its own address: signing in anew from there came to no page.
    form = {"csrf": world.csrf(client)}
    refused = client.post(f"{case}/hold", data=form)
    assert refused.status_code == 422
    page = {"Accept": "text/html,application/xhtml+xml"}
    assert client.get(f"{case}/hold", headers=page).headers["location"] == case
    assert client.get("/sign-out", headers=page).headers["location"] == "/"
    assert client.get(f"{case}/hold").status_code == 405
    world.write("DELETE FROM sessions")
    came_from = "/duty?community=wenchang"
    sent = client.post(f"{case}/note", data=form, headers={"Referer": f"https://console.test{came_from}"})
    assert sent.headers["location"] == "/sign-in?lost=1&next=/duty%3Fcommunity%3Dwenchang"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_reads_in_both_languages(world: World, language: str) -> None:
    for path, names in PAGES.items():
        client = world.browser(sorted(names)[0])
        client.cookies.set("kaimen_language", language, domain="console.test")
        answer = client.get(path)
        assert answer.status_code == 200
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in answer.text


OBJECTS = {
    "/cases/{wang}": {"clerk", "police"},
    "/cases/{zhao}": {"clerk"},
    "/cases/{other}": {"clerk-b", "police-b"},
    "/cases/{technical}": {"clerk", "admin"},
    "/tasks/{t_wang}": {"clerk", "watcher"},
    "/tasks/{t_other}": {"clerk-b", "watcher-b"},
    "/tasks/{t_zhao}": {"clerk"},
    "/households/h-wang": {"clerk"},
    "/households/h-other": {"clerk-b"},
}


def test_out_of_scope_and_not_there_are_the_same_answer(world: World) -> None:
    ids = {**world.case_ids, **{f"t_{key}": value for key, value in world.task_ids.items()}}
    for name in ROLES:
        client = world.browser(name)
        for path, people in OBJECTS.items():
            real = path.format(**ids)
            missing = real.rpartition("/")[0] + ("/no-such" if "households" in path else "/987654321")
            answer, nothing = client.get(real), client.get(missing)
            if name in people:
                assert answer.status_code == 200, (name, real, answer.text[:600])
                assert "<script>alert" not in answer.text
            else:
                assert answer.status_code in (403, 404), (name, real)
                assert answer.status_code == nothing.status_code, (name, real)
                assert _plain(answer.text) == _plain(nothing.text), (name, real)


def _plain(text: str) -> str:
    """An error page without what is new in each answer: the request's id, the address it came from."""
    import re

    return re.sub(r"[0-9a-f]{12}|value=\"/[^\"]*\"|data-now=\"\d+\"", "", text)


def test_names_are_masked_on_the_desk_and_full_for_whoever_has_the_visit(world: World) -> None:
    clerk = world.browser("clerk")
    for path in (
        "/alarms",
        "/morning",
        "/households",
        f"/cases/{world.case_ids['wang']}",
        "/households/h-wang",
    ):
        text = clerk.get(path).text
        assert "王秀英" not in text and "13812341234" not in text, path
        assert "王*英" in text, path
    watcher = world.browser("watcher")
    before = watcher.get(f"/tasks/{world.task_ids['wang']}").text
    assert "王" not in before.replace("王奶奶", "") and "1201" not in before
    assert world.post(watcher, f"/tasks/{world.task_ids['wang']}/begin").status_code == 303
    after = watcher.get(f"/tasks/{world.task_ids['wang']}").text
    assert "王秀英" in after and "13900001111" in after


def test_police_see_counts_before_a_visit_is_due_and_the_named_case_from_then_on(world: World) -> None:
    text = world.browser("police").get("/police").text
    assert "王秀英" in text
    assert "赵" not in text and "孙" not in text
    looks = world.rows("SELECT * FROM audit_entries WHERE action = 'cases_listed'")
    assert looks[0]["detail"]["households"] == ["h-wang"]


def test_what_people_wrote_stands_there_as_text(world: World) -> None:
    clerk = world.browser("clerk")
    case_id = world.case_ids["wang"]
    assert world.post(clerk, f"/cases/{case_id}/note", note=PROBE).status_code == 303
    for path in (f"/cases/{case_id}", "/quarantine", "/alarms", f"/households?query={PROBE}"):
        answer = clerk.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text and "<img src=x" not in answer.text, path
    assert "&lt;script&gt;" in clerk.get(f"/cases/{case_id}").text


def test_headers_keep_browsers_safe_and_pages_out_of_caches_and_pack_where_no_other_site_asked(
    world: World,
) -> None:
    for path in ("/sign-in", "/alarms", "/no-such", "/api/cases", "/static/kaimen.css"):
        headers = world.browser("clerk").get(path).headers
        policy = headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    assert world.browser("clerk").get("/alarms").headers["cache-control"] == "no-store"
    assert "immutable" in world.browser().get("/static/kaimen.css?v=1").headers["cache-control"]
    _are_packed_for_our_own_pages_and_never_where_another_site_asked(world.browser("clerk"))


def _are_packed_for_our_own_pages_and_never_where_another_site_asked(client: httpx.Client) -> None:
    for path, site, packed in (
        ("/alarms", "same-origin", True),
        ("/alarms", "cross-site", False),
        ("/static/kaimen.css?v=1", "cross-site", True),
        ("/static/live.js", "same-origin", True),
    ):
        plain = client.get(path, headers={"accept-encoding": "identity"})
        answer = client.get(path, headers={"sec-fetch-site": site})
        assert (answer.headers.get("content-encoding") == "gzip") == packed, path
        assert answer.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert "content-encoding" not in plain.headers
        assert answer.headers["cache-control"] == plain.headers["cache-control"]
        if path.startswith("/static"):
            assert answer.content == plain.content and answer.headers["etag"] != plain.headers["etag"]
            for known in (answer, plain):
                taken = "gzip" if known is answer else "identity"
                sent = {"accept-encoding": taken, "if-none-match": known.headers["etag"]}
                assert client.get(path, headers=sent).status_code == 304
            head = client.head(path)
            assert head.content == b"" and head.headers["content-length"] == answer.headers["content-length"]


def test_wrong_input_is_answered_in_words(world: World) -> None:
    clerk = world.browser("clerk")
    for path in (
        "/cases/abc", "/cases/0", "/cases/99999999999999999999", "/alarms?tab=nonsense", "/alarms?case=x",
        "/alarms?fragment=nonsense", "/access-log?from=nonsense", "/access-log?place=nonsense&from=2025-01-01",
        "/households?after=-1", "/devices?only=nonsense", "/households/%00", "/buildings?home=%00",
        "/access-log?door=%00", "/households?query=%00",
    ):  # fmt: skip
        answer = clerk.get(path)
        assert answer.status_code in (404, 422, 200), (path, answer.status_code)
        assert "Traceback" not in answer.text and "psycopg" not in answer.text, path


def test_too_much_at_once_is_refused_before_it_is_read(world: World) -> None:
    clerk = world.browser("clerk")
    case_id = world.case_ids["wang"]
    assert world.post(clerk, f"/cases/{case_id}/note", note="x" * 70_000).status_code == 413
    asked = {"csrf": world.csrf(clerk), "note": "x" * 70_000}
    page = clerk.post(f"/cases/{case_id}/note", data=asked, headers={"accept": "text/html,*/*"})
    assert (page.status_code, "内容太大" in page.text) == (413, True)
    assert clerk.get("/households?query=" + "x" * 9_000).status_code == 414


def test_a_fragment_is_a_part_of_its_page(world: World) -> None:
    clerk = world.browser("clerk")
    part = clerk.get("/alarms?fragment=list")
    assert part.status_code == 200
    assert "<html" not in part.text and "王*英" in part.text
    assert clerk.get("/alarms?fragment=no_such").status_code == 404


def test_the_language_is_chosen_and_kept(world: World) -> None:
    clerk = world.browser("clerk")
    answer = world.post(clerk, "/language", language="en", next="/alarms")
    assert answer.headers["location"] == "/alarms"
    assert 'lang="en"' in clerk.get("/alarms").text
    assert world.rows("SELECT language FROM users WHERE name = 'clerk'")[0]["language"] == "en"
    for evil in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert world.post(clerk, "/language", language="en", next=evil).headers["location"] == "/"


def test_metrics_are_for_this_machine_only(world: World) -> None:
    here, away = world.browser(address="127.0.0.1"), world.browser(address="192.0.2.7")
    assert "kaimen_console_requests_total" in here.get("/metrics").text
    assert away.get("/metrics").status_code == 404
    assert here.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 404


def test_ready_says_who_lags(world: World) -> None:
    client = world.browser()
    assert client.get("/healthz").json() == {"healthy": True}
    assert client.get("/readyz").json() == {"ready": True, "database": "ok", "ingest": "ok", "alerts": "ok"}
    world.clock.advance_to(world.clock.now_ms() + 3_600_000)
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json()["ingest"] == "behind"


def test_inactivity_is_not_counted_on_beyond_what_ingest_has_seen(world: World) -> None:
    before = world.browser("clerk").get("/api/households/h-wang").json()["inactive_s"]
    world.clock.advance_to(world.clock.now_ms() + 10 * 3_600_000)
    assert world.browser("clerk").get("/api/households/h-wang").json()["inactive_s"] == before


@pytest.mark.parametrize("name", ["clerk", "police", "family", "admin", "watcher"])
def test_every_part_of_a_live_page_can_be_asked_for_alone(world: World, name: str) -> None:
    client = world.browser(name)
    paths = ("/alarms", "/morning", "/tasks", "/buildings", "/households", "/devices", "/police", "/family")
    own = (f"/cases/{world.case_ids['wang']}", f"/tasks/{world.task_ids['wang']}", "/households/h-wang")
    asked = 0
    for path in (*paths, "/morning/print", "/admin", "/looked", "/quarantine", "/sessions", *own):
        page = client.get(path)
        if page.status_code != 200 or "data-stream" not in page.text:
            continue
        for fragment in set(re.findall(r'data-fragment="([a-z]+)"', page.text)):
            part = client.get(f"{path}?fragment={fragment}")
            assert part.status_code == 200 and 'id="main"' not in part.text, (path, fragment)
            asked += 1
    assert asked or name == "admin"


def test_places_stand_in_the_order_in_which_houses_are_numbered(world: World) -> None:
    for building, floor, room in (("12", 1, "1"), ("10", 10, "1"), ("10", 9, "1"), ("2", 1, "1")):
        home, label = f"h-{building}-{floor}", f"{building}-1-{floor}0{room}"
        world.write(
            "INSERT INTO devices (id, site_id, kind, place, registered_at) VALUES (%s, 'site-wenchang', 'contact', %s, %s)",
            f"d-{home}", label, world.now,
        )  # fmt: skip
        world.write(
            "INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)"
            " VALUES (%s, 'site-wenchang', %s, %s, '1', %s, %s, %s)",
            home, label, building, floor, room, world.now,
        )  # fmt: skip
        world.write(
            "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES (%s, 'watch', '本人', %s)",
            home,
            world.now,
        )
        world.write(
            "INSERT INTO household_states SELECT (jsonb_populate_record(s, %s)).* FROM household_states s"
            " WHERE household_id = 'h-li'",
            Jsonb({"household_id": home, "stage": 0, "known": True, "absent_until": None}),
        )
    doors = re.findall(
        r"<option value=\"d-h-\d+-\d+\"[^>]*>([^<]+)<", world.browser("police").get("/police/look-up").text
    )
    assert doors == ["2-1-101", "10-1-901", "10-1-1001", "12-1-101"]
    counts = re.findall(r"<b>(\d+) 栋</b>", world.browser("police").get("/police").text)
    assert counts == sorted(counts, key=int) and "10" in counts
    homes = re.findall(
        r"\b((?:2|10|12)-1-\d+01)\b", world.browser("clerk").get("/households?state=normal").text
    )
    assert list(dict.fromkeys(homes)) == doors
