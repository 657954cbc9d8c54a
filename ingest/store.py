"""What one turn of a shard group concluded enters; one transaction leaves, fenced by the lease's token.

What an event's row holds is ``event_rows``, a fact's ``fact_rows``; the registry is read in ``book``.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from ingest import metrics
from ingest.admission import PAYLOAD_KEPT_BYTES_MAX, AdmittedEvent, Refused
from ingest.arrays.rows import StoredArray
from ingest.detector import (
    BootBase,
    CoveragePoint,
    HouseholdView,
)
from ingest.detector.state import AWAKE_MAX
from ingest.faults import pass_point
from ingest.groups.leases import Lease, LeaseLostError
from ingest.groups.losses import Loss
from ingest.restart.rows import Snapshot, write_snapshots
from ingest.rows.appending import Appending, Kept
from ingest.rows.book import Book
from ingest.rows.event_rows import CLAMP_PAST_MS, StoredEvent, boot_number, storable
from ingest.rows.fact_rows import StoredFact, write_facts
from ingest.signals.store import DoorFacts, DoorTurn, Heard, HeardArray, Register
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, notify, queries
from kaimen.fence import KNOWN_FENCE, behind_the_fence
from kaimen.policy import DAY_MS, PAST_MAX_MS
from kaimen.vocabulary import (
    QuarantineReason,
)

_SQL = queries("ingest")

#: Refused messages kept at most; heartbeats of unknown devices stop being kept at half of it.
QUARANTINE_ROWS_MAX = 500_000
#: Above this many changed households readers are told to look again instead of being told each.
NOTIFIED_STATES_MAX = 20

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class DeviceNote:
    """What a device said of itself: ``status`` from a birth or last will, None from a heartbeat."""

    device_id: str
    status: str | None
    heard_ms: int | None
    facts: dict[str, Any]


@dataclass(slots=True)
class Turn:
    """Everything one turn wants written; ``now_ms`` is its clock reading, ``pulse_ms`` how far it got."""

    now_ms: int
    pulse_ms: int | None
    events: list[StoredEvent] = field(default_factory=list)
    #: Events that came in arrays and are as plain as can be; they are in no other list.
    arrays: list[StoredArray] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)
    facts: list[StoredFact] = field(default_factory=list)
    points: list[CoveragePoint] = field(default_factory=list)
    boots: list[BootBase] = field(default_factory=list)
    views: list[HouseholdView] = field(default_factory=list)
    notes: list[DeviceNote] = field(default_factory=list)
    replayed_ids: list[int] = field(default_factory=list)
    refused_again_ids: list[int] = field(default_factory=list)
    first_heard: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    #: Heartbeats that stand nowhere in time, by device; written with the next turn that has news or progress.
    implausible: dict[str, int] = field(default_factory=dict)
    #: Whether how far the service is, is written too: one row for all groups, which they would take turns at.
    tells_progress: bool = True
    #: What goes along of the detector's own state, which blocks of it hold no longer, and whether it was written.
    snapshots: list[Snapshot] = field(default_factory=list)
    snapshots_dropped: list[int] = field(default_factory=list)
    snapshots_written: bool = False
    epoch: int = 0

    @property
    def event_count(self) -> int:
        """How many events there are to append, the implausible among them."""
        return len(self.events) + sum(map(len, self.arrays))

    def all_events(self) -> list[StoredEvent]:
        """Return every event by itself."""
        return [*self.events, *(event for array in self.arrays for event in array.stored_events())]

    def has_news(self) -> bool:
        """Say whether there is anything beside progress to write."""
        return bool(
            self.events or self.arrays or self.refusals or self.facts or self.points or self.boots or self.views or self.notes
            or self.replayed_ids or self.refused_again_ids or self.first_heard or self.losses
        )  # fmt: skip


class DataRefusedError(RuntimeError):
    """The database will not take these values, however often they are offered."""


@contextlib.contextmanager
def _owning_errors() -> Iterator[None]:
    """Tell a refusal of the data from failures of the world, which pass through."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise DataRefusedError(f"{type(error).__name__}: {error.diag.message_primary or error}") from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise DataRefusedError(f"{type(error).__name__}: {error}") from error


