-- name: load_other_groupings
-- The numbers of groups other than this one for which lease rows stand.
SELECT DISTINCT groups FROM ingest_leases WHERE groups <> %(groups)s;

-- name: provision_leases
INSERT INTO ingest_leases (group_no, groups)
SELECT no, %(groups)s FROM generate_series(0, %(groups)s - 1) AS no
ON CONFLICT (group_no) DO NOTHING;

-- name: lock_lease
-- One lease row, locked; none if it is locked by a writer right now.
SELECT token, worker, expires_at FROM ingest_leases
WHERE group_no = %(group_no)s AND groups = %(groups)s FOR UPDATE SKIP LOCKED;

-- name: take_lease
UPDATE ingest_leases SET token = token + 1, worker = %(worker)s, expires_at = %(expires_at)s
WHERE group_no = %(group_no)s RETURNING token;

-- name: renew_lease
-- The row again if the token is still the lease's; nothing if somebody else writes now.
UPDATE ingest_leases SET expires_at = %(expires_at)s
WHERE group_no = %(group_no)s AND token = %(token)s RETURNING token;

-- name: release_lease
UPDATE ingest_leases SET worker = NULL, expires_at = NULL WHERE group_no = %(group_no)s AND token = %(token)s;

-- name: note_worker
INSERT INTO ingest_workers (worker, seen_at) VALUES (%(worker)s, %(at)s)
ON CONFLICT (worker) DO UPDATE SET seen_at = excluded.seen_at;

-- name: forget_workers
-- Who said goodbye, and who has not been seen for long.
DELETE FROM ingest_workers WHERE worker = ANY(%(workers)s) OR seen_at < %(before)s;

-- name: load_workers
SELECT worker FROM ingest_workers WHERE seen_at >= %(since)s ORDER BY worker;

-- name: load_leases
SELECT group_no, worker, expires_at, pulse_at FROM ingest_leases WHERE groups = %(groups)s ORDER BY group_no;

-- name: open_turn
-- Fences the transaction: the batch number if the token is still the lease's, else nothing; an error if the schema
-- is no longer the one this program knows. The server ends the transaction of a worker that is cut off from it: until
-- then nobody else could lock the row.
UPDATE ingest_leases
SET expires_at = %(expires_at)s, batch = batch + 1, pulse_at = greatest(pulse_at, %(pulse_at)s)
WHERE group_no = %(group_no)s AND token = %(token)s AND enter_schema(%(fence)s)
RETURNING batch, set_config('transaction_timeout', %(transaction_ms)s, true) AS bound;

-- name: load_pulse
SELECT pulse_at, batch FROM ingest_leases WHERE group_no = %(group_no)s;

-- name: write_progress
-- The service is as far as the group that is furthest behind; not written before every group has a pulse.
INSERT INTO service_progress (service, at, turn)
SELECT 'ingest', min(pulse_at), 1 FROM ingest_leases WHERE groups = %(groups)s
HAVING count(*) = count(pulse_at)
ON CONFLICT (service) DO UPDATE SET at = excluded.at, turn = service_progress.turn + 1;

-- name: ensure_partitions
SELECT ensure_event_partitions(%(from_at)s, %(to_at)s);

-- name: copy_events
-- The order of the fields is that of ingest/rows/copying.py.
COPY door_events (
  occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms, batch, replayed, plausible, household_no,
  opens, clock_quality, type, state, direction, method, credential, reason, door
) FROM STDIN (FORMAT BINARY);

-- name: file_refusal
-- Whether the refusal is new; a copy is counted, and waits again if it had been replayed.
INSERT INTO quarantine (
  received_at, topic, channel, device_id, payload, payload_bytes, payload_sha256, reason, detail, copies
) VALUES (
  %(received_at)s, %(topic)s, %(channel)s, %(device_id)s, %(payload)s, %(payload_bytes)s, %(payload_sha256)s,
  %(reason)s, %(detail)s, %(copies)s
)
ON CONFLICT (topic, payload_sha256, reason) DO UPDATE
SET copies = quarantine.copies + excluded.copies, replayed_at = NULL, replay_asked = false
RETURNING id, (xmax = 0) AS is_new;

