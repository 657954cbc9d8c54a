"""The console's counters: names and labels only; no label is finer than a community, none is personal."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("kaimen_console_requests_total", "Answered requests.", ["area", "status"])
REQUEST_SECONDS = Histogram(
    "kaimen_console_request_seconds",
    "Time to the start of the answer.",
    ["area"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SIGN_INS = Counter("kaimen_console_sign_ins_total", "Attempts to sign in.", ["result"])
ACTS = Counter("kaimen_console_acts_total", "Acts of people on cases and tasks.", ["act", "result"])
LOOK_UPS = Counter("kaimen_console_look_ups_total", "Look-ups in the access log with a ticket.", ["result"])
STREAM_CLIENTS = Gauge("kaimen_console_stream_clients", "Open event streams.")
STREAM_EVENTS = Counter("kaimen_console_stream_events_total", "Changes passed on to event streams.", ["kind"])
STREAM_OVERFLOWS = Counter("kaimen_console_stream_overflows_total", "Streams that read too slowly.")
STREAM_RECONNECTS = Counter("kaimen_console_stream_reconnects_total", "Lost listening connections.")
VOICE_REPORTS = Counter(
    "kaimen_console_voice_reports_total", "Reports of voice providers.", ["provider", "kind"]
)
