-- The event table as a TimescaleDB hypertable, a chunk a week.
CREATE TABLE door_events (
  occurred_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  device_no int NOT NULL,
  household_no int,
  boot bigint NOT NULL,
  seq bigint NOT NULL,
  ts_ms bigint NOT NULL,
  up_ms bigint NOT NULL,
  clock_quality text NOT NULL,
  replayed boolean NOT NULL,
  type text NOT NULL,
  state text,
  direction text,
  method text,
  credential text,
  opens bigint,
  reason text,
  door text,
  plausible boolean NOT NULL,
  batch bigint NOT NULL
);
SELECT create_hypertable('door_events', 'occurred_at', chunk_time_interval => interval '7 days', create_default_indexes => false);
CREATE INDEX door_events_household ON door_events (household_no, occurred_at);
CREATE INDEX door_events_device ON door_events (device_no, occurred_at);

-- Chunks make themselves; the function is there so that callers need not know which form they have.
CREATE FUNCTION ensure_event_partitions(from_at timestamptz, to_at timestamptz) RETURNS int LANGUAGE sql AS 'SELECT 0';
