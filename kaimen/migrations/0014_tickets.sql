-- Look-ups of police: what was asked on which paper, who agreed, what was read, and what an auditor made of it.

-- Until which day somebody's training for look-ups counts (the community's date, included); none: never trained.
ALTER TABLE users ADD COLUMN trained_until date;

CREATE TABLE look_up_tickets (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL REFERENCES communities,
  asked_by bigint NOT NULL REFERENCES users,
  asked_at timestamptz NOT NULL,
  purpose text NOT NULL
    CHECK (purpose IN ('missing_person', 'life_risk', 'criminal_case', 'public_order', 'rescue')),
  document_number text NOT NULL CHECK (length(document_number) BETWEEN 4 AND 40),
  basis text NOT NULL CHECK (basis IN ('case_file', 'written_request', 'emergency', 'consent')),
  door text NOT NULL DEFAULT '',
  buildings text[] NOT NULL DEFAULT '{}',
  unit text NOT NULL DEFAULT '',
  subject text NOT NULL DEFAULT '',       -- the full name of the person whose credentials are asked for
  from_at timestamptz NOT NULL,
  to_at timestamptz NOT NULL,
  limits text[] NOT NULL DEFAULT '{}',    -- what of it goes beyond a second officer's word
  emergency boolean NOT NULL DEFAULT false,
  reason text NOT NULL DEFAULT '',        -- of an emergency, or of a delay asked for
  state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'granted', 'refused', 'withdrawn')),
  granted_wall timestamptz,               -- the machine's clock: a ticket is read by a person, who waits by it
  decided_by bigint REFERENCES users,
  decided_role text,
  decided_at timestamptz,
  decision_reason text NOT NULL DEFAULT '',
  review_due_at timestamptz,
  reviewed_by bigint REFERENCES users,
  reviewed_at timestamptz,
  review text CHECK (review IN ('justified', 'not_justified')),
  review_reason text NOT NULL DEFAULT '',
  delayed_until timestamptz,              -- the elder's page tells of it only from then on
  CHECK (from_at < to_at),
  CHECK (door <> '' OR cardinality(buildings) > 0 OR subject <> ''),
  CHECK (delayed_until <= asked_at + interval '12 months'),
  CHECK ((state = 'granted') = (granted_wall IS NOT NULL)),
  CHECK (decided_by <> asked_by AND reviewed_by <> asked_by),
  CHECK (state <> 'granted' OR emergency OR decided_by IS NOT NULL),
  -- Beyond the limits a supervisor decides, and says why; nobody else's word is stored as a grant.
  CHECK (state <> 'granted' OR emergency OR cardinality(limits) = 0
         OR (decided_role = 'police_supervisor' AND decision_reason <> '')),
  CHECK (NOT emergency OR (review_due_at IS NOT NULL AND reason <> '')),
  CHECK ((reviewed_at IS NULL) = (review IS NULL) AND (review IS NULL OR review_reason <> ''))
);
CREATE INDEX look_up_tickets_asked ON look_up_tickets (community_id, asked_at);
CREATE INDEX look_up_tickets_officer ON look_up_tickets (asked_by, asked_at);
CREATE INDEX look_up_tickets_waiting ON look_up_tickets (community_id) WHERE state = 'asked';
CREATE INDEX look_up_tickets_unreviewed ON look_up_tickets (community_id, review_due_at)
  WHERE review_due_at IS NOT NULL AND reviewed_at IS NULL;

