-- Statements of telephone calls: every instant is a parameter, nothing here reads the database's clock.

-- name: hand_over
-- A message of the outbox becomes a call, once.
INSERT INTO calls (outbox_id, key, audience, code, state, created_at, due_at)
SELECT o.id, o.idempotency_key, coalesce(o.args->>'audience', 'staff'), %(code)s, 'planned', %(wall)s, %(wall)s
FROM outbox o WHERE o.idempotency_key = %(key)s
ON CONFLICT (key) DO NOTHING

-- name: call_exists
-- Whether a message has become a call.
SELECT 1 FROM calls WHERE key = %(key)s

-- name: lease_call
-- Takes the most pressing call that is due, or one whose dialler is gone.
UPDATE calls l SET state = 'leased', lease_owner = %(owner)s, lease_expires_at = %(lease_until)s, fence = l.fence + 1
FROM (
  SELECT q.id, q.state AS found_as
  FROM calls q JOIN outbox o ON o.id = q.outbox_id LEFT JOIN cases c ON c.id = o.case_id
  WHERE (q.state = 'planned' AND q.due_at <= %(wall)s OR q.state = 'leased' AND q.lease_expires_at <= %(wall)s)
    AND (o.let_go_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM outbox_holds h WHERE h.ended_at IS NULL))
  ORDER BY coalesce(c.stage, -1) DESC, q.due_at, q.id
  LIMIT 1
  FOR UPDATE OF q SKIP LOCKED
) found
JOIN outbox o ON true LEFT JOIN cases c ON c.id = o.case_id
WHERE l.id = found.id AND o.id = l.outbox_id
RETURNING l.id, l.key, l.audience, l.code, l.attempts, l.fence, l.outbox_id, found.found_as, o.person, o.case_id,
  o.step, o.state AS outbox_state, c.household_id, coalesce(c.community_id, o.args->>'community', '') AS community_id,
  c.state AS case_state, c.lease_expires_at AS held_until

-- name: household_of_call
-- For whom a call is made; a test is made for nobody's household.
SELECT c.household_id FROM calls l JOIN outbox o ON o.id = l.outbox_id LEFT JOIN cases c ON c.id = o.case_id WHERE l.key = %(key)s

-- name: call_by_key
-- A call, its message and its case, if it has one, locked against every other answer to it.
SELECT l.id, l.key, l.audience, l.code, l.attempts, l.fence, l.state, l.meaning, l.effect, l.outbox_id, o.person, o.case_id, o.step,
  c.household_id, coalesce(c.community_id, o.args->>'community', '') AS community_id, c.state AS case_state
FROM calls l JOIN outbox o ON o.id = l.outbox_id LEFT JOIN cases c ON c.id = o.case_id
WHERE l.key = %(key)s
FOR UPDATE OF l

-- name: call_by_code
-- The outstanding call whose code was entered; of a case that is open or of a test, and not older than a day.
SELECT l.key, l.audience, o.person, coalesce(c.community_id, o.args->>'community', '') AS community_id, c.household_id
FROM calls l JOIN outbox o ON o.id = l.outbox_id LEFT JOIN cases c ON c.id = o.case_id
WHERE l.code = %(code)s AND l.state IN ('planned', 'leased', 'unreached') AND c.state IS DISTINCT FROM 'closed'
  AND l.created_at > %(since)s

-- name: callee_person
-- A person's number and how she is to be spoken to; trusted: a key pressed on this number counts as her word.
SELECT i.phone, p.language, p.hard_of_hearing, p.relation, p.household_id, coalesce(f.has_phone, true) AS has_phone,
  NOT EXISTS (SELECT 1 FROM phone_changes x WHERE x.person_id = p.id AND NOT x.settled
              AND (x.trusted_from IS NULL OR x.trusted_from > %(now)s)) AS trusted
FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id LEFT JOIN call_profiles f ON f.person_id = p.id
WHERE p.id = %(id)s

-- name: callee_user
-- The number of a member of staff.
SELECT s.phone, u.language, u.disabled_at IS NULL AS active FROM users u JOIN staff_phones s ON s.user_id = u.id
WHERE u.id = %(id)s

