"""Processes by number: a pid enters; whether it is still the one we mean, and its end, leave.

A process number alone names nobody for long: it is kept together with the instant the kernel started it and with the
machine's boot, so that a number that was given to somebody else in between is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from console.stack.accounts import Account

STOP_WITHIN_S = 10.0
_POLL_S = 0.02
_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """One process of this machine's history; ``started`` in clock ticks since ``boot``."""

    pid: int
    started: int
    boot: str


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _stat_of(pid: int) -> list[str] | None:
    """Return the fields of a process after its name, from its state on; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def mark_of(pid: int) -> ProcessMark | None:
    """Return the mark of a running process; None where it is gone."""
    fields = _stat_of(pid)
    return None if fields is None else ProcessMark(pid, int(fields[19]), _boot_id())


def is_alive(mark: ProcessMark) -> bool:
    """Say whether that very process still runs; a dead one that nobody has buried does not."""
    fields = _stat_of(mark.pid)
    if fields is None or fields[0] in ("Z", "X"):
        return False
    return int(fields[19]) == mark.started and _boot_id() == mark.boot


def start_line(
    arguments: Sequence[str], *, account: Account | None = None, death_signal: signal.Signals = signal.SIGTERM
) -> list[str]:
    """Return the arguments that start a program as a child which ends when this process does."""
    line = {
        "parent": os.getpid(),
        "death_signal": int(death_signal),
        "uid": None if account is None else account.uid,
        "gid": None if account is None else account.gid,
        "capability": None if account is None else account.capability,
    }
    return [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps(line), *arguments]


def stop_process(
    pid: int, *, ask: signal.Signals = signal.SIGTERM, within_s: float = STOP_WITHIN_S, group: bool = False
) -> None:
    """Ask a process that is not our child to end, insist after the deadline, and wait until it is gone."""
    mark = mark_of(pid)
    if mark is None:
        return
    for number, wait_s in ((ask, within_s), (signal.SIGKILL, STOP_WITHIN_S)):
        if not is_alive(mark):
            return
        with contextlib.suppress(ProcessLookupError):
            if group and os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        deadline = time.monotonic() + wait_s
        while is_alive(mark) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def still_working_in(folder: Path) -> list[int]:
    """Return the processes whose working directory is ``folder``: what a killed server leaves behind."""
    wanted = folder.stat()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to see
            seen = (entry / "cwd").stat()
            if (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.append(int(entry.name))
    return found
