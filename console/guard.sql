-- Statements of the pages about the watchdog and of the list of whom to call.

-- name: shell
-- What stands on every page of a desk: whether nobody can be reached from here, whether messages are held back, and
-- when the watchdog turned.
SELECT
  EXISTS (SELECT 1 FROM outbox_holds WHERE ended_at IS NULL) AS held,
  EXISTS (SELECT 1 FROM watchdog_findings WHERE ended_at IS NULL AND found_at IS NOT NULL
            AND check_name = 'nobody_reached') AS unreached,
  (SELECT turned_at FROM watchdog_beats) AS turned_at

-- name: standing
SELECT check_name, subject, suspected_at, ended_at, told_count FROM watchdog_findings
WHERE ended_at IS NULL AND found_at IS NOT NULL ORDER BY suspected_at, id

-- name: ended
SELECT check_name, subject, suspected_at, ended_at, told_count FROM watchdog_findings
WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, id DESC LIMIT %(limit)s

-- name: beat
SELECT turned_at, pinged_at, told_at, has_channel, has_ping FROM watchdog_beats

-- name: must_be_called
-- Calls, visits and answers to help that a community still owes, the most pressing first; homes of a technical case
-- stand here by their own tasks.
SELECT t.id, c.number, h.id AS household_id, h.label, i.name, i.phone, t.due_at, count(*) OVER () AS total
FROM tasks t JOIN cases c ON c.id = t.case_id AND c.state <> 'closed'
LEFT JOIN households h ON h.id = coalesce(t.household_id, c.household_id)
LEFT JOIN LATERAL (
  SELECT pi.name, pi.phone FROM persons p JOIN person_identities pi ON pi.person_id = p.id
  WHERE p.household_id = h.id AND p.relation = 'resident' ORDER BY p.birth_year NULLS LAST, p.id LIMIT 1
) i ON true
WHERE c.community_id = %(community_id)s AND t.state IN ('open', 'claimed')
  AND t.kind IN ('call', 'visit', 'respond', 'look_into')
ORDER BY c.priority DESC, c.cause NOT IN ('sos', 'duress'), t.due_at, t.id
LIMIT %(limit)s

-- name: colleagues
-- People of the desk, and of the doors, who have a telephone here.
SELECT u.display_name, u.role, s.phone FROM users u JOIN staff_phones s ON s.user_id = u.id
WHERE u.community_id = %(community_id)s AND u.disabled_at IS NULL
ORDER BY u.role, s.position, u.display_name
