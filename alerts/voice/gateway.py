"""The port to a telephone: a call order enters, what happens on the line leaves as events; no adapter lives here.

Only a pressed key is an answer. ``Answered`` says that somebody or something took the call: voice mail does too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

#: A number as people write it in the books, and a SIP address of an extension.
NUMBER_LENGTH_MAX = 64
_DIAL_MARKS = frozenset("+-() ")


class Cause(StrEnum):
    """Why a call ended; the value is what stands in the database and in metrics."""

    HUNG_UP = "hung_up"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNAVAILABLE = "unavailable"
    INVALID_NUMBER = "invalid_number"
    REJECTED = "rejected"
    THROTTLED = "throttled"
    GATEWAY_DOWN = "gateway_down"
    UNKNOWN = "unknown"


#: Trying the same number again cannot help.
PERMANENT = frozenset({Cause.INVALID_NUMBER})


@dataclass(frozen=True, slots=True)
class CallOrder:
    """One call to place: ``key`` names it for ever, a second order with the same key is the same call.

    ``prompt`` is 16-bit mono PCM at 8 kHz; ``keys`` are the digits that mean something. ``language`` and ``audience``
    choose the approved template of a provider that does not take our sound.
    """

    key: str
    number: str
    prompt: Path
    keys: str
    audience: str
    language: str


@dataclass(frozen=True, slots=True)
class Ringing:
    """The callee's telephone rings."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The line is open; that a person listens is not known."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A key was pressed: 0 to 9, ``*`` or ``#``; ``heard_s`` is when it came off the wire, of the monotonic clock."""

    digit: str
    heard_s: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Spoken:
    """The media file that was being played has come to its end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over; nothing comes after this."""

    cause: Cause
    detail: str = ""


Event: TypeAlias = Ringing | Answered | Digit | Spoken | Ended


class GatewayDownError(Exception):
    """The gateway cannot take a call now; ``uncertain``: it may have taken this one."""

    def __init__(self, detail: str, *, uncertain: bool = False) -> None:
        super().__init__(detail)
        self.uncertain = uncertain


class InvalidNumberError(ValueError):
    """What stands in the books is nothing one can dial."""


class Call(Protocol):
    """One call in progress."""

    #: The provider's own name of the call, for the delivery row.
    provider_id: str

    def next_event(self, within_s: float) -> Event | None:
        """Return the next event; None where nothing happened in time. After ``Ended`` it is ``Ended`` again."""

    def say(self, sound: Path) -> None:
        """Play a sound instead of what is being played; without effect on a call that is over."""

    def hang_up(self) -> None:
        """End the call; without effect on one that is over."""


class VoiceGateway(Protocol):
    """One way to place calls."""

    @property
    def name(self) -> str: ...

    @property
    def is_real(self) -> bool:
        """Whether it rings anybody outside this machine; such a gateway is refused in a demo."""

    @property
    def parallel_max(self) -> int: ...

    @property
    def can_speak(self) -> bool:
        """Whether ``say`` reaches the callee, so that the thanks can wait for the commit."""

    @property
    def reports_late(self) -> bool:
        """Whether what happens on the line is told only when the call is over."""

    def place(self, order: CallOrder) -> Call:
        """Place a call, or return the one that runs under this key already.

        Raises
        ------
        GatewayDownError
            If the gateway does not take calls now.
        InvalidNumberError
            If the number cannot be dialled.
        """

    def check(self) -> None:
        """Take up the line to the gateway where there is one, so that calls back are heard.

        Raises
        ------
        GatewayDownError
            If it is not there.
        """

    def prune(self, before_s: float) -> None:
        """Remove files of calls that ended before an instant of the files' clock."""

    def close(self) -> None:
        """Hang up everything and let go of the line."""


def dialled(number: str) -> str:
    """Return the digits of a number, with its leading plus.

    Raises
    ------
    InvalidNumberError
        If it holds anything but digits and the usual marks between them, or too few or too many digits.
    """
    text = number.strip()
    digits = "".join(letter for letter in text if letter in "0123456789")
    if set(text) - _DIAL_MARKS - set("0123456789") or not 3 <= len(digits) <= 15:
        raise InvalidNumberError("not a telephone number")
    return ("+" if text.startswith("+") else "") + digits
