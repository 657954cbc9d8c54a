"""A helper in a stairwell without signal, in a real browser: what she does is kept, and done once, in its own time."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from tests.browser.test_journeys import Desk, console_url, desk, world
from tests.integration.console_world import World

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

__all__ = ["console_url", "desk", "world"]

#: How long she stands where there is no signal.
AWAY_MS = 40 * 60_000


def _open(world: World, url: str, desk: Desk, path: str = "") -> Page:
    world.write("UPDATE tasks SET created_at = created_at - interval '1 day'")
    page = desk("watcher")
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{url}/tasks/{world.task_ids['wang']}{path}")
    page.wait_for_selector("[data-field][data-ready]", state="attached")
    return page


def _later(page: Page, ms: int) -> None:
    """Let the phone's clock show a later time, without waiting for it."""
    page.evaluate("(ms) => { const now = Date.now; Date.now = () => now.call(Date) + ms; }", ms)


def test_offline_an_act_is_kept_and_online_it_is_done_exactly_once_in_its_own_time(
    world: World, console_url: str, desk: Desk
) -> None:
    page = _open(world, console_url, desk)
    page.context.set_offline(True)
    page.click("form[data-act=begin] button")
    page.wait_for_selector("[data-field][data-count='1']")
    assert "已存在本机" in page.inner_text("[data-field]")
    # Pressed again it is the same act: the button is spent.
    assert page.is_disabled("form[data-act=begin] button")
    assert world.rows("SELECT 1 FROM field_acts") == []
    _later(page, AWAY_MS)
    page.context.set_offline(False)
    page.wait_for_selector("[data-field][data-count='0']:visible")
    assert "已发送" in page.inner_text("[data-field]")
    # A second sending, as after an answer that was lost, finds nothing left to do.
    page.evaluate("() => window.dispatchEvent(new Event('online'))")
    page.reload()
    page.wait_for_selector("[data-field][data-ready]", state="attached")
    (act,) = world.rows("SELECT kind, at, recorded_at FROM field_acts")
    assert act["kind"] == "begin"
    assert timedelta(minutes=40) <= act["recorded_at"] - act["at"] < timedelta(minutes=42)
    (task,) = world.rows("SELECT begun_at FROM tasks WHERE id = %s", world.task_ids["wang"])
    assert task["begun_at"] == act["at"]


def test_a_page_she_has_opened_can_be_read_and_filled_in_without_signal(
    world: World, console_url: str, desk: Desk
) -> None:
    page = _open(world, console_url, desk)
    task = f"/tasks/{world.task_ids['wang']}"
    page.wait_for_selector("[data-field][data-pages=kept]", state="attached")
    page.context.set_offline(True)
    page.goto(f"{console_url}{task}/visit")
    page.wait_for_selector("[data-field]", state="attached")
    for name, value in (
        ("place", "inside"),
        ("health", "well"),
        ("economy", "well"),
        ("safety", "well"),
        ("need", "well"),
    ):
        page.check(f"[name={name}][value={value}]")
    page.click("form[data-act=form] button.primary")
    page.wait_for_selector("[data-field][data-count='1']")
    assert world.rows("SELECT 1 FROM visit_forms") == []
    # Her sign-in has ended meanwhile: the phone says so instead of promising to send, and leads there and back.
    signed_in = page.context.cookies()
    page.context.clear_cookies()
    page.context.set_offline(False)
    page.wait_for_selector("[data-field]:has-text('请重新登录') a[href^='/sign-in?next=']")
    assert world.rows("SELECT 1 FROM visit_forms") == []
    page.context.add_cookies(cast(Any, signed_in))
    page.evaluate("() => window.dispatchEvent(new Event('online'))")
    page.wait_for_selector("[data-field][data-count='0']", state="attached")
    assert len(world.rows("SELECT 1 FROM visit_forms")) == 1


