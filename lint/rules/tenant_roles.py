"""Which roles a project's policies speak of are roles within one tenant.

`role = 'admin' AND tenant_id = mine` says that an admin is one tenant's. A policy that asks for the
same word and leaves the tenant out lets the admins of every tenant through; a word that always
stands alone, such as a super user's, was meant to.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.rules.branches import Branches
from lint.rules.expressions import arguments_of, function_name, literal, uncast
from lint.rules.predicates import PredicateError, bare, parse_predicate
from lint.rules.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue, Table
    from lint.rules.branches import Alternative, Condition
    from lint.rules.expressions import Session

#: Conditions that ask the session for a word, and nothing of the row.
_ASKED_ALONE = frozenset({"switch", "state", "elsewhere"})
#: Words of roles and functions that speak of somebody above all tenants.
_ABOVE = re.compile(r"super|platform|system|service|root|global|internal|staff|support|bypass", re.IGNORECASE)
#: Who asks, as SQL, and the word that is asked for.
Word = tuple[str, str]


class TenantRoles:
    """The words that policies ask of the session, by how often the tenant stands beside them."""

    def __init__(self, catalogue: Catalogue, session: Session) -> None:
        self.beside: Counter[Word] = Counter()
        self.alone: Counter[Word] = Counter()
        for table in catalogue.tables.values():
            if table.tenant_column and table.policies:
                for way in _ways(table, catalogue, session):
                    self._count(way)

    def _count(self, way: Alternative) -> None:
        counts = self.beside if way.first("tenant") is not None else self.alone
        counts.update(word for condition in way.conditions for word in _words_in(condition))

    def of_one_tenant(self, way: Alternative) -> Condition | None:
        """Return the condition by which a way lets in a role that elsewhere is one tenant's, or None.

        Mostly beside the tenant, a word is a role within one; seldom, it may stand above them.
        """
        return next((one for one in way.conditions if any(map(self._is_tenants, _words_in(one)))), None)

    def _is_tenants(self, word: Word) -> bool:
        return self.beside[word] > self.alone[word] and not _ABOVE.search(" ".join(word))


def _words_in(condition: Condition) -> Iterator[Word]:
    if condition.kind in _ASKED_ALONE:
        yield from words_of(condition.node)


def words_of(node: exp.Expr) -> Iterator[Word]:
    """Yield (asker, word) of `<asker> = 'word'`, `<asker> IN ('word', …)` and of a plain `<asker>()`."""
    node = bare(node)
    if function_name(node) is not None and not arguments_of(node):
        yield node.sql("postgres").lower(), ""
    elif isinstance(node, exp.EQ):
        for side, other in ((node.this, node.expression), (node.expression, node.this)):
            yield from _words(side, _choices(other))
    elif isinstance(node, exp.In):
        yield from _words(node.this, node.expressions)


def _choices(node: exp.Expr) -> list[exp.Expr]:
    """Return the elements of `ANY (ARRAY[…])`, or the one value."""
    node = uncast(node)
    if isinstance(node, exp.Any):
        array = uncast(node.this)
        return list(array.expressions) if isinstance(array, exp.Array) else []
    return [node]


def _words(asker: exp.Expr, choices: list[exp.Expr]) -> Iterator[Word]:
    asker = uncast(asker)
    if isinstance(asker, (exp.Literal, exp.Column, exp.Any)):
        return
    told = asker.sql("postgres").lower()
    for choice in choices:
        word = literal(choice)
        if word is not None:
            yield told, word


def _ways(table: Table, catalogue: Catalogue, session: Session) -> Iterator[Alternative]:
    branches = Branches(Scope.of_table(table, catalogue), table.tenant_column, session)
    for policy in table.permissive:
        for text in dict.fromkeys(text for _, text in policy.clauses()):
            try:
                yield from branches.alternatives(parse_predicate(text))
            except (PredicateError, RecursionError):
                continue
