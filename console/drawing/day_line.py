"""The day line and the priority marks: view-models and words enter, SVG text leaves; pure, escaped, without ids.

Colours are classes of the style sheet, so that dark and print need no second drawing. Hatching is drawn line by
line instead of by a pattern: no ids, so two drawings on one page can never share one by accident.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from html import escape

from console.sentences import line_alternative
from console.views.parts import DayLine, Mark, Span
from console.words import Words
from kaimen.policy import DAY_MS

#: Up to this age the scale is fixed, so that rows can be compared; beyond it the line is fitted to its age.
SPAN_FIXED_MS = int(3.5 * DAY_MS)
LONG_AFTER_MS = int(3.4 * DAY_MS)
_LONG_MARGIN = 1.06
_EDGE = 8.0
_BAR_TOP, _BAR_HEIGHT = 14.0, 8.0
_LABEL_GAP = 16.0
_LABEL_GAP_LARGE = 44.0
_LABEL_HALF_LARGE = 20.0
_DAY_STEPS = (1, 2, 5, 10, 30, 90, 10_000)


def number(value: float) -> str:
    """A coordinate with at most one decimal: small files, stable tests."""
    if type(value) is int:
        return str(value)
    return f"{value:.1f}".rstrip("0").rstrip(".")


def attributes(**values: object) -> str:
    """``class_`` and friends as escaped SVG attributes, in the order given."""
    # A page has thousands of them.
    return " ".join(
        [
            f'{_name(name)}="{number(value) if isinstance(value, _NUMBERS) else escape(str(value))}"'
            for name, value in values.items()
        ]
    )


_NUMBERS = (float, int)


@cache
def _name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def shape(tag: str, **values: object) -> str:
    return f"<{tag} {attributes(**values)}/>"


def text(content: str, **values: object) -> str:
    return f"<text {attributes(**values)}>{escape(content)}</text>"


def picture(parts: Iterable[str], *, width: float, height: float, label: str, class_: str) -> str:
    """A whole SVG with its text alternative."""
    head = attributes(
        class_=class_,
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
    )
    return f"<svg {head}>{''.join(parts)}</svg>"


def hatching(x: float, y: float, width: float, height: float, *, step: float = 5.0) -> str:
    """Diagonal lines clipped to a rectangle, as one path, with its outline."""
    strokes = []
    offset = step
    while offset < width + height:
        # The line x + y = offset inside the rectangle, from its lower left end to its upper right end.
        x1, y1 = max(0.0, offset - height), min(height, offset)
        x2, y2 = min(width, offset), max(0.0, offset - width)
        strokes.append(f"M{number(x + x1)} {number(y + y1)}L{number(x + x2)} {number(y + y2)}")
        offset += step
    outline = shape("rect", class_="blind-box", x=x, y=y, width=width, height=height)
    return outline + shape("path", class_="blind-lines", d="".join(strokes) or "M0 0")


def watermark(words: str) -> str:
    """Who read what, slanted over everything read, so that a photograph of the screen carries it too."""
    lines = [
        text(
            words, x=column * 560 - row % 2 * 280, y=0, transform=f"translate(0 {60 + row * 110}) rotate(-14)"
        )
        for row in range(60)
        for column in range(4)
    ]
    return f'<svg class="watermark-text" aria-hidden="true">{"".join(lines)}</svg>'


# --- Marks -----------------------------------------------------------------------------------------------------

_HATCHED_DISC = "M5.5 13.5L13.5 5.5M5.6 19L19 5.6M8.5 21.7L21.7 8.5M13.5 22.3L22.3 13.5"
_MARK_SHAPES = {
    Mark.HIGH: '<rect class="m-high" x="2" y="2" width="22" height="22" rx="4"/>',
    Mark.MID: '<path class="m-mid" d="M13 1.5L25.2 23.2Q25.5 24 24.6 24H1.4Q.5 24 .8 23.2Z"/>',
    Mark.LOW: '<circle class="m-low" cx="13" cy="13" r="11"/>',
    Mark.UNKNOWN: f'<circle class="m-unknown" cx="13" cy="13" r="10.2"/><path class="blind-lines" d="{_HATCHED_DISC}"/>',
    Mark.AWAY: '<circle class="m-away" cx="13" cy="13" r="9.5"/>',
    Mark.NORMAL: '<circle class="m-normal" cx="13" cy="13" r="4"/>',
}
_MARK_NUMERALS = {
    Mark.HIGH: ("3", 18.4),
    Mark.MID: ("2", 20.6),
    Mark.LOW: ("1", 18.2),
    Mark.UNKNOWN: ("?", 18.2),
}


def mark_shape(mark: Mark) -> str:
    """The shape with its numeral in a 26 × 26 field, to be placed inside another drawing."""
    if mark not in _MARK_NUMERALS:
        return _MARK_SHAPES[mark]
    numeral, baseline = _MARK_NUMERALS[mark]
    class_ = "m-question" if mark is Mark.UNKNOWN else "m-numeral"
    return _MARK_SHAPES[mark] + text(numeral, class_=class_, x=13, y=baseline, text_anchor="middle")


def mark(mark: Mark, words: Words) -> str:
    """The priority mark of a row: red square 3, amber triangle 2, teal circle 1, hatched disc, outline, dot."""
    return picture(
        [mark_shape(mark)],
        width=26,
        height=26,
        label=words.say(f"mark.{mark.value}"),
        class_=f"mark mark-{mark.value}",
    )


# --- The day line ----------------------------------------------------------------------------------------------


def day_line(line: DayLine, words: Words, *, width: int = 330, large: bool = False) -> str:
    """Draw how long it has been, on wall time, with the ladder's marks where watched time reached them."""
    height = 46 if large else 40
    scale = _Scale(line, width)
    parts = [
        shape("rect", class_="dl-track", x=_EDGE, y=_BAR_TOP, width=scale.length, height=_BAR_HEIGHT, rx=4)
    ]
    parts += _filled(line, scale)
    parts += _thresholds(line, scale, words, large=large)
    parts += _signs(line, scale)
    parts += _ends(line, scale)
    if large:
        parts.append(text(words.named("evidence.short", line.evidence_kind), class_="dl-label", x=2, y=42))
    tone = line.mark.value
    label = line_alternative(line, words)
    return picture(parts, width=width, height=height, label=label, class_=f"day-line tone-{tone}")


