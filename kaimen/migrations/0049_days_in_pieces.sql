-- A day that will hold much is kept in pieces of some hours until it is packed. A row goes into the indexes of its piece:
-- what it costs hangs on what some hours hold, not on what a day does, above all right behind a checkpoint, when the first
-- change of a page logs all of it. Beside that, what pages ask for is planned once. TimescaleDB's chunks make themselves.

-- Into how many pieces a day of so many pages of rows is cut: one has 25 MB at most.
CREATE FUNCTION event_day_pieces(p_pages bigint) RETURNS int LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(min(pieces), 24) FROM unnest(ARRAY[1, 2, 3, 4, 6, 8, 12, 24]) AS pieces WHERE pieces * 3200 >= p_pages
$$;

-- The pages of the largest of the last days; the server's own count, as old as the last vacuum, which locks nothing.
CREATE FUNCTION event_day_pages() RETURNS bigint LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT coalesce(max(pages), 0)::bigint FROM (
    SELECT greatest(c.relpages, 0) + coalesce(pieces.pages, 0) AS pages
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL (SELECT sum(greatest(p.relpages, 0)) AS pages
                        FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid WHERE h.inhparent = c.oid) AS pieces
    WHERE i.inhparent = 'door_events'::regclass AND c.relname ~ '^door_events_[0-9]{8}$'
    ORDER BY c.relname DESC LIMIT 8
  ) AS days
$$;

-- Makes the table of one day, of one piece or more.
CREATE FUNCTION make_event_day(p_day date, p_pieces int) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  name text := 'door_events_' || to_char(p_day, 'YYYYMMDD');
  begin_at timestamptz := p_day::timestamp AT TIME ZONE 'UTC';
  end_at timestamptz := (p_day + 1)::timestamp AT TIME ZONE 'UTC';
  piece_at timestamptz := begin_at;
