"""GRANT, REVOKE, default privileges, roles and their settings, read from tokens.

Grammar: PostgreSQL manual, GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, CREATE ROLE, ALTER ROLE.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lint.history import facts
from lint.history.routines import read_setting, routines
from lint.history.sql import Cursor

if TYPE_CHECKING:
    from lint.history.facts import Fact, Objects

_OBJECTS: dict[str, Objects] = {
    "TABLE": "relation",
    "SEQUENCE": "sequence",
    "FUNCTION": "function",
    "PROCEDURE": "function",
    "ROUTINE": "function",
    "SCHEMA": "schema",
}
_PLURALS: dict[str, Objects] = {
    "TABLES": "relation",
    "SEQUENCES": "sequence",
    "FUNCTIONS": "function",
    "PROCEDURES": "function",
    "ROUTINES": "function",
}
_DEFAULTS: dict[str, Literal["tables", "sequences", "functions", "types", "schemas"]] = {
    "TABLES": "tables",
    "SEQUENCES": "sequences",
    "FUNCTIONS": "functions",
    "ROUTINES": "functions",
    "TYPES": "types",
    "SCHEMAS": "schemas",
}
#: Objects whose grants no rule reads.
_OTHERS = frozenset({"DATABASE", "TYPE", "DOMAIN", "LANGUAGE", "FOREIGN", "TABLESPACE", "PARAMETER", "LARGE"})
_ATTRIBUTES = {
    "SUPERUSER": "superuser",
    "BYPASSRLS": "bypass_row_security",
    "LOGIN": "login",
    "INHERIT": "inherit",
    "CREATEROLE": "create_role",
    "CREATEDB": "create_database",
    "REPLICATION": "replication",
}


def grant(cursor: Cursor) -> list[Fact]:
    """Read GRANT with the cursor behind it."""
    return _privileges(cursor, revoked=False)


def revoke(cursor: Cursor) -> list[Fact]:
    """Read REVOKE with the cursor behind it."""
    return _privileges(cursor, revoked=True)


def _privileges(cursor: Cursor, *, revoked: bool) -> list[Fact]:
    option = _option_for(cursor) if revoked else ""
    named, on_columns = _named_privileges(cursor)
    if not cursor.eat("ON"):
        return _roles(cursor, named, revoked=revoked, option=option)
    found = _objects(cursor)
    if found is None:
        return []
    kind, relations, functions, schemas, routine_kind = found
    cursor.expect("FROM" if revoked else "TO")
    return [
        facts.GrantPrivileges(
            relations,
            tuple(privilege.lower() for privilege in named),
            grantees(cursor),
            revoked,
            kind,
            on_columns,
            functions,
            schemas,
            cursor.has("GRANT", "OPTION"),
            routine_kind,
            option == "GRANT",
        )
    ]


def _option_for(cursor: Cursor) -> str:
    for word in ("GRANT", "ADMIN", "INHERIT", "SET"):
        if cursor.eat(word, "OPTION", "FOR"):
            return word
    return ""


def _named_privileges(cursor: Cursor) -> tuple[list[str], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Read the list before ON, TO or FROM: privileges (or roles), and those on columns."""
    named: list[str] = []
    on_columns: list[tuple[str, tuple[str, ...]]] = []
    while not cursor.done and cursor.word() not in {"ON", "TO", "FROM"}:
        privilege = cursor.identifier()
        if privilege == "all":
            cursor.eat("PRIVILEGES")
        if cursor.word() == "SYSTEM":
            cursor.at += 1
        if cursor.word() == "(":
            on_columns.append((privilege.lower(), tuple(one.identifier() for one in cursor.elements())))
        else:
            named.append(privilege)
        if not cursor.eat(","):
            break
    return named, tuple(on_columns)


_RoutineKind = Literal["function", "procedure"] | None
_Found = tuple["Objects", tuple[facts.Name, ...], tuple[facts.Routine, ...], tuple[str, ...], _RoutineKind]
_ROUTINE_KINDS: dict[str, _RoutineKind] = {"FUNCTIONS": "function", "PROCEDURES": "procedure"}


def _objects(cursor: Cursor) -> _Found | None:
    """Read what stands behind ON: kind, relations, functions, schemas; None for what no rule reads."""
    if cursor.eat("ALL"):
        plural = cursor.word()
        if plural not in _PLURALS:
            raise ValueError("expected TABLES, SEQUENCES or FUNCTIONS")
        cursor.at += 1
        cursor.expect("IN", "SCHEMA")
        return _PLURALS[plural], (), (), cursor.identifiers(), _ROUTINE_KINDS.get(plural)
    word = cursor.word()
    is_keyword = cursor.word(1) not in {"TO", "FROM", ",", "."}
    if word in _OTHERS and is_keyword:
        return None
    kind = _OBJECTS.get(word) if is_keyword else None
    cursor.at += kind is not None
    if kind == "function":
        return kind, (), routines(cursor), (), None
    if kind == "schema":
        return kind, tuple((name,) for name in cursor.identifiers()), (), (), None
    return kind or "relation", cursor.names(), (), (), None


def grantees(cursor: Cursor) -> tuple[str, ...]:
    """Read roles, PUBLIC as "public"; CURRENT_USER and its like stay words."""
    found = []
    while True:
        cursor.eat("GROUP")
        found.append(cursor.identifier())
        if not cursor.eat(","):
            return tuple(found)


