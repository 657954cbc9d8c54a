"""Who speaks for which doors at the broker of ``kaimen up``: names enter, users with a password and their own topics leave.

A controller or a gateway signs in under its own id and may publish and read below its own ``{site}/{device}`` alone; a
gateway below those of its devices too. Passwords lie in ``devices.json`` beside ``secrets.json``, readable by the owner.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from console.stack.folder import StackError, StackFolder, read_json, write_json
from console.stack.processes import ProcessMark, is_alive
from kaimen.wire import CHANNELS_UP, format_topic, is_name

FILE = "devices.json"
#: Names of the services' own users.
RESERVED = frozenset({"ingest", "edge", "doctor", "street"})
DEVICES_MAX = 500


@dataclass(frozen=True, slots=True)
class DeviceUser:
    """One sign-in: the devices of ``site`` that it speaks for."""

    name: str
    password: str
    site: str
    devices: tuple[str, ...]

    def publish(self) -> tuple[str, ...]:
        """Return the subjects it may publish on.

        Not all below a device: on a channel there is not, nobody listens, and what is said there is answered and lost.
        """
        return tuple(f"{self._root(device)}.{word}" for device in self.devices for word in CHANNELS_UP)

    def subscribe(self) -> tuple[str, ...]:
        """Return the subjects it may hear: settings and commands of its own."""
        return tuple(f"{self._root(device)}.{word}" for device in self.devices for word in ("cfg", "cmd"))

    def _root(self, device: str) -> str:
        return format_topic(self.site, device, "cfg").removesuffix("/cfg").replace("/", ".")


def load_device_users(folder: StackFolder) -> tuple[DeviceUser, ...]:
    """Return the users of a directory.

    Raises
    ------
    StackError
        If the file cannot be read: nobody is let in, or out, by a guess.
    """
    path = folder.root / FILE
    if not path.exists():
        return ()
    found = read_json(path)
    try:
        return tuple(
            DeviceUser(
                str(item["name"]), str(item["password"]), str(item["site"]), tuple(map(str, item["devices"]))
            )
            for item in found or _unreadable(path)
        )
    except (TypeError, KeyError) as error:
        raise StackError(f"{path} cannot be read: mend it, or take it away and add the users anew") from error


def _unreadable(path: Any) -> Any:
    if json.loads(path.read_text(encoding="utf-8")) == []:
        return ()
    raise KeyError(str(path))


def save_device_users(folder: StackFolder, users: Iterable[DeviceUser]) -> None:
    """Replace the users of a directory; they count from the broker's next look at its settings."""
    write_json(
        folder.root / FILE,
        [
            {"name": user.name, "password": user.password, "site": user.site, "devices": list(user.devices)}
            for user in sorted(users, key=lambda user: user.name)
        ],
    )


def make_device_user(name: str, site: str, devices: Iterable[str]) -> DeviceUser:
    """Make a user with a fresh password.

    Raises
    ------
    StackError
        If a name is none of the protocol's, or a service's own.
    """
    speaks_for = tuple(dict.fromkeys((name, *devices)))
    for word in (site, *speaks_for):
        if not is_name(word):
            raise StackError(f"{word!r} is no id: 1 to 64 of a-z, 0-9 and -")
    if name in RESERVED:
        raise StackError(f"{name!r} is the name of a service: choose another id")
    if len(speaks_for) > DEVICES_MAX:
        raise StackError(f"{name} would speak for {len(speaks_for)} devices; at most {DEVICES_MAX}")
    return DeviceUser(name, secrets.token_hex(16), site, speaks_for)


def tell_broker(folder: StackFolder) -> bool:
    """Let a running broker read its settings again; return whether one runs here."""
    found = read_json(folder.run / "nats.json")
    if found is None:
        return False
    mark = ProcessMark(found["pid"], found["started"], found["boot"])
    if not is_alive(mark):
        return False
    os.kill(mark.pid, signal.SIGHUP)
    return True
