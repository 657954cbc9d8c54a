-- Early watch: an any-sensor watch beside the ladder, by consent of its own, and off without it.

ALTER TABLE consents DROP CONSTRAINT consents_purpose_check;
ALTER TABLE consents ADD CONSTRAINT consents_purpose_check
  CHECK (purpose IN ('watch', 'notify_family', 'share_with_police', 'exact_times', 'early_watch'));

ALTER TABLE signals DROP CONSTRAINT signals_kind_check;
ALTER TABLE signals ADD CONSTRAINT signals_kind_check CHECK (kind IN (
  'sos', 'duress', 'door_forced', 'door_held', 'stranger_denials', 'expired_pass', 'cancelled_card',
  'vacant_opened', 'lease_ended_credential', 'more_credentials', 'device_fault', 'early_watch'
));

-- What early watch last found of a home that agreed to it: derived, disposable, for reading only.
-- score and threshold are in the method's own unit and comparable with each other alone.
CREATE TABLE early_states (
  household_id text PRIMARY KEY REFERENCES households,
  method text NOT NULL,
  reason text NOT NULL,
  score double precision NOT NULL,
  threshold double precision NOT NULL,
  last_heard_at timestamptz,
  learned_days int NOT NULL,
  as_of timestamptz NOT NULL
);
