"""The one model of schemas, tables, policies, views and grants that every rule reads.

`lint.history` fills it from migrations and `lint.live` from a database; a rule never knows which.
Names are PostgreSQL's (`pg_class`, `pg_policy`); a `Place` says where a person can look.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from lint.objects import (
    PUBLIC,
    ColumnRevoke,
    DataType,
    DefaultPrivilege,
    Function,
    Grant,
    Membership,
    PublishedTable,
    Role,
    Sequence,
    Setting,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "DEFAULT_SCHEMA",
    "PUBLIC",
    "Catalogue",
    "Column",
    "ColumnRevoke",
    "Command",
    "Constraint",
    "DataType",
    "DefaultPrivilege",
    "ForeignKey",
    "Function",
    "Grant",
    "Key",
    "Membership",
    "Place",
    "Policy",
    "PublishedTable",
    "RewriteRule",
    "Role",
    "RowSecurity",
    "Sequence",
    "Setting",
    "Table",
    "TableKind",
    "Trigger",
    "View",
    "spelled",
    "tenant_column_of",
    "with_tenant_columns",
    "written_name",
]

Command = Literal["all", "select", "insert", "update", "delete"]
RowSecurity = Literal["forced", "enabled", "none"]
TableKind = Literal["table", "partitioned", "foreign"]
Persistence = Literal["permanent", "unlogged", "temporary"]

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
    #: The default's expression; of a generated column, the expression that computes it.
    default: str | None = None
    generated: bool = False
    identity: Literal["always", "by default"] | None = None
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key, unique constraint or index over columns, in order.

    `columns` leaves out expressions; `parts` has every key part as PostgreSQL deparses it, where
    the catalogue came from a database.
    """

    columns: tuple[str, ...]
    kind: Literal["primary", "unique", "index"]
    name: str = ""
    parts: tuple[str, ...] = ()
    method: str = "btree"
    operator_classes: tuple[str, ...] = ()
    #: The WHERE of a partial index.
    predicate: str | None = None
    valid: bool = True
    nulls_distinct: bool = True
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)

    @property
    def leading(self) -> str | None:
        """The first key part, None when it is not known."""
        return next(iter(self.parts or self.columns), None)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference from columns of this table to columns of `target` ("schema.name")."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...] = ()
    on_delete: str = ""
    name: str = ""
    on_update: str = ""
    #: The columns that ON DELETE SET NULL or SET DEFAULT (…) names; empty means all of `columns`.
    set_columns: tuple[str, ...] = ()
    match_full: bool = False
    deferrable: bool = False
    validated: bool = True
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A check or exclusion constraint, as PostgreSQL deparses it; columns it names."""

    name: str
    kind: Literal["check", "exclusion"]
    definition: str
    columns: tuple[str, ...] = ()
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger made by a user: which function ("schema.name") runs on which events."""

    name: str
    function: str
    timing: Literal["before", "after", "instead of"] = "after"
    #: Of "insert", "update", "delete" and "truncate".
    events: tuple[str, ...] = ()
    row_level: bool = False
    enabled: bool = True
    constraint: bool = False
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RewriteRule:
    """A rule made by CREATE RULE on a table: its whole definition, and the relations it names."""

    name: str
    event: str
    definition: str
    reads: tuple[str, ...] = ()
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


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
    kind: TableKind = "table"
    persistence: Persistence = "permanent"
    #: Tables ("schema.name") it inherits from otherwise than as a partition.
    inherits: tuple[str, ...] = ()
    #: "FOR VALUES …" or "DEFAULT" of a partition.
    partition_bound: str | None = None
    #: "RANGE (…)", "LIST (…)" or "HASH (…)" of a partitioned table.
    partition_key: str | None = None
    constraints: tuple[Constraint, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[RewriteRule, ...] = ()
    comment: str | None = None
    #: True where code that could not be read (RLS090) may have made policies on it.
    half_read: bool = field(default=False, compare=False)
    #: Where code over tables that only its run knows may have dropped its policies or switched it off.
    unsure: Place | None = field(default=None, compare=False)

    @property
    def qualified(self) -> str:
        """The name rules and reports use: "schema.name"."""
        return f"{self.schema}.{self.name}"

    @property
    def written(self) -> str:
        """The name as SQL writes it, quoted where PostgreSQL would fold it otherwise."""
        return f"{written_name(self.schema)}.{written_name(self.name)}"

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
class Catalogue:
    """Everything known about one database at one moment, by "schema.name" or role name.

    Functions stand under their signature ("schema.name(types)") when a database told them, since
    it has overloads, and under "schema.name" when a history did.
    """

    source: str
    tables: Mapping[str, Table] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    memberships: tuple[Membership, ...] = ()
    settings: tuple[Setting, ...] = ()
    default_privileges: tuple[DefaultPrivilege, ...] = ()
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    publications: tuple[PublishedTable, ...] = ()
    types: Mapping[str, DataType] = field(default_factory=dict)
    #: Owner of each schema.
    schemas: Mapping[str, str] = field(default_factory=dict)
    database: str = ""
    #: `server_version_num`, such as 160014; None when no server was asked.
    server_version: int | None = None
    #: Privileges that migrations took away, as (relation, privilege, role): a platform's own grants too.
    revoked: frozenset[tuple[str, str, str]] = frozenset()
    #: Privileges on columns that migrations took away, and did not give back.
    column_revokes: tuple[ColumnRevoke, ...] = ()
    #: Grants by relation, gathered when they are first asked for.
    _on_relations: dict[str, tuple[Grant, ...]] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    def table(self, name: str) -> Table | None:
        """Return a table by "schema.name", or by bare name in the default schema."""
        return self.tables.get(name) or self.tables.get(f"{DEFAULT_SCHEMA}.{name}")

    def tenant_tables(self) -> tuple[Table, ...]:
        """Return the tables holding tenant rows, partitions left to their parent, by name."""
        found = (t for t in self.tables.values() if t.tenant_column and t.known and not t.parent)
        return tuple(sorted(found, key=lambda table: table.qualified))

    def grants_on(self, name: str) -> tuple[Grant, ...]:
        """Return the grants on one relation, those on its columns among them."""
        if not self._on_relations:
            gathered: dict[str, list[Grant]] = {}
            for grant in self.grants:
                if grant.kind in {"relation", "column"}:
                    gathered.setdefault(grant.relation, []).append(grant)
            self._on_relations.update({relation: tuple(found) for relation, found in gathered.items()})
        return self._on_relations.get(name, ())


def written_name(name: str) -> str:
    """Return an identifier as SQL writes it, quoted where PostgreSQL would fold it otherwise."""
    return name if _FOLDED.match(name) else '"' + name.replace('"', '""') + '"'


def tenant_column_of(columns: Iterable[Column], names: Iterable[str]) -> str | None:
    """Return the first of `names` (in order of preference) that is a column, or None.

    `tenantId` is the same name as `tenant_id`. `account_id` beside a provider's tokens is the
    user's account there, not a tenant.
    """
    present = {spelled(column.name): column.name for column in columns}
    if not _PROVIDER_COLUMNS.isdisjoint(present):
        present.pop("accountid", None)
    found = (present[spelled(name)] for name in names if spelled(name) in present)
    return next(found, None)


def spelled(name: str) -> str:
    """Return a name as it is compared: `tenantId` and `tenant_id` are one."""
    return name.replace("_", "").lower()


def with_tenant_columns(catalogue: Catalogue, names: Iterable[str]) -> Catalogue:
    """Return the catalogue with each table's tenant column found among `names`."""
    order = tuple(names)
    tables = {
        key: replace(table, tenant_column=tenant_column_of(table.columns, order))
        for key, table in catalogue.tables.items()
    }
    return replace(catalogue, tables=tables)
