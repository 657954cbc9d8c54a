"""How another maker's bridge may write numbers and text on the wire: what is refused, and as what."""

from __future__ import annotations

import pytest

from kaimen.wire import WireError, parse_event

EVENT = (
    b'{"v":1,"boot":"9f2c41d07be3a856","seq":17,"ts":1763712000123,"up":86400123,"clk":"ntp",'
    b'"type":"DoorPhysicalState","state":"Open"}'
)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (EVENT.replace(b"1763712000123", b"1763712000123.0"), "wrong_type"),
        (EVENT.replace(b"1763712000123", b"1.763712000123e12"), "wrong_type"),
        (EVENT.replace(b"1763712000123", b'"1763712000123"'), "wrong_type"),
        (EVENT.replace(b":17,", b":true,"), "wrong_type"),
        (b"\xef\xbb\xbf" + EVENT, "malformed_json"),
        (b"\x1f\x8b\x08\x00" + EVENT, "not_utf8"),
    ],
)
def test_what_is_not_written_as_the_protocol_says_is_refused_with_its_reason(
    payload: bytes, reason: str
) -> None:
    assert parse_event(EVENT).ts == 1763712000123
    with pytest.raises(WireError, match=reason):
        parse_event(payload)
