"""The edge of ``kaimen up`` in an installation that starts empty: it moves to its site when the books bring one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.stack import own_edge
from console.stack.folder import read_json
from console.stack.own_edge import OwnEdge, own_edge_site
from console.stack.supervisor import Program, Supervisor
from kaimen.database import connect
from tests.fix_servers import wait_until

pytestmark = pytest.mark.integration

WAITS = "import time; time.sleep(600)"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    for name in ("run", "log"):
        (tmp_path / name).mkdir()
    made = Supervisor(tmp_path / "run", tmp_path / "log", quiet=True)
    yield made
    made.stop()


def _edge_at(site_id: str) -> Program:
    return Program("edge", [sys.executable, "-I", "-c", WAITS], {"KAIMEN_EDGE_SITE": site_id})


def _site_of_running(tmp_path: Path) -> str:
    """Return the site that the process which runs now was started with."""
    found = read_json(tmp_path / "run" / "edge.json")
    settings = Path(f"/proc/{found['pid']}/environ").read_bytes().split(b"\0") if found else []
    return next((line[17:].decode() for line in settings if line.startswith(b"KAIMEN_EDGE_SITE=")), "")


def _turn(supervisor: Supervisor, edge: OwnEdge, turns: int) -> None:
    def look() -> None:
        nonlocal turns
        turns -= 1
        edge.look()
        if turns == 0:
            supervisor.ask_to_stop()

    supervisor.watch(look)
    supervisor._stopping = False


@pytest.mark.one_store
def test_books_that_come_later_bring_the_edge_to_its_site_without_a_restart_by_hand(
    supervisor: Supervisor, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_edge, "LOOKED_EVERY_S", 0.0)
    assert own_edge_site(database_url) is None
    supervisor.start(_edge_at("site"))
    edge = OwnEdge(database_url, supervisor, _edge_at, site_id="site")
    _turn(supervisor, edge, 2)
    assert _site_of_running(tmp_path) == "site"
    with connect(database_url, service="test") as connection:
        connection.execute("INSERT INTO communities (id, name) VALUES ('garden', 'Garden')")
        connection.execute("INSERT INTO sites VALUES ('south', 'garden', 'South')")
    _turn(supervisor, edge, 3)
    wait_until(lambda: _site_of_running(tmp_path) == "south", "the edge of the site runs")
    with connect(database_url, service="test") as connection:
        row = connection.execute("SELECT site_id, kind FROM devices WHERE id = 'edge'").fetchone()
    assert row == {"site_id": "south", "kind": "gateway"}
