"""What the edge makes of one frame: the frame and the device table enter, canonical events go to the spool and
heartbeats leave.

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

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from edge import metrics
from edge.credentials import token_of
from edge.device_table import DeviceEntry, DeviceTable, configure
from edge.dialects import decode
from edge.link import Frame
from edge.reading import Kind, Nature, Reading
from edge.spool import Spool
from edge.topics import OWN_ROOT, family_of
from edge.tracker import (
    Decision,
    DeviceState,
    Receipt,
    advance,
    begin_boot,
    clock_stepped,
    counter_restarted,
    plausible,
    was_silent,
)
from edge.vitals import new_boot
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

#: What is said at once and not kept: a topic, and a heartbeat or one already written.
Beat = tuple[str, Heartbeat | bytes]

_VITALS = frozenset({EventType.BATTERY_LOW})
_FORWARDED_BY_SPOOL = ("evt", "evb", "state", "ack")

_reading_encoder = msgspec.json.Encoder()
_reading_decoder = msgspec.json.Decoder(Reading)


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


class Intake:
    """Takes frames, one at a time, inside the spool's transaction of the turn."""

    def __init__(self, settings: EdgeSettings, spool: Spool, *, machine_boot: str, forwards: bool) -> None:
        self.table = DeviceTable()
        self._settings = settings
        self._spool = spool
        self._log: Any = get_logger()
        self._machine_boot = machine_boot
        self._forwards = forwards
        self._states: dict[str, DeviceState] = {}
        self._continued: set[str] = set()
        self._resumed = False

    def begin(self, *, resumed: bool) -> None:
        """Start on a new connection of the source; ``resumed``: nothing can have been lost since the last."""
        self._continued.clear()
        self._resumed = resumed

    def forget(self) -> None:
        """What a step changed is undone on disk; memory is read from there again."""
        self._states.clear()
        self._continued.clear()

    def take(self, frame: Frame, receipt: Receipt) -> list[Beat]:
        """Put the frame's events into the spool; return what is said at once."""
        if frame.topic.startswith(f"{OWN_ROOT}/"):
            return self._forward(frame, receipt.now_ms)
        readings = self._decode(frame)
        if frame.retained:
            # What a broker kept says nothing about now, unless it carries its own time.
            metrics.RETAINED_IGNORED.inc()
            readings = [item for item in readings if plausible(item.occurred_ms, receipt.now_ms) is not None]
        beats: list[Beat] = []
        for entry, mine in self._by_entry(readings, receipt):
            beat = self._fold(entry, mine, receipt)
            if beat is not None:
                beats.append((format_topic(entry.site, entry.device, "hb"), beat))
        return beats

    def adopt(self, receipt: Receipt) -> None:
        """Take in, as stored records, what sources said before somebody listed them; a commit for each source."""
        for unlisted in self._spool.unlisted():
            raw = self._spool.peek_unlisted(unlisted.source)
            aliases = () if raw is None else _reading_decoder.decode(raw).aliases
            entry = self.table.find((unlisted.source, *aliases))
            if entry is None:
                continue
            before_ms = 0
            with self._spool.transaction():
                for received_ms, raw in self._spool.take_unlisted(unlisted.source):
                    kept = _reading_decoder.decode(raw)
                    # Frames taken together came at one instant; a stored record as old as the last says nothing new.
                    before_ms = max(received_ms, before_ms + 1)
                    reading = replace(
                        kept,
                        nature=Nature.HISTORY,
                        occurred_ms=plausible(kept.occurred_ms, receipt.now_ms) or before_ms,
                    )
                    self._fold(entry, configure(reading, entry), receipt)

    def format_beat(self, topic: str, beat: Heartbeat | bytes) -> bytes:
        """Write a heartbeat with the oldest event that still waits here: what comes before it was delivered."""
        if isinstance(beat, bytes):
            return beat
        oldest = self._spool.oldest_seq(topic.split("/")[5], beat.boot)
        return format_heartbeat(
            msgspec.structs.replace(beat, first_seq=beat.seq_last + 1 if oldest is None else oldest)
        )

    def _decode(self, frame: Frame) -> list[Reading]:
        listed = self.table.find((frame.topic,))
        try:
            readings = decode(frame.topic, frame.payload, dialect=listed.dialect if listed else None)
        except Exception as error:  # noqa: BLE001 - one strange frame must not stop the doors of the others
            metrics.DECODE_FAILURES.inc()
            self._log.error(
                "a dialect failed", error=type(error).__name__, topic_kind=frame.topic.partition("/")[0]
            )
            return []
        metrics.FRAMES.labels(family_of(frame.topic)).inc()
        return readings

    def _by_entry(
        self, readings: Sequence[Reading], receipt: Receipt
    ) -> list[tuple[DeviceEntry, list[Reading]]]:
        found: dict[str, tuple[DeviceEntry, list[Reading]]] = {}
        for reading in readings:
            entry = self.table.find((reading.source, *reading.aliases))
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
        reason = self._boot_ends(state, entry, readings, receipt)
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
        self,
        state: DeviceState | None,
        entry: DeviceEntry,
        readings: Sequence[Reading],
        receipt: Receipt,
    ) -> str | None:
        if state is None:
            return "first"
        if clock_stepped(state, receipt):
            return "clock"
        if counter_restarted(state, readings):
            return "counter"
        if was_silent(state, entry, readings, receipt):
            return "silence"
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

    def _forward(self, frame: Frame, now_ms: int) -> list[Beat]:
        """Pass a canonical frame of the site's own broker on: events by the spool, heartbeats straight through."""
        if not self._forwards:
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
