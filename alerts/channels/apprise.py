"""The long tail through Apprise: a message enters, one notification to the services of the settings leaves.

Needs the extra ``apprise``. Never counts as having reached anybody: for several services the package calls a
refusal in a body of status 200 a success, and it resolves and connects by itself. Its addresses therefore come from
an administrator's settings alone, never from a page.
"""

from __future__ import annotations

import importlib
from typing import Any

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import Channel, ChannelSettingsError, DeliveryError, Message, Receipt, Traits
from kaimen.settings import AlertsSettings, ChannelSettings


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_prefix="KAIMEN_APPRISE_", frozen=True, extra="ignore")

    #: Apprise's addresses, separated by spaces.
    urls: SecretStr | None = None
    #: Whether all of them lie on this machine, which is what a demo may talk to.
    is_local: bool = False


class AppriseChannel:
    """Informational: ``traits.reaches`` is False, and no chain ends with it."""

    name = "apprise"
    traits = Traits(reaches=False, takes_at_most_s=60)

    def __init__(self, sender: Any, *, is_real: bool) -> None:
        self._sender = sender
        self.is_real = is_real

    def deliver(self, message: Message) -> Receipt:
        accepted = self._sender.notify(body=message.text(), title="")
        if accepted:
            return Receipt("accepted", detail="informational")
        # Which of several took it, and whether a copy would double, the package does not say.
        raise DeliveryError("Apprise reports a failure", permanent=False)


def open_channel(settings: AlertsSettings, own: Settings | None = None) -> Channel | None:
    own = own or Settings()
    if own.urls is None:
        return None
    try:
        package = importlib.import_module("apprise")
    except ModuleNotFoundError:
        raise ChannelSettingsError("KAIMEN_APPRISE_URLS needs the extra: install kaimen[apprise]") from None
    sender = package.Apprise()
    for url in own.urls.get_secret_value().split():
        if not sender.add(url):
            raise ChannelSettingsError("KAIMEN_APPRISE_URLS holds an address that Apprise does not know")
    return AppriseChannel(sender, is_real=not own.is_local)
