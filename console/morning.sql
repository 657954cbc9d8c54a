-- The morning list: who stands where, what is open about them, and what was found since the day began.

-- name: morning_states
-- every watched household of a community in walking order
SELECT id, grid, stage, known, absent_until, check_step FROM watched_homes(%(community_id)s, %(grid)s)
ORDER BY stage DESC, evidence_at, id

-- name: grids
SELECT DISTINCT h.grid FROM households h JOIN sites si ON si.id = h.site_id
WHERE si.community_id = %(community_id)s AND h.grid <> '' ORDER BY h.grid

-- name: morning_tasks
-- the one call or visit that is open about each of some homes: the visit before the call, then what is due first
SELECT DISTINCT ON (c.household_id) c.household_id, t.id, t.kind, t.due_at, a.display_name AS assignee
FROM tasks t JOIN cases c ON c.id = t.case_id LEFT JOIN users a ON a.id = t.assignee_id
WHERE c.community_id = %(community_id)s AND c.household_id = ANY(%(ids)s) AND c.cause = 'inactivity'
  AND c.state <> 'closed' AND t.kind IN ('call', 'visit') AND t.state IN ('open', 'claimed')
ORDER BY c.household_id, t.kind = 'visit' DESC, t.due_at, t.id

-- name: morning_early
-- of some homes those of the first day about which nobody was asked to ring or to go yet, with their case
SELECT c.household_id, c.id FROM cases c
WHERE c.community_id = %(community_id)s AND c.household_id = ANY(%(ids)s) AND c.cause = 'inactivity'
  AND c.state <> 'closed' AND c.proposal IS NULL AND greatest(c.stage, least(c.check_step, 3)) <= 1
  AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.case_id = c.id AND t.kind IN ('call', 'visit') AND t.state IN ('open', 'claimed'))

-- name: said_early
-- whether this person has just said the same of a home on its first day: pressed twice is said once
SELECT t.id FROM tasks t JOIN cases c ON c.id = t.case_id
WHERE c.household_id = %(household_id)s AND t.done_by = %(user_id)s AND t.outcome = %(outcome)s AND t.done_at = t.created_at
  AND t.done_at > %(since)s
LIMIT 1

-- name: morning_results
-- what calls and visits of a community found since an instant, newest first
SELECT t.id, c.household_id, t.kind, t.outcome, t.contacted, t.witness, t.done_at, b.display_name AS done_by
FROM tasks t JOIN cases c ON c.id = t.case_id JOIN households h ON h.id = c.household_id
LEFT JOIN users b ON b.id = t.done_by
WHERE c.community_id = %(community_id)s AND c.cause = 'inactivity' AND t.kind IN ('call', 'visit')
  AND t.state = 'done' AND t.done_at >= %(since)s AND t.outcome IS NOT NULL
  AND (%(grid)s = '' OR h.grid = %(grid)s)
ORDER BY t.done_at DESC, t.id DESC LIMIT %(limit)s
