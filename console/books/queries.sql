-- The statements of the import. stored_… return the rows a file may change or clash with; missing_… the keys of rows
-- in force in some communities. Names of columns are those of the files.

-- name: one_at_a_time
SELECT pg_advisory_xact_lock(%(lock)s)

-- name: installation
SELECT kind FROM installation

-- name: claim_production
INSERT INTO installation (kind, created_at) VALUES ('production', %(now)s)

-- name: newest_audit_entry
-- the end of the chain, whole
SELECT at, actor, role, action, purpose, object_kind, object_id, detail, previous_hash, hash
FROM audit_entries ORDER BY id DESC LIMIT 1

-- name: policies
SELECT DISTINCT id FROM policies

-- name: zones
-- the zone of each community
SELECT id, zone FROM communities

-- name: stored_communities
SELECT id, name, zone, commissioning_s FROM communities WHERE id = ANY(%(communities)s)

-- name: stored_sites
SELECT id, community_id, name FROM sites WHERE id = ANY(%(sites)s)

-- name: stored_buildings
SELECT site_id, name, x_m, y_m, width_m, depth_m, turn_deg FROM buildings WHERE site_id = ANY(%(buildings)s)

-- name: stored_devices
SELECT id, site_id, kind, model, place, gateway_id, heartbeat_s, supervision_s, registered_at, retired_at
FROM devices WHERE id = ANY(%(devices)s)

-- name: stored_households
SELECT id, site_id, label, building, unit, floor, room, grid, tenure, policy_id, watched_from
FROM households WHERE id = ANY(%(households)s) OR site_id = ANY(%(labelled_sites)s)

-- name: stored_household_doors
SELECT household_id, device_id, role, from_at, to_at FROM household_doors
WHERE household_id = ANY(%(own_households)s) OR device_id = ANY(%(own_devices)s)

-- name: stored_persons
SELECT p.id, p.household_id, p.relation, p.category, p.birth_year, p.hard_of_hearing, p.language, i.name, i.phone
FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id WHERE p.id = ANY(%(persons)s)

-- name: stored_contacts
SELECT household_id, person_id, role, position, relation_words, available_from, available_until, answer_within_s
FROM household_contacts
WHERE household_id = ANY(%(own_households)s)

-- name: stored_credentials
SELECT token, class, household_id, person_id, valid_from, valid_to FROM credentials WHERE token = ANY(%(tokens)s)

-- name: stored_consents
-- oldest first; nobody ends one while the import looks at it
SELECT id, household_id, purpose, given_by, given_at, withdrawn_at FROM consents
WHERE household_id = ANY(%(own_households)s) ORDER BY id FOR NO KEY UPDATE

-- name: stored_absences
-- oldest first
SELECT id, household_id, from_at, to_at, reason, declared_by, declared_at, revoked_at FROM absences
WHERE household_id = ANY(%(own_households)s) ORDER BY id FOR NO KEY UPDATE

-- name: stored_leases
SELECT id, household_id, from_at, to_at, occupants, registration, recorded_at FROM leases WHERE id = ANY(%(leases)s)

-- name: communities_spoken_of
-- the communities the rows of the files belong to
SELECT community_id FROM sites WHERE id = ANY(%(sites)s)
UNION SELECT s.community_id FROM households h JOIN sites s ON s.id = h.site_id WHERE h.id = ANY(%(households)s)

-- name: site_communities
SELECT id, community_id FROM sites

-- name: person_communities
-- the communities of those named: of the home each lives in, and of those each is asked about
SELECT p.id, s.community_id FROM persons p JOIN households h ON h.id = p.household_id JOIN sites s ON s.id = h.site_id
WHERE p.id = ANY(%(persons)s)
UNION SELECT c.person_id, s.community_id FROM household_contacts c
JOIN households h ON h.id = c.household_id JOIN sites s ON s.id = h.site_id WHERE c.person_id = ANY(%(persons)s)

-- name: watched_homes
-- homes in some communities over which somebody watches now, with their community
SELECT h.id, s.community_id FROM households h JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s) AND h.watched_from <= %(now)s
  AND EXISTS (SELECT 1 FROM consents c
              WHERE c.household_id = h.id AND c.purpose = 'watch' AND c.withdrawn_at IS NULL)
  AND EXISTS (SELECT 1 FROM household_doors d JOIN devices v ON v.id = d.device_id
              WHERE d.household_id = h.id AND d.role = 'dwelling'
                AND (d.from_at IS NULL OR d.from_at <= %(now)s) AND (d.to_at IS NULL OR d.to_at > %(now)s)
                AND (v.retired_at IS NULL OR v.retired_at > %(now)s))
  AND NOT EXISTS (SELECT 1 FROM absences a
                  WHERE a.household_id = h.id AND a.revoked_at IS NULL AND a.from_at <= %(now)s AND a.to_at > %(now)s)

-- name: missing_communities
SELECT id FROM communities WHERE id = ANY(%(communities)s)

-- name: missing_sites
SELECT id FROM sites WHERE community_id = ANY(%(communities)s)

-- name: missing_buildings
SELECT b.site_id, b.name FROM buildings b JOIN sites s ON s.id = b.site_id WHERE s.community_id = ANY(%(communities)s)

