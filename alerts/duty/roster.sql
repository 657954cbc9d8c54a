-- Statements about duty: rosters, who stands in, holidays, hand-overs, live tests.

-- name: duty_version
-- The number that changes with anything that is read of a community's duty, and its zone.
SELECT c.zone, coalesce(v.version, 0) AS version FROM communities c LEFT JOIN duty_versions v ON v.community_id = c.id
WHERE c.id = %(community_id)s

-- name: duty_rosters
SELECT role, version, saved_at, saved_by FROM duty_rosters WHERE community_id = %(community_id)s AND ended_at IS NULL

-- name: duty_rules
SELECT role, days, from_time, until_time, first_day, last_day, user_ids FROM duty_rules
WHERE community_id = %(community_id)s AND ended_at IS NULL ORDER BY role, position, id

-- name: duty_shifts
SELECT id, role, user_id, position, from_at, to_at FROM duty_shifts
WHERE community_id = %(community_id)s AND ended_at IS NULL AND to_at > %(since)s ORDER BY from_at, position, id

-- name: duty_overrides
SELECT id, role, from_at, to_at, user_ids, adds, reason, made_at, made_by FROM duty_overrides
WHERE community_id = %(community_id)s AND ended_at IS NULL AND to_at > %(since)s ORDER BY made_at, id

-- name: duty_swaps
SELECT id, role, giver_id, taker_id, from_at, to_at, back_from_at, back_to_at, note, state, asked_at FROM duty_swaps
WHERE community_id = %(community_id)s AND state = ANY(%(states)s) AND greatest(to_at, back_to_at) > %(since)s
ORDER BY asked_at, id

-- name: duty_deputies
SELECT id, user_id, deputy_id, from_at, to_at, reason, made_by FROM duty_deputies
WHERE community_id = %(community_id)s AND ended_at IS NULL AND to_at > %(since)s ORDER BY made_at, id

-- name: duty_people
-- Staff of a community who may sign in, and whether each has an address on a channel that is open now.
-- A person stands here once, with every role she holds in the community: her first position's before those beside it.
SELECT u.id, u.display_name, held.roles[1] AS role, held.roles[2:] AS others,
  EXISTS (SELECT 1 FROM contact_channels k JOIN channel_states s ON s.channel = k.channel
          WHERE k.user_id = u.id AND k.ended_at IS NULL AND s.personal AND s.opened_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM staff_phones p JOIN channel_states s ON s.channel = 'voice'
               WHERE p.user_id = u.id AND p.rings AND s.opened_at IS NOT NULL) AS personal
FROM users u
JOIN LATERAL (
  SELECT array_agg(h.role ORDER BY h.place) AS roles FROM (
    SELECT h.role, min(h.place) AS place FROM (
      SELECT u.role, 0::bigint AS place, u.community_id
      UNION ALL SELECT p.role, p.id, p.community_id FROM user_positions p WHERE p.user_id = u.id
    ) h WHERE h.community_id = %(community_id)s AND h.role NOT IN ('family', 'resident') GROUP BY h.role
  ) h
) held ON held.roles IS NOT NULL
WHERE u.disabled_at IS NULL
ORDER BY u.display_name, u.id

-- name: personal_channels_open
-- Whether any channel is open that needs an address, or a number, of a person.
SELECT EXISTS (SELECT 1 FROM channel_states WHERE (personal OR channel = 'voice') AND opened_at IS NOT NULL) AS any

-- name: holiday_years
SELECT year, source, holidays, workdays, entered_at, entered_by FROM holiday_years ORDER BY year

-- name: holiday_year_save
INSERT INTO holiday_years (year, source, holidays, workdays, entered_at, entered_by)
VALUES (%(year)s, %(source)s, %(holidays)s, %(workdays)s, %(now)s, %(by)s)
ON CONFLICT (year) DO UPDATE SET source = excluded.source, holidays = excluded.holidays,
  workdays = excluded.workdays, entered_at = excluded.entered_at, entered_by = excluded.entered_by

-- name: lock_duty
-- One change of a community's duty at a time: each is judged by what the others left.
SELECT pg_advisory_xact_lock(hashtextextended('duty:' || %(community_id)s, 7241))

-- name: roster_save
INSERT INTO duty_rosters (community_id, role, saved_at, saved_by) VALUES (%(community_id)s, %(role)s, %(now)s, %(by)s)
ON CONFLICT (community_id, role) DO UPDATE SET version = duty_rosters.version + 1, saved_at = excluded.saved_at,
  saved_by = excluded.saved_by, ended_at = NULL

-- name: roster_end
UPDATE duty_rosters SET ended_at = %(now)s, version = version + 1
WHERE community_id = %(community_id)s AND role = %(role)s AND ended_at IS NULL

-- name: rules_end
UPDATE duty_rules SET ended_at = %(now)s
WHERE community_id = %(community_id)s AND role = %(role)s AND ended_at IS NULL

-- name: rule_insert
INSERT INTO duty_rules (community_id, role, position, days, from_time, until_time, first_day, last_day, user_ids, made_at)
VALUES (%(community_id)s, %(role)s, %(position)s, %(days)s, %(start)s, %(end)s, %(first_day)s, %(last_day)s,
  %(people)s, %(now)s)

