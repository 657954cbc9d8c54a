-- Statements of the pages about doors and dwellings.

-- name: signals
-- facts of a community of some kinds since an instant, and those that stand
SELECT s.kind, s.device_id, s.at, s.evidence, e.ended_at, e.reason, d.place, h.id AS household_id, h.label,
       c.id AS case_id, c.number AS case_number, c.state AS case_state, u.display_name AS case_holder
FROM signals s
LEFT JOIN case_signals cs ON cs.signal_id = s.id
LEFT JOIN cases c ON c.id = cs.case_id AND c.community_id = s.community_id
LEFT JOIN users u ON u.id = c.holder_id
LEFT JOIN signal_ends e ON e.signal_id = s.id
LEFT JOIN devices d ON d.id = s.device_id
LEFT JOIN households h ON h.id = s.household_id
WHERE s.community_id = %(community_id)s AND s.kind = ANY(%(kinds)s::text[]) AND s.at <= %(now)s
  AND (s.at >= %(since)s OR (e.signal_id IS NULL AND s.kind = ANY(%(standing)s::text[])))
  AND e.reason IS DISTINCT FROM 'merged'
ORDER BY s.at DESC, s.id DESC LIMIT %(limit)s

-- name: denials
-- doors of a community that refused people in a span, most often first
SELECT * FROM read_denials(%(community_id)s, %(since)s, %(now)s, %(limit)s)

-- name: rental_counts
-- how many dwellings of a community are let, of those with a lease now and with one that ends soon, and how many empty
SELECT count(*) FILTER (WHERE h.tenure = 'rented') AS let,
  count(*) FILTER (WHERE h.tenure = 'rented' AND l.id IS NOT NULL) AS with_lease,
  count(*) FILTER (WHERE l.to_at <= %(soon)s) AS ending,
  count(*) FILTER (WHERE h.tenure = 'vacant') AS empty
FROM households h
JOIN sites s ON s.id = h.site_id
LEFT JOIN LATERAL (
  SELECT id, to_at FROM leases l WHERE l.household_id = h.id AND l.from_at <= %(now)s
    AND (l.to_at IS NULL OR l.to_at > %(now)s)
  ORDER BY l.to_at DESC NULLS FIRST LIMIT 1
) l ON true
WHERE s.community_id = %(community_id)s
  AND NOT EXISTS (SELECT 1 FROM persons p WHERE p.household_id = h.id AND p.category = 'community_correction')

-- name: rentals
-- dwellings to look after: those with a standing fact, then leases that end soon or are missing
WITH found AS (
  SELECT s.id AS signal_id, s.household_id, s.kind AS why, s.at AS since, s.evidence, 1 AS place FROM signals s
  WHERE s.community_id = %(community_id)s
    AND s.kind IN ('vacant_opened', 'lease_ended_credential', 'more_credentials')
    AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id)
  UNION ALL
  SELECT NULL, h.id, CASE WHEN l.id IS NULL THEN 'no_lease' ELSE 'ending' END, NULL, '{}', CASE WHEN l.id IS NULL THEN 3 ELSE 2 END
  FROM households h
  JOIN sites s ON s.id = h.site_id AND s.community_id = %(community_id)s
  LEFT JOIN LATERAL (
    SELECT id, to_at FROM leases l WHERE l.household_id = h.id AND l.from_at <= %(now)s
      AND (l.to_at IS NULL OR l.to_at > %(now)s)
    ORDER BY l.to_at DESC NULLS FIRST LIMIT 1
  ) l ON true
  WHERE h.tenure = 'rented' AND (l.id IS NULL OR l.to_at <= %(soon)s)
    -- The lease that ended is said once, with the cards that outlived it.
    AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.household_id = h.id AND s.kind = 'lease_ended_credential'
                      AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id))
)
SELECT f.household_id, f.why, f.since, f.evidence, h.label, l.to_at, l.occupants,
       c.id AS case_id, c.number AS case_number, c.state AS case_state, u.display_name AS case_holder
FROM found f
JOIN households h ON h.id = f.household_id
LEFT JOIN case_signals cs ON cs.signal_id = f.signal_id
LEFT JOIN cases c ON c.id = cs.case_id AND c.community_id = %(community_id)s
LEFT JOIN users u ON u.id = c.holder_id
LEFT JOIN LATERAL (
  SELECT to_at, occupants FROM leases l WHERE l.household_id = f.household_id AND l.from_at <= %(now)s
  ORDER BY l.to_at DESC NULLS FIRST LIMIT 1
) l ON true
WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.household_id = h.id AND p.category = 'community_correction')
ORDER BY f.place, f.since, l.to_at, h.label LIMIT %(limit)s

