-- Who is presumed at home, who came home, and what doors tell beside inactivity.

-- Sensors inside a dwelling: motion, water, power. They grade and say where somebody is; no door is theirs.
CREATE TABLE household_sensors (
  household_id text NOT NULL REFERENCES households,
  device_id text NOT NULL REFERENCES devices,
  PRIMARY KEY (household_id, device_id)
);
CREATE INDEX household_sensors_device ON household_sensors (device_id);
CREATE TRIGGER sensors_changed AFTER INSERT OR UPDATE OR DELETE ON household_sensors FOR EACH ROW EXECUTE FUNCTION note_registry_change();

-- Presence as ingest last had it: derived, disposable, for reading only. Nobody learns from a list that a home is
-- empty: whoever reads this table for people has an audited reveal, or an inactivity case, behind him.
CREATE TABLE household_presence (
  household_id text PRIMARY KEY REFERENCES households,
  state text NOT NULL CHECK (state IN ('in', 'out', 'unsure')),
  ground jsonb NOT NULL,             -- reason; kind, device, boot, seq, at of the event it rests on
  since_at timestamptz,              -- since when the ground holds; NULL: nothing was ever heard
  as_of timestamptz NOT NULL
);

-- Insert-only facts of doors and dwellings, each with one row in happenings in the same transaction: kind 'signal',
-- and 'signal_ended' for its end, fact_id the signal's id, household_id where it has one. at: when it was the case; noticed_at: the pulse that noticed.
-- key names the fact whatever the order and number of its messages: written again it is the same row.
CREATE TABLE signals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN (
    'sos', 'duress', 'door_forced', 'door_held', 'stranger_denials', 'expired_pass', 'cancelled_card',
    'vacant_opened', 'lease_ended_credential', 'more_credentials', 'device_fault'
  )),
  household_id text REFERENCES households,
  device_id text REFERENCES devices,
  site_id text NOT NULL REFERENCES sites,
  community_id text NOT NULL REFERENCES communities,
  at timestamptz NOT NULL,
  noticed_at timestamptz NOT NULL,
  evidence jsonb NOT NULL            -- what it rests on: events by device, boot, seq; never a name
);
CREATE INDEX signals_community ON signals (community_id, at);
CREATE INDEX signals_household ON signals (household_id, at);
CREATE INDEX signals_device ON signals (device_id, at);

-- That a signal is over, with why: the door closed, the device speaks again, a late event explained it.
CREATE TABLE signal_ends (
  signal_id bigint PRIMARY KEY REFERENCES signals,
  ended_at timestamptz NOT NULL,
  noticed_at timestamptz NOT NULL,
  reason text NOT NULL,
  evidence jsonb NOT NULL
);

-- Somebody of the household came home: insert-only but for handled_at, alerts' mark that whoever is to be told was.
CREATE TABLE homecomings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,
  household_id text NOT NULL REFERENCES households,
  at timestamptz NOT NULL,
  noticed_at timestamptz NOT NULL,
  ground jsonb NOT NULL,
  handled_at timestamptz
);
CREATE INDEX homecomings_household ON homecomings (household_id, at);
CREATE INDEX homecomings_waiting ON homecomings (id) WHERE handled_at IS NULL;

-- Which contact wants to be told; off until chosen, and void without the household's consent notify_family.
CREATE TABLE home_notices (
  household_id text NOT NULL REFERENCES households,
  user_id bigint NOT NULL REFERENCES users,
  came_home boolean NOT NULL DEFAULT false,
  not_home boolean NOT NULL DEFAULT false,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (household_id, user_id)
);
CREATE TRIGGER home_notices_changed AFTER INSERT OR UPDATE OR DELETE ON home_notices FOR EACH ROW EXECUTE FUNCTION note_registry_change();
-- By when somebody is expected home, in the community's own time; a missing one is a notice, never a ladder case.
CREATE TABLE home_expectations (
  household_id text PRIMARY KEY REFERENCES households,
  by_time time NOT NULL,
  weekdays smallint[] NOT NULL DEFAULT '{1,2,3,4,5}',  -- ISO: 1 is Monday
  set_by text NOT NULL,
  set_at timestamptz NOT NULL
);
CREATE TABLE home_late (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  household_id text NOT NULL REFERENCES households,
  day date NOT NULL,
  by_at timestamptz NOT NULL,
  noticed_at timestamptz NOT NULL,
  known boolean NOT NULL,            -- false: the door was not heard, she may be at home
  UNIQUE (household_id, day)
);

-- Messages that belong to no case: a path of the console stands for the case's.
ALTER TABLE outbox ALTER COLUMN case_id DROP NOT NULL;
ALTER TABLE outbox ADD COLUMN path text CHECK (path LIKE '/%');

-- Registered tenancies of a dwelling. occupants: how many are registered, NULL where nobody counted.
CREATE TABLE leases (
  id text PRIMARY KEY,
  household_id text NOT NULL REFERENCES households,
  from_at timestamptz NOT NULL,
  to_at timestamptz,
  occupants int CHECK (occupants >= 0),
  registration text NOT NULL DEFAULT '',
  recorded_at timestamptz NOT NULL,
  CHECK (to_at IS NULL OR from_at < to_at)
);
CREATE INDEX leases_household ON leases (household_id, from_at);
CREATE TRIGGER leases_changed AFTER INSERT OR UPDATE OR DELETE ON leases FOR EACH ROW EXECUTE FUNCTION note_registry_change();
