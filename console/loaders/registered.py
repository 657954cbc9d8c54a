"""What the books hold of a home: a home and a reader enter; members, lease, cards, helpers and visits leave, masked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from zoneinfo import ZoneInfo

from console.loaders import Reader
from console.scope import mask_name
from console.views.household import CardLine, LeaseLine, MemberLine, Registered
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

_SQL = queries("console", "registered.sql")
#: One of each stands behind every watched door (三员联动).
HELPERS = (Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN)
CARDS_MAX = 20


def load_registered(
    connection: Connection, reader: Reader, household_id: str, helper_roles: Collection[str]
) -> Registered:
    """Return what the books hold of a home; ``helper_roles`` are those somebody has for it."""
    local = reader.now.astimezone(ZoneInfo(reader.zone))
    month_begin = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    values: dict[str, Any] = {"household_id": household_id, "now": reader.now, "month_begin": month_begin}
    members = connection.execute(_SQL["residents"], values).fetchall()
    lease = connection.execute(_SQL["lease"], values).fetchone()
    cards = connection.execute(_SQL["cards"], values).fetchall()
    visits = connection.execute(_SQL["visits"], values).fetchone()
    assert visits is not None
    return Registered(
        members=tuple(
            MemberLine(mask_name(row["name"] or ""), row["birth_year"], row["category"] or "", row["hard_of_hearing"])
            for row in members
        ),
        lease=None
        if lease is None
        else LeaseLine(
            lease["from_at"], lease["to_at"], lease["occupants"], lease["registration"], lease["recorded_at"],
            holds=lease["from_at"] <= reader.now and (lease["to_at"] is None or lease["to_at"] > reader.now),
        ),
        cards=tuple(
            CardLine(row["ending"], row["class"], row["valid_to"], row["lost_at"], row["holds"])
            for row in cards[:CARDS_MAX]
        ),
        more_cards=len(cards) > CARDS_MAX,
        missing_helpers=tuple(role for role in HELPERS if role.value not in helper_roles),
        visits_asked=visits["asked"],
        visits_done=visits["done"],
        last_visit_at=visits["last_at"],
    )  # fmt: skip
