-- Where buildings stand, and acts on what watches people that a second person agrees to.

-- A building on the site plan, in whole metres from any one corner: x to the right, y down; turned clockwise.
CREATE TABLE buildings (
  site_id text NOT NULL REFERENCES sites,
  name text NOT NULL,                    -- as in households.building
  x_m int NOT NULL,
  y_m int NOT NULL,
  width_m int NOT NULL DEFAULT 40,
  depth_m int NOT NULL DEFAULT 14,
  turn_deg int NOT NULL DEFAULT 0,
  PRIMARY KEY (site_id, name)
);

-- What one person asks and another agrees to: a device put on test, a new version of a policy. Nobody agrees to her own.
CREATE TABLE agreements (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('device_test', 'policy')),
  community_id text REFERENCES communities,  -- NULL: of the installation
  device_id text REFERENCES devices,
  policy_id text,
  asked jsonb NOT NULL DEFAULT '{}',     -- of a policy: what its new version says
  reason text NOT NULL,
  until_at timestamptz,                  -- of a test: when it ends by itself
  asked_by bigint NOT NULL REFERENCES users,
  asked_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'agreed', 'refused', 'ended')),
  decided_by bigint REFERENCES users CHECK (decided_by <> asked_by),
  decided_at timestamptz,
  CHECK ((kind = 'device_test') = (device_id IS NOT NULL AND until_at IS NOT NULL)),
  CHECK ((kind = 'policy') = (policy_id IS NOT NULL)),
  CHECK (state NOT IN ('agreed') OR decided_by IS NOT NULL)
);
CREATE INDEX agreements_open ON agreements (asked_at) WHERE state = 'asked';
CREATE INDEX agreements_device ON agreements (device_id, until_at) WHERE kind = 'device_test';
