-- Policies that cost less to begin with: a policy that asks another table is opened with that table's own policy, and so on,
-- in every statement and for every mention of the table, whether it is needed or not. What they ask is asked here at once.

-- Whether somebody works, lives or has a relative in the open scope: one of the rows of her posts, positions and homes
-- that the policies of those tables show (kaimen/rights.sql). Asked of those alone whom nothing simpler shows.
CREATE FUNCTION is_linked_user(p_user_id bigint) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  is_me boolean := p_user_id::text = scope_word('user');
  my_role text := scope_word('role');
  seen text[] := scope_list('seen');
  places text[] := scope_list('places');
  sites text[] := scope_list('sites');
  homes text[] := scope_list('homes');
BEGIN
  RETURN EXISTS (
      SELECT 1 FROM user_communities c WHERE c.user_id = p_user_id AND (is_me OR c.community_id = ANY (places)))
    OR EXISTS (
      SELECT 1 FROM user_positions p WHERE p.user_id = p_user_id AND (is_me OR scope_word('kind') = 'console'
        OR p.community_id = ANY (seen) AND my_role NOT IN ('family', 'resident')
        OR my_role = 'admin' AND governs(p.user_id)))
    OR EXISTS (
      SELECT 1 FROM user_households h JOIN households x ON x.id = h.household_id
      WHERE h.user_id = p_user_id
        AND (is_me OR my_role <> 'family' AND (x.site_id = ANY (sites) OR x.id = ANY (homes))));
END $$;

