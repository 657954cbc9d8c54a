"""Database notifications to browsers: one LISTEN connection enters, one event stream per client leaves.

A client learns the ids it may see; otherwise only that something changed, or nothing at all. What it missed comes
from a ring of the latest changes; what is older than the ring is answered with ``refetch``.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from console.metrics import STREAM_CLIENTS, STREAM_EVENTS, STREAM_OVERFLOWS, STREAM_RECONNECTS
from console.opening import OPEN_CONSOLE, console_key
from kaimen.database import queries
from kaimen.logs import get_logger

HEARTBEAT_S = 15.0
RING_LENGTH = 1_000
QUEUE_LENGTH = 200
CLIENTS_MAX = 2_000
GATHER_S = 0.1
CHANGES_MAX = 100
RECONNECT_S = 1.0
RECONNECT_MAX_S = 30.0

#: Scripts cannot see comment lines: the beat is an event. It has no id, so that nobody resumes from it.
ALIVE = b"event: alive\ndata: {}\n\n"

CHANNELS = {"kaimen_cases": "cases", "kaimen_states": "states"}
log = get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """Something changed: ``kind`` cases, states or demo; without an object it may have been anything."""

    kind: str
    object_id: str | None = None
    community_id: str | None = None
    household_id: str | None = None
    named_for_police: bool = False
    technical: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A change as one client is told it; ``data`` is a JSON object."""

    id: str
    name: str
    data: dict[str, Any]

    def format(self) -> bytes:
        text = json.dumps(self.data, separators=(",", ":"))
        return f"id: {self.id}\nevent: {self.name}\ndata: {text}\n\n".encode()


#: What a client may be told of a change: its data, or None for nothing.
Filter = Callable[[Change], dict[str, Any] | None]


class TooManyClientsError(RuntimeError):
    """The bound on open streams is reached; the page asks again later."""


class Client:
    """One open stream: a bounded queue; a slow reader is told to fetch everything again.

    Parts wait here already formatted, and one future wakes the reader for all of them: with a thousand readers a task
    for each part of each would take longer than the parts themselves.
    """

    def __init__(self, tells: Filter) -> None:
        self.tells = tells
        self._waiting: list[bytes] = []
        self._woken: asyncio.Future[None] | None = None

    def offer(self, part: bytes, refetch: Callable[[], bytes]) -> None:
        if len(self._waiting) >= QUEUE_LENGTH:
            STREAM_OVERFLOWS.inc()
            self._waiting = [refetch()]
        else:
            self._waiting.append(part)
        self.wake()

    def wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def take(self, within_s: float) -> bytes:
        """Return all that waits; nothing where nothing came in time, or where somebody woke the reader to end it."""
        if not self._waiting:
            loop = asyncio.get_running_loop()
            self._woken = woken = loop.create_future()
            timer = loop.call_later(within_s, self.wake)
            try:
                await woken
            finally:
                timer.cancel()
                self._woken = None
        parts, self._waiting = self._waiting, []
        return b"".join(parts)


