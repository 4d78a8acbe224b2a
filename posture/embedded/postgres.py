"""A PostgreSQL of our own for a first run, a test or a twin: one cluster, one unix socket.

No port is opened (listen_addresses is empty), every login needs a password (scram-sha-256), time is
UTC. As root the server runs as `nobody`; what that account cannot reach is put into a short public
folder, and no parent folder's mode is changed. A role attribute such as BYPASSRLS belongs to the
whole cluster, so each twin and each test worker takes a cluster, not a database.
"""

from __future__ import annotations

import signal
import time
import weakref
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from posture.embedded.errors import NotRunningError, StartError
from posture.embedded.places import (
    Account,
    drop_to,
    public_folder,
    reachable,
    release,
    remove,
    socket_in,
)
from posture.embedded.postgres_binaries import Binaries
from posture.embedded.postgres_cluster import (
    ENVIRONMENT,
    SUPERUSER,
    Cluster,
    configure,
    in_use,
    initialise,
    initialised,
    lock_holder,
    made_folder,
    password_of,
    place,
    remove_data,
)
from posture.embedded.process import Child, Server

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Binaries", "PostgresServer"]

PORT = 5432  # only the socket's name: .s.PGSQL.5432
LOCK_TIMEOUT = timedelta(seconds=15)
LOCK_PAUSE_SECONDS = 0.1

_LOG = "postgres.log"
_STILL_LOCKED = ('lock file "postmaster.pid" already exists', "pre-existing shared memory block")


class PostgresServer(Server):
    """One cluster. Make it with `create`; `with` starts it and closes it.

    `stop` and `kill` leave it ready to be started again under the same URL; `close` also removes
    the socket's folder and, for a cluster that is not durable, its data.
    """

    def __init__(self, cluster: Cluster, password: str, *, durable: bool, made: list[Path]) -> None:
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
            env=ENVIRONMENT,
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
        directory = made_folder(directory)
        account = drop_to()
        binaries = binaries or Binaries.find()
        data = place(directory, account, durable=durable)
        fresh = not initialised(data)
        made: list[Path] = []
        try:
            if account is not None and not reachable(binaries.postgres, account):
                made.append(public_folder())
                binaries = binaries.copied_to(made[0])
            cluster = Cluster(directory, data, binaries, account)
            if fresh:
                initialise(cluster, template, durable=durable)
            configure(cluster, settings or {}, durable=durable)
        except BaseException:
            _remove_all(made)
            if fresh:
                remove_data(directory, data)
            raise
        return cls(cluster, password_of(directory), durable=durable, made=made)

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
        remove_data(self.directory, self.data)

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
        if password is None and user == self.superuser:
            password = self.superuser_password
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        where = urlencode({"host": str(self._sockets), "port": PORT}, safe="/")
        return f"postgresql://{login}@/{quote(database, safe='')}?{where}"

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
            raise in_use(self.data) from failure
        time.sleep(LOCK_PAUSE_SECONDS)


def _held_by_a_stranger(data: Path) -> bool:
    """Whether the lock's process id has gone to another program since (a restarted container)."""
    try:
        command = Path(f"/proc/{int(lock_holder(data))}/cmdline").read_bytes()
    except (OSError, ValueError):  # ended, or no /proc: PostgreSQL's own judgement stands
        return False
    return bool(command) and b"postgres" not in command


def _remove_all(trees: list[Path]) -> None:
    for tree in trees:
        remove(tree)
