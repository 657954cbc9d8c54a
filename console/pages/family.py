"""The family page: one elder for one relative, no more than the evidence and her consent allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from alerts import acts
from console.duty.line import load_duty_line
from console.loaders import Reader
from console.loaders.cases import LoadedCase, load_case
from console.loaders.doors import load_home_news
from console.loaders.households import LoadedHousehold, evidence_kind, load_households
from console.pages.absences import write_absence
from console.pages.case import refusal_word
from console.quiet import quiet_day, quiet_news
from console.scope import Section
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here
from console.views import admin as admin_views
from console.views import family as family_views
from console.views import parts as view_parts
from console.views.family import FamilyHome, FamilyState
from kaimen.database import Connection, queries
from kaimen.vocabulary import Contacted, EvidenceKind, Outcome, Stage, TaskKind

#: What a relative reads first, where several homes are hers.
_FIRST = (
    family_views.FamilyState.HELP,
    family_views.FamilyState.DAY3,
    family_views.FamilyState.DAY2,
    family_views.FamilyState.DAY1,
    family_views.FamilyState.UNKNOWN,
)

#: What she is called where nobody wrote down what she is to this relative.
_SOMEBODY = "家人"

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.FAMILY))]
HouseholdId = Annotated[str, Path(max_length=100)]
LOOKS_SHOWN = 10
_TRIED = (TaskKind.CALL, TaskKind.VISIT, TaskKind.RESPOND)
_STATES = {
    Stage.NORMAL: FamilyState.GOOD,
    Stage.WARNING: FamilyState.DAY1,
    Stage.CALL: FamilyState.DAY2,
    Stage.VISIT: FamilyState.DAY3,
}


@router.get("/family")
def family(seat: Guard, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        return answer(connection, seat, fragment=fragment)


def answer(
    connection: Connection,
    seat: Seat,
    *,
    fragment: str | None = None,
    open_form: str = "",
    form: view_parts.Form | None = None,
    household_id: str = "",
    status: int = 200,
) -> Response:
    """Make the page of all homes that are this relative's; ``form`` is the refused one of ``household_id``."""
    reader = seat.reader(connection)
    rows = connection.execute(queries("console")["family_homes"], {"user_id": seat.viewer.user_id}).fetchall()
    found = load_households(connection, reader, [row["household_id"] for row in rows])
    homes = []
    for row in rows:
        if row["household_id"] not in found:
            continue
        mine = {open_form: form} if form is not None and row["household_id"] == household_id else {}
        homes.append(
            _home(connection, reader, found[row["household_id"]], row["relation_words"] or _SOMEBODY, mine)
        )
    # She opens the page for whoever does not open her door; the others keep their order.
    homes.sort(key=_urgency)
    page = family_views.FamilyPage(tuple(homes))
    return seat.answer(
        connection,
        "family.html",
        page,
        section=Section.FAMILY,
        fragment=fragment,
        status=status,
        path="/family",
    )


def _urgency(home: FamilyHome) -> int:
    if home.state in _FIRST:
        return _FIRST.index(home.state)
    # Then whatever waits for her answer.
    return len(_FIRST) if home.back_url else len(_FIRST) + 1


