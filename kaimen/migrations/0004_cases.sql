-- What people work on until a person has answered for it.

CREATE TABLE cases (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  number text NOT NULL,
  community_id text NOT NULL REFERENCES communities,
  household_id text REFERENCES households,
  cause text NOT NULL CHECK (cause IN ('inactivity', 'technical')),
  cause_key text,                       -- technical: own, broker:…, site:…, gateway:…, device:…
  stage smallint NOT NULL DEFAULT 0,    -- 0..3; 0 for technical cases and cases of checks only
  check_step smallint NOT NULL DEFAULT 0,
  state text NOT NULL CHECK (state IN ('open', 'notified', 'owned', 'working', 'closed')),
  opened_at timestamptz NOT NULL,
  stage_at timestamptz NOT NULL,        -- the crossing's own instant
  deadline_at timestamptz,              -- by when the act of this stage is owed
  evidence_at timestamptz,
  evidence jsonb NOT NULL DEFAULT '{}',
  next_action text NOT NULL DEFAULT '',
  next_action_at timestamptz,
  holder_id bigint REFERENCES users,
  lease_expires_at timestamptz,
  held_until timestamptz,
  held_reason text,
  visit_begun_at timestamptz,
  proposal jsonb,                       -- evidence that proposes closing at VISIT; a person confirms
  proposal_at timestamptz,
  remote_well_count smallint NOT NULL DEFAULT 0,
  policy jsonb NOT NULL,                -- snapshot of the ladder at opening
  outcome text,
  closed_at timestamptz,
  closed_by text,
  reopened_from bigint REFERENCES cases,
  version int NOT NULL DEFAULT 1,
  UNIQUE (community_id, number),
  CHECK (state <> 'closed' OR (outcome IS NOT NULL AND closed_at IS NOT NULL)),
  CHECK (state = 'closed' OR next_action_at IS NOT NULL)
);
CREATE UNIQUE INDEX cases_one_open_inactivity ON cases (household_id) WHERE cause = 'inactivity' AND state <> 'closed';
CREATE UNIQUE INDEX cases_one_open_technical ON cases (cause_key) WHERE cause = 'technical' AND state <> 'closed';
CREATE INDEX cases_open ON cases (community_id, stage DESC, opened_at) WHERE state <> 'closed';
CREATE INDEX cases_due ON cases (next_action_at) WHERE state <> 'closed';
CREATE INDEX cases_household ON cases (household_id, opened_at);
CREATE INDEX cases_not_seen ON cases (community_id) WHERE state <> 'closed' AND check_step > stage;
CREATE INDEX cases_closed ON cases (closed_at) WHERE state = 'closed';

CREATE TABLE case_numbers (
  community_id text NOT NULL,
  day date NOT NULL,
  last int NOT NULL,
  PRIMARY KEY (community_id, day)
);

-- The timeline all parties see. words is a catalogue key, args its values; note is what a person wrote.
CREATE TABLE case_entries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  case_id bigint NOT NULL REFERENCES cases,
  at timestamptz NOT NULL,
  words text NOT NULL,
  args jsonb NOT NULL DEFAULT '{}',
  note text,
  user_id bigint REFERENCES users,
  fact text UNIQUE                      -- kind:id of the happening that wrote it, so that it is written once
);
CREATE INDEX case_entries_case ON case_entries (case_id, id);

-- Households that a technical case stands for, frailest and longest unseen first.
CREATE TABLE case_households (
  case_id bigint NOT NULL REFERENCES cases,
  household_id text NOT NULL REFERENCES households,
  from_at timestamptz NOT NULL,
  to_at timestamptz,
  PRIMARY KEY (case_id, household_id)
);
CREATE INDEX case_households_now ON case_households (household_id) WHERE to_at IS NULL;

CREATE TABLE tasks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  case_id bigint NOT NULL REFERENCES cases,
  household_id text REFERENCES households,
  kind text NOT NULL CHECK (kind IN ('call', 'visit', 'device_check', 'confirm_closing')),
  role text NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'claimed', 'done', 'superseded')),
  created_at timestamptz NOT NULL,
  start_at timestamptz NOT NULL,        -- not before: calls of the night start in the morning
  due_at timestamptz NOT NULL,
  assignee_id bigint REFERENCES users,
  claimed_at timestamptz,
  begun_at timestamptz,
  done_at timestamptz,
  done_by bigint REFERENCES users,
  outcome text,
  contacted text,
  witness text,
  note text,
  fact text UNIQUE
);
CREATE INDEX tasks_case ON tasks (case_id);
CREATE INDEX tasks_open ON tasks (due_at) WHERE state IN ('open', 'claimed');

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  case_id bigint NOT NULL REFERENCES cases,
  step text NOT NULL,
  person text NOT NULL,                 -- pseudonymous recipient: user:…, person:…, community:…
  channel text NOT NULL,
  repetition int NOT NULL DEFAULT 0,
  idempotency_key text NOT NULL UNIQUE,
  template text NOT NULL,
  args jsonb NOT NULL DEFAULT '{}',     -- a case number and a link; never a name, a door or a state
  state text NOT NULL CHECK (state IN ('planned', 'leased', 'accepted', 'delivered', 'answered', 'confirmed',
                                       'failed_permanent', 'uncertain', 'superseded')),
  created_at timestamptz NOT NULL,
  not_before timestamptz NOT NULL,
  lease_owner text,
  lease_expires_at timestamptz,         -- wall time
  fence bigint NOT NULL DEFAULT 0,
  attempts int NOT NULL DEFAULT 0
);
CREATE INDEX outbox_case ON outbox (case_id);
CREATE INDEX outbox_due ON outbox (not_before) WHERE state IN ('planned', 'leased', 'uncertain');

CREATE TABLE deliveries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  outbox_id bigint NOT NULL REFERENCES outbox,
  attempt int NOT NULL,
  at timestamptz NOT NULL,
  result text NOT NULL,
  provider_id text,
  detail text NOT NULL DEFAULT '',
  UNIQUE (outbox_id, attempt)
);
