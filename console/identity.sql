-- Statements of sign-in: attempts, second factors, known devices, positions, tokens, requests. Times are wall time.

-- name: attempts_lock
-- Attempts on one name at one place wait for one another.
SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(name)s || '|' || %(place)s))

-- name: attempts
SELECT count(*) AS count, max(at) AS last_at FROM sign_in_failures
WHERE name = %(name)s AND address = %(place)s AND at > %(since)s

-- name: attempts_of_place
SELECT count(*) AS count, max(at) AS last_at FROM sign_in_failures WHERE address = %(place)s AND at > %(place_since)s

-- name: attempt_begin
INSERT INTO sign_in_failures (name, address, at) VALUES (%(name)s, %(place)s, %(now)s) RETURNING id

-- name: attempt_forget
DELETE FROM sign_in_failures WHERE id = %(id)s

-- name: attempts_forget
DELETE FROM sign_in_failures WHERE name = %(name)s AND address = %(place)s

-- name: attempts_forget_name
SELECT forget_failures_of(%(user_id)s)

-- name: user_signed_in
-- Notes a sign-in, since when the second factor is due, and how often the name failed since the last one.
UPDATE users SET
  failures_before = (SELECT count(*) FROM sign_in_failures f WHERE f.name = users.name AND f.at > coalesce(users.signed_in_at, '-infinity')),
  signed_in_at = %(now)s,
  factor_due_at = coalesce(factor_due_at, %(due_at)s)
WHERE id = %(user_id)s RETURNING failures_before

-- name: user_factor_due
UPDATE users SET factor_due_at = coalesce(factor_due_at, %(due_at)s) WHERE id = %(user_id)s

-- name: user_standing
SELECT * FROM sign_in_user(%(name)s)

-- name: user_standing_by_id
SELECT * FROM own_standing(%(user_id)s)

-- name: step_make
INSERT INTO sign_in_steps (token_hash, user_id, made_at, expires_at)
VALUES (%(token_hash)s, %(user_id)s, %(now)s, %(expires_at)s)

-- name: step_find
SELECT s.token_hash, u.id, u.name, u.display_name, u.role, u.community_id, u.language
FROM sign_in_steps s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = %(token_hash)s AND s.expires_at > %(now)s AND u.disabled_at IS NULL

-- name: step_end
DELETE FROM sign_in_steps WHERE token_hash = %(token_hash)s

-- name: steps_of_user_end
SELECT end_steps_of(%(user_id)s)

-- name: sent_readers
-- Whom what was typed may mean, with the address a code goes to; two are enough to know that it is not plain.
SELECT * FROM sent_code_readers(%(name)s, %(hashes)s, %(channels)s) LIMIT 2

-- name: sent_reader
SELECT * FROM sent_code_reader(%(user_id)s, %(address_id)s)

-- name: sent_lock
-- Those who ask for one person, or from one place, wait for one another.
SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(what)s))

-- name: sent_counts
-- How many asked at this place, how many were sent at all, and how many to this person or to the number she shares.
SELECT (SELECT count(*) FROM sign_in_codes WHERE place = %(place)s AND made_at > %(hour)s) AS of_place,
       (SELECT count(*) FROM sign_in_codes WHERE user_id IS NOT NULL AND made_at > %(hour)s) AS of_all,
       count(*) FILTER (WHERE c.made_at > %(hour)s) AS of_hour, count(*) AS of_day
FROM sign_in_codes c
WHERE c.made_at > %(day)s AND (c.user_id = %(user_id)s OR c.address_id IN (
  SELECT same.id FROM contact_channels same JOIN contact_channels own ON own.address_hash = same.address_hash
  WHERE own.id = %(address_id)s))

-- name: sent_standing
-- What this browser asked for a moment ago.
SELECT 1 FROM sign_in_codes
WHERE token_hash = %(token_hash)s AND asked_hash = %(asked_hash)s AND made_at > %(since)s AND tries < %(tries_max)s

