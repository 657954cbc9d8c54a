-- How the people of a home are spoken to by telephone.

-- name: phone_people
-- who lives in a home and whom it named as contacts, with how each is to be rung; residents first
SELECT p.id, p.relation, i.name, i.phone, p.hard_of_hearing, p.household_id = %(household_id)s AND p.relation = 'resident' AS lives_here,
       coalesce(f.has_phone, true) AS has_phone, f.automatic_from, f.automatic_agreed_by, coalesce(f.shown_number, '') AS shown_number,
       EXISTS (SELECT 1 FROM phone_changes x WHERE x.person_id = p.id AND NOT x.settled
               AND (x.trusted_from IS NULL OR x.trusted_from > %(now)s)) AS number_changed
FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id LEFT JOIN call_profiles f ON f.person_id = p.id
WHERE p.household_id = %(household_id)s AND p.relation = 'resident'
   OR p.id IN (SELECT c.person_id FROM household_contacts c WHERE c.household_id = %(household_id)s)
ORDER BY lives_here DESC, p.id LIMIT 60

-- name: set_hearing
UPDATE persons SET hard_of_hearing = %(hard)s
WHERE id = %(person_id)s AND household_id = %(household_id)s AND relation = 'resident' AND hard_of_hearing <> %(hard)s
