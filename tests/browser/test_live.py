"""The live console in a real browser: keys, fragments under the hand, a line that breaks."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

import console
from console.rendering import render
from console.views import case as case_views
from console.views import parts as view_parts
from tests.browser import samples

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page

STATIC = Path(console.__file__).parent / "static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Street:
    """What the small server shows: the rows of the list, and a stream that can speak and break."""

    def __init__(self) -> None:
        self.rows: tuple[case_views.CaseRow, ...] = samples.ALARMS.rows
        self.changed = threading.Condition()
        self.turn = 0
        self.broken = False
        self.refuses = False  # no new stream; the open ones stay, and say nothing
        self.more_url: str | None = None
        self.confirms = False  # the cases wait for a closing to be confirmed, with a note
        self.fails = False  # the list cannot be made
        self.slow: dict[str, threading.Event] = {}  # queries answered only once the event is set
        self.signed_in: int | None = 1  # who is, by now
        self.resumed_from: list[str | None] = []
        self.url = ""

    def show(self, *rows: case_views.CaseRow) -> None:
        with self.changed:
            self.rows = rows
            self.turn += 1
            self.changed.notify_all()

    def break_line(self, broken: bool = True) -> None:
        with self.changed:
            self.broken = broken
            self.changed.notify_all()

    def page(self, query: dict[str, list[str]]) -> str:
        chosen = int(query.get("case", ["7"])[0])
        row = next((row for row in self.rows if row.id == chosen), self.rows[0])
        claim = view_parts.Act("claim", f"/cases/{row.id}/claim", post=True, key="a")
        case = replace(
            samples.wang_case(),
            row=row,
            next_step=replace(samples.NEXT, primary=claim),
            confirm_form=view_parts.Form() if self.confirms else None,
        )
        page = case_views.AlarmsPage(
            case_views.Tab.ALL,
            samples.TABS,
            self.rows,
            selected=case,
            chosen="case" in query,
            more_url=self.more_url,
        )
        shell = samples.shell(current="alarms", stream_url="/stream")
        return render("alarms.html", shell=shell, page=page, fragment=query.get("fragment", [None])[0])  # type: ignore[list-item]


class Handler(BaseHTTPRequestHandler):
    street: Street

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        if where.path == "/stream":
            self.stream()
        elif where.path.startswith("/static/"):
            file = STATIC / Path(where.path).name
            kind = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}[file.suffix]
            self.answer(file.read_bytes(), kind)
        elif self.street.fails:
            self.send_error(503)
        elif where.path == "/sessions/here" and self.street.signed_in is None:
            self.send_error(401)
        elif where.path == "/sessions/here":
            self.answer(
                json.dumps({"user": self.street.signed_in, "csrf": "new"}).encode(), "application/json"
            )
        else:
            page = self.street.page(parse_qs(where.query))
            for query, may_go in self.street.slow.items():
                if query in where.query:
                    may_go.wait(10)
            self.answer(page.encode(), "text/html; charset=utf-8")

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-security-policy", CSP)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self) -> None:
        if self.street.broken or self.street.refuses:
            self.send_response(503)
            self.end_headers()
            return
        self.street.resumed_from.append(self.headers.get("last-event-id"))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        told = self.street.turn
        try:
            self.wfile.write(b"retry: 100\n\nevent: alive\ndata: {}\n\n")
            while True:
                with self.street.changed:
                    self.street.changed.wait(0.2)
                    if self.street.broken:
                        return
                    turn = self.street.turn
                self.wfile.write(
                    b": still there\n\n"
                    if turn == told
                    else f"id: {turn}\nevent: cases\ndata: {{}}\n\n".encode()
                )
                self.wfile.flush()
                told = turn
        except OSError:
            return


@pytest.fixture
def street() -> Iterator[Street]:
    made = Street()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"street": made}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/alarms?tab=all"
    yield made
    made.break_line()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def desk(page: Page, street: Street) -> Page:
    """The console on a desk, live, with every complaint of the browser kept."""
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(street.url)
    page.wait_for_selector("body.is-live")
    return page


@contextmanager
def _arrived(desk: Page) -> Iterator[None]:
    """Leave once the page that was asked for is there: closing a browser's context in between has hung for ever."""
    with desk.expect_navigation():
        yield


