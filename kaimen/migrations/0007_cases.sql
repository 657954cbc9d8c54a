-- Cases of every cause through one engine, the grounds a case carries, and evidence beside outcomes.

ALTER TABLE cases DROP CONSTRAINT cases_cause_check;
ALTER TABLE cases ADD CONSTRAINT cases_cause_check CHECK (cause IN (
  'inactivity', 'technical', 'sos', 'duress', 'door_forced', 'door_held', 'stranger', 'credential', 'dwelling',
  'device_fault', 'early_watch', 'absence', 'review'
));
-- 3 a person is needed at once, 2 soon, 1 with the list, 0 nobody by this case itself.
ALTER TABLE cases ADD COLUMN priority smallint NOT NULL DEFAULT 0;
UPDATE cases SET priority = least(greatest(stage, check_step), 3);
-- How much life was seen inside when the stage was reached, and with it what else was known then.
ALTER TABLE cases ADD COLUMN grade text NOT NULL DEFAULT 'ungraded' CHECK (grade IN ('high', 'middle', 'low', 'ungraded'));
ALTER TABLE cases ADD COLUMN grounds jsonb NOT NULL DEFAULT '{}';
-- How often what opened the case was signalled, the first time included.
ALTER TABLE cases ADD COLUMN signal_count int NOT NULL DEFAULT 0;
-- Of an inactivity or technical case cause_key is what it was; of any other it is the subject: household:…, device:…,
-- absence:…, case:…
CREATE UNIQUE INDEX cases_one_open_subject ON cases (cause, cause_key)
  WHERE cause NOT IN ('inactivity', 'technical') AND state <> 'closed';
DROP INDEX cases_open;
CREATE INDEX cases_open ON cases (community_id, priority DESC, stage_at) WHERE state <> 'closed';

-- The signals a case folds; ended ones no longer ask for anything.
CREATE TABLE case_signals (
  signal_id bigint PRIMARY KEY,
  case_id bigint NOT NULL REFERENCES cases,
  ended_at timestamptz
);
CREATE INDEX case_signals_standing ON case_signals (case_id) WHERE ended_at IS NULL;

ALTER TABLE tasks DROP CONSTRAINT tasks_kind_check;
ALTER TABLE tasks ADD CONSTRAINT tasks_kind_check CHECK (kind IN (
  'call', 'visit', 'device_check', 'confirm_closing', 'respond', 'look_into', 'confirm_back', 'review'
));

-- A word of her that came another way: a meal handed to her, an order she gave, a button she pressed.
ALTER TABLE verified_contacts DROP CONSTRAINT verified_contacts_how_check;
ALTER TABLE verified_contacts ADD CONSTRAINT verified_contacts_how_check
  CHECK (how IN ('spoke', 'saw', 'remote', 'meal', 'order', 'button'));
-- Nobody heard her and nobody saw her: counted, and not often in succession.
ALTER TABLE verified_contacts ADD COLUMN is_remote boolean NOT NULL
  GENERATED ALWAYS AS (how IN ('remote', 'order', 'button')) STORED;
ALTER TABLE verified_contacts ADD COLUMN recorded_by text NOT NULL DEFAULT '';
-- A word that a second person did not find to be one: it stays, and is evidence no more.
ALTER TABLE verified_contacts ADD COLUMN doubted_at timestamptz;
ALTER TABLE verified_contacts ADD COLUMN doubted_by text;
DROP INDEX verified_contacts_remote;
CREATE INDEX verified_contacts_remote ON verified_contacts (real_evidence_at) WHERE is_remote;

-- How often an absence was prolonged by a person, and the one it takes the place of.
ALTER TABLE absences ADD COLUMN renewed_at timestamptz;
ALTER TABLE absences ADD COLUMN renewed_by text;
ALTER TABLE absences ADD COLUMN restores bigint REFERENCES absences;

-- Which ladder a kind of care asks for: the importer and the desk choose by it, the household keeps its own policy.
CREATE TABLE care_categories (
  category text PRIMARY KEY,
  policy_id text NOT NULL
);
-- A changed policy reaches whoever judges without a restart.
CREATE TRIGGER policies_changed AFTER INSERT OR UPDATE OR DELETE ON policies
  FOR EACH ROW EXECUTE FUNCTION note_registry_change();
