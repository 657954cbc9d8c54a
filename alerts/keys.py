"""What work is serialised by: rows enter, the key of a household, a subject or a technical cause leaves.

A key's advisory lock lives as long as the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alerts.rules.case import OWN_RULES
from alerts.rules.happenings import OutageMoved
from alerts.rules.technical import QUARANTINE_CAUSE, SET_ASIDE_CAUSE, cause_key
from kaimen.database import Connection, queries
from kaimen.vocabulary import CaseCause

_SQL = queries("alerts")


@dataclass(frozen=True, slots=True)
class Key:
    """What is worked on by one transaction at a time: a household, or a technical cause in a community.

    ``signal`` is the case's cause where that is neither inactivity nor technical; ``cause_key`` is then its subject.
    """

    community_id: str
    household_id: str | None = None
    cause: str = ""
    cause_id: str = ""
    cause_key: str = ""
    signal: CaseCause | None = None

    @property
    def lock(self) -> str:
        if self.household_id:
            return f"household:{self.household_id}"
        return f"cause:{self.cause_key}" if self.signal is None else f"{self.signal}:{self.cause_key}"

    @property
    def is_technical(self) -> bool:
        return self.household_id is None and self.signal is None

    @property
    def is_of_inactivity(self) -> bool:
        return self.household_id is not None and self.signal is None


def set_aside_key(community_id: str) -> Key:
    """Return the key of the case that stands for what was set aside in a community."""
    key = cause_key("own", SET_ASIDE_CAUSE, community_id)
    return Key(community_id, cause="own", cause_id=SET_ASIDE_CAUSE, cause_key=key)


def quarantine_key(community_id: str, site_id: str) -> Key:
    """Return the key of the case that stands for a site's unanswered messages."""
    key = cause_key(QUARANTINE_CAUSE, site_id, community_id)
    return Key(community_id, cause=QUARANTINE_CAUSE, cause_id=site_id, cause_key=key)


def key_before(moved: OutageMoved, community_id: str) -> Key:
    """Return the key of the cause an outage was told under before it moved."""
    key = cause_key(moved.from_cause, moved.from_cause_id, community_id)
    return Key(community_id, cause=moved.from_cause, cause_id=moved.from_cause_id, cause_key=key)


def try_lock(connection: Connection, key: Key) -> bool:
    """Say whether this transaction may work on ``key``; held until it ends."""
    row = connection.execute(_SQL["try_lock"], {"key": key.lock}).fetchone()
    return bool(row and row["locked"])


def try_locks(connection: Connection, keys: Iterable[Key]) -> set[str]:
    """Return the locks of those ``keys`` that this transaction may work on; held until it ends."""
    rows = connection.execute(_SQL["try_locks"], {"keys": sorted({key.lock for key in keys})})
    return {row["key"] for row in rows if row["locked"]}


def lock(connection: Connection, key: Key) -> None:
    """Wait until this transaction may work on ``key``; held until it ends."""
    connection.execute(_SQL["lock"], {"key": key.lock})


def bare_key(row: Mapping[str, Any]) -> Key:
    return Key(
        "", household_id=row["household_id"], cause_key=row["cause_key"] or "", signal=_signal_cause(row)
    )


def _signal_cause(row: Mapping[str, Any]) -> CaseCause | None:
    cause = CaseCause(row["cause"])
    return None if cause in OWN_RULES else cause


def key_of_case(row: Mapping[str, Any]) -> Key:
    """Return the key of a row of ``cases``."""
    signal = _signal_cause(row)
    if signal is not None:
        return Key(
            row["community_id"],
            household_id=row["household_id"],
            cause_key=row["cause_key"],
            signal=signal,
        )
    if row["household_id"] is not None:
        return Key(row["community_id"], household_id=row["household_id"])
    cause, _, rest = row["cause_key"].partition(":")
    if cause in ("own", "broker"):
        rest = rest.removesuffix(row["community_id"]).removesuffix(":")
    return Key(row["community_id"], cause=cause, cause_id=rest, cause_key=row["cause_key"])
