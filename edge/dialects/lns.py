"""LoRaWAN network servers (ChirpStack 3 and 4, The Things Stack 2 and 3, Actility, Loriot and others): envelopes
enter, readings leave; pure.

An uplink is decoded by the maker's own bytes where the envelope names the model, else by the server's decoded
object, else it stays an uplink whose model the device table tells. The instant is the gateway's or the server's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.fields import readings_of_fields, spread
from edge.dialects.frame import Frame
from edge.dialects.lorawan import decode_uplink, is_known
from edge.dialects.values import (
    as_float,
    as_int,
    as_list,
    as_mapping,
    as_text,
    parse_hex,
    parse_json,
    time_ms,
)
from edge.reading import Kind, Nature, Reading, Uplink, read

_DATA_BYTES_MAX = 512

#: Event name at the end of a ChirpStack topic -> what it is; "up" and "rx" are handled apart.
_CHIRPSTACK: dict[str, tuple[Kind, str]] = {
    "join": (Kind.DEVICE_BOOT, "join: the device started a session"),
    "status": (Kind.HEARTBEAT, "device status"),
    "error": (Kind.ERROR, "error"),
    "ack": (Kind.NONE, "acknowledgement of a downlink"),
    "txack": (Kind.NONE, "a downlink was sent"),
    "location": (Kind.TELEMETRY, "location"),
    "integration": (Kind.TELEMETRY, "integration"),
}
_TTS: dict[str, tuple[Kind, str]] = {
    "join_accept": (Kind.DEVICE_BOOT, "join: the device started a session"),
    "downlink_ack": (Kind.NONE, "acknowledgement of a downlink"),
    "downlink_nack": (Kind.NONE, "a downlink was not acknowledged"),
    "downlink_sent": (Kind.NONE, "a downlink was sent"),
    "downlink_queued": (Kind.NONE, "a downlink was queued"),
    "downlink_queue_invalidated": (Kind.NONE, "the downlink queue was rewritten"),
    "downlink_failed": (Kind.ERROR, "a downlink failed"),
    "location_solved": (Kind.TELEMETRY, "location"),
    "service_data": (Kind.TELEMETRY, "service data"),
}


def _base64(value: Any) -> bytes | None:
    if not isinstance(value, str) or len(value) > 4 * _DATA_BYTES_MAX:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _eui(value: Any) -> str | None:
    """Read a device EUI of hex text or of the base64 that older servers write."""
    text = as_text(value)
    if text is None:
        return None
    plain = text.replace(":", "").replace("-", "").lower()
    if len(plain) == 16 and parse_hex(plain) is not None:
        return plain
    raw = _base64(text)
    return raw.hex() if raw is not None and len(raw) == 8 else text.lower()


def _uplink(
    source: str,
    *,
    aliases: tuple[str, ...],
    port: int | None,
    data: bytes | None,
    decoded: Mapping[str, Any],
    vendor: str,
    model: str,
    when: int | None,
    key: str | None,
) -> list[Reading]:
    by_bytes = (
        decode_uplink(vendor, model, port, data, source)
        if data is not None and is_known(vendor, model)
        else []
    )
    if by_bytes and all(reading.kind is not Kind.UNKNOWN for reading in by_bytes):
        return [_complete(reading, aliases, when, key) for reading in by_bytes]
    if decoded:
        # Where a part of the bytes is not understood, the server's own decoder may know it.
        found = readings_of_fields(spread(decoded), source, contact_true_is_closed=None)
        if any(reading.kind is not Kind.TELEMETRY for reading in found):
            return [_complete(reading, aliases, when, key) for reading in found]
    if any(reading.kind is not Kind.UNKNOWN for reading in by_bytes):
        return [_complete(reading, aliases, when, key) for reading in by_bytes]
    raw = Uplink(port, data) if data is not None else None
    why = "an uplink whose model is set in the device table"
    return [_complete(read(source, Kind.UPLINK, why, uplink=raw), aliases, when, key)]


def _complete(reading: Reading, aliases: tuple[str, ...], when: int | None, key: str | None) -> Reading:
    occurred = reading.occurred_ms if reading.nature is Nature.HISTORY or reading.occurred_ms else when
    return replace(reading, aliases=aliases, occurred_ms=occurred, key=key)


def _vendor_model(*names: str | None) -> tuple[str, str]:
    """Find a maker and a model in the profile names and tags that people give; nothing is better than a guess."""
    for name in names:
        words = (name or "").replace("/", " ").replace("_", " ").replace(",", " ").split()
        for word in words:
            if is_known("", word):
                return "", word
    return "", ""


def _chirpstack(frame: Frame) -> list[Reading] | None:
    obj, parts = frame.obj, frame.parts
    info = as_mapping(obj.get("deviceInfo"))
    eui = _eui(info.get("devEui") or obj.get("devEUI") or obj.get("devEui"))
    topical = len(parts) >= 4 and parts[0] == "application" and parts[2] in ("device", "node")
    if not topical and not (eui and ("fPort" in obj or info)):
        return None
    source = eui or (parts[3].lower() if topical else "unknown")
    name = parts[-1] if topical else "up"
    if topical and "command" in parts:
        return [read(source, Kind.NONE, "a command to the device", heard=False)]
    aliases = (as_text(info.get("deviceName")) or as_text(obj.get("deviceName")) or "",)
    when = time_ms(obj.get("time") or obj.get("publishedAt"))
    if when is None:
        heard = as_mapping(next(iter(as_list(obj.get("rxInfo"))), None))
        when = time_ms(heard.get("time") or heard.get("nsTime"))
    key = as_text(obj.get("deduplicationId"))
    if name in ("up", "rx"):
        tags = as_mapping(info.get("tags")) or as_mapping(obj.get("tags"))
        vendor, model = as_text(tags.get("vendor")) or "", as_text(tags.get("model")) or ""
        if not model:
            vendor, model = _vendor_model(
                as_text(info.get("deviceProfileName")) or as_text(obj.get("deviceProfileName"))
            )
        decoded = as_mapping(obj.get("object")) or as_mapping(
            parse_json(as_text(obj.get("objectJSON")) or "")
        )
        return _uplink(
            source, aliases=aliases, port=as_int(obj.get("fPort")), data=_base64(obj.get("data")),
            decoded=decoded, vendor=vendor, model=model, when=when, key=key,
        )  # fmt: skip
    if name == "log":
        level = (as_text(obj.get("level")) or "").upper()
        kind = Kind.ERROR if level in ("ERROR", "WARNING") else Kind.NONE
        return [read(source, kind, f"log {level}", aliases=aliases, occurred_ms=when, heard=False)]
    kind, why = _CHIRPSTACK.get(name, (Kind.UNKNOWN, f"event {name[:20]}"))
    battery = as_float(obj.get("batteryLevel"))
    heard_it = name in ("join", "status", "ack")
    return [
        read(
            source, kind, why, aliases=aliases, occurred_ms=when, key=key, heard=heard_it,
            battery_percent=battery if battery is not None and 0 < battery <= 100 else None,
        )
    ]  # fmt: skip


def _gateway(frame: Frame) -> list[Reading] | None:
    parts = frame.parts
    place = parts.index("gateway") if "gateway" in parts else -1
    if place < 0 or len(parts) < place + 4 or parts[place + 2] not in ("event", "state", "command"):
        return None
    source, name = f"gateway/{parts[place + 1]}", parts[-1]
    if parts[place + 2] == "state":
        state = (as_text(frame.obj.get("state")) or "").upper()
        kinds = {"ONLINE": Kind.GATEWAY_ONLINE, "OFFLINE": Kind.DEVICE_OFFLINE}
        return [read(source, kinds.get(state, Kind.UNKNOWN), f"gateway {state[:20]}", heard=False)]
    kinds = {"stats": Kind.HEARTBEAT, "up": Kind.UPLINK}
    return [read(source, kinds.get(name, Kind.NONE), f"gateway {name[:20]}", heard=name == "stats")]


def _things_stack(frame: Frame) -> list[Reading] | None:
    obj = as_mapping(frame.obj.get("data")) or frame.obj
    ids = as_mapping(obj.get("end_device_ids"))
    if not ids:
        return None
    aliases = (as_text(ids.get("device_id")) or "",)
    source = _eui(ids.get("dev_eui")) or aliases[0] or "unknown"
    when = time_ms(obj.get("received_at"))
    inner = as_mapping(obj.get("uplink_message")) or as_mapping(obj.get("uplink_normalized"))
    if inner:
        if obj.get("simulated") is True:
            # Somebody tried a decoder out in the server's console; no device said anything.
            return [read(source, Kind.NONE, "a simulated uplink", aliases=aliases, heard=False)]
        version = as_mapping(inner.get("version_ids"))
        settled = time_ms(inner.get("received_at")) or when
        return _uplink(
            source, aliases=aliases, port=as_int(inner.get("f_port")), data=_base64(inner.get("frm_payload")),
            decoded=_tts_decoded(inner), vendor=as_text(version.get("brand_id")) or "",
            model=as_text(version.get("model_id")) or "", when=settled, key=_tts_key(inner, source),
        )  # fmt: skip
    for name, (kind, why) in _TTS.items():
        if name in obj:
            return [
                read(
                    source,
                    kind,
                    why,
                    aliases=aliases,
                    occurred_ms=when,
                    heard=name in ("join_accept", "downlink_ack"),
                )
            ]
    return [read(source, Kind.UNKNOWN, "an event of no known name", aliases=aliases, heard=False)]


def _tts_decoded(inner: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the device's own decoder said, and beside it what the server made of that in everybody's words."""
    said: dict[str, Any] = {}
    for item in as_list(inner.get("normalized_payload"))[:16]:
        said |= spread(as_mapping(item))
    return {**said, **as_mapping(inner.get("decoded_payload"))}


