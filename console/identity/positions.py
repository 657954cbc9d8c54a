"""What somebody may be in a place: a role, a place and the other roles enter, a reason to refuse leaves; pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from console.scope import HELPER_ROLES
from kaimen.vocabulary import Role

#: Whoever holds one of these sees far or opens doors for others: a second administrator agrees before it is held.
AGREED_ROLES = frozenset({Role.POLICE_OFFICER, Role.POLICE_SUPERVISOR, Role.ADMIN, Role.AUDITOR})
#: Roles that see one community and would see nothing, or anything, without one.
PLACED_ROLES = HELPER_ROLES | {
    Role.PROPERTY_CLERK,
    Role.POLICE_OFFICER,
    Role.POLICE_SUPERVISOR,
    Role.AUDITOR,
    Role.COMMUNITY_COMMITTEE,
}
#: Those who are tied to homes are added from the command line with their homes, not here.
GIVEN_HERE = tuple(role for role in Role if role not in (Role.FAMILY, Role.RESIDENT))
#: Police work, and judging it, is a person's first position: a look-up asks for it there.
FIRST_ALONE = frozenset(
    {Role.POLICE_OFFICER, Role.POLICE_SUPERVISOR, Role.AUDITOR, Role.FAMILY, Role.RESIDENT}
)


class PositionRefusal(StrEnum):
    """Why somebody does not become something; the words stand below ``error.`` in the catalogues."""

    NO_ROLE = "no_such_role"
    NO_PLACE = "place_needed"
    FIRST_ALONE = "first_position_alone"
    NOT_TOGETHER = "not_together"


def refuse_place(role: Role | None, community_id: str | None) -> PositionRefusal | None:
    """Say what keeps a role and a place from going together."""
    if role is None or role not in GIVEN_HERE:
        return PositionRefusal.NO_ROLE
    if role in PLACED_ROLES and community_id is None:
        return PositionRefusal.NO_PLACE
    return None


def refuse_position(first: Role, others: Iterable[Role], role: Role) -> PositionRefusal | None:
    """Say what keeps somebody from holding one more position beside those she holds."""
    if role in FIRST_ALONE:
        return PositionRefusal.FIRST_ALONE
    held = {first, *others, role}
    # Who judges looks, or agrees to them, stands apart from everybody whose looks they are.
    if held & {Role.AUDITOR, Role.POLICE_SUPERVISOR} or first in (Role.FAMILY, Role.RESIDENT):
        return PositionRefusal.NOT_TOGETHER
    return None