-- Whether a device is at the door or in the rooms of a home in the open scope.
CREATE FUNCTION is_linked_device(p_device_id text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  sites text[] := scope_list('sites');
  homes text[] := scope_list('homes');
BEGIN
  RETURN EXISTS (SELECT 1 FROM household_doors d JOIN households x ON x.id = d.household_id
                 WHERE d.device_id = p_device_id AND (x.site_id = ANY (sites) OR x.id = ANY (homes)))
      OR EXISTS (SELECT 1 FROM household_sensors d JOIN households x ON x.id = d.household_id
                 WHERE d.device_id = p_device_id AND (x.site_id = ANY (sites) OR x.id = ANY (homes)));
END $$;

-- One list or one word of the scope: bound to its functions when it is made, so that it can be put in place of its call.
CREATE OR REPLACE FUNCTION scope_list(part text) RETURNS text[] LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN coalesce((public.scope()->>part)::text[], '{}'::text[]);
CREATE OR REPLACE FUNCTION scope_word(part text) RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN coalesce(public.scope()->>part, ''::text);

-- Events come in about as they happened: blocks that hold none of an hour are told from those that do, for next to no room
-- and next to no work with each event.
CREATE INDEX door_events_time ON door_events USING brin (occurred_at) WITH (pages_per_range = 32, autosummarize = on);

-- A page of the access log: as in 0031, but its events are looked for in a quarter of an hour first, then in four times
-- that, and so on: a page is seldom more than the last minutes, and sorting a whole day's for it took a tenth of a second.
CREATE OR REPLACE FUNCTION read_log(
  p_community_id text, p_now timestamptz, p_from timestamptz, p_to timestamptz, p_door text, p_building text, p_unit text,
  p_household_id text, p_type text, p_method text, p_origin text, p_older timestamptz, p_newer timestamptz,
  p_device_no int, p_boot bigint, p_seq bigint, p_limit int
) RETURNS TABLE (
  occurred_at timestamptz, received_at timestamptz, device_no int, boot bigint, seq bigint, type text, state text,
  direction text, method text, reason text, replayed boolean, clock_quality text, device_id text, place text,
  credential text, whose text, credential_person text, late boolean, household_id text, label text, building text,
  unit text, room text, has_case boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  doors int[];
  page door_events[];
  span interval := '15 minutes';
  -- The end nearest to where the page begins, and the other end of what is looked through so far.
  near timestamptz := CASE WHEN p_newer IS NULL THEN least(p_to, p_older + interval '1 microsecond') ELSE greatest(p_from, p_newer) END;
  low timestamptz;
  high timestamptz;
BEGIN
  IF NOT note_event_read('access_log', 'community:' || p_community_id, p_now) OR NOT (is_owner() OR (
      scope_word('role') = 'property_clerk' AND p_community_id = ANY (scope_list('places')))) THEN
    RETURN;
  END IF;
  doors := ARRAY(
    SELECT v.no FROM devices v JOIN sites si ON si.id = v.site_id
    WHERE si.community_id = p_community_id AND (p_door = '' OR v.id = p_door)
      AND (p_building = '' AND p_unit = '' OR EXISTS (
        SELECT 1 FROM household_doors d2 JOIN households h2 ON h2.id = d2.household_id
        WHERE d2.device_id = v.id AND (p_building = '' OR h2.building = p_building)
          AND (p_unit = '' OR h2.unit = p_unit)))
      AND (p_household_id = '' OR EXISTS (SELECT 1 FROM household_doors d3 WHERE d3.device_id = v.id
           AND d3.household_id = p_household_id AND d3.role = 'dwelling')));
  LOOP
    -- Beyond two months all the rest is looked through at once, which has no end where none was asked for.
    low := CASE WHEN p_newer IS NOT NULL THEN near WHEN span > interval '60 days' THEN p_from ELSE greatest(p_from, near - span) END;
    high := CASE WHEN p_newer IS NULL THEN near WHEN span > interval '60 days' THEN p_to ELSE least(p_to, near + span) END;
    -- The page is cut before anything is looked up about a row. Ways of children are in nobody's log outside their home.
    IF p_newer IS NULL THEN
      page := ARRAY(
        SELECT ROW(w.*)::door_events FROM (SELECT e.* FROM door_events e JOIN unnest(doors) v (no) ON v.no = e.device_no
        LEFT JOIN credentials c ON c.token = e.credential
        WHERE e.occurred_at >= low AND e.occurred_at < high
          AND (p_type = '' OR e.type = p_type) AND (p_method = '' OR e.method = p_method)
          AND (p_origin = '' OR e.replayed = (p_origin = 'replayed'))
          AND (p_older IS NULL OR (e.occurred_at, e.device_no, e.boot, e.seq) < (p_older, p_device_no, p_boot, p_seq))
          AND (c.person_id IS NULL OR NOT may_be_under_14(c.person_id, e.occurred_at))
        ORDER BY e.occurred_at DESC, e.device_no DESC, e.boot DESC, e.seq DESC LIMIT p_limit) w);
    ELSE
      page := ARRAY(
        SELECT ROW(w.*)::door_events FROM (SELECT e.* FROM door_events e JOIN unnest(doors) v (no) ON v.no = e.device_no
        LEFT JOIN credentials c ON c.token = e.credential
        WHERE e.occurred_at >= low AND e.occurred_at < high
          AND (p_type = '' OR e.type = p_type) AND (p_method = '' OR e.method = p_method)
          AND (p_origin = '' OR e.replayed = (p_origin = 'replayed'))
          AND (e.occurred_at, e.device_no, e.boot, e.seq) > (p_newer, p_device_no, p_boot, p_seq)
          AND (c.person_id IS NULL OR NOT may_be_under_14(c.person_id, e.occurred_at))
        ORDER BY e.occurred_at, e.device_no, e.boot, e.seq LIMIT p_limit) w);
    END IF;
    EXIT WHEN cardinality(page) >= p_limit OR (p_newer IS NULL AND low <= p_from) OR (p_newer IS NOT NULL AND high >= p_to);
    span := span * 4;
  END LOOP;
  RETURN QUERY
  SELECT e.occurred_at, e.received_at, e.device_no, e.boot, e.seq, e.type, e.state, e.direction, e.method, e.reason,
         e.replayed, e.clock_quality, v.id AS device_id, v.place, e.credential, c.class AS whose,
         c.person_id AS credential_person,
         e.received_at - e.occurred_at > interval '1 hour' AS late,
         h.id AS household_id, h.label, h.building, h.unit, h.room,
         EXISTS (SELECT 1 FROM cases k WHERE k.household_id = h.id AND k.state <> 'closed') AS has_case
  FROM unnest(page) e
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
END $$;
