"""What may be packed: only where nobody else could have chosen the words."""

from __future__ import annotations

import gzip

from console.packing import is_own_request, pack_kept, pack_page, takes_packed

PAGE = "开门" * 1_000
TAKES = {"accept-encoding": "gzip, deflate, br", "host": "console.test"}


def test_packed_is_sent_to_who_says_so_alone() -> None:
    for said in ("gzip", "deflate, GZIP;q=0.5", "gzip;q=1.0"):
        assert takes_packed(said), said
    for said in (None, "", "identity", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"):
        assert not takes_packed(said), said


def test_a_request_is_our_own_where_no_other_site_began_it() -> None:
    for own in (
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"host": "console.test", "referer": "https://console.test/alarms"},
    ):
        assert is_own_request(own), own
    for other in (
        {},
        {"host": "console.test"},
        {"host": "console.test", "referer": "https://other.test/console.test"},
        {"sec-fetch-site": "cross-site", "host": "console.test", "referer": "https://console.test/"},
        {"sec-fetch-site": "same-site"},
    ):
        assert not is_own_request(other), other


def test_a_page_is_packed_for_our_own_request_and_sent_as_it_is_otherwise() -> None:
    own = {**TAKES, "sec-fetch-site": "same-origin"}
    for query in ("", "grid=3&page=2", "fragment=list"):
        body, said = pack_page(PAGE, own, query)
        assert said == {"Vary": "Accept-Encoding", "Content-Encoding": "gzip"}
        assert gzip.decompress(body).decode() == PAGE and len(body) < len(PAGE.encode()) / 10
    for headers, query, text in (
        ({**TAKES, "sec-fetch-site": "cross-site"}, "", PAGE),
        ({"sec-fetch-site": "same-origin"}, "", PAGE),
        (own, "q=guess&fragment=list", PAGE),
        (own, "", "short"),
    ):
        assert pack_page(text, headers, query) == (text.encode(), {"Vary": "Accept-Encoding"})


def test_what_is_kept_packed_is_the_same_whenever_it_is_made() -> None:
    assert pack_kept(PAGE.encode()) == pack_kept(PAGE.encode())