def test_without_signal_what_is_missing_is_said_at_the_door_and_what_was_refused_is_not_typed_again(
    world: World, console_url: str, desk: Desk
) -> None:
    page = _open(world, console_url, desk, "/visit")
    page.context.set_offline(True)
    page.check("[name=health][value=urgent]")
    page.click("form[data-act=form] button.primary")
    page.wait_for_selector("[data-field]:has-text('还没有保存')")
    for name, value in (("place", "inside"), ("economy", "well"), ("safety", "well"), ("need", "well")):
        page.check(f"[name={name}][value={value}]")
    page.click("form[data-act=form] button.primary")
    page.wait_for_selector("[data-field]:has-text('请写明紧急情况')")
    assert page.get_attribute("[data-field]", "data-count") == "0"
    page.fill("[name=health_note]", "她摔倒了")
    page.click("form[data-act=form] button.primary")
    # What is kept calls nobody, and says so.
    page.wait_for_selector("[data-field][data-count='1']:has-text('请立即拨打 120')")
    # Sent too late it is refused; on whatever page she reads it, she need not write it again.
    _later(page, 25 * 3_600_000)
    page.context.set_offline(False)
    page.wait_for_selector("[data-field]:has-text('未被接受')")
    page.goto(f"{console_url}/tasks/{world.task_ids['wang']}")
    page.click("[data-field] button:has-text('重新填写')")
    page.wait_for_selector("form[data-again]")
    page.click("form[data-act=form] button.primary")
    page.wait_for_selector(".strip-notice")
    (form,) = world.rows("SELECT health, notes ->> 'health' AS note FROM visit_forms")
    assert form == {"health": "urgent", "note": "她摔倒了"}
    assert page.get_attribute("[data-field]", "data-count") in (None, "0")


