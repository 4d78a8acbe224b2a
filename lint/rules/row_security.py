"""Rules over a catalogue: is each tenant's row out of the others' reach?

They read only the model, so the same rules judge migrations and a live database. What PostgreSQL
does in each case is in its manual, chapter 5.9 (row security policies).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.catalogue import PUBLIC, Place
from lint.config import path_matches
from lint.rules.bypass_rules import BYP006
from lint.rules.database_rules import RLS011, RLS012, RLS016
from lint.rules.predicates import PredicateError, always_true
from lint.rules.table_rules import RLS001, RLS002, RLS003, RLS004, RLS010, RLS090

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.catalogue import Catalogue, ForeignKey, Policy, Table
    from lint.config import LintConfig
    from lint.report import Finding, Severity

#: Schemas whose relations are PostgreSQL's own.
SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})
#: The roles as which a hosted Supabase database serves clients, and all it is reached with.
HOSTED_CLIENTS = ("authenticated", "anon")
_HOSTED_ROLES = frozenset({*HOSTED_CLIENTS, "service_role"})
#: Columns that say a row belongs to somebody, so that "readable by all" is not by design.
_OWNING_COLUMNS = ("user_id", "owner_id", "owner", "created_by", "profile_id", "customer_id")
#: Columns that tell of a person, so that a table is no list for everybody to read.
_PERSONAL_COLUMNS = ("actor_id", "agent_id", "performed_by", "member_id", "email", "phone", "ip_address")
#: Words in the names of tables that hold what not everybody may read.
_KEPT = frozenset(
    {"audit", "audits", "log", "logs", "secret", "secrets", "token", "tokens", "session", "sessions"}
)

#: A setting that an application makes for itself; those of `request.` are the platform's gateway's.
_OWN_SETTING = re.compile(r"current_setting\s*\(\s*'(?!request\.)\w+\.", re.IGNORECASE)

#: Words in a policy's name that say that everybody is meant.
_MEANT_FOR_ALL = frozenset(
    {
        "public",
        "everyone",
        "everybody",
        "anyone",
        "anybody",
        "anon",
        "viewable",
        "published",
        "shared",
        "world",
    }
)


def role_findings(catalogue: Catalogue, config: LintConfig) -> Iterator[Finding]:
    """Yield the roles that migrations exempt from every policy, outside the verified package."""
    for role in catalogue.roles.values():
        if not (role.bypass_row_security or role.superuser) or role.place is None:
            continue
        if path_matches(role.place.path, config.verified_packages):
            continue
        attribute = "SUPERUSER" if role.superuser else "BYPASSRLS"
        yield BYP006.finding(
            role.place,
            f"role {role.name} is made {attribute}: whoever may become it reads every tenant's rows, "
            "whatever the policies say",
            f"ALTER ROLE {role.name} NO{attribute}; and give it a policy of its own",
            subject=f"role:{role.name}",
        )


def _place(table: Table, catalogue: Catalogue) -> Place:
    return table.place or Place(catalogue.source)


def unprotected(table: Table) -> Iterator[Finding]:
    """RLS001 and RLS002: tenant rows, or policies, without row security."""
    if table.enabled or not table.known:
        return
    place = table.place or Place(table.qualified)
    name = table.qualified
    if table.policies:
        first = table.policies[0]
        yield RLS002.finding(
            first.place or place,
            f"{name} has {_count(len(table.policies), 'policy', 'policies')} that PostgreSQL ignores: "
            "row security is not enabled, every row is visible",
            f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY;",
            table=name,
        )
    elif table.tenant_column and not table.parent and not table.inherits:
        yield RLS001.finding(
            place,
            f"{name} holds tenant rows ({table.tenant_column}) without row security: "
            "any role that may read it reads every tenant's rows",
            f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; "
            f"and a policy on {table.tenant_column}",
            table=name,
            cause="tenant tables without row security",
        )


def unprotected_child(table: Table, catalogue: Catalogue) -> Iterator[Finding]:
    """RLS001 for rows that belong to a protected tenant's row by a key, and are not protected themselves."""
    if table.enabled or not table.known or table.policies or table.tenant_column:
        return
    if table.parent or table.inherits:
        return
    key = next((key for key in table.foreign_keys if _belongs(key, table, catalogue)), None)
    if key is None:
        return
    columns = ", ".join(key.columns)
    target = catalogue.tables[key.target]
    sibling = _protected_sibling(table, key, catalogue)
    beside = f", and {sibling.qualified}, which has the same key, is protected" if sibling else ""
    yield RLS001.finding(
        table.place or Place(table.qualified),
        f"{table.qualified} holds rows of {target.qualified} ({columns}), which is protected, without row "
        f"security: any role that may read it reads every tenant's rows{beside}",
        f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; and a policy "
        f"that looks {columns} up in {target.qualified}",
        table=table.qualified,
        severity="error" if sibling else "warning",
        cause="" if sibling else "children of tenant tables without row security",
    )


