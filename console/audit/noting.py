"""The end of the audit chain enters once a day; a line of the installation's own file of checkpoints leaves.

A copy of that file, kept where nobody here can write, shows an end that was cut off since.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from console.audit.chain import Checkpoint
from console.audit.checkpoints import append_checkpoint, format_checkpoint
from kaimen.database import Connection, queries

FILE_NAME = "audit-checkpoints.jsonl"
NOTED_EVERY = timedelta(days=1)


def note_end(connection: Connection, path: Path, key: bytes, *, now: datetime) -> bool:
    """Add the chain's end to ``path`` unless the last one there is younger than a day; say whether it was added.

    Raises
    ------
    OSError
        Where the file cannot be read or written.
    """
    last_at = _last_noted_at(path)
    if last_at is not None and last_at <= now < last_at + NOTED_EVERY:
        return False
    row = connection.execute(queries("console")["audit_head"]).fetchone()
    if row is None:
        return False
    head = Checkpoint(int(row["id"]), bytes(row["hash"]).hex())
    append_checkpoint(path, format_checkpoint(head, int(row["count"]), now, key))
    return True


def _last_noted_at(path: Path) -> datetime | None:
    """When the last line was written; a line that is none is no reason to write nothing any more."""
    if not path.exists():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        return datetime.fromisoformat(json.loads(lines[-1])["at"])
    except (ValueError, KeyError, TypeError, IndexError):
        return None
