"""A PostgreSQL of our own for a first run, a test or a twin: one cluster, one unix socket.

No port is opened (listen_addresses is empty), every login needs a password (scram-sha-256), time is
UTC. As root the server runs as `nobody`; what that account cannot reach is put into a short public
folder, and no parent folder's mode is changed. A role attribute such as BYPASSRLS belongs to the
whole cluster, so each twin and each test worker takes a cluster, not a database.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
import weakref
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from posture.embedded.errors import InUseError, NotRunningError, PrepareError, StartError
from posture.embedded.places import (
    Account,
    drop_to,
    durable_folder,
    give,
    hold,
    public_folder,
    reachable,
    release,
    remove,
    socket_in,
)
from posture.embedded.postgres_binaries import Binaries
from posture.embedded.process import Child, Server

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Binaries", "PostgresServer"]

SUPERUSER = "postgres"
PORT = 5432  # only the socket's name: .s.PGSQL.5432
INITDB_TIMEOUT = timedelta(seconds=120)
LOCK_TIMEOUT = timedelta(seconds=15)
LOCK_PAUSE_SECONDS = 0.1
PASSWORD_BYTES = 24

_DATA = "data"
_ELSEWHERE = "data.location"
_PASSWORD = "superuser.password"  # noqa: S105 - the name of a file
_LOG = "postgres.log"
_OWN_CONFIGURATION = "posture.conf"
_SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] ",
}
_THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_STILL_LOCKED = ('lock file "postmaster.pid" already exists', "pre-existing shared memory block")
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Where one initialised data directory lies and what reaches it."""

    directory: Path
    data: Path
    binaries: Binaries
    account: Account | None


