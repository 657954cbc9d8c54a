-- Photos of visits; none is taken, listed or shown but while the home agrees to it.

-- name: photo_consent
SELECT 1 FROM consents WHERE household_id = %(household_id)s AND purpose = 'visit_photo' AND withdrawn_at IS NULL

-- name: photo_add
-- nothing where the home does not agree (any more), or a visit has as many as it may
INSERT INTO visit_photos (task_id, case_id, household_id, user_id, at, picture, width, height)
SELECT %(task_id)s, %(case_id)s, %(household_id)s, %(user_id)s, %(at)s, %(picture)s, %(width)s, %(height)s
WHERE EXISTS (SELECT 1 FROM consents k WHERE k.household_id = %(household_id)s AND k.purpose = 'visit_photo'
              AND k.withdrawn_at IS NULL)
  AND (SELECT count(*) FROM visit_photos f WHERE f.task_id = %(task_id)s) < %(count_max)s
RETURNING id

-- name: photos
-- what was taken at one visit, without the pictures
SELECT f.id, f.at, u.display_name AS by FROM visit_photos f JOIN users u ON u.id = f.user_id
WHERE f.task_id = %(task_id)s AND EXISTS (
  SELECT 1 FROM consents k WHERE k.household_id = f.household_id AND k.purpose = 'visit_photo' AND k.withdrawn_at IS NULL)
ORDER BY f.id

-- name: photo
SELECT f.id, f.household_id, f.picture FROM visit_photos f
WHERE f.id = %(id)s AND f.task_id = %(task_id)s AND EXISTS (
  SELECT 1 FROM consents k WHERE k.household_id = f.household_id AND k.purpose = 'visit_photo' AND k.withdrawn_at IS NULL)

-- name: photo_remove
-- by whoever took it
DELETE FROM visit_photos WHERE id = %(id)s AND task_id = %(task_id)s AND user_id = %(user_id)s RETURNING household_id

-- name: photo_entry
INSERT INTO case_entries (case_id, at, words, args, user_id) VALUES (%(case_id)s, %(at)s, %(words)s, '{}', %(user_id)s)