def _photo(page: Page, width: int, height: int) -> FilePayload:
    """A JPEG that a camera might have taken: noise does not grow smaller by itself."""
    made = page.evaluate(
        "async ([wide, high]) => { const c = Object.assign(document.createElement('canvas'), { width: wide, height: high });"
        " const p = c.getContext('2d'); const d = p.createImageData(wide, high); let n = 1;"
        " for (let i = 0; i < d.data.length; i++) { n = n * 1103515245 + 12345 | 0; d.data[i] = i % 4 == 3 ? 255 : n >>> 24; }"
        " p.putImageData(d, 0, 0); const b = await new Promise((t) => c.toBlob(t, 'image/jpeg', 0.9));"
        " const a = new Uint8Array(await b.arrayBuffer()); let s = ''; for (const x of a) s += String.fromCharCode(x);"
        " return btoa(s); }",
        [width, height],
    )
    return {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": base64.b64decode(made)}


def _send(page: Page, photo: FilePayload) -> None:
    """Choose a photo and press, once the page has done with the one before."""
    page.wait_for_selector("form[data-act=photo]:not([aria-busy])")
    page.set_input_files("#f-photo", photo)
    page.click("form[data-act=photo] button")


def test_a_photo_waits_on_the_phone_goes_once_in_its_own_time_and_is_looked_at_for_a_purpose(
    world: World, console_url: str, desk: Desk
) -> None:
    world.write(
        "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES ('h-wang', 'visit_photo', '本人', %s)",
        world.now,
    )
    page = _open(world, console_url, desk)
    page.click("form[data-act=begin] button")
    page.wait_for_selector(".strip-notice")
    page.click("a[href$='/photos']")
    page.wait_for_selector("[data-field][data-ready]", state="attached")
    # What her camera takes: once larger than is kept as it is, then small.
    large, small = _photo(page, 2100, 700), _photo(page, 64, 64)
    assert len(large["buffer"]) > 2**20
    page.context.set_offline(True)
    for count, photo in enumerate((large, small, small), 1):
        _send(page, photo)
        page.wait_for_selector(f"[data-field][data-count='{count}']")
    assert "照片" in page.inner_text("[data-field]")
    _send(page, small)
    page.wait_for_selector("[data-field]:has-text('不再接收')")
    assert world.rows("SELECT 1 FROM visit_photos") == []
    _later(page, AWAY_MS)
    page.context.set_offline(False)
    page.wait_for_selector("[data-field][data-count='0']:visible")
    kept = world.rows("SELECT p.width, p.height, f.recorded_at - f.at AS age FROM visit_photos p"
                      " JOIN field_acts f ON f.at = p.at AND f.kind = 'photo' AND f.task_id = p.task_id")  # fmt: skip
    assert sorted((row["width"], row["height"]) for row in kept) == [(64, 64), (64, 64), (2048, 683)]
    assert all(timedelta(minutes=40) <= row["age"] < timedelta(hours=2) for row in kept)
    # A full phone without signal says so and keeps nothing.
    world.write("DELETE FROM visit_photos")
    page.reload()
    page.wait_for_selector("[data-field][data-ready]", state="attached")
    page.evaluate(
        "() => { IDBObjectStore.prototype.put = () => { throw new DOMException('', 'QuotaExceededError'); }; }"
    )
    page.context.set_offline(True)
    _send(page, small)
    page.wait_for_selector("[data-field]:has-text('照片未保存')")
    # With a signal it goes at once, and the clerk looks at it for a purpose.
    page.context.set_offline(False)
    _send(page, small)
    page.wait_for_selector("form[action$='/remove']")  # it stands on her own page
    clerk = desk("clerk")
    clerk.goto(f"{console_url}/tasks/{world.task_ids['wang']}/photos")
    clerk.click("main section.card form button")
    clerk.wait_for_selector("img")
    (trace,) = world.rows("SELECT purpose FROM audit_entries WHERE action = 'visit_photo_seen'")
    assert trace == {"purpose": "visit"}
    # One that was not sent within a day is gone from the phone where anybody comes to sign in.
    page.context.clear_cookies()
    page.goto(f"{console_url}/sign-in")
    page.wait_for_selector("[name=password]")
    asked = (
        "(age) => new Promise((done) => { const q = indexedDB.open('kaimen-field', 1); q.onsuccess = () => {"
        " const s = q.result.transaction('acts', 'readwrite').objectStore('acts');"
        " if (age) s.put({ key: 'old', photo: new Blob(['x']), done_ms: Date.now() - age, state: 'waiting', user: '0' });"
        " s.count().onsuccess = ({ target }) => done(target.result); }; })"
    )
    assert page.evaluate(asked, 25 * 3_600_000) == 1
    page.reload()
    page.wait_for_selector("[name=password]")
    for _ in range(100):
        if page.evaluate(asked, 0) == 0:
            break
        page.wait_for_timeout(100)
    assert page.evaluate(asked, 0) == 0


def test_an_act_that_another_turn_sends_first_still_leads_to_the_page_that_says_so(
    world: World, console_url: str, desk: Desk
) -> None:
    page = _open(world, console_url, desk)
    # The sending that begins when signal comes back has the act in its hands before the form's own.
    page.evaluate(
        "() => new Promise((held) => navigator.locks.request('kaimen-field',"
        " () => { held(); return new Promise((free) => { globalThis.letGo = free; }); }))"
    )
    page.evaluate("() => window.dispatchEvent(new Event('online'))")
    page.click("form[data-act=begin] button")
    page.wait_for_selector("form[data-act=begin][aria-busy]")
    page.evaluate(
        "async () => { while ((await navigator.locks.query()).pending.length < 2)"
        " await new Promise((next) => setTimeout(next, 10)); globalThis.letGo(); }"
    )
    page.wait_for_selector(".strip-notice")
    assert len(world.rows("SELECT 1 FROM field_acts")) == 1


def test_what_the_page_itself_has_to_say_is_said_beside_its_field(
    world: World, console_url: str, desk: Desk
) -> None:
    page = _open(world, console_url, desk, "/visit")
    page.click("form[data-act=form] button.primary")
    page.wait_for_selector("#error-health")
    assert page.locator("[data-field]").get_attribute("data-count") in (None, "0")
    assert world.rows("SELECT 1 FROM field_acts") == []
    # One hand, a small phone: nothing sticks out, and everything is large enough for a thumb.
    assert page.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    small = page.evaluate(
        "() => [...document.querySelectorAll('main button, main .btn, main .option')]"
        ".map((item) => item.getBoundingClientRect().height).filter((height) => height > 0 && height < 43.5)"
    )
    assert small == []
