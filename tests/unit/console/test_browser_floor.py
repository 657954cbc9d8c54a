"""Our scripts run in the oldest browser we promise, Chromium 80: nothing younger stands in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import console

SCRIPTS = sorted((Path(console.__file__).parent / "static").glob("*.js"))
#: What a browser of that age cannot read at all, or does not have; with the version that brought it.
YOUNGER = {
    r"(\?\?|\|\||&&)=": "logical assignment, 85",
    r"^await\b": "await outside of functions, 89",
    r"\.replaceChildren\(": "replaceChildren, 86",
    r"\bAbortSignal\.(timeout|any)\(": "AbortSignal.timeout, 103",
    r"\.(replaceAll|at|findLast|toSorted|toReversed)\(": "85 and later",
    r"\bnew FormData\([^)]*,": "the pressed button in FormData, 112",
    r"\b(structuredClone|Object\.hasOwn|Promise\.any)\(": "85 and later",
    r"^\s*(static )?#\w+": "private methods, 84",
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_has_nothing_that_chromium_80_cannot_read(script: Path) -> None:
    text = re.sub(r"(?m)//.*$", "", script.read_text(encoding="utf-8"))
    found = [why for pattern, why in YOUNGER.items() if re.search(pattern, text, re.MULTILINE)]
    assert found == []
    assert "crypto.randomUUID()" not in text.replace("if (crypto.randomUUID) return crypto.randomUUID();", "")
