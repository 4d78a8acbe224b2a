"""The one place that opens connections: every statement of the platform runs inside a scope.

A tenant's work runs as `core_app` with a sealed ticket bound to its transaction; work across tenants
runs as `core_bypass`, a login of its own, with a grant row in the same transaction and a begin record
that survives rollback. Nothing here hands out an engine, a connection or a session without a scope.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, insert
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from core_platform.errors import BypassRefused, InvalidTenant, translated
from core_platform.schema.app import BypassLog
from core_platform.tenancy.context import (
    AllTenants,
    BypassReason,
    BypassScope,
    Origin,
    TenantContext,
    TenantId,
)
from core_platform.tenancy.logins import verify_login
from core_platform.tenancy.sessions import BypassSession, TenantSession
from core_platform.tenancy.ticket import SETTING, SealKey, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine.interfaces import DBAPIConnection

T = TypeVar("T")

APP_LOGIN: Final = "core_app"
BYPASS_LOGIN: Final = "core_bypass"
GRANT_SETTING: Final = "app.bypass_grant"

_BIND: Final = f"SELECT pg_catalog.set_config('{SETTING}', %s, true)"
_OPEN_GRANT: Final = f"SELECT pg_catalog.set_config('{GRANT_SETTING}', %s, true)"
_FORGET: Final = "CLOSE ALL; RESET ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all()"
_LONGEST_CHANGE_REF: Final = 200
_CONNECT_SECONDS: Final = 10
_POOL_SECONDS: Final = 10

#: What this thread or task has open: a bypass may not start inside either.
_open_scope: ContextVar[str] = ContextVar("open_scope", default="")


class PlatformDatabase:
    """The platform's database, reachable only for a tenant or under an audited bypass.

    `app_url` and `bypass_url` name the same database with the logins `core_app` and `core_bypass`;
    a service that never bypasses is not given the second. Logins are verified before the first
    session, whether or not the caller does so at start-up. Safe to share between threads.
    """

    def __init__(
        self,
        app_url: str,
        *,
        seal: SealKey,
        bypass_url: str | None = None,
        pool_size: int = 5,
    ) -> None:
        self._seal = seal
        self._app = _engine(app_url, pool_size)
        self._bypass = None if bypass_url is None else _engine(bypass_url, pool_size)
        self._verified = False

    def verify_logins(self) -> None:
        """Ask the server whether the logins are what they must be.

        Raises:
            UnsafeLogin: a login is superuser, owner, BYPASSRLS, member of a role, or the wrong one.
            DatabaseUnreachable: the server did not answer.
        """
        for engine, expected in ((self._app, APP_LOGIN), (self._bypass, BYPASS_LOGIN)):
            if engine is not None:
                with translated(), engine.connect() as connection:
                    verify_login(connection, expected)
        self._verified = True

    @contextmanager
    def tenant_session(self, context: TenantContext) -> Iterator[TenantSession]:
        """One transaction for one tenant: committed at the end, rolled back on any exception.

        Raises:
            InvalidTenant: there is no context; nothing reaches the database.
            TenantRefused: a statement reached for another tenant's row.
        """
        if not isinstance(context, TenantContext):
            raise InvalidTenant("a tenant session opens for a TenantContext only")

        def bind(_session: Session, _transaction: object, connection: Connection) -> None:
            # Bound as a parameter: the text of a statement is visible to others in pg_stat_activity.
            connection.exec_driver_sql(_BIND, (seal(self._seal, context.tenant),))

        with self._transaction(self._app, bind) as session, _opened("tenant session"):
            yield TenantSession(session, context)

    def run_as_tenant(
        self,
        tenant: TenantId,
        origin: Origin,
        fn: Callable[[TenantSession], T],
        *,
        actor: str = "",
    ) -> T:
        """Run `fn` in one transaction for one tenant: the way for all background work.

        `actor` is the job that acts, by default the function's name.
        """
        job = actor or getattr(fn, "__qualname__", type(fn).__name__)
        context = TenantContext(tenant, origin, job)
        with self.tenant_session(context) as session:
            return fn(session)

    def run_as_bypass(
        self,
        scope: BypassScope,
        reason: BypassReason,
        fn: Callable[[BypassSession], T],
        *,
        change_ref: str,
    ) -> T:
        """Run `fn` in one transaction over `scope`, for a listed reason, on the record.

        Each call site is registered in `bypass_sites.yaml`. The begin record is committed before `fn`
        starts, on another connection; the grant commits or rolls back with what `fn` did.

        Raises:
            BypassRefused: scope, reason or change reference is missing, no bypass login is
                configured, or a bypass or tenant session is open already.
        """
        engine = self._bypass_engine(scope, reason, change_ref)
        begin = _entry("begin", scope, reason, change_ref)
        with translated(), engine.begin() as connection:
            connection.execute(insert(BypassLog).values(begin))

        def open_grant(_session: Session, _transaction: object, connection: Connection) -> None:
            grant = _entry("grant", scope, reason, change_ref, begin["entry_id"])
            connection.execute(insert(BypassLog).values(grant))
            connection.exec_driver_sql(_OPEN_GRANT, (str(grant["entry_id"]),))

        with self._transaction(engine, open_grant) as session, _opened("bypass"):
            return fn(BypassSession(session))

    def close(self) -> None:
        """Close the pooled connections."""
        for engine in (self._app, self._bypass):
            if engine is not None:
                engine.dispose()

    @contextmanager
    def _transaction(
        self, engine: Engine, bind: Callable[[Session, object, Connection], None]
    ) -> Iterator[Session]:
        if not self._verified:
            self.verify_logins()
        session = Session(engine, autobegin=False, expire_on_commit=False, close_resets_only=False)
        event.listen(session, "after_begin", bind)
        try:
            with translated(), session.begin():
                yield session
        finally:
            session.close()

    def _bypass_engine(self, scope: BypassScope, reason: BypassReason, change_ref: str) -> Engine:
        if not isinstance(scope, TenantId | AllTenants):
            raise BypassRefused("a bypass takes a TenantId, or ALL_TENANTS said in full")
        if not isinstance(reason, BypassReason):
            raise BypassRefused("a bypass takes a reason from the closed list BypassReason")
        if not change_ref.strip() or len(change_ref) > _LONGEST_CHANGE_REF:
            raise BypassRefused("a bypass names its change or job in 1 to 200 characters")
        if _open_scope.get():
            raise BypassRefused(f"a {_open_scope.get()} is open already: finish it before a bypass")
        if self._bypass is None:
            raise BypassRefused("this service was given no bypass login (bypass_url)")
        if not self._verified:
            self.verify_logins()
        return self._bypass


@contextmanager
def _opened(scope: str) -> Iterator[None]:
    entered = _open_scope.set(scope)
    try:
        yield
    finally:
        _open_scope.reset(entered)


def _entry(
    phase: str,
    scope: BypassScope,
    reason: BypassReason,
    change_ref: str,
    begin_id: object = None,
) -> dict[str, object]:
    return {
        "entry_id": uuid.uuid4(),
        "phase": phase,
        "begin_id": begin_id,
        "scope": str(scope),
        "reason": reason.value,
        "change_ref": change_ref,
    }


def _engine(url: str, pool_size: int) -> Engine:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_SECONDS,
        pool_reset_on_return=None,
        connect_args={"connect_timeout": _CONNECT_SECONDS},
    )
    event.listen(engine, "reset", _forget_tenant)
    return engine


def _forget_tenant(connection: DBAPIConnection, _record: object, _state: object) -> None:
    """On check-in, end what a session could have kept: settings, held cursors, locks, channels."""
    connection.rollback()
    connection.autocommit = True
    connection.cursor().execute(_FORGET)
    connection.autocommit = False
