"""What the watchdog found, for whoever mends it; and, where nobody can be reached, the list of whom to ring by hand."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from alerts.watchdog.rules import Check
from alerts.watchdog.words import mend, title
from console.loaders.contacts import contact_of
from console.scope import Section
from console.seat import WATCHDOG_SILENT_AFTER, Seat, entering
from console.views import guard as guard_views
from console.views import parts as view_parts
from kaimen.database import Connection, queries

router = APIRouter()
_SQL = queries("console", "guard.sql")
Mending = Annotated[Seat, Depends(entering(Section.ADMIN, Section.ALARMS))]
Desk = Annotated[Seat, Depends(entering(Section.ALARMS))]
ENDED_MAX = 30
CALLS_MAX = 200
SUBJECTS_MAX = 8


@router.get("/watchdog")
def watchdog(seat: Mending) -> Response:
    with seat.transaction() as connection:
        beat = connection.execute(_SQL["beat"]).fetchone() or {}
        turned_at = beat.get("turned_at")
        page = guard_views.WatchdogPage(
            standing=_grouped(connection.execute(_SQL["standing"]).fetchall(), seat.language),
            ended=tuple(
                _row([row], seat.language)
                for row in connection.execute(_SQL["ended"], {"limit": ENDED_MAX}).fetchall()
            ),
            turned_at=turned_at,
            silent=turned_at is None or seat.services.wall_now() - turned_at > WATCHDOG_SILENT_AFTER,
            has_channel=bool(beat.get("has_channel")),
            has_ping=bool(beat.get("has_ping")),
            told_at=beat.get("told_at"),
            pinged_at=beat.get("pinged_at"),
        )
        return seat.answer(connection, "watchdog.html", page, live=False)


def _grouped(rows: list[dict[str, Any]], language: str) -> tuple[guard_views.FindingRow, ...]:
    by_check: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_check[row["check_name"]].append(row)
    return tuple(_row(found, language) for found in by_check.values())


def _row(rows: list[dict[str, Any]], language: str) -> guard_views.FindingRow:
    check = Check(rows[0]["check_name"])
    return guard_views.FindingRow(
        title(check, language), mend(check, language),
        tuple(row["subject"] for row in rows[:SUBJECTS_MAX] if row["subject"]), rows[0]["suspected_at"],
        rows[0]["ended_at"], max(row["told_count"] for row in rows),
    )  # fmt: skip


@router.get("/watchdog/call-list")
def call_list(seat: Desk) -> Response:
    """Names and numbers in full, because somebody has to ring them from paper; who printed it is written down."""
    with seat.transaction() as connection:
        rows = _load_calls(connection, seat)
        shown = tuple(_call(row, contacts) for row, contacts in rows)
        total = rows[0][0]["total"] if rows else 0
        colleagues = connection.execute(
            _SQL["colleagues"], {"community_id": seat.viewer.community_id}
        ).fetchall()
        page = guard_views.CallListPage(
            shown,
            tuple(
                guard_views.Colleague(row["display_name"], row["role"], row["phone"]) for row in colleagues
            ),
            seat.now,
            seat.viewer.display_name,
            more=max(0, total - len(shown)),
        )
        seat.audit(
            connection, "call_list_printed", purpose="call", object_kind="community",
            object_id=str(seat.viewer.community_id),
            households=sorted({row["household_id"] for row, _ in rows if row["household_id"]}),
        )  # fmt: skip
        return seat.answer(connection, "call_list.html", page, section=Section.ALARMS, live=False)


def _load_calls(
    connection: Connection, seat: Seat
) -> list[tuple[dict[str, Any], tuple[view_parts.Contact, ...]]]:
    rows = connection.execute(
        _SQL["must_be_called"], {"community_id": seat.viewer.community_id, "limit": CALLS_MAX}
    ).fetchall()
    ids = [row["household_id"] for row in rows if row["household_id"]]
    contacts: dict[str, list[view_parts.Contact]] = defaultdict(list)
    for row in connection.execute(queries("console")["contacts"], {"ids": ids, "now": seat.now}).fetchall():
        contacts[row["household_id"]].append(contact_of(row, named=True, with_phone=True))
    return [(row, tuple(contacts[row["household_id"] or ""])) for row in rows]


def _call(row: dict[str, Any], contacts: tuple[view_parts.Contact, ...]) -> guard_views.CallRow:
    household = None
    if row["household_id"]:
        household = view_parts.HouseholdName(id=row["household_id"], label=row["label"])
    return guard_views.CallRow(
        row["number"], household, row["name"] or "", row["phone"], row["due_at"], contacts
    )
