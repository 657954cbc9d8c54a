"""Templates to HTML: a template's name, the shell and a view-model enter, text leaves; no I/O but reading templates.

A fragment is one block of the same template, so that what the live page swaps in is what a full load would show.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import jinja2
from markupsafe import Markup, escape

from console import sentences
from console.drawing import backtest as drawing_backtest
from console.drawing import chart as drawing_chart
from console.drawing import day_line as drawing
from console.drawing import icons as drawing_icons
from console.drawing import plan as drawing_map
from console.drawing import qr
from console.drawing import street as drawing_street
from console.views import demo as demo_views
from console.views import evidence as evidence_views
from console.views import parts as view_parts
from console.views.buildings import BuildingRow
from console.views.evidence import OpeningKind
from console.views.parts import Form, Mark
from console.views.shell import Shell
from console.words import Words, load_words


class TemplatesOfNow(jinja2.BaseLoader):
    """The templates of a folder as they are now, read at once.

    A page and what fills it are of one version: files exchanged under a running console do not mix, also not on a page
    that nobody had asked for before.
    """

    def __init__(self, folder: Traversable) -> None:
        self._found = {
            entry.name: (entry.read_text(encoding="utf-8"), str(entry)) for entry in folder.iterdir()
        }

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, None]:
        if template not in self._found:
            raise jinja2.TemplateNotFound(template)
        return (*self._found[template], None)

    def list_templates(self) -> list[str]:
        return sorted(self._found)


@cache
def environment() -> jinja2.Environment:
    """The one template environment: escaping on, undefined names are errors."""
    made = jinja2.Environment(
        loader=TemplatesOfNow(files("console").joinpath("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(Mark=Mark, OpeningKind=OpeningKind, Form=Form)
    return made


def render(template: str, *, shell: Shell, page: object, fragment: str | None = None) -> str:
    """Make the page, or one named block of it.

    Raises
    ------
    UnknownFragmentError
        If the template has no block of that name.
    """
    words = load_words(shell.language, shell.zone, shell.now)
    found = environment().get_template(template)
    context = _context(shell, page, words)
    if fragment is None:
        return found.render(context)
    blocks = {**environment().get_template("base.html").blocks, **found.blocks}
    if fragment not in blocks:
        raise UnknownFragmentError(fragment)
    return "".join(blocks[fragment](found.new_context(context)))


class UnknownFragmentError(LookupError):
    """The asked part is not a block of this template; a client's fault, answered with 404."""


def _context(shell: Shell, page: object, words: Words) -> dict[str, Any]:
    context: dict[str, Any] = {
        "shell": shell,
        "page": page,
        "words": words,
        "t": words.say,
        "tn": words.count,
        "draw": _Drawings(words),
        "sentences": sentences,
    }
    # Macros as values instead of imports: a block rendered by itself must see them too.
    for name in ("parts", "case_parts"):
        file = {"parts": "_parts.html", "case_parts": "_case.html"}[name]
        context[name] = environment().get_template(file).make_module(context)
    return context


class _Drawings:
    """The drawings, with the reader's words bound and marked as safe HTML (drawing escapes by itself)."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def day_line(self, line: view_parts.DayLine, *, width: int = 330, large: bool = False) -> Markup:
        return Markup(drawing.day_line(line, self._words, width=width, large=large))  # noqa: S704

    def mark(self, mark: view_parts.Mark) -> Markup:
        return Markup(drawing.mark(mark, self._words))  # noqa: S704

    def icon(self, name: str) -> Markup:
        return Markup(drawing_icons.icon(name))  # noqa: S704

    def evidence_chart(self, chart: evidence_views.EvidenceChart, *, width: int = 760) -> Markup:
        return Markup(drawing_chart.evidence_chart(chart, self._words, width=width))  # noqa: S704

    def opening_mark(self, kind: evidence_views.OpeningKind) -> Markup:
        return Markup(drawing_chart.opening_mark(kind, self._words))  # noqa: S704

    def look_back(self, report: dict[str, Any]) -> Markup:
        say = self._words.say
        names = [
            say("look_back.in_force") if item["name"] == drawing_backtest.IN_FORCE else item["name"]
            for item in report["policies"]
        ]
        days = (report["from"], report["to"], *report["days"])
        dates = {day: self._words.date(date.fromisoformat(day)) for day in days}
        told = "; ".join(
            f"{name}: "
            + say("look_back.told", warnings=a["warning"], calls=a.get("call", 0), visits=a.get("visit", 0))
            for name, a in zip(names, (item["a_day"] for item in report["policies"]), strict=True)
        )
        spoken = drawing_backtest.ChartWords(
            say("look_back.warnings"), say("look_back.calls"), say("look_back.visits"), say("look_back.share_unseen"),
            f"{' – '.join(dates[day] for day in (report['from'], report['to']))}. {told}", names, dates,
        )  # fmt: skip
        return Markup(drawing_backtest.backtest_chart(report, words=spoken))  # noqa: S704

    def look_back_line(self, place: int) -> Markup:
        return Markup(drawing_backtest.line_of(place))  # noqa: S704

    def watermark(self, text: str) -> Markup:
        return Markup(drawing.watermark(text))  # noqa: S704

    def qr(self, text: str, label: str) -> Markup:
        return Markup(qr.draw_svg(text, label=str(escape(label))))  # noqa: S704

    def building(
        self,
        building: demo_views.Building,
        *,
        selected: str | None = None,
        base: str = "",
        shows_away: bool = True,
    ) -> Markup:
        drawn = drawing_street.building_section(
            building, self._words, selected=selected, base=base, shows_away=shows_away
        )
        return Markup(drawn)  # noqa: S704

    def map(self, rows: Sequence[BuildingRow]) -> Markup:
        return Markup(drawing_map.community_map(rows, self._words))  # noqa: S704
