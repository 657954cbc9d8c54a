"""ntfy: a message enters, one notification on one topic leaves.

The address is the topic, which whoever knows it can read: take a long one. Source: ntfy documentation, "publish as
JSON" and "limitations" (429 with the visitor's bucket empty; an accepted message comes back with its id).
"""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import Channel, DeliveryError, Lane, Limit, Message, Receipt, Traits
from alerts.sending.outgoing import Line, judge_status, open_line, parse_json
from kaimen.settings import AlertsSettings, ChannelSettings

_PRIORITIES = {Lane.LIFE: 5, Lane.ROUTINE: 3, Lane.DIGEST: 2}


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_NTFY_", frozen=True, extra="ignore")

    url: str | None = None
    token: SecretStr | None = None


class NtfyChannel:
    """Publishes on the topics people have subscribed to."""

    name = "ntfy"
    traits = Traits(limits=(Limit(60, 300),), personal=True)

    def __init__(self, line: Line, token: str | None) -> None:
        self._line = line
        self._token = token
        self.is_real = line.is_real

    def deliver(self, message: Message) -> Receipt:
        if not message.address:
            raise DeliveryError("no topic", permanent=True)
        body = {
            "topic": message.address,
            "message": message.text(),
            "click": message.link,
            "priority": _PRIORITIES[message.lane],
        }
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        answer = self._line.post_json("/", body, headers)
        judge_status(answer)
        found = parse_json(answer)
        if not found.get("id"):
            raise DeliveryError(f"refused: {found.get('code', 'no id')}", permanent=True)
        return Receipt("accepted", provider_id=str(found["id"]))


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.url is None:
        return None
    line = open_line(own.url, settings, "KAIMEN_NTFY_URL")
    return NtfyChannel(line, own.token.get_secret_value() if own.token else None)
