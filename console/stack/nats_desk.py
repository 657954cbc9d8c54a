"""Questions to nats-server enter over its own protocol, its answers leave; every user asks what it may."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any


class Desk:
    """Questions and answers over the broker's own protocol, one at a time."""

    def __init__(self, line: socket.socket, user: str, password: str) -> None:
        self._line, self._reader = line, line.makefile("rb")
        self._inbox = f"_INBOX.{os.urandom(8).hex()}"
        self._reader.readline()  # what the server says of itself
        words = {
            "user": user,
            "pass": password,
            "verbose": False,
            "pedantic": False,
            "lang": "kaimen",
        }
        line.sendall(f"CONNECT {json.dumps(words)}\r\nSUB {self._inbox} 1\r\n".encode())

    def ask(self, subject: str, question: object = None) -> dict[str, Any]:
        """Return the answer.

        Raises
        ------
        OSError
            If the server refuses, or says nothing in time.
        """
        body = b"" if question is None else json.dumps(question).encode()
        self._line.sendall(f"PUB {subject} {self._inbox} {len(body)}\r\n".encode() + body + b"\r\n")
        while True:
            words = self._reader.readline()
            if words.startswith(b"MSG "):
                answer = self._reader.read(int(words.split()[-1]) + 2)
                return dict(json.loads(answer))
            if words.startswith(b"PING"):
                self._line.sendall(b"PONG\r\n")
            elif words.startswith(b"-ERR") or not words:
                raise OSError(words.decode(errors="replace").strip() or "the line was closed")

    def consumers(self) -> Iterator[dict[str, Any]]:
        """Return every queue of the broker, page by page."""
        offset = 0
        while True:
            page = self.ask("$JS.API.CONSUMER.LIST.$MQTT_msgs", {"offset": offset})
            rows = page.get("consumers") or []
            yield from rows
            offset += len(rows)
            if not rows or offset >= int(page.get("total", 0)):
                return
