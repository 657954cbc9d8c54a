-- Duty: who is on when and in which order, who stands in for whom, who accepted a shift, and whether people can be
-- reached at all. Instants are community time unless a comment says otherwise.

-- When a contact of a household may be asked, in local time of the community, and how long her answer is waited for.
ALTER TABLE household_contacts
  ADD COLUMN available_from time,
  ADD COLUMN available_until time,
  ADD COLUMN answer_within_s int CHECK (answer_within_s BETWEEN 60 AND 86400),
  ADD CONSTRAINT household_contacts_hours CHECK ((available_from IS NULL) = (available_until IS NULL));

-- A role of a community that is worked in shifts. Without a row the whole role is told, whoever is off.
CREATE TABLE duty_rosters (
  community_id text NOT NULL REFERENCES communities,
  role text NOT NULL CHECK (role IN ('property_clerk', 'guard', 'grid_worker', 'police_officer')),
  version int NOT NULL DEFAULT 1,
  saved_at timestamptz NOT NULL,
  saved_by text NOT NULL,
  ended_at timestamptz,                 -- the role is worked without a roster again
  PRIMARY KEY (community_id, role)
);

-- A weekly rule: on these days, from a local time until a local time (not later: of the next day), these people in
-- order. Replaced rules keep their rows.
CREATE TABLE duty_rules (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL,
  role text NOT NULL,
  position int NOT NULL,
  days text NOT NULL,                   -- every, workdays, rest_days, or week days: 'mon tue'
  from_time time NOT NULL,
  until_time time NOT NULL,
  first_day date,
  last_day date,
  user_ids bigint[] NOT NULL CHECK (cardinality(user_ids) BETWEEN 1 AND 20),
  made_at timestamptz NOT NULL,
  ended_at timestamptz,
  FOREIGN KEY (community_id, role) REFERENCES duty_rosters
);
CREATE INDEX duty_rules_now ON duty_rules (community_id, role) WHERE ended_at IS NULL;

-- A shift of one person at its own instants, from a calendar; where there are any, they stand instead of the rules.
CREATE TABLE duty_shifts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL,
  role text NOT NULL,
  user_id bigint NOT NULL REFERENCES users,
  position int NOT NULL DEFAULT 1,
  from_at timestamptz NOT NULL,
  to_at timestamptz NOT NULL,
  uid text NOT NULL DEFAULT '',         -- of the calendar's event
  made_at timestamptz NOT NULL,
  made_by text NOT NULL,
  ended_at timestamptz,
  FOREIGN KEY (community_id, role) REFERENCES duty_rosters,
  CHECK (from_at < to_at)
);
CREATE INDEX duty_shifts_now ON duty_shifts (community_id, to_at) WHERE ended_at IS NULL;

-- Other people than the rules say, for once; of several the newest counts.
CREATE TABLE duty_overrides (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL,
  role text NOT NULL,
  from_at timestamptz NOT NULL,
  to_at timestamptz NOT NULL,
  user_ids bigint[] NOT NULL CHECK (cardinality(user_ids) BETWEEN 1 AND 20),
  adds boolean NOT NULL DEFAULT false,  -- beside those on duty, after them
  reason text NOT NULL DEFAULT '',
  made_at timestamptz NOT NULL,
  made_by text NOT NULL,
  ended_at timestamptz,
  FOREIGN KEY (community_id, role) REFERENCES duty_rosters,
  CHECK (from_at < to_at)
);
CREATE INDEX duty_overrides_now ON duty_overrides (community_id, to_at) WHERE ended_at IS NULL;

-- One asks another to take a shift, perhaps for one of hers; nothing changes until the other has accepted by name.
CREATE TABLE duty_swaps (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL,
  role text NOT NULL,
  giver_id bigint NOT NULL REFERENCES users,
  taker_id bigint NOT NULL REFERENCES users,
  from_at timestamptz NOT NULL,
  to_at timestamptz NOT NULL,
  back_from_at timestamptz,             -- the shift of the taker that the giver works in return
  back_to_at timestamptz,
  note text NOT NULL DEFAULT '',
  state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'accepted', 'declined', 'withdrawn')),
  asked_at timestamptz NOT NULL,
  answered_at timestamptz,
  FOREIGN KEY (community_id, role) REFERENCES duty_rosters,
  CHECK (from_at < to_at AND giver_id <> taker_id),
  CHECK ((back_from_at IS NULL) = (back_to_at IS NULL) AND (back_from_at IS NULL OR back_from_at < back_to_at))
);
CREATE INDEX duty_swaps_now ON duty_swaps (community_id) WHERE state IN ('asked', 'accepted');

