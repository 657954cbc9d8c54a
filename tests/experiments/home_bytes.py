"""``python -m tests.experiments.home_bytes [HOMES …]``: numbers of homes enter; what each part of ingest keeps of a home leaves.

The registry comes from a real PostgreSQL, or with ``KAIMEN_TEST_REGISTRY=memory`` from nowhere; the rest is the service's own state of one group in this process, without a
broker. Each home has one door that says a heartbeat every ``KAIMEN_TEST_BEAT_S`` (300) and is opened ten times a day,
for ``KAIMEN_TEST_HOURS`` (4); once an hour each block is written down, as the service does. Printed are the resident
memory, what each part keeps that no part before it keeps (by walking every object), and how long each step took.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import psycopg

from ingest.admission import Message
from ingest.causes import Causes, Wiring
from ingest.detector import Detector, Registry
from ingest.detector.cold import Stored
from ingest.groups.group_state import GroupState
from ingest.groups.own_clock import OwnClock
from ingest.restart.snapshots import KEPT_MS
from ingest.rows.book import Book, load_book
from ingest.rows.unsaved import Coverage
from kaimen import wire
from kaimen.clock import as_datetime
from kaimen.database import connect, queries
from kaimen.schema import migrate
from kaimen.vocabulary import DoorBinding, Household
from tests.fix_servers import postgres_server

BEAT_S = int(os.environ.get("KAIMEN_TEST_BEAT_S", "300"))
IN_MEMORY = os.environ.get("KAIMEN_TEST_REGISTRY") == "memory"
AWAKE_MAX = int(os.environ.get("KAIMEN_TEST_AWAKE", "20000"))
HOURS = float(os.environ.get("KAIMEN_TEST_HOURS", "4"))
OPENINGS_A_DAY = 10
BEGIN_MS = 1_790_000_000_000
BLOCK = 1_024
SPOKEN_AT_ONCE = 5_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
_LAY_OUT = queries("console.benches", "ingest.sql")["lay_out"]
_NOT_WALKED = (type, ModuleType, FunctionType)  # they are nobody's


def resident_bytes() -> int:
    """Return what this process holds, after what is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def walk(root: Any, seen: set[int]) -> Counter[str]:
    """Return the bytes by type of everything reachable from an object that was not seen before."""
    found: Counter[str] = Counter()
    stack = [root]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, _NOT_WALKED):
            continue
        seen.add(id(item))
        size = sys.getsizeof(item)
        if isinstance(item, np.ndarray):
            if item.base is not None:
                stack.append(item.base)
            else:
                size = item.nbytes + 112
        found[type(item).__name__] += size
        if isinstance(item, (str, bytes, int, float, np.ndarray)):
            continue
        if isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        else:
            stack.extend(gc.get_referents(item))
            for kind in type(item).__mro__:  # structs that the collector does not follow
                for name in getattr(kind, "__slots__", ()) or ():
                    if hasattr(item, name):
                        stack.append(getattr(item, name))
            for name in getattr(item, "__struct_fields__", ()):
                stack.append(getattr(item, name))
    return found


class Street:
    """Doors that speak, all by one clock."""

    def __init__(self, devices: Sequence[str], site_id: str) -> None:
        self._chance = random.Random(7)
        self._devices = list(devices)
        self._seq, self._opens = [0] * len(devices), [0] * len(devices)
        self._site_id = site_id

    def say(self, now_ms: int, numbers: Iterable[int], span_ms: int) -> list[Message]:
        """Return what some doors say at an instant: each a heartbeat, and perhaps an opening of the span before."""
        said: list[Message] = []
        chance = OPENINGS_A_DAY * span_ms / DAY_MS
        up = now_ms - BEGIN_MS + 60_000
        for number in numbers:
            device_id, boot = self._devices[number], f"{number + 1:016x}"
            head = f'{{"v":1,"boot":"{boot}","clk":"ntp",'
            if self._chance.random() < chance:
                self._opens[number] += 1
                for state, ago_ms in (("Open", 2_000), ("Closed", 1_000)):
                    self._seq[number] += 1
                    payload = (
                        f'{head}"seq":{self._seq[number]},"ts":{now_ms - ago_ms},"up":{up - ago_ms},'
                        f'"type":"DoorPhysicalState","state":"{state}","opens":{self._opens[number]}}}'
                    )
                    said.append(Message(self._topic(device_id, "evt"), payload.encode(), now_ms))
            payload = (
                f'{head}"ts":{now_ms},"up":{up},"seq_last":{self._seq[number]},"opens":{self._opens[number]},"unsent":0,'
                f'"first_seq":1,"batt":0.9,"rssi":-60,"fw":"1.0.0"}}'
            )
            said.append(Message(self._topic(device_id, "hb"), payload.encode(), now_ms))
        return said

    def _topic(self, device_id: str, channel: str) -> str:
        return wire.format_topic(self._site_id, device_id, channel)


