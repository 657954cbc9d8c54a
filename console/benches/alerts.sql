-- name: lay_out
-- A community with as many homes as there are open cases, and some more for crossings.
INSERT INTO communities (id, name) VALUES ('c1', 'bench');
INSERT INTO sites (id, community_id, name) VALUES ('s1', 'c1', 'bench');
INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)
  VALUES ('clerk', 'clerk', '', 'property_clerk', 'c1', '2025-01-01');
INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)
  SELECT 'h' || n, 's1', 'h' || n, '1', '1', 1, '1', '2025-01-01' FROM generate_series(1, %(homes)s) n;
INSERT INTO consents (household_id, purpose, given_by, given_at)
  SELECT 'h' || n, 'watch', 'bench', '2025-01-01' FROM generate_series(1, %(homes)s) n

-- name: cross
-- What ingest writes when a home comes to a stage.
WITH fact AS (
  INSERT INTO stage_crossings (household_id, stage, at, announced_at, evidence_at, evidence, inactive_ms, elapsed_ms,
    thresholds_ms)
  VALUES (%(household_id)s, 2, %(now)s, %(now)s, %(now)s::timestamptz - interval '2 days', '{"kind": "opening"}',
    172800000, 172800000, ARRAY[86400000, 172800000, 259200000])
  RETURNING id
)
INSERT INTO happenings (kind, fact_id, household_id, at) SELECT 'crossing', id, %(household_id)s, %(now)s FROM fact

-- name: facts_of_all
-- The same for every home that gets a copy of the first case.
INSERT INTO stage_crossings (household_id, stage, at, announced_at, evidence_at, evidence, inactive_ms, elapsed_ms,
  thresholds_ms)
SELECT 'h' || n, s.stage, s.at, s.announced_at, s.evidence_at, s.evidence, s.inactive_ms, s.elapsed_ms, s.thresholds_ms
FROM stage_crossings s, generate_series(2, %(cases)s) n WHERE s.household_id = 'h1'

-- name: copy_case
-- The first home's case, as it is, for the others: each is due a hundredth of a second after the one before.
INSERT INTO cases (number, community_id, household_id, cause, cause_key, stage, check_step, state, opened_at, stage_at,
  deadline_at, evidence_at, evidence, next_action, next_action_at, policy, priority, grade, grounds)
SELECT 'bench-' || n, c.community_id, 'h' || n, c.cause, c.cause_key, c.stage, c.check_step, c.state, c.opened_at,
  c.stage_at, c.deadline_at, c.evidence_at, c.evidence, c.next_action, c.next_action_at, c.policy, c.priority, c.grade,
  c.grounds
FROM cases c, generate_series(2, %(cases)s) n WHERE c.household_id = 'h1'

-- name: copy_tasks
INSERT INTO tasks (case_id, household_id, kind, role, state, created_at, start_at, due_at)
SELECT o.id, o.household_id, t.kind, t.role, t.state, t.created_at, t.start_at, t.due_at
FROM tasks t JOIN cases c ON c.id = t.case_id AND c.household_id = 'h1', cases o WHERE o.household_id <> 'h1'

-- name: make_due
-- So many cases come due one after another: their calls are overdue from then on.
WITH due AS (
  SELECT id, %(from)s::timestamptz + (row_number() OVER (ORDER BY id)) * interval '1 second' / %(per_second)s AS at
  FROM (SELECT id FROM cases WHERE state <> 'closed' ORDER BY id LIMIT %(steps)s) one
), tasks_due AS (
  UPDATE tasks t SET start_at = least(t.start_at, due.at - interval '1 second'), due_at = due.at
  FROM due WHERE t.case_id = due.id
)
UPDATE cases c SET next_action_at = due.at, deadline_at = due.at, next_action = 'call_due' FROM due WHERE c.id = due.id
RETURNING c.next_action_at AS at

-- name: bare_commit
-- One row written and committed: what no act can be faster than.
INSERT INTO case_entries (case_id, at, words) SELECT min(id), %(now)s, 'note' FROM cases
