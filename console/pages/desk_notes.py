"""What residents ask the desk for beside the cases: lost cards and call backs enter, results leave."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from console.scope import Section
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here
from console.views.screens import DeskNotesPage, NoteRow
from kaimen.database import queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.DESK_NOTES))]
DONE_SHOWN_FOR = timedelta(days=1)
#: What may become of a note, and of which kind.
RESULTS = {"cancelled": "card_lost", "found": "card_lost", "called": "call_back", "nobody": "call_back"}
_SQL = queries("console", "residents.sql")


@router.get("/desk-notes")
def desk_notes(seat: Guard, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        rows = connection.execute(
            _SQL["notes"], {"community_id": seat.viewer.community_id, "since": seat.now - DONE_SHOWN_FOR}
        ).fetchall()
        page = DeskNotesPage(tuple(_row(row) for row in rows))
        return seat.answer(connection, "desk_notes.html", page, section=Section.DESK_NOTES, fragment=fragment)


def _row(row: dict[str, Any]) -> NoteRow:
    results = tuple(result for result, kind in RESULTS.items() if kind == row["kind"])
    return NoteRow(
        id=row["id"],
        kind=row["kind"],
        at=row["at"],
        door=row["label"] or row["door"],
        place=row["place"] or "",
        said=row["said"],
        ending=(row["credential"] or "")[-4:],
        url=None if row["household_id"] is None else f"/households/{row['household_id']}",
        results=results if row["done_at"] is None else (),
        done_at=row["done_at"],
        result=row["result"] or "",
    )


@router.post("/desk-notes/{note_id}/done", dependencies=[CheckedForm])
def done(
    seat: Guard,
    note_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
    result: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Say what became of a note; a card that was found again is valid as before."""
    if result not in RESULTS:
        raise RefusedError(422, "not_valid")
    with seat.transaction() as connection:
        row = connection.execute(
            _SQL["note_done"],
            {
                "id": note_id, "community_id": seat.viewer.community_id, "kind": RESULTS[result],
                "result": result, "user_id": seat.viewer.user_id, "now": seat.now,
            },
        ).fetchone()  # fmt: skip
        if row is None:
            raise not_here()
        if result == "found":
            connection.execute(_SQL["card_found"], {"token": row["credential"]})
        kind = "household" if row["household_id"] else "desk_note"
        seat.audit(
            connection, "desk_note_done", purpose="care", object_kind=kind,
            object_id=row["household_id"] or str(note_id), note=note_id, result=result,
        )  # fmt: skip
    return seat.go("/desk-notes", "notice.desk_note_done")
