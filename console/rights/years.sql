-- How many rows of each class there are, by the year they are of. Events are counted by the server's own estimate.

-- name: door_events
SELECT coalesce(nullif(left(right(c.relname, 8), 4), '')::int, 0) AS year,
       sum(CASE WHEN c.relkind = 'p' THEN pieces.count ELSE greatest(c.reltuples, 0) END)::bigint AS count
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
CROSS JOIN LATERAL (SELECT sum(greatest(p.reltuples, 0)) AS count
                    FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid WHERE h.inhparent = c.oid) AS pieces
WHERE i.inhparent = 'door_events'::regclass AND c.relname ~ '^door_events_[0-9]{8}$' GROUP BY 1

-- name: quarantine
SELECT extract(year FROM received_at)::int AS year, count(*) FROM quarantine GROUP BY 1

-- name: messages
SELECT extract(year FROM created_at)::int AS year, count(*) FROM outbox GROUP BY 1

-- name: facts
SELECT extract(year FROM at)::int AS year, count(*) FROM stage_crossings GROUP BY 1

-- name: happenings
SELECT extract(year FROM at)::int AS year, count(*) FROM happenings GROUP BY 1

-- name: checks
SELECT extract(year FROM at)::int AS year, count(*) FROM checks_due GROUP BY 1

-- name: signals
SELECT extract(year FROM at)::int AS year, count(*) FROM signals GROUP BY 1

-- name: cases
SELECT extract(year FROM opened_at)::int AS year, count(*) FROM cases GROUP BY 1

-- name: absences
SELECT extract(year FROM to_at)::int AS year, count(*) FROM absences GROUP BY 1

-- name: words
SELECT extract(year FROM at)::int AS year, count(*) FROM verified_contacts GROUP BY 1

-- name: consents
SELECT extract(year FROM given_at)::int AS year, count(*) FROM consents GROUP BY 1

-- name: leases
SELECT extract(year FROM from_at)::int AS year, count(*) FROM leases GROUP BY 1

-- name: desk_notes
SELECT extract(year FROM at)::int AS year, count(*) FROM desk_notes GROUP BY 1

-- name: addresses
SELECT extract(year FROM added_at)::int AS year, count(*) FROM contact_channels GROUP BY 1

-- name: reviews
SELECT extract(year FROM flagged_at)::int AS year, count(*) FROM note_reviews GROUP BY 1
