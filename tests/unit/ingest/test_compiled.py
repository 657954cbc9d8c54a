"""Compiled code is kept under the word of everything it was made of."""

from __future__ import annotations

from pathlib import Path

import numba

from ingest.detector.compiled import digest_of

FILES = {
    "ingest/kernel.py": "from ingest.points import EVENT\nfrom kaimen.policy import DAY_MS\n\n@compiled\ndef pulse(): ...\n",
    "ingest/points.py": "EVENT = 1\n",
    "ingest/store.py": "ROWS = 1\n",
    "kaimen/policy.py": "DAY_MS = 1\n",
    "kaimen/words.py": "A = 1\n",
}


def tree(folder: Path, **changed: str) -> Path:
    for name, text in {**FILES, **changed}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_change_in_a_kernel_or_in_what_it_takes_names_from_makes_another_word(tmp_path: Path) -> None:
    before = digest_of(tree(tmp_path / "before"))
    assert digest_of(tree(tmp_path / "same")) == before
    for number, name in enumerate(("ingest/kernel.py", "ingest/points.py", "kaimen/policy.py")):
        changed = tree(tmp_path / f"changed-{number}", **{name: FILES[name] + "\n"})
        assert digest_of(changed) != before, name
    for number, name in enumerate(("ingest/store.py", "kaimen/words.py")):
        other = tree(tmp_path / f"other-{number}", **{name: FILES[name] + "\n"})
        assert digest_of(other) == before, name


def test_what_is_compiled_here_is_kept_under_the_word_of_these_sources() -> None:
    assert numba.config.CACHE_DIR.endswith(f"kernels-{digest_of(Path(__file__).parents[3])}")
