"""SMS through Aliyun: a message enters, one approved template with the case number and the link's code leaves.

The address is the telephone number. ``OutId`` carries the key, so an uncertain message is looked for before it is
sent again, and receipts find their row. Source: Aliyun documentation, "V3 request structure and signature",
SendSms and QuerySendDetails 2017-05-25 (one number: 1 a minute, 5 an hour, 10 a day; Code in a body of status 200).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import (
    PROOF,
    AfterDoubt,
    Channel,
    ChannelSettingsError,
    DeliveryError,
    Limit,
    Message,
    Receipt,
    Traits,
)
from alerts.sending.clouds import ask_aliyun, format_query, link_code, number_of
from alerts.sending.outgoing import Answer, Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
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
    #: Of the kind for verification codes, with one variable; without it a code travels in the other one, as its number.
    code_template: str | None = None
    code_variable: str = "code"
    #: Names of the template's variables for the case number and the link's code.
    number_variable: str = "number"
    link_variable: str = "code"
    url: str = "https://dysmsapi.aliyuncs.com"


class SmsAliyunChannel:
    """Sends one template, and one of its own for codes; what they say was approved beforehand, so only variables are ours."""

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
        self.is_real = line.is_real

    def deliver(self, message: Message) -> Receipt:
        own = self._own
        template = own.template_code
        variables = {own.number_variable: message.number, own.link_variable: link_code(message.link)}
        if message.template == PROOF and own.code_template:
            template, variables = own.code_template, {own.code_variable: message.number}
        values = {
            "PhoneNumbers": number_of(message),
            "SignName": own.sign_name or "",
            "TemplateCode": template or "",
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
        # The same try of the same message has the same nonce: the platform takes it once.
        return ask_aliyun(
            self._line, key_id=self._own.access_key_id, secret=self._own.access_key_secret, action=action,
            version=_VERSION, query=query, once=f"{action}{message.key}{message.sent_s}{query}",
            sent_s=message.sent_s,
        )  # fmt: skip


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


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.access_key_id is None:
        return None
    if own.access_key_secret is None or not own.sign_name or not own.template_code:
        raise ChannelSettingsError(
            "KAIMEN_SMS_ALIYUN_ACCESS_KEY_ID needs _ACCESS_KEY_SECRET, _SIGN_NAME and _TEMPLATE_CODE too"
        )
    return SmsAliyunChannel(open_line(own.url, settings, "KAIMEN_SMS_ALIYUN_URL"), own)
