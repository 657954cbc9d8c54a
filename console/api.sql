-- Statements of the JSON API whose answer is made in the database: the text leaves as it is sent.

-- name: enter_case_list
-- Who asks (seat: the same as one text), and the stamps of the list in the scope just opened for her, newest first, one case beyond it. A stamp is
-- another as soon as anything of the row is, or the name that is shown of its holder; each stands on a line of its own.
-- What is asked in this transaction afterwards is planned once: making the plan takes longer than making an item.
WITH opened AS MATERIALIZED (
  SELECT set_config('statement_timeout', %(timeout)s, true) AS timeout,
         set_config('plan_cache_mode', 'force_generic_plan', true) AS mode, open_scope(%(token_hash)s, %(wall)s) AS open
)
SELECT o.open, s::text AS seat, s.*, l.stamps
FROM opened o
LEFT JOIN LATERAL (SELECT * FROM find_seat(%(token_hash)s) WHERE o.open) s ON true
LEFT JOIN LATERAL (
  SELECT string_agg(x.stamp, chr(10)) AS stamps FROM (
    -- Most cases have no holder: who holds one is looked up for that one alone.
    SELECT c.id || ':' || c.xmin::text || CASE WHEN c.holder_id IS NULL THEN '' ELSE coalesce(':' || (
             SELECT translate(u.display_name, chr(10), ' ') FROM users u WHERE u.id = c.holder_id), '') END AS stamp
    FROM cases c
    WHERE o.open
      AND (%(after)s::bigint IS NULL OR c.id < %(after)s)
      AND (%(community_id)s::text IS NULL OR c.community_id = %(community_id)s)
      AND (%(households)s::text[] IS NULL OR c.household_id = ANY(%(households)s))
      AND (%(household_id)s::text IS NULL OR c.household_id = %(household_id)s)
      AND (%(stage)s::int IS NULL OR (c.stage = %(stage)s AND c.cause = 'inactivity'))
      AND (%(states)s::text[] IS NULL OR c.state = ANY(%(states)s))
      AND (%(cause)s::text IS NULL OR c.cause = %(cause)s)
      AND (%(causes)s::text[] IS NULL OR c.cause = ANY(%(causes)s))
    ORDER BY c.id DESC LIMIT %(limit)s
  ) x
) l ON true

-- name: case_items
-- The items of some cases as JSON texts with the stamps of their rows, for who sees each of them with its household.
SELECT c.id, c.id || ':' || c.xmin::text || coalesce(':' || translate(u.display_name, chr(10), ' '), '') AS stamp, row_to_json(item)::text AS item
FROM cases c LEFT JOIN users u ON u.id = c.holder_id
CROSS JOIN LATERAL (
  SELECT c.id, c.number, c.household_id AS household,
         (ARRAY['warning', 'call', 'visit'])[least(c.stage, 3)] AS stage,
         c.check_step, c.state, c.cause, c.priority,
         CASE WHEN c.cause = 'inactivity' THEN c.grade END AS grade,
         c.signal_count,
         to_char(c.opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS opened_at,
         to_char(c.stage_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS stage_at,
         to_char(c.deadline_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS deadline_at,
         to_char(c.evidence_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS last_evidence_at,
         u.display_name AS holder, c.holder_id,
         nullif(c.next_action, '') AS next_action,
         to_char(c.next_action_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS next_action_at,
         c.outcome,
         to_char(c.closed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS closed_at
) item
WHERE c.id = ANY(%(ids)s)
