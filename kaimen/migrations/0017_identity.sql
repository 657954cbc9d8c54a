-- Who signs in: second factors, known devices, scopes of programs, positions, and acts that need two people.
-- Every time here is wall time: sign-ins live by the second, not by the community's clock.

-- factor_due_at: from then on nobody of a role that needs a second factor works without one; set at the first sign-in.
ALTER TABLE users ADD COLUMN factor_due_at timestamptz;
-- The password was made by somebody else: it is changed before anything is seen.
ALTER TABLE users ADD COLUMN password_due boolean NOT NULL DEFAULT false;
ALTER TABLE users ADD COLUMN signed_in_at timestamptz;
-- How often the name failed, from wherever, between the last two sign-ins: said to the person.
ALTER TABLE users ADD COLUMN failures_before int NOT NULL DEFAULT 0;

-- An authenticator's secret, sealed with the installation's key; step_used: a code counts once. NULL: not confirmed yet.
CREATE TABLE second_factors (
  user_id bigint PRIMARY KEY REFERENCES users,
  secret_sealed bytea NOT NULL,
  made_at timestamptz NOT NULL,
  confirmed_at timestamptz,
  step_used bigint NOT NULL DEFAULT 0
);
-- Codes for the day the telephone is lost; 80 random bits each, so that a keyed hash is enough.
CREATE TABLE recovery_codes (
  user_id bigint NOT NULL REFERENCES users,
  code_hash bytea NOT NULL,
  made_at timestamptz NOT NULL,
  used_at timestamptz,
  PRIMARY KEY (user_id, code_hash)
);
-- The password was right, the second factor is awaited. Lives minutes.
CREATE TABLE sign_in_steps (
  token_hash bytea PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  made_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
-- A browser somebody has signed in with: it waits for its own failures alone, never for a stranger's.
CREATE TABLE known_devices (
  token_hash bytea PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  made_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL
);
CREATE INDEX known_devices_user ON known_devices (user_id, seen_at);
ALTER TABLE sign_in_failures ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE INDEX sign_in_failures_address ON sign_in_failures (address, at);

-- What a program may do with a token. Tokens of before have every scope.
ALTER TABLE api_tokens ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE api_tokens ADD COLUMN scopes text[] NOT NULL DEFAULT '{read:cases,write:acts,read:households,write:evidence,read:figures,read:operations}';
ALTER TABLE api_tokens ADD COLUMN seen_at timestamptz;
ALTER TABLE api_tokens ADD COLUMN revoked_at timestamptz;

-- What else somebody is, and where; the first position stands in users. One is active at a time, in her session.
CREATE TABLE user_positions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  role text NOT NULL,
  community_id text REFERENCES communities,
  given_by text NOT NULL,  -- user:ID or command-line
  given_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX user_positions_once ON user_positions (user_id, role, coalesce(community_id, ''));
ALTER TABLE sessions ADD COLUMN position_id bigint REFERENCES user_positions ON DELETE SET NULL;

-- Acts on a person's sign-in that a second administrator agrees to.
CREATE TABLE people_requests (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('give_position', 'change_role', 'add_person', 'reset_factor', 'reset_password', 'tie_identity')),
  user_id bigint NOT NULL REFERENCES users,
  role text,
  community_id text REFERENCES communities,
  issuer text,
  subject text,
  asked_by bigint NOT NULL REFERENCES users,
  asked_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'agreed', 'refused')),
  decided_by bigint REFERENCES users CHECK (decided_by <> asked_by AND decided_by <> user_id),
  decided_at timestamptz
);
CREATE INDEX people_requests_open ON people_requests (asked_at) WHERE state = 'asked';

-- Whom an identity provider's person is here; made by an administrator, never by the provider.
CREATE TABLE outer_identities (
  issuer text NOT NULL,
  subject text NOT NULL,
  user_id bigint NOT NULL REFERENCES users,
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  PRIMARY KEY (issuer, subject)
);
CREATE INDEX outer_identities_user ON outer_identities (user_id);
-- Who came in by a provider that is trusted with the second factor is asked for none here.
ALTER TABLE sessions ADD COLUMN factor_outside boolean NOT NULL DEFAULT false;
