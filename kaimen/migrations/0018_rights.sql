-- People's rights over what is stored of them: holds, deletions with their certificates, a ledger that a restored
-- backup catches up with, periods of keeping, and what is never shown of children and to landlords.

-- What has to be done again on a backup that is older than it; pseudonymous ids only, insert only. Written by the
-- database itself, so that nobody who withdraws or deletes can forget it.
CREATE TABLE rights_ledger (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN (
    'person_deleted', 'consent_given', 'consent_withdrawn', 'relative_blocked', 'relative_unblocked'
  )),
  person_id text,
  household_id text,
  purpose text,
  user_id bigint,
  at timestamptz NOT NULL,
  CHECK ((kind = 'person_deleted') = (person_id IS NOT NULL))
);
CREATE TRIGGER rights_ledger_is_append_only BEFORE UPDATE OR DELETE ON rights_ledger
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rights_ledger_is_not_emptied BEFORE TRUNCATE ON rights_ledger
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION note_rights() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_TABLE_NAME = 'consents' THEN
    IF TG_OP = 'INSERT' AND NEW.withdrawn_at IS NULL THEN
      INSERT INTO rights_ledger (kind, household_id, purpose, at)
      VALUES ('consent_given', NEW.household_id, NEW.purpose, NEW.given_at);
    ELSIF TG_OP = 'UPDATE' AND OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL THEN
      INSERT INTO rights_ledger (kind, household_id, purpose, at)
      VALUES ('consent_withdrawn', NEW.household_id, NEW.purpose, NEW.withdrawn_at);
    END IF;
  ELSIF OLD.blocked_at IS NULL AND NEW.blocked_at IS NOT NULL THEN
    INSERT INTO rights_ledger (kind, household_id, user_id, at)
    VALUES ('relative_blocked', NEW.household_id, NEW.user_id, NEW.blocked_at);
  ELSIF OLD.blocked_at IS NOT NULL AND NEW.blocked_at IS NULL THEN
    -- Given back at no earlier instant than it was taken: the order of the lines is what counts.
    INSERT INTO rights_ledger (kind, household_id, user_id, at)
    VALUES ('relative_unblocked', NEW.household_id, NEW.user_id, OLD.blocked_at);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER consents_in_ledger AFTER INSERT OR UPDATE ON consents FOR EACH ROW EXECUTE FUNCTION note_rights();
CREATE TRIGGER blocks_in_ledger AFTER UPDATE OF blocked_at ON user_households
  FOR EACH ROW EXECUTE FUNCTION note_rights();
-- What stood before there was a ledger is in it too.
INSERT INTO rights_ledger (kind, household_id, purpose, at)
SELECT 'consent_withdrawn', household_id, purpose, withdrawn_at FROM consents WHERE withdrawn_at IS NOT NULL
ORDER BY withdrawn_at, id;
INSERT INTO rights_ledger (kind, household_id, purpose, at)
SELECT 'consent_given', household_id, purpose, given_at FROM consents WHERE withdrawn_at IS NULL ORDER BY given_at, id;
INSERT INTO rights_ledger (kind, household_id, user_id, at)
SELECT 'relative_blocked', household_id, user_id, blocked_at FROM user_households WHERE blocked_at IS NOT NULL;

-- Nothing of this person's household is deleted while a hold stands: asked by one, confirmed by another within seven
-- days (until then it holds as well), ended early by two again.
CREATE TABLE legal_holds (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  person_id text NOT NULL,
  household_id text REFERENCES households,
  authority text NOT NULL CHECK (length(authority) BETWEEN 1 AND 80),   -- who ordered it
  document text NOT NULL CHECK (length(document) BETWEEN 4 AND 80),
  until_at timestamptz NOT NULL,
  asked_by text NOT NULL,
  asked_at timestamptz NOT NULL,
  confirmed_by text,
  confirmed_at timestamptz,
  end_asked_by text,
  end_asked_at timestamptz,
  ended_by text,
  ended_at timestamptz,
  CHECK (until_at > asked_at AND until_at <= asked_at + interval '10 years'),
  CHECK (confirmed_by <> asked_by AND ended_by <> end_asked_by),
  CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
  CHECK ((end_asked_by IS NULL) = (end_asked_at IS NULL)),
  CHECK ((ended_by IS NULL) = (ended_at IS NULL) AND (ended_at IS NULL OR end_asked_at IS NOT NULL))
);
CREATE INDEX legal_holds_person ON legal_holds (person_id) WHERE ended_at IS NULL;
CREATE FUNCTION standing_holds(p_now timestamptz) RETURNS SETOF legal_holds LANGUAGE sql STABLE AS $$
  SELECT * FROM legal_holds h WHERE h.ended_at IS NULL AND h.until_at > p_now
    AND (h.confirmed_at IS NOT NULL OR h.asked_at + interval '7 days' > p_now)
$$;

