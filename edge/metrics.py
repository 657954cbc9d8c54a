"""Counters and gauges of the edge: happenings enter, prometheus-client samples leave; no label finer than site."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

FRAMES = Counter("kaimen_edge_frames_total", "Frames taken from sources", ["dialect"])
DECODE_FAILURES = Counter("kaimen_edge_decode_failures_total", "Frames on which a dialect failed; set aside")
EVENTS = Counter("kaimen_edge_events_total", "Canonical events queued", ["type"])
HEARTBEATS = Counter("kaimen_edge_heartbeats_total", "Check-in heartbeats sent on")
LOST_OPENINGS = Counter("kaimen_edge_lost_openings_total", "Openings that only a device's own counter told")
BOOTS = Counter("kaimen_edge_boots_total", "Boots begun for foreign devices", ["reason"])
UNLISTED_FRAMES = Counter("kaimen_edge_unlisted_frames_total", "Frames of sources that no device table lists")
UNLISTED_SOURCES = Gauge("kaimen_edge_unlisted_sources", "Sources that no device table lists")
RETAINED_IGNORED = Counter(
    "kaimen_edge_retained_frames_total", "Frames that a broker replayed from its store"
)
CREDENTIALS_WITHHELD = Counter(
    "kaimen_edge_credentials_withheld_total", "Credentials that did not pass on because no key is set"
)
SPOOL_MESSAGES = Gauge("kaimen_edge_spool_messages", "Messages that wait for the central broker")
SPOOL_BYTES = Gauge("kaimen_edge_spool_bytes", "Bytes that wait for the central broker")
SPOOL_FULL = Gauge(
    "kaimen_edge_spool_full", "1 while the spool takes no more and sources are not acknowledged"
)
SPOOL_EVICTED = Counter("kaimen_edge_spool_evicted_vitals_total", "Vitals removed to make room for events")
SPOOL_EXPIRED = Counter("kaimen_edge_spool_expired_total", "Messages that grew too old to prove anything")
FORWARDED = Counter("kaimen_edge_forwarded_total", "Canonical frames forwarded", ["channel"])
PUBLISHED = Counter("kaimen_edge_published_total", "Messages the central broker has acknowledged")
BACKLOG_SENT = Counter(
    "kaimen_edge_backlog_events_total", "Events sent that had waited for the central broker"
)
CONNECTED = Gauge("kaimen_edge_connected", "1 while a link stands", ["link"])
RECONNECTS = Counter("kaimen_edge_reconnects_total", "Connection attempts", ["link"])
STALE_ACKS = Counter(
    "kaimen_edge_stale_acks_total", "Acknowledgements dropped because their connection was gone"
)
QUEUE_OVERFLOWS = Counter(
    "kaimen_edge_queue_overflows_total", "Times a source was let go because we fell behind"
)
TABLE_ERRORS = Counter("kaimen_edge_device_table_errors_total", "Device tables that could not be read")
BACKLOG_TOLD = Gauge(
    "kaimen_edge_backlog_told_per_second",
    "The pace at which the server lets us send what waited; -1: our own",
)
