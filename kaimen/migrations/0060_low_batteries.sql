-- A battery that will soon be empty: a fact of its device, and a case with a ladder of its own.

ALTER TABLE signals DROP CONSTRAINT signals_kind_check;
ALTER TABLE signals ADD CONSTRAINT signals_kind_check CHECK (kind IN (
  'sos', 'duress', 'door_forced', 'door_held', 'stranger_denials', 'expired_pass', 'cancelled_card',
  'vacant_opened', 'lease_ended_credential', 'more_credentials', 'device_fault', 'battery_low', 'early_watch'
));
CREATE INDEX signals_batteries ON signals (device_id) WHERE kind = 'battery_low';

ALTER TABLE cases DROP CONSTRAINT cases_cause_check;
ALTER TABLE cases ADD CONSTRAINT cases_cause_check CHECK (cause IN (
  'inactivity', 'technical', 'sos', 'duress', 'door_forced', 'door_held', 'stranger', 'credential', 'dwelling',
  'device_fault', 'battery', 'early_watch', 'absence', 'review'
));
