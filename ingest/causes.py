"""Devices that fell silent, gateways' vitals and our own gaps enter; why each is not known leaves. Pure.

Causes are folded in the order own > broker > site > gateway > device: one technical case per cause, never one
alert per household. Gateways are supervised here, because no household requires them and the detector does not
know them as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ingest.detector.facts import OutageBegan, OutageEnded

_FAR_MS = 1 << 62


class OutageCause(StrEnum):
    OWN = "own"
    BROKER = "broker"
    SITE = "site"
    GATEWAY = "gateway"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Cause:
    kind: OutageCause
    cause_id: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where a device stands: its site, the gateway that speaks for it, how long it may be silent."""

    device_id: str
    site_id: str
    supervision_ms: int
    is_gateway: bool = False
    gateway_id: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A span in which we could not hear anybody; ``restarted`` if what was heard last may be forgotten."""

    kind: OutageCause
    from_ms: int
    to_ms: int | None
    restarted: bool = False


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


def is_site_silent(site: Iterable[Wiring], heard_ms_by_id: Mapping[str, int], at_ms: int) -> bool:
    """Say whether everything at a site that spoke until lately has stopped speaking together."""
    heard = [(heard_ms_by_id[w.device_id], w.supervision_ms) for w in site if w.device_id in heard_ms_by_id]
    if not heard:
        return False
    newest_ms = max(heard_ms for heard_ms, _ in heard)
    together = [
        supervision_ms for heard_ms, supervision_ms in heard if heard_ms >= newest_ms - supervision_ms
    ]
    return len(together) >= 2 and _has_missed_two_of_three(at_ms, newest_ms, min(together))


class Causes:
    """What was heard from whom, and our own gaps; decides the cause of each outage at its pulse."""

    def __init__(
        self,
        wiring: Iterable[Wiring],
        *,
        now_ms: int,
        heard_ms_by_id: Mapping[str, int] | None = None,
        standing: Iterable[OutageBegan] = (),
    ) -> None:
        self._heard_ms: dict[str, int] = dict(heard_ms_by_id or {})
        self._offline: set[str] = set()
        self._standing = {outage.device_id: outage for outage in standing}
        self._started_ms = now_ms
        self.gap: Gap | None = None
        #: No gateway can fall silent before; 0 after anything that may bring one back or silence it at once.
        self._quiet_until_ms = 0
        self.replace_wiring(wiring)

    def replace_wiring(self, wiring: Iterable[Wiring]) -> None:
        """Take over a changed registry."""
        self._quiet_until_ms = 0
        self._wiring = {w.device_id: w for w in wiring}
        self._gateways = [w for w in self._wiring.values() if w.is_gateway]
        self._site: dict[str, list[Wiring]] = {}
        for w in self._wiring.values():
            self._site.setdefault(w.site_id, []).append(w)

    def hear(self, device_id: str, received_ms: int) -> None:
        """Note that a device was heard itself."""
        if received_ms > self._heard_ms.get(device_id, -1):
            self._heard_ms[device_id] = received_ms
        self._offline.discard(device_id)
        if device_id in self._standing:
            self._quiet_until_ms = 0

    def note_state(self, device_id: str, status: str, received_ms: int, *, retained: bool) -> None:
        """Note a birth or a last will; a retained one says nothing about when."""
        if status == "offline":
            self._offline.add(device_id)
            self._quiet_until_ms = 0
        elif not retained:
            self.hear(device_id, received_ms)

    def begin_gap(self, kind: OutageCause, from_ms: int, *, restarted: bool = False) -> None:
        """Note that we hear nobody from now on; a gap that stands already keeps its beginning."""
        if self.gap is None or self.gap.to_ms is not None:
            self.gap = Gap(kind, from_ms, None, restarted)

    def end_gap(self, to_ms: int) -> None:
        """Note that we listen again."""
        if self.gap is not None and self.gap.to_ms is None:
            self.gap = Gap(self.gap.kind, self.gap.from_ms, to_ms, self.gap.restarted)

    def pulse(self, now_ms: int) -> list[OutageBegan | OutageEnded]:
        """Say which gateways fell silent or came back by this pulse; gateways' own facts only."""
        facts: list[OutageBegan | OutageEnded] = []
        if now_ms < self._quiet_until_ms:
            return facts
        quiet_until_ms = _FAR_MS
        for gateway in self._gateways:
            heard_ms = self._heard_ms.get(gateway.device_id)
            since_ms = self._started_ms if heard_ms is None else heard_ms
            silent = gateway.device_id in self._offline or now_ms - since_ms > gateway.supervision_ms
            standing = self._standing.get(gateway.device_id)
            if silent and standing is None:
                # Dated at the first whole second at which it was due, as the detector dates its own.
                due_ms = (since_ms + gateway.supervision_ms) // 1000 * 1000 + 1000
                began_ms = min(now_ms, max(due_ms, self._started_ms))
                began = OutageBegan(gateway.device_id, began_ms, heard_ms)
                self._standing[gateway.device_id] = began
                facts.append(began)
            elif not silent and standing is not None:
                del self._standing[gateway.device_id]
                facts.append(OutageEnded(gateway.device_id, standing.began_ms, now_ms))
            if not silent:
                quiet_until_ms = min(quiet_until_ms, since_ms + gateway.supervision_ms)
        self._quiet_until_ms = quiet_until_ms
        return facts

    def decide(self, outage: OutageBegan) -> Cause:
        """Say why a device is not known; unknown wiring is the device's own fault."""
        wiring = self._wiring.get(outage.device_id)
        if wiring is None:
            return Cause(OutageCause.DEVICE, outage.device_id)
        ours = decide_gap(self.gap, outage, wiring.supervision_ms)
        if ours is not None:
            return Cause(ours, "ingest" if ours is OutageCause.OWN else "broker")
        if outage.heard_ms is not None and is_site_silent(
            self._site[wiring.site_id], self._heard_ms, outage.began_ms
        ):
            return Cause(OutageCause.SITE, wiring.site_id)
        if wiring.is_gateway:
            return Cause(OutageCause.GATEWAY, wiring.device_id)
        if wiring.gateway_id is not None and self._is_gateway_silent(wiring.gateway_id, outage.began_ms):
            return Cause(OutageCause.GATEWAY, wiring.gateway_id)
        return Cause(OutageCause.DEVICE, outage.device_id)

    def _is_gateway_silent(self, gateway_id: str, at_ms: int) -> bool:
        heard_ms = self._heard_ms.get(gateway_id)
        wiring = self._wiring.get(gateway_id)
        if gateway_id in self._offline or heard_ms is None or wiring is None:
            return True
        return _has_missed_two_of_three(at_ms, heard_ms, wiring.supervision_ms)
