-- name: communities
SELECT id, name FROM communities ORDER BY name, id;

-- name: count_waiting
SELECT count(*) AS n FROM look_backs
WHERE community_id = %(community_id)s AND report IS NULL AND refusal IS NULL;

-- name: ask
INSERT INTO look_backs (community_id, days, policies, purpose, asked_by, asked_at)
VALUES (%(community_id)s, %(days)s, %(policies)s, %(purpose)s, %(asked_by)s, %(asked_at)s)
RETURNING id;

-- name: forget_oldest
-- Numbers of long ago are asked anew, not kept.
DELETE FROM look_backs WHERE id IN (
  SELECT id FROM look_backs WHERE community_id = %(community_id)s ORDER BY id DESC OFFSET %(kept)s
);

-- name: asked
SELECT id, community_id, days, policies, purpose, asked_at, attempts, households_done, households_all, report, refusal
FROM look_backs WHERE id = %(id)s AND community_id = ANY (%(communities)s::text[]);

-- name: earlier
SELECT id, days, policies, purpose, asked_at, report IS NOT NULL AS answered FROM look_backs
WHERE community_id = %(community_id)s ORDER BY id DESC LIMIT %(rows_max)s;
