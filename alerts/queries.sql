-- Statements of alerts: every decision's instant is a parameter, nothing here reads the database's clock.

-- name: waiting_happenings
-- The oldest happenings of households and doors that nobody has handled, with what groups them; none behind one that
-- was set aside. Who calls for help does not wait behind the others.
SELECT h.id, h.kind, h.household_id, NULL AS cause, NULL AS cause_id, s.community_id, g.kind AS signal_kind,
       g.device_id AS signal_device_id
FROM happenings h
LEFT JOIN signals g ON h.kind IN ('signal', 'signal_ended') AND g.id = h.fact_id
LEFT JOIN households hh ON hh.id = h.household_id
LEFT JOIN sites s ON s.id = coalesce(g.site_id, hh.site_id)
WHERE h.handled_at IS NULL AND h.kind NOT LIKE 'outage%%'
  AND NOT EXISTS (
    SELECT 1 FROM happenings b WHERE b.handled_at IS NULL AND b.retry_at > %(now)s AND b.id <= h.id
    AND CASE WHEN g.id IS NULL THEN b.household_id = h.household_id AND b.kind NOT IN ('signal', 'signal_ended')
             ELSE b.fact_id = h.fact_id AND b.kind IN ('signal', 'signal_ended') END
  )
ORDER BY coalesce(g.kind IN ('sos', 'duress'), false) DESC, h.id
LIMIT %(limit)s

-- name: waiting_outages
-- The oldest happenings of outages that nobody has handled, with the cause they tell of; none behind one that was set
-- aside or is worked on under another cause. The oldest are taken first: an outage of everybody has very many.
WITH oldest AS MATERIALIZED (
  SELECT id, kind, fact_id FROM happenings
  WHERE handled_at IS NULL AND kind LIKE 'outage%%' AND (retry_at IS NULL OR retry_at <= %(now)s)
  ORDER BY id LIMIT %(limit)s
), told AS (
  SELECT h.id, h.kind, coalesce(m.outage_id, h.fact_id) AS outage_id, m.cause AS moved_to, m.cause_id AS moved_to_id
  FROM oldest h LEFT JOIN outage_moves m ON h.kind = 'outage_moved' AND m.id = h.fact_id
)
SELECT h.id, h.kind, NULL AS household_id, s.community_id, NULL AS signal_kind, NULL AS signal_device_id,
       coalesce(h.moved_to, CASE WHEN h.kind = 'outage_ended' THEN newest.cause END, o.cause) AS cause,
       coalesce(h.moved_to_id, CASE WHEN h.kind = 'outage_ended' THEN newest.cause_id END, o.cause_id) AS cause_id
FROM told h
JOIN outages o ON o.id = h.outage_id
JOIN devices d ON d.id = o.device_id
JOIN sites s ON s.id = d.site_id
LEFT JOIN LATERAL (
  SELECT m.cause, m.cause_id FROM outage_moves m WHERE m.outage_id = h.outage_id ORDER BY m.id DESC LIMIT 1
) newest ON true
WHERE NOT EXISTS (
    SELECT 1 FROM open_happenings b WHERE b.retry_at > %(now)s AND b.id < h.id AND b.outage_id = h.outage_id
  )
  AND NOT EXISTS (
    SELECT 1 FROM happenings b WHERE h.kind = 'outage_moved'
    AND b.kind = 'outage_began' AND b.fact_id = h.outage_id AND b.handled_at IS NULL
  )
  AND NOT EXISTS (
    SELECT 1 FROM outage_moves m JOIN happenings b ON b.kind = 'outage_moved' AND b.fact_id = m.id
    WHERE h.kind <> 'outage_began' AND m.outage_id = h.outage_id AND b.handled_at IS NULL AND b.id < h.id
  )
ORDER BY h.id

-- name: try_lock
-- Whether this transaction is now the only one that works on a key.
SELECT pg_try_advisory_xact_lock(hashtextextended(%(key)s, 7241)) AS locked

-- name: try_locks
-- On which of several keys this transaction is now the only one that works.
SELECT t.key, pg_try_advisory_xact_lock(hashtextextended(t.key, 7241)) AS locked
FROM unnest(%(keys)s::text[]) AS t (key)

-- name: lock
-- Waits until this transaction is the only one that works on a key.
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 7241))

-- name: claim_happenings
-- Of the given happenings those that are still unhandled, in order, locked for this transaction.
SELECT id, kind, fact_id, household_id, at FROM happenings
WHERE id = ANY(%(ids)s) AND handled_at IS NULL
ORDER BY id
FOR UPDATE SKIP LOCKED

-- name: happening_done
-- Marks a happening handled.
UPDATE happenings SET handled_at = %(now)s, retry_at = NULL, failure = NULL WHERE id = ANY(%(ids)s)

-- name: happening_set_aside
-- Puts a happening whose handling failed aside until it is tried again.
UPDATE happenings SET retry_at = %(retry_at)s, failure = %(failure)s WHERE id = %(id)s

-- name: fact_crossing
-- A stage crossing, and whether it is withdrawn by now.
SELECT c.stage, c.at, c.announced_at, c.evidence_at, c.evidence, c.inactive_ms, c.elapsed_ms,
       w.crossing_id IS NOT NULL AS gone
FROM stage_crossings c LEFT JOIN crossing_withdrawals w ON w.crossing_id = c.id
WHERE c.id = %(fact_id)s

