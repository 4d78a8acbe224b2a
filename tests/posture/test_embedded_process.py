"""The life of a child: ready or a reason, stopped by its own pid, never outliving who started it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from posture.embedded import places
from posture.embedded.errors import NotRunningError, PrepareError, StartError
from posture.embedded.places import Account
from posture.embedded.process import Child, Stack
from posture.embedded.redis import RedisServer

ROOT = Path(__file__).parents[2]
SLEEP = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
DEAF = (
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
)


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def wait_until_gone(pids: list[int], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still running: {[p for p in pids if not gone(p)]}"
        time.sleep(0.02)


def test_a_stopped_child_is_reaped(tmp_path: Path) -> None:
    child = Child("sleeper", SLEEP, tmp_path / "log")
    with pytest.raises(NotRunningError, match="sleeper is not running"):
        _ = child.pid
    child.start()
    pid = child.pid
    assert child.running
    child.stop()
    child.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert not child.running


def test_a_child_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    child = Child("deaf", DEAF, tmp_path / "log", grace=timedelta(seconds=0.2))
    child.start()
    child.wait_ready(lambda: "deaf" in child.log_tail())
    pid = child.pid
    child.stop()
    assert not Path(f"/proc/{pid}").exists()


def test_a_child_that_dies_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier start\n")
    program = (sys.executable, "-S", "-c", "import sys; print('no such key'); sys.exit(3)")
    child = Child("server", program, log)
    child.start()
    with pytest.raises(StartError, match="server ended with exit code 3 before it was ready") as caught:
        child.wait_ready(lambda: False)
    assert caught.value.log_tail == "no such key"
    assert str(log) in str(caught.value)


def test_a_child_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    child = Child("server", SLEEP, tmp_path / "log")
    child.start()
    pid = child.pid
    with pytest.raises(StartError, match=r"was not ready after 0\.2 s"):
        child.wait_ready(lambda: False, timedelta(seconds=0.2))
    assert gone(pid)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    child = Child("server", (str(tmp_path / "absent"),), tmp_path / "log")
    child.start()
    with pytest.raises(StartError, match=r"cannot execute .*absent.*No such file"):
        child.wait_ready(lambda: False)


STARTS_AND_WAITS = """
import json, pathlib, sys, threading
from posture.embedded.postgres import PostgresServer
from posture.embedded.process import Stack
from posture.embedded.redis import RedisServer

folder = pathlib.Path(sys.argv[1])
servers = [PostgresServer.create(folder / "pg", durable=False), RedisServer(folder / "redis")]
with Stack() as stack:
    worker = threading.Thread(target=lambda: [stack.start(server) for server in servers])
    worker.start()
    worker.join()
    sockets = [str(servers[0].socket_directory), str(servers[1].socket.parent)]
    print(json.dumps([[server.pid for server in servers], sockets]), flush=True)
    sys.stdin.readline()
    print(json.dumps([server.running for server in servers]), flush=True)
    sys.stdin.readline()
"""


def starter(tmp_path: Path) -> tuple[subprocess.Popen[str], list[int], list[str]]:
    program = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    pids, sockets = json.loads(line_of(program))
    return program, pids, sockets


def line_of(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_children_die_with_a_killed_parent_but_not_with_the_thread_that_started_them(
    tmp_path: Path,
) -> None:
    program, pids, _ = starter(tmp_path)
    time.sleep(0.3)  # the thread that started them has long ended
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()
    assert json.loads(line_of(program)) == [True, True]
    program.kill()
    program.communicate()
    wait_until_gone(pids)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_an_interrupted_program_stops_everything_it_started(by: signal.Signals, tmp_path: Path) -> None:
    program, pids, sockets = starter(tmp_path)
    program.send_signal(by)
    program.communicate(timeout=30)
    assert program.returncode != 0
    assert all(gone(pid) for pid in pids)
    assert not any(Path(folder).exists() for folder in sockets)


def test_a_stack_stops_what_it_started_when_a_later_start_fails(tmp_path: Path) -> None:
    class Broken(RedisServer):
        def start(self) -> None:
            raise StartError("broken", "ended", "log", "")

    pids = []

    def start_both() -> None:
        with Stack() as stack:
            pids.append(stack.start(RedisServer(tmp_path / "a")).pid)
            stack.start(Broken(tmp_path / "b"))

    before = signal.getsignal(signal.SIGTERM)  # not the default while another stack of this worker is open
    with pytest.raises(StartError):
        start_both()
    assert [gone(pid) for pid in pids] == [True]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_socket_path_that_the_kernel_would_refuse_is_refused() -> None:
    with pytest.raises(PrepareError, match="has 108 bytes and the kernel takes 107"):
        places.socket_in(Path("/" + "x" * 105), "s")
    assert places.socket_in(Path("/" + "x" * 104), "s").name == "s"


def test_reachability_follows_the_mode_bits(tmp_path: Path) -> None:
    stranger = Account("stranger", 12345, 12345)
    folder = Path(os.path.realpath(tmp_path)) / "open"
    folder.mkdir(mode=0o755)
    assert places.reachable(Path("/usr/bin"), stranger)
    tmp_path.chmod(0o700)
    assert not places.reachable(folder, stranger)
    assert places.reachable(folder, Account.current())
    assert not places.reachable(folder / "absent", Account.current())


def test_what_a_killed_program_left_is_swept_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PUBLIC_PARENT", tmp_path)
    monkeypatch.setattr(places, "NEW_SECONDS", -1)
    living = places.public_folder()
    named = places.durable_folder(None, tmp_path / "data.location")
    (tmp_path / "data.location").write_text(f"{named}\n")
    orphan = places.durable_folder(None, tmp_path / "removed.location")
    killed = tmp_path / "pst-killed"
    killed.mkdir()
    other_lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other_lock, fcntl.LOCK_EX)
    (tmp_path / "pst-link").symlink_to(tmp_path)
    for folder in (named, orphan):
        places.release(folder)  # their program has ended
    assert places.sweep(tmp_path) == sorted([killed, orphan])
    assert living.exists()
    assert named.exists()
    os.close(other_lock)
    places.remove(living)
