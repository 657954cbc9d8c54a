-- Statements about holding every message, and about letting go or dropping what is held.

-- name: begin_hold
INSERT INTO outbox_holds (reason, begun_at, begun_by, backup_at) VALUES (%(reason)s, %(wall)s, %(by)s, %(backup_at)s)
ON CONFLICT DO NOTHING
RETURNING id

-- name: held_messages
-- What waits for a person's word, the most pressing first; a call whose message was handed over is one of them.
SELECT o.id, o.case_id, c.number, c.community_id, o.channel, o.step, o.person, o.lane, o.created_at, o.not_before,
  coalesce(c.state = 'closed', false) AS case_closed
FROM outbox o LEFT JOIN cases c ON c.id = o.case_id
WHERE o.let_go_at IS NULL AND o.channel <> 'console' AND o.id > %(after)s
  AND (%(community_id)s::text IS NULL OR c.community_id = %(community_id)s)
  AND (o.state IN ('planned', 'leased', 'uncertain')
       OR EXISTS (SELECT 1 FROM calls l WHERE l.outbox_id = o.id AND l.state IN ('planned', 'leased')))
ORDER BY o.id
LIMIT %(limit)s

-- name: let_go
-- These may leave the house although the hold stands.
UPDATE outbox o SET let_go_at = %(wall)s
WHERE o.id = ANY(%(ids)s) AND o.let_go_at IS NULL AND o.channel <> 'console'
  AND EXISTS (SELECT 1 FROM outbox_holds h WHERE h.ended_at IS NULL)
RETURNING o.id

-- name: drop_messages
-- These go to nobody, nor do the calls that were made of them.
WITH dropped AS (
  UPDATE outbox o SET state = 'superseded', lease_owner = NULL, lease_expires_at = NULL
  WHERE o.id = ANY(%(ids)s) AND o.let_go_at IS NULL AND o.channel <> 'console'
    AND EXISTS (SELECT 1 FROM outbox_holds h WHERE h.ended_at IS NULL)
    AND (o.state IN ('planned', 'leased', 'uncertain')
         OR EXISTS (SELECT 1 FROM calls l WHERE l.outbox_id = o.id AND l.state IN ('planned', 'leased')))
  RETURNING o.id
), silent AS (
  UPDATE calls SET state = 'superseded', lease_owner = NULL, lease_expires_at = NULL
  WHERE outbox_id IN (SELECT id FROM dropped) AND state IN ('planned', 'leased')
)
SELECT id FROM dropped

-- name: end_hold
UPDATE outbox_holds SET ended_at = %(wall)s, ended_by = %(by)s WHERE ended_at IS NULL RETURNING id