-- name: fact_withdrawal
-- The withdrawal of a crossing.
SELECT c.stage, w.withdrawn_at, w.evidence_at, w.evidence, w.late
FROM crossing_withdrawals w JOIN stage_crossings c ON c.id = w.crossing_id
WHERE w.crossing_id = %(fact_id)s

-- name: fact_check_due
-- A check due, and whether it is ended by now.
SELECT c.step, c.at, c.noticed_at, c.evidence_at, c.evidence, c.inactive_ms, e.check_id IS NOT NULL AS gone
FROM checks_due c LEFT JOIN check_ends e ON e.check_id = c.id
WHERE c.id = %(fact_id)s

-- name: fact_check_ended
-- The end of a check; late where the evidence had happened before the check was noticed.
SELECT c.step, e.ended_at, e.evidence_at, e.evidence, e.evidence_at <= c.noticed_at AS late
FROM check_ends e JOIN checks_due c ON c.id = e.check_id
WHERE e.check_id = %(fact_id)s

-- name: fact_outage_began
-- Outages as they were told, and whether each is over by now.
SELECT h.id AS happening_id, o.id AS outage_id, o.device_id, o.cause, o.cause_id, o.began_at, o.heard_at,
       e.outage_id IS NOT NULL AS gone
FROM happenings h JOIN outages o ON o.id = h.fact_id LEFT JOIN outage_ends e ON e.outage_id = o.id
WHERE h.kind = 'outage_began' AND h.id = ANY(%(ids)s)

-- name: fact_outage_moved
-- Outages that belong to another cause than was told.
SELECT h.id AS happening_id, o.id AS outage_id, o.device_id, m.cause, m.cause_id, m.from_cause, m.from_cause_id,
       o.began_at, o.heard_at, m.moved_at, e.outage_id IS NOT NULL AS gone
FROM happenings h JOIN outage_moves m ON m.id = h.fact_id JOIN outages o ON o.id = m.outage_id
LEFT JOIN outage_ends e ON e.outage_id = o.id
WHERE h.kind = 'outage_moved' AND h.id = ANY(%(ids)s)

-- name: fact_outage_ended
-- The ends of outages.
SELECT h.id AS happening_id, o.id AS outage_id, o.device_id, e.ended_at
FROM happenings h JOIN outage_ends e ON e.outage_id = h.fact_id JOIN outages o ON o.id = e.outage_id
WHERE h.kind = 'outage_ended' AND h.id = ANY(%(ids)s)

-- name: fact_signal
-- A signal, and whether it is over by now.
SELECT g.id, g.kind, g.household_id, g.device_id, g.at, g.evidence, e.signal_id IS NOT NULL AS gone
FROM signals g LEFT JOIN signal_ends e ON e.signal_id = g.id
WHERE g.id = %(fact_id)s

-- name: fact_signal_ended
-- The end of a signal.
SELECT e.signal_id, e.ended_at, e.reason FROM signal_ends e WHERE e.signal_id = %(fact_id)s

-- name: open_subject_case
-- The one open case of a cause with a ladder about a subject, locked.
SELECT * FROM cases WHERE cause = %(cause)s AND cause_key = %(subject)s AND state <> 'closed' FOR UPDATE

-- name: standing_signals
-- The signals a case stands for that are not over.
SELECT signal_id FROM case_signals WHERE case_id = %(case_id)s AND ended_at IS NULL

-- name: join_signal
-- A case stands for a signal too.
INSERT INTO case_signals (signal_id, case_id) VALUES (%(signal_id)s, %(case_id)s) ON CONFLICT (signal_id) DO NOTHING

-- name: leave_signal
-- A signal is over.
UPDATE case_signals SET ended_at = %(at)s WHERE signal_id = %(signal_id)s AND ended_at IS NULL

-- name: end_absence
-- A declared absence ends at an instant inside it.
UPDATE absences SET to_at = greatest(%(at)s, from_at + interval '1 millisecond')
WHERE id = %(absence_id)s AND revoked_at IS NULL AND to_at > %(at)s

-- name: restore_absence
-- What was declared holds on from an instant: it was somebody else who opened.
INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at, restores)
SELECT household_id, %(from_at)s, to_at, reason, %(declared_by)s, %(now)s, id FROM absences
WHERE id = %(absence_id)s AND revoked_at IS NULL AND to_at > %(from_at)s

-- name: doubt_word
-- The words that closed a case are evidence no more; they stay to be read.
UPDATE verified_contacts SET doubted_at = %(now)s, doubted_by = %(doubted_by)s
WHERE case_id = %(case_id)s AND doubted_at IS NULL

-- name: opened_while_away
-- Absences that hold by declaration, and inside which the detector has found evidence of life; with what it was.
SELECT a.id AS absence_id, a.household_id, si.community_id, s.evidence_at, s.evidence,
       s.evidence->>'kind' = 'own_credential'
       OR EXISTS (SELECT 1 FROM verified_contacts v WHERE v.household_id = a.household_id AND v.at = s.evidence_at
                    AND NOT v.is_remote AND v.doubted_at IS NULL) AS certain
FROM absences a
JOIN household_states s ON s.household_id = a.household_id
JOIN households h ON h.id = a.household_id
JOIN sites si ON si.id = h.site_id
WHERE a.revoked_at IS NULL AND a.from_at <= %(now)s AND a.to_at > %(now)s
  AND s.evidence_at > a.from_at AND s.evidence_at < a.to_at AND s.evidence->>'kind' <> 'watched_from'
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = a.household_id AND k.purpose = 'watch'
                AND k.withdrawn_at IS NULL)
