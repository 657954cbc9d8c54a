-- The event table with native range partitions by day: servers without TimescaleDB.
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
) PARTITION BY RANGE (occurred_at);
CREATE INDEX door_events_household ON door_events (household_no, occurred_at);
CREATE INDEX door_events_device ON door_events (device_no, occurred_at);
CREATE TABLE door_events_other PARTITION OF door_events DEFAULT;

-- Creates the partitions that hold the days from .. to (both included); returns how many were new.
CREATE FUNCTION ensure_event_partitions(from_at timestamptz, to_at timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  day date := (from_at AT TIME ZONE 'UTC')::date;
  last date := (to_at AT TIME ZONE 'UTC')::date;
  made int := 0;
  part text;
BEGIN
  IF last - day > 4000 THEN
    RAISE EXCEPTION 'more than 4000 days of partitions asked for at once';
  END IF;
  PERFORM pg_advisory_xact_lock(7241002);
  WHILE day <= last LOOP
    part := 'door_events_' || to_char(day, 'YYYYMMDD');
    IF to_regclass(part) IS NULL THEN
      EXECUTE format(
        'CREATE TABLE %I PARTITION OF door_events FOR VALUES FROM (%L) TO (%L)',
        part, (day::timestamp AT TIME ZONE 'UTC'), ((day + 1)::timestamp AT TIME ZONE 'UTC')
      );
      made := made + 1;
    END IF;
    day := day + 1;
  END LOOP;
  RETURN made;
END $$;
