-- Residents who sign in, people of several communities, terminals in entrance halls, and notes to the desk.

-- Other communities than her own that somebody works for; one is active at a time, chosen in her session.
CREATE TABLE user_communities (
  user_id bigint NOT NULL REFERENCES users,
  community_id text NOT NULL REFERENCES communities,
  PRIMARY KEY (user_id, community_id)
);
ALTER TABLE sessions ADD COLUMN community_id text REFERENCES communities;

-- A relative the elder wants to see nothing: treated as if she had agreed to nothing, and not told.
ALTER TABLE user_households ADD COLUMN blocked_at timestamptz;

-- A card that was reported lost counts for nobody from then on; found again, it is valid as it was before.
ALTER TABLE credentials ADD COLUMN lost_at timestamptz;
ALTER TABLE credentials ADD COLUMN valid_to_before timestamptz;
-- Who gave a visitor's pass out, and when; NULL: it came with the books.
ALTER TABLE credentials ADD COLUMN issued_by bigint REFERENCES users;
ALTER TABLE credentials ADD COLUMN issued_at timestamptz;

-- Terminals in entrance halls; the address of one is known to it alone. made_at, seen_at, revoked_at: wall time.
CREATE TABLE kiosks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL REFERENCES communities,
  place text NOT NULL,
  token_hash bytea NOT NULL UNIQUE,
  made_at timestamptz NOT NULL,
  made_by bigint NOT NULL REFERENCES users,
  seen_at timestamptz,
  revoked_at timestamptz
);
-- What was pressed at a terminal, for its limits; kept an hour. Wall time.
CREATE TABLE kiosk_presses (
  kiosk_id bigint NOT NULL REFERENCES kiosks,
  at timestamptz NOT NULL,
  right_code boolean NOT NULL
);
CREATE INDEX kiosk_presses_at ON kiosk_presses (kiosk_id, at);

-- The code by which a terminal knows somebody of a household; only what can be made again with the key is stored.
CREATE TABLE resident_codes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  household_id text NOT NULL REFERENCES households,
  code_hash bytea NOT NULL,
  made_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE UNIQUE INDEX resident_codes_standing ON resident_codes (household_id) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX resident_codes_hash ON resident_codes (code_hash) WHERE revoked_at IS NULL;

-- What somebody asks the desk for beside the cases.
CREATE TABLE desk_notes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL REFERENCES communities,
  kind text NOT NULL CHECK (kind IN ('card_lost', 'call_back')),
  household_id text REFERENCES households,
  credential text REFERENCES credentials,
  kiosk_id bigint REFERENCES kiosks,
  said text NOT NULL DEFAULT '',       -- what was pressed at a terminal: well, away
  door text NOT NULL DEFAULT '',       -- as it was typed there; nobody has checked it
  at timestamptz NOT NULL,
  done_at timestamptz,
  done_by bigint REFERENCES users,
  result text CHECK (result IN ('cancelled', 'found', 'called', 'nobody'))
);
CREATE INDEX desk_notes_open ON desk_notes (community_id, at) WHERE done_at IS NULL;
