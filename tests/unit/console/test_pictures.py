"""Photos by bytes: what is kept of a file a phone sends, and what is refused whatever it is called."""

from __future__ import annotations

import random
import struct

import pytest

from console.pictures import PICTURE_BYTES_MAX, PictureError, PictureRefusal, bare_picture


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def exif(turned: int, order: str = "<") -> bytes:
    """What a phone writes: which way up, its maker, and where it was."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, turned, 0) + struct.pack(
        f"{order}HHII", 0x8825, 4, 1, 99
    )
    return segment(
        0xE1, b"Exif\0\0" + head + struct.pack(f"{order}IH", 8, 2) + entries + b"GPS 31.2304 121.4737 Maker"
    )


#: Eight by eight grey pixels: tables, a frame, and a scan with a stuffed byte and a restart in it.
TABLES = segment(0xDB, b"\0" + b"\1" * 64)
CODES = segment(0xC4, b"\0\1" + b"\0" * 15 + b"\0") + segment(0xC4, b"\x10\1" + b"\0" * 15 + b"\0")
FRAME = segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 1) + b"\1\x11\0")
SCAN = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x2a\xff\0\x11\xff\xd0\x55"
BARE = b"\xff\xd8" + TABLES + FRAME + CODES + SCAN + b"\xff\xd9"
SECRETS = (b"GPS", b"121.4737", b"Maker", b"note of", b"movie", b"profile", b"thumbnail")


def photo(turned: int = 1, order: str = "<") -> bytes:
    extra = (
        segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1thumbnail") + exif(turned, order)
        + segment(0xE2, b"ICC profile") + segment(0xFE, b"note of a camera")
    )  # fmt: skip
    return b"\xff\xd8" + extra + BARE[2:] + b"movie behind the picture"


def test_nothing_but_the_picture_is_kept() -> None:
    bare = bare_picture(photo())
    assert (bare.data, bare.width, bare.height) == (BARE, 8, 8)
    assert bare_picture(bare.data) == bare


@pytest.mark.parametrize("order", "<>")
def test_which_way_up_it_was_held_stays_and_its_place_does_not(order: str) -> None:
    bare = bare_picture(photo(6, order))
    assert not any(secret in bare.data for secret in SECRETS)
    assert bare_picture(bare.data) == bare
    assert bare.data[2:4] == b"\xff\xe1"
    assert bare.data.endswith(BARE[2:])
    assert bare_picture(photo(77, order)).data == BARE


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", PictureRefusal.MISSING),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, PictureRefusal.NO_JPEG),
        (b"<svg onload=alert(1)>", PictureRefusal.NO_JPEG),
        (b"\xff\xd8\xff" + b"\0" * PICTURE_BYTES_MAX, PictureRefusal.TOO_LARGE),
        (BARE[:-2], PictureRefusal.BROKEN),
        (BARE[:40], PictureRefusal.BROKEN),
        (b"\xff\xd8" + TABLES + b"\xff\xd9", PictureRefusal.BROKEN),
        (
            BARE.replace(struct.pack(">HH", 8, 8), struct.pack(">HH", 60_000, 60_000)),
            PictureRefusal.TOO_LARGE,
        ),
        (BARE.replace(FRAME, FRAME + FRAME), PictureRefusal.BROKEN),
    ],
)
def test_what_is_no_whole_photo_is_refused_with_the_reason(data: bytes, why: PictureRefusal) -> None:
    with pytest.raises(PictureError) as refused:
        bare_picture(data)
    assert str(refused.value) == why


def test_no_damage_gets_a_place_through_or_ends_in_anything_but_a_refusal() -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    whole = photo(6)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(3, len(data))] = chance.randrange(256)
        try:
            bare = bare_picture(bytes(data[: chance.randrange(len(data) // 2, len(data) + 1)]))
        except PictureError:
            continue
        assert bare_picture(bare.data).data == bare.data, seed
