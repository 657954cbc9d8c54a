"""Access controllers that write what happened in words: an object with such a sentence enters, a reading leaves; pure.

Whole phrases only: "door" and "open" also stand in "remote open door", which is an order, and in "door open timeout".
A phrase is never an opening by itself: some makers say "door opened" of the relay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.values import as_list, as_mapping, as_text, is_named_after, words_of
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_DEPTH_MAX = 5
_SPACES = re.compile(r"[\W_]+")
#: Fields, without signs between their words, in which a controller says what happened.
_SAYING = frozenset(
    {
        "eventreasontext", "eventtypedescription", "eventdescription", "eventname", "event", "eventtype", "description",
        "desc", "message", "reason", "eventtext",
    }
)  # fmt: skip
_PLACES = (
    "doorid",
    "door",
    "doorname",
    "deviceid",
    "acr",
    "reader",
    "readername",
    "controllerid",
    "hostname",
)

_PHRASES: dict[str, tuple[Kind, str | None]] = {
    **dict.fromkeys(("door open", "door opened"), (Kind.DOOR_OPEN, None)),
    **dict.fromkeys(("door closed", "door close"), (Kind.DOOR_CLOSED, None)),
    **dict.fromkeys(
        ("door forced", "door forced open", "forced door", "forced open", "door forced open alarm"),
        (Kind.ALARM, EventType.DOOR_FORCED_OPEN),
    ),
    **dict.fromkeys(
        ("door held open", "door left open", "door open too long", "door ajar", "door held", "held open"),
        (Kind.DOOR_HELD_OPEN, None),
    ),
    **dict.fromkeys(("access granted", "access permitted", "entry granted"), (Kind.ACCESS_GRANTED, None)),
    **dict.fromkeys(
        ("access denied", "access refused", "entry denied", "swipe denied"), (Kind.ACCESS_DENIED, None)
    ),
    **dict.fromkeys(("door unlocked",), (Kind.DOOR_UNLOCKED, None)),
    **dict.fromkeys(("door locked",), (Kind.DOOR_LOCKED, None)),
    **dict.fromkeys(
        ("request to exit", "exit button", "exit button pressed", "door button pressed"),
        (Kind.ACCESS_GRANTED, EventType.EXIT),
    ),
    **dict.fromkeys(("duress", "duress alarm"), (Kind.ALARM, EventType.DURESS)),
}


def _plain(name: str) -> str:
    return _SPACES.sub("", name).lower()


def _objects(obj: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield an object and those inside it, the innermost first: it says most exactly what happened."""
    if depth < _DEPTH_MAX:
        for value in obj.values():
            for inner in [value] if isinstance(value, Mapping) else as_list(value)[:64]:
                if as_mapping(inner):
                    yield from _objects(inner, depth + 1)
    yield obj


def _place_of(obj: Mapping[str, Any], topic: str) -> str:
    named = {_plain(key): as_text(value) for key, value in obj.items()}
    place = next((named[name] for name in _PLACES if named.get(name)), None)
    return topic if place is None else f"{topic}/{place}".lstrip("/")


def readings_of_phrases(obj: Mapping[str, Any], topic: str) -> list[Reading]:
    """Return what the first phrase of a known meaning says; nothing where there is none."""
    for inner in _objects(obj):
        for name, value in inner.items():
            said = as_text(value) if _plain(name) in _SAYING else None
            meant = None if said is None else _PHRASES.get(" ".join(words_of(said)))
            if meant is None:
                continue
            kind, event_type = meant
            nature = Nature.STATE if kind in (Kind.DOOR_LOCKED, Kind.DOOR_UNLOCKED) else Nature.EDGE
            found = read(
                _place_of(inner, topic),
                kind,
                f"{name[:30]} says {said}"[:80],
                nature=nature,
                aliases=(topic,),
            )
            return [found if event_type is None else replace(found, event_type=event_type)]
    return []


def is_of(obj: Mapping[str, Any], meant: frozenset[str], *, otherwise: frozenset[str]) -> bool:
    """Say whether the object names its own kind, as ``DoorSensor.Alert`` or ``contact`` do."""
    names = (
        as_text(obj.get(key))
        for key in ("event", "type", "deviceType", "device_type", "device_class", "model")
    )
    return any(is_named_after(words_of(name), meant, otherwise=otherwise) for name in names if name)
