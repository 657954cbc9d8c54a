-- Who agreed once, and took it back, is asked home by home: without an index every consent there is was read for each home,
-- and a committee's page and a director's portfolio were given up where 200,000 homes are.
CREATE INDEX consents_household ON consents (household_id, purpose);
