"""What recordings call things: a sensor's name, its class and its word enter, its kind and whether it is on leave; pure.

Only a name says which of the doors is the front door, and only a whole one: ``front_door_battery`` is a battery. What a
sensor of a house automation is that nobody would call a sign of life (a battery, an update, a connection) is passed over.
"""

from __future__ import annotations

import re

from ingest.early.signals import FRONT_DOOR_KIND

_BETWEEN = re.compile(r"[\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")

#: Words that say on and off, by the vocabulary they belong to; a sensor that uses two is worth a doubt.
VOCABULARIES: dict[str, dict[str, bool]] = {
    "on and off": {"on": True, "off": False, "turned on": True, "turned off": False, "ein": True, "aus": False},
    "open and closed": {
        "open": True, "opened": True, "door open": True, "close": False, "closed": False, "shut": False, "door closed": False,
        "was opened": True, "was closed": False, "offen": True, "geöffnet": True, "geschlossen": False, "ouvert": True,
        "fermé": False, "ferme": False, "abierto": True, "cerrado": False, "aperto": True, "chiuso": False,
        "开": True, "打开": True, "开门": True, "关": False, "关闭": False, "关门": False,
    },
    "1 and 0": {"1": True, "0": False},
    "true and false": {"true": True, "false": False, "t": True, "f": False, "yes": True, "no": False},
    "active and idle": {
        "active": True, "inactive": False, "detected": True, "clear": False, "cleared": False, "motion": True,
        "no motion": False, "detected motion": True, "triggered": True, "idle": False, "activated": True, "deactivated": False,
        "pressed": True, "released": False,
    },
}  # fmt: skip
_WORDS = {word: (said, name) for name, words in VOCABULARIES.items() for word, said in words.items()}
#: What a platform writes for a sensor that it does not hear.
NOT_HEARD = frozenset({"unavailable", "unknown", "offline", "none", "null", "nan", "undef"})

_ENTRANCES = frozenset(
    {"front", "main", "entrance", "entry", "outside", "house", "hall", "apartment", "flat"}
)
_FRONT_DOORS = frozenset({"frontdoor", "maindoor", "outsidedoor", "entrancedoor", "entrydoor", "housedoor", "haustür", "haustuer", "wohnungstür", "wohnungstuer", "voordeur"})  # fmt: skip
_FRONT_SIGNS = ("入户门", "大门", "防盗门", "进户门")
_DOORS = frozenset({"door", "doors", "doorsensor", "doorcontact", "contact", "gate", "reed", "magnetic", "opening", "garage", "window", "cupboard", "drawer", "fridge", "freezer", "cabinet"})  # fmt: skip
#: Behind a door's name these say that it is of something else.
_OTHERWISE = frozenset(
    {
        "battery", "linkquality", "lqi", "rssi", "voltage", "temperature", "humidity", "illuminance", "lux", "light", "lamp", "led",
        "lock", "bolt", "motion", "pir", "occupancy", "presence", "camera", "bell", "doorbell", "tamper", "update", "vibration", "low",
        "button", "mat", "alarm", "status", "connectivity", "availability", "last", "seen", "count", "counter", "power", "problem",
    }
)  # fmt: skip
_NO_LIFE = frozenset({"battery", "batt", "update", "connectivity", "connection", "problem", "charging", "plug", "tamper", "running", "rssi", "linkquality", "lqi", "voltage", "availability", "safety", "smoke", "online"})  # fmt: skip
_KINDS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"motion", "pir", "occupancy", "presence", "movement", "radar"}), "motion"),
    (frozenset({"pressure", "bed", "mat", "seat", "chair", "couch"}), "pressure"),
    (frozenset({"water", "flush", "toilet", "basin", "shower", "tap", "leak", "faucet"}), "water"),
    (_DOORS, "door"),
    (frozenset({"light", "lamp"}), "light"),
)


def words_of(name: str) -> list[str]:
    """Return the words of a name, small and without the numbers behind them."""
    parts = _BETWEEN.split(_HUMP.sub(" ", name).lower())
    return [word.rstrip("0123456789") or word for word in parts if word]


def state_of(word: str) -> bool | None:
    """Return whether a word says on (or open); None where it says neither."""
    plain = word.strip().lower()
    found = _WORDS.get(plain)
    if found is not None:
        return found[0]
    if _NUMBER.fullmatch(plain):
        number = float(plain.replace(",", "."))
        return None if number not in (0.0, 1.0) else number == 1.0
    return None


def vocabulary_of(word: str) -> str | None:
    """Return the name of the vocabulary that a word is of."""
    found = _WORDS.get(word.strip().lower())
    return None if found is None else found[1]


def is_measure(word: str) -> bool:
    """Say whether a state is a number that is neither 0 nor 1, such as a temperature."""
    return _NUMBER.fullmatch(word.strip()) is not None and state_of(word) is None


def is_front_door(name: str) -> bool:
    """Say whether a name is of a front door, and of nothing at it."""
    if any(sign in name for sign in _FRONT_SIGNS) and not any(
        word in name for word in ("锁", "灯", "电池", "电量")
    ):
        return True
    words = words_of(name)
    for place, word in enumerate(words):
        whole = word in _FRONT_DOORS
        parted = word == "door" and place > 0 and words[place - 1] in _ENTRANCES
        if (whole or parted) and not _OTHERWISE & set(words[place + 1 :]):
            return True
    return False


def kind_of(name: str, sort: str) -> str | None:
    """Return the kind of a sensor by its class and its name; None where nothing it says is a sign of life."""
    given = sort.lower().replace(" ", "_").replace("-", "_")
    if given == FRONT_DOOR_KIND or (is_front_door(name) and not _OTHERWISE & set(words_of(sort))):
        return FRONT_DOOR_KIND
    words = {*words_of(sort), *words_of(name)}
    if words & _NO_LIFE:
        return None
    return next((kind for known, kind in _KINDS if words & known), given or "object")
