-- TimescaleDB's chunks are made to hold what a day's pieces hold of plain PostgreSQL (0049): a chunk of a week, in a large
-- town, has indexes that no memory holds, and each row cost four times what it did in the first days. Under the Apache
-- licence chunks that are over are packed as days are (0048): by household, with an index by card.

-- How long a chunk may be that gets so many pages an hour: a week, or a day where a week is more than 25 MB. Shorter ones
-- would be too many to plan over, for this licence has nothing that joins them.
CREATE FUNCTION event_chunk_span(p_pages_an_hour numeric) RETURNS interval
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT make_interval(hours => CASE WHEN p_pages_an_hour * 168 <= 3200 THEN 168 ELSE 24 END)
$$;

-- The next chunks are as long as the last ones say; the server's own count, which locks nothing.
CREATE FUNCTION fit_event_chunks(p_times numeric DEFAULT 1) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  pages_an_hour numeric;
  span interval;
  spans interval;
BEGIN
  EXECUTE 'SELECT coalesce(max(pages_an_hour), 0) FROM ('
          '  SELECT greatest(c.relpages, 0) * 3600 / extract(epoch FROM k.range_end - k.range_start) AS pages_an_hour'
          '  FROM timescaledb_information.chunks k'
          '  JOIN pg_class c ON c.oid = format(''%I.%I'', k.chunk_schema, k.chunk_name)::regclass'
          '  WHERE k.hypertable_name = ''door_events'' ORDER BY k.range_start DESC LIMIT 8) AS last' INTO pages_an_hour;
  EXECUTE 'SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = ''door_events''' INTO spans;
  span := event_chunk_span(pages_an_hour * p_times);
  IF span <> spans THEN
    PERFORM set_chunk_time_interval('door_events'::regclass, span);
  END IF;
END $$;

-- As in 0049.
CREATE OR REPLACE FUNCTION ensure_event_partitions(from_at timestamptz, to_at timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  day date := (from_at AT TIME ZONE 'UTC')::date;
  last date := (to_at AT TIME ZONE 'UTC')::date;
  newest text;
  made int := 0;
  name text;
BEGIN
  PERFORM pg_advisory_xact_lock(7241002);
  IF (SELECT relkind FROM pg_class WHERE oid = 'door_events'::regclass) <> 'p' THEN
    PERFORM fit_event_chunks();
    RETURN 0;
  END IF;
  IF last - day > 4000 THEN
    RAISE EXCEPTION 'more than 4000 days of partitions asked for at once';
  END IF;
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

-- The days (plain), or chunks (TimescaleDB), that end by an instant and are not packed, oldest first.
CREATE OR REPLACE FUNCTION event_days_to_pack(p_before timestamptz) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb') THEN
    RETURN QUERY
      SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'door_events'::regclass AND c.relname ~ '^door_events_[0-9]{8}$'
        AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= p_before
        AND obj_description(c.oid, 'pg_class') IS DISTINCT FROM 'packed'
      ORDER BY 1;
    RETURN;
  END IF;
  RETURN QUERY EXECUTE
    'SELECT name FROM (SELECT format(''%I.%I'', chunk_schema, chunk_name) AS name, is_compressed, range_start'
    '                  FROM timescaledb_information.chunks WHERE hypertable_name = ''door_events'' AND range_end <= $1) AS over'
    ' WHERE CASE WHEN current_setting(''timescaledb.license'', true) = ''timescale'' THEN NOT is_compressed'
    '            ELSE obj_description(name::regclass, ''pg_class'') IS DISTINCT FROM ''packed'' END'
    ' ORDER BY range_start'
    USING p_before;
END $$;

-- Writes a day, or a chunk, anew by household, with an index by card.
CREATE FUNCTION sort_event_day(p_day regclass) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  by_household regclass;
BEGIN
  SELECT i.indexrelid::regclass INTO STRICT by_household
  FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = p_day AND a.attname = 'household_no';
  EXECUTE format('CLUSTER %s USING %I', p_day, (SELECT relname FROM pg_class WHERE oid = by_household));
  -- Chunks lie in a schema of the extension's: an owner who may make nothing there goes without the index, and no worse.
  IF has_schema_privilege((SELECT relnamespace FROM pg_class WHERE oid = p_day), 'CREATE') THEN
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s (credential, occurred_at) WHERE credential IS NOT NULL',
                   (SELECT relname FROM pg_class WHERE oid = p_day) || '_credential', p_day);
  END IF;
END $$;

-- As in 0049; chunks that cannot be compressed are sorted.
CREATE OR REPLACE FUNCTION pack_event_day(p_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  day regclass;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM event_days_to_pack('infinity') AS unpacked WHERE unpacked = p_name) THEN
    RAISE EXCEPTION '% is no day of door_events that could be packed', p_name;
  END IF;
  day := p_name::regclass;
  IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb')
     AND current_setting('timescaledb.license', true) = 'timescale' THEN
    IF NOT (SELECT EXISTS (SELECT 1 FROM timescaledb_information.compression_settings
                           WHERE hypertable_name = 'door_events')) THEN
      EXECUTE 'ALTER TABLE door_events SET (timescaledb.compress,'
              ' timescaledb.compress_segmentby = ''household_no'', timescaledb.compress_orderby = ''occurred_at'')';
    END IF;
    EXECUTE 'SELECT compress_chunk($1, if_not_compressed => true)' USING day;
    RETURN;
  END IF;
  IF (SELECT relkind FROM pg_class WHERE oid = day) = 'p' THEN
    PERFORM join_event_day(p_name);
  ELSE
    PERFORM sort_event_day(day);
  END IF;
  EXECUTE format('COMMENT ON TABLE %s IS ''packed''', day);
END $$;

REVOKE ALL ON FUNCTION event_chunk_span(numeric), fit_event_chunks(numeric), sort_event_day(regclass) FROM PUBLIC;