BEGIN
  IF p_pieces = 1 THEN
    EXECUTE format('CREATE TABLE %I PARTITION OF door_events FOR VALUES FROM (%L) TO (%L)', name, begin_at, end_at);
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE door_events) PARTITION BY RANGE (occurred_at)', name);
  WHILE piece_at < end_at LOOP
    -- Counted anew when it has doubled: each count makes every plan that is kept over all days be made again.
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)'
                   ' WITH (autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_insert_scale_factor = 1)',
                   name || to_char(piece_at AT TIME ZONE 'UTC', '_HH24'), name,
                   piece_at, piece_at + interval '24 hours' / p_pieces);
    piece_at := piece_at + interval '24 hours' / p_pieces;
  END LOOP;
  -- Attached when it is whole: nobody who reads or writes waits for its making. It gets the indexes by this.
  EXECUTE format('ALTER TABLE door_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, begin_at, end_at);
END $$;

-- As before; days behind all that are there are cut as the last ones say, days between them get late events alone.
CREATE OR REPLACE FUNCTION ensure_event_partitions(from_at timestamptz, to_at timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  day date := (from_at AT TIME ZONE 'UTC')::date;
  last date := (to_at AT TIME ZONE 'UTC')::date;
  newest text;
  made int := 0;
  name text;
BEGIN
  IF (SELECT relkind FROM pg_class WHERE oid = 'door_events'::regclass) <> 'p' THEN
    RETURN 0;
  END IF;
  IF last - day > 4000 THEN
    RAISE EXCEPTION 'more than 4000 days of partitions asked for at once';
  END IF;
  PERFORM pg_advisory_xact_lock(7241002);
  SELECT max(c.relname) INTO newest FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'door_events'::regclass AND c.relname ~ '^door_events_[0-9]{8}$';
  WHILE day <= last LOOP
    name := 'door_events_' || to_char(day, 'YYYYMMDD');
    IF to_regclass(name) IS NULL THEN
      PERFORM make_event_day(day, CASE WHEN name > newest THEN event_day_pieces(event_day_pages()) ELSE 1 END);
      made := made + 1;
    END IF;
    day := day + 1;
  END LOOP;
  RETURN made;
END $$;

-- Makes one piece of a day's many, by household and with an index by card. Who writes to that day waits; who reads it
-- waits no longer than the pieces take to go, and nobody who has to do with other days waits at all: the day stays where
-- it is, and what it consists of changes.
CREATE FUNCTION join_event_day(p_name text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp SET work_mem = '64MB' AS $$
DECLARE
  begin_at timestamptz := to_date(right(p_name, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC';
  end_at timestamptz := (to_date(right(p_name, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC';
  whole text := p_name || '_whole';
  piece regclass;
BEGIN
  EXECUTE format('LOCK TABLE %I IN SHARE MODE', p_name);
  -- The check spares the reading of all rows when it is attached.
  EXECUTE format('CREATE TABLE %I (LIKE door_events, CONSTRAINT of_its_day CHECK (occurred_at >= %L AND occurred_at < %L))',
                 whole, begin_at, end_at);
  EXECUTE format('INSERT INTO %I SELECT * FROM %I ORDER BY household_no, occurred_at', whole, p_name);
  EXECUTE format('CREATE INDEX ON %I (household_no, occurred_at)', whole);
  EXECUTE format('CREATE INDEX ON %I (device_no, occurred_at)', whole);
  EXECUTE format('CREATE INDEX %I ON %I (credential, occurred_at) WHERE credential IS NOT NULL', p_name || '_credential', whole);
  FOR piece IN SELECT inhrelid FROM pg_inherits WHERE inhparent = p_name::regclass LOOP
    EXECUTE format('DROP TABLE %s', piece);
  END LOOP;
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', p_name, whole, begin_at, end_at);
  EXECUTE format('ALTER TABLE %I DROP CONSTRAINT of_its_day', whole);
END $$;

-- As in 0048, and a day of many pieces becomes one of one.
CREATE OR REPLACE FUNCTION pack_event_day(p_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  by_household text;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM event_days_to_pack('infinity') AS day WHERE day = p_name) THEN
    RAISE EXCEPTION '% is no day of door_events that could be packed', p_name;
  END IF;
  IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb') THEN
    IF NOT (SELECT EXISTS (SELECT 1 FROM timescaledb_information.compression_settings
                           WHERE hypertable_name = 'door_events')) THEN
      EXECUTE 'ALTER TABLE door_events SET (timescaledb.compress,'
              ' timescaledb.compress_segmentby = ''household_no'', timescaledb.compress_orderby = ''occurred_at'')';
    END IF;
    EXECUTE 'SELECT compress_chunk($1::regclass, if_not_compressed => true)' USING p_name;
    RETURN;
  END IF;
  IF (SELECT relkind FROM pg_class WHERE oid = p_name::regclass) = 'p' THEN
    PERFORM join_event_day(p_name);
  ELSE
    SELECT i.indexrelid::regclass::text INTO STRICT by_household
    FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
    WHERE i.indrelid = p_name::regclass AND h.inhparent = 'door_events_household'::regclass;
    EXECUTE format('CLUSTER %I USING %s', p_name, by_household);
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I (credential, occurred_at) WHERE credential IS NOT NULL',
                   p_name || '_credential', p_name);
  END IF;
  EXECUTE format('COMMENT ON TABLE %I IS ''packed''', p_name);
END $$;

REVOKE ALL ON FUNCTION event_day_pieces(bigint), event_day_pages(), make_event_day(date, int), join_event_day(text) FROM PUBLIC;

-- What some doors said in a span: over all the days there are, planning took longer than reading. These ask by device and
-- instant whatever they are given; a page of the log and a look-up do not, and are planned for what they are asked.
ALTER FUNCTION read_device_events(text, text, timestamptz, int[], timestamptz, timestamptz, timestamptz, int)
  SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION read_household_openings(text, timestamptz, timestamptz, int) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION read_evidence_events(timestamptz, int[], bigint[], bigint[], timestamptz[])
  SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION read_signs(timestamptz, text[], int[], timestamptz[], int) SET plan_cache_mode = force_generic_plan;
