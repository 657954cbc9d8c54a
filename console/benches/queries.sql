-- name: lag_gaps
-- How many spans between neighbouring openings are longer than each of three thresholds; duckdb and PostgreSQL.
SELECT count(*) FILTER (WHERE gap > 86400), count(*) FILTER (WHERE gap > 172800), count(*) FILTER (WHERE gap > 259200)
FROM (
  SELECT instant_s - lag(instant_s) OVER (PARTITION BY household ORDER BY instant_s) AS gap FROM openings
) AS gaps;

-- name: overdue
-- How many households had no opening since an instant, in duckdb.
SELECT count(*) FROM states WHERE last_s <= ?;

-- name: newest_states
-- Each household's last opening after a batch, as a new table: duckdb rewrites rows that are updated.
CREATE OR REPLACE TABLE newest AS
SELECT s.household, greatest(s.last_s, coalesce(b.at_s, 0)) AS last_s
FROM states s
LEFT JOIN (SELECT household, max(at_s) AS at_s FROM batch GROUP BY household) b ON b.household = s.household;

-- name: overdue_openings
-- The same in PostgreSQL, by the index.
SELECT count(*) FROM last_openings WHERE last_s <= %s;

-- name: take_batch
UPDATE last_openings l SET last_s = b.at_s
FROM (SELECT household, max(at_s) AS at_s FROM batch GROUP BY household) b
WHERE b.household = l.household AND l.last_s < b.at_s;
