-- Days that are over are written anew in the order in which they are read, and get an index by credential, which costs
-- those who open a door nothing then. Owner's work, lent to the service that keeps house at night.

-- The days (plain), or chunks (TimescaleDB with compression), that end by an instant and are not packed, oldest first.
CREATE FUNCTION event_days_to_pack(p_before timestamptz) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb') THEN
    RETURN QUERY
      SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'door_events'::regclass AND c.relname ~ '^door_events_[0-9]{8}$'
        AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= p_before
        AND obj_description(c.oid, 'pg_class') IS DISTINCT FROM 'packed'
      ORDER BY 1;
  ELSIF current_setting('timescaledb.license', true) = 'timescale' THEN
    RETURN QUERY EXECUTE
      'SELECT format(''%I.%I'', chunk_schema, chunk_name) FROM timescaledb_information.chunks'
      ' WHERE hypertable_name = ''door_events'' AND range_end <= $1 AND NOT is_compressed ORDER BY range_start'
      USING p_before;
  END IF;
END $$;

-- Packs one of them. Whoever writes to it or reads it waits for it, so it waits for them no longer than it is told to.
CREATE FUNCTION pack_event_day(p_name text) RETURNS void
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
  SELECT i.indexrelid::regclass::text INTO STRICT by_household
  FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
  WHERE i.indrelid = p_name::regclass AND h.inhparent = 'door_events_household'::regclass;
  EXECUTE format('CLUSTER %I USING %s', p_name, by_household);
  EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I (credential, occurred_at) WHERE credential IS NOT NULL',
                 p_name || '_credential', p_name);
  EXECUTE format('COMMENT ON TABLE %I IS ''packed''', p_name);
END $$;

REVOKE ALL ON FUNCTION event_days_to_pack(timestamptz), pack_event_day(text) FROM PUBLIC;
