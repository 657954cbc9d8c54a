-- name: make_tables
CREATE TABLE bare (LIKE door_events);
CREATE TABLE sorted (LIKE door_events);
CREATE INDEX ON sorted (household_no, occurred_at);
CREATE TABLE service (LIKE door_events);
CREATE INDEX ON service (household_no, occurred_at);
CREATE INDEX ON service (device_no, occurred_at);
CREATE INDEX ON service USING brin (occurred_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE uniquely (LIKE door_events, UNIQUE (device_no, boot, seq));
CREATE INDEX ON uniquely (household_no, occurred_at);
CREATE TABLE deferred (LIKE door_events);
CREATE TABLE staged (LIKE door_events);
CREATE TABLE pages (grid int NOT NULL, from_at timestamptz NOT NULL, rows int NOT NULL, packed bytea NOT NULL);
CREATE INDEX ON pages (grid, from_at);

-- name: index_deferred
CREATE INDEX deferred_household ON deferred (household_no, occurred_at);

-- name: insert_page
INSERT INTO pages VALUES (%s, %s, %s, %s);

-- name: take_staged
INSERT INTO uniquely SELECT * FROM staged ON CONFLICT DO NOTHING;

-- name: empty_staged
TRUNCATE staged;

-- name: sizes
-- Bytes of the table's rows and of its indexes.
SELECT pg_table_size(%(name)s::regclass) AS rows, pg_indexes_size(%(name)s::regclass) AS indexes;

-- name: load_history
-- Rows of many homes over past days, a day in one statement, by household: it is packed next, and this is the quickest.
INSERT INTO door_events (
  occurred_at, received_at, recorded_at, device_no, household_no, boot, seq, ts_ms, up_ms, clock_quality, replayed,
  type, state, direction, method, credential, opens, reason, door, plausible, batch
)
SELECT at, at, at, home, home, 7, n, 0, 0, 'ntp', false, CASE n %% 3 WHEN 0 THEN 'AccessTaken' ELSE 'DoorPhysicalState' END,
       CASE n %% 3 WHEN 1 THEN 'Open' WHEN 2 THEN 'Closed' END, NULL, 'card', 'c_' || home, n, NULL, '3-1-1201', true, 1
FROM (
  SELECT home, n, %(day)s::timestamptz + (n * 86400.0 / %(a_day)s + home %% 600) * interval '1 second' AS at
  FROM generate_series(1, %(homes)s) AS home, generate_series(0, %(a_day)s - 1) AS n
) AS made
ORDER BY home, at;

-- name: pack_until
-- What the service does at night.
SELECT pack_event_day(name) FROM event_days_to_pack(%(until)s) AS name;

-- name: load_as_it_came
-- Rows of one day as they came, in the order of time: nobody has packed that day yet.
INSERT INTO door_events (
  occurred_at, received_at, recorded_at, device_no, household_no, boot, seq, ts_ms, up_ms, clock_quality, replayed,
  type, state, direction, method, credential, opens, reason, door, plausible, batch
)
SELECT at, at, at, home, home, %(boot)s, n, 0, 0, 'ntp', false,
       CASE n %% 3 WHEN 0 THEN 'AccessTaken' ELSE 'DoorPhysicalState' END,
       CASE n %% 3 WHEN 1 THEN 'Open' WHEN 2 THEN 'Closed' END, NULL, 'card', 'c_' || home, n, NULL, '3-1-1201', true, 1
FROM (
  SELECT home, n, %(day)s::timestamptz + (n * 85000.0 / %(a_day)s + home %% 600) * interval '1 second' AS at
  FROM generate_series(1, %(homes)s) AS home, generate_series(0, %(a_day)s - 1) AS n
) AS made
ORDER BY at;

-- name: make_day
-- A day as ingest makes it, after the days before it.
SELECT ensure_event_partitions(%(day)s, %(day)s);

-- name: chunks_of_day
-- Since when chunks hold nothing from before that day.
SELECT coalesce(min(range_start), %(day)s) FROM timescaledb_information.chunks
WHERE hypertable_name = 'door_events'
  AND range_start > (SELECT max(occurred_at) FROM door_events WHERE occurred_at < %(day)s);

-- name: drop_chunks
SELECT count(*) FROM drop_chunks('door_events', newer_than => %(since)s::timestamptz);

-- name: forget_day
DELETE FROM door_events WHERE occurred_at >= %(day)s;

-- name: fit_chunks
-- The next chunks, as long as they would be where days hold so many rows.
SELECT fit_event_chunks(%(rows)s::numeric / %(held)s);

-- name: make_large_day
-- A day as it would be made where days hold so many rows, each as large as those of the last days.
SELECT make_event_day((%(day)s::timestamptz AT TIME ZONE 'UTC')::date, event_day_pieces(event_day_pages() * %(rows)s / %(held)s));

-- name: pieces
SELECT greatest(1, count(*)) FROM pg_inherits
WHERE inhparent = to_regclass('door_events_' || to_char(%(day)s::timestamptz AT TIME ZONE 'UTC', 'YYYYMMDD'));

-- name: make_bare_again
DROP TABLE IF EXISTS bare;
CREATE TABLE bare (LIKE door_events);

-- name: household_30_days
SELECT occurred_at, type, state, method, credential FROM door_events
WHERE household_no = %(home)s AND occurred_at >= %(month)s AND occurred_at < %(until)s
ORDER BY occurred_at DESC;

-- name: door_between
SELECT occurred_at, type, state, credential FROM door_events
WHERE device_no = %(home)s AND occurred_at BETWEEN %(hours6)s AND %(until)s
ORDER BY occurred_at;

-- name: credential_30_days
-- One person's card over the doors of her site.
SELECT occurred_at, device_no, type FROM door_events
WHERE device_no = ANY (%(doors)s) AND credential = %(credential)s
  AND occurred_at >= %(month)s AND occurred_at < %(until)s
ORDER BY occurred_at DESC;

-- name: who_passed
SELECT occurred_at, credential, method FROM door_events
WHERE device_no = %(home)s AND type = 'AccessTaken'
  AND occurred_at BETWEEN %(day)s AND %(until)s
ORDER BY occurred_at;

-- name: building_3_hours
SELECT occurred_at, household_no, type FROM door_events
WHERE household_no = ANY (%(doors)s) AND occurred_at BETWEEN %(hours3)s AND %(until)s
ORDER BY occurred_at DESC LIMIT 200;

-- name: history_page
-- A home's thirty days as its page asks for them: the function writes down who read, and looks what she may see.
SELECT * FROM read_device_events('history', 'household:bench', %(until)s, ARRAY[%(home)s]::int[], %(month)s, %(until)s, %(until)s, 10000);