NEW_ROW = samples.row(
    99,
    view_parts.Mark.HIGH,
    household=samples.home("9-1-0101", "冯*", 88),
    line=samples.WANG_LINE,
    unacknowledged=True,
)


def order(page: Page) -> list[str]:
    return page.eval_on_selector_all("[data-rows] [data-row]", "rows => rows.map(row => row.dataset.row)")  # type: ignore[no-any-return]


def test_a_change_shows_by_itself(desk: Page, street: Street) -> None:
    desk.mouse.move(5, 5)
    street.show(NEW_ROW, *samples.ALARMS.rows)
    desk.wait_for_selector("#case-99")
    assert order(desk)[0] == "case-99"


def test_sorting_never_moves_the_row_under_the_pointer(desk: Page, street: Street) -> None:
    desk.hover("#case-6")
    before = desk.locator("#case-6").bounding_box()
    street.show(NEW_ROW, *reversed(samples.ALARMS.rows))
    desk.wait_for_selector(".held-news button")
    assert desk.locator("#case-6").bounding_box() == before
    assert "case-99" not in order(desk)
    desk.mouse.move(5, 5)
    desk.wait_for_selector("#case-99")
    assert order(desk)[0] == "case-99"


def test_the_focus_keeps_its_row_and_r_puts_the_list_in_order(desk: Page, street: Street) -> None:
    desk.mouse.move(5, 5)
    desk.focus("#case-6")
    street.show(NEW_ROW, *samples.ALARMS.rows)
    desk.wait_for_selector(".held-news button")
    desk.keyboard.press("r")
    desk.wait_for_selector("#case-99")
    assert desk.evaluate("document.activeElement.dataset.row") == "case-6"


def test_a_part_that_renews_itself_leaves_the_focus_on_the_same_control(desk: Page, street: Street) -> None:
    desk.mouse.move(5, 5)
    desk.focus(".aside p a.btn")
    before = desk.evaluate("() => { document.activeElement.old = true; return document.activeElement.href; }")
    street.show(NEW_ROW, *samples.ALARMS.rows)
    desk.wait_for_function("() => !document.activeElement.old && document.querySelector('#case-99')")
    assert desk.evaluate("document.activeElement.href") == before


def test_keys_move_open_and_help(desk: Page) -> None:
    desk.keyboard.press("j")
    desk.keyboard.press("j")
    assert desk.evaluate("document.activeElement.dataset.row") == "case-5"
    desk.wait_for_function("() => document.querySelector('.aside').textContent.includes('孙*兰')")
    desk.keyboard.press("k")
    assert desk.evaluate("document.activeElement.dataset.row") == "case-6"
    desk.keyboard.press("?")
    assert desk.locator("[data-keys]").is_visible()
    desk.keyboard.press("Tab")  # nothing behind the panel is reached while it is open
    assert desk.evaluate("document.activeElement.matches('[data-keys-close]')")
    desk.keyboard.press("Escape")
    assert desk.locator("[data-keys]").is_hidden()
    assert desk.evaluate("document.activeElement.dataset.row") == "case-6"
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/cases/6")


def test_the_list_goes_on_past_its_last_row_and_a_held_key_does_not_leaf(desk: Page, street: Street) -> None:
    street.more_url = "/alarms?tab=all&after=3"
    desk.focus("#case-6")
    street.show(*samples.ALARMS.rows)  # the way on shows while somebody stands in the list
    desk.wait_for_selector("[data-more]")
    desk.evaluate(
        """() => {
            for (let n = 0; n < 9; n++) document.activeElement.dispatchEvent(
                new KeyboardEvent('keydown', { key: 'j', repeat: true, bubbles: true }));
        }"""
    )
    assert desk.evaluate("document.activeElement === [...document.querySelectorAll('[data-row]')].at(-1)")
    with desk.expect_navigation(url="**after=3#rows"):
        desk.keyboard.press("j")
    desk.wait_for_selector("[data-ready]")
    assert desk.evaluate("document.activeElement === document.querySelector('[data-row]')")


