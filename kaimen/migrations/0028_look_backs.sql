-- Looking back from the console: what is asked, and the numbers that came of it. No household, no person, no door.
CREATE TABLE look_backs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  community_id text NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
  -- The last so many local days, up to where ingest had worked.
  days int NOT NULL CHECK (days BETWEEN 1 AND 400),
  -- Policies to try beside the one in force: [{"name": …, "thresholds_ms": […]}].
  policies jsonb NOT NULL,
  purpose text NOT NULL,
  asked_by bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  asked_at timestamptz NOT NULL,
  -- Begun so often: a reader that dies is followed by another, but not for ever.
  attempts smallint NOT NULL DEFAULT 0,
  households_done int NOT NULL DEFAULT 0,
  households_all int NOT NULL DEFAULT 0,
  report jsonb,
  -- Why there is no report.
  refusal text,
  CHECK (report IS NULL OR refusal IS NULL)
);
CREATE INDEX look_backs_waiting ON look_backs (id) WHERE report IS NULL AND refusal IS NULL;
CREATE INDEX look_backs_community ON look_backs (community_id, id);
