"""Becomes another program: a start line enters; that program runs in this process' place and ends with its parent.

    python -I -S launch.py '{"parent": PID, "death_signal": N, "uid": U, "gid": G, "capability": C}' PROGRAM ARGS…

It is run as a file, with nothing but the standard library, so that a start costs a few milliseconds. What it does
has to happen between fork and exec: give up root (PostgreSQL refuses it), and ask the kernel for ``death_signal``
when the supervisor dies without a goodbye. ``capability`` is kept where an unprivileged account could not even pass
through the folders above its own data; it may then look for its files, and nothing else.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _keep_capability(number: int) -> None:
    """Hold exactly one capability, and hand it on to the program."""
    word, bit = divmod(number, 32)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    for part in range(3):  # effective, permitted, inheritable
        sets[word * 3 + part] = 1 << bit
    _check(_libc.capset(header, sets), "capset")
    _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0), "prctl(PR_CAP_AMBIENT)")


def _give_up_root(uid: int, gid: int, capability: int | None) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    if capability is not None:
        _check(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setresuid(uid, uid, uid)
    if capability is not None:
        _keep_capability(capability)


def main() -> None:
    """Do what the start line says, then become the program."""
    line = json.loads(sys.argv[1])
    if line.get("uid") is not None:
        _give_up_root(line["uid"], line["gid"], line.get("capability"))
    # After the change of account, which clears it. The parent may have died before the kernel knew our wish.
    _check(_libc.prctl(PR_SET_PDEATHSIG, line["death_signal"], 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != line["parent"]:
        os.kill(os.getpid(), signal.SIGKILL)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the supervisor's own list of arguments


if __name__ == "__main__":
    main()
