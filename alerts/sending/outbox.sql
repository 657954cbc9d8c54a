-- Statements about messages, their chains, receipts and channels.

-- name: insert_message
-- A message to one recipient on one channel; its key makes it one.
INSERT INTO outbox (case_id, step, person, channel, repetition, idempotency_key, template, args, state, created_at,
  not_before, lane, pressing, address_id, follows_id, token, language, path)
VALUES (%(case_id)s, %(step)s, %(person)s, %(channel)s, %(repetition)s, %(key)s, %(template)s, %(args)s, 'planned',
  %(now)s, %(not_before)s, %(lane)s, %(pressing)s, %(address_id)s, %(follows_id)s, %(token)s, %(language)s, %(path)s)
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING id

-- name: supersede_messages
-- What is planned and not sent goes to nobody. A leased row is on its way and keeps its own end; a family's chain of
-- the step that is annunciated again goes on.
UPDATE outbox SET state = 'superseded'
WHERE case_id = %(case_id)s AND state IN ('planned', 'uncertain')
  AND NOT (address_id IS NOT NULL AND step = %(keep_step)s)

-- name: confirm_messages
-- A person has answered: the console annunciations of a case count as confirmed.
UPDATE outbox SET state = 'confirmed'
WHERE case_id = %(case_id)s AND channel = 'console' AND person LIKE 'community:%%' AND not_before <= %(now)s
  AND state IN ('planned', 'leased', 'delivered', 'accepted')

-- name: family_addresses
-- Addresses of a household's family, each person's in her order: those who sign in and contacts, with the elder's
-- consent. What somebody typed herself is used when its code came back.
SELECT cc.id, cc.recipient, cc.channel, cc.language, cc.zone, cc.quiet_from, cc.quiet_until
FROM contact_channels cc
WHERE cc.ended_at IS NULL AND cc.channel = ANY(%(channels)s)
  AND (cc.confirmed_at IS NOT NULL OR cc.added_by = 'import')
  AND EXISTS (SELECT 1 FROM consents k WHERE k.household_id = %(household_id)s AND k.purpose = 'notify_family'
                AND k.withdrawn_at IS NULL)
  AND (cc.user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
                      WHERE uh.household_id = %(household_id)s AND u.disabled_at IS NULL
                        AND uh.blocked_at IS NULL AND NOT uh.is_landlord AND u.role <> 'resident')
       OR cc.person_id IN (SELECT hc.person_id FROM household_contacts hc
                           WHERE hc.household_id = %(household_id)s AND hc.role = 'family'))
ORDER BY cc.recipient, cc.position, cc.id

-- name: staff_addresses
-- Addresses of people who hold a position in a community, their first or another: one row for each role held there.
SELECT cc.id, cc.recipient, cc.channel, cc.language, cc.zone, cc.quiet_from, cc.quiet_until, u.role
FROM contact_channels cc JOIN (
  SELECT f.id, f.role, f.community_id FROM users f WHERE f.disabled_at IS NULL
  UNION SELECT f.id, p.role, p.community_id FROM user_positions p JOIN users f ON f.id = p.user_id
  WHERE f.disabled_at IS NULL
) u ON u.id = cc.user_id
WHERE cc.ended_at IS NULL AND cc.channel = ANY(%(channels)s)
  AND (cc.confirmed_at IS NOT NULL OR cc.added_by = 'import')
  AND u.community_id = %(community_id)s AND u.role NOT IN ('family', 'resident')
  -- A helper is told of the homes she helps; who is there for the whole community is told of all of it.
  AND (u.role NOT IN ('neighbour_watcher', 'stairwell_liaison', 'safety_guardian')
       OR EXISTS (SELECT 1 FROM user_households uh WHERE uh.user_id = u.id AND uh.household_id = %(household_id)s))
ORDER BY cc.recipient, cc.position, cc.id