def _home(
    connection: Connection,
    reader: Reader,
    found: LoadedHousehold,
    relation: str,
    forms: dict[str, view_parts.Form],
) -> FamilyHome:
    row = found.row
    consents = standing_consents(connection, row["id"])
    line = load_duty_line(connection, household_id=row["id"])
    blocked = row["id"] in reader.viewer.blocked_ids
    # Whoever she shut out does not learn of her death here either.
    ended = not blocked and _has_ended(connection, row["id"])
    if "notify_family" not in consents:
        state = FamilyState.ENDED if ended else FamilyState.UNTOLD
        return FamilyHome(found.name, relation, state, phone=None if ended else row["phone"], duty_line=line)
    exact = "exact_times" in consents
    news = load_home_news(connection, reader, row["id"], exact=exact)
    if blocked:
        # She wants him to see nothing, and not to be told so: a quiet day, whatever the day is.
        found, news = quiet_day(found, reader), quiet_news(news)
        row = found.row
    notices_form = forms.get("notices", view_parts.Form())
    called = None if blocked else _call_for_help(connection, reader, row["id"])
    if ended and called is None:
        return FamilyHome(found.name, relation, FamilyState.ENDED, duty_line=line)
    if found.line is None and called is None:
        return FamilyHome(
            found.name,
            relation,
            FamilyState.UNWATCHED,
            phone=row["phone"],
            duty_line=line,
            news=news,
            notices_form=notices_form,
        )
    case = load_case(connection, reader, row["case_id"]) if row["case_id"] is not None else None
    # What she is told first is worked on first: the days go on beside it.
    told = called or case
    outage = None
    if not row["known"]:
        outage = connection.execute(
            queries("console")["outage_of_household"], {"household_id": row["id"]}
        ).fetchone()
    grounds = found.grounds
    absence = None if blocked else _absence_now(connection, row["id"], reader.now)
    return FamilyHome(
        household=found.name,
        relation=relation,
        state=FamilyState.HELP if called else state_of(found),
        line=found.line if exact else None,
        evidence_at=row["evidence_at"],
        evidence_kind=evidence_kind(row["evidence"] or {}),
        evidence_source=_word(connection, row["id"], row["evidence"] or {}),
        known=bool(row["known"]),
        direction=grounds.direction if grounds else None,
        exact_times=exact,
        presumed=grounds.presumed if grounds else view_parts.Presumed.UNSURE,
        last_sign=grounds.last_sign if grounds else None,
        worker=worker_of(told) if told else None,
        act=TaskKind(told.row["task_kind"]) if told and told.row["task_kind"] else None,
        result_by=told.row["task_due_at"] if told else None,
        tried=_tried(told, since=None if called else row["evidence_at"]) if told else None,
        begun_at=told.row["task_begun_at"] if told and told.row["assignee_name"] else None,
        unknown_cause=outage["cause"] if outage else "doubted" if grounds and grounds.doubted else None,
        unknown_since=(outage["began_at"] if outage else None) or row["not_known_since"],
        away_until=row["absent_until"],
        help_at=called.row["evidence_at"] or called.row["opened_at"] if called else None,
        declared=(absence["from_at"], absence["to_at"]) if absence else None,
        in_hospital=absence is not None and absence["reason"] == "hospital",
        phone=row["phone"],
        duty_line=line,
        spoke_form=forms.get("spoke", view_parts.Form()),
        away_form=forms.get("away", view_parts.Form()),
        look_form=forms.get("look", view_parts.Form()) if case else None,
        asked_at=_asked_at(connection, case),
        looked=_looked(connection, row["id"], reader.now, reader.viewer.user_id if blocked else None),
        back_url=None if blocked else _back_url(connection, row["id"]),
        news=news,
        notices_form=notices_form,
    )


def _has_ended(connection: Connection, household_id: str) -> bool:
    """Say whether the watch ended with her death: nobody is asked to ring her then."""
    row = connection.execute(queries("console")["family_ended"], {"household_id": household_id}).fetchone()
    return row is not None and bool(row["ended"])


def _word(connection: Connection, household_id: str, evidence: Mapping[str, Any]) -> str:
    """Return what a word of her was, where the state rests on one; the detector knows it by its row alone."""
    if evidence_kind(evidence) is not EvidenceKind.VERIFIED:
        return ""
    values = {"household_id": household_id, "source": str(evidence.get("source", ""))}
    row = connection.execute(queries("console")["family_word"], values).fetchone()
    return "" if row is None else str(row["how"])


def worker_of(case: LoadedCase) -> str | None:
    """Who has it: whoever stands at the door before whoever holds the case at the desk."""
    at_desk, going = case.row["holder_name"], case.row["assignee_name"]
    worker: str | None = (going or at_desk) if case.row["task_begun_at"] else (at_desk or going)
    return worker


def _tried(case: LoadedCase, *, since: datetime | None) -> tuple[TaskKind, datetime] | None:
    """The newest call or visit of a case, where nobody was reached by it nor heard ``since``."""
    made = [task for task in case.tasks if task["outcome"] is not None and task["kind"] in _TRIED]
    newest = max(made, key=lambda task: task["done_at"], default=None)
    if newest is None or newest["outcome"] != Outcome.NO_ANSWER:
        return None
    if since is not None and newest["done_at"] < since:
        return None
    return TaskKind(newest["kind"]), newest["done_at"]


def _call_for_help(connection: Connection, reader: Reader, household_id: str) -> LoadedCase | None:
    """Return the open call for help of a home, of which her family was told by message."""
    row = connection.execute(queries("console")["family_help"], {"household_id": household_id}).fetchone()
    return None if row is None else load_case(connection, reader, row["id"])


def _absence_now(connection: Connection, household_id: str, now: datetime) -> dict[str, Any] | None:
    """The declared absence that holds or comes next, with its reason."""
    values = {"household_id": household_id, "now": now}
    return connection.execute(queries("console", "residents.sql")["absence_now"], values).fetchone()


def _back_url(connection: Connection, household_id: str) -> str | None:
    """Where to answer whether she is back, while that is asked."""
    row = connection.execute(queries("console")["family_question"], {"household_id": household_id}).fetchone()
    return None if row is None else f"/family/{household_id}/back"