class _Rows:
    """What stands for the database's rows: nobody may need them."""

    def __init__(self, number_of: dict[str, int]) -> None:
        self.number_of = number_of
        self.asked = 0

    def load(self, device_id: str) -> Stored:
        self.asked += 1
        return Stored({}, [], [])


def book_of(homes: int) -> Book:
    """Return the registry that ``read_book`` would read."""
    now_ms, spans = BEGIN_MS - HOUR_MS, (3 * BEAT_S * 1_000, 172_800_000)
    site_id = "bench"
    wiring = tuple(
        Wiring(
            f"door-{n}", site_id, spans[0], is_required=True, registered_ms=now_ms, commissioning_ms=spans[1]
        )
        for n in range(homes)
    )
    doors = {item.device_id: item for item in wiring}
    households = {
        f"h{n}": Household(f"h{n}", site_id, (DoorBinding(item.device_id),), now_ms)
        for n, item in enumerate(wiring)
    }
    households = {item.household_id: item for item in households.values()}
    numbers = range(1, homes + 1)
    registry = Registry({**doors}, households, {})
    return Book(
        registry, dict(zip(doors, numbers, strict=True)), dict(zip(households, numbers, strict=True)), wiring
    )


def read_book(homes: int) -> tuple[int, Stopwatch, Book]:
    """Lay homes out in a database and read them; return what was resident before, and a watch that has a lap of it."""
    with postgres_server(durable=False) as postgres:
        with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE kaimen")
        url = postgres.url("kaimen")
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_LAY_OUT, {"homes": homes, "at": as_datetime(BEGIN_MS - HOUR_MS)})
            connection.execute("UPDATE devices SET supervision_s = %s", (3 * BEAT_S,))
            connection.execute("ANALYZE")
        empty = resident_bytes()
        watch = Stopwatch()
        with connect(url, service="experiment") as opened:
            book = load_book(opened, now_ms=BEGIN_MS)
        watch.lap("registry read")
    return empty, watch, book


def measure(homes: int) -> int:
    """Print what one group keeps of so many homes; return the bytes resident."""
    if IN_MEMORY:
        empty, watch = resident_bytes(), Stopwatch()
        book = book_of(homes)
        watch.lap("registry made")
    else:
        empty, watch, book = read_book(homes)
    print(f"registry: {(resident_bytes() - empty) / homes:,.0f} bytes a home")
    watch.lap("")
    detector = Detector(book.registry, now_ms=BEGIN_MS, awake_max=AWAKE_MAX)
    watch.lap("detector laid out")
    rows = _Rows(book.device_no)
    state = GroupState(
        book, detector, Causes(book.wiring, now_ms=BEGIN_MS), Coverage(600_000), pulse_ms=BEGIN_MS, own_clock=OwnClock(),
        loader=rows,
    )  # fmt: skip
    watch.lap("causes")
    print(f"laid out: {(resident_bytes() - empty) / homes:,.0f} bytes a home")
    watch.lap("")
    live(
        state, Street(list(book.registry.devices), next(iter(book.registry.devices.values())).site_id), watch
    )
    resident = resident_bytes()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024
    print(
        f"{homes:,} homes (at the most {peak:,} MB): {resident / 2**20:,.0f} MB, {(resident - empty) / homes:,.0f} bytes a home beside what was there"
        f" before; {rows.asked} reached back"
    )
    watch.tell(homes)
    if homes <= 50_000:
        table(state, book, homes)
    return resident


