"""Pooled connections that open and end a scope in one round trip each, and keep nothing of it.

A transaction begins together with what binds it (psycopg's pipeline mode) and ends together with the
clearing of what a session could keep: settings, held cursors, channels, advisory locks. One simple
query carries COMMIT and the clearing, so behind a transaction pooler both reach the same server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus
from psycopg.rows import TupleRow
from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url

from core_platform.errors import DatabaseUnreachable

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn, PGresult
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

_FORGET: Final = "CLOSE ALL; RESET ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all()"
_COMMIT: Final = f"COMMIT; {_FORGET}".encode()
_ROLLBACK: Final = f"ROLLBACK; {_FORGET}".encode()
_BIND: Final = b"SELECT pg_catalog.set_config($1, $2, true)"
_DONE: Final = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})
_CONNECT_SECONDS: Final = 10
_POOL_SECONDS: Final = 10


class PooledConnection(psycopg.Connection[TupleRow]):
    """A connection in autocommit mode whose transactions are opened by `begin_bound` alone.

    `used` is true from there until a commit or rollback has cleared the session again.
    """

    used: bool = False

    def begin_bound(self, setting: str, value: str) -> None:
        """Begin a transaction and bind it by a setting that ends with it: one round trip."""
        self.used = True
        with self.lock:
            self.wait(_begin_bound(self.pgconn, setting, value))

    def commit(self) -> None:
        """Commit, then clear the session, in one round trip."""
        if self.used:
            with self.lock:
                self.wait(_several(self.pgconn, _COMMIT))
            self.used = False

    def rollback(self) -> None:
        """Roll back, then clear the session, in one round trip."""
        if self.used:
            # Through a cursor: after a rollback psycopg forgets the statements that it prepared.
            self.execute(_ROLLBACK)
            self.used = False


class AsyncPooledConnection(psycopg.AsyncConnection[TupleRow]):
    """The same for asyncio."""

    used: bool = False

    async def begin_bound(self, setting: str, value: str) -> None:
        """Begin a transaction and bind it by a setting that ends with it: one round trip."""
        self.used = True
        async with self.lock:
            await self.wait(_begin_bound(self.pgconn, setting, value))

    async def commit(self) -> None:
        """Commit, then clear the session, in one round trip."""
        if self.used:
            async with self.lock:
                await self.wait(_several(self.pgconn, _COMMIT))
            self.used = False

    async def rollback(self) -> None:
        """Roll back, then clear the session, in one round trip."""
        if self.used:
            await self.execute(_ROLLBACK)
            self.used = False


def _begin_bound(pgconn: PGconn, setting: str, value: str) -> PQGen[None]:
    """Both statements in libpq's pipeline, which sends them together and answers them in order."""
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(b"BEGIN", None)
    # A parameter and not text: others of the same login see the text of a statement.
    pgconn.send_query_params(_BIND, [setting.encode(), value.encode()])
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    begun = yield from generators.fetch_many(pgconn)
    bound = yield from generators.fetch_many(pgconn)
    yield from generators.fetch(pgconn)
    pgconn.exit_pipeline_mode()
    _raise_first_error([*begun, *bound])


def _several(pgconn: PGconn, statements: bytes) -> PQGen[None]:
    """One simple query of several statements."""
    pgconn.send_query(statements)
    _raise_first_error((yield from generators.execute(pgconn)))


def _raise_first_error(results: list[PGresult]) -> None:
    for result in results:
        if result.status not in _DONE:
            raise psycopg.errors.error_from_result(result)


def pooled_engine(url: str, pool_size: int, *, transaction_pooler: bool) -> Engine:
    """An engine of `PooledConnection`s; the connection string is the caller's, the driver ours."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), **_options(pool_size, transaction_pooler)
    )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "reset", _leave_nothing)
    return engine


def async_pooled_engine(url: str, pool_size: int, *, transaction_pooler: bool) -> AsyncEngine:
    """The same for asyncio; needs `greenlet`, which is imported here and not before."""
    from sqlalchemy.ext.asyncio import create_async_engine

    options = _options(pool_size, transaction_pooler)
    options["connect_args"]["async_creator_fn"] = AsyncPooledConnection.connect
    engine = create_async_engine(make_url(url).set(drivername="postgresql+psycopg_async"), **options)
    event.listen(engine.sync_engine, "reset", _leave_nothing)
    return engine


def begin_bound(connection: Connection, setting: str, value: str) -> None:
    """Begin and bind on the driver's connection under `connection`, of either kind.

    Raises:
        DatabaseUnreachable: the connection was dead. The whole pool is emptied, so that a restarted
            server costs one refusal and not one for each pooled connection.
    """
    try:
        driver = connection.connection.driver_connection
        if isinstance(driver, PooledConnection):
            driver.begin_bound(setting, value)
        elif isinstance(driver, AsyncPooledConnection):
            from sqlalchemy.util import await_only

            await_only(driver.begin_bound(setting, value))
        else:
            raise TypeError("a scope opens on a pooled connection of the platform only")
    except psycopg.OperationalError as error:
        connection.invalidate(error)
        connection.engine.dispose()
        raise DatabaseUnreachable("the database did not answer", sqlstate=error.sqlstate) from error


def _options(pool_size: int, transaction_pooler: bool) -> dict[str, Any]:
    connect: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "autocommit": True}
    if transaction_pooler:
        # A statement prepared by name stays on the one server that a pooler may not come back to.
        connect["prepare_threshold"] = None
    return {
        "hide_parameters": True,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": _POOL_SECONDS,
        "pool_reset_on_return": None,
        "connect_args": connect,
    }


def _connect(
    _dialect: object, _entry: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]
) -> PooledConnection:
    return PooledConnection.connect(*arguments, **options)


def _leave_nothing(connection: DBAPIConnection, entry: ConnectionPoolEntry, state: PoolResetState) -> None:
    """On check-in, clear what neither commit nor rollback did; a connection that cannot is closed."""
    driver = entry.driver_connection
    if not state.terminate_only and getattr(driver, "used", True):
        connection.rollback()