def _tts_key(inner: Mapping[str, Any], source: str) -> str | None:
    count = as_int(inner.get("f_cnt"))
    session = as_text(inner.get("session_key_id"))
    return f"{session}:{count}" if count is not None and session is not None else None


def _things_stack_2(frame: Frame) -> list[Reading] | None:
    obj, parts = frame.obj, frame.parts
    if "app_id" not in obj or "dev_id" not in obj:
        if len(parts) >= 5 and parts[1] == "devices" and parts[3] == "events":
            kind = Kind.DEVICE_BOOT if parts[4] == "activations" else Kind.NONE
            return [read(parts[2], kind, f"event {parts[4][:20]}")]
        return None
    source = _eui(obj.get("hardware_serial")) or as_text(obj.get("dev_id")) or "unknown"
    return _uplink(
        source, aliases=(as_text(obj.get("dev_id")) or "",), port=as_int(obj.get("port")),
        data=_base64(obj.get("payload_raw")), decoded=as_mapping(obj.get("payload_fields")), vendor="", model="",
        when=time_ms(as_mapping(obj.get("metadata")).get("time")), key=None,
    )  # fmt: skip


def _actility(frame: Frame) -> list[Reading] | None:
    obj = as_mapping(frame.obj.get("DevEUI_uplink"))
    if obj:
        return _uplink(
            _eui(obj.get("DevEUI")) or "unknown", aliases=(), port=as_int(obj.get("FPort")),
            data=parse_hex(obj.get("payload_hex")), decoded=as_mapping(obj.get("payload")), vendor="", model="",
            when=time_ms(obj.get("Time")), key=None,
        )  # fmt: skip
    for name, value in frame.obj.items():
        if name.startswith("DevEUI_"):
            inner = as_mapping(value)
            joined = "join" in f"{name} {as_text(inner.get('Type')) or ''}".lower()
            kind = Kind.DEVICE_BOOT if joined else Kind.NONE
            if name == "DevEUI_location":
                kind = Kind.TELEMETRY
            return [read(_eui(inner.get("DevEUI")) or "unknown", kind, name[:40], heard=joined)]
    return None


