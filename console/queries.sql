-- The console's statements, one name each; the line after the name says what it returns. No statement reads the
-- database's clock: now is always a parameter.

-- name: open_console
-- lets the console itself in, in this transaction
SELECT open_console(%(key)s) AS open

-- name: is_owner
-- whether this login is the owner's
SELECT is_owner() AS yes

-- name: open_scope
-- lets a signed-in person in, in this transaction, and bounds its statements in time
SELECT set_config('statement_timeout', %(timeout)s, true), open_scope(%(token_hash)s, %(wall)s) AS open

-- name: plan
-- how statements that come again are planned until the end of this transaction: anew (auto) or once
SELECT set_config('plan_cache_mode', %(mode)s, true)

-- name: user_add
-- the new person's id
INSERT INTO users (name, display_name, password_hash, role, community_id, language, created_at)
VALUES (%(name)s, %(display_name)s, %(password_hash)s, %(role)s, %(community_id)s, %(language)s, %(now)s)
RETURNING id

-- name: user_household_add
INSERT INTO user_households (user_id, household_id, relation_words)
VALUES (%(user_id)s, %(household_id)s, %(relation_words)s)

-- name: user_by_name
-- one person with the stored hash, or none; for whoever connects as the owner
SELECT id, name, display_name, password_hash, role, community_id, language, disabled_at FROM users WHERE name = %(name)s

-- name: user_name_taken
-- whether somebody signs in by this name already
SELECT is_name_taken(%(name)s) AS yes

-- name: user_households
-- the households a person is tied to
SELECT household_id, relation_words, blocked_at FROM user_households WHERE user_id = %(user_id)s AND NOT is_landlord

-- name: user_places
-- every community somebody works for
SELECT u.community_id FROM users u WHERE u.id = %(user_id)s AND u.community_id IS NOT NULL
UNION SELECT c.community_id FROM user_communities c WHERE c.user_id = %(user_id)s

-- name: user_place_add
INSERT INTO user_communities (user_id, community_id) VALUES (%(user_id)s, %(community_id)s) ON CONFLICT DO NOTHING

-- name: user_place_remove
DELETE FROM user_communities WHERE user_id = %(user_id)s AND community_id = %(community_id)s

-- name: session_place
SELECT place_session(%(token_hash)s, %(community_id)s)

-- name: shell_places
-- the communities somebody may choose, with the open cases that call for somebody at once or soon
SELECT c.id, c.name, k.calling
FROM communities c JOIN calling_counts(%(ids)s) k ON k.id = c.id ORDER BY c.name, c.id

-- name: user_language
UPDATE users SET language = %(language)s WHERE id = %(user_id)s AND language <> %(language)s


-- name: session_open
SELECT start_session(%(token_hash)s, %(user_id)s, %(now)s, %(expires_at)s, %(agent)s)

-- name: session_find
-- the session with its person, unless that person was disabled
SELECT * FROM find_session(%(token_hash)s)

-- name: seat_find
-- the same with the homes and places that are hers
SELECT * FROM find_seat(%(token_hash)s)

-- name: session_seen
SELECT touch_session(%(token_hash)s, %(now)s)

-- name: session_end
SELECT end_session(%(token_hash)s)

-- name: session_list
-- a person's living sessions, newest first
SELECT * FROM own_sessions(%(user_id)s, %(now)s)

-- name: session_revoke
SELECT end_own_session(%(user_id)s, %(prefix)s)

-- name: session_forget
-- what expired: sessions, steps, failures and browsers that no longer count
SELECT forget_expired(%(now)s, %(before)s, %(devices_before)s)

-- name: sessions_of_user_end
SELECT end_sessions_of(%(user_id)s)

-- name: audit_lock
SELECT pg_advisory_xact_lock(%(lock)s)

-- name: audit_last
-- the end of the chain
SELECT hash FROM audit_end()

-- name: audit_append
-- the new entry's id
INSERT INTO audit_entries (at, actor, role, action, purpose, object_kind, object_id, detail, previous_hash, hash)
VALUES (%(at)s, %(actor)s, %(role)s, %(action)s, %(purpose)s, %(object_kind)s, %(object_id)s, %(detail)s,
        %(previous_hash)s, %(hash)s)
RETURNING id

-- name: audit_walk
-- the whole chain in order
SELECT id, at, actor, role, action, purpose, object_kind, object_id, detail, previous_hash, hash
FROM audit_entries ORDER BY id

-- name: audit_head
-- the last entry of the chain, and how long it is
SELECT id, hash, (SELECT count(*) FROM audit_entries) AS count FROM audit_entries ORDER BY id DESC LIMIT 1

-- name: audit_by_id
-- one entry of one actor
SELECT id, at, action, purpose, object_kind, object_id, detail FROM audit_entries
WHERE id = %(id)s AND actor = %(actor)s AND action = %(action)s

-- name: audit_of_actor
-- what one person did lately, newest first
SELECT id, at, action, purpose, object_kind, object_id, detail FROM audit_entries
WHERE actor = %(actor)s AND action = ANY(%(actions)s) ORDER BY id DESC LIMIT %(limit)s

-- name: looks
-- who looked at or acted on whose data, newest first, before an entry; a household or a whole community
SELECT a.id, a.at, a.role, a.action, a.purpose, a.object_kind, a.object_id, a.detail,
       coalesce(u.display_name, a.actor) AS who, h.label AS household_label
FROM audit_entries a
LEFT JOIN users u ON a.actor = 'user:' || u.id
LEFT JOIN households h ON h.id = coalesce(a.detail->>'household', CASE WHEN a.object_kind = 'household' THEN a.object_id END)
LEFT JOIN sites si ON si.id = h.site_id
LEFT JOIN look_up_tickets lt ON lt.id = CASE WHEN a.detail ? 'ticket_id' THEN (a.detail->>'ticket_id')::bigint END
WHERE (%(before)s::bigint IS NULL OR a.id < %(before)s)
  AND (lt.delayed_until IS NULL OR lt.delayed_until <= %(now)s)
  AND (NOT %(for_family)s OR (a.object_kind <> 'access_log' AND NOT a.detail ? 'ticket_id'))
  AND (%(household_id)s::text IS NULL
       OR (a.object_kind = 'household' AND a.object_id = %(household_id)s)
       OR a.detail->>'household' = %(household_id)s
       OR a.detail->'households' ? %(household_id)s)
  AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s
       OR a.detail->>'community' = %(community_id)s)
ORDER BY a.id DESC LIMIT %(limit)s

-- name: audit_summary
-- how long the chain is and when it was last written
SELECT count(*) AS count, max(at) AS at FROM audit_entries

-- name: community
-- one community, or the only one where none is named
SELECT id, name, zone FROM communities WHERE id = %(id)s OR %(id)s::text IS NULL ORDER BY id LIMIT 1

-- name: progress
-- up to which community time each service has done its work
SELECT service, at, turn FROM service_progress ORDER BY service

