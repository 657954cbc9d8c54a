"""What this process holds of the machine's memory enters; how short it is of what it may hold leaves.

A worker that the system ends because memory ran out watches nobody. So it knows how much it may hold, and looks.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

#: Parts of the limit from which on memory is short, and shorter. Above the last nothing more is taken, so what is left is
#: what one turn and the threads beside it may need.
TIGHT_PART, SHORT_PART, FULL_PART = 0.7, 0.85, 0.95
#: Without a setting: so much of what the machine, or the container, has. The rest is for what runs beside.
MACHINE_PART = 0.5
MEGABYTE = 1 << 20
_CGROUPS = Path("/sys/fs/cgroup")
_STATM, _OWN_CGROUP = Path("/proc/self/statm"), Path("/proc/self/cgroup")
_PAGE_BYTES = resource.getpagesize()


class Shortage(IntEnum):
    """How short memory is."""

    NONE = 0
    TIGHT = 1  # doors let go of what is stored, faster than they fill
    SHORT = 2  # and batches are as small as they get
    FULL = 3  # and nothing is taken until something was let go


class MemoryLimit:
    """How much this process may hold; ``resident`` says how much it does."""

    def __init__(self, limit_bytes: int, *, resident: Callable[[], int]) -> None:
        self.limit_bytes = limit_bytes
        self._resident = resident

    @classmethod
    def of(cls, limit_mb: int) -> MemoryLimit:
        """Return the limit of a setting; 0: a part of what the machine or the container has."""
        limit_bytes = limit_mb * MEGABYTE or int(available_bytes() * MACHINE_PART)
        return cls(limit_bytes, resident=resident_bytes)

    def held_bytes(self) -> int:
        """Return how much this process holds now."""
        return self._resident()

    def shortage_at(self, held_bytes: int) -> Shortage:
        """Say how short memory is where so much is held."""
        part = held_bytes / self.limit_bytes
        return Shortage(sum(part >= line for line in (TIGHT_PART, SHORT_PART, FULL_PART)))


def resident_bytes() -> int:
    """Return what this process holds in memory; where the system does not say it, the most it ever held."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def available_bytes() -> int:
    """Return the memory of the machine, or of the narrowest container around this process."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_container_limits()])


def _container_limits() -> list[int]:
    try:
        own = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return []
    # "0::/system.slice/kaimen.service"; inside a container the path may be of the world outside, and the root is ours.
    path = next((line[3:].strip("/") for line in own if line.startswith("0::")), "")
    folder = _CGROUPS / path
    found = [_CGROUPS / "memory" / "memory.limit_in_bytes"]
    found += [at / "memory.max" for at in (folder, *folder.parents) if at.is_relative_to(_CGROUPS)]
    return [limit for file in found if (limit := _number_in(file)) is not None]


def _number_in(file: Path) -> int | None:
    """Return the number a file holds; None where there is none ("max")."""
    try:
        words = file.read_text().strip()
    except OSError:
        return None
    return int(words) if words.isdecimal() else None
