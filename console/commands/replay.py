"""``kaimen replay``: recordings or recorded wire messages enter, the detector's report leaves."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

#: Lines that are no message are named on standard error, up to so many.
UNREADABLE_SHOWN_MAX = 20
#: The year 10889: what is beyond is no instant.
INSTANT_MAX_MS = 1 << 48
#: A file or a pipe; ``-`` is standard input.
_PATH = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.command()
@click.argument("files", nargs=-1, type=_PATH)
@click.option(
    "--detector",
    type=click.Choice(["ladder", "hazard", "cuddihy", "wilhelm", "floeck", "tail"]),
    default="ladder",
    show_default=True,
    help="The mandated ladder, or a method of early watch (hazard is early watch's own default).",
)
@click.option(
    "--sensors",
    type=click.Choice(["all", "door+1"]),
    default="all",
    show_default=True,
    help="What early watch hears: every sensor, or the front door and one interior sensor.",
)
@click.option(
    "--front-door",
    "front_doors",
    multiple=True,
    help="Sensor that is the front door, where the file does not say it; may be repeated.",
)
@click.option("--through-broker", is_flag=True, help="Send the recording through a whole running stack.")
@click.option(
    "--wire", "wire_file", type=_PATH, help="Recorded wire messages (JSON Lines), in order of receipt."
)
@click.option("--registry", "registry_file", type=_PATH, help="The registry the messages belong to (JSON).")
@click.option(
    "--until",
    "until_ms",
    type=click.IntRange(0, INSTANT_MAX_MS),
    help="Instant of the report, Unix milliseconds.",
)
@click.option(
    "--kill", "kills", multiple=True, hidden=True, help="Through the broker: kill -9 this service on the way."
)
@click.option(
    "--json", "as_json", is_flag=True, help="The report as JSON on standard output, and nothing else."
)
def command(
    files: tuple[Path, ...],
    detector: str,
    sensors: str,
    front_doors: tuple[str, ...],
    through_broker: bool,
    wire_file: Path | None,
    registry_file: Path | None,
    until_ms: int | None,
    kills: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run recordings (CSV: home, time, sensor, kind, state) through the detector and say what it would have done."""
    from ingest.recording_file import RecordingError

    if detector != "ladder" and (through_broker or wire_file is not None):
        raise click.UsageError("early watch replays recordings alone: leave --through-broker and --wire away")
    bad_rows: list[dict[str, Any]] = []
    try:
        if wire_file is not None:
            report = _judge(wire_file, registry_file, until_ms, quiet=as_json)
        elif through_broker:
            from console.through_broker import replay_through_broker

            report = replay_through_broker(
                _recordings(files, bad_rows, front_doors), kills=kills, quiet=as_json
            )
        elif detector != "ladder":
            from ingest.recording import replay_early

            report = replay_early(
                _recordings(files, bad_rows, front_doors), detector, one_sensor=sensors == "door+1"
            )
        else:
            from ingest.recording import replay_recordings

            report = replay_recordings(_recordings(files, bad_rows, front_doors))
    except RecordingError as error:
        raise click.ClickException(str(error)) from error
    report.setdefault("unreadable", bad_rows)
    if as_json:
        json.dump(report, sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    elif wire_file is not None:
        click.echo(_wire_table(report))
    else:
        click.echo(_table(report))


def _recordings(
    files: tuple[Path, ...], bad_rows: list[dict[str, Any]], front_doors: tuple[str, ...]
) -> list[Any]:
    """Read the homes of all files; what is left out is said, and noted in ``bad_rows``."""
    from ingest.recording import doubts_of, read_recording
    from ingest.recording_file import Unreadable

    if not files:
        raise click.UsageError("name at least one recording, or --wire with --registry and --until")
    found = []
    for path in files:
        unreadable: list[Unreadable] = []
        homes = read_recording(path, unreadable, frozenset(front_doors))
        _say_left_out(path, unreadable)
        bad_rows += [{"file": path.name, "line": item.line, "reason": item.reason} for item in unreadable]
        if not homes:
            click.echo(f"{path.name}: holds no row under its header", err=True)
        found += homes
    for recording in found:
        for told in doubts_of(recording):
            click.echo(f"{recording.home}: {told}", err=True)
    return found


def _say_left_out(path: Path, unreadable: Sequence[Any]) -> None:
    for item in unreadable[:UNREADABLE_SHOWN_MAX]:
        click.echo(f"{path.name}, line {item.line}: {item.reason}; it is left out", err=True)
    if len(unreadable) > UNREADABLE_SHOWN_MAX:
        click.echo(f"… and {len(unreadable) - UNREADABLE_SHOWN_MAX} more lines; --json lists all", err=True)


def _judge(
    wire_file: Path, registry_file: Path | None, until_ms: int | None, *, quiet: bool
) -> dict[str, Any]:
    from ingest.judging import judge_wire
    from ingest.recording_file import Unreadable
    from ingest.registry_file import read_registry
    from ingest.wire_file import WireMessages

    if registry_file is None or until_ms is None:
        raise click.UsageError("--wire needs --registry and --until")
    registry = read_registry(registry_file)
    with tqdm(unit=" messages", disable=quiet or not sys.stderr.isatty(), file=sys.stderr) as bar:

        def advance(_number: int) -> None:
            bar.update()

        unreadable: list[Unreadable] = []
        report = judge_wire(WireMessages(wire_file, unreadable), registry, until_ms, progress=advance)
    _say_left_out(wire_file, unreadable)
    report["unreadable"] = [{"line": item.line, "reason": item.reason} for item in unreadable]
    return report


def _table(report: dict[str, Any]) -> str:
    lines = [
        f"{'home':<22}{'days':>7}{'openings':>10}{'warning':>9}{'call':>6}{'visit':>7}{'false':>7}{'latency h':>11}"
    ]
    for home in report["homes"]:
        crossings = home["crossings"]
        latency = "-" if home["latency_hours_mean"] is None else f"{home['latency_hours_mean']:.1f}"
        lines.append(
            f"{home['home'][:21]:<22}{home['days']:>7.1f}{home['openings']:>10}{crossings['warning']:>9}"
            f"{crossings['call']:>6}{crossings['visit']:>7}{home['false_alerts']:>7}{latency:>11}"
        )
    total = report["total"]
    latency_h = total["latency_hours_mean"]
    collapse = (
        "no hour at which a collapse could be simulated"
        if latency_h is None
        else f"first alert {latency_h} h after a simulated collapse"
    )
    lines.append(f"{_name(report)}: {_rate(total)}, {collapse}")
    if "after_warm_up" in total:
        lines.append(f"Without the seven days of warm-up: {_rate(total['after_warm_up'])}")
        lines.extend(_notes(report))
    lines.append("Taken as heard throughout: these recordings carry no heartbeats.")
    return "\n".join(lines)


def _name(report: dict[str, Any]) -> str:
    if report.get("sensors") == "door+1":
        return f"{report['detector']}, front door and one interior sensor"
    return str(report["detector"])


def _rate(total: dict[str, Any]) -> str:
    if not total["home_years"]:
        return "no rate of false alerts, for it covers no time"
    low, high = total["ci95"] or (0.0, 0.0)
    return (
        f"{total['false_alerts_per_home_year']} false alerts per home-year "
        f"(95 % {low} to {high}) over {total['home_years']} home-years"
    )


def _notes(report: dict[str, Any]) -> list[str]:
    lines = ["warning, call and visit are the mandated ladder's; false are this detector's alerts."]
    lines += [
        f"{home['home']}: hears {home['interior_sensor']}"
        for home in report["homes"]
        if home["interior_sensor"]
    ]
    return lines + [f"{home['home']}: {home['note']}" for home in report["homes"] if home["note"]]


def _wire_table(report: dict[str, Any]) -> str:
    admission = "  ".join(f"{name} {count}" for name, count in report["admission"].items())
    lines = [f"admission: {admission}"]
    for part in ("effective", "checks", "announced", "not_known"):
        lines.append(f"{part}: {len(report[part])}")
        lines.extend("  " + "  ".join(f"{key} {value}" for key, value in row.items()) for row in report[part])
    return "\n".join(lines)
