-- Scopes: what the console may see in one transaction, opened by a secret the database knows by its hash alone, and
-- sealed so that nobody can write one. Who may do what with which table stands in kaimen/rights.sql.

-- The keys of the seal, and the hash of the console's own key; nobody but the owner reads them.
CREATE TABLE scope_keys (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  inner_key bytea NOT NULL,
  outer_key bytea NOT NULL,
  console_hash bytea                  -- NULL: no console was introduced, and none is let in
);
INSERT INTO scope_keys (inner_key, outer_key)
SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()),
       uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());

-- Which rights the database has: written when kaimen/rights.sql was applied.
CREATE TABLE applied_rights (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  digest text NOT NULL,
  applied_at timestamptz NOT NULL     -- the machine's clock, as in schema_migrations
);

-- Every reading of door events by the console, once for each reader, purpose, object and hour of community time. A
-- reading without a scope is written as refused. Written by the functions that read; nobody else writes here.
CREATE TABLE event_reads (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reader text NOT NULL,               -- user:…, console, or the database's role where no scope was open
  role text NOT NULL,
  purpose text NOT NULL,
  object text NOT NULL,               -- community:…, household:…, device:…
  hour timestamptz NOT NULL,
  result text NOT NULL CHECK (result IN ('read', 'no_scope')),
  UNIQUE (reader, purpose, object, hour, result)
);
CREATE TRIGGER event_reads_are_append_only BEFORE UPDATE OR DELETE ON event_reads
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_reads_are_not_emptied BEFORE TRUNCATE ON event_reads
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The seal of a scope: the keyed hash of its words, hash over hash with two keys, as HMAC does it.
CREATE FUNCTION seal_scope(words text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT encode(sha256(k.outer_key || sha256(k.inner_key || convert_to(words, 'UTF8'))), 'hex') FROM scope_keys k
$$;

-- The scope of this transaction, or NULL: none was opened, it is not ours, or it was opened in another transaction.
CREATE FUNCTION scope() RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  said text := current_setting('kaimen.scope', true);
  words text;
  found jsonb;
BEGIN
  IF said IS NULL OR length(said) < 65 THEN
    RETURN NULL;
  END IF;
  words := substr(said, 65);
  IF left(said, 64) <> (
    SELECT encode(sha256(k.outer_key || sha256(k.inner_key || convert_to(words, 'UTF8'))), 'hex') FROM scope_keys k
  ) THEN
    RETURN NULL;
  END IF;
  found := words::jsonb;
  -- A scope read in one transaction is worth nothing in another one.
  IF (found->>'pid')::int <> pg_backend_pid() OR (found->>'at')::numeric <> extract(epoch FROM now()) THEN
    RETURN NULL;
  END IF;
  RETURN found;
END $$;

-- One list or one word of the scope, for policies: SELECT it once per statement, never once per row.
CREATE FUNCTION scope_list(part text) RETURNS text[] LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RETURN coalesce((public.scope()->>part)::text[], '{}');
END $$;
CREATE FUNCTION scope_word(part text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RETURN coalesce(public.scope()->>part, '');
END $$;

-- Whether the login may do what the owner may: commands and upgrades, never the console's own login.
CREATE FUNCTION is_owner() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = 'public.scope_keys'::regclass), 'MEMBER')
$$;

CREATE FUNCTION set_scope(words jsonb) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  text_of text := (words || jsonb_build_object('pid', pg_backend_pid(), 'at', extract(epoch FROM now())))::text;
BEGIN
  PERFORM set_config('kaimen.scope', public.seal_scope(text_of) || text_of, true);
END $$;

-- Opens the scope of a session or an API token by its hash: role, active places, own homes. False: nobody's.
CREATE FUNCTION open_scope(p_token_hash bytea, p_wall timestamptz) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  who record;
  held text[];
  places text[];
  homes text[];
  everywhere boolean;
