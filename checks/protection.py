"""Why tenant rows would not be protected, from what the live catalog says of tables and roles.

The rule is PostgreSQL's (manual, section 5.9): without ENABLE no policy applies, without FORCE the
owner is exempt, permissive policies are OR-ed so that one wide policy opens the table, and a missing
WITH CHECK repeats USING.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.policy_text import binds_bypass, binds_tenant, is_constant_true
from evidence.kinds.postgres import DefinerRoutine, LoginRole, Policy, RowSecurity, Table

TENANT = "tenant"
UNCLASSIFIED = "unclassified"
TENANT_COLUMN = "tenant_id"
EVERYONE = "public"
BYPASS_ROLE = "core_bypass"
_READS = frozenset({"ALL", "SELECT", "UPDATE", "DELETE"})
_WRITES = frozenset({"ALL", "INSERT", "UPDATE"})


def tenant_tables(seen: RowSecurity) -> tuple[Table, ...]:
    """The tables that hold tenant data: declared so, or undeclared and naming a tenant."""
    return tuple(table for table in seen.tables if holds_tenant_data(table))


def holds_tenant_data(table: Table) -> bool:
    """Whether a table counts as tenant data; one that nobody classified does, if it names a tenant."""
    return table.classification == TENANT or (
        table.classification == UNCLASSIFIED and table.tenant_column is not None
    )


def flaws(table: Table, application_role: str) -> tuple[str, ...]:
    """Every reason why rows of `table` could reach another tenant; empty when it is protected."""
    return tuple(_flaws(table, application_role))


def enforced(seen: RowSecurity) -> int:
    """How many tenant tables have no flaw."""
    return sum(1 for table in tenant_tables(seen) if not flaws(table, seen.application_role))


def clauses(policy: Policy) -> Iterator[tuple[str, str | None]]:
    """The clauses that a policy's command uses, by name, with the text that applies."""
    command = policy.command.upper()
    if command in _READS:
        yield "USING", policy.using
    if command in _WRITES:
        yield "WITH CHECK", policy.check if policy.check is not None else policy.using


def _flaws(table: Table, application_role: str) -> Iterator[str]:
    if not table.enabled:
        yield "row security is not enabled"
    if not table.forced:
        yield "row security is not forced, so the owner is exempt"
    column = table.tenant_column or TENANT_COLUMN
    permissive = [policy for policy in table.policies if policy.permissive]
    bound = [policy for policy in permissive if _is_bound(policy, column)]
    if not any(_applies(policy, application_role) for policy in bound):
        yield "no permissive policy binds the application role to app.current_tenant()"
    for policy in permissive:
        if policy not in bound and not _is_bypass(policy, column, application_role):
            yield f"permissive policy {policy.name} {_fault(policy, column)}"


def _applies(policy: Policy, role: str) -> bool:
    return role in policy.roles or EVERYONE in policy.roles


def _is_bound(policy: Policy, column: str) -> bool:
    texts = [text for _, text in clauses(policy)]
    return bool(texts) and all(text is not None and binds_tenant(text, column) for text in texts)


def _is_bypass(policy: Policy, column: str, application_role: str) -> bool:
    """The bypass's own policy: for another role alone, and bound to the scope of its grant."""
    texts = [text for _, text in clauses(policy)]
    return (
        bool(texts)
        and bool(policy.roles)
        and not _applies(policy, application_role)
        and all(text is not None and binds_bypass(text, column) for text in texts)
    )


def _fault(policy: Policy, column: str) -> str:
    texts = dict(clauses(policy))
    wide = [name for name, text in texts.items() if text is not None and is_constant_true(text)]
    if wide:
        return f"is true for every row in {' and '.join(wide)}"
    loose = [name for name, text in texts.items() if text is None or not binds_tenant(text, column)]
    return f"does not bind {column} to app.current_tenant() in {' and '.join(loose) or policy.command}"


def judged_roles(seen: RowSecurity) -> tuple[LoginRole, ...]:
    """The logins of the platform and every other, save the cluster's own superusers."""
    named = (seen.application_role, BYPASS_ROLE)
    return tuple(role for role in seen.roles if role.name in named or (role.can_login and not role.superuser))


def ways_round(seen: RowSecurity) -> Iterator[tuple[str, str]]:
    """Each way round row security, as (what, where): a role, a definer routine or a view."""
    for role in judged_roles(seen):
        yield from ((what, role.name) for what in _powers(role))
    for routine in seen.definer_routines:
        yield from ((what, routine.name) for what in _routine_faults(routine))
    for view in seen.views:
        if view.reads and view.materialized:
            yield "a materialized view keeps tenant rows without policies", view.name
        elif view.reads and not view.security_invoker:
            yield "a view over tenant tables without security_invoker", view.name


def _powers(role: LoginRole) -> Iterator[str]:
    if role.superuser:
        yield "is a superuser, whom no policy binds"
    if role.bypass_rls:
        yield "has BYPASSRLS"
    if role.owns_tables:
        yield f"owns {role.owns_tables} tables and may switch their row security off"
    if role.member_of:
        yield f"is a member of {', '.join(role.member_of)} and may become it"


def _routine_faults(routine: DefinerRoutine) -> Iterator[str]:
    if routine.reads and routine.owner_bypasses:
        yield f"a definer routine that runs as {routine.owner}, whom no policy binds"
    if routine.reads and not routine.pinned_search_path:
        yield "a definer routine over tenant tables that does not pin search_path"
