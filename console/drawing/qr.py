"""QR codes: a text enters, rows of dark and light modules leave, or the SVG of them; pure.

Byte mode, error correction M, versions 1 to 10 (213 bytes): what an address of ours needs. Source: ISO/IEC 18004.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

#: Version: blocks of the first size, data bytes in each, blocks one byte longer, correction bytes in every block.
_BLOCKS = {
    1: (1, 16, 0, 10), 2: (1, 28, 0, 16), 3: (1, 44, 0, 26), 4: (2, 32, 0, 18), 5: (2, 43, 0, 24),
    6: (4, 27, 0, 16), 7: (4, 31, 0, 18), 8: (2, 38, 2, 22), 9: (3, 36, 2, 22), 10: (4, 43, 1, 26),
}  # fmt: skip
_ALIGNMENT = {
    1: (), 2: (6, 18), 3: (6, 22), 4: (6, 26), 5: (6, 30), 6: (6, 34), 7: (6, 22, 38), 8: (6, 24, 42),
    9: (6, 26, 46), 10: (6, 28, 50),
}  # fmt: skip
_MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda row, column: (row + column) % 2 == 0,
    lambda row, column: row % 2 == 0,
    lambda row, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
)
_FORMAT_M = 0b00
_QUIET = 4

Grid = list[list[bool | None]]
Matrix = tuple[tuple[bool, ...], ...]


class TooLongError(ValueError):
    """The text has more than fits into the largest code that is drawn here."""


def encode(text: str, *, mask: int | None = None) -> Matrix:
    """Return the modules of a code, dark ones True; the mask is the one that is easiest to read unless given.

    Raises
    ------
    TooLongError
        If the text is longer than 213 bytes.
    """
    data = text.encode()
    version = next((number for number in _BLOCKS if len(data) <= _capacity(number)), None)
    if version is None:
        raise TooLongError(f"{len(data)} bytes do not fit")
    bits = _interleave(_codewords(data, version), version)
    plain = _functions(version)
    drawn = [_draw(plain, bits, version, number) for number in (range(8) if mask is None else (mask,))]
    return min(drawn, key=_penalty)


def _capacity(version: int) -> int:
    blocks, data, longer, _ = _BLOCKS[version]
    return blocks * data + longer * (data + 1) - (2 if version < 10 else 3)


def _codewords(data: bytes, version: int) -> list[int]:
    count_bits = 8 if version < 10 else 16
    text = f"0100{len(data):0{count_bits}b}" + "".join(f"{byte:08b}" for byte in data)
    blocks, size, longer, _ = _BLOCKS[version]
    total = blocks * size + longer * (size + 1)
    text += "0" * min(4, total * 8 - len(text))
    text += "0" * (-len(text) % 8)
    words = [int(text[index : index + 8], 2) for index in range(0, len(text), 8)]
    return words + [(0xEC, 0x11)[index % 2] for index in range(total - len(words))]


# --- error correction ------------------------------------------------------------------------------------------------


@cache
def _tables() -> tuple[tuple[int, ...], dict[int, int]]:
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    return tuple(powers), {power: index for index, power in enumerate(powers)}


def _multiply(left: int, right: int) -> int:
    if not left or not right:
        return 0
    powers, logs = _tables()
    return powers[(logs[left] + logs[right]) % 255]


@cache
def _generator(degree: int) -> tuple[int, ...]:
    powers, _ = _tables()
    found = [1]
    for index in range(degree):
        found = [a ^ _multiply(b, powers[index]) for a, b in zip([*found, 0], [0, *found], strict=True)]
    return tuple(found)


def _correction(data: list[int], degree: int) -> list[int]:
    rest = [*data, *([0] * degree)]
    for index in range(len(data)):
        factor = rest[index]
        for offset, coefficient in enumerate(_generator(degree)):
            rest[index + offset] ^= _multiply(coefficient, factor)
    return rest[len(data) :]


def _interleave(words: list[int], version: int) -> str:
    blocks, size, longer, degree = _BLOCKS[version]
    parts, start = [], 0
    for length in (*[size] * blocks, *[size + 1] * longer):
        parts.append(words[start : start + length])
        start += length
    corrections = [_correction(part, degree) for part in parts]
    mixed = [part[i] for i in range(size + 1) for part in parts if i < len(part)]
    mixed += [part[i] for i in range(degree) for part in corrections]
    return "".join(f"{word:08b}" for word in mixed)


# --- drawing ---------------------------------------------------------------------------------------------------------


def _functions(version: int) -> Grid:
    """Return the grid with finders, timing, alignment and reserved places; None where data goes."""
    side = 17 + 4 * version
    grid: Grid = [[None] * side for _ in range(side)]
    for top, left in ((0, 0), (0, side - 7), (side - 7, 0)):
        for row in range(max(0, top - 1), min(side, top + 8)):
            for column in range(max(0, left - 1), min(side, left + 8)):
                ring = max(abs(row - top - 3), abs(column - left - 3))
                grid[row][column] = ring in (0, 1, 3)
    centres = _ALIGNMENT[version]
    for row in centres:
        for column in centres:
            if grid[row][column] is None:
                _align(grid, row, column)
    for index in range(8, side - 8):
        grid[6][index] = grid[index][6] = index % 2 == 0
    for row, column in _format_places(side):
        grid[row][column] = False
    grid[side - 8][8] = True
    if version >= 7:
        _write_version(grid, version)
    return grid


def _align(grid: Grid, row: int, column: int) -> None:
    for down in range(-2, 3):
        for right in range(-2, 3):
            grid[row + down][column + right] = max(abs(down), abs(right)) != 1


def _format_places(side: int) -> list[tuple[int, int]]:
    first = [(8, column) for column in (0, 1, 2, 3, 4, 5, 7, 8)] + [(row, 8) for row in (7, 5, 4, 3, 2, 1, 0)]
    second = [(row, 8) for row in range(side - 1, side - 8, -1)] + [
        (8, column) for column in range(side - 8, side)
    ]
    return first + second


def _remainder(value: int, generator: int, degree: int) -> int:
    rest = value << degree
    for shift in range(rest.bit_length() - degree - 1, -1, -1):
        if rest >> (shift + degree) & 1:
            rest ^= generator << shift
    return rest


def _write_version(grid: Grid, version: int) -> None:
    side = len(grid)
    bits = version << 12 | _remainder(version, 0x1F25, 12)
    for index in range(18):
        dark = bool(bits >> index & 1)
        grid[index // 3][side - 11 + index % 3] = dark
        grid[side - 11 + index % 3][index // 3] = dark


def _write_format(grid: Grid, mask: int) -> None:
    value = _FORMAT_M << 3 | mask
    bits = (value << 10 | _remainder(value, 0x537, 10)) ^ 0x5412
    for index, (row, column) in enumerate(_format_places(len(grid))):
        grid[row][column] = bool(bits >> (14 - index % 15) & 1)


def _data_places(plain: Grid) -> Iterator[tuple[int, int]]:
    side = len(plain)
    upwards = True
    for right in (*range(side - 1, 6, -2), 5, 3, 1):
        rows = range(side - 1, -1, -1) if upwards else range(side)
        for row in rows:
            for column in (right, right - 1):
                if plain[row][column] is None:
                    yield row, column
        upwards = not upwards


def _draw(plain: Grid, bits: str, version: int, mask: int) -> Matrix:
    grid = [list(row) for row in plain]
    for index, (row, column) in enumerate(_data_places(plain)):
        dark = index < len(bits) and bits[index] == "1"
        grid[row][column] = dark ^ _MASKS[mask](row, column)
    _write_format(grid, mask)
    return tuple(tuple(bool(dark) for dark in row) for row in grid)


def _penalty(matrix: Matrix) -> int:
    """Return how hard a code is to read: long runs, blocks, shapes like finders, too much of one kind."""
    lines = [*matrix, *zip(*matrix, strict=True)]
    runs = sum(_runs(line) for line in lines)
    side = len(matrix)
    blocks = sum(
        matrix[row][column]
        == matrix[row][column + 1]
        == matrix[row + 1][column]
        == matrix[row + 1][column + 1]
        for row in range(side - 1)
        for column in range(side - 1)
    )
    finder = "10111010000"
    texts = ["".join("01"[dark] for dark in line) for line in lines]
    shapes = sum(_count(text, finder) + _count(text, finder[::-1]) for text in texts)
    dark = sum(sum(row) for row in matrix) * 100 // side**2
    return runs + 3 * blocks + 40 * shapes + 10 * (abs(dark - 50) // 5)


def _runs(line: tuple[bool, ...]) -> int:
    total = length = 0
    for index, dark in enumerate(line):
        length = length + 1 if index and line[index - 1] == dark else 1
        total += 3 if length == 5 else int(length > 5)
    return total


def _count(text: str, wanted: str) -> int:
    return sum(text.startswith(wanted, index) for index in range(len(text) - len(wanted) + 1))


def draw_svg(text: str, *, label: str) -> str:
    """Return an SVG of the code on white, with the quiet margin scanners need; ``label`` must be escaped already."""
    matrix = encode(text)
    side = len(matrix) + 2 * _QUIET
    path = "".join(
        f"M{column + _QUIET} {row + _QUIET}h1v1h-1z"
        for row, line in enumerate(matrix)
        for column, dark in enumerate(line)
        if dark
    )
    return (
        f'<svg class="qr" viewBox="0 0 {side} {side}" role="img" aria-label="{label}" shape-rendering="crispEdges">'
        f'<rect width="{side}" height="{side}" fill="#fff"/><path d="{path}" fill="#000"/></svg>'
    )