def test_who_asks_for_the_order_keeps_a_place_in_the_list(desk: Page, street: Street) -> None:
    desk.focus("#case-6")
    street.show(NEW_ROW, *(row for row in samples.ALARMS.rows if row.id != 6))
    desk.wait_for_selector(".held-news button")
    desk.keyboard.press("r")  # her row is gone
    assert desk.evaluate("document.activeElement.dataset.row") == order(desk)[1]
    street.show(*samples.ALARMS.rows)
    desk.focus(".held-news button")
    desk.keyboard.press("Enter")
    assert desk.evaluate("document.activeElement.dataset.row") == order(desk)[0]


def test_an_answer_that_was_overtaken_never_puts_another_case_beside_the_chosen_row(
    desk: Page, street: Street
) -> None:
    may_go = street.slow["case=6&fragment=case"] = threading.Event()
    desk.keyboard.press("j")
    desk.keyboard.press("j")
    desk.wait_for_function("() => document.querySelector('.aside').textContent.includes('孙*兰')")
    desk.evaluate(
        """() => {
            const aside = document.querySelector('.aside');
            const look = () => { window.another ||= !aside.textContent.includes('孙*兰'); };
            new MutationObserver(look).observe(aside, { childList: true, subtree: true });
        }"""
    )
    with desk.expect_event("requestfinished", lambda request: "case=6&fragment=case" in request.url):
        may_go.set()
    with desk.expect_response("**case=5&fragment=case"):  # whatever came before has been shown by then
        street.show(*samples.ALARMS.rows)
    assert desk.evaluate("!window.another && document.querySelector('.aside').textContent.includes('孙*兰')")


def test_nothing_beside_the_list_is_pressed_until_the_chosen_case_stands_there(
    desk: Page, street: Street
) -> None:
    may_go = street.slow["case=6&fragment=case"] = threading.Event()
    desk.evaluate(
        """() => document.addEventListener('submit', (event) => {
            event.preventDefault();
            window.sent = [...(window.sent ?? []), event.target.action];
        }, true)"""
    )
    desk.keyboard.press("j")
    desk.keyboard.press("a")
    assert desk.evaluate("document.activeElement.dataset.row") == "case-6"
    assert desk.evaluate("document.querySelector('.aside').inert && !window.sent")
    may_go.set()  # the key was meant for the case chosen when it was pressed
    desk.wait_for_function("() => window.sent?.length === 1 && window.sent[0].endsWith('/cases/6/claim')")


def test_what_was_written_beside_the_list_is_not_dropped_unasked(desk: Page, street: Street) -> None:
    asked: list[str] = []
    answers = [False, True]

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        (dialog.accept if answers[len(asked) - 1] else dialog.dismiss)()

    desk.on("dialog", answer)
    street.confirms = True
    desk.reload()
    desk.wait_for_selector("[data-ready]")
    form = desk.locator(".aside form:has(textarea)").first
    form.locator("textarea").fill("她女儿说在住院")
    desk.click('[data-row="case-5"]')
    assert len(asked) == 1
    assert form.locator("textarea").input_value() == "她女儿说在住院"
    assert desk.evaluate("document.querySelector('[data-rows] [aria-current]').dataset.row") == "case-7"
    desk.click('[data-row="case-5"]')
    desk.wait_for_function("() => document.querySelector('.aside').textContent.includes('孙*兰')")
    assert len(asked) == 2


