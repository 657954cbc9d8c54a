"""Day lines and marks: view-models enter, SVG leaves; geometry, honesty, text alternative, escaping."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta

import pytest

from console.drawing.day_line import day_line, hatching, mark
from console.views.parts import DayLine, LifeSign, Mark, Span
from console.words import Words, load_words
from kaimen.vocabulary import EvidenceKind, Stage

NOW = datetime(2026, 11, 21, 0, 42, tzinfo=UTC)
HOUR_MS = 3_600_000
STAGE_CLASSES = {Stage.WARNING: "tone-low", Stage.CALL: "tone-mid", Stage.VISIT: "tone-high"}


@pytest.fixture
def words() -> Words:
    return load_words("zh", "Asia/Shanghai", NOW)


def line(hours: float, *, blind_hours: tuple[float, float] | None = None, **changes: object) -> DayLine:
    """An evidence so many hours ago; ``blind_hours`` from/to count back from now."""
    blind = ()
    unseen = 0.0
    if blind_hours:
        blind = (Span(NOW - timedelta(hours=blind_hours[0]), NOW - timedelta(hours=blind_hours[1])),)
        unseen = blind_hours[0] - blind_hours[1]
    values = {
        "evidence_at": NOW - timedelta(hours=hours),
        "now": NOW,
        "inactive_ms": int((hours - unseen) * HOUR_MS),
        "blind": blind,
        **changes,
    }
    return DayLine(**values)  # type: ignore[arg-type]


def parts(svg: str, class_: str) -> list[dict[str, str]]:
    return [e.attrib for e in ElementTree.fromstring(svg).iter() if e.get("class") == class_]


def label(svg: str) -> str:
    return ElementTree.fromstring(svg).attrib["aria-label"]


@pytest.mark.parametrize("stage", list(STAGE_CLASSES))
def test_the_whole_filled_part_takes_the_tone_of_the_stage(words: Words, stage: Stage) -> None:
    svg = day_line(line(24.5 * stage, stage=stage), words)
    assert STAGE_CLASSES[stage] in ElementTree.fromstring(svg).attrib["class"]
    assert len(parts(svg, "dl-fill")) == 1


def test_a_normal_day_is_grey_and_marks_of_days_stand_ahead(words: Words) -> None:
    svg = day_line(line(3), words)
    assert "tone-normal" in svg
    assert parts(svg, "dl-turn") == []
    assert len(parts(svg, "dl-tick")) == 6


def test_blind_time_is_hatched_and_pushes_the_marks_on(words: Words) -> None:
    """The mark of a day stands where so much had been *watched*: the bar passes it when the stage is reached."""
    seen = day_line(line(50), words)
    partly = day_line(line(50, blind_hours=(40, 30)), words)
    assert len(parts(partly, "dl-fill")) == 2
    assert len(parts(partly, "blind-lines")) == 1
    assert len(parts(seen, "dl-turn")) == 2
    assert len(parts(partly, "dl-turn")) == 1
    assert float(parts(partly, "dl-turn")[0]["x1"]) > float(parts(seen, "dl-turn")[0]["x1"])


@pytest.mark.parametrize(
    ("hours", "blind"), [(23.99, None), (24.0, None), (30, (20, 12)), (80, (40, 33)), (72.01, None)]
)
def test_the_bar_has_passed_exactly_the_marks_of_the_stages_reached(
    words: Words, hours: float, blind: tuple[float, float] | None
) -> None:
    drawn = line(hours, blind_hours=blind)
    reached = sum(drawn.inactive_ms >= threshold for threshold in drawn.thresholds_ms)
    svg = day_line(drawn, words)
    now_x = float(parts(svg, "dl-now")[0]["x1"])
    assert len(parts(svg, "dl-turn")) == reached
    assert all(float(e["x1"]) <= now_x + 0.1 for e in parts(svg, "dl-turn"))


def test_both_ages_are_told_where_they_differ_by_more_than_a_tenth(words: Words) -> None:
    told = label(day_line(line(57, blind_hours=(45, 36), stage=Stage.CALL), words))
    assert "实计 2 天 · " in told
    assert "距最后开门 2 天 9 小时" in told
    assert "离线 9 小时不计" in told
    assert "实计" not in label(day_line(line(57, blind_hours=(45, 42)), words))


def test_not_known_is_never_told_as_no_opening(words: Words) -> None:
    svg = day_line(line(14, blind_hours=(3, 0), known=False), words)
    assert "tone-unknown" in svg
    assert "状态不明，不是“未开门”" in label(svg)


def test_a_stage_that_stands_keeps_its_tone_when_the_door_falls_silent(words: Words) -> None:
    svg = day_line(line(80, blind_hours=(2, 0), known=False, stage=Stage.VISIT), words)
    assert "tone-high" in svg
    assert "现在听不到这扇门" in label(svg)


def test_away_is_an_outline_without_any_filling(words: Words) -> None:
    svg = day_line(line(40, away_until=NOW + timedelta(days=2)), words)
    assert parts(svg, "dl-fill") == []
    assert len(parts(svg, "dl-away")) == 1


def test_other_signs_of_life_stand_above_and_are_told(words: Words) -> None:
    signs = tuple(LifeSign(NOW - timedelta(hours=h)) for h in (20, 11, 60))
    svg = day_line(line(51, signs=signs), words)
    assert len(parts(svg, "dl-sign")) == 2  # the one before the last evidence says nothing new
    assert "其他活动" in label(svg)


def test_beyond_three_days_and_a_half_the_scale_grows_and_nothing_leaves_the_picture(words: Words) -> None:
    for hours in (81, 82, 200, 2000, 20_000):
        svg = day_line(line(hours, stage=Stage.VISIT), words, large=True)
        xs = [
            float(v)
            for e in ElementTree.fromstring(svg).iter()
            for k, v in e.attrib.items()
            if k in ("x1", "x2", "x")
        ]
        assert all(0 <= x <= 330 for x in xs)
        labels = sorted(float(e["x"]) for e in parts(svg, "dl-label"))
        assert all(b - a >= 40 for a, b in itertools.pairwise(labels[1:]))


def test_the_alternative_says_when_by_what_and_which_stage(words: Words) -> None:
    told = label(day_line(line(75.4, stage=Stage.VISIT, evidence_kind=EvidenceKind.OWN_CREDENTIAL), words))
    assert told == "最后开门 11 月 18 日 05:18，本人卡；3 天 3 小时未开门；满 3 天"


def test_drawings_carry_no_ids_that_could_collide(words: Words) -> None:
    drawn = line(57, blind_hours=(45, 36))
    assert ' id="' not in day_line(drawn, words) + mark(Mark.UNKNOWN, words)
    assert day_line(drawn, words) == day_line(drawn, words)


def test_hatching_stays_inside_its_box() -> None:
    path = ElementTree.fromstring(f"<g>{hatching(10, 5, 33, 9)}</g>")[1].attrib["d"]
    points = [tuple(map(float, p.split())) for p in path.replace("M", "|").replace("L", "|").split("|") if p]
    assert points
    assert all(10 <= x <= 43 and 5 <= y <= 14 for x, y in points)


@pytest.mark.parametrize("kind", list(Mark))
def test_every_mark_has_its_own_shape_and_name(words: Words, kind: Mark) -> None:
    drawn = {mark(other, words).split(">", 1)[1] for other in Mark}
    assert len(drawn) == len(Mark)
    assert label(mark(kind, words)) == words.say(f"mark.{kind.value}")
