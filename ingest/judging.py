"""A recorded stream of wire messages with a registry enters, the detector's report leaves: ``replay --wire``.

Exactly the service's admission and detector, with every heartbeat kept, so that the report is the protocol's own
(``docs/wire.md``, "Judging by file").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ingest.detector.batches import Batch
from ingest.detector.columns import NUMBER_MAX
from ingest.detector.engine import Detector, pulse_at_or_after
from ingest.detector.facts import Crossing, Withdrawal
from ingest.detector.homes import Registry
from ingest.detector.rows import Rows
from ingest.detector.state import PULSE_MS
from ingest.recording_file import RecordingError
from ingest.wire_file import WireMessages
from kaimen import wire
from kaimen.policy import FUTURE_MAX_MS, LATE_AFTER_MS, PAST_MAX_MS
from kaimen.vocabulary import (
    Admission,
    QuarantineReason,
)

#: Messages gone through in one piece; the report does not depend on it.
_MESSAGES_AT_ONCE = 20_000
#: After so many pieces they are let go of: what a recording's messages take in memory stays bounded by its devices'.
_PIECES_KEPT = 32


@dataclass
class _Counts:
    """Events by admission class; copies are judged at the end, with the bases of the whole set."""

    quarantined: int = 0
    copies: list[tuple[str, wire.Event, int]] = field(default_factory=list)

    def settle(self, detector: Detector) -> dict[str, int]:
        counts = dict.fromkeys((item.value for item in Admission), 0)
        counts[Admission.QUARANTINED.value] = self.quarantined
        seen: set[tuple[object, ...]] = set()
        # of equal copies the first received counts: an edge's `rx` may put a later line first
        for device_id, event, received_ms in sorted(self.copies, key=lambda copy: copy[2]):
            counts[self._class_of(detector, seen, device_id, event, received_ms).value] += 1
        return counts

    def _class_of(
        self,
        detector: Detector,
        seen: set[tuple[object, ...]],
        device_id: str,
        event: wire.Event,
        received_ms: int,
    ) -> Admission:
        instant, _ = detector.instant_of(device_id, event)
        if not received_ms - PAST_MAX_MS <= instant <= received_ms + FUTURE_MAX_MS:
            return Admission.IMPLAUSIBLE
        key = (device_id, event.boot, event.seq, event.content())
        if key in seen:
            return Admission.DUPLICATE
        seen.add(key)
        return Admission.LATE if received_ms - instant > LATE_AFTER_MS else Admission.ACCEPTED


@dataclass(frozen=True, slots=True)
class _Line:
    received_ms: int
    address: wire.Address
    events: list[wire.Event]
    heartbeat: wire.Heartbeat | None


class _Admitter:
    """The service's admission, line by line; what it refuses is counted per event."""

    def __init__(self, registry: Registry, counts: _Counts) -> None:
        self._registry = registry
        self._counts = counts

    def admit(self, topic: Any, payload: Any, received_ms: int) -> _Line | None:
        try:
            address = wire.parse_topic(topic if isinstance(topic, str) else "")
            device = self._registry.devices.get(address.device_id)
            if device is None:
                raise wire.WireError(QuarantineReason.UNKNOWN_DEVICE, address.device_id)
            if device.site_id != address.site_id:
                raise wire.WireError(QuarantineReason.WRONG_SITE, address.site_id)
            return self._read(address, wire.encode_payload(payload), received_ms)
        except wire.WireError:
            if not str(topic).endswith(("/hb", "/state", "/ack", "/cfg", "/cmd")):
                self._counts.quarantined += len(payload) if isinstance(payload, list) else 1
            return None

    def _read(self, address: wire.Address, payload: bytes, received_ms: int) -> _Line | None:
        if address.channel == "hb":
            return _Line(received_ms, address, [], wire.parse_heartbeat(payload))
        if address.channel == "evt":
            return _Line(received_ms, address, [wire.parse_event(payload)], None)
        if address.channel == "evb":
            found = wire.parse_batch(payload)
            events = [item for item in found if isinstance(item, wire.Event)]
            self._counts.quarantined += len(found) - len(events)
            return _Line(received_ms, address, events, None)
        return None


