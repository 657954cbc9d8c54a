"""A photo as a phone sends it enters; the same picture leaves without place, time, device, thumbnail and whatever follows it.

Pure. What a file is its bytes say, never its name. A JPEG is a row of segments: those a picture is drawn from are kept,
of all others nothing but which way up it was held. No pixel is decoded, so none gets worse.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

PICTURE_BYTES_MAX = 6 * 1024 * 1024
SIDE_PIXELS_MAX = 12_000
PIXELS_MAX = 64_000_000
#: More segments than any camera writes.
SEGMENTS_MAX = 2_000
_BEGIN, _END, _SCAN, _ADOBE, _EXIF, _FILE = 0xD8, 0xD9, 0xDA, 0xEE, 0xE1, 0xE0
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: what phones draw and browsers show
_TABLES = frozenset({0xC4, 0xDB, 0xDD})
_COMMENT = 0xFE
_ORIENTATION = 0x0112
_UPRIGHT = 1
_ENTRIES_MAX = 200


class PictureRefusal(StrEnum):
    """Why a file is not taken; the words stand below ``error.``."""

    MISSING = "photo_missing"
    TOO_LARGE = "photo_too_large"
    NO_JPEG = "photo_no_jpeg"
    BROKEN = "photo_broken"


class PictureError(ValueError):
    """A file that is not taken; the message is a :class:`PictureRefusal`."""

    def __init__(self, refusal: PictureRefusal) -> None:
        super().__init__(refusal.value)


@dataclass(frozen=True, slots=True)
class Picture:
    """A bare JPEG with its size in pixels as it is stored, before it is turned upright."""

    data: bytes
    width: int
    height: int


def bare_picture(data: bytes) -> Picture:
    """Return a photo with nothing but the picture in it.

    Raises
    ------
    PictureError
    """
    if not data:
        raise PictureError(PictureRefusal.MISSING)
    if len(data) > PICTURE_BYTES_MAX:
        raise PictureError(PictureRefusal.TOO_LARGE)
    if data[:3] != b"\xff\xd8\xff":
        raise PictureError(PictureRefusal.NO_JPEG)
    try:
        return _rebuild(data)
    except (IndexError, struct.error):
        raise PictureError(PictureRefusal.BROKEN) from None


def _rebuild(data: bytes) -> Picture:
    kept: list[bytes] = []
    size: tuple[int, int] | None = None
    turned, drawn, at = _UPRIGHT, False, 2
    for _ in range(SEGMENTS_MAX):
        marker, at = _marker(data, at)
        if marker == _END:
            if size is None or not drawn:
                raise PictureError(PictureRefusal.BROKEN)
            return Picture(b"".join((b"\xff\xd8", _turn(turned), *kept, b"\xff\xd9")), *size)
        body, following = _body(data, at)
        if marker in _FRAMES:
            if size is not None:
                raise PictureError(PictureRefusal.BROKEN)
            size = _size(body)
        if marker == _EXIF and body[:6] == b"Exif\0\0":
            turned = _turned(body[6:])
        elif marker == _ADOBE and body[:5] == b"Adobe":
            kept.append(_segment(marker, body[:12]))  # how its colours are meant
        elif marker in _FRAMES or marker in _TABLES:
            kept.append(_segment(marker, body))
        elif marker == _SCAN:
            if size is None:
                raise PictureError(PictureRefusal.BROKEN)
            ended = _scan_end(data, following)
            kept.append(_segment(marker, body) + data[following:ended])
            drawn, following = True, ended
        elif not (_FILE <= marker <= 0xEF or marker == _COMMENT):
            raise PictureError(PictureRefusal.NO_JPEG)
        at = following
    raise PictureError(PictureRefusal.BROKEN)


def _marker(data: bytes, at: int) -> tuple[int, int]:
    if data[at] != 0xFF:
        raise PictureError(PictureRefusal.BROKEN)
    while data[at] == 0xFF:
        at += 1
    return data[at], at + 1


def _body(data: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">H", data, at)
    if length < 2 or at + length > len(data):
        raise PictureError(PictureRefusal.BROKEN)
    return data[at + 2 : at + length], at + length


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _size(body: bytes) -> tuple[int, int]:
    height, width, parts = struct.unpack_from(">HHB", body, 1)
    if not (0 < width <= SIDE_PIXELS_MAX and 0 < height <= SIDE_PIXELS_MAX) or width * height > PIXELS_MAX:
        raise PictureError(PictureRefusal.TOO_LARGE)
    if parts not in (1, 3, 4):
        raise PictureError(PictureRefusal.NO_JPEG)
    return width, height


def _scan_end(data: bytes, at: int) -> int:
    """Where the next marker stands that is no byte of the drawing and no restart of it."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise PictureError(PictureRefusal.BROKEN)
        if data[at + 1] == 0x00 or 0xD0 <= data[at + 1] <= 0xD7:
            at += 2
        elif data[at + 1] == 0xFF:
            at += 1
        else:
            return at


def _turned(tiff: bytes) -> int:
    """Which way up it was held, 1 to 8; upright where nothing sensible says so."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return _UPRIGHT
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for number in range(min(count, _ENTRIES_MAX)):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, first + 2 + 12 * number)
            if (tag, kind) == (_ORIENTATION, 3):
                (value,) = struct.unpack_from(f"{order}H", tiff, first + 2 + 12 * number + 8)
                return int(value) if 1 <= value <= 8 else _UPRIGHT
    except struct.error:
        return _UPRIGHT
    return _UPRIGHT


def _turn(value: int) -> bytes:
    """An Exif segment that says nothing but which way up it was held."""
    if value == _UPRIGHT:
        return b""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, value, 0)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + entry + b"\0\0\0\0"
    return _segment(_EXIF, b"Exif\0\0" + tiff)
