-- Two devices that hang at one another's doors: the login that reaches every row writes both homes' windows anew.

-- name: exchange_lock
-- the standing windows of two devices at homes' own doors, kept as they are until the end of the transaction
SELECT d.household_id, d.device_id, d.from_at, v.place, v.site_id
FROM household_doors d JOIN devices v ON v.id = d.device_id
WHERE d.device_id = ANY(%(devices)s::text[]) AND d.role = 'dwelling' AND d.to_at IS NULL
ORDER BY d.device_id FOR UPDATE

-- name: exchange_whole
-- A device that hung at another's door from its first day on: its window is the other home's, as if it always had been.
UPDATE household_doors SET household_id = %(to_home)s
WHERE device_id = %(device_id)s AND household_id = %(from_home)s AND role = 'dwelling' AND to_at IS NULL

-- name: exchange_end
UPDATE household_doors SET to_at = %(since)s
WHERE device_id = %(device_id)s AND household_id = %(from_home)s AND role = 'dwelling' AND to_at IS NULL

-- name: exchange_begin
INSERT INTO household_doors (household_id, device_id, role, from_at) VALUES (%(to_home)s, %(device_id)s, 'dwelling', %(since)s)

-- name: exchange_place
UPDATE devices SET place = %(place)s WHERE id = %(device_id)s
