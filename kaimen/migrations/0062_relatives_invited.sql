-- The desk opens the sign-in of a relative it may already ring; she comes in with a code sent to her number. Whose account
-- belongs to which contact of a home is remembered, so that it can be ended where it was opened.
ALTER TABLE users ADD COLUMN contact_id text REFERENCES persons ON DELETE SET NULL;
CREATE UNIQUE INDEX users_contact ON users (contact_id) WHERE contact_id IS NOT NULL;

-- Whether the viewer is the desk of a home, and somebody one of its relatives whom the resident lets be told.
CREATE FUNCTION may_open_relative(p_household_id text, p_person_id text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT scope_word('role') = 'property_clerk'
    AND EXISTS (SELECT 1 FROM households h WHERE h.id = p_household_id AND h.site_id = ANY (scope_list('sites')::text[]))
    AND EXISTS (SELECT 1 FROM household_contacts c
                WHERE c.household_id = p_household_id AND c.person_id = p_person_id AND c.role = 'family')
$$;
-- Opens or opens again; the number is the stored one, and none that was changed and does not count yet. NULL: not now.
CREATE FUNCTION open_relative(
  p_household_id text, p_person_id text, p_name text, p_password_hash text, p_now timestamptz
) RETURNS TABLE (user_id bigint, phone text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  number text;
  account bigint;
BEGIN
  IF NOT coalesce(may_open_relative(p_household_id, p_person_id), false) THEN
    RAISE EXCEPTION 'only the desk of the home opens it' USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT i.phone INTO number FROM person_identities i WHERE i.person_id = p_person_id
    AND NOT EXISTS (SELECT 1 FROM phone_changes x WHERE x.person_id = p_person_id AND NOT x.settled
                    AND (x.trusted_from IS NULL OR x.trusted_from > p_now));
  IF number IS NULL OR NOT EXISTS (
    SELECT 1 FROM consents c WHERE c.household_id = p_household_id AND c.purpose = 'notify_family' AND c.withdrawn_at IS NULL
  ) THEN
    RETURN;
  END IF;
  INSERT INTO users (name, display_name, password_hash, role, community_id, language, created_at, contact_id)
  SELECT p_name, coalesce(i.name, p_name), p_password_hash, 'family', s.community_id, p.language, p_now, p.id
  FROM persons p JOIN households h ON h.id = p_household_id JOIN sites s ON s.id = h.site_id
  LEFT JOIN person_identities i ON i.person_id = p.id WHERE p.id = p_person_id
  ON CONFLICT (contact_id) WHERE contact_id IS NOT NULL DO UPDATE SET disabled_at = NULL
  RETURNING users.id INTO account;
  -- Whom the resident has shut out stays shut out.
  INSERT INTO user_households (user_id, household_id) VALUES (account, p_household_id) ON CONFLICT DO NOTHING;
  UPDATE contact_channels a SET ended_at = p_now, ended_by = 'desk', address = '\x00', address_hash = '\x'
  WHERE a.user_id = account AND a.ended_at IS NULL AND a.added_by LIKE 'user:%' AND a.confirmed_at IS NULL;
  RETURN QUERY SELECT account, number;
END $$;
-- Ends it for one home; who has no other comes in no more, and is out at once.
CREATE FUNCTION close_relative(p_household_id text, p_person_id text, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  account bigint := (SELECT u.id FROM users u WHERE u.contact_id = p_person_id);
BEGIN
  IF NOT coalesce(may_open_relative(p_household_id, p_person_id), false) THEN
    RAISE EXCEPTION 'only the desk of the home ends it' USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- A tie the resident blocked is kept: opened again, it is still blocked.
  DELETE FROM user_households t WHERE t.user_id = account AND t.household_id = p_household_id AND t.blocked_at IS NULL;
  IF account IS NULL OR EXISTS (SELECT 1 FROM user_households t WHERE t.user_id = account AND t.household_id <> p_household_id) THEN
    RETURN account IS NOT NULL;
  END IF;
  UPDATE users u SET disabled_at = p_now WHERE u.id = account AND u.disabled_at IS NULL;
  DELETE FROM sessions s WHERE s.user_id = account;
  UPDATE contact_channels a SET ended_at = p_now, ended_by = 'desk', address = '\x00', address_hash = '\x'
  WHERE a.user_id = account AND a.ended_at IS NULL;
  RETURN true;
END $$;
-- A number that is no longer hers opens nothing: once two people have said that the new one counts, or at once where hers was
-- taken out, the one the desk had written for her sign-in ends. The desk opens it again with the new one.
CREATE FUNCTION end_relative_numbers(p_person_id text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE contact_channels a SET ended_at = statement_timestamp(), ended_by = 'number', address = '\x00', address_hash = '\x'
  WHERE a.user_id = (SELECT u.id FROM users u WHERE u.contact_id = p_person_id) AND a.ended_at IS NULL AND a.added_by LIKE 'user:%'
$$;
CREATE FUNCTION note_number_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM end_relative_numbers(NEW.person_id);
  RETURN NULL;
END $$;
CREATE TRIGGER number_counts AFTER UPDATE OF confirmed_at ON phone_changes
  FOR EACH ROW WHEN (OLD.confirmed_at IS NULL AND NEW.confirmed_at IS NOT NULL) EXECUTE FUNCTION note_number_counts();
CREATE TRIGGER number_gone AFTER UPDATE OF phone ON person_identities
  FOR EACH ROW WHEN (OLD.phone IS NOT NULL AND NEW.phone IS NULL) EXECUTE FUNCTION note_number_counts();
