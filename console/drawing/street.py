"""The street: buildings, units and homes enter, one SVG section per building leaves; pure, escaped, without ids.

A home that needs nobody is a grey window. A home that does carries its priority mark; unknown is hatched, away
is an outline, an open door is drawn open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape

from console.drawing.day_line import hatching, mark_shape, number, picture, shape, text
from console.views.demo import Building, Home, Unit
from console.views.parts import Mark
from console.words import Words

_CELL_WIDTH, _CELL_HEIGHT, _GAP = 50.0, 40.0, 5.0
_UNIT_GAP = 22.0
_EDGE = 14.0
_ROOF = 20.0
_FOOT = 46.0
_FLOOR_LABEL = 22.0


def building_section(
    building: Building, words: Words, *, selected: str | None = None, base: str = "", shows_away: bool = True
) -> str:
    """Draw one building as floors × homes per unit; with ``base`` every home links to ``base + household id``.

    Without ``shows_away`` nobody can see which home is empty: away is told as a count only.
    """
    told = building_alternative(building, words)
    if not shows_away:
        building = _hide_away(building)
    floors = sorted({home.floor for unit in building.units for home in unit.homes}, reverse=True)
    rows = {floor: index for index, floor in enumerate(floors)}
    height = _ROOF + len(floors) * (_CELL_HEIGHT + _GAP) + _FOOT
    parts: list[str] = []
    x = _EDGE + _FLOOR_LABEL
    for unit in building.units:
        columns = _columns(unit)
        width = columns * (_CELL_WIDTH + _GAP) + _GAP
        parts.append(_unit_wall(unit, words, x, width, height))
        for home, column in _placed(unit):
            cell_x = x + _GAP + column * (_CELL_WIDTH + _GAP)
            cell_y = _ROOF + _GAP + rows[home.floor] * (_CELL_HEIGHT + _GAP)
            parts.append(
                _home(home, words, cell_x, cell_y, selected=selected == home.household_id, base=base)
            )
        x += width + _UNIT_GAP
    total = x - _UNIT_GAP + _EDGE
    labels = [
        text(
            str(floor),
            class_="st-floor",
            x=_EDGE + 6,
            y=_ROOF + _GAP + row * (_CELL_HEIGHT + _GAP) + 25,
            text_anchor="middle",
        )
        for floor, row in rows.items()
    ]
    ground = shape("line", class_="st-ground", x1=0, x2=total, y1=height - 30, y2=height - 30)
    return picture(
        [ground, *labels, *parts],
        width=total,
        height=height,
        label=told,
        class_="building",
    ).replace('role="img"', 'role="group"', 1)


def building_alternative(building: Building, words: Words) -> str:
    """Counts by state, the ones that need somebody first."""
    homes = [home for unit in building.units for home in unit.homes]
    parts = [words.say("street.building", name=building.name)]
    for mark in Mark:
        number_of = sum(home.mark is mark for home in homes)
        if number_of:
            parts.append(words.count(f"street.count.{mark.value}", number_of))
    return words.say("join.dot").join(parts)


def _hide_away(building: Building) -> Building:
    def hidden(home: Home) -> Home:
        return replace(home, mark=Mark.NORMAL) if home.mark is Mark.AWAY else home

    units = tuple(replace(unit, homes=tuple(map(hidden, unit.homes))) for unit in building.units)
    return replace(building, units=units)


def _columns(unit: Unit) -> int:
    by_floor: dict[int, int] = {}
    for home in unit.homes:
        by_floor[home.floor] = by_floor.get(home.floor, 0) + 1
    return max(by_floor.values(), default=1)


def _placed(unit: Unit) -> Iterable[tuple[Home, int]]:
    next_column: dict[int, int] = {}
    for home in sorted(unit.homes, key=lambda home: (home.floor, home.room)):
        column = next_column.get(home.floor, 0)
        next_column[home.floor] = column + 1
        yield home, column


def _unit_wall(unit: Unit, words: Words, x: float, width: float, height: float) -> str:
    wall_height = height - _ROOF - 30
    parts = [shape("rect", class_="st-wall", x=x, y=_ROOF, width=width, height=wall_height, rx=3)]
    parts.append(
        shape(
            "path",
            class_="st-roof",
            d=f"M{number(x - 4)} {number(_ROOF)}h{number(width + 8)}l-8-7H{number(x + 4)}z",
        )
    )
    middle = x + width / 2
    name = words.say("street.unit", name=unit.name)
    parts.append(text(name, class_="st-unit", x=middle, y=height - 11, text_anchor="middle"))
    if unit.gateway_id is not None:
        parts.append(_gateway(unit, words, middle, height - 42))
    return "".join(parts)


def _gateway(unit: Unit, words: Words, x: float, y: float) -> str:
    """The box at the foot of the stairs: waves while it is heard, hatched while it is not."""
    state = "heard" if unit.gateway_known else "silent"
    title = words.say(f"street.gateway.{state}", name=unit.gateway_id)
    box = shape("rect", class_="st-gateway", x=x - 8, y=y - 2, width=16, height=9, rx=2)
    if unit.gateway_known:
        sign = shape(
            "path",
            class_="st-waves",
            d=f"M{number(x + 11)} {number(y)}q3 2.5 0 5M{number(x + 14.5)} {number(y - 2)}q5.5 4.5 0 9",
        )
    else:
        sign = hatching(x - 8, y - 2, 16, 9, step=4)
    return f"<g><title>{escape(title)}</title>{box}{sign}</g>"


def _home(home: Home, words: Words, x: float, y: float, *, selected: bool, base: str) -> str:
    classes = ["st-home", f"st-{home.mark.value}"] + (["st-selected"] if selected else [])
    parts = [shape("rect", class_=" ".join(classes), x=x, y=y, width=_CELL_WIDTH, height=_CELL_HEIGHT, rx=4)]
    if home.mark is Mark.UNKNOWN:
        parts.append(hatching(x, y, _CELL_WIDTH, _CELL_HEIGHT, step=7))
    parts.append(_window(home, x, y))
    if home.mark in (Mark.HIGH, Mark.MID, Mark.LOW):
        parts.append(
            f'<g transform="translate({number(x + 4)} {number(y + 4)}) scale(.76)">{mark_shape(home.mark)}</g>'
        )
    parts.append(_door(home, x + _CELL_WIDTH - 17, y + 4))
    parts.append(text(home.room, class_="st-room", x=x + 5, y=y + _CELL_HEIGHT - 5))
    label = words.say("street.home", label=home.label, state=words.say(f"mark.{home.mark.value}"))
    if home.door_open:
        label = words.say("join.dot").join([label, words.say("street.door_open")])
    inner = f"<title>{escape(label)}</title>{''.join(parts)}"
    if not base:
        return f"<g>{inner}</g>"
    current = ' aria-current="true"' if selected else ""
    return f'<a href="{escape(base + home.household_id)}" aria-label="{escape(label)}"{current}>{inner}</a>'


def _window(home: Home, x: float, y: float) -> str:
    if home.mark not in (Mark.NORMAL,):
        return ""
    return shape("rect", class_="st-window", x=x + 5, y=y + 6, width=16, height=13, rx=1.5)


def _door(home: Home, x: float, y: float) -> str:
    if home.door_open:
        frame = shape("rect", class_="st-doorway", x=x, y=y, width=11, height=18)
        return frame + shape("path", class_="st-door-open", d=f"M{number(x)} {number(y)}l-5 3v18l5-3z")
    leaf = shape("rect", class_="st-door", x=x, y=y, width=11, height=18)
    if home.kept_shut:
        leaf += shape("path", class_="st-shut", d=f"M{number(x + 1.5)} {number(y + 9)}h8")
    return leaf
