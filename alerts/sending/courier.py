"""The loop that sends: outbox rows enter, one attempt at a time goes to a channel, delivery rows leave.

A row is leased, sent, and then its result written. Killed between the last two, the lease runs out in wall time and
the row is taken again with the same key: nothing is lost, and at most one copy too many arrives; where the provider
can be asked for the key, not even that. The life lane goes first, keeps a part of every provider's budget, and has
couriers of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import psycopg

from alerts import metrics
from alerts.channels import (
    AfterDoubt,
    Channel,
    DeliveryError,
    Finds,
    Lane,
    Limit,
    Message,
    Receipt,
    traits_of,
)
from alerts.faults import pass_point
from alerts.sending.addresses import AddressBook, AddressKeyError
from alerts.sending.delivery import (
    ATTEMPTS_MAX,
    DETAIL_LENGTH_MAX,
    Result,
    back_off,
    judge_failure,
    permitted,
    person_limits,
)
from alerts.sending.in_place import deliver_in_place
from alerts.sending.messages import case_link, render_texts, token_link
from alerts.sending.outbox import ReceiptState, apply_receipt, bring_forward, tell_people
from kaimen import fence
from kaimen.clock import Clock, SystemClock, as_datetime
from kaimen.database import Connection, Pool, queries, transaction, why_away
from kaimen.logs import get_logger

__all__ = ["ATTEMPTS_MAX", "LEASE", "Courier", "Result", "back_off", "judge_failure"]

log = get_logger()

_SQL = queries("alerts.sending", "outbox.sql")

#: Longer than any channel may take that does not say so itself.
LEASE = timedelta(seconds=60)
_LEASE_MARGIN = timedelta(seconds=30)
_PATIENCE_S = 2.0
#: So many messages in a row may turn out to be too early for their address before the courier looks elsewhere.
_HELD_BACK_MAX = 50


@dataclass(slots=True)
class Courier:
    """One sender; several share the outbox, in one process and in many."""

    pool: Pool
    clock: Clock
    channels: Mapping[str, Channel]
    name: str
    public_url: str
    wall: Clock = field(default_factory=SystemClock)
    wake: threading.Event = field(default_factory=threading.Event)
    lane_max: Lane = Lane.DIGEST
    addresses: AddressBook = field(default_factory=AddressBook)

    def send_one(self) -> bool:
        """Send the most pressing message that is due; say whether there was one."""
        return bool(self.send_some(limit=1))

    def send_some(self, *, limit: int | None = None) -> int:
        """Send the most pressing messages that are due, as many as the channels let be taken together; return how many."""
        limit = self._batch_max() if limit is None else limit
        if standing := self._deliver_in_place(limit):
            return standing
        rows = self._lease(limit)
        if not rows:
            return 0
        done = []
        for row in rows:
            pass_point("courier_before_send", row["channel"])
            done.append((row, self._attempt(row)))
            pass_point("courier_sent", row["channel"])
        self._finish(done)
        for row, result in done:
            pass_point("courier_recorded", row["channel"])
            metrics.DELIVERIES.labels(row["channel"], result.result).inc()
        return len(done)

    def _deliver_in_place(self, limit: int) -> int:
        """Deliver what stands where it was written; a courier of several channels takes all of them in their order."""
        if len(self.channels) != 1:
            return 0
        ((name, channel),) = self.channels.items()
        if not traits_of(channel).in_place:
            return 0
        count = deliver_in_place(
            self.pool, channel=name, lane_max=int(self.lane_max), limit=limit,
            now=as_datetime(self.clock.now_ms()), wall=as_datetime(self.wall.now_ms()),
        )  # fmt: skip
        if count:
            metrics.DELIVERIES.labels(name, "delivered").inc(count)
        return count

    def _batch_max(self) -> int:
        """Return how many may be taken at once: one where a provider's bounds count every single message."""
        traits = [traits_of(channel) for channel in self.channels.values()]
        return min((1 if each.limits or each.person_limits else each.batch_max for each in traits), default=1)

    # --- taking messages ------------------------------------------------------------------------------------------

    def _lease(self, limit: int) -> list[dict[str, Any]]:
        wall = as_datetime(self.wall.now_ms())
        now = as_datetime(self.clock.now_ms())
        with transaction(self.pool) as connection:
            fence.enter(connection)
            all_lanes, life_only = self._open_budgets(connection, wall)
            for _ in range(_HELD_BACK_MAX):
                found = self._lease_next(connection, limit, all_lanes, life_only, now, wall)
                if not found:
                    self._end_lost(connection, now, wall)
                    return []
                rows = [row for row in found if not self._hold_back(connection, row, wall)]
                for row in rows:
                    self._note_taken(connection, row, now)
                if rows:
                    return rows
        return []

    def _note_taken(self, connection: Connection, row: Mapping[str, Any], now: datetime) -> None:
        if row["found_as"] == "leased":
            self._note_lost(connection, row["id"], row["attempts_before"], now)
            pass_point("courier_lost_noted", row["channel"])
        pass_point("courier_leased", row["channel"])

    def _lease_next(
        self,
        connection: Connection,
        limit: int,
        all_lanes: list[str],
        life_only: list[str],
        now: datetime,
        wall: datetime,
    ) -> list[dict[str, Any]]:
        longest_s = max((traits_of(channel).takes_at_most_s for channel in self.channels.values()), default=0)
        args = {
            "owner": self.name,
            # The last of a batch has waited for all the others.
            "lease_until": wall + max(LEASE, timedelta(seconds=longest_s * limit) + _LEASE_MARGIN),
            "attempts_max": ATTEMPTS_MAX,
            "channels": all_lanes,
            "life_channels": life_only,
            "lane_max": int(self.lane_max),
            "now": now,
            "wall": wall,
            "limit": limit,
        }
        rows = connection.execute(_SQL["lease_messages"], args).fetchall()
        return sorted(rows, key=lambda row: (row["lane"], row["pressing"], row["not_before"], row["id"]))

    def _open_budgets(self, connection: Connection, wall: datetime) -> tuple[list[str], list[str]]:
        """Return the channels that may send for every lane, and those that may only for the life lane."""
        paused = {row["channel"] for row in connection.execute(_SQL["channel_pauses"], {"wall": wall})}
        all_lanes, life_only = [], []
        for name, channel in sorted(self.channels.items()):
            if name in paused:
                continue
            limits = traits_of(channel).limits
            if limits:
                # Held until the lease commits, so that two couriers never count the same place twice.
                connection.execute(_SQL["lock_channel"], {"channel": name})
            used = [(limit, self._used(connection, name, limit, wall)) for limit in limits]
            if all(count < permitted(limit, lane=Lane.ROUTINE, shared=True) for limit, count in used):
                all_lanes.append(name)
            elif all(count < limit.count for limit, count in used):
                life_only.append(name)
        return all_lanes, life_only

    def _used(self, connection: Connection, name: str, limit: Limit, wall: datetime) -> int:
        args = {"channel": name, "since": wall - timedelta(seconds=limit.per_s)}
        row = connection.execute(_SQL["count_sendings"], args).fetchone()
        assert row is not None
        return int(row["count"])

    def _hold_back(self, connection: Connection, row: Mapping[str, Any], wall: datetime) -> bool:
        """Put a message back that its address cannot be sent yet; otherwise note the attempt."""
        name, traits = row["channel"], traits_of(self.channels[row["channel"]])
        address = "" if row["address_id"] is None else str(row["address_id"])
        if address:
            for limit in person_limits(traits, Lane(row["lane"])):
                args = {"channel": name, "address": address, "since": wall - timedelta(seconds=limit.per_s)}
                used = connection.execute(_SQL["count_address_sendings"], args).fetchone()
                if used and used["count"] >= limit.count:
                    self._put_back(connection, row, used["oldest"] + timedelta(seconds=limit.per_s))
                    metrics.HELD_BACK.labels(name).inc()
                    return True
        if address or traits.limits:
            connection.execute(_SQL["insert_sending"], {"channel": name, "address": address, "at": wall})
        return False

    def _put_back(self, connection: Connection, row: Mapping[str, Any], retry_at: datetime) -> None:
        # A lease that ran out is not as it was: whether it arrived, nobody knows.
        state = "uncertain" if row["found_as"] == "leased" else row["found_as"]
        args = {"id": row["id"], "fence": row["fence"], "state": state, "retry_at": retry_at}
        connection.execute(_SQL["put_back"], args)

    def _end_lost(self, connection: Connection, now: datetime, wall: datetime) -> None:
        args = {"wall": wall, "attempts_max": ATTEMPTS_MAX}
        for row in connection.execute(_SQL["end_lost_messages"], args).fetchall():
            self._note_lost(connection, row["id"], row["attempts"], now)
            self._give_up(connection, row, "delivery_uncertain", now)

    def _note_lost(self, connection: Connection, outbox_id: int, attempt: int, now: datetime) -> None:
        lost = Result("uncertain", "uncertain", "the sender was lost before it wrote the result")
        _write_deliveries(connection, [(outbox_id, attempt, lost)], now)

    # --- sending it -----------------------------------------------------------------------------------------------

    def _attempt(self, row: Mapping[str, Any]) -> Result:
        wall_ms = self.wall.now_ms()
        channel = self.channels[row["channel"]]
        try:
            message = self._message(row, wall_ms)
            receipt = self._find(channel, row, message) or channel.deliver(message)
        except DeliveryError as error:
            failure = error
        except AddressKeyError as error:
            failure = DeliveryError(str(error), permanent=False)
        except Exception as error:  # noqa: BLE001 - one broken message or channel must not stop the others
            log.error("a channel failed", channel=row["channel"], error=type(error).__name__)
            failure = DeliveryError(type(error).__name__, permanent=False, uncertain=True)
        else:
            return Result(
                receipt.state, receipt.state, receipt.detail[:DETAIL_LENGTH_MAX], receipt.provider_id
            )
        return judge_failure(
            failure, attempts=row["attempts"], wall=as_datetime(wall_ms), traits=traits_of(channel),
            lane=Lane(row["lane"]), has_next=row["has_next"],
        )  # fmt: skip

    def _message(self, row: Mapping[str, Any], wall_ms: int) -> Message:
        if row["address_ended_at"] is not None:
            raise DeliveryError("the address was taken back", permanent=True)
        link = _link(self.public_url, row)
        number = row["number"] or str(row["args"].get("number", ""))
        address = "" if row["address"] is None else self.addresses.open(row["channel"], row["address"])
        return Message(
            key=row["idempotency_key"],
            person=row["person"],
            number=number,
            link=link,
            texts=render_texts(row["template"], number=number, link=link, channel=row["channel"]),
            sent_s=wall_ms // 1000,
            address=address,
            language=row["language"],
            lane=Lane(row["lane"]),
            template=row["template"],
            provider_id=row["provider_id"] or "",
        )

    def _find(self, channel: Channel, row: Mapping[str, Any], message: Message) -> Receipt | None:
        """Ask the provider for the key before anything is sent a second time, where it can be asked."""
        in_doubt = row["found_as"] in ("uncertain", "leased")
        if in_doubt and traits_of(channel).after_doubt is AfterDoubt.ASK and isinstance(channel, Finds):
            found = channel.find(message)
            pass_point("courier_asked", row["channel"])
            return found
        return None

    # --- writing what came of it ----------------------------------------------------------------------------------

    def _finish(self, done: Sequence[tuple[Mapping[str, Any], Result]]) -> None:
        now, wall = as_datetime(self.clock.now_ms()), as_datetime(self.wall.now_ms())
        args = {
            "ids": [row["id"] for row, _ in done],
            "fences": [row["fence"] for row, _ in done],
            "states": [result.state for _, result in done],
            "retry_ats": [result.retry_at for _, result in done],
            "provider_ids": [result.provider_id for _, result in done],
        }
        with transaction(self.pool) as connection:
            fence.enter(connection)
            # What is missing here another sender took over, or a person has confirmed it meanwhile. The attempt was
            # made all the same.
            ours = {row["id"] for row in connection.execute(_SQL["finish_messages"], args)}
            for row, _ in done:
                pass_point("courier_recording", row["channel"])
            _write_deliveries(connection, [(row["id"], row["attempts"], result) for row, result in done], now)
            for row, result in done:
                if row["id"] in ours:
                    self._follow(connection, row, result, now, wall)
            # Last: every courier of a channel writes this row.
            _write_channel_states(connection, done, wall)

    def _follow(
        self, connection: Connection, row: Mapping[str, Any], result: Result, now: datetime, wall: datetime
    ) -> None:
        """Do what follows from an attempt that is still ours: the end of a chain, or its next channel."""
        if result.state in ("answered", "confirmed"):
            state: ReceiptState = "confirmed" if result.state == "confirmed" else "answered"
            apply_receipt(connection, row["id"], state=state, now=now)
        if result.frees_next(wall):
            words = "delivery_uncertain" if result.state == "uncertain" else "delivery_failed"
            self._give_up(connection, row, words if result.is_final else "", now)

    def _give_up(self, connection: Connection, row: Mapping[str, Any], words: str, now: datetime) -> None:
        """Use the recipient's next channel; where there is none, or nobody knows, a person is told."""
        has_next = bring_forward(connection, row["id"], now)
        if words and row["case_id"] is not None and (not has_next or words == "delivery_uncertain"):
            tell_people(
                connection, case_id=row["case_id"], outbox_id=row["id"], words=words, channel=row["channel"],
                now=now,
            )  # fmt: skip

    def run(self, stop: threading.Event, *, wait_s: float) -> None:
        """Send until ``stop`` is set; look again when woken or after ``wait_s``."""
        pass_point("courier_start")
        while not stop.is_set():
            try:
                if not self.send_some():
                    self.wake.wait(wait_s)
                    self.wake.clear()
            except psycopg.OperationalError as error:
                metrics.DATABASE_AWAY.inc()
                log.warning("the database is away", error=why_away(error))
                stop.wait(_PATIENCE_S)