class Hub:
    """Fan-out of changes to clients, with a ring for those that come back."""

    def __init__(self, *, ring_length: int = RING_LENGTH, clients_max: int = CLIENTS_MAX) -> None:
        self._run = secrets.token_hex(4)
        self._count = 0
        self._ring: deque[tuple[int, Change]] = deque(maxlen=ring_length)
        self._clients: set[Client] = set()
        self._clients_max = clients_max
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """End every stream; called in the event loop."""
        self._stopping.set()
        for client in self._clients:
            client.wake()

    def stop_soon(self) -> None:
        """End every stream; may be called from a signal handler or another thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.stop)

    def started_in(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def publish(self, changes: Iterable[Change]) -> None:
        """Tell every client; called in the event loop."""
        for change in changes:
            self._count += 1
            self._ring.append((self._count, change))
            STREAM_EVENTS.labels(kind=change.kind).inc()
            formatted: dict[tuple[tuple[str, Any], ...], bytes] = {}
            for client in self._clients:
                data = client.tells(change)
                if data is None:
                    continue
                words = tuple(data.items())
                part = formatted.get(words)
                if part is None:
                    part = formatted[words] = Told(self._id(self._count), change.kind, data).format()
                client.offer(part, self._refetch_part)

    def publish_soon(self, changes: Iterable[Change]) -> None:
        """Tell every client; may be called from another thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.publish, list(changes))

    def refetch(self) -> None:
        """Tell every client that changes may have been missed."""
        self._count += 1
        self._ring.clear()
        for client in self._clients:
            client.offer(self._refetch_part(), self._refetch_part)

    def _refetch_part(self) -> bytes:
        return Told(self._id(self._count), "refetch", {}).format()

    def _id(self, count: int) -> str:
        return f"{self._run}-{count}"

    def _tell(self, count: int, change: Change, tells: Filter) -> Told | None:
        data = tells(change)
        return None if data is None else Told(self._id(count), change.kind, data)

    def _missed(self, last_id: str | None, tells: Filter) -> list[Told]:
        """What a returning client has to hear before it is live."""
        here = Told(self._id(self._count), "here", {})
        if last_id is None:
            return [here]
        run, _, count_text = last_id.partition("-")
        count = int(count_text) if count_text.isdecimal() else -1
        oldest = self._ring[0][0] if self._ring else self._count + 1
        if run != self._run or not oldest - 1 <= count <= self._count:
            return [Told(self._id(self._count), "refetch", {})]
        missed = [self._tell(number, change, tells) for number, change in self._ring if number > count]
        return [told for told in missed if told is not None] or [here]

    async def follow(
        self,
        tells: Filter,
        *,
        last_id: str | None,
        stands: Callable[[], Any],
        heartbeat_s: float = HEARTBEAT_S,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the stream of one client until it leaves, its session ends, or the console stops.

        ``stands`` is awaited at every heartbeat, however busy the line is; a false answer ends the stream.
        """
        if len(self._clients) >= self._clients_max:
            raise TooManyClientsError
        client = Client(tells)
        first = self._missed(last_id, tells)
        self._clients.add(client)
        STREAM_CLIENTS.set(len(self._clients))
        try:
            # The first beat tells the page at once that from now on a silent line is a lost one.
            yield b"retry: 2000\n\n" + b"".join(told.format() for told in first) + ALIVE
            beat_at = time.monotonic() + heartbeat_s
            while not self.is_stopping():
                part = await client.take(max(0.0, beat_at - time.monotonic()))
                if self.is_stopping():
                    break
                if part:
                    yield part
                if time.monotonic() < beat_at:
                    continue
                if not await stands():
                    break
                yield ALIVE
                beat_at = time.monotonic() + heartbeat_s
        finally:
            self._clients.discard(client)
            STREAM_CLIENTS.set(len(self._clients))


async def listen(hub: Hub, url: str, secret: bytes) -> None:
    """Follow the database's notifications for as long as the console runs; comes back by itself."""
    delay_s = RECONNECT_S
    while not hub.is_stopping():
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, row_factory=dict_row, application_name="kaimen console stream"
            ) as connection:
                for channel in CHANNELS:
                    await connection.execute(
                        psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel))
                    )
                # Whatever happened while nobody listened is not in the ring.
                hub.refetch()
                delay_s = RECONNECT_S
                await _pass_on(hub, connection, secret)
        except psycopg.OperationalError as error:
            STREAM_RECONNECTS.inc()
            log.warning("the stream lost the database", error=type(error).__name__, delay_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RECONNECT_MAX_S)


async def _pass_on(hub: Hub, connection: psycopg.AsyncConnection[dict[str, Any]], secret: bytes) -> None:
    while not hub.is_stopping():
        heard = [note async for note in connection.notifies(timeout=HEARTBEAT_S, stop_after=1)]
        if not heard:
            await connection.execute("SELECT 1")
            continue
        # A pulse changes many states in one commit: gather what comes together and say each thing once.
        heard += [note async for note in connection.notifies(timeout=GATHER_S)]
        pairs = list(dict.fromkeys((CHANNELS[note.channel], note.payload) for note in heard))
        async with connection.transaction():
            await connection.execute(OPEN_CONSOLE, {"key": console_key(secret)})
            changes = await _describe(connection, pairs)
        hub.publish(changes)


async def _describe(
    connection: psycopg.AsyncConnection[dict[str, Any]], pairs: list[tuple[str, str]]
) -> list[Change]:
    """Add to each id where it belongs, so that each client can be told what it may know."""
    if len(pairs) > CHANGES_MAX:
        return [Change(kind) for kind in dict.fromkeys(kind for kind, _ in pairs)]
    sql = queries("console")
    case_ids = [int(text) for kind, text in pairs if kind == "cases" and text.isdecimal()]
    household_ids = [text for kind, text in pairs if kind == "states" and text]
    changes = [Change(kind) for kind, text in pairs if not text or (kind == "cases" and not text.isdecimal())]
    if case_ids:
        cursor = await connection.execute(sql["stream_cases"], {"ids": case_ids})
        changes += [
            Change(
                "cases", str(row["id"]), row["community_id"], row["household_id"],
                row["named_for_police"], row["technical"],
            )
            for row in await cursor.fetchall()
        ]  # fmt: skip
    if household_ids:
        cursor = await connection.execute(sql["stream_households"], {"ids": household_ids})
        changes += [
            Change("states", row["id"], row["community_id"], row["id"]) for row in await cursor.fetchall()
        ]
    return changes
