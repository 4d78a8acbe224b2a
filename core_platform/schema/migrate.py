"""Brings a database from nothing, or from any revision, to the platform's newest schema.

For operators and tests. An administrator's URL is needed once: to create the roles and the `app`
schema and to act as `core_owner` and `core_seal`. Running it again changes nothing; two runs at the
same time take turns.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from core_platform.errors import MigrationFailed
from core_platform.schema.identity import Tenant
from core_platform.schema.lifecycle import TenantStateChange
from core_platform.schema.migrations.connections import (
    LOCK_TIMEOUT,
    acting_as,
    administrator,
    as_owner,
    connected,
)
from core_platform.tenancy import Origin, PlatformDatabase, SealKey, TenantId, TenantSession
from core_platform.tenancy.roles import RoleCredentials, ensure_roles

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

__all__ = [
    "RoleCredentials",
    "current_revision",
    "downgrade",
    "login_url",
    "provision_tenant",
    "upgrade",
]

_ATTEMPTS: Final = 5
_LOCK_NOT_AVAILABLE: Final = "55P03"

_MONTHS_AHEAD: Final = 2
_AHEAD: Final = """
SELECT gpu.ensure_sample_partition((now() + month * interval '1 month')::date)
  FROM generate_series(0, %s) AS month
"""

_BOOTSTRAP: Final = """
CREATE SCHEMA IF NOT EXISTS app AUTHORIZATION core_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
DO $$ BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO core_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO core_app, core_bypass, core_backup',
                   current_database());
END $$;
"""


def upgrade(admin_url: str, *, credentials: RoleCredentials, seal: SealKey) -> str:
    """Create roles, migrate to the newest revision and install the seal key; returns the revision.

    It also makes the partitions of this month and the next two: run it at least once in two months.

    Raises:
        MigrationFailed: a lock was not granted in five attempts, or the key id of `seal` is
            installed with another secret.
        DatabaseUnreachable: the server did not answer.
    """
    with administrator(admin_url) as admin:
        ensure_roles(admin, credentials)
        if admin.pgconn.parameter_status(b"is_superuser") != b"on":
            admin.execute("GRANT core_owner, core_seal TO CURRENT_USER")
        admin.execute(_BOOTSTRAP)
        _migrate(admin_url, lambda config: command.upgrade(config, "head"))
        _install(admin, seal)
        with acting_as(admin, "core_owner"):
            admin.execute(_AHEAD, (_MONTHS_AHEAD,))
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return str(head)


def downgrade(admin_url: str, revision: str) -> None:
    """Take the schema back to `revision` ("base" removes every table); the roles stay."""
    with administrator(admin_url):
        _migrate(admin_url, lambda config: command.downgrade(config, revision))


def current_revision(url: str) -> str | None:
    """The revision of the schema behind `url`, or None where there is none."""
    with connected(url) as connection:
        known = connection.execute("SELECT to_regclass('app.alembic_version')").fetchone()
        if known is None or known[0] is None:
            return None
        row = connection.execute("SELECT version_num FROM app.alembic_version").fetchone()
        return None if row is None else str(row[0])


def login_url(admin_url: str, login: str, password: str) -> str:
    """The URL of the same database for another login."""
    url = make_url(admin_url).set(username=login, password=password)
    return url.render_as_string(hide_password=False)


def provision_tenant(
    database: PlatformDatabase, tenant: TenantId, name: str, *, capture_metadata: bool = False
) -> None:
    """Create a tenant's first row, as that tenant: no bypass is needed and none is used.

    The policy's WITH CHECK lets a session create the row of its own tenant and no other. Calling it
    again changes nothing.
    """

    def create(session: TenantSession) -> None:
        row = {"tenant_id": tenant.uuid, "name": name, "capture_metadata": capture_metadata}
        new = insert(Tenant).values(row).on_conflict_do_nothing().returning(Tenant.tenant_id)
        if session.scalar(new) is not None:
            actor = session.context.actor
            session.add(
                TenantStateChange(tenant_id=tenant.uuid, state="active", actor=actor, change_ref=actor)
            )

    database.run_as_tenant(tenant, Origin.REQUEST, create, actor="provision_tenant")


def _migrate(admin_url: str, run: Callable[[Config], None]) -> None:
    """Run Alembic as `core_owner`; a lock that is not granted in time is tried for again."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _migrate_once(admin_url, run)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise MigrationFailed(f"the migration failed: {_named(error)}") from error
            if attempt == _ATTEMPTS:
                raise MigrationFailed(
                    f"a table stayed locked through {_ATTEMPTS} attempts of {LOCK_TIMEOUT}: "
                    "end the long transaction that holds it, then migrate again"
                ) from error
            time.sleep(0.2 * attempt)
        except DBAPIError as error:
            raise MigrationFailed(f"the migration failed: {_named(error)}") from error
        else:
            return


def _migrate_once(admin_url: str, run: Callable[[Config], None]) -> None:
    with as_owner(admin_url) as connection:
        config = _config()
        config.attributes["connection"] = connection
        run(config)


def _install(admin: psycopg.Connection, seal: SealKey) -> None:
    """Put the key's pads where only `core_seal` reads them."""
    inner, outer = seal.pads()
    with acting_as(admin, "core_seal"):
        admin.execute(
            "INSERT INTO app.seal_key (kid, inner_pad, outer_pad) VALUES (%s, %s, %s) "
            "ON CONFLICT (kid) DO NOTHING",
            (seal.kid, inner, outer),
        )
        row = admin.execute(
            "SELECT inner_pad = %s FROM app.seal_key WHERE kid = %s", (inner, seal.kid)
        ).fetchone()
    if row is None or not row[0]:
        raise MigrationFailed(
            f"seal key {seal.kid!r} is installed with another secret: give the new key a new id"
        )


def _named(error: DBAPIError) -> str:
    return f"{type(error.orig).__name__}, SQLSTATE {getattr(error.orig, 'sqlstate', 'none')}"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
