-- A look-up under a ticket first finds its doors and cards, and then goes back in time until its page is full. In one
-- question, planned for anything a ticket may ask, each event of the whole community was read for one person's: 1.5 s of
-- the processor for thirty days of 2,000 homes.
CREATE INDEX credentials_person ON credentials (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX person_identities_name ON person_identities (name);

-- As in 0014 and 0018. A door's events are looked through in spans that double; of a span all is ordered that fits the ticket.
CREATE OR REPLACE FUNCTION look_up_events(
  p_ticket_id bigint, p_reader_id bigint, p_now timestamptz, p_wall timestamptz,
  p_older timestamptz, p_newer timestamptz, p_device_no int, p_boot bigint, p_seq bigint, p_limit int
) RETURNS TABLE (
  occurred_at timestamptz, received_at timestamptz, device_no int, boot bigint, seq bigint, type text, state text,
  direction text, method text, reason text, replayed boolean, clock_quality text, device_id text, place text,
  credential text, whose text, credential_person text, late boolean, household_id text, label text, building text,
  unit text, room text, has_case boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
  ticket look_up_tickets;
  judged text;
  nos int[];
  tokens text[];
  page door_events[] := '{}';
  low timestamptz;
  high timestamptz;
  cut timestamptz;
  span interval := '6 hours';
  whole CONSTANT interval := '60 days';  -- beyond, the rest is looked through at once, whatever a ticket's ends are
  found int := 0;
BEGIN
  SELECT * INTO ticket FROM look_up_tickets t WHERE t.id = p_ticket_id;
  judged := judge_look_up(ticket, p_reader_id, p_now, p_wall);
  IF judged = 'read' THEN
    nos := ARRAY(
      SELECT v.no FROM devices v JOIN sites si ON si.id = v.site_id
      WHERE si.community_id = ticket.community_id AND (ticket.door = '' OR v.id = ticket.door)
        AND ((cardinality(ticket.buildings) = 0 AND ticket.unit = '') OR EXISTS (
              SELECT 1 FROM household_doors d2 JOIN households h2 ON h2.id = d2.household_id
              WHERE d2.device_id = v.id
                AND (cardinality(ticket.buildings) = 0 OR h2.building = ANY (ticket.buildings))
                AND (ticket.unit = '' OR h2.unit = ticket.unit))));
    IF ticket.subject <> '' THEN
      tokens := ARRAY(SELECT c.token FROM person_identities i JOIN credentials c ON c.person_id = i.person_id
                      WHERE i.name = ticket.subject);
    END IF;
    low := greatest(ticket.from_at, p_newer);
    high := least(ticket.to_at, p_older + interval '1 microsecond');
    WHILE low < high AND cardinality(page) < p_limit LOOP
      -- Ways of children are in nobody's log outside their home.
      IF p_newer IS NULL THEN
        cut := CASE WHEN span > whole THEN low ELSE greatest(low, high - span) END;
        page := page || ARRAY(
          SELECT e FROM door_events e LEFT JOIN credentials c ON c.token = e.credential
          WHERE e.device_no = ANY (nos) AND e.occurred_at >= cut AND e.occurred_at < high
            AND (tokens IS NULL OR e.credential = ANY (tokens))
            AND (p_older IS NULL OR (e.occurred_at, e.device_no, e.boot, e.seq) < (p_older, p_device_no, p_boot, p_seq))
            AND (c.person_id IS NULL OR NOT may_be_under_14(c.person_id, e.occurred_at))
          ORDER BY e.occurred_at DESC, e.device_no DESC, e.boot DESC, e.seq DESC
          LIMIT p_limit - cardinality(page));
        high := cut;
      ELSE
        cut := CASE WHEN span > whole THEN high ELSE least(high, low + span) END;
        page := page || ARRAY(
          SELECT e FROM door_events e LEFT JOIN credentials c ON c.token = e.credential
          WHERE e.device_no = ANY (nos) AND e.occurred_at >= low AND e.occurred_at < cut
            AND (tokens IS NULL OR e.credential = ANY (tokens))
            AND (p_older IS NULL OR (e.occurred_at, e.device_no, e.boot, e.seq) < (p_older, p_device_no, p_boot, p_seq))
            AND (e.occurred_at, e.device_no, e.boot, e.seq) > (p_newer, p_device_no, p_boot, p_seq)
            AND (c.person_id IS NULL OR NOT may_be_under_14(c.person_id, e.occurred_at))
          ORDER BY e.occurred_at, e.device_no, e.boot, e.seq
          LIMIT p_limit - cardinality(page));
        low := cut;
      END IF;
      span := span * 2;
    END LOOP;
    RETURN QUERY
    SELECT e.occurred_at, e.received_at, e.device_no, e.boot, e.seq, e.type, e.state, e.direction, e.method, e.reason,
           e.replayed, e.clock_quality, v.id, v.place, e.credential, c.class, c.person_id,
           e.received_at - e.occurred_at > interval '1 hour', h.id, h.label, h.building, h.unit, h.room, false
    FROM unnest(page) AS e
    JOIN devices v ON v.no = e.device_no
    LEFT JOIN credentials c ON c.token = e.credential
    LEFT JOIN LATERAL (
      SELECT h.* FROM household_doors d JOIN households h ON h.id = d.household_id
      WHERE d.device_id = v.id AND d.role = 'dwelling'
        AND (d.from_at IS NULL OR d.from_at <= e.occurred_at) AND (d.to_at IS NULL OR e.occurred_at < d.to_at)
      ORDER BY h.id LIMIT 1
    ) h ON true
    ORDER BY CASE WHEN p_newer IS NOT NULL THEN e.occurred_at END,
             CASE WHEN p_newer IS NOT NULL THEN e.device_no END,
             CASE WHEN p_newer IS NOT NULL THEN e.boot END,
             CASE WHEN p_newer IS NOT NULL THEN e.seq END,
             e.occurred_at DESC, e.device_no DESC, e.boot DESC, e.seq DESC;
    GET DIAGNOSTICS found = ROW_COUNT;
  END IF;
  INSERT INTO look_up_reads (ticket_id, reader_id, at, result, row_count, database_user)
  VALUES (p_ticket_id, p_reader_id, p_now, judged, found, session_user);
END $$;
