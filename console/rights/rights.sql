-- Holds, exports, deletions and the ledger. No statement reads the database's clock.

-- name: person
-- who is meant, with her home and whether somebody else lives there
SELECT p.id, p.household_id, p.relation, p.category, p.birth_year, p.hard_of_hearing, p.language, i.name, i.phone,
       h.no AS household_no, h.label, si.community_id,
       p.relation = 'resident' AND NOT EXISTS (SELECT 1 FROM persons o WHERE o.household_id = p.household_id
         AND o.relation = 'resident' AND o.id <> p.id) AS alone
FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id
LEFT JOIN households h ON h.id = p.household_id LEFT JOIN sites si ON si.id = h.site_id
WHERE p.id = %(person_id)s

-- name: lock_person
SELECT id FROM persons WHERE id = %(person_id)s FOR UPDATE

-- name: persons_of
-- who belongs to a household: who lives there, and who is asked for it
SELECT p.id, p.relation, i.name FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id
WHERE p.household_id = %(household_id)s
   OR p.id IN (SELECT c.person_id FROM household_contacts c WHERE c.household_id = %(household_id)s AND c.role = 'family')
ORDER BY p.relation = 'resident' DESC, p.id

-- name: deletion
SELECT person_id, household_id, whole_household, deleted_at, deleted_by, asked_by, certificate, audit_entry_id
FROM person_deletions WHERE person_id = %(person_id)s

-- name: deletions_of
SELECT person_id, deleted_at, asked_by, certificate FROM person_deletions
WHERE household_id = %(household_id)s ORDER BY deleted_at DESC

-- name: holds_of
-- every hold that ever was on a person or her household, newest first; standing where it blocks now
SELECT h.*, h.id IN (SELECT id FROM standing_holds(%(now)s)) AS standing FROM legal_holds h
WHERE h.person_id = %(person_id)s OR h.household_id = %(household_id)s ORDER BY h.asked_at DESC, h.id DESC

-- name: hold_stands
SELECT h.id, h.document, h.until_at FROM standing_holds(%(now)s) h
WHERE h.person_id = %(person_id)s OR h.household_id = %(household_id)s ORDER BY h.until_at DESC LIMIT 1

-- name: hold
SELECT h.*, si.community_id, h.id IN (SELECT id FROM standing_holds(%(now)s)) AS standing FROM legal_holds h
LEFT JOIN households ho ON ho.id = h.household_id LEFT JOIN sites si ON si.id = ho.site_id
WHERE h.id = %(id)s FOR UPDATE OF h

-- name: hold_add
INSERT INTO legal_holds (person_id, household_id, authority, document, until_at, asked_by, asked_at)
VALUES (%(person_id)s, %(household_id)s, %(authority)s, %(document)s, %(until_at)s, %(by)s, %(now)s) RETURNING id

-- name: hold_confirm
UPDATE legal_holds SET confirmed_by = %(by)s, confirmed_at = %(now)s
WHERE id = %(id)s AND confirmed_at IS NULL AND ended_at IS NULL

-- name: hold_ask_end
UPDATE legal_holds SET end_asked_by = %(by)s, end_asked_at = %(now)s
WHERE id = %(id)s AND ended_at IS NULL AND end_asked_at IS NULL

-- name: hold_end
UPDATE legal_holds SET ended_by = %(by)s, ended_at = %(now)s WHERE id = %(id)s AND ended_at IS NULL

-- name: open_cases
SELECT number FROM cases WHERE household_id = %(household_id)s AND state <> 'closed' ORDER BY number

-- name: withdraw_all
UPDATE consents SET withdrawn_at = greatest(%(now)s, given_at)
WHERE household_id = %(household_id)s AND withdrawn_at IS NULL

-- name: chain_place
SELECT id, encode(hash, 'hex') AS hash FROM audit_entries WHERE id = %(id)s

-- name: export_consents
SELECT purpose, given_by, given_at, withdrawn_at FROM consents WHERE household_id = %(household_id)s ORDER BY given_at, id

-- name: export_absences
SELECT from_at, to_at, reason, declared_at, revoked_at FROM absences WHERE household_id = %(household_id)s ORDER BY from_at

-- name: export_cards
SELECT token, class, valid_from, valid_to, lost_at FROM credentials
WHERE person_id = %(person_id)s OR (%(alone)s AND household_id = %(household_id)s) ORDER BY token

-- name: export_words
SELECT at, how, case_id, recorded_at FROM verified_contacts WHERE household_id = %(household_id)s ORDER BY at, id

-- name: export_cases
SELECT number, cause, stage, grade, opened_at, closed_at, outcome FROM cases
WHERE household_id = %(household_id)s ORDER BY opened_at, id

-- name: export_entries
SELECT c.number, e.at, e.words, e.note, u.role FROM case_entries e JOIN cases c ON c.id = e.case_id
LEFT JOIN users u ON u.id = e.user_id WHERE c.household_id = %(household_id)s ORDER BY e.id

-- name: export_tasks
SELECT c.number, t.kind, t.role, t.created_at, t.done_at, t.outcome, t.note FROM tasks t JOIN cases c ON c.id = t.case_id
WHERE c.household_id = %(household_id)s ORDER BY t.id

-- name: export_visits
SELECT at, place, health, economy, safety, need, notes FROM visit_forms
WHERE household_id = %(household_id)s ORDER BY at, id