-- name: community_addresses
-- A community's own groups, instead of the ones of the settings.
SELECT cc.id, cc.recipient, cc.channel, cc.language, cc.zone, cc.quiet_from, cc.quiet_until
FROM contact_channels cc
WHERE cc.ended_at IS NULL AND cc.community_id = %(community_id)s AND cc.channel = ANY(%(channels)s)
ORDER BY cc.channel, cc.position, cc.id

-- name: lock_channel
-- One courier at a time counts what a channel may still send.
SELECT pg_advisory_xact_lock(hashtextextended('channel:' || %(channel)s, 7241))

-- name: channel_pauses
-- Until when providers take nothing.
SELECT channel, paused_until FROM channel_states WHERE paused_until > %(wall)s

-- name: count_sendings
-- Attempts on a channel since an instant, and the oldest of them.
SELECT count(*) AS count, min(at) AS oldest FROM sendings WHERE channel = %(channel)s AND at > %(since)s

-- name: count_address_sendings
-- Attempts to one address on a channel since an instant, and the oldest of them.
SELECT count(*) AS count, min(at) AS oldest FROM sendings
WHERE channel = %(channel)s AND address = %(address)s AND at > %(since)s

-- name: insert_sending
INSERT INTO sendings (channel, address, at) VALUES (%(channel)s, %(address)s, %(at)s)

-- name: forget_sendings
-- Attempts no bound counts any more.
DELETE FROM sendings WHERE at <= %(before)s

-- name: lease_messages
-- Takes the most pressing messages that may go out now, or whose worker is gone; the life lane before all.
UPDATE outbox o SET state = 'leased', lease_owner = %(owner)s, lease_expires_at = %(lease_until)s,
  fence = o.fence + 1, attempts = o.attempts + 1
FROM (
  SELECT f.id, f.found_as, f.attempts_before, c.number, c.state AS case_state, cc.address,
    cc.ended_at AS address_ended_at
  FROM (
    -- By the index on lane, pressing, not_before and id; nothing is joined before they are found.
    SELECT q.id, q.state AS found_as, q.attempts AS attempts_before, q.case_id, q.address_id
    FROM outbox q
    WHERE q.state IN ('planned', 'leased', 'uncertain')
      AND q.attempts < %(attempts_max)s AND q.lane <= %(lane_max)s AND q.not_before <= %(now)s
      AND (q.channel = ANY(%(channels)s) OR q.lane = 0 AND q.channel = ANY(%(life_channels)s))
      AND (q.state = 'planned' AND q.lease_expires_at IS NULL OR q.lease_expires_at <= %(wall)s)
      -- While a hold stands only the console is told, and what a person let go.
      AND (q.channel = 'console' OR q.let_go_at IS NOT NULL
           OR NOT EXISTS (SELECT 1 FROM outbox_holds h WHERE h.ended_at IS NULL))
    ORDER BY q.lane, q.pressing, q.not_before, q.id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
  ) f
  LEFT JOIN cases c ON c.id = f.case_id
  LEFT JOIN contact_channels cc ON cc.id = f.address_id
) found
WHERE o.id = found.id
RETURNING o.id, o.case_id, o.path, o.step, o.person, o.channel, o.repetition, o.idempotency_key, o.template, o.args,
  o.fence, o.attempts, o.lane, o.pressing, o.not_before, o.address_id, o.token, o.language, o.provider_id, found.found_as,
  found.attempts_before, found.number, found.case_state, found.address, found.address_ended_at,
  EXISTS (SELECT 1 FROM outbox n WHERE n.follows_id = o.id AND n.state IN ('planned', 'leased', 'uncertain')) AS has_next

