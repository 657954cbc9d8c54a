"""What ingest does enters as calls; counters, gauges and histograms leave for ``/metrics``.

No label is finer than a shard group: never a device, a household or a site.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("kaimen_ingest_events", "Events by admission class", ["admission"])
HEARTBEATS = Counter("kaimen_ingest_heartbeats", "Heartbeats taken")
HEARTBEATS_IMPLAUSIBLE = Counter(
    "kaimen_ingest_heartbeats_implausible",
    "Heartbeats whose instant cannot be: counted, neither coverage nor sign",
)
QUARANTINED = Counter("kaimen_ingest_quarantined", "Refused messages by reason", ["reason"])
QUARANTINE_OVERFLOW = Counter(
    "kaimen_ingest_quarantine_overflow", "Refused messages not kept because quarantine is full", ["reason"]
)
REPLAYED = Counter("kaimen_ingest_quarantine_replayed", "Quarantined messages taken after all")
FACTS = Counter("kaimen_ingest_facts", "Facts written for alerts, by kind", ["kind"])
FACTS_UNMATCHED = Counter(
    "kaimen_ingest_facts_unmatched", "Ends of facts whose begin is not in the database", ["kind"]
)
BATCHES = Counter("kaimen_ingest_batches", "Writing transactions committed", ["group"])
BATCH_MESSAGES = Histogram(
    "kaimen_ingest_batch_messages", "Messages per batch", buckets=(1, 5, 20, 50, 100, 500, 1000, 2000, 5000)
)
COMMIT_SECONDS = Histogram(
    "kaimen_ingest_commit_seconds",
    "Wall time of a writing transaction",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
LAG_SECONDS = Gauge(
    "kaimen_ingest_lag_seconds", "Community seconds from receipt to commit, newest batch", ["group"]
)
PULSE_AGE_SECONDS = Gauge(
    "kaimen_ingest_pulse_age_seconds", "Community seconds by which the newest pulse is behind", ["group"]
)
EDGES_PER_SECOND = Gauge(
    "kaimen_ingest_edges_per_second",
    "Kept events a second that each edge was told to send; -1: its own pace",
    ["group"],
)
QUEUE_MESSAGES = Gauge("kaimen_ingest_queue_messages", "Messages received and not yet taken", ["group"])
QUEUE_MESSAGES_MAX = Gauge("kaimen_ingest_queue_messages_max", "Bound of the queue", ["group"])
QUEUE_FULL = Counter("kaimen_ingest_queue_full", "Times the network thread waited for room in the queue")
HEARTBEATS_DROPPED = Counter("kaimen_ingest_heartbeats_dropped", "Heartbeats dropped to keep room for events")
RECEIVING_PLAIN = Counter(
    "kaimen_ingest_receiving_plain", "Connections that take messages one by one: the fast way was not sound"
)
ARRAYS_PLAIN = Counter(
    "kaimen_ingest_arrays_plain",
    "Starts of a worker that reads arrays event by event: the fast way was not sound",
)
REDELIVERED = Counter(
    "kaimen_ingest_redelivered", "Messages delivered again while the first copy was in flight"
)
STALE_ACKS = Counter("kaimen_ingest_stale_acks", "Acknowledgements dropped: their connection is gone")
CONNECTED = Gauge("kaimen_ingest_broker_connected", "1 while the group's session is subscribed", ["group"])
CONNECTS = Counter("kaimen_ingest_broker_connects", "Connections made to the broker")
SESSIONS_NEW = Counter("kaimen_ingest_sessions_new", "Connections that found no session at the broker")
LEASE_HELD = Gauge("kaimen_ingest_lease_held", "1 while this worker owns the group", ["group"])
WORKERS = Gauge("kaimen_ingest_workers", "Workers that share the groups, as this one sees them")
GROUP_BEHIND_SECONDS = Gauge(
    "kaimen_ingest_group_behind_seconds",
    "Community seconds since a group's newest committed pulse, whoever holds it",
    ["group"],
)
GROUPS_GIVEN_BACK = Counter(
    "kaimen_ingest_groups_given_back", "Groups given to another worker to share the load"
)
LEASES_LOST = Counter("kaimen_ingest_leases_lost", "Leases found taken by another worker")
REBUILDS = Counter("kaimen_ingest_rebuilds", "Times the detector was rebuilt from the database")
START_DEVICES = Gauge(
    "kaimen_ingest_start_devices",
    "Devices of the newest start, by where they were read from",
    ["group", "source"],
)
SNAPSHOT_AGE_SECONDS = Gauge(
    "kaimen_ingest_snapshot_age_seconds",
    "Community seconds since the oldest block was written down",
    ["group"],
)
SNAPSHOT_BYTES = Gauge("kaimen_ingest_snapshot_bytes", "What is written down of a group's devices", ["group"])
SNAPSHOTS_REFUSED = Counter(
    "kaimen_ingest_snapshots_refused", "Blocks a start did not use, by reason", ["reason"]
)
SNAPSHOT_REACHED_BACK = Counter(
    "kaimen_ingest_snapshot_reached_back", "Devices whose rows were read after all, for something of long ago"
)
MEMORY_BYTES = Gauge("kaimen_ingest_memory_bytes", "What this process holds in memory")
MEMORY_LIMIT_BYTES = Gauge("kaimen_ingest_memory_limit_bytes", "What it may hold")
MEMORY_SHORTAGE = Gauge(
    "kaimen_ingest_memory_shortage",
    "0: none; 1: doors let go of what is stored; 2: batches are small, too; 3: nothing is taken until there is room",
    ["group"],
)
DEVICES_RELIEVED = Counter(
    "kaimen_ingest_devices_relieved",
    "Times a door let go of what is stored because memory was short",
    ["group"],
)
BATCHES_HELD_BACK = Counter(
    "kaimen_ingest_batches_held_back",
    "Batches that took less from the broker, or nothing, because memory was short",
    ["group"],
)
REGISTRY_READS = Counter(
    "kaimen_ingest_registry_reads", "Looks at the registry: whole, or only what changed", ["kind"]
)
REGISTRY_UNTOLD = Counter(
    "kaimen_ingest_registry_untold",
    "Differences of the registry of which no note was left, found by a whole read",
)
REBUILD_SECONDS = Gauge("kaimen_ingest_rebuild_seconds", "Wall time of the newest rebuild", ["group"])
DATABASE_FAILURES = Counter(
    "kaimen_ingest_database_failures", "Writing transactions rolled back by the world"
)
CLOCK_REFUSALS = Counter(
    "kaimen_ingest_clock_refusals", "Times ingest stopped because its own clock is wrong"
)
SIGNALS = Counter(
    "kaimen_ingest_signals", "Facts of doors and dwellings beside inactivity, by kind", ["kind"]
)
DOOR_FACTS_REFUSED = Counter(
    "kaimen_ingest_door_facts_refused", "Turns whose presence and signals the database refused"
)
