"""A contact behind a gateway that is dead for days: what the edge sends of it, and what the coverage rule makes of that."""

from __future__ import annotations

from edge.device_table import DeviceEntry
from edge.reading import Kind, read
from edge.tracker import DeviceState, Receipt, advance, begin_boot, was_silent
from ingest.detector.coverage import DeviceTrack

HOUR_MS = 3_600_000
NOW = 1_763_712_000_000
ENTRY = DeviceEntry(source="z/front", site="garden", device="z-1201", door="3-1-1201")


class Edge:
    """The edge's part for one sensor; what it sends goes straight into the device's coverage."""

    def __init__(self) -> None:
        self.track = DeviceTrack("z-1201", 3 * HOUR_MS)
        self.state: DeviceState | None = None
        self.boots = 0

    def hears(self, kind: Kind, at_ms: int) -> None:
        receipt, readings = Receipt(at_ms, at_ms - NOW + 5_000), [read("z/front", kind, "")]
        if self.state is None or was_silent(self.state, ENTRY, readings, receipt):
            self.boots += 1
            self.state = begin_boot(self.state, ENTRY, receipt, boot=f"{self.boots:016x}", machine_boot="m")
        decision = advance(self.state, ENTRY, readings, receipt, [None])
        self.state = decision.state
        for event in decision.events:
            self.track.take_event(event, at_ms)
        if decision.heartbeat is not None:
            self.track.take_heartbeat(decision.heartbeat, at_ms)


def test_days_behind_a_dead_gateway_are_blind_and_no_days_without_an_opening() -> None:
    edge = Edge()
    for hour in [*range(24 * 8), *range(24 * 8 + 72, 24 * 8 + 80)]:
        edge.hears(Kind.DOOR_CLOSED, NOW + hour * HOUR_MS)
    hours = [((low - NOW) // HOUR_MS, (high - NOW) // HOUR_MS) for low, high in edge.track.watched()]
    assert hours == [(0, 191), (264, 271)]


def test_the_opening_that_ends_a_silence_is_still_one() -> None:
    edge = Edge()
    for hour in range(24 * 8):
        edge.hears(Kind.DOOR_CLOSED, NOW + hour * HOUR_MS)
    back_ms = NOW + (24 * 8 + 72) * HOUR_MS
    edge.hears(Kind.DOOR_OPEN, back_ms)
    assert [(at, state) for at, state in edge.track.edges] == [(back_ms, "Open")]
