"""Admission decides by topic, size, type and registry alone, element by element."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.admission import (
    HOW_TO_MEND,
    AdmittedEvent,
    AdmittedHeartbeat,
    AdmittedState,
    Refused,
    admit,
)
from kaimen import wire
from kaimen.vocabulary import Device, QuarantineReason

SITE = "west-gate"
RECEIVED = 1_763_712_000_000
EVENT: dict[str, Any] = {
    "v": 1, "boot": "9f2c41d07be3a856", "seq": 17, "ts": RECEIVED - 5, "up": 86_400_123, "clk": "ntp",
    "hist": False, "door": "3-1-1201", "type": "DoorPhysicalState", "state": "Open", "opens": 4711, "reason": None,
}  # fmt: skip
HEARTBEAT: dict[str, Any] = {
    "v": 1, "boot": "9f2c41d07be3a856", "ts": RECEIVED, "up": 86_460_000, "clk": "ntp", "seq_last": 17,
}  # fmt: skip


@dataclass(frozen=True)
class FewDevices:
    devices: dict[str, Device] = field(default_factory=lambda: {"door-1": Device("door-1", SITE, 180_000)})


REGISTRY = FewDevices()


def take(
    channel: str, payload: Any, *, device: str = "door-1", site: str = SITE, at: int = RECEIVED
) -> list[Any]:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return admit(wire.format_topic(site, device, channel), body, at, REGISTRY)


def refusal(channel: str, payload: Any, **where: Any) -> Refused:
    (item,) = take(channel, payload, **where)
    assert isinstance(item, Refused)
    return item


def test_an_event_of_a_registered_device_is_admitted() -> None:
    (item,) = take("evt", EVENT)
    assert isinstance(item, AdmittedEvent)
    assert (item.device_id, item.event.seq, item.received_ms) == ("door-1", 17, RECEIVED)


def test_unknown_fields_and_unknown_types_are_no_error() -> None:
    (item,) = take("evt", {**EVENT, "type": "WindowPhysicalState", "colour": "green"})
    assert isinstance(item, AdmittedEvent)
    assert item.event.type == "WindowPhysicalState"


def test_every_optional_field_may_be_null() -> None:
    optional = ("door", "state", "dir", "method", "cred", "opens", "reason", "hist", "rx")
    assert isinstance(take("evt", {**EVENT, **dict.fromkeys(optional)})[0], AdmittedEvent)


def test_a_boot_is_sixteen_digits_and_nothing_else() -> None:
    assert refusal("evt", {**EVENT, "boot": EVENT["boot"] + "\n"}).reason is QuarantineReason.WRONG_TYPE


def test_the_first_receipt_travels_with_the_message_and_is_believed_unless_it_is_later_than_ours() -> None:
    assert take("evt", {**EVENT, "rx": RECEIVED - 9})[0].received_ms == RECEIVED - 9
    assert take("evt", {**EVENT, "rx": RECEIVED + 9})[0].received_ms == RECEIVED
    assert take("hb", {**HEARTBEAT, "rx": RECEIVED - 9})[0].received_ms == RECEIVED - 9


def test_heartbeat_and_states_are_admitted() -> None:
    assert isinstance(take("hb", HEARTBEAT)[0], AdmittedHeartbeat)
    (state,) = take("state", {"v": 1, "status": "offline", "boot": "9f2c41d07be3a856"})
    assert isinstance(state, AdmittedState)
    assert state.state.status == "offline"
    assert take("state", b"") == [], "a retained state that is cleared says nothing"


def test_an_array_keeps_its_good_elements() -> None:
    items = take("evb", [EVENT, {**EVENT, "seq": "18"}, {**EVENT, "seq": 19}])
    assert [type(item).__name__ for item in items] == ["AdmittedEvent", "Refused", "AdmittedEvent"]
    refused = items[1]
    assert refused.reason is QuarantineReason.WRONG_TYPE
    assert refused.detail.startswith("element 1: ")
    assert json.loads(refused.payload) == [{**EVENT, "seq": "18"}]


def test_a_refused_element_can_be_replayed_on_its_own_topic() -> None:
    (refused,) = [item for item in take("evb", [EVENT, {**EVENT, "seq": 0}]) if isinstance(item, Refused)]
    (again,) = admit(refused.topic, refused.payload, RECEIVED, REGISTRY)
    assert isinstance(again, Refused)
    assert again.reason is refused.reason
    assert again.payload == refused.payload


@pytest.mark.parametrize(
    ("reason", "channel", "payload"),
    [
        (QuarantineReason.TOO_MANY_EVENTS, "evb", [1] * 501),
        (QuarantineReason.MIXED_BOOTS, "evb", [EVENT, {**EVENT, "boot": "0" * 16, "seq": 18}]),
        (QuarantineReason.SEQ_NOT_ASCENDING, "evb", [EVENT, EVENT]),
        (QuarantineReason.TOO_LARGE, "evb", [EVENT] * 400),
    ],
)
def test_an_array_that_breaks_its_rules_is_refused_whole_and_counts_as_its_elements(
    reason: QuarantineReason, channel: str, payload: list[Any]
) -> None:
    item = refusal(channel, payload)
    assert (item.reason, item.event_count) == (reason, len(payload))


def test_what_does_not_fit_the_registry_is_refused_by_name() -> None:
    assert refusal("evt", EVENT, device="door-9").reason is QuarantineReason.UNKNOWN_DEVICE
    assert refusal("evt", EVENT, device="door-9").device_id == "door-9"
    assert refusal("evt", EVENT, site="east-gate").reason is QuarantineReason.WRONG_SITE


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("kaimen/v1/0/0/west-gate/door-1/evt", QuarantineReason.WRONG_SHARD),
        ("kaimen/v2/0/0/west-gate/door-1/evt", QuarantineReason.BAD_TOPIC),
        ("zigbee2mqtt/door", QuarantineReason.BAD_TOPIC),
        ("", QuarantineReason.BAD_TOPIC),
        ("kaimen/v1/0/0/west-gate/door\x001/evt", QuarantineReason.BAD_TOPIC),
    ],
)
def test_topics_that_do_not_fit(topic: str, reason: QuarantineReason) -> None:
    (item,) = admit(topic, json.dumps(EVENT).encode(), RECEIVED, REGISTRY)
    assert isinstance(item, Refused)
    assert item.reason is reason
    assert "\x00" not in item.topic + item.detail


def test_every_reason_says_how_to_mend_it() -> None:
    assert set(HOW_TO_MEND) == set(QuarantineReason)
    assert refusal("evt", b"{").detail.endswith(HOW_TO_MEND[QuarantineReason.MALFORMED_JSON])


def test_a_heartbeat_is_no_event() -> None:
    assert refusal("hb", b"{").event_count == 0


@given(channel=st.sampled_from(["evt", "evb", "hb", "state", "cfg"]), payload=st.binary(max_size=200))
def test_no_payload_crashes_admission(channel: str, payload: bytes) -> None:
    admit(wire.format_topic(SITE, "door-1", channel), payload, RECEIVED, REGISTRY)


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.lists(st.none()),
)


@given(fields=st.dictionaries(st.sampled_from(sorted({*EVENT, "rx", "dir", "cred"})), _values, max_size=4))
def test_an_event_with_any_value_in_any_field_is_admitted_or_refused(fields: dict[str, Any]) -> None:
    (item,) = take("evt", {**EVENT, **fields})
    assert isinstance(item, AdmittedEvent | Refused)
    if isinstance(item, AdmittedEvent):
        texts = (item.event.type, item.event.door or "", item.event.reason or "", item.event.cred or "")
        assert not any("\x00" in text for text in texts), "the database could not hold it"
