"""``kaimen bench``: a name and a size enter; figures leave, each beside the machine's limit and its peers."""

from __future__ import annotations

import importlib
import json

import click

from console.benches.measuring import Report, format_report

#: Where each benchmark is, and the size it has where none is named.
_BENCHES: dict[str, tuple[str, int]] = {
    "alerts": ("console.benches.alerts:bench_alerts", 10_000),
    "console": ("console.benches.pages:bench_console", 20_000_000),
    "decode": ("console.benches.decode:bench_decode", 100_000),
    "detect": ("console.benches.detect:bench_detect", 1_000_000),
    "ingest": ("console.benches.ingest:bench_ingest", 200_000),
    "replay": ("console.benches.replay:bench_replay", 100_000),
    "store": ("console.benches.store:bench_store", 2_000_000),
}

_LONG = "console.benches.ingest_long:bench_ingest_long"


@click.command()
@click.argument("name", type=click.Choice(sorted(_BENCHES)))
@click.option(
    "--size",
    type=click.IntRange(1, 200_000_000),
    help="Households; messages for decode, events for ingest, store and console, open cases for alerts.",
)
@click.option(
    "--duration",
    type=click.IntRange(10, 86_400),
    help="For ingest: instead, doors speak for so many seconds in each way, over a midnight and checkpoints.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="The report as JSON on standard output, and nothing else."
)
def command(name: str, size: int | None, duration: int | None, as_json: bool) -> None:
    """Measure one stage against the machine's limit and its peers, as ratios."""
    target, usual = _BENCHES[name]
    if duration is not None:
        if name != "ingest" or size is not None:
            raise click.UsageError("--duration is for ingest, and in place of --size")
        target, usual = _LONG, duration
    module, _, function = target.partition(":")
    report = Report(name, quiet=as_json)
    getattr(importlib.import_module(module), function)(size or usual, report)
    click.echo(json.dumps(report.as_dict(), indent=2) if as_json else format_report(report))
