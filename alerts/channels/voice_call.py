"""Telephone calls as a channel: a message enters, a row that the dialler rings leaves.

``accepted`` says that the call is written down and will be made; what came of it the dialler writes into the same
message, and only a pressed key makes it ``confirmed``.
"""

from __future__ import annotations

import psycopg

from alerts.channels import AfterDoubt, Channel, ChannelSettingsError, DeliveryError, Message, Receipt, Traits
from alerts.sending.recipients import VOICE
from alerts.voice import store
from alerts.voice.opening import is_real, refusal_of
from kaimen.clock import as_datetime
from kaimen.database import connect
from kaimen.settings import AlertsSettings


class VoiceChannel:
    """Hands messages to the dialler through the database; the number is looked up when it is dialled."""

    name = VOICE
    traits = Traits(after_doubt=AfterDoubt.RESEND, takes_at_most_s=20)

    def __init__(self, database_url: str, *, is_real: bool) -> None:
        self.is_real = is_real
        self._database_url = database_url

    def deliver(self, message: Message) -> Receipt:
        if message.person.startswith("community:"):
            raise DeliveryError("a community has no telephone", permanent=True)
        try:
            with connect(self._database_url, service="voice channel") as connection:
                taken = store.hand_over(connection, key=message.key, wall=as_datetime(message.sent_s * 1_000))
        except psycopg.OperationalError as error:
            raise DeliveryError(
                f"the database is away: {type(error).__name__}", permanent=False, uncertain=True
            ) from None
        if not taken:
            raise DeliveryError("no code is free for this call", permanent=False)
        return Receipt("accepted", detail="to be rung")


def open_channel(settings: AlertsSettings) -> Channel | None:
    if settings.voice_gateway == "none":
        return None
    refusal = refusal_of(settings)
    if refusal is not None:
        raise ChannelSettingsError(refusal)
    return VoiceChannel(settings.database_url, is_real=is_real(settings))
