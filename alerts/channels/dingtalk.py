"""A DingTalk group's signed robot: a message enters, one text in the group leaves.

The address is ``token secret``; a community's own takes the place of the one in the settings. Source: DingTalk
documentation, "custom robots" (20 messages a minute, then ten minutes of silence; errcode in a body of status 200).
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import urlencode

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import Channel, ChannelSettingsError, Limit, Message, Receipt, Traits
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
from kaimen.settings import AlertsSettings, ChannelSettings

_MUTED_S = 600
_REFUSALS = Refusals(
    temporary={"-1"},
    throttled={"130101": _MUTED_S, "660026": _MUTED_S, "410100": _MUTED_S},
)


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_DINGTALK_", frozen=True, extra="ignore")

    token: SecretStr | None = None
    secret: SecretStr | None = None
    url: str = "https://oapi.dingtalk.com"


def sign(secret: str, timestamp_ms: int) -> str:
    """Return the base64 HMAC-SHA256, keyed with the secret, of the timestamp and the secret on two lines."""
    text = f"{timestamp_ms}\n{secret}".encode()
    return base64.b64encode(hmac.digest(secret.encode(), text, "sha256")).decode()


class DingtalkChannel:
    """Posts into one group; the robot checks the signature and the minute it was made in."""

    name = "dingtalk"
    traits = Traits(limits=(Limit(20, 60),))

    def __init__(self, line: Line, token: str, secret: str) -> None:
        self._line = line
        self._own = (token, secret)
        self.is_real = line.is_real

    def deliver(self, message: Message) -> Receipt:
        token, secret = _token_and_secret(message.address) or self._own
        timestamp_ms = message.sent_s * 1000
        query = urlencode(
            {"access_token": token, "timestamp": timestamp_ms, "sign": sign(secret, timestamp_ms)}
        )
        body = {"msgtype": "text", "text": {"content": message.text()}}
        answer = self._line.post_json(f"/robot/send?{query}", body)
        judge_status(answer)
        found = parse_json(answer)
        if found.get("errcode") != 0:
            raise _REFUSALS.error(found.get("errcode"))
        return Receipt("accepted")


def _token_and_secret(address: str) -> tuple[str, str] | None:
    token, _, secret = address.partition(" ")
    return (token, secret.strip()) if token and secret.strip() else None


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.token is None:
        return None
    if own.secret is None:
        raise ChannelSettingsError(
            "KAIMEN_DINGTALK_TOKEN needs KAIMEN_DINGTALK_SECRET: choose 'sign' for the robot"
        )
    line = open_line(own.url, settings, "KAIMEN_DINGTALK_URL")
    return DingtalkChannel(line, own.token.get_secret_value(), own.secret.get_secret_value())
