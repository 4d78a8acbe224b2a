"""Which column holds the tenant and which session setting says it, found in the database itself.

Columns are known by their names, and by what policies compare with a setting; settings by the
policies, read directly or through a function. What was found is part of the answer, so that a
person can see it and overrule it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.catalogue import spelled, tenant_column_of
from lint.rules.expressions import (
    Session,
    arguments_of,
    called_functions,
    inlined_call,
    setting_reads,
    uncast,
)
from lint.rules.memberships import membership_columns
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.tenant_columns import WEAK, NamedColumns, named_columns, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lint.catalogue import Catalogue, Policy, Table
    from lint.config import LintConfig

_PERSON_WORDS = frozenset({"user", "member", "actor", "role", "sub", "subject", "email", "session", "person"})


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The tenant column of each table ("schema.name"), and the settings that carry the tenant."""

    columns: Mapping[str, str] = field(default_factory=dict)
    #: Settings whose value the tenant column is compared with, the most used first.
    settings: tuple[str, ...] = ()
    #: Setting to the functions ("schema.name") through which policies read it; none when direct.
    through: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: How many tables compare their tenant with a setting, and which settings each table reads.
    uses: Mapping[str, int] = field(default_factory=dict)
    by_table: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: True when the caller named the column or the setting.
    column_given: bool = False
    setting_given: bool = False
    #: Columns that policies compare with the user, by how many tables they own rows in.
    owners: Mapping[str, int] = field(default_factory=dict)

    @property
    def setting(self) -> str | None:
        """The setting most policies read, None when no policy reads one."""
        return next(iter(self.settings), None)

    @property
    def text(self) -> str:
        """One line for a person: which columns and settings, and how they were found."""
        settings = ", ".join(self._setting_text(setting) for setting in self.settings)
        return f"{self._columns_text()}; tenant setting: {settings or 'none found'}"

    def _columns_text(self) -> str:
        counts = Counter(self.columns.values()).most_common()
        if counts:
            return f"tenant column: {', '.join(_counted(name, count) for name, count in counts)}"
        unnamed = "name it with --tenant-column"
        if not self.owners:
            return f"no tenant column found: {unnamed}"
        owner, count = next(iter(self.owners.items()))
        return (
            f"no tenant column found: rows belong to users ({_counted(owner, count)}); if they belong to "
            f"tenants too, {unnamed}"
        )

    def _setting_text(self, setting: str) -> str:
        functions = self.through.get(setting, ())
        return f"{setting} (read by {', '.join(functions)})" if functions else setting


def _counted(name: str, count: int) -> str:
    return f"{name} ({count} table{'' if count == 1 else 's'})"


def discover(
    catalogue: Catalogue,
    config: LintConfig,
    tenant_setting: str | None = None,
    tenant_column: str | None = None,
) -> tuple[Catalogue, Tenancy]:
    """Return the catalogue with each table's tenant column, and what was found out about tenants."""
    session = Session(catalogue)
    named = NamedColumns()
    if tenant_column:
        learned: dict[str, str] = {}
        names: tuple[str, ...] = (tenant_column,)
    else:
        named = named_columns(catalogue, config)
        learned = _learned_columns(catalogue, session)
        named = _not_contradicted(named, learned)
        names = _spread(catalogue, learned)
        if not named.by_table and not learned:
            names = membership_columns(catalogue, session)
    tables = {}
    for key, table in catalogue.tables.items():
        column = named.by_table.get(key) or tenant_column_of(table.columns, names) or learned.get(key)
        tables[key] = replace(table, tenant_column=None if config.is_global(key) else column)
    known = replace(catalogue, tables=tables)
    by_table, through = _uses(known, session)
    uses = Counter(setting for settings in by_table.values() for setting in settings)
    settings = (tenant_setting.lower(),) if tenant_setting else _ordered(uses)
    return known, Tenancy(
        {table.qualified: table.tenant_column for table in tables.values() if table.tenant_column},
        settings,
        {setting: tuple(sorted(functions)) for setting, functions in through.items() if functions},
        dict(uses),
        by_table,
        tenant_column is not None,
        tenant_setting is not None,
        named.owners,
    )