def _received_by_us(rx: int | None, received_ms: int) -> int:
    """Return the first receipt by a process of ours, within what a column of instants can hold."""
    return max(rx, -NUMBER_MAX) if rx is not None and rx <= received_ms else received_ms


def judge_wire(
    messages: Iterable[dict[str, Any]],
    registry: Registry,
    until_ms: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Run a recorded stream through admission and detector.

    Parameters
    ----------
    messages
        ``{"received_at": ms, "topic": str, "payload": object or array}`` each. What is said is a function of their set,
        never of their order; in order of receipt they need not be held in memory.
    until_ms
        Instant at which the history is read; messages received after it are not looked at.

    Returns
    -------
    dict
        The report of docs/wire.md, 'Judging by file'.

    Raises
    ------
    RecordingError
        If a stream that can be read but once is not in order of receipt.
    """
    try:
        return _judge(messages, registry, until_ms, progress)
    except _OutOfOrderError:
        return _judge(_by_receipt(messages), registry, until_ms, progress)


class _OutOfOrderError(Exception):
    """A message was received before the one that stands before it."""


def _by_receipt(messages: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    if isinstance(messages, WireMessages):
        return messages.by_receipt()
    if isinstance(messages, Iterator):
        raise RecordingError(
            "messages: not in order of receipt, and they can be read but once; sort them by received_at"
        )
    return sorted(messages, key=lambda line: line["received_at"])


def _judge(
    messages: Iterable[dict[str, Any]],
    registry: Registry,
    until_ms: int,
    progress: Callable[[int], None] | None,
) -> dict[str, Any]:
    counts = _Counts()
    admitter = _Admitter(registry, counts)
    start = min((item.watched_from_ms for item in registry.households.values()), default=until_ms)
    player = _Player(Detector(registry, now_ms=min(start, until_ms), retain=True), registry, start, until_ms)
    newest = 0
    for number, line in enumerate(messages, start=1):
        received = line["received_at"]
        if received > until_ms:
            continue
        if received < newest:
            raise _OutOfOrderError
        newest = received
        admitted = admitter.admit(line.get("topic"), line.get("payload"), received)
        if admitted is not None:
            player.add(admitted, counts)
        if progress is not None:
            progress(number)
    player.finish(until_ms)
    return _wire_report(player.detector, player.facts, counts, until_ms)


class _Player:
    """Lines in order of receipt enter; the detector takes them in batches, pulsed as if each came by itself."""

    def __init__(self, detector: Detector, registry: Registry, start_ms: int, until_ms: int) -> None:
        self.detector = detector
        self.facts: list[Any] = []
        self._index = {device_id: number for number, device_id in enumerate(registry.devices)}
        self._rows = Rows(registry.credentials)
        self._messages: list[wire.Event | wire.Heartbeat] = []
        self._pulses_ms: list[int] = []
        #: The pulse that first sees what was taken last.
        self._reached_ms = pulse_at_or_after(min(start_ms, until_ms))
        self._newest_ms = self._reached_ms
        self._pieces = 0

    def add(self, line: _Line, counts: _Counts) -> None:
        device_id = line.address.device_id
        device = self._index[device_id]
        self._newest_ms = max(self._newest_ms, pulse_at_or_after(line.received_ms))
        if line.heartbeat is not None:
            received = _received_by_us(line.heartbeat.rx, line.received_ms)
            self._rows.add_heartbeat(device, line.heartbeat, received)
            self._messages.append(line.heartbeat)
            self._pulses_ms.append(self._newest_ms)
        for event in line.events:
            received = _received_by_us(event.rx, line.received_ms)
            counts.copies.append((device_id, event, received))
            self._rows.add_event(device, event, received)
            self._messages.append(event)
            self._pulses_ms.append(self._newest_ms)
        if len(self._messages) >= _MESSAGES_AT_ONCE:
            self._play()

    def _play(self) -> None:
        """Take what was added; between messages pulse where a pulse has work."""
        batch = Batch(self._rows.take(), self._messages)
        pulses_ms = np.asarray(self._pulses_ms, np.int64)
        self._messages, self._pulses_ms = [], []
        while batch.reached < len(pulses_ms):
            pulse_ms = int(pulses_ms[batch.reached])
            if pulse_ms > self._reached_ms:
                _pulse_between(self.detector, self._reached_ms, pulse_ms, self.facts)
            self._reached_ms = pulse_ms
            idle_until_ms = pulse_ms if self.detector.has_work(pulse_ms) else self.detector.next_due_ms()
            stop = int(np.searchsorted(pulses_ms, max(pulse_ms, idle_until_ms), side="right"))
            self.detector.take_batch(batch, stop)
            self._reached_ms = int(pulses_ms[batch.reached - 1])
        self._pieces += 1
        if self._pieces % _PIECES_KEPT == 0:
            self.detector.settle()

    def finish(self, until_ms: int) -> None:
        """Take the rest, and pulse up to the end."""
        self._play()
        last = until_ms // PULSE_MS * PULSE_MS
        if self._reached_ms <= last:
            _pulse_between(self.detector, self._reached_ms, last + PULSE_MS, self.facts)


def _pulse_between(detector: Detector, reached_ms: int, before_ms: int, facts: list[Any]) -> None:
    """Pulse at the second of the newest messages, then whatever falls due before ``before_ms``."""
    for pulse_ms in (reached_ms, before_ms - PULSE_MS):
        if detector.has_work(pulse_ms):
            facts.extend(detector.pulse(pulse_ms))


def _wire_report(detector: Detector, facts: list[Any], counts: _Counts, until_ms: int) -> dict[str, Any]:
    effective: list[dict[str, Any]] = []
    checks: list[dict[str, Any]] = []
    not_known: list[dict[str, Any]] = []
    for household_id in detector.watched_households():
        rule = detector.rule_of(household_id)
        if rule.household.watched_from_ms > until_ms:
            continue
        history = rule.history(until_ms)
        effective.extend(
            {"household": household_id, "stage": item.stage, "at": item.at_ms} for item in history.crossings
        )
        checks.extend(
            {"household": household_id, "step": item.step, "at": item.at_ms, "ended_at": item.ended_ms}
            for item in history.checks
        )
        not_known.extend(
            {"household": household_id, "from": low, "to": high}
            for low, high in detector.not_known_runs(household_id, until_ms // PULSE_MS * PULSE_MS)
        )
    effective.sort(key=lambda item: (item["at"], item["household"], item["stage"]))
    checks.sort(key=lambda item: (item["at"], item["household"], item["step"]))
    not_known.sort(key=lambda item: (item["from"], item["household"]))
    return {
        "effective": effective,
        "checks": checks,
        "announced": _announced(facts),
        "not_known": not_known,
        "admission": counts.settle(detector),
    }


def _announced(facts: list[Any]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    for fact in facts:
        if isinstance(fact, Crossing):
            rows[(fact.household_id, fact.stage, fact.announced_ms)] = {
                "household": fact.household_id,
                "stage": fact.stage,
                "at": fact.at_ms,
                "announced_at": fact.announced_ms,
                "withdrawn_at": None,
            }
        elif isinstance(fact, Withdrawal):
            rows[(fact.household_id, fact.stage, fact.announced_ms)]["withdrawn_at"] = fact.withdrawn_ms
    return sorted(rows.values(), key=lambda row: (row["announced_at"], row["household"], row["stage"]))
