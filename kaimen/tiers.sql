-- name: find_tier
-- What the event table is, and what the server can do with it.
SELECT to_regclass('_timescaledb_catalog.hypertable') IS NOT NULL AS timescale,
       current_setting('timescaledb.license', true) AS license;

-- name: list_days
-- The day partitions of the plain form, oldest first, with the days they are named for.
SELECT c.relname AS name, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'door_events'::regclass AND c.relname ~ '^door_events_[0-9]{8}$'
ORDER BY day;

-- name: drop_chunks
SELECT count(*) AS dropped FROM drop_chunks('door_events', older_than => %(before)s::timestamptz);

-- name: delete_before
-- What no whole partition holds: the day that is cut, and rows of days for which there was no partition.
DELETE FROM door_events WHERE occurred_at < %(before)s;

-- name: is_packed
SELECT obj_description(%(name)s::regclass, 'pg_class') = 'packed' AS packed;

-- name: compression_enabled
SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_name = 'door_events';

-- name: enable_compression
ALTER TABLE door_events SET (
  timescaledb.compress, timescaledb.compress_segmentby = 'household_no', timescaledb.compress_orderby = 'occurred_at'
);

-- name: compress_chunks
SELECT count(compress_chunk(c, if_not_compressed => true)) AS compressed
FROM show_chunks('door_events', older_than => %(before)s::timestamptz) c;