-- name: count_quarantine
SELECT count(*) AS rows FROM quarantine WHERE replayed_at IS NULL;

-- name: load_replayable
-- Quarantined messages to be taken again: of devices registered since, and those a person asked for.
SELECT id, received_at, topic, payload, payload_bytes, reason FROM quarantine
WHERE replayed_at IS NULL
  AND (replay_asked OR (reason = 'unknown_device' AND device_id = ANY (%(devices)s::text[])))
ORDER BY received_at, id
LIMIT %(rows_max)s;

-- name: load_waiting_devices
SELECT DISTINCT device_id FROM quarantine
WHERE replayed_at IS NULL AND reason = 'unknown_device' AND device_id IS NOT NULL;

-- name: mark_replayed
UPDATE quarantine SET replayed_at = %(now)s, replay_asked = false WHERE id = ANY (%(ids)s);

-- name: mark_refused_again
UPDATE quarantine SET replay_asked = false WHERE id = ANY (%(ids)s);

-- name: ask_replay
-- The messages that will be taken again.
UPDATE quarantine SET replay_asked = true
WHERE id = ANY (%(ids)s) AND replayed_at IS NULL AND payload_bytes = octet_length(payload)
RETURNING id;

-- name: write_points
INSERT INTO coverage_points (
  device_no, boot, seq_last, opens, first_up_ms, first_ts_ms, first_received_ms, first_clock,
  last_up_ms, last_ts_ms, last_received_ms, last_clock, by_check_in, batch
)
SELECT *, %s::bigint FROM unnest(
  %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[],
  %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::boolean[]
)
ON CONFLICT (device_no, boot, seq_last, opens, first_up_ms) DO UPDATE
SET first_ts_ms = excluded.first_ts_ms, first_received_ms = excluded.first_received_ms,
    first_clock = excluded.first_clock, last_up_ms = excluded.last_up_ms, last_ts_ms = excluded.last_ts_ms,
    last_received_ms = excluded.last_received_ms, last_clock = excluded.last_clock,
    by_check_in = excluded.by_check_in, batch = excluded.batch;

-- name: write_boots
INSERT INTO boots (
  device_no, boot, ntp_up_ms, ntp_ts_ms, ntp_base_min_ms, ntp_base_max_ms, received_base_ms, rtc_base_ms,
  newest_received_ms
)
SELECT * FROM unnest(
  %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
  %s::bigint[]
)
ON CONFLICT (device_no, boot) DO UPDATE
SET ntp_up_ms = excluded.ntp_up_ms, ntp_ts_ms = excluded.ntp_ts_ms, ntp_base_min_ms = excluded.ntp_base_min_ms,
    ntp_base_max_ms = excluded.ntp_base_max_ms, received_base_ms = excluded.received_base_ms,
    rtc_base_ms = excluded.rtc_base_ms, newest_received_ms = excluded.newest_received_ms;

-- name: write_views
-- Views as an array of objects, one for each household; instants in milliseconds.
INSERT INTO household_states (
  household_id, as_of, known, not_known_since, stage, check_step, evidence_at, evidence, base_ms, anchor_at,
  settled_ms, absent_until, door_open_since, in_fault
)
SELECT household_id, epoch + as_of_ms * ms, known, epoch + not_known_since_ms * ms, stage, check_step,
       epoch + evidence_ms * ms, evidence, base_ms, epoch + anchor_ms * ms, settled_ms,
       epoch + absent_until_ms * ms, epoch + door_open_since_ms * ms, in_fault
FROM jsonb_to_recordset(%(views)s::text::jsonb) AS new (
  household_id text, as_of_ms bigint, known boolean, not_known_since_ms bigint, stage smallint, check_step smallint,
  evidence_ms bigint, evidence jsonb, base_ms bigint, anchor_ms bigint, settled_ms bigint, absent_until_ms bigint,
  door_open_since_ms bigint, in_fault boolean
), (SELECT timestamptz 'epoch' AS epoch, interval '1 millisecond' AS ms) AS unit
ON CONFLICT (household_id) DO UPDATE
SET as_of = excluded.as_of, known = excluded.known, not_known_since = excluded.not_known_since,
    stage = excluded.stage, check_step = excluded.check_step, evidence_at = excluded.evidence_at,
    evidence = excluded.evidence, base_ms = excluded.base_ms, anchor_at = excluded.anchor_at,
    settled_ms = excluded.settled_ms, absent_until = excluded.absent_until,
    door_open_since = excluded.door_open_since, in_fault = excluded.in_fault;

