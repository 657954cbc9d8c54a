-- A photo of a visit may be an act that a phone kept while it had no signal.

ALTER TABLE field_acts DROP CONSTRAINT field_acts_kind_check;
ALTER TABLE field_acts ADD CONSTRAINT field_acts_kind_check CHECK (kind IN ('begin', 'outcome', 'form', 'step', 'photo'));
