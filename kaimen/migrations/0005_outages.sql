-- Outages told once their cause is known, moved when a wider cause shows; checks held back; devices put in and lost.

-- An outage is noted at once and told to alerts (its row in happenings) when its cause is settled; until it is told,
-- cause and cause_id are a presumption and may still change. Afterwards they stand, and changes are rows here.
COMMENT ON COLUMN outages.cause IS 'presumed until told (happenings, outage_began); later changes are outage_moves';
CREATE TABLE outage_moves (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  outage_id bigint NOT NULL REFERENCES outages,
  cause text NOT NULL CHECK (cause IN ('own', 'broker', 'site', 'gateway', 'device')),
  cause_id text NOT NULL,
  from_cause text NOT NULL,
  from_cause_id text NOT NULL,
  moved_at timestamptz NOT NULL
);
CREATE INDEX outage_moves_outage ON outage_moves (outage_id, id);

-- Outages with the cause they stand under now; ended_at NULL: not over.
CREATE VIEW outages_now AS
SELECT o.id, o.device_id, coalesce(m.cause, o.cause) AS cause, coalesce(m.cause_id, o.cause_id) AS cause_id,
       o.began_at, o.heard_at, e.ended_at
FROM outages o
LEFT JOIN LATERAL (SELECT * FROM outage_moves m WHERE m.outage_id = o.id ORDER BY m.id DESC LIMIT 1) m ON true
LEFT JOIN outage_ends e ON e.outage_id = o.id;

-- Happenings nobody has handled, with the outage they tell of and the cause they tell it under.
CREATE VIEW open_happenings AS
SELECT h.id, h.kind, h.fact_id, h.household_id, h.retry_at, o.id AS outage_id, o.device_id,
       CASE h.kind WHEN 'outage_began' THEN p.cause WHEN 'outage_moved' THEN m.cause ELSE o.cause END AS cause,
       CASE h.kind WHEN 'outage_began' THEN p.cause_id WHEN 'outage_moved' THEN m.cause_id ELSE o.cause_id END AS cause_id
FROM happenings h
LEFT JOIN outage_moves m ON h.kind = 'outage_moved' AND m.id = h.fact_id
LEFT JOIN outages p
  ON p.id = CASE h.kind WHEN 'outage_moved' THEN m.outage_id WHEN 'outage_began' THEN h.fact_id
                        WHEN 'outage_ended' THEN h.fact_id END
LEFT JOIN outages_now o ON o.id = p.id
WHERE h.handled_at IS NULL;

-- Checks that fell due before the devices had time to speak after an outage of our own: the date stands, the row in
-- checks_due and the work for people wait until held_until, once, however often the service restarts meanwhile.
CREATE TABLE checks_held (
  household_id text NOT NULL REFERENCES households,
  step smallint NOT NULL,
  at timestamptz NOT NULL,
  noticed_at timestamptz NOT NULL,
  evidence_at timestamptz NOT NULL,
  evidence jsonb NOT NULL,
  inactive_ms bigint NOT NULL,
  cause text NOT NULL CHECK (cause IN ('own', 'broker')),
  held_until timestamptz NOT NULL,
  ended_at timestamptz,
  ended_as text CHECK (ended_as IN ('due', 'evidence', 'seen')), -- handed to people; she opened; it was watched
  PRIMARY KEY (household_id, step, evidence_at),
  CHECK ((ended_at IS NULL) = (ended_as IS NULL))
);
CREATE INDEX checks_held_now ON checks_held (held_until) WHERE ended_at IS NULL;

-- A device counts as put into service when it was heard for the first time.
CREATE TABLE device_commissionings (
  device_id text PRIMARY KEY REFERENCES devices,
  heard_at timestamptz NOT NULL
);
INSERT INTO device_commissionings (device_id, heard_at)
SELECT d.id, to_timestamp(h.ms / 1000.0) FROM devices d
CROSS JOIN LATERAL (
  SELECT least(
    (SELECT min(c.first_received_ms) FROM coverage_points c WHERE c.device_no = d.no),
    (SELECT min(b.newest_received_ms) FROM boots b WHERE b.device_no = d.no)
  ) AS ms
) h
WHERE h.ms IS NOT NULL;
-- How long after its registration a device may stay unheard before somebody is asked to look.
ALTER TABLE communities ADD COLUMN commissioning_s int NOT NULL DEFAULT 172800 CHECK (commissioning_s >= 0);

-- Events of one start of a device that it can no longer deliver and that never arrived.
CREATE TABLE boot_losses (
  device_no int NOT NULL,
  boot bigint NOT NULL,
  first_seq bigint NOT NULL,
  lost bigint NOT NULL,
  counted_at timestamptz NOT NULL,
  PRIMARY KEY (device_no, boot)
);
-- What is counted of a device and has no row of its own.
CREATE TABLE device_tallies (
  device_id text PRIMARY KEY REFERENCES devices,
  implausible_heartbeats bigint NOT NULL DEFAULT 0
);

-- A person may answer a message that can never be stored; its exact copies stay answered.
ALTER TABLE quarantine ADD COLUMN answered_at timestamptz, ADD COLUMN answered_by text;
CREATE INDEX quarantine_unanswered ON quarantine ((split_part(topic, '/', 5)))
  WHERE replayed_at IS NULL AND answered_at IS NULL;

-- Check tasks are paced by who comes first: whoever waits to be asked after.
CREATE INDEX checks_due_step ON checks_due (step, household_id) WHERE step >= 2;