-- name: shell_counts
-- the numbers beside the navigation
SELECT (SELECT count(*) FROM cases c WHERE c.community_id = %(community_id)s AND c.state <> 'closed') AS alarms,
       (SELECT count(*) FROM cases c WHERE c.community_id = %(community_id)s AND c.state <> 'closed'
          AND c.cause = 'inactivity') AS morning,
       (SELECT count(*) FROM tasks t JOIN cases c ON c.id = t.case_id
        WHERE c.community_id = %(community_id)s AND t.state IN ('open', 'claimed')
          AND NOT (t.kind = 'call' AND EXISTS (SELECT 1 FROM tasks v WHERE v.case_id = t.case_id AND v.kind = 'visit'
            AND v.state IN ('open', 'claimed')))
          AND t.kind <> 'confirm_closing') AS tasks,
       (SELECT count(*) FROM desk_notes n WHERE n.community_id = %(community_id)s AND n.done_at IS NULL) AS desk_notes,
       (SELECT count(*) FROM cases c WHERE c.community_id = %(community_id)s AND c.state <> 'closed'
          AND c.cause = 'technical') AS technical,
       (SELECT count(*) FROM outages o JOIN devices d ON d.id = o.device_id JOIN sites si ON si.id = d.site_id
        WHERE si.community_id = %(community_id)s
          AND NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id)) AS devices,
       (SELECT count(*) FROM case_entries e JOIN cases c ON c.id = e.case_id
        WHERE c.community_id = %(community_id)s AND e.at > %(hour_ago)s AND e.at <= %(now)s
          AND c.stage >= 2 AND c.stage_at > %(hour_ago)s AND e.fact LIKE 'crossing:%%')
       -- What was signalled calls somebody too; of what is closed only what was closed since can have been opened since.
       + (SELECT count(*) FROM cases c
          WHERE c.community_id = %(community_id)s AND c.priority >= 2 AND c.cause NOT IN ('inactivity', 'technical')
            AND c.opened_at > %(hour_ago)s AND c.opened_at <= %(now)s
            AND (c.state <> 'closed' OR c.state = 'closed' AND c.closed_at > %(hour_ago)s)) AS alarms_this_hour

-- name: second_person_counts
-- what waits for somebody who is not of the desk
SELECT count(*) AS second_person FROM phone_changes WHERE NOT settled AND trusted_from IS NULL AND told_at IS NOT NULL

-- name: case_tabs
-- how many cases each tab of the alarm console holds; what a device on test tells of itself is in its own tab alone
SELECT count(*) FILTER (WHERE state <> 'closed' AND NOT on_test) AS all,
       count(*) FILTER (WHERE state <> 'closed' AND NOT on_test AND holder_id IS NULL
                        AND (held_until IS NULL OR held_until <= %(now)s)) AS unclaimed,
       count(*) FILTER (WHERE state <> 'closed' AND NOT on_test AND holder_id IS NOT NULL) AS working,
       count(*) FILTER (WHERE state <> 'closed' AND NOT on_test AND held_until > %(now)s) AS held,
       count(*) FILTER (WHERE state <> 'closed' AND on_test) AS on_test,
       count(*) FILTER (WHERE state = 'closed' AND closed_at >= %(day_begin)s) AS closed
FROM (
  SELECT c.state, c.holder_id, c.held_until, c.closed_at,
         c.cause IN ('technical', 'device_fault', 'battery', 'door_forced', 'door_held') AND EXISTS (
           SELECT 1 FROM agreements g WHERE g.kind = 'device_test' AND g.state = 'agreed' AND g.until_at > %(now)s
           AND g.device_id IN (c.cause_key, split_part(c.cause_key, ':', 2))) AS on_test
  FROM cases c
  WHERE c.community_id = %(community_id)s AND (c.state <> 'closed' OR c.closed_at >= %(day_begin)s)
) found

-- name: alarm_ids
-- the cases of one tab: priority, in it who calls for help first and people before cards and doors, then oldest, of those closed the latest
-- first; of some cases only, without some, or after one, where they are given. The one before a page keeps its place there when
-- it leaves the tab: who reads the page still has it. A person's silence is on test in no tab
WITH ordered AS (
  SELECT c.*, CASE WHEN %(tab)s = 'closed' THEN -extract(epoch FROM c.closed_at) ELSE extract(epoch FROM c.stage_at) END AS at,
         CASE WHEN %(tab)s = 'closed' THEN 0 ELSE c.priority END AS rank,
         CASE WHEN %(tab)s = 'closed' THEN 0 WHEN c.cause IN ('sos', 'duress') THEN -1 WHEN c.cause = 'technical' THEN 2
              WHEN c.cause IN ('stranger', 'credential', 'dwelling', 'door_held', 'device_fault', 'battery') THEN 1 ELSE 0 END AS behind
  FROM cases c
  WHERE c.community_id = %(community_id)s
    AND (c.state <> 'closed' OR c.closed_at >= %(day_begin)s OR c.id = %(after)s)
), mine AS (
  SELECT c.* FROM ordered c
  CROSS JOIN LATERAL (
    SELECT c.cause IN ('technical', 'device_fault', 'battery', 'door_forced', 'door_held') AND EXISTS (
      SELECT 1 FROM agreements g WHERE g.kind = 'device_test' AND g.state = 'agreed' AND g.until_at > %(now)s
      AND g.device_id IN (c.cause_key, split_part(c.cause_key, ':', 2))) AS on_test
  ) x
  WHERE CASE %(tab)s
          WHEN 'all' THEN c.state <> 'closed' AND NOT x.on_test
          WHEN 'unclaimed' THEN c.state <> 'closed' AND NOT x.on_test AND c.holder_id IS NULL
                                AND (c.held_until IS NULL OR c.held_until <= %(now)s)
          WHEN 'working' THEN c.state <> 'closed' AND NOT x.on_test AND c.holder_id IS NOT NULL
          WHEN 'held' THEN c.state <> 'closed' AND NOT x.on_test AND c.held_until > %(now)s
          WHEN 'on_test' THEN c.state <> 'closed' AND x.on_test
          WHEN 'closed' THEN c.state = 'closed' AND c.closed_at >= %(day_begin)s
          ELSE false
        END
)
SELECT mine.id FROM mine
WHERE (%(among)s::bigint[] IS NULL OR mine.id = ANY(%(among)s)) AND mine.id <> ALL(%(without)s::bigint[])
  AND (%(after)s::bigint IS NULL
       OR (-mine.rank, mine.behind, mine.at, mine.id) >
          (SELECT -last.rank, last.behind, last.at, last.id FROM ordered last WHERE last.id = %(after)s))
ORDER BY mine.rank DESC, mine.behind, mine.at, mine.id
LIMIT %(limit)s

-- name: cases_by_id
-- cases with their holder and for whom she stands in now, their next open task, and what decides who may see them
SELECT c.*, u.display_name AS holder_name, u.role AS holder_role,
       CASE WHEN c.holder_id IN (SELECT d.deputy_id FROM duty_deputies d WHERE d.ended_at IS NULL AND d.from_at <= %(now)s
                                 AND d.to_at > %(now)s)
       THEN (SELECT e.args->>'people' FROM case_entries e WHERE e.case_id = c.id AND e.words = 'acting_for'
             AND e.user_id = c.holder_id ORDER BY e.id DESC LIMIT 1) END AS holder_for,
       t.id AS task_id, t.kind AS task_kind, t.due_at AS task_due_at, t.start_at AS task_start_at,
       t.state AS task_state, t.role AS task_role, t.claimed_at AS task_claimed_at, t.begun_at AS task_begun_at,
       a.display_name AS assignee_name, a.role AS assignee_role, t.assignee_id AS task_assignee_id,
       -- Looked up, never joined, as in household_lines; coalesce() would let no index be used either.
       CASE WHEN c.cause NOT IN ('inactivity', 'technical', 'absence', 'review')
             AND (c.evidence ? 'device' OR c.cause_key LIKE 'device:%%')
       THEN (SELECT dp.place FROM devices dp
             WHERE dp.id = CASE WHEN c.evidence->>'device' IS NOT NULL THEN c.evidence->>'device'
                                ELSE substr(c.cause_key, 8) END) END AS door_place,
       EXISTS (SELECT 1 FROM case_entries e WHERE e.case_id = c.id
               AND e.args->>'to' = 'police_officer') AS handed_to_police,
       EXISTS (SELECT 1 FROM outbox o WHERE o.case_id = c.id
               AND o.person = 'community:' || c.community_id || '/police_officer') AS told_police,
       EXISTS (SELECT 1 FROM consents k WHERE k.household_id = c.household_id AND k.purpose = 'share_with_police'
               AND k.withdrawn_at IS NULL) AS shares_with_police,
       c.cause = 'technical' AND EXISTS (SELECT 1 FROM case_entries e WHERE e.case_id = c.id
               AND e.words = 'never_heard') AS never_heard
