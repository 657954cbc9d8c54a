-- fencing
-- What keeps an installation true while it is upgraded, and quiet after it was restored.

-- The newest fencing migration this database has had: a program that knows another one may not write. Such a migration
-- begins with the word above; it waits for the transactions that write, and those that come after it are refused.
CREATE TABLE schema_fence (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version int NOT NULL
);
INSERT INTO schema_fence (version) VALUES (0);

-- Called at the head of a writing transaction with the fence the program knows; true, or an error of its own state.
-- The lock is shared by all who write and taken alone by a fencing migration; what is read after it is the newest.
CREATE FUNCTION enter_schema(known int) RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
DECLARE
  here int;
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock_shared(7241010);
  SELECT version INTO here FROM public.schema_fence;
  IF here IS DISTINCT FROM known THEN
    RAISE EXCEPTION 'the database has fence %, this program knows %', here, known USING ERRCODE = 'KM001';
  END IF;
  RETURN true;
END $$;

-- While one of these stands, no message leaves the house but those a person lets go one by one. All times are wall time.
CREATE TABLE outbox_holds (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reason text NOT NULL CHECK (reason IN ('restored', 'operator')),
  begun_at timestamptz NOT NULL,
  begun_by text NOT NULL,
  backup_at timestamptz,                -- restored: when the backup was taken
  ended_at timestamptz,
  ended_by text
);
CREATE UNIQUE INDEX outbox_holds_one ON outbox_holds ((true)) WHERE ended_at IS NULL;
-- When a person let this one go although a hold stood.
ALTER TABLE outbox ADD COLUMN let_go_at timestamptz;

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['kaimen_console', 'kaimen_ingest', 'kaimen_alerts'] LOOP
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role_name) THEN
      EXECUTE format('GRANT SELECT ON schema_fence TO %I', role_name);
      EXECUTE format('GRANT EXECUTE ON FUNCTION enter_schema(int) TO %I', role_name);
      EXECUTE format('GRANT SELECT ON outbox_holds TO %I', role_name);
    END IF;
  END LOOP;
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'kaimen_console') THEN
    GRANT INSERT, UPDATE ON outbox_holds TO kaimen_console;
  END IF;
END $$;
