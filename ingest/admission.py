"""A message as it was received enters; events, heartbeats, states and refusals leave, each with its reason. Pure.

Admission knows topics, sizes, types and the registry. Whether an event is new, late or of an impossible time is
the detector's to say: it alone knows the boot's base and the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from kaimen import wire
from kaimen.vocabulary import Device, QuarantineReason

#: How much of a refused payload is kept for people to look at.
PAYLOAD_KEPT_BYTES_MAX = 64 * 1024
DETAIL_LENGTH_MAX = 1_000

_CARRIES_EVENTS = ("evt", "evb")
_UPWARDS = (*_CARRIES_EVENTS, "hb", "state")
_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])

#: One sentence per reason, shown to the operator beside what was found.
HOW_TO_MEND: Mapping[QuarantineReason, str] = {
    QuarantineReason.NOT_UTF8: "Set the device to send UTF-8.",
    QuarantineReason.MALFORMED_JSON: "Check the firmware's JSON, or whether something cuts messages on the way.",
    QuarantineReason.WRONG_TYPE: "Compare the field named here with the protocol page; update the firmware.",
    QuarantineReason.TOO_LARGE: "Let the device send smaller arrays.",
    QuarantineReason.TOO_MANY_EVENTS: "Let the device send at most 500 events in one array.",
    QuarantineReason.MIXED_BOOTS: "Let the device send one array for each start.",
    QuarantineReason.SEQ_NOT_ASCENDING: "Let the device send stored events in the order in which they happened.",
    QuarantineReason.WRONG_VERSION: "This installation speaks version 1; update it or the device.",
    QuarantineReason.BAD_TOPIC: "Correct the topic at the device or gateway.",
    QuarantineReason.UNKNOWN_DEVICE: "Register the device; what waits here is then taken by itself.",
    QuarantineReason.WRONG_SITE: "Move the device to this site in the registry, or correct its topic; then replay.",
    QuarantineReason.WRONG_SHARD: "Provision the device again: its digits belong to another site id.",
    QuarantineReason.IMPLAUSIBLE_TIME: "Set the device's clock; the event is shown, and counts as nothing.",
    QuarantineReason.STORE_REFUSED: "The database would not take it; show it to the maintainers.",
}


class Registered(Protocol):
    """What admission must know of the registry."""

    @property
    def devices(self) -> Mapping[str, Device]: ...


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message as it was received; ``received_ms`` is ours, ``retained`` marks a broker's memory."""

    topic: str
    payload: bytes
    received_ms: int
    retained: bool = False


class AdmittedEvent(msgspec.Struct, frozen=True, gc=False):
    """``received_ms`` is the first receipt by any process of ours (``rx``), ``topic`` files it if it is refused."""

    device_id: str
    event: wire.Event
    received_ms: int
    topic: str


class AdmittedHeartbeat(msgspec.Struct, frozen=True, gc=False):
    device_id: str
    heartbeat: wire.Heartbeat
    received_ms: int


@dataclass(frozen=True, slots=True)
class AdmittedState:
    device_id: str
    state: wire.State
    received_ms: int
    retained: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """What goes to quarantine. ``event_count`` is how many events it stands for (0 for a heartbeat)."""

    reason: QuarantineReason
    detail: str
    topic: str
    channel: str
    device_id: str | None
    payload: bytes
    received_ms: int
    event_count: int


Item = AdmittedEvent | AdmittedHeartbeat | AdmittedState | Refused