ORDER BY a.id

-- name: open_inactivity_case
-- The household's one open inactivity case, locked.
SELECT * FROM cases WHERE household_id = %(household_id)s AND cause = 'inactivity' AND state <> 'closed' FOR UPDATE

-- name: open_technical_case
-- The one open technical case of a cause, locked.
SELECT * FROM cases WHERE cause_key = %(cause_key)s AND cause = 'technical' AND state <> 'closed' FOR UPDATE

-- name: case_by_id
-- A case, locked.
SELECT * FROM cases WHERE id = %(id)s FOR UPDATE

-- name: case_key
-- What a case is locked by.
SELECT c.household_id, c.cause_key, c.cause FROM cases c WHERE c.id = %(id)s

-- name: case_of_task
-- The case a task belongs to.
SELECT case_id FROM tasks WHERE id = %(id)s

-- name: kind_of_task
SELECT kind FROM tasks WHERE id = %(task_id)s

-- name: case_tasks
-- All tasks of a case in order of creation.
SELECT * FROM tasks WHERE case_id = %(case_id)s ORDER BY id

-- name: case_annunciated
-- How many annunciations each step of a case has had.
SELECT step, max(repetition) + 1 AS count FROM outbox WHERE case_id = %(case_id)s GROUP BY step

-- name: standing_stages
-- Stages announced for a household and not withdrawn, as far as happenings were handled; newest crossing each.
SELECT DISTINCT ON (c.stage) c.stage, c.at, c.evidence_at, c.evidence, c.announced_at AS noticed_at
FROM stage_crossings c
JOIN happenings h ON h.kind = 'crossing' AND h.fact_id = c.id AND h.handled_at IS NOT NULL
WHERE c.household_id = %(household_id)s
  AND NOT EXISTS (
    SELECT 1 FROM crossing_withdrawals w
    JOIN happenings hw ON hw.kind = 'withdrawal' AND hw.fact_id = w.crossing_id AND hw.handled_at IS NOT NULL
    WHERE w.crossing_id = c.id
  )
ORDER BY c.stage, c.at DESC

-- name: standing_checks
-- Checks due for a household and not ended, as far as happenings were handled; newest each.
SELECT DISTINCT ON (c.step) c.step, c.at, c.evidence_at, c.evidence, c.noticed_at
FROM checks_due c
JOIN happenings h ON h.kind = 'check_due' AND h.fact_id = c.id AND h.handled_at IS NOT NULL
WHERE c.household_id = %(household_id)s
  AND NOT EXISTS (
    SELECT 1 FROM check_ends e
    JOIN happenings he ON he.kind = 'check_ended' AND he.fact_id = e.check_id AND he.handled_at IS NOT NULL
    WHERE e.check_id = c.id
  )
ORDER BY c.step, c.at DESC

-- name: standing_outages
-- Outages of one cause (in one community, where the cause is above a site) that are not over, as far as handled.
SELECT o.id
FROM outages o
JOIN devices d ON d.id = o.device_id
JOIN sites s ON s.id = d.site_id
LEFT JOIN LATERAL (
  SELECT m.cause, m.cause_id FROM outage_moves m
  JOIN happenings hm ON hm.kind = 'outage_moved' AND hm.fact_id = m.id AND hm.handled_at IS NOT NULL
  WHERE m.outage_id = o.id ORDER BY m.id DESC LIMIT 1
) moved ON true
WHERE coalesce(moved.cause, o.cause) = %(cause)s AND coalesce(moved.cause_id, o.cause_id) = %(cause_id)s
  AND s.community_id = %(community_id)s
  AND o.id IN (
    SELECT b.id FROM outages b WHERE b.cause = %(cause)s AND b.cause_id = %(cause_id)s
    UNION SELECT m.outage_id FROM outage_moves m WHERE m.cause = %(cause)s AND m.cause_id = %(cause_id)s
  )
  AND EXISTS (
    SELECT 1 FROM happenings h WHERE h.kind = 'outage_began' AND h.fact_id = o.id AND h.handled_at IS NOT NULL
  )
  AND NOT EXISTS (
    SELECT 1 FROM outage_ends e
    JOIN happenings he ON he.kind = 'outage_ended' AND he.fact_id = e.outage_id AND he.handled_at IS NOT NULL
    WHERE e.outage_id = o.id
  )

