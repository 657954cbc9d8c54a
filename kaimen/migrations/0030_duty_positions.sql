-- Duty follows every position somebody holds: what is kept of it is read anew when one is given or ended.

CREATE TRIGGER duty_positions_changed AFTER INSERT OR UPDATE OR DELETE ON user_positions FOR EACH ROW EXECUTE FUNCTION note_duty_change();

-- Whoever is disabled, or called otherwise, is so in the communities of her other positions too.
CREATE FUNCTION note_duty_change_elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO duty_versions (community_id, version)
  SELECT c.id, nextval('duty_version') FROM (
    SELECT DISTINCT p.community_id AS id FROM user_positions p WHERE p.user_id = NEW.id AND p.community_id IS NOT NULL
  ) c
  ON CONFLICT (community_id) DO UPDATE SET version = excluded.version;
  RETURN NULL;
END $$;
CREATE TRIGGER duty_people_changed_elsewhere AFTER UPDATE OF disabled_at, display_name ON users
  FOR EACH ROW EXECUTE FUNCTION note_duty_change_elsewhere();
