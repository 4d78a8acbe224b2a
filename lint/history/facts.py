"""What one SQL statement changes in the catalogue, as data.

`lint.history.statements` reads them from tokens, `lint.history.alembic` from Alembic operations and
`lint.history.replay` applies them. Names are as written, one to three parts, folded but unresolved:
only the replay knows the search path of that moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.history.work import Act

if TYPE_CHECKING:
    from lint.catalogue import Column, ForeignKey, Key, Policy

Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE in any of its forms; `like` and `parents` lend their columns."""

    name: Name
    columns: tuple[Column, ...] = ()
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    parent: Name | None = None
    like: tuple[Name, ...] = ()
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropTable:
    """DROP TABLE of one name."""

    name: Name


@dataclass(frozen=True, slots=True)
class DropSchema:
    """DROP SCHEMA, with everything in it."""

    name: str


@dataclass(frozen=True, slots=True)
class RenameSchema:
    """ALTER SCHEMA name RENAME TO."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class RowSecurityChange:
    """ENABLE, DISABLE, FORCE or NO FORCE; None leaves a flag as it is."""

    name: Name
    enabled: bool | None = None
    forced: bool | None = None


@dataclass(frozen=True, slots=True)
class TenantSecurity:
    """A project's own operation that enables, forces and adds policies in one go."""

    name: Name
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddColumn:
    """ALTER TABLE ADD COLUMN, with the keys written on the column."""

    name: Name
    column: Column
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()


@dataclass(frozen=True, slots=True)
class DropColumn:
    """ALTER TABLE DROP COLUMN."""

    name: Name
    column: str


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """ALTER TABLE RENAME COLUMN."""

    name: Name
    column: str
    to: str


@dataclass(frozen=True, slots=True)
class SetNullable:
    """ALTER COLUMN SET or DROP NOT NULL."""

    name: Name
    column: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class RenameTable:
    """ALTER TABLE RENAME TO."""

    name: Name
    to: str


@dataclass(frozen=True, slots=True)
class SetSchema:
    """ALTER TABLE SET SCHEMA."""

    name: Name
    schema: str


@dataclass(frozen=True, slots=True)
class SetOwner:
    """ALTER TABLE OWNER TO."""

    name: Name
    owner: str


@dataclass(frozen=True, slots=True)
class SetParent:
    """ATTACH PARTITION (parent given) or DETACH PARTITION (None)."""

    name: Name
    parent: Name | None


@dataclass(frozen=True, slots=True)
class AddConstraint:
    """ADD CONSTRAINT or CREATE INDEX, as far as it is a key or a foreign key."""

    name: Name
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()


@dataclass(frozen=True, slots=True)
class CreatePolicy:
    """CREATE POLICY."""

    table: Name
    policy: Policy
    #: True where "it exists already" passes unheard: an older policy of that name stays.
    swallowed: bool = False


@dataclass(frozen=True, slots=True)
class AlterPolicy:
    """ALTER POLICY; None keeps what was there."""

    table: Name
    policy: str
    roles: tuple[str, ...] | None = None
    using: str | None = None
    check: str | None = None


@dataclass(frozen=True, slots=True)
class RenamePolicy:
    """ALTER POLICY RENAME TO."""

    table: Name
    policy: str
    to: str


@dataclass(frozen=True, slots=True)
class DropPolicy:
    """DROP POLICY."""

    table: Name
    policy: str


@dataclass(frozen=True, slots=True)
class CreateView:
    """CREATE [OR REPLACE] [MATERIALIZED] VIEW; replacing forgets `security_invoker`."""

    name: Name
    definition: str
    materialized: bool
    security_invoker: bool


@dataclass(frozen=True, slots=True)
class AlterView:
    """ALTER VIEW SET (security_invoker = …)."""

    name: Name
    security_invoker: bool


@dataclass(frozen=True, slots=True)
class DropView:
    """DROP [MATERIALIZED] VIEW of one name."""

    name: Name


@dataclass(frozen=True, slots=True)
class CreateFunction:
    """CREATE FUNCTION or PROCEDURE, its rights only."""

    name: Name
    security_definer: bool
    search_path: str | None


@dataclass(frozen=True, slots=True)
class GrantPrivileges:
    """GRANT (or REVOKE, when `revoked`) on tables."""

    relations: tuple[Name, ...]
    privileges: tuple[str, ...]
    grantees: tuple[str, ...]
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class AlterRole:
    """CREATE or ALTER ROLE with attributes; None leaves one as it is."""

    name: str
    superuser: bool | None = None
    bypass_row_security: bool | None = None
    login: bool | None = None


@dataclass(frozen=True, slots=True)
class SetSearchPath:
    """SET search_path, which decides what a bare name means from here on."""

    schemas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotAnalysed:
    """Something that may change the schema and could not be read, with the reason."""

    reason: str


Fact = (
    CreateTable
    | DropTable
    | DropSchema
    | RenameSchema
    | RowSecurityChange
    | TenantSecurity
    | AddColumn
    | DropColumn
    | RenameColumn
    | SetNullable
    | RenameTable
    | SetSchema
    | SetOwner
    | SetParent
    | AddConstraint
    | CreatePolicy
    | AlterPolicy
    | RenamePolicy
    | DropPolicy
    | CreateView
    | AlterView
    | DropView
    | CreateFunction
    | GrantPrivileges
    | AlterRole
    | SetSearchPath
    | NotAnalysed
    | Act
)