-- name: shift_insert
INSERT INTO duty_shifts (community_id, role, user_id, position, from_at, to_at, uid, made_at, made_by)
VALUES (%(community_id)s, %(role)s, %(user_id)s, %(position)s, %(from_at)s, %(to_at)s, %(uid)s, %(now)s, %(by)s)

-- name: shifts_end
-- Imported shifts of a role that have not begun: the new calendar takes their place.
UPDATE duty_shifts SET ended_at = %(now)s
WHERE community_id = %(community_id)s AND role = %(role)s AND ended_at IS NULL AND from_at >= %(now)s

-- name: override_insert
INSERT INTO duty_overrides (community_id, role, from_at, to_at, user_ids, adds, reason, made_at, made_by)
VALUES (%(community_id)s, %(role)s, %(from_at)s, %(to_at)s, %(people)s, %(adds)s, %(reason)s, %(now)s, %(by)s)
RETURNING id

-- name: override_end
UPDATE duty_overrides SET ended_at = %(now)s
WHERE id = %(id)s AND community_id = %(community_id)s AND ended_at IS NULL RETURNING id

-- name: swap_insert
INSERT INTO duty_swaps (community_id, role, giver_id, taker_id, from_at, to_at, back_from_at, back_to_at, note, asked_at)
VALUES (%(community_id)s, %(role)s, %(giver)s, %(taker)s, %(from_at)s, %(to_at)s, %(back_from_at)s, %(back_to_at)s,
  %(note)s, %(now)s)
RETURNING id

-- name: swap_answer
-- Only the one who was asked answers; only the one who asked takes it back.
UPDATE duty_swaps SET state = %(state)s, answered_at = %(now)s
WHERE id = %(id)s AND community_id = %(community_id)s AND state = 'asked' AND to_at > %(now)s
  AND (CASE WHEN %(state)s = 'withdrawn' THEN giver_id ELSE taker_id END) = %(user_id)s
RETURNING id

-- name: deputy_insert
INSERT INTO duty_deputies (community_id, user_id, deputy_id, from_at, to_at, reason, made_at, made_by)
VALUES (%(community_id)s, %(person)s, %(deputy)s, %(from_at)s, %(to_at)s, %(reason)s, %(now)s, %(by)s)
RETURNING id

-- name: deputy_end
UPDATE duty_deputies SET ended_at = %(now)s
WHERE id = %(id)s AND community_id = %(community_id)s AND ended_at IS NULL RETURNING id

-- name: own_deputy_end
UPDATE duty_deputies SET ended_at = %(now)s
WHERE id = %(id)s AND community_id = %(community_id)s AND user_id = %(user_id)s AND ended_at IS NULL AND to_at > %(now)s
RETURNING id

-- name: acting_for
-- A line of the timeline: whoever took the case stands in for somebody; once for the same case and people.
INSERT INTO case_entries (case_id, at, words, args, user_id, fact)
VALUES (%(case_id)s, %(now)s, 'acting_for', %(args)s, %(user_id)s, %(fact)s)
ON CONFLICT (fact) DO NOTHING

-- name: case_community
SELECT community_id FROM cases WHERE id = %(case_id)s

-- name: tell_on_duty
-- A line of the timeline: who is on duty for a role and was told; once for the same people and day.
INSERT INTO case_entries (case_id, at, words, args, fact)
VALUES (%(case_id)s, %(now)s, 'on_duty', %(args)s, %(fact)s)
ON CONFLICT (fact) DO NOTHING

-- name: held_cases
-- Open cases somebody holds whose role is worked in shifts there, or for whom somebody stands in now.
SELECT DISTINCT ON (c.id) c.id, c.household_id, c.cause, c.cause_key, c.community_id, c.holder_id, h.role, u.display_name
FROM cases c JOIN users u ON u.id = c.holder_id
JOIN LATERAL (
  SELECT u.role, 0::bigint AS place WHERE u.community_id = c.community_id
  UNION ALL SELECT p.role, p.id FROM user_positions p WHERE p.user_id = u.id AND p.community_id = c.community_id
) h ON true
LEFT JOIN duty_rosters r ON r.community_id = c.community_id AND r.role = h.role AND r.ended_at IS NULL
WHERE c.state <> 'closed' AND c.lease_expires_at > %(now)s
  AND (r.role IS NOT NULL OR EXISTS (
    SELECT 1 FROM duty_deputies d WHERE d.user_id = c.holder_id AND d.community_id = c.community_id
      AND d.ended_at IS NULL AND d.from_at <= %(now)s AND d.to_at > %(now)s))
ORDER BY c.id, h.place

-- name: handover_of_case
SELECT h.id, h.from_user_id, h.to_user_id FROM duty_handovers h WHERE h.case_id = %(case_id)s AND h.ended_at IS NULL