FROM cases c
LEFT JOIN users u ON u.id = c.holder_id
LEFT JOIN LATERAL (
  SELECT * FROM tasks t WHERE t.case_id = c.id AND t.state IN ('open', 'claimed')
  ORDER BY array_position(ARRAY['confirm_closing', 'respond', 'visit', 'call'], t.kind) NULLS LAST,
           (t.state = 'claimed') DESC, t.due_at, t.id LIMIT 1
) t ON true
LEFT JOIN users a ON a.id = t.assignee_id
WHERE c.id = ANY(%(ids)s)

-- name: task_answered_by
-- One row where this person ended this task with this outcome.
SELECT 1 FROM tasks WHERE id = %(id)s AND state = 'done' AND done_by = %(user_id)s AND outcome = %(outcome)s

-- name: case_tasks
-- all tasks of some cases, newest first
SELECT t.*, a.display_name AS assignee_name, d.display_name AS done_by_name
FROM tasks t LEFT JOIN users a ON a.id = t.assignee_id LEFT JOIN users d ON d.id = t.done_by
WHERE t.case_id = ANY(%(ids)s) ORDER BY t.id DESC

-- name: case_entries
-- the timeline of a case, newest first
SELECT e.id, e.at, e.words, e.args, e.note, u.display_name AS who, u.role AS who_role
FROM case_entries e LEFT JOIN users u ON u.id = e.user_id
WHERE e.case_id = %(case_id)s ORDER BY e.at DESC, e.id DESC LIMIT 200

-- name: case_households
-- whom a technical case stands for
SELECT ch.household_id FROM case_households ch
JOIN household_states s ON s.household_id = ch.household_id
WHERE ch.case_id = %(case_id)s AND ch.to_at IS NULL ORDER BY s.evidence_at LIMIT 100

-- name: case_household_counts
-- per technical case: how many homes it stands for, for how many of them somebody has to ask, and the home not
-- seen for the longest (never one whose people are away)
SELECT ch.case_id, count(*) AS household_count,
       count(*) FILTER (WHERE EXISTS (
         SELECT 1 FROM checks_due d WHERE d.household_id = ch.household_id
         AND NOT EXISTS (SELECT 1 FROM check_ends e WHERE e.check_id = d.id))) AS check_count,
       (array_agg(ch.household_id ORDER BY s.evidence_at) FILTER (WHERE s.absent_until IS NULL))[1] AS longest_unseen
FROM case_households ch LEFT JOIN household_states s ON s.household_id = ch.household_id WHERE ch.case_id = ANY(%(ids)s) AND ch.to_at IS NULL GROUP BY ch.case_id

-- name: case_id_of_household
-- the open inactivity case of a household
SELECT id, number, state, stage, holder_id FROM cases
WHERE household_id = %(household_id)s AND cause = 'inactivity' AND state <> 'closed'

-- name: past_case_ids
SELECT id FROM cases WHERE household_id = %(household_id)s AND state = 'closed' AND cause <> 'review'
ORDER BY id DESC LIMIT 10

-- name: cases_beside
-- the other open cases of the same household or about the same door; a second look at a closed case is none
SELECT o.id FROM cases c
JOIN cases o ON o.id <> c.id AND o.community_id = c.community_id AND o.state <> 'closed' AND o.cause <> 'review'
 AND (o.household_id = c.household_id
      OR c.cause NOT IN ('inactivity', 'technical') AND c.cause_key LIKE 'device:%%' AND o.cause_key = c.cause_key)
WHERE c.id = %(id)s ORDER BY o.priority DESC, o.stage_at LIMIT 20

-- name: api_case_ids
-- newest first, before a case; only what the viewer may list
SELECT c.id FROM cases c
WHERE (%(after)s::bigint IS NULL OR c.id < %(after)s)
  AND (%(community_id)s::text IS NULL OR c.community_id = %(community_id)s)
  AND (%(households)s::text[] IS NULL OR c.household_id = ANY(%(households)s))
  AND (%(household_id)s::text IS NULL OR c.household_id = %(household_id)s)
  AND (%(stage)s::int IS NULL OR (c.stage = %(stage)s AND c.cause = 'inactivity'))
  AND (%(states)s::text[] IS NULL OR c.state = ANY(%(states)s))
  AND (%(cause)s::text IS NULL OR c.cause = %(cause)s)
  AND (%(causes)s::text[] IS NULL OR c.cause = ANY(%(causes)s))
  AND (%(only_visit)s::boolean IS NOT TRUE OR c.stage >= 3
       OR EXISTS (SELECT 1 FROM outbox o WHERE o.case_id = c.id AND c.cause NOT IN ('inactivity', 'technical')
                  AND o.person = 'community:' || c.community_id || '/police_officer')
       OR EXISTS (SELECT 1 FROM case_entries e WHERE e.case_id = c.id AND e.args->>'to' = 'police_officer')
       OR EXISTS (SELECT 1 FROM consents k WHERE k.household_id = c.household_id
                  AND k.purpose = 'share_with_police' AND k.withdrawn_at IS NULL))
  AND (%(task_role)s::text IS NULL OR EXISTS (
         SELECT 1 FROM tasks t WHERE t.case_id = c.id AND t.state IN ('open', 'claimed')
         AND (t.assignee_id = %(user_id)s OR (t.role = %(task_role)s AND t.assignee_id IS NULL))))
ORDER BY c.id DESC LIMIT %(limit)s

-- name: stream_cases
-- of changed cases what decides who may learn their ids
SELECT c.id, c.community_id, CASE WHEN c.cause IN ('inactivity', 'sos', 'absence') THEN c.household_id END AS household_id,
       c.cause IN ('technical', 'device_fault', 'battery') AS technical,
       c.state <> 'closed' AND (c.cause = 'inactivity' AND c.stage >= 3
         OR EXISTS (SELECT 1 FROM outbox o WHERE o.case_id = c.id AND c.cause NOT IN ('inactivity', 'technical')
                    AND o.person = 'community:' || c.community_id || '/police_officer')
         OR EXISTS (SELECT 1 FROM case_entries e WHERE e.case_id = c.id AND e.args->>'to' = 'police_officer')
         OR EXISTS (SELECT 1 FROM consents k WHERE k.household_id = c.household_id
                    AND k.purpose = 'share_with_police' AND k.withdrawn_at IS NULL)) AS named_for_police
FROM cases c WHERE c.id = ANY(%(ids)s)

-- name: stream_households
SELECT h.id, si.community_id FROM households h JOIN sites si ON si.id = h.site_id WHERE h.id = ANY(%(ids)s)

