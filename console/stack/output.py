"""What a child says: its output enters line by line; a bounded log file and structured lines on our own stderr leave."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

FILE_BYTES_MAX = 5 * 1024 * 1024
LINE_BYTES_MAX = 64 * 1024
LAST_LINES = 30
_GRAVE = ("warning", "error", "critical")


class BoundedLog:
    """A log file and the one before it, each of at most ``FILE_BYTES_MAX``."""

    def __init__(self, path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._file = self._open()

    def _open(self) -> IO[bytes]:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab", buffering=0)

    def write(self, line: bytes) -> None:
        if self._file.tell() + len(line) > self._bytes_max:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._open()
        self._file.write(line)

    def close(self) -> None:
        self._file.close()


def as_structured(name: str, line: str) -> tuple[str, bool]:
    """Return a line as JSON, and whether it is grave; a service's own line passes, others are wrapped."""
    if line.startswith("{"):
        try:
            level = json.loads(line).get("level", "info")
        except (ValueError, AttributeError):
            level = None
        if level is not None:
            return line, level in _GRAVE
    grave = any(word in line for word in ("[ERR]", "[FTL]", "ERROR:", "FATAL:", "PANIC:", "Traceback"))
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    level = "error" if grave else "info"
    return json.dumps(
        {"event": line, "service": name, "level": level, "timestamp": at}, ensure_ascii=False
    ), grave


class Pump:
    """Carries one child's output until the child closes it."""

    def __init__(
        self, name: str, stream: IO[bytes], log: BoundedLog, *, echo: Callable[[bool], bool]
    ) -> None:
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._name = name
        self._stream = stream
        self._log = log
        self._echo = echo
        self._thread = threading.Thread(target=self._run, name=f"output of {name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._stream:
            while line := self._stream.readline(LINE_BYTES_MAX):
                self._take(line.decode(errors="replace").rstrip("\n"))

    def _take(self, line: str) -> None:
        if not line.strip():
            return
        self.last_lines.append(line)
        structured, grave = as_structured(self._name, line)
        try:
            self._log.write(structured.encode() + b"\n")
        except OSError:  # a full disk must not stop the child, whose output we carry
            grave = True
        if self._echo(grave):
            print(structured, file=sys.stderr, flush=True)  # noqa: T201 - this is the log

    def join(self, within_s: float) -> None:
        self._thread.join(within_s)
