-- What ingest needs at hand of devices, written with a turn that it is true for: a start takes it up and reads what came
-- since, instead of all events of 45 days. State, not events: of these only what a home's newest evidence rests on.
CREATE TABLE detector_snapshots (
  groups smallint NOT NULL,
  group_no smallint NOT NULL,
  block_no int NOT NULL,             -- devices by number, so many to a block
  batch bigint NOT NULL,             -- the turn: everything the group stored up to it is in it, nothing later
  written_at timestamptz NOT NULL,   -- community time
  floor_at timestamptz NOT NULL,     -- no opening before is in it
  layout smallint NOT NULL,
  checksum bytea NOT NULL,
  state bytea NOT NULL,
  PRIMARY KEY (groups, group_no, block_no)
);
ALTER TABLE detector_snapshots ALTER COLUMN state SET STORAGE EXTERNAL;

-- Raised whenever stored events lose something: a worker that remembers more writes no snapshot, and reads anew.
CREATE TABLE detector_recalls (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch bigint NOT NULL
);
INSERT INTO detector_recalls (epoch) VALUES (1);

-- The turn that wrote a stretch of heartbeats last; 0: before there were snapshots.
ALTER TABLE coverage_points ADD COLUMN batch bigint NOT NULL DEFAULT 0;

-- Deletes the snapshots that hold openings before an instant (NULL: all), and tells workers to forget what they know.
CREATE FUNCTION recall_detector_snapshots(p_before timestamptz) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  IF p_before IS NOT NULL AND NOT EXISTS (SELECT 1 FROM detector_snapshots WHERE floor_at < p_before) THEN
    RETURN;
  END IF;
  -- The row is locked first: nobody writes a snapshot until this is committed.
  UPDATE detector_recalls SET epoch = epoch + 1;
  DELETE FROM detector_snapshots WHERE p_before IS NULL OR floor_at < p_before;
  PERFORM pg_notify('kaimen_registry', '');
END $$;
REVOKE ALL ON FUNCTION recall_detector_snapshots(timestamptz) FROM PUBLIC;

-- As before, and what snapshots hold of it goes in the same transaction.
CREATE OR REPLACE FUNCTION forget_event_holders(p_from timestamptz, p_before timestamptz, p_held int[], p_dry boolean)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  gone bigint;
BEGIN
  IF p_dry THEN
    SELECT count(*) INTO gone FROM door_events
    WHERE occurred_at >= p_from AND occurred_at < p_before AND credential IS NOT NULL
      AND (household_no IS NULL OR NOT household_no = ANY (p_held));
    RETURN gone;
  END IF;
  PERFORM recall_detector_snapshots(p_before);
  UPDATE door_events SET credential = NULL
  WHERE occurred_at >= p_from AND occurred_at < p_before AND credential IS NOT NULL
    AND (household_no IS NULL OR NOT household_no = ANY (p_held));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;

CREATE OR REPLACE FUNCTION forget_events_of(p_household_no int, p_tokens text[], p_before timestamptz,
                                            OUT deleted bigint, OUT stripped bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  more bigint;
BEGIN
  PERFORM recall_detector_snapshots(NULL);
  DELETE FROM door_events WHERE household_no = p_household_no AND occurred_at < p_before;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  UPDATE door_events SET household_no = NULL, credential = NULL, method = NULL, direction = NULL
  WHERE household_no = p_household_no;
  GET DIAGNOSTICS stripped = ROW_COUNT;
  IF cardinality(p_tokens) > 0 THEN
    UPDATE door_events SET credential = NULL, direction = NULL WHERE credential = ANY (p_tokens);
    GET DIAGNOSTICS more = ROW_COUNT;
    stripped := stripped + more;
  END IF;
END $$;