-- name: lock_number
-- One call to a number is planned at a time.
SELECT pg_advisory_xact_lock(hashtextextended(%(number)s, 7242))

-- name: calls_to_number
-- When a number was rung within the longest window, whoever has it.
SELECT a.placed_at FROM call_attempts a JOIN calls l ON l.id = a.call_id JOIN outbox o ON o.id = l.outbox_id
WHERE a.placed_at > %(since)s AND a.direction = 'out' AND a.result <> 'gateway_down' AND o.person IN (
  SELECT 'person:' || i.person_id FROM person_identities i
  WHERE regexp_replace(i.phone, '[^0-9+]', '', 'g') = %(number)s
  UNION ALL
  SELECT 'user:' || s.user_id FROM staff_phones s WHERE regexp_replace(s.phone, '[^0-9+]', '', 'g') = %(number)s
)
ORDER BY a.placed_at

-- name: insert_attempt
-- An attempt, before it is made.
INSERT INTO call_attempts (call_id, attempt, direction, gateway, placed_at)
VALUES (%(call_id)s, %(attempt)s, %(direction)s, %(gateway)s, %(wall)s)

-- name: count_attempt
-- The call has had one more.
UPDATE calls SET attempts = %(attempt)s WHERE id = %(call_id)s

-- name: finish_attempt
-- How an attempt ended; what is known already stays.
UPDATE call_attempts SET answered_at = coalesce(answered_at, %(answered_at)s),
  committed_at = coalesce(committed_at, %(committed_at)s), ended_at = %(wall)s,
  result = CASE WHEN result = 'confirmed' THEN result ELSE %(result)s END, detail = %(detail)s,
  provider_id = coalesce(%(provider_id)s, provider_id)
WHERE call_id = %(call_id)s AND attempt = %(attempt)s

-- name: confirm_attempt
-- The key that was pressed in an attempt.
UPDATE call_attempts SET digit = %(digit)s, digit_at = %(digit_at)s, result = 'confirmed'
WHERE call_id = %(call_id)s AND attempt = %(attempt)s

-- name: lost_attempts
-- Attempts whose dialler died: whether it rang, nobody knows.
UPDATE call_attempts SET result = 'uncertain', ended_at = %(wall)s
WHERE call_id = %(call_id)s AND ended_at IS NULL AND result = 'placed'
RETURNING attempt

-- name: count_rung
-- How many attempts of a call the gateway took.
SELECT count(*) AS rung FROM call_attempts
WHERE call_id = %(call_id)s AND direction = 'out' AND result <> 'gateway_down'

-- name: release_call
-- Ends the lease of a call that is still ours.
UPDATE calls SET state = %(state)s, due_at = coalesce(%(due_at)s, due_at), lease_owner = NULL, lease_expires_at = NULL
WHERE id = %(id)s AND fence = %(fence)s AND state = 'leased'

-- name: answer_call
-- A key was pressed, and what came of it.
UPDATE calls SET state = 'answered', meaning = %(meaning)s, effect = %(effect)s, answered_at = %(now)s,
  lease_owner = NULL, lease_expires_at = NULL
WHERE id = %(id)s

-- name: end_message
-- What the outbox knows of the message.
UPDATE outbox SET state = %(state)s, lease_owner = NULL, lease_expires_at = NULL
WHERE id = %(id)s AND state NOT IN ('confirmed', 'superseded')

-- name: insert_delivery
-- One more attempt of a message and its result.
INSERT INTO deliveries (outbox_id, attempt, at, result, provider_id, detail)
SELECT %(outbox_id)s, coalesce(max(d.attempt), 0) + 1, %(now)s, %(result)s, %(provider_id)s, %(detail)s
FROM deliveries d WHERE d.outbox_id = %(outbox_id)s

-- name: insert_entry
-- A line of the case's timeline; written once for each call and answer.
INSERT INTO case_entries (case_id, at, words, args, user_id, fact)
VALUES (%(case_id)s, %(now)s, %(words)s, %(args)s, %(user_id)s, %(fact)s)
ON CONFLICT (fact) DO NOTHING

