-- Who asks, in one statement, and scopes opened without being planned anew.

-- The living session with its person, her homes and places. Whoever has the hash of a token has the token, as for
-- find_session: nobody can read it here.
CREATE FUNCTION find_seat(p_token_hash bytea)
RETURNS TABLE (token_hash bytea, created_at timestamptz, seen_at timestamptz, expires_at timestamptz,
               chosen_community_id text, id bigint, name text, display_name text, role text, community_id text, language text,
               position_id bigint, factor_due_at timestamptz, password_due boolean, has_factor boolean,
               homes text[], blocked text[], held text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT s.*,
         -- Who lets a dwelling learns nothing of who lives in it.
         ARRAY(SELECT h.household_id FROM user_households h
               WHERE h.user_id = s.id AND NOT h.is_landlord AND h.blocked_at IS NULL),
         ARRAY(SELECT h.household_id FROM user_households h
               WHERE h.user_id = s.id AND NOT h.is_landlord AND h.blocked_at IS NOT NULL),
         ARRAY(SELECT u.community_id FROM users u WHERE u.id = s.id AND u.community_id IS NOT NULL
               UNION SELECT c.community_id FROM user_communities c WHERE c.user_id = s.id)
  FROM find_session(p_token_hash) s
$$;

-- Opened in every transaction: its plans do not hang on the values, and making them took longer than carrying them out.
ALTER FUNCTION open_scope(bytea, timestamptz) SET plan_cache_mode = force_generic_plan;
