"""The whole matrix of ingest and the edge: places, kills at each and a file enter; the table leaves, however often it was stopped.

Streets live side by side, each in a world with brokers of its own, over one PostgreSQL. What each street found is a
line of the file, so a run that was stopped goes on where it was; a file of another version of the code is refused, for
a table of two versions would be true of neither.
"""

from __future__ import annotations

import dataclasses
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.fix_database import DatabaseServer
from tests.kills.ingest_matrix import Found, Matrix, matrices

REPOSITORY = Path(__file__).parents[2]
_SAID_MAX = 200


def code_version() -> str:
    """Return which code is killed: its commit, marked where something was changed since; empty where git knows nothing."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.strip()


class Results:
    """What was found at each place, kept in a file after every street where one is named."""

    def __init__(self, places: Sequence[str], path: Path | None) -> None:
        self.found = {place: Found(place) for place in places}
        self._path = path
        self._lock = threading.Lock()
        self._version = code_version()
        if path is not None and path.exists():
            self._load(path)

    def _load(self, path: Path) -> None:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row: dict[str, Any] = json.loads(line)
            except json.JSONDecodeError:
                # The power may go in the middle of a line: that street lives again.
                print(f"{path}, line {number}: no result, left out", file=sys.stderr)
                continue
            version = row.pop("version")
            if version != self._version:
                raise SystemExit(
                    f"{path} holds results of {version}, this is {self._version}: name another file, or go back to that"
                )
            if row["place"] in self.found:
                self.found[row["place"]].add(Found(**row))

    def note(self, street: Found) -> None:
        """Keep what one street found."""
        if self._path is None:
            return
        line = json.dumps({"version": self._version, **dataclasses.asdict(street)})
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def kill_everywhere(
    database: DatabaseServer, folder: Path, results: Results, *, kills: int, side_by_side: int
) -> bool:
    """Kill at every place until each has so many; return whether it came to the end, and was not told to stop."""
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    places: queue.SimpleQueue[str] = queue.SimpleQueue()
    for place in results.found:
        places.put(place)

    def work(made: Matrix) -> None:
        while not stop.is_set():
            try:
                place = places.get_nowait()
            except queue.Empty:
                return
            _kill_at(made, place, kills, results, stop)

    try:
        with matrices(database, folder, side_by_side) as worlds, ThreadPoolExecutor(side_by_side) as pool:
            futures = [pool.submit(work, made) for made in worlds]
            try:
                for future in futures:
                    future.result()
            except KeyboardInterrupt:
                stop.set()
            except BaseException:
                stop.set()  # the other streets end their day, and are kept
                raise
    finally:
        signal.signal(signal.SIGTERM, before)
    return not stop.is_set()


def _kill_at(made: Matrix, place: str, kills: int, results: Results, stop: threading.Event) -> None:
    begun, found = time.monotonic(), results.found[place]
    before = found.kills
    made.kill_at(place, kills, found=found, note=results.note, is_over=stop.is_set)
    words = f"{place}: {found.kills - before} kills in {time.monotonic() - begun:.0f} s, {found}"[:_SAID_MAX]
    print(words, *found.different[:5], sep="\n  ", file=sys.stderr, flush=True)