class Store:
    """Writes the turns of one shard group; keeps only what saves asking the database twice."""

    def __init__(self, *, awake_max: int = AWAKE_MAX) -> None:
        self.kept = Kept()
        self.doors = DoorFacts(awake_max=awake_max)
        self._quarantined: int | None = None

    def prepare(
        self, connection: Connection, book: Book, *, now_ms: int, token: int, alive: Callable[[], None]
    ) -> None:
        """Read what the first turn after a start needs: at a million homes more than a turn has time for."""
        self.doors.prepare(connection, _register(book), now_ms=now_ms, token=token, alive=alive)

    def write(self, connection: Connection, lease: Lease, book: Book, turn: Turn) -> int:
        """Write one turn in one transaction and return its batch number; raises as ``begin``."""
        with self.begin(connection, lease, book, now_ms=turn.now_ms) as writing:
            return writing.finish(turn)

    @contextlib.contextmanager
    def begin(self, connection: Connection, lease: Lease, book: Book, *, now_ms: int) -> Iterator[Writing]:
        """Write one turn in one transaction, which begins with its first rows and is committed at the end of the context.

        Raises
        ------
        LeaseLostError
            If the token is no longer the lease's; nothing was written.
        DataRefusedError
            If the database refuses a value for good; nothing was written.
        SchemaFencedError
            If the database was migrated past this program; nothing was written, and nothing ever will be.
        psycopg.OperationalError
            If the world failed; nothing was acknowledged, and perhaps it was written after all.
        """
        try:
            with behind_the_fence(), _owning_errors(), contextlib.ExitStack() as opened:
                yield Writing(self, opened, connection, lease, book, now_ms)
        except BaseException:
            self._forget_what_was_cached()
            self.doors.forget()
            raise

    def find_refused(
        self, connection: Connection, book: Book, events: Sequence[StoredEvent]
    ) -> list[StoredEvent]:
        """Return the events that the database will not take, by trying ever smaller parts and rolling back."""
        if not events:
            return []
        try:
            with (
                _owning_errors(),
                connection.transaction(force_rollback=True),
                Appending(connection, book, self.kept, recorded_ms=events[0].message_ms, batch=0) as tried,
            ):
                tried.add(events, ())
                tried.end()
        except DataRefusedError:
            self._forget_what_was_cached()
            if len(events) == 1:
                return list(events)
            half = len(events) // 2
            return [
                *self.find_refused(connection, book, events[:half]),
                *self.find_refused(connection, book, events[half:]),
            ]
        finally:
            self.kept.forget_days()
        return []

    def _forget_what_was_cached(self) -> None:
        self.kept.forget_days()
        self._quarantined = None

    # -- refusals -------------------------------------------------------------------------------------------

    def file_refusals(self, connection: Connection, turn: Turn) -> set[tuple[str, bytes]]:
        """File each refusal once; return which implausible events had not been filed before."""
        folded: dict[tuple[str, bytes, QuarantineReason], tuple[Refused, int]] = {}
        for refused in turn.refusals:
            key = (refused.topic, hashlib.sha256(refused.payload).digest(), refused.reason)
            first, copies = folded.get(key, (refused, 0))
            folded[key] = (first, copies + 1)
        new: set[tuple[str, bytes]] = set()
        for (topic, digest, reason), (refused, copies) in folded.items():
            if not self._has_room(connection, refused):
                metrics.QUARANTINE_OVERFLOW.labels(reason.value).inc(copies)
                continue
            row = connection.execute(
                _SQL["file_refusal"],
                {
                    "received_at": storable(refused.received_ms, turn.now_ms),
                    "topic": topic,
                    "channel": refused.channel,
                    "device_id": refused.device_id,
                    "payload": refused.payload[:PAYLOAD_KEPT_BYTES_MAX],
                    "payload_bytes": len(refused.payload),
                    "payload_sha256": digest,
                    "reason": reason.value,
                    "detail": refused.detail,
                    "copies": copies,
                },
            ).fetchone()
            assert row is not None
            if row["is_new"]:
                self._quarantined = (self._quarantined or 0) + 1
                if reason is QuarantineReason.IMPLAUSIBLE_TIME:
                    new.add((topic, digest))
        return new

    def _has_room(self, connection: Connection, refused: Refused) -> bool:
        if self._quarantined is None:
            row = connection.execute(_SQL["count_quarantine"]).fetchone()
            assert row is not None
            self._quarantined = row["rows"]
        assert self._quarantined is not None
        rows_max = QUARANTINE_ROWS_MAX // 2 if refused.event_count == 0 else QUARANTINE_ROWS_MAX
        return self._quarantined < rows_max


