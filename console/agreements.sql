-- What one person asks about the watching itself and another agrees to. Asked and decided at wall time; a test ends, and
-- a policy begins, at community time.

-- name: agreement_add
INSERT INTO agreements (kind, community_id, device_id, policy_id, asked, reason, until_at, asked_by, asked_at, expires_at)
VALUES (%(kind)s, %(community_id)s, %(device_id)s, %(policy_id)s, %(asked)s, %(reason)s, %(until_at)s, %(asked_by)s,
        %(wall_now)s, %(expires_at)s)
RETURNING id

-- name: agreements_open
-- what waits for a second person; of one community or, where none is given, of all
SELECT g.id, g.kind, g.device_id, g.policy_id, g.asked, g.reason, g.until_at, g.asked_by, g.asked_at, g.expires_at,
       a.display_name AS asker, v.place, g.household_id, h.label
FROM agreements g LEFT JOIN users a ON a.id = g.asked_by LEFT JOIN devices v ON v.id = g.device_id
LEFT JOIN households h ON h.id = g.household_id
WHERE g.kind = %(kind)s AND g.state = 'asked' AND g.expires_at > %(wall_now)s
  AND (g.until_at IS NULL OR g.until_at > %(now)s)
  AND (%(community_id)s::text IS NULL OR g.community_id = %(community_id)s)
ORDER BY g.asked_at LIMIT 200

-- name: agreement_lock
SELECT id, kind, community_id, device_id, policy_id, household_id, asked, reason, until_at, asked_by FROM agreements
WHERE id = %(id)s AND kind = %(kind)s AND state = 'asked' AND expires_at > %(wall_now)s
  AND (until_at IS NULL OR until_at > %(now)s)
  AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
FOR UPDATE

-- name: agreement_decide
UPDATE agreements SET state = %(state)s, decided_by = %(decided_by)s, decided_at = %(wall_now)s WHERE id = %(id)s

-- name: tests_running
SELECT g.id, g.device_id, g.reason, g.until_at, g.decided_at, a.display_name AS asker, d.display_name AS decider, v.place
FROM agreements g JOIN users a ON a.id = g.asked_by JOIN users d ON d.id = g.decided_by JOIN devices v ON v.id = g.device_id
WHERE g.kind = 'device_test' AND g.state = 'agreed' AND g.until_at > %(now)s
  AND (%(community_id)s::text IS NULL OR g.community_id = %(community_id)s)
ORDER BY g.until_at, g.id LIMIT 200

-- name: test_end
UPDATE agreements SET state = 'ended' WHERE id = %(id)s AND kind = 'device_test' AND state = 'agreed' AND until_at > %(now)s
  AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
RETURNING device_id

-- name: device_to_test
-- a device in reach, and whether a test of it is asked for or runs
SELECT v.id, v.place, si.community_id,
       EXISTS (SELECT 1 FROM agreements g WHERE g.device_id = v.id AND g.until_at > %(now)s
               AND (g.state = 'agreed' OR (g.state = 'asked' AND g.expires_at > %(wall_now)s))) AS taken
FROM devices v JOIN sites si ON si.id = v.site_id
WHERE v.id = %(device_id)s AND v.retired_at IS NULL
  AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)
FOR UPDATE OF v

-- name: policies_in_force
-- every policy as it holds now, with how many homes it has
SELECT p.id, p.version, p.thresholds_s, p.valid_from,
       (SELECT count(*) FROM households h WHERE h.policy_id = p.id) AS homes
FROM policies p
WHERE p.version = (SELECT max(q.version) FROM policies q WHERE q.id = p.id AND q.valid_from <= %(now)s)
UNION ALL
-- the programme's own rule holds before anybody stored it
SELECT 'mandated', 1, '{86400,172800,259200}', NULL, (SELECT count(*) FROM households h WHERE h.policy_id = 'mandated')
WHERE NOT EXISTS (SELECT 1 FROM policies WHERE id = 'mandated' AND valid_from <= %(now)s)
ORDER BY id

-- name: policy_add
-- the next version of a policy: its thresholds are new, its ladder stays
INSERT INTO policies (id, version, thresholds_s, ladder, valid_from)
SELECT %(policy_id)s, coalesce(max(version), CASE WHEN %(policy_id)s = 'mandated' THEN 1 ELSE 0 END) + 1, %(thresholds_s)s,
       coalesce((SELECT ladder FROM policies WHERE id = %(policy_id)s ORDER BY version DESC LIMIT 1), '{}'), %(now)s
FROM policies WHERE id = %(policy_id)s
RETURNING version
