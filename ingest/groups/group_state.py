"""Messages and pulses of one shard group enter; what is to be written in one turn leaves. No I/O, no clock.

The state is thrown away at every failed commit and built again from the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from ingest import metrics
from ingest.admission import (
    AdmittedEvent,
    AdmittedHeartbeat,
    AdmittedState,
    Admitter,
    Item,
    Message,
    Refused,
    refuse,
)
from ingest.arrays.reader import ArrayReader
from ingest.arrays.rows import StoredArray
from ingest.causes import Causes, OutageCause, Wiring
from ingest.detector import Detector, Fact, HouseholdView, OutageBegan, OutageEnded
from ingest.detector.cold import Hot, Stored
from ingest.detector.facts import Taken
from ingest.groups.grace import Grace
from ingest.groups.losses import Losses
from ingest.groups.own_clock import OwnClock
from ingest.rows.book import Book, BookChanges
from ingest.rows.event_rows import StoredEvent
from ingest.rows.fact_rows import StoredFact
from ingest.rows.unsaved import Coverage, Told
from ingest.store import DeviceNote, Turn, Waiting, implausible_payload
from kaimen.policy import DAY_MS, MINUTE_MS, PAST_MAX_MS
from kaimen.vocabulary import Admission, QuarantineReason

PULSE_MS = 1000
#: Devices put to sleep after a turn, where more are awake than may be: some microseconds each, and as many as it woke.
RESTED_PER_TURN, RESTED_PER_EVENT = 100, 2
#: A turn ends within so long: what was not owed when it began is not owed at its end.
OWED_MARGIN_MS = 60_000
#: Rows told of together while a turn goes on: fewer would cost more than is gained.
ROWS_AT_ONCE = 1_000


class Loader(Protocol):
    """Brings what is stored of one device; ``number_of`` are the devices' numbers there."""

    number_of: Mapping[str, int]

    def load(self, device_id: str) -> Stored:
        """Return everything of a device that is committed."""
        ...


