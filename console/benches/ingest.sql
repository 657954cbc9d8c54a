-- name: lay_out
-- A site of homes with a door each, watched with consent.
WITH made AS (
  INSERT INTO communities (id, name) VALUES ('bench', 'Bench') RETURNING id
), site AS (
  INSERT INTO sites (id, community_id, name) SELECT 'bench', id, 'Bench' FROM made RETURNING id
), door AS (
  INSERT INTO devices (id, site_id, kind, registered_at)
  SELECT 'door-' || n, site.id, 'controller', %(at)s FROM site, generate_series(1, %(homes)s) AS n RETURNING id
), home AS (
  INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)
  SELECT 'h' || n, site.id, 'h' || n, '1', '1', 1, n::text, %(at)s FROM site, generate_series(1, %(homes)s) AS n
  RETURNING id
), bound AS (
  INSERT INTO household_doors (household_id, device_id, role)
  SELECT 'h' || n, 'door-' || n, 'dwelling' FROM generate_series(1, %(homes)s) AS n RETURNING household_id
)
INSERT INTO consents (household_id, purpose, given_by, given_at)
SELECT id, 'watch', 'bench', %(at)s FROM home;

-- name: count_stored
SELECT count(*) FROM door_events;

-- name: count_written
-- What was written so far as the server counts it, at most a second late: to count rows would cost as much as to store them.
SELECT coalesce(sum(n_tup_ins), 0)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'door_events%';

-- name: count_days
SELECT occurred_at::date::text AS day, count(*) FROM door_events GROUP BY 1 ORDER BY 1;

-- name: checkpoints
SELECT num_timed + num_requested FROM pg_stat_checkpointer;

-- name: last_commit
-- Milliseconds from the Unix epoch to the last commit of an event.
SELECT extract(epoch FROM max(pg_xact_commit_timestamp(id))) * 1000
FROM (SELECT DISTINCT xmin::text::xid AS id FROM door_events) AS transactions;

-- name: empty_events
TRUNCATE door_events;

-- name: make_bare
CREATE TABLE bare (LIKE door_events);

-- name: copy_bare
COPY bare (
  occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms, batch, replayed, plausible, household_no,
  opens, clock_quality, type, state, direction, method, credential, reason, door
) FROM STDIN (FORMAT BINARY);

-- name: commit_spans
-- Milliseconds from each event's instant, which was its publishing, to the commit of its row.
SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000 - ts_ms FROM door_events WHERE boot = %(boot)s AND ts_ms >= %(since)s;

-- name: progress
-- Milliseconds from the Unix epoch to the instant ingest is up to.
SELECT extract(epoch FROM at) * 1000 FROM service_progress WHERE service = 'ingest';

-- name: make_peer
CREATE TABLE peer_events (
  device text NOT NULL, boot text NOT NULL, seq bigint NOT NULL, ts bigint NOT NULL, up bigint NOT NULL,
  type text NOT NULL, state text, method text, cred text, door text, opens bigint, UNIQUE (device, boot, seq)
);
CREATE INDEX ON peer_events (device, ts);

-- name: empty_peer
TRUNCATE peer_events;

-- name: peer_insert
INSERT INTO peer_events VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING;

-- name: peer_copy
COPY peer_events FROM STDIN;
