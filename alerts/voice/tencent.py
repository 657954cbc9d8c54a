"""Calls through Tencent Cloud: an order enters, one SendTtsVoice with an approved text leaves; call-backs are read.

``SessionContext`` carries the attempt's key; call-backs name only the call, so they are found by its number. Source:
Tencent Cloud documentation, SendTtsVoice of vms 2020-09-02, call-backs voiceprompt_callback and voicekey_callback.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import ChannelSettingsError, DeliveryError
from alerts.sending.clouds import ask_tencent, with_country
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
from alerts.voice.cloud import Report
from alerts.voice.gateway import CallOrder, Cause, dialled
from kaimen.settings import AlertsSettings, ChannelSettings

_REFUSALS = Refusals(
    temporary={"InternalError", "InternalError.Timeout", "FailedOperation"},
    throttled={"RequestLimitExceeded": 5, "LimitExceeded": 60, "LimitExceeded.DeliveryFrequencyLimit": 60},
)
_CAUSES = {"0": Cause.HUNG_UP, "1": Cause.NO_ANSWER, "2": Cause.UNAVAILABLE}


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_VOICE_TENCENT_", frozen=True, extra="ignore")

    secret_id: str | None = None
    secret_key: SecretStr | None = None
    app_id: str | None = None
    #: Approved texts by audience and language: {"elder/zh": "1234"}.
    templates: dict[str, str] = Field(default={})
    region: str = "ap-guangzhou"
    url: str = "https://vms.tencentcloudapi.com"


class TencentVoice:
    """Orders voice notices that take a key."""

    name = "tencent"

    def __init__(self, line: Line, own: Settings) -> None:
        self._line = line
        self._own = own
        self.is_real = line.is_real

    def call(self, order: CallOrder, sent_s: int) -> tuple[str, str]:
        template = self._own.templates.get(f"{order.audience}/{order.language}")
        if template is None:
            raise DeliveryError(f"no approved text for {order.audience}/{order.language}", permanent=False)
        values = {
            "TemplateId": template, "CalledNumber": with_country(dialled(order.number)),
            "VoiceSdkAppid": self._own.app_id, "PlayTimes": 2, "SessionContext": order.key,
        }  # fmt: skip
        answer = ask_tencent(
            self._line, secret_id=self._own.secret_id, secret_key=self._own.secret_key, service="vms",
            action="SendTtsVoice", version="2020-09-02", region=self._own.region, values=values, sent_s=sent_s,
        )  # fmt: skip
        judge_status(answer)
        found = parse_json(answer).get("Response") or {}
        if "Error" in found:
            raise _REFUSALS.error((found["Error"] or {}).get("Code"))
        call_id = str((found.get("SendStatus") or {}).get("CallId") or "")
        if not call_id:
            raise DeliveryError("an answer that is none", permanent=False, uncertain=True)
        return call_id, call_id


def parse_reports(body: object) -> Iterator[Report]:
    """Yield what a call-back says; what is none is passed over."""
    if not isinstance(body, dict):
        return
    key = body.get("voicekey_callback")
    if isinstance(key, dict) and key.get("callid"):
        call_id, digits = str(key["callid"]), str(key.get("keypress") or "")
        if digits:
            yield Report(call_id, "answered")
            yield Report(call_id, "digit", digits[0])
    prompt = body.get("voiceprompt_callback")
    if isinstance(prompt, dict) and prompt.get("callid"):
        call_id, result = str(prompt["callid"]), str(prompt.get("result", ""))
        if result == "0":
            yield Report(call_id, "answered")
        yield Report(call_id, "ended", _CAUSES.get(result, Cause.UNKNOWN).value)


def open_provider(settings: AlertsSettings, own: Settings | None = None) -> TencentVoice:
    """Return the provider.

    Raises
    ------
    ChannelSettingsError
        With what is missing.
    """
    own = own or Settings()
    if own.secret_id is None or own.secret_key is None or not (own.app_id and own.templates):
        raise ChannelSettingsError(
            "KAIMEN_VOICE_GATEWAY=tencent needs KAIMEN_VOICE_TENCENT_SECRET_ID, _SECRET_KEY, _APP_ID and _TEMPLATES"
        )
    return TencentVoice(open_line(own.url, settings, "KAIMEN_VOICE_TENCENT_URL"), own)
