"""Fourteen days and the street: view-models enter, SVG leaves; days are local, nobody's name can break out."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from datetime import UTC, date, datetime, timedelta

from console.drawing.chart import chart_alternative, evidence_chart
from console.drawing.street import building_alternative, building_section
from console.views.demo import Building, Home, Unit
from console.views.evidence import EvidenceChart, Opening, OpeningKind, StageMark
from console.views.parts import Mark, Span
from console.words import load_words
from kaimen.vocabulary import Stage

NOW = datetime(2026, 11, 21, 0, 42, tzinfo=UTC)
WORDS = load_words("zh", "Asia/Shanghai", NOW)


def chart(**changes: object) -> EvidenceChart:
    return EvidenceChart(**{"last_day": date(2026, 11, 21), "now": NOW, **changes})  # type: ignore[arg-type]


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text")]


def test_an_opening_stands_on_its_local_day() -> None:
    at = datetime(2026, 11, 19, 16, 30, tzinfo=UTC)  # 00:30 on the 20th in Shanghai
    svg = evidence_chart(chart(openings=(Opening(at, OpeningKind.OWN_CREDENTIAL),)), WORDS)
    said = texts(svg)
    assert said[said.index("11 月 20 日 周五") + 1] == "1 次"


def test_openings_of_staff_are_shown_and_not_counted() -> None:
    openings = (Opening(NOW - timedelta(hours=1), OpeningKind.STAFF),)
    svg = evidence_chart(chart(openings=openings), WORDS)
    assert 'class="o-other"' in svg
    assert not any(text.endswith("次") for text in texts(svg))
    assert "14 天里开门 0 次" in chart_alternative(chart(openings=openings), WORDS)


def test_a_blind_span_over_midnight_is_hatched_on_both_days_and_told() -> None:
    blind = (Span(datetime(2026, 11, 18, 12, tzinfo=UTC), datetime(2026, 11, 18, 20, tzinfo=UTC)),)
    svg = evidence_chart(chart(blind=blind), WORDS)
    assert svg.count('class="blind-lines"') == 2
    assert "其中 8 小时没有看到" in chart_alternative(chart(blind=blind), WORDS)


def test_nothing_is_drawn_as_watched_before_watching_began_nor_after_now() -> None:
    svg = evidence_chart(chart(watched_from=NOW - timedelta(days=2)), WORDS)
    strips = [e.attrib for e in ElementTree.fromstring(svg).iter() if e.get("class") == "ec-watched"]
    assert len(strips) == 3
    assert float(strips[-1]["width"]) < float(strips[1]["width"])


def test_a_day_of_twenty_five_hours_keeps_its_length() -> None:
    berlin = load_words("en", "Europe/Berlin", NOW)
    day = EvidenceChart(
        date(2026, 10, 25),
        NOW,
        day_count=1,
        openings=(Opening(datetime(2026, 10, 25, 22, 59, tzinfo=UTC), OpeningKind.CONTACT),),
    )
    assert "1×" in texts(evidence_chart(day, berlin))


def test_the_stages_reached_stand_where_they_were_reached() -> None:
    svg = evidence_chart(chart(crossings=(StageMark(NOW - timedelta(hours=3), Stage.VISIT),)), WORDS)
    assert 'class="m-high"' in svg
    assert "05:42 满 3 天" in svg


def test_every_home_is_a_link_with_its_state_and_names_cannot_break_out() -> None:
    evil = '"><script>alert(1)</script>'
    homes = (
        Home("h1", evil, 1, "101", Mark.HIGH, door_open=True),
        Home("h2", "1-1-0102", 1, "102", Mark.NORMAL),
    )
    svg = building_section(
        Building("1", (Unit("1", homes, evil, gateway_known=False),)),
        WORDS,
        selected="h1",
        base="/demo?home=",
    )
    links = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("a")]
    assert [e.attrib["href"] for e in links] == ["/demo?home=h1", "/demo?home=h2"]
    assert links[0].attrib["aria-current"] == "true"
    assert "第 3 级" in links[0].attrib["aria-label"]
    assert "门开着" in links[0].attrib["aria-label"]
    assert "<script" not in svg


def test_a_building_tells_its_counts_the_urgent_first() -> None:
    homes = tuple(
        Home(str(n), str(n), 1, str(n), mark) for n, mark in enumerate((Mark.NORMAL, Mark.LOW, Mark.HIGH))
    )
    assert (
        building_alternative(Building("3", (Unit("1", homes),)), WORDS)
        == "3 栋 · 第 3 级 1 户 · 第 1 级 1 户 · 正常 1 户"
    )


def test_no_board_shows_which_home_is_empty() -> None:
    building = Building("3", (Unit("1", (Home("h1", "3-1-0101", 1, "101", Mark.AWAY),)),))
    shown = building_section(building, WORDS, base="/buildings?home=", shows_away=False)
    assert "st-away" not in shown
    assert "3-1-0101：正常" in shown
    assert "外出 1 户" in shown
