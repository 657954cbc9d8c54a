-- What one community's desk asks takes as long as that community is large, however many homes stand beside it.

CREATE INDEX devices_site ON devices (site_id);
CREATE INDEX tasks_household ON tasks (household_id);
-- How many were called for in the last hour stands on every page of a desk.
CREATE INDEX cases_called ON cases (community_id, stage_at) WHERE stage >= 2;

-- What they cost, in the planner's own unit: a plan that asks them of every device or person of a city, to throw nearly all
-- of them away, is never the better one. Without these words it took a desk's page for 200,000 devices 37 seconds.
ALTER FUNCTION is_linked_device(text) COST 10000;
ALTER FUNCTION is_linked_user(bigint) COST 10000;

-- As in 0041; consents and outages are looked up home by home, never joined with those of everybody.
CREATE OR REPLACE FUNCTION building_counts(p_community_id text)
RETURNS TABLE (building text, grid text, homes bigint, watched bigint, day3 bigint, day2 bigint, day1 bigint,
               unknown bigint, silent_devices bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF NOT is_place_seen(p_community_id) THEN
    RETURN;
  END IF;
  RETURN QUERY
  WITH asked AS (
    SELECT h.id, h.building, h.grid, s.household_id AS state_id, s.stage AS state_stage, s.absent_until, s.known, c.stage AS case_stage,
           EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch' AND k.withdrawn_at IS NULL) AS agreed
    FROM households h JOIN sites si ON si.id = h.site_id LEFT JOIN household_states s ON s.household_id = h.id
    LEFT JOIN cases c ON c.household_id = h.id AND c.cause = 'inactivity' AND c.state <> 'closed'
    WHERE si.community_id = p_community_id
  ), standing AS (
    SELECT id, building, grid, agreed AND state_id IS NOT NULL AS watched,
           CASE WHEN NOT agreed OR state_id IS NULL OR absent_until IS NOT NULL THEN 0
                ELSE least(greatest(state_stage, coalesce(case_stage, 0)), 3) END AS stage,
           agreed AND absent_until IS NULL AND known IS FALSE AS blind
    FROM asked
  ), silent AS (
    SELECT m.building, count(DISTINCT o.device_id) AS devices
    FROM standing m JOIN household_doors d ON d.household_id = m.id AND d.to_at IS NULL
    JOIN devices v ON v.id = d.device_id
    CROSS JOIN LATERAL (VALUES (v.id), (v.gateway_id)) AS heard (id)
    JOIN outages o ON o.device_id = heard.id
    WHERE NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id)
    GROUP BY m.building
  )
  SELECT m.building, coalesce(mode() WITHIN GROUP (ORDER BY m.grid), ''), count(*),
         count(*) FILTER (WHERE m.watched), count(*) FILTER (WHERE m.stage = 3), count(*) FILTER (WHERE m.stage = 2),
         count(*) FILTER (WHERE m.stage = 1), count(*) FILTER (WHERE m.stage = 0 AND m.blind),
         coalesce(max(z.devices), 0)
  FROM standing m LEFT JOIN silent z ON z.building = m.building
  GROUP BY m.building;
END $$;
