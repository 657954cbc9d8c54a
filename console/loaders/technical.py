"""Technical causes: a reader enters; open causes, the people to be asked after and devices awaited leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from alerts.rules.checks import Resident, Unseen, frailty_of, in_order
from console.loaders import Reader
from console.loaders import cases as case_loader
from console.loaders.case_rows import load_technical
from console.loaders.households import LoadedHousehold, load_households
from console.scope import Section, may_enter
from console.views.technical import AwaitedDevice, CauseCard, Cut, CutRow, TechnicalPage, UnseenLine
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role, TaskKind

Row = Mapping[str, Any]
Found = TypeVar("Found")

CAUSES_SHOWN_MAX = 100
#: So many gateways of one site that fell silent within this span are shown as one cut.
CUT_GATEWAYS_MIN = 3
CUT_WITHIN = timedelta(minutes=15)
#: So many silent gateways of a community are looked through for cuts; beyond, the latest stand by themselves.
SILENT_READ_MAX = 1_000
PEOPLE_SHOWN_MAX = 100
AWAITED_SHOWN_MAX = 100


def load_page(connection: Connection, reader: Reader) -> TechnicalPage:
    """Return everything that keeps homes from being seen, and who is asked after because of it.

    Whoever has no business with households is told how many, not who.
    """
    sql = queries("console")
    values = {
        "community_id": reader.viewer.community_id,
        "now": reader.now,
        "causes": CAUSES_SHOWN_MAX,
        "awaited": AWAITED_SHOWN_MAX,
    }
    total, cards, cuts = _load_cards(connection, reader, values)
    unseen = {
        row["household_id"]: row for row in connection.execute(sql["technical_unseen"], values).fetchall()
    }
    counts = connection.execute(sql["technical_counts"], values).fetchone()
    awaited = connection.execute(sql["technical_awaited"], values).fetchall()
    assert counts is not None
    in_cuts = {card.case_id for cut in cuts for card in cut.cards}
    steps = [min(row["step"], 3) for row in unseen.values()]
    return TechnicalPage(
        cuts=cuts,
        causes=tuple(card for card in cards if card.case_id not in in_cuts),
        causes_total=total,
        people=_load_people(connection, reader, unseen),
        people_total=len(unseen),
        step_counts=(steps.count(1), steps.count(2), steps.count(3)),
        waiting_count=counts["waiting"],
        waiting_until=counts["waiting_until"],
        not_known_count=counts["not_known"],
        awaited=tuple(_awaited(row, reader) for row in awaited),
        awaited_total=awaited[0]["total"] if awaited else 0,
    )


def load_cut_rows(connection: Connection, reader: Reader) -> tuple[CutRow, ...]:
    """Return which gateways of the reader's community fell silent together, each group as one line of a list."""
    values = {"community_id": reader.viewer.community_id, "limit": SILENT_READ_MAX}
    found = connection.execute(queries("console")["silent_gateways"], values).fetchall()
    cuts = find_cuts(((row["site_id"], row["site"]), row["since"], row) for row in found)
    return tuple(_load_cut_row(connection, reader, site, together) for site, together in cuts)


def _load_cut_row(connection: Connection, reader: Reader, site: str, together: Sequence[Row]) -> CutRow:
    ids = tuple(row["id"] for row in together)
    due_at = min((row["due_at"] for row in together if row["due_at"] is not None), default=None)
    return CutRow(
        site=site,
        since=together[0]["since"],
        household_count=_count_homes(connection, ids),
        case_ids=ids,
        due_at=due_at,
        overdue=due_at is not None and due_at <= reader.now,
    )


def _load_cards(
    connection: Connection, reader: Reader, values: Mapping[str, Any]
) -> tuple[int, tuple[CauseCard, ...], tuple[Cut, ...]]:
    """Return how many causes are open, the widest of them, and those of them that are probably one cut."""
    found = connection.execute(queries("console")["technical_case_ids"], values).fetchall()
    cards = _load_causes(connection, reader, [row["id"] for row in found])
    sites = {row["id"]: (row["site_id"], row["site"]) for row in found if row["site_id"]}
    silent = (
        (sites[card.case_id], card.technical.since, card)
        for card in cards
        if card.case_id in sites and not card.technical.never_heard
    )
    cuts = tuple(_load_cut(connection, site, together) for site, together in find_cuts(silent))
    return (found[0]["total"] if found else 0), cards, cuts


