"""What a browser says about itself, made short enough to recognise one's own."""

from __future__ import annotations

import pytest

from console.pages.sessions import _BROWSERS, _DEVICES, name_in


@pytest.mark.parametrize(
    ("agent", "browser", "device"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit Chrome/126 Safari/537 Edg/126", "Edge", "Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17) AppleWebKit Mobile MicroMessenger/8.0", "微信", "iPhone"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit Chrome/126 Mobile Safari/537", "Chrome", "Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X) AppleWebKit Version/17 Safari/605", "Safari", "Mac"),
        ("curl/8", "", ""),
        ("", "", ""),
    ],
)
def test_a_browser_is_named_by_the_most_telling_word(agent: str, browser: str, device: str) -> None:
    assert (name_in(agent, _BROWSERS), name_in(agent, _DEVICES)) == (browser, device)
