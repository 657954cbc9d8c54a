"""What policies would have made, day by day: a backtest's report enters, SVG text leaves; pure.

One panel per stage, one line per policy, the one in force thick; below, the share of the day that nobody saw, hatched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.drawing.day_line import hatching, number, picture, shape, text

#: The name of the policy that every report begins with.
IN_FORCE = "in force"
_WIDTH, _LEFT, _RIGHT = 900.0, 56.0, 16.0
_PANEL_HEIGHT, _GAP, _STRIP = 130.0, 34.0, 26.0
_LEGEND_ROW = 20.0
_LABELS_MAX = 10
#: Told apart without colour too: each line has its own dashes.
_DASHES = ("", "7 3", "2 3", "10 3 2 3", "1 4", "14 4")
_COLOURS = ("#111827", "#b45309", "#1d4ed8", "#047857", "#9d174d", "#6d28d9", "#0e7490", "#57534e")
_STYLE = (
    "<style>"
    + "".join(f".bt-p{place}{{stroke:{colour}}}" for place, colour in enumerate(_COLOURS))
    + "text{font:13px system-ui,sans-serif;fill:#111827}.bt-title{font-weight:600}.bt-small{font-size:11px;fill:#4b5563}"
    ".bt-grid{stroke:#d1d5db}.bt-line{fill:none;stroke-linejoin:round}.blind-box{fill:none;stroke:#6b7280}"
    ".blind-lines{fill:none;stroke:#6b7280}"
    "svg{background:#fff}</style>"
)


@dataclass(frozen=True, slots=True)
class ChartWords:
    """What the drawing says, in the reader's language; ``names`` are those of the policies, in their order.

    ``days`` says the report's days in the reader's way; a day it has not is drawn as it is written.
    """

    warning: str = "Warnings a day"
    call: str = "Calls a day"
    visit: str = "Visits a day"
    unseen: str = "Share of the day nobody could see (never counted)"
    alternative: str | None = None
    names: Sequence[str] | None = None
    days: Mapping[str, str] = field(default_factory=dict)


def backtest_file(report: dict[str, Any]) -> str:
    """Return a whole SVG file, with its own colours, of the report of ``kaimen backtest --json``."""
    drawn = backtest_chart(report, style=_STYLE)
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def backtest_chart(report: dict[str, Any], *, style: str = "", words: ChartWords | None = None) -> str:
    """Draw the panels; ``style`` goes in front of them."""
    words = words or ChartWords()
    names = words.names or [policy["name"] for policy in report["policies"]]
    parts = [style, *_legend(names)]
    top = _LEGEND_ROW * (len(names) + 1) + 14
    for stage, title in (("warning", words.warning), ("call", words.call), ("visit", words.visit)):
        parts += _panel(report, stage, title, top)
        top += _PANEL_HEIGHT + _GAP
    parts += _unseen(report, top, words.unseen)
    parts += _dates([words.days.get(day, day) for day in report["days"]], top + _STRIP + 16)
    return picture(
        parts,
        width=_WIDTH,
        height=top + _STRIP + 26,
        label=words.alternative or _alternative(report),
        class_="backtest-chart",
    )


def _alternative(report: dict[str, Any]) -> str:
    """What the drawing says, in a sentence."""
    told = "; ".join(
        f"{policy['name']}: {policy['a_day']['warning']} warnings, {policy['a_day']['call']} calls, "
        f"{policy['a_day']['visit']} visits a day"
        for policy in report["policies"]
    )
    return f"{report['from']} to {report['to']}. {told}. {report['household_days']['unseen']} household-days were unseen."


def _pen(place: int) -> dict[str, object]:
    pen: dict[str, object] = {
        "class_": f"bt-line bt-p{place % len(_COLOURS)}",
        "stroke_width": 2.6 if place == 0 else 1.6,
    }
    dashes = _DASHES[place % len(_DASHES)]
    return {**pen, "stroke_dasharray": dashes} if dashes else pen


def line_of(place: int) -> str:
    """Return a short piece of a policy's line, to stand beside its name."""
    pen = shape("line", x1=1, x2=33, y1=7, y2=7, **_pen(place))
    return f'<svg class="bt-key" viewBox="0 0 34 14" width="34" height="14" aria-hidden="true">{pen}</svg>'


def _legend(names: Sequence[str]) -> list[str]:
    parts = []
    for place, name in enumerate(names):
        y = 16 + _LEGEND_ROW * place
        parts.append(shape("line", x1=_LEFT, x2=_LEFT + 34, y1=y - 4, y2=y - 4, **_pen(place)))
        parts.append(text(name, class_="bt-name", x=_LEFT + 42, y=y))
    return parts


def _x(day: int, day_count: int) -> float:
    """The middle of a day."""
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (day + 0.5) / day_count


def _panel(report: dict[str, Any], stage: str, title: str, top: float) -> list[str]:
    lines = [policy["by_day"].get(stage, []) for policy in report["policies"]]
    highest = _rounded(max((value for line in lines for value in line), default=0))
    parts = [text(title, class_="bt-title", x=_LEFT, y=top - 8)]
    for share in (0.0, 0.5, 1.0):
        y = top + _PANEL_HEIGHT * (1 - share)
        parts.append(shape("line", class_="bt-grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y))
        parts.append(
            text(number(highest * share), class_="bt-small", x=_LEFT - 6, y=y + 4, text_anchor="end")
        )
    # The one in force is drawn last, so that nothing hides it.
    for place in reversed(range(len(lines))):
        points = [
            f"{number(_x(day, len(lines[place])))},{number(top + _PANEL_HEIGHT * (1 - value / highest))}"
            for day, value in enumerate(lines[place])
        ]
        parts.append(shape("polyline", points=" ".join(points), fill="none", **_pen(place)))
        if len(points) == 1:
            centre_x, centre_y = points[0].split(",")
            parts.append(shape("circle", cx=centre_x, cy=centre_y, r=2, **_pen(place)))
    return parts


def _rounded(highest: float) -> float:
    """The next number above that reads well on a scale: 2, 4, 10, 20, 40, 100 …"""
    step = 1.0
    while True:
        for factor in (2.0, 4.0, 10.0):
            if highest <= factor * step:
                return factor * step
        step *= 10.0


def _unseen(report: dict[str, Any], top: float, title: str) -> list[str]:
    parts = [text(title, class_="bt-title", x=_LEFT, y=top - 8)]
    parts.append(
        shape("line", class_="bt-grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=top + _STRIP, y2=top + _STRIP)
    )
    day_count = len(report["days"])
    width = (_WIDTH - _LEFT - _RIGHT) / day_count
    for day, (unseen, watched) in enumerate(
        zip(report["unseen_by_day"], report["watched_by_day"], strict=True)
    ):
        share = unseen / (unseen + watched) if unseen else 0.0
        height = _STRIP * share
        if height >= 0.5:
            parts.append(hatching(_LEFT + day * width, top + _STRIP - height, width, height, step=4))
    return parts


def _dates(days: Sequence[str], y: float) -> list[str]:
    every = -(-len(days) // _LABELS_MAX)
    return [
        text(day, class_="bt-small", x=_x(place, len(days)), y=y, text_anchor="middle")
        for place, day in enumerate(days)
        if place % every == 0
    ]