class Writing:
    """One turn on its way into the database. No I/O before its first rows."""

    def __init__(
        self,
        store: Store,
        opened: contextlib.ExitStack,
        connection: Connection,
        lease: Lease,
        book: Book,
        now_ms: int,
    ) -> None:
        self._store, self._opened, self._connection = store, opened, connection
        self._lease, self._book, self._now_ms = lease, book, now_ms
        self._batch = -1
        self._appending: Appending | None = None
        self._arrays_taken = self._events_taken = 0
        self._waits = False
        self._implausible: list[StoredEvent] = []

    def take(self, turn: Turn) -> None:
        """Send the rows that a turn has by now, for the database to take while the turn goes on.

        The turn must be one that ends with a pulse at the instant given to ``begin``. From the first row of a day that
        may have no partition on everything waits for ``finish``: whoever makes one keeps all readers out until the
        commit, and what is judged may have to read.
        """
        events, arrays = turn.events[self._events_taken :], turn.arrays[self._arrays_taken :]
        if not self._waits and self._store.kept.has_room_for(events, arrays):
            self._send(turn, self._begun(self._now_ms, "events"))
        else:
            self._waits = True

    def finish(self, turn: Turn) -> int:
        """Write whatever was not sent yet; return the batch number."""
        load = "events" if turn.event_count else ""
        appending = self._begun(turn.pulse_ms, load)
        self._send(turn, appending)
        appending.end()
        self._append_implausible(turn, appending)
        pass_point("events_copied", load)
        self._write_the_rest(turn, load)
        return self._batch

    def _begun(self, pulse_ms: int | None, load: str) -> Appending:
        if self._appending is None:
            pass_point("before_transaction", load)
            self._opened.enter_context(self._connection.transaction())
            self._batch = open_turn(self._connection, self._lease, pulse_ms)
            pass_point("lease_locked", load)
            self._appending = self._opened.enter_context(
                Appending(
                    self._connection,
                    self._book,
                    self._store.kept,
                    recorded_ms=self._now_ms,
                    batch=self._batch,
                )
            )
        return self._appending

    def _send(self, turn: Turn, appending: Appending) -> None:
        events, arrays = turn.events[self._events_taken :], turn.arrays[self._arrays_taken :]
        self._events_taken, self._arrays_taken = len(turn.events), len(turn.arrays)
        self._implausible += [event for event in events if not event.plausible]
        appending.add([event for event in events if event.plausible], arrays)

    def _append_implausible(self, turn: Turn, appending: Appending) -> None:
        """File what is refused. An implausible event is no part of the ledger: its copies end at its quarantine row."""
        new = self._store.file_refusals(self._connection, turn)
        kept = []
        for event in self._implausible:
            key = _implausible_key(event.admitted)
            if key in new:
                new.remove(key)
                kept.append(event)
        appending.add(kept, ())
        appending.end()

    def _write_the_rest(self, turn: Turn, load: str) -> None:
        connection, lease, book = self._connection, self._lease, self._book
        _write_coverage(connection, book, turn, self._batch)
        pass_point("coverage_written", load)
        _write_notes(connection, book, turn)
        _write_counts(connection, book, turn)
        write_facts(connection, turn.facts)
        pass_point("facts_written", load)
        _write_views(connection, turn.views)
        self._store.doors.write(connection, _register(book), _door_turn(turn), token=lease.token)
        _mark_replayed(connection, turn)
        if turn.pulse_ms is not None and turn.tells_progress:
            connection.execute(_SQL["write_progress"], {"groups": lease.groups})
        turn.snapshots_written = write_snapshots(
            connection, lease, self._batch, snapshots=turn.snapshots, dropped=turn.snapshots_dropped,
            epoch=turn.epoch, now_ms=turn.now_ms,
        )  # fmt: skip
        pass_point("snapshot_written", load)
        pass_point("before_commit", load)