BEGIN
  -- A position beside her first is the one she works in now, as long as it is hers; it is of one place.
  SELECT u.id, u.name, coalesce(p.role, u.role) AS role, p.id IS NOT NULL AS beside,
         CASE WHEN p.id IS NULL THEN u.community_id ELSE p.community_id END AS home_id,
         CASE WHEN p.id IS NULL THEN s.community_id END AS chosen INTO who
  FROM sessions s JOIN users u ON u.id = s.user_id
  LEFT JOIN user_positions p ON p.id = s.position_id AND p.user_id = s.user_id
  WHERE s.token_hash = p_token_hash AND s.expires_at > p_wall AND u.disabled_at IS NULL;
  IF NOT FOUND THEN
    SELECT u.id, u.name, u.role, false AS beside, u.community_id AS home_id, NULL::text AS chosen INTO who
    FROM api_tokens t JOIN users u ON u.id = t.user_id
    WHERE t.token_hash = p_token_hash AND u.disabled_at IS NULL AND t.revoked_at IS NULL
      AND (t.expires_at IS NULL OR t.expires_at > p_wall);
  END IF;
  IF NOT FOUND THEN
    PERFORM set_config('kaimen.scope', '', true);
    RETURN false;
  END IF;
  held := ARRAY(SELECT who.home_id WHERE who.home_id IS NOT NULL
                UNION SELECT c.community_id FROM user_communities c WHERE c.user_id = who.id AND NOT who.beside);
  everywhere := who.role = 'admin' AND who.home_id IS NULL;
  places := CASE
    WHEN who.role IN ('family', 'resident') THEN '{}'
    WHEN everywhere THEN ARRAY(SELECT id FROM communities)
    WHEN who.role = 'property_director' THEN held
    WHEN who.chosen = ANY (held) THEN ARRAY[who.chosen]
    WHEN who.home_id IS NOT NULL THEN ARRAY[who.home_id]
    ELSE '{}' END;
  -- Who lets a dwelling learns nothing of who lives in it.
  homes := ARRAY(SELECT household_id FROM user_households WHERE user_id = who.id AND NOT is_landlord);
  PERFORM set_scope(jsonb_build_object(
    'kind', 'person', 'role', who.role, 'user', who.id, 'name', who.name, 'recipient', 'user:' || who.id, 'all', everywhere,
    'places', places::text, 'homes', homes::text,
    'sites', ARRAY(SELECT id FROM sites WHERE community_id = ANY (places))::text,
    'seen', ARRAY(SELECT unnest(places) UNION SELECT unnest(held)
                  UNION SELECT s.community_id FROM households h JOIN sites s ON s.id = h.site_id
                  WHERE h.id = ANY (homes))::text
  ));
  RETURN true;
END $$;

-- Opens the scope of the console itself, for what nobody has signed in for: signing in, the stream, providers' reports,
-- terminals, links. p_key is the console's own key; the database has its hash.
CREATE FUNCTION open_console(p_key bytea) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  all_places text[];
BEGIN
  IF NOT EXISTS (SELECT 1 FROM scope_keys WHERE console_hash = sha256(p_key)) THEN
    PERFORM set_config('kaimen.scope', '', true);
    RETURN false;
  END IF;
  all_places := ARRAY(SELECT id FROM communities);
  PERFORM set_scope(jsonb_build_object(
    'kind', 'console', 'role', 'console', 'user', 0, 'name', '', 'recipient', '', 'all', true, 'homes', '{}',
    'places', all_places::text, 'seen', all_places::text, 'sites', ARRAY(SELECT id FROM sites)::text
  ));
  RETURN true;
END $$;

-- Whether the caller is the console itself, or the owner.
CREATE FUNCTION is_console() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT public.scope_word('kind') = 'console' OR public.is_owner()
$$;

-- --- Signing in: passwords', sessions' and tokens' hashes are reached through these and in no other way ---------------

