"""Answers packed for slow lines: a text and the headers of a request enter; gzip leaves where it may, else the text.

The length of something packed tells what it repeats: whoever may choose words that a page shows again, as often as she
likes, and sees the lengths, guesses secrets of the page letter by letter. So pages are packed only where the request began
on our own page or in the person's own address bar; what another site made a browser ask for is sent as it is, and so is
what a page asks for by itself with words of the address it was opened at. Texts of the list of cases hold no word of a
request and no secret, and files none at all: they are packed for everybody.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from urllib.parse import urlsplit

#: Less than this fits into one packet either way.
PACKED_BYTES_MIN = 1_024
#: A third of the time of what is usual, for a tenth more bytes: made for each answer.
PAGE_LEVEL = 3
#: Made once and kept.
KEPT_LEVEL = 9


def takes_packed(taken: str | None) -> bool:
    """Say whether who sent this Accept-Encoding reads gzip; who says nothing is sent the text as it is."""
    for part in (taken or "").lower().split(","):
        name, _, rest = part.partition(";")
        if name.strip() == "gzip":
            weight = rest.strip().removeprefix("q=") if rest.strip().startswith("q=") else "1"
            return bool(weight.strip("0."))
    return False


def is_own_request(headers: Mapping[str, str]) -> bool:
    """Say whether no other site made the browser ask: it says so itself, or names our own page as where it came from."""
    began = headers.get("sec-fetch-site")
    if began is not None:
        return began in ("same-origin", "none")
    came_from = urlsplit(headers.get("referer", "")).netloc
    return came_from != "" and came_from == headers.get("host")


def is_refreshed_with_words(query: str) -> bool:
    """Say whether a page asks for a part of itself with the words it was opened with, whoever chose those."""
    words = query.split("&")
    return len(words) > 1 and any(word.partition("=")[0] == "fragment" for word in words)


def pack_page(text: str, headers: Mapping[str, str], query: str) -> tuple[bytes, dict[str, str]]:
    """Return a page as it goes out, with the headers that say how."""
    body, said = text.encode(), {"Vary": "Accept-Encoding"}
    may_be = takes_packed(headers.get("accept-encoding")) and is_own_request(headers)
    if len(body) < PACKED_BYTES_MIN or not may_be or is_refreshed_with_words(query):
        return body, said
    return gzip.compress(body, PAGE_LEVEL, mtime=0), {**said, "Content-Encoding": "gzip"}


def pack_kept(body: bytes) -> bytes:
    """Pack what is sent many times."""
    return gzip.compress(body, KEPT_LEVEL, mtime=0)
