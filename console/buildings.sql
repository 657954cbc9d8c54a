-- Buildings of a community: how many homes call for somebody, where they stand, and what each window shows.

-- name: buildings
-- one row per building with its homes by state and the devices nobody hears; away counts as normal everywhere
WITH homes AS (
  SELECT h.id, h.site_id, h.building, h.grid, k.household_id IS NOT NULL AND s.household_id IS NOT NULL AS watched,
         CASE WHEN k.household_id IS NULL OR s.household_id IS NULL OR s.absent_until IS NOT NULL THEN 0
              ELSE least(greatest(s.stage, coalesce(c.stage, 0)), 3) END AS stage,
         k.household_id IS NOT NULL AND s.absent_until IS NULL AND s.known IS FALSE AS blind
  FROM households h JOIN sites si ON si.id = h.site_id LEFT JOIN household_states s ON s.household_id = h.id
  LEFT JOIN cases c ON c.household_id = h.id AND c.cause = 'inactivity' AND c.state <> 'closed'
  LEFT JOIN (SELECT DISTINCT household_id FROM consents WHERE purpose = 'watch' AND withdrawn_at IS NULL) k
    ON k.household_id = h.id
  WHERE si.community_id = %(community_id)s
), silent AS (
  SELECT h.building, count(DISTINCT o.device_id) AS devices
  FROM outages o JOIN devices v ON v.id = o.device_id
  JOIN household_doors d ON d.device_id = o.device_id
    OR d.device_id IN (SELECT b.id FROM devices b WHERE b.gateway_id = o.device_id)
  JOIN homes h ON h.id = d.household_id
  WHERE NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id) AND d.to_at IS NULL
  GROUP BY h.building
)
SELECT m.building AS name, coalesce(mode() WITHIN GROUP (ORDER BY m.grid), '') AS grid, count(*) AS homes,
       count(*) FILTER (WHERE m.watched) AS watched,
       count(*) FILTER (WHERE m.stage = 3) AS day3, count(*) FILTER (WHERE m.stage = 2) AS day2,
       count(*) FILTER (WHERE m.stage = 1) AS day1, count(*) FILTER (WHERE m.stage = 0 AND m.blind) AS unknown,
       coalesce(max(z.devices), 0) AS silent_devices,
       max(b.x_m) AS x_m, max(b.y_m) AS y_m, max(b.width_m) AS width_m, max(b.depth_m) AS depth_m,
       max(b.turn_deg) AS turn_deg
FROM homes m LEFT JOIN silent z ON z.building = m.building
LEFT JOIN buildings b ON b.site_id = m.site_id AND b.name = m.building
GROUP BY m.building ORDER BY length(m.building), m.building

-- name: street
-- every home of some buildings, or of all, with what its window shows
SELECT h.id, h.label, h.building, h.unit, h.floor, h.room, greatest(s.stage, c.stage) AS stage, s.known,
       s.absent_until, s.door_open_since,
       EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch'
               AND k.withdrawn_at IS NULL) AS watched
FROM households h JOIN sites si ON si.id = h.site_id LEFT JOIN household_states s ON s.household_id = h.id
LEFT JOIN cases c ON c.household_id = h.id AND c.cause = 'inactivity' AND c.state <> 'closed'
WHERE si.community_id = %(community_id)s
  AND (%(buildings)s::text[] IS NULL OR h.building = ANY(%(buildings)s))
ORDER BY h.building, h.unit, h.floor DESC, h.room

-- name: unit_gateways
-- the gateway of each stairwell, and whether it is heard
SELECT g.building, g.unit, g.gateway_id,
       NOT EXISTS (SELECT 1 FROM outages o WHERE o.device_id = g.gateway_id
                   AND NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id)) AS known
FROM (SELECT DISTINCT ON (h.building, h.unit) h.building, h.unit, v.gateway_id
      FROM households h JOIN sites si ON si.id = h.site_id
      JOIN household_doors d ON d.household_id = h.id JOIN devices v ON v.id = d.device_id
      WHERE si.community_id = %(community_id)s AND v.gateway_id IS NOT NULL
        AND (%(buildings)s::text[] IS NULL OR h.building = ANY(%(buildings)s))
      ORDER BY h.building, h.unit, v.gateway_id) g
