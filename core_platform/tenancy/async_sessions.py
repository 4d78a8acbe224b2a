"""The sessions of `core_platform.tenancy.sessions` for asyncio: same promises, awaited.

The types differ from the blocking ones and from each other, so that a function says which it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from core_platform.errors import translated
from core_platform.tenancy.sessions import ColumnValue, Rows, usable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Executable, ScalarResult
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.sql.selectable import TypedReturnsRows

    from core_platform.tenancy.context import TenantContext
    from core_platform.tenancy.sessions import Parameters

T = TypeVar("T")


class _AsyncBoundSession:
    """One transaction that the database itself holds to its scope; results arrive whole.

    Used by one task at a time. Errors come as `core_platform.errors`. After the transaction every call
    raises `SessionClosed`.
    """

    __slots__ = ("__session",)

    def __init__(self, session: AsyncSession) -> None:
        self.__session = session

    async def execute(self, statement: Executable, params: Parameters | None = None) -> Rows:
        """Run one statement; a sequence of mappings as `params` runs it once for each."""
        session = usable(self.__session, statement)
        with translated():
            return Rows(await session.execute(statement, params))

    @overload
    async def scalar(self, statement: TypedReturnsRows[T], params: Parameters | None = None) -> T | None: ...

    @overload
    async def scalar(self, statement: Executable, params: Parameters | None = None) -> ColumnValue: ...

    async def scalar(self, statement: Executable, params: Parameters | None = None) -> ColumnValue:
        """The first column of the first row, or None."""
        session = usable(self.__session, statement)
        with translated():
            return (await session.execute(statement, params)).scalar()

    @overload
    async def scalars(
        self, statement: TypedReturnsRows[T], params: Parameters | None = None
    ) -> ScalarResult[T]: ...

    @overload
    async def scalars(self, statement: Executable, params: Parameters | None = None) -> ScalarResult[Any]: ...

    async def scalars(self, statement: Executable, params: Parameters | None = None) -> ScalarResult[Any]:
        """The first column of every row, or every ORM object of the statement."""
        session = usable(self.__session, statement)
        with translated():
            return (await session.execute(statement, params)).scalars()

    def add(self, row: object) -> None:
        """Schedule one ORM object for INSERT."""
        usable(self.__session).add(row)

    def add_all(self, rows: Iterable[object]) -> None:
        """Schedule ORM objects for INSERT."""
        usable(self.__session).add_all(rows)

    async def flush(self) -> None:
        """Send what is scheduled, so that the database's answer arrives here and not at commit."""
        session = usable(self.__session)
        with translated():
            await session.flush()


class AsyncTenantSession(_AsyncBoundSession):
    """One transaction for one tenant: reads and writes its rows and can reach no others."""

    __slots__ = ("__context",)

    def __init__(self, session: AsyncSession, context: TenantContext) -> None:
        super().__init__(session)
        self.__context = context

    @property
    def context(self) -> TenantContext:
        """For whom this transaction runs, through which door, and who acts."""
        return self.__context


class AsyncBypassSession(_AsyncBoundSession):
    """One transaction under an audited grant, over one tenant or over all of them."""

    __slots__ = ()