def state_of(found: LoadedHousehold) -> FamilyState:
    """Say in one word how a watched home stands."""
    row = found.row
    if row["absent_until"] is not None:
        return FamilyState.AWAY
    stage = Stage(min(row["stage"], Stage.VISIT))
    if stage is Stage.NORMAL and not row["known"]:
        return FamilyState.UNKNOWN
    return _STATES[stage]


def standing_consents(connection: Connection, household_id: str) -> set[str]:
    """Return the purposes a household consents to now."""
    rows = connection.execute(queries("console")["consents"], {"household_id": household_id}).fetchall()
    return {row["purpose"] for row in rows if row["withdrawn_at"] is None}


def _asked_at(connection: Connection, case: LoadedCase | None) -> Any:
    if case is None:
        return None
    row = connection.execute(queries("console")["asked_look"], {"case_id": case.id}).fetchone()
    return row["at"] if row else None


def _looked(
    connection: Connection, household_id: str, now: datetime, blocked_user: int | None = None
) -> tuple[admin_views.LookRow, ...]:
    """Who looked at her data: by role, not by name; what the family itself did is not in it.

    Nor are look-ups of police: the one asked about may be of the family. The elder is shown them at the desk.
    """
    until = None
    if blocked_user is not None:
        values = {"household_id": household_id, "user_id": blocked_user}
        row = connection.execute(queries("console", "residents.sql")["blocked_at"], values).fetchone()
        # What was there when she blocked him stays in his list; nothing is added.
        until = row["last_id"] + 1 if row is not None and row["last_id"] is not None else 1
    rows = connection.execute(
        queries("console")["looks"],
        {
            "before": until,
            "household_id": household_id,
            "community_id": None,
            "limit": LOOKS_SHOWN,
            "now": now,
            "for_family": True,
        },
    ).fetchall()
    return tuple(
        admin_views.LookRow(row["at"], "", row["role"], row["action"], row["purpose"])
        for row in rows
        # Nor is what she settles for herself, such as whom she tells what.
        if row["role"] not in ("family", "resident", "kiosk")
    )


def load(connection: Connection, seat: Seat, household_id: str) -> LoadedHousehold:
    """Return the household; one that is not this relative's, or that tells him nothing, is not there."""
    known = seat.viewer.household_ids | seat.viewer.blocked_ids
    if household_id not in known or "notify_family" not in standing_consents(connection, household_id):
        raise not_here()
    reader = seat.reader(connection)
    found = load_households(connection, reader, [household_id]).get(household_id)
    if found is None:
        raise not_here()
    return quiet_day(found, reader) if is_blocked(seat, household_id) else found


def is_blocked(seat: Seat, household_id: str) -> bool:
    return household_id in seat.viewer.blocked_ids


class _UnheardError(Exception):
    """Takes a blocked relative's act back; nobody is shown it."""


@contextmanager
def unheard(connection: Connection, seat: Seat, household_id: str, act: str) -> Iterator[None]:
    """Let an act of a blocked relative be answered as ever, and count for nothing: only that he tried is written.

    His word would otherwise be evidence that she is well, or that she is away.
    """
    if not is_blocked(seat, household_id):
        yield
        return
    try:
        with connection.transaction():
            yield
            raise _UnheardError
    except _UnheardError:
        pass
    seat.audit(
        connection, "blocked_word", purpose="consent", object_kind="relative",
        object_id=str(seat.viewer.user_id), act=act,
    )  # fmt: skip


@router.post("/family/{household_id}/spoke", dependencies=[CheckedForm])
def spoke(
    seat: Guard, household_id: HouseholdId, contacted: Annotated[str, Form(max_length=10)] = ""
) -> Response:
    """Take a relative's word: on the telephone it counts as remote, and not often in succession."""
    values = {"contacted": contacted}
    with seat.transaction() as connection:
        load(connection, seat, household_id)
        if contacted not in {item.value for item in Contacted}:
            form = view_parts.Form(values, {"contacted": "how_is_missing"})
            return answer(
                connection, seat, open_form="spoke", form=form, household_id=household_id, status=422
            )
        try:
            with connection.transaction(), unheard(connection, seat, household_id, "spoke"):
                _write_word(connection, seat, household_id, Contacted(contacted))
        except acts.ActRefused as error:
            word = refusal_word(error)
            form = view_parts.Form(values, {"": "family_too_often" if word == "remote_too_often" else word})
            return answer(
                connection, seat, open_form="spoke", form=form, household_id=household_id, status=409
            )
    return seat.go("/family", "notice.family_spoke")


