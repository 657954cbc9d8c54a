"""What every request may use: the parts made at start enter, one bundle leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from fastapi import FastAPI, Request

from console.api.lists import KeptLists, prepare_list
from console.identity.second_factor import FactorRule
from console.lane import Lane
from console.opening import open_console
from console.stream import Hub
from kaimen.clock import Clock, as_datetime
from kaimen.database import Connection, Pool, open_pool, transaction
from kaimen.settings import ConsoleSettings
from kaimen.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Services:
    """``clock`` is the community's time, ``wall`` the machine's: sessions live by the second."""

    settings: ConsoleSettings
    clock: Clock
    wall: Clock
    pool: Pool
    hub: Hub
    audit_key: bytes
    factor_rule: FactorRule
    lists: KeptLists = field(default_factory=KeptLists)
    #: Where lists that are kept are asked for; open while the console is served.
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", Lane(self.settings.database_url, [prepare_list()]))

    def now(self) -> datetime:
        """Community time, to be read once per request and handed down."""
        return as_datetime(self.clock.now_ms())

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction of the console itself, for what nobody is signed in for: signing in, reports, terminals.

        A signed-in person's are her seat's. The database lets the console in by the key it was introduced with.
        """
        with transaction(self.pool) as connection:
            open_console(connection, self.audit_key)
            yield connection

    @contextmanager
    def rights_pool(self) -> Iterator[Pool]:
        """Connections that reach everything stored of a person, for keeping periods and the ledger; rarely needed."""
        url = self.settings.rights_database_url
        if url is None:
            yield self.pool
            return
        with open_pool(url.get_secret_value(), service="console rights", size_max=2) as pool:
            yield pool

    def wall_now(self) -> datetime:
        return as_datetime(self.wall.now_ms())


def read_factor_rule(settings: ConsoleSettings) -> FactorRule:
    """Which roles need a second factor; a demo's visitors have no authenticator at hand.

    Raises
    ------
    ValueError
        If a role named in the setting does not exist.
    """
    words = [word.strip() for word in settings.console_second_factor_roles.split(",") if word.strip()]
    unknown = sorted(set(words) - {role.value for role in Role})
    if unknown:
        raise ValueError(
            f"KAIMEN_CONSOLE_SECOND_FACTOR_ROLES: there is no role {', '.join(unknown)};"
            f" roles are {', '.join(role.value for role in Role)}"
        )
    roles = frozenset() if settings.demo else frozenset(Role(word) for word in words)
    return FactorRule(roles, timedelta(days=settings.console_second_factor_grace_days))


def services_of(request: Request) -> Services:
    return cast(FastAPI, request.app).state.services  # type: ignore[no-any-return]
