"""The demo's page: a visitor's hands enter; real orders to the street, the clock and the processes leave.

Nothing here pretends: a door is opened by the simulated controller, a gateway loses its cable, a service is killed
with SIGKILL and started again by the supervisor. In a real installation none of these addresses exist.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import HTMLResponse, Response

from console.loaders.buildings import load_street
from console.loaders.households import load_households
from console.pages.sign_in import load_demo_users
from console.rendering import UnknownFragmentError, render
from console.seat import CheckedForm, RefusedError, Seat, SignedIn, make_shell, not_here
from console.services import services_of
from console.stack.folder import StackFolder, read_json
from console.stack.processes import ProcessMark, is_alive
from console.stack.steering import Steering
from console.stream import Change
from console.views import case as case_views
from console.views import demo as demo_views
from console.views import parts as view_parts
from firmware_sim.control import order
from firmware_sim.street import Snapshot
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.policy import THRESHOLDS_DEFAULT_MS

ANSWER_WITHIN_S = 2.0
ACTS_SHOWN_MAX = 8
SERVICES = ("edge", "ingest", "alerts", "console", "nats", "postgres", "street")


def in_demo(request: Request) -> StackFolder:
    """Return the demo's directory; what is no demo has no such page."""
    settings = services_of(request).settings
    if not settings.demo or settings.stack_dir is None:
        raise not_here()
    return StackFolder(Path(settings.stack_dir))


router = APIRouter()
Folder = Annotated[StackFolder, Depends(in_demo)]


# --- The page ----------------------------------------------------------------------------------------------------

_acts: deque[case_views.TimelineEntry] = deque(maxlen=ACTS_SHOWN_MAX)


@router.get("/demo")
def demo(
    folder: Folder,
    seat: SignedIn,
    home: Annotated[str, Query(max_length=100)] = "",
    fragment: str | None = None,
) -> Response:
    with seat.transaction() as connection:
        page = _load_page(connection, seat, folder, home)
        shell = replace(make_shell(seat, connection, section=None), stream_url="/stream")
    try:
        return HTMLResponse(render("demo.html", shell=shell, page=page, fragment=fragment))
    except UnknownFragmentError as error:
        raise not_here() from error


def _load_page(connection: Connection, seat: Seat, folder: StackFolder, home: str) -> demo_views.DemoPage:
    reader = seat.reader(connection)
    scope = {"community_id": seat.viewer.community_id}
    sql = queries("console.stack")
    hands = load_hands(folder)
    unheard = {row["household_id"] for row in connection.execute(sql["unheard_homes"]).fetchall()}
    buildings = _with_hands(load_street(connection, reader, base="/demo?home="), hands, unheard)
    selected = _find_home(buildings, home)
    if selected is not None:
        seen = load_households(connection, reader, [selected.household_id]).get(selected.household_id)
        selected = replace(selected, line=seen.line if seen is not None else None)
    crossing = find_next_crossing(connection, seat.viewer.community_id, seat.now)
    count = connection.execute(sql["open_cases"], scope).fetchone()
    wish = Steering(folder).wish()
    return demo_views.DemoPage(
        buildings=buildings,
        speed=wish.effective_speed or wish.speed,
        paused=wish.paused and wish.until_ms is None,
        next_crossing_at=crossing.at if crossing else None,
        next_crossing_label=crossing.label if crossing else None,
        selected=selected,
        ingest_running=is_running(folder, "ingest"),
        acts=tuple(reversed(_acts)),
        open_cases=count["count"] if count else 0,
        users=load_demo_users(seat.services),
    )


@dataclass(frozen=True, slots=True)
class Hands:
    """What people are doing to the street: doors kept shut, gateways unplugged."""

    shut: frozenset[str] = frozenset()
    unplugged: frozenset[str] = frozenset()


def load_hands(folder: StackFolder) -> Hands:
    """Read from the street's own snapshot what stands."""
    if not folder.street_state.exists():
        return Hands()
    address = f"file:{folder.street_state}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=2)) as database:
        row = database.execute("SELECT value FROM street WHERE name = 'snapshot'").fetchone()
    if row is None:
        return Hands()
    snapshot = msgspec.msgpack.decode(row[0], type=Snapshot)
    return Hands(frozenset(snapshot.shut), frozenset(snapshot.unplugged))


def _with_hands(
    buildings: tuple[demo_views.Building, ...], hands: Hands, unheard: set[str]
) -> tuple[demo_views.Building, ...]:
    return tuple(
        replace(
            building,
            units=tuple(
                replace(
                    unit,
                    gateway_known=unit.gateway_id not in hands.unplugged,
                    homes=tuple(_with_home_hands(home, hands, unheard) for home in unit.homes),
                )
                for unit in building.units
            ),
        )
        for building in buildings
    )


def _with_home_hands(home: demo_views.Home, hands: Hands, unheard: set[str]) -> demo_views.Home:
    unseen = home.mark is view_parts.Mark.NORMAL and home.household_id in unheard
    return replace(
        home,
        kept_shut=home.household_id in hands.shut,
        mark=view_parts.Mark.UNKNOWN if unseen else home.mark,
    )


def _find_home(buildings: tuple[demo_views.Building, ...], household_id: str) -> demo_views.Home | None:
    homes = (home for building in buildings for unit in building.units for home in unit.homes)
    return next((home for home in homes if home.household_id == household_id), None)


