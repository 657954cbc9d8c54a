-- name: server
-- Who we are there, what the server is, and its time beside ours.
SELECT current_setting('server_version') AS version, current_user AS role, clock_timestamp() AS at,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
  current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit

-- name: tables_not_ours
-- Tables that this role may not write.
SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')
  AND NOT has_table_privilege(c.oid, 'SELECT, INSERT')
ORDER BY c.relname LIMIT 5

-- name: duty_communities
-- Communities that plan duty.
SELECT DISTINCT community_id FROM duty_rosters ORDER BY community_id

-- name: crossed_doors
-- Doors of one home that cards of another opened on two days or more since an instant, and no card of its own.
WITH own AS (
  SELECT w.device_id, min(w.household_id) AS household_id, max(w.from_at) AS from_at FROM household_doors w
  WHERE w.role = 'dwelling' AND w.to_at IS NULL GROUP BY w.device_id HAVING count(*) = 1
), used AS (
  SELECT own.device_id, own.household_id, c.household_id AS by_household,
         count(DISTINCT e.occurred_at::date) AS days
  FROM own
  JOIN devices v ON v.id = own.device_id
  JOIN door_events e ON e.device_no = v.no AND e.plausible AND e.type IN ('AccessGranted', 'AccessTaken')
   AND e.occurred_at >= greatest(%(since)s, own.from_at)
  JOIN credentials c ON c.token = e.credential AND c.class = 'resident'
  GROUP BY own.device_id, own.household_id, c.household_id
)
SELECT u.device_id, h.label, b.label AS by_label, u.days FROM used u
JOIN households h ON h.id = u.household_id
JOIN households b ON b.id = u.by_household AND b.site_id = h.site_id
WHERE u.by_household <> u.household_id AND u.days >= 2
  AND NOT EXISTS (SELECT 1 FROM used o WHERE o.device_id = u.device_id AND o.by_household = o.household_id)
ORDER BY u.device_id, u.by_household LIMIT 10

-- name: as_owner
-- Services that connect with this login, which owns the tables.
SELECT DISTINCT split_part(application_name, ' ', 2) AS service FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database()
  AND application_name ~ '^kaimen (console|ingest|alerts|watchdog|dialler)'
  AND pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = to_regclass('scope_keys')), 'MEMBER')
ORDER BY 1

-- name: rights
-- Whether rights were applied, and whether a console was introduced.
SELECT EXISTS (SELECT 1 FROM applied_rights) AS applied,
  EXISTS (SELECT 1 FROM scope_keys WHERE console_hash IS NOT NULL) AS introduced

-- name: tier
SELECT tier, EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb') AS has_timescale
FROM schema_migrations ORDER BY version LIMIT 1

-- name: leases
-- Every group, who serves it and how far it is.
SELECT group_no, groups, worker, expires_at, pulse_at FROM ingest_leases ORDER BY group_no

-- name: broker_outages
-- Devices that ingest cannot hear because it has lost the broker.
SELECT count(*) AS count FROM outages_now o
WHERE o.cause = 'broker' AND NOT EXISTS (SELECT 1 FROM outage_ends e WHERE e.outage_id = o.id)

-- name: set_aside
SELECT count(*) AS count FROM happenings WHERE handled_at IS NULL AND failure IS NOT NULL

-- name: hold
-- Whether no message leaves the house, and since when.
SELECT begun_at FROM outbox_holds WHERE ended_at IS NULL
