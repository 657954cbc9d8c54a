"""What of a person is no text, for her package: who she is enters, rows that name files and the files themselves leave.

Bounded: what does not fit any more is a row without a file, which says that it is stored and how large it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from console.audit.sealing import digest
from kaimen.database import Connection, queries

_SQL = queries("console", "rights/attachments.sql")
#: Together with the package's own files they stay within what a package may be (console/sealing.py).
ATTACHMENTS_MAX = 80
ATTACHMENT_BYTES_MAX = 40 * 1024 * 1024
#: Sections of the package that enclose files; each is a statement ``NAME`` with the file in its last column, ``data``.
SECTIONS = {"voices": "wav", "photos": "jpg"}


def gather_files(
    connection: Connection, person: Mapping[str, Any], *, community_id: str | None
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, bytes]]:
    """Return by section the rows, and by name the files that belong to them.

    ``person`` is a row of the statement ``person``; ``community_id`` is where she is asked for.
    """
    values = {
        "person_id": person["id"], "name": person["name"], "community_id": community_id or person["community_id"],
        "household_id": person["household_id"] if person["relation"] == "resident" else None,
        "limit": ATTACHMENTS_MAX,
    }  # fmt: skip
    files: dict[str, bytes] = {}
    found = {
        section: list(_enclose(section, kind, connection.execute(_SQL[section], values).fetchall(), files))
        for section, kind in SECTIONS.items()
    }
    return found, files


def _enclose(
    section: str, kind: str, rows: list[dict[str, Any]], files: dict[str, bytes]
) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, 1):
        data = bytes(row.pop("data"))
        name = f"{section}-{number}.{kind}"
        fits = (
            len(files) < ATTACHMENTS_MAX and sum(map(len, files.values())) + len(data) <= ATTACHMENT_BYTES_MAX
        )
        if fits:
            files[name] = data
        yield {"file": name if fits else "", "bytes": len(data), "sha256": digest(data), **row}
