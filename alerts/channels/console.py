"""The annunciation in the console: the row is the message, delivered when written, confirmed when a person claims."""

from __future__ import annotations

from alerts.channels import AfterDoubt, Channel, Message, Receipt, Traits
from kaimen.settings import AlertsSettings


class ConsoleChannel:
    """Always there: what no other channel delivers stands on the console."""

    name = "console"
    is_real = False
    #: Nothing leaves the database: to take it again does no harm, and a list of thousands is drained at once.
    traits = Traits(after_doubt=AfterDoubt.RESEND, takes_at_most_s=0, batch_max=500, in_place=True)

    def deliver(self, message: Message) -> Receipt:
        return Receipt("delivered")


def open_channel(settings: AlertsSettings) -> Channel | None:
    return ConsoleChannel()
