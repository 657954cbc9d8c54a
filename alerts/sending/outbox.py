"""Messages as rows: annunciations, receipts and confirmations enter, outbox rows leave, in the caller's transaction.

A recipient's addresses are a chain of rows written together with the case's change: each is due when the one before
has gone unanswered long enough, so no timer lives in memory. Whoever confirms ends the chain.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from alerts.ahead import Question, Reads, Rows
from alerts.duty.roster import Ground
from alerts.rules.actions import Annunciate
from alerts.sending.delivery import DETAIL_LENGTH_MAX, breaks_quiet, lane_of
from alerts.sending.messages import CASE_FAMILY
from alerts.sending.recipients import VOICE, Address, Roster, decide_told, idempotency_key, plan_messages
from alerts.voice.planning_rows import write_calls
from kaimen.database import Connection, notify, queries

_SQL = queries("alerts.sending", "outbox.sql")
_DUTY = queries("alerts.duty", "roster.sql")
_TOKEN_BYTES = 10

ReceiptState = Literal["delivered", "answered", "confirmed", "failed"]

#: What a later word of a provider may change: never a confirmation, and never back.
_BEFORE: Mapping[str, tuple[str, ...]] = {
    "delivered": ("leased", "uncertain", "accepted"),
    "answered": ("leased", "uncertain", "accepted", "delivered"),
    "confirmed": (
        "planned", "leased", "uncertain", "accepted", "delivered", "answered", "failed_permanent", "superseded",
    ),
    "failed": ("leased", "uncertain", "accepted"),
}  # fmt: skip


def question_of_channels() -> Question:
    """Return what :func:`load_roster` asks first, to be asked ahead."""
    return _SQL["open_channels"], None


def load_roster(
    connection: Reads,
    community_id: str,
    household_id: str | None,
    family_user_ids: tuple[int, ...],
    outside_channels: tuple[str, ...],
) -> Roster:
    """Return who can be reached for a case of a household, or of a community.

    Without ``outside_channels`` it takes those an alerts service says it has: an act at the console reaches the same
    people as the clock.
    """
    opened = connection.execute(*question_of_channels()).fetchall()
    personal = [row["channel"] for row in opened if row["personal"]]
    outside = outside_channels or tuple(row["channel"] for row in opened if not row["personal"])
    outside = tuple(name for name in outside if name not in personal)
    args = {"channels": personal, "community_id": community_id, "household_id": household_id}
    family = _addresses(connection, "family_addresses", args) if household_id and personal else ()
    staff = _addresses(connection, "staff_addresses", args) if personal else ()
    community = (
        _addresses(connection, "community_addresses", {**args, "channels": list(outside)}) if outside else ()
    )
    return Roster(community_id, family_user_ids, outside, family, staff, community)


def _addresses(connection: Reads, statement: str, args: Mapping[str, Any]) -> tuple[Address, ...]:
    return tuple(Address(**row) for row in connection.execute(_SQL[statement], args))


def make_token() -> str:
    """Return the code of a message's own page: 80 random bits that can be read out and typed."""
    return base64.b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().lower()


def write_messages(
    connection: Connection, case_id: int, wanted: Annunciate, roster: Roster, now: datetime
) -> int:
    """Write the messages of one annunciation; return how many there are."""
    lane = lane_of(wanted.step)
    messages = plan_messages(wanted, roster)
    _tell_who(connection, case_id, wanted, roster, now)
    family = {item.id for item in roster.family}
    before: Rows | None = None
    for message in messages:
        # A second address on the same channel is a message of its own.
        channel = message.channel if message.address_id is None else f"{message.channel}/{message.address_id}"
        key = idempotency_key(
            case_id=case_id,
            step=wanted.step,
            person=message.person,
            channel=channel,
            repetition=wanted.repetition,
        )
        before = connection.execute(
            _SQL["insert_message"],
            {
                "case_id": case_id,
                "step": wanted.step,
                "person": message.person,
                "channel": message.channel,
                "repetition": wanted.repetition,
                "key": key,
                "template": CASE_FAMILY if message.address_id in family else "case",
                "args": Jsonb({"case_id": case_id}),
                "now": now,
                "not_before": message.not_before or wanted.not_before,
                "lane": int(lane),
                "pressing": 0 if breaks_quiet(wanted.step) else 1,
                "address_id": message.address_id,
                "follows_id": _id_of(before) if message.position else None,
                "token": None if message.address_id is None else make_token(),
                "language": message.language,
                "path": None,
            },
        )
    rings = VOICE in roster.outside_channels
    calls = write_calls(connection, case_id, wanted, roster, now) if rings else 0
    notify(connection, "kaimen_outbox")
    return len(messages) + calls


