"""The canonical wire protocol, version 1: topics and payloads enter or leave as bytes; pure.

The protocol page is ``docs/wire.md``; names and units are the same there and here. A message that does not fit
raises ``WireError`` with a reason, what was found where, and how to mend it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from kaimen.vocabulary import QuarantineReason

VERSION = 1
EVENTS_MAX = 500
BATCH_BYTES_MAX = 64 * 1024
EVENT_BYTES_MAX = 64 * 1024
CHANNELS = ("evt", "evb", "hb", "state", "cfg", "cmd", "ack")
#: What devices say; on the others they are spoken to.
CHANNELS_UP = ("evt", "evb", "hb", "state", "ack")

_NAME = re.compile(r"[a-z0-9-]{1,64}\Z")

_BOOT = re.compile(r"[0-9a-f]{16}\Z")
#: How a NUL travels in JSON text; no text column can hold one.
_NUL = b"\\u0000"

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Boot = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
# A NUL can stand in JSON text but in no text column: such a message could never be stored.
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
Label = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\x00]*$")]
Text = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[^\x00]*$")]
# What travels by the million is first read without the patterns, which cost more than all else together.
AnyText64 = Annotated[str, msgspec.Meta(max_length=64)]
AnyText256 = Annotated[str, msgspec.Meta(max_length=256)]
ClockQuality = Literal["ntp", "rtc", "unsynced"]


class WireError(ValueError):
    """A message that is not of the protocol; ``reason`` files it in quarantine, the text says how to mend it."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One door event; times in milliseconds (``ts`` UTC, ``up`` since the device's start)."""

    v: Literal[1]
    boot: str
    seq: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    ts: Int64
    up: Count
    clk: ClockQuality
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    door: AnyText256 | None = None
    state: AnyText64 | None = None
    dir: AnyText64 | None = None
    method: AnyText64 | None = None
    cred: AnyText256 | None = None
    opens: Count | None = None
    reason: AnyText256 | None = None
    hist: bool | None = False
    rx: Int64 | None = None

    def content(self) -> tuple[object, ...]:
        """What makes two copies equal: everything but the marks of the journey (``hist``, ``rx``)."""
        return (
            self.ts, self.up, self.clk, self.type, self.door, self.state,
            self.dir, self.method, self.cred, self.opens, self.reason,
        )  # fmt: skip

    @property
    def is_open_edge(self) -> bool:
        return self.type == "DoorPhysicalState" and self.state == "Open"


