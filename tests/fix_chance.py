"""Chance that no test asked for is taken away: whoever wants the lot to fall on somebody hands it in."""

from __future__ import annotations

import pytest


class _Never:
    @staticmethod
    def random() -> float:
        return 1.0


@pytest.fixture(autouse=True)
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody's "well" be drawn for a second look; in service one in twenty is."""
    from alerts import acts

    monkeypatch.setattr(acts, "_CHANCE", _Never)
