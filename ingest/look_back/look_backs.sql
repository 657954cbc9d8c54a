-- name: lock
-- One reader of an installation at a time, for as long as its connection stands.
SELECT pg_try_advisory_lock(7241028) AS ours;

-- name: waiting
SELECT EXISTS (SELECT 1 FROM look_backs WHERE report IS NULL AND refusal IS NULL) AS waiting;

-- name: give_up
-- What was begun too often brings its reader down.
UPDATE look_backs SET refusal = 'failed'
WHERE report IS NULL AND refusal IS NULL AND attempts >= %(attempts_max)s;

-- name: begin
-- The oldest that waits, counted as begun.
UPDATE look_backs SET attempts = attempts + 1
WHERE id = (SELECT id FROM look_backs WHERE report IS NULL AND refusal IS NULL ORDER BY id LIMIT 1)
RETURNING id, community_id, days, policies;

-- name: advance
UPDATE look_backs SET households_done = %(done)s, households_all = %(of)s WHERE id = %(id)s;

-- name: end
UPDATE look_backs SET report = %(report)s, refusal = %(refusal)s WHERE id = %(id)s;
