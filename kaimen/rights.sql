-- Who may do what with which table; applied whole at the end of `kaimen db migrate`, wherever it has changed.
--
-- The console's rows: `seen` is an expression over one row that says whether it is in the reader's scope; FOR UPDATE and
-- INSERT the same holds, or `written` where writing is narrower ('false': locked, never written). No row here: the console cannot reach the table.
-- A new table of people gets its line here, or tests/integration/test_row_security.py names it.
--
--   class   people: row-level security, forced; the services' roles see what they were granted, the console what is seen
--           hidden: row-level security, forced; no right at all for the console
--           places: nothing about people in it; no row-level security, reviewed

CREATE TEMP TABLE wanted_tables (name text PRIMARY KEY, class text NOT NULL, console text NOT NULL DEFAULT '',
                                 seen text NOT NULL DEFAULT '', written text) ON COMMIT DROP;
INSERT INTO wanted_tables (name, class, console, seen, written) VALUES
-- Secrets, and what only functions read.
('scope_keys', 'hidden', '', '', NULL),
('sessions', 'hidden', '', '', NULL),
('api_tokens', 'hidden', '', '', NULL),
('sign_in_failures', 'people', 'SELECT, INSERT, DELETE',
 '(SELECT scope_word(''kind'')) = ''console'' OR name = (SELECT scope_word(''name''))', NULL),
('sign_in_steps', 'people', 'SELECT, INSERT, DELETE', '(SELECT scope_word(''kind'')) = ''console''', NULL),
('sign_in_codes', 'people', 'SELECT, INSERT, UPDATE, DELETE', '(SELECT scope_word(''kind'')) = ''console''', NULL),
('known_devices', 'people', 'SELECT, INSERT, UPDATE, DELETE', '(SELECT scope_word(''kind'')) = ''console''', NULL),
('second_factors', 'people', 'SELECT, INSERT, UPDATE, DELETE',
 'user_id::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''kind'')) = ''console''
  OR (SELECT scope_word(''role'')) = ''admin'' AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)', NULL),
('recovery_codes', 'people', 'SELECT, INSERT, UPDATE, DELETE',
 'user_id::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''kind'')) = ''console''
  OR (SELECT scope_word(''role'')) = ''admin'' AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)', NULL),
('outer_identities', 'people', 'SELECT, INSERT, DELETE',
 '(SELECT scope_word(''kind'')) = ''console'' OR (SELECT scope_word(''role'')) = ''admin'' AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)',
 '(SELECT scope_word(''role'')) = ''admin'' AND user_id::text <> (SELECT scope_word(''user'')) AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)'),
('people_requests', 'people', 'SELECT, INSERT, UPDATE',
 '(SELECT scope_word(''role'')) = ''admin'' AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)', NULL),
