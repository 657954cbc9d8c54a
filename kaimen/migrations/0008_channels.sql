-- How people are reached: their addresses on channels, the chain of a message, receipts, budgets and channels' states.

-- One address of one person (a contact, somebody who signs in, or a community's own group) on one channel.
CREATE TABLE contact_channels (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  person_id text REFERENCES persons,
  user_id bigint REFERENCES users,
  community_id text REFERENCES communities,
  recipient text GENERATED ALWAYS AS (
    CASE WHEN person_id IS NOT NULL THEN 'person:' || person_id
         WHEN user_id IS NOT NULL THEN 'user:' || user_id::text
         ELSE 'community:' || community_id END) STORED,
  channel text NOT NULL CHECK (channel ~ '^[a-z0-9_]{1,40}$'),
  address bytea NOT NULL,               -- first byte 0: plain, 1: encrypted with the installation's key
  address_hash bytea NOT NULL,          -- keyed: finds an address without reading the others
  position int NOT NULL DEFAULT 1 CHECK (position >= 1),
  language text NOT NULL DEFAULT '' CHECK (language IN ('', 'zh-CN', 'en')),
  zone text NOT NULL DEFAULT 'Asia/Shanghai',
  quiet_from time,                      -- local time of the zone; both or neither
  quiet_until time,
  digest boolean NOT NULL DEFAULT false,
  added_at timestamptz NOT NULL,
  added_by text NOT NULL,               -- user:…, import, self
  confirmed_at timestamptz,             -- when she proved that it is hers
  ended_at timestamptz,
  ended_by text,
  CHECK (num_nonnulls(person_id, user_id, community_id) = 1),
  CHECK ((quiet_from IS NULL) = (quiet_until IS NULL))
);
CREATE UNIQUE INDEX contact_channels_one ON contact_channels (recipient, channel, address_hash) WHERE ended_at IS NULL;
CREATE INDEX contact_channels_recipient ON contact_channels (recipient, position) WHERE ended_at IS NULL;
CREATE INDEX contact_channels_address ON contact_channels (channel, address_hash) WHERE ended_at IS NULL;

-- A code with which somebody binds an address: shown as a QR code, sent to the address, or both.
CREATE TABLE binding_codes (
  code_hash bytea PRIMARY KEY,
  person_id text REFERENCES persons,
  user_id bigint REFERENCES users,
  kind text NOT NULL CHECK (kind IN ('page', 'scene', 'proof')),
  channel_id bigint REFERENCES contact_channels,
  made_at timestamptz NOT NULL,         -- wall time, as the end
  expires_at timestamptz NOT NULL,
  made_by text NOT NULL,
  tries int NOT NULL DEFAULT 0,
  used_at timestamptz,
  CHECK (num_nonnulls(person_id, user_id) = 1)
);
CREATE INDEX binding_codes_channel ON binding_codes (channel_id) WHERE used_at IS NULL;

-- Digests and tests belong to no case either.
ALTER TABLE outbox
  ADD COLUMN lane smallint NOT NULL DEFAULT 0 CHECK (lane BETWEEN 0 AND 2),  -- life, routine, digest
  ADD COLUMN pressing smallint NOT NULL DEFAULT 1, -- 0: before the others of its lane (a visit before a call)
  ADD COLUMN address_id bigint REFERENCES contact_channels,
  ADD COLUMN follows_id bigint REFERENCES outbox,  -- the message whose failure or silence this one answers
  ADD COLUMN token text UNIQUE,                    -- of the page on which the recipient says that she has seen it
  ADD COLUMN language text NOT NULL DEFAULT '',
  ADD COLUMN provider_id text;
-- What was planned before there were lanes goes first; who inserts without saying one does not.
ALTER TABLE outbox ALTER COLUMN lane SET DEFAULT 1;
CREATE INDEX outbox_next ON outbox (follows_id) WHERE follows_id IS NOT NULL;
CREATE INDEX outbox_lane ON outbox (lane, pressing, not_before, id) WHERE state IN ('planned', 'leased', 'uncertain');
CREATE INDEX outbox_leased ON outbox (lease_expires_at) WHERE state = 'leased';
CREATE INDEX outbox_provider ON outbox (channel, provider_id) WHERE provider_id IS NOT NULL;

-- What providers told afterwards; insert only.
CREATE TABLE receipts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  outbox_id bigint NOT NULL REFERENCES outbox,
  at timestamptz NOT NULL,
  state text NOT NULL CHECK (state IN ('delivered', 'answered', 'confirmed', 'failed')),
  detail text NOT NULL DEFAULT '',
  UNIQUE (outbox_id, state)
);

-- Attempts on channels with bounds, for counting; forgotten after a day. Wall time.
CREATE TABLE sendings (
  channel text NOT NULL,
  address text NOT NULL,                -- the id of a contact's address, or '' for the channel's own
  at timestamptz NOT NULL
);
CREATE INDEX sendings_channel ON sendings (channel, at);
CREATE INDEX sendings_address ON sendings (channel, address, at);

-- How each channel has fared, for people who look after it. Wall time.
CREATE TABLE channel_states (
  channel text PRIMARY KEY,
  last_ok_at timestamptz,
  last_refusal_at timestamptz,
  last_refusal text NOT NULL DEFAULT '',
  failures_in_row int NOT NULL DEFAULT 0,
  paused_until timestamptz,             -- the provider takes nothing before
  opened_at timestamptz,                -- since when the alerts service has it in its settings; NULL: it has not
  personal boolean NOT NULL DEFAULT false  -- whether it needs an address of a person
);
