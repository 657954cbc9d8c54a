-- name: communities
SELECT id, zone FROM communities ORDER BY id;

-- name: reached
-- How far ingest has done its work, in community time.
SELECT at FROM service_progress WHERE service = 'ingest';

-- name: households
-- Households of a community (of all where none is named), and whether their doors are heard right now.
SELECT h.id, coalesce(s.known, false) AS known
FROM households h
JOIN sites t ON t.id = h.site_id
LEFT JOIN household_states s ON s.household_id = h.id
WHERE %(community)s::text IS NULL OR t.community_id = %(community)s
ORDER BY h.id;

-- name: events
-- Plausible events of these devices, in no order; columns by position, as the rebuild of the detector reads them.
SELECT device_no, (extract(epoch FROM received_at) * 1000)::bigint, boot, seq, ts_ms, up_ms, clock_quality, replayed,
       type, state, direction, method, credential, opens, reason, door
FROM door_events
WHERE plausible AND device_no = ANY (%(devices)s::int[]) AND occurred_at >= %(since)s AND occurred_at < %(before)s;

-- name: passage_columns
-- What people of these households did at doors they share with others: nothing else there can be evidence.
SELECT device_no, boot, array_agg(seq), array_agg(ts_ms), array_agg(up_ms), array_agg(coalesce(opens, -1)),
       array_agg((extract(epoch FROM received_at) * 1000)::bigint), array_agg(replayed), array_agg(clock_quality),
       array_agg(type), array_agg(state), array_agg(direction), array_agg(method), array_agg(credential),
       array_agg(reason), array_agg(door)
FROM door_events
WHERE plausible AND device_no = ANY (%(devices)s::int[]) AND occurred_at >= %(since)s AND occurred_at < %(before)s
  AND type = 'AccessTaken' AND credential = ANY (%(tokens)s::text[])
GROUP BY device_no, boot;

-- name: event_columns
-- As ``events``: a row for each device and boot, with the columns of its events as arrays.
SELECT device_no, boot, array_agg(seq), array_agg(ts_ms), array_agg(up_ms), array_agg(coalesce(opens, -1)),
       array_agg((extract(epoch FROM received_at) * 1000)::bigint), array_agg(replayed), array_agg(clock_quality),
       array_agg(type), array_agg(state), array_agg(direction), array_agg(method), array_agg(credential),
       array_agg(reason), array_agg(door)
FROM door_events
WHERE plausible AND device_no = ANY (%(devices)s::int[]) AND occurred_at >= %(since)s AND occurred_at < %(before)s
GROUP BY device_no, boot;

-- name: points
SELECT * FROM coverage_points WHERE device_no = ANY (%(devices)s::int[])
ORDER BY device_no, boot, seq_last, first_up_ms;

-- name: boots
SELECT * FROM boots WHERE device_no = ANY (%(devices)s::int[]);

-- name: stored_crossings
-- What was announced, by the instant at which the stage was reached; late: evidence from before came in afterwards.
SELECT c.household_id, c.stage, (extract(epoch FROM c.at) * 1000)::bigint AS at_ms,
       coalesce(w.late, false) AS late
FROM stage_crossings c
JOIN households h ON h.id = c.household_id
JOIN sites t ON t.id = h.site_id
LEFT JOIN crossing_withdrawals w ON w.crossing_id = c.id
WHERE c.at >= %(from_at)s AND c.at < %(before)s
  AND (%(community)s::text IS NULL OR t.community_id = %(community)s)
ORDER BY c.at, c.household_id, c.stage;

-- name: policy
-- A policy's thresholds in one version, its newest where none is named.
SELECT id, version, thresholds_s FROM policies
WHERE id = %(id)s AND (%(version)s::int IS NULL OR version = %(version)s)
ORDER BY version DESC LIMIT 1;

-- name: policy_names
SELECT id, version FROM policies ORDER BY id, version;

-- name: policies_begun
-- How many policies began to hold within a period: before, others were in force than now.
SELECT count(*) AS n FROM policies WHERE valid_from > %(from_at)s AND valid_from < %(before)s;
