-- Residents, their cards and passes, terminals and notes to the desk. No statement reads the database's clock.

-- name: home
-- where a household is, and whether it is watched
SELECT h.id, h.site_id, si.community_id,
       EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch'
               AND k.withdrawn_at IS NULL) AS watched
FROM households h JOIN sites si ON si.id = h.site_id WHERE h.id = %(household_id)s

-- name: absence_now
-- the absence that holds or comes next
SELECT id, from_at, to_at, reason, declared_by FROM absences
WHERE household_id = %(household_id)s AND revoked_at IS NULL AND to_at > %(now)s ORDER BY from_at LIMIT 1

-- name: help_worker
-- who has a call for help: whoever stands at the door before whoever holds it at the desk. She is shown no case, but this
SELECT CASE WHEN t.begun_at IS NULL THEN coalesce(u.display_name, a.display_name) ELSE coalesce(a.display_name, u.display_name) END AS name
FROM cases c
LEFT JOIN users u ON u.id = c.holder_id
LEFT JOIN LATERAL (
  SELECT x.assignee_id, x.begun_at FROM tasks x WHERE x.case_id = c.id AND x.state = 'claimed'
  ORDER BY x.begun_at NULLS LAST, x.id LIMIT 1
) t ON true
LEFT JOIN users a ON a.id = t.assignee_id
WHERE c.id = %(case_id)s

-- name: cards
-- what opens or opened doors for a household, newest first; passes that are long over are left out
SELECT token, class, valid_from, valid_to, lost_at, issued_at, person_id FROM credentials
WHERE household_id = %(household_id)s AND class IN ('resident', 'family', 'visitor')
  AND (class <> 'visitor' OR valid_to IS NULL OR valid_to > %(now)s)
ORDER BY class, issued_at DESC NULLS LAST, token LIMIT 200

-- name: card_lost
-- one of the household's cards counts no more; what it was valid until is kept
UPDATE credentials SET lost_at = %(now)s, valid_to_before = valid_to,
  valid_to = least(coalesce(valid_to, %(now)s), greatest(%(now)s, coalesce(valid_from + interval '1 second', %(now)s)))
WHERE household_id = %(household_id)s AND token = %(token)s AND class IN ('resident', 'family') AND lost_at IS NULL
RETURNING token

-- name: card_found
UPDATE credentials SET lost_at = NULL, valid_to = valid_to_before, valid_to_before = NULL
WHERE token = %(token)s AND lost_at IS NOT NULL

-- name: pass_count
-- how many passes a household has given out that still hold
SELECT count(*) AS count FROM credentials
WHERE household_id = %(household_id)s AND class = 'visitor' AND issued_at IS NOT NULL AND valid_to > %(now)s

-- name: pass_add
INSERT INTO credentials (token, class, household_id, valid_from, valid_to, issued_by, issued_at)
VALUES (%(token)s, 'visitor', %(household_id)s, %(now)s, %(to_at)s, %(user_id)s, %(now)s)
ON CONFLICT (token) DO NOTHING RETURNING token

-- name: pass_end
UPDATE credentials SET valid_to = greatest(%(now)s, valid_from)
WHERE household_id = %(household_id)s AND token = %(token)s AND class = 'visitor' AND issued_at IS NOT NULL
  AND valid_to > %(now)s
RETURNING token

-- name: code_end
UPDATE resident_codes SET revoked_at = %(now)s WHERE household_id = %(household_id)s AND revoked_at IS NULL

-- name: code_add
INSERT INTO resident_codes (household_id, code_hash, made_at) VALUES (%(household_id)s, %(code_hash)s, %(now)s)
ON CONFLICT DO NOTHING RETURNING id

-- name: code_stands
SELECT 1 FROM resident_codes WHERE household_id = %(household_id)s AND revoked_at IS NULL

-- name: relatives
-- who of her family signs in, and who of them is to see nothing
SELECT u.id, u.display_name, uh.relation_words, uh.blocked_at FROM user_households uh
JOIN users u ON u.id = uh.user_id AND u.role = 'family' AND u.disabled_at IS NULL
WHERE uh.household_id = %(household_id)s ORDER BY u.display_name, u.id

-- name: relative_block
UPDATE user_households SET blocked_at = %(now)s
WHERE household_id = %(household_id)s AND user_id = %(user_id)s AND blocked_at IS NULL
  AND EXISTS (SELECT 1 FROM users u WHERE u.id = %(user_id)s AND u.role = 'family')

-- name: relative_unblock
UPDATE user_households SET blocked_at = NULL
WHERE household_id = %(household_id)s AND user_id = %(user_id)s AND blocked_at IS NOT NULL