-- name: deliver_in_place
-- Messages that are their own rows: taken, delivered and recorded at once. What was leased or tried before, and what
-- has an address, goes the way of all others. By the index on lane, pressing, not_before and id.
WITH found AS MATERIALIZED (
  SELECT q.id FROM outbox q
  WHERE q.state = 'planned' AND q.channel = %(channel)s AND q.lane <= %(lane_max)s AND q.not_before <= %(now)s
    AND q.lease_expires_at IS NULL AND q.address_id IS NULL
    AND (q.channel = 'console' OR q.let_go_at IS NOT NULL
         OR NOT EXISTS (SELECT 1 FROM outbox_holds h WHERE h.ended_at IS NULL))
  ORDER BY q.lane, q.pressing, q.not_before, q.id
  LIMIT %(limit)s
  FOR NO KEY UPDATE SKIP LOCKED
), told AS (
  -- As one list of ids: a join would read the whole table where it is small.
  UPDATE outbox o SET state = 'delivered', fence = o.fence + 1, attempts = o.attempts + 1
  WHERE o.id = ANY(ARRAY(SELECT id FROM found))
  RETURNING o.id, o.attempts
), noted AS (
  INSERT INTO deliveries (outbox_id, attempt, at, result)
  SELECT id, attempts, %(now)s, 'delivered' FROM told
  ON CONFLICT (outbox_id, attempt) DO NOTHING
)
SELECT count(*) AS count FROM told

-- name: put_back
-- A message that was leased too early for its address: as it was, and not before an instant.
UPDATE outbox SET state = %(state)s, attempts = attempts - 1, lease_owner = NULL, lease_expires_at = %(retry_at)s
WHERE id = %(id)s AND fence = %(fence)s

-- name: end_lost_messages
-- Messages whose last permitted attempt died with its worker: whether they arrived, nobody knows.
UPDATE outbox SET state = 'uncertain', lease_owner = NULL
WHERE state = 'leased' AND lease_expires_at <= %(wall)s AND attempts >= %(attempts_max)s
RETURNING id, attempts, channel, case_id, address_id

-- name: finish_messages
-- Ends attempts that are still ours; a retry of a case closed meanwhile goes to nobody.
UPDATE outbox o SET lease_owner = NULL, lease_expires_at = d.retry_at,
  provider_id = coalesce(d.provider_id, o.provider_id),
  state = CASE WHEN d.state IN ('planned', 'uncertain')
                 AND (SELECT c.state FROM cases c WHERE c.id = o.case_id) = 'closed'
               THEN 'superseded' ELSE d.state END
FROM unnest(%(ids)s::bigint[], %(fences)s::bigint[], %(states)s::text[], %(retry_ats)s::timestamptz[],
  %(provider_ids)s::text[]) AS d (id, fence, state, retry_at, provider_id)
WHERE o.id = d.id AND o.fence = d.fence AND o.state = 'leased'
RETURNING o.id

-- name: insert_deliveries
-- Attempts and their results.
INSERT INTO deliveries (outbox_id, attempt, at, result, provider_id, detail)
SELECT d.outbox_id, d.attempt, %(at)s, d.result, d.provider_id, d.detail
FROM unnest(%(outbox_ids)s::bigint[], %(attempts)s::int[], %(results)s::text[], %(provider_ids)s::text[],
  %(details)s::text[]) AS d (outbox_id, attempt, result, provider_id, detail)
ON CONFLICT (outbox_id, attempt) DO NOTHING

-- name: bring_forward
-- The next channel need not wait: the one before it has failed, or will not be tried again soon.
UPDATE outbox SET not_before = least(not_before, greatest(created_at, %(now)s))
WHERE follows_id = %(id)s AND state = 'planned'
RETURNING id

-- name: end_chain
-- A person has answered: what would have followed goes to nobody.
UPDATE outbox o SET state = 'superseded'
FROM outbox m
WHERE m.id = %(id)s AND o.id <> m.id AND o.person = m.person AND o.case_id IS NOT DISTINCT FROM m.case_id
  AND o.step = m.step AND o.repetition = m.repetition AND o.address_id IS NOT NULL
  AND o.state IN ('planned', 'uncertain')

-- name: confirm_message
-- She has said that she has seen it.
UPDATE outbox SET state = 'confirmed' WHERE id = %(id)s AND state <> 'confirmed' RETURNING id, case_id, channel

-- name: message_by_token
-- The message a page for its recipient stands for.
SELECT o.id, o.case_id, o.channel, o.state, o.person, o.template, o.language, c.number, c.community_id,
  c.state AS case_state
