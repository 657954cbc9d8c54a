"""Which topics an edge listens to, and what family a frame is of: the device table's first levels enter. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from edge.dialects import FOREIGN_ROOT

OWN_ROOT = "kaimen"

#: Where foreign devices speak on the central broker while the device table names no place of its own.
FAMILY_TOPICS = ("zigbee2mqtt/#", "tele/#", "shellies/#", "application/#", "home/#")
#: Brokers bound what one session may leave unacknowledged, summed over its subscriptions (NATS: 65,535).
SUBSCRIPTIONS_MAX = 6
_FAMILIES = frozenset(
    {
        "zigbee2mqtt", "tele", "stat", "cmnd", "shellies", "application", "gateway", "v3", "home", "rtl_433", "spBv1.0",
        "DahuaVTO", "homeassistant", FOREIGN_ROOT,
    }
)  # fmt: skip


def family_of(topic: str) -> str:
    """Name a frame's family for a metric: the first topic level where it is one of a known few."""
    first = topic.partition("/")[0]
    return first if first in _FAMILIES else "other"


def choose_topics(first_levels: Iterable[str], *, own_broker: bool) -> list[str]:
    """Say what to subscribe to: everything on a site's own broker, few places on the central one.

    On the central broker also ``kaimen/`` of the whole installation passes, so there only the first levels that
    the device table names, filled up with the most common families, within the bound of a session.
    """
    if own_broker:
        return ["#"]
    usable = sorted(
        level for level in first_levels if level and level != OWN_ROOT and not set(level) & set("+#$\x00")
    )
    wanted = dict.fromkeys([f"{FOREIGN_ROOT}/#", *(f"{level}/#" for level in usable)])
    if len(wanted) > SUBSCRIPTIONS_MAX:
        return ["#"]
    for topic in FAMILY_TOPICS:
        if len(wanted) < SUBSCRIPTIONS_MAX:
            wanted[topic] = None
    return list(wanted)
