"""What a protected table asks of who reads it: by which settings, and whether it asks anything at all.

A policy that is true for everyone lets an unbound connection read what every other may; one that asks
for the user is content with a connection that has the user bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import PUBLIC
from lint.rules.expressions import Session
from lint.rules.predicates import PredicateError, constant, parse_predicate
from lint.rules.serving import serving_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot import expressions as exp

    from lint.catalogue import Catalogue, Table
    from lint.config import LintConfig
    from lint.source.sql_tables import AccessCommand


class Asked:
    """The conditions of protected tables, by what is done to their rows."""

    def __init__(self, catalogues: Sequence[Catalogue], config: LintConfig) -> None:
        self._catalogues = catalogues
        self._config = config
        self._sessions: dict[int, Session] = {}
        self._known: dict[tuple[str, str], frozenset[str] | None] = {}

    def settings(self, table: str, command: AccessCommand) -> frozenset[str] | None:
        """Return the settings that decide which rows are met, None where every row is, whoever asks."""
        key = (table, command)
        if key not in self._known:
            self._known[key] = self._asked(table, command)
        return self._known[key]

    def _asked(self, table: str, command: AccessCommand) -> frozenset[str] | None:
        found: set[str] = set()
        for catalogue in self._catalogues:
            one = catalogue.tables.get(table)
            for tree in self._conditions(one, command, catalogue) if one is not None else ():
                if constant(tree) is True:
                    return None
                session = self._sessions.setdefault(id(catalogue), Session(catalogue))
                found |= {name.lower() for name in session.settings_in(tree)}
        return frozenset(found)

    def _conditions(self, table: Table, command: AccessCommand, catalogue: Catalogue) -> Iterator[exp.Expr]:
        """Yield what policies ask of who serves tenants; what cannot be parsed is left out."""
        serving = serving_of(catalogue, self._config)
        binding = {PUBLIC, *serving.roles}
        for policy in table.permissive:
            binds = serving.origin == "assumed" or not binding.isdisjoint(policy.roles)
            if not binds or policy.command not in {"all", command}:
                continue
            text = (policy.check or policy.using) if command == "insert" else policy.using
            try:
                if text is not None:
                    yield parse_predicate(text)
            except (PredicateError, RecursionError):
                continue
