"""Ways to reach people: a message enters a channel, a receipt or a DeliveryError leaves.

A channel is one file here with ``open_channel(settings)``, which returns None where the settings do not name it.
``deliver`` is called by one courier at a time for one message, may block for ``traits.takes_at_most_s``, and is
called again with the same key where nobody knows how the last attempt ended. A telephone call is such a channel:
it answers with ``answered`` where somebody took up and with ``confirmed`` where a key was pressed.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from importlib import import_module
from typing import Literal, Protocol, runtime_checkable

from kaimen.logs import get_logger
from kaimen.settings import AlertsSettings

log = get_logger()


class Lane(IntEnum):
    """What goes first: a lower lane is never held up by a higher one."""

    LIFE = 0  # CALL, VISIT and calls for help
    ROUTINE = 1  # WARNING lists, technical notices
    DIGEST = 2  # all-well digests, tests


class AfterDoubt(StrEnum):
    """What is done with a message of which nobody knows whether it arrived."""

    RESEND = "resend"  # the provider knows the key again: a copy does no harm
    ASK = "ask"  # the channel has ``find``, which asks the provider for the key
    TELL = "tell"  # neither: it is marked and a person is told


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` attempts within any ``per_s`` seconds."""

    count: int
    per_s: int


@dataclass(frozen=True, slots=True)
class Traits:
    """What a courier has to know about a provider before it sends.

    ``retry_after_s`` are the pauses after the first, second … attempt, for providers with windows; without them the
    pauses double. ``personal`` channels need an address of a person; the others have one address for everybody.
    """

    limits: tuple[Limit, ...] = ()
    person_limits: tuple[Limit, ...] = ()
    after_doubt: AfterDoubt = AfterDoubt.TELL
    retry_after_s: tuple[int, ...] = ()
    takes_at_most_s: int = 30
    #: Whether what it accepts counts as a way to reach somebody; the long tail of Apprise never does.
    reaches: bool = True
    personal: bool = False
    #: So many are taken and recorded together: for what accepts at once. A batch that is cut is sent again whole, so
    #: a provider that people hear from has one.
    batch_max: int = 1
    #: The row is the message: nothing is sent, so it is taken and recorded as delivered in one transaction.
    in_place: bool = False


#: The template of a message whose number is a code that somebody types again.
PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel gets: ``key`` is the same for every copy, ``texts`` are by language, ``sent_s`` is wall time.

    ``address`` is the person's on this channel, empty where the channel has its own; ``language`` the one the person
    chose, empty for both. ``provider_id`` is what an earlier attempt was given, where there was one.
    """

    key: str
    person: str
    number: str
    link: str
    texts: Mapping[str, str]
    sent_s: int
    address: str = ""
    language: str = ""
    lane: Lane = Lane.ROUTINE
    template: str = "case"
    provider_id: str = ""

    def text(self) -> str:
        """Return the text in the person's language, or in all, one below the other."""
        return self.texts.get(self.language) or "\n\n".join(self.texts.values())


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far the message is known to have come; only a person makes it ``confirmed``."""

    state: Literal["accepted", "delivered", "answered", "confirmed"]
    provider_id: str | None = None
    detail: str = ""


class DeliveryError(Exception):
    """The world's fault: not delivered, or not known to be.

    ``permanent``: trying again cannot help. ``uncertain``: it may have arrived; a copy carries the same key.
    ``retry_after_s``: before that the provider takes nothing; ``throttled``: neither for anybody else.
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool,
        uncertain: bool = False,
        retry_after_s: int | None = None,
        throttled: bool = False,
    ) -> None:
        super().__init__(detail)
        self.permanent = permanent
        self.uncertain = uncertain
        self.retry_after_s = retry_after_s
        self.throttled = throttled


class ChannelSettingsError(ValueError):
    """A channel is set up wrongly; the text says which variable."""


class Channel(Protocol):
    """One way to reach people; ``traits`` may be left out where nothing has to be known before sending."""

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


@runtime_checkable
class Finds(Protocol):
    """A channel whose provider can be asked what became of a message (``AfterDoubt.ASK``)."""

    def find(self, message: Message) -> Receipt | None:
        """Return how far the message of this key has come; None where the provider never had it.

        Raises
        ------
        DeliveryError
            If the provider says that it failed (permanent), or does not answer.
        """


def traits_of(channel: Channel) -> Traits:
    """Return what a channel says about its provider; one that says nothing knows its keys again."""
    found = getattr(channel, "traits", None)
    return found if isinstance(found, Traits) else Traits(after_doubt=AfterDoubt.RESEND)


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