FROM outbox o LEFT JOIN cases c ON c.id = o.case_id
WHERE o.token = %(token)s

-- name: message_by_receipt
-- The message a provider speaks of: by our key, or by its own id on the channel; locked.
SELECT o.id, o.case_id, o.state, o.channel FROM outbox o
WHERE o.channel = %(channel)s AND (o.idempotency_key = %(key)s OR o.provider_id = %(provider_id)s AND %(provider_id)s <> '')
ORDER BY (o.idempotency_key = %(key)s) DESC, o.id DESC
LIMIT 1
FOR UPDATE

-- name: insert_receipt
INSERT INTO receipts (outbox_id, at, state, detail) VALUES (%(outbox_id)s, %(at)s, %(state)s, %(detail)s)
ON CONFLICT (outbox_id, state) DO NOTHING

-- name: set_message_state
-- Further, never back: what a person confirmed stays so.
UPDATE outbox SET state = %(state)s
WHERE id = %(id)s AND state = ANY(%(from_states)s)

-- name: channel_ok
-- Once a second at most: couriers of one channel would otherwise wait for one another's commits at this row.
WITH changed AS (
  UPDATE channel_states SET last_ok_at = %(wall)s, failures_in_row = 0, paused_until = NULL
  WHERE channel = %(channel)s AND (last_ok_at IS NULL OR last_ok_at <= %(wall)s::timestamptz - interval '1 second'
    OR failures_in_row > 0 OR paused_until IS NOT NULL)
)
INSERT INTO channel_states (channel, last_ok_at) VALUES (%(channel)s, %(wall)s)
ON CONFLICT (channel) DO NOTHING

-- name: channel_refused
INSERT INTO channel_states (channel, last_refusal_at, last_refusal, failures_in_row, paused_until)
VALUES (%(channel)s, %(wall)s, %(detail)s, 1, %(paused_until)s)
ON CONFLICT (channel) DO UPDATE SET last_refusal_at = excluded.last_refusal_at, last_refusal = excluded.last_refusal,
  failures_in_row = channel_states.failures_in_row + 1,
  paused_until = greatest(channel_states.paused_until, excluded.paused_until)

-- name: channel_opened
-- The alerts service has the channel in its settings.
INSERT INTO channel_states (channel, opened_at, personal) VALUES (%(channel)s, %(wall)s, %(personal)s)
ON CONFLICT (channel) DO UPDATE SET opened_at = excluded.opened_at, personal = excluded.personal

-- name: channels_closed
-- What is not in the settings any more.
UPDATE channel_states SET opened_at = NULL WHERE NOT channel = ANY(%(channels)s)

-- name: open_channels
-- Channels an alerts service has in its settings.
SELECT channel, personal FROM channel_states WHERE opened_at IS NOT NULL AND channel <> 'console' ORDER BY channel

-- name: channel_overview
-- Every channel there is or was, with what waits on it, what nobody knows of and what failed since an instant.
SELECT s.channel, s.last_ok_at, s.last_refusal_at, s.last_refusal, s.failures_in_row, s.paused_until, s.opened_at, s.personal,
  (SELECT count(*) FROM outbox o WHERE o.channel = s.channel AND o.state IN ('planned', 'leased')
     AND o.not_before <= %(now)s) AS waiting,
  (SELECT min(o.not_before) FROM outbox o WHERE o.channel = s.channel AND o.state IN ('planned', 'leased')
     AND o.not_before <= %(now)s) AS waiting_since,
  (SELECT count(*) FROM outbox o WHERE o.channel = s.channel AND o.state = 'uncertain'
     AND o.created_at > %(since)s) AS uncertain,
  (SELECT count(*) FROM outbox o WHERE o.channel = s.channel AND o.state = 'failed_permanent'
     AND o.created_at > %(since)s) AS failed,
  (SELECT count(*) FROM contact_channels cc WHERE cc.channel = s.channel AND cc.ended_at IS NULL) AS addresses
FROM channel_states s
ORDER BY s.channel

