-- Statements of the JSON API whose answer is made in the database: the text leaves as it is sent.

-- name: case_items
-- The items of a page of cases as one JSON text, newest first, for who sees each of them with its household.
SELECT coalesce('[' || string_agg(row_to_json(item)::text, ',') || ']', '[]') AS items FROM (
  SELECT c.id, c.number, c.household_id AS household,
         (ARRAY['warning', 'call', 'visit'])[least(c.stage, 3)] AS stage,
         c.check_step, c.state, c.cause, c.priority,
         CASE WHEN c.cause = 'inactivity' THEN c.grade END AS grade,
         c.signal_count,
         to_char(c.opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS opened_at,
         to_char(c.stage_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS stage_at,
         to_char(c.deadline_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS deadline_at,
         to_char(c.evidence_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS last_evidence_at,
         u.display_name AS holder,
         nullif(c.next_action, '') AS next_action,
         to_char(c.next_action_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS next_action_at,
         c.outcome,
         to_char(c.closed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS closed_at
  FROM cases c LEFT JOIN users u ON u.id = c.holder_id
  WHERE c.id = ANY(%(ids)s) ORDER BY c.id DESC
) item