-- What was asked stays what was asked; a decision and a review are written once; a delay only becomes shorter.
CREATE FUNCTION keep_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.id, NEW.community_id, NEW.asked_by, NEW.asked_at, NEW.purpose, NEW.document_number, NEW.basis, NEW.door,
      NEW.buildings, NEW.unit, NEW.subject, NEW.from_at, NEW.to_at, NEW.limits, NEW.emergency, NEW.reason,
      NEW.review_due_at)
     IS DISTINCT FROM
     (OLD.id, OLD.community_id, OLD.asked_by, OLD.asked_at, OLD.purpose, OLD.document_number, OLD.basis, OLD.door,
      OLD.buildings, OLD.unit, OLD.subject, OLD.from_at, OLD.to_at, OLD.limits, OLD.emergency, OLD.reason,
      OLD.review_due_at)
     OR (OLD.state <> 'asked' AND (NEW.state, NEW.granted_wall, NEW.decided_by, NEW.decided_at)
         IS DISTINCT FROM (OLD.state, OLD.granted_wall, OLD.decided_by, OLD.decided_at))
     OR (OLD.reviewed_at IS NOT NULL AND (NEW.reviewed_by, NEW.reviewed_at, NEW.review, NEW.review_reason)
         IS DISTINCT FROM (OLD.reviewed_by, OLD.reviewed_at, OLD.review, OLD.review_reason))
     OR (NEW.delayed_until IS NOT NULL
         AND (OLD.delayed_until IS NULL OR NEW.delayed_until > OLD.delayed_until))
  THEN
    RAISE EXCEPTION 'a ticket is not rewritten' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER look_up_tickets_are_kept BEFORE UPDATE ON look_up_tickets FOR EACH ROW EXECUTE FUNCTION keep_ticket();
