"""A Feishu group's signed robot: a message enters, one text in the group leaves.

The address is ``token secret``; a community's own takes the place of the one in the settings. Source: Feishu
documentation, "custom robots" (100 messages a minute, 5 a second; code in a body of status 200, 9499 and 11232 among
them).
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import quote

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import Channel, ChannelSettingsError, Limit, Message, Receipt, Traits
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
from kaimen.settings import AlertsSettings, ChannelSettings

_REFUSALS = Refusals(temporary={"1500", "19003"}, throttled={"11232": 60, "99991400": 60})


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_FEISHU_", frozen=True, extra="ignore")

    token: SecretStr | None = None
    secret: SecretStr | None = None
    url: str = "https://open.feishu.cn"


def sign(secret: str, timestamp_s: int) -> str:
    """Return the base64 HMAC-SHA256 of nothing, keyed with the timestamp and the secret on two lines."""
    return base64.b64encode(hmac.digest(f"{timestamp_s}\n{secret}".encode(), b"", "sha256")).decode()


class FeishuChannel:
    """Posts into one group."""

    name = "feishu"
    traits = Traits(limits=(Limit(5, 1), Limit(100, 60)))

    def __init__(self, line: Line, token: str, secret: str) -> None:
        self._line = line
        self._own = (token, secret)
        self.is_real = line.is_real

    def deliver(self, message: Message) -> Receipt:
        token, _, secret = message.address.partition(" ")
        if not token or not secret.strip():
            token, secret = self._own
        body = {
            "timestamp": str(message.sent_s),
            "sign": sign(secret.strip(), message.sent_s),
            "msg_type": "text",
            "content": {"text": message.text()},
        }
        answer = self._line.post_json(f"/open-apis/bot/v2/hook/{quote(token, safe='')}", body)
        # Feishu tells frequency limits with status 400 or 429 and a code in the body: the code says more.
        if answer.status in (200, 400, 429):
            found = parse_json(answer)
            code = found.get("code", found.get("StatusCode"))
            if answer.status == 200 and code == 0:
                return Receipt("accepted")
            if code not in (None, 0):
                raise _REFUSALS.error(code)
        judge_status(answer)
        raise _REFUSALS.error("no code")


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.token is None:
        return None
    if own.secret is None:
        raise ChannelSettingsError(
            "KAIMEN_FEISHU_TOKEN needs KAIMEN_FEISHU_SECRET: switch the robot's signature on"
        )
    line = open_line(own.url, settings, "KAIMEN_FEISHU_URL")
    return FeishuChannel(line, own.token.get_secret_value(), own.secret.get_secret_value())
