"""Signed requests of the two cloud providers: an action and its values enter, the provider's answer leaves.

Their text messages and their telephones are asked in the same way. Source: Aliyun documentation, "V3 request
structure and signature"; Tencent Cloud documentation, "signature method v3" (TC3-HMAC-SHA256).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from alerts.channels import DeliveryError, Message
from alerts.sending.outgoing import Answer, Line

_JSON = "application/json; charset=utf-8"
_EMPTY_HASH = hashlib.sha256(b"").hexdigest()


def authorize_aliyun(
    *,
    key_id: str,
    secret: str,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body_hash: str,
) -> str:
    """Return the ``Authorization`` of a request: ``headers`` are those signed, ``query`` canonical already."""
    names = sorted(name.lower() for name in headers)
    values = {name.lower(): value.strip() for name, value in headers.items()}
    canonical = "\n".join(
        (method, path, query, *(f"{name}:{values[name]}" for name in names), "", ";".join(names), body_hash)
    )
    algorithm = "ACS3-HMAC-SHA256"
    to_sign = f"{algorithm}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(secret.encode(), to_sign.encode(), "sha256").hex()
    return f"{algorithm} Credential={key_id},SignedHeaders={';'.join(names)},Signature={signature}"


def format_query(values: Mapping[str, str]) -> str:
    """Return the canonical query: sorted, RFC 3986."""
    return "&".join(f"{quote(name, safe='~')}={quote(values[name], safe='~')}" for name in sorted(values))


def ask_aliyun(
    line: Line,
    *,
    key_id: str | None,
    secret: SecretStr | None,
    action: str,
    version: str,
    query: str,
    once: str,
    sent_s: int,
) -> Answer:
    """Send one action; of several requests with the same ``once`` the platform takes the first alone."""
    headers = {
        "host": line.target.host,
        "x-acs-action": action,
        "x-acs-version": version,
        "x-acs-date": f"{datetime.fromtimestamp(sent_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": hashlib.sha256(once.encode()).hexdigest()[:32],
        "x-acs-content-sha256": _EMPTY_HASH,
    }
    headers["Authorization"] = authorize_aliyun(
        key_id=key_id or "", secret=_plain(secret), method="POST", path="/", query=query, headers=headers,
        body_hash=_EMPTY_HASH,
    )  # fmt: skip
    return line.send(f"/?{query}", b"", headers)


def authorize_tencent(
    *, secret_id: str, secret_key: str, service: str, host: str, timestamp_s: int, body: bytes,
    content_type: str = _JSON,
) -> str:  # fmt: skip
    """Return the ``Authorization`` of a POST to ``/`` with content type and host signed."""
    day = f"{datetime.fromtimestamp(timestamp_s, UTC):%Y-%m-%d}"
    signed = "content-type;host"
    canonical = "\n".join(
        (
            "POST", "/", "", f"content-type:{content_type}", f"host:{host}", "", signed,
            hashlib.sha256(body).hexdigest(),
        )
    )  # fmt: skip
    scope = f"{day}/{service}/tc3_request"
    to_sign = "\n".join(
        ("TC3-HMAC-SHA256", str(timestamp_s), scope, hashlib.sha256(canonical.encode()).hexdigest())
    )
    key = f"TC3{secret_key}".encode()
    for part in (day, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return f"TC3-HMAC-SHA256 Credential={secret_id}/{scope}, SignedHeaders={signed}, Signature={signature}"


def ask_tencent(
    line: Line,
    *,
    secret_id: str | None,
    secret_key: SecretStr | None,
    service: str,
    action: str,
    version: str,
    region: str,
    values: Mapping[str, Any],
    sent_s: int,
) -> Answer:
    """Send one action with its values as JSON."""
    body = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    host = line.target.host
    headers = {
        "Content-Type": _JSON,
        "Host": host,
        "X-TC-Action": action,
        "X-TC-Version": version,
        "X-TC-Region": region,
        "X-TC-Timestamp": str(sent_s),
        "Authorization": authorize_tencent(
            secret_id=secret_id or "", secret_key=_plain(secret_key), service=service, host=host,
            timestamp_s=sent_s, body=body,
        ),
    }  # fmt: skip
    return line.send("/", body, headers)


def number_of(message: Message) -> str:
    """Return the digits of the address, with a leading plus where there was one.

    Raises
    ------
    DeliveryError
        If it is none.
    """
    digits = "".join(sign for sign in message.address if sign.isdecimal())
    if not 5 <= len(digits) <= 15:
        raise DeliveryError("no telephone number", permanent=True)
    return f"+{digits}" if message.address.lstrip().startswith("+") else digits


def with_country(number: str) -> str:
    """Return the number with its country; a Chinese mobile number has none written."""
    return number if number.startswith("+") else f"+86{number}"


def link_code(link: str) -> str:
    """Return the last part of a link: templates have the address in them and take the code alone."""
    return link.rstrip("/").rpartition("/")[2]


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
