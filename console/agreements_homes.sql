-- Homes that are to be moved to another policy or care category: asked by one, done once another agrees.

-- name: home_to_move
-- a home in reach by its id or label, with the policy it has and the one person who lives there, if it is one
SELECT h.id, si.community_id, h.policy_id,
       (SELECT min(p.id) FROM persons p WHERE p.household_id = h.id AND p.relation = 'resident' HAVING count(*) = 1) AS person_id
FROM households h JOIN sites si ON si.id = h.site_id
WHERE (h.id = %(home)s OR h.label = %(home)s) AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)
ORDER BY h.id LIMIT 1

-- name: home_residents
-- who lives in a home
SELECT p.id, i.name, p.birth_year, p.category FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id
WHERE p.household_id = %(household_id)s AND p.relation = 'resident' ORDER BY p.birth_year NULLS LAST, p.id LIMIT 40

-- name: policy_is_there
SELECT 1 WHERE %(policy)s = 'mandated' OR EXISTS (SELECT 1 FROM policies WHERE id = %(policy)s AND valid_from <= %(now)s)

-- name: care_categories
SELECT category, policy_id FROM care_categories ORDER BY category

-- name: open_moves
-- requests that stand for a home, of the same kind and person
SELECT id, asked FROM agreements
WHERE kind = 'household' AND household_id = %(household_id)s AND state = 'asked' AND expires_at > %(wall_now)s
  AND asked->>'what' = %(what)s AND asked->>'person' IS NOT DISTINCT FROM %(person)s
FOR UPDATE

-- name: move_overtaken
UPDATE agreements SET state = 'ended', decided_at = %(wall_now)s WHERE id = %(id)s

-- name: move_add
INSERT INTO agreements (kind, community_id, household_id, asked, reason, asked_by, asked_at, expires_at)
VALUES ('household', %(community_id)s, %(household_id)s, %(asked)s, %(reason)s, %(by)s, %(wall_now)s, %(expires_at)s)
RETURNING id

-- name: move_policy
UPDATE households SET policy_id = %(to)s WHERE id = %(household_id)s AND policy_id = %(from)s

-- name: move_category
UPDATE persons SET category = %(to)s
WHERE id = %(person)s AND household_id = %(household_id)s AND category IS NOT DISTINCT FROM %(from)s

-- name: changed_numbers
-- changed telephone numbers that do not count yet, or not for long; of one community or, where none is given, of all
SELECT x.id, x.person_id, i.name, p.relation, x.confirmed_by, x.old_phone, x.new_phone, x.told_at, x.told_by, x.told_how, t.display_name AS teller,
       x.confirmed_at, x.trusted_from, h.id AS household_id, h.label
FROM phone_changes x JOIN persons p ON p.id = x.person_id LEFT JOIN person_identities i ON i.person_id = p.id
LEFT JOIN users t ON t.id = x.told_by
JOIN LATERAL (
  SELECT h.id, h.label FROM households h JOIN sites si ON si.id = h.site_id
  WHERE (h.id = p.household_id OR h.id IN (SELECT c.household_id FROM household_contacts c WHERE c.person_id = p.id))
    AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)
  ORDER BY h.id = p.household_id DESC NULLS LAST, h.id LIMIT 1
) h ON true
WHERE NOT x.settled AND (x.trusted_from IS NULL OR x.trusted_from > %(now)s)
ORDER BY x.id LIMIT 200

-- name: number_home
-- the home through which somebody is reached whose number changed
SELECT h.id FROM phone_changes x JOIN persons p ON p.id = x.person_id
JOIN households h ON h.id = p.household_id OR h.id IN (SELECT c.household_id FROM household_contacts c WHERE c.person_id = p.id)
JOIN sites si ON si.id = h.site_id
WHERE x.id = %(id)s AND (%(community_id)s::text IS NULL OR si.community_id = %(community_id)s)
ORDER BY h.id LIMIT 1

-- name: refuse_number
-- the number before is rung again; null where nothing waits there for the reader
SELECT refuse_phone_change(%(id)s, %(now)s) AS person
