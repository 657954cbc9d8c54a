"""Requests to the outside: an address and a body enter, a bounded answer leaves, or a DeliveryError that says how far.

The host is resolved once and that very address is connected to, so that a name cannot point elsewhere between the
check and the call; redirects are not followed; private, link-local and loopback addresses are refused unless an
administrator lists the host; connection, answer and body are bounded.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from alerts.channels import ChannelSettingsError, DeliveryError
from kaimen.settings import AlertsSettings

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 10.0
ANSWER_BYTES_MAX = 64 * 1024
RETRY_AFTER_MAX_S = 6 * 3600

#: Answers after which another try can help; every other 3xx and 4xx is a refusal.
_TEMPORARY = frozenset({408, 409, 425})


@dataclass(frozen=True, slots=True)
class Target:
    """Where to go: the parts of an address, and what it may resolve to."""

    scheme: str
    host: str
    port: int
    path: str
    private: bool
    loopback_only: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: ``body`` is cut at its bound, ``retry_after_s`` None where nothing was said."""

    status: int
    body: bytes
    retry_after_s: int | None = None


def parse_target(
    url: str, private_hosts: Sequence[str], *, demo: bool, variable: str = "the address"
) -> Target:
    """Return the target of a URL; ``variable`` names the setting in errors.

    Raises
    ------
    ChannelSettingsError
        If it is not an address to go to: https, or http to a host that is listed as private.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ChannelSettingsError(f"{variable}: {error}") from None
    host = (parts.hostname or "").lower()
    private = is_listed(host, private_hosts)
    if not host or parts.username is not None or parts.fragment:
        raise ChannelSettingsError(f"{variable} needs a host and neither user nor fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and private):
        raise ChannelSettingsError(
            f"{variable} must be https, or its host listed in KAIMEN_ALERTS_PRIVATE_HOSTS"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    default = 443 if parts.scheme == "https" else 80
    return Target(parts.scheme, host, port or default, path, private, loopback_only=demo)


def is_listed(host: str, private_hosts: Sequence[str]) -> bool:
    return host.lower() in {name.lower() for name in private_hosts}


def private_hosts_of(settings: AlertsSettings) -> tuple[str, ...]:
    """Return the hosts an administrator lets lie inside."""
    return (*settings.alerts_private_hosts, *settings.alerts_webhook_private_hosts)


def open_tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies names and certificates, with an own authority where one is named."""
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def resolve(target: Target) -> tuple[socket.AddressFamily, str]:
    """Return the one address to connect to.

    Raises
    ------
    DeliveryError
        If the name has none, or one of them is where nothing must go.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeliveryError(f"the name does not resolve: {type(error).__name__}", permanent=False) from None
    addresses = [(family, cast(str, where[0])) for family, _, _, _, where in found]
    for _, address in addresses:
        _refuse_address(ipaddress.ip_address(address.partition("%")[0]), target)
    return addresses[0]


def _refuse_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address, target: Target) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or address
    if target.loopback_only and not mapped.is_loopback:
        raise DeliveryError("a demo posts to loopback only", permanent=True)
    if not target.private and (not mapped.is_global or mapped.is_multicast):
        raise DeliveryError("the address is not a public one and its host is not listed", permanent=True)


def connect(
    target: Target, *, answer_within_s: float = ANSWER_WITHIN_S, tls: ssl.SSLContext | None = None
) -> socket.socket:
    """Return a connected line to the one address the name has now, over TLS where a context is given.

    Raises
    ------
    DeliveryError
        If there is no connection; nothing was sent then.
    """
    family, address = resolve(target)
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.settimeout(CONNECT_WITHIN_S)
        line.connect((address, target.port))
        if tls is not None:
            line = tls.wrap_socket(line, server_hostname=target.host)
        line.settimeout(answer_within_s)
    except OSError as error:
        line.close()
        raise DeliveryError(f"no connection: {type(error).__name__}", permanent=False) from None
    return line


def request(
    target: Target,
    *,
    body: bytes,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None,
    method: str = "POST",
    path: str | None = None,
    answer_within_s: float = ANSWER_WITHIN_S,
) -> Answer:
    """Make one request and return its answer, whatever its status.

    Raises
    ------
    DeliveryError
        Uncertain where the request may have been taken before the line broke.
    """
    connection = http.client.HTTPConnection(target.host, target.port, timeout=CONNECT_WITHIN_S)
    connection.sock = connect(
        target, answer_within_s=answer_within_s, tls=tls if target.scheme == "https" else None
    )
    try:
        with bounded(lambda: connection.sock, answer_within_s):
            connection.request(method, path or target.path, body, {"User-Agent": "kaimen", **headers})
            answer = connection.getresponse()
            text = answer.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryError(f"no answer: {type(error).__name__}", permanent=False, uncertain=True) from None
    finally:
        connection.close()
    return Answer(
        answer.status, text, _retry_after_s(answer.getheader("Retry-After"), answer.getheader("Date"))
    )


@contextmanager
def bounded(line_of: Callable[[], socket.socket | None], within_s: float) -> Iterator[None]:
    """Cut a line when the time is up: a peer that sends a byte now and then never runs into a socket's time-out.

    Raises
    ------
    TimeoutError
        At the end, if the line was cut.
    """
    late = threading.Event()

    def cut() -> None:
        late.set()
        line = line_of()
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    deadline = threading.Timer(within_s, cut)
    deadline.start()
    try:
        yield
    finally:
        deadline.cancel()
    if late.is_set():
        raise TimeoutError


def _retry_after_s(value: str | None, date: str | None) -> int | None:
    """Read ``Retry-After``: seconds, or an instant counted from the answer's own ``Date``."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(int(value), RETRY_AFTER_MAX_S)
    try:
        seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(0, int(seconds)), RETRY_AFTER_MAX_S)


