"""What all cloud telephones share: reports in the database enter, events of a call leave.

A provider tells afterwards, over a call-back to the console, what became of a call. The call-back writes the report
and commits a pressed key itself; whoever waits here reads the reports. So a key counts also when it is reported late,
twice, or to another process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from alerts.channels import DeliveryError
from alerts.voice.gateway import (
    Answered,
    CallOrder,
    Cause,
    Digit,
    Ended,
    Event,
    GatewayDownError,
    InvalidNumberError,
    Ringing,
)
from kaimen.database import Connection, connect, queries
from kaimen.settings import ChannelSettings

_SQL = queries("alerts.voice")
_POLL_S = 0.5
SECRET_LENGTH_MIN = 32
PARALLEL_MAX = 20


class ReportSettings(ChannelSettings):
    """``KAIMEN_VOICE_CALLBACK_SECRET``: a part of the address that providers who do not sign report to."""

    model_config = SettingsConfigDict(env_prefix="KAIMEN_VOICE_", frozen=True, extra="ignore")

    callback_secret: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider said of one call: ``kind`` is ringing, answered, digit or ended."""

    report_key: str
    kind: str
    value: str = ""


class Provider(Protocol):
    """One cloud telephone: requests leave, the provider's own name of the call comes back."""

    name: str
    is_real: bool

    def call(self, order: CallOrder, sent_s: int) -> tuple[str, str]:
        """Order a call; return what its reports are found by, and the provider's name of it.

        Raises
        ------
        DeliveryError
            If it was not accepted, or nobody knows.
        """


@dataclass(slots=True, eq=False)
class CloudCall:
    """One call somewhere else; it cannot be spoken into and not be ended from here."""

    provider_id: str
    report_key: str
    database_url: str
    _after: int = 0
    _ended: Ended | None = None
    _waiting: list[Event] = field(default_factory=list)

    def next_event(self, within_s: float) -> Event | None:
        deadline = time.monotonic() + within_s
        while True:
            if self._waiting:
                return self._waiting.pop(0)
            if self._ended is not None:
                return self._ended
            self._read()
            if not self._waiting and self._ended is None:
                if time.monotonic() >= deadline:
                    return None
                time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))

    def _read(self) -> None:
        with connect(self.database_url, service="voice reports", autocommit=True) as connection:
            values = {"key": self.report_key, "after": self._after}
            rows = connection.execute(_SQL["reports_of"], values).fetchall()
        for row in rows:
            self._after = row["id"]
            event = _event_of(row["kind"], row["value"])
            self._waiting.append(event)
            if isinstance(event, Ended):
                self._ended = event

    def say(self, sound: Path) -> None:
        """The provider says what was approved, and nothing else."""

    def hang_up(self) -> None:
        """The provider ends the call by itself."""


def _event_of(kind: str, value: str) -> Event:
    match kind:
        case "ringing":
            return Ringing()
        case "answered":
            return Answered()
        case "digit":
            return Digit(value[:1])
    return Ended(Cause(value) if value in {cause.value for cause in Cause} else Cause.UNKNOWN, value[:80])


@dataclass(slots=True)
class CloudGateway:
    """A provider behind the port."""

    provider: Provider
    database_url: str
    wall_s: Callable[[], int]
    parallel_max: int = PARALLEL_MAX
    can_speak: bool = False
    reports_late: bool = True
    _known: dict[str, CloudCall] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def is_real(self) -> bool:
        return self.provider.is_real

    def place(self, order: CallOrder) -> CloudCall:
        known = self._known.get(order.key)
        if known is not None:
            return known
        try:
            report_key, provider_id = self.provider.call(order, self.wall_s())
        except DeliveryError as error:
            if error.permanent:
                raise InvalidNumberError(str(error)) from None
            raise GatewayDownError(str(error), uncertain=error.uncertain) from None
        if len(self._known) >= 1_000:
            self._known.clear()
        call = self._known[order.key] = CloudCall(provider_id, report_key, self.database_url)
        return call

    def check(self) -> None:
        """There is no line to hold."""

    def prune(self, before_s: float) -> None:
        """There are no files."""

    def close(self) -> None:
        """There is nothing to let go."""


def write_report(connection: Connection, report: Report, wall: object) -> None:
    """Keep a report; the same one again changes nothing."""
    values = {"key": report.report_key, "kind": report.kind, "value": report.value, "wall": wall}
    connection.execute(_SQL["insert_report"], values)


def find_attempt(connection: Connection, report: Report) -> tuple[str, int] | None:
    """Return the key and the number of the attempt a report speaks of."""
    key, _, number = report.report_key.rpartition("-")
    if number.isdecimal() and len(number) < 6:
        row = connection.execute(_SQL["call_exists"], {"key": key}).fetchone()
        if row is not None:
            return key, int(number)
    row = connection.execute(_SQL["attempt_by_provider"], {"provider_id": report.report_key}).fetchone()
    return None if row is None else (row["key"], row["attempt"])