-- name: household_circumstances
-- Where a household is, its newest policy, who helps it, who answered for it, and what else stands for it.
SELECT s.community_id, c.zone, p.version AS policy_version, p.thresholds_s, p.ladder, care.ladder AS care_ladder,
  ARRAY(SELECT DISTINCT r.category FROM persons r
        WHERE r.household_id = h.id AND r.relation = 'resident' AND r.category IS NOT NULL) AS categories,
  ARRAY(SELECT DISTINCT hc.role FROM household_contacts hc
        WHERE hc.household_id = h.id AND hc.role <> 'family' AND (hc.available_from IS NULL
          OR CASE WHEN hc.available_from < hc.available_until
                  THEN (%(now)s AT TIME ZONE c.zone)::time >= hc.available_from
                   AND (%(now)s AT TIME ZONE c.zone)::time < hc.available_until
                  ELSE (%(now)s AT TIME ZONE c.zone)::time >= hc.available_from
                    OR (%(now)s AT TIME ZONE c.zone)::time < hc.available_until END)) AS helpers,
  (SELECT jsonb_object_agg(w.role, w.wait) FROM (
     SELECT hc.role, max(hc.answer_within_s) AS wait FROM household_contacts hc
     WHERE hc.household_id = h.id AND hc.answer_within_s IS NOT NULL GROUP BY hc.role) w) AS helper_waits,
  greatest(
    (SELECT max(v.at) FROM verified_contacts v
     WHERE v.household_id = h.id AND v.at <= %(now)s AND v.doubted_at IS NULL),
    (SELECT max(a.from_at) FROM absences a
     WHERE a.household_id = h.id AND a.revoked_at IS NULL AND a.from_at <= %(now)s AND a.to_at > %(now)s)
  ) AS answered_at,
  EXISTS (SELECT 1 FROM case_households ch JOIN cases cc ON cc.id = ch.case_id
          WHERE ch.household_id = h.id AND ch.to_at IS NULL AND cc.state <> 'closed') AS folded,
  coalesce(rv.succession, 0) AS remote_well_count,
  coalesce(rv.real_evidence_at, hs.evidence_at) AS real_evidence_at,
  (SELECT coalesce(bool_and(p.hard_of_hearing OR NOT coalesce(f.has_phone, true)), false)
   FROM persons p LEFT JOIN call_profiles f ON f.person_id = p.id
   WHERE p.household_id = h.id AND p.relation = 'resident') AS cannot_phone,
  CASE WHEN EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'notify_family'
                      AND k.withdrawn_at IS NULL)
    THEN ARRAY(SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
               WHERE uh.household_id = h.id AND u.disabled_at IS NULL AND uh.blocked_at IS NULL AND NOT uh.is_landlord AND u.role <> 'resident' ORDER BY uh.user_id)
    ELSE '{}' END AS family_user_ids
FROM households h
JOIN sites s ON s.id = h.site_id
JOIN communities c ON c.id = s.community_id
LEFT JOIN household_states hs ON hs.household_id = h.id
LEFT JOIN LATERAL (
  SELECT v.succession, v.real_evidence_at FROM verified_contacts v
  WHERE v.household_id = h.id AND v.is_remote AND v.at >= coalesce(hs.evidence_at, '-infinity')
    AND NOT EXISTS (SELECT 1 FROM verified_contacts w WHERE w.household_id = h.id AND NOT w.is_remote
                      AND w.doubted_at IS NULL AND w.at >= v.at)
  ORDER BY v.at DESC, v.id DESC LIMIT 1
) rv ON true
LEFT JOIN LATERAL (
  SELECT q.version, q.thresholds_s, q.ladder FROM policies q
  WHERE q.id = h.policy_id AND q.valid_from <= %(now)s ORDER BY q.version DESC LIMIT 1
) p ON true
LEFT JOIN LATERAL (
  SELECT q.ladder FROM persons r
  JOIN care_categories k ON k.category = r.category
  JOIN policies q ON q.id = k.policy_id AND q.valid_from <= %(now)s
  WHERE r.household_id = h.id AND r.relation = 'resident' ORDER BY k.category, q.version DESC LIMIT 1
) care ON true
WHERE h.id = %(household_id)s

-- name: presence
-- Where she is presumed to be, as ingest last had it.
SELECT state, ground, since_at FROM household_presence WHERE household_id = %(household_id)s

-- name: door_stands
-- Since when an own door stands open, and since when one stands unlocked, as far as was heard.
SELECT s.door_open_since,
  (SELECT min(l.occurred_at) FROM household_doors hd JOIN devices d ON d.id = hd.device_id
   CROSS JOIN LATERAL (
     SELECT e.occurred_at, e.state FROM door_events e
     WHERE e.device_no = d.no AND e.type = 'LockPhysicalState' AND e.plausible
       AND e.occurred_at > %(since)s AND e.occurred_at <= %(now)s
     ORDER BY e.occurred_at DESC LIMIT 1
   ) l
   WHERE hd.household_id = %(household_id)s AND hd.role = 'dwelling' AND hd.to_at IS NULL AND l.state = 'Unlocked')
    AS unlocked_since
FROM (SELECT 1) one LEFT JOIN household_states s ON s.household_id = %(household_id)s

-- name: inside_sensors
-- Sensors inside one home alone, and whether each could be heard (no outage of it stands).
SELECT v.no, NOT EXISTS (
    SELECT 1 FROM outages o WHERE o.device_id = v.id
      AND NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id)) AS heard
FROM devices v
WHERE v.retired_at IS NULL AND v.kind IN ('motion', 'water', 'other') AND v.id IN (
  SELECT d.device_id FROM household_doors d
  WHERE d.household_id = %(household_id)s AND d.to_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM household_doors o WHERE o.device_id = d.device_id AND o.household_id <> d.household_id)
  UNION
  SELECT p.id FROM devices p JOIN households h ON p.site_id = h.site_id AND p.place = h.label
  WHERE h.id = %(household_id)s AND p.kind IN ('motion', 'water'))

-- name: signs_inside
-- Signs of some sensors since the last opening and in the last hours, and when the last one was.
SELECT count(*) AS since_opening, count(*) FILTER (WHERE e.occurred_at > %(recent)s) AS recent,
       max(e.occurred_at) AS last_at