-- That a person was deleted, what of her is kept and why: the certificate holds no name. Insert only.
CREATE TABLE person_deletions (
  person_id text PRIMARY KEY,
  household_id text,
  whole_household boolean NOT NULL,     -- nobody is left there: what is stored of the home went as well
  deleted_at timestamptz NOT NULL,
  deleted_by text NOT NULL,
  asked_by text NOT NULL CHECK (asked_by IN ('self', 'heir', 'authority', 'restored')),
  certificate jsonb NOT NULL,
  audit_entry_id bigint NOT NULL
);
CREATE TRIGGER person_deletions_are_append_only BEFORE UPDATE OR DELETE ON person_deletions
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE FUNCTION note_deletion() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO rights_ledger (kind, person_id, household_id, at)
  VALUES ('person_deleted', NEW.person_id, NEW.household_id, NEW.deleted_at);
  RETURN NULL;
END $$;
CREATE TRIGGER deletions_in_ledger AFTER INSERT ON person_deletions FOR EACH ROW EXECUTE FUNCTION note_deletion();

-- Words somebody wrote that may tell of a deleted person: a person reads them and says what becomes of them.
CREATE TABLE note_reviews (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  person_id text NOT NULL,
  community_id text REFERENCES communities,
  in_table text NOT NULL,
  in_column text NOT NULL,
  row_key text NOT NULL,                -- of the row's first key column
  flagged_at timestamptz NOT NULL,
  reviewed_at timestamptz,
  reviewed_by text,
  result text CHECK (result IN ('erased', 'kept')),
  UNIQUE (person_id, in_table, in_column, row_key),
  CHECK ((reviewed_at IS NULL) = (result IS NULL))
);
CREATE INDEX note_reviews_open ON note_reviews (community_id) WHERE reviewed_at IS NULL;

-- How long each class of data is kept, in days, and the bounds within which an installation may choose.
CREATE TABLE retention_rules (
  class text PRIMARY KEY,
  keep_days int NOT NULL,
  least_days int NOT NULL,
  most_days int NOT NULL,
  changed_at timestamptz,
  changed_by text,
  CHECK (keep_days BETWEEN least_days AND most_days)
);
-- The detector reads 91 days back after a restart: nothing it reads is taken from under it.
INSERT INTO retention_rules (class, keep_days, least_days, most_days) VALUES
  ('event_holders', 92, 92, 366), ('door_events', 365, 120, 1095), ('quarantine', 90, 30, 366),
  ('messages', 365, 90, 1095), ('facts', 365, 120, 1095), ('happenings', 365, 120, 1095), ('checks', 365, 120, 1095),
  ('signals', 365, 120, 1095), ('cases', 730, 366, 1095), ('absences', 730, 366, 1095),
  ('words', 730, 366, 1095), ('consents', 1095, 1095, 3650), ('passes', 90, 30, 366), ('leases', 730, 366, 1095),
  ('desk_notes', 180, 30, 730), ('addresses', 180, 30, 366), ('reviews', 365, 90, 1095);
CREATE TABLE retention_runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL,
  ran_by text NOT NULL,
  dry boolean NOT NULL,
  report jsonb NOT NULL                 -- class: before, rows, kept for holds, or what failed
);
CREATE INDEX retention_runs_at ON retention_runs (at DESC);

