"""The one place that opens connections: every statement of the platform runs inside a scope.

A tenant's work runs as `core_app` with a sealed ticket bound to its transaction; work across tenants
runs as `core_bypass`, a login of its own, with a grant row in the same transaction and a begin record
that survives rollback. Nothing here hands out an engine, a connection or a session without a scope.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

from core_platform.errors import BypassRefused, translated
from core_platform.tenancy.async_doors import AsyncDoors
from core_platform.tenancy.context import BypassReason, BypassScope, Origin, TenantContext, TenantId
from core_platform.tenancy.logins import APP_LOGIN, BYPASS_LOGIN, verify_login
from core_platform.tenancy.pool import pooled_engine
from core_platform.tenancy.scopes import (
    NO_BYPASS_LOGIN,
    BypassRequest,
    ScopedSession,
    background_context,
    bound_to_tenant,
    opened,
    session_options,
)
from core_platform.tenancy.sessions import BypassSession, TenantSession
from core_platform.tenancy.ticket import TicketBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from sqlalchemy import Engine

    from core_platform.tenancy.async_sessions import AsyncBypassSession, AsyncTenantSession
    from core_platform.tenancy.ticket import SealKey

T = TypeVar("T")


class PlatformDatabase:
    """The platform's database, reachable only for a tenant or under an audited bypass.

    `app_url` and `bypass_url` name the same database with the logins `core_app` and `core_bypass`;
    a service that never bypasses is not given the second. Logins are verified before the first
    session, whether or not the caller does so at start-up. Safe to share between threads; the
    asyncio methods have a pool of their own and belong to one event loop.

    `transaction_pooler` says that a pooler such as PgBouncer in transaction mode stands in between:
    statements are then not prepared by name.
    """

    def __init__(
        self,
        app_url: str,
        *,
        seal: SealKey,
        bypass_url: str | None = None,
        pool_size: int = 5,
        transaction_pooler: bool = False,
    ) -> None:
        def engine(url: str) -> Engine:
            return pooled_engine(url, pool_size, transaction_pooler=transaction_pooler)

        def asynchronous() -> AsyncDoors:
            return AsyncDoors(
                app_url, self._tickets, bypass_url, pool_size=pool_size, transaction_pooler=transaction_pooler
            )

        self._tickets = TicketBook(seal)
        self._app = engine(app_url)
        self._bypass = None if bypass_url is None else engine(bypass_url)
        self._verified = False
        self._make_async = asynchronous
        self._async: AsyncDoors | None = None

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
        bind = bound_to_tenant(self._tickets, context)
        if not self._verified:
            self.verify_logins()
        session = ScopedSession(self._app, **session_options(bind))
        try:
            with translated(), session.begin(), opened("tenant session"):
                yield TenantSession(session, context)
        finally:
            session.close()

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
        with self.tenant_session(background_context(tenant, origin, fn, actor)) as session:
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
        request = BypassRequest(scope, reason, change_ref)
        if self._bypass is None:
            raise BypassRefused(NO_BYPASS_LOGIN)
        if not self._verified:
            self.verify_logins()
        with translated(), self._bypass.begin() as connection:
            connection.execute(request.begin_record())
        session = ScopedSession(self._bypass, **session_options(request.open_grant))
        try:
            with translated(), session.begin(), opened("bypass"):
                return fn(BypassSession(session))
        finally:
            session.close()

    @asynccontextmanager
    async def async_tenant_session(self, context: TenantContext) -> AsyncIterator[AsyncTenantSession]:
        """`tenant_session` for asyncio; a cancelled task leaves the next user a clean connection."""
        async with self._doors().tenant_session(context) as session:
            yield session

    async def arun_as_tenant(
        self,
        tenant: TenantId,
        origin: Origin,
        fn: Callable[[AsyncTenantSession], Awaitable[T]],
        *,
        actor: str = "",
    ) -> T:
        """`run_as_tenant` for asyncio."""
        context = background_context(tenant, origin, fn, actor)
        async with self._doors().tenant_session(context) as session:
            return await fn(session)

    async def arun_as_bypass(
        self,
        scope: BypassScope,
        reason: BypassReason,
        fn: Callable[[AsyncBypassSession], Awaitable[T]],
        *,
        change_ref: str,
    ) -> T:
        """`run_as_bypass` for asyncio, with the same two records."""
        async with self._doors().bypass_session(BypassRequest(scope, reason, change_ref)) as session:
            return await fn(session)

    def close(self) -> None:
        """Close the pooled connections of the blocking methods."""
        for engine in (self._app, self._bypass):
            if engine is not None:
                engine.dispose()

    async def aclose(self) -> None:
        """Close every pooled connection; to be called in the loop that used the asyncio methods."""
        if self._async is not None:
            await self._async.close()
        self.close()

    def _doors(self) -> AsyncDoors:
        if self._async is None:
            self._async = self._make_async()
        return self._async
