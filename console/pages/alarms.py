"""The alarm console: a tab and a chosen case enter, the list in its order and the case beside it leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console.loaders import Reader
from console.loaders import cases as loader
from console.loaders.case_pages import load_case_view
from console.loaders.case_rows import load_technical, row_of
from console.loaders.technical import load_cut_rows
from console.scope import Section
from console.seat import Seat, entering, load_progress, not_here
from console.views import case as case_views
from console.views.case import CaseRow, Tab
from console.views.grounds import Technical
from console.views.technical import CutRow
from kaimen.database import Connection, queries

router = APIRouter()
CaseId = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Guard = Annotated[Seat, Depends(entering(Section.ALARMS))]


@router.get("/alarms")
def alarms(
    seat: Guard, tab: Tab = Tab.ALL, case: CaseId = None, after: CaseId = None, fragment: str | None = None
) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        heads = _load_heads(connection, reader, tab)
        beyond = [case_id for cut in heads.values() for case_id in cut.case_ids if case_id not in heads]
        ids = loader.load_alarm_ids(connection, reader, tab, after, without=beyond)
        more = len(ids) > loader.CASES_PAGE
        shown = loader.load_cases(connection, reader, ids[: loader.CASES_PAGE])
        technical = load_technical(connection, reader, shown)
        selected = next((item for item in shown if item.id == case), None)
        if case is not None and selected is None:
            selected = loader.load_case(connection, reader, case)
            if selected is None:
                raise not_here()
        if selected is None and shown:
            selected = shown[0]
        watched = connection.execute(
            queries("console")["watched_count"], {"community_id": seat.viewer.community_id}
        ).fetchone()
        page = case_views.AlarmsPage(
            tab=tab,
            tabs=loader.load_tabs(connection, reader),
            rows=tuple(_rows(reader, tab, shown, technical, heads)),
            selected=None if selected is None else load_case_view(connection, reader, selected, tab=tab),
            chosen=case is not None,
            more_url=f"/alarms?tab={tab.value}&after={shown[-1].id}" if more and shown else None,
            watched_count=watched["count"] if watched else 0,
            last_pulse_at=load_progress(connection).get("ingest"),
        )
        return seat.answer(connection, "alarms.html", page, section=Section.ALARMS, fragment=fragment)


def _load_heads(connection: Connection, reader: Reader, tab: Tab) -> dict[int, CutRow]:
    """Return each cut by the first of its cases in the tab's order: there it stands, for all of them, on one page.

    Where somebody works on cases, waits or looks back, each stands by itself.
    """
    if tab not in (Tab.ALL, Tab.UNCLAIMED):
        return {}
    cut_of = {case_id: cut for cut in load_cut_rows(connection, reader) for case_id in cut.case_ids}
    heads: dict[tuple[int, ...], int] = {}
    for case_id in loader.load_order(connection, reader, tab, list(cut_of)) if cut_of else ():
        heads.setdefault(cut_of[case_id].case_ids, case_id)
    return {case_id: cut_of[case_id] for case_id in heads.values()}


def _rows(
    reader: Reader,
    tab: Tab,
    cases: Sequence[loader.LoadedCase],
    technical: Mapping[int, Technical],
    heads: Mapping[int, CutRow],
) -> Iterator[CaseRow | CutRow]:
    """Yield a row for each case, and one for all of a cut: a hundred gateways must not bury who calls for help."""
    for case in cases:
        cut = heads.get(case.id)
        yield row_of(case, reader, technical=technical.get(case.id), tab=tab) if cut is None else cut
