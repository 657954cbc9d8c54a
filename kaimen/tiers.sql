-- name: find_tier
-- What the event table is, and what the server can do with it.
SELECT to_regclass('_timescaledb_catalog.hypertable') IS NOT NULL AS timescale,
       current_setting('timescaledb.license', true) AS license;

-- name: days_to_pack
SELECT event_days_to_pack(%(before)s) AS name;

-- name: pack_day
SELECT pack_event_day(%(name)s);

-- name: give_way
-- Calls off what a backend of our own does if anybody waits for it.
SELECT pg_cancel_backend(%(pid)s)
WHERE EXISTS (SELECT 1 FROM pg_locks l WHERE NOT l.granted AND %(pid)s = ANY (pg_blocking_pids(l.pid)));
