"""Fourteen days of evidence, one line per local day: a chart and words enter, SVG text leaves; pure.

A line shows openings by kind, other signs of life above, coverage as a strip below, absences as an outline and
the stages reached. What was not watched is hatched, in the line itself and in its strip.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from console.drawing import hatching, mark_shape, number, picture, shape, text
from console.views import MARK_BY_STAGE, EvidenceChart, Opening, OpeningKind, Span
from console.words import Words

_ROW = 30.0
_TOP = 22.0
_LABEL = 92.0
_LABEL_NARROW = 62.0
_COUNT = 44.0
#: Openings that are not hers stand in the chart, but not in its count.
_NOT_HERS = frozenset({OpeningKind.STAFF, OpeningKind.VISITOR})

_SHAPES = {
    OpeningKind.OWN_CREDENTIAL: '<circle class="o-own" r="4.6"/>',
    OpeningKind.FAMILY_CREDENTIAL: '<circle class="o-family" r="4"/>',
    OpeningKind.CONTACT: '<rect class="o-door" x="-2" y="-6" width="4" height="12" rx="1"/>',
    OpeningKind.COUNTER: '<rect class="o-counter" x="-2.5" y="-5.5" width="5" height="11" rx="1"/>',
    OpeningKind.VERIFIED: '<path class="o-verified" d="M0-6L6 0 0 6-6 0Z"/>',
    OpeningKind.STAFF: '<path class="o-other" d="M-4-4L4 4M4-4L-4 4"/>',
    OpeningKind.VISITOR: '<path class="o-other" d="M-4.5 0H4.5M0-4.5V4.5"/>',
}


def opening_mark(kind: OpeningKind, words: Words) -> str:
    """The mark of one kind of opening, for the legend and the list."""
    inner = f'<g transform="translate(9 9)">{_SHAPES[kind]}</g>'
    return picture([inner], width=18, height=18, label=words.say(f"opening.{kind.value}"), class_="opening-mark")


def evidence_chart(chart: EvidenceChart, words: Words, *, width: int = 760) -> str:
    """Draw the days, the newest at the bottom, each 00:00 to 24:00 in the community's zone."""
    narrow = width < 500
    left = _LABEL_NARROW if narrow else _LABEL
    plot = _Plot(chart, words, left=left, length=width - left - _COUNT, narrow=narrow)
    days = [chart.last_day - timedelta(days=back) for back in range(chart.day_count - 1, -1, -1)]
    parts = [*plot.hours(len(days))]
    for index, day in enumerate(days):
        parts += plot.day(day, _TOP + index * _ROW)
    height = _TOP + len(days) * _ROW + 4
    return picture(parts, width=width, height=height, label=chart_alternative(chart, words), class_="evidence-chart")


def chart_alternative(chart: EvidenceChart, words: Words) -> str:
    """What the chart says, in a sentence."""
    own = [opening for opening in chart.openings if opening.kind not in _NOT_HERS]
    blind_ms = sum(round((span.to_at - span.from_at).total_seconds() * 1000) for span in chart.blind)
    parts = [words.count("chart.alt.openings", len(own), days=chart.day_count)]
    if own:
        parts.append(words.say("chart.alt.last", at=max(opening.at for opening in own)))
    parts.append(words.say("chart.alt.blind", blind_ms=blind_ms) if blind_ms else words.say("chart.alt.watched"))
    return words.say("join.sentence").join(parts)