-- name: note_add
INSERT INTO desk_notes (community_id, kind, household_id, credential, kiosk_id, said, door, at)
VALUES (%(community_id)s, %(kind)s, %(household_id)s, %(credential)s, %(kiosk_id)s, %(said)s, %(door)s, %(at)s)
RETURNING id

-- name: note_standing
-- whether the same is asked for already
SELECT 1 FROM desk_notes WHERE community_id = %(community_id)s AND kind = %(kind)s AND done_at IS NULL
  AND household_id IS NOT DISTINCT FROM %(household_id)s AND said = %(said)s AND door = %(door)s
  AND credential IS NOT DISTINCT FROM %(credential)s

-- name: notes
-- open notes of a community, oldest first, then those done since
SELECT n.id, n.kind, n.at, n.door, n.said, n.credential, n.done_at, n.result, n.household_id, h.label, k.place
FROM desk_notes n LEFT JOIN households h ON h.id = n.household_id LEFT JOIN kiosks k ON k.id = n.kiosk_id
WHERE n.community_id = %(community_id)s AND (n.done_at IS NULL OR n.done_at > %(since)s)
ORDER BY n.done_at IS NOT NULL, CASE WHEN n.done_at IS NULL THEN n.at END, n.done_at DESC, n.id LIMIT 200

-- name: note_done
UPDATE desk_notes SET done_at = %(now)s, done_by = %(user_id)s, result = %(result)s
WHERE id = %(id)s AND community_id = %(community_id)s AND done_at IS NULL
  AND kind = %(kind)s
RETURNING household_id, credential

-- name: kiosk_find
SELECT k.id, k.community_id, k.place FROM kiosks k WHERE k.token_hash = %(token_hash)s AND k.revoked_at IS NULL

-- name: kiosk_lock
SELECT id FROM kiosks WHERE id = %(id)s FOR UPDATE

-- name: kiosk_seen
UPDATE kiosks SET seen_at = %(now)s WHERE id = %(id)s AND (seen_at IS NULL OR seen_at < %(before)s)

-- name: kiosk_presses
-- wrong codes lately, and everything pressed in the last hour
SELECT count(*) FILTER (WHERE NOT right_code AND at > %(wrong_since)s) AS wrong, count(*) AS all_presses
FROM kiosk_presses WHERE kiosk_id = %(id)s AND at > %(since)s

-- name: kiosk_press
INSERT INTO kiosk_presses (kiosk_id, at, right_code) VALUES (%(id)s, %(now)s, %(right_code)s)

-- name: kiosk_forget
DELETE FROM kiosk_presses WHERE at <= %(before)s

-- name: kiosk_home
-- the household whose code, or whose resident's card, this is, in the terminal's community
SELECT h.id AS household_id,
       EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch'
               AND k.withdrawn_at IS NULL) AS watched
FROM households h JOIN sites si ON si.id = h.site_id
WHERE si.community_id = %(community_id)s AND (
  h.id IN (SELECT household_id FROM resident_codes WHERE code_hash = %(code_hash)s AND revoked_at IS NULL)
  OR h.id IN (SELECT c.household_id FROM credentials c WHERE c.token = ANY(%(tokens)s) AND c.class = 'resident'
              AND c.lost_at IS NULL AND (c.valid_from IS NULL OR c.valid_from <= %(now)s)
              AND (c.valid_to IS NULL OR c.valid_to > %(now)s)))
ORDER BY h.id LIMIT 1

-- name: sites_of
SELECT id FROM sites WHERE community_id = %(community_id)s ORDER BY id

-- name: kiosks
SELECT k.id, k.place, k.made_at, k.seen_at, k.revoked_at, c.name AS community FROM kiosks k
JOIN communities c ON c.id = k.community_id
WHERE %(community_id)s::text IS NULL OR k.community_id = %(community_id)s
ORDER BY k.revoked_at IS NOT NULL, c.name, k.place, k.id LIMIT 500

-- name: kiosk_communities
SELECT id, name FROM communities WHERE %(community_id)s::text IS NULL OR id = %(community_id)s ORDER BY name, id

-- name: kiosk_add
INSERT INTO kiosks (community_id, place, token_hash, made_at, made_by)
VALUES (%(community_id)s, %(place)s, %(token_hash)s, %(now)s, %(user_id)s) RETURNING id

-- name: kiosk_revoke
UPDATE kiosks SET revoked_at = %(now)s WHERE id = %(id)s AND revoked_at IS NULL
  AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
RETURNING id

-- name: blocked_at
-- the last entry of the chain that a blocked relative's list may hold
SELECT (SELECT max(a.id) FROM audit_entries a WHERE a.at <= uh.blocked_at) AS last_id FROM user_households uh
WHERE uh.household_id = %(household_id)s AND uh.user_id = %(user_id)s
