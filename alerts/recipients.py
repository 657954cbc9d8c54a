"""Who is told and who is sent: a roster and an annunciation enter, planned messages and roles leave; pure.

Recipients are pseudonyms (``community:ID/ROLE``, ``user:ID``); names and numbers are looked up by the channel that
needs them, when it needs them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from alerts.case import Annunciate, Circumstances
from kaimen.vocabulary import Role

#: The three helper roles in the order in which they are asked, then the grid worker.
HELPER_ORDER = (Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN, Role.GRID_WORKER)

CONSOLE = "console"
_KEY_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Roster:
    """Who can be reached for one case; ``family_user_ids`` only with the consent to notify the family."""

    community_id: str
    family_user_ids: tuple[int, ...] = ()
    outside_channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    person: str
    channel: str


def visit_chain(around: Circumstances, *, night: bool) -> tuple[str, ...]:
    """Return the roles asked to go to the door, in order: helpers by day, the duty desk by night and at the end."""
    helpers = tuple(role for role in HELPER_ORDER if role in around.helpers)
    desk = (Role.PROPERTY_CLERK,)
    return (*desk, *helpers) if night else (*helpers, *desk)


def next_in_chain(around: Circumstances, asked: Collection[str], *, night: bool) -> str | None:
    """Return the first role nobody of which was asked yet; None when the chain is exhausted."""
    return next((role for role in visit_chain(around, night=night) if role not in asked), None)


def plan_messages(wanted: Annunciate, roster: Roster) -> list[PlannedMessage]:
    """Turn one annunciation into one message for each recipient and channel."""
    planned = [PlannedMessage(f"community:{roster.community_id}/{role}", CONSOLE) for role in wanted.roles]
    if wanted.family:
        planned += [PlannedMessage(f"user:{user_id}", CONSOLE) for user_id in roster.family_user_ids]
    if wanted.outside:
        planned += [
            PlannedMessage(f"community:{roster.community_id}", channel) for channel in roster.outside_channels
        ]
    return planned


def idempotency_key(*, case_id: int, step: str, person: str, channel: str, repetition: int) -> str:
    """Return the key that every copy of one message carries; opaque, so that it tells a receiver nothing."""
    parts = "\x1f".join((str(case_id), step, person, channel, str(repetition)))
    return "msg_" + hashlib.sha256(parts.encode()).hexdigest()[:_KEY_LENGTH]
