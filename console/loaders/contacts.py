"""Whom to ask about a home: rows enter; people leave, named as far as this reader may know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.loaders import Reader
from console.loaders.cases import LoadedCase
from console.scope import (
    Sight,
    show_name,
)
from console.views.parts import Contact
from kaimen.database import Connection, queries
from kaimen.policy import CAUSE_LADDERS


def load_contacts(connection: Connection, reader: Reader, case: LoadedCase) -> tuple[Contact, ...]:
    """Whom to ask, in order; telephone numbers stand on the task's page only, for whoever has the task."""
    if case.row["household_id"] is None or hides_place(case):
        return ()
    values = {"ids": [case.row["household_id"]], "now": reader.now}
    rows = connection.execute(queries("console")["contacts"], values).fetchall()
    return tuple(contact_of(row, named=case.sight >= Sight.NAMED, with_phone=False) for row in rows)


def hides_place(case: LoadedCase) -> bool:
    """Say whether nobody of the household, and nobody who may stand at that door, is to learn of the case."""
    ladder = CAUSE_LADDERS.get(case.facts.cause.value)
    return ladder is not None and ladder.hides_place


def contact_of(row: Mapping[str, Any], *, named: bool, with_phone: bool) -> Contact:
    # A helper is asked by her name: it is on the roster in the stairwell. Families stay masked.
    known = named or row["role"] != "family"
    return Contact(
        name=show_name(row["name"] or "", Sight.NAMED if known else Sight.MASKED) if row["name"] else "",
        role=row["role"],
        relation=row["relation_words"],
        phone=row["phone"] if with_phone else None,
        phone_kept=bool(row["phone"]) and not with_phone,
        phone_changed=bool(row["phone"]) and row["number_changed"],
    )
