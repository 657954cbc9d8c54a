-- What goes when a person is deleted, one statement per place, in the order the keys between tables ask for.
-- Names: home_* where nobody is left in the dwelling, person_* always. A statement's comment is not shown anywhere.

-- name: events
SELECT deleted, stripped FROM forget_events_of(%(events_of)s, %(tokens)s, %(events_before)s)

-- name: tokens
SELECT token FROM credentials WHERE person_id = %(person_id)s OR (%(whole)s AND household_id = %(household_id)s)

-- name: relatives_alone
-- relatives of whom nothing but their tie to this home is known: with it the reason to know them goes
SELECT p.id FROM persons p WHERE p.relation = 'family' AND p.id <> %(person_id)s
  AND (p.household_id = %(household_id)s
       OR EXISTS (SELECT 1 FROM household_contacts c WHERE c.person_id = p.id AND c.household_id = %(household_id)s))
  AND NOT EXISTS (SELECT 1 FROM household_contacts c WHERE c.person_id = p.id AND c.household_id <> %(household_id)s)
  AND (p.household_id IS NULL OR p.household_id = %(household_id)s)

-- name: home_case_entries
UPDATE case_entries SET note = NULL, args = args - ARRAY['note', 'reason', 'witness', 'name', 'words', 'who', 'via']
WHERE case_id IN (SELECT id FROM cases WHERE household_id = %(household_id)s)

-- name: home_cases
UPDATE cases SET held_reason = CASE WHEN held_reason IS NULL THEN NULL ELSE '' END, proposal = NULL,
  evidence = '{}', grounds = '{}'
WHERE household_id = %(household_id)s

-- name: home_tasks
UPDATE tasks SET witness = NULL, note = NULL
WHERE household_id = %(household_id)s OR case_id IN (SELECT id FROM cases WHERE household_id = %(household_id)s)

-- name: home_handovers
UPDATE duty_handovers SET note = '' WHERE case_id IN (SELECT id FROM cases WHERE household_id = %(household_id)s)

-- name: home_entry_steps
UPDATE entry_steps SET who = '', note = '' WHERE case_id IN (SELECT id FROM cases WHERE household_id = %(household_id)s)

-- name: home_visit_forms
UPDATE visit_forms SET notes = '{}', second_person = '' WHERE household_id = %(household_id)s

-- name: home_visit_photos
DELETE FROM visit_photos WHERE household_id = %(household_id)s

-- name: home_messages
UPDATE outbox SET args = '{}', token = NULL, address_id = NULL, provider_id = NULL,
  state = CASE WHEN state IN ('planned', 'uncertain') THEN 'superseded' ELSE state END
WHERE case_id IN (SELECT id FROM cases WHERE household_id = %(household_id)s)
   OR path LIKE '/households/' || %(household_id)s || '%%' OR path LIKE '/family/' || %(household_id)s || '%%'

-- name: home_deliveries
UPDATE deliveries SET detail = '', provider_id = NULL
WHERE outbox_id IN (SELECT o.id FROM outbox o JOIN cases c ON c.id = o.case_id WHERE c.household_id = %(household_id)s)

-- name: home_receipts
UPDATE receipts SET detail = ''
WHERE outbox_id IN (SELECT o.id FROM outbox o JOIN cases c ON c.id = o.case_id WHERE c.household_id = %(household_id)s)

-- name: home_call_reports
DELETE FROM call_reports r USING calls k, outbox o, cases c
WHERE r.key LIKE k.key || '%%' AND o.id = k.outbox_id AND c.id = o.case_id AND c.household_id = %(household_id)s

-- name: home_words
DELETE FROM verified_contacts WHERE household_id = %(household_id)s

-- name: home_absences_link
UPDATE absences SET restores = NULL
WHERE restores IN (SELECT id FROM absences WHERE household_id = %(household_id)s)

-- name: home_absences
DELETE FROM absences WHERE household_id = %(household_id)s

