"""SMS through Aliyun: a message enters, one approved template with the case number and the link's code leaves.

The address is the telephone number. ``OutId`` carries the key, so an uncertain message is looked for before it is
sent again, and receipts find their row. Source: Aliyun documentation, "V3 request structure and signature",
SendSms and QuerySendDetails 2017-05-25 (one number: 1 a minute, 5 an hour, 10 a day; Code in a body of status 200).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import (
    AfterDoubt,
    Channel,
    ChannelSettingsError,
    DeliveryError,
    Limit,
    Message,
    Receipt,
    Traits,
)
from alerts.outgoing import Answer, Line, judge_status, open_line, parse_json
from alerts.refusals import Refusals
from kaimen.settings import AlertsSettings, ChannelSettings

_VERSION = "2017-05-25"
_CHINA = timezone(timedelta(hours=8))
_REFUSALS = Refusals(
    temporary={
        "isp.SYSTEM_ERROR",
        "isp.RAM_PERMISSION_DENY_TEMPORARY",
        "SignatureNonceUsed",
        "ServiceUnavailable",
    },
    throttled={
        "isv.BUSINESS_LIMIT_CONTROL": 60,
        "Throttling.User": 10,
        "Throttling": 10,
        "Throttling.Api": 10,
    },
)
_WAITING, _FAILED, _DELIVERED = 1, 2, 3


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_SMS_ALIYUN_", frozen=True, extra="ignore")

    access_key_id: str | None = None
    access_key_secret: SecretStr | None = None
    sign_name: str | None = None
    template_code: str | None = None
    #: Names of the template's variables for the case number and the link's code.
    number_variable: str = "number"
    link_variable: str = "code"
    url: str = "https://dysmsapi.aliyuncs.com"


def authorize(
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


class SmsAliyunChannel:
    """Sends one template; what it says was approved beforehand, so only the variables are ours."""

    name = "sms_aliyun"
    traits = Traits(
        person_limits=(Limit(1, 60), Limit(5, 3600), Limit(10, 86_400)),
        after_doubt=AfterDoubt.ASK,
        retry_after_s=(65, 130, 300, 900, 1_800),
        personal=True,
    )

    def __init__(self, line: Line, own: Settings) -> None:
        self._line = line
        self._own = own
        self._host = line.target.host
        self.is_real = line.is_real

    def deliver(self, message: Message) -> Receipt:
        own = self._own
        variables = {own.number_variable: message.number, own.link_variable: link_code(message.link)}
        values = {
            "PhoneNumbers": number_of(message),
            "SignName": own.sign_name or "",
            "TemplateCode": own.template_code or "",
            "TemplateParam": json.dumps(variables, ensure_ascii=False),
            "OutId": message.key,
        }
        found = _parse(self._call("SendSms", values, message))
        if found.get("Code") != "OK":
            raise _REFUSALS.error(found.get("Code"))
        return Receipt("accepted", provider_id=str(found.get("BizId", "")) or None)

    def find(self, message: Message) -> Receipt | None:
        """Look for the key among today's and yesterday's messages to the number."""
        sent_at = datetime.fromtimestamp(message.sent_s, UTC).astimezone(_CHINA)
        for day in (sent_at, sent_at - timedelta(days=1)):
            values = {
                "PhoneNumber": number_of(message),
                "SendDate": f"{day:%Y%m%d}",
                "PageSize": "50",
                "CurrentPage": "1",
            }
            found = _parse(self._call("QuerySendDetails", values, message))
            if found.get("Code") != "OK":
                raise _REFUSALS.error(found.get("Code"))
            rows = (found.get("SmsSendDetailDTOs") or {}).get("SmsSendDetailDTO") or []
            for row in rows:
                if row.get("OutId") == message.key:
                    return _receipt_of(row)
        return None

    def _call(self, action: str, values: Mapping[str, str], message: Message) -> Answer:
        query = format_query(values)
        body_hash = hashlib.sha256(b"").hexdigest()
        headers = {
            "host": self._host,
            "x-acs-action": action,
            "x-acs-version": _VERSION,
            "x-acs-date": f"{datetime.fromtimestamp(message.sent_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
            # The same try of the same message has the same nonce: the platform takes it once.
            "x-acs-signature-nonce": hashlib.sha256(
                f"{action}{message.key}{message.sent_s}{query}".encode()
            ).hexdigest()[:32],
            "x-acs-content-sha256": body_hash,
        }
        authorization = authorize(
            key_id=self._own.access_key_id or "",
            secret=self._own.access_key_secret.get_secret_value() if self._own.access_key_secret else "",
            method="POST", path="/", query=query, headers=headers, body_hash=body_hash,
        )  # fmt: skip
        headers["Authorization"] = authorization
        return self._line.send(f"/?{query}", b"", headers)


def _parse(answer: Answer) -> dict[str, Any]:
    # Refusals of the gateway come with status 4xx and a Code, which says more than the status.
    if 400 <= answer.status < 500 and answer.status != 429:
        try:
            code = parse_json(answer).get("Code")
        except DeliveryError:
            code = None
        if code:
            raise _REFUSALS.error(code)
    judge_status(answer)
    return parse_json(answer)


def _receipt_of(row: Mapping[str, Any]) -> Receipt:
    status = row.get("SendStatus")
    if status == _FAILED:
        raise _REFUSALS.error(row.get("ErrCode", "failed"))
    return Receipt("delivered" if status == _DELIVERED else "accepted", detail="found by its key")


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


def link_code(link: str) -> str:
    """Return the last part of a link: templates have the address in them and take the code alone."""
    return link.rstrip("/").rpartition("/")[2]


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.access_key_id is None:
        return None
    if own.access_key_secret is None or not own.sign_name or not own.template_code:
        raise ChannelSettingsError(
            "KAIMEN_SMS_ALIYUN_ACCESS_KEY_ID needs _ACCESS_KEY_SECRET, _SIGN_NAME and _TEMPLATE_CODE too"
        )
    return SmsAliyunChannel(open_line(own.url, settings, "KAIMEN_SMS_ALIYUN_URL"), own)