-- name: insert_help
-- She asked for help: a fact like any other that is signalled.
INSERT INTO signals (key, kind, household_id, site_id, community_id, at, noticed_at, evidence)
SELECT %(key)s, 'sos', h.id, h.site_id, s.community_id, %(now)s, %(now)s, %(evidence)s
FROM households h JOIN sites s ON s.id = h.site_id WHERE h.id = %(household_id)s
ON CONFLICT (key) DO NOTHING
RETURNING id

-- name: insert_happening
-- Wakes the ladder for a fact.
INSERT INTO happenings (kind, fact_id, household_id, at) VALUES ('signal', %(fact_id)s, %(household_id)s, %(now)s)

-- name: supersede_others
-- Somebody has it: nobody else of the same kind is rung for this case any more.
UPDATE calls l SET state = 'superseded' FROM outbox o
WHERE o.id = l.outbox_id AND o.case_id = %(case_id)s AND l.id <> %(id)s AND l.audience = %(audience)s
  AND l.state IN ('planned', 'unreached')

-- name: hurry_next
-- This one cannot: the next one is rung at once.
UPDATE outbox o SET not_before = %(now)s
WHERE o.id = (SELECT n.id FROM outbox n WHERE n.case_id = %(case_id)s AND n.channel = 'voice' AND n.step = %(step)s
                AND n.state = 'planned' AND n.not_before > %(now)s AND (%(audience)s::text IS NULL OR n.args->>'audience' = %(audience)s)
              ORDER BY n.not_before, n.id LIMIT 1)

-- name: retire_calls
-- Calls that nobody reached, of cases that are closed: their codes mean nothing any more.
UPDATE calls l SET state = 'superseded' FROM outbox o LEFT JOIN cases c ON c.id = o.case_id
WHERE o.id = l.outbox_id AND l.state = 'unreached' AND (c.state = 'closed' OR l.created_at < %(before)s)

-- name: insert_report
-- What a provider said of an attempt.
INSERT INTO call_reports (key, kind, value, received_at) VALUES (%(key)s, %(kind)s, %(value)s, %(wall)s)
ON CONFLICT (key, kind, value) DO NOTHING

-- name: reports_of
-- What a provider said of an attempt, in order, after what is known.
SELECT id, kind, value FROM call_reports WHERE key = %(key)s AND id > %(after)s ORDER BY id

-- name: insert_call_back_failure
-- A code that is none.
INSERT INTO call_back_failures (at) VALUES (%(wall)s)

-- name: count_call_back_failures
-- How many wrong codes the last hour had; older ones are of no use.
WITH gone AS (DELETE FROM call_back_failures WHERE at <= %(since)s)
SELECT count(*) AS failures FROM call_back_failures WHERE at > %(since)s

-- name: recordings_version
-- Whether a community's recordings are still the same.
SELECT count(*) AS number, max(recorded_at) AS newest FROM voice_recordings WHERE community_id = %(community_id)s

-- name: recordings
-- A community's own voices.
SELECT segment, language, sound FROM voice_recordings WHERE community_id = %(community_id)s

-- name: callees_of_household
-- Whom a machine may ring for a household, in order: she herself, her family (with her consent), the helpers.
SELECT p.id AS person_id, 'elder' AS audience, 0 AS rank, 0 AS position
FROM persons p JOIN call_profiles f ON f.person_id = p.id JOIN person_identities i ON i.person_id = p.id
WHERE p.household_id = %(household_id)s AND p.relation = 'resident' AND NOT p.hard_of_hearing AND f.has_phone
  AND f.automatic_from <= %(now)s AND i.phone IS NOT NULL
UNION ALL
SELECT p.id, CASE WHEN hc.role = 'family' THEN 'family' ELSE 'staff' END, CASE WHEN hc.role = 'family' THEN 1 ELSE 2 END,
  hc.position
FROM household_contacts hc JOIN persons p ON p.id = hc.person_id JOIN call_profiles f ON f.person_id = p.id
JOIN person_identities i ON i.person_id = p.id
WHERE hc.household_id = %(household_id)s AND f.has_phone AND f.automatic_from <= %(now)s AND i.phone IS NOT NULL
  AND (hc.role <> 'family' OR EXISTS (SELECT 1 FROM consents k WHERE k.household_id = hc.household_id
         AND k.purpose = 'notify_family' AND k.withdrawn_at IS NULL))
