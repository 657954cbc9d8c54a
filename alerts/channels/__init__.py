"""Ways to reach people: a message enters a channel, a receipt or a DeliveryError leaves.

A channel is one file here with ``open_channel(settings)``, which returns None where the settings do not name it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol

from kaimen.logs import get_logger
from kaimen.settings import AlertsSettings

log = get_logger()


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel gets: ``key`` is the same for every copy, ``texts`` are by language, ``sent_s`` is wall time."""

    key: str
    person: str
    number: str
    link: str
    texts: Mapping[str, str]
    sent_s: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far the message is known to have come; only a person makes it ``confirmed``."""

    state: Literal["accepted", "delivered"]
    provider_id: str | None = None
    detail: str = ""


class DeliveryError(Exception):
    """The world's fault: not delivered, or not known to be.

    ``permanent``: trying again cannot help. ``uncertain``: it may have arrived; a copy carries the same key.
    """

    def __init__(self, detail: str, *, permanent: bool, uncertain: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent
        self.uncertain = uncertain


class Channel(Protocol):
    """One way to reach people."""

    name: str
    #: Whether it reaches anybody outside this machine; such a channel is refused in a demo.
    is_real: bool

    def deliver(self, message: Message) -> Receipt:
        """Send one message, within a bounded time.

        Raises
        ------
        DeliveryError
            If it was not accepted, or nobody knows.
        """


def open_channels(settings: AlertsSettings) -> dict[str, Channel]:
    """Return the channels the settings name, by name; a demo gets none that reaches real people."""
    opened: dict[str, Channel] = {}
    for module in pkgutil.iter_modules(__path__):
        channel: Channel | None = import_module(f"{__name__}.{module.name}").open_channel(settings)
        if channel is None:
            continue
        if settings.demo and channel.is_real:
            log.warning("a demo reaches nobody outside: channel refused", channel=channel.name)
            continue
        opened[channel.name] = channel
    return opened
