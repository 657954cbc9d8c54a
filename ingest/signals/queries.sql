-- name: look_up
-- The newest change of the registry, of some credentials those that have an end, and of those that are not the group's to
-- know those that are listed: all a usual turn must know.
SELECT (SELECT coalesce(max(id), 0) FROM registry_changes) AS id,
       coalesce(array_agg(token) FILTER (WHERE valid_to IS NOT NULL), '{}') AS tokens,
       coalesce(array_agg(valid_to) FILTER (WHERE valid_to IS NOT NULL), '{}') AS ends,
       coalesce(array_agg(token) FILTER (WHERE token = ANY(%(unknown)s::text[])), '{}') AS listed
FROM credentials WHERE token = ANY(%(tokens)s::text[]) AND (valid_to IS NOT NULL OR token = ANY(%(unknown)s::text[]));

-- name: load_around
-- Homes that some devices belong to, and those that share a sensor with some homes.
SELECT household_id AS id FROM household_doors WHERE device_id = ANY (%(devices)s::text[])
UNION
SELECT household_id FROM household_sensors WHERE device_id = ANY (%(devices)s::text[])
UNION
SELECT h.id FROM devices v JOIN households h ON h.site_id = v.site_id AND h.label = v.place
WHERE v.id = ANY (%(devices)s::text[])
UNION
SELECT o.household_id FROM household_doors d
JOIN devices v ON v.id = d.device_id AND v.kind IN ('motion', 'water')
JOIN household_doors o ON o.device_id = d.device_id
WHERE d.household_id = ANY (%(households)s::text[]);

-- name: load_homes
-- (NULL: all, of all sites.) Homes whose people agreed to be watched or to have somebody told; none of a person under community correction.
SELECT h.id,
  EXISTS (SELECT 1 FROM consents c WHERE c.household_id = h.id AND c.purpose = 'watch' AND c.withdrawn_at IS NULL)
    AND h.watched_from IS NOT NULL AS watched,
  EXISTS (SELECT 1 FROM consents c
          WHERE c.household_id = h.id AND c.purpose = 'notify_family' AND c.withdrawn_at IS NULL)
    AND EXISTS (SELECT 1 FROM home_notices n WHERE n.household_id = h.id AND (n.came_home OR n.not_home)) AS tells,
  greatest(1, (SELECT count(*) FROM persons p WHERE p.household_id = h.id AND p.relation = 'resident'))::int AS residents
FROM households h
WHERE (%(households)s::text[] IS NULL OR h.id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR h.site_id = ANY (%(sites)s::text[]))
  AND EXISTS (SELECT 1 FROM consents c WHERE c.household_id = h.id AND c.purpose IN ('watch', 'notify_family')
                AND c.withdrawn_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM persons p WHERE p.household_id = h.id AND p.category = 'community_correction');

-- name: load_doors
SELECT household_id, device_id, role, from_at, to_at FROM household_doors
WHERE (%(households)s::text[] IS NULL OR household_id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY household_id, device_id, from_at, role;

-- name: load_sensors
-- Sensors inside a home: named as such, bound to it alone, or standing in the place that is its label.
SELECT household_id, device_id FROM household_sensors
WHERE (%(households)s::text[] IS NULL OR household_id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
UNION
SELECT d.household_id, v.id FROM household_doors d
JOIN devices v ON v.id = d.device_id AND v.kind IN ('motion', 'water') AND v.retired_at IS NULL
WHERE d.to_at IS NULL AND (%(households)s::text[] IS NULL OR d.household_id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR d.household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
  AND NOT EXISTS (SELECT 1 FROM household_doors o WHERE o.device_id = d.device_id AND o.household_id <> d.household_id)
UNION
SELECT h.id, v.id FROM households h
JOIN devices v ON v.site_id = h.site_id AND v.place = h.label AND v.kind IN ('motion', 'water')
 AND v.retired_at IS NULL
WHERE (%(households)s::text[] IS NULL OR h.id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR h.site_id = ANY (%(sites)s::text[]));

-- name: load_absences
SELECT household_id, from_at, to_at FROM absences
WHERE revoked_at IS NULL AND to_at >= %(since)s
  AND (%(households)s::text[] IS NULL OR household_id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY household_id, from_at;

-- name: load_known
SELECT household_id, known FROM household_states
WHERE (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))));

-- name: load_signs
-- Plausible events of some devices since an instant, but those that a door closed; a device's together, for whoever reads them
-- keeps few homes at hand. By position: device, instant, then the event as the wire has it, and
-- where a group has its own sites (NULL: all are) whether the credential is listed at any.
SELECT device_no, (extract(epoch FROM occurred_at) * 1000)::bigint, boot, seq, type, state, direction, method, credential,
       %(sites)s::text[] IS NOT NULL AND EXISTS (SELECT 1 FROM credentials c WHERE c.token = credential)
FROM door_events
WHERE plausible AND occurred_at >= %(since)s AND device_no = ANY(%(devices)s::int[]) AND type = ANY(%(types)s::text[])
  AND (type <> 'DoorPhysicalState' OR state = 'Open')
ORDER BY device_no;

-- name: load_heard
SELECT device_no, max(newest_received_ms) AS heard_ms FROM boots
WHERE device_no = ANY(%(devices)s::int[]) GROUP BY device_no;

-- name: load_presence
SELECT household_id, state, ground, since_at FROM household_presence
WHERE (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))));

