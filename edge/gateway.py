"""The edge's turn: frames enter from the source broker, canonical events and heartbeats leave to the central one.

Order of a turn: decode, decide, commit to the spool, and only then acknowledge to the source; publish from the
spool, and delete only after the central broker's PUBACK. A crash at any point therefore loses nothing and repeats
at most what was not acknowledged; events carry (boot, seq), so a repetition is recognised.

**The boot of a foreign device.** It has none of its own, so the edge gives it one. A boot says "between my points
nothing was lost", therefore it may continue over an interruption only where nothing can have been lost:

- all frames of that device arrived with QoS 1 or more (QoS 0 is lost without a trace while we are away), and
- the source broker said that it kept our session (``session_present``), so it also kept the frames, and
- the machine was not restarted (its uptime, which measures ``up``, still counts from the same origin), and
- we were away no longer than ``AWAY_MAX_S`` of the machine's time (brokers bound the queue of an absent client and drop silently).

Then boot, sequence and uptime continue from the spool; over a restart of the edge and over a loss of the source
link alike. Otherwise the device's next frame begins a new random boot, and the time between is blind, as it was.
A step of the machine's clock or a fall of the device's own counter also begins a new boot.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from edge import metrics
from edge.credentials import token_of
from edge.device_table import DeviceEntry, DeviceTableError, WatchedTable, configure
from edge.dialects import FOREIGN_ROOT, decode
from edge.faults import pass_point
from edge.link import Frame, Inbox, Link, LinkDown, LinkReady, LinkUp, Published, Will
from edge.reading import Kind, Nature, Reading
from edge.sending import IN_FLIGHT_MAX, Lane, SendOrder, join_messages
from edge.spool import Message, Spool, SpoolFullError
from edge.tracker import (
    Decision,
    DeviceState,
    Receipt,
    advance,
    begin_boot,
    clock_stepped,
    counter_restarted,
    plausible,
)
from edge.vitals import GatewayVitals, new_boot
from kaimen.broker import parse_broker_urls
from kaimen.clock import Clock
from kaimen.logs import get_logger
from kaimen.settings import EdgeSettings
from kaimen.vocabulary import EventType
from kaimen.wire import (
    Event,
    Heartbeat,
    WireError,
    format_event,
    format_heartbeat,
    format_topic,
    parse_topic,
)

AWAY_MAX_S = 30 * 60.0
FRAMES_PER_TURN_MAX = 500
COMMITTED_KEPT_MAX = 1_000
DISK_RETRY_S = 5.0
TABLE_RECHECK_S = 1.0
EXPIRE_EVERY_S = 600.0
ALIVE_EVERY_S = 5.0
#: A node that takes publications and answers none is cut off from its cluster: another one is tried.
STALLED_AFTER_S = 30.0
TURN_WAIT_S = 0.2

SOURCE, CENTRAL = "source", "central"
_OWN_ROOT = "kaimen"

#: Where foreign devices speak on the central broker while the device table names no place of its own.
FAMILY_TOPICS = ("zigbee2mqtt/#", "tele/#", "shellies/#", "application/#", "home/#")
#: Brokers bound what one session may leave unacknowledged, summed over its subscriptions (NATS: 65,535).
SUBSCRIPTIONS_MAX = 6
_FAMILIES = frozenset(
    {
        "zigbee2mqtt", "tele", "stat", "cmnd", "shellies", "application", "gateway", "v3", "home", "rtl_433", "spBv1.0",
        "DahuaVTO", "homeassistant", FOREIGN_ROOT,
    }
)  # fmt: skip

_VITALS = frozenset({EventType.BATTERY_LOW})
_FORWARDED_BY_SPOOL = ("evt", "evb", "state", "ack")

_reading_encoder = msgspec.json.Encoder()
_reading_decoder = msgspec.json.Decoder(Reading)


def machine_boot_id() -> str:
    """Return the id of the machine's current start; empty where the system has none (then nothing continues)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def add_receipt(payload: bytes, now_ms: int) -> bytes:
    """Add ``rx`` to a canonical frame that has none; a payload of another form passes unchanged."""
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return payload
    items = value if isinstance(value, list) else [value]
    objects = [item for item in items if isinstance(item, dict)]
    if not objects or all(item.get("rx") is not None for item in objects):
        return payload
    for item in objects:
        if item.get("rx") is None:
            item["rx"] = now_ms
    return msgspec.json.encode(value)