-- name: household_lines
-- households with their first resident, their state and their open case
SELECT h.no, h.id, h.label, h.building, h.unit, h.floor, h.room, h.grid, h.tenure, h.policy_id, h.watched_from,
       si.community_id, r.id AS person_id, r.birth_year, r.category, r.hard_of_hearing, r.resident_count,
       i.name, i.phone, p.thresholds_s, p.version AS policy_version,
       s.as_of, s.known, s.not_known_since, s.stage, s.check_step, s.evidence_at, s.evidence, s.base_ms,
       s.anchor_at, s.settled_ms, s.absent_until, s.door_open_since, s.in_fault,
       EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch'
               AND k.withdrawn_at IS NULL) AS watch_consent,
       c.id AS case_id, c.number AS case_number, u.display_name AS case_holder, c.check_step AS case_check_step,
       CASE WHEN c.holder_id IN (SELECT d.deputy_id FROM duty_deputies d WHERE d.ended_at IS NULL AND d.from_at <= %(now)s
                                 AND d.to_at > %(now)s)
       THEN (SELECT e.args->>'people' FROM case_entries e WHERE e.case_id = c.id AND e.words = 'acting_for'
             AND e.user_id = c.holder_id ORDER BY e.id DESC LIMIT 1) END AS case_holder_for,
       c.evidence_at AS case_evidence_at,
       -- Looked up, never joined: a join by what stands in JSON is made only after every device's own policy was asked.
       (SELECT ed.no FROM devices ed WHERE ed.id = s.evidence->>'device') AS evidence_device_no
FROM households h
JOIN sites si ON si.id = h.site_id
LEFT JOIN LATERAL (
  SELECT q.*, count(*) OVER () AS resident_count FROM persons q
  WHERE q.household_id = h.id AND q.relation = 'resident' ORDER BY q.birth_year NULLS LAST, q.id LIMIT 1
) r ON true
LEFT JOIN person_identities i ON i.person_id = r.id
LEFT JOIN household_states s ON s.household_id = h.id
LEFT JOIN LATERAL (
  SELECT thresholds_s, version FROM policies
  WHERE id = h.policy_id AND valid_from <= %(now)s ORDER BY version DESC LIMIT 1
) p ON true
LEFT JOIN cases c ON c.household_id = h.id AND c.cause = 'inactivity' AND c.state <> 'closed'
LEFT JOIN users u ON u.id = c.holder_id
WHERE h.id = ANY(%(ids)s)

-- name: household_place
-- where a household is, or none
SELECT h.id, h.no, si.community_id FROM households h JOIN sites si ON si.id = h.site_id WHERE h.id = %(id)s

-- name: household_ids
-- a page of households in walking order; by label or by state where asked
SELECT h.id, h.site_id, h.label, count(*) OVER () AS total FROM households h
JOIN sites si ON si.id = h.site_id
LEFT JOIN household_states s ON s.household_id = h.id
WHERE (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)
  AND (%(households)s::text[] IS NULL OR h.id = ANY(%(households)s))
  AND (%(query)s = '' OR h.label ILIKE %(pattern)s OR h.id = %(query)s)
  AND CASE %(state)s
        WHEN 'high' THEN s.stage >= 3 WHEN 'mid' THEN s.stage = 2 WHEN 'low' THEN s.stage = 1
        WHEN 'unknown' THEN NOT s.known AND s.stage = 0 AND s.absent_until IS NULL
        WHEN 'normal' THEN s.known AND s.stage = 0 AND s.absent_until IS NULL
        ELSE true
      END
ORDER BY CASE WHEN s.absent_until IS NULL THEN s.stage END DESC NULLS LAST, length(h.building), h.building, length(h.unit), h.unit, h.floor,
         length(h.room), h.room, h.id
LIMIT %(limit)s OFFSET %(offset)s

-- name: api_household_ids
-- households by id, after one
SELECT h.id FROM households h JOIN sites si ON si.id = h.site_id
WHERE (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)
  AND (%(households)s::text[] IS NULL OR h.id = ANY(%(households)s))
  AND (%(after)s::text IS NULL OR h.id > %(after)s)
ORDER BY h.id LIMIT %(limit)s

-- name: evidence_events
-- the stored event behind each piece of evidence: direction and method
SELECT * FROM read_evidence_events(%(now)s, %(devices)s, %(boots)s, %(seqs)s, %(ats)s)

-- name: sensors
-- interior sensors of some households: bound to one household alone, or standing in the place that is its label
SELECT d.household_id, v.no FROM household_doors d JOIN devices v ON v.id = d.device_id
WHERE d.household_id = ANY(%(ids)s) AND v.kind IN ('motion', 'water', 'other') AND v.retired_at IS NULL
  AND d.to_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM household_doors o WHERE o.device_id = d.device_id AND o.household_id <> d.household_id)
UNION
SELECT h.id, v.no FROM households h
JOIN devices v ON v.site_id = h.site_id AND v.place = h.label AND v.kind IN ('motion', 'water') AND v.retired_at IS NULL
WHERE h.id = ANY(%(ids)s)

-- name: signs
-- interior activity at some sensors, each since its own instant, newest first
SELECT * FROM read_signs(%(now)s, %(household_ids)s, %(nos)s, %(sinces)s, %(limit)s)

-- name: task_ids
-- tasks a viewer may be shown: a clerk all of the community, a helper her own and her role's free ones; a call that is
-- still open where somebody is asked to go already stands on the case's page alone
SELECT t.id, t.case_id, count(*) OVER () AS total FROM tasks t JOIN cases c ON c.id = t.case_id
WHERE c.community_id = %(community_id)s AND (%(kinds)s::text[] IS NULL OR t.kind = ANY(%(kinds)s))
  AND CASE WHEN %(done)s THEN t.state = 'done' AND t.done_at >= %(since)s ELSE t.state IN ('open', 'claimed') AND NOT (t.kind = 'call' AND EXISTS (
         SELECT 1 FROM tasks v WHERE v.case_id = t.case_id AND v.kind = 'visit' AND v.state IN ('open', 'claimed'))) END
  AND (%(all)s OR t.assignee_id = %(user_id)s OR t.done_by = %(user_id)s
       OR (t.role = %(role)s AND t.assignee_id IS NULL AND t.state = 'open'))
-- Who calls for help waits behind no visit, however long that one is overdue.
ORDER BY c.priority DESC, CASE WHEN c.cause IN ('sos', 'duress') THEN 0 WHEN t.kind = 'visit' THEN 1 WHEN t.kind = 'call' THEN 2 ELSE 3 END,
         t.due_at, t.id LIMIT 200

-- name: reviewed_word
-- the word a second look is about
SELECT c.id, c.number, t.kind, t.witness, u.display_name FROM cases c
LEFT JOIN tasks t ON t.id = %(task)s AND t.case_id = c.id LEFT JOIN users u ON u.id = %(recorded_by)s
WHERE c.id = %(case)s

-- name: stands_in_for
-- for whom somebody stands in now, and until when
SELECT u.display_name, d.to_at FROM duty_deputies d JOIN users u ON u.id = d.user_id
WHERE d.deputy_id = %(user_id)s AND d.ended_at IS NULL AND d.from_at <= %(now)s AND d.to_at > %(now)s
ORDER BY d.to_at, d.id

-- name: task_by_id
SELECT t.*, c.community_id FROM tasks t JOIN cases c ON c.id = t.case_id WHERE t.id = %(id)s

