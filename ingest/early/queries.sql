-- name: lock
SELECT pg_try_advisory_xact_lock(7241009) AS ours;

-- name: reached
-- How far ingest has done its work in every group, in community time; NULL before the first pulse.
SELECT min(pulse_at) AS at FROM ingest_leases;

-- name: homes
-- Homes with early watch agreed to, with their community's zone; none of a person under community correction.
SELECT h.id, c.zone FROM households h
JOIN sites s ON s.id = h.site_id
JOIN communities c ON c.id = s.community_id
WHERE EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'early_watch' AND k.withdrawn_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM persons p WHERE p.household_id = h.id AND p.category = 'community_correction')
ORDER BY h.id;

-- name: devices
-- What watches these homes: their dwelling doors and their sensors inside, which have no other home.
SELECT h.id AS household_id, v.id AS device_id, v.no AS device_no, v.supervision_s, true AS at_door
FROM households h
JOIN household_doors d ON d.household_id = h.id AND d.role = 'dwelling'
  AND (d.from_at IS NULL OR d.from_at <= %(now)s) AND (d.to_at IS NULL OR d.to_at > %(now)s)
JOIN devices v ON v.id = d.device_id AND v.retired_at IS NULL
WHERE h.id = ANY(%(ids)s::text[]) AND v.kind NOT IN ('motion', 'water')
UNION
SELECT h.id, v.id, v.no, v.supervision_s, false
FROM households h
JOIN devices v ON v.retired_at IS NULL AND v.kind IN ('motion', 'water', 'other')
  AND (v.id IN (SELECT s.device_id FROM household_sensors s WHERE s.household_id = h.id)
       OR (v.site_id = h.site_id AND v.place = h.label AND v.kind IN ('motion', 'water')))
WHERE h.id = ANY(%(ids)s::text[])
ORDER BY household_id, device_id;

-- name: absent
-- Which of these homes are declared away at an instant.
SELECT DISTINCT household_id FROM absences
WHERE household_id = ANY(%(ids)s::text[]) AND revoked_at IS NULL AND from_at <= %(now)s AND to_at > %(now)s;

-- name: standing
-- Alerts that have no end yet, with the instant of the last sign of life before each.
SELECT s.household_id, s.key FROM signals s
WHERE s.kind = 'early_watch' AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id);

-- name: write_state
INSERT INTO early_states (household_id, method, reason, score, threshold, last_heard_at, learned_days, as_of)
VALUES (%(household_id)s, %(method)s, %(reason)s, %(score)s, %(threshold)s, %(last_heard_at)s, %(learned_days)s, %(as_of)s)
ON CONFLICT (household_id) DO UPDATE
SET method = excluded.method, reason = excluded.reason, score = excluded.score, threshold = excluded.threshold,
    last_heard_at = excluded.last_heard_at, learned_days = excluded.learned_days, as_of = excluded.as_of;

-- name: forget_states
-- Who agrees no longer is remembered no longer.
DELETE FROM early_states WHERE NOT household_id = ANY(%(ids)s::text[]);
