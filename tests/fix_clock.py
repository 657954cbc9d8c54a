"""A clock that stands until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kaimen.clock import ManualClock, as_ms

#: A Friday morning in Shanghai (16:00 there), far from any change of day in either zone.
STORY_BEGINS_MS = as_ms(datetime(2025, 11, 21, 8, tzinfo=UTC))


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock(STORY_BEGINS_MS)