-- name: residents
-- the names of those who live in some dwellings
SELECT p.household_id, i.name FROM persons p JOIN person_identities i ON i.person_id = p.id
WHERE p.household_id = ANY(%(ids)s::text[]) AND p.relation = 'resident' ORDER BY p.household_id, p.id

-- name: presence
SELECT state, ground->>'reason' AS reason, since_at, as_of FROM household_presence WHERE household_id = %(household_id)s

-- name: presences
-- where somebody of each of some households is presumed to be, and by what
SELECT household_id, state, ground->>'reason' AS reason FROM household_presence
WHERE household_id = ANY(%(ids)s::text[])

-- name: home_news
-- when somebody of a household came home last, what was missed last, and what one relative chose
SELECT
  c.at AS came_home_at, c.ground->>'reason' AS came_home_by,
  l.by_at AS missed_at, l.known AS missed_known, l.reason AS missed_reason, n.came_home, n.not_home, e.by_time
FROM (SELECT 1) AS one
LEFT JOIN LATERAL (SELECT at, ground FROM homecomings WHERE household_id = %(household_id)s AND at <= %(now)s AND at >= %(since)s
                   ORDER BY at DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT by_at, known, reason FROM home_late WHERE household_id = %(household_id)s AND by_at >= %(since)s
                   ORDER BY day DESC LIMIT 1) l ON true
LEFT JOIN home_notices n ON n.household_id = %(household_id)s AND n.user_id = %(user_id)s
LEFT JOIN home_expectations e ON e.household_id = %(household_id)s

-- name: choose_notices
INSERT INTO home_notices (household_id, user_id, came_home, not_home, changed_at)
VALUES (%(household_id)s, %(user_id)s, %(came_home)s, %(not_home)s, %(now)s)
ON CONFLICT (household_id, user_id) DO UPDATE
SET came_home = excluded.came_home, not_home = excluded.not_home, changed_at = excluded.changed_at

-- name: expect_home
INSERT INTO home_expectations (household_id, by_time, weekdays, set_by, set_at)
VALUES (%(household_id)s, %(by_time)s, '{1,2,3,4,5,6,7}', %(set_by)s, %(now)s)
ON CONFLICT (household_id) DO UPDATE
SET by_time = excluded.by_time, weekdays = excluded.weekdays, set_by = excluded.set_by, set_at = excluded.set_at
WHERE home_expectations.by_time <> excluded.by_time

-- name: expect_nobody
-- nobody is expected any more, once no relative wants to be told
DELETE FROM home_expectations e WHERE household_id = %(household_id)s
  AND NOT EXISTS (SELECT 1 FROM home_notices n WHERE n.household_id = e.household_id AND n.not_home)

-- name: crossed_doors
-- Doors of one home that cards of another opened on two days or more since an instant, and no card of its own:
-- two doors that were taken for one another, as kaimen doctor finds them for all homes.
WITH own AS (
  SELECT w.device_id, v.no, max(w.from_at) AS from_at FROM household_doors w JOIN devices v ON v.id = w.device_id
  WHERE w.role = 'dwelling' AND w.to_at IS NULL
    AND w.device_id IN (SELECT m.device_id FROM household_doors m WHERE m.household_id = %(household_id)s AND m.to_at IS NULL)
  GROUP BY w.device_id, v.no HAVING count(*) = 1
), used AS (
  SELECT own.device_id, c.household_id AS by_household, count(DISTINCT e.occurred_at::date) AS days
  FROM read_device_events('history', 'household:' || %(household_id)s, %(now)s,
    coalesce((SELECT array_agg(own.no) FROM own), '{}'), %(since)s, %(now)s, %(now)s, 5000) e
  JOIN own ON own.no = e.device_no AND e.type IN ('AccessGranted', 'AccessTaken') AND e.occurred_at >= own.from_at
  JOIN credentials c ON c.token = e.credential AND c.class = 'resident'
  GROUP BY own.device_id, c.household_id
)
SELECT u.device_id, b.label AS by_label, u.days FROM used u
JOIN households h ON h.id = %(household_id)s
JOIN households b ON b.id = u.by_household AND b.site_id = h.site_id
WHERE u.by_household <> h.id AND u.days >= 2
  AND NOT EXISTS (SELECT 1 FROM used o WHERE o.device_id = u.device_id AND o.by_household = h.id)
ORDER BY u.device_id, u.by_household LIMIT 10
