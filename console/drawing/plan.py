"""The map of a community: buildings with their places and numbers enter, one SVG plan leaves; pure, escaped.

There are no tiles of anybody else's: the plan is the buildings alone, in their grids, with a scale. What calls for
somebody is a priority mark with its number, what is not known is hatched, a silent device is a struck wave: never a
colour alone. The page's list says the same in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import cos, hypot, radians, sin

from console.drawing.day_line import hatching, mark_shape, number, picture, shape, text
from console.views.buildings import BuildingRow, Position
from console.views.parts import Mark
from console.words import Words

WIDTH = 860.0
HEIGHT_MAX = 620.0
_EDGE = 34.0
_GRID_MARGIN = 16.0
_MARK_SIZE, _COUNT_ROOM, _GAP = 26.0, 30.0, 6.0
#: Lengths a scale bar may have, in metres.
_SCALES = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
Point = tuple[float, float]


def community_map(rows: Sequence[BuildingRow], words: Words) -> str:
    """Draw the buildings that have a place; each links to its own section."""
    placed = [(row, row.position) for row in rows if row.position is not None]
    corners = [point for _, place in placed for point in _corners(place)]
    left, right = min(x for x, _ in corners), max(x for x, _ in corners)
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    room_x, room_y = WIDTH - 2 * _EDGE, HEIGHT_MAX - 2 * _EDGE
    scale = min(room_x / max(right - left, 1.0), room_y / max(bottom - top, 1.0), 4.0)
    height = (bottom - top) * scale + 2 * _EDGE + 26
    shift = (WIDTH - (right - left) * scale) / 2

    def onto(point: Point) -> Point:
        return (shift + (point[0] - left) * scale, _EDGE + (point[1] - top) * scale)

    parts = [*_grids(placed, onto, words)]
    # What calls for somebody is drawn last, so that no neighbour lies over it.
    for row, place in sorted(placed, key=lambda pair: (pair[0].mark is not Mark.NORMAL, pair[0].chosen)):
        parts.append(
            _building(row, [onto(corner) for corner in _corners(place)], onto((place.x_m, place.y_m)), words)
        )
    parts.append(_scale_bar(scale, height, words))
    label = words.count("map.label", len(placed))
    drawn = picture(parts, width=WIDTH, height=height, label=label, class_="site-map")
    return drawn.replace('role="img"', 'role="group"', 1)


def alternative(row: BuildingRow, words: Words) -> str:
    """What one building says, in words: the gravest first."""
    parts = [words.say("street.building", name=row.name)]
    parts += [words.count(f"street.count.{mark.value}", count) for mark, count in row.counts]
    if row.silent_devices:
        parts.append(words.count("map.silent", row.silent_devices))
    if len(parts) == 1:
        parts.append(words.say("map.nobody"))
    return words.say("join.dot").join(parts)


def _corners(place: Position) -> tuple[Point, ...]:
    turn = radians(place.turn_deg)
    half_x, half_y = place.width_m / 2, place.depth_m / 2
    return tuple(
        (place.x_m + x * cos(turn) - y * sin(turn), place.y_m + x * sin(turn) + y * cos(turn))
        for x, y in ((-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y))
    )


def _path(points: Iterable[Point]) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "z"


def _building(row: BuildingRow, corners: Sequence[Point], middle: Point, words: Words) -> str:
    x, y = middle
    classes = f"st-home mp-building st-{row.mark.value}" + (" st-selected" if row.chosen else "")
    parts = [shape("path", class_=classes, d=_path(corners))]
    shown = row.counts[:2]
    if row.mark is Mark.UNKNOWN:
        parts.append(hatching(x - 17, y - 17, 34, 34, step=6))
    rooms = [_MARK_SIZE + (_COUNT_ROOM if count > 1 else _GAP) for _, count in shown]
    at = x - sum(rooms) / 2
    for room, (mark, count) in zip(rooms, shown, strict=True):
        parts.append(
            f'<g transform="translate({number(at)} {number(y - _MARK_SIZE / 2)})">{mark_shape(mark)}</g>'
        )
        if count > 1:
            parts.append(text(f"×{count}", class_="mp-count", x=at + _MARK_SIZE + 2, y=y + 4.5))
        at += room
    lowest = max(corner[1] for corner in corners)
    parts.append(text(row.name, class_="mp-name", x=x, y=lowest + 13, text_anchor="middle"))
    if row.silent_devices:
        parts.append(
            _silent(max(corner[0] for corner in corners) - 6, min(corner[1] for corner in corners) - 4)
        )
    label = escape(alternative(row, words))
    current = ' aria-current="true"' if row.chosen else ""
    return f'<a href="{escape(row.url)}" aria-label="{label}"{current}><title>{label}</title>{"".join(parts)}</a>'


def _silent(x: float, y: float) -> str:
    """Waves with a stroke through them: something here is not heard."""
    waves = f"M{number(x - 5)} {number(y - 4)}q4 4 0 8M{number(x)} {number(y - 7)}q7 7 0 14"
    stroke = f"M{number(x - 8)} {number(y + 7)}L{number(x + 8)} {number(y - 7)}"
    return shape("circle", class_="mp-silent-ground", cx=x, cy=y, r=11) + shape(
        "path", class_="mp-silent", d=waves + stroke
    )


def _grids(placed: Sequence[tuple[BuildingRow, Position]], onto: object, words: Words) -> Iterable[str]:
    assert callable(onto)
    grids: dict[str, list[Point]] = {}
    for row, place in placed:
        if row.grid:
            grids.setdefault(row.grid, []).extend(onto(corner) for corner in _corners(place))
    for name, points in sorted(grids.items()):
        outline = _widened(hull(points), _GRID_MARGIN)
        yield shape("path", class_="mp-grid", d=_path(outline))
        x, y = min(outline, key=lambda point: (point[1], point[0]))
        label = words.say("case.grid", name=name) if name.isdecimal() else name
        yield text(label, class_="mp-grid-name", x=x, y=max(12.0, y - 5))


def hull(points: Sequence[Point]) -> list[Point]:
    """Return the corners of the smallest convex outline around some points, in order (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered

    def half(chain: Iterable[Point]) -> list[Point]:
        found: list[Point] = []
        for point in chain:
            while len(found) > 1 and _turns_right(found[-2], found[-1], point):
                found.pop()
            found.append(point)
        return found[:-1]

    return half(ordered) + half(reversed(ordered))


def _turns_right(a: Point, b: Point, c: Point) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0


def _widened(points: Sequence[Point], margin: float) -> list[Point]:
    """Move every corner away from the middle, so that the outline does not touch a wall."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    found = []
    for x, y in points:
        away = max(1.0, hypot(x - middle_x, y - middle_y))
        found.append((x + (x - middle_x) / away * margin, y + (y - middle_y) / away * margin))
    return found


def _scale_bar(scale: float, height: float, words: Words) -> str:
    metres = max((length for length in _SCALES if length * scale <= 170), default=_SCALES[0])
    y, length = height - 12, metres * scale
    bar = shape("path", class_="mp-scale", d=f"M{number(_EDGE)} {number(y - 4)}v4h{number(length)}v-4")
    return bar + text(words.say("map.metres", metres=metres), class_="mp-name", x=_EDGE + length + 6, y=y)