-- name: write_presence
INSERT INTO household_presence (household_id, state, ground, since_at, as_of)
SELECT household_id, state, ground, timestamptz 'epoch' + since_ms * interval '1 millisecond', %(as_of)s
FROM jsonb_to_recordset(%(rows)s::text::jsonb)
     AS new (household_id text, state text, ground jsonb, since_ms bigint)
ON CONFLICT (household_id) DO UPDATE
SET state = excluded.state, ground = excluded.ground, since_at = excluded.since_at, as_of = excluded.as_of;

-- name: forget_presence
-- Who withdrew consent is derived no more.
DELETE FROM household_presence WHERE household_id = ANY(%(ids)s::text[]);

-- name: load_homecoming_keys
SELECT key FROM homecomings WHERE at >= %(since)s
  AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))));

-- name: write_homecoming
-- One coming home, unless one so near it was told already.
INSERT INTO homecomings (key, household_id, at, noticed_at, ground)
SELECT %(key)s, %(household_id)s, %(at)s, %(noticed_at)s, %(ground)s
WHERE NOT EXISTS (
  SELECT 1 FROM homecomings h WHERE h.household_id = %(household_id)s
    AND h.at BETWEEN %(at)s::timestamptz - %(apart)s::interval AND %(at)s::timestamptz + %(apart)s::interval
)
ON CONFLICT (key) DO NOTHING;

-- name: forget_homecomings
DELETE FROM homecomings WHERE at < %(before)s;

-- name: over_credentials
-- Of some credentials those that have an end, with whose they are.
SELECT token, class, household_id, valid_to FROM credentials WHERE token = ANY(%(tokens)s::text[]);

-- name: recent_triggers
-- Devices with anything to judge since an instant.
SELECT device_no, min(occurred_at) AS first_at, max(occurred_at) AS last_at FROM door_events e
WHERE plausible AND occurred_at >= %(since)s
  AND (%(sites)s::text[] IS NULL OR device_no = ANY (ARRAY(SELECT no FROM devices WHERE site_id = ANY (%(sites)s::text[]))))
  AND (type = ANY(%(types)s::text[])
       OR (type IN ('AccessGranted', 'AccessTaken') AND credential IS NOT NULL
           AND EXISTS (SELECT 1 FROM credentials c WHERE c.token = e.credential AND c.valid_to <= e.occurred_at)))
GROUP BY device_no;

-- name: device_events
-- What begins episodes at one device in a span, newest first.
SELECT (extract(epoch FROM occurred_at) * 1000)::bigint AS at_ms, boot, seq, type, state, credential, reason, method
FROM door_events e
WHERE device_no = %(device_no)s AND occurred_at BETWEEN %(from_at)s AND %(to_at)s AND plausible
  AND (type = ANY(%(types)s::text[])
       OR (type IN ('AccessGranted', 'AccessTaken') AND credential IS NOT NULL
           AND EXISTS (SELECT 1 FROM credentials c WHERE c.token = e.credential AND c.valid_to IS NOT NULL)))
ORDER BY occurred_at DESC, boot DESC, seq DESC
LIMIT %(limit)s;

-- name: device_words
-- After each of some events the next word about the door, and the next that it is closed.
SELECT DISTINCT (extract(epoch FROM found.occurred_at) * 1000)::bigint AS at_ms, found.boot, found.seq, found.type, found.state,
       found.credential, found.reason, found.method
