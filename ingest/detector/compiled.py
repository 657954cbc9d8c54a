"""The only file with numba options: a plain function enters, its compiled form leaves."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_SOURCES = Path(__file__).parents[2]
_MARK = re.compile(r"^@(?:compiled|inlined)$", re.MULTILINE)
_IMPORT = re.compile(r"^from ((?:ingest|kaimen)[\w.]*) import", re.MULTILINE)


def digest_of(sources: Path) -> str:
    """Return a word for all that compiled functions are made of: their files, and those whose names they import.

    A function that was compiled has its callees and constants in it. What is kept of it is known by its own file alone:
    after a change in another one it would go on as before.
    """
    kernels = {
        path: text
        for path in sorted(sources.glob("ingest/**/*.py"))
        if _MARK.search(text := path.read_text(encoding="utf-8"))
    }
    names = {name for text in kernels.values() for name in _IMPORT.findall(text)}
    imported = {sources.joinpath(*name.split(".")).with_suffix(".py") for name in names}
    digest = hashlib.sha256()
    for path in sorted(kernels.keys() | {path for path in imported if path.exists()}):
        digest.update(str(path.relative_to(sources)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _keep_apart() -> None:
    """Keep compiled code under the word of its sources, so that an upgrade in place never runs what was before it."""
    settings = cast(Any, numba.config)
    root = settings.CACHE_DIR or str(Path(__file__).parent / "__pycache__")
    settings.CACHE_DIR = str(Path(root) / f"kernels-{digest_of(_SOURCES)}")


_keep_apart()


def compiled(function: Function) -> Function:
    """Compile ``function`` without the interpreter; ``function.py_func`` stays the plain one for the tests.

    Compiled code is kept beside the source where that can be written, so that a restart does not compile again.
    """
    cache = os.environ.get("KAIMEN_KERNEL_CACHE", "1") == "1"
    return cast(Function, numba.njit(function, cache=cache, nogil=True, error_model="numpy"))


def inlined(function: Function) -> Function:
    """As ``compiled``, for a few lines with an array that a loop asks for: put into the loop, not called from it.

    A call takes a share in each array it is handed and gives it back, which can cost more than what it does.
    """
    return cast(Function, numba.njit(function, nogil=True, error_model="numpy", inline="always"))
