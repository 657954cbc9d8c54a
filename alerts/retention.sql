-- How long what is kept: for each class the rows that are due (their first key), then what goes with them, in order.
-- held: households nothing of which may go. No statement reads the database's clock.

-- name: rules
SELECT class, keep_days, least_days, most_days, changed_at, changed_by FROM retention_rules ORDER BY class

-- name: rule_change
UPDATE retention_rules SET keep_days = %(days)s, changed_at = %(now)s, changed_by = %(by)s
WHERE class = %(class)s AND %(days)s BETWEEN least_days AND most_days

-- name: held
SELECT DISTINCT h.household_id, ho.no FROM standing_holds(%(now)s) h JOIN households ho ON ho.id = h.household_id

-- name: run_add
INSERT INTO retention_runs (at, ran_by, dry, report) VALUES (%(now)s, %(by)s, %(dry)s, %(report)s)

-- name: run_last
SELECT at FROM retention_runs WHERE NOT dry AND ran_by = 'service' ORDER BY id DESC LIMIT 1

-- name: runs
SELECT id, at, ran_by, dry, report FROM retention_runs ORDER BY id DESC LIMIT %(limit)s

-- name: holders_done
-- up to where the holders of events were forgotten, where no hold stood then that has ended since
SELECT max((report->'event_holders'->>'before')::timestamptz) AS before FROM retention_runs r
WHERE NOT r.dry AND r.report->'event_holders' ? 'before' AND NOT r.report->'event_holders' ? 'failure'
  AND (r.report->'event_holders'->>'held')::int = 0

-- name: try_lock
SELECT pg_try_advisory_xact_lock(7241006) AS locked

-- name: event_holders
SELECT forget_event_holders(%(from_at)s, %(before)s, %(held_nos)s::int[], %(dry)s) AS count

-- name: door_events
SELECT forget_event_days(%(before)s, %(held_nos)s::int[], %(dry)s) AS count

-- name: quarantine_due
SELECT q.id FROM quarantine q WHERE q.received_at < %(before)s
  AND NOT EXISTS (SELECT 1 FROM household_doors d WHERE d.device_id = q.device_id AND d.household_id = ANY(%(held)s))
ORDER BY q.id LIMIT %(limit)s

-- name: quarantine_1
DELETE FROM quarantine WHERE id = ANY(%(ids)s)

-- name: messages_due
SELECT o.id FROM outbox o LEFT JOIN cases c ON c.id = o.case_id
WHERE o.created_at < %(before)s AND o.state NOT IN ('planned', 'leased', 'uncertain')
  AND (c.id IS NULL OR (c.state = 'closed' AND (c.household_id IS NULL OR NOT c.household_id = ANY(%(held)s))))
ORDER BY o.id LIMIT %(limit)s

-- name: messages_1
UPDATE outbox SET follows_id = NULL WHERE follows_id = ANY(%(ids)s)

-- name: messages_2
UPDATE live_tests SET outbox_id = NULL WHERE outbox_id = ANY(%(ids)s)

-- name: messages_3
DELETE FROM deliveries WHERE outbox_id = ANY(%(ids)s)

-- name: messages_4
DELETE FROM receipts WHERE outbox_id = ANY(%(ids)s)

-- name: messages_5
DELETE FROM call_reports r USING calls k WHERE k.outbox_id = ANY(%(ids)s) AND r.key LIKE k.key || '%%'

-- name: messages_6
DELETE FROM call_attempts WHERE call_id IN (SELECT id FROM calls WHERE outbox_id = ANY(%(ids)s))

-- name: messages_7
DELETE FROM calls WHERE outbox_id = ANY(%(ids)s)

-- name: messages_8
DELETE FROM outbox WHERE id = ANY(%(ids)s)

-- name: facts_due
-- crossings that were withdrawn; what stands is the ladder's
SELECT c.id FROM stage_crossings c JOIN crossing_withdrawals w ON w.crossing_id = c.id
WHERE w.withdrawn_at < %(before)s AND NOT c.household_id = ANY(%(held)s) ORDER BY c.id LIMIT %(limit)s

