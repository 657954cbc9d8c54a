"""Signed webhooks (Standard Webhooks 1.0): a message enters, one POST to one address leaves.

The host is resolved once and that address is connected to; redirects are refused; private, link-local and loopback
addresses only where the settings list the host; time and body are bounded and nothing of the answer but its status
is believed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from alerts.channels import Channel, DeliveryError, Message, Receipt
from kaimen.settings import AlertsSettings

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 10.0
ANSWER_BYTES_MAX = 4_096
SECRET_PREFIX = "whsec_"  # noqa: S105 - the mark of a secret, not one
SECRET_BYTES_MIN = 24

#: Answers after which another try can help; every other 3xx and 4xx is a refusal.
_TEMPORARY = frozenset({408, 409, 425, 429})


class WebhookSettingsError(ValueError):
    """The webhook is set up wrongly; the text says which variable."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post: the parts of the address, and what it may resolve to."""

    scheme: str
    host: str
    port: int
    path: str
    private: bool
    loopback_only: bool


def parse_target(url: str, private_hosts: tuple[str, ...], *, demo: bool) -> Target:
    """Return the target of a URL.

    Raises
    ------
    WebhookSettingsError
        If it is not an address to post to: https, or http to a host that is listed as private.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WebhookSettingsError(f"KAIMEN_ALERTS_WEBHOOK_URL: {error}") from None
    host = (parts.hostname or "").lower()
    private = host in {name.lower() for name in private_hosts}
    if not host or parts.username is not None or parts.fragment:
        raise WebhookSettingsError("KAIMEN_ALERTS_WEBHOOK_URL needs a host and neither user nor fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and private):
        raise WebhookSettingsError(
            "KAIMEN_ALERTS_WEBHOOK_URL must be https, or its host listed in KAIMEN_ALERTS_WEBHOOK_PRIVATE_HOSTS"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    default = 443 if parts.scheme == "https" else 80
    return Target(parts.scheme, host, port or default, path, private, loopback_only=demo)


def parse_secret(secret: str | None) -> bytes:
    """Return the key of a ``whsec_`` secret.

    Raises
    ------
    WebhookSettingsError
        If it is missing, not base64, or shorter than 24 bytes.
    """
    try:
        key = base64.b64decode((secret or "").removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < SECRET_BYTES_MIN:
        raise WebhookSettingsError(
            f"KAIMEN_ALERTS_WEBHOOK_SECRET must be {SECRET_PREFIX} and the base64 of {SECRET_BYTES_MIN} bytes or more"
        )
    return key


def sign(key: bytes, *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the ``webhook-signature`` of one message."""
    signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def resolve(target: Target) -> tuple[socket.AddressFamily, str]:
    """Return the one address to connect to.

    Raises
    ------
    DeliveryError
        If the name has none, or one of them is where a webhook must not reach.
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


class WebhookChannel:
    """Posts to the one address of the settings."""

    name = "webhook"

    def __init__(self, target: Target, key: bytes, *, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._target = target
        self._key = key
        self._answer_within_s = answer_within_s
        # What a demo may post to is decided again when the name is resolved: loopback or nothing.
        self.is_real = not target.private
        self._tls = ssl.create_default_context() if target.scheme == "https" else None

    def deliver(self, message: Message) -> Receipt:
        body = format_body(message)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "kaimen",
            "webhook-id": message.key,
            "webhook-timestamp": str(message.sent_s),
            "webhook-signature": sign(
                self._key, message_id=message.key, timestamp_s=message.sent_s, body=body
            ),
        }
        connection = self._connect()
        late = threading.Event()
        deadline = threading.Timer(self._answer_within_s, _cut, [connection, late])
        deadline.start()
        try:
            status = _post(connection, self._target.path, body, headers)
            if late.is_set():
                raise TimeoutError
        except (OSError, http.client.HTTPException) as error:
            # The request may have been taken before the line broke.
            raise DeliveryError(
                f"no answer: {type(error).__name__}", permanent=False, uncertain=True
            ) from None
        finally:
            deadline.cancel()
            connection.close()
        return _judge(status)

    def _connect(self) -> http.client.HTTPConnection:
        family, address = resolve(self._target)
        connection = http.client.HTTPConnection(
            self._target.host, self._target.port, timeout=CONNECT_WITHIN_S
        )
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            line.settimeout(CONNECT_WITHIN_S)
            line.connect((address, self._target.port))
            if self._tls is not None:
                line = self._tls.wrap_socket(line, server_hostname=self._target.host)
            line.settimeout(self._answer_within_s)
        except OSError as error:
            line.close()
            raise DeliveryError(f"no connection: {type(error).__name__}", permanent=False) from None
        connection.sock = line
        return connection


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    # A peer that sends a byte now and then would never run into the socket's own time-out.
    late.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _post(connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> int:
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read(ANSWER_BYTES_MAX)
    return answer.status


def _judge(status: int) -> Receipt:
    if 200 <= status < 300:
        return Receipt("accepted", detail=f"HTTP {status}")
    temporary = status >= 500 or status in _TEMPORARY
    raise DeliveryError(f"HTTP {status}", permanent=not temporary)


def format_body(message: Message) -> bytes:
    """Return the body: a case number, a link and what to say; nothing about anybody."""
    body = {
        "type": "case.annunciated",
        "timestamp": message.sent_s,
        "data": {"case": message.number, "link": message.link, "text": dict(message.texts)},
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def open_channel(settings: AlertsSettings) -> Channel | None:
    if settings.alerts_webhook_url is None:
        return None
    target = parse_target(
        settings.alerts_webhook_url, settings.alerts_webhook_private_hosts, demo=settings.demo
    )
    return WebhookChannel(target, parse_secret(settings.alerts_webhook_secret))
