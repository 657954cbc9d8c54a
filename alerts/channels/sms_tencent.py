"""SMS through Tencent Cloud: a message enters, one approved template with case number and link code leaves.

The address is the telephone number. ``SessionContext`` carries the key and comes back with receipts. Source:
Tencent Cloud documentation, "signature method v3" (TC3-HMAC-SHA256), SendSms and PullSmsSendStatusByPhoneNumber
2021-01-11 (a refusal stands in ``Response.Error`` or in the ``Code`` of the number, with status 200).
"""

from __future__ import annotations

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
from alerts.sending.clouds import ask_tencent, link_code, number_of, with_country
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
from kaimen.settings import AlertsSettings, ChannelSettings

_VERSION = "2021-01-11"
_SERVICE = "sms"
_LOOK_BACK_S = 86_400
_REFUSALS = Refusals(
    temporary={
        "InternalError", "InternalError.Timeout", "InternalError.SendAndRecvFail", "InternalError.OtherError",
        "FailedOperation.FailResolvePacket", "InternalError.RequestTimeException",
    },
    throttled={
        "RequestLimitExceeded": 5,
        "LimitExceeded.PhoneNumberThirtySecondLimit": 31,
        "LimitExceeded.PhoneNumberOneHourLimit": 3_600,
        "LimitExceeded.DeliveryFrequencyLimit": 60,
    },
)  # fmt: skip


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_SMS_TENCENT_", frozen=True, extra="ignore")

    secret_id: str | None = None
    secret_key: SecretStr | None = None
    app_id: str | None = None
    sign_name: str | None = None
    template_id: str | None = None
    #: For verification codes, with one variable; without it a code travels in the other one, as its number.
    code_template: str | None = None
    region: str = "ap-guangzhou"
    url: str = "https://sms.tencentcloudapi.com"


class SmsTencentChannel:
    """Sends one template; its variables are the case number and the link's code, in this order. Codes may have one of their own."""

    name = "sms_tencent"
    traits = Traits(
        person_limits=(Limit(1, 30), Limit(5, 3600), Limit(10, 86_400)),
        after_doubt=AfterDoubt.ASK,
        retry_after_s=(35, 120, 300, 900, 1_800),
        personal=True,
    )

    def __init__(self, line: Line, own: Settings) -> None:
        self._line = line
        self._own = own
        self.is_real = line.is_real

    def deliver(self, message: Message) -> Receipt:
        template, variables = self._own.template_id, [message.number, link_code(message.link)]
        if message.template == PROOF and self._own.code_template:
            template, variables = self._own.code_template, [message.number]
        values = {
            "PhoneNumberSet": [with_country(number_of(message))],
            "SmsSdkAppId": self._own.app_id,
            "SignName": self._own.sign_name,
            "TemplateId": template,
            "TemplateParamSet": variables,
            "SessionContext": message.key,
        }
        rows = self._call("SendSms", values, message).get("SendStatusSet") or [{}]
        if rows[0].get("Code") != "Ok":
            raise _REFUSALS.error(rows[0].get("Code"))
        return Receipt("accepted", provider_id=str(rows[0].get("SerialNo", "")) or None)

    def find(self, message: Message) -> Receipt | None:
        """Look for the serial number or the key among the last day's messages to the number."""
        values = {
            "BeginTime": message.sent_s - _LOOK_BACK_S,
            "EndTime": message.sent_s,
            "Offset": 0,
            "Limit": 100,
            "PhoneNumber": with_country(number_of(message)),
            "SmsSdkAppId": self._own.app_id,
        }
        found = self._call("PullSmsSendStatusByPhoneNumber", values, message)
        for row in found.get("PullSmsSendStatusSet") or []:
            if row.get("SessionContext") == message.key or (
                message.provider_id and row.get("SerialNo") == message.provider_id
            ):
                if row.get("ReportStatus") != "SUCCESS":
                    raise _REFUSALS.error(row.get("ReportStatus", "failed"))
                return Receipt("delivered", provider_id=str(row.get("SerialNo", "")) or None)
        return None

    def _call(self, action: str, values: dict[str, Any], message: Message) -> dict[str, Any]:
        answer = ask_tencent(
            self._line, secret_id=self._own.secret_id, secret_key=self._own.secret_key, service=_SERVICE,
            action=action, version=_VERSION, region=self._own.region, values=values, sent_s=message.sent_s,
        )  # fmt: skip
        judge_status(answer)
        found = parse_json(answer).get("Response")
        if not isinstance(found, dict):
            raise DeliveryError("an answer that is none", permanent=False, uncertain=True)
        if "Error" in found:
            raise _REFUSALS.error((found["Error"] or {}).get("Code"))
        return found


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.secret_id is None:
        return None
    if own.secret_key is None or not (own.app_id and own.sign_name and own.template_id):
        raise ChannelSettingsError(
            "KAIMEN_SMS_TENCENT_SECRET_ID needs _SECRET_KEY, _APP_ID, _SIGN_NAME and _TEMPLATE_ID too"
        )
    return SmsTencentChannel(open_line(own.url, settings, "KAIMEN_SMS_TENCENT_URL"), own)
