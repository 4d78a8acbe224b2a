"""Rules over what reads tenant rows beside a query: views, publications, partitions, triggers, rules.

Each runs with somebody's rights; the question is whether row security binds that somebody, and
whether the role that serves tenants can get there. Functions are `lint.rules.definers`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from lint.rules.database_rules import RLS030, RLS031, RLS033, RLS034
from lint.rules.results import body_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.catalogue import Catalogue, Function, RewriteRule, Table, Trigger, View
    from lint.report import Finding
    from lint.rules.viewpoint import Viewpoint

_WRITES = re.compile(
    r'\b(?:insert\s+into|update(?:\s+only)?)\s+("?[\w$]+"?(?:\s*\.\s*"?[\w$]+"?)?)', re.IGNORECASE
)
#: A partition whose name is put together, and what would protect it.
_MADE_PARTITION = re.compile(
    r"create\s+table\s[^;]{0,300}?\bpartition\s+of\s+(?:(\"?\w+\"?)\.)?\"?(\w+)", re.IGNORECASE
)
_PROTECTS = re.compile(r"enable\s+row\s+level\s+security|revoke\b", re.IGNORECASE)


# Views


def view_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS030 and RLS031 for the views the role can read."""
    for one in view.catalogue.views.values():
        if not view.privileges(one.qualified):
            continue
        if one.security_invoker and not one.materialized:
            yield from _without_grants(one, _protected(one.reads, view), view)
            continue
        yield from _read_by(one, view)
        yield from _through_another(one, view)


def _protected(names: Iterable[str], view: Viewpoint) -> list[Table]:
    return [view.catalogue.tables[name] for name in sorted(names) if view.is_protected(name)]


