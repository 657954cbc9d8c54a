"""A community's duty line: its office enters number and hours; whoever stands at a door, waits or asks reads them."""

from __future__ import annotations

import re
from datetime import datetime

from alerts.voice.gateway import InvalidNumberError, dialled
from console.views.parts import DutyLine
from kaimen.database import Connection, queries

_SQL = queries("console", "duty_line.sql")
HOURS_LENGTH_MAX = 40
_PHONE_LENGTH_MAX = 30
#: A mobile number of the mainland: nobody's own is shown to families because somebody on duty has it.
_MOBILE = re.compile(r"(?:\+?86)?1[3-9]\d{9}")


def load_duty_line(
    connection: Connection, *, household_id: str | None = None, community_id: str | None = None
) -> DutyLine | None:
    """Return the duty line of a home's community, or of the one named; None where its office gave none."""
    asked = {"household_id": household_id, "community_id": community_id}
    row = connection.execute(_SQL["duty_line"], asked).fetchone()
    return None if row is None else DutyLine(row["phone"], row["hours"], row["hours_en"] or "")


def check_duty_line(connection: Connection, line: DutyLine) -> dict[str, str]:
    """Say what is wrong with a line as typed, field to error word; nothing: it may be kept."""
    errors = {}
    try:
        number = dialled(line.phone)
    except InvalidNumberError:
        number = ""
    if not number or len(line.phone) > _PHONE_LENGTH_MAX:
        errors["line_phone"] = "no_phone_number"
    elif (
        _MOBILE.fullmatch(number)
        and connection.execute(_SQL["number_of_staff"], {"number": number}).fetchone()
    ):
        errors["line_phone"] = "duty.line_personal"
    if not line.hours or len(line.hours) > HOURS_LENGTH_MAX:
        errors["line_hours"] = "duty.line_hours"
    if len(line.hours_en) > HOURS_LENGTH_MAX:
        errors["line_hours_en"] = "duty.line_hours"
    return errors


def save_duty_line(
    connection: Connection, community_id: str, line: DutyLine, *, by: str, now: datetime
) -> None:
    """Put a line in place of the one before; it is read from the next page on."""
    values = {
        "community_id": community_id,
        "phone": line.phone,
        "hours": line.hours,
        "hours_en": line.hours_en,
        "by": by,
        "now": now,
    }
    connection.execute(_SQL["put_duty_line"], values)


def end_duty_line(connection: Connection, community_id: str) -> None:
    """Show no number any more."""
    connection.execute(_SQL["end_duty_line"], {"community_id": community_id})
