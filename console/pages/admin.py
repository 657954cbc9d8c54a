"""Administration: people who sign in, services and the chain of the audit; nobody's data."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from alerts.duty.readiness import Gap
from alerts.duty.store import load_gaps
from console.audit.chain import CHAIN_CHECKED_MAX, verify
from console.pages.quarantine import load_waiting
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views import admin as admin_views
from console.views import parts as view_parts
from console.views.communities import Step
from kaimen import __version__
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ADMIN))]
UserName = Annotated[str, Path(max_length=64)]
SERVICES = ("ingest", "alerts")


@router.get("/admin")
def admin(seat: Guard) -> Response:
    with seat.transaction() as connection:
        page = _load(connection, seat)
        return seat.answer(connection, "admin.html", page, section=Section.ADMIN)


def _load(connection: Connection, seat: Seat) -> admin_views.AdminPage:
    sql = queries("console")
    users = connection.execute(sql["users"], {"community_id": seat.viewer.community_id}).fetchall()
    installation = connection.execute(sql["installation"]).fetchone()
    storage = connection.execute(sql["storage"]).fetchone()
    summary = connection.execute(sql["audit_summary"]).fetchone()
    assert summary is not None and storage is not None
    gaps = _load_gaps(connection, seat)
    checked = summary["count"] <= CHAIN_CHECKED_MAX
    return admin_views.AdminPage(
        users=tuple(
            admin_views.UserRow(
                row["name"], row["display_name"], Role(row["role"]), row["created_at"], row["seen_at"],
                row["disabled_at"], _act_on(row, seat),
            )
            for row in users
        ),
        services=load_services(connection, seat),
        installation=installation["kind"] if installation else "production",
        installed_at=installation["created_at"] if installation else seat.now,
        version=__version__,
        storage=storage["tier"],
        duty_gaps=None if gaps is None else len(gaps),
        quarantine_waiting=load_waiting(connection, seat.viewer.community_id),
        audit_ok=verify(connection, key=seat.services.audit_key).sound if checked else None,
        audit_count=summary["count"],
        audit_checked_at=seat.now if checked else None,
        steps=_load_steps(connection, seat, gaps),
        adds_communities=seat.viewer.community_id is None,
    )  # fmt: skip


def _load_steps(connection: Connection, seat: Seat, gaps: list[Gap] | None) -> tuple[Step, ...]:
    """Return what an installation needs before somebody is watched and reached, in this order; none once all is there."""
    if seat.viewer.community_id is not None:
        return ()
    found = connection.execute(queries("console")["first_steps"]).fetchone()
    assert found is not None
    sites = connection.execute(queries("console", "duty.sql")["communities"]).fetchall()
    planned = (
        gaps
        if gaps is not None
        else [gap for row in sites for gap in load_gaps(connection, row["id"], now=seat.now)]
    )
    steps = (
        Step("community", found["has_site"], "/admin/communities/new"),
        Step("desk", found["has_clerk"], "/admin/people/new"),
        Step("homes", found["has_home"]),
        Step("watched", found["is_watched"]),
        Step("channels", found["has_channel"], "/admin/channels"),
        Step("duty", bool(sites) and not planned, "/duty" if sites else ""),
    )
    return () if all(step.done for step in steps) else steps


def _load_gaps(connection: Connection, seat: Seat) -> list[Gap] | None:
    """Return the stretches of the next fourteen days with nobody to reach; None where nobody is looked after yet."""
    own = seat.viewer.community_id
    rows = connection.execute(queries("console", "duty.sql")["answering_communities"]).fetchall()
    places = [row["id"] for row in rows if own in (None, row["id"])]
    return [gap for place in places for gap in load_gaps(connection, place, now=seat.now)] if places else None


def _act_on(row: dict[str, Any], seat: Seat) -> view_parts.Act | None:
    """Disable or enable; nobody herself, and nobody of another community."""
    elsewhere = seat.viewer.community_id is not None and row["community_id"] != seat.viewer.community_id
    if row["id"] == seat.viewer.user_id or elsewhere:
        return None
    name = "disable" if row["disabled_at"] is None else "enable"
    return view_parts.Act(name, f"/admin/users/{quote(row['name'], safe='')}/{name}", post=True)


def load_services(connection: Connection, seat: Seat) -> tuple[admin_views.ServiceRow, ...]:
    """Return how far each service has done its work; healthy is half a minute of a person's time."""
    rows = {row["service"]: row for row in connection.execute(queries("console")["progress"]).fetchall()}
    return tuple(_service(name, rows.get(name), seat) for name in dict.fromkeys((*SERVICES, *rows)))


def _service(name: str, row: dict[str, Any] | None, seat: Seat) -> admin_views.ServiceRow:
    if row is None:
        return admin_views.ServiceRow(name, None, 0, 0, False)
    at: datetime = row["at"]
    behind_ms = max(0, round((seat.now - at).total_seconds() * 1000))
    # What a person waits: a scaled clock makes every lag look long.
    waited_s = seat.services.clock.wall_seconds(behind_ms)
    waited_ms = round(1000 * waited_s) if isfinite(waited_s) else behind_ms
    return admin_views.ServiceRow(name, at, row["turn"], waited_ms, waited_ms <= 30_000)


@router.post("/admin/users/{name}/disable", dependencies=[CheckedForm])
def disable(seat: Guard, name: UserName) -> Response:
    """Let somebody sign in no more and end the sessions there are; nobody disables herself."""
    return _change(seat, name, "user_disable", "user_disabled")


@router.post("/admin/users/{name}/enable", dependencies=[CheckedForm])
def enable(seat: Guard, name: UserName) -> Response:
    return _change(seat, name, "user_enable", "user_enabled")


def _change(seat: Seat, name: str, statement: str, action: str) -> Response:
    sql = queries("console")
    with seat.transaction() as connection:
        row = connection.execute(
            sql[statement],
            {
                "name": name,
                "now": seat.now,
                "user_id": seat.viewer.user_id,
                "community_id": seat.viewer.community_id,
            },
        ).fetchone()
        if row is None:
            raise not_here()
        connection.execute(sql["sessions_of_user_end"], {"user_id": row["id"]})
        seat.audit(connection, action, purpose="administration", object_kind="user", object_id=str(row["id"]))
    return seat.go("/admin", f"notice.{action}")