-- name: notify_states
-- Tells readers which households to look at again.
SELECT pg_notify('kaimen_states', id) FROM unnest(%s::text[]) AS id;

-- name: write_device_status
-- A birth or a last will; what heartbeats told stays.
INSERT INTO device_states (device_id, status, heard_at, facts, updated_at)
VALUES (%(device_id)s, %(status)s, %(heard_at)s, %(facts)s, %(now)s)
ON CONFLICT (device_id) DO UPDATE
SET status = excluded.status, heard_at = greatest(device_states.heard_at, excluded.heard_at),
    facts = device_states.facts || excluded.facts, updated_at = excluded.updated_at;

-- name: write_vitals
-- What heartbeats told: battery, signal, firmware, unsent, lost for good.
INSERT INTO device_states (device_id, status, heard_at, facts, updated_at)
VALUES (%(device_id)s, 'online', %(heard_at)s, %(facts)s, %(now)s)
ON CONFLICT (device_id) DO UPDATE
SET status = 'online', heard_at = greatest(device_states.heard_at, excluded.heard_at),
    facts = device_states.facts || excluded.facts, updated_at = excluded.updated_at;

-- name: write_crossing
WITH fact AS (
  INSERT INTO stage_crossings (
    household_id, stage, at, announced_at, evidence_at, evidence, inactive_ms, elapsed_ms, thresholds_ms
  ) VALUES (
    %(household_id)s, %(stage)s, %(at)s, %(announced_at)s, %(evidence_at)s, %(evidence)s, %(inactive_ms)s,
    %(elapsed_ms)s, %(thresholds_ms)s
  ) ON CONFLICT (household_id, stage, evidence_at, announced_at) DO NOTHING
  RETURNING id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'crossing', id, %(household_id)s, %(announced_at)s FROM fact;

-- name: write_withdrawal
WITH crossing AS (
  SELECT id FROM stage_crossings
  WHERE household_id = %(household_id)s AND stage = %(stage)s AND announced_at = %(announced_at)s
), fact AS (
  INSERT INTO crossing_withdrawals (crossing_id, withdrawn_at, evidence_at, evidence, late)
  SELECT id, %(withdrawn_at)s, %(evidence_at)s, %(evidence)s, %(late)s FROM crossing
  ON CONFLICT (crossing_id) DO NOTHING
  RETURNING crossing_id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'withdrawal', crossing_id, %(household_id)s, %(withdrawn_at)s FROM fact;

-- name: write_check_due
-- Once while it stands; one that had ended comes due again where the evidence that ended it is none any more.
WITH fact AS (
  INSERT INTO checks_due (household_id, step, at, noticed_at, evidence_at, evidence, inactive_ms)
  SELECT %(household_id)s, %(step)s, %(at)s, %(noticed_at)s, %(evidence_at)s, %(evidence)s, %(inactive_ms)s
  WHERE NOT EXISTS (
    SELECT 1 FROM checks_due c
    WHERE c.household_id = %(household_id)s AND c.step = %(step)s AND c.evidence_at = %(evidence_at)s
      AND NOT EXISTS (SELECT 1 FROM check_ends e WHERE e.check_id = c.id)
  )
  ON CONFLICT (household_id, step, evidence_at, noticed_at) DO NOTHING
  RETURNING id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'check_due', id, %(household_id)s, %(noticed_at)s FROM fact;

-- name: write_check_ended
WITH due AS (
  SELECT c.id FROM checks_due c
  WHERE c.household_id = %(household_id)s AND c.step = %(step)s AND c.evidence_at = %(check_evidence_at)s
    AND NOT EXISTS (SELECT 1 FROM check_ends e WHERE e.check_id = c.id)
), fact AS (
  INSERT INTO check_ends (check_id, ended_at, evidence_at, evidence)
  SELECT id, %(ended_at)s, %(evidence_at)s, %(evidence)s FROM due
  ON CONFLICT (check_id) DO NOTHING
  RETURNING check_id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'check_ended', check_id, %(household_id)s, %(ended_at)s FROM fact;

-- name: write_first_heard
INSERT INTO device_commissionings (device_id, heard_at) VALUES (%(device_id)s, %(heard_at)s)
ON CONFLICT (device_id) DO NOTHING;

-- name: count_lost
-- Counts what never arrived of one start of a device below what it can still deliver.
INSERT INTO boot_losses (device_no, boot, first_seq, lost, counted_at)
SELECT %(device_no)s, %(boot)s, %(first_seq)s::bigint, greatest(0, %(first_seq)s::bigint - 1 - count(DISTINCT e.seq)), %(now)s
FROM door_events e
WHERE e.device_no = %(device_no)s AND e.boot = %(boot)s AND e.seq BETWEEN 1 AND %(first_seq)s::bigint - 1
  AND e.plausible AND e.occurred_at >= %(since)s
ON CONFLICT (device_no, boot) DO UPDATE
SET first_seq = excluded.first_seq, lost = excluded.lost, counted_at = excluded.counted_at;

-- name: count_implausible
INSERT INTO device_tallies (device_id, implausible_heartbeats) VALUES (%(device_id)s, %(count)s)
ON CONFLICT (device_id) DO UPDATE
SET implausible_heartbeats = device_tallies.implausible_heartbeats + excluded.implausible_heartbeats;

-- name: load_losses
SELECT device_no, boot, first_seq FROM boot_losses
WHERE (%(sites)s::text[] IS NULL OR device_no = ANY (ARRAY(SELECT no FROM devices WHERE site_id = ANY (%(sites)s::text[]))));

-- name: write_check_held
-- A check that waits; one that waits already keeps the end of its wait.
INSERT INTO checks_held (household_id, step, at, noticed_at, evidence_at, evidence, inactive_ms, cause, held_until)
VALUES (
  %(household_id)s, %(step)s, %(at)s, %(noticed_at)s, %(evidence_at)s, %(evidence)s, %(inactive_ms)s, %(cause)s,
  %(held_until)s
)
ON CONFLICT (household_id, step, evidence_at) DO UPDATE
SET ended_at = NULL, ended_as = NULL, held_until = excluded.held_until, noticed_at = excluded.noticed_at
WHERE checks_held.ended_at IS NOT NULL;

-- name: write_check_let_go
UPDATE checks_held SET ended_at = %(ended_at)s, ended_as = %(ended_as)s
WHERE household_id = %(household_id)s AND step = %(step)s AND evidence_at = %(evidence_at)s AND ended_at IS NULL;

-- name: load_held_checks
SELECT household_id, step, at, noticed_at, evidence_at, evidence, inactive_ms, cause, held_until
FROM checks_held WHERE ended_at IS NULL
  AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY noticed_at, household_id, step;

-- name: write_outage_noted
-- An outage whose cause may still turn out wider: nobody is told yet.
INSERT INTO outages (device_id, cause, cause_id, began_at, heard_at)
VALUES (%(device_id)s, %(cause)s, %(cause_id)s, %(began_at)s, %(heard_at)s)
ON CONFLICT (device_id, began_at) DO NOTHING;

-- name: write_outage_told
-- The cause of a noted outage is settled: alerts is told, once.
WITH fact AS (
  UPDATE outages o SET cause = %(cause)s, cause_id = %(cause_id)s
  WHERE o.device_id = %(device_id)s AND o.began_at = %(began_at)s
    AND NOT EXISTS (SELECT 1 FROM happenings h WHERE h.kind = 'outage_began' AND h.fact_id = o.id)
  RETURNING id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'outage_began', id, NULL, %(told_at)s FROM fact;

-- name: write_outage_moved
-- An outage alerts knows of belongs to another cause.
WITH fact AS (
  INSERT INTO outage_moves (outage_id, cause, cause_id, from_cause, from_cause_id, moved_at)
  SELECT o.id, %(cause)s, %(cause_id)s, %(from_cause)s, %(from_cause_id)s, %(moved_at)s FROM outages o
  WHERE o.device_id = %(device_id)s AND o.began_at = %(began_at)s
  RETURNING id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'outage_moved', id, NULL, %(moved_at)s FROM fact;

-- name: write_outage_began
WITH fact AS (
  INSERT INTO outages (device_id, cause, cause_id, began_at, heard_at)
  VALUES (%(device_id)s, %(cause)s, %(cause_id)s, %(began_at)s, %(heard_at)s)
  ON CONFLICT (device_id, began_at) DO NOTHING
  RETURNING id
)
INSERT INTO happenings (kind, fact_id, household_id, at)
SELECT 'outage_began', id, NULL, %(began_at)s FROM fact;

-- name: write_outage_ended
-- The end of an outage; alerts hears of it only where it was told of the outage.
WITH began AS (
  SELECT id FROM outages WHERE device_id = %(device_id)s AND began_at = %(began_at)s
), fact AS (
  INSERT INTO outage_ends (outage_id, ended_at)
  SELECT id, %(ended_at)s FROM began
  ON CONFLICT (outage_id) DO NOTHING
  RETURNING outage_id
), told AS (
  INSERT INTO happenings (kind, fact_id, household_id, at)
  SELECT 'outage_ended', outage_id, NULL, %(ended_at)s FROM fact
  WHERE EXISTS (SELECT 1 FROM happenings h WHERE h.kind = 'outage_began' AND h.fact_id = fact.outage_id)
)
SELECT outage_id FROM fact;

-- name: load_sites
SELECT id FROM sites ORDER BY id;

-- name: load_devices
-- Devices (NULL: all) of some sites (NULL: all) with what is asked of their community.
SELECT d.no, d.id, d.site_id, d.kind, d.gateway_id, d.supervision_s, d.registered_at, d.retired_at, c.commissioning_s
FROM devices d JOIN sites s ON s.id = d.site_id JOIN communities c ON c.id = s.community_id
WHERE (%(devices)s::text[] IS NULL OR d.id = ANY (%(devices)s::text[]))
  AND (%(sites)s::text[] IS NULL OR d.site_id = ANY (%(sites)s::text[]));

-- name: load_households
-- Households (NULL: all) of some sites with their thresholds as they hold now and whether somebody consents to the watch.
SELECT h.no, h.id, h.site_id, h.watched_from, p.thresholds_s,
       EXISTS (
         SELECT 1 FROM consents c
         WHERE c.household_id = h.id AND c.purpose = 'watch' AND c.withdrawn_at IS NULL
       ) AS consent
FROM households h
LEFT JOIN LATERAL (
  SELECT thresholds_s FROM policies p
  WHERE p.id = h.policy_id AND p.valid_from <= %(now)s ORDER BY p.version DESC LIMIT 1
) p ON true
WHERE (%(households)s::text[] IS NULL OR h.id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR h.site_id = ANY (%(sites)s::text[]));

-- name: load_doors
SELECT household_id, device_id, role, from_at, to_at FROM household_doors
WHERE (%(households)s::text[] IS NULL OR household_id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY household_id, device_id, from_at NULLS FIRST, role;

-- name: load_households_of_doors
SELECT DISTINCT household_id FROM household_doors WHERE device_id = ANY (%(devices)s::text[]);

-- name: load_credentials
-- Those of the homes of some sites (NULL: everybody's).
SELECT token, class, household_id FROM credentials
WHERE %(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[])));

-- name: load_credentials_of_others
-- Those that show at no door whatever that somebody lives there, of all sites.
SELECT token, class, household_id FROM credentials
WHERE household_id IS NULL OR class IN ('staff', 'guard', 'visitor');

-- name: load_credentials_of_homes
-- Those of some homes; of homes of other sites (NULL: there are none) only those that show that nobody lives there.
SELECT c.token, c.class, c.household_id FROM credentials c JOIN households h ON h.id = c.household_id
WHERE c.household_id = ANY (%(households)s::text[])
  AND (%(sites)s::text[] IS NULL OR h.site_id = ANY (%(sites)s::text[]) OR c.class IN ('staff', 'guard', 'visitor'));

-- name: load_credentials_of_nobody
-- Those of staff and guards.
SELECT token, class, household_id FROM credentials WHERE household_id IS NULL;

-- name: load_absences
SELECT household_id, from_at, to_at FROM absences
WHERE revoked_at IS NULL AND to_at >= %(since)s
  AND (%(households)s::text[] IS NULL OR household_id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY household_id, from_at;

-- name: load_verified
-- People's words that she is well: those that may still matter, and each household's newest.
SELECT id, household_id, at FROM verified_contacts WHERE at >= %(since)s AND doubted_at IS NULL
  AND (%(households)s::text[] IS NULL OR household_id = ANY (%(households)s::text[]))
  AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
UNION
SELECT * FROM (
  SELECT DISTINCT ON (household_id) id, household_id, at FROM verified_contacts WHERE doubted_at IS NULL
    AND (%(households)s::text[] IS NULL OR household_id = ANY (%(households)s::text[]))
    AND (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
  ORDER BY household_id, at DESC
) newest
ORDER BY household_id, at, id;

-- name: load_next_policy
-- When the next policy begins to hold.
SELECT min(valid_from) AS at FROM policies WHERE valid_from > %(now)s;

-- name: load_ended_doors
-- Homes of which a door's time was over within a span.
SELECT DISTINCT household_id FROM household_doors WHERE to_at > %(from_at)s AND to_at <= %(now)s;

-- name: mark_changes
-- The first transaction of which this snapshot may not see everything.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS mark;

-- name: load_changes
-- What transactions changed of which an earlier snapshot may not have seen everything; numbers of another server's
-- life, brought along by a backup, lie ahead.
SELECT DISTINCT kind, household_id, device_id FROM registry_changes
WHERE transaction_no >= %(mark)s::text::xid8 AND transaction_no < pg_snapshot_xmax(pg_current_snapshot())
LIMIT %(rows_max)s;

-- name: load_passed
-- The devices at which somebody showed one of some credentials since an instant.
SELECT id FROM devices WHERE no IN (
  SELECT device_no FROM door_events
  WHERE plausible AND credential = ANY (%(tokens)s::text[]) AND occurred_at >= %(since)s
);

-- name: load_events
-- Plausible events of some devices since an instant, and those around their households' newest evidence where that is
-- older: a row for each device and boot, with the columns of its events as arrays.
SELECT device_no, boot, array_agg(seq), array_agg(ts_ms), array_agg(up_ms), array_agg(coalesce(opens, -1)),
       array_agg((extract(epoch FROM received_at) * 1000)::bigint), array_agg(replayed), array_agg(clock_quality),
       array_agg(type), array_agg(state), array_agg(direction), array_agg(method), array_agg(credential),
       array_agg(reason), array_agg(door)
FROM (
  SELECT device_no, boot, seq, ts_ms, up_ms, opens, received_at, replayed, clock_quality, type, state, direction, method,
         credential, reason, door
  FROM door_events
  WHERE plausible AND device_no = ANY (%(devices)s::int[]) AND occurred_at >= %(since)s
  UNION ALL
  SELECT e.device_no, e.boot, e.seq, e.ts_ms, e.up_ms, e.opens, e.received_at, e.replayed, e.clock_quality, e.type,
         e.state, e.direction, e.method, e.credential, e.reason, e.door
  FROM household_states s
  JOIN household_doors d ON d.household_id = s.household_id
  JOIN devices v ON v.id = d.device_id
  JOIN door_events e ON e.device_no = v.no
    AND e.occurred_at BETWEEN s.evidence_at - interval '1 minute' AND s.evidence_at + interval '1 minute'
  WHERE s.evidence_at < %(since)s AND e.plausible AND e.occurred_at < %(since)s
    AND v.no = ANY (%(devices)s::int[])
) AS found
GROUP BY device_no, boot;

-- name: load_points_of
-- Of some devices, those that turns after a batch wrote.
SELECT * FROM coverage_points WHERE device_no = ANY (%(devices)s::int[]) AND batch > %(batch)s
ORDER BY device_no, boot, seq_last, first_up_ms;

-- name: load_boots
SELECT * FROM boots
WHERE (%(sites)s::text[] IS NULL OR device_no = ANY (ARRAY(SELECT no FROM devices WHERE site_id = ANY (%(sites)s::text[]))));

-- name: load_tail
-- What was stored of some devices since a batch; nothing older than the instant came late since.
SELECT device_no, boot, batch, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms,
       seq, ts_ms, up_ms, clock_quality, replayed, type, state, direction, method, credential, opens, reason, door
FROM door_events
WHERE plausible AND device_no = ANY (%(devices)s::int[]) AND occurred_at >= %(since)s AND batch > %(batch)s;

-- name: load_snapshots
SELECT block_no, batch, written_at, layout, checksum, state FROM detector_snapshots
WHERE groups = %(groups)s AND group_no = %(group_no)s ORDER BY block_no;

-- name: load_epoch
SELECT epoch FROM detector_recalls;

-- name: write_snapshots
-- Nothing while somebody takes stored events away, and nothing after that until the writer has read anew.
WITH known AS (SELECT epoch FROM detector_recalls WHERE epoch = %(epoch)s FOR SHARE SKIP LOCKED)
INSERT INTO detector_snapshots (groups, group_no, block_no, batch, written_at, floor_at, layout, checksum, state)
SELECT %(groups)s, %(group_no)s, b.block_no, %(batch)s, %(written_at)s, b.floor_at, %(layout)s, b.checksum, b.state
FROM known, unnest(%(blocks)s::int[], %(floors)s::timestamptz[], %(checksums)s::bytea[], %(states)s::bytea[])
  AS b (block_no, floor_at, checksum, state)
ON CONFLICT (groups, group_no, block_no) DO UPDATE
SET batch = excluded.batch, written_at = excluded.written_at, floor_at = excluded.floor_at, layout = excluded.layout,
    checksum = excluded.checksum, state = excluded.state;

-- name: drop_snapshots
DELETE FROM detector_snapshots
WHERE groups <> %(groups)s OR (group_no = %(group_no)s AND block_no = ANY (%(blocks)s::int[]));

-- name: load_standing_crossings
SELECT household_id, stage, at, announced_at, evidence_at, evidence, inactive_ms, elapsed_ms, thresholds_ms
FROM stage_crossings c
WHERE NOT EXISTS (SELECT 1 FROM crossing_withdrawals w WHERE w.crossing_id = c.id)
  AND (%(sites)s::text[] IS NULL OR c.household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY announced_at, id;

-- name: load_evidence
-- Of each home as it was seen last: the instant of its newest evidence and its stage.
SELECT household_id, (extract(epoch FROM evidence_at) * 1000)::bigint, stage FROM household_states
WHERE (%(sites)s::text[] IS NULL OR household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))));

-- name: load_standing_checks
SELECT household_id, step, at, noticed_at, evidence_at, evidence, inactive_ms
FROM checks_due c
WHERE NOT EXISTS (SELECT 1 FROM check_ends e WHERE e.check_id = c.id)
  AND (%(sites)s::text[] IS NULL OR c.household_id = ANY (ARRAY(SELECT id FROM households WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY noticed_at, id;

-- name: load_standing_outages
-- Outages that are not over, with the cause they stand under and whether alerts was told of them.
SELECT o.device_id, o.began_at, o.heard_at, o.cause, o.cause_id,
       EXISTS (SELECT 1 FROM happenings h WHERE h.kind = 'outage_began' AND h.fact_id = o.id) AS told
FROM outages_now o
WHERE o.ended_at IS NULL
  AND (%(sites)s::text[] IS NULL OR o.device_id = ANY (ARRAY(SELECT id FROM devices WHERE site_id = ANY (%(sites)s::text[]))))
ORDER BY o.began_at, o.id;

-- name: load_heard
-- When each device was heard last, by what was folded and stored.
SELECT d.id, greatest(
  (SELECT max(p.last_received_ms) FROM coverage_points p WHERE p.device_no = d.no),
  (SELECT max(b.newest_received_ms) FROM boots b WHERE b.device_no = d.no)
) AS heard_ms
FROM devices d WHERE %(sites)s::text[] IS NULL OR d.site_id = ANY (%(sites)s::text[]);

-- name: forget_points
-- Folded heartbeats wholly older than the wire protocol's memory.
DELETE FROM coverage_points WHERE last_received_ms < %(before_ms)s;

-- name: forget_boots
DELETE FROM boots b WHERE newest_received_ms < %(before_ms)s
  AND NOT EXISTS (SELECT 1 FROM coverage_points p WHERE p.device_no = b.device_no AND p.boot = b.boot);
