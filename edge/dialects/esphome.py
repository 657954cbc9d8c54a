"""ESPHome's MQTT client: ``<node>/<component>/<object>/state`` enters, readings leave; pure.

The message carries no device class: whether an object is a door is read from its object id, else stays open. All
states are retained by default, one message per object, so no single one proves or disproves an opening.
"""

from __future__ import annotations

from dataclasses import replace

from edge.dialects.frame import Frame
from edge.dialects.values import NOT_THE_DOOR, OTHERWISE, as_open, as_text, is_named_after, words_of
from edge.reading import Kind, Nature, Reading, read

_COMPONENTS = frozenset(
    {
        "binary_sensor", "sensor", "text_sensor", "switch", "lock", "cover", "light", "fan", "climate", "button",
        "number", "select", "event", "alarm_control_panel", "valve", "text", "update", "datetime",
    }
)  # fmt: skip

#: Words of an object id -> what ON and OFF say (the meaning of the binary sensor's device class).
_CLASSES: tuple[tuple[frozenset[str], Kind, Kind], ...] = (
    (frozenset({"tamper", "tampered"}), Kind.TAMPER, Kind.TELEMETRY),
    (frozenset({"battery"}), Kind.BATTERY_LOW, Kind.TELEMETRY),
    (frozenset({"bell", "doorbell", "intercom", "ring", "ringing"}), Kind.CALL, Kind.NONE),
    (frozenset({"sos", "panic", "emergency"}), Kind.SOS, Kind.NONE),
    (frozenset({"button", "pushbutton", "rex"}), Kind.BUTTON, Kind.NONE),
    (frozenset({"lock", "doorlock", "smartlock", "unlocked"}), Kind.DOOR_UNLOCKED, Kind.DOOR_LOCKED),
    (frozenset({"occupancy", "occupied", "presence"}), Kind.OCCUPIED, Kind.VACANT),
    (frozenset({"motion", "pir", "radar", "movement"}), Kind.MOTION, Kind.NO_MOTION),
    (frozenset({"smoke", "fire"}), Kind.SMOKE, Kind.SMOKE_OK),
    (frozenset({"leak", "leakage", "water", "flood", "moisture"}), Kind.WATER_LEAK, Kind.WATER_OK),
    (frozenset({"vibration", "shock"}), Kind.VIBRATION, Kind.TELEMETRY),
    (
        frozenset(
            {
                "door", "doors", "frontdoor", "maindoor", "backdoor", "entrydoor", "garagedoor", "doorcontact", "doorsensor",
                "window", "windows", "windowcontact", "gate", "contact", "opening", "entrance", "reed",
            }
        ),
        Kind.DOOR_OPEN,
        Kind.DOOR_CLOSED,
    ),
)  # fmt: skip
#: Here "on" of a lock is unlocked and of a contact is open, whatever a name wants to say.
_OTHERWISE = OTHERWISE | {"locked", "closed"}
_COVERED = frozenset({"door", "doors", "garage", "garagedoor", "frontdoor", "gate"})
_LOCKS = {"locked": Kind.DOOR_LOCKED, "unlocked": Kind.DOOR_UNLOCKED, "open": Kind.DOOR_OPEN}
_LOCKS_MOVING = ("locking", "unlocking", "opening", "jammed")
_COVERS = {"open": Kind.DOOR_OPEN, "opening": Kind.DOOR_OPEN, "closed": Kind.DOOR_CLOSED}
#: What Home Assistant writes, on topics of the same form, for an entity that it does not hear.
ABSENT = ("unavailable", "unknown")
#: Values that Home Assistant publishes beside a state.
_BESIDE = frozenset({"last_changed", "last_updated", "device_class", "friendly_name", "icon", "attribution"})


def _plain(reading: Reading) -> Reading:
    """Say nothing about openings: a retained single value never does."""
    return replace(reading, opening=None)


