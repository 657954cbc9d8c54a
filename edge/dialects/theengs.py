"""BLE gateways (Theengs, OpenMQTTGateway): decoded or raw advertisements enter, readings leave; pure."""

from __future__ import annotations

from edge.dialects import bthome
from edge.dialects.frame import Frame
from edge.dialects.values import as_text, parse_hex
from edge.reading import Kind, Reading, read

#: Type word of what moves in front of a window.
_COVER = "WCVR"
_BTHOME_UUIDS = ("fcd2", "0xfcd2")


def decode(frame: Frame) -> list[Reading] | None:
    """Decode an advertisement that a BLE gateway published; None where it is none."""
    obj = frame.obj
    on_topic = "BTtoMQTT" in frame.parts
    if not on_topic and not ("model_id" in obj and ("mac" in obj or "id" in obj)):
        return None
    address = as_text(obj.get("mac")) or as_text(obj.get("id"))
    if address is None and on_topic:
        address = frame.parts[-1]
    source = (address or frame.topic).lower()
    aliases = (source.replace(":", ""), (as_text(obj.get("name")) or ""), frame.topic)
    if not obj:
        return [read(source, Kind.UNKNOWN, "no object", aliases=aliases)]
    uuid = (as_text(obj.get("servicedatauuid")) or "").lower()
    data = parse_hex(obj.get("servicedata"))
    if "model_id" not in obj and data is not None and any(uuid.endswith(mark) for mark in _BTHOME_UUIDS):
        return bthome.decode_service_data(data, source)
    if "model_id" not in obj and "servicedata" in obj:
        return [read(source, Kind.UNKNOWN, "an advertisement that nobody decoded", aliases=aliases)]
    if as_text(obj.get("type")) == _COVER:
        # How far a curtain is drawn is no door, and its motor's motion is nobody's.
        obj = {name: value for name, value in obj.items() if name not in ("open", "motion")}
    return bthome.decode_object(obj, source, aliases=tuple(alias for alias in aliases if alias))