-- name: handover_insert
INSERT INTO duty_handovers (case_id, from_user_id, to_user_id, note, offered_at)
VALUES (%(case_id)s, %(from_user_id)s, %(to_user_id)s, %(note)s, %(now)s)
ON CONFLICT (case_id) WHERE ended_at IS NULL
DO UPDATE SET from_user_id = excluded.from_user_id, to_user_id = excluded.to_user_id, note = excluded.note,
  offered_at = excluded.offered_at

-- name: handover_take
-- Only the one it was offered to accepts; zero rows: it was taken back, or overtaken.
UPDATE duty_handovers SET accepted_at = %(now)s, ended_at = %(now)s
WHERE id = %(id)s AND to_user_id = %(user_id)s AND ended_at IS NULL RETURNING case_id, from_user_id

-- name: handovers_overtaken
-- Offers whose case is closed, or is held by somebody else by now.
UPDATE duty_handovers h SET ended_at = %(now)s FROM cases c
WHERE c.id = h.case_id AND h.ended_at IS NULL
  AND (c.state = 'closed' OR c.holder_id IS DISTINCT FROM h.from_user_id)

-- name: handovers_open
-- Offers that concern somebody: made by her, or to her; with for whom the giver had taken the case.
SELECT h.id, h.case_id, c.number, c.cause, c.stage, h.note, h.offered_at, h.from_user_id, f.display_name AS from_name,
  h.to_user_id, t.display_name AS to_name,
  (SELECT e.args->>'people' FROM case_entries e WHERE e.case_id = c.id AND e.words = 'acting_for' AND e.user_id = h.from_user_id
   ORDER BY e.id DESC LIMIT 1) AS from_for
FROM duty_handovers h JOIN cases c ON c.id = h.case_id
JOIN users f ON f.id = h.from_user_id JOIN users t ON t.id = h.to_user_id
WHERE h.ended_at IS NULL AND c.community_id = %(community_id)s AND %(user_id)s IN (h.from_user_id, h.to_user_id)
ORDER BY h.offered_at, h.id

-- name: cases_in_hand
-- Open cases that somebody holds.
SELECT c.id, c.number, c.cause, c.stage, c.lease_expires_at,
  (SELECT e.args->>'people' FROM case_entries e WHERE e.case_id = c.id AND e.words = 'acting_for' AND e.user_id = c.holder_id
   ORDER BY e.id DESC LIMIT 1) AS holder_for
FROM cases c
WHERE c.state <> 'closed' AND c.holder_id = %(user_id)s AND c.lease_expires_at > %(now)s ORDER BY c.id

-- name: live_tests_open_month
-- One test a month for everybody of a role that answers at the door or the desk, where there are rosters.
INSERT INTO live_tests (community_id, user_id, month, due_at)
SELECT u.community_id, u.id, %(month)s, %(now)s FROM users u
WHERE u.disabled_at IS NULL AND u.role IN ('property_clerk', 'guard', 'grid_worker')
  AND u.community_id = %(community_id)s AND u.created_at <= %(now)s
ON CONFLICT (user_id, month) DO NOTHING

-- name: live_tests
SELECT t.id, t.user_id, u.display_name, u.role, t.month, t.due_at, t.state, t.started_at, t.done_at, t.done_by, t.note,
  t.outbox_id, o.state AS message_state,
  EXISTS (SELECT 1 FROM staff_phones p JOIN channel_states s ON s.channel = 'voice' AND s.opened_at IS NOT NULL
          WHERE p.user_id = u.id AND p.rings) AS rings
FROM live_tests t JOIN users u ON u.id = t.user_id LEFT JOIN outbox o ON o.id = t.outbox_id
WHERE t.community_id = %(community_id)s AND t.month >= %(since)s AND u.disabled_at IS NULL
ORDER BY t.month DESC, u.role, u.display_name

-- name: live_test_started
UPDATE live_tests SET state = 'calling', outbox_id = %(outbox_id)s, started_at = %(now)s, done_at = NULL, done_by = ''
WHERE id = %(id)s

-- name: live_test_done
UPDATE live_tests SET state = %(state)s, done_at = %(now)s, done_by = %(by)s, note = %(note)s
WHERE id = %(id)s AND community_id = %(community_id)s RETURNING id

-- name: live_tests_answered
-- Calls whose end is known by now: confirmed by a pressed key is reached, nothing else is.
UPDATE live_tests t SET done_at = %(now)s, done_by = 'call',
  state = CASE WHEN o.state = 'confirmed' THEN 'reached' ELSE 'not_reached' END
FROM outbox o
WHERE o.id = t.outbox_id AND t.state = 'calling' AND t.community_id = %(community_id)s
  AND (o.state IN ('confirmed', 'failed_permanent', 'superseded') OR t.started_at < %(before)s)

-- name: rostered_communities
-- Communities that keep a roster, with their zones.
SELECT DISTINCT c.id, c.zone FROM communities c JOIN duty_rosters r ON r.community_id = c.id
WHERE r.ended_at IS NULL ORDER BY c.id

-- name: policy_in_force
-- A stored ladder as it is in force at an instant.
SELECT version AS policy_version, thresholds_s, ladder FROM policies
WHERE id = %(policy_id)s AND valid_from <= %(now)s ORDER BY version DESC LIMIT 1
