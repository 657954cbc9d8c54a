-- name: ticket_officer
-- until when somebody's training counts, and how many look-ups she asked for since the day began
SELECT u.trained_until,
       (SELECT count(*) FROM look_up_tickets t WHERE t.asked_by = u.id AND t.asked_at >= %(since)s
        AND NOT t.emergency) AS asked,
       (SELECT count(*) FROM look_up_tickets t WHERE t.asked_by = u.id AND t.asked_at >= %(since)s
        AND t.emergency) AS emergencies
FROM users u WHERE u.id = %(user_id)s

-- name: ticket_lock_officer
-- one asking of an officer at a time, so that the day's limit holds for two windows too
SELECT id FROM users WHERE id = %(user_id)s FOR UPDATE

-- name: ticket_door
-- how many buildings one door of the community serves; a door of no home is a gate
SELECT count(DISTINCT h.building) AS buildings
FROM devices v JOIN sites si ON si.id = v.site_id
LEFT JOIN household_doors d ON d.device_id = v.id LEFT JOIN households h ON h.id = d.household_id
WHERE v.id = %(door)s AND si.community_id = %(community_id)s

-- name: ticket_add
-- the new ticket's id
INSERT INTO look_up_tickets (community_id, asked_by, asked_at, purpose, document_number, basis, door, buildings, unit,
  subject, from_at, to_at, limits, emergency, reason, state, granted_wall, review_due_at, delayed_until)
VALUES (%(community_id)s, %(asked_by)s, %(asked_at)s, %(purpose)s, %(document_number)s, %(basis)s, %(door)s,
  %(buildings)s, %(unit)s, %(subject)s, %(from_at)s, %(to_at)s, %(limits)s, %(emergency)s, %(reason)s, %(state)s,
  %(granted_wall)s, %(review_due_at)s, %(delayed_until)s)
RETURNING id

-- name: ticket
-- one ticket with the names of those who asked, decided and reviewed, and where its door is
SELECT t.*, a.display_name AS asker, d.display_name AS decider, r.display_name AS reviewer, v.place AS door_place
FROM look_up_tickets t JOIN users a ON a.id = t.asked_by LEFT JOIN devices v ON v.id = t.door
LEFT JOIN users d ON d.id = t.decided_by LEFT JOIN users r ON r.id = t.reviewed_by
WHERE t.id = %(id)s

-- name: ticket_lock
-- holds one ticket until the transaction ends
SELECT id FROM look_up_tickets WHERE id = %(id)s FOR UPDATE

-- name: tickets
-- tickets of a community, newest first: one officer's own, those that wait, or those whose review is owed
SELECT t.*, a.display_name AS asker, d.display_name AS decider, r.display_name AS reviewer,
       (SELECT count(*) FROM look_up_reads k WHERE k.ticket_id = t.id AND k.result = 'read') AS readings
FROM look_up_tickets t JOIN users a ON a.id = t.asked_by
LEFT JOIN users d ON d.id = t.decided_by LEFT JOIN users r ON r.id = t.reviewed_by
WHERE t.community_id = %(community_id)s
  AND (%(asked_by)s::bigint IS NULL OR t.asked_by = %(asked_by)s)
  AND (%(not_by)s::bigint IS NULL OR t.asked_by <> %(not_by)s)
  AND (NOT %(waiting)s OR t.state = 'asked')
  AND (NOT %(unreviewed)s OR (t.review_due_at IS NOT NULL AND t.reviewed_at IS NULL))
ORDER BY t.id DESC LIMIT %(limit)s

-- name: tickets_overdue
-- reviews of emergencies that are over their day
SELECT count(*) AS count FROM look_up_tickets
WHERE community_id = %(community_id)s AND review_due_at < %(now)s AND reviewed_at IS NULL

