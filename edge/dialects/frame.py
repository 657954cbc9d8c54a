"""One frame as every dialect gets it: topic and payload enter, text and JSON leave, decoded once; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.dialects.values import as_mapping, levels, parse_json

PAYLOAD_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """``text`` is the payload as text, ``value`` its JSON value (None where it is no JSON), ``parts`` the topic."""

    topic: str
    parts: tuple[str, ...]
    text: str
    value: Any

    @property
    def obj(self) -> Mapping[str, Any]:
        return as_mapping(self.value)

    @property
    def word(self) -> str:
        """The payload as one lower-case word; empty where it is JSON of another kind or long."""
        text = self.text.strip()
        return text.strip('"').lower() if len(text) <= 64 else ""


def make_frame(topic: str | None, payload: object) -> Frame:
    """Decode a payload once; bytes that are no UTF-8 become text with replacement marks, never an error."""
    if isinstance(payload, bytes | bytearray | memoryview):
        text = bytes(payload)[:PAYLOAD_BYTES_MAX].decode("utf-8", errors="replace").lstrip("\ufeff")
        value: Any = parse_json(text)
    elif isinstance(payload, str):
        text = payload[:PAYLOAD_BYTES_MAX].lstrip("\ufeff")
        value = parse_json(text)
    else:
        value = payload
        try:
            text = msgspec.json.encode(payload).decode()
        except (TypeError, ValueError, RecursionError, OverflowError):
            text = ""
    name = topic or ""
    return Frame(topic=name, parts=tuple(levels(name)), text=text, value=value)