class Gateway:
    """One edge: two links, one spool, one device table, one worker thread."""

    def __init__(
        self,
        settings: EdgeSettings,
        clock: Clock,
        spool: Spool,
        *,
        machine_boot: str | None = None,
        backoff_first_s: float = 0.5,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._spool = spool
        self._log: Any = get_logger()
        self._machine_boot = machine_boot_id() if machine_boot is None else machine_boot
        self._table = WatchedTable(settings.edge_devices_file)
        self._inbox = Inbox()
        self._vitals = GatewayVitals(
            site=settings.edge_site,
            device=settings.edge_id,
            boot=new_boot(),
            started_uptime_ms=clock.uptime_ms(),
        )
        central = parse_broker_urls(
            settings.broker_url,
            user=settings.broker_user,
            password=settings.broker_password,
            security=settings.broker_tls,
        )
        source_url = settings.edge_source_url or settings.broker_url
        self._same_broker = settings.edge_source_url is None
        source = parse_broker_urls(
            source_url,
            user=settings.broker_user,
            password=settings.broker_password,
            security=settings.broker_tls,
        )
        self._central = Link(
            CENTRAL, central, client_id=settings.edge_id, inbox=self._inbox,
            will=Will(self._vitals.state_topic, self._vitals.will()),
            on_attempt=metrics.RECONNECTS.labels(CENTRAL).inc, backoff_first_s=backoff_first_s,
        )  # fmt: skip
        self._source = Link(
            SOURCE, source, client_id=f"{settings.edge_id}-source", inbox=self._inbox,
            subscriptions=self._subscriptions, on_attempt=metrics.RECONNECTS.labels(SOURCE).inc,
            on_overflow=metrics.QUEUE_OVERFLOWS.inc, backoff_first_s=backoff_first_s,
        )  # fmt: skip
        self._states: dict[str, DeviceState] = {}
        self._continued: set[str] = set()
        self._resumed = False
        self._source_epoch = 0
        self._source_ready = False
        self._central_epoch = 0
        self._order = SendOrder(spool, per_s=settings.edge_backlog_per_s)
        self._backlog_flights: set[int] = set()
        self._delivered: list[int] = []
        self._committed = _parse_marks(spool.load_fact("last_frames") or "")
        self._in_flight: dict[int, tuple[int, ...]] = {}
        self._answered_at = 0.0
        self._full = False
        self._due: dict[str, float] = {}
        self._subscribed: list[tuple[str, int]] = []
        self._first_levels: set[str] = set()
        self._stop = threading.Event()

    # -- running -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until ``stop`` is called."""
        self._refresh_table(self._clock.now_ms())
        self._central.start()
        self._source.start()
        try:
            while not self._stop.is_set():
                self._guarded_turn()
        finally:
            self._source.stop()
            self._say_goodbye()
            self._central.stop()

    def _guarded_turn(self) -> None:
        try:
            self.turn(TURN_WAIT_S)
        except sqlite3.OperationalError as error:
            # The disk is full or cannot be written: nothing may be promised to a source until it can.
            self._refuse(f"{error}")
            self._stop.wait(DISK_RETRY_S)

    def stop(self) -> None:
        """Ask the worker to end its turn and go; safe in a signal handler."""
        self._stop.set()

    def healthy(self) -> tuple[bool, str]:
        """Say whether the edge does its work and, where not, what is missing."""
        missing = []
        if not self._central_epoch:
            missing.append(f"no link to the central broker{_why(self._central)}")
        if not self._source_ready:
            missing.append(f"no link to the source broker{_why(self._source)}")
        if self._full:
            missing.append("the spool is full")
        return not missing, "; ".join(missing) or "working"

    def turn(self, wait_s: float) -> None:
        """Take what came, commit it, acknowledge it, send what waits."""
        items = self._inbox.take(items_max=FRAMES_PER_TURN_MAX, wait_s=wait_s)
        now_ms, uptime_ms = self._clock.now_ms(), self._clock.uptime_ms()
        frames: list[Frame] = []
        for item in items:
            if isinstance(item, Frame):
                frames.append(item)
                continue
            if frames:
                self._take(frames, now_ms, uptime_ms)
                frames = []
            self._control(item, now_ms, uptime_ms)
        if frames:
            self._take(frames, now_ms, uptime_ms)
        self._settle()
        self._chores(now_ms, uptime_ms)
        self._pump()
        self._leave_stalled_node()
        self._show()

    def _control(self, item: LinkUp | LinkReady | LinkDown | Published, now_ms: int, uptime_ms: int) -> None:
        if isinstance(item, Published):
            self._published(item)
        elif isinstance(item, LinkUp):
            self._link_up(item, now_ms, uptime_ms)
        elif isinstance(item, LinkReady):
            self._link_ready(item)
        else:
            self._link_down(item, now_ms)

    def _link_up(self, item: LinkUp, now_ms: int, uptime_ms: int) -> None:
        metrics.CONNECTED.labels(item.link).set(1)
        self._log.info("link up", name=item.link, state="resumed" if item.session_present else "fresh")
        if item.link == CENTRAL:
            self._central_epoch = item.epoch
            self._forget_flights()
            self._central.publish(
                item.epoch, self._vitals.state_topic, self._vitals.birth(), qos=1, retain=True
            )
            self._beat(now_ms, uptime_ms)
            return
        self._source_epoch = item.epoch
        self._continued.clear()
        self._resumed = item.session_present and self._away_s() <= AWAY_MAX_S
        self._subscribed = self._subscriptions()

    def _link_ready(self, item: LinkReady) -> None:
        if item.refused:
            self._log.error("the broker refused subscriptions", name=item.link, count=item.refused)
        if item.link == SOURCE and item.epoch == self._source_epoch:
            self._source_ready = item.refused == 0

    def _link_down(self, item: LinkDown, now_ms: int) -> None:
        metrics.CONNECTED.labels(item.link).set(0)
        if item.link == CENTRAL and item.epoch == self._central_epoch:
            self._central_epoch = 0
            self._forget_flights()
        elif item.link == SOURCE and item.epoch == self._source_epoch:
            self._note_alive()
            self._source_epoch = 0
            self._source_ready = False

    def _forget_flights(self) -> None:
        """What was not acknowledged on that connection is sent on the next, as part of what waits."""
        self._in_flight.clear()
        self._backlog_flights.clear()
        self._order.begin(time.monotonic())

    def _away_s(self) -> float:
        """Return for how long the broker kept our frames; its queue runs on the machine's time, not the community's."""
        alive = self._spool.load_fact("source_alive_s")
        since = None if alive is None else time.monotonic() - float(alive)
        # Negative: the machine was started anew; what was continued then is another boot anyway.
        return AWAY_MAX_S + 1 if since is None or since < 0 else since

    def _note_alive(self) -> None:
        with self._spool.transaction():
            self._spool.store_fact("source_alive_s", f"{time.monotonic():.3f}")

    def _is_due(self, name: str, every_s: float) -> bool:
        # Chores are paced by the machine's time; community time may be scaled.
        monotonic = time.monotonic()
        if monotonic < self._due.get(name, 0.0):
            return False
        self._due[name] = monotonic + every_s
        return True

    def _chores(self, now_ms: int, uptime_ms: int) -> None:
        if self._is_due("table", TABLE_RECHECK_S):
            self._refresh_table(now_ms)
            metrics.UNLISTED_SOURCES.set(self._spool.unlisted_count())
        if self._source_epoch and self._is_due("alive", ALIVE_EVERY_S):
            self._note_alive()
        if self._is_due("expire", EXPIRE_EVERY_S):
            self._expire(now_ms)
        beat_s = max(self._clock.wall_seconds(self._settings.edge_heartbeat_s * 1000), TURN_WAIT_S)
        if self._central_epoch and beat_s != float("inf") and self._is_due("beat", beat_s):
            self._beat(now_ms, uptime_ms)
        if self._full and self._is_due("room", DISK_RETRY_S) and self._spool.has_room():
            self._full = False
            metrics.SPOOL_FULL.set(0)
            self._log.info("spool has room again", size=self._spool.bytes_used)
            self._source.resume()

    def _expire(self, now_ms: int) -> None:
        with self._spool.transaction():
            count = self._spool.expire(now_ms)
        if count:
            metrics.SPOOL_EXPIRED.inc(count)
            self._log.error("messages grew too old to prove anything", count=count)

    def _beat(self, now_ms: int, uptime_ms: int) -> None:
        payload = self._vitals.heartbeat(now_ms=now_ms, uptime_ms=uptime_ms, unsent=self._spool.message_count)
        self._central.publish(self._central_epoch, self._vitals.heartbeat_topic, payload, qos=0)

    def _say_goodbye(self) -> None:
        self._central.publish(
            self._central_epoch, self._vitals.state_topic, self._vitals.will(), qos=1, retain=True
        )

    def _show(self) -> None:
        metrics.SPOOL_MESSAGES.set(self._spool.message_count)
        metrics.SPOOL_BYTES.set(self._spool.bytes_used)

    # -- device table --------------------------------------------------------------------------------------------

    def _refresh_table(self, now_ms: int) -> None:
        try:
            changed = self._table.refresh()
        except DeviceTableError as error:
            metrics.TABLE_ERRORS.inc()
            self._log.error("device table not taken", error=str(error))
            return
        if not changed:
            return
        self._log.info("device table read", count=len(self._table.table.by_source))
        self._first_levels = self._table.table.first_levels()
        self._adopt(now_ms)
        if self._source_epoch and set(self._subscriptions()) - set(self._subscribed):
            # A new connection subscribes to the new topics; the session, and what waits in it, stays.
            self._source.reconnect()

    def _subscriptions(self) -> list[tuple[str, int]]:
        return [(topic, 1) for topic in choose_topics(self._first_levels, own_broker=not self._same_broker)]

    def _adopt(self, now_ms: int) -> None:
        """Take in, as stored records, what sources said before somebody listed them."""
        for unlisted in self._spool.unlisted():
            raw = self._spool.peek_unlisted(unlisted.source)
            aliases = () if raw is None else _reading_decoder.decode(raw).aliases
            entry = self._table.table.find((unlisted.source, *aliases))
            if entry is None:
                continue
            with self._spool.transaction():
                for received_ms, raw in self._spool.take_unlisted(unlisted.source):
                    kept = _reading_decoder.decode(raw)
                    reading = replace(
                        kept,
                        nature=Nature.HISTORY,
                        occurred_ms=plausible(kept.occurred_ms, now_ms) or received_ms,
                    )
                    receipt = Receipt(now_ms, self._clock.uptime_ms(), qos=1)
                    self._fold(entry, configure(reading, entry), receipt)

    # -- frames --------------------------------------------------------------------------------------------------

    def _take(self, frames: Sequence[Frame], now_ms: int, uptime_ms: int) -> None:
        """Commit a run of frames and acknowledge them; what finds no room is neither."""
        beats: list[tuple[str, Heartbeat | bytes]] = []
        taken: list[Frame] = []
        refusal: str | None = None
        pass_point("edge_taken")
        with self._spool.transaction():
            for frame in frames:
                try:
                    with self._spool.step():
                        beats += self._frame(frame, now_ms, uptime_ms)
                except SpoolFullError as error:
                    refusal = str(error)
                    # What the step changed is undone on disk; memory is read from there again.
                    self._states.clear()
                    self._continued.clear()
                    break
                taken.append(frame)
            self._spool.store_fact("last_frames", _format_marks(taken))
            pass_point("edge_spooling")
        pass_point("edge_spooled")
        for frame in taken:
            self._remember(frame)
            if not self._source.ack(frame):
                metrics.STALE_ACKS.inc()
            pass_point("edge_mid_answer")
        pass_point("edge_answered")
        for topic, beat in beats:
            payload = beat if isinstance(beat, bytes) else format_heartbeat(self._positioned(beat, topic))
            if self._central.publish(self._central_epoch, topic, payload, qos=0) is not None:
                metrics.HEARTBEATS.inc()
        if refusal is not None:
            self._refuse(refusal)

    def _remember(self, frame: Frame) -> None:
        """Remember what was committed, by message id: if its acknowledgement got lost it comes again, marked so."""
        if frame.qos == 0:
            return
        self._committed.pop(frame.message_id, None)
        self._committed[frame.message_id] = _digest(frame)
        if len(self._committed) > COMMITTED_KEPT_MAX:
            del self._committed[next(iter(self._committed))]

    def _is_copy(self, frame: Frame) -> bool:
        """Say whether this very message was committed before.

        A message id that comes without the mark of a repetition was given to a new message, so what was
        remembered of it is forgotten: content alone proves nothing, sensors repeat themselves.
        """
        if not frame.again:
            self._committed.pop(frame.message_id, None)
            return False
        return self._committed.get(frame.message_id) == _digest(frame)

    def _refuse(self, why: str) -> None:
        """Stop listening: what is not acknowledged stays with the source broker."""
        if not self._full:
            self._log.error("spool full: sources are not acknowledged", error=why)
        self._full = True
        self._due["room"] = time.monotonic() + DISK_RETRY_S
        metrics.SPOOL_FULL.set(1)
        self._source.pause()

    def _positioned(self, beat: Heartbeat, topic: str) -> Heartbeat:
        device = topic.split("/")[5]
        oldest = self._spool.oldest_seq(device, beat.boot)
        return msgspec.structs.replace(beat, first_seq=beat.seq_last + 1 if oldest is None else oldest)

    def _frame(self, frame: Frame, now_ms: int, uptime_ms: int) -> list[tuple[str, Heartbeat | bytes]]:
        if self._is_copy(frame):
            return []
        if frame.topic.startswith(f"{_OWN_ROOT}/"):
            return self._forward(frame, now_ms)
        readings = self._decode(frame)
        if frame.retained:
            # What a broker kept says nothing about now, unless it carries its own time.
            metrics.RETAINED_IGNORED.inc()
            readings = [item for item in readings if plausible(item.occurred_ms, now_ms) is not None]
        receipt = Receipt(now_ms, uptime_ms, retained=frame.retained, qos=frame.qos)
        beats: list[tuple[str, Heartbeat | bytes]] = []
        for entry, mine in self._by_entry(readings, receipt):
            beat = self._fold(entry, mine, receipt)
            if beat is not None:
                beats.append((format_topic(entry.site, entry.device, "hb"), beat))
        return beats

    def _decode(self, frame: Frame) -> list[Reading]:
        listed = self._table.table.find((frame.topic,))
        try:
            readings = decode(frame.topic, frame.payload, dialect=listed.dialect if listed else None)
        except Exception as error:  # noqa: BLE001 - one strange frame must not stop the doors of the others
            metrics.DECODE_FAILURES.inc()
            self._log.error(
                "a dialect failed", error=type(error).__name__, topic_kind=frame.topic.partition("/")[0]
            )
            return []
        metrics.FRAMES.labels(_family(frame.topic)).inc()
        return readings

    def _by_entry(
        self, readings: Sequence[Reading], receipt: Receipt
    ) -> list[tuple[DeviceEntry, list[Reading]]]:
        found: dict[str, tuple[DeviceEntry, list[Reading]]] = {}
        for reading in readings:
            entry = self._table.table.find((reading.source, *reading.aliases))
            if entry is None:
                self._unlisted(reading, receipt)
                continue
            found.setdefault(entry.source, (entry, []))[1].extend(configure(reading, entry))
        return list(found.values())

    def _unlisted(self, reading: Reading, receipt: Receipt) -> None:
        metrics.UNLISTED_FRAMES.inc()
        if reading.kind in (Kind.UNKNOWN, Kind.NONE, Kind.PROVISIONING, Kind.CONFIG) or receipt.retained:
            return
        raw = _reading_encoder.encode(replace(reading, credential=None))
        self._spool.note_unlisted(reading.source[:256], str(reading.kind), raw, receipt.now_ms)

    def _tokens(self, entry: DeviceEntry, readings: Sequence[Reading]) -> list[str | None]:
        key = self._settings.edge_credential_key
        withheld = sum(reading.credential is not None for reading in readings) if not key else 0
        if withheld:
            metrics.CREDENTIALS_WITHHELD.inc(withheld)
        return [token_of(key, entry.site, reading.credential) for reading in readings]

    def _state_of(self, entry: DeviceEntry, readings: Sequence[Reading], receipt: Receipt) -> DeviceState:
        """Return the device's state in the boot that this frame belongs to; begin one where it must be."""
        state = self._states.get(entry.device) or self._spool.load_state(entry.device)
        reason = self._boot_ends(state, readings, receipt)
        self._continued.add(entry.device)
        if state is not None and reason is None:
            return state
        metrics.BOOTS.labels(reason or "first").inc()
        if state is not None and reason == "counter":
            state = replace(state, opens=None)
        times = [plausible(reading.occurred_ms, receipt.now_ms) for reading in readings]
        live = [
            at
            for at, reading in zip(times, readings, strict=True)
            if at and reading.nature is not Nature.HISTORY
        ]
        lag_ms = receipt.now_ms - min(live) if live else 0
        return begin_boot(
            state, entry, receipt, boot=new_boot(), machine_boot=self._machine_boot, lag_ms=lag_ms
        )

    def _boot_ends(
        self, state: DeviceState | None, readings: Sequence[Reading], receipt: Receipt
    ) -> str | None:
        if state is None:
            return "first"
        if clock_stepped(state, receipt):
            return "clock"
        if counter_restarted(state, readings):
            return "counter"
        if state.device in self._continued:
            return None
        if state.machine_boot != self._machine_boot or not self._machine_boot:
            return "machine"
        if not self._resumed:
            return "session"
        return None if state.qos_kept else "qos"

    def _fold(self, entry: DeviceEntry, readings: list[Reading], receipt: Receipt) -> Heartbeat | None:
        state = self._state_of(entry, readings, receipt)
        decision = advance(state, entry, readings, receipt, self._tokens(entry, readings))
        self._keep(entry, decision, receipt.now_ms)
        return decision.heartbeat

    def _keep(self, entry: DeviceEntry, decision: Decision, now_ms: int) -> None:
        for event in decision.events:
            self._append(entry, event, now_ms)
        self._states[entry.device] = decision.state
        self._spool.store_state(decision.state)
        if decision.lost_openings:
            metrics.LOST_OPENINGS.inc(decision.lost_openings)

    def _append(self, entry: DeviceEntry, event: Event, now_ms: int) -> None:
        evicted = self._spool.append(
            topic=format_topic(entry.site, entry.device, "evt"),
            device=entry.device,
            boot=event.boot,
            seq=event.seq,
            payload=format_event(event),
            created_ms=now_ms,
            vital=event.type in _VITALS,
        )
        metrics.EVENTS.labels(event.type).inc()
        if evicted:
            metrics.SPOOL_EVICTED.inc(evicted)

    def _forward(self, frame: Frame, now_ms: int) -> list[tuple[str, Heartbeat | bytes]]:
        """Pass a canonical frame of the site's own broker on: events by the spool, heartbeats straight through."""
        if not self._settings.edge_forward or self._same_broker:
            return []
        channel = frame.topic.rpartition("/")[2]
        try:
            parse_topic(frame.topic)
        except WireError:
            channel = "evt" if channel not in ("cfg", "cmd", "hb") else channel
        if channel == "hb":
            metrics.FORWARDED.labels("hb").inc()
            return [(frame.topic, add_receipt(frame.payload, now_ms))] if not frame.retained else []
        if channel not in _FORWARDED_BY_SPOOL:
            return []
        stamped = add_receipt(frame.payload, now_ms) if channel in ("evt", "evb") else frame.payload
        self._spool.append(
            topic=frame.topic, device=frame.topic[-64:], boot="", seq=0, payload=stamped, created_ms=now_ms,
            joinable=False, retain=channel == "state", vital=channel in ("state", "ack"),
        )  # fmt: skip
        metrics.FORWARDED.labels(channel).inc()
        return []

    # -- to the central broker -----------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Publish what waits in its order (``edge/sending.py``), a bounded number in flight at a time."""
        while self._central_epoch and len(self._in_flight) < IN_FLIGHT_MAX:
            chosen = self._order.next(time.monotonic(), backlog_in_flight=len(self._backlog_flights))
            if chosen is None:
                return
            lane, group = chosen
            if not self._send(lane, group):
                return
            self._order.sent(lane, group)

    def _leave_stalled_node(self) -> None:
        """Go to the next node of a cluster when the present one has long answered for nothing."""
        if self._central.node_count == 1 or not self._in_flight:
            return
        if time.monotonic() - self._answered_at >= STALLED_AFTER_S:
            self._log.warning(
                "the broker node answers for nothing: trying another", count=len(self._in_flight)
            )
            self._forget_flights()
            self._central_epoch = 0
            self._central.reconnect()

    def _send(self, lane: Lane, group: list[Message]) -> bool:
        topic, payload = join_messages(group)
        message_id = self._central.publish(self._central_epoch, topic, payload, qos=1, retain=group[0].retain)
        if message_id is None:
            return False
        if not self._in_flight:
            self._answered_at = time.monotonic()
        self._in_flight[message_id] = tuple(message.id for message in group)
        if lane is Lane.BACKLOG:
            self._backlog_flights.add(message_id)
            metrics.BACKLOG_SENT.inc(len(group))
        pass_point("edge_published")
        return True

    def _published(self, item: Published) -> None:
        if item.link != CENTRAL or item.epoch != self._central_epoch:
            metrics.STALE_ACKS.inc()
            return
        ids = self._in_flight.pop(item.message_id, None)
        self._backlog_flights.discard(item.message_id)
        if ids is None:
            return
        self._answered_at = time.monotonic()
        self._delivered.extend(ids)
        metrics.PUBLISHED.inc()

    def _settle(self) -> None:
        """Delete, in one commit per turn, what the central broker has acknowledged."""
        if self._delivered:
            with self._spool.transaction():
                self._spool.delete(self._delivered)
                pass_point("edge_deleting")
            pass_point("edge_deleted")
            self._delivered.clear()


def _family(topic: str) -> str:
    """Name a frame's family for a metric: the first topic level where it is one of a known few."""
    first = topic.partition("/")[0]
    return first if first in _FAMILIES else "other"


def choose_topics(first_levels: Iterable[str], *, own_broker: bool) -> list[str]:
    """Say what to subscribe to: everything on a site's own broker, few places on the central one.

    On the central broker also ``kaimen/`` of the whole installation passes, so there only the first levels that
    the device table names, filled up with the most common families, within the bound of a session.
    """
    if own_broker:
        return ["#"]
    usable = sorted(
        level for level in first_levels if level and level != _OWN_ROOT and not set(level) & set("+#$\x00")
    )
    wanted = dict.fromkeys([f"{FOREIGN_ROOT}/#", *(f"{level}/#" for level in usable)])
    if len(wanted) > SUBSCRIPTIONS_MAX:
        return ["#"]
    for topic in FAMILY_TOPICS:
        if len(wanted) < SUBSCRIPTIONS_MAX:
            wanted[topic] = None
    return list(wanted)


def _digest(frame: Frame) -> str:
    return hashlib.blake2b(frame.topic.encode() + b"\x00" + frame.payload, digest_size=12).hexdigest()


def _format_marks(frames: Sequence[Frame]) -> str:
    return " ".join(f"{frame.message_id}:{_digest(frame)}" for frame in frames if frame.qos)


def _parse_marks(text: str) -> dict[int, str]:
    pairs = (word.partition(":") for word in text.split())
    return {int(number): digest for number, mark, digest in pairs if mark and number.isdigit()}


def _why(link: Link) -> str:
    return f" ({link.trouble})" if link.trouble else ""
