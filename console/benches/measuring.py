"""Work enters; rates leave, as the rows of a report.

A figure by itself says more about the neighbours of a shared machine than about the program, so every row carries its
ratio to a limit measured in the same minute (what the memory or the parser alone could do) and to a peer (what
somebody would use instead). All values are rates: ratios are above 1 where ours is the faster.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

REPEATS = 5
#: What is short is repeated more often, for a moment without the neighbours.
_REPEATS_MAX, _TRIED_FOR_S = 30, 2.0


def seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the least wall seconds of ``work``, after one call that does not count.

    The least, for ours, the limit and the peers alike: on a shared machine it is the least disturbed one.
    """
    work()
    least, spent, count = float("inf"), 0.0, 0
    while count < repeats or (spent < _TRIED_FOR_S and count < _REPEATS_MAX):
        took = seconds_cold(work)
        least, spent, count = min(least, took), spent + took, count + 1
    return least


def seconds_cold(work: Callable[[], Any], repeats: int = 1) -> float:
    """Return the least wall seconds of ``work``, the first call included: for what takes minutes or happens once."""
    spans = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        spans.append(time.perf_counter() - start)
    return max(min(spans), 1e-9)


def least_mean(spans_s: Sequence[float], parts: int = 4) -> float:
    """Return the least of the means of a few stretches: of work that is now more, now less, the least disturbed."""
    size = -(-len(spans_s) // parts)
    stretches = [spans_s[begin : begin + size] for begin in range(0, len(spans_s), size)]
    return min(sum(stretch) / len(stretch) for stretch in stretches)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another way to do the same; ``rate`` in the unit of the row, ``of`` says on how much it was measured."""

    name: str
    rate: float
    of: str = ""


@dataclass(slots=True)
class Report:
    """What one benchmark found. ``prepared`` took time that is in no figure; ``left_out`` says which peer, and why."""

    bench: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    prepared: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    quiet: bool = False

    def add(
        self, name: str, value: float, unit: str, limit: float, peers: Iterable[Peer], **more: Any
    ) -> None:
        """Add a row for each peer; ``limit`` and the peers' rates are in ``unit``."""
        for peer in peers:
            self.rows.append(
                {
                    "name": name,
                    "value": _short(value),
                    "unit": unit,
                    "limit": _short(limit),
                    "ratio_to_limit": _short(value / limit),
                    "peer": peer.name,
                    "ratio_to_peer": _short(value / peer.rate),
                    "peer_value": _short(peer.rate),
                    **({"peer_of": peer.of} if peer.of else {}),
                    **more,
                }
            )

    def add_span(self, name: str, value_s: float, limit_s: float, peers: Iterable[Peer], **more: Any) -> None:
        """Add a row for each peer of a span in seconds: ``limit_s`` is the longest that is permitted.

        Ratios are the other way round than of rates, so that above 1 is the better side here too.
        """
        for peer in peers:
            self.rows.append(
                {
                    "name": name, "value": _short(value_s), "unit": "s", "limit": _short(limit_s),
                    "ratio_to_limit": _short(limit_s / max(value_s, 1e-9)), "peer": peer.name,
                    "ratio_to_peer": _short(peer.rate / max(value_s, 1e-9)), "peer_value": _short(peer.rate), **more,
                }
            )  # fmt: skip

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Note how long a preparation took that no figure contains."""
        self.say(f"{what} …")
        start = time.perf_counter()
        yield
        took = time.perf_counter() - start
        self.prepared.append({"what": what, "seconds": round(took, 2)})
        self.say(f"{what}: {took:.1f} s, not counted")

    def leave_out(self, peer: str, why: str) -> None:
        """Say that a peer is not in this run."""
        self.left_out.append({"peer": peer, "why": why})
        self.say(f"without {peer}: {why}")

    def say(self, line: str) -> None:
        if not self.quiet:
            click.echo(line, file=sys.stderr)

    def as_dict(self) -> dict[str, Any]:
        """Return the report of ``--json``."""
        return {
            "bench": self.bench,
            "rows": self.rows,
            "machine": machine(),
            "prepared": self.prepared,
            "left_out": self.left_out,
        }


def precise(took_s: float) -> float:
    """Return seconds with three digits, however few they are."""
    return float(f"{took_s:.3g}")


def _short(value: float) -> float:
    """Four digits are more than a shared machine can hold."""
    return float(f"{value:.4g}")


def machine() -> dict[str, Any]:
    """Say what the figures were measured on, without naming the machine."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "kind": platform.machine()}


def format_report(report: Report) -> str:
    """Return the rows as lines of text."""
    lines = []
    for item in report.rows:
        where = f" ({item['peer_of']})" if item.get("peer_of") else ""
        took = f" = {item['seconds']:.4g} s" if "seconds" in item else ""
        lines.append(
            f"{item['name']}: {item['value']:g} {item['unit']}{took}, {item['ratio_to_limit']:g} of the limit, "
            f"{item['ratio_to_peer']:g} times {item['peer']}{where}"
        )
    return "\n".join(lines)
