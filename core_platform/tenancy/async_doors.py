"""The asyncio half of `PlatformDatabase`: the same logins, tickets and grants over an asyncio pool.

Kept apart so that a service without an event loop imports nothing of it. What a cancelled task leaves
behind is rolled back and cleared before its connection is used again, or closed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from core_platform.errors import BypassRefused, translated
from core_platform.tenancy.async_sessions import AsyncBypassSession, AsyncTenantSession
from core_platform.tenancy.logins import APP_LOGIN, BYPASS_LOGIN, verify_login
from core_platform.tenancy.pool import async_pooled_engine
from core_platform.tenancy.scopes import (
    NO_BYPASS_LOGIN,
    Bind,
    BypassRequest,
    ScopedSession,
    bound_to_tenant,
    opened,
    session_options,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from core_platform.tenancy.context import TenantContext
    from core_platform.tenancy.ticket import TicketBook


class AsyncDoors:
    """Opens tenant and bypass sessions in one event loop. Only `PlatformDatabase` makes one."""

    def __init__(
        self,
        app_url: str,
        tickets: TicketBook,
        bypass_url: str | None,
        *,
        pool_size: int,
        transaction_pooler: bool,
    ) -> None:
        def engine(url: str) -> AsyncEngine:
            return async_pooled_engine(url, pool_size, transaction_pooler=transaction_pooler)

        self._tickets = tickets
        self._app = engine(app_url)
        self._bypass = None if bypass_url is None else engine(bypass_url)
        self._verified = False

    @asynccontextmanager
    async def tenant_session(self, context: TenantContext) -> AsyncIterator[AsyncTenantSession]:
        """One transaction for one tenant."""
        bind = bound_to_tenant(self._tickets, context)
        async with self._transaction(self._app, bind) as session:
            with opened("tenant session"):
                yield AsyncTenantSession(session, context)

    @asynccontextmanager
    async def bypass_session(self, request: BypassRequest) -> AsyncIterator[AsyncBypassSession]:
        """One transaction under a grant, behind a begin record that is committed already."""
        if self._bypass is None:
            raise BypassRefused(NO_BYPASS_LOGIN)
        await self._verify()
        with translated():
            async with self._bypass.begin() as connection:
                await connection.execute(request.begin_record())
        async with self._transaction(self._bypass, request.open_grant) as session:
            with opened("bypass"):
                yield AsyncBypassSession(session)

    async def close(self) -> None:
        """Close the pooled connections."""
        for engine in (self._app, self._bypass):
            if engine is not None:
                await engine.dispose()

    async def _verify(self) -> None:
        if self._verified:
            return
        for engine, expected in ((self._app, APP_LOGIN), (self._bypass, BYPASS_LOGIN)):
            if engine is not None:
                with translated():
                    async with engine.connect() as connection:
                        await connection.run_sync(verify_login, expected)
        self._verified = True

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine, bind: Bind) -> AsyncIterator[AsyncSession]:
        from sqlalchemy.ext.asyncio import AsyncSession

        await self._verify()
        session = AsyncSession(engine, sync_session_class=ScopedSession, **session_options(bind))
        try:
            with translated():
                async with session.begin():
                    yield session
        finally:
            # A second cancellation must not keep the connection from being cleared.
            await asyncio.shield(session.close())
