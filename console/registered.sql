-- What the books hold of one home, beside what its doors tell: who lives there, the lease, the cards, the helpers, visits.

-- name: residents
-- who lives in a home, eldest first
SELECT i.name, p.birth_year, p.category, p.hard_of_hearing FROM persons p LEFT JOIN person_identities i ON i.person_id = p.id
WHERE p.household_id = %(household_id)s AND p.relation = 'resident' ORDER BY p.birth_year NULLS LAST, p.id LIMIT 20

-- name: lease
-- the lease that holds or, where none does, the last or next one; and when it was written down
SELECT from_at, to_at, occupants, registration, recorded_at FROM leases WHERE household_id = %(household_id)s
ORDER BY from_at <= %(now)s AND (to_at IS NULL OR to_at > %(now)s) DESC, from_at DESC LIMIT 1

-- name: cards
-- the home's cards and passes, those that hold first; of those that hold no more the last half year's
SELECT right(token, 4) AS ending, class, valid_to, lost_at, valid_to IS NULL OR valid_to > %(now)s AS holds FROM credentials
WHERE household_id = %(household_id)s AND class IN ('resident', 'family', 'visitor') AND (valid_to IS NULL OR valid_to > %(now)s - interval '183 days')
ORDER BY holds DESC, class DESC, valid_to DESC NULLS FIRST, token LIMIT 21

-- name: visits
-- visits of this month that were asked for, those done, and the last one done ever
SELECT count(*) FILTER (WHERE created_at >= %(month_begin)s AND state <> 'superseded') AS asked,
       count(*) FILTER (WHERE state = 'done' AND done_at >= %(month_begin)s) AS done,
       max(done_at) FILTER (WHERE state = 'done') AS last_at
FROM tasks WHERE household_id = %(household_id)s AND kind = 'visit'
