"""Rules over roles, grants, settings and the server: what makes every policy beside the point.

A privilege is judged as the serving role has it, through PUBLIC and through inheritance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.catalogue import PUBLIC
from lint.rules.database_rules import RLS053, RLS054, RLS055, RLS056

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import DefaultPrivilege, Grant, Membership, Place
    from lint.report import Finding, Severity
    from lint.rules.viewpoint import Viewpoint

_UNFILTERED = ("truncate", "references", "trigger")
_ROWS = ("select", "insert", "update", "delete")
_TOLD = {
    "truncate": "TRUNCATE empties it for every tenant",
    "references": "a foreign key to it tells which keys exist",
    "trigger": "a trigger sees every tenant's writes",
}
#: The superuser that initdb makes, which no migration creates.
_FIRST_SUPERUSER = "postgres"
#: Roles of PostgreSQL's own that reach files or programs of the server, and so every row.
_SERVER_ROLES = frozenset({"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"})
#: The newest fixes of faults that go round row security: minor version by major, and the fault.
_FIXED = (
    (
        "CVE-2026-14666",
        "a cached plan keeps the rights a role had before they were taken away",
        {18: 6, 17: 11, 16: 15, 15: 19, 14: 24},
    ),
    (
        "CVE-2025-8713",
        "optimizer statistics show values of rows that policies refuse",
        {17: 6, 16: 10, 15: 14, 14: 19, 13: 22},
    ),
    (
        "CVE-2024-10976",
        "sub-selects and CTEs keep the policies of another role",
        {17: 1, 16: 5, 15: 9, 14: 14, 13: 17},
    ),
    ("CVE-2023-39418", "MERGE skips the policies for UPDATE and SELECT", {15: 4}),
    ("CVE-2023-2455", "inlined functions keep the policies of another role", {15: 3, 14: 8, 13: 11}),
)
_OLDEST_SUPPORTED = 14
_MAJOR = 10000


def privilege_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS053 and RLS054 for the role and the database."""
    yield from _unfiltered(view)
    yield from _revoked_in_vain(view)
    yield from _defaults(view)
    yield from _memberships(view)
    yield from _attributes(view)
    yield from _settings(view)


# RLS053


def _unfiltered(view: Viewpoint) -> Iterator[Finding]:
    if view.hosted and view.from_history:
        return  # the platform grants everything to its clients, and never lets them run such statements
    for table in view.catalogue.tables.values():
        if not (table.tenant_column or view.is_protected(table.qualified)):
            continue
        if view.config.is_global(table.qualified):
            continue
        granted = view.privileges(table.qualified)
        found = [name for name in _UNFILTERED if name in granted]
        if not found:
            continue
        names = ", ".join(name.upper() for name in found)
        yield RLS053.finding(
            view.place(_granted(table.qualified, found, view), table),
            f"{view.role} has {names} on {table.qualified}: {'; '.join(_TOLD[name] for name in found)}",
            f"REVOKE {names} ON {table.written} FROM {_holders(table.qualified, found, view)};",
            table=table.qualified,
            severity="info" if view.hosted else None,
            cause=f"{names} granted to {_holders(table.qualified, found, view)}",
        )


def _holders(relation: str, privileges: list[str], view: Viewpoint) -> str:
    held = {
        grant.grantee for grant in view.catalogue.grants_on(relation) if grant.privilege in privileges
    } & view.rights
    return ", ".join(sorted(name.upper() if name == PUBLIC else name for name in held)) or view.role


def _granted(relation: str, privileges: list[str], view: Viewpoint) -> Grant | None:
    """Return the grant that gives the role one of the privileges, None when ownership does."""
    granted = view.catalogue.grants_on(relation)
    return next((g for g in granted if g.privilege in privileges and g.grantee in view.rights), None)


# RLS056