-- name: contacts
-- whom to ask for some households, in order
SELECT k.household_id, k.person_id, k.role, k.position, k.relation_words, i.name, i.phone,
       EXISTS (SELECT 1 FROM phone_changes x WHERE x.person_id = k.person_id AND NOT x.settled
               AND (x.trusted_from IS NULL OR x.trusted_from > %(now)s)) AS number_changed
FROM household_contacts k LEFT JOIN person_identities i ON i.person_id = k.person_id
WHERE k.household_id = ANY(%(ids)s) ORDER BY k.household_id, k.position, k.person_id

-- name: number_changed
-- one row where somebody's number was changed and does not count yet
SELECT 1 FROM phone_changes x WHERE x.person_id = %(person_id)s AND NOT x.settled
  AND (x.trusted_from IS NULL OR x.trusted_from > %(now)s)

-- name: absences
-- declared absences of a household, newest first
SELECT id, from_at, to_at, reason, declared_by, declared_at, revoked_at, renewed_at FROM absences
WHERE household_id = %(household_id)s ORDER BY from_at DESC LIMIT 20

-- name: absence_add
-- the new absence's id
INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)
VALUES (%(household_id)s, %(from_at)s, %(to_at)s, %(reason)s, %(declared_by)s, %(now)s)
RETURNING id

-- name: absence_overlaps
-- whether a standing absence of the household overlaps
SELECT EXISTS (SELECT 1 FROM absences WHERE household_id = %(household_id)s AND revoked_at IS NULL
  AND from_at < %(to_at)s AND to_at > %(from_at)s) AS overlaps

-- name: absence_renew
-- a standing absence goes on: never more than so many days from now, nor from its begin
UPDATE absences SET to_at = %(to_at)s, renewed_at = %(now)s, renewed_by = %(renewed_by)s
WHERE id = %(id)s AND household_id = %(household_id)s AND revoked_at IS NULL AND from_at <= %(now)s
  AND to_at > %(now)s AND %(to_at)s::timestamptz > to_at
  AND %(to_at)s::timestamptz <= %(now)s::timestamptz + %(renewed_max)s::interval
  AND %(to_at)s::timestamptz <= from_at + interval '90 days'

-- name: absence_by_id
SELECT id, from_at, to_at, revoked_at FROM absences WHERE id = %(id)s AND household_id = %(household_id)s

-- name: absence_end
-- she is back: one that has begun ends now, and its end is evidence; one to come is taken back
UPDATE absences SET to_at = CASE WHEN from_at < %(now)s THEN %(now)s ELSE to_at END,
                    revoked_at = CASE WHEN from_at < %(now)s THEN NULL ELSE %(now)s END
WHERE id = %(id)s AND household_id = %(household_id)s AND revoked_at IS NULL AND to_at > %(now)s

-- name: consents
SELECT DISTINCT ON (purpose) purpose, given_by, given_at, withdrawn_at FROM consents
WHERE household_id = %(household_id)s ORDER BY purpose, (withdrawn_at IS NULL) DESC, given_at DESC

-- name: household_openings
-- what was seen at a household's own doors, newest first
SELECT * FROM read_household_openings(%(household_id)s, %(since)s, %(now)s, %(limit)s)

-- name: family_help
-- the open call for help of a household
SELECT id FROM cases WHERE household_id = %(household_id)s AND cause = 'sos' AND state <> 'closed' ORDER BY id LIMIT 1

-- name: family_word
-- what the word was that a state rests on: spoke, saw, meal, order, button, remote; family: a relative's, who spoke with her
SELECT CASE WHEN how = 'remote' AND witness LIKE 'family:%%' THEN 'family' ELSE how END AS how FROM verified_contacts
WHERE household_id = %(household_id)s AND 'verified_contacts:' || id = %(source)s

-- name: family_ended
-- whether the watch over a home ended with her death, as a second person confirmed it
SELECT EXISTS (SELECT 1 FROM cases c WHERE c.household_id = %(household_id)s AND c.state = 'closed' AND c.outcome = 'deceased'
               AND NOT EXISTS (SELECT 1 FROM consents k WHERE k.household_id = c.household_id AND k.purpose = 'watch'
                               AND k.withdrawn_at IS NULL)) AS ended

-- name: family_question
-- the open question of a household whether somebody is back, with its task
SELECT c.id AS case_id, t.id AS task_id, c.evidence_at, t.due_at FROM cases c
JOIN tasks t ON t.case_id = c.id AND t.state IN ('open', 'claimed') AND t.kind = 'confirm_back'
WHERE c.household_id = %(household_id)s AND c.cause = 'absence' AND c.state <> 'closed' ORDER BY c.id LIMIT 1

-- name: household_devices
SELECT d.device_id FROM household_doors d WHERE d.household_id = %(household_id)s AND d.to_at IS NULL

-- name: log_rows
-- door events of a community, newest first, before or after a position; holders are not in it
SELECT * FROM read_log(%(community_id)s, %(now)s, %(from_at)s, %(to_at)s, %(door)s, %(building)s, %(unit)s,
  %(household_id)s, %(type)s, %(method)s, %(origin)s, %(older)s, %(newer)s, %(device_no)s, %(boot)s, %(seq)s, %(limit)s)

-- name: log_doors
-- the doors of a community for the filter
SELECT v.id, v.place FROM devices v JOIN sites si ON si.id = v.site_id
WHERE si.community_id = %(community_id)s AND v.kind IN ('controller', 'contact') ORDER BY v.place, v.id LIMIT 10000

-- name: buildings
SELECT h.building, h.unit FROM households h JOIN sites si ON si.id = h.site_id
WHERE si.community_id = %(community_id)s GROUP BY 1, 2 ORDER BY length(h.building), h.building, length(h.unit), h.unit

-- name: device_rows
-- devices with their last word, troubled first, a page of them; of a query those whose place, id or gateway holds it
SELECT v.no, v.id, v.kind, v.model, v.place, v.gateway_id, v.supervision_s, v.retired_at,
       st.status, greatest(st.heard_at, cp.heard_at) AS heard_at, st.facts,
       o.began_at AS unknown_since, o.cause, fh.heard_at AS first_heard_at,
       v.registered_at + make_interval(secs => co.commissioning_s) AS expected_at,
       (SELECT sum(b.lost) FROM boot_losses b WHERE b.device_no = v.no)::bigint AS lost,
       (SELECT max(g.until_at) FROM agreements g WHERE g.device_id = v.id AND g.state = 'agreed'
          AND g.until_at > %(now)s) AS test_until,
       v.kind IN ('controller', 'contact') AND greatest(v.registered_at, hd.from_at)
         > %(now)s - make_interval(secs => co.commissioning_s) AS on_trial, cp.moved_at,
       ta.implausible_heartbeats, cp.clock, cp.heard_at IS NULL AND st.heard_at IS NULL AS never_heard, od.overdue,
       lb.at AS battery_low_since,
       (SELECT count(DISTINCT d.household_id) FROM household_doors d WHERE d.device_id = v.id AND d.to_at IS NULL) AS household_count,
       EXISTS (SELECT 1 FROM household_doors d JOIN household_states s ON s.household_id = d.household_id
               WHERE d.device_id = v.id AND d.to_at IS NULL AND s.in_fault) AS in_fault,
       count(*) OVER () AS total