('user_positions', 'people', 'SELECT, INSERT, DELETE',
 'user_id::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''kind'')) = ''console''
  OR community_id = ANY ((SELECT scope_list(''seen''))::text[]) AND (SELECT scope_word(''role'')) NOT IN (''family'', ''resident'')
  OR (SELECT scope_word(''role'')) = ''admin'' AND governs(user_id)',
 '(SELECT scope_word(''role'')) = ''admin'' AND governs(user_id)
  AND (community_id = ANY ((SELECT scope_list(''places''))::text[]) OR (SELECT scope_word(''all'')) = ''true'')'),
('event_reads', 'hidden', '', '', NULL),
('door_events', 'events', '', '', NULL),
-- Places and machines: nobody's data.
('communities', 'people', 'SELECT', 'id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('sites', 'people', 'SELECT', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('installation', 'places', 'SELECT', '', NULL),
('schema_migrations', 'places', 'SELECT', '', NULL),
('applied_rights', 'places', 'SELECT', '', NULL),
('retention_rules', 'places', 'SELECT, UPDATE', '', NULL),
('retention_runs', 'places', 'SELECT, INSERT', '', NULL),
('schema_fence', 'places', 'SELECT', '', NULL),
('outbox_holds', 'places', 'SELECT, INSERT, UPDATE', '', NULL),
('policies', 'people', 'SELECT, INSERT', '(SELECT scope_word(''kind'')) <> ''''', '(SELECT scope_word(''role'')) = ''admin'''),
('buildings', 'places', 'SELECT', '', NULL),
('look_backs', 'people', 'SELECT, INSERT, DELETE', 'community_id = ANY ((SELECT scope_list(''places''))::text[])', NULL),
('agreements', 'people', 'SELECT, INSERT, UPDATE',
 'community_id = ANY ((SELECT scope_list(''places''))::text[]) OR (SELECT scope_word(''all'')) = ''true''', NULL),
('care_categories', 'places', 'SELECT', '', NULL),
('holiday_years', 'places', 'SELECT, INSERT, UPDATE, DELETE', '', NULL),
('channel_states', 'places', 'SELECT', '', NULL),
('service_progress', 'places', 'SELECT', '', NULL),
('ingest_leases', 'places', '', '', NULL),
('detector_snapshots', 'people', '', 'false', NULL),
('detector_recalls', 'places', '', '', NULL),
('ingest_workers', 'places', '', '', NULL),
('registry_changes', 'places', '', '', NULL),
('duty_versions', 'places', 'SELECT', '', NULL),
('watchdog_findings', 'places', 'SELECT', '', NULL),
('watchdog_beats', 'places', 'SELECT', '', NULL),
('sendings', 'places', '', '', NULL),
('call_back_failures', 'places', 'SELECT, INSERT, DELETE', '', NULL),
('kiosk_presses', 'people', 'SELECT, INSERT, DELETE', 'EXISTS (SELECT 1 FROM kiosks k WHERE k.id = kiosk_id)', NULL),
-- Homes and who lives in them.
('households', 'people', 'SELECT, UPDATE',
 'site_id = ANY ((SELECT scope_list(''sites''))::text[]) OR id = ANY ((SELECT scope_list(''homes''))::text[])', NULL),
('household_doors', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('household_sensors', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('household_contacts', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('household_states', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('household_presence', 'people', 'SELECT, DELETE', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('persons', 'people', 'SELECT, UPDATE (category, hard_of_hearing)',
 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id) OR EXISTS (SELECT 1 FROM household_contacts c WHERE c.person_id = persons.id)',
 '(SELECT scope_word(''role'')) IN (''property_clerk'', ''admin'') AND EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)'),
('person_identities', 'people', 'SELECT',
 '(SELECT scope_word(''role'')) <> ALL (''{property_director,community_committee,auditor,police_supervisor,admin}'')
  AND EXISTS (SELECT 1 FROM persons p WHERE p.id = person_id)', NULL),
('credentials', 'people', 'SELECT, INSERT, UPDATE',
 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)
  OR household_id IS NULL AND class IN (''staff'', ''guard'', ''visitor'') AND (SELECT scope_word(''kind'')) <> ''''',
 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)'),
('consents', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('absences', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('verified_contacts', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('homecomings', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('home_notices', 'people', 'SELECT, INSERT, UPDATE, DELETE', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('home_expectations', 'people', 'SELECT, INSERT, UPDATE, DELETE', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('home_late', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('leases', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('early_states', 'people', 'SELECT, DELETE', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('resident_codes', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('call_profiles', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM persons p WHERE p.id = person_id)',
 '(SELECT scope_word(''role'')) IN (''property_clerk'', ''resident'') AND EXISTS (SELECT 1 FROM persons p WHERE p.id = person_id)'),
('phone_changes', 'people', 'SELECT, UPDATE (told_at, told_by, told_how, confirmed_at, confirmed_by, trusted_from, old_phone)',
 'EXISTS (SELECT 1 FROM persons p WHERE p.id = person_id)',
 '((SELECT scope_word(''role'')) = ''property_clerk'' OR (SELECT scope_word(''role'')) IN (''community_committee'', ''property_director'')
    AND told_at IS NOT NULL AND coalesce(confirmed_by, 0)::text IN (''0'', (SELECT scope_word(''user''))))
  AND EXISTS (SELECT 1 FROM persons p WHERE p.id = person_id)
  AND (trusted_from IS NULL OR trusted_from >= confirmed_at + interval ''72 hours'')'),
-- What the watching found.
('stage_crossings', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('crossing_withdrawals', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM stage_crossings c WHERE c.id = crossing_id)', NULL),
('checks_due', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('check_ends', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM checks_due c WHERE c.id = check_id)', NULL),
('checks_held', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('happenings', 'people', 'SELECT, INSERT',
 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id) OR household_id IS NULL AND (SELECT scope_word(''kind'')) <> ''''', NULL),
('signals', 'people', 'SELECT, INSERT',
 'community_id = ANY ((SELECT scope_list(''places''))::text[]) OR household_id = ANY ((SELECT scope_list(''homes''))::text[])', NULL),
('signal_ends', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM signals s WHERE s.id = signal_id)', NULL),
-- Devices; their counters tell of openings.
('devices', 'people', 'SELECT, UPDATE (id)',
 'site_id = ANY ((SELECT scope_list(''sites''))::text[]) OR is_linked_device(id)', 'false'),
('device_states', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM devices d WHERE d.id = device_id)', NULL),
('device_commissionings', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM devices d WHERE d.id = device_id)', NULL),
('device_tallies', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM devices d WHERE d.id = device_id)', NULL),
('outages', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM devices d WHERE d.id = device_id)', NULL),
('outage_ends', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM outages o WHERE o.id = outage_id)', NULL),
('outage_moves', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM outages o WHERE o.id = outage_id)', NULL),
('coverage_points', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM devices d WHERE d.no = device_no)', NULL),
('boots', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM devices d WHERE d.no = device_no)', NULL),
('boot_losses', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM devices d WHERE d.no = device_no)', NULL),
('quarantine', 'people', 'SELECT, UPDATE',
 'split_part(topic, ''/'', 5) IN (SELECT id FROM sites) OR (SELECT is_only_community()) OR (SELECT scope_word(''all'')) = ''true''', NULL),
-- Cases and the work on them.
('cases', 'people', 'SELECT, INSERT, UPDATE',
 'community_id = ANY ((SELECT scope_list(''places''))::text[]) OR household_id = ANY ((SELECT scope_list(''homes''))::text[])', NULL),
('case_numbers', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('case_entries', 'people', 'SELECT, INSERT', 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)', NULL),
('case_households', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)', NULL),
('case_signals', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)', NULL),
('tasks', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)', NULL),
('visit_forms', 'people', 'SELECT, INSERT', 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)', NULL),
('visit_photos', 'people', 'SELECT, INSERT, DELETE', 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)',
 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id) AND user_id::text = (SELECT scope_word(''user''))'),
('entry_steps', 'people', 'SELECT, INSERT', 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)', NULL),
('field_acts', 'people', 'SELECT, INSERT',
 'EXISTS (SELECT 1 FROM tasks t WHERE t.id = task_id)', NULL),
('duty_handovers', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)', NULL),
('desk_notes', 'people', 'SELECT, INSERT, UPDATE',
 'community_id = ANY ((SELECT scope_list(''places''))::text[]) OR household_id = ANY ((SELECT scope_list(''homes''))::text[])', NULL),
-- Messages.
('outbox', 'people', 'SELECT, INSERT, UPDATE',
 'EXISTS (SELECT 1 FROM cases c WHERE c.id = case_id)
  OR case_id IS NULL AND (person = (SELECT scope_word(''recipient'')) OR (SELECT scope_word(''kind'')) = ''console''
    OR step = ''test'' AND (SELECT scope_word(''role'')) = ''admin'' AND EXISTS (SELECT 1 FROM users u WHERE ''user:'' || u.id = person))', NULL),
('deliveries', 'people', 'SELECT, INSERT', 'EXISTS (SELECT 1 FROM outbox o WHERE o.id = outbox_id)', NULL),
('receipts', 'people', 'SELECT, INSERT', 'EXISTS (SELECT 1 FROM outbox o WHERE o.id = outbox_id)', NULL),
('calls', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM outbox o WHERE o.id = outbox_id)', NULL),
('call_attempts', 'people', 'SELECT, INSERT, UPDATE', 'EXISTS (SELECT 1 FROM calls c WHERE c.id = call_id)', NULL),
('call_reports', 'people', 'SELECT, INSERT', '(SELECT scope_word(''kind'')) = ''console''', NULL),
('contact_channels', 'people', 'SELECT, INSERT, UPDATE',
 'recipient = (SELECT scope_word(''recipient'')) OR (SELECT scope_word(''kind'')) = ''console''
  OR person_id IS NOT NULL AND EXISTS (SELECT 1 FROM persons p WHERE p.id = person_id)
  OR user_id IS NOT NULL AND (SELECT scope_word(''role'')) IN (''property_clerk'', ''admin'') AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)
  OR community_id = ANY ((SELECT scope_list(''places''))::text[])', NULL),
('binding_codes', 'people', 'SELECT, INSERT, UPDATE',
 'user_id::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''kind'')) = ''console''
  OR EXISTS (SELECT 1 FROM persons p WHERE p.id = person_id)
  OR (SELECT scope_word(''role'')) = ''admin'' AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)', NULL),
('home_voices', 'people', 'SELECT, INSERT, UPDATE, DELETE',
 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)
  AND (recorded_by::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''role'')) = ''property_clerk'')', NULL),
('inbound_paths', 'people', 'SELECT, INSERT, UPDATE, DELETE',
 '(SELECT scope_word(''kind'')) = ''console'' OR (SELECT scope_word(''role'')) = ''admin''', NULL),
('voice_recordings', 'people', 'SELECT', 'community_id = ANY ((SELECT scope_list(''places''))::text[])', NULL),
-- People who sign in, and their duty.
('users', 'people', 'SELECT (id, name, display_name, role, community_id, language, created_at, disabled_at, trained_until, factor_due_at, password_due, signed_in_at, failures_before, contact_id),
  INSERT (name, display_name, password_hash, role, community_id, language, created_at),
  UPDATE (language, disabled_at, password_hash, password_due, factor_due_at, signed_in_at, failures_before)',
 'id::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''all'')) = ''true''
  OR community_id = ANY ((SELECT scope_list(''seen''))::text[]) AND ((SELECT scope_word(''role'')) NOT IN (''family'', ''resident'') OR role NOT IN (''family'', ''resident''))
  OR is_linked_user(id)
  OR role = ''admin'' AND community_id IS NULL AND (SELECT scope_word(''kind'')) <> ''''',
 'id::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''kind'')) = ''console''
  OR (SELECT scope_word(''role'')) = ''admin'' AND (community_id = ANY ((SELECT scope_list(''places''))::text[]) OR (SELECT scope_word(''all'')) = ''true'')'),
('user_households', 'people', 'SELECT, UPDATE',
 'user_id::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''role'')) <> ''family'' AND EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)',
 '(SELECT scope_word(''role'')) IN (''resident'', ''property_clerk'') AND EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)'),
('user_communities', 'people', 'SELECT, DELETE', 'user_id::text = (SELECT scope_word(''user'')) OR community_id = ANY ((SELECT scope_list(''places''))::text[])',
 '(SELECT scope_word(''role'')) = ''admin'' AND community_id = ANY ((SELECT scope_list(''places''))::text[])'),
('staff_phones', 'people', 'SELECT, INSERT, UPDATE', '(SELECT scope_word(''role'')) NOT IN (''family'', ''resident'') AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)',
 '(SELECT scope_word(''role'')) = ''admin'' AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)'),
('duty_feeds', 'people', 'SELECT, INSERT, UPDATE',
 'user_id::text = (SELECT scope_word(''user'')) OR (SELECT scope_word(''kind'')) = ''console''
  OR (SELECT scope_word(''role'')) = ''admin'' AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id)', NULL),
-- A number for everybody who may ring it, entered by whoever keeps the duty.
('duty_lines', 'people', 'SELECT, INSERT, UPDATE, DELETE', 'true',
 '(SELECT scope_word(''role'')) = ''admin'' AND (community_id = ANY ((SELECT scope_list(''places''))::text[]) OR (SELECT scope_word(''all'')) = ''true'')'),
('duty_rosters', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('duty_rules', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('duty_shifts', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('duty_overrides', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('duty_swaps', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('duty_deputies', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', NULL),
('live_tests', 'people', 'SELECT, INSERT, UPDATE, DELETE', 'community_id = ANY ((SELECT scope_list(''places''))::text[])', NULL),
('kiosks', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''places''))::text[])', NULL),
-- People's rights over what is stored of them; their pages act with a login of their own (kaimen_rights).
('rights_ledger', 'people', '', 'false', NULL),
('person_deletions', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('legal_holds', 'people', 'SELECT', 'EXISTS (SELECT 1 FROM households h WHERE h.id = household_id)', NULL),
('note_reviews', 'people', 'SELECT', 'community_id = ANY ((SELECT scope_list(''places''))::text[])', NULL),
-- Who looked.
('look_up_tickets', 'people', 'SELECT, INSERT, UPDATE', 'community_id = ANY ((SELECT scope_list(''seen''))::text[])', 'community_id = ANY ((SELECT scope_list(''places''))::text[])'),
('look_up_reads', 'people', 'SELECT',
 'reader_id::text = (SELECT scope_word(''user'')) OR EXISTS (SELECT 1 FROM look_up_tickets t WHERE t.id = ticket_id) OR (SELECT scope_word(''all'')) = ''true''', NULL),
('audit_marks', 'people', 'SELECT, INSERT', 'EXISTS (SELECT 1 FROM audit_entries a WHERE a.id = entry_id)', NULL),
('audit_entries', 'people', 'SELECT, INSERT',
 'actor = (SELECT scope_word(''recipient'')) OR (SELECT scope_word(''role'')) IN (''admin'', ''console'')
  OR detail->>''community'' = ANY ((SELECT scope_list(''places''))::text[])
  OR object_kind = ''household'' AND EXISTS (SELECT 1 FROM households h WHERE h.id = object_id)
  OR detail->>''household'' = ANY ((SELECT scope_list(''homes''))::text[])
  OR detail->''households'' ?| (SELECT scope_list(''homes''))::text[]',
 'actor = (SELECT scope_word(''recipient'')) OR (SELECT scope_word(''kind'')) = ''console''');

-- What services do; r: SELECT, a: INSERT, w: UPDATE, d: DELETE.
CREATE TEMP TABLE wanted_services (role text, name text, rights text) ON COMMIT DROP;
INSERT INTO wanted_services (role, name, rights) VALUES
('kaimen_ingest', 'absences', 'r'),
('kaimen_ingest', 'boot_losses', 'raw'),
('kaimen_ingest', 'boots', 'rawd'),
('kaimen_ingest', 'check_ends', 'ra'),
('kaimen_ingest', 'checks_due', 'ra'),
('kaimen_ingest', 'checks_held', 'raw'),
('kaimen_ingest', 'communities', 'r'),
('kaimen_ingest', 'consents', 'r'),
('kaimen_ingest', 'coverage_points', 'rawd'),
('kaimen_ingest', 'credentials', 'r'),
('kaimen_ingest', 'crossing_withdrawals', 'ra'),
('kaimen_ingest', 'detector_recalls', 'rw'),
('kaimen_ingest', 'detector_snapshots', 'rawd'),
('kaimen_ingest', 'device_commissionings', 'ra'),
('kaimen_ingest', 'device_states', 'raw'),
('kaimen_ingest', 'device_tallies', 'raw'),
('kaimen_ingest', 'devices', 'r'),
('kaimen_ingest', 'door_events', 'ra'),
('kaimen_ingest', 'early_states', 'rawd'),
('kaimen_ingest', 'happenings', 'ra'),
('kaimen_ingest', 'home_notices', 'r'),
('kaimen_ingest', 'homecomings', 'rad'),
('kaimen_ingest', 'household_doors', 'r'),
('kaimen_ingest', 'household_presence', 'rawd'),
('kaimen_ingest', 'household_sensors', 'r'),
('kaimen_ingest', 'household_states', 'raw'),
('kaimen_ingest', 'households', 'r'),
('kaimen_ingest', 'ingest_leases', 'raw'),
('kaimen_ingest', 'ingest_workers', 'rawd'),
('kaimen_ingest', 'leases', 'r'),
('kaimen_ingest', 'look_backs', 'rw'),
('kaimen_ingest', 'outage_ends', 'ra'),
('kaimen_ingest', 'outage_moves', 'ra'),
('kaimen_ingest', 'outages', 'raw'),
('kaimen_ingest', 'persons', 'r'),
('kaimen_ingest', 'policies', 'r'),
('kaimen_ingest', 'quarantine', 'raw'),
('kaimen_ingest', 'registry_changes', 'r'),
('kaimen_ingest', 'service_progress', 'raw'),
('kaimen_ingest', 'signal_ends', 'ra'),
('kaimen_ingest', 'signals', 'ra'),
('kaimen_ingest', 'sites', 'r'),
('kaimen_ingest', 'stage_crossings', 'ra'),
('kaimen_ingest', 'verified_contacts', 'r'),
('kaimen_alerts', 'absences', 'rawd'),
('kaimen_alerts', 'binding_codes', 'rd'),
('kaimen_alerts', 'call_attempts', 'rawd'),
('kaimen_alerts', 'call_back_failures', 'rad'),
('kaimen_alerts', 'call_profiles', 'raw'),
('kaimen_alerts', 'call_reports', 'rad'),
('kaimen_alerts', 'calls', 'rawd'),
('kaimen_alerts', 'care_categories', 'r'),
('kaimen_alerts', 'case_entries', 'rad'),
('kaimen_alerts', 'case_households', 'rawd'),
('kaimen_alerts', 'case_numbers', 'raw'),
('kaimen_alerts', 'case_signals', 'rawd'),
('kaimen_alerts', 'cases', 'rawd'),
('kaimen_alerts', 'channel_states', 'raw'),
('kaimen_alerts', 'check_ends', 'rd'),
('kaimen_alerts', 'checks_due', 'rd'),
('kaimen_alerts', 'communities', 'r'),
('kaimen_alerts', 'consents', 'rwd'),
('kaimen_alerts', 'contact_channels', 'rwd'),
('kaimen_alerts', 'credentials', 'rd'),
('kaimen_alerts', 'crossing_withdrawals', 'rd'),
('kaimen_alerts', 'deliveries', 'rad'),
('kaimen_alerts', 'desk_notes', 'rwd'),
('kaimen_alerts', 'devices', 'r'),
('kaimen_alerts', 'door_events', 'r'),
('kaimen_alerts', 'duty_deputies', 'raw'),
('kaimen_alerts', 'duty_handovers', 'rawd'),
('kaimen_alerts', 'duty_overrides', 'raw'),
('kaimen_alerts', 'duty_rosters', 'raw'),
('kaimen_alerts', 'duty_rules', 'raw'),
('kaimen_alerts', 'duty_shifts', 'raw'),
('kaimen_alerts', 'duty_swaps', 'raw'),
('kaimen_alerts', 'duty_versions', 'r'),
('kaimen_alerts', 'entry_steps', 'rd'),
('kaimen_alerts', 'field_acts', 'rd'),
('kaimen_alerts', 'happenings', 'rawd'),
('kaimen_alerts', 'holiday_years', 'raw'),
('kaimen_alerts', 'home_expectations', 'r'),
('kaimen_alerts', 'home_late', 'ra'),
('kaimen_alerts', 'home_notices', 'r'),
('kaimen_alerts', 'home_voices', 'r'),
('kaimen_alerts', 'homecomings', 'rw'),
('kaimen_alerts', 'household_contacts', 'r'),
('kaimen_alerts', 'household_doors', 'r'),
('kaimen_alerts', 'household_presence', 'r'),
('kaimen_alerts', 'household_states', 'r'),
('kaimen_alerts', 'households', 'r'),
('kaimen_alerts', 'leases', 'rd'),
('kaimen_alerts', 'live_tests', 'raw'),
('kaimen_alerts', 'note_reviews', 'rd'),
('kaimen_alerts', 'outage_ends', 'r'),
('kaimen_alerts', 'outage_moves', 'r'),
('kaimen_alerts', 'outages', 'r'),
('kaimen_alerts', 'outbox', 'rawd'),
('kaimen_alerts', 'outbox_holds', 'raw'),
('kaimen_alerts', 'person_identities', 'r'),
('kaimen_alerts', 'persons', 'r'),
('kaimen_alerts', 'phone_changes', 'rw'),
('kaimen_alerts', 'policies', 'r'),
('kaimen_alerts', 'quarantine', 'rd'),
('kaimen_alerts', 'receipts', 'rad'),
('kaimen_alerts', 'retention_rules', 'rw'),
('kaimen_alerts', 'retention_runs', 'ra'),
('kaimen_alerts', 'sendings', 'rad'),
('kaimen_alerts', 'service_progress', 'raw'),
('kaimen_alerts', 'signal_ends', 'rd'),
('kaimen_alerts', 'signals', 'rad'),
('kaimen_alerts', 'sites', 'r'),
('kaimen_alerts', 'staff_phones', 'rawd'),
('kaimen_alerts', 'stage_crossings', 'rd'),
('kaimen_alerts', 'tasks', 'rawd'),
('kaimen_alerts', 'user_households', 'r'),
('kaimen_alerts', 'user_positions', 'r'),
('kaimen_alerts', 'users', 'r'),
('kaimen_alerts', 'verified_contacts', 'rawd'),
('kaimen_alerts', 'visit_forms', 'rwd'),
('kaimen_alerts', 'visit_photos', 'rd'),
('kaimen_alerts', 'voice_recordings', 'raw'),
('kaimen_watchdog', 'call_attempts', 'r'),
('kaimen_watchdog', 'case_households', 'r'),
('kaimen_watchdog', 'cases', 'r'),
('kaimen_watchdog', 'channel_states', 'r'),
('kaimen_watchdog', 'consents', 'r'),
('kaimen_watchdog', 'happenings', 'r'),
('kaimen_watchdog', 'household_states', 'r'),
('kaimen_watchdog', 'ingest_leases', 'r'),
('kaimen_watchdog', 'outbox', 'r'),
('kaimen_watchdog', 'service_progress', 'r'),
('kaimen_watchdog', 'watchdog_beats', 'raw'),
('kaimen_watchdog', 'watchdog_findings', 'rawd');

-- The fence stands before whoever writes, and what reads the outbox asks for holds.
INSERT INTO wanted_services (role, name, rights) VALUES
('kaimen_alerts', 'legal_holds', 'r'), ('kaimen_ingest', 'schema_fence', 'r'), ('kaimen_alerts', 'schema_fence', 'r'), ('kaimen_watchdog', 'schema_fence', 'r'),
('kaimen_ingest', 'outbox_holds', 'r'), ('kaimen_watchdog', 'outbox_holds', 'r');

CREATE TEMP TABLE wanted_functions (role text, name text) ON COMMIT DROP;
INSERT INTO wanted_functions (role, name) VALUES
('kaimen_ingest', 'ensure_event_partitions'), ('kaimen_ingest', 'enter_schema'), ('kaimen_alerts', 'enter_schema'),
('kaimen_alerts', 'forget_event_days'), ('kaimen_alerts', 'forget_event_holders'), ('kaimen_alerts', 'standing_holds'),
('kaimen_alerts', 'event_days_to_pack'), ('kaimen_alerts', 'pack_event_day'),
('kaimen_alerts', 'forget_registry_notes'), ('kaimen_rights', 'forget_registry_notes'),
('kaimen_alerts', 'may_be_under_14'), ('kaimen_console', 'may_be_under_14'), ('kaimen_console', 'standing_holds'),
('kaimen_console', 'enter_schema'), ('kaimen_watchdog', 'enter_schema'),
('kaimen_rights', 'forget_event_days'), ('kaimen_rights', 'forget_event_holders'), ('kaimen_rights', 'events_of'), ('kaimen_rights', 'forget_events_of'), ('kaimen_rights', 'find_words'),
('kaimen_console', 'scope_list'), ('kaimen_console', 'scope_word'), ('kaimen_console', 'open_scope'),
('kaimen_console', 'open_console'), ('kaimen_console', 'is_only_community'), ('kaimen_console', 'scope'),
('kaimen_console', 'sign_in_user'), ('kaimen_console', 'sent_code_readers'), ('kaimen_console', 'open_relative'), ('kaimen_console', 'close_relative'), ('kaimen_console', 'sent_code_reader'), ('kaimen_console', 'own_standing'), ('kaimen_console', 'is_name_taken'),
('kaimen_console', 'start_session'), ('kaimen_console', 'find_session'), ('kaimen_console', 'find_seat'), ('kaimen_console', 'touch_session'),
('kaimen_console', 'place_session'), ('kaimen_console', 'position_session'),
('kaimen_console', 'note_factor_outside'), ('kaimen_console', 'end_session'), ('kaimen_console', 'own_sessions'),
('kaimen_console', 'end_own_session'), ('kaimen_console', 'end_other_sessions'),
('kaimen_console', 'end_sessions_of'), ('kaimen_console', 'end_sessions_of_position'),
('kaimen_console', 'session_count'), ('kaimen_console', 'last_seen'), ('kaimen_console', 'end_steps_of'),
('kaimen_console', 'end_devices_of'), ('kaimen_console', 'forget_failures_of'), ('kaimen_console', 'change_role'),
('kaimen_console', 'note_training'), ('kaimen_console', 'disable_user'), ('kaimen_console', 'enable_user'),
('kaimen_console', 'make_api_token'), ('kaimen_console', 'find_api_token'), ('kaimen_console', 'touch_api_token'),
('kaimen_console', 'api_tokens_of'), ('kaimen_console', 'revoke_api_tokens'), ('kaimen_console', 'end_tokens_of'),
('kaimen_console', 'forget_expired'),
('kaimen_rights', 'end_sessions_of_home'), ('kaimen_rights', 'end_tokens_of_home'),
('kaimen_console', 'audit_end'), ('kaimen_console', 'calling_counts'), ('kaimen_console', 'look_up_events'),
('kaimen_console', 'read_device_events'), ('kaimen_console', 'read_household_openings'),
('kaimen_console', 'read_evidence_events'), ('kaimen_console', 'read_signs'), ('kaimen_console', 'read_denials'),
('kaimen_console', 'read_log'), ('kaimen_console', 'is_place_seen'), ('kaimen_console', 'count_watched'),
('kaimen_console', 'watched_homes'), ('kaimen_console', 'stairwell_gateways'), ('kaimen_console', 'building_counts'), ('kaimen_console', 'is_owner'), ('kaimen_console', 'is_linked_user'), ('kaimen_console', 'is_linked_device'), ('kaimen_console', 'governs'),
('kaimen_console', 'refuse_phone_change');

DO $$
DECLARE
  found record;
  service text;
  owner text := (SELECT quote_ident(r.rolname) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
                 WHERE c.oid = 'public.scope_keys'::regclass);
BEGIN
  EXECUTE 'REVOKE CREATE ON SCHEMA public FROM PUBLIC';
  EXECUTE 'GRANT USAGE ON SCHEMA public TO kaimen_console, kaimen_ingest, kaimen_alerts, kaimen_watchdog, kaimen_rights';
  -- Functions that an extension brought stay as it made them.
  FOR found IN
    SELECT p.oid::regprocedure AS name FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, kaimen_console, kaimen_ingest, kaimen_alerts, kaimen_watchdog, kaimen_rights', found.name);
  END LOOP;
  -- What triggers write, they write as the owner, whoever changed the row.
  FOR found IN
    SELECT p.oid::regprocedure AS name FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype = 'trigger'::regtype AND NOT p.prosecdef
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
  LOOP
    EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp', found.name);
  END LOOP;
  FOR found IN
    SELECT w.role, p.oid::regprocedure AS name FROM wanted_functions w
    JOIN pg_proc p ON p.proname = w.name AND p.pronamespace = 'public'::regnamespace
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.name, found.role);
    IF found.role = 'kaimen_console' THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO kaimen_rights', found.name);
    END IF;
  END LOOP;

  FOR found IN
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
  LOOP
    EXECUTE format('REVOKE ALL ON %I FROM PUBLIC, kaimen_console, kaimen_ingest, kaimen_alerts, kaimen_watchdog, kaimen_rights', found.relname);
  END LOOP;
  FOR found IN SELECT schemaname, tablename, policyname FROM pg_policies WHERE schemaname = 'public' AND policyname LIKE 'kaimen\_%' LOOP
    EXECUTE format('DROP POLICY %I ON %I.%I', found.policyname, found.schemaname, found.tablename);
  END LOOP;

  FOR found IN SELECT w.* FROM wanted_tables w JOIN pg_class c ON c.relname = w.name AND c.relnamespace = 'public'::regnamespace LOOP
    IF found.class IN ('people', 'hidden') THEN
      EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', found.name);
      -- The owner is forced like everybody; migrations, commands and the functions above work as the owner.
      EXECUTE format('CREATE POLICY kaimen_owner ON %I TO %s USING (true) WITH CHECK (true)', found.name, owner);
    END IF;
    IF found.class = 'people' THEN
      EXECUTE format('CREATE POLICY kaimen_services ON %I TO kaimen_ingest, kaimen_alerts, kaimen_watchdog, kaimen_rights USING (true) WITH CHECK (true)', found.name);
      EXECUTE format('CREATE POLICY kaimen_console_reads ON %I FOR SELECT TO kaimen_console USING (%s)', found.name, found.seen);
      IF found.console ~ 'INSERT' THEN
        EXECUTE format('CREATE POLICY kaimen_console_adds ON %I FOR INSERT TO kaimen_console WITH CHECK (%s)', found.name, coalesce(found.written, found.seen));
      END IF;
      IF found.console ~ 'UPDATE' THEN
        -- 'false': its rows may be locked where they are seen, and are never changed.
        EXECUTE format('CREATE POLICY kaimen_console_changes ON %I FOR UPDATE TO kaimen_console USING (%s) WITH CHECK (%s)',
                       found.name, coalesce(nullif(found.written, 'false'), found.seen), coalesce(found.written, found.seen));
      END IF;
      IF found.console ~ 'DELETE' THEN
        EXECUTE format('CREATE POLICY kaimen_console_deletes ON %I FOR DELETE TO kaimen_console USING (%s)', found.name, coalesce(found.written, found.seen));
      END IF;
    END IF;
    -- Whoever takes out or deletes everything stored of a person has to reach all of it; hidden tables but by functions.
    IF found.class IN ('people', 'places') THEN
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO kaimen_rights', found.name);
    END IF;
    IF found.console <> '' THEN
      EXECUTE format('GRANT %s ON %I TO kaimen_console', found.console, found.name);
    END IF;
  END LOOP;
  EXECUTE 'GRANT SELECT ON outages_now TO kaimen_console, kaimen_ingest, kaimen_alerts, kaimen_watchdog, kaimen_rights';
  EXECUTE 'GRANT SELECT ON open_happenings TO kaimen_alerts, kaimen_watchdog';

  FOR found IN SELECT w.* FROM wanted_services w JOIN pg_class c ON c.relname = w.name AND c.relnamespace = 'public'::regnamespace LOOP
    EXECUTE format('GRANT %s ON %I TO %I',
      concat_ws(', ', CASE WHEN found.rights ~ 'r' THEN 'SELECT' END, CASE WHEN found.rights ~ 'a' THEN 'INSERT' END,
                CASE WHEN found.rights ~ 'w' THEN 'UPDATE' END, CASE WHEN found.rights ~ 'd' THEN 'DELETE' END), found.name, found.role);
  END LOOP;
END $$;
