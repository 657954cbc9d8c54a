"""Calls through Aliyun: an order enters, one IvrCall with approved texts leaves; its voice report becomes reports.

``OutId`` carries the attempt's key and comes back in the report. The provider speaks when a key is pressed, before
we know of it: so its texts for keys must thank for nothing (docs/telephone.md). Source: Aliyun documentation, IvrCall
and VoiceReport of dyvmsapi 2017-05-25.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import ChannelSettingsError, DeliveryError
from alerts.sending.clouds import ask_aliyun, format_query
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
from alerts.voice.cloud import Report
from alerts.voice.gateway import CallOrder, Cause, dialled
from kaimen.settings import AlertsSettings, ChannelSettings

_REFUSALS = Refusals(
    temporary={"isp.SYSTEM_ERROR", "ServiceUnavailable", "SignatureNonceUsed", "InternalError"},
    throttled={
        "isv.BUSINESS_LIMIT_CONTROL": 60,
        "isv.FLOW_CONTROL": 10,
        "Throttling.User": 10,
        "Throttling.Api": 10,
    },
)
#: What its status codes mean; any other is not known to be anything.
_CAUSES = {
    "200000": Cause.HUNG_UP,
    "200002": Cause.BUSY,
    "200003": Cause.NO_ANSWER,
    "200004": Cause.INVALID_NUMBER,
    "200005": Cause.UNAVAILABLE,
    "200007": Cause.UNAVAILABLE,
    "200010": Cause.UNAVAILABLE,
    "200011": Cause.UNAVAILABLE,
    "200012": Cause.HUNG_UP,
    "200130": Cause.REJECTED,
}


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_VOICE_ALIYUN_", frozen=True, extra="ignore")

    access_key_id: str | None = None
    access_key_secret: SecretStr | None = None
    show_number: str | None = None
    #: Approved texts by audience and language: {"elder/zh": "TTS_1"}, and those after a key: {"bye": "TTS_9"}.
    templates: dict[str, str] = Field(default={})
    url: str = "https://dyvmsapi.aliyuncs.com"


class AliyunVoice:
    """Orders IVR calls."""

    name = "aliyun"

    def __init__(self, line: Line, own: Settings) -> None:
        self._line = line
        self._own = own
        self.is_real = line.is_real

    def call(self, order: CallOrder, sent_s: int) -> tuple[str, str]:
        template = self._own.templates.get(f"{order.audience}/{order.language}")
        bye = self._own.templates.get("bye")
        if template is None or bye is None:
            raise DeliveryError(f"no approved text for {order.audience}/{order.language}", permanent=False)
        values = {
            "CalledShowNumber": self._own.show_number or "", "CalledNumber": dialled(order.number),
            "StartCode": template, "ByeCode": bye, "PlayTimes": "2", "Timeout": "8000", "OutId": order.key,
        }  # fmt: skip
        for index, key in enumerate(order.keys, start=1):
            values |= {f"MenuKeyMap.{index}.Key": key, f"MenuKeyMap.{index}.Code": bye}
        found = self._ask("IvrCall", values, order.key, sent_s)
        if found.get("Code") != "OK":
            raise _REFUSALS.error(found.get("Code"))
        return order.key, str(found.get("CallId", ""))

    def _ask(self, action: str, values: Mapping[str, str], key: str, sent_s: int) -> dict[str, Any]:
        # The same attempt has the same nonce: the provider takes it once.
        answer = ask_aliyun(
            self._line, key_id=self._own.access_key_id, secret=self._own.access_key_secret, action=action,
            version="2017-05-25", query=format_query(values), once=f"{action}{key}", sent_s=sent_s,
        )  # fmt: skip
        if answer.status >= 500:
            judge_status(answer)
        return parse_json(answer)


def parse_reports(body: object) -> Iterator[Report]:
    """Yield what a batch of voice reports says; what is none is passed over."""
    for item in body if isinstance(body, list) else []:
        key = item.get("out_id") if isinstance(item, dict) else None
        if not isinstance(key, str) or not key:
            continue
        status = str(item.get("status_code", ""))
        digits = str(item.get("dtmf") or "")
        if digits or status == "200000":
            yield Report(key, "answered")
        if digits:
            yield Report(key, "digit", digits[0])
        yield Report(key, "ended", _CAUSES.get(status, Cause.UNKNOWN).value)


def open_provider(settings: AlertsSettings, own: Settings | None = None) -> AliyunVoice:
    """Return the provider.

    Raises
    ------
    ChannelSettingsError
        With what is missing.
    """
    own = own or Settings()
    if own.access_key_id is None or own.access_key_secret is None or not (own.show_number and own.templates):
        raise ChannelSettingsError(
            "KAIMEN_VOICE_GATEWAY=aliyun needs KAIMEN_VOICE_ALIYUN_ACCESS_KEY_ID, _ACCESS_KEY_SECRET, _SHOW_NUMBER "
            "and _TEMPLATES"
        )
    return AliyunVoice(open_line(own.url, settings, "KAIMEN_VOICE_ALIYUN_URL"), own)
