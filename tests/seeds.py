"""Seeds that only the long run takes: numbers enter, parameters marked slow leave."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def slow_seeds(seeds: Iterable[int]) -> list[Any]:
    """Mark seeds so that ``make integration`` runs them and ``make test`` does not."""
    return [pytest.param(seed, marks=pytest.mark.slow) for seed in seeds]
