"""The wire to baresip's ``ctrl_tcp``: commands enter, their answers and the program's events leave.

JSON in netstrings over one TCP connection on loopback or a private network; the program knows no password and takes
one client, the newest. Commands that belong together are written in one piece, so that nothing comes between them.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kaimen.logs import get_logger

log = get_logger()

CONNECT_WITHIN_S = 3.0
ANSWER_WITHIN_S = 5.0
MESSAGE_BYTES_MAX = 65_536


class ControlError(Exception):
    """The program does not answer, or refused a command."""


@dataclass(slots=True)
class _Asked:
    """One command on its way."""

    done: threading.Event
    ok: bool = False
    data: str = ""


def format_netstring(value: dict[str, Any]) -> bytes:
    """Return one message as it goes over the wire."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return b"%d:%b," % (len(body), body)


class Parser:
    """Bytes in any pieces enter, whole messages leave."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yield the messages that are complete by now.

        Raises
        ------
        ControlError
            If this is no such wire.
        """
        self._left += data
        while self._left:
            length, colon, rest = self._left.partition(b":")
            if not colon:
                if len(length) > 9:
                    raise ControlError("not a netstring")
                return
            if not length.isdigit() or int(length) > MESSAGE_BYTES_MAX:
                raise ControlError("not a netstring")
            size = int(length)
            if len(rest) <= size:
                return
            if rest[size : size + 1] != b",":
                raise ControlError("not a netstring")
            self._left = rest[size + 1 :]
            try:
                found = json.loads(rest[:size])
            except ValueError:
                raise ControlError("not JSON") from None
            if isinstance(found, dict):
                yield found


class Control:
    """One connection to the program; ``on_event`` and ``on_lost`` are called on its reading thread."""

    def __init__(
        self,
        address: tuple[str, int],
        on_event: Callable[[dict[str, Any]], None],
        on_lost: Callable[[], None],
    ) -> None:
        try:
            self._socket = socket.create_connection(address, CONNECT_WITHIN_S)
        except OSError as error:
            raise ControlError(f"no connection: {type(error).__name__}") from None
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._on_event = on_event
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._asked: dict[str, _Asked] = {}
        self._number = 0
        self.is_lost = False
        self._reader = threading.Thread(target=self._read, name="phone control", daemon=True)
        self._reader.start()

    def run(self, *commands: tuple[str, str]) -> list[str]:
        """Run commands in one piece; return what each said.

        Raises
        ------
        ControlError
            If one was refused or the program did not answer in time.
        """
        asked = self._send(commands)
        found = []
        for (name, _), one in zip(commands, asked, strict=True):
            if not one.done.wait(ANSWER_WITHIN_S):
                raise ControlError(f"{name}: no answer")
            if not one.ok:
                raise ControlError(f"{name}: {one.data.strip()[:100]}")
            found.append(one.data)
        return found

    def tell(self, *commands: tuple[str, str]) -> None:
        """Send commands in one piece without waiting; what they say goes to the log where they were refused."""
        try:
            self._send(commands)
        except ControlError as error:
            log.warning("the phone gateway took no command", error=type(error).__name__)

    def _send(self, commands: Sequence[tuple[str, str]]) -> list[_Asked]:
        asked = []
        piece = b""
        with self._lock:
            if self.is_lost:
                raise ControlError("the connection is lost")
            for name, parameters in commands:
                self._number += 1
                token = str(self._number)
                asked.append(_Asked(threading.Event()))
                self._asked[token] = asked[-1]
                piece += format_netstring({"command": name, "params": parameters, "token": token})
            try:
                self._socket.sendall(piece)
            except OSError as error:
                raise ControlError(f"not sent: {type(error).__name__}") from None
        return asked

    def _read(self) -> None:
        parser = Parser()
        try:
            while data := self._socket.recv(16_384):
                for message in parser.feed(data):
                    self._take(message)
        except (OSError, ControlError) as error:
            log.warning("the phone gateway's wire broke", error=type(error).__name__)
        with self._lock:
            self.is_lost = True
            waiting = list(self._asked.values())
            self._asked.clear()
        for one in waiting:
            one.data = "the connection is lost"
            one.done.set()
        self._on_lost()

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("event"):
            self._on_event(message)
            return
        with self._lock:
            one = self._asked.pop(str(message.get("token")), None)
        if one is not None:
            one.ok = bool(message.get("ok"))
            one.data = str(message.get("data", ""))
            one.done.set()

    def close(self) -> None:
        """Let go of the connection and wait for its thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("the phone gateway's wire was closed already")
        self._reader.join(CONNECT_WITHIN_S)
        self._socket.close()
