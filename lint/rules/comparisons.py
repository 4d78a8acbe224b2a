"""Rules over how a policy compares: casts, empty settings, volatility, sub-selects.

They look at each clause of the policies that bind the role, and at functions that are one
expression as if they stood in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import expressions as exp

from lint.catalogue import DEFAULT_SCHEMA, written_name
from lint.rules.database_rules import RLS014, RLS017, RLS018, RLS019, RLS020, RLS022
from lint.rules.expressions import (
    IDENTITY_FUNCTIONS,
    called_functions,
    chooses_rows,
    function_name,
    literal,
    type_name,
    uncast,
)
from lint.rules.predicates import PredicateError, bare, parse_predicate
from lint.rules.results import body_text
from lint.rules.scopes import Scope, columns_with_meaning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lint.catalogue import Function, Place, Policy, Table
    from lint.report import Finding
    from lint.rules.expressions import SettingRead
    from lint.rules.viewpoint import Viewpoint

_TEXT_TYPES = ("text", "character varying", "varchar", "character", "char", "name", "citext")
#: What compares a part, or a pattern, and what that lets a setting mean.
_PATTERNS: dict[type[exp.Expr], str] = {
    exp.Like: "LIKE, so a % in the setting means every tenant",
    exp.ILike: "ILIKE, so a % in the setting means every tenant",
    exp.RegexpLike: "a regular expression, so a . in the setting means every tenant",
    exp.RegexpILike: "a regular expression, so a . in the setting means every tenant",
    exp.StartsWith: "the beginning of it, so an empty setting means every tenant",
    exp.StrPosition: "",
}
_READ = re.compile(r"\b(?:from|join)\s+(?:only\s+)?([a-z_][\w$.]*)(?!\s*\()", re.IGNORECASE)
#: Settings that a gateway makes for every request, so that they are never empty there.
_GATEWAY_SETTINGS = ("request.", "graphql.")


def comparison_findings(table: Table, view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS014, RLS017, RLS018, RLS020 and RLS022 for one table under row security."""
    seen: set[tuple[str, str]] = set()
    for policy in table.policies:
        if not view.applies(policy):
            continue
        for clause, text in policy.clauses():
            try:
                tree = parse_predicate(text)
            except PredicateError:
                continue
            for finding in _clause_findings(tree, clause, policy, table, view):
                identity = (finding.rule, finding.subject)
                if identity not in seen:  # USING and WITH CHECK are mostly one expression
                    seen.add(identity)
                    yield finding


def _clause_findings(
    tree: exp.Expr, clause: str, policy: Policy, table: Table, view: Viewpoint
) -> Iterator[Finding]:
    where = f"policy {policy.name} on {table.qualified}: {clause}"
    place = view.place(policy, table)
    scope = Scope.of_table(table, view.catalogue)
    yield from _misses(tree, where, policy, table, scope, view)
    reads = tuple(view.session.reads_in(tree))
    guarded = {read.name for read in reads if read.missing_ok}
    for read in reads:
        yield from _setting(read, where, policy, table, place, guarded=read.name in guarded)
    for name, node in called_functions(tree):
        for function in view.session.functions(name):
            yield from _volatility(function, node, where, policy, table, scope, view)
            yield from _refused(function, where, policy, table, view)
    if view.from_history:
        yield from _asked_per_row(tree, where, policy, table, scope, view)
    yield from _sub_selects(tree, where, policy, table, view)
    yield from _endless(tree, where, policy, table, view)


# RLS014


def _misses(
    tree: exp.Expr, where: str, policy: Policy, table: Table, scope: Scope, view: Viewpoint
) -> Iterator[Finding]:
    place = view.place(policy, table)
    for name, kind in _parsed_text(tree, table, scope):
        yield RLS014.finding(
            place,
            f"{where} casts {name} to {kind} in every row it looks at: one value that is no {kind} and every "
            "query fails with 22P02, of every tenant",
            f"store {name} as {kind}, or test its form before the cast",
            table=table.qualified,
            subject=f"{policy.name}:{name}",
            cause=f"{name} cast to {kind} in policies",
        )
    column = table.column(table.tenant_column or "")
    if column is None:
        return
    name = column.name
    for node in tree.find_all(exp.EQ, exp.In, exp.Not, exp.NEQ, *_PATTERNS):
        if not _names(node, name, scope):
            continue
        told = _missing(node, name, is_text=column.type.startswith(_TEXT_TYPES), view=view)
        if told is not None:
            yield RLS014.finding(
                place,
                f"{where} {told[0]}",
                told[1],
                table=table.qualified,
                subject=f"{policy.name}:{type(node).__name__}",
            )


