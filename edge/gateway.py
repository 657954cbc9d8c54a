"""The edge's turn: frames enter from the source broker, canonical events and heartbeats leave to the central one.

Order of a turn: decode, decide, commit to the spool, and only then acknowledge to the source; publish from the
spool, and delete only after the central broker's PUBACK. A crash at any point therefore loses nothing and repeats
at most what was not acknowledged; events carry (boot, seq), so a repetition is recognised.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge import metrics
from edge.copies import CommittedFrames, format_marks
from edge.device_table import DeviceTableError, WatchedTable
from edge.faults import pass_point
from edge.intake import Beat, Intake
from edge.link import Frame, Inbox, Item, Link, LinkDown, LinkReady, LinkUp, Published, Will
from edge.spool import Spool, SpoolFullError
from edge.topics import choose_topics
from edge.tracker import Receipt
from edge.upstream import Upstream
from edge.vitals import GatewayVitals, new_boot
from kaimen import wire
from kaimen.broker import parse_broker_urls
from kaimen.clock import Clock
from kaimen.logs import get_logger
from kaimen.settings import EdgeSettings

AWAY_MAX_S = 30 * 60.0
FRAMES_PER_TURN_MAX = 500
DISK_RETRY_S = 5.0
TABLE_RECHECK_S = 1.0
EXPIRE_EVERY_S = 600.0
ALIVE_EVERY_S = 5.0
TURN_WAIT_S = 0.2

SOURCE, CENTRAL = "source", "central"


def machine_boot_id() -> str:
    """Return the id of the machine's current start; empty where the system has none (then nothing continues)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


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
            subscriptions=lambda: [(self._vitals.config_topic, 1)],
            on_attempt=metrics.RECONNECTS.labels(CENTRAL).inc, backoff_first_s=backoff_first_s,
        )  # fmt: skip
        self._source = Link(
            SOURCE, source, client_id=f"{settings.edge_id}-source", inbox=self._inbox,
            subscriptions=self._subscriptions, on_attempt=metrics.RECONNECTS.labels(SOURCE).inc,
            on_overflow=metrics.QUEUE_OVERFLOWS.inc, backoff_first_s=backoff_first_s,
        )  # fmt: skip
        self._upstream = Upstream(self._central, spool, per_s=settings.edge_backlog_per_s)
        self._intake = Intake(
            settings, spool, forwards=settings.edge_forward and not self._same_broker,
            machine_boot=machine_boot_id() if machine_boot is None else machine_boot,
        )  # fmt: skip
        self._committed = CommittedFrames(spool.load_fact("last_frames") or "")
        self._source_epoch = 0
        self._source_ready = False
        self._full = False
        self._retry_at = 0.0
        self._refused_bytes = 0
        self._done: dict[str, float] = {}
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
        if not self._upstream.epoch:
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
            if isinstance(item, Frame) and item.link == SOURCE:
                frames.append(item)
                continue
            if frames:
                self._take(frames, now_ms, uptime_ms)
                frames = []
            self._control(item, now_ms, uptime_ms)
        if frames:
            self._take(frames, now_ms, uptime_ms)
        self._upstream.settle()
        self._chores(now_ms, uptime_ms)
        self._upstream.pump()
        self._upstream.leave_silent_node()
        self._show()

    def _control(self, item: Item, now_ms: int, uptime_ms: int) -> None:
        if isinstance(item, Published):
            self._upstream.published(item)
        elif isinstance(item, Frame):
            self._obey(item)
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
            self._upstream.begin(item.epoch)
            self._central.publish(
                item.epoch, self._vitals.state_topic, self._vitals.birth(), qos=1, retain=True
            )
            self._beat(now_ms, uptime_ms)
            return
        self._source_epoch = item.epoch
        self._intake.begin(resumed=item.session_present and self._away_s() <= AWAY_MAX_S)
        self._subscribed = self._subscriptions()

    def _obey(self, order: Frame) -> None:
        """Do what the server asks of us, and answer; what is not understood is said and left alone."""
        try:
            config = wire.parse_config(order.payload)
        except wire.WireError as error:
            self._log.error("what the server asks is not understood", error=str(error))
        else:
            self._upstream.obey(config.backlog_per_s, hold_s=config.hold_s)
            metrics.BACKLOG_TOLD.set(-1 if config.backlog_per_s is None else config.backlog_per_s)
            answer = wire.format_answer(wire.Answer(v=1, version=config.version))
            self._central.publish(self._upstream.epoch, self._vitals.answer_topic, answer, qos=1)
        self._central.ack(order)

    def _link_ready(self, item: LinkReady) -> None:
        if item.refused:
            self._log.error("the broker refused subscriptions", name=item.link, count=item.refused)
        if item.link == SOURCE and item.epoch == self._source_epoch:
            self._source_ready = item.refused == 0

    def _link_down(self, item: LinkDown, now_ms: int) -> None:
        metrics.CONNECTED.labels(item.link).set(0)
        if item.link == CENTRAL and item.epoch == self._upstream.epoch:
            self._upstream.begin(0)
        elif item.link == SOURCE and item.epoch == self._source_epoch:
            self._note_alive()
            self._source_epoch = 0
            self._source_ready = False

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
        # Chores are paced by the machine's time. Community time may be scaled, and what is then its span counts from the
        # last time on: an hour that was waited for is a minute once the clock goes faster.
        monotonic = time.monotonic()
        if monotonic - self._done.get(name, float("-inf")) < every_s:
            return False
        self._done[name] = monotonic
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
        if self._upstream.epoch and beat_s != float("inf") and self._is_due("beat", beat_s):
            self._beat(now_ms, uptime_ms)
        if self._full and self._may_listen_again():
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
        self._central.publish(self._upstream.epoch, self._vitals.heartbeat_topic, payload, qos=0)

    def _say_goodbye(self) -> None:
        self._central.publish(
            self._upstream.epoch, self._vitals.state_topic, self._vitals.will(), qos=1, retain=True
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
        self._intake.table = self._table.table
        self._intake.adopt(Receipt(now_ms, self._clock.uptime_ms(), qos=1))
        if self._source_epoch and set(self._subscriptions()) - set(self._subscribed):
            # A new connection subscribes to the new topics; the session, and what waits in it, stays.
            self._source.reconnect()

    def _subscriptions(self) -> list[tuple[str, int]]:
        return [(topic, 1) for topic in choose_topics(self._first_levels, own_broker=not self._same_broker)]

    # -- frames --------------------------------------------------------------------------------------------------

    def _take(self, frames: Sequence[Frame], now_ms: int, uptime_ms: int) -> None:
        """Commit a run of frames and acknowledge them; what finds no room is neither."""
        beats: list[Beat] = []
        taken: list[Frame] = []
        refusal: str | None = None
        pass_point("edge_taken")
        with self._spool.transaction():
            for frame in frames:
                try:
                    with self._spool.step():
                        beats += self._make_of(frame, now_ms, uptime_ms)
                except SpoolFullError as error:
                    refusal = str(error)
                    self._intake.forget()
                    break
                taken.append(frame)
            self._spool.store_fact("last_frames", format_marks(taken))
            pass_point("edge_spooling")
        pass_point("edge_spooled")
        for frame in taken:
            self._committed.remember(frame)
            if not self._source.ack(frame):
                metrics.STALE_ACKS.inc()
            pass_point("edge_mid_answer")
        pass_point("edge_answered")
        for topic, beat in beats:
            payload = self._intake.format_beat(topic, beat)
            if self._central.publish(self._upstream.epoch, topic, payload, qos=0) is not None:
                metrics.HEARTBEATS.inc()
        if refusal is not None:
            self._refuse(refusal)

    def _make_of(self, frame: Frame, now_ms: int, uptime_ms: int) -> list[Beat]:
        if self._committed.is_copy(frame):
            return []
        return self._intake.take(frame, Receipt(now_ms, uptime_ms, retained=frame.retained, qos=frame.qos))

    def _may_listen_again(self) -> bool:
        """Say whether what was refused may fit now: room was made since, or a disk is to be tried again."""
        if time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + DISK_RETRY_S
            return self._spool.has_room()
        return self._spool.bytes_used < self._refused_bytes and self._spool.has_room()

    def _refuse(self, why: str) -> None:
        """Stop listening: what is not acknowledged stays with the source broker."""
        if not self._full:
            self._log.error("spool full: sources are not acknowledged", error=why)
        self._full = True
        self._retry_at = time.monotonic() + DISK_RETRY_S
        self._refused_bytes = self._spool.bytes_used
        metrics.SPOOL_FULL.set(1)
        self._source.pause()


def _why(link: Link) -> str:
    return f" ({link.trouble})" if link.trouble else ""
