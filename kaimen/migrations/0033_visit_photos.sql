-- Photos of a visit: taken only while the home agrees to it, gone at once when it does so no more.

ALTER TABLE consents DROP CONSTRAINT consents_purpose_check;
ALTER TABLE consents ADD CONSTRAINT consents_purpose_check
  CHECK (purpose IN ('watch', 'notify_family', 'share_with_police', 'exact_times', 'early_watch', 'visit_photo'));

-- A JPEG without place, device and time of its own; they stand here. They go with their case.
CREATE TABLE visit_photos (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE,
  case_id bigint NOT NULL REFERENCES cases ON DELETE CASCADE,
  household_id text NOT NULL REFERENCES households,
  user_id bigint NOT NULL REFERENCES users,
  at timestamptz NOT NULL,
  picture bytea NOT NULL CHECK (octet_length(picture) <= 6291456),
  width int NOT NULL,
  height int NOT NULL
);
CREATE INDEX visit_photos_task ON visit_photos (task_id);
CREATE INDEX visit_photos_household ON visit_photos (household_id);
CREATE INDEX visit_photos_case ON visit_photos (case_id);

-- Consent withdrawn, by whichever way: what was taken with it goes, unless the law keeps it; nobody sees it even then.
CREATE FUNCTION forget_visit_photos() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM visit_photos f WHERE f.household_id = NEW.household_id
    AND NOT EXISTS (SELECT 1 FROM standing_holds(NEW.withdrawn_at) h
                    WHERE h.household_id = NEW.household_id
                       OR h.person_id IN (SELECT p.id FROM persons p WHERE p.household_id = NEW.household_id));
  RETURN NULL;
END $$;
CREATE TRIGGER photo_consent_withdrawn AFTER UPDATE OF withdrawn_at ON consents
  FOR EACH ROW WHEN (NEW.purpose = 'visit_photo' AND NEW.withdrawn_at IS NOT NULL AND OLD.withdrawn_at IS NULL)
  EXECUTE FUNCTION forget_visit_photos();
