"""What alerts says of itself: decisions and counts enter, Prometheus series leave; no label finer than community."""

from __future__ import annotations

from datetime import datetime, timedelta

from prometheus_client import Counter, Gauge, Histogram

from alerts.rules.actions import Annunciate, Decision
from alerts.sweeps import find_cases_without_future
from kaimen.database import Connection, queries

TURNS = Counter("kaimen_alerts_turns_total", "Turns of the alerts worker")
TURN_AT = Gauge("kaimen_alerts_turn_timestamp_seconds", "Wall time of the newest turn")
HANDLED = Counter("kaimen_alerts_happenings_total", "Happenings handled")
TIMERS = Counter("kaimen_alerts_timers_total", "Timers of cases handled")
FAILURES = Counter("kaimen_alerts_failures_total", "Decisions that failed and were set aside")
DATABASE_AWAY = Counter("kaimen_alerts_database_away_total", "Times the database did not answer")
DECISIONS = Counter("kaimen_alerts_decisions_total", "Decisions by reason", ["reason"])
ANNUNCIATIONS = Counter("kaimen_alerts_annunciations_total", "Annunciations planned", ["community", "stage"])
DELIVERIES = Counter("kaimen_alerts_deliveries_total", "Delivery attempts by result", ["channel", "result"])
CALLS = Counter(
    "kaimen_voice_calls_total", "Telephone calls ended, by how", ["gateway", "audience", "result"]
)
GATEWAY_UP = Gauge("kaimen_voice_gateway_up", "Whether the phone gateway takes calls", ["gateway"])
CALL_ANSWERS = Counter(
    "kaimen_voice_answers_total", "Keys pressed on the telephone, by what came of it", ["effect"]
)
DIGIT_TO_COMMIT = Histogram(
    "kaimen_voice_digit_to_commit_seconds", "From a key on the wire to its commit",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0),
)  # fmt: skip
OPEN_CASES = Gauge("kaimen_alerts_open_cases", "Open cases", ["community", "cause", "stage"])
WITHOUT_FUTURE = Gauge(
    "kaimen_alerts_cases_without_future", "Open cases with no action ahead; must be 0, whatever happens"
)
OUTBOX_AGE = Gauge("kaimen_alerts_outbox_age_seconds", "How long the oldest message due has waited")
OUTBOX_HELD = Gauge(
    "kaimen_alerts_outbox_held", "1 while messages leave the house only one by one, by a person's word"
)
SET_ASIDE = Gauge(
    "kaimen_alerts_happenings_set_aside", "Happenings whose handling failed, waiting to be tried again"
)

WAITING = Gauge("kaimen_alerts_channel_waiting", "Messages due and not sent, by channel", ["channel"])
UNCERTAIN = Gauge(
    "kaimen_alerts_channel_uncertain",
    "Messages of the last day of which nobody knows whether they arrived",
    ["channel"],
)
FAILED = Gauge("kaimen_alerts_channel_failed", "Messages of the last day that were given up", ["channel"])
OK_AT = Gauge("kaimen_alerts_channel_ok_timestamp_seconds", "Wall time a provider last accepted", ["channel"])
FAILURES_IN_ROW = Gauge(
    "kaimen_alerts_channel_failures_in_row", "Failed attempts since the last good one", ["channel"]
)
HELD_BACK = Counter(
    "kaimen_alerts_held_back_total", "Messages held back by a bound of a provider", ["channel"]
)

GAP_MINUTES = Gauge(
    "kaimen_alerts_duty_gap_minutes",
    "Minutes of the next fourteen days without a reachable person, where rosters are kept.",
    ["community", "need"],
)
_SQL = queries("alerts")
_OUTBOX = queries("alerts.sending", "outbox.sql")


def count_decision(decision: Decision, community_id: str) -> None:
    """Count a decision by its reason, and the annunciations in it by community and stage."""
    DECISIONS.labels(decision.reason.value).inc()
    for action in decision.actions:
        if isinstance(action, Annunciate):
            ANNUNCIATIONS.labels(community_id, action.step).inc()


def measure(connection: Connection, *, now: datetime, done_up_to: datetime | None) -> None:
    """Set the gauges from the database.

    A case counts as without a future when its next action lies before what the worker says is done, so that the
    moment between an action's time and the turn that takes it is no false alarm.
    """
    OPEN_CASES.clear()
    for row in connection.execute(_SQL["count_open_cases"]):
        OPEN_CASES.labels(row["community_id"], row["cause"], str(row["stage"])).set(row["count"])
    WITHOUT_FUTURE.set(len(find_cases_without_future(connection, done_up_to or now)))
    oldest = connection.execute(_SQL["outbox_age"], {"now": now}).fetchone()
    waited = (now - oldest["oldest"]).total_seconds() if oldest and oldest["oldest"] else 0.0
    OUTBOX_AGE.set(waited)
    OUTBOX_HELD.set(connection.execute(_OUTBOX["standing_hold"]).fetchone() is not None)
    measure_channels(connection, now=now)
    aside = connection.execute(_SQL["count_set_aside"]).fetchone()
    SET_ASIDE.set(aside["count"] if aside else 0)


def measure_channels(connection: Connection, *, now: datetime) -> None:
    """Set the gauges of every channel."""
    args = {"now": now, "since": now - timedelta(days=1)}
    for row in connection.execute(_OUTBOX["channel_overview"], args):
        channel = row["channel"]
        WAITING.labels(channel).set(row["waiting"])
        UNCERTAIN.labels(channel).set(row["uncertain"])
        FAILED.labels(channel).set(row["failed"])
        FAILURES_IN_ROW.labels(channel).set(row["failures_in_row"])
        if row["last_ok_at"] is not None:
            OK_AT.labels(channel).set(row["last_ok_at"].timestamp())
