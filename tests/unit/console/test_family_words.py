"""What a relative is told of who is on it: never more than somebody has taken, and no word promised for an hour past."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from console.sentences import family_ground
from console.words import load_words
from tests.browser.samples import FAMILY_DAY2, NOW

HOME = FAMILY_DAY2.homes[0]


@pytest.mark.parametrize(
    ("worker", "minutes", "language", "said", "unsaid"),
    [
        ("李敏", 28, "zh", "李敏负责，09:10 前会有结果", "晚了"),
        (None, 28, "zh", "还没有人接手；09:10 前应有结果", "正在打电话"),
        ("李敏", -28, "zh", "李敏负责，本应在 08:14 前有结果，已经晚了", "正在打电话"),
        (None, -28, "zh", "还没有人接手，本应在 08:14 前有结果，已经晚了", "正在打电话"),
        (None, 28, "en", "nobody has taken it yet; there should be word by 09:10", "are calling"),
        (
            None,
            -28,
            "en",
            "Nobody has taken it yet; there should have been word by 08:14: it is late",
            "are calling",
        ),
    ],
)
def test_a_relative_is_told_who_has_it_and_when_it_is_late(
    worker: str | None, minutes: int, language: str, said: str, unsaid: str
) -> None:
    home = replace(HOME, worker=worker, result_by=NOW + timedelta(minutes=minutes))
    told = family_ground(home, load_words(language, "Asia/Shanghai", NOW)).replace("\u200b", "")
    assert said in told and unsaid not in told
