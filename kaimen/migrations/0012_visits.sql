-- What the watchdog found, and what people did at doors and on the telephone, in their own time.

-- One fault as the independent watchdog sees it; wall time throughout. A suspicion becomes a finding when it is still
-- there at a later turn (found_at); one that goes before that is deleted, an ended finding stays.
CREATE TABLE watchdog_findings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  check_name text NOT NULL,
  subject text NOT NULL DEFAULT '',     -- a service, a channel, case:12; never a person or a door
  suspected_at timestamptz NOT NULL,
  found_at timestamptz,
  ended_at timestamptz,
  told_at timestamptz,                  -- when its own channel last took it
  told_count int NOT NULL DEFAULT 0,
  tell_at timestamptz,                  -- when it is told next
  end_told_at timestamptz,
  mark text NOT NULL DEFAULT '',        -- what must stay the same for it to be the same fault
  detail jsonb NOT NULL DEFAULT '{}',   -- numbers and ids
  CHECK (ended_at IS NULL OR found_at IS NOT NULL)
);
CREATE UNIQUE INDEX watchdog_findings_open ON watchdog_findings (check_name, subject) WHERE ended_at IS NULL;
CREATE INDEX watchdog_findings_ended ON watchdog_findings (ended_at DESC) WHERE ended_at IS NOT NULL;

-- That the watchdog itself turns; wall time.
CREATE TABLE watchdog_beats (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  turned_at timestamptz NOT NULL,
  pinged_at timestamptz,
  told_at timestamptz,
  has_channel boolean NOT NULL DEFAULT false,
  has_ping boolean NOT NULL DEFAULT false
);

-- The four parts somebody looked at who stood at the door; insert only. at: when it was seen, recorded_at: when it
-- reached us (a stairwell may have no signal).
CREATE TABLE visit_forms (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id bigint NOT NULL REFERENCES tasks,
  case_id bigint NOT NULL REFERENCES cases,
  household_id text NOT NULL REFERENCES households,
  user_id bigint NOT NULL REFERENCES users,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  place text NOT NULL CHECK (place IN ('inside', 'at_the_door', 'elsewhere')),
  second_person text NOT NULL DEFAULT '',
  health text NOT NULL CHECK (health IN ('well', 'attention', 'urgent')),
  economy text NOT NULL CHECK (economy IN ('well', 'attention', 'urgent')),
  safety text NOT NULL CHECK (safety IN ('well', 'attention', 'urgent')),
  need text NOT NULL CHECK (need IN ('well', 'attention', 'urgent')),
  notes jsonb NOT NULL DEFAULT '{}',
  signal_id bigint REFERENCES signals   -- what an urgent part asked for at once
);
CREATE INDEX visit_forms_household ON visit_forms (household_id, at);
CREATE INDEX visit_forms_case ON visit_forms (case_id);

-- What was done at a door nobody opened, step by step; insert only. A key is out until it is returned.
CREATE TABLE entry_steps (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id bigint NOT NULL REFERENCES tasks,
  case_id bigint NOT NULL REFERENCES cases,
  user_id bigint NOT NULL REFERENCES users,
  step text NOT NULL CHECK (step IN (
    'family_phoned', 'neighbours_asked', 'signs_looked_for', 'police_present', 'entry_consented', 'second_person',
    'key_handed_out', 'entered', 'key_returned'
  )),
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  who text NOT NULL DEFAULT '',         -- who was reached, who consented, who came along, who has the key
  note text NOT NULL DEFAULT ''
);
CREATE INDEX entry_steps_task ON entry_steps (task_id, id);

-- One row per act of the field page, by the key the phone gave it: sent twice it is one act. at: when it was done.
CREATE TABLE field_acts (
  key uuid PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  task_id bigint NOT NULL REFERENCES tasks,
  kind text NOT NULL CHECK (kind IN ('begin', 'outcome', 'form', 'step')),
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  result text NOT NULL
);
CREATE INDEX field_acts_task ON field_acts (task_id);

-- What figures count: annunciations by their instant, and tasks that were done or due in a span.
CREATE INDEX outbox_annunciated ON outbox (not_before) WHERE channel = 'console';
CREATE INDEX tasks_done ON tasks (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX tasks_due ON tasks (due_at) WHERE kind = 'visit';
