"""BYP006 for the project's own switches: a setting that a policy treats as a way around, set in code.

Whatever it is called (app.is_admin, app.role = 'service'), the policies say what it does: an alternative
that asks nothing of the row, only whether the session has set it. A value that is decided elsewhere, such
as whether the caller is an administrator, is what such a setting is for; a literal that opens is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.config import path_matches
from lint.rules.branches import Branches
from lint.rules.bypass import stable, where
from lint.rules.bypass_rules import BYP006
from lint.rules.expressions import Session
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lint.catalogue import Catalogue, Table
    from lint.config import LintConfig
    from lint.report import Finding
    from lint.source.readers import Readers
    from lint.source.settings import SettingSite

#: Values that close a switch, or say nothing.
_OFF = frozenset({"", "off", "false", "0", "no", "f", "n", "default", "null", "none"})


def switched_on(readers: Readers, catalogues: Sequence[Catalogue], config: LintConfig) -> Iterator[Finding]:
    """Yield the places outside the verified packages that open the policies by such a setting."""
    sites = [site for site in readers.settings.sites if _may_open(site, config)]
    switches = _switches(catalogues, config) if sites else {}
    for site in sites:
        opening = switches.get(site.change.name.lower())
        if opening is not None and (not opening.values or site.change.value.lower() in opening.values):
            yield _finding(site, opening.table, config)


def _may_open(site: SettingSite, config: LintConfig) -> bool:
    """Say whether a literal is set that is not an end; names with "bypass" in them are told by their name."""
    change = site.change
    value = change.value.lower()
    if change.effect != "setting" or value in _OFF or "bypass" in change.name.rpartition(".")[2].split("_"):
        return False
    literal = value[:1] not in "$%:?@{" and "not_known" not in value
    return literal and not path_matches(site.place.path, config.verified_packages)


def _finding(site: SettingSite, table: str, config: LintConfig) -> Finding:
    change = site.change
    return BYP006.finding(
        site.place,
        f"{change.name} = '{change.value}' in {where(site.function)} opens every tenant's rows (policies of "
        f"{table} among others let a session in that sets it), without a grant or a record",
        f"call {config.bypass_names[0] if config.bypass_names else 'the verified bypass'} "
        "from a registered site",
        subject=f"{stable(site.function)}:{change.effect}:{change.name}",
    )


class _Opening:
    """A setting that opens: for which values (any, when none is known), and a table that it opens."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.values: set[str] = set()
        self.any = False


def _switches(catalogues: Sequence[Catalogue], config: LintConfig) -> Mapping[str, _Opening]:
    """Return the settings that let a session into protected tables by themselves."""
    found: dict[str, _Opening] = {}
    for catalogue in catalogues:
        session = Session(catalogue)
        for table in catalogue.tables.values():
            if table.enabled and table.tenant_column and not config.is_global(table.qualified):
                for name, values in _of_table(table, catalogue, session):
                    _note(found.setdefault(name, _Opening(table.qualified)), values)
    return found


def _note(opening: _Opening, values: frozenset[str]) -> None:
    opening.any = opening.any or not values
    opening.values = set() if opening.any else opening.values | values


def _of_table(table: Table, catalogue: Catalogue, session: Session) -> Iterator[tuple[str, frozenset[str]]]:
    branches = Branches(Scope.of_table(table, catalogue), table.tenant_column, session)
    for policy in table.permissive:
        for _, text in policy.clauses():
            try:
                ways = branches.alternatives(parse_predicate(text))
            except (PredicateError, RecursionError):
                continue
            for way in ways:
                condition = None if way.bound or way.first("literal") else way.first("switch")
                if condition is not None:
                    names = session.switches_in(condition.node)
                    yield from ((name.lower(), _values(condition.node)) for name in names)


def _values(node: exp.Expr) -> frozenset[str]:
    """Return the constants that a switch is compared with; none where a function or a cast decides."""
    if not isinstance(node, exp.EQ | exp.In):
        return frozenset()
    sides = [node.expression, *node.expressions] if isinstance(node, exp.In) else [node.this, node.expression]
    literals = [part for side in sides if side is not None for part in _literals(side)]
    return frozenset(literals) - _OFF


def _literals(side: exp.Expr) -> Iterator[str]:
    plain = side
    while isinstance(plain, exp.Cast | exp.Paren):
        plain = plain.this
    if isinstance(plain, exp.Literal) and plain.is_string:
        yield str(plain.this).lower()