class Stopwatch:
    """Processor seconds by step."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._at = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.spent[name] += now - self._at
        self._at = now

    def tell(self, homes: int) -> None:
        for name, seconds in self.spent.items():
            if name:
                print(f"  {name}: {seconds:.1f} s, {seconds / homes * 1e6:.1f} us a home")


def live(state: GroupState, street: Street, watch: Stopwatch) -> None:
    """Let some hours pass: each door speaks every ``BEAT_S``, one after the other; blocks are written down in between."""
    devices = list(state.book.device_no)
    parts = max(2, len(devices) // SPOKEN_AT_ONCE)
    span_ms = BEAT_S * 1_000
    for part in range(parts):  # what the broker kept comes before the first pulse
        said = street.say(BEGIN_MS, range(part, len(devices), parts), 0)
        watch.lap("")
        state.apply(said, BEGIN_MS, may_pulse=False)
        watch.lap("first words")
        state.confirm(state.draft(BEGIN_MS))
        watch.lap("first rows")
    print(f"  first words: {resident_bytes() / 2**20:,.0f} MB", flush=True)
    watch.lap("")
    state.apply([], BEGIN_MS + 1_000)
    watch.lap("first pulse")
    state.confirm(state.draft(BEGIN_MS + 1_000))
    watch.lap("first views")
    print(f"  first pulse: {resident_bytes() / 2**20:,.0f} MB", flush=True)
    watch.lap("")
    state.apply([], BEGIN_MS + 2_000)
    watch.lap("a pulse with nothing due")
    written = 0
    for round_no in range(round(HOURS * HOUR_MS / span_ms)):
        for part in range(parts):
            now_ms = BEGIN_MS + 3_000 + round_no * span_ms + span_ms * part // parts
            watch.lap("")
            said = street.say(now_ms, range(part, len(devices), parts), span_ms)
            watch.lap("")
            state.apply(said, now_ms + 3_000)
            watch.lap("messages and pulses")
            state.confirm(state.draft(now_ms + 3_000))
            watch.lap("drafts")
            # In an hour every block is written down once.
            due = round((round_no * parts + part + 1) / parts * span_ms / HOUR_MS * len(devices)) - written
            write_down(state, [devices[(written + at) % len(devices)] for at in range(due)], now_ms + 3_500)
            written += due
            watch.lap("written down")
        print(
            f"  after {(round_no + 1) * BEAT_S / 60:.0f} min: {resident_bytes() / 2**20:,.0f} MB", flush=True
        )


def write_down(state: GroupState, devices: Sequence[str], now_ms: int) -> None:
    """Write some devices down, blocks to a turn, as ``Snapshots`` does."""
    for first in range(0, len(devices), BLOCK):
        turn = state.draft(now_ms)
        block = devices[first : first + BLOCK]
        state.collect(block)
        state.coverage.add(turn, frozenset(block))
        hots = [hot for hot in map(state.hot_of, block) if hot is not None]
        state.confirm(turn)
        for hot in hots:
            state.cool(hot, now_ms - KEPT_MS)


def table(state: GroupState, book: Any, homes: int) -> None:
    """Print what each part keeps that no part before it keeps."""
    detector = state._detector
    seen: set[int] = {id(sys.modules)}
    parts: list[tuple[str, Any]] = [
        ("registry: devices", book.registry.devices),
        ("registry: households", book.registry.households),
        ("registry: numbers", [book.device_no, book.household_no]),
        ("registry: wiring", book.wiring),
        ("tracks awake", list(detector._tracks.all_awake())),
        ("tracks asleep", detector._tracks._entries),
        ("watches", detector._homes._remembered),
        ("detector: arrays", [detector._state, detector._lane, detector._found]),
        ("detector: rest", detector),
        ("causes", state.causes),
        ("losses", state._losses),
        ("clock votes", state._own_clock),
        ("coverage", state.coverage),
        ("topics", state._admitter),
        ("rest", state),
    ]
    total = 0
    for name, part in parts:
        found = walk(part, seen)
        bytes_each = sum(found.values()) / homes
        total += sum(found.values())
        most = ", ".join(f"{kind} {size / homes:.0f}" for kind, size in found.most_common(6) if size > homes)
        print(f"  {name}: {bytes_each:,.0f} ({most})")
    print(f"  all: {total / homes:,.0f}", flush=True)


def main() -> int:
    for homes in [int(one) for one in sys.argv[1:]] or [20_000]:
        measure(homes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