def _write_word(connection: Connection, seat: Seat, household_id: str, contacted: Contacted) -> None:
    if contacted is Contacted.SPOKE:
        acts.record_remote_well(
            connection, household_id=household_id, via=f"family:{seat.viewer.user_id}", now=seat.now,
            user_id=seat.viewer.user_id,
        )  # fmt: skip
    else:
        acts.record_met(
            connection, household_id=household_id, how=contacted, witness=seat.viewer.display_name, at=seat.now,
            now=seat.now, recorded_by=f"user:{seat.viewer.user_id}",
        )  # fmt: skip
    seat.audit(
        connection, "family_word", purpose=contacted.value, object_kind="household", object_id=household_id
    )


@router.post("/family/{household_id}/away", dependencies=[CheckedForm])
def away(
    seat: Guard,
    household_id: HouseholdId,
    reason: Annotated[str, Form(max_length=20)] = "",
    from_text: Annotated[str, Form(alias="from", max_length=40)] = "",
    to_text: Annotated[str, Form(alias="to", max_length=40)] = "",
) -> Response:
    values = {"reason": reason, "from": from_text, "to": to_text}
    with seat.transaction() as connection:
        load(connection, seat, household_id)
        with unheard(connection, seat, household_id, "away"):
            errors = write_absence(connection, seat, seat.reader(connection), household_id, values)
        if errors:
            form = view_parts.Form(values, errors)
            return answer(
                connection, seat, open_form="away", form=form, household_id=household_id, status=422
            )
    return seat.go("/family", "notice.absence_declared")


@router.post("/family/{household_id}/away/end", dependencies=[CheckedForm])
def end_away(seat: Guard, household_id: HouseholdId) -> Response:
    """She is back, or not going after all: nobody is unwatched for longer than she is away."""
    ended = 0
    with seat.transaction() as connection:
        load(connection, seat, household_id)
        with unheard(connection, seat, household_id, "away_end"):
            absence = _absence_now(connection, household_id, seat.now)
            if absence is not None:
                values = {"id": absence["id"], "household_id": household_id, "now": seat.now}
                ended = connection.execute(queries("console")["absence_end"], values).rowcount
            if absence is not None and ended:
                seat.audit(
                    connection, "absence_ended", purpose="absence", object_kind="household",
                    object_id=household_id, absence=absence["id"],
                )  # fmt: skip
    return seat.go("/family", "notice.absence_ended" if ended else None)


@router.post("/family/{household_id}/look", dependencies=[CheckedForm])
def look(
    seat: Guard, household_id: HouseholdId, note: Annotated[str, Form(max_length=2_000)] = ""
) -> Response:
    """Ask for somebody to go and look: written into the open case, where whoever has it reads it."""
    with seat.transaction() as connection:
        found = load(connection, seat, household_id)
        case_id = found.row["case_id"]
        if case_id is None:
            raise not_here()
        try:
            with connection.transaction():
                acts.add_note(
                    connection, case_id=case_id, user_id=seat.viewer.user_id, note=note.strip(), now=seat.now
                )
                seat.audit(
                    connection,
                    "family_asked",
                    purpose="care",
                    object_kind="household",
                    object_id=household_id,
                )
        except acts.ActRefused as error:
            form = view_parts.Form({"note": note}, {"note": refusal_word(error)})
            return answer(
                connection, seat, open_form="look", form=form, household_id=household_id, status=409
            )
    return seat.go("/family", "notice.family_asked")


@router.post("/family/{household_id}/back", dependencies=[CheckedForm])
def back(seat: Guard, household_id: HouseholdId, back: Annotated[str, Form(max_length=3)] = "") -> Response:
    """Answer whether she is back: the watch resumes, or what was declared goes on."""
    if back not in ("yes", "no"):
        raise RefusedError(422, "not_valid")
    with seat.transaction() as connection:
        load(connection, seat, household_id)
        row = connection.execute(
            queries("console")["family_question"], {"household_id": household_id}
        ).fetchone()
        if (
            row is None
            or is_blocked(seat, household_id)
            or "notify_family" not in standing_consents(connection, household_id)
        ):
            raise not_here()
        try:
            with connection.transaction():
                acts.record_outcome(
                    connection, task_id=row["task_id"], user_id=seat.viewer.user_id,
                    outcome=Outcome.BACK if back == "yes" else Outcome.NOT_BACK, now=seat.now,
                )  # fmt: skip
                seat.audit(
                    connection, "outcome", purpose="confirm_back", object_kind="household",
                    object_id=household_id, case=row["case_id"], outcome=back,
                )  # fmt: skip
        except acts.ActRefused as error:
            raise RefusedError(409, refusal_word(error)) from error
    return seat.go("/family", "notice.back_answered")
