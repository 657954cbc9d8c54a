"""``kaimen bench decode``: a number of messages enters; how fast the wire parser reads them leaves."""

from __future__ import annotations

import json

import msgspec

from console.benches.measuring import Peer, Report, seconds
from kaimen import wire


def bench_decode(messages: int, report: Report) -> None:
    """Measure the wire parser on one event per message."""
    event = wire.Event(
        v=1, boot="9f2c41d07be3a856", seq=17, ts=1_763_712_000_123, up=86_400_123, clk="ntp",
        type="DoorPhysicalState", state="Open", door="3-1-1201", method="card", cred="c_7Qm2", opens=4711,
    )  # fmt: skip
    payload = wire.format_event(event)
    raw = msgspec.json.Decoder(msgspec.Raw)
    ours = seconds(lambda: [wire.parse_event(payload) for _ in range(messages)])
    limit = seconds(lambda: [raw.decode(payload) for _ in range(messages)])
    peer = seconds(lambda: [json.loads(payload) for _ in range(messages)])
    million = messages / 1e6
    report.add(
        "events, one a message", million / ours, "M/s", million / limit,
        [Peer("json.loads, unchecked", million / peer)],
    )  # fmt: skip
