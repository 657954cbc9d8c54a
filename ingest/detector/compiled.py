"""The only file with numba options: a plain function enters, its compiled form leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile ``function`` without the interpreter; ``function.py_func`` stays the plain one for the tests.

    Compiled code is kept beside the source where that can be written, so that a restart does not compile again.
    """
    cache = os.environ.get("KAIMEN_KERNEL_CACHE", "1") == "1"
    return cast(Function, numba.njit(function, cache=cache, nogil=True, error_model="numpy"))
