"""What nats-server says of its own health enters; whether starting it anew would mend it leaves.

A store that could not be written once (a full disk, mostly) refuses every message until the server is started anew,
also long after there is room again. It answers for nothing meanwhile, so nothing is lost; and nothing is heard.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from pathlib import Path

from console.stack.processes import mark_of

#: Less room than this, and a server started anew would soon be where it was.
ROOM_BYTES = 16 * 2**20
#: What it says of a store that it will not write again: a stream's, the cluster's own, or all of them.
_REFUSES_FOR_GOOD = ("write error", "not enabled")


def why_start_anew(failure: str, store: Path) -> str:
    """Return why the server must be started anew, empty where it need not be or where that would mend nothing.

    ``failure`` is what it says of its health, empty where it is well; ``store`` is where it keeps its messages.
    """
    if not any(words in failure for words in _REFUSES_FOR_GOOD):
        return ""
    return f"its store refuses, and there is room again: {failure}" if has_room(store) else ""


def has_room(folder: Path, bytes_wanted: int = ROOM_BYTES) -> bool:
    """Say whether so much can be written there: tried, for a quota shows in no figure of the disk."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, bytes_wanted)
    except OSError:
        return False
    return True


def end_process_of(pid_file: Path) -> bool:
    """Ask the process whose number stands in a file to end; say whether there was one."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    if pid <= 1 or mark_of(pid) is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    return True