FROM devices v
JOIN sites si ON si.id = v.site_id
JOIN communities co ON co.id = si.community_id
LEFT JOIN device_commissionings fh ON fh.device_id = v.id
LEFT JOIN device_tallies ta ON ta.device_id = v.id
LEFT JOIN device_states st ON st.device_id = v.id
LEFT JOIN LATERAL (
  SELECT to_timestamp(c.last_received_ms / 1000.0) AS heard_at, c.last_clock AS clock,
    CASE WHEN c.seq_last > 0 THEN to_timestamp(c.first_received_ms / 1000.0) END AS moved_at
  FROM coverage_points c
  WHERE c.device_no = v.no ORDER BY c.last_received_ms DESC LIMIT 1
) cp ON true
LEFT JOIN LATERAL (
  SELECT max(d.from_at) AS from_at FROM household_doors d WHERE d.device_id = v.id AND d.to_at IS NULL
) hd ON true
LEFT JOIN LATERAL (
  SELECT o.began_at, o.cause FROM outages_now o WHERE o.device_id = v.id AND o.ended_at IS NULL
  ORDER BY o.began_at DESC LIMIT 1
) o ON true
LEFT JOIN LATERAL (
  SELECT max(s.at) AS at FROM signals s WHERE s.kind = 'battery_low' AND s.device_id = v.id AND v.retired_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id)
) lb ON true
-- What no watched home depends on has no outage of its own; heartbeats are written every ten minutes.
CROSS JOIN LATERAL (
  SELECT v.retired_at IS NULL AND coalesce(greatest(st.heard_at, cp.heard_at)
           < %(now)s - make_interval(secs => v.supervision_s + 600), false) AS overdue
) od
WHERE (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)
  AND (%(ids)s::text[] IS NULL OR v.id = ANY(%(ids)s))
  AND (%(query)s::text = '' OR position(lower(%(query)s) IN lower(concat_ws(' ', v.place, v.id, v.gateway_id))) > 0)
  AND (NOT %(low_battery)s OR lb.at IS NOT NULL)
  AND (NOT %(troubled)s OR o.began_at IS NOT NULL OR od.overdue OR v.retired_at IS NULL AND fh.heard_at IS NULL)
ORDER BY (o.began_at IS NULL AND NOT od.overdue AND fh.heard_at IS NOT NULL), o.began_at, v.place, v.id LIMIT %(limit)s OFFSET %(offset)s

-- name: communities_up_to
SELECT count(*) AS n FROM (SELECT 1 FROM communities LIMIT %(limit)s) c

-- name: places_to_choose
-- communities whose name or id holds a word, those with most open cases about devices first
WITH open AS (
  SELECT c.community_id, count(*) AS n FROM cases c
  WHERE c.state <> 'closed' AND c.cause IN ('technical', 'device_fault', 'battery') GROUP BY c.community_id
)
SELECT y.id, y.name, coalesce(o.n, 0) AS open, count(*) OVER () AS total
FROM communities y LEFT JOIN open o ON o.community_id = y.id
WHERE %(name)s::text = '' OR position(lower(%(name)s) IN lower(y.name || ' ' || y.id)) > 0
ORDER BY coalesce(o.n, 0) DESC, y.name, y.id LIMIT %(limit)s

-- name: community_of_device
-- where a device is, of which the whole id is known
SELECT si.community_id FROM devices v JOIN sites si ON si.id = v.site_id WHERE v.id = %(id)s

-- name: device_totals
SELECT count(*) AS total,
       count(*) FILTER (WHERE EXISTS (SELECT 1 FROM outages o WHERE o.device_id = v.id
         AND NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id))
         OR greatest((SELECT st.heard_at FROM device_states st WHERE st.device_id = v.id),
                     (SELECT to_timestamp(max(c.last_received_ms) / 1000.0) FROM coverage_points c WHERE c.device_no = v.no))
            < %(now)s - make_interval(secs => v.supervision_s + 600)) AS not_known,
       count(*) FILTER (WHERE EXISTS (SELECT 1 FROM agreements g WHERE g.device_id = v.id AND g.state = 'agreed'
         AND g.until_at > %(now)s)) AS on_test,
       count(*) FILTER (WHERE EXISTS (SELECT 1 FROM signals s WHERE s.kind = 'battery_low' AND s.device_id = v.id
         AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id))) AS low_batteries
FROM devices v JOIN sites si ON si.id = v.site_id
WHERE (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s) AND v.retired_at IS NULL

-- name: quarantine_rows
-- messages that could not be stored, newest first; a clerk sees those of the community's sites
SELECT q.id, q.received_at, q.topic, q.channel, q.device_id, q.payload_bytes, q.reason, q.detail, q.copies,
       q.replayed_at, q.replay_asked, q.answered_at, substring(q.payload FOR 160) AS sample
FROM quarantine q
WHERE (%(before)s::bigint IS NULL OR q.id < %(before)s)
  AND (%(id)s::bigint IS NULL OR q.id = %(id)s)
  AND (%(waiting)s::boolean IS NULL OR (q.replayed_at IS NULL AND q.answered_at IS NULL) = %(waiting)s)
  AND (%(community_id)s::text IS NULL
       OR split_part(q.topic, '/', 5) IN (SELECT id FROM sites WHERE community_id = %(community_id)s)
       OR ((SELECT count(*) FROM communities) = 1))
ORDER BY q.id DESC LIMIT %(limit)s

-- name: quarantine_waiting
SELECT count(*) AS waiting FROM quarantine q
WHERE q.replayed_at IS NULL AND q.answered_at IS NULL
  AND (%(community_id)s::text IS NULL
       OR split_part(q.topic, '/', 5) IN (SELECT id FROM sites WHERE community_id = %(community_id)s)
       OR ((SELECT count(*) FROM communities) = 1))

-- name: quarantine_groups
-- what waits by reason and device, where it is more than one message; the scope as above
SELECT q.reason, q.device_id, count(*) AS waiting, min(q.received_at) AS first_at, max(q.received_at) AS last_at,
       max(q.id) AS last_id, count(*) FILTER (WHERE q.replay_asked) AS asked
FROM quarantine q
WHERE q.replayed_at IS NULL AND q.answered_at IS NULL
  AND (%(community_id)s::text IS NULL
       OR split_part(q.topic, '/', 5) IN (SELECT id FROM sites WHERE community_id = %(community_id)s)
       OR ((SELECT count(*) FROM communities) = 1))
GROUP BY q.reason, q.device_id HAVING count(*) > 1
ORDER BY count(*) DESC, q.reason, q.device_id LIMIT %(limit)s

-- name: quarantine_group_ids
-- the oldest messages of one group, as it was shown
SELECT q.id FROM quarantine q
WHERE q.replayed_at IS NULL AND q.answered_at IS NULL AND NOT q.replay_asked AND q.id <= %(last_id)s
  AND q.reason = %(reason)s AND q.device_id IS NOT DISTINCT FROM %(device_id)s
  AND (%(community_id)s::text IS NULL
       OR split_part(q.topic, '/', 5) IN (SELECT id FROM sites WHERE community_id = %(community_id)s)
       OR ((SELECT count(*) FROM communities) = 1))
ORDER BY q.id LIMIT %(limit)s

-- name: answer_quarantined
-- A person has dealt with a message that cannot be stored; its exact copies stay answered.
UPDATE quarantine SET answered_at = %(now)s, answered_by = %(by)s, replay_asked = false
WHERE id = ANY (%(ids)s) AND replayed_at IS NULL AND answered_at IS NULL
RETURNING id

