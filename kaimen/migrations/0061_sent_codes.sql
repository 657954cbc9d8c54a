-- Relatives and residents come in with a code that was sent to an address of theirs: who comes once a month remembers no
-- password. A row for each browser that asked, also where nobody is known by what was typed there, so that both look alike.
CREATE TABLE sign_in_codes (
  token_hash bytea PRIMARY KEY,         -- of the cookie of the browser that asked: no other one can use the code
  user_id bigint REFERENCES users,      -- NULL: nothing was sent
  address_id bigint REFERENCES contact_channels,
  asked_hash bytea NOT NULL,            -- keyed, of what was typed: known or not, it is compared by that alone
  code_hash bytea NOT NULL,             -- keyed, with the installation's own
  place text NOT NULL,                  -- where it was asked for: an address of the network, or a group of them
  made_at timestamptz NOT NULL,         -- wall time, as the end
  expires_at timestamptz NOT NULL,
  tries int NOT NULL DEFAULT 0
);
CREATE INDEX sign_in_codes_user ON sign_in_codes (user_id, made_at) WHERE user_id IS NOT NULL;
CREATE INDEX sign_in_codes_place ON sign_in_codes (place, made_at);

-- Whom a code may be sent to and where: by sign-in name the first address of hers, else the very one that was typed. Only
-- relatives and residents without another position, and only addresses that were proven or that the office wrote down.
CREATE FUNCTION sent_code_readers(p_name text, p_hashes bytea[], p_channels text[])
RETURNS TABLE (id bigint, name text, display_name text, role text, community_id text, language text, has_factor boolean,
               address_id bigint, channel text, address_language text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT DISTINCT ON (u.id) u.id, u.name, u.display_name, u.role, u.community_id, u.language,
         EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL),
         a.id, a.channel, a.language
  FROM users u JOIN contact_channels a ON a.user_id = u.id
  WHERE is_console() AND u.disabled_at IS NULL AND u.role IN ('family', 'resident')
    AND NOT EXISTS (SELECT 1 FROM user_positions p WHERE p.user_id = u.id)
    AND a.ended_at IS NULL AND (a.confirmed_at IS NOT NULL OR a.added_by <> 'self') AND a.channel = ANY (p_channels)
    AND (u.name = p_name OR a.address_hash = ANY (p_hashes))
  ORDER BY u.id, a.address_hash = ANY (p_hashes) DESC, a.position, a.id
$$;
-- The person a code was sent to, as long as she may still come in so, and the address is still hers.
CREATE FUNCTION sent_code_reader(p_user_id bigint, p_address_id bigint)
RETURNS TABLE (id bigint, name text, display_name text, role text, community_id text, language text, has_factor boolean,
               password_due boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.id, u.name, u.display_name, u.role, u.community_id, u.language,
         EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL), u.password_due
  FROM users u
  WHERE u.id = p_user_id AND is_console() AND u.disabled_at IS NULL AND u.role IN ('family', 'resident')
    AND NOT EXISTS (SELECT 1 FROM user_positions p WHERE p.user_id = u.id)
    AND EXISTS (SELECT 1 FROM contact_channels a WHERE a.id = p_address_id AND a.user_id = u.id AND a.ended_at IS NULL)
$$;

-- As in 0031, with codes that nobody counts any more.
CREATE OR REPLACE FUNCTION forget_expired(p_now timestamptz, p_failures_before timestamptz, p_devices_before timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM sessions WHERE expires_at <= p_now AND is_console();
  DELETE FROM sign_in_failures WHERE at < p_failures_before AND is_console();
  DELETE FROM sign_in_steps WHERE expires_at <= p_now AND is_console();
  DELETE FROM sign_in_codes WHERE made_at < p_failures_before AND is_console();
  DELETE FROM known_devices WHERE seen_at <= p_devices_before AND is_console();
$$;
