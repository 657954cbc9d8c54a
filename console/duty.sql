-- Statements of the duty pages: people leaving, feeds, and names.

-- name: leaver
SELECT id, display_name, community_id FROM users
WHERE name = %(name)s AND role <> 'family' AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
FOR UPDATE

-- name: leaver_disable
SELECT disable_user(%(user_id)s, %(now)s)

-- name: leaver_sessions
SELECT end_sessions_of(%(user_id)s)

-- name: leaver_tokens
SELECT end_tokens_of(%(user_id)s)

-- name: leaver_feeds
UPDATE duty_feeds SET revoked_at = %(wall)s WHERE user_id = %(user_id)s AND revoked_at IS NULL

-- name: leaver_addresses
UPDATE contact_channels SET ended_at = %(now)s, ended_by = %(by)s WHERE user_id = %(user_id)s AND ended_at IS NULL

-- name: leaver_codes
UPDATE binding_codes SET used_at = %(wall)s WHERE user_id = %(user_id)s AND used_at IS NULL

-- name: leaver_phone
UPDATE staff_phones SET rings = false WHERE user_id = %(user_id)s

-- name: leaver_swaps
-- What she was asked for, or asked, and nobody has answered yet.
UPDATE duty_swaps SET state = 'withdrawn', answered_at = %(now)s
WHERE state = 'asked' AND %(user_id)s IN (giver_id, taker_id)

-- name: leaver_handovers
UPDATE duty_handovers SET ended_at = %(now)s
WHERE ended_at IS NULL AND %(user_id)s IN (from_user_id, to_user_id)

-- name: leaver_deputies
-- She stands in for nobody any more; who stands in for her goes on doing so.
UPDATE duty_deputies SET ended_at = %(now)s
WHERE ended_at IS NULL AND deputy_id = %(user_id)s AND to_at > %(now)s

-- name: leaver_places
-- The communities she works in, by her first position and those beside it.
SELECT u.community_id AS id FROM users u WHERE u.id = %(user_id)s AND u.community_id IS NOT NULL
UNION SELECT p.community_id FROM user_positions p WHERE p.user_id = %(user_id)s AND p.community_id IS NOT NULL
ORDER BY id

-- name: leaver_agreements
-- What she asked for and nobody has agreed to yet is asked by nobody any more.
UPDATE agreements SET state = 'ended', decided_at = %(wall)s WHERE asked_by = %(user_id)s AND state = 'asked'

-- name: leaver_tests
DELETE FROM live_tests WHERE user_id = %(user_id)s AND state = 'due'

-- name: leaver_cases
SELECT id, number FROM cases WHERE holder_id = %(user_id)s AND state <> 'closed' ORDER BY id

-- name: leaver_rules
-- In how many rules and shifts ahead she still stands.
SELECT (SELECT count(*) FROM duty_rules WHERE ended_at IS NULL AND %(user_id)s = ANY(user_ids))
  + (SELECT count(*) FROM duty_shifts WHERE ended_at IS NULL AND user_id = %(user_id)s AND to_at > %(now)s) AS count

-- name: feed_make
INSERT INTO duty_feeds (user_id, token_hash, made_at) VALUES (%(user_id)s, %(token_hash)s, %(wall)s)

-- name: feed_read
-- Whose calendar an address is; nobody's where it was revoked or the person may not sign in.
UPDATE duty_feeds f SET read_at = %(wall)s FROM users u
WHERE f.token_hash = %(token_hash)s AND f.revoked_at IS NULL AND u.id = f.user_id AND u.disabled_at IS NULL
RETURNING u.id, u.community_id, u.role, u.language

-- name: feed_standing
SELECT made_at, read_at FROM duty_feeds WHERE user_id = %(user_id)s AND revoked_at IS NULL

-- name: staff_names
-- By which names people of a role are known in a community.
SELECT id, name, display_name FROM users
WHERE community_id = %(community_id)s AND role = %(role)s AND disabled_at IS NULL ORDER BY display_name, id

-- name: communities
SELECT id, name, zone FROM communities ORDER BY id

-- name: answering_communities
-- Communities in which somebody has to answer: they plan duty, or watch a home, planned or not.
SELECT c.id FROM communities c
WHERE EXISTS (SELECT 1 FROM duty_rosters r WHERE r.community_id = c.id AND r.ended_at IS NULL)
   -- Site by site until the first: joined, every home of a city is read.
   OR (SELECT true FROM sites s
       CROSS JOIN LATERAL (SELECT 1 FROM households h WHERE h.site_id = s.id AND h.watched_from IS NOT NULL LIMIT 1) h
       WHERE s.community_id = c.id LIMIT 1)
ORDER BY 1

-- name: test_address
-- Somebody's first address on a channel that is open, for a test that she answers with a tap.
SELECT t.user_id, k.id, k.recipient, k.channel, k.language FROM live_tests t
JOIN contact_channels k ON k.user_id = t.user_id AND k.ended_at IS NULL
JOIN channel_states s ON s.channel = k.channel AND s.personal AND s.opened_at IS NOT NULL
WHERE t.id = %(id)s AND t.community_id = %(community_id)s ORDER BY k.position, k.id LIMIT 1

-- name: test_phone
-- Whose telephone is rung for a test, where she has one and there is a gateway.
SELECT t.user_id, u.language FROM live_tests t JOIN users u ON u.id = t.user_id
JOIN staff_phones p ON p.user_id = u.id AND p.rings
JOIN channel_states s ON s.channel = 'voice' AND s.opened_at IS NOT NULL
WHERE t.id = %(id)s AND t.community_id = %(community_id)s

-- name: household_by_label
SELECT h.id FROM households h JOIN sites s ON s.id = h.site_id
WHERE s.community_id = %(community_id)s AND (h.id = %(text)s OR h.label = %(text)s) ORDER BY h.id LIMIT 1

-- name: stored_policies
SELECT DISTINCT id FROM policies ORDER BY id

-- name: zone_of
-- The zone of a community, or of a household's.
SELECT c.zone FROM communities c
WHERE c.id = coalesce(%(community)s, (SELECT s.community_id FROM households h JOIN sites s ON s.id = h.site_id
                                      WHERE h.id = %(household)s))
