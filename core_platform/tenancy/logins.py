"""Whether a login role could reach round row security, asked of the server it will work on.

PostgreSQL exempts superusers, BYPASSRLS roles and (without FORCE) owners from policies, and a member
may `SET ROLE` to what it is a member of (manual, sections 5.9 and 22.3). Any of these makes every
policy decoration, so start-up refuses the login and names each reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from core_platform.errors import UnsafeLogin

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

APP_LOGIN: Final = "core_app"
BYPASS_LOGIN: Final = "core_bypass"

_ATTRIBUTES: Final = text(
    """
    SELECT session_user::text AS login, current_user::text AS acting,
           r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication,
           ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members m
                   JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
                  WHERE m.member = r.oid ORDER BY 1) AS memberships,
           ARRAY(SELECT c.oid::regclass::text FROM pg_catalog.pg_class c
                  WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                  ORDER BY 1) AS owned
      FROM pg_catalog.pg_roles r WHERE r.rolname = session_user
    """
)

_FORBIDDEN: Final = {
    "rolsuper": "it is a superuser, whom no policy binds",
    "rolbypassrls": "it has BYPASSRLS, which switches every policy off",
    "rolcreaterole": "it has CREATEROLE and could grant itself other roles",
    "rolreplication": "it has REPLICATION and could stream every tenant's rows",
}


def verify_login(connection: Connection, expected: str) -> None:
    """Raise `UnsafeLogin` unless the login is `expected` and has no way round row security."""
    row = connection.execute(_ATTRIBUTES).mappings().one()
    reasons = tuple(_reasons(row, expected))
    if reasons:
        raise UnsafeLogin(row["login"], reasons)


def _reasons(row: RowMapping, expected: str) -> list[str]:
    reasons = [why for attribute, why in _FORBIDDEN.items() if row[attribute]]
    if row["memberships"]:
        reasons.append(f"it is a member of {', '.join(row['memberships'])} and could SET ROLE")
    if row["owned"]:
        reasons.append(f"it owns {', '.join(row['owned'][:3])}, and an owner may switch RLS off")
    if row["acting"] != row["login"]:
        reasons.append(f"it acts as {row['acting']}")
    if row["login"] != expected:
        reasons.append(f"this door is for {expected}, the role its policy names")
    return reasons