def _roles(cursor: Cursor, roles: list[str], *, revoked: bool, option: str) -> list[Fact]:
    if not cursor.eat("FROM" if revoked else "TO"):
        raise ValueError("expected ON or TO")
    members = grantees(cursor)
    options = _membership_options(cursor)
    return [
        facts.GrantRoles(
            tuple(roles),
            members,
            revoked,
            False if option == "INHERIT" else options.get("INHERIT"),
            False if option == "SET" else options.get("SET"),
            False if option == "ADMIN" else options.get("ADMIN"),
            bool(option),
        )
    ]


def _membership_options(cursor: Cursor) -> dict[str, bool]:
    """Read WITH ADMIN OPTION, and WITH INHERIT TRUE, SET FALSE of PostgreSQL 16."""
    found: dict[str, bool] = {}
    if not cursor.eat("WITH"):
        return found
    for one in cursor.rest_elements():
        word = one.word()
        if word in {"ADMIN", "INHERIT", "SET"}:
            found[word] = one.word(1) != "FALSE"
    return found


def default_privileges(cursor: Cursor) -> list[Fact]:
    """Read ALTER DEFAULT PRIVILEGES with the cursor behind it."""
    owners: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    while cursor.word() in {"FOR", "IN"}:
        if cursor.eat("IN", "SCHEMA"):
            schemas = cursor.identifiers()
        else:
            cursor.at += 2
            owners = cursor.identifiers()
    revoked = cursor.eat("REVOKE")
    if revoked:
        _option_for(cursor)
    else:
        cursor.expect("GRANT")
    named, _ = _named_privileges(cursor)
    cursor.expect("ON")
    objects = _DEFAULTS.get(cursor.word())
    cursor.at += 1
    if objects is None:
        cursor.skip_to("TO", "FROM")
    cursor.expect("FROM" if revoked else "TO")
    return [
        facts.DefaultPrivileges(objects or "other", tuple(named), grantees(cursor), owners, schemas, revoked)
    ]


@dataclass
class _RoleClauses:
    """What CREATE or ALTER ROLE says beside the name."""

    attributes: dict[str, bool] = field(default_factory=dict)
    #: Roles the new one becomes a member of, its members, and members that may grant it.
    roles: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()


def create_role(cursor: Cursor) -> list[Fact]:
    """Read CREATE ROLE, USER or GROUP with the cursor on that word."""
    is_user = cursor.word() == "USER"
    cursor.at += 1
    if is_user and cursor.eat("MAPPING"):
        return []
    name = cursor.identifier()
    clauses = _role_clauses(cursor)
    if is_user:
        clauses.attributes.setdefault("login", True)
    found: list[Fact] = [facts.AlterRole(name, **clauses.attributes, created=True)]
    if clauses.roles:
        found.append(facts.GrantRoles(clauses.roles, (name,)))
    if clauses.members:
        found.append(facts.GrantRoles((name,), clauses.members))
    if clauses.admins:
        found.append(facts.GrantRoles((name,), clauses.admins, admin=True))
    return found


def _role_clauses(cursor: Cursor) -> _RoleClauses:
    found = _RoleClauses()
    while not cursor.done:
        word = cursor.word()
        cursor.at += 1
        if word in _ATTRIBUTES:
            found.attributes[_ATTRIBUTES[word]] = True
        elif word.startswith("NO") and word[2:] in _ATTRIBUTES:
            found.attributes[_ATTRIBUTES[word[2:]]] = False
        elif word == "IN":
            cursor.at += 1  # ROLE or GROUP
            found.roles += cursor.identifiers()
        elif word in {"ROLE", "USER"}:
            found.members += cursor.identifiers()
        elif word == "ADMIN":
            found.admins += cursor.identifiers()
    return found


def alter_role(cursor: Cursor) -> list[Fact]:
    """Read ALTER ROLE, USER or GROUP with the cursor on that word."""
    is_group = cursor.word() == "GROUP"
    cursor.at += 1
    if cursor.eat("MAPPING"):
        return []
    name = cursor.identifier()
    if cursor.eat("RENAME", "TO"):
        return [facts.RenameRole(name, cursor.identifier())]
    if is_group and cursor.word() in {"ADD", "DROP"}:
        revoked = cursor.word() == "DROP"
        cursor.at += 2
        return [facts.GrantRoles((name,), cursor.identifiers(), revoked)]
    role = None if name == "all" else name
    database = cursor.identifier() if cursor.eat("IN", "DATABASE") else None
    if cursor.word() in {"SET", "RESET"}:
        return [_setting(cursor, role, database)]
    return [facts.AlterRole(name, **_role_clauses(cursor).attributes)]


def alter_database(cursor: Cursor) -> list[Fact]:
    """Read ALTER DATABASE … SET or RESET with the cursor behind DATABASE."""
    name = cursor.identifier()
    return [_setting(cursor, None, name)] if cursor.word() in {"SET", "RESET"} else []


def _setting(cursor: Cursor, role: str | None, database: str | None) -> Fact:
    if cursor.eat("RESET"):
        return facts.ChangeSetting(".".join(cursor.name()), None, role, database)
    cursor.expect("SET")
    name, value = read_setting(cursor)
    return facts.ChangeSetting(name, value, role, database)


def owned(cursor: Cursor, *, dropped: bool) -> list[Fact]:
    """Read REASSIGN OWNED BY or DROP OWNED BY with the cursor on OWNED."""
    cursor.expect("OWNED", "BY")
    roles = cursor.identifiers()
    if dropped:
        return [facts.ReassignOwned(roles, None)]
    cursor.expect("TO")
    return [facts.ReassignOwned(roles, cursor.identifier())]
