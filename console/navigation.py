"""A role's way through the console: a role, the page it is on and its numbers enter, the folded groups leave; pure.

The groups are those of the programme's own words: 服务 (service), 管理 (manage), 研判 (judge). What a role does daily
stands in its first group, in the order of its sections; a long list folds the other groups, so that it never grows
beyond a screen. A narrow screen shows the daily pages in a bar at the lower edge.
"""

from __future__ import annotations

from collections.abc import Mapping

from console.scope import Section, sections_of
from console.views.shell import NavGroup, NavItem
from kaimen.vocabulary import Role

GROUPS = ("service", "manage", "judge")
#: With more pages than this the groups beyond the first, and beyond the one somebody is in, are folded.
UNFOLDED_MAX = 7
#: Pages in the bar of a narrow screen, beside the way to all others.
BAR_MAX = 4

NAV: dict[Section, tuple[str, str, str]] = {
    Section.ALARMS: ("service", "alarms", "/alarms"),
    Section.MORNING: ("service", "morning", "/morning"),
    Section.TASKS: ("service", "tasks", "/tasks"),
    Section.FAMILY: ("service", "family", "/family"),
    Section.POLICE: ("service", "police", "/police"),
    Section.BUILDINGS: ("manage", "buildings", "/buildings"),
    Section.HOUSEHOLDS: ("manage", "households", "/households"),
    Section.ACCESS_LOG: ("judge", "access_log", "/access-log"),
    Section.SIGNALS: ("judge", "signals", "/signals"),
    Section.RENTALS: ("manage", "rentals", "/rentals"),
    Section.TECHNICAL: ("manage", "technical", "/technical"),
    Section.DEVICES: ("manage", "devices", "/devices"),
    Section.QUARANTINE: ("manage", "quarantine", "/quarantine"),
    Section.ADMIN: ("manage", "admin", "/admin"),
    Section.DUTY: ("service", "duty", "/duty"),
    Section.DRY_RUN: ("judge", "dry_run", "/dry-run"),
    Section.FIGURES: ("judge", "figures", "/figures"),
    Section.LOOK_UP: ("judge", "look_up", "/police/look-up"),
    Section.TICKETS: ("judge", "tickets", "/police/tickets"),
    Section.AUDIT: ("judge", "audit", "/audit"),
    Section.WHO_LOOKED: ("judge", "looked", "/looked"),
    Section.PORTFOLIO: ("judge", "portfolio", "/portfolio"),
    Section.LOOK_BACK: ("judge", "look_back", "/look-back"),
    Section.COMMITTEE: ("judge", "committee", "/committee"),
    Section.SECOND_PERSON: ("manage", "second_person", "/second-person"),
    Section.RESIDENT: ("service", "resident", "/resident"),
    Section.RESIDENT_CARDS: ("manage", "resident_cards", "/resident/cards"),
    Section.RESIDENT_CONSENTS: ("manage", "resident_consents", "/resident/consents"),
    Section.RESIDENT_LOOKED: ("judge", "resident_looked", "/resident/looked"),
    Section.DESK_NOTES: ("service", "desk_notes", "/desk-notes"),
    Section.KIOSKS: ("manage", "kiosks", "/admin/kiosks"),
}


def navigation(
    role: Role,
    current: Section | None,
    counts: Mapping[str, int],
    *,
    demo: bool = False,
    demo_current: bool = False,
) -> tuple[NavGroup, ...]:
    """Return the groups of ``role``, the one it works in daily first; ``demo`` adds the way to the invented street."""
    groups: dict[str, list[NavItem]] = {}
    for place, section in enumerate(sections_of(role)):
        group, name, url = NAV[section]
        item = NavItem(name, url, counts.get(name) or None, section is current, daily=place < BAR_MAX)
        groups.setdefault(group, []).append(item)
    if demo:
        groups.setdefault("judge", []).append(NavItem("demo", "/demo", None, demo_current))
    long = sum(len(items) for items in groups.values()) > UNFOLDED_MAX
    first = next(iter(groups), "")
    ordered = sorted(groups.items(), key=lambda pair: (pair[0] != first, GROUPS.index(pair[0])))
    return tuple(
        NavGroup(
            name,
            tuple(items),
            foldable=long and name != first,
            folded=not any(item.current for item in items),
            count=sum(item.count or 0 for item in items) or None,
        )
        for name, items in ordered
    )