def absent(source: str, word: str) -> Reading:
    """Read the word for an entity that is not heard."""
    kind = Kind.DEVICE_OFFLINE if word == "unavailable" else Kind.UNKNOWN
    return read(source, kind, f"the entity's state is {word}", heard=False)


def _binary(source: str, name: str, word: str) -> Reading:
    named = words_of(name)
    said = as_open(word)
    for words, on, off in _CLASSES:
        if not is_named_after(named, words, otherwise=_OTHERWISE):
            continue
        if word in ("on", "off") or (said is not None and on is Kind.DOOR_OPEN):
            kind = on if word == "on" or said else off
            return read(source, kind, f"object id of a known class, {word}", raw=word.upper())
    if word not in ("on", "off"):
        why = f"a state that is neither ON nor OFF: {word[:20]}; if it is a door, list its values for open and closed"
        return read(source, Kind.UNKNOWN, why, raw=word.upper())
    why = "whether this object is a door is set in the device table"
    return read(source, Kind.DOOR_STATE_UNKNOWN, why, raw=word.upper())


def component(source: str, component: str, name: str, word: str) -> Reading:
    """Read the state of a binary sensor, a lock or a cover that is named after a door; of others its value."""
    if component == "binary_sensor":
        return _binary(source, name, word)
    if component == "lock" and word in _LOCKS_MOVING:
        kind = Kind.ERROR if word == "jammed" else Kind.TELEMETRY
        return read(source, kind, f"lock {word}", raw=word.upper())
    if component == "lock":
        return read(source, _LOCKS.get(word, Kind.UNKNOWN), f"lock {word[:20]}", raw=word.upper())
    if component == "cover" and not is_named_after(words_of(name), _COVERED, otherwise=NOT_THE_DOOR):
        return read(source, Kind.TELEMETRY, "a cover that is not named after a door", raw=word.upper())
    if component == "cover":
        return read(source, _COVERS.get(word, Kind.UNKNOWN), f"cover {word[:20]}", raw=word.upper())
    return read(source, Kind.TELEMETRY, f"{component} value")


def _component(source: str, component_name: str, name: str, frame: Frame) -> Reading:
    word = frame.word
    if word in ABSENT:
        return absent(source, word)
    if component_name == "event":
        pressed = as_text(frame.obj.get("event_type")) or word
        return read(source, Kind.BUTTON, f"event {pressed[:20]}", nature=Nature.EDGE)
    if component_name == "text_sensor" and any(
        mark in name for mark in ("card", "tag", "rfid", "wiegand", "nfc")
    ):
        return read(
            source, Kind.CARD_READ, "a reader's text", method="card", credential=frame.text.strip()[:128]
        )
    return component(source, component_name, name, word)


def decode(frame: Frame) -> list[Reading] | None:
    """Decode an ESPHome frame; None where it is none."""
    parts = frame.parts
    if len(parts) >= 4 and parts[-1] == "state" and parts[-3] in _COMPONENTS:
        source = "/".join(parts[:-1])
        return [_plain(_component(source, parts[-3], parts[-2].lower(), frame))]
    if len(parts) >= 4 and parts[-1] in _BESIDE and parts[-3] in _COMPONENTS:
        return [read("/".join(parts[:-1]), Kind.TELEMETRY, f"{parts[-1]} of the entity", heard=False)]
    if len(parts) >= 4 and parts[-1] == "command" and parts[-3] in _COMPONENTS:
        return [read("/".join(parts[:-1]), Kind.NONE, "a command to the device", heard=False)]
    if len(parts) == 2 and parts[-1] == "status" and frame.word in ("online", "offline"):
        kind = Kind.DEVICE_ONLINE if frame.word == "online" else Kind.DEVICE_OFFLINE
        return [_plain(read(parts[0], kind, f"retained {frame.word}", heard=False))]
    if len(parts) == 2 and parts[-1] == "debug":
        return [_plain(read(parts[0], Kind.NONE, "a log line"))]
    return None
