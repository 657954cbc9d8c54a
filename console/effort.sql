-- What watching costs the people who do it, counted from stored facts.

-- name: effort
-- One row per span of a community: calls and visits done, minutes between taking up a task and its result (at most four
-- hours each: who forgot to record did not work that long), and messages that left for people.
WITH span AS (
  SELECT s.no, s.begins_at, s.ends_at
  FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS s(begins_at, ends_at, no)
), work AS (
  SELECT t.kind, t.done_at,
         least(extract(epoch FROM t.done_at - coalesce(t.begun_at, t.claimed_at, t.done_at)), 4 * 3600) / 60 AS minutes
  FROM tasks t JOIN cases c ON c.id = t.case_id
  WHERE c.community_id = %(community_id)s AND t.state = 'done' AND t.kind IN ('call', 'visit')
    AND t.done_at >= %(from_at)s AND t.done_at <= %(now)s
), sent AS (
  SELECT o.created_at FROM outbox o JOIN cases c ON c.id = o.case_id
  WHERE c.community_id = %(community_id)s AND o.channel <> 'console'
    AND o.state IN ('accepted', 'delivered', 'answered', 'confirmed')
    AND o.created_at >= %(from_at)s AND o.created_at <= %(now)s
)
SELECT s.begins_at,
       (SELECT count(*) FROM work w WHERE w.kind = 'call' AND w.done_at >= s.begins_at AND w.done_at < s.ends_at) AS calls,
       (SELECT count(*) FROM work w WHERE w.kind = 'visit' AND w.done_at >= s.begins_at AND w.done_at < s.ends_at) AS visits,
       (SELECT coalesce(sum(greatest(w.minutes, 0)), 0) FROM work w
        WHERE w.done_at >= s.begins_at AND w.done_at < s.ends_at) AS minutes,
       (SELECT count(*) FROM sent m WHERE m.created_at >= s.begins_at AND m.created_at < s.ends_at) AS messages
FROM span s ORDER BY s.no
