"""What the lint's tests share: files written for one test, and one small PostgreSQL server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from lint import LintConfig, Report, lint_paths

Lint = Callable[..., Report]
_START_SECONDS = 20


@pytest.fixture
def lint(tmp_path: Path) -> Lint:
    """Write files (name to text) below a fresh folder and lint it."""

    def run(files: Mapping[str, str | bytes], config: LintConfig | None = None) -> Report:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return lint_paths([tmp_path], config, tmp_path)

    return run


def _binary(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(found[0]) if found else shutil.which(name)


def _server_user() -> int | None:
    """initdb refuses root, so root runs the server as nobody."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The test's server; yields a connection string for its superuser."""
    if _binary("initdb") is None or _binary("postgres") is None:
        pytest.skip("PostgreSQL's server binaries (initdb, postgres) are not installed")
    with server() as dsn:
        yield dsn


@contextmanager
def server() -> Iterator[str]:
    """A PostgreSQL server on a unix socket; gives a connection string for its superuser."""
    initdb, program = str(_binary("initdb")), str(_binary("postgres"))
    folder = Path(tempfile.mkdtemp(prefix="pl-", dir="/tmp"))
    user = _server_user()
    if user is not None:
        os.chown(folder, user, -1)
    cluster = folder / "d"
    subprocess.run(
        [initdb, "-D", cluster, "-U", "root", "-A", "trust", "--no-sync", "-E", "UTF8"],
        check=True,
        capture_output=True,
        cwd=folder,
        user=user,
    )
    command = [program, "-D", str(cluster), "-k", str(folder), "-c", "listen_addresses=", "-F"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user
    )
    try:
        dsn = f"host={folder} user=root dbname=postgres"
        _wait(dsn, process)
        yield dsn
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=_START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(dsn: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the test's PostgreSQL did not start")


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """A fresh database on the test server, dropped afterwards: roles outlive it otherwise."""
    name = f"t{time.monotonic_ns()}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("dbname=postgres", f"dbname={name}")
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
