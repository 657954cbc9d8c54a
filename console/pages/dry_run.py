"""If she is silent from an instant on, who is called when? A question of the desk or the director enters, a table leaves.

The desk may ask of a household of its own; whoever administers asks of a policy: administration is nobody's data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from alerts.duty.dry_run import Answer, DryRunError, Line, Question, answer
from console.pages.duty import Community, choose_community, load_for
from console.scope import Section
from console.seat import Seat, entering, parse_local_time
from console.views.parts import Choice
from console.views.parts import Form as FormView
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.DRY_RUN))]
_SQL = queries("console", "duty.sql")


@dataclass(frozen=True, slots=True)
class DryRunPage:
    community_id: str
    communities: tuple[Choice, ...]
    policies: tuple[Choice, ...]
    may_name_household: bool
    form: FormView
    answer: Answer | None = None

    def who(self, line: Line) -> str:
        """Return the name of a member of staff; anybody else's is looked up where there is a case."""
        if self.answer is None or not line.who.startswith("user:"):
            return ""
        return self.answer.names.get(int(line.who[5:]), "")

    def people(self, line: Line) -> str:
        names = self.answer.names if self.answer else {}
        return "、".join(names[person] for person in line.people if person in names)


@router.get("/dry-run")
def dry_run(
    seat: Guard,
    community: Community = None,
    household: Annotated[str, Query(max_length=100)] = "",
    policy: Annotated[str, Query(max_length=100)] = "",
    from_at: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Show the form, and the table where an instant is given."""
    with seat.transaction() as connection:
        community_id = choose_community(connection, seat, community)
        typed = {"community": community_id, "household": household, "policy": policy, "from_at": from_at}
        found: Answer | None = None
        errors: dict[str, str] = {}
        if from_at:
            found, errors = _ask(connection, seat, community_id, typed)
        places = (
            connection.execute(_SQL["communities"]).fetchall() if seat.viewer.community_id is None else []
        )
        stored = connection.execute(_SQL["stored_policies"]).fetchall()
        page = DryRunPage(
            community_id,
            tuple(Choice(row["id"], row["name"]) for row in places),
            tuple(Choice(row["id"], row["id"]) for row in stored),
            seat.viewer.role is Role.PROPERTY_CLERK,
            FormView(typed, errors),
            found,
        )
        return seat.answer(
            connection,
            "dry_run.html",
            page,
            section=Section.DRY_RUN,
            status=422 if errors else 200,
            live=False,
        )


def _ask(
    connection: Connection, seat: Seat, community_id: str, typed: dict[str, str]
) -> tuple[Answer | None, dict[str, str]]:
    begin = parse_local_time(typed["from_at"], load_for(connection, community_id).zone)
    if begin is None:
        return None, {"from_at": "not_a_time"}
    household_id = None
    if typed["household"].strip():
        values = {"community_id": community_id, "text": typed["household"].strip()}
        row = connection.execute(_SQL["household_by_label"], values).fetchone()
        if row is None or seat.viewer.role is not Role.PROPERTY_CLERK:
            return None, {"household": "not_valid"}
        household_id = str(row["id"])
    question = Question(begin, household_id, None if household_id else community_id, typed["policy"] or None)
    try:
        found = answer(connection, question)
    except DryRunError:
        return None, {"policy": "not_valid"}
    seat.audit(
        connection, "policy_dry_run", purpose="administration",
        object_kind="household" if household_id else "community", object_id=household_id or community_id,
    )  # fmt: skip
    return found, {}
