-- Who lives where, which doors are theirs, which devices watch them, and who may look.

CREATE TABLE installation (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  kind text NOT NULL CHECK (kind IN ('demo', 'production')),
  created_at timestamptz NOT NULL
);
-- A demo never becomes production: the row can be written once and never changed.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is written once', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER installation_is_final BEFORE UPDATE OR DELETE ON installation
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE communities (
  id text PRIMARY KEY,
  name text NOT NULL,
  zone text NOT NULL DEFAULT 'Asia/Shanghai'
);

CREATE TABLE sites (
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,64}$'),
  community_id text NOT NULL REFERENCES communities,
  name text NOT NULL
);

CREATE TABLE devices (
  no int GENERATED ALWAYS AS IDENTITY UNIQUE,
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,64}$'),
  site_id text NOT NULL REFERENCES sites,
  kind text NOT NULL CHECK (kind IN ('controller', 'contact', 'motion', 'water', 'gateway', 'other')),
  model text NOT NULL DEFAULT '',
  place text NOT NULL DEFAULT '',
  gateway_id text REFERENCES devices (id),
  heartbeat_s int NOT NULL DEFAULT 60 CHECK (heartbeat_s > 0),
  supervision_s int NOT NULL DEFAULT 180 CHECK (supervision_s > 0),
  registered_at timestamptz NOT NULL,
  retired_at timestamptz
);

CREATE TABLE policies (
  id text NOT NULL,
  version int NOT NULL,
  thresholds_s int[] NOT NULL,
  ladder jsonb NOT NULL DEFAULT '{}',
  valid_from timestamptz NOT NULL,
  PRIMARY KEY (id, version)
);

CREATE TABLE households (
  no int GENERATED ALWAYS AS IDENTITY UNIQUE,
  id text PRIMARY KEY,
  site_id text NOT NULL REFERENCES sites,
  label text NOT NULL,
  building text NOT NULL,
  unit text NOT NULL,
  floor int NOT NULL,
  room text NOT NULL,
  grid text NOT NULL DEFAULT '',
  tenure text NOT NULL DEFAULT 'owner' CHECK (tenure IN ('owner', 'rented', 'vacant', 'collective')),
  policy_id text NOT NULL DEFAULT 'mandated',
  watched_from timestamptz,
  UNIQUE (site_id, label)
);

CREATE TABLE household_doors (
  household_id text NOT NULL REFERENCES households,
  device_id text NOT NULL REFERENCES devices,
  role text NOT NULL CHECK (role IN ('dwelling', 'shared')),
  from_at timestamptz,
  to_at timestamptz,
  UNIQUE NULLS NOT DISTINCT (household_id, device_id, role, from_at)
);
CREATE INDEX household_doors_device ON household_doors (device_id);

CREATE TABLE persons (
  id text PRIMARY KEY,
  household_id text REFERENCES households,
  relation text NOT NULL CHECK (relation IN ('resident', 'family', 'helper', 'staff')),
  category text,
  birth_year int,
  hard_of_hearing boolean NOT NULL DEFAULT false,
  language text NOT NULL DEFAULT 'zh'
);
CREATE INDEX persons_household ON persons (household_id);

-- Identity lives apart from everything that moves.
CREATE TABLE person_identities (
  person_id text PRIMARY KEY REFERENCES persons,
  name text NOT NULL,
  phone text
);

-- Whom to ask for a household, in order: family contacts and the three helper roles.
CREATE TABLE household_contacts (
  household_id text NOT NULL REFERENCES households,
  person_id text NOT NULL REFERENCES persons,
  role text NOT NULL CHECK (role IN ('family', 'neighbour_watcher', 'stairwell_liaison', 'safety_guardian', 'grid_worker')),
  position int NOT NULL,
  relation_words text NOT NULL DEFAULT '',
  PRIMARY KEY (household_id, person_id, role)
);

CREATE TABLE credentials (
  token text PRIMARY KEY,
  class text NOT NULL CHECK (class IN ('resident', 'family', 'staff', 'guard', 'visitor')),
  household_id text REFERENCES households,
  person_id text REFERENCES persons,
  valid_from timestamptz,
  valid_to timestamptz
);

CREATE TABLE consents (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  household_id text NOT NULL REFERENCES households,
  purpose text NOT NULL CHECK (purpose IN ('watch', 'notify_family', 'share_with_police', 'exact_times')),
  given_by text NOT NULL,
  given_at timestamptz NOT NULL,
  withdrawn_at timestamptz
);
CREATE UNIQUE INDEX consents_standing ON consents (household_id, purpose) WHERE withdrawn_at IS NULL;