-- Who stands in for whom, in whatever roster, from and to.
CREATE TABLE duty_deputies (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL REFERENCES communities,
  user_id bigint NOT NULL REFERENCES users,
  deputy_id bigint NOT NULL REFERENCES users,
  from_at timestamptz NOT NULL,
  to_at timestamptz NOT NULL,
  reason text NOT NULL DEFAULT '',
  made_at timestamptz NOT NULL,
  made_by text NOT NULL,
  ended_at timestamptz,
  CHECK (from_at < to_at AND user_id <> deputy_id)
);
CREATE INDEX duty_deputies_now ON duty_deputies (community_id, to_at) WHERE ended_at IS NULL;

-- A year of public holidays that the program does not bring with it, or brings otherwise.
CREATE TABLE holiday_years (
  year int PRIMARY KEY,
  source text NOT NULL,
  holidays jsonb NOT NULL,              -- {"2027-01-01": "元旦"}
  workdays jsonb NOT NULL,              -- ["2027-01-03"]
  entered_at timestamptz NOT NULL,
  entered_by text NOT NULL
);

-- The address of one person's calendar; whoever has it reads her shifts and nothing else. Wall time.
CREATE TABLE duty_feeds (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  token_hash bytea NOT NULL UNIQUE,
  made_at timestamptz NOT NULL,
  read_at timestamptz,
  revoked_at timestamptz
);
CREATE UNIQUE INDEX duty_feeds_one ON duty_feeds (user_id) WHERE revoked_at IS NULL;

-- A case offered to the next shift; it is hers when she has accepted it by name.
CREATE TABLE duty_handovers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  case_id bigint NOT NULL REFERENCES cases,
  from_user_id bigint NOT NULL REFERENCES users,
  to_user_id bigint NOT NULL REFERENCES users,
  note text NOT NULL DEFAULT '',
  offered_at timestamptz NOT NULL,
  accepted_at timestamptz,
  ended_at timestamptz,                 -- accepted, taken back, or overtaken by what became of the case
  CHECK (from_user_id <> to_user_id)
);
CREATE UNIQUE INDEX duty_handovers_one ON duty_handovers (case_id) WHERE ended_at IS NULL;

-- Whether somebody on duty was really reached, once a month.
CREATE TABLE live_tests (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL REFERENCES communities,
  user_id bigint NOT NULL REFERENCES users,
  month date NOT NULL,
  due_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'calling', 'reached', 'not_reached')),
  outbox_id bigint REFERENCES outbox,
  started_at timestamptz,
  done_at timestamptz,
  done_by text NOT NULL DEFAULT '',
  note text NOT NULL DEFAULT '',
  UNIQUE (user_id, month)
);
CREATE INDEX live_tests_open ON live_tests (community_id) WHERE state IN ('due', 'calling');

-- What was read of a community's duty once is read again only when the number is another. It comes from a sequence:
-- a number that was seen in a transaction that failed is never given to other rows.
CREATE SEQUENCE duty_version;
CREATE TABLE duty_versions (
  community_id text PRIMARY KEY REFERENCES communities,
  version bigint NOT NULL
);
CREATE FUNCTION note_duty_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO duty_versions (community_id, version)
  SELECT c.id, nextval('duty_version') FROM communities c
  WHERE TG_TABLE_NAME = 'holiday_years'
     OR c.id IN (to_jsonb(OLD)->>'community_id', to_jsonb(NEW)->>'community_id')
  ON CONFLICT (community_id) DO UPDATE SET version = excluded.version;
  RETURN NULL;
END $$;
CREATE TRIGGER duty_rosters_changed AFTER INSERT OR UPDATE OR DELETE ON duty_rosters FOR EACH ROW EXECUTE FUNCTION note_duty_change();
CREATE TRIGGER duty_rules_changed AFTER INSERT OR UPDATE OR DELETE ON duty_rules FOR EACH ROW EXECUTE FUNCTION note_duty_change();
CREATE TRIGGER duty_shifts_changed AFTER INSERT OR UPDATE OR DELETE ON duty_shifts FOR EACH ROW EXECUTE FUNCTION note_duty_change();
CREATE TRIGGER duty_overrides_changed AFTER INSERT OR UPDATE OR DELETE ON duty_overrides FOR EACH ROW EXECUTE FUNCTION note_duty_change();
CREATE TRIGGER duty_swaps_changed AFTER INSERT OR UPDATE OR DELETE ON duty_swaps FOR EACH ROW EXECUTE FUNCTION note_duty_change();
CREATE TRIGGER duty_deputies_changed AFTER INSERT OR UPDATE OR DELETE ON duty_deputies FOR EACH ROW EXECUTE FUNCTION note_duty_change();
CREATE TRIGGER holiday_years_changed AFTER INSERT OR UPDATE OR DELETE ON holiday_years FOR EACH ROW EXECUTE FUNCTION note_duty_change();
CREATE TRIGGER duty_people_changed AFTER INSERT OR DELETE OR UPDATE OF disabled_at, role, community_id, display_name ON users
  FOR EACH ROW EXECUTE FUNCTION note_duty_change();
