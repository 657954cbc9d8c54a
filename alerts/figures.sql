-- Figures of alarm management (ISA-18.2, EEMUA 191) and of telecare, counted from stored facts; nothing is estimated.

-- name: communities
SELECT id, name, zone FROM communities ORDER BY name, id

-- name: figures
-- One row per span of a community. An annunciation is a case's step told to the desk once, at the instant it was due.
WITH span AS (
  SELECT s.no, s.begins_at, s.ends_at
  FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS s(begins_at, ends_at, no)
), told AS (
  SELECT o.case_id, min(o.not_before) AS at, min(o.lane) AS lane, min(o.pressing) AS pressing,
    c.cause || coalesce(c.household_id, c.cause_key, c.id::text) AS subject
  FROM outbox o JOIN cases c ON c.id = o.case_id
  WHERE c.community_id = %(community_id)s AND o.channel = 'console' AND o.person LIKE 'community:%%'
    AND o.state <> 'superseded' AND o.not_before >= %(from_at)s AND o.not_before < %(to_at)s
    AND o.not_before <= %(now)s
  GROUP BY o.case_id, o.step, o.repetition, c.cause, c.household_id, c.cause_key, c.id
), counted AS (
  SELECT s.no, count(*) AS annunciated,
    count(*) FILTER (WHERE t.lane = 0 AND t.pressing = 0) AS high,
    count(*) FILTER (WHERE t.lane = 0 AND t.pressing > 0) AS middle,
    count(*) FILTER (WHERE t.lane > 0) AS low
  FROM span s JOIN told t ON t.at >= s.begins_at AND t.at < s.ends_at GROUP BY s.no
), flooded AS (
  -- A flood: more than ten annunciations in ten minutes; windows stand on the clock's tens.
  SELECT s.no, count(*) AS floods FROM (
    SELECT date_bin('10 minutes', at, 'epoch') AS at FROM told GROUP BY 1 HAVING count(*) > %(flood_over)s
  ) w JOIN span s ON w.at >= s.begins_at AND w.at < s.ends_at GROUP BY s.no
), chattered AS (
  SELECT s.no, count(DISTINCT w.subject) AS chattering FROM (
    SELECT subject, date_bin('1 hour', at, 'epoch') AS at FROM told GROUP BY 1, 2 HAVING count(*) >= %(chatter_from)s
  ) w JOIN span s ON w.at >= s.begins_at AND w.at < s.ends_at GROUP BY s.no
), stale AS (
  -- Cases that had stood for a day, and did still when the span ended, or now.
  SELECT s.no, count(*) AS stale FROM span s JOIN cases c ON c.community_id = %(community_id)s
    AND c.opened_at <= least(s.ends_at, %(now)s) - interval '24 hours'
    AND (c.closed_at IS NULL OR c.closed_at > least(s.ends_at, %(now)s))
  WHERE s.begins_at <= %(now)s AND c.priority > 0 GROUP BY s.no
), answered AS (
  SELECT s.no, percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM e.at - f.at)) AS seconds
  FROM (SELECT case_id, min(at) AS at FROM told GROUP BY case_id) f
  JOIN LATERAL (SELECT min(ce.at) AS at FROM case_entries ce
                WHERE ce.case_id = f.case_id AND ce.words = 'claimed' AND ce.at >= f.at) e ON e.at IS NOT NULL
  JOIN span s ON f.at >= s.begins_at AND f.at < s.ends_at GROUP BY s.no
), done AS (
  SELECT s.no,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM t.done_at - t.start_at))
      FILTER (WHERE t.kind = 'call') AS call_seconds,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM t.done_at - t.start_at))
      FILTER (WHERE t.kind = 'visit') AS visit_seconds
  FROM tasks t JOIN cases c ON c.id = t.case_id AND c.community_id = %(community_id)s
  JOIN span s ON t.done_at >= s.begins_at AND t.done_at < s.ends_at
  WHERE t.outcome IS NOT NULL AND t.kind IN ('call', 'visit')
    AND t.done_at >= %(from_at)s AND t.done_at < %(to_at)s
  GROUP BY s.no
), visits AS (
  -- A visit nobody needed any more (she opened, another step came) was not late.
  SELECT s.no, count(*) AS due, count(*) FILTER (WHERE t.done_at <= t.due_at) AS on_time
  FROM tasks t JOIN cases c ON c.id = t.case_id AND c.community_id = %(community_id)s
  JOIN span s ON t.due_at >= s.begins_at AND t.due_at < s.ends_at
  WHERE t.kind = 'visit' AND t.state <> 'superseded' AND t.due_at >= %(from_at)s AND t.due_at < %(to_at)s
    AND t.due_at <= %(now)s
  GROUP BY s.no
)
SELECT s.begins_at, s.ends_at, coalesce(n.annunciated, 0) AS annunciated, coalesce(n.high, 0) AS high,
  coalesce(n.middle, 0) AS middle, coalesce(n.low, 0) AS low, coalesce(f.floods, 0) AS floods,
  coalesce(h.chattering, 0) AS chattering, coalesce(st.stale, 0) AS stale, a.seconds AS acknowledge_s,
  d.call_seconds AS call_s, d.visit_seconds AS visit_s, coalesce(v.due, 0) AS visits_due,
  coalesce(v.on_time, 0) AS visits_on_time
FROM span s
LEFT JOIN counted n USING (no) LEFT JOIN flooded f USING (no) LEFT JOIN chattered h USING (no)
LEFT JOIN stale st USING (no) LEFT JOIN answered a USING (no) LEFT JOIN done d USING (no) LEFT JOIN visits v USING (no)
ORDER BY s.no DESC