FROM door_events e
WHERE e.device_no = ANY(%(nos)s) AND e.plausible AND e.occurred_at > %(since)s AND e.occurred_at <= %(now)s
  AND e.type IN ('Motion', 'Occupancy', 'WaterUse', 'PowerUse')

-- name: signs_usual
-- Signs in the same hours of the days before the last opening, one row per day with a sign at any hour of it. Between two
-- instants that are given, by which days are told apart before anything is planned: a year of them is planned longer than read.
SELECT count(*) FILTER (
         WHERE e.occurred_at > %(now)s::timestamptz - make_interval(days => day) - %(span)s::interval) AS signs
FROM generate_series(%(first_day)s::int, %(last_day)s::int) day
JOIN door_events e ON e.occurred_at > %(now)s::timestamptz - make_interval(days => day + 1)
 AND e.occurred_at <= %(now)s::timestamptz - make_interval(days => day)
WHERE e.device_no = ANY(%(nos)s) AND e.plausible AND e.type IN ('Motion', 'Occupancy', 'WaterUse', 'PowerUse')
  AND e.occurred_at > %(since)s AND e.occurred_at <= %(until)s
GROUP BY day ORDER BY day

-- name: own_openings
-- What showed life at a household's own doors: nobody's who works here or visits, nothing that was forced.
SELECT e.occurred_at FROM household_doors d
JOIN devices v ON v.id = d.device_id
JOIN door_events e ON e.device_no = v.no AND e.occurred_at > %(since)s AND e.occurred_at <= %(until)s
 AND (d.from_at IS NULL OR e.occurred_at >= d.from_at) AND (d.to_at IS NULL OR e.occurred_at < d.to_at)
LEFT JOIN credentials c ON c.token = e.credential
WHERE d.household_id = %(household_id)s AND e.plausible
  AND (e.method IS NULL OR e.method <> 'remote_office')
  AND (c.class IS NULL OR c.class IN ('resident', 'family'))
  AND (d.role = 'dwelling' OR c.household_id = %(household_id)s)
  AND (e.type = 'AccessTaken' OR e.type = 'DoorPhysicalState' AND e.state = 'Open' AND d.role = 'dwelling'
       AND NOT EXISTS (
         SELECT 1 FROM door_events f LEFT JOIN credentials fc ON fc.token = f.credential
         WHERE f.device_no = e.device_no AND f.plausible AND f.occurred_at BETWEEN %(near_since)s AND %(near_until)s
           AND (f.type IN ('AccessGranted', 'AccessTaken')
                AND f.occurred_at BETWEEN e.occurred_at - interval '30 seconds' AND e.occurred_at
                AND (f.method = 'remote_office' OR fc.class IN ('staff', 'guard', 'visitor'))
                OR f.type = 'DoorForcedOpen'
                AND f.occurred_at BETWEEN e.occurred_at - interval '10 seconds' AND e.occurred_at + interval '10 seconds')))
ORDER BY e.occurred_at

-- name: unwatched_spans
-- When one of a household's own doors could not be heard, or she was declared away.
SELECT coalesce(o.heard_at, o.began_at) AS from_at, coalesce(e.ended_at, %(until)s) AS to_at
FROM household_doors d
JOIN outages o ON o.device_id = d.device_id
LEFT JOIN outage_ends e ON e.outage_id = o.id
WHERE d.household_id = %(household_id)s AND d.role = 'dwelling' AND coalesce(e.ended_at, %(until)s) > %(since)s
UNION ALL
SELECT from_at, to_at FROM absences
WHERE household_id = %(household_id)s AND revoked_at IS NULL AND to_at > %(since)s AND from_at < %(until)s

-- name: watched_from
SELECT h.watched_from, c.zone, s.evidence_at FROM households h
JOIN sites si ON si.id = h.site_id JOIN communities c ON c.id = si.community_id
LEFT JOIN household_states s ON s.household_id = h.id
WHERE h.id = %(household_id)s

-- name: unseen
-- Who of a community waits to be called or visited because nobody could see them, with what says how frail they are.
SELECT c.household_id, max(c.step) AS step, min(c.evidence_at) AS evidence_at,
  ARRAY(SELECT coalesce(p.category, '') FROM persons p
        WHERE p.household_id = c.household_id AND p.relation = 'resident' ORDER BY p.id) AS categories,
  ARRAY(SELECT coalesce(p.birth_year, 0) FROM persons p
        WHERE p.household_id = c.household_id AND p.relation = 'resident' ORDER BY p.id) AS birth_years,
  ARRAY(SELECT p.hard_of_hearing FROM persons p
        WHERE p.household_id = c.household_id AND p.relation = 'resident' ORDER BY p.id) AS hard_of_hearing
FROM checks_due c
JOIN households h ON h.id = c.household_id JOIN sites s ON s.id = h.site_id AND s.community_id = %(community_id)s
WHERE c.step >= 2 AND NOT EXISTS (SELECT 1 FROM check_ends e WHERE e.check_id = c.id)
GROUP BY c.household_id

-- name: count_staff
-- How many people of a community's desk may ask after somebody.
SELECT count(*) AS staff FROM users u
WHERE u.disabled_at IS NULL AND (
  u.community_id = %(community_id)s AND u.role = 'property_clerk'
  OR EXISTS (SELECT 1 FROM user_positions p WHERE p.user_id = u.id AND p.role = 'property_clerk'
             AND p.community_id = %(community_id)s))

