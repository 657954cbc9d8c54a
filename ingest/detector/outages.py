"""A household's judgement enters; of which of its doors nothing is heard any more, or something again, leaves as facts. Pure."""

from __future__ import annotations

from ingest.detector.coverage import DeviceTrack
from ingest.detector.facts import Fact, OutageBegan, OutageEnded
from ingest.detector.homes import Homes
from ingest.detector.watches import Watch


class Outages:
    """The devices that are silent for longer than they may, where a household requires them."""

    def __init__(self, homes: Homes) -> None:
        self._homes = homes
        self._standing: dict[str, OutageBegan] = {}

    def restore(self, outage: OutageBegan) -> None:
        """Let an outage stand that was announced before."""
        self._standing[outage.device_id] = outage

    def note(self, watch: Watch, pulse_ms: int, facts: list[Fact]) -> None:
        """Begin and end what a household that is judged at a pulse can tell of."""
        required = watch.rule.required_at(pulse_ms)
        for _, track in watch.rule.dwelling:
            until = track.known_until()
            silent = track.device_id in required and (until is None or pulse_ms > until)
            standing = self._standing.get(track.device_id)
            if silent and standing is None:
                began = OutageBegan(track.device_id, pulse_ms, track.heard_ms())
                self._standing[track.device_id] = began
                facts.append(began)
            elif (
                not silent
                and standing is not None
                and standing.began_ms
                < pulse_ms  # another household may have been judged further on in this pulse
                and not self._silent_elsewhere(track, watch, pulse_ms)
            ):
                del self._standing[track.device_id]
                facts.append(OutageEnded(track.device_id, standing.began_ms, pulse_ms))

    def _silent_elsewhere(self, track: DeviceTrack, watch: Watch, pulse_ms: int) -> bool:
        """Say whether another household still requires this silent device."""
        until = track.known_until()
        if until is not None and pulse_ms <= until:
            return False
        homes = self._homes
        return any(
            number != watch.index and track.device_id in homes.watch(number).rule.required_at(pulse_ms)
            for number in homes.dwellers(track.device_id)
        )
