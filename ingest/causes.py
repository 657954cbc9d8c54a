"""Devices that fell silent, gateways' vitals and our own gaps enter; why each is not known leaves. Pure.

Causes are folded in the order own > broker > site > gateway > device: one technical case per cause, never one
alert per household. A cause is presumed when the outage begins, and mended when a wider one shows later. Gateways
are supervised here, and so is what was never heard: no household requires them, so the detector does not know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingest.detector.facts import OutageBegan, OutageEnded
from kaimen.vocabulary import Device

_FAR_MS = 1 << 62
#: An outage of one device among others is told when the others had time to fall silent too, but not later than this.
SETTLE_MAX_MS = 300_000
#: How long a device may stay unheard after its registration, where the community says nothing.
COMMISSIONING_DEFAULT_MS = 48 * 3_600_000
#: A group counts as silent although some of it speaks on, if so many times as many fell silent together.
SILENT_PER_SPEAKER_MIN = 9
#: Heartbeats heard shortly before we died may be forgotten: they are written at least this often.
_FORGOTTEN_MAX_MS = 600_000


class OutageCause(StrEnum):
    OWN = "own"
    BROKER = "broker"
    SITE = "site"
    GATEWAY = "gateway"
    DEVICE = "device"


#: The wider, the smaller.
_WIDTH = {kind: index for index, kind in enumerate(OutageCause)}
_OURS = frozenset({OutageCause.OWN, OutageCause.BROKER})


@dataclass(frozen=True, slots=True)
class Cause:
    kind: OutageCause
    cause_id: str

    def is_wider_than(self, other: Cause) -> bool:
        return _WIDTH[self.kind] < _WIDTH[other.kind]


@dataclass(frozen=True, slots=True)
class Wiring(Device):
    """Where a device stands: its site, the gateway that speaks for it, how long it may be silent.

    ``is_required``: the detector watches it for a household. ``registered_ms`` and ``commissioning_ms`` say until
    when it may stay unheard before anybody is told.
    """

    is_gateway: bool = False
    gateway_id: str | None = None
    is_required: bool = False
    registered_ms: int = 0
    commissioning_ms: int = COMMISSIONING_DEFAULT_MS

    @property
    def expected_ms(self) -> int:
        """By when it should have been heard for the first time."""
        return self.registered_ms + self.commissioning_ms


@dataclass(frozen=True, slots=True)
class Gap:
    """A span in which we could not hear anybody; ``restarted`` if what was heard last may be forgotten."""

    kind: OutageCause
    from_ms: int
    to_ms: int | None
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class StandingOutage:
    """An outage without its end as it was stored; ``told``: alerts knows of it."""

    outage: OutageBegan
    cause: Cause
    told: bool = True


@dataclass(frozen=True, slots=True)
class OutageFact:
    """A device fell silent, with the cause it is folded under; not ``told``: the cause may still turn out wider."""

    outage: OutageBegan
    cause: Cause
    told: bool = True


@dataclass(frozen=True, slots=True)
class OutageTold:
    """The cause of an outage is settled: people are told."""

    device_id: str
    began_ms: int
    cause: Cause
    at_ms: int


@dataclass(frozen=True, slots=True)
class OutageMoved:
    """An outage people were told of belongs to another cause."""

    device_id: str
    began_ms: int
    cause: Cause
    before: Cause
    at_ms: int


CauseFact = OutageFact | OutageTold | OutageMoved


@dataclass(frozen=True, slots=True)
class _Silence:
    """A group that fell silent together; ``newest_ms`` is when the last of it was heard."""

    newest_ms: int

    def includes(self, heard_ms: int, supervision_ms: int, slack_ms: int) -> bool:
        return self.newest_ms - supervision_ms - slack_ms <= heard_ms <= self.newest_ms


@dataclass(slots=True)
class _Held:
    """What is remembered of a standing outage; ``tell_ms``: when its cause counts as settled."""

    outage: OutageBegan
    cause: Cause
    told: bool
    tell_ms: int


def _has_missed_two_of_three(at_ms: int, heard_ms: int, supervision_ms: int) -> bool:
    # Supervision is three heartbeats: whoever missed two when its neighbour was given up went with it.
    return 3 * (at_ms - heard_ms) >= 2 * supervision_ms


def decide_gap(gap: Gap | None, outage: OutageBegan, supervision_ms: int) -> OutageCause | None:
    """Say whether the newest gap of our own explains that a device was not heard."""
    if gap is None or (outage.heard_ms is not None and gap.to_ms is not None and outage.heard_ms > gap.to_ms):
        return None
    if gap.to_ms is not None and outage.began_ms > gap.to_ms + supervision_ms + 1000:
        return None  # since then it had its full time to be heard
    listened_from_ms = outage.began_ms - supervision_ms if outage.heard_ms is None else outage.heard_ms
    deaf_ms = min(gap.to_ms or outage.began_ms, outage.began_ms) - max(gap.from_ms, listened_from_ms)
    return gap.kind if gap.restarted or 3 * deaf_ms >= supervision_ms else None


def find_silence(
    group: Iterable[Wiring], heard_ms_by_id: Mapping[str, int], at_ms: int, *, slack_ms: int = 0
) -> _Silence | None:
    """Say whether a group that spoke until lately has stopped speaking together; one in ten may speak on.

    ``slack_ms``: by how much earlier somebody may have been heard, where the newest heartbeats are forgotten.
    """
    heard = [(heard_ms_by_id[w.device_id], w.supervision_ms) for w in group if w.device_id in heard_ms_by_id]
    if len(heard) < 2:
        return None
    quickest_ms = min(supervision_ms for _, supervision_ms in heard)
    silent = [item for item in heard if _has_missed_two_of_three(at_ms, item[0], quickest_ms)]
    if not silent:
        return None
    silence = _Silence(max(heard_ms for heard_ms, _ in silent))
    # A slow device that is not due yet went with the others, or did not: it says nothing.
    together = [
        item
        for item in silent
        if silence.includes(*item, slack_ms) and _has_missed_two_of_three(at_ms, *item)
    ]
    speaking = len(heard) - len(silent)
    return silence if len(together) >= max(2, SILENT_PER_SPEAKER_MIN * speaking) else None


class Causes:
    """What was heard from whom, and our own gaps; decides the cause of each outage at its pulse."""

    def __init__(
        self,
        wiring: Iterable[Wiring],
        *,
        now_ms: int,
        heard_ms_by_id: Mapping[str, int] | None = None,
        standing: Iterable[StandingOutage] = (),
    ) -> None:
        self._heard_ms: dict[str, int] = dict(heard_ms_by_id or {})
        self._offline: set[str] = set()
        self._started_ms = now_ms
        self.gap: Gap | None = None
        #: Nothing supervised here can fall silent before; 0 after anything that may bring one back or silence it.
        self._quiet_until_ms = 0
        #: No cause needs looking at before.
        self._settled_until_ms = 0
        self._first_heard: dict[str, int] = {}
        self._silences: dict[tuple[str, str, int], _Silence | None] = {}
        self._unheard: dict[str, bool] = {}
        self._standing: dict[str, _Held] = {}
        self.replace_wiring(wiring)
        for item in standing:
            tell_ms = self._tell_ms(item.outage, item.cause)
            self._standing[item.outage.device_id] = _Held(item.outage, item.cause, item.told, tell_ms)

    def replace_wiring(self, wiring: Iterable[Wiring]) -> None:
        """Take over a changed registry."""
        self._quiet_until_ms = self._settled_until_ms = 0
        self._wiring = {w.device_id: w for w in wiring}
        # A gateway always; anything else until it was heard once, unless the detector watches it.
        self._supervised = [w for w in self._wiring.values() if w.is_gateway or not w.is_required]
        self._site: dict[str, list[Wiring]] = {}
        self._behind: dict[str, list[Wiring]] = {}
        for w in self._wiring.values():
            self._site.setdefault(w.site_id, []).append(w)
            if w.gateway_id is not None:
                self._behind.setdefault(w.gateway_id, []).append(w)

    def change_wiring(self, changed: Mapping[str, Wiring | None]) -> None:
        """Take over what is otherwise of some devices; None: it is wired no longer."""
        self._quiet_until_ms = self._settled_until_ms = 0
        if not changed:
            return
        for device_id, now in changed.items():
            before = self._wiring.pop(device_id, None)
            if before is not None:
                self._site[before.site_id].remove(before)
                if before.gateway_id is not None:
                    self._behind[before.gateway_id].remove(before)
            if now is not None:
                self._wiring[device_id] = now
                self._site.setdefault(now.site_id, []).append(now)
                if now.gateway_id is not None:
                    self._behind.setdefault(now.gateway_id, []).append(now)
        kept = [w for w in self._supervised if w.device_id not in changed]
        self._supervised = kept + [
            w for w in changed.values() if w is not None and (w.is_gateway or not w.is_required)
        ]

    # -- what is heard --------------------------------------------------------------------------------------

    def hear(self, device_id: str, received_ms: int) -> None:
        """Note that a device was heard itself."""
        before_ms = self._heard_ms.get(device_id)
        if before_ms is None:
            self._first_heard[device_id] = received_ms
            self._unheard.clear()
        if before_ms is None or received_ms > before_ms:
            self._heard_ms[device_id] = received_ms
        self._offline.discard(device_id)
        if device_id in self._standing:
            self._quiet_until_ms = 0

    def note_state(self, device_id: str, status: str, received_ms: int, *, retained: bool) -> None:
        """Note a birth or a last will; a retained one says nothing about when."""
        if status == "offline":
            self._offline.add(device_id)
            self._quiet_until_ms = self._settled_until_ms = 0
        elif not retained:
            self.hear(device_id, received_ms)

    def take_first_heard(self) -> dict[str, int]:
        """Return the devices heard for the first time since the last call, with the instant."""
        found, self._first_heard = self._first_heard, {}
        return found

    def begin_gap(self, kind: OutageCause, from_ms: int, *, restarted: bool = False) -> bool:
        """Note that we hear nobody from now on; a gap that stands already keeps its beginning."""
        begins = self.gap is None or self.gap.to_ms is not None
        if begins:
            self.gap = Gap(kind, from_ms, None, restarted)
        return begins

    def end_gap(self, to_ms: int) -> bool:
        """Note that we listen again; say whether we did not before."""
        ends = self.gap is not None and self.gap.to_ms is None
        if ends and self.gap is not None:
            self.gap = Gap(self.gap.kind, self.gap.from_ms, to_ms, self.gap.restarted)
            self._settled_until_ms = 0
        return ends

    # -- what is supervised here ----------------------------------------------------------------------------

    def pulse(self, now_ms: int) -> list[OutageBegan | OutageEnded]:
        """Say which gateways fell silent or came back by this pulse, and what was never heard in its time."""
        facts: list[OutageBegan | OutageEnded] = []
        if now_ms < self._quiet_until_ms:
            return facts
        quiet_until_ms = _FAR_MS
        for wiring in self._supervised:
            heard_ms = self._heard_ms.get(wiring.device_id)
            standing = self._standing.get(wiring.device_id)
            due_ms = self._silent_after_ms(wiring, heard_ms)
            silent = now_ms > due_ms or (wiring.is_gateway and wiring.device_id in self._offline)
            if silent and standing is None:
                # Dated at the first whole second at which it was due, as the detector dates its own.
                began_ms = min(now_ms, max(due_ms // 1000 * 1000 + 1000, self._started_ms))
                facts.append(OutageBegan(wiring.device_id, began_ms, heard_ms))
            elif not silent and standing is not None and standing.outage.began_ms < now_ms:
                facts.append(OutageEnded(wiring.device_id, standing.outage.began_ms, now_ms))
            if not silent:
                quiet_until_ms = min(quiet_until_ms, due_ms)
        facts += [
            OutageEnded(held.outage.device_id, held.outage.began_ms, now_ms)
            for device_id, held in self._standing.items()
            if device_id not in self._wiring  # taken out of service
        ]
        self._quiet_until_ms = quiet_until_ms
        return facts

    def _silent_after_ms(self, wiring: Wiring, heard_ms: int | None) -> int:
        if not wiring.is_gateway:  # once heard, nobody depends on it
            return wiring.expected_ms if heard_ms is None else _FAR_MS
        return (self._started_ms if heard_ms is None else heard_ms) + wiring.supervision_ms

    # -- causes ---------------------------------------------------------------------------------------------

    def take(
        self, facts: Sequence[OutageBegan | OutageEnded], pulse_ms: int
    ) -> list[CauseFact | OutageEnded]:
        """Give outages of this pulse their causes, and mend those of earlier ones; call once per pulse.

        ``facts`` are the detector's and our own of this pulse, in order.
        """
        told: list[CauseFact | OutageEnded] = []
        widened: dict[Cause, _Silence | None] = {}
        self._silences.clear()
        self._unheard.clear()
        for fact in facts:
            if isinstance(fact, OutageEnded):
                self._standing.pop(fact.device_id, None)
                told.append(fact)
                continue
            standing = self._standing.get(fact.device_id)
            if standing is not None:  # it was supervised here, and is watched by the detector from now on
                told.append(OutageEnded(fact.device_id, standing.outage.began_ms, pulse_ms))
            cause = self.decide(fact)
            tell_ms = self._tell_ms(fact, cause)
            held = _Held(fact, cause, told=tell_ms <= pulse_ms, tell_ms=tell_ms)
            self._standing[fact.device_id] = held
            self._settled_until_ms = min(self._settled_until_ms, tell_ms)
            told.append(OutageFact(fact, cause, held.told))
            if cause.kind in (OutageCause.SITE, OutageCause.GATEWAY):
                widened[cause] = self._silence_of(cause, fact.began_ms)
        for cause, silence in widened.items():
            told += self._widen(cause, silence, pulse_ms)
        if pulse_ms >= self._settled_until_ms:
            told += self._settle(pulse_ms)
        return told

    def decide(self, outage: OutageBegan, *, by_gap: bool = True) -> Cause:
        """Say why a device is not known; unknown wiring is the device's own fault."""
        wiring = self._wiring.get(outage.device_id)
        if wiring is None:
            return Cause(OutageCause.DEVICE, outage.device_id)
        if outage.heard_ms is None:
            return self._decide_never_heard(wiring)
        if by_gap:
            ours = decide_gap(self.gap, outage, wiring.supervision_ms)
            if ours is not None:
                return Cause(ours, "ingest" if ours is OutageCause.OWN else "broker")
        for cause in self._groups_of(wiring):
            silence = self._silence_of(cause, outage.began_ms)
            if silence is not None and silence.includes(
                outage.heard_ms, wiring.supervision_ms, self._slack_ms()
            ):
                return cause
        if wiring.is_gateway:
            return Cause(OutageCause.GATEWAY, wiring.device_id)
        if wiring.gateway_id is not None and self._is_gateway_silent(wiring.gateway_id, outage.began_ms):
            return Cause(OutageCause.GATEWAY, wiring.gateway_id)
        return Cause(OutageCause.DEVICE, outage.device_id)

    def _decide_never_heard(self, wiring: Wiring) -> Cause:
        """A gateway or a site of which nobody was ever heard is one cause, not one for each device."""
        if self._is_unheard(wiring.site_id):
            return Cause(OutageCause.SITE, wiring.site_id)
        if wiring.is_gateway:
            return Cause(OutageCause.GATEWAY, wiring.device_id)
        gateway_id = wiring.gateway_id
        if gateway_id in self._wiring and gateway_id is not None and gateway_id not in self._heard_ms:
            return Cause(OutageCause.GATEWAY, gateway_id)
        return Cause(OutageCause.DEVICE, wiring.device_id)

    def _is_unheard(self, site_id: str) -> bool:
        """Say whether a site has several devices and none was ever heard; asked once per pulse."""
        if site_id not in self._unheard:
            site = self._site[site_id]
            self._unheard[site_id] = len(site) > 1 and not any(w.device_id in self._heard_ms for w in site)
        return self._unheard[site_id]

    def _groups_of(self, wiring: Wiring) -> list[Cause]:
        """The causes a device shares with others, widest first."""
        site = [Cause(OutageCause.SITE, wiring.site_id)]
        return site if wiring.gateway_id is None else [*site, Cause(OutageCause.GATEWAY, wiring.gateway_id)]

    def _silence_of(self, cause: Cause, at_ms: int) -> _Silence | None:
        """Whether the group of a cause is silent; asked once per pulse, however many devices it has."""
        key = (cause.kind.value, cause.cause_id, at_ms)
        if key not in self._silences:
            group = (self._site if cause.kind is OutageCause.SITE else self._behind).get(cause.cause_id, ())
            self._silences[key] = find_silence(group, self._heard_ms, at_ms, slack_ms=self._slack_ms())
        return self._silences[key]

    def _slack_ms(self) -> int:
        return _FORGOTTEN_MAX_MS if self.gap is not None and self.gap.restarted else 0

    def _is_gateway_silent(self, gateway_id: str, at_ms: int) -> bool:
        if gateway_id in self._offline:
            return True
        heard_ms = self._heard_ms.get(gateway_id)
        wiring = self._wiring.get(gateway_id)
        if heard_ms is None or wiring is None:
            return False  # it never says anything of itself: only all of its devices together can tell
        return _has_missed_two_of_three(at_ms, heard_ms, wiring.supervision_ms)

    # -- mending causes -------------------------------------------------------------------------------------

    def _widen(self, cause: Cause, silence: _Silence | None, pulse_ms: int) -> list[CauseFact]:
        """Fold into a wider cause what fell silent with it and was told, or would have been, by itself."""
        group = self._site if cause.kind is OutageCause.SITE else self._behind
        changed: list[CauseFact] = []
        for wiring in group.get(cause.cause_id, ()):
            held = self._standing.get(wiring.device_id)
            if held is None or held.outage.heard_ms is None or not cause.is_wider_than(held.cause):
                continue
            if self._fell_with(cause, silence, held.outage.heard_ms, wiring):
                changed += self._change(held, cause, pulse_ms)
        return changed

    def _fell_with(self, cause: Cause, silence: _Silence | None, heard_ms: int, wiring: Wiring) -> bool:
        if silence is not None:
            return silence.includes(heard_ms, wiring.supervision_ms, self._slack_ms())
        # A gateway alone: what it spoke for was last heard about when the gateway itself was.
        gateway = self._wiring.get(cause.cause_id)
        gateway_heard_ms = self._heard_ms.get(cause.cause_id)
        if gateway is None or gateway_heard_ms is None:
            return False
        return heard_ms >= gateway_heard_ms - max(wiring.supervision_ms, gateway.supervision_ms)

    def _settle(self, pulse_ms: int) -> list[CauseFact]:
        """Tell what has settled; look anew at what our own gap explained, once there was time to be heard."""
        changed: list[CauseFact] = []
        next_ms = _FAR_MS
        for held in list(self._standing.values()):
            review_ms = self._review_ms(held)
            if review_ms is not None and pulse_ms >= review_ms:
                again = OutageBegan(held.outage.device_id, pulse_ms, held.outage.heard_ms)
                cause = self.decide(again, by_gap=False)
                changed += self._change(held, cause, pulse_ms)
                review_ms = None
            if not held.told and pulse_ms >= held.tell_ms:
                cause = self._decided_now(held, pulse_ms)
                held.cause, held.told = cause, True
                changed.append(OutageTold(held.outage.device_id, held.outage.began_ms, cause, pulse_ms))
            waits = [review_ms] if review_ms is not None else []
            waits += [] if held.told else [held.tell_ms]
            next_ms = min([next_ms, *waits])
        self._settled_until_ms = next_ms
        return changed

    def _decided_now(self, held: _Held, pulse_ms: int) -> Cause:
        """The cause as it shows when people are told: a wider one than was presumed, or the presumed one."""
        outage = held.outage
        at = outage if outage.heard_ms is None else OutageBegan(outage.device_id, pulse_ms, outage.heard_ms)
        cause = self.decide(at, by_gap=False)
        return cause if cause.is_wider_than(held.cause) or outage.heard_ms is None else held.cause

    def _review_ms(self, held: _Held) -> int | None:
        """When a device that our own gap explained has had its full time to be heard since; None: no need."""
        if held.cause.kind not in _OURS:
            return None
        if self.gap is None:  # an outage from before our last start that was ended without a gap
            return 0
        if self.gap.to_ms is None:
            return None
        wiring = self._wiring.get(held.outage.device_id)
        return self.gap.to_ms + (0 if wiring is None else wiring.supervision_ms) + 2000

    def _change(self, held: _Held, cause: Cause, pulse_ms: int) -> list[CauseFact]:
        before, held.cause = held.cause, cause
        if before == cause:
            return []
        key = (held.outage.device_id, held.outage.began_ms)
        if held.told:
            return [OutageMoved(*key, cause, before, pulse_ms)]
        held.told = True
        return [OutageTold(*key, cause, pulse_ms)]

    def _tell_ms(self, outage: OutageBegan, cause: Cause) -> int:
        """When people are told: at once of a wide cause; of a device when a wider one had time to show."""
        wiring = self._wiring.get(outage.device_id)
        if wiring is None:
            return outage.began_ms
        if outage.heard_ms is None:
            return max(outage.began_ms, wiring.expected_ms)
        if cause.kind is not OutageCause.DEVICE or not self._has_company(wiring):
            return outage.began_ms
        return outage.began_ms + min(wiring.supervision_ms, SETTLE_MAX_MS)

    def _has_company(self, wiring: Wiring) -> bool:
        """Say whether a wider cause could still show: somebody else of the site was heard lately."""
        newest_ms = self._heard_ms.get(wiring.device_id, 0)
        return any(
            other.device_id != wiring.device_id
            and self._heard_ms.get(other.device_id, -1) >= newest_ms - other.supervision_ms
            for other in self._site[wiring.site_id]
        )
