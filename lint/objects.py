"""What a database holds beside its tables: views, functions, roles, grants, settings, publications.

`lint.catalogue` gathers them; names are PostgreSQL's (manual, chapter 53), "schema.name" where a
schema is part of the name. What a migration cannot show keeps its default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lint.catalogue import Place

Volatility = Literal["immutable", "stable", "volatile"]
GrantKind = Literal["relation", "column", "sequence", "function", "schema"]

#: The pseudo-role that every role is a member of.
PUBLIC = "public"


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
    security_barrier: bool = False
    check_option: str | None = None
    columns: tuple[str, ...] = ()
    #: Relations ("schema.name") its definition names, each once; views among them are not unfolded.
    reads: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """The name rules and reports use: "schema.name"."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Function:
    """A function or procedure: what its body says, and whose rights it runs with."""

    schema: str
    name: str
    security_definer: bool = False
    #: The value of its own SET search_path, None when it has none.
    search_path: str | None = None
    owner: str | None = None
    place: Place | None = None
    #: Types of its input arguments as PostgreSQL identifies it by, such as "uuid, text".
    arguments: str = ""
    kind: Literal["function", "procedure"] = "function"
    returns: str = ""
    returns_set: bool = False
    volatility: Volatility = "volatile"
    leakproof: bool = False
    language: str = ""
    #: Its source, or the deparsed SQL body of a function written in the SQL standard's form.
    body: str = ""
    #: Settings of its own beside search_path, as "name=value".
    settings: tuple[str, ...] = ()
    #: Roles that may execute it, PUBLIC as "public"; its owner always may and is not listed.
    executors: tuple[str, ...] = ()
    #: How many arguments a caller must give.
    required_arguments: int = 0
    #: Names of its input arguments, in order, "" for one without.
    argument_names: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """The name without arguments: "schema.name"."""
        return f"{self.schema}.{self.name}"

    @property
    def signature(self) -> str:
        """The name that tells overloads apart: "schema.name(types)"."""
        return f"{self.schema}.{self.name}({self.arguments})"

    @property
    def is_trigger(self) -> bool:
        """True when only a trigger can call it."""
        return self.returns in {"trigger", "event_trigger"}


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege, in lower case, for one role; owners' own privileges are not listed.

    `relation` names the object: a relation or sequence ("schema.name"), a function's signature, or
    a schema. `column` is set for a privilege on one column.
    """

    relation: str
    privilege: str
    grantee: str
    place: Place | None = None
    kind: GrantKind = "relation"
    column: str | None = None
    grantable: bool = False


@dataclass(frozen=True, slots=True)
class DefaultPrivilege:
    """A privilege that objects will get which `owner` creates, in `schema` or (None) anywhere."""

    owner: str
    schema: str | None
    objects: Literal["tables", "sequences", "functions", "types", "schemas", "other"]
    privilege: str
    grantee: str
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ColumnRevoke:
    """A privilege on one column that a history took away; a right to the whole table stays what it was."""

    relation: str
    column: str
    privilege: str
    grantee: str
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Role:
    """A role and the attributes that decide whether row security applies to it."""

    name: str
    superuser: bool = False
    bypass_row_security: bool = False
    login: bool = False
    place: Place | None = None
    inherit: bool = True
    create_role: bool = False
    create_database: bool = False
    replication: bool = False


@dataclass(frozen=True, slots=True)
class Membership:
    """`member` is in `role`: `inherit` gives its rights at once, `set_role` allows SET ROLE.

    Before PostgreSQL 16 `inherit` is the member's attribute and `set_role` is always true.
    """

    role: str
    member: str
    inherit: bool = True
    set_role: bool = True
    admin: bool = False
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Setting:
    """ALTER ROLE or ALTER DATABASE … SET; None means every role, or every database."""

    name: str
    value: str
    role: str | None = None
    database: str | None = None
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence; `owned_by` is "schema.table.column" where a serial or identity column has it."""

    schema: str
    name: str
    owner: str | None = None
    owned_by: str | None = None
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)

    @property
    def qualified(self) -> str:
        """The name rules and reports use: "schema.name"."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One table of a publication, with its row filter where it has one."""

    publication: str
    table: str
    row_filter: str | None = None
    all_tables: bool = False
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class DataType:
    """An enum with its labels, or a domain with its base type and checks."""

    schema: str
    name: str
    kind: Literal["enum", "domain"]
    labels: tuple[str, ...] = ()
    base: str = ""
    nullable: bool = True
    checks: tuple[str, ...] = ()
    #: Where it was written; None when a database told it. Places never make two things differ.
    place: Place | None = field(default=None, compare=False)

    @property
    def qualified(self) -> str:
        """The name rules and reports use: "schema.name"."""
        return f"{self.schema}.{self.name}"
