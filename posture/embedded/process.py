"""One life cycle for every child: start, wait until ready, stop by its own process id, reap.

For the servers of this package. Three ways to lose a child are closed here: Ctrl-C (each child has
its own session, so the terminal's signal does not reach it before the orderly stop), kill -9 of
this program (Linux's parent-death signal), and a start interrupted half-way (a child that exists
is known before anyone waits for it).
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

from posture.embedded.errors import NotRunningError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType, TracebackType

    from posture.embedded.places import Account

READY_TIMEOUT = timedelta(seconds=60)
STOP_GRACE = timedelta(seconds=20)
LOG_TAIL_BYTES = 4096
LOG_TAIL_LINES = 20
EXIT_TERMINATED = 128 + signal.SIGTERM

_LAUNCH = Path(__file__).with_name("launch.py")


class _Launcher:
    """One thread from which every child is started, alive as long as this program.

    Linux sends the parent-death signal when the *thread* that started the child ends (prctl(2)), so
    a child started from a short-lived worker thread would die with it.
    """

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]]
        self._jobs = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="posture-launcher", daemon=True).start()

    def submit(self, job: Callable[[], None]) -> Future[None]:
        done: Future[None] = Future()
        self._jobs.put((job, done))
        return done

    def _serve(self) -> None:
        while True:
            job, done = self._jobs.get()
            try:
                job()
            except BaseException as failure:  # noqa: BLE001 - handed to the caller, who raises it
                done.set_exception(failure)
            else:
                done.set_result(None)


_launcher: _Launcher | None = None
_launcher_lock = threading.Lock()


def _launch(job: Callable[[], None]) -> Future[None]:
    global _launcher  # noqa: PLW0603 - one thread for the whole program is the point
    with _launcher_lock:
        if _launcher is None or _launcher.owner != os.getpid():  # a fork leaves the thread behind
            _launcher = _Launcher()
        return _launcher.submit(job)


@dataclass
class Child:
    """A program we started and alone will stop.

    `stop_signals` are sent in turn, each with `grace` to end; SIGKILL follows. `death_signal` is
    what the child gets when this program is killed. `account` is whom it runs as, when not us.
    `umask` None keeps ours.
    """

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] | None = None
    account: Account | None = None
    umask: int | None = 0o077
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    death_signal: signal.Signals = signal.SIGTERM
    grace: timedelta = STOP_GRACE
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _log_start: int = field(default=0, init=False, repr=False)

    @property
    def pid(self) -> int:
        """The process id; NotRunningError before the first start and after the stop."""
        if self._running is None:
            raise NotRunningError(f"{self.name} is not running: call start() first")
        return self._running.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended (reaps it when it has)."""
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Start the program; returns before it is ready."""
        started = _launch(self._spawn)
        try:
            started.result()
        except KeyboardInterrupt:
            wait_for([started], timeout=STOP_GRACE.total_seconds())
            self.kill()
            raise

    def _spawn(self) -> None:
        account, umask = self.account, "-" if self.umask is None else f"{self.umask:o}"
        identity = ("-", "-") if account is None else (str(account.uid), str(account.gid))
        tie = (str(os.getpid()), str(int(self.death_signal)), umask, *identity)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._running = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCH), *tie, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.env) if self.env is not None else None,
                cwd="/",  # the starter's folder may be closed to the account
                start_new_session=True,
            )

    def wait_ready(self, ready: Callable[[], bool], timeout: timedelta = READY_TIMEOUT) -> None:
        """Ask `ready` until it says yes; StartError (with the log's end) on death or time-out."""
        deadline = time.monotonic() + timeout.total_seconds()
        pause = 0.005
        while not ready():
            if not self.running:
                self._fail(f"ended with exit code {self._exit_code()} before it was ready")
            if time.monotonic() > deadline:
                self.kill()
                self._fail(f"was not ready after {timeout.total_seconds():g} s and was stopped")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def wait_exit(self, timeout: timedelta) -> int:
        """Wait for a program that ends by itself; its exit code. StartError on time-out."""
        try:
            return self._popen().wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            self.kill()
            self._fail(f"did not finish within {timeout.total_seconds():g} s and was stopped")
        except KeyboardInterrupt:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end, then insist; returns when it has been reaped. Safe to call twice."""
        if self._running is None:
            return
        for stop_signal in self.stop_signals:
            self._running.send_signal(stop_signal)
            try:
                self._running.wait(self.grace.total_seconds())
            except subprocess.TimeoutExpired:
                continue
            self._running = None
            return
        self.kill()

    def kill(self) -> None:
        """SIGKILL and reap: a crash, for tests of recovery and as the last resort of stop()."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def log_tail(self) -> str:
        """The last lines which this start wrote to the log."""
        try:
            with self.log.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, log.tell() - LOG_TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError as unreadable:
            return f"(unreadable: {unreadable})"
        return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])

    def _popen(self) -> subprocess.Popen[bytes]:
        if self._running is None:
            raise NotRunningError(f"{self.name} is not running: call start() first")
        return self._running

    def _exit_code(self) -> int | None:
        return None if self._running is None else self._running.returncode

    def _fail(self, problem: str) -> NoReturn:
        raise StartError(self.name, problem, str(self.log), self.log_tail())


class Server(ABC):
    """What every embedded server can do. As a context manager: started on entry, closed on exit."""

    @abstractmethod
    def start(self) -> None:
        """Start it and return when it answers."""

    @abstractmethod
    def close(self) -> None:
        """Stop it and leave nothing behind but durable data. Safe to call twice."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


S = TypeVar("S", bound=Server)


class Stack(ExitStack):
    """Servers that live and end together, the last started first to stop.

    While it is open, SIGTERM ends the program as Ctrl-C does, through the orderly stop.

    >>> with Stack() as stack:
    ...     database = stack.start(PostgresServer.create(Path("pg")))
    """

    def __enter__(self) -> Self:
        super().__enter__()
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)
            self.callback(signal.signal, signal.SIGTERM, signal.SIG_DFL)
        return self

    def start(self, server: S) -> S:
        """Start `server`; it is stopped with the stack even when its start is interrupted."""
        self.callback(server.close)
        server.start()
        return server


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)
