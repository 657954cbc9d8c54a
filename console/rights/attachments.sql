-- What of a person is no text. The last column, data, becomes a file of its own.

-- name: voices
-- what is heard at her home on the telephone, and what she spoke herself: for her homes, and for a community where
-- nobody else bears her name. A draft nobody kept is its maker's alone.
SELECT 'home' AS heard_at, v.segment, v.language, v.dialect, v.spoken_by, v.recorded_at, v.sound AS data FROM home_voices v
WHERE v.kept AND (v.household_id = %(household_id)s OR (v.spoken_by = %(name)s AND EXISTS (
  SELECT 1 FROM household_contacts c WHERE c.household_id = v.household_id AND c.person_id = %(person_id)s)))
UNION ALL
SELECT 'community', r.segment, r.language, '', r.spoken_by, r.recorded_at, r.sound FROM voice_recordings r
WHERE r.spoken_by = %(name)s AND r.community_id = %(community_id)s
  AND NOT EXISTS (SELECT 1 FROM person_identities i WHERE i.name = %(name)s AND i.person_id <> %(person_id)s)
ORDER BY 1 DESC, 6, 2, 3 LIMIT %(limit)s

-- name: photos
-- what was photographed on visits to her home; who took it stands in it by role
SELECT c.number, f.at, u.role AS taken_by, f.width, f.height, f.picture AS data
FROM visit_photos f JOIN cases c ON c.id = f.case_id JOIN users u ON u.id = f.user_id
WHERE f.household_id = %(household_id)s ORDER BY f.id LIMIT %(limit)s