-- An administrator's: whether she looks after the person's place. Nobody governs herself.
CREATE FUNCTION governs(p_user_id bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT is_owner() OR (scope_word('role') = 'admin' AND scope_word('user') <> p_user_id::text AND EXISTS (
    SELECT 1 FROM users u WHERE u.id = p_user_id
      AND (scope_word('all') = 'true' OR u.community_id = ANY (scope_list('places')))))
$$;
CREATE FUNCTION is_self(p_user_id bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT scope_word('user') = p_user_id::text OR is_owner()
$$;

-- Somebody with the stored hash, told to the console by name and to herself by number.
CREATE FUNCTION sign_in_user(p_name text)
RETURNS TABLE (id bigint, name text, display_name text, password_hash text, role text, community_id text, language text,
               disabled_at timestamptz, failures_before int, has_factor boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.id, u.name, u.display_name, u.password_hash, u.role, u.community_id, u.language, u.disabled_at, u.failures_before,
         EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL)
  FROM users u WHERE u.name = p_name AND is_console()
$$;
CREATE FUNCTION own_standing(p_user_id bigint)
RETURNS TABLE (id bigint, name text, display_name text, password_hash text, role text, community_id text, language text,
               disabled_at timestamptz, failures_before int, has_factor boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.id, u.name, u.display_name, u.password_hash, u.role, u.community_id, u.language, u.disabled_at, u.failures_before,
         EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL)
  FROM users u WHERE u.id = p_user_id AND (is_self(p_user_id) OR is_console())
$$;
-- Names are one for the whole installation: whoever adds people learns that one is taken, and no more.
CREATE FUNCTION is_name_taken(p_name text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT (is_owner() OR scope_word('role') = 'admin') AND EXISTS (SELECT 1 FROM users WHERE name = p_name)
$$;
CREATE FUNCTION start_session(
  p_token_hash bytea, p_user_id bigint, p_now timestamptz, p_expires_at timestamptz, p_agent text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT is_console() THEN
    RAISE EXCEPTION 'only the console opens sessions' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO sessions (token_hash, user_id, created_at, seen_at, expires_at, agent)
  VALUES (p_token_hash, p_user_id, p_now, p_now, p_expires_at, p_agent);
END $$;
-- Whoever has the hash of a token has the token: nobody can read it here. A position beside her first is the one she
-- works in now, as long as it is hers.
CREATE FUNCTION find_session(p_token_hash bytea)
RETURNS TABLE (token_hash bytea, created_at timestamptz, seen_at timestamptz, expires_at timestamptz,
               chosen_community_id text, id bigint, name text, display_name text, role text, community_id text, language text,
               position_id bigint, factor_due_at timestamptz, password_due boolean, has_factor boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT s.token_hash, s.created_at, s.seen_at, s.expires_at, s.community_id, u.id, u.name, u.display_name,
         coalesce(p.role, u.role), CASE WHEN p.id IS NULL THEN u.community_id ELSE p.community_id END, u.language,
         p.id, u.factor_due_at, u.password_due,
         s.factor_outside OR EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL)
  FROM sessions s JOIN users u ON u.id = s.user_id
  LEFT JOIN user_positions p ON p.id = s.position_id AND p.user_id = s.user_id
  WHERE s.token_hash = p_token_hash AND u.disabled_at IS NULL
$$;
CREATE FUNCTION touch_session(p_token_hash bytea, p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE sessions SET seen_at = p_now WHERE token_hash = p_token_hash
$$;
CREATE FUNCTION place_session(p_token_hash bytea, p_community_id text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE sessions SET community_id = p_community_id WHERE token_hash = p_token_hash
$$;
-- Works in another of her own positions from now on, NULL: in her first; never longer than before.
CREATE FUNCTION position_session(p_token_hash bytea, p_position_id bigint, p_community_id text, p_expires_at timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE sessions s
  SET expires_at = least(s.expires_at, p_expires_at), position_id = p_position_id, community_id = p_community_id
  WHERE s.token_hash = p_token_hash AND (p_position_id IS NULL OR EXISTS (
    SELECT 1 FROM user_positions p WHERE p.id = p_position_id AND p.user_id = s.user_id))
$$;
CREATE FUNCTION note_factor_outside(p_token_hash bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE sessions SET factor_outside = true WHERE token_hash = p_token_hash AND is_console()
$$;
CREATE FUNCTION end_session(p_token_hash bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sessions WHERE token_hash = p_token_hash
$$;
-- A person's own sessions, by as much of the hash as names one and opens none.
CREATE FUNCTION own_sessions(p_user_id bigint, p_now timestamptz)
RETURNS TABLE (line_id text, created_at timestamptz, seen_at timestamptz, agent text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT left(encode(s.token_hash, 'hex'), 16), s.created_at, s.seen_at, s.agent FROM sessions s
  WHERE s.user_id = p_user_id AND s.expires_at > p_now AND is_self(p_user_id)
  ORDER BY s.created_at DESC LIMIT 50
$$;
CREATE FUNCTION end_own_session(p_user_id bigint, p_prefix text) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sessions s
  WHERE s.user_id = p_user_id AND length(p_prefix) >= 16 AND starts_with(encode(s.token_hash, 'hex'), p_prefix)
    AND is_self(p_user_id) RETURNING s.user_id
$$;
CREATE FUNCTION end_other_sessions(p_user_id bigint, p_token_hash bytea) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sessions s WHERE s.user_id = p_user_id AND s.token_hash <> p_token_hash AND is_self(p_user_id)
  RETURNING s.user_id
$$;
CREATE FUNCTION end_sessions_of(p_user_id bigint) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sessions s WHERE s.user_id = p_user_id AND governs(p_user_id) RETURNING s.user_id
$$;
CREATE FUNCTION end_sessions_of_position(p_user_id bigint, p_position_id bigint) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sessions s WHERE s.user_id = p_user_id AND s.position_id = p_position_id AND governs(p_user_id)
  RETURNING s.user_id
$$;
CREATE FUNCTION session_count(p_user_id bigint, p_now timestamptz) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT count(*) FROM sessions s WHERE s.user_id = p_user_id AND s.expires_at > p_now
    AND (governs(p_user_id) OR is_self(p_user_id))
$$;
CREATE FUNCTION last_seen(p_user_id bigint) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT max(s.seen_at) FROM sessions s WHERE s.user_id = p_user_id AND (governs(p_user_id) OR is_self(p_user_id))
$$;
-- What ends with a password, a second factor or a person.
CREATE FUNCTION end_steps_of(p_user_id bigint) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sign_in_steps s WHERE s.user_id = p_user_id AND (governs(p_user_id) OR is_self(p_user_id)) RETURNING s.user_id
$$;
CREATE FUNCTION end_devices_of(p_user_id bigint) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM known_devices d WHERE d.user_id = p_user_id AND (governs(p_user_id) OR is_self(p_user_id)) RETURNING d.user_id
$$;
CREATE FUNCTION forget_failures_of(p_user_id bigint) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sign_in_failures f WHERE f.name = (SELECT u.name FROM users u WHERE u.id = p_user_id) AND governs(p_user_id)
  RETURNING f.id
$$;
-- What somebody may not change of herself.
CREATE FUNCTION change_role(p_user_id bigint, p_role text, p_community_id text) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE users u SET role = p_role, community_id = p_community_id, factor_due_at = NULL,
    trained_until = CASE WHEN p_role = u.role THEN u.trained_until END
  WHERE u.id = p_user_id AND governs(p_user_id)
    AND (is_owner() OR scope_word('all') = 'true' OR p_community_id = ANY (scope_list('places')))
  RETURNING u.id
$$;
CREATE FUNCTION note_training(p_user_id bigint, p_until date) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE users u SET trained_until = p_until WHERE u.id = p_user_id AND u.role = 'police_officer' AND governs(p_user_id)
  RETURNING u.id
$$;
CREATE FUNCTION disable_user(p_user_id bigint, p_now timestamptz) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE users u SET disabled_at = p_now WHERE u.id = p_user_id AND u.disabled_at IS NULL AND governs(p_user_id)
  RETURNING u.id
$$;
CREATE FUNCTION enable_user(p_user_id bigint) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE users u SET disabled_at = NULL WHERE u.id = p_user_id AND governs(p_user_id) RETURNING u.id
$$;
-- Tokens of programs: made by who uses them, ended by her or by who looks after her place.
CREATE FUNCTION make_api_token(
  p_token_hash bytea, p_user_id bigint, p_name text, p_now timestamptz, p_expires_at timestamptz, p_scopes text[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT is_self(p_user_id) THEN
    RAISE EXCEPTION 'a token is made by who uses it' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO api_tokens (token_hash, user_id, name, created_at, expires_at, scopes)
  VALUES (p_token_hash, p_user_id, p_name, p_now, p_expires_at, p_scopes);
END $$;
CREATE FUNCTION find_api_token(p_token_hash bytea, p_now timestamptz)
RETURNS TABLE (token_id bigint, scopes text[], seen_at timestamptz, id bigint, name text, display_name text, role text,
               community_id text, language text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT t.id, t.scopes, t.seen_at, u.id, u.name, u.display_name, u.role, u.community_id, u.language
  FROM api_tokens t JOIN users u ON u.id = t.user_id
  WHERE t.token_hash = p_token_hash AND u.disabled_at IS NULL AND t.revoked_at IS NULL
    AND (t.expires_at IS NULL OR t.expires_at > p_now)
$$;
CREATE FUNCTION touch_api_token(p_token_id bigint, p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE api_tokens SET seen_at = p_now WHERE id = p_token_id AND is_console()
$$;
CREATE FUNCTION api_tokens_of(p_user_id bigint, p_now timestamptz)
RETURNS TABLE (id bigint, name text, created_at timestamptz, expires_at timestamptz, seen_at timestamptz, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT t.id, t.name, t.created_at, t.expires_at, t.seen_at, t.scopes FROM api_tokens t
  WHERE t.user_id = p_user_id AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > p_now)
    AND (is_self(p_user_id) OR governs(p_user_id))
  ORDER BY t.created_at DESC, t.id DESC LIMIT 100
$$;
-- One token, or every one where no number is given.
CREATE FUNCTION revoke_api_tokens(p_user_id bigint, p_token_id bigint, p_now timestamptz) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE api_tokens t SET revoked_at = p_now
  WHERE t.user_id = p_user_id AND (p_token_id IS NULL OR t.id = p_token_id) AND t.revoked_at IS NULL
    AND (is_self(p_user_id) OR governs(p_user_id))
  RETURNING t.id
$$;
CREATE FUNCTION end_tokens_of(p_user_id bigint) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM api_tokens t WHERE t.user_id = p_user_id AND governs(p_user_id) RETURNING t.id
$$;
-- Every way in of who lived in a home; only for the login that deletes people (kaimen/rights.sql).
CREATE FUNCTION end_sessions_of_home(p_household_id text) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sessions WHERE user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
    WHERE uh.household_id = p_household_id AND u.role = 'resident') RETURNING user_id
$$;
CREATE FUNCTION end_tokens_of_home(p_household_id text) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM api_tokens WHERE user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
    WHERE uh.household_id = p_household_id AND u.role = 'resident') RETURNING id
$$;
-- Expired sessions, steps, failures and browsers that no longer count; nothing else can be deleted with it.
CREATE FUNCTION forget_expired(p_now timestamptz, p_failures_before timestamptz, p_devices_before timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sessions WHERE expires_at <= p_now AND is_console();
  DELETE FROM sign_in_failures WHERE at < p_failures_before AND is_console();
  DELETE FROM sign_in_steps WHERE expires_at <= p_now AND is_console();
  DELETE FROM known_devices WHERE seen_at <= p_devices_before AND is_console();
$$;
-- The end of the audit chain, for whoever appends to it.
CREATE FUNCTION audit_end() RETURNS TABLE (hash bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT a.hash FROM audit_entries a WHERE scope() IS NOT NULL OR is_owner() ORDER BY a.id DESC LIMIT 1
$$;
-- How many cases call for somebody in each of the communities the viewer may choose: a number, and no row of them.
CREATE FUNCTION calling_counts(p_ids text[]) RETURNS TABLE (id text, calling bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT c.id, (SELECT count(*) FROM cases k WHERE k.community_id = c.id AND k.state <> 'closed' AND k.priority >= 2)
  FROM communities c WHERE c.id = ANY (p_ids)
    AND (is_owner() OR scope_word('role') = 'property_clerk' AND c.id = ANY (scope_list('seen')))
$$;
-- Whether there is only one community, whose every message is its own then.
CREATE FUNCTION is_only_community() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT count(*) = 1 FROM communities WHERE scope() IS NOT NULL
$$;
-- --- Door events: by a ticket (look_up_events), or by what the viewer is there for ------------------------------------

-- Which of these devices' events the viewer may have read for her, by number. A clerk: all of the place. A family, a
-- resident: the doors of their homes. Everybody else who works there: doors of homes with an open case, and no other.
CREATE FUNCTION readable_devices(p_nos int[]) RETURNS int[] LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  seen jsonb := scope();
  sites text[] := (seen->>'sites')::text[];
  homes text[] := (seen->>'homes')::text[];
BEGIN
  IF is_owner() THEN
    RETURN p_nos;
  END IF;
  IF seen IS NULL THEN
    RETURN '{}';
  END IF;
  IF seen->>'role' IN ('property_clerk', 'console') THEN
    RETURN ARRAY(SELECT v.no FROM devices v WHERE v.no = ANY (p_nos) AND v.site_id = ANY (sites));
  END IF;
  RETURN ARRAY(
    SELECT v.no FROM devices v WHERE v.no = ANY (p_nos) AND EXISTS (
      SELECT 1 FROM (
        SELECT d.household_id FROM household_doors d WHERE d.device_id = v.id
        UNION ALL SELECT s.household_id FROM household_sensors s WHERE s.device_id = v.id
        UNION ALL SELECT h.id FROM households h WHERE h.site_id = v.site_id AND h.label = v.place
      ) b
      WHERE b.household_id = ANY (homes)
         OR (v.site_id = ANY (sites)
             AND EXISTS (SELECT 1 FROM cases c WHERE c.household_id = b.household_id AND c.state <> 'closed'))));
END $$;

CREATE FUNCTION note_event_read(p_purpose text, p_object text, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  seen jsonb := scope();
  who text := coalesce(nullif(seen->>'recipient', ''), CASE WHEN seen IS NULL THEN 'database:' || session_user ELSE 'console' END);
BEGIN
  IF seen IS NULL AND is_owner() THEN
    RETURN true;
  END IF;
  INSERT INTO event_reads (reader, role, purpose, object, hour, result)
  VALUES (who, coalesce(seen->>'role', 'none'), p_purpose, p_object, date_trunc('hour', p_now),
          CASE WHEN seen IS NULL THEN 'no_scope' ELSE 'read' END)
  ON CONFLICT DO NOTHING;
  RETURN seen IS NOT NULL;
END $$;

-- Plausible events of some devices between two instants as they were known at a third, newest first, at most so many;
-- only of devices that readable_devices allows.
CREATE FUNCTION read_device_events(
  p_purpose text, p_object text, p_now timestamptz, p_nos int[], p_since timestamptz, p_until timestamptz,
  p_known_at timestamptz, p_limit int
) RETURNS SETOF door_events LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  nos int[];
BEGIN
  IF NOT note_event_read(p_purpose, p_object, p_now) THEN
    RETURN;
  END IF;
  nos := readable_devices(p_nos);
  RETURN QUERY SELECT e.* FROM door_events e
    WHERE e.device_no = ANY (nos) AND e.plausible AND e.occurred_at >= p_since AND e.occurred_at <= p_until
      AND e.received_at <= p_known_at
    ORDER BY e.occurred_at DESC, e.seq DESC LIMIT p_limit;
END $$;

-- What was seen at a household's own doors, newest first.
CREATE FUNCTION read_household_openings(p_household_id text, p_since timestamptz, p_now timestamptz, p_limit int)
RETURNS TABLE (
  occurred_at timestamptz, received_at timestamptz, type text, state text, direction text, method text, door text,
  whose text, credential_household text, door_role text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  nos int[];
BEGIN
  IF NOT note_event_read('openings', 'household:' || p_household_id, p_now) THEN
    RETURN;
  END IF;
  nos := readable_devices(ARRAY(SELECT v.no FROM household_doors d JOIN devices v ON v.id = d.device_id
                                WHERE d.household_id = p_household_id));
  RETURN QUERY
  SELECT e.occurred_at, e.received_at, e.type, e.state, e.direction, e.method, e.door, c.class, c.household_id, d.role
  FROM household_doors d
  JOIN devices v ON v.id = d.device_id AND v.no = ANY (nos)
  JOIN door_events e ON e.device_no = v.no AND e.occurred_at > p_since AND e.occurred_at <= p_now
   AND (d.from_at IS NULL OR e.occurred_at >= d.from_at) AND (d.to_at IS NULL OR e.occurred_at < d.to_at)
  LEFT JOIN credentials c ON c.token = e.credential
  WHERE d.household_id = p_household_id AND e.plausible
    AND (d.role = 'dwelling' OR c.household_id = p_household_id)
    AND (e.type = 'AccessTaken' OR (e.type = 'DoorPhysicalState' AND e.state = 'Open'))
  ORDER BY e.occurred_at DESC LIMIT p_limit;
END $$;

-- The stored event behind each piece of evidence that is shown anyway.
CREATE FUNCTION read_evidence_events(
  p_now timestamptz, p_devices int[], p_boots bigint[], p_seqs bigint[], p_ats timestamptz[]
) RETURNS TABLE (device_no int, boot bigint, seq bigint, direction text, method text, type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  nos int[];
BEGIN
  IF NOT note_event_read('evidence', 'community:' || coalesce(array_to_string(scope_list('places'), ','), ''), p_now) THEN
    RETURN;
  END IF;
  nos := readable_devices(p_devices);
  RETURN QUERY SELECT e.device_no, e.boot, e.seq, e.direction, e.method, e.type
    FROM unnest(p_devices, p_boots, p_seqs, p_ats) AS wanted (device_no, boot, seq, at)
    JOIN door_events e ON e.device_no = wanted.device_no AND e.boot = wanted.boot AND e.seq = wanted.seq
     AND e.occurred_at BETWEEN wanted.at - interval '1 day' AND wanted.at + interval '1 day'
    WHERE wanted.device_no = ANY (nos);
END $$;

-- Interior activity at some sensors, each since its own instant, newest first.
CREATE FUNCTION read_signs(
  p_now timestamptz, p_households text[], p_nos int[], p_sinces timestamptz[], p_limit int
) RETURNS TABLE (household_id text, occurred_at timestamptz, type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  nos int[];
BEGIN
  IF NOT note_event_read('signs', 'community:' || coalesce(array_to_string(scope_list('places'), ','), ''), p_now) THEN
    RETURN;
  END IF;
  nos := readable_devices(p_nos);
  RETURN QUERY SELECT wanted.household_id, e.occurred_at, e.type
    FROM unnest(p_households, p_nos, p_sinces) AS wanted (household_id, no, since)
    JOIN door_events e ON e.device_no = wanted.no AND e.occurred_at > wanted.since AND e.occurred_at <= p_now
    WHERE wanted.no = ANY (nos) AND e.plausible AND e.type IN ('Motion', 'Occupancy', 'WaterUse', 'PowerUse')
    ORDER BY e.occurred_at DESC LIMIT p_limit;
END $$;

-- Doors of a place that refused people in a span, most often first: the desk's.
CREATE FUNCTION read_denials(p_community_id text, p_since timestamptz, p_now timestamptz, p_limit int)
RETURNS TABLE (id text, place text, denied bigint, unknown bigint, last_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF NOT note_event_read('denials', 'community:' || p_community_id, p_now)
     OR NOT (is_owner() OR p_community_id = ANY (scope_list('places'))) THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT d.id, d.place, count(*) AS denied, count(*) FILTER (WHERE c.token IS NULL) AS unknown,
      max(e.occurred_at) AS last_at
    FROM door_events e
    JOIN devices d ON d.no = e.device_no
    JOIN sites s ON s.id = d.site_id
    LEFT JOIN credentials c ON c.token = e.credential
    WHERE s.community_id = p_community_id AND e.type = 'Denied' AND e.plausible
      AND e.occurred_at >= p_since AND e.occurred_at <= p_now
    GROUP BY d.id, d.place
    ORDER BY denied DESC, last_at DESC LIMIT p_limit;
END $$;

-- The desk's access log: events of its place, newest first, before or after a position; holders are not in it.
CREATE FUNCTION read_log(
  p_community_id text, p_now timestamptz, p_from timestamptz, p_to timestamptz, p_door text, p_building text, p_unit text,
  p_household_id text, p_type text, p_method text, p_origin text, p_older timestamptz, p_newer timestamptz,
  p_device_no int, p_boot bigint, p_seq bigint, p_limit int
) RETURNS TABLE (
  occurred_at timestamptz, received_at timestamptz, device_no int, boot bigint, seq bigint, type text, state text,
  direction text, method text, reason text, replayed boolean, clock_quality text, device_id text, place text,
  credential text, whose text, credential_person text, late boolean, household_id text, label text, building text,
  unit text, room text, has_case boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF NOT note_event_read('access_log', 'community:' || p_community_id, p_now) OR NOT (is_owner() OR (
      scope_word('role') = 'property_clerk' AND p_community_id = ANY (scope_list('places')))) THEN
    RETURN;
  END IF;
  -- The page is cut before anything is looked up about a row. Ways of children are in nobody's log outside their home.
  RETURN QUERY
  WITH doors AS (
    SELECT v.no, v.id, v.place FROM devices v JOIN sites si ON si.id = v.site_id
    WHERE si.community_id = p_community_id AND (p_door = '' OR v.id = p_door)
      AND (p_building = '' AND p_unit = '' OR EXISTS (
        SELECT 1 FROM household_doors d2 JOIN households h2 ON h2.id = d2.household_id
        WHERE d2.device_id = v.id AND (p_building = '' OR h2.building = p_building)
          AND (p_unit = '' OR h2.unit = p_unit)))
      AND (p_household_id = '' OR EXISTS (SELECT 1 FROM household_doors d3 WHERE d3.device_id = v.id
           AND d3.household_id = p_household_id AND d3.role = 'dwelling'))
  ), wanted AS (
    (SELECT e.* FROM door_events e JOIN doors v ON v.no = e.device_no LEFT JOIN credentials c ON c.token = e.credential
     WHERE p_newer IS NULL AND e.occurred_at >= p_from AND e.occurred_at < p_to
       AND (p_type = '' OR e.type = p_type) AND (p_method = '' OR e.method = p_method)
       AND (p_origin = '' OR e.replayed = (p_origin = 'replayed'))
       AND (p_older IS NULL OR (e.occurred_at, e.device_no, e.boot, e.seq) <
            (p_older, p_device_no, p_boot, p_seq))
       AND (c.person_id IS NULL OR NOT may_be_under_14(c.person_id, e.occurred_at))
     ORDER BY e.occurred_at DESC, e.device_no DESC, e.boot DESC, e.seq DESC LIMIT p_limit)
    UNION ALL
    (SELECT e.* FROM door_events e JOIN doors v ON v.no = e.device_no LEFT JOIN credentials c ON c.token = e.credential
     WHERE p_newer IS NOT NULL AND e.occurred_at >= p_from AND e.occurred_at < p_to
       AND (p_type = '' OR e.type = p_type) AND (p_method = '' OR e.method = p_method)
       AND (p_origin = '' OR e.replayed = (p_origin = 'replayed'))
       AND (e.occurred_at, e.device_no, e.boot, e.seq) >
           (p_newer, p_device_no, p_boot, p_seq)
       AND (c.person_id IS NULL OR NOT may_be_under_14(c.person_id, e.occurred_at))
     ORDER BY e.occurred_at, e.device_no, e.boot, e.seq LIMIT p_limit)
  )
  SELECT e.occurred_at, e.received_at, e.device_no, e.boot, e.seq, e.type, e.state, e.direction, e.method, e.reason,
         e.replayed, e.clock_quality, v.id AS device_id, v.place, e.credential, c.class AS whose,
         c.person_id AS credential_person,
         e.received_at - e.occurred_at > interval '1 hour' AS late,
         h.id AS household_id, h.label, h.building, h.unit, h.room,
         EXISTS (SELECT 1 FROM cases k WHERE k.household_id = h.id AND k.state <> 'closed') AS has_case
  FROM wanted e
  JOIN doors v ON v.no = e.device_no
  LEFT JOIN credentials c ON c.token = e.credential
  LEFT JOIN LATERAL (
    SELECT h.* FROM household_doors d JOIN households h ON h.id = d.household_id
    WHERE d.device_id = v.id AND d.role = 'dwelling'
      AND (d.from_at IS NULL OR d.from_at <= e.occurred_at) AND (d.to_at IS NULL OR e.occurred_at < d.to_at)
    ORDER BY h.id LIMIT 1
  ) h ON true
  ORDER BY CASE WHEN p_newer IS NOT NULL THEN e.occurred_at END,
           CASE WHEN p_newer IS NOT NULL THEN e.device_no END,
           CASE WHEN p_newer IS NOT NULL THEN e.boot END,
           CASE WHEN p_newer IS NOT NULL THEN e.seq END,
           e.occurred_at DESC, e.device_no DESC, e.boot DESC, e.seq DESC;
END $$;

-- A ticket is read by the one whose session asks, whoever else is named in the call.
ALTER FUNCTION judge_look_up(look_up_tickets, bigint, timestamptz, timestamptz) RENAME TO judge_look_up_of;
CREATE FUNCTION judge_look_up(ticket look_up_tickets, p_reader_id bigint, p_now timestamptz, p_wall timestamptz)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE
    WHEN ticket.id IS NOT NULL AND NOT is_owner() AND scope_word('user') <> p_reader_id::text THEN 'not_the_asker'
    ELSE judge_look_up_of(ticket, p_reader_id, p_now, p_wall) END
$$;

ALTER FUNCTION ensure_event_partitions(timestamptz, timestamptz) SECURITY DEFINER SET search_path = public, pg_temp;
-- A view shows what its reader may see, not what its owner may.
ALTER VIEW outages_now SET (security_invoker = true);
ALTER VIEW open_happenings SET (security_invoker = true);
-- Nothing of these columns is kept for the planner: its estimates would tell whether somebody is in the table.
ALTER TABLE person_identities ALTER COLUMN name SET STATISTICS 0, ALTER COLUMN phone SET STATISTICS 0;
ALTER TABLE users ALTER COLUMN password_hash SET STATISTICS 0;