CREATE TRIGGER look_up_tickets_stay BEFORE DELETE ON look_up_tickets FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER look_up_tickets_are_not_emptied BEFORE TRUNCATE ON look_up_tickets
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every try to read the log, written by the function that reads: no row without its line here. The audit chain takes
-- each line up by its id; a line the chain does not know was made past the console.
CREATE TABLE look_up_reads (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ticket_id bigint,
  reader_id bigint,
  at timestamptz NOT NULL,
  result text NOT NULL CHECK (result IN
    ('read', 'no_ticket', 'not_granted', 'not_the_asker', 'not_an_officer', 'not_trained', 'over')),
  row_count int NOT NULL,
  database_user text NOT NULL,
  xact xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX look_up_reads_ticket ON look_up_reads (ticket_id, id);
CREATE INDEX look_up_reads_xact ON look_up_reads (xact);
CREATE TRIGGER look_up_reads_are_append_only BEFORE UPDATE OR DELETE ON look_up_reads
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER look_up_reads_are_not_emptied BEFORE TRUNCATE ON look_up_reads
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What an auditor says of one look; the looks themselves are drawn by their hash, so that none can be taken out.
CREATE TABLE audit_marks (
  entry_id bigint PRIMARY KEY REFERENCES audit_entries,
  mark text NOT NULL CHECK (mark IN ('justified', 'not_justified')),
  reason text NOT NULL CHECK (reason <> ''),
  marked_by bigint NOT NULL REFERENCES users,
  marked_at timestamptz NOT NULL
);
CREATE TRIGGER audit_marks_are_append_only BEFORE UPDATE OR DELETE ON audit_marks
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE INDEX audit_entries_action ON audit_entries (action, id);
CREATE INDEX audit_entries_read ON audit_entries ((detail->>'read_id')) WHERE detail ? 'read_id';

-- Says what keeps this person from reading under this ticket now; 'read' where nothing does.
CREATE FUNCTION judge_look_up(ticket look_up_tickets, p_reader_id bigint, p_now timestamptz, p_wall timestamptz)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT CASE
    WHEN ticket.id IS NULL THEN 'no_ticket'
    WHEN ticket.asked_by IS DISTINCT FROM p_reader_id THEN 'not_the_asker'
    WHEN NOT EXISTS (SELECT 1 FROM users u WHERE u.id = p_reader_id AND u.disabled_at IS NULL
                     AND u.role = 'police_officer' AND u.community_id = ticket.community_id) THEN 'not_an_officer'
    WHEN ticket.state <> 'granted' THEN 'not_granted'
    WHEN NOT (p_wall < ticket.granted_wall + interval '24 hours') THEN 'over'
    WHEN NOT EXISTS (SELECT 1 FROM users u JOIN communities c ON c.id = u.community_id WHERE u.id = p_reader_id
                     AND u.trained_until >= (p_now AT TIME ZONE c.zone)::date) THEN 'not_trained'
    ELSE 'read' END
$$;

-- The door events a ticket opens, newest first, before or after a position, and a line in look_up_reads in the same
-- transaction; without a ticket that stands: the line, and no event. The calling service gives the clocks' readings.
CREATE FUNCTION look_up_events(
  p_ticket_id bigint, p_reader_id bigint, p_now timestamptz, p_wall timestamptz,
  p_older timestamptz, p_newer timestamptz, p_device_no int, p_boot bigint, p_seq bigint, p_limit int
) RETURNS TABLE (
  occurred_at timestamptz, received_at timestamptz, device_no int, boot bigint, seq bigint, type text, state text,
  direction text, method text, reason text, replayed boolean, clock_quality text, device_id text, place text,
  credential text, whose text, credential_person text, late boolean, household_id text, label text, building text,
  unit text, room text, has_case boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  ticket look_up_tickets;
  judged text;
  found int := 0;
BEGIN
  SELECT * INTO ticket FROM look_up_tickets t WHERE t.id = p_ticket_id;
  judged := judge_look_up(ticket, p_reader_id, p_now, p_wall);
  IF judged = 'read' THEN
    RETURN QUERY
    SELECT e.occurred_at, e.received_at, e.device_no, e.boot, e.seq, e.type, e.state, e.direction, e.method, e.reason,
           e.replayed, e.clock_quality, v.id, v.place, e.credential, c.class, c.person_id,
           e.received_at - e.occurred_at > interval '1 hour', h.id, h.label, h.building, h.unit, h.room, false
    FROM door_events e
    JOIN devices v ON v.no = e.device_no
    JOIN sites si ON si.id = v.site_id
    LEFT JOIN credentials c ON c.token = e.credential
    LEFT JOIN LATERAL (
      SELECT h.* FROM household_doors d JOIN households h ON h.id = d.household_id
      WHERE d.device_id = v.id AND d.role = 'dwelling'
        AND (d.from_at IS NULL OR d.from_at <= e.occurred_at) AND (d.to_at IS NULL OR e.occurred_at < d.to_at)
      ORDER BY h.id LIMIT 1
    ) h ON true
    WHERE si.community_id = ticket.community_id
      AND e.occurred_at >= ticket.from_at AND e.occurred_at < ticket.to_at
      AND (ticket.door = '' OR v.id = ticket.door)
      AND ((cardinality(ticket.buildings) = 0 AND ticket.unit = '') OR EXISTS (
            SELECT 1 FROM household_doors d2 JOIN households h2 ON h2.id = d2.household_id
            WHERE d2.device_id = v.id
              AND (cardinality(ticket.buildings) = 0 OR h2.building = ANY (ticket.buildings))
              AND (ticket.unit = '' OR h2.unit = ticket.unit)))
      AND (ticket.subject = '' OR c.person_id IN (
            SELECT i.person_id FROM person_identities i WHERE i.name = ticket.subject))
      AND (p_older IS NULL OR (e.occurred_at, e.device_no, e.boot, e.seq) < (p_older, p_device_no, p_boot, p_seq))
      AND (p_newer IS NULL OR (e.occurred_at, e.device_no, e.boot, e.seq) > (p_newer, p_device_no, p_boot, p_seq))
    ORDER BY CASE WHEN p_newer IS NOT NULL THEN e.occurred_at END,
             CASE WHEN p_newer IS NOT NULL THEN e.device_no END,
             CASE WHEN p_newer IS NOT NULL THEN e.boot END,
             CASE WHEN p_newer IS NOT NULL THEN e.seq END,
             e.occurred_at DESC, e.device_no DESC, e.boot DESC, e.seq DESC
    LIMIT p_limit;
    GET DIAGNOSTICS found = ROW_COUNT;
  END IF;
  INSERT INTO look_up_reads (ticket_id, reader_id, at, result, row_count, database_user)
  VALUES (p_ticket_id, p_reader_id, p_now, judged, found, session_user);
END $$;
REVOKE ALL ON FUNCTION judge_look_up(look_up_tickets, bigint, timestamptz, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION look_up_events(
  bigint, bigint, timestamptz, timestamptz, timestamptz, timestamptz, int, bigint, bigint, int
) FROM PUBLIC;