ORDER BY rank, position, person_id

-- name: staff_of_community
-- The desk's telephones, in order.
SELECT u.id AS user_id, u.role FROM staff_phones s JOIN users u ON u.id = s.user_id
WHERE u.community_id = %(community_id)s AND s.rings AND u.disabled_at IS NULL
  AND u.role IN ('property_clerk', 'guard', 'grid_worker')
ORDER BY s.position, u.id

-- name: household_of_case
-- For whom a case is.
SELECT household_id FROM cases WHERE id = %(case_id)s

-- name: insert_message
-- A call to one callee, in the lane of life; its key makes it one.
INSERT INTO outbox (case_id, step, person, channel, repetition, idempotency_key, template, args, state, created_at,
  not_before, lane, pressing)
VALUES (%(case_id)s, %(step)s, %(person)s, %(channel)s, %(repetition)s, %(key)s, 'case', %(args)s, 'planned', %(now)s,
  %(not_before)s, 0, CASE WHEN %(step)s IN ('call', 'not_seen_2') THEN 1 ELSE 0 END)
ON CONFLICT (idempotency_key) DO NOTHING

-- name: attempt_by_provider
-- The attempt that a provider knows by this name.
SELECT l.key, a.attempt FROM call_attempts a JOIN calls l ON l.id = a.call_id
WHERE a.provider_id = %(provider_id)s ORDER BY a.placed_at DESC LIMIT 1

-- name: note_provider
-- What the provider calls an attempt, as soon as it is known.
UPDATE call_attempts SET provider_id = %(provider_id)s WHERE call_id = %(call_id)s AND attempt = %(attempt)s

-- name: language_of_call
-- In which language whoever was rung is spoken to.
SELECT coalesce(p.language, u.language, 'zh') AS language FROM calls l JOIN outbox o ON o.id = l.outbox_id
LEFT JOIN persons p ON o.person = 'person:' || p.id LEFT JOIN users u ON o.person = 'user:' || u.id
WHERE l.key = %(key)s

-- name: agree
-- A person agreed to be rung by a machine.
INSERT INTO call_profiles (person_id, automatic_from, automatic_agreed_by, shown_number)
SELECT p.id, %(now)s, %(by)s, %(shown)s FROM persons p WHERE p.id = %(id)s
ON CONFLICT (person_id) DO UPDATE SET automatic_from = excluded.automatic_from,
  automatic_agreed_by = excluded.automatic_agreed_by, shown_number = excluded.shown_number

-- name: withdraw
-- A person is rung by no machine any more.
UPDATE call_profiles SET automatic_from = NULL, automatic_agreed_by = NULL WHERE person_id = %(id)s

-- name: withdraw_calls
-- Calls that are planned for somebody go to nobody.
WITH gone AS (UPDATE outbox SET state = 'superseded' WHERE person = %(person)s AND channel = 'voice'
  AND state IN ('planned', 'accepted', 'uncertain') RETURNING id)
UPDATE calls SET state = 'superseded' WHERE outbox_id IN (SELECT id FROM gone) AND state = 'planned'

-- name: set_has_phone
-- Whether a person can be spoken to by telephone.
INSERT INTO call_profiles (person_id, has_phone) SELECT p.id, %(has)s FROM persons p WHERE p.id = %(id)s
ON CONFLICT (person_id) DO UPDATE SET has_phone = excluded.has_phone

-- name: set_staff_phone
-- On which number a member of staff is rung.
INSERT INTO staff_phones (user_id, phone, position) SELECT u.id, %(phone)s, %(position)s FROM users u
WHERE u.name = %(name)s AND u.role <> 'family'
ON CONFLICT (user_id) DO UPDATE SET phone = excluded.phone, position = excluded.position, rings = true

-- name: remove_staff_phone
-- A member of staff is rung no more.
DELETE FROM staff_phones WHERE user_id = (SELECT id FROM users WHERE name = %(name)s)

-- name: changes
-- Changed numbers that are not settled, oldest first.
SELECT id, person_id, old_phone, told_at, confirmed_at, trusted_from FROM phone_changes WHERE NOT settled ORDER BY id