-- name: sent_make
INSERT INTO sign_in_codes (token_hash, user_id, address_id, asked_hash, code_hash, place, made_at, expires_at)
VALUES (%(token_hash)s, %(user_id)s, %(address_id)s, %(asked_hash)s, %(code_hash)s, %(place)s, %(now)s, %(expires_at)s)

-- name: sent_find
SELECT user_id FROM sign_in_codes WHERE token_hash = %(token_hash)s AND expires_at > %(now)s AND tries < %(tries_max)s

-- name: sent_try
-- Counted before it is looked at, so that a hundred at the same instant are a hundred.
UPDATE sign_in_codes SET tries = tries + 1
WHERE token_hash = %(token_hash)s AND expires_at > %(now)s AND tries < %(tries_max)s
RETURNING user_id, address_id, code_hash, tries

-- name: sent_used
-- It stays, used up, until it counts no more towards how many were sent.
UPDATE sign_in_codes SET tries = %(tries_max)s, expires_at = %(now)s WHERE token_hash = %(token_hash)s

-- name: sent_read
-- The code is used up: what was sent keeps it no longer.
UPDATE outbox SET args = args - 'number'
WHERE address_id = %(address_id)s AND step = 'proof' AND args->>'number' = %(code)s AND state NOT IN ('planned', 'leased')

-- name: sent_proves
-- Whoever brought the code reads what is sent there.
UPDATE contact_channels SET confirmed_at = %(now)s WHERE id = %(address_id)s AND confirmed_at IS NULL AND ended_at IS NULL

-- name: device_known
SELECT 1 FROM known_devices d JOIN users u ON u.id = d.user_id
WHERE d.token_hash = %(token_hash)s AND u.name = %(name)s AND d.seen_at > %(since)s

-- name: device_seen
INSERT INTO known_devices (token_hash, user_id, made_at, seen_at) VALUES (%(token_hash)s, %(user_id)s, %(now)s, %(now)s)
ON CONFLICT (token_hash) DO UPDATE SET user_id = excluded.user_id, seen_at = excluded.seen_at

-- name: devices_trim
-- Only the newest few of a person are kept.
DELETE FROM known_devices WHERE user_id = %(user_id)s AND token_hash NOT IN (
  SELECT token_hash FROM known_devices WHERE user_id = %(user_id)s ORDER BY seen_at DESC LIMIT %(limit)s)

-- name: devices_of_user_end
SELECT end_devices_of(%(user_id)s)

-- name: factor_make
-- A secret that is not confirmed yet gives way to a new one; a confirmed one never does.
INSERT INTO second_factors (user_id, secret_sealed, made_at) VALUES (%(user_id)s, %(secret)s, %(now)s)
ON CONFLICT (user_id) DO UPDATE SET secret_sealed = excluded.secret_sealed, made_at = excluded.made_at
WHERE second_factors.confirmed_at IS NULL

-- name: factor
SELECT secret_sealed, made_at, confirmed_at, step_used,
       (SELECT count(*) FROM recovery_codes c WHERE c.user_id = f.user_id AND c.used_at IS NULL) AS codes_left
FROM second_factors f WHERE user_id = %(user_id)s

-- name: factor_confirm
UPDATE second_factors SET confirmed_at = %(now)s, step_used = %(step)s
WHERE user_id = %(user_id)s AND confirmed_at IS NULL

-- name: factor_used
-- A code counts once, also where two requests bring it at the same instant.
UPDATE second_factors SET step_used = %(step)s
WHERE user_id = %(user_id)s AND confirmed_at IS NOT NULL AND step_used < %(step)s

-- name: factor_end
DELETE FROM second_factors WHERE user_id = %(user_id)s

-- name: recovery_end
DELETE FROM recovery_codes WHERE user_id = %(user_id)s

-- name: recovery_add
INSERT INTO recovery_codes (user_id, code_hash, made_at) VALUES (%(user_id)s, %(code_hash)s, %(now)s)