class PostgresServer(Server):
    """One cluster. Make it with `create`; `with` starts it and closes it.

    `stop` and `kill` leave it ready to be started again under the same URL; `close` also removes
    the socket's folder and, for a cluster that is not durable, its data.
    """

    def __init__(self, cluster: _Cluster, password: str, *, durable: bool, made: list[Path]) -> None:
        self.directory = cluster.directory
        self.data = cluster.data
        self.superuser = SUPERUSER
        self.superuser_password = password
        self.version = cluster.binaries.version
        self.durable = durable
        self._cluster = cluster
        self._sockets = public_folder(cluster.account)
        self._remove_made = weakref.finalize(self, _remove_all, [self._sockets, *made])
        self._child = Child(
            name=f"PostgreSQL {self.version}",
            command=self._command(),
            log=self.directory / _LOG,
            env=_ENVIRONMENT,
            account=cluster.account,
            stop_signals=(signal.SIGINT, signal.SIGQUIT),  # fast, then immediate shutdown
            death_signal=signal.SIGINT,
        )

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        durable: bool = True,
        binaries: Binaries | None = None,
        template: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> PostgresServer:
        """Prepare a cluster in `directory`, or take up the one that is there; does not start it.

        `template` is the `directory` of a stopped server: its data, with its passwords, is copied.
        `settings` go into the configuration file, where ALTER SYSTEM can still overrule them.
        Raises BinariesNotFoundError, PrepareError, StartError (initdb failed).
        """
        directory = _made(directory)
        account = drop_to()
        binaries = binaries or Binaries.find()
        data = _place(directory, account, durable=durable)
        fresh = not _initialised(data)
        made: list[Path] = []
        try:
            if account is not None and not reachable(binaries.postgres, account):
                made.append(public_folder())
                binaries = binaries.copied_to(made[0])
            cluster = _Cluster(directory, data, binaries, account)
            if fresh:
                _initialise(cluster, template, durable=durable)
            _configure(cluster, {**({} if durable else _THROWAWAY), **(settings or {})})
        except BaseException:
            _remove_all(made)
            if fresh:
                _remove_data(directory, data)
            raise
        return cls(cluster, _password(directory), durable=durable, made=made)

    def start(self) -> None:
        """Start and wait until connections are taken. Does nothing when it runs.

        After a crash the old server's processes may need a moment to leave: tried again until they
        have. InUseError when another living server holds the data; StartError otherwise.
        """
        if self._child.running:
            return
        if not self._remove_made.alive:
            raise NotRunningError(f"PostgreSQL in {self.directory} was closed: create it again")
        deadline = time.monotonic() + LOCK_TIMEOUT.total_seconds()
        while True:
            self._child.start()
            try:
                self._child.wait_ready(self._ready)
            except StartError as failure:
                self._retry_or_raise(failure, deadline)
            else:
                return

    def stop(self) -> None:
        """Fast shutdown: transactions are rolled back, a checkpoint is written; waits for it."""
        self._child.stop()

    def kill(self) -> None:
        """SIGKILL the server, as a crash would, and reap it. `start` then recovers."""
        self._child.kill()

    def close(self) -> None:
        """Stop, and remove the socket's folder and every copy; also the data if not durable."""
        self._child.stop()
        self._remove_made()
        if not self.durable:
            self.remove()
        release(self.data.parent)

    def remove(self) -> None:
        """Stop and remove the data as well, durable or not."""
        self._child.stop()
        self._remove_made()
        _remove_data(self.directory, self.data)

    @property
    def pid(self) -> int:
        """The postmaster's process id; NotRunningError when it does not run."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the server is up."""
        return self._child.running

    @property
    def account(self) -> str:
        """The user that the server runs as."""
        return (self._cluster.account or Account.current()).name

    @property
    def socket_directory(self) -> Path:
        """The folder of the unix socket: `host` for libpq."""
        return self._sockets

    def url(self, user: str, database: str, password: str | None = None) -> str:
        """A libpq URL over the unix socket; the superuser's password is filled in."""
        return "postgresql" + self._address(user, database, password)

    def sqlalchemy_url(self, user: str, database: str, password: str | None = None) -> str:
        """The same for SQLAlchemy with psycopg 3."""
        return "postgresql+psycopg" + self._address(user, database, password)

    def _address(self, user: str, database: str, password: str | None) -> str:
        if password is None and user == self.superuser:
            password = self.superuser_password
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        where = urlencode({"host": str(self._sockets), "port": PORT}, safe="/")
        return f"://{login}@/{quote(database, safe='')}?{where}"

    def _command(self) -> tuple[str, ...]:
        socket_in(self._sockets, f".s.PGSQL.{PORT}")
        own = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "port": str(PORT),
        }
        settings = [word for name, value in own.items() for word in ("-c", f"{name}={value}")]
        return (str(self._cluster.binaries.postgres), "-D", str(self.data), *settings)

    def _ready(self) -> bool:
        """As pg_ctl sees it: our own pid in line 1 of postmaster.pid, `ready` in line 8."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        ours = self._child.running and lines[:1] == [str(self._child.pid)]
        return ours and [line.strip() for line in lines[7:8]] == ["ready"]

    def _retry_or_raise(self, failure: StartError, deadline: float) -> None:
        if not any(sign in failure.log_tail for sign in _STILL_LOCKED):
            raise failure
        if _held_by_a_stranger(self.data):
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise _in_use(self.data) from failure
        time.sleep(LOCK_PAUSE_SECONDS)


def _made(directory: Path) -> Path:
    directory = directory.absolute()
    try:
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as failure:
        raise PrepareError(f"cannot make the folder {directory}: {failure}") from failure
    return directory


def _place(directory: Path, account: Account | None, *, durable: bool) -> Path:
    """The data directory: in `directory`, unless the server's account cannot reach it there.

    The file `data.location` then names the folder, for the next run.
    """
    pointer = directory / _ELSEWHERE
    data = _existing(directory)
    if data.parent != directory:
        try:
            hold(data.parent)
        except BlockingIOError as held:
            raise _in_use(data) from held
    if _initialised(data) or account is None or data.exists() or reachable(directory, account):
        return data
    folder = durable_folder(account, pointer) if durable else public_folder(account)
    pointer.write_text(f"{folder}\n")
    return folder / _DATA


def _existing(directory: Path) -> Path:
    """Where the cluster of `directory` lies, or would lie if nothing forbids it."""
    try:
        elsewhere = Path((directory / _ELSEWHERE).read_text().strip()) / _DATA
    except OSError:
        return directory / _DATA
    return elsewhere if _initialised(elsewhere) else directory / _DATA


def _in_use(data: Path) -> InUseError:
    return InUseError(
        f"the data directory {data} is held by another program (PostgreSQL process "
        f"{_lock_holder(data)}, from its postmaster.pid): stop that one, or use another directory"
    )


def _remove_data(directory: Path, data: Path) -> None:
    remove(data if data.parent == directory else data.parent)
    (directory / _ELSEWHERE).unlink(missing_ok=True)


def _initialised(data: Path) -> bool:
    return (data / "PG_VERSION").is_file()


def _initialise(cluster: _Cluster, template: Path | None, *, durable: bool) -> None:
    if template is None:
        _run_initdb(cluster, durable=durable)
        return
    _copy(template.absolute(), cluster)


def _copy(template: Path, cluster: _Cluster) -> None:
    """Copy a stopped cluster with its passwords; one that still runs would be torn."""
    if _initialised(template):  # the data directory itself was named
        template = template.parent
    source = _existing(template)
    if not _initialised(source):
        raise PrepareError(f"the template {template} holds no initialised data directory")
    if (source / "postmaster.pid").exists():
        raise PrepareError(f"the template {source} is in use or crashed: stop its server first")
    try:
        shutil.copytree(source, cluster.data, symlinks=True)
        shutil.copy(template / _PASSWORD, cluster.directory / _PASSWORD)
    except (OSError, shutil.Error) as failure:
        raise PrepareError(f"cannot copy {source} to {cluster.data}: {failure}") from failure
    cluster.data.chmod(0o700)
    give(cluster.data, cluster.account)


def _run_initdb(cluster: _Cluster, *, durable: bool) -> None:
    """Run initdb with the password in a file: it refuses one on standard input."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    folder = public_folder(cluster.account)
    remove(cluster.data)  # what an interrupted initdb left
    cluster.data.mkdir(mode=0o700)
    try:
        password_file = _secret_file(folder / "password", password)
        give(folder, cluster.account)
        give(cluster.data, cluster.account)
        _make_cluster(cluster, password_file, durable=durable)
    finally:
        remove(folder)
    _secret_file(cluster.directory / _PASSWORD, password)


