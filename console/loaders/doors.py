"""Facts of doors and dwellings: a reader enters; what needs a look, the rental board and news of home leave."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from console.loaders import Reader
from console.scope import mask_name
from console.views.doors import (
    DenialRow,
    HomeNews,
    PresenceView,
    RentalRow,
    RentalsPage,
    SignalRow,
    SignalsPage,
)
from kaimen.database import Connection, queries
from kaimen.vocabulary import CaseState, Role, SignalKind

ROWS_MAX = 200
DENIALS_MAX = 30
ENDING_WITHIN = timedelta(days=30)
NEWS_SHOWN_FOR = timedelta(days=1)
#: Kinds about doors; those about dwellings stand on the rental board.
DOOR_KINDS = (
    SignalKind.SOS, SignalKind.DURESS, SignalKind.DOOR_FORCED, SignalKind.DOOR_HELD, SignalKind.STRANGER_DENIALS,
    SignalKind.EXPIRED_PASS, SignalKind.CANCELLED_CARD, SignalKind.DEVICE_FAULT, SignalKind.BATTERY_LOW,
)  # fmt: skip
#: Of these one without an end still holds, however old.
STANDING_KINDS = (
    SignalKind.DOOR_FORCED, SignalKind.DOOR_HELD, SignalKind.DEVICE_FAULT, SignalKind.BATTERY_LOW,
)  # fmt: skip
#: Calls for help are a matter between her and who helps her: police learn of them by hand-over.
_NOT_FOR_POLICE = frozenset(
    {SignalKind.SOS, SignalKind.DURESS, SignalKind.DEVICE_FAULT, SignalKind.BATTERY_LOW}
)


def load_signals(connection: Connection, reader: Reader, *, days: int) -> tuple[SignalsPage, list[str]]:
    """Return what needs a look, and the households it names; police see doors, never homes."""
    sql = queries("console", "doors.sql")
    is_police = reader.viewer.role is Role.POLICE_OFFICER
    since = reader.day_begin - timedelta(days=days - 1)
    span = {"community_id": reader.viewer.community_id, "since": since, "now": reader.now}
    kinds = [kind.value for kind in DOOR_KINDS if not (is_police and kind in _NOT_FOR_POLICE)]
    rows = connection.execute(
        sql["signals"],
        {**span, "kinds": kinds, "standing": [kind.value for kind in STANDING_KINDS], "limit": ROWS_MAX + 1},
    ).fetchall()
    denials = connection.execute(sql["denials"], {**span, "limit": DENIALS_MAX}).fetchall()
    shown = rows[:ROWS_MAX]
    page = SignalsPage(
        rows=tuple(
            SignalRow(
                kind=row["kind"],
                at=row["at"],
                door=row["place"] or row["device_id"] or "",
                home="" if is_police else row["label"] or "",
                count=int(row["evidence"].get("count", 1)),
                accepted=bool(row["evidence"].get("accepted")),
                late=bool(row["evidence"].get("late")),
                ended_at=row["ended_at"],
                end=row["reason"] or "",
                log_url=None if is_police else _log_url(row["device_id"], row["at"], reader),
                **({} if is_police else _case_of(row)),
            )
            for row in shown
        ),
        denials=tuple(
            DenialRow(
                row["place"] or row["id"], row["denied"], row["unknown"], row["last_at"],
                None if is_police else f"/access-log?{urlencode({'door': row['id'], 'type': 'Denied'})}",
            )
            for row in denials
        ),
        days=days,
        standing=sum(row["kind"] in STANDING_KINDS and row["ended_at"] is None for row in shown),
        cut=len(rows) > ROWS_MAX,
    )  # fmt: skip
    named = [] if is_police else sorted({row["household_id"] for row in shown if row["household_id"]})
    return page, named


def _case_of(row: dict[str, Any]) -> dict[str, Any]:
    """Who has it: the case a fact opened or joined. Police learn of cases by their own page alone."""
    if row["case_id"] is None:
        return {}
    return {
        "case_number": row["case_number"],
        "case_url": f"/cases/{row['case_id']}",
        "case_closed": row["case_state"] == CaseState.CLOSED,
        "case_holder": row["case_holder"],
    }


def _log_url(device_id: str | None, at: datetime, reader: Reader) -> str | None:
    if device_id is None:
        return None
    local_at = at.astimezone(ZoneInfo(reader.zone))
    local = (local_at - timedelta(minutes=30), local_at + timedelta(minutes=30))
    return "/access-log?" + urlencode(
        {"door": device_id, "from": f"{local[0]:%Y-%m-%dT%H:%M}", "to": f"{local[1]:%Y-%m-%dT%H:%M}"}
    )


def load_rentals(connection: Connection, reader: Reader) -> tuple[RentalsPage, list[str]]:
    """Return the rental board, and the households it names."""
    is_police = reader.viewer.role is Role.POLICE_OFFICER
    sql = queries("console", "doors.sql")
    args = {
        "community_id": reader.viewer.community_id, "now": reader.now, "soon": reader.now + ENDING_WITHIN,
        "limit": ROWS_MAX + 1,
    }  # fmt: skip
    counts = connection.execute(sql["rental_counts"], args).fetchone()
    assert counts is not None
    rows = connection.execute(sql["rentals"], args).fetchall()
    shown = rows[:ROWS_MAX]
    ids = sorted({row["household_id"] for row in shown})
    names: dict[str, list[str]] = {}
    for person in connection.execute(sql["residents"], {"ids": ids}).fetchall():
        names.setdefault(person["household_id"], []).append(mask_name(person["name"]))
    page = RentalsPage(
        counts["let"],
        counts["with_lease"],
        counts["ending"],
        counts["empty"],
        tuple(
            RentalRow(
                row["label"], row["why"], row["since"], row["to_at"], row["occupants"], row["evidence"].get("in_use"),
                tuple(names.get(row["household_id"], ())),
                **({} if is_police else _case_of(row) | {"url": f"/households/{row['household_id']}"}),
            )
            for row in shown
        ),
        len(rows) > ROWS_MAX,
    )  # fmt: skip
    return page, ids


def load_presence(connection: Connection, household_id: str) -> PresenceView | None:
    """Return the derived presence of a household; only for a reader whose reveal was written down."""
    row = connection.execute(
        queries("console", "doors.sql")["presence"], {"household_id": household_id}
    ).fetchone()
    return None if row is None else PresenceView(row["state"], row["reason"], row["since_at"], row["as_of"])


def load_home_news(connection: Connection, reader: Reader, household_id: str, *, exact: bool) -> HomeNews:
    """Return what one relative may know of coming home, and what she chose to be told."""
    row = connection.execute(
        queries("console", "doors.sql")["home_news"],
        {
            "household_id": household_id, "user_id": reader.viewer.user_id, "now": reader.now,
            "since": reader.now - NEWS_SHOWN_FOR,
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    chosen = bool(row["came_home"])
    missed_at = row["missed_at"] if row["not_home"] else None
    came_at = row["came_home_at"]
    # Who was told that nobody is home is owed the end of it.
    came_afterwards = None not in (missed_at, came_at) and came_at >= missed_at
    return HomeNews(
        came_home_at=came_at if chosen or came_afterwards else None,
        presumed=row["came_home_by"] != "own_credential",
        exact=exact,
        missed_at=missed_at,
        missed_by="" if row["missed_known"] else row["missed_reason"] or "door_not_known",
        came_home=chosen,
        not_home=bool(row["not_home"]),
        by_time=f"{row['by_time']:%H:%M}" if row["by_time"] else "",
    )
