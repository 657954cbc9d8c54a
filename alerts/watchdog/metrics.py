"""What the watchdog says of itself to Prometheus: findings by check, its turns, what it told and whom it reached."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

FINDINGS = Gauge("kaimen_watchdog_findings", "Faults that stand, by check; 0 is well", ["check"])
TURN_AT = Gauge("kaimen_watchdog_turn_timestamp_seconds", "Wall time of the watchdog's newest turn")
TURNS = Counter("kaimen_watchdog_turns_total", "Turns of the watchdog")
DATABASE_AWAY = Counter(
    "kaimen_watchdog_database_away_total", "Times the database did not answer the watchdog"
)
TOLD = Counter("kaimen_watchdog_told_total", "Messages of the watchdog's own channel", ["result"])
PINGS = Counter("kaimen_watchdog_pings_total", "Calls to the far dead man's switch", ["result"])
