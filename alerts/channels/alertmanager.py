"""Prometheus Alertmanager, API v2: a message enters, one alert leaves; it is renewed by ``alerts.sending.mirror``.

Alertmanager keeps alerts in memory and remembers what it has notified, so every occurrence has its own ``episode``
label: without it a second case of the same labels would not be told of after a restart. Labels carry no household
and no name. Source: Prometheus documentation, "sending alerts" and the OpenAPI of Alertmanager v2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import AfterDoubt, Channel, Lane, Message, Receipt, Traits
from alerts.sending.outgoing import Line, judge_status, open_line
from kaimen.clock import as_datetime
from kaimen.settings import AlertsSettings, ChannelSettings

_SEVERITIES = {Lane.LIFE: "critical", Lane.ROUTINE: "warning", Lane.DIGEST: "info"}
#: An alert that is not renewed for so long is over by itself: longer than any restart of ours.
_LIVES_S = 15 * 60


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_ALERTMANAGER_", frozen=True, extra="ignore")

    url: str | None = None
    token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One occurrence of a case: what identifies it there, and since and until when (wall time)."""

    number: str
    episode: str
    lane: Lane
    link: str
    starts_at: datetime
    ends_at: datetime


class AlertmanagerChannel:
    """Posts alerts; the same labels are the same alert, so a copy does no harm."""

    name = "alertmanager"
    traits = Traits(after_doubt=AfterDoubt.RESEND)

    def __init__(self, line: Line, token: str | None) -> None:
        self._line = line
        self._token = token
        self.is_real = line.is_real

    def deliver(self, message: Message) -> Receipt:
        now = as_datetime(message.sent_s * 1000)
        until = as_datetime((message.sent_s + _LIVES_S) * 1000)
        episode = message.link.rstrip("/").rpartition("/")[2]
        self.post([Episode(message.number, episode, message.lane, message.link, now, until)])
        return Receipt("accepted")

    def post(self, episodes: Sequence[Episode]) -> None:
        """Tell Alertmanager of alerts that stand or have ended; an empty list is not sent.

        Raises
        ------
        DeliveryError
            If it did not take them.
        """
        if not episodes:
            return
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        judge_status(self._line.post_json("/api/v2/alerts", [_format(item) for item in episodes], headers))


def _format(item: Episode) -> dict[str, object]:
    return {
        "labels": {
            "alertname": "KaimenCase",
            "case": item.number,
            "episode": item.episode,
            "severity": _SEVERITIES[item.lane],
        },
        "annotations": {"summary": f"Kaimen {item.number}", "link": item.link},
        "startsAt": _instant(item.starts_at),
        "endsAt": _instant(item.ends_at),
        "generatorURL": item.link,
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.url is None:
        return None
    line = open_line(own.url, settings, "KAIMEN_ALERTMANAGER_URL")
    return AlertmanagerChannel(line, own.token.get_secret_value() if own.token else None)
