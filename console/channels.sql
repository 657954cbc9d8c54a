-- Statements of the pages about people's addresses and of what providers call back.

-- name: addresses_of
SELECT id, channel, address, position, language, zone, quiet_from, quiet_until, digest, added_at, added_by,
  confirmed_at
FROM contact_channels WHERE recipient = %(recipient)s AND ended_at IS NULL
ORDER BY position, id

-- name: address_by_id
SELECT id, channel, address, recipient, person_id, user_id, confirmed_at FROM contact_channels
WHERE id = %(id)s AND recipient = %(recipient)s AND ended_at IS NULL

-- name: add_address
-- A new address at the end of the owner's; the same one again is the one there is.
INSERT INTO contact_channels (person_id, user_id, community_id, channel, address, address_hash, position, language, zone,
  quiet_from, quiet_until, digest, added_at, added_by, confirmed_at)
VALUES (%(person_id)s, %(user_id)s, %(community_id)s, %(channel)s, %(address)s, %(address_hash)s,
  coalesce(%(position)s, (SELECT coalesce(max(position), 0) + 1 FROM contact_channels
    WHERE recipient = %(recipient)s AND ended_at IS NULL)),
  %(language)s, %(zone)s, %(quiet_from)s, %(quiet_until)s, %(digest)s, %(now)s, %(added_by)s, %(confirmed_at)s)
ON CONFLICT (recipient, channel, address_hash) WHERE ended_at IS NULL
DO UPDATE SET confirmed_at = coalesce(contact_channels.confirmed_at, excluded.confirmed_at)
RETURNING id, (xmax = 0) AS is_new

-- name: count_addresses
SELECT count(*) AS count FROM contact_channels WHERE recipient = %(recipient)s AND ended_at IS NULL

-- name: end_address
-- That there was an address stays; the address itself does not.
UPDATE contact_channels SET ended_at = %(now)s, ended_by = %(by)s, address = '\x00', address_hash = '\x'
WHERE id = %(id)s AND recipient = %(recipient)s AND ended_at IS NULL RETURNING id, channel

-- name: end_wechat
-- Whoever unfollows the account is sent nothing more there.
UPDATE contact_channels SET ended_at = %(now)s, ended_by = 'self', address = '\x00', address_hash = '\x'
WHERE channel = 'wechat' AND address_hash = %(address_hash)s AND ended_at IS NULL

-- name: prefer_address
UPDATE contact_channels SET language = %(language)s, zone = %(zone)s, quiet_from = %(quiet_from)s,
  quiet_until = %(quiet_until)s, digest = %(digest)s, position = %(position)s
WHERE id = %(id)s AND recipient = %(recipient)s AND ended_at IS NULL RETURNING id

-- name: confirm_address
UPDATE contact_channels SET confirmed_at = %(now)s WHERE id = %(id)s AND ended_at IS NULL

-- name: add_code
INSERT INTO binding_codes (code_hash, person_id, user_id, kind, channel_id, made_at, expires_at, made_by)
VALUES (%(code_hash)s, %(person_id)s, %(user_id)s, %(kind)s, %(channel_id)s, %(wall)s, %(expires_at)s, %(made_by)s)

-- name: find_code
SELECT code_hash, person_id, user_id, kind, channel_id FROM binding_codes
WHERE code_hash = %(code_hash)s AND kind = %(kind)s AND used_at IS NULL AND expires_at > %(wall)s AND tries < %(tries_max)s

-- name: use_code
UPDATE binding_codes SET used_at = %(wall)s WHERE code_hash = %(code_hash)s AND used_at IS NULL RETURNING code_hash

-- name: wrong_code
-- A wrong guess counts against every code that waits for this address.
UPDATE binding_codes SET tries = tries + 1 WHERE channel_id = %(channel_id)s AND kind = 'proof' AND used_at IS NULL

-- name: count_own_messages
-- Tests and codes sent to one address since an instant.
SELECT count(*) AS count FROM outbox WHERE address_id = %(id)s AND step IN ('test', 'proof') AND created_at > %(since)s

-- name: contacts_of_household
-- The family contacts of a household and how many addresses each has.
SELECT hc.person_id, hc.relation_words, hc.position, i.name,
  (SELECT count(*) FROM contact_channels cc WHERE cc.person_id = hc.person_id AND cc.ended_at IS NULL) AS addresses,
  i.phone IS NOT NULL AS has_phone, u.name AS account, t.blocked_at IS NOT NULL AS is_blocked
FROM household_contacts hc LEFT JOIN person_identities i ON i.person_id = hc.person_id
LEFT JOIN users u ON u.contact_id = hc.person_id AND u.disabled_at IS NULL
  AND EXISTS (SELECT 1 FROM user_households x WHERE x.user_id = u.id AND x.household_id = hc.household_id)
LEFT JOIN user_households t ON t.user_id = u.id AND t.household_id = hc.household_id
WHERE hc.household_id = %(household_id)s AND hc.role = 'family'
ORDER BY hc.position, hc.person_id

-- name: tells_family
SELECT 1 FROM consents WHERE household_id = %(household_id)s AND purpose = 'notify_family' AND withdrawn_at IS NULL

-- name: open_relative
SELECT * FROM open_relative(%(household_id)s, %(person_id)s, %(name)s, %(password_hash)s, %(now)s)

-- name: close_relative
SELECT close_relative(%(household_id)s, %(person_id)s, %(now)s) AS is_closed

-- name: person_community
-- Which communities a contact belongs to, by the homes she is a contact of.
SELECT DISTINCT s.community_id FROM household_contacts hc JOIN households h ON h.id = hc.household_id
JOIN sites s ON s.id = h.site_id WHERE hc.person_id = %(person_id)s

-- name: known_person
SELECT id FROM persons WHERE id = %(id)s

-- name: known_user
SELECT id FROM users WHERE name = %(name)s AND disabled_at IS NULL

-- name: notice_community
-- The community technical notices of our own machines go to: the named one, or the only one there is.
SELECT id, zone FROM communities WHERE id = %(id)s OR (%(id)s = '' AND (SELECT count(*) FROM communities) = 1)

-- name: known_community
SELECT id FROM communities WHERE id = %(id)s

-- name: end_inbound_paths
-- What was replaced before is not waited for any more.
DELETE FROM inbound_paths WHERE provider = %(provider)s AND ends_at IS NOT NULL

-- name: replace_inbound_path
UPDATE inbound_paths SET ends_at = %(ends_at)s WHERE provider = %(provider)s

-- name: insert_inbound_path
INSERT INTO inbound_paths (provider, secret_hash, made_at, made_by) VALUES (%(provider)s, %(secret_hash)s, %(wall)s, %(by)s)

-- name: use_inbound_path
-- Once a minute at most, so that a burst of reports does not wait for one row.
WITH found AS (
  SELECT id, used_at FROM inbound_paths
  WHERE provider = %(provider)s AND secret_hash = %(secret_hash)s AND (ends_at IS NULL OR ends_at > %(wall)s)
), noted AS (
  UPDATE inbound_paths p SET used_at = %(wall)s FROM found
  WHERE p.id = found.id AND (found.used_at IS NULL OR found.used_at <= %(wall)s::timestamptz - interval '1 minute')
)
SELECT id FROM found

-- name: inbound_states
SELECT provider, max(made_at) FILTER (WHERE ends_at IS NULL) AS made_at, max(used_at) AS used_at,
  max(ends_at) FILTER (WHERE ends_at > %(wall)s) AS older_until
FROM inbound_paths GROUP BY provider
