"""Signed webhooks (Standard Webhooks 1.0): a message enters, one POST to one address leaves.

Nothing of the answer but its status is believed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from alerts.channels import (
    AfterDoubt,
    Channel,
    ChannelSettingsError,
    Message,
    Receipt,
    Traits,
)
from alerts.sending.outgoing import (
    ANSWER_WITHIN_S,
    Line,
    Target,
    judge_status,
    open_line,
    open_tls,
    parse_target,
    request,
    resolve,
)
from kaimen.settings import AlertsSettings

SECRET_PREFIX = "whsec_"  # noqa: S105 - the mark of a secret, not one
SECRET_BYTES_MIN = 24

#: The name it has had in settings' errors since there was no other channel.
WebhookSettingsError = ChannelSettingsError


def parse_secret(secret: str | None) -> bytes:
    """Return the key of a ``whsec_`` secret.

    Raises
    ------
    ChannelSettingsError
        If it is missing, not base64, or shorter than 24 bytes.
    """
    try:
        key = base64.b64decode((secret or "").removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < SECRET_BYTES_MIN:
        raise ChannelSettingsError(
            f"KAIMEN_ALERTS_WEBHOOK_SECRET must be {SECRET_PREFIX} and the base64 of {SECRET_BYTES_MIN} bytes or more"
        )
    return key


def sign(key: bytes, *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the ``webhook-signature`` of one message."""
    signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class WebhookChannel:
    """Posts to the one address of the settings; the receiver knows a key again."""

    name = "webhook"
    traits = Traits(after_doubt=AfterDoubt.RESEND)

    def __init__(
        self,
        target: Target,
        key: bytes,
        *,
        answer_within_s: float = ANSWER_WITHIN_S,
        line: Line | None = None,
    ) -> None:
        self._line = line or Line(
            target, open_tls(None) if target.scheme == "https" else None, answer_within_s
        )
        self._key = key
        self.is_real = self._line.is_real

    def deliver(self, message: Message) -> Receipt:
        body = format_body(message)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.key,
            "webhook-timestamp": str(message.sent_s),
            "webhook-signature": sign(
                self._key, message_id=message.key, timestamp_s=message.sent_s, body=body
            ),
        }
        answer = request(
            self._line.target, body=body, headers=headers, tls=self._line.tls,
            answer_within_s=self._line.answer_within_s,
        )  # fmt: skip
        judge_status(answer)
        return Receipt("accepted", detail=f"HTTP {answer.status}")


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
    line = open_line(settings.alerts_webhook_url, settings, "KAIMEN_ALERTS_WEBHOOK_URL")
    return WebhookChannel(line.target, parse_secret(settings.alerts_webhook_secret), line=line)


__all__ = [
    "Target",
    "WebhookChannel",
    "WebhookSettingsError",
    "open_channel",
    "parse_secret",
    "parse_target",
    "resolve",
    "sign",
]  # fmt: skip