def _belongs(key: ForeignKey, table: Table, catalogue: Catalogue) -> bool:
    """Say whether every row of a table belongs to one row of a tenant table under row security."""
    target = catalogue.tables.get(key.target)
    if target is None or not (target.enabled and target.permissive and target.tenant_column):
        return False
    if _holds_itself(target):
        return False
    columns = [table.column(name) for name in key.columns]
    return bool(columns) and all(column is not None and not column.nullable for column in columns)


def _holds_itself(table: Table) -> bool:
    """Say whether the tenant column is the whole key: rows of such a table are the tenants."""
    return any(key.kind == "primary" and key.columns == (table.tenant_column,) for key in table.keys)


def _protected_sibling(table: Table, key: ForeignKey, catalogue: Catalogue) -> Table | None:
    """Return another table without a tenant column that has the same key and is protected."""
    return next(
        (
            other
            for other in catalogue.tables.values()
            if other is not table
            and other.enabled
            and other.permissive
            and not other.tenant_column
            and any((one.columns, one.target) == (key.columns, key.target) for one in other.foreign_keys)
        ),
        None,
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def nothing_permitted(table: Table, catalogue: Catalogue) -> Iterator[Finding]:
    """RLS003: row security without a permissive policy."""
    if not table.enabled or table.permissive or not table.known or table.parent or table.half_read:
        return
    granted = any(grant.grantee != table.owner for grant in catalogue.grants_on(table.qualified))
    if not table.policies and not table.tenant_column and not granted:
        return  # closed to everyone by design: nobody was promised a row
    only = "only restrictive policies" if table.policies else "no policy"
    yield RLS003.finding(
        table.security_place or _place(table, catalogue),
        f"{table.qualified} has row security and {only}: reads return 0 rows and writes touch 0 "
        "rows, in silence",
        f"CREATE POLICY tenant ON {table.written} USING "
        f"({table.tenant_column or 'tenant_id'} = <the bound tenant>);",
        table=table.qualified,
    )


def not_forced(table: Table, *, owner_reads: bool) -> Iterator[Finding]:
    """RLS004: FORCE is missing, or stands without ENABLE."""
    name = table.qualified
    place = table.security_place or table.place or Place(name)
    if table.forced and not table.enabled:
        yield RLS004.finding(
            place,
            f"{name} is FORCEd but row security is not enabled, so nothing is enforced",
            f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY;",
            table=name,
            severity="error",
        )
    elif table.enabled and not table.forced and table.tenant_column and not table.parent:
        if not owner_reads:
            return
        yield RLS004.finding(
            place,
            f"{name} does not force row security: its owner"
            f"{f' ({table.owner})' if table.owner else ''} reads every tenant's rows",
            f"ALTER TABLE {table.written} FORCE ROW LEVEL SECURITY;",
            table=name,
            cause="row security is enabled and not forced",
        )


def hosted(catalogue: Catalogue) -> bool:
    """Say whether a hosted platform connects as its own roles, never as the owner of the tables.

    Policies that ask the platform who is signed in say so, unless a setting of the project's own stands
    beside that question: then an application connects by itself too, and no role of the platform is named.
    """
    if not _HOSTED_ROLES.isdisjoint(grant.grantee for grant in catalogue.grants):
        return True
    policies = [policy for table in catalogue.tables.values() for policy in table.policies]
    if any(not _HOSTED_ROLES.isdisjoint(policy.roles) for policy in policies):
        return True
    clauses = [clause for policy in policies for _, clause in policy.clauses()]
    if any(_OWN_SETTING.search(clause) for clause in clauses):
        return False
    return any(call in clause for clause in clauses for call in ("auth.uid(", "auth.jwt("))


def policy_always_true(policy: Policy, table: Table, catalogue: Catalogue) -> Iterator[Finding]:
    """RLS010: a clause of a permissive policy that is true for every row."""
    place = policy.place or _place(table, catalogue)
    for clause, expression in policy.clauses():
        try:
            proof = always_true(expression, table, catalogue)
        except PredicateError as error:
            yield RLS090.finding(
                place,
                f"{clause} of policy {policy.name} on {table.qualified} was not analysed: {error}",
                "write the expression so that it can be parsed, or review it by hand",
                table=table.qualified,
                subject=f"{policy.name}:{clause}",
            )
            continue
        if proof is None or (proof.by_design and _shared_by_design(policy, table)):
            continue
        severity = _severity_of_open(policy, clause, table) if proof.by_design else None
        yield RLS010.finding(
            place,
            f"policy {policy.name} on {table.qualified}: {clause} {proof.reason}, so "
            f"{_consequence(policy, clause)}{_misnamed(policy)}",
            proof.fix or f"compare {table.tenant_column or 'the owning column'} with the bound tenant",
            table=table.qualified,
            subject=f"{policy.name}:{clause}",
            severity=severity,
        )


def opened(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the tables whose policies let other tenants read or write: row security binds nobody there."""
    doors = {RLS010.code, RLS011.code, RLS012.code, RLS016.code}
    return frozenset(
        one.table for one in findings if one.rule in doors and one.severity == "error" and one.table
    )


def _severity_of_open(policy: Policy, clause: str, table: Table) -> Severity | None:
    """Return how grave a plain `true` is: what a name or an inbox says on purpose is told, not blamed."""
    owned = any(table.column(name) for name in _OWNING_COLUMNS)
    if policy.command == "select":
        meant = not _MEANT_FOR_ALL.isdisjoint(re.findall(r"[a-z]+", policy.name.lower()))
        if meant:
            return "warning" if table.tenant_column else "info"
        return None if table.tenant_column or not table.known else "warning"
    inbox = clause == "WITH CHECK" and policy.command == "insert" and table.known
    if inbox and not (table.tenant_column or owned or _others_ask_the_row(policy, table)):
        return "info"
    return None


def _others_ask_the_row(policy: Policy, table: Table) -> bool:
    """Say whether another policy of the table compares one of its columns with anything."""
    names = "|".join(re.escape(column.name) for column in table.columns)
    pattern = re.compile(rf"\b(?:{names})\b", re.IGNORECASE)
    others = (other for other in table.permissive if other is not policy)
    return bool(names) and any(pattern.search(text) for other in others for _, text in other.clauses())


def _misnamed(policy: Policy) -> str:
    """Tell of a policy whose name is about a service and which is for everybody."""
    if PUBLIC in policy.roles and re.search(
        r"service|admin|internal|system|backend", policy.name, re.IGNORECASE
    ):
        return "; its name speaks of a service and it is for PUBLIC: write TO"
    return ""


def _shared_by_design(policy: Policy, table: Table) -> bool:
    """Say whether `USING (true)` for SELECT is how a table nobody owns is shared."""
    owned = any(
        table.column(name) for name in (*_OWNING_COLUMNS, *_PERSONAL_COLUMNS)
    ) or not _KEPT.isdisjoint(table.name.split("_"))
    return policy.command == "select" and table.known and not table.tenant_column and not owned


def _consequence(policy: Policy, clause: str) -> str:
    if clause == "WITH CHECK" and policy.command == "insert":
        return "a tenant can insert rows for any other"
    if clause == "WITH CHECK":
        return "a tenant can move or write rows into any other"
    verb = {"select": "read", "update": "change", "delete": "delete"}.get(policy.command, "reach")
    return f"every tenant can {verb} every row"
