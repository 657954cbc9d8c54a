-- Who reads what changed of the registry since he looked last must miss nothing: numbers are given when a row is written,
-- and seen when it is committed, in another order. What was committed since a snapshot has a transaction that was not
-- over in it.
ALTER TABLE registry_changes ADD COLUMN kind text;       -- the table; NULL: from before
ALTER TABLE registry_changes ADD COLUMN transaction_no xid8;
ALTER TABLE registry_changes ALTER COLUMN transaction_no SET DEFAULT pg_current_xact_id();
CREATE INDEX registry_changes_transaction ON registry_changes (transaction_no) WHERE transaction_no IS NOT NULL;
CREATE INDEX credentials_household ON credentials (household_id);

-- As before; where a row went from one home or device to another, both are told of.
CREATE OR REPLACE FUNCTION note_registry_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO registry_changes (household_id, device_id, kind, recorded_at)
  SELECT household_id, device_id, TG_TABLE_NAME, clock_timestamp() FROM (
    SELECT DISTINCT
      CASE WHEN TG_TABLE_NAME = 'households' THEN changed->>'id' ELSE changed->>'household_id' END AS household_id,
      CASE WHEN TG_TABLE_NAME = 'devices' THEN changed->>'id' ELSE changed->>'device_id' END AS device_id
    FROM unnest(ARRAY[to_jsonb(OLD), to_jsonb(NEW)]) AS changed
    WHERE changed IS NOT NULL
  ) AS touched;
  PERFORM pg_notify('kaimen_registry', '');
  RETURN NULL;
END $$;

-- What nobody told of, because everything was read anew now and then.
CREATE TRIGGER persons_changed AFTER INSERT OR DELETE OR UPDATE OF household_id, relation, category ON persons
  FOR EACH ROW EXECUTE FUNCTION note_registry_change();
CREATE TRIGGER communities_changed AFTER UPDATE OF commissioning_s ON communities
  FOR EACH ROW EXECUTE FUNCTION note_registry_change();
CREATE TRIGGER sites_changed AFTER UPDATE OF community_id ON sites
  FOR EACH ROW EXECUTE FUNCTION note_registry_change();

-- Doors whose time is over change the registry by themselves.
CREATE INDEX household_doors_end ON household_doors (to_at) WHERE to_at IS NOT NULL;
