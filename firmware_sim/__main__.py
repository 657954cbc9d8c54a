"""The simulated street on the command line: options enter, messages go to a broker or a file.

``--speed max`` plays the days before now and ends; ``real`` and a number play against a clock, can be steered, and
go on where they were stopped.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType

import click
from tqdm import tqdm

from firmware_sim.community import make_community
from firmware_sim.drift import DriftLevel
from firmware_sim.faults import LEVELS
from firmware_sim.live import Live, open_street
from firmware_sim.people import Community
from firmware_sim.publish import (
    BrokerPublisher,
    FilePublisher,
    MessageFile,
    Publisher,
    publish_all,
    write_registry,
)
from firmware_sim.residents import DAY_MS
from firmware_sim.state import StateError, StateFile, kept_start_ms, save
from firmware_sim.street import Delivery, Street
from kaimen.clock import Clock, as_datetime, open_clock


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """A clock that began at ``from_ms`` and runs ``speed`` times as fast until it has caught up with another."""

    base: Clock
    began_ms: int
    from_ms: int
    speed: float

    def now_ms(self) -> int:
        base_ms = self.base.now_ms()
        return min(base_ms, self.from_ms + int((base_ms - self.began_ms) * self.speed))

    def uptime_ms(self) -> int:
        return self.now_ms()

    def wall_seconds(self, span_ms: int) -> float:
        return self.base.wall_seconds(span_ms) / self.speed


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    community: Community
    faults: str
    drift: DriftLevel
    broker: str | None
    out: Path | None
    state: Path | None
    control: Path | None


def _speed(text: str) -> str | float:
    if text in ("max", "real"):
        return text
    try:
        speed = float(text)
    except ValueError:
        raise click.BadParameter("max, real or a number", param_hint="--speed") from None
    if speed <= 0:
        raise click.BadParameter("a number above 0", param_hint="--speed")
    return speed


@click.command(name="sim", context_settings={"show_default": True})
@click.option(
    "--households", default=500, type=click.IntRange(1, 100_000), help="Dwellings of the community."
)
@click.option(
    "--watched", default=None, type=click.IntRange(0), help="Elders' homes with consent [an eighth]."
)
@click.option("--days", default=30.0, type=click.FloatRange(0, 3_650), help="Length of the span in days.")
@click.option("--seed", default=42, help="The same seed plays the same street.")
@click.option("--site", default="baihe", help="Id of the community.")
@click.option(
    "--speed",
    default="max",
    help="max: the days before now, at once. real: from now on. N: the days before now, N times as fast.",
)
@click.option(
    "--heartbeat", default=3_600, type=click.IntRange(1, 86_400), help="Seconds between heartbeats."
)
@click.option("--faults", default="usual", type=click.Choice(sorted(LEVELS)), help="How much goes wrong.")
@click.option(
    "--drift", default="gentle", type=click.Choice([str(item) for item in DriftLevel]), help="Device clocks."
)
@click.option("--broker", metavar="URL", help="mqtt://[user:password@]host[:port], or mqtts://")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="JSON lines instead of a broker."
)
@click.option(
    "--registry", type=click.Path(dir_okay=False, path_type=Path), help="Also write the registry here."
)
@click.option(
    "--start", "start_ms", type=int, help="Begin at this instant (UTC ms) instead of days before now."
)
@click.option("--clock", "clock_name", default="system", envvar="KAIMEN_CLOCK", help="system or file:PATH")
@click.option(
    "--state", type=click.Path(dir_okay=False, path_type=Path), help="What the devices hold; go on from it."
)
@click.option(
    "--control",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of commands, one file each.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    households: int,
    watched: int | None,
    days: float,
    seed: int,
    site: str,
    speed: str,
    heartbeat: int,
    faults: str,
    drift: str,
    broker: str | None,
    out: Path | None,
    registry: Path | None,
    start_ms: int | None,
    clock_name: str,
    state: Path | None,
    control: Path | None,
    quiet: bool,
) -> None:
    """Play a street of doors and the people behind them, as real devices would tell it."""
    if (broker is None) == (out is None):
        raise click.UsageError("name one of --broker and --out")
    chosen = _speed(speed)
    clock = open_clock(clock_name)
    now_ms = clock.now_ms()
    span_ms = int(days * DAY_MS)
    try:
        kept_ms = kept_start_ms(state) if state is not None else None
        begin_ms = now_ms if chosen == "real" else now_ms - span_ms
        begin_ms = start_ms if start_ms is not None else begin_ms
        community = make_community(
            seed,
            households,
            min(households // 8, households) if watched is None else watched,
            site,
            begin_ms if kept_ms is None else kept_ms,
            heartbeat_s=heartbeat,
        )
        options = Options(community, faults, DriftLevel(drift), broker, out, state, control)
        if registry is not None:
            write_registry(registry, community.to_registry())
        if chosen == "max":
            _play_at_once(options, begin_ms, begin_ms + span_ms, quiet=quiet)
        else:
            scaled = clock if isinstance(chosen, str) else ScaledClock(clock, now_ms, begin_ms, chosen)
            _play_live(options, scaled, begin_ms, begin_ms + span_ms)
    except (ValueError, OSError, StateError) as error:
        raise click.ClickException(str(error)) from error


def _play_at_once(options: Options, from_ms: int, to_ms: int, *, quiet: bool) -> None:
    street = Street(options.community, from_ms, rates=LEVELS[options.faults], drift=options.drift)
    if options.state is not None:
        with closing(StateFile(options.state, options.community)) as file:
            file.restore_into(street)
    deliveries = _with_progress(street.run(to_ms), street.now_ms, to_ms, quiet=quiet)
    if options.out is not None:
        with MessageFile(options.out) as file:
            file.write(deliveries)
    else:
        assert options.broker is not None
        publish_all(deliveries, options.broker, client_id=f"{options.community.site_id}-sim")
    if options.state is not None:
        save(street, options.state)


def _with_progress(
    deliveries: Iterator[Delivery], from_ms: int, to_ms: int, *, quiet: bool
) -> Iterator[Delivery]:
    with tqdm(
        total=max(0.0, (to_ms - from_ms) / DAY_MS),
        unit="day",
        disable=quiet or None,
        file=sys.stderr,
        bar_format="{l_bar}{bar}| {n:.1f}/{total:.1f} days [{elapsed}<{remaining}]",
    ) as bar:
        shown_ms = from_ms
        for delivery in deliveries:
            if delivery[0] - shown_ms > DAY_MS // 20:
                bar.update((delivery[0] - shown_ms) / DAY_MS)
                shown_ms = delivery[0]
            yield delivery
        bar.update(max(0, to_ms - shown_ms) / DAY_MS)


def _play_live(options: Options, clock: Clock, from_ms: int, until_ms: int) -> None:
    stop = Event()

    def _stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    street = Street(
        options.community, from_ms, rates=LEVELS[options.faults], drift=options.drift, real_link=True
    )
    with tempfile.TemporaryDirectory() as directory:
        state = open_street(street, options.state or Path(directory) / "sim.sqlite")
        publisher = _publisher(options)
        try:
            click.echo(
                f"playing {len(options.community.households)} households from "
                f"{as_datetime(street.now_ms).isoformat(timespec='seconds')}",
                err=True,
            )
            Live(street, clock, publisher, state, options.control).run(stop, until_ms)
        finally:
            publisher.close()
            state.close()


def _publisher(options: Options) -> Publisher:
    if options.out is not None:
        return FilePublisher(options.out)
    assert options.broker is not None
    return BrokerPublisher(options.broker)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line with these arguments, or with those of the process."""
    command.main(args=None if arguments is None else list(arguments), prog_name="kaimen sim")


if __name__ == "__main__":
    main()