def _not_contradicted(named: NamedColumns, learned: Mapping[str, str]) -> NamedColumns:
    """Leave out names such as `account_id` where policies compare another column with the setting.

    A weak name means something else than the tenant in a project whose tenant is called otherwise.
    """
    asked = {spelled(column) for column in learned.values()}
    if not asked:
        return named
    kept = {
        table: column
        for table, column in named.by_table.items()
        if spelled(column) not in WEAK or spelled(column) in asked
    }
    return replace(named, by_table=kept)


def _spread(catalogue: Catalogue, learned: Mapping[str, str]) -> tuple[str, ...]:
    """Return the learned columns that mean the tenant in tables without a policy, too."""
    return tuple(
        dict.fromkeys(
            column for name, column in learned.items() if not _is_whole_key(catalogue.tables[name], column)
        )
    )


def _is_whole_key(table: Table, column: str) -> bool:
    return any(key.kind == "primary" and key.columns == (column,) for key in table.keys)


def _learned_columns(catalogue: Catalogue, session: Session) -> dict[str, str]:
    """Return, by table, the column that a permissive policy compares with a tenant's setting."""
    learned: dict[str, str] = {}
    for table in catalogue.tables.values():
        for column, value, _ in _comparisons(table, session):
            told = any(_carries_tenant(setting) for setting in session.settings_in(value))
            if told and _PERSON_WORDS.isdisjoint(words(column)):
                learned.setdefault(table.qualified, column)
    return learned


def _carries_tenant(setting: str) -> bool:
    """Say whether a setting names a tenant: a gateway's claims are mostly about the user."""
    if setting.startswith("request."):
        return False
    words = frozenset(setting.replace(".", "_").split("_"))
    return "." in setting and "bypass" not in words and _PERSON_WORDS.isdisjoint(words)


def _comparisons(table: Table, session: Session) -> Iterator[tuple[str, exp.Expr, Policy]]:
    """Yield (column of the table, what it is compared with, policy) for each equality."""
    for policy in table.permissive:
        for _, clause in policy.clauses():
            try:
                tree = parse_predicate(clause)
            except PredicateError:
                continue
            for part in (tree, *_inlined(tree, session)):
                for node in part.find_all(exp.EQ, exp.NullSafeEQ, exp.NullSafeNEQ):
                    if node.find_ancestor(exp.From, exp.Exists) is None:
                        yield from _sides(node, table, policy)


def _inlined(tree: exp.Expr, session: Session) -> Iterator[exp.Expr]:
    """Yield what calls that are handed columns of the row are, where that is one expression."""
    for name, call in called_functions(tree):
        if any(True for one in arguments_of(call) if isinstance(uncast(one), exp.Column)):
            bodies = (inlined_call(function, call) for function in session.functions(name))
            yield from (body for body in bodies if body is not None)


def _sides(node: exp.Expr, table: Table, policy: Policy) -> Iterator[tuple[str, exp.Expr, Policy]]:
    for side, other in ((node.this, node.expression), (node.expression, node.this)):
        column = uncast(side)
        if isinstance(column, exp.Column) and column.table in {"", table.name} and table.column(column.name):
            yield column.name, other, policy
        elif isinstance(column, exp.Any):
            for inner in column.find_all(exp.Column):
                if table.column(inner.name):
                    yield inner.name, other, policy


def _uses(catalogue: Catalogue, session: Session) -> tuple[dict[str, frozenset[str]], dict[str, set[str]]]:
    """Return, by table, the settings its tenant column is compared with; by setting, the functions."""
    by_table: dict[str, frozenset[str]] = {}
    through: dict[str, set[str]] = {}
    for table in catalogue.tables.values():
        for column, value, _ in _comparisons(table, session):
            if column != table.tenant_column:
                continue
            for setting, function in _sources(value, session):
                by_table[table.qualified] = by_table.get(table.qualified, frozenset()) | {setting}
                through.setdefault(setting, set()).update({function} - {""})
    return by_table, through


def _ordered(uses: Counter[str]) -> tuple[str, ...]:
    """Return the tenant settings, most used first; those of a bypass only when there is no other."""
    ordered = sorted(uses, key=lambda name: (-uses[name], name))
    return tuple(name for name in ordered if "bypass" not in name) or tuple(ordered)


def _sources(value: exp.Expr, session: Session) -> Iterator[tuple[str, str]]:
    for read in setting_reads(value):
        yield read.name, ""
    for name, _ in called_functions(value):
        for setting in session.settings_of(name):
            yield setting, name