-- name: tell_of_message
-- A line in the case's timeline: a message failed, or nobody knows whether it arrived.
INSERT INTO case_entries (case_id, at, words, args, fact)
VALUES (%(case_id)s, %(at)s, %(words)s, %(args)s, %(fact)s)
ON CONFLICT (fact) DO NOTHING

-- name: digest_due
-- Addresses that want a daily word and whose home is well: watched, known, at no stage, in no open case.
SELECT cc.id, cc.recipient, cc.channel, cc.language, cc.zone
FROM contact_channels cc
WHERE cc.digest AND cc.ended_at IS NULL AND cc.channel = ANY(%(channels)s)
  AND (cc.confirmed_at IS NOT NULL OR cc.added_by = 'import')
  AND EXISTS (
    SELECT 1 FROM households h JOIN household_states hs ON hs.household_id = h.id
    JOIN consents k ON k.household_id = h.id AND k.purpose = 'notify_family' AND k.withdrawn_at IS NULL
    WHERE (h.id IN (SELECT uh.household_id FROM user_households uh WHERE uh.user_id = cc.user_id AND uh.blocked_at IS NULL AND NOT uh.is_landlord)
           OR h.id IN (SELECT hc.household_id FROM household_contacts hc
                       WHERE hc.person_id = cc.person_id AND hc.role = 'family')))
  AND NOT EXISTS (
    SELECT 1 FROM households h LEFT JOIN household_states hs ON hs.household_id = h.id
    WHERE (h.id IN (SELECT uh.household_id FROM user_households uh WHERE uh.user_id = cc.user_id AND uh.blocked_at IS NULL AND NOT uh.is_landlord)
           OR h.id IN (SELECT hc.household_id FROM household_contacts hc
                       WHERE hc.person_id = cc.person_id AND hc.role = 'family'))
      AND (hs.household_id IS NULL OR NOT hs.known OR hs.stage > 0 OR hs.in_fault
           OR hs.absent_until > %(now)s
           OR EXISTS (SELECT 1 FROM cases c WHERE c.household_id = h.id AND c.state <> 'closed')))

-- name: standing_hold
-- Why nothing leaves the house, since when (wall time), and how many messages wait for a person's word.
SELECT h.id, h.reason, h.begun_at, h.begun_by, h.backup_at,
  (SELECT count(*) FROM outbox o WHERE o.let_go_at IS NULL AND o.channel <> 'console'
     AND (o.state IN ('planned', 'leased', 'uncertain')
          OR EXISTS (SELECT 1 FROM calls l WHERE l.outbox_id = o.id AND l.state IN ('planned', 'leased')))) AS waiting
FROM outbox_holds h WHERE h.ended_at IS NULL

-- name: mirrored_cases
-- Cases that are told of outside: open ones somebody was told of, and those closed a moment ago.
SELECT c.id, c.number, c.stage, c.check_step, c.cause, c.opened_at, c.closed_at, c.state,
  (SELECT min(o.lane) FROM outbox o WHERE o.case_id = c.id AND o.channel = %(channel)s) AS lane
FROM cases c
WHERE EXISTS (SELECT 1 FROM outbox o WHERE o.case_id = c.id AND o.channel = %(channel)s
                AND o.state IN ('accepted', 'delivered', 'answered', 'confirmed'))
  AND (c.state <> 'closed' OR c.closed_at > %(since)s)
  AND NOT EXISTS (SELECT 1 FROM outbox_holds h WHERE h.ended_at IS NULL)
ORDER BY c.id
LIMIT %(limit)s

-- name: unended_episodes
-- Closed cases whose opening a channel was told and whose end it was not.
SELECT DISTINCT c.id, o.person, o.address_id FROM cases c
JOIN outbox o ON o.case_id = c.id AND o.channel = %(channel)s AND o.template = 'case'
  AND o.state IN ('accepted', 'delivered', 'answered', 'confirmed')
WHERE c.state = 'closed' AND c.closed_at > %(since)s
  AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.case_id = c.id AND e.channel = %(channel)s
                    AND e.template = 'case_closed')
