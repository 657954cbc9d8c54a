-- fencing
-- A check may come due twice from the same evidence: an opening that only a counter had proved ends it, and is proved no
-- more once the events arrive that the counter had counted (somebody's badge, say). Kept once for each evidence, the second
-- one was lost, and nobody was asked about her until the next threshold. A program of before counts on that key.
ALTER TABLE checks_due DROP CONSTRAINT checks_due_household_id_step_evidence_at_key;
ALTER TABLE checks_due ADD CONSTRAINT checks_due_noticed UNIQUE (household_id, step, evidence_at, noticed_at);