-- name: ticket_decide
-- one row where the ticket still waited
UPDATE look_up_tickets SET state = %(state)s, granted_wall = %(granted_wall)s, decided_by = %(user_id)s,
  decided_role = %(role)s, decided_at = %(now)s, decision_reason = %(reason)s,
  delayed_until = CASE WHEN %(keep_delay)s THEN delayed_until END
WHERE id = %(id)s AND state = 'asked' RETURNING id

-- name: ticket_withdraw
-- one row where the ticket still waited
UPDATE look_up_tickets SET state = 'withdrawn', delayed_until = NULL
WHERE id = %(id)s AND asked_by = %(user_id)s AND state = 'asked' RETURNING id

-- name: ticket_review
-- one row where the review was still owed
UPDATE look_up_tickets SET reviewed_by = %(user_id)s, reviewed_at = %(now)s, review = %(review)s,
  review_reason = %(reason)s, delayed_until = CASE WHEN %(keep_delay)s THEN delayed_until END
WHERE id = %(id)s AND review_due_at IS NOT NULL AND reviewed_at IS NULL RETURNING id

-- name: ticket_readings
-- every try to read under a ticket, newest first
SELECT k.at, k.result, k.row_count, coalesce(u.display_name, '') AS reader FROM look_up_reads k
LEFT JOIN users u ON u.id = k.reader_id WHERE k.ticket_id = %(id)s ORDER BY k.id DESC LIMIT 50

-- name: look_up_events
-- the rows a ticket opens; the function writes down that it was asked, whatever it answers
SELECT * FROM look_up_events(%(ticket_id)s, %(reader_id)s, %(now)s, %(wall)s, %(older)s, %(newer)s, %(device_no)s,
  %(boot)s, %(seq)s, %(limit)s)

-- name: look_up_read
-- what the function wrote down last in this transaction
SELECT id, result, row_count FROM look_up_reads WHERE xact = pg_current_xact_id() ORDER BY id DESC LIMIT 1

-- name: reads_outside_chain
-- readings the audit chain does not know: made past the console
SELECT k.id, k.at, k.ticket_id, k.result, k.row_count, k.database_user FROM look_up_reads k
WHERE NOT EXISTS (SELECT 1 FROM audit_entries a WHERE a.detail ? 'read_id' AND a.detail->>'read_id' = k.id::text)
ORDER BY k.id DESC LIMIT %(limit)s

-- name: reads_lost
-- entries of the audit chain about readings that are no longer there
SELECT a.id FROM audit_entries a
WHERE a.detail ? 'read_id' AND NOT EXISTS (SELECT 1 FROM look_up_reads k WHERE k.id::text = a.detail->>'read_id')
ORDER BY a.id LIMIT %(limit)s

-- name: public_look_ups
-- tickets granted per month and purpose, and per month how many were refused and how many are told later
SELECT to_char(t.asked_at AT TIME ZONE c.zone, 'YYYY-MM') AS month, t.purpose,
       count(*) FILTER (WHERE t.state = 'granted') AS granted,
       count(*) FILTER (WHERE t.state = 'refused') AS refused,
       count(*) FILTER (WHERE t.emergency) AS emergencies,
       count(*) FILTER (WHERE t.delayed_until IS NOT NULL) AS delayed
FROM look_up_tickets t JOIN communities c ON c.id = t.community_id
WHERE t.community_id = %(community_id)s AND t.asked_at >= %(since)s
GROUP BY 1, 2 ORDER BY 1 DESC, 2

-- name: public_communities
SELECT id, name, zone FROM communities ORDER BY name, id LIMIT 500

-- name: audit_drawn
-- looks drawn for the auditor by their hash, those without a mark first, then the newest
SELECT a.id, a.at, a.role, a.action, a.purpose, a.object_kind, a.object_id, a.detail,
       coalesce(u.display_name, a.actor) AS who, h.label AS household_label,
       m.mark, m.reason, m.marked_at, mu.display_name AS marker
