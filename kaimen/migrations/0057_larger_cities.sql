-- The watchdog asks every few seconds which homes are raised and nobody answers for: of a million homes some hundreds, for
-- which all were looked through.
CREATE INDEX household_states_raised ON household_states (household_id) WHERE stage > 0 OR check_step > 0;

-- A worker of a divided city knows the credentials of its own homes; of everybody's those alone that show at no door that
-- somebody lives there.
CREATE INDEX credentials_of_others ON credentials (token) WHERE household_id IS NULL OR class IN ('staff', 'guard', 'visitor');