def find_cuts(
    silent: Iterable[tuple[tuple[str, str], datetime, Found]],
) -> Iterator[tuple[str, tuple[Found, ...]]]:
    """Yield which gateways fell silent together, with the name of their site.

    Each enters with its site's id and name, and since when it is silent.
    """
    of_site: dict[tuple[str, str], list[tuple[datetime, Found]]] = defaultdict(list)
    for site, since, gateway in silent:
        of_site[site].append((since, gateway))
    for (_, name), found in of_site.items():
        rest = sorted(found, key=lambda one: one[0])
        while rest:
            end = rest[0][0] + CUT_WITHIN
            together = tuple(gateway for since, gateway in rest if since <= end)
            rest = rest[len(together) :]
            if len(together) >= CUT_GATEWAYS_MIN:
                yield name, together


def _load_cut(connection: Connection, site: str, cards: tuple[CauseCard, ...]) -> Cut:
    homes = _count_homes(connection, [card.case_id for card in cards])
    return Cut(site, cards[0].technical.since, homes, cards)


def _count_homes(connection: Connection, case_ids: Sequence[int]) -> int:
    counted = connection.execute(queries("console")["technical_homes"], {"ids": list(case_ids)}).fetchone()
    assert counted is not None
    return int(counted["homes"])


def _load_causes(connection: Connection, reader: Reader, ids: list[int]) -> tuple[CauseCard, ...]:
    cases = case_loader.load_cases(connection, reader, ids)
    technical = load_technical(connection, reader, cases)
    return tuple(
        CauseCard(
            number=case.row["number"],
            case_id=case.id,
            technical=technical[case.id],
            due_at=case.row["task_due_at"],
            holder=case.row["holder_name"] or case.row["assignee_name"],
            overdue=case.row["task_due_at"] is not None and case.row["task_due_at"] <= reader.now,
        )
        for case in cases
    )


def _load_people(connection: Connection, reader: Reader, unseen: Mapping[str, Row]) -> tuple[UnseenLine, ...]:
    if not may_enter(reader.viewer, Section.HOUSEHOLDS):
        return ()
    ordered = in_order(
        Unseen(key, row["step"], row["evidence_at"], _frailty(row, reader)) for key, row in unseen.items()
    )
    shown = [one.household_id for one in ordered[:PEOPLE_SHOWN_MAX]]
    homes = load_households(connection, reader, shown)
    return tuple(_line(unseen[key], homes[key]) for key in shown if key in homes)


def _frailty(row: Row, reader: Reader) -> int:
    residents = zip(row["categories"], row["birth_years"], row["hard_of_hearing"], strict=True)
    return frailty_of(
        (Resident(category, year or None, deaf) for category, year, deaf in residents), year=reader.now.year
    )


def _line(row: Row, home: LoadedHousehold) -> UnseenLine:
    return UnseenLine(
        household=home.name,
        step=min(row["step"], 3),
        since=row["evidence_at"],
        act=None if row["task_kind"] is None else TaskKind(row["task_kind"]),
        owner_role=None if row["task_role"] is None else Role(row["task_role"]),
        owner=row["owner"],
        start_at=row["task_start_at"],
        due_at=row["task_due_at"],
        case_url=None if row["case_id"] is None else f"/cases/{row['case_id']}",
        case_number=row["case_number"],
        cause=None if row["cause_key"] is None else row["cause_key"].partition(":")[0],
    )


def _awaited(row: Row, reader: Reader) -> AwaitedDevice:
    return AwaitedDevice(
        id=row["id"],
        kind=row["kind"],
        place=row["place"],
        site=row["site"],
        due_at=row["due_at"],
        gateway=row["gateway_id"],
        household_count=row["household_count"],
        overdue=row["due_at"] <= reader.now,
    )