-- name: quarantine_waits
-- Sites with messages that could not be stored and that nobody has answered; where the topic names none we know, the
-- first community stands for the installation.
SELECT s.id AS site_id, s.community_id FROM sites s
WHERE EXISTS (SELECT 1 FROM quarantine q WHERE split_part(q.topic, '/', 5) = s.id
              AND q.replayed_at IS NULL AND q.answered_at IS NULL)
UNION ALL
SELECT %(unknown)s, (SELECT min(id) FROM communities)
WHERE EXISTS (SELECT 1 FROM quarantine q WHERE q.replayed_at IS NULL AND q.answered_at IS NULL
              AND NOT EXISTS (SELECT 1 FROM sites s WHERE s.id = split_part(q.topic, '/', 5)))
  AND EXISTS (SELECT 1 FROM communities)

-- name: open_quarantine_cases
SELECT id, household_id, cause, cause_key, community_id FROM cases
WHERE state <> 'closed' AND cause = 'technical' AND cause_key LIKE 'quarantine:%%'

-- name: community
-- The zone of a community, and the newest version of the ladder for what is no household's.
SELECT c.id AS community_id, c.zone, p.version AS policy_version, p.thresholds_s, p.ladder
FROM communities c
LEFT JOIN LATERAL (
  SELECT q.version, q.thresholds_s, q.ladder FROM policies q
  WHERE q.id = 'mandated' AND q.valid_from <= %(now)s ORDER BY q.version DESC LIMIT 1
) p ON true
WHERE c.id = %(community_id)s

-- name: next_case_number
-- The next number of a community's local day.
INSERT INTO case_numbers (community_id, day, last) VALUES (%(community_id)s, %(day)s, 1)
ON CONFLICT (community_id, day) DO UPDATE SET last = case_numbers.last + 1
RETURNING last

-- name: insert_case
-- A new case; returns its id.
INSERT INTO cases (number, community_id, household_id, cause, cause_key, priority, grade, grounds, signal_count, stage, check_step, state, opened_at, stage_at,
  deadline_at, evidence_at, evidence, next_action, next_action_at, holder_id, lease_expires_at, held_until,
  held_reason, visit_begun_at, proposal, proposal_at, remote_well_count, policy, outcome, closed_at, closed_by,
  reopened_from, version)
VALUES (%(number)s, %(community_id)s, %(household_id)s, %(cause)s, %(cause_key)s, %(priority)s, %(grade)s, %(grounds)s,
  %(signal_count)s, %(stage)s, %(check_step)s,
  %(state)s, %(opened_at)s, %(stage_at)s, %(deadline_at)s, %(evidence_at)s, %(evidence)s, %(next_action)s,
  %(next_action_at)s, %(holder_id)s, %(lease_expires_at)s, %(held_until)s, %(held_reason)s, %(visit_begun_at)s,
  %(proposal)s, %(proposal_at)s, %(remote_well_count)s, %(policy)s, %(outcome)s, %(closed_at)s, %(closed_by)s,
  %(reopened_from)s, 1)
RETURNING id

-- name: update_case
-- Changes a case that is still as it was read.
UPDATE cases SET priority = %(priority)s, grade = %(grade)s, grounds = %(grounds)s, signal_count = %(signal_count)s,
  stage = %(stage)s, check_step = %(check_step)s, state = %(state)s, stage_at = %(stage_at)s,
  deadline_at = %(deadline_at)s, evidence_at = %(evidence_at)s, evidence = %(evidence)s,
  next_action = %(next_action)s, next_action_at = %(next_action_at)s, holder_id = %(holder_id)s,
  lease_expires_at = %(lease_expires_at)s, held_until = %(held_until)s, held_reason = %(held_reason)s,
  visit_begun_at = %(visit_begun_at)s, proposal = %(proposal)s, proposal_at = %(proposal_at)s,
  remote_well_count = %(remote_well_count)s, outcome = %(outcome)s, closed_at = %(closed_at)s,
  closed_by = %(closed_by)s, version = version + 1
WHERE id = %(id)s AND version = %(version)s
RETURNING id

-- name: insert_task
-- A new task of a case; fact makes it one, however often it is written.
INSERT INTO tasks (case_id, household_id, kind, role, state, created_at, start_at, due_at, assignee_id, claimed_at,
  begun_at, done_at, done_by, outcome, contacted, witness, note, fact)
VALUES (%(case_id)s, %(household_id)s, %(kind)s, %(role)s, %(state)s, %(created_at)s, %(start_at)s, %(due_at)s,
  %(assignee_id)s, %(claimed_at)s, %(begun_at)s, %(done_at)s, %(done_by)s, %(outcome)s, %(contacted)s, %(witness)s,
  %(note)s, %(fact)s)

-- name: update_task
-- Changes a task.
UPDATE tasks SET role = %(role)s, state = %(state)s, assignee_id = %(assignee_id)s, claimed_at = %(claimed_at)s,
  begun_at = %(begun_at)s, done_at = %(done_at)s, done_by = %(done_by)s, outcome = %(outcome)s,
  contacted = %(contacted)s, witness = %(witness)s, note = %(note)s
WHERE id = %(id)s

