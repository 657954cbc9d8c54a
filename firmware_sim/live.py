"""The street in real time: a clock, a publisher and orders enter, messages leave as they fall due.

It goes on exactly where history or the last run ended. While it was not running, devices had no link: what happened
meanwhile they stored, and send as history. Nothing is ever dated after the clock.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event

from firmware_sim.control import Answers, answer, obey
from firmware_sim.publish import Acknowledged, Connected, Publisher
from firmware_sim.state import StateFile
from firmware_sim.street import Street
from kaimen import wire
from kaimen.clock import Clock

TURN_MOST_S = 0.1
TURN_LEAST_S = 0.02
CHUNK_MS = 1_800_000


class Live:
    """One community being played against a clock; ``turn`` is one step, ``run`` repeats it."""

    def __init__(
        self,
        street: Street,
        clock: Clock,
        publisher: Publisher,
        state: StateFile,
        control: Path | None = None,
    ) -> None:
        assert street.real_link
        self._street = street
        self._clock = clock
        self._publisher = publisher
        self._state = state
        self._control = control

    def turn(self, wait_s: float = 0.0) -> bool:
        """Take notices and orders, play up to the clock, keep, then send; say whether the clock was reached."""
        self._tell_links()
        notices = self._publisher.notices(wait_s)
        now_ms = self._clock.now_ms()
        for notice in notices:
            if isinstance(notice, Acknowledged):
                self._street.acknowledge(notice.ticket)
            else:
                self._street.set_connected(notice.gateway_id, connected=isinstance(notice, Connected))
        target_ms = min(now_ms, self._street.now_ms + CHUNK_MS)
        if not self._publisher.has_room():
            target_ms = self._street.now_ms
        messages = self._street.advance(target_ms)
        reached = target_ms >= now_ms
        answers: Answers = []
        if reached and self._control is not None:
            answers = obey(self._control, self._street)
            messages += self._street.advance(target_ms)
        # Kept before it is sent, as a controller does: a kill in between loses nothing and reuses no number.
        # Heartbeats alone change nothing that is worth keeping.
        if answers or self._street.touched:
            self._state.save(self._street)
        self._publisher.send(messages)
        answer(answers)
        return reached

    def _tell_links(self) -> None:
        street = self._street
        for gateway_id in street.community.gateway_ids:
            device = street.community.device_by_id[gateway_id].index
            will = wire.format_state(street.controllers[device].will())
            topic = wire.format_topic(street.community.site_id, gateway_id, "state")
            self._publisher.want(gateway_id, linked=street.wants_link(gateway_id), will=(topic, will))

    def run(self, stop: Event, until_ms: int | None = None) -> None:
        """Turn until told to stop or until the clock has passed ``until_ms``."""
        wait_s = 0.0
        while not stop.is_set():
            reached = self.turn(wait_s)
            if reached and until_ms is not None and self._street.now_ms >= until_ms:
                break
            wait_s = self._wait_s() if reached else 0.0
        self.settle()

    def _wait_s(self) -> float:
        span_ms = max(0, self._street.next_due_ms() - self._street.now_ms)
        return min(TURN_MOST_S, max(TURN_LEAST_S, self._clock.wall_seconds(span_ms)))

    def settle(self, turns: int = 50) -> None:
        """Before leaving, take in the acknowledgements of what was sent, so that little is sent twice."""
        for _ in range(turns):
            notices = self._publisher.notices(TURN_LEAST_S)
            for notice in notices:
                if isinstance(notice, Acknowledged):
                    self._street.acknowledge(notice.ticket)
            if not notices:
                break
        self._state.save(self._street)


def open_street(street: Street, path: Path) -> StateFile:
    """Open the state file and let the street go on from it, if there is anything in it."""
    state = StateFile(path, street.community)
    if not state.restore_into(street):
        state.save_whole(street)
    return state