def _register(book: Book) -> Register:
    return Register(book.device_no, book.household_no, book.registry.credentials, book.sites)


def _door_turn(turn: Turn) -> DoorTurn:
    return DoorTurn(
        turn.now_ms,
        [
            Heard(event.admitted.device_id, event.admitted.event, event.instant_ms)
            for event in turn.events
            if event.plausible
        ],
        [HeardArray(array.device_id, array.read.boot, array.read.events) for array in turn.arrays],
        {boot.device_id: boot.newest_received_ms for boot in turn.boots},
        {view.household_id: view.known for view in turn.views},
        {
            note.device_id: (note.heard_ms, note.facts["battery"])
            for note in turn.notes
            if note.heard_ms is not None and "battery" in note.facts
        },
    )


def open_turn(connection: Connection, lease: Lease, pulse_ms: int | None) -> int:
    """Fence a transaction that was just begun: lock the lease's row, and return the number of this batch."""
    row = connection.execute(
        _SQL["open_turn"],
        {
            "group_no": lease.group_no,
            "token": lease.token,
            "expires_at": lease.expires_at(),
            "transaction_ms": str(lease.transaction_ms),
            "pulse_at": None if pulse_ms is None else as_datetime(pulse_ms),
            "fence": KNOWN_FENCE,
        },
    ).fetchone()
    if row is None:
        raise LeaseLostError(f"group {lease.group_no}: token {lease.token} is no longer the lease's")
    return int(row["batch"])


def implausible_payload(admitted: AdmittedEvent) -> bytes:
    """Return the bytes under which an implausible event is filed: the event alone, as it travels."""
    from kaimen.wire import format_batch, format_event

    if admitted.topic.endswith("/evb"):
        return format_batch([admitted.event])
    return format_event(admitted.event)


def _implausible_key(admitted: AdmittedEvent) -> tuple[str, bytes]:
    return admitted.topic, hashlib.sha256(implausible_payload(admitted)).digest()


# -- coverage, devices, households ------------------------------------------------------------------------------


def _write_coverage(connection: Connection, book: Book, turn: Turn, batch: int) -> None:
    if turn.points:
        rows = [
            (
                book.device_no[p.device_id], boot_number(p.boot), p.seq_last, p.opens,
                p.first_up_ms, p.first_ts_ms, p.first_received_ms, p.first_clock,
                p.last_up_ms, p.last_ts_ms, p.last_received_ms, p.last_clock, p.by_check_in,
            )
            for p in turn.points
        ]  # fmt: skip
        connection.execute(_SQL["write_points"], [batch, *_columns(rows)])
    if turn.boots:
        bases = [
            (
                book.device_no[b.device_id], boot_number(b.boot), b.ntp_up_ms, b.ntp_ts_ms, b.ntp_base_min_ms,
                b.ntp_base_max_ms, b.received_base_ms, b.rtc_base_ms, b.newest_received_ms,
            )
            for b in turn.boots
        ]  # fmt: skip
        connection.execute(_SQL["write_boots"], _columns(bases))


def _columns(rows: Sequence[tuple[int | str | bool | None, ...]]) -> list[str]:
    """Return rows of numbers and plain words as array literals, column by column."""
    return [
        "{" + ",".join(["NULL" if value is None else str(value) for value in column]) + "}"
        for column in zip(*rows, strict=True)
    ]


def _write_notes(connection: Connection, book: Book, turn: Turn) -> None:
    for statement, notes in (
        ("write_device_status", [note for note in turn.notes if note.status is not None]),
        ("write_vitals", [note for note in turn.notes if note.status is None]),
    ):
        if notes:
            connection.cursor().executemany(
                _SQL[statement],
                [
                    {
                        "device_id": note.device_id,
                        "status": note.status,
                        "heard_at": None if note.heard_ms is None else storable(note.heard_ms, turn.now_ms),
                        "facts": Jsonb(note.facts),
                        "now": as_datetime(turn.now_ms),
                    }
                    for note in notes
                ],
            )


