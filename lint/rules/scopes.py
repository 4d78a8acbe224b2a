"""What a column name in a policy's sub-select means.

PostgreSQL looks a bare name up in the innermost query first. When both the inner table and the
protected one have the column, the inner one wins in silence: the classic faulty membership policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.catalogue import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue, Table

#: Columns of tables that a hosted platform creates, so that no migration shows them.
_PLATFORM_TABLES = {
    "storage.objects": (
        "id",
        "bucket_id",
        "name",
        "owner",
        "owner_id",
        "created_at",
        "updated_at",
        "last_accessed_at",
        "metadata",
        "path_tokens",
        "version",
        "user_metadata",
    ),
    "storage.buckets": ("id", "name", "owner", "owner_id", "public", "created_at", "updated_at"),
}
#: Words without parentheses that a parser may take for a column.
_NOT_COLUMNS = frozenset(
    {"current_user", "session_user", "current_role", "user", "current_date", "current_timestamp", "localtime"}
)
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The column a name stands for: which occurrence of which relation, at which depth (0 outside)."""

    relation: str
    column: str
    depth: int
    nullable: bool

    def same_as(self, other: Meaning) -> bool:
        """Say whether two names are one column of one row."""
        return (self.relation, self.column, self.depth) == (
            other.relation,
            other.column,
            other.depth,
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """The relations visible at one depth of nesting, by the name they are called there."""

    relations: dict[str, tuple[Column, ...] | None]
    catalogue: Catalogue
    outer: Scope | None = None

    @classmethod
    def of_table(cls, table: Table, catalogue: Catalogue) -> Scope:
        """Return the outermost scope: the protected row."""
        return cls({table.name: columns_of(table.qualified, catalogue)}, catalogue)

    @property
    def depth(self) -> int:
        """How many queries enclose this one."""
        return 0 if self.outer is None else self.outer.depth + 1

    def within(self, select: exp.Select) -> Scope:
        """Return the scope inside a sub-select of this one."""
        relations: dict[str, tuple[Column, ...] | None] = {}
        for source in _sources(select):
            relations[source.alias_or_name] = (
                columns_of(_qualified(source), self.catalogue) if isinstance(source, exp.Table) else None
            )
        return Scope(relations, self.catalogue, self)


def _sources(select: exp.Select) -> Iterator[exp.Expr]:
    origin = select.args.get("from_") or select.args.get("from")
    if origin is not None:
        yield origin.this
    for join in select.args.get("joins") or ():
        yield join.this


def _qualified(table: exp.Table) -> str:
    return f"{table.db}.{table.name}" if table.db else table.name


def columns_of(name: str, catalogue: Catalogue) -> tuple[Column, ...] | None:
    """Return the columns of a relation, None when they are not known."""
    table = catalogue.table(name)
    if table is not None and table.known:
        return table.columns
    platform = _PLATFORM_TABLES.get(name)
    return tuple(Column(column) for column in platform) if platform else None


def _column_name(column: exp.Column) -> str:
    identifier = column.this
    quoted = isinstance(identifier, exp.Identifier) and identifier.quoted
    return column.name if quoted else column.name.lower()


def resolve(column: exp.Column, scope: Scope) -> Meaning | None:
    """Return what a column name means in a scope, None when that cannot be known."""
    name = _column_name(column)
    at: Scope | None = scope
    while at is not None:
        if column.table:
            if column.table in at.relations:
                return _meaning(column.table, name, at)
        else:
            owners = [rel for rel, cols in at.relations.items() if cols and _has(cols, name)]
            if len(owners) == 1:
                return _meaning(owners[0], name, at)
            if at.outer is None:
                return _of_the_protected_row(name, at)
            if owners or any(cols is None for cols in at.relations.values()):
                return None
        at = at.outer
    return None


def _of_the_protected_row(name: str, scope: Scope) -> Meaning | None:
    """Return a name that no query has: a history may not show every column of the protected table."""
    relation = next(iter(scope.relations))
    known = scope.catalogue.server_version is not None
    return None if known or name in _NOT_COLUMNS else _meaning(relation, name, scope)


def _has(columns: tuple[Column, ...], name: str) -> bool:
    return any(column.name == name for column in columns)


def _meaning(relation: str, name: str, scope: Scope) -> Meaning:
    known = scope.relations[relation] or ()
    nullable = next((column.nullable for column in known if column.name == name), True)
    return Meaning(relation, name, scope.depth, nullable)


def captured_test(tree: exp.Expr, scope: Scope) -> tuple[str, str] | None:
    """Return (column, inner relation) of a name that an inner table took from the protected row.

    It is reported when a comparison has become the inner row compared with itself, or when an
    EXISTS is left without any reference to the protected row.
    """
    for select, inner in _selects(tree, scope):
        for comparison in _own(select, _COMPARISONS):
            captured = _self_comparison(comparison, inner)
            if captured is not None:
                return captured
    for exists in _outermost_exists(tree):
        captured = _detached(exists, scope)
        if captured is not None:
            return captured
    return None


def columns_with_meaning(tree: exp.Expr, scope: Scope) -> Iterator[tuple[exp.Column, Meaning | None]]:
    """Yield every column name of an expression, those of its sub-selects too, with what it means."""
    for column in _own(tree, (exp.Column,)):
        if isinstance(column, exp.Column):
            yield column, resolve(column, scope)
    for select, inner in _selects(tree, scope):
        for column in _own(select, (exp.Column,)):
            if isinstance(column, exp.Column):
                yield column, resolve(column, inner)


def _selects(tree: exp.Expr, scope: Scope) -> Iterator[tuple[exp.Select, Scope]]:
    """Yield every sub-select of an expression with the scope inside it."""
    for select in _own(tree, (exp.Select,)):
        if not isinstance(select, exp.Select):
            continue
        inner = scope.within(select)
        yield select, inner
        for child in select.iter_expressions():
            yield from _selects(child, inner)


def _own(tree: exp.Expr, kinds: tuple[type[exp.Expr], ...]) -> Iterator[exp.Expr]:
    """Yield nodes of some kinds in a query, without entering the queries nested in it."""
    stack: list[exp.Expr] = [tree]
    if isinstance(tree, exp.Select):
        stack = list(tree.iter_expressions())
    while stack:
        node = stack.pop()
        if isinstance(node, kinds):
            yield node
        if not isinstance(node, exp.Select):
            stack.extend(node.iter_expressions())


def _self_comparison(comparison: exp.Expr, scope: Scope) -> tuple[str, str] | None:
    left, right = _unwrapped(comparison.this), _unwrapped(comparison.expression)
    if not (isinstance(left, exp.Column) and isinstance(right, exp.Column)):
        return None
    first, second = resolve(left, scope), resolve(right, scope)
    if first is None or second is None or not first.same_as(second) or first.depth == 0:
        return None
    return first.column, first.relation


def _unwrapped(node: exp.Expr) -> exp.Expr:
    while isinstance(node, (exp.Paren, exp.Cast)):
        node = node.this
    return node


def _outermost_exists(tree: exp.Expr) -> Iterator[exp.Exists]:
    for node in _own(tree, (exp.Exists,)):
        if isinstance(node, exp.Exists):
            yield node


def _detached(exists: exp.Exists, scope: Scope) -> tuple[str, str] | None:
    """Return the captured name of an EXISTS in which every column is some inner table's."""
    suspects: list[Meaning] = []
    for select, inner in _selects(exists, scope):
        for column in _own(select, (exp.Column,)):
            meaning = resolve(column, inner) if isinstance(column, exp.Column) else None
            if meaning is None or meaning.depth == 0:
                return None
            crossing = meaning.depth < inner.depth
            maybe_bare = not column.args.get("table") or (crossing and _deparsed(scope))
            taken = maybe_bare and _also_outside(meaning.column, scope)
            if taken and _compared_with_inner(column, select, crossing=crossing):
                suspects.append(meaning)
    if not suspects:
        return None
    least = min(suspects, key=lambda meaning: meaning.depth)
    return least.column, least.relation


def _deparsed(scope: Scope) -> bool:
    """Say whether expressions come from a database, which qualifies every name as it took it."""
    return scope.catalogue.server_version is not None


def _also_outside(name: str, scope: Scope) -> bool:
    return any(columns and _has(columns, name) for columns in scope.relations.values())


def _compared_with_inner(column: exp.Expr, select: exp.Select, *, crossing: bool) -> bool:
    """Say whether a name is compared with a column of an inner table, so that it joins nothing.

    A name that crossed a query on its way out is suspect inside any expression; one of its own
    query only when it is compared with a column of that query.
    """
    node = column
    while node.parent is not None and node.parent is not select:
        parent = node.parent
        if isinstance(parent, _COMPARISONS):
            other = parent.expression if node is parent.this else parent.this
            nested = node is column and not crossing
            return any(True for _ in _own_columns(other)) and (crossing or not nested or _is_name(other))
        node = parent
    return False


def _is_name(node: exp.Expr) -> bool:
    return isinstance(_unwrapped(node), exp.Column)


def _own_columns(node: exp.Expr) -> Iterator[exp.Expr]:
    return _own(node, (exp.Column,))
