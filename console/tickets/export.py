"""A ticket's rows as one sealed package: a ticket enters, the bytes of a zip leave, with its place in the chain."""

from __future__ import annotations

from console.audit import sealing
from console.loaders.log import LogPage
from console.rendering import environment
from console.seat import Seat
from console.tickets.store import EXPORT_ROWS_MAX, Ticket, read_rows, trace
from console.views.log import LogRow
from console.words import load_words
from kaimen.database import Connection, queries

_SQL = queries("console", "tickets.sql")
_HEADER = (
    "occurred_at", "received_at", "door", "device", "event", "state", "direction", "method", "class", "credential",
    "replayed", "clock", "ticket", "document_number", "taken_by", "taken_at",
)  # fmt: skip


def export_rows(connection: Connection, seat: Seat, ticket: Ticket, watermark: str) -> bytes | str:
    """Return the package, or the word of why not; either way the try is in the chain when this commits."""
    reading = read_rows(connection, seat, ticket.id, None, limit=EXPORT_ROWS_MAX)
    rows, result = reading.page.rows, reading.result
    if result == "read" and reading.page.older is not None:
        result = "too_many"
    if result != "read":
        trace(connection, seat, "look_up_refused", ticket, read_id=reading.id, result=result, rows=0)
        return result
    files = {
        "look-up.csv": sealing.write_csv(_HEADER, [_cells(row, seat, ticket) for row in rows]),
        "look-up.html": _print_page(connection, seat, ticket, reading.page, watermark),
        "print.css": sealing.PRINT_STYLE,
        "README.txt": sealing.HOW_TO_CHECK,
    }
    entry_id = trace(
        connection, seat, "look_up_exported", ticket, read_id=reading.id, rows=len(rows),
        households=sorted(reading.page.households),
        sha256={name: sealing.digest(data) for name, data in files.items()},
    )  # fmt: skip
    place = connection.execute(_SQL["audit_hash"], {"id": entry_id}).fetchone()
    assert place is not None
    facts = {
        "ticket": {
            "number": ticket.number, "purpose": ticket.row["purpose"], "basis": ticket.row["basis"],
            "document_number": ticket.row["document_number"], "place": ticket.place,
            "from": ticket.row["from_at"].isoformat(), "to": ticket.row["to_at"].isoformat(),
            "asked_by": ticket.row["asker"], "agreed_by": ticket.row["decider"] or "",
            "emergency": ticket.row["emergency"],
        },
        "taken_by": seat.viewer.display_name,
        "taken_at": seat.now.isoformat(),
        "rows": len(rows),
        "chain": {"entry_id": place["id"], "hash": place["hash"]},
    }  # fmt: skip
    return sealing.seal(files, facts, seat.services.audit_key)


def _cells(row: LogRow, seat: Seat, ticket: Ticket) -> tuple[str, ...]:
    return (
        row.occurred_at.isoformat(), row.received_at.isoformat(), row.door, row.device_id, row.type,
        row.state or "", row.direction or "", row.method or "", row.whose or "", row.credential or "",
        "yes" if row.replayed else "no", row.clock, ticket.number, ticket.row["document_number"],
        seat.viewer.display_name, seat.now.isoformat(),
    )  # fmt: skip


def _print_page(connection: Connection, seat: Seat, ticket: Ticket, page: LogPage, watermark: str) -> bytes:
    words = load_words(seat.language, seat.reader(connection).zone, seat.now)
    template = environment().get_template("sealed.html")
    text = template.render(
        words=words, t=words.say, tn=words.count, ticket=ticket.row, number=ticket.number, rows=page.rows,
        watermark=watermark, taken_at=seat.now,
    )  # fmt: skip
    return text.encode()