class _Plot:
    """One chart's geometry: local days to pixels."""

    def __init__(self, chart: EvidenceChart, words: Words, *, left: float, length: float, narrow: bool) -> None:
        self._chart, self._words = chart, words
        self._left, self._length, self._narrow = left, length, narrow

    def hours(self, day_count: int) -> list[str]:
        parts = []
        for hour in (0, 6, 12, 18, 24):
            x = self._left + self._length * hour / 24
            parts.append(shape("line", class_="ec-hour", x1=x, x2=x, y1=_TOP - 4, y2=_TOP + day_count * _ROW))
            parts.append(text(f"{hour:02d}", class_="ec-label", x=x, y=_TOP - 9, text_anchor="middle"))
        return parts

    def day(self, day: date, y: float) -> list[str]:
        begin, end = self._bounds(day)
        today = day == self._chart.last_day
        shown_end = min(end, self._chart.now)
        label = self._words.date(day) if not self._narrow else f"{day.month}/{day.day}"
        label += f" {self._words.weekday(day)}"
        parts = [text(label, class_="ec-today" if today else "ec-label", x=0, y=y + 15)]
        watched_from = self._chart.watched_from or begin
        if shown_end > max(begin, watched_from):
            parts += self._line(max(begin, watched_from), shown_end, begin, end, y)
        own = [o for o in self._chart.openings if begin <= o.at < end and o.kind not in _NOT_HERS]
        if own:
            x = self._left + self._length + 12
            parts.append(text(self._words.say("chart.times", n=len(own)), class_="ec-label", x=x, y=y + 15))
        return parts

    def _line(self, from_at: datetime, to_at: datetime, begin: datetime, end: datetime, y: float) -> list[str]:
        def x_of(at: datetime) -> float:
            share = (at - begin).total_seconds() / (end - begin).total_seconds()
            return self._left + self._length * min(max(share, 0.0), 1.0)

        from_x, to_x = x_of(from_at), x_of(to_at)
        parts = [shape("rect", class_="ec-watched", x=from_x, y=y + 21, width=to_x - from_x, height=4)]
        parts.append(shape("line", class_="ec-base", x1=from_x, x2=to_x, y1=y + 11, y2=y + 11))
        for x, width in self._pieces(self._chart.absences, from_at, to_at, x_of):
            parts.append(shape("rect", class_="ec-away", x=x, y=y + 3, width=width, height=16, rx=3))
        for x, width in self._pieces(self._chart.blind, from_at, to_at, x_of):
            parts.append(hatching(x, y + 20, max(1.5, width), 6, step=4))
        for at in (sign.at for sign in self._chart.signs if from_at <= sign.at < to_at):
            parts.append(shape("line", class_="dl-sign", x1=x_of(at), x2=x_of(at), y1=y + 1, y2=y + 5))
        for opening in self._chart.openings:
            if begin <= opening.at < end:
                parts.append(self._opening(opening, x_of(opening.at), y + 11))
        for crossing in self._chart.crossings:
            if begin <= crossing.at < end:
                inner = mark_shape(MARK_BY_STAGE[crossing.stage])
                place = f"translate({number(x_of(crossing.at) - 8)} {number(y + 3)}) scale(.62)"
                title = self._words.say("chart.crossing", stage=int(crossing.stage), at=crossing.at)
                parts.append(f'<g transform="{place}"><title>{title}</title>{inner}</g>')
        if to_at == self._chart.now:
            parts.append(shape("line", class_="dl-now", x1=to_x, x2=to_x, y1=y + 2, y2=y + 25))
        return parts

    @staticmethod
    def _pieces(spans: tuple[Span, ...], from_at: datetime, to_at: datetime, x_of: object) -> list[tuple[float, float]]:
        pieces = []
        for span in spans:
            begin, end = max(span.from_at, from_at), min(span.to_at, to_at)
            if end > begin:
                x = x_of(begin)  # type: ignore[operator]
                pieces.append((x, x_of(end) - x))  # type: ignore[operator]
        return pieces

    def _opening(self, opening: Opening, x: float, y: float) -> str:
        title = f"{self._words.full(opening.at)} {self._words.say(f'opening.{opening.kind.value}')}"
        place = f"translate({number(x)} {number(y)})"
        return f'<g transform="{place}"><title>{title}</title>{_SHAPES[opening.kind]}</g>'

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        zone = self._words.zone
        return (
            datetime.combine(day, time(0), tzinfo=zone),
            datetime.combine(day + timedelta(days=1), time(0), tzinfo=zone),
        )
