"""The annunciation in the console: the row is the message, delivered when written, confirmed when a person claims."""

from __future__ import annotations

from alerts.channels import Channel, Message, Receipt
from kaimen.settings import AlertsSettings


class ConsoleChannel:
    """Always there: what no other channel delivers stands on the console."""

    name = "console"
    is_real = False

    def deliver(self, message: Message) -> Receipt:
        return Receipt("delivered")


def open_channel(settings: AlertsSettings) -> Channel | None:
    return ConsoleChannel()