def _id_of(before: Rows | None) -> int | None:
    """Return the id of the message written last; asked for only where one follows it."""
    row = None if before is None else before.fetchone()
    return None if row is None else int(row["id"])


def _tell_who(
    connection: Connection, case_id: int, wanted: Annunciate, roster: Roster, now: datetime
) -> None:
    """Write into the timeline who is on duty and told, and why: once for the same people in one day."""
    if roster.duty is None:
        return
    for told in decide_told(wanted, roster):
        if told.ground is Ground.WHOLE_ROLE:
            continue
        names = "、".join(roster.duty.people[person].name for person in told.people)
        people = ",".join(str(person) for person in told.people)
        args = {"role": told.role, "people": names, "ground": told.ground.value}
        fact = f"duty:{case_id}:{told.role}:{people}:{told.ground.value}:{wanted.not_before.date()}"
        connection.execute(
            _DUTY["tell_on_duty"], {"case_id": case_id, "now": now, "args": Jsonb(args), "fact": fact}
        )


def write_single(
    connection: Connection,
    *,
    step: str,
    address: Address,
    key: str,
    template: str,
    now: datetime,
    args: Mapping[str, Any] | None = None,
    case_id: int | None = None,
    not_before: datetime | None = None,
) -> int | None:
    """Write one message that belongs to no annunciation; return its id, None where its key is known already."""
    row = connection.execute(
        _SQL["insert_message"],
        {
            "case_id": case_id, "step": step, "person": address.recipient, "channel": address.channel,
            "repetition": 0, "key": key, "template": template, "args": Jsonb(dict(args or {})), "now": now,
            "not_before": not_before or now, "lane": int(lane_of(step)), "pressing": 1, "address_id": address.id or None,
            "follows_id": None, "token": make_token() if address.id else None, "language": address.language,
            "path": "/" if case_id is None else None,
        },
    ).fetchone()  # fmt: skip
    notify(connection, "kaimen_outbox")
    return None if row is None else int(row["id"])


def supersede_messages(connection: Connection, case_id: int, *, keep_step: str = "") -> None:
    """Send nothing more of what is planned for a case; chains of ``keep_step`` go on."""
    connection.execute(_SQL["supersede_messages"], {"case_id": case_id, "keep_step": keep_step})


def find_by_token(connection: Connection, token: str) -> dict[str, Any] | None:
    """Return the message that a recipient's own page stands for; None where there is none."""
    return connection.execute(_SQL["message_by_token"], {"token": token}).fetchone()


def take_receipt(
    connection: Connection,
    *,
    channel: str,
    key: str,
    provider_id: str,
    state: ReceiptState,
    now: datetime,
    detail: str = "",
) -> bool:
    """Take what a provider tells afterwards, in whatever order; say whether it spoke of a message of ours.

    A failure brings the recipient's next channel forward; a confirmation ends the chain.
    """
    args = {"channel": channel, "key": key, "provider_id": provider_id}
    row = connection.execute(_SQL["message_by_receipt"], args).fetchone()
    if row is None:
        return False
    apply_receipt(connection, row["id"], state=state, now=now, detail=detail)
    return True


def apply_receipt(
    connection: Connection, outbox_id: int, *, state: ReceiptState, now: datetime, detail: str = ""
) -> None:
    """Write a receipt of a message and what follows from it."""
    values = {"outbox_id": outbox_id, "at": now, "state": state, "detail": detail[:DETAIL_LENGTH_MAX]}
    connection.execute(_SQL["insert_receipt"], values)
    new = "failed_permanent" if state == "failed" else state
    connection.execute(
        _SQL["set_message_state"], {"id": outbox_id, "state": new, "from_states": list(_BEFORE[state])}
    )
    if state == "failed":
        bring_forward(connection, outbox_id, now)
    elif state == "confirmed":
        connection.execute(_SQL["end_chain"], {"id": outbox_id})


def bring_forward(connection: Connection, outbox_id: int, now: datetime) -> bool:
    """Use the recipient's next channel at once; say whether there is one."""
    brought = connection.execute(_SQL["bring_forward"], {"id": outbox_id, "now": now}).fetchall()
    if brought:
        notify(connection, "kaimen_outbox")
    return bool(brought)


def tell_people(
    connection: Connection, *, case_id: int, outbox_id: int, words: str, channel: str, now: datetime
) -> None:
    """Write into a case's timeline that a message failed for good, or that nobody knows; once for each."""
    connection.execute(
        _SQL["tell_of_message"],
        {
            "case_id": case_id, "at": now, "words": words, "args": Jsonb({"channel": channel}),
            "fact": f"message:{outbox_id}:{words}",
        },
    )  # fmt: skip
    notify(connection, "kaimen_cases", str(case_id))
