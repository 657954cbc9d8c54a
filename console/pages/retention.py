"""How long what is kept, for the administrator: periods enter; what is stored by year and what a run removed leave."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from starlette.responses import Response

from alerts.retention import CLASSES, change_rule, load_rules, load_runs, run_retention
from console.scope import Section
from console.seat import CheckedForm, Seat, entering
from console.views.parts import Form as FormView
from console.views.rights import PeriodRow, RetentionPage, RunView
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ADMIN))]
YEARS_SHOWN = 4
RUNS_SHOWN = 10
_SQL = queries("console", "rights/years.sql")


@router.get("/admin/retention")
def retention(seat: Guard) -> Response:
    with seat.rights_transaction() as connection:
        return _answer(connection, seat)


def _answer(
    connection: Connection, seat: Seat, *, form: FormView | None = None, status: int = 200
) -> Response:
    rules = load_rules(connection)
    runs = load_runs(connection, RUNS_SHOWN)
    newest = runs[0]["report"] if runs and runs[0]["dry"] else {}
    years = tuple(range(seat.now.year - YEARS_SHOWN + 1, seat.now.year + 1))
    page = RetentionPage(
        years=years,
        rows=tuple(
            PeriodRow(
                name, rules[name].keep_days, rules[name].least_days, rules[name].most_days,
                _years(connection, name, years), newest.get(name, {}).get("rows"), rules[name].changed_at,
            )
            for name in CLASSES
        ),
        runs=tuple(_run_view(row) for row in runs),
        form=form or FormView(),
    )  # fmt: skip
    return seat.answer(
        connection, "retention.html", page, section=Section.ADMIN, status=status, path="/admin/retention"
    )


def _years(connection: Connection, name: str, years: tuple[int, ...]) -> tuple[int, ...]:
    """Rows of a class by calendar year; what is older stands with the first year."""
    statement = _SQL.get(name)
    if statement is None:
        return ()
    found: dict[int, int] = {}
    for row in connection.execute(statement):
        year = min(max(int(row["year"]), years[0]), years[-1])
        found[year] = found.get(year, 0) + int(row["count"])
    return tuple(found.get(year, 0) for year in years)


def _run_view(row: dict[str, Any]) -> RunView:
    report = row["report"]
    return RunView(
        row["at"], row["ran_by"], row["dry"], sum(item["rows"] for item in report.values()),
        tuple(sorted(name for name, item in report.items() if "failure" in item)),
    )  # fmt: skip


@router.post("/admin/retention/period", dependencies=[CheckedForm])
def period(
    seat: Guard,
    name: Annotated[str, Form(max_length=40)] = "",
    days: Annotated[str, Form(max_length=6)] = "",
) -> Response:
    with seat.rights_transaction() as connection:
        by = f"user:{seat.viewer.user_id}"
        fits = (
            name in CLASSES
            and days.isdecimal()
            and change_rule(connection, name, int(days), by=by, now=seat.now)
        )
        if not fits:
            form = FormView({"name": name, "days": days}, {"days": "period_bounds"})
            return _answer(connection, seat, form=form, status=422)
        seat.audit(
            connection, "retention_changed", purpose="rights", object_kind="retention", object_id=name,
            days=int(days),
        )  # fmt: skip
    return seat.go("/admin/retention", "notice.period_changed")


@router.post("/admin/retention/dry-run", dependencies=[CheckedForm])
def dry_run(seat: Guard) -> Response:
    """Count what the next run would remove; nothing is removed from a page."""
    with seat.services.rights_pool() as pool:
        run_retention(pool, now=seat.now, by=f"user:{seat.viewer.user_id}", dry=True)
    return seat.go("/admin/retention", "notice.dry_run_done")
