"""What a group wrote down and what was stored since enter; a detector that goes on from it leaves, with what it could not use.

The snapshot spares a start the events of 45 days: of a device that is in it only the rows since are read. Everything
else is read as ever, by ``replay``: devices that are in no sound block, and those whose base moved since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from psycopg.rows import tuple_row

from ingest import metrics
from ingest.detector import BootBase, CoveragePoint, Detector
from ingest.detector.cold import Stored
from ingest.restart.rows import TAIL_MS, Found, least_batch
from ingest.rows.event_columns import read_columns
from ingest.rows.event_rows import boot_text
from kaimen import wire
from kaimen.clock import as_datetime
from kaimen.database import Connection, queries
from kaimen.policy import PAST_MAX_MS

_SQL = queries("ingest")


def go_on(
    connection: Connection,
    detector: Detector,
    loader: Loader,
    found: Iterable[Found],
    *,
    device_by_no: Mapping[int, str],
    boots: Mapping[str, Mapping[str, BootBase]],
    unsaved: Iterable[CoveragePoint],
    point_of: Callable[[str, dict[str, Any]], CoveragePoint],
    event_of: Callable[[str, list[Any]], wire.Event],
) -> tuple[set[str], int]:
    """Let a detector take up what was written down; return the devices that are in it, and how many events came since."""
    blocks = list(found)
    number_of = loader.number_of
    batch_of = {
        hot.device_id: block.batch for block in blocks for hot in block.hots if hot.device_id in number_of
    }
    if not batch_of:
        return set(), 0
    since_ms = min(block.written_ms for block in blocks) - TAIL_MS
    values = {
        "devices": [number_of[device_id] for device_id in batch_of],
        "batch": least_batch(blocks),
        "since": as_datetime(since_ms),
    }
    events: dict[str, list[tuple[wire.Event, int]]] = {}
    points: dict[str, list[CoveragePoint]] = {}
    count = 0
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        for device_no, boot, batch, received_ms, *said in cursor.execute(_SQL["load_tail"], values):
            device_id = device_by_no[device_no]
            if batch > batch_of[device_id]:
                events.setdefault(device_id, []).append((event_of(boot_text(boot), said), received_ms))
                count += 1
    with connection.cursor(binary=True) as rows:
        for row in rows.execute(_SQL["load_points_of"], values):
            device_id = device_by_no[row["device_no"]]
            if row["batch"] > batch_of[device_id]:
                points.setdefault(device_id, []).append(point_of(device_id, row))
    for point in unsaved:
        if point.device_id in batch_of:
            points.setdefault(point.device_id, []).append(point)
    hots = (hot for block in blocks for hot in block.hots if batch_of.get(hot.device_id) == block.batch)
    taken = detector.go_on(hots, loader.load, events=events, points=points, boots=boots)
    return taken, count


class Loader:
    """Reads one device's rows when something reaches further back than what is at hand."""

    def __init__(
        self,
        connection: Connection,
        detector: Detector,
        number_of: Mapping[str, int],
        point_of: Callable[[str, dict[str, Any]], CoveragePoint],
    ) -> None:
        self.number_of = number_of
        #: Returns a connection that sees what is committed, and nothing of a turn that is being written.
        self.reading: Callable[[], Connection] = lambda: connection
        self._detector, self._point_of = detector, point_of

    def load(self, device_id: str) -> Stored:
        """Return everything of a device that is committed."""
        metrics.SNAPSHOT_REACHED_BACK.inc()
        device_no = self.number_of.get(device_id)
        if device_no is None:
            return Stored({}, [], [])  # it is in no register any more
        since = as_datetime(self._detector.pulse_ms - PAST_MAX_MS)
        values = {"since": since, "devices": [device_no], "batch": -1}
        connection = self.reading()
        packed, rest = read_columns(connection, _SQL["load_events"], values, {device_no: device_id})
        rows = connection.execute(_SQL["load_points_of"], values).fetchall()
        return Stored(
            packed.get(device_id, {}),
            [(event, received_ms) for _, event, received_ms in rest],
            [self._point_of(device_id, row) for row in rows],
        )