class _Scale:
    """Wall time to pixels, and watched time to wall time."""

    def __init__(self, line: DayLine, width: int) -> None:
        self.length = width - 2 * _EDGE
        elapsed = line.elapsed_ms
        self.span_ms = SPAN_FIXED_MS if elapsed <= LONG_AFTER_MS else int(elapsed * _LONG_MARGIN)
        self.start = line.evidence_at
        self.now_x = self.at_ms(elapsed)
        self.blind_ms = [self._clip(span, elapsed) for span in line.blind]
        self.blind_ms = sorted((a, b) for a, b in self.blind_ms if b > a)

    def _clip(self, span: Span, elapsed_ms: int) -> tuple[int, int]:
        return max(0, self._since(span.from_at)), min(elapsed_ms, self._since(span.to_at))

    def _since(self, at: datetime) -> int:
        return round((at - self.start).total_seconds() * 1000)

    def at_ms(self, since_ms: float) -> float:
        return _EDGE + self.length * min(max(since_ms, 0), self.span_ms) / self.span_ms

    def at(self, at: datetime) -> float:
        return self.at_ms(self._since(at))

    def watched_ms(self, inactive_ms: int) -> int:
        """Wall time since the evidence at which so much had been watched; the future counts as watched."""
        wall = inactive_ms
        for begin, end in self.blind_ms:
            if begin < wall:
                wall += end - begin
        return wall


