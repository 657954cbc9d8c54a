"""A server's address enters; an address before it leaves whose wire can be cut: what is sent then waits, and nobody knows.

Connections stay open while the wire is cut, as they do when a switch dies: no end, no reset, no answer.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

_PIECE_BYTES = 65_536


class Cut:
    """A wire on loopback with a thread for each direction of each connection."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._whole = threading.Event()
        self._whole.set()
        self._ended = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._mute: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    @contextlib.contextmanager
    def before(cls, url: str) -> Iterator[Cut]:
        """Lay a wire to the server of an address."""
        parts = urlsplit(url)
        made = cls(parts.hostname or "127.0.0.1", parts.port or 5432)
        try:
            yield made
        finally:
            made.end()

    def url(self, url: str) -> str:
        """Return the same address through the wire."""
        parts = urlsplit(url)
        user = f"{parts.username}@" if parts.username else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self.port}"))

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def lose_answers(self) -> None:
        """Let what the server says on the connections of now come to nobody; it hears what it is told."""
        self._mute.update(self._sockets[1::2])

    def end(self) -> None:
        self._ended = True
        self._whole.set()
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                self._whole.wait()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(_PIECE_BYTES):
                self._whole.wait()
                if self._ended:
                    return
                if one in self._mute:
                    continue
                other.sendall(piece)
            self._whole.wait()
            other.shutdown(socket.SHUT_WR)
