"""Messages that were recorded or simulated enter; the database a running ingest would have left, leaves.

The same admission, detector and store as in the service, without a broker: community time passes with the
messages' receipts, every second of it is pulsed, and transactions are large. It holds the lease meanwhile, so that
it never writes beside a running ingest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from ingest import replay
from ingest.admission import Message
from ingest.arrays.reader import Columns
from ingest.causes import OutageFact
from ingest.groups import leases
from ingest.groups.group_state import GroupState
from ingest.restart.snapshots import Snapshots
from ingest.rows.book import load_book
from ingest.rows.fact_rows import StoredFact
from ingest.rows.unsaved import Coverage
from ingest.store import Store, Turn
from kaimen.database import Connection, connect

MESSAGES_PER_TRANSACTION = 10_000
LEASE_S = 120
#: Never: what was folded is written once, at the end of each transaction.
_FLUSH_MS = 1 << 62


class IngestRunsError(RuntimeError):
    """A worker holds the lease; a backfill beside it would make two histories."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did: events stored, refusals by reason, facts by kind."""

    messages: int
    events: int
    refused: dict[str, int]
    facts: dict[str, int]
    transactions: int


def backfill(
    database_url: str,
    messages: Iterable[tuple[int, str, bytes]],
    *,
    until_ms: int,
    progress: Callable[[int], None] | None = None,
    messages_per_transaction: int | Callable[[int], int] = MESSAGES_PER_TRANSACTION,
) -> BackfillReport:
    """Take messages as if they had been received one after the other, up to ``until_ms``.

    Parameters
    ----------
    messages
        (received_at in UTC milliseconds, topic, payload), ordered by received_at, none after ``until_ms``.
    until_ms
        Community time up to which pulses run.
    progress
        Called after each transaction with the number of messages done so far.
    messages_per_transaction
        How much is decided and written at once: who follows the facts as they come asks for less, perhaps by the
        receipt (in milliseconds) of the first message of a transaction.

    Raises
    ------
    IngestRunsError
        If a worker holds the lease.
    ValueError
        If the messages are not in order.
    """
    with connect(database_url, service="backfill", autocommit=True) as connection:
        leases.provision(connection, 1)
        worker = leases.name_worker("backfill")
        lease = leases.acquire(connection, group_no=0, groups=1, worker=worker, duration_s=LEASE_S)
        if lease is None:
            raise IngestRunsError("stop ingest first: it holds the lease of this database")
        try:
            rows = iter(messages)
            first = next(rows, None)
            start_ms = until_ms if first is None else first[0]
            book = load_book(connection, now_ms=until_ms)
            rebuilt = replay.rebuild(connection, book, now_ms=start_ms)
            coverage = Coverage(_FLUSH_MS)
            pulse_ms = max(start_ms, rebuilt.pulse_ms or 0) // 1000 * 1000
            state = GroupState(
                book,
                rebuilt.detector,
                rebuilt.causes,
                coverage,
                pulse_ms=pulse_ms,
                grace=rebuilt.grace,
                losses=rebuilt.losses,
                loader=rebuilt.loader,
                reader=Columns.reader(),
            )
            snapshots = Snapshots("0", 0)
            snapshots.begin(rebuilt.restart, len(book.device_no))
            writer = _Writer(connection, lease, state, coverage, snapshots)
            for chunk in _chunks(first, rows, start_ms, messages_per_transaction):
                # The second of the last receipt may have more messages: it is pulsed with the next.
                writer.take(chunk, chunk[-1].received_ms - 1)
                if progress is not None:
                    progress(writer.messages)
            writer.take([], until_ms)
        finally:
            leases.release(connection, lease)
    return writer.report()


class _Writer:
    """Applies chunks and writes each in a transaction, counting what went by."""

    def __init__(
        self,
        connection: Connection,
        lease: leases.Lease,
        state: GroupState,
        coverage: Coverage,
        snapshots: Snapshots,
    ) -> None:
        self._snapshots = snapshots
        self.messages = 0
        self._events = 0
        self._transactions = 0
        self._refused: Counter[str] = Counter()
        self._facts: Counter[str] = Counter()
        self._connection = connection
        self._lease = lease
        self._state = state
        self._coverage = coverage
        self._store = Store()

    def take(self, chunk: Sequence[Message], now_ms: int) -> None:
        self._state.apply(chunk, now_ms)
        turn = self._state.draft(now_ms)
        self._coverage.fill(turn, everything=True)
        self._snapshots.draft(self._state, turn)
        self._store.write(self._connection, self._lease, self._state.book, turn)
        self._count(len(chunk), turn)
        self._state.confirm(turn)
        self._snapshots.confirm(self._state, turn)

    def _count(self, messages: int, turn: Turn) -> None:
        self.messages += messages
        self._transactions += 1
        self._events += sum(event.plausible for event in turn.events) + sum(map(len, turn.arrays))
        self._refused.update(refused.reason.value for refused in turn.refusals)
        self._facts.update(type(_bare(fact)).__name__ for fact in turn.facts)

    def report(self) -> BackfillReport:
        return BackfillReport(
            self.messages, self._events, dict(self._refused), dict(self._facts), self._transactions
        )


def _bare(fact: StoredFact) -> object:
    return fact.outage if isinstance(fact, OutageFact) else fact


def _chunks(
    first: tuple[int, str, bytes] | None,
    rows: Iterator[tuple[int, str, bytes]],
    start_ms: int,
    messages_max: int | Callable[[int], int],
) -> Iterator[list[Message]]:
    newest_ms = start_ms
    waiting = chain([] if first is None else [first], rows)
    count = messages_max if isinstance(messages_max, int) else messages_max(start_ms)
    while chunk := [Message(topic, payload, at) for at, topic, payload in islice(waiting, count)]:
        for message in chunk:
            if message.received_ms < newest_ms:
                raise ValueError(
                    f"messages are not in order of receipt: {message.received_ms} after {newest_ms}"
                )
            newest_ms = message.received_ms
        yield chunk
        if not isinstance(messages_max, int):
            count = messages_max(newest_ms)