# --- The clock ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NextCrossing:
    """Where and when a door will have been shut for the next whole threshold, if nobody opens it."""

    at: datetime
    label: str


def find_next_crossing(
    connection: Connection, community_id: str | None, now: datetime
) -> NextCrossing | None:
    """Return the earliest crossing that is still ahead, as far as is known now."""
    rows = connection.execute(
        queries("console.stack")["next_crossings"], {"community_id": community_id, "now": now}
    ).fetchall()
    ahead = [(at_ms, row["label"]) for row in rows if (at_ms := _crossing_ms(row, as_ms(now))) is not None]
    if not ahead:
        return None
    at_ms, label = min(ahead)
    return NextCrossing(as_datetime(at_ms), label)


def _crossing_ms(row: dict[str, Any], now_ms: int) -> int | None:
    thresholds = [1000 * s for s in row["thresholds_s"]] if row["thresholds_s"] else THRESHOLDS_DEFAULT_MS
    begun_ms = as_ms(row["anchor_at"]) - int(row["base_ms"])
    return next((begun_ms + span for span in thresholds if begun_ms + span > now_ms), None)


@router.post("/demo/clock", dependencies=[CheckedForm])
def steer(
    folder: Folder,
    seat: SignedIn,
    act: Annotated[str, Form(max_length=20)] = "",
    speed: Annotated[float, Form()] = 0.0,
) -> Response:
    steering = Steering(folder)
    if act == "play":
        steering.play()
    elif act == "pause":
        steering.pause()
    elif act == "speed":
        _choose_speed(steering, speed)
    elif act == "next_crossing":
        with seat.transaction() as connection:
            crossing = find_next_crossing(connection, seat.viewer.community_id, seat.now)
        if crossing is None:
            raise RefusedError(409, "not_possible_now")
        steering.travel_to(as_ms(crossing.at))
    else:
        raise RefusedError(422, "not_valid")
    _tell(seat, act)
    return seat.go("/demo")


def _choose_speed(steering: Steering, speed: float) -> None:
    try:
        steering.set_speed(speed)
    except ValueError as error:
        raise RefusedError(422, "not_valid") from error


def _tell(seat: Seat, act: str, **args: str) -> None:
    """Note an act for everybody who looks at the page, and let their pages ask again."""
    _acts.append(case_views.TimelineEntry(seat.now, view_parts.Phrase(f"demo.did.{act}", args)))
    seat.services.hub.publish_soon([Change("demo")])


# --- The street and the processes --------------------------------------------------------------------------------


@router.post("/demo/act", dependencies=[CheckedForm])
def act(
    folder: Folder,
    seat: SignedIn,
    act: Annotated[str, Form(max_length=20)] = "",
    target: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    if act in ("open", "shut"):
        return _act_on_home(folder, seat, act, target)
    if act in ("unplug", "plug"):
        _order(folder, do=f"{act}_gateway", gateway=target)
        _tell(seat, act, target=target)
    elif act in ("kill", "kill_ingest"):
        kill(folder, "ingest" if act == "kill_ingest" else target)
        _tell(seat, "kill", target="ingest" if act == "kill_ingest" else target)
    elif act == "start_ingest":
        wake_supervisor(folder)
        _tell(seat, "start")
    else:
        raise RefusedError(422, "not_valid")
    return seat.go("/demo")


def _act_on_home(folder: StackFolder, seat: Seat, act: str, household_id: str) -> Response:
    kept_shut = household_id in load_hands(folder).shut
    if act == "open":
        _order(folder, do="open_door", household=household_id)
    elif kept_shut:
        act = "unshut"
        _order(folder, do="release", household=household_id)
    else:
        _order(folder, do="keep_shut", household=household_id)
    _tell(seat, act, label=_label_of(seat, household_id))
    return seat.go(f"/demo?home={household_id}")


def _label_of(seat: Seat, household_id: str) -> str:
    with seat.transaction() as connection:
        row = connection.execute("SELECT label FROM households WHERE id = %s", (household_id,)).fetchone()
    return str(row["label"]) if row else ""


def _order(folder: StackFolder, **command: str) -> None:
    """Give the street an order and wait for its answer; an order it refuses is refused here."""
    answer_path = order(folder.street_orders, **command)
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while time.monotonic() < deadline:
        answer = read_json(answer_path)
        if answer is not None:
            answer_path.unlink(missing_ok=True)
            if not answer["ok"]:
                raise not_here()
            return
        time.sleep(0.02)
    raise RefusedError(503)


def _mark(folder: StackFolder, name: str) -> ProcessMark | None:
    found = read_json(folder.run / f"{name}.json")
    return None if found is None else ProcessMark(found["pid"], found["started"], found["boot"])


def is_running(folder: StackFolder, name: str) -> bool:
    """Say whether a supervised process runs now."""
    mark = _mark(folder, name)
    return mark is not None and is_alive(mark)


def kill(folder: StackFolder, name: str) -> None:
    """End a supervised process as a power cut would; the supervisor starts it again."""
    mark = _mark(folder, name) if name in SERVICES else None
    if mark is None or not is_alive(mark):
        raise RefusedError(409, "not_possible_now")
    os.kill(mark.pid, signal.SIGKILL)


def wake_supervisor(folder: StackFolder) -> None:
    """Let the supervisor start at once what it would start a little later."""
    try:
        os.kill(int((folder.root / "lock").read_text()), signal.SIGUSR1)
    except (OSError, ValueError) as error:
        raise RefusedError(409, "not_possible_now") from error
