"""Sessions that cannot be pointed at another tenant: what a caller holds inside one transaction.

`TenantSession` works for one tenant under row security; `BypassSession` works under a grant. They are
different types on purpose, so that a function says in its signature which it needs, and neither hands
out the connection, the engine or a way to run a plain string.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from sqlalchemy import CursorResult, Executable

from core_platform.errors import PlainSqlRefused, SessionClosed, translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import MappingResult, Result, ScalarResult
    from sqlalchemy.engine import Row
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

    from core_platform.tenancy.context import TenantContext

    AnyRow: TypeAlias = Row[*tuple[Any, ...]]
    AnyResult: TypeAlias = Result[*tuple[Any, ...]]
    Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]

T = TypeVar("T")
S = TypeVar("S", "Session", "AsyncSession")
ColumnValue: TypeAlias = Any  # what a column holds; only the statement knows


class Rows:
    """What a statement gave: its rows, or how many it changed. Holds no way back to a connection."""

    __slots__ = ("__result",)

    def __init__(self, result: AnyResult) -> None:
        self.__result = result

    def __iter__(self) -> Iterator[AnyRow]:
        return iter(self.__result)

    @property
    def rowcount(self) -> int:
        """Rows that an INSERT, UPDATE or DELETE touched; -1 where the statement reads."""
        return self.__result.rowcount if isinstance(self.__result, CursorResult) else -1

    def all(self) -> Sequence[AnyRow]:
        """Every row."""
        return self.__result.all()

    def first(self) -> AnyRow | None:
        """The first row or None; the rest is discarded."""
        return self.__result.first()

    def one(self) -> AnyRow:
        """The only row. Raises `DatabaseRefused` if there is none or more than one."""
        with translated():
            return self.__result.one()

    def one_or_none(self) -> AnyRow | None:
        """The only row or None. Raises `DatabaseRefused` if there is more than one."""
        with translated():
            return self.__result.one_or_none()

    def scalar(self) -> ColumnValue:
        """The first column of the first row, or None."""
        return self.__result.scalar()

    def scalar_one(self) -> ColumnValue:
        """The first column of the only row. Raises `DatabaseRefused` if there is not exactly one."""
        with translated():
            return self.__result.scalar_one()

    def scalar_one_or_none(self) -> ColumnValue:
        """The first column of the only row, or None."""
        with translated():
            return self.__result.scalar_one_or_none()

    def scalars(self) -> ScalarResult[Any]:
        """The first column of every row."""
        return self.__result.scalars()

    def mappings(self) -> MappingResult:
        """Every row as a mapping from column name to value."""
        return self.__result.mappings()


def usable(session: S, statement: Executable | None = None) -> S:
    """The session, if its transaction is still open and the statement is one of SQLAlchemy's.

    Raises:
        SessionClosed: the transaction has ended.
        PlainSqlRefused: the statement is a plain string or something else.
    """
    if not session.in_transaction():
        raise SessionClosed("this session's transaction has ended: open another for more work")
    if statement is not None and not isinstance(statement, Executable):
        raise PlainSqlRefused(
            f"a session takes SQLAlchemy statements, not {type(statement).__name__}: "
            "use select(), insert(), update(), delete() or text() with bound parameters"
        )
    return session


class _BoundSession:
    """One transaction that the database itself holds to its scope.

    Statements are SQLAlchemy's (Core, ORM, or `text()` with bound parameters). Errors come as
    `core_platform.errors`. After the transaction every call raises `SessionClosed`.
    """

    __slots__ = ("__session",)

    def __init__(self, session: Session) -> None:
        self.__session = session

    def execute(self, statement: Executable, params: Parameters | None = None) -> Rows:
        """Run one statement; a sequence of mappings as `params` runs it once for each."""
        session = usable(self.__session, statement)
        with translated():
            return Rows(session.execute(statement, params))

    @overload
    def scalar(self, statement: TypedReturnsRows[T], params: Parameters | None = None) -> T | None: ...

    @overload
    def scalar(self, statement: Executable, params: Parameters | None = None) -> ColumnValue: ...

    def scalar(self, statement: Executable, params: Parameters | None = None) -> ColumnValue:
        """The first column of the first row, or None."""
        session = usable(self.__session, statement)
        with translated():
            return session.execute(statement, params).scalar()

    @overload
    def scalars(
        self, statement: TypedReturnsRows[T], params: Parameters | None = None
    ) -> ScalarResult[T]: ...

    @overload
    def scalars(self, statement: Executable, params: Parameters | None = None) -> ScalarResult[Any]: ...

    def scalars(self, statement: Executable, params: Parameters | None = None) -> ScalarResult[Any]:
        """The first column of every row, or every ORM object of the statement."""
        session = usable(self.__session, statement)
        with translated():
            return session.execute(statement, params).scalars()

    def add(self, row: object) -> None:
        """Schedule one ORM object for INSERT."""
        usable(self.__session).add(row)

    def add_all(self, rows: Iterable[object]) -> None:
        """Schedule ORM objects for INSERT."""
        usable(self.__session).add_all(rows)

    def flush(self) -> None:
        """Send what is scheduled, so that the database's answer arrives here and not at commit."""
        session = usable(self.__session)
        with translated():
            session.flush()


class TenantSession(_BoundSession):
    """One transaction for one tenant: reads and writes its rows and can reach no others.

    Audit rows take their origin and actor from `context`.
    """

    __slots__ = ("__context",)

    def __init__(self, session: Session, context: TenantContext) -> None:
        super().__init__(session)
        self.__context = context

    @property
    def context(self) -> TenantContext:
        """For whom this transaction runs, through which door, and who acts."""
        return self.__context


class BypassSession(_BoundSession):
    """One transaction under an audited grant, over one tenant or over all of them."""

    __slots__ = ()