def _write_counts(connection: Connection, book: Book, turn: Turn) -> None:
    """Write what was heard for the first time, what is lost for good, and what stands nowhere in time."""
    statements: list[tuple[str, list[dict[str, Any]]]] = [
        (
            "write_first_heard",
            [
                {"device_id": device_id, "heard_at": storable(heard_ms, turn.now_ms)}
                for device_id, heard_ms in turn.first_heard.items()
            ],
        ),
        (
            "count_lost",
            [
                {
                    "device_no": book.device_no[loss.device_id],
                    "boot": boot_number(loss.boot),
                    "first_seq": loss.first_seq,
                    "since": as_datetime(turn.now_ms - CLAMP_PAST_MS),
                    "now": as_datetime(turn.now_ms),
                }
                for loss in turn.losses
            ],
        ),
        (
            "count_implausible",
            [{"device_id": device_id, "count": count} for device_id, count in turn.implausible.items()],
        ),
    ]
    for name, rows in statements:
        if rows:
            connection.cursor().executemany(_SQL[name], rows)


def _write_views(connection: Connection, views: Sequence[HouseholdView]) -> None:
    """Write each household's newest view, all in one statement."""
    if not views:
        return
    newest = {view.household_id: view for view in views}
    connection.execute(_SQL["write_views"], {"views": _encoder.encode(list(newest.values())).decode()})
    if len(newest) > NOTIFIED_STATES_MAX:
        notify(connection, "kaimen_states")
    else:
        connection.execute(_SQL["notify_states"], [list(newest)])


# -- quarantine -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """A quarantined message that is to be taken again, as if just handled."""

    row_id: int
    topic: str
    payload: bytes
    received_ms: int
    reason: QuarantineReason
    whole: bool


def load_replayable(connection: Connection, devices: Iterable[str], *, rows_max: int) -> list[Waiting]:
    """Read what is to be taken again: of these devices if they were unknown, and what a person asked for."""
    rows = connection.execute(
        _SQL["load_replayable"], {"devices": list(devices), "rows_max": rows_max}
    ).fetchall()
    return [
        Waiting(
            row["id"],
            row["topic"],
            bytes(row["payload"]),
            as_ms(row["received_at"]),
            QuarantineReason(row["reason"]),
            row["payload_bytes"] == len(row["payload"]),
        )
        for row in rows
    ]


def load_waiting_devices(connection: Connection) -> list[str]:
    """Return the devices of which messages wait for their registration."""
    return [row["device_id"] for row in connection.execute(_SQL["load_waiting_devices"]).fetchall()]


def replay_quarantined(connection: Connection, ids: Sequence[int]) -> int:
    """Ask the running ingest to take these quarantined messages again; return how many it will.

    The messages go the way of every message, through the worker that holds the group's lease, as soon as this
    transaction commits. One that is refused again for the same reason stays; one that was cut when it was filed
    cannot be replayed and is not counted.
    """
    asked = connection.execute(_SQL["ask_replay"], {"ids": list(ids)}).fetchall()
    notify(connection, "kaimen_registry")
    return len(asked)


def _mark_replayed(connection: Connection, turn: Turn) -> None:
    if turn.replayed_ids:
        connection.execute(_SQL["mark_replayed"], {"ids": turn.replayed_ids, "now": as_datetime(turn.now_ms)})
        metrics.REPLAYED.inc(len(turn.replayed_ids))
    if turn.refused_again_ids:
        connection.execute(_SQL["mark_refused_again"], {"ids": turn.refused_again_ids})


def forget_old_coverage(connection: Connection, *, now_ms: int) -> None:
    """Delete folded heartbeats and boots that are wholly older than the protocol's memory."""
    before = {"before_ms": now_ms - PAST_MAX_MS - DAY_MS}
    with connection.transaction():
        connection.execute(_SQL["forget_points"], before)
        connection.execute(_SQL["forget_boots"], before)


def load_pulse(connection: Connection, group_no: int) -> int | None:
    """Return the community time of the group's newest committed pulse."""
    return load_reached(connection, group_no)[0]


def load_reached(connection: Connection, group_no: int) -> tuple[int | None, int]:
    """Return the community time of the group's newest committed pulse, and the number of its newest turn."""
    row = connection.execute(_SQL["load_pulse"], {"group_no": group_no}).fetchone()
    if row is None:
        return None, 0
    return None if row["pulse_at"] is None else as_ms(row["pulse_at"]), row["batch"]