-- name: home_consents
UPDATE consents SET given_by = 'person:' || %(person_id)s WHERE household_id = %(household_id)s

-- name: home_presence
DELETE FROM household_presence WHERE household_id = %(household_id)s

-- name: home_states
DELETE FROM household_states WHERE household_id = %(household_id)s

-- name: home_early_states
DELETE FROM early_states WHERE household_id = %(household_id)s

-- name: home_homecomings
DELETE FROM homecomings WHERE household_id = %(household_id)s

-- name: home_notices
DELETE FROM home_notices WHERE household_id = %(household_id)s

-- name: home_expectations
DELETE FROM home_expectations WHERE household_id = %(household_id)s

-- name: home_late
DELETE FROM home_late WHERE household_id = %(household_id)s

-- name: home_codes
DELETE FROM resident_codes WHERE household_id = %(household_id)s

-- name: home_desk_notes
DELETE FROM desk_notes WHERE household_id = %(household_id)s

-- name: home_voices
DELETE FROM home_voices WHERE household_id = %(household_id)s

-- name: home_agreements
-- that two people agreed stays; why one of them asked goes
UPDATE agreements SET reason = '', asked = asked - 'person', state = CASE WHEN state = 'asked' THEN 'ended' ELSE state END
WHERE household_id = %(household_id)s

-- name: home_leases
DELETE FROM leases WHERE household_id = %(household_id)s

-- name: home_crossing_withdrawals
DELETE FROM crossing_withdrawals WHERE crossing_id IN (SELECT id FROM stage_crossings WHERE household_id = %(household_id)s)

-- name: home_crossings
DELETE FROM stage_crossings WHERE household_id = %(household_id)s

-- name: home_check_ends
DELETE FROM check_ends WHERE check_id IN (SELECT id FROM checks_due WHERE household_id = %(household_id)s)

-- name: home_checks
DELETE FROM checks_due WHERE household_id = %(household_id)s

-- name: home_checks_held
DELETE FROM checks_held WHERE household_id = %(household_id)s

-- name: home_happenings
DELETE FROM happenings WHERE household_id = %(household_id)s

-- name: home_signal_ends
DELETE FROM signal_ends WHERE signal_id IN (SELECT id FROM signals WHERE household_id = %(household_id)s)

-- name: home_signal_forms
UPDATE visit_forms SET signal_id = NULL WHERE signal_id IN (SELECT id FROM signals WHERE household_id = %(household_id)s)

-- name: home_case_signals
DELETE FROM case_signals WHERE signal_id IN (SELECT id FROM signals WHERE household_id = %(household_id)s)

-- name: home_signals
DELETE FROM signals WHERE household_id = %(household_id)s

-- name: home_quarantine
-- a message of her own door may be a way of hers, whatever was in it
UPDATE quarantine SET payload = '', detail = ''
WHERE device_id IN (SELECT d.device_id FROM household_doors d WHERE d.household_id = %(household_id)s AND d.role = 'dwelling')

-- name: home_sessions
SELECT end_sessions_of_home(%(household_id)s)

-- name: home_tokens
SELECT end_tokens_of_home(%(household_id)s)

-- name: home_second_factors
DELETE FROM second_factors WHERE user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
  WHERE uh.household_id = %(household_id)s AND u.role = 'resident')

-- name: home_recovery_codes
DELETE FROM recovery_codes WHERE user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
  WHERE uh.household_id = %(household_id)s AND u.role = 'resident')

-- name: home_sign_in_steps
DELETE FROM sign_in_steps WHERE user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
  WHERE uh.household_id = %(household_id)s AND u.role = 'resident')

-- name: home_sign_in_codes
DELETE FROM sign_in_codes WHERE user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
  WHERE uh.household_id = %(household_id)s AND u.role = 'resident')

-- name: home_known_devices
DELETE FROM known_devices WHERE user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
  WHERE uh.household_id = %(household_id)s AND u.role = 'resident')

