-- The one number of a community that somebody on duty answers: the office's own, which whoever goes to a door, a family
-- and the elder may ring. When it is answered stands beside it in the office's words, for nobody is promised more.
CREATE TABLE duty_lines (
  community_id text PRIMARY KEY REFERENCES communities,
  phone text NOT NULL CHECK (length(phone) BETWEEN 3 AND 30),
  hours text NOT NULL CHECK (length(hours) BETWEEN 1 AND 40),
  changed_at timestamptz NOT NULL,
  changed_by text NOT NULL
);
