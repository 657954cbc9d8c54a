-- Where one clerk sits at a desk, nobody there is a second person: the community committee or the director of the company
-- confirms a changed telephone number, or takes it back. They see numbers and the home, never whose name it is.
CREATE OR REPLACE FUNCTION refuse_phone_change(p_change_id bigint, p_now timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  wrong phone_changes%ROWTYPE;
BEGIN
  IF scope_word('role') NOT IN ('property_clerk', 'community_committee', 'property_director') THEN
    RETURN NULL;
  END IF;
  SELECT * INTO wrong FROM phone_changes x
  WHERE x.id = p_change_id AND NOT x.settled AND (x.trusted_from IS NULL OR x.trusted_from > p_now)
    -- Once it is confirmed, what is wrong with it is the desk's to find out.
    AND (scope_word('role') = 'property_clerk' OR x.trusted_from IS NULL)
    AND EXISTS (SELECT 1 FROM persons p JOIN households h
                  ON h.id = p.household_id OR h.id IN (SELECT c.household_id FROM household_contacts c WHERE c.person_id = p.id)
                WHERE p.id = x.person_id AND h.site_id = ANY (scope_list('sites')))
  FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE person_identities SET phone = wrong.old_phone WHERE person_id = wrong.person_id;
  -- To go back is no change of hers: nothing is left to be told or confirmed.
  UPDATE phone_changes SET settled = true, old_phone = NULL WHERE person_id = wrong.person_id AND NOT settled;
  RETURN wrong.person_id;
END $$;