class _StrictEvent(Event, frozen=True, kw_only=True):
    """The event with every rule about its words, to say in which field one is broken."""

    boot: Boot
    type: Word
    door: Text | None = None
    state: Label | None = None
    dir: Label | None = None
    method: Label | None = None
    cred: Text | None = None
    reason: Text | None = None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Proof that a device lives and up to which event it has spoken."""

    v: Literal[1]
    boot: Boot
    ts: Int64
    up: Count
    clk: ClockQuality
    seq_last: Count
    opens: Count | None = None
    unsent: Count | None = None
    first_seq: Count | None = None
    batt: float | None = None
    rssi: float | None = None
    fw: Text | None = None
    basis: Word | None = None
    rx: Int64 | None = None


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Birth or last will, retained."""

    v: Literal[1]
    status: Literal["online", "offline"]
    boot: Boot
    fw: Text | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the server wants of a gateway: at which pace it sends what had waited (None: its own), for how long from now."""

    v: Literal[1]
    version: Count
    backlog_per_s: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    hold_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 60


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's answer to a configuration: the version it goes by."""

    v: Literal[1]
    version: Count


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message came from, as its topic says."""

    site_id: str
    device_id: str
    channel: str
    shard: int


@lru_cache(maxsize=65_536)
def shard_of(site_id: str) -> int:
    """Return the virtual shard (0..255) of a site: the first byte of SHA-256 of its id."""
    return hashlib.sha256(site_id.encode()).digest()[0]


def is_name(text: str) -> bool:
    """Say whether ``text`` may stand as site or device id in a topic."""
    return _NAME.match(text) is not None


def format_topic(site_id: str, device_id: str, channel: str) -> str:
    """Return ``kaimen/v1/{s}/{t}/{site}/{device}/{channel}``."""
    assert is_name(site_id) and is_name(device_id) and channel in CHANNELS, (site_id, device_id, channel)
    shard = shard_of(site_id)
    return f"kaimen/v1/{shard >> 4:x}/{shard & 15:x}/{site_id}/{device_id}/{channel}"


@lru_cache(maxsize=65_536)
def parse_topic(topic: str) -> Address:
    """Read an address from a topic.

    Raises
    ------
    WireError
        ``bad_topic`` if it has another form, ``wrong_shard`` if its digits do not belong to its site.
    """
    parts = topic.split("/")
    if len(parts) != 7 or parts[0] != "kaimen" or parts[1] != "v1" or parts[6] not in CHANNELS:
        raise WireError(
            QuarantineReason.BAD_TOPIC,
            "the topic must read kaimen/v1/{s}/{t}/{site}/{device}/{channel}",
        )
    site_id, device_id, channel = parts[4], parts[5], parts[6]
    if not is_name(site_id) or not is_name(device_id):
        raise WireError(QuarantineReason.BAD_TOPIC, "site and device ids are 1 to 64 of a-z, 0-9 and '-'")
    shard = shard_of(site_id)
    if parts[2] != f"{shard >> 4:x}" or parts[3] != f"{shard & 15:x}":
        raise WireError(
            QuarantineReason.WRONG_SHARD,
            f"the digits of site {site_id} are {shard >> 4:x}/{shard & 15:x}, the topic has {parts[2]}/{parts[3]}",
        )
    return Address(site_id, device_id, channel, shard)


_event_decoder = msgspec.json.Decoder(Event)
_strict_event_decoder = msgspec.json.Decoder(_StrictEvent)
_event_list_decoder = msgspec.json.Decoder(list[Event])
_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_heartbeat_decoder = msgspec.json.Decoder(Heartbeat)
_state_decoder = msgspec.json.Decoder(State)
_config_decoder = msgspec.json.Decoder(Config)
_encoder = msgspec.json.Encoder()


#: How a decoder refuses: an unknown field nested without end is passed over by recursion, and that has an end.
DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _reason_of(error: Exception) -> WireError:
    if isinstance(error, UnicodeDecodeError):
        return WireError(QuarantineReason.NOT_UTF8, "the payload must be UTF-8 text")
    if isinstance(error, RecursionError):
        return WireError(QuarantineReason.MALFORMED_JSON, "nested too deeply; every field is a plain value")
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        reason = QuarantineReason.WRONG_VERSION if "`$.v`" in text else QuarantineReason.WRONG_TYPE
        return WireError(reason, text[:500])
    text = str(error)
    if "utf-8" in text.lower():
        return WireError(QuarantineReason.NOT_UTF8, "the payload must be UTF-8 text")
    return WireError(QuarantineReason.MALFORMED_JSON, text[:500])


def _check_utf8(payload: bytes) -> None:
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise _reason_of(error) from error


def parse_event(payload: bytes) -> Event:
    """Decode one event; raises ``WireError``."""
    if len(payload) > EVENT_BYTES_MAX:
        raise WireError(
            QuarantineReason.TOO_LARGE, f"{len(payload)} bytes; one event may have {EVENT_BYTES_MAX}"
        )
    try:
        event = _event_decoder.decode(payload)
        if _NUL in payload or not _is_boot(event.boot):
            _strict_event_decoder.decode(payload)
        return event
    except DECODE_ERRORS as error:
        _check_utf8(payload)
        raise _reason_of(error) from error


@lru_cache(maxsize=65_536)
def _is_boot(text: str) -> bool:
    return _BOOT.match(text) is not None


def parse_batch(payload: bytes) -> list[Event | WireError]:
    """Decode an array of events; an element that does not fit stands as its error, the others as events.

    Raises
    ------
    WireError
        If the array itself breaks the rules: no array, more than 500 or 64 KiB, several boots, ``seq`` not
        ascending. Nothing of such a message is taken.
    """
    if len(payload) > BATCH_BYTES_MAX:
        raise WireError(
            QuarantineReason.TOO_LARGE, f"{len(payload)} bytes; an array may have {BATCH_BYTES_MAX}"
        )
    found = _parse_whole(payload)
    if found is None:
        found = _parse_elements(payload)
    else:
        _check_length(found)
    events = [item for item in found if isinstance(item, Event)]
    if len({event.boot for event in events}) > 1:
        raise WireError(QuarantineReason.MIXED_BOOTS, "all events of one array must be of one boot")
    if any(left.seq >= right.seq for left, right in itertools.pairwise(events)):
        raise WireError(QuarantineReason.SEQ_NOT_ASCENDING, "seq must ascend within an array")
    return found


def _parse_whole(payload: bytes) -> list[Event | WireError] | None:
    """Decode an array in which every element fits, in one go; None if there is any doubt."""
    try:
        events = _event_list_decoder.decode(payload)
    except DECODE_ERRORS:
        return None
    doubt = _NUL in payload or not all(_is_boot(boot) for boot in {event.boot for event in events})
    return None if doubt else list(events)


def _check_length(elements: Sequence[object]) -> None:
    if len(elements) > EVENTS_MAX:
        raise WireError(
            QuarantineReason.TOO_MANY_EVENTS, f"{len(elements)} events; an array may have {EVENTS_MAX}"
        )


def _parse_elements(payload: bytes) -> list[Event | WireError]:
    """Decode an array element by element, for those that do not fit to stand alone."""
    try:
        raws = _raw_list_decoder.decode(payload)
    except DECODE_ERRORS as error:
        _check_utf8(payload)
        raise _reason_of(error) from error
    _check_length(raws)
    found: list[Event | WireError] = []
    for raw in raws:
        try:
            found.append(parse_event(bytes(raw)))
        except WireError as error:
            found.append(error)
    return found


def parse_heartbeat(payload: bytes) -> Heartbeat:
    """Decode a heartbeat; raises ``WireError``."""
    if len(payload) > EVENT_BYTES_MAX:
        raise WireError(QuarantineReason.TOO_LARGE, f"{len(payload)} bytes; a heartbeat is a few hundred")
    try:
        return _heartbeat_decoder.decode(payload)
    except DECODE_ERRORS as error:
        _check_utf8(payload)
        raise _reason_of(error) from error


def parse_state(payload: bytes) -> State:
    """Decode a birth or a last will; raises ``WireError``."""
    try:
        return _state_decoder.decode(payload)
    except DECODE_ERRORS as error:
        _check_utf8(payload)
        raise _reason_of(error) from error


def parse_config(payload: bytes) -> Config:
    """Decode what a gateway is to do; raises ``WireError``."""
    try:
        return _config_decoder.decode(payload)
    except DECODE_ERRORS as error:
        _check_utf8(payload)
        raise _reason_of(error) from error


def format_config(config: Config) -> bytes:
    return _encoder.encode(config)


def format_answer(answer: Answer) -> bytes:
    return _encoder.encode(answer)


def format_event(event: Event) -> bytes:
    return _encoder.encode(event)


def format_batch(events: Sequence[Event]) -> bytes:
    assert len(events) <= EVENTS_MAX
    return _encoder.encode(list(events))


def format_heartbeat(heartbeat: Heartbeat) -> bytes:
    return _encoder.encode(heartbeat)


def format_state(state: State) -> bytes:
    return _encoder.encode(state)


def encode_payload(payload: Any) -> bytes:
    """Bytes of a payload that was read from a JSON file as a Python value."""
    return _encoder.encode(payload)