-- name: export_messages
SELECT o.created_at, o.channel, o.template, o.state, split_part(o.person, ':', 1) AS recipient FROM outbox o
JOIN cases c ON c.id = o.case_id WHERE c.household_id = %(household_id)s OR o.person = 'person:' || %(person_id)s
ORDER BY o.id

-- name: export_calls
SELECT a.placed_at, a.answered_at, a.digit, a.result FROM call_attempts a JOIN calls k ON k.id = a.call_id
JOIN outbox o ON o.id = k.outbox_id WHERE o.person = 'person:' || %(person_id)s ORDER BY a.placed_at

-- name: export_telephone
-- how she is rung, and the numbers that were changed
SELECT 'profile' AS kind, f.has_phone, f.automatic_from AS rung_by_machine_from, f.automatic_agreed_by AS agreed_before,
       f.shown_number, NULL::text AS old_phone, NULL::text AS new_phone, NULL::timestamptz AS told_at,
       NULL::timestamptz AS counts_from
FROM call_profiles f WHERE f.person_id = %(person_id)s
UNION ALL
SELECT 'number_change', NULL, NULL, NULL, NULL, x.old_phone, x.new_phone, x.told_at, x.trusted_from
FROM phone_changes x WHERE x.person_id = %(person_id)s

-- name: export_channels
SELECT channel, added_at, confirmed_at, ended_at FROM contact_channels WHERE person_id = %(person_id)s ORDER BY added_at

-- name: export_contacts
SELECT c.role, c.position, c.relation_words FROM household_contacts c
WHERE c.household_id = %(household_id)s ORDER BY c.position

-- name: export_leases
SELECT from_at, to_at, occupants, registration FROM leases WHERE household_id = %(household_id)s ORDER BY from_at

-- name: export_signals
SELECT kind, at, noticed_at FROM signals WHERE household_id = %(household_id)s ORDER BY at, id

-- name: export_crossings
SELECT stage, at, inactive_ms FROM stage_crossings WHERE household_id = %(household_id)s ORDER BY at

-- name: export_state
SELECT s.as_of, s.known, s.stage, s.evidence_at, p.state AS presence, p.since_at AS presence_since
FROM household_states s LEFT JOIN household_presence p USING (household_id) WHERE s.household_id = %(household_id)s

-- name: export_notes
SELECT kind, at, said, done_at, result FROM desk_notes WHERE household_id = %(household_id)s ORDER BY at

-- name: export_looks
-- who looked, as her own page has it: by role, and what police had delayed only when it may
SELECT a.at, a.role, a.action, a.purpose FROM audit_entries a
LEFT JOIN look_up_tickets lt ON lt.id = CASE WHEN a.detail ? 'ticket_id' THEN (a.detail->>'ticket_id')::bigint END
WHERE (lt.delayed_until IS NULL OR lt.delayed_until <= %(now)s)
  AND ((a.object_kind = 'household' AND a.object_id = %(household_id)s) OR a.detail->>'household' = %(household_id)s
       OR a.detail->'households' ? %(household_id)s OR (a.object_kind = 'person' AND a.object_id = %(person_id)s))
ORDER BY a.id

-- name: export_events
SELECT * FROM events_of(%(household_no)s, %(tokens)s, %(limit)s)

-- name: ledger_after
SELECT id, kind, person_id, household_id, purpose, user_id, at FROM rights_ledger ORDER BY id

-- name: find_words
SELECT in_table, in_column, row_key FROM find_words(%(words)s) ORDER BY in_table, in_column, row_key

-- name: flag
INSERT INTO note_reviews (person_id, community_id, in_table, in_column, row_key, flagged_at)
VALUES (%(person_id)s, %(community_id)s, %(in_table)s, %(in_column)s, %(row_key)s, %(now)s) ON CONFLICT DO NOTHING

-- name: reviews
SELECT id, person_id, in_table, in_column, row_key, flagged_at FROM note_reviews
WHERE reviewed_at IS NULL AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
ORDER BY flagged_at, id LIMIT 200

-- name: review
SELECT id, person_id, in_table, in_column, row_key FROM note_reviews
WHERE id = %(id)s AND reviewed_at IS NULL AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
FOR UPDATE

-- name: review_done
UPDATE note_reviews SET reviewed_at = %(now)s, reviewed_by = %(by)s, result = %(result)s WHERE id = %(id)s

-- name: deletion_add
INSERT INTO person_deletions (person_id, household_id, whole_household, deleted_at, deleted_by, asked_by, certificate,
  audit_entry_id)
VALUES (%(person_id)s, %(household_id)s, %(whole)s, %(now)s, %(by)s, %(asked_by)s, %(certificate)s, %(entry_id)s)

-- name: reapply_withdrawal
-- only what stood when it was withdrawn; what was given anew afterwards stands
UPDATE consents SET withdrawn_at = greatest(%(at)s, given_at)
WHERE household_id = %(household_id)s AND purpose = %(purpose)s AND withdrawn_at IS NULL AND given_at <= %(at)s

-- name: reapply_block
UPDATE user_households SET blocked_at = %(at)s
WHERE household_id = %(household_id)s AND user_id = %(user_id)s AND blocked_at IS NULL

-- name: reapply_unblock
UPDATE user_households SET blocked_at = NULL
WHERE household_id = %(household_id)s AND user_id = %(user_id)s AND blocked_at IS NOT NULL