def _revoked_in_vain(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS056 for columns of which a privilege was revoked that the whole table still gives."""
    gathered: dict[tuple[str, str, Place | None], list[str]] = {}
    for one in view.catalogue.column_revokes:
        known = one.relation in view.catalogue.tables and one.grantee in view.rights
        if known and view.has_whole(one.relation, one.privilege):
            gathered.setdefault((one.relation, one.privilege, one.place), []).append(one.column)
    for (relation, privilege, place), columns in gathered.items():
        table, names = view.catalogue.tables[relation], ", ".join(columns)
        verb = privilege.upper()
        yield RLS056.finding(
            place or view.place(table),
            f"REVOKE {verb} ({names}) takes nothing away: {view.role} has {verb} on the whole of {relation}, "
            "and that stands above what is said of a column",
            f"REVOKE {verb} ON {table.written} FROM {view.sql_role}; GRANT {verb} (…) on what it may have",
            table=relation,
            subject=f"{privilege}:{names}",
        )


def _defaults(view: Viewpoint) -> Iterator[Finding]:
    if view.hosted and view.from_history:
        return  # as the platform does itself
    gathered: dict[tuple[str, str | None, str], list[str]] = {}
    for default in view.catalogue.default_privileges:
        if default.objects == "tables" and default.grantee in view.rights:
            key = (default.owner, default.schema, default.grantee)
            gathered.setdefault(key, []).append(default.privilege)
    for (owner, schema, grantee), privileges in gathered.items():
        unfiltered = [name for name in privileges if name in _UNFILTERED]
        told = unfiltered or [name for name in privileges if name in _ROWS]
        if not told:
            continue
        names = ", ".join(name.upper() for name in told)
        maker = f" FOR ROLE {owner}" if owner else ""
        within = f" IN SCHEMA {schema}" if schema else ""
        yield RLS053.finding(
            view.place(*_written(view, owner, schema, grantee)),
            f"each new table of {owner or 'the migrating role'}{f' in {schema}' if schema else ''} grants "
            f"{names} to {grantee} before anybody can protect it",
            f"ALTER DEFAULT PRIVILEGES{maker}{within} REVOKE {names} ON TABLES FROM {grantee};",
            subject=f"default:{owner}:{schema}:{grantee}",
            severity=_severity_of_default(unfiltered, view),
        )


def _written(view: Viewpoint, owner: str, schema: str | None, grantee: str) -> list[DefaultPrivilege]:
    return [
        default
        for default in view.catalogue.default_privileges
        if (default.owner, default.schema, default.grantee) == (owner, schema, grantee)
    ]


def _severity_of_default(unfiltered: list[str], view: Viewpoint) -> Severity:
    if view.hosted:
        return "info"
    if view.from_history and not unfiltered:
        return "info"
    return "error" if unfiltered else "warning"


# RLS054


def _memberships(view: Viewpoint) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for table in view.tenant_tables():
        if table.owner:
            owners.setdefault(table.owner, table.qualified)
    if view.from_history and view.role in owners:
        yield RLS054.finding(
            view.place(view.catalogue.tables[owners[view.role]]),
            f"{view.role} owns {owners[view.role]} and may switch its row security off",
            f"ALTER TABLE {view.catalogue.tables[owners[view.role]].written} OWNER TO <who migrates>;",
            subject="owner",
        )
    for name in sorted(view.reachable - {view.role, PUBLIC}):
        role = view.catalogue.roles.get(name)
        why = None
        if role.superuser if role is not None else name == _FIRST_SUPERUSER:
            why = "is a superuser"
        elif role is not None and role.bypass_row_security:
            why = "has BYPASSRLS"
        elif name in owners:
            why = f"owns {owners[name]} and may switch its row security off"
        elif name in _SERVER_ROLES:
            why = "reaches the server's files, and so every row"
        if why is not None:
            how = "has the rights of" if name in view.rights else "may SET ROLE to"
            yield RLS054.finding(
                view.place(_membership(view, name)),
                f"{view.role} {how} {name}, which {why}",
                f"REVOKE {name} FROM {view.role};",
                subject=f"member:{name}",
            )


def _membership(view: Viewpoint, role: str) -> Membership | None:
    return next((edge for edge in view.catalogue.memberships if edge.role == role), None)


def _attributes(view: Viewpoint) -> Iterator[Finding]:
    role = view.catalogue.roles.get(view.role)
    if role is None:
        return
    held = [
        (role.superuser, "SUPERUSER", "no policy binds it"),
        (role.bypass_row_security, "BYPASSRLS", "no policy binds it"),
        (role.create_role, "CREATEROLE", "it can give itself other roles"),
        (role.replication, "REPLICATION", "a replication slot streams every tenant's rows"),
    ]
    for has, attribute, told in held:
        if has:
            yield RLS054.finding(
                view.place(role),
                f"{view.role} has {attribute}: {told}",
                f"ALTER ROLE {view.role} NO{attribute};",
                subject=f"attribute:{attribute}",
            )


def _settings(view: Viewpoint) -> Iterator[Finding]:
    for setting in view.catalogue.settings:
        if setting.role is not None and not view.may_be(setting.role):
            continue
        name = setting.name.lower()
        where = f"ROLE {setting.role}" if setting.role else f"DATABASE {setting.database}"
        if name in view.tenancy.settings and setting.value:
            told = f"binds every connection to one tenant ({name} = {setting.value})"
        elif name == "row_security" and setting.value in {"off", "false", "0", "no"}:
            told = "makes every query on a protected table fail with 42501 (row_security = off)"
        elif name == "session_replication_role" and setting.value == "replica":
            told = "switches triggers and foreign keys off (session_replication_role = replica)"
        elif name == "role":
            told = f"makes every connection the role {setting.value}"
        else:
            continue
        yield RLS054.finding(
            view.place(setting),
            f"ALTER {where} SET {told}",
            f"ALTER {where} RESET {setting.name};",
            subject=f"setting:{where}:{name}",
        )


# RLS055


def server_findings(view: Viewpoint) -> Iterator[Finding]:
    """Yield RLS055 for the server that was asked, nothing where none was."""
    version = view.catalogue.server_version
    if version is None:
        return
    major, minor = divmod(version, _MAJOR)
    open_faults = [(cve, told, fixes) for cve, told, fixes in _FIXED if _is_open(major, minor, fixes)]
    if not open_faults:
        return
    cves = ", ".join(cve for cve, _, _ in open_faults)
    needed = max((fixes[major] for _, _, fixes in open_faults if major in fixes), default=None)
    supported = needed is not None and major >= _OLDEST_SUPPORTED
    yield RLS055.finding(
        view.place(),
        f"PostgreSQL {major}.{minor} has {cves}: {open_faults[0][1]}",
        f"install {major}.{needed} or newer" if supported else "move to a supported major version",
        subject=f"server:{major}.{minor}",
    )


def _is_open(major: int, minor: int, fixes: dict[int, int]) -> bool:
    """Say whether a fault is unfixed: below the fix, or in a major version that never got it."""
    if major in fixes:
        return minor < fixes[major]
    return major < min(fixes) and min(fixes) >= _OLDEST_SUPPORTED
