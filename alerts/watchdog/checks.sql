-- Statements of the watchdog. None of them looks back a bounded time: what was forgotten for years is found too.

-- name: cases_without_future
-- Open cases with nothing ahead of them, the longest first.
SELECT id, number, next_action_at FROM cases
WHERE state <> 'closed' AND (next_action_at IS NULL OR next_action_at <= %(now)s)
ORDER BY next_action_at NULLS FIRST, id LIMIT %(limit)s

-- name: nobody_answers
-- Consenting households at a stage or a check for which nobody has an open case; how many, and a mark of the first.
-- What a person closed a moment ago waits for its policy's time of reopening.
SELECT count(*) AS count, md5(min(hs.household_id)) AS mark
FROM household_states hs
WHERE (hs.stage > 0 OR hs.check_step > 0) AND NOT hs.in_fault
  AND (hs.absent_until IS NULL OR hs.absent_until <= %(now)s)
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = hs.household_id AND k.purpose = 'watch'
                AND k.withdrawn_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.household_id = hs.household_id AND c.cause = 'inactivity'
                    AND (c.state <> 'closed' OR c.outcome = 'deceased'
                         OR c.closed_at + coalesce((c.policy->>'reopen_after_ms')::bigint, 14400000)
                            * interval '1 millisecond' + interval '1 hour' > %(now)s))
  AND NOT EXISTS (SELECT 1 FROM case_households ch JOIN cases c ON c.id = ch.case_id AND c.state <> 'closed'
                  WHERE ch.household_id = hs.household_id AND ch.to_at IS NULL AND hs.stage = 0)

-- name: outbox_waiting
-- Messages that may go out and have not, by channel and lane: how many, and when the first was due.
SELECT channel, lane, count(*) AS count, min(greatest(not_before, created_at)) AS oldest
FROM outbox WHERE state IN ('planned', 'leased') AND not_before <= %(now)s
GROUP BY channel, lane

-- name: outgoing
-- When a way out of the house last worked (wall time), and since when something that must leave it waits (community).
SELECT
  (SELECT max(last_ok_at) FROM channel_states WHERE channel <> 'console') AS ok_at,
  (SELECT max(answered_at) FROM call_attempts) AS answered_at,
  (SELECT min(greatest(not_before, created_at)) FROM outbox
   WHERE channel <> 'console' AND state IN ('planned', 'leased') AND not_before <= %(now)s
     AND lane < 2) AS waits_since

-- name: progress
SELECT service, at, turn FROM service_progress

-- name: leases
-- Groups nobody holds: the lease is wall time.
SELECT group_no FROM ingest_leases WHERE expires_at IS NULL OR expires_at <= %(wall)s ORDER BY group_no

-- name: database_clock
-- The database's own clock: measured here, deciding nothing.
SELECT clock_timestamp() AS at, pg_postmaster_start_time() AS started_at

-- name: happenings_waiting
-- What alerts has not taken: how many, and which is the first.
SELECT count(*) AS count, min(id) AS first FROM happenings WHERE handled_at IS NULL AND retry_at IS NULL

-- name: happenings_set_aside
SELECT count(*) AS count FROM happenings WHERE handled_at IS NULL AND retry_at IS NOT NULL

-- name: open_findings
SELECT id, check_name, subject, mark, suspected_at, found_at, told_count, tell_at, detail
FROM watchdog_findings WHERE ended_at IS NULL ORDER BY id

-- name: insert_finding
INSERT INTO watchdog_findings (check_name, subject, mark, suspected_at, found_at, ended_at, detail)
VALUES (%(check)s, %(subject)s, %(mark)s, %(suspected_at)s, %(found_at)s, %(ended_at)s, %(detail)s)

-- name: keep_finding
UPDATE watchdog_findings SET detail = %(detail)s WHERE id = %(id)s AND detail IS DISTINCT FROM %(detail)s

-- name: found
UPDATE watchdog_findings SET found_at = %(wall)s WHERE id = ANY(%(ids)s)

-- name: ended
UPDATE watchdog_findings SET ended_at = %(wall)s WHERE id = ANY(%(ids)s)

-- name: forget
DELETE FROM watchdog_findings WHERE id = ANY(%(ids)s) AND found_at IS NULL

-- name: untold_ends
-- Findings that are over, were told and whose end was not; and those over before they could be told.
SELECT id, check_name, subject, suspected_at, ended_at, told_count, detail FROM watchdog_findings
WHERE ended_at IS NOT NULL AND end_told_at IS NULL ORDER BY id LIMIT %(limit)s

-- name: told
UPDATE watchdog_findings SET told_at = %(wall)s, told_count = told_count + 1, tell_at = %(tell_at)s WHERE id = %(id)s

-- name: end_told
UPDATE watchdog_findings SET end_told_at = %(wall)s WHERE id = ANY(%(ids)s)

-- name: beat
INSERT INTO watchdog_beats (turned_at, pinged_at, told_at, has_channel, has_ping)
VALUES (%(wall)s, %(pinged_at)s, %(told_at)s, %(has_channel)s, %(has_ping)s)
ON CONFLICT (one) DO UPDATE SET turned_at = excluded.turned_at,
  pinged_at = coalesce(excluded.pinged_at, watchdog_beats.pinged_at),
  told_at = coalesce(excluded.told_at, watchdog_beats.told_at),
  has_channel = excluded.has_channel, has_ping = excluded.has_ping