-- name: insert_entry
-- A line of a case's timeline.
INSERT INTO case_entries (case_id, at, words, args, note, user_id, fact)
VALUES (%(case_id)s, %(at)s, %(words)s, %(args)s, %(note)s, %(user_id)s, %(fact)s)

-- name: insert_verified
-- A person's word that she is well.
INSERT INTO verified_contacts (household_id, at, how, witness, case_id, succession, real_evidence_at, recorded_by,
  recorded_at)
VALUES (%(household_id)s, %(at)s, %(how)s, %(witness)s, %(case_id)s, %(succession)s, %(real_evidence_at)s,
  %(recorded_by)s, %(now)s)

-- name: insert_absence
-- A dated absence.
INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)
VALUES (%(household_id)s, %(from_at)s, %(to_at)s, %(reason)s, %(declared_by)s, %(now)s)

-- name: supersede_household_messages
-- What is planned about a household and not sent goes to nobody, whichever case it belongs to.
UPDATE outbox SET state = 'superseded'
WHERE state IN ('planned', 'uncertain')
  AND case_id IN (SELECT id FROM cases WHERE household_id = %(household_id)s)

-- name: end_watch
-- Ends the consent to be watched.
UPDATE consents SET withdrawn_at = %(now)s
WHERE household_id = %(household_id)s AND purpose = 'watch' AND withdrawn_at IS NULL

-- name: dwelling_devices
-- The devices of a household's own doors now.
SELECT hd.device_id, s.community_id FROM household_doors hd JOIN devices d ON d.id = hd.device_id
JOIN sites s ON s.id = d.site_id
WHERE hd.household_id = %(household_id)s AND hd.role = 'dwelling'
  AND (hd.from_at IS NULL OR hd.from_at <= %(now)s) AND (hd.to_at IS NULL OR hd.to_at > %(now)s)
ORDER BY hd.device_id

-- name: fold_households
-- A technical case stands for the households of some devices' doors; watched ones only.
INSERT INTO case_households (case_id, household_id, from_at)
SELECT %(case_id)s::bigint, hd.household_id, min(t.at)
FROM unnest(%(devices)s::text[], %(ats)s::timestamptz[]) AS t (device_id, at)
JOIN household_doors hd ON hd.device_id = t.device_id AND hd.role = 'dwelling' AND (hd.to_at IS NULL OR hd.to_at > t.at)
JOIN households h ON h.id = hd.household_id AND h.watched_from IS NOT NULL
GROUP BY hd.household_id
ON CONFLICT (case_id, household_id) DO UPDATE SET to_at = NULL

-- name: unfold_households
-- Devices are heard again: their households leave the technical case, unless another door of theirs is still out.
UPDATE case_households ch SET to_at = %(at)s
WHERE ch.case_id = %(case_id)s AND ch.to_at IS NULL
  AND ch.household_id IN (
    SELECT household_id FROM household_doors WHERE device_id = ANY(%(devices)s) AND role = 'dwelling'
  )
  AND NOT EXISTS (
    SELECT 1 FROM household_doors hd JOIN outages o ON o.device_id = hd.device_id
    WHERE hd.household_id = ch.household_id AND hd.role = 'dwelling' AND o.id = ANY(%(outages)s)
  )

-- name: end_all_households
-- A closed technical case stands for nobody.
UPDATE case_households SET to_at = %(at)s WHERE case_id = %(case_id)s AND to_at IS NULL

-- name: due_cases
-- Open cases whose next action has come, most pressing first.
SELECT id, household_id, cause, cause_key, community_id FROM cases
WHERE state <> 'closed' AND next_action_at <= %(now)s AND NOT id = ANY(%(but)s)
ORDER BY next_action_at, id
LIMIT %(limit)s

-- name: consent_withdrawn_cases
-- Open cases of inactivity or absence of households that agreed to be watched once and do no more; none that asks already.
SELECT c.id, c.household_id, c.cause, c.cause_key, c.community_id FROM cases c
WHERE c.state <> 'closed' AND c.cause IN ('inactivity', 'absence') AND c.proposal IS NULL
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = c.household_id AND k.purpose = 'watch')
  AND NOT EXISTS (SELECT 1 FROM consents k WHERE k.household_id = c.household_id AND k.purpose = 'watch'
                    AND k.withdrawn_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM case_entries e WHERE e.case_id = c.id AND e.words = 'closing_rejected'
                    AND e.args->>'outcome' = 'consent_withdrawn')

-- name: withdrawn_cases_of
-- Of one home what consent_withdrawn_cases finds of all.
SELECT c.id FROM cases c
WHERE c.household_id = %(household_id)s AND c.state <> 'closed' AND c.cause IN ('inactivity', 'absence')
  AND c.proposal IS NULL
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = c.household_id AND k.purpose = 'watch')
  AND NOT EXISTS (SELECT 1 FROM consents k WHERE k.household_id = c.household_id AND k.purpose = 'watch'
                    AND k.withdrawn_at IS NULL)
ORDER BY c.id

-- name: closed_but_standing
-- Cases a person closed some hours ago whose household has stages or checks that nothing has answered since.
SELECT DISTINCT ON (c.household_id) c.id, c.household_id, c.community_id
FROM cases c
WHERE c.state = 'closed' AND c.cause = 'inactivity' AND c.closed_by LIKE 'user:%%'
  AND c.outcome <> 'deceased'
  AND c.closed_at > %(from_at)s
  AND c.closed_at + coalesce((c.policy->>'reopen_after_ms')::bigint, 14400000) * interval '1 millisecond' <= %(now)s
  AND NOT EXISTS (SELECT 1 FROM cases o WHERE o.household_id = c.household_id AND o.cause = 'inactivity'
                    AND (o.state <> 'closed' OR o.closed_at > c.closed_at))
