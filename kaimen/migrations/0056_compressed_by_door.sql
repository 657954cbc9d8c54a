-- Compressed chunks are looked for by door: segmented by household alone, what one door said in a week was found by
-- looking through every home's (19 ms a chunk of 33,000 homes, where an index takes 0.1), and pages ask by door. They fill
-- before they are compressed, so how long the next may be is asked of what they held then.

-- As in 0055, of compressed chunks what they were before.
CREATE OR REPLACE FUNCTION fit_event_chunks(p_times numeric DEFAULT 1) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  pages_an_hour numeric;
  span interval;
  spans interval;
BEGIN
  EXECUTE 'SELECT coalesce(max(pages * 3600 / seconds), 0) FROM ('
          '  SELECT greatest(c.relpages, 0)' || CASE WHEN current_setting('timescaledb.license', true) = 'timescale' THEN
          '   + coalesce((SELECT s.before_compression_table_bytes FROM chunk_compression_stats(''door_events'') s'
          '               WHERE s.chunk_schema = k.chunk_schema AND s.chunk_name = k.chunk_name), 0)'
          '   / current_setting(''block_size'')::numeric' ELSE '' END || ' AS pages,'
          '  extract(epoch FROM k.range_end - k.range_start) AS seconds'
          '  FROM timescaledb_information.chunks k'
          '  JOIN pg_class c ON c.oid = format(''%I.%I'', k.chunk_schema, k.chunk_name)::regclass'
          '  WHERE k.hypertable_name = ''door_events'' ORDER BY k.range_start DESC LIMIT 8) AS last' INTO pages_an_hour;
  EXECUTE 'SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = ''door_events''' INTO spans;
  span := event_chunk_span(pages_an_hour * p_times);
  IF span <> spans THEN
    PERFORM set_chunk_time_interval('door_events'::regclass, span);
  END IF;
END $$;

-- As in 0055; a chunk that was compressed by household alone is compressed once more.
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
    ' WHERE CASE WHEN current_setting(''timescaledb.license'', true) = ''timescale'''
    '            THEN NOT is_compressed OR EXISTS (SELECT 1 FROM timescaledb_information.chunk_compression_settings s'
    '                                              WHERE s.chunk = name::regclass AND s.segmentby = ''household_no'')'
    '            ELSE obj_description(name::regclass, ''pg_class'') IS DISTINCT FROM ''packed'' END'
    ' ORDER BY range_start'
    USING p_before;
END $$;

-- Compresses a chunk by door and household: found by either.
CREATE FUNCTION compress_event_chunk(p_chunk regclass) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  held regclass;
  compressed regclass;
BEGIN
  EXECUTE 'SELECT decompress_chunk($1, if_compressed => true)' USING p_chunk;
  IF NOT EXISTS (SELECT 1 FROM timescaledb_information.compression_settings
                 WHERE hypertable_name = 'door_events' AND attname = 'device_no' AND segmentby_column_index = 1) THEN
    EXECUTE 'ALTER TABLE door_events SET (timescaledb.compress,'
            ' timescaledb.compress_segmentby = ''device_no, household_no'', timescaledb.compress_orderby = ''occurred_at'','
            ' timescaledb.compress_chunk_time_interval = ''7 days'')';
  END IF;
  -- Days are put into the week before them while it has room: a question is planned over each chunk there is.
  EXECUTE 'SELECT compress_chunk($1, if_not_compressed => true)' INTO held USING p_chunk;
  -- A week that is full is compressed once more as one: else each door's days are unpacked one by one.
  IF held <> p_chunk AND (SELECT range_end - range_start >= interval '7 days' FROM timescaledb_information.chunks
                          WHERE format('%I.%I', chunk_schema, chunk_name)::regclass = held) THEN
    EXECUTE 'SELECT decompress_chunk($1)' USING held;
    EXECUTE 'SELECT compress_chunk($1)' USING held;
  END IF;
  -- Where the compressed rows lie is the extension's own matter, and another in other versions: where they are not found,
  -- or the owner may make nothing there, a household's are looked for through all, and no worse.
  BEGIN
    EXECUTE 'SELECT compress_relid FROM _timescaledb_catalog.compression_settings WHERE relid = $1' INTO compressed USING held;
    IF has_schema_privilege((SELECT relnamespace FROM pg_class WHERE oid = compressed), 'CREATE') THEN
      EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s (household_no)',
                     (SELECT relname FROM pg_class WHERE oid = compressed) || '_household', compressed);
    END IF;
  EXCEPTION WHEN undefined_table OR undefined_column OR insufficient_privilege THEN
    NULL;
  END;
END $$;

-- As in 0055.
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
    PERFORM compress_event_chunk(day);
    RETURN;
  END IF;
  IF (SELECT relkind FROM pg_class WHERE oid = day) = 'p' THEN
    PERFORM join_event_day(p_name);
  ELSE
    PERFORM sort_event_day(day);
  END IF;
  EXECUTE format('COMMENT ON TABLE %s IS ''packed''', day);
END $$;

REVOKE ALL ON FUNCTION compress_event_chunk(regclass) FROM PUBLIC;
