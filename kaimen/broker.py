"""The text of ``KAIMEN_BROKER_URL`` enters; the addresses of a broker's nodes, and which of them to try next, leave.

A broker may be one server or the nodes of a cluster, separated by commas. Whoever loses one node goes to the next
within half a second; only when a whole round has failed does the waiting grow. Everybody begins at a node of their
own choosing, so that the load, and the rush after a failure, is spread.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from kaimen.broker_tls import SYSTEM_TRUST, BrokerTls

#: Longest wait before the next node of a cluster is tried.
NEXT_NODE_S_MAX = 0.5
_PORT_PLAIN, _PORT_SECURE = 1883, 8883
_FORM = "mqtt://host:port or mqtts://host:port, several nodes of one cluster separated by commas"


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a node of a broker is and how to speak to it."""

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = None
    security: BrokerTls = SYSTEM_TRUST

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_broker_urls(
    text: str, *, user: str | None = None, password: str | None = None, security: BrokerTls | None = None
) -> tuple[BrokerAddress, ...]:
    """Read one address or several, separated by commas; a user in an address goes before the one given.

    Raises
    ------
    ValueError
        If an address is of another form, or the same node is named twice.
    """
    security = security or SYSTEM_TRUST
    found = tuple(_parse(part.strip(), user, password, security) for part in text.split(",") if part.strip())
    if not found:
        raise ValueError(f"a broker address reads {_FORM}; it is empty")
    places = [(address.host, address.port) for address in found]
    if len(set(places)) != len(places):
        raise ValueError("the same broker address is named twice: name each node of the cluster once")
    return found


def _parse(part: str, user: str | None, password: str | None, security: BrokerTls) -> BrokerAddress:
    try:
        parts = urlsplit(part)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        # What was given may hold a password, so it is not repeated.
        raise ValueError(f"a broker address (KAIMEN_BROKER_URL) reads {_FORM}")
    tls = parts.scheme == "mqtts"
    return BrokerAddress(
        parts.hostname,
        port or (_PORT_SECURE if tls else _PORT_PLAIN),
        tls,
        unquote(parts.username) if parts.username else user,
        unquote(parts.password) if parts.password else password,
        security,
    )


class Nodes:
    """The nodes of one broker in turn; belongs to whoever makes the connections, one thread at a time."""

    def __init__(self, addresses: Sequence[BrokerAddress], *, first: int | None = None) -> None:
        assert addresses, "a broker has at least one address"
        self._addresses = tuple(addresses)
        chosen = random.randrange(len(self._addresses)) if first is None else first  # noqa: S311
        self._at = chosen % len(self._addresses)
        self._left = len(self._addresses)

    @property
    def current(self) -> BrokerAddress:
        return self._addresses[self._at]

    @property
    def count(self) -> int:
        return len(self._addresses)

    def worked(self) -> None:
        """The current node took us: the next failure begins a new round with it."""
        self._left = len(self._addresses)

    def move_on(self) -> bool:
        """Go to the next node; say whether a whole round has now failed, so that waiting is in place."""
        self._at = (self._at + 1) % len(self._addresses)
        self._left -= 1
        if self._left > 0:
            return False
        self._left = len(self._addresses)
        return True