-- name: home_outer_identities
DELETE FROM outer_identities WHERE user_id IN (SELECT uh.user_id FROM user_households uh JOIN users u ON u.id = uh.user_id
  WHERE uh.household_id = %(household_id)s AND u.role = 'resident')

-- name: home_users
-- her own way in ends, and her account keeps no name
UPDATE users u SET disabled_at = coalesce(u.disabled_at, %(now)s), display_name = 'deleted', name = 'deleted-' || u.id,
  password_hash = ''
WHERE u.role = 'resident'
  AND EXISTS (SELECT 1 FROM user_households uh WHERE uh.user_id = u.id AND uh.household_id = %(household_id)s)

-- name: home_ties
DELETE FROM user_households WHERE household_id = %(household_id)s

-- name: home_contacts
DELETE FROM household_contacts WHERE household_id = %(household_id)s

-- name: home_watch
UPDATE households SET watched_from = NULL, grid = '' WHERE id = %(household_id)s

-- name: home_pass_notes
UPDATE desk_notes SET credential = NULL
WHERE credential IN (SELECT token FROM credentials WHERE household_id = %(household_id)s)

-- name: home_cards
DELETE FROM credentials WHERE household_id = %(household_id)s

-- name: person_card_notes
UPDATE desk_notes SET credential = NULL
WHERE credential IN (SELECT token FROM credentials WHERE person_id = ANY(%(person_ids)s))

-- name: person_cards
DELETE FROM credentials WHERE person_id = ANY(%(person_ids)s)

-- name: person_messages
UPDATE outbox SET args = '{}', token = NULL, address_id = NULL, provider_id = NULL,
  state = CASE WHEN state IN ('planned', 'uncertain') THEN 'superseded' ELSE state END
WHERE person = ANY(SELECT 'person:' || id FROM unnest(%(person_ids)s::text[]) id)

-- name: person_message_addresses
UPDATE outbox SET address_id = NULL
WHERE address_id IN (SELECT id FROM contact_channels WHERE person_id = ANY(%(person_ids)s))

-- name: person_codes
DELETE FROM binding_codes WHERE person_id = ANY(%(person_ids)s)

-- name: person_addresses
DELETE FROM contact_channels WHERE person_id = ANY(%(person_ids)s)

-- name: person_call_profiles
DELETE FROM call_profiles WHERE person_id = ANY(%(person_ids)s)

-- name: person_phone_changes
DELETE FROM phone_changes WHERE person_id = ANY(%(person_ids)s)

-- name: person_contacts
DELETE FROM household_contacts WHERE person_id = ANY(%(person_ids)s)

-- name: person_identities
DELETE FROM person_identities WHERE person_id = ANY(%(person_ids)s)

-- name: persons
DELETE FROM persons WHERE id = ANY(%(person_ids)s)

-- name: look_up_subjects
-- the paper of a look-up stays; the name in it gives way to her pseudonym, unless another of that name lives there
UPDATE look_up_tickets SET subject = 'person:' || %(person_id)s
WHERE subject = %(name)s AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
  AND NOT EXISTS (SELECT 1 FROM person_identities i WHERE i.name = %(name)s)

-- name: payloads_with_words
-- whatever a device said that holds her name or number
UPDATE quarantine SET payload = '', detail = ''
WHERE EXISTS (SELECT 1 FROM unnest(%(words)s::text[]) w WHERE length(w) >= 2
              AND (position(convert_to(w, 'UTF8') in payload) > 0 OR position(w IN detail) > 0))

-- name: voices_by_name
DELETE FROM home_voices v USING households h JOIN sites s ON s.id = h.site_id
WHERE h.id = v.household_id AND v.spoken_by = %(name)s
  AND (%(community_id)s::text IS NULL OR s.community_id = %(community_id)s)

-- name: recordings_of_voice
DELETE FROM voice_recordings WHERE spoken_by = %(name)s
  AND (%(community_id)s::text IS NULL OR community_id = %(community_id)s)
