-- Statements of a community's duty line.

-- name: duty_line
-- the number and the hours of one community, or of the one a home belongs to
SELECT l.phone, l.hours, l.hours_en FROM duty_lines l
WHERE l.community_id = coalesce(%(community_id)s::text,
  (SELECT s.community_id FROM households h JOIN sites s ON s.id = h.site_id WHERE h.id = %(household_id)s))

-- name: number_of_staff
SELECT 1 FROM staff_phones WHERE right(regexp_replace(phone, '[^0-9]', '', 'g'), 11) = right(%(number)s, 11) LIMIT 1

-- name: put_duty_line
INSERT INTO duty_lines (community_id, phone, hours, hours_en, changed_at, changed_by)
VALUES (%(community_id)s, %(phone)s, %(hours)s, nullif(%(hours_en)s, ''), %(now)s, %(by)s)
ON CONFLICT (community_id) DO UPDATE
SET phone = excluded.phone, hours = excluded.hours, hours_en = excluded.hours_en, changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: end_duty_line
DELETE FROM duty_lines WHERE community_id = %(community_id)s
