-- On which numbers staff are rung.

-- name: staff_phone
SELECT phone, position FROM staff_phones WHERE user_id = %(user_id)s AND rings

-- name: ring
INSERT INTO staff_phones (user_id, phone, position) VALUES (%(user_id)s, %(phone)s, %(position)s)
ON CONFLICT (user_id) DO UPDATE SET phone = excluded.phone, position = excluded.position, rings = true

-- name: ring_no_more
UPDATE staff_phones SET rings = false WHERE user_id = %(user_id)s AND rings
