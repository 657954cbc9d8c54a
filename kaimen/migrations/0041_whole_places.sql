-- What pages ask about a whole place at once. The policies would ask of each row whose it is, thousands of times over for
-- the same answer: these ask once whether the place is the viewer's, and read nothing otherwise.

-- Whether a whole place lies in the open scope: then every home and device of it does.
CREATE FUNCTION is_place_seen(p_community_id text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT p_community_id = ANY (public.scope_list('places')) OR public.is_owner()
$$;

-- How many of its homes are watched.
CREATE FUNCTION count_watched(p_community_id text) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT is_place_seen(p_community_id) THEN
    RETURN 0;
  END IF;
  RETURN (
    SELECT count(*) FROM households h JOIN sites si ON si.id = h.site_id
    JOIN household_states s ON s.household_id = h.id
    WHERE si.community_id = p_community_id AND EXISTS (
      SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch' AND k.withdrawn_at IS NULL));
END $$;

-- Its watched homes with what decides where they stand on the morning list, of one grid or of all ('').
CREATE FUNCTION watched_homes(p_community_id text, p_grid text)
RETURNS TABLE (id text, grid text, stage smallint, known boolean, absent_until timestamptz, check_step smallint, evidence_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF NOT is_place_seen(p_community_id) THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT h.id, h.grid, s.stage, s.known, s.absent_until, s.check_step, s.evidence_at
  FROM households h JOIN sites si ON si.id = h.site_id JOIN household_states s ON s.household_id = h.id
  WHERE si.community_id = p_community_id AND (p_grid = '' OR h.grid = p_grid) AND EXISTS (
    SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch' AND k.withdrawn_at IS NULL);
END $$;

-- The gateway of each of its stairwells, and whether it is heard; of some buildings, or of all (NULL).
CREATE FUNCTION stairwell_gateways(p_community_id text, p_buildings text[])
RETURNS TABLE (building text, unit text, gateway_id text, known boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF NOT is_place_seen(p_community_id) THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT g.building, g.unit, g.gateway_id,
         NOT EXISTS (SELECT 1 FROM outages o WHERE o.device_id = g.gateway_id
                     AND NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id))
  FROM (SELECT DISTINCT ON (h.building, h.unit) h.building, h.unit, v.gateway_id
        FROM households h JOIN sites si ON si.id = h.site_id
        JOIN household_doors d ON d.household_id = h.id JOIN devices v ON v.id = d.device_id
        WHERE si.community_id = p_community_id AND v.gateway_id IS NOT NULL
          AND (p_buildings IS NULL OR h.building = ANY (p_buildings))
        ORDER BY h.building, h.unit, v.gateway_id) g;
END $$;

-- Its buildings: homes by state, and the devices nobody hears. Numbers alone; away counts as normal.
CREATE FUNCTION building_counts(p_community_id text)
RETURNS TABLE (building text, grid text, homes bigint, watched bigint, day3 bigint, day2 bigint, day1 bigint,
               unknown bigint, silent_devices bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF NOT is_place_seen(p_community_id) THEN
    RETURN;
  END IF;
  RETURN QUERY
  WITH standing AS (
    SELECT h.id, h.building, h.grid, k.household_id IS NOT NULL AND s.household_id IS NOT NULL AS watched,
           CASE WHEN k.household_id IS NULL OR s.household_id IS NULL OR s.absent_until IS NOT NULL THEN 0
                ELSE least(greatest(s.stage, coalesce(c.stage, 0)), 3) END AS stage,
           k.household_id IS NOT NULL AND s.absent_until IS NULL AND s.known IS FALSE AS blind
    FROM households h JOIN sites si ON si.id = h.site_id LEFT JOIN household_states s ON s.household_id = h.id
    LEFT JOIN cases c ON c.household_id = h.id AND c.cause = 'inactivity' AND c.state <> 'closed'
    LEFT JOIN (SELECT DISTINCT household_id FROM consents WHERE purpose = 'watch' AND withdrawn_at IS NULL) k
      ON k.household_id = h.id
    WHERE si.community_id = p_community_id
  ), silent AS (
    SELECT m.building, count(DISTINCT o.device_id) AS devices
    FROM outages o JOIN devices v ON v.id = o.device_id
    JOIN household_doors d ON d.device_id = o.device_id
      OR d.device_id IN (SELECT b.id FROM devices b WHERE b.gateway_id = o.device_id)
    JOIN standing m ON m.id = d.household_id
    WHERE NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id) AND d.to_at IS NULL
    GROUP BY m.building
  )
  SELECT m.building, coalesce(mode() WITHIN GROUP (ORDER BY m.grid), ''), count(*),
         count(*) FILTER (WHERE m.watched), count(*) FILTER (WHERE m.stage = 3), count(*) FILTER (WHERE m.stage = 2),
         count(*) FILTER (WHERE m.stage = 1), count(*) FILTER (WHERE m.stage = 0 AND m.blind),
         coalesce(max(z.devices), 0)
  FROM standing m LEFT JOIN silent z ON z.building = m.building
  GROUP BY m.building;
END $$;
