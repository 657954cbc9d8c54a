-- Buildings of a community: how many homes call for somebody, where they stand, and what each window shows.

-- name: buildings
-- one row per building with its homes by state and the devices nobody hears; away counts as normal everywhere
SELECT c.building AS name, c.grid, c.homes, c.watched, c.day3, c.day2, c.day1, c.unknown, c.silent_devices,
       b.x_m, b.y_m, b.width_m, b.depth_m, b.turn_deg
FROM building_counts(%(community_id)s) c
LEFT JOIN (
  SELECT p.name, max(p.x_m) AS x_m, max(p.y_m) AS y_m, max(p.width_m) AS width_m, max(p.depth_m) AS depth_m,
         max(p.turn_deg) AS turn_deg
  FROM buildings p JOIN sites si ON si.id = p.site_id WHERE si.community_id = %(community_id)s GROUP BY p.name
) b ON b.name = c.building
ORDER BY length(c.building), c.building

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
ORDER BY length(h.building), h.building, length(h.unit), h.unit, h.floor DESC, length(h.room), h.room

-- name: unit_gateways
-- the gateway of each stairwell, and whether it is heard
SELECT building, unit, gateway_id, known FROM stairwell_gateways(%(community_id)s, %(buildings)s)
