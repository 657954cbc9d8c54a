"""The gateway's own liveness: its birth, last will and heartbeat as a canonical device; pure.

The gateway speaks for itself alone. That it lives says nothing about a sensor behind it.
"""

from __future__ import annotations

import secrets

from kaimen import __version__
from kaimen.wire import Heartbeat, State, format_heartbeat, format_state, format_topic


def new_boot() -> str:
    """Return a fresh random boot id."""
    return secrets.token_hex(8)


class GatewayVitals:
    """The gateway as a device: one boot per start, no events of its own."""

    def __init__(self, *, site: str, device: str, boot: str, started_uptime_ms: int) -> None:
        self.boot = boot
        self._started_uptime_ms = started_uptime_ms
        self.state_topic = format_topic(site, device, "state")
        self.heartbeat_topic = format_topic(site, device, "hb")
        self.config_topic = format_topic(site, device, "cfg")
        self.answer_topic = format_topic(site, device, "ack")

    def birth(self) -> bytes:
        return format_state(State(v=1, status="online", boot=self.boot, fw=__version__))

    def will(self) -> bytes:
        return format_state(State(v=1, status="offline", boot=self.boot))

    def heartbeat(self, *, now_ms: int, uptime_ms: int, unsent: int) -> bytes:
        """Return the gateway's heartbeat; ``unsent`` is how many messages wait in the spool."""
        return format_heartbeat(
            Heartbeat(
                v=1,
                boot=self.boot,
                ts=now_ms,
                up=max(0, uptime_ms - self._started_uptime_ms),
                clk="ntp",
                seq_last=0,
                unsent=unsent,
                fw=__version__,
                rx=now_ms,
            )
        )