class Admitter:
    """Admission by one registry, which must not change: the words a site's topics begin with are looked at once."""

    def __init__(self, registry: Registered) -> None:
        self._devices = registry.devices
        self._registry = registry
        #: The words a site's topics begin with, of the sites heard of.
        self._beginning_of: dict[str, list[str]] = {}

    def admit(self, message: Message) -> list[Item]:
        """Decide for one message, element by element where it is an array of events."""
        topic, payload, received_ms = message.topic, message.payload, message.received_ms
        try:
            device_id, channel = self._address(topic)
            if channel == "evt":
                event = wire.parse_event(payload)
                return [AdmittedEvent(device_id, event, _first_receipt(event.rx, received_ms), topic)]
            if channel == "hb":
                heartbeat = wire.parse_heartbeat(payload)
                return [AdmittedHeartbeat(device_id, heartbeat, _first_receipt(heartbeat.rx, received_ms))]
            if channel == "evb":
                return take_array(topic, device_id, payload, received_ms)
            return _take_state(device_id, payload, received_ms, message.retained)
        except wire.WireError as error:
            return [
                refuse(
                    error.reason, error.detail, topic, _device_in(topic), payload, received_ms,
                    event_count=count_events(topic.rpartition("/")[2], payload),
                )
            ]  # fmt: skip

    def device_of_array(self, message: Message) -> str | None:
        """Return which device's array of events a message is; None where it is anything else, or not to be taken."""
        topic = message.topic
        if not topic.endswith("/evb"):
            return None
        try:
            return self._address(topic)[0]
        except wire.WireError:
            return None  # the plain way says what is wrong

    def _address(self, topic: str) -> tuple[str, str]:
        """Return which registered device speaks on a topic, by the registry's own words, and its channel."""
        parts = topic.split("/")
        if len(parts) == 7 and parts[6] in _UPWARDS:
            device = self._devices.get(parts[5])
            # A site's topics all begin with the same words, which were looked at once.
            if (
                device is not None
                and device.site_id == parts[4]
                and self._beginning_of.get(parts[4]) == parts[:4]
            ):
                return device.device_id, parts[6]
        address = self._look_up(topic)
        self._beginning_of[address.site_id] = parts[:4]
        return self._devices[address.device_id].device_id, address.channel

    def _look_up(self, topic: str) -> wire.Address:
        """Return where a topic speaks from: a registered device, at its site, upwards."""
        address = wire.parse_topic(topic)
        _check_registered(address, self._registry)
        if address.channel not in _UPWARDS:
            raise wire.WireError(QuarantineReason.BAD_TOPIC, f"channel {address.channel} goes down, not up")
        return address


def admit(
    topic: str, payload: bytes, received_ms: int, registry: Registered, *, retained: bool = False
) -> list[Item]:
    """Decide for one message of a registry that is asked but once."""
    return Admitter(registry).admit(Message(topic, payload, received_ms, retained))


def _device_in(topic: str) -> str | None:
    """Return the device a refused message is filed under: none where the topic itself says nothing."""
    try:
        return wire.parse_topic(topic).device_id
    except wire.WireError:
        return None


def refuse(
    reason: QuarantineReason,
    found: str,
    topic: str,
    device_id: str | None,
    payload: bytes,
    received_ms: int,
    *,
    event_count: int,
) -> Refused:
    """Make a refusal whose detail says what was found and how to mend it."""
    detail = f"{found[:DETAIL_LENGTH_MAX]}. {HOW_TO_MEND[reason]}".replace("\x00", "\\0")
    clean_topic = topic[:500].replace("\x00", "\\0")
    channel = clean_topic.rpartition("/")[2]
    return Refused(
        reason, detail, clean_topic, channel if channel in wire.CHANNELS else "", device_id, payload, received_ms,
        event_count,
    )  # fmt: skip


def count_events(channel: str, payload: bytes) -> int:
    """Say for how many events a refused message stands: its elements where it is an array, else one."""
    if channel not in _CARRIES_EVENTS:
        return 0
    if channel == "evb":
        try:
            return len(_raw_list_decoder.decode(payload))
        except wire.DECODE_ERRORS:
            return 1
    return 1


def _check_registered(address: wire.Address, registry: Registered) -> None:
    device = registry.devices.get(address.device_id)
    if device is None:
        raise wire.WireError(QuarantineReason.UNKNOWN_DEVICE, f"no device {address.device_id} is registered")
    if device.site_id != address.site_id:
        raise wire.WireError(
            QuarantineReason.WRONG_SITE,
            f"device {address.device_id} is registered at site {device.site_id}, not {address.site_id}",
        )


def _first_receipt(rx: int | None, received_ms: int) -> int:
    # Before 1970 nobody received anything: further back is as implausible, and no column could hold it.
    return max(rx, 0) if rx is not None and rx <= received_ms else received_ms


def take_array(topic: str, device_id: str, payload: bytes, received_ms: int) -> list[Item]:
    """Read an array of events element by element; raises ``WireError`` where all of it must be refused."""
    elements = wire.parse_batch(payload)
    raws = (
        _raw_list_decoder.decode(payload)
        if any(isinstance(element, wire.WireError) for element in elements)
        else None
    )
    items: list[Item] = []
    for index, element in enumerate(elements):
        if isinstance(element, wire.Event):
            items.append(AdmittedEvent(device_id, element, _first_receipt(element.rx, received_ms), topic))
        else:
            assert raws is not None
            # Kept as an array of one, so that it can be replayed on its own topic.
            alone = b"[" + bytes(raws[index]) + b"]"
            items.append(
                refuse(
                    element.reason, f"element {index}: {element.detail}", topic, device_id, alone, received_ms,
                    event_count=1,
                )
            )  # fmt: skip
    return items


def _take_state(device_id: str, payload: bytes, received_ms: int, retained: bool) -> list[Item]:
    if not payload:
        return []  # a retained birth being cleared
    return [AdmittedState(device_id, wire.parse_state(payload), received_ms, retained)]
