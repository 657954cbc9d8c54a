"""What a program may do with its token: an address of the API enters, the scope it needs leaves; pure.

A token never does more than its person may; a scope only narrows. What is not listed needs a session: a token that
could end sessions or make tokens would be a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from kaimen.vocabulary import Role


class Scope(StrEnum):
    """One thing a token is good for."""

    READ_CASES = "read:cases"
    WRITE_ACTS = "write:acts"
    READ_HOUSEHOLDS = "read:households"
    WRITE_EVIDENCE = "write:evidence"
    READ_FIGURES = "read:figures"
    READ_OPERATIONS = "read:operations"


#: (method, address as the route is written) -> the scope; None: any token.
NEEDED: dict[tuple[str, str], Scope | None] = {
    ("GET", "/api/me"): None,
    ("GET", "/api/cases"): Scope.READ_CASES,
    ("GET", "/api/cases/{case_id}"): Scope.READ_CASES,
    ("POST", "/api/cases/{case_id}/claim"): Scope.WRITE_ACTS,
    ("POST", "/api/cases/{case_id}/release"): Scope.WRITE_ACTS,
    ("POST", "/api/cases/{case_id}/note"): Scope.WRITE_ACTS,
    ("POST", "/api/cases/{case_id}/hold"): Scope.WRITE_ACTS,
    ("POST", "/api/cases/{case_id}/hand-over"): Scope.WRITE_ACTS,
    ("POST", "/api/cases/{case_id}/confirm-closing"): Scope.WRITE_ACTS,
    ("POST", "/api/tasks/{task_id}/begin"): Scope.WRITE_ACTS,
    ("POST", "/api/tasks/{task_id}/outcome"): Scope.WRITE_ACTS,
    ("GET", "/api/households"): Scope.READ_HOUSEHOLDS,
    ("GET", "/api/households/{household_id}"): Scope.READ_HOUSEHOLDS,
    ("GET", "/api/households/{household_id}/why"): Scope.READ_HOUSEHOLDS,
    ("POST", "/api/households/{household_id}/evidence"): Scope.WRITE_EVIDENCE,
    ("GET", "/api/quarantine"): Scope.READ_OPERATIONS,
    ("GET", "/api/stream"): Scope.READ_CASES,
    ("GET", "/stream"): Scope.READ_CASES,
}
#: Only a person in her own session.
SESSIONS_ALONE = frozenset({("GET", "/api/sessions"), ("DELETE", "/api/sessions/{line_id}")})

_STAFF = (Scope.READ_CASES, Scope.WRITE_ACTS)
_OFFERED: dict[Role, tuple[Scope, ...]] = {
    Role.PROPERTY_CLERK: (
        *_STAFF, Scope.READ_HOUSEHOLDS, Scope.WRITE_EVIDENCE, Scope.READ_OPERATIONS,
    ),
    Role.ADMIN: (Scope.READ_CASES, Scope.WRITE_ACTS, Scope.READ_OPERATIONS, Scope.READ_FIGURES),
    Role.FAMILY: (Scope.READ_CASES, Scope.READ_HOUSEHOLDS),
    Role.PROPERTY_DIRECTOR: (Scope.READ_FIGURES,),
    Role.COMMUNITY_COMMITTEE: (Scope.READ_FIGURES,),
    Role.RESIDENT: (),
    # Who judges looks and who agrees to them does so herself.
    Role.AUDITOR: (),
    Role.POLICE_SUPERVISOR: (),
}  # fmt: skip


def offered_to(role: Role) -> tuple[Scope, ...]:
    """Return the scopes a person of this role may give a token of hers."""
    return _OFFERED.get(role, _STAFF)


def may_use(method: str, route: str, scopes: Iterable[str]) -> bool:
    """Say whether a token of these scopes opens this address."""
    asked = ("GET" if method == "HEAD" else method, route)
    if asked not in NEEDED:
        return False
    needed = NEEDED[asked]
    return needed is None or needed.value in set(scopes)
