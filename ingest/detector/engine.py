"""The detector: messages and pulses enter, facts leave. No I/O, no clock.

Between messages a household changes only at instants that are known in advance; each has one due instant in an
array, and a pulse looks at what is due and at what messages have touched. What the compiled kernel cannot settle by
itself the plain rule judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import islice
from types import MappingProxyType

import numpy as np

from ingest.detector import kernel
from ingest.detector.arming import arm
from ingest.detector.backlog import Backlog
from ingest.detector.batches import Batch, FastLane
from ingest.detector.changes import RegistryChanges
from ingest.detector.cold import (
    HOT_ENTRIES_SHARED_MAX,
    RELIEVED_ENTRIES_MAX,
    Hot,
    Load,
    cool,
    hot_of,
    still_holds,
    take_tail,
)
from ingest.detector.coverage import BootTrack, DeviceTrack, EventVerdict
from ingest.detector.facts import (
    BootBase,
    CheckDue,
    CoveragePoint,
    Crossing,
    Evidence,
    Fact,
    HouseholdView,
    OutageBegan,
    Taken,
    TakenArray,
)
from ingest.detector.going_on import (
    LIVES,
    REFRESHED_MAX,
    TELLS,
    Gone,
    go_on,
    go_on_together,
    is_worth_refreshing,
)
from ingest.detector.homes import Homes, Registry
from ingest.detector.outages import Outages
from ingest.detector.packed import PackedEvents
from ingest.detector.rule import HouseholdRule
from ingest.detector.sleeping import (
    Remembered,
    Went,
    fall_asleep,
    go_past,
    told_of,
)
from ingest.detector.state import AWAKE_MAX, FOREVER, PLAIN, PULSE_MS, WatchState
from ingest.detector.stretches import base_of, point_of, stretch_of
from ingest.detector.tracks import Tracks
from ingest.detector.watches import (
    Watch,
    announce,
    check_ended,
    note_checks,
    note_known,
    view_of,
    withdraw,
    withdrawal,
)
from kaimen import wire
from kaimen.policy import ATTRIBUTION_AFTER_GRANT_MS, ATTRIBUTION_FORCED_MS, LATE_AFTER_MS, MINUTE_MS
from kaimen.vocabulary import Admission

#: A device with fewer events as they were said is left alone: packing it would gain nothing. One that may sleep when
#: what it keeps is older, and could not with anything packed, is left alone for longer.
PACKED_FROM_EVENTS, PACKED_FROM_EVENTS_COLD = 64, 256
#: Kept before the evidence that counts: what tells whose it was, and a sound point to watch from.
FORGET_MARGIN_MS = 3_600_000
#: As much where memory is short: what tells whose it was, and no more. What reaches further is read again.
RELIEVED_MARGIN_MS = 2 * max(ATTRIBUTION_AFTER_GRANT_MS, ATTRIBUTION_FORCED_MS)
#: Room for so many more homes is made where it is needed, as a part of those there are.
GROWN_PART = 64
#: Where thousands are judged or taken up at once, so many are awake beyond that.
RESTED_EVERY = 512


Passed = tuple[list[CoveragePoint], list[BootBase]]


def pulse_at_or_after(instant_ms: int) -> int:
    """Return the first whole second at or after an instant."""
    return -(-instant_ms // PULSE_MS) * PULSE_MS


class Detector:
    """Watches the households of a registry.

    ``retain`` keeps every heartbeat, for judging a recorded stream exactly; a service folds them.
    """

    def __init__(
        self, registry: Registry, *, now_ms: int, retain: bool = False, awake_max: int = AWAKE_MAX
    ) -> None:
        self._retain = retain
        self._awake_max = awake_max
        self._pulse_ms = self._next_ms = pulse_at_or_after(now_ms)
        self._registry = registry
        self._tracks = Tracks(retain=retain, told=self._note_boot)
        self._homes = Homes(self._tracks)
        self._outages = Outages(self._homes)
        #: Numbers of the households to be judged at the next pulse, and of those judged since the views were taken; of
        #: the latter those that sleep again have theirs made.
        self._dirty: set[int] = set()
        self._changed_views: set[int] = set()
        self._views: dict[int, HouseholdView] = {}
        self._changed_boots: dict[tuple[str, str], BootTrack] = {}
        #: Sleeping devices that heartbeats went past, by the minute of the first that nobody was told of.
        self._went_past: dict[int, list[str]] = {}
        #: Devices that were told of such heartbeats when they woke.
        self._told: set[str] = set()
        #: Those that wait for their first judgement, and how many of them a pulse takes; None: everybody at once.
        self._backlog = Backlog()
        self._judged_max: int | None = None
        self._pending: list[Fact] = []
        self._lane: FastLane | None = None
        self._packed_to = self._looked_to = 0
        self._lay_out()

    # -- registry -------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.settle()
        self._lane = None
        #: What ``columns.device`` of a batch counts.
        self._device_ids = list(self._registry.devices)
        self._backlog = Backlog()
        gone = self._homes.replace(self._registry)
        self._changed_views.clear()
        self._views.clear()
        self._state = WatchState(len(self._homes))
        self._found = np.empty(len(self._state.due_s), np.int64)
        for number, _ in self._homes.numbered():
            self._set_up(number)
        for watch in gone:
            self._let_go(watch)
        self._dirty = set(range(len(self._homes)))

    def _set_up(self, number: int) -> None:
        """Arm a household that is not judged yet, for the first pulse that was not made: what is past stays as it was said."""
        household = self._homes[number]
        self._state.set_due(number, max(household.watched_from_ms, self._next_ms))
        self._state.set_thresholds(number, household.thresholds_ms)

    # -- first judgements -----------------------------------------------------------------------------------

    def put_off(self, judged_max: int, evidence: Mapping[str, tuple[int, int]]) -> None:
        """Judge no more than so many homes at a pulse only because nobody judged them yet.

        ``evidence`` is the instant of each home's newest and its stage, as they were seen last. First come those of
        whom there may be something to say soonest; who is touched or comes later than that is judged as ever.
        """
        self._judged_max = judged_max
        if len(self._dirty) > judged_max:
            self._put_off(self._dirty, evidence)

    def _put_off(self, numbers: Set[int], evidence: Mapping[str, tuple[int, int]]) -> None:
        later = sorted(numbers)
        self._backlog.add(later, [self._owed_ms(number, evidence) for number in later])
        for number in later:
            self._state.set_due(number, FOREVER)
        self._dirty.difference_update(later)

    def _owed_ms(self, number: int, evidence: Mapping[str, tuple[int, int]]) -> int:
        """Return an instant before which nothing can have to be said of a home.

        Whatever she did since, no stage is reached sooner than its threshold after the newest evidence, and none was
        before she was watched.
        """
        home = self._homes[number]
        since_ms, stage = evidence.get(home.household_id, (home.watched_from_ms, 0))
        if (stage and home.absences) or (not evidence and self._homes.is_known(number)):
            return 0
        return since_ms + home.thresholds_ms[stage] if stage < len(home.thresholds_ms) else FOREVER

    @property
    def backlog_count(self) -> int:
        """How many homes wait for their first judgement."""
        return len(self._backlog)

    @property
    def owed_ms(self) -> int:
        """The instant before which nothing can have to be said of any of them."""
        return self._backlog.owed_ms()

    def _let_go(self, watch: Watch | Remembered) -> None:
        """A household is no longer watched (consent withdrawn, moved): nothing may stand for it."""
        cause: Evidence = {"kind": "not_watched"}
        for crossing in watch.standing.values():
            self._pending.append(withdrawal(crossing, self._pulse_ms, self._pulse_ms, cause))
        for check in watch.checks.values():
            self._pending.append(check_ended(check, self._pulse_ms, self._pulse_ms, cause))

    def replace_registry(self, registry: Registry) -> None:
        """Take over changed devices, households, absences, words of witnesses and policies; judge everybody anew."""
        self._registry = registry
        self._lay_out()

    def take_changes(self, changes: RegistryChanges) -> None:
        """Take over what changed of the registry, which is brought up to that; judge anew whom it concerns, as
        ``replace_registry`` would everybody.
        """
        self.settle()
        self._lane = None
        for device_id, device in changes.devices.items():
            if device is None and device_id in self._registry.devices:
                self._device_ids.remove(device_id)
            elif device is not None and device_id not in self._registry.devices:
                self._device_ids.append(device_id)
        moved = self._homes.take(changes, self._registry)
        if len(self._homes) > len(self._state.due_s):
            self._state.grow(len(self._homes) + len(self._homes) // GROWN_PART)
            self._found = np.empty(len(self._state.due_s), np.int64)
        for number in (*moved.left, *moved.touched):
            self._backlog.drop(number)
            self._state.level[number] = PLAIN
            self._state.set_due(number, FOREVER)
            self._dirty.discard(number)
            self._changed_views.discard(number)
            self._views.pop(number, None)
        for watch in moved.gone:
            self._let_go(watch)
        for number in moved.touched:
            self._set_up(number)
        self._dirty |= moved.touched
        if self._judged_max is not None and len(moved.touched) > self._judged_max:
            self._put_off(moved.touched, {})

    # -- messages -------------------------------------------------------------------------------------------

    def take_event(self, device_id: str, event: wire.Event, *, received_ms: int) -> Taken:
        """Take one event of a registered device; say which class it is and where in time it stands."""
        if self._lane is not None:
            self._leave_lane(device_id)
        track = self._tracks[device_id]
        verdict = track.take_event(event, received_ms)
        self._changed_boots[(device_id, event.boot)] = track.boots[event.boot]
        admission = self._classify(verdict, received_ms)
        if verdict.fresh or verdict.moved:
            self._touch(device_id, track, verdict, tells=event.type in TELLS)
            if self._homes.sharers(device_id):
                self._touch_sharers(device_id, verdict, event)
        self._tracks.touch(device_id)
        household_id = self.household_of(device_id, verdict.instant_ms)
        sound = admission is Admission.ACCEPTED or admission is Admission.LATE
        lives = sound and event.type in LIVES
        return Taken(admission, verdict.instant_ms, verdict.rebased, household_id, lives)

    def take_run(self, device_id: str, events: Sequence[wire.Event], receipts: Sequence[int]) -> list[Taken]:
        """Take events of one device in order, as ``take_event`` of each would; ``receipts`` are theirs."""
        if self._lane is not None:
            self._leave_lane(device_id)
        track = self._tracks[device_id]
        self._tracks.touch(device_id)
        taken: list[Taken] = []
        refreshed = 0
        while (start := len(taken)) < len(events):
            gone = go_on(track, events, receipts, start, self._pulse_ms)
            if (
                gone.reached == start
                and refreshed < REFRESHED_MAX
                and is_worth_refreshing(track, len(events) - start)
            ):
                # A start that was just heard of: brought up to date, the rest may go on from it.
                track.heard_ms()
                refreshed += 1
                gone = go_on(track, events, receipts, start, self._pulse_ms)
            if gone.reached > start:
                part = slice(start, gone.reached)
                taken += self._note_gone(device_id, track, events[part], receipts[part], gone)
            if gone.reached < len(events):
                event, received_ms = events[gone.reached], receipts[gone.reached]
                taken.append(self.take_event(device_id, event, received_ms=received_ms))
        return taken

    def take_array(self, device_id: str, boot: str, events: PackedEvents) -> TakenArray | None:
        """Take an array's events if they plainly go on, as ``take_run`` would; None, and nothing is taken, if not.

        ``events`` are of one boot, ascending without a gap, by a synchronised clock. Each is accepted, at its ``ts``.
        """
        dwellers = self._homes.dwellers(device_id)
        if self._lane is not None or (dwellers and self._homes.is_bounded(dwellers[0])):
            return None
        track = self._tracks[device_id]
        self._tracks.touch(device_id)
        gone = go_on_together(track, boot, events, self._pulse_ms)
        if gone is None:
            return None
        self._note_homes(device_id, track.boots[boot], gone, {words[4] for words in events.words})
        late = int((events.received - events.ts > LATE_AFTER_MS).sum())
        return TakenArray(self._homes[dwellers[0]].household_id if dwellers else None, late)

    def _note_homes(self, device_id: str, boot: BootTrack, gone: Gone, said: set[str | None]) -> None:
        """Note for the homes behind a door that its events went on; ``said`` are their credentials."""
        self._changed_boots[(device_id, boot.boot)] = boot
        for number in self._homes.dwellers(device_id):
            if gone.known_until_ms is not None and self._state.level[number] != PLAIN:
                self._state.set_known_until(number, gone.known_until_ms)
            if gone.tells:
                self._dirty.add(number)
        if self._homes.sharers(device_id):
            owners = {self._homes.owner_of(token) for token in said} - {None}
            self._dirty.update(self._homes.sharing(device_id, owners))

    def _note_gone(
        self,
        device_id: str,
        track: DeviceTrack,
        events: Sequence[wire.Event],
        receipts: Sequence[int],
        gone: Gone,
    ) -> list[Taken]:
        """Note for the homes behind a door that its events went on, and say of each what became of it."""
        said = {event.cred for event in events} if self._homes.sharers(device_id) else set()
        self._note_homes(device_id, track.boots[events[0].boot], gone, said)
        dwellers = self._homes.dwellers(device_id)
        settled = not dwellers or not self._homes.is_bounded(dwellers[0])
        owner = self._homes[dwellers[0]].household_id if dwellers else None
        return [
            Taken(
                Admission.LATE if received_ms - event.ts > LATE_AFTER_MS else Admission.ACCEPTED,
                event.ts,
                False,
                owner if settled else self.household_of(device_id, event.ts),
                event.type in LIVES,
            )
            for event, received_ms in zip(events, receipts, strict=True)
        ]

    def take_heartbeat(self, device_id: str, heartbeat: wire.Heartbeat, *, received_ms: int) -> Taken:
        """Take one heartbeat of a registered device."""
        if self._lane is not None:
            self._leave_lane(device_id)
        asleep = self._tracks.asleep(device_id)
        if asleep is not None:
            went = go_past(asleep, heartbeat, received_ms, self._pulse_ms)
            if went is not None:
                return self._let_pass(device_id, went, received_ms)
        track = self._tracks[device_id]
        verdict = track.take_heartbeat(heartbeat, received_ms)
        self._changed_boots[(device_id, heartbeat.boot)] = track.boots[heartbeat.boot]
        self._touch(device_id, track, verdict, tells=False)
        if verdict.moved:
            self._dirty.update(self._homes.sharers(device_id))
        admission = Admission.ACCEPTED if verdict.plausible else Admission.IMPLAUSIBLE
        return Taken(admission, verdict.instant_ms, verdict.rebased, None, False)

    def _let_pass(self, device_id: str, went: Went, received_ms: int) -> Taken:
        """Note for the home behind a sleeping track that its watching goes on."""
        if went.is_first:
            self._went_past.setdefault(received_ms // MINUTE_MS, []).append(device_id)
        if went.home >= 0 and self._state.level[went.home] != PLAIN:
            self._state.set_known_until(went.home, went.instant_ms + went.supervision_ms)
        return Taken(Admission.ACCEPTED, went.instant_ms, False, None, False)

    # -- batches --------------------------------------------------------------------------------------------

    def take_batch(self, batch: Batch, stop: int | None = None) -> Taken | None:
        """Take a batch from where it stands, up to ``stop`` (excluded) or just after the first message that is no plain
        going on, as ``take_event`` and ``take_heartbeat`` would; return what became of that one, None if there was none.

        All messages taken in one call must be such that no pulse between them would have had work (``has_work``).
        The batch is kept, and must not be changed, until every track was given what went past it.
        """
        if self._lane is None:
            self._tracks.wake_all()  # and nobody sleeps beside a lane
            self._lane = FastLane(list(self._registry.devices), self._tracks, self._state)
        stop = len(batch.columns) if stop is None else stop
        if batch.reached < stop and self._lane.is_left_over(batch):
            row = batch.reached - 1
        else:
            found = self._lane.take(batch, stop)
            if found is None:
                return None
            row = found
        message = batch.messages[row]
        device_id = self._device_ids[int(batch.columns.device[row])]
        received_ms = int(batch.columns.received[row])
        if isinstance(message, wire.Event):
            taken = self.take_event(device_id, message, received_ms=received_ms)
        else:
            taken = self.take_heartbeat(device_id, message, received_ms=received_ms)
        if self._dirty.isdisjoint(self._homes.dwellers(device_id)):
            self._enter_lane(device_id)
        return taken

    def _leave_lane(self, device_id: str) -> None:
        """Bring a device's track up to date and take its next messages one by one."""
        if self._lane is not None:
            for boot in self._lane.leave(device_id):
                self._changed_boots[(device_id, boot.boot)] = boot

    def _enter_lane(self, device_id: str) -> None:
        """Let a device's next messages go past its track where nobody could tell the difference."""
        lane, track = self._lane, self._tracks[device_id]
        if lane is None or device_id not in lane.index:
            return
        until = track.known_until()
        silent = until is None or until < self._pulse_ms
        if silent or not lane.arm(device_id, lives=self._is_quiet(device_id, track)):
            lane.disarm(device_id)
        for number in self._homes.dwellers(device_id):
            simple = self._state.level[number] != PLAIN
            lane.hot.device_of[number] = lane.index[device_id] if simple else -1

    def _is_quiet(self, device_id: str, track: DeviceTrack) -> bool:
        """Say whether an opening of this door could only set one household's inactivity back to nothing."""
        dwellers = self._homes.dwellers(device_id)
        if self._homes.sharers(device_id) or len(dwellers) > 1:
            return False
        if not dwellers:
            return True
        watch = self._homes.watch(dwellers[0])
        heard = track.heard_ms()
        if self._state.level[watch.index] != 0 or heard is None:
            return False
        if any(low <= self._pulse_ms and high > heard for low, high in watch.rule.absences):
            return False
        track.reach(heard - ATTRIBUTION_FORCED_MS)
        if track.forced and track.forced[-1] >= heard - ATTRIBUTION_FORCED_MS:
            return False
        return not watch.rule.others_passed(track, heard - ATTRIBUTION_AFTER_GRANT_MS)

    def _settle(self, device_id: str) -> None:
        if self._lane is not None:
            for boot in self._lane.settle(device_id):
                self._changed_boots[(device_id, boot.boot)] = boot

    def _settle_watch(self, watch: Watch) -> None:
        if self._lane is not None:
            for _, track in watch.rule.doors:
                self._settle(track.device_id)

    def settle(self) -> None:
        """Give every track what went past it, and let go of the batches."""
        if self._lane is not None:
            for device_id, boot in self._lane.settle_all():
                self._changed_boots[(device_id, boot.boot)] = boot

    def _note_boot(self, device_id: str, boot: BootTrack) -> None:
        self._told.add(device_id)
        self._changed_boots[(device_id, boot.boot)] = boot

    def _classify(self, verdict: EventVerdict, received_ms: int) -> Admission:
        if not verdict.plausible:
            return Admission.IMPLAUSIBLE
        if not verdict.fresh:
            return Admission.DUPLICATE
        if received_ms - verdict.instant_ms > LATE_AFTER_MS:
            return Admission.LATE
        return Admission.ACCEPTED

    def _touch(self, device_id: str, track: DeviceTrack, verdict: EventVerdict, *, tells: bool) -> None:
        dwellers = self._homes.dwellers(device_id)
        before = verdict.heard_before_ms
        if (
            tells
            or not verdict.extended
            or before is None
            or before + track.supervision_ms < self._pulse_ms  # it was silent
        ):
            self._dirty.update(dwellers)
            return
        known_until = track.known_until()
        for number in dwellers:
            if known_until is not None and self._state.level[number] != PLAIN:
                self._state.set_known_until(number, known_until)

    def _touch_sharers(self, device_id: str, verdict: EventVerdict, event: wire.Event) -> None:
        """A shared door tells a household only of its own people; where the base moved, perhaps of their instants."""
        if verdict.moved:
            self._dirty.update(self._homes.sharers(device_id))
        elif (owner := self._homes.owner_of(event.cred)) is not None:
            self._dirty.update(self._homes.sharing(device_id, {owner}))

    # -- sleep ----------------------------------------------------------------------------------------------

    def rest(self, devices_max: int | None = None) -> None:
        """Let those sleep that were not asked for longest, where more are awake than may be; so many at the most."""
        awake = self._tracks.awake
        spare = len(awake) - self._awake_max
        if spare <= 0 or self._lane is not None:
            return
        for device_id in list(islice(awake, spare if devices_max is None else min(spare, devices_max))):
            if not self._let_sleep(device_id):
                self._tracks.touch(device_id)

    def _let_sleep(self, device_id: str) -> bool:
        """Put a device and the home behind it to sleep; say whether they were."""
        track = self._tracks[device_id]
        if self._homes.sharers(device_id) or any(
            (device_id, name) in self._changed_boots for name in track.boots
        ):
            return False
        asleep = fall_asleep(track)
        if asleep is None:
            return False
        watch = self._homes.awake(track.home) if track.home >= 0 else None
        if watch is not None:
            if track.home in self._changed_views and (view := view_of(watch)) is not None:
                self._views[track.home] = view
            self._homes.put_asleep(track.home)
        self._tracks.put_asleep(device_id, asleep)
        return True

    def wake(self, devices: Iterable[str]) -> None:
        """Have some devices awake, and told of what went past them."""
        for device_id in devices:
            self._tracks[device_id]

    def take_passed(self, before_ms: int = FOREVER, devices_max: int = 1 << 62) -> Passed:
        """Return what is to be written of devices that heartbeats went past since before an instant; they sleep on."""
        points: list[CoveragePoint] = []
        bases: list[BootBase] = []
        while devices_max > 0:
            minute = next(iter(self._went_past), FOREVER)
            if minute * MINUTE_MS >= before_ms:
                break
            waiting = self._went_past[minute]
            some, left = waiting[:devices_max], waiting[devices_max:]
            devices_max -= len(some)
            for device_id in some:
                asleep = self._tracks.asleep(device_id)
                told = None if asleep is None else told_of(asleep, device_id)
                if told is not None:
                    points.append(told[0])
                    bases.append(told[1])
            if left:
                self._went_past[minute] = left
            else:
                del self._went_past[minute]
        return points, bases

    def take_told(self) -> set[str]:
        """Return the devices that were told, since the last call, of heartbeats from before they woke."""
        told, self._told = self._told, set()
        return told

    # -- pulses ---------------------------------------------------------------------------------------------

    def pulse(self, now_ms: int) -> list[Fact]:
        """Judge everything due or touched up to the last whole second at or before ``now_ms``."""
        pulse_ms = now_ms // PULSE_MS * PULSE_MS
        assert pulse_ms >= self._pulse_ms or not self._pulse_ms, (pulse_ms, self._pulse_ms)
        self._pulse_ms, self._next_ms = pulse_ms, pulse_ms + PULSE_MS
        facts, self._pending = self._pending, []
        if self._lane is not None:
            found = self._lane.hot.pulse(pulse_ms)
        else:
            found = kernel.pulse(self._state, pulse_ms, self._found)
        for count, number in enumerate(found.tolist(), start=1):
            self._catch_up(self._homes.watch(number), pulse_ms, facts)
            if count % RESTED_EVERY == 0:
                self.rest()
        if self._judged_max is not None:
            self._dirty.update(self._backlog.take(self._judged_max))
        dirty, homes = self._dirty, self._homes
        for count, number in enumerate(sorted(dirty, key=lambda number: homes[number].household_id), start=1):
            watch = self._homes.watch(number)
            self._catch_up(watch, pulse_ms, facts)
            self._judge(watch, pulse_ms, facts)
            if count % RESTED_EVERY == 0:
                self.rest()
        self._dirty = set()
        return facts

    @property
    def pulse_ms(self) -> int:
        return self._pulse_ms

    def next_due_ms(self) -> int:
        """Return the instant before which no pulse without messages can change anything."""
        state = self._state if self._lane is None else self._lane.hot
        return state.next_due_s() * PULSE_MS

    def _catch_up(self, watch: Watch, pulse_ms: int, facts: list[Fact]) -> None:
        """Judge the household at each instant it was due at, in order, up to the pulse."""
        due = self._state.due_pulse_ms(watch.index)
        while due <= pulse_ms:
            self._judge(watch, due, facts)
            after = self._state.due_pulse_ms(watch.index)
            due = max(after, due + PULSE_MS)

    def _judge(self, watch: Watch, pulse_ms: int, facts: list[Fact]) -> None:
        household = watch.rule.household
        self._backlog.drop(watch.index)
        self._settle_watch(watch)
        if pulse_ms < household.watched_from_ms:
            self._state.level[watch.index] = PLAIN
            self._state.set_due(watch.index, household.watched_from_ms)
            self._let_go_on(watch)
            return
        judgement = watch.rule.judge(pulse_ms)
        watch.judgement = judgement
        withdraw(watch, judgement, facts)
        announce(watch, judgement, facts)
        note_checks(watch, judgement, facts)
        note_known(watch, judgement)
        self._outages.note(watch, pulse_ms, facts)
        arm(self._state, watch, judgement)
        self._let_go_on(watch)
        self._changed_views.add(watch.index)
        self._views.pop(watch.index, None)

    def _let_go_on(self, watch: Watch) -> None:
        if self._lane is not None:
            for _, track in watch.rule.dwelling:
                self._enter_lane(track.device_id)

    # -- what is written down -------------------------------------------------------------------------------

    def take_changed_points(self) -> list[CoveragePoint]:
        """Return the folded heartbeats of boots that changed since the last call."""
        self.settle()
        points: list[CoveragePoint] = []
        for (device_id, boot), track in self._changed_boots.items():
            points.extend(point_of(device_id, boot, first, last) for first, last in track.take_unsaved())
        return points

    def take_changed_boots(self) -> list[BootBase]:
        """Return the bases of boots that were spoken for since the last call; call after ``take_changed_points``."""
        bases = [base_of(device_id, boot, track) for (device_id, boot), track in self._changed_boots.items()]
        self._changed_boots.clear()
        return bases

    def take_changed_views(self) -> list[HouseholdView]:
        """Return the households judged since the last call; batches may have said more than is in their views."""
        homes, made = self._homes, self._views
        changed = sorted(self._changed_views, key=lambda number: homes[number].household_id)
        views = [made.get(number) or view_of(self._homes.watch(number)) for number in changed]
        self._changed_views, self._views = set(), {}
        return [view for view in views if view is not None]

    def restore(
        self,
        *,
        events: Iterable[tuple[str, wire.Event, int]] = (),
        packed: Mapping[str, Mapping[str, PackedEvents]] = MappingProxyType({}),
        points: Iterable[CoveragePoint] = (),
        boots: Iterable[BootBase] = (),
        standing: Iterable[Crossing] = (),
        checks: Iterable[CheckDue] = (),
        outages: Iterable[OutageBegan] = (),
    ) -> None:
        """Build the state again from what was stored; rows of devices no longer registered are passed over.

        ``packed`` are the events of most boots, by device and boot; what could not be packed is in ``events``.
        """
        for base in boots:
            if base.device_id in self._tracks:
                self._tracks[base.device_id].restore_base(base.boot, base)
        for point in points:
            if point.device_id in self._tracks:
                self._tracks[point.device_id].boot(point.boot).restore_stretch(stretch_of(point))
        stored: dict[str, list[tuple[wire.Event, int]]] = {}
        for device_id, event, received_ms in events:
            if device_id in self._tracks:
                stored.setdefault(device_id, []).append((event, received_ms))
        for device_id in stored.keys() | (packed.keys() & self._tracks.keys()):
            self._tracks[device_id].load_packed(packed.get(device_id, {}), stored.get(device_id, ()))
        numbers = {home.household_id: number for number, home in self._homes.numbered()}
        for crossing in standing:
            if crossing.household_id in numbers:
                self._homes.watch(numbers[crossing.household_id]).standing[crossing.stage] = crossing
        for check in checks:
            if check.household_id in numbers:
                self._homes.watch(numbers[check.household_id]).checks[check.step] = check
        for outage in outages:
            if outage.device_id in self._tracks:
                self._outages.restore(outage)
        self._dirty = set(range(len(self._homes)))

    # -- what is at hand ------------------------------------------------------------------------------------

    def hot_of(self, device_id: str) -> Hot | None:
        """Return what the next message and judgement need of a device; None where only its rows will do.

        Call after ``take_changed_points``: what was folded since is not in the rows.
        """
        track = self._tracks[device_id]
        self._settle(device_id)
        homes = self._homes
        if not self._dirty.isdisjoint(homes.concerned(device_id)):
            return None
        floor_ms = self._needed_from_ms(track, homes.concerned(device_id), FORGET_MARGIN_MS)
        found = None if floor_ms is None else hot_of(track, floor_ms)
        if found is None and floor_ms is not None and homes.sharers(device_id):
            # Of a gate it is too much since the elder was seen who was silent longest: then by each card.
            floor_ms = self._needed_from_ms(track, homes.dwellers(device_id), FORGET_MARGIN_MS)
            if floor_ms is not None and (track.cold is None or track.cold.has_newest):
                found = hot_of(track, floor_ms, entries_max=HOT_ENTRIES_SHARED_MAX, has_newest=True)
        return found

    def _needed_from_ms(self, track: DeviceTrack, numbers: Iterable[int], margin_ms: int) -> int | None:
        """Return since when some homes need what a door said; None where nobody knows yet."""
        heard_ms = track.heard_ms()
        floor_ms = FOREVER if heard_ms is None else heard_ms - margin_ms
        for number in numbers:
            judgement = self._homes.judgement_of(number)
            if judgement is None:
                return None
            floor_ms = min(floor_ms, judgement.evidence.instant_ms - margin_ms)
        return floor_ms

    def laden(self, looked_max: int, devices_max: int, *, events_min: int, events_max: int) -> dict[str, int]:
        """Return which of the next few devices hold ``events_min`` that may lie elsewhere, each with how many; together
        ``events_max``, or little more.
        """
        found: dict[str, int] = {}
        events = 0
        for _ in range(min(looked_max, len(self._device_ids))):
            self._looked_to = (self._looked_to + 1) % len(self._device_ids)
            device_id = self._device_ids[self._looked_to]
            track = self._tracks.awake_of(device_id)  # what sleeps has few events
            count = 0 if track is None else track.held_count()
            if count >= events_min:
                found[device_id] = count
                events += count
                if len(found) == devices_max or events >= events_max:
                    break
        return found

    def relieved_of(self, device_id: str) -> Hot | None:
        """As ``hot_of``, with as little as can be; None where all of the device has to stay.

        A judgement that has to reach back has the rest read again: it is the same, and takes longer. Of a shared door
        each credential's newest passage is kept instead of everything since the elder was seen who was silent longest.
        """
        track = self._tracks[device_id]
        self._settle(device_id)
        has_newest = track.cold is None or track.cold.has_newest
        homes = self._homes
        numbers = homes.dwellers(device_id) if has_newest else homes.concerned(device_id)
        floor_ms = self._needed_from_ms(track, numbers, RELIEVED_MARGIN_MS)
        if floor_ms is None:
            return None
        return hot_of(track, floor_ms, entries_max=RELIEVED_ENTRIES_MAX, has_newest=has_newest)

    def cool(self, hot: Hot, load: Load, *, kept_from_ms: int = FOREVER) -> None:
        """Keep of a device what is at hand; ``load`` brings the rest when something asks for it.

        Events received since ``kept_from_ms`` stay as they are: nobody is asked for a copy of one that just came.
        """
        if self._lane is not None:
            self._leave_lane(hot.device_id)
        self._tracks.load = load
        cool(self._tracks[hot.device_id], hot, load, kept_from_ms=kept_from_ms)

    def go_on(
        self,
        hots: Iterable[Hot],
        load: Load,
        *,
        events: Mapping[str, Sequence[tuple[wire.Event, int]]],
        points: Mapping[str, Sequence[CoveragePoint]],
        boots: Mapping[str, Mapping[str, BootBase]],
    ) -> set[str]:
        """Take up devices as they were written down, with what was stored of them since; return which those are.

        ``boots`` are the bases as they are now. A device whose base moved since is left to ``restore``.
        """
        taken: set[str] = set()
        self._tracks.load = load
        for count, hot in enumerate(hots, start=1):
            bases = boots.get(hot.device_id, {})
            if hot.device_id not in self._tracks or not still_holds(hot, bases):
                continue
            track = self._tracks[hot.device_id]
            cool(track, hot, load, kept_from_ms=FOREVER)
            for name, base in bases.items():
                track.restore_base(name, base)
            take_tail(track, events.get(hot.device_id, ()), points.get(hot.device_id, ()))
            taken.add(hot.device_id)
            if count % RESTED_EVERY == 0:
                self.rest()
        self._dirty = set(range(len(self._homes)))
        return taken

    def pack(self, devices: int, oldest_ms: int) -> None:
        """Pack the next few devices' events of long ago, and forget what lies before an instant and before any evidence
        that still counts, as a restart would: memory stays bounded however long the service runs.
        """
        for _ in range(min(devices, len(self._device_ids))):
            self._packed_to = (self._packed_to + 1) % len(self._device_ids)
            device_id = self._device_ids[self._packed_to]
            track = self._tracks.awake_of(device_id)  # what sleeps has few events
            if track is None or track.packable_count() < PACKED_FROM_EVENTS:
                continue
            if track.cold is not None and track.packable_count() < PACKED_FROM_EVENTS_COLD:
                continue
            self._leave_lane(device_id)
            needed = [oldest_ms]
            for number in self._homes.concerned(device_id):
                judgement = self._homes.judgement_of(number)
                if judgement is not None:
                    needed.append(judgement.evidence.instant_ms - FORGET_MARGIN_MS)
            track.pack(min(needed))

    # -- for reading ----------------------------------------------------------------------------------------

    def household_of(self, device_id: str, instant_ms: int) -> str | None:
        """Return whose dwelling's door a device is at an instant."""
        return self._homes.household_of(device_id, instant_ms)

    def rule_of(self, household_id: str) -> HouseholdRule:
        """Return a household's rule, for history and explanation."""
        watch = self._homes.watch(self._homes.number_of(household_id))
        self._settle_watch(watch)
        return watch.rule

    def not_known_runs(self, household_id: str, last_pulse_ms: int) -> list[tuple[int, int]]:
        """Return the closed and the standing run of pulses at which the household was not known."""
        watch = self._homes.watch(self._homes.number_of(household_id))
        runs = list(watch.not_known_runs)
        if watch.not_known_since is not None:
            runs.append((watch.not_known_since, last_pulse_ms))
        return runs

    def instant_of(self, device_id: str, event: wire.Event) -> tuple[int, bool]:
        """Return an event's instant with the base as it is now, and whether it was placed by its uptime."""
        return self._tracks[device_id].boots[event.boot].instant_ms(event.ts, event.up, event.clk)

    def has_work(self, pulse_ms: int) -> bool:
        """Say whether a pulse at ``pulse_ms`` could do anything."""
        return bool(self._dirty or self._pending or self._backlog) or self.next_due_ms() <= pulse_ms

    def watched_households(self) -> list[str]:
        return [home.household_id for _, home in self._homes.numbered()]
