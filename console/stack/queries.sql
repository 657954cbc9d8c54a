-- The demo's own statements; what is announced to people is decided elsewhere.

-- name: next_crossings
-- watched households whose inactivity grows now, with what their next stage needs
SELECT h.id, h.label, s.anchor_at, s.base_ms, s.stage, p.thresholds_s
FROM household_states s
JOIN households h ON h.id = s.household_id
JOIN sites si ON si.id = h.site_id
LEFT JOIN LATERAL (
  SELECT thresholds_s FROM policies q WHERE q.id = h.policy_id AND q.valid_from <= %(now)s
  ORDER BY q.version DESC LIMIT 1
) p ON true
WHERE si.community_id = %(community_id)s AND s.known AND s.absent_until IS NULL
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch' AND k.withdrawn_at IS NULL)

-- name: unheard_homes
-- homes whose own door, or the gateway it speaks through, is not heard now
SELECT DISTINCT d.household_id
FROM household_doors d
JOIN devices v ON v.id = d.device_id
JOIN outages o ON o.device_id IN (v.id, v.gateway_id)
WHERE d.role = 'dwelling' AND NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id)

-- name: open_cases
SELECT count(*) AS count FROM cases WHERE community_id = %(community_id)s AND state <> 'closed'
