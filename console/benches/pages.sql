-- What the bench of the console lays out: a community of so many homes with doors, states, open cases and events.

-- name: lay_out
-- Homes with a door, a resident and a state; the first of them have an open case.
INSERT INTO installation (kind, created_at) VALUES ('production', %(now)s);
INSERT INTO communities (id, name) VALUES ('c1', 'bench');
INSERT INTO sites (id, community_id, name) VALUES ('s1', 'c1', 'bench');
INSERT INTO policies VALUES ('mandated', 1, ARRAY[86400, 172800, 259200], '{}', %(now)s);
INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)
  VALUES ('clerk', 'clerk', '', 'property_clerk', 'c1', %(now)s);
INSERT INTO devices (id, site_id, kind, place, registered_at)
  SELECT 'd' || n, 's1', 'controller', 'door ' || n, %(now)s::timestamptz - interval '100 days'
  FROM generate_series(1, %(homes)s) n;
INSERT INTO households (id, site_id, label, building, unit, floor, room, grid, watched_from)
  SELECT 'h' || n, 's1', (n / 100 + 1) || '-1-' || n, (n / 100 + 1)::text, '1', n %% 20 + 1, n::text, '1',
         %(now)s::timestamptz - interval '100 days'
  FROM generate_series(1, %(homes)s) n;
INSERT INTO household_doors (household_id, device_id, role)
  SELECT 'h' || n, 'd' || n, 'dwelling' FROM generate_series(1, %(homes)s) n;
INSERT INTO persons (id, household_id, relation, birth_year)
  SELECT 'p' || n, 'h' || n, 'resident', 1945 FROM generate_series(1, %(homes)s) n;
INSERT INTO person_identities SELECT 'p' || n, '王秀英', '13812341234' FROM generate_series(1, %(homes)s) n;
INSERT INTO consents (household_id, purpose, given_by, given_at)
  SELECT 'h' || n, 'watch', 'bench', %(now)s::timestamptz - interval '100 days' FROM generate_series(1, %(homes)s) n;
INSERT INTO household_states (household_id, as_of, known, stage, check_step, evidence_at, evidence, base_ms, anchor_at,
    settled_ms)
  SELECT 'h' || n, %(now)s, true, CASE WHEN n <= %(cases)s THEN 1 + n %% 3 ELSE 0 END, 0,
         %(now)s::timestamptz - interval '3 hours', jsonb_build_object('kind', 'opening', 'device', 'd' || n), 10800000,
         %(now)s, 10800000
  FROM generate_series(1, %(homes)s) n;
INSERT INTO service_progress SELECT s, %(now)s, 7 FROM unnest(ARRAY['ingest', 'alerts']) s;
INSERT INTO cases (number, community_id, household_id, cause, stage, priority, state, opened_at, stage_at, deadline_at,
    evidence_at, next_action, next_action_at, policy, grade, holder_id)
  SELECT 'bench-' || n, 'c1', 'h' || n, 'inactivity', 1 + n %% 3, 1 + n %% 3, 'notified', %(now)s, %(now)s,
         %(now)s::timestamptz + interval '1 hour', %(now)s::timestamptz - interval '30 hours', 'call_due',
         %(now)s::timestamptz + interval '1 hour', '{"version": 1}', 'low',
         -- Somebody has taken one in four.
         CASE WHEN n %% 4 = 0 THEN (SELECT id FROM users WHERE name = 'clerk') END
  FROM generate_series(1, %(cases)s) n;
INSERT INTO tasks (case_id, household_id, kind, role, state, created_at, start_at, due_at)
  SELECT c.id, c.household_id, CASE c.stage WHEN 3 THEN 'visit' ELSE 'call' END, 'property_clerk', 'open', %(now)s, %(now)s,
         %(now)s::timestamptz + interval '1 hour'
  FROM cases c WHERE c.stage > 1;
INSERT INTO case_entries (case_id, at, words, args) SELECT c.id, %(now)s, 'opened', '{}' FROM cases c;
SELECT ensure_event_partitions(%(now)s::timestamptz - interval '91 days', %(now)s)

-- name: event_indexes
-- What makes the indexes of the events again.
SELECT replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'door_events'

-- name: drop_event_indexes
-- Takes them away.
DO $$
DECLARE
  index_name text;
BEGIN
  FOR index_name IN SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'door_events' LOOP
    EXECUTE format('DROP INDEX %I', index_name);
  END LOOP;
END $$

-- name: events
-- Openings spread over ninety days and all doors, one day's worth at a time; doors and homes were numbered in their order.
INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, household_no, boot, seq, ts_ms, up_ms,
    clock_quality, replayed, type, state, plausible, batch)
  SELECT o.at, o.at, o.at, d.first + n %% %(homes)s, h.first + n %% %(homes)s, 7, %(first)s + n, 0, 0, 'ntp', false,
         'DoorPhysicalState', 'Open', true, 1
  FROM (SELECT min(no) AS first FROM devices) d, (SELECT min(no) AS first FROM households) h,
       generate_series(1, %(count)s) n
  CROSS JOIN LATERAL (SELECT %(day)s::timestamptz + interval '1 day' * (n::float8 / (%(count)s + 1)) AS at) o

-- name: plain_cases
-- The same list as the API's, for the peer: rows that the framework makes JSON of.
SELECT c.id, c.number, c.household_id AS household,
       (ARRAY['warning', 'call', 'visit'])[least(c.stage, 3)] AS stage, c.check_step, c.state, c.cause, c.priority,
       c.grade, c.signal_count, c.opened_at, c.stage_at, c.deadline_at, c.evidence_at AS last_evidence_at,
       u.display_name AS holder, nullif(c.next_action, '') AS next_action, c.next_action_at, c.outcome, c.closed_at
FROM cases c LEFT JOIN users u ON u.id = c.holder_id
WHERE c.community_id = %(community_id)s ORDER BY c.id DESC LIMIT %(limit)s

-- name: plain_count
-- How many there are.
SELECT count(*) AS total FROM cases c WHERE c.community_id = %(community_id)s

-- name: ordinary_session
-- A session by its token.
SELECT * FROM find_session(%(token_hash)s)

-- name: ordinary_scope
-- Opens her scope.
SELECT open_scope(%(token_hash)s, %(wall)s)

-- name: ordinary_user
-- Who she is.
SELECT id, name, display_name, role, community_id, language FROM users WHERE id = %(user_id)s

-- name: plain_ids
-- The ids of that list.
SELECT c.id FROM cases c WHERE c.community_id = %(community_id)s ORDER BY c.id DESC LIMIT %(limit)s

-- name: change_one
-- One case changed.
UPDATE cases SET version = version + 1 WHERE id = (SELECT max(id) - 7 FROM cases)

-- name: change_all
-- Every case changed.
UPDATE cases SET version = version + 1

-- name: console_backends
-- The processes that work for the console.
SELECT pid FROM pg_stat_activity WHERE usename = 'kaimen_console' AND datname = current_database()
