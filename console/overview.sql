-- Communities and grids in numbers. No number depends on whether somebody is away, so nobody can be found out by
-- subtraction; now is a parameter.

-- name: portfolio
-- one row per community asked for
WITH wanted AS (SELECT unnest(%(ids)s::text[]) AS id),
watched AS (
  SELECT si.community_id, count(*) AS watched, count(*) FILTER (WHERE NOT s.known) AS not_known
  FROM households h JOIN sites si ON si.id = h.site_id JOIN household_states s ON s.household_id = h.id
  WHERE si.community_id = ANY(%(ids)s)
    AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch' AND k.withdrawn_at IS NULL)
  GROUP BY si.community_id
), open_cases AS (
  SELECT community_id,
         count(*) FILTER (WHERE cause = 'inactivity' AND greatest(stage, check_step) <= 1) AS day1,
         count(*) FILTER (WHERE cause = 'inactivity' AND greatest(stage, check_step) = 2) AS day2,
         count(*) FILTER (WHERE cause = 'inactivity' AND greatest(stage, check_step) >= 3) AS day3,
         count(*) FILTER (WHERE cause NOT IN ('inactivity', 'absence')) AS others,
         min(stage_at) FILTER (WHERE holder_id IS NULL AND cause <> 'absence'
                               AND (held_until IS NULL OR held_until <= %(now)s)) AS unanswered_since
  FROM cases WHERE community_id = ANY(%(ids)s) AND state <> 'closed' GROUP BY community_id
), work AS (
  SELECT c.community_id,
         count(*) FILTER (WHERE t.due_at > %(since)s AND t.due_at <= %(now)s
                          AND t.state IN ('open', 'claimed', 'done')) AS due,
         count(*) FILTER (WHERE t.due_at > %(since)s AND t.due_at <= %(now)s
                          AND t.state = 'done' AND t.done_at <= t.due_at) AS kept,
         count(*) FILTER (WHERE t.kind = 'visit' AND t.state = 'done' AND t.done_at > %(week_ago)s) AS visits,
         count(*) FILTER (WHERE t.kind = 'call' AND t.state = 'done' AND t.done_at > %(week_ago)s) AS calls,
         -- from taking a task up to its result, at most four hours each, as the reports count it
         sum(greatest(least(extract(epoch FROM t.done_at - coalesce(t.begun_at, t.claimed_at, t.done_at)), 4 * 3600), 0) / 60)
           FILTER (WHERE t.kind IN ('call', 'visit') AND t.state = 'done' AND t.done_at > %(since)s AND t.done_at <= %(now)s)
           AS minutes
  FROM tasks t JOIN cases c ON c.id = t.case_id
  WHERE c.community_id = ANY(%(ids)s) AND c.cause <> 'absence' AND (t.due_at > %(since)s OR t.done_at > %(since)s)
  GROUP BY c.community_id
)
SELECT co.id, co.name, coalesce(a.watched, 0) AS watched, coalesce(a.not_known, 0) AS not_known,
       coalesce(o.day1, 0) AS day1, coalesce(o.day2, 0) AS day2, coalesce(o.day3, 0) AS day3,
       coalesce(o.others, 0) AS others, o.unanswered_since, coalesce(w.due, 0) AS due, coalesce(w.kept, 0) AS kept,
       coalesce(w.visits, 0) AS visits, coalesce(w.calls, 0) AS calls,
       coalesce(w.minutes, 0)::float8 AS minutes
FROM wanted JOIN communities co ON co.id = wanted.id
LEFT JOIN watched a ON a.community_id = co.id
LEFT JOIN open_cases o ON o.community_id = co.id
LEFT JOIN work w ON w.community_id = co.id
ORDER BY day3 DESC, day2 DESC, co.name, co.id

-- name: grids
-- one row per grid of a community; the empty name is of homes in no grid
WITH homes AS (
  SELECT h.id, h.grid, s.household_id IS NOT NULL AND k.standing AS watched, k.given, k.standing,
         EXISTS (SELECT 1 FROM persons p WHERE p.household_id = h.id AND p.relation = 'resident'
                 AND p.category IS NOT NULL) AS cared_for,
         (SELECT count(DISTINCT c.role) FROM household_contacts c WHERE c.household_id = h.id
          AND c.role IN ('neighbour_watcher', 'stairwell_liaison', 'safety_guardian')) AS helper_roles
  FROM households h JOIN sites si ON si.id = h.site_id
  LEFT JOIN household_states s ON s.household_id = h.id
  LEFT JOIN LATERAL (SELECT count(*) > 0 AS given, coalesce(bool_or(withdrawn_at IS NULL), false) AS standing
                     FROM consents WHERE household_id = h.id AND purpose = 'watch') k ON true
  WHERE si.community_id = %(community_id)s
), visits AS (
  SELECT h.grid, count(*) AS due, count(*) FILTER (WHERE t.state = 'done') AS done
  FROM tasks t JOIN cases c ON c.id = t.case_id JOIN households h ON h.id = t.household_id
  WHERE c.community_id = %(community_id)s AND c.cause <> 'absence' AND t.kind = 'visit'
    AND t.state IN ('open', 'claimed', 'done') AND t.due_at >= %(month_begin)s AND t.start_at <= %(now)s
  GROUP BY h.grid
), open_cases AS (
  SELECT h.grid, count(*) FILTER (WHERE greatest(c.stage, c.check_step) <= 1) AS day1,
         count(*) FILTER (WHERE greatest(c.stage, c.check_step) = 2) AS day2,
         count(*) FILTER (WHERE greatest(c.stage, c.check_step) >= 3) AS day3
  FROM cases c JOIN households h ON h.id = c.household_id
  WHERE c.community_id = %(community_id)s AND c.cause = 'inactivity' AND c.state <> 'closed' GROUP BY h.grid
)
SELECT m.grid, count(*) AS homes, count(*) FILTER (WHERE m.watched) AS watched,
       count(*) FILTER (WHERE m.watched AND m.helper_roles < 3) AS without_helper,
       count(*) FILTER (WHERE m.cared_for AND NOT m.given) AS consent_missing,
       count(*) FILTER (WHERE m.given AND NOT m.standing) AS consent_withdrawn,
       coalesce(max(o.day1), 0) AS day1, coalesce(max(o.day2), 0) AS day2, coalesce(max(o.day3), 0) AS day3,
       coalesce(max(v.due), 0) AS due, coalesce(max(v.done), 0) AS done
FROM homes m LEFT JOIN visits v ON v.grid = m.grid LEFT JOIN open_cases o ON o.grid = m.grid
GROUP BY m.grid ORDER BY m.grid = '', length(m.grid), m.grid
