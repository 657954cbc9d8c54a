"""A webhook receiver on loopback that misbehaves as told: requests enter, what was received leaves."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """``mode``: a status, or ``silent``, ``reset``, ``redirect``, ``drip``, ``flood``."""

    port: int = 0
    mode: str = "200"
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?of=town"

    def keys(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.received]


@contextmanager
def run_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append((headers, body))
            getattr(self, f"_{receiver.mode}", self._status)()

        def do_GET(self) -> None:
            receiver.received.append(({"webhook-id": "followed a redirect"}, b""))
            self._status()

        def _status(self) -> None:
            self.send_response(int(receiver.mode) if receiver.mode.isdigit() else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _silent(self) -> None:
            receiver.released.wait(20)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def _redirect(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not receiver.released.wait(0.05):
                try:
                    self.wfile.write(b"X-Slow: 1\r\n")
                except OSError:
                    return

        def _flood(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 40))
            self.end_headers()
            try:
                while not receiver.released.is_set():
                    self.wfile.write(b"x" * 65_536)
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            return  # a connection that this very server has reset

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
