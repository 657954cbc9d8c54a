-- What ends with the last of those who lived in a home; who moves in begins with nothing of theirs.

-- name: left
-- of some homes those in which nobody lives any more but who comes by the same rows
SELECT h.id FROM households h WHERE h.id = ANY(%(ids)s::text[]) AND NOT EXISTS (
  SELECT 1 FROM persons p WHERE p.household_id = h.id AND p.relation = 'resident' AND p.id <> ALL(%(coming)s::text[]))
ORDER BY h.id

-- name: agreements
UPDATE consents SET withdrawn_at = greatest(%(now)s, given_at)
WHERE household_id = %(household_id)s AND withdrawn_at IS NULL AND purpose <> ALL(%(agreed)s::text[])
RETURNING purpose

-- name: tell_nobody
-- what is planned for her family and not sent goes to nobody; the desk's and helpers' messages go on
UPDATE outbox SET state = 'superseded'
WHERE state IN ('planned', 'uncertain')
  AND (case_id IN (SELECT id FROM cases WHERE household_id = %(household_id)s)
       OR path LIKE '/households/' || %(household_id)s || '%%' OR path LIKE '/family%%')
  AND (person IN (SELECT 'user:' || uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
                  WHERE uh.household_id = %(household_id)s AND u.role = 'family')
       OR person IN (SELECT 'person:' || c.person_id FROM household_contacts c
                     WHERE c.household_id = %(household_id)s AND c.role = 'family'))

-- name: sessions
SELECT end_sessions_of_home(%(household_id)s)

-- name: tokens
SELECT end_tokens_of_home(%(household_id)s)

-- name: codes
UPDATE resident_codes SET revoked_at = %(now)s WHERE household_id = %(household_id)s AND revoked_at IS NULL

-- name: notices
DELETE FROM home_notices WHERE household_id = %(household_id)s

-- name: expectations
DELETE FROM home_expectations WHERE household_id = %(household_id)s

-- name: late
DELETE FROM home_late WHERE household_id = %(household_id)s

-- name: voices
DELETE FROM home_voices WHERE household_id = %(household_id)s

-- name: ties
-- the landlord's stays: it is of the dwelling
DELETE FROM user_households uh USING users u
WHERE uh.household_id = %(household_id)s AND u.id = uh.user_id AND u.role IN ('family', 'resident') AND NOT uh.is_landlord

-- name: contacts
-- relatives; who helps in the house helps whoever lives there
DELETE FROM household_contacts
WHERE household_id = %(household_id)s AND role = 'family' AND person_id <> ALL(%(named)s::text[])

-- name: absences
-- one that has begun ends now, one to come is taken back: nobody who moves in is away by another's word
UPDATE absences SET to_at = CASE WHEN from_at < %(now)s THEN %(now)s ELSE to_at END,
                    revoked_at = CASE WHEN from_at < %(now)s THEN NULL ELSE %(now)s END
WHERE household_id = %(household_id)s AND revoked_at IS NULL AND to_at > %(now)s
  AND from_at <> ALL(%(away)s::timestamptz[])

-- name: presence
DELETE FROM household_presence WHERE household_id = %(household_id)s

-- name: early
DELETE FROM early_states WHERE household_id = %(household_id)s

-- name: watch
-- thresholds of her own were hers; the mandated ones are anybody's
UPDATE households SET policy_id = 'mandated' WHERE id = %(household_id)s AND policy_id <> 'mandated' AND NOT %(policy)s