-- name: missing_devices
SELECT d.id FROM devices d JOIN sites s ON s.id = d.site_id
WHERE s.community_id = ANY(%(communities)s) AND d.retired_at IS NULL

-- name: missing_households
SELECT h.id FROM households h JOIN sites s ON s.id = h.site_id WHERE s.community_id = ANY(%(communities)s)

-- name: missing_household_doors
SELECT d.household_id, d.device_id, d.from_at
FROM household_doors d JOIN households h ON h.id = d.household_id JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s) AND (d.to_at IS NULL OR d.to_at > %(now)s)

-- name: missing_persons
SELECT p.id FROM persons p JOIN households h ON h.id = p.household_id JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s)

-- name: missing_contacts
SELECT c.household_id, c.person_id, c.role
FROM household_contacts c JOIN households h ON h.id = c.household_id JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s)

-- name: missing_credentials
SELECT c.token FROM credentials c JOIN households h ON h.id = c.household_id JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s) AND (c.valid_to IS NULL OR c.valid_to > %(now)s)

-- name: missing_consents
SELECT c.household_id, c.purpose, c.given_at
FROM consents c JOIN households h ON h.id = c.household_id JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s) AND c.withdrawn_at IS NULL

-- name: missing_absences
SELECT a.household_id, a.from_at
FROM absences a JOIN households h ON h.id = a.household_id JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s) AND a.revoked_at IS NULL AND a.to_at > %(now)s

-- name: missing_leases
SELECT l.id FROM leases l JOIN households h ON h.id = l.household_id JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s) AND (l.to_at IS NULL OR l.to_at > %(now)s)

-- name: not_watched
-- households that consent to the watch and yet nobody watches: without a beginning or without a door of their own
SELECT h.id FROM households h JOIN sites s ON s.id = h.site_id
WHERE s.community_id = ANY(%(communities)s)
  AND EXISTS (SELECT 1 FROM consents c
              WHERE c.household_id = h.id AND c.purpose = 'watch' AND c.withdrawn_at IS NULL)
  AND (h.watched_from IS NULL
       OR NOT EXISTS (SELECT 1 FROM household_doors d
                      WHERE d.household_id = h.id AND d.role = 'dwelling'
                        AND (d.from_at IS NULL OR d.from_at <= %(now)s) AND (d.to_at IS NULL OR d.to_at > %(now)s)))
ORDER BY h.id

-- name: identities
-- names and telephones of persons, new or changed
INSERT INTO person_identities (person_id, name, phone)
SELECT id, name, phone FROM jsonb_to_recordset(%(rows)s) AS r (id text, name text, phone text) WHERE name IS NOT NULL
ON CONFLICT (person_id) DO UPDATE SET name = excluded.name, phone = excluded.phone

-- name: user_password
-- whose password it now is
UPDATE users SET password_hash = %(password_hash)s WHERE name = %(name)s RETURNING id

-- name: user_failures_forget
DELETE FROM sign_in_failures WHERE name = %(name)s

-- name: household_communities
-- each household named that there is, with its community
SELECT h.id, s.community_id FROM households h JOIN sites s ON s.id = h.site_id WHERE h.id = ANY(%(households)s)

-- name: every_user
-- who may sign in and when each was last here
SELECT u.name, u.role, u.community_id, u.disabled_at,
       (SELECT max(s.seen_at) FROM sessions s WHERE s.user_id = u.id) AS seen_at
FROM users u ORDER BY u.role, u.name

-- name: user_trained
-- the officer's id; none where this is no officer
UPDATE users SET trained_until = %(until)s WHERE name = %(name)s AND role = 'police_officer' RETURNING id

-- name: user_by_name
-- whose act a command is
SELECT id, role FROM users WHERE name = %(name)s AND disabled_at IS NULL

-- name: forget_contact
-- somebody is asked about a home no more
DELETE FROM household_contacts
WHERE household_id = %(household_id)s AND person_id = %(person_id)s AND role = %(role)s

-- name: roll_sites
-- The sites a list of homes and people may be of; of one community where that was said.
SELECT id, name FROM sites WHERE %(community)s::text IS NULL OR community_id = %(community)s ORDER BY id

-- name: roll_homes
SELECT id, site_id, label, building, unit, floor, room FROM households WHERE site_id = ANY(%(sites)s) ORDER BY id

-- name: roll_residents
SELECT p.household_id, p.id, i.name FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id
JOIN households h ON h.id = p.household_id
WHERE p.relation = 'resident' AND h.site_id = ANY(%(sites)s) ORDER BY p.id

-- name: roll_relatives
SELECT c.household_id, c.person_id AS id, i.name, c.position FROM household_contacts c
JOIN households h ON h.id = c.household_id LEFT JOIN person_identities i ON i.person_id = c.person_id
WHERE c.role = 'family' AND h.site_id = ANY(%(sites)s) ORDER BY c.position, c.person_id

-- name: roll_ids
-- Ids that such a list gave, of whoever has moved away too.
SELECT id FROM persons WHERE id ~ '\.[rf][0-9]+$'
