"""Ends of the audit chain kept outside the database: a chain's head enters, a line of a file leaves, and back.

Each line carries its own HMAC, so that a file which was written to is known from one that was kept.
"""

from __future__ import annotations

import hmac
import json
import os
from datetime import datetime
from pathlib import Path

from console.audit.chain import Checkpoint

FORMAT = "kaimen-checkpoint-1"
FILE_BYTES_MAX = 16 * 1024 * 1024


class CheckpointError(ValueError):
    """A file of checkpoints that cannot be believed; the text says which line and what to do."""


def _mark(facts: dict[str, object], key: bytes) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key or b"kaimen", b"kaimen checkpoint 1" + text.encode(), "sha256").hex()


def format_checkpoint(head: Checkpoint, count: int, at: datetime, key: bytes) -> str:
    """Return one line of JSON: how long the chain is, its last entry, and a mark only the key's holder can make."""
    facts: dict[str, object] = {
        "format": FORMAT, "entry_id": head.entry_id, "hash": head.hash, "count": count, "at": at.isoformat(),
    }  # fmt: skip
    return json.dumps({**facts, "mark": _mark(facts, key)}, sort_keys=True)


def append_checkpoint(path: Path, line: str) -> None:
    """Write the line at the end of the file; it is on the disk when this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_checkpoints(path: Path, key: bytes) -> list[Checkpoint]:
    """Return a file's checkpoints.

    Raises
    ------
    CheckpointError
        Where a line is none, or was not made with this key.
    """
    if path.stat().st_size > FILE_BYTES_MAX:
        raise CheckpointError(
            f"{path}: larger than {FILE_BYTES_MAX} bytes; name a file of `kaimen audit checkpoint`"
        )
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            facts = json.loads(line)
            mark = str(facts.pop("mark"))
            checkpoint = Checkpoint(int(facts["entry_id"]), str(facts["hash"]))
            known = facts["format"] == FORMAT
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{path}, line {number}: not a checkpoint; take the file from its backup"
            ) from error
        if not known or not hmac.compare_digest(mark, _mark(facts, key)):
            raise CheckpointError(
                f"{path}, line {number}: changed, or made with another key; name the audit chain's own key"
            )
        found.append(checkpoint)
    return found
