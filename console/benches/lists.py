"""The list of cases beside a response model: a served console enters; lists a second, and a second of CPU, leave.

Compared as a whole request beside two routes as the framework's documentation teaches them: a response model over the
same rows in the same scope, once with the lean guard that every other route of the console has, once with an ordinary
one that asks for each thing in a statement of its own, and counts. And without anybody asked who asks: the JSON of all
rows made in the database beside the response model, both in the scope of the console itself. All are asked in turn in
small blocks, so that load meets all alike; on a shared machine the CPU of server and database says more than the wall.
All take the text as it is; a row for itself takes it packed, as browsers do.
"""

from __future__ import annotations

import json
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import LiteralString

from console.benches.measuring import Peer, Report
from console.benches.pages_server import OPEN_OURS_PATH, OPEN_PEER_PATH, ORDINARY_PATH, PEER_PATH
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
    """One way to be asked; ``path``, the tag that is sent with it, whether packed is taken, and what it took."""

    path: str
    etag: str = ""
    packed: bool = False
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
    try:
        ways, count = _asked(client, server_pid, url, rounds=rounds)
    finally:
        client.close()
    _report(ways, report, f"list of {count} cases", size)


def _asked(client: _Client, server_pid: int, url: str, *, rounds: int) -> tuple[dict[str, _Way], int]:
    own, model = f"/api/cases?limit={LIST_LIMIT}", f"{PEER_PATH}?limit={LIST_LIMIT}"
    ordinary = f"{ORDINARY_PATH}?limit={LIST_LIMIT}"
    lists = [
        [item["id"] for item in json.loads(client.get(path))["items"]] for path in (own, model, ordinary)
    ]
    if not lists[0] == lists[1] == lists[2]:
        raise RuntimeError("a peer lists other cases")
    ways = {name: _Way(own, change=change) for name, (change, _) in _CHANGES.items()}
    ways["packed"] = _Way(own, packed=True)
    ways["known"] = _Way(own)
    ways["model"], ways["ordinary"] = _Way(model), _Way(ordinary)
    ways["open own"] = _Way(f"{OPEN_OURS_PATH}?limit={LIST_LIMIT}")
    ways["open model"] = _Way(f"{OPEN_PEER_PATH}?limit={LIST_LIMIT}")
    with connect(url, service="bench", autocommit=True) as connection:
        for _ in range(rounds):
            for name, way in ways.items():
                client.get(way.path)
                way.etag = client.etag if name == "known" else ""
                _ask_block(client, connection, way, server_pid)
    return ways, len(lists[0])


def _ask_block(client: _Client, connection: Connection, way: _Way, server_pid: int) -> None:
    def cpu() -> float:
        backends = [row["pid"] for row in connection.execute(_SQL["console_backends"]).fetchall()]
        return sum(map(cpu_seconds, (server_pid, *backends)))

    begun = cpu()
    for _ in range(BLOCK_ASKS):
        if way.change:
            connection.execute(way.change)
        way.spans_s.append(_span(lambda: client.get(way.path, way.etag, packed=way.packed)))
    way.cpu_s += cpu() - begun
    if way.change:
        # As the server does by itself between changes that are not made by the second.
        connection.execute("VACUUM cases")


def _span(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _report(ways: dict[str, _Way], report: Report, what: str, size: str) -> None:
    whole = {
        "model": "FastAPI response model, same guard, scope and rows",
        "ordinary": "FastAPI response model, an ordinary guard, same scope and rows",
    }
    rows = [(name, words, whole) for name, (_change, words) in _CHANGES.items()]
    rows.append(("packed", "nothing changed since, packed", whole))
    rows.append(("known", "asked by who has it (304)", whole))
    bare = {"open model": "FastAPI response model, nobody asked who asks"}
    rows.append(("open own", "made in the database, nobody asked who asks", bare))
    wall = {name: way.rate for name, way in ways.items()}
    cpu = {name: way.cpu_rate for name, way in ways.items()}
    for name, words, peers in rows:
        for unit, rates in (("lists/s", wall), ("lists/CPU s", cpu)):
            report.add(
                f"{what}, {words}, {size}", rates[name], unit, WANTED * rates[next(iter(peers))],
                [Peer(peer_words, rates[peer]) for peer, peer_words in peers.items()],
            )  # fmt: skip


class _Client:
    """One connection that is kept; the answer's tag of the last request stands in ``etag``.

    By hand, because a client of the library takes a third of the time of such a short answer for itself.
    """

    def __init__(self, port: int, token: str) -> None:
        self._port, self._cookie = port, f"kaimen_session={token}"
        self._socket = self._connected()
        self.etag = ""

    def get(self, path: str, etag: str = "", *, packed: bool = False) -> bytes:
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", f"Cookie: {self._cookie}"]
        lines += [f"If-None-Match: {etag}"] * bool(etag) + ["Accept-Encoding: gzip"] * packed
        asked = ("\r\n".join(lines) + "\r\n\r\n").encode()
        try:
            head, body = self._answered(asked)
        except ConnectionError:
            # A server ends a connection on which nothing came for a while.
            self._socket.close()
            self._socket = self._connected()
            head, body = self._answered(asked)
        if int(head[9:12]) != (304 if etag else 200):
            raise RuntimeError(f"{path} answered {head[:40].decode()}")
        self.etag = (_header(head, b"etag") or b"").decode()
        return body

    def _connected(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _answered(self, asked: bytes) -> tuple[bytes, bytes]:
        self._socket.sendall(asked)
        head, end, body = b"", b"", b""
        while not end:
            head, end, body = (head + self._received()).partition(b"\r\n\r\n")
        parts, missing = [body], int(_header(head, b"content-length") or 0) - len(body)
        while missing > 0:
            parts.append(self._received())
            missing -= len(parts[-1])
        return head, b"".join(parts)

    def _received(self) -> bytes:
        part = self._socket.recv(256 * 1024)
        if not part:
            raise ConnectionResetError
        return part

    def close(self) -> None:
        self._socket.close()


def _header(head: bytes, name: bytes) -> bytes | None:
    _, found, rest = head.lower().partition(b"\r\n" + name + b": ")
    return rest.partition(b"\r\n")[0] if found else None