def _others(frame: Frame) -> list[Reading] | None:
    """Read Loriot, Helium, Everynet, AWS IoT and Kerlink uplinks."""
    obj = frame.obj
    if as_text(obj.get("cmd")) in ("rx", "gw", "tx", "txd", "cq"):
        source = _eui(obj.get("EUI")) or "unknown"
        if obj["cmd"] not in ("rx", "gw"):
            return [read(source, Kind.NONE, "not an uplink", heard=False)]
        return _uplink(
            source, aliases=(), port=as_int(obj.get("port")), data=parse_hex(obj.get("data")),
            decoded=as_mapping(obj.get("decoded")), vendor="", model="", when=time_ms(obj.get("ts")), key=None,
        )  # fmt: skip
    radio = as_mapping(as_mapping(obj.get("WirelessMetadata")).get("LoRaWAN"))
    if radio:
        return _uplink(
            _eui(radio.get("DevEui")) or "unknown", aliases=(as_text(obj.get("WirelessDeviceId")) or "",),
            port=as_int(radio.get("FPort")), data=_base64(obj.get("PayloadData")), decoded={}, vendor="", model="",
            when=time_ms(radio.get("Timestamp")), key=None,
        )  # fmt: skip
    if "dev_eui" in obj and "payload" in obj and "port" in obj:
        return _uplink(
            _eui(obj.get("dev_eui")) or "unknown", aliases=(as_text(obj.get("name")) or "",),
            port=as_int(obj.get("port")), data=_base64(obj.get("payload")),
            decoded=as_mapping(as_mapping(obj.get("decoded")).get("payload")), vendor="", model="",
            when=time_ms(obj.get("reported_at")), key=as_text(obj.get("uuid")),
        )  # fmt: skip
    end_device = as_mapping(obj.get("endDevice"))
    if "devEui" in end_device:
        return _uplink(
            _eui(end_device.get("devEui")) or "unknown", aliases=(), port=as_int(obj.get("fPort")),
            data=parse_hex(obj.get("payload")), decoded={}, vendor="", model="",
            when=time_ms(obj.get("recvTime")), key=as_text(obj.get("id")),
        )  # fmt: skip
    meta = as_mapping(obj.get("meta"))
    if "device" in meta and as_text(obj.get("type")) in (
        "uplink",
        "join_request",
        "join_response",
        "downlink",
    ):
        return _everynet(obj, meta)
    return None


def _everynet(obj: Mapping[str, Any], meta: Mapping[str, Any]) -> list[Reading]:
    source = _eui(meta.get("device")) or "unknown"
    params = as_mapping(obj.get("params"))
    if obj.get("type") != "uplink":
        joined = obj.get("type") == "join_request"
        return [read(source, Kind.DEVICE_BOOT if joined else Kind.NONE, "not an uplink", heard=joined)]
    return _uplink(
        source, aliases=(), port=as_int(params.get("port")), data=_base64(params.get("payload")), decoded={},
        vendor="", model="", when=time_ms(params.get("rx_time") or meta.get("time")),
        key=as_text(meta.get("packet_hash")),
    )  # fmt: skip


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a network server's message; None where it is none."""
    for look in (_things_stack, _gateway, _chirpstack, _things_stack_2, _actility, _others):
        found = look(frame)
        if found is not None:
            return found
    return None
