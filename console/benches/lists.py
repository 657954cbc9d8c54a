"""The list of cases beside a response model: a served console enters; lists a second, and a second of CPU, leave.

Compared twice. As a whole request: beside a route as the framework's documentation teaches it, with the guard that every
other route of the console has, a transaction in the same scope, the same rows and a response model. And without anybody
asked who asks: the JSON of all rows made in the database beside the response model, both in the scope of the console
itself. All are asked in turn in small blocks, so that load meets all alike; on a shared machine the CPU of server and
database says more than the wall.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import LiteralString

from console.benches.measuring import Peer, Report
from console.benches.pages_server import OPEN_OURS_PATH, OPEN_PEER_PATH, PEER_PATH
from console.benches.processes import cpu_seconds
from kaimen.database import Connection, connect, queries

LIST_LIMIT = 200
BLOCK_ASKS = 10
#: The list should be so many times the model's.
WANTED = 4
_SQL = queries("console.benches", "pages.sql")

#: What happens before the list is asked for, and the words for it.
_CHANGES: dict[str, tuple[LiteralString, str]] = {
    "kept": ("", "nothing changed since"),
    "one": (_SQL["change_one"], "one case changed since"),
    "all": (_SQL["change_all"], "every case changed since"),
}


@dataclass(slots=True)
class _Way:
    """One way to be asked; ``path``, the tag that is sent with it, and what it took."""

    path: str
    etag: str = ""
    change: LiteralString = ""
    spans_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        return 1 / statistics.median(self.spans_s)

    @property
    def cpu_rate(self) -> float:
        return len(self.spans_s) / max(self.cpu_s, 0.01)


def bench_lists(
    port: int, token: str, server_pid: int, url: str, report: Report, *, rounds: int, size: str
) -> None:
    """Ask in ``rounds`` blocks of each way; ``url`` is the owner's, who changes cases in between."""
    client = _Client(port, token)
    own, model = f"/api/cases?limit={LIST_LIMIT}", f"{PEER_PATH}?limit={LIST_LIMIT}"
    items = json.loads(client.get(own))["items"]
    if [item["id"] for item in items] != [item["id"] for item in json.loads(client.get(model))["items"]]:
        raise RuntimeError("the peer lists other cases")
    ways = {name: _Way(own, change=change) for name, (change, _) in _CHANGES.items()}
    ways["known"] = _Way(own)
    ways["model"] = _Way(model)
    ways["open own"] = _Way(f"{OPEN_OURS_PATH}?limit={LIST_LIMIT}")
    ways["open model"] = _Way(f"{OPEN_PEER_PATH}?limit={LIST_LIMIT}")
    with connect(url, service="bench", autocommit=True) as connection:
        for _ in range(rounds):
            for name, way in ways.items():
                client.get(way.path)
                way.etag = client.etag if name == "known" else ""
                _ask_block(client, connection, way, server_pid)
    client.close()
    _report(ways, report, f"list of {len(items)} cases", size)


def _ask_block(client: _Client, connection: Connection, way: _Way, server_pid: int) -> None:
    def cpu() -> float:
        backends = [row["pid"] for row in connection.execute(_SQL["console_backends"]).fetchall()]
        return sum(map(cpu_seconds, (server_pid, *backends)))

    begun = cpu()
    for _ in range(BLOCK_ASKS):
        if way.change:
            connection.execute(way.change)
        way.spans_s.append(_span(lambda: client.get(way.path, way.etag)))
    way.cpu_s += cpu() - begun
    if way.change:
        # As the server does by itself between changes that are not made by the second.
        connection.execute("VACUUM cases")


def _span(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _report(ways: dict[str, _Way], report: Report, what: str, size: str) -> None:
    whole = "FastAPI response model, same guard, scope and rows"
    bare = "FastAPI response model, nobody asked who asks"
    rows = [(name, words, "model", whole) for name, (_change, words) in _CHANGES.items()]
    rows.append(("known", "asked by who has it (304)", "model", whole))
    rows.append(("open own", "made in the database, nobody asked who asks", "open model", bare))
    for name, words, peer, peer_words in rows:
        way, other = ways[name], ways[peer]
        for unit, rate, peer_rate in (
            ("lists/s", way.rate, other.rate),
            ("lists/CPU s", way.cpu_rate, other.cpu_rate),
        ):
            report.add(
                f"{what}, {words}, {size}", rate, unit, peer_rate * WANTED, [Peer(peer_words, peer_rate)]
            )


class _Client:
    """One connection that is kept; the answer's tag of the last request stands in ``etag``."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"cookie": f"kaimen_session={token}"}
        self.etag = ""

    def get(self, path: str, etag: str = "") -> bytes:
        with self._answered(path, {**self._headers, **({"if-none-match": etag} if etag else {})}) as answer:
            body = answer.read()
        if answer.status != (304 if etag else 200):
            raise RuntimeError(f"{path} answered {answer.status}")
        self.etag = answer.headers.get("etag", "")
        return body

    @contextmanager
    def _answered(self, path: str, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        try:
            self._connection.request("GET", path, headers=headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # A server ends a connection on which nothing came for a while.
            self._connection.close()
            self._connection.request("GET", path, headers=headers)
            answer = self._connection.getresponse()
        yield answer

    def close(self) -> None:
        self._connection.close()