def test_a_list_asked_for_before_another_row_was_chosen_does_not_mark_the_old_one(
    desk: Page, street: Street
) -> None:
    desk.mouse.move(5, 5)
    may_go = street.slow["fragment=list"] = threading.Event()
    with desk.expect_request("**fragment=list"):
        street.show(*samples.ALARMS.rows)
    desk.click('[data-row="case-5"]')
    desk.wait_for_function("() => document.querySelector('.aside').textContent.includes('孙*兰')")
    desk.evaluate("document.activeElement.blur()")
    desk.mouse.move(5, 5)
    with desk.expect_event("requestfinished", lambda request: "fragment=list" in request.url):
        may_go.set()
    desk.evaluate(
        "fetch('/static/kaimen.svg').then((answer) => answer.text())"
    )  # what was answered before is handled
    assert desk.evaluate("document.querySelector('[data-rows] [aria-current]').dataset.row") == "case-5"


def test_a_lost_line_greys_the_list_and_coming_back_asks_for_what_was_missed(
    desk: Page, street: Street
) -> None:
    desk.mouse.move(5, 5)
    street.show(*samples.ALARMS.rows)
    desk.wait_for_function(
        "() => performance.getEntriesByType('resource').some(r => r.name.includes('fragment=list'))"
    )
    street.break_line()
    desk.wait_for_selector("body.is-stale")
    assert desk.locator("[data-lost]").is_visible()
    street.show(NEW_ROW, *samples.ALARMS.rows)
    street.break_line(False)
    desk.wait_for_selector("#case-99", timeout=20_000)
    desk.wait_for_selector("body.is-live")
    assert desk.locator("[data-lost]").is_hidden()


def test_a_silent_line_is_a_lost_one(page: Page, street: Street) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.clock.install()
    page.goto(street.url)
    page.wait_for_selector("body.is-live")
    street.refuses = True
    page.clock.fast_forward(25_000)
    assert page.locator("body.is-live").count() == 1
    page.clock.fast_forward(20_000)
    page.wait_for_selector("body.is-stale")
    # The page's clock runs on while the test does: on a busy machine the age has grown by then.
    (age,) = re.findall(r"\d+", page.inner_text("[data-lost-age]"))
    assert 45 <= int(age) < 60
    assert (
        page.evaluate("getComputedStyle(document.querySelector('[data-rows]').parentElement).filter")
        != "none"
    )
    street.refuses = False
    page.clock.fast_forward(10_000)
    page.wait_for_selector("body.is-live")


def test_a_list_that_cannot_be_fetched_looks_old_until_it_can(desk: Page, street: Street) -> None:
    desk.mouse.move(5, 5)
    street.fails = True
    street.show(NEW_ROW, *samples.ALARMS.rows)
    desk.wait_for_selector("body.is-stale")
    street.fails = False
    desk.wait_for_selector("#case-99")
    desk.wait_for_selector("body.is-live")


def test_a_list_that_is_refused_asks_for_the_page_but_not_while_a_form_is_on_its_way(
    desk: Page, street: Street
) -> None:
    asked: list[str] = []
    desk.on("request", lambda one: asked.append(one.url) if one.is_navigation_request() else None)
    desk.route("**fragment=**", lambda route: route.fulfill(status=401))
    desk.mouse.move(5, 5)
    desk.evaluate("document.querySelector('form[action=\"/sign-out\"]').dataset.sent = 'yes'")
    street.show(NEW_ROW, *samples.ALARMS.rows)
    desk.wait_for_selector("body.is-stale")
    assert asked == []
    with desk.expect_request(lambda one: one.is_navigation_request()):
        desk.evaluate("delete document.querySelector('form[action=\"/sign-out\"]').dataset.sent")
        street.show(*samples.ALARMS.rows)
    desk.wait_for_selector("body.is-live")


def test_a_half_written_form_is_never_swapped_away(desk: Page, street: Street) -> None:
    desk.evaluate(
        "document.querySelector('.aside .stack').insertAdjacentHTML('beforeend', '<textarea id=draft></textarea>')"
    )
    desk.fill("#draft", "她女儿")
    street.show(NEW_ROW, *samples.ALARMS.rows)
    desk.wait_for_selector("#case-99")
    assert desk.input_value("#draft") == "她女儿"


