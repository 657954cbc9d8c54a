"""The whole stack by its one command: a door that stays shut, processes that are killed, stops and second starts.

One demo is prepared for all tests of this file; each test finds it running, or starts it again.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from console.stack.folder import StackFolder, read_json
from console.stack.processes import ProcessMark, is_alive
from console.stack.steering import Steering
from console.stack.story import choose_street, load_choice, save_choice
from console.stack.up import SERVICES
from firmware_sim.control import order
from kaimen.clock import SystemClock, as_ms

pytestmark = [pytest.mark.integration, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
START_WITHIN_S = 420.0
SPEED = 2_880
HOUSEHOLDS = 100
#: How long a test looks at one home of the demo, at the most.
WATCHED_MS = 7 * 86_400_000
PROCESSES = ("postgres", "nats", "edge", "ingest", "alerts", "console", "watchdog", "street")


def eventually(is_so: Callable[[], Any], what: str, within_s: float = 300.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(0.2)
    return found


class Stack:
    """``kaimen up`` as a process, and the API of its console."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.folder = StackFolder(root)
        self.output = root.with_name(f"{root.name}.out")
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.steering = Steering(self.folder)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> Stack:
        if self.is_running:
            return self
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console.cli", "up", "--dir", str(self.folder.root), "--port", "0", *self._arguments],
                cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
            )  # fmt: skip
        eventually(self._said_its_address, "the address is said", START_WITHIN_S)
        return self

    def _said_its_address(self) -> bool:
        assert self.is_running, self.output.read_text()[-4_000:]
        return "http://127.0.0.1:" in self.output.read_text()

    @property
    def url(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", self.output.read_text())
        assert found is not None
        return found.group(0)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def end(self) -> None:
        if self.is_running:
            assert self.process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
            self.process.kill()

    def ask(self, path: str, role: str = "property_clerk") -> Any:
        token = json.loads(self.folder.sign_ins.read_text())[role]["token"]
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=20) as answer:
                return bool(json.load(answer)["ready"])
        except (urllib.error.URLError, OSError):
            return False

    def status_of(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def open_case(self, household_id: str) -> dict[str, Any] | None:
        """The household's open inactivity case; a call for help may stand beside it."""
        items = self.ask("/api/cases?limit=200")["items"]
        return next(
            (
                item
                for item in items
                if item["household"] == household_id
                and item["state"] != "closed"
                and item["cause"] == "inactivity"
            ),
            None,
        )

    def do(self, **command: str) -> dict[str, Any]:
        path = order(self.folder.street_orders, **command)
        found: dict[str, Any] = eventually(lambda: read_json(path), "the street obeys", 30)
        assert found["ok"], found
        return found

    def mark_of(self, name: str) -> ProcessMark:
        found = read_json(self.folder.run / f"{name}.json")
        assert found is not None, name
        return ProcessMark(found["pid"], found["started"], found["boot"])

    def marks(self) -> dict[str, ProcessMark]:
        return {name: self.mark_of(name) for name in PROCESSES}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack") / "demo", "--demo", "--speed", str(SPEED))
    # The street a visitor would see today, with a third of the neighbours nobody watches: the story is the same.
    stack.folder.prepare()
    choice = choose_street(SystemClock().now_ms())
    save_choice(stack.folder, replace(choice, households=HOUSEHOLDS))
    try:
        yield stack.start()
    finally:
        stack.end()


@pytest.fixture
def demo(prepared: Stack) -> Stack:
    """The demo, running and keeping up with its clock."""
    prepared.start()
    eventually(prepared.is_ready, "the demo is ready")
    return prepared


def a_quiet_home(demo: Stack) -> str:
    """A watched home without a case whose gateway is heard, and whose people say nothing of going away.

    Of those the one whose door has been shut for longest: a day of the street takes half a minute.
    """
    choice = load_choice(demo.folder)
    assert choice is not None
    community = choice.make()
    now_ms = as_ms(datetime.fromisoformat(demo.ask("/api/me")["now"]))
    leaving = {
        absence.household_id
        for absence in community.absences
        if absence.to_ms > now_ms and absence.from_ms < now_ms + WATCHED_MS
    }
    quiet: dict[str, float] = {}
    for home in community.watched:
        if home.household_id in leaving:
            continue
        found = demo.ask(f"/api/households/{home.household_id}")
        is_quiet = found["known"] and found["stage"] in (None, "normal") and found["absent_until"] is None
        if is_quiet and found["inactive_s"] < 22 * 3600 and demo.open_case(home.household_id) is None:
            quiet[home.household_id] = found["inactive_s"]
    assert quiet, "no quiet home in the whole street"
    return max(quiet, key=lambda household_id: quiet[household_id])


def test_a_door_that_stays_shut_is_warned_of_called_about_visited_and_opened(demo: Stack) -> None:
    home = a_quiet_home(demo)
    demo.do(do="keep_shut", household=home)
    stages: list[str] = []

    def reached_visit() -> bool:
        case = demo.open_case(home)
        if case is not None and case["stage"] not in (None, *stages[-1:]):
            stages.append(case["stage"])
        return "visit" in stages

    eventually(reached_visit, "a visit", within_s=3.5 * 86_400 / SPEED * 2 + 60)
    assert stages == ["warning", "call", "visit"]
    demo.do(do="release", household=home)
    demo.do(do="open_door", household=home)

    def closed_or_proposed() -> bool:
        case = demo.open_case(home)
        return case is None or demo.ask(f"/api/cases/{case['id']}")["proposal_at"] is not None

    eventually(closed_or_proposed, "the opening proposes to close")


def test_the_demo_begins_with_something_going_on(demo: Stack) -> None:
    items = demo.ask("/api/cases?limit=200")["items"]
    assert {"warning", "call", "visit"} <= {item["stage"] for item in items}
    assert any(item["state"] == "closed" for item in items)
    assert any(item["cause"] == "technical" for item in items)


def test_everybody_may_sign_in_and_the_sign_ins_are_for_the_owner_alone(demo: Stack) -> None:
    sign_ins = json.loads(demo.folder.sign_ins.read_text())
    assert {"property_clerk", "police_officer", "family", "admin"} <= set(sign_ins)
    assert stat.S_IMODE(demo.folder.sign_ins.stat().st_mode) == 0o600
    for role, found in sign_ins.items():
        assert set(found) == {"user", "password", "token"}
        assert demo.ask("/api/me", role)["role"] == role
        assert found["password"] in demo.output.read_text()


def test_doors_of_another_maker_reach_the_database_through_the_edge(demo: Stack) -> None:
    sources = json.loads(demo.folder.edge_devices.read_text())
    assert len(sources) >= 10
    assert all(source["source"].startswith("zigbee2mqtt/") for source in sources)
    told = re.compile(r"^kaimen_edge_\w*frames\w*\{.*zigbee2mqtt.*\} [1-9]", re.MULTILINE)
    eventually(lambda: told.search(_metrics_of(demo, "edge")), "the edge hears a door of another maker")


def _metrics_of(demo: Stack, name: str) -> str:
    environment = Path(f"/proc/{demo.mark_of(name).pid}/environ").read_bytes().split(b"\0")
    port = next(
        item.partition(b"=")[2].decode() for item in environment if item.startswith(b"KAIMEN_METRICS_PORT=")
    )
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_comes_back_and_the_stack_does_its_work_again(demo: Stack, name: str) -> None:
    before = demo.mark_of(name)
    os.kill(before.pid, signal.SIGKILL)
    eventually(lambda: demo.mark_of(name) != before, f"{name} is started again")
    eventually(demo.is_ready, f"the stack is ready without the {name} that was killed")
    assert is_alive(demo.mark_of(name))
    if name in SERVICES:
        # What the console answers says nothing of those it does not need itself.
        eventually(lambda: _is_heard(demo, name), f"the new {name} answers")


def _is_heard(demo: Stack, name: str) -> bool:
    try:
        return bool(_metrics_of(demo, name))
    except (urllib.error.URLError, OSError):
        return False


def test_an_unplugged_gateway_makes_homes_unknown_and_sends_nobody(demo: Stack) -> None:
    choice = load_choice(demo.folder)
    assert choice is not None
    community = choice.make()
    unit = max(
        community.units,
        key=lambda unit: sum(home.gateway_id == unit.gateway_id for home in community.watched),
    )
    homes = [home.household_id for home in community.watched if home.gateway_id == unit.gateway_id]
    known = [home for home in homes if demo.ask(f"/api/households/{home}")["absent_until"] is None]
    before = {home: (demo.open_case(home) or {}).get("stage") for home in known}
    demo.do(do="unplug_gateway", gateway=unit.gateway_id)
    try:
        eventually(
            lambda: not any(demo.ask(f"/api/households/{home}")["known"] for home in known), "all are unknown"
        )
        after = {home: (demo.open_case(home) or {}).get("stage") for home in known}
        raised = [home for home in known if before[home] is None and after[home] == "visit"]
        assert not raised
    finally:
        demo.do(do="plug_gateway", gateway=unit.gateway_id)
    eventually(
        lambda: all(demo.ask(f"/api/households/{home}")["known"] for home in known), "all are known again"
    )


def test_ctrl_c_leaves_no_process_and_a_second_start_goes_on_with_the_data(demo: Stack) -> None:
    marks = demo.marks()
    cases = {item["id"] for item in demo.ask("/api/cases?limit=200")["items"]}
    before_at = demo.ask("/api/me")["now"]
    assert demo.stop() == 0
    assert not [name for name, mark in marks.items() if is_alive(mark)]
    assert not list(demo.folder.run.iterdir())
    stopped = time.monotonic()
    demo.start()
    assert time.monotonic() - stopped < 90
    eventually(demo.is_ready, "the demo is ready again")
    after = demo.ask("/api/me")["now"]
    assert after >= before_at
    assert cases <= {item["id"] for item in _all_cases(demo)}


def _all_cases(demo: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = demo.ask("/api/cases?limit=200")
    while True:
        found += page["items"]
        if not page["next"]:
            return found
        page = demo.ask(f"/api/cases?limit=200&after={page['next']}")


def test_a_killed_supervisor_takes_everything_with_it_and_the_next_start_finds_its_data(demo: Stack) -> None:
    marks = demo.marks()
    newest = max(item["id"] for item in demo.ask("/api/cases?limit=200")["items"])
    assert demo.process is not None
    demo.process.kill()
    demo.process.wait()
    demo.start()
    assert not [name for name, mark in marks.items() if is_alive(mark)]
    eventually(demo.is_ready, "the demo is ready again")
    assert newest in {item["id"] for item in _all_cases(demo)}


def test_a_visitor_breaks_the_demo_from_its_page(demo: Stack) -> None:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def ask(path: str, **fields: str) -> str:
        body = urllib.parse.urlencode(fields).encode() if fields else None
        with browser.open(demo.url + path, body, timeout=30) as answer:
            return str(answer.read().decode())

    def token_in(page: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        assert found is not None
        return found.group(1)

    user = json.loads(demo.folder.sign_ins.read_text())["property_clerk"]
    ask(
        "/sign-in", name=user["user"], password=user["password"], csrf=token_in(ask("/sign-in")), next="/demo"
    )
    page = ask("/demo")
    assert "演示" in page
    csrf = token_in(page)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask("/demo/clock", act="pause", csrf="forged")
    ask("/demo/clock", act="pause", csrf=csrf)
    standing = demo.ask("/api/me")["now"]
    time.sleep(0.3)
    assert demo.ask("/api/me")["now"] == standing
    ask("/demo/clock", act="next_crossing", csrf=csrf)
    eventually(lambda: demo.steering.wish().until_ms is None, "the clock has arrived")
    assert demo.steering.wish().paused
    assert demo.ask("/api/me")["now"] > standing
    ask("/demo/clock", act="play", csrf=csrf)
    gateway = re.search(r'name="target" value="(baihe-g\d+)"', page)
    assert gateway is not None
    assert 'value="plug"' in ask("/demo/act", act="unplug", target=gateway.group(1), csrf=csrf)
    ask("/demo/act", act="plug", target=gateway.group(1), csrf=csrf)
    before = demo.mark_of("ingest")
    ask("/demo/act", act="kill_ingest", csrf=csrf)
    eventually(lambda: demo.mark_of("ingest") != before, "ingest is started again")


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", "up", *arguments], cwd=REPOSITORY, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stderr


def test_a_second_start_in_the_same_directory_is_refused(demo: Stack) -> None:
    assert "in use by process" in refused("--demo", "--dir", str(demo.folder.root), "--port", "0")


def test_a_demo_never_becomes_production(demo: Stack) -> None:
    demo.stop()
    told = refused("--dir", str(demo.folder.root), "--port", "0", "--mqtt-port", "0")
    assert "stays one" in told


def test_a_demo_opens_nothing_beyond_this_machine() -> None:
    assert "this machine alone" in refused("--demo", "--host", "0.0.0.0")
    assert "this machine alone" in refused("--demo", "--mqtt-host", "0.0.0.0")
    assert "TLS" in refused("--mqtt-host", "0.0.0.0")
    assert "demo" in refused("--speed", "60")


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "data", "--mqtt-port", "0")
    try:
        yield stack.start()
    finally:
        stack.end()


def test_an_installation_lives_by_the_machines_clock_and_says_its_first_sign_in_once(
    production: Stack,
) -> None:
    said = production.output.read_text()
    assert re.search(r"first sign-in, said only now: +admin +\S{20}", said)
    eventually(production.is_ready, "the installation is ready")
    assert production.status_of("/demo") in (303, 404)
    assert production.status_of("/sign-in") == 200
    assert not production.folder.clock.exists()
    assert not production.folder.sign_ins.exists()
    assert production.stop() == 0
    production.start()
    assert "first sign-in" not in production.output.read_text()
    eventually(production.is_ready, "the installation is ready again")
    production.stop()
    assert "stays one" in refused("--demo", "--dir", str(production.folder.root), "--port", "0")
