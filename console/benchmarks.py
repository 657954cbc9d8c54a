"""``kaimen bench``: sizes enter; figures leave, each beside the machine's limit and a peer of the same run.

A figure by itself says more about the neighbours of a shared machine than about the program, so every row carries
its ratio to a limit measured in the same minute (``limit``: what the memory or the parser alone could do) and to a
peer (what somebody would use instead). Ratios are above 1 where ours is the faster.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import click

DAY_MS = 86_400_000
REPEATS = 5


def seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the median wall seconds of ``work``, after one call that does not count."""
    work()
    spans = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        spans.append(time.perf_counter() - start)
    return statistics.median(spans)


def row(name: str, value: float, unit: str, limit: float, peer: str, peer_value: float) -> dict[str, Any]:
    """One figure; all three values are rates, more is better."""
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "limit": round(limit, 3),
        "ratio_to_limit": round(value / limit, 3),
        "peer": peer,
        "ratio_to_peer": round(value / peer_value, 2),
    }


def bench_detect(households: int) -> list[dict[str, Any]]:
    """Measure pulses over watched households of which none, or one in a thousand, is due."""
    import numpy as np

    from ingest.detector import kernel
    from ingest.detector.state import WatchState

    chance = np.random.default_rng(7)
    state = WatchState(households)
    size = len(state.due_s)
    start = 1_767_225_600_000
    state.set_thresholds(0, (DAY_MS, 2 * DAY_MS, 3 * DAY_MS))
    state.evidence_ms[:] = state.origin_ms[:] = start + chance.integers(0, DAY_MS // 2, size)
    state.known_until_ms[:] = start + 10 * DAY_MS
    state.level[:] = 0
    state.due_s[:] = (state.origin_ms + DAY_MS) // 1000
    state.bound_s[:] = state.due_s.reshape(len(state.bound_s), -1).min(axis=1)
    found = np.empty(size, np.int64)
    before_s = int(state.due_s.min()) - 1
    idle = seconds(lambda: kernel.pulse(state, before_s * 1000, found))
    limit = seconds(lambda: int(state.bound_s.sum()))
    plain = seconds(lambda: np.flatnonzero(state.due_s <= before_s))

    due = chance.choice(size, max(1, size // 1000), replace=False)

    def rearm() -> None:
        state.due_s[due] = before_s
        np.minimum.at(state.bound_s, due // 1024, before_s)
        kernel.pulse(state, before_s * 1000, found)

    def rearm_in_numpy() -> None:
        late = np.flatnonzero(state.due_s <= before_s)
        inactive = before_s * 1000 - state.origin_ms
        np.count_nonzero(np.searchsorted(state.thresholds_ms[0], inactive, side="right") != state.level)
        state.due_s[late] = (state.origin_ms[late] + DAY_MS) // 1000

    busy = seconds(rearm, 3)
    scan = seconds(lambda: int(state.due_s.sum()), 3)
    peer = seconds(rearm_in_numpy, 3)
    giga = households / 1e9
    words = f"{households:,} households"
    return [
        row(
            f"pulse, nothing due, {words}",
            giga / idle,
            "G households/s",
            giga / limit,
            "numpy compare",
            giga / plain,
        ),
        row(
            f"pulse, one in 1,000 due, {words}",
            giga / busy,
            "G households/s",
            giga / scan,
            "numpy rule",
            giga / peer,
        ),
    ]


def bench_replay(households: int) -> list[dict[str, Any]]:
    """Measure a year of openings of many households through the ladder."""
    import numpy as np

    from ingest.detector import kernel

    chance = np.random.default_rng(11)
    per_household = 3_500
    gaps = chance.exponential(365 * DAY_MS / per_household, (households, per_household)).astype(np.int64)
    openings = gaps.cumsum(axis=1)
    limits = np.asarray([DAY_MS, 2 * DAY_MS, 3 * DAY_MS], np.int64)
    stages = np.zeros(per_household * 3, np.int64)
    instants = np.zeros_like(stages)

    def ours() -> int:
        until = 366 * DAY_MS
        return sum(kernel.fold_recording(home, until, limits, stages, instants) for home in openings)

    def in_numpy() -> int:
        return sum(int((np.diff(home)[:, None] > limits).sum()) for home in openings)

    events = households * per_household / 1e6
    return [
        row(
            f"a year of {households:,} households, {events:.1f} M openings",
            events / seconds(ours),
            "M openings/s",
            events / seconds(lambda: int(openings.sum())),
            "numpy diff",
            events / seconds(in_numpy),
        )
    ]


def bench_decode(messages: int) -> list[dict[str, Any]]:
    """Measure the wire parser on one event per message."""
    import msgspec

    from kaimen import wire

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
    words = "events, one a message"
    return [row(words, million / ours, "M/s", million / limit, "json.loads, unchecked", million / peer)]


def machine() -> dict[str, Any]:
    """Say what the figures were measured on, without naming the machine."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "kind": platform.machine()}


_BENCHES: dict[str, tuple[Callable[[int], list[dict[str, Any]]], int]] = {
    "decode": (bench_decode, 100_000),
    "detect": (bench_detect, 1_000_000),
    "replay": (bench_replay, 1_000),
}


@click.command()
@click.argument("name", type=click.Choice(sorted(_BENCHES)))
@click.option("--size", type=click.IntRange(1, 200_000_000), help="Households, or messages for decode.")
@click.option(
    "--json", "as_json", is_flag=True, help="The report as JSON on standard output, and nothing else."
)
def command(name: str, size: int | None, as_json: bool) -> None:
    """Measure one stage against the machine's limit and its peers, as ratios."""
    bench, usual = _BENCHES[name]
    rows = bench(size or usual)
    if as_json:
        click.echo(json.dumps({"bench": name, "rows": rows, "machine": machine()}, indent=2))
        return
    for item in rows:
        click.echo(
            f"{item['name']}: {item['value']} {item['unit']}, {item['ratio_to_limit']} of the limit, "
            f"{item['ratio_to_peer']} times {item['peer']}"
        )