def judge_status(answer: Answer) -> None:
    """Let a 2xx pass.

    Raises
    ------
    DeliveryError
        For every other status: throttled for 429, permanent for what another try cannot help.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    if status == 429:
        raise DeliveryError(
            f"HTTP {status}", permanent=False, retry_after_s=answer.retry_after_s or 60, throttled=True
        )
    temporary = status >= 500 or status in _TEMPORARY
    raise DeliveryError(f"HTTP {status}", permanent=not temporary, retry_after_s=answer.retry_after_s)


def parse_json(answer: Answer) -> dict[str, Any]:
    """Return the object of a provider's answer.

    Raises
    ------
    DeliveryError
        If it is none: whoever answered is not the provider as documented, and nobody knows what it did.
    """
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DeliveryError(
            f"HTTP {answer.status} with an answer that is none", permanent=False, uncertain=True
        )
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """A provider's address with what every request to it needs."""

    target: Target
    tls: ssl.SSLContext | None
    answer_within_s: float = ANSWER_WITHIN_S

    @property
    def is_real(self) -> bool:
        # What a demo may post to is decided again when the name is resolved: loopback or nothing.
        return not self.target.private

    def post_json(
        self, path: str, body: object, headers: Mapping[str, str] | None = None, *, method: str = "POST"
    ) -> Answer:
        """Send an object as JSON to a path below the provider's address; return the answer, whatever its status."""
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return self.send(
            path, text, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, method
        )

    def get(self, path: str) -> Answer:
        return self.send(path, b"", {}, "GET")

    def send(self, path: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> Answer:
        return request(
            self.target, body=body, headers=headers, tls=self.tls, method=method,
            path=self.target.path.rstrip("/") + path, answer_within_s=self.answer_within_s,
        )  # fmt: skip


def open_line(url: str, settings: AlertsSettings, variable: str) -> Line:
    """Return the line to a provider's address, as the settings allow it.

    Raises
    ------
    ChannelSettingsError
        If the address is none, or goes where nothing may go.
    """
    target = parse_target(url, private_hosts_of(settings), demo=settings.demo, variable=variable)
    tls = open_tls(settings.alerts_ca_file) if target.scheme == "https" else None
    return Line(target, tls, settings.alerts_answer_within_s)