FROM audit_entries a
LEFT JOIN users u ON a.actor = 'user:' || u.id
LEFT JOIN households h ON h.id = coalesce(a.detail->>'household', CASE WHEN a.object_kind = 'household' THEN a.object_id END)
LEFT JOIN audit_marks m ON m.entry_id = a.id
LEFT JOIN users mu ON mu.id = m.marked_by
WHERE a.action = ANY(%(actions)s) AND a.detail->>'community' = %(community_id)s
  AND (m.entry_id IS NOT NULL OR a.detail ? 'noted'
       OR ('x' || encode(substr(a.hash, 1, 4), 'hex'))::bit(32)::bigint < %(share)s::float8 * 4294967296)
  AND (%(id)s::bigint IS NULL OR a.id = %(id)s)
ORDER BY (m.entry_id IS NOT NULL), a.id DESC LIMIT %(limit)s

-- name: audit_mark
-- one row where nobody had marked it
INSERT INTO audit_marks (entry_id, mark, reason, marked_by, marked_at)
VALUES (%(id)s, %(mark)s, %(reason)s, %(user_id)s, %(now)s)
ON CONFLICT (entry_id) DO NOTHING RETURNING entry_id

-- name: audit_looks_by_person
-- how often each person of a community looked since then, with her role
SELECT a.actor, coalesce(u.display_name, a.actor) AS who, a.role, count(*) AS looks
FROM audit_entries a LEFT JOIN users u ON a.actor = 'user:' || u.id
WHERE a.action = ANY(%(actions)s) AND a.detail->>'community' = %(community_id)s AND a.at >= %(since)s
GROUP BY 1, 2, 3

-- name: audit_peers
-- everybody who works in the community, so that who never looked counts among her peers
SELECT 'user:' || u.id AS actor, u.display_name AS who, u.role FROM users u
WHERE u.community_id = %(community_id)s AND u.disabled_at IS NULL

-- name: audit_watched_homes
-- homes that many different people looked up or revealed since then
SELECT household AS household_id, h.label, count(DISTINCT actor) AS people, count(*) AS looks
FROM (
  SELECT a.actor, unnest(ARRAY(SELECT jsonb_array_elements_text(
           CASE WHEN jsonb_typeof(a.detail->'households') = 'array' THEN a.detail->'households' ELSE '[]' END))
         || ARRAY[coalesce(a.detail->>'household', CASE WHEN a.object_kind = 'household' THEN a.object_id END)]) AS household
  FROM audit_entries a
  WHERE a.action = ANY(%(actions)s) AND a.detail->>'community' = %(community_id)s AND a.at >= %(since)s
) looks JOIN households h ON h.id = household
GROUP BY 1, 2 HAVING count(DISTINCT actor) >= %(people_min)s ORDER BY 3 DESC, 4 DESC LIMIT 50

-- name: audit_quick_closings
-- tasks somebody ended as well, with how long after the case opened and after her own first trace on it
SELECT c.id, c.number, t.done_at AS at, u.display_name AS who, u.role,
       extract(epoch FROM t.done_at - c.opened_at)::float8 AS since_opened_s,
       extract(epoch FROM t.done_at - (
         SELECT min(b.at) FROM audit_entries b WHERE b.actor = 'user:' || u.id AND b.at < t.done_at
         AND (b.detail->>'case' = c.id::text OR (b.object_kind = 'case' AND b.object_id = c.id::text)
              OR (b.object_kind = 'task' AND b.object_id = t.id::text))))::float8 AS since_seen_s
FROM tasks t JOIN cases c ON c.id = t.case_id JOIN users u ON u.id = t.done_by
WHERE t.outcome = 'well' AND t.done_at >= %(since)s AND c.community_id = %(community_id)s
ORDER BY t.done_at DESC LIMIT 2000

-- name: audit_hash
-- where in the chain an entry stands
SELECT id, encode(hash, 'hex') AS hash FROM audit_entries WHERE id = %(id)s