def _parsed_text(tree: exp.Expr, table: Table, scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield (column, type) where a text column of the protected row is cast to something else."""
    for node in tree.find_all(exp.Cast):
        inner = bare(node.this)
        kind = type_name(node.to)
        if not isinstance(inner, exp.Column) or kind.startswith(_TEXT_TYPES):
            continue
        column = table.column(inner.name)
        meaning = next((found for _, found in columns_with_meaning(inner, scope)), None)
        if column is not None and meaning is not None and column.type.startswith(_TEXT_TYPES):
            yield column.name, kind


def _names(node: exp.Expr, column: str, scope: Scope) -> bool:
    return any(
        meaning is not None and meaning.depth == 0 and meaning.column == column
        for _, meaning in columns_with_meaning(node, scope)
    )


def _missing(node: exp.Expr, column: str, *, is_text: bool, view: Viewpoint) -> tuple[str, str] | None:
    """Return (what can miss, the fix) of one comparison with the tenant column, or None."""
    if type(node) in _PATTERNS:
        return _by_pattern(node, column, view)
    if isinstance(node, exp.Not):
        return _not_in(node, column)
    value = _literal_tenant(node, column)
    if value is not None:
        fix = "compare with the bound tenant instead of a literal"
        return f"names one tenant ({value}) for every session", fix
    cast = _cast_of(node, column)
    if cast is not None and not is_text and (any(view.session.reads_in(node)) or _told_as_text(node, view)):
        return (
            f"compares {column} as {cast}: another spelling of the same id sees 0 rows, and no index is used",
            f"cast the other side to {column}'s type instead",
        )
    return None


def _by_pattern(node: exp.Expr, column: str, view: Viewpoint) -> tuple[str, str] | None:
    """Judge a tenant that a part of the setting, or a pattern in it, may name."""
    if isinstance(node, exp.StrPosition):
        whole = node.this
        told = f"looks for {column} anywhere in the setting, so a part of another tenant's name is enough"
    else:
        whole = node.expression
        told = f"compares {column} with {_PATTERNS[type(node)]}"
    return (told, f"{column} = …") if view.session.asks_session(whole) else None


def _told_as_text(node: exp.Expr, view: Viewpoint) -> bool:
    """Say whether a function of the database tells as text the tenant that was set, without a look-up."""
    return any(
        function.returns.lower().startswith(_TEXT_TYPES)
        and not chooses_rows(body_text(function))
        and not view.session.settings_of(function.qualified).isdisjoint(view.tenancy.settings)
        for name, _ in called_functions(node)
        for function in view.session.functions(name)
    )


def _literal_tenant(node: exp.Expr, column: str) -> str | None:
    if isinstance(node, exp.EQ):
        for side, other in ((node.this, node.expression), (node.expression, node.this)):
            if _is_column(uncast(side), column) and literal(other) is not None:
                return literal(other)
    if isinstance(node, exp.In) and _is_column(uncast(node.this), column):
        values = [literal(item) for item in node.args.get("expressions") or ()]
        return next((value for value in values if value is not None), None)
    return None


def _is_column(node: exp.Expr, column: str) -> bool:
    return isinstance(node, exp.Column) and node.name == column


def _not_in(node: exp.Expr, column: str) -> tuple[str, str] | None:
    inner = bare(node.this)
    query = inner.args.get("query") if isinstance(inner, exp.In) else None
    if query is None or not _is_column(uncast(inner.this), column):
        return None
    return (
        f"asks {column} NOT IN (SELECT …): one NULL among them and no row is let through",
        "write NOT EXISTS",
    )


def _cast_of(node: exp.Expr, column: str) -> str | None:
    """Return the type the tenant column is cast to on one side of an equality."""
    if not isinstance(node, exp.EQ):
        return None
    for side in (bare(node.this), bare(node.expression)):
        if isinstance(side, exp.Cast) and _is_column(uncast(side), column):
            return type_name(side.to)
    return None


# RLS017 and RLS018


def _setting(
    read: SettingRead, where: str, policy: Policy, table: Table, place: Place, *, guarded: bool
) -> Iterator[Finding]:
    """Judge one reading; `guarded` when the clause asks first, with missing_ok, whether it is set."""
    if "." not in read.name or read.name.startswith(_GATEWAY_SETTINGS):
        return
    fix = f"nullif(current_setting('{read.name}', true), '')"
    if not guarded:
        yield RLS018.finding(
            place,
            f"{where} reads {read.name} without missing_ok: where it was never set, every query "
            "on the table fails with 42704",
            f"{fix}{f'::{read.cast}' if read.cast else ''}",
            table=table.qualified,
            subject=f"{policy.name}:{read.name}",
            cause=f"current_setting('{read.name}') without missing_ok",
        )
    elif read.cast and not read.nullif:
        yield RLS017.finding(
            place,
            f"{where} casts {read.name} to {read.cast} as it is: on a connection that was used before it is "
            "'', and every query fails with 22P02",
            f"{fix}::{read.cast}",
            table=table.qualified,
            subject=f"{policy.name}:{read.name}",
            cause=f"current_setting('{read.name}') cast without nullif",
        )
    elif not read.nullif and _may_be_empty(table):
        yield RLS017.finding(
            place,
            f"{where} compares text with {read.name} as it is: a connection whose tenant was taken away "
            "sees the rows whose tenant is ''",
            f"{fix}, or CHECK ({table.tenant_column} <> '')",
            table=table.qualified,
            subject=f"{policy.name}:{read.name}",
            severity="info",
            cause=f"text compared with current_setting('{read.name}')",
        )


def _may_be_empty(table: Table) -> bool:
    column = table.column(table.tenant_column or "")
    if column is None or not column.type.startswith(_TEXT_TYPES):
        return False
    refers = any(column.name in key.columns for key in table.foreign_keys)
    checked = any(column.name in check.columns for check in table.constraints)
    return not (refers or checked)


# RLS019

_MAJORITY = 3


def setting_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS019 for a policy that reads the tenant from another setting than the rest do."""
    setting = view.tenancy.setting
    if setting is None or view.tenancy.uses.get(setting, 0) < _MAJORITY:
        return
    settled = [view.catalogue.tables[name] for name, read in view.tenancy.by_table.items() if setting in read]
    columns = {table.tenant_column for table in settled}
    for table in view.tenant_tables():
        if not table.enabled or table.tenant_column not in columns:
            continue
        other = view.tenancy.by_table.get(table.qualified, frozenset())
        if other and setting not in other and all(view.tenancy.uses[name] == 1 for name in other):
            names = ", ".join(sorted(other))
            yield RLS019.finding(
                view.place(*table.permissive, table),
                f"the policies of {table.qualified} read the tenant from {names}, and those of "
                f"{view.tenancy.uses[setting]} other tables from {setting}: where only that is set, "
                "0 rows are seen, in silence",
                f"compare {table.tenant_column} with {setting}",
                table=table.qualified,
                subject=names,
            )


# RLS020


def _volatility(
    function: Function,
    node: exp.Expr,
    where: str,
    policy: Policy,
    table: Table,
    scope: Scope,
    view: Viewpoint,
) -> Iterator[Finding]:
    place, subject = view.place(policy, table), f"{policy.name}:{function.qualified}"
    settings = view.session.settings_of(function.qualified)
    if function.volatility == "immutable" and settings:
        yield RLS020.finding(
            place,
            f"{where} calls {function.qualified}, IMMUTABLE though it reads {', '.join(sorted(settings))}: "
            "a cached plan keeps the first tenant for the next",
            f"ALTER FUNCTION {function.qualified}({function.arguments}) STABLE;",
            table=table.qualified,
            subject=subject,
            severity="error",
            cause=f"{function.qualified} is IMMUTABLE",
        )
    elif function.volatility == "volatile" and not _once(node, scope):
        per_row = where.endswith("CHECK") or _asks_the_row(node, scope)
        if view.from_history and (per_row or not function.language):
            return  # it runs for every row whatever it is, or nobody knows what it is
        yield RLS020.finding(
            place,
            f"{where} calls {function.qualified}, which is VOLATILE: it runs for every row of every tenant, "
            "and no index is used",
            f"ALTER FUNCTION {function.qualified}({function.arguments}) STABLE;",
            table=table.qualified,
            subject=subject,
            severity="info" if per_row else None,
            cause=f"{function.qualified} is VOLATILE",
        )


def _asked_per_row(
    tree: exp.Expr, where: str, policy: Policy, table: Table, scope: Scope, view: Viewpoint
) -> Iterator[Finding]:
    """RLS020 for who-is-it calls that are made for each row because no index finds the rows first."""
    if where.endswith("CHECK") or not table.known:
        return
    for column, call in _identity_comparisons(tree, scope):
        if any(key.leading == column for key in table.keys):
            continue
        name = function_name(call)
        yield RLS020.finding(
            view.place(policy, table),
            f"{where} calls {name}() for each row it looks at, and no index begins with {column}: every "
            "query reads the whole table and asks for every row",
            f"{column} = (SELECT {name}()); and CREATE INDEX ON {table.written} ({written_name(column)});",
            table=table.qualified,
            subject=f"{policy.name}:{name}:{column}",
            severity="info",
            cause=f"{name}() is called for each row",
        )


def _identity_comparisons(tree: exp.Expr, scope: Scope) -> Iterator[tuple[str, exp.Expr]]:
    """Yield (column of the protected row, call) where one is compared with who asks."""
    for node in tree.find_all(exp.EQ):
        for side, other in ((node.this, node.expression), (node.expression, node.this)):
            column, call = uncast(side), uncast(other)
            if not isinstance(column, exp.Column) or function_name(call) not in IDENTITY_FUNCTIONS:
                continue
            if _asks_the_row(column, scope) and not _once(call, scope):
                yield column.name, call


def _asks_the_row(node: exp.Expr, scope: Scope) -> bool:
    """Say whether a call takes a column of the row, so that it runs for every row whatever it is."""
    return any(meaning and meaning.depth == 0 for _, meaning in columns_with_meaning(node, scope))


def _once(node: exp.Expr, scope: Scope) -> bool:
    """Say whether a call stands in a sub-select of its own (an initplan), so that it runs once."""
    around = node.find_ancestor(exp.Select)
    if around is None or around.find_ancestor(exp.Select) is None:
        return False
    return not any(meaning and meaning.depth == 0 for _, meaning in columns_with_meaning(around, scope))


# RLS022


def _sub_selects(
    tree: exp.Expr, where: str, policy: Policy, table: Table, view: Viewpoint
) -> Iterator[Finding]:
    for name in _relations(tree, view):
        other = view.catalogue.table(name)
        if other is None:
            continue
        told = _fault(table, other, view)
        if told is not None:
            yield RLS022.finding(
                view.place(policy, table),
                f"{where} reads {name}: {told[0]}",
                told[1],
                table=table.qualified,
                subject=f"{policy.name}:{name}",
            )


def _relations(tree: exp.Expr, view: Viewpoint) -> Iterator[str]:
    """Yield what a policy reads, a view that has its caller's rights as the tables below it."""
    seen = set()
    for node in tree.find_all(exp.Table):
        name = f"{node.db}.{node.name}" if node.db else node.name
        if node.name and name not in seen:
            seen.add(name)
            over = view.catalogue.views.get(name if node.db else f"{DEFAULT_SCHEMA}.{name}")
            yield from sorted(view.tables_below(over)) if over and over.security_invoker else (name,)


def _fault(table: Table, other: Table, view: Viewpoint) -> tuple[str, str] | None:
    """Return (what happens, the fix) when a policy's sub-select cannot answer, or None."""
    around = "read it through a SECURITY DEFINER function that checks the caller"
    if _comes_back(other, view, frozenset({table.qualified})):
        return "its policy reads the first table again, so every query fails with 42P17", around
    if not other.known:
        return None
    if not view.hosted and "select" not in view.privileges(other.qualified):
        return (
            f"{view.role} may not select from it, so every query fails with 42501",
            f"GRANT SELECT ON {other.written} TO {view.sql_role};",
        )
    if other.half_read:
        return None
    if other.enabled and not any(view.permissive(other, "select", role) for role in view.serving):
        return (
            f"it has no SELECT policy for {view.role}, so the sub-select finds no row",
            f"CREATE POLICY … ON {other.written} FOR SELECT TO {view.role} …, or {around}",
        )
    return None


def _comes_back(at: Table, view: Viewpoint, active: frozenset[str]) -> bool:
    """Say whether the policies for SELECT that are put into a query are put into themselves.

    PostgreSQL refuses a table whose policies have any sub-select, be it `(SELECT f())`, while the table is
    already being read for a policy.
    """
    if not at.enabled:
        return False
    if at.qualified in active:
        return any(tree.find(exp.Select) is not None for tree in _seen_by(at, view))
    below = active | {at.qualified}
    reads = (view.catalogue.table(name) for name in _reads_of(at, view))
    return any(_comes_back(other, view, below) for other in reads if other is not None)


def _reads_of(table: Table, view: Viewpoint) -> Mapping[str, None]:
    """Return the relations that the policies for SELECT on a table read in place."""
    found: dict[str, None] = {}
    for tree in _seen_by(table, view):
        found |= dict.fromkeys(_relations(tree, view))
    return found


def _seen_by(table: Table, view: Viewpoint) -> Iterator[exp.Expr]:
    """Yield the expressions that decide what the role sees of a table."""
    for policy in table.policies:
        if policy.command in {"all", "select"} and policy.using and view.applies(policy):
            try:
                yield parse_predicate(policy.using)
            except PredicateError:
                continue


def _refused(
    function: Function, where: str, policy: Policy, table: Table, view: Viewpoint
) -> Iterator[Finding]:
    """RLS022 for a function that nobody whom the policy is for may execute."""
    roles = [role for role in view.serving if view.applies(policy, role)]
    if not view.from_history or not roles or not all(_may_not_call(function, role, view) for role in roles):
        return
    names = ", ".join(roles)
    yield RLS022.finding(
        view.place(policy, table),
        f"{where} calls {function.qualified}, which {names} may not execute: every query fails with 42501",
        f"GRANT EXECUTE ON FUNCTION {function.signature} TO {names};",
        table=table.qualified,
        subject=f"{policy.name}:{function.qualified}:execute",
        cause=f"policies call {function.qualified}, which {names} may not execute",
    )


def _may_not_call(function: Function, role: str, view: Viewpoint) -> bool:
    """Say whether EXECUTE was taken from a role; a hosted platform's own grant is one of its own."""
    rights = view.rights_of(role)
    if not function.language or function.owner in rights or not rights.isdisjoint(function.executors):
        return False
    return (function.signature, "execute", role) in view.catalogue.revoked or not view.hosted


# RLS022 through functions, which PostgreSQL notices only when they run


def _endless(tree: exp.Expr, where: str, policy: Policy, table: Table, view: Viewpoint) -> Iterator[Finding]:
    """Name a function that reads, as its caller, the table whose policy calls it."""
    if policy.command not in {"all", "select"} or not table.enabled:
        return
    for name, _ in called_functions(tree):
        for function in view.session.functions(name):
            if any(_leads_to(other, table, view, frozenset()) for other in _read_as_caller(function, view)):
                yield RLS022.finding(
                    view.place(policy, table),
                    f"{where} calls {function.qualified}, which reads {table.qualified} with its caller's "
                    "rights, so that its policy calls it again: every query fails with 54001 or 42P17",
                    f"ALTER FUNCTION {function.signature} SECURITY DEFINER; with a search_path, and let it "
                    "ask who calls",
                    table=table.qualified,
                    subject=f"{policy.name}:{function.qualified}",
                )
                return


def _leads_to(at: Table, start: Table, view: Viewpoint, seen: frozenset[str]) -> bool:
    if at.qualified == start.qualified:
        return True
    if not at.enabled or at.qualified in seen:
        return False
    below = seen | {at.qualified}
    return any(
        _leads_to(other, start, view, below) for tree in _seen_by(at, view) for other in _all(tree, view)
    )


def _all(tree: exp.Expr, view: Viewpoint) -> Iterator[Table]:
    """Yield the tables that an expression reads as the role, in place and through functions."""
    in_place = (view.catalogue.table(name) for name in _relations(tree, view))
    yield from (table for table in in_place if table is not None)
    for name, _ in called_functions(tree):
        for function in view.session.functions(name):
            yield from _read_as_caller(function, view)


def _read_as_caller(function: Function, view: Viewpoint) -> Iterator[Table]:
    if function.security_definer:
        return
    for name in dict.fromkeys(_READ.findall(body_text(function).replace('"', ""))):
        table = view.catalogue.table(name)
        if table is not None:
            yield table