-- name: recovery_use
UPDATE recovery_codes SET used_at = %(now)s
WHERE user_id = %(user_id)s AND code_hash = %(code_hash)s AND used_at IS NULL

-- name: factor_due_now
UPDATE users SET factor_due_at = %(now)s WHERE id = %(user_id)s

-- name: password_change
UPDATE users SET password_hash = %(password_hash)s, password_due = %(due)s WHERE id = %(user_id)s

-- name: password_due
UPDATE users SET password_due = true WHERE id = %(user_id)s

-- name: sessions_end_others
SELECT end_other_sessions(%(user_id)s, %(token_hash)s)

-- name: session_short
SELECT position_session(%(token_hash)s, %(position_id)s, %(community_id)s, %(expires_at)s)

-- name: positions
-- Every position of a person beside the first, with the place's name.
SELECT p.id, p.role, p.community_id, c.name AS community_name, p.given_by, p.given_at
FROM user_positions p LEFT JOIN communities c ON c.id = p.community_id WHERE p.user_id = %(user_id)s ORDER BY p.id

-- name: token_make
SELECT make_api_token(%(token_hash)s, %(user_id)s, %(name)s, %(now)s, %(expires_at)s, %(scopes)s)

-- name: token_find
SELECT * FROM find_api_token(%(token_hash)s, %(now)s)

-- name: token_seen
SELECT touch_api_token(%(token_id)s, %(now)s)

-- name: tokens
SELECT * FROM api_tokens_of(%(user_id)s, %(now)s)

-- name: token_revoke
SELECT revoke_api_tokens(%(user_id)s, %(token_id)s, %(now)s)

-- name: tokens_of_user_revoke
SELECT revoke_api_tokens(%(user_id)s, NULL, %(now)s)

-- name: people
-- People who sign in, of one community or of all, by what is typed and by role.
SELECT u.id, u.name, u.display_name, u.role, u.community_id, c.name AS community_name, u.created_at, u.disabled_at,
       u.signed_in_at AS seen_at,
       EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_factor
FROM users u LEFT JOIN communities c ON c.id = u.community_id
WHERE (%(community_id)s::text IS NULL OR u.community_id = %(community_id)s)
  AND (%(role)s::text = '' OR u.role = %(role)s)
  AND (%(text)s::text = '' OR position(lower(%(text)s) IN lower(u.name)) > 0 OR position(%(text)s IN u.display_name) > 0)
  AND u.name > %(after)s
ORDER BY u.name LIMIT %(limit)s

-- name: person
SELECT u.id, u.name, u.display_name, u.role, u.community_id, c.name AS community_name, u.created_at, u.disabled_at,
       u.signed_in_at AS seen_at, u.trained_until, u.password_due,
       (SELECT confirmed_at FROM second_factors f WHERE f.user_id = u.id) AS factor_at,
       session_count(u.id, %(now)s) AS sessions
FROM users u LEFT JOIN communities c ON c.id = u.community_id
WHERE u.name = %(name)s AND (%(community_id)s::text IS NULL OR u.community_id = %(community_id)s)

-- name: person_lock
SELECT id FROM users WHERE id = %(user_id)s FOR UPDATE

-- name: person_role
SELECT change_role(%(user_id)s, %(role)s, %(community_id)s)

-- name: person_places_end
DELETE FROM user_communities WHERE user_id = %(user_id)s

-- name: person_trained
SELECT note_training(%(user_id)s, %(until)s)

-- name: person_enable
SELECT enable_user(%(user_id)s)

-- name: person_disable
SELECT disable_user(%(user_id)s, %(now)s)

-- name: other_places
SELECT c.id, c.name FROM user_communities m JOIN communities c ON c.id = m.community_id
WHERE m.user_id = %(user_id)s ORDER BY c.name, c.id

-- name: places_to_give
SELECT id, name FROM communities WHERE %(community_id)s::text IS NULL OR id = %(community_id)s ORDER BY name, id

