"""PgBouncer in transaction mode between platform and database: two tenants, one backend, no cross rows."""

import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import func, select, text

from core_platform.errors import TenantRefused
from core_platform.schema import Agent, Tenant
from core_platform.schema.migrate import login_url
from core_platform.tenancy import Origin, PlatformDatabase
from posture.embedded.places import drop_to, public_folder

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(
    PGBOUNCER is None, reason="PgBouncer is not installed: apt-get install pgbouncer, or make setup as root"
)
START_SECONDS = 10


@pytest.fixture(scope="module")
def pooled(platform_db, pg_cluster):
    """The URL of the application's login through a pooler with a single server connection."""
    account = drop_to()
    folder = public_folder(account)
    port = free_port()
    app = conninfo_to_dict(platform_db.app_url)
    (folder / "users").write_text(f'"core_app" "{app["password"]}"\n')
    (folder / "ini").write_text(
        f"[databases]\n{platform_db.name} = host={pg_cluster.server.socket_directory} port=5432\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {folder}/users\npool_mode = transaction\n"
        "default_pool_size = 1\nmax_client_conn = 50\n"
    )
    if account is not None:
        for path in (folder / "users", folder / "ini"):
            os.chown(path, account.uid, account.gid)
    user = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([PGBOUNCER, str(folder / "ini")], stdout=log, stderr=log, **user)
    try:
        wait_for(port, child, folder / "log")
        through = login_url(platform_db.admin_url, "core_app", app["password"])
        yield through.partition("@")[0] + f"@127.0.0.1:{port}/{platform_db.name}"
    finally:
        child.kill()
        child.wait()
        shutil.rmtree(folder)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, child, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert child.poll() is None, log.read_text()
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(log.read_text())


@pytest.fixture
def clients(pooled, platform_db):
    """Two services behind the pooler, each with connections of its own."""
    services = [
        PlatformDatabase(pooled, seal=platform_db.seal, pool_size=2, transaction_pooler=True)
        for _ in range(2)
    ]
    yield services
    for service in services:
        service.close()


def seen(session):
    pid = session.scalar(select(func.pg_backend_pid()))
    return pid, session.scalars(select(Tenant.name)).all()


def test_two_tenants_take_turns_on_one_backend_and_see_their_own_rows(clients, platform_db):
    expected = {platform_db.a: ["Tenant A"], platform_db.b: ["Tenant B"]}

    def work(turn):
        tenant = (platform_db.a, platform_db.b)[turn % 2]
        pid, names = clients[turn % 2].run_as_tenant(tenant, Origin.REQUEST, seen)
        assert names == expected[tenant]
        return pid

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(work, range(60)))) == 1


def test_nothing_set_for_a_session_reaches_the_next_client_of_the_backend(clients, platform_db):
    def keep(session):
        session.execute(text("SELECT set_config('app.other', 'of A', false)"))
        session.execute(text("SELECT pg_advisory_lock(23)"))
        session.execute(text("DECLARE kept CURSOR WITH HOLD FOR SELECT * FROM identity.tenant"))
        return session.scalar(select(func.pg_backend_pid()))

    def look(session):
        kept = text(
            "SELECT (SELECT count(*) FROM pg_cursors) + (SELECT count(*) FROM pg_locks"
            " WHERE locktype = 'advisory')"
        )
        other = session.scalar(select(func.current_setting("app.other", True)))
        return session.scalar(select(func.pg_backend_pid())), other or "", session.scalar(kept)

    backend = clients[0].run_as_tenant(platform_db.a, Origin.REQUEST, keep)
    assert clients[1].run_as_tenant(platform_db.b, Origin.REQUEST, look) == (backend, "", 0)


def test_a_transaction_that_fails_leaves_the_backend_clean_too(clients, platform_db):
    def plant(session):
        session.execute(text("SELECT set_config('app.other', 'of A', false)"))
        session.add(Agent(tenant_id=platform_db.b.uuid, name="planted"))

    with pytest.raises(TenantRefused):
        clients[0].run_as_tenant(platform_db.a, Origin.REQUEST, plant)
    other = select(func.current_setting("app.other", True))
    found = clients[1].run_as_tenant(platform_db.b, Origin.REQUEST, lambda session: session.scalar(other))
    assert found in (None, "")


def test_a_statement_outside_a_session_meets_no_ticket_of_another_client(clients, pooled, platform_db):
    clients[0].run_as_tenant(platform_db.a, Origin.REQUEST, seen)
    with (
        psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as stranger,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="no tenant ticket"),
    ):
        stranger.execute("SELECT count(*) FROM identity.tenant")
