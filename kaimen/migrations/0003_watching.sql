-- What ingest knows and says: coverage, quarantine, state, and the facts that alerts acts on.

-- Heartbeats folded: all heartbeats of one boot at one position with one counter, as their first and their last.
CREATE TABLE coverage_points (
  device_no int NOT NULL,
  boot bigint NOT NULL,
  seq_last bigint NOT NULL,
  opens bigint NOT NULL,            -- -1 where the device has no counter
  first_up_ms bigint NOT NULL,
  first_ts_ms bigint NOT NULL,
  first_received_ms bigint NOT NULL,
  first_clock text NOT NULL,
  last_up_ms bigint NOT NULL,
  last_ts_ms bigint NOT NULL,
  last_received_ms bigint NOT NULL,
  last_clock text NOT NULL,
  by_check_in boolean NOT NULL DEFAULT false,
  PRIMARY KEY (device_no, boot, seq_last, opens, first_up_ms)
);

-- What is needed of a boot beyond its points: what its base was made of. NULL: no such message yet.
CREATE TABLE boots (
  device_no int NOT NULL,
  boot bigint NOT NULL,
  ntp_up_ms bigint,                  -- lowest up of its ntp messages, and that message's ts (tie: lowest)
  ntp_ts_ms bigint,
  ntp_base_min_ms bigint,            -- least and greatest ts - up of its ntp messages: over an hour apart is a clone
  ntp_base_max_ms bigint,
  received_base_ms bigint,           -- least received_at - up
  rtc_base_ms bigint,                -- least ts - up of its rtc messages
  newest_received_ms bigint NOT NULL,
  PRIMARY KEY (device_no, boot)
);

CREATE TABLE device_states (
  device_id text PRIMARY KEY REFERENCES devices,
  status text NOT NULL,              -- birth or last will: online, offline
  heard_at timestamptz,
  facts jsonb NOT NULL DEFAULT '{}', -- battery, signal, firmware, fault, unsent, lost for good
  updated_at timestamptz NOT NULL
);

CREATE TABLE quarantine (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  received_at timestamptz NOT NULL,
  topic text NOT NULL,
  channel text NOT NULL,
  device_id text,
  payload bytea NOT NULL,            -- at most the first 64 KiB
  payload_bytes bigint NOT NULL,
  payload_sha256 bytea NOT NULL,
  reason text NOT NULL,
  detail text NOT NULL,
  copies int NOT NULL DEFAULT 1,
  replayed_at timestamptz,
  replay_asked boolean NOT NULL DEFAULT false,
  UNIQUE (topic, payload_sha256, reason)
);
CREATE INDEX quarantine_waiting ON quarantine (device_id) WHERE replayed_at IS NULL;
CREATE INDEX quarantine_asked ON quarantine (id) WHERE replay_asked;

-- Groups of shards and who writes for them. Every writing transaction begins by locking its row with its token.
CREATE TABLE ingest_leases (
  group_no int PRIMARY KEY,
  groups int NOT NULL,
  token bigint NOT NULL DEFAULT 0,
  worker text,
  expires_at timestamptz,            -- wall time: a lease is transport, not community
  batch bigint NOT NULL DEFAULT 0,
  pulse_at timestamptz               -- community time of the newest committed pulse
);

-- Insert-only facts. at: when the deadline passed; announced_at: the pulse that noticed.
CREATE TABLE stage_crossings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  household_id text NOT NULL REFERENCES households,
  stage smallint NOT NULL CHECK (stage BETWEEN 1 AND 9),
  at timestamptz NOT NULL,
  announced_at timestamptz NOT NULL,
  evidence_at timestamptz NOT NULL,
  evidence jsonb NOT NULL,           -- kind, device, boot, seq: why we thought she was well until then
  inactive_ms bigint NOT NULL,
  elapsed_ms bigint NOT NULL,
  thresholds_ms bigint[] NOT NULL,
  UNIQUE (household_id, stage, evidence_at, announced_at)
);
CREATE TABLE crossing_withdrawals (
  crossing_id bigint PRIMARY KEY REFERENCES stage_crossings,
  withdrawn_at timestamptz NOT NULL,
  evidence_at timestamptz NOT NULL,  -- the newer evidence, or the begin of the absence
  evidence jsonb NOT NULL,
  late boolean NOT NULL              -- the evidence had happened before the crossing was announced
);
CREATE TABLE checks_due (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  household_id text NOT NULL REFERENCES households,
  step smallint NOT NULL,
  at timestamptz NOT NULL,
  noticed_at timestamptz NOT NULL,
  evidence_at timestamptz NOT NULL,
  evidence jsonb NOT NULL,
  inactive_ms bigint NOT NULL,
  UNIQUE (household_id, step, evidence_at)
);
CREATE TABLE check_ends (
  check_id bigint PRIMARY KEY REFERENCES checks_due,
  ended_at timestamptz NOT NULL,
  evidence_at timestamptz NOT NULL,
  evidence jsonb NOT NULL
);
-- Spans in which a device was not known; folded by cause (own, broker, site, gateway, device).
CREATE TABLE outages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device_id text NOT NULL REFERENCES devices,
  cause text NOT NULL CHECK (cause IN ('own', 'broker', 'site', 'gateway', 'device')),
  cause_id text NOT NULL,
  began_at timestamptz NOT NULL,
  heard_at timestamptz,              -- last time it was heard; NULL: never
  UNIQUE (device_id, began_at)
);
CREATE INDEX outages_cause ON outages (cause, cause_id, began_at);
CREATE TABLE outage_ends (
  outage_id bigint PRIMARY KEY REFERENCES outages,
  ended_at timestamptz NOT NULL
);

-- The line from ingest to alerts: one row per fact, in the fact's own transaction.
CREATE TABLE happenings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  fact_id bigint NOT NULL,
  household_id text,
  at timestamptz NOT NULL,
  handled_at timestamptz,
  retry_at timestamptz,              -- set aside by alerts: the handling failed and is tried again then
  failure text,
  UNIQUE (kind, fact_id)
);
CREATE INDEX happenings_waiting ON happenings (id) WHERE handled_at IS NULL;
CREATE INDEX happenings_set_aside ON happenings (retry_at) WHERE handled_at IS NULL AND retry_at IS NOT NULL;

-- State of a household as the detector last had it: derived, disposable, for reading only.
-- inactive(now) = known ? base_ms + (now - anchor_at) : settled_ms
CREATE TABLE household_states (
  household_id text PRIMARY KEY REFERENCES households,
  as_of timestamptz NOT NULL,
  known boolean NOT NULL,
  not_known_since timestamptz,
  stage smallint NOT NULL,
  check_step smallint NOT NULL,
  evidence_at timestamptz NOT NULL,
  evidence jsonb NOT NULL,
  base_ms bigint NOT NULL,
  anchor_at timestamptz NOT NULL,
  settled_ms bigint NOT NULL,
  absent_until timestamptz,
  door_open_since timestamptz,
  in_fault boolean NOT NULL DEFAULT false
);

CREATE TABLE service_progress (
  service text PRIMARY KEY,
  at timestamptz NOT NULL,           -- community time up to which the service has done its work
  turn bigint NOT NULL DEFAULT 0
);
