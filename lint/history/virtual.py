"""Queries over PostgreSQL's catalogs, answered from the catalogue a history has made so far.

Loops such as `FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'` protect whole
families of tables. Joins are nested loops; a condition that cannot be decided makes the whole
answer unknown (None). An object identifier is the object's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.history.expressions import Expressions, Value, split_words
from lint.history.lexical import fold, is_name
from lint.history.queries import output_name
from lint.history.sql import Cursor, Statement, split_commas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lint.catalogue import Table
    from lint.history.state import State

Row = dict[str, Value]
#: One row of each relation joined so far, by alias.
Joined = dict[str, Row]
MAX_ROWS = 20_000
_ENDS = ("WHERE", "GROUP", "ORDER", "LIMIT", "HAVING", "UNION", "EXCEPT", "INTERSECT", "OFFSET", "FOR")


class Virtual:
    """Answers queries; `outer` looks up what a query's own relations do not have."""

    def __init__(
        self, state: State, outer: Callable[[tuple[str, ...]], Value], *, absent: bool | None = False
    ) -> None:
        self.state = state
        self.outer = outer
        self.absent = absent

    def select(self, tokens: list[str]) -> list[Row] | None:
        """Return the rows of a query, None when they cannot be told."""
        parts = split_words(tokens, "UNION")
        found: list[Row] = []
        for part in parts:
            rows = self._one(part[1:] if part and part[0].upper() == "ALL" else part)
            if rows is None:
                return None
            found.extend(rows)
        return found

    def _one(self, tokens: list[str]) -> list[Row] | None:
        cursor = Cursor(Statement.of(tokens))
        if cursor.word() == "VALUES":
            return self._values(cursor)
        if not cursor.eat("SELECT"):
            return None
        cursor.eat("DISTINCT")
        first = cursor.at
        cursor.skip_to("FROM", *_ENDS)
        outputs = split_commas(tokens[first : cursor.at])
        joined: list[Joined] | None = [{}]
        if cursor.eat("FROM"):
            joined = self._joined(cursor)
        if joined is None:
            return None
        if cursor.eat("WHERE"):
            start = cursor.at
            cursor.skip_to(*_ENDS[1:])
            joined = self._filtered(joined, tokens[start : cursor.at])
        if joined is None or cursor.word() in {"GROUP", "LIMIT", "OFFSET", "HAVING"}:
            return None
        return [row for one in joined for row in self._outputs(outputs, one)]

    def _values(self, cursor: Cursor) -> list[Row]:
        cursor.at += 1
        found = []
        for run in split_commas(cursor.rest()):
            items = [self._expressions({}).value(item) for item in split_commas(run[1:-1])]
            found.append({f"column{n}": item for n, item in enumerate(items, 1)})
        return found

    # FROM

    def _joined(self, cursor: Cursor) -> list[Joined] | None:
        joined = self._product([{}], cursor)
        while joined is not None:
            if cursor.eat(",") or cursor.eat("CROSS", "JOIN"):
                joined = self._product(joined, cursor)
                continue
            if not (cursor.eat("INNER", "JOIN") or cursor.eat("JOIN")):
                return None if cursor.word() in {"LEFT", "RIGHT", "FULL", "NATURAL"} else joined
            joined = self._product(joined, cursor)
            if joined is None or not cursor.eat("ON"):
                return None
            start = cursor.at
            cursor.skip_to("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", *_ENDS)
            joined = self._filtered(joined, cursor.texts[start : cursor.at])
        return joined

    def _product(self, joined: list[Joined], cursor: Cursor) -> list[Joined] | None:
        relation = self._relation(cursor)
        if relation is None:
            return None
        alias, rows = relation
        if len(joined) * len(rows) > MAX_ROWS:
            return None
        return [{**one, alias: row} for one in joined for row in rows]

    def _relation(self, cursor: Cursor) -> tuple[str, list[Row]] | None:
        """Read one item of FROM and return its alias and rows."""
        cursor.eat("LATERAL")
        rows: list[Row] | None
        if cursor.word() == "(":
            first = cursor.at
            cursor.skip_group()
            rows, name = self.select(cursor.texts[first + 1 : cursor.at - 1]), ""
        elif cursor.word() == "UNNEST":
            first = cursor.at
            cursor.at += 1
            cursor.skip_group()
            rows, name = self._unnested(cursor.texts[first : cursor.at]), "unnest"
            cursor.eat("WITH", "ORDINALITY")
        else:
            name = cursor.name()[-1]
            make = _RELATIONS.get(name)
            rows = list(make(self.state)) if make is not None and cursor.word() != "(" else None
        if rows is None:
            return None
        return self._aliased(cursor, name, rows)

    def _aliased(self, cursor: Cursor, name: str, rows: list[Row]) -> tuple[str, list[Row]]:
        ends = {*_ENDS, "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "ON"}
        is_alias = cursor.eat("AS") or (not cursor.done and cursor.word() not in ends and _is_word(cursor))
        if not is_alias:
            return name, rows
        alias = cursor.identifier()
        if cursor.word() != "(":
            if name == "unnest":
                rows = [{alias: next(iter(row.values()), None)} for row in rows]
            return alias, rows
        names = [element.identifier() for element in cursor.elements()]
        return alias, [dict(zip(names, row.values(), strict=False)) for row in rows]

    def _unnested(self, tokens: list[str]) -> list[Row] | None:
        """Return the items of `unnest(array, …)`, one column for each array."""
        arrays = [self._expressions({}).value(run) for run in split_commas(tokens[2:-1])]
        known = [array for array in arrays if isinstance(array, tuple)]
        if len(known) != len(arrays) or not known:
            return None
        if len(known) == 1:
            return [{"unnest": item} for item in known[0]]
        return [{f"column{n}": item for n, item in enumerate(items)} for items in zip(*known, strict=False)]

    # WHERE and the select list

    def _expressions(self, joined: Joined) -> Expressions:
        def lookup(name: tuple[str, ...]) -> Value:
            if len(name) > 1 and name[-2] in joined:
                return joined[name[-2]].get(name[-1])
            found = [row[name[-1]] for row in joined.values() if name[-1] in row] if len(name) == 1 else []
            return found[0] if found else self.outer(name)

        inner = Virtual(self.state, lookup, absent=self.absent)
        return Expressions(lookup, inner.select, absent=self.absent)

    def _filtered(self, joined: list[Joined], condition: list[str]) -> list[Joined] | None:
        kept: list[Joined] = []
        for one in joined:
            truth = self._expressions(one).truth(condition)
            if truth is None:
                return None
            if truth:
                kept.append(one)
        return kept

    def _outputs(self, outputs: list[list[str]], joined: Joined) -> Iterator[Row]:
        if len(outputs) == 1 and outputs[0][0].upper() == "UNNEST":
            closing = _closing(outputs[0])
            for item in self._unnested(outputs[0][: closing + 1]) or []:
                yield {output_name(outputs[0]): item.get("unnest")}
            return
        row: Row = {}
        for run in outputs:
            if run[-1] == "*":
                for name, one in joined.items():
                    if len(run) == 1 or fold(run[0]) == name:
                        row |= one
                continue
            row[output_name(run)] = self._expressions(joined).value(_without_alias(run))
        yield row


def _is_word(cursor: Cursor) -> bool:
    return is_name(cursor.text)


def _closing(tokens: list[str]) -> int:
    cursor = Cursor(Statement.of(tokens), 1)
    cursor.skip_group()
    return cursor.at - 1


def _without_alias(tokens: list[str]) -> list[str]:
    if len(tokens) > 2 and tokens[-2].upper() == "AS":
        return tokens[:-2]
    if len(tokens) > 1 and tokens[-1][0].isalpha() and (tokens[-2] == ")" or is_name(tokens[-2])):
        return tokens[:-1]
    return tokens


# Relations


def _pg_tables(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        if table.kind != "foreign":
            yield {
                "schemaname": table.schema,
                "tablename": table.name,
                "tableowner": table.owner,
                "rowsecurity": table.enabled,
            }


def _tables(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        kind = "FOREIGN" if table.kind == "foreign" else "BASE TABLE"
        yield {"table_schema": table.schema, "table_name": table.name, "table_type": kind}
    for view in state.views.values():
        if not view.materialized:
            yield {"table_schema": view.schema, "table_name": view.name, "table_type": "VIEW"}


def _columns(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for column in table.columns:
            yield {
                "table_schema": table.schema,
                "table_name": table.name,
                "column_name": column.name,
                "data_type": column.type.partition("(")[0],
                "is_nullable": "YES" if column.nullable else "NO",
            }


def _pg_policies(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for policy in table.policies:
            yield {
                "schemaname": table.schema,
                "tablename": table.name,
                "policyname": policy.name,
                "cmd": policy.command.upper(),
                "permissive": "PERMISSIVE" if policy.permissive else "RESTRICTIVE",
                "roles": policy.roles,
                "qual": policy.using,
                "with_check": policy.check,
            }


_RELATION_KINDS = {"table": "r", "partitioned": "p", "foreign": "f"}


def _pg_class(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        yield {
            "oid": table.qualified,
            "relname": table.name,
            "relnamespace": table.schema,
            "relkind": _RELATION_KINDS[table.kind],
            "relrowsecurity": table.enabled,
            "relforcerowsecurity": table.forced,
            "relispartition": table.parent is not None,
            "relpersistence": "u" if table.persistence == "unlogged" else "p",
        }
    for key, view in state.views.items():
        kind = "m" if view.materialized else "v"
        yield {"oid": key, "relname": view.name, "relnamespace": view.schema, "relkind": kind}


def _pg_namespace(state: State) -> Iterator[Row]:
    names = {table.schema for table in state.tables.values()}
    names |= {view.schema for view in state.views.values()}
    names |= {function.schema for function in state.functions.values()}
    for name in sorted(names | set(state.schemas) | {"public"}):
        yield {"oid": name, "nspname": name}


def _pg_attribute(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for number, column in enumerate(table.columns, 1):
            yield {
                "attrelid": table.qualified,
                "attname": column.name,
                "attnum": str(number),
                "attisdropped": False,
                "attnotnull": not column.nullable,
            }


def _pg_policy(state: State) -> Iterator[Row]:
    for table in state.tables.values():
        for policy in table.policies:
            yield {"polrelid": table.qualified, "polname": policy.name}


_CONSTRAINTS = {"primary": ("p", "PRIMARY KEY"), "unique": ("u", "UNIQUE"), "check": ("c", "CHECK")}


def _constraints(state: State) -> Iterator[tuple[Table, str, str, str]]:
    """Yield (table, name, letter of `pg_constraint.contype`, word of the information schema)."""
    for table in state.tables.values():
        for key in table.keys:
            if key.kind != "index":
                yield table, key.name, *_CONSTRAINTS[key.kind]
        for foreign in table.foreign_keys:
            yield table, foreign.name, "f", "FOREIGN KEY"
        for check in table.constraints:
            if check.kind == "check":
                yield table, check.name, *_CONSTRAINTS["check"]


def _pg_constraint(state: State) -> Iterator[Row]:
    for table, name, letter, _ in _constraints(state):
        yield {"conname": name, "conrelid": table.qualified, "connamespace": table.schema, "contype": letter}


def _table_constraints(state: State) -> Iterator[Row]:
    for table, name, _, word in _constraints(state):
        yield {
            "constraint_schema": table.schema,
            "constraint_name": name,
            "table_schema": table.schema,
            "table_name": table.name,
            "constraint_type": word,
        }


def _views(state: State) -> Iterator[Row]:
    for view in state.views.values():
        yield {
            "schemaname": view.schema,
            "viewname": view.name,
            "matviewname": view.name,
            "table_schema": view.schema,
            "table_name": view.name,
        }


def _roles(state: State) -> Iterator[Row]:
    for role in state.roles.values():
        yield {
            "rolname": role.name,
            "oid": role.name,
            "rolsuper": role.superuser,
            "rolbypassrls": role.bypass_row_security,
        }


def _functions(state: State) -> Iterator[Row]:
    for function in state.functions.values():
        yield {
            "oid": function.signature,
            "proname": function.name,
            "pronamespace": function.schema,
            "prosecdef": function.security_definer,
            "prokind": "p" if function.kind == "procedure" else "f",
        }


_RELATIONS: dict[str, Callable[[State], Iterator[Row]]] = {
    "pg_tables": _pg_tables,
    "tables": _tables,
    "columns": _columns,
    "pg_policies": _pg_policies,
    "pg_policy": _pg_policy,
    "pg_class": _pg_class,
    "pg_namespace": _pg_namespace,
    "pg_attribute": _pg_attribute,
    "pg_constraint": _pg_constraint,
    "table_constraints": _table_constraints,
    "pg_views": _views,
    "pg_matviews": _views,
    "views": _views,
    "pg_roles": _roles,
    "pg_authid": _roles,
    "pg_proc": _functions,
}
