"""The place of this machine's own edge: books that name a site enter, an edge that speaks for that site leaves.

An empty installation starts before there is a site, and its edge with it. When the books bring one, at whatever
time, the edge becomes a device there and is started anew with the site's name; nobody has to restart anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psycopg

from console.stack.services import EDGE_ID
from console.stack.supervisor import Program, Supervisor
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import connect, queries
from kaimen.logs import get_logger

#: How often the books are asked: while somebody waits for her first door to be heard, and ever after.
LOOKED_EVERY_S, LOOKED_LATER_EVERY_S = 3.0, 60.0

log = get_logger()


def own_edge_site(database_url: str) -> str | None:
    """Register this machine's edge where its site is known, and say where it stands; None before there is a site."""
    sql = queries("console")
    with connect(database_url, service="up") as connection:
        now = as_datetime(SystemClock().now_ms())
        values = {"id": EDGE_ID, "site": os.environ.get("KAIMEN_EDGE_SITE", ""), "now": now}
        row = connection.execute(sql["own_edge"], values).fetchone()
        if row is None:
            row = connection.execute(sql["register_own_edge"], values).fetchone()
        if row is not None:
            connection.execute(sql["answer_own_edge"], values | {"site": row["site_id"]})
    return None if row is None else str(row["site_id"])


class OwnEdge:
    """Keeps the edge at the site that the books say; to be asked at each turn of the supervisor.

    ``edge_at`` makes the start line of an edge that stands at a site; the one that runs stands at ``site_id``.
    """

    def __init__(
        self, database_url: str, supervisor: Supervisor, edge_at: Callable[[str], Program], *, site_id: str
    ) -> None:
        self._database_url = database_url
        self._supervisor = supervisor
        self._edge_at = edge_at
        self._site_id = site_id
        self._due_at = time.monotonic() + LOOKED_EVERY_S

    def look(self) -> None:
        """Ask the books, if it is time to, and start the edge anew where they name another site."""
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + LOOKED_EVERY_S
        try:
            site_id = own_edge_site(self._database_url)
        except psycopg.OperationalError as error:
            log.warning("the books cannot be asked where the edge stands", error=type(error).__name__)
            return
        if site_id == self._site_id:
            self._due_at = time.monotonic() + LOOKED_LATER_EVERY_S
        elif site_id is not None:
            log.info("the edge has a site now and is started anew", site=site_id)
            self._site_id = site_id
            self._supervisor.restart(self._edge_at(site_id))
