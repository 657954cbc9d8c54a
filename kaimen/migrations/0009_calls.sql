-- Telephone calls: who may be rung by a machine, on which number, and what came of each call.

-- How a person can be spoken to by telephone. No row: an ordinary telephone, and no call by a machine.
CREATE TABLE call_profiles (
  person_id text PRIMARY KEY REFERENCES persons,
  has_phone boolean NOT NULL DEFAULT true,
  automatic_from timestamptz,          -- the elder agreed that a machine rings her on the second day
  automatic_agreed_by text,            -- in whose presence, or by which paper
  shown_number text NOT NULL DEFAULT '', -- from which number she was told we ring
  CHECK (automatic_from IS NULL OR automatic_agreed_by IS NOT NULL)
);

-- On which number a member of staff is rung, in this order within a community's desk.
CREATE TABLE staff_phones (
  user_id bigint PRIMARY KEY REFERENCES users,
  phone text NOT NULL,
  position int NOT NULL DEFAULT 1,
  rings boolean NOT NULL DEFAULT true
);

-- A person's number was changed: until a second person has confirmed it, the old number has been told and three days
-- have passed, nothing pressed on the new one counts as her word. Written by a trigger, whoever changes the number.
CREATE TABLE phone_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  person_id text NOT NULL REFERENCES persons,
  old_phone text,                      -- erased when the change is settled
  new_phone text,
  told_at timestamptz,                 -- when the old number was told
  told_how text,
  told_by bigint REFERENCES users,
  confirmed_at timestamptz,
  confirmed_by bigint REFERENCES users,
  trusted_from timestamptz,
  settled boolean NOT NULL DEFAULT false, -- a newer change stands in its place, or it is refused
  CHECK (trusted_from IS NULL OR (told_at IS NOT NULL AND confirmed_at IS NOT NULL AND told_by <> confirmed_by))
);
CREATE UNIQUE INDEX phone_changes_standing ON phone_changes (person_id) WHERE NOT settled;

CREATE FUNCTION note_phone_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  first_old text := OLD.phone;
  standing phone_changes%ROWTYPE;
BEGIN
  SELECT * INTO standing FROM phone_changes WHERE person_id = NEW.person_id AND NOT settled FOR UPDATE;
  IF FOUND AND standing.trusted_from IS NULL THEN
    -- The number nobody has confirmed yet is changed again: it is the one before it that has to be told.
    first_old := standing.old_phone;
  END IF;
  UPDATE phone_changes SET settled = true, old_phone = NULL WHERE id = standing.id;
  INSERT INTO phone_changes (person_id, old_phone, new_phone) VALUES (NEW.person_id, first_old, NEW.phone);
  RETURN NULL;
END $$;
CREATE TRIGGER phone_changed AFTER UPDATE OF phone ON person_identities
  FOR EACH ROW WHEN (OLD.phone IS DISTINCT FROM NEW.phone) EXECUTE FUNCTION note_phone_change();

-- One message of the outbox as a telephone call: rung again until a key is pressed or its attempts are used up.
CREATE TABLE calls (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  outbox_id bigint NOT NULL UNIQUE REFERENCES outbox,
  key text NOT NULL UNIQUE,            -- the message's key; attempts at a provider carry key and number
  audience text NOT NULL CHECK (audience IN ('elder', 'family', 'staff')),
  code text NOT NULL,                  -- who calls back must know it
  state text NOT NULL CHECK (state IN ('planned', 'leased', 'answered', 'unreached', 'superseded')),
  attempts int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,     -- wall time, as the next one and the leases
  due_at timestamptz NOT NULL,
  lease_owner text,
  lease_expires_at timestamptz,
  fence bigint NOT NULL DEFAULT 0,
  meaning text,
  answered_at timestamptz,             -- community time
  effect text
);
CREATE INDEX calls_due ON calls (due_at) WHERE state IN ('planned', 'leased');
CREATE UNIQUE INDEX calls_code ON calls (code) WHERE state IN ('planned', 'leased', 'unreached');

CREATE TABLE call_attempts (
  call_id bigint NOT NULL REFERENCES calls,
  attempt int NOT NULL,
  direction text NOT NULL DEFAULT 'out' CHECK (direction IN ('out', 'in')),
  gateway text NOT NULL,
  placed_at timestamptz NOT NULL,      -- wall time, as all of these
  answered_at timestamptz,
  digit text,
  digit_at timestamptz,
  committed_at timestamptz,
  ended_at timestamptz,
  result text NOT NULL DEFAULT 'placed',
  detail text NOT NULL DEFAULT '',
  provider_id text,
  PRIMARY KEY (call_id, attempt)
);
CREATE INDEX call_attempts_placed ON call_attempts (placed_at);

-- What a provider reported of an attempt, whenever it came.
CREATE TABLE call_reports (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL,                   -- key of the attempt
  kind text NOT NULL CHECK (kind IN ('ringing', 'answered', 'digit', 'ended')),
  value text NOT NULL DEFAULT '',
  received_at timestamptz NOT NULL,
  UNIQUE (key, kind, value)
);

-- Who calls in with codes that are none; bounded by looking only at the last hour.
CREATE TABLE call_back_failures (
  at timestamptz NOT NULL
);
CREATE INDEX call_back_failures_at ON call_back_failures (at);

-- Prompts spoken by somebody the elders know, 16-bit mono at 8 kHz; the newest of a segment is heard.
CREATE TABLE voice_recordings (
  community_id text NOT NULL REFERENCES communities,
  segment text NOT NULL,
  language text NOT NULL CHECK (language IN ('zh', 'en')),
  sound bytea NOT NULL CHECK (octet_length(sound) <= 600000),
  spoken_by text NOT NULL,             -- how the voice is known to the elders, a role or a first name
  recorded_by bigint NOT NULL REFERENCES users,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (community_id, segment, language)
);
