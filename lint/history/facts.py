"""What one SQL statement changes in the catalogue, as data.

`lint.history.statements` reads them from tokens, `lint.history.alembic` from Alembic operations and
`lint.history.replay` applies them. Names are as written, one to three parts, folded but unresolved:
only the replay knows the search path of that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lint.history.work import Act

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint.catalogue import (
        Column,
        Constraint,
        DataType,
        ForeignKey,
        Function,
        Key,
        Policy,
        TableKind,
        Trigger,
    )
    from lint.history.sql import Statement

Name = tuple[str, ...]
Routine = tuple[Name, str | None]
#: What a GRANT names; "all …" means every such object of the schemas named, at that moment.
Objects = Literal["relation", "sequence", "function", "schema"]
Change = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Output:
    """One item of a select list: a column of that name, or `*` (of one relation's alias)."""

    name: str = ""
    star: bool = False
    of: str = ""
    #: The column it is, when it is one and no expression.
    column: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT as far as a rule reads it: its text, relations it names, names of its columns."""

    text: str
    reads: tuple[Name, ...] = ()
    outputs: tuple[Output, ...] = ()
    #: Relation by the alias that its columns are written with.
    aliases: Mapping[str, Name] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Like:
    """LIKE name in a CREATE TABLE: columns always, and what INCLUDING says."""

    name: Name
    including: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE in any of its forms; `like` and `parents` lend their columns."""

    name: Name
    columns: tuple[Column, ...] = ()
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    parent: Name | None = None
    like: tuple[Like, ...] = ()
    if_not_exists: bool = False
    constraints: tuple[Constraint, ...] = ()
    inherits: tuple[Name, ...] = ()
    bound: str | None = None
    partition_key: str | None = None
    kind: TableKind = "table"
    unlogged: bool = False
    #: The SELECT of CREATE TABLE AS and SELECT INTO.
    query: Query | None = None


@dataclass(frozen=True, slots=True)
class DropTable:
    """DROP TABLE of one name."""

    name: Name
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """CREATE SCHEMA; `owner` is AUTHORIZATION's."""

    name: str
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class InSchema:
    """What CREATE SCHEMA makes in the same statement: its bare names are that schema's."""

    name: str
    changes: tuple[Fact, ...]


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
class UnreadSecurity:
    """DISABLE, ENABLE, DROP POLICY or CREATE POLICY over a table or policy known only when it runs.

    Names have holes (`lint.history.values.HOLE`); `text` is how the statement begins.
    """

    kind: Literal["enable", "policy"]
    table: Name
    policy: str
    text: str
    gives: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement that PostgreSQL does not have, so that its file fails there."""

    statement: str


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
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class DropColumn:
    """ALTER TABLE DROP COLUMN; CASCADE takes policies and views that name it along."""

    name: Name
    column: str
    cascade: bool = False


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
class ChangeColumn:
    """ALTER COLUMN: `changes` are fields of `Column` with their new values."""

    name: Name
    column: str
    changes: Change


@dataclass(frozen=True, slots=True)
class RenameTable:
    """ALTER TABLE, VIEW or SEQUENCE RENAME TO."""

    name: Name
    to: str


@dataclass(frozen=True, slots=True)
class SetSchema:
    """ALTER TABLE, VIEW or SEQUENCE SET SCHEMA."""

    name: Name
    schema: str


@dataclass(frozen=True, slots=True)
class SetOwner:
    """ALTER TABLE, VIEW or SEQUENCE OWNER TO."""

    name: Name
    owner: str


@dataclass(frozen=True, slots=True)
class SetParent:
    """ATTACH PARTITION (parent given) or DETACH PARTITION (None)."""

    name: Name
    parent: Name | None
    bound: str | None = None


@dataclass(frozen=True, slots=True)
class SetInheritance:
    """ALTER TABLE INHERIT, or NO INHERIT when `stopped`."""

    name: Name
    parent: Name
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class AddConstraint:
    """ADD CONSTRAINT or CREATE INDEX.

    `index` names the index that ADD CONSTRAINT … USING INDEX makes into the one key of `keys`.
    """

    name: Name
    keys: tuple[Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    index: str | None = None
    if_not_exists: bool = False
    #: True for CREATE INDEX.
    is_index: bool = False


@dataclass(frozen=True, slots=True)
class DropConstraint:
    """ALTER TABLE DROP CONSTRAINT, by the name given or the one PostgreSQL chose."""

    name: Name
    constraint: str
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class ChangeConstraint:
    """RENAME, VALIDATE or ALTER CONSTRAINT: what is given changes."""

    name: Name
    constraint: str
    to: str | None = None
    validated: bool | None = None
    deferrable: bool | None = None


@dataclass(frozen=True, slots=True)
class DropIndex:
    """DROP INDEX of one name."""

    name: Name


@dataclass(frozen=True, slots=True)
class RenameIndex:
    """ALTER INDEX RENAME TO."""

    name: Name
    to: str


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
    query: Query | None = None
    columns: tuple[str, ...] = ()
    security_barrier: bool = False
    check_option: str | None = None
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class AlterView:
    """ALTER VIEW SET or RESET (…); None leaves an option as it is."""

    name: Name
    security_invoker: bool | None = None
    security_barrier: bool | None = None
    check_option: str | None = None


@dataclass(frozen=True, slots=True)
class DropView:
    """DROP [MATERIALIZED] VIEW of one name."""

    name: Name
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class CreateFunction:
    """CREATE FUNCTION or PROCEDURE; `function` has its name in `name` alone."""

    name: Name
    function: Function
    #: Names of the input arguments, in order, "" for one without.
    argument_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterFunction:
    """ALTER FUNCTION: fields of `Function` that change, settings made and settings reset."""

    routine: Routine
    changes: Change = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    #: Names of settings forgotten; "all" forgets every one.
    reset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DropFunction:
    """DROP FUNCTION, PROCEDURE or ROUTINE; without types it means the only one of that name."""

    routine: Routine
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class CreateTrigger:
    """CREATE [OR REPLACE] [CONSTRAINT] TRIGGER."""

    table: Name
    trigger: Trigger
    function: Name


@dataclass(frozen=True, slots=True)
class ChangeTrigger:
    """ENABLE or DISABLE TRIGGER (a name, or every one for None), or RENAME TO."""

    table: Name
    trigger: str | None
    enabled: bool | None = None
    to: str | None = None


@dataclass(frozen=True, slots=True)
class DropTrigger:
    """DROP TRIGGER."""

    table: Name
    trigger: str


@dataclass(frozen=True, slots=True)
class CreateRule:
    """CREATE [OR REPLACE] RULE."""

    table: Name
    name: str
    event: str
    definition: str
    reads: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class DropRule:
    """DROP RULE."""

    table: Name
    rule: str


@dataclass(frozen=True, slots=True)
class CreateSequence:
    """CREATE SEQUENCE; `owned_by` is (…, table, column)."""

    name: Name
    owned_by: Name | None = None


@dataclass(frozen=True, slots=True)
class OwnSequence:
    """ALTER SEQUENCE OWNED BY."""

    name: Name
    owned_by: Name | None


@dataclass(frozen=True, slots=True)
class DropSequence:
    """DROP SEQUENCE of one name."""

    name: Name


@dataclass(frozen=True, slots=True)
class CreateExtension:
    """CREATE EXTENSION, which brings types; `schema` is where, when it says so."""

    name: str
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class CreateType:
    """CREATE TYPE … AS ENUM or CREATE DOMAIN; `data_type` has its name in `name` alone."""

    name: Name
    data_type: DataType


@dataclass(frozen=True, slots=True)
class AlterType:
    """ALTER TYPE or DOMAIN: a label added (before another), renamed, a check added, a new name."""

    name: Name
    label: str | None = None
    before: str | None = None
    after: str | None = None
    renamed: tuple[str, str] | None = None
    check: str | None = None
    nullable: bool | None = None
    to: str | None = None
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class DropType:
    """DROP TYPE or DOMAIN of one name; CASCADE takes columns of that type along."""

    name: Name
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Publish:
    """CREATE, ALTER (ADD, SET, DROP TABLE) or DROP PUBLICATION."""

    publication: str
    action: Literal["create", "add", "set", "remove", "drop"]
    #: Table and its row filter.
    tables: tuple[tuple[Name, str | None], ...] = ()
    schemas: tuple[str, ...] = ()
    all_tables: bool = False


@dataclass(frozen=True, slots=True)
class CommentOn:
    """COMMENT ON TABLE; None removes it."""

    name: Name
    text: str | None


@dataclass(frozen=True, slots=True)
class GrantPrivileges:
    """GRANT, or REVOKE when `revoked`, of privileges on objects.

    A privilege on columns is (privilege, columns); "all" stands for every privilege of the kind.
    `schemas` are those of ALL … IN SCHEMA.
    """

    relations: tuple[Name, ...]
    privileges: tuple[str, ...]
    grantees: tuple[str, ...]
    revoked: bool = False
    kind: Objects = "relation"
    column_privileges: tuple[tuple[str, tuple[str, ...]], ...] = ()
    routines: tuple[Routine, ...] = ()
    schemas: tuple[str, ...] = ()
    grantable: bool = False
    #: Which kind of routine ALL … IN SCHEMA means, None for both.
    routine_kind: Literal["function", "procedure"] | None = None
    #: REVOKE GRANT OPTION FOR: the privilege itself stays.
    option_only: bool = False


@dataclass(frozen=True, slots=True)
class DefaultPrivileges:
    """ALTER DEFAULT PRIVILEGES; without owners it is for whoever runs the migration."""

    objects: Literal["tables", "sequences", "functions", "types", "schemas", "other"]
    privileges: tuple[str, ...]
    grantees: tuple[str, ...]
    owners: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class AlterRole:
    """CREATE or ALTER ROLE with attributes; None leaves one as it is."""

    name: str
    superuser: bool | None = None
    bypass_row_security: bool | None = None
    login: bool | None = None
    inherit: bool | None = None
    create_role: bool | None = None
    create_database: bool | None = None
    replication: bool | None = None
    created: bool = False


@dataclass(frozen=True, slots=True)
class RenameRole:
    """ALTER ROLE RENAME TO."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class DropRole:
    """DROP ROLE of one name."""

    name: str


@dataclass(frozen=True, slots=True)
class GrantRoles:
    """GRANT role TO member, REVOKE when `revoked`; None leaves an option as it is."""

    roles: tuple[str, ...]
    members: tuple[str, ...]
    revoked: bool = False
    inherit: bool | None = None
    set_role: bool | None = None
    admin: bool | None = None
    #: REVOKE ADMIN OPTION FOR: the membership itself stays.
    option_only: bool = False


@dataclass(frozen=True, slots=True)
class ReassignOwned:
    """REASSIGN OWNED BY roles TO another, DROP OWNED BY roles when `to` is None."""

    roles: tuple[str, ...]
    to: str | None


@dataclass(frozen=True, slots=True)
class ChangeSetting:
    """ALTER ROLE or DATABASE SET (a value) or RESET (None, and every setting for name "all")."""

    name: str
    value: str | None
    role: str | None = None
    database: str | None = None


@dataclass(frozen=True, slots=True)
class SetOwnerOf:
    """OWNER TO of a schema or a type."""

    kind: Literal["schema", "type"]
    name: Name
    owner: str


@dataclass(frozen=True, slots=True)
class SetSessionRole:
    """SET ROLE or SET SESSION AUTHORIZATION; None is RESET: whoever connected."""

    role: str | None


@dataclass(frozen=True, slots=True)
class SetSearchPath:
    """SET search_path, which decides what a bare name means from here on."""

    schemas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunBlock:
    """A DO block, run against the catalogue of that moment; its body is None when it is no literal."""

    body: str | None
    read: Callable[[Statement], list[Fact]]


@dataclass(frozen=True, slots=True)
class RunFunction:
    """SELECT or CALL of one function with literal arguments (None where not a literal)."""

    name: Name
    arguments: tuple[str | tuple[str, ...] | None, ...]
    read: Callable[[Statement], list[Fact]]
    #: True when its arguments come from a query, so that it may run for any number of rows.
    from_query: bool = False


@dataclass(frozen=True, slots=True)
class NotAnalysed:
    """Something that may change the schema and could not be read, with the reason."""

    reason: str


Fact = (
    CreateTable
    | DropTable
    | CreateSchema
    | InSchema
    | DropSchema
    | RenameSchema
    | RowSecurityChange
    | UnreadSecurity
    | Refused
    | TenantSecurity
    | AddColumn
    | DropColumn
    | RenameColumn
    | SetNullable
    | ChangeColumn
    | RenameTable
    | SetSchema
    | SetOwner
    | SetParent
    | SetInheritance
    | AddConstraint
    | DropConstraint
    | ChangeConstraint
    | DropIndex
    | RenameIndex
    | CreatePolicy
    | AlterPolicy
    | RenamePolicy
    | DropPolicy
    | CreateView
    | AlterView
    | DropView
    | CreateFunction
    | AlterFunction
    | DropFunction
    | CreateTrigger
    | ChangeTrigger
    | DropTrigger
    | CreateRule
    | DropRule
    | CreateSequence
    | OwnSequence
    | DropSequence
    | CreateExtension
    | CreateType
    | AlterType
    | DropType
    | Publish
    | CommentOn
    | GrantPrivileges
    | DefaultPrivileges
    | AlterRole
    | RenameRole
    | DropRole
    | GrantRoles
    | ReassignOwned
    | ChangeSetting
    | SetOwnerOf
    | SetSessionRole
    | SetSearchPath
    | RunBlock
    | RunFunction
    | NotAnalysed
    | Act
)
