"""Process ids enter; the CPU seconds and the memory they used leave, as the kernel counts them (Linux)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return user and system seconds of a process and of its children that ended; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(fields[number]) for number in (11, 12, 13, 14)) / _TICKS_PER_S


def memory_peak_mb(pid: int) -> float:
    """Return the most memory a process ever held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def postgres_pids(connection: psycopg.Connection[Any]) -> list[int]:
    """Return the server's processes, its parent first."""
    backend = connection.info.backend_pid
    parent = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds by stage; the publisher is this process."""

    seconds: Mapping[str, float]

    @classmethod
    def of(cls, pids: Mapping[str, Sequence[int]]) -> Spent:
        found = {name: sum(cpu_seconds(pid) for pid in group) for name, group in pids.items()}
        return cls({**found, "publisher": cpu_seconds(os.getpid())})

    def since(self, before: Spent) -> Spent:
        return Spent({name: value - before.seconds[name] for name, value in self.seconds.items()})

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 2) for name, value in self.seconds.items()}
