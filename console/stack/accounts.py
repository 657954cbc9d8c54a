"""Under which account a server runs: paths it needs enter; an account, and how it gets past closed folders, leave.

PostgreSQL refuses to run as root. Started by root, it runs under an account without rights of its own; where that
account could not pass through the folders above its data or its programs (a home or a test's folder is closed to
others), it keeps the one capability of looking for its files.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from console.stack.folder import StackError

ACCOUNTS = ("kaimen", "postgres", "nobody")
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


@dataclass(frozen=True, slots=True)
class Account:
    """A user to run as; ``capability`` is a capability's number, or None."""

    uid: int
    gid: int
    capability: int | None = None


def choose_account(data: Path, programs: Path) -> Account | None:
    """Return the account for a server with its data and programs there; None where this process' own will do.

    Raises
    ------
    StackError
        If there is no account to run as.
    """
    if os.geteuid() != 0:
        return None
    entry = _owner(data) or _known_account()
    closed = not (_lets_pass(data.parent, entry) and _lets_pass(programs, entry))
    return Account(entry.pw_uid, entry.pw_gid, _searching_capability() if closed else None)


def _owner(data: Path) -> pwd.struct_passwd | None:
    """The account that made the data keeps them, whatever accounts there are now."""
    if not data.exists() or data.stat().st_uid == 0:
        return None
    try:
        return pwd.getpwuid(data.stat().st_uid)
    except KeyError:
        raise StackError(f"{data} belongs to the unknown account {data.stat().st_uid}: chown it") from None


def _known_account() -> pwd.struct_passwd:
    named = os.environ.get("KAIMEN_POSTGRES_USER")
    for name in (named,) if named else ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry
    raise StackError(
        f"PostgreSQL does not run as root, and there is no account {named or ' or '.join(ACCOUNTS)}: start as an "
        "ordinary user, or name an account in KAIMEN_POSTGRES_USER"
    )


def _lets_pass(path: Path, entry: pwd.struct_passwd) -> bool:
    resolved = path.resolve()
    return all(_is_open(folder.stat(), entry) for folder in (resolved, *resolved.parents) if folder.is_dir())


def _is_open(found: os.stat_result, entry: pwd.struct_passwd) -> bool:
    if found.st_uid == entry.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == entry.pw_gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _searching_capability() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if held >> capability & 1:
            return capability
    raise StackError("the folders above --dir are closed to ordinary accounts: choose a --dir below /var/lib")
