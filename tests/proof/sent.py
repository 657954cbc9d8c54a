"""What is sent to a route so that only scope and role decide: fields of forms, JSON bodies, queries."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

#: Valid fields by the end of a form's path; what is not named here is sent empty and fails after the guards.
FIELDS: dict[str, dict[str, str]] = {
    "/confirm-closing": {"confirmed": "yes"},
    "/hold": {"reason": "x", "until": "2025-11-21T23:00"},
    "/desk-notes/{note_id}/done": {"result": "called"},
    "/family/{household_id}/back": {"back": "yes"},
    "/morning/results/{task_id}": {"result": "no_answer"},
    "/morning/homes/{household_id}": {"result": "no_answer"},
    "/look-back": {"community": "{community}"},
    "/audit/{entry_id}/mark": {"mark": "justified", "reason": "x"},
    "/language": {"language": "en"},
    "/duty/handover": {"case": "{case_id}", "to": "1"},
    "/duty/deputy": {"deputy": "1", "deputy_from": "2025-11-30T08:00", "deputy_to": "2025-11-30T10:00"},
    "/duty/swaps": {"taker": "1", "from": "2025-11-30T08:00", "to": "2025-11-30T10:00"},
    "/admin/held/decide": {"act": "drop"},
    "/place": {"community": "wenchang"},
    "/duty/rosters/{role}/{kind}/{span_id}/end": {"community": "{community}"},
    "/duty/tests/{test_id}/{result}": {"community": "{community}"},
    "/books/contacts/{person_id}": {"role": "family"},
    "/books/contacts/{person_id}/leave": {"role": "family"},
    "/field/photos": {
        "key": "0b0e7f0a-3c53-4d0e-9d0a-000000000001",
        "task_id": "1",
        "done_ms": "0",
        "sent_ms": "0",
    },
}
JSON: dict[str, dict[str, object]] = {
    "/confirm-closing": {"confirmed": True},
    "/hand-over": {"to_role": "grid_worker"},
    "/note": {"note": "x"},
    "/outcome": {"outcome": "no_answer"},
    "/evidence": {"source": "meal", "who": "x"},
}
#: An administrator of every community says which one a page is about.
QUERIES = {
    "/duty/rosters/": "?community={community}",
    "/duty/tests/": "?community={community}",
    "/api/households/{household_id}/why": "?at=2025-11-20T00:00:00Z",
}
ACTS: dict[str, dict[str, object]] = {
    "/households/{household_id}/voice/{segment}/{act}": {"act": "end"},
    "/family/{household_id}/voice/{segment}/{act}": {"act": "end"},
    "/my/channels/{address_id}/{act}": {"act": "end"},
    "/admin/people/requests/{request_id}/{answer}": {"answer": "agree"},
}


def fields_of(path: str) -> dict[str, str]:
    """Return the fields for a form's route."""
    return next((fields for end, fields in FIELDS.items() if path.endswith(end)), {})


def body_of(path: str, now: datetime) -> bytes | None:
    """Return the JSON body for a route of the API, or of a phone in the field; None for a form's."""
    if path == "/field/acts":
        key = "0b0e7f0a-3c53-4d0e-9d0a-000000000000"
        return json.dumps({"key": key, "task_id": 1, "kind": "begin", "done_ms": 0, "sent_ms": 0}).encode()
    if not path.startswith("/api/"):
        return None
    if path.endswith("/hold"):
        return json.dumps({"reason": "x", "until": (now + timedelta(hours=1)).isoformat()}).encode()
    return next((json.dumps(body).encode() for end, body in JSON.items() if path.endswith(end)), b"")


def query_of(path: str) -> str:
    """Return the query for a route."""
    return next((query for begin, query in QUERIES.items() if path.startswith(begin)), "")
