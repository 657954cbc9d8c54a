"""Settings as an environment gives them: text."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kaimen.settings import IngestSettings


@pytest.mark.parametrize("groups", [1, 2, 4, 8, 16])
def test_the_number_of_groups_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, groups: int
) -> None:
    monkeypatch.setenv("KAIMEN_INGEST_GROUPS", str(groups))
    assert IngestSettings().ingest_groups == groups


@pytest.mark.parametrize("groups", ["3", "0", "many", ""])
def test_another_number_of_groups_is_refused(monkeypatch: pytest.MonkeyPatch, groups: str) -> None:
    monkeypatch.setenv("KAIMEN_INGEST_GROUPS", groups)
    with pytest.raises(ValidationError, match="ingest_groups"):
        IngestSettings()