def _link(public_url: str, row: Mapping[str, Any]) -> str:
    if row["token"] is not None:
        return token_link(public_url, row["token"])
    if row["case_id"] is not None:
        return case_link(public_url, row["case_id"])
    return f"{public_url.rstrip('/')}{row['path'] or ''}"


_ACCEPTED = ("accepted", "delivered", "answered", "confirmed")


def _write_channel_states(
    connection: Connection, done: Sequence[tuple[Mapping[str, Any], Result]], wall: datetime
) -> None:
    """Write how channels fared, in the order of the attempts; several good ones in a row are one."""
    for (channel, good), group in groupby(
        done, key=lambda one: (one[0]["channel"], one[1].state in _ACCEPTED)
    ):
        if good:
            connection.execute(_SQL["channel_ok"], {"channel": channel, "wall": wall})
            continue
        for _, result in group:
            paused_until = wall + timedelta(seconds=result.pause_s) if result.pause_s else None
            args = {"channel": channel, "wall": wall, "detail": result.detail, "paused_until": paused_until}
            connection.execute(_SQL["channel_refused"], args)


def _write_deliveries(
    connection: Connection, attempts: Sequence[tuple[int, int, Result]], now: datetime
) -> None:
    """Write attempts as (outbox id, number of the attempt, how it ended)."""
    connection.execute(
        _SQL["insert_deliveries"],
        {
            "at": now,
            "outbox_ids": [outbox_id for outbox_id, _, _ in attempts],
            "attempts": [attempt for _, attempt, _ in attempts],
            "results": [result.result for _, _, result in attempts],
            "provider_ids": [result.provider_id for _, _, result in attempts],
            "details": [result.detail for _, _, result in attempts],
        },
    )
