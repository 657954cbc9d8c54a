"""Careful readers of foreign values: anything enters, a typed value or None leaves; pure, never raises."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

#: Device clocks before this are not set yet (2015-01-01); after 2100 they are broken.
_EARLIEST_MS = 1_420_070_400_000
_LATEST_MS = 4_102_444_800_000
_DEPTH_MAX = 64

_OPEN_WORDS = frozenset(
    {
        "open", "opened", "opening", "true_open", "door open", "door opened", "dooropen", "dooropened",
        "开", "打开", "已打开", "开启", "门开",
    }
)  # fmt: skip
_CLOSED_WORDS = frozenset(
    {
        "close", "closed", "closing", "shut", "door close", "door closed", "doorclose", "doorclosed",
        "关", "关闭", "已关闭", "关上", "门关",
    }
)  # fmt: skip
_TRUE_WORDS = frozenset({"true", "on", "yes", "1", "alarm", "detected", "trigger", "triggered", "active"})
_FALSE_WORDS = frozenset(
    {"false", "off", "no", "0", "normal", "clear", "cleared", "inactive", "none", "idle"}
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
#: Words that, behind another in a name, make "on" say something else than that one would: a lamp over the door, a heater of
#: water, a battery that charges, a lock whose "on" is locked.
OTHERWISE = frozenset(
    {
        "light", "lights", "lamp", "led", "heater", "heating", "pump", "valve", "humidity", "temperature", "charging",
        "relay", "output", "online", "connected", "connection", "wifi", "fault", "problem", "enabled",
    }
)  # fmt: skip
#: What moves, hangs or is written at a door and opens without it.
NOT_THE_DOOR = OTHERWISE | {
    "curtain", "curtains", "blind", "blinds", "shade", "shades", "shutter", "shutters", "awning", "flap", "vent",
    "hours", "mode", "scene", "lock", "latch", "bolt", "command", "target", "desired",
}  # fmt: skip
_FRACTION = re.compile(r"(\.\d{6})\d+")


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping with string keys, empty where ``value`` is none."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    return {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_int(value: Any) -> int | None:
    """Return a whole number of a JSON number or a decimal or 0x text."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and abs(value) < 2**53 else None
    if isinstance(value, str) and len(value) <= 24:
        text = value.strip()
        try:
            return int(text, 16) if text[:2].lower() == "0x" else int(text, 10)
        except ValueError:
            return None
    return None


def as_float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e15 else None


def as_text(value: Any) -> str | None:
    """Return a short text of a text or number; None for everything else and for empty text."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return value.strip()[:256] or None
    if isinstance(value, int) and abs(value) < 2**63:
        return str(value)
    return None


def as_bool(value: Any) -> bool | None:
    """Read a truth value of JSON booleans, 0/1 and the usual words."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return {0: False, 1: True}.get(int(value)) if value in (0, 1) else None
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE_WORDS:
            return True
        if word in _FALSE_WORDS:
            return False
    return None


def as_open(value: Any) -> bool | None:
    """Read Open/Closed of words that say it themselves; booleans and numbers are polarity, so None."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _OPEN_WORDS:
            return True
        if word in _CLOSED_WORDS:
            return False
    return None


def plausible_ms(value_ms: float | None) -> int | None:
    """Keep an instant only where a set clock can have written it (UTC milliseconds)."""
    if value_ms is None or not math.isfinite(value_ms):
        return None
    return int(value_ms) if _EARLIEST_MS <= value_ms <= _LATEST_MS else None


def epoch_ms(value: Any) -> int | None:
    """Read Unix seconds, milliseconds, microseconds or nanoseconds, told apart by size."""
    number = as_float(value)
    if number is None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**20:
            return None
        number = float(value)
    for factor in (1000.0, 1.0, 1e-3, 1e-6):
        found = plausible_ms(number * factor)
        if found is not None:
            return found
    return None


def iso_ms(value: Any) -> int | None:
    """Read ISO 8601 text with a zone; a local time without zone is no instant and gives None."""
    if not isinstance(value, str) or not 16 <= len(value) <= 48:
        return None
    text = _FRACTION.sub(r"\1", value.strip())
    if text.endswith(" UTC"):
        text = f"{text[:-4]}Z"
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            return None
        return plausible_ms((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    except (ValueError, OverflowError):
        return None


def time_ms(value: Any) -> int | None:
    """Read an instant of either form."""
    found = iso_ms(value)
    return epoch_ms(value) if found is None else found


def parse_json(text: str) -> Any:
    """Decode JSON text; None where it is none, or nested deeper than any device sends."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > _DEPTH_MAX:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError):
        return None


def parse_hex(value: Any) -> bytes | None:
    """Read hex text with or without spaces."""
    if not isinstance(value, str) or len(value) > 4096:
        return None
    try:
        return bytes.fromhex(value.strip())
    except ValueError:
        return None


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, small and without the numbers behind them: an "outdoor" light is no "door"."""
    parts = _HUMP.sub(" ", name[:256]).lower()
    words = (word.rstrip("0123456789") for word in _BETWEEN_WORDS.split(parts))
    return tuple(word for word in words if word)


def is_named_after(words: Sequence[str], meant: frozenset[str], *, otherwise: frozenset[str]) -> bool:
    """Say whether a name is of what one of the words in ``meant`` says: the lamp over a door is a lamp."""
    last = max((place for place, word in enumerate(words) if word in meant), default=None)
    return last is not None and not any(word in otherwise for word in words[last + 1 :])


def levels(topic: str | None) -> list[str]:
    """Split a topic into its levels; none for a missing one."""
    return topic.split("/") if topic else []
