"""A registry's document (JSON) enters, the detector's registry leaves; what does not fit is told with its entry and field."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from ingest.detector.columns import NUMBER_MAX
from ingest.detector.homes import Registry
from ingest.detector.state import THRESHOLDS_MAX
from ingest.recording_file import RecordingError, open_text
from kaimen.policy import THRESHOLDS_DEFAULT_MS
from kaimen.vocabulary import (
    Absence,
    Credential,
    CredentialClass,
    Device,
    DoorBinding,
    DoorRole,
    Household,
)

#: A century: what is longer is no span anybody means.
_SPAN_MAX_S = 100 * 366 * 86_400

Parsed = TypeVar("Parsed")
Word = TypeVar("Word", bound=StrEnum)


def parse_registry(document: Any, *, name: str = "registry") -> Registry:
    """Read a registry document.

    Raises
    ------
    RecordingError
        With the path of the first value that does not fit.
    """
    try:
        return _parse_registry(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RecordingError(f"{name}: {_told(error)}; see docs/wire.md, 'Judging by file'") from error


def _told(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the field {error} is missing"
    return str(error)


def _parse_registry(document: Any) -> Registry:
    if not isinstance(document, dict):
        raise TypeError("it must be one JSON object with devices and households")
    return Registry(
        dict(_entries("devices", "id", document["devices"], _parse_device)),
        dict(_entries("households", "id", document["households"], _parse_household)),
        dict(_entries("creds", "cred", document.get("creds") or (), _parse_credential, once=False)),
    )


def _entries(
    part: str, key: str, items: Iterable[Any], parse: Callable[[dict[str, Any]], Parsed], *, once: bool = True
) -> Iterator[tuple[str, Parsed]]:
    """Yield the entries of one part of a registry by their name; what does not fit is told with its place."""
    seen: set[str] = set()
    for number, item in enumerate(items, start=1):
        place = f"{part}, entry {number}"
        try:
            if not isinstance(item, dict):
                raise TypeError(f"{item!r} is no object")
            if not isinstance(item[key], str):
                raise TypeError(f"{key} {item[key]!r} is no text")
            place += f" ({item[key]})"
            if once and item[key] in seen:
                raise ValueError("stands there twice; list it once")
            seen.add(item[key])
            yield item[key], parse(item)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"{place}: {_told(error)}") from error


def _parse_device(item: dict[str, Any]) -> Device:
    return Device(item["id"], item["site"], round(_supervision_s(item) * 1000))


def _parse_credential(item: dict[str, Any]) -> Credential:
    return Credential(item["cred"], _one_of(CredentialClass, "class", item["class"]), item.get("household"))


def _parse_household(item: dict[str, Any]) -> Household:
    return Household(
        household_id=item["id"],
        site_id=item["site"],
        doors=tuple(_parse_door(door) for door in _array(item["doors"], "doors")),
        watched_from_ms=_instant(item["watched_from"]),
        thresholds_ms=_thresholds_ms(item),
        absences=tuple(
            Absence(_instant(span["from"]), _instant(span["to"]))
            for span in _array(item.get("absences") or [], "absences")
        ),
        consent=_consent(item.get("consent", True)),
    )


def _array(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} {value!r} is no array")
    return value


def _consent(value: Any) -> bool:
    """Without consent nobody is watched: what is not clearly a yes is none, what is no answer is an error."""
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"consent {value!r} is neither true nor false")
    return bool(value)


def _one_of(words: type[Word], name: str, value: Any) -> Word:
    try:
        return words(value)
    except ValueError as error:
        raise ValueError(f"{name} {value!r} is none of {', '.join(words)}") from error


def _supervision_s(item: dict[str, Any]) -> float:
    """Three heartbeats where the registry names no supervision time."""
    supervision_s = float(item.get("supervision_s") or 3 * (item.get("heartbeat_s") or 60))
    if not 0 < supervision_s <= _SPAN_MAX_S:
        raise ValueError(f"supervision_s {supervision_s} is no span in seconds")
    return supervision_s


def _thresholds_ms(item: dict[str, Any]) -> tuple[int, ...]:
    """Read the thresholds in any order: a stage is the number of them that were reached."""
    thresholds_s = item.get("thresholds_s")
    if not thresholds_s:
        return THRESHOLDS_DEFAULT_MS
    if len(_array(thresholds_s, "thresholds_s")) > THRESHOLDS_MAX or not all(
        isinstance(value, int | float) and 0.001 <= value <= _SPAN_MAX_S for value in thresholds_s
    ):
        raise ValueError(
            f"thresholds_s holds at most {THRESHOLDS_MAX} spans in seconds, each a millisecond or more"
        )
    return tuple(sorted(round(value * 1000) for value in thresholds_s))


def _parse_door(door: Any) -> DoorBinding:
    if isinstance(door, str):
        return DoorBinding(door)
    if not isinstance(door, dict) or not isinstance(door.get("device"), str):
        raise TypeError(f"a door is a device id or an object with a device, not {door!r}")
    return DoorBinding(
        door["device"],
        _one_of(DoorRole, "role", door.get("role") or "dwelling"),
        *(None if door.get(bound) is None else _instant(door[bound]) for bound in ("from", "to")),
    )


def _instant(value: Any) -> int:
    """Read Unix milliseconds, which other tools may have written as ``1.7637e12``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"{value!r} is no instant in Unix milliseconds")
    return max(
        -NUMBER_MAX, min(int(value), NUMBER_MAX)
    )  # some write for ever as the largest number they have


def read_registry(path: Path) -> Registry:
    """Read a registry file (JSON, plain or gzip).

    Raises
    ------
    RecordingError
        If it cannot be read or a value does not fit; the text says which.
    """
    try:
        with open_text(path) as stream:
            document = json.load(stream)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise RecordingError(f"{path.name}: {error}") from error
    return parse_registry(document, name=path.name)
