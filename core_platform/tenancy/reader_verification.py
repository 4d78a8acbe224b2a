"""Every reader twice: by the administrator with a WHERE, and by the application under row security.

The proof that enforcing row security takes no row from anyone: same function, same tenant, same count
and digest. The WHERE is added to each tenant table of each statement by SQLAlchemy
(`with_loader_criteria`), so the reader's own code runs unchanged on both sides.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from sqlalchemy import column, create_engine, event, func, select
from sqlalchemy import table as named
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, with_loader_criteria
from sqlalchemy.pool import NullPool

from core_platform.errors import translated
from core_platform.schema.base import TenantOwned
from core_platform.schema.migrations.operations import TRIAL_SETTING
from core_platform.tenancy.context import Origin, TenantContext, TenantId
from core_platform.tenancy.sessions import TenantSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import ColumnClause
    from sqlalchemy.orm import ORMExecuteState

    from core_platform.tenancy.database import PlatformDatabase

REGISTRY: Final = Path(__file__).with_name("readers.yaml")
_COLUMN_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Reader:
    """A function that reads tenant tables in a tenant's session, and what it is called with."""

    reader_id: str
    function: Callable[..., object]
    tables: tuple[str, ...]
    arguments: Mapping[str, object]

    @property
    def is_callable(self) -> bool:
        """Whether a session and the registered arguments are all that it needs."""
        try:
            inspect.signature(self.function).bind(None, **self.arguments)
        except TypeError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class ReaderComparison:
    """One reader, one tenant: what it gave under row security, and whether the WHERE gave the same."""

    reader: str
    tables: tuple[str, ...]
    tenant: str
    rows: int
    digest: str
    equal: bool


def registered_readers(registry: Path = REGISTRY) -> list[Reader]:
    """The readers of a registry that run in a tenant's session and return what they read.

    Left out are those of a bypass, which read across tenants, and functions that need more than a
    session and the registered arguments.
    """
    listed = yaml.safe_load(registry.read_text())["readers"]
    readers = [_reader(entry) for entry in listed if entry["session"] == "tenant"]
    return [reader for reader in readers if reader.is_callable]


def compare_readers(
    readers: Iterable[Reader], admin_url: str, database: PlatformDatabase, tenants: Iterable[TenantId]
) -> list[ReaderComparison]:
    """Run each reader for each tenant both ways. Nothing is kept: readers do not write."""
    tenants = tuple(tenants)
    return [_compare(reader, admin_url, database, tenant) for reader in readers for tenant in tenants]


def _reader(entry: Mapping[str, Any]) -> Reader:
    module = importlib.import_module(entry["path"].removesuffix(".py").replace("/", "."))
    function = getattr(module, entry["function"])
    return Reader(entry["id"], function, tuple(entry["tables"]), entry.get("arguments", {}))


def _compare(
    reader: Reader, admin_url: str, database: PlatformDatabase, tenant: TenantId
) -> ReaderComparison:
    run = partial(_run, reader=reader)

    def on_trial(session: TenantSession) -> tuple[int, str]:
        # Where a table is only observed yet, its policies filter for a session that asks them to.
        session.execute(select(func.set_config(TRIAL_SETTING, "on", True)))
        return run(session)

    under_policy = database.run_as_tenant(tenant, Origin.SWEEP, on_trial, actor="wave.verify")
    with_where = _with_where(admin_url, tenant, run)
    rows, digest = under_policy
    return ReaderComparison(
        reader.reader_id, reader.tables, str(tenant), rows, digest, equal=under_policy == with_where
    )


def _run(session: TenantSession, reader: Reader) -> tuple[int, str]:
    """Rows and digest of what a reader gave. A reader that lacks its argument's row gave nothing."""
    values = {name: _argument(session, value) for name, value in reader.arguments.items()}
    if any(value is None for value in values.values()):
        return 0, _digest([])
    given = reader.function(session, **values)
    items = _items(given)
    return len(items), _digest(items)


def _argument(session: TenantSession, value: object) -> object:
    """A fixed value, or the least value of `schema.table.column` that the session sees."""
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != _COLUMN_PARTS:
        return value
    wanted: ColumnClause[Any] = column(parts[2])
    tenant = session.context.tenant.uuid
    owned = select(wanted).select_from(named(parts[1], schema=parts[0]))
    return session.scalar(owned.where(column("tenant_id") == tenant).order_by(wanted).limit(1))


def _items(given: object) -> list[str]:
    if given is None:
        return []
    if isinstance(given, dict):
        return sorted(repr(item) for item in given.items())
    if isinstance(given, list | tuple | set | frozenset):
        return sorted(_stable(item) for item in given)
    return [repr(given)]


def _stable(item: object) -> str:
    return repr(sorted(map(repr, item))) if isinstance(item, set | frozenset) else repr(item)


def _digest(items: list[str]) -> str:
    return hashlib.sha256("\0".join(items).encode()).hexdigest()


def _with_where(
    admin_url: str, tenant: TenantId, run: Callable[[TenantSession], tuple[int, str]]
) -> tuple[int, str]:
    engine = create_engine(
        make_url(admin_url).set(drivername="postgresql+psycopg"), poolclass=NullPool, hide_parameters=True
    )
    context = TenantContext(tenant, Origin.SWEEP, "wave.verify")

    def add_where(state: ORMExecuteState) -> None:
        uuid = tenant.uuid
        criteria = with_loader_criteria(
            TenantOwned, lambda model: model.tenant_id == uuid, include_aliases=True
        )
        state.statement = state.statement.options(criteria)

    with translated(), Session(engine) as session:
        event.listen(session, "do_orm_execute", add_where)
        session.execute(select(func.set_config("transaction_read_only", "on", True)))
        return run(TenantSession(session, context))