def _filled(line: DayLine, scale: _Scale) -> list[str]:
    if line.away_until is not None:
        width = max(0.0, scale.now_x - _EDGE)
        return [
            shape("rect", class_="dl-away", x=_EDGE, y=_BAR_TOP + 0.5, width=width, height=_BAR_HEIGHT - 1)
        ]
    parts = []
    from_ms = 0
    for begin, end in [*scale.blind_ms, (line.elapsed_ms, line.elapsed_ms)]:
        x, to_x = scale.at_ms(from_ms), scale.at_ms(begin)
        if to_x > x:
            parts.append(shape("rect", class_="dl-fill", x=x, y=_BAR_TOP, width=to_x - x, height=_BAR_HEIGHT))
        if end > begin:
            x, to_x = scale.at_ms(begin), scale.at_ms(end)
            parts.append(hatching(x, _BAR_TOP - 1, max(1.5, to_x - x), _BAR_HEIGHT + 2))
        from_ms = max(from_ms, end)
    return parts


def _thresholds(line: DayLine, scale: _Scale, words: Words, *, large: bool) -> list[str]:
    """A tick where each stage was or will be reached, and day labels that never run into one another."""
    parts = []
    gap = _LABEL_GAP_LARGE if large else _LABEL_GAP
    label_free_from = 84.0 if large else _EDGE
    step_ms = _label_step_ms(scale, gap)
    for day_ms in _labelled(line, scale):
        x = scale.at_ms(scale.watched_ms(day_ms))
        if scale.watched_ms(day_ms) > scale.span_ms:
            continue
        if day_ms in line.thresholds_ms:
            passed = line.away_until is None and day_ms <= line.inactive_ms
            if passed:
                parts.append(
                    shape("line", class_="dl-turn", x1=x, x2=x, y1=_BAR_TOP, y2=_BAR_TOP + _BAR_HEIGHT)
                )
            parts.append(shape("line", class_="dl-tick", x1=x, x2=x, y1=9, y2=13))
            parts.append(shape("line", class_="dl-tick", x1=x, x2=x, y1=23, y2=27))
        # Beyond the fixed scale only evenly spaced days are named: 2, 4, 6 reads as a scale, 2, 3, 4, 6 does not.
        named = scale.span_ms <= SPAN_FIXED_MS or day_ms % step_ms == 0
        if named and label_free_from <= x <= scale.length + 2 * _EDGE - (
            _LABEL_HALF_LARGE if large else _EDGE
        ):
            whole = day_ms % DAY_MS == 0
            label = words.count("line.day", day_ms // DAY_MS) if large and whole else number(day_ms / DAY_MS)
            parts.append(text(label, class_="dl-label", x=x, y=42 if large else 38, text_anchor="middle"))
            label_free_from = x + gap
    return parts


def _label_step_ms(scale: _Scale, gap: float) -> int:
    """The least number of days between two labels that leaves room for both."""
    day = scale.length * DAY_MS / scale.span_ms
    return DAY_MS * next((step for step in _DAY_STEPS if step * day >= gap), _DAY_STEPS[-1])


def _labelled(line: DayLine, scale: _Scale) -> list[int]:
    """The thresholds, and beyond the last one whole days at a step that leaves room."""
    days = scale.span_ms / DAY_MS
    step = next(s for s in _DAY_STEPS if days / s <= 7)
    last = line.thresholds_ms[-1] if line.thresholds_ms else 0
    further = (
        [n * step * DAY_MS for n in range(1, int(days / step) + 1)] if scale.span_ms > SPAN_FIXED_MS else []
    )
    return sorted({*line.thresholds_ms, *(ms for ms in further if ms > last)})


def _signs(line: DayLine, scale: _Scale) -> list[str]:
    seen = {round(scale.at(sign.at)) for sign in line.signs if line.evidence_at < sign.at <= line.now}
    return [shape("line", class_="dl-sign", x1=x, x2=x, y1=3, y2=9) for x in sorted(seen)]


def _ends(line: DayLine, scale: _Scale) -> list[str]:
    return [
        shape("circle", class_="dl-last", cx=_EDGE, cy=_BAR_TOP + _BAR_HEIGHT / 2, r=6),
        shape("line", class_="dl-now", x1=scale.now_x, x2=scale.now_x, y1=9, y2=27),
    ]
