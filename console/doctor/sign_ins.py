"""The doctor at devices' sign-ins: books, sign-ins and the broker's log enter; who is not let in, or not heard, leaves.

The broker of ``kaimen up`` answers a message that its sender may not send, and drops it: MQTT 3.1.1 has no refusal. So
a device that was put behind a gateway later loses what it says unseen, unless somebody compares and reads the log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from console.doctor.lines import Line, attention, ok
from console.stack.device_users import DeviceUser, load_device_users
from console.stack.folder import StackError, StackFolder
from kaimen.database import connect, queries
from kaimen.wire import CHANNELS_UP

#: Refusals before this are history.
LOOKED_BACK = timedelta(hours=1)
_TAIL_BYTES = 512 * 1024
_NAMED_MAX = 5
_WRONG_KEY = re.compile(r'authentication error - User "([^"]*)"')
_NOT_ITS_OWN = re.compile(r'"([^"]*)" - Publish Violation - Subject "(kaimen\.[^"]*)"')
_FROM_BOOKS = "run kaimen device-users from-books --dir {root}: it is in force at once"
_REFUSED = (
    "compare password and id with devices.json; kaimen device-users add or from-books. What a sign-in may not say is "
    "answered all the same, and lost"
)


def look_at_sign_ins(folder: StackFolder, url: str, now: datetime) -> Iterator[Line]:
    """Compare the books with the sign-ins, and say who was refused within the last hour."""
    try:
        users = load_device_users(folder)
        with connect(url, service="doctor") as connection:
            rows = connection.execute(queries("console")["device_sign_ins"]).fetchall()
    except StackError as error:
        yield attention("devices' sign-ins", str(error), "mend the file")
    except psycopg.Error:
        pass  # the database's own line says so
    else:
        yield judge_sign_ins(rows, {user.name: user for user in users}, folder.root)
    yield from judge_refusals(read_tail(folder.logs / "nats.log"), now)


def judge_sign_ins(rows: Sequence[Mapping[str, Any]], users: Mapping[str, DeviceUser], root: Path) -> Line:
    """Say which registered devices nobody may speak for."""
    silent = []
    for row in rows:
        user = users.get(row["id"])
        own = [row["id"], *row["behind"]]
        heard = () if user is None or user.site != row["site_id"] else user.devices
        silent += [device for device in own if device not in heard]
    if silent:
        words = f"nobody may speak for {_some(silent)}: what it says is answered by the broker and lost"
        return attention("devices' sign-ins", words, _FROM_BOOKS.format(root=root))
    return ok("devices' sign-ins", f"{len(rows)}, as in the books")


def judge_refusals(lines: Sequence[str], now: datetime) -> Iterator[Line]:
    """Say who was refused within the last hour, from the broker's log."""
    found: dict[str, int] = {}
    for line in lines:
        words = _refusal_of(line, now - LOOKED_BACK)
        if words:
            found[words] = found.get(words, 0) + 1
    if found:
        told = [words if count == 1 else f"{words} ({count} times)" for words, count in found.items()]
        yield attention("refused at the broker", f"in the last hour {_some(told)}", _REFUSED)


def _refusal_of(line: str, since: datetime) -> str:
    if "error" not in line or not ("authentication error" in line or "Violation" in line):
        return ""
    try:
        entry = json.loads(line)
        if datetime.fromisoformat(entry["timestamp"]) < since:
            return ""
        event = str(entry["event"])
    except (ValueError, KeyError, TypeError):
        return ""
    if key := _WRONG_KEY.search(event):
        return f"{key[1]}: unknown, or wrong password"
    if own := _NOT_ITS_OWN.search(event):
        return _not_its_own(own[1], own[2].split("."))
    return ""


def _not_its_own(name: str, levels: Sequence[str]) -> str:
    if len(levels) != 7 or levels[6] not in CHANNELS_UP:
        return f"{name} spoke on {'/'.join(levels)[:200]}, where nobody listens"
    return f"{name} spoke for {levels[4]}/{levels[5]}, which is not its own"


def read_tail(path: Path) -> list[str]:
    """Return the last lines of a log; none where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
