"""The tenant column of a project whose policies ask for a membership, or for the user's own rows.

Where no column is compared with a tenant's setting, policies may look the tenant up: by a function
that reads the memberships of who is connected, by a sub-select over them, or in a claim of the
platform's token. The column that is looked up so in several tables says whose rows they are.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.rules.expressions import arguments_of, called_functions, looks_up, setting_reads, uncast
from lint.rules.mentions import names_relation
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.results import body_text
from lint.rules.scopes import Scope, columns_with_meaning
from lint.rules.tenant_columns import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue, Function, Table
    from lint.rules.expressions import Session

#: Words in the names of columns and claims that mean a person.
PERSON = frozenset(
    {
        *("user", "member", "actor", "role", "sub", "subject", "email", "session", "person", "owner"),
        *("profile", "author", "creator", "created", "assigned", "sender", "recipient", "by"),
    }
)
#: Words in the names of columns that say who has a row, not who made it.
_OWNER = frozenset({"user", "owner", "member", "profile", "customer"})
#: In how many tables a column must be looked up, so that it says whose rows they are.
_ENOUGH = 2


def membership_columns(catalogue: Catalogue, session: Session) -> tuple[str, ...]:
    """Return the column by which policies look memberships up, then those compared with the user."""
    tenants: Counter[str] = Counter()
    users: Counter[str] = Counter()
    for table in catalogue.tables.values():
        reader = _Reader(table, catalogue, session)
        tenants.update(reader.looked_up())
        users.update(reader.compared_with_user())
    found = [name for name, count in tenants.most_common(1) if count >= _ENOUGH]
    if users.total() < _ENOUGH:
        return tuple(found)
    owning = (name for name, _ in users.most_common() if not _OWNER.isdisjoint(words(name)))
    return (*found, *list(owning)[:1])


class _Reader:
    """Reads which columns of one table its policies look up."""

    def __init__(self, table: Table, catalogue: Catalogue, session: Session) -> None:
        self.table = table
        self.catalogue = catalogue
        self.session = session
        self.scope = Scope.of_table(table, catalogue)

    def looked_up(self) -> frozenset[str]:
        """Return the columns whose tenant the policies look up for who is connected."""
        return frozenset(name for tree in self._trees() for name in self._in(tree) if self._may_be(name))

    def compared_with_user(self) -> frozenset[str]:
        """Return the columns that are compared with a setting of the project's own."""
        return frozenset(
            column
            for tree in self._trees()
            for column, value in self._equalities(tree)
            if self._is_own_setting(value)
        )

    def _trees(self) -> Iterator[exp.Expr]:
        for policy in self.table.permissive if self.table.enabled or not self.table.known else ():
            for _, text in policy.clauses():
                try:
                    yield parse_predicate(text)
                except PredicateError:
                    continue

    def _may_be(self, name: str) -> bool:
        """Say whether a column can hold a tenant: no person, and not the table's own id."""
        own = any(key.kind == "primary" and key.columns == (name,) for key in self.table.keys)
        return PERSON.isdisjoint(words(name)) and not own and name != "id"

    def _in(self, tree: exp.Expr) -> Iterator[str]:
        for column, value in self._equalities(tree):
            if self._is_claim(value) or self._tells(value, column):
                yield column
        for node in tree.find_all(exp.Exists):
            if self.session.asks_session(node):
                yield from self._joined(node)
        for name, call in called_functions(tree):
            columns = [one.name for one in map(uncast, arguments_of(call)) if isinstance(one, exp.Column)]
            asks = self.session.asks_session(call) or self._asks_caller(name)
            if asks and call.find_ancestor(exp.Where, exp.Join, exp.Exists) is None:
                yield from (one for one in columns if self._body_reads(name, one))

    def _equalities(self, tree: exp.Expr) -> Iterator[tuple[str, exp.Expr]]:
        """Yield (column of the row, what it is compared with), IN and = ANY among them."""
        for node in tree.find_all(exp.EQ, exp.In):
            if node.find_ancestor(exp.Where, exp.Join, exp.Exists) is not None:
                continue
            other = node.args.get("query") if isinstance(node, exp.In) else node.expression
            for side, value in ((node.this, other), (other, node.this)):
                column = uncast(side) if side is not None else None
                if isinstance(column, exp.Column) and self.table.column(column.name) and value is not None:
                    yield column.name, value

    def _tells(self, value: exp.Expr, column: str) -> bool:
        """Say whether a value is that column of rows that are chosen by who is connected."""
        if value.find(exp.From) is not None and self.session.asks_session(value):
            return any(is_membership(table, column) for table in self._read_in(value))
        return any(
            self._asks_caller(name) and self._body_reads(name, column) for name, _ in called_functions(value)
        )

    def _joined(self, exists: exp.Expr) -> Iterator[str]:
        """Yield the columns of the row that an EXISTS compares with a membership's of the same name."""
        tables = self._read_in(exists)
        for _, meaning in columns_with_meaning(exists, self.scope):
            outer = meaning.column if meaning is not None and meaning.depth == 0 else None
            if outer is not None and any(is_membership(table, outer) for table in tables):
                yield outer

    def _read_in(self, tree: exp.Expr) -> list[Table]:
        names = [f"{one.db}.{one.name}" if one.db else one.name for one in tree.find_all(exp.Table)]
        return [table for name in names if (table := self.catalogue.table(name)) is not None]

    def _asks_caller(self, name: str) -> bool:
        return any(self.session.asks_caller(function) for function in self.session.functions(name))

    def _body_reads(self, name: str, column: str) -> bool:
        """Say whether a function's body reads memberships that have a column of this name."""
        return any(
            self._reads(body, column) for one in self.session.functions(name) for body in self._bodies(one)
        )

    def _bodies(self, function: Function) -> Iterator[str]:
        """Yield the text of a function and of those that it calls."""
        yield body_text(function)
        for called in self.session.called_in(function):
            yield from map(body_text, self.session.functions(called))

    def _reads(self, body: str, column: str) -> bool:
        return looks_up(body) and any(
            is_membership(table, column) and names_relation(body, table.schema, table.name)
            for table in self.catalogue.tables.values()
        )

    def _is_claim(self, value: exp.Expr) -> bool:
        """Say whether a value is a claim of the platform's token that names no person."""
        if value.find(exp.From) is not None:
            return False
        if not any(name == "auth.jwt" for name, _ in called_functions(value)):
            return False
        claims = [str(one.this) for one in value.find_all(exp.Literal, exp.JSONPathKey) if one.this]
        return bool(claims) and PERSON.isdisjoint(words(claims[-1]))

    def _is_own_setting(self, value: exp.Expr) -> bool:
        settings = self.session.settings_in(value)
        direct = any(True for _ in setting_reads(value)) or bool(settings)
        return direct and not any(name.startswith("request.") for name in settings)


def is_membership(table: Table, column: str) -> bool:
    """Say whether rows of a table tie a person to a column of this name."""
    persons = [one for one in table.columns if not PERSON.isdisjoint(words(one.name))]
    return table.column(column) is not None and bool(persons)
