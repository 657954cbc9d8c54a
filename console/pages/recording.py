"""One result of one call or visit: what was typed enters, the decision of alerts or what is wrong with it leaves.

Every page on which a result may be written down goes through here, so that the same words are taken everywhere.
"""

from __future__ import annotations

from datetime import datetime

from alerts import acts
from alerts.rules.actions import Decision
from console.loaders import cases as loader
from console.loaders.cases import LoadedCase
from console.loaders.households import Row
from console.pages import tasks
from console.pages.case import refusal_word
from console.seat import RefusedError, Seat
from console.visiting import Doing
from kaimen.database import Connection
from kaimen.vocabulary import Contacted, Outcome

_FIELDS = ("outcome", "contacted", "witness", "note", "absence_until", "instead_of")


class NotTakenError(Exception):
    """What the form or the case does not allow: field to error word."""

    def __init__(self, errors: dict[str, str], status: int) -> None:
        super().__init__(str(sorted(errors.values())))
        self.errors = errors
        self.status = status


def doing_of(seat: Seat, task: Row, case: LoadedCase, *, at: datetime | None = None, key: str = "") -> Doing:
    """Say who does what about whom, or refuse: only whoever may record this very task."""
    if not loader.may_record(seat.viewer, task, case):
        raise RefusedError(403)
    household = task["household_id"] or case.row["household_id"]
    return Doing(task["id"], case.id, household, seat.viewer.user_id, at or seat.now, seat.now, key)


def audit_task(connection: Connection, seat: Seat, action: str, task: Row, doing: Doing) -> None:
    """Write down what was done about a task."""
    seat.audit(
        connection, action, purpose=task["kind"], object_kind="task", object_id=str(task["id"]),
        household=doing.household_id, case=doing.case_id,
    )  # fmt: skip


def record(connection: Connection, seat: Seat, task: Row, values: dict[str, str], doing: Doing) -> Decision:
    """Record what was found.

    Raises
    ------
    NotTakenError
        With an error word beside each field that is wrong, or what the case does not allow now.
    """
    values = {name: values.get(name, "") for name in _FIELDS}
    errors, until = tasks.check_outcome(values, seat.reader(connection).zone, seat.now)
    if errors:
        raise NotTakenError(errors, 422)
    try:
        return acts.record_outcome(
            connection,
            task_id=task["id"],
            user_id=doing.user_id,
            outcome=Outcome(values["outcome"]),
            contacted=Contacted(values["contacted"]) if values["contacted"] else None,
            witness=values["witness"].strip() or None,
            note=values["note"].strip(),
            absence_until=until,
            instead_of=tasks.number_in(values["instead_of"]),
            now=doing.at,
        )
    except acts.ActRefused as error:
        word = refusal_word(error)
        raise NotTakenError({tasks.FIELD_OF_REFUSAL.get(word, ""): word}, 409) from error
