-- name: history
-- Every giving of every purpose, newest first.
SELECT purpose, given_by, given_at, withdrawn_at FROM consents WHERE household_id = %(household_id)s
ORDER BY purpose, (withdrawn_at IS NULL) DESC, given_at DESC, id DESC

-- name: give
-- A consent that stands from now on; watching begins now, not in the time before somebody agreed to it. Its begin is
-- evidence and so the end of an absence that lasts, which is written down: no page says "away" where the rule counts.
WITH given AS (
  INSERT INTO consents (household_id, purpose, given_by, given_at)
  VALUES (%(household_id)s, %(purpose)s, %(given_by)s, %(now)s)
  ON CONFLICT DO NOTHING RETURNING purpose
), begun AS (
  UPDATE households SET watched_from = %(now)s
  WHERE id = %(household_id)s AND EXISTS (SELECT 1 FROM given WHERE purpose = 'watch')
), back AS (
  UPDATE absences SET to_at = %(now)s
  WHERE household_id = %(household_id)s AND revoked_at IS NULL AND from_at < %(now)s AND to_at > %(now)s
    AND EXISTS (SELECT 1 FROM given WHERE purpose = 'watch')
  RETURNING id
)
SELECT purpose, EXISTS (SELECT 1 FROM back) AS ended_absence FROM given

-- name: withdraw
UPDATE consents SET withdrawn_at = greatest(%(now)s, given_at)
WHERE household_id = %(household_id)s AND purpose = %(purpose)s AND withdrawn_at IS NULL

-- name: early
-- One row where early watch is agreed to: whether the home has anything inside that could be heard, and what was found.
SELECT e.reason, e.last_heard_at, e.learned_days, e.as_of,
  EXISTS (SELECT 1 FROM devices v JOIN households h ON h.id = c.household_id
          WHERE v.retired_at IS NULL AND v.kind IN ('motion', 'water', 'other')
            AND (v.id IN (SELECT s.device_id FROM household_sensors s WHERE s.household_id = h.id)
                 OR (v.site_id = h.site_id AND v.place = h.label AND v.kind IN ('motion', 'water')))) AS has_sensors
FROM consents c LEFT JOIN early_states e ON e.household_id = c.household_id
WHERE c.household_id = %(household_id)s AND c.purpose = 'early_watch' AND c.withdrawn_at IS NULL

-- name: forget_presence
-- whether anybody is at home is nobody's business any more, unless her family is still to be told
DELETE FROM household_presence WHERE household_id = %(household_id)s
  AND NOT EXISTS (SELECT 1 FROM consents c WHERE c.household_id = %(household_id)s AND c.purpose = 'notify_family'
                  AND c.withdrawn_at IS NULL)

-- name: forget_early
DELETE FROM early_states WHERE household_id = %(household_id)s

-- name: untell_family
-- what is planned for her family and not sent goes to nobody; the desk's and helpers' messages go on
UPDATE outbox SET state = 'superseded'
WHERE state IN ('planned', 'uncertain')
  AND (case_id IN (SELECT id FROM cases WHERE household_id = %(household_id)s)
       OR path LIKE '/households/' || %(household_id)s || '%%' OR path LIKE '/family%%')
  AND (person IN (SELECT 'user:' || uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
                  WHERE uh.household_id = %(household_id)s AND u.role = 'family')
       OR person IN (SELECT 'person:' || c.person_id FROM household_contacts c
                     WHERE c.household_id = %(household_id)s AND c.role = 'family'))
