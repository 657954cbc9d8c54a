"""Quarantine: messages that could not be stored, each with its reason, and sending one through again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from starlette.responses import Response

from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views import devices as devices_views
from kaimen.database import Connection, notify, queries
from kaimen.vocabulary import QuarantineReason

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.QUARANTINE))]
PAGE = 50
SAMPLE_LENGTH = 120
GROUPS_SHOWN = 20
#: Messages of one group taken again, or put aside, by one press; the rest waits for the next.
GROUP_MAX = 20_000


def load_rows(
    connection: Connection,
    community_id: str | None,
    *,
    before: int | None = None,
    row_id: int | None = None,
    waiting: bool | None = None,
    limit: int = PAGE + 1,
) -> list[dict[str, Any]]:
    return connection.execute(
        queries("console")["quarantine_rows"],
        {"community_id": community_id, "before": before, "id": row_id, "waiting": waiting, "limit": limit},
    ).fetchall()


def load_waiting(connection: Connection, community_id: str | None) -> int:
    row = connection.execute(
        queries("console")["quarantine_waiting"], {"community_id": community_id}
    ).fetchone()
    return int(row["waiting"]) if row else 0


def load_groups(
    connection: Connection, community_id: str | None
) -> tuple[devices_views.QuarantineGroup, ...]:
    rows = connection.execute(
        queries("console")["quarantine_groups"], {"community_id": community_id, "limit": GROUPS_SHOWN}
    ).fetchall()
    return tuple(
        devices_views.QuarantineGroup(**row | {"reason": QuarantineReason(row["reason"])}) for row in rows
    )


@router.get("/quarantine")
def quarantine(seat: Guard, before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None) -> Response:
    community_id = seat.viewer.community_id
    with seat.transaction() as connection:
        rows = load_rows(connection, community_id, before=before)
        page = devices_views.QuarantinePage(
            rows=tuple(_row(row) for row in rows[:PAGE]),
            groups=load_groups(connection, community_id),
            waiting=load_waiting(connection, community_id),
            newer_url="/quarantine" if before else None,
            older_url=f"/quarantine?before={rows[PAGE - 1]['id']}" if len(rows) > PAGE else None,
        )
        return seat.answer(connection, "quarantine.html", page, section=Section.QUARANTINE)


def _row(row: Mapping[str, Any]) -> devices_views.QuarantineRow:
    return devices_views.QuarantineRow(
        id=row["id"],
        received_at=row["received_at"],
        topic=row["topic"],
        reason=QuarantineReason(row["reason"]),
        detail=row["detail"],
        payload_bytes=row["payload_bytes"],
        copies=row["copies"],
        device_id=row["device_id"],
        sample=printable(bytes(row["sample"] or b"")),
        replay_asked=row["replay_asked"],
        replayed_at=row["replayed_at"],
        replay_url=None if row["replayed_at"] is not None else f"/quarantine/{row['id']}/replay",
        answered_at=row["answered_at"],
        answer_url=None
        if row["replayed_at"] is not None or row["answered_at"] is not None
        else f"/quarantine/{row['id']}/answer",
    )


def printable(payload: bytes) -> str:
    """Return the beginning of a payload with a dot for every byte that is not plain text."""
    text = payload[:SAMPLE_LENGTH].decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else "·" for character in text)


class GroupForm:
    """Which group a person saw when she pressed; what came later is not meant."""

    def __init__(
        self,
        reason: Annotated[QuarantineReason, Form()],
        last_id: Annotated[int, Form(ge=1, le=2**63 - 1)],
        device_id: Annotated[str, Form(max_length=200)] = "",
    ) -> None:
        self.reason, self.device_id, self.last_id = reason, device_id, last_id

    def load_ids(self, connection: Connection, community_id: str | None) -> list[int]:
        """Return the group's oldest waiting messages, those of the reader's own place alone."""
        rows = connection.execute(
            queries("console")["quarantine_group_ids"],
            {
                "community_id": community_id, "reason": self.reason.value, "device_id": self.device_id or None,
                "last_id": self.last_id, "limit": GROUP_MAX,
            },
        ).fetchall()  # fmt: skip
        return [row["id"] for row in rows]

    def trace(self, count: int) -> dict[str, object]:
        return {
            "reason": self.reason.value,
            "count": count,
            "device": self.device_id,
            "last_id": self.last_id,
        }


Group = Annotated[GroupForm, Depends()]


@router.post("/quarantine/all/replay", dependencies=[CheckedForm])
def replay_all(seat: Guard, group: Group) -> Response:
    """Take every message of one cause again, oldest first."""
    with seat.transaction() as connection:
        asked = _ask_replay(connection, group.load_ids(connection, seat.viewer.community_id))
        if asked:
            seat.audit(
                connection, "quarantine_replayed", purpose="maintenance", object_kind="quarantine",
                object_id="group", **group.trace(asked),
            )  # fmt: skip
    return seat.go("/quarantine", "notice.replay_asked" if asked else "notice.replay_impossible")


@router.post("/quarantine/all/answer", dependencies=[CheckedForm])
def answer_all(seat: Guard, group: Group) -> Response:
    """Somebody has dealt with all messages of one cause: they ask for nobody any more."""
    with seat.transaction() as connection:
        answered = _answer(connection, seat, group.load_ids(connection, seat.viewer.community_id))
        if answered:
            seat.audit(
                connection, "quarantine_answered", purpose="maintenance", object_kind="quarantine",
                object_id="group", **group.trace(answered),
            )  # fmt: skip
    return seat.go("/quarantine", "notice.quarantine_answered" if answered else None)


def _ask_replay(connection: Connection, ids: Sequence[int]) -> int:
    """Ask the running ingest to take messages again, in its own words; those cut when filed are left.

    The statement is ingest's; its module is not imported, because it brings the compiled detector with it.
    """
    asked = connection.execute(queries("ingest")["ask_replay"], {"ids": list(ids)}).fetchall()
    notify(connection, "kaimen_registry")
    return len(asked)


def _answer(connection: Connection, seat: Seat, ids: Sequence[int]) -> int:
    values = {"ids": list(ids), "now": seat.now, "by": f"user:{seat.viewer.user_id}"}
    return len(connection.execute(queries("console")["answer_quarantined"], values).fetchall())


@router.post("/quarantine/{row_id}/replay", dependencies=[CheckedForm])
def replay(seat: Guard, row_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    with seat.transaction() as connection:
        if not load_rows(connection, seat.viewer.community_id, row_id=row_id, limit=1):
            raise not_here()
        asked = _ask_replay(connection, [row_id])
        seat.audit(
            connection,
            "quarantine_replayed",
            purpose="maintenance",
            object_kind="quarantine",
            object_id=str(row_id),
        )
    return seat.go("/quarantine", "notice.replay_asked" if asked else "notice.replay_impossible")


@router.post("/quarantine/{row_id}/answer", dependencies=[CheckedForm])
def answer(seat: Guard, row_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Somebody has dealt with a message that can never be stored: it asks for nobody any more."""
    with seat.transaction() as connection:
        if not load_rows(connection, seat.viewer.community_id, row_id=row_id, limit=1):
            raise not_here()
        if _answer(connection, seat, [row_id]):
            seat.audit(
                connection,
                "quarantine_answered",
                purpose="maintenance",
                object_kind="quarantine",
                object_id=str(row_id),
            )
    return seat.go("/quarantine", "notice.quarantine_answered")
