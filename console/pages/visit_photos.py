"""Photos of a visit: a JPEG enters where the home agrees to it; it is shown to who may see the case, after a purpose.

A phone without signal keeps a photo until there is one, at most three of a visit and for a day, and sends it once.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Path, UploadFile
from starlette.responses import Response

from console.loaders import cases as loader
from console.loaders.cases import LoadedCase
from console.loaders.households import Row
from console.loaders.tasks import task_view
from console.pages import tasks
from console.pages.recording import NotTakenError, audit_task, doing_of
from console.pages.visit import Guard, SentAct, check_phone, do_sent
from console.pictures import PICTURE_BYTES_MAX, PictureError, bare_picture
from console.scope import RevealPurpose, Section, Sight
from console.seat import CheckedForm, RefusedError, Seat, not_here
from console.views import parts as view_parts
from console.views.visits import PhotoRow, PhotosPage
from console.visiting import Doing
from kaimen.database import Connection, notify, queries
from kaimen.vocabulary import TaskKind

router = APIRouter()
_SQL = queries("console", "visit_photos.sql")
#: So many are enough to show what was found, and bound what one visit stores.
PHOTOS_MAX = 3
TaskId = tasks.TaskId
PhotoId = Annotated[int, Path(ge=1, le=2**63 - 1)]
_PURPOSES = (RevealPurpose.VISIT, RevealPurpose.CALL_BACK, RevealPurpose.EMERGENCY)


def _open(connection: Connection, seat: Seat, task_id: int) -> tuple[Row, LoadedCase, str]:
    """Return a visit with its case and home; photos are of homes, and for who sees more of the case than that it is."""
    task, case = tasks.load(connection, seat, task_id)
    return task, case, _home_of(task, case)


def _home_of(task: Row, case: LoadedCase) -> str:
    home = task["household_id"] or case.row["household_id"]
    if home is None or task["kind"] != TaskKind.VISIT or case.sight < Sight.MASKED:
        raise not_here()
    return str(home)


@router.get("/tasks/{task_id}/photos")
def photos(seat: Guard, task_id: TaskId) -> Response:
    with seat.transaction() as connection:
        return _show(connection, seat, *_open(connection, seat, task_id), view_parts.Form())


def _show(
    connection: Connection, seat: Seat, task: Row, case: LoadedCase, home: str, form: view_parts.Form, *, status: int = 200
) -> Response:  # fmt: skip
    view = task_view(task, case, seat.reader(connection))
    agreed = connection.execute(_SQL["photo_consent"], {"household_id": home}).fetchone() is not None
    found = connection.execute(_SQL["photos"], {"task_id": task["id"]}).fetchall()
    may = loader.may_record(seat.viewer, task, case) and view.done_at is None
    name = (
        view_parts.HouseholdName(id="", label=case.row["number"])
        if case.household is None
        else case.household.name
    )
    page = PhotosPage(
        view,
        name,
        tuple(
            PhotoRow(row["id"], f"/tasks/{task['id']}/photos/{row['id']}", row["at"], row["by"])
            for row in found
        ),
        agreed,
        form if may and agreed and len(found) < PHOTOS_MAX else None,
        PHOTOS_MAX,
        tuple(purpose.value for purpose in _PURPOSES),
        f"/tasks/{task['id']}",
    )
    return seat.answer(
        connection, "photos.html", page, section=Section.TASKS, status=status, live=False,
        path=f"/tasks/{task['id']}/photos",
    )  # fmt: skip


@router.post("/tasks/{task_id}/photos", dependencies=[CheckedForm])
def add(seat: Guard, task_id: TaskId, photo: Annotated[UploadFile | None, File()] = None) -> Response:
    """Keep a photo of this visit, bare of everything but the picture."""
    with seat.transaction() as connection:
        task, case, home = _open(connection, seat, task_id)
        doing = doing_of(seat, task, case)
        try:
            _keep(connection, photo, home, doing)
        except PictureError as error:
            form = view_parts.Form({}, {"photo": str(error)})
            return _show(connection, seat, task, case, home, form, status=422)
        except NotTakenError as error:
            form = view_parts.Form({}, error.errors)
            return _show(connection, seat, task, case, home, form, status=error.status)
        audit_task(connection, seat, "visit_photo_taken", task, doing)
    return seat.go(f"/tasks/{task_id}/photos", "notice.visit_photo")


def _keep(connection: Connection, photo: UploadFile | None, home: str, doing: Doing) -> None:
    """Keep a photo of a visit with the instant it was taken.

    Raises
    ------
    PictureError
        If it is no photo that is taken.
    NotTakenError
        If the home does not agree, or there are enough.
    """
    data = b"" if photo is None else photo.file.read(PICTURE_BYTES_MAX + 1)
    picture = bare_picture(data)
    values = {
        "task_id": doing.task_id, "case_id": doing.case_id, "household_id": home, "user_id": doing.user_id,
        "at": doing.at, "picture": picture.data, "width": picture.width, "height": picture.height,
        "count_max": PHOTOS_MAX,
    }  # fmt: skip
    if connection.execute(_SQL["photo_add"], values).fetchone() is None:
        raise NotTakenError({"": "photo_not_agreed"}, 409)
    connection.execute(_SQL["photo_entry"], {**values, "words": "visit_photo"})
    notify(connection, "kaimen_cases", str(doing.case_id))


@router.post("/field/photos", dependencies=[Depends(check_phone)])
def add_sent(
    seat: Guard,
    key: Annotated[UUID, Form()],
    task_id: Annotated[int, Form(ge=1, le=2**63 - 1)],
    done_ms: Annotated[int, Form(ge=0, le=2**53)],
    sent_ms: Annotated[int, Form(ge=0, le=2**53)],
    photo: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Keep a photo that a phone had while it had no signal: once, dated by its own time."""

    def keep(connection: Connection, task: Row, case: LoadedCase, doing: Doing) -> str:
        home = _home_of(task, case)
        try:
            _keep(connection, photo, home, doing)
        except PictureError as error:
            raise NotTakenError({"photo": str(error)}, 422) from error
        return "notice.visit_photo"

    act = SentAct.model_construct(
        key=key, task_id=task_id, kind="photo", fields={}, done_ms=done_ms, sent_ms=sent_ms
    )
    return do_sent(seat, act, keep)


