-- Who is told that somebody came home, or was not home by then. Every instant is a parameter.

-- name: waiting_homecomings
-- Homecomings nobody looked after yet, oldest first, locked.
SELECT id, household_id, at FROM homecomings WHERE handled_at IS NULL
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- name: homecoming_done
UPDATE homecomings SET handled_at = %(now)s WHERE id = %(id)s

-- name: wanting
-- Contacts who chose to be told of a household and still may be: its consent stands, and they still sign in.
-- Who was told that nobody is home is told of the first who comes, whatever else she chose.
SELECT n.user_id FROM home_notices n
JOIN users u ON u.id = n.user_id AND u.disabled_at IS NULL
JOIN user_households uh ON uh.user_id = n.user_id AND uh.household_id = n.household_id AND uh.blocked_at IS NULL AND NOT uh.is_landlord
WHERE n.household_id = %(household_id)s AND CASE WHEN %(late)s THEN n.not_home ELSE n.came_home OR n.not_home AND EXISTS (
    SELECT 1 FROM home_late l WHERE l.household_id = n.household_id
      AND l.by_at < %(at)s AND l.by_at >= %(at)s - interval '1 day'
      AND NOT EXISTS (SELECT 1 FROM homecomings h WHERE h.household_id = l.household_id AND h.at >= l.by_at AND h.at < %(at)s)
  ) END
  AND EXISTS (SELECT 1 FROM consents c WHERE c.household_id = n.household_id AND c.purpose = 'notify_family'
                AND c.withdrawn_at IS NULL)
ORDER BY n.user_id

-- name: insert_notice
-- A message that belongs to no case; its key makes it one.
INSERT INTO outbox (case_id, path, step, person, channel, repetition, idempotency_key, template, args, state,
  created_at, not_before, lane, address_id, language)
VALUES (NULL, '/family', %(step)s, %(person)s, %(channel)s, 0, %(key)s, 'coming_home', '{}', 'planned', %(now)s, %(now)s,
  1, %(address_id)s, %(language)s)
ON CONFLICT (idempotency_key) DO NOTHING

-- name: notice_addresses
-- The console, and the first address of hers on a channel that is open; none in the hours she wants quiet.
SELECT 'console' AS channel, NULL::bigint AS address_id, '' AS language
UNION ALL
SELECT * FROM (
  SELECT cc.channel, cc.id, cc.language FROM contact_channels cc
  WHERE cc.user_id = %(user_id)s AND cc.ended_at IS NULL AND cc.channel = ANY(%(channels)s)
    AND (cc.quiet_from IS NULL OR NOT CASE WHEN cc.quiet_from < cc.quiet_until
      THEN (%(now)s::timestamptz AT TIME ZONE cc.zone)::time >= cc.quiet_from
        AND (%(now)s::timestamptz AT TIME ZONE cc.zone)::time < cc.quiet_until
      ELSE (%(now)s::timestamptz AT TIME ZONE cc.zone)::time >= cc.quiet_from
        OR (%(now)s::timestamptz AT TIME ZONE cc.zone)::time < cc.quiet_until END)
  ORDER BY cc.position, cc.id LIMIT 1
) first

-- name: expectations
-- Households somebody is expected home in, with what is known of them now; only where somebody wants to be told.
SELECT e.household_id, e.by_time, e.weekdays, e.set_at, c.zone, p.state, p.ground->>'reason' AS reason,
  (SELECT max(h.at) FROM homecomings h WHERE h.household_id = e.household_id) AS home_at,
  (SELECT max(l.day) FROM home_late l WHERE l.household_id = e.household_id) AS told_day,
  (SELECT at FROM service_progress WHERE service = 'ingest') AS seen_until
FROM home_expectations e
JOIN households hh ON hh.id = e.household_id
JOIN sites s ON s.id = hh.site_id
JOIN communities c ON c.id = s.community_id
LEFT JOIN household_presence p ON p.household_id = e.household_id
WHERE EXISTS (SELECT 1 FROM home_notices n WHERE n.household_id = e.household_id AND n.not_home)
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = e.household_id AND k.purpose = 'notify_family'
                AND k.withdrawn_at IS NULL)

-- name: insert_late
INSERT INTO home_late (household_id, day, by_at, noticed_at, known, reason)
VALUES (%(household_id)s, %(day)s, %(by_at)s, %(now)s, %(known)s, %(reason)s)
ON CONFLICT (household_id, day) DO NOTHING
RETURNING id
