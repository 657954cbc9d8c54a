"""The database enters; a detector that knows what the one before it knew leaves.

Detector state is disposable: it is thrown away at every failed commit and at every start, and built again from the
stored events, the folded heartbeats, the boots' bases and the facts that have no end yet. What was written down of a
device (``restarting``) spares reading its rows, and is proven to be what they would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.rows import tuple_row

from ingest.causes import Cause, Causes, OutageCause, StandingOutage
from ingest.detector import BootBase, CheckDue, CoveragePoint, Crossing, Detector, OutageBegan
from ingest.detector.state import AWAKE_MAX
from ingest.groups.grace import CheckHeld, Grace
from ingest.groups.losses import Losses
from ingest.restart.going_on import Loader, go_on
from ingest.restart.rows import Restart, load_epoch, load_snapshots
from ingest.rows.book import Book
from ingest.rows.event_columns import Packed, StoredEvent, read_columns
from ingest.rows.event_rows import boot_text
from ingest.store import load_reached
from kaimen import wire
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.policy import PAST_MAX_MS

_SQL = queries("ingest")
_ROWS_AT_ONCE = 20_000
#: After a start so many homes are judged at a pulse only because nobody judged them yet: a quarter of a second or so.
JUDGED_PER_PULSE = 1_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A detector and the causes beside it; ``pulse_ms`` is the newest committed pulse, None before the first."""

    detector: Detector
    causes: Causes
    grace: Grace
    losses: Losses
    pulse_ms: int | None
    event_count: int
    restart: Restart
    loader: Loader


def rebuild(
    connection: Connection,
    book: Book,
    *,
    now_ms: int,
    group_no: int = 0,
    groups: int = 1,
    by_snapshot: bool = True,
    unsaved: Iterable[CoveragePoint] = (),
    awake_max: int = AWAKE_MAX,
    alive: Callable[[], None] = lambda: None,
) -> Rebuilt:
    """Build the detector of one shard group from the database.

    ``unsaved`` are folded heartbeats that were heard and not yet written; ``alive`` is called now and then, for a
    lease to be renewed meanwhile; of more devices than ``awake_max`` the others sleep. One snapshot of the database is read. Of devices that were written down only what came
    since is read, unless not ``by_snapshot``.
    """
    counted = _Counted(alive)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        pulse_ms, batch = load_reached(connection, group_no)
        epoch = load_epoch(connection)
        start_ms = max(now_ms, pulse_ms or 0) // 1000 * 1000
        device_by_no = book.device_by_no()
        # Every group has its own: what stands for others is not ours to end.
        outages = [
            item for item in _load_outages(connection, book) if item.outage.device_id in book.device_no
        ]
        held = [item for item in _load_held(connection, book) if item.check.household_id in book.household_no]
        ours = {wiring.device_id for wiring in book.wiring if wiring.is_gateway or not wiring.is_required}
        detector = Detector(book.registry, now_ms=start_ms, awake_max=awake_max)
        found, unsound = (
            load_snapshots(connection, groups=groups, group_no=group_no, batch=batch)
            if by_snapshot
            else ([], {})
        )
        heard = list(unsaved)
        boots: dict[str, dict[str, BootBase]] = {}
        for base in _load_boots(connection, book, device_by_no):
            boots.setdefault(base.device_id, {})[base.boot] = base
        loader = Loader(connection, detector, book.device_no, point_of)
        taken, tail = go_on(
            connection, detector, loader, found, device_by_no=device_by_no, boots=boots, unsaved=heard, point_of=point_of,
            event_of=event_of,
        )  # fmt: skip
        alive()
        others = {no: device_id for no, device_id in device_by_no.items() if device_id not in taken}
        packed, events = _load_events(connection, others, start_ms, counted)
        detector.restore(
            events=events,
            packed=packed,
            points=[*_load_points(connection, others), *(p for p in heard if p.device_id not in taken)],
            boots=[base for device_id in boots.keys() - taken for base in boots[device_id].values()],
            standing=_load_crossings(connection, book),
            checks=[*_load_checks(connection, book), *(item.check for item in held)],
            outages=[item.outage for item in outages if item.outage.device_id not in ours],
        )
        many = len(book.registry.households) > JUDGED_PER_PULSE
        detector.put_off(JUDGED_PER_PULSE, _load_evidence(connection, book) if many else {})
        causes = Causes(
            book.wiring,
            now_ms=start_ms,
            heard_ms_by_id=_load_heard(connection, book),
            standing=outages,
        )
        losses = Losses(_load_losses(connection, book, device_by_no))
    grace = Grace(book.registry, held=held)
    restart = Restart(epoch, found, unsound, len(taken), tail)
    return Rebuilt(detector, causes, grace, losses, pulse_ms, counted.count + tail, restart, loader)


class _Counted:
    """Counts what was read, and gives a sign of life with it."""

    def __init__(self, alive: Callable[[], None]) -> None:
        self.count = 0
        self._alive = alive

    def add(self, count: int) -> None:
        self.count += count
        self._alive()