FROM unnest(%(ats)s::timestamptz[], %(boots)s::bigint[], %(seqs)s::bigint[]) AS wanted (at, boot, seq)
CROSS JOIN unnest(ARRAY[true, false]) AS closed
CROSS JOIN LATERAL (
  SELECT e.occurred_at, e.boot, e.seq, e.type, e.state, e.credential, e.reason, e.method FROM door_events e
  WHERE e.device_no = %(device_no)s AND e.type = 'DoorPhysicalState' AND e.plausible
    AND (e.state = 'Closed' OR NOT closed)
    AND e.occurred_at >= wanted.at AND (e.occurred_at > wanted.at OR (e.boot = wanted.boot AND e.seq > wanted.seq))
  ORDER BY e.occurred_at, e.boot, e.seq LIMIT 1
) found;

-- name: told_signals
-- Facts told of one device since an instant, and those that still stand.
SELECT s.key, s.at, e.signal_id IS NOT NULL AS ended
FROM signals s LEFT JOIN signal_ends e ON e.signal_id = s.id
WHERE s.device_id = %(device_id)s AND (s.at >= %(since)s OR e.signal_id IS NULL);

-- name: standing_devices
-- Devices with a fact that the door's own word ends, each with its oldest.
SELECT s.device_id, min(s.at) AS at FROM signals s
WHERE s.device_id IS NOT NULL AND s.kind IN ('door_forced', 'door_held', 'device_fault')
  AND (%(sites)s::text[] IS NULL OR s.device_id = ANY (ARRAY(SELECT id FROM devices WHERE site_id = ANY (%(sites)s::text[]))))
  AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id)
GROUP BY s.device_id;

-- name: standing_batteries
-- Facts of batteries that stand, and whether the device is out of use; of two of a device, which two workers wrote, the newest.
SELECT DISTINCT ON (s.device_id) s.device_id, s.key, s.at, coalesce((s.evidence->>'own_word')::boolean, false) AS own_word,
       v.retired_at IS NOT NULL AS retired
FROM signals s JOIN devices v ON v.id = s.device_id
WHERE s.kind = 'battery_low' AND (%(sites)s::text[] IS NULL OR v.site_id = ANY (%(sites)s::text[]))
  AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id)
ORDER BY s.device_id, s.at DESC;

