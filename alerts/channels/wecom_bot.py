"""A WeCom group's robot: a message enters, one text in the group leaves.

The address is the robot's key; a community's own takes the place of the one in the settings. Source: WeCom
documentation, "group robot configuration" (20 messages a minute for each robot; errcode in a body of status 200).
"""

from __future__ import annotations

from urllib.parse import quote

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import Channel, Limit, Message, Receipt, Traits
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from alerts.sending.refusals import Refusals
from kaimen.settings import AlertsSettings, ChannelSettings

_REFUSALS = Refusals(
    temporary={"-1", "6000"},
    throttled={"45009": 60, "45033": 60},
)


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_WECOM_BOT_", frozen=True, extra="ignore")

    key: SecretStr | None = None
    url: str = "https://qyapi.weixin.qq.com"


class WecomBotChannel:
    """Posts into one group, by the robot's key."""

    name = "wecom_bot"
    traits = Traits(limits=(Limit(20, 60),))

    def __init__(self, line: Line, key: str) -> None:
        self._line = line
        self._key = key
        self.is_real = line.is_real

    def deliver(self, message: Message) -> Receipt:
        key = quote(message.address or self._key, safe="")
        body = {"msgtype": "text", "text": {"content": message.text()}}
        answer = self._line.post_json(f"/cgi-bin/webhook/send?key={key}", body)
        judge_status(answer)
        found = parse_json(answer)
        if found.get("errcode") != 0:
            raise _REFUSALS.error(found.get("errcode"))
        return Receipt("accepted")


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.key is None:
        return None
    return WecomBotChannel(open_line(own.url, settings, "KAIMEN_WECOM_BOT_URL"), own.key.get_secret_value())
