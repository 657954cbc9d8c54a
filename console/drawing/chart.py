"""Fourteen days of evidence, one line per local day: a chart and words enter, SVG text leaves; pure.

A line shows openings by kind, other signs of life above, coverage as a strip below, absences as an outline and
the stages reached. What was not watched is hatched, in the line itself and in its strip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from html import escape

from console.drawing.day_line import hatching, mark_shape, number, picture, shape, text
from console.views.evidence import EvidenceChart, Opening, OpeningKind, StageMark
from console.views.parts import MARK_BY_STAGE, Span
from console.words import Words

_ROW = 34.0
_TOP = 22.0
_LABEL = 118.0
_LABEL_NARROW = 70.0
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
    return picture(
        [inner], width=18, height=18, label=words.say(f"opening.{kind.value}"), class_="opening-mark"
    )


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
    return picture(
        parts, width=width, height=height, label=chart_alternative(chart, words), class_="evidence-chart"
    )


def chart_alternative(chart: EvidenceChart, words: Words) -> str:
    """What the chart says, in a sentence."""
    own = [opening for opening in chart.openings if opening.kind not in _NOT_HERS]
    blind_ms = sum(round((span.to_at - span.from_at).total_seconds() * 1000) for span in chart.blind)
    parts = [words.count("chart.alt.openings", len(own), days=chart.day_count)]
    if own:
        parts.append(words.say("chart.alt.last", at=max(opening.at for opening in own)))
    parts.append(
        words.say("chart.alt.blind", blind_ms=blind_ms) if blind_ms else words.say("chart.alt.watched")
    )
    return words.say("join.sentence").join(parts)


@dataclass(frozen=True, slots=True)
class _Day:
    """One local day, 23 to 25 hours long, as a piece of the page."""

    begin: datetime
    end: datetime
    left: float
    length: float
    y: float

    def holds(self, at: datetime) -> bool:
        return self.begin <= at < self.end

    def x(self, at: datetime) -> float:
        share = (at - self.begin).total_seconds() / (self.end - self.begin).total_seconds()
        return self.left + self.length * min(max(share, 0.0), 1.0)

    def pieces(
        self, spans: Iterable[Span], from_at: datetime, to_at: datetime
    ) -> Iterator[tuple[float, float]]:
        """Left edge and width of what lies of the spans between two instants of this day."""
        for span in spans:
            begin, end = max(span.from_at, from_at), min(span.to_at, to_at)
            if end > begin:
                yield self.x(begin), self.x(end) - self.x(begin)


class _Plot:
    """One chart's geometry: local days to pixels."""

    def __init__(
        self, chart: EvidenceChart, words: Words, *, left: float, length: float, narrow: bool
    ) -> None:
        self._chart, self._words = chart, words
        self._left, self._length, self._narrow = left, length, narrow

    def hours(self, day_count: int) -> list[str]:
        parts = []
        for hour in (0, 6, 12, 18, 24):
            x = self._left + self._length * hour / 24
            parts.append(shape("line", class_="ec-hour", x1=x, x2=x, y1=_TOP - 4, y2=_TOP + day_count * _ROW))
            parts.append(text(f"{hour:02d}", class_="ec-label", x=x, y=_TOP - 9, text_anchor="middle"))
        return parts

    def day(self, date_of: date, y: float) -> list[str]:
        day = self._bounds(date_of, y)
        class_ = "ec-today" if date_of == self._chart.last_day else "ec-label"
        parts = [text(self._label(date_of), class_=class_, x=0, y=y + 18)]
        from_at = max(day.begin, self._chart.watched_from or day.begin)
        to_at = min(day.end, self._chart.now)
        if to_at > from_at:
            parts += self._coverage(day, from_at, to_at) + self._evidence(day)
            if to_at == self._chart.now:
                x = day.x(to_at)
                parts.append(shape("line", class_="dl-now", x1=x, x2=x, y1=y + 4, y2=y + 30))
        hers = sum(day.holds(o.at) and o.kind not in _NOT_HERS for o in self._chart.openings)
        if hers:
            x = self._left + self._length + 12
            parts.append(text(self._words.say("chart.times", n=hers), class_="ec-label", x=x, y=y + 18))
        return parts

    def _label(self, day: date) -> str:
        label = f"{day.month}/{day.day}" if self._narrow else self._words.date(day)
        return f"{label} {self._words.weekday(day)}"

    def _coverage(self, day: _Day, from_at: datetime, to_at: datetime) -> list[str]:
        """The strip below, the base line, absences as an outline, what was not seen as hatching."""
        x, to_x = day.x(from_at), day.x(to_at)
        parts = [
            shape("rect", class_="ec-watched", x=x, y=day.y + 25, width=to_x - x, height=4),
            shape("line", class_="ec-base", x1=x, x2=to_x, y1=day.y + 14, y2=day.y + 14),
        ]
        parts += [
            shape("rect", class_="ec-away", x=x, y=day.y + 6, width=width, height=16, rx=3)
            for x, width in day.pieces(self._chart.absences, from_at, to_at)
        ]
        parts += [
            hatching(x, day.y + 24, max(1.5, width), 6, step=4)
            for x, width in day.pieces(self._chart.blind, from_at, to_at)
        ]
        return parts

    def _evidence(self, day: _Day) -> list[str]:
        """Signs above the line, openings on it, the stages where they were reached."""
        signs = {day.x(sign.at) for sign in self._chart.signs if day.holds(sign.at)}
        parts = [
            shape("line", class_="dl-sign", x1=x, x2=x, y1=day.y + 3, y2=day.y + 8) for x in sorted(signs)
        ]
        parts += [self._opening(opening, day) for opening in self._chart.openings if day.holds(opening.at)]
        parts += [self._crossing(mark, day) for mark in self._chart.crossings if day.holds(mark.at)]
        return parts

    def _opening(self, opening: Opening, day: _Day) -> str:
        title = f"{self._words.full(opening.at)} {self._words.say(f'opening.{opening.kind.value}')}"
        return _placed(_SHAPES[opening.kind], title, f"{number(day.x(opening.at))} {number(day.y + 14)}")

    def _crossing(self, crossing: StageMark, day: _Day) -> str:
        title = self._words.say("chart.crossing", stage=int(crossing.stage), at=crossing.at)
        inner = f'<g transform="scale(.62)">{mark_shape(MARK_BY_STAGE[crossing.stage])}</g>'
        return _placed(inner, title, f"{number(day.x(crossing.at) - 8)} {number(day.y + 6)}")

    def _bounds(self, day: date, y: float) -> _Day:
        zone = self._words.zone
        begin = datetime.combine(day, time(0), tzinfo=zone)
        end = datetime.combine(day + timedelta(days=1), time(0), tzinfo=zone)
        # In UTC: subtracting local instants of one zone would ignore a clock change between them.
        return _Day(begin.astimezone(UTC), end.astimezone(UTC), self._left, self._length, y)


def _placed(inner: str, title: str, place: str) -> str:
    return f'<g transform="translate({place})"><title>{escape(title)}</title>{inner}</g>'
