"""Queries over PostgreSQL's catalogs, answered from the catalogue a history has made so far.

Loops such as `FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'` protect whole
families of tables. Joins are nested loops; a condition that cannot be decided makes the whole
answer unknown (None). An object identifier is the object's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.history.catalogs import RELATIONS, Row
from lint.history.expressions import NULL, Expressions, Value, split_words
from lint.history.lexical import fold, is_name
from lint.history.queries import output_name
from lint.history.sql import Cursor, Statement, split_commas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lint.history.state import State

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
        if joined is None:
            return None
        grouped = cursor.eat("GROUP", "BY")
        start = cursor.at
        cursor.skip_to("ORDER", "LIMIT", "HAVING", "OFFSET", "FOR")
        keys = split_commas(tokens[start : cursor.at]) if grouped else []
        if cursor.word() == "HAVING":
            return None
        if grouped or any(map(_aggregate, outputs)):
            rows = self._grouped(outputs, keys, joined)
        else:
            rows = [row for one in joined for row in self._outputs(outputs, one)]
        return rows if _within_limit(tokens[cursor.at :], len(rows)) else None

    # GROUP BY

    def _grouped(self, outputs: list[list[str]], keys: list[list[str]], joined: list[Joined]) -> list[Row]:
        """Return one row for each group; without keys all rows are one, even where there is none."""
        groups: dict[str, list[Joined]] = {} if keys else {"": []}
        for one in joined:
            named = repr([self._expressions(one).value(_meant(key, outputs)) for key in keys]) if keys else ""
            groups.setdefault(named, []).append(one)
        return [self._of_group(outputs, rows) for rows in groups.values()]

    def _of_group(self, outputs: list[list[str]], rows: list[Joined]) -> Row:
        found: Row = {}
        for run in outputs:
            plain = _without_alias(run)
            if _aggregate(run):
                found[output_name(run)] = self._aggregated(plain, rows)
            else:
                found[output_name(run)] = self._expressions(rows[0]).value(plain) if rows else NULL
        return found

    def _aggregated(self, tokens: list[str], rows: list[Joined]) -> Value:
        """Return what count, array_agg or string_agg makes of the rows, None of any other."""
        inside, _, _ = _parted(tokens[2:-1], "ORDER")
        arguments = split_commas(inside[1:] if inside[:1] in (["DISTINCT"], ["distinct"]) else inside)
        name = tokens[0].upper()
        if name == "COUNT":
            return str(len(rows))
        values = [self._expressions(one).value(arguments[0]) for one in rows] if arguments else []
        if not values:
            return NULL
        if any(value is None for value in values):
            return None
        if name == "ARRAY_AGG":
            return tuple(values)
        between = self._expressions({}).value(arguments[1]) if len(arguments) > 1 else None
        texts = [value for value in values if isinstance(value, str)]
        known = isinstance(between, str) and len(texts) == len(values) and name == "STRING_AGG"
        return str(between).join(texts) if known else None

    def _values(self, cursor: Cursor) -> list[Row]:
        cursor.at += 1
        found = []
        for run in split_commas(cursor.rest()):
            items = [self._expressions({}).value(item) for item in split_commas(run[1:-1])]
            found.append({f"column{n}": item for n, item in enumerate(items, 1)})
        return found

    # FROM

    def _joined(self, cursor: Cursor) -> list[Joined] | None:
        joined = _product([{}], self._relation(cursor))
        while joined is not None:
            if cursor.eat(",") or cursor.eat("CROSS", "JOIN"):
                joined = _product(joined, self._relation(cursor))
                continue
            left = cursor.eat("LEFT", "JOIN") or cursor.eat("LEFT", "OUTER", "JOIN")
            if not (left or cursor.eat("INNER", "JOIN") or cursor.eat("JOIN")):
                return None if cursor.word() in {"RIGHT", "FULL", "NATURAL"} else joined
            before, relation = joined, self._relation(cursor)
            joined = _product(before, relation)
            joined = self._on(joined, cursor) if joined is not None else None
            if left and joined is not None and relation is not None:
                joined = _with_unmatched(before, joined, relation[0])
        return joined

    def _on(self, joined: list[Joined], cursor: Cursor) -> list[Joined] | None:
        """Keep the pairs that ON or USING joins."""
        if cursor.eat("USING"):
            names = [element.identifier() for element in cursor.elements()]
            return [one for one in joined if all(_agree(one, name) for name in names)]
        if not cursor.eat("ON"):
            return None
        start = cursor.at
        cursor.skip_to("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", *_ENDS)
        return self._filtered(joined, cursor.texts[start : cursor.at])

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
            make = RELATIONS.get(name)
            rows = list(make(self.state)) if make is not None and cursor.word() != "(" else None
        if rows is None:
            return None
        return self._aliased(cursor, name, rows)

    def _aliased(self, cursor: Cursor, name: str, rows: list[Row]) -> tuple[str, list[Row]]:
        ends = {*_ENDS, "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "ON", "USING"}
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


def _agree(joined: Joined, name: str) -> bool:
    """Say whether the relation joined last has the value that an earlier one has in a column."""
    *before, last = joined.values()
    found = next((row[name] for row in before if name in row), None)
    return found is not None and found == last.get(name)


def _product(joined: list[Joined], relation: tuple[str, list[Row]] | None) -> list[Joined] | None:
    if relation is None:
        return None
    alias, rows = relation
    if len(joined) * len(rows) > MAX_ROWS:
        return None
    return [{**one, alias: row} for one in joined for row in rows]


def _with_unmatched(before: list[Joined], joined: list[Joined], new: str) -> list[Joined]:
    """Add the rows of a LEFT JOIN that nothing was joined to, with NULL in every column."""
    matched = [{name: id(row) for name, row in one.items()} for one in joined]
    found = list(joined)
    for one in before:
        mine = {name: id(row) for name, row in one.items()}
        if not any(mine.items() <= other.items() for other in matched):
            found.append({**one, new: _Nothing()})
    return found


class _Nothing(dict[str, Value]):
    """The row of an outer join that matched nothing: NULL whatever is asked for."""

    def get(self, key: str, default: Value = None) -> Value:  # type: ignore[override]
        """Return NULL."""
        del key, default
        return NULL


_AGGREGATES = frozenset({"COUNT", "ARRAY_AGG", "STRING_AGG", "MIN", "MAX", "BOOL_OR", "BOOL_AND"})


def _aggregate(run: list[str]) -> bool:
    """Say whether an item of a select list is one call of an aggregate."""
    return len(run) > 2 and run[0].upper() in _AGGREGATES and run[1] == "("


def _meant(key: list[str], outputs: list[list[str]]) -> list[str]:
    """Return the expression that `GROUP BY 1` or the name of an output stands for."""
    if len(key) == 1 and key[0].isdecimal() and 0 < int(key[0]) <= len(outputs):
        return _without_alias(outputs[int(key[0]) - 1])
    return key


def _parted(tokens: list[str], word: str) -> tuple[list[str], str, list[str]]:
    """Part tokens at the first of a word outside parentheses."""
    first, *rest = split_words(tokens, word)
    return (first, word, tokens[len(first) + 1 :]) if rest else (tokens, "", [])


def _within_limit(tokens: list[str], count: int) -> bool:
    """Say whether LIMIT and OFFSET leave all rows: which of them they take depends on the server's order."""
    words = [*map(str.upper, tokens)]
    if "OFFSET" in words:
        return False
    limit = words[words.index("LIMIT") + 1 : words.index("LIMIT") + 2] if "LIMIT" in words else []
    return not limit or (limit[0].isdecimal() and count <= int(limit[0])) or limit == ["ALL"]
