"""What would another policy have made of the last weeks? Hours and a purpose enter; numbers and a drawing leave.

The console reads no door for it: it writes down what is asked, and ingest's reader answers with counts alone.
"""

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from psycopg.types.json import Jsonb
from starlette.responses import Response

from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views.look_back import EarlierRow, LookBackPage, LookBackPurpose, Reading, Tried, in_hours
from console.views.parts import Choice
from console.views.parts import Form as FormView
from kaimen.database import Connection, notify, queries
from kaimen.policy import DAY_MS, HOUR_MS
from kaimen.vocabulary import Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.LOOK_BACK))]
_SQL = queries("console", "look_back.sql")
TRIED_MAX = 6
KEPT_MAX = 50
EARLIER_SHOWN = 10
WAITING_MAX = 3
DAYS = (7, 14, 30, 90, 180)
PRESETS = ("20-40-60", "22-46-70", "30-54-78", "36-60-84")
HOURS_MAX = 30 * DAY_MS // HOUR_MS
#: An answer from what is in memory takes milliseconds: wait for it instead of showing a page that waits.
WAIT_S, LOOK_EVERY_S = 1.2, 0.1
REFRESH_S = 1


@router.get("/look-back")
def look_back(
    seat: Guard,
    asked: Annotated[str, Query(max_length=20)] = "",
    community: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Show the form, and the answer to what was asked as far as there is one."""
    places = _places(seat)
    if not asked:
        if community and community not in places:
            raise not_here()
        typed = {"community": community or next(iter(places), ""), "days": "30"}
        return _answer(seat, places, FormView(typed))
    row = _await(seat, places, asked)
    typed = {"community": row["community_id"], "days": str(row["days"]), "purpose": row["purpose"]}
    response = _answer(seat, places, FormView(typed), row=row)
    if row["report"] is None and row["refusal"] is None:
        response.headers["Refresh"] = str(REFRESH_S)
    return response


@router.post("/look-back", dependencies=[CheckedForm])
def ask(
    seat: Guard,
    community: Annotated[str, Form(max_length=100)] = "",
    days: Annotated[str, Form(max_length=4)] = "",
    purpose: Annotated[str, Form(max_length=40)] = "",
    warning: Annotated[str, Form(max_length=8)] = "",
    call: Annotated[str, Form(max_length=8)] = "",
    visit: Annotated[str, Form(max_length=8)] = "",
    preset: Annotated[str, Form(max_length=40)] = "",
    keep: Annotated[tuple[str, ...], Form(max_length=20)] = (),
) -> Response:
    """Write down what is asked, and who asks it for what; the answer is on the page it leads to."""
    places = _places(seat)
    if community not in places:
        raise not_here()
    typed = {
        "community": community, "days": days, "purpose": purpose, "warning": warning, "call": call, "visit": visit
    }  # fmt: skip
    kept = [found for value in keep if (found := _read(value)) is not None]
    errors: dict[str, str] = {}
    if purpose not in set(LookBackPurpose):
        errors["purpose"] = "purpose_missing"
    if days not in {str(number) for number in DAYS}:
        errors["days"] = "not_valid"
    new = _read(preset) if preset else None
    if new is None and (any((warning, call, visit)) or not kept):
        new = _read("-".join(part for part in (warning, call, visit) if part.strip()))
        if new is None:
            errors["warning"] = "hours_rise"
    tried = list(dict.fromkeys([*kept, *([new] if new else [])]))
    if len(tried) > TRIED_MAX:
        errors["keep"] = "look_back_full"
    if errors:
        return _answer(seat, places, FormView(typed, errors), tried=tuple(_tried(item) for item in kept))
    with seat.transaction() as connection:
        waiting = connection.execute(_SQL["count_waiting"], {"community_id": community}).fetchone()
        if waiting is not None and waiting["n"] >= WAITING_MAX:
            busy = FormView(typed, {"": "look_back_busy"})
            return _answer(seat, places, busy, tried=tuple(_tried(item) for item in kept))
        row = connection.execute(
            _SQL["ask"],
            {
                "community_id": community,
                "days": int(days),
                "policies": Jsonb(
                    [
                        {"name": ",".join(f"{in_hours(ms)}h" for ms in item), "thresholds_ms": item}
                        for item in tried
                    ]
                ),
                "purpose": purpose,
                "asked_by": seat.viewer.user_id,
                "asked_at": seat.now,
            },
        ).fetchone()
        assert row is not None
        connection.execute(_SQL["forget_oldest"], {"community_id": community, "kept": KEPT_MAX})
        notify(connection, "kaimen_look_backs")
        seat.audit(
            connection, "policy_looked_back", purpose=purpose, object_kind="community", object_id=community,
            days=int(days), policies=[_tried(item).value for item in tried],
        )  # fmt: skip
    return seat.go(f"/look-back?asked={row['id']}")


def _places(seat: Seat) -> dict[str, str]:
    """Return the names of the communities somebody may ask about, by id: a director's are hers."""
    with seat.transaction() as connection:
        rows = connection.execute(_SQL["communities"]).fetchall()
    viewer = seat.viewer
    if viewer.role is Role.PROPERTY_DIRECTOR:
        return {row["id"]: row["name"] for row in rows if row["id"] in viewer.community_ids}
    return {row["id"]: row["name"] for row in rows if viewer.community_id in (None, row["id"])}


def _await(seat: Seat, places: dict[str, str], asked: str) -> dict[str, Any]:
    """Return what was asked with its answer, which is waited for a moment."""
    if not (asked.isascii() and asked.isdecimal() and int(asked) < 2**63):
        raise not_here()
    until = time.monotonic() + WAIT_S
    while True:
        with seat.transaction() as connection:
            values = {"id": int(asked), "communities": list(places)}
            row = connection.execute(_SQL["asked"], values).fetchone()
        if row is None:
            raise not_here()
        if row["report"] is not None or row["refusal"] or time.monotonic() >= until:
            return row
        time.sleep(LOOK_EVERY_S)


def _read(text: str) -> tuple[int, ...] | None:
    """Read hours that rise, as ``20-40-60``, into milliseconds; None where they are none."""
    try:
        hours = [float(part) for part in text.split("-")]
    except ValueError:
        return None
    if not 1 <= len(hours) <= 3 or not all(0.5 <= hour <= HOURS_MAX for hour in hours):
        return None
    found = tuple(round(hour * 60) * 60_000 for hour in hours)
    return found if all(a < b for a, b in pairwise(found)) else None


def _tried(thresholds_ms: tuple[int, ...]) -> Tried:
    hours = tuple(in_hours(ms) for ms in thresholds_ms)
    return Tried("-".join(hours), hours)


def _answer(
    seat: Seat,
    places: dict[str, str],
    form: FormView,
    *,
    row: dict[str, Any] | None = None,
    tried: tuple[Tried, ...] = (),
) -> Response:
    community_id = form.values["community"]
    report = None if row is None else row["report"]
    if row is not None:
        tried = tuple(_tried(tuple(item["thresholds_ms"])) for item in row["policies"])
    reading = None
    if row is not None and report is None:
        reading = Reading(row["households_done"], row["households_all"], row["refusal"])
    with seat.transaction() as connection:
        page = LookBackPage(
            community_id,
            places.get(community_id, ""),
            tuple(Choice(id_, name) for id_, name in places.items()),
            form,
            tried=tried,
            presets=tuple(Tried(value, tuple(value.split("-"))) for value in PRESETS),
            days_choices=tuple(Choice(str(days), str(days)) for days in DAYS),
            reading=reading,
            report=report,
            until=None if report is None else datetime.fromisoformat(report["until"]),
            earlier=_earlier(connection, community_id),
            room=len(tried) < TRIED_MAX,
        )
        return seat.answer(
            connection, "look_back.html", page, section=Section.LOOK_BACK, status=422 if form.errors else 200,
            live=False,
        )  # fmt: skip


def _earlier(connection: Connection, community_id: str) -> tuple[EarlierRow, ...]:
    rows = connection.execute(_SQL["earlier"], {"community_id": community_id, "rows_max": EARLIER_SHOWN})
    return tuple(
        EarlierRow(
            row["id"], row["asked_at"], row["days"], row["purpose"], row["answered"],
            tuple(_tried(tuple(item["thresholds_ms"])) for item in row["policies"]),
        )
        for row in rows
    )  # fmt: skip