-- name: facts_1
DELETE FROM crossing_withdrawals WHERE crossing_id = ANY(%(ids)s)

-- name: facts_2
DELETE FROM stage_crossings WHERE id = ANY(%(ids)s)

-- name: happenings_due
SELECT p.id FROM happenings p WHERE p.handled_at < %(before)s
  AND (p.household_id IS NULL OR NOT p.household_id = ANY(%(held)s)) ORDER BY p.id LIMIT %(limit)s

-- name: happenings_1
DELETE FROM happenings WHERE id = ANY(%(ids)s)

-- name: checks_due
SELECT c.id FROM checks_due c JOIN check_ends e ON e.check_id = c.id
WHERE e.ended_at < %(before)s AND NOT c.household_id = ANY(%(held)s) ORDER BY c.id LIMIT %(limit)s

-- name: checks_1
DELETE FROM check_ends WHERE check_id = ANY(%(ids)s)

-- name: checks_2
DELETE FROM checks_due WHERE id = ANY(%(ids)s)

-- name: signals_due
-- ended, and in no case that is open
SELECT s.id FROM signals s JOIN signal_ends e ON e.signal_id = s.id
WHERE e.ended_at < %(before)s AND (s.household_id IS NULL OR NOT s.household_id = ANY(%(held)s))
  AND NOT EXISTS (SELECT 1 FROM case_signals cs JOIN cases c ON c.id = cs.case_id
                  WHERE cs.signal_id = s.id AND c.state <> 'closed')
ORDER BY s.id LIMIT %(limit)s

-- name: signals_1
UPDATE visit_forms SET signal_id = NULL WHERE signal_id = ANY(%(ids)s)

-- name: signals_2
DELETE FROM case_signals WHERE signal_id = ANY(%(ids)s)

-- name: signals_3
DELETE FROM signal_ends WHERE signal_id = ANY(%(ids)s)

-- name: signals_4
DELETE FROM signals WHERE id = ANY(%(ids)s)

-- name: cases_due
-- closed for so long, and nothing younger that was reopened from it or sent for it
SELECT c.id FROM cases c WHERE c.state = 'closed' AND c.closed_at < %(before)s
  AND (c.household_id IS NULL OR NOT c.household_id = ANY(%(held)s)) ORDER BY c.id LIMIT %(limit)s

-- name: cases_1
UPDATE cases SET reopened_from = NULL WHERE reopened_from = ANY(%(ids)s)

-- name: cases_2
DELETE FROM case_entries WHERE case_id = ANY(%(ids)s)

-- name: cases_3
DELETE FROM case_households WHERE case_id = ANY(%(ids)s)

-- name: cases_4
DELETE FROM case_signals WHERE case_id = ANY(%(ids)s)

-- name: cases_5
DELETE FROM duty_handovers WHERE case_id = ANY(%(ids)s)

-- name: cases_6
DELETE FROM field_acts WHERE task_id IN (SELECT id FROM tasks WHERE case_id = ANY(%(ids)s))

-- name: cases_7
DELETE FROM entry_steps WHERE case_id = ANY(%(ids)s)

-- name: cases_8
WITH photos AS (DELETE FROM visit_photos WHERE case_id = ANY(%(ids)s))
DELETE FROM visit_forms WHERE case_id = ANY(%(ids)s)

-- name: cases_9
DELETE FROM tasks WHERE case_id = ANY(%(ids)s)

-- name: cases_10
UPDATE live_tests SET outbox_id = NULL WHERE outbox_id IN (SELECT id FROM outbox WHERE case_id = ANY(%(ids)s))

-- name: cases_11
UPDATE outbox SET follows_id = NULL WHERE follows_id IN (SELECT id FROM outbox WHERE case_id = ANY(%(ids)s))

-- name: cases_12
DELETE FROM deliveries WHERE outbox_id IN (SELECT id FROM outbox WHERE case_id = ANY(%(ids)s))