-- name: write_signal
-- A fact with its row for alerts; nothing if it is written already.
WITH place AS (
  SELECT s.id AS site_id, s.community_id,
    coalesce(%(household_id)s::text, (
      SELECT min(d.household_id) FROM household_doors d
      WHERE d.device_id = %(device_id)s AND d.role = 'dwelling' AND (d.from_at IS NULL OR d.from_at <= %(at)s)
        AND (d.to_at IS NULL OR d.to_at > %(at)s)
      HAVING count(DISTINCT d.household_id) = 1
    ), (
      SELECT min(i.household_id) FROM household_sensors i WHERE i.device_id = %(device_id)s
      HAVING count(*) = 1
    )) AS household_id
  FROM sites s
  WHERE s.id = coalesce((SELECT site_id FROM devices WHERE id = %(device_id)s),
                        (SELECT site_id FROM households WHERE id = %(household_id)s))
), fact AS (
  INSERT INTO signals (key, kind, household_id, device_id, site_id, community_id, at, noticed_at, evidence)
  SELECT %(key)s, %(kind)s, household_id, %(device_id)s, site_id, community_id, %(at)s, %(noticed_at)s, %(evidence)s
  FROM place
  ON CONFLICT (key) DO NOTHING
  RETURNING id, household_id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'signal', id, household_id, %(noticed_at)s FROM fact;

-- name: end_signal
WITH fact AS (
  INSERT INTO signal_ends (signal_id, ended_at, noticed_at, reason, evidence)
  SELECT id, %(at)s, %(noticed_at)s, %(reason)s, %(evidence)s FROM signals WHERE key = %(key)s
  ON CONFLICT (signal_id) DO NOTHING
  RETURNING signal_id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'signal_ended', f.signal_id, s.household_id, %(noticed_at)s FROM fact f JOIN signals s ON s.id = f.signal_id;

-- name: load_dwellings
-- Dwellings whose books can disagree with their doors: let or empty; none of a person under community correction.
SELECT h.id, h.tenure,
  (SELECT count(*) FROM credentials c WHERE c.household_id = h.id AND c.class = 'resident'
     AND (c.valid_from IS NULL OR c.valid_from <= %(now)s) AND (c.valid_to IS NULL OR c.valid_to > %(now)s)) AS live_tokens
FROM households h
WHERE (h.tenure IN ('rented', 'vacant') OR EXISTS (SELECT 1 FROM leases l WHERE l.household_id = h.id))
  AND (%(sites)s::text[] IS NULL OR h.site_id = ANY (%(sites)s::text[]))
  AND NOT EXISTS (SELECT 1 FROM persons p WHERE p.household_id = h.id AND p.category = 'community_correction');

-- name: load_leases
SELECT id, household_id, from_at, to_at, occupants FROM leases
WHERE (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY household_id, from_at, id;

-- name: count_used_tokens
-- How many credentials that are nobody else's opened the doors of some dwellings in a span.
SELECT d.household_id, count(DISTINCT e.credential) AS used
FROM household_doors d
JOIN devices v ON v.id = d.device_id
JOIN door_events e ON e.device_no = v.no AND e.occurred_at >= %(since)s AND e.occurred_at <= %(now)s
LEFT JOIN credentials c ON c.token = e.credential
WHERE d.household_id = ANY(%(ids)s::text[]) AND d.role = 'dwelling' AND e.plausible AND e.credential IS NOT NULL
  AND e.type IN ('AccessTaken', 'AccessGranted')
  AND (d.from_at IS NULL OR d.from_at <= e.occurred_at) AND (d.to_at IS NULL OR d.to_at > e.occurred_at)
  AND (c.token IS NULL OR (c.class = 'resident' AND c.household_id = d.household_id))
GROUP BY d.household_id;

-- name: openings_of_empty
-- When and where each of some dwellings was opened first in a span, and on how many days, by anybody but staff, guard,
-- office or force; days on which a card of its own family was used are the owner looking in.
WITH opened AS (
  SELECT d.household_id, d.device_id, e.occurred_at, (e.occurred_at AT TIME ZONE y.zone)::date AS day
  FROM household_doors d
  JOIN households h ON h.id = d.household_id
  JOIN sites s ON s.id = h.site_id
  JOIN communities y ON y.id = s.community_id
  JOIN devices v ON v.id = d.device_id
  JOIN door_events e ON e.device_no = v.no AND e.occurred_at >= %(since)s AND e.occurred_at <= %(now)s
  LEFT JOIN credentials c ON c.token = e.credential
  WHERE d.household_id = ANY(%(ids)s::text[]) AND d.role = 'dwelling' AND e.plausible
    AND (d.from_at IS NULL OR d.from_at <= e.occurred_at) AND (d.to_at IS NULL OR d.to_at > e.occurred_at)
    AND (e.type = 'AccessTaken' OR (e.type = 'DoorPhysicalState' AND e.state = 'Open'))
    AND coalesce(c.class, '') NOT IN ('staff', 'guard') AND coalesce(e.method, '') <> 'remote_office'
    AND NOT EXISTS (
      SELECT 1 FROM door_events g LEFT JOIN credentials k ON k.token = g.credential
      WHERE g.device_no = e.device_no AND e.type = 'DoorPhysicalState'
        AND g.occurred_at BETWEEN e.occurred_at - interval '30 seconds' AND e.occurred_at + interval '10 seconds'
        AND (g.type = 'DoorForcedOpen'
             OR (g.type IN ('AccessGranted', 'AccessTaken')
                 AND (k.class IN ('staff', 'guard') OR g.method = 'remote_office')))
    )
    AND NOT EXISTS (
      SELECT 1 FROM door_events f JOIN credentials k ON k.token = f.credential AND k.class = 'family'
        AND k.household_id = d.household_id
      WHERE f.device_no = e.device_no AND f.type IN ('AccessGranted', 'AccessTaken')
        AND f.occurred_at >= date_trunc('day', e.occurred_at, y.zone)
        AND f.occurred_at < date_trunc('day', e.occurred_at, y.zone) + interval '1 day'
    )
)
SELECT DISTINCT ON (household_id) household_id, device_id, occurred_at,
  (SELECT count(DISTINCT o.day) FROM opened o WHERE o.household_id = opened.household_id) AS days
FROM opened ORDER BY household_id, occurred_at;

-- name: standing_dwelling_signals
SELECT s.key, s.kind, s.household_id FROM signals s
WHERE s.kind IN ('vacant_opened', 'lease_ended_credential', 'more_credentials') AND s.household_id IS NOT NULL
  AND (%(sites)s::text[] IS NULL OR s.household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
  AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id);