-- Whether somebody may still be under 14 in that year: only years of birth are stored, so the whole year counts.
CREATE FUNCTION may_be_under_14(p_person_id text, p_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce((SELECT extract(year FROM p_at)::int - p.birth_year <= 14 FROM persons p WHERE p.id = p_person_id), false)
$$;

-- Who lets a dwelling is no relative of who lives in it: of that home he learns nothing, whatever he is tied as.
ALTER TABLE user_households ADD COLUMN is_landlord boolean NOT NULL
  GENERATED ALWAYS AS (lower(btrim(relation_words)) IN ('landlord', 'landlady', '房东', '出租人')) STORED;

-- Ways of children are in nobody's log outside their home, police look-ups included; and the name somebody was looked
-- up by may be given up for her pseudonym once she is deleted. Both are put into whatever form the functions have.
DO $$
DECLARE
  source text;
  patched text;
BEGIN
  SELECT pg_get_functiondef(p.oid) INTO STRICT source FROM pg_proc p WHERE p.proname = 'look_up_events';
  patched := replace(source, 'WHERE si.community_id = ticket.community_id',
    'WHERE NOT may_be_under_14(c.person_id, e.occurred_at) AND si.community_id = ticket.community_id');
  IF patched = source THEN
    RAISE EXCEPTION 'look_up_events has another form than this step knows';
  END IF;
  EXECUTE patched;
  SELECT pg_get_functiondef(p.oid) INTO STRICT source FROM pg_proc p WHERE p.proname = 'keep_ticket';
  patched := replace(source, 'NEW.subject,', 'CASE WHEN EXISTS (SELECT 1 FROM person_deletions d'
    ' WHERE NEW.subject = ''person:'' || d.person_id) THEN OLD.subject ELSE NEW.subject END,');
  IF patched = source THEN
    RAISE EXCEPTION 'keep_ticket has another form than this step knows';
  END IF;
  EXECUTE patched;
END $$;

-- Events of whole days before an instant, gone with their partitions or chunks; rows of homes under a hold stay.
-- Returns how many rows went, or would go.
CREATE FUNCTION forget_event_days(p_before timestamptz, p_held int[], p_dry boolean) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  before timestamptz := date_trunc('day', p_before AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
  part record;
  part_gone bigint;
  gone bigint := 0;
  left_over boolean;
BEGIN
  IF p_dry THEN
    SELECT count(*) INTO gone FROM door_events
    WHERE occurred_at < before AND (household_no IS NULL OR NOT household_no = ANY (p_held));
    RETURN gone;
  END IF;
  FOR part IN
    SELECT c.oid, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'door_events'::regclass AND c.relname ~ '^door_events_[0-9]{8}$'
      AND to_timestamp(right(c.relname, 8), 'YYYYMMDD') < before
    ORDER BY c.relname
  LOOP
    EXECUTE format('SELECT count(*) FILTER (WHERE household_no IS NULL OR NOT household_no = ANY ($1)),'
                   ' coalesce(bool_or(household_no = ANY ($1)), false) FROM %I', part.relname)
    INTO part_gone, left_over USING p_held;
    IF left_over THEN
      EXECUTE format('DELETE FROM %I WHERE household_no IS NULL OR NOT household_no = ANY ($1)', part.relname)
      USING p_held;
    ELSE
      EXECUTE format('DROP TABLE %I', part.relname);
    END IF;
    gone := gone + part_gone;
  END LOOP;
  IF cardinality(p_held) = 0 AND EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'drop_chunks') THEN
    SELECT count(*) INTO part_gone FROM door_events WHERE occurred_at < before;
    gone := gone + part_gone;
    PERFORM drop_chunks('door_events'::regclass, older_than => before);
    DELETE FROM door_events WHERE occurred_at < before;
  ELSE
    DELETE FROM door_events
    WHERE occurred_at < before AND (household_no IS NULL OR NOT household_no = ANY (p_held));
    GET DIAGNOSTICS part_gone = ROW_COUNT;
    gone := gone + part_gone;
  END IF;
  RETURN gone;
END $$;

-- Whose card it was is forgotten before the event is: between two instants, homes under a hold left out.
CREATE FUNCTION forget_event_holders(p_from timestamptz, p_before timestamptz, p_held int[], p_dry boolean)
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
  UPDATE door_events SET credential = NULL
  WHERE occurred_at >= p_from AND occurred_at < p_before AND credential IS NOT NULL
    AND (household_no IS NULL OR NOT household_no = ANY (p_held));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;

-- Of one home (NULL: of nobody's) and of some cards: rows before the instant are deleted, later ones lose whose they
-- are. Rows the detector still reads must stay where they are in a device's count, or the door would pass for unheard
-- and other homes behind it with it.
CREATE FUNCTION forget_events_of(p_household_no int, p_tokens text[], p_before timestamptz,
                                 OUT deleted bigint, OUT stripped bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  more bigint;
BEGIN
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

-- What is stored of one home's openings, for who lives there and takes it with her.
CREATE FUNCTION events_of(p_household_no int, p_tokens text[], p_limit int)
RETURNS TABLE (occurred_at timestamptz, device text, place text, type text, state text, method text, own_card boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT e.occurred_at, v.id, v.place, e.type, e.state, e.method, e.credential = ANY (p_tokens)
  FROM door_events e JOIN devices v ON v.no = e.device_no
  WHERE e.household_no = p_household_no OR (cardinality(p_tokens) > 0 AND e.credential = ANY (p_tokens))
  ORDER BY e.occurred_at LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION forget_event_days(timestamptz, int[], boolean),
  forget_event_holders(timestamptz, timestamptz, int[], boolean), forget_events_of(int, text[], timestamptz),
  events_of(int, text[], int) FROM PUBLIC;

-- Where some words stand, table by table: every column that can hold words, but of door events and of derived numbers.
CREATE FUNCTION find_words(p_words text[]) RETURNS TABLE (in_table text, in_column text, row_key text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  field record;
  words text[] := ARRAY(SELECT w FROM unnest(p_words) w WHERE length(w) >= 2);
BEGIN
  IF cardinality(words) = 0 THEN
    RETURN;
  END IF;
  FOR field IN
    SELECT c.relname, a.attname, t.typname,
           (SELECT k.attname FROM pg_attribute k WHERE k.attrelid = c.oid AND k.attnum > 0 AND NOT k.attisdropped
            ORDER BY k.attnum LIMIT 1) AS key
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
      AND t.typname IN ('text', 'varchar', 'jsonb', 'json', '_text', 'bytea')
      AND c.relname NOT IN ('door_events', 'coverage_points', 'boots', 'schema_migrations', 'registry_changes')
    ORDER BY c.relname, a.attname
  LOOP
    RETURN QUERY EXECUTE format(
      'SELECT %L::text, %L::text, %I::text FROM %I WHERE EXISTS (SELECT 1 FROM unnest($1) w WHERE %s)',
      field.relname, field.attname, field.key, field.relname,
      CASE WHEN field.typname = 'bytea' THEN format('position(convert_to(w, ''UTF8'') IN %I) > 0', field.attname)
           ELSE format('position(w IN %I::text) > 0', field.attname) END
    ) USING words;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION find_words(text[]) FROM PUBLIC;
