"""An AWS account on this machine: moto as a program of its own, on a loopback port.

What moto cannot show (external ids, conditions, several states) a collector reports as unsupported.
Every account id and region is answered; nothing is kept after the stop.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import sys
from datetime import timedelta
from pathlib import Path

from posture.embedded.errors import BinariesNotFoundError, NotRunningError, PrepareError
from posture.embedded.process import Child, Server

HOST = "127.0.0.1"
READY_TIMEOUT = timedelta(seconds=90)
PROBE_TIMEOUT_SECONDS = 2.0
REMEDY = "pip install 'moto[server]'"

_CHILD = Path(__file__).with_name("moto_child.py")
_INHERITED = ("PATH", "HOME", "LANG", "PYTHONPATH", "TMPDIR")


class MotoServer(Server):
    """One emulator; `with` starts it and stops it. Its log lies in `directory`."""

    def __init__(self, directory: Path) -> None:
        if importlib.util.find_spec("moto") is None:
            raise BinariesNotFoundError("AWS emulator", ["the Python package moto"], REMEDY)
        self.directory = directory.absolute()
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as failure:
            raise PrepareError(f"cannot make the folder {directory}: {failure}") from failure
        self._port_file = self.directory / "moto.port"
        self._port: int | None = None
        # -P: without it this folder would come first on the import path, and with it our redis.py
        self._child = Child(
            name="the AWS emulator (moto)",
            command=(sys.executable, "-P", str(_CHILD), str(self._port_file)),
            log=self.directory / "moto.log",
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
            umask=None,  # it may be the first to compile moto, for everybody who uses this Python
            grace=timedelta(seconds=5),
        )

    @property
    def endpoint(self) -> str:
        """For boto3's `endpoint_url`; another port after each start. NotRunningError before."""
        if self._port is None:
            raise NotRunningError("the AWS emulator is not running: call start() first")
        return f"http://{HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """Its process id; NotRunningError when it does not run."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the server is up."""
        return self._child.running

    def start(self) -> None:
        """Start and wait until it answers. Does nothing when it runs."""
        if self._child.running:
            return
        self._port_file.unlink(missing_ok=True)
        self._child.start()
        self._child.wait_ready(self._answers, READY_TIMEOUT)

    def stop(self) -> None:
        """Stop it; everything it held is gone."""
        self._child.stop()
        self._port = None

    def kill(self) -> None:
        """SIGKILL and reap."""
        self._child.kill()
        self._port = None

    def close(self) -> None:
        """Stop it; its log stays."""
        self.stop()

    def _answers(self) -> bool:
        try:
            port = int(self._port_file.read_text())
        except (OSError, ValueError):
            return False
        connection = http.client.HTTPConnection(HOST, port, timeout=PROBE_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/moto-api/")
            ready = connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if ready:
            self._port = port
        return ready
