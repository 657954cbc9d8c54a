"""What was taken back since a backup: a database enters, a small file leaves; after a restore it is applied again.

A restored database is of the instant of its backup: who withdrew a consent, blocked a relative or lost her sign-in
afterwards would have all of it back. The file holds pseudonymous ids and instants alone, one JSON object a line, and is
small enough to be copied to another machine every few minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from console.backups.sealing import BackupError
from kaimen.database import Connection, queries

_SQL = queries("console.backups")
LINE_BYTES_MAX = 4_096


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was taken back."""

    kind: str
    at: datetime
    household_id: str | None = None
    purpose: str | None = None
    user_id: int | None = None
    token_hash: str | None = None


_KINDS = ("consent_withdrawn", "relative_blocked", "user_disabled", "kiosk_revoked", "card_lost")


def write_lines(connection: Connection) -> Iterator[bytes]:
    """Return a line for everything that stands as taken back; all of it, for it is little."""
    for row in connection.execute(_SQL["taken_back"]):
        values = {name: value for name, value in row.items() if value is not None}
        yield msgspec.json.encode(Line(**values)) + b"\n"


def apply_lines(connection: Connection, lines: Iterable[bytes]) -> Counter[str]:
    """Take back again what these lines say and the database does not; return how much of each kind.

    Raises
    ------
    BackupError
        If a line is none; nothing is applied then (the caller's transaction ends).
    """
    applied: Counter[str] = Counter()
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        line = _parse(text, number)
        values: dict[str, Any] = msgspec.structs.asdict(line)
        applied[line.kind] += len(connection.execute(_SQL[f"again_{line.kind}"], values).fetchall())
    return applied


def _parse(text: bytes, number: int) -> Line:
    try:
        line = msgspec.json.decode(text[:LINE_BYTES_MAX], type=Line)
    except msgspec.MsgspecError as error:
        raise BackupError(
            f"line {number} of the file of what was taken back cannot be read: {error}"
        ) from error
    if line.kind not in _KINDS:
        raise BackupError(f"line {number} says {line.kind!r}, which this version does not know")
    return line
