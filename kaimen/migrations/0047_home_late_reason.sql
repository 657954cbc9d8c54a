-- On what it rested that somebody was missed: the page must not say "not home" where the door only moved.
-- NULL: told before this was kept.

ALTER TABLE home_late ADD COLUMN reason text;
