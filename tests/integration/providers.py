"""Providers on loopback that behave as the real ones are documented: a mode enters, answers and what was asked leave.

Real sockets throughout: an HTTP server, a mail server and an alarm receiver, each of which can accept, refuse,
throttle, fall silent or break the line after it has taken the request.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from alerts.channels.sia_dc09 import crc16


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


#: What a provider answers: a status, headers and a body.
Answer = tuple[int, Mapping[str, str], object]


@dataclass
class Provider:
    """A running provider; ``mode`` is read at every request."""

    port: int
    host: str = "127.0.0.1"
    scheme: str = "http"
    mode: str = "ok"
    asked: list[Any] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def _break(line: socket.socket) -> None:
    # A zero linger makes the close a reset.
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


@contextmanager
def run_http(answer: Callable[[Asked, Provider], Answer], *, tls: Any = None) -> Iterator[Provider]:
    """Run an HTTP provider; ``answer`` is asked in every mode but those that break the line."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(
                self.command, parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()},
                {key.lower(): value for key, value in self.headers.items()}, body,
            )  # fmt: skip
            status, headers, found = answer(asked, provider)
            if status == -1:
                released.wait(20)
                self.close_connection = True
                return
            if status == -2:
                _break(self.connection)
                self.close_connection = True
                return
            text = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            with contextlib.suppress(ConnectionError):
                self.end_headers()
                self.wfile.write(text)

        do_GET = do_POST = do_PUT = _handle

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A broken line is what a test asked for."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    provider = Provider(server.server_address[1], scheme="https" if tls else "http")
    with _serving(server, released):
        yield provider


@contextmanager
def _serving(server: socketserver.BaseServer, released: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def run_mail() -> Iterator[Provider]:
    """Run a mail server; mode ``550`` refuses the recipient, ``450`` for now, ``554`` the mail itself."""
    released = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def _say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

        def handle(self) -> None:
            mode = provider.mode
            if mode == "421":
                self._say("421 too many connections")
                return
            self._say("220 mail.example ESMTP")
            with contextlib.suppress(ConnectionError):
                while line := self.rfile.readline():
                    if not self._answer(line.decode().strip(), mode):
                        return

        def _answer(self, line: str, mode: str) -> bool:
            word = line[:4].upper()
            if word in ("EHLO", "HELO"):
                self._say("250 mail.example")
            elif word == "MAIL":
                self._say("250 ok")
            elif word == "RCPT":
                self._say(
                    {"550": "550 no such user", "450": "450 try later", "500": "451 local error"}.get(
                        mode, "250 ok"
                    )
                )
            elif word == "DATA":
                self._say("354 go on")
                return self._take(mode)
            elif word == "RSET":
                self._say("250 ok")
            elif word == "QUIT":
                self._say("221 bye")
                return False
            else:
                self._say("502 what")
            return True

        def _take(self, mode: str) -> bool:
            mail = b""
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                mail += line
            provider.asked.append(mail)
            if mode == "silent":
                released.wait(20)
                return False
            if mode == "reset":
                _break(self.connection)
                return False
            self._say("554 refused" if mode == "554" else "250 queued")
            return True

    with _tcp(Handler, released) as provider:
        yield provider


@contextmanager
def run_receiver_centre() -> Iterator[Provider]:
    """Run an alarm receiver; it checks the CRC of what arrives, and answers ACK, NAK or DUH."""
    released = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            frame = b""
            while not frame.endswith(b"\r"):
                more = self.request.recv(1_024)
                if not more:
                    return
                frame += more
            provider.asked.append(frame)
            body = frame[9:-1]
            assert int(frame[1:5], 16) == crc16(body) and int(frame[6:9], 16) == len(body)
            sequence = body.split(b'"')[2][:4]
            mode = provider.mode
            if mode == "silent":
                released.wait(20)
            elif mode == "reset":
                _break(self.request)
            else:
                word = {"refused": b"DUH", "nak": b"NAK"}.get(mode, b"ACK")
                answer = b'"%s"%sR0L0#1234[]' % (word, b"0000" if mode == "nak" else sequence)
                if mode == "garbage":
                    answer = b"hello"
                self.wfile.write(b"\n%04X0%03X%s\r" % (crc16(answer), len(answer), answer))

    with _tcp(Handler, released) as provider:
        yield provider


@contextmanager
def _tcp(handler: type[socketserver.BaseRequestHandler], released: threading.Event) -> Iterator[Provider]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A broken line is what a test asked for."""

    server = Server(("127.0.0.1", 0), handler)
    provider = Provider(server.server_address[1])
    with _serving(server, released):
        yield provider
