"""What every request may use: the parts made at start enter, one bundle leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from fastapi import FastAPI, Request

from console.api_lists import KeptBodies
from console.stream import Hub
from kaimen.clock import Clock, as_datetime
from kaimen.database import Pool
from kaimen.settings import ConsoleSettings


@dataclass(frozen=True, slots=True)
class Services:
    """``clock`` is the community's time, ``wall`` the machine's: sessions live by the second."""

    settings: ConsoleSettings
    clock: Clock
    wall: Clock
    pool: Pool
    hub: Hub
    audit_key: bytes
    bodies: KeptBodies = field(default_factory=KeptBodies)

    def now(self) -> datetime:
        """Community time, to be read once per request and handed down."""
        return as_datetime(self.clock.now_ms())

    def wall_now(self) -> datetime:
        return as_datetime(self.wall.now_ms())


def services_of(request: Request) -> Services:
    return cast(FastAPI, request.app).state.services  # type: ignore[no-any-return]