def _make_cluster(cluster: _Cluster, password_file: Path, *, durable: bool) -> None:
    initdb = Child(
        name=f"initdb {cluster.binaries.version}",
        command=(
            str(cluster.binaries.initdb),
            f"--pgdata={cluster.data}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            *(() if durable else ("--no-sync",)),
        ),
        log=cluster.directory / "initdb.log",
        env=_ENVIRONMENT,
        account=cluster.account,
    )
    initdb.start()
    code = initdb.wait_exit(INITDB_TIMEOUT)
    if code != 0:
        raise StartError(initdb.name, f"ended with exit code {code}", str(initdb.log), initdb.log_tail())
    with (cluster.data / "postgresql.conf").open("a") as configuration:
        configuration.write(f"include '{_OWN_CONFIGURATION}'\n")


def _configure(cluster: _Cluster, settings: Mapping[str, str]) -> None:
    lines = [
        f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n"
        for name, value in {**_SETTINGS, **settings}.items()
    ]
    path = cluster.data / _OWN_CONFIGURATION
    path.write_text("".join(lines))
    path.chmod(0o600)
    if cluster.account is not None:
        os.chown(path, cluster.account.uid, cluster.account.gid)


def _secret_file(path: Path, secret: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    return path


def _password(directory: Path) -> str:
    path = directory / _PASSWORD
    try:
        return path.read_text().strip()
    except OSError as failure:
        raise PrepareError(
            f"{directory} holds a cluster without its {_PASSWORD} ({failure}): remove the folder "
            "to begin anew"
        ) from failure


def _lock_holder(data: Path) -> str:
    try:
        return (data / "postmaster.pid").read_text().partition("\n")[0]
    except OSError:
        return "unknown"


def _held_by_a_stranger(data: Path) -> bool:
    """Whether the lock's process id has gone to another program since (a restarted container)."""
    try:
        command = Path(f"/proc/{int(_lock_holder(data))}/cmdline").read_bytes()
    except (OSError, ValueError):  # ended, or no /proc: PostgreSQL's own judgement stands
        return False
    return bool(command) and b"postgres" not in command


def _remove_all(trees: list[Path]) -> None:
    for tree in trees:
        remove(tree)
