"""Joins in SQL text, parsed by sqlglot: which tables, which equalities hold for every row.

Only what every row must satisfy counts: an equality under OR, NOT or CASE holds nothing. Placeholders
of the same name are the same value; `%s` and `?` each stand for a value of their own.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import expressions as exp
from sqlglot.errors import SqlglotError

from lint.source.access import is_row_sql
from lint.source.equality import Equalities, Judged, judged
from lint.source.sites import HOLE
from lint.source.sql_tables import table_uses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Place, Table
    from lint.source.links import Link
    from lint.source.sites import Source, Text

_ANONYMOUS = re.compile(r"%s|\?(?!\?)")
_NAMED = re.compile(r"%\((\w+)\)s|\$(\d+)")
_LONGEST = 100_000


def sql_joins(source: Source, link: Link) -> Iterator[tuple[Place, str, Judged]]:
    """Yield (place, function, judgement) of each SQL text that joins tables of two schemas."""
    for text in source.texts:
        if len(text.value) > _LONGEST or not is_row_sql(text) or not _spans_services(text, link):
            continue
        for tree in _trees(text):
            judgement = judge_statement(tree, link)
            if judgement is not None:
                yield text.place, text.function, judgement


def _spans_services(text: Text, link: Link) -> bool:
    named = (link.table(use.table) for use in table_uses(text.value))
    return len({table.schema for table in named if table is not None}) > 1


def _trees(text: Text) -> list[exp.Expr]:
    try:
        parsed = sqlglot.parse(_with_names(text), read="postgres")
    except (SqlglotError, RecursionError, ValueError):
        return []
    return [tree for tree in parsed if tree is not None]


def _with_names(text: Text) -> str:
    """Give every placeholder a name, so that equal ones can be told."""
    numbers = count()
    holes = iter(text.holes)
    sql = _NAMED.sub(lambda m: f":p_{m[1] or m[2]}", text.value)
    sql = _ANONYMOUS.sub(lambda _: f":anonymous_{next(numbers)}", sql)
    return re.sub(
        rf"(?<=[=(,\s])'?{HOLE}'?(?![\w.])",
        lambda _: ":hole_" + re.sub(r"\W", "_", next(holes, f"{next(numbers)}")),
        sql,
    )


def judge_statement(tree: exp.Expr, link: Link) -> Judged | None:
    """Judge one parsed statement; None when it joins no protected tables of two schemas."""
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    uses: list[tuple[exp.Table, Table]] = []
    for node in tree.find_all(exp.Table):
        name = f"{node.db}.{node.name}" if node.db else node.name
        table = link.table(name) if node.db or node.name not in common else None
        if table is not None:
            uses.append((node, table))
    if len({table.schema for _, table in uses}) < 2:
        return None
    reading = _Reading(tree, {id(node): table for node, table in uses})
    return judged([(id(node), table) for node, table in uses], reading.equalities())


class _Reading:
    """What one statement holds equal."""

    def __init__(self, tree: exp.Expr, tables: dict[int, Table]) -> None:
        self.tree = tree
        self.tables = tables
        self.equal = Equalities()
        self.common = {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}

    def equalities(self) -> Equalities:
        """Return the equalities that hold for every row."""
        for node in self.tree.find_all(exp.EQ):
            if _holds(node):
                self.equal.hold(self._value(node.this), self._value(node.expression))
        for listed in self.tree.find_all(exp.In):
            self._in(listed)
        for join in self.tree.find_all(exp.Join):
            self._using(join)
        return self.equal

    def _in(self, node: exp.In) -> None:
        """`x IN (SELECT y …)` finds rows with x = y; a list of one value is that value."""
        if not _holds(node):
            return
        query = node.args.get("query")
        if query is not None:
            select = query.this if isinstance(query, exp.Subquery) else query
            wanted = node.this.expressions if isinstance(node.this, exp.Tuple) else [node.this]
            for mine, theirs in zip(wanted, getattr(select, "selects", ()), strict=False):
                self.equal.hold(self._value(mine), self._value(theirs.unalias()))
        elif len(node.expressions) == 1:
            self.equal.hold(self._value(node.this), self._value(node.expressions[0]))

    def _using(self, join: exp.Join) -> None:
        """USING and NATURAL hold columns of the same name equal."""
        names = [str(one.name) for one in join.args.get("using") or ()]
        query = join.parent
        if query is None or not (names or join.args.get("method") == "NATURAL"):
            return
        sources = _sources(query)
        natural = {t.tenant_column for t in self.tables.values() if t.tenant_column}
        for name in names or natural:
            for one in sources:
                self.equal.hold(self._column(one, name), self._column(join.this, name))

    def _value(self, node: exp.Expr) -> object:
        node = node.unnest()
        while isinstance(node, exp.Cast):
            node = node.this.unnest()
        if not isinstance(node, exp.Column):
            return "value", node.sql("postgres")
        return self._resolved(node)

    def _resolved(self, column: exp.Column) -> object:
        """Return the column of the table instance it names, looking outwards for the name."""
        query = column.parent_select or column.find_ancestor(exp.Update, exp.Delete, exp.Merge)
        while query is not None:
            for source in _sources(query):
                if column.table:
                    if column.table == source.alias_or_name:
                        return self._column(source, column.name)
                elif self._has(source, column.name):
                    return self._column(source, column.name)
            query = query.find_ancestor(exp.Select, exp.Update, exp.Delete, exp.Merge)
        return "unknown", id(column)

    def _has(self, source: exp.Expr, name: str) -> bool:
        table = self.tables.get(id(source))
        return table is not None and table.column(name) is not None

    def _column(self, source: exp.Expr, name: str) -> object:
        """Return the column behind a name of a source, through subqueries and CTEs."""
        for _ in range(5):
            inner = source.this if isinstance(source, exp.Subquery) else None
            if isinstance(source, exp.Table) and not source.db:
                inner = self.common.get(source.name)
            selected = _selected(inner, name) if isinstance(inner, exp.Select) else None
            if selected is None:
                return id(source), name
            return self._value(selected)
        return id(source), name


def _selected(query: exp.Select, name: str) -> exp.Expr | None:
    return next((one.unalias() for one in query.selects if one.alias_or_name == name), None)


def _sources(query: exp.Expr) -> list[exp.Expr]:
    """Return the tables and subqueries in a query's FROM, USING and joins, its target included."""
    found: list[exp.Expr] = []
    target = query.this if not isinstance(query, exp.Select) else None
    listed = query.args.get("from_") or query.args.get("from")
    using = query.args.get("using")
    for one in (
        target,
        listed.this if listed is not None else None,
        *(using if isinstance(using, list) else [using]),
    ):
        if isinstance(one, (exp.Table, exp.Subquery)):
            found.append(one)
            found.extend(join.this for join in one.args.get("joins") or ())
    found.extend(join.this for join in query.args.get("joins") or ())
    found.extend(one.this for one in query.args.get("laterals") or ())
    return [one for one in found if isinstance(one, (exp.Table, exp.Subquery))]


def _holds(node: exp.Expr) -> bool:
    """Say whether every row must satisfy a condition: nothing but AND stands around it."""
    above = node.parent
    while above is not None and not isinstance(above, (exp.Where, exp.Join, exp.Merge)):
        if not isinstance(above, (exp.And, exp.Paren)):
            return False
        above = above.parent
    return above is not None
