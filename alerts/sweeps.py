"""What the clock brings: an instant enters, cases that are due and what has no row of its own leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from alerts.case_rows import load_checks, load_standing
from alerts.keys import Key, key_of_case, quarantine_key
from alerts.rules.case import Circumstances, stage_of
from alerts.rules.happenings import OpenedWhileAway, RemoteOnly, StandsUnanswered
from alerts.rules.technical import SET_ASIDE_CAUSE, UNKNOWN_SITE
from kaimen.database import Connection, queries
from kaimen.vocabulary import CaseCause

_SQL = queries("alerts")


#: After so long without an opening, a word or a sight of her, somebody goes and looks, whatever anyone pressed.
REMOTE_ONLY_MAX = timedelta(days=5)


def load_due(
    connection: Connection, *, now: datetime, limit: int, but: Sequence[int]
) -> list[tuple[int, Key]]:
    """Return open cases whose next action has come, without the ones named, most pressing first."""
    args = {"now": now, "limit": limit, "but": list(but)}
    rows = connection.execute(_SQL["due_cases"], args).fetchall()
    return [(row["id"], key_of_case(row)) for row in rows]


def load_consent_withdrawn(connection: Connection) -> list[tuple[int, Key]]:
    """Return open cases of households that no longer agree to be watched."""
    rows = connection.execute(_SQL["consent_withdrawn_cases"]).fetchall()
    return [(row["id"], key_of_case(row)) for row in rows]


def load_closed_but_standing(
    connection: Connection, *, from_at: datetime, now: datetime
) -> list[tuple[int, Key]]:
    """Return cases a person closed since ``from_at``, their policy's wait ago, after which no other was opened."""
    rows = connection.execute(_SQL["closed_but_standing"], {"from_at": from_at, "now": now}).fetchall()
    return [(row["id"], Key(row["community_id"], household_id=row["household_id"])) for row in rows]


def load_unanswered(
    connection: Connection, case_id: int, key: Key, around: Circumstances
) -> StandsUnanswered | None:
    """Return what stands for a household and was not answered since it was noticed; None where nothing does."""
    stages, checks = (
        [row for row in rows if around.answered_at is None or row["noticed_at"] > around.answered_at]
        for rows in (load_standing(connection, key), load_checks(connection, key))
    )
    if not stages and not checks:
        return None
    newest = (stages or checks)[-1]
    return StandsUnanswered(
        closed_case_id=case_id,
        stage=stage_of(max((row["stage"] for row in stages), default=0)),
        check_step=max((row["step"] for row in checks), default=0),
        at=newest["at"],
        evidence_at=newest["evidence_at"],
        evidence=newest["evidence"],
    )


def load_remote_only(connection: Connection, *, now: datetime) -> list[tuple[Key, RemoteOnly]]:
    """Return households of which, for the days of the policy, nothing was known but pressed keys."""
    rows = connection.execute(_SQL["remote_only"], {"before": now - REMOTE_ONLY_MAX}).fetchall()
    return [
        (Key(row["community_id"], household_id=row["household_id"]), RemoteOnly(row["real_evidence_at"]))
        for row in rows
    ]


def load_opened_while_away(connection: Connection, *, now: datetime) -> list[tuple[Key, OpenedWhileAway]]:
    """Return households that opened inside an absence that is declared and holds."""
    rows = connection.execute(_SQL["opened_while_away"], {"now": now}).fetchall()
    found = []
    for row in rows:
        subject = f"absence:{row['absence_id']}"
        key = Key(
            row["community_id"],
            household_id=row["household_id"],
            cause_key=subject,
            signal=CaseCause.ABSENCE,
        )
        happening = OpenedWhileAway(
            row["absence_id"], subject, row["evidence_at"], row["evidence"], row["certain"]
        )
        found.append((key, happening))
    return found


def load_no_longer_set_aside(connection: Connection) -> list[tuple[int, Key]]:
    """Return open cases for set-aside happenings of communities that have none left."""
    rows = connection.execute(_SQL["no_longer_set_aside"], {"prefix": f"own:{SET_ASIDE_CAUSE}"}).fetchall()
    return [(row["id"], key_of_case(row)) for row in rows]


def load_quarantine(connection: Connection) -> tuple[list[Key], list[tuple[int, Key]]]:
    """Return the keys of sites with unanswered messages, and the open cases of those that have none left."""
    rows = connection.execute(_SQL["quarantine_waits"], {"unknown": UNKNOWN_SITE}).fetchall()
    waiting = [quarantine_key(row["community_id"], row["site_id"]) for row in rows]
    keys = {key.cause_key for key in waiting}
    cases = connection.execute(_SQL["open_quarantine_cases"]).fetchall()
    return waiting, [(row["id"], key_of_case(row)) for row in cases if row["cause_key"] not in keys]


def find_cases_without_future(connection: Connection, now: datetime) -> list[int]:
    """Return the ids of open cases with nothing ahead of them at ``now``; there must never be one for long."""
    return [row["id"] for row in connection.execute(_SQL["cases_without_future"], {"now": now})]


def write_progress(connection: Connection, *, now: datetime, but: Sequence[int]) -> datetime | None:
    """Note up to when all work is done, where it is; return that instant.

    It never runs ahead of ingest: what ingest has not told yet cannot have been handled.
    """
    state = connection.execute(_SQL["turn_state"], {"now": now, "but": list(but)}).fetchone()
    assert state is not None
    if state["waiting"] or state["due"]:
        return None
    at = now if state["ingest_at"] is None else min(now, state["ingest_at"])
    if state["alerts_at"] is None or at > state["alerts_at"]:
        connection.execute(_SQL["progress"], {"at": at})
    return at


def retry_after(now: datetime) -> datetime:
    """Return when a happening that was set aside is tried again."""
    return now + timedelta(minutes=5)