def _rows(connection: Connection, name: str, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Read through a cursor on the server, so that 45 days of events are never in memory twice."""
    with connection.cursor(name=f"rebuild_{name}", binary=True) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(_SQL[name], values)
        yield from cursor


def _load_events(
    connection: Connection, device_by_no: dict[int, str], now_ms: int, counted: _Counted
) -> tuple[Packed, list[StoredEvent]]:
    """Read events as columns: at hundreds of thousands a start, an object each would be most of it."""
    since = as_datetime(now_ms) - timedelta(milliseconds=PAST_MAX_MS)
    return read_columns(connection, _SQL["load_events"], {"since": since}, device_by_no, told=counted.add)


def event_of(boot: str, said: list[Any]) -> wire.Event:
    """Return a stored event as the wire has it; ``said`` are the columns of ``load_events`` after the boot."""
    seq, ts, up, clk, replayed, kind, state, direction, method, credential, opens, reason, door = said
    return wire.Event(
        v=1, boot=boot, seq=seq, ts=ts, up=up, clk=clk, type=kind, door=door, state=state, dir=direction,
        method=method, cred=credential, opens=opens, reason=reason, hist=replayed,
    )  # fmt: skip


def _load_points(connection: Connection, device_by_no: dict[int, str]) -> Iterator[CoveragePoint]:
    if not device_by_no:
        return
    for row in _rows(connection, "load_points_of", {"devices": list(device_by_no), "batch": -1}):
        device_id = device_by_no.get(row["device_no"])
        if device_id is not None:
            yield point_of(device_id, row)


def point_of(device_id: str, row: dict[str, Any]) -> CoveragePoint:
    """Return a row of ``coverage_points`` as the detector takes it."""
    return CoveragePoint(
        device_id, boot_text(row["boot"]), row["seq_last"], row["opens"],
        row["first_up_ms"], row["first_ts_ms"], row["first_received_ms"], row["first_clock"],
        row["last_up_ms"], row["last_ts_ms"], row["last_received_ms"], row["last_clock"],
        row["by_check_in"],
    )  # fmt: skip


def _load_boots(connection: Connection, book: Book, device_by_no: dict[int, str]) -> Iterator[BootBase]:
    for row in _rows(connection, "load_boots", {"sites": book.sites}):
        device_id = device_by_no.get(row["device_no"])
        if device_id is not None:
            yield base_of(device_id, row)


def base_of(device_id: str, row: dict[str, Any]) -> BootBase:
    """Return a row of ``boots`` as the detector takes it."""
    return BootBase(
        device_id, boot_text(row["boot"]), row["ntp_up_ms"], row["ntp_ts_ms"], row["ntp_base_min_ms"],
        row["ntp_base_max_ms"], row["received_base_ms"], row["rtc_base_ms"], row["newest_received_ms"],
    )  # fmt: skip


def _load_crossings(connection: Connection, book: Book) -> list[Crossing]:
    return [
        Crossing(
            row["household_id"], row["stage"], as_ms(row["at"]), as_ms(row["announced_at"]),
            as_ms(row["evidence_at"]), row["evidence"], row["inactive_ms"], row["elapsed_ms"],
            tuple(row["thresholds_ms"]),
        )
        for row in connection.execute(_SQL["load_standing_crossings"], {"sites": book.sites}).fetchall()
    ]  # fmt: skip


def _load_evidence(connection: Connection, book: Book) -> dict[str, tuple[int, int]]:
    """Return each home's newest evidence and its stage, as readers were shown them last."""
    with connection.cursor(name="rebuild_evidence", binary=True, row_factory=tuple_row) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(_SQL["load_evidence"], {"sites": book.sites})
        return {home: (at_ms, stage) for home, at_ms, stage in cursor if home in book.household_no}


def _load_checks(connection: Connection, book: Book) -> list[CheckDue]:
    return [
        CheckDue(
            row["household_id"], row["step"], as_ms(row["at"]), as_ms(row["noticed_at"]), as_ms(row["evidence_at"]),
            row["evidence"], row["inactive_ms"],
        )
        for row in connection.execute(_SQL["load_standing_checks"], {"sites": book.sites}).fetchall()
    ]  # fmt: skip


def _load_held(connection: Connection, book: Book) -> list[CheckHeld]:
    return [
        CheckHeld(
            CheckDue(
                row["household_id"], row["step"], as_ms(row["at"]), as_ms(row["noticed_at"]),
                as_ms(row["evidence_at"]), row["evidence"], row["inactive_ms"],
            ),
            OutageCause(row["cause"]),
            as_ms(row["held_until"]),
        )
        for row in connection.execute(_SQL["load_held_checks"], {"sites": book.sites}).fetchall()
    ]  # fmt: skip


def _load_losses(
    connection: Connection, book: Book, device_by_no: dict[int, str]
) -> dict[tuple[str, str], int]:
    return {
        (device_by_no[row["device_no"]], boot_text(row["boot"])): row["first_seq"]
        for row in connection.execute(_SQL["load_losses"], {"sites": book.sites}).fetchall()
        if row["device_no"] in device_by_no
    }


def _load_outages(connection: Connection, book: Book) -> Iterator[StandingOutage]:
    for row in connection.execute(_SQL["load_standing_outages"], {"sites": book.sites}).fetchall():
        heard_ms = None if row["heard_at"] is None else as_ms(row["heard_at"])
        yield StandingOutage(
            OutageBegan(row["device_id"], as_ms(row["began_at"]), heard_ms),
            Cause(OutageCause(row["cause"]), row["cause_id"]),
            row["told"],
        )


def _load_heard(connection: Connection, book: Book) -> dict[str, int]:
    rows = connection.execute(_SQL["load_heard"], {"sites": book.sites}).fetchall()
    return {row["id"]: row["heard_ms"] for row in rows if row["heard_ms"] is not None}