CREATE TABLE absences (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  household_id text NOT NULL REFERENCES households,
  from_at timestamptz NOT NULL,
  to_at timestamptz NOT NULL,
  reason text NOT NULL CHECK (reason IN ('travel', 'hospital', 'relatives', 'other')),
  declared_by text NOT NULL,
  declared_at timestamptz NOT NULL,
  revoked_at timestamptz,
  CHECK (from_at < to_at AND to_at <= from_at + interval '90 days')
);
CREATE INDEX absences_household ON absences (household_id, to_at);

-- A person's word that she is well: evidence, with a named witness.
CREATE TABLE verified_contacts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  household_id text NOT NULL REFERENCES households,
  at timestamptz NOT NULL,
  how text NOT NULL CHECK (how IN ('spoke', 'saw', 'remote')),
  witness text NOT NULL,
  case_id bigint,
  succession smallint NOT NULL DEFAULT 1, -- how many remote ones in a row this is, nobody having heard or seen her
  real_evidence_at timestamptz,      -- of a remote one: when she was last heard, seen or opened
  recorded_at timestamptz NOT NULL
);
CREATE INDEX verified_contacts_household ON verified_contacts (household_id, at);
CREATE INDEX verified_contacts_remote ON verified_contacts (real_evidence_at) WHERE how = 'remote';

-- Whatever a running ingest must take over without restart: it reads newer rows on NOTIFY kaimen_registry.
CREATE TABLE registry_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  household_id text,
  device_id text,
  recorded_at timestamptz NOT NULL
);
CREATE FUNCTION note_registry_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed jsonb := to_jsonb(coalesce(NEW, OLD));
BEGIN
  INSERT INTO registry_changes (household_id, device_id, recorded_at)
  VALUES (
    CASE WHEN TG_TABLE_NAME = 'households' THEN changed->>'id' ELSE changed->>'household_id' END,
    CASE WHEN TG_TABLE_NAME = 'devices' THEN changed->>'id' ELSE changed->>'device_id' END,
    clock_timestamp()
  );
  PERFORM pg_notify('kaimen_registry', '');
  RETURN NULL;
END $$;
CREATE TRIGGER households_changed AFTER INSERT OR UPDATE OR DELETE ON households FOR EACH ROW EXECUTE FUNCTION note_registry_change();
CREATE TRIGGER devices_changed AFTER INSERT OR UPDATE OR DELETE ON devices FOR EACH ROW EXECUTE FUNCTION note_registry_change();
CREATE TRIGGER doors_changed AFTER INSERT OR UPDATE OR DELETE ON household_doors FOR EACH ROW EXECUTE FUNCTION note_registry_change();
CREATE TRIGGER credentials_changed AFTER INSERT OR UPDATE OR DELETE ON credentials FOR EACH ROW EXECUTE FUNCTION note_registry_change();
CREATE TRIGGER consents_changed AFTER INSERT OR UPDATE OR DELETE ON consents FOR EACH ROW EXECUTE FUNCTION note_registry_change();
CREATE TRIGGER absences_changed AFTER INSERT OR UPDATE OR DELETE ON absences FOR EACH ROW EXECUTE FUNCTION note_registry_change();
CREATE TRIGGER verified_changed AFTER INSERT OR UPDATE OR DELETE ON verified_contacts FOR EACH ROW EXECUTE FUNCTION note_registry_change();

-- People who sign in. A family member sees the households of user_households.
CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  display_name text NOT NULL,
  password_hash text NOT NULL,
  role text NOT NULL,
  community_id text REFERENCES communities,
  language text NOT NULL DEFAULT 'zh' CHECK (language IN ('zh', 'en')),
  created_at timestamptz NOT NULL,
  disabled_at timestamptz
);
CREATE TABLE user_households (
  user_id bigint NOT NULL REFERENCES users,
  household_id text NOT NULL REFERENCES households,
  relation_words text NOT NULL DEFAULT '',
  PRIMARY KEY (user_id, household_id)
);
CREATE TABLE sessions (
  token_hash bytea PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  created_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  agent text NOT NULL DEFAULT ''
);
CREATE TABLE api_tokens (
  token_hash bytea PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  name text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz
);
CREATE TABLE sign_in_failures (
  name text NOT NULL,
  address text NOT NULL,
  at timestamptz NOT NULL
);
CREATE INDEX sign_in_failures_recent ON sign_in_failures (name, at);

-- Every look at a person's data and every act, in order. Hash-chained by the writer.
CREATE TABLE audit_entries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  role text NOT NULL,
  action text NOT NULL,
  purpose text NOT NULL,
  object_kind text NOT NULL,
  object_id text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  previous_hash bytea NOT NULL,
  hash bytea NOT NULL
);
CREATE INDEX audit_entries_object ON audit_entries (object_kind, object_id, at);
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON audit_entries
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
