-- Prompts of the telephone spoken by somebody the elder knows, and ways in for providers' receipts.

-- What one person recorded for one home, 16-bit mono at 8 kHz: first a draft to be listened to, then kept. The newest
-- kept one is heard, of those who still belong to the home: a blocked relative's voice is not, and he is told nothing.
CREATE TABLE home_voices (
  household_id text NOT NULL REFERENCES households,
  segment text NOT NULL,
  language text NOT NULL CHECK (language IN ('zh', 'en')),
  recorded_by bigint NOT NULL REFERENCES users,
  kept boolean NOT NULL,
  dialect text NOT NULL DEFAULT '',     -- as people call it: 上海话
  sound bytea NOT NULL CHECK (octet_length(sound) <= 600000),
  spoken_by text NOT NULL,              -- how the voice is known to the elder, a relation or a first name
  agreed_at timestamptz NOT NULL,       -- whoever speaks agreed to be heard
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (household_id, segment, language, recorded_by, kept)
);

-- An address a provider calls back, of which only the hash of its secret is kept; the one before it goes on for a while.
CREATE TABLE inbound_paths (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  provider text NOT NULL,
  secret_hash bytea NOT NULL UNIQUE,
  made_at timestamptz NOT NULL,         -- wall time, as the two below
  made_by text NOT NULL,
  ends_at timestamptz,                  -- replaced: until then it is still taken
  used_at timestamptz
);
CREATE INDEX inbound_paths_provider ON inbound_paths (provider);

DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'kaimen_console') THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON home_voices, inbound_paths TO kaimen_console;
  END IF;
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'kaimen_alerts') THEN
    GRANT SELECT ON home_voices TO kaimen_alerts;
  END IF;
END $$;