-- name: cases_13
DELETE FROM receipts WHERE outbox_id IN (SELECT id FROM outbox WHERE case_id = ANY(%(ids)s))

-- name: cases_14
DELETE FROM call_attempts WHERE call_id IN (SELECT k.id FROM calls k JOIN outbox o ON o.id = k.outbox_id WHERE o.case_id = ANY(%(ids)s))

-- name: cases_15
DELETE FROM calls WHERE outbox_id IN (SELECT id FROM outbox WHERE case_id = ANY(%(ids)s))

-- name: cases_16
DELETE FROM outbox WHERE case_id = ANY(%(ids)s)

-- name: cases_17
DELETE FROM cases WHERE id = ANY(%(ids)s)

-- name: absences_due
SELECT a.id FROM absences a WHERE a.to_at < %(before)s AND NOT a.household_id = ANY(%(held)s) ORDER BY a.id LIMIT %(limit)s

-- name: absences_1
UPDATE absences SET restores = NULL WHERE restores = ANY(%(ids)s)

-- name: absences_2
DELETE FROM absences WHERE id = ANY(%(ids)s)

-- name: words_due
SELECT v.id FROM verified_contacts v WHERE v.at < %(before)s AND NOT v.household_id = ANY(%(held)s)
ORDER BY v.id LIMIT %(limit)s

-- name: words_1
DELETE FROM verified_contacts WHERE id = ANY(%(ids)s)

-- name: consents_due
-- the newest withdrawal of a purpose stays: that it was withdrawn is the reason why nobody watches
SELECT k.id FROM consents k WHERE k.withdrawn_at < %(before)s AND NOT k.household_id = ANY(%(held)s)
  AND EXISTS (SELECT 1 FROM consents n WHERE n.household_id = k.household_id AND n.purpose = k.purpose AND n.id > k.id)
ORDER BY k.id LIMIT %(limit)s

-- name: consents_1
DELETE FROM consents WHERE id = ANY(%(ids)s)

-- name: passes_due
SELECT c.token AS id FROM credentials c WHERE c.class = 'visitor' AND c.valid_to < %(before)s
  AND (c.household_id IS NULL OR NOT c.household_id = ANY(%(held)s)) ORDER BY c.token LIMIT %(limit)s

-- name: passes_1
UPDATE desk_notes SET credential = NULL WHERE credential = ANY(%(ids)s)

-- name: passes_2
DELETE FROM credentials WHERE token = ANY(%(ids)s)

-- name: leases_due
SELECT l.id FROM leases l WHERE l.to_at < %(before)s AND NOT l.household_id = ANY(%(held)s) ORDER BY l.id LIMIT %(limit)s

-- name: leases_1
DELETE FROM leases WHERE id = ANY(%(ids)s)

-- name: desk_notes_due
SELECT n.id FROM desk_notes n WHERE n.done_at < %(before)s
  AND (n.household_id IS NULL OR NOT n.household_id = ANY(%(held)s)) ORDER BY n.id LIMIT %(limit)s

-- name: desk_notes_1
DELETE FROM desk_notes WHERE id = ANY(%(ids)s)

-- name: addresses_due
SELECT a.id FROM contact_channels a LEFT JOIN persons p ON p.id = a.person_id
WHERE a.ended_at < %(before)s AND (p.household_id IS NULL OR NOT p.household_id = ANY(%(held)s))
ORDER BY a.id LIMIT %(limit)s

-- name: addresses_1
UPDATE outbox SET address_id = NULL WHERE address_id = ANY(%(ids)s)

-- name: addresses_2
DELETE FROM binding_codes WHERE channel_id = ANY(%(ids)s)

-- name: addresses_3
DELETE FROM contact_channels WHERE id = ANY(%(ids)s)

-- name: reviews_due
SELECT r.id FROM note_reviews r WHERE r.reviewed_at < %(before)s ORDER BY r.id LIMIT %(limit)s

-- name: reviews_1
DELETE FROM note_reviews WHERE id = ANY(%(ids)s)

-- name: forget_registry_notes
SELECT forget_registry_notes(%(before)s);