ORDER BY c.household_id, c.closed_at DESC

-- name: remote_only
-- Households whose newest evidence is a pressed key, and the real one before it too old; none with a visit asked.
SELECT s.community_id, v.household_id, v.real_evidence_at
FROM verified_contacts v
JOIN households h ON h.id = v.household_id
JOIN sites s ON s.id = h.site_id
LEFT JOIN household_states hs ON hs.household_id = v.household_id
WHERE v.is_remote AND v.real_evidence_at <= %(before)s AND v.at >= coalesce(hs.evidence_at, '-infinity')
  AND NOT EXISTS (SELECT 1 FROM verified_contacts w WHERE w.household_id = v.household_id AND w.at > v.at
                    AND w.doubted_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM absences a WHERE a.household_id = v.household_id AND a.to_at > v.at
                    AND a.revoked_at IS NULL)
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = v.household_id AND k.purpose = 'watch'
                AND k.withdrawn_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.household_id = v.household_id AND c.cause = 'inactivity'
                    AND (c.state <> 'closed' AND c.stage >= 3 OR c.closed_at > v.at AND c.closed_by LIKE 'user:%%'))

-- name: no_longer_set_aside
-- Open cases for happenings that were set aside, in communities where none is any more.
SELECT c.id, c.household_id, c.cause, c.cause_key, c.community_id FROM cases c
WHERE c.state <> 'closed' AND c.cause = 'technical' AND c.cause_key = %(prefix)s || ':' || c.community_id
  AND NOT EXISTS (
    SELECT 1 FROM open_happenings h
    LEFT JOIN devices d ON d.id = h.device_id
    LEFT JOIN households hh ON hh.id = h.household_id
    JOIN sites s ON s.id = coalesce(d.site_id, hh.site_id)
    WHERE h.retry_at IS NOT NULL AND s.community_id = c.community_id
  )

-- name: turn_state
-- In one snapshot: what still waits and up to when ingest has told.
SELECT
  EXISTS (SELECT 1 FROM open_happenings h WHERE (h.retry_at IS NULL OR h.retry_at <= %(now)s)
          AND NOT EXISTS (SELECT 1 FROM open_happenings b WHERE b.retry_at > %(now)s AND b.id < h.id
                          AND (b.kind LIKE 'signal%%') = (h.kind LIKE 'signal%%')
                          AND CASE WHEN h.kind LIKE 'signal%%' THEN b.fact_id = h.fact_id
                                   ELSE b.household_id = h.household_id OR b.outage_id = h.outage_id END)) AS waiting,
  EXISTS (SELECT 1 FROM cases WHERE state <> 'closed' AND next_action_at <= %(now)s AND NOT id = ANY(%(but)s)) AS due,
  (SELECT at FROM service_progress WHERE service = 'ingest') AS ingest_at,
  (SELECT at FROM service_progress WHERE service = 'alerts') AS alerts_at

-- name: progress
-- Up to when alerts has done its work; never back.
INSERT INTO service_progress (service, at, turn) VALUES ('alerts', %(at)s, 1)
ON CONFLICT (service) DO UPDATE SET at = greatest(service_progress.at, excluded.at), turn = service_progress.turn + 1

-- name: cases_without_future
-- Open cases with nothing ahead of them: there must be none.
SELECT id FROM cases
WHERE state <> 'closed' AND (next_action_at IS NULL OR next_action_at <= %(now)s)
ORDER BY id

-- name: count_open_cases
-- Open cases by community, cause and stage.
SELECT community_id, cause, stage, count(*) AS count FROM cases WHERE state <> 'closed' GROUP BY 1, 2, 3

-- name: outbox_age
-- When the oldest message that may go out was meant to.
SELECT min(not_before) AS oldest FROM outbox WHERE state IN ('planned', 'leased') AND not_before <= %(now)s

-- name: count_set_aside
-- Happenings whose handling failed.
SELECT count(*) AS count FROM happenings WHERE handled_at IS NULL AND retry_at IS NOT NULL

-- name: ingest_progress
-- Up to which instant ingest has done its work.
SELECT at FROM service_progress WHERE service = 'ingest'

-- name: home_is_rung_on_new_numbers
-- one row where a home, or the one a task or a case is about, has only changed numbers that do not count yet
SELECT 1 FROM (
  SELECT coalesce(t.household_id, c.household_id) AS household_id FROM tasks t JOIN cases c ON c.id = t.case_id
  WHERE t.id = %(task_id)s
  UNION ALL SELECT c.household_id FROM cases c WHERE c.id = %(case_id)s
  UNION ALL SELECT %(household_id)s::text
) o
JOIN persons p ON p.household_id = o.household_id AND p.relation = 'resident'
LEFT JOIN person_identities i ON i.person_id = p.id
LEFT JOIN phone_changes x ON x.person_id = p.id AND NOT x.settled AND (x.trusted_from IS NULL OR x.trusted_from > %(now)s)
HAVING count(x.id) > 0 AND count(*) FILTER (WHERE x.id IS NULL AND i.phone IS NOT NULL) = 0