class GroupState:
    """What one shard group knows: the detector and the causes, and what they have to say since the last turn."""

    def __init__(
        self,
        book: Book,
        detector: Detector,
        causes: Causes,
        coverage: Coverage,
        *,
        pulse_ms: int,
        own_clock: OwnClock | None = None,
        grace: Grace | None = None,
        losses: Losses | None = None,
        loader: Loader | None = None,
        reader: ArrayReader | None = None,
    ) -> None:
        self._loader = loader
        self.book = book
        self.causes = causes
        self.coverage = coverage
        self._detector = detector
        self._admitter = Admitter(book.registry)
        #: What reads arrays into columns; without one every message goes the plain way.
        self._reader = reader
        self._own_clock = own_clock
        self._grace = grace or Grace(book.registry)
        self._losses = losses or Losses()
        self._pulse_ms = pulse_ms
        self._pulsed = False
        self._owed_ms: int | None = None
        self._turn = Turn(pulse_ms, None)
        self.refused_events: frozenset[tuple[str, bytes]] = frozenset()

    @property
    def pulse_ms(self) -> int:
        """The newest pulse."""
        return self._pulse_ms

    @property
    def has_pulsed(self) -> bool:
        """Whether everything was said that is due by the newest pulse: every turn ends with one from then on.

        Not before the first pulse, nor while there may be something to say of a home that waits to be judged.
        """
        return self._pulsed and self._detector.owed_ms > self._pulse_ms + OWED_MARGIN_MS

    @property
    def is_behind(self) -> bool:
        """Whether homes wait for their first judgement: there is work whatever comes."""
        return self._detector.backlog_count > 0

    @property
    def turn(self) -> Turn:
        """What there is to write so far."""
        return self._turn

    def take_changes(self, changes: BookChanges) -> None:
        """Take over what changed of the registry; the book, which detector and grace share, is brought up to it."""
        self._detector.take_changes(changes.registry)
        self.book.take(changes)
        devices = changes.registry.devices
        if devices:
            self._admitter = Admitter(self.book.registry)
        self.causes.change_wiring(
            {key: device if isinstance(device, Wiring) else None for key, device in devices.items()}
        )
        self._owe_pulse(self._pulse_ms)

    def begin_gap(self, kind: OutageCause, from_ms: int, *, restarted: bool = False) -> None:
        """Note that since ``from_ms`` nobody could be heard; ``restarted``: we are back, but not listening yet."""
        if self.causes.begin_gap(kind, from_ms, restarted=restarted) and restarted:
            self._grace.begin(kind, self._pulse_ms)

    def end_gap(self, to_ms: int) -> None:
        """Note that devices can be heard again."""
        if self.causes.end_gap(to_ms) and self.causes.gap is not None:
            self._grace.listen(self.causes.gap.kind, to_ms)

    def apply(
        self,
        messages: Sequence[Message],
        now_ms: int,
        *,
        may_pulse: bool = True,
        tell: Callable[[Turn], None] | None = None,
    ) -> None:
        """Take messages in the order received, each second pulsed with what had been received by then.

        ``tell`` is given the turn whenever it has some thousand more rows, and must not change it.
        """
        start = 0
        while start < len(messages):
            # No pulse falls between messages of one second: they are taken together.
            stop = len(messages)
            if may_pulse:
                pulse_ms = _pulse_before(messages[start])
                self._pulse_to(pulse_ms)
                later = (at for at in range(start + 1, stop) if _pulse_before(messages[at]) > pulse_ms)
                stop = next(later, stop)
            self._take_all(messages[start:stop], tell)
            start = stop
        if may_pulse:
            self._pulse_to(now_ms // PULSE_MS * PULSE_MS)

    def _pulse_to(self, pulse_ms: int) -> None:
        """Pulse the second that first sees what was taken since the last pulse, then this one."""
        if self._owed_ms is not None and self._owed_ms <= pulse_ms:
            self._pulse_at(self._owed_ms)
        # A rebuilt detector judges everybody at its first pulse, also when no second has passed since.
        if pulse_ms > self._pulse_ms or not self._pulsed or self.is_behind:
            self._pulse_at(max(pulse_ms, self._pulse_ms))

    def _pulse_at(self, pulse_ms: int) -> None:
        self._pulse_ms = pulse_ms
        self._owed_ms = None
        self._pulsed = True
        facts = self._detector.pulse(pulse_ms)
        silences: list[OutageBegan | OutageEnded] = [*self.causes.pulse(pulse_ms)]
        others: list[Fact] = []
        for fact in facts:
            if isinstance(fact, OutageBegan | OutageEnded):
                silences.append(fact)
            else:
                others.append(fact)
        stated: list[StoredFact] = [*self.causes.take(silences, pulse_ms)]
        stated += self._grace.filter(others, pulse_ms)
        self._turn.facts += stated

    def _owe_pulse(self, from_ms: int) -> None:
        """Note the first second that sees what is taken now: one that was pulsed already is not pulsed again."""
        next_ms = self._pulse_ms + PULSE_MS if self._pulsed else self._pulse_ms
        first_ms = max(-(-from_ms // PULSE_MS) * PULSE_MS, next_ms)
        self._owed_ms = first_ms if self._owed_ms is None else min(self._owed_ms, first_ms)

    def take(self, message: Message) -> list[Item]:
        """Take one message without any pulse; return what admission made of it."""
        return self._take_all([message])

    def _take_all(
        self, messages: Sequence[Message], tell: Callable[[Turn], None] | None = None
    ) -> list[Item]:
        """Take messages between which there is no pulse, in the order received."""
        self._owe_pulse(min(message.received_ms for message in messages))
        admit = self._admitter.admit
        counted = dict.fromkeys(Admission, 0)
        taken: list[Item] = []
        untold = 0
        for message in messages:
            if tell is not None and untold >= ROWS_AT_ONCE:
                tell(self._turn)
                untold = 0
            if message.topic.endswith("/evb") and self._take_array(message, counted):
                untold += len(self._turn.arrays[-1])
                continue
            items = admit(message)
            taken += items
            if len(items) == 1 and type(item := items[0]) is AdmittedEvent:
                self._take_one(item, message.received_ms, counted)
                untold += 1
                continue
            run = [item for item in items if type(item) is AdmittedEvent]
            for item in items:
                if type(item) is AdmittedEvent:
                    continue
                if type(item) is AdmittedHeartbeat:
                    self._take_heartbeat(item, message.received_ms)
                elif isinstance(item, AdmittedState):
                    self._take_state(item)
                else:
                    assert isinstance(item, Refused)
                    self._refuse(item)
            if run:
                self._take_run(run, message.received_ms, counted)
                untold += len(run)
        for admission, count in counted.items():
            if count:
                metrics.EVENTS.labels(admission.value).inc(count)
        return taken

    def _take_array(self, message: Message, counted: dict[Admission, int]) -> bool:
        """Take a message's events as columns, if they are an array that plainly goes on; say whether they were."""
        if self._reader is None or self.refused_events:
            return False
        device_id = self._admitter.device_of_array(message)
        if device_id is None:
            return False
        read = self._reader.read(device_id, message)
        if read is None:
            return False
        told = self._detector.take_array(device_id, read.boot, read.events)
        if told is None:
            return False
        counted[Admission.LATE] += told.late
        counted[Admission.ACCEPTED] += len(read) - told.late
        self._turn.arrays.append(StoredArray(read, told.household_id))
        self._losses.arrived(device_id, read.boot, int(read.events.seq[0]))
        self.causes.hear(device_id, min(int(read.events.ts[0]), message.received_ms))
        self.causes.hear(device_id, min(int(read.events.ts[-1]), message.received_ms))
        return True

    def take_again(self, waiting: Waiting) -> None:
        """Take a quarantined message as if it were just handled, with its own receipt."""
        items = (
            self.take(Message(waiting.topic, waiting.payload, waiting.received_ms)) if waiting.whole else []
        )
        refused_again = not waiting.whole or any(
            isinstance(item, Refused) and item.reason is waiting.reason for item in items
        )
        (self._turn.refused_again_ids if refused_again else self._turn.replayed_ids).append(waiting.row_id)

    def _take_one(self, item: AdmittedEvent, message_ms: int, counted: dict[Admission, int]) -> None:
        """Take an event that came alone, as ``_take_run`` would: half of a run's work would be for nothing."""
        if self.refused_events and self._was_refused(item):
            return
        device_id = item.device_id
        told = self._detector.take_event(device_id, item.event, received_ms=item.received_ms)
        instant_ms = self._keep(item, told, message_ms, counted)
        if instant_ms is not None:
            self._losses.arrived(device_id, item.event.boot, item.event.seq)
            self.causes.hear(device_id, min(instant_ms, message_ms))

    def _keep(
        self, item: AdmittedEvent, told: Taken, message_ms: int, counted: dict[Admission, int]
    ) -> int | None:
        """Let the turn write what was taken; return the event's instant where it is new and plausible."""
        admission, at_ms = told.admission, told.instant_ms
        counted[admission] += 1
        if admission is Admission.DUPLICATE:
            return None
        plausible = admission is not Admission.IMPLAUSIBLE
        instant_ms = message_ms if at_ms is None else at_ms
        self._turn.events.append(StoredEvent(item, message_ms, instant_ms, told.household_id, plausible))
        if not plausible:
            self._note_implausible(item, instant_ms)
            return None
        return instant_ms

    def _take_run(self, run: Sequence[AdmittedEvent], message_ms: int, counted: dict[Admission, int]) -> None:
        """Take the events of one message: of one device and boot, their numbers ascending."""
        if self.refused_events:
            run = [item for item in run if not self._was_refused(item)]
            if not run:
                return
        device_id = run[0].device_id
        taken = self._detector.take_run(
            device_id, [item.event for item in run], [item.received_ms for item in run]
        )
        heard_ms: int | None = None
        for item, told in zip(run, taken, strict=True):
            instant_ms = self._keep(item, told, message_ms, counted)
            if instant_ms is None:
                continue
            if heard_ms is None:
                # Of numbers that ascend the first is the one that may have been given up.
                self._losses.arrived(device_id, item.event.boot, item.event.seq)
                heard_ms = min(instant_ms, message_ms)
                self.causes.hear(device_id, heard_ms)
            elif instant_ms > heard_ms:
                heard_ms = min(instant_ms, message_ms)
        if heard_ms is not None and len(run) > 1:
            self.causes.hear(device_id, heard_ms)

    def _was_refused(self, item: AdmittedEvent) -> bool:
        """Refuse an event that the database would not take before; say whether it is one."""
        if (item.topic, implausible_payload(item)) not in self.refused_events:
            return False
        self._refuse(_refusal_of(item, QuarantineReason.STORE_REFUSED, "the database refused this event"))
        return True

    def _note_implausible(self, item: AdmittedEvent, instant_ms: int) -> None:
        refusal = _refusal_of(
            item,
            QuarantineReason.IMPLAUSIBLE_TIME,
            f"the event would have happened {_span_words(instant_ms - item.received_ms)} its receipt",
        )
        self._turn.refusals.append(refusal)
        metrics.QUARANTINED.labels(refusal.reason.value).inc()

    def _take_heartbeat(self, item: AdmittedHeartbeat, message_ms: int) -> None:
        heartbeat = item.heartbeat
        taken = self._detector.take_heartbeat(item.device_id, heartbeat, received_ms=item.received_ms)
        metrics.HEARTBEATS.inc()
        if self._own_clock is not None:
            self._own_clock.observe(item.device_id, heartbeat, message_ms)
        plausible = taken.admission is not Admission.IMPLAUSIBLE
        if plausible:
            self.causes.hear(item.device_id, message_ms)
            self._losses.note(item.device_id, heartbeat.boot, heartbeat.first_seq)
        else:
            self._losses.implausible_heartbeats[item.device_id] += 1
            metrics.HEARTBEATS_IMPLAUSIBLE.inc()
        self.coverage.note(Told(item.device_id, heartbeat, message_ms, plausible))

    def _take_state(self, item: AdmittedState) -> None:
        status = item.state.status
        self.causes.note_state(item.device_id, status, item.received_ms, retained=item.retained)
        heard_ms = item.received_ms if status == "online" and not item.retained else None
        facts = {"firmware": item.state.fw} if item.state.fw else {}
        self._turn.notes.append(DeviceNote(item.device_id, status, heard_ms, facts))

    def _refuse(self, refused: Refused) -> None:
        self._turn.refusals.append(refused)
        metrics.QUARANTINED.labels(refused.reason.value).inc()
        if refused.event_count:
            metrics.EVENTS.labels(Admission.QUARANTINED.value).inc(refused.event_count)

    def pack(self, devices: int) -> None:
        """Let the detector pack what is settled of the next few devices, and forget what no rule looks at any more."""
        self._detector.pack(devices, self._pulse_ms - PAST_MAX_MS - DAY_MS)

    def collect_passed(self) -> None:
        """Let what went past sleeping devices and is not written yet be known outside the detector."""
        self.coverage.take_passed(self._detector.take_passed())

    def collect(self, devices: Iterable[str]) -> None:
        """Let what was heard of some devices and is not written yet be known outside the detector."""
        self._detector.wake(devices)
        self.coverage.collect(self._detector)

    def hot_of(self, device_id: str) -> Hot | None:
        """Return what is at hand of a device; call between ``draft`` and ``confirm``."""
        return self._detector.hot_of(device_id)

    def laden(self, looked_max: int, devices_max: int, *, events_min: int, events_max: int) -> dict[str, int]:
        """Return which of the next few devices hold so many events that the database has, each with how many."""
        if self._loader is None:
            return {}  # nobody could bring them again
        return self._detector.laden(looked_max, devices_max, events_min=events_min, events_max=events_max)

    def relieved_of(self, device_id: str) -> Hot | None:
        """Return the least that must be at hand of a device; call as ``hot_of``."""
        return self._detector.relieved_of(device_id)

    def cool(self, hot: Hot, kept_from_ms: int) -> None:
        """Let go of what lies in the database of a device; call after the turn of its ``hot_of`` is committed."""
        if self._loader is not None:
            self._detector.cool(hot, self._loader.load, kept_from_ms=kept_from_ms)

    def draft(self, now_ms: int) -> Turn:
        """Return what there is to write; the same turn grows until ``confirm``."""
        # By the minute, and a minute for those a turn has no room for: nothing is forgotten that is older than a flush.
        since_ms = now_ms - max(0, self.coverage.flush_ms - 2 * MINUTE_MS)
        self.coverage.collect(self._detector, since_ms=since_ms)
        self._turn.now_ms = now_ms
        self._turn.pulse_ms = now_ms if self.has_pulsed else None
        self._turn.views += [self._as_told(view) for view in self._detector.take_changed_views()]
        self._turn.first_heard |= self.causes.take_first_heard()
        self._turn.losses = self._losses.due(now_ms)
        self._turn.implausible = dict(self._losses.implausible_heartbeats)
        self.coverage.fill(self._turn)
        return self._turn

    def _as_told(self, view: HouseholdView) -> HouseholdView:
        """A check that waits is nobody's work yet, and is not shown as such."""
        step = self._grace.told_step(view.household_id, view.check_step)
        return view if step == view.check_step else replace(view, check_step=step)

    def confirm(self, turn: Turn) -> None:
        """The turn is committed: begin an empty one."""
        assert turn is self._turn
        self.coverage.confirm(turn)
        self._losses.confirm(turn.losses, turn.now_ms)
        self._losses.implausible_heartbeats.subtract(turn.implausible)
        self._losses.implausible_heartbeats += Counter()  # keeps what is above nothing
        self._detector.rest(RESTED_PER_TURN + RESTED_PER_EVENT * turn.event_count + len(turn.points))
        self._turn = Turn(turn.now_ms, None)


def _pulse_before(message: Message) -> int:
    """Return the last whole second that passed before a message came."""
    return (message.received_ms - 1) // PULSE_MS * PULSE_MS


def _refusal_of(item: AdmittedEvent, reason: QuarantineReason, found: str) -> Refused:
    return refuse(
        reason, found, item.topic, item.device_id, implausible_payload(item), item.received_ms, event_count=1
    )


def _span_words(span_ms: int) -> str:
    side = "after" if span_ms > 0 else "before"
    return f"{abs(span_ms) // 1000} s {side}"


# -- the loop ---------------------------------------------------------------------------------------------------
