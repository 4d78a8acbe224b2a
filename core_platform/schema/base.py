"""The declarative base that refuses to map a table nobody has classified.

Every table is tenant data (`TenantOwned`), global or infrastructure, the last two with a reason. A
tenant table declares its row security on the model; the migrations emit it and a test compares it
with the catalog. Key rules follow PostgreSQL: unique and foreign keys are checked behind row
security, so a key that does not begin with `tenant_id` tells one tenant about another's rows.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy import DateTime, Double, ForeignKeyConstraint, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core_platform.errors import UnclassifiedTable

SCHEMAS: Final = (
    "identity",
    "integration",
    "gpu",
    "ai",
    "actions",
    "audit",
    "events",
    "lifecycle",
    "app",
)

#: What the catalog says of a tenant table, so that an auditor needs no access to the source.
TENANT_COMMENT: Final = "tenant: each row belongs to the tenant that it names"

NAMING: Final = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
}


@dataclass(frozen=True, slots=True)
class RowSecurity:
    """The commands that each login role is granted on one tenant table, under its own policy."""

    app: tuple[str, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE")
    bypass: tuple[str, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE")


#: Rows can be added and read. The table has the trigger `append_only` besides, which binds owners too.
APPEND_ONLY: Final = RowSecurity(app=("SELECT", "INSERT"), bypass=("SELECT", "INSERT"))


@dataclass(frozen=True, slots=True)
class Global:
    """The table holds no tenant's data; `reason` says what it holds instead."""

    reason: str


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """The table belongs to the machinery of tenancy itself; `reason` says to which part."""

    reason: str


Classification = RowSecurity | Global | Infrastructure


class TenantOwned:
    """Mixin of every table that holds tenant data: the key's first column, and its row security."""

    __row_security__: ClassVar[RowSecurity] = RowSecurity()

    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, sort_order=-100)


class Base(DeclarativeBase):
    """Root of the models. Mapping a table without a classification raises `UnclassifiedTable`."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {
        str: Text(),
        float: Double(),
        datetime: DateTime(timezone=True),
    }

    __unscoped__: ClassVar[Global | Infrastructure | None] = None

    def __init_subclass__(cls, **kw: object) -> None:
        _refuse_unclassified(cls)
        super().__init_subclass__(**kw)
        table = cls.__dict__.get("__table__")
        if isinstance(table, Table):
            _refuse_unsafe(cls, table)
            table.comment = TENANT_COMMENT if issubclass(cls, TenantOwned) else _comment(cls.__unscoped__)


def _comment(unscoped: Global | Infrastructure | None) -> str | None:
    """What the catalog says of a table without tenants: its class and the reason."""
    return None if unscoped is None else f"{type(unscoped).__name__.lower()}: {unscoped.reason}"


def _refuse_unclassified(model: type[Base]) -> None:
    owned = issubclass(model, TenantOwned)
    unscoped = model.__unscoped__
    if owned and unscoped is not None:
        raise UnclassifiedTable(f"{model.__name__} is both tenant data and {unscoped}: choose one")
    if owned or (unscoped is not None and unscoped.reason.strip()):
        return
    raise UnclassifiedTable(
        f"{model.__name__} is not classified: inherit TenantOwned, or set __unscoped__ to "
        "Global(reason) or Infrastructure(reason)"
    )


def _refuse_unsafe(model: type[Base], table: Table) -> None:
    try:
        if issubclass(model, TenantOwned):
            refuse_tenantless_keys(table)
        else:
            _refuse_tenant(table)
    except UnclassifiedTable:
        Base.metadata.remove(table)
        raise


def _refuse_tenant(table: Table) -> None:
    if "tenant_id" in table.columns:
        raise UnclassifiedTable(f"{table.fullname} has a tenant_id: inherit TenantOwned")


def refuse_tenantless_keys(table: Table) -> None:
    """Raise `UnclassifiedTable` unless every key of a tenant table begins with `tenant_id`.

    Also refused: a foreign key whose deletion would set the tenant to NULL or to a default.
    """
    for name, columns in _keys(table):
        if not columns or columns[0] != "tenant_id":
            raise UnclassifiedTable(f"{table.fullname}: {name} must begin with tenant_id")
    for key in table.foreign_key_constraints:
        if (key.ondelete or "").upper().startswith("SET"):
            raise UnclassifiedTable(f"{table.fullname}: ON DELETE {key.ondelete} hits tenant_id")


def _keys(table: Table) -> list[tuple[str, list[str]]]:
    found = [("the primary key", [column.name for column in table.primary_key])]
    found += [
        (type(constraint).__name__, [column.name for column in constraint.columns])
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint | ForeignKeyConstraint)
    ]
    found += [
        (f"unique index {index.name}", [column.name for column in index.columns])
        for index in table.indexes
        if index.unique
    ]
    return found


def of_tenant() -> ForeignKeyConstraint:
    """The foreign key that ties a tenant table to `identity.tenant`."""
    return ForeignKeyConstraint(["tenant_id"], ["identity.tenant.tenant_id"])


def within_tenant(column: str, target: str) -> ForeignKeyConstraint:
    """A foreign key to `schema.table.column` that cannot cross tenants."""
    table, _, remote = target.rpartition(".")
    return ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.{remote}"])


def declared() -> dict[str, Classification]:
    """Every mapped table (`schema.name`) with what it was declared to be."""
    return {
        str(mapper.local_table): (
            mapper.class_.__row_security__
            if issubclass(mapper.class_, TenantOwned)
            else mapper.class_.__unscoped__
        )
        for mapper in Base.registry.mappers
        if str(mapper.local_table) in Base.metadata.tables
    }