-- name: technical_case_ids
-- open technical cases, the widest causes first; of gateways with their site, each looked up by itself: joined, every device is read
SELECT f.id, f.total, v.site_id, v.site FROM (
  SELECT c.id, c.cause_key, count(*) OVER () AS total,
         row_number() OVER (ORDER BY array_position(ARRAY['own', 'broker', 'site', 'gateway', 'device', 'quarantine'],
           split_part(coalesce(c.cause_key, 'own'), ':', 1)), c.stage_at, c.id) AS place
  FROM cases c
  WHERE c.cause = 'technical' AND c.state <> 'closed'
    AND (%(community_id)s::text IS NULL OR c.community_id = %(community_id)s)
  ORDER BY place LIMIT %(causes)s
) f
LEFT JOIN LATERAL (
  SELECT si.id AS site_id, si.name AS site FROM devices d JOIN sites si ON si.id = d.site_id
  WHERE f.cause_key LIKE 'gateway:%%' AND d.id = substr(f.cause_key, 9) LIMIT 1
) v ON true
ORDER BY f.place

-- name: silent_gateways
-- gateways heard before whose silence is an open case, oldest first: site, since when, by when somebody is to look
SELECT c.id, c.stage_at AS since, v.site_id, v.site,
       (SELECT min(t.due_at) FROM tasks t WHERE t.case_id = c.id AND t.state IN ('open', 'claimed')) AS due_at
FROM cases c
CROSS JOIN LATERAL (
  SELECT si.id AS site_id, si.name AS site FROM devices d JOIN sites si ON si.id = d.site_id
  WHERE d.id = substr(c.cause_key, 9) LIMIT 1
) v
WHERE c.cause = 'technical' AND c.state <> 'closed' AND c.cause_key LIKE 'gateway:%%'
  AND (%(community_id)s::text IS NULL OR c.community_id = %(community_id)s)
  AND NOT EXISTS (SELECT 1 FROM case_entries e WHERE e.case_id = c.id AND e.words = 'never_heard')
ORDER BY c.stage_at, c.id LIMIT %(limit)s

-- name: technical_homes
-- how many homes some technical cases stand for together: one behind two gateways is one
SELECT count(DISTINCT household_id) AS homes FROM case_households WHERE case_id = ANY(%(ids)s) AND to_at IS NULL

-- name: technical_unseen
-- who is asked after because nobody could see them: step, since when, whose task by when, and what keeps them unseen
SELECT d.household_id, d.step, d.evidence_at, c.id AS case_id, c.number AS case_number,
       t.kind AS task_kind, t.role AS task_role, t.start_at AS task_start_at, t.due_at AS task_due_at,
       coalesce(a.display_name, u.display_name) AS owner,
       (SELECT tc.cause_key FROM case_households ch JOIN cases tc ON tc.id = ch.case_id AND tc.state <> 'closed'
        WHERE ch.household_id = d.household_id AND ch.to_at IS NULL ORDER BY tc.id LIMIT 1) AS cause_key,
       ARRAY(SELECT coalesce(p.category, '') FROM persons p
             WHERE p.household_id = d.household_id AND p.relation = 'resident' ORDER BY p.id) AS categories,
       ARRAY(SELECT coalesce(p.birth_year, 0) FROM persons p
             WHERE p.household_id = d.household_id AND p.relation = 'resident' ORDER BY p.id) AS birth_years,
       ARRAY(SELECT p.hard_of_hearing FROM persons p
             WHERE p.household_id = d.household_id AND p.relation = 'resident' ORDER BY p.id) AS hard_of_hearing
FROM (
  SELECT k.household_id, max(k.step) AS step, min(k.evidence_at) AS evidence_at FROM checks_due k
  WHERE NOT EXISTS (SELECT 1 FROM check_ends e WHERE e.check_id = k.id) GROUP BY k.household_id
) d
JOIN households h ON h.id = d.household_id JOIN sites si ON si.id = h.site_id
LEFT JOIN cases c ON c.household_id = d.household_id AND c.cause = 'inactivity' AND c.state <> 'closed'
LEFT JOIN users u ON u.id = c.holder_id
LEFT JOIN LATERAL (
  SELECT * FROM tasks t WHERE t.case_id = c.id AND t.state IN ('open', 'claimed')
  ORDER BY array_position(ARRAY['confirm_closing', 'visit', 'call'], t.kind), t.due_at, t.id LIMIT 1
) t ON true
LEFT JOIN users a ON a.id = t.assignee_id
WHERE %(community_id)s::text IS NULL OR si.community_id = %(community_id)s

-- name: technical_counts
-- checks that wait for devices to speak, and homes nobody can see now
SELECT (SELECT count(*) FROM checks_held w JOIN households h ON h.id = w.household_id JOIN sites si ON si.id = h.site_id
        WHERE w.ended_at IS NULL
          AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)) AS waiting,
       (SELECT max(w.held_until) FROM checks_held w JOIN households h ON h.id = w.household_id
        JOIN sites si ON si.id = h.site_id WHERE w.ended_at IS NULL
          AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)) AS waiting_until,
       (SELECT count(*) FROM household_states s JOIN households h ON h.id = s.household_id
        JOIN sites si ON si.id = h.site_id
        WHERE NOT s.known AND s.absent_until IS NULL
          AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch'
                      AND k.withdrawn_at IS NULL)
          AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)) AS not_known

-- name: technical_awaited
-- devices in the register that were never heard, and by when they should have been
SELECT v.id, v.kind, v.place, v.gateway_id, si.name AS site,
       v.registered_at + make_interval(secs => co.commissioning_s) AS due_at,
       (SELECT count(DISTINCT d.household_id) FROM household_doors d
        WHERE d.device_id = v.id AND (d.to_at IS NULL OR d.to_at > %(now)s)) AS household_count,
       count(*) OVER () AS total
FROM devices v JOIN sites si ON si.id = v.site_id JOIN communities co ON co.id = si.community_id
WHERE v.retired_at IS NULL AND NOT EXISTS (SELECT 1 FROM device_commissionings f WHERE f.device_id = v.id)
  AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)
ORDER BY due_at, v.id LIMIT %(awaited)s

-- name: family_homes
-- what one family member is tied to
SELECT uh.household_id, uh.relation_words FROM user_households uh
WHERE uh.user_id = %(user_id)s AND NOT uh.is_landlord ORDER BY uh.household_id

-- name: outage_of_household
-- the oldest standing outage of a household's doors
SELECT o.cause, o.began_at FROM outages_now o
JOIN household_doors d ON d.device_id = o.device_id AND d.household_id = %(household_id)s AND d.to_at IS NULL
WHERE o.ended_at IS NULL ORDER BY o.began_at LIMIT 1

-- name: police_buildings
-- counts per building; nobody is named by them
SELECT h.building, count(*) AS watched,
       count(*) FILTER (WHERE greatest(s.stage, c.stage) = 1) AS warning,
       count(*) FILTER (WHERE greatest(s.stage, c.stage) = 2) AS call,
       count(*) FILTER (WHERE greatest(s.stage, c.stage) >= 3) AS visit,
       count(*) FILTER (WHERE NOT s.known AND greatest(s.stage, c.stage) = 0 AND s.absent_until IS NULL) AS unknown
FROM households h JOIN sites si ON si.id = h.site_id JOIN household_states s ON s.household_id = h.id
LEFT JOIN cases c ON c.household_id = h.id AND c.cause = 'inactivity' AND c.state <> 'closed'
WHERE si.community_id = %(community_id)s
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = h.id AND k.purpose = 'watch' AND k.withdrawn_at IS NULL)
GROUP BY h.building ORDER BY length(h.building), h.building

