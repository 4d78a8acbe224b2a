"""An unprotected schema taken to enforced row security, wave by wave, on a PostgreSQL of its own.

``python examples/rollout/rollout.py`` takes a few seconds and keeps nothing. Every line it prints is what
the database did: what a wave refused, what it saw, and what the application could reach before and after.
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from core_platform.schema.migrate import RoleCredentials, login_url, provision_tenant, upgrade  # noqa: E402
from core_platform.tenancy import PlatformDatabase, SealKey, TenantId, waves  # noqa: E402
from core_platform.tenancy.reader_verification import compare_readers, registered_readers  # noqa: E402
from lint import LintConfig, lint_paths  # noqa: E402
from posture.embedded.postgres import PostgresServer  # noqa: E402

TABLES = ("shop.customer", "shop.invoice")
TENANTS = tuple(TenantId.parse(uuid.UUID(int=number)) for number in (1, 2))
ACTOR = "rollout"
SEAL = SealKey.generate("rollout-1")
LOGINS = RoleCredentials.generate()
FIX_KEY = """
ALTER TABLE shop.customer DROP CONSTRAINT customer_email_key,
    ADD CONSTRAINT customer_tenant_id_email_key UNIQUE (tenant_id, email)
"""


def main() -> int:
    """Run the rollout; 0 when it ended with every table enforced."""
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgresServer.create(Path(folder), durable=False) as server,
    ):
        admin_url = server.url(server.superuser, "postgres")
        upgrade(admin_url, credentials=LOGINS, seal=SEAL)
        app_url = login_url(admin_url, "core_app", LOGINS.app)
        database = PlatformDatabase(app_url, seal=SEAL)
        try:
            fill(admin_url, database)
            roll_out(admin_url, app_url, database)
        finally:
            database.close()
    return 0


def fill(admin_url: str, database: PlatformDatabase) -> None:
    """The shop with two tenants, each with three customers and their invoices."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute((HERE / "schema.sql").read_bytes())
        for tenant in TENANTS:
            provision_tenant(database, tenant, f"shop {tenant.uuid.int}")
            for number in range(3):
                customer = uuid.uuid4()
                mail = f"customer{number}@shop{tenant.uuid.int}.example"
                admin.execute("INSERT INTO shop.customer VALUES (%s, %s, %s)", (tenant.uuid, customer, mail))
                bill = (tenant.uuid, f"2026-{number}", customer, 1_000 * (number + 1))
                admin.execute("INSERT INTO shop.invoice VALUES (%s, %s, %s, %s)", bill)


def roll_out(admin_url: str, app_url: str, database: PlatformDatabase) -> None:
    """The waves, with what each refuses until it is put right."""
    say("before", f"the application reads {reach(app_url)} customers without naming a tenant")

    refused("columns", lambda: waves.prepare_columns(admin_url, "shop.customer", actor=ACTOR))
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(FIX_KEY.encode())
    for table in TABLES:
        waves.prepare_columns(admin_url, table, actor=ACTOR)
    say("columns", "every key begins with the tenant")

    sites = lint_paths([HERE / "shop.py"], LintConfig(), root=HERE).findings
    for table in TABLES:
        waves.wrap(admin_url, table, unwrapped_sites=len(sites), actor=ACTOR)
        waves.observe(admin_url, table, actor=ACTOR)
    say("observe", f"results are as before: a job that was forgotten still reads {reach(app_url)} customers")
    seen = waves.unwrapped_statements(admin_url, "shop.customer")
    say("observe", f"and was seen: {seen} statement without a tenant")

    compared = compare_readers(registered_readers(HERE / "readers.yaml"), admin_url, database, TENANTS)
    for one in compared:
        say("verify", f"{one.reader} of tenant {one.tenant[-1]}: {one.rows} rows, equal: {one.equal}")
    refused("verify", lambda: waves.verify(admin_url, "shop.customer", compared, actor=ACTOR))
    waves.observe(admin_url, "shop.customer", actor=ACTOR)  # the job is wrapped now: observe from here on
    for table in TABLES:
        waves.verify(admin_url, table, compared, actor=ACTOR)

    for table in TABLES:
        waves.enforce(admin_url, table, actor=ACTOR)
        waves.canary(admin_url, database, table, (TENANTS[0], TENANTS[1]), actor=ACTOR)
    say("enforce", f"without a tenant the application reads {reach(app_url)}")
    for standing in waves.status(admin_url):
        if standing.table in TABLES:
            say("status", f"{standing.table}: {standing.wave}")


def reach(app_url: str) -> str:
    """How many customers the application's login reads without a tenant, or how it is refused."""
    with psycopg.connect(app_url, autocommit=True) as app:
        try:
            return str(len(app.execute("SELECT * FROM shop.customer").fetchall()))
        except psycopg.errors.InsufficientPrivilege as error:
            return f"nothing: {error.diag.message_primary} ({error.sqlstate})"


def refused(wave: str, attempt: Callable[[], None]) -> None:
    """Show the refusal of a wave that is not ready."""
    try:
        attempt()
    except waves.WaveRefused as error:
        say(wave, f"refused: {error}")
    else:
        raise SystemExit(f"wave {wave} should have been refused")


def say(wave: str, text: str) -> None:
    """One line of the story."""
    print(f"{wave:<9}{text}")


if __name__ == "__main__":
    sys.exit(main())
