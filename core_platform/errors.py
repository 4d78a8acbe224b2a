"""What can go wrong in the platform, as one family of typed errors.

Handlers and agents act on these types; nobody reads a database message. The mapping keys on
SQLSTATE (PostgreSQL manual, appendix A) because server text can repeat the value that offended, and
a refused value may belong to a customer. A message names the thing and the next step, not a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

if TYPE_CHECKING:
    from types import TracebackType


class PlatformError(Exception):
    """The root of every error that `core_platform` raises on purpose.

    `sqlstate` is the database's five-letter code where a database said it, else None.
    """

    sqlstate: str | None

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class InvalidTenant(PlatformError, ValueError):
    """A value is no tenant id; refused before any database sees it."""


class PlainSqlRefused(PlatformError, TypeError):
    """A session was handed a plain string where it takes a SQLAlchemy statement."""


class SessionClosed(PlatformError):
    """A session was used after its transaction had ended."""


class UnsafeLogin(PlatformError):
    """A login of the platform could reach round row security; start-up refuses it."""

    def __init__(self, login: str, reasons: tuple[str, ...]) -> None:
        super().__init__(
            f"login {login!r} is refused: {'; '.join(reasons)}. "
            "Use the login role that core_platform.schema.migrate created for this purpose."
        )
        self.login = login
        self.reasons = reasons


class BypassRefused(PlatformError):
    """A bypass was asked for in a way that would leave no usable audit trail."""


class UnclassifiedTable(PlatformError, TypeError):
    """A model does not say whether it holds tenant data, or breaks the rules of what it says."""


class MigrationFailed(PlatformError):
    """The schema could not be brought to its newest revision."""


class DatabaseRefused(PlatformError):
    """The database refused a statement for a reason that has no type of its own."""


class TenantRefused(DatabaseRefused):
    """No valid ticket or grant, a row of another tenant, or a privilege the login lacks (42501)."""


class Conflict(DatabaseRefused):
    """A row with this key exists already (23505)."""


class UnknownReference(DatabaseRefused):
    """A row points at a row that this tenant does not have (23503)."""


class InvalidValue(DatabaseRefused):
    """A value does not fit its column: type, range, NULL or CHECK (class 22, 23502, 23514)."""


class Busy(DatabaseRefused):
    """A deadline passed or a deadlock was resolved; the same call may be retried."""


class DatabaseUnreachable(DatabaseRefused):
    """The database is gone or the connection broke; nothing is known to be committed."""


class _Mapping:
    """SQLSTATE to type and sentence: the exact code first, then its two-letter class."""

    exact: ClassVar[dict[str, tuple[type[DatabaseRefused], str]]] = {
        "42501": (TenantRefused, "refused by row security or privileges"),
        "23505": (Conflict, "a row with this key exists already"),
        "23503": (UnknownReference, "the row it refers to does not exist for this tenant"),
        "23502": (InvalidValue, "a required column is missing"),
        "23514": (InvalidValue, "a value is outside what its column allows"),
        "55P03": (Busy, "a lock was not granted in time; retry"),
        "57014": (Busy, "the statement ran past its deadline"),
        "40001": (Busy, "a concurrent change won; retry"),
        "40P01": (Busy, "a deadlock was resolved; retry"),
        "57P01": (DatabaseUnreachable, "the server ended the connection"),
        "25P03": (DatabaseUnreachable, "the transaction idled past its deadline"),
    }
    by_class: ClassVar[dict[str, tuple[type[DatabaseRefused], str]]] = {
        "22": (InvalidValue, "a value does not fit its column"),
        "08": (DatabaseUnreachable, "the connection broke"),
        "57": (DatabaseUnreachable, "the server is shutting down or starting"),
        "28": (DatabaseUnreachable, "the server refused the login"),
    }

    @classmethod
    def find(cls, sqlstate: str) -> tuple[type[DatabaseRefused], str]:
        """The type and the sentence for one SQLSTATE."""
        fallback = (DatabaseRefused, "the database refused the statement")
        return cls.exact.get(sqlstate) or cls.by_class.get(sqlstate[:2], fallback)


def from_database(error: SQLAlchemyError) -> PlatformError:
    """The platform's error for a database's; the original stays reachable as `__cause__` only.

    Errors that SQLAlchemy raises by itself (a misused session, a row that is not there) carry no
    SQLSTATE and say what they are by their class name.
    """
    sqlstate = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    if sqlstate is None:
        return _without_sqlstate(error)
    kind, sentence = _Mapping.find(sqlstate)
    return kind(f"{sentence} (SQLSTATE {sqlstate})", sqlstate=sqlstate)


def _without_sqlstate(error: SQLAlchemyError) -> PlatformError:
    """What the driver or SQLAlchemy refused by itself, before or instead of the server."""
    if isinstance(error, OperationalError | InterfaceError):
        return DatabaseUnreachable("the database did not answer")
    if isinstance(error, DataError):
        return InvalidValue("a value does not fit its column")
    if isinstance(error, PoolTimeout):
        return Busy("every connection of the pool is in use; retry, or give the pool more")
    return DatabaseRefused(f"the session refused the call ({type(error).__name__})")


class _Translated:
    """A context without state of its own: it stands round every statement, so it must cost nothing."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SQLAlchemyError):
            raise from_database(error) from error


_TRANSLATED: Final = _Translated()


def translated() -> _Translated:
    """Turn what SQLAlchemy raises inside the block into the platform's own family."""
    return _TRANSLATED