-- name: told
-- The old number was told.
UPDATE phone_changes SET told_at = %(now)s, told_by = %(user_id)s, told_how = %(how)s
WHERE id = %(id)s AND NOT settled AND told_at IS NULL

-- name: confirm_number
-- A second person confirmed the new number; the old one is needed no more.
UPDATE phone_changes SET confirmed_at = %(now)s, confirmed_by = %(user_id)s, trusted_from = %(from)s, old_phone = NULL
WHERE id = %(id)s AND NOT settled AND told_at IS NOT NULL AND told_by <> %(user_id)s AND confirmed_at IS NULL

-- name: record_segment
-- A community's own voice for a segment.
INSERT INTO voice_recordings (community_id, segment, language, sound, spoken_by, recorded_by, recorded_at)
VALUES (%(community_id)s, %(segment)s, %(language)s, %(sound)s, %(spoken_by)s, %(user_id)s, %(now)s)
ON CONFLICT (community_id, segment, language) DO UPDATE SET sound = excluded.sound, spoken_by = excluded.spoken_by,
  recorded_by = excluded.recorded_by, recorded_at = excluded.recorded_at

-- name: home_voices
-- Of one home the voices that are heard there: the newest kept one of each segment, of somebody who still belongs to it.
SELECT DISTINCT ON (v.segment, v.language) v.segment, v.language, v.sound
FROM home_voices v JOIN users u ON u.id = v.recorded_by AND u.disabled_at IS NULL
JOIN households h ON h.id = v.household_id JOIN sites s ON s.id = h.site_id
WHERE v.household_id = %(household_id)s AND v.kept
  AND (EXISTS (SELECT 1 FROM user_households uh WHERE uh.user_id = u.id AND uh.household_id = h.id
                 AND uh.blocked_at IS NULL AND NOT uh.is_landlord)
       OR u.role = 'property_clerk' AND u.community_id = s.community_id)
ORDER BY v.segment, v.language, v.recorded_at DESC, v.recorded_by

-- name: save_home_voice
-- A draft, or what is kept, of one person for one home; her earlier one gives way.
INSERT INTO home_voices (household_id, segment, language, recorded_by, kept, dialect, sound, spoken_by, agreed_at, recorded_at)
VALUES (%(household_id)s, %(segment)s, %(language)s, %(user_id)s, false, %(dialect)s, %(sound)s, %(spoken_by)s, %(now)s, %(now)s)
ON CONFLICT (household_id, segment, language, recorded_by, kept) DO UPDATE SET dialect = excluded.dialect,
  sound = excluded.sound, spoken_by = excluded.spoken_by, agreed_at = excluded.agreed_at, recorded_at = excluded.recorded_at

-- name: drop_kept_voice
DELETE FROM home_voices WHERE household_id = %(household_id)s AND segment = %(segment)s AND language = %(language)s
  AND recorded_by = %(user_id)s AND kept
  AND EXISTS (SELECT 1 FROM home_voices d WHERE d.household_id = %(household_id)s AND d.segment = %(segment)s
                AND d.language = %(language)s AND d.recorded_by = %(user_id)s AND NOT d.kept)

-- name: keep_home_voice
UPDATE home_voices SET kept = true, recorded_at = %(now)s
WHERE household_id = %(household_id)s AND segment = %(segment)s AND language = %(language)s
  AND recorded_by = %(user_id)s AND NOT kept

-- name: end_home_voice
DELETE FROM home_voices WHERE household_id = %(household_id)s AND segment = %(segment)s AND language = %(language)s
  AND recorded_by = %(user_id)s

-- name: home_voices_of
-- What one person recorded for a home.
SELECT segment, kept, dialect, spoken_by, recorded_at, octet_length(sound) AS size FROM home_voices
WHERE household_id = %(household_id)s AND language = %(language)s AND recorded_by = %(user_id)s

-- name: home_voice
SELECT sound FROM home_voices WHERE household_id = %(household_id)s AND segment = %(segment)s
  AND language = %(language)s AND recorded_by = %(user_id)s AND kept = %(kept)s
