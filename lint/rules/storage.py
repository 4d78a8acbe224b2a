"""RLS011 for the files of a hosted platform: storage.objects, whose rows no migration makes.

A policy that asks for the bucket alone gives its files to whoever the policy is for. A file is tied
to somebody by its owner, or by the folders in its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import PUBLIC
from lint.rules.branches import Branches
from lint.rules.database_rules import RLS011
from lint.rules.expressions import called_functions
from lint.rules.mentions import names_relation
from lint.rules.predicates import PredicateError, parse_predicate
from lint.rules.results import body_text
from lint.rules.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Policy, Table
    from lint.report import Finding
    from lint.rules.branches import Alternative, Condition
    from lint.rules.viewpoint import Viewpoint

FILES = "storage.objects"
_DOES = {
    "all": "reads, writes, overwrites and deletes",
    "select": "lists and reads",
    "insert": "uploads into",
    "update": "overwrites",
    "delete": "deletes",
}
#: Roles that a client has before anybody has signed in.
_ANYBODY = frozenset({PUBLIC, "anon"})


def storage_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield the policies on files that ask for nothing but the bucket."""
    table = view.catalogue.tables.get(FILES)
    if table is None or not view.hosted:
        return
    branches = Branches(Scope.of_table(table, view.catalogue), None, view.session, view.serving)
    for policy in table.permissive:
        if policy.command == "select" and not _ANYBODY.isdisjoint(policy.roles):
            continue  # files that are shown to the whole world
        way = _open_way(policy, branches, view) if view.applies(policy) else None
        if way is not None:
            yield _finding(policy, table, way, branches, view)


def _open_way(policy: Policy, branches: Branches, view: Viewpoint) -> Alternative | None:
    """Return a way through a policy that is not tied to anybody's files, or None."""
    text = policy.check if policy.command == "insert" else policy.using
    try:
        ways = branches.alternatives(parse_predicate(text or "false"))
    except (PredicateError, RecursionError):
        return None
    return next((way for way in ways if all(_is_open(one, branches, view) for one in way.conditions)), None)


def _is_open(condition: Condition, branches: Branches, view: Viewpoint) -> bool:
    """Say whether a condition is passed for another's file as for one's own.

    A function that asks for a role in a table of tenants, and for no tenant, is passed so too.
    """
    columns = branches.row_columns(condition.node)
    if columns:
        return columns == {"bucket_id"} and condition.kind in {"literal", "open", "anyone"}
    return condition.kind in {"anyone", "open", "elsewhere"} or _asks_role_of_any_tenant(condition, view)


def _asks_role_of_any_tenant(condition: Condition, view: Viewpoint) -> bool:
    bodies = [
        body_text(f) for name, _ in called_functions(condition.node) for f in view.session.functions(name)
    ]
    return any(
        table.tenant_column not in body and names_relation(body, table.schema, table.name)
        for body in bodies
        for table in view.tenant_tables()
        if table.tenant_column
    )


def _finding(policy: Policy, table: Table, way: Alternative, branches: Branches, view: Viewpoint) -> Finding:
    role = next((one for one in way.conditions if not branches.row_columns(one.node)), None)
    who = "every client" if role is None or role.kind in {"anyone", "open"} else f"whoever passes {role.text}"
    return RLS011.finding(
        view.place(policy, table),
        f"policy {policy.name} on {table.qualified} asks for {way.text} and not whose file it is: {who} "
        f"{_DOES[policy.command]} the files of every tenant and user",
        "ask for owner = (SELECT auth.uid()), or for a folder: (storage.foldername(name))[1] = <the tenant>",
        table=table.qualified,
        subject=policy.name,
        severity="info" if policy.command == "select" else "warning",
        cause="policies on files that ask for the bucket alone" if policy.command == "select" else "",
    )
