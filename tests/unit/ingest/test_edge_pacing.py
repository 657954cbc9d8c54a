"""What waited and what was stored enter; edges are told to be slower together, then let go again."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.causes import Wiring
from ingest.groups.edge_pacing import DECIDE_EVERY_S, HOLD_S, PER_S_MIN, SHARED_OUT, BacklogPace, EdgePacing
from kaimen import wire


def decided(pace: BacklogPace, at_s: float, *, events: int, waited_s: float, edges: int = 10) -> float | None:
    pace.note(events, waited_s)
    pace.decide(at_s, edges)
    return pace.per_s


def test_edges_share_what_is_stored_as_soon_as_arrays_wait_and_are_let_go_when_none_does() -> None:
    pace = BacklogPace()
    pace.decide(0.0, 10)
    assert decided(pace, 3.0, events=3_000, waited_s=0.2) is None, "what is stored at once needs no pace"
    assert decided(pace, 6.0, events=3_000, waited_s=2.0) == 1_000 * SHARED_OUT / 10
    slower = decided(pace, 9.0, events=3_000, waited_s=2.0)
    assert slower == 1_000 * SHARED_OUT / 20, "they wait as long as before: half of what was told"
    assert decided(pace, 12.0, events=3_000, waited_s=1.5) == slower, "what piled up is being worked off"
    assert decided(pace, 15.0, events=900, waited_s=0.6) == slower, "neither pressed nor easy"
    seen = [decided(pace, 18.0 + 3 * turn, events=900, waited_s=0.0) for turn in range(20)]
    assert seen[0] is not None and seen[0] > slower and seen[-1] is None


def test_edges_are_never_stopped() -> None:
    pace = BacklogPace()
    pace.decide(0.0, 1)
    told = [decided(pace, 3.0 * turn, events=0, waited_s=60.0, edges=500) for turn in range(2, 40)]
    assert told[-1] == PER_S_MIN and min(one for one in told if one is not None) == PER_S_MIN


@dataclass
class Session:
    waited_ms: int = 0
    stands: bool = True
    told: list[tuple[str, wire.Config]] = field(default_factory=list)

    def tell(self, topic: str, payload: bytes) -> bool:
        if self.stands:
            self.told.append((topic, wire.parse_config(payload)))
        return self.stands


WIRING = (Wiring("gw-1", "garden", 180_000, is_gateway=True), Wiring("door-1", "garden", 180_000), Wiring("gw-2", "river", 1, is_gateway=True))  # fmt: skip


def test_gateways_are_told_with_an_end_and_told_again_before_it() -> None:
    session = Session()
    pacing = EdgePacing(session, "0")

    def turn(at_s: float, waited_ms: int = 0) -> None:
        session.waited_ms = waited_ms
        pacing.turn(WIRING, now_s=at_s, now_ms=int(at_s * 1000), events=100)

    turn(0.0)
    turn(DECIDE_EVERY_S - 0.1, 5_000)
    assert session.told == []
    session.stands = False
    turn(DECIDE_EVERY_S, 5_000)
    assert session.told == []
    session.stands = True
    turn(DECIDE_EVERY_S + 0.1, 700)
    topics = [wire.format_topic("garden", "gw-1", "cfg"), wire.format_topic("river", "gw-2", "cfg")]
    assert [topic for topic, _ in session.told] == topics, "doors have no backlog of an edge's kind"
    first = session.told[0][1]
    assert first.backlog_per_s is not None and first.hold_s == HOLD_S
    turn(DECIDE_EVERY_S + HOLD_S / 2 + 1, 700)
    assert len(session.told) == 4 and session.told[-1][1].backlog_per_s == first.backlog_per_s
    assert session.told[-1][1].version > first.version
