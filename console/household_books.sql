-- What the desk's forms of a home's books show and offer; what they change goes through console/books.

-- name: home
-- the home as the books have it; columns are those of the import
SELECT h.id, h.site_id, h.label, h.building, h.unit, h.floor, h.room, h.grid, h.tenure, h.policy_id, h.watched_from
FROM households h WHERE h.id = %(household_id)s

-- name: labelled
-- the home of a label, as far as this reader sees
SELECT id FROM households WHERE site_id = %(site_id)s AND label = %(label)s

-- name: sites
-- where a home of this community can stand
SELECT id, name FROM sites WHERE community_id = %(community_id)s ORDER BY name, id

-- name: people
-- who lives in a home, eldest first; columns are those of the import
SELECT p.id, p.household_id, p.relation, p.category, p.birth_year, p.hard_of_hearing, p.language, i.name, i.phone
FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id
WHERE p.household_id = %(household_id)s AND p.relation = 'resident' ORDER BY p.birth_year NULLS LAST, p.id

-- name: changed_since
-- whether somebody left a home since an instant, or a file changed it: who lives there may be somebody else
SELECT 1 WHERE EXISTS (
  SELECT 1 FROM audit_entries
  WHERE object_kind = 'household' AND object_id = %(household_id)s AND action = 'resident_left' AND at >= %(since)s)
OR EXISTS (
  SELECT 1 FROM audit_entries
  WHERE action = 'imported' AND detail->'households' ? %(household_id)s AND at >= %(since)s)

-- name: contacts
-- whom to ask about a home, in order
SELECT k.household_id, k.person_id, k.role, k.position, k.relation_words, k.available_from, k.available_until, k.answer_within_s,
       i.name, i.phone
FROM household_contacts k LEFT JOIN person_identities i ON i.person_id = k.person_id
WHERE k.household_id = %(household_id)s ORDER BY k.position, k.person_id, k.role

-- name: helpers
-- who helps in other homes of this community and not yet in this one
SELECT DISTINCT ON (k.person_id, k.role) k.person_id, k.role, i.name
FROM household_contacts k JOIN households h ON h.id = k.household_id JOIN sites s ON s.id = h.site_id
JOIN person_identities i ON i.person_id = k.person_id
WHERE s.community_id = %(community_id)s AND k.role <> 'family'
  AND NOT EXISTS (SELECT 1 FROM household_contacts o
                  WHERE o.household_id = %(household_id)s AND o.person_id = k.person_id AND o.role = k.role)
ORDER BY k.person_id, k.role LIMIT 500

-- name: doors
-- the doors of a home now, and those that begin later
SELECT d.household_id, d.device_id, d.role, d.from_at, d.to_at, v.kind, v.place
FROM household_doors d JOIN devices v ON v.id = d.device_id
WHERE d.household_id = %(household_id)s AND (d.to_at IS NULL OR d.to_at > %(now)s) ORDER BY d.role, d.device_id

-- name: free_devices
-- devices of a door at this site that hang at none
SELECT v.id, v.place FROM devices v
WHERE v.site_id = %(site_id)s AND v.retired_at IS NULL AND v.kind IN ('controller', 'contact', 'other')
  AND NOT EXISTS (SELECT 1 FROM household_doors d WHERE d.device_id = v.id AND (d.to_at IS NULL OR d.to_at > %(now)s))
ORDER BY v.id LIMIT 500

-- name: gateways
SELECT v.id, v.place FROM devices v
WHERE v.site_id = %(site_id)s AND v.kind = 'gateway' AND v.retired_at IS NULL ORDER BY v.id LIMIT 500

-- name: device
-- a device by its id, wherever it stands
SELECT v.site_id, v.kind, v.retired_at FROM devices v WHERE v.id = %(device_id)s

-- name: agreed
-- whether the home agreed to be watched
SELECT 1 FROM consents WHERE household_id = %(household_id)s AND purpose = 'watch' AND withdrawn_at IS NULL

-- name: cards
-- the cards of a home that hold, those that begin later, and those lost or given back within half a year
SELECT c.token, c.class, c.valid_to, c.lost_at, c.valid_to IS NULL OR c.valid_to > %(now)s AS holds, i.name
FROM credentials c LEFT JOIN person_identities i ON i.person_id = c.person_id
WHERE c.household_id = %(household_id)s AND c.class IN ('resident', 'family')
  AND (c.valid_to IS NULL OR c.valid_to > %(now)s - interval '183 days')
ORDER BY holds DESC, c.class DESC, c.token LIMIT 200

-- name: leases
-- the leases of a home, the newest first, as the book has them
SELECT id, household_id, from_at, to_at, occupants, registration, recorded_at FROM leases
WHERE household_id = %(household_id)s ORDER BY from_at DESC, id LIMIT 50

-- name: holders
-- who can carry a card of a home: who lives there, then the family that is asked about it
SELECT p.id, i.name, 'resident' AS class FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id
WHERE p.household_id = %(household_id)s AND p.relation = 'resident'
UNION ALL
SELECT k.person_id, i.name, 'family' FROM household_contacts k JOIN persons p ON p.id = k.person_id
LEFT JOIN person_identities i ON i.person_id = k.person_id
WHERE k.household_id = %(household_id)s AND k.role = 'family'
  AND NOT (p.relation = 'resident' AND p.household_id = %(household_id)s)
ORDER BY class DESC, id

-- name: card
-- whether this desk's community knows a card
SELECT 1 FROM credentials WHERE token = %(token)s

-- name: card_end
-- one of the home's cards counts no more; a lost one stays lost
UPDATE credentials SET valid_to = greatest(%(now)s, coalesce(valid_from + interval '1 second', %(now)s))
WHERE household_id = %(household_id)s AND token = %(token)s AND class IN ('resident', 'family') AND lost_at IS NULL
  AND (valid_to IS NULL OR valid_to > %(now)s)
RETURNING token

-- name: cards_end_with
-- the cards of a home that somebody carries who leaves it, with when they end
SELECT token, class, greatest(%(now)s, coalesce(valid_from + interval '1 second', %(now)s)) AS valid_to
FROM credentials
WHERE household_id = %(household_id)s AND person_id = %(person_id)s AND class IN ('resident', 'family')
  AND (valid_to IS NULL OR valid_to > %(now)s)

-- name: told
-- whether the home agreed that its family is told
SELECT 1 FROM consents WHERE household_id = %(household_id)s AND purpose = 'notify_family' AND withdrawn_at IS NULL

-- name: exchange_windows
-- the standing windows of two devices at homes' own doors
SELECT d.household_id, d.device_id, d.from_at, v.place, v.site_id
FROM household_doors d JOIN devices v ON v.id = d.device_id
WHERE d.device_id = ANY(%(devices)s::text[]) AND d.role = 'dwelling' AND d.to_at IS NULL

-- name: neighbours_devices
-- devices that hang at other homes' own doors of this site now
SELECT v.id, h.label AS place FROM household_doors d
JOIN devices v ON v.id = d.device_id JOIN households h ON h.id = d.household_id
WHERE h.site_id = %(site_id)s AND h.id <> %(household_id)s AND d.role = 'dwelling' AND d.to_at IS NULL
ORDER BY h.building = %(building)s DESC, length(h.building), h.building, length(h.unit), h.unit, h.floor, length(h.room), h.room, v.id LIMIT 500
