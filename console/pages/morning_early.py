"""The first day on the morning list: one press about a home nobody was asked to ring yet enters, its result leaves.

Who spoke with her or saw her, by what means and when are written down as of any call or visit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from alerts import acts
from console.loaders import morning as loader
from console.loaders.households import load_households
from console.metrics import ACTS
from console.pages.case import notice_of, refusal_word
from console.pages.morning import Guard, show
from console.pages.tasks import FIELD_OF_REFUSAL
from console.scope import Act
from console.seat import CheckedForm, Seat, not_here
from console.views import parts as view_parts
from console.views.morning import EARLY_RESULTS, QuickResult
from kaimen.database import Connection, queries
from kaimen.vocabulary import Contacted, Outcome

router = APIRouter()
_SQL = queries("console", "morning.sql")
#: A press that comes again within so long is the same press; community time.
SAID_ONCE = timedelta(minutes=2)
_MEANS = {QuickResult.SPOKE: Contacted.SPOKE, QuickResult.SAW: Contacted.SAW}


@router.post("/morning/homes/{household_id}", dependencies=[CheckedForm])
def record_early(
    seat: Guard,
    household_id: Annotated[str, Path(max_length=100)],
    result: Annotated[str, Form(max_length=20)] = "",
    witness: Annotated[str, Form(max_length=200)] = "",
    grid: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """What was found at one home before anybody was asked, and on to the next."""
    onward = "/morning?" + urlencode({"home": household_id, **({"grid": grid} if grid else {})})
    outcome = Outcome.NO_ANSWER if result == QuickResult.NO_ANSWER else Outcome.WELL
    with seat.transaction() as connection:
        if household_id not in load_households(connection, seat.reader(connection), [household_id]):
            raise not_here()
        if result not in EARLY_RESULTS:
            return _refused(connection, seat, grid, witness, "not_an_outcome", status=422)
        if _is_said_again(connection, seat, household_id, outcome):
            return seat.go(onward, "notice.outcome")
        early = loader.load_early(connection, seat.reader(connection), [household_id]).get(household_id)
        if early is None:
            return _refused(connection, seat, grid, witness, "not_early", status=409)
        try:
            with connection.transaction():
                decision = acts.record_early(
                    connection, case_id=early.case_id, user_id=seat.viewer.user_id, outcome=outcome,
                    contacted=_MEANS.get(QuickResult(result)), now=seat.now,
                    witness=witness.strip() if outcome is Outcome.WELL else None,
                )  # fmt: skip
                seat.audit(
                    connection, Act.OUTCOME.value, purpose=EARLY_RESULTS[QuickResult(result)].value,
                    object_kind="case", object_id=str(early.case_id), household=household_id, early=True,
                )  # fmt: skip
        except acts.ActRefused as error:
            return _refused(connection, seat, grid, witness, refusal_word(error), status=409)
    ACTS.labels(act=Act.OUTCOME.value, result="done").inc()
    return seat.go(onward, notice_of(decision))


def _is_said_again(connection: Connection, seat: Seat, household_id: str, outcome: Outcome) -> bool:
    values = {
        "household_id": household_id, "user_id": seat.viewer.user_id, "outcome": outcome.value,
        "since": seat.now - SAID_ONCE,
    }  # fmt: skip
    return connection.execute(_SQL["said_early"], values).fetchone() is not None


def _refused(
    connection: Connection, seat: Seat, grid: str, witness: str, word: str, *, status: int
) -> Response:
    ACTS.labels(act=Act.OUTCOME.value, result="refused").inc()
    form = view_parts.Form({"witness": witness}, {FIELD_OF_REFUSAL.get(word, ""): word})
    return show(connection, seat, grid, form=form, status=status)
