"""The one model of schemas, tables, policies, views and grants that every rule reads.

`lint.history` fills it from migrations and `lint.live` from a database; a rule never knows which.
Names are PostgreSQL's (`pg_class`, `pg_policy`); a `Place` says where a person can look.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Command = Literal["all", "select", "insert", "update", "delete"]
RowSecurity = Literal["forced", "enabled", "none"]

DEFAULT_SCHEMA = "public"
_FOLDED = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_PROVIDER_COLUMNS = frozenset({"accesstoken", "oauthname", "provideraccountid"})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written: path relative to the linted root, 1-based line and column."""

    path: str
    line: int = 1
    column: int = 1
    end_line: int = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type as written, and whether NULL may be stored."""

    name: str
    type: str = ""
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key, unique constraint or index over columns, in order."""

    columns: tuple[str, ...]
    kind: Literal["primary", "unique", "index"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference from columns of this table to columns of `target` ("schema.name")."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...] = ()
    on_delete: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A row security policy; `using` and `check` are expressions as written, None when absent."""

    name: str
    permissive: bool = True
    command: Command = "all"
    roles: tuple[str, ...] = ("public",)
    using: str | None = None
    check: str | None = None
    place: Place | None = None
    #: True when a project's own operation made it, so that no expression can be read.
    opaque: bool = False

    def clauses(self) -> Iterator[tuple[str, str]]:
        """Yield ("USING" or "WITH CHECK", expression) for each clause that was written."""
        if self.using is not None:
            yield "USING", self.using
        if self.check is not None:
            yield "WITH CHECK", self.check


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `known` is False when only ALTER or CREATE POLICY mentioned it (no baseline)."""

    schema: str
    name: str
    columns: tuple[Column, ...] = ()
    tenant_column: str | None = None
    enabled: bool = False
    forced: bool = False
    policies: tuple[Policy, ...] = ()
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    owner: str | None = None
    #: "schema.name" of the partitioned table this one is a partition of.
    parent: str | None = None
    known: bool = True
    place: Place | None = None
    #: Where row security was last switched on, off, or forced.
    security_place: Place | None = None
    wave: int | None = None

    @property
    def qualified(self) -> str:
        """The name rules and reports use: "schema.name"."""
        return f"{self.schema}.{self.name}"

    @property
    def written(self) -> str:
        """The name as SQL writes it, quoted where PostgreSQL would fold it otherwise."""
        return ".".join(
            part if _FOLDED.match(part) else '"' + part.replace('"', '""') + '"'
            for part in (self.schema, self.name)
        )

    @property
    def row_security(self) -> RowSecurity:
        """What `pg_class` would say; FORCE without ENABLE protects nothing, so it is "none"."""
        if not self.enabled:
            return "none"
        return "forced" if self.forced else "enabled"

    @property
    def permissive(self) -> tuple[Policy, ...]:
        """The policies that can let a row through (restrictive ones only take away)."""
        return tuple(policy for policy in self.policies if policy.permissive)

    @property
    def enforced(self) -> bool:
        """ENABLE, FORCE and at least one permissive policy: what the coverage figure counts."""
        return self.enabled and self.forced and bool(self.permissive)

    def column(self, name: str) -> Column | None:
        """Return the column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def policy(self, name: str) -> Policy | None:
        """Return the policy of that name, or None."""
        return next((policy for policy in self.policies if policy.name == name), None)


@dataclass(frozen=True, slots=True)
class View:
    """A view or materialized view; `security_invoker` makes it read with its caller's rights."""

    schema: str
    name: str
    definition: str = ""
    materialized: bool = False
    security_invoker: bool = False
    owner: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A function or procedure, as far as it decides whose rights its body runs with."""

    schema: str
    name: str
    security_definer: bool = False
    search_path: str | None = None
    owner: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege on one relation ("schema.name") for one role."""

    relation: str
    privilege: str
    grantee: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A role and the two attributes that make row security not apply to it."""

    name: str
    superuser: bool = False
    bypass_row_security: bool = False
    login: bool = False
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything known about one database at one moment, by "schema.name" or role name."""

    source: str
    tables: Mapping[str, Table] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()

    def table(self, name: str) -> Table | None:
        """Return a table by "schema.name", or by bare name in the default schema."""
        return self.tables.get(name) or self.tables.get(f"{DEFAULT_SCHEMA}.{name}")

    def tenant_tables(self) -> tuple[Table, ...]:
        """Return the tables holding tenant rows, partitions left to their parent, by name."""
        found = (t for t in self.tables.values() if t.tenant_column and t.known and not t.parent)
        return tuple(sorted(found, key=lambda table: table.qualified))

    def grants_on(self, name: str) -> tuple[Grant, ...]:
        """Return the grants on one relation."""
        return tuple(grant for grant in self.grants if grant.relation == name)


def tenant_column_of(columns: Iterable[Column], names: Iterable[str]) -> str | None:
    """Return the first of `names` (in order of preference) that is a column, or None.

    `tenantId` is the same name as `tenant_id`. `account_id` beside a provider's tokens is the
    user's account there, not a tenant.
    """
    present = {_spelled(column.name): column.name for column in columns}
    if not _PROVIDER_COLUMNS.isdisjoint(present):
        present.pop("accountid", None)
    found = (present[_spelled(name)] for name in names if _spelled(name) in present)
    return next(found, None)


def _spelled(name: str) -> str:
    return name.replace("_", "").lower()


def with_tenant_columns(catalogue: Catalogue, names: Iterable[str]) -> Catalogue:
    """Return the catalogue with each table's tenant column found among `names`."""
    order = tuple(names)
    tables = {
        key: replace(table, tenant_column=tenant_column_of(table.columns, order))
        for key, table in catalogue.tables.items()
    }
    return replace(catalogue, tables=tables)
