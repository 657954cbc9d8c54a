-- What the outbox is filled with, and the queues it is compared with.

-- name: fill_outbox
-- Messages for the console of all open cases in turn, in two lanes, each due at an instant of its own; what an earlier
-- run sent is gone.
TRUNCATE outbox CASCADE;
INSERT INTO outbox (case_id, step, person, channel, repetition, idempotency_key, template, args, state, created_at,
  not_before, lane)
SELECT c.ids[n %% cardinality(c.ids) + 1], 'call', 'community:c1/property_clerk', 'console', 1000 + n,
  gen_random_uuid()::text, 'case', '{}', 'planned', %(now)s, %(now)s::timestamptz - n * interval '1 millisecond', n %% 2
FROM generate_series(1, %(messages)s) n, (SELECT array_agg(id ORDER BY id) AS ids FROM cases WHERE state <> 'closed') c

-- name: count_waiting
SELECT count(*) AS count FROM outbox WHERE state IN ('planned', 'leased')

-- name: make_queue
-- The least a queue in this database can be: what any outbox is compared with.
DROP TABLE IF EXISTS bare_queue;
CREATE TABLE bare_queue (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text NOT NULL);
INSERT INTO bare_queue (state) SELECT 'planned' FROM generate_series(1, %(messages)s);
CREATE INDEX ON bare_queue (id) WHERE state = 'planned';
ANALYZE bare_queue

-- name: bare_done
-- The barest way to take rows and be done with them, in one statement.
UPDATE bare_queue q SET state = 'done'
FROM (SELECT id FROM bare_queue WHERE state = 'planned' ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) found
WHERE q.id = found.id
RETURNING q.id

-- name: bare_deleted
-- A queue that forgets what it sent.
DELETE FROM bare_queue q
USING (SELECT id FROM bare_queue WHERE state = 'planned' ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) found
WHERE q.id = found.id
RETURNING q.id