-- name: users
SELECT u.id, u.name, u.display_name, u.role, u.community_id, u.created_at, u.disabled_at,
       last_seen(u.id) AS seen_at
FROM users u WHERE (%(community_id)s::text IS NULL OR u.community_id = %(community_id)s OR u.community_id IS NULL)
ORDER BY u.role, u.name LIMIT 500

-- name: user_disable
UPDATE users SET disabled_at = %(now)s WHERE name = %(name)s AND disabled_at IS NULL AND id <> %(user_id)s
  AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
RETURNING id

-- name: user_enable
UPDATE users SET disabled_at = NULL WHERE name = %(name)s AND disabled_at IS NOT NULL
  -- Somebody to whom nobody agreed yet is let in by that agreement alone.
  AND NOT EXISTS (SELECT 1 FROM people_requests r WHERE r.user_id = users.id AND r.kind = 'add_person' AND r.state <> 'agreed')
  AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
RETURNING id

-- name: installation
SELECT kind, created_at FROM installation

-- name: storage
SELECT coalesce((SELECT tier FROM schema_migrations ORDER BY version DESC LIMIT 1), 'plain') AS tier

-- name: ready
SELECT at FROM service_progress WHERE service = %(service)s

-- name: watched_count
-- how many households of a community are watched
SELECT count_watched(%(community_id)s) AS count

-- name: person_names
-- names of some persons, for a look-up with a ticket
SELECT person_id, name FROM person_identities WHERE person_id = ANY(%(ids)s)

-- name: places
-- names of devices and sites, and the community's under the empty id; of a device since when its battery is low
SELECT v.id, v.place, (SELECT max(s.at) FROM signals s WHERE s.kind = 'battery_low' AND s.device_id = v.id
  AND NOT EXISTS (SELECT 1 FROM signal_ends e WHERE e.signal_id = s.id)) AS battery_low_since
FROM devices v WHERE v.id = ANY(%(ids)s)
UNION ALL SELECT id, name, NULL FROM sites WHERE id = ANY(%(ids)s)
UNION ALL SELECT '', name, NULL FROM communities WHERE id = %(community_id)s

-- name: asked_look
-- when a family member last wrote on a case
SELECT max(e.at) AS at FROM case_entries e JOIN users u ON u.id = e.user_id
WHERE e.case_id = %(case_id)s AND u.role = 'family' AND e.note IS NOT NULL

-- name: past_household
-- what the rule needs of a household, and whether it is known now
SELECT h.site_id, h.watched_from, p.thresholds_s, s.known, s.evidence_at
FROM households h
LEFT JOIN household_states s ON s.household_id = h.id
LEFT JOIN LATERAL (
  SELECT thresholds_s FROM policies
  WHERE id = h.policy_id AND valid_from <= %(until)s ORDER BY version DESC LIMIT 1
) p ON true
WHERE h.id = %(household_id)s

-- name: past_doors
-- the doors of a household with their devices
SELECT d.device_id, d.role, d.from_at, d.to_at, v.no, v.supervision_s
FROM household_doors d JOIN devices v ON v.id = d.device_id
WHERE d.household_id = %(household_id)s AND v.kind IN ('controller', 'contact', 'gateway', 'other')

-- name: past_outages
-- doors of a household that were not heard at an instant, and when they last had been
SELECT DISTINCT ON (o.device_id) o.device_id, o.began_at, o.heard_at FROM outages o
JOIN household_doors d ON d.device_id = o.device_id AND d.household_id = %(household_id)s
LEFT JOIN outage_ends e ON e.outage_id = o.id
WHERE o.began_at <= %(until)s AND (e.ended_at IS NULL OR e.ended_at > %(until)s)
ORDER BY o.device_id, o.began_at DESC

-- name: past_absences
-- absences as they stood declared at an instant
SELECT from_at, to_at FROM absences
WHERE household_id = %(household_id)s AND (revoked_at IS NULL OR revoked_at > %(known_at)s) AND to_at >= %(since)s
  AND declared_at <= %(known_at)s ORDER BY from_at

-- name: past_verified
-- words of her as they were known at an instant
SELECT id, at, how, witness FROM verified_contacts
WHERE household_id = %(household_id)s AND at >= %(since)s AND at <= %(until)s AND recorded_at <= %(known_at)s
  AND (doubted_at IS NULL OR doubted_at > %(known_at)s)
ORDER BY at

-- name: past_credentials
-- credentials of the household, and everybody's who is at work or visiting
SELECT token, class, household_id FROM credentials
WHERE household_id = %(household_id)s OR class IN ('staff', 'guard', 'visitor')

-- name: past_events
-- plausible events of a household's devices, newest first
SELECT * FROM read_device_events('history', 'household:' || %(household_id)s, %(until)s, %(nos)s, %(since)s, %(until)s,
                                 %(known_at)s, %(limit)s)

-- name: past_points
-- folded heartbeats of some devices
SELECT * FROM coverage_points
WHERE device_no = ANY(%(nos)s) AND last_received_ms >= extract(epoch FROM %(since)s::timestamptz) * 1000
  AND first_received_ms <= extract(epoch FROM %(known_at)s::timestamptz) * 1000

-- name: past_boots
SELECT * FROM boots WHERE device_no = ANY(%(nos)s)

-- name: device_sign_ins
-- Who signs in at the broker: gateways with the devices behind them, and devices behind none; the edge has its own user.
SELECT d.id, d.site_id,
  coalesce(array_agg(b.id ORDER BY b.id) FILTER (WHERE b.id IS NOT NULL), '{}') AS behind
FROM devices d LEFT JOIN devices b ON b.gateway_id = d.id AND b.site_id = d.site_id AND b.retired_at IS NULL
WHERE d.gateway_id IS NULL AND d.retired_at IS NULL AND d.id <> 'edge'
GROUP BY d.id, d.site_id ORDER BY d.id

-- name: own_edge
-- The edge of this machine in the register.
SELECT site_id FROM devices WHERE id = %(id)s

-- name: register_own_edge
-- The edge of this machine becomes a device at the site named, or at the only one there is.
INSERT INTO devices (id, site_id, kind, place, registered_at)
SELECT %(id)s, s.id, 'gateway', 'kaimen up', %(now)s FROM sites s
WHERE s.id = %(site)s OR %(site)s = '' AND (SELECT count(*) FROM sites) = 1
ON CONFLICT (id) DO NOTHING
RETURNING site_id

-- name: answer_own_edge
-- What this machine's edge said of itself before it had a site: heartbeats and births, which prove nothing now.
UPDATE quarantine SET answered_at = %(now)s, answered_by = 'up', replay_asked = false
WHERE device_id = %(id)s AND channel IN ('hb', 'state') AND split_part(topic, '/', 5) <> %(site)s
  AND replayed_at IS NULL AND answered_at IS NULL

-- name: first_steps
-- What an installation has of what it takes to watch somebody and to reach whoever has to know.
SELECT EXISTS (SELECT 1 FROM sites) AS has_site,
       EXISTS (SELECT 1 FROM users WHERE role = 'property_clerk' AND disabled_at IS NULL) AS has_clerk,
       EXISTS (SELECT 1 FROM households) AS has_home,
       EXISTS (SELECT 1 FROM communities c WHERE count_watched(c.id) > 0) AS is_watched,
       EXISTS (SELECT 1 FROM channel_states WHERE opened_at IS NOT NULL AND channel <> 'console') AS has_channel
