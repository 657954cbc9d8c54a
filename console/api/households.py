"""Homes for programs: an id or a page enters, each home as far as the viewer sees it leaves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query

from console.api.answering import instant
from console.api.asking import (
    LIMIT_DEFAULT,
    Limit,
    Seated,
    entering,
)
from console.api.lists import community_of
from console.api.models import (
    HouseholdItem,
    HouseholdPage,
    answers,
)
from console.loaders import Reader
from console.loaders.households import LoadedHousehold, evidence_kind, inactive_ms, load_households
from console.quiet import quiet_day
from console.scope import Section, Viewer
from console.seat import RefusedError
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role, Stage

router = APIRouter()

#: Without the elder's consent to exact times her family is told parts of a day.
COARSE = timedelta(hours=6)


@router.get("/api/households", **answers(HouseholdPage))
def households(
    seat: Seated, limit: Limit = LIMIT_DEFAULT, after: Annotated[str | None, Query(max_length=100)] = None
) -> dict[str, Any]:
    """List the households the viewer may see, by id."""
    entering(seat, Section.HOUSEHOLDS, Section.FAMILY)
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        rows = connection.execute(
            queries("console")["api_household_ids"],
            {
                "community_id": community_of(seat.viewer),
                "households": _own_of(seat.viewer),
                "after": after,
                "limit": limit + 1,
            },
        ).fetchall()
        ids = [row["id"] for row in rows]
        found = load_households(connection, reader, ids[:limit])
        items = [_household_item(connection, found[key], reader) for key in ids[:limit] if key in found]
    return {"items": items, "next": ids[limit - 1] if len(ids) > limit else None}


@router.get("/api/households/{household_id}", **answers(HouseholdItem))
def household_detail(seat: Seated, household_id: Annotated[str, Path(max_length=100)]) -> dict[str, Any]:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        found = load_households(connection, reader, [household_id]).get(household_id)
        if found is None:
            raise RefusedError(404)
        if seat.viewer.role is Role.PROPERTY_CLERK:
            # Her own people read their own home; whoever works there leaves the trace that the page leaves.
            seat.audit(
                connection, "household_read", purpose="care", object_kind="household", object_id=household_id
            )
        return _household_item(connection, found, reader)


def _own_of(viewer: Viewer) -> list[str] | None:
    """The households a relative's list is cut to; a blocked relative's are in it, as on a quiet day."""
    return sorted(viewer.household_ids | viewer.blocked_ids) if viewer.role is Role.FAMILY else None


def _household_item(connection: Connection, found: LoadedHousehold, reader: Reader) -> dict[str, Any]:
    if found.row["id"] in reader.viewer.blocked_ids:
        found = quiet_day(found, reader)
    row = found.row
    item: dict[str, Any] = {
        "id": row["id"],
        "label": row["label"],
        "building": row["building"],
        "unit": row["unit"],
        "room": row["room"],
        "name": found.name.name or None,
        "watched": found.line is not None,
        "known": None, "not_known_since": None, "inactive_s": None, "stage": None, "check_step": None,
        "last_evidence": None, "last_evidence_kind": None, "absent_until": None, "as_of": None,
        "case": row["case_id"],
    }  # fmt: skip
    consents = _family_consents(connection, row["id"]) if reader.viewer.role is Role.FAMILY else None
    if found.line is None or (consents is not None and "notify_family" not in consents):
        item["watched"] = found.line is not None and consents is None
        return item
    inactive_s = inactive_ms(row, reader.seen_until) // 1000
    evidence_at = row["evidence_at"]
    if consents is not None and "exact_times" not in consents:
        inactive_s = inactive_s // int(COARSE.total_seconds()) * int(COARSE.total_seconds())
        evidence_at = _coarse(evidence_at, reader.zone)
    item.update(
        known=row["known"],
        not_known_since=instant(row["not_known_since"]),
        inactive_s=inactive_s,
        stage=Stage(min(row["stage"], 3)).api_name,
        check_step=row["check_step"],
        last_evidence=instant(evidence_at),
        last_evidence_kind=evidence_kind(row["evidence"]).value,
        # That a home stands empty is told to nobody by the way; her own family declared it.
        absent_until=instant(row["absent_until"]) if reader.viewer.role is Role.FAMILY else None,
        as_of=instant(reader.seen_until),
    )
    return item


def _family_consents(connection: Connection, household_id: str) -> set[str]:
    rows = connection.execute(queries("console")["consents"], {"household_id": household_id}).fetchall()
    return {row["purpose"] for row in rows if row["withdrawn_at"] is None}


def _coarse(at: datetime, zone: str) -> datetime:
    local = at.astimezone(ZoneInfo(zone))
    hours = int(COARSE.total_seconds()) // 3600
    return local.replace(hour=local.hour // hours * hours, minute=0, second=0, microsecond=0)