@pytest.mark.parametrize("broken", [True, False], ids=["line broken", "line stands"])
def test_a_form_that_would_reach_nobody_stays_with_what_was_written_until_it_does(
    desk: Page, street: Street, broken: bool
) -> None:
    sent: list[str] = []
    desk.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    desk.mouse.move(5, 5)
    street.fails = True
    if broken:
        street.break_line()
    else:
        street.show(NEW_ROW, *samples.ALARMS.rows)
    desk.wait_for_selector("body.is-stale")
    desk.click("form[action='/sign-out'] button")
    desk.wait_for_selector("form [data-unsent]:has-text('没有发出')")
    assert sent == []
    street.fails = False
    with _arrived(desk):
        desk.click("form[action='/sign-out'] button")


def test_what_was_written_stays_where_a_sign_in_ended_and_goes_with_the_next_ones_token(
    desk: Page, street: Street
) -> None:
    sent: list[str] = []
    desk.on("request", lambda one: sent.append(one.post_data or "") if one.method == "POST" else None)
    desk.evaluate(
        "document.querySelector('#main').insertAdjacentHTML('beforeend',"
        " '<form id=draft method=post action=/note><input name=csrf value=old><input name=words><button>go</button></form>')"
    )
    desk.fill("#draft [name=words]", "她女儿")
    desk.evaluate(
        "() => { const now = performance.now.bind(performance); performance.now = () => now() + 61_000; }"
    )
    street.signed_in = None
    desk.click("#draft button")
    desk.wait_for_selector("#draft [data-unsent]:has-text('登录已经结束') a[href='/sign-in'][target=_blank]")
    street.signed_in = 2
    desk.click("#draft button")
    desk.wait_for_selector("#draft [data-unsent]:has-text('另一个人')")
    assert sent == [] and desk.input_value("#draft [name=words]") == "她女儿"
    street.signed_in = 1
    with _arrived(desk):
        desk.click("#draft button")
    assert parse_qs(sent[0]) == {"csrf": ["new"], "words": ["她女儿"]}


def test_the_page_works_under_the_strictest_policy_without_a_complaint(page: Page, street: Street) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(street.url)
    page.wait_for_selector("body.is-live")
    assert said == []


def test_a_new_case_is_heard_by_its_priority_and_a_mute_ends_by_itself(page: Page, street: Street) -> None:
    page.add_init_script(
        "window.heard = []; AudioContext.prototype.createOscillator = new Proxy("
        "  AudioContext.prototype.createOscillator,"
        "  { apply: (make, context) => { const made = Reflect.apply(make, context, []);"
        "    setTimeout(() => window.heard.push(made.frequency.value)); return made; } });"
    )
    page.clock.install()
    page.set_viewport_size({"width": 1440, "height": 900})
    high, *others = (
        replace(row, unacknowledged=row.mark is view_parts.Mark.HIGH) for row in samples.ALARMS.rows
    )
    street.show(*others)
    page.goto(street.url)
    page.clock.run_for(1_000)
    page.wait_for_selector("body.is-live")
    # Off until asked for; asking sounds once, as a proof.
    assert page.locator("[data-sound]").get_attribute("data-state") == "off"
    page.keyboard.press("s")
    page.wait_for_selector("[data-sound][data-state=on]")
    page.clock.run_for(100)
    page.evaluate("window.heard.length = 0")
    street.show(high, *others)
    for _ in range(100):
        page.clock.run_for(500)
        if page.evaluate("window.heard.length"):
            break
        page.wait_for_timeout(100)
    assert page.evaluate("window.heard.slice(0, 3)") == [880, 880, 880]
    page.keyboard.press("s")
    page.wait_for_selector("[data-sound][data-state=muted]")
    page.clock.run_for(100)
    page.evaluate("window.heard.length = 0")
    page.clock.run_for(14 * 60_000)
    assert page.evaluate("window.heard") == []
    page.clock.run_for(2 * 60_000)
    page.wait_for_selector("[data-sound][data-state=on]")
    assert page.evaluate("window.heard.length") > 0
