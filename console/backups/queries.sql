-- Statements of backups: what was taken back, and taking it back again after a restore.

-- name: taken_back
SELECT 'consent_withdrawn' AS kind, withdrawn_at AS at, household_id, purpose, NULL::bigint AS user_id,
  NULL::text AS token_hash
FROM consents WHERE withdrawn_at IS NOT NULL
UNION ALL
SELECT 'relative_blocked', blocked_at, household_id, NULL, user_id, NULL FROM user_households
WHERE blocked_at IS NOT NULL
UNION ALL
SELECT 'user_disabled', disabled_at, NULL, NULL, id, NULL FROM users WHERE disabled_at IS NOT NULL
UNION ALL
SELECT 'kiosk_revoked', revoked_at, NULL, NULL, NULL, encode(token_hash, 'hex') FROM kiosks WHERE revoked_at IS NOT NULL
UNION ALL
SELECT 'card_lost', lost_at, household_id, NULL, NULL, token FROM credentials WHERE lost_at IS NOT NULL
ORDER BY 2, 1

-- name: again_consent_withdrawn
-- A consent that was given anew after this one was withdrawn stays.
UPDATE consents SET withdrawn_at = %(at)s
WHERE household_id = %(household_id)s AND purpose = %(purpose)s AND withdrawn_at IS NULL AND given_at <= %(at)s
RETURNING id

-- name: again_relative_blocked
UPDATE user_households SET blocked_at = %(at)s
WHERE user_id = %(user_id)s AND household_id = %(household_id)s AND blocked_at IS NULL RETURNING user_id

-- name: again_user_disabled
UPDATE users SET disabled_at = %(at)s WHERE id = %(user_id)s AND disabled_at IS NULL RETURNING id

-- name: again_kiosk_revoked
UPDATE kiosks SET revoked_at = %(at)s WHERE token_hash = decode(%(token_hash)s, 'hex') AND revoked_at IS NULL RETURNING id

-- name: again_card_lost
UPDATE credentials SET lost_at = %(at)s, valid_to_before = valid_to, valid_to = least(valid_to, %(at)s)
WHERE token = %(token_hash)s AND lost_at IS NULL RETURNING token

-- name: free_leases
-- Who held them wrote to another database; a number of theirs must mean nothing here.
UPDATE ingest_leases SET worker = NULL, expires_at = NULL, token = token + 1000000

-- name: has_tables
SELECT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = pg_class.oid AND d.deptype = 'e')) AS found
