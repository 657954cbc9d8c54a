"""What must be done again on a restored backup: the database's ledger enters a file outside it, and comes back.

The file holds pseudonymous ids only, one line of JSON each with a mark made with the audit chain's key. Lines are only
ever added, so that a file that has seen a database before and after a restore holds what both knew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from console.audit.chain import Entry, append
from console.rights.deletion import Author, DeletionRefusal, DeletionRefusedError, delete_person
from kaimen.database import Connection, queries

_SQL = queries("console", "rights/rights.sql")
#: Beside the audit chain's key in an installation's directory.
FILE_NAME = "rights-ledger.jsonl"
BYTES_MAX = 256 * 1024 * 1024
_FIELDS = ("kind", "person_id", "household_id", "purpose", "user_id", "at")


class LedgerError(ValueError):
    """The file is not a ledger of this installation; the text names the line."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One act to be done again; ``at`` as ISO text."""

    at: str
    kind: str
    person_id: str = ""
    household_id: str = ""
    purpose: str = ""
    user_id: int = 0

    def words(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}


@dataclass(frozen=True, slots=True)
class Reapplied:
    """How much a restored database lacked; nothing where it lacked nothing."""

    deleted: int
    withdrawn: int
    blocked: int
    unblocked: int
    unknown: int  # people the backup does not know at all

    @property
    def total(self) -> int:
        return self.deleted + self.withdrawn + self.blocked + self.unblocked


def _mark(line: Line, key: bytes) -> str:
    text = json.dumps(line.words(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    secret = hmac.digest(key or b"kaimen", b"kaimen rights ledger 1", hashlib.sha256)
    return hmac.digest(secret, text.encode(), hashlib.sha256).hex()


def load_lines(connection: Connection) -> list[Line]:
    """Return the database's ledger in the order it was written."""
    return [
        Line(
            row["at"].isoformat(), row["kind"], row["person_id"] or "", row["household_id"] or "", row["purpose"] or "",
            row["user_id"] or 0,
        )
        for row in connection.execute(_SQL["ledger_after"])
    ]  # fmt: skip


def read_file(path: Path, key: bytes) -> list[Line]:
    """Return the lines of a ledger's file, in order; an absent file has none.

    Raises
    ------
    LedgerError
        For a line that was changed, or written with another key.
    """
    if not path.exists():
        return []
    if path.stat().st_size > BYTES_MAX:
        raise LedgerError(f"{path}: larger than any ledger of ours ({BYTES_MAX} bytes)")
    return list(_parse(path.read_text(encoding="utf-8").splitlines(), str(path), key))


def _parse(texts: Iterable[str], name: str, key: bytes) -> Iterable[Line]:
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            words = json.loads(text)
            mark = str(words.pop("mark"))
            line = Line(**words)
            datetime.fromisoformat(line.at)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise LedgerError(
                f"{name}, line {number}: not a line of a ledger; take it from a good copy"
            ) from error
        if not hmac.compare_digest(mark, _mark(line, key)):
            raise LedgerError(
                f"{name}, line {number}: changed, or written with another key than this installation's"
            )
        yield line


def sync_file(connection: Connection, path: Path, key: bytes) -> int:
    """Add what the database's ledger knows and the file does not; return how many lines are new.

    Safe to call again at any time: a crash between an act and its line is made up for by the next call.
    """
    known = set(read_file(path, key))
    new = [line for line in load_lines(connection) if line not in known]
    if new:
        texts = [json.dumps({**line.words(), "mark": _mark(line, key)}, ensure_ascii=False) for line in new]
        with path.open("a", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write("".join(f"{text}\n" for text in texts))
            file.flush()
            os.fsync(file.fileno())
    return len(new)


def reapply_deletions(
    connection: Connection, lines: Sequence[Line] | Path, *, audit_key: bytes, now: datetime
) -> Reapplied:
    """Do again on a restored database what was deleted, withdrawn and blocked since its backup was made.

    In the caller's transaction, before any service is started; ``lines`` are a ledger's, or the path of its file. Done
    twice it changes nothing the second time.

    Raises
    ------
    LedgerError
        Where the file was changed: nothing is done then.
    """
    if isinstance(lines, Path):
        lines = read_file(lines, audit_key)
    author = Author("service:restore", "system", audit_key)
    counts = dict.fromkeys(("deleted", "withdrawn", "blocked", "unblocked", "unknown"), 0)
    for line in _last_words(lines):
        _reapply(connection, line, author, now, counts)
    done = Reapplied(**counts)
    if done.total:
        entry = Entry(
            now, author.actor, author.role, "rights_reapplied", "rights", "ledger", "all", dict(counts)
        )
        append(connection, entry, key=audit_key)
    return done


def _last_words(lines: Sequence[Line]) -> list[Line]:
    """Leave out what was taken back later: the last word on a purpose, and on a relative, is the one that counts."""
    last: dict[tuple[str, ...], Line] = {}
    for line in lines:
        if line.kind == "person_deleted":
            subject: tuple[str, ...] = ("person", line.person_id)
            if subject in last:
                continue
        elif line.kind.startswith("consent"):
            subject = ("consent", line.household_id, line.purpose)
        else:
            subject = ("relative", line.household_id, str(line.user_id))
        last[subject] = line
    # People first: what is withdrawn of a home that is deleted needs no second word.
    return sorted(last.values(), key=lambda line: (line.kind != "person_deleted", line.at))


def _reapply(
    connection: Connection, line: Line, author: Author, now: datetime, counts: dict[str, int]
) -> None:
    at = datetime.fromisoformat(line.at)
    values = {**line.words(), "at": at}
    if line.kind == "person_deleted":
        try:
            done = delete_person(
                connection, line.person_id, asked_by="restored", author=author, now=now, deleted_at=at
            )
            counts["deleted"] += not done.already
        except DeletionRefusedError as error:
            if error.reason is not DeletionRefusal.NO_PERSON:
                raise
            counts["unknown"] += 1
    elif line.kind == "consent_withdrawn":
        counts["withdrawn"] += connection.execute(_SQL["reapply_withdrawal"], values).rowcount
    elif line.kind == "relative_blocked":
        counts["blocked"] += connection.execute(_SQL["reapply_block"], values).rowcount
    elif line.kind == "relative_unblocked":
        counts["unblocked"] += connection.execute(_SQL["reapply_unblock"], values).rowcount
