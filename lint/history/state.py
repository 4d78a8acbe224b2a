"""The state of one database while its history is replayed, and how names are resolved in it.

What each kind of fact does to it stands in the modules `apply_…`, which register themselves with
`handles`. A name without a schema means what the search path of that moment says; a table that only
ALTER or CREATE POLICY mentions comes to be with `known=False`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lint.catalogue import DEFAULT_SCHEMA, Catalogue, ColumnRevoke, Grant, Place, Table, written_name
from lint.copying import replace
from lint.history.types import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lint.catalogue import (
        DataType,
        DefaultPrivilege,
        Function,
        Membership,
        PublishedTable,
        Role,
        Sequence,
        Setting,
        View,
    )
    from lint.history.facts import Fact, Name

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class UnreadLoss:
    """What a statement over tables known only when it runs may have taken away, and from how many."""

    place: Place
    text: str
    tables: int


#: What each kind of fact does to the state.
HANDLERS: dict[type, Callable[[Any, Any], None]] = {}
#: Words for whoever runs the migrations.
RUNNING = frozenset({"current_user", "session_user", "current_role"})
_SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})


def handles(
    kind: type[F],
) -> Callable[[Callable[[State, F], None]], Callable[[State, F], None]]:
    """Register a function as what a kind of fact does to the state."""

    def register(function: Callable[[State, F], None]) -> Callable[[State, F], None]:
        HANDLERS[kind] = function
        return function

    return register


class State:
    """Everything a history has made so far; `catalogue()` is a snapshot."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tables: dict[str, Table] = {}
        self.views: dict[str, View] = {}
        #: By signature, as in a live catalogue.
        self.functions: dict[str, Function] = {}
        self.roles: dict[str, Role] = {}
        self.grants: list[Grant] = []
        self.memberships: list[Membership] = []
        self.settings: list[Setting] = []
        self.default_privileges: list[DefaultPrivilege] = []
        self.sequences: dict[str, Sequence] = {}
        self.publications: list[PublishedTable] = []
        self.types: dict[str, DataType] = {}
        self.schemas: dict[str, str] = {}
        #: Types that extensions brought, as "schema.name".
        self.extension_types: set[str] = set()
        self.not_analysed: list[tuple[Place, str]] = []
        #: Statements that PostgreSQL refuses, by their words.
        self.refused: list[tuple[Place, str]] = []
        #: What code over unknown tables may have taken away, by file and kind; None once it is given back.
        self.unread_losses: dict[tuple[str, str], UnreadLoss | None] = {}
        #: Publications that take in every table, those made later too.
        self.whole_publications: set[str] = set()
        #: Privileges that were taken away, as (relation, privilege, role), given here or not.
        self.revoked: set[tuple[str, str, str]] = set()
        #: Privileges on columns that were taken away, as (relation, column, privilege, role).
        self.column_revokes: dict[tuple[str, str, str, str], Place] = {}
        #: Privileges that new tables do not bring along, as (schema or None, privilege, role).
        self.withheld: set[tuple[str | None, str, str]] = set()
        #: Roles ("" for unknown) whose new functions PUBLIC may not execute.
        self.closed_functions: set[str] = set()
        #: Names of the arguments of each function, by signature.
        self.argument_names: dict[str, tuple[str, ...]] = {}
        #: Who makes what is made now, None for whoever runs the migrations.
        self.role: str | None = None
        self.search_path: tuple[str, ...] = (DEFAULT_SCHEMA,)
        self.place = Place("")
        #: How many functions called each other to get here.
        self.call_depth = 0

    def apply_one(self, change: Fact) -> None:
        """Apply one fact at the place of the statement that is being applied."""
        HANDLERS[type(change)](self, change)

    def catalogue(self) -> Catalogue:
        """Return the state as it is now."""
        return Catalogue(
            self.source,
            dict(self.tables),
            dict(self.views),
            dict(self.functions),
            dict(self.roles),
            (*self.grants, *self._execute_grants()),
            tuple(self.memberships),
            tuple(self.settings),
            tuple(self.default_privileges),
            dict(self.sequences),
            (*self.publications, *self._published()),
            dict(self.types),
            dict(self.schemas),
            revoked=frozenset(self.revoked),
            column_revokes=tuple(ColumnRevoke(*key, place) for key, place in self.column_revokes.items()),
        )

    def _execute_grants(self) -> Iterator[Grant]:
        for function in self.functions.values():
            for executor in function.executors:
                yield Grant(function.signature, "execute", executor, function.place, "function")

    def _published(self) -> Iterator[PublishedTable]:
        from lint.catalogue import PublishedTable

        for publication in sorted(self.whole_publications):
            for name, table in self.tables.items():
                if table.known and table.kind != "foreign":
                    yield PublishedTable(publication, name, all_tables=True)

    # Names

    def split(self, name: Name) -> tuple[str, str]:
        """Return (schema, name) of an existing relation, or where a new one would be made."""
        if len(name) > 1:
            return name[-2], name[-1]
        bare = name[0]
        for schema in self.search_path:
            key = f"{schema}.{bare}"
            if key in self.tables or key in self.views or key in self.sequences:
                return schema, bare
        return self.creation_schema, bare

    def key(self, name: Name) -> str:
        """Return "schema.name" of an existing relation, or where a new one would be made."""
        schema, bare = self.split(name)
        return f"{schema}.{bare}"

    def new(self, name: Name) -> tuple[str, str]:
        """Return (schema, name) of what a CREATE makes."""
        return (name[-2], name[-1]) if len(name) > 1 else (self.creation_schema, name[0])

    @property
    def creation_schema(self) -> str:
        """The schema that a bare name is made in."""
        return self.search_path[0] if self.search_path else DEFAULT_SCHEMA

    def table(self, name: Name) -> Table:
        """Return a table, or one that is not known to have been made."""
        schema, bare = self.split(name)
        existing = self.tables.get(f"{schema}.{bare}")
        return existing or Table(schema, bare, known=False, place=self.place)

    def put(self, table: Table) -> None:
        """Store a table under its name."""
        self.tables[table.qualified] = table

    def reads(self, names: tuple[Name, ...]) -> tuple[str, ...]:
        """Return the relations that names mean, each once, system catalogs left out."""
        found = {self.key(name) for name in names if name[0] not in _SYSTEM_SCHEMAS}
        return tuple(sorted(key for key in found if self._is_relation(key)))

    def _is_relation(self, key: str) -> bool:
        """Say whether a name can be a user's relation: a bare `pg_…` is PostgreSQL's own."""
        return key in self.tables or key in self.views or not key.partition(".")[2].startswith("pg_")

    def type_name(self, written: str) -> str:
        """Return a type as `format_type` writes it, with the schema of one made by a user."""
        base, brackets = (written[:-2], "[]") if written.endswith("[]") else (written, "")
        base, opening, modifier = base.partition("(")
        if base in BUILT_IN or "." in base or " " in base:
            return written
        bare = base[1:-1].replace('""', '"') if base.startswith('"') else base
        for schema in self.search_path:
            key = f"{schema}.{bare}"
            if key in self.types or key in self.tables or key in self.extension_types:
                return f"{written_name(schema)}.{base}{opening}{modifier}{brackets}"
        return written

    def signature_types(self, types: str) -> str:
        """Return an argument list with every type as `format_type` writes it."""
        return ", ".join(self.type_name(one) for one in types.split(", ")) if types else ""

    def children(self, key: str) -> list[Table]:
        """Return the partitions and inheritance children of a table, directly below it."""
        return [table for table in self.tables.values() if table.parent == key or key in table.inherits]

    def family(self, table: Table) -> Iterator[Table]:
        """Yield a table and all below it, which get its columns."""
        waiting, seen = [table], {table.qualified}
        while waiting:
            one = waiting.pop()
            yield one
            for child in self.children(one.qualified):
                if child.qualified not in seen:
                    seen.add(child.qualified)
                    waiting.append(child)

    def current_role(self, name: str) -> str:
        """Return a role as named, CURRENT_USER as who runs the migrations where that is known."""
        if name in RUNNING and self.role is not None:
            return self.role
        return name

    def note(self, reason: str) -> None:
        """Record that something was not analysed, at the present place."""
        self.not_analysed.append((self.place, reason))

    def forget_relation(self, key: str) -> None:
        """Remove what hangs on a relation's name: grants, publications, owned sequences."""
        if self.grants:
            self.grants = [grant for grant in self.grants if grant.relation != key or grant.kind == "schema"]
        for revoke in [one for one in self.column_revokes if one[0] == key]:
            del self.column_revokes[revoke]
        if self.publications:
            self.publications = [one for one in self.publications if one.table != key]
        for name in [n for n, s in self.sequences.items() if s.owned_by and s.owned_by.startswith(f"{key}.")]:
            del self.sequences[name]

    def rename_relation(self, old: str, new: str) -> None:
        """Tell everything that names a relation its new name."""
        self.grants = [replace(g, relation=new) if g.relation == old else g for g in self.grants]
        self.revoked = {(new if one == old else one, what, role) for one, what, role in self.revoked}
        self.column_revokes = {
            (new if one[0] == old else one[0], *one[1:]): place for one, place in self.column_revokes.items()
        }
        self.publications = [replace(p, table=new) if p.table == old else p for p in self.publications]
        for name, sequence in self.sequences.items():
            owned = sequence.owned_by or ""
            if owned.startswith(f"{old}."):
                self.sequences[name] = replace(sequence, owned_by=new + owned[len(old) :])
        for key, view in self.views.items():
            if old in view.reads:
                reads = tuple(sorted(new if one == old else one for one in view.reads))
                self.views[key] = replace(view, reads=reads)
