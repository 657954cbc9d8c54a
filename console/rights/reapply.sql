-- What a restored backup needs beyond a deletion, and columns that hold words.

-- name: close_cases
-- nobody has to answer for a home that was deleted after the backup was made
UPDATE cases SET state = 'closed', outcome = 'consent_withdrawn', closed_at = %(now)s, closed_by = 'consent',
  proposal = NULL, proposal_at = NULL, next_action_at = NULL, version = version + 1
WHERE household_id = %(household_id)s AND state <> 'closed'

-- name: end_tasks
UPDATE tasks SET state = 'superseded' WHERE household_id = %(household_id)s AND state IN ('open', 'claimed')

-- name: borne_by_another
-- somebody else who is known here and has this name or number
SELECT 1 FROM person_identities WHERE position(%(word)s IN name) > 0 OR phone = %(word)s
UNION ALL SELECT 1 FROM users WHERE position(%(word)s IN display_name) > 0 LIMIT 1

-- name: column
-- the type of a table's column, and the table's first column, by which its rows were named
SELECT c.data_type, (SELECT k.column_name FROM information_schema.columns k
                     WHERE k.table_schema = 'public' AND k.table_name = c.table_name
                     ORDER BY k.ordinal_position LIMIT 1) AS key
FROM information_schema.columns c
WHERE c.table_schema = 'public' AND c.table_name = %(table)s AND c.column_name = %(column)s