@router.post("/tasks/{task_id}/photos/{photo_id}", dependencies=[CheckedForm])
def look(
    seat: Guard, task_id: TaskId, photo_id: PhotoId, purpose: Annotated[str, Form(max_length=30)] = ""
) -> Response:
    """Show one photo once, after a purpose, and write down who looked."""
    with seat.transaction() as connection:
        task, case, home = _open(connection, seat, task_id)
        row = connection.execute(_SQL["photo"], {"id": photo_id, "task_id": task_id}).fetchone()
        if row is None:
            raise not_here()
        if purpose not in {item.value for item in _PURPOSES}:
            form = view_parts.Form({}, {f"purpose-{photo_id}": "required"})
            return _show(connection, seat, task, case, home, form, status=422)
        seat.audit(
            connection, "visit_photo_seen", purpose=purpose, object_kind="household", object_id=home, case=case.id,
            photo=photo_id,
        )  # fmt: skip
    return Response(bytes(row["picture"]), media_type="image/jpeg", headers={"Content-Disposition": "inline"})


@router.post("/tasks/{task_id}/photos/{photo_id}/remove", dependencies=[CheckedForm])
def remove(seat: Guard, task_id: TaskId, photo_id: PhotoId) -> Response:
    """Take back one's own photo of a visit that is not over."""
    with seat.transaction() as connection:
        task, case, _ = _open(connection, seat, task_id)
        if not loader.may_record(seat.viewer, task, case):
            raise RefusedError(403)
        values = {"id": photo_id, "task_id": task_id, "user_id": seat.viewer.user_id}
        if connection.execute(_SQL["photo_remove"], values).fetchone() is None:
            raise not_here()
        entry = {
            "case_id": case.id,
            "at": seat.now,
            "words": "visit_photo_removed",
            "user_id": seat.viewer.user_id,
        }
        connection.execute(_SQL["photo_entry"], entry)
        audit_task(connection, seat, "visit_photo_removed", task, doing_of(seat, task, case))
    return seat.go(f"/tasks/{task_id}/photos", "notice.visit_photo_removed")