def _through_another(one: View, view: Viewpoint, seen: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """RLS030 and RLS031 for a view that the role may not read by itself, and reads through another.

    A view reads another with its owner's rights; the tables below are read with the rights of the inner
    view's owner, or with those of who asks where that one has security_invoker.
    """
    for name in one.reads:
        inner = view.catalogue.views.get(name)
        if inner is None or name in seen or view.privileges(name) or inner.security_invoker:
            continue
        for finding in _read_by(inner, view):
            told = f"{finding.message} ({view.role} reads it through {one.qualified})"
            yield replace(finding, message=told)
        yield from _through_another(inner, view, seen | {name})


def _read_by(one: View, view: Viewpoint) -> Iterator[Finding]:
    """Yield what a view shows that reads with its owner's rights."""
    protected = _protected(view.tables_below(one) if one.materialized else one.reads, view)
    if protected and one.materialized:
        yield _materialized(one, protected, view)
    elif protected:
        yield from _as_owner(one, protected, view)


def _materialized(one: View, tables: list[Table], view: Viewpoint) -> Finding:
    return RLS031.finding(
        view.place(one),
        f"materialized view {one.qualified} stores rows of {_names(tables)} as "
        f"{view.owner_text(one.owner)} saw them, and "
        f"{view.role} reads all of it: row security cannot bind it",
        f"REVOKE ALL ON {one.schema}.{one.name} FROM {view.role}; and serve it through a table",
        table=one.qualified,
    )


def _as_owner(one: View, tables: list[Table], view: Viewpoint) -> Iterator[Finding]:
    fix = f"ALTER VIEW {one.schema}.{one.name} SET (security_invoker = true);"
    for table in tables:
        why = view.exempt(one.owner, table)
        if why is not None:
            yield RLS030.finding(
                view.place(one),
                f"view {one.qualified} reads {table.qualified} as {view.owner_text(one.owner)}, and "
                f"{why}: {view.role} sees {whose_rows(table)} through it",
                fix,
                table=one.qualified,
                subject=table.qualified,
            )
            return
    if view.from_history and one.owner is None:
        yield _as_unknown_owner(one, tables[0], view)
        return
    blind = [t for t in tables if one.owner and not view.permissive(t, "select", one.owner)]
    if blind:
        yield RLS030.finding(
            view.place(one),
            f"view {one.qualified} reads {blind[0].qualified} as {one.owner}, for whom no policy is: it "
            "shows 0 rows to everyone",
            fix,
            table=one.qualified,
            subject=blind[0].qualified,
            severity="warning",
        )


def _as_unknown_owner(one: View, table: Table, view: Viewpoint) -> Finding:
    return RLS030.finding(
        view.place(one),
        f"view {one.qualified} reads {table.qualified} with the rights of whoever runs the migrations: a "
        f"superuser, or a role with BYPASSRLS, and {view.role} sees {whose_rows(table)} through it",
        f"ALTER VIEW {one.schema}.{one.name} SET (security_invoker = true);",
        table=one.qualified,
        subject=table.qualified,
        severity="warning",
        cause="views without security_invoker over forced tables",
    )


def _without_grants(one: View, tables: list[Table], view: Viewpoint) -> Iterator[Finding]:
    closed = [table for table in tables if "select" not in view.privileges(table.qualified)]
    if closed:
        yield RLS030.finding(
            view.place(one),
            f"view {one.qualified} reads with its caller's rights, and {view.role} has none on "
            f"{closed[0].qualified}: it fails with 42501",
            f"GRANT SELECT ON {closed[0].written} TO {view.role};",
            table=one.qualified,
            subject=closed[0].qualified,
            severity="warning",
        )


def publication_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS031 for publications, which stream rows without asking any policy."""
    if view.hosted and view.from_history:
        return  # the platform asks the policies before it sends a change to a client
    published: dict[str, list[str]] = {}
    for one in view.catalogue.publications:
        if view.is_protected(one.table) and one.row_filter is None:
            published.setdefault(one.publication, []).append(one.table)
    for publication, tables in published.items():
        more = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
        yield RLS031.finding(
            view.place(view.catalogue.tables[tables[0]]),
            f"publication {publication} streams every tenant's rows of {tables[0]}{more} to whoever may "
            "subscribe",
            "nothing, if every subscriber may hold all tenants' rows; else a publication with a row filter",
            table=tables[0],
            subject=publication,
            severity="info",
        )


def _names(tables: list[Table]) -> str:
    return ", ".join(table.qualified for table in tables)


def whose_rows(table: Table) -> str:
    """Say what an exempt reader gets; only a table that has tenants has rows of theirs."""
    return "every tenant's rows" if table.tenant_column else "every row"


# Partitions and children


def child_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS033 for partitions and inheritance children that answer without row security."""
    for table in view.catalogue.tables.values():
        parents = (table.parent,) if table.parent else table.inherits
        protected = next((name for name in parents if _root_protected(name, view)), None)
        granted = view.commands(table)
        if protected is None or table.enabled or not granted:
            continue
        if not (view.hosted or view.granted_by_name(table)):
            continue  # nobody knows whether the application was granted the partition itself
        kind = "partition" if table.parent else "child"
        yield RLS033.finding(
            view.place(table),
            f"{table.qualified} is a {kind} of {protected} without row security, and {view.role} may "
            f"{' and '.join(granted)} it directly: every tenant's rows in it",
            f"REVOKE ALL ON {table.written} FROM {_grantees(table, view)}; "
            f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY;",
            table=table.qualified,
        )


def made_partition_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS033 for functions that make partitions of a protected table while they run.

    A partition gets no row security from its parent; what default privileges give, it answers with.
    """
    for function in view.catalogue.functions.values():
        body = body_text(function)
        for schema, name in _MADE_PARTITION.findall(body):
            parent = view.catalogue.table(".".join(part.strip('"') for part in (schema, name) if part))
            if parent is None or not view.is_protected(parent.qualified) or _PROTECTS.search(body):
                continue
            if not view.from_history or not _given_by_default(parent.schema, view):
                continue
            yield RLS033.finding(
                view.place(function),
                f"function {function.qualified} makes partitions of {parent.qualified} without row security, "
                f"and {view.role} is granted each new table: every tenant's rows in it",
                "enable row security in it, with a policy, or revoke the partition from who serves tenants",
                table=parent.qualified,
                subject=function.signature,
            )


def _given_by_default(schema: str, view: Viewpoint) -> bool:
    """Say whether new tables of a schema are readable to the role as soon as they are made."""
    given = (one for one in view.catalogue.default_privileges if one.objects == "tables")
    return view.hosted or any(
        one.grantee in view.rights and one.privilege == "select" and one.schema in {None, schema}
        for one in given
    )


def _root_protected(name: str, view: Viewpoint) -> bool:
    if view.is_protected(name):
        return True
    table = view.catalogue.tables.get(name)
    return table is not None and table.parent is not None and _root_protected(table.parent, view)


def _grantees(table: Table, view: Viewpoint) -> str:
    found = {grant.grantee for grant in view.catalogue.grants_on(table.qualified)} & view.rights
    return ", ".join(sorted(found)) or view.role


# Triggers and rules


def copy_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS034 for triggers and rules that write into tables without row security."""
    for table in view.catalogue.tables.values():
        if not view.is_protected(table.qualified):
            continue
        for what, source, name in _copies(table, view):
            target = view.catalogue.tables.get(name)
            if target is not None and _is_open_copy(target, table, view):
                yield RLS034.finding(
                    view.place(source, table),
                    f"{what} on {table.qualified} writes into {name}, which has no row security and which "
                    f"{view.role} may read: every tenant's rows in it",
                    f"give {name} row security of its own, or take the right to read it from {view.sql_role}",
                    table=name,
                    subject=f"{table.qualified}:{what}",
                )


def _copies(table: Table, view: Viewpoint) -> Iterator[tuple[str, Trigger | RewriteRule, str]]:
    """Yield (what writes, it, the table it writes into), triggers and rules by name."""
    for trigger in sorted(table.triggers, key=lambda one: one.name):
        if trigger.enabled:
            for target in sorted(_targets(trigger.function, view)):
                yield f"trigger {trigger.name}", trigger, target
    for rule in sorted(table.rules, key=lambda one: one.name):
        for target in sorted(rule.reads):
            yield f"rule {rule.name}", rule, target


def _is_open_copy(target: Table, table: Table, view: Viewpoint) -> bool:
    if target.enabled or target.qualified == table.qualified or view.config.is_global(target.qualified):
        return False
    return "select" in view.privileges(target.qualified)


def _targets(function: str, view: Viewpoint) -> frozenset[str]:
    """Return the tables that a trigger's function writes, by what its text says."""
    found: set[str] = set()
    for one in view.session.functions(function):
        for written in _WRITES.findall(body_text(one)):
            parts = [part.strip().strip('"') for part in written.split(".")]
            schemas = parts[:1] if len(parts) > 1 else _path(one, view.catalogue)
            candidates = [f"{schema}.{parts[-1]}" for schema in schemas]
            found.update(name for name in candidates if name in view.catalogue.tables)
    return frozenset(found)


def _path(function: Function, catalogue: Catalogue) -> list[str]:
    if function.search_path:
        return [part.strip().strip("\"'") for part in function.search_path.split(",")]
    return ["public", *(schema for schema in catalogue.schemas if schema != "public")]
