"""PostgreSQL's own programs: a database address and arguments enter, a started program leaves; no password in its line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from console.backups.sealing import BackupError
from console.stack.folder import StackError
from console.stack.postgres import programs_folder

#: libpq's names of what an address says; a password in arguments would be shown to every account of the machine.
_VARIABLES = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
    "dbname": "PGDATABASE", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY", "options": "PGOPTIONS", "target_session_attrs": "PGTARGETSESSIONATTRS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}  # fmt: skip


def program(name: str) -> Path:
    """Return ``pg_dump`` or ``pg_restore`` of the server's own version.

    Raises
    ------
    BackupError
        If it is not there.
    """
    try:
        path = programs_folder() / name
    except StackError as error:
        raise BackupError(str(error)) from error
    if not path.exists():
        raise BackupError(f"{path} does not exist: name a folder that has it in KAIMEN_POSTGRES_BIN")
    return path


def start(url: str, name: str, *arguments: str, stdin: bool = False) -> subprocess.Popen[bytes]:
    """Start a program on a database; its output, or its input where ``stdin``, is a pipe."""
    words = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    unknown = sorted(words.keys() - _VARIABLES.keys())
    if unknown:
        raise BackupError(
            f"the database address says {', '.join(unknown)}, which {name} cannot be told: leave it out"
        )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    environment |= {_VARIABLES[key]: value for key, value in words.items()} | {"LC_ALL": "C.UTF-8"}
    return subprocess.Popen(
        [str(program(name)), *arguments],
        env=environment,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if stdin else subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
