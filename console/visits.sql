-- Statements of visits: the form of four parts, the steps at a door nobody opens, and acts sent late by a phone.

-- name: insert_form
INSERT INTO visit_forms (task_id, case_id, household_id, user_id, at, recorded_at, place, second_person,
  health, economy, safety, need, notes, signal_id)
VALUES (%(task_id)s, %(case_id)s, %(household_id)s, %(user_id)s, %(at)s, %(now)s, %(place)s, %(second_person)s,
  %(health)s, %(economy)s, %(safety)s, %(need)s, %(notes)s, %(signal_id)s)
RETURNING id

-- name: insert_help_signal
-- A call for help made by whoever stands at the door, as a button's would be; with its happening, so that the ladder
-- of its cause begins at once. Nothing where this very form asked before.
WITH fact AS (
  INSERT INTO signals (key, kind, household_id, site_id, community_id, at, noticed_at, evidence)
  SELECT %(key)s, 'sos', h.id, h.site_id, s.community_id, %(at)s, %(now)s, %(evidence)s
  FROM households h JOIN sites s ON s.id = h.site_id WHERE h.id = %(household_id)s
  ON CONFLICT (key) DO NOTHING RETURNING id, household_id
), told AS (
  INSERT INTO happenings (kind, fact_id, household_id, at) SELECT 'signal', id, household_id, %(now)s FROM fact
)
SELECT id FROM fact

-- name: insert_entry
INSERT INTO case_entries (case_id, at, words, args, note, user_id)
VALUES (%(case_id)s, %(at)s, %(words)s, %(args)s, %(note)s, %(user_id)s)

-- name: ended_task
-- A task that ended by somebody else's word or by none: the desk's own, or of whoever once had it in hand.
SELECT t.id, t.kind, t.case_id, coalesce(t.household_id, c.household_id) AS household_id, t.created_at
FROM tasks t JOIN cases c ON c.id = t.case_id
WHERE t.id = %(id)s AND c.community_id = %(community_id)s AND t.state NOT IN ('open', 'claimed')
  AND t.done_by IS DISTINCT FROM %(user_id)s
  AND (%(at_desk)s OR EXISTS (SELECT 1 FROM case_entries e WHERE e.case_id = c.id AND e.user_id = %(user_id)s
                              AND e.words IN ('claimed', 'visit_begun')))

-- name: answered_task
-- One row where this person has recorded what came of a task.
SELECT 1 FROM tasks WHERE id = %(id)s AND state = 'done' AND done_by = %(user_id)s

-- name: said_already
SELECT 1 FROM case_entries WHERE case_id = %(case_id)s AND user_id = %(user_id)s AND words = %(words)s
  AND args = %(args)s::jsonb AND note IS NOT DISTINCT FROM %(note)s::text

-- name: insert_step
INSERT INTO entry_steps (task_id, case_id, user_id, step, at, recorded_at, who, note)
VALUES (%(task_id)s, %(case_id)s, %(user_id)s, %(step)s, %(at)s, %(now)s, %(who)s, %(note)s)

-- name: steps
-- What was done at this door so far, in its order.
SELECT e.step, e.at, e.who, e.note, u.display_name AS by FROM entry_steps e JOIN users u ON u.id = e.user_id
WHERE e.task_id = %(task_id)s ORDER BY e.at, e.id LIMIT 200

-- name: forms
SELECT f.at, f.place, f.health, f.economy, f.safety, f.need, f.signal_id FROM visit_forms f
WHERE f.task_id = %(task_id)s ORDER BY f.id DESC LIMIT 20

-- name: claim_act
-- The act's key, if nobody had it: a phone that sends twice does it once.
INSERT INTO field_acts (key, user_id, task_id, kind, at, recorded_at, result)
VALUES (%(key)s, %(user_id)s, %(task_id)s, %(kind)s, %(at)s, %(now)s, %(result)s)
ON CONFLICT (key) DO NOTHING RETURNING key

-- name: act_by_key
SELECT user_id, task_id, kind, at FROM field_acts WHERE key = %(key)s