-- name: position_add
INSERT INTO user_positions (user_id, role, community_id, given_by, given_at)
VALUES (%(user_id)s, %(role)s, %(community_id)s, %(by)s, %(now)s) ON CONFLICT DO NOTHING

-- name: position_end
DELETE FROM user_positions WHERE id = %(position_id)s AND user_id = %(user_id)s

-- name: positions_of_user_end
DELETE FROM user_positions WHERE user_id = %(user_id)s

-- name: sessions_of_position_end
-- Whoever works in it just now is out; her other sessions stand.
SELECT end_sessions_of_position(%(user_id)s, %(position_id)s)

-- name: request_add
INSERT INTO people_requests (kind, user_id, role, community_id, issuer, subject, asked_by, asked_at, expires_at)
VALUES (%(kind)s, %(user_id)s, %(role)s, %(community_id)s, %(issuer)s, %(subject)s, %(asked_by)s, %(now)s, %(expires_at)s)
RETURNING id

-- name: requests_open
-- What waits for a second administrator; of one community or of all.
SELECT r.id, r.kind, r.role, r.asked_at, r.expires_at, r.asked_by, r.user_id, r.subject, u.name, u.display_name,
       a.display_name AS asker, c.name AS community_name
FROM people_requests r JOIN users u ON u.id = r.user_id JOIN users a ON a.id = r.asked_by
LEFT JOIN communities c ON c.id = r.community_id
WHERE r.state = 'asked' AND r.expires_at > %(now)s
  AND (%(community_id)s::text IS NULL OR (u.community_id = %(community_id)s AND coalesce(r.community_id, u.community_id) = %(community_id)s))
ORDER BY r.asked_at LIMIT 200

-- name: request_lock
SELECT r.id, r.kind, r.role, r.community_id, r.issuer, r.subject, r.asked_by, r.user_id, u.name, u.role AS present_role
FROM people_requests r JOIN users u ON u.id = r.user_id
WHERE r.id = %(id)s AND r.state = 'asked' AND r.expires_at > %(now)s
  AND (%(community_id)s::text IS NULL OR (u.community_id = %(community_id)s AND coalesce(r.community_id, u.community_id) = %(community_id)s))
FOR UPDATE OF r

-- name: request_decide
UPDATE people_requests SET state = %(state)s, decided_by = %(decided_by)s, decided_at = %(now)s WHERE id = %(id)s

-- name: requests_of_user_end
UPDATE people_requests SET state = 'refused', decided_at = %(now)s WHERE user_id = %(user_id)s AND state = 'asked'

-- name: outer_tie
INSERT INTO outer_identities (issuer, subject, user_id, made_by, made_at)
VALUES (%(issuer)s, %(subject)s, %(user_id)s, %(by)s, %(now)s) ON CONFLICT DO NOTHING

-- name: outer_of
SELECT issuer, subject, made_at FROM outer_identities WHERE user_id = %(user_id)s ORDER BY made_at

-- name: outer_end
DELETE FROM outer_identities WHERE user_id = %(user_id)s AND subject = %(subject)s

-- name: outer_of_user_end
DELETE FROM outer_identities WHERE user_id = %(user_id)s

-- name: outer_find
SELECT u.id, u.name, u.display_name, u.role, u.community_id, u.language,
       EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_factor
FROM outer_identities o JOIN users u ON u.id = o.user_id
WHERE o.issuer = %(issuer)s AND o.subject = %(subject)s AND u.disabled_at IS NULL

-- name: session_outside
SELECT note_factor_outside(%(token_hash)s)

-- name: shell_positions
-- A person's positions, the first without a number.
SELECT NULL::bigint AS id, u.role, u.community_id, c.name AS community_name
FROM users u LEFT JOIN communities c ON c.id = u.community_id WHERE u.id = %(user_id)s
UNION ALL (SELECT p.id, p.role, p.community_id, c.name FROM user_positions p LEFT JOIN communities c ON c.id = p.community_id
           WHERE p.user_id = %(user_id)s ORDER BY p.id)
