-- What changed of the registry is noted for whoever runs now; who starts reads everything. Old notes go at night, but for
-- the newest, by whose number a change is known. Owner's work, lent to the service that keeps house.
CREATE FUNCTION forget_registry_notes(p_before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  gone bigint;
BEGIN
  DELETE FROM registry_changes
  WHERE recorded_at < least(p_before, clock_timestamp() - interval '1 day') AND id < (SELECT max(id) FROM registry_changes);
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;

REVOKE ALL ON FUNCTION forget_registry_notes(timestamptz) FROM PUBLIC;
