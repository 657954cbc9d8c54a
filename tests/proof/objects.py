"""A world enters; one object of every kind that an address can name leaves, for the own place and for a foreign one.

``own`` belongs to Wenchang, the home of Wang, the clerk, the officer and the relative of it; ``foreign`` to Binhe and
theirs; ``missing`` names nothing. What stands in an address but is a word (a role, a step, an answer) is the same in
all three.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from console import residents
from console.audit import chain as audit
from console.identity import sessions as identity
from kaimen.clock import as_datetime
from kaimen.database import Connection, transaction
from tests.integration.console_world import World

Values = dict[str, object]

_CERTIFICATE: dict[str, object] = {
    "deleted_at": "2025-11-20T00:00:00+00:00", "asked_by": "self", "removed": {}, "kept": [], "flagged_for_review": 0,
    "hash": "0" * 64, "chain": {"entry_id": 1, "hash": "0" * 64},
}  # fmt: skip

WORDS: Values = {
    "purpose": "watch", "answer": "decline", "act": "remove", "kind": "override", "result": "reached", "step": "well",
    "role": "property_clerk", "segment": "elder.greeting", "which": "kept", "provider": "sms_aliyun",
}  # fmt: skip
MISSING: Values = {
    **dict.fromkeys(
        ("case_id", "task_id", "row_id", "ticket_id", "entry_id", "absence_id", "swap_id", "handover_id", "span_id",
         "test_id", "user_id", "note_id", "hold_id", "review_id", "kiosk_id", "address_id", "token_id", "request_id", "position_id", "agreement_id", "proposal_id", "deputy_id",
         "move_id", "photo_id", "change_id"),
        987_654_321,
    ),
    "household_id": "h-none", "person_id": "p-none", "resident_id": "p-none", "device_id": "d-none", "lease_id": "l-none", "gone_id": "p-none", "name": "nobody", "handle": "0" * 16, "session_id": "0" * 16,
    "line_id": "0" * 16, "code": "A" * 24, "token": "a" * 24, "secret": "s" * 24, "key": "nobody-1",
}  # fmt: skip
#: Addresses whose token is of another shape, by the beginning of the path.
TOKENS = {"/kiosk/": "token", "/m/": "message", "/duty/feed/": "feed"}


def add_objects(world: World) -> dict[str, Values]:
    """Add what the world has not yet; return the values of ``own``, ``foreign`` and ``missing``."""
    with transaction(world.pool) as connection:
        made = {
            "own": _add_place(connection, world, "wenchang", "h-wang", ""),
            "foreign": _add_place(connection, world, "binhe", "h-other", "-b"),
        }
    missing = {**WORDS, **MISSING, "community": "wenchang", "message": "a" * 16, "feed": "a" * 43}
    return {place: {**missing, **values} for place, values in made.items()} | {"missing": missing}


def values_for(path: str, values: Values) -> Values:
    """Return the values with the token that addresses of this kind take."""
    for beginning, name in TOKENS.items():
        if path.startswith(beginning):
            return {**values, "token": values[name]}
    return values


def _add_place(connection: Connection, world: World, community: str, home: str, suffix: str) -> Values:
    now, ids = world.now, world.user_ids
    clerk, officer = ids[f"clerk{suffix}"], ids[f"police{suffix}"]
    key = "wang" if not suffix else "other"

    def add(sql: str, *values: object) -> Any:
        row = connection.execute(sql, values).fetchone()  # type: ignore[call-overload]
        return next(iter(row.values()))

    connection.execute(
        "INSERT INTO duty_rosters VALUES (%s, 'property_clerk', 1, %s, 'test')", (community, now)
    )
    kiosk_token = f"kiosk-token-of-{community}-0123456789"
    kiosk = add(
        "INSERT INTO kiosks (community_id, place, token_hash, made_at, made_by) VALUES (%s, '大厅', %s, %s, %s)"
        " RETURNING id",
        community, identity.hash_token(kiosk_token), now, ids["admin"],
    )  # fmt: skip
    person = f"p-family-of-{home}"
    connection.execute(
        "INSERT INTO persons (id, household_id, relation) VALUES (%s, %s, 'family')", (person, home)
    )
    connection.execute("INSERT INTO person_identities VALUES (%s, '周小妹', '13900002222')", (person,))
    connection.execute("INSERT INTO household_contacts VALUES (%s, %s, 'family', 2, '女儿')", (home, person))
    row = connection.execute("SELECT * FROM users WHERE id = %s", (clerk,)).fetchone()
    assert row is not None
    wall = as_datetime(world.wall.now_ms())
    session = identity.open_session(
        connection, viewer=identity.viewer_of(connection, row), agent="test", now=wall
    )
    for recorder in (clerk, ids[f"family{suffix}"]):
        connection.execute(
            "INSERT INTO home_voices VALUES (%s, 'elder.greeting', 'zh', %s, true, '', 'sound', 'a voice', %s, %s)",
            (home, recorder, now, now),
        )
    line = identity.hash_token(session).hex()[:16]
    return {
        "community": community,
        "case_id": world.case_ids[key],
        "task_id": world.task_ids[key],
        "household_id": home,
        "person_id": person,
        "resident_id": f"p-{home}",
        "device_id": add(
            "SELECT device_id FROM household_doors WHERE household_id = %s AND to_at IS NULL ORDER BY device_id LIMIT 1", home
        ),
        "lease_id": add(
            "INSERT INTO leases (id, household_id, from_at, recorded_at) VALUES (%s, %s, %s, %s) RETURNING id",
            f"l-{home}", home, now - timedelta(days=2), now,
        ),
        "name": f"watcher{suffix}",
        "user_id": ids[f"family{suffix}"],
        "session_id": line,
        "line_id": line,
        "handle": residents.hash_code(b"card", f"c-{home}").hex()[:16],
        "kiosk_id": kiosk,
        "token": kiosk_token,
        "row_id": add("SELECT id FROM quarantine WHERE topic LIKE %s", f"%%site-{community}/%%"),
        "absence_id": add(
            "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
            " VALUES (%s, %s, %s, 'travel', %s, %s) RETURNING id",
            home, now - timedelta(days=2), now + timedelta(days=5), f"user:{ids[f'resident{suffix}']}", now,
        ),
        "note_id": add(
            "INSERT INTO desk_notes (community_id, kind, kiosk_id, said, door, at)"
            " VALUES (%s, 'call_back', %s, 'well', '3-1-1201', %s) RETURNING id",
            community, kiosk, now,
        ),
        "swap_id": add(
            "INSERT INTO duty_swaps (community_id, role, giver_id, taker_id, from_at, to_at, asked_at)"
            " VALUES (%s, 'property_clerk', %s, %s, %s, %s, %s) RETURNING id",
            community, officer, clerk, now + timedelta(days=1), now + timedelta(days=2), now,
        ),
        "deputy_id": add(
            "INSERT INTO duty_deputies (community_id, user_id, deputy_id, from_at, to_at, made_at, made_by)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'test') RETURNING id",
            community, clerk, officer, now + timedelta(days=1), now + timedelta(days=2), now,
        ),
        "span_id": add(
            "INSERT INTO duty_overrides (community_id, role, from_at, to_at, user_ids, made_at, made_by)"
            " VALUES (%s, 'property_clerk', %s, %s, %s, %s, 'test') RETURNING id",
            community, now + timedelta(days=1), now + timedelta(days=2), [clerk], now,
        ),
        "handover_id": add(
            "INSERT INTO duty_handovers (case_id, from_user_id, to_user_id, offered_at) VALUES (%s, %s, %s, %s)"
            " RETURNING id",
            world.case_ids[key], officer, clerk, now,
        ),
        "test_id": add(
            "INSERT INTO live_tests (community_id, user_id, month, due_at) VALUES (%s, %s, %s, %s) RETURNING id",
            community, clerk, now.date().replace(day=1), now,
        ),
        "address_id": add(
            "INSERT INTO contact_channels (user_id, channel, address, address_hash, added_at, added_by, confirmed_at)"
            " VALUES (%s, 'email', %s, %s, %s, 'self', %s) RETURNING id",
            clerk, b"\0clerk@example.org", identity.hash_token(community), now, now,
        ),
        "photo_id": add(
            "WITH agreed AS (INSERT INTO consents (household_id, purpose, given_by, given_at)"
            " VALUES (%s, 'visit_photo', '本人', %s))"
            " INSERT INTO visit_photos (task_id, case_id, household_id, user_id, at, picture, width, height)"
            " VALUES (%s, %s, %s, %s, %s, 'a picture', 1, 1) RETURNING id",
            home, now, world.task_ids[key], world.case_ids[key], home, clerk, now,
        ),
        "hold_id": add(
            "INSERT INTO legal_holds (person_id, household_id, authority, document, until_at, asked_by, asked_at)"
            " VALUES (%s, %s, '区法院', '2025-12', %s, 'user:0', %s) RETURNING id",
            person, home, now + timedelta(days=30), now,
        ),
        "review_id": add(
            "INSERT INTO note_reviews (person_id, community_id, in_table, in_column, row_key, flagged_at)"
            " VALUES (%s, %s, 'case_entries', 'note', '1', %s) RETURNING id",
            f"p-gone-{home}", community, now,
        ),
        "gone_id": add(
            "INSERT INTO person_deletions VALUES (%s, %s, false, %s, 'user:0', 'self', %s, 1) RETURNING person_id",
            f"p-gone-{home}", home, now, json.dumps(_CERTIFICATE | {"person": f"p-gone-{home}", "household": home}),
        ),
        "token_id": add(
            "INSERT INTO api_tokens (token_hash, user_id, name, created_at) VALUES (%s, %s, 'x', %s) RETURNING id",
            identity.hash_token(f"program-{community}"), clerk, now,
        ),
        "position_id": add(
            "INSERT INTO user_positions (user_id, role, community_id, given_by, given_at)"
            " VALUES (%s, 'guard', %s, 'test', %s) RETURNING id",
            ids[f"watcher{suffix}"], community, now,
        ),
        "agreement_id": add(
            "INSERT INTO agreements (kind, community_id, device_id, reason, until_at, asked_by, asked_at, expires_at)"
            " VALUES ('device_test', %s, %s, '换电池', %s, %s, %s, %s) RETURNING id",
            community, f"d-{home}", now + timedelta(hours=4), clerk, wall, wall + timedelta(days=1),
        ),
        "proposal_id": add(
            "INSERT INTO agreements (kind, policy_id, asked, reason, asked_by, asked_at, expires_at)"
            " VALUES ('policy', 'frail', '{\"hours\": [12, 24, 48]}', '高龄', %s, %s, %s) RETURNING id",
            clerk, wall, wall + timedelta(days=1),
        ),
        "move_id": add(
            "INSERT INTO agreements (kind, community_id, household_id, asked, reason, asked_at, expires_at)"
            " VALUES ('household', %s, %s, '{\"what\": \"policy\", \"from\": \"mandated\", \"to\": \"frail\"}', '高龄', %s, %s)"
            " RETURNING id",
            community, home, wall, wall + timedelta(days=1),
        ),
        "change_id": add(
            "INSERT INTO phone_changes (person_id, old_phone, new_phone) VALUES (%s, '13812341234', '13800000000')"
            " RETURNING id",
            person,
        ),
        "request_id": add(
            "INSERT INTO people_requests (kind, user_id, asked_by, asked_at, expires_at)"
            " VALUES ('reset_factor', %s, %s, %s, %s) RETURNING id",
            officer, ids[f"watcher{suffix}"], wall, wall + timedelta(days=7),
        ),
        "ticket_id": _add_ticket(connection, community, officer, now),
        "entry_id": _add_look(connection, world, community, home, clerk),
    }  # fmt: skip


def _add_ticket(connection: Connection, community: str, officer: int, now: datetime) -> int:
    row = connection.execute(
        "INSERT INTO look_up_tickets (community_id, asked_by, asked_at, purpose, document_number, basis, door, from_at,"
        " to_at) VALUES (%s, %s, %s, 'missing_person', '京公 2025-00123', 'case_file', %s, %s, %s) RETURNING id",
        (community, officer, now, f"d-{'h-wang' if community == 'wenchang' else 'h-other'}",
         now - timedelta(hours=24), now),
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row["id"])


def _add_look(connection: Connection, world: World, community: str, home: str, clerk: int) -> int:
    """One look that every draw of the auditor's holds: the home's name read far above the share."""
    entry = audit.Entry(
        world.now, f"user:{clerk}", "property_clerk", "name_revealed", "call_back", "household", home,
        {"community": community, "household": home, "noted": True},
    )  # fmt: skip
    return audit.append(connection, entry, key=b"")
