-- Moving a home to another policy, or to a care category that brings other hours, is asked by one and agreed to by another.
-- asked: {"what": "policy" or "category", "person": …, "from": …, "to": …}; asked by nobody: an import did.

ALTER TABLE agreements DROP CONSTRAINT agreements_kind_check;
ALTER TABLE agreements ADD CONSTRAINT agreements_kind_check CHECK (kind IN ('device_test', 'policy', 'household'));
ALTER TABLE agreements ADD COLUMN household_id text REFERENCES households;
ALTER TABLE agreements ALTER COLUMN asked_by DROP NOT NULL;
ALTER TABLE agreements ADD CONSTRAINT agreements_of_home CHECK ((kind = 'household') = (household_id IS NOT NULL));
ALTER TABLE agreements ADD CONSTRAINT agreements_asked_by_import CHECK (asked_by IS NOT NULL OR kind = 'household');
CREATE INDEX agreements_home ON agreements (household_id) WHERE kind = 'household';
